"""The reference numbers and the data sets they were computed from, as defined in r_reference.R."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

REFERENCE = Path(__file__).parent / "reference"

#: Agreement asked of closed forms, and of fits that iterate.
CLOSED_FORM = 1e-9
ITERATIVE = 1e-6


class Numbers(dict[str, Any]):
    """A branch of the reference that remembers which of its values have been asked for."""

    def __init__(self, branch: dict[str, Any]) -> None:
        super().__init__(
            (key, Numbers(value) if isinstance(value, dict) else value)
            for key, value in branch.items()
        )
        self._asked: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self._asked.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self._asked.add(key)
        return super().get(key, default)

    def values(self) -> Any:
        return [self[key] for key in self]

    def items(self) -> Any:
        return [(key, self[key]) for key in self]

    def __eq__(self, other: object) -> bool:
        return dict(self.items()) == other

    __hash__ = None  # type: ignore[assignment]

    def never_asked(self, above: str = "") -> Iterator[str]:
        """Paths of the numbers that nobody has asked for."""
        for key in self:
            value, path = super().__getitem__(key), f"{above}/{key}"
            if isinstance(value, Numbers):
                yield from value.never_asked(path)
            elif key not in self._asked and _holds_a_number(value):
                yield path


def _holds_a_number(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_holds_a_number, value))
    if isinstance(value, dict):
        return any(map(_holds_a_number, value.values()))
    return isinstance(value, int | float)


@cache
def reference() -> Numbers:
    """The numbers of R."""
    return Numbers(json.loads((REFERENCE / "r_reference.json").read_text()))


@cache
def _read(name: str) -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "data" / f"{name}.csv")


def data(name: str) -> pd.DataFrame:
    """A fresh copy of a data set."""
    return _read(name).copy()


@dataclass(frozen=True)
class Curves:
    """One data set as the Kaplan-Meier section of r_reference.R uses it."""

    time: pd.Series
    event: pd.Series
    group: pd.Series | None

    def of(self, label: str) -> tuple[np.ndarray, np.ndarray]:
        """Times and events of one group, by the label R gives it."""
        assert self.group is not None
        chosen = (self.group.astype(str) == label).to_numpy()
        return self.time.to_numpy()[chosen], self.event.to_numpy()[chosen]


def _curves(frame: pd.DataFrame, time: str, event: str, group: str | None) -> Curves:
    return Curves(frame[time], frame[event], None if group is None else frame[group])


def curves(name: str) -> Curves:
    """The data behind reference()["km"][name]."""
    if name in ("colon_death_rx", "colon_rec_rx"):
        colon = data("colon")
        return _curves(colon[colon.etype == (2 if "death" in name else 1)], "time", "status", "rx")
    if name == "pbc_trt":
        pbc = data("pbc").dropna(subset=["trt"])
        pbc["trt"] = pbc.trt.astype(int)
        return _curves(pbc.assign(dead=(pbc.status == 2).astype(int)), "time", "dead", "trt")
    if name == "larynx_stage":
        larynx = data("ll_larynx")
        larynx["stage"] = 1 + larynx.Stage_II + 2 * larynx.Stage_III + 3 * larynx.Stage_IV
        return _curves(larynx, "time", "death", "stage")
    columns: dict[str, tuple[str, str, str, str | None]] = {
        "lung_all": ("lung", "time", "event", None),
        "lung_sex": ("lung", "time", "event", "sex"),
        "veteran_celltype": ("veteran", "time", "status", "celltype"),
        "veteran_trt": ("veteran", "time", "status", "trt"),
        "ovarian_rx": ("ovarian", "futime", "fustat", "rx"),
        "aml_x": ("aml", "time", "status", "x"),
        "gehan_treat": ("gehan", "time", "cens", "treat"),
        "gbsg_hormon": ("gbsg", "rfstime", "status", "hormon"),
        "rotterdam_hormon": ("rotterdam", "dtime", "death", "hormon"),
        "rossi_fin": ("ll_rossi", "week", "arrest", "fin"),
        "gbsg2_horTh": ("ll_gbsg2", "time", "cens", "horTh"),
        "waltons_group": ("ll_waltons", "T", "E", "group"),
    }
    file, time, event, group = columns[name]
    return _curves(data(file), time, event, group)


def floats(values: list[float | None]) -> np.ndarray:
    """R's NA, null in the file, as nan."""
    return np.array([np.nan if value is None else value for value in values], dtype=float)
