"""Where every delivered row went: files, quarantine, the cohort, and what was not there at all.

Counts of rows and of patients at a step are exact on a synthetic delivery, which describes nobody;
on any other, small ones are hidden (`small_cells`) and record numbers are not listed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import duckdb

from expectations.small_cells import HIDDEN, Sum, is_small, shown
from expectations.tables import MARTS, exist, rows
from pipeline.contract import RID_SHIFT

RECORDS_LISTED = 20
"""Record numbers listed for each reason of quarantine."""

OWN_TABLES = ("quality.quarantine", "treatment.unmapped_drugs")
"""Tables in which no row is good news."""

LITTLE_KNOWN = 0.75
"""Variables known of a smaller share of patients are named among the limitations."""

Row = dict[str, Any]


def counted(number: int, *, exact: bool) -> str:
    """Return a count as text, hidden if small and not `exact`."""
    return HIDDEN if not exact and is_small(number) else f"{number:,}"


def delivery(connection: duckdb.DuckDBPyConnection) -> Row:
    """Return who sent what and when, and whether it is synthetic; empty if nobody said."""
    if not exist(connection, "staging.stg_common__delivery"):
        return {}
    found = rows(connection, "select * exclude (src_rid) from staging.stg_common__delivery")
    return found[0] if found else {}


def file_names(connection: duckdb.DuckDBPyConnection) -> dict[int, str]:
    """Return what to call each file, by `file_id`; of several deliveries, each has its own."""
    if not exist(connection, "quality.source_files"):
        return {}
    found = rows(
        connection,
        "select *, min(delivery_seq) over () < max(delivery_seq) over () as has_namesakes "
        "from quality.source_files",
    )
    return {
        row["file_id"]: (row["file_name"] or row["table_name"])
        + (f", delivery {row['delivery_seq']}" if row["has_namesakes"] else "")
        for row in found
    }


FATES = ("n_staged", "n_quarantined", "n_collapsed", "n_superseded", "n_erased")
"""What becomes of a record."""


def files(connection: duckdb.DuckDBPyConnection, *, exact: bool) -> list[Row]:
    """Return the account of each file, `adds_up` computed from the true counts; the total last."""
    account, _, counts, texts = _account(connection, exact=exact)
    names = file_names(connection)
    return [
        {
            **row,
            "name": names.get(row["file_id"]),
            "adds_up": counts[n, "n_records"] == sum(counts[n, fate] for fate in FATES),
            "was_delivered": row["file_name"] is not None,
            **{part: texts[n, part] for part in ("n_records", *FATES)},
        }
        for n, row in enumerate(account)
    ]


def quarantine(connection: duckdb.DuckDBPyConnection, *, exact: bool) -> list[Row]:
    """Return the quarantined records by file and reason, with the first record numbers."""
    _, reasons, _, texts = _account(connection, exact=exact)
    names = file_names(connection)
    return [
        {
            **row,
            "name": names[row["file_id"]],
            "count": texts[n, "reason"],
            "records": ", ".join(map(str, row["records"])) if exact else "",
            "more": max(0, row["n"] - RECORDS_LISTED) if exact else 0,
        }
        for n, row in enumerate(reasons)
    ]


Counts = dict[tuple[int, str], int]
Texts = dict[tuple[int, str], str]


def _account(
    connection: duckdb.DuckDBPyConnection, *, exact: bool
) -> tuple[list[Row], list[Row], Counts, Texts]:
    """Files with their total, reasons of quarantine, and the counts of both, hidden together."""
    if not exist(connection, "quality.source_files"):
        return [], [], {}, {}
    found = rows(connection, "select * from quality.source_files order by file_id")
    reasons = _reasons(connection)
    parts = ("n_records", *FATES)
    whole = {part: sum(row[part] or 0 for row in found) for part in parts}
    total = {"file_id": None, "table_name": "All files", "file_name": "", "sha256": "", **whole}
    account = [*found, total]
    counts = {(n, part): row[part] or 0 for n, row in enumerate(account) for part in parts}
    counts |= {(n, "reason"): row["n"] for n, row in enumerate(reasons)}
    if exact:
        return account, reasons, counts, {key: f"{count:,}" for key, count in counts.items()}
    last = len(found)
    sums = [
        *(Sum((n, "n_records"), tuple((n, fate) for fate in FATES)) for n in range(len(account))),
        *(Sum((last, part), tuple((n, part) for n in range(last))) for part in parts),
    ]
    for n, file in enumerate(found):
        own = [m for m, row in enumerate(reasons) if row["file_id"] == file["file_id"]]
        # A record may have several reasons.
        if own and sum(reasons[m]["n"] for m in own) == counts[n, "n_quarantined"]:
            sums.append(Sum((n, "n_quarantined"), tuple((m, "reason") for m in own)))
    return account, reasons, counts, shown(counts, sums)


def _reasons(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    if not exist(connection, "quality.quarantine"):
        return []
    return rows(
        connection,
        f"""
        select
            table_name,
            src_rid >> {RID_SHIFT} as file_id,
            concat_ws(': ', column_name, reason) as reason,
            count(*) as n,
            list_sort(list(record_no))[1:?] as records
        from quality.quarantine
        group by all
        order by table_name, file_id, n desc, reason
        """,
        RECORDS_LISTED,
    )


def unmapped_drugs(connection: duckdb.DuckDBPyConnection, *, exact: bool) -> Row | None:
    """Return how many drug texts the dictionary does not know, and how many rows have them."""
    if not exist(connection, "treatment.unmapped_drugs"):
        return None
    found = rows(
        connection,
        "select count(*) as texts, coalesce(sum(n_rows), 0)::bigint as n "
        "from treatment.unmapped_drugs",
    )[0]
    return {"texts": found["texts"], "rows": counted(found["n"], exact=exact)}


def attrition(
    connection: duckdb.DuckDBPyConnection,
    study_id: str,
    *,
    exact: bool,
    printed: Collection[str] = (),
) -> list[Row]:
    """Return the steps from cohort.cohort_attrition, counts as texts.

    A count that is `printed` elsewhere on the page as well cannot cover another.
    """
    if not exist(connection, "cohort.cohort_attrition"):
        return []
    steps = rows(
        connection,
        "select * from cohort.cohort_attrition where study_id = ? order by step",
        study_id,
    )
    parts = ("n_in", "n_not_met", "n_unknown", "n_out")
    counts = {(n, part): step[part] for n, step in enumerate(steps) for part in parts}
    if exact:
        texts = {key: f"{count:,}" for key, count in counts.items()}
    else:
        texts = _one_after_the_other(counts, len(steps), printed)
    return [{**step, **{part: texts[n, part] for part in parts}} for n, step in enumerate(steps)]


def studies(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    """Return the studies of the warehouse."""
    if not exist(connection, "reference.studies"):
        return []
    return rows(connection, "select * from reference.studies order by study_id")


def recist_agreement(connection: duckdb.DuckDBPyConnection, study_id: str) -> Row | None:
    """Return computed against recorded responses as a square, small counts hidden; None if none.

    The counts are of visits; a visit describes one patient.
    """
    if not exist(connection, "survival.recist_agreement"):
        return None
    found = rows(
        connection,
        "select * from survival.recist_agreement where study_id = ? order by all",
        study_id,
    )
    if not found:
        return None
    order = ("CR", "PR", "SD", "NON-CR/NON-PD", "PD", "NE")
    codes = sorted(
        {row[side] for row in found for side in ("derived_response", "recorded_response")},
        key=lambda code: (order.index(code) if code in order else len(order), code),
    )
    pairs = {(r["derived_response"], r["recorded_response"]): r["n_assessments"] for r in found}
    counts = {(one, other): pairs.get((one, other), 0) for one in codes for other in codes}
    counts |= {(one, ""): sum(counts[one, other] for other in codes) for one in codes}
    counts |= {("", other): sum(counts[one, other] for one in codes) for other in codes}
    counts["", ""] = found[0]["n_total"]
    # The share that agrees gives the sum of the diagonal away.
    counts["", "alike"] = sum(counts[code, code] for code in codes)
    sums = [
        *(Sum((one, ""), tuple((one, other) for other in codes)) for one in [*codes, ""]),
        *(Sum(("", other), tuple((one, other) for one in codes)) for other in [*codes, ""]),
        Sum(("", "alike"), tuple((code, code) for code in codes)),
    ]
    texts = shown(counts, sums)
    margins = [key for key in counts if "" in key]
    is_told = HIDDEN not in [texts[key] for key in margins]
    return {
        "codes": codes,
        "rows": [
            (one or "All", [texts[one, other] for other in [*codes, ""]]) for one in [*codes, ""]
        ],
        "n": texts["", ""],
        "agreement": found[0]["agreement"] if is_told else None,
        "kappa": found[0]["kappa"] if is_told else None,
    }


def second_programming(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    """Return what a second programme found for the same results, if it has run."""
    if not exist(connection, "results.second_programming"):
        return []
    return rows(connection, "select * from results.second_programming order by rowid")


def mart_rows(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return the number of rows of each table of the marts and results."""
    found = rows(
        connection,
        "select table_schema || '.' || table_name as name from information_schema.tables "
        "where list_contains(?, table_schema) order by name",
        [*MARTS, "results"],
    )
    return {
        row["name"]: rows(connection, f"select count(*) as n from {_quoted(row['name'])}")[0]["n"]
        for row in found
    }


