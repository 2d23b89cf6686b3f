"""Phase 3 run with the rule before the patch and with the patched one, a master built twice only where they can differ.

The worker builds (`run_phase3_master_tiles`); here it is said which tiles, into which folder, and what is kept from an
earlier run. The patched masters come first; those whose flag is the same under both rules are copied.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import OutputError
from ..frames.pixels import read_image
from ..frames.tiles import Tile
from ..gating.data import RunGating
from ..redaction import private_words, redact_text
from ..reports.report import JsonScalar
from ..zemosaic.functions_under_test import MasterTileFunctions
from .data import BEFORE, PATCHED, RULES, BuildPlan
from .families import Families, Results, families_of, is_complete, renumbered, root_of
from .files import (
    PICTURES_NAME,
    master_name,
    named_files,
    number_in,
    picture_name,
    staging,
    sweep_staging,
)
from .log import Phase3Log
from .manifest import Manifest, Move, in_the_way, tile_fingerprint
from .plan import plan_build

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
            self._kept[BEFORE].pop(root, None)

    def _known(self, rule: str) -> Families:
        """Give what an earlier run left of each tile, where that is whole."""
        told = {tile_id: self.manifest.finished(rule, key) for tile_id, key in self._fingerprints[rule].items()}
        families = {tile_id: dict(map(partial(self._result_of, rule), family)) for tile_id, family in told.items()}
        return {tile_id: family for tile_id, family in families.items() if is_complete(family)}

    def _result_of(self, rule: str, told: Mapping[str, Any]) -> tuple[int, Any]:
        """Make a result of what the manifest says of a tile."""
        told = {key: tuple(value) if isinstance(value, list) else value for key, value in told.items()}
        path = str(self.folder / rule / told["path"])
        return told["tile_id"], self.functions.master_tile_result(**told | {"path": path})

    @property
    def kept(self) -> int:
        """How many masters are kept from an earlier run."""
        return sum(len(family) for rule in self.options.rules for family in self._kept[rule].values())

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

    def check_places(self) -> None:
        """Refuse to write where somebody else's files are.

        Raises
        ------
        OutputError
            Naming the first of them.
        """
        names = [picture_name(tile.tile_id) for tile in self.tiles]
        for rule in RULES:
            rooted = self._fingerprints[rule] if rule in self.options.rules else self._kept[rule]
            names += [master_name(rule, tile_id) for tile_id in rooted]
        there = [name for name in names if os.path.lexists(self.folder / name)]
        foreign = [name for name in there if not self.manifest.is_ours(name)]
        if foreign:
            raise OutputError(in_the_way(self.folder, foreign))

    def build(self, plan: BuildPlan, log: Phase3Log) -> None:
        """Build, first the patched masters, then those of before that differ.

        Raises
        ------
        DiskFullError
            Where a master could not be written for want of space. What is finished stays.
        """
        try:
            self._start(log)
            for rule in (PATCHED, BEFORE):
                if rule in self.options.rules:
                    self._build_rule(rule, plan, log)
        except (OutputError, OSError) as error:
            if _is_full_disk(error):
                raise DiskFullError from error
            if isinstance(error, OutputError):
                raise
            reason = error.strerror or error
            raise OutputError(f"'{self.folder}' cannot be written ({reason}): name another folder") from error

    def _start(self, log: Phase3Log) -> None:
        """Leave only what is kept, under its numbers of now."""
        # A retry must not get a number whose master or picture would take the place of somebody else's file.
        foreign = [name for name in named_files(self.folder) if not self.manifest.is_ours(name)]
        self._taken = {number for name in foreign if (number := number_in(name)) is not None}
        for rule in (*RULES, PICTURES_NAME):
            for name in sweep_staging(self.folder / rule):
                log.tell(rule, f"P3_SCRATCH: removed what a process that ended left behind: {name}")
        before = self.manifest.numbers()
        for rule in RULES:
            self.results[rule] = self._arranged(rule, self._kept[rule], log)
        stale = {number for *_, number in before ^ self.manifest.numbers()}
        self.manifest.remove(picture_name(number) for number in stale)
        self.manifest.save()

    def _arranged(self, rule: str, families: Families, log: Phase3Log, to_come: Families | None = None) -> Results:
        """Leave these masters alone in a rule's folder, under the numbers that a run from scratch would give them.

        Of tiles that are built later, `to_come` may say which retries they will have.
        """
        results: Results = {}
        moves: list[Move] = []
        numbered = renumbered((to_come or {}) | families, len(self.tiles), self._taken)
        for old, result in ((old, result) for root in families for old, result in numbered[root].items()):
            name, number = master_name(rule, result.tile_id), result.tile_id
            results[number] = result
            if result.path is not None:
                moves.append(Move(Path(result.path), name, number, old))
                results[number] = replace(result, path=str(self.folder / name))
            if number != old:
                log.tell(rule, f"P3_RENUMBERED: tile {old} is tile {number} from here on")
        self.manifest.families[rule] = {}
        for root, members in families_of(results).items():
            self.manifest.note(rule, self._fingerprints[rule][root], members.values())
        self.manifest.arrange(rule, moves)
        return results

    def _build_rule(self, rule: str, plan: BuildPlan, log: Phase3Log) -> None:
        """Build the masters of one rule, but for those that are there."""
        if rule == BEFORE:
            self.results[rule] = self._with_shared(log)
        if {tile.tile_id for tile in self.tiles} <= set(self.results[rule]):
            return
        log.rule = rule
        switched_on = rule == BEFORE and any(tile.before_enabled for tile in self.gating.tiles)
        with staging(self.folder / rule) as folder:
            self.functions.run_phase3_master_tiles(
                [self._entries(tile) for tile in self.tiles],
                folder,
                altaz_cleanup_enabled=self.options.requested or switched_on,
                old_rule=rule == BEFORE,
                max_workers=plan.at_a_time,
                memory_limit_bytes=plan.memory_limit_bytes,
                finished=dict(self.results[rule]),
                taken_ids=self._taken,
                tile_callback=partial(self._take, rule, log),
                progress_callback=log,
                stack_kappa_low=self.options.kappa_low,
                stack_kappa_high=self.options.kappa_high,
                stack_weight_method=_WEIGHT_METHODS[self.options.weights],
                read_fits=read_image,
            )
        self.results[rule] = self._arranged(rule, families_of(self.results[rule]), log)

    def _entries(self, tile: Tile) -> list[dict[str, Any]]:
        """Give a tile's entries; what masters and log call a frame holds no name of a user."""
        private = private_words()
        return [{**frame.entry, "shown_name": redact_text(frame.path.name, private)} for frame in tile.frames]

    def _take(self, rule: str, log: Phase3Log, result: Any) -> None:
        """Note a tile that is done, at once, so that a run that is killed goes on after it."""
        log.finished(result.tile_id)
        if result.path is not None:
            name = master_name(rule, result.tile_id)
            made, result = Path(result.path), replace(result, path=str(self.folder / name))
            members = {**self.results[rule], result.tile_id: result}
            root = root_of(result, members)
            self.manifest.note(rule, self._fingerprints[rule][root], families_of(members)[root].values())
            self.manifest.put(name, made)
            self.built += 1
        self.results[rule][result.tile_id] = result
        if result.error and result.error.startswith(_DISK_FULL):
            raise DiskFullError

    def _with_shared(self, log: Phase3Log) -> Results:
        """Add the tiles whose flag is the same under both rules: kept ones, else copies of the patched masters."""
        families, patched = families_of(self.results[BEFORE]), families_of(self.results[PATCHED])
        copied = {root for root in self.shared if root not in families}
        families |= {root: patched[root] for root in copied & set(patched)}
        results = self._arranged(BEFORE, families, log, patched)
        self.copied += sum(result.path is not None for root in copied for result in families_of(results)[root].values())
        return results


def _is_full_disk(error: OutputError | OSError) -> bool:
    """Tell a full disk from another reason why a file cannot be written."""
    cause = error if isinstance(error, OSError) else error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
