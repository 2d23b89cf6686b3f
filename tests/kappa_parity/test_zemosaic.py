"""kappa-parity with a ZeMosaic: checkouts that look like one, with stacks that are right, wrong, or never end."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from tests.conftest import ROOT
from tests.sample_reports import parity_zemosaic_report, parity_zemosaic_trouble_report
from tests.zemosaic.lookalikes import Tree, write_lookalike
from zemo_diagnostics.demo.sample_groups import write_group
from zemo_diagnostics.frames import bayer
from zemo_diagnostics.grouped_folder import GroupingOptions
from zemo_diagnostics.kappa_parity import compare_tiles as parity
from zemo_diagnostics.kappa_parity.compare_tiles import ParityOptions
from zemo_diagnostics.kappa_parity.data import Rung, RunParity, TileParity, Variant, Verdict, ZemosaicRun
from zemo_diagnostics.kappa_parity.run import run_parity
from zemo_diagnostics.kappa_parity.zemosaic_stacks import (
    StackTask,
    ZemosaicStacks,
    estimate_bytes,
    functions_to_judge,
)
from zemo_diagnostics.machine.child_process import RunStatus
from zemo_diagnostics.reports.json_document import load_schema, render_json
from zemo_diagnostics.reports.report import Report, exit_code
from zemo_diagnostics.reports.told import verdict
from zemo_diagnostics.zemosaic.checkout import Presence, inspect_checkout
from zemo_diagnostics.zemosaic.functions_under_test import load_stack_functions
from zemo_diagnostics.zemosaic.under_test import UnderTest, open_zemosaic

FULL_FRAME, CHUNKED = "_cpu_stack_kappa_fallback_fullframe", "_cpu_stack_kappa_fallback_chunked"
BROADCAST = (
    'raise ValueError("operands could not be broadcast together with remapped shapes: (24,16,3) and (5,8,16,3)")'
)


def changed_stack(body: str, name: str = CHUNKED) -> str:
    """Give the bundled module with one stack of another body, which may call the right one as ``right(frames)``."""
    source = (ROOT / "zemosaic_align_stack.py").read_text(encoding="utf-8")
    assert f"\ndef {name}(" in source
    source = source.replace(f"\ndef {name}(", "\ndef _the_right_one(")
    if not body:
        return source
    options = "sigma_low=3.0, sigma_high=3.0, weights=None, progress_callback=None, chunk_rows=64"
    return source + (
        f"\n\ndef {name}(frames, *, {options}):\n"
        "    options = {'sigma_low': sigma_low, 'sigma_high': sigma_high, 'weights': weights}\n"
        "    right = lambda frames: _the_right_one(frames, **options)\n"
        f"    {body}\n"
    )


def checkout_with(folder: Path, align_stack: str) -> UnderTest:
    """Write a checkout with this module."""
    write_lookalike(folder)
    (folder / "zemosaic_align_stack.py").write_text(align_stack, encoding="utf-8")
    return open_zemosaic(folder, sys.executable)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Give the place of a checkout."""
    return tmp_path / "zemosaic"


