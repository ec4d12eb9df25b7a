"""`rwe diff RUN_A RUN_B`: what changed between two runs, and why.

Inputs, code and configuration are compared by the hashes of the manifests; patients and numbers by
the published warehouses; raw rows by key and hash in the work folder. Which rows and which patients
changed is private.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from analysis.study import FIRST_LINE
from expectations.tables import rows
from pipeline import ledger, manifest, resources
from pipeline.contract import Table, read_contract
from pipeline.delivery import patients_of, raw_views
from pipeline.errors import CommandError
from pipeline.manifest import Record
from pipeline.paths import Layout
from pipeline.reader import quoted

Row = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """One part that differs; `before` or `after` is None where there is none."""

    what: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Moved:
    """One patient whose place in a study changed."""

    study_id: str
    patient_key: str
    what: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class RowChanges:
    """Raw rows of one table that changed; private.

    Corrected: the same row key, another hash. Tables without a row key have no corrections.
    """

    table: str
    added: list[int]
    withdrawn: list[int]
    corrected: list[tuple[int, int]]


@dataclass(frozen=True)
class Difference:
    """Everything that differs between two runs."""

    before: str
    after: str
    data: list[Change]
    code: list[Change]
    configuration: list[Change]
    environment: list[Change]
    relations: list[Change]
    checks: list[Change]
    numbers: list[Change]
    moved: list[Moved]
    rows: list[RowChanges] | None
    """None where the raw rows of a run are no longer in the work folder."""

    @property
    def cause(self) -> str:
        """Which of data, code and configuration the moved numbers come from, as far as is known."""
        causes = [
            name
            for name, changes in (
                ("data", self.data),
                ("code", [*self.code, *self.environment]),
                ("configuration", self.configuration),
            )
            if changes
        ]
        if not causes:
            return (
                "Nothing changed: data, code and configuration are the same."
                if not self.numbers
                else "Numbers moved though data, code and configuration are the same."
            )
        if len(causes) == 1:
            only = f"Only the {causes[0]} changed"
            if not self.numbers:
                return f"{only}; no number moved."
            return f"{only}: every number that moved did so because of it."
        listed = f"{', '.join(causes[:-1])} and {causes[-1]}"
        changed = f"{listed[:1].upper()}{listed[1:]} changed together"
        if not self.numbers:
            return f"{changed}; no number moved."
        return (
            f"{changed}: which number moved because of "
            "which cannot be told from these two runs. Build with one of them changed to tell."
        )


def compare(layout: Layout, before: str, after: str) -> Difference:
    """Compare two published runs."""
    folder = layout.published / after
    return compare_with(layout, before, folder, manifest.read(folder))


def compare_with(layout: Layout, before: str, folder: Path, new: Record) -> Difference:
    """Compare a published run with one that is in a folder and may not be published yet.

    Raises CommandError if one of them was withdrawn or cannot be read.
    """
    for place in (layout.published / before, folder):
        manifest.require_standing(place)
    old = manifest.read(layout.published / before)
    after = str(new["run_id"])
    with resources.in_memory(layout.work) as connection:
        for name, place in (("old", layout.published / before), ("new", folder)):
            path = place / "warehouse.duckdb"
            try:
                connection.execute(f"attach '{quoted(path)}' as {name} (read_only)")
            except duckdb.Error:
                raise CommandError(
                    f"{path} cannot be read: it is missing or damaged. Restore the folder of run "
                    f"{place.name} from its copy"
                ) from None
        moved = list(_moved(connection))
    return Difference(
        before=before,
        after=after,
        data=_inputs(old, new),
        code=_changes(_flat(old["code"], ("tree_sha256", "lock_sha256")),
                      _flat(new["code"], ("tree_sha256", "lock_sha256"))),
        configuration=_changes(
            {**old["config"]["seeds"], **old["config"]["rules"]},
            {**new["config"]["seeds"], **new["config"]["rules"]},
        ),
        environment=_changes(old["environment"], new["environment"]),
        relations=_changes(*({r["name"]: (r["rows"], r["logical_sha256"]) for r in m["relations"]}
                             for m in (old, new))),
        checks=_changes(old["checks"], new["checks"]),
        numbers=numbers_moved(old, new),
        moved=moved,
        rows=_raw_rows(layout, old, new),
    )  # fmt: skip


def numbers_moved(old: Record, new: Record) -> list[Change]:
    """Return the numbers that differ between two manifests, as they are printed."""
    values = [{n["id"]: (n["value"], n["display"]) for n in m["numbers"]} for m in (old, new)]
    return [
        Change(change.what, change.before and change.before[1], change.after and change.after[1])
        for change in _changes(*values)
    ]


def _inputs(old: Record, new: Record) -> list[Change]:
    """Files whose content differs, with their records before and after."""
    held = [
        {
            file["table_name"]: (file["sha256"], file["n_records"])
            for file in m["inputs"]
            if file["sha256"]
        }
        for m in (old, new)
    ]
    return [
        Change(change.what, change.before and change.before[1], change.after and change.after[1])
        for change in _changes(*held)
    ]


def _flat(record: Record, names: Iterable[str]) -> Record:
    return {name: record[name] for name in names}


def _changes(before: Record, after: Record) -> list[Change]:
    return [
        Change(name, before.get(name), after.get(name))
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]


COMPARED = (
    ("cohort.cohort", "'cohort'", "case when included then 'included' else "
     "'excluded: ' || first_failed_criterion || ' ' || first_failed_because end", "true"),
    ("cohort.patient_variables", "variable", "coalesce(level, 'unknown')", "true"),
    ("survival.survival_intervals",
     f"endpoint || case when line_number <> {FIRST_LINE} then ' from line ' || line_number "
     "else '' end",
     "time_days || ' days, ' || "
     "case when event then 'event: ' else 'censored: ' end || coalesce(source, '')",
     f"(line_number = {FIRST_LINE} or (study_id, line_number) in (select (study_id, "
     "json_extract_string(parameters, 'line_number')::int) "
     "from (from old.results.estimates union all from new.results.estimates))) "
     "and (study_id, line_rule_set_id, endpoint_rule_set_id) in "
     "(select (study_id, line_rule_set_id, endpoint_rule_set_id) from {run}.reference.studies)"),
)  # fmt: skip
"""Of each mart: what is compared, its value as text, and the rows that the study itself uses."""


def _moved(connection: duckdb.DuckDBPyConnection) -> Iterable[Moved]:
    """Patients who entered or left, or whose level, time or event changed.

    Levels and intervals are compared for those included in either run.
    """
    for mart, what, value, where in COMPARED:
        sides = [
            f"(select study_id, patient_key, {what} as what, {value} as said "
            f"from {run}.{mart} as held where {where.format(run=run)})"
            for run in ("old", "new")
        ]
        for row in rows(
            connection,
            f"""
            select study_id, patient_key, what, before.said as before, after.said as after
            from {sides[0]} as before
            full join {sides[1]} as after using (study_id, patient_key, what)
            where
                before.said is distinct from after.said
                and (
                    what = 'cohort'
                    or exists (
                        select 1
                        from (
                            select study_id, patient_key from old.cohort.cohort where included
                            union all
                            select study_id, patient_key from new.cohort.cohort where included
                        ) as members
                        where
                            members.study_id in (before.study_id, after.study_id)
                            and members.patient_key in (before.patient_key, after.patient_key)
                    )
                )
            order by all
            """,
        ):
            yield Moved(**row)


def _raw_rows(layout: Layout, old: Record, new: Record) -> list[RowChanges] | None:
    """Compare the raw rows that stood in each run, by table."""
    work = layout.work
    known = {delivery.seq: delivery for delivery in ledger.deliveries(work)}
    standing = [max(file["delivery_seq"] for file in m["inputs"]) for m in (old, new)]
    if standing[0] == standing[1]:
        return []
    if not all(seq in known for seq in standing):
        return None
    before, after = (ledger.state([*known.values()], seq) for seq in standing)
    # What came on top of what stood replaces the rows of its patients and no others.
    added = after[len(before) :] if after[: len(before)] == before else []
    with resources.in_memory(layout.work) as connection:
        try:
            for name, deliveries in (("old", before), ("new", added or after)):
                connection.execute(f"attach ':memory:' as {name}")
                connection.execute(f"use {name}")
                for statement in raw_views(work, deliveries):
                    connection.execute(statement)
            for delivery in added:
                patients = quoted(patients_of(work, delivery))
                connection.execute(
                    "create table if not exists old.replaced (patient_key varchar);"
                    f"insert into old.replaced select patient_key from read_parquet('{patients}')"
                )
        except duckdb.Error:
            return None
        tables = read_contract().tables.values()
        found = [_table(connection, table, on_top=bool(added)) for table in tables]
    return [one for one in found if one.added or one.withdrawn or one.corrected]


def _table(connection: duckdb.DuckDBPyConnection, table: Table, *, on_top: bool) -> RowChanges:
    """Rows by key where the table has one; else by hash, each repetition counted."""
    key = f'"{table.row_key}"' if table.row_key else (
        "patient_key" if table.name == "patients" else None
    )  # fmt: skip
    name = key or "coalesce(row_hash, 'unread')"
    may_differ = "where patient_key in (from old.replaced)"
    sides = [
        f"(select src_rid, coalesce(row_hash, '') as row_hash, {name} as name, "
        f"row_number() over (partition by {name} order by row_hash, src_rid) as repetition "
        f"from {run}.raw.{table.name} {restricted})"
        for run, restricted in (
            ("old", may_differ if on_top and table.patient_column else ""),
            ("new", ""),
        )
    ]
    found = connection.execute(
        f"""
        select before.src_rid, after.src_rid
        from {sides[0]} as before
        full join {sides[1]} as after
            on before.name = after.name and before.repetition = after.repetition
        where before.row_hash is distinct from after.row_hash
        order by coalesce(after.src_rid, before.src_rid)
        """
    ).fetchall()
    return RowChanges(
        table.name,
        added=[new for old, new in found if old is None],
        withdrawn=[old for old, new in found if new is None],
        corrected=[(old, new) for old, new in found if old is not None and new is not None],
    )
