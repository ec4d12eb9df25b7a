"""What differs between the lines expected of a timeline and those found."""

from __future__ import annotations

from typing import Any

from tests.patients.timelines import Expectation, Timeline

Line = dict[str, Any]
ADDED_ON = "_add_day"


def line_differences(expectation: Expectation, lines: list[Line]) -> list[str]:
    """Differences in number, drugs, days, reasons and names of the lines; none if all agree."""
    differences = []
    if len(lines) != len(expectation.lines):
        differences.append(f"{len(expectation.lines)} lines expected, {len(lines)} found")
    for expected, found in zip(expectation.lines, lines, strict=False):
        for key, value in {
            "drugs": sorted(found["regimen_components"].split("+")),
            "start": found["start_day"],
            "end": found["end_day"],
            "reason": found["start_reason"],
            "name": found["regimen"],
        }.items():
            wanted = sorted(expected[key]) if key == "drugs" else expected.get(key, value)
            if wanted != value:
                differences.append(
                    f"line {found['line_number']} {key}: {wanted} expected, {value} found"
                )
    return differences


def detail_differences(
    timeline: Timeline, lines: list[Line], components: list[Line], phases: list[Line]
) -> list[str]:
    """Differences in flags, phases and further attributes that a timeline expects."""
    raised = {flag for line in lines for flag in (line["flags"] or "").split(";")}
    differences = [f"flag {flag} not raised" for flag in timeline.flags if flag not in raised]
    differences += [f"flag {flag} raised" for flag in timeline.no_flags if flag in raised]
    found_phases = [(p["phase"], p["start_day"], p["end_day"]) for p in phases]
    differences += [
        f"phase {wanted} expected, {found_phases} found"
        for wanted in ((p["phase"], p["start"], p["end"]) for p in timeline.phases)
        if wanted not in found_phases
    ]
    for name, wanted in timeline.attributes.items():
        found = _attribute(name, lines, components)
        if found != wanted:
            differences.append(f"{name}: {wanted} expected, {found} found")
    return differences


def _attribute(name: str, lines: list[Line], components: list[Line]) -> Any:
    if not lines:
        return None
    if name == "end_reason":
        return lines[-1]["end_reason"]
    if name == "ongoing":
        return lines[-1]["is_ongoing"]
    if name == "confidence":
        return lines[-1]["confidence"]
    if name == "prior_clot":
        return lines[0]["earlier_courses"]
    if name.endswith(ADDED_ON):
        ingredient = name.removesuffix(ADDED_ON)
        joined = {c["ingredient"]: c["days_from_line_start"] for c in components}
        stated = dict(
            addition.split(" ")
            for line in lines
            for addition in (line["targeted_additions"] or "").split("; ")
            if addition
        )
        if stated.get(ingredient) != str(joined.get(ingredient)):
            return f"{stated} on the lines, {joined} in their components"
        return joined[ingredient]
    return f"an attribute that this reader does not know: {name}"
