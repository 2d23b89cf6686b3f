"""A report in words that every format shares: its sections, its head, and what it comes to."""

from __future__ import annotations

from collections.abc import Sequence

from ..wording import human_bytes, on_off, plural, share
from .document import Section
from .levels import tile_levels
from .report import Grouping, Report, Subject, count_findings

_WHAT_IS_MISSING = {Subject.FRAME: "no usable frame", Subject.MASTER: "no picture", Subject.MODULE: "nothing readable"}


def sections(report: Report) -> list[Section]:
    """Tell each part, its rows marked by the findings on them."""
    return [part.tell(part.data, tile_levels(report.findings, part.series)) for part in report.parts]


def verdict(report: Report, told: Sequence[Section] | None = None) -> str:
    """Give the report's last line: what it comes to, and the count of findings.

    Parameters
    ----------
    report : Report
        The report, already redacted.
    told : sequence of Section, optional
        Its sections, where they are at hand.
    """
    counts = zip(count_findings(report), ("error", "warning", "note"), strict=True)
    found = ", ".join(plural(count, noun) for count, noun in counts if count)
    parts = [section.verdict for section in (sections(report) if told is None else told)]
    parts.append(found or "no findings")
    if report.interrupted:
        parts.append("interrupted: this is what was known by then")
    return "; ".join(parts)


def source_line(report: Report) -> str:
    """Say how many frames there are, in how many tiles, and how they were grouped."""
    source = report.source
    text = plural(source.frames, source.subject.value)
    if source.grouped_by is Grouping.ALL:
        text += ", all in one group"
    elif source.grouped_by is not Grouping.FILE:
        text += f" in {plural(source.tiles, 'tile')}, grouped by {source.grouped_by.value}"
    if left := source.files - source.frames:
        text += f"; {_WHAT_IS_MISSING[source.subject]} in {share(left, source.files, 'files')}"
    return text


def versions_line(report: Report) -> str:
    """Name the versions that the report was made with."""
    env = report.environment
    return (
        f"zemo-diag {env.tool_version}, Python {env.python}, NumPy {env.numpy}, astropy {env.astropy}, "
        f"OpenCV {env.opencv}"
    )


def functions_line(report: Report) -> str:
    """Name the functions under test and the time of the report."""
    return f"functions under test: {report.environment.functions_under_test}; made {report.created_utc}"


def machine_line(report: Report) -> str:
    """Name the kind and the size of the machine."""
    env = report.environment
    cores = plural(env.cores, "core")
    return f"{env.system}, {env.machine}, {cores}, {human_bytes(env.memory_bytes)} of memory"


def option_words(report: Report) -> list[str]:
    """Give the options that shaped the result: "kappa_low=3.0", "altaz_cleanup=on"."""
    shown = ((name, on_off(value) if isinstance(value, bool) else value) for name, value in report.options)
    return [f"{name}={value}" for name, value in shown if value is not None]
