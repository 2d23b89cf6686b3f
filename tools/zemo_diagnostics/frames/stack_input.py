"""What goes into a stack: which frames of a tile, in colour or not, and which window of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UnusableFile
from . import bayer
from .entries import Frame
from .pixels import Cropped, GuardedRows, RowSource, channels_last, open_frame

Window = tuple[int, int, int, int]  # top, left, height, width

# Rows that are looked at together while a frame is inspected.
_INSPECT_ROWS = 128


@dataclass(frozen=True, kw_only=True)
class StackInput:
    """The frames of a tile that are stacked together.

    Attributes
    ----------
    frames : tuple of Frame
        In their order.
    left_out : tuple of UnusableFile
        The others that might have been, and why they are not.
    shape : tuple of int
        (H, W) or (H, W, 3), as stacked.
    patterns : tuple of (str or None)
        For each frame, the Bayer pattern by which it is brought to colour.
    raw_mosaic : bool
        Whether raw mosaics are stacked as they are.
    """

    frames: tuple[Frame, ...]
    left_out: tuple[UnusableFile, ...]
    shape: tuple[int, ...]
    patterns: tuple[str | None, ...]
    raw_mosaic: bool

    def without(self, reasons: dict[int, str]) -> StackInput:
        """Leave out the frames at some indices, each for a reason."""
        kept = [i for i in range(len(self.frames)) if i not in reasons]
        bad = tuple(UnusableFile(self.frames[i].name, reason) for i, reason in reasons.items())
        return StackInput(
            frames=tuple(self.frames[i] for i in kept),
            left_out=self.left_out + bad,
            shape=self.shape,
            patterns=tuple(self.patterns[i] for i in kept),
            raw_mosaic=self.raw_mosaic,
        )


def choose_frames(frames: Sequence[Frame], max_frames: int | None = None, *, debayer: bool = True) -> StackInput:
    """Choose the frames of the commonest shape.

    Parameters
    ----------
    frames : sequence of Frame
        One or more.
    max_frames : int, optional
        Take no more than the first so many of them.
    debayer : bool, keyword-only
        Whether raw mosaics are brought to colour where OpenCV is there.
    """
    patterns = [_usable_pattern(frame) if debayer else None for frame in frames]
    shapes = [_stacked_shape(frame, pattern) for frame, pattern in zip(frames, patterns, strict=True)]
    shape = Counter(shapes).most_common(1)[0][0]
    chosen = [i for i, own in enumerate(shapes) if own == shape][:max_frames]
    left_out = tuple(
        UnusableFile(frame.name, f"its shape is {_size(own)}{_uncoloured(frame, own)}, the tile's is {_size(shape)}")
        for frame, own in zip(frames, shapes, strict=True)
        if own != shape
    )
    mosaics = any(bayer.bayer_pattern(frames[i]) and not patterns[i] for i in chosen)
    return StackInput(
        frames=tuple(frames[i] for i in chosen),
        left_out=left_out,
        shape=shape,
        patterns=tuple(patterns[i] for i in chosen),
        raw_mosaic=mosaics,
    )


def _uncoloured(frame: Frame, own: tuple[int, ...]) -> str:
    """Say of a raw mosaic that it is not brought to colour, where its shape shows that."""
    return " (a raw mosaic, not brought to colour)" if len(own) == 2 and bayer.bayer_pattern(frame) else ""


def _size(shape: tuple[int, ...]) -> str:
    """Write a shape as text."""
    return " × ".join(map(str, shape))


def _usable_pattern(frame: Frame) -> str | None:
    """Give a raw mosaic's pattern where it can be brought to colour here: OpenCV is there and takes its type."""
    pattern = bayer.bayer_pattern(frame)
    return pattern if pattern and bayer.opencv_is_there() and bayer.opencv_takes(frame) else None


def _stacked_shape(frame: Frame, pattern: str | None) -> tuple[int, ...]:
    """Give the shape in which a frame is stacked."""
    shape = frame.shape if frame.header is None else channels_last(frame.shape)
    return (*shape, 3) if pattern else shape


def central_window(shape: tuple[int, ...], crop: tuple[int, int] | None) -> Window:
    """Give the window to stack: the whole frame, or a central part of it."""
    height, width = shape[:2]
    if crop is None:
        return 0, 0, height, width
    rows, columns = min(crop[0], height), min(crop[1], width)
    return (height - rows) // 2, (width - columns) // 2, rows, columns


def open_for_stack(frame: Frame, pattern: str | None, window: Window, scratch: Path) -> RowSource:
    """Open one frame as it is stacked: in colour or as it is, whole or a window of it.

    Parameters
    ----------
    frame : Frame
        The frame.
    pattern : str or None
        Bayer pattern by which it is brought to colour.
    window : (top, left, height, width)
        The part of it.
    scratch : Path
        Folder for unpacked copies.
    """
    source: RowSource = open_frame(frame, scratch)
    if pattern:
        source = GuardedRows(bayer.Debayered(source, pattern), frame.path)
    if window != (0, 0, *source.shape[:2]):
        top, left, height, width = window
        source = Cropped(frame=source, top=top, left=left, height=height, width=width)
    return source


def missing_signal(frame: RowSource) -> str:
    """Read a frame once; empty where it holds a signal, else what it holds instead: "all zero", "constant 7"."""
    lowest, highest, only_nan = np.inf, -np.inf, True
    for top in range(0, frame.shape[0], _INSPECT_ROWS):
        rows = frame[top : top + _INSPECT_ROWS].astype(np.float32)
        finite = rows[np.isfinite(rows)]
        only_nan &= bool(np.isnan(rows).all())
        if finite.size:
            lowest, highest = min(lowest, float(finite.min())), max(highest, float(finite.max()))
    if lowest > highest:
        return "all NaN" if only_nan else "no finite value"
    if lowest < highest:
        return ""
    return "all zero" if lowest == 0 else f"constant {lowest:g}"
