"""Tables 1 to 7 and those under the figures, laid out from the book of estimates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from analysis.book import NOTHING, Book, BookPage
from analysis.descriptive import DISEASE_CONTROL, MISSING, OBJECTIVE_RESPONSES
from analysis.group_tests import FEW_EVENTS, SMALL_GROUP
from analysis.ledger import (
    FIRTH_HAZARD_RATIO,
    HAZARD_RATIO,
    MEAN_DIFFERENCE,
    MEDIAN,
    PREFERRED,
)
from analysis.study import Analysis, Study
from analysis.survival import ALL_GROUPS

ABBREVIATIONS = (
    "CI, confidence interval. NR, not reached. NE, not estimable. "
    f"{NOTHING}, none or not applicable."
)


@dataclass(frozen=True)
class Cell:
    """One cell."""

    text: str
    span: int = 1
    strong: bool = False


@dataclass(frozen=True)
class Row:
    """One row: a heading over several rows, a level under a heading, or a plain row."""

    label: str
    cells: Sequence[Cell] = ()
    kind: str = "plain"


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes
    ----------
    head : rows of column headings; the first cell of the first row heads the row labels
    width : int
        Columns, row labels included.
    """

    identifier: str
    number: str
    title: str
    head: Sequence[Sequence[Cell]]
    rows: Sequence[Row]
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def width(self) -> int:
        """Columns, row labels included."""
        return sum(cell.span for cell in self.head[0])


def number_of(exhibit: str) -> str:
    """Number of an exhibit: table3 is Table 3, fig2 is Figure 2."""
    for prefix, name in (("table", "Table"), ("fig", "Figure")):
        if exhibit.startswith(prefix):
            return f"{name} {exhibit.removeprefix(prefix)}"
    return exhibit


def characteristics_table(study: Study, book: Book, analyses: Sequence[Analysis]) -> Table:
    """Table 1."""
    main = next(analysis for analysis in analyses if analysis.kind == "characteristics")
    within = [analysis for analysis in analyses if analysis.kind == "count_within"]
    page = book.page(main.exhibit, main.population)
    rows: list[Row] = []
    total = 0
    for variable in study.variables.values():
        if not variable.in_table1:
            continue
        summary = _summary_of(study, book, variable.name)
        rows.append(Row(variable.label, _cells([summary]) if summary else (), "heading"))
        for level in page.levels(variable.name, "pct"):
            number = page.get(variable.name, level, "n")
            total = number.n or 0 if number else total
            rows.append(
                Row(
                    level_label(level),
                    _cells([_share(page, variable.name, level)]),
                    "level",
                )
            )
            rows += [
                Row(
                    f"of these, {detail.detail_level}",
                    _cells([page.cell(variable.name, f"{level}, {detail.detail_level}", "n")]),
                    "sublevel",
                )
                for detail in within
                if detail.group_variable == variable.name and level != MISSING
            ]
    return Table(
        main.exhibit,
        number_of(main.exhibit),
        main.title,
        [[Cell("Characteristic"), Cell(f"Patients (N = {total}), n (%)")]],
        rows,
        cautions(study, main.exhibit),
    )


