"""The pixels of frames, read a band of rows at a time and never more: what the stack is fed with.

A frame has ``.shape`` and ``.dtype`` and gives rows when it is sliced, ``frame[y0:y1]``; the stack asks for no more.
A file is open only while it is read, so that thousands of frames stay under any limit of open files. Integers that
FITS stores with an offset (BZERO 32768 for uint16) are converted band by band; a memory map would not do that.
"""

from __future__ import annotations

import gzip
import os
import zlib
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .entries import Frame
from .errors import FrameError
from .headers import ImageHeader, card

Pixels = NDArray[Any]

_PIECE_BYTES = 1 << 20

_STORED: dict[int, str] = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}

# The offset that makes a signed FITS integer unsigned (FITS standard 4.0, table 11), and the type it makes.
_UNSIGNED: dict[tuple[int, float], tuple[str, int]] = {
    (16, 32768.0): ("u2", 0x8000),
    (32, 2147483648.0): ("u4", 0x80000000),
    (64, 9223372036854775808.0): ("u8", 0x8000000000000000),
}


class RowSource(Protocol):
    """Anything that gives the rows of a frame: an array, or one of the classes below."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Give (H, W) or (H, W, C)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Give the type of the rows."""

    def __getitem__(self, rows: slice) -> Pixels:
        """Give rows ``y0:y1``, as (y1 - y0, W) or (y1 - y0, W, C)."""


def row_range(rows: slice, height: int) -> tuple[int, int]:
    """Bring a slice of rows to (first, after the last); only contiguous ones are read."""
    first, last, step = rows.indices(height)
    if step != 1:
        raise ValueError(f"rows must be contiguous, got step {step}")
    return first, max(first, last)


