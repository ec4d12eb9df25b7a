"""Drug rows: orders, administrations, dispensings, and what was ordered but never given."""

from __future__ import annotations

from typing import Final

from synthetic.days import ISO
from synthetic.draws import Draws
from synthetic.records import Scribe
from synthetic.regimens import DRUGS, HERBAL_TEXTS, SUPPORTIVE, TRIAL_TEXT, Drug, Regimen
from synthetic.timeline import Patient

_CODED: Final = 0.6
"""Share of products whose ATC code the hospital records."""

_NEVER_GIVEN: Final = ("irinotecan", "bevacizumab", "cetuximab", "trastuzumab", "oxaliplatin")

_INDUCTION_CYCLES: Final = {14: (8, 12), 21: (6, 8)}
"""Cycles of oxaliplatin by interval; fluoropyrimidine and antibody go on as maintenance."""

_IRINOTECAN_CYCLES: Final = (8, 14)
"""Cycles of irinotecan beside oxaliplatin."""


def write_lines(scribe: Scribe, patient: Patient, d: Draws) -> None:
    """All drug rows of a patient: adjuvant treatment, lines, supportive drugs, dead orders."""
    if patient.neoadjuvant:
        give(scribe, ("capecitabine",), patient.neoadjuvant, "neoadjuvant", patient, d)
    if patient.adjuvant_regimen is not None:
        give(scribe, patient.adjuvant_regimen.drugs, patient.adjuvant, "adjuvant", patient, d)
    for line in patient.lines:
        intent = "palliative" if line.number == 1 else "palliative, later"
        if d.chance(0.1):
            intent = "unknown"
        give(scribe, line.regimen.drugs, line.cycles, intent, patient, d, line.regimen)
        _write_supportive(scribe, line.cycles, patient, d)
    if patient.lines:
        _write_never_given(scribe, patient, d)


def give(
    scribe: Scribe,
    drugs: tuple[str, ...],
    cycles: list[int],
    intent: str,
    patient: Patient,
    d: Draws,
    regimen: Regimen | None = None,
) -> None:
    """Rows of drugs given together on the days of `cycles`."""
    drop_after = _cycles_given(regimen, cycles, d) if regimen is not None else {}
    per_order = 1 if patient.detailed else 3
    for name in drugs:
        days = cycles[: drop_after.get(name, len(cycles))]
        _write_drug(scribe, DRUGS[name], days, intent, per_order, patient.busy_until, d)


def _cycles_given(regimen: Regimen, cycles: list[int], d: Draws) -> dict[str, int]:
    """Cycles after which a drug is dropped while the rest of the regimen goes on."""
    stays = set(regimen.drugs) - {"oxaliplatin", "irinotecan", "leucovorin"}
    if "oxaliplatin" not in regimen.drugs or not stays:
        return {}
    interval = cycles[1] - cycles[0] if len(cycles) > 1 else 21
    drop = {"oxaliplatin": d.between(*_INDUCTION_CYCLES[14 if interval < 21 else 21])}
    if "irinotecan" in regimen.drugs:
        drop["irinotecan"] = d.between(*_IRINOTECAN_CYCLES)
    return drop


def _write_drug(
    scribe: Scribe,
    drug: Drug,
    days: list[int],
    intent: str,
    per_order: int,
    busy_until: int,
    d: Draws,
) -> None:
    text = d.pick(drug.texts)
    code = drug.atc if d.chance(_CODED) else ""
    dose = d.pick(drug.doses)
    if drug.supply:
        interval = days[1] - days[0] if len(days) > 1 else 21
        supply = str(min(drug.supply, interval))
        for day in days:
            scribe.drug(
                "dispensing",
                "completed",
                "",
                text,
                code,
                "oral",
                dose,
                drug.unit,
                day,
                "",
                supply,
                intent,
            )
        return
    ordered_text = text if d.chance(0.7) else d.pick(drug.texts)
    order_id = ""
    for position, day in enumerate(days):
        if position % per_order == 0:
            order_id = scribe.new_id("OR")
            scribe.drug(
                "order",
                "completed",
                order_id,
                ordered_text,
                code,
                "intravenous",
                dose,
                drug.unit,
                day,
                "",
                "",
                intent,
            )
        scribe.drug(
            "administration",
            "completed",
            order_id,
            text,
            code,
            "intravenous",
            dose,
            drug.unit,
            day,
            ISO[min(day + drug.pump_days, busy_until)],
            "",
            intent,
        )


