"""The checks of alignment and of master tiles: two frames aligned, and small tiles built, of a simulated star field."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...machine.scratch import save_array
from ...wording import fraction
from ...zemosaic.checkout import default_settings
from ...zemosaic.jobs import (
    BuiltTile,
    Footprint,
    align_job,
    batch_job,
    cache_entry,
    dithered_frames,
    footprint_frames,
    master_tile_job,
    read_batch,
    read_footprint,
    read_master_tile,
    write_cache,
)
from ...zemosaic.master_settings import Settings, tile_settings
from ...zemosaic.mount_mode import Mode
from ..acceptance import AcceptanceCheck, Verdict
from ..lab import Lab, Skip, refuse_failure

EQ, ALT_AZ = Mode.EQ.value, Mode.ALT_AZ.value

ALIGN, BUILD = "align_images_in_group", "create_master_tile"

SHAPE = (400, 480)
SHIFT = (0, 30)
SHIFTS = ((0, 0), (3, 5), (-4, 2))
FAR_AWAY_DEG = 20.0

# Slope of a master's light against the mean of its frames; one frame's of three is 0.33.
SLOPES = (0.95, 1.05)
MOST_BLANK = 0.1
MOST_OFF_PX = 1.5

Plane = npt.NDArray[np.float64]


# ----------------------------------------------------------------------------------------------------- footprint


@dataclass(frozen=True)
class Aligned:
    """What became of the second of two frames, the footprint blanked or not."""

    footprint: Footprint
    padded: tuple[int, int]


def _aligned(lab: Lab) -> Aligned:
    """Align two frames that lie 30 pixels apart."""
    lab.needs(ALIGN)
    paths = [lab.folder / f"frame_{index}.npy" for index in range(2)]
    for path, frame in zip(paths, footprint_frames(SHIFT, SHAPE), strict=True):
        save_array(path, frame)
    folder = lab.folder / "aligned"
    folder.mkdir(exist_ok=True)
    footprint = read_footprint(lab.answered("align", align_job(paths, folder)), SHIFT, SHAPE)
    return Aligned(footprint, footprint.padded)


_FOOTPRINTS = {
    "wrong way round": ("what the frame covers is blanked: the footprint is taken the wrong way round",),
    "not blanked": ("nothing is blanked: the stars' surroundings where the frame does not reach are made up",),
}


def _footprint_is_right(lab: Lab) -> Verdict:
    seen = lab.once(_aligned).footprint
    if seen.verdict == "not aligned":
        return Verdict(False, "the second frame is not aligned on the first")
    within, outside = fraction(seen.kept_within), fraction(seen.kept_outside)
    reason = f"of the pixels that the frame covers {within} survive, of the others {outside}"
    return Verdict(seen.verdict == "right", reason, _FOOTPRINTS.get(seen.verdict, ()))


def _canvas_stays(lab: Lab) -> Verdict:
    rows, columns = lab.once(_aligned).padded
    if not rows and not columns:
        return Verdict(True, f"an aligned frame is of {SHAPE[0]} × {SHAPE[1]}, as it was")
    grown = f"{SHAPE[0]} × {SHAPE[1]} becomes {SHAPE[0] + rows} × {SHAPE[1] + columns}"
    part = 1 - SHAPE[0] * SHAPE[1] / ((SHAPE[0] + rows) * (SHAPE[1] + columns))
    return Verdict(False, f"{grown}: {fraction(part)} of it is padding")


# -------------------------------------------------------------------------------------------------- master tiles


def _cards(shift: tuple[int, int], ra_deg: float = 274.7) -> list[list[Any]]:
    """Give the WCS of a frame: tangent plane, 0.0006 degrees a pixel."""
    dy, dx = shift
    values = {
        "NAXIS": 2, "NAXIS1": SHAPE[1], "NAXIS2": SHAPE[0], "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN",
        "CRVAL1": ra_deg, "CRVAL2": -13.8, "CRPIX1": 240.5 - dx, "CRPIX2": 200.5 - dy,
        "CD1_1": -0.0006, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 0.0006,
    }  # fmt: skip
    return [[key, value, ""] for key, value in values.items()]


def _entry(folder: Path, index: int, pixels: Any, wcs: list[list[Any]], mode: str) -> dict[str, Any]:
    """Write a frame's cache, and make its entry as Phase 1 does."""
    cache = folder / f"cache_{index}.npy"
    header: list[list[Any]] = [["OBJECT", "M 16", ""], ["EXPTIME", 10.0, ""], ["CREATOR", "ZWO Seestar S50", ""]]
    header.append(["EQMODE", 1 if mode == EQ else 0, ""])
    return cache_entry(f"light_{index}.fit", cache, write_cache(cache, pixels), index, header, wcs)


