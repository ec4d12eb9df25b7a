from __future__ import annotations

import math

import pytest

from analysis.estimators import InvalidSurvivalInput, e_value


def test_examples_of_the_paper() -> None:
    # VanderWeele and Ding 2017, Ann Intern Med 167:268. Formula feeding and death from respiratory
    # infection: RR 3.9 (1.8 to 8.7), E-values 7.26 and 3.0.
    feeding = e_value(3.9, 1.8, 8.7, outcome="rare")
    assert round(feeding.point, 2) == 7.26
    assert round(feeding.limit or 0, 1) == 3.0
    # Breastfeeding and childhood leukaemia: RR 0.80 (0.71 to 0.91), E-values 1.81 and 1.43.
    leukaemia = e_value(0.80, 0.71, 0.91, outcome="rare")
    assert round(leukaemia.point, 2) == 1.81
    assert round(leukaemia.limit or 0, 2) == 1.43


def test_common_outcome_goes_through_the_risk_ratio() -> None:
    # (1 - 0.5^sqrt(HR)) / (1 - 0.5^sqrt(1/HR)), HR 0.56 (0.46 to 0.69), the example of R's
    # EValue::evalues.HR, computed by hand.
    found = e_value(0.56, 0.46, 0.69, outcome="common")
    by_hand = (1 - 0.5 ** math.sqrt(0.56)) / (1 - 0.5 ** math.sqrt(1 / 0.56))
    assert found.risk_ratio == pytest.approx(by_hand, rel=1e-12)
    assert found.point == pytest.approx(1 / by_hand + math.sqrt(1 / by_hand * (1 / by_hand - 1)))
    assert found.point < e_value(0.56, outcome="rare").point


def test_symmetry_and_the_null() -> None:
    for outcome in ("rare", "common"):
        assert e_value(0.5, outcome=outcome).point == pytest.approx(
            e_value(2, outcome=outcome).point, rel=1e-12
        )
        assert e_value(1, 0.9, 1.2, outcome=outcome).point == 1
        for limits in ((0.9, 2.5), (1, 2.5)):
            assert e_value(1.5, *limits, outcome=outcome).limit == 1
    assert e_value(2, outcome="rare").limit is None
    assert e_value(2, 1.2, math.inf, outcome="common").upper == math.inf


def test_refusals() -> None:
    with pytest.raises(InvalidSurvivalInput, match="positive and finite"):
        e_value(0, outcome="rare")
    with pytest.raises(InvalidSurvivalInput, match="between its limits"):
        e_value(2, 2.5, 3, outcome="rare")
    with pytest.raises(InvalidSurvivalInput, match="both limits"):
        e_value(2, 1.5, outcome="rare")
    with pytest.raises(ValueError, match="outcome must be"):
        e_value(2, outcome="usual")  # type: ignore[arg-type]
