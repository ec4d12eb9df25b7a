"""One patient's history in which nothing is wrong: a warehouse in miniature, every check passing.

Tables and columns are those that the models promise (their YAML contracts), so that a check that
names a column no model has fails here. Rows are made from the extract contract, then completed by
hand where a check needs a story.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import yaml

from pipeline.contract import PROJECT, Column, Table, read_contract

PATIENT = "p1"
STUDY = {"study_id": "her2_mcrc"}
RULES = {"line_rule_set_id": "primary", "endpoint_rule_set_id": "primary"}

Row = dict[str, Any]

# Takes statements; returns the path of a copy of the case on which they were executed.
Spoil = Callable[..., Path]

SEEDS = ("code_lists/biomarker_panels", "studies/studies")

BY_HAND = {
    "staging.stg_common__vital_status": [
        {
            "record_id": "v1",
            "status": "alive",
            "death_date": None,
            "last_contact_date": "2020-05-01",
            "recorded_date": "2020-05-01",
        },
        {
            "record_id": "v2",
            "status": "dead",
            "death_date": "2020-06-01",
            "last_contact_date": "2020-05-30",
            "recorded_date": "2020-06-02",
        },
    ],
    "staging.stg_common__pathology": [
        {
            "her2_ihc_score": "2+",
            "her2_ish_ratio": 2.5,
            "her2_copy_number": 5.0,
            "cep17_copy_number": 2.0,
        },
    ],
    "staging.stg_common__molecular_tests": [
        {"test_id": "m1", "gene": "KRAS", "region": "exon 2", "result": "wild_type"},
        {"test_id": "m2", "gene": "BRAF", "region": "V600E", "result": "wild_type"},
    ],
    "staging.stg_common__tumour_assessments": [
        {"target_response": "PR", "new_lesion": "no", "overall_response": "PR"},
    ],
    "staging.stg_common__lesion_measurements": [
        {"measurement_id": "l1", "longest_diameter_mm": 30.0, "lesion_status": "measured"},
        {
            "measurement_id": "l2",
            "longest_diameter_mm": 20.0,
            "lesion_status": "measured",
            "measured_date": "2019-05-01",
        },
    ],
    "staging.stg_common__adverse_events": [
        {"event_id": "e1", "term": "Nausea", "ctcae_version": "5.0", "grade": "2"},
        {"event_id": "e2", "term": "Sepsis", "ctcae_version": "5.0", "grade": "5"},
    ],
    "intermediate.int_drug_exposures": [
        {"patient_key": PATIENT, "ingredient": "cetuximab", "start_date": "2019-04-01"},
    ],
    "cohort.biomarkers": [{**STUDY, "biomarker": "BRAF", "status": "wild_type"}],
    "cohort.cohort": [{**STUDY, "included": True, "index_date": "2019-03-01"}],
    "cohort.cohort_attrition": [
        {**STUDY, "step": 1, "n_in": 3, "n_not_met": 1, "n_unknown": 0, "n_out": 2},
        {**STUDY, "step": 2, "n_in": 2, "n_not_met": 0, "n_unknown": 1, "n_out": 1},
    ],
    "cohort.patient_characteristics": [STUDY],
    "treatment.lines_of_therapy": [
        {**STUDY, "rule_set_id": "primary", "line_number": 1, "start_date": "2019-04-01"},
        {**STUDY, "rule_set_id": "primary", "line_number": 2, "start_date": "2019-09-01"},
    ],
    "survival.survival_intervals": [
        {
            **STUDY,
            **RULES,
            "endpoint": endpoint,
            "line_number": 1,
            "event": event,
            "censor_reason": None if event else "last tumour assessment",
            "start_date": "2019-04-01",
            "end_date": end_date,
            "time_days": time_days,
        }
        for endpoint, event, end_date, time_days in (
            ("OS", True, "2020-06-01", 427),
            ("PFS", False, "2020-03-01", 335),
        )
    ],
    "survival.response_by_line": [
        {
            **STUDY,
            "line_rule_set_id": "primary",
            "line_number": 1,
            "response_date": "2019-06-01",
            "n_assessments": 1,
        },
    ],
    "safety.adverse_events": [{**STUDY, "event_id": "e1", "onset_date": "2019-05-01"}],
    "safety.adverse_events_by_patient": [STUDY],
}

DATES = {"event_time": "2019-03-01", "available_time": "2019-03-02", None: "2019-03-03"}


def tables() -> dict[str, dict[str, str]]:
    """Return the columns and types of every table of the case, by schema.table."""
    found = {
        "intermediate.int_drug_exposures": {
            "patient_key": "varchar",
            "ingredient": "varchar",
            "start_date": "date",
        }
    }
    for path in sorted((PROJECT / "models").rglob("*.yml")):
        schema = "staging" if path.parent.name == "common" else path.parent.name
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", []):
            columns = {
                c["name"]: c["data_type"] for c in model.get("columns", []) if "data_type" in c
            }
            if columns:
                found[f"{schema}.{model['name']}"] = columns
    for name in read_contract().tables:
        found[f"raw.{name}"] = {"src_rid": "bigint", "duplicate_of": "bigint"}
    return found


def clean_rows() -> dict[str, list[Row]]:
    """Return the rows of the case, by schema.table."""
    rows: dict[str, list[Row]] = {}
    delivered = []
    for table in read_contract().tables.values():
        name = f"staging.stg_common__{table.name}"
        promised = {column.name: _value(column) for column in table.columns}
        stories = BY_HAND.get(name, [{}])
        rows[name] = [
            _staged(table, {**promised, **story}, number)
            for number, story in enumerate(stories, start=1)
        ]
        raw = [{"src_rid": row["src_rid"]} for row in rows[name]]
        rows[f"raw.{table.name}"] = raw
        delivered.append(
            {"file_id": table.file_id, "table_name": table.name, "n_records": len(raw)}
        )
    rows["quality.source_files"] = delivered
    for name, stories in BY_HAND.items():
        if name not in rows:
            rows[name] = [{"patient_key": PATIENT, "src_rids": [1 << 32 | 1], **s} for s in stories]
    return rows


def create(path: Path, rows: Mapping[str, list[Row]] | None = None) -> None:
    """Write the case, or other rows of its tables, to a new DuckDB file."""
    rows = clean_rows() if rows is None else rows
    with duckdb.connect() as connection:
        connection.execute(f"attach '{path}' as warehouse (block_size 16384)")
        connection.execute("use warehouse")
        for name, columns in tables().items():
            connection.execute(f"create schema if not exists {name.partition('.')[0]}")
            definitions = ", ".join(f"{column} {kind}" for column, kind in columns.items())
            connection.execute(f"create table {name} ({definitions})")
            for row in rows.get(name, []):
                insert(connection, name, {k: v for k, v in row.items() if k in columns})
        connection.execute("create schema if not exists reference")
        for seed in SEEDS:
            source = PROJECT / "seeds" / f"{seed}.csv"
            connection.execute(
                f"create table reference.{source.stem} as from read_csv('{source}') "
                f"limit {'0' if not rows else '1000'}"
            )


def insert(connection: duckdb.DuckDBPyConnection, table: str, row: Row) -> None:
    connection.execute(
        f"insert into {table} ({', '.join(row)}) values ({', '.join('?' * len(row))})",
        list(row.values()),
    )


def _staged(table: Table, delivered: Row, number: int) -> Row:
    row: Row = {"src_rid": table.file_id << 32 | number}
    for column in table.columns:
        value = delivered[column.name]
        if column.role == "patient":
            row["patient_key"] = PATIENT
        elif column.kind == "partial_date":
            row[f"{column.name}_earliest"] = row[f"{column.name}_latest"] = value
            row[f"{column.name}_precision"] = value and "day"
        else:
            row[column.name] = value
    return row


def _value(column: Column) -> Any:
    if column.codes:
        return str(next(iter(column.codes)))
    if column.name == "birth_date":
        return "1960-01-01"
    if column.name == "extract_date":
        return "2021-02-01"
    if column.kind in ("date", "partial_date"):
        return DATES.get(column.role, DATES[None])
    if column.kind in ("number", "integer"):
        return column.minimum if column.minimum is not None else 1
    return column.name  # identifiers and what refers to them are then alike
