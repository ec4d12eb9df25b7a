"""A patient's course in days: lines of therapy, progressions, visits, and the patient itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from synthetic.cohort import (
    GAP_DAYS,
    LAST_LINE_DAYS,
    LAST_LINE_DAYS_WITH_RESPONSE,
    LINE_DAYS,
    LINE_DAYS_WITH_RESPONSE,
    days_needed,
)
from synthetic.draws import Draws
from synthetic.regimens import Regimen, later_line_options

LONGEST_TREATMENT: Final = 540
"""Days after which a line's treatment stops even without progression (about 18 months)."""

LONGEST_GAP: Final = 27
"""Most days from a progression to the next line's start: its scan is that line's baseline."""

_LONGEST_TO_EARLY_PROGRESSION: Final = 75
"""Most days of a line whose best response is progression."""

_RESPONSE_RATES: Final = (0.45, 0.2, 0.08)
"""Chance of a partial response in the first, second and later lines where nothing settles it."""

FIRST_RESPONSE_DAYS: Final = 28
"""Least days from a line's start to stable disease."""


_HOLIDAYS: Final = 0.35
"""Share of long first lines with a holiday from treatment."""

_HOLIDAY_AFTER: Final = (6, 9)
"""Cycles before a holiday."""

_HOLIDAY_DAYS: Final = (75, 150)
"""Least days between the treatment days around a holiday: too few to end a line."""


