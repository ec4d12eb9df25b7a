"""The study's cohort, one row a patient: read from a file, or drawn from a model.

The model. Covariates are independent with the prevalences of the study's Table 1, except that
metachronous patients have had their primary resected. First-line groups are shared out by RAS/BRAF
status in the proportions of Table 3. Overall survival is Weibull with proportional hazards: the
hazard ratios of Table 7, and one for first-line trastuzumab. Time to progression is Weibull with
a hazard ratio per first-line group and lies before death. Entry is denser late in the study period,
and everybody alive is censored at the data cut-off. Lines of therapy and the line of trastuzumab
follow from the time left after progression.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np

from synthetic.days import DATA_CUTOFF, STUDY_OPENS
from synthetic.quotas import expand, largest_remainder
from synthetic.regimens import FIRST_LINE, TRASTUZUMAB_LINES

CALIBRATED: Final = Path(__file__).with_name("calibrated_cohort.csv")
PUBLISHED_SIZE: Final = 63
PUBLISHED_SCREENED: Final = 2460

LONGEST_LEAD: Final = 40
"""Most days from the index date to the first dose of line 1."""

LONGEST_FOLLOW_UP: Final = DATA_CUTOFF - STUDY_OPENS - LONGEST_LEAD
SHORTEST_PFS: Final = 28
"""Least days to a first progression or last assessment: two cycles and a scan have to fit."""


@dataclass(slots=True)
class CohortRow:
    """Covariates and times of one patient; times are days from the first dose of line 1.

    `os_days` to death or last contact, `pfs_days` to the first progression or last assessment.
    """

    patient_number: int
    age_group: str
    sex: str
    primary_site: str
    metastatic_organs: str
    metastatic_pattern: str
    therapy_lines: str
    differentiation: str
    primary_resection: str
    metastasectomy: str
    ras_braf: str
    adjuvant_chemotherapy: str
    local_therapy: str
    first_line_group: str
    trastuzumab_line: int | None
    os_days: int
    death: int
    pfs_days: int
    pfs_event: int

    @property
    def days_after_progression(self) -> int:
        """Days from the first progression to death or last contact; 0 without progression."""
        return self.os_days - self.pfs_days if self.pfs_event else 0


COLUMNS: Final = tuple(field.name for field in fields(CohortRow))

_YES_NO: Final = ("yes", "no")
LEVELS: Final[dict[str, tuple[str, ...]]] = {
    "age_group": ("<54", ">=54"),
    "sex": ("male", "female"),
    "primary_site": ("left colon and rectum", "right colon"),
    "metastatic_organs": ("single", ">=2"),
    "metastatic_pattern": ("synchronous", "metachronous"),
    "therapy_lines": ("first", "second", "third or later"),
    "differentiation": ("poor", "medium", "well"),
    "primary_resection": _YES_NO,
    "metastasectomy": _YES_NO,
    "ras_braf": ("wild type", "mutant"),
    "adjuvant_chemotherapy": _YES_NO,
    "local_therapy": _YES_NO,
    "first_line_group": (
        "chemotherapy alone",
        "plus bevacizumab",
        "plus cetuximab",
        "plus trastuzumab",
    ),
    "trastuzumab_line": ("", "1", "2", "3", "4"),
    "death": ("0", "1"),
    "pfs_event": ("0", "1"),
}

FEWEST_LINES: Final = {"first": 1, "second": 2, "third or later": 3}

# Days that a later line takes at least: from the progression before it to its start, and from
# there to its own progression (the next line) or to the last contact (the last line).
GAP_DAYS: Final = 2
LINE_DAYS: Final = 30
LINE_DAYS_WITH_RESPONSE: Final = 42
LAST_LINE_DAYS: Final = 15
LAST_LINE_DAYS_WITH_RESPONSE: Final = 29


def days_needed(wanted: Iterable[str | None], died: bool) -> int:
    """Days after the first progression that later lines need.

    `wanted` holds the best response that each must show ("PR", "SD", "PD", or None for any).
    """
    responses = list(wanted)
    needed = 1 if died else 0
    for position, response in enumerate(responses, start=1):
        last = position == len(responses)
        if response in ("PR", "SD"):
            needed += LAST_LINE_DAYS_WITH_RESPONSE if last else LINE_DAYS_WITH_RESPONSE
        else:
            needed += LAST_LINE_DAYS if last else LINE_DAYS
        needed += GAP_DAYS
    return needed


def fewest_lines(row: CohortRow) -> int:
    """Lines that the patient must have had."""
    return max(FEWEST_LINES[row.therapy_lines], row.trastuzumab_line or 1)


def read_cohort(path: Path) -> list[CohortRow]:
    """Rows of a CSV in the calibrated form.

    Raises ValueError that names file, row (the header is row 1), column and remedy.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); give a CSV file") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not UTF-8 text; save it as UTF-8") from error
    lines = list(csv.reader(text.splitlines()))
    header = tuple(lines[0]) if lines else ()
    if header != COLUMNS:
        missing = [name for name in COLUMNS if name not in header]
        extra = [name for name in header if name not in COLUMNS]
        raise ValueError(
            f"{path}, row 1: the columns must be {', '.join(COLUMNS)}, in this order"
            + (f"; add {', '.join(missing)}" if missing else "")
            + (f"; remove {', '.join(extra)}" if extra else "")
        )
    rows = [
        _parse_row(path, number, cells) for number, cells in enumerate(lines[1:], start=2) if cells
    ]
    if not rows:
        raise ValueError(f"{path}: has no patients; add one row a patient")
    seen: set[int] = set()
    for number, row in enumerate(rows, start=2):
        if row.patient_number in seen:
            raise _fault(path, number, "patient_number", "is used twice; number patients once")
        seen.add(row.patient_number)
    return rows


