"""What a run of Phase 3 will take, estimated before anything is built: tiles at a time, memory, disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from ..errors import OutputError
from ..frames.tiles import Tile
from ..machine.memory_limits import available_memory
from ..wording import human_bytes
from .data import BUNDLED_RULES, BuildPlan, Rule
from .making import Need, TileMaker, aligned_shape, master_bytes

# Of the memory that is free: some is left to the system.
MEMORY_SHARE = 0.8

# A picture of a tile is about as large as one byte for each sample of both masters.
_PICTURE_BYTES_PER_PIXEL = 6


@dataclass(frozen=True, kw_only=True)
class _Side:
    """Tiles in flight of one maker, and what they take."""

    masters: int = 0
    at_a_time: int = 0
    memory_bytes: int = 0
    scratch_bytes: int = 0
    master_bytes: int = 0


def plan_build(
    tiles: Sequence[Tile],
    to_build: Collection[tuple[Rule, int]],
    makers: Mapping[Rule, TileMaker],
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
    makers : mapping of rule to TileMaker
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
    by_number = {tile.tile_id: tile for tile in tiles}
    pixels = {number: prod(aligned_shape(tile.frames)[:2]) for number, tile in by_number.items()}
    drawn = {number for _, number in to_build}
    files = sum(_PICTURE_BYTES_PER_PIXEL * pixels[number] for number in drawn)
    files += copies * max((master_bytes(aligned_shape(tile.frames)) for tile in tiles), default=0)
    sides = []
    for rules in (BUNDLED_RULES, (Rule.ZEMOSAIC,)):
        needs = [(rule, makers[rule].need(by_number[number])) for rule, number in to_build if rule in rules]
        sides.append(_side(needs, jobs or os.cpu_count() or 1, allowed, free - files))
    bundled, zemosaic = sides
    files += bundled.master_bytes + zemosaic.master_bytes
    return BuildPlan(
        masters=bundled.masters + zemosaic.masters,
        at_a_time=bundled.at_a_time or zemosaic.at_a_time,
        memory_bytes=max(bundled.memory_bytes, zemosaic.memory_bytes),
        memory_limit_bytes=allowed,
        memory_limit_source=limit.source,
        disk_bytes=files + max(bundled.scratch_bytes, zemosaic.scratch_bytes),
        disk_free_bytes=free,
        zemosaic_masters=zemosaic.masters,
        zemosaic_at_a_time=zemosaic.at_a_time,
        zemosaic_memory_bytes=zemosaic.memory_bytes,
    )


def _side(needs: Sequence[tuple[Rule, Need]], most: int, allowed: int, free: int) -> _Side:
    """Choose how many tiles one maker has in flight."""
    if not needs:
        return _Side(at_a_time=1)
    files = sum(need.master_bytes for _, need in needs)
    largest = max(sum(rule is one for rule, _ in needs) for one in Rule)
    for at_a_time in range(max(1, min(most, largest)), 0, -1):
        memory = _largest([need.memory_bytes for _, need in needs], at_a_time)
        scratch = _largest([need.scratch_bytes for _, need in needs], at_a_time)
        if at_a_time == 1 or (memory <= allowed and files + scratch <= free):
            return _Side(
                masters=len(needs),
                at_a_time=at_a_time,
                memory_bytes=memory,
                scratch_bytes=scratch,
                master_bytes=files,
            )
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


def check_disk(plan: BuildPlan, output: Path, rules: Sequence[Rule]) -> None:
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
