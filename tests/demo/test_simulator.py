from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from astropy.time import Time
from astropy.utils import iers

from zemo_diagnostics.demo import simulator
from zemo_diagnostics.demo.simulator import GRBG, Camera, Mount, Pose, Shot, Sky
from zemo_diagnostics.zemosaic.mount_mode import Mode

EMPTY_SKY = Sky(
    ra_deg=274.7, dec_deg=-13.79, radius_deg=0.1, stars_per_deg2=0.0, trails_per_frame=0.0, gradient=(0.0, 0.0)
)
PLAIN_CAMERA = Camera(shape=(200, 120), hot_pixel_fraction=0.0, cosmic_rays_per_megapixel=0.0)
STARRY_SKY = Sky(ra_deg=274.7, dec_deg=-13.79, radius_deg=0.15)
SHOT = Shot(ra_deg=274.7, dec_deg=-13.79, exposure_s=10.0, key=(1, 0))
LATITUDE_DEG = 45.6789
ONE_CELL = ((0, 0), (0, 0))


def one_star(x: float, y: float, light_e: float) -> simulator.Stars:
    return np.array([x]), np.array([y]), np.full((1, 3), light_e)


@pytest.mark.parametrize(("x", "y"), [(30.0, 30.0), (30.5, 29.75), (30.21875, 30.5)])
@pytest.mark.parametrize("light_e", [2000.0, 1e6])
def test_a_star_keeps_its_light_wherever_it_falls(x: float, y: float, light_e: float) -> None:
    image = simulator.star_light(one_star(x, y, light_e), (61, 61), ONE_CELL, 2.7)
    assert image.sum() == pytest.approx(light_e, rel=0.02 if light_e < 4000 else 0.004)
    rows, columns = np.indices(image.shape)
    assert (image * columns).sum() / image.sum() == pytest.approx(x, abs=0.03)
    assert (image * rows).sum() / image.sum() == pytest.approx(y, abs=0.03)


def test_a_star_has_half_its_peak_at_half_its_width() -> None:
    image = simulator.star_light(one_star(30.0, 30.0, 1e6), (61, 61), ONE_CELL, 8.0)
    assert image[30, 34] / image[30, 30] == pytest.approx(0.5, abs=1e-4)


def test_light_of_stars_over_the_edge_stays_on_the_sensor() -> None:
    stars = np.array([-3.0, 59.5, 500.0]), np.array([10.0, 41.0, 10.0]), np.full((3, 3), 1000.0)
    image = simulator.star_light(stars, (40, 60), ONE_CELL, 2.7)
    assert image[:, :2].sum() > 0
    assert image[39, 55:].sum() > 0
    assert image[:30, 10:50].sum() == 0


def test_the_filter_mosaic_is_grbg() -> None:
    frame = simulator.mosaic_frame(EMPTY_SKY, PLAIN_CAMERA, SHOT)
    red, green, blue = (rate * 10 / 0.25 + 100 for rate in EMPTY_SKY.background_e_per_s)
    phases = [[float(frame[y::2, x::2].mean()) for x in (0, 1)] for y in (0, 1)]
    np.testing.assert_allclose(phases, [[green, red], [blue, green]], rtol=0.01)
    assert GRBG == ((1, 0), (2, 1))


def test_noise_has_the_variance_of_light_and_reading() -> None:
    camera = replace(PLAIN_CAMERA, shape=(600, 600))
    frame = simulator.colour_frame(EMPTY_SKY, camera, SHOT)
    light_e = np.array(EMPTY_SKY.background_e_per_s) * 10
    np.testing.assert_allclose(frame.mean(axis=(0, 1)), light_e / 0.25 + 100, rtol=1e-3)
    np.testing.assert_allclose(frame.std(axis=(0, 1)), np.sqrt(light_e + 16) / 0.25, rtol=5e-3)
    deviates = (frame[..., 1] - frame[..., 1].mean()) / frame[..., 1].std()
    assert float(np.mean(np.abs(deviates) > 2)) == pytest.approx(0.0455, abs=0.003)
    assert abs(float(np.mean(deviates**3))) < 0.02


def test_neighbouring_pixels_and_frames_have_independent_noise() -> None:
    first = simulator.colour_frame(EMPTY_SKY, PLAIN_CAMERA, SHOT)[..., 0].ravel()
    second = simulator.colour_frame(EMPTY_SKY, PLAIN_CAMERA, replace(SHOT, key=(1, 1)))[..., 0].ravel()
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.03


def test_the_background_slopes() -> None:
    sky = replace(EMPTY_SKY, gradient=(0.0, -0.4))
    frame = simulator.mosaic_frame(sky, PLAIN_CAMERA, SHOT).astype(float) - 100
    assert frame[-20:].mean() / frame[:20].mean() == pytest.approx(0.82 / 1.18, rel=0.02)


