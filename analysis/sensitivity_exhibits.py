"""The sensitivity to definitions: one table, and one figure of every headline number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis import layout
from analysis.book import Book, BookPage
from analysis.layout import ABBREVIATIONS, Cell, Row, Table, cells, number_of
from analysis.ledger import HAZARD_RATIO, MEDIAN, NOT_REACHED, PREFERRED, Interval
from analysis.pictures import Picture
from analysis.rule_sets import ENDPOINTS, LINES, NUMBER_OF_LINES, comparison_name
from analysis.sensitivity_figures import NO_ESTIMATE, Column, Point, sensitivity_forest
from analysis.study import FIRST_LINE, Analysis, Study
from analysis.survival_tables import RATIO_NOTE, marked_ratio

CHANGED = "changed: "
LEGEND = (
    "Bold: the study’s own definition; dotted line: its estimate. Bars: 95% confidence intervals; "
    "an arrow: no upper limit. One kind of definition is varied at a time."
)
#: Kinds of definitions, as levels begin with them, and how tables head them.
BLOCKS = {LINES: "Line of therapy", ENDPOINTS: "Endpoint and censoring"}


@dataclass(frozen=True)
class Block:
    """The rule sets of one kind: labels by level, the study's own first."""

    title: str
    labels: dict[str, str]


def measured(analyses: Sequence[Analysis]) -> list[Analysis]:
    """Analyses of an exhibit that give a median or a hazard ratio, one a quantity."""
    quantities = {
        (each.population, comparison_name(each)): each for each in analyses[::-1] if each.endpoint
    }
    return [each for each in analyses if each in quantities.values()]


def blocks_of(book: Book, analyses: Sequence[Analysis]) -> list[Block]:
    """Rule sets that an exhibit has numbers of."""
    found = {kind: Block(title, {}) for kind, title in BLOCKS.items()}
    for analysis in measured(analyses):
        page = book.page(analysis.exhibit, analysis.population)
        name = comparison_name(analysis)
        for level in page.levels(name, "n", PREFERRED):
            number = page.get(name, level, "n", PREFERRED)
            label = str(number.parameters["label"]) if number else level
            found[level.partition(":")[0]].labels[level] = label
    return [block for block in found.values() if block.labels]


def sensitivity_picture(study: Study, book: Book, analyses: Sequence[Analysis]) -> Picture | None:
    """The figure of an exhibit: blocks of at least two rule sets; None without any."""
    blocks = [block for block in blocks_of(book, analyses) if len(block.labels) > 1]
    if not blocks:
        return None
    levels = [level for block in blocks for level in block.labels]
    columns = [
        Column(
            _what(study, analysis),
            "hazard ratio" if _is_ratio(analysis) else "months",
            _is_ratio(analysis),
            [
                _point(book.page(analysis.exhibit, analysis.population), analysis, level)
                for level in levels
            ],
        )
        for analysis in measured(analyses)
    ]
    words = ". ".join(
        f"{_what(study, analysis)}: "
        + "; ".join(
            f"{label}, {_shown(book, analysis, level)}"
            for block in blocks
            for level, label in block.labels.items()
        )
        for analysis in measured(analyses)
    )
    first = analyses[0]
    return sensitivity_forest(
        f"{first.exhibit}-sensitivity",
        first.title,
        {block.title: list(block.labels.values()) for block in blocks},
        columns,
        f"{words}.",
    )


def _is_ratio(analysis: Analysis) -> bool:
    return analysis.group_variable is not None


def _statistics(analysis: Analysis) -> Interval:
    return HAZARD_RATIO if _is_ratio(analysis) else MEDIAN


def _what(study: Study, analysis: Analysis) -> str:
    number = analysis.line_number
    origin = "" if number == FIRST_LINE else f", from line {number}"
    whom = f"{study.population(analysis.population).label}{origin}"
    if _is_ratio(analysis):
        return f"{analysis.endpoint}, {analysis.contrast}, {whom}"
    return f"Median {analysis.endpoint}, {whom}"


def _point(page: BookPage, analysis: Analysis, level: str) -> Point:
    name, statistics = comparison_name(analysis), _statistics(analysis)
    number = page.get(name, level, statistics.value, PREFERRED)
    value, lower, upper = (page.value(name, level, statistic) for statistic in statistics)
    not_reached = number is not None and number.display == NOT_REACHED
    return Point(value, lower, upper, NOT_REACHED if not_reached else NO_ESTIMATE)


def _shown(book: Book, analysis: Analysis, level: str) -> str:
    page, name = book.page(analysis.exhibit, analysis.population), comparison_name(analysis)
    return marked_ratio(page, name, level, _statistics(analysis))


def sensitivity_table(study: Study, book: Book, analyses: Sequence[Analysis]) -> Table:
    """Changed patients, medians and hazard ratios, a row for each rule set."""
    first, blocks = analyses[0], blocks_of(book, analyses)
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
            row
            for block in blocks
            for row in (
                Row(block.title, (), "heading"),
                *(
                    Row(
                        label,
                        cells(
                            [
                                *(page.cell(name, level, "n") for name in changes),
                                *(_shown(book, analysis, level) for analysis in measured(analyses)),
                            ]
                        ),
                        "level",
                    )
                    for level, label in block.labels.items()
                ),
            )
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
    """A sentence in place of a block of the figure where there is nothing to compare."""
    return [
        f"{block.title}: this study has one definition only "
        f"({', '.join(block.labels.values())}), so there is nothing to compare."
        for block in blocks_of(book, analyses)
        if len(block.labels) == 1
    ]


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
