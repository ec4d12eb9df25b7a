"""One run from a delivery folder to a published warehouse and its reports."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

from expectations import history
from expectations import report as quality
from expectations.run import all_checks
from pipeline import (
    audit,
    dbt_docs,
    faults,
    increment,
    ledger,
    lock,
    manifest,
    publish,
    quality_pages,
    resources,
    spark,
)
from pipeline.content import Content
from pipeline.delivery import land, patients_of
from pipeline.errors import CommandError, Exit, NotOnRecordError, as_command_error
from pipeline.ledger import Delivery
from pipeline.paths import Layout
from pipeline.pseudonyms import key_id, load_key, require_key
from pipeline.publish import WAREHOUSE
from pipeline.reader import DeliveryError
from pipeline.transform import Progress, dbt_build
from pipeline.unpack import UnsafeArchiveError, delivered_bytes

PRIVATE_FOLDER_MODE = 0o700
PRIVATE_PAGE = "_private.html"
"""How the name of a study's report ends that shows real patients' numbers as computed."""
RUN_TIME = "%Y%m%dT%H%M%SZ"

RUN_BEGUN, RUN_PUBLISHED = "run begun", "run published"
RUN_FAILED, RUN_ABORTED, RUN_KILLED = "run failed", "run aborted", "run killed"
RUN_EVENTS = (RUN_BEGUN, RUN_PUBLISHED, RUN_FAILED, RUN_ABORTED, RUN_KILLED)
"""How the audit trail calls the events of a run."""

Step = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What a run left behind."""

    run_id: str
    warehouse: Path
    reports: list[Path]
    quality: Path
    warnings: list[str]
    disagreements: list[str]
    """What a second programme finds otherwise."""


def run(
    delivery: Path, layout: Layout, *, step: Step, progress: Progress, allow_older: bool = False
) -> Outcome:
    """Build, check, analyse and publish one delivery.

    An extract older than the published one is refused unless `allow_older`. Nothing is published
    unless every step succeeds. Raises CommandError with the reason otherwise.
    """
    with workplace(delivery, layout) as swept:
        outcome = build(delivery, layout, step=step, progress=progress, allow_older=allow_older)
    return replace(outcome, warnings=swept + outcome.warnings)


def build(
    delivery: Path, layout: Layout, *, step: Step, progress: Progress, allow_older: bool = False
) -> Outcome:
    """Do what `run` does, within a `workplace`."""
    started = datetime.now(UTC)
    run_id = next_run_id(layout, started)
    with on_record(layout, run_id, delivery):
        step("land: headers, hashes, archive, rows as text")
        landed = _land(delivery.resolve(), layout, allow_older=allow_older)
        to_know = [
            *_passed_over(layout, landed),
            *_another_site(layout, landed),
            *_dated_ahead(landed),
        ]

        step("dbt build: staging, cohort, lines, endpoints, marts, and the checks at both gates")
        os.environ["RWE_RUN_ID"] = run_id
        about = {
            "run_id": run_id,
            "started": f"{started:%Y-%m-%d %H:%M} UTC",
            **manifest.versions(),
        }
        with (
            unpublished(layout, run_id) as folder,
            publish.Copy(layout, folder / WAREHOUSE) as copy,
        ):
            with _reported(layout, about):
                _model(landed, layout, copy, progress)
            faults.point("checks")
            with duckdb.connect(str(layout.warehouse), read_only=True) as connection:
                warnings = history.failed(connection, run_id)

            step("analysis: survival, tables, figures, published against computed")
            copy.built()
            studies, disagreements, unlisted = _compute(layout)
            copy.results()
            _report(layout, folder, studies, about)

            step("publish: a de-identified copy, then one pointer swap")
            copied = publish_run(layout, folder, copy, run_id, started, delivery)
        increment.note_build(layout, landed.seq, run_id, copied)
    return Outcome(
        run_id=run_id,
        warehouse=layout.current / WAREHOUSE,
        reports=[layout.current / f"{study_id}.html" for study_id in studies],
        quality=layout.current / quality_pages.SHAREABLE,
        warnings=to_know + warnings + unlisted,
        disagreements=disagreements,
    )


