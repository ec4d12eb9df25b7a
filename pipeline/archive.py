"""The archive: delivered bytes as they came, and the way back from a row to its record.

`<work>/archive/<sha256>.csv.zst` is a delivered file, compressed; of a patient who was erased it
holds empty records, so that the others keep their numbers. A row of the warehouse names its file
and record (`src_rid`); reading that record again and hashing it again proves whence it came.
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Callable, Collection
from pathlib import Path

import duckdb
import pyarrow as pa

from pipeline.contract import Table
from pipeline.pseudonyms import load_key, pseudonym
from pipeline.reader import Record, archived_records, read_records

ROW_HASH_VERSION = 1
"""Version of the rule of `row_hash_sql`; only rows hashed by the same rule can be compared."""


def archived(work: Path, sha256: str) -> Path:
    """Return where a delivered file lies in the archive."""
    return work / "archive" / f"{sha256}.csv.zst"


def row_hash_sql(table: Table, alias: str = "delivered") -> str:
    """Return SQL for the hash of one delivered row: 16 bytes, NULL for a record that has no values.

    MD5 of the contract's columns in its order, separated by the unit separator. Blanks around a
    value do not count, numbers count by value (5.0 is 5), dates and codes as written; no value
    is an empty text, and the pseudonym stands for the patient's number. Needs `patient_key` and the
    columns of `alias`.
    """
    parts = []
    for column in table.columns:
        value = f'trim({alias}."{column.name}")'
        if column.role == "patient":
            value = "patient_key"
        elif column.kind in ("number", "integer"):
            value = f"coalesce(cast(try_cast({value} as double) as varchar), {value})"
        parts.append(f"coalesce({value}, '')")
    return f"unhex(md5(concat_ws(chr(31), {', '.join(parts)})))"


def reread(
    work: Path, table: Table, sha256: str, encoding: str, record_nos: Collection[int]
) -> dict[int, Record]:
    """Read records of an archived file again, by record number.

    Raises FileNotFoundError if the file is not in the archive. A record that the file does not hold
    is missing from the answer.
    """
    return read_records(archived(work, sha256), encoding, table.file_name, set(record_nos))


def records_of(
    stored: Path, encoding: str, table: Table, belongs: Callable[[str], bool]
) -> list[int]:
    """Return which records of an archived file are of the patients whose number `belongs` knows.

    A record that cannot be read is theirs if any part of it is such a number.
    """
    if not table.patient_column:
        return []
    records = archived_records(stored, encoding, table.file_name)
    place = (next(records).fields or []).index(table.patient_column)

    def numbers(record: Record) -> list[str]:
        return [record.fields[place]] if record.fields else record.text.split(",")

    return [
        record_no
        for record_no, record in enumerate(records, start=1)
        if any(belongs(patient_number(number)) for number in numbers(record))
    ]


def patient_number(value: str) -> str:
    """Return a patient's number as the loader takes it from a value: without blanks around it."""
    return value.strip(' "\r\n')


def blank_records(
    stored: Path, encoding: str, table: Table, record_nos: Collection[int], target: Path
) -> str:
    """Copy an archived file with these records empty; return the SHA-256 of what it then holds."""
    blanked, digest = set(record_nos), hashlib.sha256()
    encoder = codecs.getincrementalencoder(encoding)()
    empty = ""
    with pa.CompressedOutputStream(str(target), "zstd") as written:
        for record_no, record in enumerate(archived_records(stored, encoding, table.file_name)):
            empty = empty or "," * (len(record.fields or ()) - 1) + "\n"
            content = encoder.encode(empty if record_no in blanked else record.text)
            digest.update(content)
            written.write(content)
    return digest.hexdigest()


def row_hashes(
    memory: duckdb.DuckDBPyConnection,
    table: Table,
    site_code: str,
    header: list[str],
    records: dict[int, Record],
) -> dict[int, str]:
    """Hash records as the loader does: hex text by record number; none for records with a fault."""
    sound = {number: record.fields for number, record in records.items() if record.fields}
    if not sound:
        return {}
    columns = {
        name: pa.array([fields[place] for fields in sound.values()], pa.string())
        for place, name in enumerate(header)
    }
    for column in table.columns:
        columns.setdefault(column.name, pa.nulls(len(sound), pa.string()))
    keys: list[str | None] = [None] * len(sound)
    if table.patient_column:
        key = load_key()
        numbers = [
            str(number or "").strip() for number in columns[table.patient_column].to_pylist()
        ]
        keys = [pseudonym(site_code, number, key) if number else None for number in numbers]
    columns["patient_key"] = pa.array(keys, pa.string())
    memory.register("delivered", pa.table(columns))
    hashes = memory.execute(f"select lower(hex({row_hash_sql(table)})) from delivered").fetchall()
    memory.unregister("delivered")
    return {number: text for number, (text,) in zip(sound, hashes, strict=True)}
