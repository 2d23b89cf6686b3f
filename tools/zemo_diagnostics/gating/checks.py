"""The checks of ``zemo-diag gating``: ZD0xx on the folder, ZD1xx on the tiles."""

from __future__ import annotations

from collections.abc import Iterator

from ..findings.kinds import Found, check
from ..reports.report import Level, Source
from ..wording import counted, part_of, plural
from ..zemosaic.mount_mode import Mode
from .data import NOT_NAMED, Decided, RunGating, TileGating, VersionRun

_STATED = (Mode.EQ, Mode.ALT_AZ)

# How many frames make a tile whose mount mode can be judged by a majority.
_HALF = 0.5


def _names(tile: TileGating, *modes: str) -> tuple[str, ...]:
    """Name the frames of a tile that state one of the modes."""
    return tuple(frame.name for frame in tile.frame_modes if frame.mode in modes)


@check(
    "ZD001",
    Level.WARNING,
    "A file holds no usable frame",
    needs="source",
    remedy="Copy it again from where it came, or move it out of the folder; ZeMosaic would skip it, stop on it, or "
    "take a master tile for a light.",
)
def unusable_files(source: Source) -> Iterator[Found]:
    """A file with a frame's suffix that is no light: empty, cut off, damaged, a table, not FITS at all; or made of
    lights, such as a master tile or a stack."""
    for file in source.unusable:
        yield Found(f"{file.name}: {file.reason}.", evidence=(file.name,))


@check(
    "ZD002",
    Level.WARNING,
    "A folder cannot be looked into",
    needs="source",
    remedy="Give yourself the right to read it, or move its frames to where they can be read, and run again; if none "
    "are in it, let it be.",
)
def unread_folders(source: Source) -> Iterator[Found]:
    """A sub-folder may not be read, went away meanwhile, or lies so deep that its path is too long for the system.
    Frames in it are in no number of this report; the other folders were read all the same."""
    for folder in source.unread_folders:
        yield Found(f"{folder.name}: {folder.reason}.", evidence=(folder.name,))


@check(
    "ZD101",
    Level.ERROR,
    "A tile mixes both mount modes",
    needs="gating",
    remedy="Stack equatorial and alt-az frames as separate tiles: sort them into one folder per mode.",
)
def mixes_both_modes(gating: RunGating) -> Iterator[Found]:
    """One tile holds frames that say EQ and frames that say ALT_AZ. One decision is made for all of them, so one
    kind is treated wrongly: cleaned where it must not be, or left with the ragged edges of field rotation."""
    for tile in gating.tiles:
        if tile.counts.eq and tile.counts.altaz:
            eq = counted(tile.counts.eq, "frame", "says", "say")
            altaz = f"{tile.counts.altaz} {'says' if tile.counts.altaz == 1 else 'say'}"
            message = f"{eq} EQ and {altaz} ALT_AZ; all are treated as {tile.eqmode}."
            fewer = Mode.EQ if tile.counts.eq < tile.counts.altaz else Mode.ALT_AZ
            yield Found(message, tile.tile_id, _names(tile, fewer))


@check(
    "ZD102",
    Level.WARNING,
    "The first frame decides against the majority",
    needs="gating",
    remedy="Look at that frame: if it is in the wrong tile, move it; else split the tile by mount mode.",
)
def decides_against_majority(gating: RunGating) -> Iterator[Found]:
    """The mount mode of a tile is that of its first frame that says one. Here most frames that say one say
    the other."""
    for tile in gating.tiles:
        said = {Mode.EQ: tile.counts.eq, Mode.ALT_AZ: tile.counts.altaz}
        if tile.eqmode in said and said[tile.eqmode] < sum(said.values()) * _HALF and tile.deciding_index is not None:
            name = tile.frame_modes[tile.deciding_index].name
            so = counted(said[tile.eqmode], "frame", "says so", "say so")
            others = sum(said.values()) - said[tile.eqmode]
            message = f"Frame {tile.deciding_index + 1} makes the tile {tile.eqmode}: {so}, {others} say otherwise."
            yield Found(message, tile.tile_id, (name,))


