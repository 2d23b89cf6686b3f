"""What one call comes to: the report assembled, its exit code and its last line."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from importlib import metadata

from . import __version__, errors
from .memory_limits import total_memory_bytes
from .results import Environment, Finding, JsonScalar, Level, Report, RunGating, RunParity, Source, Verdict

# Findings that mean that a variant died, so that the exit code can tell it from a result that differs.
DIED_CODES = frozenset({"ZD203", "ZD204", "ZD205"})

_LEVEL_ORDER = {Level.ERROR: 0, Level.WARNING: 1, Level.INFO: 2}


def _version(package: str) -> str:
    """Give an installed package's version, or "not installed"."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def describe_environment(functions_under_test: str) -> Environment:
    """Describe the machine and the versions, without a word of their owner."""
    return Environment(
        tool_version=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        numpy=_version("numpy"),
        astropy=_version("astropy"),
        opencv=_version("opencv-python-headless"),
        cores=os.cpu_count() or 1,
        memory_bytes=total_memory_bytes(),
        functions_under_test=functions_under_test,
    )


def assemble(
    command: str,
    source: Source,
    environment: Environment,
    *,
    options: tuple[tuple[str, JsonScalar], ...] = (),
    gating: RunGating | None = None,
    parity: RunParity | None = None,
    findings: tuple[Finding, ...] = (),
    interrupted: bool = False,
) -> Report:
    """Put a report together, its worst findings first and otherwise in the order of their codes and tiles."""
    created = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    ordered = sorted(findings, key=lambda f: (_LEVEL_ORDER[f.level], f.code, f.tile_id or 0))
    return Report(command, created, environment, source, options, gating, parity, tuple(ordered), interrupted)


def exit_code(report: Report) -> int:
    """Give the exit code that a report ends in."""
    if report.interrupted:
        return errors.EXIT_INTERRUPTED
    if any(finding.code in DIED_CODES for finding in report.findings):
        return errors.EXIT_VARIANT_DIED
    if any(finding.level is Level.ERROR for finding in report.findings):
        return errors.EXIT_FINDINGS
    return errors.EXIT_CLEAN


def count_findings(report: Report) -> tuple[int, int, int]:
    """Count the findings: errors, warnings, notes."""
    levels = [finding.level for finding in report.findings]
    return levels.count(Level.ERROR), levels.count(Level.WARNING), levels.count(Level.INFO)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _gating_verdict(gating: RunGating) -> str:
    """Say what happens to the tiles, and what happened to them before the patch."""
    cleaned = sum(tile.tile_enabled for tile in gating.tiles)
    spared = sum(tile.before_enabled and not tile.tile_enabled for tile in gating.tiles)
    text = f"{_plural(len(gating.tiles), 'tile')}, alt-az cleanup on {cleaned}"
    if spared:
        text += f"; the code before the patch would also have cleaned {spared}"
    return text


def _parity_verdict(parity: RunParity) -> str:
    """Name the worst outcome of the comparisons, and how many tiles came to it."""
    verdicts = [tile.verdict for tile in parity.tiles]
    for verdict in (Verdict.DIFFERENT, Verdict.NOT_COMPARED, Verdict.WITHIN):
        if verdict in verdicts:
            return f"{verdict.value}: {verdicts.count(verdict)} of {_plural(len(verdicts), 'tile')}"
    return f"{Verdict.IDENTICAL.value}: {_plural(len(verdicts), 'tile')}, every bit the same"


def verdict(report: Report) -> str:
    """Give the report's last line: what it comes to, and the count of findings."""
    parts = []
    if report.gating:
        parts.append(_gating_verdict(report.gating))
    if report.parity:
        parts.append(_parity_verdict(report.parity))
    counts = zip(count_findings(report), ("error", "warning", "note"), strict=True)
    found = ", ".join(_plural(count, noun) for count, noun in counts if count)
    parts.append(found or "no findings")
    if report.interrupted:
        parts.append("interrupted: this is what was known by then")
    return "; ".join(parts)