@dataclass(slots=True)
class Line:
    """One line of therapy. `progression` is None while there is none; `end` is the last day on
    which the line's treatment or scans may fall; `visits` are its scans, the last one the
    progression if there is one; `best` the best response that they show."""

    number: int
    start: int
    regimen: Regimen
    progression: int | None
    end: int
    best: str = "SD"
    has_unreadable_scan: bool = False
    visits: list[int] = field(default_factory=list)
    cycles: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Patient:
    """Everything about one patient from which the rows are written. Days as in `days`."""

    number: int
    patient_id: str
    sex: str
    birth_text: str
    diagnosis_day: int
    topography: str
    morphology: str
    differentiation: str
    last_day: int
    """Death or last contact."""
    died: bool
    busy_until: int
    """Last day on which anything but the death can be recorded."""
    diagnosis_text: str = ""
    stage: str = "unknown"
    death_text: str = ""
    index_day: int | None = None
    organs: list[tuple[str, int]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    resection_day: int | None = None
    metastasectomy_day: int | None = None
    local_therapies: list[tuple[str, int]] = field(default_factory=list)
    neoadjuvant: list[int] = field(default_factory=list)
    irradiated_day: int | None = None
    adjuvant: list[int] = field(default_factory=list)
    adjuvant_regimen: Regimen | None = None
    measurable: bool = True
    ecog: int = 0
    consents: bool = True
    serious_illness: bool = False
    her2: str = "untested"
    """positive, positive by FISH, patchy, patchy by FISH, negative, equivocal or untested."""
    ras: str = "untested"
    """wild type, mutant, KRAS only, no NRAS exon 4 or untested."""
    mutated_gene: str | None = None
    baseline_day: int | None = None
    events: list[tuple[str, str]] = field(default_factory=list)
    """Adverse events of line 1 that the study counts: category and grades."""
    onsets: set[tuple[str, int]] = field(default_factory=set)
    """Term and onset of every adverse event written so far."""
    detailed: bool = False
    """Whether every cycle, scan and report is kept: the cohort and who just misses it."""

    @property
    def first_dose(self) -> int | None:
        """First day of line 1."""
        return self.lines[0].start if self.lines else None


def later_line_days(
    window: int, died: bool, wanted: list[str | None], d: Draws
) -> list[tuple[int, int, bool]]:
    """Start, end and whether it ends in progression, of each line after the first progression.

    Days count from that progression; `window` of them are left until death or last contact.
    """
    spare = window - days_needed(wanted, died)
    if spare < 0:
        raise ValueError("the days after progression cannot hold the lines asked for")
    weights = [0.4 + d.u() for _ in wanted]
    last_progresses = died or wanted[-1] == "PD" or d.chance(0.4)
    tail = 0.3 + 0.6 * d.u() if last_progresses else 0.0
    scale = spare / (sum(weights) + tail)
    days = []
    at = 0
    for position, (response, weight) in enumerate(zip(wanted, weights, strict=True), start=1):
        last = position == len(wanted)
        shows_response = response in ("PR", "SD")
        least = (
            (LAST_LINE_DAYS_WITH_RESPONSE if last else LINE_DAYS_WITH_RESPONSE)
            if shows_response
            else (LAST_LINE_DAYS if last else LINE_DAYS)
        )
        extra = int(weight * scale)
        wait = min(int(extra * 0.3), d.below(LONGEST_GAP - GAP_DAYS))
        length = least + extra - wait
        if response == "PD":
            length = min(length, max(least, _LONGEST_TO_EARLY_PROGRESSION))
        start = at + GAP_DAYS + wait
        progresses = not last or last_progresses
        if last and shows_response and length < LINE_DAYS_WITH_RESPONSE:
            progresses = False
        at = start + length
        if last and not progresses:
            at = window - (1 if died else 0)
        days.append((start, at, progresses))
    return days


def plan_lines(
    first_dose: int,
    pfs_days: int,
    progresses: bool,
    last_day: int,
    died: bool,
    regimens: list[Regimen | None],
    responses: list[str | None],
    anti_egfr_allowed: bool,
    d: Draws,
) -> list[Line]:
    """Lines of therapy with their days; free regimens are chosen, visits are not yet planned.

    `progresses` says whether line 1 ends in a progression on day `pfs_days` after the first dose.
    """
    first = regimens[0]
    assert first is not None
    end = first_dose + pfs_days
    last_alive = last_day - 1 if died else last_day
    lines = [
        Line(
            1,
            first_dose,
            first,
            end if progresses else None,
            min(end, last_alive),
            responses[0] or "",
        )
    ]
    if len(regimens) == 1:
        return lines
    for number, (start, stop, more) in enumerate(
        later_line_days(last_day - end, died, responses[1:], d), start=2
    ):
        previous = lines[-1]
        regimen = regimens[number - 1]
        if regimen is None:
            following = regimens[number] if number < len(regimens) else None
            regimen = _choose(previous, end + start, following, anti_egfr_allowed, d)
        progression = end + stop if more else None
        lines.append(
            Line(number, end + start, regimen, progression, end + stop, responses[number - 1] or "")
        )
    return lines


def _choose(
    previous: Line, start: int, following: Regimen | None, anti_egfr_allowed: bool, d: Draws
) -> Regimen:
    """A regimen that begins a new line itself and lets the following one do so too."""
    options = later_line_options(previous.regimen, start, start - previous.start, anti_egfr_allowed)
    if following is not None:
        options = [
            option for option in options if following.chemo_groups - option.groups
        ] or options
    return d.pick(options)


def plan_visits(line: Line, every: tuple[int, int], every_late: tuple[int, int], d: Draws) -> None:
    """Scan days of a line, `every` low..high days (later on `every_late`), and its best response.

    A line that ends in progression has its last scan then. A line whose best response is
    progression has no scan before.
    """
    low, high = every
    visits: list[int] = []
    end = line.end
    if line.best != "PD":
        at = line.start + d.between(low, high)
        while at <= end - 21:
            visits.append(at)
            low, high = every if at - line.start < LONGEST_TREATMENT else every_late
            at += d.between(low, high)
    if line.progression is not None:
        if not visits and line.best in ("PR", "SD"):
            visits.append(line.start + d.between(FIRST_RESPONSE_DAYS, end - line.start - 7))
        visits.append(line.progression)
    elif end - line.start >= FIRST_RESPONSE_DAYS:
        visits.append(end)
    line.visits = visits
    quiet = len(visits) - (line.progression is not None)
    if not line.best:
        responds = d.chance(_RESPONSE_RATES[min(line.number, len(_RESPONSE_RATES)) - 1])
        if not quiet:
            line.best = "PD"
        else:
            line.best = "PR" if responds and line.regimen.chemo_groups else "SD"


def plan_cycles(line: Line, longest: int, most: int, d: Draws) -> None:
    """Treatment days of a line: every cycle until shortly before its progression.

    At least two cycles, at least 14 days apart; the interval is shortened to 14 days where a line
    is short. `longest` days and `most` cycles at most. A long first line may have a holiday.
    """
    length = line.end - line.start
    interval = line.regimen.cycle
    rest = 12 if length > 60 else 1
    if length - rest < interval:
        interval = 14
    stop = min(length - rest, longest)
    days = list(range(0, max(stop, interval) + 1, interval))[:most]
    if line.number == 1 and d.chance(_HOLIDAYS):
        days = _with_holiday(days, d)
    line.cycles = [line.start + day for day in days]


def _with_holiday(days: list[int], d: Draws) -> list[int]:
    """Treatment days without those of a holiday, where at least two follow it."""
    before = days[: d.between(*_HOLIDAY_AFTER)]
    back = before[-1] + d.between(*_HOLIDAY_DAYS)
    after = [day for day in days if day >= back]
    return before + after if len(after) > 1 else days
