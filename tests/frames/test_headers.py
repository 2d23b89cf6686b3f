"""Headers read without pixels, and the sentence for each file that holds no frame."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from zemo_diagnostics.errors import FrameError
from zemo_diagnostics.frames.headers import card, has_extension, read_extension_header, read_image_header


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


def with_card(path: Path, text: str, index: int = 5) -> Path:
    """Write a small frame in which the text of one card is another."""
    data = bytearray(write(path, EQMODE="replaced").read_bytes())
    data[index * 80 : index * 80 + 80] = text.ljust(80).encode("ascii")
    path.write_bytes(data.replace(b"EQMODE  = 'replaced'", b"COMMENT             "))
    return path


@pytest.mark.filterwarnings("ignore::astropy.io.fits.verify.VerifyWarning")
@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("EQMODE  =                    1", 1),
        ("eqmode  =                    1", 1),
        ("EqMode  =                    0 / mount", 0),
        (" EQMODE =                    1", 1),
        ("EQMODE= 1", 1),
        ("EQMODE=1", None),
        ("HIERARCH EQMODE = 1", 1),
        ("HIERARCH eqmode = 1", 1),
        ("REQMODE =                    1", None),
        ("COMMENT EQMODE = 1", None),
    ],
)
def test_a_keyword_is_read_as_astropy_reads_it(tmp_path: Path, text: str, value: int | None) -> None:
    path = with_card(tmp_path / "a.fit", text)
    assert fits.getheader(path).get("EQMODE") == value
    assert card(read_image_header(path).cards, "EQMODE") == value


def test_an_image_whose_keywords_are_in_small_letters_has_its_size(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fit")
    path.write_bytes(path.read_bytes().replace(b"NAXIS1  =", b"naxis1  =").replace(b"BZERO   =", b"bzero   ="))
    image = read_image_header(path)
    assert (image.shape, card(image.cards, "BZERO")) == ((4, 6), 32768)


def two_hdus(path: Path, **cards: int) -> Path:
    """Write a frame with a table behind it, some of the table's cards replaced."""
    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=np.arange(3))])
    fits.HDUList([fits.PrimaryHDU(np.zeros((4, 6), np.uint16)), table]).writeto(path)
    data = path.read_bytes()
    for key, value in cards.items():
        start = data.rindex(f"{key:<8}=".encode("ascii"))
        data = data[:start] + f"{key:<8}= {value:>20}".encode("ascii") + data[start + 30 :]
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("pcount", [-13, -2892, -5772, 10**18, 10**19])  # 12 bytes of rows come to it
@pytest.mark.parametrize("packed", [False, True])
def test_a_size_that_cannot_be_ends_the_walk(tmp_path: Path, pcount: int, packed: bool) -> None:
    path = two_hdus(tmp_path / "a.fits", PCOUNT=pcount)
    if packed:
        path = tmp_path / "a.fits.gz"
        path.write_bytes(gzip.compress((tmp_path / "a.fits").read_bytes()))
    image = read_image_header(path)
    assert image.shape == (4, 6)
    if pcount < 0 or pcount > 1 << 62:
        with pytest.raises(FrameError, match="impossible size"):
            read_extension_header(path, "ALPHA")
    assert not has_extension(path, image, "ALPHA")


@pytest.mark.parametrize(("key", "value"), [("PCOUNT", -2892), ("GCOUNT", -240), ("NAXIS2", -720)])
def test_a_table_of_negative_size_alone_in_a_file_says_so(tmp_path: Path, key: str, value: int) -> None:
    two_hdus(tmp_path / "two.fits", **{key: value})
    data = (tmp_path / "two.fits").read_bytes()
    (tmp_path / "a.fits").write_bytes(fits.PrimaryHDU().header.tostring().encode("ascii") + data[5760:])
    with pytest.raises(FrameError, match="impossible size"):
        read_image_header(tmp_path / "a.fits")


@pytest.mark.parametrize("axes", ["2147483648", "1E400", "-1"])
def test_an_image_of_too_many_axes_is_none(tmp_path: Path, axes: str) -> None:
    path = write(tmp_path / "a.fit")
    path.write_bytes(
        path.read_bytes().replace(b"NAXIS   =                    2", f"NAXIS   = {axes:>20}".encode("ascii"))
    )
    with pytest.raises(FrameError, match=r"size of its image|no image"):
        read_image_header(path)


@pytest.mark.parametrize("key", ["BSCALE", "BZERO"])
def test_a_scale_without_end_is_no_number(tmp_path: Path, key: str) -> None:
    with pytest.raises(FrameError, match="BSCALE or BZERO card is not a number"):
        read_image_header(with_card(tmp_path / "a.fit", f"{key:<8}= 1E400"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
def test_a_pipe_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.fits")
    with pytest.raises(FrameError, match="no regular file"):
        read_image_header(tmp_path / "a.fits")


def packed_image(path: Path, extension: str, packed: str) -> Path:
    """Write an image, plain, gzipped or tile-compressed, and behind it an extension where one is named."""
    data, alpha = np.ones((40, 60), np.uint16), np.full((40, 60), 255, np.uint8)
    hdus = [fits.PrimaryHDU(), fits.CompImageHDU(data)] if packed == ".fz" else [fits.PrimaryHDU(data)]
    hdus += [fits.ImageHDU(alpha, name=extension)] if extension else []
    fits.HDUList(hdus).writeto(path)
    if packed == ".gz":
        path.write_bytes(gzip.compress(path.read_bytes()))
    return path


@pytest.mark.parametrize("packed", ["", ".gz", ".fz"])
def test_an_extension_is_found_by_its_name(tmp_path: Path, packed: str) -> None:
    path = packed_image(tmp_path / "a.fits", "ALPHA", packed)
    image = read_image_header(path)
    assert has_extension(path, image, "ALPHA")
    assert not has_extension(path, image, "MASK")


@pytest.mark.parametrize("packed", ["", ".gz", ".fz"])
def test_a_file_that_holds_its_image_alone_is_not_read_again(
    tmp_path: Path, packed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("the file was walked through again")

    alone, more = (packed_image(tmp_path / f"{name}.fits", name, packed) for name in ("", "MORE"))
    monkeypatch.setattr("zemo_diagnostics.frames.headers.read_extension_header", fail)
    assert not has_extension(alone, read_image_header(alone), "ALPHA")
    with pytest.raises(AssertionError, match="walked through again"):
        has_extension(more, read_image_header(more), "ALPHA")


@pytest.mark.parametrize("junk", [b"\0" * 2880, b"junk", b"XTENSION= 'IMAGE   '" + b" " * 2860, b"END".ljust(2880)])
def test_what_follows_and_cannot_be_read_is_no_extension(tmp_path: Path, junk: bytes) -> None:
    path = write(tmp_path / "a.fit")
    path.write_bytes(path.read_bytes() + junk)
    assert not has_extension(path, read_image_header(path), "ALPHA")
