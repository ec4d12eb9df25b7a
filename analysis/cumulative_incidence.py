"""Cumulative incidence of the events that end an endpoint: they compete, only the first counts.

One minus Kaplan-Meier of progression, with deaths censored, would answer what happens to patients
who cannot die. What a patient wants to know is the Aalen-Johansen estimate.
"""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd

from analysis.curves import SURVIVAL_MONTHS, axis_times
from analysis.descriptive import shown_levels
from analysis.estimators import AalenJohansen, aalen_johansen, gray_test, kaplan_meier
from analysis.ledger import PREFERRED, Interval, Ledger, Page, slug
from analysis.study import Analysis, Study

CURVE_METHOD = "Aalen-Johansen, log-log 95% limits"
EVERYBODY = "everybody"
DEATH = "death"
GRAY = "equal incidence"


def cumulative_incidence(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter the incidence of every source of an endpoint's event, by group if one is named."""
    endpoint = str(analysis.endpoint)
    patients = study.survival(endpoint, analysis.population, analysis.line_number)
    page = ledger.page(
        analysis.exhibit, analysis.population, **study.timing(endpoint, analysis.line_number)
    )
    sources = causes(study, analysis)
    found = patients["source"].where(patients["event"] == 1)
    patients = patients.assign(cause=[sources.index(s) + 1 if s in sources else 0 for s in found])
    groups = {EVERYBODY: patients}
    if analysis.group_variable is not None:
        column = patients[analysis.group_variable]
        groups = {
            level: patients[column == level]
            for level in shown_levels(study, analysis.group_variable)
        }
        _enter_gray(page, endpoint, sources, patients, column)
    times = axis_times(study, analysis.exhibit)
    for order, (label, members) in enumerate(groups.items()):
        _enter_group(page, endpoint, sources, label, members, order, times)


def causes(study: Study, analysis: Analysis) -> list[str]:
    """Sources of an endpoint's events among the included patients, death last."""
    intervals = study.intervals_of(str(analysis.endpoint), analysis.line_number)
    found = set(intervals.loc[intervals["event"].astype(bool), "source"])
    return sorted(found, key=lambda source: (source == DEATH, source))


def cause_name(endpoint: str, source: str) -> str:
    """Endpoint under which the curve of one source is entered."""
    return f"{endpoint} incidence: {source.replace('_', ' ')}"


def incidence_at(months: int) -> Interval:
    """Statistics under which the incidence at a time is entered, percent."""
    name = f"incidence_pct_{months}_months"
    return Interval(name, f"{name}_lower", f"{name}_upper")


def _enter_group(
    page: Page,
    endpoint: str,
    sources: list[str],
    label: str,
    patients: pd.DataFrame,
    order: int,
    times: list[float],
) -> None:
    fitted = None
    if len(patients) and patients["cause"].any():
        fitted = aalen_johansen(patients["time"], patients["cause"])
    for place, source in enumerate(sources):
        name = cause_name(endpoint, source)
        variable, events = name.lower(), int((patients["cause"] == place + 1).sum())
        happened = patients["cause"] == place + 1
        own = page.about(patients, events)
        own.add(variable, label, "n", len(patients), "count of patients")
        own.add(variable, label, "events_n", events, "count of events", counted=happened)
        if patients.empty:
            continue
        at_risk = kaplan_meier(patients["time"], patients["event"]).number_at_risk(times)
        for time, n in zip(times, at_risk, strict=True):
            own.about(own.n, events, months=time).add(
                variable,
                label,
                f"n_at_risk_{time:g}_months",
                float(n),
                "patients under observation just before",
                counted=patients["time"] >= time,
            )
        if fitted is None or place + 1 not in fitted.causes:
            continue
        _enter_shares(own, variable, label, fitted, place + 1)
        rows = _curve_rows(fitted, place + 1, patients).assign(
            curve_id=".".join(
                slug(part)
                for part in (page.ledger.study_id, page.exhibit, page.population, name, label)
            ),
            study_id=page.ledger.study_id,
            exhibit=page.exhibit,
            population=page.population,
            endpoint=name,
            group=label,
            group_order=place if label == EVERYBODY else order,
            method=CURVE_METHOD,
        )
        page.ledger.curves.append(rows)


def _enter_shares(page: Page, variable: str, label: str, fitted: AalenJohansen, cause: int) -> None:
    months = [month for month in SURVIVAL_MONTHS if month <= fitted.time[-1]]
    if not months:
        return
    for row in fitted.incidence_at(months, cause).to_dict("records"):
        statistics = incidence_at(int(row["time"]))
        columns = ("incidence", "lower", "upper")
        for statistic, column in zip(statistics, columns, strict=True):
            # Before the first event the limits would be 0 to 0, which is no statement.
            unknown = np.isnan(row[column]) or (column != "incidence" and row["incidence"] == 0)
            page.about(page.n, page.events, months=row["time"]).add(
                variable,
                label,
                statistic,
                None if unknown else 100 * float(row[column]),
                CURVE_METHOD,
                convention=PREFERRED,
            )


def _curve_rows(fitted: AalenJohansen, cause: int, patients: pd.DataFrame) -> pd.DataFrame:
    """Rows of results.survival_curves: the share without this event."""
    steps = np.r_[0.0, fitted.time[fitted.time > 0]]
    curve = fitted.incidence_at(steps, cause)
    happened, censored = (
        (patients["cause"] == code).astype(float).groupby(patients["time"]).sum()
        for code in (cause, 0)
    )
    at_risk = kaplan_meier(patients["time"], patients["event"]).number_at_risk(steps)
    return pd.DataFrame(
        {
            "time_months": steps,
            "survival": 1 - curve["incidence"],
            "lower": 1 - curve["upper"],
            "upper": 1 - curve["lower"],
            "n_at_risk": at_risk,
            "n_events": happened.reindex(steps, fill_value=0.0).to_numpy(),
            "n_censored": censored.reindex(steps, fill_value=0.0).to_numpy(),
        }
    )


def _enter_gray(
    page: Page, endpoint: str, sources: list[str], patients: pd.DataFrame, group: pd.Series
) -> None:
    known = patients[group.notna()]
    labels = group[group.notna()].astype(str)
    for place, source in enumerate(sources):
        own = page.about(known, int((known["cause"] == place + 1).sum()))
        variable = cause_name(endpoint, source).lower()
        if labels.nunique() < 2 or not own.events:
            continue
        test = gray_test(known["time"], known["cause"], labels, cause_of_interest=place + 1)
        for statistic, value in (("gray_chi2", test.statistic), ("gray_p", test.p_value)):
            own.add(variable, GRAY, statistic, value, test.method, convention=PREFERRED)
