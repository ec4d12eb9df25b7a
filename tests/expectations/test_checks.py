"""What a check's counts mean, and what the catalogue may and may not say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from expectations import checks
from expectations.catalogue import CATALOGUE_FILE, condition, read_checks, read_kinds, tables_read
from expectations.run import all_checks
from pipeline import run
from pipeline.contract import read_contract
from pipeline.errors import CommandError
from pipeline.paths import PROJECT, Layout

CHECKS = all_checks()

CHECK = checks.Check(
    check_id="TST-001",
    table="staging.stg_common__patients",
    columns=("sex",),
    name="A rule",
    kahn_category="Conformance",
    kahn_subcategory="Value",
    kahn_context="Verification",
    severity="blocking",
    warn_above=1,
    block_above=5,
    denominator="rows",
    rationale="Because.",
    advice="Do.",
    rule=checks.Condition("sex is null"),
)
WARNING = replace(CHECK, severity="warning", block_above=None)


@pytest.mark.parametrize(
    ("n_violating", "status", "blocks"),
    [
        (0, "pass", False),
        (1, "pass", False),
        (2, "fail", False),
        (5, "fail", False),
        (6, "fail", True),
    ],
)
def test_thresholds_are_shares_and_are_reached_only_when_exceeded(
    n_violating: int, status: str, blocks: bool
) -> None:
    result = checks.counted(CHECK, n_violating, 100)
    assert (result.status, result.blocks) == (status, blocks)
    assert (result.n_violating, result.n_checked) == (n_violating, 100)


def test_a_warning_without_a_limit_never_blocks() -> None:
    assert not checks.counted(WARNING, 100, 100).blocks


def test_nothing_checked_is_not_applicable() -> None:
    result = checks.counted(CHECK, 0, 0)
    assert (result.status, result.blocks, result.n_checked) == ("not_applicable", False, 0)


def test_a_blocking_check_in_error_blocks_and_a_warning_does_not() -> None:
    assert checks.errored(CHECK, "why").blocks
    assert not checks.errored(WARNING, "why").blocks


def test_contradictory_thresholds_are_refused() -> None:
    with pytest.raises(CommandError, match="TST-001: block_above is below"):
        replace(CHECK, warn_above=6)
    with pytest.raises(CommandError, match="TST-001: a blocking check needs"):
        replace(CHECK, block_above=None)


def test_a_catalogue_that_contradicts_itself_is_told_before_a_build_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = CATALOGUE_FILE.read_text(encoding="utf-8")
    broken = tmp_path / "catalogue.yml"
    broken.write_text(
        text.replace("warn_above: 1, block_above: 10", "warn_above: 11, block_above: 10")
    )
    monkeypatch.setattr("expectations.run.read_checks", lambda: read_checks(broken))
    monkeypatch.setattr(run, "all_checks", all_checks.__wrapped__)
    layout = Layout(tmp_path / "work", tmp_path / "published")
    with (
        pytest.raises(CommandError, match="block_above is below warn_above"),
        run.workplace(tmp_path, layout),
    ):
        pass
    assert not layout.work.exists()


def test_every_result_can_be_told_from_every_other() -> None:
    keys = [(check.check_id, check.table, check.columns) for check in CHECKS]
    assert len(keys) == len(set(keys))


def test_categories_are_those_of_kahn() -> None:
    subcategories = {
        "Conformance": {"Value", "Relational", "Computational"},
        "Completeness": {None},
        "Plausibility": {"Atemporal", "Temporal"},
    }
    for check in CHECKS:
        assert check.kahn_subcategory in subcategories[check.kahn_category], check.check_id
        assert check.kahn_context in ("Verification", "Validation"), check.check_id


def test_texts_are_filled_in() -> None:
    for check in CHECKS:
        for text in (check.name, check.rationale, check.advice, check.denominator):
            assert text, check.check_id
            assert not set("{}") & set(text), check.check_id


def test_every_kind_of_promise_is_made_by_the_contract() -> None:
    made = {check.check_id for check in CHECKS}
    assert {kind.entry["id"] for kind in read_kinds().values()} <= made


def test_every_table_that_a_check_reads_is_one_of_the_project() -> None:
    """A misspelt table would make its check not applicable for ever."""
    models = {path.stem for path in (PROJECT / "models").rglob("*.sql")}
    seeds = {path.stem for path in (PROJECT / "seeds").rglob("*.csv")}
    delivered = set(read_contract().tables)
    known = {"reference": seeds, "raw": delivered}
    for check in CHECKS:
        for table in check.tables:
            schema, _, name = table.partition(".")
            assert name in known.get(schema, models), f"{check.check_id} reads {table}"


def test_the_tables_of_a_condition_are_found_in_its_text() -> None:
    query = """
        select 1 from (with d as (select * from staging.a) select * from d) as checked
        where exists (select 1 from cohort.cohort as cohort where cohort.x = checked.x)
    """
    assert tables_read(query) == {"staging.a", "cohort.cohort"}
    assert condition("staging.a", "x > (select max(y) from staging.b)").reads == {"staging.b"}
    assert tables_read("select from where") == frozenset()


def test_layers_follow_from_what_is_read() -> None:
    layers = {check.check_id: check.layer for check in read_checks()}
    assert layers["VIT-004"] == "staging"
    assert layers["MRT-001"] == "marts"
    assert layers["MOL-004"] == "marts"
