"""A million patients: Kaplan-Meier, log-rank and Cox by this project, lifelines and R's survival.

One cohort, all engines in one run, medians over repetitions; the estimates must agree, or the
run fails. R is measured where `Rscript` and its package survival are installed.

    python tests/benchmarks/bench.py [--rows N] [--repetitions K] [--write]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.benchmarks.page import replace_section  # noqa: E402

COVARIATES = ["treated", "male", "age", "biomarker", "noise"]
EFFECTS = [-0.3, 0.2, 0.25, -0.1, 0.0]
TIMES = [365.0, 730.0, 1095.0]
TASKS = ["Kaplan-Meier", "log-rank", "Cox, 5 covariates"]
OURS, LIFELINES, R = "this project", "lifelines", "R survival"
#: Times faster than the other engine, in CPU seconds, that each task should reach.
TARGETS = {
    (TASKS[0], R): 10,
    (TASKS[1], R): 10,
    (TASKS[2], R): 1,
    (TASKS[2], LIFELINES): 20,
}
#: Relative agreement asked of the estimates. lifelines stops its Cox model early by default.
AGREEMENT = {TASKS[0]: 1e-8, TASKS[1]: 1e-8, TASKS[2]: 1e-4}


@dataclass(frozen=True)
class Measurement:
    """Median seconds and the numbers that were estimated."""

    cpu: float
    wall: float
    estimates: list[float]


def cohort(rows: int, seed: int = 20261122) -> pd.DataFrame:
    """Whole-day times with proportional hazards and staggered entry into the study."""
    generator = np.random.default_rng(seed)
    x = np.column_stack(
        [
            generator.random(rows) < 0.5,
            generator.random(rows) < 0.55,
            generator.normal(size=rows),
            generator.normal(size=rows),
            generator.normal(size=rows),
        ]
    ).astype(float)
    life = generator.exponential(900 / np.exp(x @ EFFECTS))
    end = generator.uniform(100, 2500, rows)
    frame = pd.DataFrame(x, columns=COVARIATES)
    frame["days"] = np.ceil(np.minimum(life, end))
    frame["died"] = (life <= end).astype(float)
    return frame


def measure(task: Callable[[], list[float]], repetitions: int) -> Measurement:
    """Time a task again and again."""
    cpu, wall, estimates = [], [], [0.0]
    for _ in range(repetitions):
        begin_cpu, begin_wall = time.process_time(), time.perf_counter()
        estimates = task()
        cpu.append(time.process_time() - begin_cpu)
        wall.append(time.perf_counter() - begin_wall)
    return Measurement(median(cpu), median(wall), estimates)


def our_tasks(frame: pd.DataFrame) -> list[Callable[[], list[float]]]:
    """The tasks by analysis.estimators."""
    from analysis.estimators import cox, kaplan_meier, log_rank

    days, died = frame["days"].to_numpy(), frame["died"].to_numpy()
    arm = frame["treated"].to_numpy()

    def curve() -> list[float]:
        km = kaplan_meier(days, died)
        at = km.survival_at(TIMES)
        return [*at["survival"], *at["std_error"], float(km.median().value or 0)]

    def compare() -> list[float]:
        return [log_rank(days, died, arm).statistic]

    def model() -> list[float]:
        fit = cox(frame, duration="days", event="died", covariates=COVARIATES)
        return [*fit.table["coefficient"], *fit.table["std_error"]]

    return [curve, compare, model]


def lifelines_tasks(frame: pd.DataFrame) -> list[Callable[[], list[float]]]:
    """The tasks by lifelines."""
    from lifelines import CoxPHFitter, KaplanMeierFitter
    from lifelines.statistics import logrank_test

    days, died = frame["days"].to_numpy(), frame["died"].to_numpy()
    treated = frame["treated"].to_numpy() == 1

    def curve() -> list[float]:
        km = KaplanMeierFitter().fit(days, died)
        # lifelines has no standard error to hand back; the variance sums are behind its limits.
        return [*km.predict(TIMES), float(km.median_survival_time_)]

    def compare() -> list[float]:
        arms = (days[~treated], days[treated], died[~treated], died[treated])
        return [float(logrank_test(*arms).test_statistic)]

    def model() -> list[float]:
        fit = CoxPHFitter().fit(frame, "days", "died")
        return [*fit.params_[COVARIATES], *fit.standard_errors_[COVARIATES]]

    return [curve, compare, model]


def r_measurements(frame: pd.DataFrame, repetitions: int) -> list[Measurement] | None:
    """The tasks by R, or None where it is not installed."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "cohort.bin"
        frame[["days", "died", *COVARIATES]].to_numpy().T.tofile(data)
        run = subprocess.run(
            [rscript, str(HERE / "bench.R"), str(data), str(len(frame)), str(repetitions)],
            capture_output=True,
            text=True,
        )
    if run.returncode == 3:
        return None
    if run.returncode:
        raise SystemExit(f"R failed:\n{run.stderr}")
    return [Measurement(**json.loads(line)) for line in run.stdout.splitlines() if line]


