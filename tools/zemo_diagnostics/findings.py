"""The findings: each a stable code, a level, a meaning and a remedy, and the check that looks for it.

A check is a generator function over a result: it yields what it found, and its docstring is its meaning. One list,
`CHECKS`, feeds the reports, ``zemo-diag findings`` and docs/findings.md. A check that crashes is a finding too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .results import Finding, Level, RunGating, RunParity, Source


@dataclass(frozen=True)
class Evidence:
    """All that a check may look at: the results that there are."""

    source: Source
    gating: RunGating | None = None
    parity: RunParity | None = None


@dataclass(frozen=True)
class Found:
    """What one check found in one place."""

    message: str
    tile_id: int | None = None
    evidence: tuple[str, ...] = ()


Check = Callable[[Any], Iterator[Found]]


@dataclass(frozen=True)
class FindingKind:
    """One kind of finding.

    Attributes
    ----------
    code : str
        Stable for ever: a ticket in any language can be searched for it.
    level : Level
        How bad it is.
    title : str
        A few words.
    remedy : str
        What to do.
    needs : str
        The result that it looks at: ``"source"``, ``"gating"`` or ``"parity"``; skipped where that is missing.
    check : callable
        Yields `Found` for that result.
    """

    code: str
    level: Level
    title: str
    remedy: str
    needs: str
    check: Check = field(repr=False)

    @property
    def meaning(self) -> str:
        """What it means, in a paragraph: the check's docstring."""
        return " ".join((self.check.__doc__ or "").split())


CHECKS: list[FindingKind] = []

CRASHED_CODE = "ZD901"


def check(code: str, level: Level, title: str, *, needs: str, remedy: str) -> Callable[[Check], Check]:
    """Register a check under its code."""

    def register(function: Check) -> Check:
        CHECKS.append(FindingKind(code, level, title, remedy, needs, function))
        return function

    return register


def find(evidence: Evidence) -> tuple[Finding, ...]:
    """Run every check whose result is there."""
    load_checks()
    findings: list[Finding] = []
    for kind in CHECKS:
        result = getattr(evidence, kind.needs)
        if result is not None:
            findings.extend(_run(kind, result))
    return tuple(findings)


def load_checks() -> list[FindingKind]:
    """Give all kinds of findings, in the order of their codes."""
    from . import checks_gating, checks_parity  # noqa: F401 - importing registers them

    CHECKS.sort(key=lambda kind: kind.code)
    return CHECKS


def _run(kind: FindingKind, result: object) -> Iterable[Finding]:
    """Run one check; what it raises becomes a finding of its own."""
    try:
        return [
            Finding(kind.code, kind.level, kind.title, found.message, kind.remedy, found.tile_id, found.evidence)
            for found in kind.check(result)
        ]
    except Exception as error:  # noqa: BLE001 - a check that crashes is a result, not the end
        message = f"the check {kind.code} ({kind.title}) failed: {type(error).__name__}: {error}"
        remedy = "Please report this with the report attached; the other checks are not affected."
        return [Finding(CRASHED_CODE, Level.ERROR, "A check crashed", message, remedy)]
