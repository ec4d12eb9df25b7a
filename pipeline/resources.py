"""Disk and memory: what is asked for before work starts, and the limits that DuckDB keeps."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import duckdb

from pipeline.errors import CommandError, Exit

MEMORY_VARIABLE = "RWE_MEMORY_LIMIT"
LIMITS = {
    MEMORY_VARIABLE: "memory_limit",
    "RWE_SPILL_LIMIT": "max_temp_directory_size",
}
"""Environment variables that set a limit of DuckDB, as in RWE_MEMORY_LIMIT=2GB."""

SPILL = "spill-"
"""How the name begins of the folder for temporary files of databases in memory; the number of the
process follows."""

PRIVATE_UMASK = 0o077
BUILD_BYTES_PER_DELIVERED_BYTE = 7
"""Archive, landed rows, build and copy take 8 of a thousand patients, 3 of a hundred thousand; the
rest is for what a build spills."""
LEAST_FREE_BYTES = 64 << 20

LEAST_MEMORY_BYTES = 2 << 30
MEMORY_BYTES_PER_LANDED_BYTE = 9
"""A hundred thousand patients land in 306 MB; with 2 GB they take as long as with all memory."""


def limit(connection: duckdb.DuckDBPyConnection) -> None:
    """Give a database the limits that the environment asks for.

    They are set once it is open: DuckDB 1.5 takes a limit of the temporary files in the
    configuration of `connect` and does not keep it.
    """
    for variable, name in LIMITS.items():
        if wanted := os.environ.get(variable):
            try:
                connection.execute(f"set {name} = '{wanted}'")
            except duckdb.Error:
                raise CommandError(
                    f"{variable}={wanted} is no size; give one, as in {variable}=2GB", Exit.USAGE
                ) from None


def in_memory(folder: Path) -> duckdb.DuckDBPyConnection:
    """Open a database without a file, within the limits; what it spills goes below `folder`.

    DuckDB would spill into the folder in which the command was given, where rows of patients must
    not lie.
    """
    spill = folder / f"{SPILL}{os.getpid()}"
    connection = duckdb.connect(config={"temp_directory": str(spill)})
    limit(connection)
    return connection


def remove_spilled(folder: Path) -> None:
    """Remove what databases in memory have spilled below `folder` whose process was killed."""
    for left in folder.glob(f"{SPILL}*"):
        number = left.name.removeprefix(SPILL)
        if number.isdigit() and not _is_running(int(number)):
            shutil.rmtree(left)


def limit_to_need(connection: duckdb.DuckDBPyConnection, landed: int) -> None:
    """Leave a build the memory that so many bytes of landed rows need, where nobody sets a limit.

    DuckDB would keep whatever it has read in up to 80% of the machine's memory.
    """
    if MEMORY_VARIABLE not in os.environ:
        need = max(LEAST_MEMORY_BYTES, landed * MEMORY_BYTES_PER_LANDED_BYTE)
        row = connection.execute("select parse_formatted_bytes(current_setting('memory_limit'))")
        (most,) = row.fetchone() or (need,)
        if need < most:
            connection.execute(f"set memory_limit = '{need}B'")


def require_space(folder: Path, wanted: int) -> None:
    """Refuse to start what would not fit. Raises CommandError naming the folder and the bytes."""
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise CommandError(
            f"{folder} has {_megabytes(free)} left, about {_megabytes(wanted)} are needed. Free "
            "space there, or name folders on a larger file system with --work and --published",
            Exit.RESOURCES,
        )


def require_writable(folder: Path, mode: int) -> None:
    """Make the folder with this mode, or give it the mode; refuse one that must not be used.

    Raises CommandError if it cannot be written, or if anybody at all may write to it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"{folder} cannot be made: {error.strerror}", Exit.RESOURCES) from None
    found = folder.stat().st_mode
    # root may write anywhere; a folder that forbids writing means it all the same.
    if not os.access(folder, os.W_OK | os.X_OK) or not found & stat.S_IWUSR:
        raise CommandError(
            f"{folder} cannot be written. Allow it (chmod u+w), or name another folder with "
            "--work or --published",
            Exit.RESOURCES,
        )
    if found & stat.S_IWOTH:
        raise CommandError(
            f"{folder} may be written by anybody, so what lies in it cannot be trusted. "
            "Forbid it: chmod o-w",
            Exit.SECURITY,
        )
    folder.chmod(mode)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        pass
    return True


def _megabytes(number: int) -> str:
    return f"{number / (1 << 20):,.0f} MB"
