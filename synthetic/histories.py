"""Courses of patients: who is in the cohort or just misses it, and everybody else.

Each function draws one patient's days; `journey` writes them down.
"""

from __future__ import annotations

import math
from typing import Final

from synthetic.casebook import Case
from synthetic.cohort import LONGEST_LEAD, days_needed
from synthetic.days import (
    DATA_CUTOFF,
    ISO,
    STUDY_OPENS,
    birthday_before,
    month_end,
    month_start,
    month_text,
    year_end,
    year_text,
)
from synthetic.draws import Draws
from synthetic.regimens import BACKBONES, Regimen
from synthetic.timeline import LONGEST_TREATMENT, Patient, plan_cycles, plan_lines, plan_visits

SYNCHRONOUS_DAYS: Final = 183
"""Metastases found up to this many days after the primary are synchronous."""

_RIGHT: Final = ("C18.0", "C18.2", "C18.2", "C18.3", "C18.4")
_LEFT: Final = ("C18.5", "C18.6", "C18.7", "C18.7", "C18.7", "C19.9", "C20.9", "C20.9", "C20.9")
_UNSPECIFIED: Final = ("C18.8", "C18.9")
_ADENOCARCINOMA: Final = ("8140/3",) * 9 + (
    "8480/3",
    "8210/3",
    "8211/3",
    "8261/3",
    "8263/3",
    "8481/3",
)
_SIGNET_RING: Final = "8490/3"

_FURTHER_ORGANS: Final = (
    *("lung",) * 6,
    *("distant_lymph_node",) * 5,
    *("peritoneum",) * 4,
    *("bone",) * 2,
    "ovary",
    "adrenal",
    "brain",
    "other",
)
_ALONE_ORGANS: Final = ("lung", "lung", "distant_lymph_node", "peritoneum")

_SCANS: Final = ((42, 63), (63, 91))
_SCANS_LIGHT: Final = ((70, 110), (110, 150))

_ADJUVANT_CYCLE: Final = 21
_ADJUVANT_ENDS_BEFORE: Final = 45
"""Days from the last adjuvant cycle to the index date, at least: 14 of supply and a month."""
_NEOADJUVANT_ROOM: Final = 200


# -- the cohort and who just misses it ------------------------------------------------------------


