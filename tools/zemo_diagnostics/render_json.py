"""The report as one JSON document, for programs: what ``schema/report-v1.schema.json`` describes, key by key.

Keys are the names of the data model's fields and properties, in its order. NaN and infinity become null, since JSON
has neither.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib import resources
from typing import Any, cast

from .report import count_findings, exit_code, verdict
from .results import Report

SCHEMA_NAME = "zemo-diag-report"
SCHEMA_VERSION = 1
SCHEMA_FILE = f"report-v{SCHEMA_VERSION}.schema.json"

# Fields that hold pairs: what the two of each are called.
_PAIRS = {
    "TileGating.frame_modes": ("name", "mode"),
    "TileGating.telescopes": ("name", "frames"),
    "TileGating.shapes": ("shape", "frames"),
}


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
    body: dict[str, Any] = _plain(report)
    body["options"] = {_plain(name): _plain(value) for name, value in report.options}
    return head | body


def load_schema() -> dict[str, Any]:
    """Load the schema that every document of this version follows."""
    text = (resources.files(__package__) / "schema" / SCHEMA_FILE).read_text(encoding="utf-8")
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
    kind = type(value)
    properties = [name for name, member in vars(kind).items() if isinstance(member, property)]
    names = [field.name for field in fields(value)] + properties
    return {name: _field(f"{kind.__name__}.{name}", getattr(value, name)) for name in names}


def _field(qualified_name: str, value: Any) -> Any:
    """Give one field; pairs become objects."""
    keys = _PAIRS.get(qualified_name)
    return _plain(value) if keys is None else [_named(keys, pair) for pair in value]


def _named(keys: tuple[str, str], pair: Sequence[Any]) -> dict[str, Any]:
    """Give a pair as an object."""
    return {key: _plain(item) for key, item in zip(keys, pair, strict=True)}
