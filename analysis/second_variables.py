"""Double programming of a study's variables: pandas, from the staged rows, without the models.

The marts are SQL. Here the same definitions are written once more, as plainly as possible, for the
included patients. Taken from the marts are only who is included, the index date and the first days
of the lines: lines of therapy have an independent engine of their own in the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd

from analysis.study import FIRST_LINE, Study, frame, is_delivered
from expectations.tables import rows

#: The rule set whose censoring is written here.
PRIMARY = "primary"


@dataclass(frozen=True, eq=False)
class Answers:
    """One variable by patient: what the mart says, and what is found here."""

    what: str
    mart: pd.Series
    here: pd.Series

    def different(self) -> int:
        """Patients with another answer; unknown on both sides is the same answer."""
        both = pd.DataFrame({"mart": self.mart, "here": self.here}).astype(object)
        known = both.notna().to_numpy()
        same = (both["mart"] == both["here"]).to_numpy() | ~known.any(axis=1)
        return int((~same).sum())


def variables(connection: duckdb.DuckDBPyConnection, study: Study) -> Iterator[Answers]:
    """Each variable twice, for every included patient."""
    staged = _Staged(connection, study)
    marts = frame(
        connection,
        "select * from cohort.patient_characteristics where study_id = ?",
        study.study_id,
    ).set_index("patient_key")
    marts = marts.reindex(staged.patients.index)
    for column, found in (
        ("sex", _sex),
        ("age_at_index", _age),
        ("metastatic_organs", _metastatic_organs),
        ("primary_resection", _procedure("primary_resection")),
        ("metastasectomy", _procedure("metastasectomy")),
        ("her2_status", _her2),
        ("ras_braf_status", _ras_braf),
    ):
        yield Answers(column.replace("_", " "), marts[column], found(staged))
    if study.settings["endpoint_rule_set_id"] != PRIMARY:
        return
    for number in sorted({FIRST_LINE, *(analysis.line_number for analysis in study.analyses)}):
        origin = "" if number == FIRST_LINE else f" from line {number}"
        staged.patients = staged.starting_with(number)
        for endpoint, intervals in (("OS", _overall_survival), ("PFS", _progression_free_survival)):
            own = study.intervals_of(endpoint, number)
            times = intervals(staged).reindex(own.index)
            yield Answers(f"days of {endpoint}{origin}", own["time_days"], times["days"])
            yield Answers(
                f"events of {endpoint}{origin}", own["event"].astype(bool), times["event"]
            )


class _Staged:
    """Staged rows of the included patients, table by table, and what is taken from the marts."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, study: Study) -> None:
        self._connection, self._study = connection, study
        self._read: dict[str, pd.DataFrame] = {}
        self.disease = self.setting("code_lists", "code_list", study.settings["disease_code_list"])
        self.cutoff = pd.Timestamp(study.settings["data_cutoff"])
        self.patients = self.starting_with(FIRST_LINE)

    def starting_with(self, line_number: int) -> pd.DataFrame:
        """Index date by patient_key, and the first day of a line of therapy and of the next."""
        return frame(
            self._connection,
            """
            select
                cohort.patient_key,
                cohort.index_date,
                lines.start_date as line_start,
                lines.next_line_start_date as next_line
            from cohort.cohort as cohort
            left join treatment.lines_of_therapy as lines
                on
                    cohort.study_id = lines.study_id
                    and cohort.patient_key = lines.patient_key
                    and lines.rule_set_id = ?
                    and lines.line_number = ?
            where cohort.study_id = ? and cohort.included
            order by cohort.patient_key
            """,
            self._study.settings["line_rule_set_id"],
            line_number,
            self._study.study_id,
        ).set_index("patient_key")

    def __getitem__(self, table: str) -> pd.DataFrame:
        if table not in self._read:
            self._read[table] = frame(
                self._connection,
                f"""
                select staged.*
                from staging.stg_common__{table} as staged
                semi join (from cohort.cohort where study_id = ? and included) as members
                    on staged.patient_key = members.patient_key
                order by staged.src_rid
                """,
                self._study.study_id,
            )
        return self._read[table]

    def setting(self, table: str, key: str, value: object) -> list[dict[str, object]]:
        """Rows of a seed."""
        return rows(self._connection, f"select * from reference.{table} where {key} = ?", value)

    @property
    def definition(self) -> dict[str, object]:
        """The study's definition of HER2."""
        name = self._study.settings["her2_definition_id"]
        return self.setting("her2_definitions", "her2_definition_id", name)[0]

    def in_disease_list(self, topography: str, morphology: str | None) -> bool | None:
        """Whether a diagnosis is of the study's disease; None where the record does not say."""

        def is_listed(code: str, system: str) -> bool:
            return any(
                code.startswith(str(row["code"]))
                for row in self.disease
                if row["code_system"] == system
            )

        site = topography.upper()
        if len(site) < 3 or not site.startswith("C"):
            return None
        if not is_listed(site, "icdo3_topography"):
            return False
        if morphology is None or pd.isna(morphology):
            return None
        histology, _, behaviour = morphology.partition("/")
        if behaviour in ("0", "1", "2"):
            return False
        if behaviour in ("6", "9") or histology in ("8000", "8001", "8010"):
            return None
        return is_listed(morphology, "icdo3_morphology")

    def is_delivered(self, table: str) -> bool:
        """Whether rows of a table were delivered."""
        return is_delivered(self._connection, table)

    def of(self, by_patient: pd.Series) -> pd.Series:
        """One answer for every patient."""
        return pd.Series(by_patient.reindex(self.patients.index))


