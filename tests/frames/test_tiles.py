"""Frames grouped into tiles, as ZeMosaic's classic mode and Qt filter do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from zemo_diagnostics.frames.entries import Scan, scan_folder
from zemo_diagnostics.frames.pointing import separations_deg
from zemo_diagnostics.frames.tiles import Tile, group_frames


def group(scan: Scan, **options: object) -> dict[str, int]:
    _, tiles = group_frames(scan, **options)  # type: ignore[arg-type]
    return {tile.name: len(tile.frames) for tile in tiles}


def frames_at(folder: Path, *centers: tuple[float, float], eqmode: tuple[int | None, ...] = ()) -> Scan:
    for number, (ra, dec) in enumerate(centers):
        hdu = fits.PrimaryHDU(np.zeros((2, 2), np.uint16))
        hdu.header["RA"], hdu.header["DEC"] = ra, dec
        if eqmode and eqmode[number] is not None:
            hdu.header["EQMODE"] = eqmode[number]
        hdu.writeto(folder / f"{number:03d}.fit")
    return scan_folder(folder)


def test_sub_folders_are_a_tile_each(fixtures: Path) -> None:
    scan = scan_folder(fixtures / "mixed_by_tile")
    assert group_frames(scan)[0] == "folder"
    assert group(scan) == {"tile_01_eq": 4, "tile_02_altaz": 4, "tile_03_eq": 4, "tile_04_altaz": 4}


def test_one_folder_is_grouped_by_pointing_then_split_by_mode(fixtures: Path) -> None:
    scan = scan_folder(fixtures / "mixed_one_folder")
    assert group_frames(scan)[0] == "pointing"
    assert sorted(group(scan).values()) == [2, 4, 4, 4]
    assert sorted(group(scan, split=False).values()) == [4, 4, 6]


def test_all_frames_can_be_one_tile(fixtures: Path) -> None:
    scan = scan_folder(fixtures / "mixed_by_tile")
    assert group(scan, group_by="all", split=False) == {"all frames": 16}
    assert group(scan, group_by="all") == {"all frames EQ": 8, "all frames ALT_AZ": 8}


def test_clustering_compares_with_the_first_frame_of_a_panel(tmp_path: Path) -> None:
    scan = frames_at(tmp_path, (10.0, 0.0), (10.04, 0.0), (10.08, 0.0), (10.02, 0.0))
    assert group(scan) == {"panel 1": 3, "panel 2": 1}
    assert group(scan, panel_deg=0.1) == {"panel 1": 4}


def test_pointing_wraps_around_and_shrinks_towards_the_pole(tmp_path: Path) -> None:
    assert group(frames_at(tmp_path, (359.99, 0.0), (0.01, 0.0), (10.0, 89.9), (12.0, 89.9))) == {
        "panel 1": 2,
        "panel 2": 2,
    }


def test_separations() -> None:
    angles = separations_deg((0.0, 60.0), np.array([[1.0, 60.0], [180.0, 60.0], [0.0, -30.0]]))
    np.testing.assert_allclose(angles, [0.49999, 60.0, 90.0], atol=1e-5)


@pytest.mark.parametrize(
    ("modes", "parts"),
    [
        ((1, 1, 0, None), {"panel 1 EQ": 3, "panel 1 ALT_AZ": 1}),
        ((0, 0, 1, None), {"panel 1 ALT_AZ": 3, "panel 1 EQ": 1}),
        ((1, 0, None, None), {"panel 1 EQ": 3, "panel 1 ALT_AZ": 1}),
        ((1, None, None, None), {"panel 1": 4}),
    ],
)
def test_unknown_frames_follow_the_majority(
    tmp_path: Path, modes: tuple[int | None, ...], parts: dict[str, int]
) -> None:
    assert group(frames_at(tmp_path, *[(10.0, 20.0)] * 4, eqmode=modes)) == parts


def test_frames_that_point_nowhere_are_kept_together(fixtures: Path) -> None:
    assert group(scan_folder(fixtures / "npy_cache")) == {"no pointing": 4}


def test_a_loose_frame_beside_sub_folders_is_a_tile_too(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    frames_at(tmp_path / "a", (1.0, 1.0))
    assert group(frames_at(tmp_path, (1.0, 1.0))) == {".": 1, "a": 1}


def test_tiles_are_numbered_from_one(fixtures: Path) -> None:
    _, tiles = group_frames(scan_folder(fixtures / "mixed_by_tile"))
    assert [tile.tile_id for tile in tiles] == [1, 2, 3, 4]
    assert isinstance(tiles[0], Tile)


@pytest.mark.parametrize(
    ("ra", "dec", "center"),
    [
        (370.0, 20.0, (10.0, 20.0)),
        ("21 01 35.6", "+68 09 48", (315.3983333, 68.1633333)),
        ("nowhere", "20", None),
        (10.0, 95.0, None),
    ],
)
def test_pointing_cards(tmp_path: Path, ra: object, dec: object, center: tuple[float, float] | None) -> None:
    hdu = fits.PrimaryHDU(np.zeros((2, 2), np.uint16))
    hdu.header["RA"], hdu.header["DEC"] = ra, dec
    hdu.writeto(tmp_path / "a.fit")
    found = scan_folder(tmp_path).frames[0].center_deg
    assert found == (pytest.approx(center) if center else None)


def test_the_wcs_goes_before_the_cards_and_is_taken_at_the_middle(tmp_path: Path) -> None:
    hdu = fits.PrimaryHDU(np.zeros((100, 200), np.uint16))
    hdu.header.update(
        {"RA": 1.0, "DEC": 2.0, "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 50.0, "CRVAL2": 0.0}
    )
    hdu.header.update({"CRPIX1": 1.0, "CRPIX2": 50.5, "CDELT1": -0.001, "CDELT2": 0.001})
    hdu.writeto(tmp_path / "a.fit")
    assert scan_folder(tmp_path).frames[0].center_deg == pytest.approx((49.9005, 0.0), abs=1e-6)
