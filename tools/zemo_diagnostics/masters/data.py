"""What ``zemo-diag masters`` finds out of master tiles, as plain frozen data.

A pixel is *blank* where no channel holds anything: each is NaN, infinite or exactly 0, or all are the constant that
stands around the picture. It is *valid* where every channel is finite. Index order is ``[y, x]``; shapes are (H, W) or
(H, W, 3). Of a master that ZeMosaic padded, only the frame within the padding is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ..errors import UnusableFile


class MasterVerdict(str, Enum):
    """What the pixels of a master come to."""

    FINE = "fine"
    ONE_FRAME = "one frame's light"
    PARTLY = "partly empty"
    NEARLY = "nearly empty"
    EMPTY = "empty"


@dataclass(frozen=True, kw_only=True)
class MasterCards:
    """What a master's header says; None where it does not.

    Attributes
    ----------
    zmt_id : int or None
        ``ZMT_ID``: ZeMosaic's number of the tile.
    frames_raw, frames_aligned, frames_stacked : int or None
        ``ZMT_NRAW``, ``ZMT_NALGN``, ``MT_NFRAMES``: frames in the group, of those aligned, of those stacked.
    says_empty : bool
        ``ZMT_EMPT`` is 1: ZeMosaic found no signal when it wrote the file.
    valid_fraction : float or None
        ``ZMT_EVF``, in an empty master only.
    says_alpha : bool or None
        ``ALPHAEXT``: whether an ALPHA extension should follow.
    by_zemosaic : bool
        Whether ``ZMT_TYPE`` calls it a master tile.
    zeroed : bool
        ``ZMT_NANZ`` is 1: 0 was written for NaN.
    exposure_s : float or None
        Exposure of a frame, seconds: ``EXPTOTAL`` over the frames in the group, or ``EXPTIME`` over those stacked.
    """

    zmt_id: int | None = None
    frames_raw: int | None = None
    frames_aligned: int | None = None
    frames_stacked: int | None = None
    says_empty: bool = False
    valid_fraction: float | None = None
    says_alpha: bool | None = None
    by_zemosaic: bool = False
    zeroed: bool = False
    exposure_s: float | None = None

    @property
    def frames(self) -> int | None:
        """Frames that the master says it is made of: those stacked, or else those aligned."""
        return self.frames_aligned if self.frames_stacked is None else self.frames_stacked


@dataclass(frozen=True)
class ChannelLevels:
    """One channel of a master.

    Attributes
    ----------
    median, spread : float or None
        Median, and 1.4826 × the median absolute deviation, of a sample of the finite values in pixels that are not
        blank, ADU; None where there are none.
    low, high : float or None
        Smallest and largest finite value, ADU, of all pixels.
    """

    median: float | None
    spread: float | None
    low: float | None
    high: float | None

    @property
    def constant(self) -> bool:
        """Whether the channel carries nothing: no finite value, or the same everywhere."""
        return self.low == self.high


def plane_names(channels: Sequence[ChannelLevels]) -> tuple[str, ...]:
    """Name the channels of a master: its colours, or its only plane."""
    return ("red", "green", "blue") if len(channels) == 3 else ("the only plane",)


def planes_without_values(channels: Sequence[ChannelLevels]) -> tuple[str, ...]:
    """Name the planes without any finite value."""
    return tuple(name for name, levels in zip(plane_names(channels), channels, strict=True) if levels.low is None)


@dataclass(frozen=True)
class AlphaPlane:
    """The ALPHA extension against the pixels.

    Attributes
    ----------
    opaque_pixels : int
        Pixels with an alpha over 0.
    opaque_but_blank, transparent_with_data : int
        Pixels where the two disagree: alpha over 0 on a blank pixel, alpha 0 on a valid one that is not blank.
    """

    opaque_pixels: int
    opaque_but_blank: int
    transparent_with_data: int

    @property
    def disagreeing(self) -> int:
        """Pixels where alpha and pixels disagree, either way."""
        return self.opaque_but_blank + self.transparent_with_data


@dataclass(frozen=True)
class EdgeBands:
    """Blank rows or columns that begin at an edge and go on without a break, pixels; row 0 is at the top.

    Attributes
    ----------
    top, bottom : int
        Rows at either edge.
    left, right : int
        Columns at either edge.
    """

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True)
class CoreHoles:
    """Blank pixels enclosed by bright ones.

    Attributes
    ----------
    pixels : int
        How many.
    first_places : tuple of tuple of int
        Where the first few holes lie, ``[y, x]``.
    """

    pixels: int
    first_places: tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Padding:
    """The frame within a master that ZeMosaic padded to a square.

    Attributes
    ----------
    side : int
        Of the square, pixels.
    top, left : int
        Rows above the frame and columns to the left of it.
    height, width : int
        Of the frame, pixels.
    """

    side: int
    top: int
    left: int
    height: int
    width: int

    @property
    def padding_pixels(self) -> int:
        """Pixels of the canvas outside the frame."""
        return self.side**2 - self.height * self.width

    @property
    def fraction(self) -> float:
        """Part of the canvas that is padding."""
        return self.padding_pixels / self.side**2

    def window(self) -> tuple[slice, slice]:
        """Give the frame's rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


