"""The command `rwe`."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from pipeline import resources
from pipeline.errors import CommandError, Exit, NotOnRecordError, as_command_error
from pipeline.paths import DEMO_EXTRACT, DIRTY_EXTRACT, Layout

app = typer.Typer(
    name="rwe",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help=(
        "Oncology real-world-evidence warehouse: raw EHR extracts in; a de-identified DuckDB "
        "warehouse and a study report with survival statistics out."
    ),
)
console = Console(highlight=False)
errors = Console(highlight=False, stderr=True)

SIGNALLED = 128
"""Added to a signal's number it is the exit code of who was stopped by it."""

received: list[int] = []
"""The signals that asked this process to stop."""

RARE_COLLECTIONS = (200_000, 50, 50)
"""When to look for garbage: dbt's manifest is millions of objects that stay, walked each time."""

PublishedOption = Annotated[
    Path, typer.Option("--published", help="Folder of the published runs.", show_default=False)
]


@app.command()
def demo(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder to write. [default: extracts/demo or extracts/dirty]"),
    ] = None,
    patients: Annotated[
        int, typer.Option(help="Metastatic patients. Other than 2460: a fresh cohort is drawn.")
    ] = 2460,
    seed: Annotated[int, typer.Option(help="Seed; the same seed gives the same bytes.")] = 20210219,
    cohort: Annotated[
        Path | None,
        typer.Option(help="CSV of study patients in the form of synthetic/calibrated_cohort.csv."),
    ] = None,
    dirty: Annotated[
        bool,
        typer.Option("--dirty", help="Plant known defects; they are listed in a file beside it."),
    ] = False,
    blocking: Annotated[
        bool,
        typer.Option("--blocking", help="With --dirty: defects that must stop the build instead."),
    ] = False,
) -> None:
    """Write a [bold]synthetic[/bold] extract: one hospital, invented patients."""
    from synthetic import generate
    from synthetic.dirty import spoil

    if blocking and not dirty:
        raise typer.BadParameter("goes with --dirty", param_hint="--blocking")
    folder = folder or (DIRTY_EXTRACT if dirty else DEMO_EXTRACT)
    began = time.monotonic()
    try:
        planted = generate(folder, patients=patients, seed=seed, cohort=cohort)
        defects = spoil(folder, planted, blocking=blocking) if dirty else []
    except (ValueError, OSError) as error:
        raise CommandError(str(error)) from None
    console.print(f"Synthetic extract in [bold]{folder}[/bold] ({time.monotonic() - began:.0f} s)")
    if defects:
        console.print(
            f"{len({defect.kind for defect in defects})} kinds of defects planted in "
            f"{len(defects)} records; listed in [bold]{folder}.defects.csv[/bold]"
        )


@app.command()
def build(
    folder: Annotated[Path, typer.Argument(help="Delivery folder.")] = DEMO_EXTRACT,
    work: Annotated[
        Path, typer.Option(help="Private folder to build in.", show_default=False)
    ] = Layout.work,
    published: PublishedOption = Layout.published,
    allow_older: Annotated[
        bool, typer.Option("--allow-older", help="Accept an extract older than the published one.")
    ] = False,
) -> None:
    """Take a delivery to a published warehouse and reports."""
    gc.set_threshold(*RARE_COLLECTIONS)
    from pipeline.run import run

    layout = Layout(work.resolve(), published.resolve())
    began = time.monotonic()
    with _steps() as (step, progress):
        outcome = run(folder, layout, step=step, progress=progress, allow_older=allow_older)
    for warning in outcome.warnings:
        console.print(f"[yellow]warning[/yellow] {escape(warning)}", soft_wrap=True)
    console.print(f"Built in {time.monotonic() - began:.0f} s. Published run {outcome.run_id}:")
    console.print(f"  warehouse  [bold]{outcome.warehouse}[/bold]   (rwe sql)", soft_wrap=True)
    for report in outcome.reports:
        console.print(f"  report     [bold]{report}[/bold]", soft_wrap=True)
    console.print(f"  quality    [bold]{outcome.quality}[/bold]", soft_wrap=True)
    console.print(f"  manifest   {layout.current / 'manifest.json'}", soft_wrap=True)
    for disagreement in outcome.disagreements:
        console.print(f"[red]disagreement[/red] {escape(disagreement)}", soft_wrap=True)
    if outcome.disagreements:
        raise typer.Exit(Exit.UNEXPECTED)


