"""A DuckDB file with the marts that the analyses read, filled from the calibrated cohort.

Covariates and times are the cohort's. Regimens, responses and adverse events are laid out from the
study's own Tables 2 to 5, so a test that compares those tables checks the counting, not the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd

REPOSITORY = Path(__file__).parents[2]
SEEDS = REPOSITORY / "seeds"
COHORT = REPOSITORY / "synthetic" / "calibrated_cohort.csv"

STUDY = "her2_mcrc"
RUN = {"run_id": "20210301T000000Z-test", "python": "3.11"}
DAYS_PER_MONTH = 30.4375
DAYS_TO_RESPONSE = 60
NOT_METASTATIC = 57

CHARACTERISTICS = (
    "sex",
    "primary_site",
    "metastatic_organs",
    "metastatic_pattern",
    "therapy_lines",
    "differentiation",
    "primary_resection",
    "metastasectomy",
    "ras_braf",
    "adjuvant_chemotherapy",
    "local_therapy",
    "first_line_group",
)
TARGETED = {
    "plus bevacizumab": ("bevacizumab", "anti_vegf", "targeted"),
    "plus cetuximab": ("cetuximab", "anti_egfr", "targeted"),
    # One patient of the calibrated cohort is in this group without a line of trastuzumab.
    "plus trastuzumab": ("pertuzumab", "anti_her2", "targeted"),
}
LINE_RULE_SETS = ("primary", "gap_60")
ENDPOINT_RULE_SETS = ("primary", "ema")
LINES = {1: "first", 2: "second", 3: "third", 4: "fourth"}

INTEGERS = {
    "step",
    "display_order",
    "line_number",
    "level_order",
    "decimals",
    "precedence",
    "synchronous_within_days",
    "follow_up_complete_within_days",
    "minimum_stable_days",
    "gap_days",
    "progression_restart_days",
}
DOUBLES = {
    "minimum",
    "maximum",
    "ihc_min_pct",
    "ish_min_ratio",
    "ish_min_pct",
    "partial_response_pct",
    "progression_pct",
}
DATES = {"period_start", "data_cutoff"}


def calibrated() -> pd.DataFrame:
    """The calibrated cohort with a patient key and an age that fits its age group."""
    cohort = pd.read_csv(COHORT, dtype={"trastuzumab_line": "Int64"})
    cohort["patient_key"] = [f"patient-{number:03d}" for number in cohort["patient_number"]]
    young = cohort["age_group"] == "<54"
    cohort["age_years"] = 0
    cohort.loc[young, "age_years"] = [27 + k % 27 for k in range(int(young.sum()))]
    cohort.loc[~young, "age_years"] = [54 + k % 25 for k in range(int((~young).sum()))]
    return cohort


def build(path: Path | str, cohort: pd.DataFrame | None = None) -> duckdb.DuckDBPyConnection:
    """Create the file (or ":memory:") and return its connection."""
    patients = calibrated() if cohort is None else cohort
    connection = duckdb.connect(str(path))
    for schema in ("reference", "cohort", "treatment", "survival", "safety", "quality", "staging"):
        connection.execute(f"create schema {schema}")
    _seeds(connection)
    printed = connection.execute("select * from reference.published_results").fetchdf()
    _write(connection, "cohort.cohort", _cohort(patients))
    connection.execute(_ATTRITION)
    _write(connection, "cohort.patient_variables", _variables(patients, printed))
    _write(connection, "survival.survival_intervals", _intervals(patients))
    _write(connection, "survival.response_by_line", _responses(patients, printed))
    best = _best_responses(patients)
    _write(connection, "survival.best_overall_responses", best)
    _write(connection, "survival.recist_assessments", _visits(best))
    _write(connection, "safety.adverse_events", _events(patients, printed))
    lines = _lines(patients)
    _write(connection, "treatment.lines_of_therapy", lines)
    _write(connection, "treatment.line_components", _components(patients, lines))
    _write(
        connection,
        "quality.source_files",
        pd.DataFrame(
            {
                "file_id": [1, 2, 3],
                "table_name": ["patients", "drug_administrations", "adverse_events"],
                "file_name": ["patients.csv", "drug_administrations.csv", "adverse_events.csv"],
                "size_bytes": [81_000, 2_500_000, 12_000],
                "sha256": ["ab" * 32, "cd" * 32, "ef" * 32],
                "contract_version": [1, 1, 1],
                "n_records": [2517, 41_210, 164],
                "n_staged": [2517, 41_201, 164],
                "n_quarantined": [0, 9, 0],
                "n_collapsed": [0, 0, 0],
                "n_superseded": [0, 0, 0],
                "n_erased": [0, 0, 0],
            }
        ),
    )
    _write(
        connection,
        "quality.quarantine",
        pd.DataFrame(
            {
                "file_name": ["drug_administrations.csv"] * 9,
                "table_name": ["drug_administrations"] * 9,
                "record_no": range(9),
                "column_name": ["start_date"] * 9,
                "reason": ["is no date"] * 9,
            }
        ),
    )
    _write(
        connection,
        "staging.stg_common__delivery",
        pd.DataFrame(
            {
                "src_rid": [0],
                "delivery_id": ["demo"],
                "site_code": ["H01"],
                "extract_date": [date(2021, 3, 1)],
                "synthetic": ["yes"],
            }
        ),
    )
    return connection


def rename_patients(connection: duckdb.DuckDBPyConnection) -> None:
    """Give every patient another pseudonym, as another key does."""
    for (table,) in connection.execute(
        "select distinct schema_name || '.' || table_name from duckdb_columns() "
        "where column_name = 'patient_key'"
    ).fetchall():
        connection.execute(f"update {table} set patient_key = md5(patient_key)")


def _seeds(connection: duckdb.DuckDBPyConnection) -> None:
    for path in sorted(
        path
        for folder in ("studies", "code_lists", "therapy", "endpoints")
        for path in SEEDS.glob(f"{folder}/*.csv")
    ):
        columns = pd.read_csv(path, nrows=0).columns
        casts = ", ".join(_cast(name) for name in columns)
        connection.execute(
            f"create table reference.{path.stem} as select {casts} "
            f"from read_csv('{path}', all_varchar = true, header = true)"
        )


def _cast(column: str) -> str:
    kind = (
        "integer"
        if column in INTEGERS
        else "double"
        if column in DOUBLES
        else "date"
        if column in DATES
        else "varchar"
    )
    return f'cast("{column}" as {kind}) as "{column}"'


def _write(connection: duckdb.DuckDBPyConnection, table: str, rows: pd.DataFrame) -> None:
    connection.register("incoming", rows)
    connection.execute(f"create table {table} as select * from incoming")
    connection.unregister("incoming")


def _cohort(patients: pd.DataFrame) -> pd.DataFrame:
    excluded = {
        1: NOT_METASTATIC,
        3: 20,
        4: 2207,
        5: 40,
        6: 35,
        7: 40,
        8: 30,
        9: 25,
    }
    steps: list[int | None] = [None] * len(patients)
    keys = list(patients["patient_key"])
    for step, count in excluded.items():
        steps += [step] * count
        keys += [f"excluded-{step}-{number}" for number in range(count)]
    return pd.DataFrame(
        {
            "study_id": STUDY,
            "patient_key": keys,
            "included": [step is None for step in steps],
            "first_failed_step": pd.array(steps, dtype="Int64"),
            "first_failed_because": [
                None if step is None else "unknown" if number % 5 == 0 else "not met"
                for number, step in enumerate(steps)
            ],
        }
    )


_ATTRITION = """
create table cohort.cohort_attrition as
select
    criteria.study_id,
    criteria.step,
    criteria.criterion_id,
    criteria.label as criterion,
    cast(count_if(first_failed_step is null or first_failed_step >= criteria.step) as int) as n_in,
    cast(count_if(first_failed_step = criteria.step and first_failed_because = 'not met') as int)
        as n_not_met,
    cast(count_if(first_failed_step = criteria.step and first_failed_because = 'unknown') as int)
        as n_unknown,
    cast(count_if(first_failed_step is null or first_failed_step > criteria.step) as int) as n_out