def _model(landed: Delivery, layout: Layout, copy: publish.Copy, progress: Progress) -> None:
    """Build and test every model; where the last build allows it, of the changed patients alone."""
    last = None if spark.is_chosen() else increment.last_build(layout, landed)
    if last is None:
        increment.forget_build(layout)
        if spark.is_chosen():
            spark.build(landed, layout, progress)
        else:
            dbt_build(ledger.landed(layout.work, landed.seq), layout, progress)
        return
    before = layout.published / last.run_id
    if (before / WAREHOUSE).exists() and not manifest.withdrawn(before):
        copy.unchanged(before, last.held, patients_of(layout.work, landed))
    increment.build(landed, last, layout, progress)


def publish_run(
    layout: Layout, folder: Path, copy: publish.Copy, run_id: str, started: datetime, delivery: Path
) -> dict[str, Content]:
    """Make a folder with the reports of a finished build the current run; return what it holds."""
    faults.point("publish")
    copied = copy.finish()
    faults.point("publish")
    made_of = manifest.compose(layout, folder / WAREHOUSE, copied, run_id, started, delivery)
    quality_pages.write(layout, folder, made_of)
    dbt_docs.write(layout, folder, folder / WAREHOUSE, delivery)
    manifest.write(folder, made_of)
    faults.point("publish")
    publish.finish(folder)
    publish.reveal(layout, folder, run_id)
    return copied


def _land(folder: Path, layout: Layout, *, allow_older: bool) -> Delivery:
    try:
        return land(folder, layout.work, allow_older=allow_older)
    except UnsafeArchiveError as error:
        raise CommandError(str(error.msg), Exit.SECURITY) from None
    except DeliveryError as error:
        raise CommandError(str(error.msg), Exit.BAD_INPUT) from None


def _passed_over(layout: Layout, landed: Delivery) -> list[str]:
    """Say which deliveries of all patients these changes do not stand on."""
    return [
        f"delivery {earlier.delivery_id} of {earlier.extract_date} was never published and is not "
        f"in this build: the changes {landed.delivery_id} must hold what it changed too"
        for earlier in ledger.passed_over(ledger.deliveries(layout.work), landed)
        if earlier.covers == "all"
    ]


def _another_site(layout: Layout, landed: Delivery) -> list[str]:
    """Say whose patients were published last, if they are not of the site that delivered now."""
    published = [d for d in ledger.deliveries(layout.work) if d.accepted_run]
    last = max(published, key=lambda d: d.acceptance, default=landed)
    if last.site_code == landed.site_code:
        return []
    return [
        f"the run published before held the patients of site {last.site_code}, this one holds "
        f"those of site {landed.site_code} alone; to keep both current, give each site folders of "
        "its own with --work and --published"
    ]


def _dated_ahead(landed: Delivery) -> list[str]:
    """Say that an extract is yet to be drawn: a slip, unless all its dates are shifted."""
    # It may be tomorrow where it was drawn.
    if (landed.extract_date or "") <= f"{date.today() + timedelta(days=1)}":
        return []
    return [
        f"extract_date {landed.extract_date} in delivery.csv lies in the future: deliveries drawn "
        "before that day are older, and refused without --allow-older"
    ]


def next_run_id(layout: Layout, started: datetime) -> str:
    """Name a run so that it sorts after the runs before it, whatever the clock has done."""
    begun = started.strftime(RUN_TIME)
    if before := manifest.published_runs(layout):
        last = datetime.strptime(before[-1].partition("-")[0], RUN_TIME)
        begun = max(begun, (last + timedelta(seconds=1)).strftime(RUN_TIME))
    return f"{begun}-{secrets.token_hex(2)}"


