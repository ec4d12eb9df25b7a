"""How a command ends: the exit codes, and the errors that are a message instead of a traceback."""

from __future__ import annotations

import errno
import re
from enum import IntEnum
from pathlib import Path

import duckdb


class Exit(IntEnum):
    """The exit code of each class of failure; 0 is success. README.md says what each means."""

    UNEXPECTED = 1
    USAGE = 2
    DATA_QUALITY = 3
    BAD_INPUT = 4
    RESOURCES = 5
    SECURITY = 6
    BUSY = 7
    NEEDS_DECISION = 8


class CommandError(Exception):
    """What went wrong and what to do about it, in words for the user."""

    def __init__(self, message: str, exit_code: Exit = Exit.BAD_INPUT) -> None:
        """Say it in words, and which class of failure it is."""
        super().__init__(message)
        self.exit_code = exit_code


class NotOnRecordError(CommandError):
    """A run became current, but could not be entered in ledger and audit trail."""


OUT_OF_MEMORY = (
    "The memory ran out. Free memory, or give DuckDB less of it and disk instead: it takes what "
    "the delivery needs, 80% of the machine at most, unless RWE_MEMORY_LIMIT says otherwise, as in "
    "RWE_MEMORY_LIMIT=2GB"
)
OUT_OF_SPACE = (
    "No space is left{where}. Free space there, or name folders on a larger file system "
    "with --work and --published"
)
SOMEWHERE = " in the work folder or in that of the published runs"
NAMED_FILE = re.compile('file "([^"]+)"')
"""How DuckDB names the file that it could not write."""
FAILING_DISK = "A file could not be read or written{where}: input/output error. Check the disk"
RESOURCE_ERRORS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EMFILE,
    errno.ENOMEM,
}
RESOURCE_SIGNS = {
    "No space left on device": OUT_OF_SPACE,
    "max_temp_directory_size": OUT_OF_SPACE,
    "Out of Memory": OUT_OF_MEMORY,
    "Input/output error": FAILING_DISK,
}
"""What DuckDB and dbt write where a resource ran out; no room to spill is out of memory too."""


def resources_error(text: str, where: Path | None = None) -> CommandError | None:
    """Return the error for a message of DuckDB that says a resource ran out, else None."""
    for sign, advice in RESOURCE_SIGNS.items():
        if sign in text:
            named = NAMED_FILE.search(text)
            place = f" in {named[1] if named else where}" if named or where else SOMEWHERE
            return CommandError(advice.format(where=place), Exit.RESOURCES)
    return None


def as_command_error(error: BaseException) -> CommandError:
    """Return what to tell the user; of an unexpected error the place, since it may quote data."""
    if isinstance(error, CommandError):
        return error
    if error.args and isinstance(error.args[0], OSError):  # as xlsxwriter tells it
        error = error.args[0]
    if isinstance(error, MemoryError):
        return CommandError(OUT_OF_MEMORY, Exit.RESOURCES)
    if isinstance(error, OSError) and error.errno in RESOURCE_ERRORS:
        where = f" in {error.filename}" if error.filename else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return CommandError(OUT_OF_SPACE.format(where=where or SOMEWHERE), Exit.RESOURCES)
        return CommandError(f"{error.strerror}{where}; nothing was published", Exit.RESOURCES)
    if isinstance(error, duckdb.Error) and (ran_out := resources_error(str(error))):
        return ran_out
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    where = f"{Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}" if frame else "?"
    return CommandError(
        f"unexpected {type(error).__name__} at {where}. This is a fault of the program: nothing "
        "was published. RWE_DEBUG=1 prints the whole traceback; it may quote data",
        Exit.UNEXPECTED,
    )
