"""Hazard ratios of one variable at a time, for the forest plot beside the univariable table."""

from __future__ import annotations

import duckdb
import pandas as pd

from analysis.estimators import CoxModel, InvalidSurvivalInput, cox, firth_cox
from analysis.ledger import HAZARD_RATIO, PREFERRED, Ledger, Page
from analysis.study import Analysis, Study, Variable


def univariable_ratios(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter a Cox model of every variable of the univariable table, each on its own.

    The reference is that of the multivariable model, else the first level that has patients.
    """
    endpoint = str(analysis.endpoint)
    patients = study.survival(endpoint, analysis.population)
    for variable in study.variables.values():
        if not variable.in_univariable:
            continue
        known = patients[patients[variable.name].notna()]
        page = ledger.page(analysis.exhibit, analysis.population, **study.timing(endpoint)).about(
            known
        )
        _enter(page, f"{endpoint.lower()} alone: {variable.name}", variable, known)


def _enter(page: Page, name: str, variable: Variable, patients: pd.DataFrame) -> None:
    present = [level for level in variable.levels if (patients[variable.name] == level.name).any()]
    if len(present) < 2:
        return
    reference = present[0]
    if variable.cox_reference in [level.name for level in present]:
        reference = variable.level(str(variable.cox_reference))
    terms = {
        f"{level.short} vs {reference.short}": patients[variable.name] == level.name
        for level in present
        if level != reference
    }
    design = patients[["time", "event"]].assign(
        **{contrast: inside.astype(int) for contrast, inside in terms.items()}
    )
    try:
        model, method = _fit(design, list(terms))
    except InvalidSurvivalInput as error:
        for contrast in terms:
            page.add(
                name,
                contrast,
                HAZARD_RATIO.value,
                None,
                "Cox model",
                convention=PREFERRED,
                note=str(error),
            )
        return
    for row in model.table.to_dict("records"):
        for statistic, column in (
            (HAZARD_RATIO.value, "hazard_ratio"),
            (HAZARD_RATIO.lower, "lower"),
            (HAZARD_RATIO.upper, "upper"),
            ("p", "p_value"),
        ):
            page.add(
                name,
                str(row["term"]),
                statistic,
                float(row[column]),
                method,
                convention=PREFERRED,
            )


def _fit(design: pd.DataFrame, terms: list[str]) -> tuple[CoxModel, str]:
    model = cox(design, duration="time", event="event", covariates=terms)
    if not model.monotone:
        return model, "Cox model of this variable alone, Efron's ties, Wald interval and P"
    penalised = firth_cox(design, duration="time", event="event", covariates=terms)
    return penalised, (
        "Cox model of this variable alone, Firth's penalty, profile likelihood interval and P"
    )