@contextmanager
def on_record(layout: Layout, run_id: str, delivery: Path) -> Iterator[None]:
    """Enter in the audit trail that a run began and how it ended; of one published, what of.

    Raises NotOnRecordError if it has become current and something failed afterwards.
    """
    work = layout.work
    audit.append(
        work, RUN_BEGUN, {"run_id": run_id, "delivery": delivery.name, "key_id": key_id(load_key())}
    )
    try:
        yield
    except BaseException as error:
        if publish.is_current(layout, run_id):
            raise _not_on_record(run_id, error) from error
        kind = RUN_ABORTED if isinstance(error, KeyboardInterrupt) else RUN_FAILED
        # The disk may be full; what is told is the reason of the failure, not that.
        with suppress(Exception):
            audit.append(work, kind, {"run_id": run_id, "error": type(error).__name__})
        raise
    try:
        _enter_published(layout, run_id)
    except BaseException as error:
        raise _not_on_record(run_id, error) from error


def _enter_published(layout: Layout, run_id: str) -> None:
    """Enter a run that has become current: what it was built from is accepted, then it is told."""
    faults.point("record")
    folder = layout.published / run_id
    ledger.accept(layout.work, max(manifest.deliveries(manifest.read(folder))), run_id)
    faults.point("record")
    written = manifest.sha256(folder / manifest.MANIFEST)
    audit.append(layout.work, RUN_PUBLISHED, {"run_id": run_id, "manifest_sha256": written})


def _enter_unfinished(layout: Layout) -> list[str]:
    """Enter how runs ended that ended without word; say which of them is published."""
    entered = []
    for run_id, kind in _last_events(layout.work).items():
        if publish.is_current(layout, run_id) and kind != RUN_PUBLISHED:
            _enter_published(layout, run_id)
            entered.append(
                f"run {run_id} was stopped after it became current; it is entered as published now"
            )
        elif kind == RUN_BEGUN:
            audit.append(layout.work, RUN_KILLED, {"run_id": run_id})
    return entered


def never_current(layout: Layout) -> list[Path]:
    """Complete runs that never became current: killed just before the pointer was swapped."""
    last = _last_events(layout.work)
    return [
        layout.published / run_id
        for run_id in manifest.published_runs(layout)
        if last.get(run_id) in (RUN_FAILED, RUN_ABORTED, RUN_KILLED)
    ]


def _not_on_record(run_id: str, error: BaseException) -> NotOnRecordError:
    return NotOnRecordError(
        f"run {run_id} is published, but {type(error).__name__} kept it from being entered in the "
        "audit trail and as what later changes change; the next `rwe build` does so",
        as_command_error(error).exit_code,
    )


def _last_events(work: Path) -> dict[str, str]:
    """The last event of each run of the audit trail."""
    return {
        json.loads(event.detail)["run_id"]: event.kind
        for event in audit.events(work)
        if event.kind in RUN_EVENTS
    }


@contextmanager
def workplace(delivery: Path, layout: Layout) -> Iterator[list[str]]:
    """The two folders, writable, with space, locked and swept; yields what was swept away."""
    os.umask(resources.PRIVATE_UMASK)
    all_checks()  # a fault of the catalogue is told before anything is built
    if layout.work.is_relative_to(layout.published) or layout.published.is_relative_to(layout.work):
        raise CommandError(
            f"{layout.work} and {layout.published} must lie apart: one is private, the other is "
            "not. Name other folders with --work and --published",
            Exit.SECURITY,
        )
    resources.require_writable(layout.work, PRIVATE_FOLDER_MODE)
    resources.require_writable(layout.published, publish.PUBLISHED_FOLDER_MODE)
    delivered = delivered_bytes(delivery)
    for folder, needed in (
        (layout.work, delivered * resources.BUILD_BYTES_PER_DELIVERED_BYTE),
        (layout.published, delivered),  # at least: of changes it holds the other patients too
    ):
        resources.require_space(folder, needed + resources.LEAST_FREE_BYTES)
    if layout.current.exists() and not layout.current.is_symlink():
        raise CommandError(
            f"{layout.current} is no link to a run, as in a copy that followed links. "
            "Remove it; to go on from a run, link it: ln -s RUN current"
        )
    with lock.only_one(layout.work, layout.published):
        last = audit.last_key_id(layout.work)
        now = require_key(last, layout.work, layout.published)
        rotated = (
            [f"the pseudonym key is another one ({now}, before {last}): all pseudonyms change"]
            if last not in (None, now)
            else []
        )
        if unknown := ledger.erased_under_other_keys(layout.work, now):
            rotated.append(
                f"under this key {unknown} patients who were erased cannot be recognised; should a "
                "delivery name them again, erase them again by number"
            )
        entered = _enter_unfinished(layout)
        swept = publish.leftovers(layout)
        for path in swept:
            publish.remove(path)
        yield [
            *rotated,
            *entered,
            *(
                f"the erasure of a patient has not ended: give `rwe erase` again; {note} says of "
                "whom, and is private"
                for note in ledger.unfinished_erasures(layout.work)
            ),
            *(f"{path.name} was left by a run that was killed; it is removed" for path in swept),
            *(
                f"{path} is complete but was killed before it became current; remove it"
                for path in never_current(layout)
            ),
        ]


