"""What is known of the patients: completeness by variable and year, follow-up, deaths.

Counts of patients pass through `small_cells`: what is printed here cannot be turned back into a
count of fewer than SMALL_CELL patients, zero excepted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import duckdb

from expectations.small_cells import HIDDEN, SMALL_CELL, Sum, hidden, is_small, shown
from expectations.tables import columns, exist, rows

ALL = "All"
INCLUDED = "Study population"
YEAR_UNKNOWN = "no year"

UNKNOWN = "unknown"

#: Columns of patient_characteristics that describe nobody, or that cohort.biomarkers has in detail.
NOT_VARIABLES = ("study_id", "patient_key", "src_rids", "her2_status", "ras_braf_status")

SHADES = 9
"""Darkest shade of the heat map; the shade is the share missing."""


@dataclass(frozen=True)
class Cell:
    """A cell of the heat map: the text and the shade, 0 (all known) to SHADES, None if hidden."""

    text: str
    shade: int | None


@dataclass(frozen=True)
class HeatMap:
    """Share of patients of whom a variable is known; a column a year, then all, then included."""

    headings: tuple[str, ...]
    patients: tuple[str, ...]
    groups: tuple[tuple[str, tuple[tuple[str, tuple[Cell, ...]], ...]], ...]
    least_known: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class FollowUp:
    """Follow-up and deaths at the data cut-off; one column a year of index, then all."""

    headings: tuple[str, ...]
    lines: tuple[tuple[str, tuple[str, ...]], ...]
    data_cutoff: str
    within_days: int
    precision: tuple[tuple[str, str], ...]


def completeness(connection: duckdb.DuckDBPyConnection, study_id: str) -> HeatMap | None:
    """Return the heat map of a study's patients with an index date; None if there are none."""
    if not exist(connection, "cohort.cohort", "cohort.patient_characteristics"):
        return None
    totals, known = _characteristics(connection, study_id)
    if not totals:
        return None
    groups = {"Patient and disease": list(known)}
    if exist(connection, "cohort.biomarkers"):
        biomarkers = _biomarkers(connection, study_id)
        groups["Biomarkers"] = list(biomarkers)
        known |= biomarkers
    years = sorted({year for year, _ in totals}, key=lambda year: (year == YEAR_UNKNOWN, year))
    patients = _margins(totals, years)
    with_it = {variable: _margins(counts, years) for variable, counts in known.items()}
    texts = shown(patients, also=_hidden_patients(patients, years))
    return HeatMap(
        headings=(*years, ALL, INCLUDED),
        patients=tuple(texts[heading] for heading in patients),
        groups=tuple(
            (
                title,
                tuple(
                    (variable, _variable(patients, with_it[variable], years))
                    for variable in variables
                ),
            )
            for title, variables in groups.items()
            if variables
        ),
        least_known=tuple(
            (variable, counts[ALL] / patients[ALL])
            for variable, counts in with_it.items()
            if not is_small(counts[ALL]) and not is_small(patients[ALL] - counts[ALL])
        ),
    )


