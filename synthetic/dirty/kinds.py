"""A kind of defect: what is done to a chart, and what must find it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from synthetic.dirty.charts import Chart, Record

COLLAPSED = "identical to an earlier record"

Plant = Callable[[Chart], list[Record]]
"""Spoils a chart and returns the records at fault; none if the chart does not suit."""


@dataclass(frozen=True)
class Kind:
    """`check` must find it; with a `reason`, its row must be set aside for that: in quarantine, or
    COLLAPSED. A row that is collapsed needs no check.

    `also` are other checks that are right to find it. A check that tolerates some percent needs
    more than one defect to fail: `share` of the records of the table `of`. `blocks` says that no
    warehouse is built from a delivery with such a defect.
    """

    name: str
    check: str
    column: str
    done: str
    plant: Plant
    reason: str = ""
    also: tuple[str, ...] = ()
    share: float = 0.0
    of: str = ""
    blocks: bool = False

    def wanted(self, sizes: Mapping[str, int]) -> int:
        """How many records to plant in tables of these sizes."""
        return 1 + int(self.share * sizes[self.of]) if self.of else 1


KINDS: list[Kind] = []
"""Every kind, in the order of planting."""


def found_by(
    check: str,
    column: str,
    *,
    also: tuple[str, ...] = (),
    share: float = 0.0,
    of: str = "",
    blocks: bool = False,
    reason: str = "",
) -> Callable[[Plant], Plant]:
    """Enter a function among the kinds, under its name and with its docstring as explanation."""

    def enter(plant: Plant) -> Plant:
        done = (plant.__doc__ or "").strip().removesuffix(".")
        KINDS.append(
            Kind(plant.__name__, check, column, done, plant, reason, also, share, of, blocks)
        )
        return plant

    return enter
