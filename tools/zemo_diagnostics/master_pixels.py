"""The pixels of one master, measured in a single pass by bands of rows.

Counts, extremes, mean and deviation are exact. Median and spread come from a regular sample: every n-th row and
column, n the smallest odd number that leaves no more than about a million pixels (`SAMPLE_PIXELS`); an image up to
that size is taken whole. The median of a million samples is off by about 0.1 % of their spread. The step is odd, so
that a sample of a raw mosaic meets all of its colours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .frames import Pixels, RowSource, blank_pixels
from .pictures import Thumbnail
from .results_masters import AlphaPlane, ChannelLevels, EdgeBands
from .stack_input import SIGMA_PER_MAD

# Memory of the samples of one band, bytes; what is computed on them takes a few times as much.
BAND_BYTES = 8 << 20

SAMPLE_PIXELS = 1 << 20

# A row or column counts as blank where no more than this part of it holds data: hot pixels do not end a band.
EDGE_LINE_FRACTION = 0.01

Counts = NDArray[np.int64]


@dataclass(frozen=True)
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


def band_rows(shape: tuple[int, ...]) -> int:
    """Give how many rows make a band of `BAND_BYTES` in float32, at least one."""
    channels = shape[2] if len(shape) == 3 else 1
    return max(1, BAND_BYTES // (4 * shape[1] * channels))


def read_rows(source: RowSource, first: int, last: int) -> Pixels:
    """Read rows as floats in the machine's byte order, (rows, W, C) with C = 1 for one plane."""
    rows = source[first:last]
    wide = rows.dtype.kind in "iu" and rows.dtype.itemsize > 2
    values = rows.astype(np.float64 if wide or rows.dtype.itemsize == 8 else np.float32)
    return values if values.ndim == 3 else values[:, :, np.newaxis]


def sample_step(height: int, width: int) -> int:
    """Give the step of the sample: odd, and no more than `SAMPLE_PIXELS` pixels."""
    step = 1
    while -(-height // step) * -(-width // step) > SAMPLE_PIXELS:
        step += 2
    return step


def measure_pixels(source: RowSource, alpha: RowSource | None, thumbnail: Thumbnail | None = None) -> MasterPixels:
    """Measure a master in one pass over its rows.

    Parameters
    ----------
    source : RowSource
        The image, (H, W) or (H, W, C).
    alpha : RowSource or None
        The ALPHA plane, (H, W).
    thumbnail : Thumbnail, optional
        Takes the rows too, so that they are read once.

    Raises
    ------
    FrameError
        Where the rows cannot be read.
    """
    tally = _Tally(source.shape)
    against = None if alpha is None else _AlphaTally()
    rows = band_rows(source.shape)
    for first in range(0, source.shape[0], rows):
        last = min(first + rows, source.shape[0])
        band = read_rows(source, first, last)
        blank = blank_pixels(band)
        valid = tally.add(first, band, blank)
        if against is not None and alpha is not None:
            against.add(alpha[first:last], blank, valid)
        if thumbnail is not None:
            thumbnail.add(first, band)
    return tally.result(against.plane() if against else None)


class _Tally:
    """Counts, extremes and a sample, gathered band by band."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.height, self.width = shape[:2]
        channels = shape[2] if len(shape) == 3 else 1
        self.finite: Counts = np.zeros(channels, np.int64)
        self.zero = self.negative = self.blank = self.valid = 0
        self.low = np.full(channels, np.inf)
        self.high = np.full(channels, -np.inf)
        self.moments = _Moments()
        self.data_in_row: Counts = np.zeros(self.height, np.int64)
        self.data_in_column: Counts = np.zeros(self.width, np.int64)
        self.step = sample_step(self.height, self.width)
        self.sample: list[Pixels] = []

    def add(self, first: int, band: Pixels, blank: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Take rows; give which of their pixels are valid."""
        finite = np.isfinite(band)
        valid: NDArray[np.bool_] = np.logical_and.reduce(finite, axis=2)
        self.finite += finite.sum(axis=(0, 1))
        self.zero += int(np.count_nonzero(band == 0))
        self.negative += int(np.count_nonzero((band < 0) & finite))
        self.blank += int(np.count_nonzero(blank))
        self.valid += int(np.count_nonzero(valid))
        self.low = np.minimum(self.low, np.min(band, axis=(0, 1), where=finite, initial=np.inf))
        self.high = np.maximum(self.high, np.max(band, axis=(0, 1), where=finite, initial=-np.inf))
        self.moments.add(band[finite])
        self.data_in_row[first : first + len(band)] = self.width - blank.sum(axis=1)
        self.data_in_column += (~blank).sum(axis=0)
        self._take_sample(first, band, blank)
        return valid

    def _take_sample(self, first: int, band: Pixels, blank: NDArray[np.bool_]) -> None:
        """Keep every n-th row and column; blank pixels become NaN."""
        rows = slice(-first % self.step, None, self.step)
        taken = band[rows, :: self.step].copy()
        taken[blank[rows, :: self.step]] = np.nan
        self.sample.append(taken)

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
            channels=tuple(_levels(sample[:, :, i], low, high) for i, (low, high) in enumerate(bounds)),
            alpha=alpha,
            edges=self._edges(),
        )

    def _edges(self) -> EdgeBands:
        """Count the blank rows and columns from each edge inwards."""
        rows = self.data_in_row > EDGE_LINE_FRACTION * self.width
        columns = self.data_in_column > EDGE_LINE_FRACTION * self.height
        return EdgeBands(_lead(rows), _lead(rows[::-1]), _lead(columns), _lead(columns[::-1]))


def _lead(holds_data: NDArray[np.bool_]) -> int:
    """Count the lines before the first that holds data."""
    return int(np.argmax(holds_data)) if holds_data.any() else len(holds_data)


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
    """Where alpha and pixels disagree, gathered band by band."""

    def __init__(self) -> None:
        self.opaque = self.opaque_but_blank = self.transparent_with_data = 0

    def add(self, alpha: Pixels, blank: NDArray[np.bool_], valid: NDArray[np.bool_]) -> None:
        """Take rows of alpha, and which pixels are blank and valid there."""
        opaque = alpha > 0
        self.opaque += int(np.count_nonzero(opaque))
        self.opaque_but_blank += int(np.count_nonzero(opaque & blank))
        self.transparent_with_data += int(np.count_nonzero(~opaque & ~blank & valid))

    def plane(self) -> AlphaPlane:
        """Give what was gathered."""
        return AlphaPlane(self.opaque, self.opaque_but_blank, self.transparent_with_data)
