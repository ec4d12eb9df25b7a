"""A study of one's own is rows in seeds/studies: the example of docs/studies.md, reported."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from analysis import comparison, estimates, exhibits, exports, report, second_programming
from analysis.book import Book
from analysis.findings import key_findings
from pipeline import transform
from pipeline.errors import CommandError
from pipeline.paths import Layout
from synthetic import generate
from tests.patients import project

STUDY = "wild_type_mcrc"
ROWS = Path(__file__).with_name("second_study")
KEY = bytes(range(32))
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


def test_a_name_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = project.copy(tmp_path / "project", add)
    for file, right, wrong in (
        ("study_analyses", "survival,all,OS,side", "survival,all,OS,sides"),
        ("study_criteria", "biomarker_status,RAS_BRAF,wild_type", "biomarker_status,RAS,wild_type"),
        ("study_variables", "characteristic,primary_side,3", "characteristic,side,3"),
        ("study_variables", "characteristic,sex,2,yes", "characteristic,sex,2,TRUE"),
        ("study_analyses", "all,PFS,first_line,,,,", "all,PFS,first_line,,,one vs other,"),
        ("study_variable_levels", "wild_type_mcrc,first_line,", "wild_type_mcrc,age,"),
    ):
        seed = copy / "seeds" / "studies" / f"{file}.csv"
        text = seed.read_text(encoding="utf-8")
        assert right in text
        seed.write_text(text.replace(right, wrong), encoding="utf-8")
    generate(tmp_path / "delivery", patients=100)
    (tmp_path / "pseudonym.key").write_bytes(KEY)
    (tmp_path / "pseudonym.key").chmod(0o600)
    monkeypatch.setenv("RWE_KEY_FILE", str(tmp_path / "pseudonym.key"))
    monkeypatch.setattr(transform, "PROJECT", copy)
    layout = Layout(tmp_path / "work", tmp_path / "published")
    with pytest.raises(CommandError) as stopped:
        transform.dbt_build(
            tmp_path / "delivery",
            layout,
            lambda *_: None,
            select=["resource_type:seed", "studies_are_well_formed", CHARACTERISTICS, YES_OR_NO],
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
        assert told in str(stopped.value)
