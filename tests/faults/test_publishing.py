"""Whatever happens while a run is published: what was published before stays, byte for byte."""

from __future__ import annotations

import errno
import itertools
import json
import os
import random
import shutil
import stat
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from expectations.tables import columns, exist
from pipeline import audit, ledger, lock, manifest, publish, quality_pages, resources, run
from pipeline.content import Content, content
from pipeline.errors import CommandError, Exit
from pipeline.ledger import Delivery
from pipeline.paths import Layout
from pipeline.verify import verify
from tests.faults.trials import (
    EXIT_CODES,
    KILLED,
    Published,
    leftovers,
    verify_run,
)
from tests.processes import PROCESSES, ended

STEPS = 7
RANDOM_KILLS = 10
SEED = 20261128


@pytest.mark.parametrize("kind", EXIT_CODES)
def test_flt05_flt10_publishing_fails_at_each_step(
    kind: str, published: Published, survived: list[str]
) -> None:
    before = published.current
    for nth in itertools.count(1):
        code = published.attempt(RWE_FAULT=f"publish:{nth}:{kind}")
        published.holds()
        if code == 0:
            break
        assert code == EXIT_CODES[kind]
        if kind != "kill":
            assert published.current == before
            assert leftovers(published.layout.published) == []
        survived.append(f"publish:{nth}:{kind}")
    assert nth > STEPS
    assert leftovers(published.layout.published, published.layout.work) == []
    same_tables(published, before)


def test_flt05_killed_at_random_moments(published: Published, survived: list[str]) -> None:
    before, drawn = published.current, random.Random(SEED)
    began = time.monotonic()
    assert published.attempt() == 0
    lasts = time.monotonic() - began
    for _ in range(RANDOM_KILLS):
        moment = drawn.uniform(0, lasts)
        assert published.attempt(kill_after=moment) in (KILLED, 0)
        published.holds()
        survived.append(f"killed after {moment:.2f} s")
    assert published.attempt() == 0
    assert leftovers(published.layout.published, published.layout.work) == []
    same_tables(published, before)


def same_tables(published: Published, before: str) -> None:
    """The run made after the faults holds what the run made before them holds."""
    first = verify_run(published.layout.published / before)["relations"]
    assert verify_run(published.layout.current)["relations"] == first


def test_flt05_a_run_killed_before_it_became_current_is_listed(
    published: Published, survived: list[str]
) -> None:
    before = published.current
    for nth in range(1, STEPS + 1):
        assert published.attempt(RWE_FAULT=f"publish:{nth}:kill") == KILLED
        if published.current != before:
            break
    listed = run.never_current(published.layout)
    assert [verify_run(folder)["run_id"] for folder in listed] == [f.name for f in listed]
    kinds = [event.kind for event in audit.events(published.layout.work)]
    assert kinds.count(run.RUN_KILLED) == kinds.count(run.RUN_BEGUN) - 2
    survived.append("orphan")


@pytest.mark.parametrize("pointer", ["missing", "dangling", "set back"])
def test_a_run_that_was_current_is_not_called_one_that_never_was(
    pointer: str, published: Published, survived: list[str]
) -> None:
    first = published.current
    assert published.attempt() == 0
    published.layout.current.unlink()
    if pointer == "dangling":
        published.layout.current.symlink_to("no such run")
    elif pointer == "set back":
        published.layout.current.symlink_to(first)
    with run.workplace(published.delivery, published.layout) as told:
        assert told == []
    assert published.attempt() == 0
    published.holds()
    survived.append(f"pointer {pointer}")


