"""What the reports say of the gating of tiles."""

from __future__ import annotations

from collections.abc import Sequence

from ..reports.document import Block, Column, Details, Facts, Line, Row, Section, Table, Tone
from ..reports.levels import state_of
from ..reports.report import Levels
from ..wording import counted, on_off, plural
from ..zemosaic.mount_mode import Mode
from .data import Decided, ModeCounts, RunGating, TileGating, VersionRun, VersionTile

# From these widths on there is room for a table, for the columns of both kinds of entries, and for one of reasons.
_ROOM, _BOTH_ROOM, _WHY_ROOM = 80, 90, 130

# The label of the line that explains ZeMosaic's "EQ-only run".
_EQ_ONLY = "EQ-only means"

_PATCH, _BY_FILTER, _NOT_KNOWN = "patch", "by its filter", "not known"


def tell(gating: RunGating, levels: Levels) -> Section:
    """Tell the gating of a run."""
    tiles = Table(
        title="Tiles",
        noun="tile",
        columns=_columns(gating),
        rows=tuple(_row(tile, gating, levels) for tile in gating.tiles),
        note=_note(gating),
        room=_ROOM,
        closing_title=f"What {_who_logs(gating)} logs of them (tile_id=0 is tile 1)",
    )
    frames = Details(
        title="What each frame says of its mount mode",
        noun="line",
        groups=tuple((line,) for tile in gating.tiles for line in _frame_lines(tile)),
    )
    blocks = (*_facts(gating), tiles, frames)
    return Section(title="Gating", verdict=_verdict(gating), blocks=blocks)


def _others(gating: RunGating) -> tuple[VersionRun, ...]:
    """Give the ZeMosaics that are told beside the patch."""
    return tuple(one for one in gating.versions if not one.bundled)


def _columns(gating: RunGating) -> tuple[Column, ...]:
    """Give the columns of the tiles: the patch, each other ZeMosaic, and why the patch decides so."""
    heads = [head for one in _others(gating) for head in _heads(one, gating)]
    return (
        Column(head="frames"),
        Column(head="mode", code=True),
        Column(head=_PATCH),
        *(Column(head=head, room=_BOTH_ROOM if head == _BY_FILTER and len(heads) > 2 else 0) for head in heads),
        Column(head="why", room=_WHY_ROOM),
    )


def _heads(one: VersionRun, gating: RunGating) -> tuple[str, ...]:
    """Name the columns of one ZeMosaic; of the one that was asked about both kinds of entries are shown."""
    return (one.name, _BY_FILTER) if one == gating.subject() and one.has_inference else (one.name,)


def _note(gating: RunGating) -> str:
    """Explain the columns."""
    subject = gating.subject()
    if subject is None:
        return "before, 2026-01, 2026-04: ZeMosaic before the patch, and as released then" if _others(gating) else ""
    if not subject.has_inference:
        return ""
    return f"{_BY_FILTER}: what {subject.title} would do with the entries of its filter window, which never get there"


def _row(tile: TileGating, gating: RunGating, levels: Levels) -> Row:
    """Tell one tile."""
    evidence = Line(tile.evidence, Tone.FAINT)
    mode = Line(f"{_counts_words(tile.counts)}: treated as {tile.eqmode}")
    log_line = _log_line(tile, gating)
    return Row(
        number=tile.tile_id,
        name=tile.name,
        state=state_of(tile.tile_id, levels),
        cells=(
            _counts_words(tile.counts),
            tile.eqmode.value,
            on_off(tile.tile_enabled),
            *(cell for one in _others(gating) for cell in _cells(tile.by(one.name), one, gating)),
            tile.evidence,
        ),
        told=(mode, evidence, *(Line(text) for text in _cleanup_words(tile, gating))),
        beneath=(evidence,),
        closing=None if log_line is None else Line(log_line, Tone.FAINT),
    )


def _cells(tile: VersionTile, one: VersionRun, gating: RunGating) -> tuple[str, ...]:
    """Give the cells of one ZeMosaic; with the mode that it sees where it was asked about."""
    if one == gating.subject() and one.has_inference:
        return _with_mode(tile.decided), _with_mode(tile.by_filter)
    return (_flag(tile.decided),)


def _flag(decided: Decided) -> str:
    """Give "on", "off" or "not known"."""
    return _NOT_KNOWN if decided.tile_enabled is None else on_off(decided.tile_enabled)


def _with_mode(decided: Decided) -> str:
    """Give a flag and the mode that it follows from: "off (UNKNOWN)"."""
    return f"{_flag(decided)} ({decided.eqmode})" if decided.eqmode else _flag(decided)


def _cleanup_words(tile: TileGating, gating: RunGating) -> tuple[str, ...]:
    """Say who cleans a tile."""
    flags = [(_PATCH, on_off(tile.tile_enabled))]
    flags += [
        pair
        for one in _others(gating)
        for pair in zip(_heads(one, gating), _cells(tile.by(one.name), one, gating), strict=True)
    ]
    return (f"cleanup: {', '.join(f'{who} {flag}' for who, flag in flags)}",)


def _who_logs(gating: RunGating) -> str:
    """Name the one whose lines are shown."""
    subject = gating.subject()
    return "ZeMosaic with this patch" if subject is None else subject.title


