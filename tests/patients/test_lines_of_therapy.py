"""Patient timelines through the dbt models: the lines expected, and properties of any timeline."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from tests.patients.comparison import detail_differences, line_differences
from tests.patients.conftest import Cases
from tests.patients.timelines import VARIANTS, Expectation, Timeline
from tests.patients.warehouse import Warehouse

MOVED = {"patient_key", "start_date", "end_date", "coverage_end_date", "next_line_start_date"}


def test_lines_are_as_expected(
    warehouse: Warehouse, expected: tuple[Timeline, Expectation, str]
) -> None:
    timeline, expectation, rule_set_id = expected
    patient = warehouse.patient(timeline)
    lines = warehouse.lines(patient, rule_set_id)
    differences = line_differences(expectation, lines)
    if expectation is timeline.expectations[0]:
        components = warehouse.rows(
            "select * from treatment.line_components "
            "where patient_key = ? and rule_set_id = ? order by line_number",
            patient,
            rule_set_id,
        )
        phases = warehouse.rows(
            "select * from treatment.line_phases where patient_key = ? and rule_set_id = ? "
            "order by line_number, phase_number",
            patient,
            rule_set_id,
        )
        differences += detail_differences(timeline, lines, components, phases)
    report = "\n".join(f"  {difference}" for difference in differences)
    assert not differences, (
        f"{timeline.case_id} ({timeline.title}) under rule set {rule_set_id}:\n{report}"
    )


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v != "plain"])
def test_row_order_repetition_and_calendar_do_not_matter(
    warehouse: Warehouse, timeline: Timeline, variant: str
) -> None:
    def lines(of: str) -> list[dict[str, Any]]:
        found = warehouse.rows(
            "select * exclude (src_rids) from treatment.lines_of_therapy "
            "where patient_key = ? order by rule_set_id, line_number",
            warehouse.patient(timeline, of),
        )
        return [{k: v for k, v in line.items() if k not in MOVED} for line in found]

    assert lines(variant) == lines("plain")


def test_lines_of_a_patient_never_overlap(warehouse: Warehouse) -> None:
    lines = warehouse.rows(
        "select * from treatment.lines_of_therapy order by patient_key, rule_set_id, line_number"
    )
    for earlier, later in pairwise(lines):
        if (earlier["patient_key"], earlier["rule_set_id"]) != (
            later["patient_key"],
            later["rule_set_id"],
        ):
            continue
        assert later["line_number"] == earlier["line_number"] + 1
        assert later["start_date"] == earlier["next_line_start_date"]
        assert later["start_date"] > earlier["end_date"] >= earlier["start_date"]


def test_every_exposure_is_in_one_line_or_says_why_not(warehouse: Warehouse, cases: Cases) -> None:
    assigned = warehouse.rows(
        "select patient_key, ingredient, start_date, is_systemic, line_number, placement "
        "from treatment.exposure_assignments"
    )
    exposures = warehouse.rows(
        "select patient_key, ingredient, start_date, is_systemic "
        "from intermediate.int_drug_exposures "
        "where role in ('antineoplastic', 'investigational', 'unknown_antineoplastic')"
    )

    def keys(rows: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
        return Counter(
            (r["patient_key"], r["ingredient"], r["start_date"], r["is_systemic"]) for r in rows
        )

    assert keys(assigned) == keys(exposures)
    assert max(keys(assigned).values()) == 1
    assert all(r["placement"] for r in assigned)
    in_lines = {(r["patient_key"], r["line_number"]) for r in assigned if r["line_number"]}
    lines = warehouse.rows(
        "select patient_key, line_number from treatment.lines_of_therapy "
        "where rule_set_id = 'primary'"
    )
    assert in_lines == {(r["patient_key"], r["line_number"]) for r in lines}
    assert len(cases.timelines) * len(VARIANTS) == len({r["patient_key"] for r in assigned})


def test_raw_rows_of_a_line_are_those_of_its_exposures(warehouse: Warehouse) -> None:
    differing = warehouse.rows(
        """
        with from_exposures as (
            select patient_key, line_number, list_sort(flatten(list(src_rids))) as src_rids
            from treatment.exposure_assignments
            where line_number is not null
            group by all
        )
        select * from from_exposures
        join treatment.lines_of_therapy as lines using (patient_key, line_number)
        where lines.rule_set_id = 'primary' and lines.src_rids <> from_exposures.src_rids
        """
    )
    assert not differing
