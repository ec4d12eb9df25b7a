"""One build of the survival marts on a delivery of cases, with the rule sets they need."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from pipeline.pseudonyms import pseudonym
from tests.patients import project
from tests.patients.endpoints.delivery import SITE_CODE

KEY = b"endpoints-of-invented-patients-1"
DEFAULT_CUTOFF = date(2030, 12, 31)
Row = dict[str, str]


def read_seed(name: str) -> list[Row]:
    with (project.SEEDS / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _write(path: Path, rows: list[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


@dataclass
class Seeds:
    """The shipped rule sets, and those added for cases with other parameters."""

    rule_sets: list[Row] = field(default_factory=lambda: read_seed("studies/endpoint_rule_sets"))
    sources: list[Row] = field(default_factory=lambda: read_seed("studies/endpoint_sources"))
    cutoffs: list[date] = field(default_factory=lambda: [DEFAULT_CUTOFF])
    added: dict[str, str] = field(default_factory=dict)

    def rule_set(
        self,
        base: str,
        endpoint: str,
        changes: Mapping[str, object] | None = None,
        sources: dict[str, list[str]] | None = None,
        name: str | None = None,
    ) -> str:
        """The shipped rule set of this name, or one added that differs from it as stated.

        `sources` replaces its events and censorings; `name` calls the endpoint something else.
        """
        shipped = next(
            row
            for row in read_seed("studies/endpoint_rule_sets")
            if (row["endpoint_rule_set_id"], row["endpoint"]) == (base, endpoint)
        )
        wanted = {**shipped, **{k: "" if v is None else str(v) for k, v in (changes or {}).items()}}
        if unknown := set(wanted) - set(shipped):
            raise ValueError(f"endpoint_rule_sets has no column {', '.join(sorted(unknown))}")
        if wanted == shipped and sources is None and name is None:
            return base
        rows = [
            row
            for row in read_seed("studies/endpoint_sources")
            if (row["endpoint_rule_set_id"], row["endpoint"]) == (base, endpoint)
        ]
        if sources is not None:
            rows = [
                {"role": role, "source": source, "precedence": str(precedence)}
                for role, named in sources.items()
                for precedence, source in enumerate(named, start=1)
            ]
        signature = repr((wanted, rows, name))
        if signature not in self.added:
            rule_set_id = f"case_rules_{len(self.added) + 1}"
            self.added[signature] = rule_set_id
            own = {"endpoint_rule_set_id": rule_set_id, "endpoint": name or endpoint}
            self.rule_sets.append({**wanted, **own, "line_rule_sets": "own"})
            self.sources += [{**row, **own} for row in rows]
            # Duration of response starts with a response, so it needs the rules of the response.
            if endpoint == "DOR":
                best = next(
                    row
                    for row in read_seed("studies/endpoint_rule_sets")
                    if (row["endpoint_rule_set_id"], row["endpoint"]) == (base, "BOR")
                )
                self.rule_sets.append({**best, "endpoint_rule_set_id": rule_set_id})
        return self.added[signature]

    def study(self, cutoff: date | None) -> str:
        """The study with this data cut-off, added if there is none."""
        cutoff = cutoff or DEFAULT_CUTOFF
        if cutoff not in self.cutoffs:
            self.cutoffs.append(cutoff)
        return f"cases_{cutoff:%Y%m%d}"

    def write(self, folder: Path) -> None:
        study, criterion = read_seed("studies/studies")[0], read_seed("studies/study_criteria")[0]
        studies = [
            {
                **study,
                "study_id": self.study(cutoff),
                "period_start": "2000-01-01",
                "data_cutoff": str(cutoff),
                "sensitivity_patients": "all",
            }
            for cutoff in self.cutoffs
        ]
        _write(folder / "studies/studies.csv", studies)
        _write(
            folder / "studies/study_criteria.csv",
            [{**criterion, "study_id": row["study_id"]} for row in studies],
        )
        _write(folder / "studies/endpoint_rule_sets.csv", self.rule_sets)
        _write(folder / "studies/endpoint_sources.csv", self.sources)
        lines = read_seed("therapy/line_rule_sets")
        own = [row for row in lines if row["rule_set_id"] == "primary"]
        _write(folder / "therapy/line_rule_sets.csv", own)
        for seed in ("line_rule_additions", "line_interchange_groups"):
            rows = [row for row in read_seed(f"therapy/{seed}") if row["rule_set_id"] == "primary"]
            _write(folder / f"therapy/{seed}.csv", rows)


@dataclass(frozen=True)
class Warehouse:
    """The built marts, open for reading."""

    connection: duckdb.DuckDBPyConnection

    def rows(self, table: str, patient: str, **keys: Any) -> list[dict[str, Any]]:
        """A patient's rows of a survival mart."""
        keys = {"patient_key": pseudonym(SITE_CODE, patient, KEY), **keys}
        condition = " and ".join(f"{name} = ?" for name in keys)
        result = self.connection.execute(
            f"select * from survival.{table} where {condition}", list(keys.values())
        )
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    @cached_property
    def delivered(self) -> dict[int, tuple[str, ...]]:
        """Of each delivered record its table and its dates."""
        found: dict[int, tuple[str, ...]] = {}
        tables = self.connection.execute("select distinct table_name from raw.files").fetchall()
        for (table,) in tables:
            rows = self.connection.sql(f"select src_rid, columns('.*_date') from raw.{table}")
            found |= {rid: (table, *map(str, dates)) for rid, *dates in rows.fetchall()}
        return found


def build(folder: Path, seeds: Seeds, deliver: Callable[[Path], None]) -> Warehouse:
    """Build the survival marts and what they need in a copy of the project with these seeds."""
    deliver(folder / "delivery")
    options = [
        *("--select", "+marts.survival"),
        # The cases hold what the gate refuses: drugs without a dose, visits after a death.
        *("--exclude", "test_type:unit", "extract_gate"),
        *("--indirect-selection", "cautious"),
    ]
    database = project.build(folder, seeds.write, KEY, options)
    return Warehouse(duckdb.connect(str(database), read_only=True))
