"""The results of scale.py as tables and two plots of docs/benchmarks.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

from tests.benchmarks.page import FOLDER, replace_section, table

TIME_PLOT, MEMORY_PLOT = "benchmarks_time.svg", "benchmarks_memory.svg"
Result = dict[str, Any]


def write(results: Path) -> None:
    """Write the section `scale` of the page and its plots from results/scale_*.json."""
    found = [json.loads(path.read_text()) for path in results.glob("scale_*.json")]
    found.sort(key=lambda result: (result["patients"], result["memory_limit"] or ""))
    free = [result for result in found if not result["memory_limit"]]
    limited = [result for result in found if result["memory_limit"]]
    _time_plot(free)
    _memory_plot(free)
    parts = [
        _machine(free[-1]),
        f"![CPU seconds by phase and number of patients]({TIME_PLOT})",
        "CPU seconds (wall seconds) of each phase:",
        _phases(free),
        "Beside the floors, wall seconds:",
        _floors([result for result in free if "floors" in result]),
        "`rwe build` of a delivery of changes that holds 1% of the patients:",
        _changes([result for result in free if "changes" in result]),
        f"![Peak memory by number of patients]({MEMORY_PLOT})",
        "Memory and disk:",
        _space(free),
    ]
    if limited:
        parts += ["With a limit on DuckDB's memory (`RWE_MEMORY_LIMIT`):", _limits(found, limited)]
    replace_section("scale", "\n\n".join(parts))


def _machine(result: Result) -> str:
    machine = result["machine"]
    return (
        f"Measured {result['measured']} on {machine['cores']} cores and {machine['memory_gb']} GB, "
        f"{machine['system']}: Python {machine['python']}, DuckDB {machine['duckdb']}, "
        f"dbt {machine['dbt-core']}."
    )


def _head(results: list[Result]) -> list[str]:
    return [f"{result['patients']:,}" for result in results]


def _phases(results: list[Result]) -> str:
    names = list(results[-1]["phases"])
    rows = [["rows delivered", *(f"{result['rows']:,}" for result in results)]]
    for name in names:
        cells = [result["phases"].get(name) for result in results]
        rows.append([name, *(_seconds(cell) if cell else "" for cell in cells)])
    rows.append(["**`rwe build`**", *(_seconds(result["total"]) for result in results)])
    rows.append(
        ["ms a patient", *(f"{1000 * r['total']['wall'] / r['patients']:.2f}" for r in results)]
    )
    rows.append(["rows a second", *(f"{r['rows'] / r['total']['wall']:,.0f}" for r in results)])
    return table(["patients", *_head(results)], rows)


def _seconds(usage: dict[str, float]) -> str:
    return f"{usage['cpu']:.1f} ({usage['wall']:.1f})"


def _floors(results: list[Result]) -> str:
    def row(name: str, values: list[float], digits: int = 1) -> list[str]:
        return [name, *(f"{value:.{digits}f}" for value in values)]

    def floor(name: str) -> list[float]:
        return [result["floors"][name]["wall"] for result in results]

    load = [result["phases"]["load"]["wall"] for result in results]
    built = [result["dbt_build_seconds"] for result in results]
    whole = [result["total"]["wall"] for result in results]

    def ratio(of: list[float], to: list[float]) -> list[float]:
        return [above / below for above, below in zip(of, to, strict=True)]

    return table(
        ["patients", *_head(results)],
        [
            row("`read_csv` of the same files", floor("read_csv")),
            row("load", load),
            row("- ratio", ratio(load, floor("read_csv")), 2),
            row("compiled models, run directly", floor("models")),
            row("compiled models and tests, run directly", floor("models and tests")),
            row("`dbt build` after loading", built),
            row("- ratio to models and tests", ratio(built, floor("models and tests")), 2),
            row("- ratio to models alone", ratio(built, floor("models")), 2),
            row("`rwe build`", whole),
            row(
                "- ratio to `read_csv` and models",
                ratio(
                    whole,
                    [a + b for a, b in zip(floor("read_csv"), floor("models"), strict=True)],
                ),
                2,
            ),
        ],
    )


def _changes(results: list[Result]) -> str:
    peaks = (f"{result['changes']['peak_mb']:,.0f}" for result in results)
    shares = (f"{r['changes']['wall'] / r['total']['wall']:.2f}" for r in results)
    return table(
        ["patients", *_head(results)],
        [
            ["CPU (wall) s", *(_seconds(result["changes"]) for result in results)],
            ["- wall ratio to the full build", *shares],
            ["peak memory, MB", *peaks],
        ],
    )


def _space(results: list[Result]) -> str:
    rows = [["peak memory, MB", *(f"{result['total']['peak_mb']:,.0f}" for result in results)]]
    for name, label in (
        ("extract", "delivered CSV"),
        ("archive", "archive (private)"),
        ("landed", "landed Parquet (private)"),
        ("build", "build (private)"),
        ("published", "published warehouse"),
    ):
        rows.append([f"{label}, MB", *(f"{result['disk_mb'][name]:,.0f}" for result in results)])
    return table(["patients", *_head(results)], rows)


def _limits(results: list[Result], limited: list[Result]) -> str:
    rows = []
    for result in limited:
        free = next(
            r for r in results if r["patients"] == result["patients"] and not r["memory_limit"]
        )
        for shown, limit in ((free, "by need"), (result, result["memory_limit"])):
            usage = shown["total"]
            rows.append(
                [
                    f"{shown['patients']:,} patients, limit {limit}",
                    _seconds(usage),
                    f"{usage['peak_mb']:,.0f}",
                ]
            )
    return table(["", "CPU (wall) s", "peak MB of the process"], rows)


def _time_plot(results: list[Result]) -> None:
    figure, axes = plt.subplots(figsize=(7.5, 4))
    names = list(results[-1]["phases"])
    bottom = [0.0] * len(results)
    labels = [f"{result['patients']:,}" for result in results]
    for number, name in enumerate(names):
        heights = [
            1000 * result["phases"].get(name, {"cpu": 0})["cpu"] / result["patients"]
            for result in results
        ]
        axes.bar(labels, heights, bottom=bottom, label=name, color=plt.cm.tab10(number))
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    axes.set_yscale("symlog", linthresh=1)
    axes.set_xlabel("patients")
    axes.set_ylabel("CPU ms a patient")
    axes.legend(frameon=False, fontsize=8, ncols=2)
    _save(figure, TIME_PLOT)


def _memory_plot(results: list[Result]) -> None:
    figure, axes = plt.subplots(figsize=(7.5, 3.2))
    patients = [result["patients"] for result in results]
    axes.loglog(patients, [r["total"]["wall"] for r in results], "o-", label="wall seconds")
    axes.loglog(patients, [r["total"]["peak_mb"] for r in results], "s--", label="peak memory, MB")
    axes.set_xlabel("patients")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    _save(figure, MEMORY_PLOT)


def _save(figure: Any, name: str) -> None:
    figure.tight_layout()
    with plt.rc_context({"svg.hashsalt": "benchmarks"}):
        figure.savefig(FOLDER / name, metadata={"Date": None})
    plt.close(figure)
