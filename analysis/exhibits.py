"""The exhibits of the report: its tables and figures, section by section."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import pandas as pd

from analysis import (
    clinical_tables,
    confounding_exhibits,
    group_tables,
    later_lines,
    layout,
    line_exhibits,
    model_tables,
    response_exhibits,
    sensitivity_exhibits,
    survival_panels,
    survival_tables,
)
from analysis.book import Book
from analysis.depth_of_response import BEST_CHANGE, response_limits
from analysis.disclosure import (
    GATHERED,
    NO_CURVE,
    ONE_BAR_A_PATIENT,
    ROUGH,
    Edition,
    complete,
    shareable,
)
from analysis.figures import MOST_BANDS, Ratio, forest, survival_panel
from analysis.flow import Step, flow_diagram
from analysis.ledger import FIRTH_HAZARD_RATIO, HAZARD_RATIO, PREFERRED
from analysis.pictures import Picture
from analysis.study import Analysis, Study, load_study, synthetic
from analysis.survival import is_significant
from analysis.waterfall_plot import waterfall_plot
from expectations.pages import counted

#: Sections of the report, in the order a clinician reads, and the kinds of analysis in each.
SECTIONS = (
    (
        "patients",
        "Patients",
        ("characteristics", "count_within", "characteristics_by_group", "missingness"),
    ),
    ("treatment", "Treatment", ("cross_count",)),
    ("lines", "Lines of therapy", ("swimmer", "line_transitions", "line_reasons")),
    (
        "response",
        "Response",
        ("response", "best_responses", "response_agreement", "waterfall", "response_duration"),
    ),
    ("toxicity", "Toxicity", ("adverse_events",)),
    ("survival", "Survival", ("survival", "cumulative_incidence")),
    ("univariable", "Univariable analyses", ("univariable", "univariable_ratios")),
    ("multivariable", "Multivariable analysis", ("cox", "imputation")),
    ("confounding", "Confounding", ("weighting", "e_values")),
    (
        "sensitivity",
        "Sensitivity to definitions",
        ("line_rule_set_changes", "line_rule_sets", "endpoint_rule_sets"),
    ),
)


LANDMARK_LEGEND = (
    " Landmark: patients still observed and known to be eligible then, by what they had been given "
    "by then; time runs from the landmark."
)


#: What stands in the place of an exhibit, or of a part of one, of which there is no number.
NOTHING_HELD = "This delivery holds nothing for it: no such patient, or no such file."


@dataclass(frozen=True, eq=False)
class Drawn:
    """What figures are drawn from beside the estimates.

    Attributes
    ----------
    curves, bars : DataFrame
        The study's rows of results.survival_curves and results.figure_bars.
    response_limits
        Changes of a sum that are a partial response and a progression, percent.
    is_suppressed
        Whether curves are gathered, and figures with a bar a patient not to be drawn.
    """

    curves: pd.DataFrame
    bars: pd.DataFrame
    response_limits: tuple[float, float]
    is_suppressed: bool


@dataclass(frozen=True)
class Exhibit:
    """One table or figure with what belongs under it.

    Attributes
    ----------
    pictures, wide
        Figures beside each other, and figures that need the whole width.
    withheld
        Why there is none, though there are patients.
    """

    identifier: str
    number: str
    title: str
    pictures: Sequence[Picture] = ()
    wide: Sequence[Picture] = ()
    legend: str = ""
    tables: Sequence[layout.Table] = ()
    cautions: Sequence[str] = ()
    empty: bool = False
    withheld: str = ""

    @property
    def absence(self) -> str:
        """Why there is nothing to see; empty where there is."""
        return self.withheld or (NOTHING_HELD if self.empty else "")


@dataclass(frozen=True)
class Section:
    """One section of the report."""

    identifier: str
    title: str
    exhibits: Sequence[Exhibit]


@dataclass(frozen=True, eq=False)
class Contents:
    """What the report of a study shows and its exports hold, drawn once for both.

    Attributes
    ----------
    edition
        The results it is drawn from.
    is_private
        Whether it shows of real patients what may not be shared.
    """

    study: Study
    edition: Edition
    is_private: bool
    book: Book
    flow: Picture
    flow_table: layout.Table
    sections: Sequence[Section]


def contents(
    connection: duckdb.DuckDBPyConnection, study_id: str, *, private: bool = False
) -> Contents:
    """Draw every table and figure of a study whose estimates have been computed.

    Of real patients small counts are hidden (`disclosure`), unless it is for private use.

    Raises
    ------
    StudyError
        If the study is not defined.
    duckdb.CatalogException
        If analysis.estimates.compute has not run on this warehouse.
    """
    study = load_study(connection, study_id)
    is_real = not synthetic(connection)
    edition = (shareable if is_real and not private else complete)(connection, study)
    book = Book(edition.estimates)
    drawn = Drawn(
        edition.curves, edition.bars, response_limits(connection), edition.policy is not None
    )
    return Contents(
        study,
        edition,
        is_real and private,
        book,
        cohort_flow(book),
        cohort_table(book),
        _sections(study, book, drawn),
    )


def cohort_flow(book: Book) -> Picture:
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
    return flow_diagram(
        "flow",
        "Patients with a cancer diagnosis in the delivery",
        start,
        steps,
        "Cohort flow diagram",
        f"{counted(start, 'patient')} at the start. {words}.",
    )


def cohort_table(book: Book) -> layout.Table:
    """The numbers behind the cohort flow."""
    page = book.page("flow", "delivered")
    rows = []
    for criterion in book.variables("flow", "delivered"):
        number = page.get(criterion, "remaining", "n")
        label = str(number.parameters["criterion"]) if number else criterion
        levels = ("assessed", "not met", "unknown", "remaining")
        rows.append(
            layout.Row(label, layout.cells(page.cell(criterion, level, "n") for level in levels))
        )
    head = ("Criterion", "Assessed", "Not met", "Unknown", "Remaining")
    return layout.Table("cohort-flow", "", "Numbers behind the flow", [layout.cells(head)], rows)


def _sections(study: Study, book: Book, drawn: Drawn) -> list[Section]:
    """Sections that the study has analyses for, in the order a clinician reads."""
    found = []
    for identifier, title, kinds in SECTIONS:
        chosen: dict[str, list[Analysis]] = {}
        for analysis in study.analyses:
            if analysis.kind in kinds:
                chosen.setdefault(analysis.exhibit, []).append(analysis)
        exhibits = [
            _of(own[0], empty=True)
            if study.levels.empty
            else _with_its_line(study, book, own, _BUILDERS[own[0].kind](study, book, drawn, own))
            for own in chosen.values()
        ]
        if exhibits:
            found.append(Section(identifier, title, exhibits))
    return found


def _with_its_line(study: Study, book: Book, analyses: list[Analysis], exhibit: Exhibit) -> Exhibit:
    """An exhibit that says which line it is of, if that is a later one, and of whom.

    So does the first of its tables, which also stands by itself in the exports.
    """
    told = later_lines.told(study, book, analyses)
    if not told:
        return exhibit
    under = exhibit.pictures or exhibit.wide or not exhibit.tables
    tables = [
        replace(table, notes=[*(told[:1] if under else told), *table.notes])
        if place == 0
        else table
        for place, table in enumerate(exhibit.tables)
    ]
    cautions = [" ".join(told), *exhibit.cautions] if under else exhibit.cautions
    return replace(exhibit, tables=tables, cautions=cautions)


def _of(analysis: Analysis, **content: Any) -> Exhibit:
    """An exhibit with the number and title of its first analysis."""
    return Exhibit(analysis.exhibit, layout.number_of(analysis.exhibit), analysis.title, **content)


def _only_table(analysis: Analysis, table: layout.Table) -> Exhibit:
    has_columns = len(table.head[0]) > 1
    return _of(analysis, tables=[table] if has_columns else [], empty=not has_columns)


def _survival(study: Study, book: Book, drawn: Drawn, analyses: list[Analysis]) -> Exhibit:
    first = analyses[0]
    every = [survival_panels.survival_curves(study, book, drawn.curves, each) for each in analyses]
    panels = [panel for panel in every if panel.curves]
    landmarks = [
        panel
        for each in analyses
        for panel in survival_panels.landmark_curves(book, drawn.curves, each)
    ]
    if not panels and not _has_groups(book, analyses, drawn):
        return _of(first, empty=True)
    bands_apart = any(len(panel.curves) > MOST_BANDS for panel in panels)
    tables = (
        survival_tables.medians_table(book, analyses),
        survival_tables.tests_table(study, book, analyses),
        *(survival_tables.exposure_table(study, book, analysis) for analysis in analyses),
        survival_tables.delayed_entry_table(book, analyses),
    )
    ticks = GATHERED if drawn.is_suppressed else "Ticks: censored patients."
    return _of(
        first,
        pictures=[survival_panel(panel) for panel in (*panels, *landmarks)],
        legend="Curves: Kaplan\N{EN DASH}Meier. Shaded: pointwise 95% log\N{EN DASH}log band. "
        f"{ticks}{'' if bands_apart else ' Dotted: median.'} Beside each group: "
        f"preferred interval of the median.{LANDMARK_LEGEND if landmarks else ''}"
        if panels
        else "",
        tables=_read_off(drawn, [table for table in tables if table is not None]),
        cautions=[
            *_not_held(book, analyses),
            *layout.small_groups(book, analyses),
            *layout.cautions(study, first.exhibit),
        ],
        withheld="" if panels else NO_CURVE,
    )


def _not_held(book: Book, analyses: Sequence[Analysis]) -> list[str]:
    """A sentence in the place of each panel that a figure has no number for."""
    return [
        f"{layout.endpoint_label(each)}: {NOTHING_HELD}"
        for each in analyses
        if not book.page(each.exhibit, each.population).levels(str(each.endpoint).lower())
    ]


def _read_off(drawn: Drawn, tables: Sequence[layout.Table]) -> list[layout.Table]:
    """The tables of a figure, the first of which says where its shares are rough."""
    first, *others = tables
    notes = [*first.notes, *([ROUGH] if drawn.is_suppressed else [])]
    return [replace(first, notes=notes), *others]


def _has_groups(book: Book, analyses: Sequence[Analysis], drawn: Drawn) -> bool:
    """Whether there are patients of whom no curve may be drawn."""
    return drawn.is_suppressed and any(
        book.page(each.exhibit, each.population).levels(str(each.endpoint).lower())
        for each in analyses
    )


def _incidence(study: Study, book: Book, drawn: Drawn, analyses: list[Analysis]) -> Exhibit:
    first = analyses[0]
    ticks = GATHERED if drawn.is_suppressed else "Ticks: censored patients."
    panels = [
        panel
        for each in analyses
        for panel in survival_panels.incidence_curves(study, book, drawn.curves, each)
        if panel.curves
    ]
    return _of(
        first,
        pictures=[survival_panel(panel) for panel in panels],
        legend="Aalen\N{EN DASH}Johansen estimates of competing events: their incidences and the "
        "share of patients still free of them add up to one. Shaded: pointwise 95% "
        f"log\N{EN DASH}log band. {ticks}",
        tables=_read_off(drawn, [survival_tables.incidence_table(study, book, analyses)])
        if panels
        else [],
        cautions=layout.cautions(study, first.exhibit),
        empty=not panels,
        withheld=NO_CURVE if drawn.is_suppressed and not panels else "",
    )


def _cox(study: Study, book: Book, drawn: Drawn, analyses: list[Analysis]) -> Exhibit:
    first = analyses[0]
    return _of(
        first,
        tables=[model_tables.cox_table(study, book, first)],
        wide=_forest(
            book,
            first,
            model_tables.cox_terms(study, book, first),
            "Hazard ratios of the multivariable model",
        ),
    )


def _characteristics(study: Study, book: Book, drawn: Drawn, analyses: list[Analysis]) -> Exhibit:
    return _only_table(analyses[0], clinical_tables.characteristics_table(study, book, analyses))


def _cross_count(study: Study, book: Book, drawn: Drawn, analyses: list[Analysis]) -> Exhibit:
    return _only_table(analyses[0], clinical_tables.cross_table(study, book, analyses))


def _response(study: Study, book: Book, drawn: Drawn, analyses: list[Analysis]) -> Exhibit:
    return _only_table(analyses[0], clinical_tables.response_table(study, book, analyses[0]))


def _best_responses(study: Study, book: Book, drawn: Drawn, analyses: list[Analysis]) -> Exhibit:
    return _only_table(
        analyses[0], response_exhibits.best_responses_table(study, book, analyses[0])
    )


def _agreement(study: Study, book: Book, drawn: Drawn, analyses: list[Analysis]) -> Exhibit:
    return _only_table(analyses[0], response_exhibits.agreement_table(study, book, analyses[0]))


def _duration(study: Study, book: Book, drawn: Drawn, analyses: list[Analysis]) -> Exhibit:
    first = analyses[0]
    panel = survival_panels.survival_curves(
        study,
        book,
        drawn.curves,
        first,
        response_exhibits.FROM_RESPONSE,
        response_exhibits.IN_RESPONSE,
    )
    if not panel.curves and not _has_groups(book, analyses, drawn):
        return _of(first, empty=True)
    gathered = f" {GATHERED}" if drawn.is_suppressed else ""
    return _of(
        first,
        pictures=[survival_panel(panel)] if panel.curves else [],
        legend=f"{response_exhibits.DURATION_LEGEND}{gathered}" if panel.curves else "",
        withheld="" if panel.curves else NO_CURVE,
        tables=_read_off(drawn, [response_exhibits.duration_table(book, first)]),
        cautions=[
            *layout.small_groups(book, analyses),
            *layout.cautions(study, first.exhibit),
        ],
    )


def _adverse_events(study: Study, book: Book, drawn: Drawn, analyses: list[Analysis]) -> Exhibit:
    return _only_table(analyses[0], clinical_tables.adverse_event_table(study, book, analyses[0]))


def _univariable(study: Study, book: Book, drawn: Drawn, analyses: list[Analysis]) -> Exhibit:
    return _only_table(analyses[0], model_tables.univariable_table(study, book, analyses[0]))


def _swimmer(study: Study, book: Book, drawn: Drawn, analyses: list[Analysis]) -> Exhibit:
    first = analyses[0]
    if drawn.is_suppressed:
        return _of(first, withheld=ONE_BAR_A_PATIENT)
    picture, legend = line_exhibits.swimmer(study, book, drawn.bars, first)
    return _of(
        first,
        wide=[picture] if picture else [],
        legend=legend,
        cautions=layout.cautions(study, first.exhibit),
        empty=picture is None,
    )


def _transitions(study: Study, book: Book, drawn: Drawn, analyses: list[Analysis]) -> Exhibit:
    first = analyses[0]
    picture = line_exhibits.alluvial_picture(study, book, first)
    return _of(
        first,
        wide=[picture] if picture else [],
        legend=line_exhibits.ALLUVIAL_LEGEND,
        cautions=layout.cautions(study, first.exhibit),
        empty=picture is None,
    )


def _reasons(study: Study, book: Book, drawn: Drawn, analyses: list[Analysis]) -> Exhibit:
    return _only_table(analyses[0], line_exhibits.reasons_table(study, book, analyses[0]))


def _rule_sets(study: Study, book: Book, drawn: Drawn, analyses: list[Analysis]) -> Exhibit:
    picture = sensitivity_exhibits.sensitivity_picture(study, book, analyses)
    return _of(
        analyses[0],
        wide=[picture] if picture else [],
        legend=sensitivity_exhibits.LEGEND if picture else "",
        tables=[sensitivity_exhibits.sensitivity_table(study, book, analyses)],
        cautions=[
            *sensitivity_exhibits.one_rule_set_only(book, analyses),
            *layout.cautions(study, analyses[0].exhibit),
        ],
    )


def _by_group(study: Study, book: Book, drawn: Drawn, analyses: list[Analysis]) -> Exhibit:
    table = group_tables.characteristics_by_group_table(study, book, analyses[0])
    return _only_table(analyses[0], table)


def _missingness(study: Study, book: Book, drawn: Drawn, analyses: list[Analysis]) -> Exhibit:
    return _only_table(analyses[0], group_tables.missingness_table(study, book, analyses[0]))


def _imputation(study: Study, book: Book, drawn: Drawn, analyses: list[Analysis]) -> Exhibit:
    return _only_table(analyses[0], confounding_exhibits.imputation_table(study, book, analyses[0]))


def _e_values(study: Study, book: Book, drawn: Drawn, analyses: list[Analysis]) -> Exhibit:
    return _only_table(analyses[0], confounding_exhibits.e_value_table(study, book, analyses[0]))


def _weighting(study: Study, book: Book, drawn: Drawn, analyses: list[Analysis]) -> Exhibit:
    first = analyses[0]
    picture = confounding_exhibits.love_picture(study, book, first)
    return _of(
        first,
        wide=[picture] if picture else [],
        tables=[confounding_exhibits.weighting_table(study, book, first)],
        cautions=layout.cautions(study, first.exhibit),
    )


def _univariable_ratios(
    study: Study, book: Book, drawn: Drawn, analyses: list[Analysis]
) -> Exhibit:
    first = analyses[0]
    terms = confounding_exhibits.univariable_terms(study, book, first)
    wide = _forest(book, first, terms, "Hazard ratios of one variable at a time")
    return _of(
        first,
        wide=wide,
        legend=confounding_exhibits.UNIVARIABLE_LEGEND,
        cautions=layout.cautions(study, first.exhibit),
        empty=not wide,
    )


def _waterfall(study: Study, book: Book, drawn: Drawn, analyses: list[Analysis]) -> Exhibit:
    first = analyses[0]
    if drawn.is_suppressed:
        return _of(first, withheld=ONE_BAR_A_PATIENT)
    page = book.page(first.exhibit, first.population)
    bars = drawn.bars[drawn.bars["exhibit"] == first.exhibit]
    if bars.empty:
        return _of(first, empty=True)
    measured = page.display(BEST_CHANGE, None, "n", PREFERRED)
    without = page.display(BEST_CHANGE, None, "without_n", PREFERRED)
    median = page.cell(BEST_CHANGE, None, "median_pct", PREFERRED)
    words = (
        f"{counted(measured, 'patient')} with target lesions measured at baseline and later; not "
        f"shown: {without} without. Median best change {median}%."
    )
    limits = drawn.response_limits
    return _of(
        first,
        wide=[waterfall_plot(f"{first.exhibit}-waterfall", first.title, bars, limits, words)],
        legend=f"{words} Dotted: a fall of {-limits[0]:g}% and a rise of {limits[1]:g}% from "
        "baseline (RECIST 1.1). "
        "Colour: best overall response, which new and non-target lesions decide too.",
        cautions=layout.cautions(study, first.exhibit),
    )


Builder = Callable[[Study, Book, Drawn, list[Analysis]], Exhibit]

_BUILDERS: dict[str, Builder] = {
    "characteristics": _characteristics,
    "count_within": _characteristics,
    "cross_count": _cross_count,
    "response": _response,
    "best_responses": _best_responses,
    "response_agreement": _agreement,
    "response_duration": _duration,
    "adverse_events": _adverse_events,
    "survival": _survival,
    "cumulative_incidence": _incidence,
    "univariable": _univariable,
    "cox": _cox,
    "swimmer": _swimmer,
    "line_transitions": _transitions,
    "line_reasons": _reasons,
    "characteristics_by_group": _by_group,
    "missingness": _missingness,
    "waterfall": _waterfall,
    "univariable_ratios": _univariable_ratios,
    "imputation": _imputation,
    "weighting": _weighting,
    "e_values": _e_values,
    "line_rule_set_changes": _rule_sets,
    "line_rule_sets": _rule_sets,
    "endpoint_rule_sets": _rule_sets,
}


def _forest(
    book: Book, analysis: Analysis, terms: Sequence[tuple[str, str, str]], title: str
) -> Sequence[Picture]:
    """A forest plot of the ratios named: label, variable and contrast of each."""
    page = book.page(analysis.exhibit, analysis.population)
    ratios = []
    for label, name, contrast in terms:
        # Where an estimate is infinite, that of the penalised fit is not.
        only_penalised = (
            page.value(name, contrast, HAZARD_RATIO.value) is None
            and page.value(name, contrast, FIRTH_HAZARD_RATIO.value) is not None
        )
        fit = FIRTH_HAZARD_RATIO if only_penalised else HAZARD_RATIO
        p_value = "firth_p" if only_penalised else "p"
        ratios.append(
            Ratio(
                label,
                page.value(name, contrast, fit.value),
                page.value(name, contrast, fit.lower),
                page.value(name, contrast, fit.upper),
                survival_tables.marked_ratio(page, name, contrast, fit),
                page.cell(name, contrast, p_value, PREFERRED),
                is_significant(page.value(name, contrast, p_value)),
            )
        )
    if not ratios:
        return ()
    words = "; ".join(f"{ratio.label}: {ratio.shown}, P {ratio.p_value}" for ratio in ratios)
    return [
        forest(
            f"{analysis.exhibit}-forest",
            title,
            ratios,
            f"Forest plot, Efron's ties. {words}.",
        )
    ]
