"""The command `rwe`: what it says of itself, and how it ends when it is stopped."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from pipeline import cli, run
from pipeline.dbt_plugin import DELIVERY_VARIABLE, ONLY_CHANGES_VARIABLE
from pipeline.errors import Exit, NotOnRecordError
from pipeline.faults import FAULT_VARIABLE
from pipeline.paths import PROJECT


def test_every_command_and_option_explains_itself() -> None:
    commands = typer.main.get_group(cli.app).commands
    assert {"demo", "build", "compare", "sql", "patient"} <= set(commands)
    for name, command in commands.items():
        assert command.help and command.help.strip().endswith("."), name
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"


def test_the_readme_lists_every_exit_code_and_setting() -> None:
    said = (PROJECT / "README.md").read_text(encoding="utf-8")
    for code in Exit:
        assert f"\n| {code.value} | " in said, code
    read = {
        name
        for path in (*PROJECT.glob("pipeline/*.py"), PROJECT / "profiles.yml")
        for name in re.findall(r"RWE_[A-Z_]+", path.read_text(encoding="utf-8"))
        if not name.startswith("RWE_SPARK")  # docs/spark.md
    }
    between_its_own_parts = {
        DELIVERY_VARIABLE,
        ONLY_CHANGES_VARIABLE,
        FAULT_VARIABLE,
        "RWE_RUN_ID",
    }
    assert [name for name in sorted(read - between_its_own_parts) if name not in said] == []
    assert all(
        option in said for option in ("--work", "--published", "--allow-older", "--blocking")
    )


def test_a_warning_that_looks_like_markup_is_printed_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    warning = "delivery [/bold] was never published"
    outcome = run.Outcome("a run", tmp_path / "w", [], tmp_path / "q", [warning], [])
    monkeypatch.setattr(run, "run", lambda *_, **__: outcome)
    finished = CliRunner().invoke(cli.app, ["build", str(tmp_path)])
    assert finished.exit_code == 0, finished.exception
    assert warning in finished.output


def test_numbers_that_a_second_programme_finds_otherwise_end_the_build_with_a_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = "a study fig1: Do not use these numbers"
    outcome = run.Outcome("a run", tmp_path / "w", [], tmp_path / "q", [], [found])
    monkeypatch.setattr(run, "run", lambda *_, **__: outcome)
    finished = CliRunner().invoke(cli.app, ["build", str(tmp_path)])
    assert finished.exit_code == Exit.UNEXPECTED
    assert found in finished.output
    assert "Published run a run" in finished.output


@pytest.fixture
def as_before() -> Iterator[None]:
    """Whatever `main` sets for its process is set back."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    mask = os.umask(0)
    os.umask(mask)
    yield
    os.umask(mask)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("as_before")
def test_flt07_stopped_where_a_library_swallows_the_interrupt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []

    def app() -> None:
        with cli._steps() as (step, _):
            step("land")
            with suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
            done.append("land")
            step("publish")
            done.append("publish")

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 128 + signal.SIGTERM
    assert done == ["land"]
    assert "nothing was published" in capsys.readouterr().err


@pytest.mark.usefixtures("as_before")
def test_flt07_stopped_after_a_run_became_current(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def app() -> None:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        raise NotOnRecordError("the run is published")

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 128 + signal.SIGTERM
    assert capsys.readouterr().err.endswith("stopped by SIGTERM; the run is published\n")


@pytest.mark.usefixtures("as_before")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_flt07_stopped_before_a_command_listens(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "app", lambda: signal.raise_signal(number))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 128 + number
    assert f"stopped by {number.name}" in capsys.readouterr().err
