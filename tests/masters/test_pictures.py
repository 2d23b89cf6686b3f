"""Pictures: blank pixels in their colour, a grey sky, labels under each, and a file that is whole or not there."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from tests.sample_masters import star_field
from zemo_diagnostics.errors import InputError, OutputError
from zemo_diagnostics.masters import pictures
from zemo_diagnostics.masters.pictures import (
    BLANK_COLOR,
    GAP,
    LABEL_HEIGHT,
    SKY_BRIGHTNESS,
    Labelled,
    Limits,
    Thumbnail,
    check_picture,
    contact_sheet,
    side_by_side,
    stretch,
    stretch_limits,
    write_png,
)

SKY = round(255 * SKY_BRIGHTNESS)


def flat(height: int = 30, width: int = 20, value: int = 200) -> pictures.Rgb:
    return np.full((height, width, 3), value, np.uint8)


def test_the_sky_is_grey_and_as_bright_as_wanted_whatever_its_colour() -> None:
    rgb = stretch(star_field((200, 300, 3)))
    assert rgb.shape == (200, 300, 3)
    assert rgb.dtype == np.uint8
    for channel in range(3):
        assert np.median(rgb[..., channel]) == pytest.approx(SKY, abs=2)
    assert rgb.max() == 255


def test_an_image_of_noise_shows_the_sky_as_bright_as_any() -> None:
    rgb = stretch(star_field((200, 300, 3), stars=0))
    assert np.median(rgb) == pytest.approx(SKY, abs=2)


def test_one_channel_gives_a_grey_picture() -> None:
    rgb = stretch(star_field((100, 120)))
    assert (rgb[..., 0] == rgb[..., 1]).all()
    assert (rgb[..., 0] == rgb[..., 2]).all()


@pytest.mark.parametrize("shape", [(60, 80), (60, 80, 3)])
@pytest.mark.parametrize("gone", [np.nan, 0.0, np.inf])
def test_blank_pixels_have_a_colour_of_their_own(shape: tuple[int, ...], gone: float) -> None:
    image = star_field(shape)
    image[:20] = gone
    rgb = stretch(image)
    assert (rgb[:20] == BLANK_COLOR).all()
    assert not (rgb[20:] == BLANK_COLOR).all(axis=2).any()


def test_a_pixel_that_lost_one_channel_is_not_blank() -> None:
    image = star_field((60, 80, 3))
    image[10, 10, 0] = np.nan
    assert stretch(image)[10, 10, 0] == 0
    assert stretch(image)[10, 10, 1] > 0


@pytest.mark.parametrize("value", [np.nan, 0.0, 7.0, -3.0])
def test_an_image_of_one_value_is_no_trouble(value: float) -> None:
    rgb = stretch(np.full((20, 30, 3), value, np.float32))
    assert rgb.shape == (20, 30, 3)


def test_pictures_that_are_compared_share_their_limits() -> None:
    before = star_field((60, 80, 3))
    limits = stretch_limits(before)
    assert len(limits) == 3
    assert (stretch(before * 0.5, limits) <= stretch(before, limits)).all()
    assert (stretch(before, limits) == stretch(before)).all()


def test_the_stretch_is_an_asinh_between_black_and_white() -> None:
    image = np.array([[10.0, 60.0, 110.0, 5.0, 500.0]], np.float32)
    rgb = stretch(image, (Limits(10.0, 110.0, 0.1),))
    middle = round(255 * np.arcsinh(5.0) / np.arcsinh(10.0))
    assert rgb[0, :, 0].tolist() == [0, middle, 255, 0, 255]


@pytest.mark.parametrize("rows", [1, 7, 50, 1000])
def test_a_thumbnail_does_not_depend_on_the_bands(rows: int) -> None:
    image = star_field((100, 70, 3))
    image[40:60] = np.nan
    thumbnail = Thumbnail(image.shape, side=25)
    for first in range(0, 100, rows):
        thumbnail.add(first, image[first : first + rows])
    small = thumbnail.image()
    assert small.shape == (25, 18, 3)
    assert np.isnan(small[10:15]).all()
    assert small[0, 0, 1] == pytest.approx(image[:4, :4, 1].mean(), rel=1e-5)
    assert small[0, 17, 2] == pytest.approx(image[:4, 68:, 2].mean(), rel=1e-5)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 5), (100, 7), (7, 70)])
def test_a_thumbnail_does_not_depend_on_the_pieces(rows: int, columns: int) -> None:
    image = star_field((40, 70, 3))
    image[10:20, 30:] = np.nan
    whole, cut = Thumbnail(image.shape, side=25), Thumbnail(image.shape, side=25)
    whole.add(0, image)
    for left in range(0, 70, columns):
        for top in range(0, 40, rows):
            cut.add(top, image[top : top + rows, left : left + columns], left)
    assert np.allclose(cut.image(), whole.image(), rtol=1e-6, equal_nan=True)


def test_a_small_image_is_its_own_thumbnail() -> None:
    image = star_field((20, 30))
    thumbnail = Thumbnail(image.shape)
    thumbnail.add(0, image[:, :, np.newaxis])
    assert np.array_equal(thumbnail.image(), image)


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (3, 2, 2), (5, 3, 2), (9, 3, 3)])
def test_a_sheet_has_a_cell_for_each(count: int, columns: int, rows: int) -> None:
    sheet = contact_sheet([Labelled(flat(), f"tile {i}: fine") for i in range(count)])
    assert sheet.shape == (GAP + rows * (30 + LABEL_HEIGHT + GAP), GAP + columns * (20 + GAP), 3)
    assert (sheet[GAP : GAP + 30, GAP : GAP + 20] == 200).all()


def test_labels_are_drawn_in_their_colours_below() -> None:
    left, right = Labelled(flat(60, 90), "before", (255, 0, 0)), Labelled(flat(60, 90), "after", (0, 255, 0))
    pair = side_by_side(left, right)
    labels = pair[GAP + 60 :]
    assert (labels[:, : GAP + 90, 0].max(), labels[:, : GAP + 90, 1].max()) == (255, 18)
    assert (labels[:, GAP + 98 :, 1].max(), labels[:, GAP + 98 :, 0].max()) == (255, 18)
    assert (pair[GAP : GAP + 60, GAP + 98 : GAP + 188] == 200).all()


def test_a_picture_is_written_whole_and_read_back(tmp_path: Path) -> None:
    path, rgb = tmp_path / "sheet.png", flat()
    write_png(rgb, path, force=False)
    with PillowImage.open(path) as picture:
        assert (picture.format, picture.size) == ("PNG", (20, 30))
        assert np.array_equal(np.asarray(picture), rgb)
    with pytest.raises(OutputError, match="--force"):
        write_png(rgb, path, force=False)
    assert [file.name for file in tmp_path.iterdir()] == ["sheet.png"]


def test_a_place_that_is_no_good_is_told_beforehand(tmp_path: Path) -> None:
    check_picture(tmp_path / "a.PNG", force=False)
    with pytest.raises(OutputError, match=r"end it in \.png"):
        check_picture(tmp_path / "a.fits", force=True)
    with pytest.raises(OutputError, match="no folder"):
        check_picture(tmp_path / "none" / "a.png", force=False)


def test_without_pillow_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(InputError, match=r"drawing pictures needs pillow, .*: install with .* -m pip install pillow$"):
        check_picture(tmp_path / "a.png", force=False)
    assert stretch(star_field((20, 30))).shape == (20, 30, 3)
