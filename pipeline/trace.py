"""`rwe trace NUMBER`: from a printed number to the records of the delivered files, proved.

The number names its patients (results.estimate_patients), the kind of its analysis names the marts
it was computed from, their rows name raw rows (`src_rids`), a raw row names its file and record.
That record is read once more from the archived file and hashed once more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from analysis.study import FIRST_LINE
from expectations.tables import columns, exist, rows
from pipeline import archive, ledger, manifest
from pipeline.contract import RECORD_BITS, RID_SHIFT, read_contract
from pipeline.errors import CommandError
from pipeline.paths import Layout
from pipeline.pseudonyms import key_file, key_id, load_key
from pipeline.shell import open_locked

SUGGESTIONS = 8

COHORT = ("cohort.cohort", "cohort.patient_characteristics")
LINES = ("treatment.lines_of_therapy", "treatment.line_components")
INTERVALS = ("survival.survival_intervals",)

READS = {
    "population_size": COHORT[:1],
    "quantity": COHORT,
    "follow_up": (*COHORT, *INTERVALS),
    "characteristics": COHORT,
    "characteristics_by_group": COHORT,
    "missingness": COHORT,
    "count_within": COHORT,
    "cross_count": COHORT,
    "response": (*COHORT, "survival.response_by_line"),
    "best_responses": (*COHORT, "survival.best_overall_responses"),
    "response_agreement": (*COHORT, "survival.recist_assessments"),
    "waterfall": (*COHORT, "survival.response_by_line"),
    "adverse_events": (*COHORT, "safety.adverse_events"),
    "swimmer": (*COHORT, *LINES, *INTERVALS),
    "line_transitions": (*COHORT, *LINES),
    "line_reasons": (*COHORT, *LINES),
    "line_rule_set_changes": (*COHORT, *LINES),
    "line_rule_sets": (*COHORT, *LINES, *INTERVALS),
    "later lines": (*COHORT[:1], *LINES[:1]),
}
"""Marts with raw rows that an analysis of each kind is computed from; others: READ_BY_SURVIVAL."""
READ_BY_SURVIVAL = (*COHORT, *INTERVALS)

RULES_ABOUT_LINES = ("ingredient", "line")
"""Beginnings of the rules of study variables that are computed from lines of therapy."""

FLOW, PROVENANCE = "flow", "provenance"
"""Exhibits of the report that no analysis of the study makes: they count the marts themselves."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Read:
    """Rows of one mart behind a number."""

    mart: str
    where: Row
    rows: list[Row]


@dataclass(frozen=True)
class Source:
    """One raw row behind a number: where it stands and whether the archived record agrees.

    `agrees` is None, and `because` says why, where nothing could be compared.
    """

    src_rid: int
    table: str
    file: str
    record_no: int
    line_no: int | None
    row_hash: str | None
    agrees: bool | None
    because: str
    values: Row | None = None


@dataclass(frozen=True)
class Trace:
    """Everything behind one number of one run."""

    run_id: str
    number: Row
    definition: Row
    patients: list[str]
    counted: list[str] | None
    marts: list[Read]
    sources: list[Source]

    @property
    def disagree(self) -> list[Source]:
        """Raw rows whose archived record has another hash."""
        return [source for source in self.sources if source.agrees is False]

    @property
    def unproved(self) -> list[Source]:
        """Raw rows of which nothing could be compared."""
        return [source for source in self.sources if source.agrees is None]


