"""One run from a delivery folder to a published warehouse and its reports."""

from __future__ import annotations

import importlib.metadata
import platform
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from pipeline import publish
from pipeline.errors import CommandError
from pipeline.paths import Layout
from pipeline.transform import Progress, dbt_build

RECORDED_PACKAGES = (
    "duckdb",
    "dbt-core",
    "dbt-duckdb",
    "great-expectations",
    "lifelines",
    "numpy",
    "pandas",
    "scipy",
)

Step = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What a run left behind."""

    run_id: str
    folder: Path
    warehouse: Path
    report: Path
    warnings: list[str]


def run(delivery: Path, layout: Layout, *, step: Step, progress: Progress) -> Outcome:
    """Build, check, analyse and publish one delivery.

    Nothing is published unless every step succeeds. Raises CommandError with the reason otherwise.
    """
    from analysis import estimates, report, second_programming
    from expectations import run as checks

    started = datetime.now(UTC)
    run_id = f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"

    step("dbt build: staging, cohort, lines of therapy, endpoints, marts")
    dbt_build(delivery.resolve(), layout, progress)

    step("expectations: what the extract and the marts must look like")
    results = checks.run(layout.warehouse)
    checks.write(layout.warehouse, results, run_id)
    if blocking := checks.blocking_failures(results):
        raise CommandError(
            "Blocking expectations failed; nothing was published:\n"
            + "\n".join(
                f"  - {r.check_id} {r.table_name}: {r.name} ({r.n_violating} of {r.n_checked})"
                for r in blocking
            )
        )

    step("analysis: survival, tables, figures, published against computed")
    folder = layout.published / run_id
    folder.mkdir(parents=True)
    with duckdb.connect(str(layout.warehouse)) as connection:
        studies = [
            s for (s,) in connection.execute("select study_id from reference.studies").fetchall()
        ]
        disagreements = []
        for study_id in studies:
            estimates.compute(connection, study_id)
            disagreements += [
                f"{study_id} {found.exhibit}: {found.what} differ from lifelines "
                f"by {found.largest_difference:.1e}"
                for found in second_programming.compute(connection, study_id)
                if not found.agrees
            ]
        for study_id in studies:
            report.render(
                connection,
                study_id,
                folder / f"{study_id}.html",
                run={"run_id": run_id, "started": f"{started:%Y-%m-%d %H:%M} UTC", **versions()},
            )
        connection.execute("checkpoint")

    step("publish: a de-identified copy, then one pointer swap")
    relations = publish.publish_warehouse(layout, folder / "warehouse.duckdb")
    with _reading(layout.warehouse) as connection:
        delivered = _rows(connection, "select * from staging.stg_common__delivery")[0]
        files = _rows(connection, "select * from quality.source_files order by file_id")
    publish.finish(
        folder,
        publish.Manifest(
            run_id=run_id,
            started=started.isoformat(),
            ended=datetime.now(UTC).isoformat(),
            delivery=delivered,
            files=files,
            versions=versions(),
            relations=relations,
            outputs={p.name: publish.sha256(p) for p in sorted(folder.iterdir())},
        ),
    )
    publish.point_to(layout, folder)
    return Outcome(
        run_id=run_id,
        folder=folder,
        warehouse=folder / "warehouse.duckdb",
        report=folder / f"{studies[0]}.html",
        warnings=[
            f"{r.check_id} {r.table_name}: {r.name} ({r.n_violating} of {r.n_checked})"
            for r in results
            if r.status in ("fail", "error")
        ]
        + disagreements,
    )


def versions() -> dict[str, str]:
    """Return the versions that a result may depend on."""
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in RECORDED_PACKAGES},
    }


@contextmanager
def _reading(warehouse: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        yield connection


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, object]]:
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
