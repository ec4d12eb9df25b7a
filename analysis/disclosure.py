"""What of a study may be shared: of real patients small counts are hidden, and what tells of them.

A count is known by the set of patients that it counts, so that the same patients are hidden in
every table. Few patients left over, of those a count is of, are a small count too. What adds up is
stated as sums - levels of a variable, the same question asked of parts of a population, steps of
the cohort flow - and `small_cells` hides what would give a small count away. Percentages follow
their count, and so does what is computed beside one that is hidden. A number has no more digits
than are printed. Numbers at risk are rounded and the steps of curves gathered, since a small
difference between two times tells of few patients as well. Source of that: the rounded Kaplan-Meier
curves of OpenSAFELY (kaplan-meier-function); of the rest, `small_cells`.

Not covered: what is set beside another page or run, and tests that compare a small group with a
large one.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pandas as pd

from analysis.confounding import BALANCE
from analysis.ledger import NOT_ESTIMABLE, display, displayed
from analysis.study import FIRST_LINE, Study, frame
from expectations.small_cells import HIDDEN, SMALL_CELL, TOLERANCE, Sum, hidden, is_small
from expectations.tables import rows

Row = dict[str, Any]
Patients = frozenset[str]

#: A sentence for the reader.
POLICY = (
    f"{HIDDEN}: a count of 1 to {SMALL_CELL - 1} patients or events, a count from which one could "
    "be worked out, or what was computed from such; smallest and largest values are hidden too. "
    f"Numbers at risk are rounded to multiples of {SMALL_CELL}. A step of a survival curve gathers "
    f"at least {SMALL_CELL} events, at the time of the middle one, and a curve ends where fewer "
    f"than {SMALL_CELL} patients are at risk; shares at fixed times are read from it."
)
ONE_BAR_A_PATIENT = "Not drawn: a figure with a bar a patient shows single patients."
NO_CURVE = "Not drawn: curves of groups that are small, have few events, or must not be counted."
GATHERED = f"Steps gather at least {SMALL_CELL} events."
DECIMALS = 3
"""Of what is shared: an exact estimate tells how many were at risk at each event."""
ROUGH = (
    "Shares at fixed times are read from the curve of gathered steps: they may be off by half a "
    "step, and be at odds with the median, which is exact."
)
READ_OFF = "read from the curve of gathered steps"
NOT_SHOWN = "not shown"
"""Verdict on a printed number beside which the computed one is hidden."""

#: Statistics that count patients, or what patients had.
COUNT = re.compile(r"(^|_)n$")
NOT_OF_PATIENTS = ("tests_n", "significant_n")
#: Patients who are not among those behind the number.
LEFT_OUT = ("incomplete_n", "excluded_n")
AT_RISK = re.compile(r"n_at_risk_")
SHARE = re.compile(r"(^|_)pct(_lower|_upper)?$|^smd$")
SHARE_AT = re.compile(r"(survival|incidence)_pct_(\d+)_months(_lower|_upper)?$")
AGREEMENT = re.compile(r"(agreement|kappa)(_|$)")
#: A value of one patient, by name or by how it was computed.
EXTREME = re.compile(r"^(min|max)_|^rmst_horizon")
EXTREME_METHODS = ("smallest", "largest")
#: Of how many arrangements a permutation test is exact tells how many patients a group has.
ARRANGEMENTS = re.compile(r" \(\d+ arrangements\)")
#: How far restricted means go is the longest time of a patient.
HORIZON = re.compile(r"(?<=of restricted means) to [^,]+")
#: That time; and the hash of a delivered file, against which guesses of its records can be tried.
TELLING_PARAMETERS = ("horizon_months", "sha256")
#: What compares groups; patients and events behind it are sums over them.
COMPARISON = re.compile(
    r"^(p|ph_p|e_value.*|smd|tests_n|significant_n)$|^(logrank|gray|rmst)_|(hazard_ratio|hr_ci)"
)


@dataclass(frozen=True, eq=False)
class Edition:
    """The results of a study as a page may print them.

    Attributes
    ----------
    estimates, compared
        Rows of results.estimates and results.published_comparison.
    curves, bars : DataFrame
        Rows of results.survival_curves and results.figure_bars.
    policy
        What is hidden, in words; None if nothing is.
    """

    estimates: list[Row]
    compared: list[Row]
    curves: pd.DataFrame
    bars: pd.DataFrame
    policy: str | None


@dataclass(frozen=True, eq=False)
class Number:
    """A row of results.estimates with the patients behind it and those it counts, if known."""

    row: Row
    whole: Patients | None
    counted: Patients | None

    @property
    def where(self) -> tuple[str, str, str]:
        """Exhibit, population and variable."""
        return (self.row["exhibit"], self.row["population"], self.row["variable"])

    @property
    def place(self) -> tuple[str, str, str, str | None]:
        """Exhibit, population, variable and level."""
        return (*self.where, self.row["level"])

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of the method."""
        found: dict[str, Any] = json.loads(self.row["parameters"])
        return found

    @property
    def line_number(self) -> int:
        """Line of therapy that it is of."""
        return int(self.parameters.get("line_number", FIRST_LINE))

    @property
    def is_count(self) -> bool:
        """Whether it counts patients, or what they had."""
        statistic = self.row["statistic"]
        return (
            self.row["value"] is not None
            and self.row["exhibit"] != "provenance"
            and COUNT.search(statistic) is not None
            and statistic not in NOT_OF_PATIENTS
        )


