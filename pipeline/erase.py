"""`rwe erase PATIENT`: takes a patient who withdrew out of every file, and proves it.

The delivered rows are found by the hospital's number in the archived files, whatever the key was
when they were landed. They are emptied in the archive and in the raw tables of every delivery; the
private build and its pages are removed; the runs that held the patient are withdrawn, and a run of
the same delivery without the patient supersedes them. What is left is a digest under the key, by
which a later delivery of the patient is recognised and left out, and counts. Files are written
anew: DuckDB and file systems keep the bytes of a row that is deleted within a file.

An erasure that was interrupted is finished by giving the command again.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from rich.console import Console

from pipeline import audit, diff, increment, ledger, manifest, resources, run, signing
from pipeline.archive import archived, patient_number, records_of, reread
from pipeline.byte_search import files_with, texts_in
from pipeline.contract import RECORD_BITS, RID_SHIFT, Table, read_contract
from pipeline.delivery import LANDING, blank_rows, rewrite
from pipeline.errors import CommandError, Exit
from pipeline.ledger import Delivery
from pipeline.paths import Layout
from pipeline.pseudonyms import erasure_digest, key_id, load_key, pseudonym
from pipeline.publish import remove
from pipeline.reader import quoted
from pipeline.transform import Progress

REASON = "erasure"
PATIENT_ERASED, RUN_WITHDRAWN = "patient erased", "run withdrawn"
"""How the audit trail calls them; neither event names the patient."""

MADE_BY_BUILDS = (
    "warehouse.duckdb*",
    *(f"{name}*" for name in (increment.WHOLE, increment.CHANGES, increment.BEFORE)),
    increment.BUILT,
    f"*{run.PRIVATE_PAGE}",
    f"{LANDING}*",
    "logs",
    "spark",
    f"{resources.SPILL}[0-9]*",
)
"""What a build makes of patients in the work folder. What else is there is searched, not removed:
who names a folder of other things as the work folder must not lose them."""
OUTLIVES_RUNS = (manifest.MANIFEST, manifest.WITHDRAWN, signing.SIGNATURES)
"""What stays of a withdrawn run: numbers and hashes, so that the chain of manifests holds."""

SHORTEST_SEARCHED = 5
"""A patient number of fewer characters is found everywhere, as a dose or a day: not searched."""

OUTSIDE = (
    "What lies outside these folders is yours to remove: the delivered files themselves, copies "
    "and backups, and what was handed out."
)


@dataclass(frozen=True)
class Erasure:
    """What was done; it names nobody."""

    n_records: int
    n_files: int
    deliveries: list[int]
    withdrawn: list[str]
    superseded_by: str | None
    n_numbers: int
    n_searched: int
    shared_columns: list[str]
    """Columns beyond the contract of whose values others have some too: these cannot be proved."""


@dataclass
class _Patient:
    """One patient as the work folder knows them; who was erased before has no number any more."""

    site_code: str | None
    number: str | None
    keys: set[str]
    texts: dict[str, set[str]] = field(default_factory=dict)
    """Values of columns beyond the contract, and of which columns."""
    records: dict[_File, list[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class _File:
    """One delivered file; several deliveries may hold the same."""

    sha256: str
    encoding: str
    table: str


def erase(
    layout: Layout, patient: str, site_code: str | None, *, step: run.Step, progress: Progress
) -> Erasure:
    """Erase one patient: given by number and site, or by pseudonym.

    Raises CommandError if no delivery and no earlier erasure knows the pseudonym or the site, if
    the run that supersedes cannot be built (give the command again then), or if any file still
    names the patient.
    """
    if not patient.strip():
        raise CommandError("The patient's number or pseudonym is empty; nothing was erased.")
    with run.workplace(layout.work / "deliveries", layout):
        step("find: archived files of every delivery")
        known = ledger.deliveries(layout.work)
        landed = max((ledger.landed_bytes(layout.work, one.seq) for one in known), default=0)
        resources.require_space(layout.work, landed * resources.BUILD_BYTES_PER_DELIVERED_BYTE)
        found = (
            _by_number(known, patient, site_code) if site_code else _by_key(layout, known, patient)
        )
        key = load_key()
        note = _recall(layout.work, found)
        holders = _find_records(layout.work, known, found)
        _remember(note, found)
        held = _mark_withdrawn(layout, holders)

        step("erase: archive and raw tables of every delivery, private build")
        for patient_key in found.keys:
            ledger.erase(layout.work, erasure_digest(patient_key, key), key_id(key))
        if found.records or held:  # before it is the records that say so when interrupted
            _clear_build(layout.work)
        _blank(layout.work, known, found)

        current = manifest.previous_run(layout)
        by = current["run_id"] if current else None
        if by in held:
            standing = manifest.deliveries(manifest.read(layout.current))
            delivery = layout.work / "deliveries" / str(max(standing))
            by = _build_without(delivery, layout, step=step, progress=progress)
        n_numbers = sum([_withdraw(layout, run_id, by) for run_id in held])

        step("prove: the bytes of every file")
        shared = texts_in(_made_without(layout), found.texts)
        n_searched = _prove(layout, found, shared, note)
        note.unlink()
        done = Erasure(
            n_records=sum(map(len, found.records.values())),
            n_files=len(found.records),
            deliveries=sorted(delivery.seq for delivery in holders),
            withdrawn=held,
            superseded_by=by if held else None,
            n_numbers=n_numbers,
            n_searched=n_searched,
            shared_columns=sorted({name for text in shared for name in found.texts[text]}),
        )
        audit.append(layout.work, PATIENT_ERASED, {**vars(done)})
    return done


def show(done: Erasure, console: Console) -> None:
    """Print what was erased and what was proved; nothing of it names the patient."""
    if done.n_records:
        console.print(
            f"Erased: {done.n_records:,} records of {done.n_files} files, in "
            f"{len(done.deliveries)} deliveries."
        )
    else:
        console.print("No delivery names this patient; one that does will be left without them.")
    for run_id in done.withdrawn:
        console.print(f"Withdrawn: run {run_id}; its manifest is all that is left of it.")
    if done.superseded_by:
        console.print(
            f"Superseded by: run {done.superseded_by}; {done.n_numbers:,} numbers are others now."
        )
    console.print(f"Proved: the patient is in none of {done.n_searched:,} files.")
    if done.shared_columns:
        console.print(
            f"To be looked at: {', '.join(done.shared_columns)}. The patient's values of these "
            "columns beyond the contract are erased; some stand elsewhere too, as in the records "
            "of others, and were not searched for. What names the patient there is for the "
            "hospital to correct.",
            soft_wrap=True,
        )
    console.print(OUTSIDE, soft_wrap=True)


def _by_number(known: list[Delivery], number: str, site_code: str) -> _Patient:
    sites = {delivery.site_code for delivery in known}
    if site_code not in sites:
        told = ", ".join(sorted(site for site in sites if site)) or "none"
        raise CommandError(f"No delivery is of site {site_code}; nothing was erased. Sites: {told}")
    return _Patient(site_code, number.strip(), {pseudonym(site_code, number.strip(), load_key())})


def _by_key(layout: Layout, known: list[Delivery], patient_key: str) -> _Patient:
    """The patient of a pseudonym; the number is read from an archived record of the patient."""
    table = read_contract().tables["patients"]
    for delivery in known:
        folder = ledger.raw_folder(layout.work, delivery.seq)
        with duckdb.connect() as connection:
            row = connection.execute(
                f"select sha256, encoding, src_rid & {RECORD_BITS} "
                f"from '{quoted(folder / 'patients.parquet')}' as patients "
                f"inner join '{quoted(folder / 'files.parquet')}' as files "
                f"on src_rid >> {RID_SHIFT} = file_id where patient_key = ?",
                [patient_key],
            ).fetchone()
        if row:
            sha256, encoding, record_no = row
            records = reread(layout.work, table, sha256, encoding, {0, record_no})
            place = (records[0].fields or []).index(table.patient_column or "")
            number = patient_number((records[record_no].fields or [])[place])
            return _Patient(delivery.site_code, number, {patient_key})
    key = load_key()
    if erasure_digest(patient_key, key) not in ledger.erased(layout.work, key_id(key)):
        raise CommandError(
            "No delivery has a patient of this pseudonym; nothing was erased. "
            "Give the hospital's number, and its site with --site."
        )
    return _Patient(None, None, {patient_key})


def _find_records(work: Path, known: list[Delivery], patient: _Patient) -> list[Delivery]:
    """Fill in the patient's records, pseudonyms and other texts; return the deliveries of them."""
    holders = []
    for delivery in known:
        if patient.number is None or delivery.site_code != patient.site_code:
            continue
        for table, rows, file, first_rid in _tables(work, delivery):
            if file not in patient.records:
                patient.records[file] = records_of(
                    archived(work, file.sha256), file.encoding, table, patient.number.__eq__
                )
            if record_nos := patient.records[file]:
                holders.append(delivery)
                _read_texts(rows, [first_rid + n for n in record_nos], patient)
    patient.records = {
        file: record_nos for file, record_nos in patient.records.items() if record_nos
    }
    return list(dict.fromkeys(holders))


