"""The two gates of `dbt build`: the checks run inside dbt, and a blocking failure ends the build.

dbt-duckdb calls `Plugin.load` when one of the models in models/staging/gates names its source.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import duckdb
import pyarrow as pa
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.duckdb.utils import SourceConfig
from dbt.flags import get_flags
from dbt_common.exceptions import DbtRuntimeError
from dbt_common.invocation import get_invocation_id

from expectations import history, run
from expectations.checks import CheckResult, Key

GATES = {"extract_gate": "staging", "marts_gate": "marts"}
"""The models of the gates, and the layer whose checks each runs."""

BUILDS = ("build", "run", "retry")
"""The commands of dbt that build models; `dbt docs generate` names the sources and builds none."""

REFUSAL = "Blocking checks failed; nothing more is built:"


_known: Mapping[Key, run.Counts] = run.NOTHING_KNOWN


@contextmanager
def knowing(counts: Mapping[Key, run.Counts]) -> Iterator[None]:
    """Let the gates take these counts as they are; dbt runs them in threads of its own."""
    global _known
    _known = counts
    try:
        yield
    finally:
        _known = run.NOTHING_KNOWN


class GateError(DbtRuntimeError):
    """A blocking check failed; the message names check, table, counts and remedy."""


class Plugin(BasePlugin):
    """The dbt-duckdb plugin `expectations`."""

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Keep the connection on which the checks run."""
        self.connection = conn

    def load(self, source_config: SourceConfig) -> pa.Table:
        """Run the checks of the gate whose source is named; none if the command builds no rows."""
        assert self.creds is not None
        if get_flags().WHICH not in BUILDS or get_flags().EMPTY:
            return _counted({"not_run": 0})
        gate = source_config.identifier.replace("_checks", "_gate")
        with self.connection.cursor() as cursor:
            return check(cursor, GATES[gate], Path(self.creds.path).resolve().parent)


def check(connection: duckdb.DuckDBPyConnection, layer: str, work: Path) -> pa.Table:
    """Run the checks of a layer, store the results, and return how many have which status.

    Raises GateError if one of them blocks.
    """
    results = run.run(connection, layers=[layer], known=_known)
    reached = [result for result in results if result.status != "not_run"]
    # Until the second gate, the checks of the marts stand there as not run.
    stored = results if layer == "staging" else reached
    history.write(connection, stored, run_id(), work=work)
    if blocking := run.blocking_failures(results):
        raise GateError(refusal(blocking))
    return _counted(Counter(result.status for result in reached))


def _counted(checks: Mapping[str, int]) -> pa.Table:
    return pa.table({"status": list(checks), "n_checks": list(checks.values())})


def refusal(blocking: list[CheckResult]) -> str:
    """Say which checks forbid to go on, of what, how many, and what to do."""
    return f"{REFUSAL}\n" + "\n".join(
        f"  - {history.in_words(**asdict(result))}\n    {result.advice}" for result in blocking
    )


def run_id() -> str:
    """Return the id of the run: that of `rwe build`, or one of this invocation of dbt."""
    return os.environ.get("RWE_RUN_ID") or _of_invocation(get_invocation_id())


@cache
def _of_invocation(invocation_id: str) -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{invocation_id[:4]}"
