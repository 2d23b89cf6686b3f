"""``zemo-diag stack``: the same result as the reference, from files to a file, in bounded memory."""

from __future__ import annotations

import errno
import gzip
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

import zemo_diag
import zemosaic_align_stack
from tests.conftest import ROOT
from zemo_diagnostics.demo.sample_groups import write_group
from zemo_diagnostics.errors import InputError, OutputError
from zemo_diagnostics.frames import bayer
from zemo_diagnostics.frames.entries import scan_folder
from zemo_diagnostics.frames.pixels import StoredPlanes
from zemo_diagnostics.frames.stack_input import central_window, choose_frames, missing_signal, open_for_stack
from zemo_diagnostics.stack import stacking
from zemo_diagnostics.stack.stacking import Stacked, StackOptions, stack_folder


@pytest.fixture
def lights(tmp_path: Path) -> Path:
    """Give a folder of twelve small mosaics."""
    write_group("eq_only", tmp_path / "lights", frames=12, shape=(60, 44))
    return tmp_path / "lights"


def stack(folder: Path, output: Path, *, force: bool = False, **options: object) -> Stacked:
    chosen = StackOptions(**options)  # type: ignore[arg-type]
    return stack_folder(folder, output, chosen, force=force, say=lambda _what, _part, _detail="": None)


@pytest.mark.parametrize("kappas", [(3.0, 3.0), (1.5, 2.0)])
def test_the_file_holds_the_references_result(lights: Path, tmp_path: Path, kappas: tuple[float, float]) -> None:
    done = stack(lights, tmp_path / "a.fits", debayer=False, kappa_low=kappas[0], kappa_high=kappas[1])
    frames = [fits.getdata(path).astype(np.float32) for path in sorted(lights.iterdir())]
    expected, rejected_pct = zemosaic_align_stack._cpu_stack_kappa_fallback_fullframe(
        frames, sigma_low=kappas[0], sigma_high=kappas[1]
    )
    with fits.open(tmp_path / "a.fits") as hdus:
        np.testing.assert_array_equal(hdus[0].data, expected)
        assert hdus[0].header["BITPIX"] == -32
    assert (done.frames, done.shape, done.rejected_pct) == (12, (60, 44), rejected_pct)


def test_colour_is_three_planes(lights: Path, tmp_path: Path) -> None:
    if not bayer.opencv_is_there():
        pytest.skip("colour needs the extra 'color' (OpenCV)")
    stack(lights, tmp_path / "a.fits")
    assert fits.getdata(tmp_path / "a.fits").shape == (3, 60, 44)


def test_the_header_says_what_went_in_and_nothing_private(lights: Path, tmp_path: Path) -> None:
    stack(lights, tmp_path / "a.fits", weights="noise", debayer=False)
    header = fits.getheader(tmp_path / "a.fits")
    assert (header["NCOMBINE"], header["KAPPALO"], header["KAPPAHI"], header["WEIGHTS"]) == (12, 3.0, 3.0, "noise")
    assert header["TOTALEXP"] == pytest.approx(120.0)
    assert header["SWCREATE"].startswith("zemo-diag")
    assert (header["OBJECT"], header["BAYERPAT"]) == ("M 16", "GRBG")
    assert not {"SITELAT", "SITELONG", "TELESCOP", "DATE-OBS"} & set(header)


@pytest.mark.parametrize(
    ("key", "value", "written"),
    [("GAIN", "1E400", False), ("GAIN", "-1E400", False), ("EXPTIME", "1E400", False), ("EXPTIME", "1E308", True)],
)
def test_a_card_that_fits_cannot_hold_is_left_out(
    lights: Path, tmp_path: Path, key: str, value: str, written: bool
) -> None:
    for path in lights.iterdir():
        data = path.read_bytes()
        start = data.index(f"{key:<8}=".encode("ascii"))
        path.write_bytes(data[:start] + f"{key:<8}= {value:>20}".encode("ascii") + data[start + 30 :])
    stack(lights, tmp_path / "a.fits", debayer=False)
    header = fits.getheader(tmp_path / "a.fits")
    assert (key in header, header["NCOMBINE"]) == (written, 12)
    assert ("TOTALEXP" in header) is (key == "GAIN")  # twelve times 1E308 is more than a card holds


def test_mosaics_of_bytes_with_a_blank_value_are_stacked_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "lights").mkdir()
    for number in range(3):
        hdu = fits.PrimaryHDU(np.arange(240, dtype=np.uint8).reshape(12, 20))
        hdu.header["BAYERPAT"], hdu.header["BLANK"] = "GRBG", 7
        hdu.writeto(tmp_path / "lights" / f"{number}.fit")
    done = stack(tmp_path / "lights", tmp_path / "a.fits")
    assert (done.frames, done.shape, done.empty) == (3, (12, 20), 1)
    with fits.open(tmp_path / "a.fits") as hdus:
        assert np.isnan(hdus[0].data[0, 7])
        assert hdus[0].header["BAYERPAT"] == "GRBG"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
