"""Counts and summaries: the cohort, Table 1, treatments, response, toxicity, provenance."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pandas as pd
from scipy.stats import beta

from analysis.estimators import reverse_kaplan_meier
from analysis.ledger import NO_PATIENTS, PREFERRED, Ledger, Page
from analysis.study import Analysis, Study, StudyError, frame, is_delivered, of_line
from expectations.tables import rows

MISSING = "missing"

#: Best overall responses in the order of RECIST 1.1, section 4.3.
RESPONSES = ("CR", "PR", "SD", "PD")
OBJECTIVE_RESPONSES = ("CR", "PR")
#: NON-CR/NON-PD is what a patient without target lesions has in place of SD (RECIST 1.1, table 2).
DISEASE_CONTROL = ("CR", "PR", "SD", "NON-CR/NON-PD")
#: Printed only where they occur.
OTHER_RESPONSES = ("NON-CR/NON-PD", "NE")
NOT_ASSESSED = "not assessed"

GRADE_GROUPS = ("1-2", "3-4")
FATAL = "5"
NO_CATEGORY = "other"

FOLLOWED_TO_CUTOFF = "alive at data cut-off"

CONFIDENCE = 0.95


def attrition(connection: duckdb.DuckDBPyConnection, study: Study, ledger: Ledger) -> None:
    """Enter the cohort flow: who is left after each criterion, and why the others are not."""
    steps = rows(
        connection,
        "select * from cohort.cohort_attrition where study_id = ? order by step",
        study.study_id,
    )
    for step in steps:
        page = ledger.page("flow", "delivered", step=step["step"], criterion=step["criterion"])
        for level, column in (
            ("assessed", "n_in"),
            ("not met", "n_not_met"),
            ("unknown", "n_unknown"),
            ("remaining", "n_out"),
        ):
            count = int(step[column])
            page.about(count).add(
                step["criterion_id"], level, "n", count, "patients at the first criterion not met"
            )


DELIVERED = """
    select
        table_name,
        max(file_name) as file_name,
        string_agg(sha256, ' ' order by file_id) as sha256,
        sum(n_records)::bigint as n_records,
        sum(n_staged)::bigint as n_staged,
        sum(n_quarantined)::bigint as n_quarantined,
        sum(n_collapsed + n_superseded + n_erased)::bigint as n_set_aside
    from quality.source_files
    group by table_name
    order by min(file_id)
"""
"""One row per table of the contract, over the deliveries whose rows stand."""


def deliveries(connection: duckdb.DuckDBPyConnection, ledger: Ledger) -> None:
    """Enter the account of the delivered rows, by table of the contract."""
    for file in rows(connection, DELIVERED):
        page = ledger.page("provenance", "delivery", sha256=file["sha256"])
        for statistic, column in (
            ("records_n", "n_records"),
            ("staged_n", "n_staged"),
            ("quarantined_n", "n_quarantined"),
            ("set_aside_n", "n_set_aside"),
        ):
            page.add(file["table_name"], None, statistic, file[column], "count of rows")


def population_size(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter how many patients a population holds."""
    population = study.population(analysis.population)
    whom: pd.DataFrame | int = study.members(population.name)
    if population.after_criterion is not None:
        whom = _met_up_to(connection, study.study_id, population.after_criterion)
    page = ledger.page(
        analysis.exhibit, population.name, after_criterion=population.after_criterion
    )
    page = page.about(whom)
    page.add("cohort", population.label, "n", page.n, "count of patients")


def _met_up_to(connection: duckdb.DuckDBPyConnection, study_id: str, criterion_id: str) -> int:
    counted = rows(
        connection,
        """
        select count(cohort.patient_key) as n
        from reference.study_criteria
        left join cohort.cohort
            on
                study_criteria.study_id = cohort.study_id
                and (
                    cohort.first_failed_step is null
                    or cohort.first_failed_step > study_criteria.step
                )
        where study_criteria.study_id = ? and study_criteria.criterion_id = ?
        group by study_criteria.step
        """,
        study_id,
        criterion_id,
    )
    if not counted:
        raise StudyError(f"Study {study_id} has no criterion {criterion_id!r} in study_criteria.")
    return int(counted[0]["n"])


