"""What Phase 3 decides for each tile: ZeMosaic's own functions asked, and the evidence laid beside the answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..frames.entries import Frame
from ..frames.headers import card, card_int
from ..frames.tiles import Tile
from ..zemosaic.functions_under_test import Phase3Functions
from .data import (
    NOT_NAMED,
    FrameMode,
    ModeCounts,
    RunGating,
    ShapeFrames,
    TelescopeFrames,
    TileGating,
)

# What of an odd EQMODE is shown: a small number or a word. Longer text may be anything, a place among it.
_SHORT_VALUE = re.compile(r"[+-]?\d{1,6}(?:\.\d)?|[A-Za-z_ -]{1,12}")


def gate_tiles(tiles: Sequence[Tile], functions: Phase3Functions, *, requested: bool) -> RunGating:
    """Ask the functions under test for the mode and the cleanup of every tile.

    Parameters
    ----------
    tiles : sequence of Tile
        The run.
    functions : Phase3Functions
        The functions under test.
    requested : bool
        Whether the user's settings ask for the alt-az cleanup.
    """
    summary = functions.summarize_eqmodes(entry for tile in tiles for entry in tile.entries)
    run = functions.decide_global_altaz_cleanup(requested, summary)
    return RunGating(
        tiles=tuple(_gate_tile(tile, functions, run.effective, requested) for tile in tiles),
        summary_line=summary.log_line(),
        eq=summary.eq,
        altaz=summary.altaz,
        unknown=summary.unknown,
        requested=requested,
        effective=run.effective,
        reason=run.reason,
        log_message=run.message,
    )


def _gate_tile(tile: Tile, functions: Phase3Functions, effective: bool, requested: bool) -> TileGating:
    """Gate one tile. Before the patch, the flag that the user asked for went to every tile."""
    decision = functions.decide_tile_altaz_cleanup(tile.tile_id, tile.entries, effective)
    modes = [_stated_mode(frame, functions) for frame in tile.frames]
    return TileGating(
        tile_id=tile.tile_id,
        name=tile.name,
        frames=len(tile.frames),
        counts=_count_modes(modes),
        eqmode=functions.infer_group_eqmode(tile.entries),
        evidence=_evidence(tile.frames, decision.evidence, functions),
        deciding_index=decision.evidence.entry_index,
        tile_enabled=decision.tile_enabled,
        before_enabled=requested,
        reason=decision.reason,
        log_line=decision.log_line(),
        frame_modes=tuple(FrameMode(frame.name, mode) for frame, mode in zip(tile.frames, modes, strict=True)),
        telescopes=tuple(TelescopeFrames(*one) for one in _telescopes(tile.frames)),
        shapes=tuple(ShapeFrames(*one) for one in _counted(" × ".join(map(str, frame.shape)) for frame in tile.frames)),
        stacked_frames=tuple(frame.name for frame in tile.frames if _frames_stacked(frame) > 1),
        without_pointing=sum(frame.center_deg is None for frame in tile.frames),
    )


def _stated_mode(frame: Frame, functions: Phase3Functions) -> str:
    """Name what one frame says of its mode: a mode, ``UNKNOWN``, or ``EQMODE_<n>`` as the Qt filter writes it."""
    mode = functions.infer_group_eqmode([frame.entry])
    if mode != "UNKNOWN" or frame.header is None:
        return mode
    value = card(frame.header.cards, "EQMODE")
    written = "" if value is None else str(value).strip()
    if not written:
        return "UNKNOWN"
    return f"EQMODE_{written if _SHORT_VALUE.fullmatch(written) else '?'}"


def _count_modes(modes: Sequence[str]) -> ModeCounts:
    """Count the modes that a tile's frames state."""
    eq, altaz, unknown = (modes.count(mode) for mode in ("EQ", "ALT_AZ", "UNKNOWN"))
    return ModeCounts(eq, altaz, unknown, len(modes) - eq - altaz - unknown)


def _evidence(frames: Sequence[Frame], evidence: Any, functions: Phase3Functions) -> str:
    """Say which key of which entry decided, and how many frames say the same."""
    if evidence.key is None:
        return "no frame that was asked says its mode"
    agreeing = sum(
        (said.key, said.mode) == (evidence.key, evidence.mode)
        for said in (functions.entry_eqmode(frame.entry) for frame in frames)
    )
    key = "EQMODE" if evidence.key.endswith("[EQMODE]") else evidence.key
    if len(frames) == 1:
        return f"{key}={evidence.value} in the only header"
    which = "first frame" if evidence.entry_index == 0 else f"frame {evidence.entry_index + 1}, the first to say so"
    return f"{key}={evidence.value} in {agreeing} of {len(frames)} headers ({which})"


def _telescopes(frames: Sequence[Frame]) -> tuple[tuple[str, int], ...]:
    """Count the frames of each telescope; units of one model that name themselves are numbered, serials kept out.

    A frame that does not say of which unit it is counts with the first unit of its model.
    """
    named = dict.fromkeys(frame.telescope for frame in frames if frame.telescope[1])
    units: dict[str, list[str]] = {}
    for model, unit in named:
        units.setdefault(model, []).append(unit)
    labels: Counter[str] = Counter()
    for model, unit in (frame.telescope for frame in frames):
        known = units.get(model, [])
        number = f" (unit {known.index(unit) + 1 if unit else 1})" if len(known) > 1 else ""
        labels[(model or NOT_NAMED) + number] += 1
    return tuple(labels.items())


def _counted(labels: Any) -> tuple[tuple[str, int], ...]:
    """Count labels, the commonest first."""
    return tuple(Counter(labels).most_common())


def _frames_stacked(frame: Frame) -> int:
    """Give how many exposures a file holds already, as the telescope's own stack says it."""
    return 1 if frame.header is None else card_int(frame.header.cards, "STACKCNT", 1)
