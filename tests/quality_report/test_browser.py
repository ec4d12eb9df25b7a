"""The page in a real browser, at desktop and telephone width, and on paper."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from quality_page import RUN

from expectations import history, report
from expectations.checks import CheckResult
from tests.browser import Opened, needs_chromium

pytestmark = needs_chromium

LONG = "x" * 300
HOSTILE = "<script>document.title='run'</script><img src='http://127.0.0.1:9/x'>" + LONG


@pytest.fixture(scope="module")
def page_file(
    tiny: Path, results: list[CheckResult], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A page with everything that can go wrong on it, in words as long as they come."""
    folder = tmp_path_factory.mktemp("page")
    path = folder / "warehouse.duckdb"
    shutil.copyfile(tiny, path)
    stored = [
        replace(results[0], status="fail", n_violating=7, n_checked=20, blocks=True),
        replace(results[1], status="error", n_violating=None, n_checked=None, detail=HOSTILE),
        replace(results[2], status="not_run", n_checked=None, detail=HOSTILE),
        replace(results[3], status="not_applicable", table_name=LONG, detail="no rows"),
        replace(results[4], status="fail", name=HOSTILE, advice=LONG, column_name=LONG),
        *results[5:],
    ]
    with duckdb.connect(str(path)) as connection:
        history.write(connection, stored, RUN["run_id"])
        connection.execute(
            "insert into quality.quarantine (table_name, record_no, src_rid, reason) "
            "select table_name, range, file_id::bigint << 32 | range, ? "
            "from quality.source_files, range(1, 31) where table_name = 'patients'",
            [HOSTILE],
        )
        connection.execute(
            "update staging.stg_common__delivery set site_code = ?, delivery_id = ?",
            [HOSTILE, LONG],
        )
        connection.execute("update reference.studies set title = ?", [HOSTILE])
        report.render(connection, folder / "quality.html", run={**RUN, "note": LONG})
    return folder / "quality.html"


def test_no_request_leaves_the_page_and_no_script_runs(opened: Opened, page_file: Path) -> None:
    assert opened.requests == [page_file.as_uri()]
    assert opened.messages == []
    assert opened.page.title() == "Data quality report (synthetic data)"
    assert opened.page.evaluate("document.scripts.length + document.images.length") == 0


def test_the_page_does_not_scroll_sideways(opened: Opened) -> None:
    opened.page.locator("#checks summary").click()
    width = opened.page.evaluate("document.documentElement.scrollWidth")
    assert width == opened.page.viewport_size["width"]


def test_tables_scroll_in_boxes_that_the_keyboard_reaches(opened: Opened) -> None:
    loose = opened.page.evaluate(
        """() => [...document.querySelectorAll('table')].filter(
            table => !table.closest('.scroll')).length"""
    )
    unreachable = opened.page.evaluate(
        """() => [...document.querySelectorAll('.scroll')].filter(box =>
            box.tabIndex !== 0 || box.getAttribute('role') !== 'region'
            || !box.getAttribute('aria-label')).length"""
    )
    assert (loose, unreachable) == (0, 0)


def test_the_banner_and_the_verdict_are_seen_first(opened: Opened) -> None:
    assert opened.page.locator(".banner").is_visible()
    verdict = opened.page.locator(".judgement.blocked .headline")
    assert verdict.inner_text() == "Blocked"
    assert verdict.bounding_box()["y"] < 300
    opened.page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    assert opened.page.locator(".banner").bounding_box()["y"] == 0


def test_words_of_the_heat_map_can_be_read(opened: Opened) -> None:
    """Contrast of 4.5 to 1 at least (WCAG 2.2, 1.4.3) on every shade."""
    ratios = opened.page.evaluate(
        """() => {
            const light = colour => {
                const [r, g, b] = colour.match(/\\d+/g).map(Number).map(v => v / 255)
                    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
                return .2126 * r + .7152 * g + .0722 * b;
            };
            return [...document.querySelectorAll('.scale [class^=shade]')].map(cell => {
                const style = getComputedStyle(cell);
                const [a, b] = [light(style.color), light(style.backgroundColor)].sort();
                return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
            });
        }"""
    )
    assert len(ratios) == 10
    assert min(ratios) > 4.5


def test_it_prints_without_being_cut(browser, page_file: Path) -> None:  # type: ignore[no-untyped-def]
    opened = Opened(browser, page_file, 688)  # an A4 page between its margins
    opened.page.emulate_media(media="print")
    assert opened.page.evaluate("document.documentElement.scrollWidth") == 688
    content = opened.page.pdf(prefer_css_page_size=True)
    opened.page.close()
    assert content.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", content)) >= 5
