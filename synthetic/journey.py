"""Writes one patient's course into every table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from synthetic import pathology, safety, treatment, tumour
from synthetic.days import EXTRACT_DATE, ISO, month_text, year_text
from synthetic.draws import Draws
from synthetic.pathology import Specimen
from synthetic.records import Scribe
from synthetic.regimens import TRIAL_TEXT
from synthetic.timeline import Patient

_HISTOLOGY: Final[dict[str, tuple[str, ...]]] = {
    "8140/3": ("腺癌", "adenocarcinoma", "腺癌, NOS"),
    "8210/3": ("腺瘤性息肉中的腺癌", "adenocarcinoma in adenomatous polyp"),
    "8211/3": ("管状腺癌", "tubular adenocarcinoma"),
    "8261/3": ("绒毛状腺瘤中的腺癌", "adenocarcinoma in villous adenoma"),
    "8263/3": ("管状绒毛状腺瘤中的腺癌", "adenocarcinoma in tubulovillous adenoma"),
    "8480/3": ("黏液腺癌", "mucinous adenocarcinoma"),
    "8481/3": ("产黏液腺癌", "mucin-producing adenocarcinoma"),
    "8490/3": ("印戒细胞癌", "signet ring cell carcinoma"),
    "8240/3": ("神经内分泌瘤 G1", "neuroendocrine tumour, G1"),
    "8246/3": ("神经内分泌癌", "neuroendocrine carcinoma"),
    "8013/3": ("大细胞神经内分泌癌", "large cell neuroendocrine carcinoma"),
    "8936/3": ("胃肠道间质瘤", "gastrointestinal stromal tumour"),
    "8070/3": ("鳞状细胞癌", "squamous cell carcinoma"),
    "8145/3": ("弥漫型胃癌", "carcinoma, diffuse type"),
    "8500/3": ("浸润性导管癌", "infiltrating duct carcinoma"),
    "8170/3": ("肝细胞癌", "hepatocellular carcinoma"),
}
_GRADE_TEXT: Final = {"poor": "低分化", "moderate": "中分化", "well": "高分化"}

_HARMLESS: Final = (
    ("I10", "原发性高血压"),
    ("I10", "高血压病2级"),
    ("E11.9", "2型糖尿病"),
    ("E78.5", "高脂血症"),
    ("K29.5", "慢性胃炎"),
    ("I25.1", "冠状动脉粥样硬化"),
    ("K76.0", "脂肪肝"),
    ("E04.1", "甲状腺结节"),
    ("M19.9", "骨关节炎"),
    ("N18.2", "慢性肾脏病2期"),
    ("K80.2", "胆囊结石"),
    ("B18.1", "慢性乙型肝炎"),
)
_SERIOUS: Final = (
    ("I50.9", "心力衰竭"),
    ("I21.9", "急性心肌梗死"),
    ("I42.0", "扩张型心肌病"),
    ("J44.9", "慢性阻塞性肺疾病"),
    ("J84.1", "间质性肺纤维化"),
    ("J96.1", "慢性呼吸衰竭"),
    ("K74.6", "肝硬化"),
    ("K72.1", "慢性肝衰竭"),
    ("N18.5", "慢性肾脏病5期"),
    ("N18.4", "慢性肾脏病4期"),
    ("M32.9", "系统性红斑狼疮"),
    ("B20", "HIV病"),
)
_LATE_SERIOUS: Final = ("I50.9", "心力衰竭, 治疗后新发")

_RESECTIONS: Final = {
    "right": (("腹腔镜右半结肠切除术", "45.73"), ("右半结肠切除术, 开腹", "45.73")),
    "left": (
        ("腹腔镜乙状结肠切除术", "45.76"),
        ("左半结肠切除术", "45.75"),
        ("直肠前切除术 (Dixon)", "48.63"),
        ("LAR, laparoscopic", "48.63"),
    ),
}
_METASTASECTOMIES: Final = {
    "liver": ("肝转移瘤切除术", "50.22"),
    "lung": ("胸腔镜肺楔形切除术", "32.20"),
    "ovary": ("双侧附件切除术", "65.61"),
    "peritoneum": ("腹膜肿物切除术", "54.4"),
}
_REVIEW_DAYS: Final = 25
"""Most days from the review of the problem list to the first dose."""


@dataclass(slots=True)
class Tally:
    """What was planted in a block besides rows."""

    unmapped: dict[str, int] = field(default_factory=dict)
    trial: dict[str, int] = field(default_factory=dict)
    partial: dict[str, int] = field(default_factory=dict)

    @staticmethod
    def count(where: dict[str, int], key: str) -> None:
        """One more of `key`."""
        where[key] = where.get(key, 0) + 1


def write_patient(scribe: Scribe, patient: Patient, tally: Tally, d: Draws) -> None:
    """Every row of one patient."""
    scribe.begin(patient.number, patient.patient_id)
    registered = min(patient.diagnosis_day + d.below(4), patient.last_day)
    scribe.patient(patient.sex, patient.birth_text, registered)
    diagnosis_id = scribe.diagnosis(
        patient.diagnosis_day,
        patient.diagnosis_text,
        patient.topography,
        patient.morphology,
        _histology(patient, d),
        patient.differentiation,
        patient.stage,
    )
    _count_partial_dates(patient, tally)
    further: list[tuple[str, int]] = []
    if patient.lines:
        assert patient.baseline_day is not None
        removed = (
            patient.resection_day is not None and patient.resection_day <= patient.baseline_day
        )
        further = tumour.write_scans(scribe, patient, patient.baseline_day, not removed, d)
    for organ, day in patient.organs + further:
        method = "imaging" if d.chance(0.8) else d.pick(("pathology", "surgery", ""))
        scribe.metastasis(diagnosis_id, organ, day, method)
    _write_specimens(scribe, patient, d)
    treatment.write_lines(scribe, patient, d)
    _write_unmapped(scribe, patient, tally, d)
    _write_procedures(scribe, patient, d)
    if patient.lines:
        _write_events(scribe, patient, d)
    _write_performance(scribe, patient, d)
    _write_comorbidities(scribe, patient, registered, d)
    _write_encounters(scribe, patient, registered, d)
    _write_vital_status(scribe, patient, d)
    _write_consent(scribe, patient, registered, d)


def _count_partial_dates(patient: Patient, tally: Tally) -> None:
    for column, text in (
        ("patients.birth_date", patient.birth_text),
        ("diagnoses.diagnosis_date", patient.diagnosis_text),
        ("vital_status.death_date", patient.death_text),
    ):
        if text and len(text) < 10:
            tally.count(tally.partial, column)


def _histology(patient: Patient, d: Draws) -> str:
    text = d.pick(_HISTOLOGY[patient.morphology])
    grade = _GRADE_TEXT.get(patient.differentiation)
    return grade + text if grade and text == "腺癌" else text


# -- tissue ---------------------------------------------------------------------------------------


def _write_specimens(scribe: Scribe, patient: Patient, d: Draws) -> None:
    """Biopsy, resection and now and then a metastasis, with HER2, RAS and BRAF results."""
    biopsy = Specimen(
        scribe.accession(patient.diagnosis_day), "primary", "biopsy", patient.diagnosis_day
    )
    specimens = [biopsy]
    if patient.detailed or patient.resection_day is None or d.chance(0.6):
        pathology.write_plain_report(scribe, biopsy, d)
    if patient.resection_day is not None:
        resected = Specimen(
            scribe.accession(patient.resection_day), "primary", "resection", patient.resection_day
        )
        specimens.append(resected)
        pathology.write_plain_report(scribe, resected, d)
    reference = patient.first_dose or patient.index_day or patient.diagnosis_day
    latest = max(min(patient.busy_until, EXTRACT_DATE) - 1, patient.diagnosis_day + 3)
    tested = specimens[-1] if specimens[-1].collected <= reference else biopsy
    _write_her2(scribe, patient, tested, biopsy, reference, latest, d)
    _write_ras(scribe, patient, tested, biopsy, reference, latest, d)


def _write_her2(
    scribe: Scribe,
    patient: Patient,
    tested: Specimen,
    biopsy: Specimen,
    reference: int,
    latest: int,
    d: Draws,
) -> None:
    kind, _, by_fish = patient.her2.partition(" by ")
    if kind == "untested":
        return
    deadline = latest
    for line in patient.lines:
        if "trastuzumab" in line.regimen.drugs or "pertuzumab" in line.regimen.drugs:
            deadline = min(deadline, line.start - 2)
    wished = max(reference + d.between(-20, 120), tested.collected + 4)
    if kind in ("positive", "patchy"):
        if patient.detailed and kind == "positive" and tested is not biopsy and d.chance(0.2):
            _write_earlier_test(scribe, biopsy, deadline, d)
        pathology.write_her2_positive(
            scribe, tested, wished, deadline, bool(by_fish), kind == "positive", d
        )
        if patient.detailed and d.chance(0.2):
            _write_metastasis_test(scribe, patient, kind == "positive", latest, d)
    elif kind == "negative":
        pathology.write_her2_negative(scribe, tested, min(wished, latest - 12), d)
    elif kind == "equivocal":
        pathology.write_her2_unknown(scribe, tested, min(wished, latest), d)


def _write_earlier_test(scribe: Scribe, biopsy: Specimen, deadline: int, d: Draws) -> None:
    """A first test of the biopsy that was not positive; the resected tumour's is."""
    day = min(biopsy.collected + d.between(4, 9), deadline)
    result = d.pick((("0", "0"), ("1+", "20"), ("2+", "30")))
    scribe.pathology(
        biopsy.accession,
        biopsy.site,
        biopsy.kind,
        biopsy.collected,
        day,
        pathology.ihc(*result, d),
    )


