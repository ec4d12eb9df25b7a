"""What the analyses compute, against numbers known from elsewhere, and on awkward cohorts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import fields, replace

import duckdb
import numpy as np
import pandas as pd
import pytest
import small_warehouse
import yaml
from lifelines import CoxPHFitter
from lifelines.exceptions import ConvergenceError
from small_warehouse import DAYS_PER_MONTH, STUDY

from analysis import comparison, estimates, report, second_programming
from analysis.book import Book
from analysis.descriptive import clopper_pearson, deliveries
from analysis.estimators import cox, kaplan_meier
from analysis.exhibits import contents
from analysis.group_tests import compare_groups, curves_cross, hazard_ratio, mean_difference
from analysis.immortal_time import exposure_episodes, first_given, once_eligible
from analysis.ledger import Ledger
from analysis.model_tables import cox_terms
from analysis.multivariable import _selected_from
from analysis.results_tables import TABLES
from analysis.second_programming import Agreement
from analysis.study import StudyError, load_study
from analysis.survival import SIGNIFICANCE_LEVEL, is_significant
from expectations.tables import rows
from pipeline.paths import PROJECT


def one(
    book: pd.DataFrame,
    exhibit: str,
    variable: str,
    level: str | None,
    statistic: str,
    convention: str = "as published",
    population: str = "all",
) -> pd.Series:
    same_level = book["level"].isna() if level is None else book["level"] == level
    found = book[
        (book["exhibit"] == exhibit)
        & (book["population"] == population)
        & (book["variable"] == variable)
        & same_level
        & (book["statistic"] == statistic)
        & (book["convention"] == convention)
    ]
    assert len(found) == 1, (exhibit, variable, level, statistic, convention)
    return found.iloc[0]


def test_every_estimate_has_an_identifier_of_its_own_and_says_how(book: pd.DataFrame) -> None:
    assert book["estimate_id"].is_unique
    assert book["estimate_id"].str.fullmatch(r"[\w.\-]+").all()
    key = ["exhibit", "population", "variable", "level", "statistic", "convention"]
    assert not book.duplicated(key).any()
    with_value = book[book["value"].notna()]
    assert with_value["method"].notna().all()
    assert set(book["convention"]) == {"as published", "preferred"}
    assert all(isinstance(json.loads(text), dict) for text in book["parameters"])
    assert not book["value"].isin([np.inf, -np.inf]).any()


def test_computing_again_replaces_and_changes_nothing(
    warehouse: duckdb.DuckDBPyConnection, book: pd.DataFrame
) -> None:
    estimates.compute(warehouse, STUDY)
    again = warehouse.execute("select * from results.estimates").fetchdf()
    pd.testing.assert_frame_equal(book, again)


def test_another_key_changes_no_number_and_no_order(
    warehouse: duckdb.DuckDBPyConnection, book: pd.DataFrame
) -> None:
    with small_warehouse.build(":memory:") as connection:
        small_warehouse.rename_patients(connection)
        estimates.compute(connection, STUDY)
        again = connection.execute("select * from results.estimates").fetchdf()
        bars = connection.execute("select * from results.figure_bars").fetchdf()
    drawn = book["method"].str.contains("Monte-Carlo|resamples|imputation", na=False)
    assert drawn.sum() > 5
    columns = ["estimate_id", "display", "method", "note"]
    pd.testing.assert_frame_equal(book[columns], again[columns])
    assert np.allclose(book["value"], again["value"], rtol=1e-9, equal_nan=True)
    pd.testing.assert_frame_equal(
        warehouse.execute("select * from results.figure_bars").fetchdf(), bars
    )


def test_survival_estimates_name_their_rules(book: pd.DataFrame) -> None:
    parameters = json.loads(one(book, "fig1", "os", "first line", "median_months")["parameters"])
    assert parameters["line_rule_set_id"] == "primary"
    assert parameters["endpoint_rule_set_id"] == "primary"
    assert parameters["days_per_month"] == DAYS_PER_MONTH


def test_both_conventions_stand_beside_each_other(book: pd.DataFrame) -> None:
    spss = one(book, "fig1", "os", "first line", "median_ci_upper")
    preferred = one(book, "fig1", "os", "first line", "median_ci_upper", "preferred")
    assert "SPSS" in spss["method"]
    assert spss["value"] > preferred["value"]
    same = one(book, "fig1", "os", "first line", "median_months", "preferred")["value"]
    assert same == one(book, "fig1", "os", "first line", "median_months")["value"]


def test_reverse_kaplan_meier_is_not_the_median_of_observed_times(book: pd.DataFrame) -> None:
    plain = one(book, "text", "follow_up", None, "median_months")["value"]
    reverse = one(book, "text", "follow_up", "reverse Kaplan-Meier", "median_months", "preferred")[
        "value"
    ]
    assert reverse > plain


def test_numbers_at_risk_count_the_cohort(book: pd.DataFrame) -> None:
    cohort = small_warehouse.calibrated()
    for months in (12, 24, 48):
        expected = int((cohort["os_days"] / DAYS_PER_MONTH >= months).sum())
        shown = one(book, "fig1", "os", "first line", f"n_at_risk_{months}_months")
        assert shown["value"] == expected


def test_curves_start_at_one_and_account_for_everybody(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    curves = warehouse.execute("select * from results.survival_curves").fetchdf()
    for _, curve in curves.groupby("curve_id"):
        assert curve["time_months"].is_monotonic_increasing
        assert curve["survival"].iloc[0] == 1
        assert curve["survival"].is_monotonic_decreasing
        accounted = curve["n_events"].sum() + curve["n_censored"].sum()
        # An incidence leaves out those who had a competing event (test_incidence.py).
        competing = "incidence" in curve["endpoint"].iloc[0]
        assert accounted == curve["n_at_risk"].iloc[0] or competing
        limits = curve.dropna(subset=["lower", "upper"])
        assert (limits["lower"] <= limits["survival"] + 1e-12).all()
        assert (limits["survival"] <= limits["upper"] + 1e-12).all()


def test_small_groups_get_a_permutation_test_and_large_ones_do_not(book: pd.DataFrame) -> None:
    small = one(
        book, "fig4", "pfs", "chemotherapy alone vs plus trastuzumab", "logrank_p", "preferred",
        "wild type",
    )  # fmt: skip
    assert "permutation" in small["method"]
    large = one(book, "fig2", "os", "group A vs group B", "logrank_p", "preferred")
    assert "permutation" not in large["method"]


def test_holm_never_lowers_a_p_value(book: pd.DataFrame) -> None:
    adjusted = book[book["statistic"] == "logrank_p_holm"]
    assert len(adjusted) == 6 + 6 + 12
    plain = book[(book["statistic"] == "logrank_p") & (book["convention"] == "preferred")]
    key = ["exhibit", "population", "variable", "level"]
    both = adjusted.merge(plain, on=key, suffixes=("_adjusted", "_plain"))
    assert len(both) == len(adjusted)
    assert (both["value_adjusted"] >= both["value_plain"]).all()
    assert (both["value_adjusted"] <= 1).all()


def test_exact_binomial_limits() -> None:
    """1 of 3 and 0 of 9, as R's binom.test."""
    assert clopper_pearson(1, 3) == pytest.approx((0.8403759, 90.57007), rel=1e-6)
    assert clopper_pearson(0, 9) == pytest.approx((0.0, 33.62671), rel=1e-6)
    assert clopper_pearson(3, 3)[1] == 100


