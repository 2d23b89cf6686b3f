"""Findings of one kind told together, and the mark that findings and verdicts give a tile or a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..wording import plural, ranges
from .document import State
from .report import Finding, Level

# How many stretches of tile numbers a finding names.
MAX_STRETCHES = 12

LEVEL_WORDS = {Level.ERROR: "error", Level.WARNING: "warning", Level.INFO: "note"}


@dataclass(frozen=True, kw_only=True)
class FindingGroup:
    """Findings of one code, told together.

    Attributes
    ----------
    code, level, title : str, Level, str
        As in each of them.
    tile_ids : tuple of int
        The tiles they are about; empty where they are about the run.
    messages, remedies : tuple of str
        Of all of them, in order, each once.
    evidence : tuple of str
        The same, but for what a finding's message names already.
    """

    code: str
    level: Level
    title: str
    tile_ids: tuple[int, ...]
    messages: tuple[str, ...]
    remedies: tuple[str, ...]
    evidence: tuple[str, ...]

    @property
    def where(self) -> str:
        """The tiles in words: "tile 3", "12 tiles: 1, 3, 5-9"; empty for the run."""
        if not self.tile_ids:
            return ""
        if len(self.tile_ids) == 1:
            return f"tile {self.tile_ids[0]}"
        stretches = ranges(self.tile_ids)
        shown = ", ".join(stretches[:MAX_STRETCHES]) + (" ..." if len(stretches) > MAX_STRETCHES else "")
        return f"{plural(len(self.tile_ids), 'tile')}: {shown}"


def group_findings(findings: Iterable[Finding]) -> tuple[FindingGroup, ...]:
    """Bring findings of the same code and level together, in the order of the first of each."""
    groups: dict[tuple[str, Level], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.code, finding.level), []).append(finding)
    return tuple(_group(members) for members in groups.values())


def _group(members: Sequence[Finding]) -> FindingGroup:
    """Make one group of findings that share a code and a level."""
    first = members[0]
    return FindingGroup(
        code=first.code,
        level=first.level,
        title=first.title,
        tile_ids=tuple(sorted({member.tile_id for member in members if member.tile_id is not None})),
        messages=_messages(members),
        remedies=tuple(dict.fromkeys(member.remedy for member in members if member.remedy)),
        evidence=tuple(
            dict.fromkeys(item for member in members for item in member.evidence if item not in member.message)
        ),
    )


def _messages(members: Sequence[Finding]) -> tuple[str, ...]:
    """Give the messages, each once; where they differ from tile to tile, each with its tile."""
    messages = tuple(dict.fromkeys(member.message for member in members))
    if len(messages) == 1:
        return messages
    return tuple(_with_tile(member) for member in members)


def _with_tile(finding: Finding) -> str:
    """Give a message with the tile that it is about."""
    return finding.message if finding.tile_id is None else f"tile {finding.tile_id}: {finding.message}"


def report_state(exit_code: int, levels: Iterable[Level]) -> State:
    """Give the mark of the verdict."""
    if exit_code:
        return State.ERROR
    return State.WARNING if Level.WARNING in set(levels) else State.OK
