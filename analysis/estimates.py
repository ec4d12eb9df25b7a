"""Every number of a study's report, computed from the marts into results.estimates."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pandas as pd

from analysis import comparison
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
from analysis.ledger import Ledger
from analysis.multivariable import multivariable
from analysis.study import Analysis, Study, StudyError, load_study
from analysis.survival import survival, univariable

Analyser = Callable[[duckdb.DuckDBPyConnection, Study, Analysis, Ledger], None]

KINDS: dict[str, Analyser] = {
    "population_size": population_size,
    "quantity": quantity,
    "follow_up": follow_up,
    "characteristics": characteristics,
    "count_within": count_within,
    "cross_count": cross_count,
    "response": response,
    "adverse_events": adverse_events,
    "survival": survival,
    "univariable": univariable,
    "cox": multivariable,
}

TABLES = {
    "estimates": """
        estimate_id varchar, study_id varchar, exhibit varchar, population varchar,
        variable varchar, level varchar, statistic varchar, convention varchar, value double,
        display varchar, n integer, events integer, method varchar, parameters varchar, note varchar
    """,
    "survival_curves": """
        curve_id varchar, study_id varchar, exhibit varchar, population varchar, endpoint varchar,
        "group" varchar, group_order integer, time_months double, survival double, lower double,
        upper double, n_at_risk double, n_events double, n_censored double, method varchar
    """,
    "published_comparison": """
        result_id varchar, study_id varchar, exhibit varchar, population varchar, variable varchar,
        level varchar, statistic varchar, status varchar, printed varchar, computed_display varchar,
        computed_value double, difference double, verdict varchar, explanation varchar,
        estimate_id varchar
    """,
}


def compute(connection: duckdb.DuckDBPyConnection, study_id: str) -> None:
    """Compute a study's estimates, curves and comparison with what it published.

    Replaces the study's rows in results.estimates, results.survival_curves and
    results.published_comparison.

    Raises
    ------
    StudyError
        If the study is not defined, or its analyses name something that is not.
    """
    study = load_study(connection, study_id)
    ledger = analyse(connection, study)
    estimates = ledger.frame()
    curves = pd.concat(ledger.curves) if ledger.curves else None
    compared = comparison.compare(comparison.published(connection, study_id), estimates)
    connection.execute("begin transaction")
    try:
        connection.execute("create schema if not exists results")
        _replace(connection, "estimates", study_id, estimates)
        _replace(connection, "survival_curves", study_id, curves)
        _replace(connection, "published_comparison", study_id, compared)
    except BaseException:
        connection.execute("rollback")
        raise
    connection.execute("commit")


def analyse(connection: duckdb.DuckDBPyConnection, study: Study) -> Ledger:
    """Run the study's analyses and return their ledger."""
    ledger = Ledger(study.study_id)
    attrition(connection, study, ledger)
    deliveries(connection, ledger)
    for analysis in study.analyses:
        if analysis.kind not in KINDS:
            raise StudyError(
                f"Study {study.study_id}, {analysis.exhibit}: {analysis.kind!r} is no kind of "
                f"analysis; the seed study_analyses may say {', '.join(KINDS)}."
            )
        KINDS[analysis.kind](connection, study, analysis, ledger)
    return ledger


def _replace(
    connection: duckdb.DuckDBPyConnection, table: str, study_id: str, rows: pd.DataFrame | None
) -> None:
    connection.execute(f"create table if not exists results.{table} ({TABLES[table]})")
    connection.execute(f"delete from results.{table} where study_id = ?", [study_id])
    if rows is not None and len(rows):
        connection.register("new_rows", rows)
        connection.execute(f"insert into results.{table} by name select * from new_rows")
        connection.unregister("new_rows")
