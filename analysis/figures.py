"""Survival curves and forest plots as inline SVG, drawn from the results tables alone."""

from __future__ import annotations

import io
import logging
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

#: Okabe and Ito's palette, told apart by every kind of colour vision, darkest first.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
#: A second cue beside colour, for print in grey.
DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.6)),
    (0, (1.2, 1.2)),
    (0, (6, 1.6, 1.2, 1.6)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (8, 3)),
    (0, (2, 3)),
)
INK = "#1a1a1a"
MUTED = "#5b6470"
RULE = "#c9ced6"

#: Text is laid out with the font that comes with matplotlib, so that the file is the same on every
#: machine, and shown in narrower fonts that every machine has one of.
LAYOUT_FONT = "DejaVu Sans"
SHOWN_FONTS = "Arial, Helvetica, Liberation Sans, sans-serif"

WIDTH = 5.6
PLOT_HEIGHT = 2.75
ROW = 0.175
LEFT, RIGHT = 1.32, 0.16
LABEL_CHARACTERS = 22

RC: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": LAYOUT_FONT,
    "font.size": 7.5,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "path.simplify": False,
}


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
    footer : sequence of str
        Tests, one a line, under the names of the groups.
    """

    identifier: str
    title: str
    y_label: str
    x_label: str
    curves: Sequence[Curve]
    ticks: Sequence[float]
    footer: Sequence[str]
    description: str


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


def survival_panel(panel: Panel) -> str:
    """Draw Kaplan-Meier curves with bands, censor ticks and the numbers at risk under the axis."""
    labels = [textwrap.wrap(curve.label, LABEL_CHARACTERS) or [""] for curve in panel.curves]
    risk_rows = sum(len(lines) for lines in labels)
    header = ROW * (len(panel.curves) + len(panel.footer) + 2.1)
    footer = ROW * (risk_rows + 1.2) + 0.62
    height = header + PLOT_HEIGHT + footer
    with mpl.rc_context({**RC, "svg.hashsalt": panel.identifier}):
        figure = Figure(figsize=(WIDTH, height))
        FigureCanvasSVG(figure)
        plot_width = WIDTH - LEFT - RIGHT
        axes = figure.add_axes(
            (LEFT / WIDTH, footer / height, plot_width / WIDTH, PLOT_HEIGHT / height)
        )
        for curve in panel.curves:
            _draw_curve(axes, curve, bands=True, crowded=len(panel.curves) > 2)
        if len(panel.curves) <= 2:
            _draw_medians(axes, panel.curves)
        _dress(axes, panel)
        _header(figure, panel, height)
        _numbers_at_risk(figure, axes, panel, labels, footer, height)
        return _svg(figure, panel.identifier, panel.title, panel.description)


def _colour(order: int) -> str:
    return PALETTE[order % len(PALETTE)]


def _draw_curve(axes: Axes, curve: Curve, *, bands: bool, crowded: bool) -> None:
    rows, colour = curve.rows, _colour(curve.order)
    time = rows["time_months"].to_numpy(dtype=float)
    survival = 100 * rows["survival"].to_numpy(dtype=float)
    lower = 100 * rows["lower"].astype(float).fillna(0.0).to_numpy()
    # Once everybody has had the event no limit is defined; the band ends there.
    upper = 100 * rows["upper"].astype(float).fillna(0.0).to_numpy()
    if bands:
        axes.fill_between(
            time,
            lower,
            upper,
            step="post",
            color=colour,
            alpha=0.09 if crowded else 0.15,
            linewidth=0,
        )
    axes.plot(
        time,
        survival,
        drawstyle="steps-post",
        color=colour,
        linewidth=1.5,
        linestyle=DASHES[curve.order % len(DASHES)],
        solid_capstyle="butt",
        zorder=3,
    )
    censored = rows["n_censored"].to_numpy(dtype=float) > 0
    axes.plot(
        time[censored],
        survival[censored],
        linestyle="none",
        marker="|",
        markersize=5,
        markeredgewidth=0.9,
        color=colour,
        zorder=4,
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
            color=_colour(curve.order),
            linewidth=0.7,
            linestyle=(0, (2, 2)),
            zorder=1,
        )


def _dress(axes: Axes, panel: Panel) -> None:
    axes.set_xlim(0, max(panel.ticks) if len(panel.ticks) else 1)
    axes.set_ylim(0, 102)
    axes.set_xticks(list(panel.ticks), [f"{tick:g}" for tick in panel.ticks])
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.set_ylabel(panel.y_label, labelpad=6)
    axes.set_xlabel(panel.x_label, labelpad=4)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=3, pad=3)


def _header(figure: Figure, panel: Panel, height: float) -> None:
    def line(position: float) -> float:
        return 1 - ROW * position / height

    figure.text(
        0.02, line(0.85), panel.title, fontsize=8.5, fontweight="bold", va="center", ha="left"
    )
    events_at, median_at = 0.63, 0.985
    figure.text(
        events_at,
        line(0.85),
        "Events / patients",
        fontsize=6.8,
        color=MUTED,
        va="center",
        ha="right",
    )
    figure.text(
        median_at,
        line(0.85),
        "Median, months (95% CI)",
        fontsize=6.8,
        color=MUTED,
        va="center",
        ha="right",
    )
    for number, curve in enumerate(panel.curves):
        y = line(number + 1.95)
        figure.add_artist(
            mpl.lines.Line2D(
                [0.022, 0.072],
                [y, y],
                color=_colour(curve.order),
                linewidth=1.6,
                linestyle=DASHES[curve.order % len(DASHES)],
            )
        )
        figure.text(0.085, y, curve.label, va="center", ha="left", color=INK)
        figure.text(events_at, y, curve.summary[0], va="center", ha="right")
        figure.text(median_at, y, curve.summary[1], va="center", ha="right")
    for number, text in enumerate(panel.footer):
        y = line(len(panel.curves) + number + 2.0)
        figure.text(0.022, y, text, va="center", ha="left", color=MUTED, fontsize=7)


def _numbers_at_risk(
    figure: Figure,
    axes: Axes,
    panel: Panel,
    labels: Sequence[Sequence[str]],
    footer: float,
    height: float,
) -> None:
    left, right = LEFT / WIDTH, 1 - RIGHT / WIDTH
    longest = max(panel.ticks) if len(panel.ticks) else 1
    first = (footer - 0.62) / height
    figure.text(
        0.02, first, "Number at risk", fontsize=7, fontweight="bold", va="center", ha="left"
    )
    y = first
    for curve, lines in zip(panel.curves, labels, strict=True):
        y -= ROW / height
        top = y
        for number, text in enumerate(lines):
            y = top - number * ROW / height
            figure.text(0.02, y, text, va="center", ha="left", color=_colour(curve.order))
        for tick, at_risk in zip(panel.ticks, curve.at_risk, strict=True):
            x = left + (right - left) * tick / longest
            figure.text(x, top, at_risk, va="center", ha="center")


def forest(identifier: str, title: str, ratios: Sequence[Ratio], description: str) -> str:
    """Draw hazard ratios with their intervals on a logarithmic axis, numbers beside."""
    row = 0.24
    height = row * (len(ratios) + 1) + 0.62
    estimable = [r for r in ratios if r.value is not None and r.lower and r.upper]
    limits = [x for r in estimable for x in (r.lower, r.upper) if x is not None and np.isfinite(x)]
    low = min([0.25, *limits]) / 1.25
    high = max([4.0, *limits]) * 1.25
    with mpl.rc_context({**RC, "svg.hashsalt": identifier}):
        figure = Figure(figsize=(7.4, height))
        FigureCanvasSVG(figure)
        bottom = 0.5 / height
        axes = figure.add_axes((0.40, bottom, 0.29, row * len(ratios) / height))
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_ylim(len(ratios) - 0.5, -0.5)
        axes.axvline(1, color=MUTED, linewidth=0.7, zorder=1)
        for number, ratio in enumerate(ratios):
            colour = PALETTE[0] if ratio.emphasis else MUTED
            weight = "bold" if ratio.emphasis else "normal"
            y = 1 - (row * (number + 1.5) + 0.12) / height
            figure.text(0.01, y, ratio.label, va="center", ha="left", fontweight=weight)
            figure.text(0.875, y, ratio.shown, va="center", ha="right")
            figure.text(0.985, y, ratio.p_value, va="center", ha="right")
            if ratio.value is None or ratio.lower is None or ratio.upper is None:
                continue
            axes.plot([ratio.lower, ratio.upper], [number, number], color=colour, linewidth=1.2)
            axes.plot(
                [ratio.value], [number], marker="s", markersize=5, color=colour, linestyle="none"
            )
        top = 1 - (row * 0.5 + 0.12) / height
        for x, text, side in (
            (0.01, "Comparison", "left"),
            (0.875, "Hazard ratio (95% CI)", "right"),
            (0.985, "P", "right"),
        ):
            figure.text(x, top, text, va="center", ha=side, color=MUTED, fontsize=6.8)
        ticks = [
            t for t in (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 10, 20, 50, 100) if low <= t <= high
        ]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set_yticks([])
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(length=3, pad=3)
        axes.set_xlabel(
            "longer survival  \N{LEFTWARDS ARROW}  hazard ratio  "
            "\N{RIGHTWARDS ARROW}  shorter survival",
            labelpad=4,
        )
        return _svg(figure, identifier, title, description)


def _svg(figure: Figure, identifier: str, title: str, description: str) -> str:
    """Serialise to an SVG element fit to stand in a page beside others."""
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    # Identifiers are unique in a page, not only in a file.
    text = re.sub(r'\bid="', f'id="{identifier}-', text)
    text = re.sub(r"url\(#", f"url(#{identifier}-", text)
    text = re.sub(r'href="#', f'href="#{identifier}-', text)
    text = text.replace(f"'{LAYOUT_FONT}'", SHOWN_FONTS)
    opening = re.search(r"<svg[^>]*>", text)
    assert opening is not None
    view = re.search(r'viewBox="([^"]+)"', opening.group())
    assert view is not None
    names = (
        f'<title id="{identifier}-title">{escape(title)}</title>'
        f'<desc id="{identifier}-desc">{escape(description)}</desc>'
    )
    replacement = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{view.group(1)}" role="img" '
        f'aria-labelledby="{identifier}-title {identifier}-desc">{names}'
    )
    return (text[: opening.start()] + replacement + text[opening.end() :]).strip()
