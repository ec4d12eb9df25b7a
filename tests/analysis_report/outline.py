"""A page as its headings, table cells and tags."""

from __future__ import annotations

from html.parser import HTMLParser

#: Tags that HTML5 does not close.
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Outline(HTMLParser):
    """Headings, table cells, tags and whether they nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[tuple[int, str]] = []
        self.cells: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.identifiers: list[str] = []
        self._open: list[str] = []
        self._text = ""
        self._in_data = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if identifier := attributes.get("id"):
            self.identifiers.append(identifier)
        if tag == "table":
            self._in_data = attributes.get("class") == "data"
        if tag in ("h1", "h2", "h3", "td"):
            self._text = ""
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open[-1] == tag, f"</{tag}> closes {self._open[-1:]}"
        self._open.pop()
        if tag in ("h1", "h2", "h3"):
            self.headings.append((int(tag[1]), self._text.strip()))
        if tag == "td" and self._in_data:
            self.cells.append(self._text.strip())

    def handle_data(self, data: str) -> None:
        self._text += data
