"""What the stored results of the checks amount to: a verdict, a matrix, and who failed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import duckdb

from expectations.checks import BuiltIn, Check, Status
from expectations.history import RESULTS_TABLE
from expectations.pages import counted
from expectations.run import all_checks
from expectations.small_cells import HIDDEN, Sum, shown
from expectations.tables import exist, rows

STATUSES: tuple[str, ...] = get_args(Status)

CATEGORIES = ("Conformance", "Completeness", "Plausibility")
CONTEXTS = ("Verification", "Validation")

EARLIER_RUNS = 6
"""How many runs before this one the trend of a failed check shows."""

#: Of what a table of the source is called when it is delivered, and when it is staged.
SOURCE_TABLE = re.compile(r"^(?:raw\.|staging\.stg_[a-z]+__)")

Result = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """Whether the run may be published: `publishable`, `warnings`, `blocked` or `unchecked`."""

    code: str
    headline: str
    because: str


@dataclass(frozen=True)
class MatrixRow:
    """Counts of one table by status, in each column of the matrix."""

    label: str
    derived: bool
    cells: tuple[dict[str, int], ...]


def stored_results(connection: duckdb.DuckDBPyConnection, run_id: str | None) -> list[Result]:
    """Return the results of the run in the order they were stored; without a run, the latest."""
    if not exist(connection, RESULTS_TABLE):
        return []
    return rows(
        connection,
        f"""
        select *
        from {RESULTS_TABLE}
        where run_id = coalesce(?, (select max(run_id) from {RESULTS_TABLE}))
        order by rowid
        """,
        run_id,
    )


def earlier(connection: duckdb.DuckDBPyConnection, result: Result) -> list[Result]:
    """Return what came of the same check of the same site in the runs before, oldest first."""
    found = rows(
        connection,
        f"""
        select *
        from {RESULTS_TABLE}
        where
            check_id = ? and table_name = ? and column_name = ?
            and site_code is not distinct from ?
            and run_id <> ? and checked_at <= ?
        order by checked_at desc, run_id desc
        limit {EARLIER_RUNS}
        """,
        *(result[name] for name in ("check_id", "table_name", "column_name", "site_code")),
        *(result[name] for name in ("run_id", "checked_at")),
    )
    return found[::-1]


def judge(results: Sequence[Result], disagreements: int) -> Verdict:
    """Return the verdict; `disagreements` counts results that a second programme did not get."""
    blocking = sum(result["blocks"] for result in results)
    warned = sum(
        result["status"] in ("fail", "error") and not result["blocks"] for result in results
    )
    if not results:
        return Verdict(
            "unchecked",
            "Not checked",
            "No result of any check is stored for this run. Nothing may be published from it.",
        )
    if blocking:
        return Verdict(
            "blocked",
            "Blocked",
            f"{counted(blocking, 'check')} of {len(results)} "
            f"{'forbids' if blocking == 1 else 'forbid'} publication"
            + (f"; {warned} more failed or could not be evaluated." if warned else "."),
        )
    if warned or disagreements:
        reasons = [
            text
            for count, text in (
                (
                    warned,
                    f"{counted(warned, 'check')} of {len(results)} failed or could not be "
                    "evaluated",
                ),
                (
                    disagreements,
                    f"two programmes disagree on {counted(disagreements, 'result')}",
                ),
            )
            if count
        ]
        return Verdict(
            "warnings",
            "Publishable with warnings",
            f"No check forbids publication; {' and '.join(reasons)}.",
        )
    return Verdict("publishable", "Publishable", f"None of {len(results)} checks failed.")


def by_status(results: Sequence[Result]) -> dict[str, int]:
    """Return how many results have each of the five statuses."""
    counts = Counter(result["status"] for result in results)
    return {status: counts[status] for status in STATUSES}


def by_kind(results: Sequence[Result]) -> list[tuple[str, str, str, dict[str, int]]]:
    """Return counts by status for each Kahn category, subcategory and context, in that order."""
    kinds: dict[tuple[str, str, str], list[Result]] = {}
    for result in results:
        kind = (
            result["kahn_category"],
            result["kahn_subcategory"] or "",
            result["kahn_context"],
        )
        kinds.setdefault(kind, []).append(result)
    return [
        (*kind, by_status(kinds[kind]))
        for kind in sorted(
            kinds, key=lambda k: (_place(CATEGORIES, k[0]), k[1], _place(CONTEXTS, k[2]))
        )
    ]


def matrix_columns(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Return the pairs of category and context that some check has."""
    found = {(result["kahn_category"], result["kahn_context"]) for result in results}
    return sorted(found, key=lambda pair: (_place(CATEGORIES, pair[0]), _place(CONTEXTS, pair[1])))


