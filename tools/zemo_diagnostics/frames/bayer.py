"""Raw mosaics brought to colour, band by band, by OpenCV's bilinear demosaicing (extra ``color``)."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import FrameError
from .entries import Frame
from .headers import card
from .pixels import Pixels, RowSource, row_range, rows_dtype

PATTERNS = frozenset({"RGGB", "BGGR", "GRBG", "GBRG"})

# The types that OpenCV demosaics.
_OPENCV_TYPES = (np.uint8, np.uint16)

# Bilinear demosaicing looks one pixel around; an even margin keeps the pattern's phase.
_MARGIN = 2


def opencv_is_there() -> bool:
    """Tell whether raw mosaics can be brought to colour here."""
    return importlib.util.find_spec("cv2") is not None


def bayer_pattern(frame: Frame) -> str | None:
    """Give the pattern of a raw mosaic, such as ``"GRBG"``; None for a frame that is none.

    An on-device stack still carries BAYERPAT though its three planes are colour already.
    """
    if frame.header is None or len(frame.shape) != 2:
        return None
    pattern = str(card(frame.header.cards, "BAYERPAT", "")).strip().upper()
    return pattern if pattern in PATTERNS else None


def opencv_takes(frame: Frame) -> bool:
    """Tell whether a frame's numbers are of a type that OpenCV demosaics: uint8 or uint16."""
    return frame.header is not None and rows_dtype(frame.header) in _OPENCV_TYPES


@dataclass(frozen=True)
class Debayered:
    """A raw mosaic of uint8 or uint16 as colour, (H, W, 3) in the order red, green, blue.

    Each band is read with a margin, so that its rows are those of the whole frame demosaiced at once.
    """

    frame: RowSource
    pattern: str

    def __post_init__(self) -> None:
        """Refuse, as `FrameError`, a file whose rows come in another type than its header says."""
        if self.frame.dtype not in _OPENCV_TYPES:
            raise FrameError(f"{self.name} holds {self.frame.dtype}, and OpenCV demosaics uint8 and uint16 only")

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return str(getattr(self.frame, "name", "frame"))

    @property
    def shape(self) -> tuple[int, ...]:
        """Give (H, W, 3)."""
        return (*self.frame.shape[:2], 3)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the rows."""
        return self.frame.dtype

    def __getitem__(self, rows: slice) -> Pixels:
        """Read rows ``y0:y1`` in colour."""
        height = self.shape[0]
        first, last = row_range(rows, height)
        top = max(0, first - first % 2 - _MARGIN)
        bottom = min(height, last + _MARGIN)
        if bottom - top < 2 * _MARGIN:  # a band at the lower edge: OpenCV wants a few rows
            top = max(0, bottom - bottom % 2 - 2 * _MARGIN)
        cv2 = importlib.import_module("cv2")
        mosaic = np.ascontiguousarray(self.frame[top:bottom])
        colour: Pixels = cv2.cvtColor(mosaic, getattr(cv2, f"COLOR_Bayer{self.pattern}2RGB"))
        return colour[first - top : last - top]
