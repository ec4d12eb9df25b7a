"""Days as plain integers, and their text.

A day is the number of days since 1900-01-01. Integers keep the inner loops free of date objects;
`ISO[day]` is the day's text.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

_EPOCH: Final = date(1900, 1, 1)


def day_of(when: date) -> int:
    """Days from 1900-01-01 to `when`."""
    return (when - _EPOCH).days


def date_of(day: int) -> date:
    """The calendar date of a day number."""
    return _EPOCH + timedelta(days=day)


STUDY_OPENS: Final = day_of(date(2011, 9, 1))
"""First day on which metastatic disease may be found (the study's first day)."""

DATA_CUTOFF: Final = day_of(date(2021, 2, 19))
"""Last day of follow-up (the study's last day); nothing clinical is later."""

EXTRACT_DATE: Final = day_of(date(2021, 3, 1))
"""Day the extract is drawn; nothing recorded is later."""

ISO: Final[tuple[str, ...]] = tuple(date_of(day).isoformat() for day in range(EXTRACT_DATE + 1))
"""`ISO[day]` is YYYY-MM-DD, for 1900-01-01 to the extract date."""


def month_text(day: int) -> str:
    """YYYY-MM of a day."""
    return ISO[day][:7]


def year_text(day: int) -> str:
    """YYYY of a day."""
    return ISO[day][:4]


def month_start(day: int) -> int:
    """First day of the day's month."""
    return day - date_of(day).day + 1


def month_end(day: int) -> int:
    """Last day of the day's month."""
    return month_start(month_start(day) + 31) - 1


def year_end(day: int) -> int:
    """Last day of the day's year."""
    return day_of(date(date_of(day).year, 12, 31))


def birthday_before(day: int, age: int) -> int:
    """The day on which somebody was born who turns `age` on `day` (28 February for 29)."""
    when = date_of(day)
    leap_safe = 28 if (when.month, when.day) == (2, 29) else when.day
    return day_of(date(when.year - age, when.month, leap_safe))
