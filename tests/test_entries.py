"""From a folder to entries in ZeMosaic's form."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from zemo_diagnostics import entries
from zemo_diagnostics.commands import GroupingOptions, run_gating
from zemo_diagnostics.entries import Frame, scan_folder
from zemo_diagnostics.errors import InputError


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
    report = run_gating(tmp_path, GroupingOptions(), requested=True, say=lambda _what, _part, _detail="": None)
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
