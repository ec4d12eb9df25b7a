"""Rows of the extract: one method a table; spellings, numbers and recording delays live here."""

from __future__ import annotations

from typing import Final

from synthetic.contract import Contract, spelling_urn
from synthetic.days import EXTRACT_DATE, ISO
from synthetic.draws import Draws

Row = tuple[str, ...]

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "delivery": ("delivery_id", "site_code", "extract_date", "synthetic"),
    "patients": ("patient_id", "sex", "birth_date", "recorded_date"),
    "diagnoses": (
        "diagnosis_id",
        "patient_id",
        "diagnosis_date",
        "icdo3_topography",
        "icdo3_morphology",
        "histology_text",
        "differentiation",
        "stage",
        "recorded_date",
    ),
    "metastases": (
        "metastasis_id",
        "patient_id",
        "diagnosis_id",
        "organ",
        "metastasis_date",
        "method",
        "recorded_date",
    ),
    "pathology": (
        "report_id",
        "patient_id",
        "accession_no",
        "specimen_site",
        "specimen_type",
        "her2_ihc_score",
        "her2_ihc_pct",
        "ihc_method",
        "her2_ish_ratio",
        "her2_copy_number",
        "cep17_copy_number",
        "her2_ish_pct",
        "ish_method",
        "collected_date",
        "reported_date",
    ),
    "molecular_tests": (
        "test_id",
        "patient_id",
        "accession_no",
        "gene",
        "region",
        "variant",
        "result",
        "method",
        "collected_date",
        "reported_date",
    ),
    "drug_administrations": (
        "record_id",
        "patient_id",
        "record_type",
        "record_status",
        "order_id",
        "drug_text",
        "drug_code",
        "route",
        "dose",
        "dose_unit",
        "start_date",
        "end_date",
        "days_supply",
        "intent",
        "recorded_date",
    ),
    "procedures": (
        "procedure_id",
        "patient_id",
        "procedure_type",
        "organ",
        "procedure_text",
        "procedure_code",
        "procedure_date",
        "recorded_date",
    ),
    "tumour_assessments": (
        "assessment_id",
        "patient_id",
        "assessment_date",
        "modality",
        "criteria",
        "timepoint",
        "target_response",
        "non_target_response",
        "new_lesion",
        "overall_response",
        "reported_date",
    ),
    "lesion_measurements": (
        "measurement_id",
        "patient_id",
        "assessment_id",
        "lesion_id",
        "lesion_role",
        "organ",
        "is_lymph_node",
        "longest_diameter_mm",
        "short_axis_mm",
        "lesion_status",
        "measured_date",
    ),
    "adverse_events": (
        "event_id",
        "patient_id",
        "term",
        "ctcae_version",
        "grade",
        "onset_date",
        "end_date",
        "attribution",
        "recorded_date",
    ),
    "performance_status": (
        "record_id",
        "patient_id",
        "scale",
        "score",
        "assessed_date",
        "recorded_date",
    ),
    "comorbidities": (
        "comorbidity_id",
        "patient_id",
        "icd10",
        "condition_text",
        "severity",
        "onset_date",
        "recorded_date",
    ),
    "encounters": (
        "encounter_id",
        "patient_id",
        "encounter_type",
        "start_date",
        "end_date",
        "department",
        "problem_list_reviewed",
    ),
    "vital_status": (
        "record_id",
        "patient_id",
        "status",
        "last_contact_date",
        "death_date",
        "cause_of_death",
        "source",
        "recorded_date",
    ),
    "consent": ("consent_id", "patient_id", "purpose", "decision", "consent_date"),
}
"""Cells of each row written below, in order; checked against the contract before a run."""

_RECORDING_DELAYS: Final = (0, 0, 0, 0, 1, 1, 2, 5)
_REPORTING_DELAYS: Final = (0, 1, 1, 2, 3)


class Spellings:
    """Every way to write each code, for drawing one."""

    def __init__(self, contract: Contract) -> None:
        """All coded columns of the contract."""
        self._urns = {
            key: {"": ("",)} | {code: spelling_urn(code, others) for code, others in codes.items()}
            for key, codes in contract.codes.items()
        }

    def of(self, table: str, column: str) -> dict[str, tuple[str, ...]]:
        """Spellings by code of one column; the empty code is an empty cell."""
        return self._urns[table, column]