def test_a_pipe_in_the_place_of_the_stack_is_never_waited_for(lights: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.fits")
    with pytest.raises(OutputError, match="never overwritten"):
        stack(lights, tmp_path / "a.fits", force=True)


def test_nothing_is_overwritten_unasked_and_an_old_stack_is_no_frame(lights: Path, tmp_path: Path) -> None:
    output = lights / "stack.fits"
    stack(lights, output, debayer=False)
    before = output.read_bytes()
    with pytest.raises(OutputError, match="--force"):
        stack(lights, output)
    again = stack(lights, output, debayer=False, force=True)
    assert again.frames == 12
    assert [file.reason for file in again.left_out] == ["it is a stack that zemo-diag made, not a light"]
    assert output.read_bytes() == before
    light = next(path for path in sorted(lights.iterdir()) if path != output)
    kept = light.read_bytes()
    with pytest.raises(OutputError, match="never overwritten"):
        stack(lights, light, force=True)
    assert light.read_bytes() == kept
    with pytest.raises(OutputError, match=r"\.fits"):
        stack(lights, tmp_path / "a.txt")
    with pytest.raises(OutputError, match="no folder"):
        stack(lights, tmp_path / "none" / "a.fits")


def test_noise_weights_are_those_of_phase_3_and_a_dead_frame_weighs_nothing(
    fixtures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weighed: list[np.ndarray] = []
    original = zemosaic_align_stack.noise_variance_weights

    def weigh(*arguments: Any) -> Any:
        weighed.append(original(*arguments))
        return weighed[-1]

    monkeypatch.setattr(zemosaic_align_stack, "noise_variance_weights", weigh)
    done = stack(fixtures / "hard", tmp_path / "a.fits", weights="noise", debayer=False)
    (weights,) = weighed
    chosen = choose_frames(scan_folder(fixtures / "hard").frames, debayer=False)
    frames = [open_for_stack(f, None, central_window(chosen.shape, None), tmp_path)[0:10_000] for f in chosen.frames]
    dead = [bool(missing_signal(frame)) for frame in frames]
    assert (sum(dead), len(dead)) == (2, done.frames)
    assert [weight == 0 for weight in weights.ravel()] == dead
    expected, _ = zemosaic_align_stack._cpu_stack_kappa_fallback_fullframe(frames, weights=original(frames))
    np.testing.assert_array_equal(fits.getdata(tmp_path / "a.fits"), expected)


def test_frames_of_another_shape_are_left_out_and_named(fixtures: Path, tmp_path: Path) -> None:
    done = stack(fixtures / "hard", tmp_path / "a.fits")
    assert (done.frames, len(done.left_out)) == (6, 1)
    assert stack(fixtures / "hard", tmp_path / "b.fits", max_frames=2).frames == 2


@pytest.mark.parametrize("weights", ["none", "noise"])
def test_a_frame_that_breaks_off_is_named_and_the_others_are_stacked(
    lights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: str
) -> None:
    bad = sorted(lights.iterdir())[7]
    original = StoredPlanes.__getitem__

    def break_off(self: StoredPlanes, rows: slice) -> object:
        if self.path == bad:
            bad.write_bytes(bad.read_bytes()[:6000])
        return original(self, rows)

    monkeypatch.setattr(StoredPlanes, "__getitem__", break_off)
    done = stack(lights, tmp_path / "a.fits", debayer=False, weights=weights)
    (left_out,) = done.left_out
    assert (done.frames, left_out.name) == (11, bad.name)
    assert left_out.reason.startswith("it ended ")
    assert left_out.reason.endswith(" bytes too early while its rows were read")
    monkeypatch.undo()
    bad.unlink()
    stack(lights, tmp_path / "b.fits", debayer=False, weights=weights)
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "b.fits").read_bytes()


def test_frames_that_all_break_off_leave_no_file(lights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> object:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(StoredPlanes, "__getitem__", fail)
    with pytest.raises(InputError, match=r"no frame can be read: Light_.*: it cannot be read: Input/output error"):
        stack(lights, tmp_path / "a.fits", debayer=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lights"]


def test_a_frame_that_vanishes_after_its_header_was_read_is_left_out(
    lights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = sorted(lights.iterdir())[3]

    def scan(*arguments: object) -> object:
        found = scan_folder(*arguments)  # type: ignore[arg-type]
        bad.unlink()
        return found

    monkeypatch.setattr(stacking, "scan_folder", scan)
    done = stack(lights, tmp_path / "a.fits", debayer=False)
    (left_out,) = done.left_out
    assert (done.frames, left_out.name) == (11, bad.name)
    assert left_out.reason == "it cannot be read: No such file or directory"


def test_a_frame_that_cannot_be_opened_is_left_out_and_named(lights: Path, fixtures: Path, tmp_path: Path) -> None:
    (lights / "cut.fit.gz").write_bytes(gzip.compress(next(lights.iterdir()).read_bytes())[:-3000])
    done = stack(lights, tmp_path / "a.fits", debayer=False)
    assert (done.frames, [file.name for file in done.left_out]) == (12, ["cut.fit.gz"])
    with pytest.raises(InputError, match=r"cut\.fit\.gz: it cannot be unpacked: .* damaged or cut off"):
        stack(fixtures / "unusable", tmp_path / "b.fits")


def change(lights: Path, indices: slice, **cards: object) -> None:
    """Change cards of some of the frames."""
    for path in sorted(lights.iterdir())[indices]:
        for key, value in cards.items():
            fits.setval(path, key, value=value)


def test_frames_that_belong_together_are_no_matter(lights: Path, tmp_path: Path) -> None:
    change(lights, slice(3), EXPTIME=10, GAIN=80.0)  # as other numbers of the same value
    assert stack(lights, tmp_path / "a.fits", debayer=False).notes == ()


def test_what_differs_among_the_frames_is_said(lights: Path, tmp_path: Path) -> None:
    first = fits.getheader(min(lights.iterdir()))
    change(lights, slice(9, 12), DEC=first["DEC"] + 1.3, EXPTIME=20.0, FILTER="LP", XBINNING=2)
    change(lights, slice(11, 12), GAIN=0, EXPTIME=30.0)
    assert stack(lights, tmp_path / "a.fits", debayer=False).notes == (
        "frames point up to 1.3 deg away from the first one, and nothing is aligned",
        "exposures differ, and nothing is scaled: 10 s in 9 frames, 20 s in 2 frames, 30 s in 1 frame",
        "gains differ, and nothing is scaled: 80 in 11 frames, 0 in 1 frame",
        "filters differ: IRCUT in 9 frames, LP in 3 frames",
        "binnings differ: 1 in 9 frames, 2 in 3 frames",
    )


def test_of_many_values_the_commonest_are_named(lights: Path, tmp_path: Path) -> None:
    for i in range(8):
        change(lights, slice(i, i + 1), GAIN=100 + i)
    (note,) = stack(lights, tmp_path / "a.fits", debayer=False).notes
    assert note.endswith("80 in 4 frames, 100 in 1 frame, 101 in 1 frame, 102 in 1 frame and 5 more")


def test_the_notes_stand_on_stderr(lights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(lights, slice(1), EXPTIME=20.0, FILTER="SITELAT=48.1")
    assert zemo_diag.run(["stack", str(lights), "-o", str(tmp_path / "a.fits"), "--no-debayer"]) == 0
    exposures, filters = capsys.readouterr().err.splitlines()
    assert exposures == "Note: exposures differ, and nothing is scaled: 10 s in 11 frames, 20 s in 1 frame"
    assert "48.1" not in filters


def test_a_folder_without_frames_is_one_sentence(fixtures: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "empty.fit").touch()
    with pytest.raises(InputError, match="zemo-diag gating"):
        stack(tmp_path / "in", tmp_path / "a.fits")
    assert fixtures.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="the limit of open files is set as POSIX does")
def test_open_files_stay_under_a_small_limit(tmp_path: Path) -> None:
    write_group("eq_only", tmp_path / "lights", frames=150, shape=(16, 12))
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))\n"
        "import zemo_diag; raise SystemExit(zemo_diag.run())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "stack", str(tmp_path / "lights"), "-o", str(tmp_path / "a.fits")],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'tools'}{os.pathsep}{ROOT}", "PYTHONIOENCODING": "utf-8"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "150 frames of 16 × 12" in done.stdout


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the mark of Linux")
def test_the_whole_process_stays_small(tmp_path: Path) -> None:
    """120 frames of 2 MB each, 240 MB in all: the process never holds them."""
    write_group("eq_only", tmp_path / "lights", frames=120, shape=(1000, 1000))
    code = (
        "import sys, zemo_diag; code = zemo_diag.run(sys.argv[1:])\n"
        "from zemo_diagnostics.machine.peak_memory import read_memory; print(code, read_memory().peak_bytes >> 20)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "stack", str(tmp_path / "lights"), "-o", str(tmp_path / "a.fits"), "--no-debayer"],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'tools'}{os.pathsep}{ROOT}", "PYTHONIOENCODING": "utf-8"},
        check=True,
    )
    code_and_peak = done.stdout.splitlines()[-1].split()
    assert code_and_peak[0] == "0"
    assert int(code_and_peak[1]) < 200
