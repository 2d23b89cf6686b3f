"""Damaged frames, made from whole ones by chance and a seed: the same seed gives the same bytes everywhere."""

from __future__ import annotations

import gzip
import io
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from astropy.io import fits

from tests.conftest import FIXTURES

BLOCK, CARD = 2880, 80

# The cards that say where pixels are and how they are stored, the table's and the compressed image's among them.
_STRUCTURE = """
SIMPLE XTENSION BITPIX NAXIS NAXIS1 NAXIS2 NAXIS3 PCOUNT GCOUNT GROUPS EXTEND BSCALE BZERO BLANK THEAP TFIELDS TFORM1
TFORM2 TFORM3 TFORM4 TTYPE1 TTYPE2 ZIMAGE ZSIMPLE ZTENSION ZBITPIX ZNAXIS ZNAXIS1 ZNAXIS2 ZNAXIS3 ZTILE1 ZTILE2 ZTILE3
ZCMPTYPE ZNAME1 ZNAME2 ZVAL1 ZVAL2 ZQUANTIZ ZDITHER0 ZBLANK ZSCALE ZZERO ZPCOUNT ZGCOUNT EXTNAME BAYERPAT END
"""
STRUCTURE = frozenset(_STRUCTURE.split())

_NASTY_NUMBERS = """
0 1 -1 2 3 4 7 8 16 32 64 -8 -16 -32 -64 99 191 193 254 999 -2880 -2881 2880 65535 65536 1000000 -1000000 999999999
2147483647 2147483648 -2147483648 4294967296 1000000000000 9223372036854775807 9223372036854775808
-9223372036854775809 99999999999999999999999999 0.0 0.5 1.5 -0.0 1E-400 1E400 -1E400 1D3 1E NaN INF +INF 1_000 0x10
1e308 -1e308 32768 2147483648.0 -5 -9999 1000
"""
NASTY_NUMBERS = tuple(_NASTY_NUMBERS.split())

_NASTY_TEXTS = """
T F '' ' 'unclosed 'a''b' '1PB(9)' '1PB(-9)' '1QJ(99)' 'PB' '1PE' '0J' '999999999999J' '1P' 'X' 'RICE_1' 'GZIP_1'
'GZIP_2' 'PLIO_1' 'HCOMPRESS_1' 'NOCOMPRESS' 'SUBTRACTIVE_DITHER_1' 'SUBTRACTIVE_DITHER_2' 'IMAGE' 'BINTABLE' 'TABLE'
'ALPHA' 'GRBG' 'BLOCKSIZE' 'BYTEPIX' 'ZSCALE' 'COMPRESSED_DATA' (1,2) &&& é / 10/
"""
NASTY_TEXTS = (*_NASTY_TEXTS.split(), "", "\x00\x00", "\xff\xfe", "'\x1b[31m'", "'IMAGE   '")

_CARDS = """
BLANK   = 0|BLANK   = -32768|BSCALE  = 0|BSCALE  = 1E400|BSCALE  = -1|BZERO   = 32768|BZERO   = NaN|GROUPS  = T
THEAP   = 0|THEAP   = -1|PCOUNT  = -2881|PCOUNT  = 99999999|GCOUNT  = 0|GCOUNT  = -1|NAXIS3  = 3|NAXIS4  = 1|NAXIS9  = 0
EXPTIME = 1E400|EXPTIME = 'x'|GAIN    = 1E400|GAIN    = -1E400|RA      = 1E400|RA      = 'x'|DEC     = 91|DEC     = NaN
EQMODE  = 1E400|EQMODE  = 'ALT AZ'|EQMODE  = (1,2)|DATE-OBS= 'x'|DATE-OBS= 1|FILTER  = 1|OBJECT  = 1E400|OBJECT  =
CTYPE1  = 'RA---TAN'|CTYPE1  = 'RA---ZZZ'|CRVAL1  = 1E400|CRVAL1  = NaN|CRPIX1  = 'x'|CD1_1   = 0|CDELT1  = 0
BAYERPAT= 'RGGB'|BAYERPAT= 1|STACKCNT= -1|TELESCOP= 1|CREATOR =|INSTRUME= 1E400|IMAGETYP= 0|SWCREATE= 1|ZMT_ID  = 1E400
ZMT_TYPE= 'Master Tile'|ZMT_EMPT= 'x'|ALPHAEXT= 1|ALPHAEXT= 1E400|EXTNAME = 'ALPHA'|ZIMAGE  = T|ZDITHER0= -5|ZDITHER0= 0
ZBLANK  = 0|ZQUANTIZ= 'SUBTRACTIVE_DITHER_2'|ZNAME1  = 'BLOCKSIZE'|ZVAL1   = 0|ZVAL1   = -1|ZVAL2   = 3
HIERARCH A B = 1|HIERARCH MT_NFRAMES = 1E400|HIERARCH = 1|CONTINUE  'x'|COMMENT x|bitpix  = 8|naxis1  = 9|END
END     = 1|SIMPLE  = F|XTENSION= 'IMAGE'|EXTEND  = F|INHERIT = T|CHECKSUM= 'x'|LONGSTRN= 'OGIP 1.0'
"""
CARDS = tuple(_CARDS.strip().replace("\n", "|").split("|"))


