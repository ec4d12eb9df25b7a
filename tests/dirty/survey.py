"""What the checks of a built warehouse find, by row where their queries name rows or patients."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from expectations.checks import Check, Condition
from expectations.history import RESULTS_TABLE
from expectations.run import all_checks
from pipeline.contract import RECORD_BITS, RID_SHIFT, read_contract
from pipeline.pseudonyms import pseudonym
from synthetic.dirty.kinds import COLLAPSED

Place = tuple[str, str, str]
"""A check, its table and its columns: what names one result."""

Record = tuple[str, int]
"""A table and the number of a record of it."""

Reason = tuple[str, str, str]
"""Why a record is set aside: column, check, reason."""


@dataclass(frozen=True)
class Planted:
    """One line of the list of defects that lies beside a dirty delivery."""

    defect_id: str
    kind: str
    table: str
    record_no: int
    patient_id: str
    column: str
    check_id: str
    also: frozenset[str]
    set_aside_because: str

    @property
    def record(self) -> Record:
        return self.table, self.record_no


Who = tuple[int | None, str | None]
"""A raw row and a patient, each if known."""


@dataclass(frozen=True)
class Finding:
    """What came of one check. `who` violates it, if its query names rows or patients."""

    status: str
    n_violating: int
    blocks: bool
    names_rows: bool = False
    names_patients: bool = False
    who: frozenset[Who] = frozenset()


def read_defects(path: Path) -> list[Planted]:
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Planted(
                defect_id=row["defect_id"],
                kind=row["kind"],
                table=row["table"],
                record_no=int(row["record_no"]),
                patient_id=row["patient_id"],
                column=row["column"],
                check_id=row["check_id"],
                also=frozenset(row["also"].split()),
                set_aside_because=row["set_aside_because"],
            )
            for row in csv.DictReader(file)
        ]


def survey(connection: duckdb.DuckDBPyConnection) -> dict[Place, Finding]:
    """The stored results of a warehouse's own run, and who violates each check."""
    checks = {
        (check.check_id, check.table, ", ".join(check.columns)): check for check in all_checks()
    }
    stored = connection.execute(
        "select check_id, table_name, column_name, status, coalesce(n_violating, 0), blocks "
        f"from {RESULTS_TABLE} where run_id = (select max(run_id) from {RESULTS_TABLE})"
    ).fetchall()
    return {
        (check_id, table, columns): _named(
            connection, checks[check_id, table, columns], Finding(status, n, blocks)
        )
        for check_id, table, columns, status, n, blocks in stored
    }


def _named(connection: duckdb.DuckDBPyConnection, check: Check, finding: Finding) -> Finding:
    """Add who violates the check."""
    rule = check.rule
    if finding.n_violating == 0 or not isinstance(rule, Condition):
        return finding
    rows = rule.rows or f"select * from {check.table}"
    described = connection.execute(f"select * from ({rows}) limit 0").description or []
    names = {name for name, *_ in described}
    who = ", ".join(name if name in names else "null" for name in ("src_rid", "patient_key"))
    found = connection.execute(
        f"select {who} from ({rows}) as checked where ({rule.applies_to}) and ({rule.violation})"
    ).fetchall()
    return replace(
        finding,
        names_rows="src_rid" in names,
        names_patients="patient_key" in names,
        who=frozenset(found),
    )


def set_aside(connection: duckdb.DuckDBPyConnection) -> dict[Record, set[Reason]]:
    """Every record that was delivered and not staged, with each of its reasons."""
    repeated = " union all ".join(
        f"select '{table}', (src_rid & {RECORD_BITS})::int, '', '', '{COLLAPSED}' "
        f"from raw.{table} where duplicate_of is not null"
        for table in read_contract().tables
    )
    found: dict[Record, set[Reason]] = defaultdict(set)
    for table, record_no, *reason in connection.execute(
        "select table_name, record_no, coalesce(column_name, ''), check_id, reason "
        f"from quality.quarantine union all {repeated}"
    ).fetchall():
        found[table, record_no].add(tuple(reason))
    return dict(found)


