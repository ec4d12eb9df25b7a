"""Runs `dbt build` on one delivery, in this process."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dbt.cli.main import dbtRunner

from pipeline.errors import CommandError
from pipeline.paths import PROJECT, Layout

Progress = Callable[[int, int, str], None]  # nodes done, nodes in all, name of the last one

FINISHED_NODE_EVENTS = {"LogModelResult", "LogSeedResult", "LogTestResult", "LogUnitTestResult"}
LONGEST_LIST_OF_FAILURES = 10


def dbt_build(delivery: Path, layout: Layout, progress: Progress) -> None:
    """Build and test every model of the warehouse from the delivery folder.

    Raises CommandError with dbt's reason if a model or a test fails.
    """
    layout.work.mkdir(parents=True, exist_ok=True)
    for leftover in layout.work.glob("warehouse.duckdb*"):
        leftover.unlink()
    finished = 0

    def follow(event: Any) -> None:
        nonlocal finished
        if event.info.name in FINISHED_NODE_EVENTS:
            finished += 1
            progress(finished, event.data.total, event.data.node_info.node_name)

    os.environ["RWE_DATABASE"] = str(layout.warehouse)
    result = dbtRunner(callbacks=[follow]).invoke(
        [
            "--quiet",
            "--log-level-file=warn",
            "build",
            f"--vars={{delivery: '{delivery}'}}",
            f"--project-dir={PROJECT}",
            f"--profiles-dir={PROJECT}",
            f"--target-path={layout.target}",
            f"--log-path={layout.work / 'logs'}",
        ]
    )
    if not result.success:
        raise CommandError(_reason(result))


def _reason(result: Any) -> str:
    if result.exception is not None:
        return str(getattr(result.exception, "msg", result.exception))
    failures = [r for r in result.result.results if r.status in ("error", "fail")]
    lines = [
        f"  - {failure.node.name}: {(failure.message or failure.status).strip()}"
        for failure in failures[:LONGEST_LIST_OF_FAILURES]
    ]
    if len(failures) > LONGEST_LIST_OF_FAILURES:
        lines.append(f"  ... and {len(failures) - LONGEST_LIST_OF_FAILURES} more")
    return "The warehouse could not be built:\n" + "\n".join(lines)
