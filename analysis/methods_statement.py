"""Methods in words for a paper, composed from what was run: kinds of analysis, rules, versions."""

from __future__ import annotations

import importlib.metadata
import platform
import re

import duckdb

from analysis.book import Book
from analysis.confounding import WEIGHTED
from analysis.group_tests import FEW_EVENTS, SMALL_GROUP
from analysis.later_lines import time_origin
from analysis.ledger import HAZARD_RATIO, PREFERRED
from analysis.missing_covariates import IMPUTED
from analysis.multivariable import SELECTED_ANEW
from analysis.study import DAYS_PER_MONTH, FIRST_LINE, Study
from analysis.survival import SIGNIFICANCE_LEVEL
from expectations.tables import rows

#: Where the penalty of the propensity is named, if it has one.
PENALTY = "{penalty}"

#: What a sentence rests on; those of kinds that the study does not run are left out.
SENTENCES = (
    (
        "survival",
        "Survival was estimated by Kaplan\N{EN DASH}Meier; medians are given with "
        "Brookmeyer\N{EN DASH}Crowley 95% confidence intervals from the log\N{EN DASH}log band. "
        "Groups were compared by log-rank tests, by permutation (exact where feasible, else Monte "
        f"Carlo) where a group had fewer than {SMALL_GROUP} patients "
        f"or {FEW_EVENTS} events, and Holm’s adjustment within each "
        "family of comparisons.",
    ),
    (
        "best_responses",
        "Best overall response followed RECIST 1.1, unconfirmed and confirmed, as the investigator "
        "recorded it and as computed from the lesion measurements; response and disease control "
        "rates have exact (Clopper\N{EN DASH}Pearson) 95% confidence intervals, with every treated "
        "patient in the denominator.",
    ),
    (
        "response_agreement",
        "The agreement of the two was summed up by Cohen’s kappa with a jackknife over patients.",
    ),
    (
        "response_duration",
        "Duration of response was estimated by Kaplan\N{EN DASH}Meier among responders.",
    ),
    (
        "waterfall",
        "Depth of response is the largest fall of the sum of target lesions from baseline.",
    ),
    (
        "cumulative_incidence",
        "Cumulative incidence was estimated by Aalen\N{EN DASH}Johansen, each event competing with "
        "the others, and compared by Gray’s test.",
    ),
    (
        "follow_up",
        "Follow-up was estimated by the reverse Kaplan\N{EN DASH}Meier method.",
    ),
    (
        "cox",
        "Hazard ratios are from Cox models with Efron’s handling of "
        "ties, with Firth’s penalty and profile likelihood intervals "
        "where the likelihood had no maximum, as where a group had no event, and beside the "
        "multivariable model; proportional hazards were tested by the score test of Grambsch and "
        "Therneau.",
    ),
    (
        "weighting",
        "The main comparison was repeated with stabilised inverse-probability-of-treatment weights "
        f"from a logistic propensity model{PENALTY} and a robust standard error; balance was "
        "judged by standardised differences.",
    ),
    (
        "imputation",
        "Where covariates were missing, the multivariable model was repeated with multiple "
        "imputation by chained equations and Rubin’s rules.",
    ),
    (
        "e_values",
        "E-values describe how strong unmeasured confounding would have to be to explain a hazard "
        "ratio away.",
    ),
    (
        "line_rule_sets",
        "The median times and hazard ratios of the sensitivity figure were recomputed under every "
        "other definition of a line of therapy.",
    ),
    (
        "endpoint_rule_sets",
        "They were also recomputed under every other endpoint and censoring rule.",
    ),
)

#: What a sentence rests on: a phrase of the method of some number.
BY_METHOD = (
    (
        "difference of restricted means",
        "Where curves cross, the difference of restricted mean survival times is given too.",
    ),
    (
        "less its optimism",
        "Harrell’s C of the multivariable model was corrected for its optimism by the bootstrap.",
    ),
    (
        SELECTED_ANEW,
        "Its variables were selected anew in each resample.",
    ),
)

#: Packages whose numbers the report prints, or that check them.
PACKAGES = ("duckdb", "numpy", "scipy", "pandas", "lifelines", "matplotlib")


def methods_statement(
    connection: duckdb.DuckDBPyConnection, study: Study, book: Book, run: dict[str, str]
) -> list[str]:
    """Paragraphs ready for a paper: patients and rules, statistics, software.

    Parameters
    ----------
    run
        What identifies the run, as the report prints it.
    """
    return [
        _patients(connection, study),
        _statistics(study, book),
        _software(book, run),
    ]


