"""Forest-like figures of one quantity or several under many definitions."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from analysis.figures import ratio_ticks
from analysis.pictures import FULL_WIDTH, INK, MUTED, PALETTE, Picture, drawing

#: Inches; a label of several lines takes so much more for each.
ROW, LINE, HEAD_LINE, FOOT = 0.2, 0.1, 0.11, 0.42
#: Rows left free between two kinds of definitions.
BETWEEN = 0.5
LABELS, GAP, EDGE = 2.35, 0.22, 0.12
LABEL_CHARACTERS = 46
HEAD_CHARACTERS = 20


NO_ESTIMATE = "no estimate"


@dataclass(frozen=True)
class Point:
    """A number with its interval; None where there is none, `missing` then says why."""

    value: float | None
    lower: float | None
    upper: float | None
    missing: str = NO_ESTIMATE


@dataclass(frozen=True)
class Column:
    """One quantity: what it is, its axis, and a point for every row."""

    title: str
    axis: str
    is_ratio: bool
    points: Sequence[Point]


def sensitivity_forest(
    identifier: str,
    title: str,
    blocks: Mapping[str, Sequence[str]],
    columns: Sequence[Column],
    description: str,
) -> Picture:
    """Draw the quantities beside each other, a row for each definition.

    A dotted line continues the study's own estimate. An interval without an upper limit ends in an
    arrow.

    Parameters
    ----------
    blocks
        Labels of the definitions by their kind, the study's own first in each.
    columns
        Points in the order of the labels.
    """
    rows: list[float] = []
    first_rows: set[int] = set()
    place = 0.0
    texts: list[tuple[float, str, bool]] = []
    for heading, labels in blocks.items():
        texts.append((place, heading, True))
        place += 1
        first_rows.add(len(rows))
        for number, label in enumerate(labels):
            words = textwrap.wrap(label, LABEL_CHARACTERS)
            more = LINE / ROW * (len(words) - 1)
            texts.append((place + more / 2, "\n".join(words), number == 0))
            rows.append(place + more / 2)
            place += 1 + more
        place += BETWEEN
    depth = place - BETWEEN
    plot = ROW * depth
    heads = [textwrap.wrap(column.title, HEAD_CHARACTERS) for column in columns]
    head = HEAD_LINE * (1 + max(map(len, heads)))
    height = head + plot + FOOT
    width = (FULL_WIDTH - LABELS - EDGE - GAP * (len(columns) - 1)) / len(columns)
    headings = set(blocks)
    with drawing(FULL_WIDTH, height) as figure:
        for at, label, strong in texts:
            figure.text(
                0.005 if label in headings else 0.02,
                1 - (head + ROW * (at + 0.5)) / height,
                label,
                va="center",
                ha="left",
                fontsize=6.8,
                linespacing=1.05,
                color=MUTED if label in headings else INK,
                fontweight="bold" if strong else "normal",
            )
        for number, (column, words) in enumerate(zip(columns, heads, strict=True)):
            left = LABELS + number * (width + GAP)
            axes = figure.add_axes(
                (left / FULL_WIDTH, FOOT / height, width / FULL_WIDTH, plot / height)
            )
            figure.text(
                (left + width / 2) / FULL_WIDTH,
                1 - head / 2 / height,
                "\n".join(words),
                va="center",
                ha="center",
                fontsize=6.6,
                fontweight="bold",
                linespacing=1.15,
            )
            _draw_column(axes, column, rows, first_rows, depth)
    return Picture(identifier, title, description, figure)


def _draw_column(
    axes: Axes, column: Column, rows: Sequence[float], own_rows: set[int], depth: float
) -> None:
    low, high = _limits(column)
    if column.is_ratio:
        axes.set_xscale("log")
        ticks = ratio_ticks(low, high)
        axes.axvline(1, color=MUTED, linewidth=0.7, zorder=1)
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
    else:
        axes.locator_params(axis="x", nbins=4)
    axes.set_xlim(low, high)
    axes.set_ylim(depth - 0.5, -0.5)
    own = column.points[0].value if column.points else None
    if own is not None:
        axes.axvline(own, color=PALETTE[0], linewidth=0.6, linestyle=(0, (1.5, 2)), zorder=1)
    for number, (place, point) in enumerate(zip(rows, column.points, strict=True)):
        shade = PALETTE[0] if number in own_rows else MUTED
        if point.lower is not None:
            end = high if point.upper is None else point.upper
            axes.plot([point.lower, end], [place, place], color=shade, linewidth=1.2)
            if point.upper is None:
                axes.plot([high], [place], marker=">", markersize=3.5, color=shade, clip_on=False)
        if point.value is not None:
            axes.plot([point.value], [place], marker="s", markersize=4, color=shade)
        else:
            axes.text(high, place, point.missing, fontsize=6, color=MUTED, va="center", ha="right")
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=3, pad=3, labelsize=6.8)
    axes.set_xlabel(column.axis, labelpad=3, fontsize=6.8)


def _limits(column: Column) -> tuple[float, float]:
    found = [
        number
        for point in column.points
        for number in (point.value, point.lower, point.upper)
        if number is not None and np.isfinite(number) and (number > 0 or not column.is_ratio)
    ]
    if column.is_ratio:
        return min([0.5, *found]) / 1.15, max([2.0, *found]) * 1.15
    return 0.0, 1.08 * max(found, default=1.0) or 1.0