class Scribe:
    """Writes the rows of one block of patients; `tables` holds them until they are flushed.

    Days are day numbers. Numbers of rows are made of the patient's number in the extract and a
    running number, so they depend on no other patient.
    """

    def __init__(self, spellings: Spellings, d: Draws) -> None:
        """Empty tables; spellings and delays are drawn from `d`."""
        self.tables: dict[str, list[Row]] = {name: [] for name in COLUMNS}
        self._d = d
        of = spellings.of
        self._sex = of("patients", "sex")
        self._differentiation = of("diagnoses", "differentiation")
        self._stage = of("diagnoses", "stage")
        self._metastatic_organ = of("metastases", "organ")
        self._metastasis_method = of("metastases", "method")
        self._specimen_site = of("pathology", "specimen_site")
        self._specimen_type = of("pathology", "specimen_type")
        self._ihc = of("pathology", "her2_ihc_score")
        self._gene = of("molecular_tests", "gene")
        self._region = of("molecular_tests", "region")
        self._result = of("molecular_tests", "result")
        self._record_type = of("drug_administrations", "record_type")
        self._record_status = of("drug_administrations", "record_status")
        self._route = of("drug_administrations", "route")
        intents = of("drug_administrations", "intent")
        later = tuple(word for word in intents["palliative"] if word != "first-line")
        self._intent = intents | {"palliative, later": later}
        self._procedure = of("procedures", "procedure_type")
        self._procedure_organ = of("procedures", "organ")
        self._modality = of("tumour_assessments", "modality")
        self._timepoint = of("tumour_assessments", "timepoint")
        self._new_lesion = of("tumour_assessments", "new_lesion")
        self._overall = of("tumour_assessments", "overall_response")
        self._lesion_role = of("lesion_measurements", "lesion_role")
        self._lesion_organ = of("lesion_measurements", "organ")
        self._is_node = of("lesion_measurements", "is_lymph_node")
        self._lesion_status = of("lesion_measurements", "lesion_status")
        self._ctcae = of("adverse_events", "ctcae_version")
        self._grade = of("adverse_events", "grade")
        self._attribution = of("adverse_events", "attribution")
        self._scale = of("performance_status", "scale")
        self._severity = of("comorbidities", "severity")
        self._encounter = of("encounters", "encounter_type")
        self._reviewed = of("encounters", "problem_list_reviewed")
        self._status = of("vital_status", "status")
        self._cause = of("vital_status", "cause_of_death")
        self._source = of("vital_status", "source")
        self._purpose = of("consent", "purpose")
        self._decision = of("consent", "decision")
        self._patient_id = ""
        self._number = ""
        self._running = 0

    def begin(self, number: int, patient_id: str) -> None:
        """The patient whom the rows from here on are about."""
        self._patient_id = patient_id
        self._number = f"{number:07d}"
        self._running = 0

    def new_id(self, prefix: str) -> str:
        """A row number not used before."""
        self._running += 1
        return f"{prefix}{self._number}-{self._running}"

    def accession(self, day: int) -> str:
        """A specimen number of the day's year."""
        self._running += 1
        return f"S{ISO[day][2:4]}-{self._number}{self._running:02d}"

    def _recorded(self, day: int) -> str:
        late = day + _RECORDING_DELAYS[int(self._d.u() * 8)]
        return ISO[late if late < EXTRACT_DATE else EXTRACT_DATE]

    def _reported(self, day: int) -> str:
        late = day + _REPORTING_DELAYS[int(self._d.u() * 5)]
        return ISO[late if late < EXTRACT_DATE else EXTRACT_DATE]

    def patient(self, sex: str, birth_text: str, registered: int) -> None:
        """A row of patients."""
        self.tables["patients"].append(
            (self._patient_id, self._d.pick(self._sex[sex]), birth_text, ISO[registered])
        )

    def diagnosis(
        self,
        day: int,
        text: str,
        topography: str,
        morphology: str,
        histology: str,
        differentiation: str,
        stage: str,
    ) -> str:
        """A row of diagnoses; returns its number."""
        number = self.new_id("DX")
        pick = self._d.pick
        self.tables["diagnoses"].append(
            (
                number,
                self._patient_id,
                text,
                topography,
                morphology,
                histology,
                pick(self._differentiation[differentiation]),
                pick(self._stage[stage]),
                self._recorded(day),
            )
        )
        return number

    def metastasis(self, diagnosis_id: str, organ: str, day: int, method: str) -> None:
        """A row of metastases."""
        pick = self._d.pick
        self.tables["metastases"].append(
            (
                self.new_id("MT"),
                self._patient_id,
                diagnosis_id,
                pick(self._metastatic_organ[organ]),
                ISO[day],
                pick(self._metastasis_method[method]),
                self._recorded(day),
            )
        )

    def pathology(
        self,
        accession: str,
        site: str,
        kind: str,
        collected: int,
        reported: int,
        ihc: tuple[str, str, str] = ("", "", ""),
        ish: tuple[str, str, str, str, str] = ("", "", "", "", ""),
    ) -> None:
        """`ihc`: score, percent, method. `ish`: ratio, HER2 and CEP17 copies, percent, method."""
        pick = self._d.pick
        score, percent, method = ihc
        self.tables["pathology"].append(
            (
                self.new_id("PR"),
                self._patient_id,
                accession,
                pick(self._specimen_site[site]),
                pick(self._specimen_type[kind]),
                pick(self._ihc[score]),
                percent,
                method,
                *ish,
                ISO[collected],
                ISO[min(reported, EXTRACT_DATE)],
            )
        )

    def molecular(
        self,
        accession: str,
        gene: str,
        region: str,
        variant: str,
        result: str,
        method: str,
        collected: int,
        reported: int,
    ) -> None:
        """A row of molecular_tests."""
        pick = self._d.pick
        self.tables["molecular_tests"].append(
            (
                self.new_id("MO"),
                self._patient_id,
                accession,
                pick(self._gene[gene]),
                pick(self._region[region]),
                variant,
                pick(self._result[result]),
                method,
                ISO[collected],
                ISO[min(reported, EXTRACT_DATE)],
            )
        )

    def drug(
        self,
        kind: str,
        status: str,
        order_id: str,
        text: str,
        code: str,
        route: str,
        dose: str,
        unit: str,
        start: int,
        end: str,
        supply: str,
        intent: str,
    ) -> None:
        """A row of drug_administrations; intent "palliative, later" is never spelt first-line."""
        pick = self._d.pick
        self.tables["drug_administrations"].append(
            (
                self.new_id("DA"),
                self._patient_id,
                pick(self._record_type[kind]),
                pick(self._record_status[status]),
                order_id,
                text,
                code,
                pick(self._route[route]),
                dose,
                unit,
                ISO[start],
                end,
                supply,
                pick(self._intent[intent]),
                self._recorded(start),
            )
        )

    def procedure(self, kind: str, organ: str, text: str, code: str, day: int) -> None:
        """A row of procedures."""
        pick = self._d.pick
        self.tables["procedures"].append(
            (
                self.new_id("PC"),
                self._patient_id,
                pick(self._procedure[kind]),
                pick(self._procedure_organ[organ]),
                text,
                code,
                ISO[day],
                self._recorded(day),
            )
        )

    def assessment(
        self,
        day: int,
        modality: str,
        timepoint: str,
        target: str,
        non_target: str,
        new: str,
        overall: str,
    ) -> str:
        """A row of tumour_assessments; returns its number."""
        number = self.new_id("TA")
        pick = self._d.pick
        self.tables["tumour_assessments"].append(
            (
                number,
                self._patient_id,
                ISO[day],
                pick(self._modality[modality]),
                "RECIST 1.1",
                pick(self._timepoint[timepoint]),
                target,
                non_target,
                pick(self._new_lesion[new]),
                pick(self._overall[overall]),
                self._reported(day),
            )
        )
        return number

    def lesion(
        self,
        assessment_id: str,
        lesion_id: str,
        role: str,
        organ: str,
        node: bool,
        longest: str,
        short: str,
        status: str,
        day: int,
    ) -> None:
        """A row of lesion_measurements."""
        pick = self._d.pick
        self.tables["lesion_measurements"].append(
            (
                self.new_id("LM"),
                self._patient_id,
                assessment_id,
                lesion_id,
                pick(self._lesion_role[role]),
                pick(self._lesion_organ[organ]),
                pick(self._is_node["yes" if node else "no"]),
                longest,
                short,
                pick(self._lesion_status[status]),
                ISO[day],
            )
        )

    def adverse_event(
        self, term: str, version: str, grade: int, onset: int, end: int, attribution: str
    ) -> None:
        """A row of adverse_events; `end` 0 is an event without an end."""
        pick = self._d.pick
        self.tables["adverse_events"].append(
            (
                self.new_id("AE"),
                self._patient_id,
                term,
                pick(self._ctcae[version]),
                pick(self._grade[str(grade)]),
                ISO[onset],
                ISO[end] if end else "",
                pick(self._attribution[attribution]),
                self._recorded(onset),
            )
        )

    def performance(self, scale: str, score: int, day: int) -> None:
        """A row of performance_status."""
        self.tables["performance_status"].append(
            (
                self.new_id("PS"),
                self._patient_id,
                self._d.pick(self._scale[scale]),
                str(score),
                ISO[day],
                self._recorded(day),
            )
        )

    def comorbidity(
        self, icd10: str, text: str, severity: str, onset_text: str, recorded: int
    ) -> None:
        """A row of comorbidities."""
        self.tables["comorbidities"].append(
            (
                self.new_id("CO"),
                self._patient_id,
                icd10,
                text,
                self._d.pick(self._severity[severity]),
                onset_text,
                ISO[recorded],
            )
        )

    def encounter(self, kind: str, start: int, end: int, department: str, reviewed: str) -> None:
        """A row of encounters."""
        pick = self._d.pick
        self.tables["encounters"].append(
            (
                self.new_id("EN"),
                self._patient_id,
                pick(self._encounter[kind]),
                ISO[start],
                ISO[end],
                department,
                pick(self._reviewed[reviewed]),
            )
        )

    def vital(
        self, status: str, contact: int, death_text: str, cause: str, source: str, recorded: int
    ) -> None:
        """A row of vital_status."""
        pick = self._d.pick
        self.tables["vital_status"].append(
            (
                self.new_id("VS"),
                self._patient_id,
                pick(self._status[status]),
                ISO[contact],
                death_text,
                pick(self._cause[cause]),
                pick(self._source[source]),
                self._recorded(min(recorded, EXTRACT_DATE)),
            )
        )

    def consent(self, purpose: str, decision: str, day: int) -> None:
        """A row of consent."""
        pick = self._d.pick
        self.tables["consent"].append(
            (
                self.new_id("CN"),
                self._patient_id,
                pick(self._purpose[purpose]),
                pick(self._decision[decision]),
                ISO[day],
            )
        )
