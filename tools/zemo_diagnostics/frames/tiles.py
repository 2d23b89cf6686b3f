"""From frames to tiles: one per sub-folder, or grouped by pointing and mount mode as ZeMosaic does it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..zemosaic.mount_mode import Mode
from ..zemosaic.versions import BUNDLED, infer
from .entries import Frame, Scan
from .pointing import separations_deg

DEFAULT_PANEL_DEG = 0.05


@dataclass(frozen=True)
class Tile:
    """The frames of one master tile.

    Attributes
    ----------
    tile_id : int
        Counted from 1.
    name : str
        Sub-folder, or panel.
    frames : tuple of Frame
        In ZeMosaic's order.
    """

    tile_id: int
    name: str
    frames: tuple[Frame, ...]

    @property
    def entries(self) -> list[dict[str, Any]]:
        """What ZeMosaic's functions see."""
        return [frame.entry for frame in self.frames]


def choose_grouping(scan: Scan) -> str:
    """Choose ``"folder"`` where sub-folders hold frames, else ``"pointing"``."""
    return "folder" if any("/" in frame.name for frame in scan.frames) else "pointing"


def group_frames(
    scan: Scan,
    *,
    group_by: str | None = None,
    panel_deg: float = DEFAULT_PANEL_DEG,
    split: bool = True,
) -> tuple[str, tuple[Tile, ...]]:
    """Group the frames of a scan into tiles.

    Parameters
    ----------
    scan : Scan
        The frames.
    group_by : {"folder", "pointing", "all"}, optional
        Chosen by `choose_grouping` where it is not given.
    panel_deg : float
        Frames nearer than this to the first frame of a panel belong to it, degrees.
    split : bool
        Whether panels that mix both mount modes are split, as ZeMosaic's Qt filter does, by what each frame states to
        the bundled patch. Sub-folders never are: they are the user's own tiles.

    Returns
    -------
    str, tuple of Tile
        The grouping used, and the tiles.
    """
    grouping = group_by or choose_grouping(scan)
    if grouping == "folder":
        groups = _by_folder(scan.frames)
    elif grouping == "pointing":
        groups = _by_pointing(scan.frames, panel_deg)
    else:
        groups = [("all frames", list(scan.frames))]
    if split and grouping != "folder":
        groups = [part for name, frames in groups for part in _split_by_mode(name, frames)]
    return grouping, tuple(Tile(i, name, tuple(frames)) for i, (name, frames) in enumerate(groups, start=1))


def _by_folder(frames: Iterable[Frame]) -> list[tuple[str, list[Frame]]]:
    """Give each folder that holds frames; loose files of the top folder are a tile named ``.``."""
    groups: dict[str, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(frame.name.rpartition("/")[0] or ".", []).append(frame)
    return list(groups.items())


def _by_pointing(frames: Iterable[Frame], panel_deg: float) -> list[tuple[str, list[Frame]]]:
    """Cluster greedily: a frame joins the first panel whose first frame is nearer than `panel_deg`."""
    panels: list[list[Frame]] = []
    centers = np.empty((0, 2))
    nowhere: list[Frame] = []
    for frame in frames:
        center = frame.center_deg
        if center is None:
            nowhere.append(frame)
            continue
        near = np.flatnonzero(separations_deg(center, centers) < panel_deg)
        if near.size:
            panels[near[0]].append(frame)
        else:
            panels.append([frame])
            centers = np.vstack([centers, center])
    groups = [(f"panel {i}", panel) for i, panel in enumerate(panels, start=1)]
    return groups + ([("no pointing", nowhere)] if nowhere else [])


def _split_by_mode(name: str, frames: Sequence[Frame]) -> list[tuple[str, list[Frame]]]:
    """Split a panel of both modes; frames that state neither follow the majority, EQ where it is even."""
    modes = [stated_mode(frame) for frame in frames]
    if not {Mode.EQ, Mode.ALT_AZ} <= set(modes):
        return [(name, list(frames))]
    majority = Mode.ALT_AZ if modes.count(Mode.ALT_AZ) > modes.count(Mode.EQ) else Mode.EQ
    parts: dict[Mode, list[Frame]] = {}
    for frame, mode in zip(frames, modes, strict=True):
        parts.setdefault(majority if mode is Mode.UNKNOWN else mode, []).append(frame)
    return [(f"{name} {mode}", part) for mode, part in parts.items()]


def stated_mode(frame: Frame) -> Mode:
    """Give the mount mode that one frame states, as the bundled patch reads it."""
    return infer(BUNDLED.inference, [frame.entry])[0]
