"""Rows that can be read and contradict others: each is found by the check named."""

from __future__ import annotations

from typing import Final

from synthetic.dirty.charts import Chart, Record, shift
from synthetic.dirty.kinds import found_by


@found_by("VIT-001", "death_date", share=0.006, of="patients")
def death_without_date(chart: Chart) -> list[Record]:
    """Leave the dead dead, and take the day away."""
    found = chart.with_code("vital_status", "status", "dead")
    if not chart.death:
        return []
    for record in found:
        record["death_date"] = ""
    return found[:1]


@found_by("VIT-002", "death_date", also=("VIT-004",))
def death_before_birth(chart: Chart) -> list[Record]:
    """A patient without treatment dies before birth."""
    birth = chart["patients"][0]["birth_date"]
    if not chart.death or len(birth) != len("YYYY-MM-DD") or chart["drug_administrations"]:
        return []
    (record,) = (r for r in chart["vital_status"] if r["death_date"])
    record["death_date"] = shift(birth, -1)
    return [record]


@found_by("VIT-004", "start_date", share=0.005, of="patients")
def visit_after_death(chart: Chart) -> list[Record]:
    """A visit 40 days after death."""
    visits = chart.with_code("encounters", "encounter_type", "outpatient")
    if not chart.death or not visits or chart.death > "2020-12-31":
        return []
    day = shift(chart.death, 40)
    return [chart.add(visits[-1], start_date=day, end_date=day)]


@found_by("DX-002", "diagnosis_date")
def diagnosis_before_birth(chart: Chart) -> list[Record]:
    """The primary of a patient without metastases is found a year before birth."""
    birth = chart["patients"][0]["birth_date"]
    if chart["metastases"] or chart["drug_administrations"] or len(birth) != len("YYYY-MM-DD"):
        return []
    record = chart["diagnoses"][0]
    record["diagnosis_date"] = shift(birth, -365)
    return [record]


@found_by("DX-004", "metastasis_date")
def metastasis_before_primary(chart: Chart) -> list[Record]:
    """A metastasis is found 60 days before its primary."""
    if len(chart["metastases"]) < 2 or len(chart["diagnoses"][0]["diagnosis_date"]) != len(
        "YYYY-MM-DD"
    ):
        return []
    record = chart["metastases"][-1]
    record["metastasis_date"] = shift(chart["diagnoses"][0]["diagnosis_date"], -60)
    return [record]


@found_by("PTH-009", "her2_copy_number", share=0.002, of="pathology")
def ratio_without_its_copies(chart: Chart) -> list[Record]:
    """The HER2 and CEP17 copies change places."""
    for record in chart["pathology"]:
        her2, cep17 = record["her2_copy_number"], record["cep17_copy_number"]
        if her2 and cep17 and 0.5 <= float(her2) <= 10 and abs(float(her2) - float(cep17)) > 1:
            record["her2_copy_number"], record["cep17_copy_number"] = cep17, her2
            return [record]
    return []


@found_by("PTH-012", "her2_ish_ratio")
def equivocal_for_ever(chart: Chart) -> list[Record]:
    """A score of 2+ loses its hybridisation."""
    scored = chart.with_code("pathology", "her2_ihc_score", "2+")
    hybridised = [r for r in chart["pathology"] if r["her2_ish_ratio"]]
    if not scored or not hybridised:
        return []
    for record in hybridised:
        for column in ("her2_ish_ratio", "her2_copy_number", "cep17_copy_number", "her2_ish_pct"):
            record[column] = ""
    return hybridised


@found_by("MOL-005", "result", share=0.002, of="molecular_tests")
def ras_and_braf_mutated(chart: Chart) -> list[Record]:
    """The BRAF V600E of a RAS-mutated specimen turns out mutated too."""
    mutated = {
        r["accession_no"]
        for r in chart.with_code("molecular_tests", "gene", "KRAS", "NRAS")
        if r.code("result") == "mutated"
    }
    for record in chart.with_code("molecular_tests", "region", "V600E"):
        if record["accession_no"] in mutated and record.code("result") == "wild_type":
            record["result"] = "mutated"
            return [record]
    return []


@found_by("DRG-001", "drug_text", share=0.018, of="drug_administrations")
def unknown_drug(chart: Chart) -> list[Record]:
    """A brand that no dictionary knows, on every chemotherapy of the patient."""
    given = [
        r
        for r in chart["drug_administrations"]
        if r.code("record_status") == "completed"
        and r.code("record_type") != "order"
        and r.code("intent") == "palliative"
    ]
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