def _write_metastasis_test(
    scribe: Scribe, patient: Patient, widespread: bool, latest: int, d: Draws
) -> None:
    """The same finding in a metastasis biopsied later."""
    assert patient.index_day is not None
    collected = patient.index_day + d.below(5)
    if latest - collected < 12:
        return
    specimen = Specimen(scribe.accession(collected), "metastasis", "biopsy", collected)
    pathology.write_her2_positive(
        scribe, specimen, collected + d.between(6, 90), latest, False, widespread, d
    )


def _write_ras(
    scribe: Scribe,
    patient: Patient,
    tested: Specimen,
    biopsy: Specimen,
    reference: int,
    latest: int,
    d: Draws,
) -> None:
    if patient.ras == "untested":
        return
    day = max(min(reference + d.between(-15, 40), latest), tested.collected + 3)
    specimen = tested
    if patient.lines and {"cetuximab", "vemurafenib"} & set(patient.lines[0].regimen.drugs):
        specimen = biopsy
        day = max(min(day, reference - 1), biopsy.collected + 3)
    if patient.ras == "KRAS only":
        pathology.write_kras_only(scribe, specimen, day)
        return
    missing = frozenset({("NRAS", "exon 4")}) if patient.ras == "no NRAS exon 4" else frozenset()
    gene = patient.mutated_gene if patient.ras == "mutant" else None
    pathology.write_panel(scribe, specimen, day, gene, d, missing, patient.detailed)


