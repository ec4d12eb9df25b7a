"""A check, its five possible statuses, and the arithmetic that leads to one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pipeline.errors import CommandError

Severity = Literal["blocking", "warning"]
Status = Literal["pass", "fail", "error", "not_applicable", "not_run"]

Key = tuple[str, str, str]
"""Check, table and columns: what names a result among those of a run."""

LAYERS = ("staging", "marts")
"""The two gates: what the extract looks like, and what was derived from it."""


QUARANTINE, SOURCE_FILES = ACCOUNTS = ("quality.quarantine", "quality.source_files")
"""The marts that say what became of the delivered rows; they come before the first gate."""


@dataclass(frozen=True)
class BuiltIn:
    """A rule that Great Expectations has an expectation for.

    `expectation` is the name of its class and `arguments` what the class is called with.
    """

    expectation: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Condition:
    """A rule in SQL over `checked`: the rows of the check's table, or of the query `rows`.

    A row is checked where `applies_to` is true and violates the rule where `violation` is true too;
    NULL is not a violation. `reads` are the tables, as schema.table, that the SQL needs beside the
    check's own.
    """

    violation: str
    applies_to: str = "true"
    rows: str | None = None
    reads: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Check:
    """One rule about one table.

    `table` is schema.table. Thresholds are percentages of what `denominator` says in words:
    the check fails above `warn_above`, and stops publication above `block_above` (None: never).
    `expects_table` is for rules about the table's very existence, `across_patients` for rules that
    compare rows of different patients: their counts over some patients do not add up to those over
    all.
    """

    check_id: str
    table: str
    columns: tuple[str, ...]
    name: str
    kahn_category: str
    kahn_subcategory: str | None
    kahn_context: str
    severity: Severity
    warn_above: float
    block_above: float | None
    denominator: str
    rationale: str
    advice: str
    rule: BuiltIn | Condition
    expects_table: bool = False
    across_patients: bool = False

    def __post_init__(self) -> None:
        """Refuse thresholds that contradict each other or the severity; raises CommandError."""
        if self.block_above is not None and self.block_above < self.warn_above:
            raise self._contradiction("block_above is below warn_above")
        if self.severity == "blocking" and self.block_above is None:
            raise self._contradiction("a blocking check needs block_above")

    def _contradiction(self, what: str) -> CommandError:
        return CommandError(f"{self.check_id}: {what}. Mend expectations/catalogue.yml")

    @property
    def key(self) -> Key:
        """What names its result among all."""
        return self.check_id, self.table, ", ".join(self.columns)

    @property
    def tables(self) -> frozenset[str]:
        """Every table that the check reads."""
        own = frozenset({self.table})
        return own | self.rule.reads if isinstance(self.rule, Condition) else own

    @property
    def layer(self) -> str:
        """The gate it belongs to: staging if it reads only what is there before any derivation."""
        delivered = all(
            table.startswith(("raw.", "staging.")) or table in ACCOUNTS for table in self.tables
        )
        return "staging" if delivered else "marts"


@dataclass(frozen=True)
class CheckResult:
    """What became of a check: one row of quality.expectation_results.

    `n_violating` of `n_checked` are counts of what `denominator` says, None where nothing was
    counted. `blocks`: this result alone forbids publication. `detail` says why there is neither
    pass nor fail; it never quotes a value of the data.
    """

    check_id: str
    table_name: str
    column_name: str
    name: str
    kahn_category: str
    kahn_subcategory: str | None
    kahn_context: str
    severity: Severity
    status: Status
    n_violating: int | None
    n_checked: int | None
    denominator: str
    warn_above: float
    block_above: float | None
    blocks: bool
    rationale: str
    advice: str
    detail: str | None = None

    @property
    def key(self) -> Key:
        """What names it among all."""
        return self.check_id, self.table_name, self.column_name


def counted(check: Check, n_violating: int, n_checked: int) -> CheckResult:
    """Judge a check by its counts. Nothing checked is not applicable, never a pass."""
    if n_checked == 0:
        return not_applicable(check, f"nothing to check: no {check.denominator}", n_checked=0)
    status, blocks = judged(n_violating, n_checked, check.warn_above, check.block_above)
    return _result(check, status, n_violating, n_checked, blocks=blocks)


def judged(
    n_violating: int, n_checked: int, warn_above: float, block_above: float | None
) -> tuple[Status, bool]:
    """Return what a share amounts to under thresholds in percent, and whether it blocks."""
    percent = 100 * n_violating / n_checked
    blocks = block_above is not None and percent > block_above
    return "fail" if percent > warn_above else "pass", blocks


def not_applicable(check: Check, detail: str, n_checked: int | None = None) -> CheckResult:
    """Say that there was nothing for the check to be about."""
    return _result(check, "not_applicable", n_checked, n_checked, detail=detail)


def errored(check: Check, detail: str) -> CheckResult:
    """Say that the check could not be evaluated; one that would have blocked then blocks."""
    return _result(check, "error", blocks=check.severity == "blocking", detail=detail)


def not_run(check: Check, detail: str, *, blocks: bool = False) -> CheckResult:
    """Say that the check was not reached."""
    return _result(check, "not_run", blocks=blocks, detail=detail)


def _result(
    check: Check,
    status: Status,
    n_violating: int | None = None,
    n_checked: int | None = None,
    *,
    blocks: bool = False,
    detail: str | None = None,
) -> CheckResult:
    return CheckResult(
        check_id=check.check_id,
        table_name=check.table,
        column_name=", ".join(check.columns),
        name=check.name,
        kahn_category=check.kahn_category,
        kahn_subcategory=check.kahn_subcategory,
        kahn_context=check.kahn_context,
        severity=check.severity,
        status=status,
        n_violating=n_violating,
        n_checked=n_checked,
        denominator=check.denominator,
        warn_above=check.warn_above,
        block_above=check.block_above,
        blocks=blocks,
        rationale=check.rationale,
        advice=check.advice,
        detail=detail,
    )
