"""The love plot: standardised differences before and after weighting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.lines import Line2D

from analysis.confounding import AFTER, BEFORE, IMBALANCE
from analysis.pictures import FULL_WIDTH, INK, MUTED, PALETTE, RULE, Picture, drawing

#: Inches.
ROW, HEAD, FOOT, LEFT, NUMBERS = 0.235, 0.42, 0.52, 1.9, 1.15
#: Shape and colour before and after.
STYLES = {BEFORE: ("o", "white", PALETTE[1]), AFTER: ("s", PALETTE[0], PALETTE[0])}


@dataclass(frozen=True)
class Balance:
    """One covariate: its standardised differences, and both as printed."""

    label: str
    before: float | None
    after: float | None
    shown: tuple[str, str]


def love_plot(
    identifier: str, title: str, balances: Sequence[Balance], description: str
) -> Picture:
    """Draw a row for each covariate, the largest difference before weighting on top."""
    plot = ROW * len(balances)
    height = HEAD + plot + FOOT
    ordered = sorted(balances, key=lambda row: -(row.before or 0.0))
    largest = max(
        [2 * IMBALANCE, *(v for row in balances for v in (row.before, row.after) if v is not None)]
    )
    with drawing(FULL_WIDTH, height) as figure:
        axes = figure.add_axes(
            (
                LEFT / FULL_WIDTH,
                FOOT / height,
                (FULL_WIDTH - LEFT - NUMBERS - 0.2) / FULL_WIDTH,
                plot / height,
            )
        )
        axes.set_xlim(0, largest * 1.08)
        axes.set_ylim(len(ordered) - 0.5, -0.5)
        axes.axvline(IMBALANCE, color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)), zorder=1)
        for place, row in enumerate(ordered):
            axes.axhline(place, color=RULE, linewidth=0.5, zorder=1)
            for key, value in ((BEFORE, row.before), (AFTER, row.after)):
                if value is not None:
                    shape, face, edge = STYLES[key]
                    axes.plot(
                        [value],
                        [place],
                        marker=shape,
                        markersize=5,
                        markerfacecolor=face,
                        markeredgecolor=edge,
                        linestyle="none",
                        zorder=3,
                    )
            y = 1 - (HEAD + ROW * (place + 0.5)) / height
            figure.text(0.005, y, row.label, va="center", ha="left")
            for x, text in zip((0.92, 0.995), row.shown, strict=True):
                figure.text(x, y, text, va="center", ha="right")
        y = 1 - HEAD / 2 / height
        for x, key in ((LEFT / FULL_WIDTH, BEFORE), (LEFT / FULL_WIDTH + 0.2, AFTER)):
            shape, face, edge = STYLES[key]
            figure.add_artist(
                Line2D(
                    [x + 0.01],
                    [y],
                    marker=shape,
                    markersize=5,
                    markerfacecolor=face,
                    markeredgecolor=edge,
                    linestyle="none",
                )
            )
            figure.text(x + 0.025, y, key, va="center", ha="left", fontsize=7.2, color=INK)
        for x, text in ((0.92, "before"), (0.995, "after")):
            figure.text(x, y, text, va="center", ha="right", fontsize=6.8, color=MUTED)
        axes.set_yticks([])
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(length=3, pad=3)
        axes.set_xlabel(
            f"standardised difference, without sign (dotted: {IMBALANCE:g})", labelpad=4
        )
    return Picture(identifier, title, description, figure)
