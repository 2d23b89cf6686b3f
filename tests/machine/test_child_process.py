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

from zemo_diagnostics.demo.sample_groups import write_group
from zemo_diagnostics.kappa_parity.compare_tiles import JOB_CHILD
from zemo_diagnostics.kappa_parity.data import Variant
from zemo_diagnostics.kappa_parity.job import Job, JobFrame
from zemo_diagnostics.machine import child_process
from zemo_diagnostics.machine.child_process import RunStatus, run_job


@pytest.fixture
def job(tmp_path: Path) -> dict[str, Any]:
    frames = write_group("eq_only", tmp_path / "frames", frames=2, shape=(16, 12))
    job = Job(
        variant=Variant.INSPECT,
        frames=tuple(JobFrame(str(path), None) for path in frames),
        window=(0, 0, 16, 12),
        kappa_low=3.0,
        kappa_high=3.0,
        chunk_rows=8,
    )
    return job.to_json()


def stand_in(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let a child run other code than its job."""
    original = subprocess.Popen

    def start(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return original([sys.executable, "-c", code, command[-1]], **options)

    monkeypatch.setattr(child_process.subprocess, "Popen", start)  # type: ignore[attr-defined]


def test_a_job_gives_its_result_and_its_progress(job: dict[str, Any], tmp_path: Path) -> None:
    parts: list[float] = []
    outcome = run_job(JOB_CHILD, job, tmp_path, timeout_s=60, fraction_done=parts.append)
    assert outcome.status is RunStatus.OK
    assert [frame["signal"] for frame in outcome.result["frames"]] == ["", ""]
    assert parts == [0.5, 1.0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["frames", "job.json", "result.json"]


PLANTED = ("inspect.py", "json.py", "numpy/__init__.py", "zemosaic_align_stack.py", "zemo_diagnostics/__init__.py")


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder of modules that no child may import; one that is leaves a file behind."""
    folder = tmp_path / "planted"
    for name in PLANTED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w').write({name!r})", encoding="utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


@pytest.mark.parametrize("variant", ["inspect", "chunked"])
@pytest.mark.parametrize("entry", [None, "", "planted"])
def test_a_child_imports_neither_from_the_current_folder_nor_from_pythonpath(
    variant: str,
    entry: str | None,
    planted: Path,
    job: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if entry is not None:  # what `python -c` and `python -m` put first into the parent's own import path
        monkeypatch.setattr(sys, "path", [str(planted) if entry else "", *sys.path])
    job |= {"variant": variant, "weigh": True}
    if variant == "chunked":
        job |= {"stacked": str(tmp_path / "stacked.npy"), "weights": [[1], [3]]}
    outcome = run_job(JOB_CHILD, job, tmp_path, timeout_s=60)
    assert (outcome.status, outcome.detail) == (RunStatus.OK, "")
    assert not (tmp_path / "ran").exists()


def test_a_child_that_would_import_another_numpy_ends_before_it_does(
    planted: Path, job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("json.py", "inspect.py"):  # the interpreter's own are not looked after
        (planted / name).unlink()
    monkeypatch.setattr(sys, "path", [child_process._TOOLS, str(planted), *sys.path])
    outcome = run_job(JOB_CHILD, job, tmp_path, timeout_s=60)
    assert outcome.status is RunStatus.KILLED
    assert "it would import another numpy than zemo-diag itself did" in outcome.detail
    assert not (tmp_path / "ran").exists()


def test_what_a_job_raises_is_its_result(job: dict[str, Any], tmp_path: Path) -> None:
    outcome = run_job(JOB_CHILD, job | {"variant": "none such"}, tmp_path, timeout_s=60)
    assert (outcome.status, outcome.detail) == (RunStatus.RAISED, "ValueError: 'none such' is not a valid Variant")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX")
@pytest.mark.parametrize(("name", "cause"), [("SIGKILL", "ran out of memory"), ("SIGSEGV", "compiled library")])
def test_a_killed_child_names_the_signal_and_the_likely_cause(
    job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, cause: str
) -> None:
    stand_in(monkeypatch, f"import os, signal; os.kill(os.getpid(), signal.{name})")
    outcome = run_job(JOB_CHILD, job, tmp_path, timeout_s=60)
    assert outcome.status is RunStatus.KILLED
    assert f"killed by {name}" in outcome.detail
    assert cause in outcome.detail


def test_a_child_that_ends_without_a_result_names_its_exit_code(
    job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, "import sys; sys.exit('the last words')")
    outcome = run_job(JOB_CHILD, job, tmp_path, timeout_s=60)
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
    outcome = run_job(JOB_CHILD, job, tmp_path, timeout_s=0.5)
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
        run_job(JOB_CHILD, job, tmp_path, timeout_s=60)
    assert not psutil.Process().children()


def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    """Also where the parent is killed and cannot clean up: the child's pipe closes."""
    tools = Path(child_process.__file__).parents[2]
    job_file = tmp_path / "job.json"
    hanging = (
        "import sys, threading, time; from zemo_diagnostics.kappa_parity import job_child;"
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
