"""Endpoint cases: each becomes patients of a delivery and what the marts must say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

from tests.patients.endpoints.delivery import NEXT_LINE_DRUG, Patient
from tests.patients.endpoints.warehouse import Seeds, Warehouse

Finding = dict[str, Any]
ASSUMED_START = date(2020, 1, 1)
BEFORE_FIRST_RECORD = timedelta(days=60)
VISIT_INTERVAL = timedelta(days=42)

SOURCES = {
    "DEATH": "death",
    "LAST KNOWN ALIVE DATE": "last_contact",
    "PD": "progression",
    "LAST TUMOR ASSESSMENT": "last_tumour_assessment",
    "TREATMENT START": "line_start",
    "ANY ADVERSE EVENT": "adverse_event",
}
RWPFS_SOURCES = {
    "Progression": "radiographic_progression",
    "Death": "death",
    "Censored": "end_of_follow_up",
}
BOR_PARAMETERS = {
    "ref_start_window": "minimum_stable_days",
    "ref_confirm": "confirmation_days",
    "max_nr_ne": "max_not_evaluable_between",
    "accept_sd": "accept_stable_between",
    "missing_as_ne": "missing_is_not_evaluable",
}


@dataclass
class Case:
    """One case: its patients, and the finding that the marts are asked for."""

    case_id: str
    endpoint: str
    expected: Finding
    patients: list[Patient] = field(default_factory=list)
    find: Callable[[Warehouse], Finding] = lambda _: {}

    def differences(self, warehouse: Warehouse) -> list[str]:
        """What the marts say otherwise than expected, one line each."""
        found = self.find(warehouse)
        return [
            f"{name}: expected {value!r}, found {found.get(name)!r}"
            for name, value in self.expected.items()
            if found.get(name) != value
        ]


def read_cases(path: Path, seeds: Seeds) -> list[Case]:
    """Return the cases of a file; the rule sets and studies they need are added to the seeds.

    Raises ValueError for an endpoint or parameter that this reader does not know.
    """
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [_case(raw, seeds) for raw in document["cases"]]


def _case(raw: dict[str, Any], seeds: Seeds) -> Case:
    if raw["endpoint"] not in READERS:
        raise ValueError(f"case {raw['id']}: endpoint {raw['endpoint']} is not understood")
    expected = raw["expected"]
    case = Case(raw["id"], raw["endpoint"], expected if isinstance(expected, dict) else {})
    READERS[raw["endpoint"]](case, raw, seeds)
    return case


def day(value: Any) -> date | None:
    """A date of the file; one known to the month is taken as its 15th."""
    if value is None or isinstance(value, date):
        return value
    return date.fromisoformat(value if len(value) == 10 else f"{value}-15")


def days(values: Any) -> list[date]:
    return [found for value in values or [] if (found := day(value))]


def _yes_no(value: object) -> object:
    return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value


def _start(value: Any, *others: date | None) -> date:
    known = [other for other in others if other]
    return day(value) or (min(known) - BEFORE_FIRST_RECORD if known else ASSUMED_START)


def _new(case: Case, start: date, suffix: str = "") -> Patient:
    patient = Patient(f"{case.case_id}{suffix}", start)
    case.patients.append(patient)
    return patient


def _one(rows: list[Finding]) -> Finding:
    return rows[0] if rows else {}


# Best overall response -------------------------------------------------------------------------


def _best_response(case: Case, raw: dict[str, Any], seeds: Seeds) -> None:
    given, parameters = raw["input"], dict(raw["params"])
    records = given["overall_responses"]
    first_progression = day(given.get("first_pd_date"))
    start = _start(given.get("reference_date"), *days(r["date"] for r in records))
    patient = _new(case, start)
    patient.first_line(start)
    for record in records:
        recorded = day(record["date"])
        assert recorded is not None
        # Not done: the visit has no response. The contract has no code for it.
        patient.assessment(recorded, None if record["resp"] == "ND" else record["resp"])
    progressions = {day(r["date"]) for r in records if r["resp"] == "PD"}
    if first_progression and first_progression not in progressions:
        patient.assessment(first_progression, "PD", modality="clinical")
    patient.vital(None)
    values = parameters.pop("values", None)
    if values not in (None, ["CR", "PR", "SD"]):
        raise ValueError(f"case {case.case_id}: disease control by {values} is not understood")
    parameters.pop("source_pd", None)
    if unknown := set(parameters) - set(BOR_PARAMETERS):
        raise ValueError(f"case {case.case_id}: {', '.join(unknown)} not understood")
    rule_set = seeds.rule_set(
        "primary",
        "BOR",
        {
            "start_day_counts": "yes",
            "clinical_counts": "no",
            "stop_at_progression": "yes" if first_progression else "no",
            **{BOR_PARAMETERS[name]: _yes_no(value) for name, value in parameters.items()},
        },
    )
    response, when = {
        "BOR_unconfirmed": ("best_overall_response", "response_date"),
        "BOR_confirmed": ("confirmed_best_overall_response", "confirmed_best_date"),
        "confirmed_response": ("confirmed_objective_response", "confirmed_response_date"),
        "response": ("objective_response", "first_response_date"),
        "disease_control": ("disease_control", "disease_control_date"),
    }[case.endpoint]
    case.expected = {
        "resp": {"Y": True, "N": False, "MISSING": None}.get(
            case.expected["resp"], case.expected["resp"]
        ),
        "date": day(case.expected["date"]),
    }

    def find(warehouse: Warehouse) -> Finding:
        row = _one(
            warehouse.rows(
                "best_overall_responses",
                patient.number,
                study_id=seeds.study(None),
                endpoint_rule_set_id=rule_set,
                line_number=1,
            )
        )
        return {"resp": row.get(response), "date": row.get(when)}

    case.find = find


# Time to event ---------------------------------------------------------------------------------


def _interval(
    warehouse: Warehouse, seeds: Seeds, patient: Patient, rule_set: str, endpoint: str, cutoff: Any
) -> Finding:
    """The interval, or what is known of a refused one."""
    keys = {
        "study_id": seeds.study(cutoff),
        "endpoint_rule_set_id": rule_set,
        "endpoint": endpoint,
    }
    kept = [
        {**row, "refused_because": None}
        for row in warehouse.rows("survival_intervals", patient.number, **keys)
        if row["line_number"] == 1
    ]
    refused = [
        {**row, "time_days": None, "time_months": None}
        for row in warehouse.rows("refused_intervals", patient.number, **keys)
        if row["line_number"] in (None, 1)
    ]
    assert len(kept) + len(refused) <= 1
    return _one(kept + refused)


def _composed(case: Case, raw: dict[str, Any], seeds: Seeds) -> None:
    """Endpoints of admiral's derive_param_tte, given as dates of events and censorings."""
    given = raw["input"]
    dated = {
        entry["type"].upper(): day(entry["date"]) for entry in given["events"] + given["censors"]
    }
    if unknown := set(dated) - set(SOURCES) - {"FIRST RESPONSE"}:
        raise ValueError(f"case {case.case_id}: {', '.join(unknown)} not understood")
    anchor = day(given["start_date"])
    endpoint = case.endpoint
    line_start = anchor - BEFORE_FIRST_RECORD if anchor and endpoint == "DOR" else anchor
    patient = _new(case, line_start or ASSUMED_START)
    if line_start:
        patient.first_line(line_start)
    if endpoint == "DOR" and anchor:
        patient.assessment(anchor, "PR")
    progression, last = dated.get("PD"), dated.get("LAST TUMOR ASSESSMENT")
    if progression:
        patient.assessment(progression, "PD")
    if last and last not in (progression, anchor if endpoint == "DOR" else None):
        patient.assessment(last, "SD")
    if onset := dated.get("ANY ADVERSE EVENT"):
        patient.adverse_event(onset)
    patient.vital(dated.get("DEATH"), dated.get("LAST KNOWN ALIVE DATE"))
    if endpoint in ("PFS", "DOR", "OS"):
        rule_set = seeds.rule_set(
            "primary", endpoint, {"start_day_counts": "yes", "stop_at": "none"}
        )
    else:
        rule_set = seeds.rule_set(
            "primary",
            "OS",
            sources={
                "event": [SOURCES[entry["type"].upper()] for entry in given["events"]],
                "censor": [SOURCES[entry["type"].upper()] for entry in given["censors"]],
            },
            name=endpoint,
        )
    case.expected = {
        "ADT": day(case.expected["ADT"]),
        "event": case.expected["CNSR"] == 0,
        "source": SOURCES[case.expected["EVNTDESC"].upper()],
    }

    def find(warehouse: Warehouse) -> Finding:
        row = _interval(warehouse, seeds, patient, rule_set, endpoint, None)
        return {"ADT": row.get("end_date"), "event": row.get("event"), "source": row.get("source")}

    case.find = find


