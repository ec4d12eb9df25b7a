from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from survival_examples import CLOSED_FORM, data, reference

from analysis.estimators import log_rank, permutation_log_rank
from analysis.estimators.distributions import chi_square_tail

EXACT = reference()["exact_logrank"]


@pytest.mark.parametrize(("exact_up_to", "how"), [(20, "exact"), (19, "Monte-Carlo")])
def test_as_many_arrangements_as_are_allowed_are_all_enumerated(exact_up_to: int, how: str) -> None:
    found = permutation_log_rank(range(6), [1] * 6, [0, 1] * 3, exact_up_to=exact_up_to)
    assert found.method.startswith(how)


def test_all_arrangements_of_the_small_group_as_in_r() -> None:
    mono = data("mono")
    test = permutation_log_rank(mono.time, mono.event, mono.g)
    assert test.p_value == pytest.approx(EXACT["mono_perm_all_1771"], rel=CLOSED_FORM)
    chi_square = reference()["firth"]["mono_logrank"]
    assert test.statistic == pytest.approx(chi_square["chisq"], rel=CLOSED_FORM)
    p_value = log_rank(mono.time, mono.event, mono.g).p_value
    assert p_value == pytest.approx(chi_square["p"], rel=1e-7)
    assert test.method == "exact permutation log-rank test (1771 arrangements)"
    tiny = pd.DataFrame(EXACT["tiny"]["data"])
    test = permutation_log_rank(tiny.t, tiny.e, tiny.g)
    assert test.p_value == pytest.approx(EXACT["tiny"]["perm_p"], rel=CLOSED_FORM)
    asymptotic = EXACT["tiny"]["asymp"]
    assert test.statistic == pytest.approx(asymptotic["chisq"], rel=CLOSED_FORM)
    assert log_rank(tiny.t, tiny.e, tiny.g).p_value == pytest.approx(asymptotic["p"], rel=1e-7)


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("mono", ["time", "event", "g"]),
        ("aml", ["time", "status", "x"]),
        ("gehan", ["time", "cens", "treat"]),
        ("ovarian", ["futime", "fustat", "rx"]),
    ],
)
def test_linear_rank_statistic_is_that_of_coin(name: str, columns: list[str]) -> None:
    time, event, group = (data(name)[column] for column in columns)
    test = permutation_log_rank(time, event, group, statistic="score")
    wanted = EXACT[name]
    assert test.method.startswith("exact")
    assert test.p_value == pytest.approx(wanted["coin_exact_p"], rel=CLOSED_FORM)
    if "coin_asymp_p" in wanted:
        asymptotic = chi_square_tail(test.statistic, 1)
        assert asymptotic == pytest.approx(wanted["coin_asymp_p"], rel=CLOSED_FORM)
    if "coin_stat" in wanted:
        assert test.statistic == pytest.approx(wanted["coin_stat"] ** 2, rel=CLOSED_FORM)


def test_halves_count_every_arrangement_once() -> None:
    time, event = np.array([3, 5, 5, 7, 9, 11, 4, 8]), np.array([1, 1, 0, 1, 0, 1, 1, 1])
    group = np.array([0, 1, 1, 0, 0, 1, 0, 0])

    def score(labels: np.ndarray) -> float:
        return permutation_log_rank(time, event, labels, statistic="score").statistic

    observed = score(group)
    every = set(permutations(group.tolist()))
    extreme = sum(score(np.array(labels)) >= observed - 1e-9 for labels in every)
    test = permutation_log_rank(time, event, group, statistic="score")
    assert 0 < extreme < len(every)
    assert test.p_value == pytest.approx(extreme / len(every), rel=1e-12)


def test_monte_carlo_is_near_the_exact_p() -> None:
    ovarian = data("ovarian")
    columns = (ovarian.futime, ovarian.fustat, ovarian.rx)
    sampled = permutation_log_rank(*columns)
    assert sampled.method.startswith("Monte-Carlo")
    exact = EXACT["ovarian"]["coin_exact_p"]
    assert sampled.p_value == pytest.approx(exact, abs=0.02)


def test_late_entry_equals_a_brute_force_over_log_rank() -> None:
    time, event = np.array([3, 5, 5, 7, 9, 11, 4]), np.array([1, 1, 0, 1, 0, 1, 1])
    entry = np.array([0, 2, 1, 5, 0, 4, 3])
    group = np.array([0, 1, 1, 0, 1, 0, 0])
    observed = log_rank(time, event, group, entry=entry).statistic
    every = set(permutations(group.tolist()))
    extreme = sum(
        log_rank(time, event, np.array(labels), entry=entry).statistic >= observed - 1e-9
        for labels in every
    )
    test = permutation_log_rank(time, event, group, entry=entry)
    assert 1 < extreme < len(every)
    assert test.p_value == pytest.approx(extreme / len(every), rel=1e-12)
    assert test.statistic == observed


def test_monte_carlo_never_gives_zero_and_repeats() -> None:
    gehan = data("gehan")
    first = permutation_log_rank(gehan.time, gehan.cens, gehan.treat, n_resamples=999)
    again = permutation_log_rank(gehan.time, gehan.cens, gehan.treat, n_resamples=999)
    assert first.p_value == again.p_value == 1 / 1000
    assert "seed 20261122" in first.method


def test_the_order_of_the_patients_changes_no_p_value() -> None:
    """Tied deaths and censorings, late entries, and labels in an order of their own."""
    rng = np.random.default_rng(3)
    time, event = rng.integers(3, 9, 40), rng.integers(0, 2, 40)
    entry, group = rng.integers(0, 3, 40), rng.integers(0, 3, 40)
    orders = [rng.permutation(40) for _ in range(3)]
    for late in (None, entry):
        found = {
            permutation_log_rank(
                time[order],
                event[order],
                group[order],
                entry=None if late is None else late[order],
                n_resamples=999,
            ).p_value
            for order in orders
        }
        assert len(found) == 1


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
