"""The data-quality report: one HTML page that needs no network, no script and no other file.

Two editions. The one that may be shared has counts only, no patient keys, no values, and hides
small counts (`small_cells`); the auditor's is private and also names records and pseudonyms. Great
Expectations' own pages are not used: they need the network and run scripts.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from jinja2 import Template
from markupsafe import Markup

from expectations import accounting, coverage, lineage, verdict
from expectations.accounting import Row
from expectations.catalogue import CATALOGUE_FILE
from expectations.checks import Condition
from expectations.pages import template
from expectations.run import all_checks
from expectations.small_cells import HIDDEN, SMALL_CELL, Sum, shown
from expectations.tables import exist, rows
from pipeline.contract import CONTRACT_FILE, RECORD_BITS, RID_SHIFT, read_contract
from pipeline.paths import PROJECT

if TYPE_CHECKING:
    from pipeline.audit import Event
    from pipeline.diff import Difference
    from pipeline.signing import Judged

TEMPLATES = Path(__file__).with_name("templates")
SHARED_CSS = PROJECT / "analysis" / "templates" / "report.css"

REPORTING_ITEMS = TEMPLATES / "reporting_items.csv"
GLOSSARY = TEMPLATES / "glossary.csv"

HASH = re.compile("[0-9a-f]{40,64}")
HASH_SHOWN = 12

HEADLINE = re.compile("(fig|table)[0-9]+")
"""Exhibits of the study itself, not of its supplement."""

ROWS_LISTED = 50
"""Records listed for each check in the private edition."""

SIGNATURES = (
    (
        "Data steward",
        "I prepared this run and the delivery it was made from is the one named above",
    ),
    ("Statistician", "I reviewed the failed checks and the results may be interpreted with them"),
    ("Quality assurance", "I reviewed this page independently and approve its verdict"),
)
"""Who signs, and what the signature means."""


@dataclass(frozen=True)
class RunRecord:
    """What the page tells of the run beside its data.

    Attributes
    ----------
    manifest
        What the run was made of.
    since
        What differs from the last signed run, or from the one before where none was signed.
    since_is_signed, signatures
        Whether somebody signed that run, and whether the signatures still hold.
    events
        The audit trail.
    """

    manifest: dict[str, Any]
    since: Difference | None
    since_is_signed: bool
    signatures: Sequence[Judged]
    events: Sequence[Event]


def render(
    connection: duckdb.DuckDBPyConnection,
    output: Path,
    *,
    run: dict[str, str],
    record: RunRecord | None = None,
    private: bool = False,
) -> None:
    """Write the data-quality report of a built warehouse.

    Whatever has not been built is said to be missing: the page of a blocked run has no results.

    Parameters
    ----------
    run
        What identifies the run and what it ran on; printed as given. The results of the checks are
        those of `run_id`, or of the latest run if there is none.
    record
        What else is known of the run; without it the page says nothing of it.
    private
        The auditor's edition: exact counts, patients by pseudonym and records by file and number.
    """
    text = page(connection, run=run, record=record, private=private)
    output.write_text(text, encoding="utf-8")


def page(
    connection: duckdb.DuckDBPyConnection,
    *,
    run: dict[str, str],
    record: RunRecord | None = None,
    private: bool = False,
) -> str:
    """Return the report as HTML text."""
    about = accounting.delivery(connection)
    exact = private or about.get("synthetic") == "yes"
    results = verdict.stored_results(connection, run.get("run_id"))
    recomputed = accounting.second_programming(connection)
    account = accounting.files(connection, exact=exact)
    marts = accounting.mart_rows(connection)
    unmapped = accounting.unmapped_drugs(connection, exact=exact)
    unjudged = verdict.unjudged(results)
    studied = [
        _study(connection, study, marts, exact=exact) for study in accounting.studies(connection)
    ]
    return compiled().render(
        css=Markup(SHARED_CSS.read_text() + (TEMPLATES / "quality.css").read_text()),
        delivery=about,
        exact=exact,
        small_cell=SMALL_CELL,
        hidden=HIDDEN,
        shades=coverage.SHADES,
        run=run,
        verdict=verdict.judge(results, sum(not row["agrees"] for row in recomputed)),
        statuses=verdict.STATUSES,
        n_checks=len(results),
        by_status=verdict.by_status(results),
        by_kind=verdict.by_kind(results),
        columns=verdict.matrix_columns(results),
        matrix=verdict.matrix(results),
        failures=verdict.failures(connection, results, exact=exact),
        passed=verdict.passed(results, exact=exact),
        unjudged=unjudged,
        private=private,
        record=record,
        anonymity=_anonymity(record, exact=exact) if record else [],
        since=record and _since(record, exact=exact),
        events=record and Counter(event.kind for event in record.events),
        failing_rows=failing_rows(connection, results) if private else {},
        results=headline_numbers(connection, exact=exact),
        lineage=lineage.graph(connection),
        glossary=_listed(GLOSSARY),
        account=account,
        quarantine=accounting.quarantine(connection, exact=exact),
        unmapped=unmapped,
        studies=studied,
        second_programming=recomputed,
        limitations=accounting.limitations(
            about,
            account,
            marts,
            studied,
            unmapped=unmapped,
            unjudged=len(unjudged),
            recomputed=bool(recomputed),
            little_known=_little_known(studied),
        ),
        marts={name: accounting.counted(n, exact=exact) for name, n in marts.items()},
        items=_listed(REPORTING_ITEMS),
        contract_version=read_contract().version,
        rules={
            "Check catalogue, SHA-256": _sha256(CATALOGUE_FILE),
            "Extract contract, SHA-256": _sha256(CONTRACT_FILE),
        },
        signatures=SIGNATURES,
    )


def compiled() -> Template:
    """Return the template of the page."""
    return template(TEMPLATES / "quality.html", words=_words, shortened=_shortened)


def _study(
    connection: duckdb.DuckDBPyConnection, study: Row, marts: dict[str, int], *, exact: bool
) -> Row:
    study_id = study["study_id"]
    completeness = coverage.completeness(connection, study_id)
    printed = {f"{n:,}" for name, n in marts.items() if name.startswith("cohort.")}
    if completeness:
        *_, everybody, included = completeness.patients
        printed |= {everybody, included}
    steps = accounting.attrition(connection, study_id, exact=exact, printed=printed)
    return {
        **study,
        "attrition": steps,
        "flow": _flow(study_id, steps),
        "completeness": completeness,
        "follow_up": coverage.follow_up(connection, study_id),
        "agreement": accounting.recist_agreement(connection, study_id),
    }


def _flow(study_id: str, steps: Sequence[Row]) -> Markup | None:
    """The attrition as a CONSORT-style diagram."""
    from analysis.flow import Step, flow_diagram

    if not steps:
        return None
    return flow_diagram(
        f"flow-{study_id}",
        "Patients with a cancer diagnosis in the delivery",
        steps[0]["n_in"],
        [Step(s["criterion"] or "", s["n_out"], s["n_not_met"], s["n_unknown"]) for s in steps],
        f"Cohort flow of {study_id}",
        "The table below has the same numbers.",
    ).svg


def _anonymity(record: RunRecord, *, exact: bool) -> list[Row]:
    """How many patients too few share what an outsider may know; a small number is hidden."""
    found = []
    for study in record.manifest.get("anonymity", ()):
        n, below = study["n_patients"], study["n_below"]
        counts = {"all": n, "below": below, "others": n - below}
        texts = shown(counts, [Sum("all", ("below", "others"))], kept=("all",))
        found.append(study if exact else study | {"n_below": texts["below"]})
    return found


def _little_known(studied: Sequence[Row]) -> list[str]:
    return [
        variable
        for study in studied
        if study["completeness"]
        for variable, share in study["completeness"].least_known
        if share < accounting.LITTLE_KNOWN
    ]


def _since(record: RunRecord, *, exact: bool) -> Row | None:
    """What changed, as counts; which patients, which rows are for the private edition alone."""
    found = record.since
    if found is None:
        return None
    moved = Counter(one.what for one in found.moved)
    by_exhibit = Counter(change.what.split(".")[1] for change in found.numbers)
    return {
        "moved": {what: accounting.counted(n, exact=exact) for what, n in moved.items()},
        "numbers": dict(sorted(by_exhibit.items())),
        "rows": {
            one.table: [
                accounting.counted(len(part), exact=exact)
                for part in (one.added, one.corrected, one.withdrawn)
            ]
            for one in found.rows or ()
        },
    }


def headline_numbers(connection: duckdb.DuckDBPyConnection, *, exact: bool) -> list[Row]:
    """Return the medians and hazard ratios of the study's figures, by the name to trace them by."""
    if not exist(connection, "results.estimates"):
        return []
    from analysis.disclosure import complete, shareable
    from analysis.study import load_study

    edition, unknown = (complete, "") if exact else (shareable, HIDDEN)
    studies = rows(connection, "select distinct study_id from results.estimates order by study_id")
    return [
        {
            **row,
            **{
                part: unknown if row[part] is None else f"{row[part]:,}" for part in ("n", "events")
            },
        }
        for study in studies
        for row in edition(connection, load_study(connection, study["study_id"])).estimates
        if row["statistic"] in ("median_months", "hazard_ratio")
        and HEADLINE.fullmatch(row["exhibit"])
        and row["value"] is not None
    ]