@pytest.fixture
def users_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give a user a home and a current folder; both must be as they were at the end."""
    folder = tmp_path / "user"
    folder.mkdir()
    (folder / "zemosaic_worker.log").write_text("the user's log\n", encoding="utf-8")
    for name in ("HOME", "USERPROFILE", "APPDATA", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.chdir(folder)
    before = Tree.of(folder)
    yield
    assert Tree.of(folder) == before


# ------------------------------------------------------------------------------------- one function at a time


@pytest.fixture
def task(tmp_path: Path) -> StackTask:
    """Give a few small frames in colour, with what the reference makes of them."""
    folder = tmp_path / "task"
    folder.mkdir()
    random = np.random.default_rng(8)
    frames = [random.normal(900.0, 20.0, (24, 10, 3)).astype(np.float32) for _ in range(9)]
    frames[4][3, 2] = 60000.0
    paths = tuple(folder / f"{index}.npy" for index in range(len(frames)))
    for path, frame in zip(paths, frames, strict=True):
        np.save(path, frame)
    stacked, rejected_pct = load_stack_functions().fullframe(frames, sigma_low=3.0, sigma_high=2.5)
    np.save(folder / "reference.npy", stacked)
    return StackTask(
        frames=paths,
        shape=(24, 10, 3),
        weights=None,
        kappa=(3.0, 2.5),
        chunk_rows=7,
        rows=(0, 24),
        reference=folder / "reference.npy",
        rejected_pct=rejected_pct,
        atol=0.0,
        folder=folder,
        timeout_s=60.0,
    )


def run_one(zemosaic: UnderTest, task: StackTask, variant: Variant = Variant.CHUNKED, allowed: int = 1 << 40) -> Any:
    """Run one function of a checkout, which must be as it was afterwards."""
    functions = functions_to_judge(zemosaic.checkout)
    before = Tree.of(zemosaic.checkout.folder)
    function = next(one for one in functions if one.variant is variant)
    run = ZemosaicStacks(zemosaic, functions).run_if_it_fits(function, task, allowed, 0, lambda _part: None)
    assert Tree.of(zemosaic.checkout.folder) == before
    return run


@pytest.mark.usefixtures("users_folders")
@pytest.mark.parametrize("variant", [Variant.FULL_FRAME, Variant.CHUNKED])
def test_the_same_bits_are_identical_with_what_was_measured(checkout: Path, task: StackTask, variant: Variant) -> None:
    theirs = run_one(checkout_with(checkout, changed_stack("return right(frames)")), task, variant)
    assert theirs.comparison.verdict is Verdict.IDENTICAL
    assert theirs.comparison.rejected_pct[0] == theirs.comparison.rejected_pct[1] > 0
    assert (theirs.run.status, theirs.run.rows, theirs.rung) == (RunStatus.OK, (0, 24), Rung.LIFTED)
    assert theirs.run.peak_rss_bytes > theirs.run.baseline_rss_bytes > 1 << 20
    assert theirs.run.peak_rss_bytes <= theirs.run.estimated_bytes + (160 << 20)
    assert theirs.run.memory_method
    assert theirs.run.wall_s > 0


@pytest.mark.usefixtures("users_folders")
@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("a, r = right(frames); a[3, 4, 1] = np.nextafter(a[3, 4, 1], 0); return a, r", "within the original"),
        ("a, r = right(frames); return a, r + 1e-9", "rejected_pct differs"),
        ("a, r = right(frames); return a.astype(np.float64), r", "shape or dtype differ"),
        ("a, r = right(frames); return a[..., 0], r", "shape or dtype differ"),
        ("a, r = right(frames); return a, None", "rejected_pct differs"),
    ],
)
def test_another_result_is_different(checkout: Path, task: StackTask, body: str, detail: str) -> None:
    theirs = run_one(checkout_with(checkout, changed_stack(body)), task)
    assert theirs.run.status is RunStatus.OK
    assert theirs.comparison.verdict is Verdict.DIFFERENT
    assert detail in theirs.comparison.detail


@pytest.mark.usefixtures("users_folders")
@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ("raise MemoryError('Unable to allocate 32.4 GiB')", RunStatus.RAISED, "Unable to allocate 32.4 GiB"),
        ("raise SystemExit(0)", RunStatus.RAISED, "SystemExit: 0"),
        ("return None", RunStatus.RAISED, "TypeError"),
        ("return {'no': 'image'}, 0.0", RunStatus.RAISED, "what it returned is no image"),
        ("import time; time.sleep(600)", RunStatus.TIMED_OUT, "did not end within 3 s"),
        ("import os; os._exit(7)", RunStatus.KILLED, "exit code 7"),
        pytest.param(
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            RunStatus.KILLED,
            "SIGKILL",
            marks=pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX"),
        ),
    ],
)
def test_what_does_not_come_to_a_result_is_told(
    checkout: Path, task: StackTask, body: str, status: RunStatus, detail: str
) -> None:
    hasty = task if status is not RunStatus.TIMED_OUT else StackTask(**{**vars(task), "timeout_s": 3.0})
    theirs = run_one(checkout_with(checkout, changed_stack(body)), hasty)
    assert (theirs.run.status, theirs.comparison, theirs.died) == (status, None, True)
    assert detail in theirs.run.detail


@pytest.mark.usefixtures("users_folders")
def test_a_function_that_cannot_be_lifted_is_imported_and_one_that_cannot_be_got_is_not_run(
    checkout: Path, task: StackTask
) -> None:
    source = changed_stack("return right(frames) if ALWAYS else None") + "\n\nif True:\n    ALWAYS = True\n"
    theirs = run_one(checkout_with(checkout, source), task)
    assert theirs.comparison.verdict is Verdict.IDENTICAL
    assert (theirs.rung, theirs.not_lifted) == (Rung.IMPORTED, "ALWAYS is set under a condition")

    theirs = run_one(checkout_with(checkout, source + "\nimport no_such_package\n"), task)
    assert (theirs.run.status, theirs.comparison, theirs.rung) == (RunStatus.SKIPPED, None, None)
    assert "the package no_such_package is not there" in theirs.run.detail


@pytest.mark.usefixtures("users_folders")
def test_what_has_no_memory_no_frames_or_no_reference_is_not_run(checkout: Path, task: StackTask) -> None:
    zemosaic = checkout_with(checkout, changed_stack("return right(frames)"))
    theirs = run_one(zemosaic, task, allowed=1 << 20)
    need = estimate_bytes(Variant.CHUNKED, 9, (24, 10, 3), 7)
    assert theirs.run.detail == f"it needs {need >> 20} MiB and 1 MiB are allowed"
    assert theirs.run.estimated_bytes == need
    without = StackTask(**{**vars(task), "reference": None})
    assert "no full frame of our own" in run_one(zemosaic, without).run.detail
    task.frames[2].unlink()
    assert "has no room for the frames" in run_one(zemosaic, task).run.detail


def test_what_a_checkout_has_is_found_by_looking(checkout: Path) -> None:
    write_lookalike(checkout)  # as before the patch: one function for whole frames
    full, chunked = functions_to_judge(inspect_checkout(checkout))
    assert (full.variant, full.name, full.presence) == (
        Variant.FULL_FRAME, "_cpu_stack_kappa_fallback", Presence.PRESENT,
    )  # fmt: skip
    assert (chunked.variant, chunked.name, chunked.presence) == (Variant.CHUNKED, CHUNKED, Presence.ABSENT)
    full, chunked = functions_to_judge(inspect_checkout(ROOT))
    assert (full.name, chunked.name) == (FULL_FRAME, CHUNKED)


@pytest.mark.parametrize("frames", [1, 2, 5, 40])
def test_the_estimates_are_never_under_the_frames(frames: int) -> None:
    shape = (100, 50, 3)
    held = frames * 100 * 50 * 3 * 4
    full = estimate_bytes(Variant.FULL_FRAME, frames, shape, 10)
    chunked = estimate_bytes(Variant.CHUNKED, frames, shape, 10)
    assert held < chunked < full
    assert estimate_bytes(Variant.CHUNKED, frames, shape, 1000) > chunked


# --------------------------------------------------------------------------------------------- whole commands


def quiet(_what: str, _part: float, _detail: str = "") -> None:
    pass


def compare(folder: Path, zemosaic: UnderTest, **options: Any) -> Report:
    before = Tree.of(zemosaic.checkout.folder)
    report = run_parity(folder, GroupingOptions(), ParityOptions(**options), say=quiet, zemosaic=zemosaic)
    assert Tree.of(zemosaic.checkout.folder) == before
    jsonschema.Draft202012Validator(load_schema()).validate(json.loads(render_json(report)))
    return report


def parity_of(report: Report) -> RunParity:
    parity = report.result("parity")
    assert isinstance(parity, RunParity)
    return parity


def stacks_of(report: Report) -> dict[Variant, ZemosaicRun]:
    (tile,) = parity_of(report).tiles
    return {theirs.run.variant: theirs for theirs in tile.zemosaic}


def messages(report: Report, code: str) -> list[str]:
    return [finding.message for finding in report.findings if finding.code == code]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder of ten small frames of one tile."""
    write_group("eq_only", tmp_path / "lights", frames=10, shape=(64, 48))
    return tmp_path / "lights"


