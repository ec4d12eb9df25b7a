"""Panels of the survival figures: curves with medians, tests and numbers at risk as printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from analysis import layout
from analysis.book import Book, BookPage, Number
from analysis.cumulative_incidence import EVERYBODY, GRAY, cause_name, causes, incidence_at
from analysis.curves import SURVIVAL_MONTHS
from analysis.figures import Curve, Panel
from analysis.immortal_time import landmark_endpoint
from analysis.ledger import MEDIAN, PREFERRED
from analysis.study import Analysis, Study
from analysis.survival import ALL_GROUPS


@dataclass(frozen=True)
class _Drawn:
    """One curve: the names of its numbers, and its rows of results.survival_curves."""

    variable: str
    level: str
    label: str
    rows: pd.DataFrame


def survival_curves(
    study: Study,
    book: Book,
    curves: pd.DataFrame,
    analysis: Analysis,
    x_label: str | None = None,
    quantity: str | None = None,
) -> Panel:
    """The curves of a survival analysis; `quantity` is what they are the share of, if not it."""
    page = book.page(analysis.exhibit, analysis.population)
    variable = str(analysis.endpoint).lower()
    title = layout.endpoint_label(analysis)
    of_exhibit = curves.loc[curves["exhibit"] == analysis.exhibit, "time_months"]
    return _panel(
        page,
        f"{analysis.exhibit}-{variable}",
        title,
        quantity or title,
        x_label or _from_start(analysis),
        _drawn(curves, analysis, str(analysis.endpoint)),
        _footer(study, page, variable, analysis),
        longest=float(of_exhibit.max()) if len(of_exhibit) else 1.0,
    )


def landmark_curves(book: Book, curves: pd.DataFrame, analysis: Analysis) -> list[Panel]:
    """The curves of each landmark analysis, timed from the landmark."""
    page = book.page(analysis.exhibit, analysis.population)
    panels = []
    for months in analysis.landmark_months:
        endpoint = landmark_endpoint(analysis, months)
        tested = page.get(endpoint.lower(), str(analysis.contrast), "logrank_p", PREFERRED)
        panels.append(
            _panel(
                page,
                f"{analysis.exhibit}-landmark-{months:g}",
                f"Landmark at month {months:g}",
                layout.endpoint_label(analysis),
                "Months from the landmark",
                _drawn(curves, analysis, endpoint),
                [layout.level_label(_test(tested))] if tested and tested.value is not None else [],
            )
        )
    return [panel for panel in panels if panel.curves]


def incidence_curves(
    study: Study, book: Book, curves: pd.DataFrame, analysis: Analysis
) -> list[Panel]:
    """Everybody's events in one panel, or one panel an event with a curve a group."""
    page = book.page(analysis.exhibit, analysis.population)
    endpoint = str(analysis.endpoint)
    names = {
        cause_name(endpoint, source): layout.level_label(source.replace("_", " "))
        for source in causes(study, analysis)
    }
    y_label = "Cumulative incidence"
    if analysis.group_variable is None:
        own = [
            replace(drawn, label=label)
            for name, label in names.items()
            for drawn in _drawn(curves, analysis, name)
            if drawn.level == EVERYBODY
        ]
        title = layout.level_label(study.population(analysis.population).label)
        identifier = f"{analysis.exhibit}-incidence"
        return [
            _panel(page, identifier, title, y_label, _from_start(analysis), own, [], incidence=True)
        ]
    panels = []
    for place, (name, label) in enumerate(names.items()):
        tested = page.get(name.lower(), GRAY, "gray_p", PREFERRED)
        panels.append(
            _panel(
                page,
                f"{analysis.exhibit}-incidence-{analysis.group_variable}-{place}",
                label,
                y_label,
                _from_start(analysis),
                [drawn for drawn in _drawn(curves, analysis, name) if drawn.level != EVERYBODY],
                [f"Gray’s test P {layout.equals(tested.cell)}"] if tested else [],
                incidence=True,
            )
        )
    return panels


def _from_start(analysis: Analysis) -> str:
    return f"Months {layout.since(analysis)}"