@check(
    "ZD103",
    Level.WARNING,
    "Most frames do not say their mount mode",
    needs="gating",
    remedy=(
        "Where a few frames speak for the rest, see that all are of one session. Where the cleanup is on for the run, "
        "ZeMosaic before the patch cleans an UNKNOWN tile; that of January 2026 never does; that of April 2026 does if "
        "its frames are a Seestar's (altaz_unknown_policy auto). So stack equatorial frames with that of January, with "
        "that of April and altaz_unknown_policy off, or with an older one, the cleanup off and no frame in the run "
        "that says ALT_AZ, since such switch it on. 'zemo-diag masters' shows what came out."
    ),
)
def mode_is_missing(gating: RunGating) -> Iterator[Found]:
    """More than half of a tile's frames carry no EQMODE (or no header at all). Its absence does not mean alt-az:
    what the few others say, or nothing at all, decides for the whole tile. A tile of which no frame says it counts as
    UNKNOWN, in whichever folder it lies; the functions that are examined never clean it."""
    for tile in gating.tiles:
        if tile.counts.unknown > tile.frames * _HALF:
            yield Found(f"{_silence(tile)}; the tile counts as {tile.eqmode}.{_who_writes_it(tile)}", tile.tile_id)


def _silence(tile: TileGating) -> str:
    """Say how many frames of a tile do not say their mode."""
    if tile.frames > 1 and tile.counts.unknown == tile.frames:
        return f"None of its {tile.frames} frames says its mount mode"
    said = ("does not say its mount mode", "do not say their mount mode")
    return part_of(tile.counts.unknown, tile.frames, "frame", *said)


def _who_writes_it(tile: TileGating) -> str:
    """Say which programs write the mode, as far as that tells of a tile's telescopes."""
    named = [one.name.lower() for one in tile.telescopes if not one.name.startswith(NOT_NAMED)]
    if not named:
        return ""
    if any("seestar" in name for name in named):
        return " Seestars write it (EQMODE) since the firmware of June 2025 (PROGRAM 4.70)."
    return " It is the EQMODE that Seestars write; no other capture program is known to write one."


@check(
    "ZD104",
    Level.WARNING,
    "EQMODE is neither 0 nor 1",
    needs="gating",
    remedy="Report the program and version that wrote it; until then such frames count as UNKNOWN.",
)
def mode_is_odd(gating: RunGating) -> Iterator[Found]:
    """A header carries an EQMODE that means neither alt-az (0) nor equatorial (1)."""
    for tile in gating.tiles:
        odd = [frame for frame in tile.frame_modes if frame.mode.startswith("EQMODE_")]
        if odd:
            values = ", ".join(sorted({repr(frame.mode.removeprefix("EQMODE_")) for frame in odd}))
            yield Found(
                f"{part_of(len(odd), tile.frames, 'frame', 'says', 'say')} EQMODE {values}.",
                tile.tile_id,
                tuple(frame.name for frame in odd),
            )


@check(
    "ZD105",
    Level.WARNING,
    "Frames of several telescopes in one tile",
    needs="gating",
    remedy="Stack each telescope's frames as tiles of their own, then let the mosaic join them.",
)
def several_telescopes(gating: RunGating) -> Iterator[Found]:
    """One tile holds frames of more than one telescope. Their scale, orientation and mount mode need not agree."""
    for tile in gating.tiles:
        if len(tile.telescopes) > 1:
            parts = ", ".join(f"{one.name}: {one.frames}" for one in tile.telescopes)
            yield Found(f"{len(tile.telescopes)} telescopes in one tile ({parts} frames).", tile.tile_id)


@check(
    "ZD106",
    Level.WARNING,
    "Frames of several shapes in one tile",
    needs="gating",
    remedy="Keep frames of one shape in a tile; on-device stacks, crops and binned frames belong elsewhere.",
)
def several_shapes(gating: RunGating) -> Iterator[Found]:
    """One tile holds frames of different shapes. A stack takes one shape only; the others are left out."""
    for tile in gating.tiles:
        if len(tile.shapes) > 1:
            parts = ", ".join(f"{one.shape}: {one.frames}" for one in tile.shapes)
            yield Found(f"{len(tile.shapes)} shapes in one tile ({parts} frames).", tile.tile_id)


