"""Every number of a study's report, computed from the marts into results.estimates."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pandas as pd

from analysis import comparison, later_lines
from analysis.confounding import e_values, weighting
from analysis.cumulative_incidence import cumulative_incidence
from analysis.depth_of_response import waterfall
from analysis.descriptive import (
    adverse_events,
    attrition,
    characteristics,
    count_within,
    cross_count,
    deliveries,
    follow_up,
    population_size,
    quantity,
    response,
)
from analysis.groups_compared import characteristics_by_group, missingness
from analysis.ledger import EnteredTwiceError, Ledger
from analysis.lines import line_reasons, line_transitions, swimmer
from analysis.missing_covariates import imputation
from analysis.multivariable import multivariable
from analysis.responses import best_responses, response_agreement, response_duration
from analysis.results_tables import TABLES, replace_rows
from analysis.rule_sets import endpoint_rule_sets, line_rule_set_changes, line_rule_sets
from analysis.study import Analysis, Study, StudyError, load_study, synthetic
from analysis.survival import survival, univariable
from analysis.univariable_ratios import univariable_ratios

Analyser = Callable[[duckdb.DuckDBPyConnection, Study, Analysis, Ledger], None]

KINDS: dict[str, Analyser] = {
    "population_size": population_size,
    "quantity": quantity,
    "follow_up": follow_up,
    "characteristics": characteristics,
    "count_within": count_within,
    "cross_count": cross_count,
    "response": response,
    "best_responses": best_responses,
    "response_agreement": response_agreement,
    "response_duration": response_duration,
    "adverse_events": adverse_events,
    "survival": survival,
    "cumulative_incidence": cumulative_incidence,
    "univariable": univariable,
    "cox": multivariable,
    "swimmer": swimmer,
    "line_transitions": line_transitions,
    "line_reasons": line_reasons,
    "characteristics_by_group": characteristics_by_group,
    "missingness": missingness,
    "waterfall": waterfall,
    "univariable_ratios": univariable_ratios,
    "imputation": imputation,
    "weighting": weighting,
    "e_values": e_values,
    "line_rule_set_changes": line_rule_set_changes,
    "line_rule_sets": line_rule_sets,
    "endpoint_rule_sets": endpoint_rule_sets,
}


def compute(connection: duckdb.DuckDBPyConnection, study_id: str) -> None:
    """Compute a study's estimates, curves and comparison with what it published.

    Replaces the study's rows in every table of schema results that TABLES lists.

    Raises
    ------
    StudyError
        If the study is not defined, or its analyses name something that is not.
    """
    study = load_study(connection, study_id)
    ledger = analyse(connection, study)
    estimates = ledger.frame()
    curves = pd.concat(ledger.curves) if ledger.curves else None
    bars = pd.concat(ledger.bars) if ledger.bars else None
    compared = comparison.compare(
        comparison.published(connection, study_id), estimates, synthetic=synthetic(connection)
    )
    connection.execute("begin transaction")
    try:
        connection.execute("create schema if not exists results")
        found = (estimates, *ledger.whom(), curves, bars, compared)
        for table, rows in zip(TABLES, found, strict=True):
            replace_rows(connection, table, study_id, rows)
    except BaseException:
        connection.execute("rollback")
        raise
    connection.execute("commit")


def analyse(connection: duckdb.DuckDBPyConnection, study: Study) -> Ledger:
    """Run the study's analyses and return their ledger."""
    ledger = Ledger(study.study_id)
    later_lines.refuse(study)
    attrition(connection, study, ledger)
    deliveries(connection, ledger)
    later_lines.enter_who_had_it(study, ledger)
    for analysis in study.analyses:
        if analysis.kind not in KINDS:
            raise StudyError(
                f"Study {study.study_id}, {analysis.exhibit}: {analysis.kind!r} is no kind of "
                f"analysis; the seed study_analyses may say {', '.join(KINDS)}."
            )
        try:
            KINDS[analysis.kind](connection, study, analysis, ledger)
        except EnteredTwiceError:
            raise StudyError(
                f"Study {study.study_id}, study_analyses: {analysis.exhibit} has the analysis "
                f"{analysis.kind} of {analysis.population} twice, or two that enter the same "
                f"number. Give the one called {analysis.title!r} an exhibit of its own, or none."
            ) from None
    return ledger
