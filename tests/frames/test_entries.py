"""From a folder to entries in ZeMosaic's form."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

import zemosaic_worker as worker
from tests.sample_masters import star_field, write_master
from zemo_diagnostics.errors import InputError
from zemo_diagnostics.frames import entries
from zemo_diagnostics.frames.entries import Frame, scan_folder
from zemo_diagnostics.frames.pixels import open_frame
from zemo_diagnostics.gating.run import run_gating
from zemo_diagnostics.grouped_folder import GroupingOptions
from zemo_diagnostics.masters.run import run_masters
from zemo_diagnostics.reports.report import Report
from zemo_diagnostics.stack.stacking import StackOptions, stack_folder


def silent(_what: str, _part: float, _detail: str = "", /) -> None:
    """Take progress, and show nothing."""


def gated(folder: Path) -> Report:
    return run_gating(folder, GroupingOptions(), requested=True, say=silent)


def copy_lights(fixtures: Path, folder: Path, count: int = 2) -> Path:
    """Copy a few equatorial lights, as ``0.fit`` and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, source in enumerate(sorted((fixtures / "eq_only").glob("*.fit"))[:count]):
        shutil.copy(source, folder / f"{number}.fit")
    return folder


def test_every_suffix_in_any_case_is_a_frame(fixtures: Path) -> None:
    scan = scan_folder(fixtures / "compressed")
    assert len(scan.frames) == 5
    assert not scan.unusable
    assert len({frame.shape for frame in scan.frames}) == 1


def test_an_entry_has_zemosaics_keys(fixtures: Path) -> None:
    frame = scan_folder(fixtures / "eq_only").frames[0]
    entry = frame.entry
    assert entry["path"] == entry["path_raw"] == str(frame.path)
    assert isinstance(entry["header"], fits.Header)
    assert entry["header"]["EQMODE"] == 1
    assert entry["center"] == (entry["RA"], entry["DEC"]) == frame.center_deg
    assert not {"MOUNT_MODE", "_eqmode_mode"} & set(entry)


def test_a_cached_array_has_no_header(fixtures: Path) -> None:
    frame = scan_folder(fixtures / "npy_cache").frames[0]
    assert frame.header is None
    assert frame.entry["path_preprocessed_cache"] == str(frame.path)
    assert frame.entry["preprocessed_shape"] == frame.shape
    assert frame.shape[2] == 3


def test_each_unusable_file_has_a_sentence_of_its_own(fixtures: Path) -> None:
    scan = scan_folder(fixtures / "unusable")
    assert [frame.name for frame in scan.frames] == ["cut.fit.gz"]  # its header is whole
    reasons = {file.name: file.reason for file in scan.unusable}
    assert len(reasons) == 11
    assert all(reason and "Traceback" not in reason for reason in reasons.values())


def test_frames_come_in_the_order_of_their_names_with_progress(fixtures: Path) -> None:
    steps: list[tuple[int, int]] = []
    scan = scan_folder(fixtures / "mixed_by_tile", lambda done, total: steps.append((done, total)))
    names = [frame.name for frame in scan.frames]
    assert names == sorted(names)
    assert names[0].startswith("tile_01_eq/")
    assert steps == [(i, 16) for i in range(1, 17)]


def test_hidden_files_and_other_suffixes_are_passed_over(tmp_path: Path, fixtures: Path) -> None:
    source = next((fixtures / "eq_only").glob("*.fit"))
    shutil.copy(source, tmp_path / "a.fit")
    shutil.copy(source, tmp_path / "._a.fit")
    (tmp_path / ".hidden").mkdir()
    shutil.copy(source, tmp_path / ".hidden" / "b.fit")
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    scan = scan_folder(tmp_path)
    assert [frame.name for frame in scan.frames] == ["a.fit"]
    assert not scan.unusable


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
def test_a_pipe_or_a_broken_link_is_no_frame_and_holds_nothing_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.fit")
    (tmp_path / "b.fit").symlink_to(tmp_path / "nowhere")
    assert [file.reason.split(" (")[0] for file in scan_folder(tmp_path).unusable] == ["it is no regular file"] * 2