@check(
    "ZD107",
    Level.INFO,
    "The code before the patch would have cleaned this tile",
    needs="gating",
    remedy="With ZeMosaic before the patch, switch the alt-az cleanup off, and keep frames that say ALT_AZ out of this "
    "run: they switch it on by themselves. That of January 2026 leaves this tile alone, but every alt-az tile too; "
    "that of April 2026 cleans it all the same if its frames are a Seestar's, unless altaz_unknown_policy is off in "
    "zemosaic_config.json.",
)
def cleaned_before_the_patch(gating: RunGating) -> Iterator[Found]:
    """Before the patch the run's cleanup flag went to every tile: the user's, or on by itself where a frame says
    ALT_AZ. In this tile, which does not say that it is alt-az, that can blank good pixels, up to the whole tile; the
    patch that zemo-diag carries leaves it alone."""
    for tile in gating.tiles:
        if tile.before_enabled and not tile.tile_enabled and gating.subject() is None:
            yield Found(f"A tile of mode {tile.eqmode}: {tile.reason}.", tile.tile_id)


@check(
    "ZD108",
    Level.WARNING,
    "The mode is stated only beyond the frames that are asked",
    needs="gating",
    remedy="Nothing is lost but the decision: sort the tile's frames so that one which says its mode comes first.",
)
def mode_is_stated_too_late(gating: RunGating) -> Iterator[Found]:
    """A tile counts as UNKNOWN since its first frames say nothing, while later ones would."""
    for tile in gating.tiles:
        stated = tile.counts.eq + tile.counts.altaz
        if tile.eqmode is Mode.UNKNOWN and stated:
            yield Found(
                f"{counted(stated, 'later frame', 'says its mode', 'say their modes')}, the first ones do not.",
                tile.tile_id,
                _names(tile, Mode.EQ, Mode.ALT_AZ),
            )


@check(
    "ZD109",
    Level.INFO,
    "No frame of the run says that it is alt-az",
    needs="gating",
    remedy="Nothing to do for an equatorial run. What ZeMosaic does with frames that do not say their mode: see ZD103.",
)
def cleanup_forced_off(gating: RunGating) -> Iterator[Found]:
    """The cleanup was asked for, but no frame says ALT_AZ, so that it is switched off for the whole run, by the patch
    and by ZeMosaic of January 2026. Its log calls that an EQ-only run, also where frames do not say their mode: these
    may be of either. Before the patch it stays on; that of April 2026 may count frames of unknown mode as alt-az."""
    subject = gating.subject()
    effective = gating.effective if subject is None else subject.effective
    if gating.requested and effective is False and gating.unknown:
        said = [counted(gating.eq, "frame", "says EQ", "say EQ")] if gating.eq else []
        said.append(counted(gating.unknown, "frame", "does not say its mode", "do not say their mode"))
        yield Found(f"The cleanup is off for the whole run: {', '.join(said)}.")


@check(
    "ZD110",
    Level.WARNING,
    "Stacks among the frames",
    needs="gating",
    remedy="Move the telescope's own stacks out of the folder of lights.",
)
def stacks_among_frames(gating: RunGating) -> Iterator[Found]:
    """A file is a stack that the telescope made itself (STACKCNT over 1), though its IMAGETYP says Light. Stacked
    with single frames, it counts as one of them."""
    for tile in gating.tiles:
        if tile.stacked_frames:
            yield Found(
                f"{part_of(len(tile.stacked_frames), tile.frames, 'file', 'is a stack', 'are stacks')} already.",
                tile.tile_id,
                tile.stacked_frames,
            )


@check(
    "ZD111",
    Level.INFO,
    "Frames that do not say where they point",
    needs="gating",
    remedy="Sort them into one sub-folder per tile, or solve them first.",
)
def without_pointing(gating: RunGating) -> Iterator[Found]:
    """Frames without WCS and without RA and DEC cannot be grouped by pointing; they are kept together."""
    for tile in gating.tiles:
        if tile.name == "no pointing":
            yield Found(f"Kept together, wherever they point: {plural(tile.without_pointing, 'frame')}.", tile.tile_id)


def _of_subject(gating: RunGating) -> Iterator[tuple[VersionRun, TileGating, Decided]]:
    """Give each tile, and what the ZeMosaic that the user asked about does with it."""
    subject = gating.subject()
    if subject is not None:
        for tile in gating.tiles:
            yield subject, tile, tile.by(subject.name).decided