@dataclass(frozen=True)
class Seed:
    """A whole file: what its name ends in, how its bytes are packed, and its bytes before that."""

    suffix: str
    data: bytes
    gzipped: bool = False


@dataclass(frozen=True)
class Kind:
    """Files that are stacked together: whole ones that stay so, and whole ones to be damaged."""

    good: tuple[Seed, ...]
    seeds: tuple[Seed, ...]


def _written(hdus: fits.HDUList) -> bytes:
    buffer = io.BytesIO()
    hdus.writeto(buffer, output_verify="silentfix")
    return buffer.getvalue()


def _plain(data: Any, header: fits.Header) -> bytes:
    return _written(fits.HDUList([fits.PrimaryHDU(data, header)]))


def _saved(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _packed(data: Any, header: fits.Header, **options: Any) -> bytes:
    return _written(fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(data, header, **options)]))


def _frames() -> list[tuple[Any, fits.Header]]:
    """Give the frames of a fixture: uint16 and their headers without cards of storage."""
    frames = []
    for path in sorted((FIXTURES / "phase3" / "tile_02_eq_dithered").iterdir()):
        with fits.open(path) as hdus:
            header = hdus[0].header.copy()
            data = hdus[0].data.copy()
        for key in ("BZERO", "BSCALE"):
            header.remove(key, ignore_missing=True)
        frames.append((data, header))
    return frames


