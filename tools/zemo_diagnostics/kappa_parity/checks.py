"""The checks of ``zemo-diag kappa-parity``: ZD2xx."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..errors import UnusableFile
from ..findings.kinds import Found, check
from ..machine.child_process import RunStatus
from ..reports.report import Level
from ..wording import plural
from ..zemosaic.checkout import Presence
from .data import RunParity, TileParity, Variant, VariantRun, Verdict, ZemosaicRun
from .tell import rows_words, verdict_words, zemosaic_name

# A chunked run whose peak over its baseline is more than this part of the full frame's has no point.
_POINTLESS_SHARE = 0.9

# What the functions of a ZeMosaic are asked beside the tiles.
_SMALL = "on a few small frames with weights of shape (H, W, C)"

# Below this, peaks are noise of the allocator rather than of the stack.
_MEASURABLE_BYTES = 64 << 20


def _names(files: tuple[UnusableFile, ...]) -> tuple[str, ...]:
    """Name files, each with its reason."""
    return tuple(f"{file.name}: {file.reason}" for file in files)


def _ended(parity: RunParity, status: RunStatus) -> Iterator[Found]:
    """Find the children that ended in one way; of those of a ZeMosaic, not the ones that ZD218 and ZD219 tell."""
    for tile in parity.tiles:
        for run in tile.runs:
            if run.status is status:
                child = (
                    "child that reads the frames" if run.variant is Variant.INSPECT else f"{run.variant.value} child"
                )
                yield Found(f"The {child}{_rows(run)}: {run.detail}.", tile.tile_id)
        for theirs in tile.zemosaic:
            if theirs.run.status is status and theirs.died:
                message = f"{zemosaic_name(theirs.run)} child{_rows(theirs.run)}: {theirs.run.detail}."
                yield Found(message, tile.tile_id, (theirs.function,))
    for theirs in _asked_for_pixel_weights(parity):
        if theirs.run.status is status is not RunStatus.RAISED:
            yield Found(f"{zemosaic_name(theirs.run)} child, {_SMALL}: {theirs.run.detail}.", None, (theirs.function,))


def _rows(run: VariantRun) -> str:
    """Name the rows that a child had."""
    return f", rows {run.rows[0]} to {run.rows[1] - 1}" if run.rows[1] else ""


def _asked_for_pixel_weights(parity: RunParity) -> tuple[ZemosaicRun, ...]:
    """Give the functions of a ZeMosaic on a few small frames with weights of shape (H, W, C)."""
    return parity.zemosaic.pixel_weights if parity.zemosaic else ()


def smallest_stack_that_rejects(kappa: float) -> int:
    """Give the number of frames from which one pass can reject a lone outlier around the median.

    One value at distance d from N - 1 equal ones gives a standard deviation of d sqrt(N - 1) / N: it is
    rejected only where N / sqrt(N - 1) > kappa, that is where N is over the larger root of N^2 - kappa^2 (N - 1).
    """
    square = kappa * kappa
    root = (square + math.sqrt(max(0.0, square * (square - 4.0)))) / 2
    return max(3, math.floor(root) + 1)


@check(
    "ZD201",
    Level.ERROR,
    "The two results differ",
    needs="parity",
    remedy="Report it with this report attached: the chunked stack must equal the full frame in every bit.",
)
def results_differ(parity: RunParity) -> Iterator[Found]:
    """Full frame and bands of rows give different results on this tile."""
    for tile in parity.tiles:
        if tile.comparison and tile.verdict is Verdict.DIFFERENT:
            yield Found(
                f"{tile.comparison.detail[0].upper()}{tile.comparison.detail[1:]}.", tile.tile_id, _places(tile)
            )


def _places(compared: TileParity | ZemosaicRun) -> tuple[str, ...]:
    """Give the first differing places."""
    return tuple(str(list(place)) for place in compared.comparison.first_places) if compared.comparison else ()


@check(
    "ZD202",
    Level.WARNING,
    "The two results differ within the tolerance",
    needs="parity",
    remedy="Run again without --atol to hold the chunked stack to every bit.",
)
def results_within_tolerance(parity: RunParity) -> Iterator[Found]:
    """Full frame and bands of rows do not agree in every bit, but within the tolerance that was given."""
    for tile in parity.tiles:
        if tile.comparison and tile.verdict is Verdict.WITHIN:
            yield Found(
                f"{tile.comparison.detail[0].upper()}{tile.comparison.detail[1:]}.", tile.tile_id, _places(tile)
            )


@check(
    "ZD203",
    Level.ERROR,
    "A variant stopped with an error",
    needs="parity",
    remedy="'Unable to allocate' means too little memory: close programs, or use --crop or --max-frames. "
    "Anything else: report it with this report attached.",
)
def variant_raised(parity: RunParity) -> Iterator[Found]:
    """A variant raised an error in its child process; the other tiles were run all the same."""
    yield from _ended(parity, RunStatus.RAISED)


@check(
    "ZD204",
    Level.ERROR,
    "A variant was killed",
    needs="parity",
    remedy="Close other programs and run again, or use --memory-limit, --crop or --max-frames to need less.",
)
def variant_killed(parity: RunParity) -> Iterator[Found]:
    """A variant's child process died without a result, most often because the system ran out of memory."""
    yield from _ended(parity, RunStatus.KILLED)


