"""Exhibits of the sensitivity to definitions: one table and one figure each."""

from __future__ import annotations

from collections.abc import Sequence

from analysis import layout
from analysis.book import Book, BookPage
from analysis.layout import ABBREVIATIONS, PENALISED, Cell, Row, Table, cells, number_of
from analysis.ledger import HAZARD_RATIO, MEDIAN, PREFERRED, Interval
from analysis.pictures import Picture
from analysis.rule_sets import NUMBER_OF_LINES, comparison_name
from analysis.sensitivity_figures import Column, Point, sensitivity_forest
from analysis.study import Analysis, Study
from analysis.survival_tables import RATIO_NOTE

CHANGED = "changed: "
LEGEND = (
    "First row: the study’s own definition; dotted line: its estimate. Bars: 95% confidence "
    "intervals; an arrow: no upper limit."
)


def measured(analyses: Sequence[Analysis]) -> list[Analysis]:
    """Analyses of an exhibit that give a median or a hazard ratio."""
    return [analysis for analysis in analyses if analysis.endpoint]


def rule_sets_of(book: Book, analyses: Sequence[Analysis]) -> dict[str, str]:
    """Rule sets that an exhibit has numbers of, with their labels, the study's own first."""
    found: dict[str, str] = {}
    for analysis in measured(analyses):
        page = book.page(analysis.exhibit, analysis.population)
        name = comparison_name(analysis)
        for rule_set in page.levels(name, "n", PREFERRED):
            number = page.get(name, rule_set, "n", PREFERRED)
            found[rule_set] = str(number.parameters["label"]) if number else rule_set
    return found


def sensitivity_picture(study: Study, book: Book, analyses: Sequence[Analysis]) -> Picture | None:
    """The figure of an exhibit; None with fewer than two rule sets."""
    labels = rule_sets_of(book, analyses)
    if len(labels) < 2:
        return None
    columns = [
        Column(
            _what(study, analysis),
            "hazard ratio" if _is_ratio(analysis) else "months",
            _is_ratio(analysis),
            [
                _point(book.page(analysis.exhibit, analysis.population), analysis, rule_set)
                for rule_set in labels
            ],
        )
        for analysis in measured(analyses)
    ]
    words = ". ".join(
        f"{_what(study, analysis)}: "
        + "; ".join(f"{label}, {_shown(book, analysis, name)}" for name, label in labels.items())
        for analysis in measured(analyses)
    )
    first = analyses[0]
    return sensitivity_forest(
        f"{first.exhibit}-sensitivity", first.title, list(labels.values()), columns, f"{words}."
    )


def _is_ratio(analysis: Analysis) -> bool:
    return analysis.group_variable is not None


def _statistics(analysis: Analysis) -> Interval:
    return HAZARD_RATIO if _is_ratio(analysis) else MEDIAN


def _what(study: Study, analysis: Analysis) -> str:
    if analysis.contrast and _is_ratio(analysis):
        return f"{analysis.endpoint}, {analysis.contrast}"
    return f"Median {analysis.endpoint}, {study.population(analysis.population).label}"


def _point(page: BookPage, analysis: Analysis, rule_set: str) -> Point:
    name, statistics = comparison_name(analysis), _statistics(analysis)
    return Point(*(page.value(name, rule_set, statistic) for statistic in statistics))


def _shown(book: Book, analysis: Analysis, rule_set: str) -> str:
    page, name = book.page(analysis.exhibit, analysis.population), comparison_name(analysis)
    number = page.get(name, rule_set, _statistics(analysis).value, PREFERRED)
    mark = PENALISED if number and number.value is not None and "Firth" in number.method else ""
    return page.with_limits(name, rule_set, _statistics(analysis), PREFERRED) + mark


def sensitivity_table(study: Study, book: Book, analyses: Sequence[Analysis]) -> Table:
    """Changed patients, medians and hazard ratios, a row for each rule set."""
    first, labels = analyses[0], rule_sets_of(book, analyses)
    page = book.page(first.exhibit, first.population)
    changes = [name for name in book.variables(first.exhibit, first.population) if CHANGED in name]
    head = [
        [
            Cell("Definition", rows=2),
            *([Cell("Patients who change", span=len(changes))] if changes else []),
            *(
                Cell(
                    f"{_what(study, analysis)}: "
                    f"{'hazard ratio' if _is_ratio(analysis) else 'months'} "
                    "(95%\N{NO-BREAK SPACE}CI)",
                    rows=2,
                )
                for analysis in measured(analyses)
            ),
        ],
        [Cell(_change_label(study, name)) for name in changes],
    ]
    if not changes:
        head = [[Cell(cell.text) for cell in head[0]]]
    has_ratio = any(_is_ratio(analysis) for analysis in analyses)
    return Table(
        f"{first.exhibit}-definitions",
        "",
        f"Numbers behind {number_of(first.exhibit)}",
        head,
        [
            Row(
                label,
                cells(
                    [
                        *(page.cell(name, rule_set, "n") for name in changes),
                        *(_shown(book, analysis, rule_set) for analysis in measured(analyses)),
                    ]
                ),
            )
            for rule_set, label in labels.items()
        ],
        [
            *([RATIO_NOTE] if has_ratio else []),
            "Medians: Brookmeyer\N{EN DASH}Crowley limits from the log\N{EN DASH}log band. "
            + ABBREVIATIONS,
            *_sources(book, analyses),
        ],
    )


def _change_label(study: Study, name: str) -> str:
    variable = name.removeprefix(CHANGED)
    if variable == NUMBER_OF_LINES:
        return layout.level_label(variable)
    return study.variable(variable).label


def one_rule_set_only(book: Book, analyses: Sequence[Analysis]) -> list[str]:
    """A sentence in place of the figure where there is nothing to compare."""
    labels = rule_sets_of(book, analyses)
    if len(labels) > 1:
        return []
    names = ", ".join(labels.values()) or "none"
    return [f"This warehouse holds one definition only ({names}), so there is nothing to compare."]


def _sources(book: Book, analyses: Sequence[Analysis]) -> list[str]:
    """Where the definitions come from, for those whose numbers say so."""
    found: dict[tuple[str, str], list[str]] = {}
    for analysis in measured(analyses):
        name = comparison_name(analysis)
        for number in book.find(analysis.exhibit, analysis.population, name, "n", PREFERRED):
            if source := number.parameters.get("source"):
                labels = found.setdefault((str(analysis.endpoint), str(source).rstrip(".")), [])
                if number.parameters["label"] not in labels:
                    labels.append(str(number.parameters["label"]))
    return [
        f"{', '.join(labels)} ({endpoint}): {source}."
        for (endpoint, source), labels in found.items()
    ]
