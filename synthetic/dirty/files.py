"""Faults of whole files: each function spoils the folder of a clean delivery in one way."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Final

FileFault = Callable[[Path], None]

FILE_FAULTS: Final[dict[str, FileFault]] = {}
"""Every fault by name; its docstring says what is done."""

VICTIM: Final = "vital_status.csv"
"""A required file, in which most faults are planted."""

RECORD: Final = 3
"""The record below the header that is spoilt, where only one is."""


def _fault(function: FileFault) -> FileFault:
    FILE_FAULTS[function.__name__] = function
    return function


def _edit(folder: Path, change: Callable[[list[str]], list[str]]) -> None:
    """Change the lines of the file, header first, each with its line end."""
    path = folder / VICTIM
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(change(lines)), encoding="utf-8", newline="")


def _edit_header(folder: Path, change: Callable[[list[str]], list[str]]) -> None:
    _edit(folder, lambda lines: [",".join(change(lines[0].rstrip().split(","))) + "\n", *lines[1:]])


def _edit_record(folder: Path, change: Callable[[str], str]) -> None:
    _edit(
        folder,
        lambda lines: [
            *lines[:RECORD],
            change(lines[RECORD].rstrip("\n")) + "\n",
            *lines[RECORD + 1 :],
        ],
    )


def _edit_bytes(folder: Path, change: Callable[[bytes], bytes]) -> None:
    path = folder / VICTIM
    path.write_bytes(change(path.read_bytes()))


def _edit_table(folder: Path, change: Callable[[list[list[str]]], list[list[str]]]) -> None:
    path = folder / VICTIM
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(change(rows))


@_fault
def missing_file(folder: Path) -> None:
    """A required file is not there."""
    (folder / VICTIM).unlink()


@_fault
def unknown_file(folder: Path) -> None:
    """A file that the contract does not know."""
    (folder / "notes.csv").write_text("a,b\n1,2\n", encoding="utf-8")


@_fault
def folder_within(folder: Path) -> None:
    """A folder within the delivery."""
    (folder / "old").mkdir()


@_fault
def link_out_of_the_folder(folder: Path) -> None:
    """A file that is a link to somewhere else."""
    path = folder / VICTIM
    elsewhere = path.replace(folder.with_name(f"{folder.name}-elsewhere.csv"))
    path.symlink_to(elsewhere)


@_fault
def empty_file(folder: Path) -> None:
    """A required file of no bytes."""
    _edit_bytes(folder, lambda _: b"")


@_fault
def header_only(folder: Path) -> None:
    """A required file without a record."""
    _edit(folder, lambda lines: lines[:1])


@_fault
def no_header(folder: Path) -> None:
    """The records without their header."""
    _edit(folder, lambda lines: lines[1:])


@_fault
def missing_column(folder: Path) -> None:
    """The column status is left out."""
    _edit_table(folder, lambda rows: [[*row[:2], *row[3:]] for row in rows])


@_fault
def renamed_column(folder: Path) -> None:
    """The column death_date has another name."""
    _edit_header(folder, lambda names: [n.replace("death_date", "deathdate") for n in names])


@_fault
def column_twice(folder: Path) -> None:
    """The name of the column source stands twice, and recorded_date not at all."""
    _edit_header(folder, lambda names: [*names[:-1], "source"])


@_fault
def extra_column(folder: Path) -> None:
    """A column that the contract does not know."""
    _edit_table(
        folder, lambda rows: [[*row, "ward" if n == 0 else "7"] for n, row in enumerate(rows)]
    )


@_fault
def columns_in_another_order(folder: Path) -> None:
    """All columns, turned round: they are found by name."""
    _edit_table(folder, lambda rows: [row[::-1] for row in rows])


@_fault
def semicolons(folder: Path) -> None:
    """Semicolons for commas."""
    _edit(folder, lambda lines: [line.replace(",", ";") for line in lines])


@_fault
def short_record(folder: Path) -> None:
    """One record has a field less than the header."""
    _edit_record(folder, lambda line: line.rpartition(",")[0])


@_fault
def long_record(folder: Path) -> None:
    """One record has a field more than the header."""
    _edit_record(folder, lambda line: f"{line},x")


@_fault
def open_quote(folder: Path) -> None:
    """A quote in the middle of the file is never closed."""
    _edit_record(folder, lambda line: line.replace(",", ',"', 1))


@_fault
def cut_short(folder: Path) -> None:
    """The file ends within its last record."""
    _edit_bytes(folder, lambda content: content[: content.rstrip().rindex(b",")])


@_fault
def latin_1(folder: Path) -> None:
    """One record in Latin-1."""
    _edit_bytes(folder, lambda content: content.replace(b"\n", b"\n\xe9", RECORD))


@_fault
def gb18030(folder: Path) -> None:
    """The whole file in GB18030, which nobody declared."""
    _edit_bytes(folder, lambda content: content.decode().encode("gb18030"))


@_fault
def utf_16(folder: Path) -> None:
    """The whole file in UTF-16, which nobody declared."""
    _edit_bytes(folder, lambda content: content.decode().encode("utf-16"))


@_fault
def byte_order_mark(folder: Path) -> None:
    """A byte-order mark before the header: allowed."""
    _edit_bytes(folder, lambda content: b"\xef\xbb\xbf" + content)


@_fault
def nul_byte(folder: Path) -> None:
    """One record holds a NUL byte."""
    _edit_record(folder, lambda line: f"{line}\0")


@_fault
def mixed_line_ends(folder: Path) -> None:
    """One line ends in CRLF, the others in LF: the records are the same."""
    _edit_record(folder, lambda line: f"{line}\r")


@_fault
def blank_lines_at_the_end(folder: Path) -> None:
    """Blank lines after the last record: no records."""
    _edit(folder, lambda lines: [*lines, "\n", "\n"])


@_fault
def changed_on_the_way(folder: Path) -> None:
    """The sender's manifest gives the hashes; then one digit of the file changes."""
    manifest = [
        f"{path.name},{hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(folder.glob("*.csv"))
    ]
    (folder / "manifest.csv").write_text(
        "\n".join(["file_name,sha256", *manifest, ""]), encoding="utf-8"
    )
    _edit_record(folder, lambda line: line.replace("1", "2", 1))
