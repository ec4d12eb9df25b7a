"""Patient timelines of the shared format, written as a delivery that `dbt build` reads.

A timeline gives days from day zero, the first proof of metastasis. Each becomes one patient; its
variants (rows repeated and out of order, all dates moved) become further patients of the delivery.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

from pipeline.contract import read_contract

SITE_CODE = "TEST"
DATA_CUTOFF = date(2021, 2, 19)  # of the study in seeds/studies/studies.csv
DAY_ZERO = date(2014, 1, 1)
SHIFTED_BY = 731
REGIONAL_ROUTE = "intra_arterial"
VARIANTS = ("plain", "repeated", "shifted")
SEVERE = dict(zip(VARIANTS, ("3", "4", "3"), strict=True))
ATTRIBUTED = dict(zip(VARIANTS, ("probable", "possible", "definite"), strict=True))
KNOWN_KEYS = {
    "id", "title", "source", "authority", "events", "expected", "expect_flags", "expect_no_flags",
    "expect_phases", "expect_attr", "alternates", "alternates_unchecked", "profile", "progression",
    "death", "data_cutoff", "local_therapy", "termination", "note", "invariants", "rule_set",
}  # fmt: skip


@dataclass(frozen=True)
class Exposure:
    """One drug on one day, days from day zero."""

    drug: str
    day: int
    supply: int | None = None
    regional: bool = False


@dataclass(frozen=True)
class Expectation:
    """What one rule set is expected to make of a timeline; without a profile, that of its name."""

    name: str
    profile: dict[str, Any] | None
    lines: list[dict[str, Any]]


@dataclass(frozen=True)
class Timeline:
    """One case of a timelines file."""

    case_id: str
    title: str
    exposures: list[Exposure]
    expectations: list[Expectation]
    flags: list[str] = field(default_factory=list)
    no_flags: list[str] = field(default_factory=list)
    phases: list[dict[str, Any]] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)
    progressions: list[int] = field(default_factory=list)
    operations: list[int] = field(default_factory=list)
    toxicity_stops: list[str] = field(default_factory=list)
    death: int | None = None
    data_cutoff: int | None = None

    def day_zero(self, variant: str) -> date:
        """The calendar day of day 0, such that the study's data cut-off falls as the case says."""
        if self.data_cutoff is not None:
            return DATA_CUTOFF - timedelta(days=self.data_cutoff)
        return DAY_ZERO + timedelta(days=SHIFTED_BY if variant == "shifted" else 0)


def read_timelines(path: Path) -> tuple[dict[str, Any], list[Timeline]]:
    """Return the default profile and the cases of a file.

    Raises ValueError for a key that this reader does not know.
    """
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    default: dict[str, Any] = document["meta"]["default_profile"]
    return default, [_timeline(case, default) for case in document["cases"]]


def _timeline(case: dict[str, Any], default: dict[str, Any]) -> Timeline:
    if unknown := set(case) - KNOWN_KEYS:
        raise ValueError(f"case {case['id']}: keys not understood: {', '.join(sorted(unknown))}")
    own_profile = merge_profile(default, case.get("profile", {}))
    expectations = [Expectation("as stated", own_profile, case["expected"])]
    expectations += [
        Expectation(
            alternate["name"],
            merge_profile(default, alternate["profile"]),
            alternate["expected"],
        )
        for alternate in case.get("alternates", [])
    ]
    expectations += [
        Expectation(alternate["name"], None, alternate["expected"])
        for alternate in case.get("alternates_unchecked", [])
    ]
    return Timeline(
        case_id=case["id"],
        title=case["title"],
        exposures=list(_exposures(case["events"])),
        expectations=expectations,
        flags=case.get("expect_flags", []),
        no_flags=case.get("expect_no_flags", []),
        phases=case.get("expect_phases", []),
        attributes=case.get("expect_attr", {}),
        progressions=case.get("progression", []),
        operations=[therapy["day"] for therapy in case.get("local_therapy", [])],
        toxicity_stops=[d for d, why in case.get("termination", {}).items() if why == "toxicity"],
        death=case.get("death"),
        data_cutoff=case.get("data_cutoff"),
    )


