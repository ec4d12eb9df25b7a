"""Tables that set two groups beside each other: characteristics, and what is missing."""

from __future__ import annotations

from analysis.book import NOTHING, Book
from analysis.confounding import IMBALANCE
from analysis.descriptive import MISSING
from analysis.groups_compared import ALL_PATIENTS
from analysis.layout import Cell, Row, Table, cautions, cells, level_label, number_of, sized
from analysis.ledger import PREFERRED
from analysis.study import Analysis, Study


def characteristics_by_group_table(study: Study, book: Book, analysis: Analysis) -> Table:
    """Table 1 by group, with the standardised difference of each variable."""
    page = book.page(analysis.exhibit, analysis.population)
    group = study.variable(analysis.group_variable)
    groups = page.levels(group.name, "n", PREFERRED)
    rows: list[Row] = []
    for variable in study.variables.values():
        if not variable.in_table1 or variable == group:
            continue
        rows.append(
            Row(
                variable.label,
                cells([*("" for _ in groups), page.cell(variable.name, None, "smd", PREFERRED)]),
                "heading",
            )
        )
        for level in [*variable.level_names, MISSING]:
            labels = [f"{level}: {name}" for name in groups]
            if not any(page.get(variable.name, label, "n", PREFERRED) for label in labels):
                continue
            rows.append(
                Row(
                    level_label(level),
                    cells(
                        [
                            *(
                                f"{page.cell(variable.name, label, 'n', PREFERRED)} "
                                f"({page.cell(variable.name, label, 'pct', PREFERRED)})"
                                for label in labels
                            ),
                            "",
                        ]
                    ),
                    "level",
                )
            )
    return Table(
        analysis.exhibit,
        number_of(analysis.exhibit),
        analysis.title,
        [
            [
                Cell("Characteristic"),
                *(
                    Cell(
                        sized(level_label(name), page.cell(group.name, name, "n", PREFERRED))
                        + ", n (%)"
                    )
                    for name in groups
                ),
                Cell("Standardised difference"),
            ]
        ],
        rows,
        [
            "Standardised difference: over all known levels, without sign"
            + (", the largest of any two groups" if len(groups) > 2 else "")
            + f"; from {IMBALANCE:g} on "
            "the groups count as unlike. No P values: the groups were not randomised, so there is "
            "no hypothesis of chance to test.",
            *cautions(study, analysis.exhibit),
        ],
    )


def missingness_table(study: Study, book: Book, analysis: Analysis) -> Table:
    """Patients whose level is not known, by variable and group."""
    page = book.page(analysis.exhibit, analysis.population)
    columns = page.levels("patients", "n", PREFERRED)
    rows = []
    complete = []
    for variable in study.variables.values():
        name = f"{MISSING}: {variable.name}"
        if page.get(name, ALL_PATIENTS, "n", PREFERRED) is None:
            continue
        if page.value(name, ALL_PATIENTS, "n") == 0:
            complete.append(variable.label)
            continue
        rows.append(
            Row(
                variable.label,
                cells(
                    f"{page.cell(name, column, 'n', PREFERRED)} "
                    f"({page.cell(name, column, 'pct', PREFERRED)})"
                    for column in columns
                ),
            )
        )
    if not rows:
        rows = [Row("No variable has a missing value", cells(NOTHING for _ in columns))]
    known = f"Known of every patient: {', '.join(complete)}." if complete else ""
    return Table(
        analysis.exhibit,
        number_of(analysis.exhibit),
        analysis.title,
        [
            [
                Cell("Not known, n (%)"),
                *(
                    Cell(sized(level_label(column), page.cell("patients", column, "n", PREFERRED)))
                    for column in columns
                ),
            ]
        ],
        rows,
        [note for note in (known, *cautions(study, analysis.exhibit)) if note],
    )
