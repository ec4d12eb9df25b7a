"""Contradictions about scans, lesions and adverse events."""

from __future__ import annotations

from synthetic.dirty.charts import Chart, Record, shift
from synthetic.dirty.kinds import found_by


@found_by("TUM-007", "new_lesion", share=0.02, of="tumour_assessments")
def progression_without_component(chart: Chart) -> list[Record]:
    """A new lesion is seen, and the overall response is not progression."""
    stable = [
        r
        for r in chart["tumour_assessments"]
        if r.code("overall_response") in ("CR", "PR", "SD") and r.code("new_lesion") == "no"
    ]
    for record in stable:
        record["new_lesion"] = "yes"
    return stable


@found_by("TUM-008", "assessment_date", also=("VIT-004", "LES-005", "LES-006"))
def scan_after_death(chart: Chart) -> list[Record]:
    """A scan 30 days after death."""
    if not chart.death or not chart["tumour_assessments"] or chart.death > "2020-12-31":
        return []
    day = shift(chart.death, 30)
    return [chart.add(chart["tumour_assessments"][-1], assessment_date=day, reported_date=day)]


@found_by(
    "TUM-009",
    "overall_response",
    also=("LES-005", "LES-006", "TUM-006"),
    share=0.006,
    of="tumour_assessments",
)
def two_responses_in_one_day(chart: Chart) -> list[Record]:
    """A second reader disagrees about each visit."""
    stable = [
        r
        for r in chart["tumour_assessments"]
        if r.code("overall_response") == "SD" and r["target_response"] == "SD"
    ]
    return [chart.add(record, target_response="PR", overall_response="PR") for record in stable]


@found_by(
    "LES-001", "longest_diameter_mm", also=("LES-005",), share=0.002, of="lesion_measurements"
)
def nothing_left_but_not_gone(chart: Chart) -> list[Record]:
    """A lesion that is still measured measures 0 mm."""
    for record in chart["lesion_measurements"][::-1]:
        if record["longest_diameter_mm"] and record.code("lesion_status") == "measured":
            record["longest_diameter_mm"] = "0"
            return [record]
    return []


@found_by("LES-002", "longest_diameter_mm", also=("LES-005",))
def centimetres_for_millimetres(chart: Chart) -> list[Record]:
    """The last size of a lesion is a tenth of what it was."""
    measured = [r for r in chart["lesion_measurements"] if r["longest_diameter_mm"]]
    if not measured:
        return []
    last = measured[-1]
    earlier = [r for r in measured[:-1] if r["lesion_id"] == last["lesion_id"]]
    if not earlier or not 20 <= float(earlier[-1]["longest_diameter_mm"]) <= 200:
        return []
    last["longest_diameter_mm"] = f"{float(earlier[-1]['longest_diameter_mm']) / 10:g}"
    return [last]


@found_by("LES-007", "assessment_id", also=("LES-005", "LES-006"))
def lesion_of_another_patient(chart: Chart) -> list[Record]:
    """A lesion is filed under another patient's visit."""
    others = chart.delivery.tables["tumour_assessments"]
    other = next(r for r in others if r["patient_id"] != chart.patient_id)
    for record in chart["lesion_measurements"][-1:]:
        record["assessment_id"] = other.key
        return [record]
    return []


@found_by("STR-004", "assessment_id", also=("LES-005", "LES-006", "LES-007"))
def lesion_of_no_visit(chart: Chart) -> list[Record]:
    """A lesion is filed under a visit that was not delivered."""
    for record in chart["lesion_measurements"][-1:]:
        record["assessment_id"] = "TA9999999-1"
        return [record]
    return []


@found_by("AE-002", "grade", share=0.0006, of="adverse_events")
def grade_that_ctcae_lacks(chart: Chart) -> list[Record]:
    """Nausea of grade 4, under CTCAE 4."""
    for record in chart["adverse_events"]:
        if record["term"] == "Nausea" and record.code("ctcae_version") == "4.0":
            record["grade"] = "4"
            return [record]
    return []


@found_by("AE-003", "grade", blocks=True)
def death_of_the_living(chart: Chart) -> list[Record]:
    """An event of grade 5 in somebody alive."""
    if not chart["adverse_events"] or chart.with_code("vital_status", "status", "dead"):
        return []
    record = chart["adverse_events"][-1]
    record["term"], record["grade"] = "Infusion related reaction", "5"
    return [record]


