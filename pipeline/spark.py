"""Builds the models on Apache Spark instead of DuckDB, where RWE_TARGET says so: docs/spark.md.

DuckDB lands the delivery and hands the raw tables over as Parquet; Spark builds and tests every
model; its tables, Parquet too, are read back into the warehouse file, where the checks of both
gates run, and the rest of a run does not know the difference.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from pipeline import ledger, resources
from pipeline.delivery import files, raw_views
from pipeline.errors import CommandError, Exit
from pipeline.ledger import Delivery
from pipeline.paths import Layout
from pipeline.reader import quoted

if TYPE_CHECKING:
    from pipeline.transform import Progress


def is_chosen() -> bool:
    """Say whether this run builds on Spark."""
    return os.environ.get("RWE_TARGET") == "spark"


def missing() -> str | None:
    """Return why Spark cannot run here, or None if it can."""
    for module in ("pyspark", "dbt.adapters.spark"):
        if not importlib.util.find_spec(module):
            return f"the package {module} is not installed"
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        return "there is no Java; Spark needs Java 17 or later"
    return None


def build(delivery: Delivery, layout: Layout, progress: Progress) -> None:
    """Build and test every model on Spark from a landed delivery, read its tables back, check them.

    Raises CommandError as `dbt_build` does, and if Spark is not there.
    """
    from pipeline.transform import dbt_build  # slow; who only asks `is_chosen` needs no dbt

    if why := missing():
        raise CommandError(f"RWE_TARGET=spark, but {why}. docs/spark.md", Exit.USAGE)
    kept = os.environ.get("RWE_SPARK_WAREHOUSE")
    warehouse = Path(kept).resolve() if kept else layout.work / "spark"
    os.environ["RWE_SPARK_WAREHOUSE"] = str(warehouse)
    _remove_tables(warehouse)
    try:
        with resources.in_memory(layout.work) as connection:
            write_raw(connection, layout.work, delivery, warehouse / "raw")
        dbt_build(ledger.landed(layout.work, delivery.seq), layout, progress)
        with duckdb.connect(str(layout.warehouse)) as connection:
            make_raw(connection, layout.work, delivery)
            read_back(connection, warehouse)
            pass_gates(connection, layout.work)
    finally:
        if not kept:
            shutil.rmtree(warehouse, ignore_errors=True)


def _remove_tables(warehouse: Path) -> None:
    for folder in (warehouse / "raw", *warehouse.glob("*.db")):
        shutil.rmtree(folder, ignore_errors=True)


def make_raw(connection: duckdb.DuckDBPyConnection, work: Path, delivery: Delivery) -> None:
    """Make the raw tables of the deliveries that stand after this one, as dbt on DuckDB does."""
    standing = ledger.state(ledger.deliveries(work), delivery.seq)
    for statement in raw_views(work, standing):
        connection.execute(statement)
    connection.register("files", files(work, standing))
    connection.execute("create table raw.files as from files")
    connection.unregister("files")


def write_raw(
    connection: duckdb.DuckDBPyConnection, work: Path, delivery: Delivery, folder: Path
) -> None:
    """Write one Parquet file a raw table."""
    make_raw(connection, work, delivery)
    folder.mkdir(parents=True)
    for (name,) in connection.execute(
        "select table_name from information_schema.tables where table_schema = 'raw'"
    ).fetchall():
        connection.execute(f"copy raw.{name} to '{quoted(folder / name)}.parquet' (format parquet)")


def read_back(connection: duckdb.DuckDBPyConnection, warehouse: Path) -> None:
    """Copy every table of a Spark warehouse folder: `<schema>.db/<table>/*.parquet`."""
    for table in sorted(warehouse.glob("*.db/*")):
        name = f"{table.parent.stem}.{table.name}"
        connection.execute(f"create schema if not exists {table.parent.stem}")
        connection.execute(f"create table {name} as from read_parquet('{quoted(table)}/*.parquet')")


def pass_gates(connection: duckdb.DuckDBPyConnection, work: Path) -> None:
    """Run the checks of both gates, which dbt runs itself on DuckDB, and keep what they counted.

    Raises CommandError if one of them blocks.
    """
    from expectations import gate

    for name, layer in gate.GATES.items():
        try:
            counts = gate.check(connection, layer, work)
        except gate.GateError as error:
            raise CommandError(error.msg, Exit.DATA_QUALITY) from None
        connection.register("counts", counts)
        connection.execute(f"create or replace table staging.{name} as from counts")
        connection.unregister("counts")
