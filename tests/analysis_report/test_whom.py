"""Every number says whom it is about: as many patients as it claims, and those a count counts."""

from __future__ import annotations

import duckdb

#: Counted in SQL, in tables that themselves say which patients or rows those are.
COUNTED_IN_SQL = ("flow", "provenance")


def test_every_number_from_patients_says_which(warehouse: duckdb.DuckDBPyConnection) -> None:
    silent = warehouse.execute(
        """
        select estimate_id
        from results.estimates
        left join results.estimate_patients using (estimate_id, study_id)
        where
            patient_set is null
            and not list_contains(?, exhibit)
            and json_extract_string(parameters, 'after_criterion') is null
        """,
        [list(COUNTED_IN_SQL)],
    ).fetchall()
    assert silent == []


def test_they_are_as_many_as_the_number_claims(warehouse: duckdb.DuckDBPyConnection) -> None:
    counted = warehouse.execute(
        """
        select estimate_id, n, count(patient_key) as patients
        from results.estimates
        inner join results.estimate_patients using (estimate_id, study_id)
        left join results.patient_sets using (patient_set, study_id)
        group by all
        """
    ).fetchall()
    assert len(counted) > 1000
    assert [row for row in counted if row[1] != row[2]] == []


def test_a_count_of_patients_is_that_of_those_it_names(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    counted = warehouse.execute(
        """
        select estimate_id, value, count(patient_key) as patients
        from results.estimates
        inner join results.estimate_patients using (estimate_id, study_id)
        left join results.patient_sets as counted
            on counted_set = counted.patient_set and estimates.study_id = counted.study_id
        where
            counted_set is not null
            and (statistic = 'n' or statistic like '%\\_n' escape '\\')
            and method <> 'count of events not judged unrelated'
        group by all
        """
    ).fetchall()
    assert len(counted) > 200
    assert [row for row in counted if row[1] != row[2]] == []


def test_those_counted_are_among_those_behind_the_number(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    stray = warehouse.execute(
        """
        select estimate_id, counted.patient_key
        from results.estimate_patients as numbers
        inner join results.patient_sets as counted
            on numbers.counted_set = counted.patient_set and numbers.study_id = counted.study_id
        left join results.patient_sets as everyone
            on
                numbers.patient_set = everyone.patient_set
                and numbers.study_id = everyone.study_id
                and counted.patient_key = everyone.patient_key
        where everyone.patient_key is null
        """
    ).fetchall()
    assert stray == []


def test_table_1_counts_the_patients_who_have_the_level(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    """Recomputed from the mart: who is counted, not only how many."""
    differing = warehouse.execute(
        """
        with named as (
            select estimates.variable, estimates.level, sets.patient_key
            from results.estimates
            inner join results.estimate_patients using (estimate_id, study_id)
            inner join results.patient_sets as sets on counted_set = sets.patient_set
            semi join reference.study_variable_levels using (study_id, variable, level)
            where exhibit = 'table1' and statistic = 'n'
        ),
        had as (
            select variable, level, patient_key
            from cohort.patient_variables
            inner join cohort.cohort using (study_id, patient_key)
            semi join reference.study_variable_levels using (study_id, variable, level)
            where included and variable in (select variable from named)
        )
        (from named except from had) union all (from had except from named)
        """
    ).fetchall()
    assert differing == []
