"""kappa-parity on whole folders: the verdict, and every way in which a variant may not get there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from tests.conftest import ROOT
from zemo_diagnostics.demo.sample_groups import write_group
from zemo_diagnostics.frames import bayer
from zemo_diagnostics.frames.stack_input import central_window
from zemo_diagnostics.grouped_folder import GroupingOptions
from zemo_diagnostics.kappa_parity import compare_tiles as parity
from zemo_diagnostics.kappa_parity.checks import smallest_stack_that_rejects
from zemo_diagnostics.kappa_parity.compare_tiles import ParityOptions
from zemo_diagnostics.kappa_parity.data import RunParity, TileParity, Variant, Verdict
from zemo_diagnostics.kappa_parity.run import run_parity
from zemo_diagnostics.kappa_parity.tell import run_name
from zemo_diagnostics.machine import child_process
from zemo_diagnostics.machine.child_process import RunStatus
from zemo_diagnostics.machine.memory_limits import MemoryLimit
from zemo_diagnostics.reports.document import Grid, State, Table
from zemo_diagnostics.reports.json_document import load_schema, render_json
from zemo_diagnostics.reports.report import Report, exit_code
from zemo_diagnostics.reports.told import sections, verdict


def quiet(_what: str, _part: float, _detail: str = "") -> None:
    pass


def compare(folder: Path, tile_ids: tuple[int, ...] = (), **options: Any) -> Report:
    return run_parity(folder, GroupingOptions(), ParityOptions(**options), tile_ids=tile_ids, say=quiet)


def parity_of(report: Report) -> RunParity:
    parity = report.result("parity")
    assert isinstance(parity, RunParity)
    return parity


def only_tile(report: Report) -> TileParity:
    (tile,) = parity_of(report).tiles
    return tile


def tiles_told(report: Report) -> Table:
    (section,) = sections(report)
    (table,) = (block for block in section.blocks if isinstance(block, Table))
    return table


def rows_told(report: Report) -> dict[int, tuple[State, str]]:
    """Give the mark and the word of each tile."""
    return {row.number: (row.state, row.word) for row in tiles_told(report).rows}


def run_sentences(report: Report) -> list[str]:
    """Give what is told of the runs of the only tile."""
    (row,) = tiles_told(report).rows
    (runs,) = (detail for detail in row.details if isinstance(detail, Grid))
    assert runs.rows
    return [*(run.told.text for run in runs.rows), runs.note]


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder of ten small frames of one tile."""
    write_group("eq_only", tmp_path / "lights", frames=10, shape=(64, 48))
    return tmp_path / "lights"


