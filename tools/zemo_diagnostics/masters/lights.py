"""The lights that masters were made of, found by name, read in the middle only: what a master is compared with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path, PureWindowsPath

import numpy as np

from ..errors import FrameError, InputError
from ..frames.bayer import bayer_pattern, opencv_is_there, opencv_takes
from ..frames.entries import Frame, Progress, in_lines, scan_folder
from ..frames.headers import card, is_number
from ..frames.pixels import Pixels, RowSource, channels_last
from ..frames.stack_input import central_window, open_for_stack
from .data import OneFrame, ReferenceFrame
from .one_frame import LEAST_PIXELS, one_frames_light, pixel_noise
from .pixels import read_piece

# What is compared is a window in the middle of this size at most, pixels.
WINDOW = (1024, 1024)

# A master that was cut is this much less uneven in height and width than its light, and its middle off by so much.
_UNEVEN = 3
_OFF = 1

# How a text ends that goes on in the next card, which is not read.
_CUT_OFF = "&"

# Lights whose exposures differ by no more than this part of the longer are alike; so many of them are looked at.
_EXPOSURE_TOLERANCE = 0.2
_LIGHTS_LOOKED_AT = 5


@dataclass(frozen=True)
class Compared:
    """What became of a master's reference frame, and the comparison where there was one."""

    reference: ReferenceFrame
    one_frame: OneFrame | None = None


