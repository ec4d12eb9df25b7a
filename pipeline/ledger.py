"""The ledger of deliveries: what came when, what stands now, and what a later delivery changed.

It lies in `<work>/audit.duckdb`, which outlives runs and is never published. A delivery covers
`all` patients of the site, and then replaces what stood before; or it covers `changes`: the
patients it names, each whole, stand in place of what was known of them. What came earlier is kept.
Of a patient who was erased it keeps a digest, and which archived files were rewritten.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from expectations.tables import exist
from pipeline import audit

DDL = """
create table if not exists deliveries (
    seq integer primary key,
    identity varchar not null,      -- SHA-256 over files, contract, key: the same delivery again
    delivery_id varchar,
    site_code varchar,
    extract_date varchar,           -- YYYY-MM-DD as delivered
    covers varchar not null,        -- all | changes
    base_seq integer,               -- of changes: the delivery they change
    landed_at timestamptz not null default now(),
    accepted_run varchar,           -- the first published run that was built from it
    accepted_at timestamptz         -- the last time that one was
);
create table if not exists erased (
    digest varchar primary key,     -- of the pseudonym, under the same key; no pseudonym is kept
    key_id varchar not null,
    erased_at timestamptz not null default now()
);
create table if not exists rewritten (
    sha256 varchar primary key,     -- of the file as delivered: its name in the archive
    archived_sha256 varchar not null, -- of what the archive holds since
    rewritten_at timestamptz not null default now()
)
"""

ERASING = ".erasing-"
"""How the file begins, in the work folder, of what an erasure that has not ended searches for."""

COLUMNS = "seq, identity, delivery_id, site_code, extract_date, covers, base_seq, accepted_run"
ACCEPTANCE = (
    "case when accepted_run is null then 0 else row_number() over (order by accepted_at) end"
)


@dataclass(frozen=True)
class Delivery:
    """One delivery; `accepted_run` is the first published run that was built from it.

    Of those that were published, `acceptance` says in which order they last were.
    """

    seq: int
    identity: str
    delivery_id: str | None
    site_code: str | None
    extract_date: str | None
    covers: str
    base_seq: int | None
    accepted_run: str | None = None
    acceptance: int = 0


def landed(work: Path, seq: int) -> Path:
    """Return the folder of what was landed from a delivery."""
    return work / "deliveries" / str(seq)


def raw_folder(work: Path, seq: int) -> Path:
    """Return where the rows of a delivery lie, one Parquet file a table."""
    return landed(work, seq) / "raw"


def landed_bytes(work: Path, seq: int) -> int:
    """Return how many bytes the rows of a delivery take."""
    return sum(path.stat().st_size for path in raw_folder(work, seq).glob("*.parquet"))


@contextmanager
def _opened(work: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the ledger to write in it."""
    with audit.store(work) as connection:
        connection.execute(DDL)
        yield connection


def _found(work: Path, table: str, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Answer a query of one table; nothing is found, and nothing made, where there is no ledger."""
    if not (work / audit.STORE).exists():
        return []
    with audit.store(work, read_only=True) as connection:
        if not exist(connection, f"main.{table}"):
            return []
        return connection.execute(query, list(parameters)).fetchall()


def deliveries(work: Path) -> list[Delivery]:
    """Return every delivery, in the order in which they came."""
    found = _found(
        work, "deliveries", f"select {COLUMNS}, {ACCEPTANCE} from deliveries order by seq"
    )
    return [Delivery(*row) for row in found]


def record(work: Path, delivery: Delivery) -> None:
    """Enter a delivery whose rows have been landed."""
    with _opened(work) as connection:
        connection.execute(
            f"insert into deliveries ({COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                delivery.seq,
                delivery.identity,
                delivery.delivery_id,
                delivery.site_code,
                delivery.extract_date,
                delivery.covers,
                delivery.base_seq,
                delivery.accepted_run,
            ],
        )


def accept(work: Path, seq: int, run_id: str) -> None:
    """Note that a run built from this delivery was published."""
    with _opened(work) as connection:
        connection.execute(
            "update deliveries set accepted_run = coalesce(accepted_run, ?), accepted_at = "
            # Clocks may go back; what was published last has not.
            "greatest(now(), (select max(accepted_at) + interval 1 microsecond from deliveries)) "
            "where seq = ?",
            [run_id, seq],
        )


def last_published(known: list[Delivery], site_code: str | None) -> Delivery | None:
    """Return the delivery of a site that the last published run of it was built from."""
    accepted = [d for d in known if d.accepted_run and d.site_code == site_code]
    return max(accepted, key=lambda d: d.acceptance, default=None)


def state(known: list[Delivery], seq: int) -> list[Delivery]:
    """Return the deliveries that stand after delivery `seq`: one that covers all, then changes."""
    by_seq = {delivery.seq: delivery for delivery in known}
    chain = [by_seq[seq]]
    while chain[0].covers == "changes" and chain[0].base_seq is not None:
        chain.insert(0, by_seq[chain[0].base_seq])
    return chain


def passed_over(known: list[Delivery], changes: Delivery) -> list[Delivery]:
    """Return what a site delivered between some changes and what they change: never published."""
    return [
        earlier
        for earlier in known
        if changes.base_seq is not None
        and earlier.accepted_run is None
        and earlier.site_code == changes.site_code
        and changes.base_seq < earlier.seq < changes.seq
        and earlier.base_seq in (None, changes.base_seq)
    ]


def erase(work: Path, digest: str, key_id: str) -> None:
    """Enter a patient who was erased."""
    with _opened(work) as connection:
        connection.execute(
            "insert or ignore into erased (digest, key_id) values (?, ?)", [digest, key_id]
        )


def erased(work: Path, key_id: str) -> frozenset[str]:
    """Return the digests of the patients who were erased, under this key."""
    found = _found(work, "erased", "select digest from erased where key_id = ?", key_id)
    return frozenset(digest for (digest,) in found)


def erased_under_other_keys(work: Path, key_id: str) -> int:
    """Count the patients who were erased and cannot be recognised under this key."""
    return len(_found(work, "erased", "select digest from erased where key_id <> ?", key_id))


def unfinished_erasures(work: Path) -> list[Path]:
    """Return the notes of erasures that have not ended; each tells whom it is of."""
    return sorted(work.glob(f"{ERASING}*.json"))


def note_rewritten(work: Path, sha256: str, archived_sha256: str) -> None:
    """Note what the archive holds in place of a delivered file."""
    with _opened(work) as connection:
        connection.execute(
            "insert or replace into rewritten (sha256, archived_sha256) values (?, ?)",
            [sha256, archived_sha256],
        )


def rewritten(work: Path) -> dict[str, str]:
    """Return the SHA-256 of what the archive holds, by that of the file as delivered."""
    return dict(_found(work, "rewritten", "select sha256, archived_sha256 from rewritten"))
