"""What ``zemo-diag gating`` finds out, as plain frozen data.

Index order is ``[y, x]`` or ``[y, x, channel]`` throughout. Nothing in here holds a full path, a site
coordinate or a serial number: what is not here cannot leak into a report.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..zemosaic.mount_mode import Mode


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
        One of `Mode`, or ``"EQMODE_"`` and the odd value.
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


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What is decided over a tile from one kind of entries.

    Attributes
    ----------
    eqmode : str or None
        The group's mode; None where the version does not ask for it, or where asking failed.
    tile_enabled : bool or None
        Whether the tile is cleaned; None where that is not known.
    log_line : str or None
        The line that is logged of it.
    raised : str
        What the function raised that was asked, else empty.
    expected : str or None
        The mode by the table of known versions, where the function that was asked says another.
    changed : bool
        Whether the function that was asked changed the entries.
    opened : tuple of str
        Files that it opened.
    """

    eqmode: str | None
    tile_enabled: bool | None
    log_line: str | None = None
    raised: str = ""
    expected: str | None = None
    changed: bool = False
    opened: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class VersionTile:
    """What one ZeMosaic does with a tile.

    Attributes
    ----------
    version : str
        Name of the version, or of the checkout.
    decided : Decided
        From entries as its Phase 1 makes them: what happens.
    by_filter : Decided
        From entries as its filter window makes them, which never get there: what it would do.
    """

    version: str
    decided: Decided
    by_filter: Decided


@dataclass(frozen=True, kw_only=True)
class VersionRun:
    """What one ZeMosaic does with a run.

    Attributes
    ----------
    name, title : str
        Its name, and as a phrase.
    bundled : bool
        Whether it is the patch that the tool carries.
    has_inference : bool
        Whether it asks a group for its mode.
    effective : bool or None
        The cleanup flag as the run uses it; None where that is not known.
    without_filter : bool or None
        The same for a run that does not come from the filter window, whose counts are then all 0.
    log_lines : tuple of str
        The lines that it logs of the run, the summary first.
    """

    name: str
    title: str
    bundled: bool
    has_inference: bool
    effective: bool | None
    without_filter: bool | None
    log_lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CheckoutGating:
    """A ZeMosaic whose functions were asked.

    Attributes
    ----------
    version : str or None
        The known version that it is like, whose rules give its flags: these stand within longer functions that cannot
        be called.
    notes : tuple of str
        What can and cannot be judged of it, a sentence each.
    how : tuple of str
        How its functions were run, a sentence each.
    problem : str
        Why its functions could not be asked, else empty.
    """

    version: str | None
    notes: tuple[str, ...]
    how: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class TileGating:
    """What Phase 3 decides for one tile, and what it rests on.

    Attributes
    ----------
    tile_id : int
        Number of the tile, counted from 1; lines of a log count from 0.
    name : str
        Where its frames come from: a sub-folder, or a panel.
    frames : int
        How many.
    counts : ModeCounts
        What they say of their mount mode.
    eqmode : Mode
        Inferred by the bundled patch.
    evidence : str
        Which key of which entry said so, and how many others agree.
    deciding_index : int or None
        Index of the entry that decided.
    tile_enabled, before_enabled : bool
        Whether the bundled patch cleans the tile, and whether ZeMosaic before the patch does.
    reason : str
        Why the patch cleans the tile, or not.
    log_line : str
        The line that the patch logs for it.
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
    versions : tuple of VersionTile
        What each ZeMosaic of the run's list does with it, in the same order.
    """

    tile_id: int
    name: str
    frames: int
    counts: ModeCounts
    eqmode: Mode
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
    versions: tuple[VersionTile, ...] = ()

    def by(self, version: str) -> VersionTile:
        """Give what one ZeMosaic of the list does with it."""
        return next(one for one in self.versions if one.version == version)


@dataclass(frozen=True, kw_only=True)
class RunGating:
    """The gating of a whole run.

    Attributes
    ----------
    tiles : tuple of TileGating
        Every tile.
    summary_line : str
        The ``WORKER_EQMODE_SUMMARY`` line of the patch.
    eq, altaz, unknown : int
        Its counts of frames.
    requested, effective : bool
        The cleanup flag as asked for, and as the patch uses it.
    reason : str
        Why the effective flag is what it is.
    log_message : str or None
        The line that the patch logs where the two differ.
    versions : tuple of VersionRun
        What each ZeMosaic does that the tiles are told for.
    asked_about : str or None
        The one of them that the user asked about; None: about all that are known.
    checkout : CheckoutGating or None
        The ZeMosaic whose functions were asked, where one was named.
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
    versions: tuple[VersionRun, ...] = ()
    asked_about: str | None = None
    checkout: CheckoutGating | None = None

    def subject(self) -> VersionRun | None:
        """Give the ZeMosaic that the user asked about, where it is not all, nor the patch."""
        asked = (one for one in self.versions if one.name == self.asked_about and not one.bundled)
        return next(asked, None)
