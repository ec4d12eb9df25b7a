"""The contract's page says what the contract and the loader say."""

from __future__ import annotations

import re

from pipeline import contract_docs
from pipeline.contract import read_contract
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


def test_writing_returns_the_place(tmp_path: object) -> None:
    path = contract_docs.write(tmp_path / "page.md")  # type: ignore[operator]
    assert path.read_text(encoding="utf-8") == PAGE
