"""The report's tables and figures as files: CSV, Excel, Word, SVG and PNG."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path
from typing import Any

import duckdb
import xlsxwriter

from analysis.exhibits import Contents, Exhibit
from analysis.layout import Table, number_of
from analysis.pictures import Picture
from analysis.second_programming import warning
from analysis.study import Study, synthetic
from analysis.word_document import Plate, write_document

#: A spreadsheet takes a text that begins so for a formula (OWASP, CSV injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
#: A cell that is a number and nothing else.
PLAIN_NUMBER = re.compile(r"-?(\d{1,3}(,\d{3})+|\d+(\.\d+)?)")

#: Tables of the results that the page shows in part or in other words.
RESULTS = {
    "published_comparison": "Every printed number beside what is computed",
    "estimates": "Every number of the report, with method and parameters",
}

#: What stands on every export of invented patients.
INVENTED = (
    "SYNTHETIC DATA. These patients are invented; no number here describes a real person or may "
    "guide treatment."
)

#: Excel's longest name of a sheet.
SHEET_NAME = 31
WIDEST_COLUMN = 60


@dataclass(frozen=True)
class Sheet:
    """A table as rows of text: the first row is the head.

    `numbers` are the columns of numbers; None where a cell is one if it looks like one.
    """

    name: str
    title: str
    lines: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    numbers: frozenset[int] | None = None

    def is_number(self, place: int, column: int) -> bool:
        """Whether a cell is a number."""
        text = self.lines[place][column]
        if place == 0 or self.numbers is None:
            return place > 0 and PLAIN_NUMBER.fullmatch(text) is not None
        return column in self.numbers and text != ""

    def form(self, text: str) -> str:
        """How a spreadsheet shows a number: in a table with the decimals that are printed."""
        if self.numbers is not None:
            return "General"
        decimals = text.partition(".")[2]
        return "#,##0" if "," in text else f"0.{'0' * len(decimals)}".rstrip(".")


def write(connection: duckdb.DuckDBPyConnection, contents: Contents, folder: Path) -> list[Path]:
    """Write every table and figure of a study's report into a folder of the study's own.

    Parameters
    ----------
    contents
        From analysis.exhibits.contents of this warehouse.
    folder
        Where exports go; the files are in `folder/<study_id>/`: `tables/*.csv`, `figures/*.svg`
        and `*.png`, `<study_id>_tables.xlsx` and `<study_id>_tables_and_figures.docx`. Of synthetic
        data the workbook and the document say so, and so does a file beside them; of real patients
        they say what is hidden. Both say if a second programme finds otherwise.

    Returns
    -------
    list of Path
        What was written, in the order of the report.
    """
    study = contents.study
    study_id = study.study_id
    exhibits = [exhibit for section in contents.sections for exhibit in section.exhibits]
    tables = [
        sheet(contents.flow_table),
        *(sheet(table) for exhibit in exhibits for table in exhibit.tables),
    ]
    compared = contents.edition.compared
    sheets = [
        *tables,
        *([_results("published_comparison", compared)] if compared else []),
        _results("estimates", contents.edition.estimates),
    ]
    pictures = [contents.flow, *_pictures(exhibits)]
    is_invented = synthetic(connection)
    about = INVENTED if is_invented else contents.edition.policy
    banner = " ".join(filter(None, (warning(connection, study_id), about))) or None
    own = folder / study_id
    written = [_write_csv(own / "tables" / f"{each.name}.csv", each) for each in sheets]
    written.append(_write_workbook(own / f"{study_id}_tables.xlsx", study, banner, sheets))
    written.append(
        write_document(
            own / f"{study_id}_tables_and_figures.docx",
            title=study.title,
            banner=banner,
            drawn_up=_drawn_up(study),
            tables=[(each.title, each.lines, each.notes) for each in tables],
            plates=[_plate([contents.flow], contents.flow.title), *_plates(exhibits)],
        )
    )
    for picture in pictures:
        written += _write_picture(own / "figures", picture)
    if is_invented:
        written.append(own / "SYNTHETIC_DATA.txt")
        written[-1].write_text(f"{INVENTED}\n", encoding="utf-8")
    return written


def sheet(table: Table) -> Sheet:
    """A table of the report as text; a row under a heading carries the heading's name."""
    title = f"{number_of(table.identifier)}. {table.title}" if table.number else table.title
    lines: list[list[str]] = [_head(table)]
    heading = level = ""
    for row in table.rows:
        texts = [text for cell in row.cells for text in [cell.text, *[""] * (cell.span - 1)]]
        if row.kind == "heading":
            heading = level = row.label
            label = row.label
        elif row.kind == "level":
            label = level = f"{heading}: {row.label}" if heading else row.label
        elif row.kind == "sublevel":
            label = f"{level}: {row.label}"
        else:
            label = row.label
        if any(texts):
            lines.append([label, *texts])
    return Sheet(table.identifier, title, lines, table.notes)


