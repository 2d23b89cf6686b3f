"""Pixels read by bands of rows: the same numbers as astropy gives for the whole file."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

import zemosaic_align_stack
from zemo_diagnostics.errors import FrameError
from zemo_diagnostics.frames import bayer
from zemo_diagnostics.frames import pixels as frames
from zemo_diagnostics.frames.entries import Frame, look_at, scan_folder
from zemo_diagnostics.frames.headers import read_image_header
from zemo_diagnostics.frames.pixels import Cropped, RowSource, open_frame, read_image, read_window

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


def opened(path: Path, scratch: Path) -> RowSource:
    frame = look_at(path, path.parent)
    assert isinstance(frame, Frame), frame
    return open_frame(frame, scratch)


def by_bands(source: RowSource, rows: int = 5) -> Array:
    return np.concatenate([source[top : top + rows] for top in range(0, source.shape[0], rows)])


def random_data(dtype: str, shape: tuple[int, ...] = (13, 7)) -> Array:
    rng = np.random.default_rng(7)
    if np.dtype(dtype).kind == "f":
        data = rng.normal(0, 1e3, shape).astype(dtype)
        data.flat[::11] = np.nan
        return data
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("shape", [(13, 7), (3, 13, 7), (1, 13, 7)])
@pytest.mark.parametrize("packed", [False, True])
def test_bands_of_fits_rows_are_those_of_the_file(
    tmp_path: Path, dtype: str, shape: tuple[int, ...], packed: bool
) -> None:
    data = random_data(dtype, shape)
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(data).writeto(path)
    if packed:
        path = tmp_path / "a.fits.gz"
        path.write_bytes(gzip.compress((tmp_path / "a.fits").read_bytes()))
    source = opened(path, tmp_path)
    expected = {2: data, 3: np.moveaxis(data, 0, -1)}[data.ndim]
    if expected.ndim == 3 and expected.shape[2] == 1:
        expected = expected[:, :, 0]
    rows = by_bands(source)
    assert source.shape == expected.shape
    assert source[0:1].dtype == source.dtype
    for window in ((slice(2, 11), slice(3, 5)), (slice(12, 40), slice(0, 7)), (slice(0, 1), slice(6, 9))):
        piece = read_window(source, *window)
        assert piece.dtype == source.dtype
        assert np.array_equal(piece, expected[window], equal_nan=True)
    np.testing.assert_array_equal(rows.astype(np.float32), expected.astype(np.float32))


@pytest.mark.parametrize(("bscale", "bzero"), [(2.92273835509, 3713.66692596), (1.0, 0.5), (0.1, 0.0)])
@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4"])
def test_scaled_numbers_are_astropys(tmp_path: Path, dtype: str, bscale: float, bzero: float) -> None:
    hdu = fits.PrimaryHDU(random_data(dtype))
    hdu.header["BSCALE"], hdu.header["BZERO"] = bscale, bzero
    hdu.writeto(tmp_path / "a.fits")
    expected = fits.getdata(tmp_path / "a.fits")
    np.testing.assert_array_equal(by_bands(opened(tmp_path / "a.fits", tmp_path)), expected)


def test_blank_integers_are_nan(tmp_path: Path) -> None:
    hdu = fits.PrimaryHDU(np.array([[1, -7, 3]], np.int16))
    hdu.header["BLANK"] = -7
    hdu.writeto(tmp_path / "a.fits")
    np.testing.assert_array_equal(opened(tmp_path / "a.fits", tmp_path)[0:1], [[1.0, np.nan, 3.0]])


def test_blank_does_not_count_where_an_offset_makes_integers_unsigned(tmp_path: Path) -> None:
    hdu = fits.PrimaryHDU(np.array([[1, 0, 3]], np.uint16))
    hdu.header["BLANK"] = -32768
    hdu.writeto(tmp_path / "a.fits")
    np.testing.assert_array_equal(opened(tmp_path / "a.fits", tmp_path)[0:1], fits.getdata(tmp_path / "a.fits"))


@pytest.mark.parametrize("packed", [False, True])
def test_unsigned_integers_of_64_bits_keep_every_bit(tmp_path: Path, packed: bool) -> None:
    data = np.array([[0, 1, 2**53 + 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1]], np.uint64)
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(data).writeto(path)
    if packed:
        path = tmp_path / "a.fits.gz"
        path.write_bytes(gzip.compress((tmp_path / "a.fits").read_bytes()))
    rows = opened(path, tmp_path)[0:1]
    assert rows.dtype == np.uint64
    np.testing.assert_array_equal(rows, data)


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
def test_every_real_frame_reads_as_astropy_reads_it(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    folders = ("odd", "microobservatory_hatp32", "seestar_s50_ngc7023_mixed")
    found = [frame for folder in folders for frame in scan_folder(real_data(folder)).frames]
    for frame in found:
        assert frame.header is not None
        with fits.open(frame.path, memmap=False) as hdus:
            expected = hdus[frame.header.hdu].data
        if expected.ndim == 3:
            expected = np.moveaxis(expected, 0, -1)
        rows = by_bands(open_frame(frame, tmp_path), rows=100)
        np.testing.assert_array_equal(rows.astype(np.float32), expected.astype(np.float32), err_msg=frame.name)
    assert len(found) > 20


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
def test_images_and_headers_in_memory_are_astropys(fixtures: Path, real_data: Callable[[str], Path]) -> None:
    folders = [fixtures / name for name in ("compressed", "hard", "rgb_cubes", "phase3")]
    folders += [real_data(name) for name in ("odd", "microobservatory_hatp32")]
    found = [frame for folder in folders for frame in scan_folder(folder).frames if frame.header is not None]
    for frame in found:
        assert frame.header is not None
        pixels, header = read_image(frame.path)
        with fits.open(frame.path, memmap=False) as hdus:
            expected = hdus[frame.header.hdu]
            np.testing.assert_array_equal(pixels, expected.data, err_msg=frame.name)
            kept = {card.keyword: card.value for card in expected.header.cards}
        ours = {card.keyword: card.value for card in header.cards}
        structure = {"BITPIX", "BSCALE", "BZERO", "XTENSION", "EXTEND", "CHECKSUM", "DATASUM"}  # astropy changes these
        assert {key: value for key, value in ours.items() if key not in structure} == {
            key: value for key, value in kept.items() if key not in structure
        }, frame.name
    assert len(found) > 40


def test_cards_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    hdu = fits.PrimaryHDU(random_data("f4"), fits.Header([("OBJECT", "M 16"), ("GAIN", 80)]))
    hdu.writeto(tmp_path / "a.fits")
    data = (tmp_path / "a.fits").read_bytes()
    (tmp_path / "a.fits").write_bytes(
        data.replace(b"GAIN    =                   80", b"GAIN    =                  &&&")
    )
    pixels, header = read_image(tmp_path / "a.fits")
    np.testing.assert_array_equal(pixels, random_data("f4"))
    assert (header["OBJECT"], "GAIN" in header) == ("M 16", False)


def test_an_image_that_is_cut_off_after_its_header_was_read_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits.PrimaryHDU(random_data("f4", (100, 50))).writeto(tmp_path / "a.fits")
    whole = read_image_header(tmp_path / "a.fits")
    (tmp_path / "a.fits").write_bytes((tmp_path / "a.fits").read_bytes()[:9000])
    monkeypatch.setattr(frames, "read_image_header", lambda _path: whole)
    with pytest.raises(FrameError, match=r"it ended .* bytes too early") as caught:
        read_image(tmp_path / "a.fits")
    assert (caught.value.strerror, caught.value.path) == (str(caught.value), tmp_path / "a.fits")


def test_tile_compressed_frames_and_cubes(fixtures: Path, tmp_path: Path) -> None:
    (path,) = (fixtures / "compressed").glob("*.fz")
    source = opened(path, tmp_path)
    np.testing.assert_array_equal(by_bands(source), fits.getdata(path, 1))
    cube = random_data("u2", (3, 12, 9))
    fits.CompImageHDU(cube).writeto(tmp_path / "cube.fits.fz")
    np.testing.assert_array_equal(by_bands(opened(tmp_path / "cube.fits.fz", tmp_path)), np.moveaxis(cube, 0, -1))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(13, 7), (13, 7, 3)])
def test_cached_arrays(tmp_path: Path, order: str, shape: tuple[int, ...]) -> None:
    array = random_data("f4", shape)
    np.save(tmp_path / "a.npy", np.asarray(array, order=order))  # type: ignore[call-overload]
    np.testing.assert_array_equal(by_bands(opened(tmp_path / "a.npy", tmp_path)), array)


def test_a_crop_is_the_rectangle(tmp_path: Path) -> None:
    array = random_data("f4", (20, 30, 3))
    np.save(tmp_path / "a.npy", array)
    cropped = Cropped(frame=opened(tmp_path / "a.npy", tmp_path), top=3, left=5, height=11, width=17)
    assert cropped.shape == (11, 17, 3)
    np.testing.assert_array_equal(by_bands(cropped, 4), array[3:14, 5:22])


def test_a_file_that_got_shorter_says_so(tmp_path: Path) -> None:
    fits.PrimaryHDU(random_data("f4", (100, 50))).writeto(tmp_path / "a.fits")
    source = opened(tmp_path / "a.fits", tmp_path)
    (tmp_path / "a.fits").write_bytes((tmp_path / "a.fits").read_bytes()[:9000])
    assert source[0:1].shape == (1, 50)
    with pytest.raises(FrameError, match=r"it ended .* bytes too early"):
        source[90:100]
    (tmp_path / "a.fits").unlink()
    with pytest.raises(FrameError, match="it cannot be read: No such file or directory"):
        source[0:1]


def test_a_stack_says_which_frame_it_could_not_read_and_why(tmp_path: Path) -> None:
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, random_data("f4"))
    sources = [opened(tmp_path / name, tmp_path) for name in ("a.npy", "b.npy")]
    (tmp_path / "b.npy").unlink()
    with pytest.raises(zemosaic_align_stack.FrameReadError) as caught:
        zemosaic_align_stack._cpu_stack_kappa_fallback_chunked(sources)
    assert str(caught.value).endswith("of frame 1 (b.npy): it cannot be read: No such file or directory")


def test_a_damaged_gzip_file_says_so(fixtures: Path, tmp_path: Path) -> None:
    with pytest.raises(FrameError, match="it cannot be unpacked: its gzip data is damaged or cut off"):
        opened(fixtures / "unusable" / "cut.fit.gz", tmp_path)
    assert not list(tmp_path.iterdir())


def test_rows_must_be_contiguous(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", random_data("f4"))
    with pytest.raises(ValueError, match="contiguous"):
        opened(tmp_path / "a.npy", tmp_path)[::2]


@pytest.mark.parametrize("pattern", sorted(bayer.PATTERNS))
@pytest.mark.parametrize("rows", [1, 2, 3, 7, 64])
def test_colour_by_bands_is_colour_at_once(pattern: str, rows: int) -> None:
    pytest.importorskip("cv2", reason="colour needs the extra 'color' (OpenCV)")
    mosaic = random_data("u2", (37, 20))
    colour = bayer.Debayered(mosaic, pattern)
    whole = colour[0:37]
    assert whole.shape == (37, 20, 3)
    np.testing.assert_array_equal(by_bands(colour, rows), whole)


def test_colour_planes_carry_their_own_colour() -> None:
    pytest.importorskip("cv2", reason="colour needs the extra 'color' (OpenCV)")
    mosaic = np.zeros((8, 8), np.uint16)
    mosaic[0::2, 1::2] = 100  # the red pixels of GRBG
    mosaic[1::2, 0::2] = 7  # the blue ones
    colour = bayer.Debayered(mosaic, "GRBG")[0:8]
    assert colour[2:6, 2:6].max(axis=(0, 1)).tolist() == [100, 0, 7]


def test_which_frames_are_raw_mosaics(fixtures: Path) -> None:
    raw, cube = (scan_folder(fixtures / name).frames[0] for name in ("eq_only", "rgb_cubes"))
    cached = scan_folder(fixtures / "npy_cache").frames[0]
    assert bayer.bayer_pattern(raw) == "GRBG"
    assert bayer.opencv_takes(raw)
    assert bayer.bayer_pattern(cube) is None  # although its BAYERPAT is still there
    assert bayer.bayer_pattern(cached) is None


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "f4"])
@pytest.mark.parametrize("blank", [None, 7])
@pytest.mark.parametrize("packed", [False, True])
def test_opencv_takes_what_comes_as_a_type_that_it_knows(
    tmp_path: Path, dtype: str, blank: int | None, packed: bool
) -> None:
    data = random_data(dtype, (40, 60)) if dtype != "f4" else np.ones((40, 60), np.float32)
    hdu = fits.CompImageHDU(data) if packed else fits.PrimaryHDU(data)
    if blank is not None and dtype != "f4":
        hdu.header["BLANK"] = blank
    hdu.header["BAYERPAT"] = "GRBG"
    hdu.writeto(tmp_path / "a.fits")
    frame = look_at(tmp_path / "a.fits", tmp_path)
    assert isinstance(frame, Frame)
    assert bayer.bayer_pattern(frame) == "GRBG"
    assert bayer.opencv_takes(frame) is (open_frame(frame, tmp_path).dtype in (np.uint8, np.uint16))
    assert bayer.opencv_takes(frame) is (dtype == "u2" or (dtype == "u1" and blank is None))


def test_rows_of_another_type_than_opencv_takes_are_refused() -> None:
    with pytest.raises(FrameError, match="frame holds float32, and OpenCV demosaics"):
        bayer.Debayered(random_data("f4"), "GRBG")
