"""The study report: one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from analysis import comparison, tables
from analysis.book import Book, BookPage
from analysis.figures import Curve, Panel, Ratio, forest, survival_panel
from analysis.findings import key_findings
from analysis.flow import Step, flow_diagram
from analysis.group_tests import FEW_EVENTS, SMALL_GROUP
from analysis.ledger import HAZARD_RATIO, MEDIAN, PREFERRED
from analysis.multivariable import EVENTS_PER_VARIABLE
from analysis.study import Analysis, Study, frame, load_study, rows
from analysis.survival import ALL_GROUPS, SIGNIFICANCE_LEVEL

TEMPLATES = Path(__file__).with_name("templates")

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
    tables: Sequence[tables.Table] = ()
    notes: Sequence[str] = ()
    cautions: Sequence[str] = ()
    forest: Markup | None = None


@dataclass(frozen=True)
class Section:
    """One section of the report."""

    identifier: str
    title: str
    exhibits: Sequence[Exhibit] = field(default_factory=tuple)


def render(
    connection: duckdb.DuckDBPyConnection, study_id: str, output: Path, *, run: dict[str, str]
) -> None:
    """Write the report of a study whose estimates have been computed.

    Parameters
    ----------
    run
        What identifies the run and what it ran on; printed as given.

    Raises
    ------
    StudyError
        If the study is not defined.
    duckdb.CatalogException
        If analysis.estimates.compute has not run on this warehouse.
    """
    output.write_text(page(connection, study_id, run=run), encoding="utf-8")


def page(connection: duckdb.DuckDBPyConnection, study_id: str, *, run: dict[str, str]) -> str:
    """The report as HTML text."""
    study = load_study(connection, study_id)
    book = Book(connection, study_id)
    curves = frame(
        connection,
        "select * from results.survival_curves where study_id = ? order by rowid",
        study_id,
    )
    summary = comparison.summary(connection, study_id)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        study=study,
        delivery=_delivery(connection),
        findings=key_findings(study, book, summary),
        flow=_flow(study, book),
        sections=_sections(study, book, curves),
        summary=summary,
        by_exhibit=_verdicts_by_exhibit(connection, study_id),
        compared=_compared(connection, study_id),
        verdicts=comparison.VERDICTS,
        number_of=tables.number_of,
        css=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        criteria=_criteria(connection, study_id),
        endpoints=_endpoints(connection, study),
        files=_files(connection, book),
        quarantine=_quarantine(connection),
        n_estimates=len(book),
        small_group=SMALL_GROUP,
        few_events=FEW_EVENTS,
        events_per_variable=EVENTS_PER_VARIABLE,
        significance_level=SIGNIFICANCE_LEVEL,
        run=run,
    )


def _delivery(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Who sent what, and whether the patients are invented; unknown if nobody said."""
    known = rows(
        connection,
        """
        select table_schema
        from information_schema.tables
        where table_schema = 'staging' and table_name = 'stg_common__delivery'
        """,
    )
    found = rows(connection, "select * from staging.stg_common__delivery") if known else []
    return found[0] if found else {}


def _flow(study: Study, book: Book) -> Markup:
    page_ = book.page("flow", "delivered")
    criteria = book.variables("flow", "delivered")
    steps = []
    for criterion in criteria:
        number = book.get("flow", "delivered", criterion, "remaining", "n")
        steps.append(
            Step(
                str(number.parameters["criterion"]) if number else criterion,
                page_.display(criterion, "remaining", "n"),
                page_.display(criterion, "not met", "n"),
                page_.display(criterion, "unknown", "n"),
            )
        )
    start = page_.display(criteria[0], "assessed", "n") if criteria else "0"
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


def _sections(study: Study, book: Book, curves: pd.DataFrame) -> list[Section]:
    sections = []
    for identifier, title, kinds in SECTIONS:
        chosen = [analysis for analysis in study.analyses if analysis.kind in kinds]
        exhibits = [
            _exhibit(study, book, curves, list(analyses))
            for _, analyses in groupby(chosen, key=lambda analysis: analysis.exhibit)
        ]
        if exhibits:
            sections.append(Section(identifier, title, exhibits))
    return sections