def follow_up(connection: duckdb.DuckDBPyConnection, study_id: str) -> FollowUp | None:
    """Return follow-up by year of index; None if the index of the patients was not built."""
    if not exist(connection, "intermediate.int_study_index", "reference.studies"):
        return None
    from analysis.study import DAYS_PER_MONTH

    found = rows(
        connection,
        """
        select
            coalesce(cast(year(index_date) as varchar), ?) as index_year,
            count(*) as patients,
            count(*) filter (is_dead) as dead,
            count(*) filter (not is_dead and is_followed) as alive,
            count(*) filter (not is_dead and not is_followed) as lost,
            median(observed_days) / ? as median_months
        from (
            select
                people.index_date,
                coalesce(
                    people.death_date <= people.data_cutoff or people.death_undated, false
                ) as is_dead,
                coalesce(people.is_followed_to_cutoff, false) as is_followed,
                date_diff(
                    'day',
                    people.index_date,
                    least(people.death_date, people.last_contact_date, people.data_cutoff)
                ) as observed_days
            from intermediate.int_study_index as people
            where people.study_id = ?
        ) as observed
        group by grouping sets ((index_year), ())
        order by index_year nulls last
        """,
        YEAR_UNKNOWN,
        DAYS_PER_MONTH,
        study_id,
    )
    years = [row for row in found if row["index_year"]]
    if not years:
        return None
    kept = [*years, {**found[-1], "index_year": ALL}]
    study = rows(
        connection,
        "select data_cutoff, follow_up_complete_within_days as within_days "
        "from reference.studies where study_id = ?",
        study_id,
    )[0]
    parts = ("dead", "alive", "lost")
    counts = {(row["index_year"], part): row[part] for row in kept for part in ("patients", *parts)}
    names = [row["index_year"] for row in years]
    patients = {row["index_year"]: row["patients"] for row in kept}
    few = {(name, "patients") for name in _hidden_patients(patients, names)}
    texts = shown(
        counts,
        [
            *(Sum((name, "patients"), _keys(name, parts)) for name in patients),
            *(Sum((ALL, part), tuple((name, part) for name in names)) for part in parts),
        ],
        also=few,
        kept=[key for key in counts if key[1] == "patients"],
    )
    labels = {
        "patients": "Patients",
        "dead": "Known to have died",
        "alive": "Alive, followed to the end",
        "lost": "Alive when last seen, lost since",
    }
    return FollowUp(
        headings=(*names, ALL),
        lines=(
            *(
                (label, tuple(texts[row["index_year"], part] for row in kept))
                for part, label in labels.items()
            ),
            (
                "Median time observed, months",
                tuple(
                    f"{row['median_months']:.1f}"
                    if row["patients"] >= SMALL_CELL and row["median_months"] is not None
                    else "–"
                    for row in kept
                ),
            ),
        ),
        data_cutoff=f"{study['data_cutoff']:%Y-%m-%d}",
        within_days=study["within_days"],
        precision=_precision(connection, study_id),
    )


def _precision(connection: duckdb.DuckDBPyConnection, study_id: str) -> tuple[tuple[str, str], ...]:
    """How exactly the deaths are dated."""
    if not exist(connection, "intermediate.int_vital_status"):
        return ()
    found = {
        row["precision"]: row["patients"]
        for row in rows(
            connection,
            """
            select
                coalesce(status.death_date_precision, 'no date') as precision,
                count(*) as patients
            from intermediate.int_vital_status as status
            inner join intermediate.int_study_index as people
                on status.patient_key = people.patient_key
            where people.study_id = ? and status.status = 'dead'
            group by all
            order by patients desc, precision
            """,
            study_id,
        )
    }
    counts = {**found, ALL: sum(found.values())}
    return tuple(shown(counts, [Sum(ALL, tuple(found))]).items()) if found else ()


Counts = dict[tuple[str, bool], int]
Margins = dict[str, int]


def _characteristics(
    connection: duckdb.DuckDBPyConnection, study_id: str
) -> tuple[Counts, dict[str, Counts]]:
    """Patients by year and inclusion, and of how many of them each variable is known."""
    variables = [
        name
        for name in columns(connection, "cohort.patient_characteristics")
        if name not in NOT_VARIABLES
    ]
    counted = ", ".join(
        f"count(*) filter (cast(people.{name} as varchar) <> '{UNKNOWN}') as {name}"
        for name in variables
    )
    found = rows(
        connection,
        f"""
        select {_YEAR} as index_year, {_IS_INCLUDED} as is_included, count(*) as n, {counted}
        from cohort.patient_characteristics as people
        {_WITH_COHORT}
        where people.study_id = ?
        group by all
        """,
        study_id,
    )
    groups = [(row["index_year"], row["is_included"]) for row in found]
    totals = {group: row["n"] for group, row in zip(groups, found, strict=True)}
    return totals, {
        name: {group: row[name] for group, row in zip(groups, found, strict=True)}
        for name in variables
    }