@found_by("AE-004", "end_date", share=0.0015, of="adverse_events")
def event_ends_before_it_begins(chart: Chart) -> list[Record]:
    """An adverse event ends a day before its onset."""
    for record in chart["adverse_events"]:
        if record["end_date"]:
            record["end_date"] = shift(record["onset_date"], -1)
            return [record]
    return []


@found_by("VAL-012", "end_date")
def in_the_future(chart: Chart) -> list[Record]:
    """An adverse event ends ten years after the extract."""
    for record in chart["adverse_events"]:
        record["end_date"] = "2031-03-01"
        return [record]
    return []


@found_by("TUM-002", "overall_response")
def response_at_baseline(chart: Chart) -> list[Record]:
    """A response before treatment began."""
    for record in chart.with_code("tumour_assessments", "timepoint", "baseline"):
        record["overall_response"] = "SD"
        return [record]
    return []


@found_by("TUM-006", "overall_response", also=("LES-006",), share=0.03, of="patients")
def stable_after_progression(chart: Chart) -> list[Record]:
    """Stable disease ten days after progression, without a change of treatment."""
    progressions = chart.with_code("tumour_assessments", "overall_response", "PD")
    if (
        not chart.is_colorectal
        or len(progressions) != 1
        or progressions[0]["assessment_date"] > "2021-01-01"
    ):
        return []
    day = shift(progressions[0]["assessment_date"], 10)
    if any(day >= r["start_date"] > shift(day, -10) for r in chart["drug_administrations"]):
        return []
    if chart.death and chart.death <= day:
        return []
    stable = {"target_response": "", "non_target_response": "", "new_lesion": "no"}
    return [
        chart.add(
            progressions[0],
            assessment_date=day,
            reported_date=day,
            overall_response="SD",
            **stable,
        )
    ]


@found_by("LES-003", "longest_diameter_mm", also=("LES-005",))
def target_too_small(chart: Chart) -> list[Record]:
    """A target lesion of 8 mm at baseline."""
    baselines = {r.key for r in chart.with_code("tumour_assessments", "timepoint", "baseline")}
    for record in chart.with_code("lesion_measurements", "lesion_role", "target"):
        size = record["longest_diameter_mm"]
        if record["assessment_id"] in baselines and size and float(size) < 30:
            record["longest_diameter_mm"] = "8"
            return [record]
    return []


@found_by("LES-004", "lesion_id", also=("LES-005", "LES-006"))
def six_target_lesions(chart: Chart) -> list[Record]:
    """Three target lesions of one organ at baseline."""
    baselines = {r.key for r in chart.with_code("tumour_assessments", "timepoint", "baseline")}
    for record in chart.with_code("lesion_measurements", "lesion_role", "target"):
        if record["assessment_id"] in baselines and record["longest_diameter_mm"]:
            chart.add(record, lesion_id="L8")
            return [chart.add(record, lesion_id="L9")]
    return []


@found_by("LES-005", "target_response", share=0.022, of="tumour_assessments")
def response_that_the_sum_denies(chart: Chart) -> list[Record]:
    """Target lesions that hardly changed are called a partial response."""
    if not chart.is_colorectal:
        return []
    stable = [
        r
        for r in chart["tumour_assessments"]
        if r["target_response"] == "SD" and r.code("overall_response") == "SD"
    ]
    for record in stable:
        record["target_response"] = "PR"
    return stable


@found_by("LES-006", "longest_diameter_mm", also=("LES-005",), share=0.09, of="patients")
def lesion_forgotten(chart: Chart) -> list[Record]:
    """A target lesion has no size at the first visit without progression, and nobody says why."""
    if not chart.is_colorectal:
        return []
    progressions = {
        r["assessment_id"] for r in chart.with_code("tumour_assessments", "target_response", "PD")
    }
    seen = set()
    for record in chart.with_code("lesion_measurements", "lesion_role", "target"):
        if (
            record["lesion_id"] in seen
            and record.code("lesion_status") == "measured"
            and record["assessment_id"] not in progressions
        ):
            record["longest_diameter_mm"] = record["short_axis_mm"] = record["lesion_status"] = ""
            return [record]
        seen.add(record["lesion_id"])
    return []
