"""Where things lie: relative to the folder that holds dbt_project.yml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
DEMO_EXTRACT = PROJECT / "extracts" / "demo"
DIRTY_EXTRACT = PROJECT / "extracts" / "dirty"


@dataclass(frozen=True)
class Layout:
    """The folders of one warehouse: where it is built (private) and where it is published."""

    work: Path = PROJECT / "build"
    published: Path = PROJECT / "published"

    @property
    def warehouse(self) -> Path:
        """The file being built; it holds dates and raw rows, and is never the published one."""
        return self.work / "warehouse.duckdb"

    @property
    def target(self) -> Path:
        """dbt's own output."""
        return self.work / "target"

    @property
    def current(self) -> Path:
        """Pointer to the run that is published."""
        return self.published / "current"
