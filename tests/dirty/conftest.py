"""The dirty demo, built once: its clean twin is the demo that all tests share."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Run, rwe
from tests.dirty.survey import Finding, Place, Recall, read_defects, survey


@dataclass(frozen=True)
class Dirty:
    """A dirty delivery after `rwe build`, which may have been stopped."""

    run: Run
    build: subprocess.CompletedProcess[str]
    recall: Recall


@pytest.fixture(scope="session")
def key_file(demo: Run) -> Path:
    """The demo's: the same patient has the same pseudonym in both."""
    return demo.extract.parent / "pseudonym.key"


@pytest.fixture(scope="session")
def clean(demo: Run) -> dict[Place, Finding]:
    """What the checks find in the clean demo."""
    with demo.private() as connection:
        return survey(connection)


def make_dirty(folder: Path, key_file: Path, clean: dict[Place, Finding], *options: str) -> Dirty:
    run = Run(folder / "extract", folder / "work", folder / "published")
    rwe("demo", run.extract, "--dirty", *options, key_file=key_file)
    build = rwe(
        "build", run.extract, "--work", run.work, "--published", run.published,
        key_file=key_file, check=False,
    )  # fmt: skip
    defects = read_defects(run.extract.with_name("extract.defects.csv"))
    with run.private() as connection:
        recall = Recall(defects, clean, connection, key_file.read_bytes())
    return Dirty(run, build, recall)


@pytest.fixture(scope="session")
def tolerable(
    tmp_path_factory: pytest.TempPathFactory, key_file: Path, clean: dict[Place, Finding]
) -> Dirty:
    """The defects that a warehouse can be built around."""
    return make_dirty(tmp_path_factory.mktemp("tolerable"), key_file, clean)


@pytest.fixture(scope="session")
def blocking(
    tmp_path_factory: pytest.TempPathFactory, key_file: Path, clean: dict[Place, Finding]
) -> Dirty:
    """The defects that must stop the build."""
    return make_dirty(tmp_path_factory.mktemp("blocking"), key_file, clean, "--blocking")
