"""``zemo-diag phase3`` run again: results are kept by what they were made of, and a fresh run would say the same."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import zemo_diag
import zemosaic_worker as worker
from tests.phase3.test_command import (
    ALTAZ_TILE,
    EQ_TILE,
    PIERCED_TILE,
    Ran,
    astray,
    outcome,
    state_of,
    write_lights,
)
from zemo_diagnostics.errors import OutputError
from zemo_diagnostics.phase3 import manifest as phase3_manifest

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
    assert (ran.run["built"], ran.run["copied"]) == (10, 2)
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


# What is done to the frames, and how many of the twelve masters are kept.
CHANGES: list[tuple[Callable[[Path], None], int]] = [
    (tile_after, 12),
    (tile_before, 12),
    (tile_between_with_a_retry, 12),
    (two_tiles_more, 12),
    (first_tile_gone, 6),
    (last_tile_gone, 6),
    (first_retry_gone, 6),
    (first_tile_changed, 6),
    (order_changed, 6),
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
    assert (both.run["built"], both.run["kept"]) == (2, 13)


def test_a_dry_run_renumbers_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tile_before(folder / "lights")
    before = state_of(folder / "out")
    capsys.readouterr()
    arguments = ["phase3", str(folder / "lights"), "-o", str(folder / "out"), "--dry-run", "--format", "json"]
    assert zemo_diag.run(arguments) == 0
    run = json.loads(capsys.readouterr().out)["results"]["phase3"]
    assert (run["plan"]["masters"], run["kept"]) == (3, 12)
    assert state_of(folder / "out") == before


def test_the_log_names_the_numbers_that_changed(folder: Path) -> None:
    tile_after(folder / "lights")
    told = [line[::2] for line in Ran(folder / "lights", folder / "out").log() if line[2].startswith("P3_RENUMBERED")]
    numbers = [f"P3_RENUMBERED: tile {old} is tile {old + 1} from here on" for old in (2, 3)]
    assert sorted(told) == [(rule, text) for rule in ("before", "patched", "rule_alone") for text in numbers]


def test_what_only_changed_its_times_is_kept(folder: Path) -> None:
    for path in (folder / "out").rglob("*.fits"):
        os.utime(path, (1e9, 1e9))
    again = Ran(folder / "lights", folder / "out")
    assert (again.run["built"], again.run["copied"], again.run["kept"]) == (0, 0, 12)


# ------------------------------------------------------------------------------------------------ whose files


# Names like those of masters and pictures, none of which this run needs.
FOREIGN = (
    "before/master_tile_001 copy.fits",
    "before/master_tile_backup.fits",
    "patched/master_tile_099.fits",
    "patched/master_tile_000.fits",
    "patched/notes.txt",
    "pictures/tile_099.png",
    "pictures/tile_mine.png",
    "mine.fits",
)


def put_foreign(out: Path, names: Iterable[str] = FOREIGN) -> dict[str, tuple[int, int]]:
    """Put somebody's own files beside the masters; their sizes and times."""
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("mine", encoding="utf-8")
    return {name: state_of(out)[name] for name in names}


@pytest.mark.parametrize("options", [(), ("--kappa-low", "2", "--force")], ids=["again", "with other options"])
def test_what_others_put_there_stays(options: tuple[str, ...], folder: Path) -> None:
    foreign = put_foreign(folder / "out")
    first_tile_gone(folder / "lights")
    tile_before(folder / "lights")
    again, fresh = Ran(folder / "lights", folder / "out", *options), Ran(folder / "lights", folder / "fresh", *options)
    assert (again.code, again.run["tiles"]) == (fresh.code, fresh.run["tiles"])
    after = state_of(folder / "out")
    assert {name: after.get(name) for name in foreign} == foreign
    own = {name for name in after if name.endswith((".fits", ".png"))} - set(foreign)
    assert own == {name for name in state_of(folder / "fresh") if name.endswith((".fits", ".png"))}