@check(
    "ZD205",
    Level.ERROR,
    "A variant did not end in time",
    needs="parity",
    remedy="Give it longer with --timeout, or less to do with --crop or --max-frames.",
)
def variant_timed_out(parity: RunParity) -> Iterator[Found]:
    """A variant's child process ran longer than --timeout and was stopped."""
    yield from _ended(parity, RunStatus.TIMED_OUT)


@check(
    "ZD206",
    Level.INFO,
    "The whole tile does not fit in memory at once",
    needs="parity",
    remedy="Nothing to do: this is what stacking by bands is for. With more memory the whole tile can be compared; "
    "where it must be, --require-whole makes this an error.",
)
def full_frame_does_not_fit(parity: RunParity) -> Iterator[Found]:
    """The full frame needs more memory than is there. Both variants were compared on the largest central band of
    rows that fits, and the verdict holds for these rows alone; the chunked one also took the whole tile, where that
    fits."""
    for tile in parity.tiles:
        full = next((run for run in tile.runs if run.variant is Variant.FULL_FRAME), None)
        if full is None or all(run.status is RunStatus.SKIPPED for run in tile.runs):
            continue  # what could not be stacked at all is ZD213
        if full.status is RunStatus.SKIPPED:
            yield Found(f"The full frame was not run: {full.detail}.", tile.tile_id)
        elif full.rows != tile.rows:
            done = "The two were compared" if tile.compared_rows else "The full frame was run"
            yield Found(f"{done} on {rows_words(full.rows, tile)}{_not_run(tile)}.", tile.tile_id)


def _not_run(tile: TileParity) -> str:
    """Name the chunked runs of a tile that did not fit, for the end of a sentence."""
    skipped = [run for run in tile.runs if run.status is RunStatus.SKIPPED]
    return "".join(f"; chunked, {rows_words(run.rows, tile) or 'the whole'}: not run, {run.detail}" for run in skipped)


@check(
    "ZD207",
    Level.WARNING,
    "Frames without any signal",
    needs="parity",
    remedy="Move them out of the folder: they add nothing, and weaken the rejection.",
)
def frames_without_signal(parity: RunParity) -> Iterator[Found]:
    """Every pixel of a frame is zero, or NaN, or the same. Such frames are stacked as ZeMosaic would."""
    for tile in parity.tiles:
        if tile.no_signal:
            message = f"{len(tile.no_signal)} of {tile.used} stacked frames carry no signal."
            yield Found(message, tile.tile_id, _names(tile.no_signal))


@check(
    "ZD208",
    Level.WARNING,
    "Pixels with every sample rejected",
    needs="parity",
    remedy="Such pixels are NaN in the master: look for NaN or infinite values in the frames, or raise the kappas.",
)
def all_samples_rejected(parity: RunParity) -> Iterator[Found]:
    """Nothing is left at some pixels of the stack: no frame has a finite value there, or rejection took all."""
    for tile in parity.tiles:
        if tile.comparison and 0 < tile.comparison.all_rejected < tile.comparison.samples:
            count, samples = tile.comparison.all_rejected, tile.comparison.samples
            yield Found(f"{count} of {samples} samples of the result are NaN ({count / samples:.2%}).", tile.tile_id)


@check(
    "ZD209",
    Level.INFO,
    "Too few frames for this kappa",
    needs="parity",
    remedy="Use more frames, or a smaller kappa for small tiles.",
)
def too_few_frames(parity: RunParity) -> Iterator[Found]:
    """With so few frames one pass cannot reject a lone outlier (a satellite, a cosmic ray), however bright it is:
    it raises the standard deviation by which it is judged."""
    for tile in parity.tiles:
        needed = smallest_stack_that_rejects(tile.kappa_high)
        if 1 <= tile.used < needed:
            frames = plural(tile.used, "frame")
            message = (
                f"{frames} at kappa {tile.kappa_high:g}: a bright outlier can be rejected from {needed} frames on."
            )
            yield Found(message, tile.tile_id)


