"""The exhibits of the report: its tables and figures, section by section."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import pandas as pd
from markupsafe import Markup

from analysis import clinical_tables, layout, model_tables, survival_tables
from analysis.book import Book, BookPage
from analysis.figures import MOST_BANDS, Curve, Panel, Ratio, forest, survival_panel
from analysis.flow import Step, flow_diagram
from analysis.ledger import HAZARD_RATIO, MEDIAN, PREFERRED
from analysis.study import Analysis, Study
from analysis.survival import ALL_GROUPS, SIGNIFICANCE_LEVEL

#: Sections of the report, in the order a clinician reads, and the kinds of analysis in each.
SECTIONS = (
    ("patients", "Patients", ("characteristics", "count_within")),
    ("treatment", "Treatment", ("cross_count",)),
    ("response", "Response", ("response",)),
    ("toxicity", "Toxicity", ("adverse_events",)),
    ("survival", "Survival", ("survival",)),
    ("univariable", "Univariable analyses", ("univariable",)),
    ("multivariable", "Multivariable analysis", ("cox",)),
)


@dataclass(frozen=True)
class Exhibit:
    """One table or figure with what belongs under it."""

    identifier: str
    number: str
    title: str
    svgs: Sequence[Markup] = ()
    tables: Sequence[layout.Table] = ()
    cautions: Sequence[str] = ()
    forest: Markup | None = None
    bands_apart: bool = False
    empty: bool = False


@dataclass(frozen=True)
class Section:
    """One section of the report."""

    identifier: str
    title: str
    exhibits: Sequence[Exhibit]


def cohort_flow(book: Book) -> Markup:
    """The cohort flow diagram."""
    page = book.page("flow", "delivered")
    criteria = book.variables("flow", "delivered")
    steps = []
    for criterion in criteria:
        number = book.get("flow", "delivered", criterion, "remaining", "n")
        steps.append(
            Step(
                str(number.parameters["criterion"]) if number else criterion,
                page.display(criterion, "remaining", "n"),
                page.display(criterion, "not met", "n"),
                page.display(criterion, "unknown", "n"),
            )
        )
    start = page.display(criteria[0], "assessed", "n") if criteria else "0"
    words = "; ".join(
        f"{step.criterion}: {step.remaining} remain, {step.not_met} do not meet it, "
        f"{step.unknown} unknown"
        for step in steps
    )
    return Markup(
        flow_diagram(
            "flow",
            "Patients with a cancer diagnosis in the delivery",
            start,
            steps,
            "Cohort flow diagram",
            f"{start} patients at the start. {words}.",
        )
    )


def sections(study: Study, book: Book, curves: pd.DataFrame) -> list[Section]:
    """Sections that the study has analyses for, in the order a clinician reads."""
    found = []
    for identifier, title, kinds in SECTIONS:
        chosen = [analysis for analysis in study.analyses if analysis.kind in kinds]
        exhibits = [
            _exhibit(study, book, curves, list(analyses))
            for _, analyses in groupby(chosen, key=lambda analysis: analysis.exhibit)
        ]
        if exhibits:
            found.append(Section(identifier, title, exhibits))
    return found


def _exhibit(study: Study, book: Book, curves: pd.DataFrame, analyses: list[Analysis]) -> Exhibit:
    first = analyses[0]
    identifier, number = first.exhibit, layout.number_of(first.exhibit)
    if first.kind == "survival":
        every = [_panel(study, book, curves, analysis) for analysis in analyses]
        panels = [panel for panel in every if panel.curves]
        if not panels:
            return Exhibit(identifier, number, first.title, empty=True)
        return Exhibit(
            identifier,
            number,
            first.title,
            svgs=[Markup(survival_panel(panel)) for panel in panels],
            tables=[
                table
                for table in (
                    survival_tables.medians_table(study, book, analyses),
                    survival_tables.tests_table(study, book, analyses),
                    *(
                        survival_tables.exposure_table(study, book, analysis)
                        for analysis in analyses
                    ),
                    survival_tables.delayed_entry_table(study, book, analyses),
                )
                if table is not None
            ],
            cautions=[
                *layout.small_groups(study, book, analyses),
                *layout.cautions(study, identifier),
            ],
            bands_apart=any(len(panel.curves) > MOST_BANDS for panel in panels),
        )
    if first.kind == "cox":
        return Exhibit(
            identifier,
            number,
            first.title,
            tables=[model_tables.cox_table(study, book, first)],
            forest=_forest(study, book, first),
        )
    if first.kind in ("characteristics", "count_within"):
        table = clinical_tables.characteristics_table(study, book, analyses)
    elif first.kind == "cross_count":
        table = clinical_tables.cross_table(study, book, analyses)
    elif first.kind == "response":
        table = clinical_tables.response_table(study, book, first)
    elif first.kind == "adverse_events":
        table = clinical_tables.adverse_event_table(study, book, first)
    else:
        table = model_tables.univariable_table(study, book, first)
    has_columns = len(table.head[0]) > 1
    return Exhibit(
        identifier,
        number,
        first.title,
        tables=[table] if has_columns else [],
        empty=not has_columns,
    )


def _panel(study: Study, book: Book, curves: pd.DataFrame, analysis: Analysis) -> Panel:
    endpoint = str(analysis.endpoint)
    variable = endpoint.lower()
    page = book.page(analysis.exhibit, analysis.population)
    own = curves[
        (curves["exhibit"] == analysis.exhibit)
        & (curves["population"] == analysis.population)
        & (curves["endpoint"] == endpoint)
    ]
    drawn: list[Curve] = []
    ticks: list[float] = []
    curves_of_exhibit = curves.loc[curves["exhibit"] == analysis.exhibit, "time_months"]
    for label, rows_ in own.groupby("group", sort=False):
        name = str(label)
        ticks = _ticks(page, variable, name)
        drawn.append(
            Curve(
                layout.level_label(name),
                rows_,
                int(rows_["group_order"].iloc[0]),
                (
                    f"{page.cell(variable, name, 'events_n')} / {page.cell(variable, name, 'n')}",
                    page.with_limits(variable, name, MEDIAN, PREFERRED),
                ),
                [page.cell(variable, name, f"n_at_risk_{tick:g}_months") for tick in ticks],
                page.value(variable, name, MEDIAN.value),
            )
        )
    words = "; ".join(
        f"{curve.label}: {curve.summary[0]} events/patients, median {curve.summary[1]} months"
        for curve in drawn
    )
    title = layout.endpoint_label(analysis)
    return Panel(
        identifier=f"{analysis.exhibit}-{variable}",
        title=title,
        y_label=f"{title} (%)",
        x_label="Months from the start of first-line treatment",
        curves=drawn,
        ticks=ticks,
        longest=max(1.0, float(curves_of_exhibit.max())) if len(curves_of_exhibit) else 1.0,
        footer=_footer(page, variable, analysis),
        description=f"Kaplan-Meier curves with 95% bands. {words or 'No patients'}.",
    )


def _ticks(page: BookPage, variable: str, level: str) -> list[float]:
    found = []
    for statistic in page.statistics(variable, level):
        if statistic.startswith("n_at_risk_"):
            found.append(float(statistic.removeprefix("n_at_risk_").removesuffix("_months")))
    return found


def _footer(page: BookPage, variable: str, analysis: Analysis) -> list[str]:
    lines = []
    for contrast in (ALL_GROUPS, analysis.contrast):
        if contrast is None or page.get(variable, contrast, "logrank_p") is None:
            continue
        preferred = page.get(variable, contrast, "logrank_p", PREFERRED)
        lines.append(
            f"{layout.level_label(contrast)}: log-rank P "
            f"{layout.equals(page.cell(variable, contrast, 'logrank_p'))}"
            + (
                f", permutation P {layout.equals(preferred.cell)}"
                if preferred and "permutation" in preferred.method
                else ""
            )
        )
    return lines


def _forest(study: Study, book: Book, analysis: Analysis) -> Markup | None:
    page = book.page(analysis.exhibit, analysis.population)
    ratios = [
        Ratio(
            label,
            page.value(name, contrast, HAZARD_RATIO.value),
            page.value(name, contrast, HAZARD_RATIO.lower),
            page.value(name, contrast, HAZARD_RATIO.upper),
            page.with_limits(name, contrast, HAZARD_RATIO, PREFERRED),
            page.cell(name, contrast, "p", PREFERRED),
            (page.value(name, contrast, "p") or 1.0) < SIGNIFICANCE_LEVEL,
        )
        for label, name, contrast in model_tables.cox_terms(study, book, analysis)
    ]
    if not ratios:
        return None
    words = "; ".join(f"{ratio.label}: {ratio.shown}, P {ratio.p_value}" for ratio in ratios)
    return Markup(
        forest(
            f"{analysis.exhibit}-forest",
            "Hazard ratios of the multivariable model",
            ratios,
            f"Forest plot, Efron's ties. {words}.",
        )
    )
