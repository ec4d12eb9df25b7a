"""Agreement of two raters who put the same things into categories."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.estimators.distributions import normal_multiplier
from analysis.estimators.results import Estimate
from analysis.estimators.risk_table import FloatArray, InvalidSurvivalInput


@dataclass(frozen=True, eq=False)
class Agreement:
    """How often two raters agree.

    Attributes
    ----------
    counts : DataFrame
        Things rated, by category of the first rater (rows) and of the second (columns).
    share : Estimate
        Share rated alike, 0 to 1.
    kappa : Estimate
        Cohen's kappa, -1 to 1; None where chance alone would always agree.
    """

    counts: pd.DataFrame
    share: Estimate
    kappa: Estimate


def agreement(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    cluster: npt.ArrayLike | None = None,
    *,
    level: float = 0.95,
) -> Agreement:
    """Share rated alike and Cohen's kappa, with limits that leave one cluster out at a time.

    Parameters
    ----------
    first, second : shape (n,)
        Categories; every thing is rated by both.
    cluster : shape (n,)
        Things of one cluster are not independent, as the visits of one patient; without it each
        thing is one of its own.

    Returns
    -------
    Agreement
        Limits are normal, with the delete-one jackknife's standard error; none with one cluster,
        and none where every leaving-out gives the same.

    Raises
    ------
    InvalidSurvivalInput
        For no things, missing categories, or columns of different length.

    Notes
    -----
    Kappa: Cohen 1960, Educ Psychol Meas 20:37. Jackknife over clusters: Efron and Stein 1981;
    for kappa of clustered pairs Kang et al. 2013, J Appl Stat 40:1767.
    """
    ratings = pd.DataFrame({"first": np.asarray(first, dtype=object)})
    for name, values in (("second", second), ("cluster", cluster)):
        column = np.arange(len(ratings)) if values is None else np.asarray(values, dtype=object)
        if len(column) != len(ratings):
            raise InvalidSurvivalInput(
                f"first has {len(ratings)} rows but {name} has {len(column)}."
            )
        ratings[name] = column
    if ratings.empty:
        raise InvalidSurvivalInput("There is nothing that both have rated.")
    if ratings.isna().any(axis=None):
        raise InvalidSurvivalInput("Some categories are missing: leave out what only one rated.")
    names = sorted(set(ratings["first"]) | set(ratings["second"]))
    place = {name: number for number, name in enumerate(names)}
    codes = ratings["first"].map(place) * len(names) + ratings["second"].map(place)
    clusters = pd.factorize(ratings["cluster"])[0]
    cells = len(names) ** 2
    per_cluster = np.bincount(
        clusters * cells + codes.to_numpy(dtype=np.int64), minlength=(clusters.max() + 1) * cells
    ).reshape(-1, len(names), len(names))
    total = per_cluster.sum(axis=0)
    left = total - per_cluster
    share, kappa = _measures(total[None])
    shares, kappas = _measures(left)
    how = "delete-one jackknife" if cluster is None else "delete-one-cluster jackknife"
    return Agreement(
        pd.DataFrame(total, index=names, columns=names),
        _estimate(share[0], shares, level, f"share rated alike; {how}"),
        _estimate(kappa[0], kappas, level, f"Cohen's kappa; {how}"),
    )


def _measures(tables: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Share rated alike and kappa of each table, shape (m, k, k); nan where not defined."""
    n = tables.sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.trace(tables, axis1=1, axis2=2) / n
        chance = (tables.sum(axis=2) * tables.sum(axis=1)).sum(axis=1) / n**2
        kappa = (share - chance) / (1 - chance)
    return share, kappa


def _estimate(value: float, left_out: FloatArray, level: float, method: str) -> Estimate:
    if np.isnan(value):
        return Estimate(None, None, None, None, method)
    m = len(left_out)
    error = float(np.sqrt((m - 1) / m * np.sum((left_out - left_out.mean()) ** 2)))
    if m < 2 or np.isnan(error) or error < 1e-12:
        return Estimate(float(value), None, None, None, method)
    margin = normal_multiplier(level) * error
    return Estimate(
        float(value), max(value - margin, -1.0), min(value + margin, 1.0), error, method
    )
