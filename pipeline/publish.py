"""Publishes a finished build: a de-identified copy in a folder of its own, then one pointer swap.

What is published: every table of the mart schemas, the seeds and the results, without any column of
type date (days from the index date and the index year stand for them) and without the marts that
say `meta: {published: false}`. Raw and staging stay in the private build.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import duckdb

from pipeline.paths import Layout

PUBLISHED_SCHEMAS = (
    "cohort",
    "treatment",
    "survival",
    "safety",
    "quality",
    "results",
    "reference",
)
PUBLISHED_MODE = 0o640


def publish_warehouse(layout: Layout, target: Path) -> None:
    """Copy the publishable tables of the build into a new file.

    `target` must not exist.
    """
    documented = _documented_relations(layout.target / "manifest.json")
    with duckdb.connect(str(target)) as connection:
        connection.execute(f"attach '{layout.warehouse}' as build (read_only)")
        for schema, table in _publishable(connection, documented):
            columns = _published_columns(connection, schema, table)
            connection.execute(f"create schema if not exists {schema}")
            connection.execute(
                f"create table {schema}.{table} as select {', '.join(columns)} "
                f"from build.{schema}.{table}"
            )
            _comment(connection, schema, table, documented.get((schema, table), {}))
        connection.execute("detach build")
        connection.execute("checkpoint")
    target.chmod(PUBLISHED_MODE)


def finish(run_folder: Path) -> None:
    """Make sure that every file of the run is on disk."""
    for path in run_folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())


def point_to(layout: Layout, run_folder: Path) -> None:
    """Make the run the current one: an atomic swap of the pointer."""
    fresh = layout.published / f".current.{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(run_folder.name, target_is_directory=True)
    fresh.replace(layout.current)


def _documented_relations(manifest_file: Path) -> dict[tuple[str, str], dict[str, Any]]:
    manifest = json.loads(manifest_file.read_text())
    nodes = [*manifest["nodes"].values(), *manifest["sources"].values()]
    return {
        (node["schema"], node.get("alias") or node["name"]): node
        for node in nodes
        if node["resource_type"] in ("model", "seed", "source")
    }


def _publishable(
    connection: duckdb.DuckDBPyConnection, documented: dict[tuple[str, str], dict[str, Any]]
) -> list[tuple[str, str]]:
    tables = connection.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = 'build' "
        "union all "
        "select schema_name, view_name from duckdb_views() where database_name = 'build' "
        "order by all"
    ).fetchall()
    return [
        (schema, table)
        for schema, table in tables
        if schema in PUBLISHED_SCHEMAS
        and documented.get((schema, table), {})
        .get("config", {})
        .get("meta", {})
        .get("published", True)
    ]


def _published_columns(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> list[str]:
    described = connection.execute(f"describe build.{schema}.{table}").fetchall()
    return [
        f'"{name}"'
        for name, data_type, *_ in described
        if schema == "reference" or data_type not in ("DATE", "TIMESTAMP")
    ]


def _comment(
    connection: duckdb.DuckDBPyConnection, schema: str, table: str, node: dict[str, Any]
) -> None:
    """Describe a table and its columns as dbt does, or as the table was described when made."""

    def quoted(text: str) -> str:
        return "'" + " ".join(text.split()).replace("'", "''") + "'"

    made = connection.execute(
        "select column_name, comment from duckdb_columns() "
        "where database_name = 'build' and schema_name = ? and table_name = ?",
        [schema, table],
    ).fetchall()
    if node.get("description"):
        connection.execute(f"comment on table {schema}.{table} is {quoted(node['description'])}")
    published = {name for name, *_ in connection.execute(f"describe {schema}.{table}").fetchall()}
    for name, comment in made:
        description = node.get("columns", {}).get(name, {}).get("description") or comment
        if description and name in published:
            connection.execute(
                f'comment on column {schema}.{table}."{name}" is {quoted(description)}'
            )