@pytest.mark.usefixtures("users_folders")
@pytest.mark.parametrize("colour", [True, False])
def test_four_results_and_one_reference(
    folder: Path, checkout: Path, colour: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not colour:
        monkeypatch.setattr(bayer, "opencv_is_there", lambda: False)
    refusing = f"if weights is not None and np.ndim(weights) == 3: {BROADCAST}\n    return right(frames)"
    report = compare(folder, checkout_with(checkout, changed_stack(refusing)), weights="noise", chunk_rows=20)
    stacks = stacks_of(report)
    assert list(stacks) == [Variant.FULL_FRAME, Variant.CHUNKED]
    for theirs in stacks.values():
        assert (theirs.run.detail, theirs.weighted, theirs.rung) == ("", True, Rung.LIFTED)
        assert theirs.comparison
        assert theirs.comparison.verdict is Verdict.IDENTICAL
    assert parity_of(report).zemosaic_verdict is Verdict.IDENTICAL
    (refusal,) = messages(report, "ZD219")
    assert refusal.startswith(
        "ZeMosaic's chunked function refuses per-pixel weights of shape (H, W, C): ValueError: operands could not be "
        "broadcast together"
    )
    zemosaic = parity_of(report).zemosaic
    assert zemosaic
    asked = {theirs.run.variant: theirs for theirs in zemosaic.pixel_weights}
    taken = asked[Variant.FULL_FRAME].comparison
    assert taken
    assert taken.verdict is Verdict.IDENTICAL
    assert asked[Variant.CHUNKED].refuses_weights
    assert exit_code(report) == 0
    assert "ZeMosaic's full frame: identical; ZeMosaic's chunked: identical" in verdict(report)
    assert report.environment.functions_under_test.startswith("ZeMosaic zemosaic_worker.py ")
    assert str(checkout) not in render_json(report)


@pytest.mark.usefixtures("users_folders")
def test_before_there_were_bands_one_function_is_judged_and_the_other_told_as_absent(
    folder: Path, checkout: Path
) -> None:
    write_lookalike(checkout)  # it takes the mean of all frames: another result
    report = compare(folder, open_zemosaic(checkout, sys.executable))
    (theirs,) = stacks_of(report).values()
    assert theirs.function == "_cpu_stack_kappa_fallback"
    assert theirs.comparison
    assert theirs.comparison.verdict is Verdict.DIFFERENT
    assert any(message.startswith("ZeMosaic's full frame: rejected_pct") for message in messages(report, "ZD216"))
    (missing,) = messages(report, "ZD220")
    assert missing.startswith("There is no _cpu_stack_kappa_fallback_chunked")
    assert exit_code(report) == 1
    assert "ZeMosaic's full frame: different; ZeMosaic's chunked: absent" in verdict(report)


@pytest.mark.usefixtures("users_folders")
def test_a_stack_that_dies_is_a_finding_and_the_rest_stands(tmp_path: Path, checkout: Path) -> None:
    for frames in (3, 4, 5):
        write_group("eq_only", tmp_path / "lights" / f"panel_{frames}", frames=frames, shape=(24, 20))
    dying = "import os; os._exit(7)"
    allocating = "raise MemoryError('Unable to allocate 32.4 GiB')"
    body = f"if len(frames) == 3: {allocating}\n    if len(frames) == 4: {dying}\n    {BROADCAST}"
    report = compare(tmp_path / "lights", checkout_with(checkout, changed_stack(body)), weights="noise")
    tiles = parity_of(report).tiles
    assert [tile.verdict for tile in tiles] == [Verdict.IDENTICAL] * 3
    assert [tile.verdict_of(tile.zemosaic[0]) for tile in tiles] == [Verdict.IDENTICAL] * 3
    assert "Unable to allocate 32.4 GiB" in messages(report, "ZD203")[0]
    assert messages(report, "ZD204")[0].startswith("ZeMosaic's chunked child, rows 0 to 23: it ended itself with exit")
    assert messages(report, "ZD218")[0].startswith("ZeMosaic's chunked function refuses them: ValueError: operands")
    assert exit_code(report) == 3
    assert "ZeMosaic's chunked: failed on 1 tile, killed on 1 tile, weights refused on 1 tile" in verdict(report)


@pytest.mark.usefixtures("users_folders")
def test_what_does_not_fit_is_compared_on_fewer_rows(
    tmp_path: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bayer, "opencv_is_there", lambda: False)
    write_group("eq_only", tmp_path / "many", frames=40, shape=(256, 128))
    limit = parity.PROCESS_BYTES + (16 << 20)
    zemosaic = checkout_with(checkout, changed_stack("return right(frames)"))
    report = compare(tmp_path / "many", zemosaic, memory_limit_bytes=limit, require_whole=True)
    (tile,) = parity_of(report).tiles
    full = tile.runs[0]
    assert 0 < full.rows[1] - full.rows[0] < 256
    for theirs in tile.zemosaic:
        assert theirs.run.rows == full.rows
        assert theirs.run.estimated_bytes <= limit
        assert tile.verdict_of(theirs) is Verdict.IN_PART
    assert len(messages(report, "ZD215")) == 3
    assert parity_of(report).zemosaic_verdict is Verdict.IN_PART


@pytest.mark.usefixtures("users_folders")
def test_without_room_on_the_disk_or_memory_nothing_of_zemosaic_is_run(
    folder: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zemosaic = checkout_with(checkout, changed_stack("return right(frames)"))
    free = namedtuple("free", "free")
    with monkeypatch.context() as full_disk:
        full_disk.setattr(parity.shutil, "disk_usage", lambda _folder: free(1000))  # type: ignore[attr-defined]
        report = compare(folder, zemosaic)
    assert parity_of(report).tiles[0].verdict is Verdict.IDENTICAL
    assert len(messages(report, "ZD221")) == 2
    assert all("has no room for the frames" in message for message in messages(report, "ZD221"))
    assert exit_code(report) == 1

    report = compare(folder, zemosaic, memory_limit_bytes=1 << 20)
    assert len(messages(report, "ZD221")) == 2
    assert {theirs.run.status for theirs in stacks_of(report).values()} == {RunStatus.SKIPPED}


@pytest.mark.usefixtures("users_folders")
def test_a_checkout_without_any_such_stack_fails(folder: Path, checkout: Path) -> None:
    write_lookalike(checkout)
    (checkout / "zemosaic_align_stack.py").write_text("def other():\n    pass\n", encoding="utf-8")
    report = compare(folder, open_zemosaic(checkout, sys.executable))
    assert messages(report, "ZD221") == ["It has no kappa-sigma stack that can be run: none was compared."]
    assert exit_code(report) == 1


def test_the_command_line(folder: Path, checkout: Path) -> None:
    zemosaic = checkout_with(checkout, changed_stack("return right(frames)")).checkout.folder
    before = Tree.of(zemosaic)
    script = str(ROOT / "tools" / "zemo_diag.py")
    command = [sys.executable, script, "kappa-parity", str(folder), "--format", "markdown"]
    named = subprocess.run(
        [*command, "--zemosaic", str(zemosaic), "--python", sys.executable], capture_output=True, text=True, check=False
    )
    assert (named.returncode, named.stderr) == (0, "")
    assert re.search(r"Their chunked: `?_cpu_stack_kappa_fallback_chunked`?, lifted from its source", named.stdout)
    assert Tree.of(zemosaic) == before
    shutil.rmtree(zemosaic)
    gone = subprocess.run([*command, "--zemosaic", str(zemosaic)], capture_output=True, text=True, check=False)
    assert gone.returncode == 2
    assert "no such folder" in gone.stderr


# --------------------------------------------------------------------------------------------------- the words


def test_the_samples_follow_the_schema_and_end_as_they_should() -> None:
    for report, code in ((parity_zemosaic_report(), 0), (parity_zemosaic_trouble_report(), 3)):
        jsonschema.Draft202012Validator(load_schema()).validate(json.loads(render_json(report)))
        assert exit_code(report) == code


def test_a_tile_says_which_stack_of_zemosaic_stands_out() -> None:
    tiles: tuple[TileParity, ...] = parity_of(parity_zemosaic_trouble_report()).tiles
    assert {tile.verdict for tile in tiles} == {Verdict.IDENTICAL}
    told = verdict(parity_zemosaic_trouble_report())
    assert "ZeMosaic's full frame: other signature" in told
    assert "ZeMosaic's chunked: different on 1 tile, timed out on 1 tile, weights refused on 1 tile" in told
