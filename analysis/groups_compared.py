"""How alike two groups are: Table 1 by group with standardised differences, and what is missing."""

from __future__ import annotations

from itertools import combinations

import duckdb

from analysis.descriptive import MISSING, percent, shown_levels
from analysis.estimators import standardised_difference
from analysis.ledger import NO_PATIENTS, NOT_ESTIMABLE, PREFERRED, Ledger
from analysis.study import Analysis, Study, of_line

ALL_PATIENTS = "all patients"


def characteristics_by_group(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter counts by level and group, and the standardised difference of each variable.

    Of more than two groups it is the largest between any two of them (McCaffrey 2013).
    """
    members = study.members(analysis.population, analysis.line_number)
    group = study.variable(analysis.group_variable)
    groups = shown_levels(study, group.name)
    for name in groups:
        page = ledger.page(
            analysis.exhibit, analysis.population, **of_line(analysis.line_number)
        ).about(members[members[group.name] == name])
        page.add(group.name, name, "n", page.n, "count of patients", convention=PREFERRED)
    for variable in study.variables.values():
        if not variable.in_table1 or variable == group:
            continue
        values = members[variable.name]
        levels = variable.level_names if values.notna().any() else []
        for level in [*levels, *([MISSING] if values.isna().any() else [])]:
            has_level = values.isna() if level == MISSING else values == level
            for name in groups:
                inside = members[group.name] == name
                n, counted = int(inside.sum()), has_level[inside]
                count = int(counted.sum())
                page = ledger.page(
                    analysis.exhibit,
                    analysis.population,
                    **of_line(analysis.line_number),
                    group=name,
                ).about(counted)
                label = f"{level}: {name}"
                page.add(
                    variable.name,
                    label,
                    "n",
                    count,
                    "count of patients",
                    convention=PREFERRED,
                    counted=counted,
                )
                page.add(
                    variable.name,
                    label,
                    "pct",
                    percent(count, n),
                    "share of all patients of the group",
                    convention=PREFERRED,
                    counted=counted,
                    missing=NO_PATIENTS,
                )
        known = members[members[group.name].notna() & values.notna()]
        present = [name for name in groups if (known[group.name] == name).any()]
        between = [
            standardised_difference(pair[variable.name].astype(str), pair[group.name].astype(str))
            for two in combinations(present, 2)
            for pair in [known[known[group.name].isin(two)]]
        ]
        defined = [each for each in between if each is not None]
        is_whole = len(present) == len(groups) and len(defined) == len(between)
        difference = max(defined, default=None) if is_whole else None
        ledger.page(analysis.exhibit, analysis.population, **of_line(analysis.line_number)).about(
            known
        ).add(
            variable.name,
            None,
            "smd",
            difference,
            "standardised difference over all levels (Yang and Dalton 2012)"
            + (", largest of any two groups (McCaffrey 2013)" if len(groups) > 2 else ""),
            convention=PREFERRED,
            missing=NOT_ESTIMABLE,
        )


def missingness(
    connection: duckdb.DuckDBPyConnection, study: Study, analysis: Analysis, ledger: Ledger
) -> None:
    """Enter, by variable, how many patients it is not known of: all, and by group."""
    members = study.members(analysis.population, analysis.line_number)
    group = study.variable(analysis.group_variable)
    parts = {ALL_PATIENTS: members.index == members.index}
    for name in shown_levels(study, group.name):
        parts[name] = (members[group.name] == name).to_numpy()
    for label, inside in parts.items():
        page = ledger.page(
            analysis.exhibit, analysis.population, **of_line(analysis.line_number)
        ).about(members[inside])
        page.add("patients", label, "n", page.n, "count of patients", convention=PREFERRED)
        for variable in study.variables.values():
            if not (variable.in_table1 or variable.in_univariable or variable.cox_reference):
                continue
            unknown = members.loc[inside, variable.name].isna()
            count = int(unknown.sum())
            page.add(
                f"{MISSING}: {variable.name}",
                label,
                "n",
                count,
                "patients whose level is not known",
                convention=PREFERRED,
                counted=unknown,
            )
            page.add(
                f"{MISSING}: {variable.name}",
                label,
                "pct",
                percent(count, page.n or 0),
                "share of patients whose level is not known",
                convention=PREFERRED,
                counted=unknown,
                missing=NO_PATIENTS,
            )
