"""A study of one's own is rows in seeds/studies: the example of docs/studies.md, reported."""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pandas as pd
import pytest
from lifelines import CoxPHFitter, KaplanMeierFitter

from analysis import comparison, estimates, exhibits, exports, report, second_programming
from analysis.book import Book
from analysis.findings import key_findings
from analysis.line_classes import lines_with_class
from analysis.second_variables import variables
from analysis.study import StudyError, load_study
from pipeline import diff, trace, transform
from pipeline.errors import CommandError
from pipeline.paths import Layout
from synthetic import generate
from tests.patients import project

STUDY = "wild_type_mcrc"
ROWS = Path(__file__).with_name("second_study")
KEY = bytes(range(32))
Faults = Iterable[tuple[str, str, str]]
"""Seed, what is right in it, and what is written instead."""
CHARACTERISTICS = "study_variables_are_known_characteristics"
YES_OR_NO = "accepted_values_study_variables_in_table1__yes__no"


def add(seeds: Path) -> None:
    """Put the example's rows behind those of the first study."""
    for own in ROWS.glob("*.csv"):
        seed = seeds / "studies" / own.name
        head, *rows = own.read_text(encoding="utf-8").splitlines(keepends=True)
        assert seed.read_text(encoding="utf-8").startswith(head), own.name
        with seed.open("a", encoding="utf-8") as stream:
            stream.writelines(rows)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    folder = tmp_path_factory.mktemp("second_study")
    generate(folder / "delivery", patients=500)
    built = project.build(folder, add, KEY, ["--exclude-resource-type", "unit_test"])
    with duckdb.connect(str(built)) as connection:
        estimates.compute(connection, STUDY)
        yield connection


@pytest.fixture(scope="module")
def contents(warehouse: duckdb.DuckDBPyConnection) -> exhibits.Contents:
    return exhibits.contents(warehouse, STUDY)


