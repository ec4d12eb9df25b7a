from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from survival_examples import data

from analysis.estimators import InvalidSurvivalInput, cox, impute, imputed_cox, rubin


def with_gaps(seed: int = 2, n: int = 1200) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Complete data, and the same with gaps that depend on what is observed."""
    generator = np.random.default_rng(seed)
    z = generator.normal(size=n)
    x = 0.6 * z + generator.normal(size=n) * 0.8
    stage = pd.Series(np.where(z + generator.logistic(size=n) > 0.3, "late", "early"))
    hazard = np.exp(0.4 * x + 0.4 * z + 0.5 * (stage == "late"))
    life = generator.exponential(1 / hazard)
    end = generator.exponential(1.5, n)
    full = pd.DataFrame(
        {
            "time": np.minimum(life, end),
            "event": (life <= end).astype(int),
            "x": x,
            "z": z,
            "stage": stage,
        }
    )
    # Those who died early, and those with a high z, were asked less often.
    early = (full["event"] == 1) & (full["time"] < full["time"].median())
    lost = generator.random(n) < 1 / (1 + np.exp(-(2.5 * early + z - 1.5)))
    gaps = full.copy()
    gaps.loc[lost, "x"] = np.nan
    gaps.loc[generator.random(n) < 0.2, "stage"] = None
    return full, gaps


COX = {"duration": "time", "event": "event", "covariates": ["x", "z", "stage"]}


def test_pooling_is_that_of_mice() -> None:
    # R 4.2.2, mice 3.15.0: pool.scalar(Q, U, n = 80, k = 4) and pool.scalar(Q, U).
    q, u = [0.41, 0.35, 0.52, 0.47, 0.39], [0.021, 0.019, 0.024, 0.022, 0.020]
    found = rubin(np.array(q)[:, None], np.array(u)[:, None], complete_df=76).iloc[0]
    assert found["estimate"] == pytest.approx(0.428, rel=1e-12)
    assert found["within"] == pytest.approx(0.0212, rel=1e-12)
    assert found["between"] == pytest.approx(0.00452, rel=1e-12)
    assert found["std_error"] ** 2 == pytest.approx(0.026624, rel=1e-12)
    assert found["degrees_of_freedom"] == pytest.approx(36.590363679705035, rel=1e-12)
    assert found["fraction_missing_information"] == pytest.approx(0.243951610633457, rel=1e-12)
    large = rubin(np.array(q)[:, None], np.array(u)[:, None]).iloc[0]
    assert large["degrees_of_freedom"] == pytest.approx(96.375631955865273, rel=1e-12)
    assert large["fraction_missing_information"] == pytest.approx(0.219751500652823, rel=1e-12)


def test_without_gaps_it_is_the_plain_model() -> None:
    lung = data("lung")
    found = imputed_cox(lung, duration="time", event="event", covariates=["age", "sex"], m=2)
    plain = cox(lung, duration="time", event="event", covariates=["age", "sex"])
    np.testing.assert_allclose(found.table["coefficient"], plain.coefficients, rtol=1e-12)
    np.testing.assert_allclose(found.table["std_error"], plain.table["std_error"], rtol=1e-12)
    assert found.n_complete == len(lung)


def test_comes_nearer_to_the_full_data_than_complete_cases() -> None:
    full, gaps = with_gaps(seed=1)
    truth = cox(
        full.assign(late=full["stage"] == "late"),
        duration="time",
        event="event",
        covariates=["x", "z", "late"],
    )
    found = imputed_cox(gaps, **COX, m=8, iterations=5)
    assert found.table["term"].tolist() == ["x", "z", "stage=late"]
    assert found.complete_case is not None
    error = (found.table["coefficient"] - truth.coefficients).abs() / truth.table["std_error"]
    thrown_away = found.complete_case.coefficients - truth.coefficients
    assert (error < np.abs(thrown_away / truth.table["std_error"])).all()
    # What is missing costs precision, but less than the patients thrown away.
    assert (found.table["std_error"] > truth.table["std_error"]).all()
    complete = found.complete_case.table["std_error"]
    assert (found.table["std_error"] < complete).all()
    assert 0.2 < found.table["fraction_missing_information"][0] < 0.7
    assert found.missing["missing"].tolist() == gaps[["x", "z", "stage"]].isna().sum().tolist()
    assert found.n_complete == gaps[["x", "z", "stage"]].notna().all(axis=1).sum()


# Rows of lung whose performance class is taken away beside those that lack it.
WITHOUT_CLASS = [
    5, 10, 11, 33, 36, 38, 39, 44, 46, 59, 61, 66, 70, 72, 78, 84, 89, 92, 97, 104, 106, 112, 117,
    119, 130, 135, 137, 139, 143, 152, 162, 167, 176, 183, 187, 212, 213, 217, 218, 221, 225, 227,
]  # fmt: skip

# R 4.2.2, mice 3.15.0: mice(m = 300, maxit = 10) with event and nelsonaalen() as predictors,
# methods pmm and polyreg, then pool.scalar over coxph.
MICE = {
    "age": (0.0133141275086, 0.0100218091444),
    "sex": (-0.538446745759, 0.173377739502),
    "wt.loss": (-0.00796006220539, 0.0065043051877),
    "meal.cal": (-8.67663615067e-05, 0.000233235644808),
    "poor=mid": (-0.513139323671, 0.241449764451),
    "poor=top": (-0.871636239454, 0.213854756792),
}


def test_estimates_are_those_of_mice_within_the_noise_of_imputation() -> None:
    lung = data("lung")
    index = lung["pat.karno"]
    lung["poor"] = np.where(index < 75, "low", np.where(index < 85, "mid", "top"))
    lung.loc[index.isna() | lung.index.isin(WITHOUT_CLASS), "poor"] = None
    found = imputed_cox(
        lung,
        duration="time",
        event="event",
        covariates=["age", "sex", "wt.loss", "meal.cal", "poor"],
        m=100,
    ).table.set_index("term")
    assert list(found.index) == list(MICE)
    for term, (coefficient, std_error) in MICE.items():
        assert abs(found.loc[term, "coefficient"] - coefficient) < 0.25 * std_error
        assert found.loc[term, "std_error"] == pytest.approx(std_error, rel=0.08)


def test_complete_cases_without_an_event_at_a_level_give_no_model() -> None:
    generator = np.random.default_rng(3)
    n = 80
    frame = pd.DataFrame(
        {
            "time": generator.exponential(10, n).round(1) + 0.1,
            "event": (generator.random(n) < 0.5).astype(int),
            "a": np.where(np.arange(n) < 12, "B", "A"),
        }
    )
    frame["b"] = np.where(generator.random(n) < 0.5, "x", "y")
    frame.loc[(frame["a"] == "B") & (frame["event"] == 1), "b"] = None
    found = imputed_cox(
        frame, duration="time", event="event", covariates=["a", "b"], m=3, iterations=2
    )
    assert np.isfinite(found.table["hazard_ratio"]).all()
    assert found.complete_case is None
    assert "infinite" in str(found.complete_case_reason)


def test_seed_decides_and_observed_values_stay() -> None:
    _, gaps = with_gaps(n=150)
    arguments = {"duration": "time", "event": "event", "columns": ["x", "z", "stage"]}
    once, again = (impute(gaps, **arguments, m=2, iterations=2, seed=9) for _ in range(2))
    other = impute(gaps, **arguments, m=2, iterations=2, seed=10)
    for a, b in zip(once, again, strict=True):
        pd.testing.assert_frame_equal(a, b)
    assert not once[0]["x"].equals(other[0]["x"])
    assert not once[0]["x"].equals(once[1]["x"])
    for data_set in once:
        assert not data_set[["x", "z", "stage"]].isna().any(axis=None)
        known = gaps["x"].notna()
        pd.testing.assert_series_equal(data_set.loc[known, "x"], gaps.loc[known, "x"])
        # Predictive mean matching hands out values that occur.
        assert set(data_set["x"]) <= set(gaps["x"].dropna())
        assert set(data_set["stage"]) == {"early", "late"}


def test_the_order_of_the_rows_changes_nothing_that_is_imputed() -> None:
    _, gaps = with_gaps(n=150)
    gaps["time"] = gaps["time"].round(1)
    arguments = {"duration": "time", "event": "event", "columns": ["x", "z", "stage"], "m": 2}
    found = impute(gaps, **arguments)
    again = impute(gaps.sample(frac=1, random_state=1), **arguments)
    for one, other in zip(found, again, strict=True):
        pd.testing.assert_frame_equal(one, other.sort_index(), check_exact=True)


def test_binary_numbers_and_many_levels() -> None:
    lung = data("lung")
    lung["ph.ecog"] = lung["ph.ecog"].astype("Int64").astype("string").astype("category")
    lung["male"] = (lung["sex"] == 1).astype(float)
    lung.loc[::7, "male"] = np.nan
    filled = impute(
        lung, duration="time", event="event", columns=["male", "ph.ecog", "wt.loss"], m=2
    )[0]
    assert set(filled["male"]) == {0.0, 1.0}
    assert set(filled["ph.ecog"]) <= {"0", "1", "2", "3"}
    assert filled["ph.ecog"].dtype == lung["ph.ecog"].dtype
    assert filled["wt.loss"].notna().all()


def test_refusals() -> None:
    _, gaps = with_gaps(n=60)
    with pytest.raises(InvalidSurvivalInput, match="Fewer than two values of z"):
        imputed_cox(gaps.assign(z=np.nan), **COX)
    with pytest.raises(InvalidSurvivalInput, match="no column named age"):
        impute(gaps, duration="time", event="event", columns=["age"])
    with pytest.raises(InvalidSurvivalInput, match="times are missing"):
        impute(gaps.assign(time=np.nan), duration="time", event="event", columns=["x"])
    with pytest.raises(ValueError, match="m must be at least 2"):
        impute(gaps, duration="time", event="event", columns=["x"], m=1)


def test_predictors_that_do_not_vary_are_left_out() -> None:
    # One event, before anybody is censored: the cumulative hazard is the same for all.
    _, gaps = with_gaps(n=60)
    first = gaps["time"].to_numpy().argmin()
    gaps["event"] = (np.arange(len(gaps)) == first).astype(int)
    # Where x is known, w does not vary either.
    gaps["w"] = np.where(gaps["x"].isna() & (np.arange(len(gaps)) % 2 == 0), 1.0, 0.0)
    filled = impute(gaps, duration="time", event="event", columns=["x", "z", "stage", "w"], m=2)
    assert filled[0]["x"].notna().all()
