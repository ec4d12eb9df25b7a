"""Publishes a finished build: a de-identified copy in a folder of its own, then one pointer swap.

What is published: the columns that the seed published_columns allows, and the seeds themselves. No
date is ever published; days from the index date and the index year stand for it. Raw and staging
stay in the private build.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb

from expectations.tables import MARTS
from pipeline import anonymity, faults, resources
from pipeline.content import Content, content, is_held
from pipeline.delivery import among
from pipeline.errors import CommandError, Exit
from pipeline.paths import Layout
from pipeline.reader import quoted

RESULTS = "results"
LISTED_SCHEMAS = (*MARTS, RESULTS)
REFERENCE = "reference"
"""The seeds: rules and code lists without patients; all of them are published."""
PUBLISHED = (*LISTED_SCHEMAS, REFERENCE)
TARGET, BEFORE = "published", "before"
"""The names under which the file to publish is attached to the build, and an earlier run to it."""
LOW_PRIORITY = 10
REPLACED = "replaced_rows"
"""Temporary table of the rows, in one table, of the patients whom a build replaces."""
WAREHOUSE = "warehouse.duckdb"
"""The published file of a run."""
ALLOW_LIST = "seeds/publication/published_columns.csv"
DATES = ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")
PUBLISHED_MODE = 0o640
PUBLISHED_FOLDER_MODE = 0o750
UNFINISHED = ".unfinished."
"""How the names begin of what is not published yet."""


class Copy:
    """The publishable tables of a build on their way into a new file.

    Within a `with` block a thread copies what there is: most of it is DuckDB's work, for which the
    other core has time while dbt prepares a statement or the analysis computes. `unchanged` may
    begin before the build, `built` follows it, `results` the analysis, and `finish` waits for all.
    """

    def __init__(self, layout: Layout, target: Path) -> None:
        """Copy from the build of the layout to `target`, which must not exist."""
        self._layout, self._target = layout, target
        self._thread = ThreadPoolExecutor(max_workers=1, initializer=_give_way)
        self._begun: list[Future[None]] = []
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._stopped = False
        self._documented: dict[tuple[str, str], dict[str, Any]] = {}
        self._copied: dict[str, Content] = {}
        self._replaced: Path | None = None
        self._kept: dict[str, Content] = {}

    def __enter__(self) -> Copy:
        """Nothing is copied yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop copying, and let go of the files."""
        self._stopped = True
        self._thread.shutdown(wait=False, cancel_futures=True)
        while not all(task.done() for task in self._begun):
            if running := self._connection:
                with suppress(duckdb.Error):  # it may have ended meanwhile
                    running.interrupt()
            time.sleep(0.05)
        self._close()

    def unchanged(self, run: Path, held: Mapping[str, Content], replaced: Path) -> None:
        """Begin with the rows, in a published run, of patients whom the build does not replace.

        Parameters
        ----------
        run
            The folder of the run that was made of the build on which this one stands.
        held
            What its tables hold.
        replaced
            Parquet file whose column `patient_key` names those who are replaced.
        """
        self._replaced = replaced
        self._begun.append(self._thread.submit(self._copy_unchanged, run / WAREHOUSE, held))

    def built(self) -> None:
        """Begin to copy what dbt has built; raises CommandError if the disk has no room for it."""
        resources.require_space(self._layout.published, self._layout.warehouse.stat().st_size)
        schemas = [schema for schema in PUBLISHED if schema != RESULTS]
        self._begun.append(self._thread.submit(self._copy_built, schemas))

    def results(self) -> None:
        """Go on with what the analysis has computed."""
        self._begun.append(self._thread.submit(self._copy_built, [RESULTS]))

    def finish(self) -> dict[str, Content]:
        """Wait for the copy; return what each table holds, by schema.table.

        It is read again and compared with the build: raises CommandError if they differ. Nobody
        else may have the build open any more: as long as somebody has, DuckDB keeps the copy, too.
        """
        for task in self._begun:
            task.result()
        self._close()
        with duckdb.connect(str(self._target)) as connection:
            connection.execute("checkpoint")
        faults.point("publish")
        _verify(self._target, self._copied)
        return self._copied

    def _copy_unchanged(self, run: Path, held: Mapping[str, Content]) -> None:
        try:
            self._copy_kept(run, held)
        except duckdb.Error:  # that file may be damaged; the build is not
            self._kept.clear()
            self._target.unlink(missing_ok=True)

    def _copy_kept(self, run: Path, held: Mapping[str, Content]) -> None:
        try:
            connection = self._open(self._target)
            connection.execute("set threads = 1")  # the build has the other
            connection.execute(f"attach '{quoted(run)}' as {BEFORE} (read_only)")
            # What is withheld of a patient may follow from others, as every result does.
            others = {f"{schema}.{table}" for schema, table, _ in anonymity.WITHHELD}
            for name in sorted(held.keys() - others):
                schema, _, _ = name.partition(".")
                if self._stopped:
                    return
                if schema == RESULTS or "patient_key" not in held[name].columns:
                    continue
                self._replaced_rows(connection, f"{BEFORE}.{name}")
                connection.execute(f"create schema if not exists {schema}")
                connection.execute(
                    f"create table {name} as from {BEFORE}.{name} where not {self._is_replaced()}"
                )
                gone = content(connection, REPLACED, held[name].columns)
                self._kept[name] = held[name] - gone
        finally:
            self._close()

    def _copy_built(self, schemas: Sequence[str]) -> None:
        connection = self._connection
        if connection is None:
            connection = self._open(self._layout.warehouse)
            connection.execute(f"attach '{quoted(self._target)}' as {TARGET}")
            anonymity.find_few(connection, synthetic=_is_synthetic(connection))
            self._documented = _documented_relations(self._layout.target / "manifest.json")
        # One transaction: else each of the hundreds of comments would be written to disk by itself.
        connection.execute("begin")
        for (schema, table), columns in _allowed(connection, schemas).items():
            if self._stopped:
                return
            told = [f'{anonymity.published(schema, table, each)} as "{each}"' for each in columns]
            source = f"(select {', '.join(told)} from {schema}.{table})"
            connection.execute(f"create schema if not exists {TARGET}.{schema}")
            name = f"{schema}.{table}"
            self._copied[name] = self._copy_table(connection, name, source, columns)
            about = self._documented.get((schema, table), {})
            _comment(connection, f"{TARGET}.{name}", columns, about)
        connection.execute("commit")

    def _copy_table(
        self, connection: duckdb.DuckDBPyConnection, name: str, source: str, columns: list[str]
    ) -> Content:
        kept = self._kept.get(name)
        if kept is None:
            connection.execute(f"create table {TARGET}.{name} as from {source}")
            return content(connection, source, columns)
        self._replaced_rows(connection, source)
        connection.execute(f"insert into {TARGET}.{name} by name from {REPLACED}")
        copied = kept + content(connection, REPLACED, columns)
        if kept.columns != copied.columns or not is_held(connection, source, copied):
            raise _differs([name], self._target)
        return copied

    def _replaced_rows(self, connection: duckdb.DuckDBPyConnection, source: str) -> None:
        connection.execute(
            f"create or replace temp table {REPLACED} as from {source} where {self._is_replaced()}"
        )

    def _is_replaced(self) -> str:
        assert self._replaced is not None
        return among(self._replaced)

    def _open(self, path: Path) -> duckdb.DuckDBPyConnection:
        self._connection = duckdb.connect(str(path))
        resources.limit(self._connection)
        # Dictionaries alone take 2% more bytes and three quarters of the time to write.
        self._connection.execute("set disabled_compression_methods = 'fsst'")
        return self._connection

    def _close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None


def _give_way() -> None:
    """Let this thread have what the others leave of the processors; Linux can do that."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOW_PRIORITY)


