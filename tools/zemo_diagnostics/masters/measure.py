"""Master tiles made by anyone, measured one at a time and piece by piece: fine, partly, nearly or quite empty, and why.

What is measured lies within the padding. A tile with a picture may still hold the light of a single frame: where the
lights are at hand, it is compared with its reference frame.

Empty is what the functions under test call so. Partly empty is a tile of which half the pixels or more are blank: the
ragged corners of a field that turned, and the margin of the cleanup, take less of a good tile. From nine tenths on it
is nearly empty, since nothing is left that a mosaic could use: that is an error as an empty tile is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import FrameError, UnusableFile
from ..frames.pixels import open_image
from ..machine.scratch import scratch_folder
from ..progress import Say
from .canvas import Canvas, lay_out
from .data import (
    LEAST_FRAMES,
    AlphaPlane,
    CoreHoles,
    MasterCards,
    MasterVerdict,
    OneFrame,
    Padding,
    RunMasters,
    TileMaster,
    planes_without_values,
)
from .files import MasterFile, MasterScan, tile_numbers
from .holes import find_core_holes
from .lights import Lights, noise_in_the_middle
from .pictures import Labelled, Thumbnail, stretch
from .pixels import MasterPixels, measure_pixels

# From these parts of blank pixels on a tile is partly empty, and nearly empty.
PARTLY_EMPTY_FRACTION = 0.5
NEARLY_EMPTY_FRACTION = 0.9

# A blank band at an edge is wide from this part of the tile's height or width on.
WIDE_BAND_FRACTION = 0.1

# A scale of one over the number of frames, within this part of it.
_SCALE_TOLERANCE = 0.1

# ZeMosaic fills smaller groups up with copies.
_REPEATED_TO = 5

_LABEL_COLORS = {
    MasterVerdict.FINE: (140, 220, 140),
    MasterVerdict.ONE_FRAME: (255, 120, 120),
    MasterVerdict.PARTLY: (240, 200, 90),
    MasterVerdict.NEARLY: (255, 120, 120),
    MasterVerdict.EMPTY: (255, 120, 120),
}


# What tells of a master's largest |value|, spread and fraction of valid pixels whether it is empty.
MasterSignal = Callable[..., Any]
Draw = Callable[[Labelled], None]


def measure_masters(
    scan: MasterScan, signal: MasterSignal, say: Say, draw: Draw | None = None, lights: Lights | None = None
) -> Iterator[TileMaster | UnusableFile]:
    """Measure every master of a folder, one after the other; a file that is damaged comes back with the reason why.

    Parameters
    ----------
    scan : MasterScan
        The files.
    signal : callable
        From `functions_under_test.load_master_signal`.
    say : callable
        Gets (what is being done, part done, the file).
    draw : callable, optional
        Gets a small picture of each, as soon as there is one.
    lights : Lights, optional
        Those that the masters were made of.
    """
    numbered = zip(tile_numbers(scan.masters), scan.masters, strict=True)
    for done, (tile_id, file) in enumerate(numbered):
        say("measuring masters", done / len(scan.masters), file.name)
        try:
            yield _measured(tile_id, file, signal, draw, lights)
        except FrameError as error:
            yield UnusableFile(file.name, str(error))


def gather(measured: Sequence[TileMaster | UnusableFile], scan: MasterScan, lights: Lights | None = None) -> RunMasters:
    """Put together what was measured, and the files that were damaged from the start."""
    tiles = tuple(one for one in measured if isinstance(one, TileMaster))
    damaged = tuple(one for one in measured if isinstance(one, UnusableFile))
    return RunMasters(tiles, (*scan.damaged, *damaged), len(lights.frames) if lights else None)


def _measured(
    tile_id: int, file: MasterFile, signal: MasterSignal, draw: Draw | None, lights: Lights | None
) -> TileMaster:
    """Measure one master; what it is unpacked to is removed at once, so that no disk is filled."""
    with scratch_folder() as scratch:
        source = open_image(file.path, file.header, scratch)
        alpha = open_image(file.path, file.alpha, scratch) if file.alpha else None
        canvas = lay_out(source, alpha, lights.shape_of(file.reference) if lights else None)
        thumbnail = Thumbnail(canvas.source.shape) if draw else None
        pixels = measure_pixels(canvas.source, canvas.alpha, thumbnail)
        verdict = judge(pixels, signal)
        tile = _tile(tile_id, file, source.shape, verdict, pixels, canvas)
        if verdict is not MasterVerdict.EMPTY:
            tile = _looked_into(tile, file, canvas, lights, scratch)
    if draw and thumbnail:
        draw(_picture(tile, thumbnail))
    return tile


def _looked_into(
    tile: TileMaster, file: MasterFile, canvas: Canvas, lights: Lights | None, scratch: Path
) -> TileMaster:
    """Look a second time at a master that is not empty: for holes, its noise, and its reference frame."""
    holes = tile.holes
    if tile.zero or tile.finite < tile.samples:
        holes = _placed(find_core_holes(canvas.source, tile.channels), canvas.padding)
    tile = replace(tile, holes=holes, noise=noise_in_the_middle(canvas.source))
    frames = file.cards.frames or 0
    if lights is None or frames < LEAST_FRAMES:
        return tile
    compared = lights.compare(canvas.source, file.reference, frames, scratch)
    if compared.one_frame is None:
        frame_noise = lights.noise(tile.measured_shape, file.cards.exposure_s, scratch)
        return replace(tile, reference=compared.reference, frame_noise=frame_noise)
    tile = replace(tile, reference=compared.reference, one_frame=compared.one_frame)
    if compared.one_frame.is_one_frame and tile.verdict is not MasterVerdict.NEARLY:
        cut = min(vars(tile.edges).values()) > 0 or tile.measured_shape != lights.shape_of(file.reference)
        return replace(tile, verdict=MasterVerdict.ONE_FRAME, cause=one_frames_cause(compared.one_frame, cut=cut))
    return tile


def _placed(holes: CoreHoles, padding: Padding | None) -> CoreHoles:
    """Give the places of holes on the canvas."""
    if padding is None:
        return holes
    places = tuple((y + padding.top, x + padding.left) for y, x in holes.first_places)
    return CoreHoles(holes.pixels, places)


def judge(pixels: MasterPixels, signal: MasterSignal) -> MasterVerdict:
    """Say what the pixels of a master come to; whether it is empty say the functions under test."""
    if signal(pixels.max_abs, pixels.std, pixels.valid_pixels / pixels.pixels).is_empty:
        return MasterVerdict.EMPTY
    if pixels.blank_pixels >= NEARLY_EMPTY_FRACTION * pixels.pixels:
        return MasterVerdict.NEARLY
    partly = pixels.blank_pixels >= PARTLY_EMPTY_FRACTION * pixels.pixels
    return MasterVerdict.PARTLY if partly else MasterVerdict.FINE


def likely_cause(verdict: MasterVerdict, pixels: MasterPixels, cards: MasterCards) -> str:
    """Say why a master most likely is as it is; empty where it is fine."""
    if verdict is MasterVerdict.FINE:
        return ""
    if cards.frames_stacked == 0 or cards.frames_aligned == 0:
        return "none of its frames could be aligned, so nothing was stacked"
    how = "NaN" if pixels.samples - pixels.finite > pixels.zero else "0"
    if verdict is not MasterVerdict.EMPTY:
        return f"few frames overlap, or the alt-az cleanup ran on it and wrote {how} where it found coverage poor"
    if pixels.valid_pixels == 0 and pixels.finite:
        return _what_was_lost(pixels)
    if pixels.max_abs > 0:
        return "its frames held no signal, or were normalised down to nothing"
    return f"the alt-az cleanup left nothing of it (it holds {how}), or its frames held no signal"


def one_frames_cause(one: OneFrame, *, cut: bool) -> str:
    """Say why a master most likely holds the light of one frame alone.

    Parameters
    ----------
    one : OneFrame
        The comparison.
    cut : bool, keyword-only
        Whether a margin is missing on all four sides, as the alt-az cleanup takes it.
    """
    diluted = abs(one.scale * one.frames - 1) < _SCALE_TOLERANCE
    if diluted or cut:
        lost = "the alt-az cleanup was on, and all frames but the reference lost their pixels when they were aligned"
        return f"{lost}; they count as 0" if diluted else lost
    if one.frames == _REPEATED_TO:
        return (
            "ZeMosaic repeats the frames of a group of fewer than five until they are five, and of one or two frames "
            "only the reference is left"
        )
    return "all frames but the reference were lost when they were aligned or stacked"


def _what_was_lost(pixels: MasterPixels) -> str:
    """Say which colour left a tile without a single pixel that has all of them."""
    lost = planes_without_values(pixels.channels)
    if not lost:
        return "no pixel has a value in every colour: where one is there, another is missing"
    whose = "plane has" if len(lost) == 1 else "planes have"
    return f"the {' and the '.join(lost)} {whose} no value at all: lost in its frames, or when they were stacked"


def _tile(
    tile_id: int,
    file: MasterFile,
    shape: tuple[int, ...],
    verdict: MasterVerdict,
    pixels: MasterPixels,
    canvas: Canvas,
) -> TileMaster:
    """Put together what is known of one master after the first look."""
    return TileMaster(
        tile_id=tile_id,
        name=file.name,
        shape=shape,
        verdict=verdict,
        cause=likely_cause(verdict, pixels, file.cards),
        cards=file.cards,
        alpha_problem=file.alpha_problem,
        holes=CoreHoles(0, ()),
        padding=canvas.padding,
        fill=canvas.fill,
        **vars(pixels),
    )


def _picture(tile: TileMaster, thumbnail: Thumbnail) -> Labelled:
    """Give the picture of a master; its label holds no file name, since pictures go into tickets unread."""
    return Labelled(
        stretch(thumbnail.image()), f"tile {tile.tile_id}: {tile.verdict.value}", _LABEL_COLORS[tile.verdict]
    )


def wide_bands(tile: TileMaster) -> tuple[tuple[str, int], ...]:
    """Name the edges with a wide blank band, and how wide it is, pixels."""
    height, width = tile.measured_shape
    bands = (
        ("top", tile.edges.top, height),
        ("bottom", tile.edges.bottom, height),
        ("left", tile.edges.left, width),
        ("right", tile.edges.right, width),
    )
    return tuple((edge, band) for edge, band, side in bands if band >= WIDE_BAND_FRACTION * side)


def alpha_difference(tile: TileMaster) -> float:
    """Give the part of a tile's pixels where alpha and pixels disagree; 0 without an alpha plane."""
    alpha: AlphaPlane | None = tile.alpha
    return alpha.disagreeing / tile.pixels if alpha else 0.0
