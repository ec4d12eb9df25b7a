"""The tables of docs/lines_of_therapy.md that come from the seeds.

`python -m tests.patients.method_page` writes them anew; a test sees to it that they are current.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[2]
PAGE = PROJECT / "docs" / "lines_of_therapy.md"
SEEDS = PROJECT / "seeds" / "therapy"
NAMES = {"rule_set_id", "base_rule_set_id", "label", "source"}
BLOCK = re.compile(r"(<!-- from the seeds: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
Row = dict[str, str]


def seed(name: str) -> list[Row]:
    with (SEEDS / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def parameters() -> str:
    seeds = yaml.safe_load((SEEDS / "_therapy.yml").read_text(encoding="utf-8"))["seeds"]
    rule_sets = next(s for s in seeds if s["name"] == "line_rule_sets")
    return table(
        ["parameter", "meaning, value of the primary rule set and its source"],
        [[f"`{c['name']}`", c["description"]] for c in rule_sets["columns"]],
    )


def rule_sets() -> str:
    rows = seed("line_rule_sets")
    by_id = {row["rule_set_id"]: row for row in rows}
    return table(
        ["rule set", "what it varies", "source"],
        [
            [f"`{row['rule_set_id']}`", _changes(row, by_id[_compared(row)]), row["source"]]
            for row in rows
        ],
    )


def _compared(row: Row) -> str:
    base = row["base_rule_set_id"]
    return "primary" if base == row["rule_set_id"] else base


def _changes(row: Row, base: Row) -> str:
    if row is base:
        return "-"
    return ", ".join(
        f"`{name}` {value or 'none'}"
        for name, value in row.items()
        if name not in NAMES and value != base[name]
    )


def additions() -> str:
    rows = seed("line_rule_additions")
    return table(
        ["rules", "class", "last day", "source"],
        [
            [
                f"`{r['rule_set_id']}`",
                r["drug_class"],
                "no limit" if r["max_day"] == "99999" else r["max_day"],
                r["source"],
            ]
            for r in rows
            if r["rule_set_id"] in ("primary", "gastric")
        ],
    )


def interchange() -> str:
    groups: dict[tuple[str, str, str], list[str]] = {}
    for row in seed("line_interchange_groups"):
        key = (row["rule_set_id"], row["interchange_group"], row["effect"])
        groups.setdefault(key, []).append(row["ingredient"])
    return table(
        ["rules", "group", "effect", "ingredients"],
        [[f"`{r}`", g, e, ", ".join(members)] for (r, g, e), members in groups.items()],
    )


def start_reasons() -> str:
    return table(
        ["reason", "meaning"],
        [[f"`{r['reason']}`", r["meaning"]] for r in seed("line_start_reasons")],
    )


def flags() -> str:
    return table(
        ["flag", "takes off", "meaning"],
        [[f"`{r['flag']}`", r["deduction"], r["meaning"]] for r in seed("line_flags")],
    )


TABLES: dict[str, Callable[[], str]] = {
    f.__name__: f for f in (parameters, rule_sets, additions, interchange, start_reasons, flags)
}


def refreshed(page: str) -> str:
    """The page with its tables as the seeds have them."""
    return BLOCK.sub(lambda m: f"{m[1]}{TABLES[m[2]]()}{m[3]}", page)


if __name__ == "__main__":
    PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
