"""The pixels of one master, measured in a single pass, piece by piece: any image takes the same few megabytes.

A piece is a band of rows; of an image whose rows are too long for that, it is a part of one row, and all rows of a
stretch of columns come before the next stretch.

Counts, extremes, mean and deviation are exact. Median and spread come from a regular sample: every n-th row and
column, n the smallest odd number that leaves no more than about a million pixels (`SAMPLE_PIXELS`); an image up to
that size is taken whole. The median of a million samples is off by about 0.1 % of their spread. The step is odd, so
that a sample of a raw mosaic meets all of its colours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..frames.pixels import Pixels, RowSource, blank_pixels, read_window
from .data import AlphaPlane, ChannelLevels, EdgeBands
from .pictures import Thumbnail

# Memory of the samples of one piece, bytes; what is computed on them takes a few times as much.
BAND_BYTES = 8 << 20

SAMPLE_PIXELS = 1 << 20

# A row or column counts as blank where no more than this part of it holds data: hot pixels do not end a band.
EDGE_LINE_FRACTION = 0.01

# The standard deviation of normal noise, in units of its median absolute deviation.
SIGMA_PER_MAD = 1.4826

Counts = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class MasterPixels:
    """What the pixels of a master hold; see `results_masters.TileMaster` for each."""

    pixels: int
    blank_pixels: int
    valid_pixels: int
    samples: int
    finite: int
    zero: int
    negative: int
    max_abs: float
    std: float
    channels: tuple[ChannelLevels, ...]
    alpha: AlphaPlane | None
    edges: EdgeBands


def pixels_of_a_piece(shape: tuple[int, ...]) -> int:
    """Give how many pixels make a piece of `BAND_BYTES` in float32, at least one."""
    channels = shape[2] if len(shape) == 3 else 1
    return max(1, BAND_BYTES // (4 * channels))


def pieces(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """Cut an image, (H, W) or (H, W, C), into pieces of at most `BAND_BYTES`: rows and columns of each."""
    height, width = shape[:2]
    columns = min(width, pixels_of_a_piece(shape))
    rows = max(1, pixels_of_a_piece(shape) // columns)
    for left in range(0, width, columns):
        for top in range(0, height, rows):
            yield slice(top, min(top + rows, height)), slice(left, min(left + columns, width))


def read_piece(source: RowSource, rows: slice, columns: slice) -> Pixels:
    """Read a piece as floats in the machine's byte order, (rows, columns, C) with C = 1 for one plane."""
    piece = read_window(source, rows, columns)
    wide = piece.dtype.kind in "iu" and piece.dtype.itemsize > 2
    values = piece.astype(np.float64 if wide or piece.dtype.itemsize == 8 else np.float32)
    return values if values.ndim == 3 else values[:, :, np.newaxis]


