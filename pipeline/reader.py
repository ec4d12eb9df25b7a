"""Reads one delivered file: bytes checked, hashed and archived; records as text, each numbered.

Most files are plain: every line is one record with as many fields as the header. DuckDB reads
those. Whatever is not plain (a record over several lines, a line too short or long, a quote that
is not closed) is read record by record in Python, so that one bad record costs one record: it keeps
its place and its line, carries a reason instead of values, and goes to quarantine.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from dbt_common.exceptions import DbtRuntimeError

from pipeline.errors import resources_error

ENCODINGS = ("utf-8", "gb18030", "utf-16")
"""What a delivery may declare in manifest.csv; utf-8 if it declares nothing."""

DECODERS = {"utf-8": "utf-8-sig"}  # a byte-order mark is not part of the first name

BLOCK_BYTES = 1 << 22
RECORDS_A_BATCH = 50_000
LONGEST_RECORD_LINES = 200  # a free text of more lines is a quote that was not closed
LONGEST_FIELD = 1 << 20

BLANKS_BESIDE_QUOTE = re.compile(rb'[,\r\n] +"|" +[,\r\n]')
"""Where DuckDB passes over blanks that RFC 4180 makes part of the value; also within a text."""
QUOTED_PART = re.compile(r'"[^"]*"')
BLANKS_BEFORE_QUOTE = re.compile('(?:^|,) +"')


STRAY_QUOTE = "a quote is not closed, or stands within a value without being doubled"


class DeliveryError(DbtRuntimeError):
    """A delivery that cannot be read; the message names file, row and remedy, never a value."""


@dataclass(frozen=True)
class Inspected:
    """What one pass over the bytes of a file has found.

    `text` is the file as UTF-8: the file itself, or a copy in UTF-8.
    """

    path: Path
    text: Path
    encoding: str
    size_bytes: int
    sha256: str
    n_lines: int
    n_commas: int
    has_quotes: bool
    has_blanks_beside_quotes: bool
    has_odd_bytes: bool  # NUL, or a carriage return that does not belong to CRLF
    header: tuple[str, ...]


def inspect(path: Path, *, encoding: str, archive: Path, scratch: Path) -> Inspected:
    """Hash, archive and decode a file in one pass.

    The archived copy is `archive`/<sha256>.csv.zst, the delivered bytes compressed. `scratch` takes
    the copy in UTF-8 of a file in another encoding. Raises DeliveryError naming the first line that
    does not decode, or an empty file.
    """
    text = path if encoding == "utf-8" else scratch / path.name
    digest = hashlib.sha256()
    decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
    size = lines = commas = returns = pairs = 0
    has_quotes = has_blanks = has_nul = False
    last, pending = b"", b"\n"
    partial = archive / f".{path.name}.part"
    archive.mkdir(parents=True, exist_ok=True)
    with (
        path.open("rb") as stream,
        pa.CompressedOutputStream(str(partial), "zstd") as archived,
        text.open("wb") if text != path else nullcontext() as transcoded,
    ):
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
            archived.write(block)
            size += len(block)
            # ASCII is UTF-8 as it stands, unless a character was cut before it.
            if not (encoding == "utf-8" and block.isascii() and not decoder.getstate()[0]):
                try:
                    decoded = decoder.decode(block)
                except UnicodeDecodeError as error:
                    partial.unlink()
                    line = lines + block[: error.start].count(b"\n") + 1
                    raise DeliveryError(_not_decoded(path, line, encoding)) from None
                if transcoded is not None:
                    block = decoded.encode()
                    transcoded.write(block)
            lines += block.count(b"\n")
            if b"\r" in block:
                returns += block.count(b"\r")
                pairs += block.count(b"\r\n")
            pairs += last == b"\r" and block[:1] == b"\n"
            commas += block.count(b",")
            has_quotes = has_quotes or b'"' in block
            beside = pending + block
            if has_quotes and not has_blanks and (b' "' in beside or b'" ' in beside):
                has_blanks = bool(BLANKS_BESIDE_QUOTE.search(beside))
            pending = beside[len(beside.rstrip(b" ")) - 1 :]
            has_nul = has_nul or b"\0" in block
            last = block[-1:] or last
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        partial.unlink()
        raise DeliveryError(_not_decoded(path, lines + 1, encoding)) from None
    sha256 = digest.hexdigest()
    partial.replace(archive / f"{sha256}.csv.zst")
    return Inspected(
        path=path,
        text=text,
        encoding=encoding,
        size_bytes=size,
        sha256=sha256,
        n_lines=lines + (last not in (b"", b"\n")),
        n_commas=commas,
        has_quotes=has_quotes,
        has_blanks_beside_quotes=has_blanks or pending.startswith(b'" '),
        has_odd_bytes=has_nul or (returns > 0 and not returns == pairs == lines),
        header=read_header(path, text),
    )


def read_header(path: Path, text: Path) -> tuple[str, ...]:
    """Return the names of the first line; raises DeliveryError if the file holds nothing."""
    with text.open(encoding="utf-8-sig", newline="") as stream:
        try:
            first = next(csv.reader(stream, strict=True), None)
        except csv.Error:
            raise DeliveryError(
                f"{path.name}: line 1, the header, has a quote that is not closed; correct it"
            ) from None
    if not first:
        raise DeliveryError(f"{path.name}: the file is empty; it needs at least a header")
    return tuple(name.strip() for name in first)


def write_records(connection: duckdb.DuckDBPyConnection, found: Inspected, target: Path) -> None:
    """Write the records of a file as Parquet, in its order: its columns as text.

    Beside them `line_no` and `load_fault`, if the file is not plain. Raises DeliveryError if the
    file ends within a record.
    """
    options = (
        "header = true, delim = ',', quote = '\"', escape = '\"', auto_detect = false, "
        f"max_line_size = {LONGEST_FIELD}, "
        f"columns = {dict.fromkeys(found.header, 'VARCHAR')}, strict_mode = true"
    )
    if not (found.has_odd_bytes or found.has_blanks_beside_quotes):
        try:
            connection.execute(
                f"copy (select * from read_csv('{quoted(found.text)}', {options})) "
                f"to '{quoted(target)}' (format parquet, compression uncompressed)"
            )
        except duckdb.Error as error:
            if resources_error(str(error)):
                raise
            # Some record does not fit its header; the careful reader says which.
        else:
            if _is_plain(connection, found, target):
                return
    _write_carefully(found, target)


def quoted(path: Path) -> str:
    """Return a path for use within single quotes."""
    return str(path).replace("'", "''")


def _is_plain(connection: duckdb.DuckDBPyConnection, found: Inspected, written: Path) -> bool:
    """Say whether every line below the header became one record, of as many fields.

    Where a value holds a line break, DuckDB does not say on which line the next record begins. A
    comma too many at the end of a line it passes over: the commas are counted.
    """
    broken, commas = "false", "0"
    if found.has_quotes:
        broken = " or ".join(f'contains("{name}", chr(10))' for name in found.header)
        commas = " + ".join(
            f"""coalesce(length("{name}") - length(replace("{name}", ',', '')), 0)"""
            for name in found.header
        )
    row = connection.execute(
        f"select count(*), count(*) filter (where {broken}), coalesce(sum({commas}), 0) "
        f"from '{quoted(written)}'"
    ).fetchone()
    assert row is not None
    within = row[2] + sum(name.count(",") for name in found.header)
    separators = found.n_lines * (len(found.header) - 1)
    return row[:2] == (found.n_lines - 1, 0) and found.n_commas == separators + within


@dataclass(frozen=True)
class Record:
    """One record: the physical line it begins on (the header's is 1), its fields or its fault.

    `text` is the record as it was written, line end included.
    """

    line_no: int
    fields: list[str] | None
    fault: str | None
    text: str


def read_records(archived: Path, encoding: str, name: str, wanted: set[int]) -> dict[int, Record]:
    """Read records of an archived file, by record number; the header is record 0.

    `name` is what the file is called in messages.
    """
    found: dict[int, Record] = {}
    left = set(wanted)
    for number, record in enumerate(archived_records(archived, encoding, name)):
        if number in left:
            found[number] = record
            left.remove(number)
            if not left:
                break
    return found


def archived_records(archived: Path, encoding: str, name: str) -> Iterator[Record]:
    """Read an archived file record by record, the header first."""
    with pa.OSFile(str(archived)) as stored, pa.CompressedInputStream(stored, "zstd") as stream:
        text = io.TextIOWrapper(
            io.BufferedReader(stream), encoding=DECODERS.get(encoding, encoding), newline=""
        )
        yield from _records(text, name)


def _write_carefully(found: Inspected, target: Path) -> None:
    names = [*found.header, "line_no", "load_fault"]
    schema = pa.schema(
        [(name, pa.string()) for name in found.header]
        + [("line_no", pa.int64()), ("load_fault", pa.string())]
    )
    nothing = [None] * len(found.header)
    with pq.ParquetWriter(target, schema) as writer:
        batch: list[tuple[str | int | None, ...]] = []

        def flush() -> None:
            columns = zip(*batch, strict=True) if batch else [[] for _ in names]
            writer.write_table(
                pa.table(
                    [
                        pa.array(column, field.type)
                        for column, field in zip(columns, schema, strict=True)
                    ],
                    schema=schema,
                )
            )
            batch.clear()

        for record in _data_records(found):
            batch.append((*(record.fields or nothing), record.line_no, record.fault))
            if len(batch) == RECORDS_A_BATCH:
                flush()
        flush()


def _data_records(found: Inspected) -> Iterator[Record]:
    with found.text.open(encoding="utf-8-sig", newline="") as stream:
        records = _records(stream, found.path.name)
        next(records, None)
        yield from records


def _records(stream: Iterable[str], name: str) -> Iterator[Record]:
    """Read record by record, the header first; it says how many fields a record has.

    A record that cannot be read costs one line, and the next line is tried.
    """
    width = 0
    csv.field_size_limit(LONGEST_FIELD)
    lines = _Lines(iter(stream))
    while (text := lines.peek(0)) is not None:
        first, n = lines.number, 1
        while text.count('"') % 2 and n < LONGEST_RECORD_LINES:
            if (following := lines.peek(n)) is None:
                break
            text += following
            n += 1
        fields, fault = _parsed(text, width)
        if fault and n > 1:  # the quote may have swallowed records that are sound
            n = 1
            text = lines.peek(0) or ""
            fields, fault = _parsed(text, width)
        is_cut = lines.skip(n)
        if fault and is_cut:
            raise DeliveryError(
                f"{name}: the file ends in line {first} within a record; "
                "it was cut short, deliver it again"
            )
        if fields or fault:
            if not width:  # blanks around the name of a column do not count
                fields = [field.strip() for field in fields or ()]
                width = len(fields)
            yield Record(first, fields, fault, text)


class _Lines:
    """Physical lines with a look ahead; `number` is that of the next."""

    def __init__(self, stream: Iterator[str]) -> None:
        self._stream = stream
        self._ahead: list[str] = []
        self.number = 1

    def peek(self, distance: int) -> str | None:
        while len(self._ahead) <= distance:
            line = next(self._stream, None)
            if line is None:
                return None
            self._ahead.append(line)
        return self._ahead[distance]

    def skip(self, n: int) -> bool:
        """Pass over lines; say whether the last of them had no end."""
        last = self._ahead[n - 1]
        del self._ahead[:n]
        self.number += n
        return not last.endswith(("\n", "\r"))


def _parsed(text: str, width: int) -> tuple[list[str] | None, str | None]:
    if "\0" in text:
        return None, "the record holds a NUL character"
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error:
        return None, STRAY_QUOTE
    if '"' in text and BLANKS_BEFORE_QUOTE.search(QUOTED_PART.sub('""', text)):
        return None, STRAY_QUOTE  # the commas within it would be taken for separators
    fields = rows[0] if rows else []
    if fields and width and len(fields) != width:
        return None, f"the record has {len(fields)} fields, the header {width}"
    return fields, None


def _not_decoded(path: Path, line: int, encoding: str) -> str:
    if encoding == "utf-8":
        return (
            f"{path.name}: line {line} is not UTF-8; save the file as UTF-8, "
            "or declare its encoding in manifest.csv"
        )
    return (
        f"{path.name}: line {line} is not {encoding}, which manifest.csv declares; correct either"
    )
