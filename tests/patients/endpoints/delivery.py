"""Invented patients as rows of the extract contract."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from pipeline.contract import read_contract

SITE_CODE = "TEST"
FIRST_LINE_DRUGS = ("Oxaliplatin", "Capecitabine")
NEXT_LINE_DRUG = "Irinotecan"
EXTRACT_DATE = date(2031, 12, 31)


@dataclass
class Patient:
    """One patient of the delivery, filled row by row."""

    number: str
    metastatic: date
    rows: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    last_day: date = date.min

    def __post_init__(self) -> None:
        self.add("patients", sex="female", birth_date="1955")
        self.add(
            "diagnoses",
            diagnosis_id=f"{self.number}-D",
            diagnosis_date=self.metastatic,
            icdo3_topography="C18.7",
            icdo3_morphology="8140/3",
        )
        self.add(
            "metastases",
            metastasis_id=f"{self.number}-M",
            diagnosis_id=f"{self.number}-D",
            organ="liver",
            metastasis_date=self.metastatic,
        )

    def add(self, table: str, **values: Any) -> None:
        self.rows.append((table, {"patient_id": self.number, **values}))

    def key(self) -> str:
        return f"{self.number}-{len(self.rows)}"

    def seen(self, day: date) -> None:
        self.last_day = max(self.last_day, day)

    def drug(self, name: str, day: date, days_supply: int | None = None) -> None:
        self.seen(day)
        self.add(
            "drug_administrations",
            record_id=self.key(),
            record_type="dispensing" if days_supply else "administration",
            record_status="completed",
            drug_text=name,
            route="oral" if days_supply else "intravenous",
            start_date=day,
            days_supply=days_supply,
        )

    def first_line(self, day: date, days_supply: int | None = None) -> None:
        for name in FIRST_LINE_DRUGS[1:] if days_supply else FIRST_LINE_DRUGS:
            self.drug(name, day, days_supply)

    def visit(self, day: date) -> None:
        self.seen(day)
        self.add("encounters", encounter_id=self.key(), encounter_type="outpatient", start_date=day)

    def radiotherapy(self, day: date) -> None:
        self.add(
            "procedures",
            procedure_id=self.key(),
            procedure_type="radiotherapy",
            procedure_date=day,
        )

    def adverse_event(self, day: date) -> None:
        self.add(
            "adverse_events", event_id=self.key(), term="Neutropenia", grade="3", onset_date=day
        )

    def assessment(self, day: date, response: str | None, **values: Any) -> str:
        """One visit at which the tumour was assessed; its identifier is returned."""
        self.seen(day)
        assessment_id = self.key()
        self.add(
            "tumour_assessments",
            **{
                "assessment_id": assessment_id,
                "assessment_date": day,
                "modality": "CT",
                "timepoint": "follow_up",
                "overall_response": response,
                **values,
            },
        )
        return assessment_id

    def baseline(self, day: date) -> str:
        return self.assessment(day, None, timepoint="baseline")

    def lesion(self, assessment_id: str, day: date, lesion_id: str, **values: Any) -> None:
        self.add(
            "lesion_measurements",
            measurement_id=self.key(),
            assessment_id=assessment_id,
            lesion_id=lesion_id,
            measured_date=day,
            **values,
        )

    def target(
        self, assessment_id: str, day: date, lesion_id: str, mm: float | None, node: bool = False
    ) -> None:
        self.lesion(
            assessment_id,
            day,
            lesion_id,
            lesion_role="target",
            is_lymph_node="yes" if node else "no",
            longest_diameter_mm=None if node else mm,
            short_axis_mm=mm if node else None,
            lesion_status=(
                "not_evaluable" if mm is None else "disappeared" if mm == 0 else "measured"
            ),
        )

    def vital(self, death: date | None, last_contact: date | None = None) -> None:
        """The only statement of vital status; a death is its last contact too."""
        known = last_contact or death or self.last_day
        self.add(
            "vital_status",
            record_id=self.key(),
            status="dead" if death else "alive",
            last_contact_date=known,
            death_date=death,
        )


def write_delivery(patients: Iterable[Patient], folder: Path) -> None:
    """Write one delivery with these patients."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in read_contract().tables}
    rows["delivery"].append(
        {
            "delivery_id": "endpoint cases",
            "site_code": SITE_CODE,
            "extract_date": EXTRACT_DATE,
            "synthetic": "yes",
        }
    )
    for patient in patients:
        for table, row in patient.rows:
            rows[table].append(row)
    folder.mkdir(parents=True)
    for name, contracted in read_contract().tables.items():
        with (folder / contracted.file_name).open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, [column.name for column in contracted.columns])
            writer.writeheader()
            writer.writerows(rows[name])
