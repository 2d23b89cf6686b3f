"""The alt-az cleanup, rule by rule, on arrays small enough to be checked by hand."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

import zemosaic_worker as worker
from tests.sample_phase3 import Log
from zemosaic_worker import AltazCleanupSettings

DEFAULTS = AltazCleanupSettings()


def coverage(*rows: list[int]) -> npt.NDArray[np.int32]:
    return np.array(rows, dtype=np.int32)


def test_the_defaults_are_zemosaics() -> None:
    expected = AltazCleanupSettings(
        margin_percent=5.0,
        decay=0.15,
        nanize=True,
        alpha_soft_threshold=0.001,
        nanize_threshold=0.001,
        min_coverage_abs=3.0,
        min_coverage_frac=0.5,
        morph_open_px=3,
    )
    assert expected == DEFAULTS


@pytest.mark.parametrize(
    ("max_cov", "used", "settings", "threshold"),
    [
        (20, 20, DEFAULTS, 10.0),  # half of the best
        (5, 5, DEFAULTS, 3.0),  # the absolute minimum, which is no full intersection here
        (4, 4, DEFAULTS, 3.0),
        (3, 3, DEFAULTS, 2.0),  # 3 of 3 would be one: ceil(1.5)
        (2, 2, DEFAULTS, 1.0),  # ceil(1.0)
        (1, 1, DEFAULTS, 0.5),  # at most max_cov - 1 = 0, then half of the best
        (3, 40, DEFAULTS, 2.0),  # many frames that hardly overlap
        (20, 20, AltazCleanupSettings(min_coverage_abs=15), 15.0),
        (20, 20, AltazCleanupSettings(min_coverage_abs=99), 20.0),  # capped, and over 6: not relaxed
        (6, 6, AltazCleanupSettings(min_coverage_abs=99), 3.0),  # capped to 6, relaxed to ceil(3)
        (6, 6, AltazCleanupSettings(min_coverage_abs=6, min_coverage_frac=0.95), 5.7),  # min_abs relaxed to 5
        (10, 4, AltazCleanupSettings(min_coverage_abs=8, min_coverage_frac=0.1), 4.0),  # capped to the frames used
        (0, 0, DEFAULTS, 0.0),
    ],
)
def test_the_threshold(max_cov: int, used: int, settings: AltazCleanupSettings, threshold: float) -> None:
    assert worker.coverage_threshold(max_cov, used, settings) == pytest.approx(threshold)


def test_pixels_from_the_threshold_on_are_kept() -> None:
    mask = worker.mask_from_coverage(coverage([8, 7, 4], [3, 4, 0]), 8, AltazCleanupSettings(morph_open_px=1))
    assert mask.kept.tolist() == [[True, True, True], [False, True, False]]
    assert (mask.threshold, mask.rule, mask.open_px) == (4.0, "settings", 1)


def test_where_nothing_reaches_the_threshold_a_quarter_of_the_best_counts() -> None:
    settings = AltazCleanupSettings(min_coverage_frac=1.5, morph_open_px=1)
    mask = worker.mask_from_coverage(coverage([8, 2, 1]), 8, settings)
    assert (mask.rule, mask.threshold, mask.kept.tolist()) == ("quarter", 2.0, [[True, True, False]])
    mask = worker.mask_from_coverage(coverage([0, 0]), 3, settings)
    assert (mask.rule, mask.kept.any()) == ("any", np.False_)


def test_opening_removes_what_is_thinner_than_its_square() -> None:
    cover = np.zeros((9, 9), dtype=np.int32)
    cover[1:6, 1:6] = 8
    cover[7, :] = 8  # a line
    mask = worker.mask_from_coverage(cover, 8, DEFAULTS)
    assert mask.kept[1:6, 1:6].all()
    assert (mask.kept.sum(), mask.open_px) == (25, 3)


def test_the_opening_is_of_one_pixel_where_three_frames_are_the_most() -> None:
    cover = np.zeros((9, 9), dtype=np.int32)
    cover[7, :] = 3
    mask = worker.mask_from_coverage(cover, 3, DEFAULTS)
    assert (mask.kept.sum(), mask.open_px) == (9, 1)


def test_the_opening_is_skipped_where_it_would_leave_nothing() -> None:
    cover = np.zeros((9, 9), dtype=np.int32)
    cover[7, :] = 8
    mask = worker.mask_from_coverage(cover, 8, DEFAULTS)
    assert (mask.kept.sum(), mask.open_px) == (9, 0)


def test_the_soft_edge_falls_from_the_margin_to_the_edge() -> None:
    kept = np.ones((100, 200), dtype=bool)
    kept[:, :50] = False
    alpha = worker.soft_edge_alpha(kept, DEFAULTS)  # margin 5 px
    assert alpha.dtype == np.float32
    assert (alpha[:, :50] == 0).all()
    assert (alpha[:, 54:] == 1).all()  # column 54 is 5 px from column 49
    expected = [(d / 5.0) ** (1 / 0.15) for d in (1, 2, 3, 4)]
    np.testing.assert_allclose(alpha[10, 50:54], expected, rtol=1e-5)


def test_the_distance_is_euclidean_and_the_margin_at_least_a_pixel() -> None:
    kept = np.ones((40, 40), dtype=bool)
    kept[20, 20] = False
    alpha = worker.soft_edge_alpha(kept, AltazCleanupSettings(margin_percent=10.0, decay=1.0))
    assert alpha[22, 22] == pytest.approx(math.sqrt(8) / 4)
    assert alpha[20, 21] == pytest.approx(1 / 4)
    sharp = worker.soft_edge_alpha(kept, AltazCleanupSettings(margin_percent=0.0))
    assert sharp[20, 21] == 1
    assert sharp.sum() == 40 * 40 - 1


def test_a_tile_kept_whole_has_no_edge() -> None:
    assert (worker.soft_edge_alpha(np.ones((5, 4), dtype=bool), DEFAULTS) == 1).all()


@pytest.mark.parametrize("nanize", [True, False])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_poor_pixels_are_blanked_and_the_others_left_as_they_are(nanize: bool, channels: tuple[int, ...]) -> None:
    image = np.random.default_rng(1).normal(500, 10, (100, 100, *channels)).astype(np.float32)
    before = image.copy()
    cover = np.full((100, 100), 8, dtype=np.int32)
    cover[:, :50] = 1
    cleanup = worker.clean_altaz_tile(image, cover, 8, AltazCleanupSettings(nanize=nanize))
    assert cleanup.applied
    assert cleanup.blanked[:, :51].all()  # column 50: alpha (1/5)^6.67 = 2e-5
    assert not cleanup.blanked[:, 51:].any()  # column 51: (2/5)^6.67 = 0.0022
    np.testing.assert_array_equal(cleanup.image[:, 51:], before[:, 51:])  # not multiplied by alpha
    gone = cleanup.image[:, :51]
    assert np.isnan(gone).all() if nanize else (gone == 0).all()
    np.testing.assert_array_equal(image, before)


def test_with_the_default_decay_all_within_a_third_of_the_margin_goes() -> None:
    kept = np.ones((1000, 1000), dtype=bool)
    kept[:, 0] = False
    alpha = worker.soft_edge_alpha(kept, DEFAULTS)  # margin 50 px, 0.355 of it: 17.7 px
    assert alpha[0, 17] <= 0.001 < alpha[0, 18]


def test_a_mask_that_keeps_under_ten_percent_is_dropped() -> None:
    image = np.ones((20, 50), dtype=np.float32)
    cover = np.ones((20, 50), dtype=np.int32)
    cover[:, :5] = 8  # 10 %: kept
    assert worker.clean_altaz_tile(image, cover, 8, DEFAULTS).applied
    cover[0, 4] = 1  # a pixel less, and the opening takes no more of it than that row of the corner
    dropped = worker.clean_altaz_tile(image, cover, 8, AltazCleanupSettings(morph_open_px=1))
    assert not dropped.applied
    assert dropped.nonzero_frac == pytest.approx(0.099)
    assert dropped.image is image
    assert not dropped.blanked.any()


def test_the_guard_does_not_see_narrow_areas_that_are_blanked_whole() -> None:
    """What made masters black: the guard counts alpha over 0, pixels die up to 0.001."""
    cover = np.ones((200, 200), dtype=np.int32)
    cover[:, 10::20] = cover[:, 11::20] = cover[:, 12::20] = cover[:, 13::20] = cover[:, 14::20] = 9
    image = np.ones((200, 200, 3), dtype=np.float32)
    cleanup = worker.clean_altaz_tile(image, cover, 9, DEFAULTS)  # strips of 5 px, margin 10 px, 3.55 px die
    assert cleanup.applied
    assert cleanup.nonzero_frac == pytest.approx(0.25)
    assert cleanup.blanked.all()
    assert worker.measure_master_signal(cleanup.image).is_empty


def test_the_log_lines() -> None:
    log = Log()
    cover = np.full((100, 100), 8, dtype=np.int32)
    cover[:, :50] = 1
    cleanup = worker.clean_altaz_tile(np.ones((100, 100), dtype=np.float32), cover, 8, DEFAULTS)
    worker.log_altaz_cleanup(cleanup, DEFAULTS, log)
    assert [message for _, message in log.lines] == [
        "ALPHA_STATS: level=master_tile nonzero_frac=0.5000 min=0.0000 max=1.0000 shape=(100, 100)",
        "MT_PIPELINE: altaz_cleanup applied: masked_used=True mask2d_used=True mask2d_applied=True threshold=0.001",
    ]


def test_a_dropped_mask_is_a_warning() -> None:
    log = Log()
    cover = np.ones((50, 50), dtype=np.int32)
    cover[:5, :5] = 8
    cleanup = worker.clean_altaz_tile(np.ones((50, 50), dtype=np.float32), cover, 8, DEFAULTS)
    worker.log_altaz_cleanup(cleanup, DEFAULTS, log)
    assert log.levels_of(r"MT_PIPELINE: altaz_cleanup mask dropped: alpha > 0 in 1\.0 % of the pixels") == {"WARN"}
    assert log.matching("MT_PIPELINE: altaz_cleanup applied: .* mask2d_applied=False threshold=0.001")


def test_a_decay_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"altaz_decay must be over 0, got 0\.0"):
        AltazCleanupSettings(decay=0.0)


@pytest.mark.parametrize(
    ("values", "empty"),
    [
        ([0.0, 0.0], True),
        ([1e-8, -1e-8], True),
        ([5e-8, 5e-8], True),  # flat, and under 1e-7
        ([5e-8, -5e-8], False),
        ([2e-7, 2e-7], False),
        ([math.nan, math.nan], True),
        ([math.nan, 3.0], False),
    ],
)
def test_when_a_master_is_empty(values: list[float], empty: bool) -> None:
    signal = worker.measure_master_signal(np.array([values], dtype=np.float32))
    assert signal.is_empty is empty


def test_a_pixel_is_valid_with_all_its_channels() -> None:
    image = np.ones((2, 2, 3), dtype=np.float32)
    image[0, 0, 1] = np.nan
    signal = worker.measure_master_signal(image)
    assert (signal.valid_frac, signal.max_abs, signal.std) == (0.75, 1.0, 0.0)
