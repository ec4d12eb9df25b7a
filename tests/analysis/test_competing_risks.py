from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from survival_examples import CLOSED_FORM, data, reference

from analysis.estimators import (
    InvalidSurvivalInput,
    aalen_johansen,
    gray_test,
    kaplan_meier,
    log_rank,
)

COMPETING = reference()["competing"]


def mgus2() -> pd.DataFrame:
    """Progression (1) or death without it (2), as r_reference.R defines them."""
    frame = data("mgus2")
    progressed = frame.pstat == 1
    return frame.assign(
        time=np.where(progressed, frame.ptime, frame.futime),
        cause=np.where(progressed, 1, 2 * frame.death),
    )


@pytest.mark.parametrize("sex", ["F", "M"])
def test_incidence_and_error_are_those_of_survfit(sex: str) -> None:
    frame, wanted = mgus2(), COMPETING["mgus2_AJ_survfit"]
    part = frame[frame.sex == sex]
    fit = aalen_johansen(part.time, part.cause)
    rows = [index for index, name in enumerate(wanted["strata"]) if name == f"sex={sex}"]
    times = [wanted["time"][row] for row in rows]
    free = [1 - kaplan_meier(part.time, part.cause > 0).survival_at(times)["survival"]]
    for column, cause in ((1, 1), (2, 2)):
        at = fit.incidence_at(times, cause)
        estimate = [wanted["pstate"][row][column] for row in rows]
        error = [wanted["se"][row][column] for row in rows]
        np.testing.assert_allclose(at.incidence, estimate, rtol=CLOSED_FORM)
        np.testing.assert_allclose(at.std_error, error, rtol=CLOSED_FORM)
        free.append(-at.incidence)
    np.testing.assert_allclose(sum(free), 0, atol=1e-12)


def test_incidence_of_all_patients_is_that_of_survfit() -> None:
    frame, wanted = mgus2(), COMPETING["mgus2_all"]
    fit = aalen_johansen(frame.time, frame.cause)
    first = fit.incidence_at(wanted["time"], 1)
    np.testing.assert_allclose(first.incidence, wanted["cif1"], rtol=CLOSED_FORM)
    np.testing.assert_allclose(first.std_error, wanted["se1"], rtol=CLOSED_FORM)
    second = fit.incidence_at(wanted["time"], 2)
    np.testing.assert_allclose(second.incidence, wanted["cif2"], rtol=CLOSED_FORM)


def test_incidence_agrees_with_cmprsk_and_its_variance_nearly() -> None:
    frame, wanted = mgus2(), COMPETING["mgus2_sex"]
    for index, curve in enumerate(wanted["curves"]):
        sex, cause = curve.split()
        part = frame[frame.sex == sex]
        at = aalen_johansen(part.time, part.cause).incidence_at(wanted["times"], int(cause))
        np.testing.assert_allclose(at.incidence, wanted["est"][index], rtol=CLOSED_FORM)
        np.testing.assert_allclose(at.std_error**2, wanted["var"][index], rtol=0.02)


def test_ties_between_causes_are_exact() -> None:
    wanted = COMPETING["tied"]
    rows = pd.DataFrame(wanted["data"])
    fit = aalen_johansen(rows.time, rows.ev)
    assert fit.time.tolist() == wanted["time"]
    np.testing.assert_allclose(fit.incidence[:, 0], wanted["cif1"], rtol=CLOSED_FORM)
    np.testing.assert_allclose(fit.incidence[:, 1], wanted["cif2"], rtol=CLOSED_FORM)
    np.testing.assert_allclose(fit.std_error[:, 0], wanted["se1"], rtol=CLOSED_FORM)


def test_gray_is_that_of_cmprsk() -> None:
    frame, wanted = mgus2(), COMPETING["mgus2_sex"]
    for cause in (1, 2):
        test = gray_test(frame.time, frame.cause, frame.sex, cause_of_interest=cause)
        assert test.statistic == pytest.approx(wanted["gray"][str(cause)], rel=CLOSED_FORM)
        assert test.p_value == pytest.approx(wanted["gray_p"][str(cause)], rel=1e-8)
        assert test.degrees_of_freedom == 1
    melanoma, wanted = data("melanoma"), COMPETING["melanoma_gray"]
    causes = melanoma.status.map({1: 1, 2: 0, 3: 2})
    for cause in (1, 2):
        test = gray_test(melanoma.time, causes, melanoma.sex, cause_of_interest=cause)
        assert test.statistic == pytest.approx(wanted["chisq"][cause - 1], rel=CLOSED_FORM)
        assert test.p_value == pytest.approx(wanted["p"][cause - 1], rel=1e-8)


