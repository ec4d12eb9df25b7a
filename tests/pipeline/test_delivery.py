"""Loading a delivery: what is wrong with it is said once, clearly, and without patients' values."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from pipeline.contract import Table, read_contract
from pipeline.delivery import DeliveryError, file_ledger, read_table
from pipeline.pseudonyms import load_key, pseudonym

SECRET = "Canary-7391"


@pytest.fixture(autouse=True)
def private_key(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RWE_KEY_FILE", str(tmp_path_factory.mktemp("key") / "pseudonym.key"))


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
            writer = csv.writer(stream)
            writer.writerow(c.name for c in table.columns)
            for row in range(3):
                writer.writerow(cell(table, c.name, row) for c in table.columns)
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(DeliveryError) as caught:
        file_ledger(folder)
    return str(caught.value.msg)


def rewrite(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def test_ledger_lists_every_file_with_its_hash(delivery: Path) -> None:
    rows = file_ledger(delivery).to_pylist()
    assert [r["table_name"] for r in rows] == list(read_contract().tables)
    assert all(len(r["sha256"]) == 64 and r["size_bytes"] > 0 for r in rows)


def test_rows_are_numbered_and_patient_numbers_replaced(delivery: Path) -> None:
    table = read_contract().tables["patients"]
    rows = read_table(delivery, table).to_pylist()
    assert [r["src_rid"] for r in rows] == [(table.file_id << 32) + n for n in (1, 2, 3)]
    assert rows[0]["patient_key"] == pseudonym(f"{SECRET}-0", load_key())
    assert "patient_id" not in rows[0]
    assert SECRET not in str(rows)


def test_columns_are_bound_by_name_not_by_position(delivery: Path) -> None:
    path = delivery / "patients.csv"
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(row[::-1] for row in rows)
    first = read_table(delivery, read_contract().tables["patients"]).to_pylist()[0]
    assert first["sex"] == "male"
    assert first["birth_date"] == "2020-02"


def test_values_stay_text(delivery: Path) -> None:
    rewrite(delivery / "patients.csv", "2020-02,", "01/02/2020,")
    assert (
        read_table(delivery, read_contract().tables["patients"]).to_pylist()[0]["birth_date"]
        == "01/02/2020"
    )


def test_file_that_is_not_required_may_be_absent(delivery: Path) -> None:
    (delivery / "consent.csv").unlink()
    assert read_table(delivery, read_contract().tables["consent"]).num_rows == 0
    ledger = {r["table_name"]: r for r in file_ledger(delivery).to_pylist()}
    assert ledger["consent"]["sha256"] is None


def test_missing_folder(tmp_path: Path) -> None:
    message = refusal(tmp_path / "nowhere")
    assert "the folder does not exist" in message
    assert "--vars 'delivery: FOLDER'" in message


def test_empty_folder(tmp_path: Path) -> None:
    assert "the folder is empty" in refusal(tmp_path)


def test_every_fault_is_reported_at_once(delivery: Path) -> None:
    (delivery / "patients.csv").unlink()
    rewrite(delivery / "consent.csv", "consent_date", "date_of_consent")
    (delivery / "notes.txt").write_text("x")
    message = refusal(delivery)
    assert "notes.txt: not a file of the contract" in message
    (delivery / "notes.txt").unlink()
    message = refusal(delivery)
    assert "patients.csv: missing; this file is required" in message
    assert "consent.csv: column consent_date missing" in message


def test_repeated_column(delivery: Path) -> None:
    rewrite(delivery / "consent.csv", "consent_date", "decision")
    assert "consent.csv: a column name occurs twice" in refusal(delivery)


def test_wrong_encoding_names_the_line(delivery: Path) -> None:
    path = delivery / "consent.csv"
    path.write_bytes(path.read_bytes().replace(b"given", "同意".encode("gb18030"), 1))
    message = refusal(delivery)
    assert "consent.csv: line 2 is not UTF-8" in message
    assert SECRET not in message


def test_byte_order_mark_is_accepted(delivery: Path) -> None:
    path = delivery / "consent.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert file_ledger(delivery).num_rows == len(read_contract().tables)
    assert read_table(delivery, read_contract().tables["consent"]).num_rows == 3


@pytest.mark.parametrize("fault", ["one field too many", "one field too few", "open quote"])
def test_ragged_record_names_the_line_and_no_value(delivery: Path, fault: str) -> None:
    path = delivery / "consent.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[2] = {
        "one field too many": lines[2] + ",x",
        "one field too few": lines[2].rpartition(",")[0],
        "open quote": '"' + lines[2],
    }[fault]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(DeliveryError) as caught:
        read_table(delivery, read_contract().tables["consent"])
    message = str(caught.value.msg)
    assert "consent.csv: line 3" in message
    assert SECRET not in message


def test_short_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key_file = tmp_path / "short.key"
    key_file.write_bytes(b"short")
    monkeypatch.setenv("RWE_KEY_FILE", str(key_file))
    with pytest.raises(ValueError, match="holds 5 bytes"):
        load_key()


def test_key_is_private_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key_file = tmp_path / "sub" / "pseudonym.key"
    monkeypatch.setenv("RWE_KEY_FILE", str(key_file))
    key = load_key()
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert load_key() == key
    assert pseudonym("P1", key) == pseudonym("P1", key) != pseudonym("P2", key)
