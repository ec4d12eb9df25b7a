"""A figure of the report: drawn once, written as an SVG element of the page or as a file."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
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
#: Tell the bars of groups apart in grey.
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "----", "++++")
INK = "#1a1a1a"
MUTED = "#5b6470"
RULE = "#c9ced6"

#: Text is laid out with the font that comes with matplotlib, so that the file is the same on every
#: machine, and shown in narrower fonts that every machine has one of.
LAYOUT_FONT = "DejaVu Sans"
SHOWN_FONTS = "Arial, Helvetica, Liberation Sans, sans-serif"

#: Width in inches of a figure that may take the whole page.
FULL_WIDTH = 7.0

#: Dots an inch of a PNG file; journals ask for 300 and more.
PNG_DPI = 300

RC: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": LAYOUT_FONT,
    "font.size": 7.8,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "path.simplify": False,
    "hatch.linewidth": 0.6,
    "text.parse_math": False,
}


@dataclass(frozen=True, eq=False)
class Picture:
    """A drawn figure with its name and what a reader who does not see it is told."""

    identifier: str
    title: str
    description: str
    figure: Figure

    @cached_property
    def svg(self) -> Markup:
        """An SVG element fit to stand in a page beside others; the same bytes every time."""
        return Markup(_element(self))

    @cached_property
    def png(self) -> bytes:
        """A PNG file on white."""
        buffer = io.BytesIO()
        with mpl.rc_context(RC):
            self.figure.savefig(
                buffer,
                format="png",
                dpi=PNG_DPI,
                facecolor="white",
                metadata={"Software": None},
                pil_kwargs={"compress_level": 3},  # a tenth larger, half the time
            )
        return buffer.getvalue()


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """An empty figure of so many inches, drawn on in the report's style."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(width, height))
        FigureCanvasSVG(figure)
        yield figure


def colour(order: int) -> str:
    """Colour of the group at that place among the levels of its variable."""
    return PALETTE[order % len(PALETTE)]


def _element(picture: Picture) -> str:
    identifier = picture.identifier
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    buffer = io.StringIO()
    with mpl.rc_context({**RC, "svg.hashsalt": identifier}):
        picture.figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
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
        f'<title id="{identifier}-title">{escape(picture.title)}</title>'
        f'<desc id="{identifier}-desc">{escape(picture.description)}</desc>'
    )
    replacement = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{view.group(1)}" role="img" '
        f'aria-labelledby="{identifier}-title {identifier}-desc">{names}'
    )
    return (text[: opening.start()] + replacement + text[opening.end() :]).strip()