def _end_of_observation(case: Case, raw: dict[str, Any], seeds: Seeds) -> None:
    given = raw["input"]
    if given["event_if"] != "chg<=-10":
        raise ValueError(f"case {case.case_id}: {given['event_if']} is not understood")
    start, cutoff, new_drug = (
        day(given[name]) for name in ("start_date", "end_of_study", "new_drug")
    )
    assert start is not None
    patient = _new(case, start)
    patient.first_line(start)
    for record in given["assessments"]:
        seen, change = day(record["date"]), record["chg"]
        assert seen is not None
        # The case's worsening stands where ours is progression.
        patient.assessment(seen, "NE" if change is None else "PD" if change <= -10 else "SD")
    if new_drug:
        patient.drug(NEXT_LINE_DRUG, new_drug)
    patient.vital(None)
    rule_set = seeds.rule_set("primary", "PFS", {"start_day_counts": "yes"})
    study_cutoff = cutoff
    seeds.study(study_cutoff)
    reason = case.expected["reason"]
    case.expected = {
        "ADT": day(case.expected["ADT"]),
        "event": case.expected["CNSR"] == 0,
        "reason": reason,
    }

    def find(warehouse: Warehouse) -> Finding:
        row = _interval(warehouse, seeds, patient, rule_set, "PFS", study_cutoff)
        if row.get("event"):
            found = "WORSENING" if row["source"] == "progression" else row["source"]
        elif row.get("censor_reason") == "never assessed":
            found = "NO ASSESSMENTS"
        else:
            found = {"data cut-off": "END OF STUDY", "next line": "NEW DRUG"}.get(
                row.get("observation_ended_by", ""), ""
            )
        return {"ADT": row.get("end_date"), "event": row.get("event"), "reason": found}

    case.find = find


