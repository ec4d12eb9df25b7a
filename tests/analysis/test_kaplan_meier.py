from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from survival_examples import CLOSED_FORM, curves, data, floats, reference

from analysis.estimators import (
    InvalidSurvivalInput,
    KaplanMeier,
    kaplan_meier,
    reverse_kaplan_meier,
)

KM = reference()["km"]
GROUPS = [
    pytest.param(name, label, id=f"{name}-{label}")
    for name, entry in KM.items()
    for label in ["overall", *entry.get("groups", {})]
]
#: The upper log limit of this curve is not monotone; R sorts it before it looks for the level and
#: so passes over the first time at which it lies below.
WHERE_R_IS_WRONG = {("aml_x", "overall", "log", 0.5): 45}
INTERVALS = ("plain", "log", "log-log", "logit", "arcsin")


def fitted(name: str, label: str) -> tuple[KaplanMeier, KaplanMeier, dict]:
    example = curves(name)
    if label == "overall":
        time, event, expected = example.time, example.event, KM[name]["overall"]
    else:
        time, event = example.of(label)
        expected = KM[name]["groups"][label]
    return kaplan_meier(time, event), reverse_kaplan_meier(time, event), expected


def none_or(value: float | None) -> object:
    return None if value is None else pytest.approx(value, rel=CLOSED_FORM)


@pytest.mark.parametrize(("name", "label"), GROUPS)
def test_curve_is_that_of_r(name: str, label: str) -> None:
    km, _, expected = fitted(name, label)
    assert km.n == expected["n"]
    assert km.events == expected["events"]
    assert km.cumulative_hazard[-1] == pytest.approx(expected["nelson_aalen_last"], CLOSED_FORM)
    if "time" not in expected:
        return
    happened = km.n_events > 0
    np.testing.assert_allclose(km.time[happened], expected["time"], rtol=CLOSED_FORM)
    np.testing.assert_array_equal(km.n_at_risk[happened], expected["n_risk"])
    np.testing.assert_array_equal(km.n_events[happened], expected["n_event"])
    np.testing.assert_allclose(
        km.survival[happened], expected["surv"], rtol=CLOSED_FORM, atol=1e-15
    )
    np.testing.assert_allclose(km.std_error[happened], floats(expected["se"]), rtol=CLOSED_FORM)


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize(("name", "label"), GROUPS)
def test_quantiles_and_bands_are_those_of_r(name: str, label: str, interval: str) -> None:
    km, _, expected = fitted(name, label)
    quantiles = expected["quantiles"][interval]
    for index, p in enumerate(quantiles["p"]):
        estimate = km.quantile(p, convention="r", interval=interval)
        assert estimate.value == none_or(quantiles["est"][index])
        assert estimate.lower == none_or(quantiles["lower"][index])
        upper = WHERE_R_IS_WRONG.get((name, label, interval, p), quantiles["upper"][index])
        assert estimate.upper == none_or(upper)
    at = expected["at"][interval]
    found = km.survival_at(at["time"], method=interval)
    for column, key in (("survival", "surv"), ("lower", "lower"), ("upper", "upper")):
        np.testing.assert_allclose(found[column], floats(at[key]), rtol=CLOSED_FORM, atol=1e-15)


@pytest.mark.parametrize(("name", "label"), GROUPS)
def test_mean_and_follow_up_are_those_of_r(name: str, label: str) -> None:
    km, follow_up, expected = fitted(name, label)
    mean = km.mean()
    assert km.time[-1] == expected["max_time"]
    assert mean.value == pytest.approx(expected["rmean_individual"], rel=CLOSED_FORM)
    assert mean.std_error == pytest.approx(expected["se_rmean_individual"], rel=CLOSED_FORM)
    wanted = expected["reverse_km"]
    log = follow_up.median(convention="r", interval="log")
    loglog = follow_up.median(convention="r")
    assert log.value == none_or(wanted["median"])
    assert (log.lower, log.upper) == (none_or(wanted["lower_log"]), none_or(wanted["upper_log"]))
    assert loglog.lower == none_or(wanted["lower_loglog"])
    assert loglog.upper == none_or(wanted["upper_loglog"])


def test_spss_median_and_mean_of_gehans_6mp_arm() -> None:
    time, event = curves("gehan_treat").of("6-MP")
    km = kaplan_meier(time, event)
    median = km.median(convention="spss")
    assert median.value == 23
    assert median.std_error == pytest.approx(5.255, abs=5e-4)
    assert median.upper == pytest.approx(23 + 1.96 * median.std_error)
    mean = km.mean(convention="spss")
    assert mean.value == pytest.approx(23.287, abs=5e-4)
    assert mean.std_error == pytest.approx(2.827, abs=5e-4)
    assert mean.lower == pytest.approx(mean.value - 1.96 * mean.std_error, rel=1e-15)


