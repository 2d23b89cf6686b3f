"""A sky, a Bayer camera and a mount: frames like a Seestar's, the same bytes on every machine.

The sky is a star field placed by RA and Dec, the camera turns light into ADU with its noise and defects,
and the mount says where the field lies on the sensor in each frame: an alt-az mount turns it with the
parallactic angle, an equatorial one lets it drift and dithers.

Why the bytes do not depend on the machine. ``exp``, ``sin`` and ``pow`` may differ in the last bit between
processors and libraries, and NumPy keeps the right to change its random distributions. So:

* random numbers come from the raw words of PCG64, the one stream that NumPy promises not to change;
* normal deviates are sums of the eight bytes of a word (Irwin-Hall: normal to a per cent, ends at 4.9 sigma);
* the star profile is a Moffat function with beta = 3, which needs only ``+``, ``*`` and ``/``;
* whatever does need a transcendental function (projection, rotation, magnitudes) is done per star or per
  frame, never per pixel, and is then rounded to a coarse step: 1/32 px, one electron, 2**-24;
* light is added up in whole sixteenths of an electron, so that the order of the sum cannot matter.

What remains per pixel is IEEE arithmetic and ``sqrt``, which are exact everywhere. Shot noise is normal with
the variance of the light, which is fair from some twenty electrons per pixel upwards.

Every frame draws from ``PCG64([*key, purpose])``: a frame is the same whatever else is made before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from zemo_diagnostics.zemosaic.mount_mode import Mode

FloatArray = npt.NDArray[np.float64]
PlaneArray = npt.NDArray[np.float32]
Shape = tuple[int, int]
Key = tuple[int, ...]
Cell = tuple[tuple[int, int], tuple[int, int]]
Stars = tuple[FloatArray, FloatArray, FloatArray]  # two coordinates (n,) and the light (n, 3)

GRBG: Cell = ((1, 0), (2, 1))
"""Colour of each pixel of a 2 x 2 cell, ``[y, x]``: 0 red, 1 green, 2 blue."""

ARCSEC_PER_RADIAN = 206264.80624709636
SIDEREAL_DEG_PER_DAY = 360.98564736629
MOFFAT_ALPHA_PER_FWHM = 0.98073  # beta = 3: fwhm = 2 alpha sqrt(2 ** (1 / 3) - 1)
BYTE_SUM_MEAN, BYTE_SUM_SIGMA = 1020.0, 209.0215  # of eight uniform bytes
POSITION_STEPS_PER_PX = 32
LIGHT_STEPS_PER_E = 16
FAINT_STAMP_PX, BRIGHT_STAMP_PX = 6, 24  # half-widths of the drawn square
BRIGHT_STAR_E = 4000.0  # from here on the wings beyond 6 px show
TRAIL_FWHM_PX = 3.0

_JITTER, _TRAIL, _COSMIC, _NOISE, _STARS, _HOT = range(6)


@dataclass(frozen=True, kw_only=True)
class Sky:
    """A star field and the light of the sky around it.

    Colour triples are red, green, blue. ``gradient`` is the change of the background across the whole
    frame, as a fraction of it, along x and y.
    """

    ra_deg: float
    dec_deg: float
    radius_deg: float
    seed: int = 1
    stars_per_deg2: float = 6000.0
    brightest_mag: float = 7.0
    faintest_mag: float = 14.5
    zero_mag_e_per_s: float = 8e6
    fwhm_arcsec: float = 6.5
    background_e_per_s: tuple[float, float, float] = (12.0, 20.0, 15.0)
    gradient: tuple[float, float] = (0.06, -0.10)
    trails_per_frame: float = 0.25
    trail_peak_e: float = 350.0


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A sensor, ``shape`` ``(H, W)``, behind a telescope; the defaults are near a Seestar S50 at gain 80."""

    shape: Shape = (1920, 1080)
    pixel_um: float = 2.9
    focal_mm: float = 250.0
    gain_e_per_adu: float = 0.25
    read_noise_e: float = 4.0
    pedestal_adu: float = 100.0
    hot_pixel_fraction: float = 5e-4
    hot_pixel_peak_e_per_s: float = 1500.0
    hot_pixel_seed: int = 50
    cosmic_rays_per_megapixel: float = 120.0
    cosmic_ray_peak_e: float = 6000.0

    @property
    def arcsec_per_px(self) -> float:
        """Scale of the image."""
        return ARCSEC_PER_RADIAN * self.pixel_um / (1000.0 * self.focal_mm)


