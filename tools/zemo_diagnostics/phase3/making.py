"""Who makes masters: one interface for the bundled worker and for a ZeMosaic under test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Protocol

from ..frames.entries import Frame
from ..frames.headers import card
from ..frames.pixels import read_image
from ..frames.tiles import Tile
from ..redaction import private_words, redact_text
from ..zemosaic.functions_under_test import MasterTileFunctions
from .data import BuildPlan, Rule
from .log import Phase3Log
from .results import Results, TileResult

_WEIGHT_METHODS = {"none": "none", "noise": "noise_variance"}
# Headers of a master, and the file's own padding.
_HEADER_BYTES = 4 * 2880


@dataclass(frozen=True)
class Need:
    """What one tile takes: memory and scratch while it is built, and its file."""

    memory_bytes: int
    scratch_bytes: int
    master_bytes: int


@dataclass(frozen=True, kw_only=True)
class Order:
    """Masters that are to be made.

    Attributes
    ----------
    tiles : sequence of Tile
        The run.
    flags : mapping of int to bool
        The cleanup flag of each tile.
    folder : Path
        An existing folder for them.
    finished : mapping of int to TileResult
        Those that are there.
    taken : set of int
        Numbers that no retry may get.
    plan : BuildPlan
        How many at a time, and the memory for them.
    take : callable
        Gets each result as soon as it is known, in the calling thread; what it raises ends the run.
    log : Phase3Log
        Gets the builder's lines.
    """

    tiles: Sequence[Tile]
    flags: Mapping[int, bool]
    folder: Path
    finished: Results
    taken: Set[int]
    plan: BuildPlan
    take: Callable[[TileResult], None]
    log: Phase3Log


class TileMaker(Protocol):
    """Makes the masters of one rule."""

    def need(self, tile: Tile) -> Need:
        """Estimate what one tile takes."""
        ...

    def recipe(self, tile: Tile, cleanup_enabled: bool, /) -> tuple[object, ...]:
        """Say how a tile is built, in plain values: masters with the same recipe are the same."""
        ...

    def make(self, order: Order) -> None:
        """Make masters, each handed over when it is done."""
        ...


def aligned_shape(frames: Sequence[Frame]) -> tuple[int, ...]:
    """Give the shape of a tile's frames as they are aligned: raw mosaics and cubes become (H, W, 3)."""
    shape = Counter(frame.shape for frame in frames).most_common(1)[0][0]
    if len(shape) == 3:
        return shape if shape[2] == 3 and shape[0] != 3 else (shape[1], shape[2], 3)
    return (*shape, 3)


def master_bytes(shape: tuple[int, ...]) -> int:
    """Give the size of a master that the bundled worker makes of frames of this shape: float32, and its ALPHA plane."""
    return 4 * prod(shape) + prod(shape[:2]) + _HEADER_BYTES


def shown_names(tile: Tile) -> list[str]:
    """Give what masters and log call each frame of a tile: its file's name, without a user's."""
    private = private_words()
    return [redact_text(frame.path.name, private) for frame in tile.frames]


class BundledMaker:
    """The worker that zemo-diag carries, following one of its rules.

    Under the rules of before the patch frames hold 0 where nothing is known, as ZeMosaic's Phase 1 leaves them.

    Parameters
    ----------
    rule : Rule
        But for ``ZEMOSAIC``.
    functions : MasterTileFunctions
    requested, never : bool
        Whether the user's settings ask for the cleanup; whether no tile is cleaned all the same.
    kappa : (low, high)
        Rejection limits, standard deviations.
    weights : {"none", "noise"}
    references : mapping of int to int
        By the tile's number, the frame that is to be its reference, where that is not the central one.
    """

    def __init__(
        self,
        rule: Rule,
        functions: MasterTileFunctions,
        *,
        requested: bool,
        never: bool,
        kappa: tuple[float, float],
        weights: str,
        references: Mapping[int, int],
    ) -> None:
        self._rule, self._functions, self._requested, self._never = rule, functions, requested, never
        self._kappa, self._weights, self._references = kappa, weights, references

    def need(self, tile: Tile) -> Need:
        """Estimate one tile, as the worker does."""
        shape = aligned_shape(tile.frames)
        estimated = self._functions.estimate_master_tile(len(tile.frames), shape)
        return Need(estimated.memory_bytes, estimated.disk_bytes, master_bytes(shape))

    def recipe(self, tile: Tile, cleanup_enabled: bool, /) -> tuple[object, ...]:
        """Say how a tile is built: with which flag, which footprint, which reference."""
        return (
            cleanup_enabled,
            cleanup_enabled and self._rule is Rule.BEFORE,
            self._rule is not Rule.PATCHED and any(_may_hold_nan(frame) for frame in tile.frames),
            self._reference(tile, cleanup_enabled),
        )

    def _reference(self, tile: Tile, cleanup_enabled: bool) -> int | None:
        """Give the frame that is to be the reference; before the patch it matters where the tile is cleaned."""
        matters = self._rule is not Rule.BEFORE or cleanup_enabled
        return self._references.get(tile.tile_id) if matters else None

    def make(self, order: Order) -> None:
        """Let the worker build."""
        self._functions.run_phase3_master_tiles(
            [self._entries(tile, order.flags[tile.tile_id]) for tile in order.tiles],
            order.folder,
            altaz_cleanup_enabled=self._requested,
            rule=self._functions.cleanup_rule("never" if self._never else self._rule.value),
            max_workers=order.plan.at_a_time,
            memory_limit_bytes=order.plan.memory_limit_bytes,
            finished={
                number: self._functions.master_tile_result(**result.for_worker())
                for number, result in order.finished.items()
            },
            taken_ids=order.taken,
            tile_callback=partial(_take, order),
            progress_callback=order.log,
            stack_kappa_low=self._kappa[0],
            stack_kappa_high=self._kappa[1],
            stack_weight_method=_WEIGHT_METHODS[self._weights],
            read_fits=read_image,
        )

    def _entries(self, tile: Tile, cleanup_enabled: bool) -> list[dict[str, Any]]:
        """Give a tile's entries, the reference in the middle, where the worker takes it from."""
        entries = [
            {**frame.entry, "shown_name": name} for frame, name in zip(tile.frames, shown_names(tile), strict=True)
        ]
        index, middle = self._reference(tile, cleanup_enabled), len(entries) // 2
        if index is not None:
            entries[index], entries[middle] = entries[middle], entries[index]
        return entries


def _may_hold_nan(frame: Frame) -> bool:
    """Tell whether a frame's file can say that a pixel is not known."""
    header = frame.header
    return header is None or header.bitpix < 0 or card(header.cards, "BLANK") is not None


def _take(order: Order, result: Any) -> None:
    order.take(TileResult.of_worker(result))
