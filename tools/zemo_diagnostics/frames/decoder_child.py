"""What unpacks tile-compressed images in a process of its own; `tile_decoder` starts it and talks to it.

Each request is a line of JSON on standard input; each answer is a line of JSON, and the bytes of a band of rows after
it. The next band is sent when the parent asks for it, so that no more than one waits. The process ends when the parent
does.
"""

from __future__ import annotations

import faulthandler
import io
import json
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from astropy.io import fits

from ..errors import FrameError
from .headers import BLOCK, open_bytes
from .raw_headers import can_hold, header_before, readable_cards

# What is unpacked at once, bytes of pixels; a single tile may be more.
_BAND_BYTES = 8 << 20


def main(give_up_s: str) -> None:
    """Answer requests until the parent goes away.

    Parameters
    ----------
    give_up_s : str
        After so many seconds without a band the process ends itself.
    """
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)  # whatever a library prints must not get into the answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    warnings.simplefilter("ignore")
    for request in requests:
        for head, body in _answers(json.loads(request), float(give_up_s), silent):
            answers.write(json.dumps(head | {"bytes": len(body)}).encode("ascii") + b"\n")
            answers.write(body)
            answers.flush()
            if not head.get("last") and not requests.readline():
                return


def _answers(request: dict[str, Any], give_up_s: float, silent: int) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Give an image band by band, each with its place in the dialogue; what goes wrong is the last answer."""
    # Ends the process where a library hangs, even while it lets nothing else run and the parent is gone.
    faulthandler.dump_traceback_later(give_up_s, exit=True, file=silent)
    try:
        for head, body in _bands(Path(request["path"]), request["data_offset"]):
            faulthandler.cancel_dump_traceback_later()
            yield head, body
            faulthandler.dump_traceback_later(give_up_s, exit=True, file=silent)
        yield {"last": True}, b""
    except FrameError as error:
        yield {"last": True, "error": str(error)}, b""
    except Exception as error:  # noqa: BLE001 - whatever a library raises is the finding of this file
        said = " ".join(str(error).split()).replace(request["path"], Path(request["path"]).name)
        yield {"last": True, "error": f"{type(error).__name__}: {said}"}, b""
    finally:
        faulthandler.cancel_dump_traceback_later()


def _bands(path: Path, data_offset: int) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Unpack an image plane by plane, from the first row to the last; its header comes with the first band."""
    with open_bytes(path) as file:
        text, start = header_before(file, data_offset)
        tile_rows = _checked_tile_rows(fits.Header.fromstring(text), path.stat().st_size)
        with fits.open(io.BufferedReader(_OneTable(file, start)), memmap=False) as hdus:
            section, told = hdus[1].section, {"header": readable_cards(hdus[1].header).tostring()}
            shape = tuple(map(int, section.shape))
            height, row_bytes = shape[-2], shape[-1] * section.dtype.itemsize
            rows = max(1, _BAND_BYTES // (row_bytes * tile_rows)) * tile_rows
            for plane in range(prod(shape[:-2])):
                for top in range(0, height, rows):
                    taken = slice(top, min(top + rows, height))
                    band = section[taken] if len(shape) == 2 else section[plane, taken]
                    yield told | {"shape": shape, "dtype": band.dtype.str}, band.tobytes()
                    told = {}


class _OneTable(io.RawIOBase):
    """A FITS file of an empty primary HDU and one extension of another file: astropy walks over nothing else.

    Parameters
    ----------
    file : binary file
        The other file.
    start : int
        Byte where the extension's header starts.
    """

    _PRIMARY = (
        "".join(card.ljust(80) for card in ("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0", "EXTEND  = T", "END"))
        .encode("ascii")
        .ljust(BLOCK)
    )

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file, self._start, self._place = file, start, 0

    def readable(self) -> bool:
        """Say that it is read."""
        return True

    def seekable(self) -> bool:
        """Say that it is read in any order."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a byte."""
        if whence == os.SEEK_END:
            offset += self._file.seek(0, os.SEEK_END) - self._start + BLOCK
        self._place = offset + (self._place if whence == os.SEEK_CUR else 0)
        return self._place

    def tell(self) -> int:
        """Give where it is."""
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Read from the primary HDU or from the other file."""
        if self._place < BLOCK:
            piece = self._PRIMARY[self._place : self._place + len(buffer)]
        else:
            self._file.seek(self._start + self._place - BLOCK)
            piece = self._file.read(len(buffer))
        buffer[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)


def _checked_tile_rows(header: Any, file_bytes: int) -> int:
    """Give the rows of a tile, having checked that the file can hold what its header promises."""
    if header.get("XTENSION", "").rstrip() != "BINTABLE" or header.get("NAXIS") != 2:
        raise FrameError("it is marked as tile-compressed, and is no table of tiles")
    table = [int(header[key]) for key in ("NAXIS1", "NAXIS2", "PCOUNT", "TFIELDS")]
    if min(table) < 0 or table[3] > 999 or not can_hold(file_bytes, table[0] * table[1] + table[2]):
        raise FrameError("the header of its table of tiles makes no sense")
    axes = range(1, int(header["ZNAXIS"]) + 1)
    if not 2 <= len(axes) <= 3:
        raise FrameError(f"its image has {len(axes)} axes")
    shape = [int(header[f"ZNAXIS{axis}"]) for axis in axes]
    tile = [int(header.get(f"ZTILE{axis}", shape[0] if axis == 1 else 1)) for axis in axes]
    promised = prod(shape) * abs(int(header["ZBITPIX"])) // 8
    if min(shape) < 1 or min(tile) < 1:
        raise FrameError(f"its image is {_size(shape)} in tiles of {_size(tile)}")
    if not can_hold(file_bytes, promised):
        raise FrameError(f"its header promises {promised:,} bytes of pixels, and the file is {file_bytes:,} bytes long")
    if str(header.get("ZQUANTIZ", "")).startswith("SUBTRACTIVE_DITHER") and int(header.get("ZDITHER0", 0)) < 1:
        # With less, cfitsio takes its noise from memory before the table of it: other numbers each time, or a crash.
        raise FrameError(f"its ZDITHER0 is {header.get('ZDITHER0', 'missing')}, and FITS counts from 1 there")
    return min(tile[1], shape[1])


def _size(shape: list[int]) -> str:
    """Write a shape as text, rows first."""
    return " × ".join(map(str, reversed(shape)))
