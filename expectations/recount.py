"""What the checks count after some patients were replaced, without looking at the others again.

Most checks look at one patient at a time. Their counts are those of the last build, without the
counts over the replaced patients as they were, with those over the same patients as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import duckdb

from expectations.checks import Check, Key
from expectations.history import RESULTS_TABLE
from expectations.run import Counts, all_checks, run


def recounted(
    build: duckdb.DuckDBPyConnection, run_id: str, before: Path, after: Path
) -> dict[Key, Counts]:
    """Return the counts of the checks that need not look at every patient.

    Parameters
    ----------
    build
        The last build, with the results of its checks under `run_id`.
    before, after
        Warehouses of the replaced patients alone, as they were and as they are. A check that reads
        a table which one of them lacks, or fails there, is left to look at every patient.
    """
    found = build.execute(
        "select check_id, table_name, column_name, n_violating, n_checked "
        f"from {RESULTS_TABLE} where run_id = ?",
        [run_id],
    ).fetchall()
    whole = _counts(((row[0], row[1], row[2]), row[3], row[4]) for row in found)
    checks = by_patient()
    old, new = (
        _counts((one.key, one.n_violating, one.n_checked) for one in run(patients, checks=checks))
        for patients in (before, after)
    )
    return {
        key: (
            whole[key][0] - old[key][0] + new[key][0],
            whole[key][1] - old[key][1] + new[key][1],
        )
        for key in whole.keys() & old.keys() & new.keys()
    }


def by_patient() -> list[Check]:
    """Return the checks whose counts over some patients add up to those over all."""
    return [check for check in all_checks() if not check.across_patients]


def _counts(found: Iterable[tuple[Key, int | None, int | None]]) -> dict[Key, Counts]:
    """The counts of the checks that counted anything."""
    return {
        key: (violating, checked)
        for key, violating, checked in found
        if violating is not None and checked is not None
    }