def quantity(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter median, quartiles and range of a number, in years."""
    variable = study.variable(analysis.group_variable)
    members = study.members(analysis.population).index
    numbers = pd.to_numeric(study.values.loc[members, variable.name], errors="coerce").dropna()
    page = ledger.page(analysis.exhibit, analysis.population).about(numbers)
    _summary(page, variable.name, numbers, "years", "completed years")


def _summary(page: Page, variable: str, numbers: pd.Series, unit: str, what: str) -> None:
    for statistic, share, words in (
        ("median", 0.5, "median"),
        ("min", 0.0, "smallest"),
        ("max", 1.0, "largest"),
    ):
        page.add(
            variable,
            None,
            f"{statistic}_{unit}",
            _quantile(numbers, share),
            f"{words} of {what}",
            missing=NO_PATIENTS,
        )
    for statistic, share, words in (("q1", 0.25, "first"), ("q3", 0.75, "third")):
        page.add(
            variable,
            None,
            f"{statistic}_{unit}",
            _quantile(numbers, share),
            f"{words} quartile of {what}, linear interpolation",
            convention=PREFERRED,
            missing=NO_PATIENTS,
        )


def _quantile(numbers: pd.Series, share: float) -> float | None:
    return None if numbers.empty else float(numbers.quantile(share))


def follow_up(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter deaths, follow-up as the study summed it up, and its reverse Kaplan-Meier median.

    The study gives the median of all observed times, deaths included, and calls their range an
    interquartile range; its q1 and q3 are therefore the smallest and largest time as published,
    and the quartiles as preferred.
    """
    patients = study.survival(analysis.endpoint, analysis.population, analysis.line_number)
    n, events = len(patients), int(patients["event"].sum())
    endpoint = str(analysis.endpoint)
    page = ledger.page(
        analysis.exhibit, analysis.population, **study.timing(endpoint, analysis.line_number)
    ).about(patients)
    died = patients["event"] == 1
    page.add(endpoint.lower(), None, "deaths_n", events, "count of events", counted=died)
    page.add(
        endpoint.lower(),
        None,
        "deaths_pct",
        percent(events, n),
        "share of patients",
        missing=NO_PATIENTS,
        counted=died,
    )
    _summary(page, "follow_up", patients["time"], "months", "observed time")
    for statistic, share, words in (("q1", 0.0, "smallest"), ("q3", 1.0, "largest")):
        page.add(
            "follow_up",
            None,
            f"{statistic}_months",
            _quantile(patients["time"], share),
            f"{words} observed time, which the study calls {statistic.upper()}",
            missing=NO_PATIENTS,
        )
    if n:
        page.add_median(
            "follow_up",
            "reverse Kaplan-Meier",
            reverse_kaplan_meier(patients["time"], patients["event"]).median(),
            note="potential follow-up: deaths count as censored (Schemper and Smith 1996)",
        )
    own = study.intervals_of(endpoint, analysis.line_number).loc[patients.index]
    followed = own["event"].astype(bool) | (own["censor_reason"] == FOLLOWED_TO_CUTOFF)
    complete = int(followed.sum())
    within = page.about(patients, within_days=study.settings["follow_up_complete_within_days"])
    for statistic, value in (("n", complete), ("pct", percent(complete, n))):
        within.add(
            "follow_up",
            "complete",
            statistic,
            value,
            "dead, or last contact close to the data cut-off",
            missing=NO_PATIENTS,
            counted=followed,
        )


def characteristics(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter Table 1: patients and percent of all patients, by level; missing where any are.

    Of a variable that is known of nobody no level is entered: nobody would seem to have it.
    """
    members = study.members(analysis.population, analysis.line_number)
    page = ledger.page(
        analysis.exhibit, analysis.population, **of_line(analysis.line_number)
    ).about(members)
    for variable in study.variables.values():
        if not variable.in_table1:
            continue
        missing = members[variable.name].isna()
        for level in _level_names(study, variable.name) if not missing.all() else ():
            _count(page, variable.name, level, members[variable.name] == level)
        if missing.any():
            _count(page, variable.name, MISSING, missing)


def count_within(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter, within each level of a variable, the patients with one level of a second one."""
    members = study.members(analysis.population, analysis.line_number)
    group = study.variable(analysis.group_variable)
    detail = study.variable(analysis.detail_variable)
    has_detail = members[detail.name] == analysis.detail_level
    for level in _level_names(study, group.name):
        inside = has_detail[members[group.name] == level]
        page = ledger.page(
            analysis.exhibit,
            analysis.population,
            **of_line(analysis.line_number),
            within=level,
            detail_variable=detail.name,
        ).about(inside)
        page.add(
            group.name,
            f"{level}, {analysis.detail_level}",
            "n",
            int(inside.sum()),
            "count of patients",
            counted=inside,
        )


def cross_count(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter patients by level of one variable and, within it, by value of another."""
    members = study.members(analysis.population)
    if members.empty:
        return
    group = study.variable(analysis.group_variable)
    detail = study.variable(analysis.detail_variable)
    for level in shown_levels(study, group.name):
        inside = members[members[group.name] == level]
        page = ledger.page(analysis.exhibit, analysis.population).about(inside)
        page.add(group.name, level, "n", len(inside), "count of patients")
        found = inside[detail.name].astype(object).where(inside[detail.name].notna(), MISSING)
        counts = found.value_counts()
        for value in sorted(counts.index, key=lambda name: (-counts[name], name)):
            page.about(inside, within=level, value=value, detail_variable=detail.name).add(
                group.name,
                f"{level}: {value}",
                "n",
                int(counts[value]),
                "count of patients",
                counted=found == value,
            )


def response(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter best overall response in the line that a line variable names, by that line.

    Every patient of the line counts in the denominator, assessed or not; but where nobody was
    assessed nothing is known and there is no rate.
    """
    group = study.variable(analysis.group_variable)
    members = study.members(analysis.population)
    line = pd.to_numeric(study.values.loc[members.index, group.name], errors="coerce")
    best = frame(
        connection,
        "select patient_key, line_number, best_overall_response from survival.response_by_line "
        "where study_id = ? and line_rule_set_id = ?",
        study.study_id,
        study.settings["line_rule_set_id"],
    ).set_index(["patient_key", "line_number"])["best_overall_response"]
    found = pd.Series(
        [best.get((patient, number)) for patient, number in line.items()],
        index=line.index,
        dtype=object,
    )
    found = found.where(found.notna(), NOT_ASSESSED)
    if (found == NOT_ASSESSED).all():
        return
    others = [name for name in (*OTHER_RESPONSES, NOT_ASSESSED) if (found == name).any()]
    for level in shown_levels(study, group.name):
        inside = found[members[group.name] == level]
        page = ledger.page(analysis.exhibit, analysis.population).about(inside)
        page.add(group.name, level, "n", page.n, "count of patients")
        enter_responses(page, level, inside, (*RESPONSES, *others))


def enter_responses(page: Page, level: str, found: pd.Series, responses: Sequence[str]) -> None:
    """Enter each response of the page's patients, and the two rates with exact limits."""
    summaries = {"ORR": OBJECTIVE_RESPONSES, "DCR": DISEASE_CONTROL}
    for name, counted in {**{name: (name,) for name in responses}, **summaries}.items():
        has_it = found.isin(counted)
        _count(page, name, level, has_it)
        if name in summaries and len(found):
            limits = clopper_pearson(int(has_it.sum()), len(found))
            for statistic, limit in zip(("pct_lower", "pct_upper"), limits, strict=True):
                page.add(
                    name,
                    level,
                    statistic,
                    limit,
                    "exact binomial 95% interval (Clopper and Pearson 1934)",
                    convention=PREFERRED,
                    counted=has_it,
                )


def adverse_events(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter adverse events of a line that nobody judged unrelated: events, and patients.

    Nothing if no adverse events were delivered: that nobody had one is then not known.
    """
    group = study.variable(analysis.group_variable)
    members = study.members(analysis.population, analysis.line_number)
    if members.empty or not is_delivered(connection, "adverse_events"):
        return
    events = frame(
        connection,
        """
        select patient_key, coalesce(category, ?) as category, grade_group
        from safety.adverse_events
        where
            study_id = ?
            and line_number = ?
            and may_be_related
        """,
        NO_CATEGORY,
        study.study_id,
        analysis.line_number,
    )
    events = events[events["patient_key"].isin(members.index)]
    events = events.assign(group=members[group.name].reindex(events["patient_key"]).to_numpy())
    levels = shown_levels(study, group.name)
    pages = {
        level: ledger.page(
            analysis.exhibit, analysis.population, **of_line(analysis.line_number)
        ).about(members[members[group.name] == level])
        for level in levels
    }
    for level, page in pages.items():
        page.add(group.name, level, "n", page.n, "count of patients")
    grades = [*GRADE_GROUPS, *([FATAL] if (events["grade_group"] == FATAL).any() else [])]
    counts = events.groupby(["category", "grade_group", "group"], observed=True)["patient_key"]
    n_events, patients = counts.size().to_dict(), counts.agg(set).to_dict()
    for category in _categories(connection, events):
        for grade in grades:
            for level in levels:
                cell = (category, grade, level)
                page = pages[level].about(
                    pages[level].n,
                    n_events.get(cell, 0),
                    category=category,
                    grade_group=grade,
                    line_number=analysis.line_number,
                )
                variable = f"{category} grade {grade}"
                inside = members[members[group.name] == level].index
                has_event = pd.Series(inside.isin(patients.get(cell, ())), index=inside)
                page.add(
                    variable,
                    level,
                    "n",
                    n_events.get(cell, 0),
                    "count of events not judged unrelated",
                    counted=has_event,
                )
                page.add(
                    variable,
                    level,
                    "patients_n",
                    int(has_event.sum()),
                    "count of patients with such an event",
                    convention=PREFERRED,
                    counted=has_event,
                )


def _categories(connection: duckdb.DuckDBPyConnection, events: pd.DataFrame) -> list[str]:
    """Categories of the code list in its order, then what is in none."""
    listed = rows(
        connection,
        """
        select value as category
        from (
            select value, row_number() over () as position
            from reference.code_lists
            where code_list = 'adverse_event_category'
        )
        group by value
        order by min(position)
        """,
    )
    uncategorised = (events["category"] == NO_CATEGORY).any()
    return [str(row["category"]) for row in listed] + ([NO_CATEGORY] if uncategorised else [])


def percent(count: float, n: int) -> float | None:
    """Percent of n; None of nobody."""
    return 100 * count / n if n else None


def clopper_pearson(count: int, n: int, level: float = CONFIDENCE) -> tuple[float, float]:
    """Exact binomial limits of count / n, in percent (Clopper and Pearson 1934)."""
    tail = (1 - level) / 2
    lower = 0.0 if count == 0 else float(beta.ppf(tail, count, n - count + 1))
    upper = 1.0 if count == n else float(beta.ppf(1 - tail, count + 1, n - count))
    return 100 * lower, 100 * upper


def shown_levels(study: Study, variable: str) -> list[str]:
    """Levels that tables print: those that anybody in the study has."""
    found = set(study.levels[variable].dropna())
    return [name for name in _level_names(study, variable) if name in found]


def _count(page: Page, variable: str, level: str, counted: pd.Series) -> None:
    count = int(counted.sum())
    page.add(variable, level, "n", count, "count of patients", counted=counted)
    page.add(
        variable,
        level,
        "pct",
        percent(count, page.n or 0),
        "share of all patients of the group",
        missing=NO_PATIENTS,
        counted=counted,
    )


def _level_names(study: Study, variable: str) -> list[str]:
    levels = study.variables[variable].level_names
    return levels or sorted(study.levels[variable].dropna().unique())