def own_patients(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """The study's patients, by its criteria and from the marts that do not know of it."""
    found = connection.execute(
        """
        select distinct lines.patient_key
        from treatment.lines_of_therapy as lines
        semi join (from cohort.biomarkers where biomarker = 'RAS_BRAF' and status = 'wild_type')
            using (study_id, patient_key)
        semi join (from cohort.cohort_criteria where criterion_id = 'metastatic_disease' and met)
            using (study_id, patient_key)
        semi join (from cohort.cohort_criteria where criterion_id = 'consent' and met)
            using (study_id, patient_key)
        where study_id = 'her2_mcrc' and rule_set_id = 'primary' and line_number = 1
        """
    )
    return {patient for (patient,) in found.fetchall()}


def test_its_criteria_choose_its_patients(warehouse: duckdb.DuckDBPyConnection) -> None:
    found = warehouse.execute(
        "select patient_key from cohort.cohort where study_id = ? and included", [STUDY]
    )
    included = {patient for (patient,) in found.fetchall()}
    assert len(included) > 100
    assert included == own_patients(warehouse)


def test_a_second_programme_finds_the_same(warehouse: duckdb.DuckDBPyConnection) -> None:
    compared = list(second_programming.compute(warehouse, STUDY))
    assert len(compared) > 15
    assert [each for each in compared if not each.agrees] == []


def test_its_report_compares_with_no_other_study(
    warehouse: duckdb.DuckDBPyConnection, contents: exhibits.Contents, tmp_path: Path
) -> None:
    page = report.page(warehouse, contents, run={})
    assert "cetuximab or bevacizumab in the first line" in page
    assert "Published against computed" not in page
    assert "printed numbers" not in page
    assert "HER2" not in page
    written = exports.write(warehouse, contents, tmp_path)
    assert "published_comparison" not in {path.stem for path in written}
    with zipfile.ZipFile(tmp_path / STUDY / f"{STUDY}_tables.xlsx") as workbook:
        assert b"published_comparison" not in workbook.read("xl/workbook.xml")
    with (tmp_path / STUDY / "tables" / "table4.csv").open(encoding="utf-8-sig") as stream:
        terms = [row[0] for row in csv.reader(stream)][1:]
    assert terms == [
        "Age, years: ≥65 vs <65",
        "Sex: female vs male",
        "Side of the primary: right-sided vs left-sided",
        "First line: plus bevacizumab vs chemotherapy alone",
        "First line: plus cetuximab vs chemotherapy alone",
        "First line: other or several targeted drugs vs chemotherapy alone",
    ]


def test_more_than_two_groups_are_set_side_by_side(contents: exhibits.Contents) -> None:
    page = contents.book.page("table2", "all")
    groups = page.levels("first_line", "n", "preferred")
    assert groups[:3] == ["chemotherapy alone", "plus bevacizumab", "plus cetuximab"]
    assert page.value("sex", None, "smd") is not None
    assert page.get("first_line", None, "smd", "preferred") is None


def test_two_groups_without_a_named_contrast_are_tested(contents: exhibits.Contents) -> None:
    book: Book = contents.book
    alone = book.page("fig2", "all").value("os", "all groups", "logrank_p")
    among_all = book.page("table3", "all").value("os by side", None, "logrank_p")
    assert alone is not None
    assert alone == among_all


def test_without_survival_of_all_patients_the_findings_give_medians_by_group(
    warehouse: duckdb.DuckDBPyConnection, contents: exhibits.Contents
) -> None:
    found = key_findings(contents.study, contents.book, comparison.summary(warehouse, STUDY))
    by_side = [each.text for each in found if "(Figure 2)" in each.lead]
    page = contents.book.page("fig2", "all")
    (text,) = by_side
    for side in ("left-sided", "right-sided"):
        assert f"{side} {page.display('os', side, 'median_months')} months (95% CI " in text
        assert f"{page.display('os', side, 'events_n')} events in " in text
    assert "log-rank P" in text


def the_cookbook_s_second_lines(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Times from the start of line 2, by the query that the cookbook prints."""
    text = (project.SEEDS.parent / "docs" / "cookbook.md").read_text(encoding="utf-8")
    chapter = text.partition("## How long from the start of a later line?")[2]
    query = chapter.partition("```sql\n")[2].partition("```")[0]
    assert "survival_intervals.line_number = 2" in query
    return connection.execute(query.replace("'her2_mcrc'", f"'{STUDY}'")).fetchdf()


@pytest.mark.parametrize("endpoint", ["PFS", "OS"])
def test_second_lines_are_timed_as_the_cookbook_s_query_has_it(
    warehouse: duckdb.DuckDBPyConnection, contents: exhibits.Contents, endpoint: str
) -> None:
    times = the_cookbook_s_second_lines(warehouse)
    times = times[times["endpoint"] == endpoint]
    variable, page = endpoint.lower(), contents.book.page("fig5", "all")
    found = page.get(variable, "second line", "median_months")
    assert found is not None
    assert (found.n, found.events) == (len(times), times["event"].sum())
    theirs = KaplanMeierFitter().fit(times["time_months"], times["event"])
    assert found.value == pytest.approx(theirs.median_survival_time_)
    late = times[times["entry_months"] < times["time_months"]]
    theirs = KaplanMeierFitter().fit(
        late["time_months"],
        late["event"],
        entry=late["entry_months"].where(late["entry_months"] > 0, -1.0),
    )
    delayed = f"{variable} delayed entry"
    assert page.value(delayed, "second line", "late_n") == (times["entry_months"] > 0).sum()
    assert page.value(delayed, "second line", "excluded_n") == len(times) - len(late)
    assert page.value(delayed, "second line", "median_months") == pytest.approx(
        theirs.median_survival_time_
    )


def test_second_lines_are_grouped_by_their_own_class(
    warehouse: duckdb.DuckDBPyConnection, contents: exhibits.Contents
) -> None:
    lines = lines_with_class(
        warehouse, contents.study, contents.study.variable("second_line"), "primary"
    )
    second = lines[lines["line_number"] == 2].set_index("patient_key")
    study, times = contents.study, contents.study.survival("PFS", "all", 2)
    assert set(second.index) == set(times.index) != set(study.survival("PFS", "all", 1).index)
    grouped = times[["time", "event"]].join(second["group"])
    page = contents.book.page("fig6", "all")
    sizes = {level: page.value("pfs", level, "n", "as published") for level in page.levels("pfs")}
    assert sizes == grouped.groupby("group").size().to_dict()
    alone = (grouped["group"] == "chemotherapy alone").astype(int)
    model = CoxPHFitter().fit(grouped[["time", "event"]].assign(alone=alone), "time", "event")
    ratio = page.value("pfs", "chemotherapy alone vs with a targeted drug", "hazard_ratio")
    assert ratio == pytest.approx(model.hazard_ratios_["alone"], abs=1e-4)


def test_response_and_toxicity_are_those_of_the_second_line(
    warehouse: duckdb.DuckDBPyConnection, contents: exhibits.Contents
) -> None:
    page = contents.book.page("table9", "all")
    rates = warehouse.execute(
        "select n_lines, n_responses, 100 * objective_response_rate from survival.response_rates "
        "where study_id = ? and line_rule_set_id = 'primary' and endpoint_rule_set_id = 'primary' "
        "and line_number = 2",
        [STUDY],
    ).fetchall()
    level = "primary, unconfirmed"
    (of_the_mart,) = rates
    assert of_the_mart == (
        page.value("patients", level, "n", "as published"),
        page.value("ORR", level, "n", "as published"),
        pytest.approx(page.value("ORR", level, "pct", "as published")),
    )
    events = dict(
        warehouse.execute(
            """
            select level, count(*)
            from safety.adverse_events
            inner join cohort.cohort using (study_id, patient_key)
            inner join cohort.patient_variables using (study_id, patient_key)
            where study_id = ? and included and line_number = 2 and may_be_related
                and variable = 'second_line' and (category is not null or grade_group <> '5')
            group by level
            """,
            [STUDY],
        ).fetchall()
    )
    told = warehouse.execute(
        "select level, sum(value) from results.estimates where study_id = ? "
        "and exhibit = 'table10' and variable like '% grade %' and statistic = 'n' "
        "group by level having sum(value) > 0",
        [STUDY],
    ).fetchall()
    assert dict(told) == events
    assert sum(events.values()) > 10


def test_the_page_says_which_line_and_of_whom(
    warehouse: duckdb.DuckDBPyConnection, contents: exhibits.Contents, tmp_path: Path
) -> None:
    page = report.page(warehouse, contents, run={})
    included = own_patients(warehouse)
    second = len(contents.study.members("all", 2))
    assert 0 < second < len(included)
    who = (
        f"Patients who had second-line treatment: {second} of Wild-type mCRC, without the "
        f"{len(included) - second} who did not have it."
    )
    # Six exhibits, of which three with figures say so under the first table as well.
    assert page.count(who) == 9
    origin = "the first day of line 1 (of line 2 in Figure 5, Figure 6 and Table 8)"
    assert page.count(f"Time runs from {origin}") == 2
    assert "Events of second-line treatment that nobody judged unrelated" in page
    assert "Every patient with a second line is in the denominator." in page
    assert page.count("Months from the start of second-line treatment") == 3
    assert "CI), from line 2" in page.replace("\N{NO-BREAK SPACE}", " ")
    assert page.count("Characteristics are not those at its start") == 2
    found = key_findings(contents.study, contents.book, comparison.summary(warehouse, STUDY))
    told = [each.text for each in found if "second-line" in each.text]
    assert [text.partition(":")[0].partition(" was ")[0].partition(" (")[0] for text in told] == [
        "The median from the start of second-line treatment",
        "The median from the start of second-line treatment",
        "Chemotherapy alone vs with a targeted drug, from the start of second-line treatment",
        "In the model of time from the start of second-line treatment",
    ]
    exports.write(warehouse, contents, tmp_path)
    with zipfile.ZipFile(tmp_path / STUDY / f"{STUDY}_tables.xlsx") as workbook:
        assert who in workbook.read("xl/sharedStrings.xml").decode()


def test_the_rows_behind_a_number_are_those_of_its_line(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    for exhibit, line_number in (("fig2", 1), ("fig5", 2)):
        number = trace.rows(
            warehouse,
            "select * from results.estimates where study_id = ? and exhibit = ? "
            "and statistic = 'median_months' and convention = 'preferred' and variable = 'os'",
            STUDY,
            exhibit,
        )[0]
        definition = trace._definition(warehouse, number)
        patients, _ = trace._patients(warehouse, number)
        read = trace._read(warehouse, "survival.survival_intervals", number, definition, patients)
        assert {row["line_number"] for row in read.rows} == {line_number}
        assert len(read.rows) == number["n"]
    number = trace.rows(
        warehouse,
        "select * from results.estimates where study_id = ? and exhibit = 'later lines' "
        "and level = 'had it'",
        STUDY,
    )[0]
    definition = trace._definition(warehouse, number)
    assert trace._marts(warehouse, number, definition) == [
        "cohort.cohort",
        "treatment.lines_of_therapy",
    ]


def test_what_moved_between_runs_is_told_of_the_lines_that_analyses_are_of(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    read = [mart for mart, *_ in diff.COMPARED] + ["reference.studies", "results.estimates"]
    home = warehouse.execute("select current_database()").fetchall()[0][0]
    try:
        for run in ("old", "new"):
            warehouse.execute(f"attach ':memory:' as {run}")
            for table in read:
                warehouse.execute(f"create schema if not exists {run}.{table.partition('.')[0]}")
                warehouse.execute(f"create table {run}.{table} as from {home}.{table}")
        warehouse.execute(
            """
            update new.survival.survival_intervals
            set time_days = time_days + 5
            where study_id = $1 and endpoint = 'PFS' and patient_key = (
                select min(patient_key)
                from treatment.lines_of_therapy
                inner join cohort.cohort using (study_id, patient_key)
                where study_id = $1 and included and rule_set_id = 'primary' and line_number = 3
            )
            """,
            [STUDY],
        )
        moved = list(diff._moved(warehouse))
    finally:
        for run in ("old", "new"):
            warehouse.execute(f"detach database if exists {run}")
    assert [each.what for each in moved] == ["PFS", "PFS from line 2"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("time_days = time_days + 1", "days of PFS from line 2"),
        ("event = not event", "events of PFS from line 2"),
    ],
)
def test_one_second_line_with_another_time_is_noticed(
    warehouse: duckdb.DuckDBPyConnection, change: str, told: str
) -> None:
    warehouse.execute("begin transaction")
    try:
        warehouse.execute(
            f"update survival.survival_intervals set {change} where study_id = $1 "
            "and line_number = 2 and endpoint = 'PFS' and line_rule_set_id = 'primary' "
            "and endpoint_rule_set_id = 'primary' and patient_key = (select min(patient_key) from "
            "treatment.lines_of_therapy inner join cohort.cohort using (study_id, patient_key) "
            "where study_id = $1 and included and line_number = 2 and rule_set_id = 'primary')",
            [STUDY],
        )
        answers = variables(warehouse, load_study(warehouse, STUDY))
        assert {each.what: each.different() for each in answers if each.different()} == {told: 1}
    finally:
        warehouse.execute("rollback")


def test_rows_of_a_build_on_spark_are_not_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not in the file that a build in DuckDB would have left."""
    node = SimpleNamespace(
        name="studies_are_well_formed",
        config=SimpleNamespace(meta={"rows_may_be_told": True}),
        compiled_code="select * from reference.studies",
    )
    failure = SimpleNamespace(status="fail", message="Got 1 result", node=node)
    failed = SimpleNamespace(exception=None, result=SimpleNamespace(results=[failure]))
    monkeypatch.setenv("RWE_TARGET", "spark")
    reason = transform._reason(failed, Layout(tmp_path / "work", tmp_path / "published"))
    assert str(reason).endswith("studies_are_well_formed: Got 1 result")


def refused(folder: Path, monkeypatch: pytest.MonkeyPatch, faults: Faults, *select: str) -> str:
    """What a build of the selected tests says, with the faults written into the seeds."""
    copy = project.copy(folder / "project", add)
    for file, right, wrong in faults:
        seed = copy / "seeds" / f"{file}.csv"
        text = seed.read_text(encoding="utf-8")
        assert right in text, right
        seed.write_text(text.replace(right, wrong), encoding="utf-8")
    generate(folder / "delivery", patients=100)
    (folder / "pseudonym.key").write_bytes(KEY)
    (folder / "pseudonym.key").chmod(0o600)
    monkeypatch.setenv("RWE_KEY_FILE", str(folder / "pseudonym.key"))
    monkeypatch.setattr(transform, "PROJECT", copy)
    monkeypatch.setattr(transform, "LONGEST_LIST_OF_FAILURES", 1000)
    layout = Layout(folder / "work", folder / "published")
    with pytest.raises(CommandError) as stopped:
        transform.dbt_build(folder / "delivery", layout, lambda *_: None, select=select)
    return str(stopped.value)


def test_a_name_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = (
        ("studies/study_analyses", "survival,all,OS,,side", "survival,all,OS,,sides"),
        (
            "studies/study_criteria",
            "biomarker_status,RAS_BRAF,wild_type",
            "biomarker_status,RAS,wild_type",
        ),
        ("studies/study_variables", "characteristic,primary_side,3", "characteristic,side,3"),
        ("studies/study_variables", "characteristic,sex,2,yes", "characteristic,sex,2,TRUE"),
        (
            "studies/study_analyses",
            "all,PFS,,first_line,,,,",
            "all,PFS,,first_line,,,one vs other,",
        ),
        ("studies/study_variable_levels", "wild_type_mcrc,first_line,", "wild_type_mcrc,age,"),
    )
    said = refused(
        tmp_path,
        monkeypatch,
        faults,
        *("resource_type:seed", "studies_are_well_formed", CHARACTERISTICS, YES_OR_NO),
    )
    for told in (
        "study_analyses: study_variables has no such variable; wild_type_mcrc, sides",
        "study_criteria: biomarker_panels has no such biomarker; wild_type_mcrc, RAS",
        f"{CHARACTERISTICS}: Got 1 result",
        "side; 2",
        f"{YES_OR_NO}: Got 1 result",
        "TRUE; 2",
        "contrast and contrast_level; wild_type_mcrc, 6",
        "study_analyses: study_variable_levels has no such variable; wild_type_mcrc, first_line",
    ):
        assert told in said


#: Seed, right, wrong, and what is told of it.
SILENT = (
    ("studies/study_cautions", "figS7,,", "figS7,sidex,", "study_variables has no such variable"),
    ("studies/study_variables", "yes,male\n", "yes,mal\n", "has no such variable = level"),
    ("studies/study_populations", "ras_braf,mutant", ",mutant", "needs both variable and level"),
    ("studies/study_criteria", "research,yes", "reserch,yes", "is research or care"),
    ("studies/study_criteria", "treatment_cycles,1,yes,1,", "treatment_cycles,1,yes,,", "minimum"),
    ("studies/study_criteria", "treatment_cycles,1,yes,2", "treatment_cycles,one,yes,2", "a line"),
    ("studies/study_criteria", "yes,0,2,28,7", "yes,2,0,-28,7", "minimum is more than maximum"),
    ("studies/study_criteria", "yes,0,2,28,7", "yes,2,0,-28,7", "less than 0, one of days_before"),
    ("studies/study_variables", "line_class,1,4", "line_class,first,4", "the number of a line"),
    ("studies/study_variable_levels", "female,2,female", "female,2,", "source_value or a range"),
    ("studies/study_variable_levels", "age,>=65,2,,65", "age,>=65,2,,64", "in two levels"),
    ("studies/study_variable_levels", "1,none,,,", "1,no,,,", "no such source_value; of line"),
    ("studies/study_variable_levels", "sex,male,1,male", "sex,male,1,m",
     "no such source_value; of sex male or female; wild_type_mcrc, sex, male"),
    ("studies/study_variable_levels", "her2_mcrc,age,<54,1,,,53", "her2_mcrc,age,<54,1,young,,",
     "of age_at_index a whole number; her2_mcrc, age, <54"),
    ("studies/study_variable_levels", "anti_vegf,,,bevacizumab", "anti_vegf,,,", "its named_drug"),
    ("studies/study_analyses", "response,group A,,,trastuzumab_line", "response,group A,,,sex",
     "response needs a variable of rule ingredient_line; her2_mcrc, 15, sex"),
    ("studies/study_analyses", "adverse_events,all,,,first_line", "adverse_events,all,,,",
     "adverse_events needs group_variable; wild_type_mcrc, 13"),
    ("studies/study_analyses", "follow_up,all,OS,,,,,,,,,,Foll", "follow_up,all,OSx,,,,,,,,,,Foll",
     "has no such endpoint; wild_type_mcrc, 3, OSx"),
    ("studies/study_analyses", "wild_type_mcrc,7,fig1,survival,all,OS",
     "wild_type_mcrc,7,fig1,survival,all,PFS", "same analysis twice; wild_type_mcrc, 6, fig1"),
    ("studies/study_analyses", "3+6+12", "3+6+6", "each once; her2_mcrc, 23, 3+6+6"),
    ("studies/study_analyses", "OS,,,,,,,,,age+sex", "OS,,,,,,,,,sex+sex",
     "each once; her2_mcrc, 32, sex+sex+"),
    ("studies/study_analyses", "trastuzumab,,,age+sex", "trastuzumab,,,age+sexx",
     "each once; her2_mcrc, 33, age+sexx+"),
    ("studies/study_analyses", "wild_type_mcrc,12,", "wild_type_mcrc,13,", "more than one row"),
    ("studies/study_analyses", "table6,univariable,all,OS,,,,,,,,,,",
     "table6,univariable,all,OS,,,,,,,,,age,", "univariable takes no covariates; her2_mcrc, 29"),
    ("studies/study_analyses", "22,fig1,survival,all,OS,,,,,first line,,,",
     "22,fig1,survival,all,OS,,,,,first line,,yes,", "need a group_variable; her2_mcrc, 22"),
    ("studies/study_analyses", "trastuzumab vs no trastuzumab,trastuzumab,,,,Headline",
     ",,,,,Headline",
     "line_rule_sets of a group_variable needs contrast and contrast_level; her2_mcrc, 38"),
    ("studies/study_analyses", "her2_mcrc,3,text,", "her2_mcrc,3,table8,",
     "exhibit is text of quantity; her2_mcrc, 3, table8"),
    ("studies/study_analyses", "wild_type_mcrc,15,table7,", "wild_type_mcrc,15,Table 7,",
     "exhibit is tableN, figN, tableSN or figSN of characteristics; wild_type_mcrc, 15, Table 7"),
    ("studies/study_analyses", "wild_type_mcrc,8,fig2,", "wild_type_mcrc,8,table3,",
     "give each one of its own; wild_type_mcrc, table3"),
    ("studies/study_analyses", "26,fig4,survival,wild type", "26,fig4,survival,mutant",
     "give each one of its own; her2_mcrc, fig4"),
    ("studies/study_analyses", "wild_type_mcrc,20,table9,", "wild_type_mcrc,20,table5,",
     "give each one of its own; wild_type_mcrc, table5"),
    ("studies/study_analyses", "28,figS5,cumulative_incidence,all,TTNT",
     "28,figS5,cumulative_incidence,all,PFS", "give each one of its own; her2_mcrc, figS5"),
    ("studies/study_analyses", "her2_mcrc,6,table1,", "her2_mcrc,6,table9,",
     "needs a row of kind characteristics in its exhibit; her2_mcrc, table9"),
    ("studies/studies", "ihc3_or_ish_in_half_of_cells,183,90,An", ",183,90,An",
     "may not be empty, her2_definition_id; wild_type_mcrc"),
    ("studies/endpoint_sources", "irecist,PFS,censor", "irecist,PFSx,censor", "irecist, PFSx"),
    ("studies/endpoint_rule_sets", "recist_derived,BOR", "recist_derived,BORx", "no such"),
    ("therapy/line_rule_sets", "gastric,primary,90", "gastricx,primary,90", "gastric, gastricx"),
    ("therapy/line_rule_additions", "gastric,ici", "gastrisch,ici", "; gastrisch"),
    ("therapy/line_rule_sets", ",,28,90,,,true", ",,,90,,,true", "regimen_window_days; gastric"),
    ("therapy/drug_synonyms", "\nkrazati,", "\nKrazati,", "not in lower case"),
)  # fmt: skip


def test_what_would_pass_in_silence_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = list(dict.fromkeys(fault[:3] for fault in SILENT))
    said = refused(
        tmp_path,
        monkeypatch,
        wrong,
        *("resource_type:seed", "studies_are_well_formed", "lines_rules_are_unambiguous"),
    )
    assert [text for *_, text in SILENT if text not in said] == []


def test_a_date_of_another_form_is_that_of_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = ("studies/studies", "2011-09-01,2021-02-19,primary,primary,included,ihc3_or_ish_in_"
             "half_of_cells,183,90,An", "01.09.2011,19.02.2021,primary,primary,included,ihc3_or_"
             "ish_in_half_of_cells,183,90,An")  # fmt: skip
    said = refused(tmp_path, monkeypatch, [fault], "studies")
    assert "CSV Error on Line: 3" in said
    assert 'Could not convert string "01.09.2011"' in said
    assert "studies.csv" in said


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("landmark_months = '3+six'", "display_order 8: landmark_months '3+six'"),
        ("covariates = 'age+sexx'", "display_order 8: covariate 'sexx'"),
        ("line_number = 2, landmark_months = '3'", "display_order 8: landmarks are months"),
        ("display_order = 80, exhibit = 'fig1', group_variable = 'first_line'", "called 'Overall"),
    ],
)
def test_a_row_of_the_analyses_that_cannot_be_done_is_named(
    warehouse: duckdb.DuckDBPyConnection, change: str, told: str
) -> None:
    warehouse.execute("begin transaction")
    try:
        warehouse.execute(
            f"update reference.study_analyses set {change} "
            "where study_id = ? and display_order = 8",
            [STUDY],
        )
        with pytest.raises(StudyError, match=re.escape(told)):
            estimates.analyse(warehouse, load_study(warehouse, STUDY))
    finally:
        warehouse.execute("rollback")
