"""The audit trail: events in the private store of the work folder, each bound to the one before.

The hash of an event covers its own content and the hash before it, so that an event that is edited,
removed or moved breaks the chain at a place that can be named. Manifests hold the last hash at
their time: that is what shows a trail cut off at its end.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from expectations.tables import exist, rows
from pipeline.errors import CommandError, Exit, resources_error

STORE = "audit.duckdb"
STORE_MODE = 0o600
EVENTS = "events"
WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.05, 20.0
FIRST = "0" * 64
"""What the first event names as the hash before it."""

_CREATE = f"""
create table if not exists {EVENTS} (
    seq bigint not null,
    time varchar not null,
    kind varchar not null,
    actor varchar not null,
    detail varchar not null,
    previous varchar not null,
    hash varchar not null
)
"""


@dataclass(frozen=True)
class Event:
    """One thing that was done; `time` is UTC, `detail` JSON without a patient's values."""

    seq: int
    time: str
    kind: str
    actor: str
    detail: str
    previous: str
    hash: str

    def expected_hash(self) -> str:
        """Return the hash that the content should have."""
        content = json.dumps(astuple(self)[:-1], ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True)
class Break:
    """Where the trail stops being what was written, and how it shows."""

    seq: int
    because: str


@contextmanager
def store(work: Path, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the private store that outlives runs; it is made on first use, for its owner only."""
    path = work / STORE
    if not read_only and not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        _open(path, read_only=False).close()
        path.chmod(STORE_MODE)
    with _open(path, read_only=read_only) as connection:
        yield connection


def _open(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """Open the store, which whoever reads or writes has for a moment; wait for that to pass."""
    until = time.monotonic() + LONGEST_WAIT_SECONDS
    while True:
        try:
            return duckdb.connect(str(path), read_only=read_only, config={"threads": 1})
        except duckdb.Error as error:
            if ran_out := resources_error(str(error), path.parent):
                raise ran_out from None
            if "Could not set lock" not in str(error):
                raise CommandError(
                    f"{path} cannot be read: it is damaged, or not yours; restore it from its copy"
                ) from None
            if time.monotonic() > until:
                raise CommandError(
                    f"{path} is in use by another process; end it, or wait for it to end", Exit.BUSY
                ) from None
        time.sleep(WAIT_SECONDS)


def append(work: Path, kind: str, detail: dict[str, Any]) -> Event:
    """Write an event at the end of the trail and return it."""
    with store(work) as connection:
        connection.execute(_CREATE)
        last = _last(connection)
        unsealed = Event(
            seq=last.seq + 1 if last else 1,
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            kind=kind,
            actor=_actor(),
            detail=json.dumps(detail, sort_keys=True, ensure_ascii=False, default=str),
            previous=last.hash if last else FIRST,
            hash="",
        )
        event = Event(**{**asdict(unsealed), "hash": unsealed.expected_hash()})
        marks = ", ".join("?" for _ in fields(Event))
        connection.execute(f"insert into {EVENTS} values ({marks})", list(astuple(event)))
    return event


def events(work: Path) -> list[Event]:
    """Return the trail in the order in which it was written; empty if there is none."""
    if not (work / STORE).exists():
        return []
    with store(work, read_only=True) as connection:
        if not exist(connection, f"main.{EVENTS}"):
            return []
        return [Event(**row) for row in rows(connection, f"select * from {EVENTS} order by seq")]


def last_key_id(work: Path) -> str | None:
    """Return the id of the key that was used last, by a run or to land; None before the first."""
    known = [told["key_id"] for told in map(_detail, events(work)) if "key_id" in told]
    return known[-1] if known else None


def key_id_of(work: Path, run_id: str | None) -> str | None:
    """Return the id of the key that a run began with; None if the trail does not tell."""
    told = [one for one in map(_detail, events(work)) if one.get("run_id", "") == run_id]
    return next((one["key_id"] for one in told if "key_id" in one), None)


def head(work: Path) -> dict[str, Any] | None:
    """Return seq and hash of the last event; None if there is none."""
    trail = events(work)
    return {"seq": trail[-1].seq, "hash": trail[-1].hash} if trail else None


def verify(trail: list[Event]) -> Break | None:
    """Return the first event that is not what was written there; None if all are."""
    previous = FIRST
    for place, event in enumerate(trail, start=1):
        if event.seq != place:
            return Break(place, f"event {event.seq} stands in its place")
        if event.previous != previous:
            return Break(place, "it does not follow from the event before it")
        if event.hash != event.expected_hash():
            return Break(place, "its content was changed")
        previous = event.hash
    return None


def _detail(event: Event) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(event.detail)
    return told


def _last(connection: duckdb.DuckDBPyConnection) -> Event | None:
    found = rows(connection, f"select * from {EVENTS} order by seq desc limit 1")
    return Event(**found[0]) if found else None


def _actor() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