def _sex(staged: _Staged) -> pd.Series:
    sex = staged["patients"].set_index("patient_key")["sex"]
    return staged.of(sex.where(sex != "unknown"))


def _age(staged: _Staged) -> pd.Series:
    born = staged["patients"].set_index("patient_key")
    at = staged.patients["index_date"]
    ages = [
        _completed_years(staged.of(pd.to_datetime(born[column])), at)
        for column in ("birth_date_earliest", "birth_date_latest")
    ]
    return ages[0].where(ages[0] == ages[1])


def _completed_years(born: pd.Series, at: pd.Series) -> pd.Series:
    # Who was born on 29 February is a year older on the 28th of a year without it.
    day = born.dt.day.mask((born.dt.month == 2) & (born.dt.day == 29) & ~at.dt.is_leap_year, 28)
    not_yet = (at.dt.month * 100 + at.dt.day) < (born.dt.month * 100 + day)
    years: pd.Series = at.dt.year - born.dt.year - not_yet
    return years


def _metastatic_organs(staged: _Staged) -> pd.Series:
    primaries: dict[str, dict[str, bool | None]] = {}
    diagnoses = staged["diagnoses"]
    diagnoses = diagnoses[diagnoses["diagnosis_date_earliest"] <= staged.cutoff]
    for row in diagnoses.to_dict("records"):
        answer = staged.in_disease_list(row["icdo3_topography"], row["icdo3_morphology"])
        primaries.setdefault(row["patient_key"], {})[row["diagnosis_id"]] = answer
    harmless = set(
        diagnoses.loc[
            diagnoses["icdo3_morphology"].str.endswith(("/0", "/2"), na=False), "diagnosis_id"
        ]
    )
    found = staged["metastases"]
    baseline = _latest(staged.patients["line_start"], staged.patients["index_date"])
    found = found[found["metastasis_date"] <= found["patient_key"].map(baseline)]
    # Of each organ, whether the study's disease is known to be there; without it, it may be.
    organs: dict[str, dict[str, bool]] = {}
    for row in found.to_dict("records"):
        answers = primaries.get(row["patient_key"], {})
        if pd.notna(row["diagnosis_id"]):
            named = [row["diagnosis_id"]]
        else:
            named = [diagnosis for diagnosis in answers if diagnosis not in harmless] or [*answers]
        whose = {answers.get(diagnosis) for diagnosis in named}
        if whose != {False}:
            seen = organs.setdefault(row["patient_key"], {})
            seen[row["organ"]] = seen.get(row["organ"], False) or whose == {True}
    counts = {patient: len(seen) for patient, seen in organs.items() if all(seen.values())}
    return staged.of(pd.Series(counts, dtype=float))


