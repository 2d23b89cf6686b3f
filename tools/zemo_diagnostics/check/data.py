"""What ``zemo-diag check`` finds out, as plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Status(str, Enum):
    """What became of a check.

    Attributes
    ----------
    PASS, FAIL
        It holds; it does not.
    SKIP
        It could not be asked, and that is not the fault of what is examined.
    CRASH
        The check itself went wrong.
    """

    PASS = "pass"
    FAIL = "fail"
    SKIP = "skip"
    CRASH = "crash"


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """One line of the acceptance list, and what became of it.

    Attributes
    ----------
    code : str
        Stable, such as ``"ZC110"``; docs/checks.md explains each.
    title : str
        What must be true.
    requires : tuple of str
        The requirements that ask for it, such as ``"R1"``; ``"fact"`` for what a released version was seen to do wrong.
    status : Status
        What became of it.
    reason : str
        Why it was skipped, or what was seen, in a sentence.
    evidence : tuple of str
        What shows it, one case each.
    remedy : str
        What to change where it fails.
    """

    code: str
    title: str
    requires: tuple[str, ...]
    status: Status
    reason: str
    evidence: tuple[str, ...]
    remedy: str


@dataclass(frozen=True, kw_only=True)
class RunChecks:
    """The acceptance list, asked of one ZeMosaic.

    Attributes
    ----------
    zemosaic : str
        Which one, and who ran it.
    before : str or None
        The one that it was compared with.
    results : tuple of CheckResult
        In the order of their codes.
    left_out : int
        Checks that were not asked for.
    wall_s : float
        Seconds that all of it took.
    """

    zemosaic: str
    before: str | None
    results: tuple[CheckResult, ...]
    left_out: int
    wall_s: float
