"""``zemo-diag phase3 --zemosaic``: a ZeMosaic's own master tiles, made by look-alikes of the released ones."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

import zemo_diag
from tests.phase3.test_command import ALTAZ_TILE, EQ_TILE, Ran, state_of, write_lights
from tests.zemosaic.lookalikes import Tree, write_lookalike
from zemo_diagnostics.frames.entries import scan_folder
from zemo_diagnostics.frames.tiles import Tile
from zemo_diagnostics.gating.gate import gate_tiles
from zemo_diagnostics.grouped_folder import GroupingOptions, read_grouped
from zemo_diagnostics.phase3 import zemosaic_maker
from zemo_diagnostics.phase3.data import Rule
from zemo_diagnostics.phase3.flags import cleanup_flags
from zemo_diagnostics.phase3.zemosaic_maker import central_reference, pointing_wcs
from zemo_diagnostics.zemosaic.under_test import open_zemosaic
from zemo_diagnostics.zemosaic.versions import APRIL, BEFORE, JANUARY, Version

# As the released versions: padded to a square of the diagonal, the WCS left behind; with the cleanup every frame but
# the reference is nothing.
WORKER = """
import logging
import math
import os

import numpy as np
from astropy.io import fits

import zemosaic_align_stack

{at_import}


def create_master_tile(group, tile_id, output, *, altaz_cleanup_enabled, progress_callback, stack_reject_algo="none"):
    progress_callback("MT_PIPELINE: from " + group[0]["path_preprocessed_cache"], 10.0, "INFO", tile_id=tile_id)
    retries = []
    {before}
    frames = [np.load(entry["path_preprocessed_cache"]) for entry in group]
    assert all(frame.dtype == np.float32 and np.isfinite(frame).all() for frame in frames)
    height, width, _ = frames[0].shape
    side = math.ceil(math.hypot(height, width))
    top, left = (side - height) // 2, (side - width) // 2
    master = np.full((side, side, 3), np.nan, np.float32)
    stacked = frames[0] / len(frames) if altaz_cleanup_enabled else np.mean(frames, axis=0)
    master[top : top + height, left : left + width] = stacked
    header = group[0]["wcs"].to_header()
    header["ZMT_REF"] = os.path.basename(group[0]["path_raw"])
    header["HIERARCH MT_NFRAMES"] = len(frames)
    path = os.path.join(output, f"master_tile_{{tile_id:03d}}.fits")
    fits.writeto(path, np.moveaxis(master, -1, 0), header)
    return (path, group[0]["wcs"]), retries
