"""docs/benchmarks.md: text by hand, and sections that the benchmarks write between two comments."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "docs"
PAGE = FOLDER / "benchmarks.md"


def replace_section(name: str, text: str) -> None:
    """Put a text between `<!-- name -->` and `<!-- /name -->`. Raises ValueError without them."""
    between = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
    before = PAGE.read_text()
    if not between.search(before):
        raise ValueError(f"{PAGE.name} has no section {name}")
    after = between.sub(lambda found: found[1] + "\n" + text.strip() + "\n" + found[2], before)
    PAGE.write_text(after)


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; all columns but the first are aligned to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
