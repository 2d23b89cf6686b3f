"""The report as one JSON document, for programs: what ``schema/report-v1.schema.json`` describes, key by key.

Keys are the names of the data model's fields and properties, in its order. NaN and infinity become null, since JSON
has neither.
"""

from __future__ import annotations

import json
import math
from dataclasses import is_dataclass
from enum import Enum
from importlib import resources
from typing import Any, cast

from .report import Report, count_findings, exit_code
from .schema import member_names
from .told import verdict

SCHEMA_NAME = "zemo-diag-report"
SCHEMA_VERSION = 1
SCHEMA_FILE = f"report-v{SCHEMA_VERSION}.schema.json"

# The package that the folder of the schema lies in.
_PACKAGE = __name__.split(".")[0]


def render_json(report: Report) -> str:
    """Render a report as one JSON document in UTF-8 text, with a newline at the end.

    Parameters
    ----------
    report : Report
        The report, already redacted.
    """
    return json.dumps(report_document(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def report_document(report: Report) -> dict[str, Any]:
    """Give the document of a report as plain dicts and lists, in the order that it is written in."""
    errors, warnings, notes = count_findings(report)
    head = {
        "schema": SCHEMA_NAME,
        "schema_version": SCHEMA_VERSION,
        "verdict": _plain(verdict(report)),
        "exit_code": exit_code(report),
        "finding_counts": {"errors": errors, "warnings": warnings, "notes": notes},
    }
    body = {
        "command": report.command,
        "created_utc": report.created_utc,
        "environment": _plain(report.environment),
        "source": _plain(report.source),
        "options": {_plain(name): _plain(value) for name, value in report.options},
        "results": {part.name: _plain(part.data) for part in report.parts},
        "findings": _plain(report.findings),
        "interrupted": report.interrupted,
    }
    return head | body


def load_schema() -> dict[str, Any]:
    """Load the schema that every document of this version follows."""
    text = (resources.files(_PACKAGE) / "schema" / SCHEMA_FILE).read_text(encoding="utf-8")
    return cast(dict[str, Any], json.loads(text))


def _plain(value: Any) -> Any:
    """Give dataclasses, tuples, enums and odd numbers as JSON knows them."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        # Half characters, from file names that are no UTF-8, cannot be written: show their number.
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return _plain_object(value) if is_dataclass(value) else value


def _plain_object(value: Any) -> dict[str, Any]:
    """Give a dataclass as a dict: its fields, then its properties."""
    return {name: _plain(getattr(value, name)) for name in member_names(type(value))}
