"""Scans and lesions under RECIST 1.1.

Thresholds (Eisenhauer, Eur J Cancer 2009;45:228): partial response is a sum of target diameters at
least 30% below the line's baseline; progression is a sum at least 20% and 5 mm above the smallest
sum since that baseline, or a new lesion; target lesions are at least 10 mm (nodes 15 mm, short
axis), at most five, at most two an organ. The scan that shows a progression, or one shortly before
the next line, is that line's baseline. Sums here keep a margin from every threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from synthetic.draws import Draws
from synthetic.records import Scribe
from synthetic.timeline import Line, Patient

RESPONSE_SHARE: Final = 0.70
PROGRESSION_SHARE: Final = 1.20
PROGRESSION_MM: Final = 5
_SMALL_ENOUGH: Final = RESPONSE_SHARE - 0.02
_NOT_SMALL: Final = RESPONSE_SHARE + 0.02
_LARGE_ENOUGH: Final = PROGRESSION_SHARE + 0.02
_NOT_LARGE: Final = PROGRESSION_SHARE - 0.05
"""Shares of the baseline or the smallest sum that keep clear of the thresholds."""

MOST_TARGETS: Final = 5
MOST_PER_ORGAN: Final = 2
SMALLEST_TARGET_MM: Final = 10
SMALLEST_NODE_MM: Final = 15

_NEVER_TARGET: Final = frozenset({"bone"})
_NEXT_ORGANS: Final = ("lung", "liver", "peritoneum", "distant_lymph_node", "bone")
_SMALLEST_MEASURED_MM: Final = 5
_SHORTEST_SHARE_MM: Final = 6
"""Sums stay above this many mm per target, so that no lesion is too small to measure."""


@dataclass(slots=True)
class Lesion:
    """A lesion as followed. `share` is its share of the sum of the target lesions."""

    lesion_id: str
    organ: str
    role: str
    share: float = 0.0

    @property
    def node(self) -> bool:
        """Whether it is a lymph node, measured by its short axis."""
        return self.organ == "distant_lymph_node"


class Scans:
    """The scans of one patient, in the order of the days."""

    def __init__(self, scribe: Scribe, patient: Patient, d: Draws) -> None:
        """No lesion yet."""
        self._scribe = scribe
        self._patient = patient
        self._d = d
        self._lesions: list[Lesion] = []
        self.sum = 0
        self._baseline = 0
        self._nadir = 0
        self._gone = False
        self._modality = d.pick(("CT", "CT", "CT", "MRI", "PET-CT"))

    # -- lesions ---------------------------------------------------------------------------------

    def find_lesions(self, organs: list[str], primary_in_place: bool) -> None:
        """Choose target and non-target lesions at the first baseline."""
        d = self._d
        sizes: list[int] = []
        per_organ = MOST_PER_ORGAN if self._patient.detailed else 1
        for organ in organs:
            targets = 0
            if self._patient.measurable and organ not in _NEVER_TARGET:
                targets = min(d.between(1, per_organ), MOST_TARGETS - len(sizes))
            for _ in range(targets):
                smallest = (
                    SMALLEST_NODE_MM + 2
                    if organ == "distant_lymph_node"
                    else SMALLEST_TARGET_MM + 3
                )
                sizes.append(smallest + int(45 * d.u() ** 2.2))
                self._add(organ, "target")
            if not targets or (self._patient.detailed and d.chance(0.2)):
                self._add(organ, "non_target")
        if primary_in_place and d.chance(0.5):
            self._add("colorectum", "non_target")
        if self._patient.measurable and not sizes:
            if primary_in_place:
                self._add("colorectum", "target")
            else:
                self._add(organs[0], "target")
            sizes.append(18 + d.below(30))
        self.sum = sum(sizes)
        for lesion, size in zip(self._targets(), sizes, strict=True):
            lesion.share = size / self.sum

    def _add(self, organ: str, role: str) -> Lesion:
        lesion = Lesion(f"L{len(self._lesions) + 1}", organ, role)
        self._lesions.append(lesion)
        return lesion

    def _targets(self) -> list[Lesion]:
        return [lesion for lesion in self._lesions if lesion.role == "target"]

    # -- scans -----------------------------------------------------------------------------------

    def start_line(self) -> None:
        """The last scan is the baseline of the line that starts."""
        self._baseline = self._nadir = self.sum
        for lesion in self._lesions:
            if lesion.role == "new":
                lesion.role = "non_target"

    def baseline(self, day: int) -> None:
        """A scan before a line's first dose; it has no response."""
        for lesion in self._lesions:
            if lesion.role == "new":
                lesion.role = "non_target"
        assessment = self._scribe.assessment(day, self._modality, "baseline", "", "", "", "")
        self._measure(assessment, day)

    def follow_up(self, day: int, response: str) -> str | None:
        """A scan with the response asked for; returns the organ of a new lesion, if one is new."""
        d = self._d
        targets = self._targets()
        had_non_targets = any(lesion.role == "non_target" for lesion in self._lesions)
        new_organ: str | None = None
        non_target = "NON-CR/NON-PD" if had_non_targets else ""
        if response == "CR" and (not targets or any(lesion.node for lesion in targets)):
            response = "PR"
        if response == "NE" and targets:
            assessment = self._scribe.assessment(
                day, self._modality, "follow_up", "NE", non_target, "no", "NE"
            )
            self._measure(assessment, day, unseen=targets[0])
            return None
        if response == "CR" or self._gone:
            self._gone = True
            self.sum = 0
            target = "CR"
            non_target = "CR" if had_non_targets else ""
            if response == "PD":
                new_organ = self._new_organ()
            overall = "PD" if new_organ else "CR"
        elif not targets:
            if response == "PD":
                if d.chance(0.5):
                    non_target = "PD"
                else:
                    new_organ = self._new_organ()
            target = ""
            overall = "PD" if response == "PD" else "NON-CR/NON-PD"
        else:
            if response == "PD":
                small = self.sum < 12 * len(targets)
                if not small and d.chance(0.45):
                    new_organ = self._new_organ()
                    target = self._keep()
                else:
                    self._grow()
                    target = "PD"
            elif response == "PR" and self._shrink():
                target = "PR"
            else:
                target = self._keep()
            overall = "PD" if target == "PD" or new_organ else target
        self._nadir = min(self._nadir, self.sum)
        if new_organ:
            self._add(new_organ, "new")
        assessment = self._scribe.assessment(
            day,
            self._modality,
            "follow_up",
            target,
            non_target,
            "yes" if new_organ else "no",
            overall,
        )
        self._measure(assessment, day)
        return new_organ

    def _new_organ(self) -> str:
        """Usually another place in an organ already involved, else a further organ."""
        known = [lesion.organ for lesion in self._lesions if lesion.organ != "colorectum"]
        if known and self._d.chance(0.6):
            return self._d.pick(known)
        return self._d.pick(_NEXT_ORGANS)

    def _floor(self) -> int:
        return _SHORTEST_SHARE_MM * len(self._targets())

    def _ceiling(self) -> int:
        """Largest sum that is clearly no progression."""
        return max(int(_NOT_LARGE * self._nadir), self._nadir + PROGRESSION_MM - 2)

    def _keep(self) -> str:
        """About the same sum; the response that it is."""
        d = self._d
        if self.sum <= int(_SMALL_ENOUGH * self._baseline) and self._nadir < self._baseline:
            self.sum = min(
                max(int(self.sum * (0.95 + 0.12 * d.u())), self._floor()),
                self._ceiling(),
                max(int(_SMALL_ENOUGH * self._baseline), self._nadir),
            )
            return "PR"
        low = max(int(_NOT_SMALL * self._baseline) + 1, self._floor())
        high = max(self._ceiling(), low)
        wished = int(self.sum * (0.88 + 0.2 * d.u()))
        self.sum = min(max(wished, low), high)
        return "SD"

    def _shrink(self) -> bool:
        """A partial response, if the lesions are large enough to show one."""
        high = int(_SMALL_ENOUGH * self._baseline)
        low = max(int(0.42 * self._baseline), self._floor())
        if high < low:
            return False
        if self.sum <= high:
            self._keep()
            return True
        self.sum = self._d.between(low, high)
        return True

    def _grow(self) -> None:
        least = max(int(_LARGE_ENOUGH * self._nadir) + 1, self._nadir + PROGRESSION_MM + 1)
        self.sum = least + int(0.25 * self._nadir * self._d.u() ** 2)

    def _measure(self, assessment: str, day: int, unseen: Lesion | None = None) -> None:
        """One row a lesion; whole millimetres that add up to the sum."""
        targets = self._targets()
        sizes = [int(lesion.share * self.sum) for lesion in targets]
        left = self.sum - sum(sizes)
        for position in range(len(sizes)):
            if not left:
                break
            sizes[position] += 1
            left -= 1
        for position, size in enumerate(sizes):
            if not self._gone and size < _SMALLEST_MEASURED_MM:
                sizes[sizes.index(max(sizes))] -= _SMALLEST_MEASURED_MM - size
                sizes[position] = _SMALLEST_MEASURED_MM
        position = 0
        for lesion in self._lesions:
            longest = short = ""
            status = "present"
            if lesion.role == "target":
                size = sizes[position]
                position += 1
                status = "measured"
                if lesion.node:
                    short, longest = str(size), str(size + 2 + size // 4)
                else:
                    longest = str(size)
            if lesion is unseen:
                longest = short = ""
                status = "not_evaluable"
            elif self._gone and lesion.role != "new":
                status = "disappeared"
            self._scribe.lesion(
                assessment,
                lesion.lesion_id,
                lesion.role,
                lesion.organ,
                lesion.node,
                longest,
                short,
                status,
                day,
            )


def write_scans(
    scribe: Scribe, patient: Patient, baseline_day: int, primary_in_place: bool, d: Draws
) -> list[tuple[str, int]]:
    """All scans of a patient with lines of therapy; returns further organs and when found."""
    organs = [organ for organ, day in patient.organs if day <= baseline_day]
    scans = Scans(scribe, patient, d)
    scans.find_lesions(organs, primary_in_place)
    scans.baseline(baseline_day)
    further: list[tuple[str, int]] = []
    known = {organ for organ, _ in patient.organs}
    for line in patient.lines:
        scans.start_line()
        for day, response in zip(line.visits, _responses(line, d), strict=True):
            organ = scans.follow_up(day, response)
            if organ and organ not in known:
                known.add(organ)
                further.append((organ, day))
    return further


def _responses(line: Line, d: Draws) -> list[str]:
    """Responses at the scans of a line, so that the best is the line's."""
    quiet = len(line.visits) - (line.progression is not None)
    if line.best == "CR":
        responses = ["PR"] + ["CR"] * (quiet - 1)
    elif line.best == "PR":
        first = d.below(min(quiet, 2)) if quiet > 1 else 0
        responses = ["SD"] * first + ["PR"] * (quiet - first)
    else:
        responses = ["SD"] * quiet
        if line.has_unreadable_scan and quiet > 1:
            responses[1] = "NE"
    return responses + ["PD"] * (line.progression is not None)
