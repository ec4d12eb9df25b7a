"""How `dbt build` takes in a delivery: the dbt-duckdb plugin `delivery`.

dbt-duckdb calls `Plugin.load` when a model or a hook names a source of the extract contract. It is
a module of its own because dbt is slow to import, and most commands do without.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.duckdb.utils import SourceConfig
from dbt.flags import get_flags

from pipeline import ledger, lock, resources
from pipeline.delivery import files, land, raw_views
from pipeline.errors import CommandError, as_command_error
from pipeline.reader import DeliveryError

DATABASE_VARIABLE = "RWE_DATABASE"
DELIVERY_VARIABLE = "RWE_DELIVERY"
ONLY_CHANGES_VARIABLE = "RWE_ONLY_CHANGES"
"""How to tell what differs between runs. Read here and not by dbt, which parses what reads a
variable of dbt or of the environment anew whenever it differs."""

READS = ("compile", "generate", "show")
"""The commands of dbt that read what was built; `generate` is that of `dbt docs`."""

_told: Mapping[str, str] = {}


@contextmanager
def telling(told: Mapping[str, str]) -> Iterator[None]:
    """Let the plugin read these variables in place of the environment's.

    The environment itself may not be changed while a thread copies: DuckDB reads it without
    Python's lock, and a process whose environment moves meanwhile dies.
    """
    global _told
    _told = told
    try:
        yield
    finally:
        _told = {}


def _variable(name: str, otherwise: str) -> str:
    return _told.get(name) or os.environ.get(name, otherwise)


class Plugin(BasePlugin):
    """The dbt-duckdb plugin `delivery`."""

    def update_connection_config(self, creds: DuckDBCredentials, config: dict[str, Any]) -> None:
        """Before DuckDB opens the build: it is private, and in one process's hands.

        RWE_DATABASE may name another file. In the profile it would be a reason for dbt to parse
        the project anew.
        """
        os.umask(resources.PRIVATE_UMASK)
        chosen = _variable(DATABASE_VARIABLE, creds.path)
        if Path(chosen).name != Path(creds.path).name:  # the models name DuckDB's database by it
            raise DeliveryError(
                f"{DATABASE_VARIABLE} names {chosen}; the file must be called "
                f"{Path(creds.path).name}, in any folder"
            )
        creds.path = chosen
        folder = Path(chosen).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.hold(folder)
        except (CommandError, OSError) as refused:
            raise DeliveryError(str(as_command_error(refused))) from None

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Keep the connection on which the raw views are made; give the build its limits."""
        resources.limit(conn)
        self.connection = conn

    def load(self, source_config: SourceConfig) -> pa.Table:
        """Land the delivery, make its raw views, and return `raw.files` as Arrow."""
        assert self.creds is not None
        work = Path(self.creds.path).resolve().parent
        if get_flags().WHICH in READS:
            raise DeliveryError(
                f"There is no build in {work}, which this command reads: first "
                "dbt build --vars 'delivery: FOLDER'"
            )
        meta = source_config.meta
        named = str(meta["folder"])  # YAML takes a folder 20210301 for a number
        folder = Path(_variable(DELIVERY_VARIABLE, named))
        try:
            delivery = land(folder, work, allow_older=str(meta["allow_older"]).lower() == "true")
        except CommandError as refused:
            raise DeliveryError(str(refused)) from None
        standing = ledger.state(ledger.deliveries(work), delivery.seq)
        read = [delivery] if _variable(ONLY_CHANGES_VARIABLE, "") == "True" else standing
        with self.connection.cursor() as cursor:
            resources.limit_to_need(cursor, sum(ledger.landed_bytes(work, d.seq) for d in read))
            for statement in raw_views(work, read):
                cursor.execute(statement)
        return files(work, standing)
