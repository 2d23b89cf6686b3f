"""The schema of the whole JSON report: what every report holds, and the result of each part that there may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import EXIT_CLEAN, EXIT_FINDINGS, EXIT_INTERRUPTED, EXIT_USAGE, EXIT_VARIANT_DIED
from .json_document import SCHEMA_NAME, SCHEMA_VERSION
from .report import Environment, Finding, Source
from .schema import Schema, SchemaBuilder, strict, summary

_EXIT_CODES = [EXIT_CLEAN, EXIT_FINDINGS, EXIT_USAGE, EXIT_VARIANT_DIED, EXIT_INTERRUPTED]
_SCALAR_TYPES = ["string", "number", "boolean", "null"]
_CREATED_PATTERN = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"


def report_schema(parts: Mapping[str, type[Any]]) -> Schema:
    """Make the schema that every JSON report follows.

    Parameters
    ----------
    parts : mapping of str to type
        The dataclass of each part that a report may hold, by the part's name.

    Returns
    -------
    dict
        The schema, JSON Schema draft 2020-12.

    Raises
    ------
    TypeError
        Where a dataclass holds what a report cannot, or leaves an attribute undescribed.
    """
    builder = SchemaBuilder()
    properties = _head() | _body(builder) | {"results": _results(builder, parts)} | _rest(builder)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"zemo-diag report, version {SCHEMA_VERSION}",
        "description": "What one call of zemo-diag found out. Names and texts are redacted: no full paths, serial "
        "numbers, coordinates or user names.",
        "type": "object",
        **strict(properties),
        "$defs": dict(sorted(builder.definitions.items())),
    }


def _head() -> dict[str, Schema]:
    """Describe what stands first: which schema this is, and what the report comes to."""
    counts = {"errors": "Of level error.", "warnings": "Of level warning.", "notes": "Of level info."}
    return {
        "schema": {"description": "Name of this schema.", "const": SCHEMA_NAME},
        "schema_version": {
            "description": "Version of this schema; a change of meaning raises it.",
            "const": SCHEMA_VERSION,
        },
        "verdict": {"description": "What the report comes to, in one line.", "type": "string"},
        "exit_code": {
            "description": "0 clean, 1 findings of error level, 2 the run had nothing to work on or the disk became "
            "full, 3 a variant died, 130 interrupted.",
            "enum": _EXIT_CODES,
        },
        "finding_counts": {
            "description": "How many findings there are of each level.",
            "type": "object",
            **strict({name: {"description": text, "type": "integer", "minimum": 0} for name, text in counts.items()}),
        },
    }


def _body(builder: SchemaBuilder) -> dict[str, Schema]:
    """Describe what the report was made of, and with."""
    return {
        "command": {"description": "The command that made the report.", "type": "string"},
        "created_utc": {
            "description": "When, ISO 8601 in UTC, to the second.",
            "type": "string",
            "pattern": _CREATED_PATTERN,
        },
        "environment": {"description": "What the report was made with."} | builder.of(Environment),
        "source": {"description": "The folder that was looked at."} | builder.of(Source),
        "options": {
            "description": "The options that shape the result, by name.",
            "type": "object",
            "additionalProperties": {"description": "Value of the option.", "type": _SCALAR_TYPES},
        },
    }


def _results(builder: SchemaBuilder, parts: Mapping[str, type[Any]]) -> Schema:
    """Describe the results: each by its name, and none of them demanded."""
    properties = {
        name: {"description": f"{summary(kind)} Missing in reports of other commands."} | builder.of(kind)
        for name, kind in parts.items()
    }
    return {"description": "The results, by name.", "type": "object"} | strict(properties) | {"required": []}


def _rest(builder: SchemaBuilder) -> dict[str, Schema]:
    """Describe what follows the results."""
    return {
        "findings": {"description": "The findings, the worst first."} | builder.of(tuple[Finding, ...]),
        "interrupted": {
            "description": "Whether the user stopped it: then this is what was known by then.",
            "type": "boolean",
        },
    }
