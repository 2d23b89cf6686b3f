"""The masters of a tile, measured from their files: what is blank in them, whose light they hold, how two compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import hypot
from pathlib import Path

import numpy as np

from ..errors import FrameError
from ..frames.headers import ImageHeader, card, card_int, read_image_header
from ..frames.pixels import Cropped, Pixels, RowSource, blank_pixels, open_image, read_window
from ..frames.reading import reading
from ..machine.scratch import scratch_folder
from ..masters.data import MasterVerdict, OneFrame, Padding
from ..masters.lights import one_frame_of
from ..masters.measure import judge
from ..masters.one_frame import pixel_noise
from ..masters.padding import RowExtents, find_padding
from ..masters.pictures import Labelled, Thumbnail, side_by_side, stretch, stretch_limits, write_png
from ..masters.pixels import MasterPixels, measure_pixels
from ..wording import fraction
from ..zemosaic.functions_under_test import load_master_signal
from .data import BuildOutcome, PixelComparison, Rule

# A picture's longer side: a Seestar's frame is shown at half its size, where noise is less and stars are points still.
PICTURE_SIDE = 1200

# Values over this quantile are left out of a comparison: a few saturated stars would turn the line.
_BRIGHTEST = 0.999

Shape = tuple[int, ...]
Point = tuple[float, float]


@dataclass(frozen=True)
class ReferenceFrame:
    """A frame that masters are held against: its pixels, (H, W) or (H, W, C), and the reference pixel of its WCS."""

    pixels: Pixels
    crpix: Point | None


LoadFrame = Callable[[str], ReferenceFrame]


@dataclass(frozen=True, kw_only=True)
class MeasuredFile:
    """One master, measured within its padding.

    Attributes
    ----------
    path : Path
        The file.
    verdict : MasterVerdict
        What its pixels come to.
    pixels : MasterPixels
        What they hold.
    padding : Padding or None
        Where its frame lies in it.
    one_frame : OneFrame or None
        How it compares with its reference frame, where that was asked.
    reference : str
        File name of that frame, as the master names it.
    wcs_shift_px : float or None
        How far its WCS was left behind by the padding.
    image : ndarray or None
        A small picture, where it was asked for.
    """

    path: Path
    verdict: MasterVerdict
    pixels: MasterPixels
    padding: Padding | None
    one_frame: OneFrame | None
    reference: str
    wcs_shift_px: float | None
    image: Pixels | None

    def label(self, rule: Rule, outcome: BuildOutcome) -> str:
        """Give what stands under its picture."""
        what = f"{fraction(self.pixels.blank_pixels / self.pixels.pixels)} blank"
        if outcome in (BuildOutcome.ONE_FRAME, BuildOutcome.EMPTY):
            what = outcome.value
        return f"{rule.value.replace('_', ' ')}: {what}"


def measure_file(path: Path, frame_shape: Shape, *, picture: bool, load_frame: LoadFrame | None = None) -> MeasuredFile:
    """Measure one master by bands of rows.

    Parameters
    ----------
    path : Path
        The file.
    frame_shape : (H, W) or (H, W, C)
        Of its frames, by which its padding is known.
    picture : bool, keyword-only
        Whether to make a small picture too.
    load_frame : callable, optional
        Gives a frame by its file's name, (H, W) or (H, W, C), for whether the master holds that one's light alone; it
        may raise `FrameError`.

    Raises
    ------
    FrameError
        Where it cannot be read.
    """
    with reading(path):
        header = read_image_header(path)
    if len(header.shape) not in (2, 3):
        raise FrameError("it holds no image of frames")
    with scratch_folder() as scratch:
        padding, source = _within(open_image(path, header, scratch), frame_shape)
        thumbnail = Thumbnail(source.shape, PICTURE_SIDE) if picture else None
        pixels = measure_pixels(source, None, thumbnail)
        verdict = judge(pixels, load_master_signal())
        reference = _reference_frame(header, load_frame)
        one = None if verdict is MasterVerdict.EMPTY else _one_frame(source, header, reference)
    return MeasuredFile(
        path=path,
        verdict=verdict,
        pixels=pixels,
        padding=padding,
        one_frame=one,
        reference=_reference(header),
        wcs_shift_px=_wcs_shift(header, padding, reference.crpix) if padding and reference else None,
        image=thumbnail.image() if thumbnail else None,
    )


def _within(source: RowSource, frame_shape: Shape) -> tuple[Padding | None, RowSource]:
    """Find the frame within a master's padding, and what to measure."""
    padding = find_padding(RowExtents(*source.shape[:2]), (frame_shape[0], frame_shape[1]))
    if padding is None:
        return None, source
    return padding, Cropped(
        frame=source, top=padding.top, left=padding.left, height=padding.height, width=padding.width
    )