def _starless() -> npt.NDArray[np.float32]:
    """Make a frame of noise."""
    return np.random.default_rng(5).normal(500.0, 8.0, (*SHAPE, 3)).astype(np.float32)


@dataclass(frozen=True)
class Tiles:
    """What was built: an equatorial tile with the cleanup off, and an alt-az one with the cleanup on."""

    eq: BuiltTile
    altaz: BuiltTile
    retried: BuiltTile


def _built(lab: Lab) -> Tiles:
    """Build three small tiles in one child: equatorial, alt-az and cleaned, and one with a frame that fits nowhere."""
    lab.needs(BUILD)
    frames = dithered_frames(SHIFTS, SHAPE)
    entries = {
        mode: [_entry(lab.folder, i, frames[i], _cards(SHIFTS[i]), mode) for i in range(len(frames))]
        for mode in (EQ, ALT_AZ)
    }
    stranger = _entry(lab.folder, 9, _starless(), _cards((0, 0), 274.7 + FAR_AWAY_DEG), EQ)
    asked = [
        _tile_job(lab, entries[EQ], 0, cleanup=False),
        _tile_job(lab, entries[ALT_AZ], 1, cleanup=True),
        _tile_job(lab, [*entries[EQ], {**stranger, "MOUNT_MODE": EQ, "retry_attempt": 0}], 2, cleanup=False),
    ]
    outcome = lab.answered("tiles", batch_job(asked))
    tiles = []
    for answer in read_batch(outcome):
        refuse_failure(answer.ending, answer.detail, answer.result)
        tiles.append(read_master_tile(answer))
    return Tiles(*tiles)


def _tile_job(lab: Lab, entries: list[dict[str, Any]], tile_id: int, *, cleanup: bool) -> dict[str, Any]:
    """Ask for a tile with plain settings."""
    checkout = lab.under_test.checkout
    folder = lab.folder / "masters"
    folder.mkdir(exist_ok=True)
    settings = tile_settings(
        checkout.functions[BUILD].parameters,
        Settings.PLAIN,
        default_settings(checkout.folder),
        altaz_cleanup=cleanup,
        tile_id=tile_id,
    )
    return master_tile_job(entries, tile_id, folder, settings.arguments)


@dataclass(frozen=True)
class Light:
    """What a master holds, beside the mean of its frames.

    Attributes
    ----------
    slope : float
        Of its light against theirs.
    blank : float
        Part of the pixels that all frames cover and the master does not show.
    offset : (float, float)
        Where it shows the first frame's first pixel: rows, columns.
    """

    slope: float
    blank: float
    offset: tuple[int, int]


def _light(path: Path) -> Light:
    """Find the frames in a master by their stars, and compare."""
    image = _read(path)
    blank = ~np.isfinite(image) | (image == 0)
    mean = _mean_of_frames()
    offset = _found(np.where(blank, 0.0, image), mean)
    core = 8
    rows, columns = (slice(core, length - core) for length in SHAPE)
    top, left = offset
    seen = np.full(SHAPE, np.nan)
    y0, x0 = max(0, -top), max(0, -left)
    part = image[max(0, top) : top + SHAPE[0], max(0, left) : left + SHAPE[1]]
    seen[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]] = part
    seen[seen == 0] = np.nan
    ours, theirs = mean[rows, columns], seen[rows, columns]
    shown = np.isfinite(theirs)
    return Light(_slope(ours[shown], theirs[shown]), float(1 - shown.mean()), offset)


