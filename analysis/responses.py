"""Response in a line of therapy: best responses, who judged them, and how long they last."""

from __future__ import annotations

import duckdb
import pandas as pd

from analysis.curves import curve_ticks, enter_curve
from analysis.descriptive import NOT_ASSESSED, OTHER_RESPONSES, RESPONSES, enter_responses
from analysis.estimators import Estimate, agreement
from analysis.ledger import PREFERRED, Interval, Ledger, Page
from analysis.rule_sets import intervals_by_rule_set, rule_set_label
from analysis.study import Analysis, Study, frame, ordinal
from expectations.tables import rows

PATIENTS = "patients"
DEPTH = "best change"
#: Who judges a response (column response_source of the seed endpoint_rule_sets).
DERIVED = "derived"
SOURCES = {"investigator": "Investigator", DERIVED: "From the lesion rows"}
CONFIRMED = {False: "unconfirmed", True: "confirmed"}

VISITS = "visits"
AGREEMENT = Interval("agreement_pct", "agreement_ci_lower", "agreement_ci_upper")
KAPPA = Interval("kappa", "kappa_ci_lower", "kappa_ci_upper")


def best_responses(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter best overall response in a line, unconfirmed and confirmed, and the depth of response.

    Once as the study's own endpoint rule set has it, and once from the lesion rows. Every patient
    with the line is in the denominator, assessed or not; but where nobody was assessed, as
    where the file was not delivered, nothing is known and there is no rate.
    """
    line_number = analysis.line_number
    members = study.members(analysis.population, line_number).index
    own = study.settings["endpoint_rule_set_id"]
    best = frame(
        connection,
        """
        select
            endpoint_rule_set_id, response_source, patient_key, best_overall_response,
            confirmed_best_overall_response, best_change_pct
        from survival.best_overall_responses
        where
            study_id = ?
            and line_rule_set_id = ?
            and line_number = ?
            and (endpoint_rule_set_id = ? or response_source = ?)
        order by endpoint_rule_set_id <> ?, endpoint_rule_set_id, patient_key
        """,
        study.study_id,
        study.settings["line_rule_set_id"],
        line_number,
        own,
        DERIVED,
        own,
    )
    best = best[best["patient_key"].isin(members)].set_index("patient_key")
    columns = ["best_overall_response", "confirmed_best_overall_response"]
    best[columns] = best[columns].astype(object).fillna(NOT_ASSESSED)
    assessed = (best[columns] != NOT_ASSESSED).any(axis=1)
    best = best[assessed.groupby(best["endpoint_rule_set_id"]).transform("any")]
    others = [
        name for name in (*OTHER_RESPONSES, NOT_ASSESSED) if (best[columns] == name).any(axis=None)
    ]
    for rule_set, judged in best.groupby("endpoint_rule_set_id", sort=False):
        page = ledger.page(
            analysis.exhibit,
            analysis.population,
            line_rule_set_id=study.settings["line_rule_set_id"],
            endpoint_rule_set_id=rule_set,
            line_number=line_number,
        ).about(judged, judged_by=SOURCES[judged["response_source"].iloc[0]])
        for confirmed, column in zip(CONFIRMED, columns, strict=True):
            level = f"{rule_set}, {CONFIRMED[confirmed]}"
            page.add(
                PATIENTS,
                level,
                "n",
                page.n,
                f"count of patients with a {ordinal(line_number)} line",
            )
            enter_responses(page, level, judged[column], (*RESPONSES, *others))
        _enter_depth(page, str(rule_set), judged["best_change_pct"].dropna())


def _enter_depth(page: Page, level: str, changes: pd.Series) -> None:
    page = page.about(changes)
    page.add(
        DEPTH,
        level,
        "n",
        len(changes),
        "patients with a complete sum at baseline and later",
        convention=PREFERRED,
    )
    for statistic, share in (("median_pct", 0.5), ("q1_pct", 0.25), ("q3_pct", 0.75)):
        page.add(
            DEPTH,
            level,
            statistic,
            float(changes.quantile(share)) if len(changes) else None,
            "best change of the sum of target lesions, linear interpolation",
            convention=PREFERRED,
        )


def response_agreement(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter how the response computed from the lesion rows agrees with the investigator's.

    Over every visit in any line that has both; visits of one patient are not independent, so the
    limits come from leaving out one patient at a time.
    """
    visits = frame(
        connection,
        """
        select patient_key, derived_response, recorded_response
        from survival.recist_assessments
        where
            study_id = ?
            and line_rule_set_id = ?
            and not is_baseline
            and derived_response is not null
            and recorded_response is not null
        order by all
        """,
        study.study_id,
        study.settings["line_rule_set_id"],
    )
    visits = visits[visits["patient_key"].isin(study.members(analysis.population).index)]
    page = ledger.page(
        analysis.exhibit,
        analysis.population,
        line_rule_set_id=study.settings["line_rule_set_id"],
    ).about(pd.Index(visits["patient_key"].unique()))
    page.add(VISITS, None, "visits_n", len(visits), "count of visits with both responses")
    if visits.empty:
        return
    found = agreement(
        visits["derived_response"], visits["recorded_response"], visits["patient_key"]
    )
    for derived, counted in found.counts.iterrows():
        for recorded, count in counted.items():
            page.about(page.n, derived=derived, recorded=recorded).add(
                f"{VISITS}: {derived}", str(recorded), "visits_n", int(count), "count of visits"
            )
    share = found.share
    value, lower, upper = (
        None if x is None else 100 * x for x in (share.value, share.lower, share.upper)
    )
    in_percent = Estimate(value, lower, upper, None, share.method)
    page.add_interval(VISITS, None, AGREEMENT, in_percent, convention=PREFERRED)
    page.add_interval(VISITS, None, KAPPA, found.kappa, convention=PREFERRED)


def response_duration(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter the duration of response under every endpoint rule set that defines one.

    Time runs from the first response, or from the first that was later confirmed, as the rule set
    says; only patients with such a response have one.
    """
    own = study.settings["endpoint_rule_set_id"]
    endpoint = str(analysis.endpoint)
    found = intervals_by_rule_set(
        connection, study, analysis, "endpoint_rule_set_id", "line_rule_set_id"
    )
    defined = rows(
        connection,
        """
        select endpoint_rule_set_id, label, start_anchor, source
        from reference.endpoint_rule_sets
        where endpoint = ?
        order by endpoint_rule_set_id <> ?, endpoint_rule_set_id
        """,
        endpoint,
        own,
    )
    longest = max((float(each["time"].max()) for each in found.values()), default=0.0)
    for order, rule_set in enumerate(defined):
        name = str(rule_set["endpoint_rule_set_id"])
        if name not in found:
            continue
        page = ledger.page(
            analysis.exhibit,
            analysis.population,
            **{
                **study.timing(endpoint, analysis.line_number),
                "time_origin": str(rule_set["start_anchor"]).replace("_", " "),
                "endpoint_rule_set_id": name,
            },
            label=rule_set["label"],
            source=rule_set["source"],
        )
        enter_curve(
            page,
            endpoint,
            rule_set_label(name),
            found[name],
            order,
            curve_ticks(longest),
            published=False,
        )
