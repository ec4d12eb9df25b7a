"""A group that a patient can only enter by living long enough, analysed as what it is.

"Ever treated" against "never", timed from the start of line 1, counts the months before the drug
as the drug's. In the Stanford heart transplant data the same mistake turns a hazard ratio of 1.14
into 0.27 (Crowley and Hu 1977; Suissa 2008). Beside such a comparison stand a Cox model in which
exposure begins when the drug does, and landmark analyses.

Nobody could die either before it was known that the patient belongs to the study. A patient is at
risk from that day on in the delayed-entry analyses, and belongs to a landmark only if it has come.
"""

from __future__ import annotations

import duckdb
import pandas as pd

from analysis.curves import enter_curve
from analysis.estimators import landmark, split_at_exposure
from analysis.group_tests import compare_groups, enter_ratio, hazard_ratio
from analysis.ledger import PREFERRED, Page
from analysis.study import DAYS_PER_MONTH, FIRST_LINE, Analysis, Study, frame

#: Rule of a variable that says whether an ingredient was given in any line.
EVER_GIVEN = "ingredient_ever"

#: Where delayed entry lies: the reports of the deciding biomarkers, the cycles asked for.
ELIGIBLE = "day on which eligibility was known"
NOBODY_ELIGIBLE = "nobody is observed beyond that day"

#: Entry of a patient who is at risk from the origin on: before it, so that an end on day 0 counts.
FROM_ORIGIN = -1.0


def first_given(connection: duckdb.DuckDBPyConnection, study: Study, ingredient: str) -> pd.Series:
    """Months from the start of line 1 to the first dose of an ingredient in any line.

    Returns
    -------
    Series, index patient_key; patients who never had it are absent.
    """
    found = frame(
        connection,
        """
        select
            components.patient_key,
            min(
                lines.start_day - first_lines.start_day + components.days_from_line_start
            ) as given_day
        from treatment.line_components as components
        inner join treatment.lines_of_therapy as lines
            using (study_id, rule_set_id, patient_key, line_number)
        inner join treatment.lines_of_therapy as first_lines
            on
                components.study_id = first_lines.study_id
                and components.rule_set_id = first_lines.rule_set_id
                and components.patient_key = first_lines.patient_key
                and first_lines.line_number = ?
        where
            components.study_id = ?
            and components.rule_set_id = ?
            and components.ingredient = ?
        group by components.patient_key
        """,
        FIRST_LINE,
        study.study_id,
        study.settings["line_rule_set_id"],
        ingredient,
    )
    days: pd.Series = found.set_index("patient_key")["given_day"].astype(float)
    return days / DAYS_PER_MONTH


def once_eligible(patients: pd.DataFrame) -> pd.DataFrame:
    """Those observed beyond the day on which their eligibility was known, with it as `entry`."""
    entry = patients["entry"].where(patients["entry"] > 0, FROM_ORIGIN)
    late = patients.assign(entry=entry)
    return late[late["entry"] < late["time"]]