def matrix(results: Sequence[Result]) -> list[MatrixRow]:
    """Return one row a table; a source table as delivered and as staged is one row."""
    pairs = matrix_columns(results)
    counted: dict[tuple[bool, str], dict[tuple[str, str], Counter[str]]] = {}
    for result in results:
        label, found = SOURCE_TABLE.subn("", result["table_name"])
        row = counted.setdefault((not found, label), {pair: Counter() for pair in pairs})
        row[result["kahn_category"], result["kahn_context"]][result["status"]] += 1
    return [
        MatrixRow(
            label,
            derived,
            tuple({s: cell[s] for s in STATUSES if cell[s]} for cell in cells.values()),
        )
        for (derived, label), cells in sorted(counted.items(), key=lambda item: item[0][0])
    ]


def failures(
    connection: duckdb.DuckDBPyConnection, results: Sequence[Result], *, exact: bool
) -> list[Result]:
    """Return what failed, ended in an error or blocks: blocking first, then errors, then warnings.

    Each has `numbers` (in words), `trend` (day and numbers of the runs before) and `rule` (as it
    was run) added. Unless `exact`, small counts are hidden.
    """
    checks = {check.key: check for check in all_checks()}
    found = [r for r in results if r["blocks"] or r["status"] in ("fail", "error")]
    found.sort(key=lambda r: (not r["blocks"], r["status"] != "error"))
    return [
        {
            **result,
            "numbers": numbers(result, exact=exact),
            "trend": [
                (before["checked_at"][:10], numbers(before, exact=exact))
                for before in earlier(connection, result)
            ],
            "rule": _rule(
                checks.get((result["check_id"], result["table_name"], result["column_name"]))
            ),
        }
        for result in found
    ]


def passed(results: Sequence[Result], *, exact: bool) -> list[Result]:
    """Return what passed, with `numbers` in words."""
    return [
        {**result, "numbers": numbers(result, exact=exact)}
        for result in results
        if result["status"] == "pass"
    ]


def unjudged(results: Sequence[Result]) -> list[Result]:
    """Return what was not applicable or not run."""
    return [r for r in results if r["status"] in ("not_applicable", "not_run")]


def numbers(result: Result, *, exact: bool) -> str:
    """Say how many break a rule, of how many; unless `exact`, hide the few."""
    violating, checked = result["n_violating"], result["n_checked"]
    if violating is None or checked is None:
        return "nothing counted"
    if not exact:
        counts = {"violating": violating, "others": checked - violating, "checked": checked}
        texts = shown(counts, [Sum("checked", ("violating", "others"))])
        if HIDDEN in texts.values():
            return f"{HIDDEN} of {texts['checked']}"
    share = f" ({100 * violating / checked:.1f}%)" if checked else ""
    return f"{violating:,} of {checked:,}{share}"


def _rule(check: Check | None) -> str:
    if check is None:
        return ""
    if isinstance(check.rule, BuiltIn):
        arguments = ", ".join(f"{k}={v!r}" for k, v in check.rule.arguments.items())
        return f"{check.rule.expectation}({arguments})"
    looked_at = f"({check.rule.rows})" if check.rule.rows else check.table
    among = "" if check.rule.applies_to == "true" else f"({check.rule.applies_to}) and "
    return " ".join(
        f"select * from {looked_at} as checked where {among}({check.rule.violation})".split()
    )


def _place(order: tuple[str, ...], name: str) -> tuple[int, str]:
    return (order.index(name) if name in order else len(order), name)