@dataclass(frozen=True, eq=False)
class Count:
    """A count: what it is known by, and the patients among whom it counts, if known."""

    number: Number
    key: Hashable
    among: Patients | None


def complete(connection: duckdb.DuckDBPyConnection, study: Study) -> Edition:
    """Return the results as they were computed."""

    def of_study(table: str) -> str:
        return f"select * from results.{table} where study_id = ? order by rowid"

    return Edition(
        rows(connection, of_study("estimates"), study.study_id),
        rows(connection, of_study("published_comparison"), study.study_id),
        frame(connection, of_study("survival_curves"), study.study_id),
        frame(connection, of_study("figure_bars"), study.study_id),
        None,
    )


def shareable(connection: duckdb.DuckDBPyConnection, study: Study) -> Edition:
    """Return the results of real patients as they may be shared."""
    exact = complete(connection, study)
    numbers = _numbers(connection, study, exact.estimates)
    counts = [_count(number, study) for number in numbers if number.is_count]
    concealed = _concealed(study, numbers, counts)
    curves = _gathered(exact.curves, counts, concealed)
    estimates = _Editor(numbers, counts, concealed, curves).edit(numbers)
    changed = {
        row["estimate_id"]
        for row, before in zip(estimates, exact.estimates, strict=True)
        if row["display"] != before["display"] or row["value"] != before["value"]
    }
    heights = ["survival", "lower", "upper"]
    return Edition(
        [row | {"value": displayed(row["statistic"], row["value"])} for row in estimates],
        [
            _not_shown(row) if row["estimate_id"] in changed else _to_shown_decimals(row)
            for row in exact.compared
        ],
        curves.assign(**curves[heights].round(DECIMALS)),
        exact.bars.iloc[:0],
        POLICY,
    )


def _numbers(
    connection: duckdb.DuckDBPyConnection, study: Study, estimates: Sequence[Row]
) -> list[Number]:
    members: dict[str, set[str]] = defaultdict(set)
    for row in rows(
        connection, "select * from results.patient_sets where study_id = ?", study.study_id
    ):
        members[row["patient_set"]].add(row["patient_key"])
    sets = {name: frozenset(keys) for name, keys in members.items()}
    whom = {
        row["estimate_id"]: row
        for row in rows(
            connection, "select * from results.estimate_patients where study_id = ?", study.study_id
        )
    }

    def of(row: Row, which: str) -> Patients | None:
        name = whom.get(row["estimate_id"], {}).get(which)
        return None if name is None else sets.get(name, frozenset())

    return [Number(row, of(row, "patient_set"), of(row, "counted_set")) for row in estimates]


