"""The command line as its users meet it: in a process of its own, with its exit codes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from astropy.io import fits
from click.testing import CliRunner
from PIL import Image

import zemo_diag
from tests.conftest import FIXTURES, ROOT
from tests.sample_masters import star_field, write_master
from zemo_diagnostics.demo.sample_groups import write_group
from zemo_diagnostics.masters.pictures import BLANK_COLOR
from zemo_diagnostics.reports.formats import FORMATS

SCRIPT = ROOT / "tools" / "zemo_diag.py"


def zemo(*arguments: object, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the tool as a plain script, its output piped."""
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        cwd=cwd,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"} | environment,
        check=False,
    )


def test_gating_prints_the_report_and_ends_with_the_verdict() -> None:
    done = zemo("gating", FIXTURES / "mixed_by_tile")
    assert (done.returncode, done.stderr) == (0, "")
    assert "tile_enabled=False" in done.stdout
    assert "tile_enabled=True" in done.stdout
    assert "4 tiles, alt-az cleanup on 2" in done.stdout[-300:]
    assert "\x1b" not in done.stdout


def test_parity_prints_the_report_and_ends_with_the_verdict() -> None:
    done = zemo("kappa-parity", FIXTURES / "mixed_by_tile", "--tile", 1)
    assert (done.returncode, done.stderr) == (0, "")
    assert "identical: 1 tile, every bit the same" in done.stdout[-300:]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Usage"),
        (("gating",), "Missing argument 'FOLDER'"),
        (("gating", "no/such/folder"), "no such folder"),
        (("gating", FIXTURES / "README.md"), "is a file"),
        (("gating", ROOT / "docs"), "no frame in"),
        (("gating", FIXTURES / "eq_only", "--panel-deg", "0"), "panel-deg"),
        (("gating", FIXTURES / "eq_only", "-o", "report.pdf"), ".json, .md"),
        (("gating", FIXTURES / "eq_only", "-o", "none/report.md"), "no folder"),
        (("kappa-parity", FIXTURES / "eq_only", "--tile", "9"), "no tile 9"),
        (("kappa-parity", FIXTURES / "eq_only", "--crop", "big"), "such as 480x640"),
        (("findings", "ZD000"), "no finding has the code ZD000"),
        (("gating", ""), "the folder's name is empty"),
        (("masters", ""), "the folder's name is empty"),
        (("gating", FIXTURES / "eq_only", "-o", ""), "the file's name is empty"),
        (("kappa-parity", FIXTURES / "eq_only", "--kappa-high", "inf"), "not a finite number"),
        (("gating", FIXTURES / "eq_only", "--panel-deg", "nan"), "not a finite number"),
        (("gating", FIXTURES / "eq_only", "-o", "a" * 300 + ".md"), "name another file"),
        (("gating", "my", "lights"), "a path that holds spaces needs quotes"),
        (("fly",), "No such command 'fly'"),
    ],
)
def test_wrong_usage_is_a_sentence_and_exits_2(arguments: tuple[object, ...], words: str) -> None:
    done = zemo(*arguments)
    assert done.returncode == 2
    assert words in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("ending", "code", "words"),
    [('"', 0, ""), ('" -o report.md', 2, "must not end in a backslash"), ("", 0, "")],
)
def test_a_quote_that_windows_passes_on_is_no_part_of_the_path(
    ending: str, code: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("zemo_diagnostics.command_options._ON_WINDOWS", True)
    assert zemo_diag.run(["gating", f"{FIXTURES / 'eq_only'}{ending}"]) == code
    assert words in capsys.readouterr().err


def test_a_folder_of_unusable_files_names_each(tmp_path: Path) -> None:
    for name in ("empty.fit", "text_renamed.fit"):
        shutil.copy(FIXTURES / "unusable" / name, tmp_path)
    done = zemo("gating", tmp_path)
    assert done.returncode == 2
    assert "empty.fit: it is empty" in done.stderr
    assert "text_renamed.fit: it is not a FITS file" in done.stderr


def test_findings_of_error_level_exit_1() -> None:
    assert zemo("gating", FIXTURES / "mixed_one_folder", "--no-split").returncode == 1
    assert zemo("gating", FIXTURES / "mixed_one_folder").returncode == 0


def test_files_are_written_by_suffix_and_never_overwritten(tmp_path: Path) -> None:
    outputs = [tmp_path / name for name in ("a.json", "a.md", "a.txt")]
    arguments = [argument for path in outputs for argument in ("-o", path)]
    done = zemo("gating", FIXTURES / "eq_only", *arguments)
    assert (done.returncode, done.stderr.count("Wrote")) == (0, 3)
    assert json.loads(outputs[0].read_text(encoding="utf-8"))["exit_code"] == 0
    before = [path.read_bytes() for path in outputs]
    again = zemo("gating", FIXTURES / "eq_only", *arguments)
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert [path.read_bytes() for path in outputs] == before
    assert zemo("gating", FIXTURES / "eq_only", *arguments, "--force").returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.md", "a.txt"]


def test_json_on_stdout_is_one_document() -> None:
    document = json.loads(zemo("gating", FIXTURES / "eq_only", "--format", "json").stdout)
    assert document["schema_version"] == 1


@pytest.mark.parametrize("command", ["gating", "kappa-parity"])
def test_reports_name_no_place_serial_or_path(command: str, tmp_path: Path) -> None:
    folder = tmp_path / "lights"
    write_group("mixed_by_tile", folder, frames=2, shape=(32, 24))
    outputs = [tmp_path / f"report{form.suffix}" for form in FORMATS]
    done = zemo(command, folder, *(argument for path in outputs for argument in ("-o", path)))
    for text in (done.stdout, *(path.read_text(encoding="utf-8") for path in outputs)):
        for private in (str(tmp_path), "0badcafe", "45.67", "-34.56", "SITELAT"):
            assert private not in text, private


@pytest.mark.parametrize(
    ("card", "name"),
    [
        ("INSTRUME", "Seestar S50_1a2b3c4d"),
        ("INSTRUME", "ZWO ASI585MC-1f1e0c090a2b3c4d"),
        ("INSTRUME", "Nikon D5300 (6031234)"),
        ("CREATOR", "ZWO Seestar S50_1a2b3c4d"),
        ("CREATOR", "Seestar S50 (1A2B3C4D)"),
        ("CREATOR", "ZWO Seestar S30 Pro SN0031234"),
    ],
)
def test_no_serial_within_a_cameras_name_is_in_a_report_or_a_stack(
    card: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, stack = tmp_path / "lights", tmp_path / "stack.fits"
    write_group("eq_only", folder, frames=3, shape=(32, 24))
    for path in folder.iterdir():
        for key in ("CREATOR", "INSTRUME", "TELESCOP"):
            fits.delval(path, key)
        fits.setval(path, card, value=name)
    printed = []
    for form in ("terminal", "markdown", "json"):
        assert zemo_diag.run(["gating", str(folder), "--format", form]) == 0
        printed.append(capsys.readouterr().out)
    assert zemo_diag.run(["stack", str(folder), "-o", str(stack)]) == 0
    for text in (*printed, repr(fits.getheader(stack))):
        assert not any(trace in text for trace in ("1a2b3c4d", "1A2B3C4D", "1234"))
    telescopes = json.loads(printed[-1])["results"]["gating"]["tiles"][0]["telescopes"]
    assert telescopes[0]["name"] in ("Seestar S50", "Seestar S30 Pro", "ASI585MC", "Nikon D5300")


@pytest.mark.parametrize("columns", [60, 100])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    for arguments in (("gating", FIXTURES / "mixed_one_folder"), ("kappa-parity", FIXTURES / "hard")):
        done = zemo(*arguments, COLUMNS=str(columns))
        assert max(map(len, done.stdout.splitlines())) <= columns


def test_a_cp1252_stream_gets_what_it_can_show() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "gating", str(FIXTURES / "mixed_by_tile")],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "cp1252"},
        check=False,
    )
    assert done.returncode == 0
    assert "tile_enabled=True" in done.stdout.decode("cp1252")


