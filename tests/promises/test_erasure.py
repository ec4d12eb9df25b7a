"""A patient who withdrew is gone from every byte, stays gone, and nobody else is touched."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console

from pipeline import audit, ledger, manifest
from pipeline import erase as erasing
from pipeline.delivery import ERASED_CAME_BACK, files, land
from pipeline.erase import PATIENT_ERASED, RUN_WITHDRAWN, erase
from pipeline.errors import CommandError, Exit
from pipeline.paths import Layout
from pipeline.pseudonyms import erasure_digest, key_id, load_key, pseudonym, require_key
from pipeline.run import workplace
from pipeline.verify import broken, verify
from synthetic import generate
from tests.promises.conftest import Erased, events
from tests.promises.contents import holding

COUNTING = ("results", "quality")
"""Schemas whose tables count patients; the others list them."""


SILENT: Any = {"step": lambda _: None, "progress": lambda *_: None}
STRANGER = "73519284"


@pytest.fixture
def key(erased: Erased, monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.setenv("RWE_KEY_FILE", str(erased.key_file))
    return load_key()


def found_in(erased: Erased, folder: Path) -> dict[str, set[str]]:
    return holding(folder, erased.identifiers)


def test_flt46_no_byte_of_any_file_names_the_patient(erased: Erased) -> None:
    before = erased.before.layout
    assert len(found_in(erased, before.work)) > 10, "the search finds what is there"
    assert len(found_in(erased, before.published)) == 2, "the warehouses of both runs"
    assert found_in(erased, erased.folder) == {}


def test_flt46_the_command_says_what_it_did_and_to_whom_it_does_not(erased: Erased) -> None:
    assert "Proved: the patient is in none of" in erased.output
    (told,) = events(erased.layout.work, PATIENT_ERASED)
    assert told["n_records"] == 0 or told["superseded_by"] == erased.new_run
    assert audit.verify(audit.events(erased.layout.work)) is None


def test_flt03_flt07_killed_and_stopped_on_the_way(erased: Erased) -> None:
    assert [code for _, code in erased.interrupted] == [-9, 128 + 15]
    kinds = [event.kind for event in audit.events(erased.layout.work)]
    assert "run killed" in kinds
    left = [*erased.layout.work.glob(".landing*"), *erased.layout.published.glob(".unfinished*")]
    assert left == []


def test_flt35_everybody_else_is_what_they_were(erased: Erased) -> None:
    """The build is made anew from what was kept of the delivery: the archive and its rows."""
    with duckdb.connect() as connection:
        before = erased.before.layout.current / "warehouse.duckdb"
        connection.execute(f"attach '{before}' as before (read_only)")
        after = erased.layout.current / "warehouse.duckdb"
        connection.execute(f"attach '{after}' as after (read_only)")
        tables = [
            table
            for (table,) in connection.execute(
                "select distinct schema_name || '.' || table_name from duckdb_columns() "
                "where database_name = 'before' and column_name = 'patient_key' "
                "and not list_contains(?, schema_name)",
                [list(COUNTING)],
            ).fetchall()
        ]
        assert len(tables) > 15
        for table in tables:
            kept = f"(from before.{table} where patient_key <> '{erased.patient_key}')"
            now = f"(from after.{table})"
            for one, other in ((kept, now), (now, kept)):
                difference = connection.execute(f"{one} except all {other} limit 3").fetchall()
                assert difference == [], table


def test_sec14_records_keep_their_numbers(erased: Erased) -> None:
    work = erased.layout.work
    for delivery in ledger.deliveries(work):
        listed = files(work, ledger.state(ledger.deliveries(work), delivery.seq)).to_pylist()
        was = files(
            erased.before.layout.work,
            ledger.state(ledger.deliveries(erased.before.layout.work), delivery.seq),
        ).to_pylist()
        assert [row["n_records"] for row in listed] == [row["n_records"] for row in was]
        assert sum(row["n_erased"] for row in listed) == erased.n_records
    assert not broken(verify(erased.layout, erased.new_run))


def test_flt49_withdrawn_runs_say_why_and_which_numbers_are_others(erased: Erased) -> None:
    layout, pair = erased.layout, erased.before
    assert manifest.published_runs(layout) == [pair.first, pair.second, erased.new_run]
    for run_id in (pair.first, pair.second):
        told = manifest.withdrawn(layout.published / run_id)
        assert told and (told["reason"], told["superseded_by"]) == ("erasure", erased.new_run)
        left = {path.name for path in (layout.published / run_id).iterdir()}
        assert left == {"manifest.json", "withdrawn.json"}
    moved = {name.rpartition(".")[2] for name in told["numbers"]}
    assert "n" in moved
    assert len(told["numbers"]) > 20
    withdrawn = events(layout.work, RUN_WITHDRAWN)
    assert [told["run_id"] for told in withdrawn] == [pair.first, pair.second]
    found = verify(layout, pair.second)
    assert not broken(found)
    assert any(finding.because == "was withdrawn: erasure" for finding in found)
    for command in (("diff", pair.first), ("trace", "os", "--run", pair.second)):
        code, said = erased.rwe(*command)
        assert code == Exit.BAD_INPUT
        assert "was withdrawn (erasure)" in said


def test_flt47_the_same_delivery_again_brings_nobody_back(
    erased: Erased, key: bytes, tmp_path: Path
) -> None:
    shutil.copytree(erased.layout.work, tmp_path / "work")
    again = land(erased.before.folder / "again", tmp_path / "work")
    assert again.seq == 2
    assert found_in(erased, tmp_path) == {}


def test_flt47_a_later_delivery_is_landed_without_them(
    erased: Erased, key: bytes, tmp_path: Path
) -> None:
    work, later = tmp_path / "work", tmp_path.parent / f"{tmp_path.name}-later"
    shutil.copytree(erased.layout.work, work)
    shutil.copytree(erased.before.folder / "again", later)
    path = later / "delivery.csv"
    path.write_text(path.read_text().replace("DEMO-", "LATER-"))
    path = later / "consent.csv"
    path.write_text(f"{path.read_text()}CN-broken,{erased.number},care\n")
    delivery = land(later, work)
    assert delivery.seq == 3
    assert found_in(erased, tmp_path) == {}
    listed = files(work, [delivery]).to_pylist()
    n_erased = sum(row["n_erased"] for row in listed)
    assert n_erased == erased.n_records + 1
    assert events(work, ERASED_CAME_BACK) == [{"delivery": 3, "n_records": n_erased}]
    with duckdb.connect() as connection:
        (kept,) = connection.execute(
            f"select count(*) from '{ledger.raw_folder(work, 3) / 'patients.parquet'}' "
            "where patient_key is not null"
        ).fetchone() or (0,)
    assert kept == listed[1]["n_records"] - 1


def test_it_needs_a_word_and_a_patient_somebody_knows(erased: Erased, key: bytes) -> None:
    code, said = erased.rwe("erase", erased.patient_key)
    assert code == Exit.NEEDS_DECISION
    assert "--yes" in said
    with pytest.raises(CommandError, match="No delivery has a patient of this pseudonym"):
        erase(erased.layout, "nobody", None, **SILENT)
    with pytest.raises(CommandError, match="is empty; nothing was erased"):
        erase(erased.layout, " ", "H01", **SILENT)
    with pytest.raises(CommandError, match=r"No delivery is of site H99.*Sites: H01"):
        erase(erased.layout, erased.number, "H99", **SILENT)


def test_what_still_names_the_patient_is_named(erased: Erased, key: bytes, tmp_path: Path) -> None:
    copy = erased.layout.work / "notes.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"copy (select '{erased.number}' as note) to '{copy}'")
    try:
        with pytest.raises(
            CommandError, match=r"still named in, or cannot be looked for in:\n  - .*notes\.parquet"
        ) as told:
            erase(erased.layout, erased.number, "H01", **SILENT)
        assert told.value.exit_code == Exit.SECURITY
        assert erased.number not in str(told.value)
    finally:
        copy.unlink()


def test_a_patient_nobody_delivered_yet_is_left_out_later(
    erased: Erased, key: bytes, tmp_path: Path
) -> None:
    layout = type(erased.layout)(tmp_path / "work", tmp_path / "published")
    shutil.copytree(erased.layout.work, layout.work)
    done = erase(layout, STRANGER, "H01", **SILENT)
    assert (done.n_records, done.withdrawn) == (0, [])
    digest = erasure_digest(pseudonym("H01", STRANGER, key), key)
    assert digest in ledger.erased(layout.work, key_id(key))


def test_under_another_key_the_pseudonyms_are_still_those_of_the_run_that_was_erased(
    erased: Erased, key: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the key was changed, and a patient withdrew before anybody delivered again."""
    work, inputs = erased.layout.work, manifest.read(erased.layout.current)["inputs"]
    monkeypatch.setenv("RWE_KEY_FILE", str(tmp_path / "another.key"))
    assert require_key(None) != key_id(key)
    assert manifest.pseudonym_key_id(work, inputs) == key_id(key)


