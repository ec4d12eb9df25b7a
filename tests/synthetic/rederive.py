"""A second, independent reading of an extract: pandas, no project code.

The warehouse's rules are written here once more, as plainly as possible, so that the generator is
not checked against itself.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

PROJECT = Path(__file__).resolve().parents[2]
CONTRACT = PROJECT / "models/staging/extract/extract_contract.yml"

DATA_CUTOFF = pd.Timestamp(2021, 2, 19)
STUDY_OPENS = pd.Timestamp(2011, 9, 1)

ADENOCARCINOMA = {
    "8140/3", "8210/3", "8211/3", "8261/3", "8263/3", "8480/3", "8481/3", "8490/3",
}  # fmt: skip
COLON = {f"C18.{digit}" for digit in range(10)} | {"C19.9", "C20.9"}
RIGHT = {f"C18.{digit}" for digit in range(5)}
SERIOUS = (
    "I21", "I22", "I42", "I50", "J44", "J84", "J96", "K72", "K74", "N18.4", "N18.5", "N18.6",
    "N19", "M32", "B20",
)  # fmt: skip
PANEL = {
    *(("KRAS", f"exon {exon}") for exon in (2, 3, 4)),
    *(("NRAS", f"exon {exon}") for exon in (2, 3, 4)),
    ("BRAF", "V600E"),
}

SYNONYMS = {
    "fluorouracil": ("5-fu", "5fu", "fluorouracil", "氟尿嘧啶"),
    "capecitabine": ("xeloda", "capecitabine", "卡培他滨", "希罗达"),
    "tegafur": ("ft-207", "ft207", "替加氟"),
    "s1": ("s-1", "s1", "ts-1", "替吉奥"),
    "leucovorin": ("lv", "cf", "calcium folinate", "亚叶酸钙"),
    "oxaliplatin": ("l-ohp", "lohp", "eloxatin", "奥沙利铂", "草酸铂", "oxaliplatin"),
    "irinotecan": ("cpt-11", "campto", "伊立替康", "irinotecan"),
    "raltitrexed": ("tomudex", "雷替曲塞"),
    "tas102": ("tas-102", "lonsurf", "曲氟尿苷替匹嘧啶"),
    "bevacizumab": ("avastin", "bev", "安维汀", "贝伐珠单抗", "bevacizumab"),
    "cetuximab": ("erbitux", "c225", "爱必妥", "西妥昔单抗", "cetuximab"),
    "trastuzumab": ("herceptin", "赫赛汀", "曲妥珠单抗", "trastuzumab"),
    "pertuzumab": ("perjeta", "帕妥珠单抗", "pertuzumab"),
    "vemurafenib": ("zelboraf", "维莫非尼"),
    "regorafenib": ("stivarga", "瑞戈非尼"),
    "fruquintinib": ("elunate", "呋喹替尼", "爱优特"),
    "pembrolizumab": ("keytruda", "pembrolizumab"),
    "nivolumab": ("opdivo", "nivolumab"),
    "ondansetron": ("ondansetron", "昂丹司琼"),
    "dexamethasone": ("dexamethasone", "地塞米松"),
    "pegfilgrastim": ("pegfilgrastim", "聚乙二醇化重组人粒细胞刺激因子"),
    "investigational": ("临床试验药物",),
}
NOT_ANTINEOPLASTIC = {"leucovorin", "ondansetron", "dexamethasone", "pegfilgrastim", ""}
FLUOROPYRIMIDINES = {"fluorouracil", "capecitabine", "s1", "tegafur"}
LATEST_ADDITION = {
    "bevacizumab": 180, "cetuximab": 90, "trastuzumab": 180, "pertuzumab": 180,
    "vemurafenib": 180, "regorafenib": 180, "fruquintinib": 180,
}  # fmt: skip

BACKBONES = {
    frozenset({"capecitabine", "irinotecan"}): "XELIRI",
    frozenset({"capecitabine", "oxaliplatin"}): "XELOX",
    frozenset({"capecitabine", "irinotecan", "oxaliplatin"}): "XELOXIRI",
    frozenset({"fluorouracil", "irinotecan"}): "FOLFIRI",
    frozenset({"fluorouracil", "oxaliplatin"}): "FOLFOX",
    frozenset({"fluorouracil", "irinotecan", "oxaliplatin"}): "FOLFOXIRI",
    frozenset({"oxaliplatin", "tegafur"}): "L-OHP+FT207",
    frozenset({"raltitrexed"}): "Tomudex",
    frozenset({"irinotecan"}): "CPT-11",
    frozenset({"irinotecan", "s1"}): "CPT-11+S1",
    frozenset({"irinotecan", "s1", "vemurafenib"}): "CPT-11+S1+vemurafenib",
    frozenset({"capecitabine", "irinotecan", "oxaliplatin", "pertuzumab"}): ("XELOXIRI+pertuzumab"),
    frozenset({"s1"}): "S1",
    frozenset({"capecitabine"}): "Xeloda",
    frozenset({"oxaliplatin", "s1"}): "SOX",
}

TOXICITIES = {
    "myelosuppression": {
        "Neutrophil count decreased", "White blood cell decreased", "Platelet count decreased",
        "Anemia",
    },
    "gastrointestinal": {"Nausea", "Vomiting", "Diarrhea", "Constipation", "Mucositis oral"},
    "liver dysfunction": {
        "Alanine aminotransferase increased", "Aspartate aminotransferase increased",
        "Blood bilirubin increased",
    },
    "neurotoxicity": {"Peripheral sensory neuropathy"},
    "hand-foot syndrome": {"Palmar-plantar erythrodysesthesia syndrome"},
    "rash": {"Rash acneiform"},
    "haemorrhage": {"Epistaxis", "Lower gastrointestinal hemorrhage"},
    "proteinuria": {"Proteinuria"},
}  # fmt: skip


def contract_tables() -> dict[str, dict[str, dict[str, Any]]]:
    """`[table][column]` to the column's meta, for the tables and columns that are delivered."""
    document = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))
    return {
        table["name"]: {
            column["name"]: column["config"]["meta"]
            for column in table["columns"]
            if not column["config"]["meta"].get("may_be_absent")
        }
        for source in document["sources"]
        for table in source["tables"]
        if not table.get("config", {}).get("meta", {}).get("generated")
    }