def r_version() -> str:
    """R and its survival package, for the page."""
    code = 'cat(as.character(getRversion()), as.character(packageVersion("survival")))'
    run = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True)
    language, package = run.stdout.split()
    return f"R {language} with survival {package}"


def require_agreement(measured: dict[str, list[Measurement]]) -> dict[tuple[str, str], float]:
    """Fail if an engine's estimates differ from ours; else the largest difference of each."""
    differences = {}
    for engine, results in measured.items():
        for task, ours, other in zip(TASKS, measured[OURS], results, strict=True):
            mine = np.array(ours.estimates)
            if task == TASKS[0] and engine == LIFELINES:
                mine = mine[[0, 1, 2, 6]]
            # Coefficients are compared on the scale of their standard error.
            scale = np.abs(mine)
            if task == TASKS[2]:
                scale = np.tile(np.array(ours.estimates[len(COVARIATES) :]), 2)
            worst = float(np.max(np.abs(mine - other.estimates) / scale))
            if worst > AGREEMENT[task]:
                raise SystemExit(f"{task}: {engine} differs by {worst:.1e}")
            differences[task, engine] = worst
    return differences


def rows_of_table(
    measured: dict[str, list[Measurement]], differences: dict[tuple[str, str], float]
) -> list[list[str]]:
    """The cells under `HEADER`."""
    rows = []
    for index, task in enumerate(TASKS):
        for engine, results in measured.items():
            mine, other = measured[OURS][index], results[index]
            target = TARGETS.get((task, engine))
            rows.append(
                [
                    task,
                    engine,
                    f"{other.cpu:.3f}",
                    f"{other.wall:.3f}",
                    "" if engine == OURS else f"{other.cpu / mine.cpu:.0f}",
                    "" if engine == OURS else f"{other.wall / mine.wall:.0f}",
                    "" if target is None else f"{target}",
                    "" if engine == OURS else f"{differences[task, engine]:.0e}",
                ]
            )
    return rows


HEADER = [
    "task",
    "engine",
    "CPU s",
    "wall s",
    "CPU ratio",
    "wall ratio",
    "target",
    "estimates differ",
]


def page(rows: list[list[str]], n: int, repetitions: dict[str, int], engines: str) -> str:
    """The measured numbers as a section of docs/benchmarks.md."""
    lines = [" | ".join(HEADER), " | ".join(["---", "---", *["---:"] * 6]), *map(" | ".join, rows)]
    table = "\n".join(f"| {line} |" for line in lines)
    counted = ", ".join(f"{engine} {count}" for engine, count in repetitions.items())
    return f"""One cohort of {n:,} patients with whole-day times and 5 covariates, two thirds of
them with an event; all engines in one run, medians over repetitions ({counted}). The ratio says
how many times the seconds of this project the other engine takes. The run fails if the estimates
differ: curve, standard errors (R), median and log-rank chi-square by 1e-8 of their value,
coefficients and their errors by 1e-4 of a standard error.

{table}

Measured on {os.cpu_count()} cores, {platform.system()} {platform.machine()}: {engines}.
Reading the data is not timed. On a machine that does other work too, CPU seconds are the fairer
column. Whole-day times are counted into a histogram, where other engines sort.
"""


def main() -> None:
    """Measure, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    frame = cohort(arguments.rows)

    # lifelines' Cox takes most of the run.
    slow = min(arguments.repetitions, 3)
    repetitions = {OURS: arguments.repetitions, LIFELINES: slow}
    engines = [
        f"Python {platform.python_version()}",
        f"numpy {version('numpy')}",
        f"lifelines {version('lifelines')}",
    ]
    measured = {
        OURS: [measure(task, repetitions[OURS]) for task in our_tasks(frame)],
        LIFELINES: [measure(task, repetitions[LIFELINES]) for task in lifelines_tasks(frame)],
    }
    console = Console(width=110)
    by_r = r_measurements(frame, slow)
    if by_r is None:
        console.print("Rscript with the package survival is not installed: R is not measured.")
    else:
        measured[R] = by_r
        repetitions[R] = slow
        engines.append(r_version())
    rows = rows_of_table(measured, require_agreement(measured))
    table = Table(*HEADER, title=f"{arguments.rows:,} rows; the estimates agree")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if arguments.write:
        replace_section("statistics", page(rows, arguments.rows, repetitions, ", ".join(engines)))


if __name__ == "__main__":
    main()
