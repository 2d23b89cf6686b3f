"""kappa-parity with real checkouts of ZeMosaic, on real frames: those that ``ZEMO_DIAG_TEST_CHECKOUTS`` names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.zemosaic.lookalikes import Tree
from tests.zemosaic.test_real_checkouts import CHECKOUTS, PYTHON, say
from zemo_diagnostics.grouped_folder import GroupingOptions
from zemo_diagnostics.kappa_parity.compare_tiles import ParityOptions
from zemo_diagnostics.kappa_parity.data import Rung, RunParity, Variant, Verdict
from zemo_diagnostics.kappa_parity.run import run_parity
from zemo_diagnostics.reports.report import exit_code
from zemo_diagnostics.reports.told import verdict
from zemo_diagnostics.zemosaic.under_test import open_zemosaic
from zemo_diagnostics.zemosaic.versions import BEFORE

pytestmark = pytest.mark.skipif(not CHECKOUTS, reason="ZEMO_DIAG_TEST_CHECKOUTS names no checkout of ZeMosaic")


def quiet(_what: str, _part: float, _detail: str = "") -> None:
    pass


@pytest.mark.parametrize("weights", ["none", "noise"])
@pytest.mark.parametrize("group", ["seestar_s50_ngc7023_mixed", "microobservatory_hatp32"])
@pytest.mark.parametrize("folder", CHECKOUTS, ids=lambda path: path.name)
def test_real_stacks_of_real_frames_are_ours(
    real_data: Callable[[str], Path], folder: Path, group: str, weights: str
) -> None:
    before = Tree.of(folder)
    zemosaic = open_zemosaic(folder, PYTHON)
    options = ParityOptions(weights=weights, crop=(200, 300), chunk_rows=64)
    report = run_parity(real_data(group), GroupingOptions(), options, say=quiet, zemosaic=zemosaic)
    assert Tree.of(folder) == before
    parity = report.result("parity")
    assert isinstance(parity, RunParity)
    say(f"{zemosaic.told()}, {group}, weights {weights}: {verdict(report)}")
    assert parity.verdict is parity.zemosaic_verdict is Verdict.IDENTICAL
    assert exit_code(report) == 0
    variants = {Variant.FULL_FRAME} if zemosaic.version is BEFORE else {Variant.FULL_FRAME, Variant.CHUNKED}
    for tile in parity.tiles:
        assert {theirs.run.variant for theirs in tile.zemosaic} == variants
        assert {theirs.rung for theirs in tile.zemosaic} == {Rung.LIFTED}
        for theirs in tile.zemosaic:
            assert theirs.run.peak_rss_bytes
            assert theirs.run.peak_rss_bytes < theirs.run.estimated_bytes
    found = {finding.code: finding.message for finding in report.findings}
    assert ("ZD220" in found) == (zemosaic.version is BEFORE)
    assert ("ZD219" in found) == (zemosaic.version is not BEFORE)
    assert zemosaic.version is BEFORE or "ValueError: operands could not be broadcast together" in found["ZD219"]