def _count(number: Number, study: Study) -> Count:
    """Name a count by the patients it counts, or by its place where that is not known."""
    row, whole, counted = number.row, number.whole, number.counted
    value = int(row["value"])
    if whole is None:
        return Count(number, (*number.place, row["statistic"]), None)
    population = _members(study, row["population"], number.line_number)
    if row["statistic"] in LEFT_OUT and len(population - whole) == value:
        return Count(number, population - whole, population)
    if counted is not None and len(counted) == value:
        return Count(number, counted, whole if counted != whole else population)
    if counted is None and len(whole) == value:
        return Count(number, whole, population)
    return Count(number, (*number.place, row["statistic"]), whole)


def _members(study: Study, population: str, line_number: int = FIRST_LINE) -> Patients:
    if population not in study.populations:
        return frozenset(study.levels.index)
    return frozenset(study.members(population, line_number).index)


def _concealed(study: Study, numbers: Sequence[Number], counts: Sequence[Count]) -> set[Hashable]:
    """What may not be printed: counts by their keys, and sizes of sets of patients."""
    sizes: dict[Hashable, int] = {one.key: int(one.number.row["value"]) for one in counts}
    for number in numbers:
        if number.whole:
            sizes.setdefault(number.whole, len(number.whole))
    printed = set(sizes)
    sums: dict[Sum[Hashable], None] = {}
    for each in _sums(study, numbers, counts):
        if (parts := tuple(part for part in each.parts if part)) and parts != (each.total,):
            sums[Sum(each.total, parts)] = None
    for total in sums:
        for key in (total.total, *total.parts):
            if isinstance(key, frozenset):
                sizes.setdefault(key, len(key))
            elif key not in sizes:
                # Others than those counted.
                sizes[key] = sizes[total.total] - sum(sizes[x] for x in total.parts if x != key)
    true = [one for one in sums if sizes[one.total] == sum(sizes[part] for part in one.parts)]
    everybody = frozenset(study.levels.index)
    found = hidden(
        sizes,
        true,
        unprinted=[key for key in sizes if key not in printed],
        dear=[
            whole
            for whole in {
                everybody,
                *(_members(study, name) for name in study.populations),
                *(_members(study, of.population, of.line_number) for of in study.analyses),
            }
            if not is_small(len(whole)) and not is_small(len(everybody - whole))
        ],
    )
    return {
        key
        for key in found
        if key in printed or (isinstance(key, frozenset) and is_small(len(key)))
    }


def _sums(
    study: Study, numbers: Sequence[Number], counts: Sequence[Count]
) -> Iterator[Sum[Hashable]]:
    """What adds up on the page."""
    kinds = {analysis.exhibit: analysis.kind for analysis in study.analyses[::-1]}
    everybody = frozenset(study.levels.index)
    for whole in dict.fromkeys(number.whole for number in numbers if number.whole):
        yield from _divided(everybody, [whole])
    known = [one for one in counts if isinstance(one.key, frozenset) and one.among]
    for one in known:
        yield from _divided(one.among, [one.key])
    yield from _levels(known, kinds)
    yield from _parts_of_populations(known)
    yield from _flow(counts, everybody)
    yield from _transitions(known)
    yield from _of_rows(counts, kinds)


def _divided(whole: Patients | None, sets: Iterable[Hashable]) -> Iterator[Sum[Hashable]]:
    """A set as those of these that are apart within it, and who is left over."""
    if whole is None:
        return
    parts: list[Patients] = []
    left = whole
    for one in dict.fromkeys(sets):
        if isinstance(one, frozenset) and one and one < whole and one <= left:
            parts.append(one)
            left -= one
    if parts:
        yield Sum(whole, (*parts, left))


