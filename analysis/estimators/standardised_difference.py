"""Standardised differences between two groups, for Table 1 and for balance after weighting."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.estimators.log_rank import quadratic_form
from analysis.estimators.risk_table import (
    FloatArray,
    InvalidSurvivalInput,
    group_codes,
    numeric,
    refuse,
    require_length,
)


def standardised_difference(
    values: npt.ArrayLike, group: npt.ArrayLike, *, weights: npt.ArrayLike | None = None
) -> float | None:
    """Standardised difference of a variable between two groups (Yang and Dalton 2012).

    Numbers: (mean of the second group - mean of the first) / sqrt of the mean of the two
    variances (divisor n - 1); the sign is kept. Text, categoricals and booleans: the Mahalanobis
    distance of the proportions of all levels but one, which has no sign.

    Parameters
    ----------
    values : shape (n,)
        Missing values are left out, as in the column of Table 1 beside it.
    group : shape (n,)
        Exactly two labels.
    weights : shape (n,), optional
        Positive. The variances in the denominator are then weighted too, with the divisor of
        Austin (2008) for means of weighted samples.

    Returns
    -------
    float or None
        None where it is not defined: a group without a value, or groups that differ although
        nothing varies within either.

    Raises
    ------
    InvalidSurvivalInput
        For other than two groups, lengths that differ, weights that are not positive.
    """
    column = pd.Series(values) if not isinstance(values, pd.Series) else values
    column = column.reset_index(drop=True)
    labels, code = group_codes(group, len(column), "group labels")
    if len(labels) != 2:
        raise InvalidSurvivalInput(
            f"A standardised difference compares two groups; the data have {len(labels)}."
        )
    weight = np.ones(len(column)) if weights is None else numeric(weights, "weights")
    require_length(weight, len(column), "weights")
    refuse(~(np.isfinite(weight) & (weight > 0)), "weights are missing or not positive")
    known = column.notna().to_numpy()
    parts = [known & (code == k) for k in (0, 1)]
    if not all(part.any() for part in parts):
        return None
    if is_categorical(column):
        return _categorical(column, parts, weight)
    return _continuous(numeric(column, "values"), parts, weight)


def balance_table(
    frame: pd.DataFrame,
    covariates: list[str],
    group: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
) -> pd.DataFrame:
    """Standardised differences of many columns: covariate, before and, with weights, after.

    Raises
    ------
    InvalidSurvivalInput
        As `standardised_difference`; also for an absent column.
    """
    absent = [name for name in covariates if name not in frame.columns]
    if absent:
        raise InvalidSurvivalInput(f"The data have no column named {', '.join(absent)}.")
    before = [standardised_difference(frame[name], group) for name in covariates]
    table = pd.DataFrame({"covariate": covariates, "before": np.array(before, dtype=float)})
    if weights is not None:
        after = [
            standardised_difference(frame[name], group, weights=weights) for name in covariates
        ]
        table["after"] = np.array(after, dtype=float)
    return table


def is_categorical(column: pd.Series[Any]) -> bool:
    """Whether a column holds levels rather than numbers."""
    return bool(
        isinstance(column.dtype, pd.CategoricalDtype)
        or pd.api.types.is_bool_dtype(column.dtype)
        or not pd.api.types.is_numeric_dtype(column.dtype)
    )


def _continuous(
    values: FloatArray, parts: list[npt.NDArray[np.bool_]], weight: FloatArray
) -> float | None:
    refuse(np.isinf(values), "values are not finite")
    means, variances = [], []
    for part in parts:
        share, own = weight[part], values[part]
        if own.min() == own.max():  # exactly, for a mean is rounded
            means.append(float(own[0]))
            variances.append(0.0)
            continue
        mean = float(np.average(own, weights=share))
        freedom = share.sum() - np.sum(share**2) / share.sum()
        means.append(mean)
        variances.append(float(share @ (own - mean) ** 2) / freedom)
    difference = means[1] - means[0]
    scale = float(np.sqrt(np.mean(variances)))
    if scale == 0:
        return 0.0 if difference == 0 else None
    return difference / scale


def _categorical(
    column: pd.Series[Any], parts: list[npt.NDArray[np.bool_]], weight: FloatArray
) -> float | None:
    known = parts[0] | parts[1]
    level_of = np.full(len(column), -1)
    labels, level_of[known] = group_codes(column[known], int(known.sum()), "values")
    first, second = (
        np.bincount(level_of[part], weight[part], minlength=len(labels)) / weight[part].sum()
        for part in parts
    )
    # One level is redundant; with all of them the covariance is singular in exactly that way.
    covariance = (np.diag(first) - np.outer(first, first)) / 2
    covariance += (np.diag(second) - np.outer(second, second)) / 2
    difference = second - first
    distance, rank = quadratic_form(difference, covariance)
    present = int(np.sum(first + second > 0))
    if rank < present - 1:
        return 0.0 if np.allclose(difference, 0, atol=1e-12) else None
    return float(np.sqrt(distance))
