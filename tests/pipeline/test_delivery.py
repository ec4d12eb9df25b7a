"""Landing a delivery: nothing bent, nothing lost, and what is wrong is said without a value."""

from __future__ import annotations

import csv
import errno
import os
import re
import shutil
import zipfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipeline import audit, ledger, run, unpack
from pipeline.archive import archived, records_of, reread, row_hashes
from pipeline.contract import Table, read_contract
from pipeline.delivery import KEY_USED, files, land, raw_views
from pipeline.errors import CommandError, Exit, as_command_error
from pipeline.ledger import Delivery
from pipeline.paths import Layout
from pipeline.pseudonyms import key_id, load_key, pseudonym, require_key
from pipeline.reader import LONGEST_FIELD, DeliveryError
from pipeline.run import RUN_BEGUN
from pipeline.unpack import UnsafeArchiveError

SECRET = "Canary-7391"
SITE = f"{SECRET}-0"


@pytest.fixture(autouse=True)
def private_key(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RWE_KEY_FILE", str(tmp_path_factory.mktemp("key") / "pseudonym.key"))
    require_key(None)


def cell(table: Table, column: str, row: int) -> str:
    spec = next(c for c in table.columns if c.name == column)
    if spec.kind == "code":
        return next(iter(spec.codes or {}))
    return {
        "text": f"{SECRET}-{row}",
        "date": "2020-02-03",
        "partial_date": "2020-02",
        "number": "10",
        "integer": "3",
    }[spec.kind]


@pytest.fixture
def delivery(tmp_path: Path) -> Path:
    folder = tmp_path / "delivery"
    folder.mkdir()
    for table in read_contract().tables.values():
        with (folder / table.file_name).open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(c.name for c in table.columns)
            for row in range(1 if table.name == "delivery" else 3):
                writer.writerow(cell(table, c.name, row) for c in table.columns)
    return folder


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"


class Raw:
    """The raw tables after a delivery."""

    def __init__(self, work: Path, seq: int) -> None:
        self.work = work
        standing = ledger.state(ledger.deliveries(work), seq)
        self.files = {row["file_id"]: row for row in files(work, standing).to_pylist()}
        self.connection = duckdb.connect()
        for statement in raw_views(work, standing):
            self.connection.execute(statement)

    def rows(self, table: str) -> list[dict[str, Any]]:
        found = self.connection.execute(f"select * from raw.{table} order by src_rid")
        rows: list[dict[str, Any]] = found.to_arrow_table().to_pylist()
        return rows

    def file(self, table: str) -> dict[str, Any]:
        return [row for row in self.files.values() if row["table_name"] == table][-1]


def landed(folder: Path, work: Path) -> Raw:
    return Raw(work, land(folder, work).seq)


def refusal(folder: Path, work: Path, *, may_name: bool = False) -> str:
    """What a refusal says: no value, unless it may name a delivery."""
    with pytest.raises(DeliveryError) as caught:
        land(folder, work)
    assert may_name or SECRET not in str(caught.value.msg)
    return str(caught.value.msg)


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def rewrite_lines(path: Path, changed: list[str]) -> None:
    path.write_text("\n".join(changed) + "\n", encoding="utf-8")


def test_every_file_is_listed_hashed_and_archived(delivery: Path, work: Path) -> None:
    raw = landed(delivery, work)
    assert [r["table_name"] for r in raw.files.values()] == list(read_contract().tables)
    for row in raw.files.values():
        assert row["size_bytes"] == (delivery / row["file_name"]).stat().st_size
        assert archived(work, row["sha256"]).exists()


def test_rows_are_numbered_and_patient_numbers_replaced(delivery: Path, work: Path) -> None:
    raw = landed(delivery, work)
    rows = raw.rows("patients")
    file_id = raw.file("patients")["file_id"]
    assert [r["src_rid"] for r in rows] == [(file_id << 32) + n for n in (1, 2, 3)]
    assert [r["line_no"] for r in rows] == [2, 3, 4]
    assert rows[0]["patient_key"] == pseudonym(SITE, f"{SECRET}-0", load_key())
    assert "patient_id" not in rows[0]
    assert SECRET not in str(rows)


def test_the_same_number_in_another_hospital_is_another_patient() -> None:
    key = load_key()
    assert pseudonym("H01", "7", key) != pseudonym("H02", "7", key)
    assert pseudonym("H0", "17", key) != pseudonym("H01", "7", key)
    assert re.fullmatch("[a-z2-7]{26}", pseudonym("H01", "7", key))


def test_columns_are_bound_by_name_not_by_position(delivery: Path, work: Path) -> None:
    plain = landed(delivery, work).rows("patients")
    path = delivery / "patients.csv"
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(row[::-1] for row in rows)
    swapped = landed(delivery, work).rows("patients")
    assert swapped[0]["birth_date"] == "2020-02"
    assert [r["row_hash"] for r in swapped] == [r["row_hash"] for r in plain]


@pytest.mark.parametrize(
    "value", ["01/02/2020", "12E5", "0012", " x ", "１２", "TRUE", "NULL", "NaN"]
)
def test_values_stay_text(delivery: Path, work: Path, value: str) -> None:
    rewrite(delivery / "patients.csv", "2020-02,", f"{value},")
    assert landed(delivery, work).rows("patients")[0]["birth_date"] == value


def test_file_that_is_not_required_may_be_absent(delivery: Path, work: Path) -> None:
    (delivery / "consent.csv").unlink()
    raw = landed(delivery, work)
    assert raw.rows("consent") == []
    assert raw.file("consent")["sha256"] is None


def test_folder_faults(delivery: Path, work: Path, tmp_path: Path) -> None:
    message = refusal(tmp_path / "nowhere", work)
    assert "the folder does not exist" in message
    assert "--vars 'delivery: FOLDER'" in message
    (tmp_path / "empty").mkdir()
    assert "the folder is empty" in refusal(tmp_path / "empty", work)
    (delivery / "notes.txt").write_text("x")
    (delivery / "data.parquet").write_text("x")
    message = refusal(delivery, work)
    assert "notes.txt: not a file of the contract" in message
    assert "data.parquet: not a file of the contract; take it out" in message


@pytest.mark.parametrize("name", ["CONSENT.CSV", "consent.xlsx", "Consent.csv.gz"])
def test_a_file_under_nearly_its_name_is_told_its_name(
    delivery: Path, work: Path, name: str
) -> None:
    (delivery / "consent.csv").rename(delivery / name)
    message = refusal(delivery, work)
    assert f"{name}: not a file of the contract; deliver it as consent.csv, or take it" in message


def test_of_an_extract_that_is_yet_to_be_drawn_is_told_what_follows(
    delivery: Path, work: Path
) -> None:
    """Where it was drawn it may be tomorrow."""
    told = {}
    for days in (1, 2, 400):
        drawn(delivery, f"{date.today() + timedelta(days)}")
        told[days] = run._dated_ahead(land(delivery, work))
    assert told[1] == []
    assert all("are older, and refused without --allow-older" in told[days][0] for days in (2, 400))


def test_a_link_is_not_followed(delivery: Path, work: Path, tmp_path: Path) -> None:
    (delivery / "consent.csv").rename(tmp_path / "elsewhere.csv")
    (delivery / "consent.csv").symlink_to(tmp_path / "elsewhere.csv")
    assert "consent.csv: not a plain file" in refusal(delivery, work)


def test_a_pipe_is_not_waited_for(delivery: Path, work: Path, tmp_path: Path) -> None:
    (delivery / "consent.csv").unlink()
    os.mkfifo(delivery / "consent.csv")
    assert "consent.csv: not a plain file" in refusal(delivery, work)
    for name in ("pipe", "pipe.zip"):
        os.mkfifo(tmp_path / name)
        assert unpack.delivered_bytes(tmp_path / name) == 0
        assert "this is a file, not a folder" in refusal(tmp_path / name, work)


def test_every_fault_is_reported_at_once(delivery: Path, work: Path) -> None:
    (delivery / "patients.csv").unlink()
    rewrite(delivery / "consent.csv", "consent_date", "day_of_consent")
    message = refusal(delivery, work)
    assert "patients.csv: missing; this file is required" in message
    assert "consent.csv: column consent_date missing" in message


@pytest.mark.parametrize(
    ("column", "written"),
    [("consent_date", "Consent_Date"), ("decision", "descision"), ("consent_date", "consent date")],
)
def test_a_renamed_column_is_refused_with_a_guess(
    delivery: Path, work: Path, column: str, written: str
) -> None:
    rewrite(delivery / "consent.csv", column, written)
    message = refusal(delivery, work)
    assert f"consent.csv: column {column} missing from the header; did you mean" in message
    assert written in message


def test_blanks_around_a_name_do_not_count(delivery: Path, work: Path) -> None:
    rewrite(delivery / "consent.csv", "patient_id", " patient_id ")
    raw = landed(delivery, work)
    assert raw.rows("consent")[0]["consent_date"] == "2020-02-03"
    assert len(proved(raw, "consent")) == 3
    table, file = read_contract().tables["consent"], raw.file("consent")
    stored = archived(work, file["sha256"])
    assert records_of(stored, file["encoding"], table, f"{SECRET}-1".__eq__) == [2]


@pytest.mark.parametrize("name", ["", '"no""te"', "file_row_number"])
def test_a_name_that_no_column_may_have(delivery: Path, work: Path, name: str) -> None:
    path = delivery / "consent.csv"
    header, *records = lines(path)
    rewrite_lines(path, [f"{header},{name}", *(f"{record}," for record in records)])
    assert "consent.csv: a column " in refusal(delivery, work)


@pytest.mark.parametrize("again", ["decision", "DECISION"])
def test_repeated_column(delivery: Path, work: Path, again: str) -> None:
    rewrite(delivery / "consent.csv", "consent_date", again)
    assert "consent.csv: a column name occurs twice" in refusal(delivery, work)


def test_a_file_without_a_header_is_refused(delivery: Path, work: Path) -> None:
    path = delivery / "consent.csv"
    rewrite_lines(path, lines(path)[1:])
    assert "missing from the header" in refusal(delivery, work)


def test_an_undeclared_column_is_kept_and_named(delivery: Path, work: Path) -> None:
    path = delivery / "consent.csv"
    rewrite_lines(path, [f"{line},{'ward' if n == 0 else n}" for n, line in enumerate(lines(path))])
    raw = landed(delivery, work)
    assert raw.file("consent")["undeclared_columns"] == "ward"
    kept = raw.connection.execute(
        f"select undeclared from '{ledger.raw_folder(work, 1)}/consent.parquet' order by src_rid"
    ).fetchall()
    assert kept == [('{"ward":"1"}',), ('{"ward":"2"}',), ('{"ward":"3"}',)]


def test_wrong_encoding_names_the_line(delivery: Path, work: Path) -> None:
    path = delivery / "consent.csv"
    path.write_bytes(path.read_bytes().replace(b"given", "同意".encode("gb18030"), 1))
    assert "consent.csv: line 2 is not UTF-8" in refusal(delivery, work)
    path.write_text(path.read_bytes().decode("gb18030"), encoding="utf-16")
    assert "consent.csv: line 1 is not UTF-8" in refusal(delivery, work)


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16"])
def test_a_declared_encoding_is_used(delivery: Path, work: Path, encoding: str) -> None:
    path = delivery / "consent.csv"
    rewrite(path, "given", "同意")
    plain = landed(delivery, work).rows("consent")
    path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))
    (delivery / "manifest.csv").write_text(f"file_name,encoding\nconsent.csv,{encoding}\n")
    raw = landed(delivery, work)
    assert raw.file("consent")["encoding"] == encoding
    assert [r["decision"] for r in raw.rows("consent")] == ["同意"] * 3
    assert [r["row_hash"] for r in raw.rows("consent")] == [r["row_hash"] for r in plain]
    assert proved(raw, "consent") == {1, 2, 3}


