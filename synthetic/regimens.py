"""Drugs as the hospital writes them, regimens, and the study's regimen tables.

Sources: regimen counts are Tables 2 and 3 of the study (Chinese single-centre HER2-positive
metastatic colorectal cancer, 63 patients); doses are label doses at 1.7 m2 or 65 kg.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from synthetic.days import day_of


@dataclass(frozen=True, slots=True)
class Drug:
    """One ingredient, as ordered, given or dispensed.

    `atc` as in force when the extract was drawn (March 2021). `supply` is the days that one
    dispensing covers; 0 for infusions. `group` names the drugs that replace each other without a
    change of treatment; `targeted` drugs may be added to a running line.
    """

    name: str
    texts: tuple[str, ...]
    atc: str
    doses: tuple[str, ...]
    unit: str = "mg"
    supply: int = 0
    group: str = ""
    targeted: bool = False
    pump_days: int = 0
    available: int = 0


def _drugs(*drugs: Drug) -> dict[str, Drug]:
    return {drug.name: drug for drug in drugs}


FLUOROPYRIMIDINE: Final = "fluoropyrimidine"

DRUGS: Final = _drugs(
    Drug(
        "fluorouracil",
        (
            "氟尿嘧啶注射液 0.25g",
            "5-FU 0.25g inj",
            "５－ＦＵ 500mg",
            "Fluorouracil Injection 250mg:10ml",
            "5FU 泵入 46h",
        ),
        "L01BC02",
        ("4000", "4800", "4750", "3900"),
        group=FLUOROPYRIMIDINE,
        pump_days=2,
    ),
    Drug(
        "capecitabine",
        (
            "卡培他滨片(希罗达) 0.5g*12",
            "卡培他滨片 0.5g",
            "Xeloda 500mg tab",
            "capecitabine tablets 0.15g",
            "希罗达 XELODA 0.5g×120",
        ),
        "L01BC06",
        ("3000", "3500", "2500"),
        supply=14,
        group=FLUOROPYRIMIDINE,
    ),
    Drug(
        "tegafur",
        ("替加氟注射液 0.2g:5ml", "FT-207 1.0g", "注射用替加氟 0.5g", "ＦＴ２０７ 注射液"),
        "L01BC03",
        ("1000",),
        group=FLUOROPYRIMIDINE,
    ),
    Drug(
        "s1",
        ("替吉奥胶囊 20mg*42", "S-1 (TS-1) 25mg cap", "替吉奥胶囊(维康达) 20mg", "ＴＳ－１ 25mg"),
        "L01BC53",
        ("80", "100", "120"),
        supply=14,
        group=FLUOROPYRIMIDINE,
    ),
    Drug(
        "leucovorin",
        ("亚叶酸钙注射液 0.1g", "Calcium Folinate 100mg", "CF 0.3g ivgtt", "LV 400mg"),
        "V03AF03",
        ("600", "680", "700"),
    ),
    Drug(
        "oxaliplatin",
        (
            "注射用奥沙利铂 150mg",
            "注射用奥沙利铂 50mg",
            "L-OHP 150mg",
            "乐沙定 Eloxatin 50mg",
            "奥沙利铂(艾恒) 50mg",
            "草酸铂 100mg inj",
            "ＬＯＨＰ 100mg",
        ),
        "L01XA03",
        ("150", "200", "220"),
        group="oxaliplatin",
    ),
    Drug(
        "irinotecan",
        (
            "盐酸伊立替康注射液 40mg:2ml",
            "ＣＰＴ－１１ 100mg",
            "CPT-11 40mg",
            "Campto 开普拓 100mg",
            "注射用盐酸伊立替康(艾力) 40mg",
            "irinotecan HCl 0.1g",
        ),
        "L01XX19",
        ("280", "300", "320"),
        group="irinotecan",
    ),
    Drug(
        "raltitrexed",
        ("注射用雷替曲塞 2mg", "Tomudex 2mg", "雷替曲塞(赛维健) 2mg"),
        "L01BA03",
        ("4", "5"),
        group="raltitrexed",
    ),
    Drug(
        "tas102",
        ("曲氟尿苷替匹嘧啶片 20mg", "TAS-102 15mg tab", "Lonsurf 20mg 朗斯弗"),
        "L01BC59",
        ("120",),
        supply=28,
        group="tas102",
        available=day_of(date(2019, 9, 1)),
    ),
    Drug(
        "bevacizumab",
        (
            "贝伐珠单抗注射液 100mg:4ml",
            "安维汀 Avastin 400mg:16ml",
            "BEV 100mg",
            "Bevacizumab 400mg",
        ),
        "L01XC07",
        ("400", "450", "500"),
        group="bevacizumab",
        targeted=True,
    ),
    Drug(
        "cetuximab",
        ("西妥昔单抗注射液 100mg:20ml", "爱必妥 Erbitux 100mg", "C225 100mg", "ERBITUX 5mg/ml"),
        "L01XC06",
        ("800", "850"),
        group="anti-EGFR",
        targeted=True,
    ),
    Drug(
        "trastuzumab",
        ("Herceptin 440mg 赫赛汀", "注射用曲妥珠单抗 440mg", "赫赛汀 0.44g", "trastuzumab 150mg"),
        "L01XC03",
        ("390", "400", "440"),
        group="trastuzumab",
        targeted=True,
    ),
    Drug(
        "pertuzumab",
        ("帕妥珠单抗注射液 420mg:14ml", "Perjeta 帕捷特 420mg"),
        "L01XC13",
        ("420",),
        group="pertuzumab",
        targeted=True,
        available=day_of(date(2018, 12, 17)),
    ),
    Drug(
        "vemurafenib",
        ("维莫非尼片 240mg", "Zelboraf 佐博伏 240mg"),
        "L01EC01",
        ("1920",),
        supply=21,
        group="vemurafenib",
        targeted=True,
        available=day_of(date(2017, 3, 22)),
    ),
    Drug(
        "regorafenib",
        ("瑞戈非尼片(拜万戈) 40mg", "Stivarga 40mg"),
        "L01XE21",
        ("120", "160"),
        supply=21,
        group="regorafenib",
        targeted=True,
        available=day_of(date(2017, 6, 1)),
    ),
    Drug(
        "fruquintinib",
        ("呋喹替尼胶囊(爱优特) 5mg", "呋喹替尼 Elunate 5mg"),
        "L01EK04",
        ("5",),
        supply=21,
        group="fruquintinib",
        targeted=True,
        available=day_of(date(2018, 11, 25)),
    ),
    Drug(
        "pembrolizumab",
        ("Keytruda 可瑞达 100mg", "pembrolizumab 100mg inj"),
        "L01XC18",
        ("200",),
        group="pembrolizumab",
        targeted=True,
        available=day_of(date(2018, 9, 1)),
    ),
    Drug(
        "nivolumab",
        ("Opdivo 欧狄沃 100mg", "nivolumab 240mg"),
        "L01XC17",
        ("240",),
        group="nivolumab",
        targeted=True,
        available=day_of(date(2018, 8, 28)),
    ),
)

SUPPORTIVE: Final = _drugs(
    Drug("ondansetron", ("昂丹司琼注射液 8mg", "盐酸昂丹司琼 ondansetron 4mg"), "A04AA01", ("8",)),
    Drug(
        "dexamethasone", ("地塞米松磷酸钠注射液 5mg", "dexamethasone 10mg inj"), "H02AB02", ("10",)
    ),
    Drug("pegfilgrastim", ("聚乙二醇化重组人粒细胞刺激因子 pegfilgrastim 6mg",), "L03AA13", ("6",)),
)

HERBAL_TEXTS: Final = ("参芪扶正注射液 250ml", "复方苦参注射液 15ml")
"""Traditional medicines that no drug dictionary maps."""

TRIAL_TEXT: Final = "临床试验药物"
"""'Drug of a clinical trial': an antineoplastic whose name the record does not know."""


@dataclass(frozen=True, slots=True)
class Regimen:
    """Drugs given together, every `cycle` days."""

    name: str
    drugs: tuple[str, ...]
    cycle: int

    def plus(self, *others: str) -> Regimen:
        """The same regimen with further drugs from its first day."""
        return Regimen(" + ".join((self.name, *others)), self.drugs + others, self.cycle)

    @property
    def groups(self) -> frozenset[str]:
        """Interchange groups of its drugs; leucovorin belongs to none."""
        return frozenset(DRUGS[drug].group for drug in self.drugs) - {""}

    @property
    def chemo_groups(self) -> frozenset[str]:
        """Interchange groups of its chemotherapy."""
        return frozenset(DRUGS[drug].group for drug in self.drugs if not DRUGS[drug].targeted) - {
            ""
        }

    @property
    def available(self) -> int:
        """First day on which the hospital can give all of it."""
        return max(DRUGS[drug].available for drug in self.drugs)


def _regimens(*regimens: Regimen) -> dict[str, Regimen]:
    return {regimen.name: regimen for regimen in regimens}


BACKBONES: Final = _regimens(
    Regimen("XELIRI", ("capecitabine", "irinotecan"), 21),
    Regimen("XELOX", ("capecitabine", "oxaliplatin"), 21),
    Regimen("XELOXIRI", ("capecitabine", "oxaliplatin", "irinotecan"), 21),
    Regimen("FOLFIRI", ("fluorouracil", "leucovorin", "irinotecan"), 14),
    Regimen("FOLFOX", ("fluorouracil", "leucovorin", "oxaliplatin"), 14),
    Regimen("FOLFOXIRI", ("fluorouracil", "leucovorin", "oxaliplatin", "irinotecan"), 14),
    Regimen("5-FU/LV", ("fluorouracil", "leucovorin"), 14),
    Regimen("L-OHP+FT207", ("oxaliplatin", "tegafur"), 21),
    Regimen("Tomudex", ("raltitrexed",), 21),
    Regimen("Tomudex+L-OHP", ("raltitrexed", "oxaliplatin"), 21),
    Regimen("Tomudex+CPT-11", ("raltitrexed", "irinotecan"), 21),
    Regimen("CPT-11", ("irinotecan",), 21),
    Regimen("CPT-11+S1", ("irinotecan", "s1"), 21),
    Regimen("CPT-11+S1+vemurafenib", ("irinotecan", "s1", "vemurafenib"), 21),
    Regimen("XELOXIRI+pertuzumab", ("capecitabine", "oxaliplatin", "irinotecan", "pertuzumab"), 21),
    Regimen("S1", ("s1",), 21),
    Regimen("SOX", ("oxaliplatin", "s1"), 21),
    Regimen("Xeloda", ("capecitabine",), 21),
    Regimen("TAS-102", ("tas102",), 28),
    Regimen("regorafenib", ("regorafenib",), 28),
    Regimen("fruquintinib", ("fruquintinib",), 28),
)

GROUP_ADDS: Final[dict[str, tuple[str, ...]]] = {
    "chemotherapy alone": (),
    "plus bevacizumab": ("bevacizumab",),
    "plus cetuximab": ("cetuximab",),
    "plus trastuzumab": ("trastuzumab",),
}
"""What each first-line group adds to its backbone."""

FIRST_LINE: Final[dict[tuple[str, str], dict[str, int]]] = {
    ("wild type", "chemotherapy alone"): {
        "XELIRI": 2,
        "FOLFOXIRI": 2,
        "FOLFOX": 2,
        "XELOX": 23,
        "XELOXIRI": 1,
        "L-OHP+FT207": 1,
    },
    ("wild type", "plus bevacizumab"): {"FOLFIRI": 1, "FOLFOX": 1, "XELOX": 8, "XELOXIRI": 2},
    ("wild type", "plus cetuximab"): {
        "XELIRI": 1,
        "FOLFOXIRI": 2,
        "FOLFOX": 3,
        "Tomudex": 1,
        "CPT-11+S1": 1,
    },
    ("wild type", "plus trastuzumab"): {"CPT-11": 2, "S1": 1},
    ("mutant", "chemotherapy alone"): {"FOLFIRI": 1, "FOLFOX": 2},
    ("mutant", "plus bevacizumab"): {"XELOX": 4},
    ("mutant", "plus cetuximab"): {"CPT-11+S1+vemurafenib": 1},
    ("mutant", "plus trastuzumab"): {"XELOXIRI+pertuzumab": 1},
}
"""Patients by RAS/BRAF status, first-line group and backbone: the study's Table 3."""