def trace(
    layout: Layout,
    number: str,
    *,
    run_id: str,
    patient: str | None = None,
    with_values: bool = False,
) -> Trace:
    """Follow a number of a published run to the archived files.

    Parameters
    ----------
    number
        The estimate_id, or a part of it that no other has, or the result_id of a printed number.
    patient
        Pseudonym, or its beginning: only this patient's rows.
    with_values
        Whether to give the values of the raw rows, which are private.
    """
    manifest.require_standing(layout.published / run_id)
    made_of = manifest.read(layout.published / run_id)
    warehouse = layout.published / run_id / "warehouse.duckdb"
    with open_locked(warehouse) as connection:
        found = _number(connection, number)
        definition = _definition(connection, found)
        patients, counted = _patients(connection, found)
        if patient is not None:
            patients = _only(patients, patient)
            counted = counted and [key for key in counted if key in patients]
        marts = [
            _read(connection, mart, found, definition, counted or patients)
            for mart in _marts(connection, found, definition)
        ]
    if found["exhibit"] == PROVENANCE:
        sources = _whole_file(layout, made_of, found)
    else:
        rids = sorted({rid for read in marts for row in read.rows for rid in row["src_rids"] or ()})
        sources = _sources(layout, made_of, rids, with_values=with_values)
    return Trace(run_id, found, definition, patients, counted, marts, sources)


def _number(connection: duckdb.DuckDBPyConnection, name: str) -> Row:
    query = "select * from results.estimates where "
    printed = "select estimate_id from results.published_comparison where result_id = ?"
    exact = rows(connection, query + f"estimate_id = ? or estimate_id in ({printed})", name, name)
    if len(exact) == 1:
        return exact[0]
    similar = rows(connection, query + "contains(estimate_id, ?) order by estimate_id", name)
    if len(similar) == 1:
        return similar[0]
    if not similar:
        raise CommandError(
            f"No number is called {name}. All of them: "
            "rwe sql 'select estimate_id, display from results.estimates'"
        )
    listed = "".join(f"\n  {row['estimate_id']}  {row['display']}" for row in similar[:SUGGESTIONS])
    more = len(similar) - SUGGESTIONS
    raise CommandError(
        f"{len(similar)} numbers have {name} in their name; give more of it:{listed}"
        + (f"\n  and {more} more" if more > 0 else "")
    )


def _definition(connection: duckdb.DuckDBPyConnection, number: Row) -> Row:
    """Return what the seeds say of the number: analysis, population, variables, rule sets."""
    study = rows(
        connection, "select * from reference.studies where study_id = ?", number["study_id"]
    )[0]
    analyses = rows(
        connection,
        "select * from reference.study_analyses "
        "where study_id = ? and exhibit = ? order by population <> ?, display_order",
        number["study_id"],
        number["exhibit"],
        number["population"],
    )
    parameters = json.loads(number["parameters"])
    fitting = [
        analysis
        for analysis in analyses
        if parameters.get("endpoint") in (analysis["endpoint"] or None, None)
    ] or analyses
    population = rows(
        connection,
        "select * from reference.study_populations where study_id = ? and population = ?",
        number["study_id"],
        number["population"],
    )
    analysis = fitting[0] if fitting else {}
    named = {
        analysis.get("group_variable"),
        analysis.get("detail_variable"),
        *(p["variable"] for p in population),
        number["variable"],
        number["variable"].split(" by ")[-1].split(": ")[-1],
    }
    return {
        "kind": analysis.get("kind") or number["exhibit"],
        "title": analysis.get("title"),
        "method": number["method"],
        "parameters": parameters,
        "population": population[0] if population else {"population": number["population"]},
        "variables": rows(
            connection,
            "select variable, label, rule, argument from reference.study_variables "
            "where study_id = ? and list_contains(?, variable) order by display_order",
            number["study_id"],
            [name for name in named if name],
        ),
        "line_rule_set_id": parameters.get("line_rule_set_id") or study["line_rule_set_id"],
        "endpoint_rule_set_id": parameters.get("endpoint_rule_set_id")
        or study["endpoint_rule_set_id"],
    }


def _patients(
    connection: duckdb.DuckDBPyConnection, number: Row
) -> tuple[list[str], list[str] | None]:
    """Return the patients behind a number and, of a count, those counted."""
    named = rows(
        connection,
        "select patient_set, counted_set from results.estimate_patients where estimate_id = ?",
        number["estimate_id"],
    )
    if named:
        everyone, some = named[0]["patient_set"], named[0]["counted_set"]
        return _members(connection, number, everyone), some and _members(connection, number, some)
    if number["exhibit"] == FLOW:
        return _at_step(connection, number), None
    criterion = json.loads(number["parameters"]).get("after_criterion")
    if criterion:
        return _keys(
            connection,
            "select patient_key from cohort.cohort inner join reference.study_criteria "
            "using (study_id) where study_id = ? and criterion_id = ? "
            "and (first_failed_step is null or first_failed_step > step) order by patient_key",
            number["study_id"],
            criterion,
        ), None
    return [], None


