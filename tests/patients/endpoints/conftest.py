"""One warehouse for all endpoint cases; `pytest tests/patients --cases FILE` runs another file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import named_cases
from tests.patients.endpoints.cases import Case, read_cases
from tests.patients.endpoints.delivery import write_delivery
from tests.patients.endpoints.first_day import scanned_on_the_first_day
from tests.patients.endpoints.row_order import (
    followed,
    in_every_order,
    missed_visits,
    shuffled,
)
from tests.patients.endpoints.warehouse import Seeds, Warehouse, build

SHIPPED_CASES = [Path(__file__).resolve().parent / "cases.yaml"]


@dataclass(frozen=True)
class Cases:
    """The cases of this run, and the seeds that hold the rule sets they need."""

    cases: list[Case]
    seeds: Seeds


_read: dict[tuple[Path, ...], Cases] = {}


def cases_of(config: pytest.Config) -> Cases:
    files = tuple(named_cases(config, "endpoint") or SHIPPED_CASES)
    if files not in _read:
        seeds = Seeds()
        _read[files] = Cases([case for file in files for case in read_cases(file, seeds)], seeds)
    return _read[files]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        cases = cases_of(metafunc.config).cases
        metafunc.parametrize("case", cases, ids=[case.case_id for case in cases])


@pytest.fixture(scope="session")
def warehouse(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warehouse]:
    of_this_run = cases_of(pytestconfig)
    patients = [patient for case in of_this_run.cases for patient in case.patients]
    patients += [shuffled(patient) for patient in patients]
    patients += in_every_order(missed_visits()) + in_every_order(followed())
    patients.append(scanned_on_the_first_day())
    built = build(
        tmp_path_factory.mktemp("endpoints"),
        of_this_run.seeds,
        lambda folder: write_delivery(patients, folder),
    )
    yield built
    built.connection.close()
