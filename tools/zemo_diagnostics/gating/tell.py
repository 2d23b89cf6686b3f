"""What the reports say of the gating of tiles."""

from __future__ import annotations

from ..reports.document import Column, Details, Facts, Line, Row, Section, Table, Tone
from ..reports.levels import state_of
from ..reports.report import Levels
from ..wording import counted, on_off, plural
from .data import ModeCounts, RunGating, TileGating

# From this width on there is room for a column of reasons.
_WHY_ROOM = 110

# The label of the line that explains ZeMosaic's "EQ-only run".
_EQ_ONLY = "EQ-only means"

_COLUMNS = (
    Column(head="frames"),
    Column(head="mode", code=True),
    Column(head="cleanup"),
    Column(head="before patch"),
    Column(head="why", room=_WHY_ROOM),
)


def tell(gating: RunGating, levels: Levels) -> Section:
    """Tell the gating of a run."""
    tiles = Table(
        title="Tiles",
        noun="tile",
        columns=_COLUMNS,
        rows=tuple(_row(tile, levels) for tile in gating.tiles),
        closing_title="What ZeMosaic logs of them",
    )
    frames = Details(
        title="What each frame says of its mount mode",
        noun="line",
        groups=tuple((line,) for tile in gating.tiles for line in _frame_lines(tile)),
    )
    blocks = (Facts("Run", tuple(_facts(gating))), tiles, frames)
    return Section(title="Gating", verdict=_verdict(gating), blocks=blocks)


def _row(tile: TileGating, levels: Levels) -> Row:
    """Tell one tile."""
    evidence = Line(tile.evidence, Tone.FAINT)
    mode = Line(f"{_counts_words(tile.counts)}: treated as {tile.eqmode}")
    return Row(
        number=tile.tile_id,
        name=tile.name,
        state=state_of(tile.tile_id, levels),
        cells=(
            _counts_words(tile.counts),
            tile.eqmode,
            on_off(tile.tile_enabled),
            on_off(tile.before_enabled),
            tile.evidence,
        ),
        told=(mode, evidence, Line(_cleanup_words(tile))),
        beneath=(evidence,),
        closing=Line(tile.log_line, Tone.FAINT),
    )


def _frame_lines(tile: TileGating) -> list[str]:
    """List the frames of a tile and what they say."""
    return [f"tile {tile.tile_id}, {tile.name}", *(f"  {frame.mode:<7}  {frame.name}" for frame in tile.frame_modes)]


def _verdict(gating: RunGating) -> str:
    """Say what happens to the tiles, and what happened to them before the patch."""
    cleaned = sum(tile.tile_enabled for tile in gating.tiles)
    spared = sum(tile.before_enabled and not tile.tile_enabled for tile in gating.tiles)
    text = f"{plural(len(gating.tiles), 'tile')}, alt-az cleanup on {cleaned}"
    if spared:
        text += f"; the code before the patch would also have cleaned {spared}"
    return text


def _counts_words(counts: ModeCounts) -> str:
    """Give what the frames of a tile say: "18 EQ, 2 UNKNOWN"."""
    named = ((counts.eq, "EQ"), (counts.altaz, "ALT_AZ"), (counts.unknown, "UNKNOWN"), (counts.other, "other"))
    return ", ".join(f"{count} {name}" for count, name in named if count) or "no frames"


def _facts(gating: RunGating) -> list[tuple[str, str]]:
    """Give the lines that are true of the whole run: (label, text)."""
    facts = [
        ("summary", gating.summary_line),
        ("cleanup asked for", on_off(gating.requested)),
        ("cleanup in effect", f"{on_off(gating.effective)}: {gating.reason}"),
    ]
    if gating.log_message:
        facts.append(("ZeMosaic logs", gating.log_message))
        if not gating.altaz and gating.unknown:
            silent = counted(gating.unknown, "frame", "does not say its mode", "do not say their mode")
            facts.append((_EQ_ONLY, f"that no frame says ALT_AZ: {silent}, and may be of either"))
    return facts


def _cleanup_words(tile: TileGating) -> str:
    """Say what happens to a tile, and what the code before the patch did."""
    return f"cleanup {on_off(tile.tile_enabled)} (before the patch: {on_off(tile.before_enabled)})"
