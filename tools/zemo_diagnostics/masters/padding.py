"""Where a master's canvas ends and its picture begins.

ZeMosaic pads every group of two or more frames to a square, the side of which is the diagonal of a frame, with the
reference frame in its middle. That is no damage: what is measured lies within the frame. Three things show it, in this
order: the shape of a frame, where it is known; a centred rectangle of data, from which the alt-az cleanup may have cut
the same margin on all sides; or data that reach beyond the reference frame, as those of dithered frames do.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, hypot, isqrt, sqrt

import numpy as np
from numpy.typing import NDArray

from .data import Padding

Mask = NDArray[np.bool_]

# A smaller canvas, pixels, is no master: of a few pixels anything can be read.
_SMALLEST = 32

# A canvas may be so much longer than the diagonal of a frame, pixels: it was rounded up.
_ROUNDED = 2

# A rectangle counts as centred where opposite margins differ by no more than this, pixels.
_OFF_CENTRE = 4

# A rectangle is solid where its rows, from their first pixel with data to their last, cover this part of it.
_SOLID = 0.9

# The cleanup cuts no more than this part of the canvas from two opposite sides together.
_CUT = 0.2

# Data beyond the reference frame: so much of the frame has data, and so much of what lies outside has none.
_WHOLE = 0.998
_BLANK_OUTSIDE = 0.5

# Frames of almost the same shape that would fit as well; of more, none is believed. Part of the canvas.
_AMBIGUOUS = 0.08

# No sensor is longer than so many times its width.
_LONGEST = 4


class RowExtents:
    """The first and the last pixel with data of each row of a canvas, gathered piece by piece.

    Parameters
    ----------
    height, width : int
        Of the canvas.
    """

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.first = np.full(height, width, np.int64)
        self.last = np.full(height, -1, np.int64)

    def add(self, top: int, left: int, valid: Mask) -> None:
        """Take which pixels of a piece, the first of which is ``[top, left]``, hold data."""
        some = valid.any(axis=1)
        rows = slice(top, top + len(valid))
        first = np.where(some, left + valid.argmax(axis=1), self.width)
        last = np.where(some, left + valid.shape[1] - 1 - valid[:, ::-1].argmax(axis=1), -1)
        self.first[rows] = np.minimum(self.first[rows], first)
        self.last[rows] = np.maximum(self.last[rows], last)

    def covered(self, top: int, left: int, height: int, width: int) -> int:
        """Count the pixels of a rectangle that lie between the first and the last pixel with data of their row."""
        rows = slice(top, top + height)
        begin, end = np.maximum(self.first[rows], left), np.minimum(self.last[rows], left + width - 1)
        return int(np.maximum(end - begin + 1, 0).sum())

    def box(self) -> tuple[int, int, int, int] | None:
        """Give the smallest rectangle that holds all data, as (top, left, height, width); None without data."""
        rows = np.flatnonzero(self.last >= 0)
        if not rows.size:
            return None
        top, left = int(rows[0]), int(self.first.min())
        return top, left, int(rows[-1]) - top + 1, int(self.last.max()) - left + 1


def find_padding(valid: Mask | RowExtents, frame_shape: tuple[int, int] | None = None) -> Padding | None:
    """Find the frame within a master that ZeMosaic padded.

    Parameters
    ----------
    valid : ndarray of bool, (H, W), or RowExtents
        Which pixels hold data.
    frame_shape : tuple of int, optional
        (height, width) of the reference frame, where it is known.

    Returns
    -------
    Padding or None
        None where the canvas is not a square of a frame's diagonal, or nothing shows where the frame lies.
    """
    extents = valid if isinstance(valid, RowExtents) else _extents_of(valid)
    side = extents.width
    if extents.height != side or side < _SMALLEST:
        return None
    if frame_shape is not None and _is_diagonal(side, frame_shape):
        return _centred(side, *frame_shape)
    box = extents.box()
    return None if box is None else _cut_rectangle(extents, box) or _frame_among_others(extents, box)


def padded_side(frame_shape: tuple[int, int]) -> int:
    """Give the side of the square that ZeMosaic pads a group of such frames to."""
    return ceil(hypot(*frame_shape))


def _extents_of(valid: Mask) -> RowExtents:
    """Take a whole mask."""
    extents = RowExtents(*valid.shape)
    extents.add(0, 0, valid)
    return extents


def _is_diagonal(side: int, frame_shape: tuple[int, int]) -> bool:
    """Tell whether a square of this side is what a frame is padded to."""
    return -1 < side - hypot(*frame_shape) < _ROUNDED


def _centred(side: int, height: int, width: int) -> Padding:
    """Lay a frame into the middle of a square."""
    return Padding(side=side, top=(side - height) // 2, left=(side - width) // 2, height=height, width=width)


def _cut_rectangle(extents: RowExtents, box: tuple[int, int, int, int]) -> Padding | None:
    """Find the frame whose data are a centred rectangle, whole or cut by the same margin on all four sides."""
    side, (top, left, height, width) = extents.width, box
    below, beside = side - top - height, side - left - width
    if max(abs(top - below), abs(left - beside)) > _OFF_CENTRE or not _solid(extents, box):
        return None
    if _is_diagonal(side, (height, width)):
        return Padding(side=side, top=top, left=left, height=height, width=width)
    cut = _missing(side, height, width)
    if not 0 < cut <= _CUT * side:
        return None
    return _centred(side, _even(height + cut), _even(width + cut))


def _missing(side: int, height: int, width: int) -> float:
    """Say how much longer both sides of a rectangle must be for the canvas to be its square; negative for shorter.

    (height + missing)² + (width + missing)² is the square of the diagonal, which was rounded up by half a pixel on
    average.
    """
    return (isqrt(max(0, 2 * (side * side - side) - (height - width) ** 2)) - height - width) / 2


def _solid(extents: RowExtents, box: tuple[int, int, int, int]) -> bool:
    """Tell whether nearly all of a rectangle lies between data."""
    return extents.covered(*box) >= _SOLID * box[2] * box[3]


def _even(length: float) -> int:
    """Round to an even number, since the sides of sensors are even."""
    return 2 * round(length / 2)


def _frame_among_others(extents: RowExtents, box: tuple[int, int, int, int]) -> Padding | None:
    """Find the one frame that has data everywhere, though those of other frames reach beyond it."""
    side = extents.width
    found = [frame for frame in _possible_frames(side) if _part_covered(extents, frame) >= _WHOLE]
    if not found or found[-1].height - found[0].height > _AMBIGUOUS * side:
        return None
    # Of equals, the one to which dithers added about as many rows as columns.
    height = box[2] + _missing(side, box[2], box[3])
    frame = max(found, key=lambda frame: (_part_covered(extents, frame), -abs(frame.height - height)))
    outside = extents.covered(0, 0, side, side) - _covered(extents, frame)
    return frame if outside <= (1 - _BLANK_OUTSIDE) * frame.padding_pixels else None


def _possible_frames(side: int) -> Iterator[Padding]:
    """Give the frames that a square is made for, the lowest first."""
    shortest = side // _LONGEST
    for height in range(_even(shortest), side, 2):
        width = _even(sqrt((side - 0.5) ** 2 - height**2))
        if width >= shortest:
            yield _centred(side, height, width)


def _covered(extents: RowExtents, frame: Padding) -> int:
    """Count a frame's pixels between data."""
    return extents.covered(frame.top, frame.left, frame.height, frame.width)


def _part_covered(extents: RowExtents, frame: Padding) -> float:
    """Give the part of a frame's pixels between data."""
    return _covered(extents, frame) / (frame.height * frame.width)
