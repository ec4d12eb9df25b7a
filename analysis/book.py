"""Reading results.estimates back: the only source of the numbers that the report prints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from analysis.ledger import (
    AS_PUBLISHED,
    NO_PATIENTS,
    NOT_ESTIMABLE,
    NOT_REACHED,
    PREFERRED,
    Convention,
    Interval,
)
from expectations.small_cells import HIDDEN

#: What stands in a cell for a number that no row has.
NOTHING = "\N{EN DASH}"
#: Short forms for table cells, explained under the table.
SHORT = {NOT_REACHED: "NR", NOT_ESTIMABLE: "NE", NO_PATIENTS: NOTHING, HIDDEN: HIDDEN}


@dataclass(frozen=True)
class Number:
    """One row of results.estimates, as far as a page needs it."""

    level: str | None
    value: float | None
    display: str
    n: int | None
    events: int | None
    method: str
    parameters: dict[str, Any]
    note: str | None

    @property
    def cell(self) -> str:
        """The number as a table cell prints it."""
        return SHORT.get(self.display, self.display).replace("-", "\N{MINUS SIGN}")


class Book:
    """All numbers of one study, by name."""

    def __init__(self, estimates: Iterable[dict[str, Any]]) -> None:
        """Take the study's rows of results.estimates, in their order."""
        self._numbers = {
            (
                row["exhibit"],
                row["population"],
                row["variable"],
                row["level"],
                row["statistic"],
                row["convention"],
            ): Number(
                row["level"],
                row["value"],
                row["display"],
                row["n"],
                row["events"],
                row["method"] or "",
                json.loads(row["parameters"]),
                row["note"],
            )
            for row in estimates
        }
        self._by_level: dict[tuple[str, ...], list[Number]] = {}
        for key, number in self._numbers.items():
            self._by_level.setdefault((*key[:3], *key[4:]), []).append(number)

    def __len__(self) -> int:
        """How many numbers there are."""
        return len(self._numbers)

    @property
    def methods(self) -> set[str]:
        """Methods by which the numbers were computed, in words."""
        return {number.method for number in self._numbers.values()}

    def page(self, exhibit: str, population: str) -> BookPage:
        """The numbers of one exhibit and population."""
        return BookPage(self, exhibit, population)

    def get(
        self,
        exhibit: str,
        population: str,
        variable: str,
        level: str | None,
        statistic: str,
        convention: Convention = AS_PUBLISHED,
    ) -> Number | None:
        """Return a number, or None if it was not computed."""
        return self._numbers.get((exhibit, population, variable, level, statistic, convention))

    def find(
        self, exhibit: str, population: str, variable: str, statistic: str, convention: str
    ) -> Iterator[Number]:
        """Numbers of a variable, one a level, in the order of computation."""
        name = (exhibit, population, variable, statistic, convention)
        return iter(self._by_level.get(name, ()))

    def variables(self, exhibit: str, population: str) -> list[str]:
        """Variables of an exhibit, in the order of computation."""
        return list(
            dict.fromkeys(key[2] for key in self._numbers if key[:2] == (exhibit, population))
        )

    def statistics(
        self, exhibit: str, population: str, variable: str, level: str | None
    ) -> list[str]:
        """Statistics of a level, in the order of computation."""
        return [
            key[4] for key in self._numbers if key[:4] == (exhibit, population, variable, level)
        ]


@dataclass(frozen=True)
class BookPage:
    """A book with the exhibit and the population filled in."""

    book: Book
    exhibit: str
    population: str

    def get(
        self,
        variable: str,
        level: str | None,
        statistic: str,
        convention: Convention = AS_PUBLISHED,
    ) -> Number | None:
        """Return a number, or None if it was not computed."""
        return self.book.get(self.exhibit, self.population, variable, level, statistic, convention)

    def cell(
        self,
        variable: str,
        level: str | None,
        statistic: str,
        convention: Convention = AS_PUBLISHED,
    ) -> str:
        """A number as a table cell prints it."""
        number = self.get(variable, level, statistic, convention)
        return NOTHING if number is None else number.cell

    def display(
        self,
        variable: str,
        level: str | None,
        statistic: str,
        convention: Convention = AS_PUBLISHED,
    ) -> str:
        """A number as running text prints it."""
        number = self.get(variable, level, statistic, convention)
        return "not computed" if number is None else number.display

    def value(
        self, variable: str, level: str | None, statistic: str, convention: Convention = PREFERRED
    ) -> float | None:
        """A number in full precision, or None."""
        number = self.get(variable, level, statistic, convention)
        return None if number is None else number.value

    def levels(
        self, variable: str, statistic: str = "n", convention: Convention = AS_PUBLISHED
    ) -> list[str]:
        """Levels of a variable that have the statistic, in order."""
        return [
            number.level
            for number in self.book.find(
                self.exhibit, self.population, variable, statistic, convention
            )
            if number.level is not None
        ]

    def statistics(self, variable: str, level: str | None) -> list[str]:
        """Statistics of a level, in the order of computation."""
        return self.book.statistics(self.exhibit, self.population, variable, level)

    def limits(
        self,
        variable: str,
        level: str | None,
        names: Interval,
        convention: Convention = AS_PUBLISHED,
    ) -> str:
        """The interval of a number: 29.6-49.9, with NR or NE at an end that has none."""
        lower = self.cell(variable, level, names.lower, convention)
        upper = self.cell(variable, level, names.upper, convention)
        if lower == upper and lower in (*SHORT.values(),):
            return lower
        joint = " to " if "\N{MINUS SIGN}" in lower + upper else NOTHING
        return f"{lower}{joint}{upper}"

    def with_limits(
        self,
        variable: str,
        level: str | None,
        names: Interval,
        convention: Convention = AS_PUBLISHED,
    ) -> str:
        """A number with its interval in brackets, for a table cell."""
        number = self.get(variable, level, names.value, convention)
        if number is None or (number.value is None and number.display != NOT_REACHED):
            return NOTHING if number is None else number.cell
        limits = self.limits(variable, level, names, convention)
        return number.cell if limits == number.cell else f"{number.cell} ({limits})"
