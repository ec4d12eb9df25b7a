"""Every estimator refuses the same bad input, in one sentence that shows no patient's value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis import estimators as est

TELLING = 987654.25


def good() -> dict[str, list[Any]]:
    return {
        "time": [float(t) for t in (3, 5, 2, 8, 9, 4, 7, 6, 11, 10, 12, 1)],
        "event": [1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1],
        "group": [0, 1] * 6,
        "x": [2.0, 1, 4, 3, 1, 5, 2, 2, 3, 1, 2, 4],
        "start": [1.0, None] * 6,
    }


def cox_like(fit: Callable[..., Any], event: str = "event") -> Callable[[dict[str, Any]], Any]:
    def call(data: dict[str, Any]) -> Any:
        # A frame holds columns of one length only.
        length = min(map(len, data.values()))
        frame = pd.DataFrame({name: values[:length] for name, values in data.items()})
        return fit(frame, duration="time", **{event: "event"}, covariates=["x"])

    return call


def unadjusted(fit: Callable[..., Any], **arguments: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda data: fit(data["time"], data["event"], data["group"], **arguments)


ESTIMATORS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "kaplan_meier": lambda data: est.kaplan_meier(data["time"], data["event"]),
    "reverse_kaplan_meier": lambda data: est.reverse_kaplan_meier(data["time"], data["event"]),
    "log_rank": unadjusted(est.log_rank),
    "pairwise_log_rank": unadjusted(est.pairwise_log_rank),
    "max_combo": unadjusted(est.max_combo),
    "permutation_log_rank": unadjusted(est.permutation_log_rank, n_resamples=10),
    "restricted_mean_difference": unadjusted(est.restricted_mean_difference, tau=4),
    "restricted_mean_ratio": unadjusted(est.restricted_mean_ratio, tau=4),
    "adjusted_restricted_mean": lambda data: est.adjusted_restricted_mean_difference(
        data["time"], data["event"], data["group"], pd.DataFrame({"x": data["x"]}), tau=4
    ),
    "aalen_johansen": lambda data: est.aalen_johansen(data["time"], data["event"]),
    "gray_test": unadjusted(est.gray_test),
    "uno_concordance": lambda data: est.uno_concordance(data["time"], data["event"], data["x"]),
    "split_at_exposure": lambda data: est.split_at_exposure(
        data["time"], data["event"], data["start"]
    ),
    "landmark": lambda data: est.landmark(data["time"], data["event"], data["start"], at=2),
    "cox": cox_like(est.cox),
    "firth_cox": cox_like(est.firth_cox),
    "fine_gray": cox_like(est.fine_gray, event="cause"),
    "imputed_cox": cox_like(lambda *a, **k: est.imputed_cox(*a, **k, m=2, iterations=1)),
}


def broken(column: str, value: Any) -> dict[str, Any]:
    data = good()
    data[column][4] = value
    return data


BAD = {
    "missing time": broken("time", None),
    "infinite time": broken("time", np.inf),
    "negative time": broken("time", -TELLING),
    "text for a time": broken("time", "soon"),
    "missing event": broken("event", None),
    "event that is a fraction": broken("event", 0.5),
    "event of another code": broken("event", TELLING),
    "nobody": {name: [] for name in good()},
}


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_good_input_is_accepted(estimator: str) -> None:
    ESTIMATORS[estimator](good())


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_bad_input_is_refused_without_values(estimator: str, kind: str) -> None:
    with pytest.raises(est.InvalidSurvivalInput) as refusal:
        ESTIMATORS[estimator](BAD[kind])
    message = str(refusal.value)
    assert message.endswith((".", ")."))
    assert "987654" not in message and "soon" not in message


@pytest.mark.parametrize("estimator", ["log_rank", "max_combo", "gray_test", "kaplan_meier"])
def test_columns_of_different_length_are_refused(estimator: str) -> None:
    data = good()
    data["event"] = data["event"][:-1]
    with pytest.raises(est.InvalidSurvivalInput):
        ESTIMATORS[estimator](data)


@pytest.mark.parametrize(
    "estimator",
    ["log_rank", "max_combo", "gray_test", "restricted_mean_ratio", "adjusted_restricted_mean"],
)
def test_a_missing_group_is_refused(estimator: str) -> None:
    with pytest.raises(est.InvalidSurvivalInput, match="group labels are missing"):
        ESTIMATORS[estimator](broken("group", None))
