"""Lands a delivery: a folder of CSV files becomes raw tables.

`dbt build` does so through pipeline/dbt_plugin.py, and `rwe build` before it. Folder and headers
are checked before a row is read; every value stays text; every row gets its number, its hash and,
in place of the patient's number, a pseudonym. What was landed lies in `<work>/deliveries/<seq>/raw`
as Parquet; the tables of the schema raw are views of it. Of a patient who was erased
(pipeline/erase.py) nothing is landed but that the rows were there.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pipeline import audit, faults, ledger, resources
from pipeline.archive import ROW_HASH_VERSION, archived, blank_records, records_of, row_hash_sql
from pipeline.contract import CONTRACT_FILE, RID_SHIFT, Contract, Table, read_contract
from pipeline.delivered_folder import (
    SENDERS_MANIFEST,
    folder_faults,
    header_faults,
    senders_manifest,
    unlike,
)
from pipeline.ledger import Delivery
from pipeline.pseudonyms import erasure_digest, key_id, load_key, pseudonym, require_key
from pipeline.reader import (
    DeliveryError,
    Inspected,
    inspect,
    quoted,
    write_records,
)
from pipeline.unpack import unpack

FILES_AT_ONCE = 2  # hashing and compressing one leave time to decode another
FILES_A_DELIVERY = 100  # file_id = 100 * seq + number of the table in the contract
LANDING = ".landing-"
"""How the name begins of the folder in the work folder in which a delivery is taken in."""

ERASED = "erased"
"""What stands for the reason of a row of which nothing else is kept."""
KEY_USED, ERASED_CAME_BACK = "key first used", "erased patient delivered again"
"""How the audit trail calls that a delivery was landed under another key than what came before,
and that rows of erased patients were left out of it."""

FILES_SCHEMA = pa.schema(
    {
        "file_id": pa.int64(),
        "delivery_seq": pa.int32(),
        "table_name": pa.string(),
        "file_name": pa.string(),
        "size_bytes": pa.int64(),
        "sha256": pa.string(),
        "encoding": pa.string(),
        "contract_version": pa.int32(),
        "row_hash_version": pa.int32(),
        "n_records": pa.int64(),
        "n_before": pa.int64(),
        "undeclared_columns": pa.string(),
    }
)
RAW_FILES = FILES_SCHEMA.append(pa.field("n_superseded", pa.int64())).append(
    pa.field("n_erased", pa.int64())
)

Row = dict[str, Any]


def land(folder: Path, work: Path, *, allow_older: bool = False) -> Delivery:
    """Read a delivery folder into `work` and enter it in the ledger; once, if it comes again.

    A folder `<work>/deliveries/<seq>` is what was landed from it before. Raises DeliveryError with
    every fault of folder and headers, not only the first; and if the extract is older than one that
    was published. CommandError if the key of the pseudonyms is not as `require_key` wants it.
    """
    if folder.parent == ledger.landed(work, 0).parent:
        return _landed_before(folder, work)
    contract = read_contract()
    names = {table.file_name for table in contract.tables.values()} | {SENDERS_MANIFEST}
    work.mkdir(parents=True, exist_ok=True)
    last = audit.last_key_id(work)
    now = require_key(last, work)
    for killed in work.glob(f"{LANDING}*"):
        shutil.rmtree(killed)
    resources.remove_spilled(work)
    with tempfile.TemporaryDirectory(dir=work, prefix=LANDING) as scratch:
        if folder.suffix == ".zip" and folder.is_file():
            folder = unpack(folder, names, Path(scratch) / "unpacked")
        if wrong := folder_faults(folder, names):
            raise _refused(folder, wrong)
        declared, wrong = senders_manifest(folder)
        if wrong:
            raise _refused(folder, wrong)
        landing = _Landing(folder, work, Path(scratch), contract, declared)
        inspected = landing.inspect()
        identity = _identity(inspected)
        known = ledger.deliveries(work)
        if same := next((d for d in known if d.identity == identity), None):
            _refuse_older(same, known, allow_older=allow_older)
            if not allow_older:
                _refuse_overtaken(same, known)
            return same
        about = landing.about(inspected["delivery"])
        delivery = Delivery(
            seq=max((d.seq for d in known), default=0) + 1,
            identity=identity,
            delivery_id=about.get("delivery_id"),
            site_code=about.get("site_code"),
            extract_date=about.get("extract_date"),
            covers=_covers(about, contract, folder),
            base_seq=None,
        )
        delivery = replace(delivery, base_seq=_base(delivery, known, folder))
        _refuse_older(delivery, known, allow_older=allow_older)
        if base := next((d for d in known if d.seq == delivery.base_seq), None):
            _refuse_another_key(folder, work, base)
            _refuse_gaps(folder, work, base, inspected)
            _refuse_mixture(folder, work, base, about)
        before = ledger.last_published(known, delivery.site_code)
        stood = ledger.state(known, before.seq) if before else []
        n_erased = landing.write(inspected, delivery, stood)
    if now != last:  # `rwe build` has told already
        audit.append(work, KEY_USED, {"delivery": delivery.seq, "key_id": now})
    ledger.record(work, delivery)
    if n_erased:
        audit.append(work, ERASED_CAME_BACK, {"delivery": delivery.seq, "n_records": n_erased})
    return delivery


def _landed_before(folder: Path, work: Path) -> Delivery:
    found = [d for d in ledger.deliveries(work) if str(d.seq) == folder.name]
    if not found or not ledger.raw_folder(work, found[0].seq).exists():
        raise _refused(folder, ["nothing was landed here"])
    return found[0]


def raw_views(work: Path, standing: list[Delivery]) -> list[str]:
    """Return SQL that makes the raw tables of the deliveries that stand, as views of their Parquet.

    A patient whom a later delivery names is read from that delivery alone.
    """
    contract = read_contract()
    statements = ["create schema if not exists raw"]
    for table in contract.tables.values():
        parts = []
        for number, delivery in enumerate(standing):
            later = standing[number + 1 :]
            if later and not table.patient_column:
                continue
            path = ledger.raw_folder(work, delivery.seq) / f"{table.name}.parquet"
            names = [c.name for c in table.columns if c.role != "patient"]
            header = _first_rid(table, delivery.seq)
            columns = ", ".join(
                [
                    "src_rid",
                    f"coalesce(line_no, src_rid - {header} + 1) as line_no",
                    *(["patient_key"] if table.patient_column else []),
                    *(f'"{name}"' for name in names),
                    "lower(hex(row_hash)) as row_hash",
                    "load_fault",
                    "duplicate_of",
                ]
            )
            conditions = [
                f"load_fault is distinct from '{ERASED}'",
                *(_not_among(patients_of(work, other)) for other in later),
            ]
            parts.append(
                f"select {columns} from read_parquet('{quoted(path)}') "
                f"where {' and '.join(conditions)}"
            )
        statements.append(
            f"create or replace view raw.{table.name} as " + " union all ".join(parts)
        )
    return statements


def patients_of(work: Path, delivery: Delivery) -> Path:
    """Return the landed rows that name, as `patient_key`, the patients of a delivery."""
    return ledger.raw_folder(work, delivery.seq) / "patients.parquet"


def among(patients: Path) -> str:
    """Return the SQL condition that a row is of a patient whom a Parquet file names."""
    return (
        f"patient_key in (select patient_key from read_parquet('{quoted(patients)}') "
        "where patient_key is not null)"
    )


def _not_among(patients: Path) -> str:
    return f"(patient_key is null or not {among(patients)})"


def files(work: Path, standing: list[Delivery]) -> pa.Table:
    """Return one row for each table of the deliveries that stand: `raw.files`."""
    contract = read_contract()
    found: list[Row] = []
    with resources.in_memory(work) as connection:
        for number, delivery in enumerate(standing):
            folder = ledger.raw_folder(work, delivery.seq)
            later = standing[number + 1 :]
            for row in _rows(connection, f"select * from '{quoted(folder / 'files.parquet')}'"):
                table = contract.tables[row["table_name"]]
                replaced = " or ".join(
                    f"not {_not_among(patients_of(work, other))}"
                    if table.patient_column
                    else "true"
                    for other in later
                )
                counts = _rows(
                    connection,
                    f"select count(*) filter (where load_fault = '{ERASED}') as n_erased, "
                    f"count(*) filter (where load_fault is distinct from '{ERASED}' "
                    f"and ({replaced or 'false'})) as n_superseded "
                    f"from '{quoted(folder / table.name)}.parquet'",
                )
                found.append({**row, **counts[0]})
    return pa.Table.from_pylist(sorted(found, key=lambda row: row["file_id"]), RAW_FILES)


@dataclass(frozen=True)
class _Landing:
    """One delivery on its way into the work folder."""

    folder: Path
    work: Path
    scratch: Path
    contract: Contract
    declared: dict[str, Row]  # what the sender says, by file

    @property
    def archive(self) -> Path:
        """Where the delivered bytes lie until the delivery is accepted."""
        return self.scratch / "archive"

    def inspect(self) -> dict[str, Inspected]:
        """Check the bytes and the header of every file; return what was found by table."""
        wrong: list[str] = []
        found: dict[str, Inspected] = {}
        present: list[Table] = []
        for table in self.contract.tables.values():
            if (self.folder / table.file_name).exists():
                present.append(table)
            elif table.required or table.file_name in self.declared:
                why = "this file is required" if table.required else "manifest.csv lists it"
                wrong.append(f"{table.file_name}: missing; {why}")
        with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
            for table, inspected in zip(present, pool.map(self._inspected, present), strict=True):
                if isinstance(inspected, DeliveryError):
                    wrong.append(str(inspected.msg))
                    continue
                said = self.declared.get(table.file_name, {})
                wrong += [*header_faults(table, inspected.header), *unlike(inspected, said)]
                found[table.name] = inspected
        if wrong:
            raise _refused(self.folder, wrong)
        return found

    def _inspected(self, table: Table) -> Inspected | DeliveryError:
        said = self.declared.get(table.file_name, {})
        try:
            return inspect(
                self.folder / table.file_name,
                encoding=said.get("encoding") or "utf-8",
                archive=self.archive,
                scratch=self.scratch,
            )
        except DeliveryError as error:
            return error

    def about(self, inspected: Inspected) -> Row:
        """Return what the delivery says of itself, as written."""
        with duckdb.connect(config={"threads": 1}) as connection:
            read = self.scratch / "delivery.records.parquet"
            write_records(connection, inspected, read)
            found = connection.execute(
                f"select * from read_parquet('{quoted(read)}', file_row_number = true) "
                "order by file_row_number limit 2"
            ).fetchall()
        if len(found) > 1:
            raise _refused(self.folder, ["delivery.csv: has more than one row; give it one"])
        names = inspected.header
        return {
            name: value.strip()
            for row in found
            for name, value in zip(names, row, strict=False)
            if isinstance(value, str) and value.strip()
        }

    def write(
        self, inspected: dict[str, Inspected], delivery: Delivery, before: list[Delivery]
    ) -> int:
        """Write one Parquet file a table and the list of files; they appear all at once.

        `before` are the deliveries that stood. Returns how many rows were left out because they are
        of patients who were erased.
        """
        counted: Counter[str] = Counter()
        for row in files(self.work, before).to_pylist():
            counted[row["table_name"]] += row["n_records"] - row["n_superseded"] - row["n_erased"]
        folder = self.scratch / "raw"
        folder.mkdir()
        rows = []
        with resources.in_memory(self.scratch) as connection:
            connection.execute("create table pseudonyms (number varchar, patient_key varchar)")
            for table in self.contract.tables.values():
                faults.point("load")
                found = inspected.get(table.name)
                written = folder / f"{table.name}.parquet"
                _write_table(
                    connection,
                    table,
                    found,
                    self.scratch,
                    written,
                    first=_first_rid(table, delivery.seq),
                    site_code=delivery.site_code or "",
                )
                row = _file_row(connection, table, found, written)
                said = self.declared.get(table.file_name, {}).get("n_records")
                if said and said != str(row["n_records"]):
                    raise _refused(
                        self.folder,
                        [f"{table.file_name}: has not as many records as manifest.csv says"],
                    )
                rows.append(
                    {
                        **row,
                        "file_id": _file_id(table, delivery.seq),
                        "delivery_seq": delivery.seq,
                        "n_before": counted[table.name] if before else None,
                    }
                )
            if delivery.covers == "changes":
                self._refuse_unnamed(connection, inspected, folder)
                self._refuse_lost(connection, delivery, folder)
            n_erased = self._leave_out_erased(connection, inspected, delivery, folder)
            connection.register("rows", pa.Table.from_pylist(rows, FILES_SCHEMA))
            connection.execute(f"copy rows to '{quoted(folder / 'files.parquet')}'")
        target = ledger.raw_folder(self.work, delivery.seq)
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.work / "archive").mkdir(exist_ok=True)
        for found in inspected.values():
            name = archived(self.scratch, found.sha256)
            name.replace(archived(self.work, found.sha256))
        folder.rename(target)
        return n_erased

    def _refuse_unnamed(
        self, connection: duckdb.DuckDBPyConnection, inspected: Collection[str], folder: Path
    ) -> None:
        """Refuse changes of a patient whom they do not name: both records would stand."""
        named = among(folder / "patients.parquet")
        wrong = []
        for table in self.contract.tables.values():
            if table.patient_column and table.name in inspected:
                (count,) = connection.execute(
                    f"select count(distinct patient_key) from '{quoted(folder / table.name)}"
                    f".parquet' where patient_key is not null and not {named}"
                ).fetchone() or (0,)
                if count:
                    wrong.append(
                        f"{table.file_name}: has rows of {count:,} patients without a readable "
                        "record in patients.csv; changes bring each patient whole"
                    )
        if wrong:
            raise _refused(self.folder, wrong)

    def _refuse_lost(
        self, connection: duckdb.DuckDBPyConnection, delivery: Delivery, folder: Path
    ) -> None:
        """Refuse changes that leave out patients of earlier ones that were never published.

        They change what was published last: what came in between stands nowhere else.
        """
        named = among(folder / "patients.parquet")
        wrong = []
        for earlier in ledger.passed_over(ledger.deliveries(self.work), delivery):
            if earlier.covers == "all":  # which of its patients changed is not known; a build warns
                continue
            (count,) = connection.execute(
                "select count(distinct patient_key) from "
                f"'{quoted(patients_of(self.work, earlier))}' "
                f"where patient_key is not null and not {named}"
            ).fetchone() or (0,)
            if count:
                wrong.append(
                    f"patients.csv: does not name {count:,} patients of the changes "
                    f"{earlier.delivery_id} of {earlier.extract_date}, which were not published "
                    "and would be lost; deliver these patients too, or all patients once"
                )
        if wrong:
            raise _refused(self.folder, wrong)

    def _leave_out_erased(
        self,
        connection: duckdb.DuckDBPyConnection,
        inspected: dict[str, Inspected],
        delivery: Delivery,
        folder: Path,
    ) -> int:
        """Empty the rows and the archived records of patients who were erased; count them."""
        key = load_key()
        known = ledger.erased(self.work, key_id(key))
        if not known:
            return 0

        @cache
        def is_erased(patient_key: str) -> bool:
            return erasure_digest(patient_key, key) in known

        def belongs(number: str) -> bool:
            return is_erased(pseudonym(delivery.site_code or "", number, key))

        pseudonyms = connection.execute("select patient_key from pseudonyms").fetchall()
        gone = [patient_key for (patient_key,) in pseudonyms if is_erased(patient_key)]
        n_erased = 0
        for name, found in inspected.items():
            table, rows = self.contract.tables[name], folder / f"{name}.parquet"
            # Only a record that could not be read may hide a number that is not in the table.
            suspected = table.patient_column and connection.execute(
                f"select count(*) from '{quoted(rows)}' "
                "where load_fault is not null or list_contains(?, patient_key)",
                [gone],
            ).fetchone() != (0,)
            if suspected:
                stored = archived(self.scratch, found.sha256)
                record_nos = records_of(stored, found.encoding, table, belongs)
                blank_rows(
                    connection, rows, [_first_rid(table, delivery.seq) + n for n in record_nos]
                )
                rewrite(self.work, stored, found.sha256, found.encoding, table, record_nos)
                n_erased += len(record_nos)
        return n_erased


def _write_table(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    found: Inspected | None,
    scratch: Path,
    target: Path,
    *,
    first: int,
    site_code: str,
) -> None:
    """Write the rows of one table, numbered from `first`; a file that is not there has none."""
    source = "(select 0 as file_row_number limit 0)"
    if found:
        records = scratch / f"{table.name}.records.parquet"
        write_records(connection, found, records)
        source = f"read_parquet('{quoted(records)}', file_row_number = true)"
    present = {row[0] for row in connection.execute(f"describe select * from {source}").fetchall()}
    extra = _undeclared(table, found)

    def own(name: str, kind: str = "varchar") -> str:
        return f'"{name}"' if name in present else f'cast(null as {kind}) as "{name}"'

    as_json = ", ".join(f'"{name}" := "{name}"' for name in extra)
    read = ", ".join(
        [
            *(own(column.name) for column in table.columns),
            own("line_no", "bigint"),
            own("load_fault"),
            f"{first} + file_row_number + 1 as src_rid",
            (
                f"cast(to_json(struct_pack({as_json})) as varchar)"
                if extra
                else "cast(null as varchar)"
            )
            + " as undeclared",
        ]
    )
    delivered = f"(select {read} from {source})"
    key, join = "", ""
    if patient := table.patient_column:
        _add_pseudonyms(connection, site_code, f"select distinct trim({patient}) from {delivered}")
        key = "patient_key, "
        join = f" left join pseudonyms on trim(delivered.{patient}) = pseudonyms.number"
    columns = ", ".join(f"delivered.{c.name}" for c in table.columns if c.role != "patient")
    connection.execute(
        f"copy (select src_rid, {key}{columns}, line_no, load_fault, undeclared, "
        f"case when load_fault is null then {row_hash_sql(table)} end as row_hash, "
        f"cast(null as bigint) as duplicate_of from {delivered} as delivered{join}) "
        f"to '{quoted(target)}' (format parquet)"
    )
    _mark_duplicates(connection, target)


def blank_rows(
    connection: duckdb.DuckDBPyConnection, rows: Path, src_rids: Collection[int]
) -> None:
    """Write the Parquet of a table anew; of these rows nothing is left but that they were there."""
    if not src_rids:
        return
    blanked = rows.with_suffix(".blanked")
    names = [name for name, *_ in connection.execute(f"describe from '{quoted(rows)}'").fetchall()]

    def left(name: str) -> str:
        if name == "src_rid":
            return name
        instead = f"'{ERASED}'" if name == "load_fault" else "null"
        return f'case when src_rid in (from gone) then {instead} else "{name}" end as "{name}"'

    values = ", ".join(map(left, names))
    connection.execute(
        "create or replace temp table gone as select unnest(?::bigint[]) as src_rid",
        [list(src_rids)],
    )
    connection.execute(
        f"copy (select {values} from '{quoted(rows)}') to '{quoted(blanked)}' (format parquet)"
    )
    blanked.replace(rows)


def rewrite(
    work: Path, stored: Path, sha256: str, encoding: str, table: Table, record_nos: Collection[int]
) -> None:
    """Empty these records of an archived file and note in the ledger what it holds now."""
    if record_nos:
        partial = stored.with_suffix(".part")
        holds_now = blank_records(stored, encoding, table, record_nos, partial)
        ledger.note_rewritten(work, sha256, holds_now)
        partial.replace(stored)


def _undeclared(table: Table, found: Inspected | None) -> list[str]:
    names = {c.name for c in table.columns}
    return [name for name in found.header if name not in names] if found else []


def _mark_duplicates(connection: duckdb.DuckDBPyConnection, target: Path) -> None:
    """Let a row that repeats an earlier one, value for value, name it; most files have none."""
    repeated = (
        f"select row_hash, min(src_rid) as first_rid from '{quoted(target)}' "
        "where row_hash is not null group by row_hash having count(*) > 1"
    )
    if connection.execute(f"select exists ({repeated})").fetchone() != (True,):
        return
    marked = target.with_suffix(".marked")
    connection.execute(
        "copy (select rows.* replace (nullif(first_rid, src_rid) as duplicate_of) "
        f"from '{quoted(target)}' as rows left join ({repeated}) as repeated using (row_hash)) "
        f"to '{quoted(marked)}' (format parquet)"
    )
    marked.replace(target)


def _file_row(
    connection: duckdb.DuckDBPyConnection, table: Table, found: Inspected | None, written: Path
) -> Row:
    return {
        "table_name": table.name,
        "file_name": table.file_name if found else None,
        "size_bytes": found.size_bytes if found else None,
        "sha256": found.sha256 if found else None,
        "encoding": found.encoding if found else None,
        "contract_version": read_contract().version,
        "row_hash_version": ROW_HASH_VERSION,
        "undeclared_columns": ", ".join(_undeclared(table, found)) or None,
        **_rows(connection, f"select count(*) as n_records from '{quoted(written)}'")[0],
    }


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    found: list[Row] = connection.execute(query).to_arrow_table().to_pylist()
    return found


def _add_pseudonyms(connection: duckdb.DuckDBPyConnection, site_code: str, numbers: str) -> None:
    key = load_key()
    fresh = connection.execute(
        f"select number from ({numbers}) as found (number) "
        "where number <> '' and number not in (select number from pseudonyms)"
    ).fetchall()
    if fresh:
        connection.register(
            "fresh",
            pa.table(
                {
                    "number": pa.array([number for (number,) in fresh], pa.string()),
                    "patient_key": pa.array(
                        [pseudonym(site_code, n, key) for (n,) in fresh], pa.string()
                    ),
                }
            ),
        )
        connection.execute("insert into pseudonyms select * from fresh")
        connection.unregister("fresh")


def _file_id(table: Table, seq: int) -> int:
    return seq * FILES_A_DELIVERY + table.file_id


def _first_rid(table: Table, seq: int) -> int:
    return _file_id(table, seq) << RID_SHIFT


def _identity(inspected: dict[str, Inspected]) -> str:
    """Name a delivery by its content and by all that decides how its rows are landed."""
    parts = {
        "contract": hashlib.sha256(CONTRACT_FILE.read_bytes()).hexdigest(),
        "key": hashlib.sha256(load_key()).hexdigest(),
        "row_hash": str(ROW_HASH_VERSION),
        **{name: f"{found.encoding} {found.sha256}" for name, found in inspected.items()},
    }
    return hashlib.sha256(repr(sorted(parts.items())).encode()).hexdigest()


def _covers(about: Row, contract: Contract, folder: Path) -> str:
    """What a delivery says that it covers; all patients where it says nothing."""
    column = next(c for c in contract.tables["delivery"].columns if c.name == "covers")
    covers = column.code(about.get("covers", "all"))
    if covers is None:
        raise _refused(
            folder, [f"delivery.csv: covers is neither {' nor '.join(column.codes or ())}"]
        )
    return covers


def _base(delivery: Delivery, known: list[Delivery], folder: Path) -> int | None:
    if delivery.covers == "all":
        return None
    last = ledger.last_published(known, delivery.site_code)
    if last is None:
        raise _refused(
            folder,
            ["delivery.csv: covers changes, but no delivery of this site was published before"],
        )
    return last.seq


def _refuse_another_key(folder: Path, work: Path, base: Delivery) -> None:
    """Refuse changes under another key: nobody would be recognised, and everybody stand twice."""
    now = key_id(load_key())
    if audit.key_id_of(work, base.accepted_run) not in (None, now):
        raise _refused(
            folder,
            [
                "delivery.csv: covers changes, but the pseudonyms of what they change were made "
                "with another key; deliver all patients once, or restore that key"
            ],
        )


def _refuse_gaps(folder: Path, work: Path, base: Delivery, inspected: Collection[str]) -> None:
    """Refuse changes without a file that the site delivers: no rows, or nothing known of them?

    Nor may they bring one that it did not: what it holds would be unknown of the other patients.
    """
    held = {row["table_name"]: row["file_name"] for row in files(work, [base]).to_pylist()}
    gaps = [
        f"{file_name}: missing; changes bring every file of the delivery that they change, "
        "if only its header"
        for name, file_name in held.items()
        if file_name and name not in inspected
    ] + [
        f"{name}.csv: the delivery that these changes change did not bring this file; deliver all "
        "patients once"
        for name in inspected
        if not held.get(name)
    ]
    if gaps:
        raise _refused(folder, gaps)


def _refuse_mixture(folder: Path, work: Path, base: Delivery, about: Row) -> None:
    """Refuse changes that call patients invented where others are real, or the other way.

    What is published of all of them would follow the changes.
    """
    columns = read_contract().tables["delivery"].columns
    (synthetic,) = (column for column in columns if column.name == "synthetic")
    with duckdb.connect() as connection:
        rows = ledger.raw_folder(work, base.seq) / "delivery.parquet"
        before = connection.execute(f"select synthetic from '{quoted(rows)}'").fetchall()
    said = [synthetic.code(text or "") == "yes" for (text,) in before]
    if said != [synthetic.code(about.get("synthetic", "")) == "yes"]:
        raise _refused(
            folder,
            [
                "delivery.csv: synthetic is not what the delivery that these changes change says; "
                "a warehouse holds invented patients or real ones"
            ],
        )


def _refuse_older(delivery: Delivery, known: list[Delivery], *, allow_older: bool) -> None:
    newer = [
        d
        for d in known
        if d.accepted_run
        and d.site_code == delivery.site_code
        and (d.extract_date or "") > (delivery.extract_date or "")
    ]
    if newer and not allow_older:
        raise DeliveryError(
            f"The extract was drawn on {delivery.extract_date}, before the one that is published "
            f"({newer[-1].extract_date}); it would take corrections back. To go back on purpose, "
            "set --vars 'allow_older: true', or give --allow-older to rwe build."
        )


def _refuse_overtaken(delivery: Delivery, known: list[Delivery]) -> None:
    """Refuse changes landed before what is published: what that one changed would be lost."""
    last = ledger.last_published(known, delivery.site_code)
    standing = ledger.state(known, delivery.seq)
    if delivery.covers == "changes" and last and last.seq not in {d.seq for d in standing}:
        raise DeliveryError(
            f"These changes ({delivery.delivery_id}) came before the delivery that is published "
            f"({last.delivery_id}) and do not stand on it; what that one changed would be lost. "
            "Deliver them anew, under another delivery_id. To go back on purpose, "
            "set --vars 'allow_older: true', or give --allow-older to rwe build."
        )


def _refused(folder: Path, wrong: list[str]) -> DeliveryError:
    return DeliveryError(
        f"The delivery {folder} cannot be read:\n"
        + "\n".join(f"  - {fault}" for fault in wrong)
        + "\nThe contract is docs/extract_contract.md. "
        "Name another folder to rwe build, or to dbt with --vars 'delivery: FOLDER'; "
        "`rwe demo` makes the demo extract."
    )
