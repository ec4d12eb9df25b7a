"""Single values: most cannot be read and send their row to quarantine; others are remarked on."""

from __future__ import annotations

from typing import Final

from synthetic.dirty.charts import Chart, Record
from synthetic.dirty.kinds import KINDS, Kind, found_by

MISSING: Final = "missing"
CODE: Final = "not a code of the contract"
NUMBER: Final = "not a number in range"
WHOLE: Final = "not a whole number in range"
DATE: Final = "not a date (YYYY-MM-DD)"
PARTIAL: Final = "not a date (YYYY-MM-DD, YYYY-MM or YYYY)"
READ: Final = ""

_FORMAT: Final = "VAL-007"
"""One date in another format puts the order of day and month in doubt: nothing may be built."""

_VALUES: Final = (
    # kind, column, value ({} is the delivered one), reason of quarantine, check
    ("missing_patient", "comorbidities.patient_id", "", MISSING, "STR-001"),
    ("missing_row_key", "procedures.procedure_id", "", MISSING, "STR-001"),
    ("missing_text", "drug_administrations.drug_text", "", MISSING, "STR-001"),
    ("missing_code", "adverse_events.grade", "", MISSING, "STR-001"),
    ("missing_number", "performance_status.score", "", MISSING, "STR-001"),
    ("missing_date", "encounters.start_date", "", MISSING, "STR-001"),
    ("blanks_for_a_value", "adverse_events.term", "   ", MISSING, "STR-001"),
    ("impossible_day", "drug_administrations.end_date", "2016-02-30", DATE, "VAL-013"),
    ("day_and_month_swapped", "performance_status.assessed_date", "2016-25-03", DATE, "VAL-013"),
    ("thirteenth_month", "comorbidities.onset_date", "2016-13", PARTIAL, "VAL-013"),
    ("zeros_for_a_date", "vital_status.recorded_date", "0000-00-00", DATE, "VAL-013"),
    ("day_first", "encounters.end_date", "31/12/2016", DATE, _FORMAT),
    ("slashes_for_dashes", "adverse_events.end_date", "2016/03/05", DATE, _FORMAT),
    ("date_without_dashes", "procedures.recorded_date", "20160305", DATE, _FORMAT),
    ("time_with_the_date", "molecular_tests.reported_date", "2016-03-05 10:30", DATE, _FORMAT),
    ("name_of_the_month", "pathology.reported_date", "5 Mar 2016", DATE, _FORMAT),
    ("chinese_date", "comorbidities.recorded_date", "2016年3月5日", DATE, _FORMAT),
    ("two_digit_year", "procedures.procedure_date", "16-03-05", DATE, _FORMAT),
    ("spreadsheet_day_number", "consent.consent_date", "42434", DATE, "VAL-009"),
    ("month_where_a_day_is_due", "metastases.recorded_date", "2016-03", DATE, "FIL-015"),
    ("dash_for_a_date", "drug_administrations.recorded_date", "-", DATE, "VAL-002"),
    ("decimal_comma", "pathology.her2_ihc_pct", "82,5", NUMBER, "VAL-014"),
    ("thousands_separator", "drug_administrations.dose", "1,200", NUMBER, "VAL-014"),
    ("unit_in_the_number", "drug_administrations.dose", "5 mg/kg", NUMBER, "STR-007"),
    ("percent_sign", "pathology.her2_ihc_pct", "80%", NUMBER, "STR-007"),
    ("qualifier", "lesion_measurements.longest_diameter_mm", "<5", NUMBER, "VAL-015"),
    ("about", "lesion_measurements.longest_diameter_mm", "约8", NUMBER, "VAL-015"),
    ("words_for_a_number", "lesion_measurements.short_axis_mm", "不能测量", NUMBER, "STR-002"),
    ("full_width_digits", "drug_administrations.days_supply", "１４", WHOLE, "VAL-004"),
    ("letter_for_a_digit", "drug_administrations.dose", "1O0", NUMBER, "STR-002"),
    ("two_numbers", "performance_status.score", "1-2", WHOLE, "STR-002"),
    ("fraction_of_a_whole", "performance_status.score", "1.5", WHOLE, "STR-002"),
    ("placeholder_for_a_number", "pathology.her2_ish_pct", "N/A", NUMBER, "VAL-002"),
    ("not_a_number", "pathology.her2_ihc_pct", "NaN", NUMBER, "VAL-002"),
    ("infinite_number", "drug_administrations.dose", "inf", NUMBER, "STR-002"),
    ("percent_above_100", "pathology.her2_ihc_pct", "140", NUMBER, "PTH-004"),
    ("ratio_above_40", "pathology.her2_ish_ratio", "55", NUMBER, "PTH-008"),
    ("copies_above_60", "pathology.her2_copy_number", "75", NUMBER, "PTH-010"),
    ("copies_below_half", "pathology.cep17_copy_number", "0.2", NUMBER, "PTH-010"),
    ("lost_decimal_point", "lesion_measurements.longest_diameter_mm", "455", NUMBER, "STR-002"),
    ("negative_size", "lesion_measurements.longest_diameter_mm", "-12", NUMBER, "STR-002"),
    ("negative_dose", "drug_administrations.dose", "-100", NUMBER, "STR-002"),
    ("score_off_the_scale", "performance_status.score", "110", WHOLE, "STR-002"),
    ("supply_of_a_year", "drug_administrations.days_supply", "365", WHOLE, "STR-002"),
    ("ihc_between_two_scores", "pathology.her2_ihc_score", "2-3+", CODE, "PTH-003"),
    ("unknown_gene", "molecular_tests.gene", "HER-2", CODE, "MOL-001"),
    ("gene_turned_into_a_date", "molecular_tests.gene", "1-Mar", CODE, "VAL-006"),
    ("unknown_response", "tumour_assessments.overall_response", "MR", CODE, "TUM-001"),
    ("unknown_result", "molecular_tests.result", "positive", CODE, "MOL-002"),
    ("unknown_region", "molecular_tests.region", "exon 12", CODE, "VAL-016"),
    ("unknown_route", "drug_administrations.route", "inhaled", CODE, "VAL-016"),
    ("unknown_status", "drug_administrations.record_status", "on hold", CODE, "VAL-016"),
    ("grade_6", "adverse_events.grade", "6", CODE, "AE-001"),
    ("other_scale", "performance_status.scale", "WHO", CODE, "VAL-016"),
    ("unknown_decision", "consent.decision", "perhaps", CODE, "VAL-016"),
    ("placeholder_for_a_code", "lesion_measurements.lesion_status", "9999", CODE, "VAL-016"),
    ("placeholder_for_a_text", "encounters.department", "NULL", READ, "VAL-002"),
    ("control_character", "encounters.department", "{}\x07", READ, "FIL-008"),
    ("decoded_twice", "diagnoses.histology_text", "adÃ©nocarcinome", READ, "VAL-003"),
    ("invisible_character", "pathology.accession_no", "{}\u200b", READ, "VAL-005"),
    ("endless_text", "comorbidities.condition_text", "{}" + "病" * 4000, READ, "VAL-017"),
    ("script", "comorbidities.condition_text", "{}<script>alert(1)</script>", READ, "VAL-018"),
    ("formula", "encounters.department", '=HYPERLINK("x")', READ, "VAL-018"),
    ("telephone_number", "comorbidities.condition_text", "{} 电话13912345678", READ, "VAL-019"),
)