@dataclass(frozen=True, kw_only=True)
class Mount:
    """How the telescope follows the sky, and from where.

    ``camera_angle_deg`` is the position angle (north over east) of the image's upper edge; on an alt-az
    mount it is counted from the zenith instead. ``dither_px`` is the half-width of the random step that is
    taken every ``dither_every`` frames; the drift starts anew with each recentring.
    """

    mode: Mode
    latitude_deg: float
    longitude_deg: float
    camera_angle_deg: float = 0.0
    drift_px_per_min: tuple[float, float] = (0.05, -0.03)
    recentred_every_min: float = 60.0
    dither_px: float = 2.0
    dither_every: int = 1


@dataclass(frozen=True)
class Pose:
    """Where the field lies on the sensor: its shift, and the position angle of the image's upper edge."""

    dx_px: float = 0.0
    dy_px: float = 0.0
    position_angle_deg: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One exposure: pointing, pose, length, and ``key``, the numbers its random stream starts from."""

    ra_deg: float
    dec_deg: float
    exposure_s: float
    key: Key
    pose: Pose = Pose()


def mosaic_frame(sky: Sky, camera: Camera, shot: Shot) -> npt.NDArray[np.uint16]:
    """Return a raw GRBG frame, uint16 ``(H, W)`` in ADU."""
    adu = _expose(sky, camera, shot, GRBG, 0, True)
    return np.clip(np.rint(adu), 0.0, 65535.0).astype(np.uint16)


def colour_frame(sky: Sky, camera: Camera, shot: Shot, *, fixed_defects: bool = True) -> PlaneArray:
    """Return a frame with all three colours in every pixel, float32 ``(H, W, 3)`` in quarters of an ADU."""
    planes = [_expose(sky, camera, shot, ((c, c), (c, c)), c, fixed_defects) for c in range(3)]
    quarters: PlaneArray = np.rint(np.stack(planes, axis=-1) * np.float32(4.0)) / np.float32(4.0)
    return quarters.clip(0.0, 65535.0, out=quarters)


def aligned_frame(sky: Sky, camera: Camera, shot: Shot, reference: Pose) -> PlaneArray:
    """Return the colour frame as aligned on ``reference``: float32 ``(H, W, 3)``, NaN outside its footprint.

    Hot pixels are left out, since they are corrected before frames are aligned.
    """
    frame = colour_frame(sky, camera, replace(shot, pose=reference), fixed_defects=False)
    frame[~footprint(camera.shape, shot.pose, reference)] = np.nan
    return frame


def constant_frame(shape: Shape, adu: int = 0) -> npt.NDArray[np.uint16]:
    """Return a dead frame, uint16 ``(H, W)``: all zero, or one value everywhere."""
    return np.full(shape, adu, dtype=np.uint16)


def footprint(shape: Shape, pose: Pose, reference: Pose) -> npt.NDArray[np.bool_]:
    """Return which pixels of the reference frame a frame taken at ``pose`` covers, bool ``(H, W)``."""
    height, width = shape
    x, y = _centred_axes(shape)
    turn = math.radians(pose.position_angle_deg - reference.position_angle_deg)
    cos, sin = (round(value * 2.0**24) / 2.0**24 for value in (math.cos(turn), math.sin(turn)))
    x, y = x - _coarse(reference.dx_px), y - _coarse(reference.dy_px)
    own_x = cos * x - sin * y + _coarse(pose.dx_px)
    own_y = sin * x + cos * y + _coarse(pose.dy_px)
    covered: npt.NDArray[np.bool_] = (np.abs(own_x) <= (width - 1) / 2) & (np.abs(own_y) <= (height - 1) / 2)
    return covered


def pose_at(mount: Mount, ra_deg: float, dec_deg: float, utc: datetime, elapsed_s: float, key: Key) -> Pose:
    """Return where the field lies in frame ``key[-1]``, taken at ``utc``, ``elapsed_s`` after the first.

    Real Seestar S50 alt-az frames turn this way and at this rate, their upper edge 2 degrees off the zenith.
    """
    step = key[-1] // mount.dither_every
    dither = (2.0 * _uniform(_stream((*key[:-1], step), _JITTER), 2) - 1.0) * mount.dither_px
    minutes = elapsed_s / 60.0 % mount.recentred_every_min
    angle = mount.camera_angle_deg
    if mount.mode == Mode.ALT_AZ:
        hour_angle = hour_angle_deg(utc, mount.longitude_deg, ra_deg)
        angle += parallactic_angle_deg(mount.latitude_deg, hour_angle, dec_deg)
    dx, dy = (minutes * rate + jump for rate, jump in zip(mount.drift_px_per_min, dither, strict=True))
    return Pose(float(dx), float(dy), angle)


def hour_angle_deg(utc: datetime, longitude_deg: float, ra_deg: float) -> float:
    """Return the hour angle, -180 to 180 degrees, west positive, from mean sidereal time (IAU 1982)."""
    days = (utc - datetime(2000, 1, 1, 12, tzinfo=timezone.utc)).total_seconds() / 86400.0
    sidereal = 280.46061837 + SIDEREAL_DEG_PER_DAY * days + longitude_deg
    return (sidereal - ra_deg + 180.0) % 360.0 - 180.0


def parallactic_angle_deg(latitude_deg: float, hour_angle_deg: float, dec_deg: float) -> float:
    """Return the position angle of the zenith at a point of the sky, in degrees, north over east."""
    lat, hour, dec = (math.radians(angle) for angle in (latitude_deg, hour_angle_deg, dec_deg))
    along = math.tan(lat) * math.cos(dec) - math.sin(dec) * math.cos(hour)
    return math.degrees(math.atan2(math.sin(hour), along))


def star_pixels(sky: Sky, camera: Camera, shot: Shot) -> Stars:
    """Return x, y (``(n,)``, pixels from 0) and light (``(n, 3)``, electrons) of the stars near the frame.

    Row 0 is the upper edge of the image, as Seestar cameras read it.
    """
    xi, eta, rate = _field_stars(sky, shot.ra_deg, shot.dec_deg, camera.shape, camera.arcsec_per_px)
    angle = math.radians(shot.pose.position_angle_deg)
    right = eta * math.sin(angle) - xi * math.cos(angle)
    down = -eta * math.cos(angle) - xi * math.sin(angle)
    x = (camera.shape[1] - 1) / 2 + _coarse(right + shot.pose.dx_px)
    y = (camera.shape[0] - 1) / 2 + _coarse(down + shot.pose.dy_px)
    return x, y, np.rint(rate * shot.exposure_s)


def star_light(stars: Stars, shape: Shape, cell: Cell, fwhm_px: float) -> FloatArray:
    """Return the light of stars seen through a 2 x 2 filter cell, float64 ``(H, W)`` in electrons.

    ``stars`` are x, y in pixels and light in electrons, as `star_pixels` gives them.
    """
    total = np.zeros(shape[0] * shape[1])
    bright = stars[2].max(axis=1, initial=0.0) >= BRIGHT_STAR_E
    for chosen, half in ((~bright, FAINT_STAMP_PX), (bright, BRIGHT_STAMP_PX)):
        x, y, light_e = (values[chosen] for values in stars)
        near = (x > -half) & (x < shape[1] + half) & (y > -half) & (y < shape[0] + half)
        total += _stamps((x[near], y[near], light_e[near]), half, shape, cell, fwhm_px)
    light: FloatArray = total.reshape(shape) / LIGHT_STEPS_PER_E
    return light


def _stamps(stars: Stars, half: int, shape: Shape, cell: Cell, fwhm_px: float) -> FloatArray:
    """Return squares of starlight added up, in whole light steps, float64 ``(H * W,)``."""
    x, y, light_e = stars[0][:, None, None], stars[1][:, None, None], stars[2]
    offset = np.arange(-half, half + 1)
    px = np.rint(x).astype(np.int64) + offset[None, None, :]
    py = np.rint(y).astype(np.int64) + offset[None, :, None]
    alpha2 = (MOFFAT_ALPHA_PER_FWHM * fwhm_px) ** 2
    falloff = 1.0 + ((px - x) ** 2 + (py - y) ** 2) / alpha2
    profile = (2.0 * LIGHT_STEPS_PER_E / (math.pi * alpha2)) / (falloff * falloff * falloff)
    colour = np.array(cell)[py % 2, px % 2]
    steps = np.rint(light_e[np.arange(len(light_e))[:, None, None], colour] * profile)
    inside = (px >= 0) & (px < shape[1]) & (py >= 0) & (py < shape[0])
    flat = (py * shape[1] + px)[inside]
    # A float even where no star is left, for which bincount would give integers.
    return np.bincount(flat, weights=steps[inside], minlength=shape[0] * shape[1]).astype(np.float64)


def _expose(sky: Sky, camera: Camera, shot: Shot, cell: Cell, plane: int, fixed_defects: bool) -> PlaneArray:
    """Return one exposure through a filter cell, float32 ``(H, W)`` in ADU, not rounded and not clipped."""
    fwhm_px = sky.fwhm_arcsec / camera.arcsec_per_px
    stars = star_light(star_pixels(sky, camera, shot), camera.shape, cell, fwhm_px)
    electrons = _background(sky, camera.shape, shot.exposure_s, cell) + stars.astype(np.float32)
    _add_trails(electrons, sky, _stream(shot.key, _TRAIL))
    if fixed_defects:
        rows, columns, rate = hot_pixels(camera)
        electrons[rows, columns] += (rate * shot.exposure_s).astype(np.float32)
    noise = _normal(_stream((*shot.key, plane), _NOISE), camera.shape)
    noise *= np.sqrt(electrons + np.float32(camera.read_noise_e**2))
    _add_cosmic_rays(electrons, camera, _stream((*shot.key, plane), _COSMIC))
    adu: PlaneArray = (electrons + noise) / np.float32(camera.gain_e_per_adu)
    adu += np.float32(camera.pedestal_adu)
    return adu


def _background(sky: Sky, shape: Shape, exposure_s: float, cell: Cell) -> PlaneArray:
    """Return the light of the sky with its gradient, float32 ``(H, W)`` in electrons."""
    height, width = shape
    levels = (np.array(sky.background_e_per_s) * exposure_s)[np.array(cell)].astype(np.float32)
    plane = np.tile(levels, ((height + 1) // 2, (width + 1) // 2))[:height, :width]
    x, y = _centred_axes(shape)
    slope = 1.0 + sky.gradient[0] * (x / width) + sky.gradient[1] * (y / height)
    shaded: PlaneArray = plane * slope.astype(np.float32)
    return shaded


def _add_trails(electrons: PlaneArray, sky: Sky, bits: np.random.PCG64) -> None:
    """Draw the satellites of one frame, lines from edge to edge, left to right or up to down."""
    height, width = electrons.shape
    draws = _uniform(bits, 1 + 4 * 8)
    alpha2 = np.float32((MOFFAT_ALPHA_PER_FWHM * TRAIL_FWHM_PX) ** 2)
    for start, end, side, peak in draws[1:].reshape(8, 4)[: int(sky.trails_per_frame + draws[0])]:
        x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
        x0, y0, x1, y1 = (0.0, start * height, width, end * height)
        if side < 0.5:
            x0, y0, x1, y1 = (start * width, 0.0, end * width, height)
        cross = np.float32(x1 - x0) * (y - np.float32(y0)) - np.float32(y1 - y0) * (x - np.float32(x0))
        falloff = 1 + cross * cross / (alpha2 * np.float32((x1 - x0) ** 2 + (y1 - y0) ** 2))
        electrons += np.float32(sky.trail_peak_e * (0.5 + peak)) / (falloff * falloff * falloff)


def _add_cosmic_rays(electrons: PlaneArray, camera: Camera, bits: np.random.PCG64) -> None:
    """Hit single pixels, and half of the time the one beside them too, with up to the peak of electrons."""
    height, width = camera.shape
    count = int(camera.cosmic_rays_per_megapixel * height * width / 1e6 + _uniform(bits, 1)[0])
    y, x, energy, spread = _uniform(bits, 4 * count).reshape(4, count)
    rows, columns = (y * height).astype(np.int64), (x * width).astype(np.int64)
    hit = np.rint((0.2 + 0.8 * energy) * camera.cosmic_ray_peak_e).astype(np.float32)
    electrons[rows, columns] += hit
    beside = (columns + 1 < width) & (spread < 0.5)
    electrons[rows[beside], columns[beside] + 1] += hit[beside] / 2


@lru_cache(maxsize=16)
def hot_pixels(camera: Camera) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], FloatArray]:
    """Return rows, columns and dark current (electrons per second) of the hot pixels, each ``(n,)``."""
    height, width = camera.shape
    count = round(camera.hot_pixel_fraction * height * width)
    y, x, heat = _uniform(_stream((camera.hot_pixel_seed,), _HOT), 3 * count).reshape(3, count)
    rate = np.rint((0.02 + 0.98 * heat * heat * heat) * camera.hot_pixel_peak_e_per_s)
    return (y * height).astype(np.int64), (x * width).astype(np.int64), rate


@lru_cache(maxsize=16)
def star_field(sky: Sky) -> Stars:
    """Return RA and Dec in degrees (``(n,)``) and light (``(n, 3)``, electrons per second) of all stars.

    Counts grow by 10 ** 0.35 per magnitude; colours run from red to blue.
    """
    count = round(sky.stars_per_deg2 * (2.0 * sky.radius_deg) ** 2)
    u, v, rank, hue = _uniform(_stream((sky.seed,), _STARS), 4 * count).reshape(4, count)
    side = math.radians(2.0 * sky.radius_deg)
    ra, dec = _from_tangent_plane((u - 0.5) * side, (v - 0.5) * side, sky.ra_deg, sky.dec_deg)
    magnitude = np.maximum(sky.faintest_mag + np.log10(1.0 - rank) / 0.35, sky.brightest_mag)
    rate = sky.zero_mag_e_per_s * 10.0 ** (-0.4 * magnitude)
    colours = np.stack([1.3 - 0.6 * hue, np.ones(count), 0.6 + 0.7 * hue], axis=-1)
    return ra, dec, rate[:, None] * colours


@lru_cache(maxsize=64)
def _field_stars(sky: Sky, ra_deg: float, dec_deg: float, shape: Shape, arcsec_per_px: float) -> Stars:
    """Return tangent-plane east and north (pixels) and light of the stars that may reach a frame."""
    ra, dec, rate = star_field(sky)
    east, north = _to_tangent_plane(ra, dec, ra_deg, dec_deg)
    xi, eta = (axis * (ARCSEC_PER_RADIAN / arcsec_per_px) for axis in (east, north))
    near = np.hypot(xi, eta) < math.hypot(*shape) / 2 + 100.0
    return xi[near], eta[near], rate[near]


def _from_tangent_plane(xi: FloatArray, eta: FloatArray, ra_deg: float, dec_deg: float) -> list[FloatArray]:
    """Return RA and Dec in degrees of gnomonic coordinates (radians, east and north positive)."""
    dec0 = math.radians(dec_deg)
    across = math.cos(dec0) - eta * math.sin(dec0)
    dec = np.arctan2(math.sin(dec0) + eta * math.cos(dec0), np.hypot(xi, across))
    return [(ra_deg + np.degrees(np.arctan2(xi, across))) % 360.0, np.degrees(dec)]


def _to_tangent_plane(ra: FloatArray, dec: FloatArray, ra_deg: float, dec_deg: float) -> list[FloatArray]:
    """Return gnomonic coordinates (radians, east and north positive) of RA and Dec in degrees."""
    dec0, turn, dec = math.radians(dec_deg), np.radians(ra - ra_deg), np.radians(dec)
    depth = math.sin(dec0) * np.sin(dec) + math.cos(dec0) * np.cos(dec) * np.cos(turn)
    east = np.cos(dec) * np.sin(turn)
    north = math.cos(dec0) * np.sin(dec) - math.sin(dec0) * np.cos(dec) * np.cos(turn)
    return [east / depth, north / depth]


def _centred_axes(shape: Shape) -> tuple[FloatArray, FloatArray]:
    """Return x ``(1, W)`` and y ``(H, 1)`` in pixels from the middle of the frame."""
    height, width = shape
    x: FloatArray = np.arange(width, dtype=np.float64) - (width - 1) / 2
    y: FloatArray = np.arange(height, dtype=np.float64) - (height - 1) / 2
    return x[None, :], y[:, None]


def _coarse(value: npt.ArrayLike) -> FloatArray:
    """Round pixels to the step at which the machine no longer matters."""
    rounded: FloatArray = np.rint(np.asarray(value) * POSITION_STEPS_PER_PX) / POSITION_STEPS_PER_PX
    return rounded


def _stream(key: Key, purpose: int) -> np.random.PCG64:
    """Return the random words for one purpose of one frame; ``default_rng`` draws from the same generator."""
    return np.random.PCG64([*key, purpose])


def _uniform(bits: np.random.PCG64, count: int) -> FloatArray:
    """Return numbers in [0, 1), float64 ``(count,)``."""
    words = np.asarray(bits.random_raw(count), dtype=np.uint64)
    uniform: FloatArray = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return uniform


def _normal(bits: np.random.PCG64, shape: Shape) -> PlaneArray:
    """Return nearly normal deviates, float32 ``(H, W)``: each the sum of the eight bytes of one word."""
    words = np.asarray(bits.random_raw(shape[0] * shape[1]), dtype=np.uint64)
    even = np.uint64(0x00FF00FF00FF00FF)
    pairs = (words & even) + ((words >> np.uint64(8)) & even)
    sums = (pairs * np.uint64(0x0001000100010001)) >> np.uint64(48)
    deviates: PlaneArray = (sums.astype(np.float32) - np.float32(BYTE_SUM_MEAN)) / np.float32(BYTE_SUM_SIGMA)
    return deviates.reshape(shape)
