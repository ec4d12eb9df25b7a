"""Runs `dbt build` on one delivery, in this process."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from expectations.gate import GATES, REFUSAL
from pipeline import faults, spark
from pipeline.dbt_plugin import (
    DATABASE_VARIABLE,
    DELIVERY_VARIABLE,
    ONLY_CHANGES_VARIABLE,
    telling,
)
from pipeline.errors import CommandError, Exit, as_command_error, resources_error
from pipeline.paths import PROJECT, Layout
from pipeline.publish import remove

Progress = Callable[[int, int, str], None]  # nodes done, nodes in all, name of the last one

FINISHED_NODE_EVENTS = {"LogModelResult", "LogSeedResult", "LogTestResult", "LogUnitTestResult"}
LONGEST_LIST_OF_FAILURES = 10


def dbt_build(
    delivery: Path,
    layout: Layout,
    progress: Progress,
    *,
    only_changes: bool = False,
    select: Collection[str] = (),
) -> None:
    """Build the models of the warehouse from a delivery, and test what they hold.

    `delivery` is its folder, or that of what was landed from it, which is not read again. All
    models are built, into a new file; with `select` those alone, into the file that is there. With
    `only_changes` a delivery of changes is built without the patients that it does not name, into a
    file that holds the seeds. Raises CommandError with dbt's reason if a model, a test or a
    blocking check fails.
    """
    layout.work.mkdir(parents=True, exist_ok=True)
    if not (select or only_changes):
        for leftover in layout.work.glob(f"{layout.warehouse.name}*"):
            remove(leftover)
    finished = 0
    # A selected model was tested with all others when its patients were built; what counts over
    # patients is tested again.
    selection = ["--select", *select, "--indirect-selection=cautious"] if select else []
    if only_changes:  # the files are those of all deliveries that stand, the rows are not
        selection = ["--select", "resource_type:model"]
        selection += ["--exclude", "source_files+1,resource_type:test", *GATES]

    def follow(event: Any) -> None:
        nonlocal finished
        if event.info.name in FINISHED_NODE_EVENTS:
            faults.point("build")
            finished += 1
            # dbt calls the number of nodes `num_models` in its events about tests.
            total = getattr(event.data, "total", 0) or getattr(event.data, "num_models", 0)
            progress(finished, total, event.data.node_info.node_name)

    told = {
        DELIVERY_VARIABLE: str(delivery.resolve()),
        ONLY_CHANGES_VARIABLE: str(only_changes),
        DATABASE_VARIABLE: str(layout.warehouse),
    }
    with telling(told), _no_command_line():
        result = dbtRunner(callbacks=[follow]).invoke(
            [
                "--log-level=none",
                "--log-level-file=warn",
                "build",
                "--exclude-resource-type=unit_test",  # they try the code, not the delivery
                *selection,
                f"--project-dir={PROJECT}",
                f"--profiles-dir={PROJECT}",
                f"--target-path={layout.target}",
                f"--log-path={layout.work / 'logs'}",
            ]
        )
    _release_warehouse()
    if isinstance(result.exception, KeyboardInterrupt):
        raise result.exception
    if not result.success:
        raise _reason(result, layout)


@contextmanager
def _no_command_line() -> Iterator[None]:
    """Hide the command line, which may name a patient: dbt writes it into its artifacts."""
    arguments = sys.argv
    sys.argv = ["dbt", "build"]
    try:
        yield
    finally:
        sys.argv = arguments


def _release_warehouse() -> None:
    """Close the connection that dbt keeps for its next command in the same process."""
    environment = DuckDBConnectionManager._ENV
    if environment is not None:
        environment.close()
        DuckDBConnectionManager.close_all_connections()


def _rows_told(failure: Any, layout: Layout) -> str:
    """The rows that a test of the seeds found, which are no patient's, a line each.

    A test in a file of its own says that it is one. On Spark the tables of a build that failed are
    not in the file.
    """
    tested = str(getattr(failure.node, "attached_node", ""))
    may_be_told = tested.startswith("seed.") or failure.node.config.meta.get("rows_may_be_told")
    if failure.status != "fail" or not may_be_told or spark.is_chosen():
        return ""
    with duckdb.connect(str(layout.warehouse), read_only=True) as connection:
        found = connection.execute(failure.node.compiled_code).fetchmany(LONGEST_LIST_OF_FAILURES)
    return "".join(f"\n      {'; '.join(map(str, row))}" for row in found)


def _reason(result: Any, layout: Layout) -> CommandError:
    if isinstance(result.exception, (OSError, MemoryError)):
        return as_command_error(result.exception)
    if result.exception is not None:
        text = str(getattr(result.exception, "msg", result.exception))
        return resources_error(text, layout.work) or CommandError(text)
    failures = [r for r in result.result.results if r.status in ("error", "fail")]
    for failure in failures:
        _, refusal, checks = (failure.message or "").partition(REFUSAL)
        if refusal:  # without dbt's line about the model that said it
            return CommandError(
                refusal + textwrap.indent(textwrap.dedent(checks), "  "), Exit.DATA_QUALITY
            )
    lines = [
        f"  - {failure.node.name}: {(failure.message or failure.status).strip()}{told}"
        for failure in failures[:LONGEST_LIST_OF_FAILURES]
        for told in [_rows_told(failure, layout)]
    ]
    if len(failures) > LONGEST_LIST_OF_FAILURES:
        lines.append(f"  ... and {len(failures) - LONGEST_LIST_OF_FAILURES} more")
    text = "The warehouse could not be built:\n" + "\n".join(lines)
    broken = any(failure.status == "error" for failure in failures)
    return resources_error(text, layout.work) or CommandError(
        text, Exit.UNEXPECTED if broken else Exit.DATA_QUALITY
    )
