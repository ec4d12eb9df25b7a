"""Forest-like figures of one quantity or several under many definitions."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from analysis.figures import ratio_ticks
from analysis.pictures import FULL_WIDTH, MUTED, PALETTE, Picture, drawing

#: Inches.
ROW, HEAD, FOOT = 0.22, 0.5, 0.42
LABELS, GAP, EDGE = 2.35, 0.22, 0.12
LABEL_CHARACTERS = 46
HEAD_CHARACTERS = 20


@dataclass(frozen=True)
class Point:
    """A number with its interval; None where not reached or not estimable."""

    value: float | None
    lower: float | None
    upper: float | None


@dataclass(frozen=True)
class Column:
    """One quantity: what it is, its axis, and a point for every row."""

    title: str
    axis: str
    is_ratio: bool
    points: Sequence[Point]


def sensitivity_forest(
    identifier: str, title: str, labels: Sequence[str], columns: Sequence[Column], description: str
) -> Picture:
    """Draw the quantities beside each other, a row for each definition, the study's own first.

    A dotted line continues the first row. An interval without an upper limit ends in an arrow.
    """
    plot = ROW * len(labels)
    height = HEAD + plot + FOOT
    width = (FULL_WIDTH - LABELS - EDGE - GAP * (len(columns) - 1)) / len(columns)
    with drawing(FULL_WIDTH, height) as figure:
        for place, label in enumerate(labels):
            figure.text(
                0.005,
                1 - (HEAD + ROW * (place + 0.5)) / height,
                "\n".join(textwrap.wrap(label, LABEL_CHARACTERS)),
                va="center",
                ha="left",
                fontsize=6.8,
                linespacing=0.95,
                fontweight="bold" if place == 0 else "normal",
            )
        for place, column in enumerate(columns):
            left = LABELS + place * (width + GAP)
            axes = figure.add_axes(
                (left / FULL_WIDTH, FOOT / height, width / FULL_WIDTH, plot / height)
            )
            figure.text(
                (left + width / 2) / FULL_WIDTH,
                1 - 0.24 / height,
                "\n".join(textwrap.wrap(column.title, HEAD_CHARACTERS)),
                va="center",
                ha="center",
                fontsize=6.6,
                fontweight="bold",
                linespacing=1.15,
            )
            _draw_column(axes, column)
    return Picture(identifier, title, description, figure)


def _draw_column(axes: Axes, column: Column) -> None:
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
    axes.set_ylim(len(column.points) - 0.5, -0.5)
    own = column.points[0].value if column.points else None
    if own is not None:
        axes.axvline(own, color=PALETTE[0], linewidth=0.6, linestyle=(0, (1.5, 2)), zorder=1)
    for place, point in enumerate(column.points):
        shade = PALETTE[0] if place == 0 else MUTED
        if point.lower is not None:
            end = high if point.upper is None else point.upper
            axes.plot([point.lower, end], [place, place], color=shade, linewidth=1.2)
            if point.upper is None:
                axes.plot([high], [place], marker=">", markersize=3.5, color=shade, clip_on=False)
        if point.value is not None:
            axes.plot([point.value], [place], marker="s", markersize=4, color=shade)
        else:
            axes.text(high, place, "no estimate", fontsize=6, color=MUTED, va="center", ha="right")
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