# -- treatment beside the lines -------------------------------------------------------------------


def _write_unmapped(scribe: Scribe, patient: Patient, tally: Tally, d: Draws) -> None:
    """Texts that name no known drug: traditional medicine, and a trial's unnamed drug."""
    if not patient.lines:
        return
    if d.chance(0.025):
        first = patient.lines[0]
        day = min(first.start + d.between(3, 30), patient.busy_until)
        tally.count(tally.unmapped, treatment.write_herbal(scribe, day, d))
    last = patient.lines[-1]
    if not patient.detailed and d.chance(0.012) and patient.busy_until - last.end > 60:
        cycles = [last.end + 10, last.end + 31]
        for _ in cycles:
            tally.count(tally.trial, TRIAL_TEXT)
        treatment.write_trial_drug(scribe, cycles)


def _write_procedures(scribe: Scribe, patient: Patient, d: Draws) -> None:
    if patient.resection_day is not None:
        right = patient.topography in ("C18.0", "C18.1", "C18.2", "C18.3", "C18.4")
        text, code = d.pick(_RESECTIONS["right" if right else "left"])
        scribe.procedure(
            "primary_resection",
            "colorectum",
            text,
            code if d.chance(0.8) else "",
            patient.resection_day,
        )
    if patient.irradiated_day is not None:
        scribe.procedure(
            "radiotherapy", "colorectum", "直肠癌术前放疗", "92.24", patient.irradiated_day
        )
    organs = [organ for organ, _ in patient.organs]
    if patient.metastasectomy_day is not None:
        removable = [organ for organ in organs if organ in _METASTASECTOMIES]
        organ = removable[0] if removable else "other"
        text, code = _METASTASECTOMIES.get(organ, ("转移灶切除术", ""))
        scribe.procedure("metastasectomy", organ, text, code, patient.metastasectomy_day)
    for kind, day in patient.local_therapies:
        if kind == "hepatic_artery_infusion":
            scribe.procedure(kind, "liver", "经肝动脉灌注化疗 (HAIC)", "38.91", day)
            treatment.write_arterial_infusion(scribe, day, d)
        elif kind == "ablation":
            organ = "liver" if "liver" in organs else "lung"
            scribe.procedure(kind, organ, d.pick(("射频消融术", "微波消融术 MWA")), "50.24", day)
        else:
            organ = next(
                (o for o in organs if o in ("bone", "brain", "lung", "liver")), "colorectum"
            )
            scribe.procedure(
                kind, organ, d.pick(("放射治疗, IMRT", "SBRT 立体定向放疗")), "92.24", day
            )


def _write_events(scribe: Scribe, patient: Patient, d: Draws) -> None:
    if not patient.detailed:
        safety.write_usual(scribe, patient, 0, 2, d)
        return
    safety.write_counted(scribe, patient, patient.events, d)
    if patient.ras == "mutant":
        safety.write_usual(scribe, patient, 0, 3, d)
    else:
        safety.write_usual(scribe, patient, 1, 2, d)
    safety.write_uncounted(scribe, patient, d)


# -- the patient ----------------------------------------------------------------------------------


