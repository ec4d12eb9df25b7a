"""The study report: one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
from markupsafe import Markup

from analysis import comparison, layout
from analysis.book import Book
from analysis.descriptive import DELIVERED
from analysis.exhibits import Contents
from analysis.findings import key_findings
from analysis.group_tests import FEW_EVENTS, SMALL_GROUP
from analysis.later_lines import time_origin
from analysis.methods_statement import methods_statement
from analysis.multivariable import EVENTS_PER_VARIABLE
from analysis.second_programming import COHORT, warning
from analysis.study import DAYS_PER_MONTH, Study, delivery
from analysis.survival import SIGNIFICANCE_LEVEL
from expectations.pages import counted, template
from expectations.small_cells import HIDDEN, is_small
from expectations.tables import exist, rows

#: A longer list is folded away.
MANY = 40

TEMPLATES = Path(__file__).with_name("templates")


def page(connection: duckdb.DuckDBPyConnection, contents: Contents, *, run: dict[str, str]) -> str:
    """The report of a study as HTML text.

    Parameters
    ----------
    contents
        From analysis.exhibits.contents of this warehouse.
    run
        What identifies the run and what it ran on; printed as given.
    """
    study, book = contents.study, contents.book
    study_id = study.study_id
    compared = contents.edition.compared
    summary = comparison.summed_up(study_id, compared)
    criteria = _criteria(connection, study_id)
    return template(TEMPLATES / "report.html").render(
        study=study,
        delivery=delivery(connection),
        findings=key_findings(study, book, summary),
        flow=contents.flow,
        flow_table=contents.flow_table,
        sections=contents.sections,
        summary=summary,
        by_exhibit=_verdicts_by_exhibit(compared),
        compared=compared,
        not_reproduced=sorted(
            (row for row in compared if row["verdict"] != comparison.REPRODUCED),
            key=lambda row: list(summary["verdicts"]).index(row["verdict"]),
        ),
        in_words=_in_words,
        many=MANY,
        verdicts=list(summary["verdicts"]),
        policy=contents.edition.policy,
        is_private=contents.is_private,
        number_of=layout.number_of,
        css=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        statement=methods_statement(connection, study, book, run),
        criteria=criteria,
        asks_for_her2=_asks_for_her2(study, criteria),
        endpoints=_endpoints(connection, study),
        files=_files(connection, book),
        quarantine=_quarantine(connection),
        disagreement=warning(connection, study_id),
        second_programming=_second_programming(connection, study_id, contents.edition.policy),
        n_estimates=len(book),
        days_per_month=DAYS_PER_MONTH,
        time_origin=time_origin(study),
        small_group=SMALL_GROUP,
        few_events=FEW_EVENTS,
        events_per_variable=EVENTS_PER_VARIABLE,
        significance_level=SIGNIFICANCE_LEVEL,
        run=run,
    )


def _second_programming(
    connection: duckdb.DuckDBPyConnection, study_id: str, policy: str | None
) -> list[dict[str, Any]]:
    """What another programme found for the same quantities, if it has run."""
    if not exist(connection, "results.second_programming"):
        return []
    found = rows(
        connection,
        "select * from results.second_programming where study_id = ? order by rowid",
        study_id,
    )
    for row in found:
        of_patients = row["exhibit"] == COHORT
        count = int(row["largest_difference"]) if of_patients else 0
        shown = HIDDEN if policy and is_small(count) else str(count)
        row["difference"] = (
            counted(shown, "patient") if of_patients else f"{row['largest_difference']:.1e}"
        )
    return found


def _verdicts_by_exhibit(compared: Sequence[dict[str, Any]]) -> list[tuple[str, dict[str, int]]]:
    counts: dict[str, Counter[str]] = {}
    for row in compared:
        counts.setdefault(row["exhibit"], Counter())[row["verdict"]] += 1
    return [(exhibit, dict(counter)) for exhibit, counter in counts.items()]


def _in_words(row: dict[str, Any]) -> str:
    """What a printed number is about, for a reader."""
    variable = re.sub(r"^(os|pfs)\b", lambda match: match.group().upper(), row["variable"])
    what = [row["population"], variable.replace("_", " ")]
    if row["level"]:
        what.append(row["level"])
    return f"{', '.join(what)}: {comparison.name_of(row['statistic'])}"


def _criteria(connection: duckdb.DuckDBPyConnection, study_id: str) -> list[dict[str, Any]]:
    criteria = rows(
        connection,
        "select * from reference.study_criteria where study_id = ? order by step",
        study_id,
    )
    return [
        {
            "step": criterion["step"],
            "label": criterion["label"],
            "argument": criterion["argument"],
            "asked": _asked(criterion),
            "window": _window(criterion["days_before"], criterion["days_after"]),
            "source": criterion["source"],
        }
        for criterion in criteria
    ]


def _asks_for_her2(study: Study, criteria: Sequence[dict[str, Any]]) -> bool:
    return any(criterion["argument"] == "HER2" for criterion in criteria) or any(
        variable.argument == "her2_status" for variable in study.variables.values()
    )


def _asked(criterion: dict[str, Any]) -> str:
    low, high = criterion["minimum"], criterion["maximum"]
    if low is not None and high is not None:
        return f"{float(low):g} to {float(high):g}"
    if low is not None:
        return f"at least {float(low):g}"
    if high is not None:
        return f"at most {float(high):g}"
    return str(criterion["wanted"]).replace("_", " ")


def _window(before: object, after: object) -> str:
    if before is None and after is None:
        return "any time"
    return f"{before or 0} before to {after or 0} after"


def _endpoints(connection: duckdb.DuckDBPyConnection, study: Study) -> list[dict[str, Any]]:
    return rows(
        connection,
        """
        select
            rule_sets.endpoint,
            rule_sets.label,
            rule_sets.source,
            string_agg(sources.source, ', ' order by sources.precedence)
                filter (where sources.role = 'event') as events,
            string_agg(sources.source, ', ' order by sources.precedence)
                filter (where sources.role = 'censor') as censorings
        from reference.endpoint_rule_sets as rule_sets
        left join reference.endpoint_sources as sources
            using (endpoint_rule_set_id, endpoint)
        where rule_sets.endpoint_rule_set_id = ?
        group by all
        order by rule_sets.endpoint
        """,
        study.settings["endpoint_rule_set_id"],
    )


def _files(connection: duckdb.DuckDBPyConnection, book: Book) -> list[dict[str, str]]:
    provenance = book.page("provenance", "delivery")
    return [
        {
            "table": file["table_name"],
            "name": file["file_name"] or "not delivered",
            "sha256": file["sha256"] or "",
            **{
                name: provenance.display(file["table_name"], None, f"{name}_n")
                for name in ("records", "staged", "quarantined", "set_aside")
            },
        }
        for file in rows(connection, DELIVERED)
    ]


def _quarantine(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    return rows(
        connection,
        """
        select file_name, concat_ws(': ', column_name, reason) as reason, count(*) as n
        from quality.quarantine
        group by all
        order by n desc, file_name, reason
        limit 20
        """,
    )
