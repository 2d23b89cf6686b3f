"""The findings of a run: every check asked about the results that are there. One that crashes is a finding too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..commands import modules_of_commands
from ..reports.report import Finding, Level, Part, Source
from .kinds import CHECKS, FindingKind, Found


def _crashed(_: object) -> Iterator[Found]:
    """A check itself failed on this data. The others were run all the same, and their findings stand."""
    yield from ()


CRASHED = FindingKind(
    code="ZD901",
    level=Level.ERROR,
    title="A check crashed",
    remedy="Please report it with this report attached; the other checks are not affected.",
    needs="nothing",
    check=_crashed,
)


def find(source: Source, *parts: Part) -> tuple[Finding, ...]:
    """Run every check whose result is there: the folder that was looked at, or one of the parts."""
    results = {"source": source, **{part.name: part.data for part in parts}}
    return tuple(
        finding for kind in load_checks() if kind.needs in results for finding in _run(kind, results[kind.needs])
    )


def load_checks() -> list[FindingKind]:
    """Give all kinds of findings, in the order of their codes; importing a command's checks registers them."""
    list(modules_of_commands("checks"))
    return sorted(CHECKS, key=lambda kind: kind.code)


def _run(kind: FindingKind, result: object) -> Iterable[Finding]:
    """Run one check; what it raises becomes a finding of its own."""
    try:
        return [
            Finding(
                code=kind.code,
                level=kind.level,
                title=kind.title,
                message=found.message,
                remedy=kind.remedy,
                tile_id=found.tile_id,
                evidence=found.evidence,
            )
            for found in kind.check(result)
        ]
    except Exception as error:  # noqa: BLE001 - a check that crashes is a result, not the end
        message = f"The check {kind.code} ({kind.title}) failed: {type(error).__name__}: {error}."
        return [
            Finding(code=CRASHED.code, level=CRASHED.level, title=CRASHED.title, message=message, remedy=CRASHED.remedy)
        ]


def all_kinds() -> list[FindingKind]:
    """Give every kind of finding that a report may hold."""
    return [*load_checks(), CRASHED]
