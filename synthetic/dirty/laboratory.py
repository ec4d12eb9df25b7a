"""Contradictions about specimens, HER2 and molecular tests."""

from __future__ import annotations

from synthetic.dirty.charts import Chart, Record, is_day, shift
from synthetic.dirty.kinds import found_by


@found_by("PTH-009", "her2_copy_number", share=0.002, of="pathology")
def ratio_without_its_copies(chart: Chart) -> list[Record]:
    """The HER2 and CEP17 copies change places."""
    for record in chart["pathology"]:
        her2, cep17 = record["her2_copy_number"], record["cep17_copy_number"]
        if her2 and cep17 and 0.5 <= float(her2) <= 10 and abs(float(her2) - float(cep17)) > 1:
            record["her2_copy_number"], record["cep17_copy_number"] = cep17, her2
            return [record]
    return []


@found_by("PTH-012", "her2_ish_ratio", share=0.009, of="pathology")
def equivocal_for_ever(chart: Chart) -> list[Record]:
    """A score of 2+ loses its hybridisation."""
    scored = chart.with_code("pathology", "her2_ihc_score", "2+")
    hybridised = [r for r in chart["pathology"] if r["her2_ish_ratio"]]
    if not scored or not hybridised:
        return []
    for record in hybridised:
        for column in ("her2_ish_ratio", "her2_copy_number", "cep17_copy_number", "her2_ish_pct"):
            record[column] = ""
    return hybridised


@found_by("MOL-005", "result", share=0.002, of="molecular_tests")
def ras_and_braf_mutated(chart: Chart) -> list[Record]:
    """The BRAF V600E of a RAS-mutated specimen turns out mutated too."""
    mutated = {
        r["accession_no"]
        for r in chart.with_code("molecular_tests", "gene", "KRAS", "NRAS")
        if r.code("result") == "mutated"
    }
    for record in chart.with_code("molecular_tests", "region", "V600E"):
        if record["accession_no"] in mutated and record.code("result") == "wild_type":
            record["result"] = "mutated"
            return [record]
    return []


@found_by("PTH-002", "accession_no", blocks=True)
def specimen_of_two(chart: Chart) -> list[Record]:
    """A report carries the accession number of somebody else's specimen."""
    others = chart.delivery.tables["pathology"]
    other = next(r for r in others if r["patient_id"] != chart.patient_id)
    for record in chart["pathology"][:1]:
        record["accession_no"] = other["accession_no"]
        return [record]
    return []


@found_by("PTH-001", "her2_ihc_score")
def two_scores_of_one_day(chart: Chart) -> list[Record]:
    """A second report of the day gives the same specimen another score."""
    for record in chart.with_code("pathology", "her2_ihc_score", "0", "1+"):
        other = "1+" if record.code("her2_ihc_score") == "0" else "0"
        return [chart.add(record, her2_ihc_score=other, her2_ihc_pct="")]
    return []


@found_by("PTH-006", "her2_ihc_pct", share=0.0003, of="pathology")
def strong_in_few_cells(chart: Chart) -> list[Record]:
    """A score of 3+ with 5 percent of the cells stained."""
    for record in chart.with_code("pathology", "her2_ihc_score", "0", "1+"):
        if record.code("specimen_type") == "resection":
            record["her2_ihc_score"], record["her2_ihc_pct"] = "3+", "5"
            return [record]
    return []


@found_by("PTH-007", "her2_ihc_pct", share=0.002, of="pathology")
def negative_in_many_cells(chart: Chart) -> list[Record]:
    """A score of 0 with 40 percent of the cells stained."""
    for record in chart.with_code("pathology", "her2_ihc_score", "0"):
        if record["her2_ihc_pct"]:
            record["her2_ihc_pct"] = "40"
            return [record]
    return []


@found_by("PTH-014", "reported_date", share=0.0013, of="pathology")
def reported_before_it_was_taken(chart: Chart) -> list[Record]:
    """The report is released five days before the specimen was taken."""
    for record in chart["pathology"][:1]:
        record["reported_date"] = shift(record["collected_date"], -5)
        return [record]
    return []


@found_by("PTH-015", "collected_date")
def specimen_after_death(chart: Chart) -> list[Record]:
    """A biopsy is taken ten days after death."""
    biopsies = chart.with_code("pathology", "specimen_type", "biopsy")
    if not chart.death or not biopsies or chart.death > "2020-12-31":
        return []
    day = shift(chart.death, 10)
    unscored = dict.fromkeys(("her2_ihc_score", "her2_ihc_pct", "her2_ish_ratio"), "")
    copies = dict.fromkeys(("her2_copy_number", "cep17_copy_number", "her2_ish_pct"), "")
    accession = f"{biopsies[0]['accession_no']}X"
    return [
        chart.add(
            biopsies[0],
            accession_no=accession,
            collected_date=day,
            reported_date=day,
            **unscored,
            **copies,
        )
    ]


@found_by("MOL-003", "variant", share=0.0008, of="molecular_tests")
def variant_that_the_protein_lacks(chart: Chart) -> list[Record]:
    """Codon 12 of a RAS gene is said to code for valine."""
    for record in chart.with_code("molecular_tests", "gene", "KRAS", "NRAS"):
        if record["variant"].startswith("p.G12"):
            record["variant"] = "p.V12D"
            return [record]
    return []


@found_by("MOL-007", "result", also=("DRG-011", "MOL-005"), share=0.0115, of="molecular_tests")
def two_results_of_one_region(chart: Chart) -> list[Record]:
    """A second laboratory finds KRAS and NRAS mutated where the first found them wild type."""
    read = [
        r
        for r in chart.with_code("molecular_tests", "gene", "KRAS", "NRAS")
        if r.code("result") == "wild_type" and r["accession_no"]
    ]
    return [chart.add(record, result="mutated") for record in read]


@found_by("MOL-008", "reported_date", share=0.0013, of="molecular_tests")
def result_before_the_specimen(chart: Chart) -> list[Record]:
    """The results are known five days before the specimen was taken."""
    for record in chart["molecular_tests"]:
        record["reported_date"] = shift(record["collected_date"], -5)
    return chart["molecular_tests"]


@found_by("MOL-008", "collected_date")
def specimen_before_birth(chart: Chart) -> list[Record]:
    """The specimen was taken before the patient was born."""
    birth = chart["patients"][0]["birth_date"]
    for record in chart["molecular_tests"][:1]:
        record["collected_date"] = shift(birth, -10) if is_day(birth) else "1901-01-01"
        return [record]
    return []
