"""A tile and its retries: which belong together, and which numbers they get."""

from __future__ import annotations

from zemo_diagnostics.phase3.families import families_of, is_complete, renumbered
from zemo_diagnostics.phase3.results import TileResult


def result(number: int, retry_of: int | None = None, again: tuple[int, ...] = (), path: str | None = "a") -> TileResult:
    return TileResult(
        tile_id=number, path=path, eqmode="EQ", cleanup_enabled=False, frames=3, retry_of=retry_of, retry_tile_ids=again
    )


def test_families_are_numbered_as_a_run_from_scratch_does() -> None:
    results = {
        1: result(1, None, (3,)),
        2: result(2, None, (4,)),
        3: result(3, 1, (5,)),
        4: result(4, 2),
        5: result(5, 3),
    }
    families = families_of(results)
    assert {root: list(family) for root, family in families.items()} == {1: [1, 3, 5], 2: [2, 4]}
    swapped = renumbered({2: families[1], 1: families[2]}, 3, {5})
    assert {root: {old: new.tile_id for old, new in family.items()} for root, family in swapped.items()} == {
        2: {1: 2, 3: 6, 5: 7},
        1: {2: 1, 4: 4},
    }
    last = swapped[2][3]
    assert (last.retry_of, last.retry_tile_ids) == (2, (7,))
    assert renumbered(families, 2, ()) == families


def test_a_family_is_complete_with_all_its_masters_alone() -> None:
    whole = {1: result(1, None, (3,)), 3: result(3, 1)}
    assert is_complete(whole)
    assert not is_complete({})
    assert not is_complete({1: whole[1]})
    assert not is_complete({1: whole[1], 3: result(3, 1, path=None)})
