"""The proportional-hazards assumption: score test for a drift of the coefficients over time."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from analysis.estimators.cox import CoxModel
from analysis.estimators.distributions import chi_square_tail
from analysis.estimators.kaplan_meier import kaplan_meier
from analysis.estimators.log_rank import RANK_TOLERANCE, quadratic_form
from analysis.estimators.partial_likelihood import ApproximateTies, derivatives
from analysis.estimators.risk_table import FloatArray

Transform = Literal["km", "rank", "identity", "log"]


def proportional_hazards_test(model: CoxModel, transform: Transform = "km") -> pd.DataFrame:
    """Score test of adding x g(t) to the model, for each term and for all (Grambsch and Therneau).

    This is the exact score test of R's cox.zph since survival 3.0, not the approximation of
    1994 that assumes the same covariate variance at every event.

    Parameters
    ----------
    model
        From `cox`, ties "efron" or "breslow"; a robust variance does not enter, as in R.
    transform
        g(t): "km" 1 - S(t-) of all patients, "rank" the mean rank of the time among all
        rows, "identity", "log".

    Returns
    -------
    DataFrame with term, statistic, degrees_of_freedom, p_value; the last term is "GLOBAL".

    Raises
    ------
    ValueError
        For exact ties and for Firth's model, where the test is not defined, and for "log" with an
        event at time 0.
    """
    if model.penalised or model.ties == "exact":
        raise ValueError(
            "The test needs a Cox model with Efron's or Breslow's ties and no penalty."
        )
    ties: ApproximateTies = "efron" if model.ties == "efron" else "breslow"
    design = model.design
    of_time = _transformed(model, transform)
    weight = [
        of_time[np.searchsorted(design.survival.grid, stratum.survival.grid)]
        for stratum in design.strata
    ]
    beta = model.coefficients
    p = len(beta)
    plain = derivatives(design.strata, beta, ties)
    first = derivatives(design.strata, beta, ties, weight)
    second = derivatives(design.strata, beta, ties, [w**2 for w in weight])
    explained = first.information @ np.linalg.solve(plain.information, first.information)
    score = first.score - first.information @ np.linalg.solve(plain.information, plain.score)
    variance = second.information - explained
    # In the units of each covariate's own information, so that none is lost beside a larger one.
    unit = np.sqrt(np.diag(second.information))
    unit[unit == 0] = 1.0
    score, variance = score / unit, variance / np.outer(unit, unit)
    variance[np.abs(variance) < RANK_TOLERANCE] = 0.0
    results = [quadratic_form(score[[j]], variance[np.ix_([j], [j])]) for j in range(p)]
    results.append(quadratic_form(score, variance))
    return pd.DataFrame(
        {
            "term": [*design.terms, "GLOBAL"],
            "statistic": [statistic for statistic, _ in results],
            "degrees_of_freedom": [df for _, df in results],
            "p_value": [chi_square_tail(statistic, df) for statistic, df in results],
        }
    )


def _transformed(model: CoxModel, transform: Transform) -> FloatArray:
    """g at each distinct time of the data, moved to mean 0 over the events.

    The shift changes nothing but the rounding of the information matrix.
    """
    survival = model.design.survival
    grid = survival.grid
    if transform == "km":
        # R leaves case weights out of this curve.
        curve = kaplan_meier(
            grid[survival.exit_code], survival.event, entry=survival.entry
        ).survival
        values: FloatArray = 1 - np.r_[1.0, curve[:-1]]
    elif transform == "rank":
        rows_here = np.bincount(survival.exit_code)
        values = np.cumsum(rows_here) - (rows_here - 1) / 2
    elif transform == "identity":
        values = grid
    elif transform == "log":
        if survival.event[survival.exit_code == 0].any() and grid[0] == 0:
            raise ValueError("An event at time 0 has no logarithm; use another transform.")
        values = np.log(np.maximum(grid, np.finfo(float).tiny))
    else:
        raise ValueError("transform must be 'km', 'rank', 'identity' or 'log'.")
    events = survival.leave(survival.event)
    return np.asarray(values - np.average(values, weights=events))
