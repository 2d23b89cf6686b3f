"""The headers of a frame's file, read without its pixels: plain, gzipped or tile-compressed FITS.

The 80-byte cards are cut here, and only those that the project uses go on to astropy, which parses them: that
makes ten thousand files no trouble. The image may sit in a later HDU (always so for tile compression).
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, cast

from astropy.io import fits

from ..errors import FrameError, NoImageError, no_access

BLOCK = 2880
CARD = 80

# A header longer than this is no header (the longest known real one is under a tenth of it).
MAX_HEADER_BLOCKS = 1000

# No file is larger; a header that says so is damaged.
_MAX_DATA_BYTES = 1 << 62

GZIP_MAGIC = b"\x1f\x8b"

_STRUCTURE = "SIMPLE XTENSION BITPIX NAXIS PCOUNT GCOUNT GROUPS BSCALE BZERO BLANK ZIMAGE ZBITPIX ZNAXIS"
_OBSERVATION = (
    "EQMODE RA DEC DATE-OBS EXPTIME EXPOSURE FILTER OBJECT CREATOR INSTRUME TELESCOP PROGRAM IMAGETYP "
    "BAYERPAT STACKCNT SWCREATE GAIN XBINNING XPIXSZ FOCALLEN CRVAL1 CRVAL2 CRPIX1 CRPIX2 CTYPE1 CTYPE2 CDELT1 CDELT2 "
    "CD1_1 CD1_2 CD2_1 CD2_2 PC1_1 PC1_2 PC2_1 PC2_2"
)
# Of ZeMosaic's master tiles; names over eight letters stand in HIERARCH cards.
_MASTER = "EXTNAME ALPHAEXT ZMT_TYPE ZMT_ID ZMT_NRAW ZMT_NALGN MT_NFRAMES ZMT_EMPT ZMT_EVF ZMT_NANZ ZMT_REF EXPTOTAL"
_KEPT = frozenset(key.encode() for key in f"{_STRUCTURE} {_OBSERVATION} {_MASTER}".split()) | frozenset(
    f"{prefix}NAXIS{axis}".encode() for prefix in ("", "Z") for axis in range(1, 10)
)


@dataclass(frozen=True, kw_only=True)
class ImageHeader:
    """What a file's header says of its image.

    Attributes
    ----------
    cards : astropy.io.fits.Header
        The kept cards of the primary HDU, and of the image's HDU where that is another; the latter's win.
    hdu : int
        Index of the HDU that holds the image.
    shape : tuple of int
        NumPy order: (H, W), or as in the file for cubes, (planes, H, W).
    bitpix : int
        FITS code of the stored type.
    data_offset, data_end : int
        Bytes in the (decompressed) file where the pixels start, and where the next HDU would.
    tile_compressed : bool
        Whether the pixels are stored as a tile-compressed table.
    """

    cards: fits.Header
    hdu: int
    shape: tuple[int, ...]
    bitpix: int
    data_offset: int
    data_end: int
    tile_compressed: bool


def card(header: Any, key: str, default: Any = None) -> Any:
    """Read one card; `default` where it is missing, undefined, or its text cannot be parsed."""
    try:
        value = header.get(key, default)
    except Exception:  # noqa: BLE001 - astropy raises many kinds for a broken card, and any means "not said"
        return default
    return default if isinstance(value, fits.card.Undefined) else value


def card_int(header: Any, key: str, default: int) -> int:
    """Read one card as an integer; `default` where it is missing or says none."""
    try:
        return int(card(header, key, default))
    except (TypeError, ValueError, OverflowError):
        return default


def is_number(value: Any) -> bool:
    """Tell whether a card's value is a finite number: 1E400, which is read as infinity, is none."""
    return isinstance(value, int | float) and math.isfinite(value)


