"""Plants every kind of defect in a clean delivery and lists what was done."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from synthetic.dirty.charts import PATIENT, Chart, Delivery, Record
from synthetic.dirty.kinds import KINDS, Kind
from synthetic.draws import Draws, stream
from synthetic.generator import Planted
from synthetic.records import COLUMNS
from synthetic.writing import replace_text, replacing

_DEFECTS: Final = 6  # random stream; the generator uses 0 to 5


@dataclass(frozen=True)
class Defect:
    """One record at fault: where it stands, what was done to it, and what must find it."""

    defect_id: str
    kind: str
    table: str
    record_no: int
    row_key: str
    patient_id: str
    column: str
    done: str
    check_id: str
    also: str
    set_aside_because: str


def spoil(folder: Path, planted: Planted, *, blocking: bool = False) -> list[Defect]:
    """Plant defects in the delivery that `generate` wrote and list them in `<folder>.defects.csv`.

    Each patient gets one defect at most; the study's cohort and those who just miss it get none.
    They are of the kinds that a warehouse can be built from; with `blocking`, of the others. The
    same delivery gives the same defects. Raises ValueError if it is too small to hold every kind.
    """
    delivery = Delivery(folder)
    spared = {*planted.included_patients.values()}.union(*planted.near_misses.values())
    draws = Draws(stream(planted.seed, _DEFECTS))
    charts = [chart for chart in delivery.charts.values() if chart.patient_id not in spared]
    draws.shuffle(charts)
    sizes = {table: len(records) for table, records in delivery.tables.items()}
    wanted = {kind: kind.wanted(sizes) for kind in KINDS if kind.blocks == blocking}
    done = [
        (f"{kind.name}-{n}", kind, chart, records)
        # Rare patients first, for those that few are wanted of.
        for kind in sorted(wanted, key=lambda kind: wanted[kind])
        for n, (chart, records) in enumerate(_planted(kind, wanted[kind], charts), start=1)
    ]
    numbers = {
        id(record): number
        for records in delivery.tables.values()
        for number, record in enumerate(records, start=1)
    }
    defects = [
        _entry(defect_id, kind, chart, record, numbers[id(record)])
        for defect_id, kind, chart, records in done
        for record in records
    ]
    with replacing(folder) as new:
        delivery.write(new)
    replace_text(folder.with_name(f"{folder.name}.defects.csv"), _listed(defects))
    return defects


def _planted(
    kind: Kind, wanted: int, charts: Collection[Chart]
) -> Iterator[tuple[Chart, list[Record]]]:
    for chart in charts:
        if wanted <= 0:
            return
        if chart.is_taken or not (records := kind.plant(chart)):
            continue
        chart.is_taken = True
        wanted -= len(records)
        yield chart, records
    if wanted > 0:
        raise ValueError(
            f"too few patients for the defect {kind.name}; ask for more. "
            "The extract was left as it is, clean"
        )


def _entry(defect_id: str, kind: Kind, chart: Chart, record: Record, number: int) -> Defect:
    return Defect(
        defect_id=defect_id,
        kind=kind.name,
        table=record.table,
        record_no=number,
        row_key=record.key,
        patient_id=record[PATIENT] if PATIENT in COLUMNS[record.table] else chart.patient_id,
        column=kind.column,
        done=kind.done,
        check_id=kind.check,
        also=" ".join(kind.also),
        set_aside_because=kind.reason,
    )


def _listed(defects: list[Defect]) -> str:
    text = io.StringIO()
    names = [field.name for field in fields(Defect)]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: getattr(defect, name) for name in names} for defect in defects)
    return text.getvalue()