@pytest.mark.parametrize("left", [None, 0, 100_000])
def test_a_damaged_run_is_superseded_by_the_next(
    left: int | None, published: Published, survived: list[str]
) -> None:
    before = published.current
    warehouse = published.layout.current.resolve() / publish.WAREHOUSE
    warehouse.chmod(0o640)
    if left is None:
        warehouse.unlink()
    else:
        os.truncate(warehouse, left)
    assert published.attempt() == 0
    assert published.current != before
    verify_run(published.layout.current)
    page = (published.layout.current / quality_pages.SHAREABLE).read_text(encoding="utf-8")
    assert f"was withdrawn or cannot be read. See: rwe verify {before}" in page
    survived.append(f"run before damaged: {left}")


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("kind", EXIT_CODES)
def test_flt05_a_run_that_became_current_is_entered_by_the_next(
    kind: str, nth: int, published: Published, survived: list[str]
) -> None:
    work, before = published.layout.work, published.current
    (seq,) = manifest.deliveries(manifest.read(published.layout.current))
    ledger.record(work, Delivery(seq, "identity", None, "H01", None, "all", None))
    assert published.attempt(RWE_FAULT=f"record:{nth}:{kind}") == EXIT_CODES[kind]
    cut_off = published.current
    assert cut_off != before
    published.holds()
    with run.workplace(published.delivery, published.layout) as told:
        assert [line for line in told if cut_off in line and "entered as published" in line]
        assert ledger.deliveries(work)[0].accepted_run == cut_off
    with run.workplace(published.delivery, published.layout) as told:
        assert told == []
    kinds = [
        event.kind
        for event in audit.events(work)
        if json.loads(event.detail).get("run_id") == cut_off
    ]
    assert kinds == [run.RUN_BEGUN, run.RUN_PUBLISHED]
    assert {f.state for f in verify(published.layout, cut_off) if f.part == "manifest"} == {"holds"}
    published.holds()
    survived.append(f"record:{nth}:{kind}")


def test_flt10_a_full_disk_is_refused_before_the_copy(
    published: Published, monkeypatch: pytest.MonkeyPatch, survived: list[str]
) -> None:
    usage = resources.shutil.disk_usage(published.layout.published)
    monkeypatch.setattr(resources.shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))
    target = published.layout.published / ".unfinished.run" / "copy.duckdb"
    with (
        pytest.raises(CommandError, match=r"has 1 MB left, about [\d,]+ MB are needed") as refused,
        publish.Copy(published.layout, target) as copy,
    ):
        copy.built()
    assert refused.value.exit_code == Exit.RESOURCES
    assert f"{published.layout.published} has" in str(refused.value)
    assert not target.exists()
    survived.append("disk full")


def publish_as(published: Published, run_id: str, started: datetime) -> None:
    layout = published.layout
    with (
        run.unpublished(layout, run_id) as folder,
        publish.Copy(layout, folder / publish.WAREHOUSE) as copy,
    ):
        copy.built()
        copy.results()
        run.publish_run(layout, folder, copy, run_id, started, published.delivery)


@pytest.mark.parametrize(
    ("place", "times"), [("work", resources.BUILD_BYTES_PER_DELIVERED_BYTE), ("published", 1)]
)
def test_flt10_a_full_disk_is_refused_before_work(
    place: str,
    times: int,
    published: Published,
    monkeypatch: pytest.MonkeyPatch,
    survived: list[str],
) -> None:
    full = getattr(published.layout, place)
    usage = resources.shutil.disk_usage(full)
    delivered = sum(path.stat().st_size for path in published.delivery.iterdir())
    needed = delivered * times + resources.LEAST_FREE_BYTES
    for free, is_enough in ((needed, True), (needed - 1, False)):

        def left(folder: Path, free: int = free) -> Any:
            return usage._replace(free=free) if folder == full else usage

        monkeypatch.setattr(resources.shutil, "disk_usage", left)
        began = False
        try:
            with run.workplace(published.delivery, published.layout):
                began = True
        except CommandError as refused:
            assert refused.exit_code == Exit.RESOURCES
            assert str(full) in str(refused)
        assert began == is_enough
    survived.append(f"{place} too full to begin")


