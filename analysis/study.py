"""A study as its analyses see it: definition rows from the seeds, patients from the marts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pandas as pd

from expectations.tables import exist, rows

#: An analysis is of the first line of therapy where it names no other.
FIRST_LINE = 1

#: Days in a month: 365.25 / 12, the divisor of survival.survival_intervals.
DAYS_PER_MONTH = 30.4375


#: survival.survival_intervals of the included patients, without the endpoints that rest on
#: progression as somebody judges it whom no patient of the study was ever assessed by: death alone
#: would end them.
KNOWN_INTERVALS = """
    (
        with resting as (
            select distinct
                endpoint_rule_set_id,
                endpoint,
                case
                    when source in
                        ('derived_progression', 'confirmed_progression', 'unrefuted_progression')
                        then 'derived'
                    else 'investigator'
                end as response_source
            from reference.endpoint_sources
            where role = 'event' and source like '%progression'
        ),

        included as (
            select study_id, patient_key
            from cohort.cohort
            where included
        ),

        never_judged as (
            select study_id, response_source
            from survival.best_overall_responses
            semi join included using (study_id, patient_key)
            group by study_id, response_source
            having max(n_assessments) = 0
        )

        select intervals.*
        from survival.survival_intervals as intervals
        semi join included using (study_id, patient_key)
        anti join (
            from resting inner join never_judged using (response_source)
        ) as unknown using (study_id, endpoint_rule_set_id, endpoint)
    )
"""


#: How lines of therapy are counted in words; the tenth and later ones are hardly ever asked for.
ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
)  # fmt: skip


def ordinal(line_number: int) -> str:
    """A line's place in words: first, second."""
    if line_number <= len(ORDINALS):
        return ORDINALS[line_number - 1]
    return f"{line_number}th"


def of_line(line_number: int) -> dict[str, object]:
    """The parameter that marks numbers of a later line; those of the first have none."""
    return {} if line_number == FIRST_LINE else {"line_number": line_number}


class StudyError(LookupError):
    """The warehouse does not hold what the study's definition asks for."""


@dataclass(frozen=True)
class Level:
    """One level of a variable."""

    name: str
    order: int
    source_value: str | None
    named_drug: str | None = None

    @property
    def short(self) -> str:
        """Name in a contrast: the value it comes from, else its label."""
        return self.source_value or self.name


@dataclass(frozen=True)
class Variable:
    """A covariate, group or count of the study (seed study_variables)."""

    name: str
    label: str
    rule: str
    argument: str | None
    in_table1: bool
    in_univariable: bool
    cox_reference: str | None
    levels: tuple[Level, ...]

    @property
    def level_names(self) -> list[str]:
        """Levels in the order in which tables print them."""
        return [level.name for level in self.levels]

    def level(self, name: str) -> Level:
        """Return the level of that name."""
        return next(level for level in self.levels if level.name == name)

    def spelled(self, contrast: str) -> str:
        """A contrast of short names in the words of the levels."""
        words = {level.short: level.name for level in self.levels}
        return " vs ".join(words.get(short, short) for short in contrast.split(" vs "))


@dataclass(frozen=True)
class Population:
    """Whom an analysis is about (seed study_populations)."""

    name: str
    label: str
    after_criterion: str | None
    variable: str | None
    level: str | None


@dataclass(frozen=True)
class Analysis:
    """One analysis of the study (seed study_analyses).

    `line_number` is the line of therapy that it is of: its time starts with that line, and of a
    later line than the first it is about those who had it.
    """

    display_order: int
    exhibit: str
    kind: str
    population: str
    endpoint: str | None
    line_number: int
    group_variable: str | None
    detail_variable: str | None
    detail_level: str | None
    contrast: str | None
    contrast_level: str | None
    pairwise: bool
    landmark_months: tuple[float, ...]
    covariates: tuple[str, ...]
    title: str


