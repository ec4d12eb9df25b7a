"""Dirty deliveries: known defects planted in a clean one. See synthetic/README.md."""

from synthetic.dirty import relations, values  # noqa: F401  (they enter their kinds)
from synthetic.dirty.kinds import KINDS, Kind
from synthetic.dirty.planting import Defect, spoil

__all__ = ["KINDS", "Defect", "Kind", "spoil"]
