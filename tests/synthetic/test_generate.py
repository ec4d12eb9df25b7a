"""The demo extract: valid under the contract, and the study can be found in it again."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import sys
import time
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synthetic import Planted, generate
from synthetic.cohort import CALIBRATED
from synthetic.draws import stream
from synthetic.quotas import expand, largest_remainder

HERE = Path(__file__).resolve().parent
PUBLISHED = HERE.parents[1] / "seeds/studies/published_results.csv"


def _beside(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


rederive = _beside("rederive")

CLINICAL = {
    "metastases", "pathology", "molecular_tests", "drug_administrations", "procedures",
    "tumour_assessments", "lesion_measurements", "adverse_events", "performance_status",
    "encounters", "vital_status",
}  # fmt: skip


class Demo:
    """A generated extract, what was planted, and its second reading."""

    def __init__(self, folder: Path, **arguments: Any) -> None:
        self.folder = folder
        self.planted: Planted = generate(folder, **arguments)
        self.extract = rederive.Extract(folder)
        self.counts = self.extract.attrition()

    @property
    def study(self) -> list[str]:
        return sorted(self.extract.included)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return Demo(tmp_path_factory.mktemp("synthetic") / "demo")


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return Demo(tmp_path_factory.mktemp("synthetic") / "another", patients=5000, seed=7)


@pytest.fixture(scope="module")
def cohort() -> pd.DataFrame:
    frame = pd.read_csv(CALIBRATED, keep_default_na=False)
    return frame.set_index("patient_number")


@pytest.fixture(scope="module")
def study(demo: Demo, cohort: pd.DataFrame) -> pd.DataFrame:
    """The calibrated rows by patient id."""
    numbers = {pid: int(number) for number, pid in demo.planted.included_patients.items()}
    assert set(numbers) == set(demo.study)
    return cohort.loc[[numbers[pid] for pid in demo.study]].set_axis(demo.study)


def published(exhibit: str) -> dict[tuple[str, str, str], int]:
    """Printed counts by population, variable and level."""
    frame = pd.read_csv(PUBLISHED, dtype=str, keep_default_na=False)
    frame = frame[(frame["exhibit"] == exhibit) & (frame["statistic"] == "n")]
    return {
        (row.population, row.variable, row.level): int(row.printed) for row in frame.itertuples()
    }


# -- the contract ---------------------------------------------------------------------------------

TABLES = rederive.contract_tables()
PATTERNS = {
    "date": r"\d{4}-\d{2}-\d{2}",
    "partial_date": r"\d{4}(-\d{2}(-\d{2})?)?",
    "integer": r"\d+",
    "number": r"\d+(\.\d+)?",
}


@pytest.fixture(params=["demo", "another"])
def either(request: pytest.FixtureRequest) -> Demo:
    found: Demo = request.getfixturevalue(request.param)
    return found


def test_one_file_a_table_and_nothing_else(either: Demo) -> None:
    files = {path.name for path in either.folder.iterdir()}
    assert files == {f"{table}.csv" for table in TABLES}
    for table, columns in TABLES.items():
        content = (either.folder / f"{table}.csv").read_bytes()
        assert b"\r" not in content
        assert b"\0" not in content
        assert content.decode("utf-8").split("\n", 1)[0] == ",".join(columns)


@pytest.mark.parametrize("table", TABLES)
def test_every_cell_is_valid(either: Demo, table: str) -> None:
    frame = rederive.read_raw(either.folder, table)
    assert len(frame) == either.planted.rows[table] > 0
    for column, meta in TABLES[table].items():
        cells = frame[column]
        filled = cells[cells != ""]
        assert (filled == filled.str.strip()).all(), column
        if meta.get("required"):
            assert len(filled) == len(cells), column
        kind = meta["kind"]
        if kind == "code":
            allowed = {s.lower() for code, others in meta["codes"].items() for s in (code, *others)}
            assert set(filled.str.lower()) <= allowed, column
            if len(filled) > 2000:
                assert set(filled.str.lower()) >= {
                    s.lower() for s in _spellings_in_use(meta, filled)
                }
        if kind in PATTERNS:
            assert filled.str.fullmatch(PATTERNS[kind]).all(), column
        if kind in ("date", "partial_date"):
            whole = filled.where(filled.str.len() == 10, filled.str.slice(0, 7).str.pad(7) + "-01")
            whole = whole.where(filled.str.len() != 4, filled + "-01-01")
            days = pd.to_datetime(whole, format="%Y-%m-%d")
            assert (days <= "2021-03-01").all(), column
            if table in CLINICAL and meta.get("role") == "event_time":
                assert (days <= rederive.DATA_CUTOFF).all(), column
        if kind in ("integer", "number"):
            numbers = pd.to_numeric(filled)
            assert (numbers >= meta.get("min", -np.inf)).all(), column
            assert (numbers <= meta.get("max", np.inf)).all(), column
        if meta.get("role") == "row_key":
            assert not cells.duplicated().any(), column
        if "refers_to" in meta:
            other, key = meta["refers_to"].split(".")
            assert set(filled) <= set(rederive.read_raw(either.folder, other)[key]), column


def _spellings_in_use(meta: dict[str, Any], filled: pd.Series) -> set[str]:
    """All spellings of each code that occurs often: the mixture is deliberate."""
    code_of = {s.lower(): code for code, others in meta["codes"].items() for s in (code, *others)}
    often = Counter(filled.str.lower().map(code_of))
    return {
        spelling
        for code, others in meta["codes"].items()
        if often[code] > 400
        for spelling in (code, *others)
    }


def test_rows_belong_to_patients_and_facts_come_before_their_recording(either: Demo) -> None:
    patients = rederive.read_raw(either.folder, "patients")["patient_id"]
    assert not patients.duplicated().any()
    assert len(patients) == either.planted.patients
    for table, columns in TABLES.items():
        frame = rederive.read_raw(either.folder, table)
        if "patient_id" in columns:
            assert set(frame["patient_id"]) <= set(patients), table
        event = [c for c, meta in columns.items() if meta.get("role") == "event_time"]
        known = [c for c, meta in columns.items() if meta.get("role") == "available_time"]
        if event and known:
            both = frame[(frame[event[0]] != "") & (frame[known[0]] != "")]
            length = both[event[0]].str.len()
            known_on = [day[:n] for day, n in zip(both[known[0]], length, strict=True)]
            assert (both[event[0]] <= known_on).all(), table


def test_delivery_says_that_it_is_synthetic(demo: Demo) -> None:
    row = rederive.read_raw(demo.folder, "delivery").iloc[0]
    assert (row["extract_date"], row["synthetic"]) == ("2021-03-01", "yes")


# -- the generator as a function ------------------------------------------------------------------


def digests(folder: Path) -> dict[str, str]:
    files = [*folder.iterdir(), folder.with_name(f"{folder.name}.planted.json")]
    return {path.name[-24:]: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_same_seed_same_bytes_and_in_time(demo: Demo, tmp_path: Path) -> None:
    began = time.process_time()
    again = generate(tmp_path / "demo")
    assert time.process_time() - began < 10  # about 2 s alone on one core
    assert again == demo.planted
    assert digests(tmp_path / "demo") == digests(demo.folder)


def test_another_seed_gives_another_extract(tmp_path: Path) -> None:
    generate(tmp_path / "a", patients=300, seed=1)
    generate(tmp_path / "b", patients=300, seed=2)
    a, b = (rederive.read_raw(tmp_path / name, "patients") for name in "ab")
    assert len(a) == len(b)
    assert not a.equals(b)


def test_planted_is_written_beside_the_folder(demo: Demo) -> None:
    text = demo.folder.with_name("demo.planted.json").read_text(encoding="utf-8")
    assert json.loads(text)["excluded"] == demo.planted.excluded
    assert demo.planted.cohort_kind == "calibrated"


def test_a_delivery_is_replaced_and_anything_else_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "extract"
    folder.mkdir()
    generate(folder, patients=100)
    first = (folder / "patients.csv").read_bytes()
    generate(folder, patients=100, seed=5)
    assert (folder / "patients.csv").read_bytes() != first
    (folder / "thesis.docx").write_text("years of work")
    with pytest.raises(ValueError, match=r"thesis\.docx"):
        generate(folder, patients=100)
    assert (folder / "thesis.docx").read_text() == "years of work"
    with pytest.raises(ValueError, match="not a folder"):
        generate(folder / "thesis.docx", patients=100)
    assert {path.name for path in tmp_path.iterdir()} == {"extract", "extract.planted.json"}


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(tmp_path / "extract", patients=100)
    before = digests(tmp_path / "extract")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("synthetic.generator.write_patient", fail)
    with pytest.raises(OSError, match="disk full"):
        generate(tmp_path / "extract", patients=100, seed=9)
    assert digests(tmp_path / "extract") == before
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patients": 99}, "patients"),
        ({"patients": 0}, "patients"),
        ({"patients": 2460.0}, "patients"),
        ({"patients": True}, "patients"),
        ({"seed": -1}, "seed"),
        ({"seed": "x"}, "seed"),
        ({"patients": 100, "cohort": CALIBRATED.parent}, "cannot be read"),
        ({"patients": 100, "cohort": CALIBRATED.with_name("absent.csv")}, "cannot be read"),
    ],
)
def test_bad_arguments_are_refused(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generate(tmp_path / "extract", **arguments)
    assert not (tmp_path / "extract").exists()


def test_a_cohort_too_large_for_its_population_is_refused(tmp_path: Path) -> None:
    many = pd.read_csv(CALIBRATED, dtype=str, keep_default_na=False)
    many = pd.concat([many] * 3, ignore_index=True)
    many["patient_number"] = range(1, len(many) + 1)
    many.to_csv(tmp_path / "many.csv", index=False)
    with pytest.raises(ValueError, match="raise patients"):
        generate(tmp_path / "extract", patients=150, cohort=tmp_path / "many.csv")


def test_a_cohort_file_is_taken_as_it_is(tmp_path: Path) -> None:
    rows = pd.read_csv(CALIBRATED, dtype=str, keep_default_na=False).iloc[10:40]
    rows.to_csv(tmp_path / "mine.csv", index=False)
    mine = Demo(tmp_path / "extract", patients=500, cohort=tmp_path / "mine.csv")
    assert mine.planted.cohort_kind == "file"
    assert mine.counts["included"] == 30
    days = mine.extract.first_dose[mine.study]
    last = mine.extract["vital_status"].groupby("patient_id")["last_contact_date"].max()
    found = sorted((last[mine.study] - days).dt.days)
    assert np.abs(np.array(found) - sorted(rows["os_days"].astype(int))).max() <= 1


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("sex", "m", r"row 2, column sex: .*use male, female"),
        ("os_days", "12.5", r"row 2, column os_days: is not a whole number"),
        ("os_days", "9999", r"row 2, column os_days: is outside"),
        ("pfs_days", "900", r"row 2, column pfs_days: must lie in"),
        ("pfs_event", "0", r"row 2, column pfs_event: must be 1"),
        ("trastuzumab_line", "1", r"row 2, column trastuzumab_line"),
        ("therapy_lines", "first", None),
        ("pfs_days", "280", r"row 2, column pfs_days: leaves 6 days for 2 further lines"),
        ("patient_number", "2", r"row 3, column patient_number: is used twice"),
    ],
)
def test_cohort_faults_are_named(
    tmp_path: Path, column: str, value: str, message: str | None
) -> None:
    rows = pd.read_csv(CALIBRATED, dtype=str, keep_default_na=False)
    rows.loc[0, column] = value
    path = tmp_path / "mine.csv"
    rows.to_csv(path, index=False)
    if message is None:
        generate(tmp_path / "extract", patients=300, cohort=path)
        return
    with pytest.raises(ValueError, match=re.escape(str(path)) + ", " + message):
        generate(tmp_path / "extract", patients=300, cohort=path)


def test_cohort_header_faults_are_named(tmp_path: Path) -> None:
    rows = pd.read_csv(CALIBRATED, dtype=str, keep_default_na=False)
    rows.rename(columns={"sex": "gender"}).to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(ValueError, match=r"row 1: .*add sex; remove gender"):
        generate(tmp_path / "extract", cohort=tmp_path / "mine.csv")
    (tmp_path / "empty.csv").write_text(",".join(rows.columns) + "\n")
    with pytest.raises(ValueError, match="has no patients"):
        generate(tmp_path / "extract", cohort=tmp_path / "empty.csv")


def test_quotas() -> None:
    assert largest_remainder(10, [1, 1, 1]) == [4, 3, 3]
    assert largest_remainder(31, [2, 2, 2, 23, 1, 1]) == [2, 2, 2, 23, 1, 1]
    assert expand(4, {"a": 1, "b": 3}) == ["a", "b", "b", "b"]
    assert stream(1, 2).random() == stream(1, 2).random() != stream(1, 3).random()


# -- what was planted -----------------------------------------------------------------------------


def test_each_criterion_excludes_what_was_planted(either: Demo) -> None:
    found = dict(either.counts)
    included = found.pop("included")
    assert found == either.planted.excluded
    assert included == either.planted.included
    assert set(either.planted.included_patients.values()) == set(either.study)
    assert sum(found.values()) + included == either.planted.patients


def test_planted_counts_of_the_default(demo: Demo) -> None:
    assert demo.planted.patients == 2780
    assert demo.planted.screened == 2460
    assert demo.planted.excluded == {
        "primary_diagnosis": 140, "metastatic_disease": 180, "consent": 12, "her2_positive": 2345,
        "measurable_lesion": 7, "ecog": 9, "comorbidity": 8, "cycles": 6, "ras_braf_tested": 10,
    }  # fmt: skip
    assert demo.planted.her2_positive == {"not_met": 1748, "unknown": 583, "below_50_pct": 14}


def test_who_just_misses_fails_one_criterion_only(either: Demo) -> None:
    """Whatever the order of the criteria, a near miss fails its own and no other."""
    extract = either.extract
    research = extract["consent"].query("purpose == 'research'").sort_values("consent_date")
    her2 = extract.her2()
    meets = {
        "consent": set(
            research.groupby("patient_id")["decision"].last().loc[lambda d: d == "given"].index
        ),
        "her2_positive": set(her2.index[her2 == "positive"]),
        "measurable_lesion": extract._measurable(),
        "ecog": extract._ecog_0_to_2(),
        "comorbidity": set(extract["patients"]["patient_id"]) - extract._seriously_ill(),
        "cycles": {p for p, ls in extract.lines.items() if rederive._two_cycles(ls[0])},
        "ras_braf_tested": set(extract.ras_braf().index),
    }
    for reason, patients in either.planted.near_misses.items():
        assert patients
        for criterion, passed in meets.items():
            if criterion == reason:
                assert not passed & set(patients), reason
            else:
                assert passed >= set(patients), (reason, criterion)


def test_unknown_is_planted_beside_negative(demo: Demo) -> None:
    her2 = demo.extract.her2().reindex(demo.extract["patients"]["patient_id"], fill_value="unknown")
    diagnoses = demo.extract["diagnoses"].set_index("patient_id")
    screened = set(demo.extract.index.index) & set(
        diagnoses.index[
            diagnoses["icdo3_topography"].isin(rederive.COLON)
            & diagnoses["icdo3_morphology"].isin(rederive.ADENOCARCINOMA)
        ]
    )
    assert len(screened) == 2460
    counts = her2[sorted(screened)].value_counts()
    assert counts["unknown"] == 583
    assert counts["negative"] == 1748 + 14  # 3+ or amplified in too few cells is not positive


def test_every_drug_text_is_understood_or_planted(either: Demo) -> None:
    texts = rederive.read_raw(either.folder, "drug_administrations")["drug_text"]
    unmapped = texts[texts.map({t: rederive.ingredient(t) for t in texts.unique()}) == ""]
    assert Counter(unmapped) == either.planted.unmapped_drug_texts
    assert 0 < len(unmapped) < 0.005 * len(texts)
    trial = texts[texts.isin(list(either.planted.trial_drug_texts))]
    assert Counter(trial) == either.planted.trial_drug_texts
    study_rows = either.extract["drug_administrations"].loc[trial.index, "patient_id"]
    assert not set(study_rows) & set(either.study)


def test_drug_codes_agree_with_texts(demo: Demo) -> None:
    drugs = rederive.read_raw(demo.folder, "drug_administrations")
    coded = drugs[drugs["drug_code"] != ""].drop_duplicates(["drug_text", "drug_code"])
    named = coded["drug_text"].map(rederive.ingredient)
    assert (coded.groupby(named)["drug_code"].nunique() == 1).all()
    assert 0.4 < (drugs["drug_code"] != "").mean() < 0.8


# -- the study, found again -----------------------------------------------------------------------


def test_first_dose_overall_and_progression_free_survival(demo: Demo, study: pd.DataFrame) -> None:
    extract = demo.extract
    first = extract.first_dose[study.index]
    vital = extract["vital_status"]
    deaths = vital[vital["status"] == "dead"].set_index("patient_id")["death_date"]
    died = study.index[study["death"] == 1]
    assert set(died) == set(study.index) & set(deaths.index)
    ends = pd.to_datetime(deaths.reindex(study.index)).fillna(
        vital.groupby("patient_id")["last_contact_date"].max()
    )
    assert ((ends - first).dt.days == study["os_days"]).all()
    assert (ends[study["death"] == 0] == rederive.DATA_CUTOFF).all()

    scans = extract["tumour_assessments"]
    after = scans[scans["assessment_date"] > scans["patient_id"].map(extract.first_dose)]
    last = after.groupby("patient_id")["assessment_date"].max().reindex(study.index)
    progression = (
        after[after["overall_response"] == "PD"].groupby("patient_id")["assessment_date"].min()
    ).reindex(study.index)
    assert (progression.notna() == (study["pfs_event"] == 1)).all()
    assert ((progression.fillna(last) - first).dt.days == study["pfs_days"]).all()
    for pid, lines in demo.planted.lines.items():
        assert str(first[pid].date()) == lines[0]["start"]
    lead = (first - extract.index[study.index]).dt.days
    assert lead.between(5, 40).all()


def test_table_1(demo: Demo, study: pd.DataFrame) -> None:
    extract = demo.extract
    index = extract.index[study.index]
    first = extract.first_dose[study.index]
    patients = extract["patients"].set_index("patient_id").loc[study.index]
    assert (patients["sex"] == study["sex"]).all()
    birth = pd.to_datetime(patients["birth_date"], format="%Y-%m-%d")
    before_birthday = index.dt.strftime("%m%d") < birth.dt.strftime("%m%d")
    age = index.dt.year - birth.dt.year - before_birthday
    assert (age.median(), age.min(), age.max()) == (54, 27, 78)
    assert ((age >= 54) == (study["age_group"] == ">=54")).all()

    diagnoses = extract["diagnoses"].set_index("patient_id").loc[study.index]
    right = diagnoses["icdo3_topography"].isin(rederive.RIGHT)
    assert (right == (study["primary_site"] == "right colon")).all()
    grade = diagnoses["differentiation"].replace("moderate", "medium")
    assert (grade == study["differentiation"]).all()
    synchronous = study["metastatic_pattern"] == "synchronous"
    for corner in (lambda text: rederive._first_day(text), _last_day):
        days = (index - pd.to_datetime(diagnoses["diagnosis_date"].map(corner))).dt.days
        assert (days >= 0).all()
        assert ((days <= 183) == synchronous).all()

    metastases = extract["metastases"]
    known = metastases[
        metastases["metastasis_date"] <= metastases["patient_id"].map(extract.first_dose)
    ]
    organs = known.groupby("patient_id")["organ"].agg(set).reindex(study.index)
    assert ((organs.map(len) == 1) == (study["metastatic_organs"] == "single")).all()
    liver = organs.map(lambda found: "liver" in found)
    counts = published("table1")
    for level in ("single", ">=2"):
        with_liver = counts["all", "metastatic_organs", f"{level}, liver metastatic"]
        assert (liver & (study["metastatic_organs"] == level)).sum() == with_liver

    procedures = extract["procedures"]
    for kind, column in (("primary_resection",) * 2, ("metastasectomy",) * 2):
        who = set(procedures.loc[procedures["procedure_type"] == kind, "patient_id"])
        assert (study.index.isin(list(who)) == (study[column] == "yes")).all(), kind
    local = procedures[
        procedures["procedure_type"].isin(["ablation", "radiotherapy", "hepatic_artery_infusion"])
    ]
    assert (study.index.isin(local["patient_id"]) == (study["local_therapy"] == "yes")).all()
    ours = local[local["patient_id"].isin(study.index)]
    assert (ours["procedure_date"] > ours["patient_id"].map(extract.index)).all()

    exposures = extract.exposures()
    adjuvant = exposures[
        (exposures["intent"] == "adjuvant") & exposures["patient_id"].isin(study.index)
    ]
    who = adjuvant.groupby("patient_id").agg(
        cycles=("start_date", "nunique"), end=("covered", "max")
    )
    assert set(who.index) == set(study.index[study["adjuvant_chemotherapy"] == "yes"])
    assert (who["cycles"] >= 2).all()
    assert ((index[who.index] - who["end"]).dt.days > 30).all()
    earlier = exposures[
        exposures["patient_id"].isin(study.index)
        & (exposures["start_date"] < exposures["patient_id"].map(first))
    ]
    assert (earlier["intent"] == "adjuvant").all()

    lines = pd.Series({pid: len(extract.lines[pid]) for pid in study.index})
    named = lines.map({1: "first", 2: "second"}).fillna("third or later")
    assert (named == study["therapy_lines"]).all()
    assert lines.max() == 5


def _last_day(text: str) -> str:
    if len(text) == 4:
        return f"{text}-12-31"
    if len(text) == 7:
        return str((pd.Timestamp(f"{text}-01") + pd.offsets.MonthEnd(0)).date())
    return text


def test_ras_braf_and_her2(demo: Demo, study: pd.DataFrame) -> None:
    extract = demo.extract
    assert (extract.ras_braf()[study.index] == study["ras_braf"]).all()
    tests = extract["molecular_tests"]
    panel = tests[tests["gene"].isin(["KRAS", "NRAS", "BRAF"])]
    mutated = panel[panel["patient_id"].isin(study.index) & (panel["result"] == "mutated")]
    genes = mutated.drop_duplicates("patient_id")["gene"].value_counts()
    assert genes["BRAF"] == 1
    assert genes.drop("BRAF").sum() == 8
    assert (mutated["variant"] != "").all()
    assert (mutated.groupby("patient_id")["variant"].nunique() == 1).all()
    reports = extract["pathology"][extract["pathology"]["patient_id"].isin(study.index)]
    amplified = reports[reports["her2_ish_ratio"] >= 2]["patient_id"].nunique()
    assert 8 <= amplified <= 35
    trastuzumab = {
        pid: line.start
        for pid in study.index
        for line in extract.lines[pid]
        if "trastuzumab" in line.drugs
    }
    decisive = reports[
        ((reports["her2_ihc_score"] == "3+") & (reports["her2_ihc_pct"] >= 50))
        | (reports["her2_ish_ratio"] >= 2)
    ]
    known = decisive.groupby("patient_id")["reported_date"].min()
    assert all(known[pid] < start for pid, start in trastuzumab.items())
    late = known[study.index] > extract.first_dose[study.index]
    assert 10 <= late.sum() <= 55
    assert reports.groupby("patient_id")["accession_no"].nunique().max() >= 3


def test_fish_is_arithmetic(either: Demo) -> None:
    reports = either.extract["pathology"].dropna(subset=["her2_ish_ratio"])
    ratio = reports["her2_copy_number"] / reports["cep17_copy_number"]
    assert (ratio - reports["her2_ish_ratio"]).abs().max() < 0.006
    assert not reports["her2_ish_ratio"].between(1.8, 2.1).any()
    assert (reports.loc[reports["her2_ish_ratio"] >= 2, "her2_copy_number"] >= 4).all()
    accession = either.extract["pathology"].groupby("accession_no")["patient_id"].nunique()
    assert (accession == 1).all()


def test_lines_are_those_planned(either: Demo) -> None:
    """The second reading of orders and scans finds each line that was meant."""
    holidays = 0
    for pid, planned in either.planted.lines.items():
        found = either.extract.lines[pid]
        assert [str(line.start.date()) for line in found] == [line["start"] for line in planned]
        for line, plan in zip(found, planned, strict=True):
            assert line.drugs == set(plan["drugs"]) - {"leucovorin"}
            assert rederive._two_cycles(line)
            gaps = np.diff([day.toordinal() for day in line.days])
            assert gaps.max() <= 180
            holidays += gaps.max() > 60
    assert holidays >= 3


def test_table_2_and_trastuzumab_line(demo: Demo, study: pd.DataFrame) -> None:
    found: Counter[str] = Counter()
    names = {1: "first", 2: "second", 3: "third", 4: "fourth"}
    for pid, line_number in study["trastuzumab_line"].items():
        given = [
            number
            for number, line in enumerate(demo.extract.lines[pid], start=1)
            if "trastuzumab" in line.drugs
        ]
        assert given == ([int(line_number)] if line_number else []), pid
        if given:
            line = demo.extract.lines[pid][given[0] - 1]
            backbone, _ = rederive.backbone_and_group(line.drugs)
            found[names[given[0]]] += 1
            found[f"{names[given[0]]}: {backbone}"] += 1
    assert found == {level: n for (_, _, level), n in published("table2").items()}


def test_table_3(demo: Demo, study: pd.DataFrame) -> None:
    found: Counter[tuple[str, str]] = Counter()
    for pid, row in study.iterrows():
        backbone, group = rederive.backbone_and_group(demo.extract.lines[pid][0].drugs)
        assert group == row["first_line_group"]
        found[row["ras_braf"], group] += 1
        found[row["ras_braf"], f"{group}: {backbone}"] += 1
    assert found == {(status, level): n for (status, _, level), n in published("table3").items()}


def test_table_4(demo: Demo, study: pd.DataFrame) -> None:
    scans = demo.extract["tumour_assessments"].sort_values("assessment_date")
    found: Counter[tuple[str, str]] = Counter()
    names = {1: "first", 2: "second", 3: "third", 4: "fourth"}
    for pid, number in study["trastuzumab_line"].items():
        if number:
            best = best_response(demo, scans[scans["patient_id"] == pid], pid, int(number))
            found[best, names[int(number)]] += 1
            found["trastuzumab_line", names[int(number)]] += 1
    printed = {
        (variable, level): n
        for (_, variable, level), n in published("table4").items()
        if n and variable not in ("ORR", "DCR")
    }
    assert found == printed


def best_response(demo: Demo, scans: pd.DataFrame, pid: str, number: int) -> str:
    lines = demo.extract.lines[pid]
    start = lines[number - 1].start
    stop = lines[number].start if number < len(lines) else pd.Timestamp.max
    best = "none"
    order = ["none", "PD", "SD", "PR", "CR"]
    for scan in scans.itertuples():
        if not start < scan.assessment_date <= stop or scan.overall_response == "":
            continue
        early = (scan.assessment_date - start).days < 28
        response = "none" if scan.overall_response == "SD" and early else scan.overall_response
        best = max(best, response, key=order.index)
        if scan.overall_response == "PD":
            break
    return best


def test_planned_best_responses(either: Demo) -> None:
    scans = either.extract["tumour_assessments"].sort_values("assessment_date")
    by_patient = dict(tuple(scans.groupby("patient_id")))
    for pid, planned in either.planted.lines.items():
        for plan in planned:
            if plan["best_response"]:
                found = best_response(either, by_patient[pid], pid, plan["line"])
                assert found == plan["best_response"], pid


def test_table_5(demo: Demo, study: pd.DataFrame) -> None:
    events = demo.extract["adverse_events"]
    wild = study[study["ras_braf"] == "wild type"]
    found: Counter[tuple[str, str]] = Counter()
    unrelated = 0
    for event in events[events["patient_id"].isin(wild.index)].itertuples():
        lines = demo.extract.lines[event.patient_id]
        last = lines[0].days[-1] + pd.Timedelta(days=30)
        if len(lines) > 1:
            last = min(last, lines[1].start - pd.Timedelta(days=1))
        if not lines[0].start <= event.onset_date <= last:
            assert event.onset_date > lines[0].covered, "between the lines"
            continue
        category = next((c for c, terms in rederive.TOXICITIES.items() if event.term in terms), "")
        if event.attribution == "unrelated":
            unrelated += bool(category)
            continue
        if category:
            grade = "1-2" if event.grade in ("1", "2") else "3-4"
            group = wild.loc[event.patient_id, "first_line_group"]
            found[f"{category} grade {grade}", group] += 1
    printed = {(variable, level): n for (_, variable, level), n in published("table5").items() if n}
    assert found == printed
    assert unrelated > 0
    keys = events[events["patient_id"].isin(wild.index)]
    assert not keys.duplicated(["patient_id", "term", "onset_date"]).any()


def test_everybody_treated_was_asked_about_other_illness(either: Demo) -> None:
    visits = either.extract["encounters"].query("problem_list_reviewed == 'yes'")
    first = visits["patient_id"].map(either.extract.first_dose)
    in_time = (visits["start_date"] <= first) & (
        visits["start_date"] >= first - pd.Timedelta(days=60)
    )
    assert set(visits.loc[in_time, "patient_id"]) >= set(either.extract.lines)


def test_dead_orders_and_regional_drugs_are_there_to_be_ignored(demo: Demo) -> None:
    drugs = demo.extract["drug_administrations"]
    never = drugs[drugs["record_status"] != "completed"]
    assert len(never) > 100
    assert (never["record_type"] == "order").all()
    named = never["drug_text"].map(rederive.ingredient)
    without = {
        pid
        for pid in demo.study
        if not any("trastuzumab" in line.drugs for line in demo.extract.lines[pid])
    }
    assert set(never.loc[named == "trastuzumab", "patient_id"])
    assert without & set(never["patient_id"])
    assert (drugs["route"] == "intra_arterial").sum() > 20
    orders = set(drugs.loc[drugs["record_type"] == "order", "order_id"])
    assert not drugs.loc[drugs["record_type"] == "order", "order_id"].duplicated().any()
    carried_out = drugs[(drugs["record_type"] == "administration") & drugs["order_id"].isin(orders)]
    assert len(carried_out) > 0.5 * len(drugs[drugs["record_type"] == "administration"])
    by_order = drugs[drugs["record_type"] == "order"].set_index("order_id")
    first = carried_out.groupby("order_id")["start_date"].min()
    assert (by_order.loc[first.index, "start_date"] == first).all()


# -- life and death -------------------------------------------------------------------------------


def test_nothing_happens_before_birth_or_after_death(either: Demo) -> None:
    extract = either.extract
    vital = extract["vital_status"]
    dead = vital[vital["status"] == "dead"].set_index("patient_id")["death_date"]
    assert not dead.index.duplicated().any()
    assert (vital.loc[vital["status"] == "alive", "death_date"] == "").all()
    # A death of which only the month is known: nothing else is in that month.
    earliest_death = pd.to_datetime(dead.map(rederive._first_day))
    partial = dead.index[dead.str.len() < 10]
    assert len(partial) > 0
    assert not set(partial) & set(either.study)
    born = pd.to_datetime(extract["patients"].set_index("patient_id")["birth_date"].map(_last_day))
    for table in CLINICAL:
        frame = extract[table]
        event = next(c for c, meta in TABLES[table].items() if meta.get("role") == "event_time")
        died = frame["patient_id"].map(earliest_death)
        assert not (frame[event] > died).any(), table
        assert (frame[event] > frame["patient_id"].map(born)).all(), table
        if "end_date" in frame:
            assert not (frame["end_date"] < frame[event]).any(), table
            assert not (frame["end_date"] > died).any(), table


def test_metastases_and_treatment_follow_the_diagnosis(either: Demo) -> None:
    extract = either.extract
    diagnosed = pd.to_datetime(
        extract["diagnoses"].set_index("patient_id")["diagnosis_date"].map(rederive._first_day)
    )
    for table, column in (
        ("metastases", "metastasis_date"),
        ("pathology", "collected_date"),
        ("drug_administrations", "start_date"),
        ("procedures", "procedure_date"),
    ):
        frame = extract[table]
        assert (frame[column] >= frame["patient_id"].map(diagnosed)).all(), table
    metastases = extract["metastases"]
    assert not metastases.duplicated(["patient_id", "organ"]).any()
    women = set(extract["patients"].loc[extract["patients"]["sex"] == "female", "patient_id"])
    assert set(metastases.loc[metastases["organ"] == "ovary", "patient_id"]) <= women


def test_partial_dates_are_planted_where_nothing_hangs_on_them(demo: Demo) -> None:
    extract = demo.extract
    found = {
        "patients.birth_date": (extract["patients"]["birth_date"].str.len() < 10).sum(),
        "diagnoses.diagnosis_date": (extract["diagnoses"]["diagnosis_date"].str.len() < 10).sum(),
        "vital_status.death_date": extract["vital_status"]["death_date"]
        .str.len()
        .between(1, 9)
        .sum(),
    }
    assert found == demo.planted.partial_dates
    assert all(count > 10 for count in found.values())
    births = extract["patients"].set_index("patient_id")["birth_date"]
    assert (births[demo.study].str.len() == 10).all()
    diagnoses = extract["diagnoses"].set_index("patient_id")["diagnosis_date"]
    gap = pd.DataFrame(
        {
            "low": extract.index - pd.to_datetime(diagnoses.map(_last_day)),
            "high": extract.index - pd.to_datetime(diagnoses.map(rederive._first_day)),
        }
    ).dropna()
    assert (gap["low"].dt.days.gt(183) == gap["high"].dt.days.gt(183)).all()


# -- RECIST 1.1 -----------------------------------------------------------------------------------


def test_lesions_obey_recist(either: Demo) -> None:
    scans = either.extract["tumour_assessments"].set_index("assessment_id")
    lesions = either.extract["lesion_measurements"]
    assert set(lesions["assessment_id"]) == set(scans.index)
    assert (
        lesions["measured_date"] == lesions["assessment_id"].map(scans["assessment_date"])
    ).all()
    node = lesions["is_lymph_node"] == "yes"
    assert (node == (lesions["organ"] == "distant_lymph_node")).all()
    lesions = lesions.assign(
        size=lesions["longest_diameter_mm"].where(~node, lesions["short_axis_mm"])
    )
    targets = lesions[lesions["lesion_role"] == "target"]
    unseen = targets["lesion_status"] == "not_evaluable"
    gone = targets["lesion_status"] == "disappeared"
    assert (targets["size"].isna() == unseen).all()
    assert ((targets["size"] == 0) == gone).all()
    assert (targets.loc[~unseen & ~gone, "size"] >= 5).all()
    assert unseen.any()
    assert gone.any()
    baseline = targets[targets["assessment_id"].map(scans["timepoint"]) == "baseline"]
    big = (baseline["size"] >= 10) & (
        (baseline["is_lymph_node"] == "no") | (baseline["size"] >= 15)
    )
    assert big.all()
    assert baseline.groupby("patient_id").size().max() <= 5
    assert baseline.groupby(["patient_id", "organ"]).size().max() <= 2
    same = targets.groupby("assessment_id")["lesion_id"].agg(frozenset)
    per_patient = same.groupby(same.index.map(scans["patient_id"])).nunique()
    assert (per_patient == 1).all()

    sums = targets.groupby("assessment_id")["size"].sum()
    roles = lesions.groupby("assessment_id")["lesion_role"].agg(set)
    first_seen = lesions.groupby(["patient_id", "lesion_id"])["measured_date"].min()
    baselines = (
        scans[scans["timepoint"] == "baseline"].groupby("patient_id")["assessment_date"].max()
    )
    seen_late = first_seen[
        first_seen > first_seen.index.get_level_values("patient_id").map(baselines)
    ]
    assert len(seen_late) == (lesions["lesion_role"] == "new").sum()

    for pid, visits in scans.sort_values("assessment_date").groupby("patient_id"):
        starts = [line.start for line in either.extract.lines[pid]]
        reference = nadir = previous = np.nan
        for visit in visits.itertuples():
            size = sums.get(visit.Index, np.nan)
            if visit.timepoint == "baseline":
                assert visit.overall_response == visit.target_response == visit.new_lesion == ""
                reference = nadir = size
                previous = size
                continue
            if starts and starts[0] < visit.assessment_date:
                while starts and starts[0] < visit.assessment_date:
                    starts.pop(0)
                reference = nadir = previous
            assert visit.overall_response == _expected(visit, size, reference, nadir), pid
            assert ("new" in roles[visit.Index]) == (visit.new_lesion == "yes")
            assert ("non_target" in roles[visit.Index]) == (visit.non_target_response != "")
            if visit.overall_response != "NE":
                nadir = min(nadir, size)
                previous = size


def _expected(visit: Any, size: float, reference: float, nadir: float) -> str:
    target = ""
    if visit.target_response == "NE":
        return "NE"
    if size == 0:
        assert visit.target_response == "CR"
        assert visit.non_target_response in ("CR", "")
        return "PD" if visit.new_lesion == "yes" else "CR"
    if not np.isnan(size):
        if size >= 1.2 * nadir and size - nadir >= 5:
            target = "PD"
        else:
            target = "PR" if size <= 0.7 * reference else "SD"
    assert visit.target_response == target
    if "PD" in (target, visit.non_target_response) or visit.new_lesion == "yes":
        return "PD"
    return target or "NON-CR/NON-PD"


def test_scans_come_in_time(either: Demo) -> None:
    scans = either.extract["tumour_assessments"]
    assert not scans.duplicated(["patient_id", "assessment_date"]).any()
    baseline = scans[scans["timepoint"] == "baseline"]
    lead = (baseline["patient_id"].map(either.extract.first_dose) - baseline["assessment_date"]).dt
    assert lead.days.between(1, 28).all()
    ours = scans[scans["patient_id"].isin(either.study)].sort_values(
        ["patient_id", "assessment_date"]
    )
    gaps = ours.groupby("patient_id")["assessment_date"].diff().dt.days
    assert gaps.max() <= 26 * 7
    assert 40 <= gaps.median() <= 65
    progressed = set(zip(scans["patient_id"], scans["assessment_date"], strict=True)) & set(
        either.extract.progressions()[["patient_id", "assessment_date"]].itertuples(
            index=False, name=None
        )
    )
    for pid in either.study:
        for earlier, later in zip(
            either.extract.lines[pid], either.extract.lines[pid][1:], strict=False
        ):
            between = [
                day for who, day in progressed if who == pid and earlier.start < day < later.start
            ]
            assert len(between) == 1
            assert (later.start - between[0]).days <= 28


# -- another size, another seed -------------------------------------------------------------------


def test_another_cohort_is_plausible(another: Demo, demo: Demo) -> None:
    planted = another.planted
    assert planted.cohort_kind == "drawn"
    assert planted.screened == 5000
    assert planted.included == round(5000 * 63 / 2460) == another.counts["included"]
    assert planted.excluded["consent"] == round(12 * 5000 / 2460)
    extract = another.extract
    first = extract.first_dose[another.study]
    vital = extract["vital_status"]
    ends = vital.groupby("patient_id")["last_contact_date"].max()[another.study]
    os_days = (ends - first).dt.days
    progression = (
        extract.progressions().groupby("patient_id")["assessment_date"].min().reindex(another.study)
    )
    assert 0.6 < progression.notna().mean() < 0.98
    assert 100 < (progression - first).dt.days.median() < 400
    assert 400 < os_days.median() < 1200
    assert (progression.dropna() <= ends[progression.notna()]).all()
    lines = pd.Series([len(extract.lines[pid]) for pid in another.study])
    assert 0.15 < (lines == 1).mean() < 0.6
    groups = Counter(
        rederive.backbone_and_group(extract.lines[pid][0].drugs)[1] for pid in another.study
    )
    assert groups["chemotherapy alone"] > groups["plus bevacizumab"] > groups["plus cetuximab"] > 8
    ever = [
        pid for pid in another.study if any("trastuzumab" in li.drugs for li in extract.lines[pid])
    ]
    assert 0.35 < len(ever) / len(another.study) < 0.65
    assert not set(another.planted.included_patients.values()) <= set(demo.study)


@pytest.mark.parametrize("seed", range(4))
def test_small_extracts_hold_together(tmp_path: Path, seed: int) -> None:
    small = Demo(tmp_path / "extract", patients=100 + 150 * seed, seed=seed)
    included = small.counts.pop("included")
    assert small.counts == small.planted.excluded
    assert included == small.planted.included >= 20


def test_rows_per_patient(either: Demo) -> None:
    assert 45 <= sum(either.planted.rows.values()) / either.planted.patients <= 90
