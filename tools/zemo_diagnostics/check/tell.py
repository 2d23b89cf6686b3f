"""What the reports say of the acceptance list."""

from __future__ import annotations

from ..reports.document import Column, Facts, Line, Row, Section, State, Table, Tone
from ..reports.report import Levels
from ..wording import duration, plural
from .data import CheckResult, RunChecks, Status

_STATES = {Status.PASS: State.OK, Status.FAIL: State.ERROR, Status.SKIP: State.NOTE, Status.CRASH: State.ERROR}

# From these widths on there is room for the columns.
_REASON_ROOM = 150
_REQUIRES_ROOM = 90

_COLUMNS = (
    Column(head="what must be true"),
    Column(head="asked by", room=_REQUIRES_ROOM),
    Column(head="what was seen", room=_REASON_ROOM),
)


def tell(checks: RunChecks, _: Levels) -> Section:
    """Tell what became of each check."""
    table = Table(
        title="Checks",
        noun="check",
        columns=_COLUMNS,
        rows=tuple(_row(number, result) for number, result in enumerate(checks.results, start=1)),
        told_title="What was seen, and what to do",
    )
    return Section(title="Acceptance list", verdict=_verdict(checks), blocks=(Facts("Run", _facts(checks)), table))


def _facts(checks: RunChecks) -> tuple[tuple[str, str], ...]:
    """Give the lines that are true of all checks."""
    facts = [("examined", checks.zemosaic)]
    if checks.before is not None:
        facts.append(("compared with", f"ZeMosaic {checks.before}"))
    facts.append(("asked", f"{plural(len(checks.results), 'check')} in {duration(checks.wall_s)}"))
    if checks.left_out:
        facts.append(("left out", f"{plural(checks.left_out, 'check')}, by --select and --ignore"))
    return tuple(facts)


def _row(number: int, result: CheckResult) -> Row:
    """Tell one check."""
    seen = Line(f"{result.reason[:1].upper()}{result.reason[1:]}.", Tone.FAINT)
    asked = ", ".join(result.requires)
    return Row(
        number=number,
        name=result.code,
        state=_STATES[result.status],
        word=result.status.value,
        cells=(result.title, asked, result.reason),
        told=(Line(result.title), seen),
        beneath=() if result.status is Status.PASS else (seen,),
        details=() if result.status is Status.PASS else tuple(_details(result, asked)),
    )


def _details(result: CheckResult, asked: str) -> list[Line]:
    """Tell all there is of a check that did not pass."""
    lines = [Line(f"{result.title} ({asked})"), Line(f"{result.reason[:1].upper()}{result.reason[1:]}.")]
    lines += [Line(f"- {evidence}", Tone.FAINT) for evidence in result.evidence]
    if result.status is Status.FAIL:
        lines.append(Line(f"To do: {result.remedy}"))
    return lines


def _verdict(checks: RunChecks) -> str:
    """Count what became of the checks."""
    told = []
    for status, words in (
        (Status.FAIL, "failed"),
        (Status.CRASH, "went wrong themselves"),
        (Status.SKIP, "skipped"),
        (Status.PASS, "passed"),
    ):
        codes = [result.code for result in checks.results if result.status is status]
        if codes:
            named = f" ({', '.join(codes)})" if status in (Status.FAIL, Status.CRASH) else ""
            told.append(f"{len(codes)} {words}{named}")
    return f"{plural(len(checks.results), 'check')}: {', '.join(told)}"
