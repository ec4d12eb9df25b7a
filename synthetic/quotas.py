"""Printed counts shared out over a cohort of another size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

Key = TypeVar("Key")


def largest_remainder(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers that sum to `total`, proportional to `weights` (Hamilton's method).

    Ties of remainders go to the earlier weight. With `total == sum(weights)` the weights come back.
    """
    whole = sum(weights)
    if whole <= 0:
        return [0] * len(weights)
    shares = [total * weight / whole for weight in weights]
    counts = [int(share) for share in shares]
    by_remainder = sorted(range(len(shares)), key=lambda i: (counts[i] - shares[i], i))
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return counts


def expand(total: int, published: Mapping[Key, int]) -> list[Key]:
    """`total` keys, each as often as its scaled count says, in the order of the mapping."""
    counts = largest_remainder(total, list(published.values()))
    return [key for key, count in zip(published, counts, strict=True) for _ in range(count)]
