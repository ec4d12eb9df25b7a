"""Fault points: places where a test can make a run fail.

RWE_FAULT=publish:3:kill ends the process the third time that it passes the point `publish`. The
points are load (a table read), build (a model or test done), checks, analysis, publish (its steps)
and record (the run is current, and not yet entered as published).
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections import Counter

FAULT_VARIABLE = "RWE_FAULT"
SLEEP_SECONDS = 600

_passed: Counter[str] = Counter()


def point(name: str) -> None:
    """Pass a fault point; fail here if RWE_FAULT asks for it."""
    wanted = os.environ.get(FAULT_VARIABLE)
    if wanted is None:
        return
    at, nth, kind = wanted.split(":")
    if at != name:
        return
    _passed[name] += 1
    if _passed[name] == int(nth):
        _fail(kind)


def _fail(kind: str) -> None:
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "sleep":
        time.sleep(SLEEP_SECONDS)
    elif kind in ("enospc", "eio"):
        number = getattr(errno, kind.upper())
        raise OSError(number, os.strerror(number))
    else:
        raise RuntimeError("a fault was asked for here")
