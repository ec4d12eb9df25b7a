"""The risk table: who is under observation, dies and is censored at each distinct time.

Every estimator of this package starts here, so that ties, late entry and refusals of bad input
are decided once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

# numpy's stubs type many results as floating rather than float64.
FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

#: Times closer than this, relative to their mean, are one time: 0.1 + 0.2 and 0.3 are tied.
#: Value of R's survival::aeqSurv (square root of the double precision).
TIE_TOLERANCE = float(np.sqrt(np.finfo(np.float64).eps))

#: A histogram over whole numbers is used while it has at most this many bins for each row; beyond
#: it the empty bins cost more than a sort.
HISTOGRAM_BINS_PER_ROW = 8
HISTOGRAM_BINS_ALWAYS = 100_000

POSITIONS_SHOWN = 5


class InvalidSurvivalInput(ValueError):  # noqa: N818, part of the public interface
    """The data cannot be analysed as survival data. The message names counts and positions only."""


@dataclass(frozen=True, eq=False)
class RiskTable:
    """Counts over the distinct exit times, ascending.

    Attributes
    ----------
    time : float array, shape (T,)
        Distinct exit times (events and censorings), in the unit of the input.
    n_at_risk, n_events, n_censored : float arrays, shape (T,)
        Counts, or sums of weights. A subject is at risk at t if entry < t <= exit, and one who is
        censored at t is at risk at t.
    entry_time, n_entered : float arrays, shape (E,)
        Distinct late-entry times and how many enter then; empty without late entry. Entry at or
        before the origin is no late entry.
    """

    time: FloatArray
    n_at_risk: FloatArray
    n_events: FloatArray
    n_censored: FloatArray
    entry_time: FloatArray
    n_entered: FloatArray

    def at_risk_before(self, times: npt.ArrayLike) -> FloatArray:
        """Number under observation just before each of `times` (any times), same shape."""
        query = np.asarray(times, dtype=np.float64)
        leavers = np.concatenate([[0.0], np.cumsum(self.n_events + self.n_censored)])
        entrants = np.concatenate([[0.0], np.cumsum(self.n_entered)])
        left = leavers[np.searchsorted(self.time, query, side="left")]
        late = entrants[-1] - entrants[np.searchsorted(self.entry_time, query, side="left")]
        at_risk: FloatArray = leavers[-1] - left - late
        return at_risk


@dataclass(frozen=True, eq=False)
class SurvivalRows:
    """Validated rows on the grid of distinct exit times.

    `exit_code` is the index of a row's exit in `grid`; a row is at risk at the grid positions
    from `entry_code` to `exit_code`, both included.
    """

    grid: FloatArray
    exit_code: IntArray
    event: FloatArray
    entry: FloatArray | None
    entry_code: IntArray | None
    weights: FloatArray | None

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.exit_code)

    def is_sampled(self, said: bool | None) -> bool:
        """Whether the weights are sampling weights: if said so, else unless all are whole."""
        if self.weights is None:
            return False
        return bool(np.any(self.weights != np.floor(self.weights))) if said is None else said

    def leave(self, values: FloatArray | None = None) -> FloatArray:
        """Sum of `values` (default: the weights, or one a row) over the rows that exit at t."""
        return self._total(self.exit_code, self.weights if values is None else values)

    def at_risk(self, values: FloatArray | None = None) -> FloatArray:
        """Sum of `values` (default: the weights, or one a row) over the rows at risk at t."""
        used = self.weights if values is None else values
        total = reverse_cumsum(self._total(self.exit_code, used))
        if self.entry_code is None:
            return total
        enter = self._total(self.entry_code, used)
        not_yet = np.concatenate([reverse_cumsum(enter)[1:], [0.0]])
        return np.asarray(total - not_yet, dtype=np.float64)

    def _total(self, code: IntArray, values: FloatArray | None) -> FloatArray:
        return np.bincount(code, weights=values, minlength=len(self.grid)).astype(np.float64)


def risk_table(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    *,
    entry: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
) -> RiskTable:
    """Count at risk, events and censorings at each distinct time.

    Parameters
    ----------
    time : shape (n,)
        Exit times, >= 0, any unit.
    event : shape (n,)
        1 (event) or 0 (censored).
    entry : shape (n,), optional
        Late entry: at risk from just after this time. At or before 0 means from the origin.
    weights : shape (n,), optional
        Positive case weights.

    Raises
    ------
    InvalidSurvivalInput
        For empty input, lengths that differ, missing, infinite or negative times, events other
        than 0 and 1, entry not before exit, weights not positive.
    """
    return tabulate(survival_rows(time, event, entry=entry, weights=weights))


def tabulate(rows: SurvivalRows) -> RiskTable:
    """Collapse validated rows to their risk table."""
    n_exits = rows.leave()
    n_events = rows.leave(rows.event if rows.weights is None else rows.event * rows.weights)
    if rows.entry is None:
        entry_time, n_entered = np.empty(0), np.empty(0)
    else:
        late = rows.entry > 0
        late_weights = None if rows.weights is None else rows.weights[late]
        entry_time, code = np.unique(rows.entry[late], return_inverse=True)
        n_entered = np.bincount(code, weights=late_weights, minlength=len(entry_time)).astype(
            np.float64
        )
    return RiskTable(
        time=rows.grid,
        n_at_risk=rows.at_risk(),
        n_events=n_events,
        n_censored=n_exits - n_events,
        entry_time=entry_time,
        n_entered=n_entered,
    )


def survival_rows(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    *,
    entry: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
) -> SurvivalRows:
    """Validate, merge times that differ by rounding only, and place every row on the grid."""
    times = numeric(time, "times")
    events = numeric(event, "events")
    if len(times) == 0:
        raise InvalidSurvivalInput("There are no patients to analyse.")
    require_length(events, len(times), "events")
    refuse(~np.isfinite(times), "times are missing or not finite")
    refuse(times < 0, "times are negative")
    refuse((events != 0) & (events != 1), "events are missing or neither 0 nor 1")

    entries = None
    if entry is not None:
        entries = numeric(entry, "entry times")
        require_length(entries, len(times), "entry times")
        refuse(~np.isfinite(entries), "entry times are missing or not finite")
        joined = merge_near_ties(np.concatenate([times, entries]))
        times, entries = joined[: len(times)], joined[len(times) :]
        refuse(entries >= times, "entry times are not before the exit times")
    else:
        times = merge_near_ties(times)

    row_weights = None
    if weights is not None:
        row_weights = numeric(weights, "weights")
        require_length(row_weights, len(times), "weights")
        refuse(
            ~(np.isfinite(row_weights) & (row_weights > 0)),
            "weights are missing, not finite or not positive",
        )

    grid, exit_code = distinct(times)
    entry_code = None
    if entries is not None:
        entry_code = np.searchsorted(grid, entries, side="right")
        # An exit at time 0 has no late entry, so entry before the origin maps to the first cell.
        entry_code = np.where(entries <= 0, 0, entry_code).astype(np.int64)
    return SurvivalRows(grid, exit_code, events, entries, entry_code, row_weights)


def numeric(values: npt.ArrayLike, what: str) -> FloatArray:
    """One-dimensional float array; missing values of any kind become nan."""
    kind = getattr(getattr(values, "dtype", None), "kind", "")
    if kind in "mMUS" and kind:
        raise InvalidSurvivalInput(f"The {what} must be numbers, not dates or text.")
    try:
        if isinstance(values, np.ndarray) and kind in "fiub":
            array = values.astype(np.float64, copy=False)
        else:
            array = pd.Series(_one_dimensional(values)).to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise InvalidSurvivalInput(f"The {what} must be numbers.") from error
    if array.ndim != 1:
        raise InvalidSurvivalInput(f"The {what} must form one column.")
    return array


def _one_dimensional(values: Any) -> Any:
    if isinstance(values, pd.Series):
        return values.to_numpy() if values.dtype.kind in "fiub" else values.array
    return values if isinstance(values, pd.api.extensions.ExtensionArray) else list(values)


def require_length(values: npt.NDArray[Any], n: int, what: str) -> None:
    """Refuse a column that is not as long as the times."""
    if len(values) != n:
        raise InvalidSurvivalInput(f"There are {n} times but {len(values)} {what}.")


def refuse(bad: npt.NDArray[np.bool_], what: str) -> None:
    """Raise if any row is bad, naming how many and the first positions, never the values."""
    if not bad.any():
        return
    positions = np.flatnonzero(bad)
    shown = ", ".join(str(position) for position in positions[:POSITIONS_SHOWN])
    more = ", ..." if len(positions) > POSITIONS_SHOWN else ""
    raise InvalidSurvivalInput(
        f"{len(positions)} of {len(bad)} {what} (positions {shown}{more}, counted from 0)."
    )


def merge_near_ties(values: FloatArray) -> FloatArray:
    """Give values that differ by rounding only the smallest of them (as R's aeqSurv)."""
    if _whole(values):
        return values
    unique, code = np.unique(values, return_inverse=True)
    gaps = np.diff(unique)
    near = (gaps <= TIE_TOLERANCE) | (gaps <= TIE_TOLERANCE * np.abs(unique).mean())
    if not near.any():
        return values
    first = np.maximum.accumulate(np.where(np.r_[True, ~near], np.arange(len(unique)), 0))
    merged: FloatArray = unique[first][code]
    return merged


def distinct(values: FloatArray) -> tuple[FloatArray, IntArray]:
    """Distinct values, ascending, and the index of each row's value among them.

    Whole numbers (days) are counted into a histogram, which replaces the sort.
    """
    bins_allowed = max(HISTOGRAM_BINS_ALWAYS, HISTOGRAM_BINS_PER_ROW * len(values))
    if values.min() >= 0 and values.max() < bins_allowed and _whole(values):
        whole = values.astype(np.int64)
        occupied = np.bincount(whole) > 0
        rank = np.cumsum(occupied) - 1
        return np.flatnonzero(occupied).astype(np.float64), rank[whole]
    unique, code = np.unique(values, return_inverse=True)
    return unique, code.astype(np.int64)


def group_codes(group: npt.ArrayLike, n: int, what: str) -> tuple[list[Any], IntArray]:
    """Labels in order (category order for categoricals, else sorted) and each row's index."""
    column = pd.Series(group) if not isinstance(group, pd.Series) else group
    require_length(column.to_numpy(), n, what)
    refuse(column.isna().to_numpy(), f"{what} are missing")
    if isinstance(column.dtype, pd.CategoricalDtype):
        trimmed = column.cat.remove_unused_categories()
        return list(trimmed.cat.categories), trimmed.cat.codes.to_numpy().astype(np.int64)
    codes, labels = pd.factorize(column, sort=True)
    return list(labels), codes.astype(np.int64)


def order_for_drawing(*columns: Any) -> IntArray:
    """Positions of the rows in the order of what they hold, the first column counting most.

    Rows that hold the same are exchangeable. What is drawn for rows in this order follows from the
    data and the seed, not from the order in which the rows are given.
    """
    return np.lexsort([pd.factorize(column, sort=True)[0] for column in columns[::-1]])


def reverse_cumsum(values: FloatArray) -> FloatArray:
    """Sum over this position and all later ones, along the first axis."""
    total: FloatArray = np.cumsum(values[::-1], axis=0)[::-1]
    return total


def reverse_cumprod(values: FloatArray) -> FloatArray:
    """Product over this position and all later ones, along the first axis."""
    product: FloatArray = np.cumprod(values[::-1], axis=0)[::-1]
    return product


def _whole(values: FloatArray) -> bool:
    return bool(np.all(values == np.floor(values)))
