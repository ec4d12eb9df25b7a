"""Tables 1 to 5: characteristics, treatment, response and toxicity."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.book import NOTHING, Book, BookPage
from analysis.descriptive import DISEASE_CONTROL, MISSING, NO_CATEGORY, OBJECTIVE_RESPONSES
from analysis.layout import (
    Cell,
    Row,
    Table,
    cautions,
    cells,
    level_label,
    number_of,
    sized,
    treatment,
)
from analysis.ledger import PREFERRED
from analysis.study import FIRST_LINE, Analysis, Study
from expectations.small_cells import HIDDEN


def characteristics_table(study: Study, book: Book, analyses: Sequence[Analysis]) -> Table:
    """Table 1."""
    main = next(analysis for analysis in analyses if analysis.kind == "characteristics")
    within = [analysis for analysis in analyses if analysis.kind == "count_within"]
    page = book.page(main.exhibit, main.population)
    rows: list[Row] = []
    total = "0"
    for variable in study.variables.values():
        if not variable.in_table1:
            continue
        summary = _summary_of(study, book, main, variable.name)
        rows.append(Row(variable.label, cells([summary]) if summary else (), "heading"))
        for level in page.levels(variable.name, "pct"):
            number = page.get(variable.name, level, "n")
            if number:
                total = HIDDEN if number.n is None else str(number.n)
            rows.append(
                Row(
                    level_label(level),
                    cells([_share(page, variable.name, level)]),
                    "level",
                )
            )
            rows += [
                Row(
                    f"of these, {detail.detail_level}",
                    cells([page.cell(variable.name, f"{level}, {detail.detail_level}", "n")]),
                    "sublevel",
                )
                for detail in within
                if detail.group_variable == variable.name and level != MISSING
            ]
    return Table(
        main.exhibit,
        number_of(main.exhibit),
        main.title,
        [
            [
                Cell("Characteristic"),
                Cell(f"{sized('Patients', total)}, n (%)"),
            ]
        ],
        rows,
        cautions(study, main.exhibit),
    )


def _summary_of(study: Study, book: Book, table: Analysis, variable: str) -> str | None:
    """Median and range of a variable that the study also gives as a number of all its patients."""
    if table.line_number != FIRST_LINE:
        return None
    for analysis in study.analyses:
        if analysis.kind == "quantity" and analysis.group_variable == variable:
            page = book.page(analysis.exhibit, analysis.population)
            return (
                f"median {page.cell(variable, None, 'median_years')} "
                f"(range {page.cell(variable, None, 'min_years')}{NOTHING}"
                f"{page.cell(variable, None, 'max_years')})"
            )
    return None


def cross_table(study: Study, book: Book, analyses: Sequence[Analysis]) -> Table:
    """Tables 2 and 3: regimens by group, one block a population."""
    first = analyses[0]
    group = study.variable(first.group_variable)
    detail = study.variable(first.detail_variable)
    pages = [book.page(analysis.exhibit, analysis.population) for analysis in analyses]
    levels = [
        level.name
        for level in group.levels
        if any(page.get(group.name, level.name, "n") for page in pages)
    ]
    rows: list[Row] = []
    for page in pages:
        label = study.population(page.population).label
        rows.append(
            Row(
                f"{label}: patients" if len(pages) > 1 else "Patients",
                [Cell(page.cell(group.name, level, "n"), strong=True) for level in levels],
                "heading",
            )
        )
        inside: dict[str, int] = {}
        for number in book.find(page.exhibit, page.population, group.name, "n", "as published"):
            if value := number.parameters.get("value"):
                inside[value] = inside.get(value, 0) + int(number.value or 0)
        for value in sorted(inside, key=lambda name: (-inside[name], name)):
            rows.append(
                Row(
                    value,
                    cells(page.cell(group.name, f"{level}: {value}", "n") for level in levels),
                    "level",
                )
            )
    return Table(
        first.exhibit,
        number_of(first.exhibit),
        first.title,
        [[Cell(detail.label), *(Cell(level_label(level)) for level in levels)]],
        rows,
        [*cautions(study, first.exhibit), f"{NOTHING}, no patient."],
    )


def response_table(study: Study, book: Book, analysis: Analysis) -> Table:
    """Table 4."""
    page = book.page(analysis.exhibit, analysis.population)
    group = study.variable(analysis.group_variable)
    levels = page.levels(group.name)
    names = [name for name in book.variables(page.exhibit, page.population) if name != group.name]
    rows = response_rows(page, names, levels)
    return Table(
        analysis.exhibit,
        number_of(analysis.exhibit),
        analysis.title,
        [
            [
                Cell("Response, n (%)"),
                *(
                    Cell(sized(level_label(level), page.cell(group.name, level, "n")))
                    for level in levels
                ),
            ]
        ],
        rows,
        [
            *cautions(study, analysis.exhibit),
            "RECIST 1.1, unconfirmed. Every patient of the line is in the denominator. "
            f"ORR, objective response rate ({' + '.join(OBJECTIVE_RESPONSES)}); "
            f"DCR, disease control rate ({' + '.join(DISEASE_CONTROL)}). "
            "Intervals are exact binomial (Clopper\N{EN DASH}Pearson).",
        ],
    )


def response_rows(page: BookPage, names: Sequence[str], levels: Sequence[str]) -> list[Row]:
    """A row for each response, and under each rate its exact interval."""
    rows = []
    for name in names:
        is_rate = bool(levels) and page.get(name, levels[0], "pct_lower", PREFERRED) is not None
        has_interval = is_rate or any(
            page.get(name, level, "pct_lower", PREFERRED) for level in levels
        )
        rows.append(
            Row(
                name,
                cells(_share(page, name, level) for level in levels),
                "heading" if has_interval else "plain",
            )
        )
        if has_interval:
            rows.append(
                Row(
                    "exact 95% CI, %",
                    cells(
                        f"{page.cell(name, level, 'pct_lower', PREFERRED)}{NOTHING}"
                        f"{page.cell(name, level, 'pct_upper', PREFERRED)}"
                        if page.get(name, level, "pct_lower", PREFERRED)
                        else NOTHING
                        for level in levels
                    ),
                    "level",
                )
            )
    return rows


def adverse_event_table(study: Study, book: Book, analysis: Analysis) -> Table:
    """Table 5: events, and patients in brackets."""
    page = book.page(analysis.exhibit, analysis.population)
    group = study.variable(analysis.group_variable)
    levels = page.levels(group.name)
    grades_of: dict[str, list[str]] = {}
    for name in book.variables(page.exhibit, page.population):
        category, separator, grade = name.partition(" grade ")
        if separator:
            grades_of.setdefault(category, []).append(grade)
    grades = next(iter(grades_of.values()), [])
    rows = [
        Row(
            category[:1].upper() + category[1:],
            cells(
                _events(page, f"{category} grade {grade}", level)
                for level in levels
                for grade in grades
            ),
        )
        for category in grades_of
    ]
    return Table(
        analysis.exhibit,
        number_of(analysis.exhibit),
        analysis.title,
        [
            [
                Cell("Events (patients)", rows=2),
                *(
                    Cell(
                        sized(level_label(level), page.cell(group.name, level, "n")),
                        span=len(grades),
                    )
                    for level in levels
                ),
            ],
            [Cell(f"grade {grade.replace('-', NOTHING)}") for _ in levels for grade in grades],
        ],
        rows,
        [
            *cautions(study, analysis.exhibit),
            f"Events of {treatment(analysis.line_number)} that nobody judged unrelated to it; an "
            "event that nobody judged counts. In brackets the patients with at least one."
            + (
                " Other: terms in none of the study’s categories."
                if NO_CATEGORY in grades_of
                else ""
            ),
        ],
    )


def _events(page: BookPage, variable: str, level: str) -> str:
    events = page.cell(variable, level, "n")
    if events == "0":
        return events
    return f"{events} ({page.cell(variable, level, 'patients_n', PREFERRED)})"


def _share(page: BookPage, variable: str, level: str) -> str:
    return f"{page.cell(variable, level, 'n')} ({page.cell(variable, level, 'pct')})"
