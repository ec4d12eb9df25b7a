"""Builds a delivery of changes on top of the last build: only changed patients are modelled again.

They are built alone, by the same models, into a file of their own. Their rows then take the place
of the old ones in every table that has a patient; tables that count over patients are built again
from the whole. What comes out is what a full build of the same rows gives.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

from expectations import gate
from expectations.checks import QUARANTINE, SOURCE_FILES
from expectations.history import RESULTS_TABLE
from expectations.recount import by_patient, recounted
from expectations.tables import MARTS
from pipeline import ledger, manifest, resources
from pipeline.content import Content
from pipeline.contract import read_contract
from pipeline.delivery import among, patients_of
from pipeline.ledger import Delivery
from pipeline.paths import Layout
from pipeline.publish import REFERENCE, remove
from pipeline.reader import quoted
from pipeline.transform import Progress, dbt_build

BUILT = "built.json"
WHOLE, CHANGES, BEFORE = "whole.duckdb", "changes.duckdb", "before.duckdb"
"""The last build, set aside while the changed patients are built, what these gave, and what there
was of them before."""
DERIVED_SCHEMAS = ("staging", "intermediate", *MARTS)
WITHIN_A_BUILD = frozenset({"history_id", "layout_id", "endpoint_line_id"})
"""Columns that number something within one build; a table that has one cannot be merged."""

Row = dict[str, Any]


@dataclass(frozen=True)
class _Table:
    name: str
    columns: frozenset[str]

    @property
    def is_by_patient(self) -> bool:
        return "patient_key" in self.columns and not self.is_numbered

    @property
    def is_numbered(self) -> bool:
        return bool(WITHIN_A_BUILD & self.columns)


@dataclass(frozen=True)
class LastBuild:
    """The run that was made of the last build, and what its published tables hold."""

    run_id: str
    held: dict[str, Content]


def _fills_a_table(work: Path, delivery: Delivery) -> bool:
    files = ledger.raw_folder(work, delivery.seq) / "files.parquet"
    query = "select count(*) from read_parquet(?) where n_before = 0 and n_records > 0"
    with duckdb.connect(config={"threads": 1}) as connection:
        (found,) = connection.execute(query, [str(files)]).fetchall()[0]
    return bool(found)


def note_build(layout: Layout, seq: int, run_id: str, held: Mapping[str, Content]) -> None:
    """Note beside a finished build what it was made of, and what was made of it."""
    noted = {
        "made_of": _made_of(layout, seq),
        "run_id": run_id,
        "held": {name: asdict(content) for name, content in held.items()},
    }
    (layout.work / BUILT).write_text(json.dumps(noted), encoding="utf-8")


def forget_build(layout: Layout) -> None:
    """Let nothing be built on the last build, or on one that was interrupted."""
    for name in (BUILT, WHOLE, CHANGES, BEFORE):
        for path in layout.work.glob(f"{name}*"):  # what was killed leaves its log beside it
            remove(path)


def last_build(layout: Layout, delivery: Delivery) -> LastBuild | None:
    """Return the last build if it is finished, of the same rules, and what these changes change.

    None if they bring the first rows of a table: what was unknown of all patients is then known.
    """
    if delivery.covers != "changes" or not layout.warehouse.exists():
        return None
    if _fills_a_table(layout.work, delivery):
        return None
    try:
        noted = json.loads((layout.work / BUILT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if noted.get("made_of") != _made_of(layout, delivery.base_seq):
        return None
    held = {
        name: Content(**{**content, "columns": tuple(content["columns"])})
        for name, content in noted["held"].items()
    }
    return LastBuild(noted["run_id"], held)


def build(delivery: Delivery, last: LastBuild, layout: Layout, progress: Progress) -> None:
    """Build the changed patients alone, and put them into the last build.

    Raises CommandError as `dbt_build` does; the next build is then a full one.
    """
    forget_build(layout)
    landed = ledger.landed(layout.work, delivery.seq)
    whole = layout.warehouse.rename(layout.work / WHOLE)
    _copy_seeds(whole, layout.warehouse)
    dbt_build(landed, layout, progress, only_changes=True)
    changes = layout.warehouse.rename(layout.work / CHANGES)
    whole.rename(layout.warehouse)
    before = layout.work / BEFORE
    with duckdb.connect(str(layout.warehouse)) as connection:
        resources.limit(connection)
        set_aside(connection, patients_of(layout.work, delivery), before)
        counts = recounted(connection, last.run_id, before, changes)
        before.unlink()
        from_whole = _merge(connection, layout.work, changes, delivery)
    with gate.knowing(counts):
        dbt_build(landed, layout, progress, select=from_whole)
    changes.unlink()


def _copy_seeds(whole: Path, target: Path) -> None:
    """Begin a build with the seeds of the last one, which were loaded and tested with it."""
    with duckdb.connect(str(target)) as connection:
        connection.execute(f"attach '{quoted(whole)}' as whole (read_only)")
        connection.execute(f"create schema {REFERENCE}")
        seeds = connection.execute(
            "select table_name from duckdb_tables() where (database_name, schema_name) = (?, ?)",
            ["whole", REFERENCE],
        ).fetchall()
        for (seed,) in seeds:
            connection.execute(f"create table {REFERENCE}.{seed} as from whole.{REFERENCE}.{seed}")


def set_aside(connection: duckdb.DuckDBPyConnection, patients: Path, target: Path) -> None:
    """Copy what the checks read of some patients of an open build into a file of its own.

    `patients` is a Parquet file that names them as `patient_key`. Seeds and the list of files are
    copied as they are.
    """
    raw = [f"raw.{table.name}" for table in read_contract().tables.values() if table.patient_column]
    derived = [table.name for table in _tables(connection) if table.is_by_patient]
    delivered = " union all ".join(f"select src_rid from aside.{name}" for name in raw)
    kept = dict.fromkeys([*raw, *derived], f"where {among(patients)}") | {
        SOURCE_FILES: "",
        QUARANTINE: f"where src_rid in ({delivered})",
    }
    connection.execute(f"attach '{quoted(target)}' as aside")
    read = frozenset().union(*(check.tables for check in by_patient()))
    for name in sorted(read, key=lambda name: name == QUARANTINE):
        schema, _, _ = name.partition(".")
        if name in kept or schema == REFERENCE:
            connection.execute(f"create schema if not exists aside.{schema}")
            connection.execute(f"create table aside.{name} as from {name} {kept.get(name, '')}")
    connection.execute("detach aside")


def _merge(
    connection: duckdb.DuckDBPyConnection, work: Path, changes: Path, delivery: Delivery
) -> list[str]:
    """Replace the changed patients' rows; return the tables that must be built from the whole."""
    whole = []
    connection.execute(f"attach '{quoted(changes)}' as changes (read_only)")
    connection.execute(
        "create temp table replaced as select distinct patient_key "
        f"from read_parquet('{quoted(patients_of(work, delivery))}') where patient_key is not null"
    )
    connection.execute("begin")
    connection.execute("drop schema if exists results cascade")
    for table in _tables(connection):
        if table.is_by_patient:
            connection.execute(f"delete from {table.name} where patient_key in (from replaced)")
            connection.execute(f"insert into {table.name} by name from changes.{table.name}")
        elif table.is_numbered:
            connection.execute(f"drop table {table.name}")
        elif table.name == QUARANTINE:
            _replace_quarantined(connection, work, delivery)
        elif table.name != RESULTS_TABLE:
            whole.append(table.name.partition(".")[2])
    connection.execute("commit")
    connection.execute("drop table replaced")
    connection.execute("detach changes")
    connection.execute("checkpoint")
    return whole


