from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from survival_examples import CLOSED_FORM, data, reference

from analysis.estimators import InvalidSurvivalInput, log_rank, max_combo
from analysis.estimators.max_combo import joint_tail

# max |z| and its P by R 4.2.2, the covariance of the four scores summed in a loop and the joint
# probability from mvtnorm 1.1-3 (GenzBretz, 5e7 points, its error bound third).
R_NUMBERS = {
    "lung": (("time", "event", "sex"), 3.56569087291, 0.000984011679075, 5.9e-8),
    "veteran": (("time", "status", "trt"), 0.93338603639, 0.587912024382, 4.7e-9),
    "gbsg": (("rfstime", "status", "hormon"), 2.9519131833, 0.00636567164494, 1.6e-7),
}


@pytest.mark.parametrize("name", R_NUMBERS)
def test_statistic_and_p_are_those_of_r(name: str) -> None:
    columns, statistic, p_value, error = R_NUMBERS[name]
    test = max_combo(*(data(name)[column] for column in columns))
    assert test.statistic == pytest.approx(statistic, rel=1e-10)
    assert test.p_value == pytest.approx(p_value, abs=2 * error)
    # 1 = S + (1 - S): of the four weights three are independent.
    assert test.degrees_of_freedom == 3


def test_each_part_is_its_weighted_log_rank_test() -> None:
    wanted, gbsg = reference()["km"]["gbsg_hormon"], data("gbsg")
    table = max_combo(gbsg.rfstime, gbsg.status, gbsg.hormon).table
    assert table is not None
    for key, z in zip(("logrank", "fh_1_0", "fh_0_1", "fh_1_1"), table["z"], strict=True):
        assert z**2 == pytest.approx(wanted[key]["chisq"], rel=CLOSED_FORM)


def test_of_one_weight_it_is_that_test() -> None:
    lung = data("lung")
    alone = max_combo(lung.time, lung.event, lung.sex, combination=[(0, 1)])
    test = log_rank(lung.time, lung.event, lung.sex, weighting="fleming-harrington", gamma=1)
    assert alone.p_value == pytest.approx(test.p_value, rel=1e-9)
    pair = max_combo(lung.time, lung.event, lung.sex, combination=[(0, 1), (0, 1)])
    assert pair.p_value == pytest.approx(test.p_value, rel=1e-9)


def test_strata_of_one_level_change_nothing() -> None:
    lung = data("lung")
    plain = max_combo(lung.time, lung.event, lung.sex)
    stratified = max_combo(lung.time, lung.event, lung.sex, strata=np.zeros(len(lung)))
    assert stratified.p_value == pytest.approx(plain.p_value, rel=1e-12)


@pytest.mark.parametrize(("dimension", "rel"), [(2, 1e-6), (3, 1e-5), (5, 5e-3)])
@pytest.mark.parametrize("bound", [1.0, 2.5, 6.0])
def test_joint_tail_of_independent_normals(dimension: int, rel: float, bound: float) -> None:
    one = 2 * norm.sf(bound)
    every = -np.expm1(dimension * np.log1p(-one))
    p_value, rank = joint_tail(bound, np.eye(dimension))
    assert rank == dimension
    assert p_value == pytest.approx(every, rel=rel)


def test_without_anything_to_compare_p_is_one() -> None:
    test = max_combo([1, 2, 3], [0, 0, 1], [0, 0, 1])
    assert (test.statistic, test.degrees_of_freedom, test.p_value) == (0, 0, 1)


def test_refusals() -> None:
    with pytest.raises(InvalidSurvivalInput, match="the data have 3"):
        max_combo([1, 2, 3], [1, 1, 1], [0, 1, 2])
    with pytest.raises(InvalidSurvivalInput, match="negative"):
        max_combo([1, -2], [1, 1], [0, 1])
    with pytest.raises(ValueError, match="at least one weight"):
        max_combo([1, 2], [1, 1], [0, 1], combination=[])
