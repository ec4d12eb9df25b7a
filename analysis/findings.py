"""Key findings in words: sentences composed from the book of estimates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from analysis.book import SHORT, Book, BookPage, Number
from analysis.comparison import CANNOT_BE, DIFFERS, NOT_COMPUTED, REPRODUCED
from analysis.disclosure import NOT_SHOWN
from analysis.group_tests import FEW_EVENTS, SMALL_GROUP
from analysis.immortal_time import EVER_GIVEN
from analysis.later_lines import known_at_start
from analysis.layout import endpoint_label, equals, level_label, number_of, since, treatment
from analysis.ledger import HAZARD_RATIO, MEDIAN, NOT_ESTIMABLE, NOT_REACHED, PREFERRED
from analysis.model_tables import cox_terms
from analysis.multivariable import EVENTS_PER_VARIABLE
from analysis.study import FIRST_LINE, Analysis, Caution, Study
from analysis.survival import ALL_GROUPS, ALL_PAIRS, SIGNIFICANCE_LEVEL, is_significant
from expectations.pages import counted
from expectations.small_cells import HIDDEN


@dataclass(frozen=True)
class Finding:
    """What a finding is about, and the finding."""

    lead: str
    text: str


def key_findings(study: Study, book: Book, summary: dict[str, Any]) -> list[Finding]:
    """Findings in the order of the report; one that cannot be made is left out."""
    found: list[Finding] = []
    for kind, compose in _COMPOSERS:
        analyses = [analysis for analysis in study.analyses if analysis.kind == kind]
        found += compose(study, book, analyses)
    found = [finding for finding in found if HIDDEN not in finding.text]
    return [*found, *_reproduction(summary)]


def _patients(study: Study, book: Book, analyses: list[Analysis]) -> Iterator[Finding]:
    if study.levels.empty:
        yield from _nobody(book)
        return
    sizes = []
    for analysis in analyses:
        label = study.population(analysis.population).label
        page = book.page(analysis.exhibit, analysis.population)
        sizes.append((page.display("cohort", label, "n"), label))
    if len(sizes) >= 2:
        yield Finding(
            "Cohort",
            f"Of {counted(sizes[0][0], 'patient')} with {sizes[0][1]}, {sizes[-1][0]} met every "
            f"criterion of the study ({sizes[-1][1]}).",
        )


def _nobody(book: Book) -> Iterator[Finding]:
    page = book.page("flow", "delivered")
    for variable in book.variables("flow", "delivered"):
        remaining = page.get(variable, "remaining", "n")
        if remaining and remaining.value == 0:
            yield Finding(
                "Cohort",
                "No patient met every criterion of the study. Nobody is left after the criterion "
                f"{remaining.parameters['criterion']}: "
                f"{page.display(variable, 'not met', 'n')} did not meet it, "
                f"of {page.display(variable, 'unknown', 'n')} it is unknown.",
            )
            return


def _follow_up(study: Study, book: Book, analyses: list[Analysis]) -> Iterator[Finding]:
    for analysis in analyses:
        page = book.page(analysis.exhibit, analysis.population)
        endpoint = str(analysis.endpoint).lower()
        name = "reverse Kaplan-Meier"
        if page.get("follow_up", name, MEDIAN.value, PREFERRED) is None:
            continue
        of, origin = "", ""
        if analysis.line_number != FIRST_LINE:
            of = f"Of those who had {treatment(analysis.line_number)}, "
            origin = f" {since(analysis)}"
        yield Finding(
            "Follow-up",
            f"{of}{counted(page.display(endpoint, None, 'deaths_n'), 'patient')} "
            f"({page.display(endpoint, None, 'deaths_pct')}%) died. Median follow-up{origin} was "
            f"{_median(page, 'follow_up', name)} by the reverse Kaplan\N{EN DASH}Meier method; the "
            "median of all observed times was "
            f"{page.display('follow_up', None, 'median_months')} months.",
        )


def _survival(study: Study, book: Book, analyses: list[Analysis]) -> Iterator[Finding]:
    of_all = {(each.endpoint, each.line_number) for each in analyses if each.group_variable is None}
    for analysis in analyses:
        page = book.page(analysis.exhibit, analysis.population)
        variable = str(analysis.endpoint).lower()
        if analysis.group_variable is None:
            label = analysis.contrast or analysis.population
            if page.get(variable, label, MEDIAN.lower, PREFERRED):
                yield Finding(
                    endpoint_label(analysis),
                    f"The median {since(analysis)} was "
                    f"{_median(page, variable, label)}, with {_sizes(page, variable, label)}.",
                )
            continue
        if study.variable(analysis.group_variable).rule == EVER_GIVEN:
            yield from _ever_given(study, page, variable, analysis)
        elif analysis.contrast and known_at_start(
            study.variable(analysis.group_variable), analysis.line_number
        ):
            yield from _contrast(study, page, variable, analysis)
        elif (analysis.endpoint, analysis.line_number) not in of_all and not _is_cautioned(
            study, analysis
        ):
            yield from _medians(page, variable, analysis)
        if analysis.pairwise:
            yield from _pairs(page, variable, analysis)


def _is_cautioned(study: Study, analysis: Analysis) -> bool:
    """Whether a reader must be warned of the groups, as of those that form later."""
    return any(_is_about(caution, analysis) for caution in study.cautions)


def _is_about(caution: Caution, analysis: Analysis) -> bool:
    return caution.exhibit == analysis.exhibit and caution.variable == analysis.group_variable


def _medians(page: BookPage, variable: str, analysis: Analysis) -> Iterator[Finding]:
    """Medians of the groups, where none of all patients is given."""
    groups = _median_of_each(page, variable)
    if not groups:
        return
    tested = page.get(variable, analysis.contrast or ALL_GROUPS, "logrank_p", PREFERRED)
    p_value = f" ({_log_rank(tested)})" if tested and tested.value is not None else ""
    yield Finding(
        f"{endpoint_label(analysis)} by group ({number_of(analysis.exhibit)})",
        f"Median {since(analysis)}: {groups}{p_value}.",
    )


def _median_of_each(page: BookPage, variable: str) -> str:
    return "; ".join(
        f"{level} {_median(page, variable, level)}, {_sizes(page, variable, level)}"
        for level in page.levels(variable)
        if page.value(variable, level, "n", "as published")
    )


def _log_rank(tested: Number) -> str:
    """A log-rank P with the name of its test."""
    name = "permutation log-rank" if "permutation" in tested.method else "log-rank"
    return f"{name} P {equals(tested.display)}"


def _contrast(study: Study, page: BookPage, variable: str, analysis: Analysis) -> Iterator[Finding]:
    """The comparison that a study names, with what a reader must bear in mind."""
    contrast = str(analysis.contrast)
    tested = page.get(variable, contrast, "logrank_p", PREFERRED)
    ratio = page.get(variable, contrast, HAZARD_RATIO.value, PREFERRED)
    if tested is None or tested.value is None or ratio is None or ratio.value is None:
        yield from _medians(page, variable, analysis)
        return
    sentences = [
        f"{level_label(study.spelled(contrast))}, {since(analysis)}: hazard ratio "
        f"{_ratio(page, variable, contrast)}"
        f"{' with Firth’s penalty' if 'Firth' in ratio.method else ''}, {_log_rank(tested)}",
        f"Medians: {_median_of_each(page, variable)}",
    ]
    if is_significant(page.value(variable, contrast, "ph_p")):
        sentences.append(
            "The hazards are not proportional (P "
            f"{equals(page.display(variable, contrast, 'ph_p', PREFERRED))}), so the ratio is no "
            "more than an average over the follow-up"
        )
    if tested.parameters.get("small_group"):
        sentences.append(
            f"A group has fewer than {SMALL_GROUP} patients or fewer than {FEW_EVENTS} events"
        )
    sentences.append(
        "The groups are not randomised and the comparison is not adjusted, so the difference may "
        "be due to confounding"
    )
    told = [caution.text for caution in study.cautions if _is_about(caution, analysis)]
    yield Finding(
        f"{endpoint_label(analysis)} by group ({number_of(analysis.exhibit)})",
        " ".join([f"{'. '.join(sentences)}.", *told]),
    )


def _ever_given(
    study: Study, page: BookPage, variable: str, analysis: Analysis
) -> Iterator[Finding]:
    contrast = str(analysis.contrast)
    dependent = f"{variable} time-dependent"
    # One comparison has one P in the report: the preferred one, as in the figure's table.
    log_rank = page.get(variable, contrast, "logrank_p", PREFERRED)
    corrected = page.value(dependent, contrast, "p")
    drug = study.variable(analysis.group_variable).argument
    if log_rank is None or log_rank.value is None or corrected is None:
        return
    verdict = _verdict(
        is_significant(log_rank.value),
        is_significant(corrected),
        page.value(variable, contrast, HAZARD_RATIO.value),
        page.value(dependent, contrast, HAZARD_RATIO.value),
        str(drug),
    )
    yield Finding(
        f"{str(drug).capitalize()}, ever or never",
        f"Patients who ever had {drug} compared with those who never had it: "
        f"{_log_rank(log_rank)}, hazard ratio {_ratio(page, variable, contrast)}, when time counts "
        "from line 1. With exposure from its first dose on, the hazard ratio is "
        f"{_ratio(page, dependent, contrast)}, P "
        f"{equals(page.display(dependent, contrast, 'p', PREFERRED))}, {verdict}.",
    )


def _verdict(
    naive: bool, corrected: bool, naive_ratio: float | None, ratio: float | None, drug: str
) -> str:
    """What becomes of a difference once the time before the first dose is not the drug's."""
    if not corrected:
        if naive:
            return "so the difference may be due to immortal time alone"
        return f"and neither has P < {SIGNIFICANCE_LEVEL:g}"
    same_side = naive_ratio is not None and ratio is not None and (naive_ratio < 1) == (ratio < 1)
    if naive and same_side:
        return "so the difference does not rest on immortal time alone"
    side = "higher" if ratio is not None and ratio > 1 else "lower"
    return (
        f"so without immortal time the hazard is {side} after {drug} is begun, which may also "
        "reflect who is given it"
    )


