"""What a child started ends with it: the job object of Windows, by substitution."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from zemo_diagnostics.zemosaic import process_tree
from zemo_diagnostics.zemosaic.child import child_environment
from zemo_diagnostics.zemosaic.process_tree import JobObject


class Kernel32:
    """Stands in for the library: notes what is called."""

    def __init__(self, refuses: str = "") -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.limits = b""
        self._refuses = refuses

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            self.calls.append((name, arguments))
            if name == "SetInformationJobObject":
                self.limits = bytes(arguments[2]._obj)[: arguments[3]]
            return 0 if name == self._refuses else 77

        return call

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


def child(**more: Any) -> Any:
    return SimpleNamespace(**{"pid": 1 << 30, "_handle": 42, "kill": lambda: None, **more})


@pytest.fixture
def resumed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the processes of a machine on which a child has descendants, and what is done to them, in order."""
    done: list[str] = []

    def kill_gone() -> None:
        done.append("gone")
        raise psutil.NoSuchProcess(1)

    descendants = [SimpleNamespace(kill=kill_gone), SimpleNamespace(kill=lambda: done.append("grandchild"))]
    process = SimpleNamespace(resume=lambda: done.append("resumed"), children=lambda **_: descendants)
    monkeypatch.setattr(psutil, "Process", lambda _: process)
    return done


def test_a_child_is_put_into_a_job_that_ends_with_us_before_it_runs(resumed: list[str]) -> None:
    kernel32 = Kernel32()
    tree = JobObject(kernel32)
    assert tree.options() == {"creationflags": 0x08000204}  # no console, no Ctrl-C, suspended
    tree.hold(child())
    assert resumed == ["resumed"]
    assert kernel32.names() == ["CreateJobObjectW", "SetInformationJobObject", "AssignProcessToJobObject"]
    assert kernel32.calls[2][1][0] == 77
    assert kernel32.calls[2][1][1].value == 42
    assert int.from_bytes(kernel32.limits[16:20], "little") == 0x2000  # LimitFlags: kill on job close
    if ctypes.sizeof(ctypes.c_void_p) == 8:
        assert len(kernel32.limits) == 144
    tree.kill(child())
    assert kernel32.names()[3:] == ["TerminateJobObject", "CloseHandle"]
    tree.kill(child())  # a second time closes nothing twice
    assert kernel32.names()[5:] == []


@pytest.mark.parametrize("refuses", ["CreateJobObjectW", "SetInformationJobObject", "AssignProcessToJobObject"])
def test_without_a_job_what_can_be_found_is_ended(resumed: list[str], refuses: str) -> None:
    kernel32 = Kernel32(refuses)
    tree = JobObject(kernel32)
    tree.hold(child())
    tree.kill(child(kill=lambda: resumed.append("child")))
    assert resumed == ["resumed", "gone", "grandchild", "child"]
    assert kernel32.names().count("CloseHandle") == (refuses != "CreateJobObjectW")


def test_the_way_of_the_system_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_tree, "_kernel32", Kernel32)
    monkeypatch.setattr(sys, "platform", "win32")
    assert isinstance(process_tree.process_tree(), JobObject)
    monkeypatch.setattr(sys, "platform", "linux")
    assert isinstance(process_tree.process_tree(), process_tree.ProcessGroup)


def test_a_child_inherits_nothing_of_python_s_or_zemosaic_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    not_inherited = {"PYTHONPATH", "PythonHome", "ZEMOSAIC_LOG_LEVEL", "ZEM_ALTALPHA_FITS", "GIT_DIR", "HOMEDRIVE"}
    for name in not_inherited:
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("ZEMOSAIC_KAPPA_BUDGET_MB", "7")
    monkeypatch.setenv("SYSTEMROOT", "C:\\Windows")
    made = child_environment(tmp_path)
    assert not {"PYTHONPATH", "PythonHome", "ZEMOSAIC_LOG_LEVEL", "ZEM_ALTALPHA_FITS", "GIT_DIR", "HOMEDRIVE"} & set(
        made
    )
    assert (made["ZEMOSAIC_KAPPA_BUDGET_MB"], made["SYSTEMROOT"]) == ("7", "C:\\Windows")
    assert made["PYTHONDONTWRITEBYTECODE"] == made["PYTHONUTF8"] == made["OMP_NUM_THREADS"] == "1"
    homes = ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "XDG_CONFIG_HOME", "MPLCONFIGDIR")
    assert {made[name] for name in homes} == {str(tmp_path / "home")}
    assert {made[name] for name in ("TMPDIR", "TEMP", "TMP")} == {str(tmp_path / "temporary")}
