"""Reads catalogue.yml: the checks themselves, and how grave each kind of broken promise is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import yaml

from expectations.checks import BuiltIn, Check, Condition

CATALOGUE_FILE = Path(__file__).with_name("catalogue.yml")


@dataclass(frozen=True)
class Kind:
    """A kind of structural promise: everything about a check but its table, columns and rule."""

    entry: dict[str, Any]

    def check(
        self,
        table: str,
        columns: tuple[str, ...],
        rule: BuiltIn | Condition,
        *,
        expects_table: bool = False,
    ) -> Check:
        """Make the check of one table: `table` as schema.table, its name filled into the texts.

        The texts name columns as they are delivered, a partial date by its one name.
        """
        delivered = dict.fromkeys(re.sub("_(earliest|latest|precision)$", "", c) for c in columns)
        words = {"table": re.split(r"__|\.", table)[-1], "column": ", ".join(delivered)}
        own_id = self.entry.get("ids", {}).get("{table}.{column}".format(**words))
        return _check(
            {**self.entry, "id": own_id or self.entry["id"]},
            table,
            columns,
            rule,
            {key: self.entry[key].format(**words) for key in ("name", "advice")},
            expects_table=expects_table,
        )


@cache
def _document(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    return document


def read_kinds(path: Path = CATALOGUE_FILE) -> dict[str, Kind]:
    """Return the kinds of structural promise by name."""
    return {name: Kind(entry) for name, entry in _document(path)["structure"].items()}


def read_written(path: Path = CATALOGUE_FILE) -> list[Kind]:
    """Return the kinds of check on how values are written, in the order of the file."""
    return [Kind(entry) for entry in _document(path)["written"]]


def held_elsewhere(path: Path = CATALOGUE_FILE) -> list[dict[str, str]]:
    """Return the checks of the study's quality plan that are not run here, with the reason."""
    entries: list[dict[str, str]] = _document(path)["held_elsewhere"]
    return entries


def read_checks(path: Path = CATALOGUE_FILE) -> list[Check]:
    """Return the checks beyond structure, in the order of the file."""
    document = _document(path)
    return [
        check
        for entry in document["checks"]
        for check in _expanded(entry, document.get("relations", {}))
    ]


def condition(table: str, violation: str, applies_to: str = "true", rows: str = "") -> Condition:
    """Make a rule in SQL, with the tables that it reads found in its text."""
    read = tables_read(rows) | tables_read(f"select ({applies_to}) and ({violation})")
    return Condition(
        violation=violation.strip(),
        applies_to=applies_to.strip(),
        rows=rows.strip() or None,
        reads=read - {table},
    )


@cache
def tables_read(query: str) -> frozenset[str]:
    """Return the tables of a query as schema.table; none where it cannot be parsed.

    A query that cannot be parsed is left to fail when it is run, as an error of its check alone.
    """
    if "." not in query:  # names no schema
        return frozenset()
    row = _parser().execute("select json_serialize_sql(?::varchar)", [query]).fetchone()
    assert row is not None
    return frozenset(
        f"{node['schema_name']}.{node['table_name']}"
        for node in _nodes(json.loads(row[0]))
        if node.get("type") == "BASE_TABLE" and node["schema_name"]
    )


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for branch in tree:
            yield from _nodes(branch)


def _expanded(entry: dict[str, Any], relations: dict[str, str]) -> Iterator[Check]:
    for part in entry.get("tables", [{}]):
        one = {**entry, **part}
        columns = tuple(one["columns"])
        written = {"columns": ", ".join(columns), "table": one["table"]}
        rule = condition(
            one["table"],
            one["violation"].format(**written),
            one.get("applies_to", "true").format(**written),
            _with_relations(one.get("rows", ""), relations),
        )
        yield _check(one, one["table"], columns, rule, {})


def _with_relations(rows: str, relations: dict[str, str]) -> str:
    """Put before a query the relations that it uses; one may use those that stand above it."""
    text = rows
    used: list[str] = []
    for name in reversed(relations):
        if re.search(rf"\b{name}\b", text):
            used.insert(0, f"{name} as ({relations[name]})")
            text += relations[name]
    if not used:
        return rows
    if rows.lstrip().startswith("with "):
        return f"with {', '.join(used)}, {rows.lstrip().removeprefix('with ')}"
    return f"with {', '.join(used)} {rows}"


def _check(
    entry: dict[str, Any],
    table: str,
    columns: tuple[str, ...],
    rule: BuiltIn | Condition,
    texts: dict[str, str],
    *,
    expects_table: bool = False,
) -> Check:
    kahn = entry["kahn"]
    return Check(
        check_id=entry["id"],
        table=table,
        columns=columns,
        name=texts.get("name", entry["name"]),
        kahn_category=kahn["category"],
        kahn_subcategory=kahn["subcategory"],
        kahn_context=kahn["context"],
        severity=entry["severity"],
        warn_above=float(entry["threshold"]["warn_above"]),
        block_above=_number(entry["threshold"]["block_above"]),
        denominator=entry["denominator"],
        rationale=entry["rationale"],
        advice=texts.get("advice", entry["advice"]),
        rule=rule,
        expects_table=expects_table,
        across_patients=entry.get("across_patients", False),
    )


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)
