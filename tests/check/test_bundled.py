"""All that must be true of a ZeMosaic is true of the modules that the tool carries."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import zemo_diag
from zemo_diagnostics.check.acceptance_list import ACCEPTANCE
from zemo_diagnostics.errors import EXIT_CLEAN

from ..conftest import ROOT
from ..zemosaic.lookalikes import Tree
from .conftest import MODULES


def test_all_checks_pass_and_the_modules_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    before = [(ROOT / name).stat().st_mtime_ns for name in MODULES]
    monkeypatch.chdir(tmp_path)
    code = zemo_diag.run(["check", "-q", "--format", "json"])
    assert Tree.of(tmp_path).names() == ["."]
    stdout = capfd.readouterr().out
    assert code == EXIT_CLEAN, stdout
    results = json.loads(stdout)["results"]["check"]["results"]
    assert {one["code"]: one["status"] for one in results} == {
        check.code: "skip" if check.code.startswith("ZC7") else "pass" for check in ACCEPTANCE
    }
    assert [(ROOT / name).stat().st_mtime_ns for name in MODULES] == before