def _is_synthetic(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the delivery says that its patients are invented; else they are taken to be real."""
    said = connection.execute("select synthetic from staging.stg_common__delivery").fetchall()
    return said == [("yes",)]


def finish(run_folder: Path) -> None:
    """Make sure that every file of the run is on disk and that its group may read it."""
    for path in [*run_folder.rglob("*"), run_folder]:
        path.chmod(PUBLISHED_FOLDER_MODE if path.is_dir() else PUBLISHED_MODE)
        _to_disk(path)
    faults.point("publish")


def reveal(layout: Layout, hidden: Path, run_id: str) -> None:
    """Give the finished folder its name and make it the current run: an atomic swap of the pointer.

    If that fails the pointer is what it was and the folder is gone; unless the pointer cannot be
    set back either: then it leads to the finished folder.
    """
    run_folder = layout.published / run_id
    hidden.rename(run_folder)
    before = layout.current.readlink() if layout.current.is_symlink() else None
    try:
        _to_disk(layout.published)
        faults.point("publish")
        _point_to(layout, Path(run_id))
        try:
            faults.point("publish")
            _to_disk(layout.published)
        except BaseException:
            _point_to(layout, before)
            raise
    except BaseException:
        if not is_current(layout, run_id):
            shutil.rmtree(run_folder)
        raise


def is_current(layout: Layout, run_id: str) -> bool:
    """Whether the pointer leads to this run."""
    return layout.current.is_symlink() and layout.current.readlink().name == run_id


def leftovers(layout: Layout) -> list[Path]:
    """What a killed run left unfinished in the folder of the published runs."""
    return sorted(layout.published.glob(f"{UNFINISHED}*"))


def remove(path: Path) -> None:
    """Remove a file, a link or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _point_to(layout: Layout, run_folder: Path | None) -> None:
    if run_folder is None:
        layout.current.unlink()
        return
    fresh = layout.published / f"{UNFINISHED}current"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(run_folder, target_is_directory=True)
    fresh.replace(layout.current)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _verify(target: Path, copied: dict[str, Content]) -> None:
    if target.with_name(f"{target.name}.wal").exists():
        raise CommandError(f"{target} was not written to its end; run again", Exit.RESOURCES)
    with duckdb.connect(str(target), read_only=True) as connection:
        wrong = [name for name, held in copied.items() if not is_held(connection, name, held)]
    if wrong:
        raise _differs(wrong, target)


def _differs(tables: Sequence[str], target: Path) -> CommandError:
    return CommandError(
        f"The copy differs from the build in {', '.join(tables)}; nothing was published. "
        f"Run again; if it happens twice, check the disk of {target.parent.parent}",
        Exit.RESOURCES,
    )


def _documented_relations(manifest_file: Path) -> dict[tuple[str, str], dict[str, Any]]:
    manifest = json.loads(manifest_file.read_text())
    nodes = [*manifest["nodes"].values(), *manifest["sources"].values()]
    return {
        (node["schema"], node.get("alias") or node["name"]): node
        for node in nodes
        if node["resource_type"] in ("model", "seed", "source")
    }


def _allowed(
    connection: duckdb.DuckDBPyConnection, schemas: Sequence[str]
) -> dict[tuple[str, str], list[str]]:
    """The columns to publish of each table of these schemas of the open build: those on the
    allow-list."""
    tables: dict[tuple[str, str], list[str]] = {}
    for schema, table, column, data_type in connection.execute(
        """
        select built.schema_name, built.table_name, built.column_name, built.data_type
        from duckdb_columns() as built
        left join reference.published_columns as listed
            using (schema_name, table_name, column_name)
        where
            built.database_name = current_database()
            and list_contains(?, built.schema_name)
            and (listed.published or built.schema_name = ?)
        order by built.schema_name, built.table_name, built.column_index
        """,
        [list(schemas), REFERENCE],
    ).fetchall():
        if data_type in DATES and schema != REFERENCE:
            raise CommandError(
                f"{schema}.{table}.{column} is a date and may not be published; take it off the "
                f"allow-list {ALLOW_LIST}",
                Exit.SECURITY,
            )
        tables.setdefault((schema, table), []).append(column)
    return tables


def not_listed(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Columns of the open build's marts and results that the allow-list does not know."""
    found = connection.execute(
        """
        select schema_name || '.' || table_name || '.' || column_name
        from (from duckdb_columns() where database_name = current_database())
        anti join reference.published_columns using (schema_name, table_name, column_name)
        where list_contains(?, schema_name)
        order by all
        """,
        [list(LISTED_SCHEMAS)],
    ).fetchall()
    return [name for (name,) in found]


def _comment(
    connection: duckdb.DuckDBPyConnection, table: str, columns: list[str], node: dict[str, Any]
) -> None:
    """Describe a table and its columns as dbt does."""

    def quoted(text: str) -> str:
        return "'" + " ".join(text.split()).replace("'", "''") + "'"

    statements = []
    if node.get("description"):
        statements.append(f"comment on table {table} is {quoted(node['description'])}")
    for name in columns:
        if description := node.get("columns", {}).get(name, {}).get("description"):
            statements.append(f'comment on column {table}."{name}" is {quoted(description)}')
    connection.execute("; ".join(statements))
