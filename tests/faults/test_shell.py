"""What an analyst, or who pretends to be one, cannot do with `rwe sql`."""

from __future__ import annotations

import csv
import io
import resource
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console

from pipeline import shell
from pipeline.errors import CommandError, Exit
from tests.processes import PROCESSES

DENIED = (
    "select * from read_text('/etc/passwd')",
    "select * from read_blob('/etc/passwd')",
    "select * from read_csv('/etc/passwd')",
    "select * from read_csv_auto('/etc/passwd')",
    "select * from sniff_csv('/etc/passwd')",
    "select * from read_json('/etc/passwd')",
    "select * from read_json_auto('/etc/passwd')",
    "select * from read_ndjson('/etc/passwd')",
    "select * from read_parquet('{folder}/x.parquet')",
    "select * from parquet_metadata('{folder}/x.parquet')",
    "select * from parquet_schema('{folder}/x.parquet')",
    "select * from '/etc/passwd'",
    "select * from '{folder}/x.parquet'",
    "select * from glob('/etc/*')",
    "select * from read_duckdb('{folder}/other.duckdb')",
    "attach '{folder}/other.duckdb' as other",
    "attach '{folder}/new.duckdb'",
    "attach 'https://example.org/x.duckdb'",
    "copy cohort.cohort to '{folder}/x.csv'",
    "copy (select 1) to '{folder}/x.parquet'",
    "copy cohort.cohort from '/etc/passwd'",
    "export database '{folder}/out'",
    "import database '{folder}/out'",
    "install httpfs",
    "load httpfs",
    "install httpfs from community",
    "load '{folder}/x.duckdb_extension'",
    "set enable_external_access = true",
    "set lock_configuration = false",
    "reset enable_external_access",
    "set autoload_known_extensions = true",
    "set allowed_directories = ['/']",
    "set allowed_paths = ['/etc/passwd']",
    "set temp_directory = '{folder}'",
    "set memory_limit = '100GB'",
    "set home_directory = '{folder}'",
    "set log_query_path = '{folder}/log'",
    "pragma enable_profiling; pragma profiling_output = '{folder}/profile'",
    "create persistent secret s (type http)",
    "create table cohort.mine as select 1",
    "create view cohort.mine as select * from read_text('/etc/passwd')",
    "insert into cohort.cohort values ('x')",
    "update cohort.cohort set patient_key = 'x'",
    "delete from cohort.cohort",
    "drop table cohort.cohort",
    "alter table cohort.cohort add column x int",
    "select * from python_list",
)


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    for name in ("warehouse", "other"):
        with duckdb.connect(str(tmp_path / f"{name}.duckdb")) as connection:
            connection.execute("create schema cohort")
            connection.execute("create table cohort.cohort as select 'k' as patient_key")
    with duckdb.connect() as connection:
        connection.execute(f"copy (select 1) to '{tmp_path / 'x.parquet'}'")
    return tmp_path / "warehouse.duckdb"


@pytest.mark.parametrize("statement", DENIED)
def test_flt57_sec06_untrusted_sql_is_denied(statement: str, warehouse: Path) -> None:
    folder = warehouse.parent
    before = {path: path.read_bytes() for path in folder.iterdir()}
    python_list = [1]  # a replacement scan would find it
    with shell.open_locked(warehouse) as connection:
        with pytest.raises(CommandError) as denied:
            shell.answer(connection, statement.format(folder=folder), Console())
        assert denied.value.exit_code == Exit.USAGE
        assert connection.execute("from cohort.cohort").fetchall() == [("k",)]
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert python_list


def test_flt57_a_statement_that_does_not_end_is_stopped(
    warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "LONGEST_STATEMENT_SECONDS", 0.3)
    endless = (
        "select count(*) from range(10000000) as a, range(10000000) as b where a.range % 7 = 3"
    )
    with shell.open_locked(warehouse) as connection:
        with pytest.raises(CommandError, match="stopped after") as stopped:
            shell.answer(connection, endless, Console())
        assert stopped.value.exit_code == Exit.RESOURCES
        assert connection.execute("select 1").fetchone() == (1,)


ANSWER = "select range as n, 'a, [b]' as txt, null as none, 'c' || range as wide from range(1, 4)"


def shown(statement: str, **of_terminal: Any) -> str:
    console = Console(file=io.StringIO(), color_system=None, **of_terminal)
    with duckdb.connect() as connection:
        shell.answer(connection, statement, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_into_a_file_go_all_rows_as_csv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "MOST_ROWS_SHOWN", 1)
    monkeypatch.setattr(shell, "ROWS_AT_ONCE", 2)
    rows = list(csv.DictReader(io.StringIO(shown(ANSWER))))
    assert [row["n"] for row in rows] == ["1", "2", "3"]
    assert rows[0] == {"n": "1", "txt": "a, [b]", "none": "", "wide": "c1"}


def test_on_a_terminal_too_narrow_for_a_row_each_value_has_its_line() -> None:
    wide = shown(ANSWER, force_terminal=True, width=80)
    assert [line.split() for line in wide.splitlines()][1] == ["1", "a,", "[b]", "c1"]
    narrow = [line.split() for line in shown(ANSWER, force_terminal=True, width=15).splitlines()]
    assert narrow[:4] == [["row", "1"], ["n", "1"], ["txt", "a,", "[b]"], ["none"]]
    assert narrow[5] == ["row", "2"]


def limited() -> None:
    shell.limit_process()
    assert resource.getrlimit(resource.RLIMIT_AS)[1] <= shell.ADDRESS_SPACE_BYTES
    assert resource.getrlimit(resource.RLIMIT_CPU)[1] <= shell.PROCESSOR_SECONDS
    with pytest.raises(MemoryError):
        bytearray(2 * shell.ADDRESS_SPACE_BYTES)


def test_flt57_the_process_has_hard_limits() -> None:
    process = PROCESSES.Process(target=limited)
    process.start()
    process.join()
    assert process.exitcode == 0


@pytest.mark.parametrize("left", [0, 1, 0.5])
def test_flt16_a_damaged_warehouse_is_called_that(left: float, warehouse: Path) -> None:
    content = warehouse.read_bytes()
    warehouse.write_bytes(content[: int(left if left == 1 else left * len(content))])
    with pytest.raises(CommandError, match=r"it is damaged\. Restore the folder of run") as damaged:
        shell.open_locked(warehouse)
    assert damaged.value.exit_code == Exit.BAD_INPUT


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (";", "no statement"),
        ("select 1; select 2", "one statement at a time"),
        ("-- nothing", "no statement"),
        ("select interval '3000000 years'", "cast it to text"),
    ],
)
def test_what_has_no_answer_is_said_in_a_sentence(statement: str, words: str) -> None:
    with pytest.raises(CommandError, match=words) as told:
        shown(statement)
    assert told.value.exit_code == Exit.USAGE


def test_a_pivot_is_one_statement() -> None:
    said = shown("pivot (select 'a' as x, 1 as y) on x using sum(y); -- and no more")
    assert said == "a\n1\n"


def test_the_prompt_goes_on_after_an_error_that_looks_like_markup(
    warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = iter(["select '[/bold]'::int;", "select 'still here';"])
    monkeypatch.setattr("builtins.input", lambda _: next(typed, None) or _end_of_input())
    console = Console(file=io.StringIO(), color_system=None, width=200)
    with shell.open_locked(warehouse) as connection:
        shell.converse(connection, console)
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert "Could not convert string '[/bold]'" in said
    assert "still here" in said


def _end_of_input() -> str:
    raise EOFError
