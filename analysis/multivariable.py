"""The multivariable Cox model: as SPSS printed it, with Efron's ties, and with Firth's penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import duckdb
import numpy as np
import pandas as pd

from analysis.estimators import (
    Candidates,
    CoxModel,
    InvalidSurvivalInput,
    corrected_concordance,
    cox,
    firth_cox,
    proportional_hazards_test,
    selected_by_log_rank,
)
from analysis.estimators.resampling import RESAMPLES
from analysis.ledger import (
    AS_PUBLISHED,
    FIRTH_HAZARD_RATIO,
    HAZARD_RATIO,
    PREFERRED,
    Convention,
    Interval,
    Ledger,
    Page,
)
from analysis.study import Analysis, Level, Study, Variable
from analysis.survival import SIGNIFICANCE_LEVEL

#: Below it estimates of a Cox model are unreliable (Peduzzi 1995; Vittinghoff and McCulloch 2007).
EVENTS_PER_VARIABLE = 10
#: Correcting the concordance takes time with the square of the patients, and beyond so many it is
#: hardly flattered.
MOST_CORRECTED = 4000
SEED = 20261122
#: Why a coefficient is not given while the others of its model are.
INFINITE = "infinite estimate, as where a level has no event"
NOBODY_AT_RISK = "nobody on one side is at risk at an event"
UNTOLD = "no event is left that could tell of it beside an infinite estimate"
#: How the method says that a resample's model is of the variables that it selects itself.
SELECTED_ANEW = "variables selected anew in each"

Fit = Literal["breslow", "efron", "firth"]


@dataclass(frozen=True)
class Term:
    """One coefficient: an indicator of a level against the reference."""

    variable: str
    contrast: str


@dataclass(frozen=True)
class Version:
    """One way of fitting the model, and the statistics it is entered under."""

    fit: Fit
    convention: Convention
    statistics: Interval
    p_value: str
    method: str


VERSIONS = (
    Version(
        "breslow",
        AS_PUBLISHED,
        HAZARD_RATIO,
        "p",
        "Cox model, Breslow's ties, Wald interval and P (SPSS)",
    ),
    Version("efron", PREFERRED, HAZARD_RATIO, "p", "Cox model, Efron's ties, Wald interval and P"),
    Version(
        "firth",
        PREFERRED,
        FIRTH_HAZARD_RATIO,
        "firth_p",
        "Cox model, Firth's penalty, profile likelihood interval and P",
    ),
)


def multivariable(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter the model of all variables with a reference level, on complete cases."""
    endpoint = str(analysis.endpoint)
    patients = study.survival(endpoint, analysis.population, analysis.line_number)
    variables = [variable for variable in study.variables.values() if variable.cox_reference]
    complete = patients.dropna(subset=[variable.name for variable in variables])
    model = f"{endpoint.lower()} cox"
    page = ledger.page(
        analysis.exhibit,
        analysis.population,
        **study.timing(endpoint, analysis.line_number),
        covariates=[variable.name for variable in variables],
    ).about(complete)
    for statistic, count, method, counted in (
        ("n", page.n, "patients with every covariate known", None),
        ("events_n", page.events, "events among them", complete["event"] == 1),
        ("incomplete_n", len(patients) - len(complete), "left out for a missing covariate", None),
    ):
        page.add(model, None, statistic, count, method, counted=counted)
    design = complete[["time", "event"]].copy()
    terms: dict[str, Term] = {}
    for variable in variables:
        for contrast, inside in indicators(variable, complete).items():
            term = Term(f"{model}: {variable.name}", contrast)
            if inside is None:
                _enter_nothing(page, term, NOBODY_AT_RISK)
            else:
                terms[f"{variable.name} {contrast}"] = term
                design[f"{variable.name} {contrast}"] = inside.astype(int)
    if terms:
        _enter_models(page, model, design, terms, _selected_from(study, variables, complete))


def _selected_from(
    study: Study, variables: list[Variable], complete: pd.DataFrame
) -> Candidates | None:
    """The variables of the univariable table, if the model's are those with a small P among them.

    Otherwise nobody said how the model's variables were found.
    """
    labels = {
        variable.name: complete[variable.name]
        for variable in study.variables.values()
        if variable.in_univariable
    }
    candidates = Candidates(labels, SIGNIFICANCE_LEVEL)
    found = selected_by_log_rank(complete, duration="time", event="event", candidates=candidates)
    return candidates if set(found) == {variable.name for variable in variables} else None


def indicators(variable: Variable, patients: pd.DataFrame) -> dict[str, pd.Series | None]:
    """One indicator a level other than the reference, by the name of the contrast.

    None where nobody of the level, or of another, is at risk at an event.

    Parameters
    ----------
    patients : DataFrame
        time, event and the level of the variable.
    """
    at_risk = _at_risk(variable, patients)
    reference = reference_level(variable, patients)
    return {
        f"{level.short} vs {reference.short}": patients[variable.name] == level.name
        if {level.name, reference.name} <= at_risk
        else None
        for level in variable.levels
        if level != reference
    }