@pytest.mark.parametrize(
    "name", ["before/master_tile_002.fits", "patched/master_tile_001.fits", "pictures/tile_001.png"]
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["run", "dry run"])
def test_a_file_of_others_that_stands_in_the_way_is_told_before_anything_is_built(
    name: str, dry: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_foreign(folder / "new", [name])
    before = state_of(folder)
    assert zemo_diag.run(["phase3", str(folder / "lights"), "-o", str(folder / "new"), "--force", "-q", *dry]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"'{name}' in 'new' stands where" in error
    assert "move it elsewhere" in error
    assert state_of(folder) == before


def test_a_master_that_somebody_changed_is_somebodys(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed, gone = (folder / "out" / "patched" / f"master_tile_00{i}.fits" for i in (1, 3))
    for path in (changed, gone):
        path.write_bytes(path.read_bytes()[:-2880] + bytes(2880))
    before = state_of(folder / "out")
    assert Ran(folder / "lights", folder / "out").code == 2
    assert "it was changed since" in capsys.readouterr().err
    assert state_of(folder / "out") == before
    changed.rename(folder / "mine.fits")
    again = Ran(folder / "lights", folder / "out")
    numbers = [(tile["tile_id"], tile["retry_of"]) for tile in again.run["tiles"]]
    assert numbers == [(1, None), (2, None), (4, 1), (5, 2)]  # 3 is somebody's
    assert gone.read_bytes()[-2880:] == bytes(2880)


def test_a_retry_takes_no_name_that_is_taken(folder: Path) -> None:
    foreign = put_foreign(folder / "new", ["before/master_tile_003.fits", "pictures/tile_005.png"])
    ran = Ran(folder / "lights", folder / "new", "--force")
    assert [(tile["tile_id"], tile["retry_of"]) for tile in ran.run["tiles"]] == [(1, None), (2, None), (4, 1), (6, 2)]
    assert ran.code == 0
    after = state_of(folder / "new")
    assert {name: after[name] for name in foreign} == foreign
    again = Ran(folder / "lights", folder / "new")
    assert (again.run["kept"], again.run["tiles"]) == (12, ran.run["tiles"])


@pytest.mark.parametrize("name", ["phase3.log", "before/.phase3_scratch", "pictures/.phase3_scratch"])
def test_a_link_is_never_written_through(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mine").mkdir()
    (folder / "new" / name).parent.mkdir(parents=True)
    (folder / "new" / name).symlink_to(folder / "mine")
    ran = Ran(folder / "lights", folder / "new", "--force")
    assert ran.code == (0 if "pictures" in name else 2)
    assert (".phase3_scratch' cannot be made" in capsys.readouterr().err) == name.startswith("before")
    assert list((folder / "mine").iterdir()) == []


@pytest.mark.parametrize("name", ["before", "patched", "pictures"])
def test_a_file_in_the_place_of_a_folder_is_told(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_foreign(folder / "new", [name])
    assert Ran(folder / "lights", folder / "new", "--force").code == 2
    assert f"'{name}' is no folder: name another one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text"),
    [("phase3.json", '{"schema": "zemo-diag-report"}'), ("phase3.json", "[]"), ("phase3.log", "a diary\n")],
)
def test_records_and_logs_of_others_are_never_written_into(
    name: str, text: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "new").mkdir()
    (folder / "new" / name).write_text(text, encoding="utf-8")
    assert Ran(folder / "lights", folder / "new", "--force").code == 2
    assert f"{name}' was not made by zemo-diag phase3" in capsys.readouterr().err
    assert (folder / "new" / name).read_text(encoding="utf-8") == text


def test_a_lost_record_makes_everything_somebodys(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "out" / "phase3.json").unlink()
    before = state_of(folder / "out")
    assert Ran(folder / "lights", folder / "out", "--force").code == 2
    assert "zemo-diag did not make it" in capsys.readouterr().err
    assert state_of(folder / "out") == before
    for name in ("before", "rule_alone", "patched", "pictures"):
        (folder / "out" / name).rename(folder / name)
    assert Ran(folder / "lights", folder / "out", "--force").run["built"] == 10  # the log is known by its lines


def test_a_record_that_names_other_files_is_no_record(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_foreign(folder, ["mine.fits"])
    record = folder / "out" / "phase3.json"
    document = json.loads(record.read_text(encoding="utf-8"))
    document["files"]["before/../../mine.fits"] = document["files"]["before/master_tile_001.fits"]
    record.write_text(json.dumps(document), encoding="utf-8")
    assert Ran(folder / "lights", folder / "out").code == 2
    assert "cannot be read" in capsys.readouterr().err
    assert (folder / "mine.fits").exists()


@pytest.mark.parametrize(
    "name", ["phase3.json", "PHASE3.json", "../out/phase3.json", "before/report.json", "Pictures/report.md"]
)
def test_a_report_never_takes_the_place_of_what_the_run_keeps(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = state_of(folder / "out")
    arguments = ["phase3", str(folder / "lights"), "-o", str(folder / "out"), "-q", "--force"]
    assert zemo_diag.run([*arguments, "--report", str(folder / "out" / name)]) == 2
    assert "keeps for itself" in capsys.readouterr().err
    assert state_of(folder / "out") == before


def test_a_report_beside_them_is_written(folder: Path) -> None:
    arguments = ["phase3", str(folder / "lights"), "-o", str(folder / "out"), "-q"]
    assert zemo_diag.run([*arguments, "--report", str(folder / "out" / "report.md")]) == 0
    assert (folder / "out" / "report.md").exists()


# --------------------------------------------------------------------------------- stopped at the worst moment


def test_a_run_stopped_between_record_and_master_builds_that_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(phase3_manifest, "_move", stop)
    assert Ran(folder / "lights", folder / "new").code == 130
    monkeypatch.undo()
    again, fresh = Ran(folder / "lights", folder / "new"), Ran(folder / "lights", folder / "fresh")
    assert (again.run["built"], again.run["kept"]) == (10, 0)
    assert outcome(again) == outcome(fresh)


def test_numbers_that_cannot_be_changed_stay_as_they_were(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The record cannot be saved when the masters are about to get other names: every one is where it was."""
    tile_before(folder / "lights")
    real = phase3_manifest.Manifest._record

    def full(manifest: Any, marks: Any) -> None:
        if marks:
            raise OutputError("no room for the record")
        real(manifest, marks)

    before = {path: path.read_bytes() for path in (folder / "out").rglob("*.fits")}
    monkeypatch.setattr(phase3_manifest.Manifest, "_record", full)
    assert Ran(folder / "lights", folder / "out").code == 2
    assert "no room for the record" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (folder / "out").rglob("*.fits")} == before
    monkeypatch.undo()
    again, fresh = Ran(folder / "lights", folder / "out"), Ran(folder / "lights", folder / "fresh")
    assert again.run["kept"] == 12
    assert outcome(again) == outcome(fresh)


def test_what_a_killed_run_left_half_made_is_swept_and_logged(folder: Path) -> None:
    for name in ("before", "patched", "pictures"):
        (folder / "out" / name / ".phase3_scratch" / f"left in {name}").mkdir(parents=True)
    log = [line[::2] for line in Ran(folder / "lights", folder / "out").log() if line[2].startswith("P3_SCRATCH")]
    left = "P3_SCRATCH: removed what a process that ended left behind: left in"
    assert log == [(name, f"{left} {name}") for name in ("before", "patched", "pictures")]
    assert not list((folder / "out").rglob(".phase3_scratch"))
