from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from survival_examples import CLOSED_FORM, curves, data, reference

from analysis.estimators import (
    InvalidSurvivalInput,
    adjust_p_values,
    log_rank,
    pairwise_log_rank,
)

KM = reference()["km"]
GROUPED = [name for name, entry in KM.items() if "groups" in entry]
SEVERAL = [name for name in GROUPED if "pairwise" in KM[name]]
WEIGHTINGS = {
    "logrank": {},
    "logrank_manual": {},
    "peto_rho1": {"weighting": "fleming-harrington", "rho": 1},
    "gehan_breslow": {"weighting": "gehan-breslow"},
    "tarone_ware": {"weighting": "tarone-ware"},
    "fh_1_0": {"weighting": "fleming-harrington", "rho": 1},
    "fh_0_1": {"weighting": "fleming-harrington", "gamma": 1},
    "fh_1_1": {"weighting": "fleming-harrington", "rho": 1, "gamma": 1},
    "fh_05_05": {"weighting": "fleming-harrington", "rho": 0.5, "gamma": 0.5},
    "peto_peto_Stilde": {"weighting": "peto"},
}


@pytest.mark.parametrize("key", WEIGHTINGS)
@pytest.mark.parametrize("name", GROUPED)
def test_weighted_tests_are_those_of_r(name: str, key: str) -> None:
    example, wanted = curves(name), KM[name][key]
    test = log_rank(example.time, example.event, example.group, **WEIGHTINGS[key])
    assert test.statistic == pytest.approx(wanted["chisq"], rel=CLOSED_FORM)
    assert test.degrees_of_freedom == wanted["df"]
    assert test.p_value == pytest.approx(wanted["p"], rel=1e-7)
    if key == "logrank":
        table = test.table.assign(group=test.table.group.astype(str)).set_index("group")
        assert table.observed.to_dict() == wanted["obs"]
        assert table.expected.to_dict() == pytest.approx(wanted["exp"], rel=CLOSED_FORM)


@pytest.mark.parametrize("name", SEVERAL)
def test_trend_is_that_of_r(name: str) -> None:
    example, wanted = curves(name), KM[name]["trend_metric_1k"]
    test = log_rank(example.time, example.event, example.group, trend=True)
    assert test.degrees_of_freedom == 1
    assert test.statistic == pytest.approx(wanted["chisq"], rel=CLOSED_FORM)
    assert test.p_value == pytest.approx(wanted["p"], rel=1e-7)


@pytest.mark.parametrize("adjust", ["bonferroni", "holm", "hochberg", "hommel", "BH", "BY"])
@pytest.mark.parametrize("name", SEVERAL)
def test_pairwise_is_that_of_r(name: str, adjust: str) -> None:
    example, wanted = curves(name), KM[name]["pairwise"]
    table = pairwise_log_rank(example.time, example.event, example.group, adjust=adjust)
    assert len(table) == len(wanted)
    for row in table.itertuples():
        pair = wanted[f"{row.group_a} vs {row.group_b}"]
        assert row.statistic == pytest.approx(pair["chisq"], rel=CLOSED_FORM)
        assert row.p_value == pytest.approx(pair["p"], rel=1e-7)
        assert row.p_adjusted == pytest.approx(pair[adjust], rel=1e-7)


def test_strata_are_those_of_r() -> None:
    veteran, lung = data("veteran"), data("lung").dropna(subset=["ph.ecog"])
    wanted = reference()["logrank_stratified"]
    for found, key in (
        (
            log_rank(veteran.time, veteran.status, veteran.trt, strata=veteran.celltype),
            "veteran_trt_by_celltype",
        ),
        (
            log_rank(lung.time, lung.event, lung.sex, strata=lung["ph.ecog"]),
            "lung_sex_by_ecog",
        ),
    ):
        assert found.statistic == pytest.approx(wanted[key]["chisq"], rel=CLOSED_FORM)
        assert found.p_value == pytest.approx(wanted[key]["p"], rel=1e-7)


