"""Exposure that begins during follow-up, as start and stop rows for a time-dependent Cox model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.estimators.risk_table import (
    InvalidSurvivalInput,
    numeric,
    refuse,
    require_length,
    survival_rows,
)

#: Entry of a row at risk from the origin on; before it, so that an event at time 0 counts.
BEFORE_ORIGIN = -1.0


def split_at_exposure(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    exposure_start: npt.ArrayLike,
    *,
    entry: npt.ArrayLike | None = None,
) -> pd.DataFrame:
    """Cut each patient's follow-up where the exposure begins.

    Unexposed time then counts as unexposed, which removes the immortal time of an ever/never
    comparison (Crowley and Hu 1977; Suissa 2008). An exposure that begins on the day of an event
    did not precede it: that patient is unexposed throughout. One that begins at or before entry
    counts from entry on.

    Parameters
    ----------
    time, event, entry
        As `risk_table`.
    exposure_start : shape (n,)
        In the unit and from the origin of `time`; missing for those never exposed. May be
        negative.

    Returns
    -------
    DataFrame
        One row a patient and exposure state, in the order of the input: row (position in the
        input, the cluster of a robust variance), entry, exit, event, exposed (0 or 1). Entry is
        -1 for those at risk from the origin, so that an event at time 0 counts.

    Raises
    ------
    InvalidSurvivalInput
        As `risk_table`; also for infinite exposure starts.
    """
    rows = survival_rows(time, event, entry=entry)
    exit_time = rows.grid[rows.exit_code]
    start = numeric(exposure_start, "exposure starts")
    require_length(start, len(rows), "exposure starts")
    refuse(np.isinf(start), "exposure starts are not finite")
    begin = np.full(len(rows), BEFORE_ORIGIN)
    if rows.entry is not None:
        begin = np.where(rows.entry <= 0, BEFORE_ORIGIN, rows.entry)
    begins_at_origin = np.maximum(begin, 0.0)
    exposed_at_all = start < exit_time
    from_entry = exposed_at_all & (start <= begins_at_origin)
    cut = exposed_at_all & ~from_entry
    first = pd.DataFrame(
        {
            "row": np.arange(len(rows)),
            "entry": begin,
            "exit": np.where(cut, start, exit_time),
            "event": np.where(cut, 0, rows.event).astype(np.int64),
            "exposed": from_entry.astype(np.int64),
        }
    )
    second = pd.DataFrame(
        {
            "row": np.flatnonzero(cut),
            "entry": start[cut],
            "exit": exit_time[cut],
            "event": rows.event[cut].astype(np.int64),
            "exposed": 1,
        }
    )
    return pd.concat([first, second]).sort_values(["row", "entry"], ignore_index=True)


def landmark(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    exposure_start: npt.ArrayLike,
    *,
    at: float,
) -> pd.DataFrame:
    """Those still observed at a landmark, by exposure up to it, timed from it.

    Parameters
    ----------
    time, event, exposure_start
        As `split_at_exposure`.
    at
        The landmark, in the unit of `time`; patients whose follow-up ends by then are left out
        (Anderson, Cain and Gelber 1983).

    Returns
    -------
    DataFrame with row (position in the input), time (from the landmark), event, exposed.

    Raises
    ------
    InvalidSurvivalInput
        As `split_at_exposure`; also if the landmark is negative or nobody is observed beyond it.
    """
    if not np.isfinite(at) or at < 0:
        raise InvalidSurvivalInput("A landmark must be a time at or after the origin.")
    rows = survival_rows(time, event)
    start = numeric(exposure_start, "exposure starts")
    require_length(start, len(rows), "exposure starts")
    exit_time = rows.grid[rows.exit_code]
    later = np.flatnonzero(exit_time > at)
    if len(later) == 0:
        raise InvalidSurvivalInput("Nobody is observed beyond the landmark.")
    return pd.DataFrame(
        {
            "row": later,
            "time": exit_time[later] - at,
            "event": rows.event[later].astype(np.int64),
            "exposed": (start[later] <= at).astype(np.int64),
        }
    )
