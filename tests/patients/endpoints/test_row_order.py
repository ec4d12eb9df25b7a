"""What the marts say of a patient does not depend on the order or the repetition of the rows."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tests.patients.endpoints.cases import Case
from tests.patients.endpoints.delivery import Patient
from tests.patients.endpoints.row_order import (
    LAST_SCANS,
    SECOND_SCANS,
    followed,
    in_every_order,
    missed_visits,
    shuffled,
)
from tests.patients.endpoints.warehouse import Seeds, Warehouse

MARTS = ("best_overall_responses", "recist_assessments", "refused_intervals", "survival_intervals")
RECORDS = {"src_rids", "assessment_src_rid"}


def said_of(warehouse: Warehouse, patient: str) -> list[str]:
    """A patient's rows of all marts; for the delivered records behind each, file and dates."""
    found = []
    for mart in MARTS:
        for row in warehouse.rows(mart, patient):
            rids = row["src_rids"] or []
            evidence = sorted({warehouse.delivered[rid] for rid in rids})
            values = {k: v for k, v in row.items() if k not in RECORDS | {"patient_key"}}
            found.append(f"{mart} {values} {len(rids)} {evidence}")
    return sorted(found)


def test_shuffled_and_repeated_rows_say_the_same(warehouse: Warehouse, case: Case) -> None:
    for patient in case.patients:
        plain = said_of(warehouse, patient.number)
        assert plain
        assert said_of(warehouse, shuffled(patient).number) == plain


@pytest.mark.parametrize("patient", [missed_visits(), followed()], ids=lambda p: p.number)
def test_so_do_the_rows_of_one_day_in_any_order(warehouse: Warehouse, patient: Patient) -> None:
    first, *others = (said_of(warehouse, p.number) for p in in_every_order(patient))
    assert first
    assert all(other == first for other in others)


@pytest.mark.parametrize(
    ("patient", "rule_set", "day"),
    [(missed_visits(), "fda", SECOND_SCANS), (followed(), "real_world", LAST_SCANS)],
    ids=["last seen before missed visits", "end of follow-up"],
)
def test_of_the_scans_of_one_day_the_first_delivered_stands(
    warehouse: Warehouse, patient: Patient, rule_set: str, day: int
) -> None:
    study = Seeds().study(None)
    for copy in in_every_order(patient):
        (interval,) = warehouse.rows(
            "survival_intervals",
            copy.number,
            study_id=study,
            endpoint_rule_set_id=rule_set,
            endpoint="PFS",
        )
        ended = date(2020, 1, 1) + timedelta(days=day)
        scans = [
            row["assessment_src_rid"]
            for row in warehouse.rows("recist_assessments", copy.number, study_id=study)
            if row["assessment_date"] == ended and row["recorded_response"] != "NE"
        ]
        assert (interval["end_date"], interval["event"], len(scans)) == (ended, False, 2)
        assert set(interval["src_rids"]) & set(scans) == {min(scans)}
