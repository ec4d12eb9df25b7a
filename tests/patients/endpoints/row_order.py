"""Patients with rows in another order, some of them twice, and with several rows a day."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

from tests.patients.endpoints.delivery import Patient

ORDERS = 8
SECOND_SCANS = 112
LAST_SCANS = 420


def shuffled(patient: Patient, suffix: str = "shuffled") -> Patient:
    """The same patient under another number: rows in random order, every third delivered twice."""
    number = f"{patient.number}-{suffix}"

    def renamed(value: Any) -> Any:
        is_own = isinstance(value, str) and value.startswith(patient.number)
        return value.replace(patient.number, number, 1) if is_own else value

    rows = [
        (table, {name: renamed(value) for name, value in row.items()})
        for table, row in patient.rows
    ]
    rows += rows[::3]
    random.Random(number).shuffle(rows)
    copy = Patient(number, patient.metastatic)
    copy.rows = rows
    return copy


def missed_visits() -> Patient:
    """Two scans a visit that differ; then long unseen, then progression."""
    return _scanned_twice("MISSED", seen_between=False, last=("PD", "PD"))


def followed() -> Patient:
    """The same, seen throughout and never found to have progressed."""
    return _scanned_twice("FOLLOWED", seen_between=True, last=("SD", "PR"))


def _scanned_twice(number: str, *, seen_between: bool, last: tuple[str, str]) -> Patient:
    start = date(2020, 1, 1)
    patient = Patient(number, start)
    patient.first_line(start)
    visits = (
        (-1, ("CT", None, 100), ("MRI", None, 104)),
        (56, ("CT", "SD", 65), ("MRI", "PR", 75), ("PET-CT", "NE", None)),
        (SECOND_SCANS, ("CT", "PR", 60), ("MRI", "SD", 72)),
        (LAST_SCANS, ("CT", last[0], 80), ("MRI", last[1], 90)),
    )
    for day, *scans in visits:
        seen = start + timedelta(days=day)
        for modality, response, total in scans:
            timepoint = "baseline" if day < 0 else "follow_up"
            scan = patient.assessment(seen, response, modality=modality, timepoint=timepoint)
            patient.target(scan, seen, "T1", total)
    for day in range(0, LAST_SCANS + 50, 50) if seen_between else ():
        patient.visit(start + timedelta(days=day))
        patient.visit(start + timedelta(days=day))
    patient.vital(start + timedelta(days=LAST_SCANS + 60))
    return patient


def in_every_order(patient: Patient) -> list[Patient]:
    return [shuffled(patient, str(order)) for order in range(ORDERS)]
