"""Turns checks into Great Expectations suites, runs them, and reads the counts they return."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe

from expectations.checks import BuiltIn, Check, CheckResult, Condition, counted, errored
from expectations.engine import COUNTS_ONLY, Warehouse
from expectations.row_rules import ExpectNoRowToViolate
from expectations.structure import HAS_ROWS

SAFE_MESSAGE = re.compile(
    r"(?:Binder|Catalog|Parser) Error: [^\n]*|The column \"\w+\" in BatchData does not exist"
)
"""Messages that speak of names only. Any other may quote a value of the data and is withheld."""


def run_together(warehouse: Warehouse, checks: list[Check]) -> list[CheckResult]:
    """Run checks that look at the same rows, as one suite on one batch; in the order given.

    A failing statement takes down the aggregates computed beside it, so whatever ends in error is
    run once more alone.
    """
    results = _run_suite(warehouse, checks)
    if len(checks) == 1:
        return results
    return [
        run_together(warehouse, [check])[0] if result.status == "error" else result
        for check, result in zip(checks, results, strict=True)
    ]


def rows_of(check: Check) -> str:
    """Return what identifies the rows that a check looks at: its query, or its table."""
    query = check.rule.rows if isinstance(check.rule, Condition) else None
    return query or check.table


def _run_suite(warehouse: Warehouse, checks: list[Check]) -> list[CheckResult]:
    try:
        outcomes = _validate(warehouse, checks)
        return [_judged(check, outcome) for check, outcome in zip(checks, outcomes, strict=True)]
    except Exception as error:  # whatever it is, it concerns these checks and no others
        return [errored(check, _explained(str(error))) for check in checks]


def _validate(warehouse: Warehouse, checks: list[Check]) -> list[Any]:
    query = checks[0].rule.rows if isinstance(checks[0].rule, Condition) else None
    batch = warehouse.query_batch(query) if query else warehouse.table_batch(checks[0].table)
    suite = gx.ExpectationSuite(
        name=checks[0].table,
        expectations=[_expectation(check, number) for number, check in enumerate(checks)],
    )
    outcomes = batch.validate(suite, result_format=COUNTS_ONLY).results
    by_number = {outcome.expectation_config.meta["number"]: outcome for outcome in outcomes}
    return [by_number[number] for number in range(len(checks))]


def _expectation(check: Check, number: int) -> Any:
    meta = {"number": number, "check_id": check.check_id}
    if isinstance(check.rule, BuiltIn):
        return getattr(gxe, check.rule.expectation)(**check.rule.arguments, meta=meta)
    return ExpectNoRowToViolate(
        applies_to=check.rule.applies_to, violation=check.rule.violation, meta=meta
    )


def _judged(check: Check, outcome: Any) -> CheckResult:
    result = outcome.result
    if not result:
        return errored(check, _explained(" ".join(_messages(outcome.exception_info))))
    if isinstance(check.rule, BuiltIn) and check.rule.expectation == HAS_ROWS:
        return counted(check, 0 if outcome.success else 1, 1)
    checked = result["element_count"] - result.get("missing_count", 0)
    return counted(check, result["unexpected_count"] or 0, checked)


def _messages(exception_info: dict[str, Any]) -> Iterable[str]:
    for raised in exception_info.values():
        if isinstance(raised, dict):
            yield str(raised.get("exception_message"))


def _explained(message: str) -> str:
    if safe := SAFE_MESSAGE.search(message):
        return safe.group().replace("BatchData", "the table")
    kind = re.search(r"\w+ Error(?=:)", message)
    return f"{kind.group() if kind else 'Error'}; its text is withheld, it may quote a value"