def test_hot_pixels_belong_to_the_camera() -> None:
    camera = replace(PLAIN_CAMERA, hot_pixel_fraction=0.002)
    rows, columns, rate = simulator.hot_pixels(camera)
    assert len(rows) == 48
    hottest = int(rate.argmax())
    for index in range(3):
        frame = simulator.mosaic_frame(EMPTY_SKY, camera, replace(SHOT, key=(1, index)))
        assert frame[rows[hottest], columns[hottest]] > 20000
    other_rows, _, _ = simulator.hot_pixels(replace(camera, hot_pixel_seed=51))
    assert not np.array_equal(rows, other_rows)


def test_cosmic_rays_hit_each_frame_elsewhere() -> None:
    camera = replace(PLAIN_CAMERA, cosmic_rays_per_megapixel=500.0)
    frames = [simulator.mosaic_frame(EMPTY_SKY, camera, replace(SHOT, key=(1, k))) for k in range(2)]
    hits = [{(int(y), int(x)) for y, x in np.argwhere(frame > 3500)} for frame in frames]
    assert 8 <= len(hits[0]) <= 24
    assert not hits[0] & hits[1]


def test_a_trail_is_a_straight_line_from_edge_to_edge() -> None:
    sky = replace(EMPTY_SKY, trails_per_frame=1.0, trail_peak_e=4000.0)
    frame = simulator.colour_frame(sky, PLAIN_CAMERA, SHOT)[..., 1].astype(float)
    frame = frame if np.ptp(frame.argmax(axis=1)) < np.ptp(frame.argmax(axis=0)) else frame.T
    ridge = frame.argmax(axis=1)
    steps = np.arange(len(ridge))
    straight = np.polyval(np.polyfit(steps, ridge, 1), steps)
    assert np.abs(ridge - straight).max() < 2.5
    assert frame.max(axis=1).min() > 3000


@pytest.mark.parametrize("hour", range(0, 24, 3))
def test_hour_angle_agrees_with_astropy(hour: int) -> None:
    utc = datetime(2025, 7, 12, hour, 13, tzinfo=timezone.utc)
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("iers_degraded_accuracy", "ignore"):
        sidereal = Time(utc.replace(tzinfo=None), scale="ut1").sidereal_time("mean", longitude=-34.5678).deg
    expected = (sidereal - 274.7 + 180) % 360 - 180
    assert simulator.hour_angle_deg(utc, -34.5678, 274.7) == pytest.approx(expected, abs=0.01)


def altitude_azimuth_rad(hour_angle_deg: float, dec_deg: float) -> tuple[float, float]:
    lat, hour, dec = (math.radians(angle) for angle in (LATITUDE_DEG, hour_angle_deg, dec_deg))
    north = math.sin(dec) * math.cos(lat) - math.cos(dec) * math.cos(hour) * math.sin(lat)
    east = -math.cos(dec) * math.sin(hour)
    up = math.sin(dec) * math.sin(lat) + math.cos(dec) * math.cos(hour) * math.cos(lat)
    return math.asin(up), math.atan2(east, north)


@pytest.mark.parametrize("dec_deg", [-13.79, 20.0, 44.3, 68.2])
@pytest.mark.parametrize("hour_angle_deg", [-60.0, -19.0, 2.0, 45.0])
def test_the_field_turns_at_the_parallactic_rate(dec_deg: float, hour_angle_deg: float) -> None:
    altitude, azimuth = altitude_azimuth_rad(hour_angle_deg, dec_deg)
    rate = -math.cos(math.radians(LATITUDE_DEG)) * math.cos(azimuth) / math.cos(altitude)
    before, after = (
        simulator.parallactic_angle_deg(LATITUDE_DEG, hour_angle_deg + step, dec_deg) for step in (-5e-4, 5e-4)
    )
    assert (after - before) / 1e-3 == pytest.approx(rate, rel=1e-4)


def test_stars_turn_in_alt_az_frames_as_the_rate_predicts_and_not_in_equatorial_ones() -> None:
    start = datetime(2025, 7, 12, 1, 0, tzinfo=timezone.utc)
    hour_angle = simulator.hour_angle_deg(start + timedelta(minutes=5), -34.5678, SHOT.ra_deg)
    altitude, azimuth = altitude_azimuth_rad(hour_angle, SHOT.dec_deg)
    predicted = -15.041 / 6 * math.cos(math.radians(LATITUDE_DEG)) * math.cos(azimuth) / math.cos(altitude)
    for mode, expected in (("ALT_AZ", predicted), ("EQ", 0.0)):
        mount = Mount(mode=Mode(mode), latitude_deg=LATITUDE_DEG, longitude_deg=-34.5678)
        places = []
        for index in range(2):
            utc = start + timedelta(minutes=10 * index)
            pose = simulator.pose_at(mount, SHOT.ra_deg, SHOT.dec_deg, utc, 600.0 * index, (1, index))
            x, y, _ = simulator.star_pixels(STARRY_SKY, PLAIN_CAMERA, replace(SHOT, pose=pose))
            places.append((x - x.mean()) + 1j * (y - y.mean()))
        turn = np.degrees(np.angle(np.vdot(places[0], places[1])))
        assert turn == pytest.approx(expected, abs=0.02), mode


