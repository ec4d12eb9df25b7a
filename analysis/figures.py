"""Survival curves and forest plots, drawn from the results tables alone."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.pictures import (
    DASHES,
    FULL_WIDTH,
    INK,
    MUTED,
    PALETTE,
    RULE,
    Picture,
    colour,
    drawing,
)

#: Inches. Narrow, so that a panel is as wide as a telephone at about its natural size.
WIDTH = 4.45
PLOT_HEIGHT = 2.45
ROW = 0.172
LEFT, RIGHT = 1.2, 0.14
AXIS_FOOT = 0.56
LABEL_CHARACTERS = 17
FOREST_LABEL_CHARACTERS = 52

#: With more curves than this their bands overlap to mud: each then has a small panel of its own.
MOST_BANDS = 2
SMALL_PER_ROW = 4
SMALL_HEIGHT, SMALL_TITLE, SMALL_GAP = 0.72, 0.26, 0.14

RATIO_TICKS = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 10, 20, 50, 100)
#: On an axis that spans more than this ratio, only these have room.
WIDE_AXIS, FEW_RATIO_TICKS = 60, (0.01, 0.1, 0.5, 1, 2, 10, 100)
#: Hazard ratios beyond these are cut; the numbers beside the figure give them.
SMALLEST_RATIO, LARGEST_RATIO = 0.02, 50


@dataclass(frozen=True)
class Curve:
    """One group of a panel.

    Attributes
    ----------
    rows : DataFrame
        Rows of results.survival_curves, in order of time.
    order : int
        Place of the group among the levels of its variable; decides colour and dash.
    summary : tuple of str
        What stands beside its name above the panel: events and patients, median and interval.
    at_risk : sequence of str
        Numbers at risk as printed, one a tick of the axis.
    median : float or None
    """

    label: str
    rows: pd.DataFrame
    order: int
    summary: tuple[str, str]
    at_risk: Sequence[str]
    median: float | None


@dataclass(frozen=True)
class Panel:
    """One set of axes.

    Attributes
    ----------
    ticks : sequence of float
        Months, shared by the axis and the numbers at risk.
    longest : float
        End of the time axis, months.
    footer : sequence of str
        Tests, one a line, under the names of the groups.
    summary : str
        Heading of what stands last beside the name of a group.
    """

    identifier: str
    title: str
    y_label: str
    x_label: str
    curves: Sequence[Curve]
    ticks: Sequence[float]
    longest: float
    footer: Sequence[str]
    description: str
    summary: str


@dataclass(frozen=True)
class Ratio:
    """One line of a forest plot; limits and value None where not estimable."""

    label: str
    value: float | None
    lower: float | None
    upper: float | None
    shown: str
    p_value: str
    emphasis: bool


def survival_panel(panel: Panel) -> Picture:
    """Draw Kaplan-Meier curves with bands, censor ticks and the numbers at risk under the axis."""
    labels = [textwrap.wrap(curve.label, LABEL_CHARACTERS) or [""] for curve in panel.curves]
    apart = len(panel.curves) > MOST_BANDS
    header = ROW * (len(panel.curves) + len(panel.footer) + 2.0) + 0.06
    at_risk = ROW * (sum(len(lines) for lines in labels) + 1.3)
    small_rows = -(-len(panel.curves) // SMALL_PER_ROW) if apart else 0
    small = small_rows * (SMALL_HEIGHT + SMALL_TITLE) + (0.3 if apart else 0.0)
    foot = small + at_risk + AXIS_FOOT
    height = header + PLOT_HEIGHT + foot
    with drawing(WIDTH, height) as figure:
        axes = figure.add_axes(
            (
                LEFT / WIDTH,
                foot / height,
                (WIDTH - LEFT - RIGHT) / WIDTH,
                PLOT_HEIGHT / height,
            )
        )
        for curve in panel.curves:
            if not apart:
                _draw_band(axes, curve)
            _draw_curve(axes, curve)
        if not apart:
            _draw_medians(axes, panel.curves)
        _dress(axes, panel)
        _header(figure, panel, height)
        _numbers_at_risk(figure, panel, labels, (small + at_risk) / height, height)
        if apart:
            _bands_apart(figure, panel, small / height, height)
    return Picture(panel.identifier, panel.title, panel.description, figure)


def _draw_band(axes: Axes, curve: Curve, alpha: float = 0.16) -> None:
    # Once everybody has had the event no limit is defined: the last band ends at that time.
    rows = curve.rows.assign(
        lower=curve.rows["lower"].astype(float).ffill(),
        upper=curve.rows["upper"].astype(float).ffill(),
    )
    axes.fill_between(
        rows["time_months"].to_numpy(dtype=float),
        100 * rows["lower"].to_numpy(dtype=float),
        100 * rows["upper"].to_numpy(dtype=float),
        step="post",
        color=colour(curve.order),
        alpha=alpha,
        linewidth=0,
    )


def _draw_curve(axes: Axes, curve: Curve) -> None:
    rows, own = curve.rows, colour(curve.order)
    time = rows["time_months"].to_numpy(dtype=float)
    survival = 100 * rows["survival"].to_numpy(dtype=float)
    axes.plot(
        time,
        survival,
        drawstyle="steps-post",
        color=own,
        linewidth=1.5,
        linestyle=DASHES[curve.order % len(DASHES)],
        solid_capstyle="butt",
        zorder=3,
        clip_on=False,
    )
    censored = rows["n_censored"].to_numpy(dtype=float) > 0
    axes.plot(
        time[censored],
        survival[censored],
        linestyle="none",
        marker="|",
        markersize=5,
        markeredgewidth=0.9,
        color=own,
        zorder=4,
        clip_on=False,
    )


def _bands_apart(figure: Figure, panel: Panel, top: float, height: float) -> None:
    """One small panel a group: its band, with the other curves in grey."""
    figure.text(
        0.018,
        top - 0.15 / height,
        "95% bands, group by group",
        fontsize=7,
        fontweight="bold",
        va="center",
        ha="left",
    )
    width = (WIDTH - 0.12 - SMALL_GAP * (SMALL_PER_ROW - 1)) / SMALL_PER_ROW
    for position, shown in enumerate(panel.curves):
        row, column = divmod(position, SMALL_PER_ROW)
        bottom = top * height - 0.22 - (row + 1) * (SMALL_HEIGHT + SMALL_TITLE) + 0.06
        axes = figure.add_axes(
            (
                (0.08 + column * (width + SMALL_GAP)) / WIDTH,
                bottom / height,
                width / WIDTH,
                SMALL_HEIGHT / height,
            )
        )
        for curve in panel.curves:
            axes.plot(
                curve.rows["time_months"].to_numpy(dtype=float),
                100 * curve.rows["survival"].to_numpy(dtype=float),
                drawstyle="steps-post",
                color=RULE if curve is not shown else colour(curve.order),
                linewidth=0.7 if curve is not shown else 1.2,
                zorder=2 if curve is not shown else 3,
            )
        _draw_band(axes, shown, alpha=0.22)
        axes.set_xlim(0, panel.longest)
        axes.set_ylim(0, 103)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["bottom", "left"]].set_color(RULE)
        lines = textwrap.wrap(shown.label, LABEL_CHARACTERS)[:2]
        axes.set_title(
            "\n".join(lines), fontsize=6.4, color=INK, loc="left", pad=2.5, linespacing=1.05
        )


def _draw_medians(axes: Axes, curves: Sequence[Curve]) -> None:
    reached = [(curve, curve.median) for curve in curves if curve.median is not None]
    if not reached:
        return
    axes.plot(
        [0, max(median for _, median in reached)],
        [50, 50],
        color=MUTED,
        linewidth=0.6,
        linestyle=(0, (2, 2)),
        zorder=1,
    )
    for curve, median in reached:
        axes.plot(
            [median, median],
            [0, 50],
            color=colour(curve.order),
            linewidth=0.7,
            linestyle=(0, (2, 2)),
            zorder=1,
        )


def _dress(axes: Axes, panel: Panel) -> None:
    axes.set_xlim(0, panel.longest)
    axes.set_ylim(0, 100)
    axes.set_xticks(list(panel.ticks), [f"{tick:g}" for tick in panel.ticks])
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.set_ylabel(panel.y_label, labelpad=5)
    axes.set_xlabel(panel.x_label, labelpad=4)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_position(("outward", 3))
    axes.tick_params(length=3, pad=3)


def _header(figure: Figure, panel: Panel, height: float) -> None:
    def line(position: float) -> float:
        return 1 - ROW * position / height

    events_at, median_at = 0.645, 0.985
    figure.text(
        0.018, line(0.8), panel.title, fontsize=8.6, fontweight="bold", va="center", ha="left"
    )
    for x, text in ((events_at, "Events / patients"), (median_at, panel.summary)):
        figure.text(x, line(0.8), text, fontsize=6.4, color=MUTED, va="center", ha="right")
    for number, curve in enumerate(panel.curves):
        y = line(number + 1.9)
        _swatch(figure, curve, 0.018, 0.078, y)
        figure.text(0.095, y, curve.label, va="center", ha="left")
        figure.text(events_at, y, curve.summary[0], va="center", ha="right")
        figure.text(median_at, y, curve.summary[1], va="center", ha="right")
    for number, text in enumerate(panel.footer):
        y = line(len(panel.curves) + number + 1.95)
        figure.text(0.018, y, text, va="center", ha="left", color=MUTED, fontsize=7)


def _swatch(figure: Figure, curve: Curve, left: float, right: float, y: float) -> None:
    figure.add_artist(
        Line2D(
            [left, right],
            [y, y],
            color=colour(curve.order),
            linewidth=1.6,
            linestyle=DASHES[curve.order % len(DASHES)],
        )
    )


def _numbers_at_risk(
    figure: Figure, panel: Panel, labels: Sequence[Sequence[str]], top: float, height: float
) -> None:
    left, right = LEFT / WIDTH, 1 - RIGHT / WIDTH
    y = top - 0.35 * ROW / height
    figure.text(0.018, y, "Number at risk", fontsize=7, fontweight="bold", va="center", ha="left")
    for curve, lines in zip(panel.curves, labels, strict=True):
        y -= ROW / height
        for tick, at_risk in zip(panel.ticks, curve.at_risk, strict=True):
            x = left + (right - left) * tick / panel.longest
            figure.text(x, y, at_risk, va="center", ha="center", fontsize=7.2)
        figure.add_artist(Line2D([0.018, 0.027], [y, y], color=colour(curve.order), linewidth=2.6))
        for number, text in enumerate(lines):
            y -= ROW / height if number else 0
            figure.text(0.041, y, text, va="center", ha="left", fontsize=7)


def forest(identifier: str, title: str, ratios: Sequence[Ratio], description: str) -> Picture:
    """Draw hazard ratios with their intervals on a logarithmic axis, numbers beside.

    An interval that goes on beyond the axis ends in an arrow.
    """
    row, line, head, foot = 0.25, 0.13, 0.3, 0.52
    labels = [textwrap.wrap(ratio.label, FOREST_LABEL_CHARACTERS) for ratio in ratios]
    heights = [row + line * (len(label) - 1) for label in labels]
    middles = np.cumsum(heights) - np.array(heights) / 2
    height = head + sum(heights) + foot
    limits = [
        limit
        for ratio in ratios
        for limit in (ratio.lower, ratio.upper)
        if limit is not None and np.isfinite(limit) and limit > 0
    ]
    low = max(min([0.5, *limits]) / 1.2, SMALLEST_RATIO)
    high = min(max([2.0, *limits]) * 1.2, LARGEST_RATIO)
    with drawing(FULL_WIDTH, height) as figure:
        axes = figure.add_axes((0.41, foot / height, 0.3, sum(heights) / height))
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_ylim(sum(heights), 0)
        axes.axvline(1, color=MUTED, linewidth=0.7, zorder=1)
        for x, text, side in (
            (0.005, "Comparison", "left"),
            (0.905, "Hazard ratio (95% CI)", "right"),
            (0.995, "P", "right"),
        ):
            figure.text(
                x, 1 - head / 2 / height, text, va="center", ha=side, color=MUTED, fontsize=6.8
            )
        for ratio, label, middle in zip(ratios, labels, middles, strict=True):
            _draw_ratio(axes, ratio, middle, low, high)
            y = 1 - (head + middle) / height
            figure.text(0.005, y, "\n".join(label), va="center", ha="left")
            figure.text(0.905, y, ratio.shown, va="center", ha="right")
            figure.text(0.995, y, ratio.p_value, va="center", ha="right")
        ticks = ratio_ticks(low, high)
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set_yticks([])
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(length=3, pad=3)
        axes.set_xlabel(
            "longer survival \N{LEFTWARDS ARROW} hazard ratio "
            "\N{RIGHTWARDS ARROW} shorter survival",
            labelpad=4,
        )
    return Picture(identifier, title, description, figure)


def ratio_ticks(low: float, high: float) -> list[float]:
    """Ticks of a logarithmic axis of hazard ratios."""
    ticks = FEW_RATIO_TICKS if high / low > WIDE_AXIS else RATIO_TICKS
    return [tick for tick in ticks if low <= tick <= high]


def _draw_ratio(axes: Axes, ratio: Ratio, middle: float, low: float, high: float) -> None:
    if ratio.value is None or ratio.lower is None or ratio.upper is None:
        return
    shade = PALETTE[0] if ratio.emphasis else MUTED
    ends = max(ratio.lower, low), min(ratio.upper, high)
    axes.plot(ends, [middle, middle], color=shade, linewidth=1.3)
    for end, limit, arrow in zip(ends, (ratio.lower, ratio.upper), "<>", strict=True):
        if end != limit:
            axes.plot([end], [middle], marker=arrow, markersize=4, color=shade, clip_on=False)
    axes.plot([ratio.value], [middle], marker="s", markersize=5, color=shade, linestyle="none")