def _slope(ours: Plane, theirs: Plane) -> float:
    """Fit theirs = slope x ours + constant."""
    if ours.size < 100:
        return 0.0
    ours, theirs = ours - ours.mean(), theirs - theirs.mean()
    return float((ours * theirs).sum() / (ours * ours).sum())


def _mean_of_frames() -> Plane:
    """Give the mean of the frames, each moved to the place of the first; green."""
    moved = [
        np.roll(frame[:, :, 1], shift, axis=(0, 1)).astype(np.float64)
        for shift, frame in zip(SHIFTS, dithered_frames(SHIFTS, SHAPE), strict=True)
    ]
    mean: Plane = np.mean(moved, axis=0)
    return mean


def _read(path: Path) -> Plane:
    """Read a master's green plane."""
    fits = importlib.import_module("astropy.io.fits")
    with fits.open(path) as opened:
        data = np.asarray(opened[0].data, dtype=np.float64)
    return data[1] if data.ndim == 3 else data


def _found(image: Plane, frame: Plane) -> tuple[int, int]:
    """Find where an image shows a frame, by the peak of their correlation: rows, columns."""
    shape = tuple(a + b for a, b in zip(image.shape, frame.shape, strict=True))
    bright = [np.clip(one - np.median(one[one != 0] if one.any() else one), 0, 2000) for one in (image, frame)]
    spectra = [np.fft.rfft2(one, shape) for one in bright]
    peak = np.unravel_index(int(np.argmax(np.fft.irfft2(spectra[0] * np.conj(spectra[1]), shape))), shape)
    y, x = (int(place) - (length if place > length // 2 else 0) for place, length in zip(peak, shape, strict=True))
    return y, x


def _master(tile: BuiltTile) -> Path:
    if tile.path is None or not tile.path.is_file():
        raise Skip(f"no master was built: {tile.told.get('error') or 'it says no reason'}")
    return tile.path


def _light_of(tile: BuiltTile, what: str) -> Verdict:
    """Judge the light of a master."""
    light = _light(_master(tile))
    reason = f"slope {light.slope:.2f} against the mean of {len(SHIFTS)} frames, {fraction(light.blank)} of it blank"
    if light.blank > MOST_BLANK:
        return Verdict(False, reason, (f"{what} is blank where all frames have light",))
    if not SLOPES[0] <= light.slope <= SLOPES[1]:
        one = abs(light.slope * len(SHIFTS) - 1) < 0.1
        return Verdict(False, reason, (f"{what} holds the light of one frame, divided by their number",) if one else ())
    return Verdict(True, reason)


def _eq_tile_is_whole(lab: Lab) -> Verdict:
    return _light_of(lab.once(_built).eq, "the tile")


def _altaz_tile_is_whole(lab: Lab) -> Verdict:
    tile = lab.once(_built).altaz
    if tile.cleanup_available is False:
        raise Skip(f"its cleanup cannot be loaded: {tile.cleanup_missing}")
    return _light_of(tile, "the cleaned tile")


def _wcs_is_right(lab: Lab) -> Verdict:
    tile = lab.once(_built).eq
    path = _master(tile)
    fits, wcs = (importlib.import_module(f"astropy.{name}") for name in ("io.fits", "wcs"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path) as opened:
            master = wcs.WCS(opened[0].header, naxis=2)
        frame = wcs.WCS(fits.Header([tuple(card) for card in _cards(SHIFTS[0])]), naxis=2)
        centre = SHAPE[1] / 2, SHAPE[0] / 2
        x, y = (float(value) for value in master.wcs_world2pix([frame.wcs_pix2world([centre], 0)[0]], 0)[0])
    top, left = _light(path).offset
    off = x - centre[0] - left, y - centre[1] - top
    reason = f"it is off by {off[0]:.1f} px in x and {off[1]:.1f} px in y"
    return Verdict(max(map(abs, off)) <= MOST_OFF_PX, reason)


def _strangers_are_tried_again(lab: Lab) -> Verdict:
    tile = lab.once(_built).retried
    entries = [entry for group in tile.retry_groups for entry in group]
    strangers = [entry for entry in entries if entry.get("path_raw") == "light_9.fit"]
    if not strangers:
        return Verdict(
            False, f"{len(entries)} entries are tried again, and the frame that fits nowhere is none of them"
        )
    wanted: Mapping[str, Any] = {"retry_attempt": 1, "retry_origin_chain": [2], "MOUNT_MODE": EQ}
    wrong = tuple(
        f"{key}: {strangers[0].get(key)!r}" for key, value in wanted.items() if strangers[0].get(key) != value
    )
    return Verdict(not wrong, "the frame that fits nowhere is tried again" + (", changed" if wrong else ""), wrong)


CHECKS: tuple[AcceptanceCheck, ...] = (
    AcceptanceCheck(
        code="ZC401",
        title="With propagate_mask, what a frame covers survives, and what it does not is blanked",
        requires=("R14",),
        meaning=(
            "Two frames of one star field lie 30 pixels apart; the second is aligned on the first. astroalign's "
            "footprint is True where there is no data: taken the other way round, every frame but the reference loses "
            "all that it has. This, and no gating, is what empties master tiles."
        ),
        remedy="In align_images_in_group, keep where astroalign's footprint is False, and blank where it is True.",
        judge=_footprint_is_right,
    ),
    AcceptanceCheck(
        code="ZC402",
        title="Aligned frames keep the size of the reference",
        requires=("R13", "fact"),
        meaning=(
            "Groups of two or more are padded to a square of the diagonal: 57 % of a Seestar's master is then padding, "
            "and three times the memory is needed."
        ),
        remedy="Align on the reference's own canvas; trim what no frame covers, where the canvas has to grow.",
        judge=_canvas_stays,
    ),
    AcceptanceCheck(
        code="ZC403",
        title="The WCS of a master tile is where its stars are",
        requires=("R13", "fact"),
        meaning=(
            "Three frames with their WCS become a master; its stars are looked for in it, and must lie where its WCS "
            "says. Padding that the WCS does not follow puts the whole tile in the wrong place."
        ),
        remedy="Move CRPIX by as much as the canvas was padded to the left and at the bottom.",
        judge=_wcs_is_right,
    ),
    AcceptanceCheck(
        code="ZC404",
        title="An equatorial tile, not cleaned, holds the light of its frames",
        requires=("R10", "R11"),
        meaning="Three frames, plain settings, cleanup off: the master's light against the mean of the frames.",
        remedy="'zemo-diag phase3 --zemosaic' shows such a tile at full size.",
        judge=_eq_tile_is_whole,
    ),
    AcceptanceCheck(
        code="ZC405",
        title="An alt-az tile, cleaned, keeps the light of its frames",
        requires=("R10", "R11", "R14"),
        meaning=(
            "The same frames, all of them well covered, with the cleanup on: no pixel that all frames cover may be "
            "blank, and the light must be that of all frames. Reference / N is the sign of a mask the wrong way round."
        ),
        remedy="See ZC401; and clean where the coverage is poor, nowhere else.",
        judge=_altaz_tile_is_whole,
    ),
    AcceptanceCheck(
        code="ZC406",
        title="A frame that fits nowhere is tried again, with its keys",
        requires=("R6",),
        meaning=(
            "A frame without stars, with a WCS far away, is put into the group: it comes back in a retry group, as "
            "a copy with retry_attempt 1 and the tile's number in retry_origin_chain."
        ),
        remedy="Copy the entry whole into the retry group, and add the two keys.",
        judge=_strangers_are_tried_again,
    ),
)