def _biomarkers(connection: duckdb.DuckDBPyConnection, study_id: str) -> dict[str, Counts]:
    """Patients by year and inclusion of whom each biomarker is known; no test is unknown."""
    biomarkers = rows(
        connection,
        "select 'HER2' as biomarker union select biomarker from reference.biomarker_panels "
        "order by biomarker",
    )
    found = rows(
        connection,
        f"""
        select
            biomarkers.biomarker,
            {_YEAR} as index_year,
            {_IS_INCLUDED} as is_included,
            count(distinct people.patient_key) filter (biomarkers.status <> '{UNKNOWN}') as n
        from cohort.patient_characteristics as people
        {_WITH_COHORT}
        inner join cohort.biomarkers as biomarkers
            on people.study_id = biomarkers.study_id and people.patient_key = biomarkers.patient_key
        where people.study_id = ?
        group by all
        order by biomarkers.biomarker
        """,
        study_id,
    )
    known: dict[str, Counts] = {row["biomarker"]: {} for row in biomarkers}
    for row in found:
        known.setdefault(row["biomarker"], {})[row["index_year"], row["is_included"]] = row["n"]
    return known


_YEAR = f"coalesce(cast(cohort.index_year as varchar), '{YEAR_UNKNOWN}')"
_IS_INCLUDED = "coalesce(cohort.included, false)"
_WITH_COHORT = """
        left join cohort.cohort as cohort
            on people.study_id = cohort.study_id and people.patient_key = cohort.patient_key
"""


def _margins(counts: Counts, years: Iterable[str]) -> Margins:
    """Sum counts by year; then over all, and over those included."""
    return {
        **{year: counts.get((year, True), 0) + counts.get((year, False), 0) for year in years},
        ALL: sum(counts.values()),
        INCLUDED: sum(n for (_, is_included), n in counts.items() if is_included),
    }


def _hidden_patients(patients: Margins, years: Iterable[str]) -> set[str]:
    """Which counts of patients not to print; every table of this page hides the same."""
    return hidden(patients, [Sum(ALL, tuple(years))])


def _variable(patients: Margins, known: Margins, years: Iterable[str]) -> tuple[Cell, ...]:
    """Cells of one variable: hidden where few have it or few lack it, and where sums would tell."""
    counts = {(heading, "patients"): n for heading, n in patients.items()}
    for heading, n in patients.items():
        counts |= {(heading, "known"): known[heading], (heading, "missing"): n - known[heading]}
    concealed = hidden(
        counts,
        [
            *(Sum((name, "patients"), _keys(name, ("known", "missing"))) for name in patients),
            *(
                Sum((ALL, part), tuple((year, part) for year in years))
                for part in ("known", "missing")
            ),
        ],
        also=[(heading, "patients") for heading in _hidden_patients(patients, years)],
        kept=[(heading, "patients") for heading in patients],
        zeros=True,
    )
    return tuple(
        _cell(
            known[heading],
            n - known[heading],
            is_hidden=not concealed.isdisjoint(_keys(heading, ("known", "missing"))),
        )
        for heading, n in patients.items()
    )


def _cell(known: int, missing: int, *, is_hidden: bool) -> Cell:
    if not known + missing:
        return Cell("–", None)
    if is_hidden:
        return Cell(HIDDEN, None)
    whole = known + missing
    return Cell(_percent(known, whole), min(SHADES, math.ceil(10 * missing / whole)))


def _percent(part: int, whole: int) -> str:
    """Whole percent, but 100 only for all and 0 only for none."""
    rounded = round(100 * part / whole)
    if rounded == 100 and part < whole:
        return ">99"
    if rounded == 0 and part > 0:
        return "<1"
    return str(rounded)


def _keys(year: Any, parts: Iterable[str]) -> tuple[tuple[Any, str], ...]:
    return tuple((year, part) for part in parts)
