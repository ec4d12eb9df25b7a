from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.estimators import InvalidSurvivalInput, kaplan_meier, turnbull, turnbull_median

NEVER = np.inf

# Months to cosmetic deterioration of the breast after radiotherapy alone: (last visit without it,
# first visit with it], Finkelstein and Wolfe 1985, Biometrics 41:933.
COSMESIS = np.array(
    [
        (45, NEVER), (6, 10), (0, 7), (46, NEVER), (46, NEVER), (7, 16), (17, NEVER), (7, 14),
        (37, 44), (0, 8), (4, 11), (15, NEVER), (11, 15), (22, NEVER), (46, NEVER), (46, NEVER),
        (25, 37), (46, NEVER), (26, 40), (46, NEVER), (27, 34), (36, 44), (46, NEVER), (36, 48),
        (37, NEVER), (40, NEVER), (17, 25), (46, NEVER), (11, 18), (38, NEVER), (5, 12),
        (37, NEVER), (0, 5), (18, NEVER), (24, NEVER), (36, NEVER), (5, 11), (19, 35), (17, 25),
        (24, NEVER), (32, NEVER), (33, NEVER), (19, 26), (37, NEVER), (34, NEVER), (36, NEVER),
    ],
    dtype=float,
)  # fmt: skip

# Innermost intervals and probabilities as published for these data (R package interval, icfit;
# Fay and Shaw 2010, J Stat Softw 36(2)).
PUBLISHED = [
    (4, 5, 0.0463),
    (6, 7, 0.0334),
    (7, 8, 0.0887),
    (11, 12, 0.0708),
    (24, 25, 0.0926),
    (33, 34, 0.0818),
    (38, 40, 0.1209),
    (46, 48, 0.4656),
]

# Survival after each of them by greenwood 0.8.0 (self-consistency run to 1e-14).
GREENWOOD = [
    9.53653226e-01,
    9.20289855e-01,
    8.31622487e-01,
    7.60869565e-01,
    6.68223729e-01,
    5.86437964e-01,
    4.65558136e-01,
    0,
]


def test_breast_cosmesis_is_as_published() -> None:
    fit = turnbull(COSMESIS[:, 0], COSMESIS[:, 1])
    assert fit.converged
    assert list(zip(fit.table["left"], fit.table["right"], strict=True)) == [
        row[:2] for row in PUBLISHED
    ]
    np.testing.assert_allclose(fit.table["probability"], [row[2] for row in PUBLISHED], atol=6e-5)
    np.testing.assert_allclose(fit.table["survival"], GREENWOOD, atol=1e-8)
    assert fit.quantile() == (38, 40)
    assert fit.quantile(0.9) == (46, 48)


def test_survival_is_bounded_inside_an_interval_and_known_outside() -> None:
    fit = turnbull(COSMESIS[:, 0], COSMESIS[:, 1])
    at = fit.survival_at([0, 20, 39, 40, 60])
    np.testing.assert_allclose(at["lower"], [1, 0.760869565, 0.465558136, 0.465558136, 0])
    np.testing.assert_allclose(at["upper"], [1, 0.760869565, 0.586437964, 0.465558136, 0])


def test_median_with_bootstrap_limits() -> None:
    found = turnbull_median(COSMESIS[:, 0], COSMESIS[:, 1], n_resamples=60, seed=1)
    assert found.value == 40
    assert found.lower is not None and found.lower <= 40
    assert "(38, 40]" in found.method
    again = turnbull_median(COSMESIS[:, 0], COSMESIS[:, 1], n_resamples=60, seed=1)
    assert again == found


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=30))
def test_exact_and_right_censored_times_give_kaplan_meier(rows: list[tuple[int, bool]]) -> None:
    time, event = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    fit = turnbull(time, np.where(event > 0, time, NEVER))
    assert fit.converged
    km = kaplan_meier(time, event)
    known = np.unique(time)
    np.testing.assert_allclose(
        fit.survival_at(known)["upper"], km.survival_at(known)["survival"], atol=1e-6
    )


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from([0, 1, 2, 5, 99])), min_size=1, max_size=25
    )
)
def test_no_other_distribution_is_more_likely(rows: list[tuple[int, int]]) -> None:
    left, width = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    right = np.where(width == 99, NEVER, left + width)
    fit = turnbull(left, right)
    assert fit.converged
    assert fit.table["probability"].sum() == pytest.approx(1)
    # Kuhn and Tucker: moving mass towards any one place does not raise the likelihood.
    low, high, mass = (fit.table[c].to_numpy() for c in ("left", "right", "probability"))
    exact = left == right

    def inside(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        held = (a[None, :] >= left[:, None]) & (b[None, :] <= right[:, None])
        return held & (exact[:, None] | (b[None, :] > left[:, None]))

    fitted = inside(low, high) @ mass
    assert np.all(fitted > 0)
    assert fit.loglik == pytest.approx(np.sum(np.log(fitted)), abs=1e-6)
    places = np.arange(0, 16) / 1.0
    for a, b in [(p, p) for p in places] + [(p, p + 1) for p in places] + [(16, NEVER)]:
        gain = inside(np.array([a]), np.array([b]))[:, 0] / fitted
        assert gain.sum() <= len(left) * (1 + 1e-6)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.integers(1, 8), st.booleans(), st.integers(1, 3)),
        min_size=1,
        max_size=30,
    )
)
def test_exact_times_with_late_entry_give_kaplan_meier(
    rows: list[tuple[int, int, bool, int]],
) -> None:
    entry, length, event, weight = (np.array(c, dtype=float) for c in zip(*rows, strict=True))
    time = entry + length
    arguments = {"entry": entry, "weights": weight}
    fit = turnbull(time, np.where(event > 0, time, NEVER), **arguments)
    assert fit.converged
    km = kaplan_meier(time, event, **arguments)
    known = np.unique(time)
    np.testing.assert_allclose(
        fit.survival_at(known)["upper"], km.survival_at(known)["survival"], atol=1e-6
    )


