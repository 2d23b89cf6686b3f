"""The acceptance list asked of real checkouts: those that ``ZEMO_DIAG_TEST_CHECKOUTS`` names.

Each known version fails the checks that it is known to fail, and no other. ``ZEMO_DIAG_TEST_PYTHON`` may name who runs
them. Without checkouts, all of this is skipped.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zemo_diagnostics.check.acceptance import chosen
from zemo_diagnostics.check.acceptance_list import ACCEPTANCE
from zemo_diagnostics.check.data import RunChecks, Status
from zemo_diagnostics.check.run import run_checks
from zemo_diagnostics.zemosaic.checkout import inspect_checkout
from zemo_diagnostics.zemosaic.under_test import open_zemosaic
from zemo_diagnostics.zemosaic.versions import APRIL, BEFORE, JANUARY, recognise

from ..zemosaic.lookalikes import Tree
from .conftest import codes

CHECKOUTS = [Path(name) for name in os.environ.get("ZEMO_DIAG_TEST_CHECKOUTS", "").split(os.pathsep) if name]
PYTHON = os.environ.get("ZEMO_DIAG_TEST_PYTHON")

pytestmark = pytest.mark.skipif(not CHECKOUTS, reason="ZEMO_DIAG_TEST_CHECKOUTS names no checkout of ZeMosaic")

_MODES = {"ZC106", "ZC108", "ZC110", "ZC113", "ZC115"}
_STACKS = {"ZC309", "ZC311", "ZC313", "ZC317", "ZC322", "ZC324", "ZC332"}
_MASK = {"ZC401", "ZC402", "ZC405"}

# What each known version fails, besides what a change must leave alone.
FAILS = {
    BEFORE: {"ZC101", "ZC302", "ZC311", "ZC322", "ZC324", *_MASK, "ZC403", "ZC503", "ZC506", "ZC601"},
    JANUARY: {*_MODES, *_STACKS, *_MASK, "ZC403", "ZC503", "ZC506"},
    APRIL: {*_MODES, *_STACKS, *_MASK, "ZC503"},
}

# And what of that, compared with the version before the patch.
CHANGED = {
    JANUARY: {"ZC705", "ZC706"},
    APRIL: {"ZC701", "ZC702", "ZC703", "ZC705", "ZC706"},
}


def checked(folder: Path, *select: str, before: Path | None = None) -> RunChecks:
    compared = None if before is None else inspect_checkout(before)
    checks = chosen(ACCEPTANCE, select, ())
    return run_checks(open_zemosaic(folder, PYTHON), checks, before=compared, say=lambda *_: None)


@pytest.fixture
def users_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Give a user a home and a current folder with a log of theirs."""
    folders = [tmp_path / "home", tmp_path / "current"]
    for folder in folders:
        folder.mkdir()
        (folder / "zemosaic_worker.log").write_text("the user's log\n", encoding="utf-8")
    for name in ("HOME", "USERPROFILE", "APPDATA", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(folders[0]))
    monkeypatch.chdir(folders[1])
    return folders


@pytest.mark.parametrize("folder", CHECKOUTS, ids=lambda path: path.name)
def test_each_version_fails_what_it_is_known_to_fail(folder: Path, users_folders: list[Path]) -> None:
    version = recognise(inspect_checkout(folder))
    assert version in FAILS
    before = [Tree.of(one) for one in (folder, *users_folders)]
    run = checked(folder)
    assert set(codes(run, Status.FAIL)) == FAILS[version]
    assert codes(run, Status.CRASH) == []
    assert [Tree.of(one) for one in (folder, *users_folders)] == before


@pytest.mark.parametrize("folder", CHECKOUTS, ids=lambda path: path.name)
def test_what_each_version_changed(folder: Path) -> None:
    first = next((one for one in CHECKOUTS if recognise(inspect_checkout(one)) is BEFORE), None)
    version = recognise(inspect_checkout(folder))
    if first is None or version not in CHANGED:
        pytest.skip("there is no version before it")
    run = checked(folder, "ZC7", before=first)
    assert set(codes(run, Status.FAIL)) == CHANGED[version]
