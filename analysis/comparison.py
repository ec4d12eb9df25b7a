"""Published against computed: one verdict for every number that the study printed."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import duckdb
import pandas as pd

from analysis.descriptive import MISSING
from analysis.ledger import AS_PUBLISHED, NO_PATIENTS, NOT_REACHED, round_half_up
from analysis.study import frame
from expectations.tables import rows

REPRODUCED = "reproduced"
DIFFERS = "differs"
CANNOT_BE = "cannot be"
NOT_COMPUTED = "not computed"
VERDICTS = (REPRODUCED, DIFFERS, CANNOT_BE, NOT_COMPUTED)

#: Forgives the binary representation of a printed decimal.
TOLERANCE = 1e-9

#: Why a number computed by the study's methods may still differ.
INVENTED = "these patients were invented to resemble the study's, whose records are not public"
OTHER_PATIENTS = "these are not the study's patients"

KEY = ("exhibit", "population", "variable", "level", "statistic")

NAMES = {
    "n": "count",
    "pct": "percentage",
    "median_months": "median",
    "median_ci_lower": "lower limit of the median",
    "median_ci_upper": "upper limit of the median",
    "logrank_chi2": "log-rank chi-square",
    "logrank_p": "log-rank P",
    "hazard_ratio": "hazard ratio",
    "hr_ci_lower": "lower limit of the hazard ratio",
    "hr_ci_upper": "upper limit of the hazard ratio",
    "p": "P value",
}


def published(connection: duckdb.DuckDBPyConnection, study_id: str) -> pd.DataFrame:
    """The study's printed numbers (seed published_results); none if it has printed nothing yet."""
    return frame(
        connection, "select * from reference.published_results where study_id = ?", study_id
    )


def compare(
    printed: pd.DataFrame, estimates: pd.DataFrame, *, synthetic: bool = False
) -> pd.DataFrame:
    """Set each printed number beside the estimate of the same name.

    Parameters
    ----------
    printed
        study_id, result_id, the five key columns, printed, decimals, status, note.
    estimates
        Rows of results.estimates.
    synthetic
        Whether the delivery's patients are invented.

    Returns
    -------
    DataFrame, one row a printed number, in its order: the columns of
    results.published_comparison.
    """
    own = estimates[estimates["convention"] == AS_PUBLISHED]
    by_key = {_key(row): row for row in own.to_dict("records")}
    computed_exhibits = {(row["exhibit"], row["population"]) for row in by_key.values()}
    unknown = {
        row["variable"]
        for row in by_key.values()
        if row["level"] == MISSING and row["statistic"] == "n" and row["value"] == row["n"]
    }
    return pd.DataFrame(
        [
            _judge(
                row,
                by_key.get(_key(row)),
                (row["exhibit"], row["population"]) in computed_exhibits,
                str(row["variable"]).rpartition(" by ")[2] in unknown,
                INVENTED if synthetic else OTHER_PATIENTS,
            )
            for row in printed.to_dict("records")
        ]
    )


def _key(row: Mapping[Hashable, Any]) -> tuple[str, ...]:
    return tuple("" if pd.isna(row[name]) else str(row[name]) for name in KEY)


def _judge(
    printed: Mapping[Hashable, Any],
    estimate: Mapping[Hashable, Any] | None,
    exhibit_computed: bool,
    is_unknown: bool,
    whose: str,
) -> dict[str, Any]:
    status, note = str(printed["status"]), _text(printed["note"])
    text, decimals = str(printed["printed"]), int(printed["decimals"])
    statistic = str(printed["statistic"])
    value: float | None
    shown: str | None
    if estimate is not None:
        value = None if pd.isna(estimate["value"]) else float(estimate["value"])
        empty = estimate["display"] == NO_PATIENTS
        shown = str(estimate["display"]) if value is None else display_like(text, decimals, value)
        estimate_id = estimate["estimate_id"]
    else:
        # Tables list only what occurs: a count that no row has is zero.
        value = 0.0 if statistic == "n" and exhibit_computed else None
        empty = value is None
        shown = None if value is None else display_like(text, decimals, value)
        estimate_id = None

    difference: float | None = None
    if is_unknown:
        verdict, why = NOT_COMPUTED, "known of no patient of this delivery"
        value = shown = None
    elif empty:
        verdict = NOT_COMPUTED
        why = (
            "this delivery has no patient to compute it from"
            if estimate is not None
            else "no analysis of the study computes this number"
        )
    elif text == NOT_REACHED:
        verdict = REPRODUCED if value is None else DIFFERS
        why = "" if value is None else f"the study printed not reached; computed {shown}"
    elif value is None:
        verdict = DIFFERS
        why = f"computed: {shown}; printed: {text}"
    elif text.startswith((">", "<")):
        bound = float(text[1:])
        holds = value > bound if text[0] == ">" else value < bound
        verdict = REPRODUCED if holds else DIFFERS
        why = "" if holds else f"computed {shown} is not {text}"
    else:
        difference = value - float(text)
        if abs(difference) <= 0.5 * 10.0**-decimals + TOLERANCE:
            verdict, why = REPRODUCED, ""
        else:
            verdict, why = DIFFERS, _by_how_much(statistic, value, float(text), decimals)
    if estimate is None and value == 0.0 and verdict == DIFFERS:
        why = f"no patient or event of this kind in this delivery; {why}"
    if verdict == DIFFERS:
        why = f"{why}; {whose}"
    if status == "impossible" and verdict != NOT_COMPUTED:
        verdict = CANNOT_BE
        why = f"the study contradicts itself: {note}; computed {shown}"
    else:
        why = "; ".join(part for part in (why, note, _as_counted(printed, estimate)) if part)
    return {
        "result_id": printed["result_id"],
        "study_id": printed["study_id"],
        **{name: None if pd.isna(printed[name]) else printed[name] for name in KEY},
        "status": status,
        "printed": text,
        "computed_display": shown,
        "computed_value": value,
        "difference": difference,
        "verdict": verdict,
        "explanation": why or None,
        "estimate_id": estimate_id,
    }


