"""Children: their results, their deaths, and that none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from zemo_diagnostics import child_process
from zemo_diagnostics.child_process import run_job
from zemo_diagnostics.results import RunStatus
from zemo_diagnostics.sample_groups import write_group


@pytest.fixture
def job(tmp_path: Path) -> dict[str, Any]:
    frames = write_group("eq_only", tmp_path / "frames", frames=2, shape=(16, 12))
    described = [{"path": str(path), "pattern": ""} for path in frames]
    return {"kind": "inspect", "frames": described, "window": [0, 0, 16, 12]}


def stand_in(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let a child run other code than its job."""
    original = subprocess.Popen

    def start(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return original([sys.executable, "-c", code, *command[3:]], **options)

    monkeypatch.setattr(child_process.subprocess, "Popen", start)  # type: ignore[attr-defined]


def test_a_job_gives_its_result_and_its_progress(job: dict[str, Any], tmp_path: Path) -> None:
    parts: list[float] = []
    outcome = run_job(job, tmp_path, timeout_s=60, fraction_done=parts.append)
    assert outcome.status is RunStatus.OK
    assert [frame["signal"] for frame in outcome.result["frames"]] == ["", ""]
    assert parts == [0.5, 1.0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["frames", "job.json", "result.json"]


def test_what_a_job_raises_is_its_result(tmp_path: Path) -> None:
    outcome = run_job({"kind": "none such"}, tmp_path, timeout_s=60)
    assert (outcome.status, outcome.detail) == (RunStatus.RAISED, "KeyError: 'none such'")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX")
@pytest.mark.parametrize(("name", "cause"), [("SIGKILL", "ran out of memory"), ("SIGSEGV", "compiled library")])
def test_a_killed_child_names_the_signal_and_the_likely_cause(
    job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, cause: str
) -> None:
    stand_in(monkeypatch, f"import os, signal; os.kill(os.getpid(), signal.{name})")
    outcome = run_job(job, tmp_path, timeout_s=60)
    assert outcome.status is RunStatus.KILLED
    assert f"killed by {name}" in outcome.detail
    assert cause in outcome.detail


def test_a_child_that_ends_without_a_result_names_its_exit_code(
    job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, "import sys; sys.exit('the last words')")
    outcome = run_job(job, tmp_path, timeout_s=60)
    assert (outcome.status, outcome.detail) == (
        RunStatus.KILLED,
        "ended with exit code 1 and no result: the last words",
    )


def test_windows_exit_codes_are_written_as_windows_does(tmp_path: Path) -> None:
    with (tmp_path / "said").open("w+b") as said:
        assert "0xC0000005" in child_process._cause_of_death(0xC0000005, said)


def test_a_child_that_hangs_is_stopped(job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "import time; time.sleep(600)")
    started = time.monotonic()
    outcome = run_job(job, tmp_path, timeout_s=0.5)
    assert outcome.status is RunStatus.TIMED_OUT
    assert "--timeout" in outcome.detail
    assert time.monotonic() - started < 30
    assert not psutil.Process().children()


def test_an_interrupt_leaves_no_child(job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_self: object, _timeout: float | None = None) -> int:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "wait", interrupt)
    stand_in(monkeypatch, "import time; time.sleep(600)")
    with pytest.raises(KeyboardInterrupt):
        run_job(job, tmp_path, timeout_s=60)
    assert not psutil.Process().children()


def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    """Also where the parent is killed and cannot clean up: the child's pipe closes."""
    tools = Path(child_process.__file__).parents[1]
    job_file = tmp_path / "job.json"
    hanging = (
        "import sys, threading, time; from zemo_diagnostics import job_child;"
        "threading.Thread(target=job_child._end_with_parent, daemon=True).start(); print('up', flush=True);"
        "time.sleep(600)"
    )
    parent = (
        "import subprocess, sys, time;"
        f"child = subprocess.Popen([sys.executable, '-c', {hanging!r}], stdin=subprocess.PIPE);"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    environment = os.environ | {"PYTHONPATH": str(tools)}
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, env=environment, cwd=job_file.parent
    ) as process:
        assert process.stdout is not None
        child = psutil.Process(int(process.stdout.readline()))
        assert process.stdout.readline().strip() == b"up"
        process.kill()
        child_gone, alive = psutil.wait_procs([child], timeout=30)
        assert (len(child_gone), alive) == (1, [])