def _write_performance(scribe: Scribe, patient: Patient, d: Draws) -> None:
    """ECOG before the first dose; later visits by ECOG or Karnofsky, usually worse."""
    first = patient.first_dose
    if first is None:
        day = patient.index_day or patient.diagnosis_day + 3
        if day <= patient.busy_until and d.chance(0.7):
            scribe.performance("ECOG", patient.ecog, day)
        return
    assert patient.baseline_day is not None
    scribe.performance("ECOG", patient.ecog, d.between(patient.baseline_day, first))
    for line in patient.lines:
        day = min(line.end + 2, patient.busy_until)
        if day - first < 35 or not d.chance(0.7 if patient.detailed else 0.4):
            continue
        score = min(patient.ecog + d.pick((0, 0, 1, 1, 2)), 4)
        if d.chance(0.3):
            scribe.performance("KPS", (90, 80, 60, 40, 20)[score], day)
        else:
            scribe.performance("ECOG", score, day)


def _write_comorbidities(scribe: Scribe, patient: Patient, registered: int, d: Draws) -> None:
    if patient.serious_illness:
        code, text = d.pick(_SERIOUS)
        onset = patient.diagnosis_day - d.between(400, 3000)
        onset_text = d.pick((ISO[onset], month_text(onset), year_text(onset)))
        scribe.comorbidity(code, text, d.pick(("severe", "moderate")), onset_text, registered)
    if d.chance(0.42):
        for code, text in d.sample(_HARMLESS, d.pick((1, 1, 1, 2, 3))):
            onset = patient.diagnosis_day - d.between(30, 4000)
            onset_text = d.pick(
                (ISO[onset], month_text(onset), year_text(onset), year_text(onset), "")
            )
            scribe.comorbidity(
                code, text, d.pick(("mild", "mild", "moderate")), onset_text, registered
            )
    first = patient.first_dose
    if (
        first is not None
        and patient.detailed
        and patient.busy_until - first > 400
        and d.chance(0.05)
    ):
        onset = d.between(first + 200, patient.busy_until)
        scribe.comorbidity(*_LATE_SERIOUS, "severe", ISO[onset], onset)


def _write_encounters(scribe: Scribe, patient: Patient, registered: int, d: Draws) -> None:
    scribe.encounter(
        "outpatient", registered, registered, "胃肠外科门诊", d.pick(("no", "", "yes"))
    )
    if patient.resection_day is not None:
        stay = min(patient.resection_day + d.between(5, 12), patient.busy_until)
        scribe.encounter("inpatient", patient.resection_day - 2, stay, "胃肠外科", "")
    first = patient.first_dose
    if first is not None:
        day = d.between(max(first - _REVIEW_DAYS, patient.index_day or first), first - 1)
        scribe.encounter(
            d.pick(("inpatient", "outpatient")),
            day,
            min(day + d.below(3), first),
            "消化肿瘤内科",
            "yes",
        )
    for line in patient.lines:
        for day in line.cycles[:: 3 if patient.detailed else 2]:
            kind = d.pick(("day_case", "inpatient"))
            stay = 0 if kind == "day_case" else d.between(1, 3)
            scribe.encounter(
                kind,
                day,
                min(day + stay, patient.busy_until),
                "消化肿瘤内科",
                d.pick(("", "no", "yes")),
            )
    if not patient.lines:
        for _ in range(d.between(1, 3)):
            day = d.between(registered, patient.busy_until)
            scribe.encounter("outpatient", day, day, "肿瘤内科门诊", "")


def _write_vital_status(scribe: Scribe, patient: Patient, d: Draws) -> None:
    """Contacts over time, the last one the latest fact."""
    start = patient.first_dose or patient.index_day or patient.diagnosis_day
    for _ in range(d.between(1, 2)):
        day = d.between(start, patient.busy_until)
        scribe.vital("alive", day, "", "", d.pick(("hospital", "telephone")), day)
    if patient.died:
        cause = d.pick(("cancer", "cancer", "cancer", "cancer", "other", "unknown"))
        if patient.detailed:
            cause = "cancer"
        scribe.vital(
            "dead",
            patient.busy_until,
            patient.death_text,
            cause,
            d.pick(("hospital", "registry", "telephone")),
            patient.last_day + d.below(8),
        )
    else:
        scribe.vital("alive", patient.last_day, "", "", "telephone", patient.last_day)


def _write_consent(scribe: Scribe, patient: Patient, registered: int, d: Draws) -> None:
    scribe.consent("care", "given", registered)
    later = min(registered + d.below(30), patient.busy_until)
    if patient.consents:
        scribe.consent("research", "given", later)
    elif d.chance(0.5):
        scribe.consent("research", "refused", later)
    else:
        scribe.consent("research", "given", later)
        scribe.consent("research", "withdrawn", d.between(later + 1, patient.busy_until))