def test_the_senders_manifest_is_held_against_the_files(delivery: Path, work: Path) -> None:
    (delivery / "manifest.csv").write_text(
        f"file_name,sha256,size_bytes\nconsent.csv,{'0' * 64},7\n"
    )
    message = refusal(delivery, work)
    assert "consent.csv: its SHA-256 is not the one in manifest.csv" in message
    assert "consent.csv: it has not as many bytes" in message
    (delivery / "manifest.csv").write_text("file_name,n_records\nconsent.csv,4\n")
    assert "consent.csv: has not as many records" in refusal(delivery, work)
    (delivery / "manifest.csv").write_text("file_name,n_records\nconsent.csv,3\n")
    land(delivery, work)
    (delivery / "manifest.csv").write_text("file_name,encoding\nnotes.csv,latin-1\n")
    message = refusal(delivery, work)
    assert "notes.csv: listed in manifest.csv" in message
    assert "line 2: the encodings are utf-8" in message


def test_byte_order_mark_is_accepted(delivery: Path, work: Path) -> None:
    path = delivery / "consent.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    raw = landed(delivery, work)
    assert len(raw.rows("consent")) == 3
    assert proved(raw, "consent") == {1, 2, 3}


RAGGED = {
    "one field too many": "fields, the header",
    "one field too few": "fields, the header",
    "a comma at the end": "fields, the header",
    "a comma at the end, quoted": "fields, the header",
    "open quote": "a quote is not closed",
    "stray quote": "a quote is not closed, or stands within a value",
    "blank before a quote": "a quote is not closed, or stands within a value",
    "blank after a quote": "a quote is not closed, or stands within a value",
    "NUL": "NUL character",
}