def _pairs(page: BookPage, variable: str, analysis: Analysis) -> Iterator[Finding]:
    tests = page.display(variable, ALL_PAIRS, "tests_n", PREFERRED)
    if page.get(variable, ALL_PAIRS, "tests_n", PREFERRED) is None:
        return
    plain = page.display(variable, ALL_PAIRS, "significant_n")
    adjusted = page.display(variable, ALL_PAIRS, "significant_n", PREFERRED)
    yield Finding(
        f"{endpoint_label(analysis)} by group ({number_of(analysis.exhibit)})",
        f"P < {SIGNIFICANCE_LEVEL:g} in {plain} of {tests} pairwise log-rank tests unadjusted; "
        f"in {adjusted} of {tests} with permutation tests for small groups and Holm’s adjustment.",
    )


def _cox(study: Study, book: Book, analyses: list[Analysis]) -> Iterator[Finding]:
    for analysis in analyses:
        page = book.page(analysis.exhibit, analysis.population)
        model = f"{str(analysis.endpoint).lower()} cox"
        kept = [
            f"{label[:1].lower()}{label[1:].replace(': ', ', ')} "
            f"(hazard ratio {_ratio(page, name, contrast)})"
            for label, name, contrast in cox_terms(study, book, analysis)
            if is_significant(page.value(name, contrast, "p"))
            and is_significant(page.value(name, contrast, "firth_p"))
        ]
        per_variable = page.value(model, None, "events_per_variable")
        if per_variable is None:
            continue
        weak = (
            f"; with {page.display(model, None, 'events_per_variable', PREFERRED)} events per "
            f"coefficient, fewer than {EVENTS_PER_VARIABLE}, it is fragile"
            if per_variable < EVENTS_PER_VARIABLE
            else ""
        )
        which = " and ".join(kept) if kept else "no variable"
        origin = "" if analysis.line_number == FIRST_LINE else f" of time {since(analysis)}"
        yield Finding(
            "Multivariable model",
            f"In the model{origin} ({counted(page.display(model, None, 'n'), 'patient')}, "
            f"{counted(page.display(model, None, 'events_n'), 'event')}) {which} "
            f"{'have' if len(kept) > 1 else 'has'} P < {SIGNIFICANCE_LEVEL:g} with Efron’s ties "
            f"and with Firth’s penalty{weak}.",
        )


