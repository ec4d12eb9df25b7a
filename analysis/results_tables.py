"""The tables of schema results: their columns, described where an analyst finds them."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pandas as pd


@dataclass(frozen=True)
class ResultsTable:
    """One table: its grain, and its columns with type and meaning."""

    name: str
    grain: str
    columns: dict[str, tuple[str, str]]


_KEY = {
    "exhibit": ("varchar", "Table or figure of the study; flow and provenance are the report's."),
    "population": ("varchar", "Whom it is about (seed study_populations)."),
    "variable": ("varchar", "What it is about."),
    "level": ("varchar", "Level or contrast; NULL if it is about the whole variable."),
    "statistic": ("varchar", "Kind of number."),
}

TABLES = (
    ResultsTable(
        "estimates",
        "One row per number of the study report.",
        {
            "estimate_id": ("varchar", "Identifies the number; stable from run to run."),
            "study_id": ("varchar", "The study."),
            **_KEY,
            "convention": (
                "varchar",
                "as published: the study's methods; preferred: the report's.",
            ),
            "value": ("double", "The number; NULL if it does not exist."),
            "display": ("varchar", "What is printed: the number, or why there is none."),
            "n": ("integer", "Patients behind it."),
            "events": ("integer", "Events behind it."),
            "method": ("varchar", "How it was computed."),
            "parameters": ("varchar", "Parameters of the method, JSON."),
            "note": ("varchar", "What a reader should know."),
        },
    ),
    ResultsTable(
        "estimate_patients",
        "One row per number of the study report that is computed from patients: which ones.",
        {
            "estimate_id": ("varchar", "The number."),
            "study_id": ("varchar", "The study."),
            "patient_set": ("varchar", "All patients behind it (patient_sets)."),
            "counted_set": ("varchar", "Of a count or a share: the patients that it counts."),
        },
    ),
    ResultsTable(
        "patient_sets",
        "One row per set of patients that some number is about, and patient in it.",
        {
            "patient_set": ("varchar", "The set."),
            "study_id": ("varchar", "The study."),
            "patient_key": ("varchar", "Pseudonym of the patient."),
        },
    ),
    ResultsTable(
        "survival_curves",
        "One row per curve and time at which it is defined anew.",
        {
            "curve_id": ("varchar", "Identifies the curve."),
            "study_id": ("varchar", "The study."),
            "exhibit": ("varchar", "Figure it belongs to."),
            "population": ("varchar", "Whom the figure is about."),
            "endpoint": (
                "varchar",
                "OS, PFS or DOR; also from a landmark, or the incidence of a source of an event.",
            ),
            "group": ("varchar", "Group that the curve is of."),
            "group_order": ("integer", "Place of the group among the levels of its variable."),
            "time_months": ("double", "Months from the start of line 1, or from the landmark."),
            "survival": ("double", "Share without the event just after that time."),
            "lower": ("double", "Lower 95% limit; NULL once nobody is left."),
            "upper": ("double", "Upper 95% limit; NULL once nobody is left."),
            "n_at_risk": ("double", "Patients under observation at that time."),
            "n_events": ("double", "Events at that time."),
            "n_censored": ("double", "Patients censored at that time."),
            "method": ("varchar", "How the curve and its limits were computed."),
        },
    ),
    ResultsTable(
        "figure_bars",
        "One row per part of a bar in a figure that has a bar a patient; no row names the patient.",
        {
            "study_id": ("varchar", "The study."),
            "exhibit": ("varchar", "Figure it belongs to."),
            "population": ("varchar", "Whom the figure is about."),
            "position": ("integer", "Place of the bar in the figure, from 1."),
            "panel": ("varchar", "Group that the bar stands in."),
            "part": (
                "varchar",
                "line, observed, progression, death, ongoing or best change.",
            ),
            "level": ("varchar", "Group of the line, or best response."),
            "start_value": ("double", "Where the part begins, or where a mark stands."),
            "end_value": ("double", "Where the part ends; NULL for a mark."),
            "unit": ("varchar", "months from the start of line 1, or percent."),
        },
    ),
    ResultsTable(
        "published_comparison",
        "One row per number that the study printed, with what this warehouse computes.",
        {
            "result_id": ("varchar", "Identifies the printed number (seed published_results)."),
            "study_id": ("varchar", "The study."),
            **_KEY,
            "status": ("varchar", "ok, or what is wrong with the printed number."),
            "printed": ("varchar", "The text as printed."),
            "computed_display": ("varchar", "What is computed, at printed precision."),
            "computed_value": ("double", "What is computed, in full precision."),
            "difference": ("double", "Computed less printed."),
            "verdict": ("varchar", "reproduced, differs, cannot be or not computed."),
            "explanation": ("varchar", "Why not, by how much, or what to know."),
            "estimate_id": ("varchar", "The estimate it was compared with."),
        },
    ),
)


def replace_rows(
    connection: duckdb.DuckDBPyConnection,
    table: ResultsTable,
    study_id: str,
    rows: pd.DataFrame | None,
) -> None:
    """Replace a study's rows of one table.

    The table is created and described if there is none. One that an earlier version left with
    other columns is dropped: its rows are recomputed in every run.
    """
    left = connection.execute(
        "select list(column_name order by column_index) from duckdb_columns() "
        "where database_name = current_database() "
        "and schema_name = 'results' and table_name = ?",
        [table.name],
    ).fetchone()
    if left and left[0] and left[0] != list(table.columns):
        connection.execute(f"drop table results.{table.name}")
    columns = ", ".join(f'"{name}" {kind}' for name, (kind, _) in table.columns.items())
    connection.execute(f"create table if not exists results.{table.name} ({columns})")
    connection.execute(f"comment on table results.{table.name} is {_quoted(table.grain)}")
    for name, (_, meaning) in table.columns.items():
        connection.execute(f'comment on column results.{table.name}."{name}" is {_quoted(meaning)}')
    connection.execute(f"delete from results.{table.name} where study_id = ?", [study_id])
    if rows is not None and len(rows):
        connection.register("new_rows", rows)
        connection.execute(f"insert into results.{table.name} by name select * from new_rows")
        connection.unregister("new_rows")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
