"""The checks of ``zemo-diag phase3``: ZD4xx."""

from __future__ import annotations

from collections.abc import Iterator

from ..findings.kinds import Found, check
from ..reports.report import Level
from ..wording import first_few, fraction, human_bytes, number, plural
from .data import BuildOutcome, Rule, RunPhase3, TileBuild, TilePhase3, TileVerdict

# A difference in blank pixels under this part of a tile is not worth a word.
_SMALL_PART = 0.001


def _main(tile: TilePhase3) -> TileBuild | None:
    """Give the patched master where there is one, else another: what all share is told once."""
    builds = dict(tile.builds())
    return builds.get(Rule.PATCHED) or next(iter(builds.values()), None)


def _is_lost(build: TileBuild | None) -> bool:
    """Tell whether a master is there and next to nothing is left in it."""
    return build is not None and build.outcome.is_lost


def _is_saved(tile: TilePhase3, rule: Rule) -> bool:
    """Tell whether a tile is lost under a rule, and kept by the patch, where that was asked for."""
    return tile.verdict not in (TileVerdict.DEAD, TileVerdict.LOST) and _is_lost(tile.build(rule))


def _how(build: TileBuild) -> str:
    """Say what is left of a master."""
    if build.outcome is BuildOutcome.EMPTY:
        return "it is empty"
    if build.outcome is BuildOutcome.ONE_FRAME and build.one_frame:
        times = number(build.one_frame.scale)
        return f"it holds the light of {build.reference} alone, times {times}"
    return f"{fraction(build.blank_fraction or 0.0)} of it is blank"


def _after(tile: TilePhase3) -> str:
    """Say what the patch leaves blank."""
    if tile.patched is None or tile.patched.blank_fraction is None:
        return ""
    return f"; with the patch {fraction(tile.patched.blank_fraction)} is blank"


@check(
    "ZD401",
    Level.WARNING,
    "The old rule alone wipes this tile, the patch keeps it",
    needs="phase3",
    remedy="Keep the alt-az cleanup off for equatorial lights; a ZeMosaic before the patch switches it on by itself "
    "where a run holds alt-az frames: stack these in a run of their own.",
)
def wiped_by_the_rule(phase3: RunPhase3) -> Iterator[Found]:
    """Before the patch the run's cleanup flag went to every tile. Even with the footprint the right way round, the
    cleanup leaves next to nothing of this one, which is not alt-az: the master is empty, or nine tenths of it are
    blank. The patched code does not clean it."""
    for tile in phase3.tiles:
        if tile.rule_alone and _is_saved(tile, Rule.RULE_ALONE):
            blank = fraction(tile.rule_alone.blank_fraction or 0.0)
            message = f"{blank} of it is blank by the rule alone{_after(tile)}"
            yield Found(f"{message}.", tile.tile_id, (tile.rule_alone.file or "",))


@check(
    "ZD402",
    Level.INFO,
    "The old rule alone blanks a part of this tile",
    needs="phase3",
    remedy="Keep the alt-az cleanup off for equatorial lights.",
)
def trimmed_by_the_rule(phase3: RunPhase3) -> Iterator[Found]:
    """Before the patch the cleanup ran on this tile too, which is not alt-az. With the footprint the right way round it
    takes good pixels from it: most often a margin where the frames do not all reach."""
    for tile in phase3.tiles:
        alone, patched = tile.rule_alone, tile.patched
        if not alone or not patched or _is_lost(alone):
            continue
        lost = (alone.blank_fraction or 0.0) - (patched.blank_fraction or 0.0)
        if alone.cleanup_enabled and not patched.cleanup_enabled and lost > _SMALL_PART:
            yield Found(f"The old rule blanks {fraction(lost)} of it.", tile.tile_id)


