"""The study's quality plan, check by check: run here, or listed with the reason why not."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import yaml

from expectations import catalogue_docs
from expectations.catalogue import held_elsewhere
from expectations.run import all_checks
from pipeline.paths import PROJECT

# Identifiers and names of the study's quality plan, version 1 of 22 November 2026: 149 checks.
PLAN = Path(__file__).with_name("required_checks.csv")

CHECKED = {check.check_id for check in all_checks()}
HELD = {entry["id"]: entry for entry in held_elsewhere()}


def planned() -> list[str]:
    with PLAN.open(encoding="utf-8", newline="") as stream:
        return [row["check_id"] for row in csv.DictReader(stream)]


def test_every_check_of_the_plan_is_run_or_listed_with_a_reason() -> None:
    assert len(set(planned())) == 149
    for check_id in planned():
        assert (check_id in CHECKED) != (check_id in HELD), check_id
    assert set(HELD) <= set(planned())


def test_what_holds_a_check_elsewhere_exists() -> None:
    for check_id, entry in HELD.items():
        assert entry["reason"].strip(), check_id
        assert set(entry) <= {"id", "name", "reason", "held_by", "test"}
        if held_by := entry.get("held_by"):
            assert (PROJECT / held_by).exists(), held_by
        if test := entry.get("test"):
            path, _, name = test.partition("::")
            assert f"def {name}(" in (PROJECT / path).read_text(encoding="utf-8"), test


def test_the_committed_page_is_up_to_date() -> None:
    written = catalogue_docs.DOCUMENT.read_text(encoding="utf-8")
    assert written == catalogue_docs.render(), "run: rwe contract"


def test_every_check_is_on_the_page() -> None:
    page = catalogue_docs.render()
    for check_id in CHECKED:
        assert f"\n### {check_id} " in page
    for check_id in HELD:
        assert f"\n| {check_id} |" in page


def test_every_rule_is_on_the_page_in_its_own_words() -> None:
    """Also where two rules share a number, or one kind of rule gives its numbers to another."""
    page = catalogue_docs.render()
    for check in all_checks():
        sections = page.split(f"\n### {check.check_id} ")[1:]
        rationale = " ".join(check.rationale.split())
        (heading,) = (
            section.partition("\n")[0]
            for section in sections
            if f"\n{rationale} **Advice:**" in section.partition("\n#")[0]
        )
        said = re.sub(r"\\\*(column|table)\\\*", ".+", re.escape(heading))
        assert re.fullmatch(said, check.name), check.check_id


def test_the_gate_of_the_marts_waits_for_whatever_its_checks_read() -> None:
    """A table that is built later would make its check not applicable, and nobody would see."""
    gates = PROJECT / "models" / "staging" / "gates"
    named = (gates / "marts_gate.sql").read_text(encoding="utf-8")
    before = {"quarantine", "source_files"}  # as is staging, and what the contract delivers
    for check in all_checks():
        for table in check.tables:
            schema, _, name = table.partition(".")
            if check.layer == "marts" and schema not in ("staging", "raw") and name not in before:
                assert f"'{name}'" in named, f"{check.check_id} reads {table}"


def test_nothing_is_derived_before_the_gate() -> None:
    folders = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["models"][
        "oncology_rwe"
    ]
    marts = {path.name for path in (PROJECT / "models" / "marts").iterdir() if path.is_dir()}
    derived = [folders["intermediate"], *(folders["marts"][name] for name in marts - {"quality"})]
    assert {folder["+pre-hook"] for folder in derived} == {"{% do ref('extract_gate') %}"}
