"""Comparing survival between groups: the log-rank as printed, and what should stand beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.estimators import (
    CoxModel,
    Estimate,
    InvalidSurvivalInput,
    TestResult,
    cox,
    firth_cox,
    kaplan_meier,
    log_rank,
    permutation_log_rank,
    proportional_hazards_test,
    restricted_mean_difference,
)
from analysis.ledger import HAZARD_RATIO, PREFERRED, Page

#: A group with fewer patients, or fewer events, gets a permutation test: the chi-square
#: approximation rejects 8% under the null with 3 against 20 patients (docs/methods.md).
SMALL_GROUP = 10
FEW_EVENTS = 5

#: Curves cross if the smaller of the two parts of the area between them has more than this share of
#: it. The share is ours: with less, the difference of restricted means is that of one side.
CROSSING_SHARE = 0.1
#: What fewer patients at risk than this share of a group say is no part of a crossing (Pocock,
#: Clayton and Altman 2002: end a curve when 10 to 20% are still followed).
FOLLOWED_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class GroupComparison:
    """Tests of one comparison; None where the data hold nothing to compare.

    Attributes
    ----------
    patients : Index
        Those whose group is known.
    events : int
    chi_square : TestResult or None
        The asymptotic log-rank test, which SPSS prints.
    preferred : TestResult or None
        The permutation test when a group is small, else the same.
    small : bool
        Whether a group is small.
    reason : str or None
        Why there is no test.
    """

    patients: pd.Index
    events: int
    chi_square: TestResult | None
    preferred: TestResult | None
    small: bool
    reason: str | None


@dataclass(frozen=True, eq=False)
class HazardRatio:
    """A hazard ratio with its limits, and the model it comes from."""

    estimate: Estimate
    model: CoxModel


def compare_groups(frame: pd.DataFrame, group: pd.Series) -> GroupComparison:
    """Log-rank test of the groups that have patients; rows without a group are left out.

    Parameters
    ----------
    frame : DataFrame
        time, event.
    group : Series, index of frame
    """
    known = group.notna()
    time, event, labels = frame.loc[known, "time"], frame.loc[known, "event"], group[known]
    if isinstance(labels.dtype, pd.CategoricalDtype):
        labels = labels.cat.remove_unused_categories()
    known_of, events = time.index, int(event.sum())
    if labels.nunique() < 2:
        return GroupComparison(
            known_of, events, None, None, False, "fewer than two groups have patients"
        )
    if events == 0:
        return GroupComparison(known_of, events, None, None, False, "nobody had an event")
    chi_square = log_rank(time, event, labels)
    if chi_square.degrees_of_freedom == 0:
        return GroupComparison(
            known_of, events, None, None, False, "the groups are never at risk together at an event"
        )
    sizes = labels.value_counts()
    deaths = event.groupby(labels, observed=True).sum()
    small = bool((sizes < SMALL_GROUP).any() or (deaths < FEW_EVENTS).any())
    preferred = permutation_log_rank(time, event, labels) if small else chi_square
    return GroupComparison(known_of, events, chi_square, preferred, small, None)


def curves_cross(frame: pd.DataFrame, exposed: pd.Series) -> bool:
    """Whether each of the two Kaplan-Meier curves is above the other to some extent.

    The extent is the area between them (Lin and Xu 2010), of which each must have CROSSING_SHARE,
    while both groups have FOLLOWED_SHARE of their patients at risk. So neither an early event in
    the group that does better nor the last few patients make a crossing.
    """
    curves = [
        kaplan_meier(frame.loc[side, "time"], frame.loc[side, "event"])
        for side in (exposed, ~exposed)
    ]
    horizon = min(curve.time[curve.n_at_risk >= FOLLOWED_SHARE * curve.n][-1] for curve in curves)
    times = np.unique(np.concatenate([[0.0, horizon], *(curve.time for curve in curves)]))
    times = times[times <= horizon]
    first, second = (
        np.r_[1.0, curve.survival][np.searchsorted(curve.time, times[:-1], side="right")]
        for curve in curves
    )
    areas = (first - second) * np.diff(times)
    above, below = areas[areas > 0].sum(), -areas[areas < 0].sum()
    return bool(min(above, below) > CROSSING_SHARE * (above + below))


def mean_difference(frame: pd.DataFrame, exposed: pd.Series) -> tuple[Estimate, float] | None:
    """Restricted mean of the exposed less that of the others, months, and its horizon.

    The horizon is the longest time up to which both groups are observed. None if a group is empty
    or nobody is observed for any time. Without limits if a group has no event before the horizon:
    its estimated variance is then zero, which is no statement about its uncertainty.
    """
    if not exposed.any() or exposed.all():
        return None
    horizon = float(min(frame.loc[exposed, "time"].max(), frame.loc[~exposed, "time"].max()))
    if horizon <= 0:
        return None
    difference = restricted_mean_difference(
        frame["time"], frame["event"], exposed.astype(int), tau=horizon
    )
    difference = replace(
        difference,
        method=f"difference of restricted means to {horizon:g}, first group minus second",
    )
    happened = (frame["event"] == 1) & (frame["time"] < horizon)
    if not happened[exposed].any() or not happened[~exposed].any():
        difference = replace(difference, lower=None, upper=None, std_error=None, p_value=None)
    return difference, horizon


def hazard_ratio(
    frame: pd.DataFrame, exposed: str, *, entry: str | None = None
) -> HazardRatio | str:
    """Hazard ratio of a 0/1 column, Efron's ties; Firth's penalty where that has no finite maximum.

    So it is where one side has no event, or where all of one side's come before the other's.

    Parameters
    ----------
    frame
        time, event and the columns named. A patient may have several rows (with `entry`) but has
        one event at most, so that the rows are independent given the past and the usual standard
        error holds.

    Returns the reason, in words, where there is no ratio.
    """
    columns: dict[str, Any] = {
        "duration": "time",
        "event": "event",
        "covariates": [exposed],
        "entry": entry,
    }
    try:
        model, method = cox(frame, **columns), "Cox model, Efron's ties"
        if model.monotone:
            model = firth_cox(frame, **columns)
            method = "Cox model, Firth's penalty, profile likelihood interval"
    except InvalidSurvivalInput as error:
        return str(error)
    row = model.table.iloc[0]
    return HazardRatio(
        Estimate(
            value=float(row["hazard_ratio"]),
            lower=float(row["lower"]),
            upper=float(row["upper"]),
            std_error=float(row["std_error"]),
            method=method,
            p_value=float(row["p_value"]),
        ),
        model,
    )


def enter_ratio(
    page: Page,
    variable: str,
    level: str,
    found: HazardRatio | str,
    note: str | None = None,
) -> None:
    """Enter a hazard ratio, its P, and the proportional-hazards test beside it."""
    if isinstance(found, str):
        page.add(
            variable, level, HAZARD_RATIO.value, None, "Cox model", convention=PREFERRED, note=found
        )
        return
    page.add_interval(
        variable, level, HAZARD_RATIO, found.estimate, convention=PREFERRED, note=note
    )
    page.add(
        variable,
        level,
        "p",
        found.estimate.p_value,
        found.estimate.method,
        convention=PREFERRED,
        note=note,
    )
    if not found.model.penalised:
        tested = proportional_hazards_test(found.model)
        page.about(page.n, page.events, transform="km").add(
            variable,
            level,
            "ph_p",
            float(tested["p_value"].iloc[-1]),
            "score test for a hazard ratio that drifts (Grambsch and Therneau 1994)",
            convention=PREFERRED,
        )
