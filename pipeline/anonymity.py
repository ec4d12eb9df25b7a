"""How many patients of a study share what an outsider may know of them: k-anonymity.

Known are age in ten-year bands, sex, the year of the index date and the first regimen; the site is
that of the delivery. Members of a study are counted among themselves, all others among the others.
Where fewer than LEAST_SHARED patients share them, the published file withholds the age and the year
of those patients (local suppression), in every study, unless they are invented.
"""

from __future__ import annotations

from typing import Any

import duckdb

from expectations.small_cells import SMALL_CELL
from expectations.tables import exist, rows

LEAST_SHARED = SMALL_CELL
BAND_YEARS = 10
FEW = "few_share"
"""Temporary table of the patients whose age and year are withheld."""

READS = (
    "cohort.cohort",
    "cohort.patient_characteristics",
    "treatment.lines_of_therapy",
    "reference.studies",
)
_IS_AGE = """(study_id, variable) in (
    select (study_id, variable) from reference.study_variables
    where rule = 'characteristic' and argument = 'age_at_index'
)"""
WITHHELD = {
    ("cohort", "cohort", "index_year"): "true",
    ("cohort", "patient_characteristics", "age_at_index"): "true",
    ("cohort", "patient_variables", "value"): _IS_AGE,
    ("cohort", "patient_variables", "level"): _IS_AGE,
    ("cohort", "patient_variables", "level_order"): _IS_AGE,
}
"""Published columns that tell age or year, and in which of their rows."""

_CLASSES = f"""
select
    cohort.study_id,
    cohort.patient_key,
    cohort.included,
    count(*) over (
        partition by
            cohort.study_id,
            cohort.included,
            cohort.index_year,
            sex,
            regimen,
            age_at_index // {BAND_YEARS}
    ) as n_shared
from cohort.cohort as cohort
inner join reference.studies as studies on cohort.study_id = studies.study_id
left join cohort.patient_characteristics as characteristics
    on
        cohort.study_id = characteristics.study_id
        and cohort.patient_key = characteristics.patient_key
left join treatment.lines_of_therapy as lines
    on
        cohort.study_id = lines.study_id
        and cohort.patient_key = lines.patient_key
        and studies.line_rule_set_id = lines.rule_set_id
        and lines.line_number = 1
"""


def find_few(connection: duckdb.DuckDBPyConnection, *, synthetic: bool) -> None:
    """Make the temporary table FEW from an open build; empty if its patients are invented."""
    connection.execute(
        f"create or replace temp table {FEW} as select distinct patient_key "
        f"from ({_CLASSES}) "
        f"where n_shared < {LEAST_SHARED} and {not synthetic}"
    )


def published(schema: str, table: str, column: str) -> str:
    """Return SQL for what is published of a column, given the table FEW."""
    rows_that_tell = WITHHELD.get((schema, table, column))
    if rows_that_tell is None:
        return f'"{column}"'
    return (
        f"case when not ({rows_that_tell} and patient_key in "
        f'(select patient_key from {FEW})) then "{column}" end'
    )


def report(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return, for each study of an open warehouse, k and how many members fewer than k share."""
    if not exist(connection, *READS):
        return []
    return rows(
        connection,
        f"select study_id, count(*) as n_patients, min(n_shared) as k, "
        f"count(*) filter (n_shared < {LEAST_SHARED}) as n_below, {LEAST_SHARED} as wanted "
        f"from ({_CLASSES}) where included group by study_id order by study_id",
    )