@pytest.mark.parametrize("rho", [0, 1])
def test_gray_without_competing_events_expects_what_the_log_rank_expects(rho: float) -> None:
    lung = data("lung")
    gray = gray_test(lung.time, lung.event, lung.sex, rho=rho)
    log = log_rank(lung.time, lung.event, lung.sex)
    pd.testing.assert_frame_equal(gray.table, log.table)
    weighted = log_rank(lung.time, lung.event, lung.sex, weighting="fleming-harrington", rho=rho)
    # The two estimate the same variance in different ways.
    assert gray.statistic == pytest.approx(weighted.statistic, rel=0.1)


def test_strata_of_one_level_change_nothing() -> None:
    frame = mgus2()
    plain = gray_test(frame.time, frame.cause, frame.sex)
    stratified = gray_test(frame.time, frame.cause, frame.sex, strata=np.zeros(len(frame)))
    assert stratified.statistic == pytest.approx(plain.statistic, rel=1e-12)
    assert stratified.method == "stratified Gray's test"


def test_a_stratum_without_events_says_nothing() -> None:
    # R 4.2.2, cmprsk 2.2-11: cuminc(time, cause, group, strata = stratum)$Tests
    time = [1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    cause = [1, 2, 1, 0, 1, 1, 2, 1, 1, 0, 0, 0]
    stratum = [1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3]
    for which, wanted in ((1, 0.0689457362044564), (2, 0.0176397953783736)):
        found = gray_test(time, cause, ["a", "b"] * 6, cause_of_interest=which, strata=stratum)
        assert found.statistic == pytest.approx(wanted, rel=CLOSED_FORM)
        assert found.degrees_of_freedom == 1


def test_the_pooled_incidence_may_reach_one_before_the_last_event() -> None:
    # R 4.2.2, cmprsk 2.2-11: cuminc(time, cause, group)$Tests
    found = gray_test([4, 1, 1, 6], [1, 1, 1, 1], ["a", "b", "b", "c"])
    assert found.statistic == pytest.approx(3.4, rel=CLOSED_FORM)
    assert found.degrees_of_freedom == 2


@pytest.mark.filterwarnings("error")
def test_an_incidence_that_is_one_but_for_rounding_has_no_limits_of_its_own() -> None:
    fit = aalen_johansen(
        [6, 6, 2, 1, 4, 5], [2, 2, 0, 2, 2, 2], weights=[1.92, 1.53, 2.48, 0.69, 0.29, 0.48]
    )
    last = fit.incidence_at([6], 2)
    assert (last.lower[0], last.upper[0]) == pytest.approx((1, 1))


def test_refusals() -> None:
    with pytest.raises(InvalidSurvivalInput, match="no events"):
        aalen_johansen([1, 2], [0, 0])
    with pytest.raises(InvalidSurvivalInput, match="not whole numbers"):
        aalen_johansen([1, 2], [0, 0.5])
    with pytest.raises(InvalidSurvivalInput, match="cause of interest"):
        gray_test([1, 2], [0, 2], [0, 1])
    with pytest.raises(InvalidSurvivalInput, match="two groups"):
        gray_test([1, 2], [0, 1], [0, 0])
    with pytest.raises(InvalidSurvivalInput, match="late entry; test the groups as covariates"):
        gray_test([2, 3], [0, 1], [0, 1], entry=[0, 1])
    with pytest.raises(InvalidSurvivalInput, match="sampling weights; test the groups"):
        gray_test([2, 3], [0, 1], [0, 1], weights=[0.5, 1])
    with pytest.raises(ValueError, match="no cause 3"):
        aalen_johansen([1, 2], [0, 1]).incidence_at([1], 3)


def test_incidence_is_unknown_beyond_follow_up() -> None:
    fit = aalen_johansen([1, 2, 3], [1, 2, 0])
    last = fit.time[-1]
    assert fit.incidence_at([2, last, 9], 1)["incidence"].isna().tolist() == [False, False, True]
    over = aalen_johansen([1, 2, 3], [1, 2, 1]).incidence_at([0.5, 9], 1)
    assert over.incidence.tolist() == pytest.approx([0, 2 / 3])
    assert over.lower[0] == over.upper[0] == 0


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 2)), min_size=1, max_size=40).filter(
        lambda rows: any(cause for _, cause in rows)
    )
)
def test_incidences_and_survival_add_to_one(rows: list[tuple[int, int]]) -> None:
    time, cause = np.array(rows).T
    fit = aalen_johansen(time, cause)
    km = kaplan_meier(time, cause > 0)
    np.testing.assert_allclose(fit.incidence.sum(axis=1) + km.survival, 1, atol=1e-12)
    if len(fit.causes) == 1:
        known = km.survival > 0
        np.testing.assert_allclose(fit.std_error[known, 0], km.std_error[known], atol=1e-7)
