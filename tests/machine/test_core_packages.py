"""A Python that lacks what every command needs: one sentence, with what to type."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import FIXTURES, ROOT
from zemo_diagnostics.machine import core_packages
from zemo_diagnostics.machine.core_packages import (
    MASTER_TILE_PACKAGES,
    PACKAGES,
    PICTURE_PACKAGES,
    broken_sentence,
    interpreter,
    missing_extra_sentence,
    missing_sentence,
)


def run_bare(script: Path, packages: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the tool as a plain script, with packages from a folder."""
    return subprocess.run(
        [sys.executable, *options, str(script), "gating", str(FIXTURES / "eq_only")],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": str(packages)},
        check=False,
    )


def make_packages(folder: Path, *names: str, text: str = "") -> Path:
    """Make packages that hold nothing."""
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("in_a_checkout", [True, False])
@pytest.mark.parametrize(
    ("missing", "named"),
    [
        (("rich",), "rich,"),
        (("click", "rich"), "click and rich,"),
        (("numpy",), "numpy,"),
        (PACKAGES, "numpy, astropy, click, rich and psutil,"),
    ],
)
def test_all_that_is_missing_is_named_in_one_sentence(
    missing: tuple[str, ...], named: str, in_a_checkout: bool, tmp_path: Path
) -> None:
    script = ROOT / "tools" / "zemo_diag.py"
    if in_a_checkout:
        shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("__pycache__"))
        (tmp_path / "zemosaic_worker.py").touch()
        script = tmp_path / "tools" / "zemo_diag.py"
    packages = make_packages(tmp_path / "packages", *(name for name in (*PACKAGES, "pip") if name not in missing))
    done = run_bare(script, packages, "-S")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert done.stderr.startswith(f"zemo-diag needs {named} which this Python does not have")
    assert " -m pip install " in done.stderr


def test_a_package_that_cannot_be_imported_is_a_sentence_too(tmp_path: Path) -> None:
    packages = make_packages(tmp_path, "numpy", text="raise ImportError('DLL load failed')")
    done = run_bare(ROOT / "tools" / "zemo_diag.py", packages)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert done.stderr.startswith("zemo-diag needs numpy and astropy, which cannot be imported here")
    assert " -m pip install --force-reinstall numpy astropy" in done.stderr


def test_the_script_without_its_folder_is_a_sentence(tmp_path: Path) -> None:
    shutil.copy(ROOT / "tools" / "zemo_diag.py", tmp_path)
    done = run_bare(tmp_path / "zemo_diag.py", tmp_path, "-S")
    assert (done.returncode, done.stderr) == (
        2,
        "zemo_diag.py needs the folder zemo_diagnostics beside it: copy both\n",
    )


def test_here_is_all_that_is_needed() -> None:
    assert (missing_sentence(), broken_sentence()) == ("", "")


def test_a_python_that_is_too_old_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 18, "final", 0))
    assert missing_sentence() == (
        "zemo-diag needs Python 3.10 or later, and this is Python 3.9.18: run it with a newer one"
    )


def without(monkeypatch: pytest.MonkeyPatch, *missing: str, closed: bool = False) -> None:
    """Let packages be missing, and perhaps the Python be its system's alone."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in missing else object())
    monkeypatch.setattr(core_packages, "_is_closed", lambda: closed)
    monkeypatch.setattr(sys, "orig_argv", ["python3", "tools/zemo_diag.py"])


def test_the_line_installs_what_is_missing_for_the_running_python(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "click", "rich")
    assert missing_sentence() == (
        "zemo-diag needs click and rich, which this Python does not have: "
        "install with python3 -m pip install click rich"
    )


def test_where_pip_is_missing_it_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "rich", "pip")
    assert missing_sentence().endswith(
        "nor pip: install with python3 -m ensurepip and then python3 -m pip install rich"
    )


def test_a_python_that_takes_no_packages_gets_an_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "rich", closed=True)
    sentence = missing_sentence()
    assert "python3 -m venv zemo-env" in sentence
    assert sentence.endswith("zemo-env/bin/python -m pip install numpy astropy click rich psutil")


@pytest.mark.skipif(os.name == "nt", reason="paths of POSIX")
@pytest.mark.parametrize(
    ("called", "written"),
    [
        ("python3", "python3"),
        (".venv/bin/python", ".venv/bin/python"),
        ("/home/jo/my env/bin/python", "~/'my env/bin/python'"),
        ("/home/jo/env/bin/python", "~/env/bin/python"),
        ("/opt/my env/python", "'/opt/my env/python'"),
        ("/usr/bin/python3", "/usr/bin/python3"),
    ],
)
def test_the_running_python_is_written_as_a_shell_takes_it(
    called: str, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "orig_argv", [called, "tools/zemo_diag.py"])
    monkeypatch.setattr(Path, "home", lambda: Path("/home/jo"))
    assert interpreter() == written


@pytest.mark.parametrize(
    ("path", "launcher", "environment", "written"),
    [
        (r"C:\Users\jo\Python311\python.exe", True, False, f"py -{sys.version_info[0]}.{sys.version_info[1]}"),
        (r"C:\Users\jo\Python311\python.exe", False, False, r"C:\Users\jo\Python311\python.exe"),
        (r"C:\my env\python.exe", True, True, r'& "C:\my env\python.exe"'),
    ],
)
def test_on_windows_the_launcher_names_it(
    path: str, launcher: bool, environment: bool, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: "py" if launcher else None)
    monkeypatch.setattr(sys, "prefix", "env" if environment else sys.base_prefix)
    assert core_packages._windows_interpreter(path) == written


@pytest.mark.parametrize(
    ("below", "written"), [("env/bin/python", "env/bin/python"), ("my env/bin/python", "'{}/my env/bin/python'")]
)
@pytest.mark.skipif(os.name == "nt", reason="paths of POSIX")
def test_a_python_below_the_current_folder_is_named_from_there(
    below: str, written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "orig_argv", [str(tmp_path / below), "zemo-diag"])
    monkeypatch.setattr(Path, "home", lambda: Path("/home/jo"))
    assert interpreter() == written.format(tmp_path)


def test_what_an_extra_lacks_is_installed_together(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "scipy", "PIL")
    assert missing_extra_sentence() == (
        "building master tiles needs scipy, which this Python does not have: "
        "install with python3 -m pip install scipy pillow"
    )
    without(monkeypatch, "PIL")
    assert missing_extra_sentence() == ""


def test_the_packages_of_the_extras_are_those_that_it_declares() -> None:
    extras = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("[project.optional-dependencies]")[1]
    for package in (*MASTER_TILE_PACKAGES.values(), *PICTURE_PACKAGES.values()):
        assert f'"{package}>=' in extras


@pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX")
def test_the_written_python_is_the_running_one() -> None:
    code = "import sys; from zemo_diagnostics.machine import core_packages as c; print(sys.executable, c.interpreter())"
    one = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT / "tools", check=True)
    executable, written = one.stdout.split(maxsplit=1)
    again = subprocess.run(
        f"{written.strip()} -c 'import sys; print(sys.executable)'",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert again.stdout.strip() == executable
