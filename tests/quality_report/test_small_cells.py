"""What is printed never gives a small count away, nor narrows a hidden one down."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import product

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from expectations import accounting
from expectations.small_cells import HIDDEN, SMALL_CELL, Sum, hidden, shown
from pipeline.errors import Exit
from tests.conftest import PROJECT

counts_of_patients = st.one_of(st.integers(0, 2 * SMALL_CELL), st.integers(0, 500))

FAR = 10_000
"""No count is as large; a hidden one whose range reaches so far has no upper end."""


def widths(
    counts: dict[str, int], sums: Sequence[Sum[str]], concealed: set[str]
) -> dict[str, float]:
    """Greatest less least value of each hidden count that fits the visible ones, by a solver.

    Every count is an unknown here, also the visible ones, which have one value only.
    """
    keys = list(counts)
    rows = np.zeros((len(sums), len(keys)))
    for row, one in enumerate(sums):
        rows[row, keys.index(one.total)] = -1
        for part in one.parts:
            rows[row, keys.index(part)] = 1
    least = np.array([0 if key in concealed else counts[key] for key in keys])
    most = np.array([FAR if key in concealed else counts[key] for key in keys])
    found = {}
    for key in concealed:
        ends = []
        for sign in (1, -1):
            aim = np.zeros(len(keys))
            aim[keys.index(key)] = sign
            solved = milp(
                aim,
                integrality=np.ones(len(keys)),
                bounds=Bounds(least, most),
                constraints=LinearConstraint(rows, 0, 0),
            )
            ends.append(solved.x[keys.index(key)])
        found[key] = round(ends[1] - ends[0])
    return found


def with_margins(
    cells: list[int], height: int, width: int
) -> tuple[dict[str, int], list[Sum[str]]]:
    """A table with the sums of its rows and columns and of all."""
    table = np.array(cells).reshape(height, width)
    counts = {f"{i} {j}": int(table[i, j]) for i in range(height) for j in range(width)}
    sums = []
    for i in range(height):
        sums.append(Sum(f"row {i}", tuple(f"{i} {j}" for j in range(width))))
    for j in range(width):
        sums.append(Sum(f"column {j}", tuple(f"{i} {j}" for i in range(height))))
    counts |= {one.total: sum(counts[part] for part in one.parts) for one in sums}
    sums.append(Sum("all", tuple(f"row {i}" for i in range(height))))
    sums.append(Sum("all", tuple(f"column {j}" for j in range(width))))
    counts["all"] = int(table.sum())
    return counts, sums


def test_small_counts_are_hidden_and_zero_is_not() -> None:
    assert shown({"a": 0, "b": 1, "c": 4, "d": 5, "e": 1234}) == {
        "a": "0",
        "b": HIDDEN,
        "c": HIDDEN,
        "d": "5",
        "e": "1,234",
    }


def test_a_single_hidden_part_takes_the_smallest_other_one_with_it() -> None:
    counts = {"all": 123, "a": 3, "b": 20, "c": 100, "d": 0}
    assert shown(counts, [Sum("all", ("a", "b", "c", "d"))]) == {
        "all": "123",
        "a": HIDDEN,
        "b": HIDDEN,
        "c": "100",
        "d": "0",
    }


def test_two_small_parts_whose_sum_is_small_are_covered() -> None:
    counts = {"all": 13, "a": 1, "b": 2, "c": 10}
    assert hidden(counts, [Sum("all", ("a", "b", "c"))]) == {"a", "b", "c"}


def test_a_total_that_is_small_needs_no_cover() -> None:
    assert hidden({"all": 3, "a": 3, "b": 0}, [Sum("all", ("a", "b"))]) == {"all", "a"}


def test_a_cover_is_not_what_is_printed_elsewhere() -> None:
    counts = {"all": 123, "a": 3, "b": 20, "c": 100}
    sums = [Sum("all", ("a", "b", "c"))]
    assert hidden(counts, sums, kept=["b"]) == {"a", "c"}
    assert hidden(counts, sums, kept=["b", "c", "all"]) == {"a"}


def test_what_is_dear_is_a_cover_only_where_nothing_else_can_be() -> None:
    counts = {"all": 102, "few": 2, "many": 100}
    sums = [Sum("all", ("few", "many"))]
    assert hidden(counts, sums) == {"few", "many"}
    assert hidden(counts, sums, dear=["many"]) == {"few", "all"}
    assert hidden(counts, sums, dear=["many"], kept=["all"]) == {"few", "many"}


def test_a_small_count_that_is_not_printed_is_covered_too() -> None:
    counts = {"all": 35, "died": 33, "alive": 2}
    sums = [Sum("all", ("died", "alive"))]
    assert hidden(counts, sums, unprinted=["alive"]) == {"died", "alive"}
    counts = {"all": 35, "died": 15, "alive": 20}
    assert hidden(counts, sums, unprinted=["alive"]) == {"alive"}


@given(st.lists(st.tuples(counts_of_patients, counts_of_patients), min_size=1, max_size=7))
@settings(max_examples=60, deadline=None)
def test_no_step_of_an_attrition_can_be_worked_out(excluded: list[tuple[int, int]]) -> None:
    counts = {"n0": sum(map(sum, excluded)) + 63}
    sums = []
    for step, (not_met, unknown) in enumerate(excluded, start=1):
        counts |= {f"x{step}": not_met, f"u{step}": unknown}
        counts[f"n{step}"] = counts[f"n{step - 1}"] - not_met - unknown
        sums.append(Sum(f"n{step - 1}", (f"x{step}", f"u{step}", f"n{step}")))
    concealed = hidden(counts, sums)
    assert all(width >= SMALL_CELL for width in widths(counts, sums, concealed).values())


def test_a_step_is_not_covered_by_what_completeness_prints() -> None:
    """Two without consent: how many were before them is printed as those of a known index date."""
    steps = [
        ("metastatic", 600, 40, 0, 560),
        ("consent", 560, 2, 0, 558),
        ("her2", 558, 300, 200, 58),
    ]
    with duckdb.connect() as connection:
        connection.execute("create schema cohort")
        connection.execute(
            "create table cohort.cohort_attrition (study_id text, step int, criterion text, "
            "n_in int, n_not_met int, n_unknown int, n_out int)"
        )
        connection.executemany(
            "insert into cohort.cohort_attrition values ('s', ?, ?, ?, ?, ?, ?)",
            [[number, *step] for number, step in enumerate(steps, start=1)],
        )
        alone = accounting.attrition(connection, "s", exact=False)
        beside = accounting.attrition(connection, "s", exact=False, printed=["560", "58"])
    assert (alone[0]["n_out"], alone[1]["n_not_met"]) == (HIDDEN, HIDDEN)
    assert (beside[0]["n_out"], beside[0]["n_not_met"]) == ("560", "40")
    assert [beside[1][part] for part in ("n_not_met", "n_out")] == [HIDDEN, HIDDEN]


def test_the_total_of_the_files_does_not_give_one_away() -> None:
    with duckdb.connect() as connection:
        connection.execute(
            "create schema quality; create table quality.source_files as select *, 1 as "
            "delivery_seq, 0 as n_collapsed, 0 as n_superseded, 0 as n_erased from "
            "(values (1, 'a', 300, 298, 2), (2, 'b', 300, 280, 20)) as files "
            "(file_id, table_name, n_records, n_staged, n_quarantined), "
            "(values ('of both', 'hash')) as same (file_name, sha256)"
        )
        quarantined = [row["n_quarantined"] for row in accounting.files(connection, exact=False)]
    assert quarantined[0] == HIDDEN in quarantined[1:]


@pytest.mark.parametrize("cells", [(40, 3, 9, 38), (40, 2, 2, 46)])
def test_the_share_that_agrees_gives_no_count_away(cells: tuple[int, ...]) -> None:
    """Beside the margins of two by two counts it tells each of them."""
    visits = [
        [one, other, n, sum(cells)]
        for (one, other), n in zip(product(("PR", "PD"), repeat=2), cells, strict=True)
    ]
    with duckdb.connect() as connection:
        connection.execute(
            "create schema survival; create table survival.recist_agreement (study_id text, "
            "derived_response text, recorded_response text, n_assessments int, n_total int, "
            "agreement double, kappa double)"
        )
        connection.executemany(
            "insert into survival.recist_agreement values ('s', ?, ?, ?, ?, 0.9, 0.8)", visits
        )
        found = accounting.recist_agreement(connection, "s")
    assert found is not None
    assert (found["agreement"], found["kappa"]) == (None, None)
    assert HIDDEN in str(found["rows"])


@given(st.integers(2, 5), st.integers(2, 5), st.data())
@settings(max_examples=60, deadline=None)
def test_no_cell_of_a_table_with_margins_can_be_worked_out(
    height: int, width: int, data: st.DataObject
) -> None:
    n = height * width
    cells = data.draw(st.lists(counts_of_patients, min_size=n, max_size=n))
    counts, sums = with_margins(cells, height, width)
    concealed = hidden(counts, sums)
    assert {key for key, count in counts.items() if 0 < count < SMALL_CELL} <= concealed
    assert not any(counts[key] == 0 for key in concealed)
    assert all(found >= SMALL_CELL for found in widths(counts, sums, concealed).values())


@given(st.integers(2, 4), st.integers(2, 4), st.data())
@settings(max_examples=30, deadline=None)
def test_nothing_is_hidden_without_a_small_count(
    height: int, width: int, data: st.DataObject
) -> None:
    n = height * width
    large = st.one_of(st.just(0), st.integers(SMALL_CELL, 500))
    cells = data.draw(st.lists(large, min_size=n, max_size=n))
    assert hidden(*with_margins(cells, height, width)) == set()


@pytest.mark.parametrize(
    "cells", [[1, 5, 6, 2], [3, 0, 5, 5], [4, 4, 4, 4], [5, 5, 1, 0], [2, 9, 0, 7], [1, 6, 1, 6]]
)
def test_every_table_that_fits_is_counted(cells: list[int]) -> None:
    """By trying every table of four cells, with no solver at all."""
    counts, sums = with_margins(cells, 2, 2)
    concealed = hidden(counts, sums)
    tried = np.array(list(product(range(sum(cells) + SMALL_CELL + 1), repeat=4))).T
    found = dict(zip(("0 0", "0 1", "1 0", "1 1"), tried, strict=True))
    for one in sums:
        found[one.total] = sum(found[part] for part in one.parts)
    fits = np.all([found[key] == counts[key] for key in counts if key not in concealed], axis=0)
    for key in concealed:
        assert np.ptp(found[key][fits]) >= SMALL_CELL


def with_limit(limit: str, command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=PROJECT,
        env={**os.environ, "RWE_SMALL_CELL": limit},
        capture_output=True,
        text=True,
        check=False,
    )


def test_sec04_the_limit_may_be_another() -> None:
    asked = "from expectations.small_cells import is_small; print(is_small(10), is_small(11))"
    assert with_limit("11", ["-c", asked]).stdout == "True False\n"


@pytest.mark.parametrize("limit", ["", "2", "-5", "five"])
def test_sec04_a_limit_that_is_none_is_refused(limit: str) -> None:
    refused = with_limit(limit, ["-m", "pipeline.cli", "build", "nowhere"])
    assert refused.returncode == Exit.BAD_INPUT
    assert "RWE_SMALL_CELL is the smallest count" in refused.stderr
    assert "Traceback" not in refused.stderr
