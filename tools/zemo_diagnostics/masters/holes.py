"""Holes in bright cores: blank pixels that bright ones enclose, as where a star's core was rejected or overflowed.

A pixel with nothing in some channel (a channel that carries nothing anywhere is let be) lies in a hole where, going
left, right, up and down from it, the nearest whole pixel is met within `REACH` pixels and is bright: over the median
by `BRIGHT_SPREADS` spreads in some channel. Ragged borders are open on one side at least, and pass.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..frames.pixels import Pixels, RowSource
from .data import ChannelLevels, CoreHoles
from .pixels import pixels_of_a_piece, read_piece

# The farthest that a hole's rim may be, pixels: the saturated core of a bright star is smaller.
REACH = 16

BRIGHT_SPREADS = 10.0

# A piece has no fewer rows and columns than this: what lies around it is read with it, again and again.
LEAST_SIDE = 2 * REACH

# How many holes are named, and among how many pixels of a piece they are looked for.
MAX_PLACES = 5
MAX_LOOKED_AT = 10_000

Mask = NDArray[np.bool_]


def find_core_holes(source: RowSource, channels: tuple[ChannelLevels, ...]) -> CoreHoles:
    """Find the holes in bright cores, piece by piece.

    Parameters
    ----------
    source : RowSource
        The image, (H, W) or (H, W, C).
    channels : tuple of ChannelLevels
        Of the image; those without a median, or constant, are left out.

    Raises
    ------
    FrameError
        Where the pixels cannot be read.
    """
    limits = _bright_limits(channels)
    pixels, places = 0, list[tuple[int, int]]()
    for rows, columns in _pieces(source.shape) if limits else ():
        top, left = max(0, rows.start - REACH), max(0, columns.start - REACH)
        around = slice(top, rows.stop + REACH), slice(left, columns.stop + REACH)
        piece = read_piece(source, *around)[:, :, list(limits)]
        holes = enclosed_by_bright(piece, np.array(list(limits.values())))
        inner = holes[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        pixels += int(np.count_nonzero(inner))
        _add_places(places, inner, rows.start, columns.start)
    return CoreHoles(pixels, tuple(places))


def _pieces(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """Cut an image into pieces that take little memory with what lies around them: bands of rows, or parts of bands."""
    height, width = shape[:2]
    rows, columns = pixels_of_a_piece(shape) // width - 2 * REACH, width
    if rows < LEAST_SIDE:
        rows = LEAST_SIDE
        columns = max(LEAST_SIDE, pixels_of_a_piece(shape) // (rows + 2 * REACH) - 2 * REACH)
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            yield slice(top, min(top + rows, height)), slice(left, min(left + columns, width))


def _bright_limits(channels: tuple[ChannelLevels, ...]) -> dict[int, float]:
    """Give from where on a value is bright, for each channel that carries something."""
    return {
        i: level.median + BRIGHT_SPREADS * level.spread
        for i, level in enumerate(channels)
        if level.median is not None and level.spread is not None and not level.constant
    }


def enclosed_by_bright(band: Pixels, limits: NDArray[np.float64]) -> Mask:
    """Tell which pixels of a piece, (H, W, C), lie in a hole; `limits` say for each channel what is bright."""
    lost: Mask = (~np.isfinite(band) | (band == 0)).any(axis=2)
    if not lost.any():
        return lost
    whole = ~lost
    bright: Mask = whole & (band > limits).any(axis=2)
    enclosed = lost
    for axis in (0, 1):
        for step in (1, -1):
            enclosed = enclosed & _bright_rim(whole, bright, axis, step)
    return enclosed


def _bright_rim(whole: Mask, bright: Mask, axis: int, step: int) -> Mask:
    """Tell where the nearest whole pixel before each one, along an axis and a direction, is near and bright."""
    turn = (slice(None, None, step), slice(None)) if axis == 0 else (slice(None), slice(None, None, step))
    whole, bright = whole[turn], bright[turn]
    shape = (-1, 1) if axis == 0 else (1, -1)
    places = np.arange(whole.shape[axis], dtype=np.int32).reshape(shape)
    nearest = np.maximum.accumulate(np.where(whole, places, np.int32(-REACH - 1)), axis=axis)
    near = places - nearest <= REACH
    return (near & np.take_along_axis(bright, np.maximum(nearest, 0), axis=axis))[turn]


def _add_places(places: list[tuple[int, int]], holes: Mask, top: int, left: int) -> None:
    """Add the first pixel of each of the first few holes of a piece."""
    if len(places) >= MAX_PLACES:
        return
    for y, x in np.argwhere(holes)[:MAX_LOOKED_AT]:
        place = (int(y) + top, int(x) + left)
        if all(max(abs(place[0] - y0), abs(place[1] - x0)) > REACH for y0, x0 in places):
            places.append(place)
        if len(places) == MAX_PLACES:
            return