TRASTUZUMAB_LINES: Final[dict[int, dict[str, int]]] = {
    1: {"CPT-11": 2, "S1": 1},
    2: {"CPT-11": 13, "XELOX": 1, "XELIRI": 1, "Xeloda": 1},
    3: {"CPT-11": 7, "XELOX": 1, "Xeloda": 1},
    4: {"CPT-11": 3, "CPT-11+S1": 1, "SOX": 1},
}
"""Patients by line of trastuzumab and backbone: the study's Table 2."""

TRASTUZUMAB_RESPONSES: Final[dict[int, dict[str, int]]] = {
    1: {"PR": 1, "SD": 2, "PD": 0},
    2: {"PR": 4, "SD": 10, "PD": 2},
    3: {"PR": 0, "SD": 6, "PD": 3},
    4: {"PR": 0, "SD": 2, "PD": 3},
}
"""Best responses in the trastuzumab line: the counts of the study's Table 4."""


def first_line(ras_braf: str, group: str, backbone: str) -> Regimen:
    """The first-line regimen of a Table 3 cell.

    The mutant patient of the trastuzumab group received pertuzumab, not trastuzumab.
    """
    if (ras_braf, group) == ("mutant", "plus trastuzumab"):
        return BACKBONES[backbone]
    return BACKBONES[backbone].plus(*GROUP_ADDS[group])