def _members(connection: duckdb.DuckDBPyConnection, number: Row, patient_set: str) -> list[str]:
    return _keys(
        connection,
        "select patient_key from results.patient_sets "
        "where study_id = ? and patient_set = ? order by patient_key",
        number["study_id"],
        patient_set,
    )


def _at_step(connection: duckdb.DuckDBPyConnection, number: Row) -> list[str]:
    """Patients of a count of the cohort flow: its level says which of the step's patients."""
    condition = {
        "assessed": "coalesce(first_failed_step >= ?, true)",
        "remaining": "coalesce(first_failed_step > ?, true)",
        "not met": "first_failed_step = ? and first_failed_because = 'not met'",
        "unknown": "first_failed_step = ? and first_failed_because = 'unknown'",
    }[number["level"]]
    return _keys(
        connection,
        f"select patient_key from cohort.cohort where {condition} and study_id = ? "
        "order by patient_key",
        json.loads(number["parameters"])["step"],
        number["study_id"],
    )


def _keys(connection: duckdb.DuckDBPyConnection, query: str, *parameters: object) -> list[str]:
    return [key for (key,) in connection.execute(query, list(parameters)).fetchall()]


def _only(patients: Sequence[str], beginning: str) -> list[str]:
    matches = [key for key in patients if key.startswith(beginning.lower())]
    if len(matches) == 1:
        return matches
    which = "No patient" if not matches else "More than one patient"
    raise CommandError(f"{which} behind this number has a key that begins with {beginning}.")


def _marts(connection: duckdb.DuckDBPyConnection, number: Row, definition: Row) -> list[str]:
    if number["exhibit"] == PROVENANCE:
        return []
    if number["exhibit"] == FLOW:
        return ["cohort.cohort_criteria"]
    about_lines = any(
        variable["rule"].startswith(RULES_ABOUT_LINES) for variable in definition["variables"]
    )
    named = [*READS.get(definition["kind"], READ_BY_SURVIVAL), *(LINES if about_lines else ())]
    if any(variable["argument"] == "ras_braf_status" for variable in definition["variables"]):
        named.append("cohort.biomarkers")
    return [mart for mart in dict.fromkeys(named) if exist(connection, mart)]


def _read(
    connection: duckdb.DuckDBPyConnection,
    mart: str,
    number: Row,
    definition: Row,
    patients: list[str],
) -> Read:
    """Rows of a mart of these patients, under the rule sets of the number."""
    has = columns(connection, mart)
    parameters = definition["parameters"]
    wanted = {
        "study_id": number["study_id"],
        "line_rule_set_id": definition["line_rule_set_id"],
        "rule_set_id": definition["line_rule_set_id"],
        "endpoint_rule_set_id": definition["endpoint_rule_set_id"],
        "endpoint": parameters.get("endpoint"),
        "step": parameters.get("step"),
    }
    if mart in INTERVALS:
        wanted["line_number"] = parameters.get("line_number", FIRST_LINE)
    where = {name: value for name, value in wanted.items() if name in has and value is not None}
    conditions = " and ".join(f"{name} = ?" for name in where)
    found = rows(
        connection,
        f"select * from {mart} where {conditions} and patient_key in (select unnest(?::varchar[])) "
        "order by patient_key",
        *where.values(),
        patients,
    )
    return Read(mart, where, found)


def _whole_file(layout: Layout, made_of: manifest.Record, number: Row) -> list[Source]:
    """Of a count of a file's records: the last one, which shows that there are as many."""
    of_table = [file for file in made_of["inputs"] if file["table_name"] == number["variable"]]
    rids = [
        (file["file_id"] << RID_SHIFT) + file["n_records"]
        for file in of_table
        if file["sha256"] and file["n_records"]
    ]
    return _sources(layout, made_of, rids, with_values=False)


