"""What the tests of Phase 3 share: small skies, entries, and a log that is kept."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from zemo_diagnostics.demo import simulator
from zemo_diagnostics.demo.sample_groups import FIELD_DEC_DEG, FIELD_RA_DEG
from zemo_diagnostics.demo.simulator import Camera, Pose, Shot, Sky

FloatArray = npt.NDArray[np.float32]

SKY = Sky(ra_deg=FIELD_RA_DEG, dec_deg=FIELD_DEC_DEG, radius_deg=0.2, stars_per_deg2=24000.0, trails_per_frame=0.0)
CAMERA = Camera(shape=(160, 120))


def sky_frame(number: int = 0, pose: Pose | None = None, camera: Camera = CAMERA) -> FloatArray:
    """One frame of the sky, float32 (H, W, 3)."""
    shot = Shot(ra_deg=FIELD_RA_DEG, dec_deg=FIELD_DEC_DEG, exposure_s=10.0, key=(7, 3, number), pose=pose or Pose())
    frame: FloatArray = simulator.colour_frame(SKY, camera, shot, fixed_defects=False)
    return frame


def shifted_frames(count: int, step_px: float = 1.5) -> list[FloatArray]:
    """Frames whose field wanders over the sensor."""
    return [sky_frame(i, Pose(step_px * i, -step_px * i, 0.1 * i)) for i in range(count)]


def save_group(folder: Path, frames: list[FloatArray], **keys: Any) -> list[dict[str, Any]]:
    """Entries of cached frames, as Phase 1 leaves them; `keys` go into each."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for i, frame in enumerate(frames):
        path = folder / f"frame_{i:02d}.npy"
        np.save(path, frame)
        header = fits.Header([("OBJECT", "M 16"), ("FILTER", "IRCUT"), ("GAIN", 80), ("EXPTIME", 10.0)])
        entry = {"path_raw": str(folder / f"Light_{i:02d}.fit"), "path_preprocessed_cache": str(path)}
        entries.append({**entry, "header": header, **keys})
    return entries


@dataclass
class Log:
    """Keeps what a progress callback gets."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, message: str, _percent: float | None, level: str, **_: Any) -> None:
        self.lines.append((level, message))

    def matching(self, pattern: str) -> list[str]:
        """Messages that a pattern matches from their start."""
        return [message for _, message in self.lines if re.match(pattern, message)]

    def levels_of(self, pattern: str) -> set[str]:
        return {level for level, message in self.lines if re.match(pattern, message)}


def scratch_left(folder: Path) -> list[str]:
    """Names of scratch folders that are still there."""
    return sorted(path.name for path in folder.glob(".phase3_scratch*"))
