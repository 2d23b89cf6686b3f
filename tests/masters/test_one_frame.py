"""One frame's light under another name, and true stacks that are not taken for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from zemo_diagnostics.masters.one_frame import one_frames_light, pixel_noise

Floats = NDArray[np.float32]

SHAPE = (200, 220)


def scene(shape: tuple[int, ...], stars: bool) -> Floats:
    random = np.random.default_rng(3)
    sky = np.full(shape, 900.0)
    for y, x in random.integers(8, 190, (60 if stars else 0, 2)):
        yy, xx = np.mgrid[: shape[0], : shape[1]]
        light = 8000 * random.random() * np.exp(-((yy - y) ** 2 + (xx - x) ** 2) / 5)
        sky += light if len(shape) == 2 else light[:, :, np.newaxis]
    return sky.astype(np.float32)


def frames(count: int, *, stars: bool = True, shape: tuple[int, ...] = (*SHAPE, 3), smooth: bool = True) -> Floats:
    """Make frames of one scene; all but the first are blurred a little, as resampling does."""
    random = np.random.default_rng(5)
    sky = scene(shape, stars)
    made = np.stack([sky + random.normal(0, 25, shape) for _ in range(count)])
    if smooth:
        made[1:] = (made[1:] + np.roll(made[1:], 1, axis=1) + np.roll(made[1:], 1, axis=2)) / 3
    return made.astype(np.float32)


@pytest.mark.parametrize("stars", [True, False], ids=["stars", "empty sky"])
@pytest.mark.parametrize("count", [2, 3, 5, 12])
def test_a_true_stack_is_none(count: int, stars: bool) -> None:
    made = frames(count, stars=stars)
    judged = one_frames_light(made.mean(axis=0), made[0], count)
    assert judged is not None
    assert judged.residual_ratio > 0.5
    assert not judged.is_one_frame


@pytest.mark.parametrize("shape", [SHAPE, (*SHAPE, 3)])
@pytest.mark.parametrize(("gain", "offset"), [(1 / 5, 0.0), (1.0, 0.0), (1 / 3, -200.0), (1.7, 50.0)])
def test_the_reference_under_another_name(gain: float, offset: float, shape: tuple[int, ...]) -> None:
    reference = frames(1, shape=shape)[0]
    judged = one_frames_light(reference * np.float32(gain) + np.float32(offset), reference, 5)
    assert judged is not None
    assert judged.is_one_frame
    assert judged.scale == pytest.approx(gain, rel=1e-4)
    assert judged.residual_ratio < 0.01
    assert judged.compared == SHAPE[0] * SHAPE[1]


def test_each_channel_has_its_own_scale() -> None:
    reference = frames(1)[0]
    judged = one_frames_light(reference * np.array([0.9, 1.0, 1.2], np.float32) - 30, reference, 3)
    assert judged is not None
    assert judged.is_one_frame
    assert judged.scale == pytest.approx(1.0)


def test_blank_pixels_corrected_hot_pixels_and_a_clipped_minimum_do_not_matter() -> None:
    reference = frames(1)[0]
    master = reference / 4
    master[:30] = np.nan
    master[-20:] = 0
    places = np.random.default_rng(1).random(SHAPE) < 0.01
    reference[places] = 60000
    judged = one_frames_light(master, reference, 4)
    assert judged is not None
    assert judged.is_one_frame
    assert judged.scale == pytest.approx(0.25, rel=1e-3)
    assert judged.compared == 150 * SHAPE[1]


def test_rounded_numbers_do_not_matter() -> None:
    reference = np.rint(frames(1)[0]).astype(np.uint16)
    judged = one_frames_light(np.rint(reference / 2.0).astype(np.float32), reference, 2)
    assert judged is not None
    assert judged.is_one_frame


def test_a_tile_that_the_others_reach_in_part_is_a_stack() -> None:
    made = frames(2)
    master = made[0].copy()
    master[:60] = made[:, :60].mean(axis=0)  # a third of it
    judged = one_frames_light(master, made[0], 2)
    assert judged is not None
    assert not judged.is_one_frame


def test_a_master_of_one_frame_may_hold_its_light() -> None:
    reference = frames(1)[0]
    judged = one_frames_light(reference, reference, 1)
    assert judged is not None
    assert judged.residual_ratio < 0.01
    assert not judged.is_one_frame


@pytest.mark.parametrize("what", ["nothing in common", "negative"])
def test_another_field_is_none(what: str) -> None:
    reference = frames(1)[0]
    master: Any = -reference if what == "negative" else np.random.default_rng(9).normal(50, 5, reference.shape)
    judged = one_frames_light(master.astype(np.float32), reference, 5)
    assert judged is not None
    assert not judged.is_one_frame


def test_what_cannot_be_judged() -> None:
    reference = frames(1)[0]
    assert one_frames_light(np.full_like(reference, np.nan), reference, 5) is None
    assert one_frames_light(reference, np.full_like(reference, 7), 5) is None
    with pytest.raises(ValueError, match="master is"):
        one_frames_light(reference[1:], reference, 5)


def test_noise_is_that_of_the_pixels_not_of_the_scene() -> None:
    random = np.random.default_rng(0)
    plane = np.linspace(0, 4000, 300 * 300).reshape(300, 300) + random.normal(0, 12, (300, 300))
    plane[100:110] = np.nan
    assert pixel_noise(plane.astype(np.float32)) == pytest.approx(12, rel=0.02)
    assert pixel_noise(plane[:2]) is None
