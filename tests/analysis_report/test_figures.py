from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations, pairwise

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import BboxBase

from analysis.figures import Curve, Panel, Ratio, forest, survival_panel
from analysis.flow import Step, flow_diagram
from analysis.sensitivity_figures import Column, Point, sensitivity_forest
from analysis.waterfall_plot import waterfall_plot

SVG = "{http://www.w3.org/2000/svg}"


def curve(label: str, order: int) -> Curve:
    rows = pd.DataFrame(
        {
            "time_months": [0.0, 3.0, 6.0, 9.0],
            "survival": [1.0, 0.75, 0.5, 0.0],
            "lower": [1.0, 0.3, 0.1, None],
            "upper": [1.0, 0.9, 0.8, None],
            "n_censored": [0.0, 0.0, 1.0, 0.0],
        }
    )
    return Curve(label, rows, order, ("3 / 4", "6.0 (3.0\N{EN DASH}NR)"), ["4", "2"], 6.0)


def panel(*labels: str) -> Panel:
    return Panel(
        identifier="fig9-os",
        title="Overall survival",
        y_label="Overall survival (%)",
        x_label="Months",
        curves=[curve(label, order) for order, label in enumerate(labels)],
        ticks=[0.0, 6.0],
        longest=9.0,
        footer=["log-rank P = 0.1"],
        description="Two groups.",
        summary="Median, months (95% CI)",
    )


@pytest.mark.parametrize("labels", [("A",), ("A", "B"), ("A", "B", "C", "D", "E")])
def test_a_panel_is_one_svg_element_that_needs_nothing_else(labels: tuple[str, ...]) -> None:
    text = survival_panel(panel(*labels)).svg
    root = ElementTree.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title") is not None
    assert root.find(f"{SVG}desc") is not None
    assert not re.search(r"<script|<image|@import|javascript:|<metadata", text)
    # Addresses are namespaces only, references stay inside the element.
    assert set(re.findall(r'(?:href|src)="([^#"][^"]*)"', text)) == set()
    for label in labels:
        assert label in [element.text for element in root.iter(f"{SVG}text")]


def test_identifiers_are_unique_and_carry_the_figure_s_name() -> None:
    found = re.findall(r'\bid="([^"]+)"', survival_panel(panel("A", "B")).svg)
    assert len(found) == len(set(found))
    assert all(identifier.startswith("fig9-os-") for identifier in found)


def test_the_same_data_give_the_same_bytes() -> None:
    assert survival_panel(panel("A", "B")).svg == survival_panel(panel("A", "B")).svg


def test_hostile_labels_are_text() -> None:
    hostile = '<script>alert("x")</script>&'
    for text in (
        survival_panel(panel(hostile, "B")).svg,
        forest("f", hostile, [Ratio(hostile, 1.5, 0.5, 4.0, "1.50", "0.3", False)], hostile).svg,
        flow_diagram("g", hostile, "1", [Step(hostile, "1", "0", "0")], hostile, hostile).svg,
    ):
        ElementTree.fromstring(text)
        assert "<script" not in text


def test_dollar_signs_are_no_mathematics() -> None:
    assert "cost $5 and $6" in survival_panel(panel("cost $5 and $6")).svg


def test_a_forest_plot_leaves_a_gap_where_nothing_is_estimable() -> None:
    ratios = [
        Ratio("a vs b", 0.5, 0.2, 1.2, "0.50 (0.20\N{EN DASH}1.20)", "0.12", False),
        Ratio("c vs d", None, None, None, "NE", "\N{EN DASH}", False),
    ]
    text = forest("forest", "Ratios", ratios, "Two ratios.").svg
    ElementTree.fromstring(text)
    assert "NE" in text
    only_gaps = forest("forest", "Ratios", ratios[1:], "No ratio.").svg
    ElementTree.fromstring(only_gaps)


def test_an_interval_beyond_the_axis_ends_in_an_arrow() -> None:
    ratios = [
        Ratio("a vs b", 0.5, 0.001, 1.2, "0.50", "0.12", False),
        Ratio("c vs d", 2.0, 0.9, 400.0, "2.00", "0.07", False),
        Ratio("e vs f", 1.0, 0.5, 2.0, "1.00", "0.99", False),
    ]
    figure = forest("forest", "Ratios", ratios, "Three ratios.").figure
    marks = [line.get_marker() for line in figure.axes[0].lines]
    assert [mark for mark in marks if mark in ("<", ">")] == ["<", ">"]