@check(
    "ZD413",
    Level.WARNING,
    "Before the patch this tile is lost to the mask, whatever its mount",
    needs="phase3",
    remedy="Keep the alt-az cleanup off. Where a run holds alt-az frames, ZeMosaic before the patch and that of "
    "2026-04 switch it on by themselves: stack these in a run of their own, set altaz_unknown_policy to off (2026-04), "
    "or use the version of 2026-01, which cleans no tile.",
)
def lost_to_the_mask(phase3: RunPhase3) -> Iterator[Found]:
    """With the cleanup on, the released versions take each frame's footprint the wrong way round: of every frame but
    the reference nothing is left. Of fewer than eight frames the master is the reference divided by their number, a dim
    picture with one frame's noise; of more it is empty. With the footprint the right way round the rule keeps it."""
    for tile in phase3.tiles:
        if tile.before and _is_saved(tile, Rule.BEFORE) and not _is_lost(tile.rule_alone):
            yield Found(f"Before the patch {_how(tile.before)}{_after(tile)}.", tile.tile_id, (tile.before.file or "",))


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
        if tile.patched and tile.patched.outcome.is_lost:
            blank = fraction(tile.patched.blank_fraction or 0.0)
            how = "has no signal" if tile.patched.outcome is BuildOutcome.EMPTY else "is nearly empty"
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
        errors = dict.fromkeys(build.error for _, build in reversed(tile.builds()) if build.error)
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
        rules = [rule.value.replace("_", " ") for rule, build in tile.builds() if build.mask_dropped]
        if rules:
            yield Found(f"The mask was dropped ({' and '.join(rules)}).", tile.tile_id)


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
        done = sum(build.file is not None for tile in phase3.tiles for _, build in tile.builds())
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


# ------------------------------------------------------------------------------------- the ZeMosaic under test

# A slope within this of 1, and a median difference under this part of the sky's noise, are the same picture.
_SLOPE_WITHIN = 0.02
_PART_OF_NOISE = 0.1

# A WCS that is off by less is as good as any.
_WCS_OFF_PX = 1.0

_FOOTPRINT_REMEDY = (
    "Keep the alt-az cleanup off in this ZeMosaic; where it switches it on by itself, stack alt-az frames in a run of "
    "their own. Its maintainers find the cure in docs/for-zemosaic.md."
)


def _zemosaics(phase3: RunPhase3) -> Iterator[tuple[TilePhase3, TileBuild]]:
    """Give the tiles that the ZeMosaic under test built, but for those whose lights are dead."""
    for tile in phase3.tiles:
        if tile.zemosaic and tile.verdict is not TileVerdict.DEAD:
            yield tile, tile.zemosaic


@check(
    "ZD414",
    Level.ERROR,
    "This ZeMosaic makes an empty master of the tile",
    needs="phase3",
    remedy=_FOOTPRINT_REMEDY,
)
def zemosaic_empties(phase3: RunPhase3) -> Iterator[Found]:
    """Its own ``create_master_tile``, run on these frames with the flag that its own rule gives, leaves nothing, or
    next to nothing. With the cleanup on the cause is the footprint, taken the wrong way round: of eight frames or more
    the one that is left is rejected."""
    for tile, build in _zemosaics(phase3):
        if build.outcome in (BuildOutcome.EMPTY, BuildOutcome.WIPED):
            flag = "with" if build.cleanup_enabled else "without"
            yield Found(f"Built {flag} the cleanup, {_how(build)}{_after(tile)}.", tile.tile_id, (build.file or "",))


@check(
    "ZD415",
    Level.ERROR,
    "This ZeMosaic's master holds one frame's light",
    needs="phase3",
    remedy=f"{_FOOTPRINT_REMEDY} Where it happens without the cleanup, switch allow_batch_duplication off, or give the "
    "tile five frames or more.",
)
def zemosaic_keeps_one_frame(phase3: RunPhase3) -> Iterator[Found]:
    """The master is its reference frame, times a number, and nothing of the others: as noisy as one frame. With the
    cleanup on the cause is the footprint, taken the wrong way round. Without it, the frames of a small group were
    repeated until there are five, and winsorized rejection took the copies of one for the truth."""
    for tile, build in _zemosaics(phase3):
        if build.outcome is BuildOutcome.ONE_FRAME:
            flag = "with" if build.cleanup_enabled else "without"
            message = f"Built {flag} the cleanup of {plural(build.stacked, 'frame')}, {_how(build)}"
            yield Found(f"{message}.", tile.tile_id, (build.file or "",))


