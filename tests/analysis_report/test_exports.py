"""The report's tables and figures as files."""

from __future__ import annotations

import csv
import struct
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import duckdb
import pytest
from docx import Document
from small_warehouse import STUDY

from analysis import exports
from analysis.exhibits import contents
from analysis.layout import Cell, Row, Table
from analysis.study import load_study


@pytest.fixture(scope="module")
def folder(warehouse: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exports")
    written = exports.write(warehouse, contents(warehouse, STUDY), path)
    assert sorted(written) == sorted(file for file in path.rglob("*") if file.is_file())
    return path / STUDY


def lines(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def test_every_table_and_figure_of_the_page_is_a_file(folder: Path, page: str) -> None:
    tables = {path.stem for path in (folder / "tables").glob("*.csv")} - set(exports.RESULTS)
    assert all(f'id="{name}-table"' in page for name in tables)
    assert page.count('<table class="data"') == len(tables)
    names = {path.stem for path in (folder / "figures").glob("*.svg")}
    assert names == {path.stem for path in (folder / "figures").glob("*.png")}
    assert page.count("<svg") == len(names)
    assert all(f'id="{name}-title"' in page for name in names)


def test_rows_say_what_they_are_about_without_those_above(folder: Path) -> None:
    rows = lines(folder / "tables" / "table1.csv")
    assert ["Sex: Male", "41 (65.1)"] in rows
    assert ["Number of metastatic organs: Single: of these, liver metastatic", "18"] in rows
    assert len({row[0] for row in rows}) == len(rows)
    assert all(len(row) == len(rows[0]) for row in rows)
    first = lines(folder / "tables" / "table7.csv")[0][1]
    assert first == "SPSS (Breslow), HR (95%\N{NO-BREAK SPACE}CI)"


def test_figures_are_files_of_their_kind(folder: Path) -> None:
    for path in (folder / "figures").iterdir():
        if path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        else:
            content = path.read_bytes()
            assert content.startswith(b"\x89PNG")
            assert struct.unpack(">I", content[16:20])[0] > 1200


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_text_is_a_formula_to_a_spreadsheet(start: str) -> None:
    assert exports.safe(f"{start}1+1") == f"'{start}1+1"
    assert exports.safe(f"x{start}") == f"x{start}"


def test_hostile_text_stays_text_in_the_workbook(
    warehouse: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    table = Table(
        "hostile", "", "=1+1", [[Cell("a"), Cell("b")]], [Row("=HYPERLINK(1)", [Cell("1,234")])]
    )
    study = load_study(warehouse, STUDY)
    path = exports._write_workbook(tmp_path / "x.xlsx", study, None, [exports.sheet(table)])
    with zipfile.ZipFile(path) as archive:
        page = archive.read("xl/worksheets/sheet1.xml").decode()
        texts = archive.read("xl/sharedStrings.xml").decode()
    assert "<f>" not in page
    assert "=HYPERLINK(1)" in texts
    assert "<v>1234</v>" in page
    again = exports._write_workbook(tmp_path / "y.xlsx", study, None, [exports.sheet(table)])
    assert again.read_bytes() == path.read_bytes()


def test_the_workbook_has_a_sheet_for_every_table(folder: Path) -> None:
    with zipfile.ZipFile(folder / f"{STUDY}_tables.xlsx") as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/sheet")]
        content = "".join(archive.read(name).decode() for name in sheets)
    assert len(sheets) == len(list((folder / "tables").glob("*.csv")))
    assert "<f>" not in content


def test_word_document_has_every_table_and_figure(folder: Path) -> None:
    document = Document(str(folder / f"{STUDY}_tables_and_figures.docx"))
    tables = {path.stem for path in (folder / "tables").glob("*.csv")} - set(exports.RESULTS)
    assert len(document.tables) == len(tables)
    assert len(document.inline_shapes) == len(list((folder / "figures").glob("*.png")))
    cells = {cell.text for table in document.tables for cell in table.columns[0].cells}
    assert "Sex: Male" in cells


def test_a_figure_in_word_is_numbered_and_says_what_the_page_says_under_it(folder: Path) -> None:
    document = Document(str(folder / f"{STUDY}_tables_and_figures.docx"))
    texts = [paragraph.text for paragraph in document.paragraphs]
    start = texts.index(
        "Figure 3. Overall survival by the line in which trastuzumab was first given"
    )
    under = "\n".join(texts[start : start + 8])
    assert "Curves: Kaplan" in under
    assert "immortal time in favour of later lines" in under
    described = [shape._inline.docPr.get("descr") for shape in document.inline_shapes]
    assert all(described)
    assert any("Kaplan-Meier curves" in words for words in described)
    heads = [table.rows[0]._tr.xpath("./w:trPr/w:tblHeader") for table in document.tables]
    assert all(heads)


def test_exports_of_synthetic_data_say_so(folder: Path) -> None:
    document = Document(str(folder / f"{STUDY}_tables_and_figures.docx"))
    assert document.sections[0].header.paragraphs[0].text == exports.INVENTED
    with zipfile.ZipFile(folder / f"{STUDY}_tables.xlsx") as workbook:
        assert exports.INVENTED in workbook.read("xl/sharedStrings.xml").decode()
    assert (folder / "SYNTHETIC_DATA.txt").read_text(encoding="utf-8").strip() == exports.INVENTED


def cells_of(path: Path, number: int) -> dict[str, tuple[str, str | None, str]]:
    """Value, type and number format of the cells of a sheet, by their place."""
    main = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(path) as archive:
        sheet, styles, texts = (
            ElementTree.fromstring(archive.read(f"xl/{name}.xml"))
            for name in (f"worksheets/sheet{number}", "styles", "sharedStrings")
        )
    shared = ["".join(text.itertext()) for text in texts]
    codes = {form.get("numFmtId"): form.get("formatCode") for form in styles.iter(f"{main}numFmt")}
    built_in = {"0": "General", "1": "0", "2": "0.00", "3": "#,##0"}
    forms = [form.get("numFmtId") or "0" for form in styles.findall(f"{main}cellXfs/{main}xf")]
    return {
        str(cell.get("r")): (
            shared[int(value.text or 0)] if cell.get("t") == "s" else str(value.text),
            cell.get("t"),
            built_in.get(forms[int(cell.get("s", 0))]) or str(codes[forms[int(cell.get("s", 0))]]),
        )
        for cell in sheet.iter(f"{main}c")
        if (value := cell.find(f"{main}v")) is not None
    }


def test_a_number_of_a_table_is_one_with_the_decimals_that_are_printed(
    warehouse: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    printed = ["0.050", "12.0", "1,234", "7", "<0.001", "9.60", "\N{EN DASH}"]
    table = Table("t", "", "T", [[Cell("n")] * 8], [Row("a", [Cell(text) for text in printed])])
    study = load_study(warehouse, STUDY)
    path = exports._write_workbook(tmp_path / "x.xlsx", study, None, [exports.sheet(table)])
    row = [cell for place, cell in cells_of(path, 1).items() if place.endswith("4")][1:]
    assert [(form, kind) for _, kind, form in row] == [
        ("0.000", None),
        ("0.0", None),
        ("#,##0", None),
        ("0", None),
        ("General", "s"),
        ("0.00", None),
        ("General", "s"),
    ]
    assert [value for value, *_ in row] == ["0.05", "12", "1234", "7", *printed[4:5], "9.6", "–"]


def test_results_keep_their_types_in_the_workbook(
    warehouse: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """A tiny P is no text, and what was printed stays as it was printed."""
    found = [
        {"level": "1", "value": 7.06e-05, "display": "<0.001", "n": 63},
        {"level": "a", "value": None, "display": "0.050", "n": None},
    ]
    study = load_study(warehouse, STUDY)
    sheet = exports._results("estimates", found)
    cells = cells_of(exports._write_workbook(tmp_path / "x.xlsx", study, None, [sheet]), 1)
    assert cells["A4"] == ("1", "s", "General")
    assert float(cells["B4"][0]) == 7.06e-05
    assert cells["B4"][1:] == cells["D4"][1:] == (None, "General")
    assert cells["C5"] == ("0.050", "s", "General")


def test_every_column_of_a_table_has_a_head_of_its_own(folder: Path) -> None:
    for path in (folder / "tables").glob("*.csv"):
        head = lines(path)[0]
        assert "" not in head, path.stem
        assert len(set(head)) == len(head), path.stem