def check_regular(path: Path) -> None:
    """Refuse what is no regular file: whoever opens a pipe waits for ever.

    Raises
    ------
    FrameError
        It is none, or cannot be asked.
    """
    try:
        regular = path.is_file()
    except OSError as error:
        raise FrameError(f"it {no_access(error)}") from None
    if not regular:
        raise FrameError("it is no regular file (a broken link, a folder, a pipe?)")


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading, through gzip where its first bytes say so."""
    stream = path.open("rb")
    try:
        gzipped = stream.read(2) == GZIP_MAGIC
        stream.seek(0)
    except BaseException:
        stream.close()
        raise
    if not gzipped:
        return stream
    stream.close()
    return cast(BinaryIO, gzip.open(path, "rb"))


def read_image_header(path: Path) -> ImageHeader:
    """Read the header of the first image of a FITS file.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    FrameError
        One sentence: why the file holds no usable image.
    """
    image = _read(path, _first_image)
    if image is None:
        raise NoImageError("it holds no image, only a header or tables")
    return image


def read_extension_header(path: Path, name: str) -> ImageHeader | None:
    """Read the header of the image extension of a name (``EXTNAME``); None where the file has none.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Name of the extension, such as ``"ALPHA"``.

    Raises
    ------
    FrameError
        One sentence: why it cannot be used.
    """
    return _read(path, lambda stream: _named_image(stream, name))


def has_extension(path: Path, image: ImageHeader, name: str) -> bool:
    """Tell whether an image extension of a name follows a file's image; what follows and cannot be read is none.

    The size of the file says whether anything follows: a file that holds its image alone is not opened again.
    """
    try:
        extension = read_extension_header(path, name) if _goes_on(path, image.data_end) else None
    except (FrameError, OSError):
        return False
    return extension is not None and extension.hdu != image.hdu


def _goes_on(path: Path, data_end: int) -> bool:
    """Tell whether a file, or what is gzipped in it, may hold more than its first bytes up to `data_end`."""
    size = path.stat().st_size
    if size == data_end:
        return False
    with path.open("rb") as file:
        if file.read(2) != GZIP_MAGIC:
            return size > data_end
        file.seek(-4, os.SEEK_END)  # the last of its members tells its unpacked size there, modulo 2**32
        return int.from_bytes(file.read(4), "little") != data_end % (1 << 32)


def _read(path: Path, find: Callable[[BinaryIO], ImageHeader | None]) -> ImageHeader | None:
    """Let a function find an image in a file; whatever goes wrong is a sentence."""
    check_regular(path)
    try:
        with open_bytes(path) as stream:
            image = find(stream)
            gzipped = isinstance(stream, gzip.GzipFile)
        if image is not None and not gzipped and not image.tile_compressed:
            _check_length(image, path.stat().st_size)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise FrameError("its gzip data is damaged or cut off: copy or download it again") from None
    except PermissionError:
        raise FrameError("it may not be read: check its permissions, or whether another program has it open") from None
    except OSError as error:
        raise FrameError(f"it cannot be read: {error.strerror or type(error).__name__}") from None
    return image


def _first_image(stream: BinaryIO) -> ImageHeader | None:
    """Walk the HDUs up to the first that declares an image."""
    return next(_images(stream), None)


def _named_image(stream: BinaryIO, name: str) -> ImageHeader | None:
    """Walk the HDUs up to the image of that name."""
    named = (image for image in _images(stream) if str(card(image.cards, "EXTNAME", "")).strip().upper() == name)
    return next(named, None)


def _images(stream: BinaryIO) -> Iterator[ImageHeader]:
    """Walk the HDUs and give the images."""
    primary = _read_cards(stream, b"SIMPLE")
    if primary is None:
        raise FrameError("it is empty (0 bytes): copy or download it again")
    header: fits.Header | None = primary
    hdu = 0
    while header is not None:
        offset = stream.tell()
        image = _image_of(primary, header, hdu, offset)
        if image is not None:
            yield image
        stream.seek(_data_end(header, offset))
        header, hdu = _read_cards(stream, b"XTENSION"), hdu + 1


def _read_cards(stream: BinaryIO, first_key: bytes) -> fits.Header | None:
    """Read one header and keep the cards that are used; None at the end of the file."""
    kept: list[bytes] = []
    started = False
    for count, block in enumerate(_blocks(stream)):
        started = True
        if count == 0 and block[:8].rstrip() != first_key:
            if first_key == b"XTENSION":  # padding or junk after the last HDU is common and harmless
                return None
            raise FrameError("it is not a FITS file, whatever its name says: its first card is not SIMPLE")
        capitals = block.upper()
        for start in range(0, len(block), CARD):
            key = capitals[start : start + 8].strip()
            if key in _KEPT or _odd_keyword(key, capitals, start) in _KEPT:
                kept.append(block[start : start + CARD])
            elif key == b"END" and block.startswith(key, start):
                return fits.Header.fromstring(b"".join(kept))
    if first_key == b"XTENSION" or not started:
        return None
    raise FrameError("its header is cut off before the END card: copy or download it again")


def _odd_keyword(key: bytes, capitals: bytes, start: int) -> bytes:
    """Give the keyword of a HIERARCH card, or of one whose "=" stands too far left, where astropy takes it too."""
    if key == b"HIERARCH":
        return capitals[start + 8 : start + CARD].partition(b"=")[0].strip()
    if b"=" in key and b"= " in capitals[start : start + 9]:
        return key.partition(b"=")[0].strip()
    return key


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Give header blocks until the file ends or stops looking like a header."""
    for count in range(MAX_HEADER_BLOCKS):
        block = stream.read(BLOCK)
        if not block or (count and not block.isascii()):
            return
        yield block


