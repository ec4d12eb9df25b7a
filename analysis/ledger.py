"""The ledger of a study: every number of the report is one row, with its method and parameters."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from pandas.util import hash_array

from analysis.estimators import Estimate

Convention = Literal["as published", "preferred"]

AS_PUBLISHED: Convention = "as published"
PREFERRED: Convention = "preferred"

NOT_REACHED = "not reached"
NOT_ESTIMABLE = "not estimable"
NO_PATIENTS = "no patients"

#: Smallest P that is printed as a number; below it journals print an inequality (ICMJE, AMA 11).
SMALLEST_PRINTED_P = 0.001

#: Decimals by pattern of the statistic's name; the first that fits counts.
_DECIMALS = (
    (re.compile(r"(^|_)(n|events)$|^n_at_risk_"), 0),
    (re.compile(r"_years$"), 0),
    (re.compile(r"(^|_)(p|p_holm|chi2|concordance|concordance_corrected)$"), 3),
    (re.compile(r"hazard_ratio|hr_ci_|e_value|smd|_weight$|kappa"), 2),
)
_DEFAULT_DECIMALS = 1
#: What is never 0.
RATIO = re.compile(r"hazard_ratio|hr_ci_")


class Interval(NamedTuple):
    """Names of a statistic and of its two limits."""

    value: str
    lower: str
    upper: str


MEDIAN = Interval("median_months", "median_ci_lower", "median_ci_upper")
HAZARD_RATIO = Interval("hazard_ratio", "hr_ci_lower", "hr_ci_upper")
FIRTH_HAZARD_RATIO = Interval("firth_hazard_ratio", "firth_hr_ci_lower", "firth_hr_ci_upper")
MEAN_DIFFERENCE = Interval("rmst_difference_months", "rmst_ci_lower", "rmst_ci_upper")


@dataclass(frozen=True)
class Entry:
    """One number: the row of results.estimates."""

    estimate_id: str
    study_id: str
    exhibit: str
    population: str
    variable: str
    level: str | None
    statistic: str
    convention: str
    value: float | None
    display: str
    n: int | None
    events: int | None
    method: str | None
    parameters: str
    note: str | None


class EnteredTwiceError(ValueError):
    """A number was entered before."""


#: Patients, by patient_key in the index.
Patients = pd.DataFrame | pd.Series | pd.Index


@dataclass
class Ledger:
    """Collects the numbers of one study; a number may be entered once only.

    Attributes
    ----------
    patients
        Whom each number is about, by estimate_id, where that is said: all the patients behind it,
        and those of them that a count counts.
    """

    study_id: str
    entries: dict[str, Entry] = field(default_factory=dict)
    patients: dict[str, tuple[pd.Index, pd.Index | None]] = field(default_factory=dict)
    curves: list[pd.DataFrame] = field(default_factory=list)
    bars: list[pd.DataFrame] = field(default_factory=list)

    def add(
        self,
        exhibit: str,
        population: str,
        variable: str,
        level: str | None,
        statistic: str,
        value: float | None,
        *,
        convention: Convention = AS_PUBLISHED,
        missing: str = NOT_REACHED,
        n: int | None = None,
        events: int | None = None,
        patients: pd.Index | None = None,
        counted: pd.Index | None = None,
        method: str | None = None,
        parameters: dict[str, object] | None = None,
        note: str | None = None,
    ) -> None:
        """Enter a number.

        Parameters
        ----------
        exhibit, population, variable, level, statistic
            The vocabulary of the seed published_results, so that the two can be joined.
        value
            The number in full precision; None when it does not exist, `missing` then says why.
        n, events
            Patients and events behind the number.
        patients, counted
            Keys of the patients behind it, and of those a count counts.
        method, parameters
            How it was computed, in words and as JSON.

        Raises
        ------
        EnteredTwiceError
            If the number was entered before.
        """
        estimate_id = ".".join(
            slug(part)
            for part in (
                self.study_id,
                exhibit,
                population,
                variable,
                *([level] if level is not None else []),
                statistic,
                *([convention] if convention != AS_PUBLISHED else []),
            )
        )
        if estimate_id in self.entries:
            raise EnteredTwiceError(f"The estimate {estimate_id} is entered twice.")
        if patients is not None:
            self.patients[estimate_id] = (patients, counted)
        number = None if value is None else float(value)
        self.entries[estimate_id] = Entry(
            estimate_id=estimate_id,
            study_id=self.study_id,
            exhibit=exhibit,
            population=population,
            variable=variable,
            level=level,
            statistic=statistic,
            convention=convention,
            value=number,
            display=missing if number is None else display(statistic, number),
            n=n,
            events=events,
            method=method,
            parameters=json.dumps(parameters or {}, sort_keys=True, ensure_ascii=False),
            note=note,
        )

    def value(self, beside: Entry, statistic: str) -> float | None:
        """Value of another statistic of the same result, or None."""
        for entry in self.entries.values():
            if entry.statistic == statistic and (
                entry.exhibit,
                entry.population,
                entry.variable,
                entry.level,
                entry.convention,
            ) == (
                beside.exhibit,
                beside.population,
                beside.variable,
                beside.level,
                beside.convention,
            ):
                return entry.value
        return None

    def add_bars(self, exhibit: str, population: str, bars: pd.DataFrame, unit: str) -> None:
        """Enter the bars of a figure with a bar a patient: rows of results.figure_bars.

        Parameters
        ----------
        bars
            position, panel, part, level, start_value, end_value; no patient's name.
        """
        self.bars.append(
            bars.assign(study_id=self.study_id, exhibit=exhibit, population=population, unit=unit)
        )

    def page(self, exhibit: str, population: str, **parameters: object) -> Page:
        """Open the part of the ledger for one exhibit and population."""
        return Page(self, exhibit, population, parameters)

    def frame(self) -> pd.DataFrame:
        """All entries, in the order of entry."""
        return pd.DataFrame([asdict(entry) for entry in self.entries.values()])

    def whom(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Whom the numbers are about; many numbers are about the same patients.

        Returns
        -------
        DataFrame, DataFrame
            Rows of results.estimate_patients and of results.patient_sets.
        """
        names: dict[int, str] = {}
        sets: dict[str, pd.Index] = {}

        def name(keys: pd.Index) -> str:
            if id(keys) not in names:
                hashed = hash_array(keys.to_numpy(dtype=object)) if len(keys) else np.zeros(1)
                names[id(keys)] = f"{len(keys)}-{int(hashed.astype(np.uint64).sum()):016x}"
                sets.setdefault(names[id(keys)], keys)
            return names[id(keys)]

        of = [
            (estimate_id, self.study_id, name(everyone), None if some is None else name(some))
            for estimate_id, (everyone, some) in self.patients.items()
        ]
        members = [
            pd.DataFrame({"patient_set": one, "patient_key": keys}) for one, keys in sets.items()
        ]
        of_set = pd.concat([pd.DataFrame(columns=["patient_set", "patient_key"]), *members])
        return (
            pd.DataFrame(of, columns=["estimate_id", "study_id", "patient_set", "counted_set"]),
            of_set.assign(study_id=self.study_id),
        )


