"""Exhibits on confounding: weighting with its balance, E-values, and imputed covariates."""

from __future__ import annotations

from analysis.book import NOTHING, Book
from analysis.confounding import AFTER, BALANCE, BEFORE, UNWEIGHTED, WEIGHTED
from analysis.immortal_time import EVER_GIVEN
from analysis.layout import (
    ABBREVIATIONS,
    PENALISED,
    Cell,
    Row,
    Table,
    cautions,
    cells,
    level_label,
    number_of,
    term_label,
)
from analysis.ledger import HAZARD_RATIO, PREFERRED
from analysis.love_plot import Balance, love_plot
from analysis.missing_covariates import COMPLETE, IMPUTED
from analysis.pictures import Picture
from analysis.study import Analysis, Study
from analysis.survival import SIGNIFICANCE_LEVEL
from analysis.survival_tables import RATIO_NOTE, marked_ratio
from expectations.pages import counted

E_VALUE, E_VALUE_LIMIT = "e_value", "e_value_limit"


def love_picture(study: Study, book: Book, analysis: Analysis) -> Picture | None:
    """The balance before and after weighting, or None where there are no weights."""
    page = book.page(analysis.exhibit, analysis.population)
    names = [
        name
        for name in book.variables(analysis.exhibit, analysis.population)
        if name.startswith(BALANCE)
    ]
    if not names:
        return None
    balances = [
        Balance(
            study.variable(name.removeprefix(BALANCE)).label,
            page.value(name, BEFORE, "smd"),
            page.value(name, AFTER, "smd"),
            (page.cell(name, BEFORE, "smd", PREFERRED), page.cell(name, AFTER, "smd", PREFERRED)),
        )
        for name in names
    ]
    words = "; ".join(
        f"{row.label}: {row.shown[0]} before, {row.shown[1]} after" for row in balances
    )
    return love_plot(
        f"{analysis.exhibit}-balance",
        "Balance of the covariates before and after weighting",
        balances,
        f"Standardised differences without sign. {words}.",
    )


def weighting_table(study: Study, book: Book, analysis: Analysis) -> Table:
    """Hazard ratios with and without weights, and what the weights are like."""
    page = book.page(analysis.exhibit, analysis.population)
    endpoint, contrast = str(analysis.endpoint).lower(), str(analysis.contrast)
    group = study.variable(analysis.group_variable)
    rows = [
        Row(
            label,
            cells(
                [
                    marked_ratio(page, f"{endpoint} {which}", contrast),
                    page.cell(f"{endpoint} {which}", contrast, "p", PREFERRED),
                ]
            ),
        )
        for label, which in (
            ("Not weighted", UNWEIGHTED),
            ("Weighted, robust standard error", WEIGHTED),
        )
    ]
    groups = "; ".join(
        f"{name}: {counted(page.cell(group.name, name, 'n', PREFERRED), 'patient')}, effective "
        "sample size "
        f"{page.cell(group.name, name, 'effective_sample_size', PREFERRED)}, weights "
        f"{page.cell(group.name, name, 'smallest_weight', PREFERRED)} to "
        f"{page.cell(group.name, name, 'largest_weight', PREFERRED)}"
        for name in page.levels(group.name, "effective_sample_size", PREFERRED)
    )
    weighted = page.get(f"{endpoint} {WEIGHTED}", contrast, HAZARD_RATIO.value, PREFERRED)
    covariates = ", ".join(
        study.variable(name).label
        for name in (weighted.parameters["covariates"] if weighted else ())
    )
    propensity = f"Propensity: logistic model of {covariates}. " if covariates else ""
    note = level_label((weighted.note or "").rstrip(".")) if weighted else ""
    left_out = page.cell(endpoint, contrast, "incomplete_n", PREFERRED)
    return Table(
        f"{analysis.exhibit}-ratios",
        "",
        f"Hazard ratios behind {number_of(analysis.exhibit)}",
        [[Cell(level_label(contrast)), Cell("Hazard ratio (95%\N{NO-BREAK SPACE}CI)"), Cell("P")]],
        rows,
        [
            *([f"{level_label(groups)}."] if groups else []),
            f"{propensity}Left out for a missing value: {left_out}. {note}.",
            RATIO_NOTE,
            ABBREVIATIONS,
        ],
    )


