"""Builds the treatment models on a delivery of timelines, with the rule sets that these need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from pipeline.pseudonyms import pseudonym
from tests.patients import project
from tests.patients.rule_sets import RuleSeeds
from tests.patients.timelines import SITE_CODE, Timeline, patient_number

KEY = b"timelines-of-invented-patients-1"


@dataclass(frozen=True)
class Warehouse:
    """A built warehouse of timelines, open for reading."""

    connection: duckdb.DuckDBPyConnection

    def patient(self, timeline: Timeline, variant: str = "plain") -> str:
        """The pseudonym of the patient who lives one variant of a timeline."""
        return pseudonym(SITE_CODE, patient_number(timeline.case_id, variant), KEY)

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        """The rows of a query as dictionaries."""
        result = self.connection.execute(query, list(parameters))
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def lines(self, patient_key: str, rule_set_id: str) -> list[dict[str, Any]]:
        """A patient's lines under one rule set, in order."""
        return self.rows(
            "select * from treatment.lines_of_therapy "
            "where patient_key = ? and rule_set_id = ? order by line_number",
            patient_key,
            rule_set_id,
        )


def build(folder: Path, seeds: RuleSeeds, select: Iterable[str]) -> Warehouse:
    """Build the selected nodes on `folder/delivery`, in a copy of the project with these seeds."""
    # The timelines hold what the gate refuses: drugs without a dose.
    options = [
        *("--select", *select),
        *("--exclude", "extract_gate"),
        *("--indirect-selection", "buildable"),
    ]
    database = project.build(folder, lambda copy: seeds.write(copy / "therapy"), KEY, options)
    return Warehouse(duckdb.connect(str(database), read_only=True))
