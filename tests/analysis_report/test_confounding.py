"""Groups compared, weighting, E-values, missing covariates, univariable ratios, waterfall."""

from __future__ import annotations

from dataclasses import replace

import duckdb
import numpy as np
import pandas as pd
import pytest
import small_warehouse
from lifelines import CoxPHFitter
from small_warehouse import STUDY

from analysis import estimates, report, univariable_ratios
from analysis.confounding_exhibits import e_value_table
from analysis.exhibits import contents
from analysis.group_tests import HazardRatio, hazard_ratio
from analysis.study import load_study


def find(book: pd.DataFrame, exhibit: str, variable: str, statistic: str) -> dict[str, float]:
    found = book[
        (book["exhibit"] == exhibit)
        & (book["variable"] == variable)
        & (book["statistic"] == statistic)
    ]
    return dict(zip(found["level"], found["value"], strict=True))


def test_standardised_difference_of_two_levels_is_the_usual_one(book: pd.DataFrame) -> None:
    share = find(book, "tableS1", "sex", "pct")
    p, q = share["male: trastuzumab"] / 100, share["male: no trastuzumab"] / 100
    expected = abs(p - q) / np.sqrt((p * (1 - p) + q * (1 - q)) / 2)
    assert find(book, "tableS1", "sex", "smd")[None] == pytest.approx(expected, rel=1e-9)


def test_groups_add_up_to_table_1(book: pd.DataFrame) -> None:
    both = find(book, "tableS1", "primary_site", "n")
    for level, n in find(book, "table1", "primary_site", "n").items():
        assert both[f"{level}: trastuzumab"] + both[f"{level}: no trastuzumab"] == n


def test_weighted_ratio_is_that_of_lifelines_with_the_same_weights(
    warehouse: duckdb.DuckDBPyConnection, book: pd.DataFrame
) -> None:
    from analysis.estimators import treatment_weights

    study = load_study(warehouse, STUDY)
    analysis = next(each for each in study.analyses if each.kind == "weighting")
    patients = study.survival("OS", "all", 1)
    patients["exposed"] = patients["trastuzumab"] == "trastuzumab"
    weights = treatment_weights(patients, treatment="exposed", covariates=list(analysis.covariates))
    design = patients[["time", "event"]].assign(
        exposed=patients["exposed"].astype(int), weight=weights.weights
    )
    fitted = CoxPHFitter().fit(
        design, "time", "event", weights_col="weight", robust=True, fit_options={"precision": 1e-12}
    )
    contrast = "trastuzumab vs no trastuzumab"
    ours = find(book, "figS7", "os weighted", "hazard_ratio")[contrast]
    assert np.log(ours) == pytest.approx(fitted.params_["exposed"], abs=1e-6)
    plain = find(book, "figS7", "os unweighted", "hazard_ratio")[contrast]
    assert plain == find(book, "fig2", "os", "hazard_ratio")["group A vs group B"]
    p_value = find(book, "figS7", "os weighted", "p")[contrast]
    assert p_value == pytest.approx(fitted.summary.loc["exposed", "p"], rel=1e-3)
    sizes = find(book, "figS7", "trastuzumab", "n")
    assert sizes == {"trastuzumab": 33, "no trastuzumab": 30}
    effective = find(book, "figS7", "trastuzumab", "effective_sample_size")
    assert all(effective[name] < sizes[name] for name in sizes)


def test_before_weighting_the_balance_is_that_of_the_groups(book: pd.DataFrame) -> None:
    for variable in ("sex", "primary_site", "ras_braf"):
        (alone,) = find(book, "tableS1", variable, "smd").values()
        balance = find(book, "figS7", f"balance: {variable}", "smd")
        assert balance["before weighting"] == pytest.approx(alone)
        assert balance["after weighting"] < alone


def test_weighting_is_never_shown_without_its_caveat(page: str) -> None:
    section = page[page.index('id="confounding"') : page.index('id="sensitivity"')]
    assert "does not repair immortal time" in section


