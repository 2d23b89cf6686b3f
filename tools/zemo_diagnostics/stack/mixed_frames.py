"""What differs among frames that are stacked as they lie: worth saying, as such a stack neither aligns nor scales."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from ..frames.entries import Frame
from ..frames.headers import card
from ..frames.pointing import separations_deg
from ..frames.tiles import DEFAULT_PANEL_DEG
from ..wording import first_few, plural

# What is compared: what to say of it, its unit, and the cards that say it, of which the first that is there counts.
_SETTINGS = (
    ("exposures differ, and nothing is scaled", " s", ("EXPTIME", "EXPOSURE")),
    ("gains differ, and nothing is scaled", "", ("GAIN",)),
    ("filters differ", "", ("FILTER",)),
    ("binnings differ", "", ("XBINNING",)),
)
_VALUES_SHOWN = 4


def mixture_notes(frames: Sequence[Frame]) -> tuple[str, ...]:
    """Say in a sentence each what frames that are stacked together do not have in common.

    Parameters
    ----------
    frames : sequence of Frame
        One or more. What a frame's header does not say is no difference.
    """
    return (*_pointing_note(frames), *_setting_notes(frames))


def _pointing_note(frames: Sequence[Frame]) -> Iterator[str]:
    """Say how far apart the frames point, where that is more than one panel."""
    centers = np.array([frame.center_deg for frame in frames if frame.center_deg is not None], np.float64)
    if not len(centers):
        return
    farthest = float(separations_deg((centers[0, 0], centers[0, 1]), centers).max())
    if farthest > DEFAULT_PANEL_DEG:
        yield f"frames point up to {farthest:.2g} deg away from the first one, and nothing is aligned"


def _setting_notes(frames: Sequence[Frame]) -> Iterator[str]:
    """Say which settings differ, and how many frames have each."""
    for difference, unit, keys in _SETTINGS:
        values = Counter(value for value in (_setting(frame, keys) for frame in frames) if value)
        if len(values) > 1:
            told = [f"{value}{unit} in {plural(count, 'frame')}" for value, count in values.most_common()]
            yield f"{difference}: {first_few(told, _VALUES_SHOWN)}"


def _setting(frame: Frame, keys: Sequence[str]) -> str:
    """Write a frame's setting; empty where its header does not say it."""
    cards = frame.header.cards if frame.header is not None else {}
    value = next((value for value in (card(cards, key) for key in keys) if value is not None), "")
    return f"{value:g}" if isinstance(value, int | float) else str(value).strip()
