"""Master tiles made by anyone, measured one at a time by bands of rows: fine, partly empty or empty, and why.

Empty is what ZeMosaic calls so: no valid pixel, a largest |value| of no more than 1e-8, or a spread of no more than
1e-8 with a largest |value| of no more than 1e-7. Partly empty is a tile of which half the pixels or more are blank:
the ragged corners of a field that turned, and the margin of the cleanup, take less of a good tile. From nine tenths
on nothing is left that a mosaic could use: that is an error as an empty tile is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from .entries import Frame
from .errors import FrameError
from .frames import RowSource, open_frame
from .headers import ImageHeader
from .master_files import MasterFile, MasterScan, tile_numbers
from .master_holes import find_core_holes
from .master_pixels import MasterPixels, measure_pixels
from .pictures import Labelled, Thumbnail, stretch
from .progress import Say
from .results import UnusableFile
from .results_masters import AlphaPlane, CoreHoles, MasterCards, MasterVerdict, RunMasters, TileMaster

# ZeMosaic's limits of a master without signal: of the largest |value|, or of the spread together with the third.
EMPTY_MAX_ABS = 1e-8
EMPTY_STD = 1e-8
EMPTY_MAX_ABS_OF_FLAT = 1e-7

# From these parts of blank pixels on a tile is partly empty, and nearly empty.
PARTLY_EMPTY_FRACTION = 0.5
NEARLY_EMPTY_FRACTION = 0.9

# A blank band at an edge is wide from this part of the tile's height or width on.
WIDE_BAND_FRACTION = 0.1

_LABEL_COLORS = {
    MasterVerdict.FINE: (140, 220, 140),
    MasterVerdict.PARTLY: (240, 200, 90),
    MasterVerdict.EMPTY: (255, 120, 120),
}


@dataclass(frozen=True)
class MeasuredMaster:
    """What one file came to: a tile and, where it was asked for, its picture; or a file that is damaged."""

    tile: TileMaster | None
    picture: Labelled | None
    damaged: UnusableFile | None = None


def measure_masters(scan: MasterScan, say: Say, *, pictures: bool = False) -> Iterator[MeasuredMaster]:
    """Measure every master of a folder, one after the other.

    Parameters
    ----------
    scan : MasterScan
        The files.
    say : callable
        Gets (what is being done, part done, the file).
    pictures : bool, keyword-only
        Whether a small picture of each is made on the way.
    """
    numbered = zip(tile_numbers(scan.masters), scan.masters, strict=True)
    for done, (tile_id, file) in enumerate(numbered):
        say("measuring masters", done / len(scan.masters), file.name)
        try:
            yield _measured(tile_id, file, pictures=pictures)
        except FrameError as error:
            yield MeasuredMaster(None, None, UnusableFile(file.name, str(error)))


def gather(measured: Sequence[MeasuredMaster], scan: MasterScan) -> RunMasters:
    """Put together what was measured, and the files that were damaged from the start."""
    tiles = tuple(one.tile for one in measured if one.tile is not None)
    damaged = tuple(one.damaged for one in measured if one.damaged is not None)
    return RunMasters(tiles, (*scan.damaged, *damaged))


def _measured(tile_id: int, file: MasterFile, *, pictures: bool) -> MeasuredMaster:
    """Measure one master; what it is unpacked to is removed at once, so that no disk is filled."""
    with TemporaryDirectory(prefix="zemo-diag-") as scratch:
        source = _opened(file, file.header, Path(scratch))
        alpha = _opened(file, file.alpha, Path(scratch)) if file.alpha else None
        thumbnail = Thumbnail(source.shape) if pictures else None
        pixels = measure_pixels(source, alpha, thumbnail)
        holes = CoreHoles(0, ())
        if (pixels.zero or pixels.finite < pixels.samples) and not is_empty(pixels):
            holes = find_core_holes(source, pixels.channels)
    tile = _tile(tile_id, file, source.shape, pixels, holes)
    return MeasuredMaster(tile, _picture(tile, thumbnail) if thumbnail else None)


def _opened(file: MasterFile, header: ImageHeader, scratch: Path) -> RowSource:
    """Make an image of a file readable by bands of rows."""
    return open_frame(Frame(file.path, file.name, {}, header.shape, header, ("", "")), scratch)


def is_empty(pixels: MasterPixels) -> bool:
    """Tell whether a master holds no signal, as ZeMosaic does."""
    flat = pixels.std <= EMPTY_STD and pixels.max_abs <= EMPTY_MAX_ABS_OF_FLAT
    return pixels.valid_pixels == 0 or pixels.max_abs <= EMPTY_MAX_ABS or flat


def judge(pixels: MasterPixels) -> MasterVerdict:
    """Say what the pixels of a master come to."""
    if is_empty(pixels):
        return MasterVerdict.EMPTY
    partly = pixels.blank_pixels >= PARTLY_EMPTY_FRACTION * pixels.pixels
    return MasterVerdict.PARTLY if partly else MasterVerdict.FINE


def likely_cause(verdict: MasterVerdict, pixels: MasterPixels, cards: MasterCards) -> str:
    """Say why a master most likely is as it is; empty where it is fine."""
    if verdict is MasterVerdict.FINE:
        return ""
    if cards.frames_stacked == 0 or cards.frames_aligned == 0:
        return "none of its frames could be aligned, so nothing was stacked"
    how = "NaN" if pixels.samples - pixels.finite > pixels.zero else "0"
    if verdict is MasterVerdict.PARTLY:
        return f"few frames overlap, or the alt-az cleanup ran on it and wrote {how} where it found coverage poor"
    if pixels.max_abs > 0:
        return "its frames held no signal, or were normalised down to nothing"
    if pixels.valid_pixels == 0 and pixels.finite:
        return "no pixel has a value in every channel: one channel was lost when it was stacked"
    return f"the alt-az cleanup wrote {how} over all of it, or its frames held no signal"


def _tile(tile_id: int, file: MasterFile, shape: tuple[int, ...], pixels: MasterPixels, holes: CoreHoles) -> TileMaster:
    """Put together what is known of one master."""
    verdict = judge(pixels)
    return TileMaster(
        tile_id=tile_id,
        name=file.name,
        shape=shape,
        verdict=verdict,
        cause=likely_cause(verdict, pixels, file.cards),
        cards=file.cards,
        alpha_problem=file.alpha_problem,
        holes=holes,
        **vars(pixels),
    )


def _picture(tile: TileMaster, thumbnail: Thumbnail) -> Labelled:
    """Give the picture of a master; its label holds no file name, since pictures go into tickets unread."""
    return Labelled(
        stretch(thumbnail.image()), f"tile {tile.tile_id}: {tile.verdict.value}", _LABEL_COLORS[tile.verdict]
    )


def wide_bands(tile: TileMaster) -> tuple[tuple[str, int], ...]:
    """Name the edges with a wide blank band, and how wide it is, pixels."""
    height, width = tile.shape[:2]
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