def _procedure(kind: str) -> Callable[[_Staged], pd.Series]:
    def answer(staged: _Staged) -> pd.Series:
        if not staged.is_delivered("procedures"):
            return pd.Series(None, index=staged.patients.index, dtype=object)
        done = staged["procedures"]
        done = done[(done["procedure_type"] == kind) & (done["procedure_date"] <= staged.cutoff)]
        has = staged.patients.index.isin(done["patient_key"])
        return pd.Series(np.where(has, "yes", "no"), index=staged.patients.index)

    return answer


def _her2(staged: _Staged) -> pd.Series:
    rule = staged.definition
    reports = staged["pathology"]
    reports = reports.assign(known=reports["reported_date"].fillna(reports["collected_date"]))
    reports = reports[reports["known"] <= staged.cutoff]
    score, ratio = reports["her2_ihc_score"], reports["her2_ish_ratio"]
    strong = score == rule["ihc_positive_score"]
    shares = {test: np.array(rule[f"{test}_min_pct"], dtype=float) for test in ("ihc", "ish")}
    # A definition that asks for no share of cells takes any, also one not stated.
    widely = {
        test: (reports[f"her2_{test}_pct"] >= share) | np.isnan(share)
        for test, share in shares.items()
    }
    seldom = {test: reports[f"her2_{test}_pct"] < share for test, share in shares.items()}
    readings = {
        "ihc": np.select(
            [strong & widely["ihc"], strong & ~seldom["ihc"], score == rule["ihc_equivocal_score"]],
            ["positive", "unknown", "equivocal"],
            "negative",
        ),
        "ish": np.select(
            [(ratio < rule["ish_min_ratio"]) | seldom["ish"], widely["ish"]],
            ["negative", "positive"],
            "unknown",
        ),
    }
    tested = pd.DataFrame(
        {
            test: _last_reading(reports.assign(reading=readings[test])[done.notna()])
            for test, done in (("ihc", score), ("ish", ratio))
        }
    )
    status = tested["ihc"].mask(tested["ihc"] == "equivocal", tested["ish"])
    rank = status.map({"positive": 2, "negative": 0}).fillna(1)
    worst = rank.groupby("patient_key").max()
    return staged.of(worst).map({2: "positive", 1: "unknown", 0: "negative"}).fillna("unknown")


def _last_reading(reports: pd.DataFrame) -> pd.Series:
    """What the last day of each specimen says, if its reports say one thing."""
    specimen = ["patient_key", "accession_no"]
    last = reports[reports["known"] == reports.groupby(specimen)["known"].transform("max")]
    said = last[last["reading"] != "unknown"].groupby(specimen)["reading"].agg(set)
    said = said.map(lambda readings: min(readings) if len(readings) == 1 else "unknown")
    return said.reindex(pd.MultiIndex.from_frame(last[specimen].drop_duplicates())).fillna(
        "unknown"
    )


def _ras_braf(staged: _Staged) -> pd.Series:
    panel = pd.DataFrame(staged.setting("biomarker_panels", "biomarker", "RAS_BRAF"))
    tests = staged["molecular_tests"]
    known = tests["reported_date"].fillna(tests["collected_date"])
    tests = tests[known <= staged.cutoff].merge(panel[["gene", "region"]], on=["gene", "region"])
    mutated = tests.loc[tests["result"] == "mutated", "patient_key"]
    read = tests[tests["result"] == "wild_type"].drop_duplicates(["patient_key", "gene", "region"])
    regions = staged.of(read.groupby("patient_key").size()).fillna(0)
    status = pd.Series("unknown", index=staged.patients.index)
    status = status.mask(regions == len(panel), "wild_type")
    return status.mask(status.index.isin(mutated), "mutated")


