"""Pictures of masters, as astronomers look at them: stretched, blank pixels in a colour that no sky has, labelled.

`stretch` turns a float image into 8-bit colour; `side_by_side` and `contact_sheet` lay such pictures out; `write_png`
writes one. Row 0 is at the top, as `[y, x]` counts. Only the labels and the file need Pillow, which is optional:
`require_pillow` says so in one sentence.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import asinh, ceil, exp, log, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, MissingPackageError, OutputError
from ..frames.pixels import Pixels, blank_pixels
from ..machine.core_packages import PICTURE_PACKAGES, lacking_sentence
from ..machine.whole_files import check_place, write_whole

Rgb = NDArray[np.uint8]  # (H, W, 3)
Color = tuple[int, int, int]

# White is this percentile, so that a few stars burn out and the rest keeps its shape.
WHITE_PERCENTILE = 99.7

# The sky is no farther than this on the way from black to white, so that an image of hardly more than noise looks so.
LARGEST_SKY_PART = 0.1

# How bright the sky is shown, of 1: light enough for faint things to stand out from it.
SKY_BRIGHTNESS = 0.15

# Bounds of the softening of the asinh stretch (Lupton et al. 1999): the smaller, the fainter the things that show.
SOFTEST, HARDEST = 1.0, 1e-4

# The limits are taken from about so many pixels, evenly spread.
LIMIT_PIXELS = 1 << 18

BLANK_COLOR: Color = (85, 0, 85)
PAPER_COLOR: Color = (18, 18, 22)
TEXT_COLOR: Color = (235, 235, 235)

THUMBNAIL_SIDE = 240
GAP = 8
LABEL_HEIGHT = 24
FONT_SIZE = 14


@dataclass(frozen=True)
class Limits:
    """How one channel is stretched: what is black, what is white, and the softening of the asinh between."""

    black: float
    white: float
    softening: float


@dataclass(frozen=True)
class Labelled:
    """A picture and what stands under it."""

    rgb: Rgb
    label: str
    color: Color = TEXT_COLOR


class Thumbnail:
    """A small picture of an image, gathered piece by piece: each of its pixels is the mean of a square of them.

    A square that is blank for the greater part stays blank.

    Parameters
    ----------
    shape : tuple of int
        (H, W) or (H, W, C) of the image.
    side : int
        The longer side of the small one is no longer than this.
    """

    def __init__(self, shape: tuple[int, ...], side: int = THUMBNAIL_SIDE) -> None:
        height, width = shape[:2]
        self.factor = max(1, ceil(max(height, width) / side))
        self.size = (ceil(height / self.factor), ceil(width / self.factor))
        channels = shape[2] if len(shape) == 3 else 1
        self._sums = np.zeros((*self.size, channels))
        self._counts = np.zeros((*self.size, channels))
        self._blank = np.zeros(self.size)
        self._pixels = np.zeros(self.size)

    def add(self, top: int, piece: Pixels, left: int = 0) -> None:
        """Take a piece, (rows, columns, C), whose first pixel is ``[top, left]``."""
        finite = np.isfinite(piece)
        blank = blank_pixels(piece)
        self._gather(self._sums, top, left, np.where(finite, piece, 0))
        self._gather(self._counts, top, left, finite)
        self._gather(self._blank, top, left, blank)
        self._gather(self._pixels, top, left, np.ones_like(blank))

    def _gather(self, into: NDArray[np.float64], top: int, left: int, values: NDArray[Any]) -> None:
        """Add the sums over squares."""
        rows, columns = self._starts(top, values.shape[0]), self._starts(left, values.shape[1])
        sums = np.add.reduceat(np.add.reduceat(values, columns, axis=1, dtype=np.float64), rows, axis=0)
        into[top // self.factor :, left // self.factor :][: len(rows), : len(columns)] += sums

    def _starts(self, first: int, count: int) -> NDArray[np.intp]:
        """Give where squares begin among `count` rows or columns, the first of which is `first`; one begins there."""
        return np.concatenate([[0], np.arange(self.factor - first % self.factor, count, self.factor)])

    def image(self) -> Pixels:
        """Give the small image, float32, NaN where it is blank."""
        with np.errstate(invalid="ignore", divide="ignore"):
            means = (self._sums / self._counts).astype(np.float32)
        means[self._blank * 2 > self._pixels] = np.nan
        return means[:, :, 0] if means.shape[2] == 1 else means


def stretch_limits(image: Pixels) -> tuple[Limits, ...]:
    """Find, for each channel, how it is best stretched.

    Black is the lower limit of ZScale, which IRAF made for faint things on a sky; white is a high percentile, or
    higher where the sky would come too near to it; the softening is such that the median, the sky, comes out at
    `SKY_BRIGHTNESS`. Each channel has its own, so that the sky is grey whatever its colour was.

    Parameters
    ----------
    image : ndarray
        (H, W) or (H, W, C); blank pixels are let be.
    """
    step = max(1, int(sqrt(image.shape[0] * image.shape[1] / LIMIT_PIXELS)))
    sample = image[::step, ::step]
    values = sample[~blank_pixels(sample)].reshape(-1, image.shape[2] if image.ndim == 3 else 1)
    return tuple(_limits(values[:, i]) for i in range(values.shape[1]))


def _limits(values: Pixels) -> Limits:
    """Find how one channel is best stretched."""
    values = values[np.isfinite(values)].astype(np.float64)
    if not values.size:
        return Limits(0.0, 1.0, SOFTEST)
    from astropy.visualization import ZScaleInterval

    black, sky = float(ZScaleInterval().get_limits(values)[0]), float(np.median(values))
    white = max(float(np.percentile(values, WHITE_PERCENTILE)), black + (sky - black) / LARGEST_SKY_PART)
    if white <= black:
        return Limits(black, black + 1.0, SOFTEST)
    return Limits(black, white, _softening((sky - black) / (white - black)))


def _softening(sky: float) -> float:
    """Find the softening that shows the sky, given as its part of the way from black to white, as bright as wanted."""
    low, high = log(HARDEST), log(SOFTEST)
    for _ in range(30):
        middle = (low + high) / 2
        too_bright = asinh(sky / exp(middle)) > SKY_BRIGHTNESS * asinh(1 / exp(middle))
        low, high = (middle, high) if too_bright else (low, middle)
    return exp(high)


def stretch(image: Pixels, limits: Sequence[Limits] | None = None) -> Rgb:
    """Turn an image into an 8-bit picture by an asinh stretch.

    Parameters
    ----------
    image : ndarray
        (H, W) or (H, W, C), any numbers, NaN where there is nothing; with one channel the picture is grey.
    limits : sequence of Limits, optional
        Of each channel; give the same to pictures that are compared. By default from `stretch_limits`.

    Returns
    -------
    ndarray of uint8
        (H, W, 3); blank pixels in `BLANK_COLOR`. A channel that is missing in a pixel is shown black there.
    """
    cube = image if image.ndim == 3 else image[:, :, np.newaxis]
    limits = stretch_limits(image) if limits is None else limits
    black, white, softening = np.array([(one.black, one.white, one.softening) for one in limits], np.float32).T
    with np.errstate(over="ignore", invalid="ignore"):
        part = np.clip((cube.astype(np.float32) - black) / (white - black), 0, 1)
    part = np.arcsinh(np.nan_to_num(part) / softening) / np.arcsinh(1 / softening)
    rgb: Rgb = np.broadcast_to(np.rint(part * 255).astype(np.uint8), (*cube.shape[:2], 3)).copy()
    rgb[blank_pixels(image)] = BLANK_COLOR
    return rgb


def side_by_side(*pictures: Labelled) -> Rgb:
    """Lay pictures beside each other, such as before and after, each with its label under it."""
    return _laid_out(pictures, columns=len(pictures))


def contact_sheet(pictures: Sequence[Labelled]) -> Rgb:
    """Lay pictures out in rows, about as many across as down, each with its label under it."""
    return _laid_out(pictures, columns=max(1, ceil(sqrt(len(pictures)))))


def _laid_out(pictures: Sequence[Labelled], columns: int) -> Rgb:
    """Lay pictures out on a dark sheet, in cells as large as the largest of them."""
    pillow = require_pillow()
    height = max((picture.rgb.shape[0] for picture in pictures), default=1)
    width = max((picture.rgb.shape[1] for picture in pictures), default=1)
    rows = ceil(len(pictures) / columns)
    size = (columns * (width + GAP) + GAP, rows * (height + LABEL_HEIGHT + GAP) + GAP)
    sheet = pillow.Image.new("RGB", size, PAPER_COLOR)
    pen, font = pillow.ImageDraw.Draw(sheet), pillow.ImageFont.load_default(FONT_SIZE)
    for i, picture in enumerate(pictures):
        left = GAP + i % columns * (width + GAP)
        top = GAP + i // columns * (height + LABEL_HEIGHT + GAP)
        inset = (width - picture.rgb.shape[1]) // 2
        sheet.paste(pillow.Image.fromarray(picture.rgb), (left + inset, top + height - picture.rgb.shape[0]))
        pen.text((left + width // 2, top + height + 4), picture.label, picture.color, font=font, anchor="ma")
    laid_out: Rgb = np.asarray(sheet)
    return laid_out


@dataclass(frozen=True)
class _Pillow:
    """The parts of Pillow that are used."""

    Image: Any
    ImageDraw: Any
    ImageFont: Any


def require_pillow() -> _Pillow:
    """Import Pillow.

    Raises
    ------
    InputError
        Where it is not installed: how to get it.
    """
    try:
        return _Pillow(*(importlib.import_module(f"PIL.{name}") for name in ("Image", "ImageDraw", "ImageFont")))
    except ImportError as error:
        raise MissingPackageError(lacking_sentence("drawing pictures", list(PICTURE_PACKAGES.values()))) from error


def why_no_pictures() -> str:
    """Say why pictures cannot be drawn; empty where they can."""
    try:
        require_pillow()
    except InputError as error:
        return str(error)
    return ""


def check_picture(path: Path, *, force: bool) -> None:
    """Check, before a long run, that a picture can be made and written after it.

    Raises
    ------
    InputError, OutputError
        Where Pillow is missing, or the place is no good.
    """
    if path.suffix.lower() != ".png":
        raise OutputError(f"'{path}' is no name for a picture: end it in .png")
    check_place(path, force=force)
    require_pillow()


def write_png(rgb: Rgb, path: Path, *, force: bool) -> None:
    """Write a picture: whole, or not at all.

    Raises
    ------
    OutputError
        Where it cannot be written: what is wrong, and what to do.
    """
    picture = require_pillow().Image.fromarray(rgb)
    write_whole(path, partial(picture.save, format="PNG", optimize=True), force=force)
