"""The pages of a real run: documented, complete, and without a patient in what may be shared."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipeline import dbt_docs, quality_pages
from tests.browser import Opened, needs_chromium
from tests.two_runs import Runs


def shared(runs: Runs) -> dict[str, str]:
    folder = runs.layout.published / runs.second
    names = ("manifest.json", dbt_docs.DOCS, quality_pages.SHAREABLE)
    return {name: (folder / name).read_text(encoding="utf-8") for name in names}


def delivered(runs: Runs) -> set[str]:
    """What identifies a patient: pseudonyms, birth dates, numbers of patients and specimens."""
    with duckdb.connect(str(runs.layout.work / "warehouse.duckdb"), read_only=True) as connection:
        found = connection.execute(
            "select patient_key from raw.patients union select accession_no from raw.pathology "
            "union select birth_date from raw.patients where length(birth_date) = 10"
        ).fetchall()
    numbers = re.findall(
        r"^[^,\n]+", (runs.folder / "extract" / "patients.csv").read_text(), re.MULTILINE
    )
    return {value for (value,) in found if value} | set(numbers[1:])


def test_what_may_be_shared_names_no_patient(runs: Runs) -> None:
    values = delivered(runs)
    assert len(values) > 1000
    for name, text in shared(runs).items():
        assert [value for value in values if value in text] == [], name


def test_the_private_edition_names_the_patient_who_moved(runs: Runs) -> None:
    text = (runs.layout.work / quality_pages.PRIVATE).read_text(encoding="utf-8")
    assert runs.corrected in text
    assert text.count("PRIVATE") >= 2


def test_the_documentation_names_no_place_on_this_machine(runs: Runs) -> None:
    text = shared(runs)[dbt_docs.DOCS]
    for place in (runs.folder, Path(__file__).parents[2], Path.home()):
        assert str(place) not in text


def test_every_published_column_has_its_type_in_the_documentation(runs: Runs) -> None:
    text = shared(runs)[dbt_docs.DOCS]
    start = text.index('{"metadata"', text.index("INLINE") if "INLINE" in text else 0)
    decoder = json.JSONDecoder()
    _, end = decoder.raw_decode(text, start)
    catalog, _ = decoder.raw_decode(text, text.index('{"metadata"', end))
    typed = {
        (table["metadata"]["schema"], table["metadata"]["name"]): set(table["columns"])
        for table in [*catalog["nodes"].values(), *catalog["sources"].values()]
    }
    path = runs.layout.published / runs.second / "warehouse.duckdb"
    with duckdb.connect(str(path), read_only=True) as connection:
        for schema, table, columns in connection.execute(
            "select schema_name, table_name, list(column_name) from duckdb_columns() "
            "where schema_name in ('cohort', 'treatment', 'survival', 'safety') group by all"
        ).fetchall():
            assert typed[schema, table] == set(columns)


def test_the_overview_of_the_documentation_names_tables_that_are_published(runs: Runs) -> None:
    text = (Path(__file__).parents[2] / "models" / "overview.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+\.\w+)`", text))
    path = runs.layout.published / runs.second / "warehouse.duckdb"
    with duckdb.connect(str(path), read_only=True) as connection:
        found = connection.execute("select schema_name || '.' || table_name from duckdb_tables()")
        published = {name for (name,) in found.fetchall()}
    assert len(named) > 8
    assert named <= published


@needs_chromium
def test_the_documentation_opens_without_a_network(browser: Any, runs: Runs) -> None:
    opened = Opened(browser, runs.layout.published / runs.second / dbt_docs.DOCS, 1280)
    opened.page.wait_for_selector("text=Who was excluded from a study")
    assert "synthetic" in opened.page.inner_text("body")
    assert not [url for url in opened.requests if not url.startswith("file:")]
    opened.page.goto(f"{opened.page.url.split('#')[0]}#!/model/model.oncology_rwe.cohort")
    shown = "document.body.innerText.includes('first_failed_criterion')"
    opened.page.wait_for_function(shown)


@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_the_private_edition_fits_and_asks_for_nothing(
    browser: Any, runs: Runs, width: int
) -> None:
    opened = Opened(browser, runs.layout.work / quality_pages.PRIVATE, width)
    assert len(opened.requests) == 1
    assert opened.messages == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
