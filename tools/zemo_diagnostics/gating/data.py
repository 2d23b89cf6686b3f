"""What ``zemo-diag gating`` finds out, as plain frozen data.

Index order is ``[y, x]`` or ``[y, x, channel]`` throughout. Nothing in here holds a full path, a site
coordinate or a serial number: what is not here cannot leak into a report.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModeCounts:
    """Frames of a tile by the mount mode they state.

    Attributes
    ----------
    eq, altaz, unknown : int
        Of the three modes.
    other : int
        With an EQMODE that is neither 0 nor 1.
    """

    eq: int
    altaz: int
    unknown: int
    other: int

    @property
    def total(self) -> int:
        """All frames of the tile."""
        return self.eq + self.altaz + self.unknown + self.other


@dataclass(frozen=True)
class FrameMode:
    """What one frame says.

    Attributes
    ----------
    name : str
        The file.
    mode : str
        ``"EQ"``, ``"ALT_AZ"``, ``"UNKNOWN"``, or ``"EQMODE_"`` and the odd value.
    """

    name: str
    mode: str


@dataclass(frozen=True)
class TelescopeFrames:
    """One telescope of a tile.

    Attributes
    ----------
    name : str
        Its model without a serial, and which unit: "Seestar S50", "Seestar S50 (second unit)".
    frames : int
        Frames of it.
    """

    name: str
    frames: int


@dataclass(frozen=True)
class ShapeFrames:
    """One shape of a tile's frames.

    Attributes
    ----------
    shape : str
        Height first: "1920 × 1080".
    frames : int
        Frames of it.
    """

    shape: str
    frames: int


# What a telescope is called where no header names it.
NOT_NAMED = "not named"


@dataclass(frozen=True)
class TileGating:
    """What Phase 3 decides for one tile, and what it rests on.

    Attributes
    ----------
    tile_id : int
        Number of the tile.
    name : str
        Where its frames come from: a sub-folder, or a panel.
    frames : int
        How many.
    counts : ModeCounts
        What they say of their mount mode.
    eqmode : str
        Inferred by ZeMosaic's function: ``"EQ"``, ``"ALT_AZ"``, ``"UNKNOWN"``.
    evidence : str
        Which key of which entry said so, and how many others agree.
    deciding_index : int or None
        Index of the entry that decided.
    tile_enabled, before_enabled : bool
        Whether the patched code cleans the tile, and whether the code before the patch did.
    reason : str
        Why the tile is cleaned or not.
    log_line : str
        The line that ZeMosaic logs for it.
    frame_modes : tuple of FrameMode
        What each frame says, in order.
    telescopes : tuple of TelescopeFrames
        The telescopes.
    shapes : tuple of ShapeFrames
        The shapes of the frames.
    stacked_frames : tuple of str
        Names of files that are already stacks (STACKCNT over 1).
    without_pointing : int
        Frames whose headers say no pointing.
    """

    tile_id: int
    name: str
    frames: int
    counts: ModeCounts
    eqmode: str
    evidence: str
    deciding_index: int | None
    tile_enabled: bool
    before_enabled: bool
    reason: str
    log_line: str
    frame_modes: tuple[FrameMode, ...]
    telescopes: tuple[TelescopeFrames, ...]
    shapes: tuple[ShapeFrames, ...]
    stacked_frames: tuple[str, ...] = ()
    without_pointing: int = 0


@dataclass(frozen=True)
class RunGating:
    """The gating of a whole run.

    Attributes
    ----------
    tiles : tuple of TileGating
        Every tile.
    summary_line : str
        ZeMosaic's ``WORKER_EQMODE_SUMMARY`` line.
    eq, altaz, unknown : int
        Its counts of frames.
    requested, effective : bool
        The cleanup flag as asked for, and as the run uses it.
    reason : str
        Why the effective flag is what it is.
    log_message : str or None
        The line that ZeMosaic logs where the two differ.
    """

    tiles: tuple[TileGating, ...]
    summary_line: str
    eq: int
    altaz: int
    unknown: int
    requested: bool
    effective: bool
    reason: str
    log_message: str | None
