"""Confounding of a comparison: weighting by the propensity, and how much could be left over."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd

from analysis.estimators import (
    Estimate,
    InvalidSurvivalInput,
    TreatmentWeights,
    cox,
    e_value,
    treatment_weights,
)
from analysis.group_tests import enter_ratio, hazard_ratio
from analysis.ledger import HAZARD_RATIO, PREFERRED, Ledger, Page
from analysis.study import Analysis, Study, of_line

#: An outcome of more patients than this is common (VanderWeele and Ding 2017).
RARE_BELOW = 0.15

#: Standardised difference from which on groups count as unlike (Austin 2009).
IMBALANCE = 0.1

WEIGHTED, UNWEIGHTED = "weighted", "unweighted"
BEFORE, AFTER = "before weighting", "after weighting"
BALANCE = "balance: "


def weighting(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter a comparison weighted by the inverse probability of treatment, with its balance.

    The covariates are those that study_analyses names; patients who lack one are left out of both
    the weighted and the unweighted comparison.
    """
    endpoint, contrast = str(analysis.endpoint), str(analysis.contrast)
    names = [study.variable(name).name for name in analysis.covariates]
    patients = study.survival(endpoint, analysis.population, analysis.line_number)
    group = patients[study.variable(analysis.group_variable).name]
    known = patients[group.notna()]
    complete = known.dropna(subset=names)
    complete = complete.assign(exposed=(group[complete.index] == analysis.contrast_level))
    covariates = [name for name in names if complete[name].nunique() > 1]
    page = ledger.page(
        analysis.exhibit,
        analysis.population,
        **study.timing(endpoint, analysis.line_number),
        covariates=covariates,
    ).about(complete)
    variable = endpoint.lower()
    page.add(
        variable,
        contrast,
        "incomplete_n",
        len(patients) - len(complete),
        "left out: group or a covariate not known",
        convention=PREFERRED,
    )
    design = complete[["time", "event"]].assign(exposed=complete["exposed"].astype(int))
    found = (
        hazard_ratio(design, "exposed")
        if design["exposed"].nunique() == 2
        else "one side has no patients"
    )
    enter_ratio(page, f"{variable} {UNWEIGHTED}", contrast, found)
    try:
        weights = treatment_weights(complete, treatment="exposed", covariates=covariates)
        ratio = _weighted_ratio(design, weights)
    except InvalidSurvivalInput as error:
        enter_ratio(page, f"{variable} {WEIGHTED}", contrast, str(error))
        return
    _enter_groups(page, study, analysis, weights, complete["exposed"])
    for row in weights.balance.to_dict("records"):
        for column, label in (("before", BEFORE), ("after", AFTER)):
            size = abs(float(row[column]))
            page.add(
                f"{BALANCE}{row['covariate']}",
                label,
                "smd",
                None if np.isnan(size) else size,
                "standardised difference (Yang and Dalton 2012), without sign",
                convention=PREFERRED,
            )
    note = weights.method
    page.add_interval(
        f"{variable} {WEIGHTED}", contrast, HAZARD_RATIO, ratio, convention=PREFERRED, note=note
    )
    page.add(
        f"{variable} {WEIGHTED}",
        contrast,
        "p",
        ratio.p_value,
        ratio.method,
        convention=PREFERRED,
        note=note,
    )


def _weighted_ratio(design: pd.DataFrame, weights: TreatmentWeights) -> Estimate:
    model = cox(
        design.assign(weight=weights.weights),
        duration="time",
        event="event",
        covariates=["exposed"],
        weights="weight",
        robust=True,
    )
    if model.monotone:
        raise InvalidSurvivalInput(
            "one side has no event, or all of its events before the other's, so the hazard ratio "
            "is 0 or infinite"
        )
    row = model.table.iloc[0]
    return Estimate(
        value=float(row["hazard_ratio"]),
        lower=float(row["lower"]),
        upper=float(row["upper"]),
        std_error=float(row["std_error"]),
        method="Cox model, Efron's ties, inverse-probability-of-treatment weights, robust "
        "standard error (Lin and Wei 1989)",
        p_value=float(row["p_value"]),
    )


def _enter_groups(
    page: Page, study: Study, analysis: Analysis, weights: TreatmentWeights, exposed: pd.Series
) -> None:
    """Enter size, effective size and range of weights of both groups."""
    variable = study.variable(analysis.group_variable)
    others = [name for name in variable.level_names if name != analysis.contrast_level]
    other = others[0] if len(others) == 1 else "all others"
    for row in weights.groups.to_dict("records"):
        label = str(analysis.contrast_level) if row["group"] else other
        for statistic, column, method in (
            ("n", "n", "count of patients"),
            (
                "effective_sample_size",
                "effective_sample_size",
                "square of the sum of weights over the sum of their squares (Kish 1965)",
            ),
            ("smallest_weight", "smallest_weight", "smallest weight"),
            ("largest_weight", "largest_weight", "largest weight"),
        ):
            page.add(
                variable.name,
                label,
                statistic,
                float(row[column]),
                method,
                convention=PREFERRED,
                counted=exposed == bool(row["group"]) if statistic == "n" else None,
            )


def e_values(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter the E-value of every hazard ratio of a comparison entered so far.

    Those are the ratios of the same endpoint whose analysis has the same group variable. They are
    of a common outcome if more than 15% of the patients had the event.
    """
    endpoint = str(analysis.endpoint).lower()
    sources = {
        (each.exhibit, each.population, each.contrast)
        for each in study.analyses
        if each.kind in ("survival", "weighting")
        and each.endpoint == analysis.endpoint
        and each.group_variable == analysis.group_variable
        and each.line_number == analysis.line_number
    }
    ratios = [
        entry
        for entry in ledger.entries.values()
        if (entry.exhibit, entry.population, entry.level) in sources
        and entry.statistic == HAZARD_RATIO.value
        and entry.convention == PREFERRED
        and entry.value is not None
        and entry.variable.split(" ")[0] == endpoint
        and not entry.variable.endswith(UNWEIGHTED)
    ]
    for entry in ratios:
        limits = [
            ledger.value(entry, statistic) for statistic in (HAZARD_RATIO.lower, HAZARD_RATIO.upper)
        ]
        n, events = entry.n or 0, entry.events or 0
        found = e_value(
            float(entry.value or 0),
            *(limits if None not in limits else ()),
            outcome="common" if events > RARE_BELOW * n else "rare",
        )
        page = ledger.page(
            analysis.exhibit,
            analysis.population,
            **of_line(analysis.line_number),
            source_exhibit=entry.exhibit,
            source_population=entry.population,
            source_level=entry.level,
        ).about(ledger.patients.get(entry.estimate_id, (entry.n,))[0], entry.events)
        for statistic, value in (("e_value", found.point), ("e_value_limit", found.limit)):
            page.add(
                f"{entry.exhibit}: {entry.variable}",
                entry.level,
                statistic,
                value,
                found.method,
                convention=PREFERRED,
            )
