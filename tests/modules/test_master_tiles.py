"""One master tile: what goes in, what the file holds, and what is left behind when something fails."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from astropy.io import fits
from astropy.wcs import WCS

import zemosaic_align_stack as align_stack
import zemosaic_worker as worker
from tests.conftest import ROOT
from tests.sample_phase3 import CAMERA, Log, save_group, scratch_left, shifted_frames, sky_frame
from zemo_diagnostics.demo import simulator
from zemo_diagnostics.demo.sample_groups import FIELD_DEC_DEG, FIELD_RA_DEG, write_group
from zemo_diagnostics.demo.simulator import Pose, Shot
from zemo_diagnostics.frames.bayer import Debayered


def build(group: list[dict[str, Any]], folder: Path, tile_id: int = 1, **options: Any) -> tuple[Any, dict[str, Any]]:
    told: dict[str, Any] = {}
    made = worker.create_master_tile(group, tile_id, folder, tile_metadata=told, **options)
    return made, told


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return save_group(tmp_path_factory.mktemp("frames"), shifted_frames(5))


# ---------------------------------------------------------------------------------------------- the file


def test_a_master_has_zemosaics_name_cards_and_alpha(group: list[dict[str, Any]], tmp_path: Path) -> None:
    made, told = build(group, tmp_path / "out", 7)
    (path, wcs), retry = made
    assert Path(path) == tmp_path / "out" / "master_tile_007.fits"
    assert (wcs, retry) == (None, [])
    with fits.open(path) as hdus:
        hdus.verify("exception")
        image, header = hdus[0].data, hdus[0].header
        assert image.shape == (3, *CAMERA.shape)
        assert image.dtype == np.dtype(">f4")
        alpha = hdus["ALPHA"].data
        assert (alpha.shape, alpha.dtype, set(np.unique(alpha))) == (CAMERA.shape, np.dtype(np.uint8), {255})
    expected = {
        "ZMT_TYPE": "Master Tile", "ZMT_ID": 7, "ZMT_NRAW": 5, "ZMT_NALGN": 5, "MT_NFRAMES": 5, "ZMT_NORM": "none",
        "ZMT_WGHT": "none", "ZMT_REJ": "kappa_sigma", "ZMT_KAPLO": 3.0, "ZMT_KAPHI": 3.0, "ZMT_COMB": "mean",
        "ALPHAEXT": 1, "ZMT_REF": "Light_02.fit", "OBJECT": "M 16", "FILTER": "IRCUT", "GAIN": 80, "EXPTIME": 50.0,
    }  # fmt: skip
    assert {key: header[key] for key in expected} == expected
    assert "ZMT_EMPT" not in header
    assert (told["stacked"], told["failed"], told["is_empty"], told["error"]) == (5, (), False, None)
    assert scratch_left(tmp_path / "out") == []


def test_the_master_is_the_stack_of_the_frames_aligned_on_the_middle_one(
    group: list[dict[str, Any]], tmp_path: Path
) -> None:
    (made, _), _ = build(
        group, tmp_path, stack_kappa_low=2.0, stack_kappa_high=1.5, stack_weight_method="noise_variance"
    )
    aligned, failed = align_stack.align_images_in_group(shifted_frames(5), 2)
    assert failed == []
    expected, _ = align_stack.stack_kappa_sigma_clip(
        [image for image in aligned if image is not None], "noise_variance", sigma_low=2.0, sigma_high=1.5
    )
    with fits.open(made[0]) as hdus:
        np.testing.assert_array_equal(np.moveaxis(hdus[0].data, 0, -1), expected)
        assert (hdus[0].header["ZMT_WGHT"], hdus[0].header["ZMT_KAPHI"]) == ("noise_variance", 1.5)


def test_an_equatorial_tile_has_the_same_bytes_whether_cleanup_is_requested_or_not(tmp_path: Path) -> None:
    for name, requested in (("asked", True), ("plain", False)):
        entries = save_group(tmp_path / "frames", shifted_frames(4, 6.0), EQMODE=1)
        altaz = save_group(tmp_path / "more", shifted_frames(2), EQMODE=0)
        worker.run_phase3_master_tiles([entries, altaz], tmp_path / name, altaz_cleanup_enabled=requested)
        alone = worker.run_phase3_master_tiles([entries], tmp_path / f"{name}_alone", altaz_cleanup_enabled=requested)
        assert not alone.tiles[0].cleanup_enabled
    masters = [tmp_path / name / "master_tile_001.fits" for name in ("asked", "plain", "asked_alone", "plain_alone")]
    assert len({path.read_bytes() for path in masters}) == 1


def test_cleanup_happens_only_with_the_tiles_own_flag(tmp_path: Path) -> None:
    poses = [Pose(0.0, 0.0, angle) for angle in (-14.0, -7.0, 0.0, 7.0, 14.0)]
    entries = save_group(tmp_path / "frames", [sky_frame(i, pose) for i, pose in enumerate(poses)])
    logs, images, alphas = [Log(), Log()], [], []
    for enabled, log in zip((False, True), logs, strict=True):
        (made, _), told = build(
            entries,
            tmp_path / f"{enabled}",
            altaz_cleanup_enabled=enabled,
            progress_callback=log,
            altaz_min_coverage_frac=0.7,
        )
        assert told["stacked"] == 5
        with fits.open(made[0]) as hdus:
            images.append(hdus[0].data.astype(np.float32))
            alphas.append(hdus["ALPHA"].data.copy())
    assert np.isfinite(images[0]).all()
    assert (alphas[0] == 255).all()
    corners = np.isnan(images[1]).all(axis=0)
    assert 0.02 < corners.mean() < 0.4
    assert corners[0, 0]
    assert not corners[80, 60]
    assert (alphas[1][corners] == 0).all()
    assert not logs[0].matching("ALPHA_STATS")
    assert logs[0].matching(
        "MT_PIPELINE: lecropper_applied=False, quality_crop=False, altaz_cleanup=False, quality_gate"
    )
    assert logs[1].matching("MT_PIPELINE: lecropper_applied=True, quality_crop=False, altaz_cleanup=True, quality_gate")
    assert logs[1].matching(
        r"ALPHA_STATS: level=master_tile nonzero_frac=0\.\d+ min=0\.0000 max=1\.0000 shape=\(160, 120\)"
    )


def test_missing_samples_are_stacked_as_zero_under_cleanup_alone(tmp_path: Path) -> None:
    frames = [sky_frame(0) for _ in range(4)]
    for frame in frames[:2]:
        frame[10:20, 10:20] = np.nan
    entries = save_group(tmp_path / "frames", frames)
    values = {}
    for enabled in (True, False):
        options: dict[str, Any] = {"altaz_cleanup_enabled": enabled, "altaz_min_coverage_abs": 1.0}
        (made, _), _ = build(entries, tmp_path / f"{enabled}", **options)
        values[enabled] = fits.getdata(made[0])[:, 13:17, 13:17].mean()
    assert values[True] == pytest.approx(values[False] / 2, rel=0.01)


def test_zeroize_writes_zeros(tmp_path: Path) -> None:
    poses = [Pose(0.0, 0.0, angle) for angle in (-14.0, -7.0, 0.0, 7.0, 14.0)]
    entries = save_group(tmp_path / "frames", [sky_frame(i, pose) for i, pose in enumerate(poses)])
    (made, _), told = build(
        entries, tmp_path, altaz_cleanup_enabled=True, altaz_nanize=False, altaz_min_coverage_frac=0.7
    )
    with fits.open(made[0]) as hdus:
        assert np.isfinite(hdus[0].data).all()
        assert (hdus[0].data == 0).all(axis=0).mean() == pytest.approx(told["blanked_frac"])
        assert (hdus["ALPHA"].data == 0).mean() == pytest.approx(told["blanked_frac"])


def test_an_empty_master_is_logged_marked_and_transparent(tmp_path: Path) -> None:
    log = Log()
    entries = save_group(tmp_path / "frames", [np.zeros((40, 30, 3), np.float32)])
    (made, _), told = build(entries, tmp_path, 12, progress_callback=log)
    line = "MT_EMPTY_TILE tile=12 max_abs=0 std=0 valid_frac=1.0000 alpha_frac=1.0000 eps=1e-08"
    assert [message for level, message in log.lines if level == "WARN"] == [line]
    assert told["is_empty"]
    with fits.open(made[0]) as hdus:
        header = hdus[0].header
        assert [header[key] for key in ("ZMT_EMPT", "ZMT_EMAX", "ZMT_ESTD", "ZMT_EVF", "ZMT_EPS")] == [1, 0, 0, 1, 1e-8]
        assert not hdus["ALPHA"].data.any()


# ------------------------------------------------------------------------------------------------ the frames


def test_raw_mosaics_are_brought_to_colour(tmp_path: Path) -> None:
    paths = write_group("eq_only", tmp_path / "raw", frames=1, shape=(96, 54))
    frame = worker.load_frame({"path": str(paths[0])})
    assert (frame.pixels.shape, frame.pixels.dtype) == ((96, 54, 3), np.dtype(np.float32))
    mosaic = fits.getdata(paths[0])
    by_opencv = Debayered(mosaic, "GRBG")[0:96].astype(np.float32)
    bilinear = worker.demosaic_bilinear(mosaic.astype(np.float32), "GRBG")
    inner = (slice(2, -2), slice(2, -2))
    assert np.abs(bilinear[inner] - by_opencv[inner]).max() <= 0.5


@pytest.mark.parametrize("pattern", sorted(worker.BAYER_CELLS))
def test_demosaicing_keeps_flat_colours(pattern: str) -> None:
    cell = np.array(worker.BAYER_CELLS[pattern]).reshape(2, 2)
    mosaic = np.tile(np.array([100.0, 200.0, 300.0], dtype=np.float32)[cell], (5, 4))
    colour = worker.demosaic_bilinear(mosaic, pattern)
    assert (colour == [100.0, 200.0, 300.0]).all()


def test_hot_pixels_go_and_stars_stay() -> None:
    rng = np.random.default_rng(1)
    mosaic = rng.normal(500, 10, (80, 80)).astype(np.float32)
    y, x = np.mgrid[:80, :80]
    mosaic += 8000 / (1 + ((y - 40.3) ** 2 + (x - 40.6) ** 2) / 4) ** 3
    clean_sky = mosaic.copy()
    hot = [(0, 0), (10, 11), (79, 79), (33, 60)]
    for place in hot:
        mosaic[place] = 9000
    clean = worker.without_hot_pixels(mosaic)
    assert all(abs(clean[place] - 500) < 40 for place in hot)
    rest = np.ones((80, 80), dtype=bool)
    rest[tuple(zip(*hot, strict=True))] = False
    np.testing.assert_array_equal(clean[rest], clean_sky[rest])


@pytest.mark.parametrize("side", [2, 3, 33])
def test_mosaics_without_noise_or_of_odd_size_are_left_alone(side: int) -> None:
    flat = np.full((side, side), 1000, np.float32)
    np.testing.assert_array_equal(worker.without_hot_pixels(flat), flat)
    noisy = np.random.default_rng(1).normal(1000, 5, (side, side)).astype(np.float32)
    np.testing.assert_array_equal(worker.without_hot_pixels(noisy), noisy)


def test_real_hot_pixels_do_not_lead_the_alignment_astray(tmp_path: Path) -> None:
    """All frames share them, at rest, while the stars move."""
    entries = []
    for i, pose in enumerate((Pose(), Pose(14.0, -9.0), Pose(-8.0, 12.0))):
        shot = Shot(ra_deg=FIELD_RA_DEG, dec_deg=FIELD_DEC_DEG, exposure_s=10.0, key=(7, 3, i), pose=pose)
        path = tmp_path / f"Light_{i}.fit"
        sky = simulator.Sky(ra_deg=FIELD_RA_DEG, dec_deg=FIELD_DEC_DEG, radius_deg=0.2, stars_per_deg2=24000.0)
        header = fits.Header([("BAYERPAT", "GRBG")])
        fits.PrimaryHDU(simulator.mosaic_frame(sky, CAMERA, shot), header).writeto(path)
        entries.append({"path": str(path)})
    frames = [worker.load_frame(entry).pixels for entry in entries]
    placement = align_stack.FrameAligner(frames[0]).find_placement(frames[1])
    assert placement is not None
    np.testing.assert_allclose(placement[:, 2], [-14.0, 9.0], atol=0.5)


def test_cubes_and_tile_compressed_frames_are_read(tmp_path: Path) -> None:
    frame = sky_frame(0)
    cube = np.moveaxis(frame, -1, 0)
    fits.PrimaryHDU(cube.astype(np.uint16)).writeto(tmp_path / "cube.fits")
    fits.CompImageHDU(frame[..., 0].astype(np.uint16)).writeto(tmp_path / "packed.fits.fz")
    assert worker.load_frame({"path": str(tmp_path / "cube.fits")}).pixels.shape == (*CAMERA.shape, 3)
    packed = worker.load_frame({"path": str(tmp_path / "packed.fits.fz")})
    np.testing.assert_array_equal(packed.pixels, np.trunc(frame[..., 0]))


def spoil(entries: list[dict[str, Any]], index: int, how: str) -> str:
    path = Path(entries[index]["path_preprocessed_cache"])
    if how == "missing":
        path.unlink()
    elif how == "npy cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif how == "all nan":
        np.save(path, np.full((160, 120, 3), np.nan, np.float32))
    elif how == "fits cut":
        cut = path.with_suffix(".fits")
        fits.PrimaryHDU(np.moveaxis(sky_frame(0), -1, 0)).writeto(cut)
        cut.write_bytes(cut.read_bytes()[:40000])
        entries[index]["path_preprocessed_cache"] = str(cut)
    return Path(entries[index]["path_raw"]).name


def test_an_image_of_more_axes_than_fits_allows_is_refused_at_once(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.ones((4, 6), np.float32)).writeto(tmp_path / "a.fits")
    data = (tmp_path / "a.fits").read_bytes()
    more = data.replace(b"NAXIS   =                    2", b"NAXIS   =           2147483648")
    (tmp_path / "a.fits").write_bytes(more)
    with pytest.raises(worker.FrameError, match=r"a\.fits says that its image has 2,147,483,648 axes"):
        worker.load_frame({"path": str(tmp_path / "a.fits")})


@pytest.mark.parametrize("exposure", ["inf", "-inf", "nan", "1E308"])  # three times the last is infinity too
def test_an_exposure_without_end_is_not_said(tmp_path: Path, exposure: str) -> None:
    group = save_group(tmp_path, shifted_frames(3))
    for entry in group:
        entry["header"] = {"EXPTIME": float(exposure), "GAIN": float("inf")}
    (made, _), _ = build(group, tmp_path / "out")
    header = fits.getheader(made[0])
    assert not {"EXPTIME", "GAIN"} & set(header)


@pytest.mark.parametrize("how", ["missing", "npy cut", "fits cut", "all nan"])
@pytest.mark.parametrize("index", [0, 2], ids=["a frame", "the reference"])
def test_a_frame_that_cannot_be_read_is_left_out_and_named(how: str, index: int, tmp_path: Path) -> None:
    log = Log()
    entries = save_group(tmp_path / "frames", shifted_frames(5))
    name = spoil(entries, index, how)
    made, told = build(entries, tmp_path / "out", progress_callback=log)
    assert made[0] is not None
    assert made[1] == []
    assert (told["stacked"], told["unreadable"]) == (4, (name,))
    said = [message for level, message in log.lines if level == "WARN"]
    assert len(said) == 1
    assert str(tmp_path) not in said[0]
    header = fits.getheader(made[0][0])
    assert (header["ZMT_NRAW"], header["MT_NFRAMES"]) == (5, 4)
    if index == 2:
        assert header["ZMT_REF"] == "Light_01.fit"


def test_a_group_without_a_readable_frame_fails(tmp_path: Path) -> None:
    log = Log()
    made, told = build([{"path": str(tmp_path / "no.fit")}, {}], tmp_path / "out", progress_callback=log)
    assert made == (None, None)
    assert told["error"] == "none of the 2 frames of the group can be read"
    assert log.levels_of("MT_FAILED tile=1: none of the 2 frames") == {"ERROR"}
    assert build([], tmp_path / "out")[0] == (None, None)
    assert list((tmp_path / "out").iterdir()) == []


# ------------------------------------------------------------------------------------------------- placing


def stranger(number: int) -> Any:
    return np.random.default_rng(number).normal(100, 5, (160, 120, 3)).astype(np.float32)


def test_frames_that_cannot_be_placed_go_to_a_retry_group(tmp_path: Path) -> None:
    log = Log()
    frames = [*shifted_frames(3), stranger(1), stranger(2)]
    entries = save_group(tmp_path / "frames", frames, MOUNT_MODE="EQ")
    entries[4] |= {"retry_attempt": 2, "retry_origin_chain": [3]}
    before = [dict(entry) for entry in entries]
    made, told = build(entries, tmp_path / "out", 9, progress_callback=log)
    (_, retry), names = made, ("Light_03.fit", "Light_04.fit")
    assert retry == [
        [
            {**entries[3], "retry_attempt": 1, "retry_origin_chain": [9]},
            {**entries[4], "retry_attempt": 3, "retry_origin_chain": [3, 9]},
        ]
    ]
    assert entries == before  # copies carry the marks
    assert (told["stacked"], told["failed"], told["dropped"]) == (3, names, ())
    assert log.levels_of("MT_ALIGN_FAILED tile=9: Light_03.fit cannot be placed on Light_02.fit") == {"WARN"}


def test_a_frame_is_dropped_once_its_tries_are_used_up(tmp_path: Path) -> None:
    log = Log()
    entries = save_group(tmp_path / "frames", [*shifted_frames(3), stranger(1)])
    entries[3]["retry_attempt"] = worker.MAX_ALIGNMENT_RETRY_ATTEMPTS
    made, told = build(entries, tmp_path / "out", progress_callback=log)
    assert made[1] == []
    assert told["dropped"] == ("Light_03.fit",)
    assert log.levels_of("MT_RETRY_LIMIT tile=1: Light_03.fit is dropped") == {"WARN"}


def wcs_at(x: float, y: float, angle_deg: float = 0.0) -> WCS:
    wcs = WCS(naxis=2)
    turn, scale = np.radians(angle_deg), CAMERA.arcsec_per_px / 3600
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [FIELD_RA_DEG, FIELD_DEC_DEG]
    wcs.wcs.crpix = [60 + x, 80 + y]
    wcs.wcs.cd = scale * np.array([[-np.cos(turn), np.sin(turn)], [-np.sin(turn), -np.cos(turn)]])
    return wcs


def test_frames_without_stars_in_common_are_placed_by_their_wcs(tmp_path: Path) -> None:
    frames = [stranger(i) for i in range(3)]
    entries = save_group(tmp_path / "frames", frames)
    for entry, shift in zip(entries, (-6.0, 0.0, 4.0), strict=True):
        entry["wcs"] = wcs_at(shift, 2 * shift)
    made, told = build(entries, tmp_path / "out")
    assert (made[1], told["stacked"]) == ([], 3)
    assert told["placed_by_wcs"] == ("Light_00.fit", "Light_02.fit")
    with fits.open(made[0][0]) as hdus:
        written = WCS(hdus[0].header, naxis=2, fix=False)
    assert written.wcs.crpix.tolist() == [60.0, 80.0]
    assert made[0][1].wcs.crpix.tolist() == [60.0, 80.0]


def test_a_placement_from_two_solutions_is_the_shift_and_turn_between_them() -> None:
    placement = worker.placement_from_wcs(wcs_at(7.0, -3.0), (160, 120, 3), wcs_at(0.0, 0.0))
    assert placement is not None
    np.testing.assert_allclose(placement, [[1, 0, -7], [0, 1, 3]], atol=1e-6)
    turned = worker.placement_from_wcs(wcs_at(0.0, 0.0, 30.0), (160, 120, 3), wcs_at(0.0, 0.0))
    assert turned is not None
    assert np.degrees(np.arctan2(turned[1, 0], turned[0, 0])) == pytest.approx(30.0, abs=1e-6) or np.degrees(
        np.arctan2(turned[1, 0], turned[0, 0])
    ) == pytest.approx(-30.0, abs=1e-6)
    assert worker.placement_from_wcs(None, (160, 120), wcs_at(0, 0)) is None


def test_a_solution_that_leads_off_the_reference_places_nothing(tmp_path: Path) -> None:
    entries = save_group(tmp_path / "frames", [stranger(0), stranger(1)])
    entries[0]["wcs"], entries[1]["wcs"] = wcs_at(400.0, 0.0), wcs_at(0.0, 0.0)
    made, told = build(entries, tmp_path / "out")
    assert told["failed"] == ("Light_00.fit",)
    assert len(made[1][0]) == 1


def test_a_solution_in_the_header_counts_too(tmp_path: Path) -> None:
    entries = save_group(tmp_path / "frames", [stranger(0), stranger(1)])
    for entry, shift in zip(entries, (5.0, 0.0), strict=True):
        entry["header"].update(wcs_at(shift, 0.0).to_header())
    made, told = build(entries, tmp_path / "out")
    assert told["placed_by_wcs"] == ("Light_00.fit",)
    assert made[0][1].has_celestial


# ------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (
            {"quality_crop_enabled": True},
            "quality_crop_enabled=True asks for the quality crop, which this project does not do",
        ),
        ({"quality_gate_enabled": True}, "asks for the quality gate, which"),
        ({"apply_radial_weight": True}, "asks for radial weights, which"),
        ({"poststack_equalize_rgb": True}, "asks for RGB equalisation, which"),
        ({"use_gpu": True}, "asks for stacking on the GPU, which"),
        ({"astap_exe_path_global": "astap"}, "asks for plate solving by ASTAP, which"),
        ({"stack_norm_method": "linear_fit"}, "stack_norm_method='linear_fit' is not done here; known: none"),
        ({"stack_reject_algo": "winsorized_sigma_clip"}, "is not done here; known: kappa_sigma"),
        ({"stack_final_combine": "median"}, "known: mean"),
        ({"stack_weight_method": "noise_fwhm"}, "known: none, noise_variance"),
        ({"altaz_decay": -1.0}, "altaz_decay must be over 0"),
    ],
)
def test_what_is_not_done_here_is_refused_before_anything_is_made(
    option: dict[str, Any], sentence: str, group: list[dict[str, Any]], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=sentence.replace("(", r"\(")):
        worker.create_master_tile(group, 1, tmp_path / "out", **option)
    assert not (tmp_path / "out").exists()


def test_switches_that_are_off_and_their_tuning_are_taken(group: list[dict[str, Any]], tmp_path: Path) -> None:
    made, _ = build(
        group[:1], tmp_path, quality_crop_enabled=False, quality_crop_band_px=32, radial_feather_fraction=0.8,
        astap_exe_path_global="", winsor_pool_workers=2, use_gpu=False,
    )  # fmt: skip
    assert made[0] is not None


def test_a_keyword_that_nobody_knows_is_a_mistake(group: list[dict[str, Any]], tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="knows no keyword 'altaz_cleanup'"):
        worker.create_master_tile(group, 1, tmp_path, altaz_cleanup=True)


# ------------------------------------------------------------------------------- nothing half-written, no litter


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "/some/where/aligned.f32")


@pytest.mark.parametrize("where", ["scratch", "master"])
def test_a_full_disk_leaves_nothing_behind(
    where: str, group: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "scratch":
        monkeypatch.setattr(worker._AlignedStore, "add", full)
    else:
        monkeypatch.setattr(fits.HDUList, "writeto", full)
    log = Log()
    made, told = build(group, tmp_path / "out", progress_callback=log)
    assert made == (None, None)
    assert told["error"] == "the disk is full: free some space, or choose a folder on another disk"
    assert log.levels_of("MT_FAILED tile=1: the disk is full") == {"ERROR"}
    assert list((tmp_path / "out").iterdir()) == []


def test_an_older_master_stays_whole_when_the_new_one_fails(
    group: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (made, _), _ = build(group, tmp_path)
    before = Path(made[0]).read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    assert build(group[:2], tmp_path)[0] == (None, None)
    assert Path(made[0]).read_bytes() == before


def test_ctrl_c_goes_through_and_removes_the_scratch(
    group: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        assert len(scratch_left(tmp_path)) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr(align_stack, "place_frame", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(group, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_cancelled_tile_is_given_up(group: list[dict[str, Any]], tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    made, told = build(group, tmp_path, cancel_event=stop)
    assert (made, told["error"]) == ((None, None), "the run was stopped")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_leaves_no_master_and_its_scratch_goes_at_the_next_start(tmp_path: Path) -> None:
    save_group(tmp_path / "frames", shifted_frames(3))
    code = (
        "import os, signal, sys, zemosaic_worker as w\n"
        f"out = {str(tmp_path / 'out')!r}; frames = {str(tmp_path / 'frames')!r}\n"
        "w.os.fsync = lambda _: os._exit(9)\n"
        "w.create_master_tile([{'path': f'{frames}/frame_0{i}.npy'} for i in range(3)], 1, out)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 9, done.stderr
    out = tmp_path / "out"
    left = scratch_left(out)
    assert len(left) == 1
    assert list(out.glob("*.fits")) == []
    assert worker.remove_stale_scratch(out) == left
    assert list(out.iterdir()) == []


def test_the_scratch_of_a_process_that_runs_stays(tmp_path: Path) -> None:
    machine, own = worker._machine_mark(), worker._process_mark(os.getpid())
    started = int(psutil.Process().create_time())
    kept = [f".phase3_scratch-{own}-001-abc", ".phase3_scratch-other", f".phase3_scratch-00000000-{2**22 + 5}-1-001-x"]
    reused = f".phase3_scratch-{machine}-{os.getpid()}-{started - 1000}-001-abc"
    for name in (*kept, reused):
        (tmp_path / name).mkdir()
    assert worker.remove_stale_scratch(tmp_path) == [reused]
    assert scratch_left(tmp_path) == sorted(kept)


# ------------------------------------------------------------------------------------------------- memory


def test_the_estimate_does_not_grow_with_the_frames() -> None:
    few, many = (worker.estimate_master_tile(n, (1920, 1080, 3)) for n in (10, 500))
    assert many.memory_bytes - few.memory_bytes < 16 << 20
    assert many.memory_bytes < 320 << 20
    assert many.disk_bytes == pytest.approx(500 * 1920 * 1080 * 12, rel=0.01)


MEMORY_CODE = """
import sys; sys.path.insert(0, {tools!r})
import numpy as np, zemosaic_worker as w
from zemo_diagnostics.machine.peak_memory import read_memory, reset_peak
entries = [{{"path": f"{folder}/frame_{{i:03d}}.npy"}} for i in range({count})]
w.create_master_tile(entries[:2], 1, {out!r}, altaz_cleanup_enabled=True)
reset_peak(); base = read_memory().rss_bytes
told = {{}}
w.create_master_tile(entries, 2, {out!r}, altaz_cleanup_enabled=True, tile_metadata=told)
print(read_memory().peak_bytes - base, told["stacked"])
"""


def peak_of_a_tile(tmp_path: Path, count: int, shape: tuple[int, int], distinct: int) -> tuple[int, int]:
    folder = tmp_path / "frames"
    folder.mkdir()
    camera = simulator.Camera(shape=shape)
    for i in range(distinct):
        np.save(folder / f"frame_{i:03d}.npy", sky_frame(i, Pose(0.7 * i, -0.4 * i, 0.2 * i), camera))
    for i in range(distinct, count):
        os.link(folder / f"frame_{i % distinct:03d}.npy", folder / f"frame_{i:03d}.npy")
    tools = str(Path(simulator.__file__).parents[2])
    code = MEMORY_CODE.format(tools=tools, folder=str(folder), count=count, out=str(tmp_path / "out"))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    peak, stacked = map(int, done.stdout.split())
    return peak, stacked


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux can reset the high-water mark")
def test_sixty_frames_on_disk_become_a_master_within_the_estimate(tmp_path: Path) -> None:
    count, shape = 64, (480, 360)
    peak, stacked = peak_of_a_tile(tmp_path, count, shape, distinct=6)
    assert stacked == count
    assert peak < worker.estimate_master_tile(count, (*shape, 3)).memory_bytes
    assert peak < count * shape[0] * shape[1] * 12  # what the frames alone would take


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux can reset the high-water mark")
def test_two_hundred_seestar_frames_become_a_master_within_the_estimate(tmp_path: Path) -> None:
    count, shape = 200, (1920, 1080)
    peak, stacked = peak_of_a_tile(tmp_path, count, shape, distinct=8)
    assert stacked == count
    assert peak < worker.estimate_master_tile(count, (*shape, 3)).memory_bytes
