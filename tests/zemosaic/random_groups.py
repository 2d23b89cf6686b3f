"""Groups of entries at random: every key, every kind of value, both kinds of header."""

from __future__ import annotations

import random
from typing import Any

from astropy.io import fits

from zemo_diagnostics.zemosaic import jobs
from zemo_diagnostics.zemosaic.entries import EntryKind, entry_of

_TEXTS = (
    "EQ", "eq ", " Equatorial", "ALT_AZ", "alt-az", "Alt Az", "ALTAZ", "AZ", "UNKNOWN", "", "  ", "EQMODE_1",
    "EQMODE_0", "eqmode_2", "EQMODE_", "EQMODE_EQ", "1", "0", " 1.0 ", "0.0", "1e0", "nan", "inf", "-0.5", "1.9",
    "0x1", "1_0", "01",
)  # fmt: skip
_NUMBERS = (0, 1, 2, -1, 10**30, 0.0, 1.0, 0.5, 1.7, -0.9, 1e300, True, False)
_NUMPY = (
    (0, "int64"), (1, "int64"), (1, "int32"), (0, "uint8"), (1.0, "float64"), (0.2, "float64"), (1.0, "float32"),
    (True, "bool"), (0, "int16"),
)  # fmt: skip
_IMAGES = (
    "EQMODE  =                    1 / mount",
    "EQMODE  =                    0",
    "EQMODE  = 'EQ      '",
    "EQMODE  =                    T",
    "EQMODE  = 1.5.2",
    "EQMODE  =",
    "CREATOR = 'ZWO Seestar S50'",
    "COMMENT EQMODE = 1",
)
_MAKERS = ("ZWO Seestar S50", "SeeStar S30", "Celestron", " s50-a ", "", "ASI585MC")


def random_groups(count: int, seed: int) -> list[list[Any]]:
    """Make groups of 0 to 20 entries, coded for a job.

    Most entries say nothing, so that later ones decide, and what they say is at every place in turn.
    """
    source = random.Random(seed)
    return [[_entry(source) for _ in range(source.choice((0, 1, 1, 2, 3, 5, 7, 9, 20)))] for _ in range(count)]


def random_groups_of_both_kinds(count: int, seed: int) -> dict[EntryKind, list[list[Any]]]:
    """Make groups of frames with headers of all sorts, as the filter window and as Phase 1 makes entries of them."""
    source = random.Random(seed)
    frames = [[_frame(source) for _ in range(source.choice((1, 1, 2, 3, 7, 12)))] for _ in range(count)]
    return {
        kind: [[entry_of(kind, frame, i) for i, frame in enumerate(group)] for group in frames] for kind in EntryKind
    }


def _frame(source: random.Random) -> dict[str, Any]:
    """Make a frame as a folder is read."""
    header = fits.Header()
    if source.random() < 0.5:
        text = source.choice((*_IMAGES[:6], "EQMODE  = '1       '", "EQMODE  =                    2", "EQMODE  =  1.0"))
        header = fits.Header.fromstring(text.ljust(80))
    if source.random() < 0.6:
        header["CREATOR"] = source.choice(_MAKERS)
    if source.random() < 0.4:
        header["INSTRUME"] = source.choice(_MAKERS)
    return {"path": "/x/light.fit", "path_raw": "/x/light.fit", "header": header}


def _entry(source: random.Random) -> Any:
    if source.random() < 0.04:
        return source.choice((None, "light.fit", 1, []))
    entry: dict[str, Any] = {"path_raw": "light.fit"}
    for key in ("MOUNT_MODE", "_eqmode_mode", "EQMODE"):
        if source.random() < 0.12:
            entry[key] = _value(source)
    for key in ("header", "header_subset", "phase0_header"):
        if source.random() < 0.15:
            entry[key] = _header(source)
    if source.random() < 0.05:
        entry["instrument"] = source.choice(_MAKERS)
    return entry


def _value(source: random.Random) -> Any:
    kind = source.random()
    if kind < 0.5:
        return source.choice(_TEXTS)
    if kind < 0.75:
        return source.choice(_NUMBERS)
    if kind < 0.9:
        return jobs.numpy_value(*source.choice(_NUMPY))
    return source.choice((None, [1], {}, float("nan"), float("inf")))


def _header(source: random.Random) -> Any:
    kind = source.random()
    if kind < 0.1:
        return source.choice((None, "EQMODE", [], {}, 1))
    if kind < 0.3:
        return jobs.header_value(source.sample(_IMAGES, 3))
    form = "dict" if kind < 0.65 else "fits.Header"
    cards: list[list[Any]] = [["INSTRUME", source.choice(_MAKERS), ""]] if source.random() < 0.4 else []
    if source.random() < 0.3:
        cards.append(["CREATOR", source.choice(_MAKERS), ""])
    if source.random() < 0.7:
        values = (*_TEXTS, 0, 1, 2, True, False, 0.0, 1.0, 0.5, None)
        cards.append(["EQMODE", source.choice(values), "mount"])
        if form == "dict" and source.random() < 0.3:
            cards[-1][1] = _value(source)
    return jobs.header_value(cards, form)
