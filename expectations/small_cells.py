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

import numpy as np

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
    small = [key for key in counts if key in concealed]
    while True:
        covers = [_cover(counts, one, concealed) for one in wanted]
        if not any(cover is not None for cover in covers):
            covers = [
                _any_cover(counts, wanted, key, concealed)
                for key in small
                if _can_be_solved(key, wanted, concealed)
            ]
        found = [cover for cover in covers if cover is not None]
        if not found:
            return concealed
        concealed.add(min(found, key=lambda cover: counts[cover]))


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


def _can_be_solved(key: Key, sums: Iterable[Sum[Key]], concealed: set[Key]) -> bool:
    """Whether the sums together, as linear equations in what is hidden, determine this count."""
    unknown = list(concealed)
    equations = np.array(
        [[(x == one.total) * -1.0 + (x in one.parts) for x in unknown] for one in sums]
    ).reshape(-1, len(unknown))
    alone = np.array([[float(x == key) for x in unknown]])
    rank = np.linalg.matrix_rank
    return bool(rank(equations) == rank(np.vstack([equations, alone])))


def _any_cover(
    counts: Mapping[Key, int], sums: Iterable[Sum[Key]], key: Key, concealed: set[Key]
) -> Key | None:
    """The smallest count large enough, in a sum with this one; else anywhere; None if none."""
    tied = [(one.total, *one.parts) for one in sums]
    near = [other for one in tied if key in one for other in one]
    for candidates in (near, [other for one in tied for other in one]):
        left = [k for k in candidates if k not in concealed and counts[k] >= SMALL_CELL]
        if left:
            return min(left, key=lambda other: counts[other])
    return None
