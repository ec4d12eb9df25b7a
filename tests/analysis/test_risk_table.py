from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.estimators import InvalidSurvivalInput, risk_table
from analysis.estimators.risk_table import distinct


def test_counts_at_each_time() -> None:
    table = risk_table([3, 1, 3, 7], [1, 0, 0, 1])
    assert table.time.tolist() == [1, 3, 7]
    assert table.n_at_risk.tolist() == [4, 3, 1]
    assert table.n_events.tolist() == [0, 1, 1]
    assert table.n_censored.tolist() == [1, 1, 0]


def test_late_entry_is_at_risk_from_just_after() -> None:
    table = risk_table([3, 5, 7], [1, 1, 1], entry=[0, 3, 4])
    assert table.n_at_risk.tolist() == [1, 2, 1]


def test_entry_at_the_origin_is_at_risk_at_the_origin() -> None:
    assert risk_table([0, 5], [1, 1], entry=[-1, 0]).n_at_risk.tolist() == [2, 1]


@pytest.mark.parametrize("times", [[0.0, 1e-8], [1e6, 1e6 + 0.01]])
def test_times_that_hardly_differ_are_one(times: list[float]) -> None:
    assert risk_table(times, [1, 1]).n_events.tolist() == [2]


def test_weights_are_summed() -> None:
    table = risk_table([3, 3, 5], [1, 0, 1], weights=[0.5, 2, 1])
    assert table.n_at_risk.tolist() == [3.5, 1]
    assert table.n_events.tolist() == [0.5, 1]
    assert table.n_censored.tolist() == [2, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"time": [], "event": []}, "no patients"),
        ({"time": [1, -2], "event": [1, 0]}, r"1 of 2 times are negative \(positions 1"),
        ({"time": [1, np.nan], "event": [1, 0]}, "missing or not finite"),
        ({"time": [1, np.inf], "event": [1, 0]}, "missing or not finite"),
        ({"time": pd.array([1, None], dtype="Int64"), "event": [1, 0]}, "missing"),
        ({"time": [1, 2], "event": [1, 2]}, "1 of 2 events are missing or neither 0 nor 1"),
        ({"time": [1, 2], "event": [1, None]}, "events are missing"),
        ({"time": [1, 2], "event": [1]}, "2 times but 1 events"),
        ({"time": ["a", "b"], "event": [1, 1]}, "must be numbers"),
        ({"time": np.array(["2020-01-01"], "M8[D]"), "event": [1]}, "not dates"),
        ({"time": [1, 2], "event": [1, 1], "entry": [0, 2]}, "not before the exit"),
        ({"time": [1, 2], "event": [1, 1], "entry": [0, np.nan]}, "entry times are missing"),
        ({"time": [1, 2], "event": [1, 1], "weights": [1, 0]}, "not positive"),
        ({"time": [[1, 2]], "event": [[1, 2]]}, "must be numbers"),
    ],
)
def test_bad_input_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(InvalidSurvivalInput, match=message):
        risk_table(**arguments)


def test_a_refusal_names_positions_and_no_values() -> None:
    times = np.arange(100.0)
    times[10:20] = -987
    with pytest.raises(InvalidSurvivalInput) as refusal:
        risk_table(times, np.ones(100))
    assert "987" not in str(refusal.value)
    assert "10 of 100" in str(refusal.value)
    assert "10, 11, 12, 13, 14, ..." in str(refusal.value)


def test_booleans_and_nullable_columns_are_accepted() -> None:
    table = risk_table(pd.Series([1, 2], dtype="Int64"), pd.Series([True, False], dtype="boolean"))
    assert table.n_events.tolist() == [1, 0]


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=50))
def test_histogram_and_sort_agree(values: list[int]) -> None:
    whole = np.array(values, dtype=float)
    unique, code = np.unique(whole, return_inverse=True)
    grid, found = distinct(whole)
    np.testing.assert_array_equal(grid, unique)
    np.testing.assert_array_equal(found, code)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(1, 20), st.integers(0, 1)),
        min_size=1,
        max_size=40,
    )
)
def test_at_risk_is_entry_before_exit_not_before(rows: list[tuple[int, int, int]]) -> None:
    entry = np.array([row[0] for row in rows])
    time = entry + np.array([row[1] for row in rows])
    table = risk_table(time, [row[2] for row in rows], entry=entry)
    expected = [int(np.sum((entry < t) & (time >= t))) for t in table.time]
    assert table.n_at_risk.tolist() == expected
    anywhere = np.arange(0.5, 45)
    assert table.at_risk_before(anywhere).tolist() == [
        int(np.sum((entry < t) & (time >= t))) for t in anywhere
    ]