def _write_supportive(scribe: Scribe, cycles: list[int], patient: Patient, d: Draws) -> None:
    """Antiemetics with some cycles, a growth factor or traditional medicine now and then."""
    for day in cycles[: 4 if patient.detailed else 1]:
        drug = SUPPORTIVE["ondansetron" if d.chance(0.6) else "dexamethasone"]
        _write_single(scribe, d.pick(drug.texts), drug, day, d)
    if d.chance(0.06) and day_fits(cycles[-1] + 2, patient):
        drug = SUPPORTIVE["pegfilgrastim"]
        _write_single(scribe, d.pick(drug.texts), drug, cycles[-1] + 2, d)


def day_fits(day: int, patient: Patient) -> bool:
    """Whether something may still happen to the patient on `day`."""
    return day <= patient.busy_until


def _write_single(scribe: Scribe, text: str, drug: Drug, day: int, d: Draws) -> None:
    order_id = scribe.new_id("OR")
    route = "subcutaneous" if drug.name == "pegfilgrastim" else "intravenous"
    code = drug.atc if d.chance(_CODED) else ""
    scribe.drug(
        "administration",
        "completed",
        order_id,
        text,
        code,
        route,
        d.pick(drug.doses),
        drug.unit,
        day,
        ISO[day],
        "",
        "supportive",
    )


def _write_never_given(scribe: Scribe, patient: Patient, d: Draws) -> None:
    """Orders that were cancelled or only planned: they prove nothing."""
    line = patient.lines[0]
    if d.chance(0.15):
        drug = DRUGS[d.pick(_NEVER_GIVEN)]
        day = d.between(line.start - 3, line.cycles[-1])
        scribe.drug(
            "order",
            "cancelled",
            scribe.new_id("OR"),
            d.pick(drug.texts),
            drug.atc,
            "intravenous",
            d.pick(drug.doses),
            drug.unit,
            day,
            "",
            "",
            "palliative",
        )
    if d.chance(0.1):
        last = patient.lines[-1]
        drug = DRUGS[last.regimen.drugs[-1]]
        day = last.cycles[-1] + 14
        if day_fits(day, patient):
            scribe.drug(
                "order",
                "planned",
                scribe.new_id("OR"),
                d.pick(drug.texts),
                "",
                "oral" if drug.supply else "intravenous",
                d.pick(drug.doses),
                drug.unit,
                day,
                "",
                "",
                "palliative",
            )


def write_herbal(scribe: Scribe, day: int, d: Draws) -> str:
    """A traditional medicine that no dictionary maps; returns its text."""
    text = d.pick(HERBAL_TEXTS)
    scribe.drug(
        "administration",
        "completed",
        scribe.new_id("OR"),
        text,
        "",
        "intravenous",
        "250",
        "ml",
        day,
        ISO[day],
        "",
        "supportive",
    )
    return text


def write_trial_drug(scribe: Scribe, cycles: list[int]) -> str:
    """A trial's drug without its name; returns its text."""
    for day in cycles:
        scribe.drug(
            "administration",
            "completed",
            scribe.new_id("OR"),
            TRIAL_TEXT,
            "",
            "intravenous",
            "1",
            "dose",
            day,
            ISO[day],
            "",
            "palliative",
        )
    return TRIAL_TEXT


def write_arterial_infusion(scribe: Scribe, day: int, d: Draws) -> None:
    """The drug of a hepatic artery infusion: regional, so not a systemic treatment."""
    drug = DRUGS[d.pick(("oxaliplatin", "irinotecan", "raltitrexed"))]
    scribe.drug(
        "administration",
        "completed",
        scribe.new_id("OR"),
        d.pick(drug.texts),
        drug.atc,
        "intra_arterial",
        d.pick(drug.doses),
        drug.unit,
        day,
        ISO[day],
        "",
        "palliative",
    )
