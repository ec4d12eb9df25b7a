"""The multivariable model on complete cases beside the same model with covariates imputed."""

from __future__ import annotations

import duckdb
import pandas as pd

from analysis.estimators import InvalidSurvivalInput, imputed_cox
from analysis.ledger import HAZARD_RATIO, PREFERRED, Ledger
from analysis.multivariable import reference_level
from analysis.study import Analysis, Level, Study, Variable

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
    patients = study.survival(endpoint, analysis.population, analysis.line_number)
    lacking = patients[names].isna().any(axis=1)
    incomplete = int(lacking.sum())
    model = f"{endpoint.lower()} cox"
    page = ledger.page(
        analysis.exhibit,
        analysis.population,
        **study.timing(endpoint, analysis.line_number),
        covariates=names,
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
    # Those of the model on complete cases, beside which this one stands.
    complete = patients[~lacking]
    among = complete if complete["event"].any() else patients
    references = {v.name: reference_level(v, among) for v in modelled}
    design = patients[["time", "event"]].join(
        pd.DataFrame(
            {v.name: _reference_first(patients[v.name], v, references[v.name]) for v in modelled}
        )
    )
    design = design.join(patients[auxiliary])
    try:
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
    tables = {
        IMPUTED: (found.table, found.method, found.n, found.events),
        COMPLETE: (
            None if found.complete_case is None else found.complete_case.table,
            "Cox model, Efron's ties, complete cases",
            found.n_complete,
            found.events_complete,
        ),
    }
    short = {
        f"{v.name}={level.name}": (v, f"{level.short} vs {references[v.name].short}")
        for v in modelled
        for level in v.levels
    }
    for which, (table, method, n, events) in tables.items():
        of = complete if which == COMPLETE else patients
        own = page.about(of, events, auxiliary=auxiliary)
        own.add(model, which, "n", n, "count of patients", convention=PREFERRED)
        own.add(
            model,
            which,
            "events_n",
            events,
            "count of events",
            convention=PREFERRED,
            counted=of["event"] == 1,
        )
        if table is None:
            own.add(
                model,
                which,
                HAZARD_RATIO.value,
                None,
                method,
                convention=PREFERRED,
                note=found.complete_case_reason,
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


def _reference_first(values: pd.Series, variable: Variable, reference: Level) -> pd.Series:
    """The same values as categories that begin with the reference, which gets no coefficient."""
    order = [reference.name, *(name for name in variable.level_names if name != reference.name)]
    found: pd.Series = values.astype(pd.CategoricalDtype(order))
    return found
