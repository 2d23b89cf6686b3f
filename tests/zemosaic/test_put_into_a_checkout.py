"""The tool put into the ``tools/`` folder of a ZeMosaic checkout: that one is examined, and nothing of it changes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import FIXTURES, ROOT
from tests.zemosaic.lookalikes import Tree, write_lookalike

MODULES = ("zemosaic_worker.py", "zemosaic_align_stack.py")


def put_into(checkout: Path, *, modules: bool) -> Path:
    """Put the tool into a checkout, with its two modules or without; its script."""
    leave = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "tools" / "zemo_diagnostics", checkout / "tools" / "zemo_diagnostics", ignore=leave)
    shutil.copy(ROOT / "tools" / "zemo_diag.py", checkout / "tools")
    for name in MODULES if modules else ():
        shutil.copy(ROOT / name, checkout / "tools" / "zemo_diagnostics")
    return checkout / "tools" / "zemo_diag.py"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A look-alike with all of the tool in it."""
    folder = write_lookalike(tmp_path_factory.mktemp("user") / "zemosaic")
    put_into(folder, modules=True)
    return folder


def ran(checkout: Path, current: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script there, as a user would, and assert that nothing but the tool's own folder changed."""
    theirs = [path for path in checkout.iterdir() if path.name != "tools"]
    before = [Tree.of(path) if path.is_dir() else path.stat().st_mtime_ns for path in theirs]
    script = [sys.executable, "-B", str(checkout / "tools" / "zemo_diag.py")]
    done = subprocess.run([*script, *arguments], capture_output=True, encoding="utf-8", check=False, cwd=current)
    assert [Tree.of(path) if path.is_dir() else path.stat().st_mtime_ns for path in theirs] == before
    assert sorted(path for path in checkout.iterdir() if path.name != "tools") == sorted(theirs)
    return done


@pytest.mark.parametrize(
    "command",
    [("gating",), ("kappa-parity",), ("phase3", "-o", "out", "--dry-run")],
    ids=["gating", "kappa-parity", "phase3"],
)
def test_each_command_examines_that_checkout(command: tuple[str, ...], checkout: Path, tmp_path: Path) -> None:
    name, *options = command
    done = ran(checkout, tmp_path, name, str(FIXTURES / "hard"), *options, "--format", "json", "-q")
    assert done.returncode in (0, 1), done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    told = report["environment"]["functions_under_test"] + json.dumps(report["results"])
    assert "ZeMosaic zemosaic_worker.py " in told
    assert list(tmp_path.iterdir()) == []


def test_the_tools_own_modules_are_those_within_the_package(checkout: Path, tmp_path: Path) -> None:
    done = ran(checkout, tmp_path, "stack", str(FIXTURES / "eq_only"), "-o", "stack.fits", "-q")
    assert (done.returncode, done.stderr.count("\n") < 3) == (0, True), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["stack.fits"]


def test_without_them_it_is_one_sentence(tmp_path: Path) -> None:
    folder = write_lookalike(tmp_path / "zemosaic")
    put_into(folder, modules=False)
    (tmp_path / "current").mkdir()
    done = ran(folder, tmp_path / "current", "stack", str(FIXTURES / "eq_only"), "-o", "stack.fits", "-q")
    assert done.returncode == 2
    assert "copy zemo-diag's own two modules into tools/zemo_diagnostics/" in " ".join(done.stderr.split())
    assert ran(folder, tmp_path / "current", "gating", str(FIXTURES / "eq_only"), "-q").returncode == 0


def test_a_python_without_a_zemosaic_is_told(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "tools" / "zemo_diag.py")]
    arguments = ["gating", str(FIXTURES / "eq_only"), "--python", sys.executable]
    done = subprocess.run([*script, *arguments], capture_output=True, encoding="utf-8", check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert "--python says who runs the ZeMosaic of --zemosaic" in " ".join(done.stderr.split())
