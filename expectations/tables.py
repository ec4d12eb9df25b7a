"""Reading tables of a warehouse of which some may not have been built."""

from __future__ import annotations

from typing import Any

import duckdb

MARTS = ("cohort", "treatment", "survival", "safety", "quality")
"""Schemas of the marts."""


def rows(
    connection: duckdb.DuckDBPyConnection, query: str, *parameters: object
) -> list[dict[str, Any]]:
    """Return the rows of a query as dictionaries."""
    cursor = connection.execute(query, list(parameters))
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def exist(connection: duckdb.DuckDBPyConnection, *tables: str) -> bool:
    """Whether all these tables, as schema.table, are in the warehouse."""
    found = connection.execute(
        "select count(*) from information_schema.tables "
        "where table_catalog = current_database() "
        "and list_contains(?, table_schema || '.' || table_name)",
        [list(tables)],
    ).fetchone()
    return found is not None and found[0] == len(set(tables))


def columns(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    """Return the names of a table's columns."""
    return [row[0] for row in connection.execute(f"describe {table}").fetchall()]
