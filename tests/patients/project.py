"""A copy of the project with other seeds, built by dbt on a delivery of invented patients."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from tests import processes

SEEDS = processes.PROJECT / "seeds"
LINKED = ("models", "macros", "tests", "dbt_project.yml", "profiles.yml")


def copy(project: Path, write_seeds: Callable[[Path], None]) -> Path:
    """Make a project of the same models whose seeds `write_seeds` changes in their folder."""
    project.mkdir()
    for name in LINKED:
        (project / name).symlink_to(processes.PROJECT / name)
    shutil.copytree(SEEDS, project / "seeds")
    write_seeds(project / "seeds")
    return project


def build(
    folder: Path, write_seeds: Callable[[Path], None], key: bytes, options: Iterable[str]
) -> Path:
    """Build what the options of `dbt build` select on `folder/delivery`; return the warehouse.

    The seeds are those of `copy`; `key` is the key of the pseudonyms, kept in
    `folder/pseudonym.key`. Raises AssertionError with dbt's output where the build or one of its
    tests fails.
    """
    project = copy(folder / "project", write_seeds)
    key_file, database = folder / "pseudonym.key", folder / "work" / "warehouse.duckdb"
    database.parent.mkdir()
    key_file.write_bytes(key)
    key_file.chmod(0o600)
    finished = processes.printed(
        processes.dbt,
        [
            "build",
            *options,
            *("--project-dir", str(project)),
            *("--profiles-dir", str(project)),
            *("--target-path", str(folder / "target")),
            *("--log-path", str(folder / "logs")),
        ],
        {
            **os.environ,
            **processes.PARSED,
            "RWE_DELIVERY": str(folder / "delivery"),
            "RWE_DATABASE": str(database),
            "RWE_KEY_FILE": str(key_file),
        },
    )
    assert finished.returncode == 0, f"dbt build failed:\n{finished.stdout}\n{finished.stderr}"
    return database
