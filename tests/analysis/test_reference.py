"""Every number of R is compared with ours by some test of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from survival_examples import reference

HERE = Path(__file__).parent


def test_no_number_of_r_is_left_out(request: pytest.FixtureRequest) -> None:
    """Runs last (conftest.py), after those who ask for the numbers."""
    ran = {item.path.name for item in request.session.items if item.path.parent == HERE}
    if ran != {path.name for path in HERE.glob("test_*.py")} or request.session.testsfailed:
        pytest.skip("says something only after all tests of this folder have passed")
    assert sorted(reference().never_asked()) == []
