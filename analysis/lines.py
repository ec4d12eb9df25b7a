"""Lines of therapy of the included patients: their course, what follows what, why lines begin."""

from __future__ import annotations

import re

import duckdb
import pandas as pd

from analysis.descriptive import percent
from analysis.ledger import NO_PATIENTS, Ledger
from analysis.line_classes import lines_with_class
from analysis.study import DAYS_PER_MONTH, FIRST_LINE, Analysis, Study, frame
from expectations.tables import rows

#: Parts of a lane of the swimmer plot.
LINE, OBSERVED, PROGRESSION, DEATH, ONGOING = (
    "line",
    "observed",
    "progression",
    "death",
    "ongoing",
)

#: What is drawn of a part of a lane.
DRAWN = ["panel", "part", "level", "start_value", "end_value"]

#: A line of the group whose place in the study no level names.
NO_GROUP = "not grouped"
NO_FURTHER_LINE = "no further line"
#: The alluvial figure ends with this line: few patients have more.
LAST_COLUMN = 3

#: Lines from this one on are counted together.
LATER_FROM = 4

CONFIDENCES = ("high", "moderate", "low")

DEATH_SOURCE = "death"


def own_lines(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis
) -> pd.DataFrame:
    """Lines of an analysis' population under the study's own rule set, with their groups."""
    variable = study.variable(analysis.group_variable)
    lines = lines_with_class(connection, study, variable, study.settings["line_rule_set_id"])
    members = study.members(analysis.population).index
    found: pd.DataFrame = lines[lines["patient_key"].isin(members)]
    return found.assign(group=found["group"].fillna(NO_GROUP))


