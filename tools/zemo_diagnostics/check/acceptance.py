"""What a check of the acceptance list is, and how one is carried out.

A check is data: a code, what must be true, who requires it, a remedy; and a judge, which looks at what an experiment
showed. One that crashes is a result, and so is one that cannot be carried out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from ..errors import InputError, ScratchError
from .data import CheckResult, Status
from .lab import Died, Lab, Skip

MOST_EVIDENCE = 12
LONGEST_EVIDENCE = 240


@dataclass(frozen=True)
class Verdict:
    """What a judge says: a sentence, and what shows it; where nothing speaks against it, the check holds."""

    holds: bool
    reason: str
    evidence: tuple[str, ...] = ()


Judge = Callable[[Lab], Verdict]


@dataclass(frozen=True, kw_only=True)
class AcceptanceCheck:
    """One line of the acceptance list.

    Attributes
    ----------
    code : str
        Stable for ever: "ZC" and three digits.
    title : str
        What must be true, in one line.
    requires : tuple of str
        The requirements that ask for it.
    meaning : str
        What is asked and how, and what goes wrong where it fails.
    remedy : str
        What to change where it fails.
    judge : callable
        Gives the verdict.
    after : tuple of str
        Checks without which this one says nothing: skipped where one of them failed.
    """

    code: str
    title: str
    requires: tuple[str, ...]
    meaning: str
    remedy: str
    judge: Judge = field(repr=False)
    after: tuple[str, ...] = ()


def judged_by_cases(passed: str, wrong: Iterable[str], asked: int, failed: str = "cases are wrong") -> Verdict:
    """Give the verdict over many cases.

    Parameters
    ----------
    passed : str
        What is said where none is wrong.
    wrong : iterable of str
        A sentence for each that is.
    asked : int
        All cases.
    failed : str
        What is said, after "3 of 7", where some are wrong.
    """
    evidence = tuple(textwrap.shorten(sentence, LONGEST_EVIDENCE, placeholder=" ...") for sentence in wrong)
    if not evidence:
        return Verdict(True, passed)
    more = (f"and {len(evidence) - MOST_EVIDENCE} more",) if len(evidence) > MOST_EVIDENCE else ()
    return Verdict(False, f"{len(evidence)} of {asked} {failed}", (*evidence[:MOST_EVIDENCE], *more))


def chosen(
    checks: Sequence[AcceptanceCheck], select: Sequence[str], ignore: Sequence[str]
) -> tuple[AcceptanceCheck, ...]:
    """Choose checks by their codes, or by how these begin.

    Raises
    ------
    InputError
        No check has such a code, or none is left.
    """
    for prefix in (*select, *ignore):
        if not any(check.code.startswith(prefix.upper()) for check in checks):
            raise InputError(f"no check has a code that begins with {prefix!r}: 'zemo-diag check --list' shows them")
    kept = [one for one in checks if not select or one.code.startswith(tuple(p.upper() for p in select))]
    kept = [one for one in kept if not ignore or not one.code.startswith(tuple(p.upper() for p in ignore))]
    if not kept:
        raise InputError("--ignore leaves no check of those that --select names")
    return tuple(kept)


def carry_out(check: AcceptanceCheck, lab: Lab, known: dict[str, Status]) -> CheckResult:
    """Carry out one check.

    Parameters
    ----------
    check : AcceptanceCheck
        The check.
    lab : Lab
        Where its experiment is done, or was.
    known : dict of str to Status
        What became of the checks before it, by their codes.
    """
    status, reason, evidence = _outcome(check, lab, known)
    return CheckResult(
        code=check.code,
        title=check.title,
        requires=check.requires,
        status=status,
        reason=reason,
        evidence=evidence,
        remedy=check.remedy,
    )


def _outcome(check: AcceptanceCheck, lab: Lab, known: dict[str, Status]) -> tuple[Status, str, tuple[str, ...]]:
    """Give what became of a check: its status, the sentence, the evidence."""
    failed = [code for code in check.after if known.get(code) is Status.FAIL]
    if failed:
        return Status.SKIP, f"{failed[0]} fails, without which this says nothing", ()
    try:
        verdict = check.judge(lab)
    except Skip as skip:
        return Status.SKIP, str(skip), ()
    except Died as died:
        if died.told_by and died.told_by != check.code:
            return Status.SKIP, f"its process did not come to an end, see {died.told_by}", ()
        died.told_by = check.code
        return Status.FAIL, f"what was asked of it did not come to an end: {died}", ()
    except (ScratchError, InputError):
        raise
    except Exception as error:  # noqa: BLE001 - a check that crashes is a result, not the end
        return Status.CRASH, f"{type(error).__name__}: {error}", ()
    return Status.PASS if verdict.holds else Status.FAIL, verdict.reason, verdict.evidence
