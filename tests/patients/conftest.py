"""One warehouse for all timelines; `pytest tests/patients --cases FILE` runs another file."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import named_cases
from tests.patients.project import SEEDS
from tests.patients.random_histories import eventful_history
from tests.patients.rule_sets import RuleSeeds
from tests.patients.timelines import Expectation, Timeline, read_timelines, write_delivery
from tests.patients.warehouse import Warehouse, build

HERE = Path(__file__).resolve().parent
HISTORIES = 200
SEED = 2021
SHIPPED_CASES = [HERE / f"{name}.yaml" for name in ("cases", "further_cases", "gastric_cases")]


@dataclass(frozen=True)
class Cases:
    """The timelines of this run and the rule set that each expectation is about.

    Of the random histories only properties are known, not the lines.
    """

    timelines: list[Timeline]
    histories: list[Timeline]
    expectations: list[tuple[Timeline, Expectation, str]]
    seeds: RuleSeeds


def read_cases(files: list[Path], histories: list[Timeline]) -> Cases:
    """Read timelines and find, or add, a rule set for each expectation."""
    seeds = RuleSeeds(SEEDS / "therapy")
    named = set(seeds.shipped)
    timelines: list[Timeline] = []
    expectations = []
    for file in files:
        for timeline in read_timelines(file)[1]:
            timelines.append(timeline)
            for expectation in timeline.expectations:
                rule_sets = named & {expectation.name}
                if expectation.profile is not None:
                    rule_sets.add(seeds.rule_set_for(expectation.profile))
                expectations += [(timeline, expectation, r) for r in sorted(rule_sets)]
    return Cases(timelines, histories, expectations, seeds)


_cases: dict[tuple[Path, ...], Cases] = {}


def cases_of(config: pytest.Config) -> Cases:
    files = tuple(named_cases(config, "timeline"))
    if files not in _cases:
        r = random.Random(SEED)
        _cases[files] = (
            read_cases(list(files), [])
            if files
            else read_cases(SHIPPED_CASES, [eventful_history(n, r) for n in range(HISTORIES)])
        )
    return _cases[files]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "expected" in metafunc.fixturenames:
        expected = cases_of(metafunc.config).expectations
        metafunc.parametrize(
            "expected",
            expected,
            ids=[f"{t.case_id}-{rule_set_id}" for t, _, rule_set_id in expected],
        )
    if "timeline" in metafunc.fixturenames:
        timelines = cases_of(metafunc.config).timelines
        metafunc.parametrize("timeline", timelines, ids=[t.case_id for t in timelines])


@pytest.fixture(scope="session")
def cases(pytestconfig: pytest.Config) -> Cases:
    return cases_of(pytestconfig)


@pytest.fixture(scope="session")
def warehouse(cases: Cases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    folder = tmp_path_factory.mktemp("timelines")
    write_delivery([*cases.timelines, *cases.histories], folder / "delivery")
    built = build(folder, cases.seeds, ["+marts.treatment"])
    yield built
    built.connection.close()
