"""`rwe verify`: whether a published run is still what it was when it was published."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa

from expectations.history import RESULTS_TABLE
from pipeline import audit, ledger, manifest, signing
from pipeline.archive import archived
from pipeline.manifest import MANIFEST_VERSION, Record
from pipeline.paths import Layout
from pipeline.publish import WAREHOUSE

BLOCK_BYTES = 1 << 22

State = Literal["holds", "broken", "cannot be verified"]


@dataclass(frozen=True)
class Finding:
    """One thing that was verified."""

    part: str
    what: str
    state: State
    because: str = ""


def verify(layout: Layout, run_id: str) -> list[Finding]:
    """Verify a run: files, tables, delivered files, chain of manifests, signatures, audit trail.

    Raises CommandError if the run has no manifest that can be read.
    """
    folder = layout.published / run_id
    made_of = manifest.read(folder)
    return [
        *_content(folder, made_of),
        *_inputs(layout, made_of),
        *_chain(layout, run_id, made_of),
        *_signatures(layout, run_id),
        *_trail(layout, run_id, made_of),
        *_erasures(layout),
    ]


def broken(findings: list[Finding]) -> list[Finding]:
    """Return what does not hold."""
    return [finding for finding in findings if finding.state == "broken"]


def remedy(findings: list[Finding], run_id: str) -> str:
    """Say what to do about what does not hold."""
    parts = {finding.part for finding in broken(findings)}
    said = []
    if parts & {"file", "table"}:
        said.append(
            f"restore run {run_id} from its copy, or build its delivery again with `rwe build`"
        )
    if "delivered file" in parts:
        said.append("restore the archive of the work folder from its copy")
    if "manifest" in parts:
        said.append("restore the manifests from their copies")
    if "audit trail" in parts:
        said.append("restore audit.duckdb in the work folder from its copy")
    if "signature" in parts:
        said.append("when the rest holds, have the run reviewed and signed again")
    return "; ".join(said)


def _content(folder: Path, made_of: Record) -> Iterator[Finding]:
    if because := _withdrawn(folder):
        yield Finding("run", folder.name, "cannot be verified", because)
        return
    yield from _outputs(folder, made_of)
    yield from _relations(folder / WAREHOUSE, made_of)


def _withdrawn(folder: Path) -> str:
    told = manifest.withdrawn(folder)
    return f"was withdrawn: {told['reason']}" if told else ""


def _outputs(folder: Path, made_of: Record) -> Iterator[Finding]:
    changed = signing.changed_outputs(folder, made_of)
    for output in made_of["outputs"]:
        path = output["path"]
        why = next((said for said in changed if said.startswith(f"{path} ")), "")
        yield Finding("file", path, "broken" if why else "holds", why.removeprefix(f"{path} "))
    listed = {output["path"] for output in made_of["outputs"]}
    own = {manifest.MANIFEST, signing.SIGNATURES}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and name not in listed | own:
            yield Finding("file", name, "broken", "is not a file of this run")


def _relations(warehouse: Path, made_of: Record) -> Iterator[Finding]:
    try:
        with duckdb.connect(str(warehouse), read_only=True) as connection:
            found = {row["name"]: row for row in manifest.relations(connection)}
    except duckdb.Error:
        yield Finding("table", WAREHOUSE, "broken", "cannot be read: damaged or cut off")
        return
    is_of_another_rule = made_of["manifest_version"] < MANIFEST_VERSION
    for told in made_of["relations"]:
        name, now = told["name"], found.pop(told["name"], None)
        if now is None:
            yield Finding("table", name, "broken", "is missing")
        elif now == told:
            yield Finding("table", name, "holds")
        elif is_of_another_rule and name == RESULTS_TABLE and now["rows"] == told["rows"]:
            yield Finding("table", name, "cannot be verified", "hashed by an earlier rule")
        else:
            why = f"{told['rows']:,} rows then, {now['rows']:,} now; content differs"
            yield Finding("table", name, "broken", why)
    for name in found:
        yield Finding("table", name, "broken", "is not a table of this run")


def _inputs(layout: Layout, made_of: Record) -> Iterator[Finding]:
    rewritten = ledger.rewritten(layout.work)
    for file in made_of["inputs"]:
        if not file["sha256"]:
            continue
        path = archived(layout.work, file["sha256"])
        name = file["file_name"]
        if not path.exists():
            yield Finding("delivered file", name, "cannot be verified", f"is not in {path.parent}")
            continue
        content = _content_sha256(path)
        if content == file["sha256"]:
            yield Finding("delivered file", name, "holds")
        elif content and content == rewritten.get(file["sha256"]):
            yield Finding("delivered file", name, "holds", "without the records of erased patients")
        else:
            yield Finding("delivered file", name, "broken", f"{path} was changed")


def _content_sha256(path: Path) -> str | None:
    """SHA-256 of a compressed file's content; None if it cannot be decompressed."""
    digest = hashlib.sha256()
    try:
        with pa.input_stream(str(path), compression="zstd") as stream:
            while block := stream.read(BLOCK_BYTES):
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()


