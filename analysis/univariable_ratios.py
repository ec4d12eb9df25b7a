"""Hazard ratios of one variable at a time, for the forest plot beside the univariable table."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import duckdb
import pandas as pd

from analysis.estimators import CoxModel, InvalidSurvivalInput, cox, firth_cox
from analysis.ledger import HAZARD_RATIO, PREFERRED, Ledger, Page
from analysis.multivariable import NOBODY_AT_RISK, indicators
from analysis.study import Analysis, Study, Variable


def univariable_ratios(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter a Cox model of every variable of the univariable table, each on its own.

    The reference is that of the multivariable model (`indicators`).
    """
    endpoint = str(analysis.endpoint)
    patients = study.survival(endpoint, analysis.population, analysis.line_number)
    for variable in study.variables.values():
        if not variable.in_univariable:
            continue
        known = patients[patients[variable.name].notna()]
        page = ledger.page(
            analysis.exhibit, analysis.population, **study.timing(endpoint, analysis.line_number)
        ).about(known)
        _enter(page, f"{endpoint.lower()} alone: {variable.name}", variable, known)


def _enter(page: Page, name: str, variable: Variable, patients: pd.DataFrame) -> None:
    present = set(patients[variable.name])
    of_patients = replace(
        variable, levels=tuple(level for level in variable.levels if level.name in present)
    )
    if len(of_patients.levels) < 2:
        return
    terms = indicators(of_patients, patients)
    told = {contrast: inside for contrast, inside in terms.items() if inside is not None}
    design = patients[["time", "event"]].assign(
        **{contrast: inside.astype(int) for contrast, inside in told.items()}
    )
    found: dict[str, dict[Hashable, Any]] = {}
    method, reason = "Cox model", NOBODY_AT_RISK
    if told:
        try:
            model, method = _fit(design, list(told))
            found = {str(row["term"]): row for row in model.table.to_dict("records")}
        except InvalidSurvivalInput as error:
            reason = str(error)
    for contrast in terms:
        if contrast not in found:
            page.add(
                name,
                contrast,
                HAZARD_RATIO.value,
                None,
                "Cox model",
                convention=PREFERRED,
                note=reason,
            )
            continue
        for statistic, column in (
            (HAZARD_RATIO.value, "hazard_ratio"),
            (HAZARD_RATIO.lower, "lower"),
            (HAZARD_RATIO.upper, "upper"),
            ("p", "p_value"),
        ):
            page.add(
                name,
                contrast,
                statistic,
                float(found[contrast][column]),
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
