"""What is printed never gives a small count away."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.small_cells import SMALL_CELL, Sum, hidden, shown

counts_of_patients = st.one_of(st.integers(0, 2 * SMALL_CELL), st.integers(0, 500))


def derivable(counts: dict[str, int], sums: list[Sum[str]], concealed: set[str]) -> list[str]:
    """The small counts that linear algebra works out from what is left visible."""
    unknown = sorted(concealed)
    if not unknown:
        return []
    matrix = np.array(
        [[(key in one.parts) - (key == one.total) for key in unknown] for one in sums], dtype=float
    )
    rank = np.linalg.matrix_rank(matrix)
    return [
        key
        for place, key in enumerate(unknown)
        if 0 < counts[key] < SMALL_CELL
        and np.linalg.matrix_rank(np.vstack([matrix, np.eye(len(unknown))[place]])) == rank
    ]


def test_small_counts_are_hidden_and_zero_is_not() -> None:
    assert shown({"a": 0, "b": 1, "c": 4, "d": 5, "e": 1234}) == {
        "a": "0",
        "b": "<5",
        "c": "<5",
        "d": "5",
        "e": "1,234",
    }


def test_a_single_hidden_part_takes_the_smallest_large_one_with_it() -> None:
    counts = {"all": 123, "a": 3, "b": 20, "c": 100, "d": 0}
    assert shown(counts, [Sum("all", ("a", "b", "c", "d"))]) == {
        "all": "123",
        "a": "<5",
        "b": "hidden",
        "c": "100",
        "d": "0",
    }


def test_two_small_parts_whose_sum_is_small_are_covered() -> None:
    counts = {"all": 13, "a": 1, "b": 2, "c": 10}
    assert hidden(counts, [Sum("all", ("a", "b", "c"))]) == {"a", "b", "c"}


def test_a_total_that_is_small_needs_no_cover() -> None:
    assert hidden({"all": 3, "a": 3, "b": 0}, [Sum("all", ("a", "b"))]) == {"all", "a"}


@given(st.lists(st.tuples(counts_of_patients, counts_of_patients), min_size=1, max_size=9))
@settings(max_examples=200, deadline=None)
def test_no_step_of_an_attrition_can_be_worked_out(excluded: list[tuple[int, int]]) -> None:
    counts = {"n0": sum(map(sum, excluded)) + 63}
    sums = []
    for step, (not_met, unknown) in enumerate(excluded, start=1):
        counts |= {f"x{step}": not_met, f"u{step}": unknown}
        counts[f"n{step}"] = counts[f"n{step - 1}"] - not_met - unknown
        sums.append(Sum(f"n{step - 1}", (f"x{step}", f"u{step}", f"n{step}")))
    assert derivable(counts, sums, hidden(counts, sums)) == []


@given(st.integers(2, 5), st.integers(2, 5), st.data())
@settings(max_examples=200, deadline=None)
def test_no_cell_of_a_table_with_margins_can_be_worked_out(
    height: int, width: int, data: st.DataObject
) -> None:
    n = height * width
    cells = data.draw(st.lists(counts_of_patients, min_size=n, max_size=n))
    table = np.array(cells).reshape(height, width)
    counts = {f"{i} {j}": int(table[i, j]) for i in range(height) for j in range(width)}
    sums = []
    for i in range(height):
        sums.append(Sum(f"row {i}", tuple(f"{i} {j}" for j in range(width))))
    for j in range(width):
        sums.append(Sum(f"column {j}", tuple(f"{i} {j}" for i in range(height))))
    counts |= {one.total: sum(counts[part] for part in one.parts) for one in sums}
    rows = tuple(f"row {i}" for i in range(height))
    columns = tuple(f"column {j}" for j in range(width))
    sums += [Sum("all", rows), Sum("all", columns)]
    counts["all"] = int(table.sum())
    concealed = hidden(counts, sums)
    # Where everything large is hidden already, there is nothing left to cover with.
    if any(count >= SMALL_CELL and key not in concealed for key, count in counts.items()):
        assert derivable(counts, sums, concealed) == []