def _fault(path: Path, number: int, column: str, what: str) -> ValueError:
    return ValueError(f"{path}, row {number}, column {column}: {what}")


def _parse_row(path: Path, number: int, cells: list[str]) -> CohortRow:
    if len(cells) != len(COLUMNS):
        raise ValueError(
            f"{path}, row {number}: has {len(cells)} cells; give the {len(COLUMNS)} of the header"
        )
    values = dict(zip(COLUMNS, (cell.strip() for cell in cells), strict=True))
    for column, levels in LEVELS.items():
        if values[column] not in levels:
            allowed = ", ".join(level or "(empty)" for level in levels)
            raise _fault(path, number, column, f"is not one of the levels; use {allowed}")
    numbers: dict[str, int] = {}
    for column in ("patient_number", "os_days", "pfs_days"):
        if not values[column].isascii() or not values[column].isdigit():
            raise _fault(path, number, column, "is not a whole number; write digits only")
        numbers[column] = int(values[column])
    line = values["trastuzumab_line"]
    row = CohortRow(
        numbers["patient_number"],
        values["age_group"],
        values["sex"],
        values["primary_site"],
        values["metastatic_organs"],
        values["metastatic_pattern"],
        values["therapy_lines"],
        values["differentiation"],
        values["primary_resection"],
        values["metastasectomy"],
        values["ras_braf"],
        values["adjuvant_chemotherapy"],
        values["local_therapy"],
        values["first_line_group"],
        int(line) if line else None,
        numbers["os_days"],
        int(values["death"]),
        numbers["pfs_days"],
        int(values["pfs_event"]),
    )
    _check_row(path, number, row)
    return row


def _check_row(path: Path, number: int, row: CohortRow) -> None:
    """Refuse what no treatment history can show."""
    if not SHORTEST_PFS <= row.os_days <= LONGEST_FOLLOW_UP:
        raise _fault(
            path,
            number,
            "os_days",
            f"is outside {SHORTEST_PFS} to {LONGEST_FOLLOW_UP}, the days the study period holds",
        )
    if not SHORTEST_PFS <= row.pfs_days <= row.os_days:
        raise _fault(path, number, "pfs_days", f"must lie in {SHORTEST_PFS} to os_days")
    if row.death and not row.pfs_event:
        raise _fault(path, number, "pfs_event", "must be 1: a death ends progression-free survival")
    if row.pfs_event and not row.death and row.pfs_days == row.os_days:
        raise _fault(
            path, number, "pfs_days", "must be before the last contact when it is an event"
        )
    in_first_line = row.trastuzumab_line == 1
    takes_in_first_line = (row.ras_braf, row.first_line_group) == ("wild type", "plus trastuzumab")
    if in_first_line != takes_in_first_line:
        raise _fault(
            path,
            number,
            "trastuzumab_line",
            "must be 1 exactly for wild type patients in the group plus trastuzumab",
        )
    if row.first_line_group == "plus trastuzumab" and row.trastuzumab_line not in (None, 1):
        raise _fault(
            path, number, "trastuzumab_line", "must be empty or 1 in the group plus trastuzumab"
        )
    most = {"first": 1, "second": 2}.get(row.therapy_lines, 5)
    if (row.trastuzumab_line or 1) > most:
        raise _fault(path, number, "therapy_lines", "has fewer lines than trastuzumab_line says")
    later = fewest_lines(row) - 1
    if later and not row.pfs_event:
        raise _fault(path, number, "therapy_lines", "must be first while there is no progression")
    needed = days_needed([None] * later, bool(row.death)) if later else 0
    if row.days_after_progression < needed:
        raise _fault(
            path,
            number,
            "pfs_days",
            f"leaves {row.days_after_progression} days for {later} further lines, which need"
            f" {needed}; lower pfs_days or therapy_lines, or raise os_days",
        )


