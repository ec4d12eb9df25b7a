"""The manifest of a run: what it was made of, so that two runs can be told apart and one verified.

The bytes of a DuckDB file differ from build to build; the logical hash of a table does not.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from expectations.history import RESULTS_TABLE
from expectations.small_cells import SMALL_CELL
from expectations.tables import columns, exist, rows
from pipeline import anonymity, audit, ledger, spark
from pipeline.content import Content, content
from pipeline.errors import CommandError
from pipeline.paths import PROJECT, Layout
from pipeline.pseudonyms import key_id, load_key
from pipeline.publish import PUBLISHED_MODE, UNFINISHED

MANIFEST = "manifest.json"
MANIFEST_VERSION = 2
"""2: the hash of the checks' results leaves out when they were checked."""
RUN_ID = re.compile("[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}")
WITHDRAWN = "withdrawn.json"
"""Lies in a run that may not be used any more, and says why; its data may be gone."""

RECORDED_PACKAGES = (
    "duckdb",
    "dbt-core",
    "dbt-duckdb",
    "great-expectations",
    "lifelines",
    "numpy",
    "pandas",
    "scipy",
)
SPARK_PACKAGES = ("dbt-spark", "pyspark")

CODE = ("analysis", "expectations", "macros", "models", "pipeline", "tests/dbt")
CODE_FILES = ("dbt_project.yml", "profiles.yml")
CONFIGURATION = (
    "expectations/catalogue.yml",
    "models/staging/extract/extract_contract.yml",
)
"""Rules that are data; with the seeds they are the configuration, not the code."""
LOCK = "requirements.txt"
# What a run itself leaves beside the code, compiled, and what explains it.
NOT_CODE = ("__pycache__", ".md")

Record = dict[str, Any]


@dataclass(frozen=True)
class Manifest:
    """What a run was made of; docs/audit.md explains each part."""

    run_id: str
    previous: Record | None
    code: Record
    environment: Record
    config: Record
    delivery: Record
    inputs: list[Record]
    relations: list[Record]
    checks: Record
    second_programming: Record
    attrition: list[Record]
    numbers: list[Record]
    anonymity: list[Record]
    outputs: list[Record]
    audit: Record | None
    times: Record
    manifest_version: int = MANIFEST_VERSION