@check(
    "ZD112",
    Level.ERROR,
    "The functions of this ZeMosaic could not be asked",
    needs="gating",
    remedy="Name the Python that this ZeMosaic runs with by --python, and see that ZeMosaic itself starts with it. If "
    "it does, please report it with this report.",
)
def functions_not_asked(gating: RunGating) -> Iterator[Found]:
    """A checkout's functions are run in a process of their own, which ended before they had answered: a package is
    missing, they raised an error, hung or crashed. What depends on their answers is not known here."""
    if gating.checkout is not None and gating.checkout.problem:
        yield Found(f"Asked for the mode of each tile: {gating.checkout.problem}.")
    for tile in gating.tiles:
        for one in tile.versions:
            raised = one.decided.raised or one.by_filter.raised
            if raised:
                yield Found(f"Asked for the tile's mode, it raised {raised}.", tile.tile_id)


@check(
    "ZD113",
    Level.WARNING,
    "This ZeMosaic does not read the modes that frames state",
    needs="gating",
    remedy="Nothing is wrong with the frames. ZeMosaic of January 2026 then cleans no tile, alt-az ones neither; that "
    "of April 2026 cleans every tile of a Seestar, or none where altaz_unknown_policy is off in zemosaic_config.json. "
    "For its authors: let the mode be read from headers that are no plain dict.",
)
def modes_are_not_read(gating: RunGating) -> Iterator[Found]:
    """Phase 1 hands each header on as an astropy fits.Header, and the inference of the mode reads plain dicts only. So
    every tile counts as UNKNOWN in a real run, though its frames state their mode and the filter window read it."""
    asked = [(subject, tile.by(subject.name)) for subject, tile, _ in _of_subject(gating) if subject.has_inference]
    silent = [one for _, one in asked if one.decided.eqmode == Mode.UNKNOWN and one.by_filter.eqmode in _STATED]
    if silent:
        tiles = part_of(len(silent), len(asked), "tile", "counts", "count")
        yield Found(
            f"{tiles} as UNKNOWN: in the headers that Phase 1 hands on, {asked[0][0].title} finds no mode; in those of "
            "the filter window it does."
        )


@check(
    "ZD114",
    Level.WARNING,
    "Tiles are cleaned though the cleanup was not asked for",
    needs="gating",
    remedy="Keep frames that say ALT_AZ in a run of their own. With ZeMosaic of April 2026 also set "
    "altaz_unknown_policy to off in zemosaic_config.json, or frames of unknown mode switch it on too.",
)
def switched_on_by_itself(gating: RunGating) -> Iterator[Found]:
    """The alt-az cleanup is off in the settings, and this ZeMosaic switches it on by itself: before the patch for
    every tile of a run in which any frame says ALT_AZ."""
    cleaned = [subject for subject, _, decided in _of_subject(gating) if decided.tile_enabled]
    if cleaned and not gating.requested and cleaned[0].effective:
        tiles = counted(len(cleaned), "tile", "is cleaned", "are cleaned")
        yield Found(f"Switched on by {cleaned[0].title} itself: {tiles}.")


_LEAVE_ALONE = (
    "With ZeMosaic before the patch, switch the alt-az cleanup off, and keep frames that say ALT_AZ out of the run. "
    "With that of April 2026, set altaz_unknown_policy to off in zemosaic_config.json: it then cleans no tile."
)


@check("ZD115", Level.WARNING, "An equatorial tile is cleaned", needs="gating", remedy=_LEAVE_ALONE)
def equatorial_tile_is_cleaned(gating: RunGating) -> Iterator[Found]:
    """The frames of a tile say EQ, and this ZeMosaic runs the alt-az cleanup on it. That of all released versions
    blanks most of a tile, or all of it; 'zemo-diag masters' shows what came out."""
    for subject, tile, decided in _of_subject(gating):
        if tile.eqmode is Mode.EQ and decided.tile_enabled:
            yield Found(f"Cleaned by {subject.title}: {_why_cleaned(subject, decided)}.", tile.tile_id)


