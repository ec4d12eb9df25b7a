"""Double programming: variables once more in pandas, survival results once more by lifelines.

The marts are SQL; analysis/second_variables.py derives a study's key variables without them. The
estimators of analysis/estimators are our own; lifelines (Davidson-Pilon 2019, JOSS 4:1317) is
another programme by other people. Where the two must agree - Kaplan-Meier, the log-rank chi-square,
Cox coefficients with Efron's ties, the incidence of competing events - every run compares them and
stores what it found.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import astuple, dataclass, fields

import duckdb
import numpy as np
import pandas as pd
from lifelines import AalenJohansenFitter, CoxPHFitter, KaplanMeierFitter
from lifelines.exceptions import ConvergenceError
from lifelines.statistics import multivariate_logrank_test

from analysis.cumulative_incidence import EVERYBODY, cause_name, causes
from analysis.layout import number_of
from analysis.second_variables import variables
from analysis.study import Analysis, Study, frame, load_study
from expectations.tables import exist, rows

#: Exhibit under which variables stand.
COHORT = "cohort"

#: Largest absolute difference at which two programmes agree.
AGREEMENT = 1e-8
#: The same beside an infinite hazard ratio: the other coefficients are those at which R stops, some
#: 1e-8 short of the limit.
BESIDE_INFINITE = 1e-6

#: lifelines stops early by default, which leaves errors of up to 1e-5 in the coefficients. Its
#: precision is that of a step, or of Newton's decrement, which is the square of one.
UNTIL_IT_STANDS = {"precision": 1e-16, "r_precision": 0.0}
#: Parts of Newton's step to begin with, that of lifelines first; of few patients it may lead so far
#: off that nothing is found.
FIRST_STEPS = (0.95, 0.5, 0.1)


@dataclass(frozen=True)
class Agreement:
    """One comparison; `n_compared` numbers differ by at most `largest_difference`.

    Of a variable `n_compared` are the patients, `largest_difference` those with another answer.
    """

    study_id: str
    exhibit: str
    what: str
    n_compared: int
    largest_difference: float
    agrees: bool


def compute(connection: duckdb.DuckDBPyConnection, study_id: str) -> list[Agreement]:
    """Compare a study's variables with pandas, its curves, tests and models with lifelines.

    Reads results.survival_curves and results.estimates; replaces the study's rows in
    results.second_programming.
    """
    study = load_study(connection, study_id)
    estimates = frame(connection, "select * from results.estimates where study_id = ?", study_id)
    found = [
        Agreement(study_id, COHORT, answers.what, len(answers.mart), n, n == 0)
        for answers in variables(connection, study)
        if len(answers.mart)  # of nobody there is nothing to agree on
        for n in [answers.different()]
    ]
    for analysis in study.analyses:
        if analysis.kind == "survival":
            found += _curves(connection, study, analysis)
            if analysis.group_variable:
                found += _log_rank(study, analysis, estimates, analysis.group_variable)
        elif analysis.kind == "cumulative_incidence":
            found += _incidence(connection, study, analysis)
        elif analysis.kind == "univariable":
            for variable in study.variables.values():
                if variable.in_univariable:
                    found += _log_rank(study, analysis, estimates, variable.name)
        elif analysis.kind == "cox":
            found += _cox(study, analysis, estimates)
    _store(connection, study_id, found)
    return found


def warning(connection: duckdb.DuckDBPyConnection, study_id: str) -> str | None:
    """What must stand above a study's numbers if a second programme does not find them all."""
    if not exist(connection, "results.second_programming"):
        return None
    found = rows(
        connection,
        "select distinct exhibit from results.second_programming "
        "where study_id = ? and not agrees order by exhibit",
        study_id,
    )
    if not found:
        return None
    where = ", ".join(
        "the variables of the cohort" if row["exhibit"] == COHORT else number_of(row["exhibit"])
        for row in found
    )
    return (
        f"A second programme finds otherwise: {where}. Do not use these numbers before it is known "
        "which programme is wrong."
    )


def _curves(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis
) -> list[Agreement]:
    own = frame(
        connection,
        'select "group", time_months, survival from results.survival_curves '
        "where study_id = ? and exhibit = ? and population = ? and endpoint = ? "
        "order by all",
        study.study_id,
        analysis.exhibit,
        analysis.population,
        analysis.endpoint,
    )
    patients = study.survival(analysis.endpoint, analysis.population, analysis.line_number)
    differences = []
    for group, curve in own.groupby("group"):
        members = patients
        if analysis.group_variable:
            members = patients[patients[analysis.group_variable] == group]
        fitted = KaplanMeierFitter().fit(members["time"], members["event"])
        theirs = fitted.survival_function_at_times(curve["time_months"]).to_numpy()
        differences.append(np.abs(theirs - curve["survival"].to_numpy()))
    if not differences:
        return []
    what = f"Kaplan-Meier estimates of {analysis.endpoint}"
    return [_agreement(study, analysis, what, np.concatenate(differences))]