def e_value_table(study: Study, book: Book, analysis: Analysis) -> Table:
    """E-values of the hazard ratios of one comparison."""
    page = book.page(analysis.exhibit, analysis.population)
    groups = study.variables.get(str(analysis.group_variable))
    is_ever_given = groups is not None and groups.rule == EVER_GIVEN
    rows = []
    for name in book.variables(analysis.exhibit, analysis.population):
        for level in page.levels(name, E_VALUE, PREFERRED):
            number = page.get(name, level, E_VALUE, PREFERRED)
            if number is None:
                continue
            source = str(number.parameters["source_exhibit"])
            origin = book.page(source, str(number.parameters["source_population"]))
            variable = name.partition(": ")[2]
            rows.append(
                Row(
                    f"{number_of(source)}: {_analysis(variable, level, analysis, is_ever_given)}",
                    cells(
                        [
                            marked_ratio(origin, variable, level),
                            number.cell,
                            page.cell(name, level, E_VALUE_LIMIT, PREFERRED),
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
                Cell("Analysis"),
                Cell("Hazard ratio (95%\N{NO-BREAK SPACE}CI)"),
                Cell("E-value"),
                Cell("E-value of the limit nearer to 1"),
            ]
        ]
        if rows
        else [[Cell("Analysis")]],
        rows,
        [
            "E-value: the risk ratio that an unmeasured confounder would need with both the "
            "treatment and the outcome, beyond the measured covariates, to move the estimate (or "
            "its limit) to 1 (VanderWeele and Ding 2017). 1: the interval includes 1 already.",
            *cautions(study, analysis.exhibit),
            RATIO_NOTE,
        ],
    )


def _analysis(variable: str, contrast: str, analysis: Analysis, is_ever_given: bool) -> str:
    """An analysis of a comparison in words."""
    what = variable.removeprefix(str(analysis.endpoint).lower()).strip()
    return {
        "": f"{'ever against never' if is_ever_given else contrast}, "
        f"from line {analysis.line_number}",
        "time-dependent": "exposed from the first dose on",
        "time-dependent delayed entry": "exposed from the first dose on, at risk once eligible",
        WEIGHTED: "weighted by the propensity",
    }.get(what, what)


def imputation_table(study: Study, book: Book, analysis: Analysis) -> Table:
    """The multivariable model on complete cases and imputed."""
    page = book.page(analysis.exhibit, analysis.population)
    model = f"{str(analysis.endpoint).lower()} cox"
    incomplete = page.cell(model, None, "incomplete_n", PREFERRED)
    rows = [
        Row(
            term_label(variable, contrast),
            cells(
                text
                for which in (COMPLETE, IMPUTED)
                for text in (
                    page.with_limits(
                        f"{model} {which}: {variable.name}", contrast, HAZARD_RATIO, PREFERRED
                    ),
                    page.cell(f"{model} {which}: {variable.name}", contrast, "p", PREFERRED),
                )
            ),
        )
        for variable in study.variables.values()
        for contrast in page.levels(
            f"{model} {IMPUTED}: {variable.name}", HAZARD_RATIO.value, PREFERRED
        )
    ]
    found = page.get(model, IMPUTED, HAZARD_RATIO.value, PREFERRED)
    first = next(
        (
            number.method
            for name in book.variables(analysis.exhibit, analysis.population)
            for number in book.find(
                analysis.exhibit, analysis.population, name, HAZARD_RATIO.value, PREFERRED
            )
            if IMPUTED in name
        ),
        "",
    )
    if not rows:
        why = found.note if found else "Every covariate of the model is known of every patient"
        rows = [Row(f"{level_label(str(why)).rstrip('.')}.", cells(NOTHING for _ in range(4)))]
    sizes = [
        f"{level_label(which)}: {counted(page.cell(model, which, 'n', PREFERRED), 'patient')}, "
        f"{counted(page.cell(model, which, 'events_n', PREFERRED), 'event')}."
        for which in (COMPLETE, IMPUTED)
        if page.get(model, which, "n", PREFERRED)
    ]
    without = page.get(model, COMPLETE, HAZARD_RATIO.value, PREFERRED)
    if without and without.note:
        sizes.append(f"No model of the complete cases. {without.note}")
    return Table(
        analysis.exhibit,
        number_of(analysis.exhibit),
        analysis.title,
        [
            [
                Cell("Comparison", rows=2),
                Cell("Complete cases", span=2),
                Cell("Multiple imputation", span=2),
            ],
            [Cell(text) for _ in range(2) for text in ("HR (95%\N{NO-BREAK SPACE}CI)", "P")],
        ],
        rows,
        [
            f"Patients with a missing covariate of the model: {incomplete}. {' '.join(sizes)}",
            *([f"{level_label(first)}."] if first else []),
            "Imputation assumes that, given what is observed, whether a value is missing does not "
            "depend on the value; the data cannot show that.",
            ABBREVIATIONS,
            *cautions(study, analysis.exhibit),
        ],
    )


def univariable_terms(study: Study, book: Book, analysis: Analysis) -> list[tuple[str, str, str]]:
    """Label, variable and contrast of every ratio of the univariable forest plot."""
    page = book.page(analysis.exhibit, analysis.population)
    prefix = f"{str(analysis.endpoint).lower()} alone: "
    return [
        (term_label(variable, contrast), f"{prefix}{variable.name}", contrast)
        for variable in study.variables.values()
        for contrast in page.levels(f"{prefix}{variable.name}", HAZARD_RATIO.value, PREFERRED)
    ]


UNIVARIABLE_LEGEND = (
    "Each variable in a Cox model of its own, Efron’s ties; not adjusted for anything. Blue: P "
    f"< {SIGNIFICANCE_LEVEL:g}. An arrow: the interval goes on beyond the axis. {PENALISED} "
    f"{RATIO_NOTE.partition(PENALISED)[2].strip()}"
)