class Recall:
    """Planted defects against what a dirty warehouse finds that its clean twin does not."""

    def __init__(
        self,
        defects: list[Planted],
        clean: dict[Place, Finding],
        dirty: duckdb.DuckDBPyConnection,
        key: bytes,
    ) -> None:
        self.defects = defects
        self.dirty = survey(dirty)
        self.set_aside = set_aside(dirty)
        self._new = {place: _more(clean.get(place), found) for place, found in self.dirty.items()}
        self._who = _identities(defects, dirty, key)

    def missed(self) -> list[str]:
        """Every planted record that was not found as it must be."""
        return [
            f"{defect.defect_id}: {defect.table} record {defect.record_no}, {defect.column}: "
            f"not found by {defect.check_id or 'anything'}"
            for defect in self.defects
            if not self.is_found(defect)
        ]

    def unplanned(self) -> list[str]:
        """Everything found that no planted defect explains."""
        planned = {defect.record for defect in self.defects if defect.set_aside_because}
        return [
            f"{table} record {record_no}: set aside, {sorted(reasons)}"
            for (table, record_no), reasons in self.set_aside.items()
            if (table, record_no) not in planned
        ] + [
            f"{' '.join(place)}: {extra}"
            for place, found in self._new.items()
            if (extra := self._unexplained(place, found))
        ]

    def by_check(self) -> dict[str, tuple[int, int]]:
        """For each check that must find something: records planted and found."""
        found: dict[str, list[bool]] = defaultdict(list)
        for defect in self.defects:
            found[defect.check_id or "collapsed"].append(self.is_found(defect))
        return {check: (len(each), sum(each)) for check, each in sorted(found.items())}

    def is_found(self, defect: Planted) -> bool:
        reasons = self.set_aside.get(defect.record, set())
        if {(column, why) for column, _, why in reasons} != (
            {(defect.column, defect.set_aside_because)} if defect.set_aside_because else set()
        ):
            return False
        return defect.check_id in {check for _, check, _ in reasons} or any(
            self._is_among(defect, place, found)
            for place, found in self._new.items()
            if place[0] == defect.check_id and found.n_violating > 0
        )

    def _is_among(self, defect: Planted, place: Place, found: Finding) -> bool:
        row, patient = self._who[defect]
        if found.names_rows:
            return row in {row for row, _ in found.who}
        if found.names_patients:
            return patient in {patient for _, patient in found.who}
        return found.n_violating >= len(self._required(place))

    def _unexplained(self, place: Place, found: Finding) -> list[str]:
        """Who violates a check without a defect that it may find: the defects that they do have."""
        required = self._required(place)
        may = [defect for defect in self.defects if place[0] in defect.also]
        if not found.names_rows and not found.names_patients:
            extra = 0 if may else found.n_violating - len(required)
            return ["unknown"] * extra
        # The text of a record that was set aside may break any rule.
        aside = [defect for defect in self.defects if defect.set_aside_because]
        rows = {self._who[defect][0] for defect in [*required, *may, *aside]}
        known = may if found.names_rows else [*required, *may]
        patients = {self._who[defect][1] for defect in known}
        left = {who for who in found.who if who[0] not in rows and who[1] not in patients}
        kinds = {
            who: defect.kind
            for who in left
            for defect in self.defects
            if who[0] == self._who[defect][0] or who[1] == self._who[defect][1]
        }
        return [kinds.get(who, "no defect") for who in left]

    def _required(self, place: Place) -> list[Planted]:
        """Defects that a check must find here, where it has several tables or columns."""
        check_id, table, columns = place
        required = [defect for defect in self.defects if defect.check_id == check_id]
        tables = [other for check, other, _ in self.dirty if check == check_id]
        if len(tables) > 1:
            ends = {defect: (f"__{defect.table}", f".{defect.table}") for defect in required}
            required = [defect for defect in required if table.endswith(ends[defect])]
        if tables.count(table) > 1:
            required = [defect for defect in required if defect.column in columns.split(", ")]
        return required


def _identities(
    defects: list[Planted], connection: duckdb.DuckDBPyConnection, key: bytes
) -> dict[Planted, Who]:
    files = dict(connection.execute("select table_name, file_id from raw.files").fetchall())
    ((site,),) = connection.execute("select site_code from staging.stg_common__delivery").fetchall()
    return {
        defect: (
            (files[defect.table] << RID_SHIFT) + defect.record_no,
            pseudonym(site, defect.patient_id, key),
        )
        for defect in defects
    }


def _more(before: Finding | None, after: Finding) -> Finding:
    if before is None:
        return after
    return replace(
        after, n_violating=after.n_violating - before.n_violating, who=after.who - before.who
    )
