"""Kaplan-Meier curves of the report: what is entered of each, and where its axis has ticks."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.estimators import KaplanMeier, kaplan_meier
from analysis.ledger import (
    AS_PUBLISHED,
    MEDIAN,
    NO_PATIENTS,
    NOT_ESTIMABLE,
    NOT_REACHED,
    PREFERRED,
    Interval,
    Page,
    slug,
)
from analysis.study import Study

#: Widths of the time axis' steps, months, and how many steps a figure may have.
STEPS = (1, 2, 3, 6, 12, 24, 36, 60, 120)
MOST_STEPS = 8

#: Times, months, at which survival is given as a share.
SURVIVAL_MONTHS = (6, 12, 24, 36, 60)

CURVE_METHOD = "Kaplan-Meier, log-log 95% limits"


def survival_at(months: float) -> Interval:
    """Statistics under which survival at a time is entered, percent."""
    name = f"survival_pct_{months:g}_months"
    return Interval(name, f"{name}_lower", f"{name}_upper")


def axis_times(study: Study, exhibit: str) -> list[float]:
    """Times, months, at which all panels of a figure give numbers at risk."""
    panels = [
        study.survival(panel.endpoint, panel.population, panel.line_number)["time"]
        for panel in study.analyses
        if panel.exhibit == exhibit and panel.kind in ("survival", "cumulative_incidence")
    ]
    return curve_ticks(max((float(times.max()) for times in panels if len(times)), default=0.0))


def curve_ticks(longest: float) -> list[float]:
    """Ticks of a time axis up to its longest time, months."""
    step = next((step for step in STEPS if longest / step <= MOST_STEPS), STEPS[-1])
    return [float(time) for time in np.arange(0, longest + 1e-9, step)]


def enter_curve(
    page: Page,
    endpoint: str,
    label: str,
    patients: pd.DataFrame,
    order: int,
    times: list[float],
    *,
    published: bool = True,
) -> None:
    """Enter counts, median, numbers at risk at `times`, survival in percent, and the curve.

    Parameters
    ----------
    order
        Place of the group among the levels of its variable.
    published
        Whether the study printed such a median, so that SPSS's interval is wanted too.
    """
    variable = endpoint.lower()
    n, events = len(patients), int(patients["event"].sum())
    page = page.about(patients)
    page.add(variable, label, "n", n, "count of patients with an interval")
    page.add(variable, label, "events_n", events, "count of events", counted=patients["event"] == 1)
    enter_median(page, variable, label, patients, published=published)
    if not n:
        return
    curve = kaplan_meier(patients["time"], patients["event"])
    for time, at_risk in zip(times, curve.number_at_risk(times), strict=True):
        page.about(n, events, months=time).add(
            variable,
            label,
            f"n_at_risk_{time:g}_months",
            float(at_risk),
            "patients under observation just before",
            counted=patients["time"] >= time,
        )
    inner = [month for month in SURVIVAL_MONTHS if month <= curve.time[-1]]
    shares = curve.survival_at(inner) if inner else pd.DataFrame()
    for row in shares.to_dict("records"):
        for statistic, column in zip(
            survival_at(row["time"]), ("survival", "lower", "upper"), strict=True
        ):
            # Before the first event the limits would be 100 to 100, which is no statement.
            certain = column != "survival" and float(row["survival"]) == 1
            value = np.nan if certain else float(row[column])
            page.about(n, events, months=float(row["time"])).add(
                variable,
                label,
                statistic,
                None if np.isnan(value) else 100 * value,
                CURVE_METHOD,
                convention=PREFERRED,
            )
    page.ledger.curves.append(_curve_rows(page, endpoint, label, order, curve))


def enter_median(
    page: Page, variable: str, level: str, patients: pd.DataFrame, *, published: bool = True
) -> None:
    """Enter the median with SPSS's interval as published and Brookmeyer-Crowley's as preferred."""
    conventions = (AS_PUBLISHED, PREFERRED) if published else (PREFERRED,)
    if patients.empty:
        for convention in conventions:
            page.add(
                variable, level, MEDIAN.value, None, convention=convention, missing=NO_PATIENTS
            )
        return
    curve = kaplan_meier(patients["time"], patients["event"])
    if published:
        page.add_interval(
            variable,
            level,
            MEDIAN,
            curve.median(convention="spss"),
            missing=NOT_REACHED,
            limits_missing=NOT_ESTIMABLE,
        )
    page.add_median(
        variable,
        level,
        curve.median(),
        note="limits by inverting the band (Brookmeyer and Crowley 1982)",
    )


def _curve_rows(
    page: Page, endpoint: str, label: str, order: int, curve: KaplanMeier
) -> pd.DataFrame:
    counts = pd.DataFrame(
        {
            "time": curve.time,
            "n_at_risk": curve.n_at_risk,
            "n_events": curve.n_events,
            "n_censored": curve.n_censored,
        }
    )
    rows = curve.band().merge(counts, on="time", how="left")
    rows = rows.fillna({"n_at_risk": curve.n, "n_events": 0.0, "n_censored": 0.0})
    names = (page.ledger.study_id, page.exhibit, page.population, endpoint, label)
    return rows.rename(columns={"time": "time_months"}).assign(
        curve_id=".".join(slug(name) for name in names),
        study_id=page.ledger.study_id,
        exhibit=page.exhibit,
        population=page.population,
        endpoint=endpoint,
        group=label,
        group_order=order,
        method=CURVE_METHOD,
    )
