"""Lines of therapy at scale: seconds by number of patients and of rule sets.

Patients of 40 exposures each, made by SQL; the models are built once by dbt
on a delivery without patients, and their compiled SQL is then run on these.

    python tests/benchmarks/lines.py [--patients N ...] [--rule-sets K ...]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))

from tests.patients.project import SEEDS  # noqa: E402
from tests.patients.rule_sets import RuleSeeds  # noqa: E402
from tests.patients.timelines import write_delivery  # noqa: E402
from tests.patients.warehouse import build  # noqa: E402

THREADS = 2
EXPOSURES = 40
HEADER = ["patients", "rule sets", "exposures", "lines", "CPU s", "wall s", "CPU ms a patient"]

#: Pairs of drugs of a course; every second drug is oral where it can be.
COURSES = [
    ("oxaliplatin", "capecitabine"),
    ("irinotecan", "fluorouracil"),
    ("bevacizumab", "irinotecan"),
    ("trastuzumab", "capecitabine"),
    ("cetuximab", "irinotecan"),
    ("oxaliplatin", "s-1"),
    ("tas-102", "bevacizumab"),
]

PATIENTS = """
create or replace temp table courses as
select
    patient, course,
    list_extract(
        getvariable('courses'),
        1 + cast(hash(patient, course) % len(getvariable('courses')) as int)
    ) as drugs,
    -- Some courses follow at once, some after a pause beyond the gap that a line may have.
    cast(
        course * 84 + hash(course, patient) % 14
        + 200 * (hash(patient) % 7 = 0 and course > 1)::int as int
    ) as first_day
from range(getvariable('patients')) as patients(patient), range(4) as courses(course);

create or replace temp table treatment_days as
select
    row_number() over (order by patient, course, day, drug) as src_rid,
    'P' || patient as patient_key, patient, course,
    date '2012-01-01' + cast(patient % 1000 as int) + first_day + 14 * cast(day as int)
        as start_date,
    list_extract(drugs, drug) as drug_text
from courses, range(5) as days(day), (values (1), (2)) as drugs(drug);

delete from staging.stg_common__drug_administrations;
insert into staging.stg_common__drug_administrations by name
select
    src_rid, patient_key, src_rid::text as record_id, drug_text, start_date,
    'completed' as record_status,
    case when drug_text in ('capecitabine', 's-1', 'tas-102') then 'oral' else 'intravenous' end
        as route,
    case when route = 'oral' then 'dispensing' else 'administration' end as record_type,
    case when route = 'oral' then 14 end as days_supply
from treatment_days;

create or replace table intermediate.int_study_index as
select * exclude (patient) replace (
    'P' || patient as patient_key,
    date '2012-01-01' + cast(patient % 1000 as int) as index_date,
    null::date as death_date,
    data_cutoff as last_contact_date
)
from (
    select study_index.* exclude (study_id, data_cutoff), studies.study_id, studies.data_cutoff
    from reference.studies left join intermediate.int_study_index as study_index on false
), range(getvariable('patients')) as patients(patient);

create or replace table intermediate.int_progressions as
select patient_key, min(start_date) - 3 as progression_date, min(src_rid) as src_rid
from treatment_days
where course > 0 and hash(patient_key, course) % 3 > 0
group by patient_key, course;
"""


def models(target: Path) -> dict[str, str]:
    """Compiled SQL of the treatment models by the table they make, in the order they were built."""
    nodes = json.loads((target / "manifest.json").read_text(encoding="utf-8"))["nodes"]
    results = json.loads((target / "run_results.json").read_text(encoding="utf-8"))["results"]
    return {
        result["relation_name"]: result["compiled_code"]
        for result in results
        if result["unique_id"].startswith("model.")
        and "/treatment/" in nodes[result["unique_id"]]["original_file_path"]
    }


def measure(
    connection: duckdb.DuckDBPyConnection, sql: dict[str, str], patients: int, rule_sets: int
) -> list[str]:
    """One row of the table under HEADER."""
    connection.execute(f"set variable patients = {patients}")
    connection.execute(f"set variable courses = {[list(drugs) for drugs in COURSES]}")
    connection.execute(PATIENTS)
    connection.execute(
        """
        create or replace table reference.line_rule_sets as
        select * from all_rule_sets
        where base_rule_set_id = 'primary' order by rule_set_id <> 'primary' limit ?
        """,
        [rule_sets],
    )
    cpu, wall = time.process_time(), time.perf_counter()
    for table, query in sql.items():
        connection.execute(f"create or replace table {table} as {query}")
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    exposures, lines = connection.execute(
        "select (select count(*) from staging.stg_common__drug_administrations), "
        "(select count(*) from treatment.lines_of_therapy)"
    ).fetchone() or (0, 0)
    assert exposures == patients * EXPOSURES
    return [
        f"{patients:,}", f"{rule_sets}", f"{exposures:,}", f"{lines:,}",
        f"{cpu:.1f}", f"{wall:.1f}", f"{1000 * cpu / patients:.3f}",
    ]  # fmt: skip


def main() -> None:
    """Build the models, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, nargs="+", default=[10_000, 30_000, 100_000])
    parser.add_argument("--rule-sets", type=int, nargs="+", default=[1, 4, 14])
    arguments = parser.parse_args()
    console = Console()
    table = Table(*HEADER, title=f"Lines of therapy, {EXPOSURES} exposures a patient")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_delivery([], folder / "delivery")
        build(folder, RuleSeeds(SEEDS / "therapy"), ["+marts.treatment"]).connection.close()
        sql = models(folder / "target")
        fewest = min(arguments.patients)
        sizes = [(n, 1) for n in arguments.patients]
        sizes += [(fewest, k) for k in arguments.rule_sets if k > 1]
        with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
            connection.execute(f"set threads = {THREADS}")
            connection.execute(
                "create temp table all_rule_sets as select * from reference.line_rule_sets"
            )
            for patients, rule_sets in sizes:
                table.add_row(*measure(connection, sql, patients, rule_sets))
    console.print(table)


if __name__ == "__main__":
    main()