def spoil(monkeypatch: pytest.MonkeyPatch, variant: str, code: str) -> None:
    """Let the child that runs one variant, or inspects, run some code before its job (the others run as they are)."""
    original = subprocess.Popen
    before = (
        "import json, pathlib, sys; job = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding='utf-8'));"
        f"spoiled = job['variant'] == {variant!r}\n"
        f"if spoiled:\n {code}\n"
        "from zemo_diagnostics.kappa_parity import job_child; job_child.main(sys.argv[1])\n"
    )

    def start(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        path = os.pathsep.join((str(ROOT / "tools"), str(ROOT)))
        return original([sys.executable, "-c", before, command[-1]], env=os.environ | {"PYTHONPATH": path}, **options)

    monkeypatch.setattr(child_process.subprocess, "Popen", start)  # type: ignore[attr-defined]


@pytest.mark.parametrize("weights", ["none", "noise"])
def test_ten_frames_are_identical_with_both_peaks(folder: Path, weights: str) -> None:
    report = compare(folder, weights=weights)
    tile = only_tile(report)
    assert tile.verdict is Verdict.IDENTICAL
    assert [run.variant for run in tile.runs] == [Variant.FULL_FRAME, Variant.CHUNKED]
    for run in tile.runs:
        assert run.status is RunStatus.OK
        assert run.peak_rss_bytes is not None
        assert run.peak_rss_bytes > 10 << 20
        assert run.memory_method
        assert run.wall_s is not None
    assert (exit_code(report), tile.used, tile.debayered) == (0, 10, bayer.opencv_is_there())
    assert verdict(report).startswith("identical: 1 tile")


@pytest.mark.parametrize("bit", [0, 22, 31])
def test_one_flipped_bit_is_different_and_exits_1(folder: Path, monkeypatch: pytest.MonkeyPatch, bit: int) -> None:
    flip = (
        "import numpy as np; save = np.save; "
        f"np.save = lambda file, a: (a.reshape(-1).view(np.uint32).__setitem__(77, a.reshape(-1).view(np.uint32)[77] "
        f"^ np.uint32(1 << {bit})), save(file, a))"
    )
    spoil(monkeypatch, "chunked", flip)
    report = compare(folder)
    comparison = only_tile(report).comparison
    assert comparison is not None
    assert (comparison.verdict, comparison.differing) == (Verdict.DIFFERENT, 1)
    assert exit_code(report) == 1
    assert "ZD201" in codes(report)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX")
@pytest.mark.parametrize("variant", ["fullframe", "chunked"])
def test_a_killed_variant_is_a_finding_and_exits_3(folder: Path, monkeypatch: pytest.MonkeyPatch, variant: str) -> None:
    spoil(monkeypatch, variant, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    report = compare(folder)
    assert only_tile(report).verdict is Verdict.NOT_COMPARED
    found = next(finding for finding in report.findings if finding.code == "ZD204")
    assert "SIGKILL" in found.message
    assert variant in found.message
    assert exit_code(report) == 3


def test_a_variant_that_hangs_is_a_finding_and_exits_3(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, "chunked", "import time; time.sleep(600)")
    report = compare(folder, timeout_s=5.0)
    assert "ZD205" in codes(report)
    assert exit_code(report) == 3


def test_a_variant_that_raises_is_a_finding_and_the_other_tiles_go_on(
    fixtures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allocate = "raise_ = MemoryError('Unable to allocate 32.4 GiB for an array with shape (839, 1920, 1080, 3)')"
    code = (
        f"import zemosaic_align_stack as m; {allocate}\n"
        " if 'tile_01' in job['frames'][0]['path']:\n"
        "  def fail(*a, **k): raise raise_\n"
        "  m._cpu_stack_kappa_fallback_fullframe = fail"
    )
    spoil(monkeypatch, "fullframe", code)
    report = compare(fixtures / "mixed_by_tile")
    verdicts = [tile.verdict for tile in report.result("parity").tiles]
    assert verdicts == [Verdict.NOT_COMPARED] + [Verdict.IDENTICAL] * 3
    found = next(finding for finding in report.findings if finding.code == "ZD203")
    assert "Unable to allocate 32.4 GiB" in found.message
    assert exit_code(report) == 3


def test_a_tile_too_large_for_memory_is_compared_on_a_band_and_exits_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bayer, "opencv_is_there", lambda: False)
    write_group("eq_only", tmp_path, frames=40, shape=(512, 256))
    report = compare(tmp_path, memory_limit_bytes=parity.PROCESS_BYTES + (80 << 20))
    tile = only_tile(report)
    assert [run.variant for run in tile.runs] == [Variant.FULL_FRAME, Variant.CHUNKED, Variant.CHUNKED]
    full, band, whole = tile.runs
    assert full.rows == band.rows != whole.rows == (0, 512)
    assert 0 < full.rows[1] - full.rows[0] < 512
    assert abs((full.rows[0] + full.rows[1]) / 2 - 256) <= 1
    one_row = full.estimated_bytes // (full.rows[1] - full.rows[0])
    assert parity.PROCESS_BYTES + (80 << 20) - one_row < full.estimated_bytes <= parity.PROCESS_BYTES + (80 << 20)
    rows = f"rows {full.rows[0]} to {full.rows[1] - 1} of 512"
    assert (tile.verdict, tile.compared_rows, tile.whole) == (Verdict.IN_PART, full.rows, False)
    assert rows_told(report) == {1: (State.NOTE, f"identical on {rows}")}
    assert verdict(report).startswith(f"identical on {rows}: 1 of 1 tile; ")
    assert "ZD206" in codes(report)
    assert exit_code(report) == 0
    follows_the_schema(report)


def follows_the_schema(report: Report) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(render_json(report))
    jsonschema.Draft202012Validator(load_schema()).validate(document)
    return document


def test_a_tile_whose_whole_does_not_fit_even_chunked_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bayer, "opencv_is_there", lambda: False)
    write_group("eq_only", tmp_path, frames=40, shape=(512, 256))
    original = parity._TileRun._need

    def need(self: Any, variant: Variant, frames: int, shape: tuple[int, ...]) -> int:
        return 1 << 40 if (variant, shape[0]) == (Variant.CHUNKED, 512) else original(self, variant, frames, shape)

    monkeypatch.setattr(parity._TileRun, "_need", need)
    report = compare(tmp_path, memory_limit_bytes=parity.PROCESS_BYTES + (80 << 20))
    tile = only_tile(report)
    assert [run.status for run in tile.runs] == [RunStatus.OK, RunStatus.OK, RunStatus.SKIPPED]
    found = next(finding for finding in report.findings if finding.code == "ZD206")
    assert "The two were compared on rows " in found.message
    assert "; chunked, the whole: not run, it needs 1048576 MiB" in found.message
    assert tile.verdict is Verdict.IN_PART
    document = follows_the_schema(report)["results"]["parity"]
    assert (document["verdict"], document["tiles"][0]["verdict"]) == ("identical in part", "identical in part")
    assert document["tiles"][0]["compared_rows"] == list(tile.runs[0].rows)


@pytest.mark.parametrize("limit", [None, parity.PROCESS_BYTES + (80 << 20), 1 << 20])
def test_a_gate_can_require_that_all_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int | None
) -> None:
    monkeypatch.setattr(bayer, "opencv_is_there", lambda: False)
    write_group("eq_only", tmp_path, frames=40, shape=(512, 256))
    report = compare(tmp_path, memory_limit_bytes=limit, crop=(500, 200), require_whole=True)
    found = [finding.message for finding in report.findings if finding.code == "ZD215"]
    assert exit_code(report) == (0 if limit is None else 1)
    if limit is None:
        assert not found
        assert only_tile(report).verdict is Verdict.IDENTICAL
    else:
        assert len(found) == 1
        assert ("not compared" if limit == 1 << 20 else "identical on rows") in found[0]
    assert "ZD215" not in codes(compare(tmp_path, memory_limit_bytes=limit, crop=(500, 200)))


