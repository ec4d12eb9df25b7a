"""Writes docs/checks.md: every check with its thresholds and its advice, for sites and auditors.

The page is made from the catalogue and the contract alone (`rwe contract`).
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from expectations.catalogue import held_elsewhere, read_kinds, read_written
from expectations.checks import Check
from expectations.run import all_checks
from pipeline.paths import PROJECT

DOCUMENT = PROJECT / "docs" / "checks.md"

CHAPTERS = {
    "FIL": "Files",
    "VAL": "Values as they are written",
    "STR": "Promises of the extract contract",
    "PAT": "Patients",
    "VIT": "Vital status",
    "DX": "Diagnoses",
    "PTH": "Pathology",
    "MOL": "Molecular tests",
    "DRG": "Drugs",
    "PRC": "Procedures",
    "TUM": "Tumour assessments",
    "LES": "Lesions",
    "AE": "Adverse events",
    "MRT": "Marts",
    "PRV": "Published data",
}

OPENING = """\
# Checks

<!-- Generated from expectations/catalogue.yml by `rwe contract`. Do not edit. -->

Every check of a delivery and of what is derived from it. {n_rules} rules become {n_checks} checks:
a rule about a table or a column of the [extract contract](extract_contract.md) is one for each.

- **Where they run.** `dbt build` runs them at two gates. The first stands between staging and every
  model that derives something; the second after the marts. A check that blocks stops the build
  there, with one message. Great Expectations runs them in DuckDB; no value of a patient leaves it.
- **Share.** What breaks the rule, in percent of what was checked. Above *fails* the check fails and
  is reported; above *blocks* nothing is published.
- **Severity.** A *blocking* check also stops the build where it cannot be evaluated.
- **What is counted.** The SQL or the pattern of each rule stands in `expectations/catalogue.yml`.
  A row that cannot be judged, as a value is missing, does not break the rule. Of identical rows
  each is delivered, and a fault of theirs is counted once.
- **Status.** `pass`; `fail`; `error`, it could not be evaluated (a blocking one then blocks);
  `not_applicable`, there was nothing to check, never a pass; `not_run`, it was not reached.
- **Category and context.** Those of Kahn 2016 (eGEMs 4:1244). *Verification* holds the data against
  internal expectation, *validation* against an independent one.
- **Results.** `quality.expectation_results`, with the runs before; `rwe judge --thresholds FILE`
  judges them again without a run.

Thresholds are proposals, to be signed by the study's data steward.
"""

HELD = """\
## Not checked here

Rules of the study's quality plan that are held elsewhere, or by nothing, and why.

| check | rule | why not here | held by | test |
|---|---|---|---|---|
"""


def render() -> str:
    """Return the page as Markdown."""
    checks = all_checks()
    order = list(CHAPTERS)
    ranked = sorted(checks, key=lambda c: (order.index(_prefix(c)), _rule(c)))
    rules = [list(group) for _, group in groupby(ranked, key=_rule)]
    parts = [OPENING.format(n_rules=len(rules), n_checks=len(checks))]
    for prefix, title in CHAPTERS.items():
        sections = [_section(group) for group in rules if _prefix(group[0]) == prefix]
        if sections:
            parts += [f"## {title}\n", *sections]
    parts.append(HELD + "".join(map(_held, held_elsewhere())))
    return "\n".join(parts)


def write(path: Path = DOCUMENT) -> Path:
    """Write the page of the current catalogue and return where."""
    path.write_text(render(), encoding="utf-8")
    return path


def _prefix(check: Check) -> str:
    return check.check_id.partition("-")[0]


def _rule(check: Check) -> tuple[str, str]:
    """Return what tells a rule from the others: one number may stand for two, each with its why."""
    return check.check_id, check.rationale


def _section(checks: list[Check]) -> str:
    check = checks[0]
    name, advice = _texts(checks)
    kind = ", ".join(filter(None, (check.kahn_subcategory, check.kahn_context.lower())))
    blocks = "never" if check.block_above is None else f"above {check.block_above:g}%"
    return (
        f"### {check.check_id} {name}\n\n"
        f"| on | category | severity | fails | blocks | of |\n|---|---|---|---|---|---|\n"
        f"| {_where(checks)} | {check.kahn_category} ({kind}) | {check.severity} "
        f"| above {check.warn_above:g}% | {blocks} | {check.denominator} |\n\n"
        f"{' '.join(check.rationale.split())} **Advice:** {' '.join(advice.split())}\n"
    )


def _texts(checks: list[Check]) -> tuple[str, str]:
    """Return name and advice; where they differ between tables, in the words of the catalogue."""
    if len({check.name for check in checks}) == 1:
        return checks[0].name, checks[0].advice
    for kind in (*read_kinds().values(), *read_written()):
        own = (kind.entry["id"], *kind.entry.get("ids", {}).values())
        if checks[0].check_id in own and checks[0].rationale == kind.entry["rationale"]:
            words = {"table": "*table*", "column": "*column*"}
            return kind.entry["name"].format(**words), kind.entry["advice"].format(**words)
    raise AssertionError(f"{checks[0].check_id} has many names and no kind")


def _where(checks: list[Check]) -> str:
    tables = sorted({check.table for check in checks})
    if len(tables) > 5:
        schemas = sorted({table.partition(".")[0] for table in tables})
        return f"{len(tables)} tables of {', '.join(f'`{schema}`' for schema in schemas)}"
    columns = sorted({column for check in checks for column in check.columns})
    named = ", ".join(f"`{table}`" for table in tables)
    return named + (f": {', '.join(columns)}" if 0 < len(columns) <= 8 else "")


def _held(entry: dict[str, str]) -> str:
    cells = [entry["id"], entry["name"], " ".join(entry["reason"].split())]
    code = [f"`{entry[key]}`" if key in entry else "" for key in ("held_by", "test")]
    return f"| {' | '.join(cells + code)} |\n"