def read_raw(folder: Path, table: str) -> pd.DataFrame:
    """A file as text; an empty cell is ''."""
    return pd.read_csv(folder / f"{table}.csv", dtype=str, keep_default_na=False)


def ingredient(text: str) -> str:
    """The drug whose longest synonym is contained in the text, '' if none is."""
    folded = unicodedata.normalize("NFKC", text).lower()
    found = [
        (len(synonym), name)
        for name, synonyms in SYNONYMS.items()
        for synonym in synonyms
        if synonym in folded
    ]
    return max(found)[1] if found else ""


@dataclass
class Line:
    """A line of therapy as found: first day, drugs, treatment days."""

    start: pd.Timestamp
    drugs: set[str]
    days: list[pd.Timestamp] = field(default_factory=list)
    covered: pd.Timestamp = pd.Timestamp.min


class Extract:
    """Tables with canonical codes and real dates, and what follows from them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._contract = contract_tables()
        self._tables: dict[str, pd.DataFrame] = {}
        texts = read_raw(folder, "drug_administrations")["drug_text"].unique()
        self._ingredients = {text: ingredient(text) for text in texts}
        metastases = self["metastases"]
        self.index = metastases.groupby("patient_id")["metastasis_date"].min()
        self.lines = self._lines()
        self.first_dose = pd.Series(
            {patient: lines[0].start for patient, lines in self.lines.items()}
        )

    def __getitem__(self, table: str) -> pd.DataFrame:
        if table not in self._tables:
            frame = read_raw(self.folder, table)
            for column, meta in self._contract[table].items():
                if meta["kind"] == "code":
                    spelling = {
                        other.lower(): code
                        for code, others in meta["codes"].items()
                        for other in (code, *others)
                    }
                    frame[column] = frame[column].str.lower().map(lambda v, s=spelling: s.get(v, v))
                elif meta["kind"] in ("integer", "number"):
                    frame[column] = pd.to_numeric(frame[column])
                elif meta["kind"] == "date":
                    frame[column] = pd.to_datetime(frame[column], format="%Y-%m-%d")
            self._tables[table] = frame
        return self._tables[table]

    # -- treatment -------------------------------------------------------------------------------

    def exposures(self) -> pd.DataFrame:
        """Systemic antineoplastics that were given, with the last day that each covers."""
        drugs = self["drug_administrations"]
        given = drugs[
            drugs["record_type"].isin(["administration", "dispensing"])
            & (drugs["record_status"] == "completed")
            & (drugs["route"] != "intra_arterial")
        ].copy()
        given["ingredient"] = given["drug_text"].map(self._ingredients)
        given = given[~given["ingredient"].isin(NOT_ANTINEOPLASTIC)]
        supplied = given["start_date"] + pd.to_timedelta(
            given["days_supply"].fillna(1) - 1, unit="D"
        )
        given["covered"] = supplied.where(given["days_supply"].notna(), given["end_date"])
        return given.sort_values(["patient_id", "start_date", "ingredient"])

    def progressions(self) -> pd.DataFrame:
        scans = self["tumour_assessments"]
        return scans[scans["overall_response"] == "PD"]

    def _lines(self) -> dict[str, list[Line]]:
        """Lines of therapy by the default rules of the line-of-therapy profile."""
        progressed = (
            self.progressions().groupby("patient_id")["assessment_date"].apply(list).to_dict()
        )
        exposures = self.exposures()
        day_zero = exposures["patient_id"].map(self.index)
        exposures = exposures[exposures["start_date"] >= day_zero - pd.Timedelta(days=14)]
        days: dict[tuple[str, pd.Timestamp], tuple[set[str], list[pd.Timestamp]]] = {}
        columns = ["patient_id", "start_date", "ingredient", "covered"]
        for patient, day, drug, covered in exposures[columns].itertuples(index=False, name=None):
            drugs, ends = days.setdefault((patient, day), (set(), []))
            drugs.add(drug)
            ends.append(covered)
        found: dict[str, list[Line]] = {}
        for (patient, day), (drugs, ends) in days.items():
            lines = found.setdefault(patient, [])
            if not lines or _begins_line(lines[-1], day, drugs, progressed.get(patient, [])):
                lines.append(Line(day, set()))
            lines[-1].drugs |= drugs
            lines[-1].days.append(day)
            lines[-1].covered = max(lines[-1].covered, *ends)
        return found

    # -- status ----------------------------------------------------------------------------------

    def her2(self) -> pd.Series:
        """'positive' if ever so, else 'negative' if a test was complete, else 'unknown'."""
        reports = self["pathology"]
        specimens = reports.groupby(["patient_id", "accession_no"]).agg(
            ihc=("her2_ihc_score", "max"),
            ihc_pct=("her2_ihc_pct", "max"),
            ratio=("her2_ish_ratio", "max"),
            ish_pct=("her2_ish_pct", "max"),
        )
        positive = ((specimens["ihc"] == "3+") & (specimens["ihc_pct"] >= 50)) | (
            (specimens["ihc"] == "2+") & (specimens["ratio"] >= 2) & (specimens["ish_pct"] >= 50)
        )
        unknown = (specimens["ihc"] == "") | (
            (specimens["ihc"] == "2+") & specimens["ratio"].isna()
        )
        status = pd.Series(1, index=specimens.index).mask(unknown, 0).mask(positive, 2)
        best = status.groupby("patient_id").max()
        return best.map({0: "unknown", 1: "negative", 2: "positive"})

    def ras_braf(self) -> pd.Series:
        """'mutant', 'wild type' if all seven regions are, else 'unknown'."""
        tests = self["molecular_tests"]
        keys = pd.Series(list(zip(tests["gene"], tests["region"], strict=True)), tests.index)
        tests = tests[keys.isin(PANEL)]
        mutant = set(tests.loc[tests["result"] == "mutated", "patient_id"])
        wild = tests[tests["result"] == "wild_type"].drop_duplicates(
            ["patient_id", "gene", "region"]
        )
        complete = wild.groupby("patient_id").size() == len(PANEL)
        status = dict.fromkeys(complete.index[complete], "wild type")
        status |= dict.fromkeys(mutant, "mutant")
        return pd.Series(status, dtype=object)

    def attrition(self) -> dict[str, int]:
        """Patients excluded by each criterion in its turn; what is left is under 'included'."""
        diagnoses = self["diagnoses"].set_index("patient_id")
        left = set(self["patients"]["patient_id"])
        counts: dict[str, int] = {}

        def keep(criterion: str, who: set[str]) -> None:
            nonlocal left
            counts[criterion] = len(left - who)
            left = left & who

        primary = diagnoses["icdo3_topography"].isin(COLON) & diagnoses["icdo3_morphology"].isin(
            ADENOCARCINOMA
        )
        keep("primary_diagnosis", set(diagnoses.index[primary]))
        in_period = (self.index >= STUDY_OPENS) & (self.index <= DATA_CUTOFF)
        keep("metastatic_disease", set(self.index.index[in_period]))
        research = self["consent"].query("purpose == 'research'").sort_values("consent_date")
        decision = research.groupby("patient_id")["decision"].last()
        keep("consent", set(decision.index[decision == "given"]))
        her2 = self.her2()
        keep("her2_positive", set(her2.index[her2 == "positive"]))
        keep("measurable_lesion", self._measurable())
        keep("ecog", self._ecog_0_to_2())
        keep("comorbidity", left - self._seriously_ill())
        keep("cycles", {p for p, lines in self.lines.items() if _two_cycles(lines[0])})
        keep("ras_braf_tested", set(self.ras_braf().index))
        counts["included"] = len(left)
        self.included = left
        return counts

    def _measurable(self) -> set[str]:
        lesions = self["lesion_measurements"]
        first = lesions["patient_id"].map(self.first_dose)
        baseline = (lesions["measured_date"] <= first) & (
            lesions["measured_date"] >= first - pd.Timedelta(days=28)
        )
        size = lesions["longest_diameter_mm"] >= 10
        node = lesions["is_lymph_node"] == "yes"
        big = size.where(~node, lesions["short_axis_mm"] >= 15)
        return set(lesions.loc[baseline & big & (lesions["lesion_role"] == "target"), "patient_id"])

    def _ecog_0_to_2(self) -> set[str]:
        records = self["performance_status"].query("scale == 'ECOG'")
        days = (records["assessed_date"] - records["patient_id"].map(self.first_dose)).dt.days
        baseline = records[(days >= -28) & (days <= 7)]
        assert not baseline["patient_id"].duplicated().any()
        return set(baseline.loc[baseline["score"] <= 2, "patient_id"])

    def _seriously_ill(self) -> set[str]:
        conditions = self["comorbidities"]
        earliest = pd.to_datetime(conditions["onset_date"].str.slice(0, 10).map(_first_day))
        before = ~(earliest > conditions["patient_id"].map(self.first_dose))
        serious = conditions["icd10"].str.startswith(SERIOUS)
        return set(conditions.loc[serious & before, "patient_id"])


def _first_day(text: str) -> str | None:
    return {10: text, 7: f"{text}-01", 4: f"{text}-01-01"}.get(len(text))


def _group(drug: str) -> str:
    return "fluoropyrimidine" if drug in FLUOROPYRIMIDINES else drug


def _begins_line(
    line: Line, day: pd.Timestamp, drugs: set[str], progressed: list[pd.Timestamp]
) -> bool:
    if (day - line.covered).days > 180:
        return True
    known = {_group(drug) for drug in line.drugs}
    new = {drug for drug in drugs if _group(drug) not in known}
    if not new:
        return False
    since = (day - line.start).days
    if any(line.start < when <= day for when in progressed):
        return True
    if since <= 28:
        return False
    return any(since > LATEST_ADDITION.get(drug, 28) for drug in new)


def _two_cycles(line: Line) -> bool:
    return (line.days[-1] - line.days[0]).days >= 14


def backbone_and_group(drugs: set[str]) -> tuple[str, str]:
    """Name of the chemotherapy, and what a first line of it is called in the study."""
    backbone = BACKBONES[frozenset(drugs - {"bevacizumab", "cetuximab", "trastuzumab"})]
    if drugs & {"trastuzumab", "pertuzumab"}:
        return backbone, "plus trastuzumab"
    if "cetuximab" in drugs:
        return backbone, "plus cetuximab"
    return backbone, "plus bevacizumab" if "bevacizumab" in drugs else "chemotherapy alone"
