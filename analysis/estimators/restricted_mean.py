"""Restricted mean survival time: difference, ratio and adjusted difference of two groups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.estimators.distributions import normal_multiplier, two_sided_normal
from analysis.estimators.kaplan_meier import kaplan_meier
from analysis.estimators.results import Estimate
from analysis.estimators.risk_table import (
    FloatArray,
    IntArray,
    InvalidSurvivalInput,
    SurvivalRows,
    group_codes,
    numeric,
    refuse,
    require_length,
    survival_rows,
)

#: Share of the horizon below which a difference found by least squares is rounding.
ROUNDING = 1e-12


def restricted_mean(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    *,
    tau: float,
    entry: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    sampling: bool | None = None,
) -> Estimate:
    """Mean time lived up to `tau`: the area under the Kaplan-Meier curve.

    Greenwood-type variance, as survRM2 (Uno et al. 2014); see `KaplanMeier.mean`. Columns as
    `kaplan_meier`.

    Raises
    ------
    InvalidSurvivalInput
        As `risk_table`; also if `tau` is not positive or lies beyond follow-up.
    """
    curve = kaplan_meier(time, event, entry=entry, weights=weights, sampling=sampling)
    return curve.mean(tau=tau)


def restricted_mean_difference(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    tau: float,
    entry: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    sampling: bool | None = None,
    level: float = 0.95,
) -> Estimate:
    """Restricted mean of the second group less that of the first, with a two-sided P.

    Parameters
    ----------
    group : shape (n,)
        Exactly two labels, sorted (or in category order): the first is the reference.
    tau
        Horizon in the unit of `time`, within the follow-up of both groups.
    entry, weights, sampling
        As `kaplan_meier`.

    Raises
    ------
    InvalidSurvivalInput
        As `restricted_mean`; also for other than two groups.
    """
    labels, means, errors = _two_means(time, event, group, tau, entry, weights, sampling)
    return _compared(
        means[1] - means[0],
        float(np.hypot(*errors)),
        level,
        f"difference of restricted means to {tau:g}, {labels[1]} minus {labels[0]}",
    )


def restricted_mean_ratio(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    tau: float,
    entry: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    sampling: bool | None = None,
    level: float = 0.95,
) -> Estimate:
    """Restricted mean of the second group over that of the first, with a two-sided P.

    Parameters
    ----------
    As `restricted_mean_difference`.

    Returns
    -------
    Estimate
        Interval and P on the log scale by the delta method (survRM2); `std_error` is that of the
        log ratio, P that of the hypothesis that the ratio is 1.

    Raises
    ------
    InvalidSurvivalInput
        As `restricted_mean_difference`.
    """
    labels, means, errors = _two_means(time, event, group, tau, entry, weights, sampling)
    if min(means) <= 0:
        raise InvalidSurvivalInput("A restricted mean is zero, so there is no ratio.")
    on_log_scale = _compared(
        float(np.log(means[1] / means[0])),
        float(np.hypot(errors[0] / means[0], errors[1] / means[1])),
        level,
        f"ratio of restricted means to {tau:g}, {labels[1]} over {labels[0]}",
    )
    value, lower, upper = (
        None if number is None else float(np.exp(number))
        for number in (on_log_scale.value, on_log_scale.lower, on_log_scale.upper)
    )
    return replace(on_log_scale, value=value, lower=lower, upper=upper)


def adjusted_restricted_mean_difference(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    group: npt.ArrayLike,
    covariates: pd.DataFrame,
    *,
    tau: float,
    level: float = 0.95,
) -> Estimate:
    """Difference of restricted means at equal covariates.

    min(T, tau) is regressed on group and covariates by least squares, those whose value is known
    being weighted by the inverse probability of not having been censored, estimated in each group
    (Tian, Zhao and Wei 2014; survRM2). The variance accounts for that estimation.

    Parameters
    ----------
    time, event, group, tau
        As `restricted_mean_difference`.
    covariates : shape (n, p)
        Numeric columns; the caller makes indicators.

    Raises
    ------
    InvalidSurvivalInput
        As `restricted_mean_difference`; also for covariates that are not numeric, missing or
        linearly dependent.
    """
    labels, code, times, events = _two_groups(time, event, group)
    _two_means(times, events, code, tau)
    columns = [np.ones(len(times)), code.astype(np.float64)]
    for name in covariates.columns:
        values = numeric(covariates[name], f"values of {name}")
        require_length(values, len(times), f"values of {name}")
        refuse(~np.isfinite(values), f"values of {name} are missing or not finite")
        # Centring and scaling change the intercept and the covariate's own coefficient only.
        spread = values.std()
        columns.append((values - values.mean()) / (spread if spread > 0 else 1.0))
    x = np.column_stack(columns)
    if np.linalg.matrix_rank(x) < x.shape[1]:
        raise InvalidSurvivalInput(
            "The covariates are constant, or linearly dependent with the group; leave one out."
        )
    lived = np.minimum(times, tau)
    known = np.where(lived == tau, 1.0, events)
    arms = [np.flatnonzero(code == k) for k in (0, 1)]
    censoring = {k: survival_rows(lived[arm], 1 - known[arm]) for k, arm in enumerate(arms)}
    weight = np.zeros(len(times))
    for k, arm in enumerate(arms):
        rows = censoring[k]
        uncensored = np.cumprod(1 - rows.leave(rows.event) / rows.at_risk())[rows.exit_code]
        np.divide(known[arm], uncensored, out=uncensored, where=known[arm] > 0)
        weight[arm] = np.where(known[arm] > 0, uncensored, 0.0)
    weighted = x * weight[:, None]
    cross = weighted.T @ x
    if np.linalg.matrix_rank(cross) < x.shape[1]:
        raise InvalidSurvivalInput(
            "Too few patients are known to the horizon for a mean adjusted for these covariates."
        )
    beta = np.linalg.solve(cross, weighted.T @ lived)
    score = weighted * (lived - x @ beta)[:, None]
    influence = score.copy()
    for k, arm in enumerate(arms):
        influence[arm] += _censoring_influence(censoring[k], score[arm])
    bread = np.linalg.inv(x.T @ x)
    covariance = bread @ influence.T @ influence @ bread
    value, std_error = (
        0.0 if abs(number) < ROUNDING * tau else float(number)
        for number in (beta[1], np.sqrt(covariance[1, 1]))
    )
    return _compared(
        value,
        std_error,
        level,
        f"difference of restricted means to {tau:g}, {labels[1]} minus {labels[0]}, adjusted for "
        + ", ".join(map(str, covariates.columns)),
    )


def _censoring_influence(rows: SurvivalRows, score: FloatArray) -> FloatArray:
    """What each row adds to the scores through the estimated censoring distribution, (n, p)."""
    at_risk, censored = rows.at_risk(), rows.leave(rows.event)
    later = np.column_stack([rows.at_risk(column) for column in score.T]) / at_risk[:, None]
    compensator = np.cumsum(later * (censored / at_risk)[:, None], axis=0)
    own: FloatArray = rows.event[:, None] * later[rows.exit_code] - compensator[rows.exit_code]
    return own


def _two_groups(
    time: npt.ArrayLike, event: npt.ArrayLike, group: npt.ArrayLike
) -> tuple[list[Any], IntArray, FloatArray, FloatArray]:
    times, events = numeric(time, "times"), numeric(event, "events")
    labels, code = group_codes(group, len(times), "group labels")
    if len(labels) != 2:
        raise InvalidSurvivalInput(
            f"A comparison of restricted means has two groups; the data have {len(labels)}."
        )
    require_length(events, len(times), "events")
    return labels, code, times, events


def _two_means(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    group: npt.ArrayLike,
    tau: float,
    entry: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    sampling: bool | None = None,
) -> tuple[list[Any], tuple[float, float], tuple[float, float]]:
    """Labels, restricted means and their standard errors."""
    labels, code, times, events = _two_groups(time, event, group)
    rows = survival_rows(times, events, entry=entry, weights=weights)

    def mean_of(k: int) -> Estimate:
        inside = code == k
        return restricted_mean(
            times[inside],
            events[inside],
            tau=tau,
            entry=None if rows.entry is None else rows.entry[inside],
            weights=None if rows.weights is None else rows.weights[inside],
            sampling=rows.is_sampled(sampling),
        )

    reference, other = mean_of(0), mean_of(1)
    assert reference.value is not None and other.value is not None
    assert reference.std_error is not None and other.std_error is not None
    return labels, (reference.value, other.value), (reference.std_error, other.std_error)


def _compared(value: float, std_error: float, level: float, method: str) -> Estimate:
    if std_error == 0 and value != 0:
        # Everybody of each group lived as long as the others of it: nothing tells the error.
        return Estimate(value, None, None, None, method)
    margin = normal_multiplier(level) * std_error
    return Estimate(
        value=value,
        lower=value - margin,
        upper=value + margin,
        std_error=std_error,
        method=method,
        # Two curves without an event before tau are equal for certain.
        p_value=two_sided_normal(value / std_error) if std_error > 0 else 1.0,
    )
