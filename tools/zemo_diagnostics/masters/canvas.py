"""What of a master's canvas is measured: the frame within the padding, and nothing where a constant stands for NaN.

ZeMosaic of 2026-04 writes 0 for NaN, and shifts the minimum of a tile to 0 after that: where the tile had negative
values, a constant above 0 stands around the picture and in its holes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..frames.pixels import Cropped, Pixels, RowSource, blank_pixels, read_window
from .data import Padding
from .padding import RowExtents, find_padding
from .pixels import pieces, read_piece


@dataclass(frozen=True)
class Canvas:
    """What is measured of a master, and of its alpha.

    Attributes
    ----------
    source : RowSource
        The frame within the padding; NaN where the fill stands.
    alpha : RowSource or None
        The same part of the ALPHA plane.
    padding : Padding or None
        Where that part lies; None where it is all.
    fill : tuple of float, or None
        The constant that stands for nothing; None where that is NaN or 0.
    """

    source: RowSource
    alpha: RowSource | None
    padding: Padding | None
    fill: tuple[float, ...] | None


@dataclass(frozen=True)
class Unfilled:
    """An image with NaN where all channels hold the fill."""

    image: RowSource
    fill: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Give (H, W) or (H, W, C)."""
        return self.image.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Give a type that knows NaN."""
        return np.result_type(self.image.dtype, np.float32)

    def __getitem__(self, rows: slice) -> Pixels:
        """Read rows ``y0:y1``."""
        return self._emptied(self.image[rows])

    def window(self, rows: slice, columns: slice) -> Pixels:
        """Read columns ``x0:x1`` of rows ``y0:y1``."""
        return self._emptied(read_window(self.image, rows, columns))

    def _emptied(self, read: Pixels) -> Pixels:
        """Put NaN where the fill stands."""
        values = read.astype(self.dtype)
        values[_filled(values, self.fill)] = np.nan
        return values


def lay_out(source: RowSource, alpha: RowSource | None, frame_shape: tuple[int, int] | None = None) -> Canvas:
    """Find what of a master is to be measured. Its pixels are read only where it may be padded, or has a fill.

    Parameters
    ----------
    source : RowSource
        The image.
    alpha : RowSource or None
        Its ALPHA plane.
    frame_shape : tuple of int, optional
        (height, width) of the reference frame, where it is known.

    Raises
    ------
    FrameError
        Where the pixels cannot be read.
    """
    height, width = source.shape[:2]
    fill = _fill_of(source)
    if height != width and fill is None:
        return Canvas(source, alpha, None, None)
    extents = _extents(source, fill)
    if fill is not None and not _is_framed(extents):
        fill, extents = None, _extents(source, None)
    padding = find_padding(extents, frame_shape) if extents.box() else None
    unfilled = source if fill is None else Unfilled(source, fill)
    if padding is None:
        return Canvas(unfilled, alpha, None, fill)
    return Canvas(_within(unfilled, padding), alpha and _within(alpha, padding), padding, fill)


def _within(source: RowSource, padding: Padding) -> Cropped:
    """Give what lies within the padding."""
    return Cropped(frame=source, top=padding.top, left=padding.left, height=padding.height, width=padding.width)


def _fill_of(source: RowSource) -> tuple[float, ...] | None:
    """Give the value of the four corners, where it is the same and neither NaN nor 0."""
    height, width = source.shape[:2]
    places = [(y, x) for y in (0, height - 1) for x in (0, width - 1)]
    corners = np.array([read_piece(source, slice(y, y + 1), slice(x, x + 1))[0, 0] for y, x in places])
    if not np.isfinite(corners).all() or (corners != corners[0]).any() or not corners.any():
        return None
    return tuple(float(value) for value in corners[0])


def _filled(piece: Pixels, fill: tuple[float, ...]) -> NDArray[np.bool_]:
    """Tell which pixels hold the fill in every channel."""
    same: NDArray[np.bool_] = piece == np.asarray(fill if piece.ndim == 3 else fill[0], piece.dtype)
    return same if piece.ndim == 2 else np.logical_and.reduce(same, axis=2)


def _extents(source: RowSource, fill: tuple[float, ...] | None) -> RowExtents:
    """Gather where a canvas holds data."""
    extents = RowExtents(*source.shape[:2])
    for rows, columns in pieces(source.shape):
        piece = read_piece(source, rows, columns)
        blank = blank_pixels(piece)
        extents.add(rows.start, columns.start, ~(blank if fill is None else blank | _filled(piece, fill)))
    return extents


def _is_framed(extents: RowExtents) -> bool:
    """Tell whether there are data, and all four edges of the canvas are without."""
    box = extents.box()
    if box is None:
        return False
    top, left, height, width = box
    return min(top, left, extents.height - top - height, extents.width - left - width) > 0
