"""What a run of Phase 3 will take, estimated before anything is built: tiles at a time, memory, disk."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from ..errors import OutputError
from ..frames.entries import Frame
from ..frames.tiles import Tile
from ..machine.memory_limits import available_memory
from ..wording import human_bytes
from ..zemosaic.functions_under_test import MasterTileFunctions
from .data import RULES, BuildPlan

# Of the memory that is free: some is left to the system.
MEMORY_SHARE = 0.8

# Headers of a master, and the file's own padding.
_HEADER_BYTES = 4 * 2880

# A picture of a tile is about as large as one byte for each sample of both masters.
_PICTURE_BYTES_PER_PIXEL = 6


@dataclass(frozen=True)
class _Need:
    """What one tile takes: memory and scratch while it is built, and its files."""

    memory_bytes: int
    scratch_bytes: int
    master_bytes: int
    picture_bytes: int


def aligned_shape(frames: Sequence[Frame]) -> tuple[int, ...]:
    """Give the shape of a tile's frames as they are aligned: raw mosaics and cubes become (H, W, 3)."""
    shape = Counter(frame.shape for frame in frames).most_common(1)[0][0]
    if len(shape) == 3:
        return shape if shape[2] == 3 and shape[0] != 3 else (shape[1], shape[2], 3)
    return (*shape, 3)


def _need(tile: Tile, functions: MasterTileFunctions) -> _Need:
    """Estimate one tile."""
    shape = aligned_shape(tile.frames)
    estimated = functions.estimate_master_tile(len(tile.frames), shape)
    master = 4 * prod(shape) + prod(shape[:2]) + _HEADER_BYTES
    return _Need(estimated.memory_bytes, estimated.disk_bytes, master, _PICTURE_BYTES_PER_PIXEL * prod(shape[:2]))


def plan_build(
    tiles: Sequence[Tile],
    to_build: Collection[tuple[str, int]],
    functions: MasterTileFunctions,
    output: Path,
    jobs: int | None,
    copies: int = 0,
) -> BuildPlan:
    """Plan a run: as many tiles at a time as cores, memory and disk allow, and at least one.

    Parameters
    ----------
    tiles : sequence of Tile
        The run.
    to_build : collection of (rule, tile number)
        Masters that are to be built.
    functions : MasterTileFunctions
        Whose estimates these are.
    output : Path
        The folder for the masters; it need not exist.
    jobs : int or None
        Tiles at a time at most; the processor's cores where it is None.
    copies : int
        Masters that are copied on top.
    """
    limit = available_memory()
    allowed, free = int(limit.available_bytes * MEMORY_SHARE), free_disk_bytes(output)
    needs = {tile.tile_id: _need(tile, functions) for tile in tiles}
    wanted = [needs[tile_id] for _, tile_id in to_build]
    files = sum(need.master_bytes for need in wanted) + sum({id(need): need.picture_bytes for need in wanted}.values())
    files += copies * max((need.master_bytes for need in needs.values()), default=0)
    largest = max((sum(rule == one for rule, _ in to_build) for one in RULES), default=0)
    most = max(1, min(jobs or os.cpu_count() or 1, largest or 1))
    memory = scratch = 0
    for at_a_time in range(most, 0, -1):
        memory = _largest([need.memory_bytes for need in wanted], at_a_time)
        scratch = _largest([need.scratch_bytes for need in wanted], at_a_time)
        if at_a_time == 1 or (memory <= allowed and files + scratch <= free):
            return BuildPlan(len(wanted), at_a_time, memory, allowed, limit.source, files + scratch, free)
    raise AssertionError("unreachable: one tile at a time is always planned")


def _largest(sizes: Sequence[int], count: int) -> int:
    """Add up the largest few."""
    return sum(sorted(sizes, reverse=True)[:count])


def free_disk_bytes(output: Path) -> int:
    """Give what is free on the disk of a folder that need not exist."""
    place = output.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free


def check_disk(plan: BuildPlan, output: Path, rules: Sequence[str]) -> None:
    """Refuse a run that its disk cannot hold.

    Raises
    ------
    OutputError
        How much is missing, and what to do.
    """
    if plan.masters and plan.disk_bytes > plan.disk_free_bytes:
        less = ", or build one rule only (--only patched)" if len(rules) > 1 else ""
        raise OutputError(
            f"masters and scratch files take up to {human_bytes(plan.disk_bytes)}, and the disk of '{output}' has "
            f"{human_bytes(plan.disk_free_bytes)} free: make room, or name a folder on another disk{less}"
        )