@pytest.mark.parametrize("nth", [1, 2, 5])
def test_flt14_fsync_fails(
    nth: int, published: Published, monkeypatch: pytest.MonkeyPatch, survived: list[str]
) -> None:
    before, synced = published.current, os.fsync
    calls = itertools.count(1)

    def failing(descriptor: int) -> None:
        if next(calls) >= nth:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        synced(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    layout, started = published.layout, datetime.now(UTC)
    run_id = run.next_run_id(layout, started)
    with pytest.raises(OSError, match="Input/output error"):
        publish_as(published, run_id, started)
    assert published.current == before
    assert leftovers(layout.published) == []
    assert not (layout.published / run_id).exists()
    published.holds()
    survived.append(f"fsync {nth}")


def test_flt14_fsync_of_the_pointer_fails(
    published: Published, monkeypatch: pytest.MonkeyPatch, survived: list[str]
) -> None:
    before, to_disk = published.current, publish._to_disk
    folder = published.layout.published

    def failing(path: Path) -> None:
        if path == folder and published.current != before:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        to_disk(path)

    monkeypatch.setattr(publish, "_to_disk", failing)
    layout, started = published.layout, datetime.now(UTC)
    run_id = run.next_run_id(layout, started)
    with pytest.raises(OSError, match="Input/output error"):
        publish_as(published, run_id, started)
    assert published.current == before
    assert not (folder / run_id).exists()
    published.holds()
    survived.append("fsync of the pointer")


def test_flt14_a_pointer_that_cannot_be_set_back_leads_to_a_whole_run(
    published: Published, monkeypatch: pytest.MonkeyPatch, survived: list[str]
) -> None:
    before, to_disk, point_to = published.current, publish._to_disk, publish._point_to
    folder = published.layout.published
    calls = itertools.count(1)

    def failing(path: Path) -> None:
        if path == folder and published.current != before:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        to_disk(path)

    def once(layout: Layout, run_folder: Path | None) -> None:
        if next(calls) > 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        point_to(layout, run_folder)

    monkeypatch.setattr(publish, "_to_disk", failing)
    monkeypatch.setattr(publish, "_point_to", once)
    started = datetime.now(UTC)
    run_id = run.next_run_id(published.layout, started)
    with pytest.raises(OSError, match="Input/output error"):
        publish_as(published, run_id, started)
    assert published.current == run_id
    published.holds()
    survived.append("pointer not set back")


def test_what_is_no_run_beside_the_runs_does_not_end_a_build(
    published: Published, survived: list[str]
) -> None:
    layout = published.layout
    shutil.copytree(layout.current.resolve(), layout.published / "backup")
    assert manifest.published_runs(layout) == [published.current]
    assert run.next_run_id(layout, datetime.now(UTC)) > published.current
    target = layout.current.resolve()
    layout.current.unlink()
    shutil.copytree(target, layout.current)
    with (
        pytest.raises(CommandError, match="is no link to a run"),
        run.workplace(published.delivery, layout),
    ):
        pytest.fail("work began")
    survived.append("no run")


def test_a_withdrawal_that_is_cut_off_leaves_what_was_there(
    published: Published, monkeypatch: pytest.MonkeyPatch, survived: list[str]
) -> None:
    folder = published.layout.current.resolve()
    manifest.withdraw(folder, {"reason": "first", "superseded_by": None})

    def cut_off(path: Path, text: str, **_: object) -> None:
        with path.open("w") as stream:
            stream.write(text[:5])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", cut_off)
        with pytest.raises(OSError, match="No space left"):
            manifest.withdraw(folder, {"reason": "second", "superseded_by": None})
    assert manifest.withdrawn(folder) == {"reason": "first", "superseded_by": None}
    assert len(publish.leftovers(published.layout)) == 1
    survived.append("withdrawal cut off")


def test_a_copy_that_differs_is_not_published(
    published: Published, monkeypatch: pytest.MonkeyPatch, survived: list[str]
) -> None:
    verify = publish._verify

    def bent(target: Path, copied: dict[str, Content]) -> None:
        with duckdb.connect(str(target)) as connection:
            connection.execute(
                "update cohort.cohort set included = not included "
                "where patient_key = (select min(patient_key) from cohort.cohort)"
            )
        verify(target, copied)

    monkeypatch.setattr(publish, "_verify", bent)
    target = published.layout.work / "copy.duckdb"
    with (
        publish.Copy(published.layout, target) as copy,
        pytest.raises(CommandError, match=r"The copy differs from the build in cohort\.cohort;"),
    ):
        copy.built()
        copy.results()
        copy.finish()
    survived.append("copy differs")


def test_the_build_is_read_while_it_is_copied(
    published: Published, tmp_path: Path, survived: list[str]
) -> None:
    """As the analysis does: it must neither see the copy nor keep it from being written out."""
    warehouse, target = published.layout.warehouse, tmp_path / publish.WAREHOUSE
    listing = "select count(*) from information_schema.tables where table_schema = 'cohort'"
    with publish.Copy(published.layout, target) as copy:
        with duckdb.connect(str(warehouse)) as reader:
            alone = reader.execute(listing).fetchone()
            copy.built()
            copy.results()
            seen = set()
            while not all(task.done() for task in copy._begun):
                seen.add(reader.execute(listing).fetchone())
                assert exist(reader, "cohort.cohort", "survival.survival_intervals")
                assert publish.not_listed(reader) == []
        assert seen > {alone}, "the reader never met the copy"
        held = copy.finish()
    relations = verify_run(published.layout.current)["relations"]
    assert [manifest.relation(name, held[name]) for name in sorted(held)] == relations
    survived.append("build read meanwhile")


def on_top(published: Published, run_folder: Path, target: Path) -> dict[str, Content]:
    """A copy of the build that begins with a published run; one patient is replaced by itself."""
    with duckdb.connect(str(published.layout.current / publish.WAREHOUSE), read_only=True) as now:
        held = {
            row["name"]: content(now, row["name"], columns(now, row["name"]))
            for row in manifest.relations(now)
        }
    replaced = target.with_suffix(".parquet")
    with duckdb.connect(str(published.layout.warehouse), read_only=True) as build:
        build.execute(
            f"copy (select min(patient_key) as patient_key from cohort.cohort) to '{replaced}'"
        )
    with publish.Copy(published.layout, target) as copy:
        copy.unchanged(run_folder, held, replaced)
        copy.built()
        copy.results()
        return copy.finish()


def test_rows_of_the_run_before_are_copied_only_if_they_are_those_of_the_build(
    published: Published, tmp_path: Path, survived: list[str]
) -> None:
    current = published.layout.current.resolve()
    relations = verify_run(current)["relations"]
    copied = on_top(published, current, tmp_path / "sound.duckdb")
    assert [manifest.relation(name, copied[name]) for name in sorted(copied)] == relations

    changed = tmp_path / "changed"
    changed.mkdir()
    shutil.copy(current / publish.WAREHOUSE, changed)
    with duckdb.connect(str(changed / publish.WAREHOUSE)) as connection:
        connection.execute("update treatment.lines_of_therapy set line_number = line_number + 1")
    with pytest.raises(
        CommandError, match=r"differs from the build in treatment\.lines_of_therapy"
    ):
        on_top(published, changed, tmp_path / "wrong.duckdb")
    survived.append("run before changed")

    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / publish.WAREHOUSE).write_bytes(b"not a database" * 1000)
    assert on_top(published, damaged, tmp_path / "whole.duckdb") == copied
    survived.append("run before damaged")


