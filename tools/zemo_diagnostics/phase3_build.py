"""Phase 3 run with the rule before the patch and with the patched one, a master built twice only where they can differ.

The worker builds (`run_phase3_master_tiles`); here it is said which tiles, into which folder, and what is kept from an
earlier run. The patched masters come first; those whose flag is the same under both rules are copied.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from .errors import OutputError
from .frames import read_image
from .functions_under_test import MasterTileFunctions
from .phase3_folder import remove_pictures
from .phase3_log import Phase3Log
from .phase3_manifest import Manifest, tile_fingerprint
from .phase3_plan import plan_build
from .results import JsonScalar, RunGating
from .results_phase3 import BEFORE, PATCHED, RULES, BuildPlan
from .tiles import Tile
from .whole_files import write_whole

Results = dict[int, Any]

_WEIGHT_METHODS = {"none": "none", "noise": "noise_variance"}
_DISK_FULL = "the disk is full"


class DiskFullError(Exception):
    """The disk became full: no further tile can be written."""


@dataclass(frozen=True)
class Phase3Options:
    """How the masters are built.

    Attributes
    ----------
    requested : bool
        Whether the user's settings ask for the alt-az cleanup.
    kappa_low, kappa_high : float
        Rejection limits, standard deviations.
    weights : {"none", "noise"}
        ``"noise"``: one over the variance of each frame's background.
    rules : tuple of str
        ``"before"``, ``"patched"``: which masters are built.
    jobs : int or None
        Tiles at a time at most.
    dry_run, force : bool
        Whether only to plan; whether to build in a folder that is not empty, or was made with other options.
    """

    requested: bool = True
    kappa_low: float = 3.0
    kappa_high: float = 3.0
    weights: str = "none"
    rules: tuple[str, ...] = RULES
    jobs: int | None = None
    dry_run: bool = False
    force: bool = False

    def described(self) -> tuple[tuple[str, JsonScalar], ...]:
        """Name the options that shape the masters."""
        return (
            ("altaz_cleanup", self.requested),
            ("kappa_low", self.kappa_low),
            ("kappa_high", self.kappa_high),
            ("weights", self.weights),
        )


@dataclass
class Builder:
    """The masters of one folder of frames, planned and built.

    Parameters
    ----------
    tiles : sequence of Tile
        The run.
    gating : RunGating
        The flags that both rules give each tile.
    manifest : Manifest
        What is finished in the folder for the masters.
    options : Phase3Options
    functions : MasterTileFunctions
    """

    tiles: Sequence[Tile]
    gating: RunGating
    manifest: Manifest
    options: Phase3Options
    functions: MasterTileFunctions
    results: dict[str, Results] = field(default_factory=lambda: {rule: {} for rule in RULES})
    built: int = 0
    copied: int = 0

    def __post_init__(self) -> None:
        """Find out what is kept, what is shared, and so what is to be built."""
        self.folder = self.manifest.folder
        flags = {tile.tile_id: (tile.before_enabled, tile.tile_enabled) for tile in self.gating.tiles}
        both = set(self.options.rules) == set(RULES)
        self.shared = {tile_id for tile_id, (old, new) in flags.items() if both and old == new}
        settings = dict(self.options.described())
        self._fingerprints = {
            rule: {tile.tile_id: tile_fingerprint(tile, flags[tile.tile_id][i], settings) for tile in self.tiles}
            for i, rule in enumerate(RULES)
        }
        self._kept = {rule: self._known(rule) for rule in RULES}
        for root in self.shared - set(self._kept[PATCHED]):  # built anew, and so copied anew
            for member in family(root, self._kept[BEFORE]):
                self._kept[BEFORE].pop(member, None)

    def _known(self, rule: str) -> Results:
        """Give the results that an earlier run left."""
        kept = self.manifest.kept(rule, self._fingerprints[rule])
        return {tile_id: self._result_of(rule, tile_id) for tile_id in kept}

    def _result_of(self, rule: str, tile_id: int) -> Any:
        """Make a result of what the manifest says of a tile."""
        told = self.manifest.tiles[rule][tile_id].result
        told = {key: tuple(value) if isinstance(value, list) else value for key, value in told.items()}
        return self.functions.master_tile_result(**told | {"path": str(self.folder / rule / told["path"])})

    @property
    def kept(self) -> int:
        """How many masters are kept from an earlier run."""
        return sum(len(self._kept[rule]) for rule in self.options.rules)

    def there(self, rule: str) -> Results:
        """Give the results under a rule: of this run, or of an earlier one where it was not asked for."""
        return self.results[rule] if rule in self.options.rules else self._kept[rule]

    def to_build(self) -> list[tuple[str, int]]:
        """List the masters that are to be built: rule and tile."""
        return [
            (rule, tile.tile_id)
            for rule in self.options.rules
            for tile in self.tiles
            if tile.tile_id not in self._kept[rule] and not (rule == BEFORE and tile.tile_id in self.shared)
        ]

    def plan(self) -> BuildPlan:
        """Estimate what that takes."""
        copies = len(self.shared - set(self._kept[BEFORE]))
        return plan_build(self.tiles, self.to_build(), self.functions, self.folder, self.options.jobs, copies)

    def build(self, plan: BuildPlan, log: Phase3Log) -> None:
        """Build, first the patched masters, then those of before that differ.

        Raises
        ------
        DiskFullError
            Where a master could not be written for want of space. What is finished stays.
        """
        for rule in RULES:
            self.manifest.forget_others(rule, self._kept[rule])
        if self.manifest.was_there:
            remove_pictures(self.folder, {tile_id for rule in RULES for tile_id in self._kept[rule]})
        self.manifest.save()
        for rule in (PATCHED, BEFORE):
            if rule in self.options.rules:
                self._build_rule(rule, plan, log)

    def _build_rule(self, rule: str, plan: BuildPlan, log: Phase3Log) -> None:
        """Build the masters of one rule, but for those that are there."""
        for name in self.functions.remove_stale_scratch(self.folder / rule):
            log.tell(rule, f"P3_SCRATCH: removed what a process that ended left behind: {name}")
        self.results[rule].update(self._kept[rule])
        if rule == BEFORE:
            self.results[rule] = self._with_shared(self.results[rule])
        if {tile.tile_id for tile in self.tiles} <= set(self.results[rule]):
            return
        log.rule = rule
        self.functions.run_phase3_master_tiles(
            [tile.entries for tile in self.tiles],
            self.folder / rule,
            altaz_cleanup_enabled=self.options.requested,
            old_rule=rule == BEFORE,
            max_workers=plan.at_a_time,
            memory_limit_bytes=plan.memory_limit_bytes,
            finished=dict(self.results[rule]),
            tile_callback=partial(self._take, rule, log),
            progress_callback=log,
            stack_kappa_low=self.options.kappa_low,
            stack_kappa_high=self.options.kappa_high,
            stack_weight_method=_WEIGHT_METHODS[self.options.weights],
            read_fits=read_image,
        )

    def _take(self, rule: str, log: Phase3Log, result: Any) -> None:
        """Note a tile that is done, at once, so that a run that is killed goes on after it."""
        self.results[rule][result.tile_id] = result
        log.finished(result.tile_id)
        if result.error and result.error.startswith(_DISK_FULL):
            raise DiskFullError
        self.built += result.path is not None
        self._note(rule, result)

    def _note(self, rule: str, result: Any) -> None:
        """Write a tile into the manifest."""
        root = root_of(result, self.results[rule])
        try:
            self.manifest.note(rule, self._fingerprints[rule][root], result)
        except OutputError as error:
            raise _full_disk(error) from error

    def _with_shared(self, known: Results) -> Results:
        """Add the tiles whose flag is the same under both rules: kept ones, else copies of the patched masters."""
        patched = self.results[PATCHED]
        members = {member for root in self.shared for member in family(root, patched)}
        shared: Results = {}
        for tile_id in sorted(members & set(patched)):
            kept = tile_id in self._kept[PATCHED] and known.get(tile_id)
            shared[tile_id] = kept or self._copied(patched[tile_id])
        apart = {root: family(root, known) for root in set(known) - members if known[root].retry_of is None}
        for own in apart.values():
            if not own & members:  # else a retry's number was given twice: that tile is built anew
                shared |= {tile_id: known[tile_id] for tile_id in own}
        return shared

    def _copied(self, result: Any) -> Any:
        """Copy a patched master to the others; a tile that failed has none."""
        if result.path is None:
            return result
        target = self.folder / BEFORE / Path(result.path).name
        try:
            write_whole(target, partial(shutil.copyfile, result.path), force=True)
        except OutputError as error:
            raise _full_disk(error) from error
        copy = replace(result, path=str(target))
        self.results[BEFORE][copy.tile_id] = copy
        self._note(BEFORE, copy)
        self.copied += 1
        return copy


def _full_disk(error: OutputError) -> Exception:
    """Tell a full disk from another reason why a file cannot be written."""
    cause = error.__cause__
    full = isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
    return DiskFullError() if full else error


def root_of(result: Any, results: Mapping[int, Any]) -> int:
    """Find the tile of the run that a retry goes back to."""
    while result.retry_of is not None:
        result = results[result.retry_of]
    number: int = result.tile_id
    return number


def family(tile_id: int, results: Mapping[int, Any]) -> set[int]:
    """Give a tile's number and those of its retries, and theirs."""
    again: Iterable[int] = results[tile_id].retry_tile_ids if tile_id in results else ()
    return {tile_id}.union(*(family(member, results) for member in again))