def sample_step(height: int, width: int) -> int:
    """Give the step of the sample: odd, and no more than `SAMPLE_PIXELS` pixels."""
    step = 1
    while -(-height // step) * -(-width // step) > SAMPLE_PIXELS:
        step += 2
    return step


def measure_pixels(source: RowSource, alpha: RowSource | None, thumbnail: Thumbnail | None = None) -> MasterPixels:
    """Measure a master in one pass over its pixels.

    Parameters
    ----------
    source : RowSource
        The image, (H, W) or (H, W, C).
    alpha : RowSource or None
        The ALPHA plane, (H, W).
    thumbnail : Thumbnail, optional
        Takes the pixels too, so that they are read once.

    Raises
    ------
    FrameError
        Where they cannot be read.
    """
    tally = _Tally(source.shape)
    against = None if alpha is None else _AlphaTally()
    for rows, columns in pieces(source.shape):
        piece = read_piece(source, rows, columns)
        blank = blank_pixels(piece)
        valid = tally.add(rows.start, columns.start, piece, blank)
        if against is not None and alpha is not None:
            against.add(read_window(alpha, rows, columns), blank, valid)
        if thumbnail is not None:
            thumbnail.add(rows.start, piece, columns.start)
    return tally.result(against.plane() if against else None)


class _Tally:
    """Counts, extremes and a sample, gathered piece by piece."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.height, self.width = shape[:2]
        channels = shape[2] if len(shape) == 3 else 1
        self.finite: Counts = np.zeros(channels, np.int64)
        self.zero = self.negative = self.blank = self.valid = 0
        self.low = np.full(channels, np.inf)
        self.high = np.full(channels, -np.inf)
        self.moments = _Moments()
        self.edges = _Edges(self.height, self.width)
        self.step = sample_step(self.height, self.width)
        self.sample: list[Pixels] = []

    def add(self, top: int, left: int, piece: Pixels, blank: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Take a piece; give which of its pixels are valid."""
        finite = np.isfinite(piece)
        valid: NDArray[np.bool_] = np.logical_and.reduce(finite, axis=2)
        self.finite += finite.sum(axis=(0, 1))
        self.zero += int(np.count_nonzero(piece == 0))
        self.negative += int(np.count_nonzero((piece < 0) & finite))
        self.blank += int(np.count_nonzero(blank))
        self.valid += int(np.count_nonzero(valid))
        self.low = np.minimum(self.low, np.min(piece, axis=(0, 1), where=finite, initial=np.inf))
        self.high = np.maximum(self.high, np.max(piece, axis=(0, 1), where=finite, initial=-np.inf))
        self.moments.add(piece[finite])
        self.edges.add(top, left, ~blank)
        self._take_sample(top, left, piece, blank)
        return valid

    def _take_sample(self, top: int, left: int, piece: Pixels, blank: NDArray[np.bool_]) -> None:
        """Keep every n-th row and column; blank pixels become NaN."""
        every = slice(-top % self.step, None, self.step), slice(-left % self.step, None, self.step)
        taken = piece[every].copy()
        taken[blank[every]] = np.nan
        self.sample.append(taken.reshape(-1, taken.shape[2]))

    def result(self, alpha: AlphaPlane | None) -> MasterPixels:
        """Give what was gathered."""
        pixels = self.height * self.width
        sample = np.concatenate(self.sample)
        bounds = zip(self.low.tolist(), self.high.tolist(), strict=True)
        seen = [float(bound) for bound in (*self.low, *self.high) if np.isfinite(bound)]
        return MasterPixels(
            pixels=pixels,
            blank_pixels=self.blank,
            valid_pixels=self.valid,
            samples=pixels * len(self.finite),
            finite=int(self.finite.sum()),
            zero=self.zero,
            negative=self.negative,
            max_abs=max(map(abs, seen), default=0.0),
            std=self.moments.std,
            channels=tuple(_levels(sample[:, i], low, high) for i, (low, high) in enumerate(bounds)),
            alpha=alpha,
            edges=self.edges.result(),
        )


class _Lines:
    """The first and the last of some lines, rows or columns, that hold data."""

    def __init__(self, count: int, length: int) -> None:
        self.count, self.least = count, EDGE_LINE_FRACTION * length
        self.first, self.last = count, -1

    def add(self, start: int, data: Counts) -> None:
        """Take how many pixels of each of some whole lines, the first of which is `start`, hold data."""
        holding = np.flatnonzero(data > self.least)
        if holding.size:
            self.first = min(self.first, start + int(holding[0]))
            self.last = max(self.last, start + int(holding[-1]))

    def blank_ends(self) -> tuple[int, int]:
        """Give how many lines are blank before the first that holds data, and after the last."""
        return self.first, self.count - 1 - self.last


class _Edges:
    """Blank rows and columns from each edge inwards, gathered piece by piece, in the order of `pieces`.

    Counts are kept of the stretch of columns at hand, and of rows only where a piece holds parts of them: such an
    image has few rows for its size.
    """

    def __init__(self, height: int, width: int) -> None:
        self.rows, self.columns = _Lines(height, width), _Lines(width, height)
        self.left = 0
        self.in_columns: Counts = np.zeros(0, np.int64)
        self.in_rows: Counts | None = None

    def add(self, top: int, left: int, data: NDArray[np.bool_]) -> None:
        """Take which pixels of a piece hold data."""
        if left != self.left or not self.in_columns.size:
            self.columns.add(self.left, self.in_columns)
            self.left, self.in_columns = left, np.zeros(data.shape[1], np.int64)
        self.in_columns += data.sum(axis=0)
        if data.shape[1] == self.columns.count:
            self.rows.add(top, data.sum(axis=1))
            return
        if self.in_rows is None:
            self.in_rows = np.zeros(self.rows.count, np.int64)
        self.in_rows[top : top + len(data)] += data.sum(axis=1)

    def result(self) -> EdgeBands:
        """Give the blank bands."""
        self.columns.add(self.left, self.in_columns)
        if self.in_rows is not None:
            self.rows.add(0, self.in_rows)
        return EdgeBands(*self.rows.blank_ends(), *self.columns.blank_ends())


def _levels(sample: Pixels, low: float, high: float) -> ChannelLevels:
    """Give median and spread of one channel's sample, and its extremes."""
    if low > high:
        return ChannelLevels(None, None, None, None)
    values = sample[np.isfinite(sample)]
    if not values.size:
        return ChannelLevels(None, None, low, high)
    median = float(np.median(values))
    spread = SIGMA_PER_MAD * float(np.median(np.abs(values - median)))
    return ChannelLevels(median, spread, low, high)


class _Moments:
    """Count, mean and squared deviations of numbers that come in parts (Chan, Golub and LeVeque 1979)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = self.squares = 0.0

    def add(self, values: NDArray[Any]) -> None:
        """Take some numbers."""
        if not values.size:
            return
        mean = float(np.mean(values, dtype=np.float64))
        delta, count = mean - self.mean, self.count + values.size
        with np.errstate(over="ignore"):
            self.squares += float(np.sum(np.subtract(values, mean, dtype=np.float64) ** 2))
            self.squares += delta * delta * self.count * values.size / count
        self.mean += delta * values.size / count
        self.count = count

    @property
    def std(self) -> float:
        """Standard deviation; 0 of nothing."""
        return float((self.squares / self.count) ** 0.5) if self.count else 0.0


class _AlphaTally:
    """Where alpha and pixels disagree, gathered piece by piece."""

    def __init__(self) -> None:
        self.opaque = self.opaque_but_blank = self.transparent_with_data = 0

    def add(self, alpha: Pixels, blank: NDArray[np.bool_], valid: NDArray[np.bool_]) -> None:
        """Take a piece of alpha, and which pixels are blank and valid there."""
        opaque = alpha > 0
        self.opaque += int(np.count_nonzero(opaque))
        self.opaque_but_blank += int(np.count_nonzero(opaque & blank))
        self.transparent_with_data += int(np.count_nonzero(~opaque & ~blank & valid))

    def plane(self) -> AlphaPlane:
        """Give what was gathered."""
        return AlphaPlane(self.opaque, self.opaque_but_blank, self.transparent_with_data)