def swimmer(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter the lanes of the swimmer plot, one a patient, and how many of each mark there are.

    A lane runs from the start of line 1 to death or last contact. Lanes are in the order of the
    first line's group and, within it, from the longest to the shortest; those as long are in the
    order of what is drawn, so that no order of patients shows.
    """
    lines = own_lines(connection, study, analysis)
    variable = study.variable(analysis.group_variable)
    followed = study.survival("OS", analysis.population, FIRST_LINE)[["time", "event"]]
    first = lines[lines["line_number"] == FIRST_LINE].set_index("patient_key")
    patients = first.join(followed, how="inner")
    order = {name: place for place, name in enumerate(variable.level_names)}
    patients = patients.assign(place=patients["group"].map(order).fillna(len(order)))
    bars = _bars(lines, patients, _progressions(connection, study))
    drawn = (bars[DRAWN].astype(str) + " ").sum(axis=1).groupby(bars["patient_key"]).sum()
    lanes = patients.assign(drawn=drawn).sort_values(
        ["place", "time", "drawn"], ascending=[True, False, True]
    )
    position = pd.Series(range(1, len(lanes) + 1), index=lanes.index)
    bars = bars.assign(position=bars["patient_key"].map(position))
    bars = bars.sort_values("position", kind="stable")[["position", *DRAWN]]
    ledger.add_bars(analysis.exhibit, analysis.population, bars, "months")
    page = ledger.page(
        analysis.exhibit,
        analysis.population,
        line_rule_set_id=study.settings["line_rule_set_id"],
    )
    for group in [*variable.level_names, NO_GROUP]:
        inside = patients["group"] == group
        if n := int(inside.sum()):
            page.about(patients).add(
                "first line", group, "n", n, "count of patients with a line", counted=inside
            )
    # Without any time to progression none is known, which is not that nobody progressed.
    is_known = not study.survival("PFS", analysis.population, FIRST_LINE).empty
    for part in (LINE, *([PROGRESSION] if is_known else []), DEATH, ONGOING):
        count = int((bars["part"] == part).sum()) if len(bars) else 0
        page.about(patients).add(part, None, "n", count, f"count: {part}")


def _bars(lines: pd.DataFrame, patients: pd.DataFrame, progressions: pd.DataFrame) -> pd.DataFrame:
    """Parts of every lane: patient_key, panel, part, level, start_value, end_value."""
    columns = ["patient_key", "group", "time", "event", "start_day"]
    lanes = patients.reset_index()[columns].rename(
        columns={"group": "panel", "start_day": "origin_day"}
    )
    on = lines.merge(lanes, on="patient_key").sort_values(["patient_key", "line_number"])
    start = (on["start_day"] - on["origin_day"]) / DAYS_PER_MONTH
    treated = on.assign(
        part=LINE,
        level=on["group"],
        start_value=start,
        # Coverage may outlast the patient.
        end_value=((on["end_day"] - on["origin_day"]) / DAYS_PER_MONTH).clip(upper=on["time"]),
    )
    observed = lanes.assign(part=OBSERVED, level=None, start_value=0.0, end_value=lanes["time"])
    died = lanes[lanes["event"] == 1]
    deaths = died.assign(part=DEATH, level=None, start_value=died["time"])
    last = on.groupby("patient_key").tail(1)
    going = last[(last["end_reason"] == "ONGOING") & (last["event"] == 0)]
    ongoing = going.assign(part=ONGOING, level=None, start_value=going["time"])
    seen = on.merge(progressions, on=["patient_key", "line_number"])
    progressed = seen.assign(
        part=PROGRESSION,
        level=None,
        start_value=(seen["start_day"] - seen["origin_day"] + seen["time_days"]) / DAYS_PER_MONTH,
    )
    columns = ["patient_key", *DRAWN]
    parts = [treated, observed, progressed, deaths, ongoing]
    return pd.concat(
        [part.reindex(columns=columns) for part in parts if len(part)]
        or [pd.DataFrame(columns=columns)]
    )


def _progressions(connection: duckdb.DuckDBPyConnection, study: Study) -> pd.DataFrame:
    """Progressions by line: patient_key, line_number, time_days from the start of the line."""
    return frame(
        connection,
        """
        select patient_key, line_number, time_days
        from survival.survival_intervals
        where
            study_id = ?
            and line_rule_set_id = ?
            and endpoint_rule_set_id = ?
            and endpoint = 'PFS'
            and event
            and source <> ?
        order by patient_key, line_number
        """,
        study.study_id,
        study.settings["line_rule_set_id"],
        study.settings["endpoint_rule_set_id"],
        DEATH_SOURCE,
    )


def line_transitions(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter how many patients pass from each group of a line to each group of the next one."""
    lines = own_lines(connection, study, analysis)
    groups = [*shown_groups(study, analysis, lines), NO_FURTHER_LINE]
    wide = lines.pivot(index="patient_key", columns="line_number", values="group")
    wide = wide.reindex(columns=range(FIRST_LINE, LAST_COLUMN + 1)).astype(object)
    wide = wide.where(wide.notna(), NO_FURTHER_LINE)
    page = ledger.page(
        analysis.exhibit,
        analysis.population,
        line_rule_set_id=study.settings["line_rule_set_id"],
    ).about(wide)
    for number in range(FIRST_LINE, LAST_COLUMN + 1):
        before = wide[number - 1] if number > FIRST_LINE else None
        # Who had no further line before is not counted again.
        here = wide if before is None else wide[before != NO_FURTHER_LINE]
        for group in groups:
            inside = here[number] == group
            if n := int(inside.sum()):
                page.about(here).add(
                    f"line {number}",
                    group,
                    "n",
                    n,
                    "count of patients in a line",
                    counted=inside,
                )
        for source in groups if before is not None else ():
            for group in groups:
                inside = (here[number - 1] == source) & (here[number] == group)
                if n := int(inside.sum()):
                    page.about(here, source=source, target=group).add(
                        f"line {number - 1} to line {number}",
                        f"{source} to {group}",
                        "n",
                        n,
                        "count of patients by the groups of two successive lines",
                        counted=inside,
                    )


def shown_groups(study: Study, analysis: Analysis, lines: pd.DataFrame) -> list[str]:
    """Groups that occur, in the order of the variable's levels."""
    found = set(lines["group"])
    names = study.variable(analysis.group_variable).level_names
    return [name for name in [*names, NO_GROUP] if name in found]


def line_reasons(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter, by line, why lines began, how they ended, and how far they can be trusted."""
    lines = own_lines(connection, study, analysis)
    meanings = _start_reasons(connection, study)
    page = ledger.page(
        analysis.exhibit,
        analysis.population,
        line_rule_set_id=study.settings["line_rule_set_id"],
    )
    columns = line_columns(lines)
    for label, numbers in columns:
        inside = lines[lines["line_number"].isin(numbers)]
        own = page.about(pd.Index(inside["patient_key"].unique()))
        own.add("lines", label, "n", len(inside), "count of lines")
        own.add("patients", label, "n", own.n, "count of patients with such a line")
        for reason, meaning in meanings.items():
            n = int((inside["start_reason"] == reason).sum())
            if (lines["start_reason"] == reason).any():
                own.about(own.n, meaning=meaning).add(
                    f"began: {reason}", label, "n", n, "count of lines"
                )
        for reason in sorted(set(lines["end_reason"])):
            n = int((inside["end_reason"] == reason).sum())
            own.add(f"ended: {reason}", label, "n", n, "count of lines")
        for grade in CONFIDENCES:
            n = int((inside["confidence"] == grade).sum())
            own.add(f"confidence: {grade}", label, "n", n, "count of lines")
            own.add(
                f"confidence: {grade}",
                label,
                "pct",
                percent(n, len(inside)),
                "share of lines",
                missing=NO_PATIENTS,
            )


def _start_reasons(connection: duckdb.DuckDBPyConnection, study: Study) -> dict[str, str]:
    """Reasons in the order in which they are stated, with the limits of the study's rule set."""
    limits = rows(
        connection,
        "select * from reference.line_rule_sets where rule_set_id = ?",
        study.settings["line_rule_set_id"],
    )
    found = {}
    for row in rows(connection, "select * from reference.line_start_reasons order by precedence"):
        meaning = str(row["meaning"])
        for name, limit in (limits[0] if limits else {}).items():
            meaning = re.sub(rf"\b{name}\b", f"{limit} days", meaning)
        found[str(row["reason"])] = meaning
    return found


def line_columns(lines: pd.DataFrame) -> list[tuple[str, list[int]]]:
    """Columns of a table by line: each early line, the later ones together, and all."""
    numbers = sorted(int(number) for number in set(lines["line_number"]))
    early = [(f"line {number}", [number]) for number in numbers if number < LATER_FROM]
    later = [number for number in numbers if number >= LATER_FROM]
    return [
        *early,
        *([(f"line {LATER_FROM} and later", later)] if later else []),
        ("all lines", numbers),
    ]