def _levels(known: Sequence[Count], kinds: dict[str, str]) -> Iterator[Sum[Hashable]]:
    """Levels of a variable; of responses, the responses of a group and the rates made of them."""
    groups: dict[Hashable, list[Count]] = defaultdict(list)
    for one in known:
        row = one.number.row
        groups[*one.number.where, one.among].append(one)
        if kinds.get(row["exhibit"]) in ("response", "best_responses"):
            groups[row["exhibit"], row["population"], row["level"], one.among].append(one)
    for group in groups.values():
        sets = list(dict.fromkeys(one.key for one in group))
        yield from _divided(group[0].among, sets)
        for each in sets:
            if isinstance(each, frozenset):
                yield from _divided(each, sets)


def _parts_of_populations(known: Sequence[Count]) -> Iterator[Sum[Hashable]]:
    """The same question asked of patients and of parts of them that are apart."""
    asked: dict[Hashable, dict[tuple[Hashable, Patients], None]] = defaultdict(dict)
    for one in known:
        if one.among:
            asked[_question(one)][one.key, one.among] = None
    for same in asked.values():
        for key, among in same:
            if not isinstance(key, frozenset):
                continue
            smaller = [
                (part, inside)
                for part, inside in same
                if inside < among and isinstance(part, frozenset)
            ]
            while smaller:
                left, family = among, []
                for part, inside in smaller:
                    if inside <= left:
                        family.append((part, inside))
                        left -= inside
                smaller = [pair for pair in smaller if pair not in family]
                yield from _divided(key, [part for part, _ in family])


def _question(one: Count) -> Hashable:
    """What is asked of the patients among whom a count counts, whoever they are."""
    row, parameters = one.number.row, one.number.parameters
    statistic, variable, level = row["statistic"], row["variable"], row["level"]
    if statistic in ("events_n", "deaths_n"):
        return _events_question(variable, parameters)
    if "value" in parameters and "detail_variable" in parameters:
        return ("value", parameters["detail_variable"], parameters["value"])
    if "group" in parameters and level:
        level = level.removesuffix(f": {parameters['group']}")
    if variable.startswith("missing: "):
        variable, level = variable.removeprefix("missing: "), "missing"
    return (statistic, variable.rpartition(" by ")[2], level)


def _events_question(variable: str, parameters: dict[str, Any]) -> Hashable:
    """Which events are counted; a death is the same from whichever line time runs."""
    of_line = () if parameters.get("endpoint") == "OS" else ("line_number",)
    names = ("endpoint", "line_rule_set_id", "endpoint_rule_set_id", *of_line)
    incidence = variable if "incidence" in variable else ""
    return ("events", incidence, *(parameters.get(name) for name in names))


def _flow(counts: Sequence[Count], everybody: Patients) -> Iterator[Sum[Hashable]]:
    """Steps of the cohort flow, each of which begins with those whom the last one left."""
    steps: dict[str, dict[str, Hashable]] = defaultdict(dict)
    for one in counts:
        if one.number.row["exhibit"] == "flow":
            steps[one.number.row["variable"]][one.number.row["level"]] = one.key
    before: Hashable = None
    for step in steps.values():
        yield Sum(step["assessed"], (step["not met"], step["unknown"], step["remaining"]))
        if before is not None:
            yield Sum(before, (step["assessed"],))
        before = step["remaining"]
    if before is not None:
        yield Sum(before, (everybody,))
    for one in counts:
        criterion = one.number.parameters.get("after_criterion")
        if one.number.whole is None and criterion in steps:
            yield Sum(one.key, (steps[criterion]["remaining"],))