def compose(
    layout: Layout,
    warehouse: Path,
    copied: Mapping[str, Content],
    run_id: str,
    started: datetime,
    delivery: Path,
) -> Manifest:
    """Describe a run whose warehouse is written and whose pages are not; it has no outputs yet.

    Parameters
    ----------
    warehouse
        The file that is to be published.
    copied
        What each of its tables holds.
    delivery
        The folder that was built from.
    """
    with duckdb.connect(str(layout.warehouse), read_only=True) as connection:
        delivered = rows(connection, "select * from staging.stg_common__delivery")
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        inputs = rows(connection, "select * from quality.source_files order by file_id")
        return Manifest(
            run_id=run_id,
            previous=previous_run(layout),
            code=code(),
            environment=environment(),
            config={
                **configuration(delivery),
                "pseudonym_key_id": pseudonym_key_id(layout.work, inputs),
            },
            delivery=delivered[0] if delivered else {},
            inputs=inputs,
            relations=[relation(name, copied[name]) for name in sorted(copied)],
            checks=_checks(connection, run_id),
            second_programming=_second_programming(connection),
            attrition=_attrition(connection),
            numbers=_numbers(connection),
            anonymity=anonymity.report(connection),
            outputs=[],
            audit=audit.head(layout.work),
            times={"started": started.isoformat(), "ended": None},
        )


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a complete run folder, every other file of it hashed as an output."""
    finished = asdict(manifest)
    finished["outputs"] = [
        {"path": str(path.relative_to(folder)), "sha256": sha256(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    finished["times"]["ended"] = datetime.now(UTC).isoformat()
    text = json.dumps(finished, indent=2, default=str, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read(folder: Path) -> Record:
    """Return the manifest of a run folder.

    Raises CommandError if there is none, or it cannot be read.
    """
    path = folder / MANIFEST
    try:
        found = _told(path)
    except FileNotFoundError:
        raise CommandError(f"{path} does not exist; this is not a published run.") from None
    lists = all(isinstance(found.get(part), list) for part in ("inputs", "relations", "outputs"))
    if not lists or not isinstance(found.get("previous"), dict | None):
        raise _unreadable(path)
    return found


def _told(path: Path) -> Record:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise _unreadable(path) from None
    if not isinstance(found, dict):
        raise _unreadable(path)
    return found


def _unreadable(path: Path) -> CommandError:
    return CommandError(f"{path} cannot be read; restore it from its copy.")


def withdraw(folder: Path, told: Record) -> None:
    """Mark a run as withdrawn: why, what supersedes it, which of its numbers are others there."""
    # Written elsewhere first: half of it could not be read by anything, an erasure included.
    partial = folder.parent / f"{UNFINISHED}{folder.name}.{WITHDRAWN}"
    partial.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    partial.chmod(PUBLISHED_MODE)
    partial.replace(folder / WITHDRAWN)


def withdrawn(folder: Path) -> Record | None:
    """Return why a run was withdrawn; None if it stands.

    Raises CommandError if that cannot be read.
    """
    path = folder / WITHDRAWN
    return _told(path) if path.exists() else None


def require_standing(folder: Path) -> None:
    """Raise CommandError if a run was withdrawn."""
    if told := withdrawn(folder):
        raise CommandError(
            f"Run {folder.name} was withdrawn ({told['reason']}); its manifest is all that is "
            f"left. Superseded by: {told['superseded_by'] or 'no run'}"
        )


def deliveries(of: Record) -> set[int]:
    """Return which deliveries a run was built from."""
    return {file["delivery_seq"] for file in of["inputs"]}


def published_runs(layout: Layout) -> list[str]:
    """Return every run in the published folder, by name; a folder of another name is none."""
    return sorted(
        path.parent.name
        for path in layout.published.glob(f"[!.]*/{MANIFEST}")
        if not path.parent.is_symlink() and RUN_ID.fullmatch(path.parent.name)
    )


def chain(layout: Layout) -> list[str]:
    """Return the current run and those before it, as far as the manifests name each other.

    Clocks may have gone back; the chain has not.
    """
    found = []
    before = previous_run(layout)
    while before and (layout.published / before["run_id"] / MANIFEST).exists():
        found.append(before["run_id"])
        before = read(layout.published / before["run_id"]).get("previous")
    return found


def find(layout: Layout, name: str | None) -> str:
    """Return the one run whose id begins with a name; without a name the current one.

    Raises CommandError if there is none, or more than one.
    """
    if name is None:
        current = previous_run(layout)
        if current is None:
            raise CommandError(f"{layout.published} holds no published run; run `rwe build`.")
        return str(current["run_id"])
    runs = published_runs(layout)
    matches = [run for run in runs if run.startswith(name)]
    if len(matches) != 1:
        which = "No run begins" if not matches else "More than one run begins"
        raise CommandError(f"{which} with {name}. Runs: {', '.join(runs) or 'none'}")
    return matches[0]


def previous_run(layout: Layout) -> Record | None:
    """Return id and manifest hash of the run that is current; None if there is none."""
    path = layout.current / MANIFEST
    if not path.exists():
        return None
    return {"run_id": layout.current.resolve().name, "manifest_sha256": sha256(path)}


def code() -> Record:
    """Return what identifies the code: the commit if there is one, and the files' own hash."""
    files = [
        path
        for folder in CODE
        for path in (PROJECT / folder).rglob("*")
        if path.is_file() and not {path.parent.name, path.suffix}.intersection(NOT_CODE)
    ]
    named = [(str(p.relative_to(PROJECT)), p) for p in [*files, *map(PROJECT.joinpath, CODE_FILES)]]
    return {
        "git_commit": _git("rev-parse", "HEAD"),
        "dirty": None if (changed := _git("status", "--porcelain")) is None else bool(changed),
        "tree_sha256": _digest(
            f"{name}\0{sha256(path)}" for name, path in sorted(named) if name not in CONFIGURATION
        ),
        "lock_sha256": sha256(PROJECT / LOCK),
    }


