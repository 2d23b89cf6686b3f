"""The checks of ``zemo-diag phase3``: ZD4xx."""

from __future__ import annotations

from collections.abc import Iterator

from ..findings.kinds import Found, check
from ..masters.data import MasterVerdict
from ..reports.report import Level
from ..wording import first_few, fraction, human_bytes, plural
from .data import RunPhase3, TileBuild, TilePhase3

# A difference in blank pixels under this part of a tile is not worth a word.
_SMALL_PART = 0.001


def _main(tile: TilePhase3) -> TileBuild | None:
    """Give the patched master where there is one, else that of before: what both share is told once."""
    return tile.patched or tile.before


def _is_wiped_by_the_old_rule(tile: TilePhase3) -> bool:
    """Tell whether the old rule alone wipes a tile."""
    by_the_flag = tile.before_enabled and not tile.patched_enabled
    lost, left = (build is not None and build.wiped for build in (tile.before, tile.patched))
    return by_the_flag and lost and not left


@check(
    "ZD401",
    Level.WARNING,
    "The old rule wipes this tile, the patch keeps it",
    needs="phase3",
    remedy="Build your mosaics with a ZeMosaic that has the patch; with an older one, switch the alt-az cleanup off.",
)
def wiped_before_the_patch(phase3: RunPhase3) -> Iterator[Found]:
    """Before the patch the user's cleanup flag went to every tile. In this one, which is not alt-az, the cleanup left
    next to nothing: the master is empty, or nine tenths of it are blank. The patched code does not clean it."""
    for tile in phase3.tiles:
        if tile.before and _is_wiped_by_the_old_rule(tile):
            message = f"{fraction(tile.before.blank_fraction or 0.0)} of it is blank before the patch"
            if tile.patched and tile.patched.blank_fraction is not None:
                message += f", {fraction(tile.patched.blank_fraction)} after"
            yield Found(f"{message}.", tile.tile_id, (tile.before.file or "",))


@check(
    "ZD402",
    Level.INFO,
    "The old rule blanks a part of this tile",
    needs="phase3",
    remedy="Build your mosaics with a ZeMosaic that has the patch; with an older one, switch the alt-az cleanup off.",
)
def trimmed_before_the_patch(phase3: RunPhase3) -> Iterator[Found]:
    """Before the patch the cleanup ran on this tile too, which is not alt-az, and took good pixels from it: most often
    a margin where the frames do not all reach."""
    for tile in phase3.tiles:
        if not tile.before or not tile.patched or _is_wiped_by_the_old_rule(tile):
            continue
        lost = (tile.before.blank_fraction or 0.0) - (tile.patched.blank_fraction or 0.0)
        if tile.before_enabled and not tile.patched_enabled and lost > _SMALL_PART:
            yield Found(f"The old rule blanks {fraction(lost)} of it.", tile.tile_id)


@check(
    "ZD403",
    Level.ERROR,
    "A tile is empty with the patch too",
    needs="phase3",
    remedy="Look at its lights with 'zemo-diag gating' and at its picture: frames without signal, of several pointings "
    "in one tile, or a field that turned so far that hardly a pixel is covered well.",
)
def empty_after_the_patch(phase3: RunPhase3) -> Iterator[Found]:
    """The patched master holds next to nothing: it is empty by ZeMosaic's own limits, or nine tenths of its pixels are
    blank. The decision over the cleanup is not the cause of it."""
    for tile in phase3.tiles:
        if tile.patched and tile.patched.wiped:
            blank = fraction(tile.patched.blank_fraction or 0.0)
            how = "has no signal" if tile.patched.verdict is MasterVerdict.EMPTY else "is nearly empty"
            yield Found(f"The master {how}: {blank} of it is blank.", tile.tile_id, (tile.patched.file or "",))


@check(
    "ZD404",
    Level.ERROR,
    "A tile could not be built",
    needs="phase3",
    remedy="Do what the reason says, and run the same command again: it goes on with what is missing.",
)
def tile_failed(phase3: RunPhase3) -> Iterator[Found]:
    """Building a master failed, or its file cannot be read. No half-written master is left, and the other tiles were
    built all the same."""
    for tile in phase3.tiles:
        errors = dict.fromkeys(build.error for build in (tile.patched, tile.before) if build and build.error)
        for error in errors:
            yield Found(f"{error[:1].upper()}{error[1:]}.", tile.tile_id)


@check(
    "ZD405",
    Level.WARNING,
    "Frames could not be placed on their tile",
    needs="phase3",
    remedy="Look at them: clouds, trails, another pointing, too few stars. They are tried again as a tile of their "
    "own, three times at most.",
)
def frames_not_placed(phase3: RunPhase3) -> Iterator[Found]:
    """Neither the stars of a frame nor its WCS say where it lies on the tile's reference frame. It is not stacked: it
    goes to a retry tile, or is dropped after the last one."""
    for tile in phase3.tiles:
        build = _main(tile)
        if build and build.not_placed:
            message = f"{len(build.not_placed)} of {plural(build.frames, 'frame')} not placed"
            if build.dropped:
                message += f", {len(build.dropped)} of them dropped after the last try"
            yield Found(f"{message}.", tile.tile_id, build.not_placed)


