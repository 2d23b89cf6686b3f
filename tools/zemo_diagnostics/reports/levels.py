"""How bad the findings are, and the mark that they give a row or a report."""

from __future__ import annotations

from collections.abc import Iterable

from .document import State
from .report import Finding, Level, Levels

_STATES = {Level.ERROR: State.ERROR, Level.WARNING: State.WARNING, Level.INFO: State.NOTE}


def level_state(level: Level) -> State:
    """Give the mark of a finding."""
    return _STATES[level]


def state_of(number: int, levels: Levels, state: State = State.OK) -> State:
    """Give the mark of a row: the worst of what the findings say of it and of a state that it has anyway."""
    found = _STATES[levels[number]] if number in levels else State.OK
    return max(state, found, key=list(State).index)


def tile_levels(findings: Iterable[Finding], series: str) -> Levels:
    """Give the worst level on each tile that any finding has whose code begins like that."""
    order = [Level.INFO, Level.WARNING, Level.ERROR]
    worst: dict[int, Level] = {}
    for finding in findings:
        if finding.tile_id is not None and finding.code.startswith(series):
            known = worst.get(finding.tile_id, Level.INFO)
            worst[finding.tile_id] = max(known, finding.level, key=order.index)
    return worst
