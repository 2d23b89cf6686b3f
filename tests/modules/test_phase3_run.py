"""A run of Phase 3: which flag goes to which tile, retries, memory, and the rule before the patch."""

from __future__ import annotations

import importlib.util
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

import zemosaic_align_stack as align_stack
import zemosaic_worker as worker
from tests.sample_phase3 import Log, save_group, scratch_left, shifted_frames, sky_frame
from zemo_diagnostics.demo.sample_groups import PHASE3_GROUP, write_group
from zemo_diagnostics.frames.entries import scan_folder

EQ_WARN = "ALTaz cleanup requested but no ALT_AZ frames detected -> disabled (EQ-only run)."


class FakeTile:
    """Stands in for `create_master_tile` and notes how it is called."""

    def __init__(self, wait_s: float = 0.0) -> None:
        self.calls: dict[int, dict[str, Any]] = {}
        self.groups: dict[int, list[dict[str, Any]]] = {}
        self.flying = self.most_flying = 0
        self._lock, self._wait_s = threading.Lock(), wait_s

    def __call__(self, group: list[dict[str, Any]], tile_id: int, folder: str, **options: Any) -> Any:
        with self._lock:
            self.calls[tile_id], self.groups[tile_id] = options, group
            self.flying += 1
            self.most_flying = max(self.most_flying, self.flying)
        time.sleep(self._wait_s)
        with self._lock:
            self.flying -= 1
        return self.outcome(group, tile_id, folder)

    def outcome(self, _group: list[dict[str, Any]], tile_id: int, folder: str) -> Any:
        return (f"{folder}/master_tile_{tile_id:03d}.fits", None), []

    def flags(self) -> list[bool]:
        return [self.calls[tile_id]["altaz_cleanup_enabled"] for tile_id in sorted(self.calls)]


def use(fake: FakeTile, monkeypatch: pytest.MonkeyPatch) -> FakeTile:
    monkeypatch.setattr(worker, "create_master_tile", fake)
    return fake


def entries(mode: int | None, count: int = 3) -> list[dict[str, Any]]:
    return [{"path": f"{mode}_{i}.fit"} | ({} if mode is None else {"EQMODE": mode}) for i in range(count)]


# --------------------------------------------------------------------------------------------- R3, R4, R5, R10, R11