def _replace_quarantined(
    connection: duckdb.DuckDBPyConnection, work: Path, delivery: Delivery
) -> None:
    """Leave out of the quarantine what the changes supersede, and add what they brought."""
    earlier = ledger.state(ledger.deliveries(work), delivery.seq)[:-1]
    held = connection.execute(f"select distinct table_name from {QUARANTINE}").fetchall()
    for (name,) in held:
        by_patient = read_contract().tables[name].patient_column
        rows = [ledger.raw_folder(work, d.seq) / f"{name}.parquet" for d in earlier]
        superseded = "patient_key in (from replaced)" if by_patient else "true"
        connection.execute(
            f"delete from {QUARANTINE} where table_name = ? and src_rid in "
            f"(select src_rid from read_parquet(?) where {superseded})",
            [name, [str(path) for path in rows]],
        )
    connection.execute(f"insert into {QUARANTINE} by name from changes.{QUARANTINE}")


def _tables(connection: duckdb.DuckDBPyConnection) -> list[_Table]:
    found = connection.execute(
        """
        select schema_name || '.' || table_name, list(column_name)
        from duckdb_columns()
        inner join duckdb_tables() using (database_name, schema_name, table_name)
        where database_name = current_database() and list_contains(?, schema_name)
        group by all
        order by all
        """,
        [list(DERIVED_SCHEMAS)],
    ).fetchall()
    return [_Table(name, frozenset(columns)) for name, columns in found]


def _made_of(layout: Layout, seq: int | None) -> Row:
    file = layout.warehouse.stat()
    return {
        "seq": seq,
        "warehouse": [file.st_size, file.st_mtime_ns],
        "code": manifest.code()["tree_sha256"],
        "config": {key: manifest.configuration(Path())[key] for key in ("seeds", "rules")},
    }
