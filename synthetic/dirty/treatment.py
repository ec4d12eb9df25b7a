"""Contradictions about drugs and procedures."""

from __future__ import annotations

from typing import Final

from synthetic.dirty.charts import Chart, Record, is_day, shift
from synthetic.dirty.kinds import COLLAPSED, found_by

_UNITS_OF_UNKNOWN_DRUGS: Final = ("ml", "dose")  # the clean extract has a few as well


@found_by(
    "DRG-001",
    "drug_text",
    # Lines of therapy end or begin elsewhere without the drug.
    also=("TUM-003", "TUM-006", "LES-005", "LES-006"),
    share=0.018,
    of="drug_administrations",
)
def unknown_drug(chart: Chart) -> list[Record]:
    """A brand that no dictionary knows, in every cycle."""
    given = _given(chart)
    if any(
        record["dose_unit"] in _UNITS_OF_UNKNOWN_DRUGS for record in chart["drug_administrations"]
    ):
        return []
    for record in given:
        record["drug_text"], record["drug_code"] = "Zorblaxin 40mg", ""
    return given


@found_by("DRG-002", "start_date", also=("VIT-004",))
def drug_after_death(chart: Chart) -> list[Record]:
    """An infusion 20 days after death."""
    given = [
        r
        for r in chart.with_code("drug_administrations", "record_type", "administration")
        if r.code("record_status") == "completed"
    ]
    if not chart.death or not given or chart.death > "2020-12-31":
        return []
    day = shift(chart.death, 20)
    return [chart.add(given[-1], start_date=day, end_date="", recorded_date=day)]


@found_by("DRG-004", "end_date", share=0.0007, of="drug_administrations")
def infusion_ends_before_it_starts(chart: Chart) -> list[Record]:
    """The end of an infusion is a day before its start."""
    given = [r for r in chart["drug_administrations"] if r["end_date"] == r["start_date"]]
    for record in given[-4:]:
        record["end_date"] = shift(record["start_date"], -1)
    return given[-4:]


@found_by("DRG-004", "end_date")
def infusion_of_months(chart: Chart) -> list[Record]:
    """One infusion lasts 90 days."""
    for record in chart.with_code("drug_administrations", "route", "intravenous")[::-1]:
        if (
            record.code("record_type") == "administration"
            and record["end_date"]
            and record["start_date"] < "2020-06-01"
        ):
            record["end_date"] = shift(record["start_date"], 90)
            return [record]
    return []


_ANTI_EGFR: Final = ("cetuximab", "panitumumab", "西妥昔", "帕尼单", "爱必妥", "erbitux", "c225")


@found_by("DRG-011", "result", share=0.0003, of="molecular_tests")
def anti_egfr_despite_ras(chart: Chart) -> list[Record]:
    """KRAS turns out mutated, on record before an anti-EGFR antibody was given."""
    starts = [
        r["start_date"]
        for r in chart["drug_administrations"]
        if r.code("record_status") == "completed"
        and any(name in r["drug_text"].lower() for name in _ANTI_EGFR)
    ]
    for record in chart.with_code("molecular_tests", "gene", "KRAS"):
        if (
            starts
            and record.code("result") == "wild_type"
            and record["reported_date"] < min(starts)
        ):
            record["result"], record["variant"] = "mutated", "p.G12D"
            return [record]
    return []


@found_by("", "", reason=COLLAPSED)
def same_row_twice(chart: Chart) -> list[Record]:
    """A procedure delivered twice, letter for letter."""
    for record in chart["procedures"][:1]:
        return [chart.add(record, procedure_id=record.key)]
    return []


@found_by("DRG-003", "start_date", also=("TUM-003",), share=0.0105, of="patients")
def treated_before_the_diagnosis(chart: Chart) -> list[Record]:
    """A cycle of chemotherapy 90 days before the diagnosis."""
    given = _given(chart)
    day = chart["diagnoses"][0]["diagnosis_date"]
    if not given or not is_day(day):
        return []
    before = shift(day, -90)
    return [
        chart.add(given[0], start_date=before, end_date="", days_supply="", recorded_date=before)
    ]


@found_by("DRG-006", "record_id", share=0.011, of="drug_administrations")
def one_dose_under_two_numbers(chart: Chart) -> list[Record]:
    """Every cycle is delivered twice, under two numbers."""
    given = _given(chart)
    return [*given, *(chart.add(record) for record in given)]


@found_by("DRG-007", "dose_unit", share=0.04, of="drug_administrations")
def dose_without_unit(chart: Chart) -> list[Record]:
    """No dose has a unit."""
    given = [
        r
        for r in chart["drug_administrations"]
        if r.code("record_status") == "completed" and r.code("record_type") != "order"
    ]
    for record in given:
        record["dose_unit"] = ""
    return given


@found_by("DRG-010", "drug_text", also=("TUM-003",), share=0.0015, of="patients")
def anti_her2_despite_her2(chart: Chart) -> list[Record]:
    """Trastuzumab for a patient whose HER2 was negative."""
    negative = chart.with_code("pathology", "her2_ihc_score", "0", "1+")
    scored = [r for r in chart["pathology"] if r["her2_ihc_score"] or r["her2_ish_ratio"]]
    given = _given(chart)
    if not given or not negative or len(negative) != len(scored):
        return []
    last = given[-1]
    if negative[0]["reported_date"] > last["start_date"]:
        return []
    last["drug_text"], last["drug_code"] = "trastuzumab 440mg", "L01FD01"
    return [last]


@found_by("DRG-012", "drug_text")
def drug_of_the_future(chart: Chart) -> list[Record]:
    """Fruquintinib, approved in 2018, given in 2012 or before."""
    for record in _given(chart):
        if record["start_date"] < "2013":
            record["drug_text"], record["drug_code"] = "呋喹替尼胶囊 5mg", ""
            return [record]
    return []


@found_by("PRC-001", "procedure_code", share=0.0015, of="procedures")
def procedure_of_no_code_system(chart: Chart) -> list[Record]:
    """The code is one of another system."""
    for record in chart["procedures"][:1]:
        record["procedure_code"] = "0DTN0ZZ"
        return [record]
    return []


@found_by("PRC-002", "procedure_type")
def resected_twice(chart: Chart) -> list[Record]:
    """The primary is resected again 150 days later."""
    for record in chart.with_code("procedures", "procedure_type", "primary_resection"):
        if record["procedure_date"] < "2020" and (chart.death or "9999") > "2021":
            day = shift(record["procedure_date"], 150)
            return [chart.add(record, procedure_date=day, recorded_date=day)]
    return []


@found_by("PRC-004", "specimen_type", share=0.032, of="pathology")
def resection_without_operation(chart: Chart) -> list[Record]:
    """Biopsies are called resections, and no operation is on record."""
    if chart["procedures"]:
        return []
    biopsies = chart.with_code("pathology", "specimen_type", "biopsy")
    for record in biopsies:
        record["specimen_type"] = "resection"
    return biopsies


def _given(chart: Chart) -> list[Record]:
    """Palliative infusions and dispensings that took place."""
    return [
        r
        for r in chart["drug_administrations"]
        if r.code("record_status") == "completed"
        and r.code("record_type") != "order"
        and r.code("intent") == "palliative"
    ]
