"""Alignment by the stars, and the wrapper around the stack."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import zemosaic_align_stack as align_stack
from tests.conftest import ROOT
from tests.sample_phase3 import CAMERA, Log, shifted_frames, sky_frame
from zemo_diagnostics.demo.simulator import Pose, footprint


def test_frames_come_to_lie_on_the_reference() -> None:
    frames = shifted_frames(3)
    aligned, failed = align_stack.align_images_in_group(frames, 1)
    assert failed == []
    for image in aligned:
        assert image is not None
        assert (image.shape, image.dtype) == (frames[1].shape, np.dtype(np.float32))
    middle = (slice(20, -20), slice(20, -20))
    noise = np.std(sky_frame(1, Pose(1.5, -1.5, 0.1))[middle] - sky_frame(99, Pose(1.5, -1.5, 0.1))[middle])
    assert aligned[0] is not None
    apart = np.std(aligned[0][middle] - frames[1][middle])
    unaligned = np.std(frames[0][middle] - frames[1][middle])
    assert apart < 1.3 * noise < unaligned


def test_the_reference_keeps_its_bits() -> None:
    frames = shifted_frames(2)
    aligned, _ = align_stack.align_images_in_group(frames, 0)
    np.testing.assert_array_equal(aligned[0], frames[0])
    assert aligned[0] is not frames[0]


def test_a_frame_is_found_to_a_tenth_of_a_pixel_however_it_is_turned() -> None:
    aligner = align_stack.FrameAligner(sky_frame(0))
    for angle in (5.0, 90.0, 178.0):
        placement = aligner.find_placement(sky_frame(1, Pose(0.0, 0.0, angle)))
        assert placement is not None
        turned = np.degrees(np.arctan2(placement[1, 0], placement[0, 0]))
        assert abs(abs(turned) - angle) < 0.2
        center = np.array([(CAMERA.shape[1] - 1) / 2, (CAMERA.shape[0] - 1) / 2, 1.0])
        np.testing.assert_allclose(placement @ center, center[:2], atol=0.25)


def test_the_same_frames_are_aligned_to_the_same_bits() -> None:
    """astroalign's search starts at random; tiles must be comparable bit by bit."""
    frames = shifted_frames(2)
    first, _ = align_stack.align_images_in_group(frames, 0)
    for _ in range(8):
        again, _ = align_stack.align_images_in_group(frames, 0)
        np.testing.assert_array_equal(again[1], first[1])


def test_wherever_the_search_ended_the_fit_ends_at_the_same_bits() -> None:
    """A quarter of the frames in common, and as many false stars as true ones."""
    rng = np.random.default_rng(8)
    shape, true = (320, 180), np.array([[1.0, 0.002, -85.0], [-0.002, 1.0, -150.0]])
    sky = rng.uniform((0, 0), (270, 480), (170, 2))
    seen = sky[(sky[:, 0] < 180) & (sky[:, 1] < 320)]
    stars = np.vstack([seen, rng.uniform((0, 0), (180, 320), (20, 2))])
    moved = seen @ true[:, :2].T + true[:, 2] + rng.normal(0, 0.15, seen.shape)
    inside = (moved >= 0).all(axis=1)
    reference = np.vstack([moved[inside], rng.uniform((0, 0), (180, 320), (60, 2))])
    found = []
    for _ in range(40):
        start = true + rng.normal(0, 1.0, (2, 3)) * [[0.002, 0.002, 0.4]]
        found.append(align_stack._refitted(start, stars, reference, shape, shape))
    assert found[0] is not None
    corner = np.array([180.0, 320.0, 1.0])
    np.testing.assert_allclose(found[0] @ corner, true @ corner, atol=0.3)
    assert all(placement is not None and np.array_equal(placement, found[0]) for placement in found)


def test_outside_the_footprint_is_nan_only_where_the_mask_is_propagated() -> None:
    pose = Pose(12.0, -9.0, 4.0)
    frames = [sky_frame(0), sky_frame(1, pose)]
    masked, _ = align_stack.align_images_in_group(frames, 0, propagate_mask=True)
    plain, _ = align_stack.align_images_in_group(frames, 0)
    assert masked[1] is not None
    assert plain[1] is not None
    outside = np.isnan(masked[1]).all(axis=2)
    expected = ~footprint(CAMERA.shape, pose, Pose())
    assert np.count_nonzero(outside != expected) < 0.01 * outside.size
    assert np.isfinite(plain[1]).all()
    assert set(plain[1][outside][:, 0]) == {np.float32(np.median(frames[1][..., 0]))}
    np.testing.assert_array_equal(plain[1][~outside], masked[1][~outside])


