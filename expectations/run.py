"""Runs every check on a built warehouse.

Source of the five statuses: OHDSI DataQualityDashboard, which calls a check without rows to look at
not applicable; Great Expectations alone would call it a success.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import duckdb

from expectations.catalogue import read_checks
from expectations.checks import (
    LAYERS,
    Check,
    CheckResult,
    Key,
    counted,
    not_applicable,
    not_run,
)
from expectations.structure import structural_checks
from pipeline.contract import read_contract

Counts = tuple[int, int]
"""How many violate a check, of how many."""
NOTHING_KNOWN: Mapping[Key, Counts] = MappingProxyType({})


@cache
def all_checks() -> tuple[Check, ...]:
    """Return the structural checks of the contract, then those of the catalogue."""
    return (*structural_checks(read_contract()), *read_checks())


def run(
    warehouse: Path | duckdb.DuckDBPyConnection,
    *,
    layers: Collection[str] = LAYERS,
    checks: Iterable[Check] | None = None,
    known: Mapping[Key, Counts] = NOTHING_KNOWN,
) -> list[CheckResult]:
    """Run the checks of these layers on a DuckDB file or an open connection; nothing is written.

    There is one result per check, in order. What is `known` is not counted again.

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
            elif check.key in known:
                results[number] = counted(check, *known[check.key])
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


def _without_table(check: Check, missing: list[str]) -> CheckResult:
    if check.expects_table:
        return counted(check, 1, 1)
    return not_applicable(check, f"not in the warehouse: {', '.join(missing)}")
