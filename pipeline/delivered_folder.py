"""What is wrong with a delivery before a row is read: its folder, its headers, its manifest."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pipeline.contract import Table, read_contract
from pipeline.reader import ENCODINGS, DeliveryError, Inspected, read_header

SENDERS_MANIFEST = "manifest.csv"
MANIFEST_COLUMNS = ("file_name", "sha256", "size_bytes", "n_records", "encoding")
OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
LOADERS_COLUMNS = (
    "src_rid",
    "file_row_number",
    "line_no",
    "load_fault",
    "undeclared",
    "row_hash",
    "duplicate_of",
    "patient_key",
)

Row = dict[str, Any]


def folder_faults(folder: Path, names: Collection[str]) -> list[str]:
    """Say what keeps a folder from being a delivery of plain files called `names`."""
    if not folder.exists():
        return ["the folder does not exist"]
    if not folder.is_dir():
        return ["this is a file, not a folder"]
    if not any(folder.iterdir()):
        return ["the folder is empty"]
    faults = []
    for path in sorted(folder.iterdir()):
        if path.name not in names:
            meant = [n for n in names if path.name.lower().startswith(n.removesuffix("csv"))]
            remedy = f"deliver it as {meant[0]}, or take" if meant else "take"
            faults.append(f"{path.name}: not a file of the contract; {remedy} it out of the folder")
        elif path.is_symlink() or not path.is_file():
            faults.append(f"{path.name}: not a plain file; deliver the file itself")
    return faults


def senders_manifest(folder: Path) -> tuple[dict[str, Row], list[str]]:
    """Return what the sender says of each file, and what is wrong with the saying."""
    path = folder / SENDERS_MANIFEST
    if not path.exists():
        return {}, []
    try:
        header = read_header(path, path)
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream, fieldnames=header, strict=True))[1:]
    except (DeliveryError, UnicodeDecodeError, csv.Error):
        return {}, [f"{SENDERS_MANIFEST}: cannot be read; it is UTF-8, comma-separated"]
    if "file_name" not in header or not set(header) <= set(MANIFEST_COLUMNS):
        return {}, [f"{SENDERS_MANIFEST}: its columns are {', '.join(MANIFEST_COLUMNS)}"]
    faults = [
        f"{SENDERS_MANIFEST}: line {number}: the encodings are {', '.join(ENCODINGS)}"
        for number, row in enumerate(rows, start=2)
        if (row.get("encoding") or "utf-8") not in ENCODINGS
    ]
    known = {table.file_name for table in read_contract().tables.values()}
    faults += [
        f"{row['file_name']}: listed in manifest.csv, but not a file of the contract"
        for row in rows
        if row["file_name"] not in known
    ]
    return {row["file_name"]: row for row in rows}, faults


def unlike(found: Inspected, said: Row) -> list[str]:
    """Compare a file with what its sender says of it."""
    name = found.path.name
    faults = []
    if said.get("sha256") and said["sha256"].lower() != found.sha256:
        faults.append(f"{name}: its SHA-256 is not the one in manifest.csv; deliver it again")
    if said.get("size_bytes") and said["size_bytes"] != str(found.size_bytes):
        faults.append(f"{name}: it has not as many bytes as manifest.csv says; deliver it again")
    return faults


def header_faults(table: Table, header: tuple[str, ...]) -> list[str]:
    """Say which columns a header lacks or repeats; columns beyond the contract are no fault."""
    if len(header) == 1 and (found := next((c for c in OTHER_SEPARATORS if c in header[0]), None)):
        return [
            f"{table.file_name}: its columns are separated by {OTHER_SEPARATORS[found]}; the "
            "contract asks for commas"
        ]
    expected = [c.name for c in table.columns]
    extra = [n for n in header if n not in expected]
    faults = [
        f"{table.file_name}: a column may not be called {name}; rename it"
        for name in extra
        if name in LOADERS_COLUMNS
    ]
    if not all(header) or any('"' in name for name in header):
        faults.append(
            f"{table.file_name}: a column has no name, or a quotation mark in its name; a comma at "
            "the end of the header makes one"
        )
    if repeated := sorted(
        {n for n in header if [h.casefold() for h in header].count(n.casefold()) > 1}
    ):
        known = [n for n in repeated if n in expected]
        faults.append(
            f"{table.file_name}: a column name occurs twice in the header"
            + (f" ({', '.join(known)})" if known else "")
        )
    for column in table.columns:
        name = column.name
        if name not in header and not column.may_be_absent:
            folded = {n.casefold().replace(" ", "_"): n for n in extra}
            close = difflib.get_close_matches(name, folded, n=1, cutoff=0.75)
            meant = f"; did you mean it by {folded[close[0]]!r}?" if close else ""
            faults.append(f"{table.file_name}: column {name} missing from the header{meant}")
    return faults
