"""The tables under the survival figures: medians, comparisons, sensitivity analyses."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from analysis.book import NOTHING, Book, BookPage, Number
from analysis.cumulative_incidence import GRAY, cause_name, causes, incidence_at
from analysis.curves import SURVIVAL_MONTHS, survival_at
from analysis.group_tests import CROSSING_SHARE, FEW_EVENTS, FOLLOWED_SHARE, SMALL_GROUP
from analysis.layout import (
    ABBREVIATIONS,
    PENALISED,
    PERMUTED,
    Cell,
    Row,
    Table,
    cells,
    endpoint_label,
    equals,
    level_label,
    number_of,
)
from analysis.ledger import (
    HAZARD_RATIO,
    MEAN_DIFFERENCE,
    MEDIAN,
    NOT_ESTIMABLE,
    PREFERRED,
    Interval,
)
from analysis.study import Analysis, Study
from analysis.survival import ALL_GROUPS
from expectations.small_cells import HIDDEN

RATIO_NOTE = (
    f"Hazard ratio: Cox model, Efron’s ties; {PENALISED} "
    "Firth’s penalty with profile likelihood interval, where the likelihood has no maximum: one "
    "side has no event, or all of its events before the other’s."
)

SMALL_MEAN_NOTE = (
    f"Restricted means of groups with fewer than {SMALL_GROUP} patients or {FEW_EVENTS} events: "
    "their normal intervals and P values are too optimistic; read them as description."
)

MEAN_NOTE = (
    "Restricted mean difference: area between the curves up to the longest time that both groups "
    "are observed, first group minus second (of a variable: first level), given where the curves "
    f"cross: each has more than {CROSSING_SHARE:.0%} of the area between them, while "
    f"{FOLLOWED_SHARE:.0%} of both groups are at risk."
)


ONCE_ELIGIBLE = (
    "a patient is at risk only from the day on which eligibility was known (deciding biomarkers "
    "reported, the cycles asked for begun), since nobody who died before it could have been "
    "included."
)

#: Most times at which a table of incidence gives it.
MOST_MONTHS = 3


def test_note(*, has_holm: bool = True) -> str:
    """What the preferred P is, and what Holm's where there is one."""
    return (
        f"Preferred P: permutation log-rank test, marked {PERMUTED}, where a group has fewer than "
        f"{SMALL_GROUP} patients or fewer than {FEW_EVENTS} events; else the chi-square test."
        + (
            " Holm: the preferred P adjusted for all comparisons of the same family."
            if has_holm
            else ""
        )
    )