def _summary_of(study: Study, book: Book, variable: str) -> str | None:
    """Median and range of a variable that the study also gives as a number."""
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
                    _cells(page.cell(group.name, f"{level}: {value}", "n") for level in levels),
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
    rows = []
    for name in names:
        is_rate = bool(levels) and page.get(name, levels[0], "pct_lower", PREFERRED) is not None
        has_interval = is_rate or any(
            page.get(name, level, "pct_lower", PREFERRED) for level in levels
        )
        rows.append(
            Row(
                name,
                _cells(_share(page, name, level) for level in levels),
                "heading" if has_interval else "plain",
            )
        )
        if has_interval:
            rows.append(
                Row(
                    "exact 95% CI, %",
                    _cells(
                        f"{page.cell(name, level, 'pct_lower', PREFERRED)}{NOTHING}"
                        f"{page.cell(name, level, 'pct_upper', PREFERRED)}"
                        if page.get(name, level, "pct_lower", PREFERRED)
                        else NOTHING
                        for level in levels
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
                Cell("Response, n (%)"),
                *(
                    Cell(f"{level_label(level)} (N = {page.cell(group.name, level, 'n')})")
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


def adverse_event_table(study: Study, book: Book, analysis: Analysis) -> Table:
    """Table 5: events, and patients in brackets."""
    page = book.page(analysis.exhibit, analysis.population)
    group = study.variable(analysis.group_variable)
    levels = page.levels(group.name)
    cells: dict[str, list[str]] = {}
    for name in book.variables(page.exhibit, page.population):
        category, separator, grade = name.partition(" grade ")
        if separator:
            cells.setdefault(category, []).append(grade)
    grades = next(iter(cells.values()), [])
    rows = [
        Row(
            category[:1].upper() + category[1:],
            _cells(
                _events(page, f"{category} grade {grade}", level)
                for level in levels
                for grade in grades
            ),
        )
        for category in cells
    ]
    return Table(
        analysis.exhibit,
        number_of(analysis.exhibit),
        analysis.title,
        [
            [
                Cell("Events (patients)"),
                *(
                    Cell(
                        f"{level_label(level)} (N = {page.cell(group.name, level, 'n')})",
                        span=len(grades),
                    )
                    for level in levels
                ),
            ],
            [
                Cell(""),
                *(Cell(f"grade {grade.replace('-', NOTHING)}") for _ in levels for grade in grades),
            ],
        ],
        rows,
        [
            *cautions(study, analysis.exhibit),
            "Events of first-line treatment that nobody judged unrelated to it; an event that "
            "nobody judged counts. In brackets the patients with at least one.",
        ],
    )


def _events(page: BookPage, variable: str, level: str) -> str:
    events = page.cell(variable, level, "n")
    if events == "0":
        return events
    return f"{events} ({page.cell(variable, level, 'patients_n', PREFERRED)})"


def medians_table(study: Study, book: Book, analyses: Sequence[Analysis]) -> Table:
    """The numbers behind a survival figure."""
    exhibit = analyses[0].exhibit
    months = _landmarks(book, analyses)
    rows: list[Row] = []
    for analysis in analyses:
        page = book.page(exhibit, analysis.population)
        variable = str(analysis.endpoint).lower()
        groups = page.levels(variable)
        if len(analyses) > 1:
            rows.append(Row(endpoint_label(analysis), (), "heading"))
        for group in groups:
            rows.append(
                Row(
                    level_label(group),
                    _cells(
                        [
                            page.cell(variable, group, "n"),
                            page.cell(variable, group, "events_n"),
                            page.cell(variable, group, MEDIAN.value),
                            page.limits(variable, group, MEDIAN),
                            page.limits(variable, group, MEDIAN, PREFERRED),
                            *(_survival_share(page, variable, group, month) for month in months),
                        ]
                    ),
                    "level" if len(analyses) > 1 else "plain",
                )
            )
    return Table(
        f"{exhibit}-medians",
        "",
        f"Medians and survival behind {number_of(exhibit)}",
        [
            [
                Cell("Group"),
                Cell("Patients"),
                Cell("Events"),
                Cell("Median, months"),
                Cell("95% CI, as the study computed"),
                Cell("95% CI, preferred"),
                *(Cell(f"At {month:g} months, % (95% CI)") for month in months),
            ]
        ],
        rows,
        [
            ABBREVIATIONS,
            "As the study computed: SPSS, median \N{PLUS-MINUS SIGN} 1.96 standard errors. "
            "Preferred: Brookmeyer\N{EN DASH}Crowley limits from the log\N{EN DASH}log band.",
        ],
    )


def _landmarks(book: Book, analyses: Sequence[Analysis]) -> list[float]:
    """Up to two times that a figure's survival shares are given at: whole years first."""
    found: set[float] = set()
    for analysis in analyses:
        page = book.page(analysis.exhibit, analysis.population)
        variable = str(analysis.endpoint).lower()
        for group in page.levels(variable):
            for month in (6, 12, 24, 36, 48, 60):
                if page.get(variable, group, f"survival_pct_{month}_months", PREFERRED):
                    found.add(float(month))
    years = [month for month in (12.0, 24.0, 36.0) if month in found]
    return (years or sorted(found))[:2]


def _survival_share(page: BookPage, variable: str, group: str, month: float) -> str:
    name = f"survival_pct_{month:g}_months"
    if page.get(variable, group, name, PREFERRED) is None:
        return NOTHING
    lower = page.cell(variable, group, f"{name}_lower", PREFERRED)
    upper = page.cell(variable, group, f"{name}_upper", PREFERRED)
    return f"{page.cell(variable, group, name, PREFERRED)} ({lower}{NOTHING}{upper})"


def tests_table(study: Study, book: Book, analyses: Sequence[Analysis]) -> Table | None:
    """The comparisons of a survival figure."""
    exhibit = analyses[0].exhibit
    rows: list[Row] = []
    has_ratio = has_mean = has_holm = False
    for analysis in analyses:
        page = book.page(exhibit, analysis.population)
        variable = str(analysis.endpoint).lower()
        contrasts = [
            contrast
            for contrast in _contrasts(study, analysis)
            if page.get(variable, contrast, "logrank_p")
        ]
        if contrasts and len(analyses) > 1:
            rows.append(Row(endpoint_label(analysis), (), "heading"))
        for contrast in contrasts:
            ratio = page.with_limits(variable, contrast, HAZARD_RATIO, PREFERRED)
            mean = mean_difference(page, variable, contrast)
            holm = page.cell(variable, contrast, "logrank_p_holm", PREFERRED)
            has_ratio |= ratio != NOTHING
            has_mean |= mean != NOTHING
            has_holm |= holm != NOTHING
            rows.append(
                Row(
                    level_label(contrast),
                    _cells(
                        [
                            page.cell(variable, contrast, "logrank_chi2"),
                            page.cell(variable, contrast, "logrank_p"),
                            _preferred_p(page, variable, contrast),
                            holm,
                            ratio,
                            page.cell(variable, contrast, "ph_p", PREFERRED),
                            mean,
                        ]
                    ),
                    "level" if len(analyses) > 1 else "plain",
                )
            )
    if not rows:
        return None
    keep = [True, True, True, has_holm, has_ratio, has_ratio, has_mean]
    head = [
        Cell("\N{GREEK SMALL LETTER CHI}\N{SUPERSCRIPT TWO}, log-rank"),
        Cell("P, as the study computed"),
        Cell("P, preferred"),
        Cell("P, Holm"),
        Cell("Hazard ratio (95% CI)"),
        Cell("P, proportional hazards"),
        Cell("Restricted mean difference, months (95% CI); P"),
    ]
    notes = [test_note()]
    if has_mean:
        notes.append(MEAN_NOTE)
    return Table(
        f"{exhibit}-tests",
        "",
        f"Comparisons in {number_of(exhibit)}",
        [[Cell("Comparison"), *(cell for cell, kept in zip(head, keep, strict=True) if kept)]],
        [
            Row(
                row.label,
                [cell for cell, kept in zip(row.cells, keep, strict=True) if kept]
                if row.cells
                else (),
                row.kind,
            )
            for row in rows
        ],
        notes,
    )


MEAN_NOTE = (
    "Restricted mean difference: area between the curves up to the longest time that both groups "
    "are observed, first group minus second, given where the curves cross."
)


def test_note() -> str:
    """What the preferred P is."""
    return (
        "Preferred P: permutation log-rank test, marked p, where a group has fewer than "
        f"{SMALL_GROUP} patients or fewer than {FEW_EVENTS} events; else the chi-square test. "
        "Holm: the preferred P adjusted for all comparisons of the same family."
    )


def _contrasts(study: Study, analysis: Analysis) -> list[str]:
    found = [ALL_GROUPS, *([analysis.contrast] if analysis.contrast else [])]
    if analysis.pairwise:
        levels = study.variable(analysis.group_variable).level_names
        found += [f"{a} vs {b}" for a, b in combinations(levels, 2)]
    return found


def mean_difference(page: BookPage, variable: str, level: str | None) -> str:
    """A restricted mean difference with interval and P, or a dash."""
    if page.get(variable, level, MEAN_DIFFERENCE.value, PREFERRED) is None:
        return NOTHING
    return (
        f"{page.with_limits(variable, level, MEAN_DIFFERENCE, PREFERRED)}; "
        f"{page.cell(variable, level, 'rmst_p', PREFERRED)}"
    )


def _preferred_p(page: BookPage, variable: str, level: str | None) -> str:
    number = page.get(variable, level, "logrank_p", PREFERRED)
    if number is None:
        return NOTHING
    return f"{number.cell}\N{NO-BREAK SPACE}p" if "permutation" in number.method else number.cell


def exposure_table(study: Study, book: Book, analysis: Analysis) -> Table | None:
    """The ever/never comparison, and the same question with exposure from the first dose on."""
    page = book.page(analysis.exhibit, analysis.population)
    variable, contrast = str(analysis.endpoint).lower(), str(analysis.contrast)
    dependent = f"{variable} time-dependent"
    if page.get(dependent, contrast, HAZARD_RATIO.value, PREFERRED) is None:
        return None

    def row(label: str, name: str, patients: str) -> Row:
        number = page.get(name, contrast, HAZARD_RATIO.value, PREFERRED)
        return Row(
            label,
            _cells(
                [
                    patients,
                    str(number.events) if number and number.events is not None else NOTHING,
                    page.with_limits(name, contrast, HAZARD_RATIO, PREFERRED),
                    page.cell(name, contrast, "p", PREFERRED),
                ]
            ),
        )

    given = study.variable(analysis.group_variable).argument
    naive = page.get(variable, contrast, HAZARD_RATIO.value, PREFERRED)
    everybody = str(naive.n) if naive else NOTHING
    rows = [
        row(
            "Ever against never, from the start of line 1 (immortal time counted)",
            variable,
            everybody,
        ),
        row(f"Exposed from the first dose of {given} on (time-dependent)", dependent, everybody),
    ]
    for months in analysis.landmark_months:
        name = f"{variable} landmark {months:g} months"
        with_, without, lost = (
            page.cell(name, contrast, statistic, PREFERRED)
            for statistic in ("exposed_n", "unexposed_n", "excluded_n")
        )
        rows.append(
            row(
                f"Landmark at {months:g} months: given by then or not",
                name,
                f"{with_} with, {without} without ({lost} no longer observed)",
            )
        )
    return Table(
        f"{analysis.exhibit}-exposure",
        "",
        f"The comparison of {number_of(analysis.exhibit)} without immortal time",
        [
            [
                Cell("Analysis"),
                Cell("Patients"),
                Cell("Deaths"),
                Cell("Hazard ratio (95% CI)"),
                Cell("P"),
            ]
        ],
        rows,
        [
            f"A patient must live to the first dose of {given} to be counted as treated: median "
            f"{page.cell(dependent, contrast, 'time_to_exposure_median_months', PREFERRED)} months "
            "after the start of line 1. Counting from line 1 credits the drug with those months. "
            "Cox models with Efron's ties; robust standard error in the time-dependent model."
        ],
    )


def delayed_entry_table(study: Study, book: Book, analyses: Sequence[Analysis]) -> Table | None:
    """Medians with patients counted from the day their eligibility was known."""
    rows = []
    for analysis in analyses:
        if analysis.group_variable is not None:
            continue
        page = book.page(analysis.exhibit, analysis.population)
        variable = str(analysis.endpoint).lower()
        name, label = f"{variable} delayed entry", analysis.contrast or analysis.population
        if page.get(name, label, MEDIAN.value, PREFERRED) is None:
            continue
        rows.append(
            Row(
                endpoint_label(analysis),
                _cells(
                    [
                        page.with_limits(variable, label, MEDIAN, PREFERRED),
                        page.with_limits(name, label, MEDIAN, PREFERRED),
                        page.cell(name, label, "late_n", PREFERRED),
                        page.cell(name, label, "excluded_n", PREFERRED),
                    ]
                ),
            )
        )
    if not rows:
        return None
    exhibit = analyses[0].exhibit
    return Table(
        f"{exhibit}-entry",
        "",
        f"Sensitivity of {number_of(exhibit)} to when eligibility was known",
        [
            [
                Cell("Endpoint"),
                Cell("Median, months (95% CI), from line 1"),
                Cell("Median, months (95% CI), delayed entry"),
                Cell("Patients known later"),
                Cell("Left out"),
            ]
        ],
        rows,
        [
            "Delayed entry: a patient is at risk only from the report of the last biomarker that "
            "decided eligibility, since nobody who died before it could have been included. Left "
            "out: the interval had ended by then.",
            ABBREVIATIONS,
        ],
    )


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
                    *_cells(["", "", "", "", ""]),
                    *_cells(
                        [
                            page.cell(name, None, "logrank_p"),
                            _preferred_p(page, name, None),
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
                _cells(
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
                Cell("95% CI, as the study computed"),
                Cell("95% CI, preferred"),
                Cell("P, as the study computed"),
                Cell("P, preferred"),
                Cell("P, Holm"),
                Cell("Restricted mean difference, months (95% CI); P"),
            ]
        ],
        rows,
        [test_note(), MEAN_NOTE, ABBREVIATIONS, *cautions(study, analysis.exhibit)],
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
                _cells(
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
                Cell("Comparison"),
                Cell("As the study computed (Breslow)", span=2),
                Cell("Preferred (Efron)", span=2),
                Cell("Firth's penalty", span=2),
                Cell("Proportional hazards"),
            ],
            [
                Cell(""),
                *(Cell(text) for _ in range(3) for text in ("HR (95% CI)", "P")),
                Cell("P"),
            ],
        ],
        rows,
        [
            f"{page.cell(model, None, 'n')} patients with every covariate known "
            f"({page.cell(model, None, 'incomplete_n')} left out), "
            f"{page.cell(model, None, 'events_n')} events: "
            f"{page.cell(model, None, 'events_per_variable', PREFERRED)} events per coefficient. "
            "Preferred fit: likelihood ratio "
            f"P {equals(page.cell(model, None, 'likelihood_ratio_p', PREFERRED))}, Harrell's C "
            f"{page.cell(model, None, 'concordance', PREFERRED)}, global test of proportional "
            f"hazards P {equals(page.cell(model, None, 'ph_p', PREFERRED))}.",
            "HR, hazard ratio, adjusted for the other rows. Intervals and P: Wald for Breslow and "
            "Efron, profile penalised likelihood for Firth.",
            ABBREVIATIONS,
            *cautions(study, analysis.exhibit),
        ],
    )


def cox_terms(study: Study, book: Book, analysis: Analysis) -> list[tuple[str, str, str]]:
    """Label, variable and contrast of every coefficient of the model, in the study's order."""
    page = book.page(analysis.exhibit, analysis.population)
    model = f"{str(analysis.endpoint).lower()} cox"
    return [
        (f"{variable.label}: {contrast}", f"{model}: {variable.name}", contrast)
        for variable in study.variables.values()
        if variable.cox_reference
        for contrast in page.levels(f"{model}: {variable.name}", HAZARD_RATIO.value)
    ]


def endpoint_label(analysis: Analysis) -> str:
    """Endpoint in words."""
    return {"OS": "Overall survival", "PFS": "Progression-free survival"}.get(
        str(analysis.endpoint), str(analysis.endpoint)
    )


def equals(p_value: str) -> str:
    """P with its sign: = 0.016, < 0.001."""
    return p_value if p_value.startswith(("<", ">")) else f"= {p_value}"


def _share(page: BookPage, variable: str, level: str) -> str:
    return f"{page.cell(variable, level, 'n')} ({page.cell(variable, level, 'pct')})"


def level_label(level: str) -> str:
    """A level as a table prints it."""
    label = level.replace(">=", "\N{GREATER-THAN OR EQUAL TO}")
    return label[:1].upper() + label[1:]


def _cells(texts: Iterable[str]) -> list[Cell]:
    return [Cell(text) for text in texts]


def cautions(study: Study, exhibit: str) -> list[str]:
    """What the reader of an exhibit should bear in mind."""
    labels = {name: variable.label for name, variable in study.variables.items()}
    return [
        f"{labels[caution.variable]}: {caution.text}"
        if caution.variable in labels
        else caution.text
        for caution in study.cautions
        if caution.exhibit == exhibit
    ]
