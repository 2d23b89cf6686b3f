"""``zemo-diag phase3``: the tile that the old rule wipes, and all that may go wrong while masters are built."""

from __future__ import annotations

import errno
import importlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

import zemo_diag
import zemosaic_worker as worker
from tests.conftest import ROOT
from tests.sample_reports import run_phase3, tile_build, tile_phase3, with_builds
from zemo_diagnostics.demo.sample_groups import PHASE3_GROUP, SampleTile, write_group
from zemo_diagnostics.machine.core_packages import interpreter
from zemo_diagnostics.masters.data import MasterVerdict
from zemo_diagnostics.masters.pictures import BLANK_COLOR
from zemo_diagnostics.phase3 import plan as phase3_plan
from zemo_diagnostics.phase3.data import Rule, TileVerdict
from zemo_diagnostics.phase3.lock import LOCK_NAME, locked
from zemo_diagnostics.phase3.tell import build_words, phase3_verdict
from zemo_diagnostics.zemosaic.mount_mode import Mode

EQ_TILE = SampleTile(mode=Mode.EQ, start_utc="2025-07-12T00:30:00", frames=3, folder="tile_eq")
ALTAZ_TILE = SampleTile(
    mode=Mode.ALT_AZ, start_utc="2025-07-12T01:00:20", frames=3, folder="tile_altaz", cadence_s=240.0
)


PIERCED_TILE = SampleTile(
    mode=Mode.EQ, start_utc="2025-07-12T00:50:00", frames=4, folder="tile_pierced", kind="pierced", dither_px=0.0
)


def astray(tile: SampleTile, minute: int) -> SampleTile:
    """A frame of another field, which cannot be placed: it becomes a retry tile."""
    return replace(tile, start_utc=f"2025-07-12T03:{minute:02d}:00", frames=1, offset_deg=(3.0, 3.0))


def write_lights(folder: Path, *tiles: SampleTile) -> Path:
    """Write small tiles, three frames each."""
    write_group(replace(PHASE3_GROUP, tiles=tiles), folder, shape=(160, 120))
    return folder


@pytest.fixture
def lights(tmp_path: Path) -> Path:
    """Give one equatorial and one alt-az tile."""
    return write_lights(tmp_path / "lights", EQ_TILE, ALTAZ_TILE)


class Ran:
    """What one call of the command came to."""

    def __init__(self, folder: Path | None, out: Path, *options: str) -> None:
        self.out, report = out, out.parent / "report.json"
        arguments = ["phase3", *([str(folder)] if folder else []), "-o", str(out), "-q", "--report", str(report)]
        report.unlink(missing_ok=True)
        self.code = zemo_diag.run([*arguments, *options])
        self.document: dict[str, Any] = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}

    @property
    def run(self) -> dict[str, Any]:
        run: dict[str, Any] = self.document["results"]["phase3"]
        return run

    @property
    def codes(self) -> list[str]:
        return [finding["code"] for finding in self.document["findings"]]

    def log(self) -> list[tuple[str, str, str]]:
        """Rule, level and text of every line of the log."""
        text = (self.out / "phase3.log").read_text(encoding="utf-8")
        return re.findall(r"^\[\d\d:\d\d:\d\d\] \[(\w+)\] \[(\w+)\] (.*)$", text, re.MULTILINE)


def state_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def outcome(ran: Ran) -> dict[str, Any]:
    """What a run comes to: its report but for what was built in it, and every master and picture."""
    run = {key: value for key, value in ran.run.items() if key not in ("plan", "built", "copied", "kept")}
    files = sorted(path for path in ran.out.rglob("*") if path.suffix in (".fits", ".png"))
    return {
        "run": run,
        "findings": ran.document["findings"],
        "code": ran.code,
        "files": {path.relative_to(ran.out).as_posix(): path.read_bytes() for path in files},
    }


