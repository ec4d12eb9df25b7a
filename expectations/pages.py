"""What pages are made of: their templates, compiled once a process and escaping, and counts."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template


@cache
def template(file: Path, **filters: Callable[..., object]) -> Template:
    """Return a compiled template; it may include others of its folder, and use the filters."""
    environment = Environment(
        loader=FileSystemLoader(file.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    return environment.get_template(file.name)


def counted(number: object, noun: str) -> str:
    """So many of something in words: 1 patient, 2 patients."""
    return f"{number} {noun}{'' if str(number) == '1' else 's'}"