def _fda(case: Case, raw: dict[str, Any], seeds: Seeds) -> None:
    given = dict(raw["input"])
    start = day(given.pop("start"))
    assert start is not None
    progression, death = day(given.pop("pd", None)), day(given.pop("death", None))
    clinical, new_therapy = (
        day(given.pop("clinical_pd_only", None)),
        day(given.pop("new_therapy", None)),
    )
    patient = _new(case, start)
    patient.first_line(start)
    if given.pop("baseline_assessment", True):
        patient.baseline(start - timedelta(days=1))
    assessed = days(given.pop("assessments"))
    for seen in assessed:
        patient.assessment(seen, "PD" if seen == progression else "SD")
    if progression and progression not in assessed:
        patient.assessment(progression, "PD")
    if clinical:
        patient.assessment(clinical, "PD", modality="clinical")
    if new_therapy:
        patient.drug(NEXT_LINE_DRUG, new_therapy)
    patient.vital(death)
    schedule = given.pop("schedule_days", None)
    if given:
        raise ValueError(f"case {case.case_id}: {', '.join(given)} not understood")
    changes = {} if schedule is None else {"assessment_schedule_days": schedule}
    rule_set = seeds.rule_set("fda", "PFS", changes)
    case.expected = {
        "date": day(case.expected["date"]),
        "event": bool(case.expected["event"]),
    }

    def find(warehouse: Warehouse) -> Finding:
        row = _interval(warehouse, seeds, patient, rule_set, "PFS", None)
        return {"date": row.get("end_date"), "event": row.get("event")}

    case.find = find