def _reference(header: ImageHeader) -> str:
    """Give the reference frame's name, as the master says it."""
    return str(card(header.cards, "ZMT_REF", "") or "")


def _reference_frame(header: ImageHeader, load_frame: LoadFrame | None) -> ReferenceFrame | None:
    """Load a master's reference frame; None where it is not known, or cannot be read."""
    if load_frame is None or not _reference(header):
        return None
    try:
        return load_frame(_reference(header))
    except FrameError:
        return None


def _one_frame(source: RowSource, header: ImageHeader, reference: ReferenceFrame | None) -> OneFrame | None:
    """Hold a master against its reference frame; None where that cannot be done."""
    frames = card_int(header.cards, "MT_NFRAMES", 0)
    return None if reference is None or frames < 2 else one_frame_of(source, reference.pixels, frames)


def _wcs_shift(header: ImageHeader, padding: Padding, crpix: Point | None) -> float | None:
    """Say how far the WCS of a padded master is off: it should have moved with the frame, by what is above and left."""
    x, y = (card(header.cards, key) for key in ("CRPIX1", "CRPIX2"))
    if crpix is None or not isinstance(x, (int, float)) or not isinstance(y, (int, float)):
        return None
    return hypot(x - crpix[0] - padding.left, y - crpix[1] - padding.top)


def compare_masters(theirs: Path, ours: Path, frame_shape: Shape) -> PixelComparison | None:
    """Hold one master against another in the middle of the frame, half its height and width, where every frame reaches.

    At the edges, where some do not, both fill in, each in its own way.

    Returns
    -------
    PixelComparison or None
        None where they cannot be laid on each other: other shapes, or nothing that both hold.

    Raises
    ------
    FrameError
        Where one of them cannot be read.
    """
    one, other = (_middle(path, frame_shape) for path in (theirs, ours))
    one, other = (_in_colour(image) for image in (one, other))  # ZeMosaic makes colour of frames without
    if one.shape != other.shape:
        return None
    both = ~blank_pixels(one) & ~blank_pixels(other)
    finite = np.isfinite(one) & np.isfinite(other) & both[:, :, np.newaxis]
    x, y = other[finite].astype(np.float64), one[finite].astype(np.float64)
    noises = [pixel_noise(plane, both) for plane in np.moveaxis(other, -1, 0)]
    known = [noise for noise in noises if noise]
    if x.size < 2 or not known:
        return None
    kept = x <= np.quantile(x, _BRIGHTEST)
    slope = float(np.polyfit(x[kept], y[kept], 1)[0])
    constant = float(np.median(y - x))
    return PixelComparison(
        pixels=int(np.count_nonzero(both)),
        slope=slope,
        constant=constant,
        median_difference=float(np.median(np.abs(y - x - constant))),
        sky_noise=float(np.median(known)),
    )


def _in_colour(image: Pixels) -> Pixels:
    """Give an image three channels."""
    return image if image.ndim == 3 else np.repeat(image[:, :, np.newaxis], 3, axis=2)


def _middle(path: Path, frame_shape: Shape) -> Pixels:
    """Read the middle of what lies within a master's padding."""
    with reading(path):
        header = read_image_header(path)
    with scratch_folder() as scratch:
        _, source = _within(open_image(path, header, scratch), frame_shape)
        height, width = source.shape[:2]
        rows, columns = slice(height // 4, height - height // 4), slice(width // 4, width - width // 4)
        return np.asarray(read_window(source, rows, columns), dtype=np.float32)


def draw_tile(measured: Sequence[tuple[str, Pixels]], path: Path) -> None:
    """Draw a tile's masters beside each other, all stretched alike, as the one with the most to show wants it.

    Parameters
    ----------
    measured : sequence of (str, ndarray)
        What stands under each, and a small picture of it, in the order that they are drawn in.
    path : Path
        The PNG file.
    """
    fullest = min((image for _, image in measured), key=lambda image: int(blank_pixels(image).sum()))
    limits = stretch_limits(fullest)
    pictures = [Labelled(stretch(image, limits), label) for label, image in measured]
    write_png(side_by_side(*pictures), path, force=True)