@pytest.mark.parametrize("fault", RAGGED)
def test_a_broken_record_costs_one_record(delivery: Path, work: Path, fault: str) -> None:
    path = delivery / "consent.csv"
    before = landed(delivery, work).rows("consent")
    broken = lines(path)
    broken[2] = {
        "one field too many": broken[2] + ",x",
        "one field too few": broken[2].rpartition(",")[0],
        "a comma at the end": broken[2] + ",",
        "a comma at the end, quoted": broken[2].replace(",given", ',"given, x"') + ",",
        "open quote": '"' + broken[2],
        "stray quote": broken[2].replace(SECRET, f'"{SECRET}"x'),
        "blank before a quote": broken[2].replace(",given", ', "given"'),
        "blank after a quote": broken[2].replace(",given", ',"given" '),
        "NUL": broken[2] + "\0",
    }[fault]
    rewrite_lines(path, broken)
    raw = landed(delivery, work)
    rows = raw.rows("consent")
    assert [r["line_no"] for r in rows] == [2, 3, 4]
    assert [r["row_hash"] for r in rows] == [before[0]["row_hash"], None, before[2]["row_hash"]]
    assert RAGGED[fault] in rows[1]["load_fault"]
    assert rows[1]["consent_id"] is None
    assert SECRET not in rows[1]["load_fault"]
    assert proved(raw, "consent") == {1, 2, 3}


