"""What may be handed out holds no patient, and what is private stays where it is."""

from __future__ import annotations

import base64
import csv
import hashlib
import hmac
import json
import re
import shutil
import stat
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from pipeline import manifest, publish
from pipeline.dbt_plugin import Plugin
from pipeline.errors import CommandError, Exit
from pipeline.paths import PROJECT, Layout
from pipeline.pseudonyms import key_id, load_key, require_key
from pipeline.run import workplace
from tests.conftest import UNSHARE
from tests.promises.contents import contents, holding
from tests.two_runs import Runs

LIKE_ONE = re.compile(rb"(?<![0-9.])[0-9]{8}(?![0-9])|[A-Z]{2}[0-9]{7}-[0-9]+(?:-again)?")
"""Patient numbers and keys of records as the generator writes them."""


@pytest.fixture(scope="session")
def identifiers(pair: Runs) -> set[str]:
    """Every patient number and every key of a delivered record."""
    found = set()
    for path in (pair.folder / "again").glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                if number := row.get("patient_id"):
                    found |= {number, next(iter(row.values()))}
    return found


@pytest.fixture(scope="session")
def numbers(pair: Runs) -> list[str]:
    with (pair.folder / "again" / "patients.csv").open(encoding="utf-8", newline="") as stream:
        return [row["patient_id"] for row in csv.DictReader(stream)]


def test_sec02_sec07_no_identifier_is_in_any_byte_of_what_is_published(
    pair: Runs, numbers: list[str], identifiers: set[str]
) -> None:
    assert len(identifiers) > 10 * len(numbers) > 3000
    assert identifiers == {word for word in identifiers if LIKE_ONE.fullmatch(word.encode())}
    for path in pair.layout.current.resolve().rglob("*"):
        if path.is_file():
            like = {word.decode() for text in contents(path) for word in LIKE_ONE.findall(text)}
            assert not like & identifiers, path


def test_sec01_the_key_is_nowhere_and_no_number_can_be_guessed_from_its_hash(
    pair: Runs, numbers: list[str]
) -> None:
    key = (pair.folder / "pseudonym.key").read_bytes()
    patient_key = hmac.new(key, f"H01|{numbers[0]}".encode(), hashlib.sha256).digest()
    told = base64.b32encode(patient_key).decode().lower()[:26]
    current = pair.layout.current.resolve()
    assert holding(current, {told}).keys() == {str(current / "warehouse.duckdb")}
    guesses = {
        digest(f"{before}{number}".encode()).hexdigest()
        for number in numbers
        for before in ("", "H01", "H01|")
        for digest in (hashlib.sha256, hashlib.md5, hashlib.sha1)
    }
    secrets = {key.hex(), base64.b64encode(key).decode(), base64.b32encode(key).decode().lower()}
    for folder in (current, pair.layout.work):
        assert holding(folder, secrets) == {}
        assert not any(key in path.read_bytes() for path in folder.rglob("*") if path.is_file())
    # One pass over the file's words: a dictionary of hashes finds nothing.
    words = set(re.findall(r"[0-9a-f]{32,64}", json.dumps(manifest.read(current))))
    with duckdb.connect(str(current / "warehouse.duckdb"), read_only=True) as connection:
        keys = connection.execute("select patient_key from cohort.cohort").fetchall()
    words |= {patient_key for (patient_key,) in keys}
    assert not words & {guess[:length] for guess in guesses for length in (26, 32, 40, 64)}
    assert manifest.read(current)["config"]["pseudonym_key_id"] == key_id(key)


def test_sec03_days_stand_for_dates_and_keep_every_interval(pair: Runs) -> None:
    with duckdb.connect() as connection:
        connection.execute(
            f"attach '{pair.layout.current / 'warehouse.duckdb'}' as told (read_only)"
        )
        connection.execute(f"attach '{pair.layout.warehouse}' as own (read_only)")
        dates = connection.execute(
            "select count(*) from duckdb_columns() where database_name = 'told' and schema_name "
            "<> 'reference' and (data_type like 'DATE%' or data_type like 'TIMESTAMP%')"
        ).fetchone()
        assert dates == (0,)
        compared, wrong = connection.execute(
            """
            select count(*), count(*) filter (
                told.start_day is distinct from own.start_date - cohort.index_date
                or told.end_day is distinct from own.end_date - cohort.index_date
            )
            from told.treatment.lines_of_therapy as told
            inner join own.treatment.lines_of_therapy as own
                using (study_id, rule_set_id, patient_key, line_number)
            inner join own.cohort.cohort using (study_id, patient_key)
            """
        ).fetchone() or (0, 0)
        assert compared > 300
        assert wrong == 0
        times = connection.execute(
            """
            select count(*) filter (told.time_days <> own.end_date - own.start_date), count(*)
            from told.survival.survival_intervals as told
            inner join own.survival.survival_intervals as own using (
                study_id, line_rule_set_id, endpoint_rule_set_id, endpoint, patient_key, line_number
            )
            """
        ).fetchone() or (1, 0)
        assert times[0] == 0
        assert times[1] > 1000


def test_sec15_no_log_and_no_message_holds_a_number(pair: Runs, numbers: list[str]) -> None:
    few = set(numbers)
    assert holding(pair.layout.work / "logs", few) == {}
    assert holding(pair.layout.work / "target", few) == {}
    assert not few & set(re.findall(r"[0-9]+", pair.output))


