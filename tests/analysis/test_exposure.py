from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from survival_examples import ITERATIVE, data, reference

from analysis.estimators import InvalidSurvivalInput, cox, landmark, split_at_exposure

STANFORD = reference()["immortal_time"]["stanford"]


def stanford() -> pd.DataFrame:
    """The heart data with one row a patient: the split is to be found again."""
    heart = data("heart")
    heart["start_of_graft"] = heart["start"].where(heart["transplant"].astype(int) == 1)
    return heart.groupby("id", as_index=False).agg(
        time=("stop", "max"), event=("event", "max"), graft=("start_of_graft", "max")
    )


def ratio(frame: pd.DataFrame, duration: str, covariate: str, wanted: dict[str, float]) -> None:
    entry = "entry" if "entry" in frame else None
    row = cox(
        frame, duration=duration, event="event", covariates=[covariate], entry=entry
    ).table.iloc[0]
    for column, key in (("hazard_ratio", "hr"), ("lower", "lower"), ("upper", "upper")):
        assert row[column] == pytest.approx(wanted[key], rel=ITERATIVE)
    assert row["p_value"] == pytest.approx(wanted["p"], rel=1e-5)


def test_split_finds_the_published_rows_again() -> None:
    patients, heart = stanford(), data("heart")
    rows = split_at_exposure(patients["time"], patients["event"], patients["graft"])
    wanted = heart.assign(exposed=heart["transplant"].astype(int)).sort_values(["id", "start"])
    assert len(rows) == STANFORD["time_dependent"]["n"]
    np.testing.assert_array_equal(np.maximum(rows["entry"], 0), wanted["start"])
    np.testing.assert_array_equal(rows["exit"], wanted["stop"])
    np.testing.assert_array_equal(rows["event"], wanted["event"])
    np.testing.assert_array_equal(rows["exposed"], wanted["exposed"])


def test_hazard_ratios_are_those_of_r() -> None:
    patients = stanford()
    ever = patients.assign(ever=patients["graft"].notna().astype(int))
    ratio(ever, "time", "ever", STANFORD["ever_never"])
    rows = split_at_exposure(patients["time"], patients["event"], patients["graft"])
    ratio(rows, "exit", "exposed", STANFORD["time_dependent"])


def test_landmark_is_that_of_r() -> None:
    # R used the version of the data that counts from 0 where `heart` counts from 1; the patient
    # whose transplant and death fell on one day has half days in `heart`.
    patients = stanford()
    time, graft = np.floor(patients["time"]) - 1, np.floor(patients["graft"]) - 1
    later = landmark(time, patients["event"], graft, at=30)
    assert len(later) == STANFORD["landmark30"]["n"]
    ratio(later, "time", "exposed", STANFORD["landmark30"])


def test_edges() -> None:
    rows = split_at_exposure(
        [0, 5, 5, 5, 5, 5], [1, 1, 1, 1, 1, 1], [None, 0, 5, 9, -3, 2], entry=[-1, 0, 0, 0, 1, 3]
    )
    # Exposure at the origin or before entry counts from there; on the day of the event, or
    # later, not at all.
    assert rows["exposed"].tolist() == [0, 1, 0, 0, 1, 1]
    assert rows["entry"].tolist() == [-1, -1, -1, -1, 1, 3]
    assert rows["row"].tolist() == [0, 1, 2, 3, 4, 5]
    cut = split_at_exposure([5], [1], [2])
    assert cut.to_dict("list") == {
        "row": [0, 0],
        "entry": [-1, 2],
        "exit": [2, 5],
        "event": [0, 1],
        "exposed": [0, 1],
    }
    assert landmark([2, 3, 5, 9], [1, 1, 1, 0], [None, 2, 3, 2], at=2).to_dict("list") == {
        "row": [1, 2, 3],
        "time": [1, 3, 7],
        "event": [1, 1, 0],
        "exposed": [1, 0, 1],
    }


def test_refusals() -> None:
    with pytest.raises(InvalidSurvivalInput, match="exposure starts are not finite"):
        split_at_exposure([5], [1], [np.inf])
    with pytest.raises(InvalidSurvivalInput, match="2 times but 1 exposure starts"):
        split_at_exposure([5, 6], [1, 1], [2])
    with pytest.raises(InvalidSurvivalInput, match="Nobody is observed"):
        landmark([5], [1], [2], at=5)
    with pytest.raises(InvalidSurvivalInput, match="at or after the origin"):
        landmark([5], [1], [2], at=-1)