def test_an_equatorial_mount_drifts_dithers_and_is_recentred() -> None:
    mount = Mount(
        mode=Mode.EQ,
        latitude_deg=LATITUDE_DEG,
        longitude_deg=-34.5678,
        drift_px_per_min=(1.0, 0.0),
        dither_px=0.5,
        dither_every=3,
    )
    start = datetime(2025, 7, 12, tzinfo=timezone.utc)
    poses = [simulator.pose_at(mount, 0.0, 0.0, start, 60.0 * k, (1, k)) for k in range(120)]
    assert max(abs(pose.dx_px) for pose in poses) < 60.5
    assert len({pose.dy_px for pose in poses}) == 40
    assert max(abs(pose.dx_px - k % 60) for k, pose in enumerate(poses)) <= 0.5


def test_east_is_left_of_north_with_row_0_on_top_turned_as_a_seestar_reads_it() -> None:
    sky = replace(STARRY_SKY, stars_per_deg2=500.0)
    ra, dec, _ = simulator.star_field(sky)
    camera = Camera()
    x, y, _ = simulator.star_pixels(sky, camera, SHOT)
    assert len(x) == len(ra)
    assert np.corrcoef(x, ra)[0, 1] < -0.99
    assert np.corrcoef(y, dec)[0, 1] < -0.99
    scale = np.ptp(y) * camera.arcsec_per_px / 3600 / np.ptp(dec)
    assert scale == pytest.approx(1.0, abs=1e-3)


def test_a_frame_is_the_same_whatever_else_is_made() -> None:
    alone = simulator.mosaic_frame(STARRY_SKY, PLAIN_CAMERA, replace(SHOT, key=(1, 5)))
    several = [simulator.mosaic_frame(STARRY_SKY, PLAIN_CAMERA, replace(SHOT, key=(1, k))) for k in range(6)]
    assert alone.dtype == np.uint16
    np.testing.assert_array_equal(alone, several[5])
    assert not np.array_equal(several[4], several[5])


def test_random_words_are_those_of_the_default_generator() -> None:
    words = simulator._stream((1, 5), 3).random_raw(4)
    np.testing.assert_array_equal(words, np.random.default_rng([1, 5, 3]).bit_generator.random_raw(4))


def test_an_odd_shape_is_filled_too() -> None:
    frame = simulator.mosaic_frame(STARRY_SKY, replace(PLAIN_CAMERA, shape=(33, 21)), SHOT)
    assert frame.shape == (33, 21)
    assert frame.min() > 0


def test_the_footprint_of_the_reference_itself_is_whole() -> None:
    pose = Pose(3.0, -2.0, 40.0)
    assert simulator.footprint((40, 30), pose, pose).all()


def test_a_shifted_frame_leaves_a_border() -> None:
    covered = simulator.footprint((40, 30), Pose(5.0, -3.0), Pose())
    assert covered[3:, :25].all()
    assert not covered[:3].any()
    assert not covered[:, 25:].any()


def test_the_footprint_is_where_stars_of_the_frame_are_on_its_sensor() -> None:
    pose, reference = Pose(6.0, -9.0, 25.0), Pose(-2.0, 1.0, 5.0)
    shape = PLAIN_CAMERA.shape
    own_x, own_y, _ = simulator.star_pixels(STARRY_SKY, PLAIN_CAMERA, replace(SHOT, pose=pose))
    ref_x, ref_y, _ = simulator.star_pixels(STARRY_SKY, PLAIN_CAMERA, replace(SHOT, pose=reference))
    covered = simulator.footprint(shape, pose, reference)
    inside = (ref_x >= 0) & (ref_x <= shape[1] - 1) & (ref_y >= 0) & (ref_y <= shape[0] - 1)
    margin = np.minimum.reduce([own_x, own_y, shape[1] - 1 - own_x, shape[0] - 1 - own_y])
    clear = inside & (np.abs(margin) > 2)
    assert clear.sum() > 20
    found = covered[np.rint(ref_y[clear]).astype(int), np.rint(ref_x[clear]).astype(int)]
    np.testing.assert_array_equal(found, margin[clear] > 0)


def test_aligned_frames_share_their_stars_and_are_nan_outside_the_footprint() -> None:
    reference = Pose(0.0, 0.0, 10.0)
    poses = (reference, Pose(4.0, 2.0, 14.0))
    sky = replace(STARRY_SKY, trails_per_frame=0.0)
    frames = [
        simulator.aligned_frame(sky, PLAIN_CAMERA, replace(SHOT, pose=pose, key=(1, k)), reference)
        for k, pose in enumerate(poses)
    ]
    assert frames[0].dtype == np.float32
    assert np.isfinite(frames[0]).all()
    covered = simulator.footprint(PLAIN_CAMERA.shape, poses[1], reference)
    np.testing.assert_array_equal(np.isfinite(frames[1]), np.repeat(covered[..., None], 3, axis=2))
    assert np.corrcoef(frames[0][covered][:, 1], frames[1][covered][:, 1])[0, 1] > 0.9


@pytest.mark.parametrize("adu", [0, 1000])
def test_a_dead_frame_has_one_value(adu: int) -> None:
    frame = simulator.constant_frame((6, 4), adu)
    assert frame.dtype == np.uint16
    assert set(frame.ravel().tolist()) == {adu}
