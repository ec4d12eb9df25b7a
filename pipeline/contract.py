"""The extract contract: what a delivery must look like, read from the dbt sources file.

The contract is `models/staging/extract/extract_contract.yml`; its opening comment explains it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pipeline.paths import PROJECT

CONTRACT_FILE = PROJECT / "models" / "staging" / "extract" / "extract_contract.yml"
RID_SHIFT = 32
RECORD_BITS = (1 << RID_SHIFT) - 1
"""A src_rid names a file and a record of it: file_id << RID_SHIFT | record_no."""


@dataclass(frozen=True)
class Column:
    """One column of a delivered table."""

    name: str
    description: str
    kind: str
    required: bool = False
    may_be_absent: bool = False
    role: str | None = None
    codes: dict[str, list[str]] | None = None
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    refers_to: str | None = None
    unread: str | None = None

    def code(self, text: str) -> str | None:
        """The code that a text is a spelling of; None if it is of none."""
        meant = text.strip().casefold()
        return next(
            (
                code
                for code, spellings in (self.codes or {}).items()
                if meant in (spelling.casefold() for spelling in (code, *spellings))
            ),
            None,
        )


@dataclass(frozen=True)
class Table:
    """One delivered file; `file_id` is its place in the contract, from 1."""

    name: str
    description: str
    required: bool
    file_id: int
    columns: tuple[Column, ...]

    @property
    def file_name(self) -> str:
        """The file's name in the delivery folder."""
        return f"{self.name}.csv"

    @property
    def patient_column(self) -> str | None:
        """The column that holds the hospital's patient number, if the table has one."""
        return next((c.name for c in self.columns if c.role == "patient"), None)

    @property
    def row_key(self) -> str | None:
        """The column that identifies a row, if the table has one."""
        return next((c.name for c in self.columns if c.role == "row_key"), None)


@dataclass(frozen=True)
class Contract:
    """All delivered tables of one contract version."""

    version: int
    description: str
    tables: dict[str, Table]


@cache
def read_contract(path: Path = CONTRACT_FILE) -> Contract:
    """Read the contract file."""
    source = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)["sources"][0]
    delivered = [t for t in source["tables"] if not _meta(t).get("generated")]
    tables = {
        table["name"]: Table(
            name=table["name"],
            description=table["description"],
            required=bool(_meta(table).get("required")),
            file_id=file_id,
            columns=tuple(_column(c) for c in table["columns"]),
        )
        for file_id, table in enumerate(delivered, start=1)
    }
    return Contract(_meta(source)["contract_version"], source["description"].strip(), tables)


def _meta(node: dict[str, Any]) -> dict[str, Any]:
    meta: dict[str, Any] = node.get("config", {}).get("meta", {})
    return meta


def _column(node: dict[str, Any]) -> Column:
    meta = _meta(node)
    return Column(
        name=node["name"],
        description=node["description"],
        kind=meta["kind"],
        required=bool(meta.get("required")),
        may_be_absent=bool(meta.get("may_be_absent")),
        role=meta.get("role"),
        codes=meta.get("codes"),
        unit=meta.get("unit"),
        minimum=meta.get("min"),
        maximum=meta.get("max"),
        refers_to=meta.get("refers_to"),
        unread=meta.get("unread"),
    )
