"""What ``zemo-diag phase3`` finds out of the masters it builds, as plain frozen data.

The same tiles are built in several ways (`Rule`): as ZeMosaic did before the patch, by its rule alone with the
footprint the right way round, with the patch, and by a ZeMosaic that the user names. *Blank* and *valid* are meant as
in `masters`; of a master that is padded, what is around its frame counts as neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ..masters.data import MasterVerdict, OneFrame


class Rule(str, Enum):
    """In which way a master is built; also the folder that it goes to."""

    ZEMOSAIC = "zemosaic"
    BEFORE = "before"
    RULE_ALONE = "rule_alone"
    PATCHED = "patched"

    def __str__(self) -> str:
        """Give its name, also where it is formatted."""
        return self.value


RULES = tuple(Rule)
BUNDLED_RULES = (Rule.BEFORE, Rule.RULE_ALONE, Rule.PATCHED)
ZEMOSAIC_RULES = (Rule.ZEMOSAIC, Rule.PATCHED)

# From this part of blank pixels on nothing is left that a mosaic could use; `masters` calls such a tile nearly empty.
WIPED_FRACTION = 0.9


class BuildOutcome(str, Enum):
    """What became of one master: kept, of one frame's light alone, wiped (nine tenths of it blank), empty, failed."""

    KEPT = "kept"
    ONE_FRAME = "one frame's light"
    WIPED = "wiped"
    EMPTY = "empty"
    FAILED = "failed"

    @property
    def is_lost(self) -> bool:
        """Whether next to nothing is left of what its frames hold."""
        return self in (BuildOutcome.ONE_FRAME, BuildOutcome.WIPED, BuildOutcome.EMPTY)


class TileVerdict(str, Enum):
    """What became of one tile.

    Kept; lost before the patch (or by the ZeMosaic under test) and kept by it; lost with the patch, too; dead, since
    its lights hold no signal; failed; not reached.
    """

    KEPT = "kept"
    SAVED = "lost, and kept by the patch"
    LOST = "lost"
    DEAD = "dead"
    FAILED = "failed"
    NOT_REACHED = "not reached"


@dataclass(frozen=True, kw_only=True)
class PixelComparison:
    """The master of the ZeMosaic under test held against the patched one, in the middle of the frame.

    Attributes
    ----------
    pixels : int
        Pixels compared.
    slope : float
        Of a line through the values, one's against the other's.
    constant : float
        What was taken off, ADU: the median difference.
    median_difference : float
        Median of what is left of the differences, without their sign, ADU.
    sky_noise : float
        Of the patched master, ADU.
    """

    pixels: int
    slope: float
    constant: float
    median_difference: float
    sky_noise: float


@dataclass(frozen=True, kw_only=True)
class TileBuild:
    """One master as it was built, and measured from its file.

    Attributes
    ----------
    file : str or None
        Below the output folder; None where the tile failed.
    cleanup_enabled : bool
        The flag that the tile was built with.
    outcome : BuildOutcome
        What became of it.
    verdict : MasterVerdict or None
        What its pixels come to; None where the tile failed.
    same_as : Rule or None
        The rule whose master this is a copy of, since both are built the same.
    frames, stacked : int
        Frames of the group, and those in the master.
    not_placed, dropped, unreadable, placed_by_wcs : tuple of str
        File names: frames that could not be aligned (they went to a retry tile, or were dropped after the last try),
        those that were dropped, those that could not be read, and those placed by their WCS.
    pointed : int
        Frames without a WCS that were handed to ZeMosaic with one made of their pointing.
    repeated_to : int
        To how many frames ZeMosaic filled the group up with copies; 0 where it did not.
    rejected_pct : float or None
        Samples that the stack rejected, percent.
    pixels, blank_pixels, valid_pixels : int
        Of the master within its padding; 0 where there is none.
    padding_fraction : float
        Part of the whole master that is padding.
    medians : tuple of float or None
        Of each channel, ADU.
    mask_dropped : bool
        Whether the cleanup's 10 % guard stepped in, so that nothing was blanked.
    cleanup_missing : str
        Why ZeMosaic could not load its cleanup, so that it built the tile without, silently; else empty.
    reference : str
        File name of the frame that the others were aligned on.
    one_frame : OneFrame or None
        How it compares with that frame; None where that was not asked.
    wcs_shift_px : float or None
        How far its WCS is off, since it did not move along with the padding, pixels; None without padding.
    error : str or None
        Why the tile failed.
    """

    file: str | None
    cleanup_enabled: bool
    outcome: BuildOutcome
    verdict: MasterVerdict | None
    same_as: Rule | None = None
    frames: int
    stacked: int
    not_placed: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    placed_by_wcs: tuple[str, ...] = ()
    pointed: int = 0
    repeated_to: int = 0
    rejected_pct: float | None = None
    pixels: int = 0
    blank_pixels: int = 0
    valid_pixels: int = 0
    padding_fraction: float = 0.0
    medians: tuple[float | None, ...] = ()
    mask_dropped: bool = False
    cleanup_missing: str = ""
    reference: str = ""
    one_frame: OneFrame | None = None
    wcs_shift_px: float | None = None
    error: str | None = None

    @property
    def blank_fraction(self) -> float | None:
        """Part of the master's pixels that are blank; None without a master."""
        return self.blank_pixels / self.pixels if self.pixels else None

    @property
    def valid_fraction(self) -> float | None:
        """Part of the master's pixels with every channel finite; None without a master."""
        return self.valid_pixels / self.pixels if self.pixels else None


