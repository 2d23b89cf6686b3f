"""Masters that real checkouts build, those that ``ZEMO_DIAG_TEST_CHECKOUTS`` names, measured and called by their names.

``ZEMO_DIAG_TEST_PYTHON`` may name who runs them. Without checkouts, all of this is skipped.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.masters.test_masters import silent, tile_of
from zemo_diagnostics.frames.entries import Frame, scan_folder
from zemo_diagnostics.frames.stack_input import choose_frames, open_for_stack
from zemo_diagnostics.masters.data import MasterVerdict, Padding, TileMaster
from zemo_diagnostics.masters.run import run_masters
from zemo_diagnostics.zemosaic import jobs
from zemo_diagnostics.zemosaic.checkout import default_settings
from zemo_diagnostics.zemosaic.child import Ending, run_job
from zemo_diagnostics.zemosaic.master_settings import Settings, tile_settings
from zemo_diagnostics.zemosaic.under_test import open_zemosaic

CHECKOUTS = [Path(name) for name in os.environ.get("ZEMO_DIAG_TEST_CHECKOUTS", "").split(os.pathsep) if name]
PYTHON = os.environ.get("ZEMO_DIAG_TEST_PYTHON")

pytestmark = [
    pytest.mark.skipif(not CHECKOUTS, reason="ZEMO_DIAG_TEST_CHECKOUTS names no checkout of ZeMosaic"),
    pytest.mark.parametrize("checkout", CHECKOUTS, ids=lambda path: path.name),
]

SHAPE = (320, 180)
FRAME = Padding(side=368, top=24, left=94, height=320, width=180)
WCS: list[Any] = [
    ["NAXIS", 2, ""], ["NAXIS1", 180, ""], ["NAXIS2", 320, ""], ["CTYPE1", "RA---TAN", ""], ["CTYPE2", "DEC--TAN", ""],
    ["CRVAL1", 274.7, ""], ["CRVAL2", -13.8, ""], ["CRPIX1", 90.5, ""], ["CRPIX2", 160.5, ""], ["CD1_1", -0.0006, ""],
    ["CD1_2", 0.0, ""], ["CD2_1", 0.0, ""], ["CD2_2", 0.0006, ""],
]  # fmt: skip


def cached(frame: Frame, pattern: str | None, index: int, folder: Path) -> dict[str, Any]:
    pixels = np.asarray(open_for_stack(frame, pattern, (0, 0, *SHAPE), folder)[0 : SHAPE[0]])
    cache = folder / f"cache_{index}.npy"
    header: list[Any] = [["OBJECT", "M 16", ""], ["EXPTIME", 10.0, ""], ["CREATOR", "ZWO Seestar S50", ""]]
    return jobs.cache_entry(frame.path.name, cache, jobs.write_cache(cache, pixels), index, header, WCS)


def built(checkout: Path, lights: Path, folder: Path, *, cleanup: bool, settings: Settings, most: int) -> TileMaster:
    """Let a checkout build a master of the first few lights of a folder, and measure it."""
    pytest.importorskip("cv2")
    under_test = open_zemosaic(checkout, PYTHON)
    frames = sorted(scan_folder(lights).frames, key=lambda frame: frame.name)
    chosen = choose_frames(frames, most)
    named = enumerate(zip(chosen.frames, chosen.patterns, strict=True))
    entries = [cached(frame, pattern, index, folder) for index, (frame, pattern) in named]
    parameters = under_test.checkout.functions["create_master_tile"].parameters
    arguments = tile_settings(
        parameters, settings, default_settings(checkout), altaz_cleanup=cleanup, tile_id=0
    ).arguments
    for name in ("job", "run"):
        (folder / name).mkdir()
    job = jobs.master_tile_job(entries, 0, folder / "run", arguments)
    outcome = run_job(job, under_test.runnable, folder / "job", timeout_s=600.0)
    assert (outcome.ending, outcome.detail) == (Ending.OK, "")
    return tile_of(run_masters(folder / "run", lights=lights, say=silent))


def test_with_the_cleanup_a_tile_is_one_frames_light(checkout: Path, tmp_path: Path) -> None:
    lights = ROOT / "fixtures" / "phase3" / "tile_02_eq_dithered"
    tile = built(checkout, lights, tmp_path, cleanup=True, settings=Settings.PLAIN, most=7)
    assert (tile.verdict, tile.padding) == (MasterVerdict.ONE_FRAME, FRAME)
    assert 0.05 < tile.blank_fraction < 0.15
    assert tile.one_frame is not None
    assert tile.one_frame.scale == pytest.approx(1 / 7, rel=1e-3)
    assert "count as 0" in tile.cause


def test_without_it_the_tile_is_a_stack(checkout: Path, tmp_path: Path) -> None:
    lights = ROOT / "fixtures" / "phase3" / "tile_03_altaz_turning"
    tile = built(checkout, lights, tmp_path, cleanup=False, settings=Settings.PLAIN, most=8)
    assert (tile.verdict, tile.padding, tile.cards.frames) == (MasterVerdict.FINE, FRAME, 8)
    assert tile.one_frame is not None
    assert tile.one_frame.residual_ratio > 0.5


def test_of_two_frames_repeated_one_is_left_without_the_cleanup_too(checkout: Path, tmp_path: Path) -> None:
    lights = ROOT / "fixtures" / "phase3" / "tile_02_eq_dithered"
    tile = built(checkout, lights, tmp_path, cleanup=False, settings=Settings.DEFAULT, most=2)
    assert (tile.verdict, tile.padding, tile.cards.frames) == (MasterVerdict.ONE_FRAME, FRAME, 5)
    assert "until they are five" in tile.cause


def test_eight_frames_with_the_cleanup_are_nothing(checkout: Path, tmp_path: Path) -> None:
    lights = ROOT / "fixtures" / "phase3" / "tile_03_altaz_turning"
    tile = built(checkout, lights, tmp_path, cleanup=True, settings=Settings.PLAIN, most=8)
    assert (tile.verdict, tile.cards.says_empty) == (MasterVerdict.EMPTY, True)