def _read_texts(rows: Path, src_rids: list[int], patient: _Patient) -> None:
    """Learn the pseudonyms of the rows, and the texts of their columns beyond the contract."""
    with duckdb.connect() as connection:
        keys = connection.execute(
            f"select distinct patient_key from '{quoted(rows)}' "
            "where list_contains(?, src_rid) and patient_key is not null",
            [src_rids],
        ).fetchall()
        undeclared = connection.execute(
            f"select undeclared from '{quoted(rows)}' where list_contains(?, src_rid) "
            "and undeclared is not null",
            [src_rids],
        ).fetchall()
    patient.keys |= {patient_key for (patient_key,) in keys}
    for (text,) in undeclared:
        for name, value in json.loads(text).items():
            if value and len(value.strip()) >= SHORTEST_SEARCHED:
                patient.texts.setdefault(value.strip(), set()).add(name)


def _remember(note: Path, patient: _Patient) -> None:
    """Keep what the proof searches for until it is given: the records that tell it are emptied."""
    told = {
        "site_code": patient.site_code,
        "number": patient.number,
        "keys": sorted(patient.keys),
        "texts": {text: sorted(columns) for text, columns in patient.texts.items()},
    }
    partial = note.with_suffix(".partial")
    partial.write_text(json.dumps(told), encoding="utf-8")
    partial.replace(note)