@check(
    "ZD210",
    Level.WARNING,
    "Frames left out of the stack",
    needs="parity",
    remedy="See the reason beside each file; frames of another shape belong in a tile of their own.",
)
def frames_left_out(parity: RunParity) -> Iterator[Found]:
    """Some frames of the tile have another shape than most, or their pixels cannot be read."""
    for tile in parity.tiles:
        if tile.left_out:
            message = f"{len(tile.left_out)} of {tile.frames} frames were left out."
            yield Found(message, tile.tile_id, _names(tile.left_out))


@check(
    "ZD211",
    Level.INFO,
    "Raw mosaics were stacked as they are",
    needs="parity",
    remedy="The verdict holds either way. ZeMosaic brings such frames to colour first; with the extra 'color' "
    "(python -m pip install opencv-python-headless) that is done here too, for frames of 8 and 16 bits without sign.",
)
def raw_mosaics(parity: RunParity) -> Iterator[Found]:
    """The frames are raw Bayer mosaics (BAYERPAT) and OpenCV, which would bring them to colour, is not installed,
    or does not take their numbers."""
    for tile in parity.tiles:
        if tile.raw_mosaic:
            yield Found("Frames with BAYERPAT were stacked without bringing them to colour.", tile.tile_id)


@check(
    "ZD212",
    Level.WARNING,
    "Chunked saves no memory",
    needs="parity",
    remedy="Report it with this report attached: bands of rows should need a small part of the full frame's memory.",
)
def saves_no_memory(parity: RunParity) -> Iterator[Found]:
    """The chunked stack needed about as much memory as the full frame did on the same rows."""
    for tile in parity.tiles:
        peaks = {run.variant: run.peak_extra_bytes for run in reversed(tile.runs) if run.status is RunStatus.OK}
        full, chunked = peaks.get(Variant.FULL_FRAME), peaks.get(Variant.CHUNKED)
        if full and chunked and full > _MEASURABLE_BYTES and chunked > full * _POINTLESS_SHARE:
            yield Found(f"Peaks over baseline: {chunked >> 20} MiB chunked, {full >> 20} MiB full frame.", tile.tile_id)


@check(
    "ZD213",
    Level.ERROR,
    "A tile could not be stacked",
    needs="parity",
    remedy="Free memory or give --memory-limit more; see the files left out for tiles without readable frames.",
)
def tile_not_stacked(parity: RunParity) -> Iterator[Found]:
    """No variant could be run on this tile: none of its frames can be read, or not even the chunked stack fits."""
    for tile in parity.tiles:
        if all(run.status is RunStatus.SKIPPED for run in tile.runs):
            why = next((run.detail for run in tile.runs), "none of its frames can be read")
            yield Found(f"Nothing was stacked: {why}.", tile.tile_id)


@check(
    "ZD214",
    Level.ERROR,
    "The stack of a tile is empty",
    needs="parity",
    remedy="Look at the frames: those of this tile hold nothing but NaN or infinite values where they overlap.",
)
def stack_is_empty(parity: RunParity) -> Iterator[Found]:
    """Every sample of a tile's stack is NaN, in both variants. The two agree, but on nothing."""
    for tile in parity.tiles:
        if tile.comparison and 0 < tile.comparison.samples == tile.comparison.all_rejected:
            yield Found(f"All {tile.comparison.samples} samples of the result are NaN.", tile.tile_id)


@check(
    "ZD215",
    Level.ERROR,
    "A tile was not compared whole",
    needs="parity",
    remedy="Free memory or give --memory-limit more, use --crop or --max-frames to need less, or leave --require-whole "
    "out where a part is enough.",
)
def tile_not_compared_whole(parity: RunParity) -> Iterator[Found]:
    """--require-whole was given, and the two variants were compared on some rows of the tile only, or not at all.
    With --crop, the whole is the window that was asked for."""
    for tile in parity.tiles:
        if parity.whole_required and not tile.whole:
            yield Found(f"The verdict is: {verdict_words(tile)}.", tile.tile_id)
        for theirs in tile.zemosaic:
            if parity.whole_required and (theirs.comparison is None or theirs.run.rows != tile.rows):
                where = rows_words(theirs.run.rows, tile) or "no row"
                message = f"{zemosaic_name(theirs.run)}: compared on {where if theirs.comparison else 'no row'}."
                yield Found(message, tile.tile_id, (theirs.function,))


@check(
    "ZD216",
    Level.ERROR,
    "A stack of ZeMosaic differs from the reference",
    needs="parity",
    remedy="Report it to ZeMosaic with this report attached: its functions should give the same stack, whichever "
    "of them is used. Where its rejection was changed on purpose, this is that change.",
)
def zemosaic_differs(parity: RunParity) -> Iterator[Found]:
    """A function of the ZeMosaic under test gives another stack than the full frame that zemo-diag carries, on the
    same frames."""
    for tile_id, theirs in _compared_with_zemosaic(parity):
        if theirs.comparison and theirs.comparison.verdict is Verdict.DIFFERENT:
            where = f", {_SMALL}" if tile_id is None else ""
            yield Found(f"{zemosaic_name(theirs.run)}{where}: {theirs.comparison.detail}.", tile_id, _places(theirs))


