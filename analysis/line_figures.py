"""Figures of the lines of therapy: every patient's course, and what follows what."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from analysis.lines import DEATH, LINE, OBSERVED, ONGOING, PROGRESSION
from analysis.pictures import FULL_WIDTH, HATCHES, INK, MUTED, RULE, Picture, colour, drawing

#: Inches.
LANE, PANEL_HEAD, LEGEND_ROW, AXIS = 0.098, 0.25, 0.19, 0.52
SIDE = 0.12
#: Share of a lane that its bar takes.
BAR = 0.74
#: Inches of a colour in the legend.
SWATCH = 0.08

MONTHS_PER_TICK = (6, 12, 24, 36, 60)
MOST_TICKS = 10

#: Marks of the swimmer plot, in the order of the legend: shape, face, words.
MARKS: dict[str, tuple[str, str, str]] = {
    PROGRESSION: ("d", "white", "progression in the line"),
    DEATH: ("X", INK, "death"),
    ONGOING: (">", INK, "line not known to have ended"),
}

#: Alluvial figure, inches: an inch of height for so many patients, and the least step of labels.
ALLUVIAL_HEIGHT, NODE_GAP, NODE_WIDTH = 3.4, 0.17, 0.13
LABEL_CHARACTERS = 20
NEUTRAL = "#8a929c"


@dataclass(frozen=True)
class Node:
    """A group of patients in a line, with the number as printed."""

    column: int
    group: str
    label: str
    n: int
    shown: str


@dataclass(frozen=True)
class Flow:
    """So many patients of one group who pass to another group of the next line."""

    column: int
    source: str
    target: str
    n: int
    shown: str


def swimmer_plot(
    identifier: str,
    title: str,
    bars: pd.DataFrame,
    groups: Mapping[str, tuple[int, str]],
    sizes: Mapping[str, str],
    x_label: str,
    description: str,
) -> Picture:
    """Draw a lane for each patient, the first line's groups under one another.

    Parameters
    ----------
    bars
        Rows of results.figure_bars.
    groups
        Place and label of every group, in the order of the legend.
    sizes
        Patients of each group of the first line, as printed.
    """
    panels = list(dict.fromkeys(bars.sort_values("position")["panel"]))
    lanes = bars["position"].nunique()
    used = [name for name in groups if name in set(bars["level"].dropna())]
    legend = LEGEND_ROW * (-(-len(used) // 3) + 1) + 0.12
    plot = LANE * lanes + PANEL_HEAD * len(panels)
    height = legend + plot + AXIS
    longest = float(bars[["start_value", "end_value"]].max().max())
    with drawing(FULL_WIDTH, height) as figure:
        axes = figure.add_axes(
            (SIDE / FULL_WIDTH, AXIS / height, 1 - 2 * SIDE / FULL_WIDTH, plot / height)
        )
        axes.set_xlim(0, max(longest, 1.0) * 1.015)
        axes.set_ylim(plot, 0)
        tops = _lane_tops(bars, panels)
        _draw_lanes(axes, bars, tops, groups)
        for panel in panels:
            first = int(bars.loc[bars["panel"] == panel, "position"].min())
            axes.text(
                0,
                tops[first] - 0.06,
                f"First line {_lower(groups[panel][1])}: {sizes[panel]}",
                fontsize=7.2,
                fontweight="bold",
                va="bottom",
                ha="left",
            )
        _legend(figure, used, groups, height)
        step = next((s for s in MONTHS_PER_TICK if longest / s <= MOST_TICKS), MONTHS_PER_TICK[-1])
        axes.set_xticks(range(0, int(longest) + 1, step))
        axes.set_yticks([])
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(length=3, pad=3)
        axes.set_xlabel(x_label, labelpad=4)
    return Picture(identifier, title, description, figure)


def _lower(label: str) -> str:
    return label[:1].lower() + label[1:]


def _lane_tops(bars: pd.DataFrame, panels: Sequence[str]) -> dict[int, float]:
    """Upper edge of each lane, inches from the top of the plot."""
    tops: dict[int, float] = {}
    y = 0.0
    for panel in panels:
        y += PANEL_HEAD
        for position in sorted(set(bars.loc[bars["panel"] == panel, "position"])):
            tops[int(position)] = y
            y += LANE
    return tops


def _draw_lanes(
    axes: Axes,
    bars: pd.DataFrame,
    tops: Mapping[int, float],
    groups: Mapping[str, tuple[int, str]],
) -> None:
    top = bars["position"].astype(int).map(tops)
    bars = bars.assign(top=top, middle=top + LANE / 2)
    seen, lines = bars[bars["part"] == OBSERVED], bars[bars["part"] == LINE]
    axes.hlines(
        seen["middle"], seen["start_value"], seen["end_value"], color=RULE, linewidth=1.1, zorder=1
    )
    lines = lines.assign(width=(lines["end_value"] - lines["start_value"]).clip(lower=0))
    for name, own in lines.groupby("level", sort=False, dropna=False):
        boxes = [
            Rectangle(
                (row["start_value"], row["top"] + LANE * (1 - BAR) / 2), row["width"], LANE * BAR
            )
            for row in own.to_dict("records")
        ]
        axes.add_collection(
            PatchCollection(
                boxes,
                facecolor=_shade(groups, str(name)),
                hatch=_hatch(groups, str(name)),
                edgecolor="white",
                linewidth=0.5,
                zorder=2,
            )
        )
    for part, (shape, face, _) in MARKS.items():
        marks = bars[bars["part"] == part]
        axes.plot(
            marks["start_value"],
            marks["middle"],
            marker=shape,
            markersize=4.0,
            markerfacecolor=face,
            markeredgecolor=INK,
            markeredgewidth=0.6,
            linestyle="none",
            clip_on=False,
            zorder=4,
        )


def _shade(groups: Mapping[str, tuple[int, str]], name: str) -> str:
    return colour(groups[name][0]) if name in groups else NEUTRAL


def _hatch(groups: Mapping[str, tuple[int, str]], name: str) -> str:
    return HATCHES[groups[name][0] % len(HATCHES)] if name in groups else ""


def _legend(
    figure: Figure, used: Sequence[str], groups: Mapping[str, tuple[int, str]], height: float
) -> None:
    columns = (0.018, 0.345, 0.672)
    for place, name in enumerate(used):
        y = 1 - LEGEND_ROW * (place // 3 + 0.6) / height
        x = columns[place % 3]
        figure.add_artist(
            Rectangle(
                (x, y - SWATCH / 2 / height),
                0.022,
                SWATCH / height,
                facecolor=_shade(groups, name),
                hatch=_hatch(groups, name),
                edgecolor="white",
                linewidth=0,
            )
        )
        figure.text(x + 0.03, y, groups[name][1], va="center", ha="left", fontsize=7.2)
    y = 1 - LEGEND_ROW * (-(-len(used) // 3) + 0.6) / height
    for x, (shape, face, words) in zip(columns, MARKS.values(), strict=True):
        figure.add_artist(
            Line2D(
                [x + 0.011],
                [y],
                marker=shape,
                markersize=4.4,
                markerfacecolor=face,
                markeredgecolor=INK,
                markeredgewidth=0.6,
                linestyle="none",
            )
        )
        figure.text(x + 0.03, y, words, va="center", ha="left", fontsize=7.2)


def alluvial(
    identifier: str,
    title: str,
    columns: Sequence[str],
    nodes: Sequence[Node],
    flows: Sequence[Flow],
    order: Mapping[str, int],
    description: str,
) -> Picture:
    """Draw patients as ribbons from the group of one line to the group of the next.

    Parameters
    ----------
    columns
        Heading of every line.
    order
        Place of every group that has a colour; others are grey.
    """
    total = max(sum(node.n for node in nodes if node.column == 0), 1)
    inch = ALLUVIAL_HEIGHT / total
    tallest = max(
        sum(node.n * inch + NODE_GAP for node in nodes if node.column == column)
        for column in range(len(columns))
    )
    height = tallest + 0.45
    step = (FULL_WIDTH - 1.75) / max(len(columns) - 1, 1)
    with drawing(FULL_WIDTH, height) as figure:
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_xlim(0, FULL_WIDTH)
        axes.set_ylim(height, 0)
        axes.set_axis_off()
        tops: dict[tuple[int, str], float] = {}
        for column, heading in enumerate(columns):
            x, y = 0.13 + column * step, 0.4
            axes.text(x, 0.14, heading, fontsize=8.2, fontweight="bold", va="center", ha="left")
            for node in (node for node in nodes if node.column == column):
                tops[column, node.group] = y
                _draw_node(axes, node, x, y, inch, order)
                y += node.n * inch + NODE_GAP
        _draw_flows(axes, flows, tops, step, inch, order)
    return Picture(identifier, title, description, figure)


def _draw_node(
    axes: Axes, node: Node, x: float, y: float, inch: float, order: Mapping[str, int]
) -> None:
    axes.add_patch(
        Rectangle(
            (x, y),
            NODE_WIDTH,
            node.n * inch,
            facecolor=_ribbon(order, node.group),
            linewidth=0,
            zorder=3,
        )
    )
    words = textwrap.wrap(f"{node.label} {node.shown}", LABEL_CHARACTERS)
    if node.n * inch < 0.2:
        words = [" ".join(words)]
    axes.text(
        x + NODE_WIDTH + 0.06,
        y + node.n * inch / 2,
        "\n".join(words),
        fontsize=7.2,
        va="center",
        ha="left",
        linespacing=1.15,
        zorder=4,
    )


def _ribbon(order: Mapping[str, int], group: str) -> str:
    return colour(order[group]) if group in order else NEUTRAL


def _draw_flows(
    axes: Axes,
    flows: Sequence[Flow],
    tops: Mapping[tuple[int, str], float],
    step: float,
    inch: float,
    order: Mapping[str, int],
) -> None:
    left, right = dict(tops), dict(tops)
    for flow in flows:
        x1 = 0.13 + flow.column * step + NODE_WIDTH
        x2 = 0.13 + (flow.column + 1) * step
        y1, y2 = left[flow.column, flow.source], right[flow.column + 1, flow.target]
        width, middle = flow.n * inch, (x1 + x2) / 2
        vertices = [
            (x1, y1),
            (middle, y1),
            (middle, y2),
            (x2, y2),
            (x2, y2 + width),
            (middle, y2 + width),
            (middle, y1 + width),
            (x1, y1 + width),
            (x1, y1),
        ]
        codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
        axes.add_patch(
            PathPatch(
                Path(vertices, codes),
                facecolor=_ribbon(order, flow.source),
                alpha=0.28,
                edgecolor=MUTED,
                linewidth=0.15,
                zorder=1,
            )
        )
        left[flow.column, flow.source] = y1 + width
        right[flow.column + 1, flow.target] = y2 + width