@pytest.mark.parametrize(("key", "value"), [("STACKCNT", "1E999"), ("BZERO", "'48.12'"), ("EQMODE", "'lat 48.12345'")])
def test_one_bad_card_ends_nothing_and_shows_nothing(tmp_path: Path, fixtures: Path, key: str, value: str) -> None:
    data = next((fixtures / "eq_only").glob("*.fit")).read_bytes()
    card = f"{key:<8}= {value:>20}".ljust(80).encode("ascii")
    (tmp_path / "a.fit").write_bytes(data.replace(data[5 * 80 : 6 * 80], card, 1))
    shutil.copy(next((fixtures / "altaz_only").glob("*.fit")), tmp_path / "b.fit")
    report = gated(tmp_path)
    assert report.source.frames + len(report.source.unusable) == 2
    assert "48.12" not in repr(report)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((3, 4), np.bool_), "not pixel values"),
        (np.zeros(7), "a cached frame is"),
        (np.zeros((2, 2, 2, 2)), "a cached frame is"),
        (np.array({"a": 1}), "no whole .npy array"),
    ],
)
def test_an_array_that_is_no_frame_says_why(
    tmp_path: Path, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], reason: str
) -> None:
    np.save(tmp_path / "a.npy", array)
    (unusable,) = scan_folder(tmp_path).unusable
    assert reason in unusable.reason


def test_a_wrong_folder_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.touch()
    for folder, words in ((tmp_path / "none", "no such folder"), (file, "is a file"), (tmp_path, "no frame in")):
        with pytest.raises(InputError, match=words):
            scan_folder(folder)


def test_whatever_one_file_does_the_others_go_on(
    tmp_path: Path, fixtures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, source in enumerate(sorted((fixtures / "eq_only").glob("*.fit"))[:3]):
        shutil.copy(source, tmp_path / f"{number}.fit")
    original = entries._fits_frame

    def fail(path: Path, name: str) -> Frame:
        if name == "1.fit":
            raise RuntimeError("a surprise")
        return original(path, name)

    monkeypatch.setattr(entries, "_fits_frame", fail)
    scan = scan_folder(tmp_path)
    assert [frame.name for frame in scan.frames] == ["0.fit", "2.fit"]
    assert scan.unusable[0].reason == "its header cannot be read (RuntimeError)"


@pytest.mark.parametrize(
    ("cards", "telescope"),
    [
        ({"CREATOR": "ZWO Seestar S50", "TELESCOP": "S50_1a2b3c4d"}, ("Seestar S50", "1a2b3c4d")),
        ({"CREATOR": "ZWO Seestar S50", "TELESCOP": "Seestar S50"}, ("Seestar S50", "")),
        ({"CREATOR": "ZWO Seestar S50_1a2b3c4d"}, ("Seestar S50", "1a2b3c4d")),
        ({"INSTRUME": "imx585_1a2b3c4d", "TELESCOP": "my old dobson"}, ("imx585", "my old dobson")),
        ({"INSTRUME": "Seestar S50"}, ("Seestar S50", "")),
        ({}, ("", "")),
    ],
)
def test_model_and_unit_of_the_telescope_are_kept_apart(
    cards: dict[str, str], telescope: tuple[str, str], tmp_path: Path
) -> None:
    header = fits.Header(cards.items())
    fits.PrimaryHDU(np.zeros((4, 4), np.uint16), header).writeto(tmp_path / "a.fit")
    assert scan_folder(tmp_path).frames[0].telescope == telescope


# ------------------------------------------------------------------------------------ results among the lights


@pytest.mark.parametrize("packed", ["", ".gz", ".fz"])
@pytest.mark.parametrize(
    ("cards", "alpha", "reason"),
    [
        ({}, "agreeing", "it is a master tile, not a light"),
        ({}, None, "it is a master tile, not a light"),
        ({"ZMT_TYPE": None}, "agreeing", "it has an ALPHA extension, as master tiles and mosaics do: it is no light"),
        ({"SWCREATE": "zemo-diag 0.1.0"}, None, "it is a stack that zemo-diag made, not a light"),
    ],
)
def test_what_was_made_of_lights_is_no_light(
    tmp_path: Path, packed: str, cards: dict[str, Any], alpha: str | None, reason: str
) -> None:
    path = write_master(tmp_path / "a.fits", star_field((60, 80, 3)), alpha, **cards)
    if packed == ".gz":
        path.write_bytes(gzip.compress(path.read_bytes()))
    if packed == ".fz":
        with fits.open(path) as hdus:
            image = fits.CompImageHDU(np.asarray(hdus[0].data), hdus[0].header, quantize_level=0.0)
            packed_hdus = fits.HDUList([fits.PrimaryHDU(), image, *(hdu.copy() for hdu in hdus[1:])])
            packed_hdus.writeto(path, overwrite=True)
    path.rename(tmp_path / f"a.fits{packed}")
    scan = scan_folder(tmp_path)
    assert (scan.frames, [file.reason for file in scan.unusable]) == ((), [reason])


def test_a_master_among_equatorial_lights_mixes_no_modes(tmp_path: Path, fixtures: Path) -> None:
    copy_lights(fixtures, tmp_path)
    write_master(tmp_path / "master_tile_001.fits", star_field((60, 80, 3)), EQMODE=0)
    report = gated(tmp_path)
    assert [finding.code for finding in report.findings] == ["ZD001", "ZD107"]
    assert (report.source.files, report.source.frames) == (3, 2)
    done = stack_folder(tmp_path, tmp_path / "out.fits", StackOptions(debayer=False), force=False, say=silent)
    assert (done.frames, [file.name for file in done.left_out]) == (2, ["master_tile_001.fits"])


@pytest.mark.parametrize("name", ["MASK", "ALPHABET", ""])
def test_a_light_with_another_extension_stays_a_light(tmp_path: Path, name: str) -> None:
    hdus = [fits.PrimaryHDU(np.ones((4, 6), np.uint16)), fits.ImageHDU(np.ones((4, 6), np.uint8), name=name)]
    fits.HDUList(hdus).writeto(tmp_path / "a.fits")
    (tmp_path / "b.fits.gz").write_bytes(gzip.compress((tmp_path / "a.fits").read_bytes()))
    assert [frame.name for frame in scan_folder(tmp_path).frames] == ["a.fits", "b.fits.gz"]


# ------------------------------------------------------------------------------------ folders that are shut


def shut(monkeypatch: pytest.MonkeyPatch, name: str, code: int) -> None:
    """Let a folder of a name be one that the system does not show."""

    def refusing(original: Callable[..., Any]) -> Callable[..., Any]:
        def ask(path: Any = ".", *arguments: Any, **options: Any) -> Any:
            if not isinstance(path, int) and name in Path(os.fsdecode(path)).parts:
                raise OSError(code, os.strerror(code), path)
            return original(path, *arguments, **options)

        return ask

    monkeypatch.setattr(os, "scandir", refusing(os.scandir))
    monkeypatch.setattr(os, "stat", refusing(os.stat))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.EACCES, "it may not be read: check its permissions, and those of the folders above it"),
        (errno.EPERM, "it may not be read: check its permissions, and those of the folders above it"),
        (errno.ELOOP, "it leads in a circle of links"),
        (errno.ENAMETOOLONG, "it has a path that is too long for this system"),
        (errno.ENOENT, "it went away meanwhile, or has a path that is too long for this system"),
        (errno.EIO, f"it cannot be read: {os.strerror(errno.EIO)}"),
    ],
)
def test_a_folder_that_is_shut_is_named_and_the_others_are_read(
    tmp_path: Path, fixtures: Path, monkeypatch: pytest.MonkeyPatch, code: int, reason: str
) -> None:
    for folder in ("a", "b/inner", "c"):
        copy_lights(fixtures, tmp_path / folder)
    shut(monkeypatch, "inner", code)
    scan = scan_folder(tmp_path)
    assert [frame.name for frame in scan.frames] == ["a/0.fit", "a/1.fit", "c/0.fit", "c/1.fit"]
    assert (scan.unusable, [(one.name, one.reason) for one in scan.unread_folders]) == ((), [("b/inner/", reason)])
    for report in (gated(tmp_path), run_masters(tmp_path, say=silent)):
        (found,) = (finding for finding in report.findings if finding.code == "ZD002")
        assert (found.message, found.evidence) == (f"b/inner/: {reason}.", ("b/inner/",))
        assert (report.source.files, report.source.unread_folders) == (4, scan.unread_folders)
    done = stack_folder(tmp_path, tmp_path / "out.fits", StackOptions(debayer=False), force=False, say=silent)
    assert (done.frames, done.left_out) == (4, scan.unread_folders)


