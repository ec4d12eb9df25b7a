"""Small-cell suppression: counts of few patients are hidden, and so is what would give them away.

A count from 1 to SMALL_CELL - 1 is hidden. Others are hidden with it, the smallest that help, until
the sums on the page leave every hidden count a range of at least SMALL_CELL: between the least and
the greatest whole number that fits what is printed, no count being negative. All hidden counts look
alike, so that none is known to be small. Source: Hundepool 2012, Statistical Disclosure Control,
chapter 4 (primary and secondary suppression, audit of the feasible range). It protects against the
sums given, not against two pages being compared.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pipeline.errors import CommandError

SMALL_CELL_VARIABLE = "RWE_SMALL_CELL"
"""Environment variable for another limit; 11 is that of the US Centers for Medicare."""


def _small_cell() -> int:
    text = os.environ.get(SMALL_CELL_VARIABLE, "5")
    if not text.isdecimal() or int(text) < 3:
        raise CommandError(
            f"{SMALL_CELL_VARIABLE} is the smallest count of patients to be printed: a whole "
            "number of at least 3, for example 5 or 11."
        )
    return int(text)


SMALL_CELL = _small_cell()
"""Counts of patients below this one are hidden, except zero; hidden ones range at least so wide."""

HIDDEN = "[c]"
"""What stands for a hidden count: confidential (UK Government Analysis Function, Using symbols)."""

DEAR = 1000
"""How many times its size a count costs that is to stay visible if possible."""

TOLERANCE = 1e-6
"""Of the solver."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Sum(Generic[Key]):
    """Counts of which one is the sum of the others."""

    total: Key
    parts: tuple[Key, ...]


def is_small(count: int) -> bool:
    """Whether a count alone has to be hidden."""
    return 0 < count < SMALL_CELL


def shown(
    counts: Mapping[Key, int],
    sums: Iterable[Sum[Key]] = (),
    *,
    also: Iterable[Key] = (),
    kept: Collection[Key] = (),
) -> dict[Key, str]:
    """Return the text to print for each count: the number, or HIDDEN."""
    concealed = hidden(counts, sums, also=also, kept=kept)
    return {key: HIDDEN if key in concealed else f"{count:,}" for key, count in counts.items()}


def hidden(
    counts: Mapping[Key, int],
    sums: Iterable[Sum[Key]] = (),
    *,
    also: Iterable[Key] = (),
    unprinted: Iterable[Key] = (),
    kept: Collection[Key] = (),
    dear: Collection[Key] = (),
    zeros: bool = False,
) -> set[Key]:
    """Return which counts must not be printed: the small ones and those that cover them.

    Parameters
    ----------
    also
        Hidden for a reason from elsewhere, whatever their size.
    unprinted
        On no page; a small one must not be worked out all the same.
    kept
        Printed elsewhere, so that they cannot serve as cover.
    dear
        To serve as cover only where nothing else can.
    zeros
        Whether zeros may serve as cover.
    """
    every = list(sums)
    nowhere = set(unprinted)
    concealed = {key for key, count in counts.items() if is_small(count)} | set(also) | nowhere
    to_cover = [
        key
        for key, count in counts.items()
        if key in concealed and (key not in nowhere or is_small(count))
    ]
    among: dict[Key, list[Sum[Key]]] = {key: [] for key in counts}
    for one in every:
        for key in (one.total, *one.parts):
            among[key].append(one)
    movable = {
        key
        for key, count in counts.items()
        if key in concealed or ((count or zeros) and key not in kept)
    }
    cost = {key: max(count, 1) * (DEAR if key in dear else 1) for key, count in counts.items()}
    covered: set[Key] = set()
    for key in to_cover:
        if key in covered or not among[key]:
            continue
        found = _moves(key, counts, _tied(key, among, concealed), concealed)
        if found is None:
            price = {x: 0 if x in concealed else cost[x] for x in movable}
            found = _moves(key, counts, _tied(key, among, movable), movable, price)
        for other, by in (found or {}).items():
            if other not in concealed:
                concealed.add(other)
                to_cover.append(other)
            if by >= SMALL_CELL - TOLERANCE:
                covered.add(other)
    return concealed


def _tied(key: Key, among: Mapping[Key, list[Sum[Key]]], movable: set[Key]) -> list[Sum[Key]]:
    """The sums that say something of a count, by way of others that are not fixed."""
    found: dict[Sum[Key], None] = {}
    seen, ahead = {key}, [key]
    while ahead:
        for one in among[ahead.pop()]:
            if one not in found:
                found[one] = None
                further = [x for x in (one.total, *one.parts) if x in movable and x not in seen]
                seen.update(further)
                ahead.extend(further)
    return list(found)


def _moves(
    key: Key,
    counts: Mapping[Key, int],
    sums: Sequence[Sum[Key]],
    movable: Collection[Key],
    price: Mapping[Key, int] | None = None,
) -> dict[Key, float] | None:
    """How far counts move so that one ranges wide enough, at least cost; None if it cannot.

    Two sets of counts are looked for that both fit the sums, with a difference of SMALL_CELL in
    this count. What is visible has a price to move, so that few and small ones are hidden.
    """
    from scipy.optimize import linprog
    from scipy.sparse import block_array, coo_array

    entries = [
        (row, x, sign)
        for row, one in enumerate(sums)
        for x, sign in ((one.total, -1.0), *((part, 1.0) for part in one.parts))
        if x in movable
    ]
    place = {x: number for number, x in enumerate(dict.fromkeys(x for _, x, _ in entries))}
    n = len(place)
    fits = coo_array(
        (
            [sign for _, _, sign in entries],
            ([row for row, _, _ in entries], [place[x] for _, x, _ in entries]),
        ),
        shape=(len(sums), n),
    )
    this = coo_array(([1.0], ([0], [place[key]])), shape=(1, n))
    cost = [price[x] if price else 0 for x in place]
    solved = linprog(
        # How far up and how far down: of the first set, then of the second.
        cost * 4,
        A_eq=block_array(
            [[fits, -fits, None, None], [None, None, fits, -fits], [this, -this, -this, this]]
        ),
        b_eq=[0.0] * (2 * len(sums)) + [SMALL_CELL],
        bounds=([(0, None)] * n + [(0, counts[x]) for x in place]) * 2,
    )
    if not solved.success:
        return None
    up, down, other_up, other_down = solved.x.reshape(4, n)
    first, second = up - down, other_up - other_down
    moved = (abs(first) > TOLERANCE) | (abs(second) > TOLERANCE)
    return {x: abs(first[i] - second[i]) for x, i in place.items() if moved[i]}
