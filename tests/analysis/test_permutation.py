from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from survival_examples import CLOSED_FORM, data, reference

from analysis.estimators import log_rank, permutation_log_rank

EXACT = reference()["exact_logrank"]


def test_all_arrangements_of_the_small_group_as_in_r() -> None:
    mono = data("mono")
    test = permutation_log_rank(mono.time, mono.event, mono.g)
    assert test.p_value == pytest.approx(EXACT["mono_perm_all_1771"], rel=CLOSED_FORM)
    assert test.statistic == pytest.approx(
        reference()["firth"]["mono_logrank"]["chisq"], rel=CLOSED_FORM
    )
    assert test.method == "exact permutation log-rank test (1771 arrangements)"
    tiny = pd.DataFrame(EXACT["tiny"]["data"])
    test = permutation_log_rank(tiny.t, tiny.e, tiny.g)
    assert test.p_value == pytest.approx(EXACT["tiny"]["perm_p"], rel=CLOSED_FORM)
    assert test.statistic == pytest.approx(EXACT["tiny"]["asymp"]["chisq"], rel=CLOSED_FORM)


@pytest.mark.parametrize(
    ("name", "columns"),
    [("mono", ["time", "event", "g"]), ("aml", ["time", "status", "x"])],
)
def test_linear_rank_statistic_is_that_of_coin(name: str, columns: list[str]) -> None:
    time, event, group = (data(name)[column] for column in columns)
    test = permutation_log_rank(time, event, group, statistic="score", exact_up_to=1_400_000)
    assert test.method.startswith("exact")
    assert test.p_value == pytest.approx(EXACT[name]["coin_exact_p"], rel=CLOSED_FORM)


def test_monte_carlo_is_near_coins_exact_p() -> None:
    ovarian = data("ovarian")
    test = permutation_log_rank(ovarian.futime, ovarian.fustat, ovarian.rx, statistic="score")
    assert test.method.startswith("Monte-Carlo")
    wanted = EXACT["ovarian"]["coin_exact_p"]
    assert test.p_value == pytest.approx(wanted, abs=4 * np.sqrt(wanted * (1 - wanted) / 20000))


def test_monte_carlo_never_gives_zero_and_repeats() -> None:
    gehan = data("gehan")
    first = permutation_log_rank(gehan.time, gehan.cens, gehan.treat, n_resamples=999)
    again = permutation_log_rank(gehan.time, gehan.cens, gehan.treat, n_resamples=999)
    assert first.p_value == again.p_value == 1 / 1000
    assert "seed 20261122" in first.method


def test_three_groups_equal_a_brute_force_over_log_rank() -> None:
    time = np.array([3, 5, 5, 7, 9, 11, 4])
    event = np.array([1, 1, 0, 1, 0, 1, 1])
    group = np.array([0, 0, 1, 1, 2, 2, 2])
    observed = log_rank(time, event, group).statistic
    arrangements = set(permutations(group.tolist()))
    extreme = sum(
        log_rank(time, event, np.array(labels)).statistic >= observed - 1e-9
        for labels in arrangements
    )
    test = permutation_log_rank(time, event, group)
    assert f"({len(arrangements)} arrangements)" in test.method
    assert test.p_value == pytest.approx(extreme / len(arrangements), rel=1e-12)
    assert test.degrees_of_freedom == 2


def test_no_events_is_p_one() -> None:
    assert permutation_log_rank([1, 2, 3, 4], [0, 0, 0, 0], [0, 0, 1, 1]).p_value == 1


def test_the_exact_test_holds_its_level() -> None:
    rng = np.random.default_rng(11)
    rejected = 0
    for _ in range(150):
        time = rng.exponential(1, 15)
        event = (rng.uniform(size=15) < 0.7).astype(int)
        group = np.r_[np.ones(3), np.zeros(12)]
        rejected += permutation_log_rank(time, event, group).p_value <= 0.05
    assert rejected <= 15