@pytest.mark.skipif(not UNSHARE, reason="this machine does not let a process give up its network")
def test_sec13_the_second_run_had_no_network(pair: Runs) -> None:
    assert pair.layout.current.resolve().name == pair.second
    assert manifest.read(pair.layout.current)["run_id"] == pair.second


def test_sec13_nothing_reports_home() -> None:
    assert "send_anonymous_usage_stats: false" in (PROJECT / "dbt_project.yml").read_text()
    engine = (PROJECT / "expectations" / "engine.py").read_text()
    assert "data_docs" not in engine
    assert "ephemeral" in engine


def test_sec08_nothing_pretends_to_encrypt() -> None:
    """Encryption at rest is the disk's; the documentation says so, and no weak cipher is used."""
    said = (PROJECT / "docs" / "security.md").read_text()
    assert "full-disk encryption" in said
    for path in [*PROJECT.glob("pipeline/*.py"), PROJECT / "profiles.yml"]:
        assert "force_mbedtls_unsafe" not in path.read_text()
        assert "encryption_key" not in path.read_text()


def test_sec17_every_dependency_is_pinned_with_its_hash() -> None:
    lock = (PROJECT / "requirements.txt").read_text().replace("\\\n", " ")
    pinned = [line for line in lock.splitlines() if line and not line.startswith("#")]
    assert len(pinned) > 100
    assert all("==" in line and "--hash=sha256:" in line for line in pinned)
    assert "--require-hashes" in (PROJECT / "Makefile").read_text()


def test_flt45_the_engine_is_pinned_and_the_file_says_which_version_wrote_it(pair: Runs) -> None:
    """DuckDB writes the storage version into bytes 12 to 20; 64 is what 1.0 and later read."""
    content = (pair.layout.current / "warehouse.duckdb").read_bytes()[:20]
    assert content[8:12] == b"DUCK"
    assert int.from_bytes(content[12:20], "little") == 64
    environment = manifest.read(pair.layout.current)["environment"]
    lock = (PROJECT / "requirements.txt").read_text()
    for name in manifest.RECORDED_PACKAGES:
        assert f"\n{name}=={environment[name]} " in f"\n{lock}", name


def test_flt61_the_results_of_the_build_are_not_overwritten(pair: Runs) -> None:
    found = json.loads((pair.layout.target / "run_results.json").read_text())
    assert found["args"]["which"] == "build"
    tests = [r for r in found["results"] if r["unique_id"].startswith("test.")]
    assert {result["status"] for result in tests} == {"pass"}
    assert all(result["failures"] == 0 for result in tests)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.write_bytes(b"short"), "holds 5 bytes, 32 are needed"),
        (lambda path: path.chmod(0o644), "may be read by others"),
        (lambda path: path.unlink(), "is missing"),
    ],
    ids=["short", "world-readable", "missing"],
)
def test_flt58_a_run_without_the_right_key_is_refused(
    spoil,
    words: str,
    pair: Runs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,  # type: ignore[no-untyped-def]
) -> None:
    key_file = tmp_path / "pseudonym.key"
    shutil.copy(pair.folder / "pseudonym.key", key_file)
    key_file.chmod(0o600)
    monkeypatch.setenv("RWE_KEY_FILE", str(key_file))
    last = key_id(load_key())
    spoil(key_file)
    with pytest.raises(CommandError, match=words) as refused:
        require_key(last)
    assert refused.value.exit_code == Exit.SECURITY


def test_flt58_a_key_among_the_data_is_refused_and_another_key_is_noticed(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    layout: Layout = runs.layout
    monkeypatch.setenv("RWE_KEY_FILE", str(layout.work / "pseudonym.key"))
    with pytest.raises(CommandError, match="keep it apart from the data") as refused:
        require_key(None, layout.work)
    assert refused.value.exit_code == Exit.SECURITY
    monkeypatch.setenv("RWE_KEY_FILE", str(tmp_path / "new.key"))
    require_key(None)
    with workplace(runs.folder / "again", layout) as told:
        assert "the pseudonym key is another one" in told[0]


def test_flt58_what_only_reads_makes_no_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As `dbt docs` or `dbt show`, which open the build."""
    key_file = tmp_path / "pseudonym.key"
    monkeypatch.setenv("RWE_KEY_FILE", str(key_file))
    monkeypatch.setenv("RWE_DATABASE", str(tmp_path / "warehouse.duckdb"))
    opened = SimpleNamespace(path="build/warehouse.duckdb")
    Plugin.update_connection_config(object.__new__(Plugin), opened, {})
    assert opened.path == str(tmp_path / "warehouse.duckdb")
    assert not key_file.exists()


@pytest.mark.parametrize(("work", "published"), [("a", "a"), ("a/b", "a"), ("a", "a/b")])
def test_sec09_private_and_published_lie_apart(work: str, published: str, tmp_path: Path) -> None:
    with (
        pytest.raises(CommandError, match="must lie apart") as refused,
        workplace(tmp_path, Layout(tmp_path / work, tmp_path / published)),
    ):
        pytest.fail("work began")
    assert refused.value.exit_code == Exit.SECURITY
    assert list(tmp_path.iterdir()) == []


def test_sec09_nobody_else_reads_the_work_folder(pair: Runs) -> None:
    assert stat.S_IMODE(pair.layout.work.stat().st_mode) == 0o700
    for path in pair.layout.published.rglob("*"):
        if not path.is_symlink():
            assert not stat.S_IMODE(path.stat().st_mode) & 0o027 & ~0o050, path
    assert publish.PUBLISHED_MODE == 0o640