def exposure_analyses(
    connection: duckdb.DuckDBPyConnection,
    study: Study,
    analysis: Analysis,
    page: Page,
    patients: pd.DataFrame,
    times: list[float],
) -> None:
    """Enter the time-dependent model and the landmark analyses of an ever/never comparison.

    Parameters
    ----------
    times
        Months at which numbers at risk are given.

    Does nothing for groups that are known at the time origin.
    """
    group = study.variable(analysis.group_variable)
    if group.rule != EVER_GIVEN or patients.empty:
        return
    given = first_given(connection, study, str(group.argument)).reindex(patients.index)
    endpoint, contrast = str(analysis.endpoint).lower(), str(analysis.contrast)
    n_given = int(given.notna().sum())
    page.about(given.dropna(), ingredient=group.argument).add(
        f"{endpoint} time-dependent",
        contrast,
        "time_to_exposure_median_months",
        float(given.median()) if n_given else None,
        "median time from the start of line 1 to the first dose, of those who had it",
        convention=PREFERRED,
    )
    enter_ratio(
        page.about(patients, ingredient=group.argument),
        f"{endpoint} time-dependent",
        contrast,
        hazard_ratio(exposure_episodes(patients, given), "exposed", entry="entry"),
        "exposure begins with the first dose",
    )
    eligible = once_eligible(patients)
    delayed = page.about(eligible, ingredient=group.argument, entry=ELIGIBLE)
    _enter_sides(
        delayed,
        f"{endpoint} time-dependent delayed entry",
        contrast,
        ("given", given[eligible.index].notna()),
        "eligibility known only after the interval had ended",
        len(patients) - len(eligible),
    )
    enter_ratio(
        delayed,
        f"{endpoint} time-dependent delayed entry",
        contrast,
        hazard_ratio(
            exposure_episodes(eligible, given[eligible.index], eligible["entry"]),
            "exposed",
            entry="entry",
        )
        if len(eligible)
        else NOBODY_ELIGIBLE,
        f"exposure begins with the first dose; left-truncated at the {ELIGIBLE}",
    )
    for months in analysis.landmark_months:
        curve = landmark_endpoint(analysis, months)
        known = patients[~(patients["entry"] > months)]
        later = known.iloc[:0].assign(exposed=0)
        if (known["time"] > months).any():
            later = landmark(known["time"], known["event"], given[known.index], at=months)
            later.index = known.index[later["row"]]
        from_landmark = page.about(
            later, landmark_months=months, time_origin=f"landmark at {months:g} months"
        )
        excluded = len(patients) - len(later)
        _enter_landmark(from_landmark, curve.lower(), contrast, later, excluded)
        exposed = later["exposed"] == 1
        for order, level in enumerate(group.level_names):
            enter_curve(
                from_landmark,
                curve,
                level,
                later[exposed == (level == analysis.contrast_level)],
                order,
                [time for time in times if time + months <= times[-1]],
                published=False,
            )


def landmark_endpoint(analysis: Analysis, months: float) -> str:
    """Endpoint under which the curves from a landmark are entered."""
    return f"{analysis.endpoint} landmark {months:g} months"


def _enter_landmark(
    page: Page,
    variable: str,
    contrast: str,
    later: pd.DataFrame,
    excluded: int,
) -> None:
    """Enter the comparison of those still observed at a landmark, by their group then."""
    exposed = later["exposed"] == 1
    _enter_sides(
        page,
        variable,
        contrast,
        ("given by the landmark", exposed),
        "no longer observed at the landmark, or not yet known to be eligible",
        excluded,
    )
    if not exposed.any() or exposed.all():
        enter_ratio(page, variable, contrast, "one side has no patients at the landmark")
        return
    enter_ratio(
        page,
        variable,
        contrast,
        hazard_ratio(later, "exposed"),
        "group at the landmark; time from the landmark",
    )
    comparison = compare_groups(later, exposed)
    page.add(
        variable,
        contrast,
        "logrank_p",
        comparison.preferred.p_value if comparison.preferred else None,
        comparison.preferred.method if comparison.preferred else None,
        convention=PREFERRED,
        note=comparison.reason,
    )


def _enter_sides(
    page: Page,
    variable: str,
    contrast: str,
    side: tuple[str, pd.Series],
    why_excluded: str,
    excluded: int,
) -> None:
    """Enter how many had the drug (`side`: in words, and who), had not, and are left out."""
    words, exposed = side
    for statistic, who, method in (
        ("exposed_n", exposed, words),
        ("unexposed_n", ~exposed, f"not {words}"),
    ):
        page.add(
            variable,
            contrast,
            statistic,
            int(who.sum()),
            method,
            convention=PREFERRED,
            counted=who,
        )
    page.add(variable, contrast, "excluded_n", excluded, why_excluded, convention=PREFERRED)


def exposure_episodes(
    patients: pd.DataFrame, given: pd.Series, entry: pd.Series | None = None
) -> pd.DataFrame:
    """Rows of a patient before the first dose (exposed 0) and after it (exposed 1).

    Parameters
    ----------
    patients : DataFrame
        time, event.
    given : Series, same index
        Months to the first dose; missing if never.
    entry : Series, same index
        Months from which on a patient is at risk; by default from the origin.

    Returns
    -------
    DataFrame with entry, time, event, exposed.
    """
    rows = split_at_exposure(patients["time"], patients["event"], given, entry=entry)
    return rows.rename(columns={"exit": "time"})
