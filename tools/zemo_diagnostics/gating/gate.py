"""What Phase 3 decides for each tile: the functions under test asked, and the evidence laid beside the answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from ..frames.entries import Frame
from ..frames.headers import card, card_int
from ..frames.tiles import Tile, stated_mode
from ..zemosaic.entries import EntryKind, entry_of
from ..zemosaic.jobs import DecidedTile
from ..zemosaic.mount_mode import Mode
from ..zemosaic.under_test import UnderTest
from ..zemosaic.versions import BEFORE, BUNDLED, KNOWN, Version, infer
from .ask import ask_bundled
from .by_version import Column, GroupsByKind, checkout_column, column_of, patch_by_table
from .data import NOT_NAMED, FrameMode, ModeCounts, RunGating, ShapeFrames, TelescopeFrames, TileGating, VersionTile

# What of an odd EQMODE is shown: a small number or a word. Longer text may be anything, a place among it.
_SHORT_VALUE = re.compile(r"[+-]?\d{1,6}(?:\.\d)?|[A-Za-z_ -]{1,12}")


def gate_tiles(
    tiles: Sequence[Tile],
    functions: UnderTest | None,
    *,
    requested: bool,
    zemosaic: UnderTest | None = None,
    only: Version | None = None,
) -> RunGating:
    """Ask the functions under test for the mode and the cleanup of every tile.

    Parameters
    ----------
    tiles : sequence of Tile
        The run. In lines of logs its tiles are counted from 0, as ZeMosaic does.
    functions : UnderTest or None
        The tool's own; None where they are not beside it: then the table of versions says what the patch does.
    requested : bool, keyword-only
        Whether the user's settings ask for the alt-az cleanup.
    zemosaic : UnderTest, optional
        A checkout that is asked too; the known versions are then left out.
    only : Version, optional
        The one known version that is told; all of them where neither is given.

    Raises
    ------
    ChildDiedError
        The tool's own functions did not come to an end.
    """
    groups = _groups(tiles)
    if functions is None:
        decided = patch_by_table(groups, requested=requested)
    else:
        decided = ask_bundled(functions, groups[EntryKind.PHASE_1], requested=requested)
    before = column_of(BEFORE, groups, requested=requested).tiles
    known = [only] if only else [] if zemosaic else KNOWN
    columns = [column_of(version, groups, requested=requested) for version in known]
    checkout = None
    if zemosaic is not None:
        first, checkout = checkout_column(zemosaic, groups, requested=requested, by_table=functions is None)
        columns.insert(0, first)
    return RunGating(
        tiles=tuple(
            _gate_tile(tile, decided.tiles[i], bool(before[i].decided.tile_enabled), _of_tile(columns, i))
            for i, tile in enumerate(tiles)
        ),
        summary_line=decided.summary_line,
        eq=decided.eq,
        altaz=decided.altaz,
        unknown=decided.unknown,
        requested=requested,
        effective=decided.effective,
        reason=decided.reason,
        log_message=decided.message,
        versions=tuple(column.run for column in columns),
        asked_about=columns[0].run.name if zemosaic or only else None,
        checkout=checkout,
    )


def _groups(tiles: Sequence[Tile]) -> GroupsByKind:
    """Make the entries of each tile, as the program makes them: of both kinds."""
    indexed = iter(range(sum(len(tile.frames) for tile in tiles)))
    phase_1 = [[entry_of(EntryKind.PHASE_1, entry, next(indexed)) for entry in tile.entries] for tile in tiles]
    by_filter = [[entry_of(EntryKind.FILTER, entry) for entry in tile.entries] for tile in tiles]
    return {EntryKind.PHASE_1: phase_1, EntryKind.FILTER: by_filter}


def _of_tile(columns: Iterable[Column], index: int) -> tuple[VersionTile, ...]:
    """Give what each ZeMosaic does with one tile."""
    return tuple(column.tiles[index] for column in columns)


def _gate_tile(tile: Tile, decided: DecidedTile, before_enabled: bool, versions: tuple[VersionTile, ...]) -> TileGating:
    """Gate one tile."""
    modes = [_stated(frame) for frame in tile.frames]
    return TileGating(
        tile_id=tile.tile_id,
        name=tile.name,
        frames=len(tile.frames),
        counts=_count_modes(modes),
        eqmode=Mode(decided.mode),
        evidence=_evidence(tile.frames, decided),
        deciding_index=decided.entry_index,
        tile_enabled=decided.enabled,
        before_enabled=before_enabled,
        reason=decided.reason,
        log_line=decided.line,
        frame_modes=tuple(FrameMode(frame.name, mode) for frame, mode in zip(tile.frames, modes, strict=True)),
        telescopes=tuple(TelescopeFrames(*one) for one in _telescopes(tile.frames)),
        shapes=tuple(ShapeFrames(*one) for one in _counted(" × ".join(map(str, frame.shape)) for frame in tile.frames)),
        stacked_frames=tuple(frame.name for frame in tile.frames if _frames_stacked(frame) > 1),
        without_pointing=sum(frame.center_deg is None for frame in tile.frames),
        versions=versions,
    )


def _stated(frame: Frame) -> str:
    """Name what one frame says of its mode: a mode, ``UNKNOWN``, or ``EQMODE_<n>`` as the Qt filter writes it."""
    mode = stated_mode(frame)
    if mode is not Mode.UNKNOWN or frame.header is None:
        return mode.value
    value = card(frame.header.cards, "EQMODE")
    written = "" if value is None else str(value).strip()
    if not written:
        return Mode.UNKNOWN.value
    return f"EQMODE_{written if _SHORT_VALUE.fullmatch(written) else '?'}"


def _count_modes(modes: Sequence[str]) -> ModeCounts:
    """Count the modes that a tile's frames state."""
    eq, altaz, unknown = map(modes.count, Mode)
    return ModeCounts(eq, altaz, unknown, len(modes) - eq - altaz - unknown)


def _evidence(frames: Sequence[Frame], decided: DecidedTile) -> str:
    """Say which key of which entry decided, and how many frames say the same."""
    if decided.key is None or decided.entry_index is None:
        return "no frame that was asked says its mode"
    said = [infer(BUNDLED.inference, [frame.entry]) for frame in frames]
    agreeing = sum((mode, key) == (decided.mode, decided.key) for mode, _, key in said)
    key = "EQMODE" if decided.key.endswith("[EQMODE]") else decided.key
    if len(frames) == 1:
        return f"{key}={decided.value} in the only header"
    which = "first frame" if decided.entry_index == 0 else f"frame {decided.entry_index + 1}, the first to say so"
    return f"{key}={decided.value} in {agreeing} of {len(frames)} headers ({which})"


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


def _counted(labels: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Count labels, the commonest first."""
    return tuple(Counter(labels).most_common())


def _frames_stacked(frame: Frame) -> int:
    """Give how many exposures a file holds already, as the telescope's own stack says it."""
    return 1 if frame.header is None else card_int(frame.header.cards, "STACKCNT", 1)
