"""Writing reports: whole or not at all, nothing overwritten unasked, and every refusal a sentence that helps."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

import zemo_diag
from tests.conftest import FIXTURES
from tests.sample_reports import SAMPLES, gating_report, nasty_report
from zemo_diagnostics.errors import EXIT_USAGE, OutputError
from zemo_diagnostics.machine.whole_files import write_whole
from zemo_diagnostics.reports import formats
from zemo_diagnostics.reports.formats import FORMATS, suffixes
from zemo_diagnostics.reports.outputs import check_output_paths, format_of, write_report


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_text(text: str, path: Path, *, force: bool) -> None:
    """Write a report that every form draws as just this text."""
    forms = [replace(form, render=lambda _report: text) for form in FORMATS]
    with patch.object(formats, "FORMATS", forms):
        write_report(gating_report(), path, force=force)


def test_a_report_is_written_in_utf8_with_plain_newlines(tmp_path: Path) -> None:
    write_text("ü\nx\n", tmp_path / "r.md", force=False)
    assert (tmp_path / "r.md").read_bytes() == b"\xc3\xbc\nx\n"
    assert left_behind(tmp_path) == ["r.md"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_others_may_read_it_as_they_may_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain.md").write_text("x", encoding="utf-8")
    write_text("x", tmp_path / "r.md", force=False)
    assert (tmp_path / "r.md").stat().st_mode == (tmp_path / "plain.md").stat().st_mode


@pytest.mark.parametrize("suffix", suffixes())
@pytest.mark.parametrize("name", SAMPLES)
def test_every_form_of_every_report_can_be_written(tmp_path: Path, name: str, suffix: str) -> None:
    path = tmp_path / f"r{suffix}"
    write_report(SAMPLES[name](), path, force=False)
    assert path.read_text(encoding="utf-8")


def test_the_suffix_may_be_in_capitals(tmp_path: Path) -> None:
    assert format_of(tmp_path / "R.JSON").render(gating_report()).startswith("{")


def test_an_existing_file_stays_without_force(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="--force"):
        check_output_paths([path], force=False)
    with pytest.raises(OutputError, match="--force") as caught:
        write_text("{}", path, force=False)
    assert caught.value.exit_code == EXIT_USAGE
    assert path.read_text(encoding="utf-8") == "mine"
    check_output_paths([path], force=True)
    write_text("{}", path, force=True)
    assert path.read_text(encoding="utf-8") == "{}"
    assert left_behind(tmp_path) == ["r.json"]


def test_a_file_that_appears_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.json"

    def check_then_lose_the_race(_: Path, *, force: bool) -> None:
        assert not force
        path.write_text("theirs", encoding="utf-8")

    monkeypatch.setattr("zemo_diagnostics.machine.whole_files.check_place", check_then_lose_the_race)
    with pytest.raises(OutputError, match="--force"):
        write_text("{}", path, force=False)
    assert path.read_text(encoding="utf-8") == "theirs"
    assert left_behind(tmp_path) == ["r.json"]


@pytest.mark.parametrize("name", ["light.fit", "light.FITS", "cache.npy", "report", "report.html"])
def test_only_known_suffixes_are_written(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"pixels")
    with pytest.raises(OutputError, match=r"end it in \.json, \.md, \.txt"):
        write_text("x", path, force=True)
    assert path.read_bytes() == b"pixels"


def test_a_missing_folder_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"no folder .*nowhere.*create it"):
        check_output_paths([tmp_path / "nowhere" / "r.md"], force=False)
    (tmp_path / "dir.md").mkdir()
    with pytest.raises(OutputError, match=r"is a folder: name a file in it, such as .*report\.md"):
        check_output_paths([tmp_path / "dir.md"], force=True)


def test_the_same_file_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="asked for twice"):
        check_output_paths([tmp_path / "r.md", tmp_path / "r.md"], force=False)


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    check_output_paths([tmp_path / "a.md", tmp_path / "b.json"], force=False)
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "may not be written"),
        (errno.EROFS, "may not be written"),
        (errno.ENOSPC, "the disk is full"),
        (errno.ENAMETOOLONG, "name another file"),
    ],
)
def test_a_folder_that_takes_no_file_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(OutputError, match=words):
        check_output_paths([tmp_path / "r.md"], force=False)


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every folder be that of a disk that is read-only: it refuses to remove what is not there, too."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "touch", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)


@pytest.mark.usefixtures("read_only")
@pytest.mark.parametrize(
    ("command", "option", "name"),
    [
        ("gating", "-o", "report.md"),
        ("stack", "-o", "stack.fits"),
        ("masters", "--contact-sheet", "sheet.png"),
    ],
)
def test_a_disk_that_is_read_only_is_a_sentence(
    command: str, option: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert zemo_diag.run([command, str(FIXTURES / "eq_only"), option, str(tmp_path / name)]) == EXIT_USAGE
    error = capsys.readouterr().err
    assert name in error
    assert "its disk is read-only: name a file on another one" in error
    assert left_behind(tmp_path) == []


def test_a_disk_that_turns_read_only_on_the_way_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def turn(part: Path) -> None:
        part.write_text("x", encoding="utf-8")
        for name in ("replace", "unlink"):
            monkeypatch.setattr(Path, name, refuse)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with pytest.raises(OutputError, match="read-only"):
        write_whole(tmp_path / "r.md", turn, force=True)


@pytest.mark.parametrize("force", [True, False])
def test_a_failure_on_the_way_leaves_nothing_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, force: bool) -> None:
    path = tmp_path / "r.md"
    if force:
        path.write_text("old", encoding="utf-8")

    def full(*_: object) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="disk is full"):
        write_text("new", path, force=force)
    assert left_behind(tmp_path) == (["r.md"] if force else [])
    assert not force or path.read_text(encoding="utf-8") == "old"


def test_an_interruption_on_the_way_leaves_nothing_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_text("new", tmp_path / "r.md", force=False)
    assert left_behind(tmp_path) == []


def test_half_characters_are_written_as_their_numbers(tmp_path: Path) -> None:
    write_text("a\udcff", tmp_path / "r.md", force=False)
    assert (tmp_path / "r.md").read_bytes() == b"a\\udcff"
    for form in FORMATS:
        assert form.render(nasty_report()).encode("utf-8")
