"""`dbt build` by itself, as the README gives it: one variable names the delivery's folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb

from tests.conftest import PROJECT, Run

DOCS = ("docs", "generate")


def dbt_build(
    delivery: Path,
    folder: Path,
    key_folder: Path,
    file_name: str = "warehouse.duckdb",
    command: tuple[str, ...] = ("build",),
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")),
            *command,
            *("--vars", f"delivery: {delivery}"),
            *("--target-path", str(folder / "target")),
            *("--log-path", str(folder / "logs")),
        ],
        cwd=PROJECT,
        env={
            **os.environ,
            "RWE_DATABASE": str(folder / file_name),
            "RWE_KEY_FILE": str(key_folder / "pseudonym.key"),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_takes_a_delivery_to_tested_marts(demo: Run, tmp_path: Path) -> None:
    """With the unit tests of the models, which `rwe build` leaves out."""
    finished = dbt_build(demo.extract, tmp_path, demo.extract.parent)
    assert finished.returncode == 0, finished.stdout
    results = json.loads((tmp_path / "target" / "run_results.json").read_text())["results"]
    outcomes = {result["unique_id"]: result["status"] for result in results}
    assert set(outcomes.values()) == {"success", "pass"}
    models = {path.stem for path in (PROJECT / "models").rglob("*.sql")}
    assert models <= {name.rpartition(".")[2] for name in outcomes if name.startswith("model.")}
    assert sum(name.startswith("unit_test.") for name in outcomes) >= 8

    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        connection.execute(f"attach '{demo.work / 'warehouse.duckdb'}' as by_rwe (read_only)")
        for mart in ("cohort.cohort", "treatment.lines_of_therapy", "survival.survival_intervals"):
            (differing,) = connection.execute(
                f"select count(*) from ((from {mart} except from by_rwe.{mart}) "
                f"union all (from by_rwe.{mart} except from {mart}))"
            ).fetchall()[0]
            assert differing == 0, mart

    finished = dbt_build(demo.extract, tmp_path, demo.extract.parent, command=DOCS)
    assert finished.returncode == 0, finished.stdout
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        runs = connection.execute("select count(distinct run_id) from quality.expectation_results")
        assert runs.fetchall() == [(1,)], "to document a build is no run of its checks"


def test_what_reads_a_build_does_not_land_a_delivery(demo: Run, tmp_path: Path) -> None:
    finished = dbt_build(demo.extract, tmp_path, demo.extract.parent, command=DOCS)
    assert finished.returncode != 0
    assert f"There is no build in {tmp_path}" in finished.stdout
    assert not list(tmp_path.glob("deliveries"))


def test_a_folder_that_is_missing_or_empty_is_named(demo: Run, tmp_path: Path) -> None:
    folder = tmp_path / "nowhere"

    def refused() -> str:
        finished = dbt_build(folder, tmp_path, demo.extract.parent)
        assert finished.returncode != 0
        assert "Traceback" not in finished.stdout + finished.stderr
        return finished.stdout

    said = {"missing": refused()}
    folder.mkdir()
    said["empty"] = refused()
    assert all(f"The delivery {folder} cannot be read" in text for text in said.values())
    assert "the folder does not exist" in said["missing"]
    assert "the folder is empty" in said["empty"]

    folder = Path("20210301")
    assert "The delivery 20210301 cannot be read" in refused()


def test_a_work_folder_is_made_and_another_name_of_the_file_refused(
    demo: Run, tmp_path: Path
) -> None:
    """Both are told before anything is landed."""
    nowhere = tmp_path / "nowhere"
    finished = dbt_build(nowhere, tmp_path / "new" / "work", demo.extract.parent)
    assert f"The delivery {nowhere} cannot be read" in finished.stdout
    finished = dbt_build(demo.extract, tmp_path, demo.extract.parent, file_name="other.duckdb")
    assert finished.returncode != 0
    assert "the file must be called warehouse.duckdb" in finished.stdout
    assert "Traceback" not in finished.stdout + finished.stderr
