"""The tables of schema results: their columns and types.

What they mean stands in models/marts/results.yml.
"""

from __future__ import annotations

import duckdb
import pandas as pd

_KEY = dict.fromkeys(("exhibit", "population", "variable", "level", "statistic"), "varchar")

TABLES = {
    "estimates": {
        "estimate_id": "varchar",
        "study_id": "varchar",
        **_KEY,
        "convention": "varchar",
        "value": "double",
        "display": "varchar",
        "n": "integer",
        "events": "integer",
        "method": "varchar",
        "parameters": "varchar",
        "note": "varchar",
    },
    "estimate_patients": {
        "estimate_id": "varchar",
        "study_id": "varchar",
        "patient_set": "varchar",
        "counted_set": "varchar",
    },
    "patient_sets": {
        "patient_set": "varchar",
        "study_id": "varchar",
        "patient_key": "varchar",
    },
    "survival_curves": {
        "curve_id": "varchar",
        "study_id": "varchar",
        "exhibit": "varchar",
        "population": "varchar",
        "endpoint": "varchar",
        "group": "varchar",
        "group_order": "integer",
        "time_months": "double",
        "survival": "double",
        "lower": "double",
        "upper": "double",
        "n_at_risk": "double",
        "n_events": "double",
        "n_censored": "double",
        "method": "varchar",
    },
    "figure_bars": {
        "study_id": "varchar",
        "exhibit": "varchar",
        "population": "varchar",
        "position": "integer",
        "panel": "varchar",
        "part": "varchar",
        "level": "varchar",
        "start_value": "double",
        "end_value": "double",
        "unit": "varchar",
    },
    "published_comparison": {
        "result_id": "varchar",
        "study_id": "varchar",
        **_KEY,
        "status": "varchar",
        "printed": "varchar",
        "computed_display": "varchar",
        "computed_value": "double",
        "difference": "double",
        "verdict": "varchar",
        "explanation": "varchar",
        "estimate_id": "varchar",
    },
}


def replace_rows(
    connection: duckdb.DuckDBPyConnection, table: str, study_id: str, rows: pd.DataFrame | None
) -> None:
    """Replace a study's rows of one table.

    The table is created if there is none. One that an earlier version left with other columns is
    dropped: its rows are recomputed in every run.
    """
    columns = TABLES[table]
    left = connection.execute(
        "select list(column_name order by column_index) from duckdb_columns() "
        "where database_name = current_database() "
        "and schema_name = 'results' and table_name = ?",
        [table],
    ).fetchone()
    if left and left[0] and left[0] != list(columns):
        connection.execute(f"drop table results.{table}")
    typed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
    connection.execute(f"create table if not exists results.{table} ({typed})")
    connection.execute(f"delete from results.{table} where study_id = ?", [study_id])
    if rows is not None and len(rows):
        connection.register("new_rows", rows)
        connection.execute(f"insert into results.{table} by name select * from new_rows")
        connection.unregister("new_rows")