def test_spss_interval_is_missing_where_the_density_is_not_estimable() -> None:
    km = kaplan_meier([1, 2, 3, 4], [1, 1, 0, 0])
    median = km.median(convention="spss")
    assert (median.value, median.lower, median.upper, median.std_error) == (2, None, None, None)
    # The definition asks for event times on either side; the origin is none (Collett 2003, 2.4).
    for first in (kaplan_meier([5, 9], [1, 1]), kaplan_meier([0, 0, 0, 2, 3], [1, 1, 1, 0, 0])):
        median = first.median(convention="spss")
        assert (median.value, median.std_error) == (first.time[0], None)
    three = kaplan_meier([5, 9, 12], [1, 1, 1]).median(convention="spss")
    assert three.std_error == pytest.approx((2 / 27) ** 0.5 / ((2 / 3 - 1 / 3) / (9 - 5)))
    with pytest.raises(ValueError, match="95%"):
        km.median(convention="spss", level=0.9)


@pytest.mark.parametrize(
    ("event", "standard", "as_r"),
    [
        ([1, 1, 1, 1, 1, 1], 3, 3.5),
        ([1, 1, 1, 0, 0, 0], 3, reference()["edge"]["six_half_then_censored"]["median"]),
    ],
)
def test_median_where_the_curve_is_exactly_one_half(
    event: list[int], standard: float, as_r: float
) -> None:
    km = kaplan_meier(range(1, 7), event)
    assert km.median().value == standard
    assert km.median(convention="r").value == as_r


def test_edge_cases_of_r() -> None:
    edge = reference()["edge"]
    wanted = edge["flat_at_half"]
    every = kaplan_meier([1, 2, 3, 4], [1, 1, 1, 1])
    assert every.time.tolist() == wanted["time"]
    flat = every.median(convention="r", interval="log")
    assert (flat.value, flat.lower, flat.upper) == (
        wanted["median"],
        wanted["lower"],
        wanted["upper"],
    )
    half = kaplan_meier([1, 2, 3, 4], [1, 1, 0, 0])
    assert half.median(convention="r").value == edge["half_then_censored"]["median"]

    nobody = kaplan_meier([5, 8, 9], [0, 0, 0])
    assert nobody.median().value is None
    assert nobody.survival.tolist() == edge["all_censored_n3"]["surv"]
    assert nobody.mean().value == edge["all_censored_n3"]["rmean"]

    alone = kaplan_meier([5], [1])
    median = alone.median(convention="r", interval="log")
    wanted = edge["n1_event"]
    assert (median.value, median.lower, median.upper) == (
        wanted["median"],
        wanted["lower"],
        wanted["upper"],
    )
    assert alone.survival.tolist() == wanted["surv"]
    assert np.isnan(alone.std_error).all()

    at_origin = kaplan_meier([0, 0, 1, 2], [1, 0, 1, 1])
    assert at_origin.time.tolist() == edge["time_zero"]["time"]
    np.testing.assert_allclose(at_origin.survival, edge["time_zero"]["surv"])
    assert at_origin.band()["time"].tolist() == [0, 1, 2]

    ties = kaplan_meier([0.1 + 0.2, 0.3, 0.3, 1], [1, 1, 1, 1])
    assert ties.time.tolist() == edge["float_ties"]["time"]
    assert ties.n_events.tolist() == edge["float_ties"]["n_event"]


def test_late_entry_is_that_of_r() -> None:
    wanted = reference()["km_left_trunc"]["rotterdam_lt"]
    frame = data("rotterdam_lt")
    for hormon in (0, 1):
        part = frame[frame.hormon == hormon]
        km = kaplan_meier(part.dtime, part.death, entry=part.entry)
        median = km.median(convention="r", interval="log")
        assert median.value == wanted["median"][hormon]
        assert median.lower == wanted["lower_log"][hormon]
        assert median.upper == wanted["upper_log"][hormon]
        assert km.survival_at(1825)["survival"][0] == pytest.approx(
            wanted["S_1825"][hormon], rel=CLOSED_FORM
        )


def test_a_first_risk_set_of_one_drags_the_curve_to_zero_as_in_r() -> None:
    wanted = reference()["km_left_trunc"]["collapse"]
    rows = pd.DataFrame(wanted["data"])
    km = kaplan_meier(rows.time, rows.event, entry=rows.entry)
    assert km.time.tolist() == wanted["time"]
    assert km.survival.tolist() == wanted["surv"]
    assert km.median().value == wanted["median"]


def test_sampling_weights_get_the_robust_error_of_r() -> None:
    wanted = reference()["km_weighted"]["lung_w"]
    lung = data("lung_w")
    km = kaplan_meier(lung.time, lung.event, weights=lung.w)
    at = km.survival_at([365]).iloc[0]
    assert km.median().value == wanted["median"]
    assert at.survival == pytest.approx(wanted["S_at_365"], rel=CLOSED_FORM)
    assert at.std_error == pytest.approx(wanted["robust_se_at_365"], rel=CLOSED_FORM)
    # R's survfit is robust with such weights whether or not it is asked.
    assert at.std_error == pytest.approx(wanted["se_at_365"], rel=CLOSED_FORM)


