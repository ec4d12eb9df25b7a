"""Specimens: histology, HER2 by immunohistochemistry and in-situ hybridisation, RAS and BRAF.

HER2 positive is, as in the study, IHC 3+ in at least 50% of cells, or IHC 2+ and a HER2:CEP17
ratio of at least 2 in at least 50% of cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from synthetic.days import EXTRACT_DATE
from synthetic.draws import Draws
from synthetic.records import Scribe

Ihc = tuple[str, str, str]
Mutation = tuple[tuple[str, str], str]
"""Gene and region, and the protein change found there."""

Ish = tuple[str, str, str, str, str]

NO_IHC: Final[Ihc] = ("", "", "")

_IHC_METHODS: Final = ("VENTANA 4B5 BenchMark", "HercepTest", "4B5 (罗氏)")
_ISH_METHODS: Final = ("PathVysion FISH", "HER2/CEP17 FISH (安必平)", "INFORM Dual ISH")
_WIDESPREAD: Final = ("50", "60", "70", "80", "80", "90", "90", "95", "100")
_PATCHY: Final = ("10", "15", "20", "30", "40", "45")

PANEL: Final = (
    ("KRAS", "exon 2"),
    ("KRAS", "exon 3"),
    ("KRAS", "exon 4"),
    ("NRAS", "exon 2"),
    ("NRAS", "exon 3"),
    ("NRAS", "exon 4"),
    ("BRAF", "V600E"),
)
"""What has to be tested before a tumour can be called RAS/BRAF wild type."""

_VARIANTS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("KRAS", "exon 2"): ("p.G12D", "p.G12V", "p.G13D", "p.G12C", "p.G12A"),
    ("KRAS", "exon 3"): ("p.Q61H", "p.Q61L"),
    ("KRAS", "exon 4"): ("p.A146T", "p.K117N"),
    ("NRAS", "exon 2"): ("p.G12D",),
    ("NRAS", "exon 3"): ("p.Q61K", "p.Q61R"),
    ("NRAS", "exon 4"): ("p.A146T",),
    ("BRAF", "V600E"): ("p.V600E",),
}
_MUTATED_AT: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "KRAS": (PANEL[0],) * 8 + PANEL[1:3],
    "NRAS": (PANEL[3], PANEL[4], PANEL[4], PANEL[5]),
    "BRAF": (PANEL[6],),
}
_PANEL_METHODS: Final = ("ARMS-PCR", "ARMS-PCR", "NGS 16-gene panel", "Sanger测序")


@dataclass(frozen=True, slots=True)
class Specimen:
    """A piece of tissue and when it was taken."""

    accession: str
    site: str
    kind: str
    collected: int


# -- HER2 results ---------------------------------------------------------------------------------


def ihc(score: str, percent: str, d: Draws) -> Ihc:
    """An immunohistochemistry result with one of the hospital's assays."""
    return (score, percent, d.pick(_IHC_METHODS))


def _ish(her2: float, cep17: float, percent: str, d: Draws) -> Ish:
    return (f"{her2 / cep17:.2f}", f"{her2:.1f}", f"{cep17:.1f}", percent, d.pick(_ISH_METHODS))


def amplified(percent: str, d: Draws) -> Ish:
    """A ratio from 2.2 on, at least four copies."""
    cep17 = round(1.6 + 1.0 * d.u(), 1)
    her2 = round(max(cep17 * (2.3 + 4.5 * d.u()), 4.5), 1)
    return _ish(her2, cep17, percent, d)


def not_amplified(d: Draws) -> Ish:
    """A ratio up to 1.7, fewer than four copies."""
    cep17 = round(1.6 + 0.7 * d.u(), 1)
    return _ish(round(cep17 * (0.9 + 0.7 * d.u()), 1), cep17, d.pick(("0", "5", "10")), d)


def write_her2_positive(
    scribe: Scribe,
    specimen: Specimen,
    wished: int,
    deadline: int,
    by_fish: bool,
    widespread: bool,
    d: Draws,
) -> None:
    """Reports that make a tumour HER2 positive, or (`widespread` False) would in more cells.

    The first comes about day `wished`, the last by `deadline`.
    """
    percent = d.pick(_WIDESPREAD if widespread else _PATCHY)
    earliest = specimen.collected + 3
    if not by_fish:
        day = max(min(wished, deadline), earliest)
        scribe.pathology(
            specimen.accession,
            specimen.site,
            specimen.kind,
            specimen.collected,
            day,
            ihc("3+", percent, d),
        )
        return
    day = max(min(wished, deadline - 8), earliest)
    scored = ihc("2+", d.pick(_WIDESPREAD), d)
    found = amplified(percent, d)
    if d.chance(0.3):
        scribe.pathology(
            specimen.accession,
            specimen.site,
            specimen.kind,
            specimen.collected,
            day,
            scored,
            found,
        )
        return
    scribe.pathology(
        specimen.accession, specimen.site, specimen.kind, specimen.collected, day, scored
    )
    second = max(min(day + d.between(4, 14), deadline), day + 1)
    scribe.pathology(
        specimen.accession,
        specimen.site,
        specimen.kind,
        specimen.collected,
        second,
        scored if d.chance(0.3) else NO_IHC,
        found,
    )