class ReferenceFrame(str, Enum):
    """What became of a master's reference frame among the lights that were given.

    Attributes
    ----------
    NOT_ASKED
        No lights were given, or the master is empty or of a single frame.
    NOT_NAMED
        The master's header does not name it (``ZMT_REF``).
    NOT_THERE
        No light has its name.
    UNUSABLE
        It could not be read, or is not of the master's size or colours.
    NOT_BROUGHT_TO_COLOUR
        It is a raw mosaic, and OpenCV is not installed.
    COMPARED
        It was compared, unless too few pixels are left.
    """

    NOT_ASKED = "not asked"
    NOT_NAMED = "not named"
    NOT_THERE = "not there"
    UNUSABLE = "unusable"
    NOT_BROUGHT_TO_COLOUR = "not brought to colour"
    COMPARED = "compared"


# A master of one frame holds the light of one, and rightly so.
LEAST_FRAMES = 2

# What is left of a true stack, after its reference frame is taken off, is never so little (0.58 of two frames).
ONE_FRAME_RESIDUAL = 0.2


@dataclass(frozen=True)
class OneFrame:
    """A master against its reference frame.

    Attributes
    ----------
    frames : int
        Frames that the master says it is made of.
    scale : float
        The master is about the reference × this, and a constant.
    residual_ratio : float
        Noise of what is left after that is taken off, in units of the reference's noise × scale; the largest of the
        channels.
    compared : int
        Pixels that were compared.
    """

    frames: int
    scale: float
    residual_ratio: float
    compared: int

    @property
    def is_one_frame(self) -> bool:
        """Whether a master of two frames or more holds the light of one."""
        return self.frames >= LEAST_FRAMES and self.residual_ratio < ONE_FRAME_RESIDUAL


@dataclass(frozen=True, kw_only=True)
class TileMaster:
    """One master tile, measured.

    Attributes
    ----------
    tile_id : int
        ``ZMT_ID`` where every file has one of its own, else counted from 1.
    name : str
        The file, below the folder that was asked for.
    shape : tuple of int
        (H, W) or (H, W, 3), padding included.
    verdict : MasterVerdict
        What it comes to.
    cause : str
        The likely cause where it is not fine, else empty.
    cards : MasterCards
        What its header says.
    pixels, blank_pixels, valid_pixels : int
        All pixels within the padding, those without anything, and those with every channel finite.
    samples, finite, zero, negative : int
        All samples (pixels × channels), and how many of them are finite, exactly 0, below 0.
    max_abs, std : float
        Largest absolute value and standard deviation of all finite samples together, ADU; 0 where there are none.
    channels : tuple of ChannelLevels
        One, or red, green, blue.
    alpha : AlphaPlane or None
        None without a usable ALPHA extension.
    alpha_problem : str
        Why there is none although there should be; else empty.
    edges : EdgeBands
        Blank bands at the edges.
    holes : CoreHoles
        Holes in bright cores.
    padding : Padding or None
        Where the frame lies within the canvas; None where it is not padded.
    fill : tuple of float, or None
        The constant that stands for nothing around the picture, one value for each channel, ADU; None where that is
        NaN or 0.
    noise : float or None
        Noise of a pixel in the middle of the tile, ADU: the median of the channels. None where there is too little.
    frame_noise : float or None
        The same of the lights that were given, of those of its size and exposure; None where it was not needed.
    reference : ReferenceFrame
        What became of its reference frame among the lights that were given.
    one_frame : OneFrame or None
        The master against its reference frame; None where they could not be compared.
    """

    tile_id: int
    name: str
    shape: tuple[int, ...]
    verdict: MasterVerdict
    cause: str
    cards: MasterCards
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
    alpha_problem: str
    edges: EdgeBands
    holes: CoreHoles
    padding: Padding | None = None
    fill: tuple[float, ...] | None = None
    noise: float | None = None
    frame_noise: float | None = None
    reference: ReferenceFrame = ReferenceFrame.NOT_ASKED
    one_frame: OneFrame | None = None

    @property
    def measured_shape(self) -> tuple[int, int]:
        """Rows and columns within the padding."""
        return (self.padding.height, self.padding.width) if self.padding else (self.shape[0], self.shape[1])

    @property
    def blank_fraction(self) -> float:
        """Part of the pixels within the padding that are blank."""
        return self.blank_pixels / self.pixels

    @property
    def valid_fraction(self) -> float:
        """Part of the pixels with every channel finite: what ZeMosaic calls valid."""
        return self.valid_pixels / self.pixels


@dataclass(frozen=True)
class RunMasters:
    """The masters of a folder.

    Attributes
    ----------
    tiles : tuple of TileMaster
        Every one that could be measured.
    unreadable : tuple of UnusableFile
        Files that are damaged: each a master lost.
    lights : int or None
        How many lights were given to compare them with; None where none were asked for.
    """

    tiles: tuple[TileMaster, ...]
    unreadable: tuple[UnusableFile, ...] = ()
    lights: int | None = None