@contextmanager
def _steps() -> Iterator[tuple[Callable[[str], None], Callable[[int, int, str], None]]]:
    """Show the steps of a build as they come: what begins one, and what tells how far it is."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
        console=console,
    ) as display:
        task = display.add_task("starting", total=None, detail="")

        def step(description: str) -> None:
            nonlocal task
            if received:  # and a library has swallowed the interrupt
                raise KeyboardInterrupt
            display.update(task, total=1, completed=1, detail="")
            task = display.add_task(description, total=None, detail="")

        def progress(done: int, total: int, name: str) -> None:
            display.update(task, completed=done, total=total, detail=f"{done}/{total} {name}")

        yield step, progress
        display.update(task, total=1, completed=1, detail="")


@app.command()
def compare(
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    published: PublishedOption = Layout.published,
) -> None:
    """Set every number that the study printed beside what the warehouse computes."""
    from analysis.comparison import summary
    from pipeline.shell import open_locked

    with open_locked(Layout(published=published).current / "warehouse.duckdb") as connection:
        studies = connection.execute(
            "select distinct study_id from results.published_comparison order by study_id"
        ).fetchall()
        summaries = {study_id: summary(connection, study_id) for (study_id,) in studies}
    if as_json:
        print(json.dumps(summaries, indent=2, ensure_ascii=False))
        return
    for study_id, found in summaries.items():
        console.print(f"[bold]{study_id}[/bold]: {found['total']} printed numbers")
        for verdict, count in found["verdicts"].items():
            console.print(f"  {count:>4}  {verdict}")
        table = Table("result", "printed", "computed", "verdict", "why", box=None, pad_edge=False)
        for row in [*found["differs"], *found["doubtful"]]:
            table.add_row(
                row["result_id"],
                row["printed"],
                row["computed"],
                row["verdict"],
                row["explanation"],
            )
        console.print(table)


@app.command()
def sql(
    query: Annotated[
        str | None, typer.Argument(help="One statement; without it a prompt opens.")
    ] = None,
    published: PublishedOption = Layout.published,
) -> None:
    """Query the published warehouse, read-only."""
    from pipeline.shell import answer, converse, limit_process, open_locked

    limit_process()
    with open_locked(Layout(published=published).current / "warehouse.duckdb") as connection:
        if query:
            answer(connection, query, console)
        else:
            converse(connection, console)


@app.command()
def patient(
    key: Annotated[str, typer.Argument(help="Pseudonym, or its beginning.")],
    published: PublishedOption = Layout.published,
) -> None:
    """Print one patient's lines of therapy, with the reason for each."""
    from pipeline.patient import show
    from pipeline.shell import open_locked

    with open_locked(Layout(published=published).current / "warehouse.duckdb") as connection:
        show(connection, key, console)


@app.command()
def contract() -> None:
    """Write docs/extract_contract.md and docs/checks.md from contract and catalogue."""
    from expectations import catalogue_docs
    from pipeline import contract_docs

    console.print(f"Wrote {contract_docs.write()}")
    console.print(f"Wrote {catalogue_docs.write()}")


RunArgument = Annotated[
    str | None, typer.Argument(help="The run, or the beginning of its id; the current one.")
]
WorkOption = Annotated[
    Path, typer.Option("--work", help="Private folder of the build.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable.")]


@app.command()
def judge(
    run: Annotated[
        str | None, typer.Argument(help="The run, or the beginning of its id; the latest one.")
    ] = None,
    thresholds: Annotated[
        Path | None,
        typer.Option(help="YAML, as in PTH-012: {warn_above: 15, block_above: null}."),
    ] = None,
    work: WorkOption = Layout.work,
) -> None:
    """Judge the stored results of the checks under other thresholds; nothing is run again."""
    from expectations.judge import judge as judge_again

    run_id, verdicts = judge_again(work.resolve(), run, thresholds)
    changed = [verdict for verdict in verdicts if verdict.changed]
    table = Table("check", "table", "counted", "was", "would be", box=None, pad_edge=False)
    for verdict in changed:
        result = verdict.result
        table.add_row(
            result["check_id"],
            result["table_name"],
            f"{result['n_violating']} of {result['n_checked']} {result['denominator']}",
            result["status"] + (", blocks" if result["blocks"] else ""),
            verdict.status + (", blocks" if verdict.blocks else ""),
        )
    if changed:
        console.print(table)
    blocking = sum(verdict.blocks for verdict in verdicts)
    console.print(
        f"Run {run_id}: {len(changed)} of {len(verdicts)} results change; "
        + (f"{blocking} would forbid publication." if blocking else "none forbids publication.")
    )


@app.command()
def verify(
    run: RunArgument = None,
    as_json: JsonOption = False,
    work: WorkOption = Layout.work,
    published: PublishedOption = Layout.published,
) -> None:
    """Verify that a run is what it was: files, tables, delivered files, signatures, audit trail."""
    from pipeline import manifest
    from pipeline.auditor import show_findings
    from pipeline.verify import broken, remedy
    from pipeline.verify import verify as verify_run

    layout = Layout(work.resolve(), published.resolve())
    run_id = manifest.find(layout, run)
    findings = verify_run(layout, run_id)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
    else:
        show_findings(findings, run_id, console)
    if wrong := broken(findings):
        raise CommandError(
            f"run {run_id}: {len(wrong)} of {len(findings)} do not hold; {remedy(findings, run_id)}"
        )


