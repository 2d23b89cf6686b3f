"""What ``zemo-diag phase3`` finds out of the masters it builds, as plain frozen data.

Two rules are compared: *before*, the code before the patch, which hands the user's cleanup flag to every tile; and
*patched*, which cleans a tile only where it is alt-az. *Blank* and *valid* are meant as in `results_masters`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..masters.data import MasterVerdict

BEFORE, PATCHED = "before", "patched"
RULES = (BEFORE, PATCHED)

# From this part of blank pixels on nothing is left that a mosaic could use; `masters` calls such a tile nearly empty.
WIPED_FRACTION = 0.9


@dataclass(frozen=True)
class TileBuild:
    """One master as it was built, and measured from its file.

    Attributes
    ----------
    file : str or None
        Below the output folder; None where the tile failed.
    cleanup_enabled : bool
        The flag that the tile was built with.
    verdict : MasterVerdict or None
        What its pixels come to; None where the tile failed.
    frames, stacked : int
        Frames of the group, and those in the master.
    not_placed, dropped, unreadable, placed_by_wcs : tuple of str
        File names: frames that could not be aligned (they went to a retry tile, or were dropped after the last try),
        those that were dropped, those that could not be read, and those placed by their WCS.
    rejected_pct : float or None
        Samples that the stack rejected, percent.
    pixels, blank_pixels, valid_pixels : int
        Of the master; 0 where there is none.
    medians : tuple of float or None
        Of each channel, ADU.
    mask_dropped : bool
        Whether the cleanup's 10 % guard stepped in, so that nothing was blanked.
    error : str or None
        Why the tile failed.
    """

    file: str | None
    cleanup_enabled: bool
    verdict: MasterVerdict | None
    frames: int
    stacked: int
    not_placed: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    placed_by_wcs: tuple[str, ...] = ()
    rejected_pct: float | None = None
    pixels: int = 0
    blank_pixels: int = 0
    valid_pixels: int = 0
    medians: tuple[float | None, ...] = ()
    mask_dropped: bool = False
    error: str | None = None

    @property
    def blank_fraction(self) -> float | None:
        """Part of the master's pixels that are blank; None without a master."""
        return self.blank_pixels / self.pixels if self.pixels else None

    @property
    def wiped(self) -> bool:
        """Whether next to nothing is left of it: it is empty, or nine tenths of it are blank."""
        return self.verdict is MasterVerdict.EMPTY or (self.blank_fraction or 0.0) >= WIPED_FRACTION

    @property
    def valid_fraction(self) -> float | None:
        """Part of the master's pixels with every channel finite; None without a master."""
        return self.valid_pixels / self.pixels if self.pixels else None


@dataclass(frozen=True)
class TilePhase3:
    """One tile under both rules.

    Attributes
    ----------
    tile_id : int
        Its number; that of the patched run, where a retry tile has another number in each.
    name : str
        Where its frames come from: a sub-folder, or a panel.
    eqmode : str
        ``"EQ"``, ``"ALT_AZ"`` or ``"UNKNOWN"``.
    frames : int
        Frames of its group.
    before_enabled, patched_enabled : bool
        The cleanup flag that each rule gives it.
    retry_of : int or None
        The tile whose frames these are, tried again.
    before, patched : TileBuild or None
        None where it was not built: not asked for, or not reached.
    same_bytes : bool
        Whether the flag is the same under both rules: then it was built once, and the other file is a copy.
    picture : str or None
        The picture of both, below the output folder.
    """

    tile_id: int
    name: str
    eqmode: str
    frames: int
    before_enabled: bool
    patched_enabled: bool
    retry_of: int | None = None
    before: TileBuild | None = None
    patched: TileBuild | None = None
    same_bytes: bool = False
    picture: str | None = None


@dataclass(frozen=True)
class BuildPlan:
    """What the run was expected to take, and what was there.

    Attributes
    ----------
    masters : int
        Masters that were to be built; those that are only copied, or were there from an earlier run, not counted.
    at_a_time : int
        Tiles in flight at most.
    memory_bytes : int
        What these take at most, over what the process holds already.
    memory_limit_bytes, memory_limit_source : int, str
        What may be taken, and what says so.
    disk_bytes, disk_free_bytes : int
        What masters, pictures and scratch take at most together, and what the disk had free.
    """

    masters: int
    at_a_time: int
    memory_bytes: int
    memory_limit_bytes: int
    memory_limit_source: str
    disk_bytes: int
    disk_free_bytes: int


@dataclass(frozen=True)
class RunPhase3:
    """Phase 3 run on a folder of frames, with one rule or with both.

    Attributes
    ----------
    tiles : tuple of TilePhase3
        Every tile, retry tiles among them.
    rules : tuple of str
        ``"before"``, ``"patched"``: those that were asked for.
    plan : BuildPlan
        What it was expected to take.
    dry_run : bool
        Whether nothing was built, as asked.
    summary_line : str
        ZeMosaic's ``WORKER_EQMODE_SUMMARY`` line.
    requested, effective : bool
        The cleanup flag as asked for, and as the patched run uses it.
    reason : str
        Why the effective flag is what it is.
    log_message : str or None
        The line that ZeMosaic logs where the two differ.
    built, copied, kept : int
        Masters that were built, copied since their flag is the same under both rules, and kept from an earlier run.
    disk_full : bool
        Whether the disk became full, which ended the run.
    no_pictures : str
        Why there are no pictures; empty where there are.
    """

    tiles: tuple[TilePhase3, ...]
    rules: tuple[str, ...]
    plan: BuildPlan
    dry_run: bool
    summary_line: str
    requested: bool
    effective: bool
    reason: str
    log_message: str | None
    built: int = 0
    copied: int = 0
    kept: int = 0
    disk_full: bool = False
    no_pictures: str = ""