def _real_world(case: Case, raw: dict[str, Any], seeds: Seeds) -> None:
    given = {name: day(value) for name, value in raw["input"].items()}
    start, gap, last_activity = (
        given[name] for name in ("start_date", "visit_gap_start_date", "last_activity_date")
    )
    progression, death = given["progression_date"], given["death_date"]
    looked_for = given["last_progression_abstraction_date"]
    assert start is not None and last_activity is not None
    patient = _new(case, start)
    patient.first_line(start)
    visits = {last_activity}
    if gap and gap < start:
        visits.add(gap)
    until = gap if gap and gap >= start else last_activity
    visits.add(until)
    visited = start
    while visited < until:
        visits.add(visited)
        visited += VISIT_INTERVAL
    for visit in sorted(visits):
        patient.visit(visit)
    if progression:
        patient.assessment(progression, "PD")
    if looked_for and looked_for != progression:
        # The record was looked at for progression on that day, and says nothing more.
        patient.assessment(looked_for, "NE")
    patient.vital(death, None if death else last_activity)
    parameters = dict(raw["params"])
    window = parameters.pop("death_window_days")
    if parameters:
        raise ValueError(f"case {case.case_id}: {', '.join(parameters)} not understood")
    rule_set = seeds.rule_set("real_world", "PFS", {"death_after_follow_up_days": window})
    if case.expected["type"] == "Missing":
        case.expected = {"refused": True, "days": None}
    else:
        case.expected = {
            "refused": False,
            "source": RWPFS_SOURCES[case.expected["type"]],
            "date": day(case.expected["date"]),
            "days": case.expected["days"],
            "event": bool(case.expected["event"]),
        }

    def find(warehouse: Warehouse) -> Finding:
        row = _interval(warehouse, seeds, patient, rule_set, "PFS", None)
        return {
            "refused": row.get("refused_because") is not None if row else None,
            "source": row.get("source"),
            "date": row.get("end_date"),
            "days": row.get("time_days"),
            "event": row.get("event"),
        }

    case.find = find


def _cohort(case: Case, raw: dict[str, Any], seeds: Seeds) -> None:
    given = dict(raw["input"])
    start, event, last_seen = (day(given.pop(name)) for name in ("start", "event", "obs_end"))
    leaves, cutoff = day(given.pop("exit_", None)), day(given.pop("censor", None))
    longest = given.pop("fu", None)
    if given or start is None or event is None or last_seen is None:
        raise ValueError(f"case {case.case_id}: {', '.join(given)} not understood")
    patient = _new(case, start)
    patient.first_line(start, (leaves - start).days + 1 if leaves else None)
    patient.vital(event, min(event, last_seen))
    rule_set = seeds.rule_set(
        "primary",
        "OS",
        {
            **({"maximum_days": longest} if longest else {}),
            **({"stop_at": "line_end"} if leaves else {}),
        },
    )
    seeds.study(cutoff)
    status = case.expected["status"]
    case.expected = {
        "time": case.expected["time"],
        "status": status,
        "listed": True,
    }

    def find(warehouse: Warehouse) -> Finding:
        row = _interval(warehouse, seeds, patient, rule_set, "OS", cutoff)
        refused = row.get("refused_because") is not None
        return {
            "time": row.get("time_days"),
            "status": None if refused or not row else int(row["event"]),
            "listed": bool(row),
        }

    case.find = find


