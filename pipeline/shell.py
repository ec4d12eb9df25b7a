"""`rwe sql`: the published warehouse, read-only and locked."""

from __future__ import annotations

from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from pipeline.errors import CommandError

MOST_ROWS_SHOWN = 200
LOCKED = {
    "enable_external_access": "false",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    "lock_configuration": "true",
}
WELCOME = (
    "The published warehouse, read-only. End a statement with ;  Leave with Ctrl-D.\n"
    "  show all tables;                 every table\n"
    "  describe cohort.cohort;          columns of one\n"
    "  select * from cohort.cohort_attrition;"
)


def open_locked(warehouse: Path) -> duckdb.DuckDBPyConnection:
    """Open the file so that nothing can be written, read from outside or reconfigured."""
    if not warehouse.exists():
        raise CommandError(f"{warehouse} does not exist; run `rwe build` first.")
    connection = duckdb.connect(str(warehouse), read_only=True)
    for setting, value in LOCKED.items():
        connection.execute(f"set {setting} = {value}")
    return connection


def answer(connection: duckdb.DuckDBPyConnection, statement: str, console: Console) -> None:
    """Run one statement and print its rows.

    Raises CommandError with DuckDB's message.
    """
    try:
        cursor = connection.execute(statement)
        if cursor.description is None:
            return
        names = [column[0] for column in cursor.description]
        rows = cursor.fetchmany(MOST_ROWS_SHOWN + 1)
    except duckdb.Error as error:
        raise CommandError(str(error)) from None
    table = Table(*names, box=None, header_style="bold")
    for row in rows[:MOST_ROWS_SHOWN]:
        table.add_row(*("" if value is None else str(value) for value in row))
    console.print(table)
    if len(rows) > MOST_ROWS_SHOWN:
        console.print(f"(the first {MOST_ROWS_SHOWN} rows; add a limit or an aggregate)")


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
                console.print(f"[red]{error}[/red]", highlight=False)
            statement = ""
