"""The data-quality report: one HTML page that needs no network, no script and no other file.

This is the edition that may be shared: counts only, no patient keys, no values, small counts hidden
(`small_cells`). Great Expectations' own pages are not used: they need the network and run scripts.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from expectations import accounting, coverage, verdict
from expectations.accounting import Row
from expectations.catalogue import CATALOGUE_FILE
from expectations.small_cells import SMALL_CELL
from pipeline.contract import CONTRACT_FILE, PROJECT, read_contract

TEMPLATES = Path(__file__).with_name("templates")
SHARED_CSS = PROJECT / "analysis" / "templates" / "report.css"

SIGNATURES = (
    (
        "Data steward",
        "I prepared this run and the delivery it was made from is the one named above",
    ),
    ("Statistician", "I reviewed the failed checks and the results may be interpreted with them"),
    ("Quality assurance", "I reviewed this page independently and approve its verdict"),
)
"""Who signs, and what the signature means."""


def render(connection: duckdb.DuckDBPyConnection, output: Path, *, run: dict[str, str]) -> None:
    """Write the data-quality report of a built warehouse.

    Whatever has not been built is said to be missing: the page of a blocked run has no results.

    Parameters
    ----------
    run
        What identifies the run and what it ran on; printed as given. The results of the checks are
        those of `run_id`, or of the latest run if there is none.
    """
    output.write_text(page(connection, run=run), encoding="utf-8")


def page(connection: duckdb.DuckDBPyConnection, *, run: dict[str, str]) -> str:
    """Return the report as HTML text."""
    about = accounting.delivery(connection)
    exact = about.get("synthetic") == "yes"
    results = verdict.stored_results(connection, run.get("run_id"))
    recomputed = accounting.second_programming(connection)
    account = accounting.files(connection, exact=exact)
    marts = accounting.mart_rows(connection)
    unmapped = accounting.unmapped_drugs(connection, exact=exact)
    unjudged = verdict.unjudged(results)
    studied = [_study(connection, study, exact=exact) for study in accounting.studies(connection)]
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["words"] = _words
    return environment.get_template("quality.html").render(
        css=Markup(SHARED_CSS.read_text() + (TEMPLATES / "quality.css").read_text()),
        delivery=about,
        exact=exact,
        small_cell=SMALL_CELL,
        shades=coverage.SHADES,
        run=run,
        verdict=verdict.judge(results, sum(not row["agrees"] for row in recomputed)),
        statuses=verdict.STATUSES,
        n_checks=len(results),
        by_status=verdict.by_status(results),
        by_kind=verdict.by_kind(results),
        columns=verdict.matrix_columns(results),
        matrix=verdict.matrix(results),
        failures=verdict.failures(results, exact=exact),
        passed=verdict.passed(results, exact=exact),
        unjudged=unjudged,
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
        items=_reporting_items(),
        contract_version=read_contract().version,
        rules={
            "Check catalogue, SHA-256": _sha256(CATALOGUE_FILE),
            "Extract contract, SHA-256": _sha256(CONTRACT_FILE),
        },
        signatures=SIGNATURES,
    )


def _study(connection: duckdb.DuckDBPyConnection, study: Row, *, exact: bool) -> Row:
    study_id = study["study_id"]
    return {
        **study,
        "attrition": accounting.attrition(connection, study_id, exact=exact),
        "completeness": coverage.completeness(connection, study_id),
        "follow_up": coverage.follow_up(connection, study_id),
        "agreement": accounting.recist_agreement(connection, study_id),
    }


def _little_known(studied: Sequence[Row]) -> list[str]:
    return [
        variable
        for study in studied
        if study["completeness"]
        for variable, share in study["completeness"].least_known
        if share < accounting.LITTLE_KNOWN
    ]


def _reporting_items() -> list[dict[str, str]]:
    with (TEMPLATES / "reporting_items.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _words(name: Any) -> str:
    """Return a name of the warehouse as words; a name with a dot is a table and stays."""
    text = str(name)
    return text if "." in text else text.replace("_", " ")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