WARD, NAME = "Ward Seven", "Erika Mustermann"


@pytest.fixture
def unpublished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Layout, str]:
    """A delivery that was built and never published; the number of one of its patients.

    Two columns of consent.csv are beyond the contract: all patients share a ward, none a name.
    """
    monkeypatch.setenv("RWE_KEY_FILE", str(tmp_path / "pseudonym.key"))
    extract, layout = tmp_path / "extract", Layout(tmp_path / "work", tmp_path / "published")
    generate(extract, patients=100)
    path = extract / "consent.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        header, first, *others = csv.reader(stream)
    number = first[header.index("patient_id")]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*header, "ward", "name"])
        writer.writerow([*first, WARD, NAME])
        writer.writerows([*other, WARD, ""] for other in others)
    land(extract, layout.work)
    with duckdb.connect(str(layout.warehouse)) as connection:
        connection.execute("create table built as select ? as patient_key", [key_of(number)])
    return layout, number


def key_of(number: str) -> str:
    return pseudonym("H01", number, load_key())


def test_what_others_share_is_erased_and_named_to_be_looked_at(
    unpublished: tuple[Layout, str], capsys: pytest.CaptureFixture[str]
) -> None:
    layout, number = unpublished
    kept = layout.work / "of_the_house.txt"
    kept.write_text("not made by a build")
    done = erase(layout, number, "H01", **SILENT)
    assert done.shared_columns == ["ward"]
    erasing.show(done, Console())
    assert "To be looked at: ward." in capsys.readouterr().out
    assert holding(layout.work, {number, key_of(number), NAME}) == {}
    assert kept.exists()
    rows = f"'{ledger.raw_folder(layout.work, 1) / 'consent.parquet'}'"
    of_ward = duckdb.sql(f"select count(*) from {rows} where undeclared like '%{WARD}%'")
    erased_rows = duckdb.sql(f"select count(*) from {rows} where load_fault = 'erased'")
    assert of_ward.fetchone() != (0,)
    assert erased_rows.fetchone() != (0,)