def test_a_reader_that_goes_away_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), "gating", str(FIXTURES / "mixed_by_tile")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """Let processes heed an interrupt, also where the tests run in the background: there a shell has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent by a signal of POSIX")
def test_ctrl_c_leaves_no_child_and_writes_what_is_known(tmp_path: Path) -> None:
    write_group("mixed_by_tile", tmp_path / "lights", frames=3, shape=(64, 48))
    big = tmp_path / "lights" / "tile_99"
    write_group("eq_only", big, frames=24, shape=(1200, 1080))
    report = tmp_path / "report.json"
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), "kappa-parity", str(tmp_path / "lights"), "-o", str(report)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        _wait_for_the_child_of(process.pid, "tile_99")
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "interrupted" in stdout[-200:]
    document = json.loads(report.read_text(encoding="utf-8"))
    assert document["interrupted"] is True
    assert [tile["verdict"] for tile in document["results"]["parity"]["tiles"]] == ["identical"] * 4
    time.sleep(0.2)
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(one.info["cmdline"] or ())]


def _wait_for_the_child_of(pid: int, frame: str) -> None:
    """Wait until a child of a process works on a tile."""
    for _ in range(600):
        if any(frame in _job_of(child) for child in psutil.Process(pid).children()):
            return
        time.sleep(0.1)
    raise AssertionError(f"no child came to {frame}")


def _job_of(child: psutil.Process) -> str:
    """Read the job of a child; empty where it has gone or not begun."""
    try:
        return Path(child.cmdline()[-1]).read_text(encoding="utf-8")
    except (psutil.Error, OSError, IndexError, UnicodeDecodeError):
        return ""


@pytest.mark.skipif(sys.platform == "win32", reason="a signal of POSIX")
def test_a_request_to_end_leaves_neither_child_nor_folder(tmp_path: Path) -> None:
    write_group("eq_only", tmp_path / "lights" / "tile_99", frames=24, shape=(1200, 1080))
    (tmp_path / "temporary").mkdir()
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), "kappa-parity", str(tmp_path / "lights")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"TMPDIR": str(tmp_path / "temporary")},
    ) as process:
        _wait_for_the_child_of(process.pid, "tile_99")
        process.terminate()
        assert process.wait(60) == 130
    assert not list((tmp_path / "temporary").iterdir())


def test_what_a_killed_run_left_goes_at_the_next_start(tmp_path: Path) -> None:
    write_group("eq_only", tmp_path / "lights" / "tile_99", frames=24, shape=(1200, 1080))
    place = tmp_path / "temporary"
    place.mkdir()
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), "kappa-parity", str(tmp_path / "lights")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"TMPDIR": str(place), "TEMP": str(place)},
    ) as process:
        _wait_for_the_child_of(process.pid, "tile_99")
        children = psutil.Process(process.pid).children()
        process.kill()
    psutil.wait_procs(children, timeout=60)
    assert list(place.iterdir())
    assert zemo("kappa-parity", FIXTURES / "eq_only", TMPDIR=str(place), TEMP=str(place)).returncode == 0
    assert not list(place.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_where_stdout_fails_the_files_are_written_all_the_same(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, str(SCRIPT), "gating", str(FIXTURES / "eq_only"), "-o", str(tmp_path / "a.md")],
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            check=False,
        )
    assert done.returncode == 2
    assert "the text cannot be printed" in done.stderr
    assert "use -o FILE" in done.stderr
    assert (tmp_path / "a.md").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX closes the streams")
@pytest.mark.parametrize(("folder", "closed", "code"), [("eq_only", ">&-", 0), ("none", "2>&-", 2)])
def test_closed_streams_change_no_exit_code(folder: str, closed: str, code: int) -> None:
    command = f'"{sys.executable}" "{SCRIPT}" gating "{FIXTURES / folder}" {closed}'
    assert subprocess.run(command, shell=True, capture_output=True, check=False).returncode == code


def test_help_imports_neither_numpy_nor_astropy() -> None:
    code = (
        "import sys; sys.argv = ['zemo-diag', '--help']; sys.path.insert(0, 'tools'); import zemo_diag\n"
        "try: zemo_diag.main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'numpy', 'astropy', 'rich', 'psutil', 'cv2'} & set(sys.modules); assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_fault_of_our_own_is_a_sentence_and_exits_4(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("zemo_diagnostics.gating.run.run_gating", fail)
    assert zemo_diag.run(["gating", str(FIXTURES / "eq_only")]) == 4
    error = capsys.readouterr().err
    assert "a fault of zemo-diag itself (ZeroDivisionError: oh)" in error
    assert "Traceback" not in error


def test_dropped_into_a_checkout_it_examines_the_modules_there(tmp_path: Path) -> None:
    checkout = tmp_path / "zemosaic"
    shutil.copytree(ROOT / "tools", checkout / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("zemosaic_worker.py", "zemosaic_align_stack.py"):
        text = (ROOT / name).read_text(encoding="utf-8")
        (checkout / name).write_text(f"{text}\nprint('noise of {name}')\n", encoding="utf-8")
    script = checkout / "tools" / "zemo_diag.py"
    done = subprocess.run(
        [sys.executable, str(script), "kappa-parity", str(FIXTURES / "hard"), "--format", "json"],
        capture_output=True,
        encoding="utf-8",
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["exit_code"] == 0
    assert "noise of zemosaic_align_stack.py" in done.stderr


def test_the_demo_shows_both_reports() -> None:
    done = zemo("demo")
    assert done.returncode == 0, done.stderr
    assert "alt-az cleanup on 2" in done.stdout[-400:]
    assert "identical: 4 tiles" in done.stdout[-400:]


def test_findings_are_explained() -> None:
    assert "ZD101  error" in zemo("findings").stdout
    assert "ZD107  note " in zemo("findings").stdout
    assert "What to do:" in zemo("findings", "zd101", "ZD209").stdout


@pytest.mark.parametrize("codes", [(), ("ZD101", "ZD103")])
def test_findings_keep_to_the_width(codes: tuple[str, ...]) -> None:
    assert max(map(len, zemo("findings", *codes, COLUMNS="60").stdout.splitlines())) <= 60


@pytest.mark.parametrize("command", zemo_diag.cli.commands)
def test_help_keeps_to_the_width(command: str) -> None:
    for arguments in (["--help"], [command, "--help"]):
        help_text = CliRunner().invoke(zemo_diag.cli, arguments, prog_name="zemo-diag", terminal_width=60).output
        assert max(map(len, help_text.splitlines())) <= 60


def masters_folder(folder: Path, *, wiped: bool) -> Path:
    """Make a folder of two masters: one good, and one that was wiped or good too."""
    folder.mkdir()
    image = star_field((60, 80, 3))
    write_master(folder / "master_tile_001.fits", image, tile_id=1)
    if wiped:
        image[3:] = np.nan
    write_master(folder / "master_tile_002.fits", image, tile_id=2)
    return folder


def test_masters_tells_wiped_tiles_from_good_ones(tmp_path: Path) -> None:
    before = zemo("masters", masters_folder(tmp_path / "before", wiped=True))
    patched = zemo("masters", masters_folder(tmp_path / "patched", wiped=False))
    assert (before.returncode, before.stderr, patched.returncode, patched.stderr) == (1, "", 0, "")
    assert "2 master tiles: 1 nearly empty, 1 fine; 1 error" in before.stdout[-200:]
    assert "2 master tiles: 2 fine; no findings" in patched.stdout[-200:]


def test_masters_writes_reports_and_a_contact_sheet(tmp_path: Path) -> None:
    folder = masters_folder(tmp_path / "run", wiped=True)
    sheet, report = tmp_path / "sheet.png", tmp_path / "report.json"
    done = zemo("masters", folder, "-o", report, "--contact-sheet", sheet, "--format", "markdown")
    assert (done.returncode, done.stderr.count("Wrote")) == (1, 2)
    assert [tile["verdict"] for tile in json.loads(report.read_text("utf-8"))["results"]["masters"]["tiles"]] == [
        "fine",
        "nearly empty",
    ]
    with Image.open(sheet) as picture:
        colors = {color for _, color in picture.getcolors(1 << 20) or ()}
        assert (picture.size, BLANK_COLOR in colors) == ((2 * 80 + 3 * 8, 60 + 24 + 2 * 8), True)
    assert "before the patch" not in done.stdout
    again = zemo("masters", folder, "--contact-sheet", sheet)
    assert (again.returncode, again.stdout) == (2, "")
    assert "--force" in again.stderr
    assert str(tmp_path) not in done.stdout + report.read_text("utf-8")


def test_masters_draws_more_than_a_hundred_on_further_pages(tmp_path: Path) -> None:
    folder, sheet = tmp_path / "run", tmp_path / "sheet.png"
    folder.mkdir()
    for i in range(101):
        write_master(folder / f"master_tile_{i:03d}.fits", star_field((16, 16)), tile_id=i)
    done = zemo("masters", folder, "-q", "--contact-sheet", sheet)
    assert (done.returncode, done.stderr) == (0, "Wrote sheet.png to sheet-2.png\n")
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["sheet-2.png", "sheet.png"]


def test_masters_without_any_master_reports_and_fails(tmp_path: Path) -> None:
    folder, sheet, report = tmp_path / "run", tmp_path / "sheet.png", tmp_path / "report.json"
    folder.mkdir()
    fits.PrimaryHDU().writeto(folder / "header.fits")
    done = zemo("masters", folder, "-o", report, "--contact-sheet", sheet)
    assert (done.returncode, sheet.exists()) == (2, False)
    assert "no master tile was measured" in done.stdout
    assert json.loads(report.read_text("utf-8"))["exit_code"] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((FIXTURES / "npy_cache",), "no master tile in"),
        ((FIXTURES / "hard", "--contact-sheet", "sheet.jpg"), "end it in .png"),
        ((FIXTURES / "hard", "--contact-sheet", "none/sheet.png"), "no folder"),
    ],
)
def test_wrong_usage_of_masters_is_a_sentence(arguments: tuple[object, ...], words: str) -> None:
    done = zemo("masters", *arguments)
    assert done.returncode == 2
    assert words in done.stderr


@pytest.mark.parametrize("columns", [60, 100])
def test_masters_keeps_to_the_width(columns: int, tmp_path: Path) -> None:
    done = zemo("masters", masters_folder(tmp_path / "run", wiped=True), COLUMNS=str(columns))
    assert max(map(len, done.stdout.splitlines())) <= columns
