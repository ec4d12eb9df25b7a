"""The study's groups of lines, for every line and rule set.

A line belongs to a targeted class of the study's groups when it has drugs of that one and of no
other of these; the mart cohort.patient_variables says so of the line that the variable names, under
the study's own rule set.
"""

from __future__ import annotations

import duckdb
import pandas as pd

from analysis.study import Study, StudyError, Variable, frame

#: Rule of a variable that groups lines by their targeted drugs.
LINE_CLASS = "line_class"
#: Source values of the levels for a line without targeted drugs, and for every other mixture.
NO_TARGETED, SEVERAL_TARGETED = "none", "several"
CYTOTOXIC = "cytotoxic"


def lines_with_class(
    connection: duckdb.DuckDBPyConnection,
    study: Study,
    variable: Variable,
    rule_set: str | None = None,
) -> pd.DataFrame:
    """Every line of the included patients under every rule set, or under one, with its group.

    Parameters
    ----------
    variable
        A variable of the rule line_class.

    Returns
    -------
    DataFrame
        rule_set_id, patient_key, line_number, group (level of the variable, missing if none fits),
        start_reason, end_reason, confidence, start_day, end_day; sorted.

    Raises
    ------
    StudyError
        If the variable does not group lines.
    """
    if variable.rule != LINE_CLASS:
        raise StudyError(
            f"Study {study.study_id}: {variable.name} groups no lines; the rule of the variable "
            f"must be {LINE_CLASS}."
        )
    lines = frame(
        connection,
        """
        select
            rule_set_id, patient_key, line_number, start_reason, end_reason, confidence,
            start_day, end_day
        from treatment.lines_of_therapy
        inner join cohort.cohort using (study_id, patient_key)
        where study_id = ? and included and rule_set_id = coalesce(?, rule_set_id)
        order by rule_set_id, patient_key, line_number
        """,
        study.study_id,
        rule_set,
    )
    drugs = frame(
        connection,
        """
        select distinct rule_set_id, patient_key, line_number, drug_class, modality
        from treatment.line_components
        inner join cohort.cohort using (study_id, patient_key)
        where study_id = ? and included and rule_set_id = coalesce(?, rule_set_id)
        """,
        study.study_id,
        rule_set,
    )
    key = ["rule_set_id", "patient_key", "line_number"]
    named = {level.source_value for level in variable.levels if level.named_drug}
    groups = drugs[drugs["drug_class"].isin(named)].groupby(key)["drug_class"]
    one_class = groups.agg("first")[groups.nunique() == 1].rename("one_class").reset_index()
    targeted = drugs[drugs["modality"] != CYTOTOXIC][key].drop_duplicates().assign(targeted=True)
    found = lines.merge(one_class, on=key, how="left").merge(targeted, on=key, how="left")
    mixture = found["targeted"].notna().map({True: SEVERAL_TARGETED, False: NO_TARGETED})
    level_of = {level.source_value: level.name for level in variable.levels}
    found["group"] = found["one_class"].where(found["one_class"].notna(), mixture).map(level_of)
    return found.drop(columns=["one_class", "targeted"])