def test_a_copy_that_is_not_needed_any_more_stops(
    published: Published, survived: list[str]
) -> None:
    before = published.current
    started = datetime.now(UTC)
    run_id = run.next_run_id(published.layout, started)
    with (
        pytest.raises(KeyboardInterrupt),
        run.unpublished(published.layout, run_id) as own,
        publish.Copy(published.layout, own / publish.WAREHOUSE) as copy,
    ):
        copy.built()
        raise KeyboardInterrupt
    with duckdb.connect(str(published.layout.warehouse)) as build:
        attached = build.execute("select database_name from duckdb_databases()").fetchall()
    assert (publish.TARGET,) not in attached
    assert published.current == before
    assert leftovers(published.layout.published) == []
    published.holds()
    survived.append("copy stopped")


@pytest.mark.parametrize(
    ("mode", "exit_code", "words"),
    [(0o555, Exit.RESOURCES, "cannot be written"), (0o777, Exit.SECURITY, "by anybody")],
)
def test_flt13_target_read_only_or_open_to_all_is_refused_before_work(
    mode: int, exit_code: Exit, words: str, published: Published, survived: list[str]
) -> None:
    published.layout.published.chmod(mode)
    with (
        pytest.raises(CommandError, match=words) as refused,
        run.workplace(published.delivery, published.layout),
    ):
        pytest.fail("work began")
    assert refused.value.exit_code == exit_code
    assert published.attempt() == exit_code
    published.layout.published.chmod(0o750)
    published.holds()
    survived.append(f"mode {mode:o}")