from reference.study_criteria as criteria
cross join cohort.cohort as cohort
group by all
"""


def _variables(patients: pd.DataFrame, printed: pd.DataFrame) -> pd.DataFrame:
    rows: list[tuple[str, str, str, str]] = []
    backbones = _backbones(printed)
    liver = _liver(patients)
    for patient in patients.itertuples():
        key = patient.patient_key
        own = [("age", str(patient.age_years), patient.age_group)]
        own += [
            (name, getattr(patient, name), getattr(patient, name))
            for name in CHARACTERISTICS
            if isinstance(getattr(patient, name), str)
        ]
        has_liver = "liver metastatic" if key in liver else "no liver metastasis"
        own.append(("liver_metastasis", has_liver, has_liver))
        given = not pd.isna(patient.trastuzumab_line)
        ever = "trastuzumab" if given else "no trastuzumab"
        own.append(("trastuzumab", ever, ever))
        if given:
            line = int(patient.trastuzumab_line)
            own.append(("trastuzumab_line", str(line), LINES[line]))
            backbone = next(backbones["group A", LINES[line]], "unnamed")
            own.append(("trastuzumab_backbone", backbone, backbone))
        first = next(backbones.get((patient.ras_braf, patient.first_line_group), iter(())), "XELOX")
        own.append(("first_line_backbone", first, first))
        rows += [(key, name, value, level) for name, value, level in own]
    return pd.DataFrame(rows, columns=["patient_key", "variable", "value", "level"]).assign(
        study_id=STUDY
    )


def _backbones(printed: pd.DataFrame) -> dict[tuple[str, str], Iterator[str]]:
    """Backbones of Tables 2 and 3, each as often as printed, by population and group."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in printed[printed["exhibit"].isin(["table2", "table3"])].itertuples():
        group, _, backbone = row.level.partition(": ")
        if backbone:
            found.setdefault((row.population, group), []).extend([backbone] * int(row.printed))
    return {key: iter(names) for key, names in found.items()}


