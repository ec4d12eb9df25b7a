"""What the extract contract says: tables, columns, codes and their spellings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

CONTRACT: Final = Path(__file__).parents[1] / "models/staging/extract/extract_contract.yml"

_CANONICAL_SHARE: Final = 0.5
"""Share of cells that carry the contract's own spelling; the others share the rest."""


@dataclass(frozen=True)
class Contract:
    """`columns[table]`: in the order of the file; `codes[table, column][code]`: other spellings."""

    columns: dict[str, tuple[str, ...]]
    codes: dict[tuple[str, str], dict[str, tuple[str, ...]]]


def read_contract(path: Path = CONTRACT) -> Contract:
    """The delivered tables of the contract; what need not be delivered is left out."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document: Any = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    columns: dict[str, tuple[str, ...]] = {}
    codes: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}
    for source in document["sources"]:
        for table in source["tables"]:
            if table.get("config", {}).get("meta", {}).get("generated"):
                continue
            columns[table["name"]] = tuple(
                column["name"]
                for column in table["columns"]
                if not column["config"]["meta"].get("may_be_absent")
            )
            for column in table["columns"]:
                listed = column["config"]["meta"].get("codes")
                if listed:
                    codes[table["name"], column["name"]] = {
                        str(code): tuple(map(str, others)) for code, others in listed.items()
                    }
    return Contract(columns, codes)


def spelling_urn(code: str, others: tuple[str, ...]) -> tuple[str, ...]:
    """Spellings to draw from: the code itself about half the time, each other one as often."""
    share = _CANONICAL_SHARE / (1 - _CANONICAL_SHARE)
    return (code,) * max(1, round(share * len(others))) + others
