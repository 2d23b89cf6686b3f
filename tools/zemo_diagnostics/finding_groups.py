"""Findings of one kind told together, and the mark that findings and verdicts give a tile or a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from .results import Finding, Level, Report, RunStatus, TileParity, Verdict
from .results_masters import MasterVerdict, TileMaster
from .results_phase3 import TilePhase3
from .sentences import verdict_words
from .wording import plural, ranges

# How many stretches of tile numbers a finding names.
MAX_STRETCHES = 12

LEVEL_WORDS = {Level.ERROR: "error", Level.WARNING: "warning", Level.INFO: "note"}


class State(Enum):
    """How a line of a report stands: the mark beside its word."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


_LEVEL_STATES = {Level.ERROR: State.ERROR, Level.WARNING: State.WARNING, Level.INFO: State.NOTE}
_VERDICT_STATES = {
    Verdict.IDENTICAL: State.OK,
    Verdict.IN_PART: State.NOTE,
    Verdict.WITHIN: State.WARNING,
    Verdict.DIFFERENT: State.ERROR,
    Verdict.NOT_COMPARED: State.WARNING,
}
_MASTER_STATES = {
    MasterVerdict.FINE: State.OK,
    MasterVerdict.PARTLY: State.WARNING,
    MasterVerdict.NEARLY: State.ERROR,
    MasterVerdict.EMPTY: State.ERROR,
}
_DIED_WORDS = {RunStatus.RAISED: "failed", RunStatus.KILLED: "killed", RunStatus.TIMED_OUT: "timed out"}


@dataclass(frozen=True)
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
        first.code,
        first.level,
        first.title,
        tuple(sorted({member.tile_id for member in members if member.tile_id is not None})),
        _messages(members),
        tuple(dict.fromkeys(member.remedy for member in members if member.remedy)),
        tuple(dict.fromkeys(item for member in members for item in member.evidence if item not in member.message)),
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


def level_state(level: Level) -> State:
    """Give the mark of a finding."""
    return _LEVEL_STATES[level]


def tile_levels(findings: Iterable[Finding], series: str = "ZD") -> dict[int, Level]:
    """Give the worst level that any finding has on each tile; of those whose codes begin like that."""
    order = [Level.INFO, Level.WARNING, Level.ERROR]
    worst: dict[int, Level] = {}
    for finding in findings:
        if finding.tile_id is not None and finding.code.startswith(series):
            known = worst.get(finding.tile_id, Level.INFO)
            worst[finding.tile_id] = max(known, finding.level, key=order.index)
    return worst


def _worst(state: State, tile_id: int, levels: dict[int, Level]) -> State:
    """Give the worse of a state and of what the findings say of a tile."""
    found = _LEVEL_STATES[levels[tile_id]] if tile_id in levels else State.OK
    return max(state, found, key=list(State).index)


def gating_states(report: Report) -> dict[int, State]:
    """Give the mark of each tile's gating: what the findings say of it."""
    levels = tile_levels(report.findings, "ZD1")
    return (
        {tile.tile_id: _worst(State.OK, tile.tile_id, levels) for tile in report.gating.tiles} if report.gating else {}
    )


def parity_states(report: Report) -> dict[int, tuple[State, str]]:
    """Give the mark and the word of each tile's parity: the mark is the worst of its findings and its verdict."""
    levels, tiles = tile_levels(report.findings, "ZD2"), report.parity.tiles if report.parity else ()
    return {tile.tile_id: _parity_state(tile, levels) for tile in tiles}


def _parity_state(tile: TileParity, levels: dict[int, Level]) -> tuple[State, str]:
    """Give the mark and the word of one tile's parity; a variant that died comes before the verdict."""
    died = [_DIED_WORDS[run.status] for run in tile.runs if run.status in _DIED_WORDS]
    if died:
        return State.ERROR, died[0]
    return _worst(_VERDICT_STATES[tile.verdict], tile.tile_id, levels), verdict_words(tile)


def master_state(tile: TileMaster, levels: dict[int, Level]) -> tuple[State, str]:
    """Give the mark and the word of a master: the worst of its findings and its verdict, and the latter."""
    return _worst(_MASTER_STATES[tile.verdict], tile.tile_id, levels), tile.verdict.value


def phase3_state(tile: TilePhase3, levels: dict[int, Level], *, planned: bool) -> State:
    """Give the mark of a tile of Phase 3: what the findings say of it; a note where it was not reached."""
    if tile.tile_id in levels:
        return _LEVEL_STATES[levels[tile.tile_id]]
    return State.OK if planned or tile.before or tile.patched else State.NOTE


def report_state(exit_code: int, levels: Iterable[Level]) -> State:
    """Give the mark of the verdict."""
    if exit_code:
        return State.ERROR
    return State.WARNING if Level.WARNING in set(levels) else State.OK
