"""What a table holds, whatever the order of its rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

LOW_HALF = (1 << 64) - 1

OF_THE_RUN = ("run_id", "checked_at")
"""Columns that differ between runs over the same data; a logical hash leaves them out."""


@dataclass(frozen=True)
class Content:
    """The rows of a table, counted and summed up.

    `low` and `high` are the sums of both halves of each row's MD5; the row is a JSON array, columns
    in declared order, numbers in their shortest exact form. `quick` is the sum of DuckDB's own
    hashes of the rows, which another version may compute otherwise.
    """

    columns: tuple[str, ...]
    rows: int
    quick: int
    low: int
    high: int

    def __add__(self, other: Content) -> Content:
        """These rows and the others."""
        return self._joined(other, 1)

    def __sub__(self, other: Content) -> Content:
        """These rows without the others, which must be among them."""
        return self._joined(other, -1)

    def _joined(self, other: Content, sign: int) -> Content:
        return Content(
            self.columns,
            self.rows + sign * other.rows,
            self.quick + sign * other.quick,
            self.low + sign * other.low,
            self.high + sign * other.high,
        )

    @property
    def logical_sha256(self) -> str:
        """The SHA-256 of the columns' names and of the sums of the rows' MD5."""
        sums = f"{self.low} {self.high}" if self.rows else "None None"
        told = f"{_list(_told(self.columns))}\n{self.rows} {sums}"
        return hashlib.sha256(told.encode()).hexdigest()


def content(connection: duckdb.DuckDBPyConnection, source: str, columns: Sequence[str]) -> Content:
    """Return what a table, or a query in brackets, holds in these columns."""
    told = _list(_told(columns))
    found = connection.execute(
        "select count(*), coalesce(sum(quick::hugeint), 0), "
        f"coalesce(sum((hashed & {LOW_HALF})::ubigint), 0), "
        "coalesce(sum((hashed >> 64)::ubigint), 0) "
        f"from (select hash({_list(columns)}) as quick, "
        f"md5_number(json_array({told})::varchar) as hashed from {source})"
    ).fetchone()
    assert found is not None
    return Content(tuple(columns), *found)


def is_held(connection: duckdb.DuckDBPyConnection, source: str, expected: Content) -> bool:
    """Whether a table or query holds what is expected, by its number of rows and quick hash."""
    found = connection.execute(
        f"select count(*), coalesce(sum(hash({_list(expected.columns)})::hugeint), 0) from {source}"
    ).fetchone()
    return found == (expected.rows, expected.quick)


def _told(columns: Sequence[str]) -> list[str]:
    return [name for name in columns if name not in OF_THE_RUN]


def _list(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)
