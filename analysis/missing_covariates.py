"""The multivariable model on complete cases beside the same model with covariates imputed."""

from __future__ import annotations

import duckdb
import pandas as pd

from analysis.estimators import InvalidSurvivalInput, imputed_cox
from analysis.ledger import HAZARD_RATIO, PREFERRED, Ledger
from analysis.study import Analysis, Study, Variable

COMPLETE, IMPUTED = "complete cases", "multiple imputation"


def imputation(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter the model on complete cases and imputed, if a covariate of any patient is missing.

    The covariates that study_analyses names help to impute.
    """
    endpoint = str(analysis.endpoint)
    modelled = [v for v in study.variables.values() if v.cox_reference]
    names = [v.name for v in modelled]
    patients = study.survival(endpoint, analysis.population)
    lacking = patients[names].isna().any(axis=1)
    incomplete = int(lacking.sum())
    model = f"{endpoint.lower()} cox"
    page = ledger.page(
        analysis.exhibit, analysis.population, **study.timing(endpoint), covariates=names
    ).about(patients)
    page.add(
        model,
        None,
        "incomplete_n",
        incomplete,
        "patients with a missing covariate",
        convention=PREFERRED,
        counted=lacking,
    )
    if not incomplete:
        return
    extra = [name for name in analysis.covariates if name not in names]
    auxiliary = [name for name in extra if patients[name].nunique() > 1]
    design = patients[["time", "event"]].join(
        pd.DataFrame({v.name: _reference_first(patients[v.name], v) for v in modelled})
    )
    design = design.join(patients[auxiliary])
    try:
        _require_references(patients, modelled)
        found = imputed_cox(
            design, duration="time", event="event", covariates=names, auxiliary=auxiliary
        )
    except InvalidSurvivalInput as error:
        page.add(
            model,
            IMPUTED,
            HAZARD_RATIO.value,
            None,
            "multiple imputation",
            convention=PREFERRED,
            note=str(error),
        )
        return
    complete_case, reason = found.complete_case, found.complete_case_reason
    try:
        _require_references(patients[~lacking], modelled)
    except InvalidSurvivalInput as error:
        complete_case, reason = None, str(error)
    tables = {
        IMPUTED: (found.table, found.method, found.n, found.events),
        COMPLETE: (
            None if complete_case is None else complete_case.table,
            "Cox model, Efron's ties, complete cases",
            found.n_complete,
            found.events_complete,
        ),
    }
    short = {
        f"{v.name}={level.name}": (v, f"{level.short} vs {v.level(str(v.cox_reference)).short}")
        for v in modelled
        for level in v.levels
    }
    for which, (table, method, n, events) in tables.items():
        among = patients[~lacking] if which == COMPLETE else patients
        own = page.about(among, events, auxiliary=auxiliary)
        own.add(model, which, "n", n, "count of patients", convention=PREFERRED)
        own.add(
            model,
            which,
            "events_n",
            events,
            "count of events",
            convention=PREFERRED,
            counted=among["event"] == 1,
        )
        if table is None:
            own.add(
                model,
                which,
                HAZARD_RATIO.value,
                None,
                method,
                convention=PREFERRED,
                note=reason,
            )
            continue
        for row in table.to_dict("records"):
            variable, contrast = short[str(row["term"])]
            for statistic, column in (
                (HAZARD_RATIO.value, "hazard_ratio"),
                (HAZARD_RATIO.lower, "lower"),
                (HAZARD_RATIO.upper, "upper"),
                ("p", "p_value"),
            ):
                own.add(
                    f"{model} {which}: {variable.name}",
                    contrast,
                    statistic,
                    float(row[column]),
                    method,
                    convention=PREFERRED,
                )


def _require_references(patients: pd.DataFrame, modelled: list[Variable]) -> None:
    """Refuse a model whose ratios would be against another level than the one they name."""
    for variable in modelled:
        if not (patients[variable.name] == str(variable.cox_reference)).any():
            raise InvalidSurvivalInput(
                f"Nobody has the reference level of {variable.name}, {variable.cox_reference}."
            )


def _reference_first(values: pd.Series, variable: Variable) -> pd.Series:
    """The same values as categories that begin with the reference, which gets no coefficient."""
    reference = str(variable.cox_reference)
    order = [reference, *(name for name in variable.level_names if name != reference)]
    found: pd.Series = values.astype(pd.CategoricalDtype(order))
    return found