def display_like(printed: str, decimals: int, value: float) -> str:
    """Format a computed value with as many decimals as were printed.

    A P value against which only an inequality was printed gets three.
    """
    places = 3 if printed.startswith((">", "<")) else decimals
    return f"{round_half_up(value, places):.{places}f}"


def name_of(statistic: str) -> str:
    """A statistic in words."""
    return NAMES.get(statistic, statistic.replace("_", " "))


def _by_how_much(statistic: str, value: float, printed: float, decimals: int) -> str:
    difference = value - printed
    name = name_of(statistic)
    direction = "above" if difference > 0 else "below"
    if decimals == 0 and float(difference).is_integer():
        return f"{name} {abs(difference):.0f} {direction} the printed one"
    size = f"{abs(difference):.{decimals + 1}f}"
    units = f"{abs(difference) * 10.0**decimals:.1f} units of the last printed digit"
    share = f", {100 * abs(difference) / abs(printed):.2g}%" if printed else ""
    return f"{name} {size} {direction} the printed one ({units}{share})"


def _as_counted(printed: Mapping[Hashable, Any], estimate: Mapping[Hashable, Any] | None) -> str:
    """What was counted, where the study's own wording leaves it open."""
    if printed["status"] == "ok" or estimate is None:
        return ""
    return f"computed as: {estimate['method']}" if estimate.get("method") else ""


def _text(value: object) -> str:
    return "" if value is None or value is pd.NA or value != value else str(value)


#: What is told of a row that needs an explanation.
LISTED = ["result_id", "exhibit", "status", "printed", "computed", "verdict", "explanation"]
#: Of a row of results.published_comparison, what that comes from.
COLUMNS = ["computed_display" if name == "computed" else name for name in LISTED]


def summary(connection: duckdb.DuckDBPyConnection, study_id: str) -> dict[str, Any]:
    """What `summed_up` says of a study's rows of results.published_comparison."""
    compared = rows(
        connection,
        "select * from results.published_comparison where study_id = ? order by rowid",
        study_id,
    )
    return summed_up(study_id, compared)


def summed_up(study_id: str, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts by verdict, and every printed number that is not reproduced.

    Parameters
    ----------
    found
        Rows of results.published_comparison.

    Returns
    -------
    dict
        study_id; total; verdicts {verdict: count}; by_status {status: {verdict: count}};
        self_consistent {total, reproduced}, the rows of status ok; differs and doubtful: lists of
        result_id, exhibit, status, printed, computed, verdict, explanation, of the rows not
        reproduced and of those reproduced although the study leaves their meaning open.
    """
    compared = pd.DataFrame(found, columns=COLUMNS)
    by_status = {
        str(status): _counts(own["verdict"])
        for status, own in compared.groupby("status", sort=False)
    }
    ok = compared[compared["status"] == "ok"]
    return {
        "study_id": study_id,
        "total": len(compared),
        "verdicts": _counts(compared["verdict"]),
        "by_status": by_status,
        "self_consistent": {
            "total": len(ok),
            "reproduced": int((ok["verdict"] == REPRODUCED).sum()),
        },
        "differs": _listed(compared[compared["verdict"] != REPRODUCED]),
        "doubtful": _listed(
            compared[(compared["verdict"] == REPRODUCED) & (compared["status"] != "ok")]
        ),
    }


def _listed(compared: pd.DataFrame) -> list[dict[str, Any]]:
    listed = compared.rename(columns={"computed_display": "computed"})[LISTED].astype(object)
    return [
        {str(name): cell for name, cell in row.items()}
        for row in listed.where(listed.notna(), None).to_dict("records")
    ]


def _counts(verdicts: pd.Series) -> dict[str, int]:
    others = [verdict for verdict in dict.fromkeys(verdicts) if verdict not in VERDICTS]
    return {verdict: int((verdicts == verdict).sum()) for verdict in (*VERDICTS, *others)}
