"""The cleanup flag that each way of building gives each tile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..frames.tiles import Tile
from ..gating.data import RunGating
from ..zemosaic.entries import EntryKind, entry_of
from ..zemosaic.mount_mode import Mode
from ..zemosaic.under_test import UnderTest
from ..zemosaic.versions import decide, infer, run_of
from .build import Flags
from .data import Rule


def cleanup_flags(
    tiles: Sequence[Tile], gating: RunGating, zemosaic: UnderTest | None, *, never: bool = False
) -> Flags:
    """Say whether a tile is cleaned under each rule.

    Before the patch the run's flag went to every tile, and was switched on by itself where a frame is alt-az. A
    ZeMosaic under test decides by the rule of the known version that it is like, over entries as its Phase 1 makes
    them.

    Parameters
    ----------
    tiles : sequence of Tile
        The run.
    gating : RunGating
        What the bundled functions decide.
    zemosaic : UnderTest or None
    never : bool, keyword-only
        Whether no tile is cleaned, whatever a rule says.
    """
    if never:
        return {rule: dict.fromkeys((tile.tile_id for tile in tiles), False) for rule in Rule}
    before = gating.requested or gating.altaz > 0
    flags = {
        Rule.BEFORE: {tile.tile_id: before for tile in tiles},
        Rule.RULE_ALONE: {tile.tile_id: before for tile in tiles},
        Rule.PATCHED: {one.tile_id: one.tile_enabled for one in gating.tiles},
    }
    if zemosaic is not None:
        flags[Rule.ZEMOSAIC] = _decided(tiles, zemosaic, requested=gating.requested)
    return flags


def _decided(tiles: Sequence[Tile], zemosaic: UnderTest, *, requested: bool) -> dict[int, bool]:
    """Decide as the version does that a ZeMosaic is like; one that is like none gets what was asked for."""
    version, groups = zemosaic.version, {tile.tile_id: _phase1_entries(tile) for tile in tiles}
    if version is None:
        return dict.fromkeys(groups, requested)
    run = run_of(version, [entry for group in groups.values() for entry in group], requested=requested)
    return {tile_id: decide(version, group, run, tile_id).tile_enabled for tile_id, group in groups.items()}


def is_unknown(tile: Tile, zemosaic: UnderTest | None) -> bool:
    """Tell whether a ZeMosaic under test asks for the mode of a tile and finds none in what its Phase 1 hands on."""
    if zemosaic is None or zemosaic.version is None or zemosaic.version.inference is None:
        return False
    return infer(zemosaic.version.inference, _phase1_entries(tile))[0] is Mode.UNKNOWN


def _phase1_entries(tile: Tile) -> list[dict[str, Any]]:
    """Make a tile's entries as ZeMosaic's Phase 1 does: these reach its Phase 3."""
    return [entry_of(EntryKind.PHASE_1, frame.entry) for frame in tile.frames]
