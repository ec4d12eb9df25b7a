"""What the extract contract promises of each table, as checks.

The contract is the only description of a delivery; this module turns it into rules and adds nothing
to it. How grave a broken promise is stands in the section `structure` of catalogue.yml, and how
values must be written in the section `written`.

All checks of one delivered table look at the same query, so that its rows are read once.
"""

from __future__ import annotations

from collections.abc import Iterator

from expectations.catalogue import Kind, condition, read_kinds, read_written
from expectations.checks import BuiltIn, Check, Condition
from pipeline.contract import Column, Contract, Table

UNIQUE = "ExpectColumnValuesToBeUnique"
HAS_ROWS = "ExpectTableRowCountToBeBetween"

STAGED = "staging.stg_common__"
PATIENTS = "patients"
DELIVERY = "delivery"

SEPARATOR = r"\x1f"
"""Stands between the values of a row where they are searched together; as a regular expression."""

BLANKS = r"[ \x{A0}\x{1680}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}]*"
"""What staging trims from a value; as a regular expression."""


RECORDS_BEFORE = f"""
    select table_name, n_records, unnest(range(n_before)) as record_no
    from quality.source_files
    where not exists (
        select 1 from {STAGED}{DELIVERY} as delivery where delivery.covers = 'changes'
    )
"""
"""One row per record of the delivery before; one of changes only is not shorter for it."""


def staged(table_name: str) -> str:
    """Return where a table of the contract is staged, as schema.table."""
    return f"{STAGED}{table_name}"


def structural_checks(contract: Contract, kinds: dict[str, Kind] | None = None) -> list[Check]:
    """Return one check for each promise of the contract, table by table in its order."""
    kinds = kinds or read_kinds()
    return [
        check
        for table in contract.tables.values()
        for check in (
            *_of_the_file(table, kinds),
            *_of_the_text(table, kinds),
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
    delivered, files = f"raw.{table.name}", f"table_name = '{table.name}'"
    yield kinds["volume"].check(
        delivered, (), condition(delivered, "record_no >= n_records", files, RECORDS_BEFORE)
    )
    yield kinds["accounted"].check(
        delivered,
        (),
        condition(
            delivered,
            "n_records <> n_staged + n_quarantined + n_collapsed + n_superseded + n_erased",
            f"{files} and n_records > 0",
            "select * from quality.source_files",
        ),
    )


def _of_the_text(table: Table, kinds: dict[str, Kind]) -> Iterator[Check]:
    delivered, rows = f"raw.{table.name}", _delivered_rows(table)
    yield kinds["quarantined"].check(
        delivered, (), condition(delivered, "faults is not null", rows=rows)
    )
    yield kinds["ragged"].check(
        delivered, (), condition(delivered, "load_fault is not null", rows=rows)
    )
    for column in table.columns:
        name = "patient_id" if column.role == "patient" else column.name
        has_value = "true" if column.role == "patient" else f"{name} <> ''"
        if column.required:
            missing = f"faults like '%; {name}: missing%'"
            yield kinds["required"].check(
                delivered, (name,), condition(delivered, missing, rows=rows)
            )
        if broken := _kind_of_fault(column):
            unreadable = f"faults like '%; {name}: not %'"
            yield kinds[broken].check(
                delivered, (name,), condition(delivered, unreadable, has_value, rows)
            )
    written = _columns_by_class(table)
    for kind in read_written():
        if classes := _looked_at(kind, written):
            columns = [c.name for c in table.columns if any(c in written[k] for k in classes)]
            violation = " or ".join(
                f"regexp_matches({name}_text, '{_pattern(kind)}')" for name in classes
            )
            if "longer_than" in kind.entry:
                violation = f"record_bytes > {kind.entry['longer_than']}"
            yield kind.check(delivered, tuple(columns), condition(delivered, violation, rows=rows))


def _delivered_rows(table: Table) -> str:
    """Return the delivered rows with what is wrong with them.

    `faults` is why a row is in quarantine. `<class>_text` holds the values of the columns of a
    class if any pattern is found among them, else NULL: most rows are then done with.
    """
    written = _columns_by_class(table)
    joined = ", ".join(
        f"concat_ws(chr(31), {', '.join(column.name for column in columns)}) as {name}_joined"
        for name, columns in written.items()
    )
    suspicious = [
        f"case when regexp_matches({name}_joined, '{_any_pattern(name, written)}') "
        f"then {name}_joined end as {name}_text"
        for name in written
    ]
    n_bytes = " + ".join(f"strlen({name}_joined)" for name in written)
    return (
        f"select delivered.*, {', '.join(suspicious)}, {n_bytes} as record_bytes, "
        "'; ' || quarantined.reasons as faults "
        f"from (select *, {joined} from raw.{table.name}) as delivered "
        "left join (select src_rid, "
        "string_agg(concat_ws(': ', column_name, reason), '; ') as reasons "
        f"from quality.quarantine where table_name = '{table.name}' group by src_rid) "
        "as quarantined on delivered.src_rid = quarantined.src_rid"
    )


def _columns_by_class(table: Table) -> dict[str, list[Column]]:
    """Return the columns of a table by what is expected of their text; no class is empty."""
    classes: dict[str, list[Column]] = {}
    for column in table.columns:
        if column.role != "patient":
            classes.setdefault(_class(column), []).append(column)
    return classes


def _class(column: Column) -> str:
    if column.kind in ("date", "partial_date"):
        return "date"
    if column.kind in ("number", "integer"):
        return "number"
    if column.kind == "code":
        return "code"
    names_a_row = column.role == "row_key" or column.refers_to or column.name.endswith("_no")
    return "id" if names_a_row or column.name.endswith("_id") else "text"


def _looked_at(kind: Kind, written: dict[str, list[Column]]) -> list[str]:
    """Return the classes of columns that a kind looks at, of those that the table has."""
    wanted = kind.entry["looks_at"]
    return [name for name in written if name in wanted or "any" in wanted]


def _pattern(kind: Kind) -> str:
    """Return the pattern of a kind for values that stand side by side."""
    if "value" in kind.entry:
        return f"(^|{SEPARATOR}){BLANKS}({kind.entry['value']}){BLANKS}({SEPARATOR}|$)"
    return str(kind.entry.get("pattern", ""))


def _any_pattern(name: str, written: dict[str, list[Column]]) -> str:
    return "|".join(
        f"({pattern})"
        for kind in read_written()
        if name in _looked_at(kind, written) and (pattern := _pattern(kind))
    )


def _kind_of_fault(column: Column) -> str | None:
    """Return which promise is broken by a value that cannot be read as the contract says."""
    if column.kind in ("number", "integer"):
        return "range"
    return "codes" if column.kind == "code" else None


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
