"""Master tiles measured: small synthetic ones of every kind, with the numbers that they must give."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.fits.verify import VerifyError
from astropy.table import Table

import zemosaic_worker as worker
from tests.conftest import ROOT
from tests.sample_masters import (
    NOISE_ADU,
    SKY_ADU,
    Image,
    empty_cards,
    rotated_corners,
    star_field,
    wiped,
    write_master,
)
from zemo_diagnostics.errors import InputError, UnusableFile
from zemo_diagnostics.frames.pixels import StoredPlanes
from zemo_diagnostics.masters import pixels as master_pixels
from zemo_diagnostics.masters import run as masters_run
from zemo_diagnostics.masters.data import EdgeBands, MasterVerdict, RunMasters, TileMaster
from zemo_diagnostics.masters.files import scan_masters, tile_numbers
from zemo_diagnostics.masters.holes import enclosed_by_bright
from zemo_diagnostics.masters.pixels import SAMPLE_PIXELS, measure_pixels, sample_step
from zemo_diagnostics.masters.run import run_masters
from zemo_diagnostics.reports.report import Report, exit_code
from zemo_diagnostics.reports.told import verdict

SHAPE = (120, 160, 3)


def silent(_what: str, _part: float, _detail: str = "", /) -> None:
    """Take progress, and show nothing."""


def measured(folder: Path) -> Report:
    return run_masters(folder, say=silent)


def tile_of(report: Report) -> TileMaster:
    masters = report.result("masters")
    assert isinstance(masters, RunMasters)
    (tile,) = masters.tiles
    return tile


def codes(report: Report) -> list[str]:
    return [finding.code for finding in report.findings]


def test_a_fine_master_is_measured_and_found_fine(tmp_path: Path) -> None:
    image = star_field(SHAPE)
    write_master(tmp_path / "master_tile_007.fits", image, tile_id=7, frames=20, MT_NFRAMES=18)
    report = measured(tmp_path)
    tile = tile_of(report)
    assert (tile.tile_id, tile.name, tile.shape) == (7, "master_tile_007.fits", SHAPE)
    assert (tile.verdict, tile.cause, codes(report), exit_code(report)) == (MasterVerdict.FINE, "", [], 0)
    assert (tile.cards.frames_raw, tile.cards.frames_aligned, tile.cards.frames_stacked) == (20, 20, 18)
    assert (tile.cards.by_zemosaic, tile.cards.says_alpha, tile.cards.says_empty) == (True, True, False)
    assert (tile.pixels, tile.blank_pixels, tile.valid_pixels) == (19200, 0, 19200)
    assert (tile.samples, tile.finite, tile.zero, tile.negative) == (57600, 57600, 0, 0)
    assert tile.max_abs == image.max()
    assert tile.std == pytest.approx(image.std(dtype=np.float64), rel=1e-9)
    for i, levels in enumerate(tile.channels):
        assert levels.median == np.median(image[:, :, i])
        assert levels.median == pytest.approx(SKY_ADU[i], abs=3)
        assert levels.spread == pytest.approx(NOISE_ADU, rel=0.2)  # stars widen it
        assert (levels.low, levels.high, levels.constant) == (image[..., i].min(), image[..., i].max(), False)
    assert tile.alpha is not None
    assert (tile.alpha.opaque_pixels, tile.alpha.disagreeing) == (19200, 0)
    assert (tile.edges, tile.holes.pixels) == (EdgeBands(0, 0, 0, 0), 0)


def test_ragged_corners_of_a_turned_field_are_fine(tmp_path: Path) -> None:
    image = rotated_corners(star_field(SHAPE))
    write_master(tmp_path / "master_tile_001.fits", image)
    report = measured(tmp_path)
    tile = tile_of(report)
    assert tile.blank_pixels == np.isnan(image[..., 0]).sum() > 1000
    assert (tile.verdict, codes(report), exit_code(report)) == (MasterVerdict.FINE, [], 0)


@pytest.mark.parametrize(
    ("kept", "verdict", "found", "code"),
    [
        (slice(40, 90), MasterVerdict.PARTLY, ["ZD304", "ZD306"], 0),
        (slice(0, 10), MasterVerdict.NEARLY, ["ZD303"], 1),
    ],
)
def test_a_wiped_master_is_partly_or_nearly_empty(
    tmp_path: Path, kept: slice, verdict: MasterVerdict, found: list[str], code: int
) -> None:
    image = wiped(star_field(SHAPE), kept)
    write_master(tmp_path / "master_tile_002.fits", image, tile_id=2)
    report = measured(tmp_path)
    tile = tile_of(report)
    rows = kept.stop - kept.start
    assert tile.verdict is verdict
    assert verdict.value in report.findings[0].title
    assert tile.blank_pixels == (120 - rows) * 160
    assert tile.edges == EdgeBands(kept.start, 120 - kept.stop, 0, 0)
    assert (codes(report), exit_code(report)) == (found, code)
    assert "alt-az cleanup ran on it and wrote NaN" in report.findings[0].message
    assert tile.channels[0].median == np.median(image[kept][..., 0])


@pytest.mark.parametrize("fill", [0.0, np.nan, 1e-9])
@pytest.mark.parametrize("noted", [True, False])
def test_an_empty_master_is_an_error(tmp_path: Path, fill: float, noted: bool) -> None:
    image = np.full(SHAPE, fill, np.float32)
    cards = empty_cards(valid=0.0 if np.isnan(fill) else 1.0) if noted else {}
    write_master(tmp_path / "master_tile_003.fits", image, np.zeros(SHAPE[:2], np.uint8), tile_id=3, **cards)
    report = measured(tmp_path)
    tile = tile_of(report)
    assert (tile.verdict, exit_code(report)) == (MasterVerdict.EMPTY, 1)
    assert codes(report) == (["ZD302"] if noted else ["ZD302", "ZD309"])
    assert tile.valid_pixels == (0 if np.isnan(fill) else 19200)
    how = {0.0: "it holds 0", 1e-9: "normalised down"}.get(fill, "it holds NaN")
    assert how in tile.cause


@pytest.mark.parametrize(
    ("low", "high", "empty"),
    [(0, 1e-8, True), (5e-8, 5e-8, True), (9.9e-8, 9.9e-8, True), (2e-7, 2e-7, False), (0, 9e-8, False)],
)
def test_the_epsilons_are_zemosaics(tmp_path: Path, low: float, high: float, empty: bool) -> None:
    image = np.full((40, 50), low, np.float32)
    image[::2] = high
    write_master(tmp_path / "a.fits", image.astype(np.float64).astype(np.float32), None, tile_id=None)
    assert (tile_of(measured(tmp_path)).verdict is MasterVerdict.EMPTY) is empty


def test_nothing_aligned_is_the_cause_where_the_header_says_so(tmp_path: Path) -> None:
    image = np.zeros(SHAPE, np.float32)
    write_master(tmp_path / "a.fits", image, ZMT_NALGN=0, MT_NFRAMES=0, **empty_cards())
    report = measured(tmp_path)
    assert "none of its frames could be aligned" in tile_of(report).cause
    assert "ZD310" in codes(report)


def test_alpha_that_disagrees_is_counted_both_ways(tmp_path: Path) -> None:
    image = star_field(SHAPE)
    image[:10] = np.nan
    alpha = np.full(SHAPE[:2], 255, np.uint8)
    alpha[:, :8] = 0
    write_master(tmp_path / "a.fits", image, alpha)
    report = measured(tmp_path)
    tile = tile_of(report)
    assert tile.alpha is not None
    assert (tile.alpha.opaque_but_blank, tile.alpha.transparent_with_data) == (10 * 152, 110 * 8)
    assert tile.alpha.opaque_pixels == 120 * 152
    assert codes(report) == ["ZD305"]
    assert "7.9 %" in report.findings[0].message
    assert "4.6 %" in report.findings[0].message


def cut(path: Path, count: int) -> None:
    path.write_bytes(path.read_bytes()[:count])


def test_an_alpha_that_cannot_be_used_is_told_and_the_image_measured(tmp_path: Path) -> None:
    whole = len(write_master(tmp_path / "a.fits", star_field(SHAPE), tile_id=1).read_bytes())
    cut(tmp_path / "a.fits", whole - 2880 * 3)
    write_master(tmp_path / "b.fits", star_field(SHAPE), np.ones((10, 10), np.uint8), tile_id=2)
    write_master(tmp_path / "c.fits", star_field(SHAPE), None, tile_id=3, ALPHAEXT=1)
    write_master(tmp_path / "d.fits", star_field(SHAPE), None, tile_id=4)
    report = measured(tmp_path)
    assert codes(report) == ["ZD305"] * 3
    words = ("cannot be read: it is cut off", "is 10 × 10, the image 120 × 160", "there is none")
    assert all(word in finding.message for word, finding in zip(words, report.findings, strict=True))
    assert exit_code(report) == 0


@pytest.mark.parametrize(("channel", "name"), [(0, "red"), (2, "blue")])
@pytest.mark.parametrize("fill", [0.0, 512.0])
def test_a_constant_plane_is_named(tmp_path: Path, channel: int, name: str, fill: float) -> None:
    image = star_field(SHAPE)
    image[..., channel] = fill
    write_master(tmp_path / "a.fits", image)
    report = measured(tmp_path)
    tile = tile_of(report)
    assert [levels.constant for levels in tile.channels] == [i == channel for i in range(3)]
    assert tile.holes.pixels == 0
    assert [(f.code, f.message) for f in report.findings] == [("ZD308", f"The same value everywhere: {name}.")]


@pytest.mark.parametrize(
    ("lost", "cause", "named"),
    [
        ([0], "the red plane has no value at all", "red"),
        ([1, 2], "the green and the blue planes have no value at all", "green, blue"),
    ],
)
def test_a_lost_colour_plane_is_the_cause_of_an_empty_tile(
    tmp_path: Path, lost: list[int], cause: str, named: str
) -> None:
    image = star_field(SHAPE)
    image[..., lost] = np.nan
    write_master(tmp_path / "a.fits", image, **empty_cards(valid=0.0))
    report = measured(tmp_path)
    tile = tile_of(report)
    assert (tile.verdict, tile.valid_pixels, tile.max_abs > 1000) == (MasterVerdict.EMPTY, 0, True)
    assert tile.cause.startswith(cause)
    assert [finding.code for finding in report.findings] == ["ZD302", "ZD308"]
    assert cause in report.findings[0].message
    assert report.findings[1].message == f"No value at all: {named}."


def test_colours_that_never_meet_are_the_cause_of_an_empty_tile(tmp_path: Path) -> None:
    image = star_field(SHAPE)
    image[:60, :, 0] = np.nan
    image[60:, :, 2] = np.nan
    write_master(tmp_path / "a.fits", image, **empty_cards(valid=0.0))
    report = measured(tmp_path)
    assert tile_of(report).cause == "no pixel has a value in every colour: where one is there, another is missing"
    assert codes(report) == ["ZD302"]


def test_whether_a_master_is_empty_is_asked_of_the_functions_under_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_master(tmp_path / "a.fits", star_field(SHAPE))
    assert tile_of(measured(tmp_path)).verdict is MasterVerdict.FINE
    monkeypatch.setattr(worker, "EMPTY_EPS", 1e9)
    assert tile_of(measured(tmp_path)).verdict is MasterVerdict.EMPTY


@pytest.mark.parametrize("level", [0.0, 1e-9, 2e-8, 9.9e-8, 1.1e-7, 1e-3])
@pytest.mark.parametrize("spread", [0.0, 9e-9, 2e-8])
@pytest.mark.parametrize("missing", [0, 40, 120])
def test_masters_calls_empty_what_the_worker_calls_empty(
    tmp_path: Path, level: float, spread: float, missing: int
) -> None:
    image = np.full(SHAPE, level, np.float32)
    image[::2] += np.float32(spread)
    image[:missing] = np.nan
    write_master(tmp_path / "a.fits", image)
    empty = tile_of(measured(tmp_path)).verdict is MasterVerdict.EMPTY
    assert empty is worker.measure_master_signal(image).is_empty


def test_a_wide_band_at_an_edge_is_named_in_spite_of_hot_pixels(tmp_path: Path) -> None:
    image = star_field(SHAPE)
    image[:, -30:] = 0
    image[60, -5] = 4000
    write_master(tmp_path / "a.fits", image, None)
    report = measured(tmp_path)
    assert tile_of(report).edges == EdgeBands(0, 0, 0, 30)
    assert [(f.code, f.message) for f in report.findings] == [
        ("ZD306", "Blank at the edges: right 30 pixels, of 120 × 160.")
    ]


def with_bright_star(image: Image, y: int, x: int) -> Image:
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    star = 30000 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 60)
    out: Image = (image + star[:, :, None]).astype(np.float32)
    return out


@pytest.mark.parametrize("gone", [np.nan, 0.0])
def test_a_hole_in_a_core_is_found_and_others_are_not(tmp_path: Path, gone: float) -> None:
    image = with_bright_star(star_field(SHAPE, stars=0), 60, 70)
    image[58:62, 69:72] = gone
    image[60, 75, 1] = gone  # one channel alone
    image[20:24, 20:24] = gone  # on the plain sky
    image[100:, 100:] = gone  # a ragged corner
    write_master(tmp_path / "a.fits", image)
    tile = tile_of(measured(tmp_path))
    assert tile.holes.pixels == 13
    assert tile.holes.first_places == ((58, 69),)


def test_holes_do_not_depend_on_the_bands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = with_bright_star(star_field(SHAPE), 60, 70)
    image[54:66, 69:72] = np.nan
    write_master(tmp_path / "a.fits", image)
    whole = tile_of(measured(tmp_path))
    monkeypatch.setattr(master_pixels, "BAND_BYTES", 160 * 3 * 4 * 7)
    bands = tile_of(measured(tmp_path))
    assert replace(bands, std=0.0) == replace(whole, std=0.0)
    assert bands.std == pytest.approx(whole.std, rel=1e-12)
    assert whole.holes.pixels == 36


def test_a_hole_wider_than_the_reach_is_none() -> None:
    band = np.full((80, 80, 1), 1000.0, np.float32)
    band[20:60, 20:60] = np.nan
    assert not enclosed_by_bright(band, np.array([500.0]))[40, 40]
    band[20:60, 44:] = 1000.0
    band[44:] = 1000.0
    assert enclosed_by_bright(band, np.array([500.0]))[32, 32]


@pytest.mark.parametrize(
    ("cards", "words"),
    [
        (empty_cards(valid=1.0), "ZMT_EMPT=1 calls it empty, and it has signal"),
        ({"ZMT_EVF": 0.25}, "ZMT_EVF says that 25 % is valid; it is 100 %"),
    ],
)
def test_cards_are_held_against_the_pixels(tmp_path: Path, cards: dict[str, Any], words: str) -> None:
    write_master(tmp_path / "a.fits", star_field(SHAPE), **cards)
    report = measured(tmp_path)
    assert codes(report) == ["ZD309"]
    assert words in report.findings[0].message


def test_few_stacked_frames_are_told(tmp_path: Path) -> None:
    write_master(tmp_path / "a.fits", star_field(SHAPE), frames=40, MT_NFRAMES=19)
    report = measured(tmp_path)
    assert [(f.code, f.message) for f in report.findings] == [("ZD310", "19 of 40 frames were stacked.")]


def test_damaged_files_are_errors_and_tables_are_not(tmp_path: Path) -> None:
    cut(write_master(tmp_path / "master_tile_001.fits", star_field(SHAPE)), 30000)
    (tmp_path / "master_tile_002.fits").write_bytes(b"")
    write_master(tmp_path / "master_tile_003.fits", star_field(SHAPE), tile_id=3)
    with gzip.open(tmp_path / "master_tile_004.fits.gz", "wb") as packed:
        packed.write((tmp_path / "master_tile_003.fits").read_bytes())
    cut(tmp_path / "master_tile_004.fits.gz", 60000)
    Table({"flux": [1.0, 2.0]}).write(tmp_path / "stars.fits")
    np.save(tmp_path / "cache.npy", star_field(SHAPE))
    report = measured(tmp_path)
    assert [file.name[:15] for file in report.result("masters").unreadable] == [f"master_tile_00{i}" for i in (1, 2, 4)]
    assert [tile.tile_id for tile in report.result("masters").tiles] == [1]
    assert codes(report) == ["ZD301", "ZD301", "ZD301", "ZD001"]
    assert (report.source.files, report.source.frames, exit_code(report)) == (5, 4, 1)


@pytest.mark.parametrize("key", ["ZMT_ID", "MT_NFRAMES", "ZMT_EVF"])
def test_a_card_without_end_is_not_said(tmp_path: Path, key: str) -> None:
    path = write_master(tmp_path / "a.fits", star_field(SHAPE), **{key: 11111})
    data = path.read_bytes()
    assert b" 11111 " in data
    path.write_bytes(data.replace(b" 11111 ", b" 1E400 "))
    report = measured(tmp_path)
    cards = tile_of(report).cards
    assert None in (cards.zmt_id, cards.frames_stacked, cards.valid_fraction)
    assert codes(report) == []


@pytest.mark.parametrize("apart", [False, True])
def test_gzipped_masters_with_alpha_are_measured_as_plain_ones(tmp_path: Path, apart: bool) -> None:
    path = write_master(tmp_path / "a.fits", rotated_corners(star_field(SHAPE)))
    if apart:
        with fits.open(path) as hdus:
            image, alpha = fits.ImageHDU(hdus[0].data, hdus[0].header), hdus[1].copy()
        between = fits.BinTableHDU.from_columns([fits.Column("x", "100J", array=np.zeros((50, 100)))])
        fits.HDUList([fits.PrimaryHDU(), image, between, alpha]).writeto(path, overwrite=True)
    plain = tile_of(measured(tmp_path))
    (tmp_path / "a.fits.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    tile = tile_of(measured(tmp_path))
    assert tile.alpha is not None
    assert replace(tile, name="a.fits") == plain


def test_a_file_that_vanishes_after_its_header_was_read_is_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 3):
        write_master(tmp_path / f"master_tile_{number:03d}.fits", star_field(SHAPE), tile_id=number)

    def scan(*arguments: Any) -> Any:
        found = scan_masters(*arguments)
        (tmp_path / "master_tile_002.fits").unlink()
        return found

    monkeypatch.setattr(masters_run, "scan_masters", scan)
    report = measured(tmp_path)
    assert [tile.tile_id for tile in report.result("masters").tiles] == [1, 3]
    assert report.result("masters").unreadable == (
        UnusableFile("master_tile_002.fits", "it cannot be read: No such file or directory"),
    )
    assert exit_code(report) == 1


@pytest.mark.parametrize(
    "error",
    [zlib.error("bad"), KeyError("x"), IndexError(), EOFError(), MemoryError(), VerifyError("y"), OSError(5, "IO")],
)
def test_whatever_a_library_raises_is_that_files_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    for number in (1, 2):
        write_master(tmp_path / f"master_tile_{number:03d}.fits", star_field(SHAPE), tile_id=number)
    original = StoredPlanes.__getitem__

    def fail(self: StoredPlanes, rows: slice) -> Any:
        if self.path.name == "master_tile_002.fits" and rows.start > 0:
            raise error
        return original(self, rows)

    monkeypatch.setattr(StoredPlanes, "__getitem__", fail)
    monkeypatch.setattr(master_pixels, "BAND_BYTES", 100_000)
    report = measured(tmp_path)
    assert [tile.tile_id for tile in report.result("masters").tiles] == [1]
    (damaged,) = report.result("masters").unreadable
    assert damaged.reason.startswith("it cannot be read: ")


@pytest.mark.parametrize(("files", "words"), [(1, "The folder's only file holds none."), (2, "None of the 2 files")])
def test_a_folder_without_any_master_never_passes(tmp_path: Path, files: int, words: str) -> None:
    for i in range(files):
        Table({"flux": [1.0, 2.0]}).write(tmp_path / f"stars_{i}.fits")
    report = measured(tmp_path)
    assert (codes(report), exit_code(report)) == (["ZD312", *["ZD001"] * files], 2)
    assert words in report.findings[0].message
    assert verdict(report).startswith("no master tile was measured; 1 error")


def test_a_folder_of_damaged_masters_alone_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "master_tile_001.fits").write_bytes(b"")
    report = measured(tmp_path)
    assert (codes(report), exit_code(report)) == (["ZD301"], 1)


def test_any_fits_image_will_do(tmp_path: Path) -> None:
    mono = star_field(SHAPE[:2])
    fits.PrimaryHDU(mono).writeto(tmp_path / "mono.fits")
    fits.PrimaryHDU((mono + 0.5).astype(np.uint16)).writeto(tmp_path / "counts.fit")
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(mono, quantize_level=0.0)]).writeto(tmp_path / "small.fits.fz")
    fits.PrimaryHDU(np.zeros((2, 3, 4, 5), np.float32)).writeto(tmp_path / "strange.fits")
    report = measured(tmp_path)
    assert [tile.verdict for tile in report.result("masters").tiles] == [MasterVerdict.FINE] * 3
    assert all(abs((tile.channels[0].median or 0) - SKY_ADU[0]) < 3 for tile in report.result("masters").tiles)
    assert codes(report) == ["ZD001", "ZD311"]
    assert "2 × 3 × 4 × 5" in report.findings[0].message


def test_alpha_beside_unsigned_integers_is_read_as_it_is(tmp_path: Path) -> None:
    image = (star_field(SHAPE[:2]) + 0.5).astype(np.uint16)
    alpha = np.zeros(SHAPE[:2], np.uint8)
    alpha[:60] = 255
    fits.HDUList([fits.PrimaryHDU(image), fits.ImageHDU(alpha, name="ALPHA")]).writeto(tmp_path / "a.fits")
    tile = tile_of(measured(tmp_path))
    assert tile.alpha is not None
    assert (tile.alpha.opaque_pixels, tile.alpha.transparent_with_data) == (60 * 160, 60 * 160)


@pytest.mark.parametrize(
    ("ids", "numbers"), [((4, 9), [4, 9]), ((3, 3), [1, 2]), ((3, None), [1, 2]), ((-1, 2), [1, 2])]
)
def test_tiles_are_called_by_their_own_numbers_where_they_have_them(
    tmp_path: Path, ids: Sequence[int | None], numbers: list[int]
) -> None:
    for name, tile_id in zip("ab", ids, strict=True):
        write_master(tmp_path / f"{name}.fits", star_field((20, 30)), tile_id=tile_id)
    assert list(tile_numbers(scan_masters(tmp_path).masters)) == numbers


def test_cards_that_make_no_sense_say_nothing(tmp_path: Path) -> None:
    write_master(
        tmp_path / "a.fits",
        star_field((20, 30)),
        ZMT_NRAW="many",
        ZMT_NALGN=-3,
        MT_NFRAMES=2.5,
        ZMT_ID="x",
        ZMT_EMPT="no",
    )
    cards = tile_of(measured(tmp_path)).cards
    assert (cards.frames_raw, cards.frames_aligned, cards.frames_stacked, cards.zmt_id) == (None,) * 4
    assert cards.says_empty is False


def test_nothing_to_measure_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no master tile in .*master_tile_\*\.fits"):
        measured(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        measured(tmp_path / "none")


@pytest.mark.parametrize(("height", "width"), [(10, 10), (1024, 1024), (1920, 1080), (4000, 4000), (3, 5_000_000)])
def test_the_sample_is_bounded_and_meets_every_colour_of_a_mosaic(height: int, width: int) -> None:
    step = sample_step(height, width)
    assert step % 2 == 1
    assert -(-height // step) * -(-width // step) <= SAMPLE_PIXELS


def test_the_sample_gives_the_median_of_a_large_image(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(3).standard_normal((300, 401)).astype(np.float32)
    monkeypatch.setattr(master_pixels, "SAMPLE_PIXELS", 20_000)
    monkeypatch.setattr(master_pixels, "BAND_BYTES", 401 * 4 * 17)
    (levels,) = measure_pixels(image, None).channels
    sample = image[::3, ::3]
    assert sample.size <= 20_000
    assert levels.median == np.median(sample)
    assert (levels.low, levels.high) == (image.min(), image.max())


@pytest.mark.parametrize("shape", [(130, 140), (130, 140, 3)])
@pytest.mark.parametrize("piece_pixels", [13, 64, 140, 5000])
def test_no_number_depends_on_how_an_image_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], piece_pixels: int
) -> None:
    channels = (*shape, 1)[2]
    image = with_bright_star(star_field((*shape[:2], 3)), 45, 35)[..., :channels].reshape(shape)
    image[:9], image[-4:], image[:, :5], image[:, -8:] = np.nan, 0, np.nan, 0
    image[41:46, 33:37] = np.nan
    image[2, 3] = 5.0
    alpha = np.zeros(shape[:2], np.uint8)
    alpha[20:, 12:] = 255
    write_master(tmp_path / "a.fits", image, alpha)
    whole = tile_of(measured(tmp_path))
    assert (whole.edges, whole.holes.pixels) == (EdgeBands(9, 4, 5, 8), 20)
    assert whole.alpha is not None
    assert whole.alpha.opaque_but_blank > 0 < whole.alpha.transparent_with_data
    monkeypatch.setattr(master_pixels, "BAND_BYTES", 4 * channels * piece_pixels)
    cut = tile_of(measured(tmp_path))
    assert replace(cut, std=0.0) == replace(whole, std=0.0)
    assert cut.std == pytest.approx(whole.std, rel=1e-12)


def test_huge_and_infinite_numbers_do_no_harm(tmp_path: Path) -> None:
    image = star_field(SHAPE[:2]).astype(np.float64)
    image[5, 5], image[6, 6], image[7, 7] = 1e300, np.inf, -np.inf
    fits.PrimaryHDU(image).writeto(tmp_path / "a.fits")
    tile = tile_of(measured(tmp_path))
    assert (tile.finite, tile.max_abs, tile.verdict) == (tile.samples - 2, 1e300, MasterVerdict.FINE)


def test_reports_hold_nothing_private(tmp_path: Path) -> None:
    write_master(tmp_path / "master_tile_001.fits", star_field(SHAPE))
    text = repr(measured(tmp_path))
    for private in (str(tmp_path), "1a2b3c4d", "48.1173", "SITELAT", "11.1173"):
        assert private not in text


def test_an_interruption_keeps_what_was_known(tmp_path: Path) -> None:
    for i in (1, 2):
        write_master(tmp_path / f"{i}.fits", star_field((20, 30)), tile_id=i)

    def stop(what: str, part: float, _detail: str = "", /) -> None:
        if what == "measuring masters" and part:
            raise KeyboardInterrupt

    report = run_masters(tmp_path, say=stop)
    assert report.interrupted
    assert exit_code(report) == 130
    assert tile_of(report).tile_id == 1


CHILD = """
import sys
from pathlib import Path
from zemo_diagnostics.masters.run import run_masters
from zemo_diagnostics.masters.contact_sheet import ContactSheet
from zemo_diagnostics.machine.peak_memory import read_memory
import astropy.visualization
out = Path(sys.argv[3])
run_masters(Path(sys.argv[1]), sheet=ContactSheet(out / "small.png", force=False), say=lambda *_: None)
before = read_memory().rss_bytes
report = run_masters(Path(sys.argv[2]), sheet=ContactSheet(out / "large.png", force=False), say=lambda *_: None)
print(read_memory().peak_bytes - before, len(report.result("masters").tiles))
"""


def extra_bytes_of_measuring(folder: Path, out: Path) -> tuple[int, int]:
    """Measure a folder in a fresh process; give the high-water mark over what it held before, and the tiles."""
    small = out / "small"
    small.mkdir()
    write_master(small / "a.fits", star_field((60, 60, 3)))
    command = [sys.executable, "-c", CHILD, str(small), str(folder), str(out)]
    done = subprocess.run(command, cwd=ROOT / "tools", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    extra_bytes, tiles = map(int, done.stdout.split())
    return extra_bytes, tiles


def test_memory_does_not_grow_with_the_masters(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.mkdir()
    image = np.random.default_rng(1).normal(800, 10, (2000, 2000, 3)).astype(np.float32)
    image[300:305, 300:305] = np.nan
    for i in (1, 2):
        write_master(large / f"{i}.fits", image, tile_id=i)
    extra_bytes, tiles = extra_bytes_of_measuring(large, tmp_path)
    assert tiles == 2
    assert extra_bytes < 110 << 20  # the image alone has 46 MiB, both have 92


def write_sparse(path: Path, shape: tuple[int, ...]) -> None:
    """Write a FITS image of zeros, float32, that takes no room on disks that know holes; one pixel is 1."""
    axes = {f"NAXIS{i}": length for i, length in enumerate(reversed(shape), start=1)}
    cards = {"SIMPLE": True, "BITPIX": -32, "NAXIS": len(shape), **axes}
    text = "".join(str(fits.Card(key, value)) for key, value in cards.items()) + "END".ljust(80)
    with path.open("wb") as file:
        file.write(text.ljust(2880).encode("ascii"))
        file.write(np.array(1.0, ">f4").tobytes())
        file.truncate(2880 * (1 - (-4 * int(np.prod(shape)) // 2880)))


@pytest.mark.parametrize("shape", [(1, 24_000_000), (16_000_000, 1), (3, 2, 4_000_000)])
def test_memory_does_not_grow_with_the_length_of_a_row_or_a_column(tmp_path: Path, shape: tuple[int, ...]) -> None:
    long = tmp_path / "long"
    long.mkdir()
    write_sparse(long / "a.fits", shape)
    extra_bytes, tiles = extra_bytes_of_measuring(long, tmp_path)
    assert tiles == 1
    assert extra_bytes < 110 << 20  # the image has 61 to 92 MiB, and took 5 times as much


def test_memory_of_the_search_for_holes_does_not_grow_with_the_length_of_a_row(tmp_path: Path) -> None:
    wide = tmp_path / "wide"
    wide.mkdir()
    image = np.random.default_rng(1).normal(800, 10, (40, 200_000, 3)).astype(np.float32)
    image[20, ::1000] = np.nan
    write_master(wide / "a.fits", image)
    extra_bytes, tiles = extra_bytes_of_measuring(wide, tmp_path)
    assert tiles == 1
    assert extra_bytes < 110 << 20  # the image has 92 MiB