def test_unrelated_events_do_not_count(book: pd.DataFrame) -> None:
    """The small warehouse has one unrelated rash of grade 3 in a patient on chemotherapy alone."""
    found = one(book, "table5", "rash grade 3-4", "chemotherapy alone", "n", population="wild type")
    assert found["value"] == 0


def test_events_and_patients_are_different_counts(book: pd.DataFrame) -> None:
    where = ("table5", "gastrointestinal grade 1-2", "plus trastuzumab")
    events = one(book, *where, "n", population="wild type")["value"]
    patients = one(book, *where, "patients_n", "preferred", population="wild type")["value"]
    assert (events, patients) == (9, 3)


def entered(connection: duckdb.DuckDBPyConnection, kind: str) -> pd.DataFrame:
    """What the analyses of a kind enter."""
    study, ledger = load_study(connection, STUDY), Ledger(STUDY)
    for analysis in study.analyses:
        if analysis.kind == kind:
            estimates.KINDS[kind](connection, study, analysis, ledger)
    return pd.DataFrame(vars(entry) for entry in ledger.entries.values())


def test_a_fatal_event_and_one_of_no_category_have_a_row(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    warehouse.execute("begin")
    warehouse.execute(
        "update safety.adverse_events set grade_group = '5', category = null "
        "where rowid = (select min(rowid) from safety.adverse_events where may_be_related)"
    )
    book = entered(warehouse, "adverse_events")
    warehouse.execute("rollback")
    fatal = book[(book["variable"] == "other grade 5") & (book["statistic"] == "n")]
    assert fatal["value"].sum() == 1


def test_follow_up_is_complete_of_the_dead_and_of_those_alive_at_the_cutoff(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    warehouse.execute("begin")
    warehouse.execute(
        "update survival.survival_intervals set censor_reason = 'lost to follow-up' "
        "where patient_key = (select min(patient_key) from survival.survival_intervals "
        "where endpoint = 'OS' and event = 0)"
    )
    book = entered(warehouse, "follow_up")
    warehouse.execute("rollback")
    assert one(book, "text", "follow_up", "complete", "n")["value"] == 62


def test_quartiles_stand_on_either_side_of_the_median(book: pd.DataFrame) -> None:
    q1, q3 = (one(book, "text", "age", None, f"{q}_years", "preferred") for q in ("q1", "q3"))
    assert q1["value"] < one(book, "text", "age", None, "median_years")["value"] < q3["value"]


def test_delivered_rows_are_accounted_for(warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute("begin")
    warehouse.execute(
        "update quality.source_files set n_quarantined = 8, n_collapsed = 1, n_superseded = 2, "
        "n_erased = 4 where table_name = 'patients'"
    )
    ledger = Ledger(STUDY)
    deliveries(warehouse, ledger)
    warehouse.execute("rollback")
    book = pd.DataFrame(vars(entry) for entry in ledger.entries.values())
    for statistic, expected in (("quarantined_n", 8), ("set_aside_n", 7)):
        found = one(book, "provenance", "patients", None, statistic, population="delivery")
        assert found["value"] == expected


def test_immortal_time_makes_a_useless_drug_look_good() -> None:
    """Everybody dies at the same rate; half are treated if they live to month 12."""
    generator = np.random.default_rng(1)
    n = 600
    time = generator.exponential(24, n)
    given = np.where((time > 12) & (np.arange(n) % 2 == 0), 12.0, np.nan)
    patients = pd.DataFrame({"time": time, "event": 1}, index=[f"p{k}" for k in range(n)])
    naive = hazard_ratio(patients.assign(exposed=(~np.isnan(given)).astype(int)), "exposed")
    episodes = exposure_episodes(patients, pd.Series(given, index=patients.index))
    honest = hazard_ratio(episodes, "exposed", entry="entry")
    assert not isinstance(naive, str) and not isinstance(honest, str)
    assert naive.estimate.upper is not None and naive.estimate.upper < 0.7
    assert honest.estimate.lower is not None and honest.estimate.upper is not None
    assert honest.estimate.lower < 1 < honest.estimate.upper


def test_exposure_begins_with_the_first_dose_in_any_line(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    study = load_study(warehouse, STUDY)
    once = first_given(warehouse, study, "trastuzumab")
    assert len(once) == 33 and (once == 0).sum() == 3 and (once >= 0).all()
    warehouse.execute("begin")
    warehouse.execute(
        "insert into treatment.line_components select * replace (40 as days_from_line_start) "
        "from treatment.line_components where ingredient = 'trastuzumab'"
    )
    again = first_given(warehouse, study, "trastuzumab")
    warehouse.execute("rollback")
    assert again.sort_index().equals(once.sort_index())


def test_time_before_eligibility_is_immortal_too() -> None:
    """Everybody dies at the same rate; who lives to the test is included, half are then treated."""
    generator = np.random.default_rng(2)
    n = 1500
    drawn = pd.DataFrame(
        {"time": generator.exponential(24, n), "entry": generator.uniform(0, 24, n)}
    )
    patients = once_eligible(drawn.assign(event=1)).reset_index(drop=True)
    given = patients["entry"].where(patients.index % 2 == 0)
    assert (len(drawn) - len(patients)) == (drawn["entry"] >= drawn["time"]).sum()
    from_origin = hazard_ratio(exposure_episodes(patients, given), "exposed", entry="entry")
    episodes = exposure_episodes(patients, given, patients["entry"])
    once_known = hazard_ratio(episodes, "exposed", entry="entry")
    assert not isinstance(from_origin, str) and not isinstance(once_known, str)
    assert from_origin.estimate.lower is not None and from_origin.estimate.lower > 1.2
    assert once_known.estimate.lower is not None and once_known.estimate.upper is not None
    assert once_known.estimate.lower < 1 < once_known.estimate.upper


def test_who_is_observed_beyond_the_day_of_eligibility_is_at_risk() -> None:
    """At the origin an end on the very day counts; on a later day of entry it does not."""
    patients = pd.DataFrame({"entry": [0, np.nan, 5, 5], "time": [0.0, 0, 5, 6]})
    assert once_eligible(patients).index.tolist() == [0, 1, 3]


def test_a_population_up_to_a_criterion_has_met_it(
    warehouse: duckdb.DuckDBPyConnection, book: pd.DataFrame
) -> None:
    where = ("text", "cohort", "mCRC", "n", "as published", "screened")
    warehouse.execute("begin")
    for step in ("step", "step + 1"):
        warehouse.execute(
            f"insert into cohort.cohort by name select cohort.* replace ('{step}' as patient_key, "
            f"{step} as first_failed_step) from cohort.cohort, reference.study_criteria "
            "where criterion_id = 'metastatic_disease' limit 1"
        )
    after = entered(warehouse, "population_size")
    warehouse.execute("rollback")
    assert one(after, *where)["value"] == one(book, *where)["value"] + 1


def test_a_landmark_leaves_out_who_was_not_known_to_be_eligible() -> None:
    with small_warehouse.build(":memory:") as connection:
        connection.execute(
            "update survival.survival_intervals set entry_days = 100 "
            "where patient_key = (select min(patient_key) from cohort.cohort where included)"
        )
        estimates.compute(connection, STUDY)
        book = connection.execute("select * from results.estimates").fetchdf()
    times = small_warehouse.calibrated()["os_days"] / DAYS_PER_MONTH
    for months, late in ((3, 1), (6, 0)):
        where = ("fig2", f"os landmark {months} months", "group A vs group B")
        left_out = one(book, *where, "excluded_n", "preferred")["value"]
        assert left_out == (times <= months).sum() + late


def test_the_report_sets_the_time_dependent_model_beside_the_naive_one(book: pd.DataFrame) -> None:
    contrast = "group A vs group B"
    naive = one(book, "fig2", "os", contrast, "hazard_ratio", "preferred")
    honest = one(book, "fig2", "os time-dependent", contrast, "hazard_ratio", "preferred")
    assert honest["value"] > naive["value"]
    eligible = one(
        book, "fig2", "os time-dependent delayed entry", contrast, "hazard_ratio", "preferred"
    )
    assert (eligible["n"], eligible["value"]) == (63, pytest.approx(honest["value"], rel=0.05))
    counts = [
        one(book, "fig2", "os time-dependent delayed entry", contrast, statistic, "preferred")
        for statistic in ("exposed_n", "unexposed_n", "excluded_n")
    ]
    assert [count["value"] for count in counts] == [33, 30, 0]
    for months in (3, 6, 12):
        where = ("fig2", f"os landmark {months} months", contrast)
        counts = [
            one(book, *where, statistic, "preferred")["value"]
            for statistic in ("exposed_n", "unexposed_n", "excluded_n")
        ]
        assert sum(counts) == 63


def test_crossing_is_seen_and_not_imagined() -> None:
    apart = pd.DataFrame({"time": [1.0, 2, 3, 4, 5, 6], "event": 1})
    exposed = pd.Series([False, False, False, True, True, True])
    assert not curves_cross(apart, exposed)
    crossing = pd.DataFrame({"time": [1.0, 5, 6, 2, 3, 4], "event": 1})
    assert curves_cross(crossing, exposed)


@pytest.mark.parametrize("where", ["first day", "last patient"])
def test_a_crossing_of_no_weight_is_none(where: str) -> None:
    """Twenty patients do worse than forty, but for one early event or one who lives on."""
    worse, better = np.arange(2.0, 22), np.arange(4.0, 44)
    if where == "first day":
        better[0] = 1
    else:
        worse[-1], better[-1] = 200, 190
    frame = pd.DataFrame({"time": np.r_[worse, better], "event": 1})
    exposed = pd.Series(np.arange(60) < 20)
    first, second = (
        kaplan_meier(frame["time"][side], frame["event"][side]).survival_at(np.arange(190))
        for side in (exposed, ~exposed)
    )
    gap = first["survival"] - second["survival"]
    assert (gap > 0).any() and (gap < 0).any()
    assert not curves_cross(frame, exposed)


def test_a_mean_difference_without_events_on_one_side_has_no_limits() -> None:
    # Nor does an event at the horizon itself tell anything.
    frame = pd.DataFrame({"time": [5.0, 6, 7, 1, 2, 8], "event": [0, 0, 1, 1, 1, 0]})
    found = mean_difference(frame, pd.Series([True] * 3 + [False] * 3))
    assert found is not None
    difference, horizon = found
    assert horizon == 7
    assert difference.value is not None and difference.lower is None and difference.p_value is None


def test_the_smallest_p_value_is_significant_and_an_absent_one_is_not(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    """P of a large effect in many patients is rounded to 0; the forest plot marks it too."""
    assert is_significant(0.0) and not is_significant(SIGNIFICANCE_LEVEL)
    assert not is_significant(None)
    drawn = []
    for p_value in (0.0, 1e-9):
        warehouse.execute("begin")
        warehouse.execute(
            "update results.estimates set value = ? "
            "where exhibit = 'table7' and convention = 'preferred' and statistic = 'p'",
            [p_value],
        )
        shown = contents(warehouse, STUDY)
        warehouse.execute("rollback")
        drawn += [
            picture.svg
            for section in shown.sections
            for exhibit in section.exhibits
            for picture in exhibit.wide
            if picture.identifier == "table7-forest"
        ]
    assert len(drawn) == 2 and drawn[0] == drawn[1]


def test_groups_without_patients_or_events_say_so() -> None:
    frame = pd.DataFrame({"time": [1.0, 2, 3], "event": [0, 0, 0]})
    one_group = compare_groups(frame, pd.Series(["a", "a", "a"]))
    assert one_group.chi_square is None
    assert one_group.reason == "fewer than two groups have patients"
    no_event = compare_groups(frame, pd.Series(["a", "a", "b"]))
    assert no_event.reason == "nobody had an event"
    apart = compare_groups(frame.assign(event=[0, 0, 1]), pd.Series(["a", "a", "b"]))
    assert apart.reason == "the groups are never at risk together at an event"
    assert apart.preferred is None


@pytest.mark.parametrize(
    ("n", "events", "small"), [(10, 5, False), (9, 5, True), (10, 4, True)], ids=str
)
def test_a_group_is_small_by_its_patients_or_its_events(n: int, events: int, small: bool) -> None:
    time = np.arange(1.0, n + 21)
    event = np.r_[np.arange(n) < events, np.ones(20)].astype(int)
    group = pd.Series(np.arange(n + 20) < n)
    assert compare_groups(pd.DataFrame({"time": time, "event": event}), group).small == small


COHORTS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "nobody": lambda cohort: cohort.iloc[:0],
    "one patient": lambda cohort: cohort.iloc[:1],
    "no deaths": lambda cohort: cohort.assign(death=0, pfs_event=0),
    "everybody dies": lambda cohort: cohort.assign(death=1, pfs_event=1),
    "no trastuzumab": lambda cohort: cohort[
        cohort["trastuzumab_line"].isna() & (cohort["first_line_group"] != "plus trastuzumab")
    ],
    "women only": lambda cohort: cohort[cohort["sex"] == "female"],
    "all times zero": lambda cohort: cohort.assign(os_days=0, pfs_days=0),
    "nobody dies of the right colon": lambda cohort: cohort.assign(
        death=cohort["death"].where(cohort["primary_site"] != "right colon", 0)
    ),
    # Then the right colon is monotone too, and nothing tells of the resection beside the two.
    "nobody dies of synchronous metastases": lambda cohort: cohort.assign(
        death=cohort["death"].where(cohort["metastatic_pattern"] != "synchronous", 0)
    ),
    "sex often missing": lambda cohort: cohort.assign(
        sex=[None if number % 3 == 0 else sex for number, sex in enumerate(cohort["sex"])]
    ),
}


@pytest.mark.parametrize("name", COHORTS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_awkward_cohorts_give_a_report_and_not_an_error(name: str) -> None:
    cohort = COHORTS[name](small_warehouse.calibrated())
    with small_warehouse.build(":memory:", cohort) as connection:
        estimates.compute(connection, STUDY)
        found = comparison.summary(connection, STUDY)
        text = report.page(connection, contents(connection, STUDY), run={})
    assert sum(found["verdicts"].values()) == 322
    assert "Key findings" in text
    assert ">nan<" not in text.lower() and ">none<" not in text.lower()
    assert re.findall(r"(?<![\d,./] )\b1 (?:patients|events|visits|deaths)\b(?!/)", text) == []
    # Nothing is hidden of invented patients, and no sentence ends twice.
    assert "[c]" not in text and not re.search(r"\w\.\.[\s<]", text)
    assert "\N{EN DASH} events" not in text and "median NE" not in text


def test_an_infinite_hazard_ratio_takes_no_other_with_it() -> None:
    # R 4.2.2, survival 3.5-3: coxph of the four covariates with Breslow's ties, which warns of the
    # primary site alone. Efron's are the same, as no two deaths are tied.
    cohort = COHORTS["nobody dies of the right colon"](small_warehouse.calibrated())
    with small_warehouse.build(":memory:", cohort) as connection:
        estimates.compute(connection, STUDY)
        book = connection.execute("select * from results.estimates").fetchdf()
    for convention in ("as published", "preferred"):
        for variable, level, wanted in (
            ("sex", "female vs male", (0.251644313676626, 0.0857260732373197, 0.738688455150336)),
            ("primary_resection", "no vs yes", (4.0382022925792, 1.04134786814038, 15.6595872087)),
        ):
            found = [
                one(book, "table7", f"os cox: {variable}", level, statistic, convention)["value"]
                for statistic in ("hazard_ratio", "hr_ci_lower", "hr_ci_upper")
            ]
            assert found == pytest.approx(wanted, rel=1e-6)
        site = one(
            book, "table7", "os cox: primary_site", "right vs left", "hazard_ratio", convention
        )
        assert np.isnan(site["value"]) and "infinite" in site["note"]
    firth = one(
        book, "table7", "os cox: primary_site", "right vs left", "firth_hazard_ratio", "preferred"
    )
    assert 0 < firth["value"] < 1
    # Nor is a model without a maximum judged as a whole.
    entered_of = set(book.loc[book["exhibit"] == "table7", "statistic"])
    assert entered_of.isdisjoint({"concordance", "concordance_corrected", "ph_p"})


def test_variables_are_called_selected_if_they_are_those_with_a_small_p(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    study = load_study(warehouse, STUDY)
    patients = study.survival("OS", "all", 1)
    variables = [variable for variable in study.variables.values() if variable.cox_reference]
    assert _selected_from(study, variables, patients) is not None
    assert _selected_from(study, variables[:-1], patients) is None


def test_a_hazard_ratio_that_nothing_tells_of_is_not_given() -> None:
    cohort = COHORTS["nobody dies of synchronous metastases"](small_warehouse.calibrated())
    with small_warehouse.build(":memory:", cohort) as connection:
        estimates.compute(connection, STUDY)
        book = connection.execute("select * from results.estimates").fetchdf()
    resection = one(
        book, "table7", "os cox: primary_resection", "no vs yes", "hazard_ratio", "preferred"
    )
    assert np.isnan(resection["value"]) and "no event is left" in resection["note"]
    sex = one(book, "table7", "os cox: sex", "female vs male", "hr_ci_upper", "preferred")
    assert np.isfinite(sex["value"])


def test_beside_an_infinite_hazard_ratio_the_table_says_what_is_left() -> None:
    cohort = COHORTS["nobody dies of the right colon"](small_warehouse.calibrated())
    with small_warehouse.build(":memory:", cohort) as connection:
        estimates.compute(connection, STUDY)
        text = report.page(connection, contents(connection, STUDY), run={})
    assert "21 events: 5.3 events per coefficient" in text
    assert "are not given of a model without a finite estimate" in text
    assert "Harrell’s C \N{EN DASH}" not in text


def lost_at_once(cohort: pd.DataFrame, patients: pd.Series) -> pd.DataFrame:
    """The cohort with these patients censored on the first day, so never at risk at an event."""
    return cohort.assign(
        death=cohort["death"].where(~patients, 0),
        pfs_event=cohort["pfs_event"].where(~patients, 0),
        os_days=cohort["os_days"].where(~patients, 1),
        pfs_days=cohort["pfs_days"].where(~patients, 1),
    )


def test_a_level_that_is_never_at_risk_takes_no_other_with_it() -> None:
    # As R, whose coefficient of it is NA.
    cohort = small_warehouse.calibrated()
    right = cohort["primary_site"] == "right colon"
    early = lost_at_once(cohort, right)
    books = []
    for patients in (early, cohort[~right]):
        with small_warehouse.build(":memory:", patients) as connection:
            estimates.compute(connection, STUDY)
            books.append(connection.execute("select * from results.estimates").fetchdf())
    sex, alone = (
        one(book, "table7", "os cox: sex", "female vs male", "hazard_ratio", "preferred")["value"]
        for book in books
    )
    assert sex == pytest.approx(alone, rel=1e-9)


def test_a_reference_that_is_never_at_risk_gives_its_place_to_the_next_level() -> None:
    """R keeps the others too, but its ratio against the second level bears the first's name."""
    cohort = small_warehouse.calibrated()
    first = cohort["therapy_lines"] == "first"
    early = lost_at_once(cohort, first)
    books = []
    for patients, reference in ((early, "first"), (cohort[~first], "second")):
        with small_warehouse.build(":memory:", patients) as connection:
            connection.execute(
                "update reference.study_variables set cox_reference = ? "
                "where study_id = ? and variable = 'therapy_lines'",
                [reference, STUDY],
            )
            estimates.compute(connection, STUDY)
            books.append(connection.execute("select * from results.estimates").fetchdf())
            if reference == "first":
                study = load_study(connection, STUDY)
                book = Book(rows(connection, "from results.estimates order by rowid"))
    later, nobody = "third or later vs second", "first vs second"
    for exhibit, variable, contrast in (
        ("table7", "os cox: sex", "female vs male"),
        ("table7", "os cox: therapy_lines", later),
        ("figS6", "os alone: therapy_lines", later),
    ):
        ratio, alone = (
            one(each, exhibit, variable, contrast, "hazard_ratio", "preferred")["value"]
            for each in books
        )
        assert np.isfinite(ratio) and ratio == pytest.approx(alone, rel=1e-9)
    for exhibit, kind in (("table7", "cox"), ("figS6", "alone")):
        missing = one(
            books[0], exhibit, f"os {kind}: therapy_lines", nobody, "hazard_ratio", "preferred"
        )
        assert np.isnan(missing["value"]) and "at risk" in missing["note"]
    (analysis,) = [each for each in study.analyses if each.kind == "cox"]
    shown = [contrast for *_, name, contrast in cox_terms(study, book, analysis) if "lines" in name]
    assert shown == [nobody, later]


def test_coefficients_stand_in_the_order_of_their_levels(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    study = load_study(warehouse, STUDY)
    lines = replace(study.variables["therapy_lines"], cox_reference="first")
    study = replace(study, variables={"therapy_lines": lines})
    (analysis,) = [each for each in study.analyses if each.kind == "cox"]
    (row,) = rows(warehouse, "from results.estimates where exhibit = 'table7' limit 1")
    # Infinite ones are entered first.
    book = Book(
        [
            {**row, "variable": "os cox: therapy_lines", "level": f"{level} vs first"}
            | {"statistic": "hazard_ratio", "convention": "as published", "population": "all"}
            for level in ("third or later", "second")
        ]
    )
    found = [contrast for *_, contrast in cox_terms(study, book, analysis)]
    assert found == ["second vs first", "third or later vs first"]


@pytest.mark.parametrize(("variable", "level"), [("primary_site", "right colon"), ("sex", "male")])
def test_a_second_programme_agrees_beside_an_infinite_hazard_ratio(
    variable: str, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The small warehouse has no staged rows to derive the variables from.
    monkeypatch.setattr(second_programming, "variables", lambda *_: [])
    cohort = small_warehouse.calibrated()
    cohort["death"] = cohort["death"].where(cohort[variable] != level, 0)
    with small_warehouse.build(":memory:", cohort) as connection:
        estimates.compute(connection, STUDY)
        compared = second_programming.compute(connection, STUDY)
    (model,) = [each for each in compared if each.exhibit == "table7"]
    assert model.n_compared == 3
    assert [each for each in compared if not each.agrees] == []


def test_a_second_programme_takes_smaller_steps_where_a_whole_one_leads_too_far() -> None:
    # Fifteen patients and three covariates; with its own first step lifelines finds nothing.
    time = [3, 5, 6, 6, 13, 14, 16, 18, 19, 27, 36, 37, 67, 71, 96]
    event = [0, 1, 1, 0, 1, 0, 1, 1, 1, 0, 1, 1, 0, 0, 0]
    covariates = {
        "right": [int(n == 2) for n in range(15)],
        "metachronous": [int(n in (0, 1, 3, 6, 7, 10, 14)) for n in range(15)],
        "unresected": [int(n in (2, 5, 8)) for n in range(15)],
    }
    design = pd.DataFrame({"time": time, "event": event, **covariates})
    with pytest.raises(ConvergenceError):
        CoxPHFitter().fit(design, "time", "event")
    found = second_programming._coefficients(design)
    own = cox(design, duration="time", event="event", covariates=[*covariates])
    assert found == pytest.approx(dict(zip(covariates, own.coefficients, strict=True)), abs=1e-8)
    twice = design.assign(again=design["right"])  # of which nobody finds the coefficients
    assert second_programming._coefficients(twice) is None


def test_missing_values_are_a_row_of_their_own() -> None:
    cohort = COHORTS["sex often missing"](small_warehouse.calibrated())
    with small_warehouse.build(":memory:", cohort) as connection:
        estimates.compute(connection, STUDY)
        book = connection.execute("select * from results.estimates").fetchdf()
        text = report.page(connection, contents(connection, STUDY), run={})
    counts = book[
        (book["exhibit"] == "table1") & (book["variable"] == "sex") & (book["statistic"] == "n")
    ]
    assert counts.set_index("level")["value"].to_dict()["missing"] == 21
    assert counts["value"].sum() == 63
    assert one(book, "table7", "os cox", None, "incomplete_n")["value"] == 21
    assert "Missing" in text


def test_an_unknown_study_is_an_error_that_names_it(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    with pytest.raises(StudyError, match="'another' is not in the seed studies"):
        estimates.compute(warehouse, "another")


def test_a_failing_run_leaves_the_results_as_they_were(
    warehouse: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = warehouse.execute("select count(*), sum(value) from results.estimates").fetchone()
    unreadable = pd.DataFrame({"study_id": [STUDY], "no such column": [1]})
    monkeypatch.setattr(comparison, "compare", lambda *_, **__: unreadable)
    with pytest.raises(duckdb.Error):
        estimates.compute(warehouse, STUDY)
    after = warehouse.execute("select count(*), sum(value) from results.estimates").fetchone()
    assert after == before


def test_tables_of_an_earlier_version_are_replaced() -> None:
    with small_warehouse.build(":memory:") as connection:
        connection.execute("create schema results")
        connection.execute("create table results.estimates (estimate_id varchar, study_id varchar)")
        estimates.compute(connection, STUDY)
        found = connection.execute("select count(value) from results.estimates").fetchone()
    assert found is not None and found[0] > 1000


def test_every_column_of_the_results_is_described() -> None:
    page = yaml.safe_load((PROJECT / "models/marts/results.yml").read_text(encoding="utf-8"))
    described = {
        (table["name"], column["name"])
        for table in page["sources"][0]["tables"]
        for column in table["columns"]
        if table["description"] and column["description"]
    }
    columns = {(table, column) for table, columns in TABLES.items() for column in columns}
    twice = {("second_programming", field.name) for field in fields(Agreement)}
    assert described == columns | twice


def test_populations_and_variables_that_do_not_exist_are_named(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    study = load_study(warehouse, STUDY)
    with pytest.raises(StudyError, match="no population 'nowhere'"):
        study.members("nowhere")
    with pytest.raises(StudyError, match="no variable 'nothing'"):
        study.variable("nothing")


def test_what_nobody_is_known_to_have_is_printed_of_nobody() -> None:
    """Without a response there is no time to progression, and of an unknown no level and no 0."""
    with small_warehouse.build(":memory:") as connection:
        connection.execute(
            "update survival.best_overall_responses set n_assessments = 0 "
            "where response_source = 'investigator'; "
            "delete from cohort.patient_variables "
            "where variable = 'metastasectomy' or (variable = 'ras_braf' and level = 'mutant'); "
            "insert into survival.survival_intervals "
            "select * replace ('irecist' as endpoint_rule_set_id) from survival.survival_intervals "
            "where endpoint = 'PFS' and endpoint_rule_set_id = 'primary' "
            "and line_rule_set_id = 'primary'"
        )
        estimates.compute(connection, STUDY)
        book = connection.execute("select * from results.estimates").fetchdf()
        verdicts = connection.execute(
            "select distinct verdict from results.published_comparison "
            "where variable in ('metastasectomy', 'os by metastasectomy')"
        ).fetchall()
        page = report.page(connection, contents(connection, STUDY), run=small_warehouse.RUN)
    assert verdicts == [("not computed",)]
    of_endpoint = book["variable"].str.partition(":")[0]
    in_figures = of_endpoint[book["exhibit"].isin(["fig1", "fig4"])]
    assert "os" in set(in_figures) and not in_figures.str.startswith("pfs").any()
    rule_sets = book[(book["exhibit"] == "figS8") & (of_endpoint == "pfs")]["level"]
    assert set(rule_sets) == {"endpoints: irecist"}
    assert book[(book["exhibit"] == "figS1") & (book["variable"] == "progression")].empty
    for exhibit in ("table1", "tableS1"):
        counted = (book["exhibit"] == exhibit) & (book["variable"] == "metastasectomy")
        levels = book.loc[counted & (book["statistic"] == "n"), "level"]
        assert set(levels.str.partition(":")[0]) == {"missing"}
    assert book[(book["exhibit"] == "table3") & (book["population"] == "mutant")].empty
    exhibit = page[page.index(">Figure 1.") :]
    exhibit = exhibit[: exhibit.index("</article>")]
    assert "Progression-free survival: This delivery holds nothing for it" in exhibit
    assert "Overall survival: " not in exhibit and exhibit.count("<svg") == 1
