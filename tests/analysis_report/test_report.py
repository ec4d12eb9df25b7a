"""The page as text: what it says, where its numbers come from, and what it refuses to execute."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import small_warehouse
from outline import Outline
from small_warehouse import STUDY

from analysis import comparison, estimates, exports, report
from analysis.book import Book
from analysis.exhibits import contents
from analysis.findings import _verdict, key_findings
from analysis.study import Caution, Study, load_study
from expectations.tables import rows

HOSTILE = "<img src=x onerror=alert(1)>\"'&<script>alert(2)</script>"


@contextmanager
def undone(warehouse: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Whatever happens inside is rolled back."""
    warehouse.execute("begin transaction")
    try:
        yield
    finally:
        warehouse.execute("rollback")


@pytest.fixture(scope="module")
def outline(page: str) -> Outline:
    return Outline(page)


def test_sections_follow_the_order_of_a_clinician(outline: Outline) -> None:
    assert [text for level, text in outline.headings if level == 2] == [
        "Key findings",
        "Cohort",
        "Patients",
        "Treatment",
        "Lines of therapy",
        "Response",
        "Toxicity",
        "Survival",
        "Univariable analyses",
        "Multivariable analysis",
        "Confounding",
        "Sensitivity to definitions",
        "Published against computed",
        "Methods",
        "Data provenance",
    ]
    exhibits = [text.partition(".")[0] for level, text in outline.headings if level == 3]
    named = [name for name in exhibits if name.startswith(("Table ", "Figure "))]
    assert named == [
        *("Table 1", "Table S1", "Table S2", "Table 2", "Table 3"),
        *("Figure S1", "Figure S2", "Table S3", "Table 4", "Table S4", "Table S5"),
        *("Figure S3", "Figure S4", "Table 5"),
        *(f"Figure {number}" for number in range(1, 5)),
        *("Figure S5", "Table 6", "Figure S6", "Table 7", "Table S6", "Figure S7", "Table S7"),
        "Figure S8",
    ]


def test_headings_skip_no_level_and_identifiers_are_unique(outline: Outline) -> None:
    levels = [level for level, _ in outline.headings]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(outline.identifiers) == len(set(outline.identifiers))
    links = [attrs["href"] for tag, attrs in outline.tags if tag == "a"]
    assert all(link and link.lstrip("#") in outline.identifiers for link in links)


def test_every_number_in_the_tables_is_an_estimate(outline: Outline, book: pd.DataFrame) -> None:
    displayed = {
        number
        for text in [*book["display"], *book["events"].dropna().astype(int).astype(str)]
        for number in re.findall(r"\d[\d,.]*", str(text))
    }
    # Values of the regimen tables hold digits too: CPT-11, S1.
    printed = {number for cell in outline.cells for number in re.findall(r"\d[\d,.]*\d|\d", cell)}
    assert len(printed) > 200
    assert printed <= displayed


