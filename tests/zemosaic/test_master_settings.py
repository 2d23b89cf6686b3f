"""The settings that a master tile is built with."""

from __future__ import annotations

import os

import pytest

from zemo_diagnostics.zemosaic.checkout import inspect_checkout
from zemo_diagnostics.zemosaic.master_settings import (
    KNOWN_ARGUMENTS,
    Settings,
    estimate_master_tile_bytes,
    tile_settings,
)
from zemo_diagnostics.zemosaic.versions import APRIL, BEFORE, JANUARY, Version

from ..conftest import ROOT


def test_the_checkout_s_own_defaults_are_used() -> None:
    own = {"stacking_kappa_low": 2.5, "stacking_winsor_limits": "0.1, 0.2", "winsor_worker_limit": 1}
    made = tile_settings(KNOWN_ARGUMENTS, Settings.DEFAULT, own, altaz_cleanup=True, tile_id=3)
    assert made.rejection == "winsorized_sigma_clip"
    chosen = ("stack_kappa_low", "stack_kappa_high", "parsed_winsor_limits", "winsor_pool_workers")
    assert [made.arguments[name] for name in chosen] == [2.5, 3.0, [0.1, 0.2], 1]
    assert (made.arguments["altaz_cleanup_enabled"], made.arguments["dbg_tile_ids"]) == (True, [3])
    assert "allow_batch_duplication" not in made.arguments
    assert not made.arguments["quality_gate_move_rejects"]


@pytest.mark.parametrize("text", ["", "0.1", "a,b", "1,2,3"])
def test_limits_that_cannot_be_read_are_zemosaic_s(text: str) -> None:
    own = {"stacking_winsor_limits": text, "winsor_worker_limit": 0}
    made = tile_settings(KNOWN_ARGUMENTS, Settings.DEFAULT, own, altaz_cleanup=False, tile_id=0)
    assert made.arguments["parsed_winsor_limits"] == [0.05, 0.05]
    assert made.arguments["winsor_pool_workers"] == os.cpu_count()


def test_plain_settings_are_what_our_own_function_does() -> None:
    parameters = inspect_checkout(ROOT).functions["create_master_tile"].parameters
    made = tile_settings(parameters, Settings.PLAIN, {}, altaz_cleanup=False, tile_id=0, changes={"altaz_decay": 0.3})
    assert made.rejection == "kappa_sigma"
    assert set(made.arguments) <= set(parameters)
    assert (made.arguments["stack_norm_method"], made.arguments["altaz_decay"]) == ("none", 0.3)
    assert "dbg_tile_ids" not in made.arguments


@pytest.mark.parametrize(
    ("version", "frames", "settings", "measured_gib"),
    [
        (BEFORE, 4, Settings.PLAIN, 1.92),
        (JANUARY, 6, Settings.PLAIN, 2.51),
        (APRIL, 12, Settings.PLAIN, 4.56),
        (BEFORE, 4, Settings.DEFAULT, 9.66),
        (BEFORE, 12, Settings.DEFAULT, 18.2),
        (JANUARY, 6, Settings.DEFAULT, 4.25),
        (APRIL, 4, Settings.DEFAULT, 3.68),
    ],
)
def test_memory_is_estimated_a_little_over_what_was_measured(
    version: Version, frames: int, settings: Settings, measured_gib: float
) -> None:
    made = tile_settings(KNOWN_ARGUMENTS, settings, {}, altaz_cleanup=False, tile_id=0)
    estimated = estimate_master_tile_bytes(frames, (1920, 1080, 3), made, version.winsorized_memory)
    assert measured_gib < estimated / 2**30 < 1.25 * measured_gib
