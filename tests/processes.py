"""Commands in processes of their own, forked from one that has imported what builds need.

To import dbt, Great Expectations and matplotlib takes a quarter of a small build; a forked process
has them already and is otherwise like any other.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.warm"])

PARSED: dict[str, str] = {}
"""Where dbt finds the project parsed, once a build of these tests has done so."""


def ended(target: Callable[..., None], *arguments: object, kill_after: float | None = None) -> int:
    """The exit code of a process of its own, which is killed after so many seconds."""
    process = PROCESSES.Process(target=target, args=arguments)
    process.start()
    return exit_code(process, kill_after)


def exit_code(process: BaseProcess, kill_after: float | None = None) -> int:
    """How the process ended, or was made to end after so many seconds."""
    process.join(kill_after)
    process.kill()  # nothing to one that has ended
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def printed(
    command: Callable[[list[str]], None], arguments: list[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """The exit code of a command and what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        code = ended(run, command, arguments, dict(environment), folder)
        said = [(Path(folder) / name).read_text(encoding="utf-8") for name in ("out", "err")]
    return subprocess.CompletedProcess(arguments, code, *said)


def run(
    command: Callable[[list[str]], None],
    arguments: list[str],
    environment: dict[str, str],
    folder: Path | str,
) -> None:
    """Run a command in the project, with this environment only; what it prints goes to `folder`."""
    os.chdir(PROJECT)
    os.environ.clear()
    os.environ.update(environment)
    for stream, name in ((sys.stdout, "out"), (sys.stderr, "err")):
        with (Path(folder) / name).open("wb") as file:
            os.dup2(file.fileno(), stream.fileno())
    command(arguments)


def rwe(arguments: list[str]) -> None:
    """The command `rwe`."""
    sys.argv = ["rwe", *arguments]
    from pipeline.cli import main

    main()


def dbt(arguments: list[str]) -> None:
    """The command `dbt`."""
    from dbt.cli.main import cli

    cli(arguments)
