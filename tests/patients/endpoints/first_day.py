"""A patient whose only response is of the day on which the line began."""

from __future__ import annotations

from datetime import date, timedelta

from tests.patients.endpoints.delivery import Patient

START = date(2020, 1, 1)


def scanned_on_the_first_day() -> Patient:
    patient = Patient("FIRST-DAY", START)
    patient.first_line(START)
    patient.assessment(START, "PD")
    patient.vital(None, START + timedelta(days=300))
    return patient
