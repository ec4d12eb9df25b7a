"""sqlfluff finds nothing to say about the SQL that dbt compiles."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import PROJECT, Run


def test_sqlfluff_is_clean(demo: Run, tmp_path: Path) -> None:
    # dbt compiles against a delivery, and in a warehouse that holds its tables.
    warehouse = shutil.copy(demo.work / "warehouse.duckdb", tmp_path)
    context = tmp_path / "context.cfg"
    context.write_text(f"[sqlfluff:templater:dbt:context]\ndelivery = {demo.extract}\n")
    finished = subprocess.run(
        [
            str(Path(sys.executable).with_name("sqlfluff")),
            "lint",
            *("--config", str(context)),
            *("models", "tests/dbt"),
        ],
        cwd=PROJECT,
        env={
            **os.environ,
            "RWE_DATABASE": str(warehouse),
            "RWE_KEY_FILE": str(demo.extract.parent / "pseudonym.key"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    said = finished.stdout + finished.stderr
    assert finished.returncode == 0, said
    skipped = [line for line in said.splitlines() if "Skipped file" in line]
    assert all("because it is a macro" in line for line in skipped), said
