"""What goes to stderr: as private as a report, and with nothing hidden in it, whoever writes it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import warnings
from pathlib import Path

import click
import pytest

import zemo_diag
from tests.conftest import FIXTURES, ROOT
from zemo_diagnostics import stderr
from zemo_diagnostics.demo.sample_groups import write_group
from zemo_diagnostics.progress import progress_bar
from zemo_diagnostics.redaction import PrivateWords
from zemo_diagnostics.stderr import clean_line, clean_stderr, say_line

EVIL, SHOWN = "evil\x1b[31m\u202e\r\nname", r"evil\x1b[31m\u202e\r\nname"


@pytest.fixture(autouse=True)
def private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let it be the machine of somebody."""
    words = PrivateWords(("gwendolyn",), ("attic-box",), (str(tmp_path / "gwendolyn"),), ())
    monkeypatch.setattr(stderr, "_private", lambda: words)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    "arguments",
    [
        ["gating", EVIL],
        ["gating", str(FIXTURES / "eq_only"), "-o", f"{EVIL}.pdf"],
        ["gating", str(FIXTURES / "eq_only"), "-o", f"none/{EVIL}.md"],
        ["gating", str(FIXTURES / "eq_only"), "--panel-deg", EVIL],
        ["gating", str(FIXTURES / "eq_only"), "--group-by", EVIL],
        ["gating", str(FIXTURES / "eq_only"), EVIL],
        ["gating", f"--{EVIL}"],
        ["kappa-parity", str(FIXTURES / "eq_only"), "--crop", EVIL],
        ["stack", str(FIXTURES / "eq_only"), "-o", EVIL],
        ["masters", EVIL],
        ["masters", str(FIXTURES / "eq_only"), "--contact-sheet", EVIL],
        ["phase3", EVIL, "-o", "out"],
        ["findings", EVIL],
        [EVIL],
    ],
)
def test_nothing_is_hidden_in_an_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert zemo_diag.run(arguments) == 2
    error = capsys.readouterr().err
    assert all(line.isprintable() for line in error.splitlines())
    assert "evil" in error.splitlines()[-1].lower()


