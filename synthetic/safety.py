"""Adverse events: the toxicities that the study counts, and others around them."""

from __future__ import annotations

from typing import Final

from synthetic.casebook import CAUSED_BY, MILD
from synthetic.draws import Draws
from synthetic.records import Scribe
from synthetic.timeline import Line, Patient

TERMS: Final[dict[str, dict[str, int]]] = {
    "myelosuppression": {
        "Neutrophil count decreased": 4,
        "White blood cell decreased": 4,
        "Platelet count decreased": 4,
        "Anemia": 4,
    },
    "gastrointestinal": {
        "Nausea": 3,
        "Vomiting": 4,
        "Diarrhea": 4,
        "Constipation": 4,
        "Mucositis oral": 4,
    },
    "liver dysfunction": {
        "Alanine aminotransferase increased": 4,
        "Aspartate aminotransferase increased": 4,
        "Blood bilirubin increased": 4,
    },
    "neurotoxicity": {"Peripheral sensory neuropathy": 4},
    "hand-foot syndrome": {"Palmar-plantar erythrodysesthesia syndrome": 3},
    "rash": {"Rash acneiform": 4},
    "haemorrhage": {"Epistaxis": 4, "Lower gastrointestinal hemorrhage": 4},
    "proteinuria": {"Proteinuria": 3},
}
"""Terms by category, each with the highest grade that CTCAE knows for it below death."""

OTHER_TERMS: Final = {
    "Fatigue": 3,
    "Alopecia": 2,
    "Hypertension": 3,
    "Infusion related reaction": 3,
}

_RELATED: Final = ("unlikely", "possible", "probable", "probable", "definite")

_COMMON: Final = (
    "myelosuppression",
    "myelosuppression",
    "gastrointestinal",
    "gastrointestinal",
    "liver dysfunction",
    "neurotoxicity",
    "hand-foot syndrome",
)


def _version(d: Draws) -> str:
    return "3.0" if d.chance(0.85) else "4.0"


def write_counted(
    scribe: Scribe, patient: Patient, events: list[tuple[str, str]], d: Draws
) -> None:
    """The events of line 1 that the study counts, each on its own day within the treatment."""
    line = patient.lines[0]
    last = min(line.cycles[-1] + 7, _before_next(patient, 0))
    free = list(range(line.start + 1, last + 1))
    d.shuffle(free)
    for category, grades in events:
        onset = free.pop() if free else last
        _write(scribe, patient, TERMS[category], grades == MILD, onset, d.pick(_RELATED), d)


def write_uncounted(scribe: Scribe, patient: Patient, d: Draws) -> None:
    """Events of line 1 that count in no category: other terms, or unrelated to treatment."""
    line = patient.lines[0]
    last = min(line.cycles[-1] + 7, _before_next(patient, 0))
    if d.chance(0.4):
        onset = d.between(line.start + 1, last)
        _write(scribe, patient, OTHER_TERMS, d.chance(0.9), onset, d.pick(_RELATED), d)
    if d.chance(0.12):
        terms = TERMS[d.pick(_COMMON)]
        onset = d.between(line.start + 1, last)
        _write(scribe, patient, terms, d.chance(0.8), onset, "unrelated", d)


def write_usual(scribe: Scribe, patient: Patient, first: int, most: int, d: Draws) -> None:
    """Up to `most` events in each line from index `first` on, of kinds its drugs explain."""
    for position in range(first, len(patient.lines)):
        line = patient.lines[position]
        last = min(line.cycles[-1] + 7, _before_next(patient, position))
        for _ in range(d.below(most + 1)):
            terms = OTHER_TERMS if d.chance(0.2) else TERMS[_category(line, d)]
            onset = d.between(line.start + 1, last)
            _write(scribe, patient, terms, d.chance(0.8), onset, d.pick(_RELATED), d)


def _category(line: Line, d: Draws) -> str:
    drugs = set(line.regimen.drugs)
    if "cetuximab" in drugs and d.chance(0.5):
        return "rash"
    if "bevacizumab" in drugs and d.chance(0.3):
        return d.pick(("proteinuria", "haemorrhage"))
    category = d.pick(_COMMON)
    causes = CAUSED_BY.get(category)
    return "gastrointestinal" if causes and not causes & drugs else category


def _before_next(patient: Patient, position: int) -> int:
    """Last day before the following line, or on which anything can happen."""
    if position + 1 < len(patient.lines):
        return patient.lines[position + 1].start - 1
    return patient.busy_until


def _write(
    scribe: Scribe,
    patient: Patient,
    terms: dict[str, int],
    mild: bool,
    onset: int,
    attribution: str,
    d: Draws,
) -> None:
    term = d.pick(list(terms))
    if (term, onset) in patient.onsets:
        return
    patient.onsets.add((term, onset))
    grade = (1 if d.chance(0.5) else 2) if mild else (4 if d.chance(0.15) else 3)
    grade = min(grade, terms[term])
    end = min(onset + d.between(2, 21), patient.busy_until) if d.chance(0.85) else 0
    scribe.adverse_event(term, _version(d), grade, onset, end, attribution)
