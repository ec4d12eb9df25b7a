"""What the auditor's commands print: verify, trace, diff and sign in the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pipeline.diff import Change, Difference
from pipeline.signing import Signature
from pipeline.trace import Trace
from pipeline.verify import Finding, broken, remedy

LISTED = 20
"""Rows of a list that the terminal shows; --json gives all."""
HASH_SHOWN = 12
NOT_COMPLIANCE = (
    "The signature is bound to the manifest and, through it, to every file of the run. Who signed "
    "is for the organisation to know: identity, training and procedures are its own, and no tool "
    "alone makes a site compliant with 21 CFR Part 11."
)


def show_findings(findings: Sequence[Finding], run_id: str, console: Console) -> None:
    """Print what was verified: by part how much holds, then whatever does not."""
    console.print(Text(f"Run {run_id}", style="bold"))
    counted = Counter((finding.part, finding.state) for finding in findings)
    summary = Table.grid(padding=(0, 2))
    for part in dict.fromkeys(finding.part for finding in findings):
        states = [f"{n} {state}" for (of, state), n in counted.items() if of == part]
        summary.add_row(part, ", ".join(states))
    console.print(Padding(summary, (0, 0, 0, 2)))
    for finding in findings:
        if finding.state != "holds":
            style = "red" if finding.state == "broken" else "yellow"
            said = f"  {finding.part} {finding.what}: {finding.because or finding.state}"
            console.print(Text(said, style=style), soft_wrap=True)
    if not broken(list(findings)):
        console.print("Nothing that was verified is broken.")
    else:
        console.print(Text(f"To do: {remedy(list(findings), run_id)}"), soft_wrap=True)


def show_trace(found: Trace, console: Console) -> None:
    """Print the way from a number to the delivered records."""
    number, definition = found.number, found.definition
    console.print(Text(f"{number['estimate_id']} = {number['display']}", style="bold"))
    facts = Table.grid(padding=(0, 2))
    population = definition["population"]
    facts.add_row("run", found.run_id)
    facts.add_row("analysis", f"{definition['kind']}: {definition['title'] or number['exhibit']}")
    facts.add_row("method", definition["method"] or "")
    facts.add_row("population", population.get("label") or population["population"])
    for variable in definition["variables"]:
        rule = f"{variable['rule']}({variable['argument'] or ''})"
        facts.add_row("variable", f"{variable['variable']}: {variable['label']}, {rule}")
    facts.add_row(
        "rule sets",
        f"lines {definition['line_rule_set_id']}, endpoints {definition['endpoint_rule_set_id']}",
    )
    counted = "" if found.counted is None else f", of whom {len(found.counted)} counted"
    facts.add_row("patients", f"{len(found.patients)}{counted}")
    console.print(Padding(facts, (0, 0, 1, 2)))
    whom = found.patients if found.counted is None else found.counted
    for line in _shortened(whom):
        console.print(f"  {line}")
    marts = _table("mart", "rows", "under")
    for read in found.marts:
        under = ", ".join(f"{name}={value}" for name, value in read.where.items())
        marts.add_row(read.mart, str(len(read.rows)), under)
    if found.marts:
        console.print(marts)
    files = _table("file", "records", "agree with the archive", "disagree", "not compared")
    for name in dict.fromkeys(source.file for source in found.sources):
        own = [source for source in found.sources if source.file == name]
        states = Counter(source.agrees for source in own)
        files.add_row(name, *map(str, (len(own), states[True], states[False], states[None])))
    console.print(files)
    records = _table("file", "record", "line", "row hash", "archived record")
    doubtful = [*found.disagree, *found.unproved]
    for source in [*doubtful, *(s for s in found.sources if s.agrees)][:LISTED]:
        records.add_row(
            source.file,
            str(source.record_no),
            str(source.line_no or ""),
            (source.row_hash or "")[:HASH_SHOWN],
            "agrees" if source.agrees else source.because,
        )
        for name, value in (source.values or {}).items():
            records.add_row("", "", "", name, Text("" if value is None else str(value)))
    console.print(records)
    if len(found.sources) > LISTED:
        console.print(f"  and {len(found.sources) - LISTED:,} more; --json lists all")


def show_difference(found: Difference, console: Console) -> None:
    """Print what changed between two runs and why."""
    console.print(Text(f"{found.before} -> {found.after}", style="bold"))
    console.print(found.cause, soft_wrap=True)
    for title, changes in (
        ("Delivered files (records)", found.data),
        ("Code", found.code),
        ("Configuration", found.configuration),
        ("Environment", found.environment),
        ("Checks", found.checks),
        ("Numbers", found.numbers),
    ):
        _show_changes(title, changes, console)
    if found.rows is None:
        console.print("\nRaw rows: those of one of the runs are no longer in the work folder.")
    elif found.rows:
        table = _table("raw rows of (private)", "added", "corrected", "withdrawn")
        for one in found.rows:
            counts = (len(one.added), len(one.corrected), len(one.withdrawn))
            table.add_row(one.table, *map(str, counts))
        console.print("", table)
    if found.moved:
        table = _table("patient (private)", "what", "before", "after")
        for moved in found.moved[:LISTED]:
            table.add_row(moved.patient_key, moved.what, moved.before or "-", moved.after or "-")
        console.print("", table)
        if len(found.moved) > LISTED:
            console.print(f"  and {len(found.moved) - LISTED:,} more; --json lists all")


def show_signature(signature: Signature, console: Console) -> None:
    """Print a signature and what it is not."""
    console.print(f"Signed run {signature.run_id} at {signature.signed_at}")
    console.print(Text(f"  {signature.name}, {signature.role}: {signature.meaning}"))
    console.print(f"  manifest {signature.manifest_sha256}")
    console.print(NOT_COMPLIANCE, soft_wrap=True)


def _show_changes(title: str, changes: Sequence[Change], console: Console) -> None:
    if not changes:
        return
    table = _table(title, "before", "after")
    for change in changes[:LISTED]:
        table.add_row(change.what, _short(change.before), _short(change.after))
    console.print("", table)
    if len(changes) > LISTED:
        console.print(f"  and {len(changes) - LISTED:,} more; --json lists all")


def _short(value: Any) -> str:
    text = "-" if value is None else str(value)
    is_hash = len(text) == 64 and text.isalnum()
    return text[:HASH_SHOWN] if is_hash else text


def _shortened(keys: Sequence[str]) -> list[str]:
    more = len(keys) - LISTED
    return [*keys[:LISTED], *([f"and {more:,} more; --json lists all"] if more > 0 else [])]


def _table(*heading: str) -> Table:
    return Table(*heading, box=None, pad_edge=False, header_style="bold")
