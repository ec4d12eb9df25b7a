"""Electronic signatures of a run, and whether they still hold.

A signature names the signer, the role, the moment and what it means (the manifestation that
21 CFR 11.50 asks for) and is bound to the SHA-256 of the run's manifest, which lists the SHA-256 of
every file. It is entered in the audit trail too, so that it can be neither altered nor removed
unseen. Who the signer really is, the tool cannot know: identity, training and procedures stay with
the organisation, and no tool alone makes a site compliant.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import audit, manifest
from pipeline.errors import CommandError
from pipeline.paths import Layout
from pipeline.publish import PUBLISHED_MODE

SIGNATURES = "signoffs.jsonl"
RUN_SIGNED = "run signed"
"""How the audit trail calls a signature."""


@dataclass(frozen=True)
class Signature:
    """One signature; `signed_at` is UTC."""

    run_id: str
    manifest_sha256: str
    name: str
    role: str
    meaning: str
    signed_at: str


@dataclass(frozen=True)
class Judged:
    """A signature and whether it holds; if not, why."""

    signature: Signature
    broken_by: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether everything it was bound to is as it was."""
        return not self.broken_by


def sign(layout: Layout, run_id: str, *, name: str, role: str, meaning: str) -> Signature:
    """Sign a run and enter it in the audit trail.

    Raises CommandError if a file of the run is not what its manifest says, or a part is empty.
    """
    folder = layout.published / run_id
    manifest.require_standing(folder)
    said = {"name": name, "role": role, "meaning": meaning}
    if empty := [part for part, text in said.items() if not text.strip()]:
        raise CommandError(f"A signature needs {' and '.join(empty)}; nothing was signed.")
    if changed := changed_outputs(folder, manifest.read(folder)):
        raise CommandError(
            f"Run {run_id} is not what its manifest says ({'; '.join(changed)}); "
            f"nothing was signed. See: rwe verify {run_id}"
        )
    signature = Signature(
        run_id=run_id,
        manifest_sha256=manifest.sha256(folder / manifest.MANIFEST),
        signed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        **{part: " ".join(text.split()) for part, text in said.items()},
    )
    try:
        line = json.dumps(asdict(signature), ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        raise CommandError("A signature is text in UTF-8; nothing was signed.") from None
    path = folder / SIGNATURES
    with path.open("ab", buffering=0) as stream:
        before = stream.tell()
        try:
            stream.write(line)
            os.fsync(stream.fileno())
            path.chmod(PUBLISHED_MODE)
            audit.append(layout.work, RUN_SIGNED, asdict(signature))
        except BaseException:  # one without the other would be a signature that does not hold
            os.truncate(path, before)
            raise
    return signature


def judge(layout: Layout, run_id: str) -> list[Judged]:
    """Return the signatures of a run, also those only the trail knows, and whether each holds.

    Of a run that was withdrawn the manifest is left, and they are held against that.
    """
    folder = layout.published / run_id
    trail = [
        Signature(**json.loads(event.detail))
        for event in audit.events(layout.work)
        if event.kind == RUN_SIGNED and json.loads(event.detail).get("run_id") == run_id
    ]
    stored = _stored(folder)
    is_left = (stored or trail) and not manifest.withdrawn(folder)
    changed = tuple(changed_outputs(folder, manifest.read(folder))) if is_left else ()
    now = manifest.sha256(folder / manifest.MANIFEST)

    def broken(signature: Signature) -> tuple[str, ...]:
        reasons = [
            ("the manifest was changed after it", signature.manifest_sha256 != now),
            (f"it is not in {SIGNATURES}", signature not in stored),
            ("the audit trail does not know it", signature not in trail),
            *((f"{what} after it", True) for what in changed),
        ]
        return tuple(why for why, applies in reasons if applies)

    return [Judged(one, broken(one)) for one in dict.fromkeys([*stored, *trail])]


def last_signed(layout: Layout) -> str | None:
    """Return the latest signed run in the chain of manifests that stands; None if there is none."""
    folders = [layout.published / run for run in manifest.chain(layout)]
    return next(
        (folder.name for folder in folders if _stored(folder) and not manifest.withdrawn(folder)),
        None,
    )


def changed_outputs(folder: Path, of: manifest.Record) -> list[str]:
    """Return, in words, which outputs of a run are not what its manifest says."""
    found = []
    for output in of["outputs"]:
        path = folder / output["path"]
        if not path.is_file():
            found.append(f"{output['path']} is missing")
        elif manifest.sha256(path) != output["sha256"]:
            found.append(f"{output['path']} was changed")
    return found


def _stored(folder: Path) -> list[Signature]:
    path = folder / SIGNATURES
    if not path.exists():
        return []
    try:
        said: list[dict[str, Any]] = [
            json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()
        ]
        return [Signature(**one) for one in said]
    except (TypeError, ValueError):
        raise CommandError(f"{path} cannot be read; restore it from its copy.") from None
