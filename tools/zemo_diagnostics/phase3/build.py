"""The masters of one folder of frames, planned and built: one way after the other, each master built only once.

A maker builds (`making.TileMaker`); here it is said which tiles, into which folder, what is copied from another rule
since it is built the same, and what is kept from an earlier run.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..errors import OutputError
from ..frames.tiles import Tile
from ..reports.report import JsonScalar
from ..zemosaic.master_settings import Settings
from .data import BUNDLED_RULES, RULES, BuildPlan, Rule
from .families import families_of, is_complete, renumbered, root_of
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
from .making import Order, TileMaker
from .manifest import Manifest, Move, in_the_way, tile_fingerprint
from .plan import plan_build
from .results import Families, Results, TileResult

# Of two rules that build a tile the same, the later one gets a copy.
_BUILD_ORDER = (Rule.ZEMOSAIC, Rule.PATCHED, Rule.RULE_ALONE, Rule.BEFORE)
_DISK_FULL = "the disk is full"

Flags = Mapping[Rule, Mapping[int, bool]]


class DiskFullError(Exception):
    """The disk became full: no further tile can be written."""


@dataclass(frozen=True, kw_only=True)
class Phase3Options:
    """How the masters are built.

    Attributes
    ----------
    requested, never : bool
        Whether the user's settings ask for the alt-az cleanup; whether no tile is cleaned, whatever a rule says.
    kappa_low, kappa_high : float
        Rejection limits, standard deviations.
    weights : {"none", "noise"}
        ``"noise"``: one over the variance of each frame's background.
    rules : tuple of Rule
        Which masters are built.
    settings : Settings
        What a ZeMosaic under test builds with.
    timeout_s : float
        After so many seconds it is stopped over a tile.
    jobs : int or None
        Tiles at a time at most.
    dry_run, force : bool
        Whether only to plan; whether to build in a folder that is not empty, or was made with other options.
    """

    requested: bool = True
    never: bool = False
    kappa_low: float = 3.0
    kappa_high: float = 3.0
    weights: str = "none"
    rules: tuple[Rule, ...] = BUNDLED_RULES
    settings: Settings = Settings.DEFAULT
    timeout_s: float = 1800.0
    jobs: int | None = None
    dry_run: bool = False
    force: bool = False

    def described(self) -> tuple[tuple[str, JsonScalar], ...]:
        """Name the options that shape the masters."""
        return (
            ("altaz_cleanup", "never" if self.never else self.requested),
            ("kappa_low", self.kappa_low),
            ("kappa_high", self.kappa_high),
            ("weights", self.weights),
        )


class Builder:
    """Plans and builds.

    Parameters
    ----------
    tiles : sequence of Tile
        The run.
    flags : mapping of Rule to mapping of int to bool
        The cleanup flag that each rule gives each tile.
    manifest : Manifest
        What is finished in the folder for the masters.
    options : Phase3Options
    makers : mapping of Rule to TileMaker
        Who builds.
    """

    def __init__(
        self,
        tiles: Sequence[Tile],
        flags: Flags,
        manifest: Manifest,
        options: Phase3Options,
        makers: Mapping[Rule, TileMaker],
    ) -> None:
        self.tiles, self.manifest, self.options = tiles, manifest, options
        self._flags, self._makers = flags, makers
        self.results: dict[Rule, Results] = {rule: {} for rule in RULES}
        self.built = self.copied = 0
        self._rules = [rule for rule in _BUILD_ORDER if rule in options.rules]
        self._recipes = {
            rule: {tile.tile_id: maker.recipe(tile, flags[rule][tile.tile_id]) for tile in tiles}
            for rule, maker in makers.items()
        }
        settings = dict(options.described())
        self._fingerprints = {
            rule: {tile.tile_id: tile_fingerprint(tile, recipes[tile.tile_id], settings) for tile in tiles}
            for rule, recipes in self._recipes.items()
        }
        self._shared = {rule: self._sources(rule) for rule in self._rules}
        self._kept = self._known()

    def _sources(self, rule: Rule) -> dict[int, Rule]:
        """Find the tiles that another rule builds the same, and that rule."""
        earlier = self._rules[: self._rules.index(rule)]
        found = {
            tile_id: next((one for one in earlier if self._recipes[one][tile_id] == recipe), None)
            for tile_id, recipe in self._recipes[rule].items()
        }
        return {tile_id: source for tile_id, source in found.items() if source is not None}

    def _known(self) -> dict[Rule, Families]:
        """Give what an earlier run left of each tile, where that is whole; what is copied, as long as its source is."""
        kept: dict[Rule, Families] = {rule: {} for rule in RULES}
        for rule in (*self._rules, *(rule for rule in self._fingerprints if rule not in self._rules)):
            shared = self._shared.get(rule, {})
            for tile_id, key in self._fingerprints[rule].items():
                told = self.manifest.finished(rule, key)
                results = [TileResult.from_told(one, self.manifest.folder / rule) for one in told]
                family = {result.tile_id: result for result in results}
                anew = tile_id in shared and tile_id not in kept[shared[tile_id]]
                if is_complete(family) and not anew:
                    kept[rule][tile_id] = family
        return kept

    @property
    def kept(self) -> int:
        """How many masters are kept from an earlier run."""
        return sum(len(family) for rule in self._rules for family in self._kept[rule].values())

    def to_build(self) -> list[tuple[Rule, int]]:
        """List the masters that are to be built: rule and tile."""
        return [
            (rule, tile.tile_id)
            for rule in self._rules
            for tile in self.tiles
            if tile.tile_id not in self._kept[rule] and tile.tile_id not in self._shared[rule]
        ]

    def plan(self) -> BuildPlan:
        """Estimate what that takes."""
        copies = sum(len(set(shared) - set(self._kept[rule])) for rule, shared in self._shared.items())
        return plan_build(self.tiles, self.to_build(), self._makers, self.manifest.folder, self.options.jobs, copies)

    def is_copy(self, rule: Rule, tile_id: int) -> Rule | None:
        """Give the rule whose master of a tile this rule's is a copy of."""
        return self._shared.get(rule, {}).get(tile_id)

    def check_places(self) -> None:
        """Refuse to write where somebody else's files are.

        Raises
        ------
        OutputError
            Naming the first of them.
        """
        folder = self.manifest.folder
        names = [picture_name(tile.tile_id) for tile in self.tiles]
        for rule, fingerprints in self._fingerprints.items():
            rooted = fingerprints if rule in self._rules else self._kept[rule]
            names += [master_name(rule, tile_id) for tile_id in rooted]
        foreign = [name for name in names if os.path.lexists(folder / name) and not self.manifest.is_ours(name)]
        if foreign:
            raise OutputError(in_the_way(folder, foreign))

    def build(self, plan: BuildPlan, log: Phase3Log) -> None:
        """Build the masters of one rule after the other.

        Raises
        ------
        DiskFullError
            Where a master could not be written for want of space. What is finished stays.
        """
        try:
            self._start(log)
            for rule in self._rules:
                self._build_rule(rule, plan, log)
        except (OutputError, OSError) as error:
            if _is_full_disk(error):
                raise DiskFullError from error
            if isinstance(error, OutputError):
                raise
            reason = error.strerror or error
            folder = self.manifest.folder
            raise OutputError(f"'{folder}' cannot be written ({reason}): name another folder") from error

    def _start(self, log: Phase3Log) -> None:
        """Leave only what is kept, under its numbers of now."""
        # A retry must not get a number whose master or picture would take the place of somebody else's file.
        foreign = [name for name in named_files(self.manifest.folder) if not self.manifest.is_ours(name)]
        self._taken = {number for name in foreign if (number := number_in(name)) is not None}
        log.tell(
            self._rules[0], "P3_NUMBERS: tiles count from 0 here, as in ZeMosaic; in the report tile 1 is the first"
        )
        for name in (*RULES, PICTURES_NAME):
            for left in sweep_staging(self.manifest.folder / name):
                log.tell(str(name), f"P3_SCRATCH: removed what a process that ended left behind: {left}")
        before = self.manifest.numbers()
        for rule in self._fingerprints:  # what a ZeMosaic built that is not asked now stays as it is
            self.results[rule] = self._arranged(rule, self._kept[rule], log)
        stale = {number for *_, number in before ^ self.manifest.numbers()}
        self.manifest.remove(picture_name(number) for number in stale)
        self.manifest.save()

    def _taken_for(self, rule: Rule) -> set[int]:
        """Give the numbers that no retry may get under a rule: those of others' files, and of ZeMosaic's retries."""
        retries = {number for number, result in self.results[Rule.ZEMOSAIC].items() if result.retry_of is not None}
        return self._taken if rule is Rule.ZEMOSAIC else self._taken | retries

    def _arranged(self, rule: Rule, families: Families, log: Phase3Log, to_come: Families | None = None) -> Results:
        """Leave these masters alone in a rule's folder, under the numbers that a run from scratch would give them.

        Of tiles that are built later, `to_come` may say which retries they will have.
        """
        results: Results = {}
        moves: list[Move] = []
        numbered = renumbered((to_come or {}) | families, len(self.tiles), self._taken_for(rule))
        for old, result in ((old, result) for root in families for old, result in numbered[root].items()):
            name, number = master_name(rule, result.tile_id), result.tile_id
            results[number] = result
            if result.path is not None:
                moves.append(Move(Path(result.path), name, number, old))
                results[number] = replace(result, path=str(self.manifest.folder / name))
            if number != old:
                log.tell(rule, f"P3_RENUMBERED: tile {old} is tile {number} from here on")
        self.manifest.families[rule] = {}
        for root, members in families_of(results).items():
            self.manifest.note(rule, self._fingerprints[rule][root], members.values())
        self.manifest.arrange(rule, moves)
        return results

    def _build_rule(self, rule: Rule, plan: BuildPlan, log: Phase3Log) -> None:
        """Build the masters of one rule, but for those that are there, or are built the same under another."""
        if self._shared[rule]:
            self.results[rule] = self._with_shared(rule, log)
        if {tile.tile_id for tile in self.tiles} <= set(self.results[rule]):
            self.results[rule] = self._arranged(rule, families_of(self.results[rule]), log)
            return
        log.rule = rule
        with staging(self.manifest.folder / rule) as folder:
            self._makers[rule].make(
                Order(
                    tiles=self.tiles,
                    flags=self._flags[rule],
                    folder=folder,
                    finished=dict(self.results[rule]),
                    taken=self._taken_for(rule),
                    plan=plan,
                    take=partial(self._take, rule, log),
                    log=log,
                )
            )
        self.results[rule] = self._arranged(rule, families_of(self.results[rule]), log)

    def _take(self, rule: Rule, log: Phase3Log, result: TileResult) -> None:
        """Note a tile that is done, at once, so that a run that is killed goes on after it."""
        log.finished(result.tile_id)
        if result.path is not None:
            name = master_name(rule, result.tile_id)
            made, result = Path(result.path), replace(result, path=str(self.manifest.folder / name))
            members = {**self.results[rule], result.tile_id: result}
            root = root_of(result, members)
            self.manifest.note(rule, self._fingerprints[rule][root], families_of(members)[root].values())
            self.manifest.put(name, made)
            self.built += 1
        self.results[rule][result.tile_id] = result
        if result.error and result.error.startswith(_DISK_FULL):
            raise DiskFullError

    def _with_shared(self, rule: Rule, log: Phase3Log) -> Results:
        """Add the tiles that another rule builds the same: kept ones, else copies of its masters."""
        families = families_of(self.results[rule])
        sources = {one: families_of(self.results[one]) for one in set(self._shared[rule].values())}
        copied = {root for root in self._shared[rule] if root not in families}
        made = {root: sources[self._shared[rule][root]] for root in copied}
        families |= {root: found[root] for root, found in made.items() if root in found}
        first = families_of(self.results[next(one for one in self._rules if one is not Rule.ZEMOSAIC)])
        results = self._arranged(rule, families, log, first)
        self.copied += sum(result.path is not None for root in copied for result in families_of(results)[root].values())
        return results


def _is_full_disk(error: OutputError | OSError) -> bool:
    """Tell a full disk from another reason why a file cannot be written."""
    cause = error if isinstance(error, OSError) else error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
