"""Who runs a checkout's functions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from zemo_diagnostics.errors import InputError
from zemo_diagnostics.zemosaic import interpreter
from zemo_diagnostics.zemosaic.interpreter import find_interpreter

from .lookalikes import Tree, write_lookalike

posix = pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins for Python are shell scripts")


def write_program(path: Path, answer: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{answer}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def answering(version: str) -> str:
    return f"echo noise; echo 'zemo-diag asks: [[{version}], null]'"


def test_without_any_other_it_is_ours(tmp_path: Path) -> None:
    checkout = write_lookalike(tmp_path / "z")
    found = find_interpreter(checkout)
    assert (found.path, found.version) == (Path(sys.executable), sys.version_info[:3])
    assert (found.origin, found.note) == ("the one that runs zemo-diag", "")


def test_a_virtual_environment_in_the_checkout_is_used_and_untouched(tmp_path: Path) -> None:
    checkout = write_lookalike(tmp_path / "z")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(checkout / "my env")], check=True)
    before = Tree.of(checkout)
    found = find_interpreter(checkout)
    assert checkout / "my env" in found.path.parents
    assert found.told().endswith("the virtual environment my env of the checkout")
    assert Tree.of(checkout) == before


@posix
@pytest.mark.parametrize(("windows", "layout"), [(False, "bin/python"), (True, "Scripts/python.exe")])
def test_both_layouts_are_known_and_usual_names_come_first(tmp_path: Path, windows: bool, layout: str) -> None:
    checkout = write_lookalike(tmp_path / "z")
    for name in ("a", "venv"):
        write_program(checkout / name / layout, answering("3, 12, 1"))
        (checkout / name / "pyvenv.cfg").write_text("", encoding="ascii")
    found = find_interpreter(checkout, windows=windows)
    assert found.path == checkout / "venv" / layout
    assert found.told() == "Python 3.12.1, the virtual environment venv of the checkout"


@posix
def test_an_environment_of_another_system_is_told_and_passed_over(tmp_path: Path) -> None:
    checkout = write_lookalike(tmp_path / "z")
    write_program(checkout / ".venv" / "Scripts" / "python.exe", answering("3, 12, 1"))
    (checkout / ".venv" / "pyvenv.cfg").write_text("", encoding="ascii")
    found = find_interpreter(checkout, windows=False)
    assert found.path == Path(sys.executable)
    assert found.note == "the virtual environment .venv of the checkout has no Python for this system"


@posix
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (answering("3, 8, 18"), "is Python 3.8.18: 3.10 or later is needed; name another by --python"),
        (answering("2, 7, 18"), "is Python 2.7.18: 3.10 or later is needed"),
        ("echo Python was not found; exit 9", "does not answer as a Python does"),
    ],
)
def test_an_old_or_strange_program_is_one_sentence(tmp_path: Path, answer: str, told: str) -> None:
    program = write_program(tmp_path / "python", answer)
    with pytest.raises(InputError) as error:
        find_interpreter(write_lookalike(tmp_path / "z"), str(program))
    assert told in str(error.value)
    assert str(error.value).startswith("the Python 'python' (named by --python)")


@posix
@pytest.mark.parametrize("answer", ["yes python", "sleep 600 & sleep 600"], ids=["without end", "silent"])
def test_a_program_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr(interpreter, "_ASK_TIMEOUT_S", 1.0)
    program = write_program(tmp_path / "python", answer)
    with pytest.raises(InputError, match="does not answer as a Python does"):
        find_interpreter(write_lookalike(tmp_path / "z"), str(program))


def test_what_is_named_is_found_by_its_name_its_path_or_its_folder(tmp_path: Path) -> None:
    checkout = write_lookalike(tmp_path / "z")
    by_path = find_interpreter(checkout, sys.executable)
    assert (by_path.path, by_path.origin) == (Path(sys.executable), "named by --python")
    folder = Path(sys.executable).parent.parent
    assert find_interpreter(checkout, str(folder)).version == by_path.version


@pytest.mark.parametrize(("named", "told"), [("none such", "no program 'none such'"), (".", "'.' holds no Python")])
def test_what_is_not_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=told):
        find_interpreter(tmp_path, named)


@pytest.mark.skipif(sys.platform == "win32", reason="any file can be started there")
def test_what_cannot_be_started_is_one_sentence(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_bytes(b"\x7fELF not really")
    program.chmod(0o755)
    with pytest.raises(InputError, match="cannot be started"):
        find_interpreter(tmp_path, str(program))


@posix
def test_packages_of_its_user_are_kept_in_mind(tmp_path: Path) -> None:
    site = tmp_path / "user site"
    site.mkdir()
    program = write_program(tmp_path / "python", f"echo 'zemo-diag asks: [[3, 11, 2], \"{site}\"]'")
    assert find_interpreter(tmp_path, str(program)).extra_paths == (str(site),)
    site.rmdir()
    assert find_interpreter(tmp_path, str(program)).extra_paths == ()
