"""The contract asks a hospital for nothing that nobody reads, unless it says why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from expectations.catalogue import read_checks
from pipeline.contract import Column, Table, read_contract
from pipeline.paths import PROJECT

READ_BY_ROLE = {"patient", "row_key", "available_time", "event_time"}
TABLES = [
    table for table in read_contract().tables.values() if table.name not in ("delivery", "files")
]


def readers(table: Table) -> str:
    """Every model beyond staging that reads the table, and every check of it, as one text."""
    staged = re.compile(rf"\bstg_common__{table.name}\b")
    models = [
        text
        for path in (PROJECT / "models").glob("[im]*/**/*.sql")
        if staged.search(text := path.read_text(encoding="utf-8"))
    ]
    checks = [
        f"{' '.join(check.columns)} {check.rule}"
        for check in read_checks()
        if any(staged.search(name) for name in check.tables)
    ]
    return "\n".join([*models, *checks])


def is_read(column: Column, text: str) -> bool:
    ends = ("_earliest", "_latest") if column.kind == "partial_date" else ("",)
    return any(re.search(rf"\b{column.name}{end}\b", text) for end in ends)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_column_is_read_or_says_why_not(table: Table) -> None:
    text = readers(table)
    columns = [column for column in table.columns if column.role not in READ_BY_ROLE]
    unread = {column.name for column in columns if not is_read(column, text)}
    assert unread == {column.name for column in columns if column.unread}


def columns_described(node: Any) -> Iterator[dict[str, Any]]:
    """Every entry of a column, anywhere in a YAML file of dbt."""
    if isinstance(node, dict):
        yield from (c for c in node.get("columns") or [] if isinstance(c, dict))
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from columns_described(part)


def test_no_description_is_cut_at_a_comma() -> None:
    """In braces, YAML ends a text that is not quoted at its first comma, and dbt says nothing."""
    files = [p for name in ("models", "seeds") for p in (PROJECT / name).rglob("*.yml")]
    cut = {
        (path.name, column["name"])
        for path in files
        for column in columns_described(yaml.safe_load(path.read_text(encoding="utf-8")))
        if None in column.values()
    }
    assert cut == set()


def test_staging_says_of_a_column_what_the_contract_does() -> None:
    """Its words, unit and codes; of a partial date what stands before a semicolon."""
    page = yaml.safe_load((PROJECT / "models/staging/common/_common.yml").read_text("utf-8"))
    staged = {
        (model["name"], column["name"]): column["description"]
        for model in page["models"]
        for column in model["columns"]
    }
    for table in read_contract().tables.values():
        for column in table.columns:
            if table.name == "files" or column.role == "patient":
                continue
            words, ends = column.description, ("",)
            if column.kind == "partial_date":
                words, ends = words.split(";")[0], ("_earliest", "_latest", "_precision")
            for end in ends:
                said = staged[f"stg_common__{table.name}", column.name + end]
                assert said.startswith(words.rstrip("."))
                assert column.unit is None or column.unit in said
                assert column.codes is None or said.endswith(f"One of {', '.join(column.codes)}.")