@check(
    "ZD416",
    Level.INFO,
    "This ZeMosaic pads the tile",
    needs="phase3",
    remedy="Nothing to do: padding is transparent in the mosaic. It takes memory and disk, more than twice a frame's.",
)
def zemosaic_pads(phase3: RunPhase3) -> Iterator[Found]:
    """Every group of two frames or more is laid on a square as wide as a frame's diagonal, though the frames hardly
    turn. What is blank is told of the frame within."""
    for tile, build in _zemosaics(phase3):
        if build.padding_fraction:
            yield Found(f"{fraction(build.padding_fraction)} of the master is padding.", tile.tile_id)


@check(
    "ZD417",
    Level.WARNING,
    "The WCS of this ZeMosaic's master is off",
    needs="phase3",
    remedy="Solve such masters anew; the versions of 2026-04 on move the WCS along.",
)
def zemosaic_leaves_the_wcs(phase3: RunPhase3) -> Iterator[Found]:
    """The master was padded, and its WCS still says where the pixels of the frame were before: the tile goes to a wrong
    place in the mosaic, unless it is solved anew."""
    for tile, build in _zemosaics(phase3):
        if build.wcs_shift_px is not None and build.wcs_shift_px > _WCS_OFF_PX:
            yield Found(f"It is off by {build.wcs_shift_px:.0f} pixels.", tile.tile_id)


@check(
    "ZD418",
    Level.INFO,
    "This ZeMosaic repeats frames of small groups",
    needs="phase3",
    remedy="Switch allow_batch_duplication off, or give such a tile five frames or more: copies add no light, and the "
    "rejection takes them for agreement.",
)
def zemosaic_repeats_frames(phase3: RunPhase3) -> Iterator[Found]:
    """Groups under five frames are filled up with copies of their own frames before they are stacked."""
    for tile, build in _zemosaics(phase3):
        if build.repeated_to:
            frames = plural(build.frames - len(build.unreadable), "frame")
            yield Found(f"{frames}, repeated until there are {build.repeated_to}.", tile.tile_id)


@check(
    "ZD419",
    Level.WARNING,
    "This ZeMosaic cleans the tile though it does not know its mode",
    needs="phase3",
    remedy='Set altaz_unknown_policy to "off" in its settings: then only tiles that it knows to be alt-az are cleaned.',
)
def zemosaic_cleans_the_unknown(phase3: RunPhase3) -> Iterator[Found]:
    """Its Phase 1 hands on headers that its own inference does not read, so that every tile is of unknown mode; this
    version counts such tiles of a Seestar as alt-az, equatorial ones too."""
    for tile in phase3.tiles:
        if tile.zemosaic_unknown and tile.flag(Rule.ZEMOSAIC):
            says = f"its frames say {tile.eqmode}" if tile.eqmode != "UNKNOWN" else "nor do its frames say it"
            yield Found(f"The cleanup is on, and {says}.", tile.tile_id)


@check(
    "ZD420",
    Level.WARNING,
    "This ZeMosaic could not load its cleanup, and built the tile without",
    needs="phase3",
    remedy="Run it with a Python that has what is missing (--python), as ZeMosaic itself is run.",
)
def zemosaic_lacks_its_cleanup(phase3: RunPhase3) -> Iterator[Found]:
    """The module that cleans tiles did not import. ZeMosaic says nothing of it and leaves every tile uncleaned; a
    user's ZeMosaic that has the module behaves otherwise."""
    for tile, build in _zemosaics(phase3):
        if build.cleanup_enabled and build.cleanup_missing:
            yield Found(f"{build.cleanup_missing[:1].upper()}{build.cleanup_missing[1:]}.", tile.tile_id)


@check(
    "ZD421",
    Level.WARNING,
    "This ZeMosaic's pixels are not those of the patch",
    needs="phase3",
    remedy="Look at both masters and at the picture; the lines of ZeMosaic are in phase3.log.",
)
def zemosaic_differs(phase3: RunPhase3) -> Iterator[Found]:
    """Both were built alike, on the same reference frame, and one constant was taken off: still the slope is not 1
    within 2 %, or the median difference is a tenth of the sky's noise or more."""
    for tile in phase3.tiles:
        one = tile.comparison
        if one and (abs(one.slope - 1) > _SLOPE_WITHIN or one.median_difference >= _PART_OF_NOISE * one.sky_noise):
            differs = f"Slope {one.slope:.3f}, median difference {number(one.median_difference)} ADU"
            yield Found(f"{differs} at a sky noise of {number(one.sky_noise)} ADU.", tile.tile_id)