@check(
    "ZD217",
    Level.WARNING,
    "A stack of ZeMosaic differs from the reference within the tolerance",
    needs="parity",
    remedy="Run again without --atol to hold it to every bit.",
)
def zemosaic_within_tolerance(parity: RunParity) -> Iterator[Found]:
    """A function of the ZeMosaic under test does not agree with the reference in every bit, but within the tolerance
    that was given."""
    for tile_id, theirs in _compared_with_zemosaic(parity):
        if theirs.comparison and theirs.comparison.verdict is Verdict.WITHIN:
            yield Found(f"{zemosaic_name(theirs.run)}: {theirs.comparison.detail}.", tile_id, _places(theirs))


def _compared_with_zemosaic(parity: RunParity) -> Iterator[tuple[int | None, ZemosaicRun]]:
    """Give each run of a function of a ZeMosaic with its tile; None for what was asked beside the tiles."""
    yield from ((None, theirs) for theirs in _asked_for_pixel_weights(parity))
    yield from ((tile.tile_id, theirs) for tile in parity.tiles for theirs in tile.zemosaic)


@check(
    "ZD218",
    Level.ERROR,
    "A stack of ZeMosaic refuses the weights of these frames",
    needs="parity",
    remedy="Report it to ZeMosaic with this report attached; a run that weighs frames would lose this tile. With "
    "--weights none the stacks can be compared all the same.",
)
def zemosaic_refuses_weights(parity: RunParity) -> Iterator[Found]:
    """A function of the ZeMosaic under test raises that the weights do not go together with the frames, though they
    are one for each frame, or one for each frame and channel."""
    for tile in parity.tiles:
        for theirs in tile.zemosaic:
            if theirs.refuses_weights:
                message = f"{zemosaic_name(theirs.run)} function refuses them: {theirs.run.detail}."
                yield Found(message, tile.tile_id, (theirs.function,))


@check(
    "ZD219",
    Level.WARNING,
    "A stack of ZeMosaic refuses weights for each pixel",
    needs="parity",
    remedy="Nothing to do for mosaics whose frames have one weight each. Report it to ZeMosaic with this report "
    "attached: a stack by bands of rows must cut such weights into the same bands as the frames.",
)
def zemosaic_refuses_pixel_weights(parity: RunParity) -> Iterator[Found]:
    """A function of the ZeMosaic under test raises an error where weights have the shape of a frame, (H, W, C). The
    reference takes them. This is asked on a few small frames that are made for it, whatever the folder holds."""
    for theirs in _asked_for_pixel_weights(parity):
        if theirs.run.status is RunStatus.RAISED:
            name = zemosaic_name(theirs.run)
            message = f"{name} function refuses per-pixel weights of shape (H, W, C): {theirs.run.detail}."
            yield Found(message, None, (theirs.function,))


@check(
    "ZD220",
    Level.INFO,
    "A stack of ZeMosaic cannot be judged",
    needs="parity",
    remedy="Nothing to do where this version never had it: before 2026-01 ZeMosaic had no stack by bands of rows. "
    "Where it takes other parameters, a newer zemo-diag may know them.",
)
def zemosaic_function_missing(parity: RunParity) -> Iterator[Found]:
    """The ZeMosaic under test has no such function, or one that takes other parameters, or its module cannot be
    read."""
    for function in parity.zemosaic.functions if parity.zemosaic else ():
        if function.presence is not Presence.PRESENT:
            yield Found(f"{function.told[0].upper()}{function.told[1:]}.", None, (function.name,))


@check(
    "ZD221",
    Level.ERROR,
    "A stack of ZeMosaic was not run",
    needs="parity",
    remedy="For memory: close programs, or use --crop or --max-frames. For room on the disk: set TMPDIR (on Windows "
    "TEMP) to a folder on another one. For a module that cannot be imported: name the Python that runs ZeMosaic by "
    "--python.",
)
def zemosaic_not_run(parity: RunParity) -> Iterator[Found]:
    """A function of the ZeMosaic under test was not run on a tile: it does not fit in memory, its frames do not fit on
    the disk for temporary files, or it cannot be got. Or there is none that can be run."""
    if parity.zemosaic and all(one.presence is not Presence.PRESENT for one in parity.zemosaic.functions):
        yield Found("It has no kappa-sigma stack that can be run: none was compared.")
    for tile in parity.tiles:
        for theirs in tile.zemosaic:
            if theirs.run.status is RunStatus.SKIPPED:
                yield Found(f"{zemosaic_name(theirs.run)}: {theirs.run.detail}.", tile.tile_id, (theirs.function,))
