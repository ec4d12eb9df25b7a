"""Dirty deliveries: known defects planted in a clean one. See synthetic/README.md."""

from synthetic.dirty import disease, laboratory, people, treatment, values  # noqa: F401
from synthetic.dirty.kinds import KINDS, Kind
from synthetic.dirty.planting import Defect, spoil

__all__ = ["KINDS", "Defect", "Kind", "spoil"]
