"""Who is in the extract: the cohort, who just misses it, and everybody else, in mixed order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from synthetic.cohort import PUBLISHED_SCREENED
from synthetic.draws import stream

INCLUDED: Final = "included"
HER2_NEGATIVE: Final = "her2 negative"
HER2_UNKNOWN: Final = "her2 unknown"
LOCAL: Final = "metastatic_disease"
ELSEWHERE: Final = "other primary"
NOT_ADENOCARCINOMA: Final = "not adenocarcinoma"

NEAR_MISSES: Final = {
    "consent": 12,
    "her2_positive": 14,
    "measurable_lesion": 7,
    "ecog": 9,
    "comorbidity": 8,
    "cycles": 6,
    "ras_braf_tested": 10,
}
"""Patients, of 2,460 screened, who meet every criterion but this one."""

_OUTSIDE: Final = {LOCAL: 180, ELSEWHERE: 120, NOT_ADENOCARCINOMA: 20}
"""Patients who come on top of each 2,460 screened: never metastatic, or another primary."""

_HER2_NEGATIVE_SHARE: Final = 0.75

ROLES: Final = (
    INCLUDED,
    *NEAR_MISSES,
    HER2_NEGATIVE,
    HER2_UNKNOWN,
    LOCAL,
    ELSEWHERE,
    NOT_ADENOCARCINOMA,
)

CRITERIA: Final = (
    "primary_diagnosis",
    "metastatic_disease",
    "consent",
    "her2_positive",
    "measurable_lesion",
    "ecog",
    "comorbidity",
    "cycles",
    "ras_braf_tested",
)
"""The study's criteria in the order in which patients are excluded."""


@dataclass(frozen=True)
class Population:
    """`roles[i]` indexes ROLES for patient i; `slots[i]` counts within the role."""

    counts: dict[str, int]
    roles: np.ndarray[tuple[int, ...], np.dtype[np.int8]]
    slots: np.ndarray[tuple[int, ...], np.dtype[np.int32]]

    @property
    def size(self) -> int:
        """All patients of the extract."""
        return len(self.roles)

    def excluded(self) -> dict[str, int]:
        """Patients that each criterion excludes, in its turn."""
        counts = self.counts
        her2 = counts["her2_positive"] + counts[HER2_NEGATIVE] + counts[HER2_UNKNOWN]
        other = counts[ELSEWHERE] + counts[NOT_ADENOCARCINOMA]
        reasons = {"primary_diagnosis": other, "her2_positive": her2}
        return {name: reasons.get(name, counts.get(name, 0)) for name in CRITERIA}


def plan_population(patients: int, cohort: int, seed: int) -> Population:
    """Roles for `patients` metastatic colorectal patients, `cohort` of them included, and the rest.

    Raises ValueError when the cohort leaves no room for the near misses.
    """
    scale = patients / PUBLISHED_SCREENED
    counts = {INCLUDED: cohort}
    counts |= {name: max(1, round(count * scale)) for name, count in NEAR_MISSES.items()}
    negative = patients - sum(counts.values())
    if negative < 0:
        raise ValueError(
            f"patients: {patients} cannot hold a cohort of {cohort} and"
            f" {sum(counts.values()) - cohort} near misses; raise patients or shorten the cohort"
        )
    counts[HER2_NEGATIVE] = round(negative * _HER2_NEGATIVE_SHARE)
    counts[HER2_UNKNOWN] = negative - counts[HER2_NEGATIVE]
    counts |= {name: max(1, round(count * scale)) for name, count in _OUTSIDE.items()}
    sizes = [counts[role] for role in ROLES]
    roles = np.repeat(np.arange(len(ROLES), dtype=np.int8), sizes)
    slots = np.concatenate([np.arange(size, dtype=np.int32) for size in sizes])
    order = stream(seed, 0).permutation(len(roles))
    return Population(counts, roles[order], slots[order])


_FIRST_NUMBER: Final = 10_000_000
_NUMBERS: Final = 89_999_949
_STEP: Final = 48_611_741


def hospital_number(number: int) -> str:
    """An eight-digit hospital number, different for each patient: step and modulus are coprime."""
    return str(_FIRST_NUMBER + (number * _STEP + 7_654_321) % _NUMBERS)