class Lights:
    """The lights of a folder.

    Parameters
    ----------
    frames : sequence of Frame
        From `entries.scan_folder`.
    """

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.frames = tuple(frames)
        self._by_name: defaultdict[str, list[Frame]] = defaultdict(list)
        for frame in frames:
            self._by_name[frame.path.name.casefold()].append(frame)
        self._noises: dict[Path, float | None] = {}

    def named(self, reference: str) -> list[Frame]:
        """Give the lights that have the name of a reference frame, whatever folder it lay in."""
        name = PureWindowsPath(reference).name.casefold()
        if not name.endswith(_CUT_OFF):
            return self._by_name.get(name, [])
        begins = name.removesuffix(_CUT_OFF)
        return [frame for other, frames in self._by_name.items() if other.startswith(begins) for frame in frames]

    def shape_of(self, reference: str) -> tuple[int, int] | None:
        """Give rows and columns of a reference frame; None where it is not there."""
        return next((_shape(frame) for frame in self.named(reference)), None)

    def compare(self, master: RowSource, reference: str, frames: int, scratch: Path) -> Compared:
        """Compare a master with its reference frame; of several of that name, with the one that it is most like.

        Parameters
        ----------
        master : RowSource
            What lies within its padding.
        reference : str
            File name of the reference frame; empty where the master does not name it.
        frames : int
            How many frames the master is made of.
        scratch : Path
            Folder for unpacked copies.
        """
        if not reference:
            return Compared(ReferenceFrame.NOT_NAMED)
        compared = [_compare(master, frame, frames, scratch) for frame in self.named(reference)]
        if not compared:
            return Compared(ReferenceFrame.NOT_THERE)
        return min(compared, key=lambda one: one.one_frame.residual_ratio if one.one_frame else float("inf"))

    def noise(self, shape: tuple[int, int], exposure_s: float | None, scratch: Path) -> float | None:
        """Give the noise of a light of a size and exposure, the median of a few; None where there is none."""
        alike = [frame for frame in self.frames if _shape(frame) == shape and _same_exposure(frame, exposure_s)]
        chosen = alike[:: max(1, len(alike) // _LIGHTS_LOOKED_AT)][:_LIGHTS_LOOKED_AT]
        noises = [noise for noise in (self._noise_of(frame, scratch) for frame in chosen) if noise]
        return float(np.median(noises)) if noises else None

    def _noise_of(self, frame: Frame, scratch: Path) -> float | None:
        """Give the noise of one light; it is read once."""
        if bayer_pattern(frame) and not opencv_is_there():  # its noise is another than in colour
            return None
        if frame.path not in self._noises:
            try:
                self._noises[frame.path] = noise_in_the_middle(_opened(frame, scratch))
            except FrameError:
                self._noises[frame.path] = None
        return self._noises[frame.path]


def find_lights(folder: Path, progress: Progress | None = None) -> Lights:
    """Read the headers of a folder's lights.

    Raises
    ------
    InputError
        Where there is no light.
    """
    scan = scan_folder(folder, progress)
    if not scan.frames:
        raise InputError(f"no light in '{folder}' (--frames); not one of its files is one:", *in_lines(scan.unusable))
    return Lights(scan.frames)


def noise_in_the_middle(source: RowSource) -> float | None:
    """Give the noise of a pixel in the middle of an image, the median of the channels; blank pixels are let be."""
    pixels = _middle(source)
    pixels[(pixels == 0).all(axis=2)] = np.nan
    noises = [noise for noise in (pixel_noise(pixels[:, :, i]) for i in range(pixels.shape[2])) if noise is not None]
    return float(np.median(noises)) if noises else None


def _compare(master: RowSource, frame: Frame, frames: int, scratch: Path) -> Compared:
    """Compare a master with one light."""
    if bayer_pattern(frame) and not opencv_is_there():
        return Compared(ReferenceFrame.NOT_BROUGHT_TO_COLOUR)
    pixels = _middle(master)
    try:
        around = _around(_opened(frame, scratch), master.shape, pixels.shape[2])
    except FrameError:
        return Compared(ReferenceFrame.UNUSABLE)
    if around is None:
        return Compared(ReferenceFrame.UNUSABLE)
    return Compared(ReferenceFrame.COMPARED, one_frames_light(pixels, _best_place(pixels, around), frames))


def one_frame_of(master: RowSource, light: RowSource, frames: int) -> OneFrame | None:
    """Compare the middle of a master with what lies there of its reference frame.

    Parameters
    ----------
    master : RowSource, (H, W) or (H, W, C)
        What lies within its padding; it may have lost the same margin on all sides.
    light : RowSource, (H, W) or (H, W, C)
        The reference frame, in colour as it was stacked.
    frames : int
        How many frames the master is made of.

    Returns
    -------
    OneFrame or None
        None where they are not of one size, or too few pixels can be compared.
    """
    pixels = _middle(master)
    around = _around(light, master.shape, pixels.shape[2])
    return None if around is None else one_frames_light(pixels, _best_place(pixels, around), frames)


def _around(light: RowSource, shape: tuple[int, ...], channels: int) -> Pixels | None:
    """Read what a master's middle may show of a light, with as many channels; None where it is not of its size.

    ZeMosaic of 2026-04 cuts the margin of the cleanup off, the same on all sides: such a master is that much smaller,
    and where its middle is may be off by a pixel, so that one more is read on each side.
    """
    height, width, *planes = light.shape
    more = (height - shape[0], width - shape[1])
    if (planes or [1])[0] not in (1, channels) or min(more) < 0 or abs(more[0] - more[1]) > _UNEVEN:
        return None
    wider = 0 if more == (0, 0) else _OFF
    top, left, rows, columns = central_window(shape, WINDOW)
    top, left = top + more[0] // 2 - wider, left + more[1] // 2 - wider
    if top < 0 or left < 0:
        return None
    pixels = read_piece(light, slice(top, top + rows + 2 * wider), slice(left, left + columns + 2 * wider))
    return np.repeat(pixels, channels, axis=2) if pixels.shape[2] < channels else pixels


def _best_place(pixels: Pixels, around: Pixels) -> Pixels:
    """Give the part of what was read of a light that a master's middle is most like."""
    height, width = pixels.shape[:2]
    places = product(range(around.shape[0] - height + 1), range(around.shape[1] - width + 1))
    parts = [around[y : y + height, x : x + width] for y, x in places]
    return parts[0] if len(parts) == 1 else max(parts, key=lambda part: _likeness(pixels, part))


def _likeness(pixels: Pixels, part: Pixels) -> float:
    """Correlate the differences of neighbours, which noise rules, of one channel."""
    one, two = (np.diff(image[:, :, -1].astype(np.float64), axis=1).ravel() for image in (pixels, part))
    there = np.isfinite(one) & np.isfinite(two)
    if there.sum() < LEAST_PIXELS or not one[there].std() or not two[there].std():
        return 0.0
    return float(np.corrcoef(one[there], two[there])[0, 1])


def _opened(frame: Frame, scratch: Path) -> RowSource:
    """Open a light as ZeMosaic stacks it, raw mosaics in colour."""
    pattern = bayer_pattern(frame) if opencv_is_there() and opencv_takes(frame) else None
    return open_for_stack(frame, pattern, (0, 0, *_shape(frame)), scratch)


def _middle(source: RowSource) -> Pixels:
    """Read the middle of an image, (H, W, C)."""
    top, left, height, width = central_window(source.shape, WINDOW)
    return read_piece(source, slice(top, top + height), slice(left, left + width))


def _shape(frame: Frame) -> tuple[int, int]:
    """Give rows and columns of a light."""
    height, width = (frame.shape if frame.header is None else channels_last(frame.shape))[:2]
    return height, width


def _same_exposure(frame: Frame, exposure_s: float | None) -> bool:
    """Tell whether a light was exposed as long; where either is not known, it may have been."""
    own = card(frame.header.cards, "EXPTIME") if frame.header else None
    if exposure_s is None or own is None or not is_number(own):
        return True
    return bool(abs(own - exposure_s) <= _EXPOSURE_TOLERANCE * max(own, exposure_s))