def study_patient(
    case: Case, number: int, patient_id: str, misses: str | None, d: Draws
) -> Patient:
    """A patient of the cohort; `misses` names the one criterion that a near miss does not meet."""
    row = case.row
    first = case.regimens[0]
    assert first is not None
    synchronous = row.metastatic_pattern == "synchronous"
    adjuvant = row.adjuvant_chemotherapy == "yes"
    resected = row.primary_resection == "yes"
    early_surgery = row.metastasectomy == "yes" or (synchronous and resected and not adjuvant)
    lead = d.between(26 if early_surgery or row.trastuzumab_line == 1 else 5, LONGEST_LEAD)
    if row.death:
        latest = DATA_CUTOFF - row.os_days
        earliest = STUDY_OPENS + lead
        first_dose = d.between(max(earliest, min(first.available, latest)), latest)
    else:
        first_dose = DATA_CUTOFF - row.os_days
    index = first_dose - lead
    last_day = first_dose + row.os_days
    busy_until = last_day - 1 if row.death else last_day

    if not synchronous:
        diagnosis = index - d.between(330 if adjuvant else 210, 1590)
    elif adjuvant:
        diagnosis = index - d.between(150, 178)
    elif resected:
        diagnosis = index - d.between(0, 45)
    else:
        diagnosis = index - d.between(0, 24)
    resection = None
    if resected:
        if not synchronous:
            resection = diagnosis + d.between(10, 35)
        elif adjuvant:
            resection = diagnosis + d.between(5, 12)
        else:
            resection = d.between(max(diagnosis + 3, first_dose - 35), first_dose - 21)
    cycles: list[int] = []
    if adjuvant:
        begins = (resection or diagnosis) + d.between(24, 30)
        room = index - _ADJUVANT_ENDS_BEFORE - begins
        wish = d.between(4, 8) if not synchronous else d.between(2, 3)
        count = max(2, min(wish, room // _ADJUVANT_CYCLE + 1))
        cycles = [begins + _ADJUVANT_CYCLE * cycle for cycle in range(count)]

    baseline = first_dose - d.between(1, min(14, lead))
    patient = Patient(
        number=number,
        patient_id=patient_id,
        sex=row.sex,
        birth_text=ISO[birthday_before(index, case.age) - d.between(45, 300)],
        diagnosis_day=diagnosis,
        diagnosis_text=_diagnosis_text(diagnosis, index, 0.12 if not synchronous else 0.0, d),
        topography=d.pick(_RIGHT if row.primary_site == "right colon" else _LEFT),
        morphology=_morphology(row.differentiation, d),
        differentiation="moderate" if row.differentiation == "medium" else row.differentiation,
        stage=_stage(index - diagnosis, d),
        last_day=last_day,
        died=bool(row.death),
        busy_until=busy_until,
        death_text=ISO[last_day] if row.death else "",
        index_day=index,
        organs=_organs(row.metastatic_organs, case.liver, row.sex, index, baseline, d),
        resection_day=resection,
        adjuvant=cycles,
        adjuvant_regimen=BACKBONES["XELOX" if d.chance(0.8) else "Xeloda"] if cycles else None,
        measurable=misses != "measurable_lesion",
        ecog=3 if misses == "ecog" else d.pick((0, 0, 1, 1, 1, 2)),
        consents=misses != "consent",
        serious_illness=misses == "comorbidity",
        her2="positive" if d.chance(0.7) else "positive by FISH",
        ras=row.ras_braf,
        mutated_gene=case.mutated_gene,
        baseline_day=baseline,
        events=case.events,
        detailed=True,
    )
    if misses == "her2_positive":
        patient.her2 = patient.her2.replace("positive", "patchy")
    if misses == "ras_braf_tested":
        patient.ras = d.pick(("untested", "KRAS only", "no NRAS exon 4"))

    anti_egfr = row.ras_braf == "wild type" and patient.ras == "wild type"
    patient.lines = plan_lines(
        first_dose,
        row.pfs_days,
        bool(row.pfs_event) and row.pfs_days < row.os_days,
        last_day,
        patient.died,
        case.regimens,
        case.responses,
        anti_egfr,
        d,
    )
    if misses == "cycles":
        patient.lines = patient.lines[:1]
    for line in patient.lines:
        plan_visits(line, *_SCANS, d)
        plan_cycles(line, d.between(300, LONGEST_TREATMENT), LONGEST_TREATMENT, d)
    if misses == "cycles":
        patient.lines[0].cycles = patient.lines[0].cycles[:1]
    if row.metastasectomy == "yes":
        patient.metastasectomy_day = _operation_day(patient, d)
    if row.local_therapy == "yes":
        patient.local_therapies = _local_therapies(patient, d)
    return patient


def _organs(
    level: str, liver: bool, sex: str, index: int, baseline: int, d: Draws
) -> list[tuple[str, int]]:
    """Organs with metastases at the first baseline, the first on the index date."""
    if level == "single":
        return [("liver" if liver else d.pick(_ALONE_ORGANS), index)]
    organs = ["liver"] if liver else []
    wanted = d.pick((2, 2, 2, 3, 3, 4))
    while len(organs) < wanted:
        organ = d.pick(_FURTHER_ORGANS)
        if organ not in organs and (organ != "ovary" or sex == "female"):
            organs.append(organ)
    if set(organs) <= {"bone", "brain", "other"}:
        organs[0] = "lung"
    return [
        (organ, index if position == 0 or d.chance(0.6) else d.between(index, baseline))
        for position, organ in enumerate(organs)
    ]


def _operation_day(patient: Patient, d: Draws) -> int:
    """A metastasectomy between the index date and line 1, or after the first progression."""
    first = patient.lines[0]
    assert patient.index_day is not None
    if d.chance(0.5) or first.progression is None or patient.busy_until - first.end < 45:
        return d.between(patient.index_day, first.start - 21)
    return d.between(first.end + 5, patient.busy_until - 15)


def _local_therapies(patient: Patient, d: Draws) -> list[tuple[str, int]]:
    """One or two local treatments after the first dose, in life."""
    organs = {organ for organ, _ in patient.organs}
    kinds = ["radiotherapy"]
    if "liver" in organs:
        kinds += ["ablation", "ablation", "hepatic_artery_infusion"]
    elif "lung" in organs:
        kinds.append("ablation")
    first = patient.lines[0]
    low = first.start + 21
    high = max(low, patient.busy_until - 3)
    if first.progression is not None and patient.busy_until - first.end > 40:
        low = first.end + 3
    return [(d.pick(kinds), d.between(low, high)) for _ in range(2 if d.chance(0.3) else 1)]


# -- metastatic colorectal cancer that is not HER2 positive ---------------------------------------

_OS_SHAPE: Final = 1.2
_OS_SCALE_DAYS: Final = 900.0
_PFS_SCALE_DAYS: Final = 330.0

_USUAL_FIRST: Final = (
    ("XELOX",) * 6 + ("XELOX", "FOLFOX") * 2 + ("FOLFIRI", "FOLFIRI", "XELIRI", "SOX", "Xeloda")
)


def background_patient(number: int, patient_id: str, her2: str, d: Draws) -> Patient:
    """A metastatic colorectal patient who only fails to be HER2 positive."""
    sex = "male" if d.chance(0.6) else "female"
    index = d.between(STUDY_OPENS, DATA_CUTOFF - 25)
    first_dose = index + d.between(5, min(LONGEST_LEAD, DATA_CUTOFF - 1 - index))
    horizon = DATA_CUTOFF - first_dose
    if d.chance(0.1):
        horizon = d.between(0, horizon)
    survival = 15 + int(_OS_SCALE_DAYS * (-math.log(1.0 - d.u())) ** (1 / _OS_SHAPE))
    died = survival <= horizon
    os_days = survival if died else horizon
    treated = os_days >= 60 and d.chance(0.94)
    age = _adult_age(d)
    differentiation = d.pick(("poor", "moderate", "moderate", "moderate", "well", "unknown"))
    synchronous = d.chance(0.65)
    diagnosis = index - (
        d.pick((0, 0, d.between(0, 30), d.between(0, 90))) if synchronous else d.between(210, 2000)
    )
    last_day = first_dose + os_days
    patient = Patient(
        number=number,
        patient_id=patient_id,
        sex=sex,
        birth_text=_birth_text(birthday_before(index, age) - d.below(365), d),
        diagnosis_day=diagnosis,
        diagnosis_text=_diagnosis_text(diagnosis, index, 0.08 if not synchronous else 0.0, d),
        topography=_topography(d),
        morphology=_morphology(differentiation, d),
        differentiation=differentiation,
        stage=_stage(index - diagnosis, d),
        last_day=last_day,
        died=died,
        busy_until=last_day - 1 if died else last_day,
        index_day=index,
        organs=_organs("single" if d.chance(0.6) else ">=2", d.chance(0.6), sex, index, index, d),
        ecog=d.pick((0, 0, 1, 1, 1, 2, 2, 3)),
        serious_illness=d.chance(0.05),
        measurable=d.chance(0.93),
        her2=her2,
    )
    _set_death_text(patient, 0.04, d)
    u = d.u()
    patient.ras = (
        "wild type"
        if u < 0.3
        else "mutant"
        if u < 0.62
        else "KRAS only"
        if u < 0.75
        else "untested"
    )
    if patient.ras == "mutant":
        patient.mutated_gene = d.pick(("KRAS",) * 8 + ("NRAS", "BRAF", "BRAF"))
    if not synchronous or d.chance(0.5):
        latest = min(index + 3, patient.busy_until) if synchronous else diagnosis + 35
        patient.resection_day = d.between(diagnosis + 2, latest)
    if not synchronous:
        _set_perioperative(patient, index, 0.5, d)
    if treated and patient.busy_until - first_dose >= 45:
        patient.baseline_day = first_dose - d.between(1, min(14, first_dose - index))
        _treat(patient, first_dose, d)
        if d.chance(0.15):
            patient.local_therapies = _local_therapies(patient, d)
        if d.chance(0.08) and os_days > 200:
            patient.metastasectomy_day = d.between(first_dose + 60, patient.busy_until - 20)
    return patient


def _treat(patient: Patient, first_dose: int, d: Draws) -> None:
    """One to three lines, with fewer cycles and scans than the cohort's."""
    window = patient.busy_until - first_dose
    pfs = 42 + int(_PFS_SCALE_DAYS * -math.log(1.0 - d.u()))
    progresses = pfs < window - 3
    if not progresses:
        pfs = window
        if patient.died and window > 90:
            pfs = window - d.between(10, 40)
            progresses = True
    backbone = BACKBONES[d.pick(_USUAL_FIRST)]
    anti_egfr = patient.ras == "wild type"
    u = d.u()
    if u < 0.3:
        backbone = backbone.plus("bevacizumab")
    elif u < 0.42 and anti_egfr:
        backbone = backbone.plus("cetuximab")
    regimens: list[Regimen | None] = [backbone]
    left = window + (1 if patient.died else 0) - pfs if progresses else 0
    wish = d.pick((0, 0, 1, 1, 2))
    while wish and left - 10 < days_needed([None] * wish, patient.died):
        wish -= 1
    regimens += [None] * wish
    patient.lines = plan_lines(
        first_dose,
        pfs,
        progresses,
        patient.busy_until + (1 if patient.died else 0),
        patient.died,
        regimens,
        [None] * len(regimens),
        anti_egfr,
        d,
    )
    for line in patient.lines:
        plan_visits(line, *_SCANS_LIGHT, d)
        line.visits = _thin(line.visits)
        line.has_unreadable_scan = d.chance(0.04)
        plan_cycles(line, 150, d.between(3, 5), d)
    only = patient.lines[0]
    if len(patient.lines) == 1 and only.best == "PR" and len(only.visits) > 2 and d.chance(0.1):
        only.best = "CR"


def _thin(visits: list[int]) -> list[int]:
    """At most four scans of a line, the last among them."""
    return visits if len(visits) <= 4 else [*visits[:3], visits[-1]]


# -- everybody else -------------------------------------------------------------------------------

_SITES_ELSEWHERE: Final = (
    ("C16.9", "8140/3", ""),
    ("C16.3", "8145/3", ""),
    ("C16.0", "8140/3", ""),
    ("C50.4", "8500/3", "female"),
    ("C50.9", "8500/3", "female"),
    ("C34.1", "8140/3", ""),
    ("C34.3", "8070/3", ""),
    ("C25.0", "8500/3", ""),
    ("C22.0", "8170/3", ""),
    ("C15.4", "8070/3", ""),
)
_NOT_ADENOCARCINOMA: Final = ("8240/3", "8240/3", "8246/3", "8013/3", "8936/3", "8070/3")
_REGIMENS_ELSEWHERE: Final[dict[str, tuple[Regimen, ...]]] = {
    "C16": (BACKBONES["SOX"], BACKBONES["XELOX"], BACKBONES["CPT-11"]),
    "C50": (BACKBONES["Xeloda"], BACKBONES["Xeloda"].plus("bevacizumab")),
    "C34": (BACKBONES["S1"].plus("bevacizumab"), BACKBONES["CPT-11"]),
    "C25": (BACKBONES["S1"], BACKBONES["FOLFOXIRI"], BACKBONES["SOX"]),
    "C22": (BACKBONES["FOLFOX"], BACKBONES["regorafenib"]),
    "C15": (BACKBONES["S1"], BACKBONES["CPT-11"]),
    "C18": (BACKBONES["FOLFOX"], BACKBONES["Xeloda"], BACKBONES["5-FU/LV"]),
}
_HER2_MATTERS: Final = frozenset({"C16", "C50"})


def other_patient(number: int, patient_id: str, elsewhere: bool, d: Draws) -> Patient:
    """A metastatic tumour of another organ, or one of the colorectum that is no adenocarcinoma."""
    if elsewhere:
        topography, morphology, only = d.pick(_SITES_ELSEWHERE)
        sex = only or ("male" if d.chance(0.65) else "female")
    else:
        topography, morphology = d.pick(_RIGHT + _LEFT), d.pick(_NOT_ADENOCARCINOMA)
        sex = "male" if d.chance(0.55) else "female"
    site = topography[:3] if elsewhere else "C18"
    index = d.between(STUDY_OPENS, DATA_CUTOFF - 100)
    diagnosis = index - (0 if d.chance(0.6) else d.between(210, 1500))
    first_dose = index + d.between(6, 35)
    survival = 60 + int(500 * -math.log(1.0 - d.u()))
    died = first_dose + survival < DATA_CUTOFF
    last_day = min(first_dose + survival, DATA_CUTOFF)
    patient = Patient(
        number=number,
        patient_id=patient_id,
        sex=sex,
        birth_text=_birth_text(birthday_before(index, _adult_age(d)) - d.below(365), d),
        diagnosis_day=diagnosis,
        diagnosis_text=ISO[diagnosis],
        topography=topography,
        morphology=morphology,
        differentiation=d.pick(("poor", "moderate", "unknown")),
        stage=_stage(index - diagnosis, d),
        last_day=last_day,
        died=died,
        busy_until=last_day - 1 if died else last_day,
        index_day=index,
        organs=_organs("single" if d.chance(0.6) else ">=2", d.chance(0.5), sex, index, index, d),
        ecog=d.pick((0, 1, 1, 2)),
        serious_illness=d.chance(0.05),
        baseline_day=first_dose - d.between(1, 5),
    )
    _set_death_text(patient, 0.04, d)
    if site in _HER2_MATTERS:
        patient.her2 = d.pick(("positive", "positive by FISH", "negative", "negative", "negative"))
    regimen = d.pick(_REGIMENS_ELSEWHERE[site])
    if patient.her2.startswith("positive"):
        regimen = regimen.plus("trastuzumab")
        if site == "C50" and BACKBONES["XELOXIRI+pertuzumab"].available <= first_dose:
            regimen = regimen.plus("pertuzumab")
    elif site in ("C34", "C22") and first_dose > BACKBONES["fruquintinib"].available:
        regimen = regimen.plus(d.pick(("pembrolizumab", "nivolumab")))
    if regimen.available > first_dose:
        regimen = BACKBONES["FOLFOX"]
    pfs = min(42 + int(200 * -math.log(1.0 - d.u())), patient.busy_until - first_dose - 2)
    patient.lines = plan_lines(first_dose, pfs, True, last_day, died, [regimen], [None], False, d)
    for line in patient.lines:
        plan_visits(line, *_SCANS_LIGHT, d)
        line.visits = _thin(line.visits)
        plan_cycles(line, 200, 7, d)
    return patient


def local_patient(number: int, patient_id: str, d: Draws) -> Patient:
    """A colorectal adenocarcinoma of stage I to III that never spread."""
    sex = "male" if d.chance(0.58) else "female"
    diagnosis = d.between(STUDY_OPENS, DATA_CUTOFF - 200)
    differentiation = d.pick(("poor", "moderate", "moderate", "moderate", "well"))
    survival = 150 + int(4500 * -math.log(1.0 - d.u()))
    died = diagnosis + survival < DATA_CUTOFF
    last_day = min(diagnosis + survival, DATA_CUTOFF)
    text = ISO[diagnosis]
    if d.chance(0.06):
        text = month_text(diagnosis) if d.chance(0.7) else year_text(diagnosis)
    patient = Patient(
        number=number,
        patient_id=patient_id,
        sex=sex,
        birth_text=_birth_text(birthday_before(diagnosis, _adult_age(d)) - d.below(365), d),
        diagnosis_day=diagnosis,
        diagnosis_text=text,
        topography=_topography(d),
        morphology=_morphology(differentiation, d),
        differentiation=differentiation,
        stage=d.pick(("I", "II", "II", "III", "III")),
        last_day=last_day,
        died=died,
        busy_until=last_day - 1 if died else last_day,
        resection_day=diagnosis + d.between(7, 30),
        ecog=d.pick((0, 0, 1)),
        serious_illness=d.chance(0.05),
    )
    _set_death_text(patient, 0.04, d)
    if d.chance(0.15):
        patient.her2 = "negative"
    if patient.stage != "I":
        _set_perioperative(patient, patient.busy_until, 0.65, d)
    return patient


# -- shared ---------------------------------------------------------------------------------------


def _set_perioperative(patient: Patient, before: int, adjuvant: float, d: Draws) -> None:
    """Treatment around the resection, ended well before a day.

    Some rectal cancers are irradiated beside capecitabine first and operated on later; a share
    `adjuvant` of the patients is treated after the resection.
    """
    begins = patient.diagnosis_day + d.between(12, 25)
    if patient.topography == "C20.9" and before - begins > _NEOADJUVANT_ROOM and d.chance(0.3):
        patient.neoadjuvant = [begins, begins + _ADJUVANT_CYCLE]
        patient.irradiated_day = begins
        patient.resection_day = begins + d.between(85, 110)
    if d.chance(adjuvant):
        _set_adjuvant(patient, before, d)


def _set_adjuvant(patient: Patient, before: int, d: Draws) -> None:
    """Adjuvant cycles after the resection that end well before a day, if two fit."""
    assert patient.resection_day is not None
    begins = patient.resection_day + d.between(24, 40)
    room = before - _ADJUVANT_ENDS_BEFORE - begins
    count = min(d.between(4, 8), room // _ADJUVANT_CYCLE + 1)
    if count >= 2:
        patient.adjuvant = [begins + _ADJUVANT_CYCLE * cycle for cycle in range(count)]
        patient.adjuvant_regimen = BACKBONES[d.pick(("XELOX", "XELOX", "Xeloda"))]


def _set_death_text(patient: Patient, partial: float, d: Draws) -> None:
    """The death date as recorded; where the day is unknown, nothing else is in its month."""
    if not patient.died:
        return
    patient.death_text = ISO[patient.last_day]
    month = month_start(patient.last_day)
    known_from = patient.index_day if patient.index_day is not None else patient.diagnosis_day
    if d.chance(partial) and month - known_from > 120:
        patient.death_text = month_text(patient.last_day)
        patient.busy_until = month - 1 - d.below(10)


def _adult_age(d: Draws) -> int:
    """Years: 22 to 88, mostly about 60."""
    return 22 + int(66 * (d.u() + d.u() + d.u() + d.u() * 0.6) / 3.6)


def _birth_text(day: int, d: Draws) -> str:
    """The birth date, seldom without its day or month."""
    u = d.u()
    if u < 0.02:
        return month_text(day)
    return year_text(day) if u < 0.03 else ISO[day]


def _diagnosis_text(diagnosis: int, index: int, partial: float, d: Draws) -> str:
    """The diagnosis date; without its day only where the pattern of metastasis stays certain."""
    if d.chance(partial):
        if index - month_end(diagnosis) > SYNCHRONOUS_DAYS and d.chance(0.75):
            return month_text(diagnosis)
        if index - year_end(diagnosis) > SYNCHRONOUS_DAYS:
            return year_text(diagnosis)
    return ISO[diagnosis]


def _topography(d: Draws) -> str:
    u = d.u()
    return d.pick(_RIGHT if u < 0.25 else _LEFT if u < 0.97 else _UNSPECIFIED)


def _morphology(differentiation: str, d: Draws) -> str:
    if differentiation == "poor" and d.chance(0.15):
        return _SIGNET_RING
    return d.pick(_ADENOCARCINOMA)


def _stage(days_to_metastasis: int, d: Draws) -> str:
    """Stage at diagnosis, from how soon the metastases were found."""
    if days_to_metastasis <= 30:
        return "IV"
    if days_to_metastasis <= 120:
        return d.pick(("IV", "III"))
    return d.pick(("II", "III", "III"))
