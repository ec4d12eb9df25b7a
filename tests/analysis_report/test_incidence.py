"""Competing events, and the curves from a landmark on."""

from __future__ import annotations

import json

import duckdb
import numpy as np
import pandas as pd
import pytest
import small_warehouse
from lifelines import KaplanMeierFitter
from small_warehouse import STUDY

from analysis.estimators import gray_test
from analysis.study import load_study

NEXT_LINE, DEATH = "ttnt incidence: next line", "ttnt incidence: death"


def curve(warehouse: duckdb.DuckDBPyConnection, endpoint: str, group: str) -> pd.DataFrame:
    return warehouse.execute(
        'select * from results.survival_curves where endpoint = ? and "group" = ? '
        "order by time_months",
        [endpoint, group],
    ).fetchdf()


def competing(warehouse: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    patients = load_study(warehouse, STUDY).survival("TTNT", "all", 1)
    cause = patients["source"].map({"next_line": 1, "death": 2, "last_contact": 0})
    assert set(cause) == {0, 1, 2}
    return patients.assign(cause=cause)


def test_incidence_is_the_sum_over_lifelines_curve(warehouse: duckdb.DuckDBPyConnection) -> None:
    """F(t) is the sum of S(u-) d(u) / n(u); lifelines' own estimate jitters tied events."""
    patients = competing(warehouse)
    table = KaplanMeierFitter().fit(patients["time"], patients["event"]).event_table
    hazard = table["observed"] / table["at_risk"]
    before = (1 - hazard).cumprod().shift(fill_value=1.0)
    for cause, name in ((1, NEXT_LINE), (2, DEATH)):
        own = curve(warehouse, name.replace("ttnt", "TTNT"), "everybody")
        happened = patients[patients["cause"] == cause].groupby("time").size()
        share = happened.reindex(table.index, fill_value=0) / table["at_risk"]
        expected = (before * share).cumsum()
        at = np.searchsorted(expected.index, own["time_months"], side="right") - 1
        np.testing.assert_allclose(1 - own["survival"], expected.to_numpy()[at], atol=1e-12)


def test_events_and_the_patients_free_of_them_add_up(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    patients = competing(warehouse)
    own = [
        curve(warehouse, name.replace("ttnt", "TTNT"), "everybody") for name in (NEXT_LINE, DEATH)
    ]
    free = KaplanMeierFitter().fit(patients["time"], patients["event"])
    total = sum(1 - rows["survival"].to_numpy() for rows in own)
    expected = free.survival_function_at_times(own[0]["time_months"]).to_numpy()
    np.testing.assert_allclose(1 - total, expected, atol=1e-10)
    assert sum(rows["n_events"].sum() for rows in own) == patients["event"].sum()


def test_gray_compares_the_groups(warehouse: duckdb.DuckDBPyConnection, book: pd.DataFrame) -> None:
    patients = competing(warehouse).dropna(subset=["ras_braf"])
    expected = gray_test(
        patients["time"], patients["cause"], patients["ras_braf"].astype(str), cause_of_interest=2
    )
    found = book[(book["variable"] == DEATH) & (book["statistic"] == "gray_p")]
    assert found["value"].tolist() == [pytest.approx(expected.p_value, rel=1e-12)]


def test_landmark_curves_begin_with_those_still_observed(
    warehouse: duckdb.DuckDBPyConnection, book: pd.DataFrame, page: str
) -> None:
    cohort = small_warehouse.calibrated()
    later = cohort[cohort["os_days"] > 6 * small_warehouse.DAYS_PER_MONTH]
    groups = [
        curve(warehouse, "OS landmark 6 months", group)
        for group in ("trastuzumab", "no trastuzumab")
    ]
    assert sum(int(rows["n_at_risk"].iloc[0]) for rows in groups) == len(later)
    assert all(rows["time_months"].iloc[0] == 0 for rows in groups)
    said = [
        json.loads(text) for text in book[book["variable"] == "os landmark 6 months"]["parameters"]
    ]
    assert {parameters["time_origin"] for parameters in said} == {"landmark at 6 months"}
    exposed = book[
        (book["variable"] == "os landmark 6 months") & (book["statistic"] == "exposed_n")
    ]
    assert exposed["value"].tolist() == [groups[0]["n_at_risk"].iloc[0]]
    for months in (3, 6, 12):
        assert f'id="fig2-landmark-{months}-title"' in page
