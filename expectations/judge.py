"""Judges stored results again under other thresholds; numerators and denominators are enough."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from expectations.checks import Check, judged
from expectations.history import results_of
from expectations.run import all_checks
from pipeline.errors import CommandError, Exit

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Thresholds:
    """The shares, in percent, above which a check fails and above which it blocks (None: never)."""

    warn_above: float
    block_above: float | None


@dataclass(frozen=True)
class Verdict:
    """A stored result, how it was judged, and how it is now."""

    result: Result
    status: str
    blocks: bool

    @property
    def changed(self) -> bool:
        """Whether the new thresholds say something else."""
        return (self.status, self.blocks) != (self.result["status"], self.result["blocks"])


def judge(work: Path, run: str | None, thresholds: Path | None) -> tuple[str, list[Verdict]]:
    """Judge a run of the store again, the latest without one; return its id and the verdicts.

    The thresholds are those of the catalogue as it is now, and of the file where it names a check.
    Raises CommandError if there is no such run, or the file cannot be read.
    """
    results = results_of(work, run)
    if not results:
        raise CommandError(
            f"{work} holds no results of run {run or '(any)'}; `rwe build` stores them", Exit.USAGE
        )
    wanted = {check.check_id: thresholds_of(check) for check in all_checks()}
    if thresholds:
        wanted |= _read(thresholds, wanted)
    return results[0]["run_id"], again(results, wanted)


def thresholds_of(check: Check) -> Thresholds:
    """Return the thresholds of a check."""
    return Thresholds(check.warn_above, check.block_above)


def again(results: Iterable[Result], wanted: Mapping[str, Thresholds]) -> list[Verdict]:
    """Judge results again; one that counted nothing stays what it was."""
    return [_again(result, wanted.get(result["check_id"])) for result in results]


def _again(result: Result, wanted: Thresholds | None) -> Verdict:
    if wanted is None or not result["n_checked"]:
        return Verdict(result, result["status"], result["blocks"])
    status, blocks = judged(
        result["n_violating"], result["n_checked"], wanted.warn_above, wanted.block_above
    )
    return Verdict(result, status, blocks)


def _read(path: Path, known: Mapping[str, Thresholds]) -> dict[str, Thresholds]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        found = {str(name): _thresholds(**entry) for name, entry in document.items()}
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", Exit.USAGE) from None
    except (yaml.YAMLError, AttributeError, TypeError, ValueError):
        raise CommandError(
            f"{path}: each line is a check and its thresholds in percent, as in "
            "PTH-012: {warn_above: 15, block_above: null}",
            Exit.USAGE,
        ) from None
    if unknown := sorted(set(found) - set(known)):
        raise CommandError(f"{path}: no such check: {', '.join(unknown)}", Exit.USAGE)
    return found


def _thresholds(*, warn_above: float, block_above: float | None = None) -> Thresholds:
    warn, block = float(warn_above), None if block_above is None else float(block_above)
    if not 0 <= warn <= (100 if block is None else block) <= 100:  # nor is NaN a share
        raise ValueError
    return Thresholds(warn, block)
