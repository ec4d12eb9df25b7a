"""What becomes of the headline numbers under other definitions of lines and of endpoints.

A study's definitions are choices among published ones. Every number here is computed as in the
survival figures, from the intervals, lines and groups that another rule set gives.
"""

from __future__ import annotations

import duckdb
import pandas as pd

from analysis.curves import enter_median
from analysis.group_tests import enter_ratio, hazard_ratio
from analysis.immortal_time import EVER_GIVEN
from analysis.ledger import PREFERRED, Ledger, Page
from analysis.line_classes import LINE_CLASS, lines_with_class
from analysis.study import FIRST_LINE, KNOWN_INTERVALS, Analysis, Study, Variable, frame
from expectations.tables import rows

#: Rule of a variable that gives the line in which an ingredient was first given.
LINE_OF_INGREDIENT = "ingredient_line"
NUMBER_OF_LINES = "number of lines"
#: Words of rule sets that are not written in small letters.
ACRONYMS = {"fda": "FDA", "ema": "EMA", "recist": "RECIST", "irecist": "iRECIST"}

#: What a rule set is about, in the names of levels: "lines: gap_60", "endpoints: fda".
LINES, ENDPOINTS = "lines", "endpoints"

#: Source values of the levels of an ever/never variable.
GIVEN, NEVER_GIVEN = "yes", "no"


