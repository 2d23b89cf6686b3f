"""Tile-compressed images in a process of their own: astropy's numbers, and damage that costs one file."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from astropy.io import fits

import zemosaic_worker
from tests.conftest import ROOT
from tests.test_cli import zemo
from zemo_diagnostics.errors import FrameError
from zemo_diagnostics.frames import tile_decoder
from zemo_diagnostics.frames.entries import Frame, look_at, scan_folder
from zemo_diagnostics.frames.headers import read_image_header
from zemo_diagnostics.frames.pixels import RowSource, open_frame, read_image
from zemo_diagnostics.frames.raw_headers import can_hold
from zemo_diagnostics.masters.run import run_masters

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


def opened(path: Path, scratch: Path) -> RowSource:
    frame = look_at(path, path.parent)
    assert isinstance(frame, Frame), frame
    return open_frame(frame, scratch)


def write_packed(path: Path, data: Array, **options: Any) -> Path:
    fits.CompImageHDU(data, **options).writeto(path)
    return path


def noise(shape: tuple[int, ...] = (40, 50), seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(100, 10, shape).astype(np.float32)


def replace_card(path: Path, key: str, value: int) -> None:
    """Change a number in a header, to the byte and no more."""
    data = path.read_bytes()
    place = data.index(f"{key:8}=".encode())
    path.write_bytes(data[:place] + f"{key:8}= {value:>20}".ljust(80).encode() + data[place + 80 :])


def cut_first_tile(path: Path) -> None:
    """Make the table say that its first tile is half as long: the stream of packed bytes ends in the middle."""
    with fits.open(path, disable_image_compression=True) as hdus:
        start = hdus[1].fileinfo()["datLoc"]
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[start : start + 4], "big")
    data[start : start + 4] = (length // 2).to_bytes(4, "big")
    path.write_bytes(data)


def test_numbers_types_and_gaps_are_astropys(tmp_path: Path) -> None:
    cases: list[tuple[Array, dict[str, Any]]] = [
        (noise(), {}),
        (noise(), {"quantize_method": 1, "dither_seed": 7}),
        (noise(), {"quantize_method": 2, "dither_seed": 7, "tile_shape": (7, 11)}),
        (noise(), {"compression_type": "GZIP_1", "quantize_level": 0}),
        (noise().astype(np.float64), {"compression_type": "GZIP_2", "quantize_level": 0}),
        (noise().astype(np.uint16), {}),
        (noise().astype(np.int16), {"compression_type": "HCOMPRESS_1", "tile_shape": (40, 50)}),
        (noise().astype(np.uint8), {"compression_type": "PLIO_1"}),
        (noise().astype(np.int32), {"compression_type": "NOCOMPRESS", "tile_shape": (40, 50)}),
        (noise((3, 40, 50)).astype(np.uint16), {}),
        (noise((3, 40, 50)), {"tile_shape": (3, 16, 50)}),
        (noise((1, 40, 50)).astype(np.uint16), {"tile_shape": (1, 40, 50)}),
        (noise((1700, 1600)), {"compression_type": "GZIP_1", "quantize_level": 0, "tile_shape": (9, 1600)}),  # bands
    ]
    for number, (data, options) in enumerate(cases):
        if data.dtype.kind == "f":
            data[..., ::5, ::7] = np.nan
        path = write_packed(tmp_path / f"{number}.fits.fz", data, **options)
        expected = fits.getdata(path, 1)
        np.testing.assert_array_equal(read_image(path)[0], expected, err_msg=str(options))
        if expected.ndim == 3:
            expected = expected[0] if expected.shape[0] == 1 else np.moveaxis(expected, 0, -1)
        source = opened(path, tmp_path)
        rows = source[0 : source.shape[0]]
        assert (source.dtype, rows.dtype) == (expected.dtype, expected.dtype)
        np.testing.assert_array_equal(rows, expected, err_msg=str(options))


def test_scaled_and_blank_numbers_are_astropys(tmp_path: Path) -> None:
    hdu = fits.CompImageHDU(np.arange(12, dtype=np.int16).reshape(3, 4))
    hdu.header["BLANK"] = 5
    hdu.writeto(tmp_path / "blank.fits.fz")
    path = write_packed(tmp_path / "scaled.fits.fz", np.arange(12, dtype=np.int16).reshape(3, 4))
    data = path.read_bytes()
    place = data.index(b"ZNAXIS  =")
    cards = b"BSCALE  =                  0.5".ljust(80) + b"BZERO   =                  3.0".ljust(80)
    end = data.index(b"END     ".ljust(80), place)
    path.write_bytes(data[:end] + cards + data[end : end + 80] + data[end + 240 :])
    for name in ("blank.fits.fz", "scaled.fits.fz"):
        expected = fits.getdata(tmp_path / name, 1)
        rows = opened(tmp_path / name, tmp_path)[0:3]
        assert rows.dtype == expected.dtype
        np.testing.assert_array_equal(rows, expected)


@pytest.fixture
def lights(tmp_path: Path) -> Path:
    """Give six tile-compressed frames: one crashes cfitsio, one breaks off within a tile of gzip."""
    folder = tmp_path / "lights"
    folder.mkdir()
    for number in range(4):
        write_packed(folder / f"good_{number}.fits.fz", noise(seed=number))
    crash = write_packed(folder / "crash.fits.fz", noise(), quantize_method=1, dither_seed=5)
    replace_card(crash, "ZDITHER0", -(10**9))
    cut_first_tile(write_packed(folder / "eof.fits.fz", noise(), compression_type="GZIP_1", quantize_level=0))
    return folder


CRASH = "it cannot be unpacked: its ZDITHER0 is -1000000000, and FITS counts from 1 there"
EOF = "it cannot be unpacked: EOFError: Compressed file ended before the end-of-stream marker was reached"


def test_masters_goes_on(lights: Path) -> None:
    done = zemo("masters", lights, "-q")
    said = " ".join(done.stdout.split())
    assert done.returncode == 1
    assert "6 master tiles: 2 unreadable, 4 fine" in said
    assert f"crash.fits.fz: {CRASH}" in said
    assert f"eof.fits.fz: {EOF}" in said


def test_stack_leaves_them_out(lights: Path, tmp_path: Path) -> None:
    done = zemo("stack", lights, "-o", tmp_path / "a.fits", "-q")
    assert done.returncode == 0
    assert f"Left out crash.fits.fz: {CRASH}\nLeft out eof.fits.fz: {EOF}\n" in done.stderr
    assert "4 frames of 40 × 50 stacked" in done.stdout


def test_kappa_parity_leaves_them_out(lights: Path) -> None:
    done = zemo("kappa-parity", lights, "-q")
    assert f"crash.fits.fz: its pixels cannot be read: {CRASH}" in " ".join(done.stdout.split())
    assert "identical: 1 tile, every bit the same" in done.stdout


def test_phase3_leaves_them_out(lights: Path, tmp_path: Path) -> None:
    for name, reason in (("crash", CRASH), ("eof", EOF)):
        with pytest.raises(zemosaic_worker.FrameError) as caught:
            zemosaic_worker.load_frame({"path": str(lights / f"{name}.fits.fz")}, read_image)
        assert str(caught.value) == f"{name}.fits.fz cannot be read: {reason}"
    good = zemosaic_worker.load_frame({"path": str(lights / "good_1.fits.fz")}, read_image)
    np.testing.assert_array_equal(good.pixels, fits.getdata(lights / "good_1.fits.fz", 1))
    done = zemo("phase3", lights, "-o", tmp_path / "out", "-q", "--only", "patched")
    log = (tmp_path / "out" / "phase3.log").read_text(encoding="utf-8")
    assert f"crash.fits.fz cannot be read: {CRASH}; it is left out" in log
    assert done.returncode in (0, 1)  # noise has no stars: the other frames cannot be placed


def children() -> list[int]:
    return [child.pid for child in psutil.Process().children()]


def test_one_child_serves_all_files_and_a_new_one_follows_one_that_died(lights: Path, tmp_path: Path) -> None:
    scan_folder(lights)
    assert children() == []
    opened(lights / "good_0.fits.fz", tmp_path)
    first = children()
    opened(lights / "good_1.fits.fz", tmp_path)
    with pytest.raises(FrameError, match="EOFError"):
        opened(lights / "eof.fits.fz", tmp_path)
    assert (len(first), children()) == (1, first)
    died = psutil.Process(first[0])
    died.kill()
    died.wait(30)
    opened(lights / "good_2.fits.fz", tmp_path)
    assert len(children()) == 1
    assert children() != first
    tile_decoder.close_decoder()
    assert children() == []


def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: str) -> None:
    """Let the child do something else at each request."""
    script = tmp_path / "child.py"
    script.write_text(f"import os, sys, time\nfor line in sys.stdin:\n    {answer}\n", "utf-8")
    monkeypatch.setattr(tile_decoder, "child_command", lambda *_: [sys.executable, str(script)])


def test_a_child_that_hangs_is_given_up(lights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tile_decoder, "SILENCE_S", 0.6)
    stand_in(monkeypatch, tmp_path, "time.sleep(600)")
    started = time.monotonic()
    with pytest.raises(FrameError, match=r"nothing came of it within 0\.6 s"):
        opened(lights / "good_0.fits.fz", tmp_path)
    assert time.monotonic() - started < 30
    assert children() == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX")
def test_a_child_that_crashes_names_the_signal_and_the_next_file_is_read(
    lights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real child, into which a fault of a compiled library is put for one file."""
    script = tmp_path / "child.py"
    script.write_text(
        f"import os, signal, sys; sys.path[:] = {sys.path!r}\n"
        "from zemo_diagnostics.frames import decoder_child\nbands = decoder_child._bands\n"
        "def crash(path, data_offset):\n"
        "    if path.name == 'good_1.fits.fz':\n        os.kill(os.getpid(), signal.SIGSEGV)\n"
        "    return bands(path, data_offset)\n"
        "decoder_child._bands = crash\ndecoder_child.main('60')\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(tile_decoder, "child_command", lambda *_: [sys.executable, str(script)])
    report = run_masters(lights, say=lambda *_: None)
    damaged = {file.name: file.reason for file in report.result("masters").unreadable}
    assert sorted(damaged) == ["crash.fits.fz", "eof.fits.fz", "good_1.fits.fz"]
    assert damaged["good_1.fits.fz"] == (
        "it cannot be unpacked: the process that did it was killed by SIGSEGV: a fault in a compiled library"
    )
    assert len(report.result("masters").tiles) == 3


def test_a_child_that_ends_names_its_exit_code(lights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, tmp_path, "sys.exit(3)")
    with pytest.raises(FrameError, match="the process that did it ended with exit code 3"):
        opened(lights / "good_0.fits.fz", tmp_path)


def test_an_image_given_up_half_way_does_not_mix_with_the_next(lights: Path, tmp_path: Path) -> None:
    big = write_packed(tmp_path / "big.fits.fz", noise((1700, 1600)), tile_shape=(9, 1600))
    with tile_decoder.unpacked(big, read_image_header(big).data_offset) as image:
        next(image.bands)
    assert children() == []
    rows = opened(lights / "good_3.fits.fz", tmp_path)[0:40]
    np.testing.assert_array_equal(rows, fits.getdata(lights / "good_3.fits.fz", 1))


def test_threads_take_turns(lights: Path) -> None:
    found: dict[int, Array] = {}

    def unpack(number: int) -> None:
        found[number] = read_image(lights / f"good_{number}.fits.fz")[0]

    threads = [threading.Thread(target=unpack, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        np.testing.assert_array_equal(found[number], fits.getdata(lights / f"good_{number}.fits.fz", 1))


def test_the_child_ends_with_its_parent(lights: Path) -> None:
    """Also where the parent is killed and cannot clean up."""
    code = (
        "import sys, time; from pathlib import Path; import psutil;"
        "from zemo_diagnostics.frames.pixels import read_image;"
        "read_image(Path(sys.argv[1])); print(psutil.Process().children()[0].pid, flush=True); time.sleep(600)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "tools"), str(ROOT)])}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lights / "good_0.fits.fz")], stdout=subprocess.PIPE, env=environment
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        gone, alive = psutil.wait_procs([child], timeout=30)
        assert (len(gone), alive) == (1, [])


@pytest.mark.parametrize(
    ("key", "value"), [("ZNAXIS1", 2_000_000_000), ("ZNAXIS2", 2_000_000_000), ("ZTILE1", 0), ("ZTILE2", -5)]
)
def test_sizes_that_the_file_cannot_hold_are_refused(lights: Path, tmp_path: Path, key: str, value: int) -> None:
    replace_card(lights / "good_0.fits.fz", key, value)
    with pytest.raises(FrameError, match=r"it cannot be unpacked: its (header promises|image is 40 × 50 in tiles of)"):
        opened(lights / "good_0.fits.fz", tmp_path)
    (child,) = psutil.Process().children()
    assert child.memory_info().rss < 200 << 20


def test_what_a_packed_file_can_hold() -> None:
    assert can_hold(20_000, 16 << 20)
    assert not can_hold(20_000, 1 << 30)
    assert can_hold(2 << 20, 1 << 30)


def test_a_gzipped_file_that_promises_too_much_is_refused(tmp_path: Path) -> None:
    fits.PrimaryHDU(noise()).writeto(tmp_path / "a.fits")
    for axis, what in ((900_000, "far too many"), (60_000, "of the bytes that its header promises are missing")):
        replace_card(tmp_path / "a.fits", "NAXIS2", axis)
        (tmp_path / "b.fits.gz").write_bytes(gzip.compress((tmp_path / "a.fits").read_bytes()))
        with pytest.raises(FrameError, match=what):
            opened(tmp_path / "b.fits.gz", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.fits", "b.fits.gz"]