@pytest.mark.parametrize(
    "value", ['"a, ""b"" , c"', '"a , "', '" a"', 'a "b"', '""', '"' + "x" * LONGEST_FIELD + '"']
)
def test_a_value_is_read_alike_from_the_delivery_and_from_the_archive(
    delivery: Path, work: Path, value: str
) -> None:
    rewrite(delivery / "consent.csv", ",given", f",{value}")
    raw = landed(delivery, work)
    assert proved(raw, "consent") == {1, 2, 3}
    table, file = read_contract().tables["consent"], raw.file("consent")
    again = reread(work, table, file["sha256"], file["encoding"], {1, 2, 3})
    told = [again[number].fields for number in (1, 2, 3)]
    assert [row["decision"] for row in raw.rows("consent")] == [
        fields and (fields[3] or None) for fields in told
    ]


def test_a_file_that_ends_within_a_record_is_refused(delivery: Path, work: Path) -> None:
    path = delivery / "consent.csv"
    path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    assert "consent.csv: the file ends in line 4 within a record" in refusal(delivery, work)


def test_line_breaks_within_values_blank_lines_and_mixed_endings(
    delivery: Path, work: Path
) -> None:
    path = delivery / "consent.csv"
    plain = landed(delivery, work).rows("consent")
    header, *records = lines(path)
    text = f"{header}\r\n{records[0]}\n\n{records[1]}\r\n"
    last = records[2].replace(f"{SECRET}-2", f'"{SECRET}\n-2"', 1)
    path.write_bytes((text + last + "\n").encode())
    raw = landed(delivery, work)
    rows = raw.rows("consent")
    assert [r["line_no"] for r in rows] == [2, 4, 5]
    assert [r["row_hash"] for r in rows][:2] == [r["row_hash"] for r in plain][:2]
    assert rows[2]["consent_id"] == f"{SECRET}\n-2"
    assert proved(raw, "consent") == {1, 2, 3}


def proved(raw: Raw, name: str) -> set[int]:
    """The records whose hash, read again from the archive, is the hash of the raw row."""
    table, file = read_contract().tables[name], raw.file(name)
    stored = {r["src_rid"] - (file["file_id"] << 32): r["row_hash"] for r in raw.rows(name)}
    records = reread(raw.work, table, file["sha256"], file["encoding"], {0, *stored})
    header = records.pop(0).fields or []
    hashes = row_hashes(duckdb.connect(), table, SITE, header, records)
    return {number for number, text in stored.items() if hashes.get(number) == text}


