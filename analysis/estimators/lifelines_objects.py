"""A fit of ours as the lifelines object of the same data, for its plots and methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.estimators.cox import CoxModel
from analysis.estimators.kaplan_meier import KaplanMeier
from analysis.estimators.risk_table import InvalidSurvivalInput

if TYPE_CHECKING:
    from lifelines import CoxPHFitter, KaplanMeierFitter

#: At its default lifelines stops while coefficients are 3e-5 off.
PRECISION = 1e-12


def lifelines_curve(curve: KaplanMeier, label: str = "survival") -> KaplanMeierFitter:
    """A fitted KaplanMeierFitter, from the risk table: one row a distinct time and fate.

    Raises
    ------
    InvalidSurvivalInput
        With late entry or sampling weights, of which a risk table does not tell whose they are.
    """
    from lifelines import KaplanMeierFitter

    if len(curve.risk.entry_time) or curve.weighted_rows is not None:
        raise InvalidSurvivalInput(
            "Curves with late entry or sampling weights must be fitted in lifelines from the rows."
        )
    counts = pd.DataFrame(
        {
            "time": np.r_[curve.time, curve.time],
            "event": np.repeat([1, 0], len(curve.time)),
            "n": np.r_[curve.n_events, curve.n_censored],
        }
    ).query("n > 0")
    return KaplanMeierFitter().fit(
        counts["time"], counts["event"], weights=counts["n"], label=label
    )


def lifelines_model(model: CoxModel) -> CoxPHFitter:
    """A CoxPHFitter fitted to the same rows, with strata, late entry, weights and clusters.

    Its covariates are ours less their means. lifelines has Efron's ties only.

    Raises
    ------
    InvalidSurvivalInput
        For other ties and Firth's penalty, which lifelines does not have.
    """
    from lifelines import CoxPHFitter

    if model.ties != "efron" or model.penalised:
        raise InvalidSurvivalInput("lifelines fits Cox models with Efron's ties only.")
    design, rows = model.design, model.design.survival
    frame = pd.DataFrame(design.x, columns=list(design.terms))
    frame["duration"] = rows.grid[rows.exit_code]
    frame["event"] = rows.event
    names: dict[str, str] = {}
    for argument, column in (
        ("entry_col", rows.entry),
        ("weights_col", design.weights),
        ("cluster_col", design.cluster),
    ):
        if column is not None:
            names[argument] = argument
            frame[argument] = column
    if len(design.strata) > 1:
        names["strata"] = "strata"
        for place, stratum in enumerate(design.strata):
            frame.loc[stratum.rows, "strata"] = place
    return CoxPHFitter().fit(
        frame, "duration", "event", fit_options={"precision": PRECISION}, **names
    )
