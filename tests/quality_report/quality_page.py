"""The run that the pages are of, and how to read a page's tables as a reader sees them."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser

RUN = {"run_id": "20210301T120000Z-0a1b", "started": "2021-03-01 12:00 UTC", "python": "3.11.7"}

# Takes statements, and results to store instead of those of the checks; returns the page.
Page = Callable[..., str]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.label = ""
        self.cell: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "div" and found.get("role") == "region":
            self.label = str(found["aria-label"])
        elif tag == "table":
            self.tables[self.label] = []
        elif tag == "tr":
            self.tables[self.label].append([])
        elif tag in ("td", "th"):
            self.cell = []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self.cell is not None:
            self.tables[self.label][-1].append(" ".join("".join(self.cell).split()))
            self.cell = None

    def handle_data(self, data: str) -> None:
        if self.cell is not None:
            self.cell.append(data)


def tables(page: str) -> dict[str, list[list[str]]]:
    """Return the rows of each table, head included, by the label of the box it scrolls in."""
    reader = _Reader()
    reader.feed(page)
    return reader.tables


def section(page: str, anchor: str) -> str:
    """Return the HTML of a section."""
    return page.split(f'<section id="{anchor}">')[1].split("</section>")[0]
