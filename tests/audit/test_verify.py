"""A run that was tampered with is found out, wherever it was."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from expectations.history import RESULTS_TABLE
from pipeline import audit, ledger, manifest, signing
from pipeline.erase import OUTLIVES_RUNS
from pipeline.errors import CommandError, Exit
from pipeline.publish import PUBLISHED_MODE, remove
from pipeline.verify import broken, remedy, verify
from tests.two_runs import Runs

WAREHOUSE = "warehouse.duckdb"


def found_broken(runs: Runs, run: str | None = None) -> set[tuple[str, str]]:
    findings = verify(runs.layout, run or runs.second)
    return {(finding.part, finding.what) for finding in broken(findings)}


def folder(runs: Runs) -> Path:
    return runs.layout.published / runs.second


def test_an_untouched_run_holds_in_every_part(runs: Runs) -> None:
    for run in (runs.first, runs.second):
        findings = verify(runs.layout, run)
        assert {finding.state for finding in findings} == {"holds"}
        assert {finding.part for finding in findings} == {
            "file", "table", "delivered file", "manifest", "audit trail",
        }  # fmt: skip


def test_an_erasure_that_has_not_ended_is_told(runs: Runs) -> None:
    (runs.layout.work / f"{ledger.ERASING}0123.json").write_text("{}")
    (told,) = [one for one in verify(runs.layout, runs.second) if one.state != "holds"]
    assert (told.part, told.state) == ("erasure", "cannot be verified")
    assert "`rwe erase` again" in told.because


def test_the_command_says_so(runs: Runs) -> None:
    code, said = runs.command("verify")
    assert code == 0
    assert "Nothing that was verified is broken." in said


@pytest.mark.parametrize("seed", range(20))
def test_a_flipped_bit_of_the_warehouse_is_found(runs: Runs, seed: int) -> None:
    path = folder(runs) / WAREHOUSE
    content = bytearray(path.read_bytes())
    chosen = random.Random(seed)
    content[chosen.randrange(len(content))] ^= 1 << chosen.randrange(8)
    path.write_bytes(content)
    changed = signing.changed_outputs(folder(runs), manifest.read(folder(runs)))
    assert changed == [f"{WAREHOUSE} was changed"]


@pytest.mark.parametrize("left", [0, 0.5, -1])
def test_a_truncated_warehouse_is_found_and_the_remedy_named(runs: Runs, left: float) -> None:
    path = folder(runs) / WAREHOUSE
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * left) if left >= 0 else -1])
    assert ("file", WAREHOUSE) in found_broken(runs)
    code, said = runs.command("verify", check=False)
    assert code == 4
    assert f"restore run {runs.second}" in " ".join(said.split())


def test_a_changed_number_is_found_in_its_table(runs: Runs) -> None:
    with duckdb.connect(str(folder(runs) / WAREHOUSE)) as connection:
        connection.execute("update results.estimates set value = value + 1 where rowid = 7")
        connection.execute("create table results.mine as select 1 as one")
    assert found_broken(runs) == {
        ("file", WAREHOUSE), ("table", "results.estimates"), ("table", "results.mine"),
    }  # fmt: skip


def test_the_results_of_an_earlier_version_are_not_called_changed(runs: Runs) -> None:
    path = folder(runs) / manifest.MANIFEST
    told = json.loads(path.read_text())
    told["manifest_version"] = 1
    for relation in told["relations"]:
        if relation["name"] == RESULTS_TABLE:
            relation["logical_sha256"] = "of another rule"
    for lost, state in ((0, "cannot be verified"), (1, "broken")):
        for relation in told["relations"]:
            if relation["name"] == RESULTS_TABLE:
                relation["rows"] += lost
        path.write_text(json.dumps(told))
        found = [f for f in verify(runs.layout, runs.second) if f.part == "table"]
        assert {(f.what, f.state) for f in found if f.state != "holds"} == {(RESULTS_TABLE, state)}


def test_a_missing_a_changed_and_an_added_file_are_found(runs: Runs) -> None:
    (folder(runs) / "docs.html").unlink()
    with (folder(runs) / "quality.html").open("a") as stream:
        stream.write(" ")
    (folder(runs) / "notes.txt").write_text("mine")
    assert found_broken(runs) == {
        ("file", "docs.html"), ("file", "quality.html"), ("file", "notes.txt"),
    }  # fmt: skip


def test_a_manifest_made_to_fit_breaks_trail_and_chain(runs: Runs) -> None:
    """Whoever changes a number and its hashes still leaves the later run and the trail."""
    path = runs.layout.published / runs.first / manifest.MANIFEST
    forged = json.loads(path.read_text())
    forged["numbers"][0]["value"] = 1
    path.write_text(json.dumps(forged))
    assert found_broken(runs, runs.first) == {("manifest", runs.first)}
    assert found_broken(runs, runs.second) == {("manifest", runs.first)}
    third = runs.layout.published / "third"
    shutil.copytree(folder(runs), third)
    made_of = json.loads((third / manifest.MANIFEST).read_text())
    second = manifest.sha256(folder(runs) / manifest.MANIFEST)
    made_of["previous"] = {"run_id": runs.second, "manifest_sha256": second}
    (third / manifest.MANIFEST).write_text(json.dumps(made_of))
    assert ("manifest", runs.first) in found_broken(runs, third.name)
    shutil.rmtree(third)
    (runs.layout.work / audit.STORE).unlink()
    assert found_broken(runs, runs.first) == {("manifest", runs.first)}


def test_a_manifest_that_no_later_run_names_is_held_against_the_trail(runs: Runs) -> None:
    path = folder(runs) / manifest.MANIFEST
    forged = json.loads(path.read_text())
    forged["numbers"][0]["value"] = 1
    path.write_text(json.dumps(forged))
    assert found_broken(runs) == {("manifest", runs.second)}
    shutil.copy(runs.layout.published / runs.first / manifest.MANIFEST, path)
    assert ("manifest", runs.second) in found_broken(runs)


def test_a_damaged_archive_is_found(runs: Runs) -> None:
    file = manifest.read(folder(runs))["inputs"][1]
    path = runs.layout.work / "archive" / f"{file['sha256']}.csv.zst"
    with pa.CompressedOutputStream(str(path), "zstd") as stream:
        stream.write(b"patient_id\nX\n")
    assert found_broken(runs) == {("delivered file", file["file_name"])}
    path.write_bytes(b"not compressed")
    assert found_broken(runs) == {("delivered file", file["file_name"])}


def test_a_trail_cut_off_at_its_end_is_found(runs: Runs) -> None:
    with duckdb.connect(str(runs.layout.work / audit.STORE)) as connection:
        connection.execute("delete from events where seq > 1")
    assert ("audit trail", "event 3") in found_broken(runs)


def test_an_edited_event_is_named(runs: Runs) -> None:
    with duckdb.connect(str(runs.layout.work / audit.STORE)) as connection:
        connection.execute("update events set actor = 'nobody' where seq = 2")
    assert ("audit trail", "event 2") in found_broken(runs)


def sign(runs: Runs) -> signing.Signature:
    return signing.sign(
        runs.layout, runs.second, name=" Ada\n Example", role="statistician", meaning="reviewed"
    )


def test_a_signature_holds_until_a_file_changes(runs: Runs) -> None:
    assert signing.last_signed(runs.layout) is None
    signature = sign(runs)
    assert signature.manifest_sha256 == manifest.sha256(folder(runs) / manifest.MANIFEST)
    assert (folder(runs) / signing.SIGNATURES).stat().st_mode & 0o777 == PUBLISHED_MODE
    assert found_broken(runs) == set()
    assert signing.judge(runs.layout, runs.first) == []
    (folder(runs) / "quality.html").write_text("better")
    assert found_broken(runs) == {
        ("file", "quality.html"), ("signature", "Ada Example, statistician"),
    }  # fmt: skip
    (judged,) = signing.judge(runs.layout, runs.second)
    assert judged.broken_by == ("quality.html was changed after it",)


@pytest.mark.parametrize("what", ["altered", "removed", "forged"])
def test_a_signature_that_was_tampered_with_does_not_hold(runs: Runs, what: str) -> None:
    signature = sign(runs)
    path = folder(runs) / signing.SIGNATURES
    if what == "removed":
        path.unlink()
    elif what == "altered":
        path.write_text(path.read_text().replace("reviewed", "approved"))
    else:
        with path.open("a") as stream:
            stream.write(json.dumps({**vars(signature), "name": "Bob Example"}) + "\n")
    assert {part for part, _ in found_broken(runs)} == {"signature"}
    assert not all(judged.holds for judged in signing.judge(runs.layout, runs.second))


def test_a_signature_of_a_run_that_was_withdrawn_is_not_called_broken(runs: Runs) -> None:
    sign(runs)
    manifest.withdraw(folder(runs), {"reason": "erasure", "superseded_by": None})
    for path in folder(runs).iterdir():
        if path.name not in OUTLIVES_RUNS:
            remove(path)
    assert signing.last_signed(runs.layout) is None
    with pytest.raises(CommandError, match=r"was withdrawn \(erasure\).*by: no run"):
        sign(runs)
    (found,) = [f for f in verify(runs.layout, runs.second) if f.part == "signature"]
    assert (found.state, found.because) == (
        "cannot be verified",
        "its run was withdrawn: erasure",
    )
    path = folder(runs) / manifest.MANIFEST
    path.write_text(path.read_text() + " ")
    assert ("signature", "Ada Example, statistician") in found_broken(runs)


def test_a_damaged_run_cannot_be_signed(runs: Runs) -> None:
    (folder(runs) / "docs.html").unlink()
    with pytest.raises(CommandError, match=r"docs\.html is missing"):
        sign(runs)
    with pytest.raises(CommandError, match="needs role"):
        signing.sign(runs.layout, runs.first, name="Ada", role=" ", meaning="reviewed")
    with pytest.raises(CommandError, match="text in UTF-8"):
        signing.sign(runs.layout, runs.first, name="Ada \udcff", role="x", meaning="reviewed")
    assert signing.judge(runs.layout, runs.first) == []


@pytest.mark.parametrize("signed_before", [True, False])
def test_a_signature_that_the_trail_does_not_take_is_none(
    signed_before: bool, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    if signed_before:
        sign(runs)
    path = folder(runs) / signing.SIGNATURES
    before = path.read_bytes() if signed_before else None

    def busy(*_: object) -> None:
        raise CommandError("audit.duckdb is in use", Exit.BUSY)

    with monkeypatch.context() as patched:
        patched.setattr(audit, "append", busy)
        with pytest.raises(CommandError, match="in use"):
            sign(runs)
    assert (path.read_bytes() if path.exists() else b"") == (before or b"")
    assert found_broken(runs) == set()
    assert signing.last_signed(runs.layout) == (runs.second if signed_before else None)


def test_a_signature_that_cannot_be_written_is_not_in_the_trail(runs: Runs) -> None:
    (folder(runs) / signing.SIGNATURES).mkdir()
    with pytest.raises(OSError, match="directory"):
        sign(runs)
    assert signing.RUN_SIGNED not in {event.kind for event in audit.events(runs.layout.work)}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (manifest.MANIFEST, b"[]"),
        (manifest.MANIFEST, b"{}"),
        (manifest.MANIFEST, b'{"inputs": [], "relations": [], "outputs": "x"}'),
        (manifest.MANIFEST, b'{"inputs": [], "relations": [], "outputs": [], "previous": 1}'),
        (manifest.MANIFEST, b"\xff"),
        (manifest.WITHDRAWN, b"{"),
        (manifest.WITHDRAWN, b"[]"),
        (signing.SIGNATURES, b"[1]\n"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_remedy(
    name: str, content: bytes, runs: Runs
) -> None:
    path = folder(runs) / name
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    with pytest.raises(CommandError, match=f"{name} cannot be read; restore it from its copy"):
        verify(runs.layout, runs.second)


@pytest.mark.parametrize("left", [0, 5000, None])
def test_a_damaged_store_of_the_trail_is_called_that(left: int | None, runs: Runs) -> None:
    path = runs.layout.work / audit.STORE
    path.write_bytes(b"x" * 5000 if left is None else path.read_bytes()[:left])
    with pytest.raises(CommandError, match=f"{audit.STORE} cannot be read: it is damaged") as told:
        verify(runs.layout, runs.second)
    assert told.value.exit_code == Exit.BAD_INPUT


@pytest.mark.parametrize("what", ["missing", "damaged"])
def test_who_needs_the_tables_of_a_damaged_run_is_told(what: str, runs: Runs) -> None:
    path = folder(runs) / WAREHOUSE
    path.unlink()
    if what == "damaged":
        path.write_bytes(b"not a database" * 1000)
    for command in (("trace", "her2_mcrc.fig1.all.os.first-line.median_months"),
                    ("diff", runs.first)):  # fmt: skip
        code, said = runs.command(*command, check=False)
        assert code == Exit.BAD_INPUT, said
        assert "damaged" in said or "does not exist" in said
        assert "fault of the program" not in said


def test_the_remedy_fits_what_is_broken(runs: Runs) -> None:
    assert remedy(verify(runs.layout, runs.second), runs.second) == ""
    (folder(runs) / "docs.html").unlink()
    assert runs.second in remedy(verify(runs.layout, runs.second), runs.second)


def test_the_chain_goes_back_to_the_first_run(runs: Runs) -> None:
    assert manifest.chain(runs.layout) == [runs.second, runs.first]
    assert manifest.find(runs.layout, None) == runs.second
    assert manifest.find(runs.layout, runs.first) == runs.first
    with pytest.raises(CommandError, match="No run begins with nonsense"):
        manifest.find(runs.layout, "nonsense")
    with pytest.raises(CommandError, match="More than one run begins with 2"):
        manifest.find(runs.layout, "2")
    shutil.copytree(folder(runs), runs.layout.published / "a copy")
    assert manifest.published_runs(runs.layout) == [runs.first, runs.second]
    (runs.layout.published / runs.first / manifest.MANIFEST).unlink()
    assert manifest.chain(runs.layout) == [runs.second]