@dataclass(frozen=True)
class Page:
    """A ledger with the exhibit, the population and what lies behind its numbers filled in."""

    ledger: Ledger
    exhibit: str
    population: str
    parameters: dict[str, object]
    n: int | None = None
    events: int | None = None
    patients: pd.Index | None = None

    def about(
        self, whom: Patients | int | None, events: int | None = None, **parameters: object
    ) -> Page:
        """The same page for numbers from these patients and so many events.

        Events of an endpoint are counted where a frame has a column `event`. A bare number of
        patients stands for those of the page, if there are as many.
        """
        parameters = {**self.parameters, **parameters}
        of_endpoint = events is None and "endpoint" in parameters
        if isinstance(whom, pd.DataFrame) and of_endpoint and "event" in whom:
            events = int(whom["event"].sum())
        page = replace(self, events=events, parameters=parameters)
        if isinstance(whom, int | None):
            return replace(page, n=whom, patients=self.patients if whom == self.n else None)
        patients = whom if isinstance(whom, pd.Index) else whom.index
        return replace(page, n=len(patients), patients=patients)

    def add(
        self,
        variable: str,
        level: str | None,
        statistic: str,
        value: float | None,
        method: str | None = None,
        *,
        convention: Convention = AS_PUBLISHED,
        missing: str = NOT_ESTIMABLE,
        counted: pd.Series | None = None,
        note: str | None = None,
    ) -> None:
        """Enter a number; see Ledger.add. `counted`: which patients of the page it counts."""
        self.ledger.add(
            self.exhibit,
            self.population,
            variable,
            level,
            statistic,
            value,
            convention=convention,
            missing=missing,
            n=self.n,
            events=self.events,
            patients=self.patients,
            counted=None if counted is None else counted.index[counted],
            method=method,
            parameters=self.parameters,
            note=note,
        )

    def add_interval(
        self,
        variable: str,
        level: str | None,
        statistics: Interval,
        estimate: Estimate,
        *,
        convention: Convention = AS_PUBLISHED,
        missing: str = NOT_ESTIMABLE,
        limits_missing: str = NOT_ESTIMABLE,
        note: str | None = None,
    ) -> None:
        """Enter a value with its limits."""
        for statistic, value, without in (
            (statistics.value, estimate.value, missing),
            (statistics.lower, estimate.lower, limits_missing),
            (statistics.upper, estimate.upper, limits_missing),
        ):
            self.add(
                variable,
                level,
                statistic,
                value,
                estimate.method,
                convention=convention,
                missing=without,
                note=note,
            )

    def add_median(
        self,
        variable: str,
        level: str | None,
        estimate: Estimate,
        note: str | None = None,
    ) -> None:
        """Enter a preferred median with the limits from its band, and say why one is missing.

        The band's lower limit is at most S, so where the median is reached its lower limit can be
        missing only because S falls to 0 there at once: nothing is known of the variance then, and
        R has neither limit. Otherwise what is missing stays above 1/2 as long as it is defined.
        """
        has_band = estimate.value is None or estimate.lower is not None
        self.add_interval(
            variable,
            level,
            MEDIAN,
            estimate,
            convention=PREFERRED,
            missing=NOT_REACHED,
            limits_missing=NOT_REACHED if has_band else NOT_ESTIMABLE,
            note=note,
        )