def _recall(work: Path, patient: _Patient) -> Path:
    """Return the note on the patient, and learn what an erasure that did not end has kept in it."""
    for note in ledger.unfinished_erasures(work):
        told = json.loads(note.read_text(encoding="utf-8"))
        named = patient.number and (patient.site_code, patient.number)
        # After a change of the key the patient may be given by another pseudonym than before.
        if patient.keys & set(told["keys"]) or named == (told["site_code"], told["number"]):
            patient.site_code = patient.site_code or told["site_code"]
            patient.number = patient.number or told["number"]
            patient.keys |= set(told["keys"])
            for text, columns in told["texts"].items():
                patient.texts.setdefault(text, set()).update(columns)
            return note
    return work / f"{ledger.ERASING}{erasure_digest(min(patient.keys), load_key())}.json"


def _tables(work: Path, delivery: Delivery) -> list[tuple[Table, Path, _File, int]]:
    """Of each delivered table with patients: its rows, its archived file, and its first src_rid."""
    folder = ledger.raw_folder(work, delivery.seq)
    with duckdb.connect() as connection:
        found = connection.execute(
            "select table_name, sha256, encoding, file_id "
            f"from '{quoted(folder / 'files.parquet')}' where sha256 is not null"
        ).fetchall()
    tables = read_contract().tables
    return [
        (
            tables[name],
            folder / f"{name}.parquet",
            _File(sha256, encoding, name),
            file_id << RID_SHIFT,
        )
        for name, sha256, encoding, file_id in found
        if tables[name].patient_column
    ]


