"""What the tests of the checks share: broken copies of the modules, and how checks are asked of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from zemo_diagnostics.check.acceptance import chosen
from zemo_diagnostics.check.acceptance_list import ACCEPTANCE
from zemo_diagnostics.check.data import RunChecks, Status
from zemo_diagnostics.check.run import run_checks
from zemo_diagnostics.zemosaic.checkout import inspect_checkout
from zemo_diagnostics.zemosaic.interpreter import own_interpreter
from zemo_diagnostics.zemosaic.under_test import UnderTest

from ..conftest import ROOT

MODULES = ("zemosaic_worker.py", "zemosaic_align_stack.py")

Ask = Callable[..., RunChecks]


def copy_modules(folder: Path) -> Path:
    """Copy both bundled modules."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in MODULES:
        shutil.copy2(ROOT / name, folder / name)
    return folder


def changed(folder: Path, file: str, old: str, new: str) -> Path:
    """Change all places of a copied module that read so."""
    path = folder / file
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{file} has no place that reads {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return folder


def codes(run: RunChecks, status: Status) -> list[str]:
    """Give the codes of the checks that ended so."""
    return [result.code for result in run.results if result.status is status]


@pytest.fixture
def ask() -> Ask:
    """Give a way to ask checks of a folder of modules, run by the interpreter of the tests."""

    def asks(folder: Path, *select: str, before: Path | None = None) -> RunChecks:
        under_test = UnderTest(
            checkout=inspect_checkout(folder), interpreter=own_interpreter(), version=None, bundled=False
        )
        compared = None if before is None else inspect_checkout(before)
        checks = chosen(ACCEPTANCE, select, ())
        return run_checks(under_test, checks, before=compared, say=lambda *_: None)

    return asks
