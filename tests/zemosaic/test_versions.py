"""The table of known versions: recognised by names, and the bundled one held against the bundled modules."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

import zemosaic_worker
from zemo_diagnostics.zemosaic import jobs, versions
from zemo_diagnostics.zemosaic.checkout import inspect_checkout
from zemo_diagnostics.zemosaic.entries import EntryKind
from zemo_diagnostics.zemosaic.runner import decoded
from zemo_diagnostics.zemosaic.versions import APRIL, BEFORE, BUNDLED, JANUARY, KNOWN, Run, decide, decide_run

from ..conftest import ROOT
from .conftest import Run as RunJob
from .lookalikes import write_lookalike
from .random_groups import random_groups, random_groups_of_both_kinds


def test_the_bundled_modules_are_recognised() -> None:
    assert versions.recognise(inspect_checkout(ROOT)) is BUNDLED


@pytest.mark.parametrize(
    ("worker", "version"),
    [
        ("def create_master_tile(): pass", BEFORE),
        ("def create_master_tile(): pass\ndef _infer_group_eqmode(): pass  # altaz_unknown_policy", JANUARY),
        ("def create_master_tile(): pass\ndef _infer_group_eqmode(): 'altaz_unknown_policy'", APRIL),
        ("def _infer_group_eqmode(): pass\ndef decide_tile_altaz_cleanup(): pass", BUNDLED),
        ("def something_else(): pass", None),
    ],
)
def test_versions_are_told_by_names(tmp_path: Path, worker: str, version: versions.Version | None) -> None:
    assert versions.recognise(inspect_checkout(write_lookalike(tmp_path / "z", worker=worker))) is version


def test_versions_have_names_of_their_own() -> None:
    assert [versions.named(version.name) for version in KNOWN] == list(KNOWN)
    assert versions.named("2031") is None


def test_the_bundled_modes_are_those_of_the_bundled_function(run: RunJob) -> None:
    groups = random_groups(200, seed=3)
    judged = jobs.read_modes(run(ROOT, jobs.infer_job(groups)))
    assert [one.raised for one in judged] == [""] * 200
    expected = [versions.infer(BUNDLED.inference, decoded(group))[0] for group in groups]
    assert [one.mode for one in judged] == expected
    assert {*expected} == {"EQ", "ALT_AZ", "UNKNOWN"}


def test_the_bundled_modes_are_those_of_both_kinds_of_entries(run: RunJob) -> None:
    groups = random_groups_of_both_kinds(200, seed=32)
    asked = [group for kind in EntryKind for group in groups[kind]]
    judged = jobs.read_modes(run(ROOT, jobs.infer_job(asked)))
    assert [one.mode for one in judged] == [versions.infer(BUNDLED.inference, group)[0] for group in asked]
    assert not any(one.changed or one.opened or one.raised for one in judged)


def test_the_bundled_decisions_and_lines_are_those_of_the_bundled_functions() -> None:
    source = random.Random(5)
    for coded in random_groups(200, seed=4):
        group = [entry for entry in decoded(coded) if isinstance(entry, dict)]
        summary = zemosaic_worker.EqmodeSummary(source.choice((0, 4)), source.choice((0, 3)), source.choice((0, 2)))
        requested, tile_id = source.random() < 0.5, source.randrange(100)
        theirs = zemosaic_worker.decide_global_altaz_cleanup(requested, summary)
        tile = zemosaic_worker.decide_tile_altaz_cleanup(tile_id, group, theirs.effective)
        run = Run(requested=requested, eq=summary.eq, altaz=summary.altaz, unknown=summary.unknown)
        ours = decide(BUNDLED, group, run, tile_id)
        assert (ours.run.enabled, ours.tile_enabled, ours.line) == (
            theirs.effective,
            tile.tile_enabled,
            tile.log_line(),
        )
        assert (ours.mode, ours.entry_index, ours.key) == (
            tile.evidence.mode,
            tile.evidence.entry_index,
            tile.evidence.key,
        )
        assert ours.run.lines == tuple(filter(None, (summary.log_line(), theirs.message)))


@pytest.mark.parametrize(
    ("value", "released", "bundled"),
    [
        (1, "EQ", "EQ"),
        ("0", "ALT_AZ", "ALT_AZ"),
        (True, "EQ", "EQ"),
        (np.int64(1), None, "EQ"),
        (np.float64(1), "EQ", "EQ"),
        ("Alt Az", "ALT_AZ", "ALT_AZ"),
        ("EQMODE_1", None, "EQ"),
        (float("nan"), None, None),
        (None, None, None),
    ],
)
def test_released_versions_read_other_values_than_the_bundled_one(
    value: object, released: str | None, bundled: str | None
) -> None:
    assert JANUARY.inference is not None
    assert BUNDLED.inference is not None
    assert versions.read(JANUARY.inference.header_reading, value) == released
    assert versions.read(BUNDLED.inference.header_reading, value) == bundled


def test_headers_of_phase_1_say_nothing_to_released_versions() -> None:
    group = [{"header": fits.Header([("EQMODE", 1), ("CREATOR", "ZWO Seestar S50")])}]
    run = Run(requested=True, eq=8, altaz=8)
    told = {version.name: decide(version, group, run, 7) for version in KNOWN}
    assert {name: one.mode for name, one in told.items()} == {
        "before": "UNKNOWN", "2026-01": "UNKNOWN", "2026-04": "UNKNOWN", "zemo-diag": "EQ",
    }  # fmt: skip
    assert {name: one.tile_enabled for name, one in told.items()} == {
        "before": True, "2026-01": False, "2026-04": True, "zemo-diag": False,
    }  # fmt: skip
    assert told["before"].line is None
    assert told["2026-04"].line == (
        "P3_ALTaz_GATING: tile_id=7 eqmode=UNKNOWN global_enabled=True unknown_policy=auto seestar_hint=True "
        "unknown_as_altaz=True => tile_enabled=True"
    )


def test_the_lines_of_real_logs_are_met_to_the_letter() -> None:
    run = Run(requested=False, eq=516, unknown=1311)
    assert decide_run(BEFORE, run).lines == (
        "WORKER_EQMODE_SUMMARY: eq=516 altaz=0 unknown=1311 total=1827 contains_altaz=False",
    )
    assert not decide_run(APRIL, run).enabled
    assert decide_run(APRIL, Run(requested=False, eq=516, unknown=1311, seestar_mode=True)).enabled
    assert not decide_run(APRIL, Run(requested=True, unknown=9, unknown_policy=" OFF")).enabled
    assert decide_run(APRIL, Run(requested=False, unknown=9, unknown_policy="?")).lines[1:] == (
        "AUTO_ALTaz_cleanup: enabled (contains_altaz_effective=True, config_requested=False, unknown_policy=auto, "
        "unknown_as_altaz=True)",
        "ALTaz gating global: policy=auto eq=0 altaz=0 unknown=9 seestar_hint=False unknown_as_altaz=True "
        "altaz_cleanup_effective=True",
    )


def test_the_line_of_the_log_of_2026_04_is_met(real_data: object) -> None:
    log = real_data("logs") / "worker_2026-04-23_P3_gating_alpha_stats_EXCERPT.log"  # type: ignore[operator]
    group = [{"header": fits.Header([("INSTRUME", "Seestar S50")])}]
    run = Run(requested=True, unknown=721)
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if "P3_ALTaz_GATING" in line]
    assert len(lines) > 5
    for line in lines:
        message = line.partition(" - P3_")[2]
        tile_id = int(message.partition("tile_id=")[2].split()[0])
        assert f"P3_{message}" == decide(APRIL, group, run, tile_id).line


def test_before_the_patch_every_tile_gets_the_run_s_flag() -> None:
    for altaz in (0, 3):
        for requested in (False, True):
            decision = decide(BEFORE, [{"EQMODE": 1}], Run(requested=requested, eq=3, altaz=altaz))
            assert decision.tile_enabled == decision.run.enabled == (requested or altaz > 0)