@pytest.mark.parametrize(
    ("modes", "requested", "flags", "said"),
    [
        ((1, 1), True, [False, False], ("WARN", EQ_WARN)),
        ((1, None), True, [False, False], ("WARN", EQ_WARN)),
        ((1, 1), False, [False, False], None),
        ((1, 0, None), True, [False, True, False], None),
        ((1, 0), False, [False, True], ("INFO", "ALTaz cleanup enabled automatically: 3 of 6 frames are ALT_AZ.")),
    ],
)
def test_each_tile_gets_the_flag_of_its_own_group(
    modes: tuple[int | None, ...],
    requested: bool,
    flags: list[bool],
    said: tuple[str, str] | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake, log = use(FakeTile(), monkeypatch), Log()
    run = worker.run_phase3_master_tiles(
        [entries(mode) for mode in modes], tmp_path, altaz_cleanup_enabled=requested, progress_callback=log
    )
    assert fake.flags() == flags == [tile.cleanup_enabled for tile in run.tiles]
    assert [line for line in log.lines if "ALTaz cleanup" in line[1]] == ([said] if said else [])
    assert len(log.matching("WORKER_EQMODE_SUMMARY: ")) == 1
    assert len(log.matching("P3_ALTaz_GATING: ")) == len(modes)
    assert log.levels_of("P3_ALTaz_GATING: ") == {"DEBUG_DETAIL"}


def test_the_gating_lines_of_a_mixed_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(FakeTile(), monkeypatch)
    log = Log()
    worker.run_phase3_master_tiles(
        [entries(1), entries(0)], tmp_path, altaz_cleanup_enabled=True, progress_callback=log
    )
    assert sorted(log.matching("P3_ALTaz_GATING: ")) == [
        "P3_ALTaz_GATING: tile_id=1 eqmode=EQ global_enabled=True => tile_enabled=False",
        "P3_ALTaz_GATING: tile_id=2 eqmode=ALT_AZ global_enabled=True => tile_enabled=True",
    ]


@pytest.mark.parametrize("rule", [worker.CleanupRule.RULE_ALONE, worker.CleanupRule.BEFORE])
@pytest.mark.parametrize(
    ("requested", "modes", "flag"),
    [(True, (1, 0), True), (False, (1, 0), True), (True, (1,), True), (False, (1,), False)],
)
def test_the_old_rule_hands_one_flag_to_every_tile_and_switches_it_on_by_itself(
    rule: worker.CleanupRule,
    requested: bool,
    modes: tuple[int, ...],
    flag: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake, log = use(FakeTile(), monkeypatch), Log()
    groups = [*(entries(mode) for mode in modes), entries(None)]
    run = worker.run_phase3_master_tiles(
        groups, tmp_path, altaz_cleanup_enabled=requested, rule=rule, progress_callback=log
    )
    assert fake.flags() == [flag] * len(groups)
    assert run.rule is rule
    assert {call["rule"] for call in fake.calls.values()} == {rule}
    assert not log.matching("P3_ALTaz_GATING|ALTaz cleanup ")
    assert len(log.matching("AUTO_ALTaz_cleanup: enabled ")) == (flag and not requested)


def test_never_cleans_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake, log = use(FakeTile(), monkeypatch), Log()
    worker.run_phase3_master_tiles(
        [entries(1), entries(0)],
        tmp_path,
        altaz_cleanup_enabled=True,
        rule=worker.CleanupRule.NEVER,
        progress_callback=log,
    )
    assert fake.flags() == [False, False]


# ------------------------------------------------------------------------------------------------ retries, R6


class Failing(FakeTile):
    """Places all frames but the last of each group."""

    def outcome(self, group: list[dict[str, Any]], tile_id: int, folder: str) -> Any:
        job = worker._TileJob(
            tile_id=tile_id,
            folder=Path(folder),
            norm="",
            weight="",
            reject="",
            combine="",
            kappa_low=3,
            kappa_high=3,
            cleanup=None,
            progress_callback=None,
            cancel=None,
        )
        failed = range(1, len(group)) if len(group) > 1 else [0]
        retry, _ = worker._retry_group(group, failed, job)
        return super().outcome(group, tile_id, folder)[0], [retry] if retry else []


def test_finished_tiles_count_in_the_summary_and_are_not_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, log = use(FakeTile(), monkeypatch), Log()
    done = worker.MasterTileResult(
        tile_id=2, path="master_tile_002.fits", eqmode="ALT_AZ", cleanup_enabled=True, frames=3, retry_tile_ids=(7,)
    )
    again = worker.MasterTileResult(
        tile_id=7, path="master_tile_007.fits", eqmode="ALT_AZ", cleanup_enabled=True, frames=1, retry_of=2
    )
    told: list[int] = []
    run = worker.run_phase3_master_tiles(
        [entries(1), entries(0)],
        tmp_path,
        finished={2: done, 7: again},
        tile_callback=lambda tile: told.append(tile.tile_id),
        progress_callback=log,
    )
    assert (sorted(fake.calls), told) == ([1], [1])
    assert run.tiles[1:] == (done, again)
    assert log.matching("WORKER_EQMODE_SUMMARY: eq=3 altaz=3 unknown=0 total=6 contains_altaz=True")
    use(Failing(), monkeypatch)
    for known, number in ({2: done, 7: again}, 3), ({2: done, 3: again}, 5):  # 4 is taken, 3 perhaps too
        renewed = worker.run_phase3_master_tiles([entries(1), entries(0)], tmp_path, finished=known, taken_ids=[4])
        assert renewed.tiles[0].retry_tile_ids == (number,)


def test_what_a_tile_callback_raises_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = use(FakeTile(), monkeypatch)

    def stop(_tile: worker.MasterTileResult) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        worker.run_phase3_master_tiles([entries(1)] * 5, tmp_path, max_workers=1, tile_callback=stop)
    assert len(fake.calls) < 5


def test_retried_groups_get_the_next_free_numbers_and_keep_their_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = use(Failing(), monkeypatch)
    run = worker.run_phase3_master_tiles([entries(1, 2), entries(0, 2)], tmp_path, max_workers=1, first_tile_id=5)
    first, second = run.tiles[:2]
    assert (first.tile_id, first.retry_tile_ids) == (5, (7,))
    assert (second.tile_id, second.retry_tile_ids) == (6, (8,))
    by_id = {tile.tile_id: tile for tile in run.tiles}
    assert [by_id[i].retry_of for i in (7, 8)] == [5, 6]
    assert [by_id[i].eqmode for i in (7, 8)] == ["EQ", "ALT_AZ"]
    assert [by_id[i].cleanup_enabled for i in (7, 8)] == [False, True]
    chains = [
        entry["retry_origin_chain"] for group in fake.groups.values() for entry in group if "retry_attempt" in entry
    ]
    assert [5] in chains
    assert [6, 8, 10] in chains
    assert max(entry.get("retry_attempt", 0) for group in fake.groups.values() for entry in group) == 3
    assert sorted(by_id) == list(range(5, 13))  # two groups, three tries each


def test_the_numbers_of_retries_do_not_hang_on_which_tile_ends_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LastFirst(Failing):
        def outcome(self, group: list[dict[str, Any]], tile_id: int, folder: str) -> Any:
            time.sleep(0.1 * (6 - tile_id) if tile_id < 6 else 0)
            if tile_id == 2:
                return (f"{folder}/master_tile_002.fits", None), []
            return super().outcome(group, tile_id, folder)

    told: list[int] = []
    groups = [entries(1, 2) for _ in range(4)]
    use(LastFirst(), monkeypatch)
    apart = worker.run_phase3_master_tiles(groups, tmp_path, max_workers=1)
    together = worker.run_phase3_master_tiles(
        groups, tmp_path, max_workers=4, tile_callback=lambda tile: told.append(tile.tile_id)
    )
    assert together.tiles == apart.tiles
    assert [tile.retry_tile_ids for tile in together.tiles[:4]] == [(5,), (), (6,), (7,)]
    assert told[0] == 2  # which gives nothing back, and is known at once


def test_frames_that_say_nothing_keep_the_mode_of_the_group_they_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = use(Failing(), monkeypatch)
    group: list[dict[str, Any]] = [{"path": "a.fit", "EQMODE": 0}, {"path": "b.fit"}]
    run = worker.run_phase3_master_tiles([group], tmp_path)
    assert [tile.eqmode for tile in run.tiles] == ["ALT_AZ"] * 4
    assert fake.groups[2][0]["_eqmode_mode"] == "ALT_AZ"
    assert group[1] == {"path": "b.fit"}


def test_frames_of_another_field_end_in_a_tile_of_their_own(tmp_path: Path) -> None:
    log = Log()
    frames = shifted_frames(3) + [np.ascontiguousarray(frame[::-1]) for frame in shifted_frames(2)]
    group = save_group(tmp_path / "frames", frames, EQMODE=1)
    run = worker.run_phase3_master_tiles([group], tmp_path / "out", progress_callback=log)
    assert [(tile.tile_id, tile.frames, tile.stacked, tile.retry_of) for tile in run.tiles] == [
        (1, 5, 3, None),
        (2, 2, 2, 1),
    ]
    assert run.tiles[0].failed == ("Light_03.fit", "Light_04.fit")
    assert [tile.eqmode for tile in run.tiles] == ["EQ", "EQ"]
    assert log.matching("P3_RETRY: 2 frames of tile 1 are tried again as tile 2")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "master_tile_001.fits",
        "master_tile_002.fits",
    ]


# ------------------------------------------------------------------------------------------- many tiles, failures


def test_one_failing_tile_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Raising(FakeTile):
        def outcome(self, group: list[dict[str, Any]], tile_id: int, folder: str) -> Any:
            if tile_id == 1:
                raise RuntimeError("tile one broke")
            return (None, None) if tile_id == 2 else super().outcome(group, tile_id, folder)

    use(Raising(), monkeypatch)
    log = Log()
    run = worker.run_phase3_master_tiles([entries(1)] * 3, tmp_path, progress_callback=log)
    assert [tile.path is None for tile in run.tiles] == [True, True, False]
    assert run.tiles[0].error == "tile one broke"
    assert log.levels_of("MT_FAILED tile=1: tile one broke") == {"ERROR"}


@pytest.mark.parametrize(("limit_tiles", "most"), [(0.5, 1), (1.5, 1), (2.5, 2), (99, 4)])
def test_memory_limits_the_tiles_in_flight(
    limit_tiles: float, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = use(FakeTile(wait_s=0.15), monkeypatch)
    group = [{**entry, "preprocessed_shape": (500, 400, 3)} for entry in entries(1)]
    need = worker.estimate_master_tile(3, (500, 400, 3)).memory_bytes
    worker.run_phase3_master_tiles([group] * 4, tmp_path, max_workers=4, memory_limit_bytes=int(limit_tiles * need))
    assert fake.most_flying == most
    assert sorted(fake.calls) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("entry", "shape"),
    [
        ({"preprocessed_shape": (7, 5, 3)}, (7, 5, 3)),
        ({"header": {"NAXIS1": 1080, "NAXIS2": 1920}}, (1920, 1080, 3)),
        ({"path": "missing.fit"}, (1920, 1080, 3)),
    ],
)
def test_the_size_of_a_tile_is_known_before_it_is_built(entry: dict[str, Any], shape: tuple[int, ...]) -> None:
    assert worker._group_shape([entry]) == shape


def test_the_size_is_read_from_files_whose_entries_do_not_say_it(tmp_path: Path) -> None:
    (cached,) = save_group(tmp_path, [np.zeros((9, 8, 3), np.float32)])
    assert worker._group_shape([cached]) == (9, 8, 3)
    fits.PrimaryHDU(np.zeros((6, 4), np.uint16)).writeto(tmp_path / "a.fit")
    assert worker._group_shape([{"path": str(tmp_path / "a.fit")}]) == (6, 4, 3)


def test_a_callback_gets_one_line_at_a_time_and_progress_to_the_end(tmp_path: Path) -> None:
    inside, together, percents = threading.Lock(), [], []

    def callback(_message: str, percent: float | None, _level: str, **_: Any) -> None:
        together.append(not inside.acquire(blocking=False))
        time.sleep(0.0005)
        inside.release()
        percents.append(percent)

    groups = [save_group(tmp_path / f"g{i}", shifted_frames(2), EQMODE=1) for i in range(3)]
    worker.run_phase3_master_tiles(groups, tmp_path / "out", max_workers=3, progress_callback=callback)
    assert not any(together)
    assert percents[-1] == 100.0


def test_a_callback_that_raises_stops_nothing(tmp_path: Path) -> None:
    def callback(*_: Any, **__: Any) -> None:
        raise RuntimeError("display gone")

    group = save_group(tmp_path / "frames", shifted_frames(2))
    run = worker.run_phase3_master_tiles([group], tmp_path / "out", progress_callback=callback)
    assert run.tiles[0].path is not None


def test_an_option_that_is_not_done_here_ends_the_run_at_once(tmp_path: Path) -> None:
    group = save_group(tmp_path / "frames", shifted_frames(2))
    with pytest.raises(ValueError, match="asks for the quality crop"):
        worker.run_phase3_master_tiles([group] * 3, tmp_path / "out", quality_crop_enabled=True)


def test_ctrl_c_ends_the_run_and_leaves_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = [save_group(tmp_path / f"g{i}", shifted_frames(4), EQMODE=1) for i in range(4)]

    def interrupted(*_: Any) -> None:
        time.sleep(0.2)
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        worker.run_phase3_master_tiles(groups, tmp_path / "out", max_workers=2)
    assert scratch_left(tmp_path / "out") == []


def test_what_a_killed_run_left_is_removed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(FakeTile(), monkeypatch)
    stale = tmp_path / f".phase3_scratch-{worker._machine_mark()}-{2**22 + 7}-1000-001-abc"
    stale.mkdir()
    log = Log()
    worker.run_phase3_master_tiles([entries(1)], tmp_path, progress_callback=log)
    assert not stale.exists()
    assert log.levels_of("P3_SCRATCH: removed") == {"INFO"}


def test_without_the_extra_the_run_says_so_before_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(align_stack.MissingExtraError, match="needs astroalign and scipy"):
        worker.run_phase3_master_tiles([entries(1)], tmp_path)


# ------------------------------------------------------------------- what the old rule did to real coverage


Rule = worker.CleanupRule
Runs = dict[worker.CleanupRule, tuple[worker.Phase3Run, Log]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """The sample tiles, built under each rule."""
    folder = tmp_path_factory.mktemp("phase3")
    write_group(PHASE3_GROUP, folder / "lights")
    tiles: dict[str, list[dict[str, Any]]] = {}
    for frame in scan_folder(folder / "lights").frames:
        tiles.setdefault(frame.path.parent.name, []).append(frame.entry)
    made = {}
    for rule in (Rule.BEFORE, Rule.RULE_ALONE, Rule.PATCHED):
        log = Log()
        run = worker.run_phase3_master_tiles(
            list(tiles.values()), folder / rule.value, altaz_cleanup_enabled=True, rule=rule, progress_callback=log
        )
        made[rule] = run, log
    return made


def blank_fraction(tile: worker.MasterTileResult) -> float:
    image = fits.getdata(tile.path)
    return float(np.mean(~np.isfinite(np.atleast_3d(image.T)).all(axis=2)))


def test_the_sample_tiles_are_built_whole(runs: Runs) -> None:
    for run, _ in runs.values():
        assert [tile.eqmode for tile in run.tiles] == ["EQ", "EQ", "ALT_AZ", "ALT_AZ", "EQ"]
        assert [tile.stacked for tile in run.tiles] == [tile.frames for tile in run.tiles] == [5, 7, 8, 5, 4]


def test_the_old_rule_blanks_an_equatorial_tile_and_the_patch_keeps_it(
    runs: Runs,
) -> None:
    before, after = runs[Rule.RULE_ALONE][0].tiles[0], runs[Rule.PATCHED][0].tiles[0]
    assert (before.cleanup_enabled, after.cleanup_enabled) == (True, False)
    assert blank_fraction(before) > 0.9
    assert blank_fraction(after) == 0.0


def test_a_well_covered_equatorial_tile_survives_both(runs: Runs) -> None:
    before, after = runs[Rule.RULE_ALONE][0].tiles[1], runs[Rule.PATCHED][0].tiles[1]
    assert 0 < blank_fraction(before) < 0.1
    assert blank_fraction(after) == 0.0


def test_the_ragged_corners_of_a_turning_tile_go_either_way(runs: Runs) -> None:
    before, after = runs[Rule.RULE_ALONE][0].tiles[2], runs[Rule.PATCHED][0].tiles[2]
    assert before.cleanup_enabled
    assert after.cleanup_enabled
    for tile in (before, after):
        image = fits.getdata(tile.path)
        assert np.isnan(image[:, [0, 0, -1, -1], [0, -1, 0, -1]]).all()
        assert np.isfinite(image[:, 60:-60, 40:-40]).all()
        assert 0.01 < blank_fraction(tile) < 0.2
    assert Path(str(before.path)).read_bytes() == Path(str(after.path)).read_bytes()


def test_missing_pixels_are_0_before_the_patch_and_unknown_with_it(runs: Runs) -> None:
    before, after = (fits.getdata(runs[rule][0].tiles[4].path) for rule in (Rule.RULE_ALONE, Rule.PATCHED))
    sky = np.nanmedian(after)
    assert np.count_nonzero(before < 0.1 * sky) > 0.02 * before.size
    assert np.count_nonzero(after < 0.1 * sky) == 0
    assert np.isnan(before).mean() < 0.1  # a margin
    assert 0.1 < np.isnan(after).mean() < 0.2


def test_the_guard_saves_the_fourth_tile(runs: Runs) -> None:
    for run, log in (runs[Rule.RULE_ALONE], runs[Rule.PATCHED]):
        assert run.tiles[3].cleanup_enabled
        assert [tile.mask_dropped for tile in run.tiles] == [False, False, False, True, False]
        assert blank_fraction(run.tiles[3]) == 0.0
        assert log.levels_of("MT_PIPELINE: altaz_cleanup mask dropped: ") == {"WARN"}
        assert len(log.matching("MT_PIPELINE: altaz_cleanup mask dropped: ")) == 1


def test_the_released_footprint_leaves_the_reference_alone_or_nothing(runs: Runs) -> None:
    run, log = runs[Rule.BEFORE]
    assert [tile.is_empty for tile in run.tiles] == [False, False, True, False, False]  # of 8 frames
    assert log.matching("MT_EMPTY_TILE tile=3 ")
    for tile, frames in ((run.tiles[0], 5), (run.tiles[1], 7), (run.tiles[3], 5)):
        master, header = np.moveaxis(fits.getdata(tile.path), 0, -1), fits.getheader(tile.path)
        path = next(Path(str(tile.path)).parents[1].glob(f"lights/*/{header['ZMT_REF']}"))
        reference = worker.load_frame({"path": str(path)}).pixels
        kept = np.isfinite(master)
        assert 0.85 < kept.mean() < 0.95  # the margin at the frame's own edge
        np.testing.assert_allclose(master[kept] * frames, reference[kept], rtol=1e-6)


def test_groups_that_are_too_small_are_filled_up(tmp_path: Path) -> None:
    group = save_group(tmp_path, shifted_frames(3))
    run = worker.run_phase3_master_tiles([group], tmp_path, altaz_cleanup_enabled=True, rule=Rule.BEFORE)
    master = fits.getdata(run.tiles[0].path)
    reference = worker.load_frame(group[1]).pixels
    kept = np.isfinite(master)
    assert run.tiles[0].stacked == 3
    np.testing.assert_allclose(master[kept] * 5, np.moveaxis(reference, -1, 0)[kept], rtol=1e-6)


def test_every_log_line_of_a_cleaned_run_is_there(runs: Runs) -> None:
    run, log = runs[Rule.PATCHED]
    assert log.matching("WORKER_EQMODE_SUMMARY: eq=16 altaz=13 unknown=0 total=29 contains_altaz=True")
    assert len(log.matching("P3_ALTaz_GATING: tile_id=")) == len(run.tiles)
    assert len(log.matching("ALPHA_STATS: level=master_tile nonzero_frac=")) == 2
    assert (
        len(log.matching("MT_PIPELINE: altaz_cleanup applied: masked_used=True mask2d_used=True mask2d_applied=")) == 2
    )
    assert len(log.matching("MT_PIPELINE: lecropper_applied=")) == 5


def test_the_real_frames_of_two_years_make_one_master(real_data: Any, tmp_path: Path) -> None:
    """Turned by 121 degrees, of two exposures; the stars of the master are as sharp as those of a frame."""
    paths = sorted(real_data("seestar_s50_ngc7023_mixed").glob("*.fit"))
    group = [{"path": str(path), "path_raw": str(path), "header": fits.getheader(path)} for path in paths]
    run = worker.run_phase3_master_tiles([group], tmp_path, altaz_cleanup_enabled=True)
    (tile,) = run.tiles
    assert (tile.stacked, tile.failed, tile.eqmode, tile.cleanup_enabled) == (6, (), "EQ", False)
    image = np.moveaxis(fits.getdata(tile.path), 0, -1).astype(np.float32)
    frame = worker.load_frame(group[3]).pixels
    placement = align_stack.FrameAligner(frame).find_placement(image)
    assert placement is not None
    np.testing.assert_allclose(placement, [[1, 0, 0], [0, 1, 0]], atol=0.3)
    assert np.std(image - np.median(image)) < np.std(frame - np.median(frame))


def test_the_sky_helper_is_deterministic() -> None:
    np.testing.assert_array_equal(sky_frame(3), sky_frame(3))
