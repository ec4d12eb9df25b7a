"""Restricted mean survival time and its difference between two groups."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from analysis.estimators.distributions import normal_multiplier, two_sided_normal
from analysis.estimators.kaplan_meier import kaplan_meier
from analysis.estimators.results import Estimate
from analysis.estimators.risk_table import InvalidSurvivalInput, group_codes, numeric


def restricted_mean(time: npt.ArrayLike, event: npt.ArrayLike, *, tau: float) -> Estimate:
    """Mean time lived up to `tau`: the area under the Kaplan-Meier curve.

    Greenwood-type variance, as survRM2 (Uno et al. 2014); see `KaplanMeier.mean`.

    Raises
    ------
    InvalidSurvivalInput
        As `risk_table`; also if `tau` is not positive or lies beyond follow-up.
    """
    return kaplan_meier(time, event).mean(tau=tau)


def restricted_mean_difference(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    tau: float,
    level: float = 0.95,
) -> Estimate:
    """Restricted mean of the second group less that of the first, with a two-sided P.

    Parameters
    ----------
    group : shape (n,)
        Exactly two labels, sorted (or in category order): the first is the reference.
    tau
        Horizon in the unit of `time`, within the follow-up of both groups.

    Raises
    ------
    InvalidSurvivalInput
        As `restricted_mean`; also for other than two groups.
    """
    times, events = numeric(time, "times"), numeric(event, "events")
    labels, code = group_codes(group, len(times), "group labels")
    if len(labels) != 2:
        raise InvalidSurvivalInput(
            f"A restricted mean difference compares two groups; the data have {len(labels)}."
        )
    means = [restricted_mean(times[code == k], events[code == k], tau=tau) for k in (0, 1)]
    reference, other = means
    assert reference.value is not None and other.value is not None
    assert reference.std_error is not None and other.std_error is not None
    difference = other.value - reference.value
    std_error = float(np.hypot(reference.std_error, other.std_error))
    margin = normal_multiplier(level) * std_error
    # Two curves without an event before tau are equal for certain.
    p_value = two_sided_normal(difference / std_error) if std_error > 0 else 1.0
    return Estimate(
        value=difference,
        lower=difference - margin,
        upper=difference + margin,
        std_error=std_error,
        method=f"difference of restricted means to {tau:g}, {labels[1]} minus {labels[0]}",
        p_value=p_value,
    )
