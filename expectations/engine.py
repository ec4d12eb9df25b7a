"""Great Expectations on DuckDB: a data source whose engine keeps one read-only connection open.

The stock SQL engine closes its connection before it reads the result, which DuckDB answers with
nothing, and one failed statement aborts the transaction of all that follow. Both are cured here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import duckdb
import great_expectations as gx
from duckdb_sqlalchemy import ConnectionWrapper
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.datasource.fluent.sql_datasource import SQLDatasource
from great_expectations.execution_engine.sqlalchemy_execution_engine import (
    SqlAlchemyExecutionEngine,
)
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

COUNTS_ONLY = {"result_format": "BASIC", "partial_unexpected_count": 0}
"""Result format that returns counts and not a single value of the data."""


class DuckDBExecutionEngine(SqlAlchemyExecutionEngine):
    """Runs every metric on one connection and leaves no failed transaction behind."""

    _connection: Connection | None

    @contextmanager
    def get_connection(self) -> Iterator[Connection]:
        """Yield the engine's one connection; it stays open so that results can be read."""
        if self._connection is None:
            self._connection = self.engine.connect()
        yield self._connection

    def get_domain_records(self, domain_kwargs: dict[str, Any]) -> Any:
        """Return the rows of a batch under the name by which a rule may speak of them."""
        return super().get_domain_records(domain_kwargs).alias("checked")

    def execute_query(self, query: Any) -> Any:
        """Execute a statement; after an error the next one starts afresh."""
        try:
            return super().execute_query(query)
        except SQLAlchemyError:
            if self._connection is not None:
                self._connection.rollback()
            raise

    def close(self) -> None:
        """Close the connection and forget the engine's pool."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        super().close()


class DuckDBDatasource(SQLDatasource):
    """The data source type `duckdb`."""

    type: Literal["duckdb"] = "duckdb"

    @property
    def execution_engine_type(self) -> Any:
        """The engine that evaluates this source's expectations."""
        return DuckDBExecutionEngine

    def add_batch_definition(self, batch_definition: Any) -> Any:
        """Keep nothing: the stock source writes out the whole context each time."""
        return batch_definition

    def _add_asset(self, asset: Any, connect_options: dict[str, Any] | None = None) -> Any:
        asset._datasource = self
        self.assets.append(asset)
        return asset


class Warehouse:
    """A DuckDB file opened read-only, for expectations and for plain counts."""

    def __init__(self, source: Any) -> None:
        """Wrap an open data source."""
        self._source = source
        self._engine: DuckDBExecutionEngine = source.get_execution_engine()

    def relations(self) -> set[str]:
        """Return the tables and views of the file as schema.table."""
        return {
            f"{schema}.{name}"
            for schema, name in self.query(
                "select table_schema, table_name from information_schema.tables"
            )
        }

    def query(self, sql: str) -> list[Any]:
        """Return the rows of a query. Raises SQLAlchemyError where DuckDB refuses it."""
        return list(self._engine.execute_query(text(sql)).fetchall())

    def is_alive(self) -> bool:
        """Whether the database still answers."""
        try:
            return self.query("select 1") == [(1,)]
        except SQLAlchemyError:
            return False

    def table_batch(self, table: str) -> Any:
        """Return a whole table, given as schema.table, as the batch that a suite validates."""
        schema, _, name = table.partition(".")
        asset = self._source.add_table_asset(table, table_name=name, schema_name=schema)
        return asset.add_batch_definition_whole_table("all rows").get_batch()

    def query_batch(self, query: str) -> Any:
        """Return the rows of a query as a batch.

        The library takes batches of one name for one batch, so each has a name of its own.
        """
        name = f"query {len(self._source.assets) + 1}"
        asset = self._source.add_query_asset(name, query=f"select * from ({query}) as population")
        return asset.add_batch_definition_whole_table("all rows").get_batch()


@contextmanager
def open_warehouse(target: Path | duckdb.DuckDBPyConnection) -> Iterator[Warehouse]:
    """Open a DuckDB file read-only, or use an open connection, for the time of a `with` block.

    No other connection of this process may hold the file open for writing. Within the block the
    library's own logger is silent: its messages quote statements and values.

    Raises FileNotFoundError if there is no such file.
    """
    cursors: list[duckdb.DuckDBPyConnection] = []
    if isinstance(target, Path):
        if not target.is_file():
            raise FileNotFoundError(f"{target}: no such warehouse; build it first")
        address = f"duckdb:///{target.resolve()}"
        arguments: dict[str, Any] = {"connect_args": {"read_only": True}}
    else:
        connection = target

        def another() -> ConnectionWrapper:
            cursors.append(connection.cursor())
            return ConnectionWrapper(cursors[-1])

        address = "duckdb:///:memory:"  # never opened
        arguments = {"creator": another}
    with _silent(logging.getLogger("great_expectations")):
        source = gx.get_context(
            mode="ephemeral", project_config=_in_memory()
        ).data_sources.add_duckdb(
            "warehouse", connection_string=address, create_temp_table=False, kwargs=arguments
        )
        try:
            yield Warehouse(source)
        finally:
            source.get_execution_engine().close()
            source.get_engine().dispose()
            for cursor in cursors:  # the library lets go of them only when they are collected
                cursor.close()


def _in_memory() -> DataContextConfig:
    """Return a project that leaves nothing on disk and draws nothing on the terminal."""
    return DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )


@contextmanager
def _silent(log: logging.Logger) -> Iterator[None]:
    """Keep the records of a logger and of those below it, whatever their levels."""
    propagates, handler = log.propagate, logging.NullHandler()
    log.propagate = False
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = propagates