def slug(text: str) -> str:
    """Readable and distinct: comparison signs become words, everything else a hyphen."""
    for sign, word in (
        ("<=", " le "),
        (">=", " ge "),
        ("<", " lt "),
        (">", " gt "),
        ("+", " plus "),
    ):
        text = text.replace(sign, word)
    return re.sub(r"[^\w]+", "-", text.lower()).strip("-")


def display(statistic: str, value: float) -> str:
    """Format a number at the precision of its statistic; not estimable if not finite."""
    if not math.isfinite(value):
        return NOT_ESTIMABLE
    decimals = next(
        (places for pattern, places in _DECIMALS if pattern.search(statistic)), _DEFAULT_DECIMALS
    )
    if is_p_value(statistic):
        return format_p(value)
    if decimals == 0:
        return f"{value:,.0f}"
    rounded = round_half_up(value, decimals)
    if value > 0 and rounded == 0 and RATIO.search(statistic):
        return f"<{10.0**-decimals:.{decimals}f}"
    return f"{rounded:.{decimals}f}"


def displayed(statistic: str, value: float | None) -> float | None:
    """The number that `display` prints; the limit of an inequality."""
    if value is None or not math.isfinite(value):
        return value
    return float(display(statistic, value).lstrip("<>").replace(",", ""))


def is_p_value(statistic: str) -> bool:
    """Whether a statistic is a P value, by its name."""
    return statistic == "p" or statistic.endswith(("_p", "_p_holm"))


def format_p(value: float) -> str:
    """Three decimals, or an inequality at either end."""
    if value < SMALLEST_PRINTED_P:
        return f"<{SMALLEST_PRINTED_P:g}"
    if value > 1 - SMALLEST_PRINTED_P / 2:
        return ">0.999"
    return f"{value:.3f}"


def round_half_up(value: float, decimals: int) -> float:
    """Round halves away from zero, as tables do; 2.25 to one decimal is 2.3.

    The tolerance forgives the binary representation: 0.35 * 100 is 35 less a rounding error.
    """
    scale = 10.0**decimals
    rounded = int(abs(value) * scale + 0.5 + 1e-9) / scale
    return rounded if value >= 0 else -rounded
