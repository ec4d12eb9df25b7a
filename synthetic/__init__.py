"""The demo extract: raw hospital files of invented patients. See README.md."""

from synthetic.generator import Planted, generate

__all__ = ["Planted", "generate"]
