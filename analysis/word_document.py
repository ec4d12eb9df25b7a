"""The report's tables and figures as one Word document, for a manuscript."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from docx import Document
from docx.enum.section import WD_ORIENT
from docx.oxml import OxmlElement
from docx.shared import Inches, Pt

#: A table with more columns than this needs the page on its side.
MOST_COLUMNS_UPRIGHT = 6
FIGURE_WIDTH = Inches(6.3)
TABLE_FONT = Pt(8)
NOTE_FONT = Pt(8)


@dataclass(frozen=True)
class Plate:
    """A figure: PNG files, each with what a reader who does not see it is told, and notes."""

    title: str
    pictures: Sequence[tuple[bytes, str]]
    notes: Sequence[str] = ()


def write_document(
    path: Path,
    *,
    title: str,
    banner: str | None,
    drawn_up: datetime,
    tables: Iterable[tuple[str, Sequence[Sequence[str]], Sequence[str]]],
    plates: Iterable[Plate],
) -> Path:
    """Write a document with a page for each table and figure.

    Parameters
    ----------
    banner
        What stands in the header of every page, if anything must.
    drawn_up
        Date in the document's properties; it is the same for the same results.
    tables
        Title, rows of text (the first is the head), notes.
    plates
        Figures in their order.
    """
    document = Document()
    document.core_properties.title = title
    document.core_properties.author = ""
    document.core_properties.created = document.core_properties.modified = drawn_up
    if banner:
        document.sections[0].header.paragraphs[0].add_run(banner).bold = True
    document.add_heading(title, level=0)
    for heading, lines, notes in tables:
        _turn(document, sideways=len(lines[0]) > MOST_COLUMNS_UPRIGHT)
        document.add_heading(heading, level=2)
        _add_table(document, lines)
        _add_notes(document, notes)
    _turn(document, sideways=False)
    for plate in plates:
        document.add_heading(plate.title, level=2)
        for png, description in plate.pictures:
            picture = document.add_picture(io.BytesIO(png), width=FIGURE_WIDTH)
            picture._inline.docPr.set("descr", description)
        _add_notes(document, plate.notes)
    path.parent.mkdir(parents=True, exist_ok=True)
    document.save(str(path))
    return path


def _add_notes(document: Any, notes: Sequence[str]) -> None:
    for note in notes:
        document.add_paragraph().add_run(note).font.size = NOTE_FONT


def _turn(document: Any, *, sideways: bool) -> None:
    """Begin a section with the page upright or on its side, where it is not so already."""
    section = document.sections[-1]
    if (section.orientation == WD_ORIENT.LANDSCAPE) == sideways:
        return
    turned = document.add_section()
    turned.orientation = WD_ORIENT.LANDSCAPE if sideways else WD_ORIENT.PORTRAIT
    turned.page_width, turned.page_height = section.page_height, section.page_width


def _add_table(document: Any, lines: Sequence[Sequence[str]]) -> None:
    table = document.add_table(rows=len(lines), cols=len(lines[0]))
    table.style = "Light List"
    # The head stands on every page of the table.
    table.rows[0]._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))
    for row, line in zip(table.rows, lines, strict=True):
        for cell, text in zip(row.cells, line, strict=True):
            run = cell.paragraphs[0].add_run(text)
            run.font.size = TABLE_FONT
            run.bold = line is lines[0]
