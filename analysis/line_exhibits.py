"""The section on lines of therapy: swimmer plot, alluvial figure, reasons and confidence."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd

from analysis import layout
from analysis.book import Book
from analysis.layout import Cell, Row, Table, cells, level_label, number_of
from analysis.line_figures import Flow, Node, alluvial, swimmer_plot
from analysis.lines import DEATH, NO_FURTHER_LINE, NO_GROUP, ONGOING, PROGRESSION
from analysis.pictures import Picture
from analysis.study import Analysis, Study
from expectations.small_cells import HIDDEN

#: Beyond so many lanes nobody can tell them apart, and the figure outgrows its page.
MOST_LANES = 150
SWIMMER_LEGEND = (
    "One lane a patient, from the start of first-line treatment to death or last contact. Bars: "
    "lines of therapy; grey: observed between them. Sorted by first line, then by time observed."
)
ALLUVIAL_LEGEND = (
    "Width: patients. Colour: group of the line that a ribbon comes from. "
    f"{level_label(NO_FURTHER_LINE)}: died, still in the line, or no further treatment on record."
)

#: End of a line in words (mart lines_of_therapy).
ENDED = {
    "NEXT_LINE": "another line followed",
    "DEATH": "death",
    "ONGOING": "not known to have ended",
    "DISCONTINUED": "no treatment for longer than a line may pause",
}


def swimmer(
    study: Study, book: Book, bars: pd.DataFrame, analysis: Analysis
) -> tuple[Picture | None, str]:
    """The swimmer plot, or None without a treated patient, and its legend.

    Of more than MOST_LANES patients, evenly spaced ones are drawn: their groups and times are
    spread as those of all.
    """
    page = book.page(analysis.exhibit, analysis.population)
    own = bars[(bars["exhibit"] == analysis.exhibit) & (bars["population"] == analysis.population)]
    if own.empty:
        return None, SWIMMER_LEGEND
    patients = int(own["position"].max())
    step = -(-patients // MOST_LANES)
    thinned = ""
    if step > 1:
        own = own[own["position"] % step == 0]
        thinned = (
            f" Of {patients:,} patients one in {step} is drawn, evenly spaced in that order; "
            "the counts are of all."
        )
    sizes = {group: page.cell("first line", group, "n") for group in page.levels("first line")}
    words = "; ".join(f"{level_label(group)}: {n}" for group, n in sizes.items())
    picture = swimmer_plot(
        f"{analysis.exhibit}-swimmer",
        analysis.title,
        own,
        {**_places(study, analysis), NO_GROUP: (-1, level_label(NO_GROUP))},
        sizes,
        "Months from the start of first-line treatment",
        f"One lane a patient.{thinned} Patients by first line: {words}. Lines: "
        f"{page.cell('line', None, 'n')}; progressions {page.cell(PROGRESSION, None, 'n')}, deaths "
        f"{page.cell(DEATH, None, 'n')}, lines not known to have ended "
        f"{page.cell(ONGOING, None, 'n')}.",
    )
    return picture, SWIMMER_LEGEND + thinned


def alluvial_picture(study: Study, book: Book, analysis: Analysis) -> Picture | None:
    """The figure of successive lines, or None without a treated patient."""
    page = book.page(analysis.exhibit, analysis.population)
    columns = [name for name in book.variables(page.exhibit, page.population) if " to " not in name]
    nodes = [
        Node(
            place,
            group,
            level_label(group),
            int(page.value(name, group, "n", "as published") or 0),
            page.cell(name, group, "n"),
        )
        for place, name in enumerate(columns)
        for group in page.levels(name)
    ]
    if not nodes:
        return None
    flows = [
        Flow(
            place,
            str(number.parameters["source"]),
            str(number.parameters["target"]),
            int(number.value or 0),
            HIDDEN if number.value is None else str(int(number.value)),
        )
        for place, (before, after) in enumerate(pairwise(columns))
        for number in book.find(
            page.exhibit, page.population, f"{before} to {after}", "n", "as published"
        )
    ]
    words = "; ".join(
        f"{flow.shown} from {flow.source} (line {flow.column + 1}) to {flow.target}"
        for flow in flows
    )
    return alluvial(
        f"{analysis.exhibit}-alluvial",
        analysis.title,
        [level_label(name) for name in columns],
        nodes,
        flows,
        {name: place for name, (place, _) in _places(study, analysis).items()},
        f"Patients by group of successive lines. {words}.",
    )


def _places(study: Study, analysis: Analysis) -> dict[str, tuple[int, str]]:
    levels = study.variable(analysis.group_variable).level_names
    return {name: (place, level_label(name)) for place, name in enumerate(levels)}


def reasons_table(study: Study, book: Book, analysis: Analysis) -> Table:
    """Why lines began and ended, and their confidence grades, by line."""
    page = book.page(analysis.exhibit, analysis.population)
    columns = page.levels("lines")
    names = book.variables(page.exhibit, page.population)
    rows = [
        Row("Patients", cells(page.cell("patients", column, "n") for column in columns)),
        Row("Lines", cells(page.cell("lines", column, "n") for column in columns)),
    ]
    for prefix, heading in (
        ("began", "Why the line began"),
        ("ended", "How it ended"),
        ("confidence", "Confidence in the line, n (%)"),
    ):
        rows.append(Row(heading, (), "heading"))
        for name in (name for name in names if name.startswith(f"{prefix}: ")):
            rows.append(
                Row(
                    _meaning(book, page.exhibit, page.population, name),
                    cells(
                        f"{page.cell(name, column, 'n')} ({page.cell(name, column, 'pct')})"
                        if prefix == "confidence"
                        else page.cell(name, column, "n")
                        for column in columns
                    ),
                    "level",
                )
            )
    return Table(
        analysis.exhibit,
        number_of(analysis.exhibit),
        analysis.title,
        [[Cell("Lines of therapy"), *(Cell(level_label(column)) for column in columns)]],
        rows,
        [
            *layout.cautions(study, analysis.exhibit),
            "Of several reasons on one day the first in this order is stated. Confidence: 100 "
            "points less what each flag of the line takes off; high 80 and more, moderate 50 and "
            "more.",
        ],
    )


def _meaning(book: Book, exhibit: str, population: str, name: str) -> str:
    kind, _, code = name.partition(": ")
    if kind == "ended":
        return level_label(ENDED.get(code, code))
    if kind == "began":
        first = next(book.find(exhibit, population, name, "n", "as published"), None)
        if first and "meaning" in first.parameters:
            return str(first.parameters["meaning"]).rstrip(".")
    return level_label(code)