def conditional_loglik(
    left: np.ndarray, right: np.ndarray, entry: np.ndarray, ends: np.ndarray, survival: np.ndarray
) -> float:
    """Sum of log P(left < T <= right | T > entry) of a curve that falls at whole numbers."""

    def at(times: np.ndarray) -> np.ndarray:
        return np.where(
            np.isinf(times), 0.0, np.r_[1.0, survival][np.searchsorted(ends, times, side="right")]
        )

    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.sum(np.log((at(left) - at(right)) / at(entry))))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 4), st.sampled_from([1, 2, 5, 99])),
        min_size=3,
        max_size=25,
    ),
    st.integers(0, 10**6),
)
def test_no_other_curve_is_more_likely_given_entry(
    rows: list[tuple[int, int, int]], seed: int
) -> None:
    entry, wait, width = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    left = entry + wait
    right = np.where(width == 99, NEVER, left + width)
    fit = turnbull(left, right, entry=entry)
    assert fit.converged
    ends = np.arange(1, 14, dtype=float)
    generator = np.random.default_rng(seed)
    for _ in range(20):
        hazard = generator.beta(0.6, 2, len(ends))
        other = conditional_loglik(left, right, entry, ends, np.cumprod(1 - hazard))
        assert other <= fit.loglik + 1e-7


def test_late_entry_takes_the_truncation_out_of_the_estimate() -> None:
    rng = np.random.default_rng(4)
    n = 4000
    event, entry = rng.geometric(0.1, n), rng.integers(0, 9, n)
    seen = event > entry
    event, entry = event[seen], entry[seen].astype(float)
    # Visits every two months from entry on, up to twenty.
    visits = np.ceil((event - entry) / 2) - 1
    left = entry + 2 * np.minimum(visits, 10)
    right = np.where(visits < 10, left + 2, NEVER)
    honest = turnbull(left, right, entry=entry).quantile()
    naive = turnbull(left, right).quantile()
    assert honest is not None and naive is not None
    true = np.log(0.5) / np.log(0.9)
    assert honest[0] - 0.5 <= true <= honest[1] + 0.5
    assert naive[0] > true + 1


def test_entry_at_the_origin_is_none() -> None:
    late = turnbull(COSMESIS[:, 0], COSMESIS[:, 1], entry=np.zeros(len(COSMESIS)))
    np.testing.assert_array_equal(late.table, turnbull(COSMESIS[:, 0], COSMESIS[:, 1]).table)


def test_the_bootstrap_draws_as_many_patients_as_the_weights_stand_for() -> None:
    few = COSMESIS[:12]
    repeated = turnbull_median(*np.repeat(few, 40, axis=0).T, n_resamples=60, seed=2)
    weighted = turnbull_median(*few.T, weights=[40] * 12, n_resamples=60, seed=2)
    sampled = turnbull_median(*few.T, weights=[40] * 12, sampling=True, n_resamples=60, seed=2)
    assert weighted.value == repeated.value == sampled.value
    assert (weighted.lower, weighted.upper) == (repeated.lower, repeated.upper)
    assert sampled.upper is None or sampled.upper - sampled.lower > weighted.upper - weighted.lower


def test_the_order_of_the_patients_changes_no_limit() -> None:
    rng = np.random.default_rng(4)
    low = rng.uniform(0, 50, 25)
    rows = np.column_stack([low, low + rng.uniform(1, 9, 25)])
    orders = [rng.permutation(25) for _ in range(3)]
    assert len({turnbull_median(*rows[order].T, n_resamples=40) for order in orders}) == 1


def test_median_beyond_follow_up_is_none() -> None:
    found = turnbull_median([5, 6, 7], [NEVER, np.nan, NEVER], n_resamples=5)
    assert (found.value, found.lower, found.upper) == (None, None, None)


def test_refusals() -> None:
    with pytest.raises(InvalidSurvivalInput, match="no patients"):
        turnbull([], [])
    with pytest.raises(InvalidSurvivalInput, match="before the left ends"):
        turnbull([3, 4], [2, 5])
    with pytest.raises(InvalidSurvivalInput, match="left ends are negative"):
        turnbull([-1], [5])
    with pytest.raises(InvalidSurvivalInput, match="left ends are missing"):
        turnbull([np.nan], [5])
    with pytest.raises(InvalidSurvivalInput, match="after the left ends"):
        turnbull([3, 4], [5, 6], entry=[0, 5])
    with pytest.raises(InvalidSurvivalInput, match="not before the exact times"):
        turnbull([3], [3], entry=[3])
    with pytest.raises(InvalidSurvivalInput, match="weights are missing"):
        turnbull([3], [4], weights=[0])
    with pytest.raises(InvalidSurvivalInput, match="2 times but 1 right ends"):
        turnbull([1, 2], [5])