def _new_therapy(case: Case, raw: dict[str, Any], seeds: Seeds) -> None:
    drugs, procedures = (
        days(raw["input"][name]) for name in ("cm_on_treatment", "pr_on_treatment")
    )
    start = _start(None, *drugs, *procedures)
    patient = _new(case, start)
    patient.first_line(start)
    for given in drugs:
        patient.drug(NEXT_LINE_DRUG, given)
    for given in procedures:
        patient.radiotherapy(given)
    patient.vital(None)
    rule_set = seeds.rule_set(
        "primary",
        "TTNT",
        sources={"event": ["new_anticancer_therapy"], "censor": ["last_contact"]},
        name="NEW_THERAPY",
    )
    case.expected = {"date": day(raw["expected"])}

    def find(warehouse: Warehouse) -> Finding:
        row = _interval(warehouse, seeds, patient, rule_set, "NEW_THERAPY", None)
        return {"date": row.get("end_date") if row.get("event") else None}

    case.find = find


def _time_unit(case: Case, raw: dict[str, Any], seeds: Seeds) -> None:
    given = raw["input"]
    spans = [(given["start"], given["end"])] if "start" in given else list(given.values())
    for number, (first, last) in enumerate(spans):
        start, death = day(first), day(last)
        assert start is not None
        patient = _new(case, start, f"-{number}")
        patient.first_line(start)
        patient.vital(death)
    rule_set = seeds.rule_set("primary", "OS")

    def find(warehouse: Warehouse) -> Finding:
        found = [
            _interval(warehouse, seeds, patient, rule_set, "OS", None) for patient in case.patients
        ]
        months = [round(row["time_months"], 4) for row in found]
        plain = found[0]["time_days"]
        return {
            "days_plain": plain,
            # CDISC's convention counts the first day too; docs/endpoints.md says why ours does not.
            "days_add_one": plain + 1,
            "months_30_4375_plain": months[0],
            "months_30_4375": months,
        }

    # Calendar months are another unit, which the models do not offer: docs/endpoints.md.
    case.expected = {k: v for k, v in case.expected.items() if k != "calendar_months"}
    case.find = find


# Responses from lesions ------------------------------------------------------------------------


def _responses(warehouse: Warehouse, seeds: Seeds, patient: Patient) -> dict[date, Finding]:
    rows = warehouse.rows("recist_assessments", patient.number, study_id=seeds.study(None))
    return {row["assessment_date"]: row for row in rows if row["line_number"] == 1}


def _time_point(case: Case, raw: dict[str, Any], seeds: Seeds) -> None:
    if isinstance(raw["input"], list):
        _visits(case, raw, seeds)
    else:
        _sums(case, raw, seeds)


def _visits(case: Case, raw: dict[str, Any], seeds: Seeds) -> None:
    dated = {visit["visit"]: day(visit["date"]) for visit in raw["input"]}
    start = min(found for found in dated.values() if found)
    patient = _new(case, start)
    patient.first_line(start)
    for number, visit in enumerate(raw["input"]):
        seen = dated[visit["visit"]]
        assert seen is not None
        assessment = patient.assessment(seen, None, timepoint="follow_up" if number else "baseline")
        for lesion in visit["targets"]:
            patient.target(assessment, seen, lesion["id"], lesion["mm"], lesion["axis"] == "short")
        for lesion_id, state in visit["nontargets"].items():
            patient.lesion(
                assessment,
                seen,
                lesion_id,
                lesion_role="non_target",
                lesion_status={"PRESENT": "present", "ABSENT": "disappeared"}[state],
            )
    patient.vital(None)

    def find(warehouse: Warehouse) -> Finding:
        found = _responses(warehouse, seeds, patient)
        return {
            name: found[seen]["derived_response"] for name, seen in dated.items() if seen in found
        }

    case.find = find


