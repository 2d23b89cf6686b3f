"""A tile of a run and the tiles that its frames were tried again in: a family, which is kept or built as a whole.

Numbers are names only. The tiles of a run have those of their place in it; retries have the next free ones, generation
by generation in the order of the tiles that they come from, as the worker gives them. What is kept from an earlier run
is given the numbers that a run from scratch would give it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import count

from .results import Families, Results, TileResult


def families_of(results: Mapping[int, TileResult]) -> Families:
    """Sort results by the tiles of the run that they go back to."""
    roots = [number for number, result in results.items() if result.retry_of is None]
    return {root: {number: results[number] for number in _members(root, results)} for root in sorted(roots)}


def _members(number: int, results: Mapping[int, TileResult]) -> list[int]:
    """Give a tile's number and those of its retries, and theirs, as far as they are there."""
    members = [number]
    for member in members:
        members += [again for again in results[member].retry_tile_ids if again in results]
    return members


def is_complete(family: Mapping[int, TileResult]) -> bool:
    """Tell whether a tile and all its retries are built."""
    built = {number for number, result in family.items() if result.path is not None}
    return bool(family) and all({number, *result.retry_tile_ids} <= built for number, result in family.items())


def root_of(result: TileResult, results: Mapping[int, TileResult]) -> int:
    """Find the tile of the run that a retry goes back to."""
    while result.retry_of is not None:
        result = results[result.retry_of]
    return result.tile_id


def renumbered(families: Mapping[int, Results], tiles: int, taken: Collection[int]) -> dict[int, Results]:
    """Give each result the number that a run from scratch would give it; its path stays.

    Parameters
    ----------
    families : mapping of int to Results
        By the numbers of the tiles now; results by the numbers they had, which may be others' by now.
    tiles : int
        Tiles of the run, counted from 1.
    taken : collection of int
        Numbers that no retry may get.

    Returns
    -------
    dict of int to dict of int to result
        By the number of the tile, and then by the number that the result had.
    """
    numbers = {root: {next(iter(families[root])): root} for root in sorted(families)}
    free = (number for number in count(tiles + 1) if number not in taken)
    generation = [(root, old) for root, own in numbers.items() for old in own]
    while generation:
        generation = [
            (root, again)
            for root, old in generation
            if old in families[root]
            for again in families[root][old].retry_tile_ids
        ]
        for root, old in generation:
            numbers[root][old] = next(free)
    return {
        root: {old: _numbered(result, numbers[root]) for old, result in family.items()}
        for root, family in families.items()
    }


def _numbered(result: TileResult, numbers: Mapping[int, int]) -> TileResult:
    """Put new numbers into a result."""
    return replace(
        result,
        tile_id=numbers[result.tile_id],
        retry_of=None if result.retry_of is None else numbers[result.retry_of],
        retry_tile_ids=tuple(numbers[again] for again in result.retry_tile_ids),
    )
