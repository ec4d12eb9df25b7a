"""From cohort rows to cases: what is shared out over the whole cohort by printed counts.

Regimens (Tables 2 and 3), best responses in the trastuzumab line (Table 4), adverse events
(Table 5), ages, liver metastases (Table 1) and mutated genes are quotas of a cohort, so they are
settled here, before any patient's days are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeVar

from synthetic.cohort import CohortRow, days_needed, fewest_lines
from synthetic.draws import Draws
from synthetic.quotas import expand, largest_remainder
from synthetic.regimens import (
    BACKBONES,
    FIRST_LINE,
    LATE_ADDITION_DAYS,
    TRASTUZUMAB_LINES,
    TRASTUZUMAB_RESPONSES,
    Regimen,
    brings_new_chemo,
    first_line,
)

Item = TypeVar("Item")

PUBLISHED_GROUP_SIZE: Final = {
    "chemotherapy alone": 31,
    "plus bevacizumab": 12,
    "plus cetuximab": 8,
    "plus trastuzumab": 3,
}
"""Wild type patients by first-line group (the study's Table 3)."""

MILD: Final = "1-2"
SEVERE: Final = "3-4"

PUBLISHED_EVENTS: Final[dict[str, dict[tuple[str, str], int]]] = {
    "chemotherapy alone": {
        ("myelosuppression", MILD): 6,
        ("myelosuppression", SEVERE): 3,
        ("gastrointestinal", MILD): 13,
        ("gastrointestinal", SEVERE): 4,
        ("liver dysfunction", MILD): 3,
        ("liver dysfunction", SEVERE): 1,
        ("neurotoxicity", MILD): 1,
        ("hand-foot syndrome", MILD): 1,
        ("hand-foot syndrome", SEVERE): 1,
        ("haemorrhage", MILD): 1,
    },
    "plus bevacizumab": {
        ("myelosuppression", MILD): 3,
        ("myelosuppression", SEVERE): 1,
        ("gastrointestinal", MILD): 2,
        ("gastrointestinal", SEVERE): 1,
        ("liver dysfunction", MILD): 1,
        ("hand-foot syndrome", MILD): 1,
        ("haemorrhage", MILD): 1,
        ("proteinuria", MILD): 2,
    },
    "plus cetuximab": {
        ("myelosuppression", MILD): 2,
        ("gastrointestinal", MILD): 1,
        ("gastrointestinal", SEVERE): 1,
        ("liver dysfunction", MILD): 1,
        ("neurotoxicity", MILD): 1,
        ("hand-foot syndrome", MILD): 1,
        ("rash", MILD): 3,
        ("rash", SEVERE): 1,
    },
    "plus trastuzumab": {
        ("myelosuppression", MILD): 2,
        ("myelosuppression", SEVERE): 1,
        ("gastrointestinal", MILD): 9,
        ("gastrointestinal", SEVERE): 3,
        ("liver dysfunction", MILD): 2,
    },
}
"""Events (not patients) of wild type patients in line 1, by group: the study's Table 5."""

CAUSED_BY: Final[dict[str, frozenset[str]]] = {
    "neurotoxicity": frozenset({"oxaliplatin"}),
    "hand-foot syndrome": frozenset({"capecitabine", "fluorouracil", "s1"}),
}
"""Drugs that explain a toxicity; events go to patients who have one of them, if any."""

LIVER_OF_SINGLE: Final = (18, 22)
LIVER_OF_SEVERAL: Final = (15, 41)
YOUNGEST: Final = 27
OLDEST: Final = 78
AGE_SPLIT: Final = 54
_TRIES_FOR_A_CAUSE: Final = 25
_ROUNDS_OF_SWAPS: Final = 200
_FIRST_SD_DAYS: Final = 42
"""A progression this early leaves no room for stable disease before it."""


@dataclass(slots=True)
class Case:
    """A cohort row with everything that its cohort's quotas settle.

    `regimens` and `responses` are by line; a regimen of None is free, a response of None is free.
    """

    row: CohortRow
    age: int
    liver: bool
    mutated_gene: str | None
    lines: int
    regimens: list[Regimen | None]
    responses: list[str | None]
    events: list[tuple[str, str]] = field(default_factory=list)


def make_cases(rows: list[CohortRow], d: Draws) -> list[Case]:
    """One case a row, in the rows' order."""
    ages = _ages(rows, d)
    livers = _livers(rows, d)
    lines = [_line_count(row, d) for row in rows]
    first, later = _backbones(rows, d)
    responses = _responses(rows, lines, d)
    cases = []
    for i, row in enumerate(rows):
        regimens: list[Regimen | None] = [None] * lines[i]
        regimens[0] = first[i]
        wanted: list[str | None] = [None] * lines[i]
        if row.trastuzumab_line is not None:
            wanted[row.trastuzumab_line - 1] = responses[i]
            if row.trastuzumab_line > 1:
                regimens[row.trastuzumab_line - 1] = BACKBONES[later[i]].plus("trastuzumab")
        gene = None
        if row.ras_braf == "mutant":
            gene = "BRAF" if "vemurafenib" in first[i].drugs else d.pick(("KRAS", "KRAS", "NRAS"))
        cases.append(Case(row, ages[i], livers[i], gene, lines[i], regimens, wanted))
    _share_out_events(cases, d)
    return cases


def _ages(rows: list[CohortRow], d: Draws) -> list[int]:
    """Ages in the row's group; 27 and 78 occur, and the median is 54 where the groups allow."""
    young = [i for i, row in enumerate(rows) if row.age_group == "<54"]
    old = [i for i, row in enumerate(rows) if row.age_group == ">=54"]
    d.shuffle(young)
    d.shuffle(old)
    ages = [0] * len(rows)
    for rank, i in enumerate(young):
        ages[i] = YOUNGEST if rank == 0 else 30 + int(24 * d.u() ** 0.6)
    to_median = len(rows) // 2 + 1 - len(young)
    at_split = to_median if 0 < to_median <= len(rows) // 8 else 1
    for rank, i in enumerate(old):
        if rank == 0:
            ages[i] = OLDEST
        else:
            ages[i] = AGE_SPLIT if rank <= at_split else AGE_SPLIT + int(23 * d.u() ** 1.4)
    return ages


def _livers(rows: list[CohortRow], d: Draws) -> list[bool]:
    livers = [False] * len(rows)
    for level, (with_liver, of) in (("single", LIVER_OF_SINGLE), (">=2", LIVER_OF_SEVERAL)):
        members = [i for i, row in enumerate(rows) if row.metastatic_organs == level]
        d.shuffle(members)
        for i in members[: largest_remainder(len(members), [with_liver, of - with_liver])[0]]:
            livers[i] = True
    return livers


def _line_count(row: CohortRow, d: Draws) -> int:
    """The row's number of lines; 3 to 5 for 'third or later', as the time allows."""
    fewest = fewest_lines(row)
    if row.therapy_lines != "third or later":
        return fewest
    wish = max(fewest, d.pick((3, 3, 3, 4, 4, 5)))
    while wish > fewest and row.days_after_progression < days_needed(
        ["SD"] * (wish - 1), bool(row.death)
    ):
        wish -= 1
    return wish


def _backbones(rows: list[CohortRow], d: Draws) -> tuple[list[Regimen], list[str]]:
    """First-line regimens, and backbones of later trastuzumab lines ('' where there is none).

    Both are dealt by their quotas, then swapped until each second-line trastuzumab regimen brings
    chemotherapy that the first line did not have (or, for capecitabine, starts late enough).
    """
    strata: dict[tuple[str, str], list[int]] = {}
    for i, row in enumerate(rows):
        strata.setdefault((row.ras_braf, row.first_line_group), []).append(i)
    first = [BACKBONES["XELOX"]] * len(rows)
    for key in sorted(strata):
        names = expand(len(strata[key]), FIRST_LINE[key])
        d.shuffle(names)
        for i, name in zip(strata[key], names, strict=True):
            first[i] = first_line(*key, name)
    later = [""] * len(rows)
    members_of: dict[int, list[int]] = {}
    for line in (2, 3, 4):
        members = [i for i, row in enumerate(rows) if row.trastuzumab_line == line]
        members_of[line] = members
        names = expand(len(members), TRASTUZUMAB_LINES[line])
        d.shuffle(names)
        for i, name in zip(members, names, strict=True):
            later[i] = name

    def fits(i: int) -> bool:
        if rows[i].trastuzumab_line != 2:
            return True
        backbone = BACKBONES[later[i]]
        late = later[i] == "Xeloda" and rows[i].pfs_days > LATE_ADDITION_DAYS
        return late or brings_new_chemo(backbone, first[i])

    second = members_of[2]

    def swap_to_fit(items: list[Item], i: int, j: int) -> None:
        before = fits(i) + fits(j)
        items[i], items[j] = items[j], items[i]
        if fits(i) + fits(j) < before:
            items[i], items[j] = items[j], items[i]

    for _ in range(_ROUNDS_OF_SWAPS):
        unfit = [i for i in second if not fits(i)]
        for i in unfit:
            if d.chance(0.5):
                swap_to_fit(later, i, d.pick(second))
            else:
                row = rows[i]
                swap_to_fit(first, i, d.pick(strata[row.ras_braf, row.first_line_group]))
        if not unfit:
            break
    return first, later


def _responses(rows: list[CohortRow], lines: list[int], d: Draws) -> list[str | None]:
    """Best responses in the trastuzumab line; progression goes first to who has no more room."""
    responses: list[str | None] = [None] * len(rows)
    for line, published in TRASTUZUMAB_RESPONSES.items():
        members = [i for i, row in enumerate(rows) if row.trastuzumab_line == line]
        d.shuffle(members)
        members.sort(key=lambda i: _has_room(rows[i], lines[i]))
        dealt = expand(len(members), {key: published[key] for key in ("PD", "SD", "PR")})
        tight = sum(not _has_room(rows[i], lines[i]) for i in members)
        dealt[:tight] = ["PD"] * tight
        for i, response in zip(members, dealt, strict=True):
            responses[i] = response
    return responses


def _has_room(row: CohortRow, lines: int) -> bool:
    """Whether the trastuzumab line can show a response other than progression."""
    line = row.trastuzumab_line
    if line == 1:
        return not row.pfs_event or row.pfs_days > _FIRST_SD_DAYS
    wanted: list[str | None] = [None] * (lines - 1)
    wanted[(line or 2) - 2] = "SD"
    return row.days_after_progression >= days_needed(wanted, bool(row.death))


def _share_out_events(cases: list[Case], d: Draws) -> None:
    """Deal each group's Table 5 events, scaled to the group's size, to its wild type patients."""
    for group, published in PUBLISHED_EVENTS.items():
        members = [
            case
            for case in cases
            if case.row.ras_braf == "wild type" and case.row.first_line_group == group
        ]
        if not members:
            continue
        total = round(sum(published.values()) * len(members) / PUBLISHED_GROUP_SIZE[group])
        for category, grades in expand(total, published):
            causes = CAUSED_BY.get(category, frozenset())
            taker = d.pick(members)
            for _ in range(_TRIES_FOR_A_CAUSE):
                if not causes or causes & set((taker.regimens[0] or BACKBONES["S1"]).drugs):
                    break
                taker = d.pick(members)
            taker.events.append((category, grades))
