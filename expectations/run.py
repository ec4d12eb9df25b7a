"""Runs every check on a built warehouse and stores what came of it.

Source of the five statuses: OHDSI DataQualityDashboard, which calls a check without rows to look at
not applicable; Great Expectations alone would call it a success.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, fields
from pathlib import Path

import duckdb

from expectations.catalogue import read_checks
from expectations.checks import (
    LAYERS,
    Check,
    CheckResult,
    counted,
    not_applicable,
    not_run,
)
from expectations.structure import structural_checks
from pipeline.contract import read_contract

RESULTS_TABLE = "quality.expectation_results"

COLUMNS = {
    "run_id": ("varchar not null", "The run."),
    "check_id": ("varchar not null", "The check; with table and columns it names one result."),
    "table_name": ("varchar not null", "Table checked, as schema.table."),
    "column_name": ("varchar not null", "Columns checked, separated by commas; empty for none."),
    "name": ("varchar not null", "What must hold."),
    "kahn_category": ("varchar not null", "Conformance, Completeness or Plausibility (Kahn 2016)."),
    "kahn_subcategory": ("varchar", "Its subcategory; NULL for completeness."),
    "kahn_context": (
        "varchar not null",
        "Verification: against internal expectation. Validation: against an independent one.",
    ),
    "severity": ("varchar not null", "blocking or warning."),
    "status": ("varchar not null", "pass, fail, error, not_applicable or not_run."),
    "n_violating": ("bigint", "How many break the rule; NULL where nothing was counted."),
    "n_checked": ("bigint", "How many were checked; NULL where nothing was counted."),
    "denominator": ("varchar not null", "What was counted."),
    "warn_above": ("double not null", "The check fails above this share, percent."),
    "block_above": ("double", "Nothing is published above this share, percent; NULL: never."),
    "blocks": ("boolean not null", "Whether this result alone forbids publication."),
    "rationale": ("varchar not null", "Why it matters."),
    "advice": ("varchar not null", "What the source site should do."),
    "detail": ("varchar", "Why there is neither pass nor fail. Never a value of the data."),
}
"""Columns of the results table: type and description."""


def all_checks() -> list[Check]:
    """Return the structural checks of the contract, then those of the catalogue."""
    return [*structural_checks(read_contract()), *read_checks()]


def run(
    warehouse: Path,
    *,
    layers: Collection[str] = LAYERS,
    checks: Iterable[Check] | None = None,
) -> list[CheckResult]:
    """Run the checks of these layers on a DuckDB file, read-only; one result per check, in order.

    Checks of other layers are not run. Should the database stop answering, so are those after it,
    and the blocking ones among them block.

    Raises FileNotFoundError if there is no such file.
    """
    from expectations.engine import open_warehouse
    from expectations.suites import rows_of, run_together

    wanted = list(all_checks() if checks is None else checks)
    results: dict[int, CheckResult] = {}
    with open_warehouse(warehouse) as opened:
        present = opened.relations()
        groups: dict[str, list[int]] = {}
        for number, check in enumerate(wanted):
            if check.layer not in layers:
                results[number] = not_run(check, f"the layer {check.layer} was not asked for")
            elif missing := sorted(check.tables - present):
                results[number] = _without_table(check, missing)
            else:
                groups.setdefault(rows_of(check), []).append(number)
        for group in groups.values():
            found = run_together(opened, [wanted[number] for number in group])
            results.update(zip(group, found, strict=True))
            if any(result.status == "error" for result in found) and not opened.is_alive():
                break
    return [
        results.get(number)
        or not_run(
            check,
            "the database stopped answering before this check",
            blocks=check.severity == "blocking",
        )
        for number, check in enumerate(wanted)
    ]


def blocking_failures(results: Iterable[CheckResult]) -> list[CheckResult]:
    """Return the results that forbid publication."""
    return [result for result in results if result.blocks]


def write(
    target: duckdb.DuckDBPyConnection | Path, results: Iterable[CheckResult], run_id: str
) -> None:
    """Store the results of a run in quality.expectation_results, in place of any it already has.

    `target` is a writable connection, or the path of the warehouse.
    """
    if isinstance(target, Path):
        with duckdb.connect(str(target)) as connection:
            return write(connection, results, run_id)
    names = [field.name for field in fields(CheckResult)]
    definitions = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
    placeholders = ", ".join("?" for _ in COLUMNS)
    rows = [[run_id, *(asdict(result)[name] for name in names)] for result in results]
    target.execute("begin")
    try:
        target.execute("create schema if not exists quality")
        target.execute(f"create table if not exists {RESULTS_TABLE} ({definitions})")
        _comment(target)
        target.execute(f"delete from {RESULTS_TABLE} where run_id = ?", [run_id])
        if rows:
            target.executemany(
                f"insert into {RESULTS_TABLE} (run_id, {', '.join(names)}) values ({placeholders})",
                rows,
            )
        target.execute("commit")
    except duckdb.Error:
        target.execute("rollback")
        raise
    return None


def _without_table(check: Check, missing: list[str]) -> CheckResult:
    if check.expects_table:
        return counted(check, 1, 1)
    return not_applicable(check, f"not in the warehouse: {', '.join(missing)}")


def _comment(connection: duckdb.DuckDBPyConnection) -> None:
    comments = {
        f"table {RESULTS_TABLE}": "One row per run, check, table and columns: what came of a check."
    } | {f"column {RESULTS_TABLE}.{name}": text for name, (_, text) in COLUMNS.items()}
    for what, comment in comments.items():
        connection.execute(f"comment on {what} is '{comment}'")