def _mark_withdrawn(layout: Layout, holders: Collection[Delivery]) -> list[str]:
    """Mark the runs that hold the patient; return them, and those an interrupted erasure marked."""
    seqs = {delivery.seq for delivery in holders}
    marked = []
    for run_id in manifest.published_runs(layout):
        folder = layout.published / run_id
        if seqs & manifest.deliveries(manifest.read(folder)):
            manifest.withdraw(folder, {"reason": REASON, "superseded_by": None})
        if manifest.withdrawn(folder) and _data_of(folder):
            marked.append(run_id)
    return marked


def _blank(work: Path, known: list[Delivery], patient: _Patient) -> None:
    """Empty rows first, archived records last: these are what the rows are found by."""
    with resources.in_memory(work) as connection:
        for delivery in known:
            for _, rows, file, first_rid in _tables(work, delivery):
                record_nos = patient.records.get(file, [])
                blank_rows(connection, rows, [first_rid + n for n in record_nos])
    for file, record_nos in patient.records.items():
        table, stored = read_contract().tables[file.table], archived(work, file.sha256)
        rewrite(work, stored, file.sha256, file.encoding, table, record_nos)


def _clear_build(work: Path) -> None:
    for pattern in MADE_BY_BUILDS:
        for path in work.glob(pattern):
            remove(path)


def _data_of(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name not in OUTLIVES_RUNS]


def _build_without(delivery: Path, layout: Layout, *, step: run.Step, progress: Progress) -> str:
    try:
        return run.build(delivery, layout, step=step, progress=progress).run_id
    except CommandError as error:
        raise CommandError(
            f"{error}\nThe erasure is not finished: the patient is out of what was delivered, but "
            "not out of the runs that are published. Give the command again when this is mended",
            error.exit_code,
        ) from None


def _withdraw(layout: Layout, run_id: str, by: str | None) -> int:
    """Remove what a run holds but its manifest; record which of its numbers another run changed."""
    folder = layout.published / run_id
    if layout.current.is_symlink() and layout.current.resolve() == folder:
        layout.current.unlink()
    numbers = (
        diff.numbers_moved(manifest.read(folder), manifest.read(layout.published / by))
        if by and by != run_id
        else []
    )
    for path in _data_of(folder):
        remove(path)
    told = {"reason": REASON, "superseded_by": by, "numbers": [change.what for change in numbers]}
    manifest.withdraw(folder, told)
    audit.append(
        layout.work,
        RUN_WITHDRAWN,
        {"run_id": run_id, "reason": REASON, "superseded_by": by, "n_numbers": len(numbers)},
    )
    return len(numbers)


def _made_without(layout: Layout) -> list[Path]:
    """What is left of deliveries, and was built of it: a text in there is not the patient's own."""
    current = [layout.current.resolve()] if layout.current.exists() else []
    return [layout.work / "archive", layout.target, *current]


def _prove(layout: Layout, patient: _Patient, shared: Collection[str], note: Path) -> int:
    """Search every file but the note for the patient; return how many were searched."""
    texts = {*patient.keys, *(patient.texts.keys() - shared)}
    if patient.number and len(patient.number) >= SHORTEST_SEARCHED:
        texts.add(patient.number)
    searched, found = files_with((layout.work, layout.published), texts)
    if found := [path for path in found if path != note]:
        raise CommandError(
            "The patient is still named in, or cannot be looked for in:\n"
            + "\n".join(f"  - {path}" for path in found)
            + "\nA number that stands in another patient's record is for the hospital to correct "
            "and deliver again; anything else in these folders was not made by rwe: remove it, and "
            "give the command again",
            Exit.SECURITY,
        )
    return searched - 1