def reference_level(variable: Variable, patients: pd.DataFrame) -> Level:
    """The study's reference, else the first level.

    Where nobody of it is at risk at an event, the first level of which somebody is.
    """
    at_risk = _at_risk(variable, patients)
    order = sorted(variable.levels, key=lambda level: level.name != variable.cox_reference)
    return next((level for level in order if level.name in at_risk), order[0])


def _at_risk(variable: Variable, patients: pd.DataFrame) -> set[str]:
    """Levels in a risk set; who is censored before the first event is in none."""
    first = patients.loc[patients["event"] == 1, "time"].min()
    return set(patients.loc[~(patients["time"] < first), variable.name])


def _enter_models(
    page: Page,
    model: str,
    design: pd.DataFrame,
    terms: dict[str, Term],
    candidates: Candidates | None,
) -> None:
    for version in VERSIONS:
        try:
            fitted = _fit(version.fit, design, list(terms))
        except InvalidSurvivalInput as error:
            for term in terms.values():
                _enter_nothing(page, term, str(error), [version])
            continue
        for name in fitted.infinite:
            _enter_nothing(page, terms[name], INFINITE, [version])
        table = fitted.table[~fitted.table["term"].isin(fitted.infinite)]
        if fitted.monotone:
            # Beside an infinite estimate nothing may be left to tell of another.
            told = np.isfinite(table["upper"])
            for name in table.loc[~told, "term"]:
                _enter_nothing(page, terms[name], UNTOLD, [version])
            table = table[told]
        _enter_coefficients(page, version, table, terms)
        if version.fit == "efron":
            page.about(page.n, page.events, ties="efron").add(
                model,
                None,
                "events_per_variable",
                fitted.events_per_variable,
                "events divided by coefficients",
                convention=PREFERRED,
            )
        if version.fit == "efron" and not fitted.monotone:
            _enter_diagnostics(page, model, fitted, terms)
            if len(design) <= MOST_CORRECTED:
                _enter_corrected_concordance(page, model, design, list(terms), candidates)


def _fit(fit: Fit, design: pd.DataFrame, terms: list[str]) -> CoxModel:
    if fit == "firth":
        return firth_cox(design, duration="time", event="event", covariates=terms)
    return cox(design, duration="time", event="event", covariates=terms, ties=fit)


def _enter_coefficients(
    page: Page, version: Version, table: pd.DataFrame, terms: dict[str, Term]
) -> None:
    for row in table.to_dict("records"):
        term = terms[str(row["term"])]
        for statistic, column in (
            (version.statistics.value, "hazard_ratio"),
            (version.statistics.lower, "lower"),
            (version.statistics.upper, "upper"),
            (version.p_value, "p_value"),
        ):
            page.add(
                term.variable,
                term.contrast,
                statistic,
                float(row[column]),
                version.method,
                convention=version.convention,
            )


def _enter_diagnostics(page: Page, model: str, fitted: CoxModel, terms: dict[str, Term]) -> None:
    page = page.about(page.n, page.events, ties="efron")
    ratio, concordance = fitted.likelihood_ratio, fitted.concordance
    for statistic, value, method in (
        ("concordance", concordance.value, concordance.method),
        ("likelihood_ratio_chi2", ratio.statistic, ratio.method),
        ("likelihood_ratio_p", ratio.p_value, ratio.method),
    ):
        page.add(model, None, statistic, value, method, convention=PREFERRED)
    for row in proportional_hazards_test(fitted).to_dict("records"):
        term = terms.get(str(row["term"]))
        page.about(page.n, page.events, transform="km").add(
            term.variable if term else model,
            term.contrast if term else None,
            "ph_p",
            float(row["p_value"]),
            "score test for a hazard ratio that drifts (Grambsch and Therneau 1994)",
            convention=PREFERRED,
        )


def _enter_corrected_concordance(
    page: Page,
    model: str,
    design: pd.DataFrame,
    terms: list[str],
    candidates: Candidates | None,
) -> None:
    """Enter the concordance that the model may have in other patients."""
    note = None
    variables = (
        f"{SELECTED_ANEW} from {len(candidates.labels)} by log-rank P < {candidates.level:g}"
        if candidates
        else "the same variables in each"
    )
    try:
        found = corrected_concordance(
            design,
            duration="time",
            event="event",
            covariates=terms,
            candidates=candidates,
            seed=SEED,
        )
        value: float | None = found.corrected
        if found.penalised:
            note = (
                f"{found.penalised} of {found.resamples} resamples, without a finite estimate, "
                "fitted with a slight penalty"
            )
    except InvalidSurvivalInput as error:
        value, note = None, str(error)
    page.about(page.n, page.events, ties="efron", resamples=RESAMPLES).add(
        model,
        None,
        "concordance_corrected",
        value,
        f"Harrell's C less its optimism in {RESAMPLES} bootstrap resamples, {variables}, "
        f"seed {SEED} (Harrell, Lee and Mark 1996)",
        convention=PREFERRED,
        note=note,
    )


def _enter_nothing(page: Page, term: Term, why: str, versions: list[Version] | None = None) -> None:
    for version in versions or VERSIONS:
        page.add(
            term.variable,
            term.contrast,
            version.statistics.value,
            None,
            version.method,
            convention=version.convention,
            note=why,
        )