def write_her2_negative(scribe: Scribe, specimen: Specimen, day: int, d: Draws) -> None:
    """IHC 0 or 1+, or 2+ that is not amplified."""
    u = d.u()
    day = max(day, specimen.collected + 3)
    place = (specimen.accession, specimen.site, specimen.kind, specimen.collected)
    if u < 0.5:
        scribe.pathology(*place, day, ihc("0", d.pick(("0", "0", "5", "")), d))
    elif u < 0.85:
        scribe.pathology(*place, day, ihc("1+", d.pick(("10", "20", "30", "60", "")), d))
    else:
        scored = ihc("2+", d.pick(("15", "30", "50", "70")), d)
        if d.chance(0.4):
            scribe.pathology(*place, day, scored, not_amplified(d))
        else:
            scribe.pathology(*place, day, scored)
            scribe.pathology(*place, day + d.between(5, 12), NO_IHC, not_amplified(d))


def write_her2_unknown(scribe: Scribe, specimen: Specimen, day: int, d: Draws) -> None:
    """IHC 2+ that nobody followed by in-situ hybridisation."""
    scribe.pathology(
        specimen.accession,
        specimen.site,
        specimen.kind,
        specimen.collected,
        max(day, specimen.collected + 3),
        ihc("2+", d.pick(("15", "30", "50", "70")), d),
    )


def write_plain_report(scribe: Scribe, specimen: Specimen, d: Draws) -> None:
    """A report of histology only."""
    scribe.pathology(
        specimen.accession,
        specimen.site,
        specimen.kind,
        specimen.collected,
        specimen.collected + d.between(3, 8),
    )


# -- RAS and BRAF ---------------------------------------------------------------------------------


def write_panel(
    scribe: Scribe,
    specimen: Specimen,
    day: int,
    gene: str | None,
    d: Draws,
    leave_out: frozenset[tuple[str, str]] = frozenset(),
    elaborate: bool = False,
) -> None:
    """A test of the whole panel less `leave_out`; `gene` is mutated, or none is.

    `elaborate` adds an older test of KRAS exon 2 alone, a failed assay before its repeat, and
    genes outside the panel, each now and then.
    """
    found = _mutation(gene, d) if gene else None
    method = d.pick(_PANEL_METHODS)
    day = min(max(day, specimen.collected + 3), EXTRACT_DATE)
    if elaborate and d.chance(0.25) and day - specimen.collected > 8 and PANEL[0] not in leave_out:
        _write_region(scribe, specimen, PANEL[0], found, "ARMS-PCR", specimen.collected + 5)
    failed = (
        d.pick(PANEL) if elaborate and day > specimen.collected + 10 and d.chance(0.2) else None
    )
    for region in PANEL:
        if region in leave_out:
            continue
        if region == failed:
            scribe.molecular(
                specimen.accession,
                *region,
                "",
                d.pick(("failed", "failed", "indeterminate")),
                method,
                specimen.collected,
                day - d.between(5, 7),
            )
        _write_region(scribe, specimen, region, found, method, day)
    if elaborate and method.startswith("NGS"):
        mutated = d.chance(0.4)
        scribe.molecular(
            specimen.accession,
            "TP53",
            "other",
            "p.R175H" if mutated else "",
            "mutated" if mutated else "wild_type",
            method,
            specimen.collected,
            day,
        )


def _mutation(gene: str, d: Draws) -> Mutation:
    region = d.pick(_MUTATED_AT[gene])
    return region, d.pick(_VARIANTS[region])


def write_kras_only(scribe: Scribe, specimen: Specimen, day: int) -> None:
    """The old practice: KRAS exon 2 alone, wild type."""
    _write_region(
        scribe,
        specimen,
        PANEL[0],
        None,
        "ARMS-PCR",
        min(max(day, specimen.collected + 3), EXTRACT_DATE),
    )


def _write_region(
    scribe: Scribe,
    specimen: Specimen,
    region: tuple[str, str],
    found: Mutation | None,
    method: str,
    day: int,
) -> None:
    variant = found[1] if found and found[0] == region else ""
    scribe.molecular(
        specimen.accession,
        *region,
        variant,
        "mutated" if variant else "wild_type",
        method,
        specimen.collected,
        day,
    )
