"""Tables 6 and 7: univariable analyses and the multivariable model."""

from __future__ import annotations

from analysis.book import Book, BookPage, Number
from analysis.layout import (
    ABBREVIATIONS,
    PENALISED,
    Cell,
    Row,
    Table,
    cautions,
    cells,
    equals,
    level_label,
    number_of,
    term_label,
)
from analysis.ledger import FIRTH_HAZARD_RATIO, HAZARD_RATIO, MEDIAN, PREFERRED
from analysis.multivariable import SELECTED_ANEW
from analysis.study import Analysis, Study
from analysis.survival_tables import (
    MEAN_NOTE,
    SMALL_MEAN_NOTE,
    mean_difference,
    preferred_p,
    test_note,
)
from expectations.pages import counted


def univariable_table(study: Study, book: Book, analysis: Analysis) -> Table:
    """Table 6."""
    page = book.page(analysis.exhibit, analysis.population)
    endpoint = str(analysis.endpoint).lower()
    rows: list[Row] = []
    for variable in study.variables.values():
        if not variable.in_univariable:
            continue
        name = f"{endpoint} by {variable.name}"
        rows.append(
            Row(
                variable.label,
                [
                    *cells(["", "", "", "", ""]),
                    *cells(
                        [
                            page.cell(name, None, "logrank_p"),
                            preferred_p(page, name, None),
                            page.cell(name, None, "logrank_p_holm", PREFERRED),
                            mean_difference(page, name, None),
                        ]
                    ),
                ],
                "heading",
            )
        )
        rows += [
            Row(
                level_label(level),
                cells(
                    [
                        page.cell(name, level, "n"),
                        page.cell(name, level, "events_n"),
                        page.cell(name, level, MEDIAN.value),
                        page.limits(name, level, MEDIAN),
                        page.limits(name, level, MEDIAN, PREFERRED),
                        "",
                        "",
                        "",
                        "",
                    ]
                ),
                "level",
            )
            for level in variable.level_names
        ]
    return Table(
        analysis.exhibit,
        number_of(analysis.exhibit),
        analysis.title,
        [
            [
                Cell("Variable"),
                Cell("Patients"),
                Cell("Deaths" if endpoint == "os" else "Events"),
                Cell("Median, months"),
                Cell("95% CI, SPSS"),
                Cell("95% CI, preferred"),
                Cell("P, SPSS"),
                Cell("P, preferred"),
                Cell("P, Holm"),
                Cell("Restricted mean difference, months (95%\N{NO-BREAK SPACE}CI); P"),
            ]
        ],
        rows,
        [
            test_note(),
            MEAN_NOTE,
            SMALL_MEAN_NOTE,
            ABBREVIATIONS,
            *cautions(study, analysis.exhibit),
        ],
    )


def cox_table(study: Study, book: Book, analysis: Analysis) -> Table:
    """Table 7: three fits of one model."""
    page = book.page(analysis.exhibit, analysis.population)
    model = f"{str(analysis.endpoint).lower()} cox"
    rows = []
    for label, name, contrast in cox_terms(study, book, analysis):
        rows.append(
            Row(
                label,
                cells(
                    [
                        page.with_limits(name, contrast, HAZARD_RATIO),
                        page.cell(name, contrast, "p"),
                        page.with_limits(name, contrast, HAZARD_RATIO, PREFERRED),
                        page.cell(name, contrast, "p", PREFERRED),
                        page.with_limits(name, contrast, FIRTH_HAZARD_RATIO, PREFERRED),
                        page.cell(name, contrast, "firth_p", PREFERRED),
                        page.cell(name, contrast, "ph_p", PREFERRED),
                    ]
                ),
            )
        )
    return Table(
        analysis.exhibit,
        number_of(analysis.exhibit),
        analysis.title,
        [
            [
                Cell("Comparison", rows=2),
                Cell("SPSS (Breslow)", span=2),
                Cell("Preferred (Efron)", span=2),
                Cell("Firth’s penalty", span=2),
                Cell("P, proportional hazards", rows=2),
            ],
            [Cell(text) for _ in range(3) for text in ("HR (95%\N{NO-BREAK SPACE}CI)", "P")],
        ],
        rows,
        [
            f"{counted(page.cell(model, None, 'n'), 'patient')} with every covariate known "
            f"({page.cell(model, None, 'incomplete_n')} left out), "
            f"{counted(page.cell(model, None, 'events_n'), 'event')}"
            f"{_per_coefficient(page, model)}. {_diagnostics(page, model)}",
            "HR, hazard ratio, adjusted for the other rows. Intervals and P: Wald for Breslow and "
            "Efron, profile penalised likelihood for Firth; the figure shows Efron’s, or "
            f"({PENALISED}) Firth’s where the others have no finite estimate.",
            ABBREVIATIONS,
            *cautions(study, analysis.exhibit),
        ],
    )


def _per_coefficient(page: BookPage, model: str) -> str:
    number = page.get(model, None, "events_per_variable", PREFERRED)
    return f": {number.cell} events per coefficient" if number else ""


def _diagnostics(page: BookPage, model: str) -> str:
    if page.get(model, None, "likelihood_ratio_p", PREFERRED) is None:
        return (
            "Likelihood ratio, concordance and proportional hazards are not given of a model "
            "without a finite estimate of every coefficient."
        )
    return (
        f"Preferred fit: likelihood ratio P "
        f"{equals(page.cell(model, None, 'likelihood_ratio_p', PREFERRED))}, Harrell’s C "
        f"{page.cell(model, None, 'concordance', PREFERRED)}"
        f"{_corrected(page.get(model, None, 'concordance_corrected', PREFERRED))}, global test of "
        f"proportional hazards P {equals(page.cell(model, None, 'ph_p', PREFERRED))}."
    )


def _corrected(concordance: Number | None) -> str:
    if concordance is None:
        return ""
    how = ", variables selected anew" if SELECTED_ANEW in concordance.method else ""
    left_out = f"; {concordance.note}" if concordance.note else ""
    return f" ({concordance.cell} corrected for optimism by the bootstrap{how}{left_out})"


def cox_terms(study: Study, book: Book, analysis: Analysis) -> list[tuple[str, str, str]]:
    """Label, variable and contrast of every coefficient of the model, in the study's order."""
    page = book.page(analysis.exhibit, analysis.population)
    model = f"{str(analysis.endpoint).lower()} cox"
    return [
        (term_label(variable, contrast), f"{model}: {variable.name}", contrast)
        for variable in study.variables.values()
        if variable.cox_reference
        for level in variable.levels
        for contrast in page.levels(f"{model}: {variable.name}", HAZARD_RATIO.value)
        if contrast.startswith(f"{level.short} vs ")
    ]
