"""Analyses of a later line of therapy than the first: what may be asked, of whom, and what is told.

Time starts with the line that the row of study_analyses names, among those who had it. Who had it
lived to it, which is no immortal time, as none of that time is counted. A group that forms after
the start would bring it back, so it is refused. Nothing of the patient is measured anew at the
start of a later line, and the reader is told so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from analysis.book import Book
from analysis.layout import number_of, since, treatment
from analysis.ledger import Ledger
from analysis.study import FIRST_LINE, Analysis, Study, StudyError, Variable, of_line

#: Kinds of analysis that are of one line of therapy, whichever that is. The others are of the whole
#: cohort, of all lines, or of the line that their variable names.
OF_ONE_LINE = (
    "follow_up",
    "characteristics",
    "count_within",
    "characteristics_by_group",
    "missingness",
    "best_responses",
    "response_duration",
    "waterfall",
    "adverse_events",
    "survival",
    "cumulative_incidence",
    "univariable",
    "univariable_ratios",
    "cox",
    "imputation",
    "weighting",
    "e_values",
    "line_rule_sets",
    "endpoint_rule_sets",
)
#: Kinds that look at every variable of the univariable table, or of the multivariable model.
OF_ALL_VARIABLES, OF_THE_MODEL = ("univariable", "univariable_ratios"), ("cox", "imputation")
#: Kinds that count characteristics of patients, or adjust for them.
OF_CHARACTERISTICS = (
    "characteristics",
    "count_within",
    "characteristics_by_group",
    "missingness",
    "weighting",
    *OF_ALL_VARIABLES,
    *OF_THE_MODEL,
)
#: Numbers of the text share no page, so they need not be of one line.
TEXT = "text"

CHARACTERISTIC = "characteristic"
#: Rules of variables that group patients by one line, which the argument numbers.
OF_A_LINE = ("line_class", "line_backbone")
#: Characteristics that a patient may acquire after line 1 has begun.
KNOWN_LATER = ("number_of_lines", "primary_resection", "metastasectomy", "local_therapy")

#: Exhibit, variable and levels under which is counted who had a line.
EXHIBIT, HAD, HAD_NOT = "later lines", "had it", "did not have it"

NOT_ANEW = (
    "Characteristics are not those at its start: they are of the index date or the start of line 1 "
    "(age, metastatic organs) or as known at the data cut-off (biomarkers, operations, number of "
    "lines)."
)


def known_at_start(variable: Variable, line_number: int) -> bool:
    """Whether a variable is known when a line starts: by this line or one before, or earlier."""
    if variable.rule == CHARACTERISTIC:
        return variable.argument not in KNOWN_LATER
    return variable.rule in OF_A_LINE and int(variable.argument or 0) <= line_number


def refuse(study: Study) -> None:
    """Refuse what cannot be done of the line that an analysis names.

    Raises
    ------
    StudyError
        That names the row of study_analyses.
    """
    lines: dict[str, int] = {}
    for analysis in study.analyses:
        because = _cannot_be(study, analysis)
        if because is None and analysis.exhibit != TEXT:
            shared = lines.setdefault(analysis.exhibit, analysis.line_number)
            if shared != analysis.line_number:
                because = (
                    f"{analysis.exhibit} has an analysis of line {shared} and one of line "
                    f"{analysis.line_number}. Give each line an exhibit of its own"
                )
        if because:
            raise StudyError(
                f"Study {study.study_id}, study_analyses, display_order "
                f"{analysis.display_order}: {because}."
            )


def _cannot_be(study: Study, analysis: Analysis) -> str | None:
    """Why an analysis cannot be done of its line."""
    number, kind = analysis.line_number, analysis.kind
    if number < FIRST_LINE:
        return f"line_number {number} is no line of therapy; they count from {FIRST_LINE}"
    if number != FIRST_LINE and kind not in OF_ONE_LINE:
        return f"{kind} is of no single line; leave line_number empty"
    if number != FIRST_LINE and analysis.landmark_months:
        return f"landmarks are months from the start of line {FIRST_LINE}; leave line_number empty"
    # Groups of an analysis of the first line may form later: curves are then given with a caution
    # of the study's, or beside exposure that begins with the drug. Toxicity has neither.
    if number == FIRST_LINE and kind != "adverse_events":
        return None
    for variable in _variables(study, analysis):
        if variable.rule != CHARACTERISTIC and not known_at_start(variable, number):
            return (
                f"{variable.name} ({variable.rule} {variable.argument}) is known only after the "
                f"start of line {number}, which {kind} is of. Name the line in line_number, or "
                "another variable"
            )
    return None


def _variables(study: Study, analysis: Analysis) -> Iterator[Variable]:
    """Variables whose levels an analysis compares or adjusts for, or that select its patients."""
    named = [analysis.group_variable, *analysis.covariates]
    if analysis.line_number != FIRST_LINE:
        named.append(study.population(analysis.population).variable)
    for name in named:
        if name is not None:
            yield study.variable(name)
    for variable in study.variables.values():
        if (analysis.kind in OF_ALL_VARIABLES and variable.in_univariable) or (
            analysis.kind in OF_THE_MODEL and variable.cox_reference
        ):
            yield variable


def enter_who_had_it(study: Study, ledger: Ledger) -> None:
    """Enter how many of each population had the later line that an analysis is of, and had not."""
    asked = {(each.population, each.line_number): None for each in study.analyses}
    for population, number in asked:
        if number == FIRST_LINE:
            continue
        members = study.members(population)
        had = members.index.to_series().isin(study.members(population, number).index)
        page = ledger.page(EXHIBIT, population, **of_line(number)).about(members)
        for level, who in ((HAD, had), (HAD_NOT, ~had)):
            page.add(f"line {number}", level, "n", int(who.sum()), "count of patients", counted=who)


def told(study: Study, book: Book, analyses: Sequence[Analysis]) -> list[str]:
    """Sentences on the line that an exhibit is of: who had it, then the rest; of the first none."""
    number = analyses[0].line_number
    if number == FIRST_LINE:
        return []
    line = f"line {number}"
    sizes = []
    for population in dict.fromkeys(each.population for each in analyses):
        page, label = book.page(EXHIBIT, population), study.population(population).label
        had, had_not = (page.display(line, level, "n") for level in (HAD, HAD_NOT))
        without = f", without the {had_not} who did not have it" if had_not != "0" else ""
        sizes.append(f"{had} of {label}{without}")
    found = [f"Patients who had {treatment(number)}: {'; '.join(sizes)}."]
    if any(_is_timed(each) for each in analyses):
        found.append(f"Time runs {since(analyses[0])}.")
    grouped = [each.group_variable for each in analyses if each.group_variable]
    if any(each.kind in OF_CHARACTERISTICS for each in analyses) or any(
        study.variable(name).rule == CHARACTERISTIC for name in grouped
    ):
        found.append(NOT_ANEW)
    return found


def time_origin(study: Study) -> str:
    """Where time starts in a study's analyses, in words."""
    exhibits: dict[int, dict[str, None]] = {}
    for each in study.analyses:
        if _is_timed(each):
            name = "the follow-up" if each.exhibit == TEXT else number_of(each.exhibit)
            exhibits.setdefault(each.line_number, {})[name] = None
    first = min(exhibits, default=FIRST_LINE)
    others = "".join(
        f"; of line {number} in {_listed(list(names))}"
        for number, names in sorted(exhibits.items())
        if number != first
    )
    return f"the first day of line {first}" + (f" ({others[2:]})" if others else "")


def _is_timed(analysis: Analysis) -> bool:
    """Whether time runs from the start of the line, not from a response in it."""
    return analysis.endpoint is not None and analysis.kind != "response_duration"


def _listed(names: list[str]) -> str:
    return " and ".join([part for part in (", ".join(names[:-1]), names[-1]) if part])