def test_e_values_follow_the_formula_and_skip_the_unweighted_copy(book: pd.DataFrame) -> None:
    ratio = find(book, "fig2", "os", "hazard_ratio")["group A vs group B"]
    risk = (1 - 0.5 ** np.sqrt(ratio)) / (1 - 0.5 ** np.sqrt(1 / ratio))
    expected = 1 / risk + np.sqrt(1 / risk * (1 / risk - 1))
    assert find(book, "tableS7", "fig2: os", "e_value")["group A vs group B"] == pytest.approx(
        expected
    )
    names = set(book.loc[book["exhibit"] == "tableS7", "variable"])
    assert {"fig2: os", "fig2: os time-dependent", "figS7: os weighted"} <= names
    assert "figS7: os unweighted" not in names


def test_only_a_comparison_of_ever_against_never_is_called_so(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    found = contents(warehouse, STUDY)
    analysis = next(each for each in found.study.analyses if each.kind == "e_values")
    labels = [row.label for row in e_value_table(found.study, found.book, analysis).rows]
    assert labels[0] == "Figure 2: ever against never, from line 1"
    by_first_line = replace(found.study.variable("trastuzumab"), rule="line_class")
    other = replace(found.study, variables={**found.study.variables, "trastuzumab": by_first_line})
    labels = [row.label for row in e_value_table(other, found.book, analysis).rows]
    assert labels[0] == "Figure 2: group A vs group B, from line 1"


def test_nothing_is_imputed_where_nothing_is_missing(book: pd.DataFrame, page: str) -> None:
    assert set(book.loc[book["exhibit"] == "tableS6", "statistic"]) == {"incomplete_n"}
    assert "Every covariate of the model is known of every patient." in page
    assert "No variable has a missing value" in page


def test_missing_covariates_are_imputed_beside_the_complete_cases() -> None:
    cohort = small_warehouse.calibrated()
    cohort["sex"] = [None if k % 5 == 0 else sex for k, sex in enumerate(cohort["sex"])]
    with small_warehouse.build(":memory:", cohort) as connection:
        estimates.compute(connection, STUDY)
        book = connection.execute("select * from results.estimates").fetchdf()
        text = report.page(connection, contents(connection, STUDY), run={})
        known = load_study(connection, STUDY).survival("OS", "all", 1).dropna(subset=["sex"])
    of_known = hazard_ratio(known.assign(female=(known["sex"] == "female").astype(int)), "female")
    assert isinstance(of_known, HazardRatio)
    sizes = find(book, "tableS6", "os cox", "n")
    assert sizes == {"complete cases": 50.0, "multiple imputation": 63.0}
    complete = find(book, "tableS6", "os cox complete cases: sex", "hazard_ratio")
    table7 = book[
        (book["exhibit"] == "table7")
        & (book["variable"] == "os cox: sex")
        & (book["statistic"] == "hazard_ratio")
        & (book["convention"] == "preferred")
    ]
    assert complete["female vs male"] == pytest.approx(table7["value"].iloc[0], rel=1e-9)
    imputed = find(book, "tableS6", "os cox multiple imputation: sex", "hazard_ratio")
    assert imputed["female vs male"] != complete["female vs male"]
    alone = find(book, "figS6", "os alone: sex", "hazard_ratio")
    assert alone["female vs male"] == pytest.approx(of_known.estimate.value)
    assert find(book, "tableS2", "missing: sex", "n")["all patients"] == 13
    assert "13 (20.6)" in text


def computed_against_first_lines(cohort: pd.DataFrame) -> pd.DataFrame:
    """The estimates of a cohort, where the model compares with patients of one line only."""
    with small_warehouse.build(":memory:", cohort) as connection:
        connection.execute(
            "update reference.study_variables set cox_reference = 'first' "
            "where variable = 'therapy_lines'"
        )
        estimates.compute(connection, STUDY)
        return connection.execute("select * from results.estimates").fetchdf()


def test_no_ratio_is_against_another_level_than_it_names() -> None:
    """Both models take the reference that Table 7 takes, where nobody of the study's is at risk."""
    cohort = small_warehouse.calibrated()
    cohort["sex"] = [None if k % 5 == 0 else sex for k, sex in enumerate(cohort["sex"])]
    cohort["therapy_lines"] = cohort["therapy_lines"].replace("first", "second")
    cohort.loc[[0, 5, 10], "therapy_lines"] = "first"  # of unknown sex, so no complete cases
    book = computed_against_first_lines(cohort)
    table7 = find(book, "table7", "os cox: therapy_lines", "hazard_ratio")
    complete, imputed = (
        find(book, "tableS6", f"os cox {which}: therapy_lines", "hazard_ratio")
        for which in ("complete cases", "multiple imputation")
    )
    assert set(imputed) == set(table7) == {"first vs second", "third or later vs second"}
    assert complete == {
        "third or later vs second": pytest.approx(table7["third or later vs second"], rel=1e-9)
    }


def test_a_level_of_which_nobody_is_left_is_no_reference() -> None:
    cohort = small_warehouse.calibrated()
    cohort["sex"] = [None if k % 5 == 0 else sex for k, sex in enumerate(cohort["sex"])]
    cohort["therapy_lines"] = cohort["therapy_lines"].replace("first", "second")
    book = computed_against_first_lines(cohort)
    imputed = find(book, "tableS6", "os cox multiple imputation: therapy_lines", "hazard_ratio")
    assert set(imputed) == {"third or later vs second"}


def test_complete_cases_without_a_finite_estimate_say_so() -> None:
    cohort = small_warehouse.calibrated()
    dead = (cohort["primary_site"] == "right colon") & (cohort["death"] == 1)
    cohort["sex"] = cohort["sex"].where(~dead, None)
    with small_warehouse.build(":memory:", cohort) as connection:
        estimates.compute(connection, STUDY)
        book = connection.execute("select * from results.estimates").fetchdf()
        text = report.page(connection, contents(connection, STUDY), run={})
    assert find(book, "tableS6", "os cox multiple imputation: sex", "hazard_ratio")
    assert not find(book, "tableS6", "os cox complete cases: sex", "hazard_ratio")
    assert "No model of the complete cases. The likelihood has no maximum" in text


def test_univariable_ratios_are_those_of_models_of_one_variable(
    warehouse: duckdb.DuckDBPyConnection, book: pd.DataFrame
) -> None:
    patients = load_study(warehouse, STUDY).survival("OS", "all", 1)
    design = patients[["time", "event"]].assign(right=patients["primary_site"] == "right colon")
    fitted = CoxPHFitter().fit(
        design.astype(float), "time", "event", fit_options={"precision": 1e-12}
    )
    ours = find(book, "figS6", "os alone: primary_site", "hazard_ratio")["right vs left"]
    assert np.log(ours) == pytest.approx(fitted.params_["right"], abs=1e-8)


def test_the_waterfall_falls(warehouse: duckdb.DuckDBPyConnection, book: pd.DataFrame) -> None:
    bars = warehouse.execute(
        "select * from results.figure_bars where exhibit = 'figS3' order by position"
    ).fetchdf()
    assert bars["end_value"].is_monotonic_decreasing
    shown = find(book, "figS3", "best change", "n")[None]
    left_out = find(book, "figS3", "best change", "without_n")[None]
    assert len(bars) == shown
    assert shown + left_out == 63


def test_firth_is_chosen_where_the_likelihood_has_no_maximum() -> None:
    apart = pd.DataFrame({"time": range(1, 9), "event": 1, "exposed": [1] * 4 + [0] * 4})
    nobody = apart.assign(exposed=[0] * 4 + [1] * 4, event=[1] * 4 + [0] * 4)
    usual = apart.assign(exposed=[1, 0] * 4)
    for frame, chosen in ((apart, True), (nobody, True), (usual, False)):
        found = hazard_ratio(frame, "exposed")
        assert isinstance(found, HazardRatio)
        assert ("Firth" in found.estimate.method) == chosen == found.model.penalised
        assert found.estimate.value is not None
        assert 1e-3 < found.estimate.value < 1e3
        _, method = univariable_ratios._fit(frame, ["exposed"])
        assert ("Firth" in method) == chosen
