"""One build at a time in a folder.

The lock is the operating system's record lock, which ends with the process: a killed build leaves
nothing to clear away. The file only says who holds it.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from pipeline.errors import CommandError, Exit

LOCK_FILE = ".lock"
_held: dict[Path, TextIO] = {}


@contextmanager
def only_one(*folders: Path) -> Iterator[None]:
    """Hold the folders, which must exist.

    Raises CommandError at once, naming the holder, if another process has one of them.
    """
    with ExitStack() as held:
        for folder in folders:
            path = hold(folder)
            held.callback(release, path)
        yield


def hold(folder: Path) -> Path:
    """Take the lock of a folder until `release` or the end of this process; return its file.

    A process that has the lock may take it again. Raises CommandError if another one has it.
    """
    path = folder.resolve() / LOCK_FILE
    # Opening and closing a locked file anew would drop this process's own lock.
    if path in _held:
        return path
    stream = path.open("a+", encoding="utf-8")
    try:
        fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.seek(0)
        holder = stream.read()
        stream.close()
        raise CommandError(f"{folder} is busy, {_described(holder)}.", Exit.BUSY) from None
    _held[path] = stream
    stream.truncate(0)
    json.dump(
        {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        },
        stream,
    )
    stream.flush()
    return path


def release(path: Path) -> None:
    """Let go of a lock file that this process holds."""
    if stream := _held.pop(path, None):
        stream.truncate(0)
        stream.close()


def _described(holder: str) -> str:
    try:
        found = json.loads(holder)
        who = f"held by process {found['pid']} on {found['host']} since {found['since']}"
    except (ValueError, KeyError, TypeError):
        who = "held by a process that is just beginning"
    return f"{who}; wait for it to end, or end it"
