"""The table of versions and the jobs, held against real checkouts: those that ``ZEMO_DIAG_TEST_CHECKOUTS`` names.

``ZEMO_DIAG_TEST_PYTHON`` may name who runs them. Without checkouts, all of this is skipped.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from zemo_diagnostics.zemosaic import jobs, versions
from zemo_diagnostics.zemosaic.checkout import Checkout, default_settings, inspect_checkout
from zemo_diagnostics.zemosaic.child import Ending, Outcome, run_job
from zemo_diagnostics.zemosaic.entries import EntryKind
from zemo_diagnostics.zemosaic.interpreter import find_interpreter
from zemo_diagnostics.zemosaic.master_settings import Settings, tile_settings
from zemo_diagnostics.zemosaic.runner import decoded
from zemo_diagnostics.zemosaic.versions import BEFORE, Run, TileRule, Version, decide

from ..conftest import ROOT
from .lookalikes import Tree
from .random_groups import random_groups, random_groups_of_both_kinds

CHECKOUTS = [Path(name) for name in os.environ.get("ZEMO_DIAG_TEST_CHECKOUTS", "").split(os.pathsep) if name]
PYTHON = os.environ.get("ZEMO_DIAG_TEST_PYTHON")

pytestmark = pytest.mark.skipif(not CHECKOUTS, reason="ZEMO_DIAG_TEST_CHECKOUTS names no checkout of ZeMosaic")


def say(text: str) -> None:
    """Say what was found, for those who run this by hand with ``-s``."""
    sys.stdout.write(f"\n{text}\n")


@pytest.fixture(params=CHECKOUTS, ids=lambda path: path.name, scope="module")
def checkout(request: pytest.FixtureRequest) -> Iterator[Checkout]:
    """Give a real checkout; it must be as it was at the end."""
    folder: Path = request.param
    before = Tree.of(folder)
    yield inspect_checkout(folder)
    after = Tree.of(folder)
    assert after.names() == before.names()
    assert after == before


@pytest.fixture
def version(checkout: Checkout) -> Version:
    found = versions.recognise(checkout)
    assert found is not None
    return found


@pytest.fixture
def ask(checkout: Checkout, tmp_path: Path, users_folders: tuple[Path, Path]) -> Any:
    """Give a way to run a job on the checkout."""
    del users_folders
    where = jobs.runnable(checkout, find_interpreter(checkout.folder, PYTHON))
    (tmp_path / "job").mkdir()

    def asks(job: dict[str, Any], timeout_s: float = 300.0) -> Outcome:
        return run_job(job, where, tmp_path / "job", timeout_s=timeout_s)

    return asks


@pytest.fixture
def ask_ours(tmp_path: Path) -> Any:
    """Give a way to run a job on the bundled modules."""
    where = jobs.runnable(inspect_checkout(ROOT), find_interpreter(ROOT, sys.executable))
    (tmp_path / "ours").mkdir()

    def asks(job: dict[str, Any]) -> Outcome:
        return run_job(job, where, tmp_path / "ours", timeout_s=300.0)

    return asks


def test_it_is_known_and_all_that_it_has_can_be_called(checkout: Checkout, version: Version) -> None:
    say(f"{checkout.folder.name}: {checkout.identity.told()}: {version.title}")
    assert checkout.problems == ()
    there = {name for name, function in checkout.functions.items() if function.is_there}
    missing = set(checkout.functions) - there
    if version is BEFORE:
        assert there == {
            "_entry_is_seestar", "create_master_tile", "_cpu_stack_kappa_fallback", "align_images_in_group",
        }  # fmt: skip
    else:
        assert not missing


@pytest.mark.parametrize("rung", [jobs.LIFTED, jobs.IMPORTED])
@pytest.mark.parametrize("seed", [11, 12])
def test_200_random_groups_mode_by_mode(ask: Any, version: Version, rung: str, seed: int) -> None:
    groups = random_groups(200, seed)
    job = jobs.infer_job(groups, modes=version.inference is not None, seestar=True, rungs=[rung])
    outcome = ask(job)
    assert (outcome.ending, outcome.detail) == (Ending.OK, "")
    assert not [name for name in outcome.written if not name.startswith("home/fontlist")]
    judged = jobs.read_modes(outcome)
    assert [one.raised for one in judged] == [""] * 200
    made = [decoded(group) for group in groups]
    assert [one.seestar for one in judged] == [any(map(versions.is_seestar, group)) for group in made]
    if version.inference is not None:
        assert [one.mode for one in judged] == [versions.infer(version.inference, group)[0] for group in made]
        assert not any(one.changed or one.opened for one in judged)


def test_200_random_groups_of_each_kind_of_entries(ask: Any, version: Version) -> None:
    groups = random_groups_of_both_kinds(200, seed=31)
    asked = [group for kind in EntryKind for group in groups[kind]]
    judged = jobs.read_modes(ask(jobs.infer_job(asked, modes=version.inference is not None, seestar=True)))
    assert [one.raised for one in judged] == [""] * 400
    assert [one.seestar for one in judged] == [any(map(versions.is_seestar, group)) for group in asked]
    if version.inference is None:
        return
    modes = {kind: [one.mode for one in judged[i * 200 : (i + 1) * 200]] for i, kind in enumerate(EntryKind)}
    for kind in EntryKind:
        assert modes[kind] == [versions.infer(version.inference, group)[0] for group in groups[kind]]
    assert set(modes[EntryKind.PHASE_1]) == {"UNKNOWN"}
    assert set(modes[EntryKind.FILTER]) == {"EQ", "ALT_AZ", "UNKNOWN"}
    say(f"{version.name}: 200 groups of each kind as in the table; of Phase 1 all UNKNOWN")


def cases(count: int, seed: int) -> list[dict[str, Any]]:
    source = random.Random(seed)
    made = []
    for _ in range(count):
        summary: dict[str, Any] = {
            "eq_count": source.choice((0, 0, 5)),
            "altaz_count": source.choice((0, 0, 3)),
            "unknown_count": source.choice((0, 0, 7)),
        }
        if source.random() < 0.8:
            summary["total"] = sum(summary.values())
        case: dict[str, Any] = {
            "summary": summary,
            "overrides": {"mode": source.choice(("seestar", " Seestar", "classic", ""))}
            if source.random() < 0.5
            else {},
            "requested": source.random() < 0.5,
            "mode": source.choice(("EQ", "ALT_AZ", "UNKNOWN", "UNKNOWN")),
            "seestar": [source.random() < 0.3 for _ in range(source.choice((1, 3)))],
            "tile_id": source.randrange(2000),
        }
        if source.random() < 0.5:
            case["policy"] = source.choice(("auto", "on", "off", " ON ", "what", "", None))
        made.append(case)
    return made


def expected(version: Version, case: dict[str, Any]) -> tuple[bool, list[str], bool, str | None]:
    summary = case["summary"]
    run = Run(
        requested=case["requested"],
        eq=summary["eq_count"],
        altaz=summary["altaz_count"],
        unknown=summary["unknown_count"],
        total=summary.get("total"),
        seestar_mode=case["overrides"].get("mode", "").strip().lower() == "seestar",
        unknown_policy=str(case.get("policy") or "auto"),
    )
    group: list[dict[str, Any]] = [{"MOUNT_MODE": case["mode"]}]
    group += [{"instrument": "Seestar" if one else "other"} for one in case["seestar"]]
    decision = decide(version, group, run, case["tile_id"])
    return decision.run.enabled, list(decision.run.lines), decision.tile_enabled, decision.line


def test_200_random_runs_flag_by_flag_and_line_by_line(checkout: Checkout, version: Version, tmp_path: Path) -> None:
    asked = cases(200, seed=21)
    file = tmp_path / "cases.json"
    worker = checkout.folder / "zemosaic_worker.py"
    file.write_text(json.dumps({"worker": str(worker), "cases": asked}), encoding="utf-8")
    script = Path(__file__).with_name("program_slices.py")
    command = [sys.executable, "-I", "-B", "-W", "ignore", str(script), str(file)]
    answered = json.loads(subprocess.run(command, check=True, capture_output=True, cwd=tmp_path).stdout)
    gated = version.tiles is not TileRule.ALL
    name = "altaz_cleanup_for_tile" if gated else "altaz_cleanup_effective_flag"
    in_sds_mode = "altaz_cleanup_for_tile" if gated else "altaz_cleanup_enabled_config"
    assert answered["passed"] == [[name], [in_sds_mode]]
    for case, answer in zip(asked, answered["answers"], strict=True):
        run, run_lines, tile, tile_line = expected(version, case)
        assert (answer["run"], answer["run_lines"]) == (run, run_lines), case
        if gated:
            assert (answer["tile"], answer["tile_lines"]) == (tile, [tile_line]), case
        else:
            assert (tile, tile_line) == (run, None)
    flags = [sum(one[key] for one in answered["answers"]) for key in ("run", "tile") if key in answered["answers"][0]]
    say(f"{version.name}: 200 runs as in the table, cleaned (runs, tiles): {flags}")


SHAPES: dict[str, tuple[int, ...]] = {"mono": (37, 23), "colour": (21, 19, 3)}


def written_frames(folder: Path, shape: tuple[int, ...], count: int, what: str) -> list[Path]:
    values = np.random.default_rng(count).normal(1000, 30, (count, *shape)).astype(np.float32)
    values[count // 2, 3, 4] = 9000
    if what == "NaN":
        values[np.random.default_rng(2).random(values.shape) < 0.2] = np.nan
        values[:, 5, 6] = np.nan
    elif what == "inf":
        values[0, 2, 2], values[1, 3, 3] = np.inf, -np.inf
    paths = [folder / f"frame_{index}.npy" for index in range(count)]
    for path, value in zip(paths, values, strict=True):
        np.save(path, value)
    return paths


@pytest.mark.parametrize("what", ["plain", "NaN", "inf"])
@pytest.mark.parametrize("kind", SHAPES)
def test_kappa_bits_are_ours(checkout: Checkout, ask: Any, ask_ours: Any, tmp_path: Path, kind: str, what: str) -> None:
    shape = SHAPES[kind]
    functions = [name for name, full in KAPPA_NAMES.items() if checkout.functions[full].is_there]
    weights = {"none": None, "(N,)": (9,), "(N, 1, 1, C)" if kind == "colour" else "(N, 1, 1)": (9,) + (1,) * 2}
    for label, weight_shape in weights.items():
        paths = written_frames(tmp_path, shape, 9, what)
        file = None
        if weight_shape is not None:
            file = tmp_path / "weights.npy"
            extra = (3,) if label.endswith("C)") else ()
            np.save(file, np.random.default_rng(4).random((*weight_shape, *extra)).astype(np.float32) + 0.1)
        ours = ask_ours(jobs.kappa_job("fullframe", paths, tmp_path / "ours.npy", weights=file, sigma=(2.5, 2.0)))
        assert ours.ending is Ending.OK, ours.detail
        reference = np.load(tmp_path / "ours.npy")
        for function in functions:
            rows = 7 if function == "chunked" else None
            stacked = tmp_path / "theirs.npy"
            job = jobs.kappa_job(function, paths, stacked, weights=file, sigma=(2.5, 2.0), chunk_rows=rows)
            theirs = ask(job)
            assert (theirs.ending, theirs.detail) == (Ending.OK, "")
            assert [step.rung for step in theirs.steps] == [jobs.LIFTED]
            assert np.load(tmp_path / "theirs.npy").tobytes() == reference.tobytes(), (function, label)
            assert theirs.result["rejected_pct"] == ours.result["rejected_pct"]


KAPPA_NAMES = {
    "fallback": "_cpu_stack_kappa_fallback",
    "fullframe": "_cpu_stack_kappa_fallback_fullframe",
    "chunked": "_cpu_stack_kappa_fallback_chunked",
}


def test_what_the_chunked_function_refuses(checkout: Checkout, ask: Any, tmp_path: Path) -> None:
    if not checkout.functions[KAPPA_NAMES["chunked"]].is_there:
        pytest.skip("this version has no chunked function")
    paths = written_frames(tmp_path, SHAPES["colour"], 9, "plain")
    weights = tmp_path / "weights.npy"
    np.save(weights, np.ones(SHAPES["colour"], np.float32))
    by_pixel = ask(jobs.kappa_job("chunked", paths, tmp_path / "s.npy", weights=weights, chunk_rows=7))
    assert by_pixel.ending is Ending.RAISED
    assert "could not be broadcast" in by_pixel.detail
    for how in ("array", "generator"):
        assert ask(jobs.kappa_job("chunked", paths, tmp_path / "s.npy", hand_over=how)).ending is Ending.RAISED
    raising = ask(jobs.kappa_job("chunked", paths, tmp_path / "s.npy", callback="raise"))
    assert raising.detail == "RuntimeError: a progress callback that raises"


def test_its_own_tests_pass(version: Version, ask: Any) -> None:
    told = ask(jobs.selftests_job()).result["selftests"]
    state = "absent" if version is BEFORE else "passed"
    assert {one["state"] for one in told.values()} == {state}


@pytest.mark.parametrize("shift", [(0, 30), (-25, 10)])
def test_the_footprint_is_as_the_table_says(version: Version, ask: Any, tmp_path: Path, shift: tuple[int, int]) -> None:
    paths = [tmp_path / f"{index}.npy" for index in range(2)]
    for path, frame in zip(paths, jobs.footprint_frames(shift), strict=True):
        np.save(path, frame)
    outcome = ask(jobs.align_job(paths, tmp_path))
    footprint = jobs.read_footprint(outcome, shift)
    say(f"{version.name}: {footprint}")
    assert footprint.verdict == ("right" if version.mask.footprint_is_right else "wrong way round")
    assert (footprint.padded != (0, 0)) == version.mask.pads


def test_importing_leaves_nothing_but_its_log_where_that_is_let_be(version: Version, ask: Any) -> None:
    guarded = ask(jobs.import_job("zemosaic_worker"))
    assert (guarded.ending, guarded.detail) == (Ending.OK, "")
    assert guarded.result["log_files"] == []
    assert not [name for name in guarded.written if "log" in name]
    loose = ask(jobs.import_job("zemosaic_worker", guarded=False))
    place = "beside the modules" if version.name == "2026-04" else "current"
    say(f"{version.name}: guarded wrote {guarded.written}, loose wrote {loose.written}")
    assert f"{place}/zemosaic_worker.log" in loose.written


@pytest.mark.parametrize("cleanup", [False, True])
def test_a_master_tile_is_built(checkout: Checkout, version: Version, ask: Any, tmp_path: Path, cleanup: bool) -> None:
    shape = (400, 480, 3)
    entries = []
    wcs: list[Any] = [
        ["NAXIS", 2, ""], ["NAXIS1", 480, ""], ["NAXIS2", 400, ""], ["CTYPE1", "RA---TAN", ""],
        ["CTYPE2", "DEC--TAN", ""], ["CRVAL1", 274.7, ""], ["CRVAL2", -13.8, ""], ["CRPIX1", 240.5, ""],
        ["CRPIX2", 200.5, ""], ["CD1_1", -0.0006, ""], ["CD1_2", 0.0, ""], ["CD2_1", 0.0, ""], ["CD2_2", 0.0006, ""],
    ]  # fmt: skip
    header: list[Any] = [["OBJECT", "M 16", ""], ["EXPTIME", 10.0, ""], ["CREATOR", "ZWO Seestar S50", ""]]
    for index, shift in enumerate(((0, 0), (3, 5), (-4, 2))):
        cache = tmp_path / f"cache_{index}.npy"
        frame = jobs.footprint_frames(shift, shape[:2])[1]
        entries.append(
            jobs.cache_entry(f"light_{index}.fit", cache, jobs.write_cache(cache, frame), index, header, wcs)
        )
    (tmp_path / "out").mkdir()
    parameters = checkout.functions["create_master_tile"].parameters
    defaults = default_settings(checkout.folder)
    settings = tile_settings(parameters, Settings.PLAIN, defaults, altaz_cleanup=cleanup, tile_id=0)
    outcome = ask(jobs.master_tile_job(entries, 0, tmp_path / "out", settings.arguments), 600.0)
    tile = jobs.read_master_tile(outcome)
    assert (outcome.ending, outcome.detail) == (Ending.OK, "")
    assert tile.path == tmp_path / "out" / "master_tile_000.fits"
    assert tile.path.is_file()
    assert tile.wcs is not None
    told = f"{version.name}: cleanup {cleanup}, available {tile.cleanup_available} {tile.cleanup_missing}"
    say(f"{told}; read beside: {tile.read_beside}; peak {outcome.result['peak_bytes'] >> 20} MiB")
    assert any(line.message.startswith("MT_PIPELINE") for line in outcome.lines)
    with fits.open(tile.path) as opened:
        data = opened[0].data
    say(f"{version.name}: a master of {data.shape}, {np.mean(np.nan_to_num(data) == 0):.1%} without light")
    padded = (3, 625, 625) if version.mask.pads else (3, 400, 480)
    assert (data.shape == padded) != (version.mask.crops and cleanup)