@dataclass(frozen=True)
class Caution:
    """What the reader of an exhibit should bear in mind (seed study_cautions)."""

    exhibit: str
    variable: str | None
    text: str


@dataclass(frozen=True, eq=False)
class Study:
    """Definition and patients of one study.

    Attributes
    ----------
    settings
        The study's row of the seed studies.
    levels : DataFrame, index patient_key
        One column a variable: the level as the study prints it, missing where unknown. Ordered
        categories for variables with a fixed list of levels.
    values : DataFrame, index patient_key
        The same before grouping, as text.
    intervals : DataFrame
        line_number, endpoint, patient_key, event, source, censor_reason, time_days, time_months,
        entry_days under the study's rule sets, of the included patients and the lines of therapy
        that analyses are of.
    had_line : dict
        Included patients who had a line of therapy under the study's own rule set, by its number.
    """

    study_id: str
    title: str
    settings: dict[str, Any]
    variables: dict[str, Variable]
    populations: dict[str, Population]
    analyses: tuple[Analysis, ...]
    cautions: tuple[Caution, ...]
    levels: pd.DataFrame
    values: pd.DataFrame
    intervals: pd.DataFrame
    had_line: dict[int, pd.Index]

    def timing(self, endpoint: str, line_number: int) -> dict[str, object]:
        """What a time means: the parameters of every survival estimate."""
        return {
            "endpoint": endpoint,
            "time_origin": f"start of line {line_number}",
            **of_line(line_number),
            "days_per_month": DAYS_PER_MONTH,
            "line_rule_set_id": self.settings["line_rule_set_id"],
            "endpoint_rule_set_id": self.settings["endpoint_rule_set_id"],
        }

    def variable(self, name: str | None) -> Variable:
        """Return a variable of the study by name."""
        if name is None or name not in self.variables:
            raise StudyError(f"Study {self.study_id} has no variable {name!r} in study_variables.")
        return self.variables[name]

    def population(self, name: str) -> Population:
        """Return a population of the study by name."""
        if name not in self.populations:
            raise StudyError(
                f"Study {self.study_id} has no population {name!r} in study_populations."
            )
        return self.populations[name]

    def spelled(self, contrast: str) -> str:
        """A comparison of two populations in the words of their labels."""
        return " vs ".join(
            self.populations[side].label if side in self.populations else side
            for side in contrast.split(" vs ")
        )

    def members(self, population: str, line_number: int = FIRST_LINE) -> pd.DataFrame:
        """Levels of the included patients who belong to a population.

        Of a later line those who had it; of the first also those who were never treated.
        """
        chosen = self.population(population)
        found = self.levels
        if chosen.variable is not None:
            found = found[found[chosen.variable] == chosen.level]
        if line_number == FIRST_LINE:
            return found
        return found[found.index.isin(self.had_line.get(line_number, pd.Index([])))]

    def population_of(self, variable: str, level: str, default: str) -> str:
        """Name of the population that a level defines, or the default."""
        for population in self.populations.values():
            if population.variable == variable and population.level == level:
                return population.name
        return default

    def intervals_of(self, endpoint: str, line_number: int) -> pd.DataFrame:
        """The intervals of an endpoint from the start of a line, by patient_key."""
        of = self.intervals
        rows = of[(of["endpoint"] == endpoint) & (of["line_number"] == line_number)]
        return rows.set_index("patient_key")

    def survival(self, endpoint: str | None, population: str, line_number: int) -> pd.DataFrame:
        """Times of a population's members who have an interval, with their levels beside.

        Time runs from the start of the line.

        Returns
        -------
        DataFrame, index patient_key
            time (months), event (0 or 1), source (of the event or censoring), entry (months,
            missing if nothing decided), and one column a variable.
        """
        if endpoint is None:
            raise StudyError(f"A survival analysis of study {self.study_id} names no endpoint.")
        rows = self.intervals_of(endpoint, line_number)
        times = pd.DataFrame(
            {
                "time": rows["time_months"].astype(float),
                "event": rows["event"].astype(int),
                "source": rows["source"],
                "entry": rows["entry_days"].astype(float) / DAYS_PER_MONTH,
            },
            index=rows.index,
        )
        return times.join(self.members(population, line_number), how="inner").sort_index()


