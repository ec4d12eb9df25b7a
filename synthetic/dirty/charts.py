"""A delivery in memory, patient by patient, so that it can be spoilt and written again."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Final

from synthetic.contract import read_contract
from synthetic.records import COLUMNS

PATIENT: Final = "patient_id"
_ADENOCARCINOMAS: Final = ("8140", "8210", "8211", "8261", "8263", "8480", "8481", "8490")


class Record:
    """One record of a file: its cells by column."""

    __slots__ = ("cells", "table")

    def __init__(self, table: str, cells: list[str]) -> None:
        """`cells` in the order of the contract's columns."""
        self.table = table
        self.cells = cells

    def __getitem__(self, column: str) -> str:
        """The text of a cell."""
        return self.cells[COLUMNS[self.table].index(column)]

    def __setitem__(self, column: str, value: str) -> None:
        """Change the text of a cell."""
        self.cells[COLUMNS[self.table].index(column)] = value

    @property
    def key(self) -> str:
        """Its row key; the patient number in patients."""
        return self.cells[0]

    def code(self, column: str) -> str:
        """The contract's code of a coded cell, whatever its spelling."""
        return _codes()[self.table, column].get(self[column].strip().lower(), self[column])


@dataclass
class Chart:
    """All records of one patient. `is_taken`: a defect has been planted in it."""

    patient_id: str
    delivery: Delivery
    records: dict[str, list[Record]] = field(default_factory=dict)
    is_taken: bool = False

    def __getitem__(self, table: str) -> list[Record]:
        """The patient's records of a table."""
        return self.records.get(table, [])

    def add(self, like: Record, **changes: str) -> Record:
        """Append a copy of a record with another row key, and with these cells changed."""
        copy = Record(like.table, [*like.cells])
        if COLUMNS[like.table][0] != PATIENT:
            copy.cells[0] = f"{like.key}-{len(self[like.table]) + 1}"
        for column, value in changes.items():
            copy[column] = value
        self.records.setdefault(like.table, []).append(copy)
        self.delivery.tables[like.table].append(copy)
        return copy

    def with_code(self, table: str, column: str, *codes: str) -> list[Record]:
        """The records that have one of these codes in a column."""
        return [record for record in self[table] if record.code(column) in codes]

    @property
    def is_colorectal(self) -> bool:
        """Whether the first primary is an adenocarcinoma of the colorectum, of which marts know."""
        first = self["diagnoses"][0]
        return (
            first["icdo3_topography"][:3] in ("C18", "C19", "C20")
            and first["icdo3_morphology"][:4] in _ADENOCARCINOMAS
        )

    @property
    def death(self) -> str:
        """The one full date of death of somebody dead, or nothing."""
        dates = [record["death_date"] for record in self["vital_status"] if record["death_date"]]
        return dates[0] if len(dates) == 1 and is_day(dates[0]) else ""


class Delivery:
    """Every table of a delivery; `charts` in the order of patients.csv."""

    def __init__(self, folder: Path) -> None:
        """Read the files of a folder that `generate` has written."""
        self.tables = {table: list(_read(folder, table)) for table in COLUMNS}
        self.charts = {record.key: Chart(record.key, self) for record in self.tables["patients"]}
        for table, records in self.tables.items():
            if PATIENT in COLUMNS[table]:
                for record in records:
                    chart = self.charts[record[PATIENT]]
                    chart.records.setdefault(table, []).append(record)

    def add_patient(self, like: Chart, patient_id: str) -> Chart:
        """Add a patient of whom nothing is known but the row in patients.csv."""
        chart = self.charts[patient_id] = Chart(patient_id, self)
        chart.add(like["patients"][0], patient_id=patient_id)
        return chart

    def write(self, folder: Path) -> None:
        """Write every file anew."""
        for table, records in self.tables.items():
            with (folder / f"{table}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(COLUMNS[table])
                writer.writerows(record.cells for record in records)


def is_day(text: str) -> bool:
    """Whether a date is known to the day."""
    return len(text) == len("YYYY-MM-DD")


def shift(day: str, days: int) -> str:
    """The date so many days after a date; both YYYY-MM-DD."""
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def _read(folder: Path, table: str) -> Iterator[Record]:
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows)
        for row in rows:
            yield Record(table, row)


@cache
def _codes() -> dict[tuple[str, str], dict[str, str]]:
    return {
        column: {
            spelling.lower(): code for code, others in codes.items() for spelling in (code, *others)
        }
        for column, codes in read_contract().codes.items()
    }