# ------------------------------------------------------------------------------------- the demonstration


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The demonstration, once for all tests that look at it."""
    return Ran(None, tmp_path_factory.mktemp("demo") / "out", "--demo")


def outcomes(tile: dict[str, Any]) -> tuple[str, ...]:
    """What each rule makes of a tile."""
    return tuple(tile[rule]["outcome"] for rule in ("before", "rule_alone", "patched"))


def test_what_each_rule_makes_of_the_five_tiles(demo: Ran) -> None:
    assert demo.code == 0
    assert [tile["eqmode"] for tile in demo.run["tiles"]] == ["EQ", "EQ", "ALT_AZ", "ALT_AZ", "EQ"]
    wide, dithered, turning, guarded, pierced = demo.run["tiles"]
    one = "one frame's light"
    assert [outcomes(tile) for tile in demo.run["tiles"]] == [
        (one, "wiped", "kept"),
        (one, "kept", "kept"),
        ("empty", "kept", "kept"),
        (one, "kept", "kept"),
        (one, "kept", "kept"),
    ]
    assert {tile["verdict"] for tile in demo.run["tiles"]} == {TileVerdict.SAVED.value}
    assert [tile["before"]["one_frame"]["scale"] for tile in (wide, dithered, guarded, pierced)] == pytest.approx(
        [1 / 5, 1 / 7, 1 / 5, 1 / 5], rel=1e-5
    )
    assert wide["rule_alone"]["blank_fraction"] > 0.9
    assert wide["patched"]["blank_fraction"] == 0
    assert 0 < dithered["rule_alone"]["blank_fraction"] < 0.1
    assert (turning["rule_alone"]["same_as"], turning["before"]["same_as"]) == ("patched", None)
    assert 0.01 < turning["patched"]["blank_fraction"] < 0.2
    assert guarded["patched"]["mask_dropped"]
    assert 0 < pierced["patched"]["blank_fraction"] < 0.2
    assert sorted(set(demo.codes)) == ["ZD401", "ZD402", "ZD407", "ZD413"]
    assert (demo.run["built"], demo.run["copied"], demo.run["kept"]) == (13, 2, 0)


def test_every_line_of_the_worker_is_in_the_log(demo: Ran) -> None:
    log = demo.log()
    summary = "WORKER_EQMODE_SUMMARY: eq=16 altaz=13 unknown=0 total=29 contains_altaz=True"
    assert [line for line in log if line[2].startswith("WORKER_")] == [
        ("patched", "INFO", summary),
        ("rule_alone", "INFO", summary),
        ("before", "INFO", summary),
    ]
    gating = [text for rule, level, text in log if (rule, level) == ("patched", "DEBUG_DETAIL") and "GATING" in text]
    assert sorted(gating) == [
        f"P3_ALTaz_GATING: tile_id={i} eqmode={mode} global_enabled=True => tile_enabled={mode == 'ALT_AZ'}"
        for i, mode in enumerate(("EQ", "EQ", "ALT_AZ", "ALT_AZ", "EQ"))
    ]
    forms = [
        r"ALPHA_STATS: level=master_tile nonzero_frac=\S+ min=\S+ max=\S+ shape=\((320, 180|368, 368)\)",
        r"MT_PIPELINE: altaz_cleanup applied: masked_used=True mask2d_used=True mask2d_applied=\w+ threshold=0.001",
        r"MT_PIPELINE: lecropper_applied=\w+, quality_crop=False, altaz_cleanup=\w+, quality_gate=False, "
        r"salvage_mode=False",
    ]
    for form in forms:
        assert {rule for rule, _, text in log if re.fullmatch(form, text)} == {"patched", "rule_alone", "before"}, form
    empty = r"MT_EMPTY_TILE tile=2 max_abs=0 std=0 valid_frac=\S+ alpha_frac=\S+ eps=1e-08"
    assert [rule for rule, _, text in log if re.fullmatch(empty, text)] == ["before"]


def test_masters_tells_the_two_folders_apart(demo: Ran) -> None:
    assert zemo_diag.run(["masters", str(demo.out / "before"), "-q"]) == 1
    assert zemo_diag.run(["masters", str(demo.out / "patched"), "-q"]) == 0


def test_the_picture_shows_both_alike(demo: Ran) -> None:
    assert sorted(path.name for path in (demo.out / "pictures").iterdir()) == [f"tile_00{i}.png" for i in range(1, 6)]
    picture = np.asarray(Image.open(demo.out / "pictures" / "tile_001.png"))
    thirds = picture[:320, 8:188], picture[:320, 196:376], picture[:320, 384:564]
    blank = [float(np.mean((third == BLANK_COLOR).all(axis=2))) for third in thirds]
    assert 0.05 < blank[0] < 0.15
    assert blank[1] > 0.9
    assert blank[2] == 0


def test_nothing_private_is_left_in_what_people_attach(demo: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    assert Ran(None, demo.out, "--demo", "--format", "markdown").code == 0
    texts = [capsys.readouterr().out, json.dumps(demo.document)]
    texts += [(demo.out / name).read_text(encoding="utf-8") for name in ("phase3.log", "phase3.json")]
    for text in texts:
        for private in (str(demo.out.parent), "0badcafe", "45.67", "-34.56", "SITELAT"):
            assert private not in text


# ---------------------------------------------------------------------------------------- rules and options


def test_an_equatorial_run_warns_once_and_cleans_nothing(tmp_path: Path) -> None:
    ran = Ran(write_lights(tmp_path / "lights", EQ_TILE), tmp_path / "out", "--only", "patched")
    warning = "ALTaz cleanup requested but no ALT_AZ frames detected -> disabled (EQ-only run)."
    assert [line for line in ran.log() if line[1] == "WARN"] == [("patched", "WARN", warning)]
    assert [(t["patched"]["cleanup_enabled"], t["patched"]["blank_pixels"]) for t in ran.run["tiles"]] == [(False, 0)]
    assert ran.run["log_message"] == warning
    assert not (ran.out / "before").exists()
    assert (ran.code, ran.run["tiles"][0]["before"]) == (0, None)


def test_before_the_patch_all_tiles_are_cleaned_where_one_is_alt_az_whatever_was_asked_for(
    lights: Path, tmp_path: Path
) -> None:
    ran = Ran(lights, tmp_path / "out", "--only", "before")
    assert [tile["before"]["cleanup_enabled"] for tile in ran.run["tiles"]] == [True, True]
    assert [tile["patched"] for tile in ran.run["tiles"]] == [None, None]
    off = Ran(lights, tmp_path / "off", "--altaz-cleanup", "off", "--only", "before")
    assert [tile["before"]["cleanup_enabled"] for tile in off.run["tiles"]] == [True, True]  # by itself: one is alt-az
    switched = "AUTO_ALTaz_cleanup: enabled (contains_altaz=True, config_requested=False)"
    assert ("before", "INFO", switched) in off.log()
    never = Ran(lights, tmp_path / "never", "--altaz-cleanup", "never")
    builds = [tile[rule] for tile in never.run["tiles"] for rule in ("before", "rule_alone", "patched")]
    assert not any(build["cleanup_enabled"] for build in builds)
    assert (never.run["built"], never.run["copied"]) == (2, 4)


def test_the_options_reach_the_masters_and_the_frames_are_only_read(lights: Path, tmp_path: Path) -> None:
    before = state_of(lights)
    options = ("--kappa-low", "1.5", "--kappa-high", "2", "--weights", "noise", "--jobs", "1", "--only", "patched")
    ran = Ran(lights, tmp_path / "out", *options)
    header = fits.getheader(ran.out / "patched" / "master_tile_001.fits")
    assert (header["ZMT_KAPLO"], header["ZMT_KAPHI"], header["ZMT_WGHT"]) == (1.5, 2.0, "noise_variance")
    assert ran.run["plan"]["at_a_time"] == 1
    assert state_of(lights) == before


def test_a_dry_run_tells_the_plan_and_writes_nothing(
    lights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = state_of(tmp_path)
    code = zemo_diag.run(["phase3", str(lights), "-o", str(tmp_path / "out"), "--dry-run", "--format", "json"])
    run = json.loads(capsys.readouterr().out)["results"]["phase3"]
    assert (code, run["dry_run"], run["plan"]["masters"]) == (0, True, 5)
    assert 0 < run["plan"]["disk_bytes"] < run["plan"]["disk_free_bytes"]
    assert 0 < run["plan"]["memory_bytes"] < run["plan"]["memory_limit_bytes"]
    assert state_of(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lights"]


# --------------------------------------------------------------------------------------- the output folder


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("lights", "only read"),
        ("lights/tile_eq/out", "only read"),
        ("full", "--force"),
        ("file", "no folder"),
        ("none/out", "no folder"),
    ],
)
def test_a_folder_that_is_not_safe_is_refused(
    out: str, words: str, lights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    (tmp_path / "file").touch()
    before = state_of(tmp_path)
    assert zemo_diag.run(["phase3", str(lights), "-o", str(tmp_path / out), "-q"]) == 2
    assert words in capsys.readouterr().err
    assert state_of(tmp_path) == before


@pytest.mark.parametrize(("place", "code"), [("before", 2), ("patched/deep", 2), ("pictures", 2), ("frames", 0)])
def test_frames_that_lie_where_masters_go_are_refused(
    place: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lights = write_lights(tmp_path / "out" / place, EQ_TILE)
    before = state_of(lights)
    options = ("--force", "--dry-run", "-q")
    assert zemo_diag.run(["phase3", str(lights), "-o", str(tmp_path / "out"), *options]) == code
    assert ("the frames lie in" in capsys.readouterr().err) == (code == 2)
    assert state_of(lights) == before


def test_a_link_to_a_folder_is_followed(lights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")
    assert Ran(lights, tmp_path / "out", "--only", "patched").code == 0
    assert len(list((tmp_path / "real" / "patched").iterdir())) == 2
    (tmp_path / "lost").symlink_to("nowhere")
    assert Ran(lights, tmp_path / "lost").code == 2
    assert "no folder" in capsys.readouterr().err


def test_a_damaged_record_is_told(lights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "phase3.json").write_text("{", encoding="utf-8")
    assert Ran(lights, tmp_path / "out").code == 2
    assert "the record phase3.json in" in (error := capsys.readouterr().err)
    assert "--force" in error
    assert Ran(lights, tmp_path / "out", "--force", "--only", "patched").run["built"] == 2


def test_a_run_keeps_others_out_and_takes_over_what_was_left(
    lights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    with locked(out):
        assert Ran(lights, out).code == 2
        assert "another run is working in" in capsys.readouterr().err
        assert [path.name for path in out.iterdir()] == [LOCK_NAME]
    out.mkdir()
    (out / LOCK_NAME).write_text(f"{os.getppid()} 0 of a run that was killed\n", encoding="utf-8")
    assert Ran(lights, out, "--only", "patched").code == 0
    assert not (out / LOCK_NAME).exists()


def test_the_lock_is_there_while_masters_are_built_and_never_left(
    lights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = []

    def stop(*_: Any) -> Path:
        locked.append((tmp_path / "out" / LOCK_NAME).read_text(encoding="utf-8").split(" ")[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "_write_master", stop)
    assert Ran(lights, tmp_path / "out", "--jobs", "1").code == 130
    assert locked == [str(os.getpid())]
    assert not (tmp_path / "out" / LOCK_NAME).exists()


def test_one_rule_built_again_still_draws_both(lights: Path, tmp_path: Path) -> None:
    first = Ran(lights, tmp_path / "out")
    pictures = {path.name: path.read_bytes() for path in (first.out / "pictures").iterdir()}
    (first.out / "patched" / "master_tile_002.fits").unlink()
    again = Ran(lights, first.out, "--only", "patched")
    assert [(tile["before"], tile["rule_alone"]) for tile in again.run["tiles"]] == [(None, None)] * 2
    assert {path.name: path.read_bytes() for path in (first.out / "pictures").iterdir()} == pictures


def test_the_picture_of_a_tile_that_is_gone_goes_too(lights: Path, tmp_path: Path) -> None:
    first = Ran(lights, tmp_path / "out", "--only", "patched")
    (first.out / "pictures" / "tile_mine.png").touch()
    shutil.rmtree(lights / "tile_eq")
    Ran(lights, first.out, "--only", "patched")
    assert sorted(path.name for path in (first.out / "pictures").iterdir()) == ["tile_001.png", "tile_mine.png"]


def test_dead_lights_are_not_called_wiped() -> None:
    zeros: dict[str, Any] = {"verdict": MasterVerdict.EMPTY, "valid_pixels": 100_000, "medians": (None, None, None)}
    builds = {"before": tile_build(Rule.BEFORE, 1.0, **zeros), "patched": tile_build(blank=1.0, **zeros)}
    dead = with_builds(tile_phase3(3), **builds)
    cleaned = replace(tile_phase3(4, "ALT_AZ", (0.95, 0.95)))
    verdict = phase3_verdict(run_phase3(tile_phase3(1), dead, cleaned))
    assert verdict == "3 tiles; lost before the patch: 2, lost with the patch: 1, empty under all rules: 1"
    assert dead.patched is not None
    assert build_words(dead.patched) == "empty, 100 % blank"


def test_force_builds_beside_what_is_there(lights: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine", encoding="utf-8")
    ran = Ran(lights, tmp_path / "out", "--force", "--only", "patched")
    assert (ran.code, ran.run["built"]) == (0, 2)
    assert (ran.out / "mine.txt").read_text(encoding="utf-8") == "mine"


def test_a_second_run_keeps_what_is_finished(lights: Path, tmp_path: Path) -> None:
    first = Ran(lights, tmp_path / "out")
    assert (first.run["built"], first.run["copied"], first.run["kept"]) == (5, 1, 0)
    made = {name: when for name, when in state_of(first.out).items() if name.endswith(".fits")}
    again = Ran(lights, tmp_path / "out")
    assert (again.run["built"], again.run["copied"], again.run["kept"]) == (0, 0, 6)
    assert again.run["tiles"] == first.run["tiles"]
    assert {name: when for name, when in state_of(first.out).items() if name.endswith(".fits")} == made
    os.utime(next((lights / "tile_altaz").iterdir()))
    (first.out / "rule_alone" / "master_tile_002.fits").unlink()
    third = Ran(lights, tmp_path / "out")
    assert (third.run["built"], third.run["copied"], third.run["kept"]) == (3, 1, 2)
    (first.out / "patched" / "master_tile_001.fits").unlink()
    fourth = Ran(lights, tmp_path / "out")
    assert (fourth.run["built"], fourth.run["copied"], fourth.run["kept"]) == (1, 1, 4)


def test_other_options_are_refused_and_force_builds_them_anew(
    lights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Ran(lights, tmp_path / "out", "--only", "patched")
    capsys.readouterr()
    assert Ran(lights, tmp_path / "out", "--kappa-low", "2").code == 2
    assert "kappa_low=3.0" in capsys.readouterr().err
    forced = Ran(lights, tmp_path / "out", "--kappa-low", "2", "--force", "--only", "patched")
    assert (forced.code, forced.run["built"], forced.run["kept"]) == (0, 2, 0)
    assert Ran(lights, tmp_path / "out", "--kappa-low", "2", "--force", "--only", "patched").run["kept"] == 2
    shutil.rmtree(lights / "tile_eq")
    left = Ran(lights, tmp_path / "out", "--kappa-low", "2", "--only", "patched")
    assert [path.name for path in (left.out / "patched").iterdir()] == ["master_tile_001.fits"]
    assert left.run["tiles"][0]["eqmode"] == "ALT_AZ"


# ------------------------------------------------------------------------------------------------- trouble


def test_a_truncated_frame_is_named_and_the_others_are_stacked(lights: Path, tmp_path: Path) -> None:
    cut = sorted((lights / "tile_eq").iterdir())[2]
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    ran = Ran(lights, tmp_path / "out", "--only", "patched")
    assert (ran.code, ran.codes) == (0, ["ZD001"])
    assert cut.name in json.dumps(ran.document["findings"][0])
    assert [tile["patched"]["stacked"] for tile in ran.run["tiles"]] == [3, 2]


def test_a_folder_that_no_system_could_make_is_one_sentence(
    lights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for output in (tmp_path / ("x" * 300), tmp_path / ("x" * 300) / "out"):
        assert zemo_diag.run(["phase3", str(lights), "-o", str(output), "-q"]) == 2
        assert "name another" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_loop_of_links_is_one_sentence(lights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one").symlink_to(tmp_path / "other")
    (tmp_path / "other").symlink_to(tmp_path / "one")
    assert zemo_diag.run(["phase3", str(tmp_path / "one"), "-o", str(tmp_path / "out"), "-q"]) == 2
    assert "leads in a circle of links" in capsys.readouterr().err
    assert zemo_diag.run(["phase3", str(lights), "-o", str(tmp_path / "one" / "out"), "-q"]) == 2
    assert "there is no folder" in capsys.readouterr().err
    for name in ("before", "phase3.log", "phase3.json"):
        out = tmp_path / f"out of {name}"
        out.mkdir()
        (out / name).symlink_to(out / name)
        assert zemo_diag.run(["phase3", str(lights), "-o", str(out), "-q", "--force"]) == 2
        assert f"{name}' is no " in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
@pytest.mark.parametrize("name", ["phase3.json", "phase3.log", LOCK_NAME])
def test_a_pipe_in_the_place_of_our_own_file_is_never_waited_for(
    lights: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "out" / name)
    assert Ran(lights, tmp_path / "out", "--force").code == 2
    assert f"{name}' is no regular file" in capsys.readouterr().err


def test_masters_are_no_lights(lights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    built = Ran(lights, tmp_path / "out", "--only", "patched")
    again = Ran(built.out / "patched", tmp_path / "again", "--only", "patched")
    assert (built.code, again.code) == (0, 2)
    assert "master_tile_001.fits: it is a master tile, not a light" in capsys.readouterr().err


def test_a_frame_without_values_is_named(lights: Path, tmp_path: Path) -> None:
    dead = sorted((lights / "tile_eq").iterdir())[0]
    header = fits.getheader(dead)
    fits.writeto(dead, np.full((160, 120), np.nan, np.float32), header, overwrite=True, output_verify="silentfix")
    ran = Ran(lights, tmp_path / "out", "--only", "patched")
    assert (ran.code, ran.codes) == (0, ["ZD406"])
    assert ran.document["findings"][0]["evidence"] == [dead.name]


def test_frames_of_elsewhere_go_to_a_retry_tile_of_the_same_mode(tmp_path: Path) -> None:
    elsewhere = replace(EQ_TILE, start_utc="2025-07-12T03:00:00", frames=1, offset_deg=(3.0, 3.0))
    ran = Ran(write_lights(tmp_path / "lights", EQ_TILE, elsewhere, ALTAZ_TILE), tmp_path / "out")
    tiles = {tile["tile_id"]: tile for tile in ran.run["tiles"]}
    assert sorted(tiles) == [1, 2, 3]
    retried = tiles[3]
    assert (retried["retry_of"], retried["eqmode"], retried["frames"]) == (2, "EQ", 1)
    assert (retried["before"]["cleanup_enabled"], retried["patched"]["cleanup_enabled"]) == (True, False)
    assert {"ZD405", "ZD408"} <= set(ran.codes)
    assert Ran(tmp_path / "lights", tmp_path / "out").run["kept"] == 9


def test_a_tile_whose_number_was_a_retrys_is_built_and_its_loss_is_shown(tmp_path: Path) -> None:
    lights = write_lights(tmp_path / "lights", ALTAZ_TILE, EQ_TILE, astray(EQ_TILE, 2))
    first = Ran(lights, tmp_path / "out")
    assert [(tile["tile_id"], tile["retry_of"]) for tile in first.run["tiles"]] == [(1, None), (2, None), (3, 2)]
    added = replace(EQ_TILE, start_utc="2025-07-12T00:50:00", folder="tile_new")
    write_lights(lights, added)
    again, fresh = Ran(lights, tmp_path / "out"), Ran(lights, tmp_path / "fresh")
    assert outcome(again) == outcome(fresh)
    assert (again.run["kept"], fresh.run["kept"]) == (9, 0)
    tile, retry = again.run["tiles"][2:4]
    assert (tile["tile_id"], tile["retry_of"], tile["name"]) == (3, None, added.folder)
    assert (tile["before"]["outcome"], tile["patched"]["outcome"]) == ("one frame's light", "kept")
    assert (retry["tile_id"], retry["retry_of"]) == (4, 2)


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(
    lights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(phase3_plan, "free_disk_bytes", lambda _output: 100_000)
    assert Ran(lights, tmp_path / "out").code == 2
    error = capsys.readouterr().err
    assert "make room" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_full_disk_ends_the_run_and_the_next_one_goes_on(
    lights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = worker._write_master

    def full(image: Any, alpha: Any, header: Any, job: Any, scratch: Path) -> Path:
        if job.tile_id == 2:
            (scratch / "master.fits").write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(image, alpha, header, job, scratch)

    monkeypatch.setattr(worker, "_write_master", full)
    ran = Ran(lights, tmp_path / "out", "--jobs", "1")
    assert (ran.code, ran.run["disk_full"]) == (2, True)
    assert ran.codes == ["ZD404", "ZD409"]
    assert sorted(path.name for path in (ran.out / "patched").iterdir()) == ["master_tile_001.fits"]
    monkeypatch.undo()
    again = Ran(lights, tmp_path / "out")
    assert (again.code, again.run["kept"], again.run["built"]) == (0, 1, 4)


def test_one_failing_tile_is_an_error_and_the_others_are_built(
    lights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = worker._align_group

    def fail(group: Any, job: Any, scratch: Path) -> Any:
        if job.tile_id == 1:
            raise RuntimeError("something odd")
        return original(group, job, scratch)

    monkeypatch.setattr(worker, "_align_group", fail)
    ran = Ran(lights, tmp_path / "out")
    assert (ran.code, ran.codes) == (1, ["ZD404", "ZD413", "ZD402"])
    assert ran.run["tiles"][0]["patched"]["error"] == "something odd"
    assert sorted(path.name for path in (ran.out / "patched").iterdir()) == ["master_tile_002.fits"]


def test_ctrl_c_gives_what_is_known(lights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = worker._write_master

    def stop(image: Any, alpha: Any, header: Any, job: Any, scratch: Path) -> Path:
        if job.tile_id == 2:
            raise KeyboardInterrupt
        return original(image, alpha, header, job, scratch)

    monkeypatch.setattr(worker, "_write_master", stop)
    ran = Ran(lights, tmp_path / "out", "--jobs", "1")
    assert (ran.code, ran.document["interrupted"]) == (130, True)
    assert [tile["patched"] is not None for tile in ran.run["tiles"]] == [True, False]
    assert sorted(path.name for path in (ran.out / "patched").iterdir()) == ["master_tile_001.fits"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills as POSIX does")
def test_a_killed_run_leaves_whole_masters_and_the_next_one_goes_on(lights: Path, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, zemosaic_worker as worker, zemo_diag\n"
        "original = worker._write_master\n"
        "def kill(image, alpha, header, job, scratch):\n"
        "    if job.tile_id == 2:\n"
        "        (scratch / 'master.fits').write_bytes(b'half')\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return original(image, alpha, header, job, scratch)\n"
        "worker._write_master = kill\n"
        "zemo_diag.run(sys.argv[1:])"
    )
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", code, "phase3", str(lights), "-o", str(out), "--jobs", "1"],
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'tools'}{os.pathsep}{ROOT}"},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    left = sorted(path.name for path in (out / "patched").iterdir())
    assert [name for name in left if name.endswith(".fits")] == ["master_tile_001.fits"]
    assert any(name.startswith(".phase3_scratch") for name in left)
    again = Ran(lights, out)
    assert (again.code, again.run["kept"], again.run["built"], again.run["copied"]) == (0, 1, 4, 1)
    assert sorted(path.name for path in (out / "patched").iterdir()) == ["master_tile_001.fits", "master_tile_002.fits"]


def without(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """Let modules be not installed."""
    find_spec, import_module = importlib.util.find_spec, importlib.import_module

    def find(name: str, *more: Any) -> Any:
        return None if name.partition(".")[0] in modules else find_spec(name, *more)

    def load(name: str, *more: Any) -> Any:
        if name.partition(".")[0] in modules:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return import_module(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    monkeypatch.setattr(importlib, "import_module", load)


def test_without_pillow_there_are_masters_and_a_note_and_it_is_said_beforehand(
    lights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without(monkeypatch, "PIL")
    ran = Ran(lights, tmp_path / "out", "--only", "patched")
    assert (ran.code, ran.codes) == (0, ["ZD411"])
    assert ran.run["tiles"][0]["picture"] is None
    first, *_, last = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"No pictures will be drawn: drawing pictures needs pillow, .*: install with \S+ -m pip install pillow", first
    )
    assert last.startswith("Log: ")
    assert zemo_diag.run(["phase3", str(lights), "-o", str(tmp_path / "new"), "--dry-run"]) == 0
    assert capsys.readouterr().err.splitlines() == [first]


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (("astroalign",), "needs astroalign, {} -m pip install astroalign"),
        (("scipy", "astroalign"), "needs astroalign and scipy, {} -m pip install astroalign scipy"),
        (("scipy", "PIL"), "needs scipy, {} -m pip install scipy pillow"),
    ],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",), ("--demo",)], ids=["run", "dry run", "demo"])
def test_without_the_extra_it_is_one_sentence_before_anything_is_made(
    missing: tuple[str, ...],
    words: str,
    dry: tuple[str, ...],
    lights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    without(monkeypatch, *missing)
    folder = [] if "--demo" in dry else [str(lights)]
    before = state_of(tmp_path)
    assert zemo_diag.run(["phase3", *folder, "-o", str(tmp_path / "out"), *dry]) == 2
    error = capsys.readouterr().err
    python = f"which this Python does not have: install with {re.escape(interpreter())}"
    assert re.fullmatch(f"zemo-diag: building master tiles {words.format(python)}\n", error)
    assert state_of(tmp_path) == before
    assert not (tmp_path / "out").exists()


def test_the_last_lines_say_where_everything_is(
    lights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert zemo_diag.run(["phase3", lights.name, "-o", "out"]) == 0
    masters, pictures, log = (str(Path("out", name)) for name in ("before", "pictures", "phase3.log"))
    said = [
        f"Masters: {masters}, {Path('out', 'rule_alone')}, {Path('out', 'patched')}",
        f"Pictures: {pictures}",
        f"Log: {log}",
    ]
    assert capsys.readouterr().err.splitlines()[-3:] == said
    assert zemo_diag.run(["phase3", lights.name, "-o", "out", "--only", "before"]) == 0
    assert capsys.readouterr().err.splitlines()[-3:] == [f"Masters: {masters}", *said[1:]]
    assert zemo_diag.run(["phase3", lights.name, "-o", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().err.splitlines()[-3:] == said
    assert zemo_diag.run(["phase3", lights.name, "-o", "out", "--dry-run"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [((), "--demo"), (("lights", "--demo"), "one of the two"), (("lights", "--dry-run", "--report", "a.md"), "writes")],
)
def test_wrong_usage_is_told(
    options: tuple[str, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert zemo_diag.run(["phase3", "-o", str(tmp_path / "out"), *options]) == 2
    assert words in capsys.readouterr().err