def load_study(connection: duckdb.DuckDBPyConnection, study_id: str) -> Study:
    """Read a study's definition and its included patients.

    Raises
    ------
    StudyError
        If the study is not defined, or has no analyses.
    """
    studies = rows(connection, "select * from reference.studies where study_id = ?", study_id)
    if not studies:
        raise StudyError(f"Study {study_id!r} is not in the seed studies.")
    settings = studies[0]
    variables = _variables(connection, study_id)
    analyses = _analyses(connection, study_id, variables)
    if not analyses:
        raise StudyError(f"Study {study_id!r} has no rows in the seed study_analyses.")
    included = [
        row["patient_key"]
        for row in rows(
            connection,
            "select patient_key from cohort.cohort where study_id = ? and included order by all",
            study_id,
        )
    ]
    long = frame(
        connection,
        """
        select patient_key, variable, value, level
        from cohort.patient_variables
        inner join cohort.cohort using (study_id, patient_key)
        where study_id = ? and included
        """,
        study_id,
    )
    index = pd.Index(included, name="patient_key", dtype=object)
    levels, values = _wide(long, "level", index), _wide(long, "value", index)
    for name, variable in variables.items():
        column = levels[name] if name in levels else pd.Series(None, index=index, dtype=object)
        if variable.levels:
            categories = pd.CategoricalDtype(variable.level_names, ordered=True)
            levels[name] = column.astype(object).astype(categories)
        else:
            levels[name] = column.astype(object)
        if name not in values:
            values[name] = pd.Series(None, index=index, dtype=object)
    return Study(
        study_id=study_id,
        title=str(settings["title"]),
        settings=settings,
        variables=variables,
        populations=_populations(connection, study_id),
        analyses=analyses,
        cautions=tuple(
            Caution(row["exhibit"], row["variable"] or None, row["caution"])
            for row in rows(
                connection, "select * from reference.study_cautions where study_id = ?", study_id
            )
        ),
        levels=levels,
        values=values,
        intervals=frame(
            connection,
            f"""
            select
                line_number, endpoint, patient_key, event, source, censor_reason,
                time_days, time_months, entry_days
            from {KNOWN_INTERVALS}
            where
                study_id = ?
                and list_contains(?, line_number)
                and line_rule_set_id = ?
                and endpoint_rule_set_id = ?
            order by line_number, endpoint, patient_key
            """,
            study_id,
            sorted({FIRST_LINE, *(analysis.line_number for analysis in analyses)}),
            settings["line_rule_set_id"],
            settings["endpoint_rule_set_id"],
        ),
        had_line=_had_line(connection, study_id, settings["line_rule_set_id"]),
    )


def frame(connection: duckdb.DuckDBPyConnection, query: str, *parameters: object) -> pd.DataFrame:
    """Rows of a query as a data frame."""
    result: pd.DataFrame = connection.execute(query, list(parameters)).fetchdf()
    return result