def test_flt13_sec09_modes_whatever_the_umask(published: Published, survived: list[str]) -> None:
    # `attempt` begins with umask 000.
    published.holds()
    run_folder = published.layout.current.resolve()
    assert stat.S_IMODE(run_folder.stat().st_mode) == 0o750
    for path in run_folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o750 if path.is_dir() else 0o640)
    for path in published.layout.work.glob("audit.duckdb*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    survived.append("umask 000")


def hold(folder: Path, seconds: float) -> None:
    with lock.only_one(folder):
        time.sleep(seconds)


def test_flt25_one_at_a_time(published: Published, survived: list[str]) -> None:
    holder = PROCESSES.Process(target=hold, args=(published.layout.work, 600))
    holder.start()
    try:
        file = published.layout.work / lock.LOCK_FILE
        while not file.exists() or not file.read_text():
            time.sleep(0.05)
        for _ in range(4):
            assert published.attempt() == Exit.BUSY
            survived.append("busy")
        with pytest.raises(CommandError) as busy, lock.only_one(published.layout.work):
            pytest.fail("both have it")
        told = json.loads(file.read_text())
        assert all(str(told[what]) in str(busy.value) for what in ("pid", "host", "since"))
        assert told["pid"] == holder.pid
    finally:
        holder.kill()
        holder.join()
    # Whoever was killed holds nothing: the next run takes over.
    assert published.attempt() == 0
    published.holds()


def test_flt25_who_has_a_folder_is_named_whoever_had_it_before(tmp_path: Path) -> None:
    free, taken = tmp_path / "free", tmp_path / "taken"
    for folder in (free, taken):
        folder.mkdir()
    file = taken / lock.LOCK_FILE
    file.write_text('{"pid": 1}')  # left by one that was killed
    holder = PROCESSES.Process(target=hold, args=(taken, 600))
    holder.start()
    try:
        while str(holder.pid) not in file.read_text():
            time.sleep(0.05)
        named = f"taken is busy, held by process {holder.pid} on .+ since .+ UTC; wait"
        with pytest.raises(CommandError, match=named), lock.only_one(free, taken):
            pytest.fail("both have it")
        assert ended(hold, free, 0) == 0, "who does not get all folders keeps none"
    finally:
        holder.kill()
        holder.join()
    with lock.only_one(free, taken):
        lock.hold(taken)
        assert ended(hold, taken, 0) != 0
        assert ended(hold, free, 0) != 0
    assert ended(hold, taken, 0) == 0


def test_flt26_a_reader_keeps_its_snapshot(published: Published, survived: list[str]) -> None:
    file = published.layout.current / "warehouse.duckdb"
    count = "select count(*) from cohort.cohort"
    with duckdb.connect(str(file), read_only=True) as reader:
        before = reader.execute(count).fetchall()
        with duckdb.connect(str(published.layout.warehouse)) as build:
            build.execute(
                "delete from cohort.cohort where patient_key = "
                "(select min(patient_key) from cohort.cohort)"
            )
        assert published.attempt() == 0
        assert reader.execute(count).fetchall() == before
        with duckdb.connect(str(file.resolve()), read_only=True) as fresh:
            assert fresh.execute(count).fetchall() < before
    published.holds()
    survived.append("reader")


def test_flt28_run_ids_follow_one_another_when_the_clock_jumps_back(
    published: Published, survived: list[str]
) -> None:
    ids = [
        run.next_run_id(published.layout, datetime(year, 3, 29, 1, 59, 59, tzinfo=UTC))
        for year in (1999, 2026, 2099)
    ]
    assert len({*ids, published.current}) == 4
    assert all(run_id > published.current for run_id in ids)
    # Whatever zone and clock the machine has: dates and tables do not move.
    before = published.current
    for zone in ("America/New_York", "Pacific/Kiritimati", "Europe/Berlin"):
        assert published.attempt(TZ=zone) == 0
        survived.append(zone)
    same_tables(published, before)
    published.holds()
