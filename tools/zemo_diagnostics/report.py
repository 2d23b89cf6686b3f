"""What one call comes to: the report assembled, its exit code and its last line."""

from __future__ import annotations

import contextlib
import os
import platform
from collections import Counter
from datetime import datetime, timezone
from importlib import metadata

from . import __version__, errors
from .memory_limits import total_memory_bytes
from .results import (
    Environment,
    Finding,
    JsonScalar,
    Level,
    Report,
    RunGating,
    RunParity,
    RunStatus,
    Source,
    TileParity,
    Verdict,
)
from .results_masters import RunMasters
from .results_phase3 import RunPhase3
from .sentences import verdict_words
from .sentences_masters import masters_verdict
from .sentences_phase3 import phase3_verdict
from .wording import plural

_LEVEL_ORDER = {Level.ERROR: 0, Level.WARNING: 1, Level.INFO: 2}
_DIED = frozenset({RunStatus.RAISED, RunStatus.KILLED, RunStatus.TIMED_OUT})


def _version(*packages: str) -> str:
    """Give the version of the first of some packages that is installed, or "not installed"."""
    for package in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.version(package)
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
        opencv=_version("opencv-python-headless", "opencv-python", "opencv-contrib-python"),
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
    masters: RunMasters | None = None,
    phase3: RunPhase3 | None = None,
    findings: tuple[Finding, ...] = (),
    interrupted: bool = False,
) -> Report:
    """Put a report together, its worst findings first and otherwise in the order of their codes and tiles."""
    created = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    ordered = sorted(findings, key=lambda f: (_LEVEL_ORDER[f.level], f.code, f.tile_id or 0))
    results = (gating, parity, tuple(ordered), interrupted, masters, phase3)
    return Report(command, created, environment, source, options, *results)


def exit_code(report: Report) -> int:
    """Give the exit code that a report ends in."""
    if report.interrupted:
        return errors.EXIT_INTERRUPTED
    if report.parity and any(map(has_died, report.parity.tiles)):
        return errors.EXIT_VARIANT_DIED
    if report.masters and not report.source.frames:
        return errors.EXIT_USAGE
    if report.phase3 and report.phase3.disk_full:
        return errors.EXIT_USAGE
    if any(finding.level is Level.ERROR for finding in report.findings):
        return errors.EXIT_FINDINGS
    return errors.EXIT_CLEAN


def has_died(tile: TileParity) -> bool:
    """Tell whether a variant died on a tile: raised, was killed, or did not end."""
    return any(run.status in _DIED for run in tile.runs)


def count_findings(report: Report) -> tuple[int, int, int]:
    """Count the findings: errors, warnings, notes."""
    levels = [finding.level for finding in report.findings]
    return levels.count(Level.ERROR), levels.count(Level.WARNING), levels.count(Level.INFO)


def _gating_verdict(gating: RunGating) -> str:
    """Say what happens to the tiles, and what happened to them before the patch."""
    cleaned = sum(tile.tile_enabled for tile in gating.tiles)
    spared = sum(tile.before_enabled and not tile.tile_enabled for tile in gating.tiles)
    text = f"{plural(len(gating.tiles), 'tile')}, alt-az cleanup on {cleaned}"
    if spared:
        text += f"; the code before the patch would also have cleaned {spared}"
    return text


def _parity_verdict(parity: RunParity) -> str:
    """Name every outcome of the comparisons but "identical", or that one where there is no other."""
    died = sum(map(has_died, parity.tiles))
    outcomes = Counter(tile.verdict for tile in parity.tiles if not has_died(tile))
    whole = plural(len(parity.tiles), "tile")
    if 0 < outcomes[Verdict.IDENTICAL] == len(parity.tiles):
        return f"{Verdict.IDENTICAL.value}: {whole}, every bit the same"
    worst_first = [(one.value, outcomes[one]) for one in (Verdict.DIFFERENT, Verdict.NOT_COMPARED, Verdict.WITHIN)]
    told = [("a variant died", died), *worst_first, (_in_part(parity), outcomes[Verdict.IN_PART])]
    return ", ".join(f"{outcome}: {count} of {whole}" for outcome, count in told if count) or "nothing was compared"


def _in_part(parity: RunParity) -> str:
    """Say on which rows tiles are identical that were compared in part; not where these are of several kinds."""
    words = {verdict_words(tile) for tile in parity.tiles if tile.verdict is Verdict.IN_PART}
    return words.pop() if len(words) == 1 else "identical on some of their rows"


def verdict(report: Report) -> str:
    """Give the report's last line: what it comes to, and the count of findings."""
    parts = []
    if report.gating:
        parts.append(_gating_verdict(report.gating))
    if report.parity:
        parts.append(_parity_verdict(report.parity))
    if report.masters:
        parts.append(masters_verdict(report.masters))
    if report.phase3:
        parts.append(phase3_verdict(report.phase3))
    counts = zip(count_findings(report), ("error", "warning", "note"), strict=True)
    found = ", ".join(plural(count, noun) for count, noun in counts if count)
    parts.append(found or "no findings")
    if report.interrupted:
        parts.append("interrupted: this is what was known by then")
    return "; ".join(parts)
