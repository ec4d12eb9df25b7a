from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from survival_examples import CLOSED_FORM, data, reference

from analysis.estimators import InvalidSurvivalInput
from analysis.estimators.concordance import concordance_index, pair_counts, uno_concordance
from analysis.estimators.risk_table import survival_rows


@pytest.mark.parametrize(
    ("key", "file", "columns"),
    [
        ("lung_age", "lung", ("time", "event", "age")),
        ("veteran_karno", "veteran", ("time", "status", "karno")),
        ("ovarian_age", "ovarian", ("futime", "fustat", "age")),
    ],
)
def test_pairs_are_those_of_r(key: str, file: str, columns: tuple[str, str, str]) -> None:
    time, event, x = (data(file)[column].to_numpy(dtype=float) for column in columns)
    wanted = reference()["concordance"][key]
    rows = survival_rows(time, event)
    # R's concordance(Surv ~ x) takes a high x for a long life.
    counts = pair_counts(rows, -x, np.ones(len(x)))
    assert counts.concordant.sum() / 2 == wanted["counts"]["concordant"]
    assert counts.discordant.sum() / 2 == wanted["counts"]["discordant"]
    assert counts.tied.sum() / 2 == wanted["counts"]["tied.x"]
    # Two who die on one day are not comparable; R says whether their x differ.
    deaths = rows.leave(rows.event)
    both_dead = wanted["counts"]["tied.y"] + wanted["counts"]["tied.xy"]
    assert np.sum(deaths * (deaths - 1)) / 2 == both_dead
    found = concordance_index([(np.arange(len(x)), rows)], -x)
    assert found.value == pytest.approx(wanted["c"], rel=CLOSED_FORM)
    assert found.std_error == pytest.approx(wanted["se"], rel=CLOSED_FORM)


# R 4.2.2, survival 3.5-3: concordance(Surv ~ x, timewt = "n/G2"), with ymax = 500 in the last.
@pytest.mark.parametrize(
    ("file", "columns", "tau", "c", "std_error"),
    [
        (
            "veteran",
            ("time", "status", "karno"),
            None,
            reference()["concordance"]["veteran_karno_uno"],
            0.0228947193000693,
        ),
        ("lung", ("time", "event", "age"), None, 0.4507692742533242, 0.0230305791000658),
        ("lung", ("time", "event", "age"), 500, 0.4497174373277953, 0.0241357621301143),
    ],
)
def test_uno_is_that_of_r(
    file: str, columns: tuple[str, str, str], tau: float | None, c: float, std_error: float
) -> None:
    time, event, x = (data(file)[column].to_numpy(dtype=float) for column in columns)
    found = uno_concordance(time, event, -x, tau=tau)
    assert found.value == pytest.approx(c, rel=CLOSED_FORM)
    assert found.std_error == pytest.approx(std_error, rel=CLOSED_FORM)


@pytest.mark.parametrize(
    ("tau", "c", "std_error"),
    [
        (None, 0.4574199877560584, 0.0241199751207386),
        (500, 0.4563074143644754, 0.0248933362025819),
    ],
)
def test_weighted_uno_is_that_of_r(tau: float | None, c: float, std_error: float) -> None:
    """R 4.2.2, survival 3.5-3: concordance(Surv ~ age, weights = w, timewt = "n/G2")."""
    lung = data("lung_w")
    found = uno_concordance(lung.time, lung.event, -lung.age, weights=lung.w, tau=tau)
    assert found.value == pytest.approx(c, rel=CLOSED_FORM)
    assert found.std_error == pytest.approx(std_error, rel=CLOSED_FORM)


def test_uno_refuses_late_entry() -> None:
    with pytest.raises(InvalidSurvivalInput, match="not defined with late entry"):
        uno_concordance([2, 3], [1, 1], [0.5, 1], entry=[0, 1])
    assert uno_concordance([2, 3], [1, 1], [0.5, 1], entry=[0, 0]) == uno_concordance(
        [2, 3], [1, 1], [0.5, 1]
    )


def test_uno_without_censoring_is_harrell() -> None:
    time, x = np.array([3.0, 5, 5, 8, 9, 12]), np.array([4.0, 4, 1, 3, 2, 1])
    rows = survival_rows(time, np.ones(6))
    harrell = concordance_index([(np.arange(6), rows)], x)
    found = uno_concordance(time, np.ones(6), x)
    assert found.value == pytest.approx(harrell.value, rel=1e-12)
    assert found.std_error == pytest.approx(harrell.std_error, rel=1e-12)


def test_uno_refuses_a_missing_predictor() -> None:
    with pytest.raises(InvalidSurvivalInput, match="predictors are missing"):
        uno_concordance([1, 2], [1, 1], [0.5, None])


def test_without_a_comparable_pair_there_is_no_value() -> None:
    rows = survival_rows([1, 2], [0, 1])
    assert concordance_index([(np.arange(2), rows)], np.array([0.0, 1.0])).value is None


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 8),
            st.integers(1, 8),
            st.integers(0, 1),
            st.integers(0, 3),
            st.sampled_from([0.5, 1.0, 3.0]),
        ),
        min_size=1,
        max_size=25,
    )
)
def test_pairs_are_those_of_a_double_loop(
    sample: list[tuple[int, int, int, int, float]],
) -> None:
    entry, length, event, predictor, weight = (np.array(c) for c in zip(*sample, strict=True))
    time = entry + length
    n = len(time)
    concordant, discordant, tied = np.zeros(n), np.zeros(n), np.zeros(n)
    for i in range(n):
        for j in range(n):
            outlives = time[j] > time[i] or (time[j] == time[i] and event[j] == 0)
            if event[i] and outlives and entry[j] < time[i]:
                target = (
                    concordant
                    if predictor[i] > predictor[j]
                    else discordant
                    if predictor[i] < predictor[j]
                    else tied
                )
                target[i] += weight[j]
                target[j] += weight[i]
    counts = pair_counts(survival_rows(time, event, entry=entry), predictor.astype(float), weight)
    np.testing.assert_allclose(counts.concordant, concordant)
    np.testing.assert_allclose(counts.discordant, discordant)
    np.testing.assert_allclose(counts.tied, tied, atol=1e-12)


@pytest.mark.parametrize(("tau", "value"), [(2, 2 / 3), (1.9, 1)])
def test_a_death_on_the_last_day_counts(tau: float, value: float) -> None:
    assert uno_concordance([1, 2, 3], [1, 1, 1], [3, 1, 2], tau=tau).value == pytest.approx(value)