def _incidence(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis
) -> list[Agreement]:
    """Incidence of each event; where events of two patients tie, lifelines shifts one at random."""
    endpoint = str(analysis.endpoint)
    patients = study.survival(endpoint, analysis.population, analysis.line_number)
    differences = []
    for source in causes(study, analysis):
        own = frame(
            connection,
            'select "group", time_months, survival from results.survival_curves '
            "where study_id = ? and exhibit = ? and population = ? and endpoint = ? order by all",
            study.study_id,
            analysis.exhibit,
            analysis.population,
            cause_name(endpoint, source),
        )
        for group, curve in own.groupby("group"):
            if (group == EVERYBODY) != (analysis.group_variable is None):
                continue
            members = patients
            if analysis.group_variable:
                members = patients[patients[analysis.group_variable] == group]
            cause = np.where(members["event"] == 0, 0, np.where(members["source"] == source, 1, 2))
            if members.loc[members["event"] == 1, "time"].duplicated().any():
                continue
            fitted = AalenJohansenFitter(calculate_variance=False)
            fitted.fit(members["time"], cause, event_of_interest=1)
            theirs = fitted.cumulative_density_.iloc[:, 0]
            at = np.searchsorted(theirs.index, curve["time_months"], side="right") - 1
            differences.append(np.abs(1 - curve["survival"].to_numpy() - theirs.to_numpy()[at]))
    if not differences:
        return []
    what = f"cumulative incidence of what ends {endpoint}"
    return [_agreement(study, analysis, what, np.concatenate(differences))]


def _log_rank(
    study: Study, analysis: Analysis, estimates: pd.DataFrame, variable: str
) -> list[Agreement]:
    patients = study.survival(analysis.endpoint, analysis.population, analysis.line_number).dropna(
        subset=[variable]
    )
    groups = patients[variable].astype(str)
    if groups.nunique() < 2 or not patients["event"].any():
        return []
    theirs = multivariate_logrank_test(patients["time"], groups, patients["event"]).test_statistic
    endpoint = str(analysis.endpoint).lower()
    names = (endpoint, f"{endpoint} by {variable}")
    rows = estimates[
        (estimates["exhibit"] == analysis.exhibit)
        & estimates["variable"].isin(names)
        & (estimates["statistic"] == "logrank_chi2")
        & (estimates["convention"] == "as published")
        & (estimates["n"] == len(patients))
    ]
    degrees = groups.nunique() - 1
    own = [
        row["value"]
        for _, row in rows.iterrows()
        if json.loads(row["parameters"])["degrees_of_freedom"] == degrees
        and (analysis.kind == "survival" or row["variable"] == names[1])
    ]
    if not own:
        return []
    what = f"log-rank chi-square of {analysis.endpoint} by {variable}"
    return [_agreement(study, analysis, what, np.abs(np.array(own[:1]) - theirs))]


def _cox(study: Study, analysis: Analysis, estimates: pd.DataFrame) -> list[Agreement]:
    endpoint = str(analysis.endpoint).lower()
    rows = estimates[
        (estimates["exhibit"] == analysis.exhibit)
        & (estimates["statistic"] == "hazard_ratio")
        & (estimates["convention"] == "preferred")
        & estimates["value"].notna()
    ]
    modelled = [v for v in study.variables.values() if v.cox_reference]
    patients = study.survival(analysis.endpoint, analysis.population, analysis.line_number).dropna(
        subset=[v.name for v in modelled]
    )
    # lifelines stops short of an infinite ratio; where it is that of a level without an event,
    # the other ratios are those of the patients without the level.
    n_modelled = len(patients)
    for variable in modelled:
        events = patients.groupby(variable.name, observed=True)["event"].transform("sum")
        patients = patients[events > 0]
    wanted = AGREEMENT if len(patients) == n_modelled else BESIDE_INFINITE
    design = patients[["time", "event"]].copy()
    own = {}
    for variable in modelled:
        reference = variable.level(str(variable.cox_reference))
        there = [level for level in variable.levels if level.name in set(patients[variable.name])]
        base = reference if reference in there else next(iter(there), reference)
        for level in there:
            if level == base:
                continue
            contrast = f"{level.short} vs {reference.short}"
            design[f"{variable.name} {contrast}"] = (patients[variable.name] == level.name).astype(
                int
            )
            value = rows.loc[
                (rows["variable"] == f"{endpoint} cox: {variable.name}")
                & (rows["level"] == contrast),
                "value",
            ]
            if len(value):
                own[f"{variable.name} {contrast}"] = float(np.log(value.iloc[0]))
            elif base == reference:  # infinite although the level has events
                return []
    if not own:
        return []
    theirs = _coefficients(design)
    if theirs is None:
        return []
    differences = np.array([abs(theirs[term] - value) for term, value in own.items()])
    what = f"Cox coefficients of {analysis.endpoint}, Efron's ties"
    return [_agreement(study, analysis, what, differences, wanted)]


def _coefficients(design: pd.DataFrame) -> dict[str, float] | None:
    """Those of lifelines by term; None where it finds none."""
    for step in FIRST_STEPS:
        options = {**UNTIL_IT_STANDS, "step_size": step}
        with suppress(ConvergenceError):
            return dict(CoxPHFitter().fit(design, "time", "event", fit_options=options).params_)
    return None


def _agreement(
    study: Study,
    analysis: Analysis,
    what: str,
    differences: np.ndarray,
    wanted: float = AGREEMENT,
) -> Agreement:
    largest = float(differences.max())
    return Agreement(
        study.study_id,
        analysis.exhibit,
        what,
        len(differences),
        largest,
        largest <= wanted,
    )


def _store(connection: duckdb.DuckDBPyConnection, study_id: str, found: list[Agreement]) -> None:
    connection.execute(
        "create table if not exists results.second_programming (study_id varchar, "
        "exhibit varchar, what varchar, n_compared integer, largest_difference double, "
        "agrees boolean)"
    )
    connection.execute("delete from results.second_programming where study_id = ?", [study_id])
    if found:
        marks = ", ".join("?" for _ in fields(Agreement))
        connection.executemany(
            f"insert into results.second_programming values ({marks})",
            [astuple(agreement) for agreement in found],
        )
