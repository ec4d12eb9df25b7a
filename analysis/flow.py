"""The cohort flow diagram as inline SVG."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 500
BOX, SIDE, GAP = 262, 214, 24
LINE, PADDING, SPACE = 16, 10, 16
#: Characters that fit a box at 12.5 px; Arial's average is about half an em.
BOX_CHARACTERS, SIDE_CHARACTERS = 38, 32


@dataclass(frozen=True)
class Step:
    """One criterion: how many remain, and how many it excludes and why."""

    criterion: str
    remaining: str
    not_met: str
    unknown: str


def flow_diagram(
    identifier: str, start: str, start_n: str, steps: Sequence[Step], title: str, description: str
) -> str:
    """Draw the patients from top to bottom, exclusions to the right."""
    parts: list[str] = []
    y = 1.0
    y = _box(parts, 0, y, BOX, textwrap.wrap(start, BOX_CHARACTERS), f"n = {start_n}", "start")
    for step in steps:
        lines = textwrap.wrap(step.criterion, BOX_CHARACTERS)
        top = y + SPACE
        height = _height(lines)
        middle = top + height / 2
        parts.append(_arrow(BOX / 2, y, BOX / 2, top))
        y = _box(parts, 0, top, BOX, lines, f"n = {step.remaining}", "step")
        reasons = [
            f"{count} {reason}"
            for count, reason in ((step.not_met, "not met"), (step.unknown, "unknown"))
            if count != "0"
        ]
        if reasons:
            parts.append(_arrow(BOX, middle, BOX + GAP, middle))
            excluded = textwrap.wrap(f"Excluded: {', '.join(reasons)}", SIDE_CHARACTERS)
            _side(parts, BOX + GAP, middle, excluded)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 1:.0f}" role="img" '
        f'class="flow" aria-labelledby="{identifier}-title {identifier}-desc">'
        f'<title id="{identifier}-title">{escape(title)}</title>'
        f'<desc id="{identifier}-desc">{escape(description)}</desc>' + "".join(parts) + "</svg>"
    )


def _height(lines: Sequence[str]) -> float:
    return LINE * (len(lines) + 1) + 2 * PADDING - 4


def _box(
    parts: list[str], x: float, y: float, width: float, lines: Sequence[str], count: str, kind: str
) -> float:
    height = _height(lines)
    parts.append(
        f'<rect class="{kind}" x="{x + 1}" y="{y}" width="{width - 2}" height="{height}" rx="3"/>'
    )
    for number, text in enumerate([*lines, count]):
        emphasis = ' class="count"' if text is count else ""
        parts.append(
            f'<text{emphasis} x="{x + width / 2}" y="{y + PADDING + 11 + LINE * number}" '
            f'text-anchor="middle">{escape(text)}</text>'
        )
    return y + height


def _side(parts: list[str], x: float, middle: float, lines: Sequence[str]) -> None:
    height = LINE * len(lines) + 2 * PADDING - 6
    y = middle - height / 2
    parts.append(
        f'<rect class="side" x="{x}" y="{y}" width="{SIDE - 2}" height="{height}" rx="3"/>'
    )
    for number, text in enumerate(lines):
        parts.append(
            f'<text x="{x + 12}" y="{y + PADDING + 8 + LINE * number}">{escape(text)}</text>'
        )


def _arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    head = (
        f"M{x2 - 4} {y2 - 6}L{x2} {y2}L{x2 + 4} {y2 - 6}"
        if x1 == x2
        else f"M{x2 - 6} {y2 - 4}L{x2} {y2}L{x2 - 6} {y2 + 4}"
    )
    return f'<path class="arrow" d="M{x1} {y1}L{x2} {y2}{head}"/>'
