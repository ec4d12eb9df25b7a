"""Whatever happens at a step of a run, modelling and analysis: what is published stays as it is.

The run lands a delivery, builds few of the models into the last build, and goes on as every run.
"""

from __future__ import annotations

import itertools
import os
import sys
from functools import partial
from pathlib import Path

from pipeline import faults, run
from pipeline.errors import as_command_error
from pipeline.paths import Layout
from tests.faults.trials import (
    EXIT_CODES,
    KILLED,
    Published,
    hashes,
    leftovers,
    verify_run,
)
from tests.processes import PARSED, ended
from tests.two_runs import Runs

FEW_MODELS = ("cohort_attrition", "adverse_events_by_patient")
REACHED_ANALYSIS = 77
LATER_FAULTS = ("checks:1:raise", "analysis:1:enospc", "analysis:2:kill")


def build_few(layout: Layout, delivery: Path, environment: dict[str, str], analyse: bool) -> None:
    """Run in a process of its own; it ends with the exit code of the command."""
    os.environ |= environment
    run.dbt_build = partial(run.dbt_build, select=FEW_MODELS)
    if not analyse:
        run._compute = lambda *_: os._exit(REACHED_ANALYSIS)
    try:
        run.run(delivery, layout, step=lambda _: None, progress=lambda *_: None)
    except Exception as error:
        sys.exit(as_command_error(error).exit_code)


def test_flt03_building_fails_at_each_node_and_step(runs: Runs, survived: list[str]) -> None:
    delivery = runs.folder / "again"
    told = {**PARSED, "RWE_KEY_FILE": os.environ["RWE_KEY_FILE"]}
    published = Published(runs.layout, delivery, Path(told["RWE_KEY_FILE"]))
    published.first = hashes(runs.layout.published)

    def attempt(fault: str, *, analyse: bool) -> int:
        environment = {**told, faults.FAULT_VARIABLE: fault}
        return ended(build_few, runs.layout, delivery, environment, analyse)

    def fails(fault: str, code: int) -> None:
        assert code == EXIT_CODES[fault.rpartition(":")[2]], fault
        published.holds()
        assert published.current == runs.second
        assert code == KILLED or leftovers(runs.layout.published) == []
        survived.append(fault)

    kinds = itertools.cycle(EXIT_CODES)
    for nth in itertools.count(1):
        fault = f"build:{nth}:{next(kinds)}"
        if (code := attempt(fault, analyse=False)) == REACHED_ANALYSIS:
            break
        fails(fault, code)
    assert nth > len(FEW_MODELS)
    for fault in LATER_FAULTS:
        fails(fault, attempt(fault, analyse=True))
    assert attempt("analysis:3:raise", analyse=True) == 0

    # What was built after so many faults holds what the undisturbed run before them held.
    assert leftovers(runs.layout.published, runs.layout.work) == []
    undisturbed = verify_run(runs.layout.published / runs.second)["relations"]
    assert published.current != runs.second
    assert verify_run(runs.layout.current)["relations"] == undisturbed