def _reproduction(summary: dict[str, Any]) -> Iterator[Finding]:
    if not summary["total"]:
        return
    own, verdicts = summary["self_consistent"], summary["verdicts"]
    counts = [
        f"{verdicts[verdict]} {one if verdicts[verdict] == 1 else several}"
        for verdict, one, several in (
            (REPRODUCED, "is reproduced", "are reproduced"),
            (DIFFERS, "differs", "differ"),
            (CANNOT_BE, "cannot be right", "cannot be right"),
            (NOT_COMPUTED, "could not be computed", "could not be computed"),
            (NOT_SHOWN, "is not shown", "are not shown"),
        )
        if verdicts.get(verdict)
    ]
    yield Finding(
        "Published against computed",
        f"Of {own['total']} printed numbers that do not contradict each other, "
        f"{own['reproduced']} are reproduced at printed precision. Of all {summary['total']}, "
        f"{', '.join(counts)}.",
    )


def _median(page: BookPage, variable: str, level: str) -> str:
    value = page.display(variable, level, MEDIAN.value, PREFERRED)
    limits = page.limits(variable, level, MEDIAN, PREFERRED)
    for words in (NOT_REACHED, NOT_ESTIMABLE):
        limits = limits.replace(SHORT[words], words)
    return (
        f"{value} (95% CI {limits})"
        if value == NOT_REACHED
        else (f"{value} months (95% CI {limits})")
    )


def _sizes(page: BookPage, variable: str, level: str) -> str:
    return (
        f"{counted(page.display(variable, level, 'events_n'), 'event')} in "
        f"{counted(page.display(variable, level, 'n'), 'patient')}"
    )


def _ratio(page: BookPage, variable: str, level: str) -> str:
    return (
        f"{page.display(variable, level, HAZARD_RATIO.value, PREFERRED)} "
        f"[95% CI {page.limits(variable, level, HAZARD_RATIO, PREFERRED)}]"
    )


Composer = Callable[[Study, Book, list[Analysis]], Iterator[Finding]]

_COMPOSERS: tuple[tuple[str, Composer], ...] = (
    ("population_size", _patients),
    ("follow_up", _follow_up),
    ("survival", _survival),
    ("cox", _cox),
)