def _transitions(known: Sequence[Count]) -> Iterator[Sum[Hashable]]:
    """Patients of a group by where they go, and by where they come from."""
    groups: dict[Hashable, list[Patients]] = defaultdict(list)
    for one in known:
        parameters = one.number.parameters
        for end in ("source", "target"):
            if {"source", "target"} <= set(parameters) and isinstance(one.key, frozenset):
                groups[*one.number.where, end, parameters[end]].append(one.key)
    for sets in groups.values():
        yield Sum(frozenset().union(*sets), tuple(dict.fromkeys(sets)))


def _of_rows(counts: Sequence[Count], kinds: dict[str, str]) -> Iterator[Sum[Hashable]]:
    """Counts of lines and of visits, and of others of whom nothing but how many is known."""
    of_lines: dict[tuple[str, str], dict[tuple[str, str | None], Hashable]] = defaultdict(dict)
    for one in counts:
        row, kind = one.number.row, kinds.get(one.number.row["exhibit"])
        if kind in ("line_reasons", "response_agreement"):
            of_lines[row["exhibit"], row["population"]][row["variable"], row["level"]] = one.key
        elif isinstance(one.key, tuple) and one.among and row["value"] <= len(one.among):
            yield Sum(one.among, (one.key, ("others", *one.key)))
    for own in of_lines.values():
        levels = dict.fromkeys(level for _, level in own)
        for variable, level in list(own):
            if variable == "visits":
                cells = [key for (name, _), key in own.items() if name.startswith("visits: ")]
                yield Sum(own[variable, level], tuple(cells))
            if variable == "lines":
                for kind in ("began", "ended", "confidence"):
                    yield Sum(
                        own[variable, level],
                        tuple(
                            key
                            for (name, of), key in own.items()
                            if of == level and name.startswith(f"{kind}: ")
                        ),
                    )
            if level == "all lines" and variable != "patients":
                yield Sum(
                    own[variable, level],
                    tuple(
                        own[variable, each]
                        for each in levels
                        if each != level and (variable, each) in own
                    ),
                )


def _gathered(
    curves: pd.DataFrame, counts: Sequence[Count], concealed: set[Hashable]
) -> pd.DataFrame:
    """Curves of groups whose size and events may be printed, with gathered steps."""
    told: dict[tuple[str, str, str, str | None], list[bool]] = defaultdict(list)
    for one in counts:
        if one.number.row["statistic"] in ("n", "events_n"):
            told[one.number.place].append(one.key not in concealed)
    found = [curves.iloc[:0]]
    for _, own in curves.groupby("curve_id", sort=False):
        first = own.iloc[0]
        place = (first["exhibit"], first["population"], first["endpoint"].lower(), first["group"])
        if all(told.get(place, [False])):
            found.append(gather(own))
    return pd.concat(found, ignore_index=True)