def _exhibit(study: Study, book: Book, curves: pd.DataFrame, analyses: list[Analysis]) -> Exhibit:
    first = analyses[0]
    identifier, number = first.exhibit, tables.number_of(first.exhibit)
    if first.kind == "survival":
        return Exhibit(
            identifier,
            number,
            first.title,
            svgs=[
                Markup(survival_panel(_panel(study, book, curves, analysis)))
                for analysis in analyses
            ],
            tables=[
                table
                for table in (
                    tables.medians_table(study, book, analyses),
                    tables.tests_table(study, book, analyses),
                    *(tables.exposure_table(study, book, analysis) for analysis in analyses),
                    tables.delayed_entry_table(study, book, analyses),
                )
                if table is not None
            ],
            cautions=tables.cautions(study, identifier),
        )
    if first.kind == "cox":
        return Exhibit(
            identifier,
            number,
            first.title,
            tables=[tables.cox_table(study, book, first)],
            forest=_forest(study, book, first),
        )
    if first.kind in ("characteristics", "count_within"):
        table = tables.characteristics_table(study, book, analyses)
    elif first.kind == "cross_count":
        table = tables.cross_table(study, book, analyses)
    elif first.kind == "response":
        table = tables.response_table(study, book, first)
    elif first.kind == "adverse_events":
        table = tables.adverse_event_table(study, book, first)
    else:
        table = tables.univariable_table(study, book, first)
    return Exhibit(identifier, number, first.title, tables=[table])


def _panel(study: Study, book: Book, curves: pd.DataFrame, analysis: Analysis) -> Panel:
    endpoint = str(analysis.endpoint)
    variable = endpoint.lower()
    page_ = book.page(analysis.exhibit, analysis.population)
    own = curves[
        (curves["exhibit"] == analysis.exhibit)
        & (curves["population"] == analysis.population)
        & (curves["endpoint"] == endpoint)
    ]
    drawn, ticks = [], []
    for label, rows_ in own.groupby("group", sort=False):
        name = str(label)
        ticks = _ticks(page_, variable, name)
        drawn.append(
            Curve(
                tables.level_label(name),
                rows_,
                int(rows_["group_order"].iloc[0]),
                (
                    f"{page_.cell(variable, name, 'events_n')} / {page_.cell(variable, name, 'n')}",
                    page_.with_limits(variable, name, MEDIAN, PREFERRED),
                ),
                [page_.cell(variable, name, f"n_at_risk_{tick:g}_months") for tick in ticks],
                page_.value(variable, name, MEDIAN.value),
            )
        )
    words = "; ".join(
        f"{curve.label}: {curve.summary[0]} events/patients, median {curve.summary[1]} months"
        for curve in drawn
    )
    title = tables.endpoint_label(analysis)
    return Panel(
        identifier=f"{analysis.exhibit}-{variable}",
        title=title,
        y_label=f"{title} (%)",
        x_label="Months from the start of first-line treatment",
        curves=drawn,
        ticks=ticks,
        footer=_footer(page_, variable, analysis),
        description=f"Kaplan-Meier curves with 95% bands. {words or 'No patients'}.",
    )


def _ticks(page_: BookPage, variable: str, level: str) -> list[float]:
    found = []
    for statistic in page_.statistics(variable, level):
        if statistic.startswith("n_at_risk_"):
            found.append(float(statistic.removeprefix("n_at_risk_").removesuffix("_months")))
    return found


def _footer(page_: BookPage, variable: str, analysis: Analysis) -> list[str]:
    lines = []
    for contrast in (ALL_GROUPS, analysis.contrast):
        if contrast is None or page_.get(variable, contrast, "logrank_p") is None:
            continue
        preferred = page_.get(variable, contrast, "logrank_p", PREFERRED)
        lines.append(
            f"{tables.level_label(contrast)}: log-rank P "
            f"{tables.equals(page_.cell(variable, contrast, 'logrank_p'))}"
            + (
                f", permutation P {tables.equals(preferred.cell)}"
                if preferred and "permutation" in preferred.method
                else ""
            )
        )
    return lines