@dataclass(frozen=True)
class StoredPlanes:
    """Planes of numbers that lie row after row in an uncompressed file.

    Attributes
    ----------
    path : Path
        The file.
    offset : int
        Byte where the first plane starts.
    stored : str
        NumPy's name of the stored type.
    shape : tuple of int
        (H, W); (H, W, 3) for three planes in the file, or for interleaved colour.
    interleaved : bool
        Whether the three values of a pixel lie beside each other (``.npy``) rather than in planes (FITS).
    bscale, bzero : float
        Physical value = bscale * stored + bzero.
    blank : int or None
        Stored integer that stands for "no value".
    """

    path: Path
    offset: int
    stored: str
    shape: tuple[int, ...]
    interleaved: bool = False
    bscale: float = 1.0
    bzero: float = 0.0
    blank: int | None = None

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return self.path.name

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the rows: as stored where that says it all, unsigned or float32 where it is scaled."""
        return self._physical(np.empty(0, self.stored)).dtype

    def __getitem__(self, rows: slice) -> Pixels:
        """Read rows ``y0:y1``.

        Raises
        ------
        FrameError
            Where the file is shorter than it should be, or cannot be read.
        """
        first, last = row_range(rows, self.shape[0])
        try:
            with self.path.open("rb", buffering=0) as file:
                return self._physical(self._read(file, first, last))
        except OSError as error:
            raise FrameError(f"{self.name} cannot be read: {error.strerror or type(error).__name__}") from error

    def window(self, rows: slice, columns: slice) -> Pixels:
        """Read columns ``x0:x1`` of rows ``y0:y1``: of a FITS image nothing else is read, however long its rows are.

        Raises
        ------
        FrameError
            As for whole rows.
        """
        (first, last), (left, right) = row_range(rows, self.shape[0]), row_range(columns, self.shape[1])
        if self.interleaved or right - left == self.shape[1]:
            return self[rows][:, left:right]
        planes = self.shape[2] if len(self.shape) == 3 else 1
        out = np.empty((planes, last - first, right - left), self.stored)
        try:
            with self.path.open("rb", buffering=0) as file:
                for plane, y in np.ndindex(out.shape[:2]):
                    place = ((plane * self.shape[0] + first + y) * self.shape[1] + left) * out.itemsize
                    file.seek(self.offset + place)
                    _fill(file, out[plane, y], self.name)
        except OSError as error:
            raise FrameError(f"{self.name} cannot be read: {error.strerror or type(error).__name__}") from error
        return self._physical(out[0] if len(self.shape) == 2 else np.moveaxis(out, 0, -1))

    def _read(self, file: Any, first: int, last: int) -> Pixels:
        """Read rows as stored, planes side by side."""
        height, width = self.shape[:2]
        row = prod(self.shape[1:]) if self.interleaved else width
        planes = 1 if self.interleaved or len(self.shape) == 2 else self.shape[2]
        out = np.empty((planes, last - first, row), self.stored)
        for plane in range(planes):
            file.seek(self.offset + (plane * height + first) * row * out.itemsize)
            _fill(file, out[plane], self.name)
        if planes > 1:
            return cast(Pixels, np.moveaxis(out, 0, -1))
        return cast(Pixels, out[0].reshape((last - first, *self.shape[1:])))

    def _physical(self, raw: Pixels) -> Pixels:
        """Convert stored numbers to physical ones, as astropy does."""
        bits = raw.dtype.itemsize * 8
        if raw.dtype.kind == "f" and self.bscale == 1 and self.bzero == 0:
            return raw
        if self.bscale == 1 and self.bzero == 0 and self.blank is None:
            return raw
        if self.bscale == 1 and raw.dtype.kind == "i" and (bits, self.bzero) in _UNSIGNED:
            # For astropy, and so for ZeMosaic, BLANK does not count there.
            unsigned, sign = _UNSIGNED[(bits, self.bzero)]
            native: Pixels = raw.astype(raw.dtype.newbyteorder("=")).view(unsigned)
            flipped: Pixels = native ^ np.array(sign, unsigned)
            return flipped
        values = raw.astype(np.float32 if bits <= 16 or raw.dtype == ">f4" else np.float64)
        values *= self.bscale
        values += self.bzero
        if self.blank is not None and raw.dtype.kind in "iu":
            values[raw == self.blank] = np.nan
        return values


def _fill(file: Any, out: Pixels, name: str) -> None:
    """Read until an array is full."""
    view = out.reshape(-1).view(np.uint8).data
    done = 0
    while done < len(view):
        count = file.readinto(view[done:])
        if not count:
            raise FrameError(f"{name} ended {len(view) - done:,} bytes too early while its rows were read")
        done += count


@dataclass(frozen=True)
class TileCompressed:
    """A tile-compressed FITS image (``.fz``): astropy unpacks the tiles that the rows need."""

    path: Path
    hdu: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return self.path.name

    def __getitem__(self, rows: slice) -> Pixels:
        """Read rows ``y0:y1``."""
        from astropy.io import fits

        first, last = row_range(rows, self.shape[0])
        try:
            with fits.open(self.path) as hdus:
                section = hdus[self.hdu].section
                if len(self.shape) == 2:
                    return np.asarray(section[first:last])
                return np.moveaxis(np.asarray(section[:, first:last]), 0, -1)
        except (OSError, ValueError, TypeError) as error:
            raise FrameError(f"{self.name} cannot be unpacked: {error}") from error


@dataclass(frozen=True)
class Cropped:
    """A rectangle of a frame."""

    frame: RowSource
    top: int
    left: int
    height: int
    width: int

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return str(getattr(self.frame, "name", "frame"))

    @property
    def shape(self) -> tuple[int, ...]:
        """Give (height, width) and the channels."""
        return (self.height, self.width, *self.frame.shape[2:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the rows."""
        return self.frame.dtype

    def __getitem__(self, rows: slice) -> Pixels:
        """Read rows ``y0:y1`` of the rectangle."""
        first, last = row_range(rows, self.height)
        return self.frame[self.top + first : self.top + last][:, self.left : self.left + self.width]