def _image_of(primary: fits.Header, header: fits.Header, hdu: int, offset: int) -> ImageHeader | None:
    """Describe the image of one HDU; None where it has none."""
    compressed = card(header, "ZIMAGE", False) is True
    is_table = card(header, "XTENSION", "IMAGE") not in ("IMAGE", "IMAGE   ") and not compressed
    shape = _shape(header, "Z" if compressed else "")
    if is_table or not shape:
        return None
    if 0 in shape or min(shape) < 0:
        raise FrameError(f"its image has no pixels ({' × '.join(map(str, shape))})")
    cards = primary if hdu == 0 else _merged(primary, header)
    bitpix = card_int(header, "ZBITPIX" if compressed else "BITPIX", 0)
    if bitpix not in (8, 16, 32, 64, -32, -64):
        raise FrameError(f"its BITPIX is {bitpix}, which FITS does not know")
    if not all(is_number(card(cards, key, 1)) for key in ("BSCALE", "BZERO")):
        raise FrameError("its BSCALE or BZERO card is not a number")
    end = _data_end(header, offset) if compressed else offset + _padded(abs(bitpix) // 8 * prod(shape))
    return ImageHeader(
        cards=cards, hdu=hdu, shape=shape, bitpix=bitpix, data_offset=offset, data_end=end, tile_compressed=compressed
    )


def _merged(primary: fits.Header, header: fits.Header) -> fits.Header:
    """Put the image's cards over those of the primary header, which says nothing of this image's numbers."""
    merged = primary.copy()
    for key in ("BSCALE", "BZERO", "BLANK", "EXTNAME"):
        merged.remove(key, ignore_missing=True)
    merged.update(header)
    return merged


def _shape(header: fits.Header, prefix: str) -> tuple[int, ...]:
    """Give the image's shape in NumPy's order: the last FITS axis first."""
    try:
        axes = int(card(header, f"{prefix}NAXIS", 0))
        return tuple(int(card(header, f"{prefix}NAXIS{axis}")) for axis in range(axes, 0, -1))
    except (TypeError, ValueError, OverflowError):
        raise FrameError("its header does not say the size of its image (NAXIS cards)") from None


def _data_end(header: fits.Header, offset: int) -> int:
    """Give the byte at which an HDU ends whose data begin at `offset` (FITS standard 4.0, section 4.4.1)."""
    shape = _shape(header, "")
    if not shape:
        return offset
    parameters, groups = card_int(header, "PCOUNT", 0), card_int(header, "GCOUNT", 1)
    size = abs(card_int(header, "BITPIX", 8)) // 8 * groups * (parameters + prod(shape))
    if not 0 <= size < _MAX_DATA_BYTES:
        raise FrameError("its header gives its data an impossible size (NAXIS, PCOUNT or GCOUNT cards)")
    return offset + _padded(size)


def _padded(size: int) -> int:
    """Round up to whole FITS blocks."""
    return -(-size // BLOCK) * BLOCK


def _check_length(image: ImageHeader, file_bytes: int) -> None:
    """Refuse a file that is shorter than its header promises."""
    promised = abs(image.bitpix) // 8 * prod(image.shape)
    there = file_bytes - image.data_offset
    if there < promised:
        raise FrameError(
            f"it is cut off: its header promises {promised:,} bytes of pixels, and the file holds {max(0, there):,}"
        )
