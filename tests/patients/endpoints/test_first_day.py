"""A scan of the first day belongs to what went before: it is no assessment of the line."""

from __future__ import annotations

import pytest

from tests.patients.endpoints.first_day import START, scanned_on_the_first_day
from tests.patients.endpoints.warehouse import Seeds, Warehouse


@pytest.mark.parametrize("rule_set", ["primary", "ema"])
def test_a_line_scanned_on_its_first_day_only_was_never_assessed(
    warehouse: Warehouse, rule_set: str
) -> None:
    (interval,) = warehouse.rows(
        "survival_intervals",
        scanned_on_the_first_day().number,
        study_id=Seeds().study(None),
        endpoint_rule_set_id=rule_set,
        endpoint="PFS",
    )
    said = {name: interval[name] for name in ("event", "source", "censor_reason", "end_date")}
    assert said == {
        "event": False,
        "source": "line_start",
        "censor_reason": "never assessed",
        "end_date": START,
    }