@pytest.mark.parametrize("what", ["name", "pseudonym", "pseudonym under the key before"])
def test_what_is_the_patients_alone_is_searched_for(
    unpublished: tuple[Layout, str], tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, number = unpublished
    first_key, copy = key_of(number), layout.work / "copy.txt"
    copy.write_text(f"{WARD}: {NAME}" if what == "name" else first_key)
    again: tuple[str, str | None] = (number, "H01")
    if what.endswith("before"):
        monkeypatch.setenv("RWE_KEY_FILE", str(tmp_path / "another.key"))
        require_key(None)
        again = (first_key, None)
    with pytest.raises(
        CommandError, match=r"still named in, or cannot be looked for in:\n  - .*copy\.txt"
    ) as told:
        erase(layout, number, "H01", **SILENT)
    assert told.value.exit_code == Exit.SECURITY
    copy.unlink()
    erase(layout, *again, **SILENT)
    assert ledger.unfinished_erasures(layout.work) == []
    for patient_key in (first_key, key_of(number)):  # whichever is given, it is known to be erased
        erase(layout, patient_key, None, **SILENT)


def test_a_patient_of_another_site_with_the_same_number_is_not_erased(
    unpublished: tuple[Layout, str], tmp_path: Path
) -> None:
    """Nothing is proved either: the number still stands in what the other site delivered."""
    layout, number = unpublished
    for path in (tmp_path / "extract").glob("*.csv"):
        path.write_text(path.read_text().replace("H01", "H02") + "\n")  # no file is the same
    other = land(tmp_path / "extract", layout.work)
    with pytest.raises(CommandError, match="still named in") as told:
        erase(layout, number, "H01", **SILENT)
    assert told.value.exit_code == Exit.SECURITY
    erased_rows = {
        seq: duckdb.execute(
            "select count(*) from read_parquet(?) where load_fault = 'erased'",
            [str(ledger.raw_folder(layout.work, seq) / "consent.parquet")],
        ).fetchall()
        for seq in (1, other.seq)
    }
    assert erased_rows == {1: [(2,)], 2: [(0,)]}


def test_a_number_with_a_tab_is_found_by_its_pseudonym(
    unpublished: tuple[Layout, str], tmp_path: Path
) -> None:
    layout, number = unpublished
    for path in (tmp_path / "extract").glob("*.csv"):
        path.write_text(path.read_text().replace(number, f"{number}\t"))
    land(tmp_path / "extract", layout.work)
    patient_key = key_of(f"{number}\t")
    assert erase(layout, patient_key, None, **SILENT).deliveries == [2]
    assert holding(layout.work, {patient_key}) == {}


@pytest.mark.parametrize("name", ["a.duckdb", "a.parquet", "a.zip", "a.csv.zst"])
def test_a_file_that_cannot_be_searched_is_named(
    unpublished: tuple[Layout, str], name: str
) -> None:
    layout, number = unpublished
    (layout.work / name).write_text("damaged")
    with pytest.raises(CommandError, match=rf"cannot be looked for in:\n  - .*{name}") as told:
        erase(layout, number, "H01", **SILENT)
    assert told.value.exit_code == Exit.SECURITY


@pytest.mark.parametrize("at", ["_clear_build", "_blank", "rewrite", "_prove"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_flt03_interrupted_anywhere_it_is_finished_by_giving_it_again(
    unpublished: tuple[Layout, str], at: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, number = unpublished
    step: Callable[..., Any] = getattr(erasing, at)

    def interrupted(*arguments: Any) -> None:
        if when == "after":
            step(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(erasing, at, interrupted)
        erase(layout, number, "H01", **SILENT)
    erase(layout, number, "H01", **SILENT)
    assert not layout.warehouse.exists()
    assert holding(layout.work, {number, key_of(number), NAME}) == {}


@pytest.mark.parametrize("told", ["number", "name"])
def test_given_again_it_still_knows_what_to_search_for(
    unpublished: tuple[Layout, str], tmp_path: Path, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The records that say so are empty by then, and a pseudonym says nothing of the number."""
    layout, number = unpublished
    patient_key, copy = key_of(number), layout.work / "copy.txt"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(erasing, "_prove", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        erase(layout, number, "H01", **SILENT)
    copy.write_text({"number": number, "name": NAME}[told])
    with workplace(tmp_path / "extract", layout) as warnings:
        assert [line for line in warnings if "`rwe erase` again" in line]
        assert number not in "".join(warnings)
    for _ in range(2):
        with pytest.raises(CommandError, match=r"still named in.*\n  - \S*copy\.txt\n") as refused:
            erase(layout, patient_key, None, **SILENT)
        assert str(refused.value).count("  - ") == 1
    copy.unlink()
    erase(layout, patient_key, None, **SILENT)
    assert list(layout.work.glob(f"{ledger.ERASING}*")) == []
    assert holding(layout.work, {number, patient_key, NAME}) == {}
