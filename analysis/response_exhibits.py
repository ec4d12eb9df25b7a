"""Exhibits on response: unconfirmed beside confirmed, who judged it, and how long it lasts."""

from __future__ import annotations

from analysis.book import NOTHING, Book, Number
from analysis.clinical_tables import response_rows
from analysis.curves import SURVIVAL_MONTHS, survival_at
from analysis.descriptive import DISEASE_CONTROL, OBJECTIVE_RESPONSES
from analysis.layout import (
    ABBREVIATIONS,
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
from analysis.ledger import MEDIAN, PREFERRED, Interval
from analysis.responses import (
    AGREEMENT,
    DEPTH,
    KAPPA,
    PATIENTS,
    VISITS,
)
from analysis.study import Analysis, Study, ordinal
from expectations.pages import counted
from expectations.small_cells import HIDDEN

FROM_RESPONSE = "Months from the response"
IN_RESPONSE = "Still in response"
DURATION_LEGEND = (
    "Kaplan\N{EN DASH}Meier, of patients with a response. Time runs from the first response, or "
    "from the first that was later confirmed, to progression or death; the table names each "
    "definition. Definitions share patients: their curves are not to be tested against each other."
)


def best_responses_table(study: Study, book: Book, analysis: Analysis) -> Table:
    """Best responses, rates and depth, unconfirmed and confirmed, by who judged them."""
    page = book.page(analysis.exhibit, analysis.population)
    levels = page.levels(PATIENTS)
    first_of = {level.rpartition(", ")[0]: level for level in levels[::-1]}
    judged = {
        rule_set: number
        for rule_set, level in reversed(first_of.items())
        if (number := page.get(PATIENTS, level, "n"))
    }
    names = [
        name
        for name in book.variables(page.exhibit, page.population)
        if name not in (PATIENTS, DEPTH)
    ]
    rows = response_rows(page, names, levels)
    if judged:
        rows.append(
            Row(
                "Best change of the target lesions, median % (quartiles); patients measured",
                [
                    Cell(
                        f"{page.cell(DEPTH, rule_set, 'median_pct', PREFERRED)} "
                        f"({page.cell(DEPTH, rule_set, 'q1_pct', PREFERRED)} to "
                        f"{page.cell(DEPTH, rule_set, 'q3_pct', PREFERRED)}); "
                        f"{page.cell(DEPTH, rule_set, 'n', PREFERRED)}",
                        span=2,
                    )
                    for rule_set in judged
                ],
                "heading",
            )
        )
    head = [
        [
            Cell("Response, n (%)", rows=2),
            *(
                Cell(
                    sized(str(number.parameters["judged_by"]), number.cell),
                    span=2,
                )
                for number in judged.values()
            ),
        ],
        [Cell(level_label(level.rpartition(", ")[2])) for level in levels],
    ]
    return Table(
        analysis.exhibit,
        number_of(analysis.exhibit),
        analysis.title,
        head if judged else [[Cell("Response")]],
        rows,
        [
            *cautions(study, analysis.exhibit),
            f"RECIST 1.1, {treatment(analysis.line_number)}, up to progression or the next line. "
            f"Every patient with a {ordinal(analysis.line_number)} line is in the denominator. "
            "Confirmed: a CR or PR that a later "
            "assessment confirms, as the endpoint rule set says; one that none confirms counts as "
            "SD where it was seen late enough, else as NE. "
            f"ORR, objective response rate ({' + '.join(OBJECTIVE_RESPONSES)}); "
            f"DCR, disease control rate ({' + '.join(DISEASE_CONTROL)}). "
            "Intervals are exact binomial (Clopper\N{EN DASH}Pearson). Best change: largest fall "
            "of the sum of target lesions from baseline, or smallest rise.",
        ],
    )


def agreement_table(study: Study, book: Book, analysis: Analysis) -> Table:
    """Visits by response from the lesion rows and by the investigator's."""
    page = book.page(analysis.exhibit, analysis.population)
    prefix = f"{VISITS}: "
    names = [
        name for name in book.variables(page.exhibit, page.population) if name.startswith(prefix)
    ]
    recorded = page.levels(names[0], "visits_n") if names else []
    rows = [
        Row(
            name.removeprefix(prefix),
            [
                Cell(page.cell(name, level, "visits_n"), strong=level == name.removeprefix(prefix))
                for level in recorded
            ],
        )
        for name in names
    ]

    def with_limits(statistics: Interval) -> str:
        return page.with_limits(VISITS, None, statistics, PREFERRED)

    visits = page.get(VISITS, None, "visits_n")
    return Table(
        analysis.exhibit,
        number_of(analysis.exhibit),
        analysis.title,
        [
            [
                Cell("From the lesion rows", rows=2),
                Cell("Recorded by the investigator: visits", span=len(recorded)),
            ],
            [Cell(level) for level in recorded],
        ]
        if names
        else [[Cell("From the lesion rows")]],
        rows,
        [
            f"{counted(visits.cell if visits else NOTHING, 'visit')} with both, in any line, of "
            f"{counted(_patients(visits), 'patient')}. Alike, %: "
            f"{with_limits(AGREEMENT)}. Cohen’s kappa: {with_limits(KAPPA)}. 95% limits leave out "
            "one patient at a time, since visits of a patient are not independent.",
            *cautions(study, analysis.exhibit),
        ],
    )


def _patients(number: Number | None) -> str:
    if number is None:
        return NOTHING
    return HIDDEN if number.n is None else str(number.n)


def duration_table(book: Book, analysis: Analysis) -> Table:
    """Responders, events and median duration by definition."""
    page = book.page(analysis.exhibit, analysis.population)
    variable = str(analysis.endpoint).lower()
    levels = page.levels(variable)

    months = [
        month
        for month in SURVIVAL_MONTHS
        if any(page.get(variable, level, survival_at(month).value, PREFERRED) for level in levels)
    ][:2]
    rows = []
    for level in levels:
        number = page.get(variable, level, "n")
        label = str(number.parameters["label"]) if number else level
        rows.append(
            Row(
                f"{level}: {label[:1].lower()}{label[1:]}",
                cells(
                    [
                        page.cell(variable, level, "n"),
                        page.cell(variable, level, "events_n"),
                        page.with_limits(variable, level, MEDIAN, PREFERRED),
                        *(
                            page.with_limits(variable, level, survival_at(month), PREFERRED)
                            for month in months
                        ),
                    ]
                ),
            )
        )
    return Table(
        f"{analysis.exhibit}-durations",
        "",
        f"Numbers behind {number_of(analysis.exhibit)}",
        [
            [
                Cell("Definition"),
                Cell("Responders"),
                Cell("Events"),
                Cell("Median, months (95%\N{NO-BREAK SPACE}CI)"),
                *(
                    Cell(f"In response at {month} months, % (95%\N{NO-BREAK SPACE}CI)")
                    for month in months
                ),
            ]
        ],
        rows,
        [
            "Median: Brookmeyer\N{EN DASH}Crowley limits from the log\N{EN DASH}log band. "
            f"{ABBREVIATIONS}"
        ],
    )
