"""Random draws for row-by-row code: bulk numpy uniforms behind cheap scalar calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")

_BATCH = 4096


def stream(seed: int, *key: int) -> np.random.Generator:
    """The generator of one named part of the extract; parts never share draws."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def _uniforms(generator: np.random.Generator) -> Iterator[float]:
    while True:
        yield from generator.random(_BATCH).tolist()


class Draws:
    """Scalar draws from one generator, in the order asked for.

    `u()` is uniform on [0, 1); all else is made of it.
    """

    __slots__ = ("u",)

    def __init__(self, generator: np.random.Generator) -> None:
        """Draws from `generator` alone."""
        self.u = _uniforms(generator).__next__

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.u() < probability

    def below(self, count: int) -> int:
        """0 .. count - 1."""
        return int(self.u() * count)

    def between(self, low: int, high: int) -> int:
        """low .. high, both included; `low` when the range is empty."""
        return low + int(self.u() * (high - low + 1)) if high > low else low

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items, each as likely."""
        return items[int(self.u() * len(items))]

    def shuffle(self, items: list[Item]) -> None:
        """Fisher-Yates, in place."""
        for i in range(len(items) - 1, 0, -1):
            j = int(self.u() * (i + 1))
            items[i], items[j] = items[j], items[i]

    def sample(self, items: Sequence[Item], count: int) -> list[Item]:
        """`count` different items, or all of them if there are fewer."""
        pool = list(items)
        self.shuffle(pool)
        return pool[:count]
