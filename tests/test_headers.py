"""Headers read without pixels, and the sentence for each file that holds no frame."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from zemo_diagnostics.errors import FrameError
from zemo_diagnostics.headers import card, read_image_header


def write(path: Path, data: np.ndarray[tuple[int, ...], np.dtype[np.uint16]] | None = None, **cards: object) -> Path:
    hdu = fits.PrimaryHDU(np.zeros((4, 6), np.uint16) if data is None else data)
    for key, value in cards.items():
        hdu.header[key] = value
    hdu.writeto(path)
    return path


def test_a_plain_frame(tmp_path: Path) -> None:
    image = read_image_header(write(tmp_path / "a.fit", EQMODE=1, OBJECT="M 16"))
    assert (image.hdu, image.shape, image.bitpix, image.tile_compressed) == (0, (4, 6), 16, False)
    assert card(image.cards, "EQMODE") == 1
    assert card(image.cards, "NOTHERE", "x") == "x"


def test_gzip_and_tile_compression_are_read_through(tmp_path: Path, fixtures: Path) -> None:
    plain = write(tmp_path / "a.fit", EQMODE=0)
    packed = tmp_path / "a.fit.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_image_header(packed).shape == (4, 6)
    (tiled,) = (fixtures / "compressed").glob("*.fz")
    image = read_image_header(tiled)
    assert (image.hdu, image.tile_compressed, len(image.shape)) == (1, True, 2)
    assert card(image.cards, "EQMODE") == 1


def test_the_image_of_an_extension_takes_the_primary_cards_too(tmp_path: Path) -> None:
    primary = fits.PrimaryHDU()
    primary.header["EQMODE"] = 1
    primary.header["OBJECT"] = "primary"
    extension = fits.ImageHDU(np.zeros((3, 5), np.float32))
    extension.header["OBJECT"] = "extension"
    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=np.arange(3000))])
    fits.HDUList([primary, table, extension]).writeto(tmp_path / "a.fits")
    image = read_image_header(tmp_path / "a.fits")
    assert (image.hdu, image.shape) == (2, (3, 5))
    assert (card(image.cards, "EQMODE"), card(image.cards, "OBJECT")) == (1, "extension")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty.fit", "is empty"),
        ("text_renamed.fit", "not a FITS file"),
        ("header_cut.fit", "before the END card"),
        ("data_cut.fit", "is cut off: its header promises"),
        ("header_only.fit", "no image"),
        ("table_only.fit", "no image"),
        ("zero_width.fit", "no pixels"),
        ("declared_huge.fit", "is cut off: its header promises"),
        ("not_gzip.fit.gz", "before the END card"),
    ],
)
def test_a_file_without_an_image_says_why(fixtures: Path, name: str, reason: str) -> None:
    with pytest.raises(FrameError, match=reason):
        read_image_header(fixtures / "unusable" / name)


def test_a_gzip_file_cut_in_its_header_says_so(tmp_path: Path) -> None:
    packed = gzip.compress(write(tmp_path / "a.fit").read_bytes())
    (tmp_path / "a.fit.gz").write_bytes(packed[:60])
    with pytest.raises(FrameError, match=r"gzip data is damaged|before the END card"):
        read_image_header(tmp_path / "a.fit.gz")


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
def test_it_agrees_with_astropy_on_real_odd_files(real_data: Callable[[str], Path]) -> None:
    compared = 0
    for path in sorted(real_data("odd").glob("*.fits")):
        try:
            image = read_image_header(path)
        except FrameError:
            continue
        with fits.open(path) as hdus:
            assert hdus[image.hdu].shape == image.shape, path.name
            assert hdus[image.hdu].header.get("OBJECT") == card(image.cards, "OBJECT"), path.name
        compared += 1
    assert compared >= 10