def limitations(
    about: Row,
    account: Sequence[Row],
    marts: dict[str, int],
    studied: Sequence[Row],
    *,
    unmapped: Row | None,
    unjudged: int,
    recomputed: bool,
    little_known: Sequence[str],
) -> list[str]:
    """Return what this run cannot say, in sentences."""
    sources = account[:-1]
    # Where changes stand on a delivery, each has its own file of a table.
    delivered, absent, filled, held_back = (
        list(dict.fromkeys(row["table_name"] for row in sources if applies(row)))
        for applies in (
            lambda row: row["was_delivered"],
            lambda row: not row["was_delivered"],
            lambda row: row["n_records"] != "0",
            lambda row: row["n_quarantined"] != "0",
        )
    )
    empty = [name for name in delivered if name not in filled]
    bare = [name for name, n in marts.items() if n == 0 and name not in OWN_TABLES]
    drawn = about.get("extract_date")
    said = [
        ("Nothing is known of the files of the delivery.", not account),
        (f"Not delivered: {_listed(absent)}.", absent),
        (f"Delivered without a row: {_listed(empty)}.", empty),
        (f"Records that could not be read were left out of: {_listed(held_back)}.", held_back),
        (f"Derived tables without a row: {_listed(bare)}.", bare),
        (
            "The delivery does not say whether its patients are real; they are taken to be.",
            about.get("synthetic") not in ("yes", "no"),
        ),
        (
            f"The drug dictionary does not know {unmapped and unmapped['texts']} drug texts "
            f"({unmapped and unmapped['rows']} rows); they belong to no line of therapy.",
            unmapped and unmapped["texts"],
        ),
        (f"Checks that had nothing to check or were not run: {unjudged}.", unjudged),
        ("No second programme has recomputed the results.", not recomputed),
        (
            f"Known of fewer than {LITTLE_KNOWN:.0%} of the patients: {_listed(little_known)}.",
            little_known,
        ),
        *(
            (
                f"The extract was drawn on {drawn}, before the data cut-off of "
                f"{study['study_id']} ({study['data_cutoff']}).",
                drawn is not None and str(drawn) < str(study["data_cutoff"]),
            )
            for study in studied
        ),
        (
            "Checks compare the delivery with itself and with stated expectations. Nobody has "
            "compared it with the patients' charts.",
            True,
        ),
    ]
    return [sentence for sentence, applies in said if applies]


def _one_after_the_other(
    counts: dict[tuple[int, str], int], n_steps: int, printed: Collection[str]
) -> dict[tuple[int, str], str]:
    """Hide small counts of steps each of which begins with the patients that the last one left."""

    def place(step: int, part: str) -> tuple[int, str]:
        return (step - 1, "n_out") if part == "n_in" and step else (step, part)

    parts = ("n_not_met", "n_unknown", "n_out")
    places = {key: count for key, count in counts.items() if key == place(*key)}
    texts = shown(
        places,
        [Sum(place(n, "n_in"), tuple(place(n, part) for part in parts)) for n in range(n_steps)],
        kept=[key for key, count in places.items() if f"{count:,}" in printed],
    )
    return {key: texts[place(*key)] for key in counts}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name if "." in name else name.replace("_", " ") for name in names)


def _quoted(table: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in table.split("."))
