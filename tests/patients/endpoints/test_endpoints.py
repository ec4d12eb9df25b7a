"""Endpoint cases through the dbt models: what the marts say is what the named source expects."""

from __future__ import annotations

from typing import Any

from tests.patients.endpoints.cases import Case
from tests.patients.endpoints.warehouse import Warehouse

# What the models find instead; docs/endpoints.md, "Where a case is not followed", says why.
ARGUED: dict[str, dict[str, Any]] = {
    # The contract has no response "not done": the visit counts as without a response.
    "CBOR-acceptSD-7": {"resp": "NE", "date": None},
}


def test_marts_say_what_the_source_expects(warehouse: Warehouse, case: Case) -> None:
    if case.case_id in ARGUED:
        assert case.differences(warehouse), f"{case.case_id} is followed by now: no argument is due"
        assert case.find(warehouse) == ARGUED[case.case_id]
        return
    differences = case.differences(warehouse)
    report = "\n".join(f"  {difference}" for difference in differences)
    assert not differences, f"{case.case_id} ({case.endpoint}):\n{report}"
