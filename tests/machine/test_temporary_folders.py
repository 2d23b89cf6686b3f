"""Temporary folders: none stays behind, neither after an interrupt at any moment nor, for long, after a kill."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.conftest import ROOT
from zemo_diagnostics.errors import ZemoDiagError
from zemo_diagnostics.machine import scratch, temporary_folders
from zemo_diagnostics.machine.scratch import scratch_folder

MAKE_ONE_AND_WAIT = (
    "import time; from zemo_diagnostics.machine.scratch import scratch_folder\n"
    "with scratch_folder() as folder:\n"
    " (folder / 'frame').write_bytes(b'x'); print(folder, flush=True); time.sleep(600)"
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder in which temporary ones are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def other_process(place: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a process that has made a scratch folder in the same place and works on."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tools"), "TMPDIR": str(place), "TEMP": str(place)}
    with subprocess.Popen(
        [sys.executable, "-c", MAKE_ONE_AND_WAIT], stdout=subprocess.PIPE, encoding="utf-8", env=environment
    ) as process:
        assert process.stdout is not None
        assert Path(process.stdout.readline().strip()).parent == place
        yield process
        process.kill()


def make_and_fill() -> None:
    """Use a scratch folder as a generator does that somebody takes results from."""

    def results() -> Iterator[int]:
        with scratch_folder() as folder:
            (folder / "inspect").mkdir()
            (folder / "inspect" / "job.json").write_bytes(b"{}")
            yield 1

    list(results())


def test_it_is_gone_afterwards_with_all_that_was_in_it(place: Path) -> None:
    make_and_fill()

    def fail() -> None:
        with scratch_folder() as folder:
            assert list(place.iterdir()) == [folder]
            raise ValueError("oh")

    with pytest.raises(ValueError, match="oh"):
        fail()
    assert not list(place.iterdir())


def run_with_an_interrupt(place: Path, at_line: int) -> bool:
    """Press Ctrl-C when the so many-th line is reached of whatever makes and removes folders; False if it is not."""
    watched = {
        scratch.__file__,
        temporary_folders.__file__,
        tempfile.__file__,
        shutil.__file__,
        __file__,
        contextlib.__file__,
    }
    left = at_line

    def count(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal left
        left -= event == "line"
        if event == "line" and left == 0:
            raise KeyboardInterrupt
        return count

    def watch(frame: FrameType, _event: str, _argument: Any) -> Any:
        return count if frame.f_code.co_filename in watched else None

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        make_and_fill()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    assert not list(place.iterdir()), f"interrupted at line {at_line}"
    return left <= 0


def test_an_interrupt_at_any_line_leaves_no_folder(place: Path) -> None:
    temporary_folders._remove_stale(place)  # once for all
    reached = sum(itertools.takewhile(bool, (run_with_an_interrupt(place, line) for line in itertools.count(1))))
    assert reached > 50


def test_what_a_killed_process_left_goes_at_the_next_start(place: Path, other_process: subprocess.Popen[str]) -> None:
    other_process.kill()
    other_process.wait(60)
    assert len(list(place.iterdir())) == 1
    with scratch_folder() as folder:
        assert list(place.iterdir()) == [folder]


def test_the_folder_of_a_process_that_works_stays(place: Path, other_process: subprocess.Popen[str]) -> None:
    assert other_process.poll() is None
    (others,) = place.iterdir()
    with scratch_folder() as folder:
        assert set(place.iterdir()) == {folder, others}
        assert (others / "frame").exists()


def test_what_may_be_anybodys_stays(place: Path) -> None:
    machine = temporary_folders._machine()
    ended = f"{machine}-{2**22 + 1}-1"
    mine = f"zemo-diag-{ended}-00000000"
    others = (
        f"zemo-diag-{int(machine, 16) ^ 1:08x}-{2**22 + 1}-1-00000000",  # another machine or container
        f"zemo-diag-{machine}-{os.getpid()}-0-00000000",  # when it started is not known
        f"zemo-diag-{ended}",
        f"zemo-diag-{ended}-00000000.fits",
        "zemo-diag-pictures",
    )
    for name in (mine, *others):
        (place / name).mkdir()
    with scratch_folder():
        pass
    assert sorted(path.name for path in place.iterdir()) == sorted(others)


def test_a_link_of_such_a_name_is_not_followed(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    kept = tmp_path_factory.mktemp("kept") / "frame.fit"
    kept.write_bytes(b"x")
    try:
        (place / f"zemo-diag-{temporary_folders._machine()}-{2**22 + 1}-1-00000000").symlink_to(kept.parent)
    except OSError:
        pytest.skip("links cannot be made here")
    with scratch_folder():
        pass
    assert kept.exists()


def test_a_number_used_again_is_told_by_when_its_process_started(place: Path) -> None:
    started = temporary_folders._started(os.getpid())
    left = place / f"zemo-diag-{temporary_folders._machine()}-{os.getpid()}-{started - 100}-00000000"
    left.mkdir()
    with scratch_folder() as folder:
        assert list(place.iterdir()) == [folder]


def test_where_no_folder_can_be_made_one_sentence_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(ZemoDiagError, match="TMPDIR"), scratch_folder():
        pass

    def nowhere() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    with pytest.raises(ZemoDiagError, match="TMPDIR"), scratch_folder():
        pass
