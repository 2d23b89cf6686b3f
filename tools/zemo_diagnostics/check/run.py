"""``zemo-diag check``, from a ZeMosaic to the report."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import InputError
from ..findings.find import find
from ..machine.interrupts import take_until_interrupted
from ..machine.scratch import scratch_folder
from ..progress import Say
from ..redaction import private_words
from ..reports.environment import describe_environment
from ..reports.redacted import redact_report
from ..reports.report import Grouping, Part, Report, Source, Subject, assemble
from ..zemosaic.checkout import Checkout, inspect_checkout
from ..zemosaic.under_test import UnderTest, open_bundled, open_under_test
from .acceptance import AcceptanceCheck, carry_out, chosen
from .acceptance_list import ACCEPTANCE
from .data import CheckResult, RunChecks, Status
from .lab import Lab
from .tell import tell


def check_part(checks: RunChecks) -> Part:
    """Make the part of a report."""
    return Part(name="check", data=checks, tell=tell, series="ZD5")


def run_checks(
    under_test: UnderTest, checks: Sequence[AcceptanceCheck], *, before: Checkout | None = None, say: Say
) -> RunChecks:
    """Ask the checks of a ZeMosaic, in their order.

    Parameters
    ----------
    under_test : UnderTest
        Which one.
    checks : sequence of AcceptanceCheck
        Those that are wanted.
    before : Checkout, optional, keyword-only
        What it was before the change.
    say : callable, keyword-only
        Gets (what is being done, part done, the check).

    Returns
    -------
    RunChecks
        Of fewer results than checks where the user stopped it.
    """
    start = time.monotonic()
    results: list[CheckResult] = []
    with scratch_folder() as folder:
        lab = Lab(
            under_test=under_test,
            reference=_reference(under_test),
            before=before,
            folder=folder,
            codes=frozenset(check.code for check in checks),
        )
        take_until_interrupted(_carried_out(checks, lab, say), results)
    return RunChecks(
        zemosaic=under_test.told(),
        before=None if before is None else before.identity.told(),
        results=tuple(results),
        left_out=len(ACCEPTANCE) - len(checks),
        wall_s=time.monotonic() - start,
    )


def _carried_out(checks: Sequence[AcceptanceCheck], lab: Lab, say: Say) -> Iterator[CheckResult]:
    """Carry checks out, one after another."""
    known: dict[str, Status] = {}
    for number, check in enumerate(checks):
        say("asking the checks", number / len(checks), check.code)
        result = carry_out(check, lab, known)
        known[check.code] = result.status
        yield result


def _reference(under_test: UnderTest) -> UnderTest | None:
    """Give the tool's own modules; None where they are not beside it."""
    if under_test.bundled:
        return under_test
    try:
        return open_bundled()
    except InputError:
        return None


def report_checks(
    zemosaic: Path | None,
    python: str | None,
    before: Path | None,
    select: Sequence[str],
    ignore: Sequence[str],
    *,
    say: Say,
) -> Report:
    """Report what became of each check.

    Parameters
    ----------
    zemosaic : Path or None
        The checkout that is examined; the tool's own modules where it is None.
    python : str or None
        Who runs it.
    before : Path or None
        The checkout before the change.
    select, ignore : sequence of str
        Codes of checks, or how they begin.
    say : callable, keyword-only
        Gets (what is being done, part done, the check).

    Raises
    ------
    InputError
        There is no such checkout, interpreter or check.
    """
    checks = chosen(ACCEPTANCE, select, ignore)
    under_test = open_under_test(zemosaic, python)
    if before is not None and under_test.bundled:
        raise InputError("--before compares two checkouts: name the one that is examined with --zemosaic")
    result = run_checks(under_test, checks, before=None if before is None else inspect_checkout(before), say=say)
    source = Source(
        folder=under_test.checkout.folder.name,
        files=len(under_test.checkout.modules),
        frames=len(under_test.checkout.modules) - len(under_test.checkout.problems),
        unusable=(),
        grouped_by=Grouping.FILE,
        tiles=0,
        subject=Subject.MODULE,
    )
    part = check_part(result)
    report = assemble(
        "check",
        source,
        describe_environment(under_test.told()),
        options=(("select", ",".join(select) or None), ("ignore", ",".join(ignore) or None)),
        parts=(part,),
        findings=find(source, part),
        interrupted=len(result.results) < len(checks),
    )
    return redact_report(report, private_words())
