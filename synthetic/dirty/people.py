"""Contradictions about patients, their diagnoses, lives and deaths."""

from __future__ import annotations

from synthetic.dirty.charts import Chart, Record, is_day, shift
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


@found_by(
    "VIT-002", "death_date", also=("VIT-004", "VIT-008", "DX-003", "PTH-015", "MOL-008", "PRC-001")
)
def death_before_birth(chart: Chart) -> list[Record]:
    """A patient without treatment dies before birth."""
    birth = chart["patients"][0]["birth_date"]
    if not chart.death or not is_day(birth) or chart["drug_administrations"]:
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


@found_by("DX-002", "diagnosis_date", also=("DX-008",))
def diagnosis_before_birth(chart: Chart) -> list[Record]:
    """The primary of a patient without metastases is found a year before birth."""
    birth = chart["patients"][0]["birth_date"]
    if chart["metastases"] or chart["drug_administrations"] or not is_day(birth):
        return []
    record = chart["diagnoses"][0]
    record["diagnosis_date"] = shift(birth, -365)
    return [record]


@found_by("DX-004", "metastasis_date", also=("TUM-003",))
def metastasis_before_primary(chart: Chart) -> list[Record]:
    """A metastasis is found 60 days before its primary."""
    if len(chart["metastases"]) < 2 or not is_day(chart["diagnoses"][0]["diagnosis_date"]):
        return []
    record = chart["metastases"][-1]
    record["metastasis_date"] = shift(chart["diagnoses"][0]["diagnosis_date"], -60)
    return [record]


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
        other = {"icd10": "Z99.9", "condition_text": "其他"}
        return [record, chart.add(record, comorbidity_id=record.key, **other)]
    return []


@found_by("PAT-001", "recorded_date", also=("PAT-002",), blocks=True)
def patient_twice(chart: Chart) -> list[Record]:
    """A second row of a patient, registered a day before."""
    (patient,) = chart["patients"]
    return [chart.add(patient, recorded_date=shift(patient["recorded_date"], -1))]


@found_by("STR-005", "recorded_date", share=0.0015, of="performance_status")
def known_before_it_happened(chart: Chart) -> list[Record]:
    """The performance status is on record three days before it was assessed."""
    for record in chart["performance_status"]:
        record["recorded_date"] = shift(record["assessed_date"], -3)
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


@found_by("DX-010", "diagnosis_id")
def metastasis_of_another_patient(chart: Chart) -> list[Record]:
    """A metastasis names another patient's primary."""
    if len(chart["metastases"]) < 2:
        return []
    others = chart.delivery.tables["diagnoses"]
    other = next(r for r in others if r["patient_id"] != chart.patient_id)
    record = chart["metastases"][-1]
    record["diagnosis_id"] = other.key
    return [record]


@found_by("PAT-002", "birth_date", also=("DX-008",), share=0.006, of="patients")
def one_person_under_two_numbers(chart: Chart) -> list[Record]:
    """The patient and the diagnosis come again under another patient number."""
    (patient,) = chart["patients"]
    if not is_day(patient["birth_date"]) or patient.code("sex") == "unknown":
        return []
    twin = chart.delivery.add_patient(chart, f"9{chart.patient_id}")
    for diagnosis in chart["diagnoses"]:
        twin.add(diagnosis, patient_id=twin.patient_id)
    return [patient, *twin["patients"]]


@found_by("PAT-003", "birth_date", also=("PAT-001",), blocks=True)
def two_births_under_one_number(chart: Chart) -> list[Record]:
    """A second row of a patient, born nine years before."""
    (patient,) = chart["patients"]
    birth = patient["birth_date"]
    return [chart.add(patient, birth_date=shift(birth, -3287))] if is_day(birth) else []


@found_by("PAT-004", "birth_date")
def born_in_another_century(chart: Chart) -> list[Record]:
    """Born in 1842."""
    if chart["metastases"]:
        return []
    (patient,) = chart["patients"]
    patient["birth_date"] = "1842-05-17"
    return [patient]


@found_by("PAT-005", "birth_date")
def a_child(chart: Chart) -> list[Record]:
    """Ten years old when the metastases were found."""
    return _aged(chart, 10)


@found_by("PAT-006", "birth_date")
def the_oldest_man(chart: Chart) -> list[Record]:
    """A hundred and ten years old when the metastases were found."""
    return _aged(chart, 110)


def _aged(chart: Chart, years: int) -> list[Record]:
    found = [record["metastasis_date"] for record in chart["metastases"]]
    if not found or min(found) < "2013" or chart["diagnoses"][0]["diagnosis_date"] < "2012":
        return []
    (patient,) = chart["patients"]
    patient["birth_date"] = shift(min(found), -round(365.25 * years + 30))
    return [patient]


