"""The page in a real browser, at desktop and telephone width, and on paper."""

from __future__ import annotations

import re
from pathlib import Path

from tests.browser import Opened, needs_chromium

pytestmark = needs_chromium


def test_no_request_leaves_the_page_and_nothing_complains(opened: Opened, page_file: Path) -> None:
    assert opened.requests == [page_file.as_uri()]
    assert opened.messages == []


def test_the_page_does_not_scroll_sideways(opened: Opened) -> None:
    width = opened.page.evaluate("document.documentElement.scrollWidth")
    assert width == opened.page.viewport_size["width"]


def test_what_is_wider_than_the_page_scrolls_in_its_own_box(opened: Opened) -> None:
    outside = opened.page.evaluate(
        """() => [...document.querySelectorAll('table, svg')].filter(element => {
            const box = element.getBoundingClientRect();
            return box.right > window.innerWidth + 1 && !element.closest('.scroll');
        }).length"""
    )
    assert outside == 0


def test_no_table_scrolls_on_a_common_desktop(opened: Opened) -> None:
    if opened.page.viewport_size["width"] < 1200:
        return
    before = opened.page.viewport_size
    opened.page.set_viewport_size({"width": 1200, "height": 900})
    scrolling = opened.page.evaluate(
        """() => [...document.querySelectorAll('div.scroll')]
            .filter(element => element.scrollWidth > element.clientWidth)
            .map(element => element.querySelector('table').id)"""
    )
    opened.page.set_viewport_size(before)
    assert scrolling == []


def test_the_banner_is_seen_first_and_stays(opened: Opened) -> None:
    banner = opened.page.locator(".banner")
    assert banner.is_visible()
    opened.page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    assert banner.bounding_box()["y"] == 0


def test_scrolling_boxes_can_be_reached_from_the_keyboard(opened: Opened) -> None:
    unreachable = opened.page.evaluate(
        """() => [...document.querySelectorAll('.scroll')].filter(element =>
            element.tabIndex !== 0 || element.getAttribute('role') !== 'region' ||
            !(element.getAttribute('aria-label') || document.getElementById(
                element.getAttribute('aria-labelledby'))?.textContent)).length"""
    )
    assert unreachable == 0


def test_figures_are_drawn_and_named(opened: Opened) -> None:
    figures = opened.page.evaluate(
        """() => [...document.querySelectorAll('svg')].map(element => ({
            width: element.getBoundingClientRect().width,
            name: document.getElementById(
                element.getAttribute('aria-labelledby').split(' ')[0])?.textContent,
        }))"""
    )
    assert len(figures) == 1 + 10 + 3 + 1 + 6
    assert all(figure["width"] > 250 and figure["name"] for figure in figures)


def test_words_in_figures_stay_inside_them(opened: Opened) -> None:
    outside = opened.page.evaluate(
        """() => [...document.querySelectorAll('svg')].flatMap(svg => {
            const frame = svg.getBoundingClientRect();
            return [...svg.querySelectorAll('text')].filter(text => {
                const box = text.getBoundingClientRect();
                return box.left < frame.left - 1 || box.right > frame.right + 1
                    || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
            }).map(text => text.textContent);
        })"""
    )
    assert outside == []


def test_words_in_figures_do_not_run_into_each_other(opened: Opened) -> None:
    touching = opened.page.evaluate(
        """() => [...document.querySelectorAll('svg')].flatMap(svg => {
            const texts = [...svg.querySelectorAll('text')].filter(t => t.textContent.trim());
            const boxes = texts.map(text => text.getBoundingClientRect());
            const found = [];
            for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
                const a = boxes[i], b = boxes[j];
                const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
                const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
                const least = 0.35 * Math.min(a.height, b.height);
                if (wide > 1 && high > least)
                    found.push(texts[i].textContent + ' | ' + texts[j].textContent);
            }
            return found;
        })"""
    )
    assert touching == []


def test_the_full_list_opens_without_a_script(opened: Opened) -> None:
    details = opened.page.locator("#published details")
    assert details.count() == 1
    opened.page.locator("#published summary").click()
    assert details.locator("tbody tr").count() == 322
    width = opened.page.evaluate("document.documentElement.scrollWidth")
    assert width == opened.page.viewport_size["width"]


def test_it_prints_every_page_marked_as_synthetic(browser, page_file: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    opened = Opened(browser, page_file, 1280)
    content = opened.page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    opened.page.close()
    assert content.startswith(b"%PDF")
    pages = len(re.findall(rb"/Type\s*/Page\b", content))
    assert 8 <= pages <= 40


def test_the_cohort_flow_is_whole_on_paper(browser, page_file: Path) -> None:  # type: ignore[no-untyped-def]
    # A4 less the margins of the page, at 96 pixels an inch.
    width, height = 688, 998
    page = browser.new_page(viewport={"width": width, "height": height})
    page.emulate_media(media="print")
    page.goto(page_file.as_uri())
    flow = page.locator("figure.flow svg")
    cohort = page.locator("#cohort").bounding_box()
    wide = page.evaluate(
        "width => [...document.querySelectorAll('svg, table.data')]"
        ".filter(each => each.getBoundingClientRect().right > width + 1).map(each => each.id)",
        width,
    )
    assert flow.is_visible() and flow.bounding_box()["width"] > width / 2
    assert cohort["height"] < height
    assert page.evaluate("getComputedStyle(document.querySelector('#cohort')).breakInside") == (
        "avoid"
    )
    page.close()
    assert wide == []