def test_bars_of_groups_differ_in_grey() -> None:
    bars = pd.DataFrame(
        {
            "position": [1, 2, 3, 4],
            "level": ["PD", "SD", "PR", "CR"],
            "end_value": [30.0, -10.0, -40.0, -100.0],
        }
    )
    figure = waterfall_plot("waterfall", "Change", bars, (-30.0, 20.0), "Four patients.").figure
    hatches = [drawn.get_hatch() for drawn in figure.axes[0].patches]
    assert len(hatches) == len(set(hatches)) == 4
    legend = [drawn.get_hatch() for drawn in figure.artists]
    assert sorted(hatch or "" for hatch in legend) == sorted(hatch or "" for hatch in hatches)


def test_the_flow_diagram_says_how_many_and_why() -> None:
    long = "A first anticancer therapy that began after metastasis and before the end of follow-up"
    steps = [
        Step("Consent", "203,000", "400,016", "100,004"),
        Step(long, "202,990", "0", "10"),
        Step("Adults", "202,990", "0", "0"),
    ]
    picture = flow_diagram("flow", "All", "703,020", steps, "Flow", "words")
    assert ElementTree.fromstring(picture.svg).findtext(f"{SVG}desc") == "words"

    # Every line stands within one frame, and no frame in another.
    figure = picture.figure
    FigureCanvasAgg(figure)
    frames = [frame.get_window_extent() for frame in figure.axes[0].patches]
    lines = [text for text in figure.axes[0].texts if text.get_text()]
    told = [""] * len(frames)
    for text in lines:
        (own,) = (n for n, frame in enumerate(frames) if _within(text.get_window_extent(), frame))
        told[own] += f" {text.get_text()}"
    assert told == [
        " All n = 703,020",
        " Consent n = 203,000",
        " Excluded: 400,016 not met, 100,004 unknown",
        f" {long} n = 202,990",
        " Excluded: 10 unknown",
        " Adults n = 202,990",
    ]
    assert all(_within(frame, figure.bbox) for frame in frames)
    assert not any(one.overlaps(other) for one, other in combinations(frames, 2))

    # Who is excluded stands beside the criterion; from one to the next it goes down.
    middles = [(frame.y0 + frame.y1) / 2 for frame in frames]
    assert (middles[2], middles[4]) == pytest.approx((middles[1], middles[3]))
    assert middles[0] > middles[1] > middles[3] > middles[5]


def _within(inner: BboxBase, outer: BboxBase) -> bool:
    return bool(
        outer.x0 <= inner.x0
        and inner.x1 <= outer.x1
        and outer.y0 <= inner.y0
        and inner.y1 <= outer.y1
    )


def test_labels_of_two_lines_have_room_and_a_median_not_reached_is_called_so() -> None:
    long = "Adjuvant therapy counted if metastasis follows within 180 days"
    points = [Point(8.0, 5.0, 10.0), Point(None, 6.0, None, "not reached"), Point(8.0, 5.0, 10.0)]
    figure = sensitivity_forest(
        "s", "Lines", {"Line": [long, long, long]}, [Column("Median", "months", False, points)], "s"
    ).figure
    FigureCanvasAgg(figure)
    boxes = sorted(
        (text.get_window_extent() for text in figure.texts if "Adjuvant" in text.get_text()),
        key=lambda box: -box.y0,
    )
    height = boxes[0].height
    assert len(boxes) == 3
    assert all(upper.y0 - lower.y1 > height / 5 for upper, lower in pairwise(boxes))
    assert "not reached" in [text.get_text() for text in figure.axes[0].texts]
    # Each interval is level with its label.
    middles = [figure.axes[0].transData.transform((8.0, at))[1] for at in _rows(figure)]
    assert middles == pytest.approx([(box.y0 + box.y1) / 2 for box in boxes], abs=1.5)


def _rows(figure: Figure) -> list[float]:
    drawn = [line.get_ydata() for line in figure.axes[0].lines if line.get_linewidth() == 1.2]
    return [float(ends[0]) for ends in drawn]
