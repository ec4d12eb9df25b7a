"""A timeline's profile as a rule set of the seeds: found there, or added to a copy of them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BASE = "primary"
FLUOROPYRIMIDINE = "fluoropyrimidine"
CONJUGATE = "anti_her2_adc"
PROFILE_KEYS = {
    "line1_min_offset", "regimen_window", "gap_days", "fp_mono_add_days", "add_days",
    "interchange", "ignore", "drop_advances", "pd_new_line_on_change", "pd_restart_days",
    "adjuvant_as_line1_days", "min_cycles_new_drug", "regional_counts",
    "toxicity_replacement_keeps",
}  # fmt: skip
#: Of parameters that the shared format does not have.
DEFAULTS = {"toxicity_replacement_keeps": False}
PARAMETERS = {
    "line1_min_offset": "line1_min_offset_days",
    "regimen_window": "regimen_window_days",
    "gap_days": "gap_days",
    "fp_mono_add_days": "monotherapy_add_days",
    "drop_advances": "drop_advances",
    "toxicity_replacement_keeps": "toxicity_replacement_keeps",
    "pd_new_line_on_change": "progression_change_advances",
    "pd_restart_days": "progression_restart_days",
    "adjuvant_as_line1_days": "adjuvant_as_line1_days",
    "min_cycles_new_drug": "min_days_new_drug",
    "regional_counts": "regional_counts",
}
Row = dict[str, str]


@dataclass(frozen=True)
class Rules:
    """What a rule set says, in a form that can be compared."""

    parameters: frozenset[tuple[str, str]]
    additions: frozenset[tuple[str, int]]
    interchange: frozenset[frozenset[str]]


class RuleSeeds:
    """The seeds of the line rules, as shipped and with rule sets added."""

    def __init__(self, folder: Path) -> None:
        self.rule_sets = _read(folder / "line_rule_sets.csv")
        self.additions = _read(folder / "line_rule_additions.csv")
        self.groups = _read(folder / "line_interchange_groups.csv")
        self.modifiers = {
            row["ingredient"]
            for row in _read(folder / "ingredients.csv")
            if row["role"] == "modifier"
        }
        self.shipped = {row["rule_set_id"]: self._rules(row) for row in self.rule_sets}

    def rule_set_for(self, profile: dict[str, Any]) -> str:
        """The rule set that says what a profile says; added where none is shipped."""
        profile = {**DEFAULTS, **profile}
        rules = self._profile_rules(profile)
        for rule_set_id, shipped in self.shipped.items():
            if shipped == rules:
                return rule_set_id
        rule_set_id = f"added_{len(self.shipped)}"
        self._add(rule_set_id, profile, rules)
        self.shipped[rule_set_id] = rules
        return rule_set_id

    def keep_only(self, rule_set_ids: set[str]) -> None:
        """Leave out all other rule sets, to save their computation."""
        self.rule_sets = [row for row in self.rule_sets if row["rule_set_id"] in rule_set_ids]
        named = {row["additions_rule_set_id"] for row in self.rule_sets}
        self.additions = [row for row in self.additions if row["rule_set_id"] in named]
        named = {row["interchange_rule_set_id"] for row in self.rule_sets}
        self.groups = [row for row in self.groups if row["rule_set_id"] in named]

    def write(self, folder: Path) -> None:
        """Write the seeds with all rule sets as variants of the studies' own."""
        for row in self.rule_sets:
            row["base_rule_set_id"] = BASE
        _write(folder / "line_rule_sets.csv", self.rule_sets)
        _write(folder / "line_rule_additions.csv", self.additions)
        _write(folder / "line_interchange_groups.csv", self.groups)

    def _rules(self, row: Row) -> Rules:
        return Rules(
            frozenset((name, row[name]) for name in PARAMETERS.values()),
            frozenset(
                (addition["drug_class"], int(addition["max_day"]))
                for addition in self.additions
                if addition["rule_set_id"] == row["additions_rule_set_id"]
            ),
            _sets(
                (group["interchange_group"], group["ingredient"])
                for group in self.groups
                if group["rule_set_id"] == row["interchange_rule_set_id"]
                and group["effect"] == "same_line"
            ),
        )

    def _profile_rules(self, profile: dict[str, Any]) -> Rules:
        if unknown := set(profile) - PROFILE_KEYS:
            raise ValueError(f"profile keys not understood: {', '.join(sorted(unknown))}")
        if not set(profile["ignore"]) <= self.modifiers:
            raise ValueError("a profile ignores drugs that the dictionary does not call modifiers")
        limits = profile["add_days"]
        classes = {a["drug_class"] for a in self.additions if a["rule_set_id"] == BASE}
        classes |= set(limits) - {"targeted"}
        return Rules(
            frozenset((column, _cell(profile[key])) for key, column in PARAMETERS.items()),
            frozenset(
                (
                    drug_class,
                    limits.get(drug_class, 0 if drug_class == CONJUGATE else limits["targeted"]),
                )
                for drug_class in classes
            ),
            frozenset(frozenset(group) for group in profile["interchange"]),
        )

    def _add(self, rule_set_id: str, profile: dict[str, Any], rules: Rules) -> None:
        base = next(row for row in self.rule_sets if row["rule_set_id"] == BASE)
        supplement = profile["fp_mono_add_days"] is not None
        self.rule_sets.append(
            {
                **base,
                **dict(rules.parameters),
                "rule_set_id": rule_set_id,
                "monotherapy_class": FLUOROPYRIMIDINE if supplement else "",
                "additions_rule_set_id": rule_set_id if rules.additions else "none",
                "interchange_rule_set_id": rule_set_id if rules.interchange else "none",
            }
        )
        self.additions += [
            {
                "rule_set_id": rule_set_id,
                "drug_class": drug_class,
                "max_day": str(max_day),
                "source": "",
            }
            for drug_class, max_day in sorted(rules.additions)
        ]
        self.groups += [
            {
                "rule_set_id": rule_set_id,
                "interchange_group": "+".join(sorted(group)),
                "ingredient": ingredient,
                "effect": "same_line",
                "source": "",
            }
            for group in rules.interchange
            for ingredient in sorted(group)
        ]


def _sets(members: Any) -> frozenset[frozenset[str]]:
    groups: dict[str, set[str]] = {}
    for group, ingredient in members:
        groups.setdefault(group, set()).add(ingredient)
    return frozenset(frozenset(group) for group in groups.values())


def _cell(value: Any) -> str:
    return "" if value is None else str(value).lower()


def _read(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _write(path: Path, rows: list[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
