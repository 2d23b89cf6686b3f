"""A full disk for temporary files: named, the end of the run, and never a fault of the file being read."""

from __future__ import annotations

import errno
import gzip
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

import zemo_diag
from tests.conftest import ROOT
from zemo_diagnostics.errors import ScratchError
from zemo_diagnostics.frames import pixels as frames
from zemo_diagnostics.machine import scratch
from zemo_diagnostics.stack import stacking

FULL = (
    "zemo-diag: the disk for temporary files (TMPDIR) is full: make room, or set TMPDIR (on Windows TEMP) to a "
    "folder on another disk\n"
)


def write_lights(folder: Path, packing: str, shape: tuple[int, int] = (40, 50)) -> Path:
    """Write three frames, packed."""
    folder.mkdir()
    for number in range(3):
        data = np.random.default_rng(number).integers(900, 1100, shape, dtype=np.uint16)
        if packing == "fz":
            fits.CompImageHDU(data).writeto(folder / f"{number}.fits.fz")
        else:
            fits.PrimaryHDU(data).writeto(folder / f"{number}.fits")
            packed = gzip.compress((folder / f"{number}.fits").read_bytes(), 1)
            (folder / f"{number}.fits.gz").write_bytes(packed)
            (folder / f"{number}.fits").unlink()
    return folder


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk be full when the pixels of a packed frame are written to it."""
    original: Callable[..., Any] = tempfile.NamedTemporaryFile

    def temporary(**options: Any) -> SimpleNamespace:
        file = original(**options)

        def write(_data: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        return SimpleNamespace(name=file.name, write=write, close=file.close)

    monkeypatch.setattr(scratch.tempfile, "NamedTemporaryFile", temporary)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("packing", ["gz", "fz"])
@pytest.mark.parametrize("command", ["stack", "masters"])
def test_it_is_named_and_ends_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], packing: str, command: str
) -> None:
    folder, output = write_lights(tmp_path / "lights", packing), tmp_path / "out.fits"
    options = ["-o", str(output)] if command == "stack" else []
    assert zemo_diag.run([command, str(folder), "-q", *options]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", FULL)
    assert not output.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="the limit of a file's size is set as POSIX does")
@pytest.mark.parametrize("packing", ["gz", "fz"])
@pytest.mark.parametrize("command", ["stack", "masters", "kappa-parity"])
def test_a_disk_that_takes_no_more_is_no_fault_of_the_file(tmp_path: Path, packing: str, command: str) -> None:
    """Here the system refuses; the children of kappa-parity meet it too."""
    folder = write_lights(tmp_path / "lights", packing, (800, 800))
    options = ["-o", str(tmp_path / "out.fits")] if command == "stack" else []
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
        "import zemo_diag; raise SystemExit(zemo_diag.run())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, command, str(folder), "-q", *options],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'tools'}{os.pathsep}{ROOT}"},
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("zemo-diag: the disk for temporary files (TMPDIR) ")
    assert not (tmp_path / "out.fits").exists()


@pytest.mark.parametrize("packing", ["gz", "fz"])
def test_a_stack_that_the_disk_cannot_hold_is_refused_before_it_is_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packing: str
) -> None:
    folder = write_lights(tmp_path / "lights", packing)
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda _folder: SimpleNamespace(free=3 * 4000 - 1))  # type: ignore[attr-defined]
    monkeypatch.setattr(frames, "write_scratch", lambda *_: pytest.fail("nothing may be written"))
    with pytest.raises(
        ScratchError, match=r"full: 11\.7 KiB are needed for unpacked frames, and it has 11\.7 KiB free"
    ):
        stacking.stack_folder(folder, tmp_path / "a.fits", stacking.StackOptions(), force=False, say=lambda *_: None)


def test_no_place_for_temporary_files_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(ScratchError, match="no folder for temporary files can be made"), scratch.scratch_folder():
        pass


def test_what_is_written_is_whole_or_gone(tmp_path: Path) -> None:
    assert scratch.write_scratch(tmp_path, [b"a" * 10_000, b"b"]).read_bytes() == b"a" * 10_000 + b"b"

    def broken() -> Any:
        yield b"a"
        raise EOFError

    with pytest.raises(EOFError):
        scratch.write_scratch(tmp_path, broken())
    assert len(list(tmp_path.iterdir())) == 1
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    scratch.save_array(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), array)