@found_by("TUM-008", "assessment_date", also=("VIT-004",))
def scan_after_death(chart: Chart) -> list[Record]:
    """A scan 30 days after death."""
    if not chart.death or not chart["tumour_assessments"] or chart.death > "2020-12-31":
        return []
    day = shift(chart.death, 30)
    return [chart.add(chart["tumour_assessments"][-1], assessment_date=day, reported_date=day)]


@found_by("TUM-009", "overall_response", share=0.006, of="tumour_assessments")
def two_responses_in_one_day(chart: Chart) -> list[Record]:
    """A second reader disagrees about each visit."""
    stable = [
        r
        for r in chart["tumour_assessments"]
        if r.code("overall_response") == "SD" and r["target_response"] == "SD"
    ]
    return [chart.add(record, target_response="PR", overall_response="PR") for record in stable]


@found_by("LES-001", "longest_diameter_mm", share=0.002, of="lesion_measurements")
def nothing_left_but_not_gone(chart: Chart) -> list[Record]:
    """A lesion that is still measured measures 0 mm."""
    for record in chart["lesion_measurements"][::-1]:
        if record["longest_diameter_mm"] and record.code("lesion_status") == "measured":
            record["longest_diameter_mm"] = "0"
            return [record]
    return []


@found_by("LES-002", "longest_diameter_mm")
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


@found_by("LES-007", "assessment_id")
def lesion_of_another_patient(chart: Chart) -> list[Record]:
    """A lesion is filed under another patient's visit."""
    others = chart.delivery.tables["tumour_assessments"]
    other = next(r for r in others if r["patient_id"] != chart.patient_id)
    for record in chart["lesion_measurements"][-1:]:
        record["assessment_id"] = other.key
        return [record]
    return []


@found_by("STR-004", "assessment_id", also=("LES-007",))
def lesion_of_no_visit(chart: Chart) -> list[Record]:
    """A lesion is filed under a visit that was not delivered."""
    for record in chart["lesion_measurements"][-1:]:
        record["assessment_id"] = "TA9999999-1"
        return [record]
    return []


@found_by("STR-004", "diagnosis_id")
def metastasis_of_no_primary(chart: Chart) -> list[Record]:
    """A metastasis names a primary that was not delivered."""
    if len(chart["metastases"]) < 2:
        return []
    record = chart["metastases"][-1]
    record["diagnosis_id"] = "DX9999999-1"
    return [record]


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


@found_by("STR-005", "recorded_date", share=0.0015, of="performance_status")
def known_before_it_happened(chart: Chart) -> list[Record]:
    """The performance status is on record three days before it was assessed."""
    for record in chart["performance_status"]:
        record["recorded_date"] = shift(record["assessed_date"], -3)
        return [record]
    return []


@found_by("VAL-012", "end_date")
def in_the_future(chart: Chart) -> list[Record]:
    """An adverse event ends ten years after the extract."""
    for record in chart["adverse_events"]:
        record["end_date"] = "2031-03-01"
        return [record]
    return []


@found_by("PAT-009", "patient_id")
def orphan(chart: Chart) -> list[Record]:
    """A condition of a patient who was not delivered."""
    for record in chart["comorbidities"][:1]:
        record["patient_id"] = "99999999"
        return [record]
    return []


@found_by("STR-003", "comorbidity_id")
def two_rows_of_one_key(chart: Chart) -> list[Record]:
    """A condition with the key of another one."""
    for record in chart["comorbidities"][:1]:
        return [chart.add(record, comorbidity_id=record.key, icd10="Z99.9", condition_text="其他")]
    return []


@found_by("STR-003", "procedure_id")
def same_row_twice(chart: Chart) -> list[Record]:
    """A procedure delivered twice, letter for letter."""
    for record in chart["procedures"][:1]:
        return [record, chart.add(record, procedure_id=record.key)]
    return []


@found_by("PTH-002", "accession_no", blocks=True)
def specimen_of_two(chart: Chart) -> list[Record]:
    """A report carries the accession number of somebody else's specimen."""
    others = chart.delivery.tables["pathology"]
    other = next(r for r in others if r["patient_id"] != chart.patient_id)
    for record in chart["pathology"][:1]:
        record["accession_no"] = other["accession_no"]
        return [record]
    return []


@found_by("PAT-001", "sex", blocks=True)
def patient_twice(chart: Chart) -> list[Record]:
    """A second row of a patient, of the other sex."""
    (patient,) = chart["patients"]
    other = {"male": "female", "female": "male"}.get(patient.code("sex"))
    return [chart.add(patient, sex=other)] if other else []