"""


def checkout_that(folder: Path, before: str = "", at_import: str = "") -> Path:
    """Write a ZeMosaic that does something of its own before it builds a tile."""
    worker = WORKER.format(before=before.replace("\n", "\n    "), at_import=at_import)
    return write_lookalike(folder / "zemosaic", worker=worker)


@pytest.fixture
def lights(tmp_path: Path) -> Path:
    """Give one equatorial and one alt-az tile."""
    return write_lights(tmp_path / "lights", EQ_TILE, ALTAZ_TILE)


def builds(ran: Ran) -> list[dict[str, Any]]:
    """What the ZeMosaic under test made of each tile."""
    return [tile["zemosaic"] for tile in ran.run["tiles"]]


def test_its_own_masters_stand_beside_the_patch_and_nothing_of_it_is_touched(lights: Path, tmp_path: Path) -> None:
    checkout = checkout_that(tmp_path)
    trees = Tree.of(checkout), Tree.of(lights)
    ran = Ran(lights, tmp_path / "out", "--zemosaic", str(checkout))
    assert (Tree.of(checkout), Tree.of(lights)) == trees
    assert ran.code == 1
    assert [build["outcome"] for build in builds(ran)] == ["one frame's light"] * 2
    assert [build["one_frame"]["scale"] for build in builds(ran)] == pytest.approx([1 / 3] * 2)
    assert [tile["patched"]["outcome"] for tile in ran.run["tiles"]] == ["kept"] * 2
    assert [tile["before"] for tile in ran.run["tiles"]] == [None] * 2
    assert [build["padding_fraction"] for build in builds(ran)] == pytest.approx([1 - 160 * 120 / 200**2] * 2)
    assert [build["wcs_shift_px"] for build in builds(ran)] == pytest.approx([np.hypot(20, 40)] * 2)
    assert {build["pointed"] for build in builds(ran)} == {3}
    assert {"ZD415", "ZD416", "ZD417"} <= set(ran.codes)
    assert ran.document["environment"]["functions_under_test"].startswith("ZeMosaic ")
    assert sorted(path.name for path in ran.out.iterdir()) == [
        "patched", "phase3.json", "phase3.log", "pictures", "zemosaic",
    ]  # fmt: skip
    lines = [line for line in ran.log() if line[0] == "zemosaic" and "MT_PIPELINE" in line[2]]
    assert len(lines) == 2
    assert str(tmp_path) not in json.dumps(ran.document) + (ran.out / "phase3.log").read_text(encoding="utf-8")


def test_like_for_like_pixels_are_compared_and_finished_tiles_are_kept(lights: Path, tmp_path: Path) -> None:
    checkout = checkout_that(tmp_path)
    options = ("--zemosaic", str(checkout), "--settings", "plain", "--altaz-cleanup", "never")
    ran = Ran(lights, tmp_path / "out", *options)
    assert [build["outcome"] for build in builds(ran)] == ["kept"] * 2
    for tile in ran.run["tiles"]:
        assert tile["comparison"]["pixels"] == 80 * 60
        assert tile["comparison"]["slope"] == pytest.approx(1, abs=0.5)  # this one aligns nothing
    again = Ran(lights, tmp_path / "out", *options)
    assert (again.run["built"], again.run["kept"]) == (0, 4)
    assert again.run["tiles"] == ran.run["tiles"]
    alone = Ran(lights, tmp_path / "out", "--altaz-cleanup", "never", "--only", "patched")
    assert len(list((alone.out / "zemosaic").glob("*.fits"))) == 2  # they stay where they are not asked for


def test_a_group_that_comes_back_is_a_tile_of_its_own(lights: Path, tmp_path: Path) -> None:
    before = "if len(group) == 3:\n    group, retries = group[:2], [[{**group[2], 'retry_attempt': 1}]]"
    ran = Ran(lights, tmp_path / "out", "--zemosaic", str(checkout_that(tmp_path, before)), "--jobs", "1")
    tiles = ran.run["tiles"]
    assert [(tile["tile_id"], tile["retry_of"], tile["frames"]) for tile in tiles] == [
        (1, None, 3), (2, None, 3), (3, 1, 1), (4, 2, 1),
    ]  # fmt: skip
    assert [len(build["not_placed"]) for build in builds(ran)] == [1, 1, 0, 0]
    assert [tile["patched"] is None for tile in tiles] == [False, False, True, True]


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ("raise RuntimeError('something odd')", "ZeMosaic: RuntimeError: something odd"),
        ("os._exit(7)", "ended itself with exit code 7"),
        ("import time; time.sleep(60)", "did not end within 3.00 s"),
        ("progress_callback('no tile today', None, 'ERROR'); return (None, None), []", "no tile today"),
        ("import sys; sys.exit('done')", "SystemExit: done"),
    ],
)
def test_whatever_becomes_of_it_is_that_tiles_finding(before: str, words: str, lights: Path, tmp_path: Path) -> None:
    checkout = checkout_that(tmp_path, f"if tile_id == 0:\n    {before}")
    ran = Ran(lights, tmp_path / "out", "--zemosaic", str(checkout), "--timeout", "3", "--only", "zemosaic")
    assert (ran.code, ran.codes[0]) == (1, "ZD404")
    first, second = builds(ran)
    assert words in first["error"]
    assert (second["outcome"], second["error"]) == ("one frame's light", None)


@pytest.mark.parametrize("named", ["light", "link", "folder", "line"])
def test_what_it_names_as_its_master_is_taken_only_from_its_folder(named: str, lights: Path, tmp_path: Path) -> None:
    light = next((lights / "tile_eq").iterdir())
    returned = {
        "light": f"return ({str(light)!r}, None), []",
        "link": f"os.symlink({str(light)!r}, output + '/m.fits'); return (output + '/m.fits', None), []",
        "folder": "return (output, None), []",
        "line": "fits.writeto(output + '/m.fits', np.zeros(5, 'f4')); return (output + '/m.fits', None), []",
    }
    before = state_of(lights)
    checkout = checkout_that(tmp_path, returned[named])
    ran = Ran(lights, tmp_path / "out", "--zemosaic", str(checkout), "--only", "zemosaic")
    assert state_of(lights) == before
    assert ran.code == 1
    assert {build["outcome"] for build in builds(ran)} == {"failed"}


@pytest.mark.parametrize(
    "groups", ["'abc'", "[[{'x': 1}]]", "[[5]]", "[[dict(entry) for entry in group * 60]]", "[[{'path_raw': 'a'}]]"]
)
def test_odd_groups_to_try_again_are_let_be(groups: str, lights: Path, tmp_path: Path) -> None:
    checkout = checkout_that(tmp_path, f"if tile_id == 0:\n    retries = {groups}")
    ran = Ran(lights, tmp_path / "out", "--zemosaic", str(checkout), "--only", "zemosaic")
    assert ran.code == 1
    assert len(ran.run["tiles"]) == (3 if "60" in groups else 2)


def test_a_checkout_that_cannot_be_imported_is_every_tiles_finding(lights: Path, tmp_path: Path) -> None:
    checkout = checkout_that(tmp_path, at_import="import no_such_package")
    ran = Ran(lights, tmp_path / "out", "--zemosaic", str(checkout), "--only", "zemosaic")
    assert ran.code == 1
    assert {"no_such_package" in build["error"] for build in builds(ran)} == {True}


def test_a_cleanup_that_could_not_be_loaded_is_told(lights: Path, tmp_path: Path) -> None:
    checkout = checkout_that(tmp_path, at_import="_LECROPPER_AVAILABLE = False")
    ran = Ran(lights, tmp_path / "out", "--zemosaic", str(checkout), "--only", "zemosaic")
    assert "ZD420" in ran.codes
    assert "lecropper" in builds(ran)[0]["cleanup_missing"]


def test_a_tile_that_would_not_fit_into_memory_is_not_begun(
    lights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zemosaic_maker, "estimate_master_tile_bytes", lambda *_: 1 << 50)
    ran = Ran(lights, tmp_path / "out", "--zemosaic", str(checkout_that(tmp_path)), "--only", "zemosaic")
    assert ran.code == 1
    assert {"--settings plain" in build["error"] for build in builds(ran)} == {True}


def test_what_cannot_be_called_is_one_sentence(
    lights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_lookalike(tmp_path / "other", worker="def create_master_tile(group): pass\n")
    assert Ran(lights, tmp_path / "out", "--zemosaic", str(other)).code == 2
    assert "takes other parameters" in capsys.readouterr().err
    assert Ran(lights, tmp_path / "out", "--only", "zemosaic").code == 2
    assert "--only zemosaic needs --zemosaic PATH" in capsys.readouterr().err
    assert Ran(lights, tmp_path / "out", "--zemosaic", str(lights)).code == 2
    assert "is no ZeMosaic checkout" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_dry_run_starts_nothing(lights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkout = checkout_that(tmp_path, at_import="open('started', 'w')")
    before = state_of(tmp_path)
    arguments = ["phase3", str(lights), "-o", str(tmp_path / "out"), "--zemosaic", str(checkout), "--dry-run"]
    assert zemo_diag.run([*arguments, "--format", "json"]) == 0
    plan = json.loads(capsys.readouterr().out)["results"]["phase3"]["plan"]
    assert (plan["masters"], plan["zemosaic_masters"]) == (4, 2)
    assert plan["zemosaic_memory_bytes"] > 400 << 20
    assert state_of(tmp_path) == before


def test_frames_that_cannot_be_read_are_left_out(lights: Path, tmp_path: Path) -> None:
    dead = sorted((lights / "tile_eq").iterdir())[0]
    header = fits.getheader(dead)
    fits.writeto(dead, np.full((160, 120), np.nan, np.float32), header, overwrite=True, output_verify="silentfix")
    ran = Ran(lights, tmp_path / "out", "--zemosaic", str(checkout_that(tmp_path)), "--only", "zemosaic")
    assert builds(ran)[1]["unreadable"] == [dead.name]
    assert "ZD406" in ran.codes


def test_one_frames_light_is_seen_in_a_master_that_lost_its_margin(lights: Path, tmp_path: Path) -> None:
    """As that of 2026-04 does with tiles that it cleans."""
    worker = WORKER.replace("np.moveaxis(master, -1, 0), header", "np.moveaxis(stacked[5:-5, 5:-5], -1, 0), header")
    checkout = write_lookalike(tmp_path / "zemosaic", worker=worker.format(before="pass", at_import=""))
    ran = Ran(lights, tmp_path / "out", "--zemosaic", str(checkout), "--only", "zemosaic")
    assert [build["outcome"] for build in builds(ran)] == ["one frame's light"] * 2
    assert {build["padding_fraction"] for build in builds(ran)} == {0}


@pytest.mark.parametrize("version", [BEFORE, JANUARY, APRIL], ids=lambda version: version.name)
@pytest.mark.parametrize("folder", ["mixed_by_tile", "no_eqmode", "eq_only"])
def test_its_flags_are_those_that_gating_tells(version: Version, folder: str, fixtures: Path, tmp_path: Path) -> None:
    run = read_grouped(fixtures / folder, GroupingOptions(), lambda *_: None)
    gating = gate_tiles(run.tiles, run.functions, requested=True, only=version)
    under_test = replace(open_zemosaic(checkout_that(tmp_path)), version=version)
    told = {tile.tile_id: tile.versions[0].decided.tile_enabled for tile in gating.tiles}
    assert cleanup_flags(run.tiles, gating, under_test)[Rule.ZEMOSAIC] == told


# ------------------------------------------------------------------------------------------- what is handed over


def tile_of(lights: Path) -> Tile:
    frames = [frame for frame in scan_folder(lights).frames if frame.name.startswith("tile_eq")]
    return Tile(1, "tile_eq", tuple(frames))


def test_a_frame_without_a_solution_gets_one_of_its_pointing(lights: Path) -> None:
    frame = tile_of(lights).frames[0]
    wcs = {keyword: value for keyword, value, _ in pointing_wcs(frame, (160, 120, 3))}
    assert (wcs["CRVAL1"], wcs["CRVAL2"]) == frame.center_deg
    assert (wcs["CRPIX1"], wcs["CRPIX2"]) == (60.5, 80.5)
    assert wcs["CD2_2"] == pytest.approx(np.degrees(2.9e-3 / 250), rel=1e-6)
    assert {type(value) for value in wcs.values()} <= {int, float, str}


def test_the_reference_is_the_frame_nearest_to_the_mean_pointing(lights: Path) -> None:
    tile = tile_of(lights)
    centers = np.array([frame.center_deg for frame in tile.frames], dtype=float)
    away = centers - centers.mean(axis=0)
    assert central_reference(tile) == int(np.argmin(np.hypot(*away.T)))


@pytest.mark.skipif("ZEMO_DIAG_TEST_CHECKOUTS" not in os.environ, reason="ZEMO_DIAG_TEST_CHECKOUTS names no checkouts")
@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_real_programs_lose_what_the_bundled_rule_of_before_loses(number: int, tmp_path: Path) -> None:
    checkouts = os.environ["ZEMO_DIAG_TEST_CHECKOUTS"].split(os.pathsep)
    if number >= len(checkouts):
        pytest.skip("fewer checkouts are named")
    python = os.environ.get("ZEMO_DIAG_TEST_PYTHON")
    options = ("--zemosaic", checkouts[number], "--settings", "plain", *(("--python", python) if python else ()))
    lights = write_lights(tmp_path / "lights", EQ_TILE, ALTAZ_TILE)
    theirs, ours = Ran(lights, tmp_path / "theirs", *options), Ran(lights, tmp_path / "ours")
    for build, tile in zip(builds(theirs), ours.run["tiles"], strict=False):
        if build["cleanup_enabled"]:
            assert build["outcome"] == tile["before"]["outcome"]
