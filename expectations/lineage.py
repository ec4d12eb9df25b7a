"""The lineage graph of the warehouse: which layer of tables is made from which, as static SVG."""

from __future__ import annotations

from html import escape

import duckdb
from markupsafe import Markup

from expectations.tables import MARTS, rows
from pipeline.paths import PROJECT

INTERMEDIATE = "intermediate"
LAYERS = (
    ("delivered files", ("raw",)),
    ("staging", ("staging",)),
    (INTERMEDIATE, (INTERMEDIATE,)),
    ("marts", MARTS),
    ("results", ("results",)),
)
"""Data flows from each layer to the next; the schemas of each."""

COLUMN, ROW, HEAD, GAP = 214, 15, 26, 30
TITLE = "Lineage: tables by layer; data flow from left to right"


def graph(connection: duckdb.DuckDBPyConnection) -> Markup:
    """Draw the tables of the warehouse, a column a layer."""
    found = rows(
        connection,
        "select table_schema as schema, table_name as name from information_schema.tables",
    )
    tables = {(row["schema"], row["name"]) for row in found}
    if any(schema == INTERMEDIATE for schema, _ in tables):
        # Changes built on the last build go through all of them and do not leave all behind.
        models = PROJECT / "models" / INTERMEDIATE
        tables |= {(INTERMEDIATE, path.stem) for path in models.rglob("*.sql")}
    columns = [
        [
            name if len(schemas) == 1 else f"{schema}.{name}"
            for schema, name in sorted(tables)
            if schema in schemas
        ]
        for _, schemas in LAYERS
    ]
    height = HEAD + ROW * max(map(len, columns)) + 12
    width = len(LAYERS) * (COLUMN + GAP) - GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{TITLE}" font-family="sans-serif" font-size="10.5">'
    ]
    for place, ((layer, _), names) in enumerate(zip(LAYERS, columns, strict=True)):
        left = place * (COLUMN + GAP)
        parts.append(
            f'<rect x="{left}" y="0.5" width="{COLUMN}" height="{height - 1}" rx="4" '
            'fill="#f5f6f8" stroke="#c9cfd8"/>'
            f'<text x="{left + 8}" y="17" font-weight="600">{layer} ({len(names)})</text>'
        )
        for line, name in enumerate(names):
            top = HEAD + ROW * line + 9
            parts.append(f'<text x="{left + 8}" y="{top}">{escape(name)}</text>')
        if place:
            parts.append(
                f'<path d="M{left - GAP + 5} 13h{GAP - 14}m-5 -4l5 4l-5 4" fill="none" '
                'stroke="#5b6472" stroke-width="1.5"/>'
            )
    return Markup("".join([*parts, "</svg>"]))
