"""Whole headers, from the bytes before an image; and whether a file can hold what its header promises."""

from __future__ import annotations

import contextlib
from typing import Any, BinaryIO

from ..errors import FrameError
from .headers import BLOCK, MAX_HEADER_BLOCKS

# No packing of FITS shrinks real pixels more than this (it is the limit of gzip): a header that promises more of a
# small file is damaged, and would take memory and disk without end. Small images are let through.
_MOST_PACKED = 1032
_ALWAYS_TAKEN_BYTES = 16 << 20


def header_before(file: BinaryIO, data_offset: int) -> tuple[bytes, int]:
    """Read the header that ends where an image's data begins.

    Parameters
    ----------
    file : binary file
        The file, unpacked.
    data_offset : int
        Byte where the data begins.

    Returns
    -------
    bytes, int
        The header, and the byte where it starts.

    Raises
    ------
    FrameError
        Where there is none.
    """
    first = max(0, data_offset - MAX_HEADER_BLOCKS * BLOCK)
    file.seek(first)
    text = file.read(data_offset - first)
    for start in range(len(text) - BLOCK, -1, -BLOCK):
        if text[start : start + 8].rstrip() in (b"SIMPLE", b"XTENSION"):
            return text[start:], first + start
    raise FrameError("its header is no longer where it was")


def readable_cards(header: Any) -> Any:
    """Give a header without the cards that cannot be read: asked for, astropy would raise."""
    cards = []
    for card in header.cards:
        with contextlib.suppress(Exception):
            cards.append((str(card), card.value)[0])
    return type(header).fromstring("".join(cards))


def can_hold(file_bytes: int, promised_bytes: int) -> bool:
    """Tell whether a packed file can hold what its header promises of pixels."""
    return promised_bytes <= max(_ALWAYS_TAKEN_BYTES, _MOST_PACKED * file_bytes)
