import sys
from pathlib import Path

import pytest

# The packages under test are not installed, and the data sets are shared by the modules here.
sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the test that asks which reference numbers no other test has read behind the others."""
    items.sort(key=lambda item: item.path == Path(__file__).with_name("test_reference.py"))