def test_every_row_is_proved_from_the_archive(delivery: Path, work: Path) -> None:
    raw = landed(delivery, work)
    assert all(len(proved(raw, name)) == len(raw.rows(name)) > 0 for name in read_contract().tables)


def test_a_changed_value_is_not_proved(delivery: Path, work: Path) -> None:
    raw = landed(delivery, work)
    raw.connection.execute(
        "create or replace view raw.consent as select * replace "
        "(case when line_no = 3 then md5('x') else row_hash end as row_hash) from "
        f"(select *, line_no from ({raw_view(raw, 'consent')}))"
    )
    assert proved(raw, "consent") == {1, 3}


def raw_view(raw: Raw, table: str) -> str:
    standing = ledger.state(ledger.deliveries(raw.work), 1)
    statement = next(s for s in raw_views(raw.work, standing) if f"raw.{table} as" in s)
    return statement.partition(" as ")[2]


def test_hash_is_of_the_meaning_not_the_spelling(delivery: Path, work: Path) -> None:
    plain = landed(delivery, work).rows("pathology")
    path = delivery / "pathology.csv"
    rewrite(path, ",10,", ", 10.0 ,")
    assert [r["row_hash"] for r in landed(delivery, work).rows("pathology")] == [
        r["row_hash"] for r in plain
    ]
    rewrite(path, ", 10.0 ,", ",10.1,")
    changed = landed(delivery, work).rows("pathology")
    assert not {r["row_hash"] for r in changed} & {r["row_hash"] for r in plain}


def test_an_identical_row_names_the_first(delivery: Path, work: Path) -> None:
    path = delivery / "consent.csv"
    header, first, second, third = lines(path)
    rewrite_lines(path, [header, first, second, first, third, first])
    rows = landed(delivery, work).rows("consent")
    original = rows[0]["src_rid"]
    assert [r["duplicate_of"] for r in rows] == [None, None, original, None, original]


def test_the_same_delivery_again_is_the_same_delivery(delivery: Path, work: Path) -> None:
    assert land(delivery, work) == land(delivery, work)
    assert len(ledger.deliveries(work)) == 1


