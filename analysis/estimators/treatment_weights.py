"""Inverse-probability-of-treatment weights, with the balance they reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from analysis.estimators.logistic import LogisticModel, logistic
from analysis.estimators.model_columns import model_columns
from analysis.estimators.risk_table import FloatArray, InvalidSurvivalInput, group_codes
from analysis.estimators.standardised_difference import balance_table

Estimand = Literal["ate", "att"]


@dataclass(frozen=True, eq=False)
class TreatmentWeights:
    """Weights that make two groups alike in their measured covariates.

    Give them to `kaplan_meier(weights=, sampling=True)` for each group and to
    `cox(weights=, robust=True)`. Both take the propensity as known, which for the average effect
    gives intervals that are if anything too wide (Lunceford and Davidian 2004).

    Attributes
    ----------
    labels : tuple
        The two groups; the second is "treated".
    propensity, weights : float arrays, shape (n,)
    truncated : int
        Weights that were cut.
    balance : DataFrame
        covariate, before, after: standardised differences (treated less untreated; several
        levels: without sign).
    groups : DataFrame
        group, n, sum_of_weights, effective_sample_size ((sum w)^2 / sum w^2, Kish),
        smallest_weight, largest_weight.
    propensity_model : LogisticModel
    method : str
        Fit for a footnote.
    """

    labels: tuple[object, object]
    propensity: FloatArray
    weights: FloatArray
    truncated: int
    balance: pd.DataFrame
    groups: pd.DataFrame
    propensity_model: LogisticModel
    method: str


def treatment_weights(
    frame: pd.DataFrame,
    *,
    treatment: str,
    covariates: list[str],
    estimand: Estimand = "ate",
    stabilised: bool = True,
    truncate: tuple[float, float] | None = None,
) -> TreatmentWeights:
    """Weight each patient by the inverse of the probability of the treatment received.

    Parameters
    ----------
    frame
        One row a patient.
    treatment
        Column with exactly two labels, sorted (or in category order); the second is "treated".
    covariates
        Columns known before treatment, of any kind, without missing values.
    estimand
        "ate", the effect in all patients: 1/p for the treated, 1/(1-p) for the others. "att",
        the effect in the treated: 1 and p/(1-p).
    stabilised
        Multiply by the share of the patient's group (Robins, Hernan and Brumback 2000); for "att"
        the weights of the untreated are scaled to their number.
    truncate
        Quantiles of the weights beyond which they are set to these quantiles, such as
        (0.01, 0.99) (Cole and Hernan 2008).

    Raises
    ------
    InvalidSurvivalInput
        For absent columns, other than two groups, covariates with missing values or one level, or
        linearly dependent ones. A separated propensity is not refused: Firth's is used and
        `method` says so.
    """
    if estimand not in ("ate", "att"):
        raise ValueError("estimand must be 'ate' or 'att'.")
    if truncate is not None and not 0 <= truncate[0] < truncate[1] <= 1:
        raise ValueError("truncate must be two ascending quantiles between 0 and 1.")
    if treatment not in frame.columns:
        raise InvalidSurvivalInput(f"The data have no column named {treatment}.")
    if not covariates:
        raise InvalidSurvivalInput("A propensity needs at least one covariate.")
    labels, code = group_codes(frame[treatment], len(frame), f"values of {treatment}")
    if len(labels) != 2:
        raise InvalidSurvivalInput(
            f"Inverse-probability weights compare two groups; the data have {len(labels)}."
        )
    model = logistic(code, model_columns(frame, covariates))
    p, treated = model.probability, code == 1
    share = treated.mean()
    if estimand == "ate":
        weights = 1 / np.where(treated, p, 1 - p)
        if stabilised:
            weights = weights * np.where(treated, share, 1 - share)
    else:
        weights = np.where(treated, 1.0, p / np.where(treated, 1.0, 1 - p))
        if stabilised:
            weights[~treated] *= (~treated).sum() / weights[~treated].sum()
    truncated = 0
    if truncate is not None:
        low, high = np.quantile(weights, truncate)
        truncated = int(np.sum((weights < low) | (weights > high)))
        weights = np.clip(weights, low, high)
    return TreatmentWeights(
        labels=(labels[0], labels[1]),
        propensity=p,
        weights=weights,
        truncated=truncated,
        balance=balance_table(frame, covariates, code, weights=weights),
        groups=pd.DataFrame(
            [_describe(label, weights[code == k]) for k, label in enumerate(labels)]
        ),
        propensity_model=model,
        method=("stabilised " if stabilised else "")
        + "inverse-probability-of-treatment weights, "
        + {"ate": "effect in all patients", "att": "effect in the treated"}[estimand]
        + (f", cut at quantiles {truncate[0]:g} and {truncate[1]:g}" if truncate else "")
        + (", propensity by Firth's penalised likelihood" if model.penalised else ""),
    )


def effective_sample_size(weights: FloatArray) -> float:
    """Unweighted patients that would be as informative as the weighted ones (Kish 1965)."""
    return float(weights.sum() ** 2 / np.sum(weights**2))


def _describe(label: object, weights: FloatArray) -> dict[str, object]:
    return {
        "group": label,
        "n": len(weights),
        "sum_of_weights": float(weights.sum()),
        "effective_sample_size": effective_sample_size(weights),
        "smallest_weight": float(weights.min()),
        "largest_weight": float(weights.max()),
    }
