"""Each fault of a whole file has the outcome that the contract promises."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from pipeline import ledger
from pipeline.delivery import land
from pipeline.reader import DeliveryError
from synthetic import generate
from synthetic.dirty.files import FILE_FAULTS, RECORD, VICTIM

REFUSED = {
    "missing_file": f"{VICTIM}: missing; this file is required",
    "unknown_file": "notes.csv: not a file of the contract",
    "folder_within": "old: not a file of the contract",
    "link_out_of_the_folder": f"{VICTIM}: not a plain file",
    "empty_file": f"{VICTIM}: the file is empty",
    "no_header": f"{VICTIM}: column record_id missing from the header",
    "missing_column": f"{VICTIM}: column status missing from the header",
    "renamed_column": f"{VICTIM}: column death_date missing from the header; did you mean it by",
    "column_twice": f"{VICTIM}: a column name occurs twice in the header (source)",
    "semicolons": f"{VICTIM}: its columns are separated by semicolons",
    "cut_short": f"{VICTIM}: the file ends in line",
    "latin_1": f"{VICTIM}: line 2 is not UTF-8",
    "gb18030": "is not UTF-8",
    "utf_16": f"{VICTIM}: line 1 is not UTF-8",
    "changed_on_the_way": f"{VICTIM}: its SHA-256 is not the one in manifest.csv",
}
SET_ASIDE = {
    "short_record": "the record has 7 fields, the header 8",
    "long_record": "the record has 9 fields, the header 8",
    "nul_byte": "the record holds a NUL character",
    "open_quote": "a quote is not closed",
}
HARMLESS = {
    "byte_order_mark",
    "columns_in_another_order",
    "mixed_line_ends",
    "blank_lines_at_the_end",
}
LEFT_TO_THE_CHECKS = {"header_only", "extra_column"}

Landed = list[tuple[str, str | None]]
"""Hash and fault of each record of the spoilt file, in its order."""


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clean") / "extract"
    generate(folder, patients=100)
    return folder


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RWE_KEY_FILE", str(tmp_path / "key"))


def spoilt(clean: Path, fault: str, tmp_path: Path) -> Path:
    folder = tmp_path / "extract"
    shutil.copytree(clean, folder)
    FILE_FAULTS[fault](folder)
    return folder


def landed(folder: Path, work: Path) -> Landed:
    delivery = land(folder, work)
    rows = ledger.raw_folder(work, delivery.seq) / VICTIM.replace(".csv", ".parquet")
    return duckdb.sql(
        f"select lower(hex(row_hash)), load_fault from read_parquet('{rows}') order by src_rid"
    ).fetchall()


def test_every_fault_has_an_outcome() -> None:
    assert REFUSED.keys() | SET_ASIDE.keys() | HARMLESS | LEFT_TO_THE_CHECKS == FILE_FAULTS.keys()


@pytest.mark.parametrize("fault", REFUSED)
def test_refused(fault: str, clean: Path, tmp_path: Path) -> None:
    folder = spoilt(clean, fault, tmp_path)
    with pytest.raises(DeliveryError) as refused:
        land(folder, tmp_path / "work")
    assert REFUSED[fault] in str(refused.value.msg)
    assert ledger.deliveries(tmp_path / "work") == []


@pytest.mark.parametrize("fault", SET_ASIDE)
def test_one_record_set_aside(fault: str, clean: Path, tmp_path: Path) -> None:
    before = landed(clean, tmp_path / "clean")
    after = landed(spoilt(clean, fault, tmp_path), tmp_path / "work")
    faulty = [number for number, (_, why) in enumerate(after, start=1) if why]
    assert faulty == [RECORD]
    assert SET_ASIDE[fault] in str(after[RECORD - 1][1])
    assert [*after[: RECORD - 1], *after[RECORD:]] == [*before[: RECORD - 1], *before[RECORD:]]


@pytest.mark.parametrize("fault", sorted(HARMLESS))
def test_harmless(fault: str, clean: Path, tmp_path: Path) -> None:
    before = landed(clean, tmp_path / "clean")
    assert landed(spoilt(clean, fault, tmp_path), tmp_path / "work") == before


def test_a_header_alone_is_a_file_without_records(clean: Path, tmp_path: Path) -> None:
    """FIL-009 blocks on it."""
    assert landed(spoilt(clean, "header_only", tmp_path), tmp_path / "work") == []


def test_a_column_that_nothing_reads_is_kept_and_named(clean: Path, tmp_path: Path) -> None:
    before = landed(clean, tmp_path / "clean")
    folder = spoilt(clean, "extra_column", tmp_path)
    assert landed(folder, tmp_path / "work") == before
    files = ledger.raw_folder(tmp_path / "work", 1) / "files.parquet"
    assert duckdb.sql(
        f"select table_name, undeclared_columns from read_parquet('{files}') "
        "where undeclared_columns is not null"
    ).fetchall() == [("vital_status", "ward")]
