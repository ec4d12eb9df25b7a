"""Depth of response: the best change of the target lesions in a line of therapy."""

from __future__ import annotations

import duckdb
import pandas as pd

from analysis.ledger import PREFERRED, Ledger
from analysis.study import Analysis, Study, frame
from expectations.tables import rows

BEST_CHANGE = "best change"


def response_limits(connection: duckdb.DuckDBPyConnection) -> tuple[float, float]:
    """Changes of the sum from baseline, percent: a partial response, and a progression.

    RECIST 1.1, section 4.3.1, as the models apply it (seed response_criteria); without a fall
    before, the baseline is the nadir from which progression counts.
    """
    limits = rows(
        connection,
        """
        select -partial_response_pct as response, progression_pct as progression
        from reference.response_criteria
        where response_criteria_id = 'recist_1_1'
        """,
    )[0]
    return float(limits["response"]), float(limits["progression"])


def waterfall(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter a bar for every patient with measured target lesions, from worst to best.

    The change is that of the mart survival.response_by_line: the largest fall of the complete sum
    from baseline, or the smallest rise.
    """
    members = study.members(analysis.population, analysis.line_number)
    bars = frame(
        connection,
        """
        select patient_key, best_overall_response as level, best_change_pct as end_value
        from survival.response_by_line
        where
            study_id = ?
            and line_rule_set_id = ?
            and line_number = ?
            and best_change_pct is not null
        order by best_change_pct desc, level, patient_key
        """,
        study.study_id,
        study.settings["line_rule_set_id"],
        analysis.line_number,
    )
    bars = bars[bars["patient_key"].isin(members.index)].set_index("patient_key")
    page = ledger.page(
        analysis.exhibit,
        analysis.population,
        line_rule_set_id=study.settings["line_rule_set_id"],
        line_number=analysis.line_number,
    ).about(members)
    measured = pd.Series(members.index.isin(bars.index), index=members.index)
    for statistic, who, method in (
        ("n", measured, "patients with a complete sum at baseline and later"),
        ("without_n", ~measured, "patients without such a pair of sums"),
    ):
        page.add(
            BEST_CHANGE,
            None,
            statistic,
            int(who.sum()),
            method,
            convention=PREFERRED,
            counted=who,
        )
    if bars.empty:
        return
    page.about(bars).add(
        BEST_CHANGE,
        None,
        "median_pct",
        float(bars["end_value"].median()),
        "median best change of the sum of target lesions",
        convention=PREFERRED,
    )
    ledger.add_bars(
        analysis.exhibit,
        analysis.population,
        bars.assign(
            position=range(1, len(bars) + 1), panel=None, part=BEST_CHANGE, start_value=0.0
        ),
        "percent",
    )