def brings_new_chemo(regimen: Regimen, previous: Regimen) -> bool:
    """Whether some chemotherapy of `regimen` has no interchangeable drug in `previous`."""
    return bool(regimen.chemo_groups - previous.groups)


_WITHOUT_EGFR: Final = tuple(
    BACKBONES[name].plus(*adds)
    for name, adds in (
        ("FOLFIRI", ("bevacizumab",)),
        ("FOLFIRI", ()),
        ("XELIRI", ("bevacizumab",)),
        ("XELIRI", ()),
        ("CPT-11", ()),
        ("CPT-11+S1", ()),
        ("XELOX", ("bevacizumab",)),
        ("XELOX", ()),
        ("FOLFOX", ("bevacizumab",)),
        ("FOLFOX", ()),
        ("SOX", ()),
        ("Tomudex", ()),
        ("Tomudex+L-OHP", ()),
        ("Tomudex+CPT-11", ()),
        ("TAS-102", ()),
    )
)
_WITH_EGFR: Final = (
    BACKBONES["CPT-11"].plus("cetuximab"),
    BACKBONES["FOLFIRI"].plus("cetuximab"),
)
_KINASE_INHIBITORS: Final = (BACKBONES["regorafenib"], BACKBONES["fruquintinib"])

LATE_ADDITION_DAYS: Final = 180
"""A targeted drug begun later than this after a line's start always begins a new line."""


def later_line_options(
    previous: Regimen, start: int, since_previous_start: int, anti_egfr_allowed: bool
) -> list[Regimen]:
    """Regimens that unmistakably begin a new line after `previous`, available on day `start`.

    Each brings chemotherapy that `previous` did not have, or is a kinase inhibitor that starts
    too late to be an addition to it.
    """
    options = [
        regimen
        for regimen in (_WITHOUT_EGFR + _WITH_EGFR if anti_egfr_allowed else _WITHOUT_EGFR)
        if regimen.available <= start and brings_new_chemo(regimen, previous)
    ]
    if since_previous_start > LATE_ADDITION_DAYS + 10:
        options += [
            regimen
            for regimen in _KINASE_INHIBITORS
            if regimen.available <= start and not regimen.groups & previous.groups
        ]
    return options
