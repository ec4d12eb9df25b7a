"""`rwe patient KEY`: one patient's course in the terminal, with the reason for every line.

Reads the published warehouse, so it shows days from the index date and no dates.
"""

from __future__ import annotations

from typing import Any

import duckdb
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from expectations.tables import rows
from pipeline.errors import CommandError

BAR_WIDTH = 60


def show(connection: duckdb.DuckDBPyConnection, key: str, console: Console) -> None:
    """Print the course of the patient whose key begins with `key`, for every study.

    Raises CommandError if no patient, or more than one, has such a key.
    """
    patient_key = _only_match(connection, key)
    for subject in rows(
        connection,
        "select cohort.*, characteristics.* exclude (study_id, patient_key, src_rids), "
        "studies.title, studies.line_rule_set_id, studies.endpoint_rule_set_id "
        "from cohort.cohort as cohort "
        "inner join reference.studies as studies using (study_id) "
        "left join cohort.patient_characteristics as characteristics using (study_id, patient_key) "
        "where cohort.patient_key = ? order by study_id",
        patient_key,
    ):
        console.print(Text(f"{patient_key}   {subject['title']}", style="bold"))
        console.print(Padding(_facts(subject), (0, 0, 1, 2)))
        lines = _lines(connection, subject)
        if not lines:
            console.print("  No line of therapy.")
            continue
        for line in lines:
            console.print(Padding(_line(connection, subject, line, lines), (0, 0, 1, 2)))


def _only_match(connection: duckdb.DuckDBPyConnection, key: str) -> str:
    matches = connection.execute(
        "select distinct patient_key from cohort.cohort where starts_with(patient_key, ?) limit 2",
        [key.lower()],
    ).fetchall()
    if not matches:
        raise CommandError(
            f"No patient key begins with {key}. "
            "Keys: rwe sql 'select patient_key from cohort.cohort where included'"
        )
    if len(matches) > 1:
        raise CommandError(f"More than one patient key begins with {key}; give more of it.")
    found: str = matches[0][0]
    return found


def _facts(subject: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    if subject["included"]:
        verdict = "included"
    else:
        verdict = (
            f"excluded at step {subject['first_failed_step']}: "
            f"{subject['first_failed_criterion']} {subject['first_failed_because']} "
            f"({subject['first_failed_finding']})"
        )
    table.add_row("study", verdict)
    if subject["index_year"] is not None:
        table.add_row("index year", f"{subject['index_year']} (day 0: first proof of metastasis)")
    for label, column in (
        ("age", "age_at_index"),
        ("sex", "sex"),
        ("primary", "primary_side"),
        ("metastases", "metastatic_pattern"),
        ("HER2", "her2_status"),
        ("RAS/BRAF", "ras_braf_status"),
    ):
        table.add_row(label, "unknown" if subject[column] is None else str(subject[column]))
    return table


def _lines(connection: duckdb.DuckDBPyConnection, subject: dict[str, Any]) -> list[dict[str, Any]]:
    return rows(
        connection,
        "select lines.*, reasons.meaning as start_meaning, responses.best_overall_response, "
        "pfs.time_days as pfs_days, pfs.event as pfs_event, pfs.censor_reason "
        "from treatment.lines_of_therapy as lines "
        "inner join reference.line_start_reasons as reasons on lines.start_reason = reasons.reason "
        "left join survival.response_by_line as responses "
        "on lines.study_id = responses.study_id "
        "and lines.rule_set_id = responses.line_rule_set_id "
        "and lines.patient_key = responses.patient_key "
        "and lines.line_number = responses.line_number "
        "left join survival.survival_intervals as pfs "
        "on lines.study_id = pfs.study_id and lines.rule_set_id = pfs.line_rule_set_id "
        "and lines.patient_key = pfs.patient_key and lines.line_number = pfs.line_number "
        "and pfs.endpoint = 'PFS' and pfs.endpoint_rule_set_id = ? "
        "where lines.study_id = ? and lines.rule_set_id = ? and lines.patient_key = ? "
        "order by lines.line_number",
        subject["endpoint_rule_set_id"],
        subject["study_id"],
        subject["line_rule_set_id"],
        subject["patient_key"],
    )


def _line(
    connection: duckdb.DuckDBPyConnection,
    subject: dict[str, Any],
    line: dict[str, Any],
    lines: list[dict[str, Any]],
) -> Group:
    where = [
        subject["study_id"],
        subject["line_rule_set_id"],
        subject["patient_key"],
        line["line_number"],
    ]
    heading = Text.assemble(
        (f"Line {line['line_number']}  {line['regimen']}", "bold"),
        f"   day {line['start_day']} to {line['end_day']}, {line['n_cycles']} cycles",
    )
    table = Table.grid(padding=(0, 2))
    table.add_row("", _bar(line, lines))
    table.add_row("began", f"{line['start_meaning']} ({line['start_reason']})")
    table.add_row(
        "ended", "ongoing" if line["is_ongoing"] else line["end_reason"].lower().replace("_", " ")
    )
    if line["pfs_days"] is not None:
        outcome = "progression or death" if line["pfs_event"] else line["censor_reason"]
        table.add_row("PFS", f"{line['pfs_days']} days, {outcome}")
    table.add_row("best response", line["best_overall_response"] or "not assessed")
    table.add_row("confidence", _confidence(line))
    for phase in rows(
        connection,
        "select phase, drugs, start_day, end_day from treatment.line_phases "
        "where study_id = ? and rule_set_id = ? and patient_key = ? and line_number = ? "
        "order by phase_number",
        *where,
    ):
        table.add_row(
            phase["phase"],
            f"{phase['drugs'].replace('+', ' + ')}, day {phase['start_day']} to {phase['end_day']}",
        )
    for rejected in rows(
        connection,
        "select drugs, explanation, days_from_line_start from treatment.line_rejected_alternatives "
        "where study_id = ? and rule_set_id = ? and patient_key = ? and line_number = ? "
        "order by days_from_line_start",
        *where,
    ):
        table.add_row(
            "no new line",
            f"{rejected['drugs'].replace('+', ' + ')} on day {rejected['days_from_line_start']} "
            f"of the line: {rejected['explanation']}",
        )
    return Group(heading, Padding(table, (0, 0, 0, 2)))


def _bar(line: dict[str, Any], lines: list[dict[str, Any]]) -> str:
    first = int(lines[0]["start_day"])
    span = max(max(int(other["end_day"]) for other in lines) - first, 1)
    start = (int(line["start_day"]) - first) * (BAR_WIDTH - 1) // span
    end = (int(line["end_day"]) - first) * (BAR_WIDTH - 1) // span
    return "·" * start + "█" * (end - start + 1) + "·" * (BAR_WIDTH - 1 - end)


def _confidence(line: dict[str, Any]) -> str:
    grade = str(line["confidence"])
    return f"{grade} ({line['confidence_deductions']})" if line["confidence_deductions"] else grade
