"""The two kinds of entries that ZeMosaic makes of a frame: those of its filter window, and those of its Phase 1.

What Phase 3 gets are those of Phase 1, in every released version: the mode that the filter found is not in them, and
their header is an astropy ``fits.Header``, not a dict.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from .mount_mode import Mode

Entry = dict[str, Any]

# What the filter keeps of a header.
_KEPT = (
    "NAXIS1", "NAXIS2", "EQMODE", "CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CTYPE1", "CTYPE2", "CDELT1", "CDELT2",
    "CD1_1", "CD1_2", "CD2_1", "CD2_2", "PC1_1", "PC1_2", "PC2_1", "PC2_2", "DATE-OBS", "EXPTIME", "FILTER", "OBJECT",
    "CREATOR", "INSTRUME",
)  # fmt: skip


class EntryKind(str, Enum):
    """Who made an entry.

    Attributes
    ----------
    PHASE_1
        Phase 1 of the worker: this kind reaches Phase 3.
    FILTER
        The filter window, which also counts the modes of a run's frames.
    """

    PHASE_1 = "phase 1"
    FILTER = "filter"


def entry_of(kind: EntryKind, entry: Mapping[str, Any], index: int = 0) -> Entry:
    """Make an entry of one kind.

    Parameters
    ----------
    kind : EntryKind
        Who makes it.
    entry : mapping
        A frame as a folder was read: ``path_raw``, and where it is a FITS file ``header``, a ``fits.Header``.
    index : int
        Number of the frame in the run.
    """
    return _phase_1_entry(entry, index) if kind is EntryKind.PHASE_1 else _filter_entry(entry)


def _phase_1_entry(entry: Mapping[str, Any], index: int) -> Entry:
    kept = ("path_raw", "path_preprocessed_cache", "header", "preprocessed_shape")
    return {**{key: entry[key] for key in kept if key in entry}, "path_hotpix_mask": None, "phase0_index": index}


def _filter_entry(entry: Mapping[str, Any]) -> Entry:
    header = _subset(entry.get("header"))
    mode = filter_mode(header.get("EQMODE"))
    kept = {key: entry[key] for key in ("path", "path_raw", "RA", "DEC", "center") if key in entry}
    return {**kept, "header": header, "MOUNT_MODE": mode, **({} if mode == Mode.UNKNOWN else {"_eqmode_mode": mode})}


def _subset(header: Any) -> dict[str, Any]:
    """Keep of a header what the filter does, as plain values."""
    values = {key: card(header, key) for key in _KEPT} if header is not None else {}
    return {key: value for key, value in values.items() if isinstance(value, (str, int, float))}


def card(header: Any, key: str) -> Any:
    """Read a card; None where it is missing or cannot be parsed."""
    try:
        return header.get(key)
    except Exception:  # noqa: BLE001 - a card that cannot be parsed says nothing; astropy raises many kinds for it
        return None


def filter_mode(value: Any) -> str:
    """Name the mode that the filter reads from an EQMODE: one of `Mode`, or ``EQMODE_<n>`` for another number n."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        try:
            number = int(float(str(value).strip()))
        except (ValueError, OverflowError):
            return Mode.UNKNOWN.value
    return {1: Mode.EQ.value, 0: Mode.ALT_AZ.value}.get(number, f"EQMODE_{number}")