def test_the_page_executes_and_fetches_nothing(page: str, outline: Outline) -> None:
    policy = next(
        attrs["content"]
        for tag, attrs in outline.tags
        if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    names = {tag for tag, _ in outline.tags}
    assert not names & {"script", "iframe", "object", "embed", "form", "img", "base"}
    for _, attrs in outline.tags:
        assert not any(name.startswith("on") for name in attrs)
        for name in ("src", "href", "xlink:href"):
            target = attrs.get(name)
            assert target is None or target.startswith("#") or target == "data:,"
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_rendering_twice_gives_the_same_bytes(
    warehouse: duckdb.DuckDBPyConnection, page: str
) -> None:
    assert report.page(warehouse, contents(warehouse, STUDY), run=small_warehouse.RUN) == page


@pytest.mark.parametrize(
    ("synthetic", "banner", "on_paper"),
    [
        ("yes", "SYNTHETIC DATA", "SYNTHETIC DATA"),
        ("no", None, None),
        (None, "ORIGIN NOT STATED", "ORIGIN OF THE DATA NOT STATED"),
    ],
)
def test_the_banner_says_whether_the_patients_are_invented(
    warehouse: duckdb.DuckDBPyConnection,
    synthetic: str | None,
    banner: str | None,
    on_paper: str | None,
) -> None:
    with undone(warehouse):
        warehouse.execute("update staging.stg_common__delivery set synthetic = ?", [synthetic])
        text = report.page(warehouse, contents(warehouse, STUDY), run={})
    found = re.search(r'<p class="banner"[^>]*><strong>([^<]*)</strong>', text)
    assert (found and found.group(1)) == banner
    printed = re.search(r'@top-center \{ content: "([^\\"]*?)(?: \\2013 [^"]*)?"', text)
    assert (printed and printed.group(1).strip()) == on_paper
    assert ("confirms nothing about patients" in text) == (synthetic == "yes")


def test_values_from_the_data_are_text_and_never_markup() -> None:
    with small_warehouse.build(":memory:") as connection:
        for table, column in (
            ("reference.studies", "title"),
            ("reference.study_variables", "label"),
            ("reference.study_criteria", "label"),
            ("reference.study_cautions", "caution"),
            ("reference.endpoint_rule_sets", "source"),
            ("cohort.cohort_attrition", "criterion"),
            ("staging.stg_common__delivery", "site_code"),
            ("quality.source_files", "file_name"),
            ("quality.quarantine", "reason"),
        ):
            connection.execute(f"update {table} set {column} = ?", [HOSTILE])
        connection.execute(
            "update reference.published_results set note = ? where status <> 'ok'", [HOSTILE]
        )
        connection.execute(
            "update cohort.patient_variables set level = ?, value = ? "
            "where variable in ('first_line_backbone', 'trastuzumab_backbone')",
            [HOSTILE, HOSTILE],
        )
        connection.execute("update safety.adverse_events set category = ?", [HOSTILE])
        estimates.compute(connection, STUDY)
        text = report.page(
            connection, contents(connection, STUDY), run={"run_id": HOSTILE, HOSTILE: "x"}
        )
    assert "onerror=alert(1)" in text
    assert "<img" not in text
    assert "<script" not in text
    outline = Outline(text)
    assert not {tag for tag, _ in outline.tags} & {"img", "script"}


def test_the_run_is_printed_as_given(page: str) -> None:
    assert "20210301T000000Z-test" in page


def test_second_programming_is_shown_where_it_has_run(
    warehouse: duckdb.DuckDBPyConnection, page: str
) -> None:
    assert "Second programming" not in page
    with undone(warehouse):
        warehouse.execute(
            "create table results.second_programming as select "
            f"'{STUDY}' as study_id, 'figS5' as exhibit, 'Kaplan-Meier estimates' as what, "
            "1 as n_compared, 1e-15::double as largest_difference, true as agrees"
        )
        text = report.page(warehouse, contents(warehouse, STUDY), run={})
    assert "Second programming" in text
    assert "1.0e-15" in text
    assert ">Figure S5</th>" in text
    assert ">1 number</td>" in text
    assert "DO NOT USE" not in text


def test_what_a_second_programme_finds_otherwise_is_told_before_any_number(
    warehouse: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    with undone(warehouse):
        warehouse.execute(
            "create table results.second_programming as select "
            f"'{STUDY}' as study_id, unnest(['fig1', 'table7', 'cohort']) as exhibit, "
            "'estimates' as what, 1 as n_compared, unnest([0.1, 0, 2]) as largest_difference, "
            "unnest([false, true, false]) as agrees"
        )
        found = contents(warehouse, STUDY)
        text = report.page(warehouse, found, run={})
        exports.write(warehouse, found, tmp_path)
    told = "A second programme finds otherwise: the variables of the cohort, Figure 1. Do not use"
    assert "DO NOT USE</strong> " + told in text
    assert text.index("DO NOT USE") < text.index('class="masthead"')
    with zipfile.ZipFile(tmp_path / STUDY / f"{STUDY}_tables.xlsx") as workbook:
        assert told in workbook.read("xl/sharedStrings.xml").decode()
    with zipfile.ZipFile(tmp_path / STUDY / f"{STUDY}_tables_and_figures.docx") as document:
        parts = [document.read(name).decode() for name in document.namelist() if "header" in name]
    assert any(told in part for part in parts)


def test_groups_are_called_by_the_same_names_in_curves_and_comparisons(page: str) -> None:
    figure = page[page.index('id="fig2-heading"') : page.index('id="fig3-heading"')]
    assert "Group A" not in figure
    assert '<th scope="row">Trastuzumab vs no trastuzumab</th>' in figure
    assert "Trastuzumab vs no trastuzumab: log-rank P" in figure


def test_a_note_explains_only_what_its_table_has(page: str) -> None:
    def part(name: str) -> str:
        start = page.index(f'id="{name}-table"')
        return page[start : page.index("</div>", page.index('class="notes"', start))]

    assert "Holm" in part("fig4-tests")
    assert "Holm" not in part("fig2-tests")


def test_responders_are_still_in_response(page: str) -> None:
    figure = page[page.index('id="figS4-heading"') : page.index('id="table5-heading"')]
    assert "Still in response (%)" in figure
    assert "Duration of response (%)" not in figure


def test_without_computed_results_the_report_says_what_is_missing() -> None:
    with (
        small_warehouse.build(":memory:") as connection,
        pytest.raises(duckdb.CatalogException, match="results"),
    ):
        report.page(connection, contents(connection, STUDY), run={})


def test_the_methods_statement_says_what_was_run(page: str, book: pd.DataFrame) -> None:
    statement = page[page.index('id="statement"') :]
    statement = statement[: statement.index("<h3>")]
    assert f"{len(book):,} rows" in statement
    assert "28 days" in statement and "180 days" in statement
    assert "lifelines 0." in statement
    assert "seed 20261122" in statement
    assert "inverse-probability-of-treatment" in statement
    weighted = book[book["note"].str.contains("inverse-probability", na=False)]["note"].iloc[0]
    assert "Firth" in weighted
    assert "from a logistic propensity model with Firth’s penalty" in statement
    assert "time-dependent covariate" in statement
    assert "delayed entry" in statement
    assert "restricted mean survival times" in statement
    assert "corrected for its optimism by the bootstrap. Its variables were selected" in statement
    assert "HER2-positive tumour" in statement
    assert "hazard ratios of the sensitivity figure were recomputed" in statement
    assert "All headline numbers" not in statement
    # Nothing is missing in this cohort, so nothing was imputed.
    assert "imputation" not in statement


def test_cautions_promise_no_more_than_is_done(page: str) -> None:
    assert "Weighting makes the groups alike" not in page
    assert "the figure shows what stays unlike" in page
    assert "under every rule set says nothing about that bias" in page
    assert "account for that selection" in page


def test_the_statement_claims_nothing_that_was_not_run(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    with undone(warehouse):
        warehouse.execute(
            "delete from reference.study_analyses where kind in ('weighting', 'imputation', 'cox')"
        )
        text = report.page(warehouse, contents(warehouse, STUDY), run={})
    statement = text[text.index('id="statement"') :]
    statement = statement[: statement.index("<h3>")]
    assert "inverse-probability" not in statement
    assert "imputation" not in statement
    assert "Cox models" not in statement


def test_a_key_finding_cites_the_p_value_that_its_table_prints(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    study, numbers = load_study(warehouse, STUDY), rows(warehouse, "from results.estimates")
    for number in numbers:
        if (
            (number["exhibit"], number["variable"], number["convention"])
            == ("fig2", "os", "preferred")
            and number["level"] == "group A vs group B"
            and number["statistic"] == "logrank_p"
        ):
            number |= {"value": 0.077, "display": "0.077", "method": "permutation log-rank test"}
    (found,) = [
        finding.text
        for finding in key_findings(study, Book(numbers), comparison.summary(warehouse, STUDY))
        if finding.lead == "Trastuzumab, ever or never"
    ]
    assert "permutation log-rank P = 0.077," in found
    assert "neither has P < 0.05" in found


def test_key_findings_say_what_their_tables_print(warehouse: duckdb.DuckDBPyConnection) -> None:
    study, numbers = load_study(warehouse, STUDY), rows(warehouse, "from results.estimates")

    def told(lead: str) -> str:
        found = key_findings(study, Book(numbers), comparison.summary(warehouse, STUDY))
        return " ".join(finding.text for finding in found if finding.lead.startswith(lead))

    def put(statistic: str, value: float) -> None:
        for number in numbers:
            if (
                (number["exhibit"], number["convention"]) == ("table7", "preferred")
                and number["variable"] in ("os cox", "os cox: sex")
                and number["statistic"] == statistic
            ):
                number |= {"value": value, "display": f"{value:g}"}

    assert told("Cohort").startswith("Of 2,460 patients with mCRC, 63 met")
    assert "25 events in 63 patients" in told("Overall survival")
    assert "3 of 6 pairwise log-rank tests unadjusted; in 0 of 6" in told("Progression-free")
    assert "sex, female vs male" in told("Multivariable") and "fragile" in told("Multivariable")
    put("events_per_variable", 10)
    assert "fragile" not in told("Multivariable")
    for statistic in ("p", "firth_p"):
        put(statistic, 0.2)
        assert "sex" not in told("Multivariable")
        put(statistic, 0.01)
        assert "sex, female vs male" in told("Multivariable")


@pytest.mark.parametrize(
    ("naive", "corrected", "naive_ratio", "ratio", "said"),
    [
        (True, False, 0.5, 0.9, "may be due to immortal time alone"),
        (False, False, 0.5, 0.9, "neither has P < 0.05"),
        (True, True, 0.5, 0.6, "does not rest on immortal time alone"),
        (True, True, 0.5, 2.0, "the hazard is higher after a drug"),
        (False, True, 0.9, 0.5, "the hazard is lower after a drug"),
    ],
)
def test_what_becomes_of_a_difference_without_immortal_time(
    naive: bool, corrected: bool, naive_ratio: float, ratio: float, said: str
) -> None:
    assert said in _verdict(naive, corrected, naive_ratio, ratio, "a drug")


BY_FIRST_LINE = "chemotherapy alone vs with a targeted drug"


def a_study_by_first_line(warehouse: duckdb.DuckDBPyConnection) -> Study:
    """The study with one comparison: chemotherapy alone in line 1 against all other groups."""
    study = load_study(warehouse, STUDY)
    compared = next(each for each in study.analyses if each.contrast == BY_FIRST_LINE)
    figure = replace(compared, kind="survival", exhibit="fig1", endpoint="OS", population="all")
    return replace(study, analyses=(figure,), cautions=())


def test_the_comparison_by_first_line_is_a_key_finding_with_its_cautions(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    study = a_study_by_first_line(warehouse)
    numbers = [asdict(entry) for entry in estimates.analyse(warehouse, study).entries.values()]
    own = {
        number["statistic"]: number
        for number in numbers
        if (number["variable"], number["level"], number["convention"])
        == ("os", BY_FIRST_LINE, "preferred")
    }

    def found() -> str:
        (finding,) = key_findings(study, Book(numbers), {"total": 0})
        assert finding.lead == "Overall survival by group (Figure 1)"
        return finding.text

    own["ph_p"] |= {"value": 0.2, "display": "0.200"}
    own["logrank_p"]["parameters"] = '{"small_group": false}'
    text = found()
    assert text.startswith("Chemotherapy alone vs with a targeted drug, from the start of first")
    assert f"hazard ratio {own['hazard_ratio']['display']} [95% CI " in text
    assert f"log-rank P = {own['logrank_p']['display']}. Medians: chemotherapy alone " in text
    assert "not randomised" in text
    assert "proportional" not in text
    assert "fewer than 10" not in text

    own["ph_p"] |= {"value": 0.01, "display": "0.010"}
    own["logrank_p"]["parameters"] = '{"small_group": true}'
    study = replace(study, cautions=(Caution("fig1", "first_line_group", "Own caution."),))
    text = found()
    assert "not proportional (P = 0.010)" in text
    assert "fewer than 10 patients or fewer than 5 events" in text
    assert text.endswith("Own caution.")

    own["hazard_ratio"] |= {"value": None, "display": "not estimable"}
    assert found().startswith("Median from the start of first-line treatment: chemotherapy alone")


@pytest.mark.parametrize(
    "change", [{"argument": "2"}, {"rule": "characteristic", "argument": "number_of_lines"}]
)
def test_groups_that_form_later_are_no_key_comparison(
    warehouse: duckdb.DuckDBPyConnection, change: dict[str, str]
) -> None:
    study = a_study_by_first_line(warehouse)
    numbers = [asdict(entry) for entry in estimates.analyse(warehouse, study).entries.values()]
    later = replace(study.variables["first_line_group"], **change)
    study = replace(study, variables={**study.variables, "first_line_group": later})
    told = [each.text for each in key_findings(study, Book(numbers), {"total": 0})]
    assert not any("hazard ratio" in text for text in told)


@pytest.mark.parametrize(
    ("everybody", "sizes"), [("no trastuzumab", ["0", "63"]), ("trastuzumab", ["63", "0"])]
)
def test_of_a_drug_that_nobody_or_everybody_had_a_side_has_no_patients(
    everybody: str, sizes: list[str]
) -> None:
    with small_warehouse.build(":memory:") as connection:
        connection.execute(
            "update cohort.patient_variables set level = ? where variable = 'trastuzumab'",
            [everybody],
        )
        if everybody == "no trastuzumab":
            connection.execute(
                "delete from treatment.line_components where ingredient = 'trastuzumab'"
            )
        estimates.compute(connection, STUDY)
        exhibits = [each for part in contents(connection, STUDY).sections for each in part.exhibits]
    (table,) = [t for each in exhibits for t in each.tables if t.identifier == "fig2-exposure"]
    assert table.rows[0].label.startswith("Ever against never")
    assert [cell.text for cell in table.rows[0].cells[:2]] == sizes
