"""The one error that ends a command with a message instead of a traceback."""

from __future__ import annotations


class CommandError(Exception):
    """What went wrong and what to do about it, in words for the user."""
