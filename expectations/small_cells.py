"""Small-cell suppression: counts of few patients are hidden, and so is what would give them away.

A count from 1 to SMALL_CELL - 1 is hidden. Where a total and all its parts but one are printed, the
one that is missing can be subtracted; so another part is hidden with it, the smallest that is large
enough to cover. Source: Hundepool 2012, Statistical Disclosure Control, chapter 4 (primary and
secondary suppression). It protects against the sums printed on one page, not against two pages
being compared.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

SMALL_CELL = 5
"""Counts of patients below this one are hidden, except zero."""

COVER = "hidden"
"""What stands for a count that is hidden only to protect another one."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Sum(Generic[Key]):
    """Printed counts of which one is the sum of the others."""

    total: Key
    parts: tuple[Key, ...]


def is_small(count: int) -> bool:
    """Whether a count alone has to be hidden."""
    return 0 < count < SMALL_CELL


def shown(
    counts: Mapping[Key, int], sums: Iterable[Sum[Key]] = (), also: Iterable[Key] = ()
) -> dict[Key, str]:
    """Return the text to print for each count: the number, `<5`, or `hidden`."""
    concealed = hidden(counts, sums, also)

    def text(key: Key, count: int) -> str:
        if is_small(count):
            return f"<{SMALL_CELL}"
        return COVER if key in concealed else f"{count:,}"

    return {key: text(key, count) for key, count in counts.items()}


def hidden(
    counts: Mapping[Key, int], sums: Iterable[Sum[Key]] = (), also: Iterable[Key] = ()
) -> set[Key]:
    """Return which counts must not be printed: the small ones and those that cover them.

    `also` are hidden for a reason from elsewhere, whatever their size.
    """
    concealed = {key for key, count in counts.items() if is_small(count)} | set(also)
    wanted = list(sums)
    changed = True
    while changed:
        changed = False
        for one in wanted:
            cover = _cover(counts, one, concealed)
            if cover is not None:
                concealed.add(cover)
                changed = True
    return concealed


def _cover(counts: Mapping[Key, int], one: Sum[Key], concealed: set[Key]) -> Key | None:
    """What more to hide so that no small count of this sum can be worked out; None if nothing."""
    without = [part for part in one.parts if part in concealed]
    visible = sorted(
        (part for part in one.parts if part not in concealed and counts[part] >= SMALL_CELL),
        key=lambda part: counts[part],
    )
    remainder = sum(counts[part] for part in without)
    if one.total in concealed:
        exposed = not is_small(counts[one.total]) and remainder < SMALL_CELL
        return visible[0] if exposed and visible else None
    exposed = bool(without) and (len(without) == 1 or remainder < SMALL_CELL)
    if not exposed:
        return None
    return visible[0] if visible else one.total
