"""What may be shared of real patients tells of no few of them: page, files, curves, sums."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
import small_warehouse
from docx import Document
from scipy.optimize import linprog
from scipy.sparse import lil_array
from small_warehouse import STUDY

from analysis import disclosure, estimates, exports, report
from analysis.exhibits import Contents, contents
from analysis.study import load_study
from expectations.small_cells import HIDDEN, SMALL_CELL, Sum
from pipeline import erase, run
from pipeline.paths import Layout

Name = tuple[str, ...]
AT_RISK = "n_at_risk_"
K = SMALL_CELL


@pytest.fixture(scope="module")
def real() -> Iterator[duckdb.DuckDBPyConnection]:
    """The small warehouse, of patients that nobody calls invented."""
    with small_warehouse.build(":memory:") as connection:
        connection.execute("update staging.stg_common__delivery set synthetic = 'no'")
        estimates.compute(connection, STUDY)
        yield connection


@pytest.fixture(scope="module")
def shared(real: duckdb.DuckDBPyConnection) -> Contents:
    return contents(real, STUDY)


@pytest.fixture(scope="module")
def exact(real: duckdb.DuckDBPyConnection) -> Contents:
    return contents(real, STUDY, private=True)


@pytest.fixture(scope="module")
def shared_page(real: duckdb.DuckDBPyConnection, shared: Contents) -> str:
    return report.page(real, shared, run=small_warehouse.RUN)


@pytest.fixture(scope="module")
def folder(
    real: duckdb.DuckDBPyConnection, shared: Contents, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("shared")
    exports.write(real, shared, path)
    return path / STUDY


def sheet(folder: Path, name: str) -> list[dict[str, str]]:
    text = (folder / "tables" / f"{name}.csv").read_text(encoding="utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def texts(folder: Path, page: str) -> dict[str, str]:
    """Everything that is shared, as text without markup."""
    found = {"page": re.sub(r"<style.*?</style>| d=\"[^\"]*\"", "", page, flags=re.DOTALL)}
    for path in folder.rglob("*"):
        if path.suffix in (".csv", ".svg"):
            found[path.name] = path.read_text(encoding="utf-8-sig")
        elif path.suffix == ".xlsx":
            with zipfile.ZipFile(path) as archive:
                found[path.name] = " ".join(
                    archive.read(name).decode() for name in archive.namelist()
                )
        elif path.suffix == ".docx":
            document = Document(str(path))
            found[path.name] = " ".join(
                [
                    *(
                        cell.text
                        for table in document.tables
                        for row in table.rows
                        for cell in row.cells
                    ),
                    *(paragraph.text for paragraph in document.paragraphs),
                    *(shape._inline.docPr.get("descr") for shape in document.inline_shapes),
                ]
            )
    return {name: re.sub(r" (d|points|transform)=\"[^\"]*\"", "", t) for name, t in found.items()}


def test_of_invented_patients_nothing_is_hidden(
    warehouse: duckdb.DuckDBPyConnection, page: str, tmp_path: Path
) -> None:
    found = contents(warehouse, STUDY)
    assert found.edition.policy is None
    exports.write(warehouse, found, tmp_path)
    for name, text in texts(tmp_path / STUDY, page).items():
        assert HIDDEN not in text, name
    stored = warehouse.execute("select display from results.estimates order by rowid").fetchall()
    assert [row["display"] for row in sheet(tmp_path / STUDY, "estimates")] == [
        display for (display,) in stored
    ]


def test_no_hidden_number_is_on_the_page_or_in_a_file(
    exact: Contents, shared: Contents, shared_page: str, folder: Path
) -> None:
    pairs = list(zip(exact.edition.estimates, shared.edition.estimates, strict=True))
    visible = {after["display"].lstrip("-") for _, after in pairs} | {
        str(row[name])
        for row in shared.edition.compared
        for name in ("printed", "computed_display")
    }
    # As numbers of the workbook.
    visible |= {text.rstrip("0") for text in visible if "." in text}
    # Those that stand for nothing else: ticks of axes, which are round, and whole numbers are too
    # common, and by how many per cent a number differs from the printed one is another number.
    hidden = {
        before["display"].lstrip("-")
        for before, after in pairs
        if after["display"] != before["display"]
        and re.fullmatch(r"-?(\d+\.\d+[1-9]|\d{2,}\.[1-9])", before["display"])
    } - visible
    hidden |= {
        repr(before["value"])
        for before, after in pairs
        if after["value"] is None and len(repr(before["value"])) > 8
    } - {repr(after["value"]) for _, after in pairs}
    assert len(hidden) > 200
    for name, text in texts(folder, shared_page).items():
        shown = " ".join(re.findall(r">([^<>]+)<", text)) if "<" in text else text
        numbers = set(re.findall(r"(?<![\d.])\d+\.\d+(?![\d.%])", shown))
        assert numbers & hidden == set(), name


def test_no_small_count_is_printed(shared: Contents, folder: Path) -> None:
    for row in sheet(folder, "estimates"):
        if row["exhibit"] == "provenance" or row["statistic"] in disclosure.NOT_OF_PATIENTS:
            continue
        numbers = [row["n"], row["events"]]
        if re.search(r"(^|_)n$", row["statistic"]):
            numbers.append(row["value"])
        assert all(not text or not 0 < float(text) < K for text in numbers), row
    for row in sheet(folder, "published_comparison"):
        if re.search(r"(^|_)n$", row["statistic"]) and row["computed_value"]:
            assert not 0 < float(row["computed_value"]) < K, row
    cells = [
        cell.text
        for section in shared.sections
        for exhibit in section.exhibits
        for table in exhibit.tables
        for row in table.rows
        for cell in row.cells
    ]
    counts = [int(n) for text in cells for n in re.findall(r"^(\d+)(?: \(\d|$)", text)]
    assert len(counts) > 100
    assert not [n for n in counts if 0 < n < K]


def test_a_printed_number_does_not_tell_the_hidden_one(folder: Path) -> None:
    hidden = {row["estimate_id"] for row in sheet(folder, "estimates") if row["display"] == HIDDEN}
    rows = [row for row in sheet(folder, "published_comparison") if row["estimate_id"] in hidden]
    assert len(rows) > 50
    for row in rows:
        assert row["verdict"] == disclosure.NOT_SHOWN
        assert row["computed_display"] == HIDDEN
        assert not row["computed_value"] and not row["difference"]
        assert not re.search(r"\d", row["explanation"])


def test_percentages_follow_their_count(folder: Path) -> None:
    rows = sheet(folder, "estimates")
    place = ("exhibit", "population", "variable", "level")
    hidden = {
        tuple(row[name] for name in place)
        for row in rows
        if row["statistic"] == "n" and row["display"] == HIDDEN
    }
    shares = [row for row in rows if re.fullmatch(r"pct(_lower|_upper)?", row["statistic"])]
    following = [row for row in shares if tuple(row[name] for name in place) in hidden]
    assert len(following) > 30
    assert all(row["display"] == HIDDEN and not row["value"] for row in following)
    of_hidden = [row for row in shares if not row["n"]]
    assert len(of_hidden) > 30
    assert {row["display"] for row in of_hidden} == {HIDDEN}


def test_what_patients_had_is_hidden_with_them(folder: Path) -> None:
    counts = {
        (row["exhibit"], row["population"], row["variable"], row["level"], row["statistic"]): row
        for row in sheet(folder, "estimates")
    }
    hidden = [
        name
        for name, row in counts.items()
        if name[-1] == "patients_n" and row["display"] == HIDDEN
    ]
    assert len(hidden) > 10
    assert {counts[*name[:-1], "n"]["display"] for name in hidden} == {HIDDEN}


def test_agreement_is_hidden_where_a_cell_of_its_table_is(folder: Path) -> None:
    rows = [row for row in sheet(folder, "estimates") if row["exhibit"] == "tableS5"]
    assert HIDDEN in {row["display"] for row in rows if row["statistic"] == "visits_n"}
    measures = [row for row in rows if row["statistic"].startswith(("agreement", "kappa"))]
    assert len(measures) == 6
    assert {row["display"] for row in measures} == {HIDDEN}


def test_balance_is_hidden_where_a_cell_of_the_covariate_is(folder: Path) -> None:
    rows = sheet(folder, "estimates")
    hidden = {
        row["variable"]
        for row in rows
        if (row["exhibit"], row["statistic"], row["display"]) == ("tableS1", "n", HIDDEN)
    }
    balance = [row for row in rows if (row["exhibit"], row["statistic"]) == ("figS7", "smd")]
    assert len(balance) > 10
    found = {row["variable"].removeprefix("balance: "): row["display"] == HIDDEN for row in balance}
    assert len({*found.values()}) == 2
    assert {name for name, is_hidden in found.items() if is_hidden} == hidden & {*found}


def test_what_is_computed_from_few_is_hidden(exact: Contents, folder: Path) -> None:
    of_few = {
        row["estimate_id"]
        for row in exact.edition.estimates
        if row["exhibit"] != "provenance"
        and (0 < (row["n"] or 0) < K or 0 < (row["events"] or 0) < K)
        and row["value"] is not None
        and not row["statistic"].endswith("n")
        and not row["statistic"].startswith(AT_RISK)
    }
    shown = {row["estimate_id"]: row["value"] for row in sheet(folder, "estimates")}
    assert len(of_few) > 100
    assert not [name for name in of_few if shown[name] and "pct" not in name]


def test_events_are_hidden_where_few_are_left(exact: Contents, folder: Path) -> None:
    few_left = {
        row["estimate_id"]
        for row in exact.edition.estimates
        if row["exhibit"] != "provenance"
        and row["events"] is not None
        and 0 < row["n"] - row["events"] < K
    }
    rows = [row for row in sheet(folder, "estimates") if row["estimate_id"] in few_left]
    assert len(rows) > 20
    assert not [row for row in rows if row["events"]]


def test_shares_at_fixed_times_are_those_of_the_gathered_curve(
    exact: Contents, shared: Contents
) -> None:
    curves = shared.edition.curves.assign(variable=shared.edition.curves["endpoint"].str.lower())
    places = curves.groupby(["exhibit", "population", "variable", "group"])
    true = {row["estimate_id"]: row["value"] for row in exact.edition.estimates}
    n_shown = {"survival": 0, "incidence": 0}
    for row in shared.edition.estimates:
        at = re.fullmatch(
            r"(survival|incidence)_pct_(\d+)_months(|_lower|_upper)", row["statistic"]
        )
        if not at or row["value"] is None:
            continue
        n_shown[at[1]] += 1
        own = places.get_group((row["exhibit"], row["population"], row["variable"], row["level"]))
        assert int(at[2]) <= own["time_months"].max() + 1e-6, row["estimate_id"]
        last = own[own["time_months"] <= int(at[2]) + 1e-6].iloc[-1]
        read_off = 100 * last[["lower", "survival", "upper"]].astype(float)
        if at[1] == "incidence":
            read_off = 100 - read_off
        value = dict(zip(("_lower", "", "_upper"), sorted(read_off), strict=True))[at[3]]
        assert row["value"] == pytest.approx(value, abs=0.11), row["estimate_id"]
        # Events so far, but too few for a step: no share is known.
        nothing_yet = 100 if at[1] == "survival" else 0
        assert last["survival"] < 1 or true[row["estimate_id"]] == nothing_yet, row["estimate_id"]
    assert min(n_shown.values()) > 10


def test_what_is_hidden_does_not_tell_which_counts_are_small(shared: Contents) -> None:
    """A count hidden as cover looks like a small one, and so does what is computed beside it."""
    beside = [
        row
        for row in shared.edition.estimates
        if row["exhibit"] != "provenance"
        and row["n"] is None
        and not re.search(r"(^|_)n$|^n_at_risk_|pct", row["statistic"])
        and not disclosure.COMPARISON.search(row["statistic"])
    ]
    assert len(beside) > 50
    assert {row["display"] for row in beside} == {HIDDEN}
    medians = {
        (row["exhibit"], row["population"], row["variable"], row["level"]): row["display"]
        for row in shared.edition.estimates
        if row["statistic"] == "median_months" and row["convention"] == "preferred"
    }
    deaths = [
        row
        for row in shared.edition.estimates
        if row["statistic"] == "events_n" and row["display"] == HIDDEN
    ]
    found = {
        medians.get((r["exhibit"], r["population"], r["variable"], r["level"])) for r in deaths
    }
    assert found - {None} == {HIDDEN}


def test_no_number_says_more_than_is_printed(shared: Contents, folder: Path) -> None:
    """A survival estimate in full precision tells how many were at risk at each event."""
    numbers = [
        row[name]
        for table, names in (
            ("estimates", ["value"]),
            ("published_comparison", ["computed_value", "difference"]),
        )
        for row in sheet(folder, table)
        for name in names
        if row[name] and row["exhibit"] != "provenance"
    ]
    assert len(numbers) > 1000
    assert not [text for text in numbers if len(text.partition(".")[2]) > disclosure.DECIMALS]
    heights = shared.edition.curves[["survival", "lower", "upper"]]
    assert heights.equals(heights.round(disclosure.DECIMALS))


def test_extremes_are_of_one_patient_each_and_hidden(folder: Path) -> None:
    rows = [
        row
        for row in sheet(folder, "estimates")
        if row["statistic"].startswith(("min_", "max_", "rmst_horizon"))
        or "_weight" in row["statistic"]
    ]
    assert len(rows) > 5
    assert {row["display"] for row in rows} == {HIDDEN}


def test_events_per_variable_are_hidden_with_the_events() -> None:
    cohort = small_warehouse.calibrated()
    cohort["death"] = [int(k >= 3) for k in range(len(cohort))]
    with small_warehouse.build(":memory:", cohort) as connection:
        connection.execute("update staging.stg_common__delivery set synthetic = 'no'")
        estimates.compute(connection, STUDY)
        edition = contents(connection, STUDY).edition
    shown = {
        row["statistic"]: row["display"]
        for row in edition.estimates
        if (row["exhibit"], row["variable"]) == ("table7", "os cox")
    }
    assert shown["events_n"] == shown["events_per_variable"] == HIDDEN


def test_methods_tell_no_longest_time_and_no_size_of_a_group(folder: Path) -> None:
    rows = sheet(folder, "estimates")
    methods = [row["method"] for row in rows if "restricted" in row["method"]]
    assert len(methods) > 5
    assert not [method for method in methods if re.search(r" to \d", method)]
    exact_tests = [row["method"] for row in rows if "exact permutation" in row["method"]]
    assert exact_tests and not [method for method in exact_tests if "arrangements" in method]
    assert not [row for row in rows if "horizon" in row["parameters"]]


def test_numbers_at_risk_are_multiples(exact: Contents, folder: Path) -> None:
    at_risk = [row for row in sheet(folder, "estimates") if row["statistic"].startswith(AT_RISK)]
    shown = [float(row["value"]) for row in at_risk if row["value"]]
    assert len(shown) > 50
    assert all(n % K == 0 for n in shown)
    hidden = {
        (row["exhibit"], row["population"], row["variable"], row["level"])
        for row in sheet(folder, "estimates")
        if row["statistic"] == "n" and row["display"] == HIDDEN
    }
    of_hidden = [
        row
        for row in at_risk
        if (row["exhibit"], row["population"], row["variable"], row["level"]) in hidden
    ]
    assert len(of_hidden) > 20
    assert {row["display"] for row in of_hidden} == {HIDDEN}
    true = {row["estimate_id"]: row["value"] for row in exact.edition.estimates}
    for row in at_risk:
        if row["value"]:
            assert abs(float(row["value"]) - true[row["estimate_id"]]) <= K / 2


def test_each_step_of_a_curve_is_of_enough_events(exact: Contents, shared: Contents) -> None:
    drawn = list(shared.edition.curves.groupby("curve_id"))
    assert len(drawn) > 3
    place = ("exhibit", "population", "variable", "level")
    uncounted = {
        tuple(row[name] for name in place)
        for row in shared.edition.estimates
        if row["statistic"] in ("n", "events_n") and row["display"] == HIDDEN
    }
    for curve_id, curve in drawn:
        first = curve.iloc[0]
        whose = (first["exhibit"], first["population"], first["endpoint"].lower(), first["group"])
        assert whose not in uncounted, curve_id
        own = exact.edition.curves
        own = own[own["curve_id"] == curve_id].sort_values("time_months")
        assert own["n_at_risk"].iloc[0] >= K
        heights = own["survival"].round(disclosure.DECIMALS).tolist()
        events = own["n_events"].cumsum().tolist()
        so_far = 0.0
        for before, after in zip(curve["survival"], curve["survival"].iloc[1:], strict=False):
            if after < before:
                reached = events[len(heights) - 1 - heights[::-1].index(after)]
                assert reached - so_far >= K, curve_id
                so_far = reached
        assert not curve["n_censored"].any()
        assert (curve["n_at_risk"] % K == 0).all()
        end = own[own["time_months"] >= curve["time_months"].iloc[-1]]
        assert end["n_at_risk"].iloc[0] >= K


@pytest.mark.parametrize("seed", range(20))
def test_gathering_keeps_the_estimates(seed: int) -> None:
    chance = np.random.default_rng(seed)
    n = int(chance.integers(2, 80))
    ended = chance.integers(0, 3, n)
    curve = pd.DataFrame(
        {
            "time_months": np.arange(n, dtype=float),
            "n_at_risk": float(ended.sum()) - np.r_[0, ended.cumsum()[:-1]],
            "n_events": np.where(chance.random(n) < 0.6, ended, 0).astype(float),
        }
    )
    curve["n_censored"] = ended - curve["n_events"]
    factor = 1 - curve["n_events"] / curve["n_at_risk"].clip(lower=1)
    curve["survival"] = curve["lower"] = curve["upper"] = factor.cumprod()
    found = disclosure.gather(curve)
    seen = curve[curve["n_at_risk"] >= K]
    if found.empty:
        assert seen.empty or 0 < seen["n_events"].sum() < K
        return
    assert found["time_months"].is_monotonic_increasing
    assert found["n_events"].sum() == seen["n_events"].sum()
    assert all(step == 0 or step >= K for step in found["n_events"])
    assert found["survival"].iloc[-1] == seen["survival"].iloc[-1]
    # A step stands where the middle one of its events is.
    times = np.repeat(seen["time_months"], seen["n_events"].astype(int)).tolist()
    for step in found[found["n_events"] > 0].itertuples():
        own, times = times[: int(step.n_events)], times[int(step.n_events) :]
        assert step.time_months == own[len(own) // 2]


def test_a_count_is_known_by_the_patients_it_counts(real: duckdb.DuckDBPyConnection) -> None:
    study = load_study(real, STUDY)
    everybody = frozenset(study.levels.index)
    few, some = frozenset(sorted(everybody)[:2]), frozenset(sorted(everybody)[:20])
    place = {"exhibit": "table", "population": "all", "variable": "os", "level": None}
    place["parameters"] = "{}"
    for statistic, value, whole, counted, key, among in (
        ("excluded_n", 2, everybody - few, None, few, everybody),
        ("incomplete_n", 2, everybody - few, None, few, everybody),
        ("n", 20, some, None, some, everybody),
        ("n", 20, some, some, some, everybody),
        ("n", 2, some, few, few, some),
        ("visits_n", 7, some, None, ("table", "all", "os", None, "visits_n"), some),
    ):
        row = {**place, "statistic": statistic, "value": float(value)}
        found = disclosure._count(disclosure.Number(row, whole, counted), study)
        assert (found.key, found.among) == (key, among), (statistic, value)


def test_few_left_over_of_whole_patients_are_few(real: duckdb.DuckDBPyConnection) -> None:
    study = load_study(real, STUDY)
    keys = sorted(study.levels.index)
    everybody, most, many = (frozenset(keys[:n]) for n in (len(keys), len(keys) - 3, 40))
    place = {"exhibit": "table", "population": "all", "variable": "os", "parameters": "{}"}

    def number(
        statistic: str, whole: frozenset[str], counted: frozenset[str] | None = None
    ) -> disclosure.Number:
        row = {**place, "level": str(len(counted or whole)), "statistic": statistic}
        return disclosure.Number(row | {"value": float(len(counted or whole))}, whole, counted)

    for numbers in (
        [number("n", everybody, many), number("n", everybody, most)],
        [number("n", everybody), number("median_months", most)],
    ):
        counts = [disclosure._count(one, study) for one in numbers if one.is_count]
        assert disclosure._concealed(study, numbers, counts) & {most, everybody}


def test_a_level_within_a_level_and_the_rest_of_it_are_a_sum() -> None:
    row = {"exhibit": "table4", "population": "all", "level": "first", "parameters": "{}"}
    among, rate, complete = (frozenset("abcdefgh"[:n]) for n in (8, 5, 2))
    counts = [
        disclosure.Count(disclosure.Number(row | {"variable": name}, among, key), key, among)
        for name, key in (("ORR", rate), ("CR", complete))
    ]
    sums = list(disclosure._levels(counts, {"table4": "response"}))
    assert Sum(rate, (complete, rate - complete)) in sums


@pytest.mark.parametrize(
    ("one", "same"),
    [
        (("missing: sex", "all patients", {}), ("sex", "missing", {})),
        (("os by sex", "male", {}), ("sex", "male", {})),
        (("sex", "male: given", {"group": "given"}), ("sex", "male", {})),
        (
            ("line", "first: XELOX", {"value": "XELOX", "detail_variable": "regimen"}),
            ("group", "alone: XELOX", {"value": "XELOX", "detail_variable": "regimen"}),
        ),
    ],
    ids=["missing", "by", "of a group", "detail"],
)
def test_the_same_question_is_known_by_any_name(
    one: tuple[str, str, dict[str, str]], same: tuple[str, str, dict[str, str]]
) -> None:
    def question(variable: str, level: str, parameters: dict[str, str]) -> object:
        row = {"statistic": "n", "variable": variable, "level": level}
        number = disclosure.Number(row | {"parameters": json.dumps(parameters)}, None, None)
        return disclosure._question(disclosure.Count(number, (), None))

    assert question(*one) == question(*same) != question("age", "young", {})


def test_where_patients_go_and_come_from_are_sums() -> None:
    ways = {("x", "x"): "ab", ("x", "y"): "cd", ("y", "x"): "ef", ("y", "y"): "gh"}
    counts = []
    for (source, target), keys in ways.items():
        row = {"exhibit": "figS2", "population": "all", "variable": "line 1 to line 2"}
        told = {"level": "", "parameters": json.dumps({"source": source, "target": target})}
        counts.append(
            disclosure.Count(disclosure.Number(row | told, None, None), frozenset(keys), None)
        )
    found = {one.total: set(one.parts) for one in disclosure._transitions(counts)}
    assert {frozenset("abcd"), frozenset("efgh"), frozenset("abef"), frozenset("cdgh")} == {*found}
    assert found[frozenset("abef")] == {frozenset("ab"), frozenset("ef")}


def test_of_a_count_of_unnamed_patients_the_others_are_a_count_too() -> None:
    row = {"exhibit": "table", "population": "all", "variable": "os", "level": "", "value": 7.0}
    number = disclosure.Number(row, None, None)
    ten = frozenset("abcdefghij")
    found = list(disclosure._of_rows([disclosure.Count(number, ("seven",), ten)], {}))
    assert found == [Sum(ten, (("seven",), ("others", "seven")))]


def test_each_step_of_the_cohort_flow_begins_with_whom_the_last_one_left() -> None:
    def count(exhibit: str, step: str, level: str, **parameters: object) -> disclosure.Count:
        row = {"exhibit": exhibit, "variable": step, "level": level}
        number = disclosure.Number(row | {"parameters": json.dumps(parameters)}, None, None)
        return disclosure.Count(number, (exhibit, step, level), None)

    levels = ("assessed", "not met", "unknown", "remaining")
    steps = {step: [("flow", step, level) for level in levels] for step in ("consent", "HER2")}
    counts = [count(*key) for keys in steps.values() for key in keys]
    everybody = frozenset("ab")
    found = list(
        disclosure._flow(
            [*counts, count("text", "cohort", "", after_criterion="consent")], everybody
        )
    )
    (assessed, *others), (then, *left) = steps.values()
    assert {one.total: one.parts for one in found if len(one.parts) == 3} == {
        assessed: tuple(others),
        then: tuple(left),
    }
    assert {(one.total, *one.parts) for one in found if len(one.parts) == 1} == {
        (others[-1], then),
        (left[-1], everybody),
        (("text", "cohort", ""), others[-1]),
    }


def _with_events(n: int, events: int) -> disclosure.Number:
    row = {"variable": "os", "events": events, "parameters": '{"endpoint": "OS"}'}
    return disclosure.Number(row, frozenset(map(str, range(n))), None)


@pytest.mark.parametrize(
    ("n", "events", "tells"),
    [(20, 10, False), (20, 17, True), (30, 13, True), (30, 10, False), (30, 20, False)],
    ids=["many others", "3 events", "3 without", "none without", "no event"],
)
def test_events_of_a_part_tell_of_few_others(n: int, events: int, tells: bool) -> None:
    """All 40 have 20 events: the others have those that the part has not."""
    part = _with_events(n, events)
    found = list(disclosure._events_of_parts([_with_events(40, 20), part]))
    assert found == ([(part.whole, events)] if tells else [])


def test_events_that_are_hidden_themselves_tell_nothing_of_a_part() -> None:
    numbers = [_with_events(40, 20), _with_events(38, 19), _with_events(20, 15)]
    assert [events for _, events in disclosure._events_of_parts(numbers)] == [19]


def test_a_number_that_does_not_say_of_whom_is_hidden_if_they_are_few(exact: Contents) -> None:
    row = next(row for row in exact.edition.estimates if row["statistic"] == "median_months")
    number = disclosure.Number(row | {"n": K - 1, "events": None}, None, None)
    editor = disclosure._Editor([number], [], set(), exact.edition.curves.iloc[:0])
    (found,) = editor.edit([number])
    assert (found["n"], found["display"]) == (None, HIDDEN)


def test_no_hash_of_a_delivered_file_is_shared(
    real: duckdb.DuckDBPyConnection, shared_page: str, folder: Path
) -> None:
    """Against it the numbers of the patients of a small file could be tried."""
    hashes = real.execute(
        "select sha256 from quality.source_files where sha256 is not null"
    ).fetchall()
    assert hashes
    for name, text in texts(folder, shared_page).items():
        assert not [sha256 for (sha256,) in hashes if sha256 in text], name


def test_figures_with_a_bar_a_patient_are_not_drawn(
    shared: Contents, shared_page: str, folder: Path
) -> None:
    assert shared.edition.bars.empty
    names = {path.stem for path in (folder / "figures").iterdir()}
    assert not {name for name in names if "swimmer" in name or "waterfall" in name}
    assert shared_page.count(disclosure.ONE_BAR_A_PATIENT) == 2


def test_the_page_says_what_is_hidden(shared_page: str, folder: Path) -> None:
    assert disclosure.POLICY in shared_page
    assert "Ticks: censored" not in shared_page
    medians = shared_page[shared_page.index('id="fig1-medians-table"') :]
    assert disclosure.ROUGH in medians[: medians.index("</div>", medians.index('class="notes"'))]
    rough = [
        row
        for row in sheet(folder, "estimates")
        if row["statistic"].startswith("survival_pct_") and row["value"]
    ]
    assert rough and all(row["method"].endswith(disclosure.READ_OFF) for row in rough)
    with zipfile.ZipFile(folder / f"{STUDY}_tables.xlsx") as workbook:
        assert disclosure.POLICY in workbook.read("xl/sharedStrings.xml").decode()
    assert "PRIVATE" not in shared_page
    assert "None" not in re.sub(r"<[^>]+>", "", shared_page)


def test_the_private_edition_is_complete(
    real: duckdb.DuckDBPyConnection, exact: Contents, page: str
) -> None:
    stored = real.execute("select value from results.estimates order by rowid").fetchall()
    assert [row["value"] for row in exact.edition.estimates] == [value for (value,) in stored]
    text = report.page(real, exact, run=small_warehouse.RUN)
    assert "PRIVATE" in text
    assert HIDDEN not in text
    assert text.count("<svg") == page.count("<svg")


def test_the_private_page_lies_in_the_private_folder_until_an_erasure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path / "work", tmp_path / "published")
    folder = layout.published / "run"
    for path in (layout.work, folder):
        path.mkdir(parents=True)
    with small_warehouse.build(layout.warehouse) as connection:
        connection.execute("update staging.stg_common__delivery set synthetic = 'no'")
    monkeypatch.setattr("analysis.second_programming.compute", lambda *_: [])
    monkeypatch.setattr("pipeline.publish.not_listed", lambda *_: [])
    studies, *_ = run._compute(layout)
    run._report(layout, folder, studies, small_warehouse.RUN)
    private = layout.work / f"{STUDY}{run.PRIVATE_PAGE}"
    assert "PRIVATE" in private.read_text(encoding="utf-8")
    assert "PRIVATE" not in (folder / f"{STUDY}.html").read_text(encoding="utf-8")
    assert not list(layout.published.rglob(f"*{run.PRIVATE_PAGE}"))
    erase._clear_build(layout.work)
    assert not private.exists()


class Attack:
    """What a reader knows: names of counts, and what adds up by what the tables are about.

    Written without the code that hides. Every equation is held against the true counts first.
    """

    def __init__(self, exact: Contents, shared: Contents) -> None:
        self.true: dict[Name, int] = {}
        self.known: dict[Name, int] = {}
        self.equations: list[tuple[Name, list[Name]]] = []
        for before, after in zip(exact.edition.estimates, shared.edition.estimates, strict=True):
            statistic = before["statistic"]
            if before["exhibit"] == "provenance":
                continue
            name = tuple(
                str(before[part] or "")
                for part in ("exhibit", "population", "variable", "level", "statistic")
            )
            if statistic in ("logrank_p", "hazard_ratio"):
                for field in ("n", "events"):
                    if before[field] is not None:
                        behind = (*name[:4], field, "behind")
                        self.true[behind] = int(before[field])
                        if after[field] is not None:
                            self.known[behind] = int(after[field])
            if before["value"] is None or not re.search(r"(^|_)n$", statistic):
                continue
            self.true[name] = int(before["value"])
            if after["value"] is not None:
                self.known[name] = int(after["value"])

    def add(self, total: Name, parts: list[Name], rest: str = "") -> None:
        """A total and its parts; with `rest`, others beside them."""
        parts = [part for part in parts if part in self.true]
        if total not in self.true or not parts:
            return
        if rest:
            other = (rest, *total, *parts[0])
            self.true[other] = self.true[total] - sum(self.true[part] for part in parts)
            assert self.true[other] >= 0
            parts = [*parts, other]
        assert self.true[total] == sum(self.true[part] for part in parts), (total, parts)
        self.equations.append((total, parts))

    def named(self, exhibit: str, population: str, statistic: str = "n") -> dict[str, list[Name]]:
        found: dict[str, list[Name]] = defaultdict(list)
        for name in list(self.true):
            if len(name) == 5 and (name[0], name[1], name[4]) == (exhibit, population, statistic):
                found[name[2]].append(name)
        return found

    def narrow(self) -> list[tuple[Name, int, float]]:
        """Hidden counts, and small ones that are not printed, with too narrow a range."""
        names = list(self.true)
        place = {name: number for number, name in enumerate(names)}
        matrix = lil_array((len(self.equations), len(names)))
        for row, (total, parts) in enumerate(self.equations):
            matrix[row, place[total]] = -1
            for part in parts:
                matrix[row, place[part]] += 1
        bounds = [(self.known.get(name, 0), self.known.get(name)) for name in names]
        found = []
        for name in names:
            printed = len(name) == 5
            if name in self.known or not (printed or 0 < self.true[name] < K):
                continue
            ends = []
            for sign in (1, -1):
                aim = np.zeros(len(names))
                aim[place[name]] = sign
                solved = linprog(
                    aim, A_eq=matrix.tocsr(), b_eq=np.zeros(len(self.equations)), bounds=bounds
                )
                assert solved.status in (0, 3)
                ends.append(solved.x[place[name]] if solved.status == 0 else np.inf)
            if abs(ends[1] - ends[0]) < K - 1e-6:
                found.append((name, self.true[name], ends))
        return found


@pytest.fixture(scope="module")
def attack(exact: Contents, shared: Contents) -> Attack:
    it = Attack(exact, shared)
    everybody = ("text", "all", "cohort", "HER2-positive mCRC", "n")
    groups = {
        group: ("tableS1", "all", "trastuzumab", group, "n")
        for group in ("trastuzumab", "no trastuzumab")
    }
    wild = ("table1", "all", "ras_braf", "wild type", "n")
    mutant = ("table1", "all", "ras_braf", "mutant", "n")
    one = ("fig2", "group A", "cohort", "trastuzumab", "n")
    it.add(one, [groups["trastuzumab"]])
    it.add(everybody, list(groups.values()))

    # The cohort flow.
    last: Name | None = None
    for names in it.named("flow", "delivered").values():
        by = {name[3]: name for name in names}
        it.add(by["assessed"], [by["not met"], by["unknown"], by["remaining"]])
        if last:
            it.add(last, [by["assessed"]])
        last = by["remaining"]
    assert last
    it.add(last, [everybody])

    # Levels of a variable are everybody, or of a part of the population that part.
    for variable, names in it.named("table1", "all").items():
        levels = [name for name in names if ", liver" not in name[3]]
        it.add(everybody, levels)
        for level in levels:
            it.add(level, [name for name in names if name[3].startswith(f"{level[3]}, ")], "rest")
            of_groups = {
                group: ("tableS1", "all", variable, f"{level[3]}: {group}", "n") for group in groups
            }
            it.add(level, list(of_groups.values()))
            it.add(level, [("table6", "all", f"os by {variable}", level[3], "n")])
        for group, whole in groups.items():
            it.add(whole, [(*whole[:2], variable, f"{x[3]}: {group}", "n") for x in levels])
    for exhibit, population, whole in (
        ("table2", "group A", groups["trastuzumab"]),
        ("table3", "wild type", wild),
        ("table3", "mutant", mutant),
    ):
        for names in it.named(exhibit, population).values():
            columns = [name for name in names if ": " not in name[3]]
            it.add(whole, columns, "rest")
            for column in columns:
                it.add(column, [x for x in names if x[3].startswith(f"{column[3]}: ")])
    for exhibit, population, whole, variables in (
        ("fig2", "all", everybody, ("os",)),
        ("fig4", "wild type", wild, ("os", "pfs")),
        ("figS1", "all", everybody, ("first line",)),
        ("table4", "group A", groups["trastuzumab"], ("trastuzumab_line",)),
        ("table5", "wild type", wild, ("first_line_group",)),
        ("fig3", "group A", groups["trastuzumab"], ("os",)),
    ):
        for variable in variables:
            it.add(whole, it.named(exhibit, population)[variable], "rest")
    for name in it.named("fig4", "wild type")["os"]:
        for same in (
            ("fig4", "wild type", "pfs"),
            ("table3", "wild type", "first_line_group"),
            ("table5", "wild type", "first_line_group"),
        ):
            it.add(name, [(*same, name[3], "n")])
    for name in it.named("table4", "group A")["trastuzumab_line"]:
        it.add(name, [("fig3", "group A", "os", name[3], "n")])
        it.add(name, [("table2", "group A", "trastuzumab_line", name[3], "n")])

    # Responses and the rates made of them.
    for exhibit, population, sizes in (
        ("table4", "group A", "trastuzumab_line"),
        ("tableS4", "all", "patients"),
    ):
        responses = it.named(exhibit, population)
        for whole in responses[sizes]:
            of = {
                variable: name
                for variable, names in responses.items()
                for name in names
                if name[3] == whole[3]
            }
            rates = ("ORR", "DCR", sizes)
            it.add(whole, [name for variable, name in of.items() if variable not in rates])
            it.add(of["ORR"], [of["CR"], of["PR"]])
            stable = [of[name] for name in ("CR", "PR", "SD", "NON-CR/NON-PD") if name in of]
            it.add(of["DCR"], stable)

    # Events, and those without one; events of groups are everybody's.
    deaths = ("text", "all", "os", "", "deaths_n")
    it.add(deaths, [("fig1", "all", "os", "first line", "events_n")])
    it.add(deaths, it.named("fig2", "all", "events_n")["os"])
    for variable in it.named("table1", "all"):
        it.add(deaths, it.named("table6", "all", "events_n")[f"os by {variable}"])
    for name in list(it.true):
        if len(name) == 5 and name[4] == "events_n":
            it.add((*name[:4], "n"), [name], "without")

    # What is behind tests: patients and events of both groups, and those of all but the left out.
    figures = [("fig4", "wild type", "pfs"), ("fig4", "wild type", "os"), ("fig2", "all", "os")]
    for exhibit, population, variable in figures:
        for field, statistic in (("n", "n"), ("events", "events_n")):
            groups_of = {x[3]: x for x in it.named(exhibit, population, statistic)[variable]}
            for level in [x[3] for x in it.true if x[:3] == (exhibit, population, variable)]:
                pair = [groups_of[part] for part in level.split(" vs ") if part in groups_of]
                if len(pair) == 2:
                    it.add((exhibit, population, variable, level, field, "behind"), pair)
            it.add(
                (exhibit, population, variable, "all groups", field, "behind"),
                list(groups_of.values()),
            )
    contrast = ("group A vs group B",)
    for months in (3, 6, 12):
        landmark = ("fig2", "all", f"os landmark {months} months")
        n, events = ((*landmark, *contrast, field, "behind") for field in ("n", "events"))
        for of, statistic in ((n, "n"), (events, "events_n")):
            it.add(of, it.named("fig2", "all", statistic)[landmark[2]])
        it.add(n, [(*landmark, *contrast, side) for side in ("exposed_n", "unexposed_n")])
        it.add(everybody, [n, (*landmark, *contrast, "excluded_n")])
        it.add(deaths, [events], "of the excluded")
        it.add((*landmark, *contrast, "excluded_n"), [("of the excluded", *deaths, *events)], "not")

    # Adverse events: patients with and without.
    for names in it.named("table5", "wild type", "patients_n").values():
        for name in names:
            it.add(("table5", "wild type", "first_line_group", name[3], "n"), [name], "without")

    # Lines: what follows what, and why.
    flows = it.named("figS2", "all")
    for line in (1, 2):
        between = flows[f"line {line} to line {line + 1}"]
        for name in flows[f"line {line}"]:
            it.add(name, [x for x in between if x[3].startswith(f"{name[3]} to ")])
        for name in flows[f"line {line + 1}"]:
            it.add(name, [x for x in between if x[3].endswith(f" to {name[3]}")])
        it.add(everybody, flows["line 1"])
    reasons = it.named("tableS3", "all")
    for variable, names in reasons.items():
        if variable != "patients":
            it.add(names[-1], names[:-1])
    for whole in reasons["lines"]:
        for kind in ("began", "ended", "confidence"):
            it.add(
                whole,
                [
                    name
                    for variable, names in reasons.items()
                    for name in names
                    if variable.startswith(kind) and name[3] == whole[3]
                ],
            )
    visits = it.named("tableS5", "all", "visits_n")
    it.add(visits["visits"][0], [x for v, names in visits.items() if ": " in v for x in names])
    return it


def test_no_hidden_count_can_be_worked_out_from_all_sums(attack: Attack) -> None:
    assert len(attack.equations) > 300
    assert attack.narrow() == []


def test_with_small_counts_alone_hidden_the_attack_would_succeed(attack: Attack) -> None:
    known = attack.known
    attack.known = {name: n for name, n in attack.true.items() if len(name) == 5 and not 0 < n < K}
    try:
        assert len(attack.narrow()) > 20
    finally:
        attack.known = known