def _log_line(tile: TileGating, gating: RunGating) -> str | None:
    """Give a tile's line in the log of the ZeMosaic that was asked about, else of the patch."""
    subject = gating.subject()
    return tile.log_line if subject is None else tile.by(subject.name).decided.log_line


def _frame_lines(tile: TileGating) -> list[str]:
    """List the frames of a tile and what they say."""
    return [f"tile {tile.tile_id}, {tile.name}", *(f"  {frame.mode:<7}  {frame.name}" for frame in tile.frame_modes)]


def _verdict(gating: RunGating) -> str:
    """Say what happens to the tiles: by the patch, and by the ZeMosaic that was asked about, else before the patch."""
    cleaned = sum(tile.tile_enabled for tile in gating.tiles)
    text = f"{plural(len(gating.tiles), 'tile')}, alt-az cleanup on {cleaned}"
    subject = gating.subject()
    if subject is not None:
        return f"{text} by the patch; {_verdict_on(subject, gating)}"
    spared = sum(tile.before_enabled and not tile.tile_enabled for tile in gating.tiles)
    if spared:
        text += f"; the code before the patch would also have cleaned {spared}"
    return text


def _verdict_on(subject: VersionRun, gating: RunGating) -> str:
    """Say how many tiles a ZeMosaic cleans."""
    flags = [tile.by(subject.name).decided.tile_enabled for tile in gating.tiles]
    if None in flags:
        return f"whether {subject.title} cleans is not known for {flags.count(None)}"
    return f"{subject.title} cleans {sum(map(bool, flags))}"


def _counts_words(counts: ModeCounts) -> str:
    """Give what the frames of a tile say: "18 EQ, 2 UNKNOWN"."""
    named = ((counts.eq, Mode.EQ), (counts.altaz, Mode.ALT_AZ), (counts.unknown, Mode.UNKNOWN), (counts.other, "other"))
    return ", ".join(f"{count} {name}" for count, name in named if count) or "no frames"


def _facts(gating: RunGating) -> tuple[Block, ...]:
    """Give the lines that are true of the whole run, and of the ZeMosaic that was asked."""
    subject = gating.subject()
    facts = _facts_of_patch(gating) if subject is None else _facts_of(subject, gating)
    run = Facts("Run", (*facts, *_facts_of_others(gating)))
    if gating.checkout is None:
        return (run,)
    told = [("judged", "; ".join(gating.checkout.notes)), ("run", "; ".join(gating.checkout.how))]
    return (Facts("This ZeMosaic", tuple((label, text) for label, text in told if text)), run)


def _facts_of_patch(gating: RunGating) -> list[tuple[str, str]]:
    """Say what the patch makes of the run."""
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


def _facts_of(subject: VersionRun, gating: RunGating) -> list[tuple[str, str]]:
    """Say what a ZeMosaic makes of the run."""
    effect = _NOT_KNOWN if subject.effective is None else on_off(subject.effective)
    facts = [("summary", line) for line in subject.log_lines[:1]]
    facts += [
        ("cleanup asked for", on_off(gating.requested)),
        ("cleanup in effect", f"{effect} in {subject.title}, {on_off(gating.effective)} with the patch"),
    ]
    return facts + [("ZeMosaic logs", line) for line in subject.log_lines[1:]]


def _facts_of_others(gating: RunGating) -> list[tuple[str, str]]:
    """Say what the other ZeMosaics make of the run, and what of it depends on who made their entries."""
    others, facts = _others(gating), []
    if len(others) > 1:
        facts.append(("in other versions", _by_name([(one, one.effective) for one in others])))
    uncounted = [(one, one.without_filter) for one in others if one.without_filter != one.effective]
    if uncounted:
        flags = _by_name(uncounted) if len(others) > 1 else on_off(bool(others[0].without_filter))
        facts.append(("without its filter", f"the modes are not counted, and the cleanup in effect is {flags}"))
    blind = [one for one in others if _is_blind(one, gating.tiles)]
    if blind and gating.subject() is None:
        facts.append(("modes not read by", _blindness(blind, gating.tiles)))
    return facts


def _by_name(flags: Sequence[tuple[VersionRun, bool | None]]) -> str:
    """Give "before on, 2026-01 off"."""
    return ", ".join(f"{one.name} {_NOT_KNOWN if flag is None else on_off(flag)}" for one, flag in flags)


def _is_blind(one: VersionRun, tiles: Sequence[TileGating]) -> bool:
    """Tell whether a ZeMosaic sees no mode in entries of Phase 1 where it does in those of its filter window."""
    said = [tile.by(one.name) for tile in tiles]
    return one.has_inference and any(
        two.decided.eqmode == Mode.UNKNOWN and two.by_filter.eqmode in (Mode.EQ, Mode.ALT_AZ) for two in said
    )


def _blindness(blind: Sequence[VersionRun], tiles: Sequence[TileGating]) -> str:
    """Say what does not read the modes, and what it would do if it did."""
    would = [f"{sum(bool(tile.by(one.name).by_filter.tile_enabled) for tile in tiles)} ({one.name})" for one in blind]
    return (
        f"{', '.join(one.name for one in blind)}: Phase 1 hands headers on in a form that is not read there, and such "
        f"tiles count as UNKNOWN; by the filter window's entries they would clean {' and '.join(would)} of "
        f"{plural(len(tiles), 'tile')}"
    )
