"""One run from a delivery folder to a published warehouse and its reports."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from expectations import report as quality
from expectations import run as checks
from expectations.checks import CheckResult
from pipeline import manifest, publish
from pipeline.errors import CommandError
from pipeline.paths import Layout
from pipeline.transform import Progress, dbt_build

WAREHOUSE = "warehouse.duckdb"
QUALITY_REPORT = "quality.html"

Step = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What a run left behind."""

    run_id: str
    warehouse: Path
    reports: list[Path]
    quality: Path
    warnings: list[str]


def run(delivery: Path, layout: Layout, *, step: Step, progress: Progress) -> Outcome:
    """Build, check, analyse and publish one delivery.

    Nothing is published unless every step succeeds. Raises CommandError with the reason otherwise.
    """
    started = datetime.now(UTC)
    run_id = f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"

    step("dbt build: staging, cohort, lines of therapy, endpoints, marts")
    dbt_build(delivery.resolve(), layout, progress)

    step("expectations: what the extract and the marts must look like")
    about = {"run_id": run_id, "started": f"{started:%Y-%m-%d %H:%M} UTC", **manifest.versions()}
    warnings = _check(layout, about)

    with _unpublished(layout, run_id) as folder:
        step("analysis: survival, tables, figures, published against computed")
        studies, disagreements = _analyse(layout, folder, about)

        step("publish: a de-identified copy, then one pointer swap")
        publish.publish_warehouse(layout, folder / WAREHOUSE)
        made_of = manifest.compose(layout, folder / WAREHOUSE, run_id, started, delivery)
        manifest.write(folder, made_of)
        publish.finish(folder)
    publish.point_to(layout, layout.published / run_id)
    return Outcome(
        run_id=run_id,
        warehouse=layout.current / WAREHOUSE,
        reports=[layout.current / f"{study_id}.html" for study_id in studies],
        quality=layout.current / QUALITY_REPORT,
        warnings=warnings + disagreements,
    )


@contextmanager
def _unpublished(layout: Layout, run_id: str) -> Iterator[Path]:
    """A folder that becomes the run's folder when all goes well, and else leaves no trace."""
    folder = layout.published / f".{run_id}"
    folder.mkdir(parents=True)
    try:
        yield folder
        folder.rename(layout.published / run_id)
    except BaseException:
        shutil.rmtree(folder)
        raise


def _check(layout: Layout, about: dict[str, str]) -> list[str]:
    """Run and store the expectations; return what failed without blocking."""
    results = checks.run(layout.warehouse)
    checks.write(layout.warehouse, results, about["run_id"])

    def told(result: CheckResult) -> str:
        counted = f"{result.n_violating} of {result.n_checked}"
        return f"{result.check_id} {result.table_name}: {result.name} ({counted})"

    if blocking := checks.blocking_failures(results):
        page = layout.work / QUALITY_REPORT
        with duckdb.connect(str(layout.warehouse), read_only=True) as connection:
            quality.render(connection, page, run=about)
        raise CommandError(
            "Blocking expectations failed; nothing was published:\n"
            + "\n".join(f"  - {told(result)}" for result in blocking)
            + f"\nThe data-quality report says what to do: {page}"
        )
    return [told(result) for result in results if result.status in ("fail", "error")]


def _analyse(layout: Layout, folder: Path, about: dict[str, str]) -> tuple[list[str], list[str]]:
    """Compute every study and write the reports; return the studies and what lifelines disputes."""
    from analysis import estimates, exports, report, second_programming

    disagreements = []
    with duckdb.connect(str(layout.warehouse)) as connection:
        found = connection.execute("select study_id from reference.studies order by study_id")
        studies = [study_id for (study_id,) in found.fetchall()]
        for study_id in studies:
            estimates.compute(connection, study_id)
            disagreements += [
                f"{study_id} {found.exhibit}: {found.what} differ from lifelines "
                f"by {found.largest_difference:.1e}"
                for found in second_programming.compute(connection, study_id)
                if not found.agrees
            ]
            report.render(connection, study_id, folder / f"{study_id}.html", run=about)
            exports.write(connection, study_id, folder / "exports")
        quality.render(connection, folder / QUALITY_REPORT, run=about)
        connection.execute("checkpoint")
    return studies, disagreements
