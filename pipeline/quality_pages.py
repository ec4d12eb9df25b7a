"""Both editions of the data-quality report of a run that is about to be published."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import duckdb

from expectations.report import RunRecord, render
from pipeline import audit, diff, manifest, signing
from pipeline.errors import CommandError
from pipeline.manifest import Manifest
from pipeline.paths import Layout

SHAREABLE = "quality.html"
PRIVATE = "quality_private.html"


def write(layout: Layout, folder: Path, made_of: Manifest) -> None:
    """Write the edition for sharing into the run's folder and the private one into the work folder.

    They compare the run with the last signed one, or with the current one where none is signed;
    not with one that was withdrawn or cannot be read.
    """
    signed = signing.last_signed(layout)
    before = signed or (made_of.previous and made_of.previous["run_id"])
    told = json.loads(json.dumps(asdict(made_of), default=str))
    since = None
    with suppress(CommandError):
        since = diff.compare_with(layout, before, folder, told) if before else None
    record = RunRecord(
        manifest=told,
        since=since,
        since_is_signed=signed is not None,
        signatures=signing.judge(layout, signed) if signed else (),
        events=audit.events(layout.work),
    )
    about = {
        "run_id": made_of.run_id,
        "started": made_of.times["started"][:16].replace("T", " ") + " UTC",
        **manifest.versions(),
    }
    with duckdb.connect(str(layout.warehouse), read_only=True) as connection:
        render(connection, folder / SHAREABLE, run=about, record=record)
        render(connection, layout.work / PRIVATE, run=about, record=record, private=True)