def environment() -> Record:
    """Return what a result may depend on beside code and data."""
    return {
        **versions(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "timezone": str(datetime.now().astimezone().tzinfo),
    }


def versions() -> dict[str, str]:
    """Return the versions that a result may depend on."""
    packages = RECORDED_PACKAGES + (SPARK_PACKAGES if spark.is_chosen() else ())
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
    }


def configuration(delivery: Path) -> Record:
    """Return the hashes of the rules that are data, and the variables of the run."""
    return {
        "seeds": {
            str(path.relative_to(PROJECT / "seeds")): sha256(path)
            for path in sorted((PROJECT / "seeds").rglob("*.csv"))
        },
        "rules": {name: sha256(PROJECT / name) for name in CONFIGURATION},
        "variables": {"delivery": delivery.name, "small_cell": SMALL_CELL},
    }


def pseudonym_key_id(work: Path, inputs: list[Record]) -> str:
    """The id of the key of the pseudonyms; after an erasure that of the delivery built again."""
    built = {row["delivery_seq"] for row in inputs}
    made_of = next((d for d in ledger.deliveries(work) if d.seq in built), None)
    was = audit.key_id_of(work, made_of.accepted_run) if made_of else None
    return was or key_id(load_key())


def relations(connection: duckdb.DuckDBPyConnection) -> list[Record]:
    """Return the rows and the logical hash of every table of an open warehouse."""
    found = connection.execute(
        "select schema_name || '.' || table_name from duckdb_tables() "
        "where database_name = current_database() order by all"
    ).fetchall()
    return [
        relation(name, content(connection, name, columns(connection, name))) for (name,) in found
    ]


def relation(name: str, held: Content) -> Record:
    """Return what a manifest says of a table."""
    return {"name": name, "rows": held.rows, "logical_sha256": held.logical_sha256}


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _checks(connection: duckdb.DuckDBPyConnection, run_id: str) -> Record:
    if not exist(connection, RESULTS_TABLE):
        return {"blocking_failed": []}
    counted = rows(
        connection,
        "select status, count(*) as n, "
        "list(check_id order by check_id) filter (blocks) as blocking "
        f"from {RESULTS_TABLE} where run_id = ? group by status order by status",
        run_id,
    )
    return {
        **{row["status"]: row["n"] for row in counted},
        "blocking_failed": [check for row in counted for check in row["blocking"] or ()],
    }


def _second_programming(connection: duckdb.DuckDBPyConnection) -> Record:
    if not exist(connection, "results.second_programming"):
        return {"compared": 0, "differ": []}
    found = rows(connection, "select * from results.second_programming order by rowid")
    return {
        "compared": len(found),
        "differ": [
            {name: row[name] for name in ("study_id", "exhibit", "what")}
            for row in found
            if not row["agrees"]
        ],
    }


def _attrition(connection: duckdb.DuckDBPyConnection) -> list[Record]:
    if not exist(connection, "cohort.cohort_attrition"):
        return []
    return rows(
        connection,
        "select study_id, step, criterion, n_in, n_not_met, n_unknown, n_out "
        "from cohort.cohort_attrition order by study_id, step",
    )


def _numbers(connection: duckdb.DuckDBPyConnection) -> list[Record]:
    if not exist(connection, "results.estimates"):
        return []
    return rows(
        connection,
        "select estimate_id as id, value, display, n, events from results.estimates order by id",
    )


def _git(*arguments: str) -> str | None:
    """Return what git says of the project's own folder; None outside a repository."""
    if not (PROJECT / ".git").exists():
        return None
    try:
        said = subprocess.run(
            ["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return said.stdout.strip()


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
