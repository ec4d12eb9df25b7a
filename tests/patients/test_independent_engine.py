"""The line engine against an independent one on thousands of random histories.

geniekit 0.1.0 (PyPI, MIT) derives lines of therapy for GENIE BPC. Its rules differ from ours in
ways that rule set `geniekit_like` declares: drugs begun within 28 days of the start of a line are
of it, any drug new to the line after that begins another, no drug stands for another, nothing but a
gap longer than a limit (none by default) splits treatment with the same drugs, and progression is
not looked at. Under that rule set, and variants of its window and gap, every line must agree.

One difference is in no rule set: to geniekit a day of leucovorin alone goes on with the line, so it
shortens a gap; to us modifiers never count. The histories give leucovorin only with another drug.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.patients.project import SEEDS
from tests.patients.random_histories import random_history
from tests.patients.rule_sets import RuleSeeds
from tests.patients.timelines import Exposure, Timeline, write_delivery
from tests.patients.warehouse import Warehouse, build

pd = pytest.importorskip("pandas")
lot = pytest.importorskip("geniekit.lot", reason="needs the test-only package geniekit==0.1.0")
io = pytest.importorskip("geniekit.io")

HISTORIES = 2000
SEED = 1865
LABELS = {
    "bevacizumab": "Bevacizumab",
    "capecitabine": "Capecitabine",
    "cetuximab": "Cetuximab",
    "fluorouracil": "Fluorouracil",
    "irinotecan": "Irinotecan Hydrochloride",
    "leucovorin": "Leucovorin Calcium",
    "oxaliplatin": "Oxaliplatin",
    "panitumumab": "Panitumumab",
    "pembrolizumab": "Pembrolizumab",
    "regorafenib": "Regorafenib",
    "trastuzumab": "Trastuzumab",
}
VARIANTS = {"as shipped": (28, None), "with a gap": (28, 60), "narrow window": (21, 120)}


def geniekit_cohort(histories: list[Timeline]) -> Any:
    """The same histories as a GENIE BPC release: each treatment day is a regimen."""
    regimens = []
    for history in histories:
        days: dict[int, list[Exposure]] = {}
        for exposure in history.exposures:
            days.setdefault(exposure.day, []).append(exposure)
        for number, (day, given) in enumerate(sorted(days.items()), start=1):
            row: dict[str, Any] = {
                "record_id": history.case_id,
                "ca_seq": 0,
                "regimen_number": number,
                "dx_reg_start_int": day,
                "dx_reg_end_all_int": max(_covered_until(e) for e in given),
                "drugs_dc_ynu": "Yes",
            }
            for slot, exposure in enumerate(given, start=1):
                row[f"drugs_drug_{slot}"] = LABELS[exposure.drug]
                row[f"dx_drug_end_or_lastadm_int_{slot}"] = _covered_until(exposure)
            regimens.append(row)
    cancers = [{"record_id": h.case_id, "ca_seq": 0, "dob_ca_dx_days": 20000} for h in histories]
    tables = {"regimen": pd.DataFrame(regimens), "cancer_index": pd.DataFrame(cancers)}
    return io.CohortData(cohort="CRC", tables=tables, synthetic=True)


def _covered_until(exposure: Exposure) -> int:
    return exposure.day + (exposure.supply or 1) - 1


def profile(window: int, gap: int | None) -> dict[str, Any]:
    return {
        "line1_min_offset": 0,
        "regimen_window": window,
        "gap_days": gap,
        "fp_mono_add_days": None,
        "add_days": {"targeted": 0},
        "interchange": [],
        "ignore": ["leucovorin", "levoleucovorin"],
        "drop_advances": False,
        "pd_new_line_on_change": False,
        "pd_restart_days": None,
        "adjuvant_as_line1_days": None,
        "min_cycles_new_drug": 1,
        "regional_counts": False,
    }


@pytest.fixture(scope="module")
def histories() -> list[Timeline]:
    r = random.Random(SEED)
    return [random_history(number, r) for number in range(HISTORIES)]


@pytest.fixture(scope="module")
def rule_sets() -> tuple[RuleSeeds, dict[str, str]]:
    seeds = RuleSeeds(SEEDS / "therapy")
    named = {name: seeds.rule_set_for(profile(*limits)) for name, limits in VARIANTS.items()}
    named["as shipped"] = "geniekit_like"
    seeds.keep_only({"primary", *named.values()})
    return seeds, named


@pytest.fixture(scope="module")
def built(
    histories: list[Timeline],
    rule_sets: tuple[RuleSeeds, dict[str, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Warehouse:
    folder: Path = tmp_path_factory.mktemp("random_histories")
    write_delivery(histories, folder / "delivery", ["plain"])
    return build(folder, rule_sets[0], ["+lines_of_therapy", "+line_components"])


@pytest.mark.parametrize("variant", VARIANTS)
def test_lines_agree_with_geniekit(
    built: Warehouse,
    histories: list[Timeline],
    rule_sets: tuple[RuleSeeds, dict[str, str]],
    variant: str,
) -> None:
    window, gap = VARIANTS[variant]
    theirs = lot.derive(
        geniekit_cohort(histories),
        index="diagnosis",
        rules=lot.LineRules(combination_window_days=window, restart_gap_days=gap),
    ).lines
    ingredients = {lot.load_vocabulary().classify(v).agent: k for k, v in LABELS.items()}
    expected: dict[str, list[tuple[int, str]]] = {h.case_id: [] for h in histories}
    for line in theirs.sort_values(["record_id", "line_number"]).itertuples():
        drugs = sorted(ingredients[agent] for agent in line.agents.split(";"))
        expected[line.record_id].append((int(line.start_days), "+".join(drugs)))

    patients = {built.patient(h): h.case_id for h in histories}
    found: dict[str, list[tuple[int, str]]] = {h.case_id: [] for h in histories}
    for row in built.rows(
        "select patient_key, start_day, regimen_components from treatment.lines_of_therapy "
        "where rule_set_id = ? order by patient_key, line_number",
        rule_sets[1][variant],
    ):
        found[patients[row["patient_key"]]].append((row["start_day"], row["regimen_components"]))

    differing = {c: (expected[c], found[c]) for c in expected if expected[c] != found[c]}
    assert sum(map(len, expected.values())) > HISTORIES
    assert not differing, f"{len(differing)} of {HISTORIES}: {list(differing.items())[:3]}"
