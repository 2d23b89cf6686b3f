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
    "ZD901",
    Level.ERROR,
    "A check crashed",
    "Please report it with this report attached; the other checks are not affected.",
    "nothing",
    _crashed,
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
            Finding(kind.code, kind.level, kind.title, found.message, kind.remedy, found.tile_id, found.evidence)
            for found in kind.check(result)
        ]
    except Exception as error:  # noqa: BLE001 - a check that crashes is a result, not the end
        message = f"The check {kind.code} ({kind.title}) failed: {type(error).__name__}: {error}."
        return [Finding(CRASHED.code, CRASHED.level, CRASHED.title, message, CRASHED.remedy)]


def all_kinds() -> list[FindingKind]:
    """Give every kind of finding that a report may hold."""
    return [*load_checks(), CRASHED]
