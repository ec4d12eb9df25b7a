"""Every planted defect is found by the check meant for it, and nothing else is found."""

from __future__ import annotations

from pathlib import Path

import yaml

from pipeline.errors import Exit
from tests.conftest import Run, Say
from tests.dirty.conftest import Dirty
from tests.dirty.survey import Finding, Place, Recall

UNTRIPPED = {
    check_id: group["reason"].strip()
    for group in yaml.safe_load(Path(__file__).with_name("untripped.yml").read_text("utf-8"))
    for check_id in group["checks"]
}


def failing(found: dict[Place, Finding]) -> set[str]:
    return {check_id for (check_id, *_), finding in found.items() if finding.status == "fail"}


def tripped(recall: Recall) -> set[str]:
    quarantining = {check for reasons in recall.set_aside.values() for _, check, _ in reasons}
    return failing(recall.dirty) | quarantining


def test_every_planted_defect_is_found(tolerable: Dirty, blocking: Dirty, say: Say) -> None:
    for name, dirty in (("tolerable", tolerable), ("blocking", blocking)):
        by_check = dirty.recall.by_check()
        kinds = {defect.kind for defect in dirty.recall.defects}
        planted, found = (sum(column) for column in zip(*by_check.values(), strict=True))
        say(
            f"planted defects, {name}: {len(kinds)} kinds of {len(by_check)} checks, "
            f"{planted} records planted, {found} found: recall {found / planted:.1%}"
        )
        for check, (n, m) in by_check.items():
            if m < n:
                say(f"  {check}: {m} of {n}")
    assert tolerable.recall.missed() + blocking.recall.missed() == []


def test_nothing_else_is_found_and_no_clean_row_is_set_aside(
    tolerable: Dirty, blocking: Dirty
) -> None:
    assert tolerable.recall.unplanned() == []
    assert blocking.recall.unplanned() == []


def test_every_check_with_a_planted_defect_fails(tolerable: Dirty, blocking: Dirty) -> None:
    for dirty in (tolerable, blocking):
        meant = {defect.check_id for defect in dirty.recall.defects if defect.check_id}
        assert meant - tripped(dirty.recall) == set()


def test_every_check_is_tripped_or_named_as_untested(
    tolerable: Dirty, blocking: Dirty, say: Say
) -> None:
    every = {check_id for check_id, *_ in tolerable.recall.dirty}
    untested = every - tripped(tolerable.recall) - tripped(blocking.recall)
    say(f"checks that no planted defect trips: {', '.join(sorted(untested))}")
    assert untested == UNTRIPPED.keys()


def test_the_clean_demo_raises_no_alarm(clean: dict[Place, Finding], say: Say) -> None:
    say(f"false alarms on the clean demo: {len(failing(clean))}")
    assert failing(clean) == set()


def test_the_study_is_found_unharmed(tolerable: Dirty, demo: Run) -> None:
    assert tolerable.build.returncode == 0, tolerable.build.stderr
    query = "select study_id, count(*) from cohort.cohort where included group by all order by all"
    with demo.open() as before, tolerable.run.open() as after:
        assert after.execute(query).fetchall() == before.execute(query).fetchall()


def test_each_blocking_defect_stops_the_build(blocking: Dirty) -> None:
    assert blocking.build.returncode == Exit.DATA_QUALITY, blocking.build.stderr
    assert not blocking.run.current.exists()
    blocks = {check_id for (check_id, *_), found in blocking.recall.dirty.items() if found.blocks}
    assert blocks
    assert all(check_id in blocking.build.stderr for check_id in blocks)
    for defect in blocking.recall.defects:
        assert {defect.check_id, *defect.also} & blocks, defect