def _patients(connection: duckdb.DuckDBPyConnection, study: Study) -> str:
    criteria = [
        _uncapitalised(str(row["label"]))
        for row in rows(
            connection,
            "select label from reference.study_criteria where study_id = ? order by step",
            study.study_id,
        )
    ]
    settings = study.settings
    lines = rows(
        connection,
        "select * from reference.line_rule_sets where rule_set_id = ?",
        settings["line_rule_set_id"],
    )
    rule = lines[0] if lines else {}
    window = (
        f" Drugs begun within {rule['regimen_window_days']} days of the start of a line belong to "
        f"its regimen, and more than {rule['gap_days']} days without treatment end it "
        f"({str(rule['source']).partition(';')[0]})."
        if rule.get("regimen_window_days") is not None and rule.get("gap_days") is not None
        else ""
    )
    endpoints = " ".join(
        f"{row['label']}: {str(row['source']).rstrip('.')}."
        for row in rows(
            connection,
            """
            select distinct label, source
            from reference.endpoint_rule_sets
            where endpoint_rule_set_id = ? and list_contains(?, endpoint)
            order by label
            """,
            settings["endpoint_rule_set_id"],
            sorted({str(each.endpoint) for each in study.analyses if each.endpoint}),
        )
    )
    later = (
        " Analyses of a later line are of the patients who had it; their characteristics were not "
        "taken anew at its start."
        if any(each.line_number != FIRST_LINE for each in study.analyses)
        else ""
    )
    return (
        f"Patients were included from {settings['period_start']} to {settings['data_cutoff']} "
        f"(data cut-off) if they met every criterion: {'; '.join(criteria)}. Patients of whom "
        "the record does not say whether they meet one were not included. Lines of therapy were "
        "derived from dated orders, administrations and dispensings by rule set "
        f"{settings['line_rule_set_id']}."
        f"{window} Time runs from {time_origin(study)} and is given in months of "
        f"{DAYS_PER_MONTH} days. {endpoints}{later}"
    )


def _uncapitalised(label: str) -> str:
    """A label inside a sentence; abbreviations stay as they are."""
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]


def _statistics(study: Study, book: Book) -> str:
    kinds = {analysis.kind for analysis in study.analyses}
    if not any(IMPUTED in method for method in book.methods):
        kinds.discard("imputation")
    penalty = " with Firth’s penalty" if _propensity_is_penalised(study, book) else ""
    sentences = [text.replace(PENALTY, penalty) for kind, text in SENTENCES if kind in kinds]
    sentences += [
        text for phrase, text in BY_METHOD if any(phrase in method for method in book.methods)
    ]
    if any("time-dependent" in name for name in _variables(study, book)):
        sentences.append(
            "Because treatment given in a later line can only be had by those who live to it, the "
            "comparison of ever against never treated is given with exposure as a time-dependent "
            "covariate and at landmarks."
        )
    if any("delayed entry" in name for name in _variables(study, book)):
        sentences.append(
            "Since nobody could die before eligibility was known, medians and that comparison are "
            "also given with delayed entry."
        )
    seeds = sorted({seed for method in book.methods for seed in re.findall(r"seed (\d+)", method)})
    if seeds:
        sentences.append(f"Resampling used the seed {' and '.join(seeds)}.")
    sentences.append(
        f"Tests are two-sided at a level of {SIGNIFICANCE_LEVEL:g}; the analyses are exploratory."
    )
    return " ".join(sentences)


def _propensity_is_penalised(study: Study, book: Book) -> bool:
    found = [
        book.page(analysis.exhibit, analysis.population).get(
            f"{str(analysis.endpoint).lower()} {WEIGHTED}",
            str(analysis.contrast),
            HAZARD_RATIO.value,
            PREFERRED,
        )
        for analysis in study.analyses
        if analysis.kind == "weighting"
    ]
    return any(number is not None and "Firth" in (number.note or "") for number in found)


def _variables(study: Study, book: Book) -> list[str]:
    return [
        name
        for analysis in study.analyses
        for name in book.variables(analysis.exhibit, analysis.population)
    ]


def _software(book: Book, run: dict[str, str]) -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    name = f" (run {run['run_id']})" if run.get("run_id") else ""
    return (
        f"Every number is one of {len(book):,} rows computed in one run{name} with Python "
        f"{platform.python_version()}, {versions}. Estimators are the warehouse’s "
        "own, checked against R survival and lifelines."
    )
