"""Fits as lifelines objects: what lifelines makes of our risk table and design is what we found."""

from __future__ import annotations

import numpy as np
import pytest
from cox_examples import model
from matplotlib.figure import Figure
from survival_examples import CLOSED_FORM, ITERATIVE, curves, data

from analysis.estimators import (
    InvalidSurvivalInput,
    firth_cox,
    kaplan_meier,
    lifelines_curve,
    lifelines_model,
)


@pytest.mark.parametrize("name", ["gbsg_hormon", "gehan_treat", "lung_all"])
def test_curve_from_the_risk_table_alone(name: str) -> None:
    example = curves(name)
    ours = kaplan_meier(example.time, example.event)
    theirs = lifelines_curve(ours, "everybody")
    found = theirs.survival_function_at_times(ours.time).to_numpy()
    np.testing.assert_allclose(found, ours.survival, rtol=CLOSED_FORM, atol=1e-15)
    assert theirs.event_table["at_risk"].loc[ours.time[0]] == ours.n
    axes = theirs.plot_survival_function(ax=Figure().subplots())
    assert axes.get_legend_handles_labels()[1] == ["everybody"]


@pytest.mark.parametrize(
    "key", ["lung_age_sex_ecog_efron", "strata_veteran", "lt_rotterdam", "weights_lung_naive"]
)
@pytest.mark.filterwarnings("ignore::lifelines.exceptions.StatisticalWarning")
def test_model_with_its_strata_entry_and_weights(key: str) -> None:
    ours = model(key)
    theirs = lifelines_model(ours)
    np.testing.assert_allclose(theirs.params_[list(ours.table.term)], ours.coefficients, ITERATIVE)
    np.testing.assert_allclose(
        theirs.standard_errors_[list(ours.table.term)], ours.table.std_error, ITERATIVE
    )
    assert theirs.plot(ax=Figure().subplots()).get_xlabel() == "log(HR) (95% CI)"


def test_what_lifelines_cannot_hold_is_refused() -> None:
    late = data("rotterdam_lt")
    with pytest.raises(InvalidSurvivalInput, match="late entry"):
        lifelines_curve(kaplan_meier(late.dtime, late.death, entry=late.entry))
    mono = data("mono")
    with pytest.raises(InvalidSurvivalInput, match="Efron"):
        lifelines_model(firth_cox(mono, duration="time", event="event", covariates=["g"]))
