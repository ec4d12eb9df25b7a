"""Curves, medians and comparisons of the survival figures, and the univariable table."""

from __future__ import annotations

from itertools import combinations

import duckdb
import pandas as pd

from analysis.curves import axis_times, enter_curve, enter_median
from analysis.descriptive import shown_levels
from analysis.estimators import adjust_p_values, kaplan_meier
from analysis.group_tests import (
    GroupComparison,
    compare_groups,
    curves_cross,
    enter_ratio,
    hazard_ratio,
    mean_difference,
)
from analysis.immortal_time import ELIGIBLE, exposure_analyses, once_eligible
from analysis.ledger import (
    MEAN_DIFFERENCE,
    PREFERRED,
    Ledger,
    Page,
)
from analysis.study import Analysis, Study, of_line

ALL_GROUPS = "all groups"
ALL_PAIRS = "all pairs"

#: Two-sided, as the study set it (its Methods) and as is usual.
SIGNIFICANCE_LEVEL = 0.05


def is_significant(p_value: float | None) -> bool:
    """Whether a P is below the level; 0, to which the smallest are rounded, is one."""
    return p_value is not None and p_value < SIGNIFICANCE_LEVEL


def survival(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter curves, medians, numbers at risk and tests of one panel of a survival figure.

    Nothing if no patient has an interval, as where what the endpoint rests on was not delivered.
    """
    endpoint = str(analysis.endpoint)
    patients = study.survival(endpoint, analysis.population, analysis.line_number)
    if patients.empty:
        return
    page = ledger.page(
        analysis.exhibit, analysis.population, **study.timing(endpoint, analysis.line_number)
    )
    times = axis_times(study, analysis.exhibit)
    if analysis.group_variable is None:
        label = analysis.contrast or analysis.population
        enter_curve(page, endpoint, label, patients, 0, times)
        _enter_delayed_entry(page, endpoint, label, patients)
        return
    group = study.variable(analysis.group_variable)
    for level in shown_levels(study, group.name):
        order = group.level_names.index(level)
        inside = patients[patients[group.name] == level]
        population = study.population_of(group.name, level, analysis.population)
        if population != analysis.population:
            ledger.page(analysis.exhibit, population, **of_line(analysis.line_number)).about(
                inside
            ).add("cohort", level, "n", len(inside), "count of patients")
        enter_curve(page, endpoint, level, inside, order, times)
    _enter_tests(page, endpoint, analysis, group.level_names, patients, patients[group.name])
    if analysis.contrast is not None and analysis.contrast_level is not None:
        exposure_analyses(connection, study, analysis, page, patients, times)


def _enter_tests(
    page: Page,
    endpoint: str,
    analysis: Analysis,
    levels: list[str],
    patients: pd.DataFrame,
    group: pd.Series,
) -> None:
    variable = endpoint.lower()
    present = [level for level in levels if (group == level).any()]
    if len(present) > 2 or (len(present) == 2 and not (analysis.contrast or analysis.pairwise)):
        enter_test(page, variable, ALL_GROUPS, compare_groups(patients, group))
    if analysis.contrast is not None and analysis.contrast_level is not None:
        known = patients[group.notna()]
        exposed = group[group.notna()] == analysis.contrast_level
        enter_test(page.about(known), variable, analysis.contrast, compare_groups(known, exposed))
        enter_ratio(
            page.about(known),
            variable,
            analysis.contrast,
            hazard_ratio(known.assign(exposed=exposed.astype(int)), "exposed"),
        )
        enter_mean_difference(page, variable, analysis.contrast, known, exposed)
    if not analysis.pairwise:
        return
    family: list[tuple[str, str | None, GroupComparison]] = []
    for first, second in combinations(present, 2):
        pair = patients[group.isin([first, second])]
        exposed = group[pair.index] == first
        contrast = f"{first} vs {second}"
        comparison = compare_groups(pair, exposed)
        family.append((variable, contrast, comparison))
        enter_test(page, variable, contrast, comparison)
        enter_mean_difference(page, variable, contrast, pair, exposed)
    enter_holm(page, family, f"all pairs, {endpoint}")
    _enter_counts(page.about(patients[group.notna()]), variable, family)


def enter_test(page: Page, variable: str, level: str | None, comparison: GroupComparison) -> None:
    """Enter the log-rank test as SPSS prints it, and the preferred P."""
    chi_square, preferred = comparison.chi_square, comparison.preferred
    page = page.about(
        comparison.patients,
        comparison.events,
        degrees_of_freedom=chi_square.degrees_of_freedom if chi_square else None,
        small_group=comparison.small,
    )
    for statistic, value in (
        ("logrank_chi2", chi_square.statistic if chi_square else None),
        ("logrank_p", chi_square.p_value if chi_square else None),
    ):
        page.add(
            variable,
            level,
            statistic,
            value,
            "log-rank test, chi-square approximation",
            note=comparison.reason,
        )
    page.add(
        variable,
        level,
        "logrank_p",
        preferred.p_value if preferred else None,
        preferred.method if preferred else None,
        convention=PREFERRED,
        note=comparison.reason,
    )


def enter_holm(
    page: Page, family: list[tuple[str, str | None, GroupComparison]], name: str
) -> None:
    """Enter Holm's adjustment of the preferred P values of a family."""
    tested = [
        (variable, level, comparison, comparison.preferred.p_value)
        for variable, level, comparison in family
        if comparison.preferred is not None
    ]
    if len(tested) < 2:
        return
    adjusted = adjust_p_values([p_value for *_, p_value in tested])
    for (variable, level, comparison, _), p_value in zip(tested, adjusted, strict=True):
        page.about(comparison.patients, comparison.events, family=name, tests=len(tested)).add(
            variable,
            level,
            "logrank_p_holm",
            float(p_value),
            f"Holm (1979), family of {len(tested)} tests",
            convention=PREFERRED,
        )


def _enter_counts(
    page: Page, variable: str, family: list[tuple[str, str | None, GroupComparison]]
) -> None:
    """Enter how many tests of a family there are, and how many are significant."""
    tested = [comparison for *_, comparison in family if comparison.preferred is not None]
    if not tested:
        return
    page = page.about(page.n, page.events, significance_level=SIGNIFICANCE_LEVEL)
    plain = [c.chi_square.p_value for c in tested if c.chi_square is not None]
    adjusted = adjust_p_values([c.preferred.p_value for c in tested if c.preferred is not None])
    page.add(variable, ALL_PAIRS, "tests_n", len(tested), "count of tests", convention=PREFERRED)
    page.add(
        variable,
        ALL_PAIRS,
        "significant_n",
        sum(p < SIGNIFICANCE_LEVEL for p in plain),
        "chi-square log-rank tests with P below the level, not adjusted",
    )
    page.add(
        variable,
        ALL_PAIRS,
        "significant_n",
        int((adjusted < SIGNIFICANCE_LEVEL).sum()),
        "preferred log-rank tests with Holm's P below the level",
        convention=PREFERRED,
    )


def enter_mean_difference(
    page: Page,
    variable: str,
    level: str | None,
    patients: pd.DataFrame,
    exposed: pd.Series,
) -> None:
    """Enter the difference of restricted means where the two curves cross; else nothing."""
    if not exposed.any() or exposed.all() or not curves_cross(patients, exposed):
        return
    found = mean_difference(patients, exposed)
    if found is None:
        return
    difference, horizon = found
    page = page.about(patients, horizon_months=round(horizon, 2))
    page.add_interval(
        variable,
        level,
        MEAN_DIFFERENCE,
        difference,
        convention=PREFERRED,
        note="the curves cross, so no single hazard ratio describes them",
    )
    page.add(variable, level, "rmst_p", difference.p_value, difference.method, convention=PREFERRED)
    page.add(
        variable,
        level,
        "rmst_horizon_months",
        horizon,
        "longest time up to which both groups are observed",
        convention=PREFERRED,
    )


def _enter_delayed_entry(page: Page, endpoint: str, label: str, patients: pd.DataFrame) -> None:
    """Enter the median when a patient counts only from the day eligibility was known."""
    if patients.empty:
        return
    observed = once_eligible(patients)
    n = len(observed)
    page = page.about(observed, entry=ELIGIBLE)
    variable = f"{endpoint.lower()} delayed entry"
    for statistic, count, method in (
        ("late_n", int((patients["entry"] > 0).sum()), "eligibility known after the time origin"),
        (
            "excluded_n",
            len(patients) - n,
            "eligibility known only after the interval had ended",
        ),
    ):
        page.add(variable, label, statistic, count, method, convention=PREFERRED)
    if n == 0:
        return
    curve = kaplan_meier(observed["time"], observed["event"], entry=observed["entry"])
    page.add_median(
        variable,
        label,
        curve.median(),
        note=f"left-truncated at the {ELIGIBLE}",
    )


def univariable(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter medians by level and the log-rank test of every variable of the univariable table."""
    endpoint = str(analysis.endpoint)
    patients = study.survival(endpoint, analysis.population, analysis.line_number)
    page = ledger.page(
        analysis.exhibit, analysis.population, **study.timing(endpoint, analysis.line_number)
    )
    family: list[tuple[str, str | None, GroupComparison]] = []
    for variable in study.variables.values():
        if not variable.in_univariable:
            continue
        name = f"{endpoint.lower()} by {variable.name}"
        for level in variable.level_names:
            inside = patients[patients[variable.name] == level]
            own = page.about(inside)
            own.add(name, level, "n", own.n, "count of patients")
            own.add(
                name,
                level,
                "events_n",
                own.events,
                "count of events",
                counted=inside["event"] == 1,
            )
            enter_median(own, name, level, inside)
        comparison = compare_groups(patients, patients[variable.name])
        family.append((name, None, comparison))
        enter_test(page.about(patients[patients[variable.name].notna()]), name, None, comparison)
        known = patients[patients[variable.name].notna()]
        present = [level for level in variable.level_names if (known[variable.name] == level).any()]
        if len(present) == 2:
            enter_mean_difference(
                page.about(None, difference=f"{present[0]} minus {present[1]}"),
                name,
                None,
                known,
                known[variable.name] == present[0],
            )
    enter_holm(page, family, f"univariable tests of {endpoint}")