def _sources(
    layout: Layout, made_of: manifest.Record, rids: Iterable[int], *, with_values: bool
) -> list[Source]:
    """Raw rows by id, each held against the record of the archived file."""
    by_file: dict[int, list[int]] = {}
    for rid in rids:
        by_file.setdefault(rid >> RID_SHIFT, []).append(rid)
    files = {file["file_id"]: file for file in made_of["inputs"]}
    without_key = _without_key(made_of)
    site_codes = {one.seq: one.site_code or "" for one in ledger.deliveries(layout.work)}
    with duckdb.connect(config={"threads": 1}) as memory:
        return [
            source
            for file_id, own in sorted(by_file.items())
            for source in _of_file(
                layout,
                files[file_id],
                own,
                site_codes,
                memory,
                without_key,
                with_values=with_values,
            )
        ]


def _without_key(made_of: manifest.Record) -> str:
    """Say why the pseudonyms of a run cannot be made once more; empty if they can."""
    was = made_of["config"]["pseudonym_key_id"]
    if not key_file().exists():
        return f"the pseudonym key {was} is missing: {key_file()}"
    now = key_id(load_key())
    return f"the pseudonym key is another one ({now}, of the run {was})" if now != was else ""


def _of_file(
    layout: Layout,
    file: manifest.Record,
    rids: list[int],
    site_codes: dict[int, str],
    memory: duckdb.DuckDBPyConnection,
    without_key: str,
    *,
    with_values: bool,
) -> list[Source]:
    table = read_contract().tables[file["table_name"]]
    raw = _raw_rows(memory, layout.work, file, rids)
    record_nos = [rid & RECORD_BITS for rid in rids]
    again: dict[int, str] = {}
    because = ""
    try:
        records = archive.reread(
            layout.work, table, file["sha256"], file["encoding"], [0, *record_nos]
        )
    except (OSError, UnicodeDecodeError):
        records, because = {}, "the archived file is missing or cannot be read"
    if file["row_hash_version"] != archive.ROW_HASH_VERSION:
        because = "the row was hashed by another version of the rule"
    elif table.patient_column and without_key:
        because = because or without_key
    elif records:
        header = records[0].fields or []
        site_code = site_codes.get(file["delivery_seq"], "")
        again = archive.row_hashes(memory, table, site_code, header, records)
    found = []
    for rid, record_no in zip(rids, record_nos, strict=True):
        stored = raw.get(rid, {})
        row_hash, record = stored.get("row_hash"), records.get(record_no)
        agrees: bool | None = None
        why = because
        if not why:
            if record is None:
                agrees, why = False, "the archived file has no such record"
            elif row_hash is None:
                why = "the raw row is not in the work folder"
            else:
                agrees = again.get(record_no) == row_hash
                why = "" if agrees else "the archived record has another hash"
        found.append(
            Source(
                src_rid=rid,
                table=table.name,
                file=file["file_name"],
                record_no=record_no,
                line_no=record.line_no if record else stored.get("line_no"),
                row_hash=row_hash,
                agrees=agrees,
                because=why,
                values=stored.get("values") if with_values else None,
            )
        )
    return found


def _raw_rows(
    memory: duckdb.DuckDBPyConnection, work: Path, file: manifest.Record, rids: list[int]
) -> dict[int, Row]:
    path = ledger.raw_folder(work, file["delivery_seq"]) / f"{file['table_name']}.parquet"
    if not path.exists():
        return {}
    found = rows(
        memory,
        "select *, lower(hex(row_hash)) as hash_text from read_parquet(?) "
        "where src_rid in (select unnest(?::bigint[]))",
        str(path),
        rids,
    )
    own = ("src_rid", "line_no", "row_hash", "hash_text", "load_fault", "duplicate_of")
    return {
        row["src_rid"]: {
            "row_hash": row["hash_text"],
            "line_no": row["line_no"],
            "values": {name: value for name, value in row.items() if name not in own},
        }
        for row in found
    }
