"""Reads a delivery folder into the raw tables, inside `dbt build`.

dbt-duckdb calls `Plugin.load` for each source table of the extract contract. Headers are checked by
name before anything is read; every value is read as text; every row gets its `src_rid`, and the
patient number is replaced by its pseudonym.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import os
import re
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.duckdb.utils import SourceConfig
from dbt_common.exceptions import DbtRuntimeError

from pipeline import faults, lock, resources
from pipeline.contract import Table, read_contract
from pipeline.errors import CommandError
from pipeline.pseudonyms import load_key, pseudonym

RID_SHIFT = 32
LONGEST_CELL_BYTES = 1 << 20


class DeliveryError(DbtRuntimeError):
    """A delivery that cannot be read; the message names file, row and remedy, never a value."""


class Plugin(BasePlugin):
    """The dbt-duckdb plugin `delivery`."""

    def update_connection_config(self, creds: DuckDBCredentials, config: dict[str, Any]) -> None:
        """Before DuckDB opens the build: it is private, in one process's hands, and has limits."""
        os.umask(resources.PRIVATE_UMASK)
        try:
            lock.hold(Path(creds.path).parent)
        except CommandError as busy:
            raise DbtRuntimeError(str(busy)) from None
        config.update(resources.limits())

    def load(self, source_config: SourceConfig) -> pa.Table:
        """Return one raw table of the delivery as Arrow: `src_rid`, `patient_key`, text columns."""
        faults.point("load")
        folder = Path(source_config.meta["folder"])
        if source_config.identifier == "files":
            return file_ledger(folder)
        return read_table(folder, read_contract().tables[source_config.identifier])


def file_ledger(folder: Path) -> pa.Table:
    """Check every header of the delivery and list its files: one row a contract table.

    Raises DeliveryError with every fault found, not only the first.
    """
    contract = read_contract()
    faults = _folder_faults(folder)
    if not faults:
        for table in contract.tables.values():
            faults += _header_faults(folder, table)
    if faults:
        raise DeliveryError(
            f"The delivery {folder} cannot be read:\n"
            + "\n".join(f"  - {fault}" for fault in faults)
            + "\nThe contract is docs/extract_contract.md. "
            "Name another folder with --vars 'delivery: FOLDER', "
            "or make the demo extract with `rwe demo`."
        )
    rows = []
    for table in contract.tables.values():
        path = folder / table.file_name
        present = path.exists()
        rows.append(
            {
                "file_id": table.file_id,
                "table_name": table.name,
                "file_name": table.file_name if present else None,
                "size_bytes": path.stat().st_size if present else None,
                "sha256": _sha256(path) if present else None,
                "contract_version": contract.version,
            }
        )
    return pa.Table.from_pylist(rows)


def read_table(folder: Path, table: Table) -> pa.Table:
    """Read one file as text, columns in the contract's order; no rows where the file is absent.

    Raises DeliveryError naming file and line where a record does not fit its header.
    """
    path = folder / table.file_name
    names = [c.name for c in table.columns]
    with duckdb.connect(config={"threads": 1}) as connection:
        if path.exists():
            columns = dict.fromkeys(_header(path), "VARCHAR")
            try:
                connection.execute(
                    "create table delivered as select row_number() over () as record_no, * "
                    "from read_csv(?, header = true, delim = ',', quote = '\"', escape = '\"', "
                    f"columns = {columns}, auto_detect = false, strict_mode = true)",
                    [str(path)],
                )
            except duckdb.Error as error:
                raise DeliveryError(_unreadable(path, error)) from None
        else:
            columns_ddl = ", ".join(f"{name} varchar" for name in names)
            connection.execute(f"create table delivered (record_no bigint, {columns_ddl})")

        select = [f"{table.file_id << RID_SHIFT} + record_no as src_rid"]
        join = ""
        if table.patient_column:
            _register_pseudonyms(connection, table.patient_column)
            select.append("patient_key")
            join = f" left join pseudonyms using ({table.patient_column})"
        select += [name for name in names if name != table.patient_column]
        return connection.execute(
            f"select {', '.join(select)} from delivered{join} order by src_rid"
        ).to_arrow_table()


def _register_pseudonyms(connection: duckdb.DuckDBPyConnection, column: str) -> None:
    key = load_key()
    distinct = connection.execute(f"select distinct {column} from delivered").fetchall()
    numbers = [number for (number,) in distinct if number and number.strip()]
    connection.register(
        "pseudonyms",
        pa.table(
            {
                column: pa.array(numbers, pa.string()),
                "patient_key": pa.array([pseudonym(n.strip(), key) for n in numbers], pa.string()),
            }
        ),
    )


def _folder_faults(folder: Path) -> list[str]:
    if not folder.exists():
        return ["the folder does not exist"]
    if not folder.is_dir():
        return ["this is a file, not a folder"]
    if not any(folder.iterdir()):
        return ["the folder is empty"]
    known = {t.file_name for t in read_contract().tables.values()}
    return [
        f"{path.name}: not a file of the contract; take it out of the folder"
        for path in sorted(folder.iterdir())
        if path.name not in known
    ]


def _header_faults(folder: Path, table: Table) -> list[str]:
    path = folder / table.file_name
    if not path.exists():
        return [f"{table.file_name}: missing; this file is required"] if table.required else []
    try:
        _check_encoding(path)
        header = _header(path)
    except DeliveryError as error:
        return [str(error.msg)]
    expected = [c.name for c in table.columns]
    faults = []
    if missing := [n for n in expected if n not in header]:
        faults.append(f"{table.file_name}: column {', '.join(missing)} missing from the header")
    if extra := [n for n in header if n not in expected]:
        faults.append(f"{table.file_name}: {len(extra)} column(s) the contract does not know")
    if len(set(header)) < len(header):
        faults.append(f"{table.file_name}: a column name occurs twice in the header")
    return faults


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        first = next(csv.reader(stream, strict=True), None)
    if not first:
        raise DeliveryError(f"{path.name}: the file is empty; it needs at least a header")
    return [name.strip() for name in first]


def _check_encoding(path: Path) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")(errors="strict")
    line = 1
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                line += block[: error.start].count(b"\n")
                raise DeliveryError(
                    f"{path.name}: line {line} is not UTF-8; save the file as UTF-8"
                ) from None
            line += block.count(b"\n")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _unreadable(path: Path, error: duckdb.Error) -> str:
    """Say where a file breaks. DuckDB's own message quotes the record, which holds patient data."""
    line = re.search(r"Line:?\s*(\d+)", str(error))
    where = f"line {line.group(1)}" if line else "an unknown line"
    return (
        f"{path.name}: {where} does not have as many fields as the header, or a quote is not "
        f"closed; correct that record and deliver the file again"
    )
