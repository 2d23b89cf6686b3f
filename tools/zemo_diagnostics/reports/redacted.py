"""A report without what is private: redacted once, before anything is told of it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ..redaction import PrivateWords, map_strings, redact_text
from .report import Report


def redact_report(report: Report, private: PrivateWords) -> Report:
    """Give the report with every text redacted that others wrote; once, before anything is told of it.

    What is not redacted are words of our own: names of commands, parts and options.
    """
    change = partial(redact_text, private=private)
    return replace(
        report,
        environment=map_strings(report.environment, change),
        source=map_strings(report.source, change),
        options=tuple((name, map_strings(value, change)) for name, value in report.options),
        parts=tuple(replace(part, data=map_strings(part.data, change)) for part in report.parts),
        findings=map_strings(report.findings, change),
    )