# --- the model -----------------------------------------------------------------------------------

# Prevalences: the study's Table 1, counts of 63. Resection and adjuvant treatment are by pattern
# (the margins 52 and 25 are Table 1's; the split is the calibrated cohort's).
_OF_63: Final = {
    "age >=54": 33,
    "male": 41,
    "right colon": 7,
    ">=2 organs": 41,
    "metachronous": 27,
    "poor": 7,
    "well": 2,
    "metastasectomy": 19,
    "local therapy": 23,
}
_RESECTED_OF_SYNCHRONOUS: Final = 25 / 36
_ADJUVANT: Final = {"synchronous": 10 / 36, "metachronous": 15 / 27}

# Overall survival: hazard ratios of Table 7 (0.475 is what the printed interval and P value of the
# metastatic pattern give; the printed 0.126 lies outside its own interval). Scale and shape are
# set so that the cohort's median is near the printed 48.2 months.
_HR_FEMALE: Final = 0.227
_HR_RIGHT: Final = 3.034
_HR_METACHRONOUS: Final = 0.475
_HR_UNRESECTED: Final = 4.835
_HR_FIRST_LINE_TRASTUZUMAB: Final = 0.4
_OS_SHAPE: Final = 1.15
_OS_SCALE_DAYS: Final = 1400.0

_ENTRY_POWER: Final = 1.4
"""Above 1: more patients enter late, as HER2 testing became usual."""

# Progression: printed medians of Figure 4 are 6.3, 8.4 and 6.7 months and not reached.
_PFS_SHAPE: Final = 1.1
_PFS_SCALE_DAYS: Final = 440.0
_PFS_HR: Final = {
    "chemotherapy alone": 1.1,
    "plus bevacizumab": 0.8,
    "plus cetuximab": 1.05,
    "plus trastuzumab": 0.12,
}
_FIRST_SCAN_DAYS: Final = 42

# Wish for lines after a progression; what does not fit the time left is cut to what does.
_WISH_SECOND: Final = 0.25
_WISH_THIRD: Final = 0.55


