"""What a check is: a stable code, a level, a remedy, and a generator function that looks for it in a result.

A check's docstring is its meaning. One list, `CHECKS`, feeds the reports, ``zemo-diag findings`` and docs/findings.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..reports.report import Level


@dataclass(frozen=True)
class Found:
    """What one check found in one place."""

    message: str
    tile_id: int | None = None
    evidence: tuple[str, ...] = ()


Check = Callable[[Any], Iterator[Found]]


@dataclass(frozen=True, kw_only=True)
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
        The result that it looks at: ``"source"``, ``"gating"``, ``"parity"``, ``"masters"``, ``"phase3"`` or
        ``"check"``;
        skipped where that is missing.
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


def check(code: str, level: Level, title: str, *, needs: str, remedy: str) -> Callable[[Check], Check]:
    """Register a check under its code."""

    def register(function: Check) -> Check:
        CHECKS.append(FindingKind(code=code, level=level, title=title, remedy=remedy, needs=needs, check=function))
        return function

    return register