def _drawn(curves: pd.DataFrame, analysis: Analysis, endpoint: str) -> list[_Drawn]:
    own = curves[
        (curves["exhibit"] == analysis.exhibit)
        & (curves["population"] == analysis.population)
        & (curves["endpoint"] == endpoint)
    ]
    return [
        _Drawn(endpoint.lower(), str(level), layout.level_label(str(level)), rows)
        for level, rows in own.groupby("group", sort=False)
    ]


def _panel(
    page: BookPage,
    identifier: str,
    title: str,
    quantity: str,
    x_label: str,
    drawn: Sequence[_Drawn],
    footer: Sequence[str],
    *,
    longest: float | None = None,
    incidence: bool = False,
) -> Panel:
    months = _shown_month(page, drawn) if incidence else None
    ticks = _ticks(page, drawn)
    curves = [
        Curve(
            each.label,
            _upside_down(each.rows) if incidence else each.rows,
            int(each.rows["group_order"].iloc[0]),
            (
                f"{page.cell(each.variable, each.level, 'events_n')} / "
                f"{page.cell(each.variable, each.level, 'n')}",
                page.with_limits(
                    each.variable,
                    each.level,
                    incidence_at(months) if months else MEDIAN,
                    PREFERRED,
                ),
            ),
            [page.cell(each.variable, each.level, f"n_at_risk_{tick:g}_months") for tick in ticks],
            None if incidence else page.value(each.variable, each.level, MEDIAN.value),
        )
        for each in drawn
    ]
    summary = f"At {months} months, % (95% CI)" if months else "Median, months (95% CI)"
    words = "; ".join(
        f"{curve.label}: {curve.summary[0]} events/patients, {summary} {curve.summary[1]}"
        for curve in curves
    )
    kind = "Aalen-Johansen" if incidence else "Kaplan-Meier"
    ends = [float(each.rows["time_months"].max()) for each in drawn]
    return Panel(
        identifier=identifier,
        title=title,
        y_label=f"{quantity} (%)",
        x_label=x_label,
        curves=curves,
        ticks=ticks,
        longest=max(1.0, longest or 0.0, *ends, *ticks),
        footer=footer,
        description=f"{kind} curves with 95% bands. {words or 'No patients'}.",
        summary=summary,
    )


def _upside_down(rows: pd.DataFrame) -> pd.DataFrame:
    """Incidence in the place of the share without the event."""
    return rows.assign(
        survival=1 - rows["survival"], lower=1 - rows["upper"], upper=1 - rows["lower"]
    )


def _shown_month(page: BookPage, drawn: Sequence[_Drawn]) -> int | None:
    """A year if a curve reaches it, else the last month that a curve reaches."""
    reached = [
        month
        for month in SURVIVAL_MONTHS
        for each in drawn
        if page.get(each.variable, each.level, incidence_at(month).value, PREFERRED)
    ]
    return 12 if 12 in reached else max(reached, default=None)


def _ticks(page: BookPage, drawn: Sequence[_Drawn]) -> list[float]:
    found: set[float] = set()
    for each in drawn:
        for statistic in page.statistics(each.variable, each.level):
            if statistic.startswith("n_at_risk_"):
                found.add(float(statistic.removeprefix("n_at_risk_").removesuffix("_months")))
    return sorted(found)


def _footer(study: Study, page: BookPage, variable: str, analysis: Analysis) -> list[str]:
    lines = []
    for contrast in (ALL_GROUPS, analysis.contrast):
        if contrast is None or page.get(variable, contrast, "logrank_p") is None:
            continue
        preferred = page.get(variable, contrast, "logrank_p", PREFERRED)
        lines.append(
            f"{layout.level_label(study.spelled(contrast))}: log-rank P "
            f"{layout.equals(page.cell(variable, contrast, 'logrank_p'))}"
            + (
                f", permutation P {layout.equals(preferred.cell)}"
                if preferred and "permutation" in preferred.method
                else ""
            )
        )
    return lines


def _test(number: Number) -> str:
    name = "permutation" if "permutation" in number.method else "log-rank"
    return f"{name} test P {layout.equals(number.cell)}"
