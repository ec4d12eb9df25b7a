"""`rwe build` by number of patients: seconds, memory and disk of each phase, beside two floors.

For each size a synthetic extract is made (kept for the next run), taken through `rwe build` in a
process of its own, and two floors are measured the same way: DuckDB's `read_csv` of the delivered
files, and the SQL that dbt compiled, run directly in DuckDB. Last, every hundredth patient is
delivered again and built on what is there. Nothing else should run meanwhile.

    python tests/benchmarks/scale.py [--patients N ...] [--memory-limit 2GB] [--no-floors]
        [--write]
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))

from tests.benchmarks import scale_page  # noqa: E402

RESULTS = Path(__file__).parent / "results"
KEPT = PROJECT / "build" / "bench"

SIZES = [1_000, 10_000, 100_000]
THREADS = 2
SAMPLE_SECONDS = 0.05

PHASES = {
    "start": "imports, dbt's parsing and bookkeeping",
    "load": "files to Parquet",
    "staging": "typed rows, quarantine",
    "cohort": "criteria, biomarkers, safety",
    "lines": "lines of therapy under every rule set",
    "endpoints": "responses, survival intervals",
    "dbt tests": "data and unit tests, seeds",
    "checks": "the two gates",
    "analysis": "estimates, second programming, report, exports",
    "publish": "de-identified copy, hashes, manifest",
}
CHANGED_ONE_IN = 100
GATE = "_gate"
"""How the models end that run the checks."""

STEPS = {"land": "load", "analysis": "analysis", "publish": "publish"}
FOLDERS = {"staging": "staging", "treatment": "lines", "endpoints": "endpoints"} | {
    "survival": "endpoints",
    "cohort": "cohort",
    "safety": "cohort",
    "quality": "staging",
}


@dataclass
class Usage:
    """What a phase or a process took."""

    cpu: float = 0.0
    wall: float = 0.0
    peak_mb: float = 0.0


@dataclass
class Watched:
    """A process that ended, and what /proc said about it meanwhile."""

    total: Usage
    samples: list[tuple[float, float, float]] = field(default_factory=list)  # time, CPU s, MB


def watch(arguments: list[str], environment: dict[str, str] | None = None) -> Watched:
    """Run a child to its end and sample its CPU seconds and resident memory.

    Raises SystemExit with what it printed if it fails.
    """
    ticks = os.sysconf("SC_CLK_TCK")
    samples: list[tuple[float, float, float]] = []
    with tempfile.TemporaryFile("w+") as output:
        began = time.time()
        child = subprocess.Popen(
            [sys.executable, __file__, *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | (environment or {}),
            cwd=PROJECT,
        )
        done = threading.Event()

        def sample() -> None:
            while not done.wait(SAMPLE_SECONDS):
                try:
                    stat = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
                except OSError:
                    return
                cpu = (int(stat[11]) + int(stat[12])) / ticks
                samples.append((time.time(), cpu, int(stat[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6))

        watcher = threading.Thread(target=sample)
        watcher.start()
        _, status, rusage = os.wait4(child.pid, 0)
        wall = time.time() - began
        done.set()
        watcher.join()
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            output.seek(0)
            raise SystemExit(f"{' '.join(arguments)} failed:\n{output.read()[-4000:]}")
    total = Usage(rusage.ru_utime + rusage.ru_stime, wall, rusage.ru_maxrss * 1024 / 1e6)
    return Watched(total, samples)


def by_phase(watched: Watched, spans: list[tuple[str, float, float]]) -> dict[str, Usage]:
    """Share out each moment of a process evenly among the phases at work in it.

    `spans` are (phase, begin, end) in seconds since the epoch; a moment in none is "start".
    """
    found: dict[str, Usage] = defaultdict(Usage)
    before, cpu_before = watched.samples[0][0], 0.0
    for now, cpu, megabytes in watched.samples:
        middle = (before + now) / 2
        active = [phase for phase, begin, end in spans if begin <= middle < end] or ["start"]
        for phase in active:
            found[phase].cpu += (cpu - cpu_before) / len(active)
            found[phase].wall += (now - before) / len(active)
            found[phase].peak_mb = max(found[phase].peak_mb, megabytes)
        before, cpu_before = now, cpu
    return dict(found)


# -- what the children do -------------------------------------------------------------------------


def child_build(extract: Path, work: Path, published: Path, log: Path) -> None:
    """`rwe build`, noting when each step began."""
    from pipeline.cli import RARE_COLLECTIONS
    from pipeline.paths import Layout
    from pipeline.run import run

    gc.set_threshold(*RARE_COLLECTIONS)
    with log.open("w") as stream:

        def step(description: str) -> None:
            print(json.dumps([description, time.time()]), file=stream, flush=True)

        run(extract, Layout(work, published), step=step, progress=lambda *_: None)
        step("end")


def deliver_changes(extract: Path, folder: Path) -> None:
    """Deliver every hundredth patient of an extract again, whole, as a delivery of changes."""
    import duckdb

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path in sorted(extract.glob("*.csv")):
        rows = duckdb.read_csv(str(path), header=True, all_varchar=True)
        if "patient_id" in rows.columns:
            rows = rows.filter(f"hash(patient_id) % {CHANGED_ONE_IN} = 0")
        else:
            rows = rows.project("* replace ('CHANGES' as delivery_id), 'changes' as covers")
        rows.to_csv(str(folder / path.name))


def child_read_csv(extract: Path) -> None:
    """Read every file of a delivery as text, without sniffing or checks."""
    import duckdb

    with duckdb.connect(config={"threads": THREADS}) as connection:
        for path in sorted(extract.glob("*.csv")):
            connection.execute(
                f"create table {path.stem} as from read_csv(?, header = true, all_varchar = true, "
                "delim = ',', quote = '\"', escape = '\"')",
                [str(path)],
            )


def child_models(work: Path, out: Path, tests: bool) -> None:
    """Run the SQL that dbt compiled for the models, and for the tests, on the landed rows."""
    import duckdb

    manifest = json.loads((work / "target" / "manifest.json").read_text())
    nodes = manifest["nodes"]
    models = {
        key: node
        for key, node in nodes.items()
        if node["resource_type"] == "model" and not key.endswith(GATE)
    }
    order = TopologicalSorter(
        {
            key: [up for up in node["depends_on"]["nodes"] if up in models]
            for key, node in models.items()
        }
    ).static_order()
    with duckdb.connect(str(out), config={"threads": THREADS}) as connection:
        connection.execute(f"attach '{work / 'warehouse.duckdb'}' as built (read_only)")
        connection.execute("create schema raw")
        connection.execute("create schema reference")
        for schema in ("raw", "reference"):
            copied = connection.execute(
                "select table_name from duckdb_tables() "
                "where database_name = 'built' and schema_name = ?",
                [schema],
            ).fetchall()
            for (table,) in copied:
                connection.execute(f"create table {schema}.{table} as from built.{schema}.{table}")
        landed = connection.execute(
            "select sql from duckdb_views() "
            "where database_name = 'built' and schema_name = 'raw' and not internal"
        ).fetchall()
        connection.execute("detach built")
        for (statement,) in landed:
            connection.execute(statement.replace("built.", ""))

        def own(statement: str) -> str:
            return statement.replace('"warehouse".', "")

        for key in order:
            node = models[key]
            connection.execute(f"create schema if not exists {node['schema']}")
            connection.execute(
                f"create table {node['schema']}.{node['alias']} as {own(node['compiled_code'])}"
            )
        if tests:
            for node in nodes.values():
                if node["resource_type"] == "test":
                    test = own(node["compiled_code"])
                    connection.execute(f"select count(*) from ({test}) as failures").fetchall()
        connection.execute("checkpoint")


# -- one size -------------------------------------------------------------------------------------


def measure(patients: int, kept: Path, memory_limit: str | None, floors: bool) -> dict[str, Any]:
    """Build an extract of so many patients, measure `floors` if they are wanted, and build a
    delivery of changes on it."""
    import duckdb

    extract = kept / "extracts" / str(patients)
    if not extract.exists():
        watch(["--child", "demo", str(extract), str(patients)])
    rows = sum(_lines(path) - 1 for path in extract.glob("*.csv"))
    work, published = kept / "work", kept / "published"
    for folder in (work, published):
        shutil.rmtree(folder, ignore_errors=True)
    log = kept / "steps.jsonl"
    environment = {"RWE_MEMORY_LIMIT": memory_limit} if memory_limit else {}
    built = watch(
        ["--child", "build", str(extract), str(work), str(published), str(log)], environment
    )
    spans = _spans(log, work / "target" / "run_results.json")
    phases = by_phase(built, spans)
    disk = {
        name: _megabytes(folder)
        for name, folder in (
            ("extract", extract),
            ("landed", work / "deliveries"),
            ("archive", work / "archive"),
            ("build", work / "warehouse.duckdb"),
            ("published", published / "current" / "warehouse.duckdb"),
        )
    }
    with duckdb.connect(str(work / "warehouse.duckdb"), read_only=True) as connection:
        lines, intervals = connection.execute(
            "select (select count(*) from treatment.lines_of_therapy), "
            "(select count(*) from survival.survival_intervals)"
        ).fetchone() or (0, 0)
    beside = {"floors": _floors(extract, kept, environment)} if floors else {}
    changes, log_of_changes = kept / "changes", kept / "changes.jsonl"
    deliver_changes(extract, changes)
    changed = watch(
        ["--child", "build", str(changes), str(work), str(published), str(log_of_changes)],
        environment,
    )
    return {
        "patients": patients,
        "rows": rows,
        "lines": lines,
        "intervals": intervals,
        "memory_limit": memory_limit,
        "total": vars(built.total),
        "dbt_build_seconds": _dbt_seconds(log, spans),
        "phases": {name: vars(phases[name]) for name in PHASES if name in phases},
        "changes": vars(changed.total),
        **beside,
        "disk_mb": disk,
        "measured": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": {
            "cores": os.cpu_count(),
            "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "duckdb": version("duckdb"),
            "dbt-core": version("dbt-core"),
        },
    }


def _floors(extract: Path, kept: Path, environment: dict[str, str]) -> dict[str, Any]:
    """The floors of the build that was just made."""
    floors = {"read_csv": watch(["--child", "read_csv", str(extract)]).total}
    for name, tests in (("models", "no"), ("models and tests", "yes")):
        out = kept / "floor.duckdb"
        out.unlink(missing_ok=True)
        arguments = ["--child", "models", str(kept / "work"), str(out), tests]
        floors[name] = watch(arguments, environment).total
        out.unlink()
    return {name: vars(usage) for name, usage in floors.items()}


def _spans(log: Path, run_results: Path) -> list[tuple[str, float, float]]:
    """When each phase was at work: nodes of dbt, then the steps after it."""
    spans = []
    for result in json.loads(run_results.read_text())["results"]:
        kind, _, _ = result["unique_id"].partition(".")
        times = [_epoch(t[k]) for t in result["timing"] for k in ("started_at", "completed_at")]
        if times:
            spans.append((_phase(kind, result), min(times), max(times)))
    steps = [json.loads(line) for line in log.read_text().splitlines()]
    for (description, begin), (_, end) in itertools.pairwise(steps):
        phase = STEPS.get(description.partition(":")[0])
        if phase:
            spans.append((phase, begin, end))
    return spans


def _phase(kind: str, result: dict[str, Any]) -> str:
    if kind == "operation":
        return "load"
    if kind != "model":
        return "dbt tests"
    if result["unique_id"].endswith(GATE):
        return "checks"
    schema = result["relation_name"].replace('"', "").split(".")[-2]
    if schema != "intermediate":
        return FOLDERS[schema]
    return _intermediate()[result["unique_id"].rpartition(".")[2]]


def _intermediate() -> dict[str, str]:
    return {
        path.stem: FOLDERS[path.parent.name]
        for path in (PROJECT / "models" / "intermediate").rglob("*.sql")
    }


def _dbt_seconds(log: Path, spans: list[tuple[str, float, float]]) -> float:
    """Wall seconds of `dbt build` apart from its gates and its hooks, which open what landed."""
    steps = [json.loads(line) for line in log.read_text().splitlines()]
    begin, end = next(
        (begin, end)
        for (description, begin), (_, end) in itertools.pairwise(steps)
        if description.startswith("dbt build")
    )
    apart = [(b, e) for phase, b, e in spans if phase in ("load", "checks") and begin <= b < end]
    return float(end - begin - sum(e - b for b, e in apart))


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _lines(path: Path) -> int:
    with path.open("rb") as stream:
        return sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))


def _megabytes(path: Path) -> float:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


# -- what is printed ------------------------------------------------------------------------------


def table(result: dict[str, Any]) -> Table:
    """One size: a row a phase, then the whole and the floors."""
    limit = f", at most {result['memory_limit']} for DuckDB" if result["memory_limit"] else ""
    shown = Table(
        "phase",
        "CPU s",
        "wall s",
        "peak MB",
        "rows/s",
        title=f"{result['patients']:,} patients, {result['rows']:,} rows{limit}",
    )
    for column in shown.columns[1:]:
        column.justify = "right"

    def add(name: str, usage: dict[str, float]) -> None:
        speed = f"{result['rows'] / usage['wall']:,.0f}" if usage["wall"] else ""
        shown.add_row(
            name, f"{usage['cpu']:.1f}", f"{usage['wall']:.1f}", f"{usage['peak_mb']:,.0f}", speed
        )

    for name, usage in result["phases"].items():
        add(name, usage)
    shown.add_section()
    add("rwe build", result["total"])
    for name, usage in result.get("floors", {}).items():
        add(f"floor: {name}", usage)
    share = result["changes"]["wall"] / result["total"]["wall"]
    add(f"changes of 1% of the patients: {share:.2f}", result["changes"])
    return shown


def ratios(result: dict[str, Any]) -> str:
    """How far the run is from the floors."""
    floors, phases = result["floors"], result["phases"]
    load = phases["load"]["wall"]
    return (
        f"load / read_csv {load / floors['read_csv']['wall']:.1f}; "
        f"dbt build without load / compiled models and tests "
        f"{result['dbt_build_seconds'] / floors['models and tests']['wall']:.2f}; "
        f"/ compiled models alone "
        f"{result['dbt_build_seconds'] / floors['models']['wall']:.2f}; "
        f"rwe build / (read_csv + models) "
        f"{result['total']['wall'] / (floors['read_csv']['wall'] + floors['models']['wall']):.2f}; "
        f"{1000 * result['total']['wall'] / result['patients']:.2f} ms a patient"
    )


def main() -> None:
    """Measure the sizes asked for, print, keep the results."""
    if sys.argv[1:2] == ["--child"]:
        run_child(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, nargs="+", default=SIZES)
    parser.add_argument("--memory-limit", help="DuckDB's memory, for example 2GB")
    parser.add_argument(
        "--no-floors", dest="floors", action="store_false", help="for a million: only rwe build"
    )
    parser.add_argument("--keep", type=Path, default=KEPT, help="folder of extracts and builds")
    parser.add_argument(
        "--write", action="store_true", help="keep results/*.json and write docs/benchmarks.md"
    )
    parser.add_argument("--page", action="store_true", help="only write the page, from results/")
    arguments = parser.parse_args()
    if arguments.page:
        scale_page.write(RESULTS)
        return
    arguments.keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:  # no key lies beside the data
        os.environ.setdefault("RWE_KEY_FILE", f"{folder}/pseudonym.key")
        measure_all(arguments)


def measure_all(arguments: argparse.Namespace) -> None:
    """Measure each size, print it, and keep it if asked to."""
    console = Console(width=110)
    for patients in arguments.patients:
        result = measure(
            patients, arguments.keep.resolve(), arguments.memory_limit, arguments.floors
        )
        console.print(table(result))
        if "floors" in result:
            console.print(ratios(result), soft_wrap=True)
        if arguments.write:
            suffix = f"_{arguments.memory_limit}" if arguments.memory_limit else ""
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / f"scale_{patients}{suffix}.json").write_text(
                json.dumps(result, indent=2) + "\n"
            )
            scale_page.write(RESULTS)


def run_child(task: str, *arguments: str) -> None:
    """Do what a watched process is for."""
    if task == "demo":
        from synthetic import generate

        generate(Path(arguments[0]), patients=int(arguments[1]))
    elif task == "build":
        child_build(*map(Path, arguments))
    elif task == "read_csv":
        child_read_csv(Path(arguments[0]))
    else:
        child_models(Path(arguments[0]), Path(arguments[1]), arguments[2] == "yes")


if __name__ == "__main__":
    main()
