"""Whatever happens while a delivery is loaded: it is in the ledger whole, or not at all."""

from __future__ import annotations

import csv
import errno
import itertools
import os
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest
from xlsxwriter.exceptions import FileCreateError

from pipeline import faults, ledger, resources
from pipeline.contract import read_contract
from pipeline.dbt_plugin import Plugin
from pipeline.delivery import LANDING, land
from pipeline.errors import CommandError, Exit, as_command_error
from pipeline.pseudonyms import erasure_digest, key_id, load_key, pseudonym, require_key
from synthetic import generate
from tests.faults.trials import EXIT_CODES
from tests.processes import PROCESSES, ended

TABLES = len(read_contract().tables)
KINDS = ("kill", "enospc")


@pytest.fixture(scope="module")
def extract(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loading") / "extract"
    generate(folder, patients=100)
    return folder


@pytest.fixture(autouse=True)
def key(extract: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.setenv("RWE_KEY_FILE", str(extract.with_suffix(".key")))
    require_key(None)
    return load_key()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"


@pytest.fixture(scope="module")
def whole(extract: Path) -> dict[str, Counter[Any]]:
    """What is landed when nothing fails."""
    work = extract.parent / "work"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RWE_KEY_FILE", str(extract.with_suffix(".key")))
        land(extract, work)
    return landed(work)


def landing(folder: Path, work: Path, key_file: str, fault: str) -> None:
    os.environ |= {"RWE_KEY_FILE": key_file, faults.FAULT_VARIABLE: fault}
    try:
        land(folder, work)
    except Exception as error:
        os._exit(as_command_error(error).exit_code)


def landed(work: Path, seq: int = 1) -> dict[str, Counter[Any]]:
    """The rows of every table, without their numbers."""
    folder = ledger.raw_folder(work, seq)
    return {
        name: Counter(
            duckdb.sql(f"select lower(hex(row_hash)) from '{folder / name}.parquet'").fetchall()
        )
        for name in read_contract().tables
    }


@pytest.mark.parametrize("kind", KINDS)
def test_flt01_flt09_loading_fails_at_each_table(
    kind: str,
    extract: Path,
    work: Path,
    whole: dict[str, Counter[Any]],
    survived: list[str],
) -> None:
    for nth in itertools.count(1):
        key_file = os.environ["RWE_KEY_FILE"]
        code = ended(landing, extract, work, key_file, f"load:{nth}:{kind}")
        if code == 0:
            break
        assert code == EXIT_CODES[kind]
        assert ledger.deliveries(work) == []
        assert not (work / "deliveries").exists()
        assert (kind == "kill") == bool(list(work.glob(f"{LANDING}*")))
        survived.append(f"load:{nth}:{kind}")
    assert nth > TABLES
    assert ledger.deliveries(work)[0].seq == 1
    assert list(work.glob(f"{LANDING}*")) == []
    assert landed(work) == whole


def test_flt29_flt30_the_same_rows_in_another_order_are_the_same_rows(
    extract: Path, whole: dict[str, Counter[Any]], tmp_path: Path
) -> None:
    work = extract.parent / "work"
    assert land(extract, work).seq == 1
    other = tmp_path / "other"
    shutil.copytree(extract, other)
    for path in other.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as stream:
            header, *records = csv.reader(stream)
        random.Random(1).shuffle(records)
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
            writer.writerows(row[::-1] for row in [header, *records])
    assert land(other, work).seq == 2
    assert landed(work, 2) == whole


def test_flt35_a_delivery_can_be_built_again_from_what_was_kept(
    extract: Path, whole: dict[str, Counter[Any]]
) -> None:
    work = extract.parent / "work"
    first = ledger.deliveries(work)[0]
    assert land(work / "deliveries" / "1", work) == first
    assert landed(work) == whole


def test_flt47_who_was_erased_is_left_out(extract: Path, work: Path, key: bytes) -> None:
    with (extract / "patients.csv").open(encoding="utf-8", newline="") as stream:
        number = next(csv.DictReader(stream))["patient_id"]
    ledger.erase(work, erasure_digest(pseudonym("H01", number, key), key), key_id(key))
    land(extract, work)
    held = duckdb.sql(
        f"select load_fault, patient_key from '{ledger.raw_folder(work, 1) / 'patients.parquet'}' "
        "order by src_rid"
    ).fetchall()
    assert held[0] == ("erased", None)
    assert all(fault is None and patient_key for fault, patient_key in held[1:])


MANY_ROWS = "create table t as select md5(range::varchar) as x from range(2000000)"


@pytest.mark.parametrize(
    ("limits", "advice"),
    [
        ({"RWE_MEMORY_LIMIT": "30MB"}, "RWE_MEMORY_LIMIT=2GB"),
        ({"RWE_MEMORY_LIMIT": "30MB", "RWE_SPILL_LIMIT": "1MB"}, "on a larger file system"),
    ],
    ids=["FLT-52", "FLT-11"],
)
def test_flt11_flt50_flt52_no_memory_and_no_room_to_spill(
    limits: dict[str, str], advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the limits that a build is given by dbt's plugin."""
    for name, value in limits.items():
        monkeypatch.setenv(name, value)
    spill = str(tmp_path) if "RWE_SPILL_LIMIT" in limits else ""
    with duckdb.connect(config={"temp_directory": spill, "threads": 1}) as connection:
        Plugin.configure_connection(object.__new__(Plugin), connection)
        with pytest.raises(duckdb.Error) as ran_out:
            connection.execute(MANY_ROWS)
    told = as_command_error(ran_out.value)
    assert told.exit_code == Exit.RESOURCES
    assert advice in str(told)


def test_flt11_flt52_landing_keeps_the_limits_and_spills_into_the_work_folder(
    extract: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RWE_MEMORY_LIMIT", "1MB")
    with pytest.raises(duckdb.Error) as ran_out:
        land(extract, work)
    assert as_command_error(ran_out.value).exit_code == Exit.RESOURCES
    assert ledger.deliveries(work) == []
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("RWE_MEMORY_LIMIT", "30MB")
    with resources.in_memory(work) as connection:
        connection.execute("set threads = 1")
        connection.execute(MANY_ROWS)
        (spilled,) = work.glob(f"{resources.SPILL}*")
        assert list(spilled.iterdir())
        monkeypatch.setenv("RWE_SPILL_LIMIT", "1MB")
        with (
            resources.in_memory(tmp_path) as other,
            pytest.raises(duckdb.Error, match="max_temp_directory_size"),
        ):
            other.execute("set threads = 1")
            other.execute(MANY_ROWS)
    assert list(here.iterdir()) == []


def test_what_a_killed_process_has_spilled_goes_at_the_next_build(
    extract: Path, work: Path
) -> None:
    ended_process = PROCESSES.Process()
    ended_process.start()
    ended_process.join()
    of_processes = [
        work / f"{resources.SPILL}{process}" for process in (ended_process.pid, os.getpid(), 1)
    ]
    others = work / f"{resources.SPILL}over"
    for folder in (*of_processes, others):
        folder.mkdir(parents=True)
        (folder / "rows").touch()
    land(extract, work)
    assert sorted(work.glob(f"{resources.SPILL}*")) == sorted([*of_processes[1:], others])


def test_a_limit_that_is_no_size_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RWE_MEMORY_LIMIT", "plenty")
    with (
        duckdb.connect() as connection,
        pytest.raises(CommandError, match="RWE_MEMORY_LIMIT=plenty is no size") as refused,
    ):
        resources.limit(connection)
    assert refused.value.exit_code == Exit.USAGE


def test_a_build_takes_no_more_memory_than_its_delivery_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def limit(landed: int) -> int:
        with duckdb.connect() as connection:
            resources.limit(connection)
            resources.limit_to_need(connection, landed)
            said = connection.execute(
                "select parse_formatted_bytes(current_setting('memory_limit'))"
            )
            return int((said.fetchone() or (0,))[0])

    monkeypatch.delenv("RWE_MEMORY_LIMIT", raising=False)
    with duckdb.connect() as connection:
        (most,) = connection.execute(
            "select parse_formatted_bytes(current_setting('memory_limit'))"
        ).fetchone() or (0,)
    assert limit(1) == min(resources.LEAST_MEMORY_BYTES, most)
    assert limit(most) == most
    monkeypatch.setenv("RWE_MEMORY_LIMIT", "1GiB")
    assert limit(1) == limit(most) == 1 << 30


def test_flt10_a_full_disk_is_named() -> None:
    """Neither Python nor Arrow says which file it was."""
    nameless = as_command_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert "left in the work folder or in that of the published runs. Free" in str(nameless)
    named = as_command_error(
        duckdb.IOException('IO Error: Could not write file "/a/b c.tmp": No space left on device')
    )
    assert "left in /a/b c.tmp. Free" in str(named)
    wrapped = FileCreateError(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert str(as_command_error(wrapped)) == str(nameless)
    assert nameless.exit_code == named.exit_code == Exit.RESOURCES


def test_flt52_python_out_of_memory() -> None:
    told = as_command_error(MemoryError())
    assert told.exit_code == Exit.RESOURCES
    assert "RWE_MEMORY_LIMIT" in str(told)
