"""Publishing in a process of its own, so that it can be killed, and what must hold afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import audit, faults, publish, resources
from pipeline.errors import Exit, as_command_error
from pipeline.paths import Layout
from tests.processes import ended

KILLED = -9
EXIT_CODES = {
    "kill": KILLED,
    "raise": Exit.UNEXPECTED,
    "enospc": Exit.RESOURCES,
    "eio": Exit.RESOURCES,
}
"""How a run ends by the kind of fault."""


@dataclass
class Published:
    """Work and published folder with one run in it."""

    layout: Layout
    delivery: Path
    key_file: Path
    first: dict[str, str] = field(default_factory=dict)

    def attempt(self, kill_after: float | None = None, **environment: str) -> int:
        """Publish again in a process of its own, killed after so many seconds; its exit code."""
        told = {**environment, "RWE_KEY_FILE": str(self.key_file)}
        return ended(_publish, self.layout, self.delivery, told, kill_after=kill_after)

    @property
    def current(self) -> str:
        return self.layout.current.readlink().name

    def holds(self) -> None:
        """Old runs are what they were; the pointer leads to a whole run; the trail is unbroken."""
        now = hashes(self.layout.published)
        assert {name: now.get(name) for name in self.first} == self.first  # G1
        verify_run(self.layout.current)  # G2
        assert audit.verify(audit.events(self.layout.work)) is None  # G4
        modes(self.layout.published)  # G7


def published_from(layout: Layout, delivery: Path, key_file: Path) -> Published:
    found = Published(layout, delivery, key_file)
    assert found.attempt() == 0
    found.first = hashes(layout.published)
    return found


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of the runs below, by its path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for run in folder.iterdir()
        if run.is_dir() and not run.is_symlink() and not run.name.startswith(".")
        for path in sorted(run.rglob("*"))
        if path.is_file()
    }


def verify_run(run: Path) -> dict[str, Any]:
    """Every output that the manifest names is there and as it was; return the manifest."""
    found: dict[str, Any] = json.loads((run / "manifest.json").read_text())
    assert found["outputs"]
    for output in found["outputs"]:
        content = (run / output["path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == output["sha256"], output["path"]
    return found


def modes(folder: Path) -> None:
    """No file that others may read."""
    for path in folder.rglob("*"):
        if path.is_symlink() or path.name.startswith(publish.UNFINISHED):
            continue
        widest = 0o750 if path.is_dir() else 0o640
        assert not stat.S_IMODE(path.stat().st_mode) & ~widest, path


def leftovers(*folders: Path) -> list[Path]:
    """Files that only a run that is going on should have."""
    return [
        path
        for folder in folders
        for pattern in (f"{publish.UNFINISHED}*", "*.wal", "*.tmp", ".landing-*")
        for path in folder.rglob(pattern)
    ]


def _publish(layout: Layout, delivery: Path, environment: dict[str, str]) -> None:
    from pipeline import run

    os.environ.pop(faults.FAULT_VARIABLE, None)
    os.environ.update(environment)
    os.umask(0)
    started = datetime.now(UTC)
    try:
        run_id = run.next_run_id(layout, started)
        with run.workplace(delivery, layout), run.on_record(layout, run_id, delivery):  # noqa: SIM117
            with (
                run.unpublished(layout, run_id) as folder,
                publish.Copy(layout, folder / publish.WAREHOUSE) as copy,
            ):
                copy.built()
                copy.results()
                run.publish_run(layout, folder, copy, run_id, started, delivery)
    except Exception as error:
        sys.exit(as_command_error(error).exit_code)
    assert os.umask(0) == resources.PRIVATE_UMASK