def test_robust_error_equals_greenwoods_for_equal_weights() -> None:
    lung = data("lung")
    plain = kaplan_meier(lung.time, lung.event)
    robust = kaplan_meier(lung.time, lung.event, weights=np.full(len(lung), 0.5))
    np.testing.assert_allclose(robust.std_error, plain.std_error, rtol=1e-10)
    assert robust.mean().std_error == pytest.approx(plain.mean().std_error, rel=1e-10)


def test_robust_error_with_late_entry_is_the_brute_force_jackknife() -> None:
    frame = data("rotterdam_lt").iloc[:120]
    rng = np.random.default_rng(3)
    weights = rng.uniform(0.5, 2, len(frame)).round(2)
    km = kaplan_meier(frame.dtime, frame.death, entry=frame.entry, weights=weights)
    step = 1e-5
    influence = []
    for row in range(len(frame)):
        nudged = weights.copy()
        nudged[row] += step
        up = kaplan_meier(frame.dtime, frame.death, entry=frame.entry, weights=nudged).survival
        influence.append(weights[row] * (up - km.survival) / step)
    brute = np.sqrt(np.sum(np.square(influence), axis=0))
    late = (km.survival > 0) & (km.time > 1500)
    np.testing.assert_allclose(km.std_error[late], brute[late], rtol=1e-3)


def test_whole_weights_are_frequencies() -> None:
    lung = data("lung")
    counts = np.random.default_rng(1).integers(1, 4, len(lung))
    weighted = kaplan_meier(lung.time, lung.event, weights=counts)
    repeated = kaplan_meier(np.repeat(lung.time, counts), np.repeat(lung.event, counts))
    np.testing.assert_allclose(weighted.survival, repeated.survival, rtol=1e-12)
    np.testing.assert_allclose(weighted.std_error, repeated.std_error, rtol=1e-12)
    assert (weighted.n, weighted.events) == (repeated.n, repeated.events)


def test_number_at_risk_between_and_beyond_the_times() -> None:
    km = kaplan_meier([2, 4, 4, 6], [1, 0, 1, 0])
    assert km.number_at_risk([0, 2, 3, 4, 5, 6, 7]).tolist() == [4, 4, 3, 3, 1, 1, 0]
    late = kaplan_meier([2, 4, 4, 6], [1, 0, 1, 0], entry=[0, -1, 3, 1])
    assert late.number_at_risk([0, 1, 1.5, 2, 3, 3.5, 6]).tolist() == [2, 2, 3, 3, 2, 3, 1]


def test_band_begins_at_the_origin_and_ends_undefined_at_zero() -> None:
    band = kaplan_meier([2, 4], [1, 1]).band()
    assert band.columns.tolist() == ["time", "survival", "lower", "upper"]
    assert band.iloc[0].tolist() == [0, 1, 1, 1]
    assert band.iloc[-1][["lower", "upper"]].isna().all()


def test_survival_is_unknown_beyond_follow_up() -> None:
    known = kaplan_meier([2, 4], [1, 1]).survival_at([10])
    unknown = kaplan_meier([2, 4], [1, 0]).survival_at([10])
    assert known["survival"][0] == 0
    assert np.isnan(unknown["survival"][0])


def test_mean_beyond_follow_up_is_refused() -> None:
    with pytest.raises(InvalidSurvivalInput, match="beyond the last observed time"):
        kaplan_meier([2, 4], [1, 0]).mean(tau=5)
    assert kaplan_meier([2, 4], [1, 1]).mean(tau=5).value == 3


days = st.lists(st.integers(0, 60), min_size=1, max_size=40)


@settings(deadline=None)
@given(days)
def test_without_censoring_the_curve_is_the_empirical_one(times: list[int]) -> None:
    km = kaplan_meier(times, np.ones(len(times)))
    empirical = [(np.array(times) > t).mean() for t in km.time]
    np.testing.assert_allclose(km.survival, empirical, atol=1e-12)
    assert km.mean().value == pytest.approx(np.mean(times))
    middle = sorted(times)[(len(times) - 1) // 2]
    assert km.median().value == middle


@settings(deadline=None)
@given(days, st.data())
def test_median_does_not_depend_on_the_unit_of_time(times: list[int], draw: st.DataObject) -> None:
    events = draw.draw(st.lists(st.integers(0, 1), min_size=len(times), max_size=len(times)))
    in_days = kaplan_meier(times, events).median()
    in_months = kaplan_meier(np.array(times) / 30.4375, events).median()
    for a, b in zip(
        (in_days.value, in_days.lower, in_days.upper),
        (in_months.value, in_months.lower, in_months.upper),
        strict=True,
    ):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert a / 30.4375 == pytest.approx(b)
