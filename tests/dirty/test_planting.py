"""The dirty delivery itself: what is planted is listed, and nothing else is touched."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from synthetic import Planted, generate
from synthetic.dirty import KINDS, Defect, spoil
from synthetic.records import COLUMNS
from tests.conftest import rwe

PATIENTS = 800
FEWEST_KINDS = 60

Tables = dict[str, list[list[str]]]


def read(folder: Path) -> Tables:
    tables = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            tables[path.stem] = list(csv.reader(file))
    return tables


def whole(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Planted]:
    folder = tmp_path_factory.mktemp("clean") / "extract"
    return folder, generate(folder, patients=PATIENTS)


@pytest.fixture(scope="module")
def clean(generated: tuple[Path, Planted]) -> tuple[Tables, Planted]:
    folder, planted = generated
    return read(folder), planted


@pytest.fixture(scope="module", params=[False, True], ids=["tolerable", "blocking"])
def dirty(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    generated: tuple[Path, Planted],
) -> tuple[Path, list[Defect]]:
    source, planted = generated
    folder = tmp_path_factory.mktemp("dirty") / "extract"
    shutil.copytree(source, folder)
    return folder, spoil(folder, planted, blocking=request.param)


def test_there_are_enough_kinds_and_each_has_a_name_and_an_explanation() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= FEWEST_KINDS
    assert all(kind.done and (kind.check or kind.reason) for kind in KINDS)


def test_every_kind_is_planted(dirty: tuple[Path, list[Defect]]) -> None:
    _, defects = dirty
    planted = {defect.kind for defect in defects}
    blocks = {kind.name for kind in KINDS if kind.blocks}
    assert planted in (blocks, {kind.name for kind in KINDS} - blocks)


def test_the_list_names_every_record_at_fault(
    dirty: tuple[Path, list[Defect]], clean: tuple[Tables, Planted]
) -> None:
    folder, defects = dirty
    spoilt, (before, _) = read(folder), clean
    for defect in defects:
        row = spoilt[defect.table][defect.record_no]
        assert row[0] == defect.row_key
        assert defect.column in ("", *COLUMNS[defect.table])
    touched = {(d.table, d.record_no) for d in defects}
    same = [place for place in touched if _at(before, place) == _at(spoilt, place)]
    # Of two rows that should be one, the first stands as it was; what lacks a report too.
    assert {d.kind for d in defects if (d.table, d.record_no) in same} <= {
        "two_rows_of_one_key",
        "one_person_under_two_numbers",
        "one_dose_under_two_numbers",
        "diagnosis_without_pathology",
    }


def _at(tables: Tables, place: tuple[str, int]) -> list[str]:
    table, number = place
    return tables[table][number] if number < len(tables[table]) else []


def test_nobody_else_is_touched(
    dirty: tuple[Path, list[Defect]], clean: tuple[Tables, Planted]
) -> None:
    folder, defects = dirty
    before, planted = clean
    patients = {defect.patient_id for defect in defects}
    spared = {*planted.included_patients.values()}.union(*planted.near_misses.values())
    assert not patients & spared
    for table, rows in read(folder).items():
        assert len(rows) >= len(before[table])
        changed = [was for was, now in zip(before[table], rows, strict=False) if was != now]
        column = COLUMNS[table].index("patient_id") if "patient_id" in COLUMNS[table] else None
        assert column is not None or not changed
        assert {row[column] for row in changed if column is not None} <= _charts(dirty, before)


def _charts(dirty: tuple[Path, list[Defect]], before: Tables) -> set[str]:
    """The patients in whose charts something was planted; a defect may rename the patient."""
    _, defects = dirty
    return {
        before[d.table][d.record_no][COLUMNS[d.table].index("patient_id")]
        if d.record_no < len(before[d.table])
        else d.patient_id
        for d in defects
    }


def test_a_patient_has_one_defect_at_most(dirty: tuple[Path, list[Defect]]) -> None:
    _, defects = dirty
    of_patient = Counter(patient for _, patient in {(d.defect_id, d.patient_id) for d in defects})
    assert max(of_patient.values()) == 1


def test_the_delivery_still_says_that_it_is_synthetic(
    dirty: tuple[Path, list[Defect]], clean: tuple[Tables, Planted]
) -> None:
    assert read(dirty[0])["delivery"] == clean[0]["delivery"]


def test_the_same_seed_gives_the_same_defects(
    dirty: tuple[Path, list[Defect]], tmp_path: Path
) -> None:
    folder, defects = dirty
    blocking = any(kind.blocks for kind in KINDS if kind.name == defects[0].kind)
    again = tmp_path / "extract"
    assert spoil(again, generate(again, patients=PATIENTS), blocking=blocking) == defects
    assert whole(again) == whole(folder)


def test_another_seed_gives_other_defects(
    dirty: tuple[Path, list[Defect]], tmp_path: Path, generated: tuple[Path, Planted]
) -> None:
    source, planted = generated
    other = tmp_path / "extract"
    shutil.copytree(source, other)
    blocking = any(kind.blocks for kind in KINDS if kind.name == dirty[1][0].kind)
    assert spoil(other, replace(planted, seed=7), blocking=blocking) != dirty[1]


def test_too_few_patients_are_said_to_be_too_few(tmp_path: Path) -> None:
    finished = rwe(
        "demo", tmp_path / "extract", "--dirty", "--patients", 100,
        key_file=tmp_path / "key", check=False,
    )  # fmt: skip
    assert finished.returncode
    assert "too few patients for the defect" in finished.stderr


def test_the_command_says_where_the_list_is(tmp_path: Path) -> None:
    folder = tmp_path / "extract"
    finished = rwe(
        "demo", folder, "--dirty", "--blocking", "--patients", PATIENTS, key_file=tmp_path / "key"
    )
    listed = folder.with_name("extract.defects.csv")
    assert str(listed) in finished.stdout
    with listed.open(encoding="utf-8") as file:
        assert {row["kind"] for row in csv.DictReader(file)} == {
            kind.name for kind in KINDS if kind.blocks
        }