def _head(table: Table) -> list[str]:
    """One line of headings: a heading over several columns stands before each of theirs."""
    if len(table.head) == 1:
        return [cell.text for cell in table.head[0]]
    below = iter(table.head[1])
    return [
        cell.text if cell.rows > 1 else f"{cell.text}, {next(below).text}"
        for cell in table.head[0]
        for _ in range(cell.span)
    ]


def _results(name: str, found: Sequence[dict[str, Any]]) -> Sheet:
    head = list(found[0])
    lines = [["" if row[column] is None else str(row[column]) for column in head] for row in found]
    numbers = frozenset(
        place
        for place, column in enumerate(head)
        if any(isinstance(row.get(column), int | float) for row in found)
    )
    return Sheet(name, RESULTS[name], [head, *lines], numbers=numbers)


def safe(text: str) -> str:
    """A text that no spreadsheet takes for a formula when it opens a CSV file."""
    if PLAIN_NUMBER.fullmatch(text):
        return text
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_STARTS) else text


def _write_csv(path: Path, own: Sheet) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Excel knows UTF-8 by the mark at the beginning.
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        for line in own.lines:
            writer.writerow([safe(text) for text in line])
    return path


def _drawn_up(study: Study) -> datetime:
    """Date of a file's properties: the same results give the same bytes."""
    return datetime.combine(study.settings["data_cutoff"], time())


def _write_workbook(path: Path, study: Study, banner: str | None, sheets: Sequence[Sheet]) -> Path:
    """One sheet a table; a number of a table has the decimals that are printed."""
    options = {
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "nan_inf_to_errors": True,
        # No file of its sheets is left elsewhere when it cannot be written.
        "in_memory": True,
    }
    with xlsxwriter.Workbook(str(path), options) as workbook:
        workbook.set_properties(
            {
                "title": study.title,
                "created": _drawn_up(study),
            }
        )
        bold, head = (
            workbook.add_format({"bold": True}),
            workbook.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "bottom"}),
        )
        muted = workbook.add_format({"font_color": "#5b6470"})
        wrapped = workbook.add_format({"text_wrap": True, "valign": "top"})
        for own in sheets:
            page = workbook.add_worksheet(own.name[:SHEET_NAME])
            page.write_string(0, 0, own.title, bold)
            page.write_string(1, 0, banner or "", muted)
            for place, line in enumerate(own.lines):
                for column, text in enumerate(line):
                    if own.is_number(place, column):
                        number = float(text.replace(",", ""))
                        form = workbook.add_format({"num_format": own.form(text)})
                        page.write_number(place + 2, column, number, form)
                    else:
                        is_long = len(text) > WIDEST_COLUMN and own.numbers is None
                        form = head if place == 0 else wrapped if is_long else None
                        page.write_string(place + 2, column, text, form)
            for place, note in enumerate(own.notes):
                page.write_string(len(own.lines) + 3 + place, 0, note, muted)
            for column in range(len(own.lines[0])):
                widest = max(len(line[column]) for line in own.lines if column < len(line))
                page.set_column(column, column, min(widest + 2, WIDEST_COLUMN))
            page.freeze_panes(3, 1)
    return path


def _pictures(exhibits: Sequence[Exhibit]) -> list[Picture]:
    return [picture for each in exhibits for picture in (*each.pictures, *each.wide)]


def _plates(exhibits: Sequence[Exhibit]) -> Iterator[Plate]:
    """What the page shows of an exhibit beside its tables."""
    for each in exhibits:
        notes = [each.withheld, *([] if each.empty else [each.legend]), *each.cautions]
        pictures = [*each.pictures, *each.wide]
        if pictures or any(notes):
            title = f"{each.number}. {each.title}"
            yield _plate(pictures, title, [note for note in notes if note])


def _plate(pictures: Sequence[Picture], title: str, notes: Sequence[str] = ()) -> Plate:
    return Plate(title, [(picture.png, picture.description) for picture in pictures], notes)


def _write_picture(folder: Path, picture: Picture) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    svg, png = folder / f"{picture.identifier}.svg", folder / f"{picture.identifier}.png"
    svg.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{picture.svg}\n', encoding="utf-8")
    png.write_bytes(picture.png)
    return [svg, png]
