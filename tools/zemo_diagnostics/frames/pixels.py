"""The pixels of frames, read a band of rows at a time and never more: what the stack is fed with.

A frame has ``.shape`` and ``.dtype`` and gives rows when it is sliced, ``frame[y0:y1]``; the stack asks for no more.
A file is open only while it is read, so that thousands of frames stay under any limit of open files. Integers that
FITS stores with an offset (BZERO 32768 for uint16) are converted band by band; a memory map would not do that.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from math import prod
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from ..errors import FrameError
from ..machine.scratch import write_scratch
from .entries import Frame
from .headers import ImageHeader, card, open_bytes, read_image_header
from .raw_headers import can_hold, header_before, readable_cards
from .reading import reading
from .tile_decoder import unpacked

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
class GuardedRows:
    """Rows of a frame; whatever is raised while they are read is a finding of its file."""

    rows: RowSource
    path: Path

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return self.path.name

    @property
    def shape(self) -> tuple[int, ...]:
        """Give (H, W) or (H, W, C)."""
        return self.rows.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the rows."""
        return self.rows.dtype

    def __getitem__(self, rows: slice) -> Pixels:
        """Read rows ``y0:y1``.

        Raises
        ------
        FrameError
            Where they cannot be read; its `path` is the file.
        """
        first, last = row_range(rows, self.shape[0])
        with reading(self.path):
            return self.rows[first:last]

    def window(self, rows: slice, columns: slice) -> Pixels:
        """Read columns ``x0:x1`` of rows ``y0:y1``.

        Raises
        ------
        FrameError
            As for whole rows.
        """
        with reading(self.path):
            return read_window(self.rows, rows, columns)


class Layout(str, Enum):
    """How the numbers of an image follow each other in a file."""

    PLANES = "planes"  # row after row, plane after plane: FITS
    PIXELS = "pixels"  # row after row, the values of a pixel beside each other: ``.npy``
    COLUMNS = "columns"  # column after column, plane after plane: ``.npy`` in Fortran's order


@dataclass(frozen=True, kw_only=True)
class StoredPlanes:
    """Numbers that lie uncompressed in a file.

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
    layout : Layout
        How they follow each other.
    bscale, bzero : float
        Physical value = bscale * stored + bzero.
    blank : int or None
        Stored integer that stands for "no value".
    """

    path: Path
    offset: int
    stored: str
    shape: tuple[int, ...]
    layout: Layout = Layout.PLANES
    bscale: float = 1.0
    bzero: float = 0.0
    blank: int | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the rows: as stored where that says it all, unsigned or float32 where it is scaled."""
        return self.physical(np.empty(0, self.stored)).dtype

    def __getitem__(self, rows: slice) -> Pixels:
        """Read rows ``y0:y1``.

        Raises
        ------
        FrameError
            Where the file is shorter than it should be.
        """
        first, last = row_range(rows, self.shape[0])
        with self.path.open("rb", buffering=0) as file:
            return self.physical(self._read(file, first, last))

    def window(self, rows: slice, columns: slice) -> Pixels:
        """Read columns ``x0:x1`` of rows ``y0:y1``: of a FITS image nothing else is read, however long its rows are.

        Raises
        ------
        FrameError
            As for whole rows.
        """
        (first, last), (left, right) = row_range(rows, self.shape[0]), row_range(columns, self.shape[1])
        if self.layout is not Layout.PLANES or right - left == self.shape[1]:
            return self[rows][:, left:right]
        planes = self.shape[2] if len(self.shape) == 3 else 1
        out = np.empty((planes, last - first, right - left), self.stored)
        with self.path.open("rb", buffering=0) as file:
            for plane, y in np.ndindex(out.shape[:2]):
                place = ((plane * self.shape[0] + first + y) * self.shape[1] + left) * out.itemsize
                file.seek(self.offset + place)
                _fill(file, out[plane, y])
        return self.physical(out[0] if len(self.shape) == 2 else np.moveaxis(out, 0, -1))

    def _read(self, file: Any, first: int, last: int) -> Pixels:
        """Read rows as stored."""
        height, others = self.shape[0], self.shape[1:]
        row = {Layout.PLANES: others[0], Layout.PIXELS: prod(others), Layout.COLUMNS: 1}[self.layout]
        out = np.empty((prod(others) // row, last - first, row), self.stored)
        for plane in range(len(out)):
            file.seek(self.offset + (plane * height + first) * row * out.itemsize)
            _fill(file, out[plane])
        if self.layout is Layout.PIXELS:
            return cast(Pixels, out[0].reshape((last - first, *others)))
        if self.layout is Layout.COLUMNS:
            return cast(Pixels, out.reshape((*reversed(others), last - first)).T)
        return cast(Pixels, np.moveaxis(out, 0, -1) if len(others) == 2 else out[0])

    def physical(self, raw: Pixels) -> Pixels:
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


def _fill(file: Any, out: Pixels) -> None:
    """Read until an array is full."""
    view = out.reshape(-1).view(np.uint8).data
    done = 0
    while done < len(view):
        count = file.readinto(view[done:])
        if not count:
            raise FrameError(f"it ended {len(view) - done:,} bytes too early while its rows were read")
        done += count


@dataclass(frozen=True, kw_only=True)
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

    def window(self, rows: slice, columns: slice) -> Pixels:
        """Read columns ``x0:x1`` of rows ``y0:y1`` of the rectangle."""
        (y0, y1), (x0, x1) = row_range(rows, self.height), row_range(columns, self.width)
        return read_window(self.frame, slice(self.top + y0, self.top + y1), slice(self.left + x0, self.left + x1))


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
        Folder for the pixels of packed files, which cannot be read from the middle.

    Raises
    ------
    FrameError
        Where the pixels cannot be got at, now or when rows are read; its `path` is the file.
    ScratchError
        Where there is no room to unpack them.
    """
    return open_image(frame.path, frame.header, scratch)


