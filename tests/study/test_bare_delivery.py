"""A delivery with every file, but no value that the contract does not ask for."""

from __future__ import annotations

import csv

import pytest

from pipeline.contract import read_contract
from synthetic import generate
from tests.conftest import Run, rwe

#: The contract asks for it of patients who died.
OF_THE_DEAD = "death_date"
#: What each criterion rests on is not required, or cannot be told without what is not.
OPEN = {"metastatic_disease", "her2_positive", "measurable_lesion", "ecog", "comorbidity", "cycles"}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("bare")
    generate(folder / "whole", patients=300)
    delivery = folder / "extract"
    delivery.mkdir()
    for table in read_contract().tables.values():
        kept = {c.name for c in table.columns if c.required} | {table.patient_column, OF_THE_DEAD}
        with (
            (folder / "whole" / table.file_name).open(newline="", encoding="utf-8") as whole,
            (delivery / table.file_name).open("w", newline="", encoding="utf-8") as stream,
        ):
            rows = csv.DictReader(whole)
            writer = csv.DictWriter(stream, rows.fieldnames or ())
            writer.writeheader()
            writer.writerows({k: v if k in kept else "" for k, v in row.items()} for row in rows)
    run = Run(delivery, folder / "work", folder / "published")
    rwe("build", run.extract, "--work", run.work, "--published", run.published,
        key_file=folder / "pseudonym.key")  # fmt: skip
    return run


def test_what_may_be_left_empty_stops_nothing_and_is_never_a_no(bare: Run) -> None:
    with bare.open() as published:
        answers = published.execute(
            "select criterion_id, list(distinct met) from cohort.cohort_criteria group by all"
        ).fetchall()
        (included,) = published.execute(
            "select count(*) from cohort.cohort where included"
        ).fetchall()[0]
    assert {criterion for criterion, met in answers if met in ([], [None])} >= OPEN
    assert included == 0


def test_the_report_of_nobody_says_so_and_compares_nothing(bare: Run) -> None:
    report = (bare.current / "her2_mcrc.html").read_text(encoding="utf-8")
    assert "Nobody is left after the criterion" in report
    exhibits = report.count('<article class="exhibit"')
    assert exhibits > 20
    assert report.count("This delivery holds nothing for it") == exhibits
    assert "comparisons agree" not in report