def _deaths_and_contacts(staged: _Staged) -> pd.DataFrame:
    """Date of death, where it is known, and the last day of proved life."""
    stated = staged["vital_status"]
    given = staged["drug_administrations"]
    given = given[given["record_status"] == "completed"]
    proofs = [
        stated.set_index("patient_key")["last_contact_date"],
        given.set_index("patient_key")["start_date"],
        given[given["record_type"] == "administration"].set_index("patient_key")["end_date"],
        *(
            staged[table].set_index("patient_key")[day]
            for table, day in (
                ("encounters", "start_date"),
                ("encounters", "end_date"),
                ("procedures", "procedure_date"),
                ("tumour_assessments", "assessment_date"),
                ("metastases", "metastasis_date"),
                ("pathology", "collected_date"),
                ("molecular_tests", "collected_date"),
                ("performance_status", "assessed_date"),
                ("adverse_events", "onset_date"),
            )
        ),
    ]
    last = staged.of(pd.concat(proofs).groupby(level=0).max())
    dead = stated[stated["status"] == "dead"].assign(
        vague=lambda rows: rows["death_date_precision"].map({"day": 1, "month": 2, "year": 3})
    )
    best = dead.sort_values(["vague", "death_date_earliest", "src_rid"], na_position="last")
    best = best.drop_duplicates("patient_key").set_index("patient_key")
    best = best.reindex(staged.patients.index)
    first, latest = best["death_date_earliest"], best["death_date_latest"]
    middle = first.where(best["vague"] != 2, first + pd.Timedelta(days=14))
    july = pd.to_datetime({"year": first.dt.year, "month": 7, "day": 1}, errors="coerce")
    middle = middle.where(best["vague"] != 3, july)
    # Nobody dies before the last contact.
    imputed = _earliest(_latest(middle, _earliest(last, latest)), latest)
    death = first.where(best["vague"] == 1, imputed).where(best["vague"].notna())
    # Who died after the cut-off lived until the first day that the date may mean.
    return pd.DataFrame(
        {"death": death.where(death <= staged.cutoff), "last": _latest(last, first)}
    )


def _overall_survival(staged: _Staged) -> pd.DataFrame:
    ends = _deaths_and_contacts(staged)
    event = ends["death"].notna()
    contact = ends["last"].mask(ends["last"] > staged.cutoff, staged.cutoff)
    end = ends["death"].where(event, contact)
    return pd.DataFrame({"days": _days(staged, end), "event": event})


def _progression_free_survival(staged: _Staged) -> pd.DataFrame:
    scans = staged["tumour_assessments"]
    start = scans["patient_key"].map(staged.patients["line_start"])
    next_line = staged.patients["next_line"]
    until = next_line.where(next_line <= staged.cutoff, staged.cutoff)
    scans = scans[scans["assessment_date"] <= scans["patient_key"].map(until)]
    start = start[scans.index]
    progressed = scans[(scans["overall_response"] == "PD") & (scans["assessment_date"] > start)]
    read = scans[
        scans["overall_response"].notna()
        & (scans["overall_response"] != "NE")
        & (scans["assessment_date"] >= start)
    ]
    death = _deaths_and_contacts(staged)["death"]
    death = death.where(death <= until)
    first = staged.of(progressed.groupby("patient_key")["assessment_date"].min())
    event = _earliest(first, death)
    last = staged.of(read.groupby("patient_key")["assessment_date"].max())
    end = event.fillna(last).fillna(staged.patients["line_start"])
    return pd.DataFrame({"days": _days(staged, end), "event": event.notna()})


def _earliest(*dates: pd.Series) -> pd.Series:
    found: pd.Series = pd.concat(dates, axis=1).min(axis=1)
    return found


def _latest(*dates: pd.Series) -> pd.Series:
    found: pd.Series = pd.concat(dates, axis=1).max(axis=1)
    return found


def _days(staged: _Staged, end: pd.Series) -> pd.Series:
    return (end - staged.patients["line_start"]).dt.days
