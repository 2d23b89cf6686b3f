"""The command that installs what is missing can be typed where zemo-diag runs."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from zemo_diagnostics.extras import _PACKAGES, pip_command


def test_the_command_is_that_of_this_python() -> None:
    python, *rest = shlex.split(pip_command(["astroalign", "scipy"]), posix=sys.platform != "win32")
    assert rest == ["-m", "pip", "install", "astroalign", "scipy"]
    done = subprocess.run([python.strip('"'), "-c", "import sys; print(sys.prefix)"], capture_output=True, check=True)
    assert done.stdout.decode().strip() == sys.prefix


@pytest.mark.parametrize(
    ("below", "found", "shown"),
    [
        (".venv/bin/python", None, ".venv/bin/python"),
        (".venv/bin/python", ".venv/bin/python", "python"),
        (".venv/bin/python", "elsewhere/python", ".venv/bin/python"),
        ("a folder/bin/python", None, '"a folder/bin/python"'),
    ],
)
def test_python_is_named_as_briefly_as_it_can_be(
    below: str, found: str | None, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / below))
    first = str(tmp_path / found) if found else None
    monkeypatch.setattr(shutil, "which", lambda name: first if name == "python" else None)
    assert pip_command(["pillow"]) == f"{Path(shown) if found or ' ' not in shown else shown} -m pip install pillow"


def test_a_python_elsewhere_is_named_by_its_full_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert pip_command(["pillow"]) == f"{tmp_path / 'python'} -m pip install pillow"


def test_the_packages_are_those_of_the_extras() -> None:
    extras = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("[project.optional-dependencies]")[1]
    for package in _PACKAGES.values():
        assert f'"{package}>=' in extras
