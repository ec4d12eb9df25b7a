"""The cohort flow diagram."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from analysis.pictures import INK, RULE, Picture, drawing

#: Inches.
WIDTH, BOX, SIDE, GAP = 5.2, 2.72, 2.2, 0.26
LINE, PADDING, SPACE = 0.155, 0.075, 0.15
#: Characters that fit a box; Arial's average is about half an em.
BOX_CHARACTERS, SIDE_CHARACTERS = 40, 32
FAINT = "#f5f6f8"


@dataclass(frozen=True)
class Step:
    """One criterion: how many remain, and how many it excludes and why."""

    criterion: str
    remaining: str
    not_met: str
    unknown: str


def flow_diagram(
    identifier: str, start: str, start_n: str, steps: Sequence[Step], title: str, description: str
) -> Picture:
    """Draw the patients from top to bottom, exclusions to the right."""
    boxes = [(textwrap.wrap(start, BOX_CHARACTERS), start_n)]
    boxes += [(textwrap.wrap(step.criterion, BOX_CHARACTERS), step.remaining) for step in steps]
    heights = [LINE * (len(lines) + 1) + 2 * PADDING for lines, _ in boxes]
    height = sum(heights) + SPACE * len(steps) + 0.04
    with drawing(WIDTH, height) as figure:
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(height, 0)
        axes.set_axis_off()
        y = 0.02
        for place, ((lines, count), box) in enumerate(zip(boxes, heights, strict=True)):
            if place:
                _arrow(axes, (BOX / 2, y), (BOX / 2, y + SPACE))
                y += SPACE
            _box(axes, y, box, lines, f"n = {count}", FAINT if place == 0 else "white")
            if place:
                _excluded(axes, steps[place - 1], y + box / 2)
            y += box
    return Picture(identifier, title, description, figure)


def _box(axes: Axes, y: float, height: float, lines: Sequence[str], count: str, face: str) -> None:
    _frame(axes, 0.02, y, BOX - 0.04, height, face, INK)
    for number, text in enumerate([*lines, count]):
        axes.text(
            BOX / 2,
            y + PADDING + LINE * (number + 0.5),
            text,
            ha="center",
            va="center",
            fontweight="bold" if number == len(lines) else "normal",
        )


def _excluded(axes: Axes, step: Step, middle: float) -> None:
    reasons = [
        f"{count} {reason}"
        for count, reason in ((step.not_met, "not met"), (step.unknown, "unknown"))
        if count != "0"
    ]
    if not reasons:
        return
    lines = textwrap.wrap(f"Excluded: {', '.join(reasons)}", SIDE_CHARACTERS)
    height = LINE * len(lines) + 1.4 * PADDING
    _arrow(axes, (BOX - 0.02, middle), (BOX + GAP, middle))
    _frame(axes, BOX + GAP, middle - height / 2, SIDE, height, "white", RULE)
    for number, text in enumerate(lines):
        y = middle - height / 2 + 0.7 * PADDING + LINE * (number + 0.5)
        axes.text(BOX + GAP + 0.1, y, text, ha="left", va="center")


def _frame(
    axes: Axes, x: float, y: float, width: float, height: float, face: str, edge: str
) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (x, y),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.03",
            facecolor=face,
            edgecolor=edge,
            linewidth=0.7,
        )
    )


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate(
        "",
        xy=end,
        xytext=start,
        arrowprops={"arrowstyle": "->", "color": INK, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0},
    )