def merge_profile(default: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Lay a case's profile over the default one; class limits merge, all else is replaced."""
    merged = {**default, **changes}
    merged["add_days"] = {**default["add_days"], **changes.get("add_days", {})}
    return merged


def _exposures(events: Iterable[dict[str, Any]]) -> Iterator[Exposure]:
    for event in events:
        for repeat in range(event.get("n", 1)):
            yield Exposure(
                drug=event["drug"],
                day=event["start"] + repeat * event.get("every", 0),
                supply=event.get("supply"),
                regional=event.get("route") == "regional",
            )


def patient_number(case_id: str, variant: str) -> str:
    """The hospital's number of the patient who lives one variant of a case."""
    return f"{case_id}-{variant}"


def write_delivery(
    timelines: Iterable[Timeline], folder: Path, variants: Iterable[str] = VARIANTS
) -> None:
    """Write one delivery with a patient for each variant of each case."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in read_contract().tables}
    rows["delivery"] = [
        {
            "delivery_id": "timelines",
            "site_code": SITE_CODE,
            "extract_date": DATA_CUTOFF + timedelta(days=365),
            "synthetic": "yes",
        }
    ]
    for timeline in timelines:
        for variant in variants:
            for table, row in _patient_rows(timeline, variant):
                rows[table].append(row)
    _write_tables(rows, folder)


def _write_tables(rows: dict[str, list[dict[str, Any]]], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in read_contract().tables.items():
        with (folder / table.file_name).open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, [column.name for column in table.columns])
            writer.writeheader()
            writer.writerows(rows[name])


def _patient_rows(timeline: Timeline, variant: str) -> Iterator[tuple[str, dict[str, Any]]]:
    number = patient_number(timeline.case_id, variant)
    zero = timeline.day_zero(variant)

    def on(day: int) -> date:
        return zero + timedelta(days=day)

    yield "patients", {"patient_id": number, "sex": "female", "birth_date": "1955"}
    yield (
        "diagnoses",
        {
            "diagnosis_id": f"{number}-D",
            "patient_id": number,
            "diagnosis_date": on(0),
            "icdo3_topography": "C18.7",
            "icdo3_morphology": "8140/3",
        },
    )
    yield (
        "metastases",
        {
            "metastasis_id": f"{number}-M",
            "patient_id": number,
            "diagnosis_id": f"{number}-D",
            "organ": "liver",
            "metastasis_date": on(0),
        },
    )
    yield (
        "vital_status",
        {
            "record_id": f"{number}-V",
            "patient_id": number,
            "status": "alive" if timeline.death is None else "dead",
            "last_contact_date": DATA_CUTOFF if timeline.death is None else on(timeline.death),
            "death_date": None if timeline.death is None else on(timeline.death),
        },
    )
    for index, day in enumerate(timeline.progressions):
        yield (
            "tumour_assessments",
            {
                "assessment_id": f"{number}-A{index}",
                "patient_id": number,
                "assessment_date": on(day),
                "timepoint": "follow_up",
                "overall_response": "PD",
            },
        )
    for index, day in enumerate(timeline.operations):
        yield (
            "procedures",
            {
                "procedure_id": f"{number}-P{index}",
                "patient_id": number,
                "procedure_type": "metastasectomy",
                "procedure_date": on(day),
            },
        )
    for drug in timeline.toxicity_stops:
        yield (
            "adverse_events",
            {
                "event_id": f"{number}-{drug}",
                "patient_id": number,
                "term": "Toxicity that stopped a drug",
                "grade": SEVERE[variant],
                "onset_date": on(max(e.day for e in timeline.exposures if e.drug == drug)),
                "attribution": ATTRIBUTED[variant],
            },
        )
    for index, exposure in enumerate(_ordered(timeline, variant)):
        yield (
            "drug_administrations",
            {
                "record_id": f"{number}-{index}",
                "patient_id": number,
                "record_type": "dispensing" if exposure.supply else "administration",
                "record_status": "completed",
                "drug_text": exposure.drug,
                "route": (
                    REGIONAL_ROUTE
                    if exposure.regional
                    else "oral"
                    if exposure.supply
                    else "intravenous"
                ),
                "start_date": on(exposure.day),
                "days_supply": exposure.supply,
            },
        )


def _ordered(timeline: Timeline, variant: str) -> list[Exposure]:
    if variant != "repeated":
        return timeline.exposures
    rows = timeline.exposures + timeline.exposures[::2]
    random.Random(timeline.case_id).shuffle(rows)
    return rows
