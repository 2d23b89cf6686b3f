"""The masters that a run of Phase 3 wrote, measured from their files, and drawn side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..frames.entries import Frame
from ..frames.headers import read_image_header
from ..frames.pixels import Pixels, blank_pixels, open_frame
from ..frames.reading import reading
from ..machine.scratch import scratch_folder
from ..masters.data import MasterVerdict
from ..masters.measure import judge
from ..masters.pictures import Labelled, Thumbnail, contact_sheet, side_by_side, stretch, stretch_limits, write_png
from ..masters.pixels import MasterPixels, measure_pixels
from ..wording import fraction
from ..zemosaic.functions_under_test import load_master_signal

# A picture's longer side: a Seestar's frame is shown at half its size, where noise is less and stars are points still.
PICTURE_SIDE = 1200


@dataclass(frozen=True)
class MeasuredFile:
    """One master: what its pixels come to, what they hold, and a picture of them where it was asked for."""

    verdict: MasterVerdict
    pixels: MasterPixels
    image: Pixels | None

    def label(self, rule: str) -> str:
        """Give what stands under its picture."""
        return f"{rule}: {fraction(self.pixels.blank_pixels / self.pixels.pixels)} blank"


def measure_file(path: Path, *, picture: bool) -> MeasuredFile:
    """Measure one master by bands of rows.

    Raises
    ------
    FrameError
        Where it cannot be read.
    """
    with reading(path):
        header = read_image_header(path)
    with scratch_folder() as scratch:
        source = open_frame(
            Frame(path=path, name=path.name, entry={}, shape=header.shape, header=header, telescope=("", "")), scratch
        )
        thumbnail = Thumbnail(source.shape, PICTURE_SIDE) if picture else None
        pixels = measure_pixels(source, None, thumbnail)
    verdict = judge(pixels, load_master_signal())
    return MeasuredFile(verdict, pixels, thumbnail.image() if thumbnail else None)


def draw_tile(measured: Sequence[tuple[str, MeasuredFile]], path: Path) -> None:
    """Draw a tile's masters beside each other, all stretched alike, as the one with the most to show wants it.

    Parameters
    ----------
    measured : sequence of (str, MeasuredFile)
        Rule and master, in the order that they are drawn in.
    path : Path
        The PNG file.
    """
    images = [(one.label(rule), one.image) for rule, one in measured if one.image is not None]
    fullest = min((image for _, image in images), key=lambda image: int(blank_pixels(image).sum()))
    limits = stretch_limits(fullest)
    pictures = [Labelled(stretch(image, limits), label) for label, image in images]
    sheet = side_by_side(pictures[0], pictures[1]) if len(pictures) == 2 else contact_sheet(pictures)
    write_png(sheet, path, force=True)
