"""What a report says of the acceptance list besides its own table: what fails, what crashed, what was skipped."""

from __future__ import annotations

from collections.abc import Iterator

from ..findings.kinds import Found, check
from ..reports.report import Level
from ..wording import plural
from .data import CheckResult, RunChecks, Status


@check(
    "ZD501",
    Level.ERROR,
    "A check of the acceptance list fails",
    needs="check",
    remedy=(
        "The lines of each check in this report say what shows it and what to change; 'zemo-diag check --select CODE' "
        "asks one alone."
    ),
)
def fails(checks: RunChecks) -> Iterator[Found]:
    """Something that must be true of a ZeMosaic is not: docs/checks.md explains each check, who requires it, and what
    goes wrong where it fails."""
    for result in _of(checks, Status.FAIL):
        yield Found(f"{result.code}: {result.title}: {result.reason}.", evidence=result.evidence[:1])


@check(
    "ZD502",
    Level.ERROR,
    "A check of the acceptance list went wrong itself",
    needs="check",
    remedy="Please report it with this report attached; the other checks are not affected.",
)
def crashes(checks: RunChecks) -> Iterator[Found]:
    """The check could not be carried out by a fault of its own: nothing is known of what it asks."""
    for result in _of(checks, Status.CRASH):
        yield Found(f"{result.code}: {result.title}: {result.reason}.")


@check(
    "ZD503",
    Level.INFO,
    "Checks of the acceptance list were skipped",
    needs="check",
    remedy="Where a package or a function is missing, add it; what waits for another check comes with it.",
)
def skips(checks: RunChecks) -> Iterator[Found]:
    """These checks could not be asked, each for the reason that is given. Nothing is known of what they ask."""
    by_reason: dict[str, list[str]] = {}
    for result in _of(checks, Status.SKIP):
        by_reason.setdefault(result.reason, []).append(result.code)
    for reason, codes in by_reason.items():
        yield Found(f"{plural(len(codes), 'check')} ({', '.join(codes)}): {reason}.")


def _of(checks: RunChecks, status: Status) -> Iterator[CheckResult]:
    return (result for result in checks.results if result.status is status)
