"""The settings that a checkout's ``create_master_tile`` is called with: ZeMosaic's own defaults, or like for like."""

from __future__ import annotations

import math
import os
from collections.abc import Container, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Settings(str, Enum):
    """Which settings a master tile is built with.

    Attributes
    ----------
    DEFAULT
        What a run of ZeMosaic has whose user changed nothing: winsorized rejection, weights by noise, a linear fit.
    PLAIN
        What this project's own function does too, so that pixels can be compared: kappa-sigma, nothing else.
    """

    DEFAULT = "default"
    PLAIN = "plain"


# For each parameter: the setting that ZeMosaic fills it from, and the value where its configuration has none.
_FROM_SETTINGS: dict[str, tuple[str, Any]] = {
    "stack_norm_method": ("stacking_normalize_method", "linear_fit"),
    "stack_weight_method": ("stacking_weighting_method", "noise_variance"),
    "stack_reject_algo": ("stacking_rejection_algorithm", "winsorized_sigma_clip"),
    "stack_kappa_low": ("stacking_kappa_low", 3.0),
    "stack_kappa_high": ("stacking_kappa_high", 3.0),
    "parsed_winsor_limits": ("stacking_winsor_limits", "0.05,0.05"),
    "stack_final_combine": ("stacking_final_combine_method", "mean"),
    "poststack_equalize_rgb": ("poststack_equalize_rgb", True),
    "apply_radial_weight": ("apply_radial_weight", False),
    "radial_feather_fraction": ("radial_feather_fraction", 0.8),
    "radial_shape_power": ("radial_shape_power", 2.0),
    "min_radial_weight_floor": ("min_radial_weight_floor", 0.0),
    "quality_crop_enabled": ("quality_crop_enabled", False),
    "quality_crop_band_px": ("quality_crop_band_px", 32),
    "quality_crop_k_sigma": ("quality_crop_k_sigma", 2.0),
    "quality_crop_margin_px": ("quality_crop_margin_px", 8),
    "quality_crop_min_run": ("quality_crop_min_run", 2),
    "altaz_margin_percent": ("altaz_margin_percent", 5.0),
    "altaz_decay": ("altaz_decay", 0.15),
    "altaz_nanize": ("altaz_nanize", True),
    "quality_gate_enabled": ("quality_gate_enabled", False),
    "quality_gate_threshold": ("quality_gate_threshold", 0.48),
    "quality_gate_edge_band_px": ("quality_gate_edge_band_px", 64),
    "quality_gate_k_sigma": ("quality_gate_k_sigma", 2.5),
    "quality_gate_erode_px": ("quality_gate_erode_px", 3),
    "winsor_pool_workers": ("winsor_worker_limit", 0),
    "winsor_max_frames_per_pass": ("winsor_max_frames_per_pass", 0),
}

# The same whatever the settings: nothing is solved here, and nothing is moved.
_FIXED: dict[str, Any] = {
    "quality_gate_move_rejects": False,
    "astap_exe_path_global": "",
    "astap_data_dir_global": "",
    "astap_search_radius_global": 3.0,
    "astap_downsample_global": 2,
    "astap_sensitivity_global": 100,
    "astap_timeout_seconds_global": 180,
}

_PLAIN: dict[str, Any] = {
    "stack_norm_method": "none",
    "stack_weight_method": "none",
    "stack_reject_algo": "kappa_sigma",
    "stack_kappa_low": 3.0,
    "stack_kappa_high": 3.0,
    "stack_final_combine": "mean",
    "poststack_equalize_rgb": False,
    "apply_radial_weight": False,
    "quality_crop_enabled": False,
    "quality_gate_enabled": False,
}
_OPTIONAL_WHEN_PLAIN: dict[str, Any] = {"allow_batch_duplication": False}

_DECIDED = ("altaz_cleanup_enabled", "dbg_tile_ids")

KNOWN_ARGUMENTS = frozenset({*_FROM_SETTINGS, *_FIXED, *_OPTIONAL_WHEN_PLAIN, *_DECIDED})

# Memory of one tile, in frames as they are padded to a square of the diagonal: so many in all, and so many for each
# frame. Measured as the highest resident memory of the released versions on 4 to 12 frames of 1080 x 1920.
_PROCESS_BYTES = 400 << 20
_PADDED_FRAMES = (5.0, 7.0)
MOST_PADDED_FRAMES = (75.0, 26.0)
_REPEATED_TO = 5  # groups of fewer frames are filled up with copies


@dataclass(frozen=True)
class TileSettings:
    """What a tile is built with: the arguments for ``create_master_tile``, and the rejection among them."""

    arguments: dict[str, Any]
    rejection: str


def tile_settings(
    parameters: Container[str],
    settings: Settings,
    defaults: Mapping[str, Any],
    *,
    altaz_cleanup: bool,
    tile_id: int,
    changes: Mapping[str, Any] | None = None,
) -> TileSettings:
    """Make the arguments for a checkout's ``create_master_tile``.

    Parameters
    ----------
    parameters : container of str
        Names of that function's parameters: only what it takes is given.
    settings : Settings
        Which ones.
    defaults : mapping
        The checkout's own default settings, see `default_settings`.
    altaz_cleanup : bool, keyword-only
        The tile's flag.
    tile_id : int, keyword-only
        Number of the tile; its coverage is logged.
    changes : mapping, optional
        Arguments that are to be other than those.
    """
    arguments = {name: _value(name, defaults.get(key, value)) for name, (key, value) in _FROM_SETTINGS.items()}
    arguments |= _FIXED
    if settings is Settings.PLAIN:
        arguments |= _PLAIN | _OPTIONAL_WHEN_PLAIN
    arguments |= {"altaz_cleanup_enabled": altaz_cleanup, "dbg_tile_ids": [tile_id], **(changes or {})}
    taken = {name: value for name, value in arguments.items() if name in parameters}
    return TileSettings(taken, str(arguments["stack_reject_algo"]))


def _value(name: str, setting: Any) -> Any:
    """Bring a setting to what the function wants."""
    if name == "parsed_winsor_limits" and isinstance(setting, str):
        return _winsor_limits(setting)
    if name == "winsor_pool_workers":
        cores = os.cpu_count() or 1
        return max(1, min(int(setting) or cores, cores))
    return setting


def _winsor_limits(text: str) -> list[float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        return [0.05, 0.05]
    return [low, high]


def estimate_master_tile_bytes(
    frames: int,
    shape: tuple[int, ...],
    settings: TileSettings,
    winsorized: tuple[float, float] = MOST_PADDED_FRAMES,
) -> int:
    """Estimate the memory that a released ZeMosaic takes for one master tile.

    Parameters
    ----------
    frames : int
        Frames of the group.
    shape : (H, W, C)
        Of one frame.
    settings : TileSettings
        Winsorized rejection takes more than others.
    winsorized : (in all, for each frame)
        What that takes, in padded frames, see `versions.Version`.
    """
    side = math.ceil(math.hypot(*shape[:2]))
    padded = 4 * side * side * math.prod(shape[2:])
    if settings.arguments.get("allow_batch_duplication", True):
        frames = max(frames, _REPEATED_TO)
    in_all, for_each = winsorized if settings.rejection == "winsorized_sigma_clip" else _PADDED_FRAMES
    return int(_PROCESS_BYTES + padded * (in_all + for_each * frames))