def test_missing_samples_stay_missing_and_spread_no_further() -> None:
    frames = [sky_frame(0), sky_frame(1, Pose(2.5, 1.5))]
    frames[1][40:44, 50:54] = np.nan
    aligned, failed = align_stack.align_images_in_group(frames, 0)
    assert failed == []
    assert aligned[1] is not None
    missing = np.isnan(aligned[1]).all(axis=2)
    assert 9 <= missing.sum() <= 30


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((160, 120, 3), np.float32),
        np.full((160, 120, 3), 7, np.float32),
        np.full((160, 120, 3), np.nan, np.float32),
        np.random.default_rng(3).normal(100, 5, (160, 120, 3)).astype(np.float32),
        np.zeros((160, 120), np.float32),
        None,
    ],
    ids=["zero", "constant", "nan", "noise", "mono", "none"],
)
def test_a_frame_without_stars_in_common_fails_and_is_named(bad: Any) -> None:
    log = Log()
    frames = [sky_frame(0), bad, sky_frame(1, Pose(1.0, 1.0))]
    aligned, failed = align_stack.align_images_in_group(frames, 0, progress_callback=log)
    assert failed == [1]
    assert aligned[1] is None
    assert aligned[2] is not None
    assert log.matching("align_failed: frame 1 cannot be placed")


def test_another_field_is_not_taken_for_this_one() -> None:
    other = sky_frame(2)[::-1].copy()  # mirrored: no shift and turn brings it here
    _, failed = align_stack.align_images_in_group([sky_frame(0), other], 0)
    assert failed == [1]


def test_cosmic_rays_and_hot_pixels_are_no_stars() -> None:
    frame = np.random.default_rng(5).normal(100, 3, (120, 120)).astype(np.float32)
    frame[::15, ::15] += 4000
    assert len(align_stack.find_stars(frame)) == 0


def test_numbers_that_no_light_has_do_not_crash_the_process() -> None:
    """Damaged bytes read as floats: sep ends the whole process on such, so that this runs in one of its own."""
    code = (
        "import numpy as np, zemosaic_align_stack\n"
        "frame = np.random.default_rng(1).normal(800, 60, (320, 180)).astype(np.float32)\n"
        "frame[22, 163], frame[35, 176], frame[177, 174] = 2.75e35, -3.9e23, 5.9e36\n"
        "print(len(zemosaic_align_stack.find_stars(frame)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", cwd=ROOT, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "0"), done.stderr


def test_infinities_are_no_stars_and_no_warning() -> None:
    frame = sky_frame(0)
    frame[50, 60] = (np.inf, -np.inf, 1.0)
    assert len(align_stack.find_stars(frame)) == pytest.approx(len(align_stack.find_stars(sky_frame(0))), abs=3)


def test_frames_of_one_plane_are_aligned_too() -> None:
    frames = [frame[..., 1] for frame in shifted_frames(2)]
    aligned, failed = align_stack.align_images_in_group(frames, 0)
    assert failed == []
    assert aligned[1] is not None
    assert aligned[1].shape == frames[0].shape


@pytest.mark.parametrize("index", [-1, 2])
def test_a_reference_that_is_not_there_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match=rf"reference_image_index {index} is not in 0\.\.1"):
        align_stack.align_images_in_group([sky_frame(0), sky_frame(1)], index)


def test_without_the_extra_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "astroalign" else find_spec(name))
    with pytest.raises(
        align_stack.MissingExtraError, match="needs astroalign and scipy: python -m pip install astroalign scipy"
    ):
        align_stack.align_images_in_group([sky_frame(0)], 0)


# ------------------------------------------------------------------------------------------------- the wrapper


def test_the_wrapper_is_the_kernel() -> None:
    frames = np.random.default_rng(1).normal(100, 5, (12, 9, 8, 3)).astype(np.float32)
    told: dict[str, Any] = {}
    stacked, rejected = align_stack.stack_kappa_sigma_clip(frames, stack_metadata=told, sigma_low=2.0, sigma_high=2.5)
    expected, expected_pct = align_stack.cpu_stack_kappa(frames, sigma_low=2.0, sigma_high=2.5)
    np.testing.assert_array_equal(stacked, expected)
    assert rejected == expected_pct
    assert told == {"weight_method": "none", "rejected_pct": expected_pct}


