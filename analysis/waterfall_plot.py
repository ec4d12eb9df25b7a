"""The waterfall plot: the best change of the target lesions, a bar a patient."""

from __future__ import annotations

import pandas as pd
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from analysis.pictures import FULL_WIDTH, HATCHES, MUTED, PALETTE, Picture, drawing

#: Colours of the best overall responses, in the order of the legend.
RESPONSES = {
    "CR": PALETTE[0],
    "PR": PALETTE[5],
    "SD": PALETTE[4],
    "NON-CR/NON-PD": PALETTE[3],
    "PD": PALETTE[1],
    "NE": MUTED,
}
NO_RESPONSE = "#c9ced6"

#: Inches.
HEIGHT, LEFT, HEAD = 2.6, 0.62, 0.32
#: Share of a patient's place that the bar takes.
BAR = 0.86


def waterfall_plot(
    identifier: str,
    title: str,
    bars: pd.DataFrame,
    limits: tuple[float, float],
    description: str,
) -> Picture:
    """Draw the bars from the worst change to the best.

    Parameters
    ----------
    bars
        Rows of results.figure_bars: position, level (best overall response), end_value (percent).
    limits
        Changes to mark: that of a partial response and that of a progression, percent.
    """
    response, progression = limits
    ordered = bars.sort_values("position")
    low, high = float(ordered["end_value"].min()), float(ordered["end_value"].max())
    with drawing(FULL_WIDTH, HEIGHT) as figure:
        axes = figure.add_axes(
            (
                LEFT / FULL_WIDTH,
                0.06,
                1 - (LEFT + 0.1) / FULL_WIDTH,
                (HEIGHT - HEAD) / HEIGHT - 0.08,
            )
        )
        ordered = ordered.assign(left=ordered["position"] - BAR / 2)
        for level, own in ordered.groupby("level", sort=False, dropna=False):
            # One path a response: a hatch drawn bar by bar takes seconds where there are thousands.
            axes.add_patch(
                PathPatch(
                    Path.make_compound_path(
                        *(
                            Path([(x, 0), (x, change), (x + BAR, change), (x + BAR, 0)])
                            for x, change in zip(own["left"], own["end_value"], strict=True)
                        )
                    ),
                    facecolor=RESPONSES.get(str(level), NO_RESPONSE),
                    hatch=_hatch(str(level)),
                    edgecolor="white",
                    linewidth=0,
                    zorder=2,
                )
            )
        axes.axhline(0, color="black", linewidth=0.7, zorder=3)
        for limit in limits:
            axes.axhline(limit, color=MUTED, linewidth=0.6, linestyle=(0, (2, 2)), zorder=1)
        axes.set_xlim(0.3, len(ordered) + 0.7)
        axes.set_ylim(min(low, response) - 8, max(high, progression) + 8)
        axes.set_xticks([])
        axes.set_ylabel("Best change from baseline (%)", labelpad=4)
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.tick_params(length=3, pad=3)
        used = [name for name in RESPONSES if name in set(ordered["level"])]
        for place, name in enumerate(used):
            x, y = LEFT / FULL_WIDTH + 0.13 * place, 1 - HEAD / 2 / HEIGHT
            figure.add_artist(
                Rectangle(
                    (x, y - 0.018),
                    0.022,
                    0.036,
                    facecolor=RESPONSES[name],
                    hatch=_hatch(name),
                    edgecolor="white",
                    linewidth=0,
                )
            )
            figure.text(x + 0.03, y, name, va="center", ha="left", fontsize=7.2)
    return Picture(identifier, title, description, figure)


def _hatch(response: str) -> str:
    return HATCHES[list(RESPONSES).index(response)] if response in RESPONSES else ""
