"""dbt's documentation of a run as one static file: docs.html.

What `dbt docs generate --static` writes, put together from the artifacts of the build: no second
dbt run, which would cost ten seconds and overwrite run_results.json. The catalogue is that of the
published file, so that columns that are withheld have no type here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
from dbt.task.docs import DOCS_INDEX_FILE_PATH

from expectations.tables import rows
from pipeline.paths import PROJECT, Layout

DOCS = "docs.html"
LEFT_OUT = ("unit_tests",)
"""Parts of the manifest with invented rows and dates, which would be taken for data."""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data:; font-src data:; connect-src 'none'; base-uri 'none'; form-action 'none'"
)


def write(layout: Layout, folder: Path, warehouse: Path, delivery: Path) -> None:
    """Write docs.html of the last build into a run's folder."""
    artifacts = (layout.target / "manifest.json").read_text(encoding="utf-8")
    for place in (delivery.resolve(), layout.work, PROJECT):
        artifacts = artifacts.replace(f"{place}", place.name)
    manifest = json.loads(artifacts)
    for part in LEFT_OUT:
        manifest[part] = {}
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model" and not node.get("compiled_code"):
            node["compiled_code"] = _compiled(layout.target, node)
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        catalog = _catalog(connection, manifest)
    page = Path(DOCS_INDEX_FILE_PATH).read_text(encoding="utf-8")
    for mark, inlined in (("MANIFEST", manifest), ("CATALOG", catalog)):
        text = json.dumps(inlined, ensure_ascii=False).replace("</", "<\\/")
        page = page.replace(f'"{mark}.JSON INLINE DATA"', text)
    policy = f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_SECURITY_POLICY}">'
    page = page.replace("<head>", f"<head>{policy}", 1)
    (folder / DOCS).write_text(page, encoding="utf-8")


def _compiled(target: Path, node: dict[str, Any]) -> str | None:
    """The SQL of a model that an earlier dbt run of this build compiled: changes need two runs."""
    file = target / "compiled" / node["package_name"] / node["original_file_path"]
    return file.read_text(encoding="utf-8") if file.exists() else None


def _catalog(connection: duckdb.DuckDBPyConnection, manifest: dict[str, Any]) -> dict[str, Any]:
    """The published tables and their columns, as dbt's catalog.json has them."""
    columns: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows(
        connection,
        "select schema_name, table_name, column_name, column_index, data_type, comment "
        "from duckdb_columns() where database_name = current_database() order by all",
    ):
        columns.setdefault((row["schema_name"], row["table_name"]), {})[row["column_name"]] = {
            "type": row["data_type"],
            "index": row["column_index"],
            "name": row["column_name"],
            "comment": row["comment"],
        }
    found: dict[str, dict[str, Any]] = {"nodes": {}, "sources": {}}
    for kind, of_kind in found.items():
        for unique_id, node in manifest[kind].items():
            key = (node["schema"], node.get("alias") or node["name"])
            if node["resource_type"] in ("model", "seed", "source") and key in columns:
                of_kind[unique_id] = {
                    "metadata": {
                        "type": "table",
                        "schema": key[0],
                        "name": key[1],
                        "database": node["database"],
                        "comment": None,
                        "owner": None,
                    },
                    "columns": columns[key],
                    "stats": {},
                    "unique_id": unique_id,
                }
    return {"metadata": manifest["metadata"], **found, "errors": None}