def open_image(path: Path, header: ImageHeader | None, scratch: Path) -> RowSource:
    """Make the pixels of any image readable as `open_frame` does; `header` says where they lie in its file."""
    with reading(path):
        return GuardedRows(_stored(path, header, scratch), path)


def _stored(path: Path, header: ImageHeader | None, scratch: Path) -> StoredPlanes:
    """Describe a frame's numbers as they lie in its file, or in an unpacked copy."""
    if header is None:
        return _npy(path)
    if header.tile_compressed:
        return _tile_compressed(path, header, scratch)
    if _is_gzipped(path):
        return _fits_planes(write_scratch(scratch, _gunzipped(path, header)), header, 0)
    return _fits_planes(path, header, header.data_offset)


def scratch_bytes(frame: Frame) -> int:
    """Say what `open_frame` takes of the disk for temporary files; nothing for a file that it will refuse."""
    header = frame.header
    try:
        if header is None or not (header.tile_compressed or _is_gzipped(frame.path)):
            return 0
        needed = _pixel_bytes(header)
        return needed if can_hold(frame.path.stat().st_size, needed) else 0
    except OSError:
        return 0


def _pixel_bytes(header: ImageHeader) -> int:
    """Give the size of an image as stored without any packing."""
    return abs(header.bitpix) // 8 * prod(header.shape)


def _is_gzipped(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _gunzipped(path: Path, header: ImageHeader) -> Iterator[bytes]:
    """Give the pixels of one image of a gzipped file."""
    missing = _pixel_bytes(header)
    if not can_hold(path.stat().st_size, missing):
        raise FrameError(f"it cannot be unpacked: its header promises {missing:,} bytes of pixels, far too many")
    try:
        with gzip.open(path, "rb") as packed:
            packed.seek(header.data_offset)
            while missing and (piece := packed.read(min(_PIECE_BYTES, missing))):
                missing -= len(piece)
                yield piece
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FrameError("it cannot be unpacked: its gzip data is damaged or cut off") from error
    if missing:
        raise FrameError(f"it cannot be unpacked: {missing:,} of the bytes that its header promises are missing")


def _fits_planes(path: Path, header: ImageHeader, offset: int) -> StoredPlanes:
    """Describe an uncompressed FITS image that starts at a byte of a file."""
    blank = card(header.cards, "BLANK")
    return StoredPlanes(
        path=path,
        offset=offset,
        stored=_STORED[header.bitpix],
        shape=channels_last(header.shape),
        bscale=float(card(header.cards, "BSCALE", 1.0)),
        bzero=float(card(header.cards, "BZERO", 0.0)),
        blank=int(blank) if header.bitpix > 0 and isinstance(blank, int) else None,
    )


def rows_dtype(header: ImageHeader) -> np.dtype[Any]:
    """Give the type in which the rows of a FITS image come, by its header alone."""
    return _fits_planes(Path(), header, 0).dtype


def _npy(path: Path) -> StoredPlanes:
    """Describe a ``.npy`` array."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    in_columns = not array.flags.c_contiguous
    layout = Layout.COLUMNS if in_columns else Layout.PIXELS
    return StoredPlanes(path=path, offset=array.offset, stored=array.dtype.str, shape=array.shape, layout=layout)


def _tile_compressed(path: Path, header: ImageHeader, scratch: Path) -> StoredPlanes:
    """Unpack a tile-compressed image; its numbers are the physical ones already."""
    with unpacked(path, header.data_offset) as image:
        if image.shape != header.shape:
            raise FrameError("it cannot be unpacked: its header can be read as two different shapes")
        stored = write_scratch(scratch, image.bands)
    return StoredPlanes(path=stored, offset=0, stored=image.dtype.str, shape=channels_last(header.shape))


def read_image(path: Path) -> tuple[Pixels, fits.Header]:
    """Read the first image of a FITS file into memory, and its header.

    Parameters
    ----------
    path : Path
        The file, packed or not.

    Returns
    -------
    ndarray, astropy.io.fits.Header
        Physical values, (H, W) or (planes, H, W) as in FITS; the cards that can be read.

    Raises
    ------
    FrameError
        Where it cannot be read.
    """
    with reading(path):
        return _image_in_memory(path, read_image_header(path))


def _image_in_memory(path: Path, header: ImageHeader) -> tuple[Pixels, fits.Header]:
    """Read an image, and its header."""
    if header.tile_compressed:
        with unpacked(path, header.data_offset) as image:
            pixels: Pixels = np.frombuffer(b"".join(image.bands), image.dtype).reshape(image.shape)
        return pixels, fits.Header.fromstring(image.header)
    with open_bytes(path) as packed:
        cards = fits.Header.fromstring(header_before(packed, header.data_offset)[0])
    planes = _fits_planes(path, header, header.data_offset)
    if _is_gzipped(path):
        raw = np.frombuffer(b"".join(_gunzipped(path, header)), planes.stored)
    else:
        raw = np.empty(prod(header.shape), planes.stored)
        with path.open("rb", buffering=0) as file:
            file.seek(header.data_offset)
            _fill(file, raw)
    return planes.physical(raw).reshape(header.shape), readable_cards(cards)


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
