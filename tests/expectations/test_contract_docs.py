"""The contract's page says what the contract and the loader say."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import duckdb
import pytest

from pipeline import contract_docs
from pipeline.contract import read_contract
from pipeline.delivered_folder import header_faults
from pipeline.paths import PROJECT

CONTRACT = read_contract()
PAGE = contract_docs.render(CONTRACT)


def test_the_committed_page_is_up_to_date() -> None:
    assert contract_docs.DOCUMENT.read_text(encoding="utf-8") == PAGE, "run: rwe contract"


def test_everything_in_the_contract_is_on_the_page() -> None:
    for table in CONTRACT.tables.values():
        section = PAGE.split(f"### {table.file_name}\n")[1].split("\n### ")[0]
        assert table.description in section
        for column in table.columns:
            row = next(
                line for line in section.splitlines() if line.startswith(f"| `{column.name}`")
            )
            assert column.description in row
            assert ("| yes |" in row) == column.required
            for code, spellings in (column.codes or {}).items():
                accepted = next(
                    line
                    for line in section.splitlines()
                    if line.startswith(f"| `{column.name}` | `{code}` |")
                )
                assert all(f"`{spelling}`" in accepted for spelling in spellings)


def test_messages_are_quoted_as_they_are_written() -> None:
    loader = "".join(
        (PROJECT / "pipeline" / name).read_text(encoding="utf-8")
        for name in ("delivery.py", "delivered_folder.py", "reader.py", "unpack.py")
    )
    staging = (PROJECT / "macros" / "typed_source.sql").read_text(encoding="utf-8")
    faults, reasons = (
        re.findall(r"^\| `([^`]+)` \|", PAGE.split(heading)[1].split("\n## ")[0], re.MULTILINE)
        for heading in ("## What stops the whole delivery", "## What happens to rows")
    )
    assert len(faults) > 8
    assert len(reasons) > 5
    for fault in faults:
        assert fault in loader
    for reason in reasons:
        said = reason.removeprefix("{column}: ").removeprefix("not a ")
        assert said in staging + loader


def test_the_example_brings_another_form_into_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for table in CONTRACT.tables.values():
        header = ",".join(column.name for column in table.columns if not column.may_be_absent)
        place = tmp_path / "extracts" / "demo" / table.file_name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(header + "\n", encoding="utf-8")
    for name, text in {
        "stammdaten": "PatNr;Geschlecht;GebDat\n007;W;20.12.1970\n008;M;12.1970\n",
        "medikation": "MedNr;PatNr;Praeparat;ATC;Applikation;Dosis;Einheit;Datum\n"
        "1;007;Präparat;L01FD01;i.v.;1.012,5;mg;01.02.2020\n",
        "molekular": "PatNr;Entnahme;Befund;KRAS_exon2;BRAF_V600E\n007;01.02.2020;;mutated;\n",
    }.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="latin-1")
    (tmp_path / "delivery").mkdir()
    monkeypatch.chdir(tmp_path)
    duckdb.execute(PAGE.split("```sql\n")[1].split("```")[0])
    rows = {}
    for path in (tmp_path / "delivery").iterdir():
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            rows[path.stem] = list(reader)
        assert header_faults(CONTRACT.tables[path.stem], tuple(reader.fieldnames or ())) == []
        assert set(reader.fieldnames or ()) <= {c.name for c in CONTRACT.tables[path.stem].columns}
    assert [(row["patient_id"], row["sex"], row["birth_date"]) for row in rows["patients"]] == [
        ("007", "female", "1970-12-20"),
        ("008", "M", "12.1970"),
    ]
    (drug,) = rows["drug_administrations"]
    assert (drug["drug_text"], drug["route"], drug["dose"]) == ("Präparat", "iv", "1012.5")
    (test,) = rows["molecular_tests"]
    assert (test["gene"], test["region"], test["result"]) == ("KRAS", "exon2", "mutated")
    assert (test["collected_date"], test["reported_date"]) == ("2020-02-01", "")


def test_writing_returns_the_place(tmp_path: object) -> None:
    path = contract_docs.write(tmp_path / "page.md")  # type: ignore[operator]
    assert path.read_text(encoding="utf-8") == PAGE
