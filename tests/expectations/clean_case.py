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

from pipeline.contract import Column, Table, read_contract
from pipeline.paths import PROJECT

PATIENT = "p1"
STUDY = {"study_id": "her2_mcrc"}
RULES = {"line_rule_set_id": "primary", "endpoint_rule_set_id": "primary"}

Row = dict[str, Any]

# Takes statements; returns the path of a copy of the case on which they were executed.
Spoil = Callable[..., Path]

SEEDS = (
    "code_lists/biomarker_panels",
    "code_lists/her2_definitions",
    "studies/endpoint_sources",
    "studies/studies",
    "studies/study_analyses",
    "therapy/ingredients",
)


def rid(table: str, record: int) -> int:
    """The number of a raw row."""
    return read_contract().tables[table].file_id << 32 | record


BY_HAND = {
    "staging.stg_common__diagnoses": [
        {"icdo3_topography": "C18.7", "icdo3_morphology": "8140/3", "stage": "IV"},
    ],
    "staging.stg_common__comorbidities": [{"icd10": "I25.1"}],
    "staging.stg_common__procedures": [{"procedure_code": "45.76"}],
    "staging.stg_common__drug_administrations": [
        {"record_type": "administration", "dose": 100.0, "dose_unit": "mg"},
    ],
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
            "source": "hospital",
            "recorded_date": "2020-06-02",
        },
        {
            "record_id": "v3",
            "status": "dead",
            "death_date": "2020-06-02",
            "last_contact_date": "2020-05-30",
            "source": "registry",
            "recorded_date": "2020-07-02",
        },
    ],
    "staging.stg_common__pathology": [
        {
            "her2_ihc_pct": 40.0,
            "her2_ihc_score": "2+",
            "her2_ish_ratio": 2.5,
            "her2_copy_number": 5.0,
            "cep17_copy_number": 2.0,
        },
        {
            "report_id": "r2",
            "accession_no": "s2",
            "specimen_type": "resection",
            "her2_ihc_score": "3+",
            "her2_ihc_pct": 80.0,
            "her2_ish_ratio": None,
        },
    ],
    "staging.stg_common__molecular_tests": [
        *(
            {
                "test_id": f"m{number}",
                "gene": gene,
                "region": region,
                "variant": None,
                "result": "wild_type",
            }
            for number, (gene, region) in enumerate((("KRAS", "exon 2"), ("BRAF", "V600E")), 1)
        ),
        {
            "test_id": "m3",
            "accession_no": "s2",
            "gene": "KRAS",
            "region": "exon 2",
            "variant": "p.G12C",
            "result": "mutated",
        },
    ],
    "staging.stg_common__tumour_assessments": [
        {
            "timepoint": "baseline",
            "target_response": None,
            "non_target_response": None,
            "new_lesion": None,
            "overall_response": None,
        },
        {
            "assessment_id": "t2",
            "assessment_date": "2019-06-01",
            "reported_date": "2019-06-02",
            "timepoint": "follow_up",
            "target_response": "PR",
            "new_lesion": "no",
            "overall_response": "PR",
        },
        {
            "assessment_id": "t3",
            "assessment_date": "2019-08-01",
            "reported_date": "2019-08-02",
            "timepoint": "follow_up",
            "target_response": "PD",
            "new_lesion": "no",
            "overall_response": "PD",
        },
    ],
    "staging.stg_common__lesion_measurements": [
        {
            "measurement_id": "l1",
            "is_lymph_node": "no",
            "longest_diameter_mm": 30.0,
            "lesion_status": "measured",
        },
        {
            "measurement_id": "l2",
            "assessment_id": "t2",
            "is_lymph_node": "no",
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
        {
            "patient_key": PATIENT,
            "ingredient": ingredient,
            "is_anticancer": True,
            "start_date": "2019-04-01",
        }
        for ingredient in ("cetuximab", "sotorasib", "trastuzumab")
    ],
    "intermediate.int_lesions": [
        {
            "assessment_id": "assessment_id",
            "lesion_role": "target",
            "is_measurable": True,
        }
    ],
    "intermediate.int_primary_diagnosis": [STUDY],
    "intermediate.int_vital_status": [{"status": "dead", "last_contact_date": "2020-06-01"}],
    "cohort.biomarkers": [
        {**STUDY, "biomarker": biomarker, "status": status, "known_date": "2019-03-02"}
        for biomarker, status in (("BRAF", "wild_type"), ("HER2", "positive"))
    ],
    "cohort.cohort": [
        {
            **STUDY,
            "included": True,
            "index_date": "2019-03-01",
            "eligibility_known_date": "2019-05-01",
        }
    ],
    "cohort.cohort_attrition": [
        {**STUDY, "step": step, "n_in": 1, "n_not_met": 0, "n_unknown": 0, "n_out": 1}
        for step in (1, 2)
    ],
    "cohort.patient_characteristics": [{**STUDY, "age_at_index": 59}],
    "treatment.lines_of_therapy": [
        {
            **STUDY,
            "rule_set_id": "primary",
            "line_number": number,
            "start_date": f"2019-{month}-01",
            "coverage_end_date": f"2019-{month}-14",
        }
        for number, month in ((1, "04"), (2, "09"))
    ],
    "treatment.exposure_assignments": [
        {
            **STUDY,
            "line_number": number,
            "start_date": f"2019-{month}-01",
            "src_rids": [rid("drug_administrations", 1)],
        }
        for number, month in ((1, "04"), (2, "09"))
    ],
    "survival.survival_intervals": [
        {
            **STUDY,
            **RULES,
            "endpoint": endpoint,
            "line_number": 1,
            "event": event,
            "source": source,
            "censor_reason": None if event else "last contact",
            "observation_ended_by": "data cut-off",
            "start_date": "2019-04-01",
            "end_date": end_date,
            "time_days": time_days,
            "time_months": time_days / 30.4375,
            "entry_days": 30,
            "src_rids": [rid("tumour_assessments", 3)],
        }
        for endpoint, event, source, end_date, time_days in (
            ("OS", True, "death", "2020-06-01", 427),
            ("PFS", True, "progression", "2019-08-01", 122),
            ("TOT", False, "last_contact", "2020-05-30", 425),
        )
    ],
    "survival.recist_assessments": [
        {
            **STUDY,
            "line_rule_set_id": "primary",
            "line_number": 1,
            "assessment_src_rid": rid("tumour_assessments", number),
            "is_baseline": response is None,
            "has_baseline": True,
            "n_target_lesions": 1,
            "n_target_lesions_measured": 1,
            "target_response": response,
            "recorded_target_response": response,
            "recorded_response": response,
            "start_date": "2019-04-01",
            "assessment_date": day,
        }
        for number, response, day in (
            (1, None, "2019-03-01"),
            (2, "PR", "2019-06-01"),
            (3, "PD", "2019-08-01"),
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
    "safety.adverse_events": [
        {
            **STUDY,
            "event_id": "e1",
            "line_number": 1,
            "onset_date": "2019-05-01",
            "days_from_line_start": 30,
        }
    ],
    "safety.adverse_events_by_patient": [STUDY],
}

LOADERS_COLUMNS = {"src_rid": "bigint", "load_fault": "varchar", "duplicate_of": "bigint"}
"""What the loader adds to the columns of the contract, as far as the checks read it."""

DATES = {"event_time": "2019-03-01", "available_time": "2019-03-02", None: "2019-03-03"}


def tables() -> dict[str, dict[str, str]]:
    """Return the columns and types of every table of the case, by schema.table."""
    found = {
        "intermediate.int_drug_exposures": {
            "patient_key": "varchar",
            "ingredient": "varchar",
            "is_anticancer": "boolean",
            "start_date": "date",
        },
        "intermediate.int_lesions": {
            "patient_key": "varchar",
            "assessment_id": "varchar",
            "lesion_role": "varchar",
            "is_measurable": "boolean",
        },
        "intermediate.int_primary_diagnosis": {"study_id": "varchar", "patient_key": "varchar"},
        "intermediate.int_vital_status": {
            "patient_key": "varchar",
            "status": "varchar",
            "death_date_precision": "varchar",
            "last_contact_date": "date",
        },
    }
    for path in sorted((PROJECT / "models").rglob("*.yml")):
        schema = "staging" if path.parent.name == "common" else path.parent.name
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", []):
            columns = {
                c["name"]: c["data_type"] for c in model.get("columns", []) if "data_type" in c
            }
            if columns:
                found[f"{schema}.{model['name']}"] = columns
    for table in read_contract().tables.values():
        found[f"raw.{table.name}"] = dict(LOADERS_COLUMNS) | {
            "patient_key" if column.role == "patient" else column.name: "varchar"
            for column in table.columns
        }
    return found


def clean_rows() -> dict[str, list[Row]]:
    """Return the rows of the case, by schema.table."""
    rows: dict[str, list[Row]] = {}
    delivered = []
    for table in read_contract().tables.values():
        name = f"staging.stg_common__{table.name}"
        promised = {column.name: _value(column) for column in table.columns}
        stories = BY_HAND.get(name, [{}])
        told = [{**promised, **story} for story in stories]
        rows[name] = [_staged(table, story, number) for number, story in enumerate(told, start=1)]
        raw = [_delivered(table, story, number) for number, story in enumerate(told, start=1)]
        rows[f"raw.{table.name}"] = raw
        delivered.append(
            {
                "file_id": table.file_id,
                "table_name": table.name,
                "n_records": len(raw),
                "n_staged": len(raw),
                **dict.fromkeys(("n_quarantined", "n_collapsed", "n_superseded", "n_erased"), 0),
                "n_before": len(raw),
            }
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


def _delivered(table: Table, story: Row, number: int) -> Row:
    row: Row = {"src_rid": rid(table.name, number)}
    for column in table.columns:
        value = story[column.name]
        if column.role == "patient":
            row["patient_key"] = PATIENT
        else:
            row[column.name] = None if value is None else str(value)
    return row


def _staged(table: Table, delivered: Row, number: int) -> Row:
    row: Row = {"src_rid": rid(table.name, number)}
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
