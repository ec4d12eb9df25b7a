"""Competing risks: cumulative incidence by Aalen and Johansen, and Gray's test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.estimators.distributions import chi_square_tail, normal_multiplier
from analysis.estimators.log_rank import quadratic_form
from analysis.estimators.results import TestResult
from analysis.estimators.risk_table import (
    FloatArray,
    IntArray,
    InvalidSurvivalInput,
    SurvivalRows,
    group_codes,
    numeric,
    refuse,
    reverse_cumsum,
    survival_rows,
)

CENSORED = 0
#: An incidence nearer to 0 or 1 is one of these.
ROUNDING = 1e-12
INSTEAD_OF_GRAY = "test the groups as covariates of fine_gray, which takes both."


@dataclass(frozen=True, eq=False)
class AalenJohansen:
    """Cumulative incidence of C causes over the T distinct times.

    Attributes
    ----------
    n : int
        Patients.
    causes : tuple of int
        The codes of the causes, ascending.
    events : dict from cause to number of events
    time, n_at_risk, event_free : float arrays, shape (T,)
        `event_free` is the share without any event just after each time.
    incidence, std_error : float arrays, shape (T, C)
        One column a cause.
    """

    n: int
    causes: tuple[int, ...]
    events: dict[int, int]
    time: FloatArray
    n_at_risk: FloatArray
    event_free: FloatArray
    incidence: FloatArray
    std_error: FloatArray

    def incidence_at(self, times: npt.ArrayLike, cause: int, level: float = 0.95) -> pd.DataFrame:
        """Cumulative incidence of a cause: time, incidence, std_error, lower, upper.

        The interval is symmetric on the scale log(-log) of the incidence (Choudhury 2002). Beyond
        the last time everything is nan unless nobody is left event-free.
        """
        if cause not in self.causes:
            raise ValueError(f"The data hold no cause {cause}.")
        column = self.causes.index(cause)
        query = np.atleast_1d(np.asarray(times, dtype=np.float64))
        position = np.searchsorted(self.time, query, side="right")
        value = np.r_[0.0, self.incidence[:, column]][position]
        std_error = np.r_[0.0, self.std_error[:, column]][position]
        if self.event_free[-1] > 0:
            value[query > self.time[-1]] = np.nan
            std_error[query > self.time[-1]] = np.nan
        inner = (value > ROUNDING) & (value < 1 - ROUNDING)
        lower, upper = value.copy(), value.copy()
        margin = normal_multiplier(level) * std_error[inner]
        factor = np.exp(margin / (value[inner] * np.abs(np.log(value[inner]))))
        lower[inner], upper[inner] = value[inner] ** factor, value[inner] ** (1 / factor)
        return pd.DataFrame(
            {
                "time": query,
                "incidence": value,
                "std_error": std_error,
                "lower": lower,
                "upper": upper,
            }
        )


def aalen_johansen(
    time: npt.ArrayLike,
    cause: npt.ArrayLike,
    *,
    entry: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    sampling: bool | None = None,
) -> AalenJohansen:
    """Cumulative incidence functions (Aalen and Johansen 1978), exact with tied times.

    Parameters
    ----------
    time, entry, weights, sampling
        As `kaplan_meier`.
    cause : shape (n,)
        0 for censored, 1, 2, ... for the cause of the event.

    Returns
    -------
    AalenJohansen
        The standard error is the multinomial (Greenwood) one, which is R's survfit's; with
        sampling weights the infinitesimal jackknife's.

    Raises
    ------
    InvalidSurvivalInput
        As `risk_table`; also for causes that are missing, negative or not whole, and without any
        event.
    """
    code, causes = causes_of(cause)
    rows = survival_rows(time, code != CENSORED, entry=entry, weights=weights)
    deaths = np.column_stack(
        [rows.leave(_weighted(rows, (code == k).astype(np.float64))) for k in causes]
    )
    at_risk = rows.at_risk()
    total = deaths.sum(axis=1)
    event_free: FloatArray = np.cumprod(1 - total / at_risk)
    before = np.r_[1.0, event_free[:-1]]
    incidence: FloatArray = np.cumsum(before[:, None] * deaths / at_risk[:, None], axis=0)

    if rows.is_sampled(sampling):
        variance = _influence_sums_of_squares(rows, code, causes, incidence, event_free)
        return _fitted(rows, code, causes, event_free, incidence, variance)
    # An event of cause j at u moves F_k(t) by S(u-) if j = k, and through the survivors of u by
    # -(F_k(t) - F_k(u)) / (1 - d/n); summing the multinomial variances of u and writing out the
    # square leaves running sums only.
    survivors = at_risk - total
    through = np.zeros(len(total))
    np.divide(total, at_risk * survivors, out=through, where=survivors > 0)
    direct = before[:, None] * deaths / at_risk[:, None] ** 2
    own = before[:, None] ** 2 * deaths * (at_risk[:, None] - deaths) / at_risk[:, None] ** 3
    variance = (
        incidence**2 * np.cumsum(through)[:, None]
        - 2 * incidence * np.cumsum(incidence * through[:, None] + direct, axis=0)
        + np.cumsum(incidence**2 * through[:, None] + 2 * incidence * direct + own, axis=0)
    )
    return _fitted(rows, code, causes, event_free, incidence, variance)


def _fitted(
    rows: SurvivalRows,
    code: IntArray,
    causes: list[int],
    event_free: FloatArray,
    incidence: FloatArray,
    variance: FloatArray,
) -> AalenJohansen:
    return AalenJohansen(
        n=len(rows),
        causes=tuple(causes),
        events={k: int(np.sum(code == k)) for k in causes},
        time=rows.grid,
        n_at_risk=rows.at_risk(),
        event_free=event_free,
        incidence=incidence,
        std_error=np.sqrt(np.maximum(variance, 0.0)),
    )


def _influence_sums_of_squares(
    rows: SurvivalRows,
    code: IntArray,
    causes: list[int],
    incidence: FloatArray,
    event_free: FloatArray,
) -> FloatArray:
    """Sum over rows of the squared, weighted influence on each incidence, shape (T, C).

    The influence of row i on F_k(t) is the sum over u <= t of S(u-) dM_ik(u) / Y(u), less
    (F_k(t) - F_k(u)) dM_i(u) / (Y(u) - dN(u)), with dM_i = dN_i - Y_i dN / Y. Written as
    a_i(t) + b_i(t) - F_k(t) c_i(t), each a running sum, it needs no row by time matrix: a row that
    has left keeps its values, one at risk has only its compensators since entry.
    """
    at_risk, total = rows.at_risk(), rows.leave(_weighted(rows, rows.event))
    survivors = at_risk - total
    inverse = np.divide(1.0, survivors, out=np.zeros(len(total)), where=survivors > 0)
    before = np.r_[1.0, event_free[:-1]]
    squared = np.ones(len(rows)) if rows.weights is None else rows.weights**2
    variance = np.zeros_like(incidence)
    for column, cause in enumerate(causes):
        own = (code == cause).astype(np.float64)
        curve = incidence[:, column]
        deaths = rows.leave(_weighted(rows, own))
        # Compensators of a + b, and of c, up to each time of the grid.
        fixed = np.cumsum(before * deaths / at_risk**2 + curve * inverse * total / at_risk)
        scaled = np.cumsum(inverse * total / at_risk)
        start = rows.entry_code
        fixed_before = 0.0 if start is None else np.r_[0.0, fixed][start]
        scaled_before = 0.0 if start is None else np.r_[0.0, scaled][start]
        at = rows.exit_code
        final = (
            own * (before / at_risk)[at]
            + rows.event * (curve * inverse)[at]
            - (fixed[at] - fixed_before)
        )
        final_scaled = rows.event * inverse[at] - (scaled[at] - scaled_before)
        left = [
            np.cumsum(rows.leave(squared * product))
            for product in (final**2, final * final_scaled, final_scaled**2)
        ]

        def here(values: FloatArray) -> FloatArray:
            """Sum over those still at risk after each time."""
            return rows.at_risk(values) - rows.leave(values)

        zero = np.zeros(len(rows))
        n = here(squared)
        f0, s0 = here(squared * (zero + fixed_before)), here(squared * (zero + scaled_before))
        staying = (
            fixed**2 * n - 2 * fixed * f0 + here(squared * (zero + fixed_before) ** 2),
            fixed * scaled * n
            - fixed * s0
            - scaled * f0
            + here(squared * (zero + fixed_before) * (zero + scaled_before)),
            scaled**2 * n - 2 * scaled * s0 + here(squared * (zero + scaled_before) ** 2),
        )
        first, crossed, second = (a + b for a, b in zip(left, staying, strict=True))
        variance[:, column] = first - 2 * curve * crossed + curve**2 * second
    return variance


def _weighted(rows: SurvivalRows, values: FloatArray) -> FloatArray:
    return values if rows.weights is None else values * rows.weights


def gray_test(
    time: npt.ArrayLike,
    cause: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    cause_of_interest: int = 1,
    rho: float = 0,
    strata: npt.ArrayLike | None = None,
    entry: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
) -> TestResult:
    """Gray's test that groups have the same cumulative incidence of one cause (Gray 1988).

    Parameters
    ----------
    time, cause
        As `aalen_johansen`.
    group, strata : shape (n,)
        As `log_rank`.
    rho
        Weight (1 - F(t-))^rho with the pooled incidence F.
    weights
        Whole numbers, each standing for as many rows. Sampling weights are refused: the variance
        of the paper counts patients.
    entry
        Refused where anybody enters late: the risk sets of the paper are those of right-censored
        data.

    Returns
    -------
    TestResult
        As R's cmprsk::cuminc. Observed and expected count events of the cause of interest.

    Raises
    ------
    InvalidSurvivalInput
        As `aalen_johansen` and `log_rank`; also if the cause of interest does not occur, for late
        entry, and for weights that are not whole. `fine_gray` with indicators of the groups tests
        the same hypothesis with either (Geskus 2011).
    """
    code, causes = causes_of(cause)
    if cause_of_interest not in causes:
        raise InvalidSurvivalInput("No event of the cause of interest was observed.")
    rows = survival_rows(time, code != CENSORED, entry=entry, weights=weights)
    if rows.entry is not None and np.any(rows.entry > 0):
        raise InvalidSurvivalInput(f"Gray's test is not defined with late entry; {INSTEAD_OF_GRAY}")
    if rows.is_sampled(None):
        raise InvalidSurvivalInput(
            f"Gray's test is not defined with sampling weights; {INSTEAD_OF_GRAY}"
        )
    labels, groups = group_codes(group, len(rows), "group labels")
    if len(labels) < 2:
        raise InvalidSurvivalInput("Gray's test needs at least two groups.")
    k = len(labels)
    score, variance = np.zeros(k), np.zeros((k, k))
    observed, expected = np.zeros(k), np.zeros(k)
    for table in _tables(rows, code == cause_of_interest, groups, k, strata):
        part = _gray_score(table, rho)
        score += part.score
        variance += part.variance
        observed += table.interest.sum(axis=0)
        expected += part.expected
    statistic, df = quadratic_form(score, variance)
    return TestResult(
        statistic=statistic,
        degrees_of_freedom=df,
        p_value=chi_square_tail(statistic, df),
        method=("stratified " if strata is not None else "")
        + "Gray's test"
        + (f" (rho={rho:g})" if rho else ""),
        table=pd.DataFrame(
            {
                "group": labels,
                "n": np.bincount(groups, minlength=k),
                "observed": observed.astype(np.int64),
                "expected": expected,
            }
        ),
    )


class _GrayTable(NamedTuple):
    """At risk, events of interest and competing events; shape (times, groups)."""

    at_risk: FloatArray
    interest: FloatArray
    competing: FloatArray


class _GrayScore(NamedTuple):
    score: FloatArray
    variance: FloatArray
    expected: FloatArray


def _tables(
    rows: SurvivalRows,
    of_interest: npt.NDArray[np.bool_],
    groups: IntArray,
    k: int,
    strata: npt.ArrayLike | None,
) -> Iterator[_GrayTable]:
    if strata is None:
        level = np.zeros(len(rows), dtype=np.int64)
    else:
        level = group_codes(strata, len(rows), "strata")[1]
    cell = rows.exit_code * k + groups
    shape = (len(rows.grid), k)

    def count(chosen: npt.NDArray[np.bool_]) -> FloatArray:
        own = None if rows.weights is None else rows.weights[chosen]
        counts = np.bincount(cell[chosen], weights=own, minlength=shape[0] * k)
        return counts.reshape(shape).astype(np.float64)

    for stratum in np.unique(level):
        here = level == stratum
        interest = count(here & of_interest)
        competing = count(here & ~of_interest & (rows.event == 1))
        happened = (interest + competing).sum(axis=1) > 0
        at_risk = reverse_cumsum(count(here))
        if happened.any():
            yield _GrayTable(at_risk[happened], interest[happened], competing[happened])


def _gray_score(table: _GrayTable, rho: float) -> _GrayScore:
    """Score and covariance over groups, in the notation of section 2 of the paper.

    h_r = n_r / S_r(t-) estimates the size of group r without censoring, R_r = h_r (1 - F_r(t-))
    its risk set for the subdistribution, F the incidence common to all groups.
    """
    n, interest, competing = table
    k = n.shape[1]
    safe_n = np.maximum(n, 1)
    survival = np.cumprod(1 - (interest + competing) / safe_n, axis=0)
    survival_before = np.vstack([np.ones(k), survival[:-1]])
    own_incidence = np.cumsum(survival_before * interest / safe_n, axis=0)
    own_before = np.vstack([np.zeros(k), own_incidence[:-1]])
    h = np.divide(n, survival_before, out=np.zeros_like(n), where=n > 0)
    risk_set = h * (1 - own_before)

    deaths = interest.sum(axis=1)
    step = deaths / h.sum(axis=1)
    pooled = np.cumsum(step)
    pooled_before = np.r_[0.0, pooled[:-1]]
    weight = (1 - pooled_before) ** rho
    share = risk_set / risk_set.sum(axis=1, keepdims=True)
    expected = deaths[:, None] * share
    score = weight @ (interest - expected)

    # What one event in group r adds to the score of group i (T, i, r): at once, and later through
    # the estimates of F_r and S_r.
    relative = h / h.sum(axis=1, keepdims=True)
    at_once = weight[:, None, None] * (
        h[:, None, :] * np.eye(k) - relative[:, :, None] * h[:, None, :]
    )
    # Where the pooled incidence has reached 1 one group is left, to which nothing is compared.
    hazard = np.divide(step, 1 - pooled_before, out=np.zeros_like(step), where=pooled_before != 1)
    drift = np.cumsum(at_once * hazard[:, None, None], axis=0)
    later = drift[-1] - drift
    escape = np.divide(
        1 - pooled[:, None], survival, out=np.zeros_like(survival), where=survival > 0
    )
    by_interest = at_once + (1 - escape)[:, None, :] * later
    by_competing = escape[:, None, :] * later

    # Hypergeometric corrections for ties.
    expected_at_risk = h.sum(axis=1)[:, None] * survival_before
    ties_of_interest = 1 - np.divide(
        (deaths - 1)[:, None],
        expected_at_risk - 1,
        out=np.zeros_like(n),
        where=(deaths > 1)[:, None] & (expected_at_risk > 1),
    )
    ties_competing = 1 - np.divide(competing - 1, n - 1, out=np.zeros_like(n), where=competing > 1)
    variance_of_interest = np.divide(
        step[:, None] * ties_of_interest, h, out=np.zeros_like(n), where=h > 0
    )
    variance_competing = np.where(
        survival > 0, ties_competing * survival_before**2 * competing / safe_n**2, 0.0
    )
    variance = np.einsum(
        "tir,tjr,tr->ij", by_interest, by_interest, variance_of_interest
    ) + np.einsum("tir,tjr,tr->ij", by_competing, by_competing, variance_competing)
    return _GrayScore(score, variance, expected.sum(axis=0))


def causes_of(cause: npt.ArrayLike) -> tuple[IntArray, list[int]]:
    """Checked cause of each row (0 censored) and the causes that occur, ascending."""
    values = numeric(cause, "causes")
    with np.errstate(invalid="ignore"):
        bad = ~np.isfinite(values) | (values < 0) | (values != np.floor(values))
    refuse(bad, "causes are missing or not whole numbers from 0")
    code = values.astype(np.int64)
    causes = [int(k) for k in np.unique(code) if k != CENSORED]
    if not causes:
        raise InvalidSurvivalInput("There are no events, so no incidence can be estimated.")
    return code, causes
