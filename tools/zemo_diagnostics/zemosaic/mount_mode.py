"""The mount modes that Phase 3 knows, by the words that ZeMosaic has for them."""

from __future__ import annotations

from enum import Enum


class Mode(str, Enum):
    """How the mount of a frame or a group followed the sky.

    Attributes
    ----------
    EQ
        Equatorial: the field does not rotate.
    ALT_AZ
        Alt-azimuthal: it does.
    UNKNOWN
        Nothing says it.
    """

    EQ = "EQ"
    ALT_AZ = "ALT_AZ"
    UNKNOWN = "UNKNOWN"

    def __str__(self) -> str:
        """Give the word, in whichever version of Python it is put into a line."""
        return self.value