@contextmanager
def unpublished(layout: Layout, run_id: str) -> Iterator[Path]:
    """A hidden folder to finish a run in; it leaves no trace when that fails."""
    folder = layout.published / f"{publish.UNFINISHED}{run_id}"
    folder.mkdir()
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@contextmanager
def _reported(layout: Layout, about: dict[str, str]) -> Iterator[None]:
    """Write the private data-quality report of a build that a check has stopped."""
    try:
        yield
    except CommandError as error:
        if error.exit_code != Exit.DATA_QUALITY or not layout.warehouse.exists():
            raise
        page = layout.work / quality_pages.PRIVATE
        with duckdb.connect(str(layout.warehouse), read_only=True) as connection:
            quality.render(connection, page, run=about, private=True)
        raise CommandError(
            f"{error}\nNothing was published. The data-quality report says more: {page}",
            error.exit_code,
        ) from None


def _compute(layout: Layout) -> tuple[list[str], list[str], list[str]]:
    """Compute every study, and again by a second programme.

    Returns the studies, what the second programme finds otherwise, and what is not published.
    """
    from analysis import estimates, second_programming
    from analysis.study import StudyError

    disagreements = []
    with duckdb.connect(str(layout.warehouse)) as connection:
        found = connection.execute("select study_id from reference.studies order by study_id")
        studies = [study_id for (study_id,) in found.fetchall()]
        for study_id in studies:
            faults.point("analysis")
            try:
                estimates.compute(connection, study_id)
            except StudyError as error:
                raise CommandError(f"{error} Mend seeds/studies and build again") from None
            disagreements += [
                f"{study_id} {found.exhibit}: {found.what}: a second programme finds otherwise "
                f"(largest difference {found.largest_difference:.1g}). Do not use these numbers; "
                "the report's section Second programming compares them"
                for found in second_programming.compute(connection, study_id)
                if not found.agrees
            ]
        unlisted = [
            f"{column} is not published: {publish.ALLOW_LIST} does not list it"
            for column in publish.not_listed(connection)
        ]
    return studies, disagreements, unlisted


def _report(layout: Layout, folder: Path, studies: list[str], about: dict[str, str]) -> None:
    """Write the pages of every study that is computed, and its tables and figures as files."""
    from analysis import exhibits, exports, report

    with duckdb.connect(str(layout.warehouse)) as connection:
        for study_id in studies:
            contents = exhibits.contents(connection, study_id)
            page = report.page(connection, contents, run=about)
            (folder / f"{study_id}.html").write_text(page, encoding="utf-8")
            if contents.edition.policy:
                exact = exhibits.contents(connection, study_id, private=True)
                page = report.page(connection, exact, run=about)
                (layout.work / f"{study_id}{PRIVATE_PAGE}").write_text(page, encoding="utf-8")
            faults.point("analysis")
            exports.write(connection, contents, folder / "exports")