def _liver(patients: pd.DataFrame) -> set[str]:
    """Patients with liver metastasis: 18 of those with one organ, 15 of the others (Table 1)."""
    single = patients[patients["metastatic_organs"] == "single"]["patient_key"]
    several = patients[patients["metastatic_organs"] == ">=2"]["patient_key"]
    return {*single[:18], *several[:15]}


def _intervals(patients: pd.DataFrame) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "patient_key": patients["patient_key"],
                "endpoint": endpoint,
                "event": patients[event] == 1,
                "time_days": patients[time],
                "source": [(end if happened else "last_contact") for happened in patients[event]],
                "censor_reason": [
                    None if happened else "alive at data cut-off" for happened in patients[event]
                ],
            }
        )
        for endpoint, time, event, end in (
            ("OS", "os_days", "death", "death"),
            ("PFS", "pfs_days", "pfs_event", "progression"),
        )
    ]
    # Every third patient whose disease progressed had a next line then; the others wait for death.
    treated = (patients["pfs_event"] == 1) & (patients["patient_number"] % 3 == 0)
    died = (patients["death"] == 1) & ~treated
    parts.append(
        pd.DataFrame(
            {
                "patient_key": patients["patient_key"],
                "endpoint": "TTNT",
                "event": treated | died,
                "time_days": patients["pfs_days"].where(treated, patients["os_days"]),
                "source": [
                    "next_line" if t else "death" if d else "last_contact"
                    for t, d in zip(treated, died, strict=True)
                ],
                "censor_reason": [
                    None if happened else "alive at data cut-off" for happened in treated | died
                ],
            }
        )
    )
    best = _best_responses(patients)
    own = best[best["endpoint_rule_set_id"] == "primary"]
    responded = own["best_overall_response"].isin(["CR", "PR"]).to_numpy()
    lasted = patients["pfs_days"] - DAYS_TO_RESPONSE
    parts.append(
        pd.DataFrame(
            {
                "patient_key": patients["patient_key"],
                "endpoint": "DOR",
                "event": patients["pfs_event"] == 1,
                "time_days": lasted,
                "source": "progression",
                "censor_reason": None,
            }
        )[responded & (lasted >= 0)]
    )
    rows = pd.concat(parts, ignore_index=True).assign(study_id=STUDY, line_number=1)
    rows["entry_days"] = [(position % 4) * 10 for position in range(len(rows))]
    sets = [("primary", rule_set) for rule_set in ENDPOINT_RULE_SETS]
    sets += [(rule_set, "primary") for rule_set in LINE_RULE_SETS if rule_set != "primary"]
    found = []
    for line_rule_set, endpoint_rule_set in sets:
        own = rows.assign(line_rule_set_id=line_rule_set, endpoint_rule_set_id=endpoint_rule_set)
        # Another definition makes the progression-free time shorter.
        if (line_rule_set, endpoint_rule_set) != ("primary", "primary"):
            shorter = own["endpoint"] == "PFS"
            own["time_days"] = own["time_days"].where(~shorter, own["time_days"] * 9 // 10)
        found.append(own)
    every = pd.concat(found, ignore_index=True)
    return every.assign(time_months=every["time_days"] / DAYS_PER_MONTH)


def _responses(patients: pd.DataFrame, printed: pd.DataFrame) -> pd.DataFrame:
    table = printed[(printed["exhibit"] == "table4") & (printed["statistic"] == "n")]
    left = {
        line: iter(
            [
                row.variable
                for row in table[table["level"] == line].itertuples()
                if row.variable in ("CR", "PR", "SD", "PD")
                for _ in range(int(row.printed))
            ]
        )
        for line in LINES.values()
    }
    rows = [
        (patient.patient_key, int(line), next(left[LINES[int(line)]], None))
        for patient in patients.itertuples()
        if not pd.isna(line := patient.trastuzumab_line)
    ]
    depth = {"CR": -100.0, "PR": -45.0, "SD": -10.0, "PD": 25.0}
    return pd.DataFrame(
        [(*row, depth.get(str(row[2]))) for row in rows],
        columns=["patient_key", "line_number", "best_overall_response", "best_change_pct"],
    ).assign(study_id=STUDY, line_rule_set_id="primary")


def _best_responses(patients: pd.DataFrame) -> pd.DataFrame:
    """Best responses in line 1: every fourth response is not confirmed, every ninth patient not
    assessed, and the lesion rows call every tenth patient's response one step worse."""
    cycle = ("PR", "SD", "PR", "PD", "CR", "NON-CR/NON-PD")
    steps = ("CR", "PR", "SD", "PD")
    depth = {"CR": -100.0, "PR": -45.5, "SD": -10.0, "PD": 25.0}
    rows = []
    for rule_set, source in (("primary", "investigator"), ("recist_derived", "derived")):
        for place, key in enumerate(patients["patient_key"]):
            best: str | None = cycle[place % len(cycle)]
            if source == "derived" and place % 10 == 0 and best in steps[:-1]:
                best = steps[steps.index(best) + 1]
            confirmed = "SD" if best in ("CR", "PR") and place % 4 == 0 else best
            if place % 9 == 8:
                best = confirmed = None
            seen = 0 if best is None else 2
            rows.append((rule_set, source, key, best, confirmed, seen, depth.get(str(best))))
    return pd.DataFrame(
        rows,
        columns=[
            "endpoint_rule_set_id",
            "response_source",
            "patient_key",
            "best_overall_response",
            "confirmed_best_overall_response",
            "n_assessments",
            "best_change_pct",
        ],
    ).assign(study_id=STUDY, line_rule_set_id="primary", line_number=1)


def _visits(best: pd.DataFrame) -> pd.DataFrame:
    """One visit with the best response, and one with progression, as either source has them."""
    wide = best.pivot(
        index="patient_key", columns="response_source", values="best_overall_response"
    )
    columns = {"derived": "derived_response", "investigator": "recorded_response"}
    visits = wide.reindex(columns=list(columns)).rename(columns=columns).reset_index()
    progressed = visits.assign(derived_response="PD", recorded_response="PD")
    return pd.concat([visits, progressed], ignore_index=True).assign(
        study_id=STUDY, line_rule_set_id="primary", line_number=1, is_baseline=False
    )


def _events(patients: pd.DataFrame, printed: pd.DataFrame) -> pd.DataFrame:
    rows = []
    wild_type = patients[patients["ras_braf"] == "wild type"]
    for row in printed[printed["exhibit"] == "table5"].itertuples():
        category, _, grade = row.variable.partition(" grade ")
        keys = list(wild_type[wild_type["first_line_group"] == row.level]["patient_key"])
        rows += [
            (keys[number % len(keys)], category, grade, None if number % 2 else "related")
            for number in range(int(row.printed) if keys else 0)
        ]
    rows += [(key, "rash", "3-4", "unrelated") for key in patients["patient_key"][:1]]
    return pd.DataFrame(
        rows, columns=["patient_key", "category", "grade_group", "attribution"]
    ).assign(
        study_id=STUDY,
        line_number=1,
        may_be_related=lambda events: events["attribution"] != "unrelated",
    )


def _lines(patients: pd.DataFrame) -> pd.DataFrame:
    """Lines that divide the time to the end of observation evenly, with a pause after each.

    The rule set gap_60 splits the first line of every tenth patient.
    """
    rows = []
    for rule_set in LINE_RULE_SETS:
        for place, patient in enumerate(patients.itertuples()):
            given = 1 if pd.isna(patient.trastuzumab_line) else int(patient.trastuzumab_line)
            splits = rule_set != "primary" and place % 10 == 0
            last = given + splits
            for number in range(1, last + 1):
                start = 14 + patient.os_days * (number - 1) // (last + 1)
                end = 10 + patient.os_days * number // (last + 1)
                rows.append(
                    (
                        rule_set,
                        patient.patient_key,
                        number,
                        max(number - splits, 1),
                        start,
                        max(start, end),
                        "FIRST_SACT" if number == 1 else "PD_WITH_CHANGE",
                        "NEXT_LINE" if number < last else "DEATH" if patient.death else "ONGOING",
                        "moderate" if place % 7 == 0 else "high",
                    )
                )
    return pd.DataFrame(
        rows,
        columns=[
            "rule_set_id",
            "patient_key",
            "line_number",
            "own_number",
            "start_day",
            "end_day",
            "start_reason",
            "end_reason",
            "confidence",
        ],
    ).assign(study_id=STUDY)


def _components(patients: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """Irinotecan in every line, the first line's targeted drug, and trastuzumab in its line."""
    known = patients.set_index("patient_key")
    rows = []
    for line in lines.itertuples():
        patient = known.loc[line.patient_key]
        drugs = [("irinotecan", "topoisomerase_i", "cytotoxic")]
        if line.own_number == 1:
            drugs += [TARGETED[name] for name in TARGETED if patient.first_line_group == name]
        if not pd.isna(patient.trastuzumab_line) and line.own_number == patient.trastuzumab_line:
            drugs.append(("trastuzumab", "anti_her2", "targeted"))
        rows += [(line.rule_set_id, line.patient_key, line.line_number, *drug) for drug in drugs]
    return pd.DataFrame(
        rows,
        columns=[
            "rule_set_id",
            "patient_key",
            "line_number",
            "ingredient",
            "drug_class",
            "modality",
        ],
    ).assign(study_id=STUDY, days_from_line_start=0)