@found_by("PAT-007", "sex", share=0.012, of="patients")
def sex_unknown(chart: Chart) -> list[Record]:
    """The sex is said to be unknown."""
    (patient,) = chart["patients"]
    patient["sex"] = "unknown"
    return [patient]


@found_by("PAT-008", "patient_id", share=0.055, of="patients")
def nothing_but_a_number(chart: Chart) -> list[Record]:
    """Ten patients of whom nothing is known but number, sex and birth."""
    twins = [chart.delivery.add_patient(chart, f"8{n}{chart.patient_id}") for n in range(10)]
    return [record for twin in twins for record in twin["patients"]]


@found_by("VIT-003", "death_date", blocks=True)
def sources_disagree_on_death(chart: Chart) -> list[Record]:
    """A second source dates the death 60 days earlier."""
    if not chart.death:
        return []
    (record,) = (r for r in chart["vital_status"] if r["death_date"])
    source = "registry" if record.code("source") != "registry" else "hospital"
    day = shift(chart.death, -60)
    return [chart.add(record, death_date=day, source=source)]


@found_by("VIT-008", "last_contact_date", also=("VIT-004",))
def alive_after_death(chart: Chart) -> list[Record]:
    """Somebody speaks to the patient 50 days after death."""
    spoken = chart.with_code("vital_status", "status", "alive")
    if not chart.death or not spoken or chart.death > "2020-12-01":
        return []
    day = shift(chart.death, 50)
    return [chart.add(spoken[-1], last_contact_date=day, recorded_date=day)]


@found_by("DX-001", "icdo3_topography")
def topography_of_no_code_system(chart: Chart) -> list[Record]:
    """A comma in the code."""
    if chart["metastases"]:
        return []
    record = chart["diagnoses"][0]
    record["icdo3_topography"] = record["icdo3_topography"].replace(".", ",")
    return [record]


@found_by("DX-001", "icd10")
def words_for_a_code(chart: Chart) -> list[Record]:
    """The name of the condition stands in the column of its code."""
    for record in chart["comorbidities"][:1]:
        record["icd10"] = record["condition_text"]
        return [record]
    return []


@found_by("DX-003", "diagnosis_date", also=("DX-008",))
def diagnosis_after_death(chart: Chart) -> list[Record]:
    """A second primary is found ten days after death."""
    if not chart.death or chart.death > "2020-12-31":
        return []
    day = shift(chart.death, 10)
    return [
        chart.add(
            chart["diagnoses"][0],
            diagnosis_date=day,
            recorded_date=day,
            icdo3_topography="C34.1",
        )
    ]


@found_by("DX-005", "stage", share=0.02, of="patients")
def stage_iv_without_metastases(chart: Chart) -> list[Record]:
    """Stage IV, but the first metastasis came half a year later."""
    record = chart["diagnoses"][0]
    found = [r["metastasis_date"] for r in chart["metastases"]]
    day = record["diagnosis_date"]
    if not found or not is_day(day) or record.code("stage") not in ("I", "II", "III"):
        return []
    if min(found) <= shift(day, 180):
        return []
    record["stage"] = "IV"
    return [record]


@found_by("DX-006", "icdo3_topography")
def prostate_of_a_woman(chart: Chart) -> list[Record]:
    """A cancer of the prostate in a woman."""
    (patient,) = chart["patients"]
    if chart["metastases"] or patient.code("sex") != "female":
        return []
    record = chart["diagnoses"][0]
    record["icdo3_topography"] = "C61.9"
    return [record]


@found_by("DX-007", "icdo3_topography", share=0.032, of="patients")
def one_tumour_diagnosed_twice(chart: Chart) -> list[Record]:
    """The primary comes again, in another part of the same organ."""
    record = chart["diagnoses"][0]
    organ, _, part = record["icdo3_topography"].partition(".")
    if organ != "C18" or not is_day(record["diagnosis_date"]):
        return []
    other = f"{organ}.{'2' if part != '2' else '7'}"
    return [chart.add(record, icdo3_topography=other)]


@found_by("DX-008", "diagnosis_date", share=0.11, of="patients")
def diagnosis_without_pathology(chart: Chart) -> list[Record]:
    """The biopsies are dated two hundred days before the diagnosis they made."""
    if chart.with_code("pathology", "specimen_type", "resection") or not chart["pathology"]:
        return []
    if not is_day(chart["diagnoses"][0]["diagnosis_date"]):
        return []
    for record in chart["pathology"]:
        for column in ("collected_date", "reported_date"):
            record[column] = shift(record[column], -200)
    return chart["diagnoses"][:1]