@pytest.mark.parametrize(("shape", "weights_shape"), [((40, 50), (3, 1)), ((40, 50, 3), (3, 1, 1, 3))])
def test_noise_weights_are_one_over_the_variance(shape: tuple[int, ...], weights_shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(2)
    frames = [rng.normal(1000, sigma, shape).astype(np.float32) for sigma in (5.0, 10.0, 20.0)]
    for frame in frames:
        frame[3, 4] = 60000.0  # a star is no noise
        frame[5:9] = np.nan
        frame[10:30] = 0.0  # where a frame does not reach
    weights = align_stack.noise_variance_weights(frames)
    assert (weights.shape, weights.dtype) == (weights_shape, np.dtype(np.float32))
    per_frame = weights.reshape(3, -1).mean(axis=1)
    np.testing.assert_allclose(per_frame / per_frame[0], [1, 1 / 4, 1 / 16], rtol=0.25)
    np.testing.assert_allclose(weights.mean(axis=0), 1.0, rtol=1e-6)
    stacked, _ = align_stack.stack_kappa_sigma_clip(frames, "noise_variance")
    expected, _ = align_stack.cpu_stack_kappa(frames, weights=weights)
    np.testing.assert_array_equal(stacked, expected)


def test_a_dead_frame_weighs_nothing_and_dead_frames_alone_weigh_alike() -> None:
    noisy = np.random.default_rng(4).normal(100, 5, (30, 30)).astype(np.float32)
    dead = np.full((30, 30), 9.0, np.float32)
    weights = align_stack.noise_variance_weights([noisy, dead, np.zeros((30, 30), np.float32)])
    assert weights.ravel().tolist() == [3.0, 0.0, 0.0]
    assert align_stack.noise_variance_weights([dead, dead]).ravel().tolist() == [1.0, 1.0]


class Lazy:
    """Rows of an array, as a frame on disk gives them; remembers how many were asked for at a time, and in all."""

    def __init__(self, pixels: npt.NDArray[Any]) -> None:
        self.pixels, self.shape, self.dtype = pixels, pixels.shape, pixels.dtype
        self.most = self.rows = 0

    def __getitem__(self, rows: slice) -> npt.NDArray[Any]:
        count = rows.stop - rows.start
        self.most, self.rows = max(self.most, count), self.rows + count
        return self.pixels[rows]


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "u2"])
@pytest.mark.parametrize("shape", [(40, 50), (1, 7, 3), (1500, 1000), (1201, 1999, 3), (3, 1_000_003)])
def test_noise_weights_of_lazy_frames_are_those_of_the_whole_frames(shape: tuple[int, ...], dtype: str) -> None:
    rng = np.random.default_rng(6)
    frames = [rng.normal(1000, sigma, shape).astype(dtype) for sigma in (5.0, 10.0)]
    lazy = [Lazy(frame) for frame in frames]
    parts: list[float] = []
    weights = align_stack.noise_variance_weights(lazy, lambda _message, percent, _level: parts.append(percent))
    step = max(1, shape[0] * shape[1] // 2**20)
    every = [frame.reshape(shape[0] * shape[1], -1)[::step].astype(np.float64) for frame in frames]
    inverse = np.array([[1 / align_stack._clipped_variance(channel) for channel in frame.T] for frame in every])
    np.testing.assert_array_equal(weights.reshape(2, -1), (inverse / inverse.mean(axis=0)).astype(np.float32))
    np.testing.assert_array_equal(align_stack.noise_variance_weights(frames), weights)
    assert {frame.rows for frame in lazy} == {shape[0]}
    assert max(frame.most for frame in lazy) <= max(1, 2**18 // shape[1])
    assert parts == [50.0, 100.0]


def test_a_frame_that_cannot_be_read_for_its_noise_is_named() -> None:
    class Broken(Lazy):
        def __getitem__(self, rows: slice) -> npt.NDArray[Any]:
            raise OSError(5, "Input/output error")

    good = np.ones((4, 5), np.float32)
    with pytest.raises(align_stack.FrameReadError, match="frame 1: Input/output error"):
        align_stack.noise_variance_weights([Lazy(good), Broken(good)])


def test_a_weight_method_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="'noise_fwhm' is not known here; known: none, noise_variance"):
        align_stack.stack_kappa_sigma_clip([np.zeros((2, 2), np.float32)], "noise_fwhm")