@check(
    "ZD406",
    Level.WARNING,
    "Frames could not be read",
    needs="phase3",
    remedy="Copy them again from the telescope; the tile is then built anew when the same command is run again.",
)
def frames_unreadable(phase3: RunPhase3) -> Iterator[Found]:
    """A frame is cut off, damaged or without any value. It was left out, and its tile was built from the others."""
    for tile in phase3.tiles:
        build = _main(tile)
        if build and build.unreadable:
            names = first_few(build.unreadable, 5)
            yield Found(f"Left out: {names}.", tile.tile_id, build.unreadable)


@check(
    "ZD407",
    Level.INFO,
    "The guard of the cleanup stepped in",
    needs="phase3",
    remedy="Nothing to do: the tile was left as it is. Its edges may be thin; more frames cover it better.",
)
def guard_stepped_in(phase3: RunPhase3) -> Iterator[Found]:
    """The cleanup was on for this tile, but its mask would have kept under a tenth of it. The mask was dropped, as
    ZeMosaic does, and nothing was blanked."""
    for tile in phase3.tiles:
        rules = [rule for rule, build in (("before", tile.before), ("patched", tile.patched)) if _guarded(build)]
        if rules:
            yield Found(f"The mask was dropped ({' and '.join(rules)}).", tile.tile_id)


def _guarded(build: TileBuild | None) -> bool:
    """Tell whether the guard stepped in."""
    return build is not None and build.mask_dropped


@check(
    "ZD408",
    Level.INFO,
    "Frames were tried again as a tile of their own",
    needs="phase3",
    remedy="Nothing to do where the retry tile is fine; else look at its frames.",
)
def tried_again(phase3: RunPhase3) -> Iterator[Found]:
    """Frames that could not be placed on one tile make another, with the next free number and the same mount mode, as
    in ZeMosaic."""
    for tile in phase3.tiles:
        if tile.retry_of is not None:
            message = f"{plural(tile.frames, 'frame')} of tile {tile.retry_of}, treated as {tile.eqmode}."
            yield Found(message, tile.tile_id)


@check(
    "ZD409",
    Level.ERROR,
    "The disk became full",
    needs="phase3",
    remedy="Make room on the disk of the output folder, and run the same command again: it goes on with what is "
    "missing.",
)
def disk_became_full(phase3: RunPhase3) -> Iterator[Found]:
    """A master, or the aligned frames of a tile, could not be written. The run ended there; what was finished before is
    whole, and no half-written master is left."""
    if phase3.disk_full:
        done = sum(
            build is not None and build.file is not None for t in phase3.tiles for build in (t.before, t.patched)
        )
        yield Found(f"The run ended early, with {plural(done, 'whole master')}.")


@check(
    "ZD410",
    Level.WARNING,
    "A tile may need more memory than is free",
    needs="phase3",
    remedy="Close other programs before the run; --jobs 1 builds one tile at a time.",
)
def memory_is_short(phase3: RunPhase3) -> Iterator[Found]:
    """The estimate for the largest tile alone is more than 80 % of the free memory. It is built all the same, since the
    estimate is a bound; it may be slow, or end for want of memory."""
    plan = phase3.plan
    if plan.masters and plan.memory_bytes > plan.memory_limit_bytes:
        need, limit = human_bytes(plan.memory_bytes), human_bytes(plan.memory_limit_bytes)
        yield Found(f"Up to {need} may be taken, and {limit} are free for it ({plan.memory_limit_source}).")


@check(
    "ZD411",
    Level.INFO,
    "No pictures were drawn",
    needs="phase3",
    remedy="Do what the reason says, and run the same command again: only the pictures are made.",
)
def pictures_missing(phase3: RunPhase3) -> Iterator[Found]:
    """What is missing is only pictures: they need Pillow, which is optional, and room on the disk."""
    if phase3.no_pictures and not phase3.disk_full:
        yield Found(f"{phase3.no_pictures[0].upper()}{phase3.no_pictures[1:]}.")


@check(
    "ZD412",
    Level.INFO,
    "Frames were placed by their WCS",
    needs="phase3",
    remedy="Look at the master: if stars are doubled, the solutions of these frames are off.",
)
def placed_by_wcs(phase3: RunPhase3) -> Iterator[Found]:
    """The stars of a frame did not say where it lies, and its plate solution did."""
    for tile in phase3.tiles:
        build = _main(tile)
        if build and build.placed_by_wcs:
            count = f"{len(build.placed_by_wcs)} of {plural(build.frames, 'frame')}"
            yield Found(f"{count} placed by the WCS.", tile.tile_id, build.placed_by_wcs)