def _chain(layout: Layout, run_id: str, made_of: Record) -> Iterator[Finding]:
    """The runs before this one are what it says, and those after it say what it is."""
    for later in manifest.published_runs(layout):
        before = manifest.read(layout.published / later)["previous"]
        if before and before["run_id"] == run_id:
            yield _link(layout, before, f"as run {later} names it")
    before = made_of["previous"]
    while before:
        if not (layout.published / before["run_id"] / manifest.MANIFEST).exists():
            yield Finding(
                "manifest", before["run_id"], "cannot be verified", "is not in the published folder"
            )
            return
        yield _link(layout, before, "as the run after it names it")
        before = manifest.read(layout.published / before["run_id"])["previous"]


def _link(layout: Layout, named: Record, how: str) -> Finding:
    now = manifest.sha256(layout.published / named["run_id"] / manifest.MANIFEST)
    if now == named["manifest_sha256"]:
        return Finding("manifest", named["run_id"], "holds", how)
    return Finding("manifest", named["run_id"], "broken", f"was changed: it is not {how[3:]}")


def _signatures(layout: Layout, run_id: str) -> Iterator[Finding]:
    withdrawn = _withdrawn(layout.published / run_id)
    for judged in signing.judge(layout, run_id):
        one = judged.signature
        what = f"{one.name}, {one.role}"
        if not judged.holds:
            yield Finding("signature", what, "broken", "; ".join(judged.broken_by))
        elif withdrawn:  # the manifest that it is bound to is what it was; the files are gone
            yield Finding("signature", what, "cannot be verified", f"its run {withdrawn}")
        else:
            yield Finding("signature", what, "holds")


def _erasures(layout: Layout) -> Iterator[Finding]:
    for note in ledger.unfinished_erasures(layout.work):
        because = "has not ended: give `rwe erase` again; this file of the work folder says of whom"
        yield Finding("erasure", note.name, "cannot be verified", because)


def _trail(layout: Layout, run_id: str, made_of: Record) -> Iterator[Finding]:
    trail = audit.events(layout.work)
    if not trail:
        yield Finding("audit trail", audit.STORE, "cannot be verified", "is not in the work folder")
        return
    if found := audit.verify(trail):
        yield Finding("audit trail", f"event {found.seq}", "broken", found.because)
        return
    yield Finding("audit trail", f"{len(trail)} events", "holds")
    published = [
        told.get("manifest_sha256")
        for told in (json.loads(event.detail) for event in trail)
        if told.get("run_id") == run_id and "manifest_sha256" in told
    ]
    now = manifest.sha256(layout.published / run_id / manifest.MANIFEST)
    if not published:
        because = "the audit trail does not know this run"
        yield Finding("manifest", run_id, "cannot be verified", because)
    elif now in published:
        yield Finding("manifest", run_id, "holds", "as the audit trail names it")
    else:
        yield Finding("manifest", run_id, "broken", "was changed after the run was published")
    at_the_time = made_of["audit"]
    if at_the_time and at_the_time["hash"] not in {event.hash for event in trail}:
        yield Finding(
            "audit trail", f"event {at_the_time['seq']}", "broken",
            "the event that the manifest names is gone: the trail was cut off or replaced",
        )  # fmt: skip
