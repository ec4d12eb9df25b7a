"""Patient timelines through the dbt models: the lines expected, and properties of any timeline."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from tests.patients.comparison import detail_differences, line_differences
from tests.patients.conftest import Cases
from tests.patients.timelines import VARIANTS, Expectation, Timeline
from tests.patients.warehouse import Warehouse
from tests.processes import PROJECT

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


def test_every_shipped_alternate_has_a_rule_set(cases: Cases) -> None:
    if not cases.histories:
        pytest.skip("another file of cases is run")
    stated = {(t.case_id, e.name) for t in cases.timelines for e in t.expectations}
    compared = {(t.case_id, e.name) for t, e, _ in cases.expectations}
    assert compared == stated


OTHER_VARIANTS = [variant for variant in VARIANTS if variant != "plain"]


def lines_of(warehouse: Warehouse, timeline: Timeline, variant: str) -> list[dict[str, Any]]:
    """The lines under every rule set, without what moves with the calendar."""
    found = warehouse.rows(
        "select * exclude (src_rids) from treatment.lines_of_therapy "
        "where patient_key = ? order by rule_set_id, line_number",
        warehouse.patient(timeline, variant),
    )
    return [{k: v for k, v in line.items() if k not in MOVED} for line in found]


@pytest.mark.parametrize("variant", OTHER_VARIANTS)
def test_row_order_repetition_and_calendar_do_not_matter(
    warehouse: Warehouse, timeline: Timeline, variant: str
) -> None:
    assert lines_of(warehouse, timeline, variant) == lines_of(warehouse, timeline, "plain")


def test_nor_do_they_in_random_histories(warehouse: Warehouse, cases: Cases) -> None:
    found = 0
    for history in cases.histories:
        plain = lines_of(warehouse, history, "plain")
        for variant in OTHER_VARIANTS:
            assert lines_of(warehouse, history, variant) == plain, history
        found += len(plain)
    assert found > len(cases.histories)


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
        "from intermediate.int_drug_exposures where is_anticancer"
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
    patients = (len(cases.timelines) + len(cases.histories)) * len(VARIANTS)
    assert patients == len({r["patient_key"] for r in assigned})


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


def test_treatment_with_a_new_drug_is_not_called_unchanged(warehouse: Warehouse) -> None:
    unchanged = warehouse.rows(
        """
        select kept.*, components.joined_by
        from treatment.line_rejected_alternatives as kept
        join treatment.line_components as components
            using (study_id, rule_set_id, patient_key, line_number, days_from_line_start)
        where kept.kept_by = 'PROGRESSION_WITHOUT_CHANGE'
        """
    )
    new = {"SUPPLEMENTS_MONOTHERAPY", "REPLACES_NOT_TOLERATED", "ADDED_WITHIN_CLASS_LIMIT"}
    assert not [row for row in unchanged if row["joined_by"] in new]


def test_stability_counts_patients_whose_answer_differs(warehouse: Warehouse) -> None:
    targeted = warehouse.rows(
        "select rule_set_id, patient_key, line_number, drug_class from treatment.line_components "
        "where modality in ('targeted', 'immunotherapy')"
    )
    lines = warehouse.rows("select * from treatment.lines_of_therapy")
    answers: dict[tuple[str, str], dict[str, Any]] = {}
    for line in lines:
        key = (line["rule_set_id"], line["patient_key"])
        answer = answers.setdefault(key, {"number_of_lines": 0, "first_line_group": set()})
        answer["number_of_lines"] = max(answer["number_of_lines"], line["line_number"])
        if line["line_number"] == 1:
            answer["first_line_components"] = line["regimen_components"]
    for row in targeted:
        answer = answers[row["rule_set_id"], row["patient_key"]]
        measure = f"first_line_with_{row['drug_class']}"
        answer[measure] = min(answer.get(measure, row["line_number"]), row["line_number"])
        if row["line_number"] == 1:
            answer["first_line_group"].add(row["drug_class"])
    stated = warehouse.rows("select * from treatment.line_rule_set_stability")
    patients = {patient for _, patient in answers}
    for row in stated:
        pairs = [
            tuple(
                answers.get((rule_set, patient), {}).get(row["measure"])
                for rule_set in ("primary", row["rule_set_id"])
            )
            for patient in patients
        ]
        known = [pair for pair in pairs if pair != (None, None)]
        changed = sum(own != other for own, other in known)
        assert (row["n_patients"], row["n_changed"]) == (len(known), changed), row
    assert {row["measure"] for row in stated} >= {"number_of_lines", "first_line_group"}
    assert any(row["n_changed"] for row in stated)


def test_the_engine_knows_no_tumour() -> None:
    tumour = re.compile(r"colo|rectum|rectal|crc|gastric|stomach|breast|her2", re.IGNORECASE)
    folders = [PROJECT / "models" / layer / "treatment" for layer in ("intermediate", "marts")]
    models = [path for folder in folders for path in folder.glob("*.sql")]
    assert len(models) > 10
    for path in models:
        code = [line.split("--")[0] for line in path.read_text(encoding="utf-8").splitlines()]
        assert not tumour.search("\n".join(code)), path.name