def build_outcome(
    verdict: MasterVerdict | None, blank_fraction: float | None, one_frame: OneFrame | None
) -> BuildOutcome:
    """Say what became of a master: by what its pixels come to, and by whose light they hold."""
    if verdict is None:
        return BuildOutcome.FAILED
    if verdict is MasterVerdict.EMPTY:
        return BuildOutcome.EMPTY
    if (blank_fraction or 0.0) >= WIPED_FRACTION:
        return BuildOutcome.WIPED
    return BuildOutcome.ONE_FRAME if one_frame is not None and one_frame.is_one_frame else BuildOutcome.KEPT


@dataclass(frozen=True)
class RuleFlag:
    """The cleanup flag that a rule gives a tile.

    Attributes
    ----------
    rule : Rule
        The rule.
    cleanup_enabled : bool
        The flag.
    """

    rule: Rule
    cleanup_enabled: bool


@dataclass(frozen=True, kw_only=True)
class TilePhase3:
    """One tile, built in each way that was asked for.

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
    flags : tuple of RuleFlag
        The cleanup flag that each rule gives it, of those that were asked for.
    zemosaic_unknown : bool
        Whether a ZeMosaic under test does not know its mode, by the headers that its Phase 1 hands on.
    verdict : TileVerdict
        What became of it.
    retry_of : int or None
        The tile whose frames these are, tried again.
    zemosaic, before, rule_alone, patched : TileBuild or None
        None where it was not built: not asked for, or not reached.
    comparison : PixelComparison or None
        Pixels of ZeMosaic's master and of the patched one, where both were built alike.
    picture : str or None
        The picture of all, below the output folder.
    """

    tile_id: int
    name: str
    eqmode: str
    frames: int
    flags: tuple[RuleFlag, ...]
    zemosaic_unknown: bool = False
    verdict: TileVerdict = TileVerdict.NOT_REACHED
    retry_of: int | None = None
    zemosaic: TileBuild | None = None
    before: TileBuild | None = None
    rule_alone: TileBuild | None = None
    patched: TileBuild | None = None
    comparison: PixelComparison | None = None
    picture: str | None = None

    def build(self, rule: Rule) -> TileBuild | None:
        """Give the master that was built in one way."""
        build: TileBuild | None = getattr(self, rule.value)
        return build

    def flag(self, rule: Rule) -> bool | None:
        """Give the cleanup flag of one rule; None where it was not asked for."""
        return next((one.cleanup_enabled for one in self.flags if one.rule is rule), None)

    def builds(self) -> list[tuple[Rule, TileBuild]]:
        """Give the masters that there are."""
        return [(rule, build) for rule in RULES if (build := self.build(rule)) is not None]


def tile_verdict(builds: Sequence[tuple[Rule, TileBuild]]) -> TileVerdict:
    """Say what became of a tile, by its masters."""
    if not builds:
        return TileVerdict.NOT_REACHED
    outcomes = {rule: build.outcome for rule, build in builds}
    if BuildOutcome.FAILED in outcomes.values():
        return TileVerdict.FAILED
    # Of a ZeMosaic alone it cannot be told whether its lights are dead: some write 0 for what they blank.
    if all(_is_dead(build) for _, build in builds) and set(outcomes) != {Rule.ZEMOSAIC}:
        return TileVerdict.DEAD
    patched = outcomes.get(Rule.PATCHED)
    if patched is not None and patched.is_lost:
        return TileVerdict.LOST
    others = [outcome for rule, outcome in outcomes.items() if rule is not Rule.PATCHED]
    return TileVerdict.SAVED if any(outcome.is_lost for outcome in others) else TileVerdict.KEPT


def _is_dead(build: TileBuild) -> bool:
    """Tell whether a master is as good as empty, and not for the cleanup: that writes NaN, dead lights leave zeros."""
    if build.outcome not in (BuildOutcome.EMPTY, BuildOutcome.WIPED):
        return False
    cleaned = build.cleanup_enabled and not build.mask_dropped
    return not (cleaned and 1.0 - (build.valid_fraction or 0.0) >= WIPED_FRACTION)


@dataclass(frozen=True, kw_only=True)
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
    zemosaic_masters, zemosaic_at_a_time, zemosaic_memory_bytes : int
        The same of the ZeMosaic under test, which builds by itself.
    """

    masters: int
    at_a_time: int
    memory_bytes: int
    memory_limit_bytes: int
    memory_limit_source: str
    disk_bytes: int
    disk_free_bytes: int
    zemosaic_masters: int = 0
    zemosaic_at_a_time: int = 0
    zemosaic_memory_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class RunPhase3:
    """Phase 3 run on a folder of frames, in one way or in several.

    Attributes
    ----------
    tiles : tuple of TilePhase3
        Every tile, retry tiles among them.
    rules : tuple of Rule
        Those that were asked for.
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
    zemosaic : str or None
        The ZeMosaic under test, in words.
    settings : str
        What that one builds with: ``"default"`` or ``"plain"``.
    built, copied, kept : int
        Masters that were built, copied since they are built the same under another rule, and kept from an earlier run.
    disk_full : bool
        Whether the disk became full, which ended the run.
    no_pictures : str
        Why there are no pictures; empty where there are.
    """

    tiles: tuple[TilePhase3, ...]
    rules: tuple[Rule, ...]
    plan: BuildPlan
    dry_run: bool
    summary_line: str
    requested: bool
    effective: bool
    reason: str
    log_message: str | None
    zemosaic: str | None = None
    settings: str = "default"
    built: int = 0
    copied: int = 0
    kept: int = 0
    disk_full: bool = False
    no_pictures: str = ""
