"""``zemo-diag phase3`` run again: results are kept by what they were made of, and a fresh run would say the same."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import zemo_diag
import zemosaic_worker as worker
from tests.test_phase3_command import (
    ALTAZ_TILE,
    EQ_TILE,
    PIERCED_TILE,
    Ran,
    astray,
    outcome,
    state_of,
    write_lights,
)

FIRST = replace(EQ_TILE, folder="tile_10_eq")
SECOND = replace(ALTAZ_TILE, folder="tile_20_altaz")


def place_by_pointing(index: int, frame: Any, aligner: Any, aligned: Any, _job: Any) -> None:
    """Stand in for the search for stars, which takes long: frames of the field lie as they are, others nowhere."""
    if abs(float(frame.header["RA"]) - float(aligned.reference.header["RA"])) > 1:
        aligned.failed.append(index)
        return
    aligned.store.add(frame.pixels[: aligner.shape[0]])
    aligned.placed.append(index)


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "_align_frame", place_by_pointing)
        yield


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiles, one of them equatorial, each with a frame that becomes a retry tile: built once for all tests."""
    folder = tmp_path_factory.mktemp("first")
    write_lights(folder / "lights", FIRST, astray(FIRST, 1), SECOND, astray(SECOND, 2))
    ran = Ran(folder / "lights", folder / "out")
    assert [(tile["tile_id"], tile["retry_of"]) for tile in ran.run["tiles"]] == [(1, None), (2, None), (3, 1), (4, 2)]
    assert (ran.run["built"], ran.run["copied"]) == (6, 2)
    return folder


@pytest.fixture
def folder(first_run: Path, tmp_path: Path) -> Path:
    """Give a copy of the first run, with its frames, to go on in."""
    shutil.copytree(first_run, tmp_path / "copy")
    return tmp_path / "copy"


def tile_after(lights: Path) -> None:
    write_lights(lights, PIERCED_TILE)


def tile_before(lights: Path) -> None:
    write_lights(lights, replace(PIERCED_TILE, folder="tile_05_pierced"))


def tile_between_with_a_retry(lights: Path) -> None:
    between = replace(EQ_TILE, start_utc="2025-07-12T00:40:00", folder="tile_15_eq")
    write_lights(lights, between, astray(between, 3))


def two_tiles_more(lights: Path) -> None:
    tile_before(lights)
    tile_after(lights)


def first_tile_gone(lights: Path) -> None:
    shutil.rmtree(lights / FIRST.folder)


def last_tile_gone(lights: Path) -> None:
    shutil.rmtree(lights / SECOND.folder)


def first_retry_gone(lights: Path) -> None:
    sorted((lights / FIRST.folder).iterdir())[-1].unlink()


def first_tile_changed(lights: Path) -> None:
    os.utime(next((lights / FIRST.folder).iterdir()))


def order_changed(lights: Path) -> None:
    (lights / FIRST.folder).rename(lights / "tile_40_eq")


# What is done to the frames, and how many of the eight masters are kept.
CHANGES: list[tuple[Callable[[Path], None], int]] = [
    (tile_after, 8),
    (tile_before, 8),
    (tile_between_with_a_retry, 8),
    (two_tiles_more, 8),
    (first_tile_gone, 4),
    (last_tile_gone, 4),
    (first_retry_gone, 4),
    (first_tile_changed, 4),
    (order_changed, 4),
]


@pytest.mark.parametrize(("change", "kept"), CHANGES, ids=[change.__name__ for change, _ in CHANGES])
def test_a_run_that_goes_on_ends_as_a_fresh_one(change: Callable[[Path], None], kept: int, folder: Path) -> None:
    change(folder / "lights")
    again, fresh = Ran(folder / "lights", folder / "out"), Ran(folder / "lights", folder / "fresh")
    assert outcome(again) == outcome(fresh)
    assert (again.run["kept"], fresh.run["kept"]) == (kept, 0)
    third = Ran(folder / "lights", folder / "out")
    assert outcome(third) == outcome(fresh)
    assert (third.run["built"], third.run["copied"]) == (0, 0)


def test_one_rule_alone_goes_on_too(folder: Path) -> None:
    tile_before(folder / "lights")
    again = Ran(folder / "lights", folder / "out", "--only", "patched")
    assert (again.run["built"], again.run["kept"]) == (1, 4)
    both, fresh = Ran(folder / "lights", folder / "out"), Ran(folder / "lights", folder / "fresh")
    assert outcome(both) == outcome(fresh)
    assert (both.run["built"], both.run["kept"]) == (1, 9)


def test_a_dry_run_renumbers_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tile_before(folder / "lights")
    before = state_of(folder / "out")
    capsys.readouterr()
    arguments = ["phase3", str(folder / "lights"), "-o", str(folder / "out"), "--dry-run", "--format", "json"]
    assert zemo_diag.run(arguments) == 0
    run = json.loads(capsys.readouterr().out)["phase3"]
    assert (run["plan"]["masters"], run["kept"]) == (2, 8)
    assert state_of(folder / "out") == before


def test_the_log_names_the_numbers_that_changed(folder: Path) -> None:
    tile_after(folder / "lights")
    told = [line[::2] for line in Ran(folder / "lights", folder / "out").log() if line[2].startswith("P3_RENUMBERED")]
    numbers = [f"P3_RENUMBERED: tile {old} is tile {old + 1} from here on" for old in (3, 4)]
    assert sorted(told) == [(rule, text) for rule in ("before", "patched") for text in numbers]


def test_what_only_changed_its_times_is_kept(folder: Path) -> None:
    for path in (folder / "out").rglob("*.fits"):
        os.utime(path, (1e9, 1e9))
    again = Ran(folder / "lights", folder / "out")
    assert (again.run["built"], again.run["copied"], again.run["kept"]) == (0, 0, 8)
