"""The stacks that the kappa-sigma functions are held against the reference with: frames, weights, limits, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...machine.scratch import save_array

Array = npt.NDArray[Any]

MONO, COLOUR = (37, 23), (21, 19, 3)
FRAMES = 9
CHUNK_ROWS = 7  # several bands, the last one shorter


@dataclass(frozen=True, kw_only=True)
class StackCase:
    """One stack.

    Attributes
    ----------
    what : str
        In words.
    shape : tuple of int
        Of a frame.
    count : int
        Frames.
    change : callable or None
        Makes other frames of the usual ones.
    weights : callable or None
        Makes weights for (N, H, W[, C]).
    sigma : (float, float)
        Limits.
    chunk_rows : int
        For the function that works in bands.
    hand_over : str
        How frames are handed over, see `kappa_job`.
    """

    what: str
    shape: tuple[int, ...] = MONO
    count: int = FRAMES
    change: Callable[[Array], Array] | None = None
    weights: Callable[[tuple[int, ...]], Array] | None = None
    sigma: tuple[float, float] = (3.0, 3.0)
    chunk_rows: int = CHUNK_ROWS
    hand_over: str = "float32"

    def write(self, folder: Path, stem: str) -> tuple[Path, Path | None]:
        """Write frames and weights; give their files."""
        frames = _frames(self.count, self.shape)
        stack = folder / f"{stem}.stack.npy"
        save_array(stack, frames if self.change is None else self.change(frames))
        if self.weights is None:
            return stack, None
        weights = folder / f"{stem}.weights.npy"
        save_array(weights, self.weights(frames.shape))
        return stack, weights


def _frames(count: int, shape: tuple[int, ...]) -> Array:
    """Make frames of sky, with a few samples far off, so that some are rejected."""
    random = np.random.default_rng([count, *shape])
    frames = random.normal(1000.0, 30.0, (count, *shape)).astype(np.float32)
    far = random.random(frames.shape) < 0.03
    frames[far] += np.float32(700.0)
    return frames


def _as(dtype: str) -> Callable[[Array], Array]:
    return lambda frames: frames.astype(dtype)


def _with_nan(frames: Array) -> Array:
    frames[np.random.default_rng(2).random(frames.shape) < 0.2] = np.nan
    frames[:, 0, 1] = np.nan  # a pixel that no frame covers
    frames[1:, 0, 2] = np.nan  # and one that a single frame does
    return frames


def _with_inf(frames: Array) -> Array:
    frames[0, 0, 0], frames[1, 0, 1], frames[:, 1, 0] = np.inf, -np.inf, np.inf
    return frames


def _weights(*axes: int) -> Callable[[tuple[int, ...]], Array]:
    """Make weights that are other along these axes of the stack, and of length 1 along the others after the first."""

    def make(stack: tuple[int, ...]) -> Array:
        shape = [length if axis in axes else 1 for axis, length in enumerate(stack)]
        return (np.random.default_rng(len(axes)).random(shape) + 0.2).astype(np.float32)

    return make


def _shaped(last: int, *axes: int) -> Callable[[tuple[int, ...]], Array]:
    """Make weights without the axes after `last`, such as (N, 1) for (N, H, W)."""

    def make(stack: tuple[int, ...]) -> Array:
        made = _weights(*axes)(stack)
        return made.reshape(made.shape[: last + 1])

    return make


def _without_frames(*axes: int) -> Callable[[tuple[int, ...]], Array]:
    """Make weights without the axis of frames, such as (H, W, C)."""

    def make(stack: tuple[int, ...]) -> Array:
        made = _weights(*axes)(stack)[0]
        shaped: Array = made.reshape(made.shape[min(axes) - 1 :])
        return shaped

    return make


def _some_zero(stack: tuple[int, ...]) -> Array:
    weights = _weights(0)(stack).reshape(stack[0])
    weights[::2] = 0
    return weights


def _all_zero(stack: tuple[int, ...]) -> Array:
    return np.zeros(stack[0], np.float32)


PLAIN = (StackCase(what="mono"), StackCase(what="colour", shape=COLOUR))

DTYPES = tuple(
    StackCase(what=f"{dtype} frames", change=_as(dtype), hand_over="as they are")
    for dtype in ("uint8", "uint16", "int16", "int32", ">i2", ">f4", "float64", "float16")
)

MISSING = (
    StackCase(what="NaN, mono", change=_with_nan),
    StackCase(what="NaN, colour", shape=COLOUR, change=_with_nan),
    StackCase(what="NaN, weighted", shape=COLOUR, change=_with_nan, weights=_shaped(0, 0)),
)

INFINITE = (
    StackCase(what="inf, mono", change=_with_inf),
    StackCase(what="inf, weighted", shape=COLOUR, change=_with_inf, weights=_shaped(0, 0)),
)

COUNTS = tuple(
    StackCase(what=f"{count} frame{'s' if count > 1 else ''}", shape=(6, 5, 3), count=count, chunk_rows=4)
    for count in (1, 2, 3, 7, 8, 40, 601)
)

SMALL = (
    *(StackCase(what=f"{count} frames of one pixel", shape=(1, 1), count=count) for count in (9, 33, 100)),
    StackCase(what="frames of one pixel, colour", shape=(1, 1, 3)),
    StackCase(what="frames of one row", shape=(1, 50)),
    StackCase(what="frames of two columns", shape=(36, 2)),
)

LONE = (
    StackCase(what="a column of 36 rows, whose last band is one pixel", shape=(36, 1)),
    StackCase(what="a column in bands of one row", shape=(12, 1), count=40, chunk_rows=1),
)

PER_FRAME = (
    StackCase(what="(N,), mono", weights=_shaped(0, 0)),
    StackCase(what="(N,), colour", shape=COLOUR, weights=_shaped(0, 0)),
)

PER_FRAME_ALSO = (
    StackCase(what="(N, 1), mono", weights=_shaped(1, 0)),
    StackCase(what="(N, 1), colour", shape=COLOUR, weights=_shaped(1, 0)),
    StackCase(what="(N, 1, 1), colour", shape=COLOUR, weights=_shaped(2, 0)),
    StackCase(what="(N, 1), as many rows as frames", shape=(FRAMES, 11), weights=_shaped(1, 0)),
)

PER_CHANNEL = (
    StackCase(what="(N, 1, 1), mono", weights=_shaped(2, 0)),
    StackCase(what="(N, 1, 1, C)", shape=COLOUR, weights=_weights(0, 3)),
    StackCase(what="(N, 1, 1, 1)", shape=COLOUR, weights=_weights(0)),
)

PER_PIXEL = (
    StackCase(what="(H, W, C)", shape=COLOUR, weights=_without_frames(1, 2, 3)),
    StackCase(what="(H, W)", weights=_without_frames(1, 2)),
    StackCase(what="(N, H, W)", weights=_weights(0, 1, 2)),
    StackCase(what="(N, H, W, C)", shape=COLOUR, weights=_weights(0, 1, 2, 3)),
    StackCase(what="(N, H, 1, 1)", shape=COLOUR, weights=_weights(0, 1)),
    StackCase(what="(W, C)", shape=COLOUR, weights=_without_frames(2, 3)),
    StackCase(what="(C,)", shape=COLOUR, weights=_without_frames(3)),
)

ZERO = (
    StackCase(what="some weights are 0", weights=_some_zero),
    StackCase(what="all weights are 0", shape=COLOUR, weights=_all_zero),
)

BANDS = tuple(
    StackCase(what=f"{kind}, bands of {rows}", shape=shape, chunk_rows=rows)
    for rows in (1, 2, 5, 64, 1000)
    for kind, shape in (("mono", MONO), ("colour", COLOUR))
)

LIMITS = tuple(
    StackCase(what=f"kappa {low:g} and {high:g}{', weighted' if weights else ''}", sigma=(low, high), weights=weights)
    for low, high in ((2.5, 2.0), (1.0, 3.0), (0.0, 0.0), (50.0, 50.0))
    for weights in (None, _shaped(0, 0))
)

HANDED_OVER = (
    StackCase(what="memory maps", hand_over="lazy"),
    StackCase(what="one array (N, H, W)", hand_over="array"),
    StackCase(what="a generator", hand_over="generator"),
)