@lru_cache
def kinds() -> dict[str, Kind]:
    """Give the kinds of files: frames of one plane, and of colour."""
    frames = _frames()
    data, header = frames[0]
    grey = header.copy()
    grey.remove("BAYERPAT")
    holed = data.astype(np.float32)
    holed[5:9, 7:30] = np.nan
    blank = grey.copy()
    blank["BLANK"] = 0
    alpha = fits.ImageHDU(np.full(data.shape, 255, np.uint8), name="ALPHA")
    table = fits.BinTableHDU.from_columns([fits.Column("x", "3PJ()", array=np.array([[1, 2], [3]], dtype=object))])
    extension = fits.HDUList([fits.PrimaryHDU(), table, fits.ImageHDU(holed, grey), alpha])
    cube = np.stack([data, data, data])
    floats = [one.astype(np.float32) for one, _ in frames]
    one_plane = (
        Seed(".fit", _plain(data, grey)),
        Seed(".fits", _plain(holed, grey)),
        Seed(".fits", _plain(data.astype(np.float64), grey)),
        Seed(".fit", _plain((data // 8).astype(np.int16), blank)),
        Seed(".fit", _plain((data // 64).astype(np.uint8), grey)),
        Seed(".fts", _plain(data.astype(np.int32), grey)),
        Seed(".fits", _plain(data.astype(np.int64), grey)),
        Seed(".fits", _written(extension)),
        Seed(".fits", _written(fits.HDUList([fits.PrimaryHDU(holed, grey), alpha]))),
        Seed(".fit.gz", _plain(data, grey), gzipped=True),
        Seed(".fits.gz", _written(fits.HDUList([fits.PrimaryHDU(holed, grey), alpha])), gzipped=True),
        Seed(".fits.fz", _packed(data, grey)),
        Seed(".fits.fz", _packed(holed, grey, quantize_method=1, dither_seed=3)),
        Seed(".fits.fz", _packed(holed, grey, quantize_method=2, dither_seed=3, tile_shape=(16, 180))),
        Seed(".fits.fz", _packed(holed, grey, compression_type="GZIP_1", quantize_level=0)),
        Seed(".fits.fz", _packed(data, grey, compression_type="GZIP_2", tile_shape=(50, 50))),
        Seed(".fits.fz", _packed(data.astype(np.int16), grey, compression_type="HCOMPRESS_1", tile_shape=(320, 180))),
        Seed(".fits.fz", _packed((data // 8).astype(np.int16), grey, compression_type="PLIO_1")),
        Seed(".npy", _saved(floats[0])),
        Seed(".npy", _saved(np.asfortranarray(data))),
    )
    colour = (
        *(Seed(".fit", _plain(*frame)) for frame in frames[:3]),
        Seed(".fit", _plain((data // 64).astype(np.uint8), header)),
        Seed(".fit.gz", _plain(data, header), gzipped=True),
        Seed(".fit.fz", _packed(data, header)),
        Seed(".fits", _plain(cube, grey)),
        Seed(".fits", _plain(cube.astype(np.float32), grey)),
        Seed(".fits.gz", _plain(cube, grey), gzipped=True),
        Seed(".fits.fz", _packed(cube, grey)),
        Seed(".fits.fz", _packed(cube.astype(np.float32), grey, quantize_method=1, dither_seed=9)),
        Seed(".npy", _saved(np.stack([floats[0]] * 3, axis=-1))),
        Seed(".npy", _saved(np.asfortranarray(np.stack([floats[1]] * 3, axis=-1)))),
    )
    good_grey = tuple(Seed(".fits", _plain(one.astype(np.float32), grey)) for one, _ in frames[2:6])
    good_colour = tuple(Seed(".fit", _plain(*frame)) for frame in frames[2:6])
    return {"grey": Kind(good_grey, one_plane), "colour": Kind(good_colour, colour)}


# ------------------------------------------------------------------------------------------ what is done to bytes

Mutation = Callable[[bytearray, random.Random], None]


def _cards(data: bytearray) -> list[int]:
    """Give where the cards start, in all headers that can be found."""
    places: list[int] = []
    inside = False
    for start in range(0, len(data) - CARD + 1, CARD):
        key = bytes(data[start : start + 8]).rstrip()
        inside = inside or (start % BLOCK == 0 and key in (b"SIMPLE", b"XTENSION"))
        if inside:
            places.append(start)
        inside = inside and key != b"END"
    return places


def _some_card(data: bytearray, rng: random.Random) -> int | None:
    """Pick a card, one of structure more often than not."""
    places = _cards(data)
    shaping = [place for place in places if data[place : place + 8].rstrip().decode("latin-1") in STRUCTURE]
    return rng.choice(shaping if shaping and rng.random() < 0.7 else places) if places else None


def _put(data: bytearray, place: int, text: str) -> None:
    data[place : place + CARD] = text.encode("latin-1", "replace").ljust(CARD)[:CARD]


def change_value(data: bytearray, rng: random.Random) -> None:
    """Give a card a value that it should not have."""
    place = _some_card(data, rng)
    if place is not None:
        value = rng.choice(NASTY_NUMBERS if rng.random() < 0.7 else NASTY_TEXTS)
        key = data[place : place + 8].decode("latin-1")
        _put(data, place, f"{key}= {value:>20} / changed" if rng.random() < 0.8 else f"{key}= {value}")


def nudge_value(data: bytearray, rng: random.Random) -> None:
    """Change one digit of a card."""
    place = _some_card(data, rng)
    if place is not None:
        digits = [i for i in range(place + 8, place + 30) if i < len(data) and chr(data[i]).isdigit()]
        if digits:
            data[rng.choice(digits)] = ord(rng.choice("0123456789-.E"))


def change_key(data: bytearray, rng: random.Random) -> None:
    """Call a card by another name."""
    place = _some_card(data, rng)
    if place is not None:
        key = rng.choice([*sorted(STRUCTURE), "xxxx", "", "CONTINUE", "HIERARCH", "\xe9", "A=B"])
        key = key.lower() if rng.random() < 0.2 else key
        data[place : place + 8] = key.encode("latin-1").ljust(8)[:8]


def replace_card(data: bytearray, rng: random.Random) -> None:
    """Put another card in the place of one."""
    place = _some_card(data, rng)
    if place is not None:
        _put(data, place, rng.choice(CARDS))


def swap_cards(data: bytearray, rng: random.Random) -> None:
    """Let two cards change places, or one stand twice."""
    one, other = _some_card(data, rng), _some_card(data, rng)
    if one is not None and other is not None:
        first, second = bytes(data[one : one + CARD]), bytes(data[other : other + CARD])
        data[one : one + CARD] = second
        if rng.random() < 0.7:
            data[other : other + CARD] = first


def insert_card(data: bytearray, rng: random.Random) -> None:
    """Put a card between others, and take one of the last away so that blocks stay blocks."""
    place = _some_card(data, rng)
    if place is not None:
        end = place - place % BLOCK + BLOCK
        data[place:end] = rng.choice(CARDS).encode("latin-1").ljust(CARD) + data[place : end - CARD]


def flip_bytes(data: bytearray, rng: random.Random) -> None:
    """Change some bytes anywhere."""
    for _ in range(rng.choice((1, 1, 3, 20, 300))):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)


def cut(data: bytearray, rng: random.Random) -> None:
    """Let the file end early, at a block or anywhere."""
    keep = rng.randrange(len(data) + 1)
    del data[keep - keep % BLOCK if rng.random() < 0.3 else keep :]


def move_blocks(data: bytearray, rng: random.Random) -> None:
    """Repeat, remove or swap a block."""
    blocks = max(1, len(data) // BLOCK)
    one, other = (BLOCK * rng.randrange(blocks) for _ in range(2))
    block = bytes(data[one : one + BLOCK])
    what = rng.randrange(3)
    if what == 0:
        data[other:other] = block
    elif what == 1:
        del data[one : one + BLOCK]
    else:
        data[one : one + BLOCK], data[other : other + BLOCK] = data[other : other + BLOCK], block


def append(data: bytearray, rng: random.Random) -> None:
    """Put a table, an image or junk behind the file."""
    what = rng.randrange(4)
    if what == 0:
        data += bytes(rng.randrange(256) for _ in range(rng.choice((1, 100, 3000))))
    elif what == 1:
        data += rng.choice(kinds()["grey"].seeds).data
    else:
        table = ["XTENSION= 'BINTABLE'", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 8", "NAXIS2  = 2", "PCOUNT  = 0"]
        table += ["GCOUNT  = 1", "TFIELDS = 1", "TFORM1  = '1PB(9)'", rng.choice(CARDS), "END"]
        place = rng.randrange(len(table) - 1)
        table[place] = table[place][:10] + rng.choice(NASTY_NUMBERS)
        data += "".join(card.ljust(CARD) for card in table).encode("latin-1").ljust(BLOCK) + bytes(BLOCK)


def change_npy_header(data: bytearray, rng: random.Random) -> None:
    """Change what an array's header says."""
    changes = (
        (
            b"'<f4'",
            rng.choice((b"'<f8'", b"'>u2'", b"'|O'  ", b"'<c8'", b"'|S4'", b"'<f2'", b"'<i8'", b"'?'  ", b"'x'  ")),
        ),
        (b"False", b"True "),
        (b"True", b"False"),
        (
            b"(320, 180",
            rng.choice((b"(99999, 99", b"(180, 320", b"(-1, 180 ", b"(320, 0  ", b"(320 180 ", b"(2**70, 1")),
        ),
        (b"shape", b"shame"),
        (b"\x93NUMPY\x01", rng.choice((b"\x93NUMPY\x02", b"\x93NUMPY\x09", b"PK\x03\x04Y\x01", b"\x93NUMPZ\x01"))),
        (b"v\x00", rng.choice((b"\xff\xff", b"\x00\x00", b"\x10\x00"))),
    )
    old, new = rng.choice(changes)
    place = data.find(old)
    if place >= 0:
        data[place : place + len(old)] = new


_ON_FITS: tuple[Mutation, ...] = (
    *(change_value,) * 6,
    *(nudge_value,) * 2,
    change_key,
    *(replace_card,) * 3,
    swap_cards,
    insert_card,
    *(flip_bytes,) * 2,
    cut,
    move_blocks,
    append,
)
_ON_ARRAYS: tuple[Mutation, ...] = (*(change_npy_header,) * 5, flip_bytes, cut, append)
_ON_PACKED: tuple[Mutation, ...] = (flip_bytes, flip_bytes, cut, append)


def mutant(seed: Seed, rng: random.Random) -> bytes:
    """Damage a whole file: its content, or how it is packed."""
    data = bytearray(seed.data)
    if not seed.gzipped or rng.random() < 0.6:
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            rng.choice(_ON_ARRAYS if seed.suffix == ".npy" else _ON_FITS)(data, rng)
    if not seed.gzipped:
        return bytes(data)
    packed = bytearray(gzip.compress(bytes(data), 1, mtime=0))
    if rng.random() < 0.5:
        rng.choice(_ON_PACKED)(packed, rng)
    return bytes(packed)


def mutants(kind: Kind, seed: str, count: int) -> Iterator[tuple[str, bytes]]:
    """Give names and bytes of damaged files."""
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        whole = rng.choice(kind.seeds)
        suffix = rng.choice(kind.seeds).suffix if rng.random() < 0.03 else whole.suffix
        yield f"mutant_{number:03d}{suffix}", mutant(whole, rng)