def medians_table(book: Book, analyses: Sequence[Analysis]) -> Table:
    """The numbers behind a survival figure."""
    exhibit = analyses[0].exhibit
    months = _landmarks(book, analyses)
    rows: list[Row] = []
    for analysis in analyses:
        page = book.page(exhibit, analysis.population)
        variable = str(analysis.endpoint).lower()
        groups = page.levels(variable)
        if len(analyses) > 1 and groups:
            rows.append(Row(endpoint_label(analysis), (), "heading"))
        for group in groups:
            rows.append(
                Row(
                    level_label(group),
                    cells(
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
                Cell("95% CI, SPSS"),
                Cell("95% CI, preferred"),
                *(Cell(f"At {month:g} months, % (95%\N{NO-BREAK SPACE}CI)") for month in months),
            ]
        ],
        rows,
        [
            ABBREVIATIONS,
            "SPSS: median \N{PLUS-MINUS SIGN} 1.96 standard errors. "
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
            for month in SURVIVAL_MONTHS:
                if page.get(variable, group, survival_at(month).value, PREFERRED):
                    found.add(float(month))
    years = [month for month in (12.0, 24.0, 36.0) if month in found]
    return (years or sorted(found))[:2]


def _survival_share(page: BookPage, variable: str, group: str, month: float) -> str:
    names = survival_at(month)
    if page.get(variable, group, names.value, PREFERRED) is None:
        return NOTHING
    lower = page.cell(variable, group, names.lower, PREFERRED)
    upper = page.cell(variable, group, names.upper, PREFERRED)
    limits = lower if lower == upper else f"{lower}{NOTHING}{upper}"
    if lower == HIDDEN:
        return HIDDEN
    return f"{page.cell(variable, group, names.value, PREFERRED)} ({limits})"


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
            ratio = marked_ratio(page, variable, contrast)
            mean = mean_difference(page, variable, contrast)
            holm = page.cell(variable, contrast, "logrank_p_holm", PREFERRED)
            has_ratio |= ratio != NOTHING
            has_mean |= mean != NOTHING
            has_holm |= holm != NOTHING
            rows.append(
                Row(
                    level_label(study.spelled(contrast)),
                    cells(
                        [
                            page.cell(variable, contrast, "logrank_chi2"),
                            page.cell(variable, contrast, "logrank_p"),
                            preferred_p(page, variable, contrast),
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
        Cell("P, SPSS"),
        Cell("P, preferred"),
        Cell("P, Holm"),
        Cell("Hazard ratio (95%\N{NO-BREAK SPACE}CI)"),
        Cell("P, proportional hazards"),
        Cell("Restricted mean difference, months (95%\N{NO-BREAK SPACE}CI); P"),
    ]
    notes = [test_note(has_holm=has_holm), *([RATIO_NOTE] if has_ratio else [])]
    if has_mean:
        notes += [MEAN_NOTE, SMALL_MEAN_NOTE]
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
    difference = page.with_limits(variable, level, MEAN_DIFFERENCE, PREFERRED)
    if difference == HIDDEN:
        return HIDDEN
    return f"{difference}; {page.cell(variable, level, 'rmst_p', PREFERRED)}"


def marked_ratio(page: BookPage, variable: str, level: str, ratio: Interval = HAZARD_RATIO) -> str:
    """A number with its interval, unless named a hazard ratio; marked if it is penalised."""
    number = page.get(variable, level, ratio.value, PREFERRED)
    mark = PENALISED if number and number.value is not None and "Firth" in number.method else ""
    return page.with_limits(variable, level, ratio, PREFERRED) + mark


def preferred_p(page: BookPage, variable: str, level: str | None) -> str:
    """The preferred log-rank P, marked if it is from a permutation test."""
    number = page.get(variable, level, "logrank_p", PREFERRED)
    if number is None:
        return NOTHING
    return f"{number.cell}{PERMUTED if 'permutation' in number.method else ''}"


def exposure_table(study: Study, book: Book, analysis: Analysis) -> Table | None:
    """The ever/never comparison, and the same question with exposure from the first dose on."""
    page = book.page(analysis.exhibit, analysis.population)
    variable, contrast = str(analysis.endpoint).lower(), str(analysis.contrast)
    dependent = f"{variable} time-dependent"
    if page.get(dependent, contrast, HAZARD_RATIO.value, PREFERRED) is None:
        return None
    group = study.variable(analysis.group_variable)
    given = group.argument

    def sides(name: str) -> list[str]:
        return [
            page.cell(name, contrast, statistic, PREFERRED)
            for statistic in ("exposed_n", "unexposed_n", "excluded_n")
        ]

    def row(label: str, name: str, patients: Sequence[str]) -> Row:
        number = page.get(name, contrast, HAZARD_RATIO.value, PREFERRED)
        return Row(
            label,
            cells(
                [
                    *patients,
                    _events(number),
                    marked_ratio(page, name, contrast),
                    page.cell(name, contrast, "p", PREFERRED),
                ]
            ),
        )

    # Levels that nobody has are not entered.
    found = page.levels(variable)
    given_to = [level for level in found if level == analysis.contrast_level]
    others = [level for level in found if level in group.level_names and level not in given_to]
    everybody = [
        *(
            NOTHING if len(levels) > 1 else page.cell(variable, levels[0], "n") if levels else "0"
            for levels in (given_to, others)
        ),
        NOTHING,
    ]
    delayed = f"{dependent} delayed entry"
    waited = page.display(dependent, contrast, "time_to_exposure_median_months", PREFERRED)
    lived = "" if waited == NOT_ESTIMABLE else f": median {waited} months after the start of line 1"
    rows = [
        row("Ever against never, from line 1: immortal time counted", variable, everybody),
        row(f"Exposed from the first dose of {given} on", dependent, everybody),
        row("The same, at risk once eligible", delayed, sides(delayed)),
    ]
    for months in analysis.landmark_months:
        name = f"{variable} landmark {months:g} months"
        rows.append(row(f"Given by month {months:g} or not, from then on", name, sides(name)))
    return Table(
        f"{analysis.exhibit}-exposure",
        "",
        f"The comparison of {number_of(analysis.exhibit)} without immortal time",
        [
            [
                Cell("Analysis"),
                Cell("With"),
                Cell("Without"),
                Cell("Left out"),
                Cell("Deaths" if variable == "os" else "Events"),
                Cell("Hazard ratio (95%\N{NO-BREAK SPACE}CI)"),
                Cell("P"),
            ]
        ],
        rows,
        [
            f"A patient must live to the first dose of {given} to count as treated{lived}. "
            "Counting from line 1 credits the drug with the time before it. "
            "The second row is a Cox model with time-dependent exposure, the third the same with "
            "delayed entry; the rows below are landmark analyses, without those no longer "
            "observed or not yet known to be eligible.",
            f"Delayed entry: {ONCE_ELIGIBLE}",
            RATIO_NOTE,
        ],
    )


def _events(number: Number | None) -> str:
    if number is None:
        return NOTHING
    return HIDDEN if number.events is None else str(number.events)


def incidence_table(study: Study, book: Book, analyses: Sequence[Analysis]) -> Table:
    """Events, incidence at up to three times and Gray's test behind a figure of incidence."""
    exhibit, endpoint = analyses[0].exhibit, str(analyses[0].endpoint)
    page = book.page(exhibit, analyses[0].population)
    variables = {
        source: cause_name(endpoint, source).lower() for source in causes(study, analyses[0])
    }
    months = [
        month
        for month in SURVIVAL_MONTHS
        if any(
            page.get(variable, level, incidence_at(month).value, PREFERRED)
            for variable in variables.values()
            for level in page.levels(variable)
        )
    ][:MOST_MONTHS]
    rows = []
    for source, variable in variables.items():
        rows.append(Row(level_label(source.replace("_", " ")), (), "heading"))
        for level in page.levels(variable):
            rows.append(
                Row(
                    level_label(level),
                    cells(
                        [
                            page.cell(variable, level, "n"),
                            page.cell(variable, level, "events_n"),
                            *(
                                page.with_limits(variable, level, incidence_at(month), PREFERRED)
                                for month in months
                            ),
                        ]
                    ),
                    "level",
                )
            )
    tests = "; ".join(
        f"{level_label(source.replace('_', ' '))}: P {equals(number.cell)}"
        for source, variable in variables.items()
        if (number := page.get(variable, GRAY, "gray_p", PREFERRED))
    )
    return Table(
        f"{exhibit}-incidence",
        "",
        f"Numbers behind {number_of(exhibit)}",
        [
            [
                Cell("Event"),
                Cell("Patients"),
                Cell("Events"),
                *(Cell(f"At {month} months, % (95%\N{NO-BREAK SPACE}CI)") for month in months),
            ]
        ],
        rows,
        [
            *([f"Gray’s test of equal incidence in the groups. {tests}."] if tests else []),
            ABBREVIATIONS,
        ],
    )


def delayed_entry_table(book: Book, analyses: Sequence[Analysis]) -> Table | None:
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
                cells(
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
                Cell(
                    f"Median, months (95%\N{NO-BREAK SPACE}CI), from line {analyses[0].line_number}"
                ),
                Cell("Median, months (95%\N{NO-BREAK SPACE}CI), delayed entry"),
                Cell("Patients known later"),
                Cell("Left out"),
            ]
        ],
        rows,
        [
            f"Delayed entry: {ONCE_ELIGIBLE} Left out: the interval had ended by then.",
            ABBREVIATIONS,
        ],
    )