def test_where_all_is_shut_the_error_says_so(tmp_path: Path, fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_lights(fixtures, tmp_path / "inner")
    shut(monkeypatch, "inner", errno.EACCES)
    for look in (scan_folder, lambda folder: run_masters(folder, say=silent)):
        with pytest.raises(InputError, match=r"no (frame|master tile) in .* not looked into:$") as caught:
            look(tmp_path)
        assert [line.split(":")[0] for line in caught.value.details] == ["inner/"]


@pytest.mark.parametrize(
    ("code", "words"), [(errno.EACCES, "may not be read: check its permissions"), (errno.ELOOP, "circle of links")]
)
def test_a_folder_below_one_that_is_shut_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    (tmp_path / "locked" / "lights").mkdir(parents=True)
    shut(monkeypatch, "locked", code)
    with pytest.raises(InputError, match=f"lights' .*{words}"):
        scan_folder(tmp_path / "locked" / "lights")


def test_a_name_too_long_for_any_system_is_one_sentence() -> None:
    with pytest.raises(InputError):
        scan_folder(Path("x" * 300))


def test_a_folder_below_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(InputError, match="no such folder"):
        scan_folder(tmp_path / "a.txt" / "lights")


@pytest.mark.skipif(os.name == "nt", reason="paths of Windows are shorter, and links need a right there")
def test_links_to_folders_are_not_followed_also_where_they_lead_in_a_circle(tmp_path: Path, fixtures: Path) -> None:
    copy_lights(fixtures, tmp_path / "lights")
    (tmp_path / "lights" / "again").symlink_to(tmp_path / "lights")
    (tmp_path / "lights" / "one").symlink_to(tmp_path / "lights" / "other")
    (tmp_path / "lights" / "other").symlink_to(tmp_path / "lights" / "one")
    (tmp_path / "lights" / "two.fit").symlink_to(tmp_path / "lights" / "two.fit")
    scan = scan_folder(tmp_path / "lights")
    assert ([frame.name for frame in scan.frames], scan.unread_folders) == (["0.fit", "1.fit"], ())
    assert [file.name for file in scan.unusable] == ["two.fit"]
    with pytest.raises(InputError, match="leads in a circle of links"):
        scan_folder(tmp_path / "lights" / "one")


@pytest.mark.parametrize(
    ("status", "walked"),
    [
        ({}, True),
        ({"st_file_attributes": 0x10, "st_reparse_tag": 0}, True),
        ({"st_file_attributes": 0x12, "st_reparse_tag": 0}, True),
        ({"st_file_attributes": 0x410, "st_reparse_tag": 0x9000001A}, True),  # a folder that lies in OneDrive
        ({"st_file_attributes": 0x410, "st_reparse_tag": 0xA0000003}, False),  # a junction
        ({"st_file_attributes": 0x16, "st_reparse_tag": 0}, False),  # "System Volume Information"
    ],
)
def test_on_windows_junctions_and_folders_of_the_system_are_passed_over(status: dict[str, int], walked: bool) -> None:
    entry: Any = SimpleNamespace(is_symlink=lambda: False, stat=lambda **_: SimpleNamespace(**status))
    assert entries._is_walked(entry) is walked


@pytest.mark.skipif(os.name == "nt", reason="paths of Windows are shorter")
def test_folders_may_be_nested_deeper_than_functions(
    tmp_path: Path, fixtures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    light = next((fixtures / "eq_only").glob("*.fit"))
    monkeypatch.chdir(tmp_path)
    for depth in range(1100):
        if depth in (1, 350):
            shutil.copy(light, "a.fit")
        Path("d").mkdir()
        os.chdir("d")  # step by step, since the whole path is too long for some systems
    try:
        assert [frame.name.count("/") for frame in scan_folder(tmp_path).frames] == [1, 350]
    finally:  # shutil.rmtree would not get through
        for _ in range(1100):
            os.chdir("..")
            Path("d", "a.fit").unlink(missing_ok=True)
            Path("d").rmdir()


# ------------------------------------------------------------------------------------ a folder called "~"


def test_a_folder_called_tilde_is_not_the_home_folder(
    tmp_path: Path, fixtures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    shutil.copytree(fixtures / "compressed", here / "~")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.chdir(here)
    for folder in (Path(), Path("~")):
        frames = scan_folder(folder).frames
        assert {open_frame(frame, tmp_path)[0:1].shape for frame in frames} == {(1, 54)}
        assert {worker.load_frame(frame.entry).pixels.shape for frame in frames} == {(96, 54, 3)}
    assert worker.load_frame({"path": str(frames[0].path.relative_to(here))}).pixels.shape == (96, 54, 3)
    stack_folder(Path(), Path("~/out.fits"), StackOptions(debayer=False), force=False, say=silent)
    assert fits.getheader(here / "~" / "out.fits")["NCOMBINE"] == 5
    assert list(home.iterdir()) == []


def test_the_report_names_the_files_of_a_folder_called_tilde_in_full(tmp_path: Path, fixtures: Path) -> None:
    copy_lights(fixtures, tmp_path / "~")
    shutil.copy(fixtures / "unusable" / "data_cut.fit", tmp_path / "~" / "cut.fit")
    report = gated(tmp_path)
    assert [frame.name for frame in report.result("gating").tiles[0].frame_modes] == ["~/0.fit", "~/1.fit"]
    assert report.findings[0].message.startswith("~/cut.fit: it is cut off")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
def test_a_pipe_among_masters_holds_nothing_up(tmp_path: Path) -> None:
    for name in ("a.fits", "b.fits.gz", "c.fits.fz"):
        os.mkfifo(tmp_path / name)
    write_master(tmp_path / "master_tile_001.fits", star_field((60, 80, 3)))
    report = run_masters(tmp_path, say=silent)
    assert [file.reason.split(" (")[0] for file in report.result("masters").unreadable] == ["it is no regular file"] * 3
    assert len(report.result("masters").tiles) == 1