def read_window(source: RowSource, rows: slice, columns: slice) -> Pixels:
    """Read columns ``x0:x1`` of rows ``y0:y1``, without the rest of the rows where the source can do so."""
    window = getattr(source, "window", None)
    return cast(Pixels, window(rows, columns)) if window else source[rows][:, columns]


def open_frame(frame: Frame, scratch: Path) -> RowSource:
    """Make a frame's pixels readable by bands of rows, cubes as (H, W, 3).

    Parameters
    ----------
    frame : Frame
        From `entries.scan_folder`.
    scratch : Path
        Folder for unpacked copies of gzipped files, which cannot be read from the middle.

    Raises
    ------
    FrameError
        Where the pixels cannot be got at.
    """
    if frame.header is None:
        return _npy(frame.path)
    if frame.header.tile_compressed:
        return _tile_compressed(frame.path, frame.header)
    path = frame.path
    if _is_gzipped(path):
        path = _unpacked(path, scratch, frame.header)
    return _fits_planes(path, frame.header)


def _is_gzipped(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _unpacked(path: Path, scratch: Path, header: ImageHeader) -> Path:
    """Unpack a gzipped file into the scratch folder, once, and no more of it than its image."""
    wanted = header.data_offset + abs(header.bitpix) // 8 * prod(header.shape)
    target = scratch / f"{zlib.crc32(os.fsencode(path)):08x}-{path.stem}"
    if not target.exists():
        try:
            with gzip.open(path, "rb") as packed, target.open("wb") as file:
                while file.tell() < wanted and (piece := packed.read(min(_PIECE_BYTES, wanted - file.tell()))):
                    file.write(piece)
        except (OSError, EOFError, zlib.error) as error:
            target.unlink(missing_ok=True)
            raise FrameError(f"{path.name} cannot be unpacked: its gzip data is damaged or cut off") from error
    return target


def _fits_planes(path: Path, header: ImageHeader) -> StoredPlanes:
    """Describe an uncompressed FITS image."""
    blank = card(header.cards, "BLANK")
    return StoredPlanes(
        path,
        header.data_offset,
        _STORED[header.bitpix],
        channels_last(header.shape),
        bscale=float(card(header.cards, "BSCALE", 1.0)),
        bzero=float(card(header.cards, "BZERO", 0.0)),
        blank=int(blank) if header.bitpix > 0 and isinstance(blank, int) else None,
    )


def rows_dtype(header: ImageHeader) -> np.dtype[Any]:
    """Give the type in which the rows of a FITS image come, by its header alone."""
    return _fits_planes(Path(), header).dtype


def _npy(path: Path) -> RowSource:
    """Describe a ``.npy`` array; a Fortran-ordered one is left to NumPy's own memory map."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not array.flags.c_contiguous:
        mapped: Pixels = array
        return mapped
    return StoredPlanes(path, array.offset, array.dtype.str, array.shape, interleaved=array.ndim == 3)


def _tile_compressed(path: Path, header: ImageHeader) -> TileCompressed:
    """Describe a tile-compressed image, its type taken from one row."""
    dtype: DTypeLike = np.float32
    frame = TileCompressed(path, header.hdu, channels_last(header.shape), np.dtype(dtype))
    return replace(frame, dtype=frame[0:1].dtype)


def channels_last(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Turn a FITS cube's (3, H, W) or (1, H, W) into the shape it is stacked in."""
    if len(shape) == 2:
        return shape
    return shape[1:] if shape[0] == 1 else (*shape[1:], shape[0])


def blank_pixels(rows: Pixels) -> NDArray[np.bool_]:
    """Tell which pixels hold nothing: every channel NaN, infinite or exactly 0.

    Parameters
    ----------
    rows : ndarray
        (H, W) or (H, W, C).

    Returns
    -------
    ndarray of bool
        (H, W).
    """
    nothing = ~np.isfinite(rows) | (rows == 0)
    return nothing if rows.ndim == 2 else cast(NDArray[np.bool_], nothing.all(axis=2))