def drawn(delivery: Path, day: str, covers: str = "", **other: str) -> None:
    """Let the delivery have been drawn on another day, or say other things of itself."""
    with (delivery / "delivery.csv").open(newline="", encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    row |= {"extract_date": day, "covers": covers, **other}
    with (delivery / "delivery.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(row))
        writer.writeheader()
        writer.writerow(row)


@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_columns_that_are_not_separated_by_commas_are_said_to_be(
    delivery: Path, work: Path, separator: str, name: str
) -> None:
    """Once a file, in place of every column that its header then lacks."""
    file = delivery / "consent.csv"
    file.write_text(file.read_text(encoding="utf-8").replace(",", separator), encoding="utf-8")
    message = refusal(delivery, work)
    assert f"consent.csv: its columns are separated by {name}" in message
    assert "missing from the header" not in message


def test_an_older_extract_is_refused_once_a_newer_one_is_published(
    delivery: Path, work: Path
) -> None:
    first = land(delivery, work)
    drawn(delivery, "2020-01-31")
    land(delivery, work)
    ledger.accept(work, first.seq, "run-1")
    drawn(delivery, "2020-01-30")
    assert "before the one that is published (2020-02-03)" in refusal(delivery, work)
    assert land(delivery, work, allow_older=True).seq == 3
    assert "before the one that is published" in refusal(delivery, work)


@pytest.mark.parametrize("covers", ["changes", " Delta"])
def test_changes_replace_whole_patients_and_leave_the_others(
    delivery: Path, work: Path, covers: str
) -> None:
    first = land(delivery, work)
    ledger.accept(work, first.seq, "run-1")
    for table in read_contract().tables.values():
        if table.patient_column:
            path = delivery / table.file_name
            header, *records = lines(path)
            rewrite_lines(path, [header, *(r for r in records if f"{SECRET}-1" in r)])
    consent = delivery / "consent.csv"
    rewrite_lines(consent, lines(consent)[:1])
    rewrite(delivery / "vital_status.csv", "alive", "dead")
    drawn(delivery, "2020-03-01", covers)
    (delivery / "procedures.csv").rename(work / "procedures.csv")
    assert "procedures.csv: missing; changes bring every file" in refusal(delivery, work)
    (work / "procedures.csv").rename(delivery / "procedures.csv")
    raw = landed(delivery, work)
    assert len(raw.rows("patients")) == 3
    assert [r["status"] for r in raw.rows("vital_status")] == ["alive", "alive", "dead"]
    assert len(raw.rows("consent")) == 2, "a row that the changed patient no longer has is gone"
    before = raw.files[first.seq * 100 + read_contract().tables["consent"].file_id]
    assert (before["n_records"], before["n_superseded"]) == (3, 1)
    assert raw.file("patients")["n_before"] == 3
    assert len(raw.rows("delivery")) == 1
    ledger.accept(work, 2, "run-2")
    drawn(delivery, "2020-04-01")
    stood = landed(delivery, work).file("patients")
    assert (stood["n_records"], stood["n_before"]) == (1, 3)


def test_changes_bring_every_patient_whom_they_name(delivery: Path, work: Path) -> None:
    ledger.accept(work, land(delivery, work).seq, "run-1")
    path = delivery / "patients.csv"
    rewrite_lines(path, [*lines(path)[:-1], f"{SECRET}-2"])
    drawn(delivery, "2020-03-01", "changes")
    assert "consent.csv: has rows of 1 patients without a readable" in refusal(delivery, work)
    assert len(ledger.deliveries(work)) == 1


def test_changes_bring_no_file_that_was_not_there(delivery: Path, work: Path) -> None:
    (delivery / "procedures.csv").rename(delivery.parent / "procedures.csv")
    ledger.accept(work, land(delivery, work).seq, "run-1")
    (delivery.parent / "procedures.csv").rename(delivery / "procedures.csv")
    drawn(delivery, "2020-03-01", "changes")
    assert "procedures.csv: the delivery that these changes change" in refusal(delivery, work)


def only(delivery: Path, *patients: int) -> None:
    """Leave these patients alone in every file."""
    for table in read_contract().tables.values():
        if table.patient_column:
            path = delivery / table.file_name
            header, *records = lines(path)
            kept = [r for r in records if any(f"{SECRET}-{n}" in r for n in patients)]
            rewrite_lines(path, [header, *kept])


@pytest.fixture
def blocked(delivery: Path, work: Path) -> Path:
    """Changes of one patient that were landed after a published delivery and not published."""
    ledger.accept(work, land(delivery, work).seq, "run-1")
    changes = Path(shutil.copytree(delivery, delivery.parent / "blocked"))
    only(changes, 1)
    drawn(changes, "2020-03-01", "changes")
    assert land(changes, work).seq == 2
    return changes


def test_changes_bring_the_patients_of_changes_that_were_not_published(
    blocked: Path, delivery: Path, work: Path
) -> None:
    whole = Path(shutil.copytree(delivery, delivery.parent / "whole"))
    only(delivery, 2)
    drawn(delivery, "2020-03-01", "changes")
    message = refusal(delivery, work, may_name=True)
    assert "does not name 1 patients of the changes" in message
    assert "of 2020-03-01, which were not published" in message
    assert len(ledger.deliveries(work)) == 2
    only(whole, 1, 2)
    drawn(whole, "2020-03-01", "changes")
    assert land(whole, work).base_seq == 1
    ledger.accept(work, 3, "run-3")
    # What those changes held stands in the later ones: nothing more is asked for.
    assert land(delivery, work).base_seq == 3


def test_changes_that_were_overtaken_do_not_take_back_what_was_published_since(
    blocked: Path, delivery: Path, work: Path
) -> None:
    only(delivery, 1, 2)
    drawn(delivery, "2020-03-01", "changes")
    ledger.accept(work, land(delivery, work).seq, "run-3")
    assert "do not stand on it" in refusal(blocked, work, may_name=True)
    assert land(blocked, work, allow_older=True).seq == 2


def test_changes_change_what_was_published_last(delivery: Path, work: Path) -> None:
    first = Path(shutil.copytree(delivery, delivery.parent / "first"))
    ledger.accept(work, land(first, work).seq, "run-1")
    drawn(delivery, "2020-03-01")
    ledger.accept(work, land(delivery, work).seq, "run-2")
    with audit.store(work) as store:  # the clock goes back
        store.execute("update deliveries set accepted_at = now() + interval 1 day where seq = 2")
    ledger.accept(work, land(first, work, allow_older=True).seq, "run-3")
    assert [d.accepted_run for d in ledger.deliveries(work)] == ["run-1", "run-2"]
    drawn(delivery, "2020-03-01", "changes")
    assert land(delivery, work).base_seq == 1


def test_a_delivery_of_all_that_changes_pass_over_is_named(delivery: Path, work: Path) -> None:
    ledger.accept(work, land(delivery, work).seq, "run-1")
    drawn(delivery, "2020-03-01")
    land(delivery, work)
    drawn(delivery, "2020-03-02", "changes")
    (told,) = run._passed_over(Layout(work, work), land(delivery, work))
    assert "of 2020-03-01 was never published and is not in this build" in told


def test_only_what_came_in_between_is_passed_over() -> None:
    def came(seq: int, base: int | None, run_id: str | None = None, site: str = SITE) -> Delivery:
        covers = "all" if base is None else "changes"
        return Delivery(seq, str(seq), None, site, None, covers, base, run_id)

    published, changes, everybody = came(2, None, "run-2"), came(8, 2), came(8, None)
    known = [
        came(1, None),
        published,
        came(3, None),
        came(4, 2),
        came(5, None, site="H02"),
        came(6, 1),
        came(7, 2, "run-7"),
        changes,
        came(9, None),
    ]
    assert [one.seq for one in ledger.passed_over(known, changes)] == [3, 4]
    assert ledger.passed_over(known, everybody) == []
    later = came(10, 8)
    assert [one.seq for one in ledger.state([*known, later], later.seq)] == [2, 8, 10]


def test_a_delivery_of_another_site_than_the_published_one_is_named(
    delivery: Path, work: Path
) -> None:
    layout = Layout(work, work)
    first = land(delivery, work)
    assert run._another_site(layout, first) == []
    ledger.accept(work, first.seq, "run-1")
    drawn(delivery, "2020-03-01")
    assert run._another_site(layout, land(delivery, work)) == []
    drawn(delivery, "2020-03-01", site_code="H02")
    (told,) = run._another_site(layout, land(delivery, work))
    assert f"before held the patients of site {SITE}, this one holds those of site H02" in told


def test_changes_need_the_key_of_what_they_change(
    delivery: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.accept(work, land(delivery, work).seq, "run-1")
    audit.append(work, RUN_BEGUN, {"run_id": "run-1", "key_id": key_id(load_key())})
    drawn(delivery, "2020-03-01", "changes")
    assert land(delivery, work).base_seq == 1
    monkeypatch.setenv("RWE_KEY_FILE", str(tmp_path / "another.key"))
    with pytest.raises(
        CommandError, match="is missing; the pseudonyms of this warehouse were made"
    ):
        land(delivery, work)
    require_key(None)
    assert "were made with another key" in refusal(delivery, work)


def test_a_lost_key_is_missed_where_no_run_has_begun(
    delivery: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where `dbt build` alone has landed: another key would know nobody again."""
    land(delivery, work)
    assert [event.kind for event in audit.events(work)] == [KEY_USED]
    drawn(delivery, "2020-03-01")
    land(delivery, work)
    assert len(audit.events(work)) == 1
    monkeypatch.setenv("RWE_KEY_FILE", str(tmp_path / "another.key"))
    drawn(delivery, "2020-04-01")
    with pytest.raises(CommandError, match=f"made with the key {audit.last_key_id(work)}"):
        land(delivery, work)


def test_what_a_delivery_covers_is_all_or_changes(delivery: Path, work: Path) -> None:
    drawn(delivery, "2020-03-01", SECRET)
    assert "delivery.csv: covers is neither all nor changes" in refusal(delivery, work)


def test_a_delivery_says_once_what_it_is(delivery: Path, work: Path) -> None:
    """A second row might call the patients real whom the first calls invented."""
    about = delivery / "delivery.csv"
    about.write_text(about.read_text() + about.read_text().splitlines()[1] + "\n")
    assert "delivery.csv: has more than one row" in refusal(delivery, work)


@pytest.mark.parametrize(("before", "after"), [("no", "yes"), ("yes", "no"), ("", "1")])
def test_invented_and_real_patients_do_not_stand_together(
    delivery: Path, work: Path, before: str, after: str
) -> None:
    drawn(delivery, "2020-03-01", synthetic=before)
    ledger.accept(work, land(delivery, work).seq, "run-1")
    drawn(delivery, "2020-04-01", "changes", synthetic=after)
    assert "invented patients or real ones" in refusal(delivery, work)
    drawn(delivery, "2020-04-01", synthetic=after)
    land(delivery, work)


def test_changes_need_something_to_change(delivery: Path, work: Path) -> None:
    """It was published, and is of the same site."""
    lacking = "no delivery of this site was published before"
    drawn(delivery, "2020-03-01", "changes")
    assert lacking in refusal(delivery, work)
    drawn(delivery, "2020-02-01")
    first = land(delivery, work)
    drawn(delivery, "2020-03-01", "changes")
    assert lacking in refusal(delivery, work)
    ledger.accept(work, first.seq, "run-1")
    drawn(delivery, "2020-03-01", "changes", site_code="H02")
    assert lacking in refusal(delivery, work)


def packed(delivery: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(delivery.iterdir()):
            archive.write(path, path.name)
    return target


def test_a_zipped_delivery_is_the_same_delivery(delivery: Path, work: Path, tmp_path: Path) -> None:
    assert land(delivery, work) == land(packed(delivery, tmp_path / "delivery.zip"), work)


def test_a_cut_archive_is_refused_before_any_row(
    delivery: Path, work: Path, tmp_path: Path
) -> None:
    path = packed(delivery, tmp_path / "delivery.zip")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "delivery.zip: the archive is broken" in refusal(path, work)
    place = content.index(b"consent.csv") + 40
    path.write_bytes(content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :])
    assert "delivery.zip: the archive is broken" in refusal(path, work)
    assert ledger.deliveries(work) == []


@pytest.mark.parametrize(
    "name",
    ["../consent.csv", "/etc/consent.csv", "x/consent.csv", "CON", "consent.csv\\..", "长" * 99],
)
def test_an_archive_with_a_strange_name_is_unsafe(work: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "delivery.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(UnsafeArchiveError):
        land(path, work)
    assert not list(tmp_path.rglob("consent.csv"))


def test_a_bomb_is_stopped_while_it_unpacks(work: Path, tmp_path: Path) -> None:
    path = tmp_path / "delivery.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("consent.csv", b"0" * (64 << 20))
    with pytest.raises(UnsafeArchiveError, match="unpacks to more than 200 times its size"):
        land(path, work)
    assert not list(work.rglob("consent.csv"))


def test_a_disk_that_is_full_is_no_fault_of_the_archive(
    delivery: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(delivery, tmp_path / "delivery.zip")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(unpack, "_copy", full)
    with pytest.raises(OSError, match="No space left") as refused:
        land(path, work)
    assert as_command_error(refused.value).exit_code == Exit.RESOURCES


def test_the_space_asked_for_is_that_of_the_files_of_a_delivery(
    delivery: Path, tmp_path: Path
) -> None:
    size = sum(path.stat().st_size for path in delivery.iterdir())
    assert unpack.delivered_bytes(packed(delivery, tmp_path / "delivery.zip")) == size
    (delivery / "below").mkdir()
    (delivery / "below" / "file").write_text("no part of a delivery")
    assert unpack.delivered_bytes(delivery) == size
    assert unpack.delivered_bytes(tmp_path / "nowhere") == 0


def test_short_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key_file = tmp_path / "short.key"
    key_file.write_bytes(b"short")
    key_file.chmod(0o600)
    monkeypatch.setenv("RWE_KEY_FILE", str(key_file))
    with pytest.raises(CommandError, match="holds 5 bytes"):
        load_key()


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_that_others_may_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    monkeypatch.setenv("RWE_KEY_FILE", str(tmp_path / "pseudonym.key"))
    require_key(None)
    (tmp_path / "pseudonym.key").chmod(mode)
    with pytest.raises(CommandError, match="may be read by others"):
        load_key()


def test_key_is_private_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key_file = tmp_path / "sub" / "pseudonym.key"
    monkeypatch.setenv("RWE_KEY_FILE", str(key_file))
    with pytest.raises(CommandError, match="is missing; restore it from its copy"):
        load_key()
    assert not key_file.exists()
    require_key(None)
    key = load_key()
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert load_key() == key
