"""E-values: how strong an unmeasured confounder would have to be to explain a hazard ratio away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.estimators.risk_table import InvalidSurvivalInput

Outcome = Literal["rare", "common"]


@dataclass(frozen=True)
class EValue:
    """The E-value of a hazard ratio and of the limit of its interval nearer to 1.

    Attributes
    ----------
    risk_ratio, lower, upper : float or None
        The hazard ratio and its limits as (approximate) risk ratios.
    point : float
        Risk ratio that a confounder needs with both exposure and outcome, beyond the measured
        covariates, to move the estimate to 1.
    limit : float or None
        The same for the interval to include 1; 1 if it does already. None without an interval.
    method : str
        Fit for a footnote.
    """

    risk_ratio: float
    lower: float | None
    upper: float | None
    point: float
    limit: float | None
    method: str


def e_value(
    hazard_ratio: float,
    lower: float | None = None,
    upper: float | None = None,
    *,
    outcome: Outcome,
) -> EValue:
    """E-value of a hazard ratio (VanderWeele and Ding 2017).

    Parameters
    ----------
    hazard_ratio, lower, upper
        All positive; the limits may be left out, 0 or infinite (they are then far from 1).
    outcome
        "rare" (under 15% by the end of follow-up): the hazard ratio is taken as a risk ratio.
        "common": the risk ratio is approximated by
        (1 - 0.5^sqrt(HR)) / (1 - 0.5^sqrt(1/HR)) (VanderWeele 2017, Biometrics).

    Raises
    ------
    InvalidSurvivalInput
        If the hazard ratio is not positive and finite or lies outside its limits.
    """
    if outcome not in ("rare", "common"):
        raise ValueError("outcome must be 'rare' or 'common'.")
    if not (np.isfinite(hazard_ratio) and hazard_ratio > 0):
        raise InvalidSurvivalInput("An E-value needs a hazard ratio that is positive and finite.")
    if (lower is None) != (upper is None):
        raise InvalidSurvivalInput("An interval needs both limits.")
    if lower is not None and upper is not None and not 0 <= lower <= hazard_ratio <= upper:
        raise InvalidSurvivalInput("The hazard ratio does not lie between its limits.")

    def as_risk_ratio(ratio: float) -> float:
        return ratio if outcome == "rare" else _common_risk_ratio(ratio)

    risk_ratio = as_risk_ratio(hazard_ratio)
    limits = [None if limit is None else as_risk_ratio(limit) for limit in (lower, upper)]
    low, high = limits
    nearer = None
    if low is not None and high is not None:
        nearer = 1.0 if low <= 1 <= high else (low if low > 1 else high)
    return EValue(
        risk_ratio=risk_ratio,
        lower=low,
        upper=high,
        point=_strength(risk_ratio),
        limit=None if nearer is None else _strength(nearer),
        method=f"E-value (VanderWeele and Ding 2017), {outcome} outcome",
    )


def _strength(risk_ratio: float) -> float:
    away = risk_ratio if risk_ratio >= 1 else 1 / risk_ratio
    return float(away + np.sqrt(away * (away - 1)))


def _common_risk_ratio(hazard_ratio: float) -> float:
    if hazard_ratio == 0 or np.isinf(hazard_ratio):
        return hazard_ratio
    return float(-np.expm1(-np.sqrt(hazard_ratio) * np.log(2))) / float(
        -np.expm1(-np.sqrt(1 / hazard_ratio) * np.log(2))
    )
