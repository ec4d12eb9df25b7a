"""Random drug histories as timelines, with days around the limits of the rules."""

from __future__ import annotations

import random
from dataclasses import replace

from tests.patients.timelines import Exposure, Timeline

MODIFIER = "leucovorin"
ACTIVE = [
    "bevacizumab", "capecitabine", "cetuximab", "fluorouracil", "irinotecan", "oxaliplatin",
    "panitumumab", "pembrolizumab", "regorafenib", "trastuzumab",
]  # fmt: skip
ORAL = {"capecitabine", "regorafenib"}
UNUSUAL = ["investigational", "unknown_antineoplastic", "ondansetron", "trastuzumab deruxtecan"]
INTERVALS = [1, 7, 13, 14, 14, 15, 21, 27, 28, 29, 30, 60, 61, 62, 75, 120, 121, 150, 200]


def random_history(number: int, r: random.Random) -> Timeline:
    """Treatment days at intervals around the limits, each with one to four drugs."""
    day = r.choice([-40, -14, -1, 0, 0, 5])
    regimen = r.sample(ACTIVE, r.randint(1, 4))
    exposures = []
    for _ in range(r.randint(1, 14)):
        given = r.sample(regimen, r.randint(1, len(regimen))) + r.choice([[], [MODIFIER]])
        exposures += [
            Exposure(d, day, r.choice([7, 14, 21, 60]) if d in ORAL else None) for d in given
        ]
        day += r.choice(INTERVALS)
        if r.random() < 0.25:
            regimen = r.sample(ACTIVE, r.randint(1, 4))
        elif r.random() < 0.15:
            regimen = sorted({*regimen[:3], r.choice(ACTIVE)})
    return Timeline(f"R{number:05d}", "random", exposures, [])


def eventful_history(number: int, r: random.Random) -> Timeline:
    """A random history with progressions, deaths, toxicity, regional therapy and unusual drugs."""
    history = random_history(number, r)
    days = sorted({exposure.day for exposure in history.exposures})
    exposures = [replace(e, regional=r.random() < 0.05) for e in history.exposures]
    exposures += [Exposure(r.choice(UNUSUAL), r.choice(days)) for _ in range(r.randint(0, 2))]
    near = [day + r.choice([-1, 0, 1, 10]) for day in days]
    return replace(
        history,
        exposures=exposures,
        progressions=sorted(set(r.sample(near, min(len(near), r.randint(0, 3))))),
        toxicity_stops=[r.choice(exposures).drug] if r.random() < 0.3 else [],
        death=r.choice(near) if r.random() < 0.3 else None,
    )
