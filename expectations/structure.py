"""What the extract contract promises of each table of staging/common, as checks.

The contract is the only description of a delivery; this module turns it into rules and adds nothing
to it. How grave a broken promise is stands in the section `structure` of catalogue.yml.
"""

from __future__ import annotations

from collections.abc import Iterator

from expectations.catalogue import Kind, condition, read_kinds
from expectations.checks import BuiltIn, Check, Condition
from pipeline.contract import Column, Contract, Table

NOT_NULL = "ExpectColumnValuesToNotBeNull"
IN_SET = "ExpectColumnValuesToBeInSet"
BETWEEN = "ExpectColumnValuesToBeBetween"
UNIQUE = "ExpectColumnValuesToBeUnique"
HAS_ROWS = "ExpectTableRowCountToBeBetween"

PATIENTS = "patients"
DELIVERY = "delivery"


def staged(table_name: str) -> str:
    """Return where a table of the contract is staged, as schema.table."""
    return f"staging.stg_common__{table_name}"


def structural_checks(contract: Contract, kinds: dict[str, Kind] | None = None) -> list[Check]:
    """Return one check for each promise of the contract, table by table in its order."""
    kinds = kinds or read_kinds()
    return [
        check
        for table in contract.tables.values()
        for check in (
            *_of_the_file(table, kinds),
            *_of_the_rows(contract, table, kinds),
            *(check for column in table.columns for check in _of_a_column(table, column, kinds)),
            *_of_the_dates(contract, table, kinds),
        )
    ]


def _of_the_file(table: Table, kinds: dict[str, Kind]) -> Iterator[Check]:
    if table.required:
        yield kinds["delivered"].check(
            staged(table.name), (), BuiltIn(HAS_ROWS, {"min_value": 1}), expects_table=True
        )
    delivered = f"raw.{table.name}"
    unread = (
        "src_rid in (select quarantine.src_rid from quality.quarantine as quarantine "
        f"where quarantine.table_name = '{table.name}')"
    )
    yield kinds["quarantined"].check(delivered, (), condition(delivered, unread))
    counts = (
        f"select (select count(*) from {delivered}) as n_delivered, "
        f"(select count(*) from {staged(table.name)}) as n_staged, "
        "(select count(distinct quarantine.src_rid) from quality.quarantine as quarantine "
        f"where quarantine.table_name = '{table.name}') as n_quarantined, "
        f"(select count(duplicate_of) from {delivered}) as n_collapsed"
    )
    yield kinds["accounted"].check(
        delivered,
        (),
        condition(
            delivered,
            "n_delivered <> n_staged + n_quarantined + n_collapsed",
            "n_delivered > 0",
            counts,
        ),
    )


def _of_the_rows(contract: Contract, table: Table, kinds: dict[str, Kind]) -> Iterator[Check]:
    where = staged(table.name)
    if table.row_key:
        yield kinds["row_key"].check(
            where, (table.row_key,), BuiltIn(UNIQUE, {"column": table.row_key})
        )
    if table.name == PATIENTS:
        yield kinds["patient_key"].check(
            where, ("patient_key",), BuiltIn(UNIQUE, {"column": "patient_key"})
        )
    elif table.patient_column and PATIENTS in contract.tables:
        yield kinds["patient_known"].check(
            where,
            ("patient_key",),
            condition(where, _missing_from(PATIENTS, "patient_key", "patient_key")),
        )


def _of_a_column(table: Table, column: Column, kinds: dict[str, Kind]) -> Iterator[Check]:
    where = staged(table.name)
    name = _first_name(column)
    if column.required:
        yield kinds["required"].check(where, (name,), BuiltIn(NOT_NULL, {"column": name}))
    if column.codes:
        codes = [str(code) for code in column.codes]
        yield kinds["codes"].check(
            where, (name,), BuiltIn(IN_SET, {"column": name, "value_set": codes})
        )
    if column.minimum is not None or column.maximum is not None:
        limits = {"min_value": column.minimum, "max_value": column.maximum}
        yield kinds["range"].check(where, (name,), BuiltIn(BETWEEN, {"column": name, **limits}))
    if column.refers_to:
        target, _, target_column = column.refers_to.partition(".")
        yield kinds["reference"].check(
            where,
            (name,),
            condition(where, _missing_from(target, target_column, name), f"{name} is not null"),
        )
    if column.kind == "partial_date":
        names = _date_names(column)
        yield kinds["partial_date"].check(where, names, _keeps_precision(where, *names))


def _of_the_dates(contract: Contract, table: Table, kinds: dict[str, Kind]) -> Iterator[Check]:
    where = staged(table.name)
    dates = [c for c in table.columns if c.kind in ("date", "partial_date")]
    extract = _column_with_role(contract.tables.get(DELIVERY), "event_time")
    if extract and table.name != DELIVERY:
        extract_date = f"(select max(delivery.{extract.name}) from {staged(DELIVERY)} as delivery)"
        for column in dates:
            name = _first_name(column)
            yield kinds["not_after_extract"].check(
                where,
                (name,),
                condition(
                    where,
                    f"{name} > {extract_date}",
                    f"{name} is not null and {extract_date} is not null",
                ),
            )
    event = _column_with_role(table, "event_time")
    available = _column_with_role(table, "available_time")
    if event and available:
        happened, known = _first_name(event), _first_name(available)
        yield kinds["known_after_event"].check(
            where,
            (known,),
            condition(
                where, f"{known} < {happened}", f"{known} is not null and {happened} is not null"
            ),
        )


def _missing_from(table_name: str, column: str, name: str) -> str:
    return (
        f"not exists (select 1 from {staged(table_name)} as target "
        f"where target.{column} = checked.{name})"
    )


def _keeps_precision(where: str, earliest: str, latest: str, precision: str) -> Condition:
    violation = (
        f"case {precision} "
        f"when 'day' then {earliest} <> {latest} "
        f"when 'month' then {earliest} <> date_trunc('month', {latest}) "
        f"or {latest} <> last_day({earliest}) "
        f"when 'year' then {earliest} <> make_date(year({latest}), 1, 1) "
        f"or {latest} <> make_date(year({earliest}), 12, 31) "
        "else true end is distinct from false"
    )
    return condition(
        where, violation, f"coalesce({earliest}, {latest}) is not null or {precision} is not null"
    )


def _column_with_role(table: Table | None, role: str) -> Column | None:
    return next((c for c in table.columns if c.role == role), None) if table else None


def _date_names(column: Column) -> tuple[str, str, str]:
    return f"{column.name}_earliest", f"{column.name}_latest", f"{column.name}_precision"


def _first_name(column: Column) -> str:
    """Return the staged column that stands for a delivered one."""
    if column.role == "patient":
        return "patient_key"
    return _date_names(column)[0] if column.kind == "partial_date" else column.name
