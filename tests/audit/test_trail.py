"""The audit trail: whatever is done to it shows, and where."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import duckdb
import pytest

from pipeline import audit, ledger
from pipeline.errors import CommandError, Exit
from tests.processes import PROCESSES

KINDS = ("delivery loaded", "run published", "run signed", "run published", "patient erased")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trail")
    for number, kind in enumerate(KINDS):
        audit.append(folder, kind, {"number": number, "note": "naïve 患者"})
    return folder


@pytest.fixture
def work(written: Path, tmp_path: Path) -> Path:
    shutil.copy(written / audit.STORE, tmp_path)
    return tmp_path


def tamper(work: Path, *statements: str) -> audit.Break | None:
    with duckdb.connect(str(work / audit.STORE)) as connection:
        for statement in statements:
            connection.execute(statement)
    return audit.verify(audit.events(work))


def keep_open(path: Path, until_there: Path, until_gone: Path) -> None:
    """As a command that reads, for as long as `until_gone` is there."""
    with duckdb.connect(str(path), read_only=True):
        until_there.touch()
        while until_gone.exists():
            time.sleep(0.01)


def test_who_reads_does_not_end_who_writes(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, kept = tmp_path / "opened", tmp_path / "kept"
    kept.touch()
    reader = PROCESSES.Process(target=keep_open, args=(work / audit.STORE, opened, kept))
    reader.start()
    try:
        while not opened.exists():
            time.sleep(0.01)
        with monkeypatch.context() as patch:
            patch.setattr(audit, "LONGEST_WAIT_SECONDS", 0.2)
            with pytest.raises(CommandError, match="is in use by another process") as busy:
                audit.append(work, "run begun", {})
            assert busy.value.exit_code == Exit.BUSY
        threading.Timer(0.3, kept.unlink).start()
        audit.append(work, "run begun", {})
    finally:
        kept.unlink(missing_ok=True)
        reader.join()
    assert audit.verify(audit.events(work)) is None


def test_who_reads_makes_no_store(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert audit.events(nowhere) == []
    assert ledger.deliveries(nowhere) == []
    assert ledger.rewritten(nowhere) == {}
    assert ledger.erased(nowhere, "key") == frozenset()
    assert not nowhere.exists()


def test_the_ledger_lies_beside_the_trail(work: Path) -> None:
    assert ledger.deliveries(work) == []
    assert ledger.erased(work, "key") == frozenset()
    for digest, key_id in (("one", "key"), ("one", "key"), ("two", "another"), ("three", "key")):
        ledger.erase(work, digest, key_id)
    assert ledger.erased(work, "key") == {"one", "three"}
    assert ledger.erased_under_other_keys(work, "key") == 1
    for archived in ("first", "second"):
        ledger.note_rewritten(work, "delivered", archived)
    assert ledger.rewritten(work) == {"delivered": "second"}
    noted, half = (work / f"{ledger.ERASING}one.{end}" for end in ("json", "partial"))
    half.touch()
    assert ledger.unfinished_erasures(work) == []
    noted.touch()
    assert ledger.unfinished_erasures(work) == [noted]
    assert audit.verify(audit.events(work)) is None


def test_an_untouched_trail_verifies(work: Path) -> None:
    trail = audit.events(work)
    assert [event.kind for event in trail] == list(KINDS)
    assert [event.seq for event in trail] == [1, 2, 3, 4, 5]
    assert audit.verify(trail) is None
    assert audit.verify([]) is None


@pytest.mark.parametrize("seq", range(1, len(KINDS) + 1))
@pytest.mark.parametrize("column", ["kind", "time", "actor", "detail", "previous", "hash"])
def test_an_edited_event_is_named(work: Path, seq: int, column: str) -> None:
    found = tamper(work, f"update events set {column} = {column} || ' ' where seq = {seq}")
    assert found is not None
    assert found.seq == seq


@pytest.mark.parametrize("seq", range(1, len(KINDS)))
def test_a_deleted_event_is_named(work: Path, seq: int) -> None:
    found = tamper(work, f"delete from events where seq = {seq}")
    assert found is not None
    assert found.seq == seq


def test_a_deleted_event_is_named_though_the_rest_are_renumbered(work: Path) -> None:
    found = tamper(
        work, "delete from events where seq = 2", "update events set seq = seq - 1 where seq > 2"
    )
    assert found is not None
    assert found.seq == 2


def test_events_in_another_order_are_named(work: Path) -> None:
    found = tamper(work, "update events set seq = case seq when 2 then 3 when 3 then 2 end "
                   "where seq in (2, 3)")  # fmt: skip
    assert found is not None
    assert found.seq == 2


def test_an_event_whose_hash_was_made_anew_breaks_the_next(work: Path) -> None:
    trail = audit.events(work)
    forged = audit.Event(**{**vars(trail[2]), "detail": "{}"})
    trail[2] = audit.Event(**{**vars(forged), "hash": forged.expected_hash()})
    found = audit.verify(trail)
    assert found is not None
    assert found.seq == 4


def test_the_store_is_for_its_owner_only(work: Path) -> None:
    assert (work / audit.STORE).stat().st_mode & 0o777 == 0o600
