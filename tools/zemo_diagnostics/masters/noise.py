"""Noise that did not fall as more frames were stacked: held against a frame's, or against that of other masters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .data import TileMaster

# A master is judged by what has no more than this part of its frames: its noise should be half of that, or less.
_MOST_FRAMES = 1 / 4

# The noise did not fall where it is this part of the other, or more.
_NOT_FALLEN = 0.8

_EXPOSURE_TOLERANCE = 0.2


@dataclass(frozen=True)
class Yardstick:
    """What a master's noise is held against.

    Attributes
    ----------
    noise : float
        Of a light, or the median of a few masters, ADU.
    frames : int
        How many frames these are made of; 1 for a light.
    masters : int
        How many masters these are; 0 for lights.
    """

    noise: float
    frames: int
    masters: int


def noise_not_fallen(tile: TileMaster, tiles: Sequence[TileMaster]) -> Yardstick | None:
    """Say against what a master's noise did not fall; None where it did, or where nothing tells.

    Parameters
    ----------
    tile : TileMaster
        A master that was not compared with its reference frame.
    tiles : sequence of TileMaster
        All masters of the folder.
    """
    frames, yardstick = tile.cards.frames, _yardstick(tile, tiles)
    if tile.one_frame or not tile.noise or not frames or yardstick is None:
        return None
    return yardstick if tile.noise >= _NOT_FALLEN * yardstick.noise else None


def _yardstick(tile: TileMaster, tiles: Sequence[TileMaster]) -> Yardstick | None:
    """Find what to hold a master's noise against: the lights, or the masters of the fewest frames."""
    most = (tile.cards.frames or 0) * _MOST_FRAMES
    if tile.frame_noise:
        return Yardstick(tile.frame_noise, 1, 0) if most >= 1 else None
    alike = [other for other in tiles if other.noise and 0 < (other.cards.frames or 0) <= most and _alike(tile, other)]
    if not alike:
        return None
    fewest = min(other.cards.frames or 0 for other in alike)
    noises = [other.noise for other in alike if other.cards.frames == fewest and other.noise]
    return Yardstick(float(np.median(noises)), fewest, len(noises))


def _alike(tile: TileMaster, other: TileMaster) -> bool:
    """Tell whether two masters are of frames of the same size, colours and exposure."""
    one, two = tile.cards.exposure_s, other.cards.exposure_s
    if one is None or two is None or abs(one - two) > _EXPOSURE_TOLERANCE * max(one, two):
        return False
    return tile.measured_shape == other.measured_shape and len(tile.channels) == len(other.channels)