@app.command()
def trace(
    number: Annotated[
        str,
        typer.Argument(
            help="An estimate_id, a part of one that no other has, or a result_id of `rwe compare`."
        ),
    ],
    run: Annotated[str | None, typer.Option(help="The run; the current one.")] = None,
    patient: Annotated[str | None, typer.Option(help="Only this patient's rows.")] = None,
    values: Annotated[
        bool, typer.Option("--values", help="Show the raw rows' values too. Private.")
    ] = False,
    as_json: JsonOption = False,
    work: WorkOption = Layout.work,
    published: PublishedOption = Layout.published,
) -> None:
    """Follow a number to its patients, their rows and the delivered records, hashed once more."""
    from pipeline import manifest
    from pipeline.auditor import show_trace
    from pipeline.trace import trace as trace_number

    layout = Layout(work.resolve(), published.resolve())
    found = trace_number(
        layout,
        number,
        run_id=manifest.find(layout, run),
        patient=patient,
        with_values=values,
    )
    if as_json:
        print(json.dumps(asdict(found), indent=2, ensure_ascii=False, default=str))
    else:
        show_trace(found, console)
    if found.disagree:
        raise CommandError(
            f"{len(found.disagree)} of {len(found.sources)} rows are not what the archived files "
            "say; see: rwe verify"
        )


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="The earlier run.")],
    after: Annotated[str | None, typer.Argument(help="The later run; the current one.")] = None,
    as_json: JsonOption = False,
    work: WorkOption = Layout.work,
    published: PublishedOption = Layout.published,
) -> None:
    """Show what changed between two runs: data, code, configuration, patients, numbers. Private."""
    from pipeline import manifest
    from pipeline.auditor import show_difference
    from pipeline.diff import compare as compare_runs

    layout = Layout(work.resolve(), published.resolve())
    found = compare_runs(layout, manifest.find(layout, before), manifest.find(layout, after))
    if as_json:
        told = {"cause": found.cause, **asdict(found)}
        print(json.dumps(told, indent=2, ensure_ascii=False, default=str))
    else:
        show_difference(found, console)


@app.command()
def sign(
    run: Annotated[str, typer.Argument(help="The run, or the beginning of its id.")],
    name: Annotated[str, typer.Option(help="Printed name of the signer.")],
    role: Annotated[str, typer.Option(help="In which role, as in: statistician.")],
    meaning: Annotated[str, typer.Option(help="What the signature means, as in: reviewed.")],
    work: WorkOption = Layout.work,
    published: PublishedOption = Layout.published,
) -> None:
    """Sign a run: name, role and meaning, bound to the hash of its manifest."""
    from pipeline import manifest
    from pipeline.auditor import show_signature
    from pipeline.signing import sign as sign_run

    layout = Layout(work.resolve(), published.resolve())
    run_id = manifest.find(layout, run)
    show_signature(sign_run(layout, run_id, name=name, role=role, meaning=meaning), console)


@app.command()
def erase(
    patient: Annotated[
        str, typer.Argument(help="Pseudonym; or, with --site, the hospital's patient number.")
    ],
    site: Annotated[str | None, typer.Option(help="Code of the hospital of the number.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; it cannot be undone.")] = False,
    work: WorkOption = Layout.work,
    published: PublishedOption = Layout.published,
) -> None:
    """Take a patient who withdrew out of every delivery, build and run, and prove it."""
    from pipeline.erase import erase as erase_patient
    from pipeline.erase import show

    if not yes and not (sys.stdin.isatty() and typer.confirm("This cannot be undone. Erase?")):
        raise CommandError(
            "Nothing was erased: it cannot be undone and needs your word, --yes.",
            Exit.NEEDS_DECISION,
        )
    layout = Layout(work.resolve(), published.resolve())
    with _steps() as (step, progress):
        done = erase_patient(layout, patient, site, step=step, progress=progress)
    show(done, console)


def main() -> None:
    """Run the command; an error is one message and an exit code, not a traceback."""
    os.umask(resources.PRIVATE_UMASK)
    received.clear()

    def interrupt(number: int, _: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        app()
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        if received:
            done = str(error) if isinstance(error, NotOnRecordError) else "nothing was published"
            _tell(f"stopped by {signal.Signals(received[0]).name}; {done}")
            sys.exit(SIGNALLED + received[0])
        if isinstance(error, SystemExit):
            raise
        if os.environ.get("RWE_DEBUG"):
            raise
        found = as_command_error(error)
        _tell(str(found))
        sys.exit(found.exit_code)


def _tell(message: str) -> None:
    errors.print("[red]error[/red]", Text(message), soft_wrap=True)


if __name__ == "__main__":
    main()