def failing_rows(
    connection: duckdb.DuckDBPyConnection, results: Sequence[verdict.Result]
) -> dict[tuple[str, str, str], list[str]]:
    """Return where the rows stand that break a rule: file and record, by check. Private."""
    checks = {check.key: check for check in all_checks()}
    names = accounting.file_names(connection)
    found = {}
    for result in results:
        key = (result["check_id"], result["table_name"], result["column_name"])
        check = checks.get(key)
        if result["status"] != "fail" or not check or not isinstance(check.rule, Condition):
            continue
        looked_at = f"({check.rule.rows})" if check.rule.rows else check.table
        try:
            breaking = rows(
                connection,
                f"""
                select src_rid >> {RID_SHIFT} as file_id, src_rid & {RECORD_BITS} as record_no
                from {looked_at} as checked
                where ({check.rule.applies_to}) and ({check.rule.violation})
                order by src_rid
                limit {ROWS_LISTED}
                """,
            )
        except duckdb.Error:  # a rule about derived rows, which are not records
            continue
        found[key] = [
            f"{names[row['file_id']]} {row['record_no']}"
            for row in breaking
            if row["file_id"] in names
        ]
    return found


def _listed(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _shortened(value: Any) -> str:
    """Return a value as text, of a hash the beginning; the manifests have all of it."""
    text = "\N{EN DASH}" if value is None else str(value)
    return f"{text[:HASH_SHOWN]}\N{HORIZONTAL ELLIPSIS}" if HASH.fullmatch(text) else text


def _words(name: Any) -> str:
    """Return a name of the warehouse as words; a name with a dot is a table and stays."""
    text = str(name)
    return text if "." in text else text.replace("_", " ")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