def test_a_group_never_at_risk_at_an_event_is_not_counted() -> None:
    example = curves("lung_sex")
    time = np.r_[example.time, [1, 2]]
    event = np.r_[example.event, [0, 0]]
    group = np.r_[example.group.astype(str), ["gone", "gone"]]
    test = log_rank(time, event, group)
    assert test.degrees_of_freedom == 1
    assert test.statistic == pytest.approx(KM["lung_sex"]["logrank"]["chisq"], rel=CLOSED_FORM)
    assert test.table.group.tolist() == ["1", "2", "gone"]


def test_nothing_to_compare_is_p_one_with_no_degrees_of_freedom() -> None:
    test = log_rank([1, 2, 3, 4], [0, 0, 0, 0], [0, 0, 1, 1])
    assert (test.statistic, test.degrees_of_freedom, test.p_value) == (0, 0, 1)


def test_groups_that_are_never_under_observation_together_are_not_compared() -> None:
    test = log_rank(
        [2, 3, 4, 7, 8, 9], [1, 1, 1, 1, 0, 1], list("aaabbb"), entry=[0, 0, 0, 5, 5, 5]
    )
    assert (test.statistic, test.degrees_of_freedom, test.p_value) == (0, 0, 1)


def test_late_entry_is_the_score_test_of_a_cox_model_without_ties() -> None:
    from analysis.estimators import cox

    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"entry": rng.uniform(0, 5, 80), "x": rng.integers(0, 2, 80)})
    frame["time"] = frame.entry + rng.exponential(5, 80)
    frame["event"] = rng.integers(0, 2, 80)
    model = cox(frame, duration="time", event="event", covariates=["x"], entry="entry")
    test = log_rank(frame.time, frame.event, frame.x, entry=frame.entry)
    assert test.statistic == pytest.approx(model.score.statistic, rel=1e-9)


def test_one_group_or_a_missing_label_is_refused() -> None:
    with pytest.raises(InvalidSurvivalInput, match="two groups"):
        log_rank([1, 2], [1, 1], ["a", "a"])
    with pytest.raises(InvalidSurvivalInput, match="1 of 2 group labels are missing"):
        log_rank([1, 2], [1, 1], ["a", None])


def test_categories_keep_their_order() -> None:
    group = pd.Categorical(["low", "high", "low", "high"], categories=["low", "mid", "high"])
    assert log_rank([1, 2, 3, 4], [1, 1, 1, 1], group).table.group.tolist() == ["low", "high"]


def test_adjustment_of_one_p_value_leaves_it() -> None:
    assert adjust_p_values([0.03], "hommel").tolist() == [0.03]


def test_a_smaller_p_value_is_not_adjusted_to_a_larger_one() -> None:
    assert adjust_p_values([0.5, 0.011, 0.01], "holm") == pytest.approx([0.5, 0.03, 0.03])


def test_an_unknown_adjustment_is_refused() -> None:
    with pytest.raises(ValueError, match="holm"):
        adjust_p_values([0.1, 0.2], "sidak")


rows = st.lists(
    st.tuples(st.integers(1, 30), st.integers(0, 1), st.integers(0, 2)), min_size=4, max_size=40
)


@settings(deadline=None)
@given(rows, st.permutations([0, 1, 2]))
def test_relabelling_and_monotone_time_change_nothing(
    sample: list[tuple[int, int, int]], names: list[int]
) -> None:
    time, event, group = (np.array(column) for column in zip(*sample, strict=True))
    assume(len(np.unique(group)) > 1)
    test = log_rank(time, event, group)
    relabelled = log_rank(time, event, np.array(names)[group])
    transformed = log_rank(np.exp(time / 10), event, group)
    for other in (relabelled, transformed):
        assert other.degrees_of_freedom == test.degrees_of_freedom
        assert other.statistic == pytest.approx(test.statistic, rel=1e-8, abs=1e-10)
    assert test.table.observed.sum() == pytest.approx(test.table.expected.sum())


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_adjusted_p_values_are_ordered(p_values: list[float]) -> None:
    raw = np.array(p_values)
    hommel, hochberg, holm, bonferroni = (
        adjust_p_values(raw, method) for method in ("hommel", "hochberg", "holm", "bonferroni")
    )
    slack = 1e-12
    assert np.all(raw <= hommel + slack)
    assert np.all(hommel <= hochberg + slack)
    assert np.all(hochberg <= holm + slack)
    assert np.all(holm <= bonferroni + slack)
