"""Every fault of faults.csv and every promise of promises.csv has tests, and they exist."""

from __future__ import annotations

import ast
from functools import cache

import pytest

from tests.conftest import PROJECT, named_tests

TABLES = {"faults/faults.csv": 43, "promises/promises.csv": 18}


@cache
def functions(file: str) -> set[str]:
    parsed = ast.parse((PROJECT / file).read_text(encoding="utf-8"))
    return {node.name for node in parsed.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("table", TABLES)
def test_each_has_tests_that_exist(table: str) -> None:
    told = named_tests(table)
    assert len(told) == TABLES[table]
    for name, tests in told.items():
        assert tests, name
        for test in tests:
            file, _, function = test.partition("::")
            assert function.startswith("test_"), name
            assert function in functions(file), f"{name}: {test}"