@pytest.mark.parametrize(
    ("folder", "shown"),
    [
        ("{tmp}/Jo Smith/m31", "'m31'"),
        ("{tmp}/gwendolyn", "'<home>'"),
        ("lights_gwendolyn", "'lights_<user>'"),
        ("on_attic-box/S50_1a2b3c4d", "'on_<host>/S50_<serial>'"),
        ("SITELAT=48.1173", "'SITELAT=<removed>"),
        ("no/such/folder of mine", "'no/such/folder of mine'"),
        ("smb://jo:pw@nas/m31", "'m31'"),
    ],
)
def test_an_error_is_as_private_as_a_report(
    folder: str, shown: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert zemo_diag.run(["gating", folder.format(tmp=tmp_path)]) == 2
    error = capsys.readouterr().err
    assert shown in error
    for trace in ("gwendolyn", "attic", "1a2b3c4d", "1173", "Smith", "pw@", str(tmp_path)):
        assert trace not in error


def test_what_was_written_and_left_out_is_said_without_full_paths(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lights = tmp_path / "lights"
    write_group("eq_only", lights, frames=3, shape=(16, 12))
    (lights / "gwendolyn_S50_1a2b3c4d.fit").write_bytes(b"none")
    assert zemo_diag.run(["gating", str(lights), "-o", str(tmp_path / "a.md")]) == 0
    assert capsys.readouterr().err == "Wrote a.md\n"
    assert zemo_diag.run(["stack", str(lights), "-o", str(tmp_path / "a.fits"), "--no-debayer"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("Wrote a.fits: 3 frames of 16 × 12 stacked")
    assert said.err.startswith("Left out <user>_S50_<serial>.fit: it is not a FITS file")


@pytest.mark.skipif(sys.platform == "win32", reason="names there hold no such characters")
def test_the_names_of_unusable_files_are_a_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.fit", f"{EVIL}.fit"):
        (tmp_path / name).touch()
    assert zemo_diag.run(["gating", str(tmp_path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith(f"  {SHOWN}.fit: it is empty")


def test_what_others_write_is_cleaned_by_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    with clean_stderr():
        for piece in ("SITE", "LAT = 48.1173", " \x1b[2J\n"):
            sys.stderr.write(piece)
        sys.stderr.writelines(["read /home/jo/x.fit\n", "by gwen"])
        sys.stderr.flush()
        sys.stderr.write("dolyn")
    assert capsys.readouterr().err == "SITELAT = <removed> \\x1b[2J\nread x.fit\nby <user>\n"


def test_warnings_and_traces_name_no_full_path(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        sys.stderr.write(warnings.formatwarning("look at C:\\Users\\jo\\x.fit", UserWarning, __file__, 1))
        raise ZeroDivisionError("in /home/jo/x.fit")

    monkeypatch.setattr("zemo_diagnostics.gating.run.run_gating", fail)
    monkeypatch.setenv("ZEMO_DIAG_TRACEBACK", "1")
    assert zemo_diag.run(["gating", str(FIXTURES / "eq_only")]) == 4
    error = capsys.readouterr().err
    assert "test_stderr.py:1: UserWarning: look at x.fit" in error
    assert 'File "test_stderr.py", line' in error
    assert "ZeroDivisionError: in x.fit" in error
    assert str(ROOT) not in error


def test_the_bar_shows_what_is_hidden_in_names_and_what_is_written_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with clean_stderr(), progress_bar() as say:
        say("measuring", 0.5, "gwendolyn/\x1b]0;evil\x07.fit")
        sys.stderr.write("meanwhile in /home/jo/x.fit\x1b[2J\n")
        say_line("and /home/jo/y.fit")
    drawn = terminal.getvalue()
    assert "<user>/\\x1b]0;evil\\x07.fit" in drawn
    assert "meanwhile in x.fit\\x1b[2J" in drawn
    assert "and y.fit" in drawn
    assert "/home/jo" not in drawn
    assert sys.stderr is terminal


def test_on_a_narrow_terminal_the_detail_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    with progress_bar() as say:
        say("building masters (patched)", 0.5, "tile 1 [####------], tile 2 [####------], tile 3 [##--------]")
    drawn = terminal.getvalue()
    assert "building masters (patched)" in drawn
    assert "50%" in drawn
    assert "tile 3" not in drawn


@pytest.mark.parametrize("dumb", ["dumb", "unknown"])
def test_a_terminal_that_only_knows_lines_gets_no_bar(monkeypatch: pytest.MonkeyPatch, dumb: str) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", dumb)
    with progress_bar() as say:
        say("measuring", 0.5)
    assert terminal.getvalue() == ""


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", "3 x 4 ... \\u661f"), ("cp1252", "3 x 4 ... \\u661f"), ("utf-8", "3 × 4 … 星")]
)
def test_a_stream_gets_what_its_encoding_knows(encoding: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding, newline=""))
    say_line("3 × 4 … 星")
    assert raw.getvalue().decode(encoding) == f"{shown}\n"


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_nothing_goes_past_it(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding, newline=""))
    with clean_stderr():
        click.echo("by gwendolyn \u202e", err=True)  # click takes the buffer behind a stream of ASCII
        assert not hasattr(sys.stderr, "buffer")
    assert raw.getvalue() == b"by <user> \\u202e\n"


def test_a_line_is_one_line() -> None:
    assert clean_line("a\nb\x85c\u2028d") == r"a\nb\x85c\u2028d"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_where_stderr_fails_the_exit_code_stands() -> None:
    command = [sys.executable, str(ROOT / "tools" / "zemo_diag.py"), "gating", str(FIXTURES / "none")]
    with Path("/dev/full").open("wb") as full:
        assert subprocess.run(command, stdout=full, stderr=full, env=os.environ, check=False).returncode == 2
