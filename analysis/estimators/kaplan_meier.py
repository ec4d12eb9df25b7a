"""Kaplan-Meier: the curve, its bands, quantiles and mean under the usual three conventions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.estimators.distributions import normal_multiplier
from analysis.estimators.results import SPSS_NORMAL_QUANTILE, Estimate
from analysis.estimators.risk_table import (
    FloatArray,
    InvalidSurvivalInput,
    RiskTable,
    SurvivalRows,
    survival_rows,
    tabulate,
)

Convention = Literal["standard", "r", "spss"]
Interval = Literal["log-log", "log", "plain", "logit", "arcsin"]

#: S(t) and a quantile's level are equal when they differ by less: far below the smallest step of a
#: curve over a million patients, far above the rounding of a product of that many factors.
LEVEL_TOLERANCE = 1e-9

#: SPSS measures the density at a quantile between the last time with S at least this much above
#: the level and the first with S at least this much below (IBM SPSS Statistics Algorithms, KM).
SPSS_DENSITY_HALF_WIDTH = 0.05


@dataclass(frozen=True, eq=False)
class KaplanMeier:
    """A fitted curve over the T distinct times of the data.

    Attributes
    ----------
    n, events : float
        Patients and events; sums of the weights if these are whole numbers (frequencies), else
        numbers of rows.
    time, survival, std_error : float arrays, shape (T,)
        S(t) just after each time. The standard error is Greenwood's; with weights that are not
        whole numbers the infinitesimal jackknife's; nan once S is 0, where neither is defined.
    n_at_risk, n_events, n_censored : float arrays, shape (T,)
    cumulative_hazard : float array, shape (T,)
        Nelson-Aalen.
    """

    n: float
    events: float
    time: FloatArray
    survival: FloatArray
    std_error: FloatArray
    n_at_risk: FloatArray
    n_events: FloatArray
    n_censored: FloatArray
    cumulative_hazard: FloatArray
    risk: RiskTable
    weighted_rows: SurvivalRows | None = None

    def band(self, method: Interval = "log-log", level: float = 0.95) -> pd.DataFrame:
        """Curve with pointwise limits: time, survival, lower, upper, from time 0 on.

        The limits are 1 before the first event and nan once S is 0.
        """
        origin = self.time[0] > 0
        time = np.r_[0.0, self.time] if origin else self.time
        survival = np.r_[1.0, self.survival] if origin else self.survival
        std_error = np.r_[0.0, self.std_error] if origin else self.std_error
        lower, upper = _limits(survival, std_error, method, level)
        return pd.DataFrame({"time": time, "survival": survival, "lower": lower, "upper": upper})

    def survival_at(
        self, times: npt.ArrayLike, method: Interval = "log-log", level: float = 0.95
    ) -> pd.DataFrame:
        """S(t) at any times: time, survival, std_error, lower, upper.

        Beyond the last time everything is nan unless S has reached 0.
        """
        query = np.atleast_1d(np.asarray(times, dtype=np.float64))
        position = np.searchsorted(self.time, query, side="right")
        survival = np.r_[1.0, self.survival][position]
        std_error = np.r_[0.0, self.std_error][position]
        beyond = (query > self.time[-1]) & (survival > 0)
        survival[beyond] = np.nan
        std_error[beyond] = np.nan
        lower, upper = _limits(survival, std_error, method, level)
        return pd.DataFrame(
            {
                "time": query,
                "survival": survival,
                "std_error": std_error,
                "lower": lower,
                "upper": upper,
            }
        )

    def number_at_risk(self, times: npt.ArrayLike) -> FloatArray:
        """Number under observation just before each of `times` (the row under a figure)."""
        return self.risk.at_risk_before(times)

    def quantile(
        self,
        p: float = 0.5,
        *,
        convention: Convention = "standard",
        interval: Interval = "log-log",
        level: float = 0.95,
    ) -> Estimate:
        """Time by which a share `p` has had the event.

        Parameters
        ----------
        convention
            "standard": min{t : S(t) <= 1-p}, limits by inverting the pointwise band (Brookmeyer
            and Crowley 1982). "r": the same, but where the curve or a limit is flat at exactly
            1-p, the midpoint of the flat stretch (survival:::quantile.survfit). "spss": the
            standard value with SE = SE(S)/f and the symmetric interval value +/- 1.96 SE;
            `interval` is then without effect, and `level` other than 0.95 is refused.

        Returns
        -------
        Estimate
            Value and limits are None where not reached.
        """
        if not 0 < p < 1:
            raise ValueError("p must lie between 0 and 1.")
        if convention == "spss":
            return self._spss_quantile(1 - p, level)
        lower_band, upper_band = _limits(self.survival, self.std_error, interval, level)
        crossing = _midpoint_crossing if convention == "r" else _first_crossing
        return Estimate(
            value=crossing(self.time, self.survival, 1 - p),
            lower=crossing(self.time, lower_band, 1 - p),
            upper=crossing(self.time, upper_band, 1 - p),
            std_error=None,
            method=f"Kaplan-Meier, {interval} interval"
            + (", midpoint of a flat stretch" if convention == "r" else ""),
        )

    def median(
        self,
        *,
        convention: Convention = "standard",
        interval: Interval = "log-log",
        level: float = 0.95,
    ) -> Estimate:
        """Median survival time; see `quantile`."""
        return self.quantile(0.5, convention=convention, interval=interval, level=level)

    def mean(
        self,
        *,
        convention: Literal["standard", "spss"] = "standard",
        tau: float | None = None,
        level: float = 0.95,
    ) -> Estimate:
        """Area under the curve to `tau`, by default to the largest observed time.

        The variance is Greenwood's, sum of A(t)^2 d / (n (n-d)) with A(t) the area from t to tau,
        without the factor m/(m-1), as in SPSS and survRM2. The conventions differ in the normal
        quantile only: SPSS takes exactly 1.96.

        Raises
        ------
        InvalidSurvivalInput
            If `tau` is not positive, or lies beyond follow-up while S is still above 0.
        """
        horizon = float(self.time[-1]) if tau is None else float(tau)
        if not np.isfinite(horizon) or horizon < 0 or (tau is not None and horizon == 0):
            raise InvalidSurvivalInput("The horizon of a restricted mean must be positive.")
        if horizon > self.time[-1] and self.survival[-1] > 0:
            raise InvalidSurvivalInput(
                "The horizon of the restricted mean lies beyond the last observed time; "
                "the curve is not known there."
            )
        area_after, area = self._areas(horizon)
        if self.weighted_rows is None:
            variance = float(np.sum(area_after**2 * _greenwood_terms(self.risk)))
        else:
            variance = _influence_sum_of_squares(self.weighted_rows, self.risk, area_after)[-1]
        std_error = float(np.sqrt(variance))
        if convention == "spss":
            _require_95(level)
            multiplier = SPSS_NORMAL_QUANTILE
        else:
            multiplier = normal_multiplier(level)
        return Estimate(
            value=area,
            lower=area - multiplier * std_error,
            upper=area + multiplier * std_error,
            std_error=std_error,
            method=f"area under Kaplan-Meier to {horizon:g}, Greenwood variance"
            + (", SPSS interval" if convention == "spss" else ""),
        )

    def _areas(self, horizon: float) -> tuple[FloatArray, float]:
        """Area under S from each time to the horizon, and from the origin to it."""
        steps = np.diff(np.minimum(np.r_[0.0, self.time, max(horizon, self.time[-1])], horizon))
        pieces = np.r_[1.0, self.survival] * steps
        after: FloatArray = np.cumsum(pieces[::-1])[::-1]
        return after[1:], float(after[0])

    def _spss_quantile(self, survival_level: float, level: float) -> Estimate:
        _require_95(level)
        method = "Kaplan-Meier, SPSS: value +/- 1.96 SE"
        value = _first_crossing(self.time, self.survival, survival_level)
        if value is None:
            return Estimate(None, None, None, None, method)
        # The origin is no event time: a first event below the level leaves no density there.
        has_event = self.n_events > 0
        time, survival = self.time[has_event], self.survival[has_event]
        above = survival >= survival_level + SPSS_DENSITY_HALF_WIDTH - LEVEL_TOLERANCE
        below = survival <= survival_level - SPSS_DENSITY_HALF_WIDTH + LEVEL_TOLERANCE
        std_error_of_survival = self.std_error[np.searchsorted(self.time, value)]
        if not below.any() or not above.any() or np.isnan(std_error_of_survival):
            return Estimate(value, None, None, None, method)
        before, after = np.flatnonzero(above)[-1], np.flatnonzero(below)[0]
        density = (survival[before] - survival[after]) / (time[after] - time[before])
        std_error = float(std_error_of_survival / density)
        return Estimate(
            value,
            value - SPSS_NORMAL_QUANTILE * std_error,
            value + SPSS_NORMAL_QUANTILE * std_error,
            std_error,
            method,
        )


def kaplan_meier(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    *,
    entry: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    sampling: bool | None = None,
) -> KaplanMeier:
    """Product-limit estimate (Kaplan and Meier 1958) with Greenwood's standard error.

    Parameters
    ----------
    time, event, entry, weights
        As `risk_table`.
    sampling
        Whether weights are sampling weights, which get the robust (infinitesimal jackknife)
        standard error, or frequencies. By default, as in R's survfit, they are frequencies if
        all of them are whole numbers. Weights for treatment may all happen to be 2: say True.

    Raises
    ------
    InvalidSurvivalInput
        As `risk_table`.
    """
    rows = survival_rows(time, event, entry=entry, weights=weights)
    table = tabulate(rows)
    hazard = table.n_events / table.n_at_risk
    survival: FloatArray = np.cumprod(1 - hazard)
    sampled = rows.is_sampled(sampling)
    if sampled:
        variance_of_log = _influence_sum_of_squares(rows, table, np.ones(len(table.time)))
        n, events = float(len(rows)), float(rows.event.sum())
    else:
        variance_of_log = np.cumsum(_greenwood_terms(table))
        n = float(np.sum(table.n_events + table.n_censored))
        events = float(table.n_events.sum())
    std_error = np.where(survival > 0, survival * np.sqrt(np.maximum(variance_of_log, 0.0)), np.nan)
    return KaplanMeier(
        n=n,
        events=events,
        time=table.time,
        survival=survival,
        std_error=std_error,
        n_at_risk=table.n_at_risk,
        n_events=table.n_events,
        n_censored=table.n_censored,
        cumulative_hazard=np.cumsum(hazard),
        risk=table,
        weighted_rows=rows if sampled else None,
    )


def reverse_kaplan_meier(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    *,
    entry: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    sampling: bool | None = None,
) -> KaplanMeier:
    """Distribution of potential follow-up: censoring is the event (Schemper and Smith 1996)."""
    rows = survival_rows(time, event, entry=entry, weights=weights)
    return kaplan_meier(
        rows.grid[rows.exit_code],
        1 - rows.event,
        entry=rows.entry,
        weights=rows.weights,
        sampling=sampling,
    )


def _greenwood_terms(table: RiskTable) -> FloatArray:
    """d / (n (n-d)); zero where everybody at risk dies, where S is 0 and no variance is defined."""
    survivors = table.n_at_risk - table.n_events
    denominator = table.n_at_risk * survivors
    terms = np.zeros(len(table.time))
    np.divide(table.n_events, denominator, out=terms, where=survivors > 0)
    return terms


def _influence_sum_of_squares(
    rows: SurvivalRows, table: RiskTable, multiplier: FloatArray
) -> FloatArray:
    """Running sum over rows of the squared, weighted influence on sum of m(u) dLambda(u).

    The influence of row i up to t is the sum over u <= t of
    m(u) [dN_i(u) - Y_i(u) dN(u)/Y(u)] / (Y(u) - dN(u)); with m = 1 it is minus the influence on
    log S(t). A row still at risk contributes its compensator only, so sums over the grid suffice.
    """
    assert rows.weights is not None
    survivors = table.n_at_risk - table.n_events
    inverse = np.zeros(len(table.time))
    np.divide(1.0, survivors, out=inverse, where=survivors > 0)
    compensator = np.cumsum(multiplier * table.n_events / table.n_at_risk * inverse)
    before_entry = (
        np.zeros(len(rows)) if rows.entry_code is None else np.r_[0.0, compensator][rows.entry_code]
    )
    squared = rows.weights**2
    final = rows.event * (multiplier * inverse)[rows.exit_code] - (
        compensator[rows.exit_code] - before_entry
    )
    gone = np.cumsum(rows.leave(squared * final**2))

    def still_at_risk(values: FloatArray) -> FloatArray:
        return rows.at_risk(values) - rows.leave(values)

    running = (
        compensator**2 * still_at_risk(squared)
        - 2 * compensator * still_at_risk(squared * before_entry)
        + still_at_risk(squared * before_entry**2)
    )
    total: FloatArray = gone + running
    return total


def _limits(
    survival: FloatArray, std_error: FloatArray, method: Interval, level: float
) -> tuple[FloatArray, FloatArray]:
    """Pointwise limits on the scale named; nan where S is 0, 1 where S is 1."""
    if method not in _TRANSFORMS:
        raise ValueError(f"interval must be one of {', '.join(_TRANSFORMS)}.")
    z = normal_multiplier(level)
    inner = (survival > 0) & (survival < 1)
    lower = np.where(survival >= 1, 1.0, np.nan)
    upper = lower.copy()
    lower[inner], upper[inner] = _TRANSFORMS[method](survival[inner], z * std_error[inner])
    return lower, upper


Limits = tuple[FloatArray, FloatArray]


def _plain(s: FloatArray, margin: FloatArray) -> Limits:
    return np.maximum(s - margin, 0.0), np.minimum(s + margin, 1.0)


def _log(s: FloatArray, margin: FloatArray) -> Limits:
    return s * np.exp(-margin / s), np.minimum(s * np.exp(margin / s), 1.0)


def _log_log(s: FloatArray, margin: FloatArray) -> Limits:
    factor = np.exp(margin / (s * np.abs(np.log(s))))
    return s**factor, s ** (1 / factor)


def _logit(s: FloatArray, margin: FloatArray) -> Limits:
    logit = np.log(s / (1 - s))
    scaled = margin / (s * (1 - s))
    return 1 / (1 + np.exp(scaled - logit)), 1 / (1 + np.exp(-scaled - logit))


def _arcsin(s: FloatArray, margin: FloatArray) -> Limits:
    angle = np.arcsin(np.sqrt(s))
    scaled = 0.5 * margin / np.sqrt(s * (1 - s))
    return (
        np.sin(np.maximum(angle - scaled, 0.0)) ** 2,
        np.sin(np.minimum(angle + scaled, np.pi / 2)) ** 2,
    )


_TRANSFORMS: dict[str, Callable[[FloatArray, FloatArray], Limits]] = {
    "log-log": _log_log,
    "log": _log,
    "plain": _plain,
    "logit": _logit,
    "arcsin": _arcsin,
}


def _first_crossing(time: FloatArray, curve: FloatArray, level: float) -> float | None:
    """min{t : curve(t) <= level}, forgiving rounding; None if never."""
    with np.errstate(invalid="ignore"):
        reached = np.flatnonzero(curve <= level + LEVEL_TOLERANCE)
    return float(time[reached[0]]) if len(reached) else None


def _midpoint_crossing(time: FloatArray, curve: FloatArray, level: float) -> float | None:
    """First crossing; if the curve stays at exactly the level, the middle of that stretch."""
    first = _first_crossing(time, curve, level)
    if first is None:
        return None
    with np.errstate(invalid="ignore"):
        flat = abs(curve[np.searchsorted(time, first)] - level) <= LEVEL_TOLERANCE
        below = np.flatnonzero(curve < level - LEVEL_TOLERANCE)
    if not flat:
        return first
    end = time[below[0]] if len(below) else time[-1]
    return (first + float(end)) / 2


def _require_95(level: float) -> None:
    if level != 0.95:
        raise ValueError("SPSS prints 95% intervals with exactly 1.96; use another convention.")
