"""The frame within a padded master: found where it is, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from zemo_diagnostics.masters.data import Padding
from zemo_diagnostics.masters.padding import RowExtents, find_padding, padded_side

Mask = NDArray[np.bool_]

SEESTAR = (1920, 1080)
SHAPES = [SEESTAR, (1080, 1920), (3840, 2160), (320, 180), (181, 319), (400, 400)]


def canvas(frame: tuple[int, int]) -> tuple[Mask, Padding]:
    side = padded_side(frame)
    height, width = frame
    there = Padding(side=side, top=(side - height) // 2, left=(side - width) // 2, height=height, width=width)
    return np.zeros((side, side), bool), there


def within(frame: Padding, cut: int) -> tuple[slice, slice]:
    rows, columns = frame.window()
    return slice(rows.start + cut, rows.stop - cut), slice(columns.start + cut, columns.stop - cut)


def turned(frame: tuple[int, int], degrees: float, shift: tuple[int, int] = (0, 0)) -> Mask:
    """Give where a frame lies on its canvas that is turned and moved."""
    there = canvas(frame)[1]
    y, x = np.mgrid[: there.side, : there.side] - (there.side - 1) / 2
    y, x = y - shift[0], x - shift[1]
    angle = np.deg2rad(degrees)
    u, v = y * np.cos(angle) + x * np.sin(angle), x * np.cos(angle) - y * np.sin(angle)
    inside: Mask = (abs(u) <= frame[0] / 2) & (abs(v) <= frame[1] / 2)
    return inside


@pytest.mark.parametrize("frame", SHAPES)
def test_a_whole_frame_in_the_middle(frame: tuple[int, int]) -> None:
    mask, there = canvas(frame)
    mask[there.window()] = True
    assert find_padding(mask) == there
    assert find_padding(mask, frame) == there


def test_a_seestar_master_is_57_percent_padding() -> None:
    mask, there = canvas(SEESTAR)
    mask[there.window()] = True
    found = find_padding(mask)
    assert found is not None
    assert (found.side, found.top, found.left, round(found.fraction, 3)) == (2203, 141, 561, 0.573)


@pytest.mark.parametrize("frame", [SEESTAR, (320, 180), (2160, 3840)])
@pytest.mark.parametrize("cut", [1, 7, 30])
def test_the_margin_that_the_cleanup_cuts_is_no_padding(frame: tuple[int, int], cut: int) -> None:
    mask, there = canvas(frame)
    mask[within(there, cut)] = True
    mask[there.top + cut + 20] = False  # a hole is no end
    found = find_padding(mask)
    assert found is not None
    assert max(abs(found.height - frame[0]), abs(found.width - frame[1])) <= 2
    assert find_padding(mask, frame) == there


@pytest.mark.parametrize(
    "others",
    [
        lambda frame: turned(frame, 0, (30, -41)),
        lambda frame: turned(frame, 0, (-9, 4)) | turned(frame, 0, (12, 8)),
        lambda frame: turned(frame, 12),
        lambda frame: turned(frame, 5, (8, 8)) | turned(frame, 17),
    ],
    ids=["shifted", "dithered", "turned", "turning"],
)
def test_frames_that_reach_beyond_the_reference(others: Callable[[tuple[int, int]], Mask]) -> None:
    frame = (320, 180)
    mask, there = canvas(frame)
    mask[there.window()] = True
    found = find_padding(mask | others(frame))
    assert found is not None
    assert max(abs(found.height - 320), abs(found.width - 180)) <= 16


def test_dithers_so_wide_that_many_frames_would_fit() -> None:
    frame = (320, 180)
    mask = turned(frame, 0) | turned(frame, 0, (-90, 4)) | turned(frame, 0, (60, -4))
    assert find_padding(mask) is None
    assert find_padding(mask, frame) == canvas(frame)[1]


def test_what_is_no_padding() -> None:
    square = np.zeros((400, 400), bool)
    assert find_padding(square) is None
    whole = ~square
    assert find_padding(whole) is None
    margin = square.copy()
    margin[15:-15, 15:-15] = True  # what the cleanup leaves of a square camera's tile
    assert find_padding(margin) is None
    small = square.copy()
    small[190:210, 195:205] = True  # nearly everything was wiped
    assert find_padding(small) is None
    aside = square.copy()
    aside[5:205, 10:150] = True
    assert find_padding(aside) is None
    y, x = np.mgrid[:400, :400] - 199.5
    assert find_padding(np.hypot(y, x) < 200) is None  # a square field that turned
    oblong = np.zeros((400, 500), bool)
    oblong[100:300, 100:400] = True
    assert find_padding(oblong) is None


def test_a_frame_of_another_size_is_not_believed() -> None:
    mask, there = canvas((320, 180))
    mask[there.window()] = True
    assert find_padding(mask, (1920, 1080)) == there
    assert find_padding(np.zeros((368, 368), bool), (320, 180)) == there  # known, though nothing is left


def test_pieces_are_as_good_as_the_whole() -> None:
    mask = turned((320, 180), 12) | turned((320, 180), 0)
    extents = RowExtents(*mask.shape)
    for left in range(0, 368, 50):
        for top in range(0, 368, 33):
            extents.add(top, left, mask[top : top + 33, left : left + 50])
    assert find_padding(extents) == find_padding(mask)


@pytest.mark.parametrize("side", [1, 2, 3, 7, 31, 32, 33, 40])
def test_whatever_has_data_a_frame_lies_on_the_canvas(side: int) -> None:
    random = np.random.default_rng(side)
    for _ in range(50):
        mask = random.random((side, side)) < random.random()
        mask[: random.integers(side), :] = False
        found = find_padding(mask)
        if found is not None:
            assert side >= 32
            assert min(found.top, found.left) >= 0
            assert min(found.height, found.width) > 0
            assert max(found.top + found.height, found.left + found.width) <= side
