"""One run at a time in the folder for the masters, whatever an earlier one left there."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import ROOT
from zemo_diagnostics.errors import InputError, OutputError
from zemo_diagnostics.phase3 import lock as phase3_lock
from zemo_diagnostics.phase3.lock import LOCK_NAME, locked

NOBODY = 2**22 + 7  # over the largest number that a process can have


def both_at_once(out: Path) -> list[str]:
    """Let two threads, each with the file opened for itself, go for the lock; what became of each."""
    became: list[str] = []
    start, inside = threading.Barrier(2), threading.Lock()

    def go() -> None:
        start.wait()
        try:
            with locked(out):
                alone = inside.acquire(blocking=False)
                became.append("alone" if alone else "together")
                start.wait(5)  # the other one has had its try
                if alone:
                    inside.release()
        except InputError:
            became.append("kept out")
            start.wait(5)

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(became)


def test_of_two_runs_beside_a_stale_lock_one_gets_it(tmp_path: Path) -> None:
    for _ in range(200):
        (tmp_path / LOCK_NAME).write_text(f"{NOBODY} 0 host\n", encoding="utf-8")
        assert both_at_once(tmp_path) == ["alone", "kept out"]
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("started", ["killed", "going on"])
def test_the_lock_of_another_process_goes_with_it(started: str, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from zemo_diagnostics.phase3.lock import locked\n"
        "with locked(Path(sys.argv[1])): print('locked', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT / "tools")},
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"locked\n"
    with pytest.raises(InputError, match="another run is working in"), locked(tmp_path):
        pass
    assert (tmp_path / LOCK_NAME).read_text(encoding="utf-8").startswith(f"{other.pid} ")
    if started == "killed":
        other.kill()
    other.communicate()
    assert (tmp_path / LOCK_NAME).exists() == (started == "killed")
    with locked(tmp_path):
        assert (tmp_path / LOCK_NAME).read_text(encoding="utf-8").startswith(f"{os.getpid()} ")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_taken_away_meanwhile_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = phase3_lock._lock, []

    def lock(stream: Any) -> bool:
        calls.append(stream)
        if len(calls) == 1:  # between opening and locking, the run that had it ends
            (tmp_path / LOCK_NAME).unlink()
        return real(stream)

    monkeypatch.setattr(phase3_lock, "_lock", lock)
    with locked(tmp_path):
        assert len(calls) == 2
        with pytest.raises(InputError), locked(tmp_path):
            pass


def test_where_the_server_knows_no_locks_the_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", none)
    with locked(tmp_path / "out"):
        assert (tmp_path / "out" / LOCK_NAME).exists()
    assert list(tmp_path.iterdir()) == []


def test_another_failure_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", broken)
    with pytest.raises(OutputError, match="cannot be written"), locked(tmp_path):
        pass


def test_a_link_in_its_place_is_never_written_through(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    (tmp_path / LOCK_NAME).symlink_to("mine.txt")
    with pytest.raises(OutputError, match="is a link"), locked(tmp_path):
        pass
    assert (tmp_path / "mine.txt").read_text(encoding="utf-8") == "mine"


class WindowsLocks:
    """Stands in for `msvcrt`: bytes of a file, locked for one handle; open files cannot be removed."""

    LK_NBLCK, LK_UNLCK = 2, 0

    def __init__(self) -> None:
        self.locked: dict[tuple[int, int], int] = {}
        self.unlocked = 0

    def locking(self, handle: int, mode: int, count: int) -> None:
        where = os.fstat(handle).st_ino, os.lseek(handle, 0, os.SEEK_CUR)
        assert count == 1
        assert where[1] > 1 << 20  # nobody reads there
        if mode == self.LK_UNLCK:
            assert self.locked.pop(where) == handle
            self.unlocked += 1
        elif where in self.locked:
            raise PermissionError(errno.EACCES, "Permission denied")
        else:
            self.locked[where] = handle


def test_windows_locks_a_byte_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locks, removed_while = WindowsLocks(), []
    real = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        removed_while.append(list(locks.locked))
        real(path, missing_ok=missing_ok)

    monkeypatch.setattr(phase3_lock, "_ON_WINDOWS", True)
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(**{name: getattr(locks, name) for name in dir(locks)}))
    monkeypatch.setattr(Path, "unlink", unlink)
    (tmp_path / LOCK_NAME).write_text("left by a run that was killed", encoding="utf-8")
    with locked(tmp_path):
        assert (tmp_path / LOCK_NAME).read_text(encoding="utf-8").startswith(f"{os.getpid()} is the process")
        with pytest.raises(InputError, match="another run"), locked(tmp_path):
            pass
    assert (locks.unlocked, removed_while) == (1, [[]])
    assert list(tmp_path.iterdir()) == []