def draw_cohort(size: int, generator: np.random.Generator) -> list[CohortRow]:
    """`size` patients of the model above, numbered from 1."""
    u = generator.random((10, size))
    share = {name: count / PUBLISHED_SIZE for name, count in _OF_63.items()}
    female = u[1] >= share["male"]
    right = u[2] < share["right colon"]
    metachronous = u[3] < share["metachronous"]
    resected = metachronous | (u[4] < _RESECTED_OF_SYNCHRONOUS)
    adjuvant = resected & (
        u[5] < np.where(metachronous, _ADJUVANT["metachronous"], _ADJUVANT["synchronous"])
    )
    strata = expand(size, {key: sum(cells.values()) for key, cells in FIRST_LINE.items()})
    strata = [strata[i] for i in generator.permutation(size)]
    groups = [group for _, group in strata]
    anti_her2 = np.array([group == "plus trastuzumab" for group in groups])

    hazard = (
        np.where(female, _HR_FEMALE, 1.0)
        * np.where(right, _HR_RIGHT, 1.0)
        * np.where(metachronous, _HR_METACHRONOUS, 1.0)
        * np.where(resected, 1.0, _HR_UNRESECTED)
        * np.where(anti_her2, _HR_FIRST_LINE_TRASTUZUMAB, 1.0)
    )
    death_after = _weibull(
        generator.random(size), hazard, _OS_SHAPE, _OS_SCALE_DAYS, 2 * _FIRST_SCAN_DAYS - 14
    )
    progression_hazard = np.array([_PFS_HR[group] for group in groups])
    progression_after = _weibull(
        generator.random(size), progression_hazard, _PFS_SHAPE, _PFS_SCALE_DAYS, _FIRST_SCAN_DAYS
    )
    shortest = 2 * _FIRST_SCAN_DAYS
    follow_up = shortest + (
        (LONGEST_FOLLOW_UP - shortest) * generator.random(size) ** _ENTRY_POWER
    ).astype(int)
    died = death_after <= follow_up
    os_days = np.where(died, death_after, follow_up)
    before_death = np.maximum(
        (os_days * (0.4 + 0.5 * generator.random(size))).astype(int), _FIRST_SCAN_DAYS
    )
    progressed = died | (progression_after < os_days)
    pfs_days = np.where(
        died & (progression_after >= os_days - 5),
        before_death,
        np.where(progressed, progression_after, os_days),
    )

    left = np.where(progressed, os_days - pfs_days, 0)
    lines = _draw_lines(left, died, generator.random(size))
    trastuzumab = _draw_trastuzumab_lines(strata, lines, left, died, generator)
    return [
        CohortRow(
            patient_number=i + 1,
            age_group=">=54" if u[0, i] < share["age >=54"] else "<54",
            sex="female" if female[i] else "male",
            primary_site="right colon" if right[i] else "left colon and rectum",
            metastatic_organs=">=2" if u[6, i] < share[">=2 organs"] else "single",
            metastatic_pattern="metachronous" if metachronous[i] else "synchronous",
            therapy_lines=("first", "second", "third or later")[int(lines[i]) - 1],
            differentiation=(
                "poor"
                if u[7, i] < share["poor"]
                else "well"
                if u[7, i] < share["poor"] + share["well"]
                else "medium"
            ),
            primary_resection="yes" if resected[i] else "no",
            metastasectomy="yes" if u[8, i] < share["metastasectomy"] else "no",
            ras_braf=strata[i][0],
            adjuvant_chemotherapy="yes" if adjuvant[i] else "no",
            local_therapy="yes" if u[9, i] < share["local therapy"] else "no",
            first_line_group=groups[i],
            trastuzumab_line=trastuzumab[i],
            os_days=int(os_days[i]),
            death=int(died[i]),
            pfs_days=int(pfs_days[i]),
            pfs_event=int(progressed[i]),
        )
        for i in range(size)
    ]


def _weibull(
    uniform: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    hazard_ratio: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    shape: float,
    scale: float,
    after: int,
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Whole days from S(t) = exp(-hazard_ratio (t / scale) ** shape), given that t > after."""
    lived = (after / scale) ** shape
    days: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    days = scale * (lived - np.log1p(-uniform) / hazard_ratio) ** (1 / shape)
    return np.minimum(np.ceil(days), 10 * LONGEST_FOLLOW_UP).astype(np.int64)


def _draw_lines(
    left: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    died: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    uniform: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Lines of therapy (3 for three or more) that fit the days left after progression."""
    wish = np.where(uniform < _WISH_THIRD, 3, np.where(uniform < _WISH_THIRD + _WISH_SECOND, 2, 1))
    for count in (3, 2):
        needed = np.where(
            died, days_needed(["SD"] * (count - 1), True), days_needed(["SD"] * (count - 1), False)
        )
        wish = np.where((wish == count) & (left < needed), count - 1, wish)
    return wish.astype(np.int64)


def _draw_trastuzumab_lines(
    strata: list[tuple[str, str]],
    lines: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    left: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    died: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    generator: np.random.Generator,
) -> list[int | None]:
    """Line of trastuzumab: the first for its group, else shares of the study among who has room."""
    size = len(strata)
    chosen: list[int | None] = [
        1 if stratum == ("wild type", "plus trastuzumab") else None for stratum in strata
    ]
    later = {line: sum(cells.values()) for line, cells in TRASTUZUMAB_LINES.items() if line > 1}
    never = PUBLISHED_SIZE - sum(later.values())
    quotas = dict(zip(later, largest_remainder(size, [*later.values(), never]), strict=False))
    order = [int(i) for i in generator.permutation(size)]
    for line in (4, 3, 2):
        for i in order:
            if not quotas[line]:
                break
            free = chosen[i] is None and strata[i][1] != "plus trastuzumab"
            room = left[i] >= days_needed([None] * (line - 2) + ["SD"], bool(died[i]))
            if free and room and lines[i] >= min(line, 3):
                chosen[i] = line
                quotas[line] -= 1
    return chosen