@check("ZD116", Level.WARNING, "A tile of unknown mode is cleaned", needs="gating", remedy=_LEAVE_ALONE)
def unknown_tile_is_cleaned(gating: RunGating) -> Iterator[Found]:
    """No frame of a tile says its mode, and this ZeMosaic runs the alt-az cleanup on it: it may well be equatorial. The
    cleanup of all released versions blanks most of a tile, or all of it; 'zemo-diag masters' shows what came out."""
    for subject, tile, decided in _of_subject(gating):
        if tile.eqmode is Mode.UNKNOWN and decided.tile_enabled:
            yield Found(f"Cleaned by {subject.title}: {_why_cleaned(subject, decided)}.", tile.tile_id)


def _why_cleaned(subject: VersionRun, decided: Decided) -> str:
    """Say by which rule a tile is cleaned."""
    if not subject.has_inference:
        return "the run's flag goes to every tile"
    if decided.eqmode == Mode.UNKNOWN:
        return "it counts as UNKNOWN there, and such tiles of a Seestar as alt-az (altaz_unknown_policy auto)"
    return f"it counts as {decided.eqmode} there"


@check(
    "ZD117",
    Level.INFO,
    "An alt-az tile is not cleaned",
    needs="gating",
    remedy="No setting of ZeMosaic of January 2026 helps. The tile keeps edges that few frames reach, which is less "
    "harm than the cleanup of the released versions does: crop the mosaic.",
)
def altaz_tile_is_not_cleaned(gating: RunGating) -> Iterator[Found]:
    """The run cleans alt-az tiles and this one's frames say ALT_AZ, but this ZeMosaic leaves it as it is."""
    for subject, tile, decided in _of_subject(gating):
        if tile.eqmode is Mode.ALT_AZ and subject.effective and decided.tile_enabled is False:
            yield Found(f"Not cleaned by {subject.title}: it counts as {decided.eqmode} there.", tile.tile_id)


@check(
    "ZD118",
    Level.WARNING,
    "This ZeMosaic reads a mode otherwise than the version that it is like",
    needs="gating",
    remedy="It was changed since. Its flags in this report follow from the modes that it gives, by the rules of that "
    "version: compare them with the lines P3_ALTaz_GATING of its own log, and please report where they differ.",
)
def reads_otherwise(gating: RunGating) -> Iterator[Found]:
    """A checkout is recognised by the names in it. Its function, really called, gives a tile another mode than the
    known version of these names does."""
    for tile in gating.tiles:
        for one in tile.versions:
            for entries, decided in (("Phase 1", one.decided), ("the filter window", one.by_filter)):
                if decided.expected is not None:
                    yield Found(
                        f"From entries of {entries} it gives {decided.eqmode}, {_like(gating)} {decided.expected}.",
                        tile.tile_id,
                    )


def _like(gating: RunGating) -> str:
    """Name the version that the checkout is like."""
    return str(gating.checkout.version if gating.checkout else None)


@check(
    "ZD119",
    Level.WARNING,
    "Asking for a mode has side effects",
    needs="gating",
    remedy="Please report it with this report: the mode of a group must follow from its entries alone, and leave them "
    "as they are.",
)
def asking_has_side_effects(gating: RunGating) -> Iterator[Found]:
    """The function that gives a tile's mode opened files, which takes long for thousands of frames, or changed the
    entries, which are handed on to the stack."""
    for tile in gating.tiles:
        for one in tile.versions:
            opened = tuple(dict.fromkeys((*one.decided.opened, *one.by_filter.opened)))
            if opened:
                yield Found(f"It opened {plural(len(opened), 'file')}.", tile.tile_id, opened)
            if one.decided.changed or one.by_filter.changed:
                yield Found("It changed the tile's entries.", tile.tile_id)


@check(
    "ZD120",
    Level.WARNING,
    "What this ZeMosaic does with the tiles cannot be judged",
    needs="gating",
    remedy="Look for the lines P3_ALTaz_GATING in its own log. Please report which version it is, so that its rules "
    "can be added.",
)
def cannot_be_judged(gating: RunGating) -> Iterator[Found]:
    """A checkout is like no version whose rules are known, or its function for the mode takes other parameters. Its
    flags are decided within longer functions that cannot be called, so that they are not known here."""
    if gating.checkout is None or gating.checkout.problem:
        return
    unknown = [tile for _, tile, decided in _of_subject(gating) if decided.tile_enabled is None and not decided.raised]
    if unknown:
        yield Found(f"Whether it cleans a tile is not known for {plural(len(unknown), 'tile')}.")
