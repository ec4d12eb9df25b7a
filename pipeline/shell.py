"""`rwe sql`: the published warehouse, read-only and locked."""

from __future__ import annotations

import csv
import resource
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.errors import CommandError, Exit

MOST_ROWS_SHOWN, ROWS_AT_ONCE = 200, 10_000
LOCKED = {
    "memory_limit": "'2GB'",
    "temp_directory": "''",
    "enable_external_access": "false",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "python_enable_replacements": "false",
    "lock_configuration": "true",
}
WELCOME = (
    "The published warehouse, read-only. End a statement with ;  Leave with Ctrl-D.\n"
    "  show all tables;                 every table\n"
    "  describe cohort.cohort;          columns of one\n"
    "  select * from cohort.cohort_attrition;"
)


LONGEST_STATEMENT_SECONDS = 120
ADDRESS_SPACE_BYTES = 16 << 30
PROCESSOR_SECONDS = 3600


def limit_process() -> None:
    """Bound what this process may take: DuckDB's own memory limit is not a hard one."""
    for limit, wanted in (
        (resource.RLIMIT_AS, ADDRESS_SPACE_BYTES),
        (resource.RLIMIT_CPU, PROCESSOR_SECONDS),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(limit)
        bound = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(limit, (bound, bound))


def open_locked(warehouse: Path) -> duckdb.DuckDBPyConnection:
    """Open the file so that nothing can be written, read from outside or reconfigured."""
    if not warehouse.exists():
        raise CommandError(f"{warehouse} does not exist; run `rwe build` first.")
    try:
        connection = duckdb.connect(str(warehouse), read_only=True)
    except duckdb.Error:
        raise CommandError(
            f"{warehouse} cannot be read: it is damaged. Restore the folder of run "
            f"{warehouse.resolve().parent.name} from its copy, or publish again with `rwe build`."
        ) from None
    for setting, value in LOCKED.items():
        connection.execute(f"set {setting} = {value}")
    return connection


def answer(connection: duckdb.DuckDBPyConnection, statement: str, console: Console) -> None:
    """Run one statement and print its rows: to a terminal the first, else all of them as CSV.

    Raises CommandError with DuckDB's message.
    """
    clock = threading.Timer(LONGEST_STATEMENT_SECONDS, connection.interrupt)
    clock.start()
    try:
        statements = connection.extract_statements(statement)
        if not statements:
            raise CommandError("There is no statement in what was given.", Exit.USAGE)
        # DuckDB makes two of a pivot; the first creates something and has no rows.
        if sum(one.type != duckdb.StatementType.CREATE for one in statements) > 1:
            raise CommandError("Give one statement at a time.", Exit.USAGE)
        cursor = connection.execute(statement)
        if cursor.description is None:
            return
        names = [column[0] for column in cursor.description]
        if not console.is_terminal:
            lines = csv.writer(console.file, lineterminator="\n")
            lines.writerow(names)
            while rows := cursor.fetchmany(ROWS_AT_ONCE):
                lines.writerows(rows)
            return
        rows = cursor.fetchmany(MOST_ROWS_SHOWN + 1)
    except duckdb.InterruptException:
        raise CommandError(
            f"stopped after {LONGEST_STATEMENT_SECONDS} seconds; ask for less at a time",
            Exit.RESOURCES,
        ) from None
    except duckdb.Error as error:
        ran_out = isinstance(error, duckdb.OutOfMemoryException)
        raise CommandError(str(error), Exit.RESOURCES if ran_out else Exit.USAGE) from None
    except (OverflowError, ValueError):
        raise CommandError(
            "A value is out of the range that can be shown; cast it to text, as in x::varchar.",
            Exit.USAGE,
        ) from None
    finally:
        clock.cancel()
    texts = [["" if value is None else str(value) for value in row] for row in rows]
    console.print(_laid_out(names, texts[:MOST_ROWS_SHOWN], console))
    if len(rows) > MOST_ROWS_SHOWN:
        console.print(f"(the first {MOST_ROWS_SHOWN} rows; add a limit or an aggregate)")


def _laid_out(names: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> Table:
    """One line a row; where words would have to be broken for it, one line a value."""
    table = Table(box=None, header_style="bold")
    for name in names:
        table.add_column(Text(name))
    for row in rows:
        table.add_row(*map(Text, row))
    unbroken = console.measure(table, options=console.options.update(max_width=sys.maxsize))
    if unbroken.minimum <= console.width:
        return table
    upright = Table.grid(padding=(0, 2))
    for number, row in enumerate(rows, start=1):
        upright.add_row(Text(f"row {number}", "bold"))
        for name, value in zip(names, row, strict=True):
            upright.add_row(Text(f"  {name}"), Text(value))
    return upright


def converse(connection: duckdb.DuckDBPyConnection, console: Console) -> None:
    """Read statements until the end of input."""
    console.print(WELCOME, highlight=False)
    statement = ""
    while True:
        try:
            statement += input("rwe> " if not statement else "...> ") + "\n"
        except (EOFError, KeyboardInterrupt):
            console.print()
            return
        if statement.rstrip().endswith(";"):
            try:
                answer(connection, statement, console)
            except CommandError as error:
                console.print(Text(str(error), style="red"), highlight=False)
            statement = ""
