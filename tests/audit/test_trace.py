"""Every printed number leads to its patients and to delivered records that say the same today."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from analysis.estimates import KINDS
from analysis.ledger import Ledger
from analysis.study import load_study
from pipeline import manifest, trace
from pipeline.archive import archived
from pipeline.errors import CommandError
from pipeline.pseudonyms import key_id, load_key, require_key
from pipeline.trace import Trace
from tests.two_runs import Runs

STUDY = "her2_mcrc"
OS_MEDIAN = f"{STUDY}.fig1.all.os.first-line.median_months"


def follow(runs: Runs, number: str, **options: object) -> Trace:
    return trace.trace(runs.layout, number, run_id=runs.first, **options)


def numbers(runs: Runs, where: str) -> list[tuple[str, int | None]]:
    path = runs.layout.published / runs.first / "warehouse.duckdb"
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(
            f"select estimate_id, n from results.estimates where {where} order by all"
        ).fetchall()


def test_one_number_of_every_exhibit_leads_to_records_that_agree(runs: Runs) -> None:
    chosen = numbers(
        runs,
        "true qualify row_number() over (partition by exhibit, statistic = 'n' "
        "order by value is null, n = 0, hash(estimate_id)) = 1",
    )
    assert len(chosen) > 25
    for number, n in chosen:
        found = follow(runs, number)
        assert not found.disagree, number
        assert not found.unproved, number
        if found.number["exhibit"] != trace.PROVENANCE:
            assert len(found.patients) == n, number
        whom = found.patients if found.counted is None else found.counted
        if whom:
            assert found.sources, number


def test_the_cohort_flow_counts_the_patients_it_names(runs: Runs) -> None:
    counted = "json_extract_string(parameters, 'after_criterion') is not null"
    for number, n in numbers(runs, f"exhibit = '{trace.FLOW}' or {counted}"):
        path = runs.layout.published / runs.first / "warehouse.duckdb"
        with duckdb.connect(str(path), read_only=True) as connection:
            found = trace._number(connection, number)
            assert len(trace._patients(connection, found)[0]) == n, number


def test_a_file_count_leads_to_its_last_record(runs: Runs) -> None:
    found = follow(runs, f"{STUDY}.provenance.delivery.adverse_events.records_n")
    (source,) = found.sources
    assert source.agrees
    assert source.record_no == found.number["value"]


def test_the_records_are_those_of_the_delivered_file(runs: Runs) -> None:
    """Read here from the delivered CSV itself, not from the archive."""
    found = follow(runs, OS_MEDIAN, with_values=True)
    vital = [source for source in found.sources if source.table == "vital_status"]
    assert vital
    with (runs.folder / "extract" / "vital_status.csv").open(encoding="utf-8") as stream:
        lines = stream.read().splitlines()
    header, *records = csv.reader(lines)
    for source in vital:
        assert source.line_no == source.record_no + 1
        delivered = dict(zip(header, records[source.record_no - 1], strict=True))
        for name, value in (source.values or {}).items():
            if name in delivered:
                assert (value or "") == delivered[name]


def test_an_archived_record_that_was_changed_is_named(runs: Runs) -> None:
    found = follow(runs, OS_MEDIAN)
    victim = next(source for source in found.sources if source.table == "vital_status")
    (file,) = [
        f
        for f in manifest.read(runs.layout.published / runs.first)["inputs"]
        if f["file_id"] == victim.src_rid >> 32
    ]
    path = archived(runs.layout.work, file["sha256"])
    with pa.input_stream(str(path), compression="zstd") as stream:
        lines = stream.read().decode().split("\n")
    line = lines[victim.record_no]
    lines[victim.record_no] = re.sub(r"\d(?=\D*$)", lambda last: str(9 - int(last[0])), line)
    with pa.CompressedOutputStream(str(path), "zstd") as stream:
        stream.write("\n".join(lines).encode())
    assert [source.src_rid for source in follow(runs, OS_MEDIAN).disagree] == [victim.src_rid]
    code, said = runs.command("trace", OS_MEDIAN, "--run", runs.first, check=False)
    assert code == 4
    assert "1 of" in said
    with pa.CompressedOutputStream(str(path), "zstd") as stream:
        stream.write("\n".join([*lines[: victim.record_no], ""]).encode())
    cut_off = {s.src_rid: s.because for s in follow(runs, OS_MEDIAN).disagree}
    assert cut_off[victim.src_rid] == "the archived file has no such record"
    path.unlink()
    gone = follow(runs, OS_MEDIAN)
    assert {s.because for s in gone.unproved} == {"the archived file is missing or cannot be read"}


def test_without_the_key_of_the_run_nothing_is_compared_and_no_key_is_made(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key_file = tmp_path / "another.key"
    was = key_id(load_key())
    monkeypatch.setenv("RWE_KEY_FILE", str(key_file))
    found = follow(runs, OS_MEDIAN)
    assert {source.because for source in found.unproved} == {
        f"the pseudonym key {was} is missing: {key_file}"
    }
    assert not found.disagree
    assert not key_file.exists()
    now = require_key(None)
    found = follow(runs, OS_MEDIAN)
    assert {source.because for source in found.unproved} == {
        f"the pseudonym key is another one ({now}, of the run {was})"
    }
    assert not found.disagree
    # No pseudonym is part of this row.
    (about,) = follow(runs, f"{STUDY}.provenance.delivery.delivery.records_n").sources
    assert about.agrees


def test_rows_hashed_by_another_rule_are_not_called_changed(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.archive.ROW_HASH_VERSION", -1)
    found = follow(runs, OS_MEDIAN)
    assert found.sources and found.unproved == found.sources
    assert {s.because for s in found.sources} == {
        "the row was hashed by another version of the rule"
    }


def test_one_patient_alone(runs: Runs) -> None:
    found = follow(runs, OS_MEDIAN, patient=runs.corrected[:12])
    assert found.patients == [runs.corrected]
    assert {row["patient_key"] for read in found.marts for row in read.rows} == {runs.corrected}
    with pytest.raises(CommandError, match="No patient behind this number"):
        follow(runs, OS_MEDIAN, patient="nobody")


def test_a_printed_number_is_followed_by_the_name_that_compare_gives(runs: Runs) -> None:
    found = follow(runs, "text_002")
    assert found.number["estimate_id"] == f"{STUDY}.text.all.cohort.her2-positive-mcrc.n"
    assert found.number["value"] == len(found.patients)


def test_values_are_printed_only_when_asked_for(runs: Runs) -> None:
    shown = ("trace", OS_MEDIAN, "--run", runs.first, "--patient", runs.corrected, "--json")
    _, without = runs.command(*shown)
    _, with_values = runs.command(*shown, "--values")
    assert all(source["values"] is None for source in json.loads(without)["sources"])
    death = next(
        source["values"]["death_date"]
        for source in json.loads(with_values)["sources"]
        if source["table"] == "vital_status"
    )
    assert death
    assert death not in without


def test_a_name_that_is_not_one_number_is_explained(runs: Runs) -> None:
    with pytest.raises(CommandError, match="numbers have fig1 in their name"):
        follow(runs, "fig1")
    with pytest.raises(CommandError, match="No number is called nonsense"):
        follow(runs, "nonsense")


class Listening:
    """A connection that notes which tables its queries name."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.heard: set[str] = set()

    def execute(self, query: str, *parameters: object) -> duckdb.DuckDBPyConnection:
        pattern = r"(?:from|join)\s+((?:cohort|treatment|survival|safety)\.\w+)"
        self.heard |= set(re.findall(pattern, query))
        return self.connection.execute(query, *parameters)


def test_the_marts_of_a_kind_are_those_its_analysis_reads(runs: Runs) -> None:
    """READS cannot fall behind: each analysis is run and listened to."""
    path = runs.layout.work / "warehouse.duckdb"
    with duckdb.connect(str(path), read_only=True) as connection:
        study = load_study(connection, STUDY)
        for analysis in study.analyses:
            listening = Listening(connection)
            KINDS[analysis.kind](listening, study, analysis, Ledger(STUDY))
            named = set(trace.READS.get(analysis.kind, trace.READ_BY_SURVIVAL))
            about_lines = {"treatment.lines_of_therapy", "treatment.line_components"}
            # Whether anybody was assessed at all (analysis.study.KNOWN_INTERVALS).
            assessed = {"survival.best_overall_responses"}
            about_patients = {"cohort.patient_variables"}
            assert listening.heard <= named | about_lines | assessed | about_patients, analysis