def synthetic(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the delivery says that its patients are invented."""
    return delivery(connection).get("synthetic") == "yes"


def delivery(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Who sent what, and whether the patients are invented; unknown if nobody said."""
    if not exist(connection, "staging.stg_common__delivery"):
        return {}
    found = rows(connection, "select * from staging.stg_common__delivery")
    return found[0] if found else {}


def is_delivered(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether rows of a table were delivered; without any what rests on it is unknown."""
    query = "select 1 from quality.source_files where table_name = ? and n_records > 0"
    return bool(rows(connection, query, table))


def _had_line(
    connection: duckdb.DuckDBPyConnection, study_id: str, rule_set: str
) -> dict[int, pd.Index]:
    lines = frame(
        connection,
        """
        select line_number, patient_key
        from treatment.lines_of_therapy
        inner join cohort.cohort using (study_id, patient_key)
        where study_id = ? and rule_set_id = ? and included
        order by all
        """,
        study_id,
        rule_set,
    )
    return {
        int(str(number)): pd.Index(own, dtype=object)
        for number, own in lines.groupby("line_number")["patient_key"]
    }


def _wide(long: pd.DataFrame, column: str, index: pd.Index) -> pd.DataFrame:
    wide = long.pivot(index="patient_key", columns="variable", values=column)
    wide.columns.name = None
    return wide.reindex(index).astype(object).where(lambda cells: cells.notna(), None)


def _variables(connection: duckdb.DuckDBPyConnection, study_id: str) -> dict[str, Variable]:
    levels: dict[str, list[Level]] = {}
    for row in rows(
        connection,
        "select * from reference.study_variable_levels where study_id = ? "
        "order by variable, level_order",
        study_id,
    ):
        levels.setdefault(row["variable"], []).append(
            Level(
                row["level"],
                int(row["level_order"]),
                row["source_value"] or None,
                row["named_drug"] or None,
            )
        )
    return {
        row["variable"]: Variable(
            name=row["variable"],
            label=row["label"],
            rule=row["rule"],
            argument=row["argument"],
            in_table1=row["in_table1"] == "yes",
            in_univariable=row["in_univariable"] == "yes",
            cox_reference=row["cox_reference"] or None,
            levels=tuple(levels.get(row["variable"], [])),
        )
        for row in rows(
            connection,
            "select * from reference.study_variables where study_id = ? order by display_order",
            study_id,
        )
    }


def _populations(connection: duckdb.DuckDBPyConnection, study_id: str) -> dict[str, Population]:
    return {
        row["population"]: Population(
            name=row["population"],
            label=row["label"],
            after_criterion=row["after_criterion"] or None,
            variable=row["variable"] or None,
            level=row["level"] or None,
        )
        for row in rows(
            connection, "select * from reference.study_populations where study_id = ?", study_id
        )
    }


def _analyses(
    connection: duckdb.DuckDBPyConnection, study_id: str, variables: Mapping[str, Variable]
) -> tuple[Analysis, ...]:
    return tuple(
        Analysis(
            display_order=int(row["display_order"]),
            exhibit=row["exhibit"],
            kind=row["kind"],
            population=row["population"],
            endpoint=row["endpoint"] or None,
            line_number=FIRST_LINE if row["line_number"] is None else int(row["line_number"]),
            group_variable=row["group_variable"] or None,
            detail_variable=row["detail_variable"] or None,
            detail_level=row["detail_level"] or None,
            contrast=row["contrast"] or None,
            contrast_level=row["contrast_level"] or None,
            pairwise=row["pairwise"] == "yes",
            landmark_months=_months(row),
            covariates=_covariates(row, variables),
            title=row["title"],
        )
        for row in rows(
            connection,
            "select * from reference.study_analyses where study_id = ? order by display_order",
            study_id,
        )
    )


def _months(row: dict[str, Any]) -> tuple[float, ...]:
    parts: Sequence[str] = str(row["landmark_months"]).split("+") if row["landmark_months"] else []
    try:
        return tuple(float(part) for part in parts)
    except ValueError:
        raise StudyError(
            f"{_row(row)}: landmark_months {row['landmark_months']!r} are no numbers joined by +, "
            "as in 3+6."
        ) from None


def _covariates(row: dict[str, Any], variables: Mapping[str, Variable]) -> tuple[str, ...]:
    names = tuple(str(row["covariates"]).split("+")) if row["covariates"] else ()
    for name in names:
        if name not in variables:
            raise StudyError(f"{_row(row)}: covariate {name!r} is no variable of study_variables.")
    return names


def _row(row: dict[str, Any]) -> str:
    """A row of study_analyses in words."""
    return f"Study {row['study_id']}, study_analyses, display_order {row['display_order']}"