def line_rule_set_changes(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter how many patients have another answer than under the study's own line rule set.

    The answers: number of lines, group of a line, line in which an ingredient was first given. A
    patient with an answer under one of the two rule sets only has changed.
    """
    answers = _answers(connection, study, analysis)
    own = study.settings["line_rule_set_id"]
    labels = _line_rule_sets(connection, study)
    for rule_set in [name for name in labels if name in answers]:
        for name, given in answers[rule_set].items():
            before = answers[own][name]
            both = pd.DataFrame({"before": before, "after": given}).astype(object)
            known = both.dropna(how="all")
            changed = (known["before"] != known["after"]) & ~(known.isna().all(axis=1))
            ledger.page(
                analysis.exhibit,
                analysis.population,
                line_rule_set_id=rule_set,
                compared_with=own,
                label=labels[rule_set],
            ).about(known).add(
                f"changed: {name}",
                f"{LINES}: {rule_set}",
                "n",
                int(changed.sum()),
                "count of patients whose answer differs",
                counted=changed,
            )


def _answers(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis
) -> dict[str, dict[str, pd.Series]]:
    """Answers by rule set and name; each a Series by patient."""
    members = study.members(analysis.population).index
    grouping = [v for v in study.variables.values() if v.rule == LINE_CLASS]
    found: dict[str, dict[str, pd.Series]] = {}
    for variable in grouping:
        lines = lines_with_class(connection, study, variable)
        lines = lines[lines["patient_key"].isin(members)]
        for rule_set, own in lines.groupby("rule_set_id"):
            answers = found.setdefault(str(rule_set), {})
            answers[NUMBER_OF_LINES] = own.groupby("patient_key")["line_number"].max()
            answers[variable.name] = _group_of_line(own, variable)
    for variable in study.variables.values():
        if variable.rule == LINE_OF_INGREDIENT:
            given = _lines_of(connection, study, str(variable.argument))
            for rule_set, answers in found.items():
                own = given[given["rule_set_id"] == rule_set].set_index("patient_key")
                answers[variable.name] = own.loc[own.index.isin(members), "line_number"]
    return found


def _group_of_line(lines: pd.DataFrame, variable: Variable) -> pd.Series:
    """Group of the line that a line_class variable is about, by patient."""
    chosen = lines[lines["line_number"] == int(variable.argument or FIRST_LINE)]
    groups: pd.Series = chosen.set_index("patient_key")["group"]
    return groups


def _lines_of(connection: duckdb.DuckDBPyConnection, study: Study, ingredient: str) -> pd.DataFrame:
    """First line with an ingredient: rule_set_id, patient_key, line_number."""
    return frame(
        connection,
        """
        select rule_set_id, patient_key, min(line_number) as line_number
        from treatment.line_components
        inner join cohort.cohort using (study_id, patient_key)
        where study_id = ? and included and ingredient = ?
        group by all
        order by all
        """,
        study.study_id,
        ingredient,
    )


def _line_rule_sets(connection: duckdb.DuckDBPyConnection, study: Study) -> dict[str, str]:
    """Labels of the line rule sets: the study's own first, then in alphabetical order."""
    own = study.settings["line_rule_set_id"]
    found = rows(connection, "select * from reference.line_rule_sets order by label")
    found.sort(key=lambda row: row["rule_set_id"] != own)
    return {str(row["rule_set_id"]): str(row["label"]) for row in found}


def line_rule_sets(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter median or hazard ratio of an endpoint under every line rule set.

    The endpoint is that of the study's own endpoint rule set. Groups that follow from the lines
    are those of the same rule set.
    """
    labels = _line_rule_sets(connection, study)
    intervals = intervals_by_rule_set(
        connection, study, analysis, "line_rule_set_id", "endpoint_rule_set_id"
    )
    groups = _groups_by_rule_set(connection, study, analysis)
    for rule_set in [name for name in labels if name in intervals]:
        page = ledger.page(
            analysis.exhibit,
            analysis.population,
            **{
                **study.timing(str(analysis.endpoint), analysis.line_number),
                "line_rule_set_id": rule_set,
            },
            label=labels[rule_set],
        )
        _enter(
            page, study, analysis, intervals[rule_set], f"{LINES}: {rule_set}", groups.get(rule_set)
        )


def endpoint_rule_sets(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter median or hazard ratio of an endpoint under every endpoint rule set.

    The lines are those of the study's own line rule set.
    """
    own = study.settings["endpoint_rule_set_id"]
    intervals = intervals_by_rule_set(
        connection, study, analysis, "endpoint_rule_set_id", "line_rule_set_id"
    )
    sources = {
        row["endpoint_rule_set_id"]: row["source"]
        for row in rows(
            connection,
            "select * from reference.endpoint_rule_sets where endpoint = ?",
            analysis.endpoint,
        )
    }
    for rule_set in sorted(intervals, key=lambda name: (name != own, name)):
        page = ledger.page(
            analysis.exhibit,
            analysis.population,
            **{
                **study.timing(str(analysis.endpoint), analysis.line_number),
                "endpoint_rule_set_id": rule_set,
            },
            label=rule_set_label(rule_set),
            source=sources.get(rule_set),
        )
        _enter(page, study, analysis, intervals[rule_set], f"{ENDPOINTS}: {rule_set}", None)


def rule_set_label(rule_set: str) -> str:
    """An endpoint rule set as tables name it."""
    words = " ".join(ACRONYMS.get(word, word) for word in rule_set.split("_"))
    return words if words.startswith(tuple(ACRONYMS.values())) else words[:1].upper() + words[1:]


def comparison_name(analysis: Analysis) -> str:
    """Variable of results.estimates that an analysis is entered under."""
    endpoint = str(analysis.endpoint).lower()
    return f"{endpoint}: {analysis.contrast}" if analysis.group_variable else endpoint


def intervals_by_rule_set(
    connection: duckdb.DuckDBPyConnection,
    study: Study,
    analysis: Analysis,
    varied: str,
    held: str,
) -> dict[str, pd.DataFrame]:
    """Times from the start of the analysis' line, by rule set: one kind varied, the other held.

    Of a later line those who had it under the rule set of lines.
    """
    found = frame(
        connection,
        f"""
        select {varied} as rule_set_id, patient_key, time_months as time, event
        from {KNOWN_INTERVALS}
        where study_id = ? and line_number = ? and endpoint = ? and {held} = ?
        order by all
        """,
        study.study_id,
        analysis.line_number,
        analysis.endpoint,
        study.settings[held],
    )
    members = study.members(analysis.population).index
    found = found[found["patient_key"].isin(members)].astype({"event": int, "time": float})
    return {
        str(rule_set): own.set_index("patient_key")[["time", "event"]]
        for rule_set, own in found.groupby("rule_set_id")
    }


def _groups_by_rule_set(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis
) -> dict[str, pd.Series]:
    """Group of every patient by rule set, for a group variable that follows from the lines."""
    if analysis.group_variable is None:
        return {}
    variable = study.variable(analysis.group_variable)
    if variable.rule == LINE_CLASS:
        lines = lines_with_class(connection, study, variable)
        return {
            str(rule_set): _group_of_line(own, variable)
            for rule_set, own in lines.groupby("rule_set_id")
        }
    if variable.rule == EVER_GIVEN:
        given = _lines_of(connection, study, str(variable.argument))
        level_of = {level.source_value: level.name for level in variable.levels}
        patients = study.levels.index.to_series()
        return {
            rule_set: patients.isin(given.loc[given["rule_set_id"] == rule_set, "patient_key"]).map(
                {True: level_of[GIVEN], False: level_of[NEVER_GIVEN]}
            )
            for rule_set in _line_rule_sets(connection, study)
        }
    return {}


def _enter(
    page: Page,
    study: Study,
    analysis: Analysis,
    patients: pd.DataFrame,
    level: str,
    group: pd.Series | None,
) -> None:
    """Enter n, events, and the median or, with a contrast, the hazard ratio."""
    name = comparison_name(analysis)
    exposed = None
    if analysis.group_variable is not None:
        if group is None:
            group = study.levels[analysis.group_variable]
        own = group.astype(object).reindex(patients.index)
        patients, own = patients[own.notna()], own.dropna()
        exposed = (own == analysis.contrast_level).astype(int)
    n, events = len(patients), int(patients["event"].sum())
    page = page.about(patients)
    page.add(name, level, "n", n, "count of patients with an interval", convention=PREFERRED)
    page.add(
        name,
        level,
        "events_n",
        events,
        "count of events",
        convention=PREFERRED,
        counted=patients["event"] == 1,
    )
    if exposed is None:
        enter_median(page, name, level, patients, published=False)
    elif exposed.nunique() < 2:
        enter_ratio(page, name, level, "one side has no patients")
    else:
        found = hazard_ratio(patients.assign(exposed=exposed), "exposed")
        enter_ratio(page, name, level, found)