def test_a_child_that_dies_over_the_frames_is_a_finding_in_a_report_that_follows_the_schema(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, "inspect", "import sys; sys.exit('a library said no')")
    report = compare(folder)
    (run,) = only_tile(report).runs
    assert (run.variant, run.rows, run.status) == (Variant.INSPECT, (0, 0), RunStatus.KILLED)
    found = next(finding for finding in report.findings if finding.code == "ZD204")
    assert found.message == (
        "The child that reads the frames: ended with exit code 1 and no result: a library said no."
    )
    assert exit_code(report) == 3
    follows_the_schema(report)


def test_the_memory_limit_is_what_was_free_when_the_run_began(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = iter([8 << 30, 6 << 30, 4 << 30, 2 << 30, 1 << 30])
    monkeypatch.setattr(parity, "available_memory", lambda: MemoryLimit(next(free), "free memory"))
    run = parity_of(compare(folder))
    assert run.memory_limit_bytes == int((8 << 30) * parity.MEMORY_SHARE)
    assert run.memory_limit_source == "80 % of the free memory when the run began"


def test_memory_that_becomes_scarce_meanwhile_counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = iter([8 << 30, 1 << 20, 1 << 20])
    monkeypatch.setattr(parity, "available_memory", lambda: MemoryLimit(next(free), "free memory"))
    assert {run.status for run in only_tile(compare(folder)).runs} == {RunStatus.SKIPPED}


def test_dead_frames_weigh_nothing_in_both_variants(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[dict[str, Any]] = []
    original = child_process.run_job

    def keep(module: str, job: dict[str, Any], *arguments: Any, **options: Any) -> Any:
        jobs.append(job)
        return original(module, job, *arguments, **options)

    monkeypatch.setattr(parity, "run_job", keep)
    tile = only_tile(compare(fixtures / "hard", weights="noise"))
    assert tile.verdict is Verdict.IDENTICAL
    weights = [np.array(job["weights"]) for job in jobs if job["variant"] != "inspect"]
    assert len(weights) == 2
    np.testing.assert_array_equal(weights[0], weights[1])
    dead = (weights[0].reshape(tile.used, -1) == 0).all(axis=1)
    names = [Path(described["path"]).name for described in jobs[1]["frames"]]
    assert {name for name, is_dead in zip(names, dead, strict=True) if is_dead} == {one.name for one in tile.no_signal}
    np.testing.assert_allclose(weights[0].mean(axis=0), 1.0, rtol=1e-6)


def test_where_not_even_a_row_fits_nothing_is_endangered(folder: Path) -> None:
    report = compare(folder, memory_limit_bytes=1 << 20)
    assert {run.status for run in only_tile(report).runs} == {RunStatus.SKIPPED}
    assert "ZD213" in codes(report)
    assert "ZD206" not in codes(report)
    words = " ".join(run_sentences(report)) + str(report.findings)
    assert "rows 0 to" not in words
    assert exit_code(report) == 1  # nothing was compared: a gate must not pass


def test_frames_without_signal_or_of_another_shape_are_named(fixtures: Path) -> None:
    report = compare(fixtures / "hard")
    tile = only_tile(report)
    assert sorted(file.reason.split()[0] for file in tile.no_signal) == ["all", "constant"]
    assert (tile.frames, tile.used, len(tile.left_out)) == (7, 6, 1)
    assert {"ZD207", "ZD210"} <= codes(report)
    assert tile.verdict is Verdict.IDENTICAL


def test_a_frame_whose_pixels_cannot_be_read_is_left_out(fixtures: Path) -> None:
    report = compare(fixtures / "unusable")
    tile = only_tile(report)
    assert tile.used == 0
    assert "cannot be unpacked" in tile.left_out[0].reason
    assert {"ZD210", "ZD213"} <= codes(report)


@pytest.mark.parametrize("name", ["npy_cache", "rgb_cubes", "compressed"])
def test_every_kind_of_frame_is_compared(fixtures: Path, name: str) -> None:
    report = compare(fixtures / name)
    tile = only_tile(report)
    assert tile.verdict is Verdict.IDENTICAL
    assert tile.used == tile.frames
    assert tile.shape[2:] == (() if name == "compressed" and not bayer.opencv_is_there() else (3,))


def test_without_opencv_the_raw_mosaic_is_stacked_and_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bayer, "opencv_is_there", lambda: False)
    report = compare(folder)
    tile = only_tile(report)
    assert (tile.shape, tile.debayered, tile.raw_mosaic) == ((64, 48), False, True)
    assert "ZD211" in codes(report)


def test_a_tile_of_nothing_but_nan_is_an_error_though_the_two_agree(tmp_path: Path) -> None:
    for number in range(3):
        np.save(tmp_path / f"{number}.npy", np.full((8, 6, 3), np.nan, np.float32))
    report = compare(tmp_path)
    assert only_tile(report).verdict is Verdict.IDENTICAL
    assert "ZD214" in codes(report)
    assert exit_code(report) == 1


def test_a_tile_asked_for_twice_is_run_once(fixtures: Path) -> None:
    assert only_tile(compare(fixtures / "mixed_by_tile", tile_ids=(2, 2))).tile_id == 2


def test_crop_and_max_frames(folder: Path) -> None:
    report = compare(folder, crop=(20, 30), max_frames=3)
    tile = only_tile(report)
    assert (tile.shape[:2], tile.used) == ((20, 30), 3)
    assert tile.runs[0].rows == (22, 42)
    assert [run_name(run, tile) for run in tile.runs] == ["full frame", "chunked"]
    assert "ZD209" in codes(report)


def test_one_tile_can_be_chosen(fixtures: Path) -> None:
    report = compare(fixtures / "mixed_by_tile", tile_ids=(3,))
    assert only_tile(report).tile_id == 3


def test_an_interrupt_keeps_what_is_known(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = parity._TileRun.compare

    def compare_two_then_stop(self: Any) -> TileParity:
        if self.tile.tile_id == 3:
            raise KeyboardInterrupt
        return original(self)

    monkeypatch.setattr(parity._TileRun, "compare", compare_two_then_stop)
    report = compare(fixtures / "mixed_by_tile")
    assert [tile.tile_id for tile in report.result("parity").tiles] == [1, 2]
    assert (report.interrupted, exit_code(report)) == (True, 130)
    assert verdict(report).endswith("interrupted: this is what was known by then")


@pytest.mark.parametrize("name", ["seestar_s50_ngc7023_mixed", "microobservatory_hatp32"])
def test_the_real_frames_are_identical(real_data: Callable[[str], Path], name: str) -> None:
    report = compare(real_data(name), crop=(400, 400))
    assert exit_code(report) == 0
    assert verdict(report).startswith("identical")


def test_central_windows() -> None:
    assert central_window((100, 50, 3), None) == (0, 0, 100, 50)
    assert central_window((100, 50), (10, 20)) == (45, 15, 10, 20)
    assert central_window((100, 50), (1000, 20)) == (0, 15, 100, 20)


@pytest.mark.parametrize(("kappa", "frames"), [(3.0, 8), (2.0, 3), (0.0, 3), (2.5, 6), (30.0, 899)])
def test_how_many_frames_a_kappa_needs(kappa: float, frames: int) -> None:
    def rejects(n: int) -> bool:
        values = np.zeros(n)
        values[0] = 1.0
        return bool(np.median(values) + kappa * values.std() < 1.0)

    assert smallest_stack_that_rejects(kappa) == frames
    assert rejects(frames)
    assert frames == 3 or not rejects(frames - 1)