def gather(curve: pd.DataFrame) -> pd.DataFrame:
    """A curve with at least SMALL_CELL events a step, up to where as many are at risk.

    A step stands at the time of the middle one of its events, and leads to the estimate after the
    last of them.

    Parameters
    ----------
    curve
        n_at_risk, n_events, n_censored and the estimates, in order of time.

    Returns
    -------
    DataFrame
        The first row, one a step, and the end; without rows if there are events, but too few for
        a step.
    """
    seen = curve[curve["n_at_risk"] >= SMALL_CELL]
    events = [place for place, n in enumerate(seen["n_events"]) for _ in range(int(n))]
    steps: list[list[int]] = []
    while len(events) >= SMALL_CELL:
        # Events of one time stay together; the last step takes what is too little for one more.
        at = next((i for i in range(SMALL_CELL, len(events)) if events[i] > events[i - 1]), 0)
        end = at if at and len(events) - at >= SMALL_CELL else len(events)
        steps.append(events[:end])
        events = events[end:]
    if events or seen.empty:
        return curve.iloc[:0]
    middles = [step[len(step) // 2] for step in steps]
    lasts = [step[-1] for step in steps]
    end = len(seen) - 1
    found = seen.iloc[[0, *middles, end]].assign(
        n_events=[0.0, *(float(len(step)) for step in steps), 0.0],
        n_censored=0.0,
        **{
            name: seen[name].iloc[[0, *lasts, lasts[-1] if lasts else end]].to_numpy()
            for name in ("survival", "lower", "upper")
        },
    )
    return found.assign(n_at_risk=[float(rounded(n)) for n in found["n_at_risk"]])


def rounded(count: float) -> int:
    """The nearest multiple of SMALL_CELL."""
    return SMALL_CELL * int(count / SMALL_CELL + 0.5)


class _Editor:
    """Hides or rounds the numbers of a study one by one."""

    def __init__(
        self,
        numbers: Sequence[Number],
        counts: Sequence[Count],
        concealed: set[Hashable],
        curves: pd.DataFrame,
    ) -> None:
        """Collect by name what is hidden."""
        self.concealed = concealed
        self.keys = {id(one.number): one.key for one in counts}
        self.hidden_places = set()
        self.hidden_variables = set()
        self.hidden_exhibits = set()
        self.hidden_events = set()
        self.hidden_by_group = set()
        for one in counts:
            if self._hides(one.number):
                number = one.number
                self.hidden_places.add(number.place)
                self.hidden_variables.add(number.where)
                self.hidden_exhibits.add(number.place[:2])
                self.hidden_events.add((number.whole, number.row["value"]))
                if "group" in number.parameters:
                    self.hidden_by_group.add((number.row["population"], number.row["variable"]))
        self.hidden_events |= set(_events_of_parts(numbers))
        self.curves = {
            (first["exhibit"], first["population"], first["endpoint"].lower(), first["group"]): own
            for _, own in curves.groupby("curve_id", sort=False)
            for first in [own.iloc[0]]
        }

    def edit(self, numbers: Sequence[Number]) -> list[Row]:
        """Rows of results.estimates as they may be shared."""
        return [self._edited(number) for number in numbers]

    def _edited(self, number: Number) -> Row:
        row = dict(number.row)
        kept = {k: v for k, v in number.parameters.items() if k not in TELLING_PARAMETERS}
        row["parameters"] = json.dumps(kept, sort_keys=True, ensure_ascii=False)
        if row["exhibit"] == "provenance":
            return row
        row["method"] = row["method"] and HORIZON.sub("", ARRANGEMENTS.sub("", row["method"]))
        if at := SHARE_AT.fullmatch(row["statistic"]):
            self._read_off(number, row, at)
        elif self._is_hidden(number):
            row |= {"value": None, "display": HIDDEN, "note": None}
        elif AT_RISK.match(row["statistic"]):
            row["value"] = float(rounded(row["value"]))
            row["display"] = display(row["statistic"], row["value"])
        of_hidden_groups = (
            number.where in self.hidden_variables
            and COMPARISON.search(row["statistic"]) is not None
        )
        no_number_of = number.whole is None and is_small(row["n"] or 0)
        if self._n_is_hidden(number) or of_hidden_groups or no_number_of:
            row["n"] = None
        if of_hidden_groups or self._has_hidden_events(number):
            row["events"] = None
        return row

    def _is_hidden(self, number: Number) -> bool:
        row = number.row
        statistic, method = row["statistic"], row["method"] or ""
        if number.is_count:
            return self._hides(number)
        if EXTREME.match(statistic) or method.startswith(EXTREME_METHODS):
            return row["value"] is not None
        if AT_RISK.match(statistic):
            return number.whole in self.concealed
        if statistic == "smd":
            covariate = (row["population"], row["variable"].removeprefix(BALANCE))
            return number.where in self.hidden_variables or covariate in self.hidden_by_group
        if AGREEMENT.match(statistic):
            return number.place[:2] in self.hidden_exhibits
        if SHARE.search(statistic) and number.place in self.hidden_places:
            return True
        if SHARE.search(statistic) and number.counted is not None:
            return not self.concealed.isdisjoint((number.counted, number.whole))
        if COMPARISON.search(statistic) is None and (
            self._n_is_hidden(number) or self._has_hidden_events(number)
        ):
            # Were it shown where a count is hidden as cover, the other counts would be the small.
            return True
        return is_small(row["n"] or 0) or is_small(row["events"] or 0)

    def _n_is_hidden(self, number: Number) -> bool:
        if number.whole is None:
            return self._hides(number)
        return number.whole in self.concealed

    def _hides(self, number: Number) -> bool:
        """Whether a count is hidden: itself, or of what patients had, those patients."""
        if id(number) not in self.keys:
            return False
        telling = [number.counted] if number.counted else []
        return not self.concealed.isdisjoint([self.keys[id(number)], *telling])

    def _has_hidden_events(self, number: Number) -> bool:
        n, events = number.row["n"], number.row["events"]
        if events is None:
            return False
        return (
            is_small(events)
            or is_small((n or 0) - events)
            or (number.whole, events) in self.hidden_events
        )

    def _read_off(self, number: Number, row: Row, at: re.Match[str]) -> None:
        """Put what the gathered curve says at a time in the place of a share."""
        curve = self.curves.get(number.place)
        month = float(at[2])
        if curve is None or month > curve["time_months"].iloc[-1] + TOLERANCE:
            row |= {"value": None, "display": HIDDEN}
            return
        last = curve[curve["time_months"] <= month + TOLERANCE].iloc[-1]
        if last["survival"] == 1 and row["value"] not in (None, 0, 100):
            # Events so far, but too few for a step.
            row |= {"value": None, "display": HIDDEN}
            return
        limits = {None: "survival", "_lower": "lower", "_upper": "upper"}
        if at[1] == "incidence":
            limits = {None: "survival", "_lower": "upper", "_upper": "lower"}
        share = float(last[limits[at[3]]])
        if share != share or (at[3] and float(last["survival"]) == 1):
            row |= {"value": None, "display": NOT_ESTIMABLE}
            return
        row["value"] = 100 * (1 - share if at[1] == "incidence" else share)
        row["method"] = f"{row['method']}, {READ_OFF}"
        row["display"] = display(row["statistic"], row["value"])


def _events_of_parts(numbers: Iterable[Number]) -> Iterator[tuple[Patients, int]]:
    """Events of a part of patients that, beside those of all of them, tell of few others."""
    told: dict[Hashable, dict[Patients, int]] = defaultdict(dict)
    for number in numbers:
        row, parameters = number.row, number.parameters
        if number.whole and row["events"] is not None and "endpoint" in parameters:
            told[_events_question(row["variable"], parameters)][number.whole] = row["events"]
    for of in told.values():
        hidden_parts: set[Patients] = set()
        for part in sorted(of, key=len, reverse=True):
            for whole in of:
                if part < whole and whole not in hidden_parts:
                    others, gone = len(whole) - len(part), of[whole] - of[part]
                    if is_small(gone) or is_small(others - gone):
                        hidden_parts.add(part)
                        yield part, of[part]


def _to_shown_decimals(row: Row) -> Row:
    """A printed number beside the computed one, to the decimals that are compared."""
    if row["computed_value"] is None:
        return row
    computed = float(row["computed_display"])
    found = row | {"computed_value": computed}
    if row["difference"] is not None:
        found["difference"] = round(computed - float(row["printed"]), DECIMALS)
    return found


def _not_shown(row: Row) -> Row:
    """A printed number without the computed one, and without what would tell it."""
    return {
        **row,
        "computed_display": HIDDEN,
        "computed_value": None,
        "difference": None,
        "verdict": NOT_SHOWN,
        "explanation": "the computed number tells of few patients",
    }