def _sums(case: Case, raw: dict[str, Any], seeds: Seeds) -> None:
    """A case that gives sums: one lesion carries them, a second one is missing where one is."""
    given = dict(raw["input"])
    base, nadir, now = given.pop("base"), given.pop("nadir"), given.pop("now")
    missing, is_clear = given.pop("missing"), given.pop("all_cr_ok")
    non_target, new = given.pop("nt", None), given.pop("new", False)
    if given:
        raise ValueError(f"case {case.case_id}: {', '.join(given)} not understood")
    # A complete response with a sum above zero can only be of lymph nodes.
    node = (is_clear and now > 0) or "node" in raw.get("note", "")
    start = ASSUMED_START
    patient = _new(case, start)
    patient.first_line(start)
    sums = [base, *([nadir] if nadir < base else []), now]
    dates = [start + number * VISIT_INTERVAL for number in range(len(sums))]
    for number, (seen, total) in enumerate(zip(dates, sums, strict=True)):
        is_last = number == len(sums) - 1
        assessment = patient.assessment(
            seen,
            None,
            timepoint="follow_up" if number else "baseline",
            non_target_response="PD" if is_last and non_target == "PD" else None,
        )
        if missing:
            patient.target(assessment, seen, "T1", total if is_last else total - 5, node)
            patient.target(assessment, seen, "T2", None if is_last else 5, node)
        else:
            patient.target(assessment, seen, "T1", total, node)
        if non_target:
            patient.lesion(
                assessment,
                seen,
                "N1",
                lesion_role="non_target",
                lesion_status="not_evaluable" if is_last and non_target == "NE" else "present",
            )
        if new and is_last:
            patient.lesion(assessment, seen, "X1", lesion_role="new", lesion_status="present")
    patient.vital(None)
    case.expected = {"response": raw["expected"]}
    case.find = lambda warehouse: {
        "response": _responses(warehouse, seeds, patient)[dates[-1]]["derived_response"]
    }


def _immune(case: Case, raw: dict[str, Any], seeds: Seeds) -> None:
    """A row of iRECIST responses, given as sums that have them."""
    start = ASSUMED_START
    patient = _new(case, start)
    patient.first_line(start)
    dates = [start + number * VISIT_INTERVAL for number in range(len(raw["input"]) + 1)]
    for seen, total in zip(dates, _immune_sums(raw["input"]), strict=True):
        assessment = patient.assessment(
            seen, None, timepoint="baseline" if seen == start else "follow_up"
        )
        patient.target(assessment, seen, "T1", total)
    patient.vital(None)
    case.expected = {
        "responses": [
            given if given.startswith("i") or given == "NE" else f"i{given}"
            for given in raw["input"]
        ],
        "progression": dates[1 + raw["expected"]["pd_index"]],
    }

    def find(warehouse: Warehouse) -> Finding:
        found = _responses(warehouse, seeds, patient)
        confirmed = {row["irecist_progression_date"] for row in found.values()} - {None}
        return {
            "responses": [found[seen]["irecist_response"] for seen in dates[1:]],
            "progression": confirmed.pop() if len(confirmed) == 1 else confirmed or None,
        }

    case.find = find


def _immune_sums(responses: list[str]) -> Iterator[float | None]:
    baseline = nadir = total = 100.0
    yield baseline
    progressing = False
    for response in responses:
        if response == "NE":
            yield None
            continue
        if response == "iUPD":
            total = total if progressing else nadir * 1.25 + 5
        elif response == "iCPD":
            total += 5
        else:
            wanted = response.removeprefix("i")
            total = {"SD": nadir, "PR": min(nadir, 60.0), "CR": 0.0}[wanted]
        progressing = response in ("iUPD", "iCPD")
        nadir = min(nadir, total)
        yield total


READERS: dict[str, Callable[[Case, dict[str, Any], Seeds], None]] = {
    "BOR_unconfirmed": _best_response,
    "BOR_confirmed": _best_response,
    "confirmed_response": _best_response,
    "response": _best_response,
    "disease_control": _best_response,
    "OS": _composed,
    "PFS": _composed,
    "DOR": _composed,
    "AE_TTE": _composed,
    "censor_at_new_therapy": _end_of_observation,
    "PFS_FDA_censoring": _fda,
    "rwPFS": _real_world,
    "cohort_time_status": _cohort,
    "new_anticancer_therapy_date": _new_therapy,
    "time_unit": _time_unit,
    "time_point_response": _time_point,
    "iRECIST_PD_date": _immune,
}