def _forest(study: Study, book: Book, analysis: Analysis) -> Markup | None:
    page_ = book.page(analysis.exhibit, analysis.population)
    ratios = [
        Ratio(
            label,
            page_.value(name, contrast, HAZARD_RATIO.value),
            page_.value(name, contrast, HAZARD_RATIO.lower),
            page_.value(name, contrast, HAZARD_RATIO.upper),
            page_.with_limits(name, contrast, HAZARD_RATIO, PREFERRED),
            page_.cell(name, contrast, "p", PREFERRED),
            (page_.value(name, contrast, "p") or 1.0) < SIGNIFICANCE_LEVEL,
        )
        for label, name, contrast in tables.cox_terms(study, book, analysis)
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


def _compared(connection: duckdb.DuckDBPyConnection, study_id: str) -> list[dict[str, Any]]:
    return rows(
        connection,
        "select * from results.published_comparison where study_id = ? order by rowid",
        study_id,
    )


def _verdicts_by_exhibit(
    connection: duckdb.DuckDBPyConnection, study_id: str
) -> list[tuple[str, dict[str, int]]]:
    counts: dict[str, Counter[str]] = {}
    for row in _compared(connection, study_id):
        counts.setdefault(row["exhibit"], Counter())[row["verdict"]] += 1
    return [(exhibit, dict(counter)) for exhibit, counter in counts.items()]


def _criteria(connection: duckdb.DuckDBPyConnection, study_id: str) -> list[dict[str, Any]]:
    criteria = rows(
        connection,
        "select * from reference.study_criteria where study_id = ? order by step",
        study_id,
    )
    return [
        {
            "step": criterion["step"],
            "label": criterion["label"],
            "asked": _asked(criterion),
            "window": _window(criterion["days_before"], criterion["days_after"]),
            "source": criterion["source"],
        }
        for criterion in criteria
    ]


def _asked(criterion: dict[str, Any]) -> str:
    low, high = criterion["minimum"], criterion["maximum"]
    if low is not None and high is not None:
        return f"{float(low):g} to {float(high):g}"
    if low is not None:
        return f"at least {float(low):g}"
    if high is not None:
        return f"at most {float(high):g}"
    return str(criterion["wanted"])


def _window(before: object, after: object) -> str:
    if before is None and after is None:
        return "any time"
    return f"{before or 0} before to {after or 0} after"


def _endpoints(connection: duckdb.DuckDBPyConnection, study: Study) -> list[dict[str, Any]]:
    return rows(
        connection,
        """
        select
            rule_sets.endpoint,
            rule_sets.label,
            rule_sets.source,
            string_agg(sources.source, ', ' order by sources.precedence)
                filter (where sources.role = 'event') as events,
            string_agg(sources.source, ', ' order by sources.precedence)
                filter (where sources.role = 'censor') as censorings
        from reference.endpoint_rule_sets as rule_sets
        left join reference.endpoint_sources as sources
            using (endpoint_rule_set_id, endpoint)
        where rule_sets.endpoint_rule_set_id = ?
        group by all
        order by rule_sets.endpoint
        """,
        study.settings["endpoint_rule_set_id"],
    )


def _files(connection: duckdb.DuckDBPyConnection, book: Book) -> list[dict[str, str]]:
    page_ = book.page("provenance", "delivery")
    return [
        {
            "table": file["table_name"],
            "name": file["file_name"] or "not delivered",
            "sha256": file["sha256"] or "",
            **{
                name: page_.display(file["table_name"], None, f"{name}_n")
                for name in ("records", "staged", "quarantined")
            },
        }
        for file in rows(connection, "select * from quality.source_files order by file_id")
    ]


def _quarantine(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    return rows(
        connection,
        """
        select file_name, reason, count(*) as n
        from quality.quarantine
        group by all
        order by n desc, file_name, reason
        limit 20
        """,
    )
