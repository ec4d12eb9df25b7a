"""Generates the demo extract of one hospital: a clean delivery under the extract contract."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from synthetic import histories, population
from synthetic.casebook import Case, make_cases
from synthetic.cohort import (
    CALIBRATED,
    PUBLISHED_SCREENED,
    PUBLISHED_SIZE,
    CohortRow,
    draw_cohort,
    read_cohort,
)
from synthetic.contract import read_contract
from synthetic.days import EXTRACT_DATE, ISO
from synthetic.draws import Draws, stream
from synthetic.journey import Tally, write_patient
from synthetic.population import Population, hospital_number, plan_population
from synthetic.records import Scribe, Spellings
from synthetic.timeline import Patient
from synthetic.writing import (
    DeliveryFiles,
    check_columns,
    check_replaceable,
    replace_text,
    replacing,
)

DEFAULT_PATIENTS: Final = PUBLISHED_SCREENED
DEFAULT_SEED: Final = 20210219
FEWEST_PATIENTS: Final = 100
SMALLEST_COHORT: Final = 20
_MOST_PATIENTS: Final = 5_000_000

BLOCK: Final = 256
"""Patients that share one random stream; nothing else depends on it."""

# Random streams: 0 the population's order, 1 the cohort, 2 its cases, 3 near misses, 4 their
# cases, (5, block) the patients of a block.
_COHORT, _CASES, _NEAR_COHORT, _NEAR_CASES, _PATIENTS = 1, 2, 3, 4, 5


@dataclass(frozen=True)
class Planted:
    """What the generator knows about an extract that it wrote. For tests; nothing else reads it.

    `patients` are all of the extract, `screened` those with metastatic colorectal cancer.
    `excluded` counts patients by the criterion that must exclude them, in the order of the
    criteria; `her2_positive` breaks its count down. `included_patients` maps the
    cohort's patient numbers to patient ids; `near_misses` lists the ids of those who fail one
    criterion only. `lines` gives for each included patient the start, the drugs, the treatment
    days, the progression and the best response of each line. `unmapped_drug_texts` counts rows
    whose text names no known drug, `trial_drug_texts` those of a trial's unnamed drug.
    """

    seed: int
    cohort_kind: str
    patients: int
    screened: int
    included: int
    excluded: dict[str, int]
    her2_positive: dict[str, int]
    rows: dict[str, int]
    unmapped_drug_texts: dict[str, int]
    trial_drug_texts: dict[str, int]
    partial_dates: dict[str, int]
    included_patients: dict[str, str]
    near_misses: dict[str, list[str]]
    lines: dict[str, list[dict[str, object]]]


def generate(
    folder: Path,
    *,
    patients: int = DEFAULT_PATIENTS,
    seed: int = DEFAULT_SEED,
    cohort: Path | None = None,
) -> Planted:
    """Write one CSV file per contract table into `folder`, and `<folder>.planted.json` beside it.

    `patients` metastatic colorectal cancer patients, plus about 13% who never spread or have
    another primary. `cohort` is a CSV in the form of calibrated_cohort.csv; without it the
    calibrated cohort is taken for 2,460 patients, and a cohort is drawn for any other number.
    The same arguments give the same bytes. The folder is replaced whole; one that holds anything
    but a delivery's files is refused. Raises ValueError for bad arguments or a bad cohort file.
    """
    folder = Path(folder)
    _check_arguments(patients, seed)
    contract = read_contract()
    check_columns(contract)
    check_replaceable(folder, contract.columns)
    rows, kind = _cohort(patients, seed, cohort)
    plan = plan_population(patients, len(rows), seed)
    author = _Author(plan, rows, seed)
    with replacing(folder) as new:
        files = DeliveryFiles(new)
        try:
            spellings = Spellings(contract)
            for first in range(0, plan.size, BLOCK):
                author.write_block(first, spellings, files)
            files.write({"delivery": [("DEMO-2021-03", "H01", ISO[EXTRACT_DATE], "yes")]})
        finally:
            files.close()
        planted = author.planted(seed, patients, kind, files.row_counts)
    replace_text(
        folder.with_name(folder.name + ".planted.json"),
        json.dumps(asdict(planted), ensure_ascii=False, indent=1) + "\n",
    )
    return planted


def _check_arguments(patients: int, seed: int) -> None:
    if not isinstance(patients, int) or isinstance(patients, bool):
        raise ValueError("patients: give a whole number")
    if not FEWEST_PATIENTS <= patients <= _MOST_PATIENTS:
        raise ValueError(
            f"patients: {patients} is outside {FEWEST_PATIENTS} to {_MOST_PATIENTS}; fewer cannot"
            " hold a cohort and one near miss of each kind"
        )
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise ValueError("seed: give a whole number of at least 0")


def _cohort(patients: int, seed: int, cohort: Path | None) -> tuple[list[CohortRow], str]:
    if cohort is not None:
        return read_cohort(Path(cohort)), "file"
    if patients == PUBLISHED_SCREENED:
        return read_cohort(CALIBRATED), "calibrated"
    size = max(SMALLEST_COHORT, round(patients * PUBLISHED_SIZE / PUBLISHED_SCREENED))
    return draw_cohort(size, stream(seed, _COHORT)), "drawn"


class _Author:
    """Writes blocks of patients and remembers what was planted."""

    def __init__(self, plan: Population, rows: list[CohortRow], seed: int) -> None:
        self._plan = plan
        self._seed = seed
        self._cases = make_cases(rows, Draws(stream(seed, _CASES)))
        near = sum(plan.counts[name] for name in population.NEAR_MISSES)
        near_rows = draw_cohort(near, stream(seed, _NEAR_COHORT))
        self._near_cases = make_cases(near_rows, Draws(stream(seed, _NEAR_CASES)))
        self._near_offset: dict[str, int] = {}
        offset = 0
        for name in population.NEAR_MISSES:
            self._near_offset[name] = offset
            offset += plan.counts[name]
        self._tally = Tally()
        self._included: dict[int, str] = {}
        self._near: dict[str, list[str]] = {name: [] for name in population.NEAR_MISSES}
        self._lines: dict[str, list[dict[str, object]]] = {}

    def write_block(self, first: int, spellings: Spellings, files: DeliveryFiles) -> None:
        """Patients `first` .. `first + BLOCK - 1`, from their own random stream."""
        d = Draws(stream(self._seed, _PATIENTS, first // BLOCK))
        scribe = Scribe(spellings, d)
        roles = self._plan.roles[first : first + BLOCK].tolist()
        slots = self._plan.slots[first : first + BLOCK].tolist()
        for number, (role, slot) in enumerate(zip(roles, slots, strict=True), start=first + 1):
            patient = self._patient(number, population.ROLES[role], slot, d)
            write_patient(scribe, patient, self._tally, d)
        files.write(scribe.tables)

    def _patient(self, number: int, role: str, slot: int, d: Draws) -> Patient:
        patient_id = hospital_number(number)
        if role == population.INCLUDED:
            case = self._cases[slot]
            patient = histories.study_patient(case, number, patient_id, None, d)
            self._remember(case, patient)
            return patient
        if role in population.NEAR_MISSES:
            self._near[role].append(patient_id)
            case = self._near_cases[self._near_offset[role] + slot]
            return histories.study_patient(case, number, patient_id, role, d)
        if role == population.LOCAL:
            return histories.local_patient(number, patient_id, d)
        if role in (population.ELSEWHERE, population.NOT_ADENOCARCINOMA):
            return histories.other_patient(number, patient_id, role == population.ELSEWHERE, d)
        her2 = "negative"
        if role == population.HER2_UNKNOWN:
            her2 = "equivocal" if d.chance(0.06) else "untested"
        return histories.background_patient(number, patient_id, her2, d)

    def _remember(self, case: Case, patient: Patient) -> None:
        self._included[case.row.patient_number] = patient.patient_id
        self._lines[patient.patient_id] = [
            {
                "line": line.number,
                "start": ISO[line.start],
                "drugs": sorted(line.regimen.drugs),
                "cycles": [ISO[day] for day in line.cycles],
                "progression": None if line.progression is None else ISO[line.progression],
                "best_response": line.best if line.visits else None,
            }
            for line in patient.lines
        ]

    def planted(self, seed: int, patients: int, kind: str, row_counts: dict[str, int]) -> Planted:
        """The truth about what has been written."""
        counts = self._plan.counts
        return Planted(
            seed=seed,
            cohort_kind=kind,
            patients=self._plan.size,
            screened=patients,
            included=counts[population.INCLUDED],
            excluded=self._plan.excluded(),
            her2_positive={
                "not_met": counts[population.HER2_NEGATIVE],
                "unknown": counts[population.HER2_UNKNOWN],
                "below_50_pct": counts["her2_positive"],
            },
            rows=dict(row_counts),
            unmapped_drug_texts=dict(sorted(self._tally.unmapped.items())),
            trial_drug_texts=dict(sorted(self._tally.trial.items())),
            partial_dates=dict(sorted(self._tally.partial.items())),
            included_patients={
                str(number): patient_id for number, patient_id in sorted(self._included.items())
            },
            near_misses=self._near,
            lines=self._lines,
        )
