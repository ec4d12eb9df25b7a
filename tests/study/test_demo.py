"""The first study, from raw events to the numbers it prints."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from analysis.line_classes import lines_with_class
from analysis.study import load_study
from pipeline.pseudonyms import pseudonym
from tests.conftest import PROJECT, Run, rwe
from tests.promises.contents import holding

CALIBRATED = PROJECT / "synthetic" / "calibrated_cohort.csv"


def published_verdicts(run: Run) -> dict[str, dict[str, str]]:
    with run.open() as connection:
        rows = connection.execute(
            "select result_id, status, verdict, explanation from results.published_comparison"
        ).fetchall()
    return {r[0]: {"status": r[1], "verdict": r[2], "explanation": r[3]} for r in rows}


def test_attrition_excludes_what_was_planted(demo: Run) -> None:
    with demo.open() as connection:
        steps = connection.execute(
            "select criterion_id, n_in, n_not_met + n_unknown, n_out "
            "from cohort.cohort_attrition order by step"
        ).fetchall()
        (patients,) = connection.execute("select count(*) from cohort.cohort").fetchone()
    assert steps[0][1] == patients == demo.planted["patients"]
    assert {step[0]: step[2] for step in steps} == demo.planted["excluded"]
    assert steps[-1][3] == 63


def test_who_just_misses_fails_one_criterion_only(demo: Run) -> None:
    key = (demo.extract.parent / "pseudonym.key").read_bytes()
    with demo.private() as connection:
        ((site,),) = connection.execute(
            "select site_code from staging.stg_common__delivery"
        ).fetchall()
    with demo.open() as connection:
        rows = connection.execute(
            "select patient_key, list(criterion_id) from cohort.cohort_criteria "
            "where met is distinct from true group by all"
        ).fetchall()
        included = connection.execute(
            "select patient_key from cohort.cohort where included"
        ).fetchall()
    failed = dict(rows)
    for criterion, numbers in demo.planted["near_misses"].items():
        assert numbers
        for number in numbers:
            assert failed[pseudonym(site, number, key)] == [criterion]
    planted = {
        pseudonym(site, number, key) for number in demo.planted["included_patients"].values()
    }
    assert planted == {patient for (patient,) in included}


def test_2460_metastatic_patients_are_screened(demo: Run) -> None:
    with demo.open() as connection:
        (screened,) = connection.execute(
            "select n_out from cohort.cohort_attrition where criterion_id = 'metastatic_disease'"
        ).fetchone()
    assert screened == 2460


@pytest.mark.parametrize(
    ("endpoint", "time_column", "event_column"),
    [("OS", "os_days", "death"), ("PFS", "pfs_days", "pfs_event")],
)
def test_models_find_the_planted_times_again(
    demo: Run, endpoint: str, time_column: str, event_column: str
) -> None:
    with CALIBRATED.open() as stream:
        planted = sorted(
            (int(row[time_column]), row[event_column] == "1") for row in csv.DictReader(stream)
        )
    with demo.open() as connection:
        found = connection.execute(
            "select intervals.time_days, intervals.event "
            "from survival.survival_intervals as intervals "
            "join cohort.cohort as cohort using (study_id, patient_key) "
            "join reference.studies as studies using (study_id) "
            "where cohort.included and intervals.endpoint = ? and intervals.line_number = 1 "
            "and intervals.line_rule_set_id = studies.line_rule_set_id "
            "and intervals.endpoint_rule_set_id = studies.endpoint_rule_set_id "
            "order by all",
            [endpoint],
        ).fetchall()
    assert found == planted


def test_at_least_300_self_consistent_numbers_are_reproduced(demo: Run) -> None:
    verdicts = published_verdicts(demo)
    assert len(verdicts) == 322
    consistent = [v for v in verdicts.values() if v["status"] == "ok"]
    assert len(consistent) == 309
    assert sum(v["verdict"] == "reproduced" for v in consistent) >= 300


def test_every_miss_and_every_doubtful_number_is_explained(demo: Run) -> None:
    for result_id, verdict in published_verdicts(demo).items():
        if verdict["verdict"] != "reproduced" or verdict["status"] != "ok":
            assert verdict["explanation"], result_id
        assert verdict["verdict"] != "not computed", result_id


def test_impossible_numbers_are_not_reproduced(demo: Run) -> None:
    impossible = [v for v in published_verdicts(demo).values() if v["status"] == "impossible"]
    assert len(impossible) == 6
    assert {v["verdict"] for v in impossible} == {"cannot be"}


def test_a_clean_delivery_loses_nothing(demo: Run) -> None:
    with demo.open() as connection:
        (quarantined,) = connection.execute("select count(*) from quality.quarantine").fetchone()
        delivered = dict(
            connection.execute("select table_name, n_records from quality.source_files").fetchall()
        )
    assert quarantined == 0
    assert delivered == demo.planted["rows"]


def test_unmapped_drug_text_is_listed(demo: Run) -> None:
    with demo.private() as connection:
        listed = connection.execute("select drug_text from treatment.unmapped_drugs").fetchall()
    assert {text for (text,) in listed} == set(demo.planted["unmapped_drug_texts"])


def test_published_file_holds_no_date_and_no_patient_number(demo: Run) -> None:
    with demo.open() as connection:
        dated = connection.execute(
            "select table_schema, table_name, column_name from information_schema.columns "
            "where data_type in ('DATE', 'TIMESTAMP') and table_schema <> 'reference'"
        ).fetchall()
        schemas = connection.execute(
            "select distinct table_schema from information_schema.tables"
        ).fetchall()
    assert dated == []
    assert not {"raw", "staging", "intermediate"} & {schema for (schema,) in schemas}
    with (demo.extract / "patients.csv").open(encoding="utf-8") as stream:
        numbers = [row["patient_id"] for row in csv.DictReader(stream)]
    assert holding(demo.extract, numbers[:1]) != {}, "the search finds what is there"
    assert holding(demo.current.resolve(), numbers[:200]) == {}


def test_every_published_column_is_described(demo: Run) -> None:
    with demo.open() as connection:
        undescribed = connection.execute(
            "select schema_name, table_name, column_name from duckdb_columns() "
            "where comment is null and not internal order by all"
        ).fetchall()
    assert undescribed == []


def test_compare_prints_the_counts(demo: Run, tmp_path: Path) -> None:
    printed = rwe(
        "compare", "--json", "--published", demo.published, key_file=tmp_path / "key"
    ).stdout
    summary = json.loads(printed)["her2_mcrc"]
    assert summary["total"] == 322 == sum(summary["verdicts"].values())
    assert len(summary["differs"]) == 322 - summary["verdicts"]["reproduced"]
    explained = {row["result_id"] for row in [*summary["differs"], *summary["doubtful"]]}
    assert len(explained) == 322 - summary["by_status"]["ok"]["reproduced"]


def test_the_demo_shows_that_the_definition_of_a_line_matters(demo: Run) -> None:
    with demo.open() as connection:
        rows = connection.execute(
            "select rule_set_id, n_changed from treatment.line_rule_set_stability "
            "where measure = 'number_of_lines'"
        ).fetchall()
        medians = connection.execute(
            "select count(distinct value) from results.estimates "
            "where exhibit = 'figS8' and statistic = 'median_months' and variable = 'pfs' "
            "and level like 'lines: %'"
        ).fetchone()
    changed = dict(rows)
    assert changed["gap_60"] > changed["gap_120"] > changed["primary"] == 0
    assert changed["ts_inhibitor_interchange"] > 0
    assert medians[0] > 1


def test_the_report_groups_lines_as_the_mart_does(demo: Run) -> None:
    with demo.open() as connection:
        study = load_study(connection, "her2_mcrc")
        variable = study.variable("first_line_group")
        lines = lines_with_class(connection, study, variable, study.settings["line_rule_set_id"])
    first = lines[lines["line_number"] == int(variable.argument or 0)].set_index("patient_key")
    assert first["group"].to_dict() == study.levels[variable.name].astype(object).to_dict()


def test_responses_of_the_report_are_those_of_the_marts(demo: Run) -> None:
    """The report counts patients and visits in Python, the marts in SQL."""
    with demo.open() as connection:
        rates = connection.execute(
            "select endpoint_rule_set_id, n_lines, n_responses, n_confirmed_responses, "
            "objective_response_rate, confirmed_response_rate "
            "from survival.response_rates "
            "where line_rule_set_id = 'primary' and line_number = 1 "
            "and endpoint_rule_set_id in ('primary', 'recist_derived')"
        ).fetchall()
        printed = {
            (level, statistic): value
            for level, statistic, value in connection.execute(
                "select level, statistic, value from results.estimates "
                "where exhibit = 'tableS4' and variable = 'ORR'"
            ).fetchall()
        }
        durations = connection.execute(
            "select value, n_responders from results.estimates, ("
            "    select count(patient_key) as n_responders "
            "    from survival.best_overall_responses inner join cohort.cohort "
            "    using (study_id, patient_key) "
            "    where included and objective_response and line_number = 1 "
            "    and line_rule_set_id = 'primary' and endpoint_rule_set_id = 'primary'"
            ") where exhibit = 'figS4' and level = 'Primary' and statistic = 'n'"
        ).fetchall()
        visits = connection.execute(
            "select count(*), count_if(derived_response = recorded_response) "
            "from survival.recist_assessments inner join cohort.cohort "
            "using (study_id, patient_key) "
            "where included and not is_baseline "
            "and derived_response is not null and recorded_response is not null"
        ).fetchone()
        agreement = dict(
            connection.execute(
                "select statistic, value from results.estimates "
                "where exhibit = 'tableS5' and variable = 'visits' and level is null"
            ).fetchall()
        )
    assert len(rates) == 2
    for rule_set, n, *counts_and_shares in rates:
        for confirmed, count, share in (
            ("unconfirmed", counts_and_shares[0], counts_and_shares[2]),
            ("confirmed", counts_and_shares[1], counts_and_shares[3]),
        ):
            assert n >= count > 0
            assert printed[f"{rule_set}, {confirmed}", "n"] == count
            assert printed[f"{rule_set}, {confirmed}", "pct"] == pytest.approx(100 * share)
    assert durations and durations[0][0] == durations[0][1] > 0
    assert agreement["visits_n"] == visits[0] > 100
    assert agreement["agreement_pct"] == pytest.approx(100 * visits[1] / visits[0])


def test_patient_prints_the_reason_for_every_line(demo: Run, tmp_path: Path) -> None:
    with demo.open() as connection:
        lines = connection.execute(
            "select patient_key, regimen, start_reason, meaning "
            "from treatment.lines_of_therapy as lines "
            "join reference.line_start_reasons as reasons on lines.start_reason = reasons.reason "
            "where rule_set_id = 'primary' "
            "qualify max(line_number) over (partition by patient_key) >= 4 "
            "order by patient_key, line_number"
        ).fetchall()
    patient = lines[0][0]
    options = ("--published", demo.published)
    printed = rwe("patient", patient[:12], *options, key_file=tmp_path / "key").stdout
    for number, (_, regimen, reason, meaning) in enumerate(
        (line for line in lines if line[0] == patient), start=1
    ):
        assert f"Line {number}  {regimen}" in printed
        assert f"{meaning} ({reason})" in " ".join(printed.split())
    assert not re.search(r"\d{4}-\d{2}", printed)
    unknown = rwe("patient", "nobody", *options, key_file=tmp_path / "key", check=False)
    assert unknown.returncode != 0
    assert "No patient key begins with nobody" in unknown.stdout + unknown.stderr


def test_another_delivery_gives_another_study(another_delivery: Run) -> None:
    planted = another_delivery.planted
    with another_delivery.open() as connection:
        steps = connection.execute(
            "select criterion_id, n_not_met + n_unknown, n_out "
            "from cohort.cohort_attrition order by step"
        ).fetchall()
        medians = connection.execute(
            "select variable, value, n from results.estimates "
            "where exhibit = 'fig1' and statistic = 'median_months' and convention = 'as published'"
        ).fetchall()
    assert {step[0]: step[1] for step in steps} == planted["excluded"]
    included = steps[-1][2]
    assert included == planted["included"] > 63
    values = {variable: value for variable, value, _ in medians}
    assert {n for *_, n in medians} == {included}
    assert 3 < values["pfs"] < 15
    assert values["os"] is None or values["os"] > values["pfs"]


def test_a_second_programme_computes_the_same(demo: Run) -> None:
    with demo.open() as connection:
        found = connection.execute(
            "select exhibit, what, n_compared, agrees from results.second_programming"
        ).fetchall()
    assert {exhibit for exhibit, *_ in found} == {
        "cohort",
        "figS5",
        "fig1",
        "fig2",
        "fig3",
        "fig4",
        "table6",
        "table7",
    }
    assert all(n_compared > 0 and agrees for *_, n_compared, agrees in found)
