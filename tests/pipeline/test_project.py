"""The project as a folder on somebody's disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import duckdb
import yaml

from pipeline.contract import read_contract
from tests import processes
from tests.conftest import rwe
from tests.patients import project


def test_a_project_that_was_moved_reads_its_own_seeds(tmp_path: Path) -> None:
    """Also where dbt parsed it at the old place, and another project lies there now."""
    delivery, database = tmp_path / "delivery", tmp_path / "work" / "warehouse.duckdb"
    rwe("demo", delivery, "--patients", 100, key_file=tmp_path / "pseudonym.key")
    database.parent.mkdir()
    old, new = tmp_path / "old", tmp_path / "new's"

    def seeded(folder: Path) -> set[str]:
        finished = processes.printed(
            processes.dbt,
            [
                *("seed", "--select", "her2_definitions"),
                *("--project-dir", str(folder)),
                *("--profiles-dir", str(folder)),
                *("--target-path", str(tmp_path / "target")),
                *("--log-path", str(tmp_path / "logs")),
            ],
            {
                **os.environ,
                "RWE_DATABASE": str(database),
                "RWE_DELIVERY": str(delivery),
                "RWE_KEY_FILE": str(tmp_path / "pseudonym.key"),
            },
        )
        assert finished.returncode == 0, finished.stdout
        with duckdb.connect(str(database), read_only=True) as connection:
            found = connection.execute("select * from reference.her2_definitions").fetchall()
        return {str(row) for row in found}

    project.copy(old, lambda seeds: None)
    before = seeded(old)
    shutil.copytree(old, new, symlinks=True)
    for seed in (old / "seeds").rglob("her2_definitions.csv"):
        header, *_ = seed.read_text(encoding="utf-8").splitlines()
        seed.write_text(header + "\n", encoding="utf-8")
    assert seeded(new) == before


def test_no_test_of_a_model_forbids_what_a_check_lets_pass() -> None:
    """A few repeats of the hospital's row keys are warned of; the check STR-003 says how many."""
    keys = {
        column.name
        for table in read_contract().tables.values()
        for column in table.columns
        if column.role == "row_key"
    }
    tested = [
        (model["name"], argument)
        for path in (processes.PROJECT / "models").rglob("*.yml")
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models") or ()
        for test in model.get("data_tests") or ()
        if "unique_combination" in test
        for argument in test["unique_combination"]["arguments"]["columns"]
    ]
    assert tested
    assert [(model, column) for model, column in tested if column in keys] == []


def test_every_column_of_a_seed_has_a_type() -> None:
    """Else dbt guesses: without a value, as in a seed that is left empty, it is a number."""
    files = (processes.PROJECT / "seeds").rglob("*.yml")
    seeds = [seed for file in files for seed in yaml.safe_load(file.read_text("utf-8"))["seeds"]]
    assert len(seeds) > 20
    for seed in seeds:
        typed = set(seed["config"]["column_types"])
        assert typed == {column["name"] for column in seed["columns"]}, seed["name"]


def test_dbt_clean_leaves_what_was_delivered_and_the_audit_trail() -> None:
    settings = yaml.safe_load((processes.PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))
    assert settings["clean-targets"] == ["target"]