_MISSED_WITH: Final = {
    # The report that confirmed the diagnosis, or settled a score of 2+.
    "pathology": ("DX-008", "PTH-012"),
    # The visit at which lesions were measured, perhaps the baseline.
    "tumour_assessments": ("LES-005", "LES-006", "LES-007", "STR-004", "TUM-003"),
    "lesion_measurements": ("LES-005", "LES-006"),
}
"""Checks that may miss a row of a table when it is in quarantine."""


def _kind(name: str, place: str, value: str, reason: str, check: str) -> Kind:
    table, column = place.split(".")

    def plant(chart: Chart) -> list[Record]:
        filled = [record for record in chart[table] if record[column]]
        # The only row of a table may be what the patient's other rows refer to.
        if not filled or (reason and len(chart[table]) == 1):
            return []
        record = filled[-1]
        record[column] = value.replace("{}", record[column])
        return [record]

    also = _MISSED_WITH.get(table, ()) if reason else ()
    done = f"{column} set to {value[:30]!r}" if value.strip() else f"{column} emptied"
    return Kind(name, check, column, done, plant, reason=reason, also=also, blocks=check == _FORMAT)


KINDS.extend(_kind(*row) for row in _VALUES)


@found_by("FIL-005", "", reason="the record has 6 fields, the header 7")
def field_too_few(chart: Chart) -> list[Record]:
    """The last field of a visit is cut off."""
    for record in chart["encounters"][1:2]:
        record.cells.pop()
        return [record]
    return []


@found_by("FIL-005", "", reason="the record has 8 fields, the header 7")
def field_too_many(chart: Chart) -> list[Record]:
    """An unquoted comma splits a field of a visit in two."""
    for record in chart["encounters"][1:2]:
        record.cells.append("")
        return [record]
    return []


@found_by("FIL-005", "", reason="the record holds a NUL character")
def nul_character(chart: Chart) -> list[Record]:
    """A NUL byte in a visit."""
    for record in chart["encounters"][1:2]:
        record["department"] += "\0"
        return [record]
    return []


@found_by("VAL-011", "onset_date", share=0.001, of="comorbidities")
def default_for_a_date(chart: Chart) -> list[Record]:
    """The first day that a system knows stands for an unknown onset."""
    for record in chart["comorbidities"][:1]:
        record["onset_date"] = "1900-01-01"
        return [record]
    return []


@found_by("VAL-001", "procedure_text", share=0.012, of="procedures")
def no_break_space(chart: Chart) -> list[Record]:
    """A no-break space at the end of a text."""
    for record in chart["procedures"]:
        record["procedure_text"] += "\u00a0"
    return chart["procedures"]
