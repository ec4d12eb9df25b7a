"""What the page says, what it never says, and that its numbers are those of the tables."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from quality_page import RUN, Page, section, tables

from expectations import history, report
from expectations import run as checks
from expectations.checks import CheckResult
from expectations.verdict import STATUSES
from pipeline.contract import RID_SHIFT, read_contract

HOSTILE = (
    "\"><script>alert('x')</script><img src=http://example.invalid/x onerror=alert(1)>{{ 7*7 }}"
)


def headline(page: str) -> str:
    return re.findall(r'class="headline">([^<]+)<', page)[0]


def statuses(results: list[CheckResult]) -> list[CheckResult]:
    """One result of each status, and one that blocks."""
    first = results[0]
    return [
        replace(first, check_id="T-1", status="pass", n_violating=0, n_checked=20),
        replace(first, check_id="T-2", status="fail", n_violating=7, n_checked=20, blocks=False),
        replace(first, check_id="T-3", status="error", n_violating=None, n_checked=None,
                detail="Binder Error", blocks=False),
        replace(first, check_id="T-4", status="not_applicable", n_checked=0, detail="no rows"),
        replace(first, check_id="T-5", status="not_run", n_checked=None, detail="not asked for"),
        replace(first, check_id="T-6", status="fail", n_violating=9, n_checked=20, blocks=True),
    ]  # fmt: skip


def test_a_clean_run_is_publishable(page: Page) -> None:
    text = page()
    assert headline(text) == "Publishable"
    assert "Nothing: no check failed" in section(text, "failures")
    assert RUN["run_id"] in text


def test_a_warning_is_said_and_does_not_block(page: Page, results: list[CheckResult]) -> None:
    text = page(stored=statuses(results)[:5])
    assert headline(text) == "Publishable with warnings"
    assert "2 checks of 5 failed or could not be evaluated" in text


def test_a_blocked_run_says_so(page: Page, results: list[CheckResult]) -> None:
    text = page(stored=statuses(results))
    assert headline(text) == "Blocked"
    assert "1 check of 6 forbids publication; 2 more failed or could not be evaluated." in text
    failed = section(text, "failures")
    shown = [failed.index(check) for check in ("T-6", "T-3", "T-2")]
    assert shown == sorted(shown), "blocking first, then errors, then warnings"


def test_a_blocked_run_has_a_page_before_anything_is_computed(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    duckdb.connect(str(path)).close()
    results = checks.run(path)
    history.write(path, results, RUN["run_id"])
    output = tmp_path / "quality.html"
    with duckdb.connect(str(path), read_only=True) as connection:
        report.render(connection, output, run=RUN)
    text = output.read_text(encoding="utf-8")
    assert headline(text) == "Blocked"
    assert "ORIGIN NOT STATED" in text
    assert "No study was built." in text


@pytest.mark.parametrize("run", [RUN, {}])
def test_a_run_without_results_is_not_called_sound(tiny: Path, run: dict[str, str]) -> None:
    with duckdb.connect(str(tiny), read_only=True) as connection:
        text = report.page(connection, run=run)
    assert headline(text) == "Not checked"
    assert "Nothing may be published from it." in text


def test_results_of_another_run_do_not_count(page: Page) -> None:
    assert headline(page("update quality.expectation_results set run_id = 'other'")) == (
        "Not checked"
    )


def test_every_status_shows(page: Page, results: list[CheckResult]) -> None:
    text = page(stored=statuses(results))
    (_, *rows, total) = tables(text)["Checks by category and status"]
    assert total[2:] == ["1", "2", "1", "1", "1", "6"]
    assert len(rows) == 1
    (_, _, row) = tables(text)["Checks by table, category and context"]
    for words in ("1", "2 fail", "1 error", "1 not applicable", "1 not run"):
        assert words in " ".join(row)
    tally = re.findall(r'class="n">(\d+)</span> <span class="status (\w+)">', text)
    assert [status for _, status in tally] == list(STATUSES)


def test_every_result_is_on_the_page_exactly_once(page: Page, results: list[CheckResult]) -> None:
    some = [
        replace(results[0], status="fail", n_violating=1, n_checked=1),
        replace(results[1], status="not_run", detail="the layer was not asked for"),
        *results[2:],
    ]
    text = page(stored=some)
    listed = [
        row[0]
        for label in ("Checks that passed", "Checks not applicable or not run")
        for row in tables(text)[label][1:]
    ] + re.findall(r'<h3><span class="number">([^<]+)</span>', text)
    assert Counter(listed) == Counter(result.check_id for result in results)
    (_, *rows, total) = tables(text)["Checks by category and status"]
    assert sum(int(row[-1]) for row in rows) == int(total[-1]) == len(results)


def test_a_failed_check_is_explained(page: Page, results: list[CheckResult]) -> None:
    text = section(page(stored=statuses(results)), "failures")
    first = results[0]
    assert "7 of 20 (35.0%)" in text
    for said in (first.rationale, first.advice, first.denominator, "Binder Error"):
        assert said in text.replace("&#39;", "'").replace("&#34;", '"')


def test_a_failed_check_shows_the_runs_before_at_its_site(
    page: Page, results: list[CheckResult]
) -> None:
    def before(day: str, n_violating: int, site: str) -> str:
        return (
            "insert into quality.expectation_results select * replace "
            f"('{day}' as run_id, '{day}T10:00:00+00:00' as checked_at, {site} as site_code, "
            f"{n_violating} as n_violating) from quality.expectation_results "
            f"where run_id = '{RUN['run_id']}' and status = 'fail'"
        )

    stored = [replace(results[0], status="fail", n_violating=7, n_checked=20), *results[1:]]
    text = section(
        page(
            before("2020-02-01", 9, "site_code"),
            before("2020-01-01", 6, "site_code"),
            before("2020-03-01", 5, "'another'"),
            stored=stored,
        ),
        "failures",
    )
    assert "2020-01-01: 6 of 20 (30.0%); 2020-02-01: 9 of 20 (45.0%)" in text
    assert "2020-03-01" not in text


PATIENTS_FILE = read_contract().tables["patients"].file_id
QUARANTINED = (
    "insert into quality.quarantine (table_name, record_no, src_rid, reason) "
    f"select 'patients', n, {PATIENTS_FILE}::bigint << {RID_SHIFT} | n,"
)


def test_rows_are_accounted_for(page: Page, warehouse: Path) -> None:
    text = page(
        "update quality.source_files set n_records = 12, n_staged = 9, n_quarantined = 3 "
        "where table_name = 'patients'",
        "update quality.source_files set file_name = null, sha256 = null "
        "where table_name = 'comorbidities'",
        "update quality.source_files set n_records = 5 where table_name = 'consent'",
        f"{QUARANTINED} 'birth_date: not a date' from unnest([11, 2, 7]) as numbers (n)",
    )
    account = {row[0]: row[1:] for row in tables(text)["Row accounting by file"][1:]}
    assert account["patients.csv"] == ["12", "9", "3", "0", "0", "0", "adds up", "a" * 64]
    assert account["comorbidities, not delivered"][-1] == ""
    assert account["consent.csv"][6] == "does not add up"
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        (n,) = connection.execute("select sum(n_records) from quality.source_files").fetchone()
    assert account["All"][0] == str(n)
    assert tables(text)["Quarantined records"][1:] == [
        ["patients.csv", "birth_date: not a date", "3", "2, 7, 11"]
    ]
    assert "Not delivered: comorbidities." in section(text, "scope")
    assert "Derived tables without a row: cohort.cohort_criteria, " in section(text, "scope")


def test_of_changes_a_table_is_told_once_and_only_if_no_file_has_rows(page: Page) -> None:
    text = page(
        "update quality.source_files set file_name = null where table_name = 'comorbidities'",
        "update quality.source_files set n_records = 0 where table_name = 'encounters'",
        "update quality.source_files set n_quarantined = 3 where table_name = 'patients'",
        "insert into quality.source_files select * replace (file_id + 100 as file_id, "
        "if(table_name = 'consent', 0, n_records) as n_records) from quality.source_files",
    )
    scope = section(text, "scope")
    assert "Not delivered: comorbidities." in scope
    assert "Delivered without a row: encounters." in scope
    assert "Records that could not be read were left out of: patients." in scope


def test_two_files_of_one_name_have_an_account_each(page: Page) -> None:
    later = PATIENTS_FILE + 100
    text = page(
        "update quality.source_files set delivery_seq = 1, file_name = table_name || '.csv'",
        "insert into quality.source_files select * replace (file_id + 100 as file_id, "
        "2 as delivery_seq) from quality.source_files",
        f"update quality.source_files set n_quarantined = if(file_id = {later}, 1, 2), "
        f"n_records = n_staged + if(file_id = {later}, 1, 2) where table_name = 'patients'",
        f"{QUARANTINED} 'sex: not a code' from unnest([3, 8]) as numbers (n)",
        f"{QUARANTINED} 'sex: not a code' from unnest([8]) as numbers (n)".replace(
            f"{PATIENTS_FILE}::", f"{later}::"
        ),
    )
    assert tables(text)["Quarantined records"][1:] == [
        ["patients.csv, delivery 1", "sex: not a code", "2", "3, 8"],
        ["patients.csv, delivery 2", "sex: not a code", "1", "8"],
    ]
    account = {row[0]: row[3] for row in tables(text)["Row accounting by file"][1:]}
    assert account["patients.csv, delivery 1"] == "2"
    assert account["patients.csv, delivery 2"] == "1"


def test_a_long_list_of_record_numbers_is_cut(page: Page) -> None:
    text = page(f"{QUARANTINED} 'sex: not a code' from range(1, 31) as numbers (n)")
    (row,) = tables(text)["Quarantined records"][1:]
    assert row[2] == "30"
    assert row[3].endswith("19, 20 and 10 more")


def test_the_lineage_names_every_model_that_the_rows_went_through(page: Page) -> None:
    """Also one of which changes left no table; nothing where the build did not come to it."""
    assert "int_line_histories" in section(page(), "lineage")
    assert "intermediate (0)" in section(page("drop schema intermediate cascade"), "lineage")


EXCLUDED = (
    "update cohort.cohort_attrition set n_in = 3, n_not_met = 1, n_out = 2 where step = 1; "
    "update cohort.cohort_attrition set n_in = 2, n_unknown = 1, n_out = 1 where step = 2"
)


def test_attrition_is_that_of_the_mart(page: Page) -> None:
    (_, *rows) = tables(page(EXCLUDED))["Attrition of her2_mcrc"]
    assert [row[1:] for row in rows] == [["3", "1", "0", "2"], ["2", "0", "1", "1"]]


REAL = "update staging.stg_common__delivery set synthetic = 'no'"


def test_of_real_patients_small_counts_are_hidden(page: Page, results: list[CheckResult]) -> None:
    text = page(
        REAL,
        "update cohort.cohort_attrition set n_in = 300, n_not_met = 2, n_out = 298 where step = 1",
        "update cohort.cohort_attrition set n_in = 298, n_not_met = 90, n_unknown = 0, "
        "n_out = 208 where step = 2",
        "update quality.source_files set n_records = 300, n_staged = 298, n_quarantined = 2 "
        "where table_name = 'patients'",
        f"{QUARANTINED} 'sex: not a code' from unnest([4711, 4712]) as numbers (n)",
        stored=[
            replace(results[0], status="fail", n_violating=2, n_checked=300, denominator="rows"),
            replace(results[0], status="fail", n_violating=298, n_checked=300),
        ],
    )
    assert "SYNTHETIC" not in text
    assert "ORIGIN NOT STATED" not in text
    (_, *steps) = tables(text)["Attrition of her2_mcrc"]
    assert [row[1:] for row in steps] == [
        ["[c]", "[c]", "0", "298"],
        ["298", "90", "0", "208"],
    ]
    account = {row[0]: row[1:] for row in tables(text)["Row accounting by file"][1:]}
    assert account["patients.csv"][:7] == ["300", "[c]", "[c]", "0", "0", "0", "adds up"]
    assert tables(text)["Quarantined records"][1:] == [
        ["patients.csv", "sex: not a code", "[c]", "not listed"]
    ]
    assert "471" not in re.sub("[0-9a-f]{64}", "", text)  # a hash may hold it by chance
    assert section(text, "failures").count("[c] of 300") == 2
    assert "298" not in section(text, "failures")


def test_an_unstated_origin_is_treated_as_real(page: Page) -> None:
    text = page("update staging.stg_common__delivery set synthetic = null", EXCLUDED)
    assert "ORIGIN NOT STATED" in text
    (_, *steps) = tables(text)["Attrition of her2_mcrc"]
    assert steps[0][1:] == ["[c]", "[c]", "0", "[c]"]


def test_agreement_and_second_programming_are_those_of_the_tables(page: Page) -> None:
    text = page(
        "insert into survival.recist_agreement values "
        "('her2_mcrc', 'PR', 'PR', 40, 90, 0.889, 0.75), ('her2_mcrc', 'PD', 'PD', 40, 90, "
        "0.889, 0.75), ('her2_mcrc', 'PR', 'PD', 10, 90, 0.889, 0.75)",
        "create schema if not exists results",
        "create table results.second_programming as select 'her2_mcrc' as study_id, "
        "'fig1' as exhibit, 'Kaplan-Meier estimates of OS' as what, 63 as n_compared, "
        "0.25 as largest_difference, false as agrees",
    )
    (_, _, *rows) = tables(text)["Agreement of responses, her2_mcrc"]
    assert rows == [
        ["PR", "40", "10", "50"],
        ["PD", "0", "40", "40"],
        ["All", "40", "50", "90"],
    ]
    assert "88.9%" in text
    assert tables(text)["Second programming"][1:] == [
        ["her2_mcrc, fig1", "Kaplan-Meier estimates of OS", "63", "2.5e-01", "differ"]
    ]
    assert headline(text) == "Publishable with warnings"
    assert "two programmes disagree on 1 result." in text


def test_drugs_without_a_name_are_counted_and_not_quoted(page: Page) -> None:
    text = page(
        "insert into treatment.unmapped_drugs (drug_text, n_rows, n_patients) "
        "values ('Secret elixir', 30, 6), ('Another', 12, 9)"
    )
    assert "does not know: 2, in 42 rows" in text
    assert "elixir" not in text


def test_no_key_and_no_value_of_a_patient_is_on_the_page(page: Page, warehouse: Path) -> None:
    canary = "Canary-7391"
    with duckdb.connect(str(warehouse)) as connection:
        texts = connection.execute(
            "select table_schema || '.' || table_name, column_name "
            "from information_schema.columns where data_type = 'VARCHAR' and column_name <> "
            "'study_id' and table_schema in ('staging', 'intermediate', 'raw', 'treatment', "
            "'survival', 'safety') and table_name <> 'stg_common__delivery'"
        ).fetchall()
        for table, column in texts:
            connection.execute(f"update {table} set \"{column}\" = '{canary}'")
        for table in ("cohort.cohort", "cohort.patient_characteristics", "cohort.biomarkers"):
            connection.execute(f"update {table} set patient_key = '{canary}'")
    assert canary not in page()


@pytest.mark.parametrize(
    "statement",
    [
        "update quality.source_files set file_name = $$",
        "update quality.source_files set sha256 = $$",
        "update staging.stg_common__delivery set site_code = $$",
        "update staging.stg_common__delivery set delivery_id = $$",
        "update cohort.cohort_attrition set criterion = $$",
        "update cohort.biomarkers set biomarker = $$",
        "update quality.expectation_results set name = $$",
        "update quality.expectation_results set status = 'fail', advice = $$",
        "update quality.expectation_results set status = 'error', detail = $$",
        "update quality.expectation_results set table_name = $$",
        "update quality.expectation_results set kahn_category = $$",
        "update reference.studies set title = $$",
        f"{QUARANTINED} $$ from range(1) as numbers (n)",
    ],
)
def test_hostile_text_is_text(page: Page, statement: str) -> None:
    text = page(statement.replace("$$", "$text$" + HOSTILE + "$text$"))
    assert "&lt;script&gt;alert(" in text
    assert "<script" not in text
    assert "<img" not in text
    assert "{{ 7*7 }}" in text


def test_the_page_needs_nothing_else(page: Page) -> None:
    text = page()
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in text
    assert not re.search(r"<(script|iframe|object|embed|form|base)\b", text)
    assert not re.search(r"(src|href)=\"(?!#|data:)", text)
    assert not re.search(r"url\((?!#)", text)


def test_every_link_of_the_crosswalk_leads_somewhere(page: Page) -> None:
    text = page()
    anchors = set(re.findall(r'href="#([^"]+)"', text))
    assert anchors <= set(re.findall(r'id="([^"]+)"', text))
    items = tables(text)["Reporting crosswalk"][1:]
    assert {item[0].split()[0] for item in items} == {"STROBE", "RECORD", "ESMO-GROW"}
    assert {item[2] for item in items} > {"author to write"}
    assert all(item[2] for item in items)


def test_there_is_room_to_sign(page: Page) -> None:
    text = section(page(), "sign-off")
    for word in ("Name", "Signature", "Date"):
        assert text.count(f"<span>{word}</span>") == len(report.SIGNATURES)
