"""Masters as ZeMosaic really writes them: padded, with 0 or a constant for NaN, or of one frame's light."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from tests.masters.test_masters import codes, measured, silent, tile_of
from tests.sample_masters import (
    Image,
    empty_cards,
    lights_of_one_field,
    padded,
    star_field,
    wiped,
    write_light,
    write_master,
)
from zemo_diagnostics.errors import InputError
from zemo_diagnostics.frames import bayer
from zemo_diagnostics.masters import pixels as master_pixels
from zemo_diagnostics.masters.contact_sheet import ContactSheet
from zemo_diagnostics.masters.data import EdgeBands, MasterVerdict, Padding, ReferenceFrame
from zemo_diagnostics.masters.lights import Lights, find_lights
from zemo_diagnostics.masters.pictures import Labelled
from zemo_diagnostics.masters.run import run_masters
from zemo_diagnostics.reports.markdown import render_markdown
from zemo_diagnostics.reports.report import Report, exit_code
from zemo_diagnostics.reports.told import verdict

SHAPE = (160, 90, 3)
REFERENCE = "Light_M 16_10.0s_0003.fit"
FRAME = Padding(side=184, top=12, left=47, height=160, width=90)


def compared(masters: Path, lights: Path) -> Report:
    return run_masters(masters, lights=lights, say=silent)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, list[Image]]:
    """Give a folder for masters, one with five lights, and the lights."""
    masters, lights = tmp_path / "run", tmp_path / "lights"
    masters.mkdir()
    lights.mkdir()
    images = lights_of_one_field(SHAPE, 5)
    for i, image in enumerate(images):
        write_light(lights / f"Light_M 16_10.0s_{i:04d}.fit", image)
    return masters, lights, images


# ------------------------------------------------------------------------------------------------------- padding


@pytest.mark.parametrize("fill", [np.nan, 0.0, 13.5])
def test_padding_is_no_damage(tmp_path: Path, fill: float) -> None:
    write_master(tmp_path / "master_tile_000.fits", padded(star_field(SHAPE), fill=fill), None, tile_id=0)
    report = measured(tmp_path)
    tile = tile_of(report)
    assert (tile.padding, tile.shape, tile.measured_shape) == (FRAME, (184, 184, 3), (160, 90))
    assert (tile.pixels, tile.blank_pixels, tile.valid_pixels) == (14400, 0, 14400)
    assert (tile.verdict, codes(report), exit_code(report)) == (MasterVerdict.FINE, [], 0)
    assert tile.edges == EdgeBands(0, 0, 0, 0)
    assert tile.fill == ((13.5,) * 3 if fill == 13.5 else None)
    assert tile.channels[0].median == np.median(star_field(SHAPE)[..., 0])


@pytest.mark.parametrize("fill", [np.nan, 0.0, 13.5])
def test_what_the_cleanup_cut_is_told_within_the_padding(tmp_path: Path, fill: float) -> None:
    image = padded(star_field(SHAPE), cut=7, fill=fill)
    alpha = np.where(np.isnan(image[..., 0]) | (image[..., 0] == fill), 0, 255).astype(np.uint8)
    write_master(tmp_path / "a.fits", image, alpha)
    report = measured(tmp_path)
    tile = tile_of(report)
    assert tile.padding == FRAME
    assert tile.blank_pixels == 160 * 90 - 146 * 76
    assert tile.edges == EdgeBands(7, 7, 7, 7)
    assert tile.alpha is not None
    assert (tile.alpha.opaque_pixels, tile.alpha.disagreeing) == (146 * 76, 0)
    assert codes(report) == []
    assert "57 % padding, 23 % blank within (160 × 90)" in render_markdown(report)


def test_half_of_the_frame_gone_is_partly_empty_though_most_of_the_canvas_always_is(tmp_path: Path) -> None:
    image = star_field(SHAPE)
    image[30:130, 8:80] = np.nan
    write_master(tmp_path / "a.fits", padded(image))
    report = measured(tmp_path)
    assert tile_of(report).verdict is MasterVerdict.PARTLY
    assert codes(report) == ["ZD304"]
    assert "7200 of 14400 pixels (50 %) are blank within the padding" in report.findings[0].message


def test_holes_are_named_by_their_places_on_the_canvas(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:160, :90]
    star = 30000 * np.exp(-((rows - 80) ** 2 + (columns - 40) ** 2) / 60)
    image = (star_field(SHAPE, stars=0) + star[:, :, None]).astype(np.float32)
    image[79:82, 39:42] = np.nan
    write_master(tmp_path / "a.fits", padded(image))
    tile = tile_of(measured(tmp_path))
    assert (tile.holes.pixels, tile.holes.first_places) == (9, ((79 + 12, 39 + 47),))


@pytest.mark.parametrize("fill", [np.nan, 0.0, 13.5])
@pytest.mark.parametrize("piece_pixels", [13, 500, 5000])
def test_nothing_depends_on_how_a_padded_master_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece_pixels: int, fill: float
) -> None:
    image = star_field(SHAPE)
    image[20:23, 30:50] = np.nan if fill == 0 else fill
    write_master(tmp_path / "a.fits", padded(image, cut=3, fill=fill), None)
    whole = tile_of(measured(tmp_path))
    monkeypatch.setattr(master_pixels, "BAND_BYTES", 12 * piece_pixels)
    cut = tile_of(measured(tmp_path))
    for name in ("padding", "fill", "blank_pixels", "edges", "holes", "channels", "verdict", "noise"):
        assert getattr(cut, name) == getattr(whole, name), name


def test_a_thumbnail_shows_the_frame_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("PIL")
    write_master(tmp_path / "a.fits", padded(star_field(SHAPE)))
    pictures: list[Labelled] = []
    monkeypatch.setattr(ContactSheet, "add", lambda _self, picture: pictures.append(picture))
    run_masters(tmp_path, sheet=ContactSheet(tmp_path / "sheet.png", force=False), say=silent)
    assert pictures[0].rgb.shape == (160, 90, 3)


@pytest.mark.parametrize("kept", ["square", "oblong"])
def test_a_constant_around_the_picture_is_nothing_without_padding_too(tmp_path: Path, kept: str) -> None:
    image = star_field((100, 100, 3) if kept == "square" else SHAPE)
    image[:6], image[-6:], image[:, :6], image[:, -6:] = 21, 21, 21, 21
    write_master(tmp_path / "a.fits", image, None)
    tile = tile_of(measured(tmp_path))
    assert (tile.padding, tile.fill, tile.edges) == (None, (21.0,) * 3, EdgeBands(6, 6, 6, 6))


def test_a_constant_that_is_everywhere_or_does_not_go_around_is_none(tmp_path: Path) -> None:
    image = star_field(SHAPE)
    image[:2, :2], image[-2:, :2], image[:2, -2:], image[-2:, -2:] = 900, 900, 900, 900
    write_master(tmp_path / "corners.fits", image, tile_id=1)
    write_master(tmp_path / "everywhere.fits", np.full(SHAPE, 900, np.float32), tile_id=2)
    tiles = measured(tmp_path).result("masters").tiles
    assert [(tile.fill, tile.padding, tile.blank_pixels) for tile in tiles] == [(None, None, 0)] * 2


def test_the_valid_part_that_an_empty_master_states_is_that_before_nan_became_0(tmp_path: Path) -> None:
    image = np.zeros((184, 184, 3), np.float32)
    cards = empty_cards(valid=0.0) | {"ZMT_NANZ": 1}
    write_master(tmp_path / "a.fits", image, np.zeros((184, 184), np.uint8), **cards)
    report = measured(tmp_path)
    assert (tile_of(report).verdict, codes(report)) == (MasterVerdict.EMPTY, ["ZD302"])


def test_a_wiped_padded_master_is_nearly_empty(tmp_path: Path) -> None:
    write_master(tmp_path / "a.fits", padded(wiped(star_field(SHAPE), slice(70, 80))))
    assert tile_of(measured(tmp_path)).verdict is MasterVerdict.NEARLY


# ----------------------------------------------------------------------------------------- one frame's light


KINDS: dict[str, Callable[[Image], Any]] = {
    "kappa-sigma": lambda reference: reference / 5,
    "winsorized": lambda reference: reference,
    "equalised": lambda reference: reference * np.array([1.1, 0.8, 1.0], np.float32),
    "shifted": lambda reference: reference - reference.min(),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["padded", "padded, cleaned", "not padded", "cut to the margin", "zeroed"])
def test_a_master_of_one_frames_light_is_called_so(
    folders: tuple[Path, Path, list[Image]], kind: str, form: str
) -> None:
    masters, lights, images = folders
    image = KINDS[kind](images[3]).astype(np.float32)
    forms: dict[str, Callable[[], Image]] = {
        "padded": lambda: padded(image),
        "padded, cleaned": lambda: padded(image, cut=4),
        "zeroed": lambda: padded(image, cut=4, fill=0.0),
        "not padded": lambda: image,
        "cut to the margin": lambda: image[9:-10, 10:-9],
    }
    write_master(masters / "a.fits", forms[form](), None, frames=5, ZMT_REF=REFERENCE)
    report = compared(masters, lights)
    tile = tile_of(report)
    assert tile.verdict is MasterVerdict.ONE_FRAME
    assert tile.one_frame is not None
    assert tile.one_frame.scale == pytest.approx(0.2 if kind == "kappa-sigma" else 1.0, rel=1e-3)
    assert (codes(report), exit_code(report)) == (["ZD313"], 1)
    cut = "cut" in form or "clean" in form or form == "zeroed"
    assert ("they count as 0" in report.findings[0].message) is (kind == "kappa-sigma")
    assert ("cleanup was on" in report.findings[0].message) is (cut or kind == "kappa-sigma")
    assert ("until they are five" in report.findings[0].message) is not (cut or kind == "kappa-sigma")
    assert verdict(report).startswith("1 master tile: 1 with one frame's light")


def test_more_than_five_frames_are_never_repeated(folders: tuple[Path, Path, list[Image]]) -> None:
    masters, lights, images = folders
    write_master(masters / "a.fits", images[3], frames=6, ZMT_REF=REFERENCE)
    assert tile_of(compared(masters, lights)).cause.startswith("all frames but the reference were lost")


@pytest.mark.parametrize("count", [2, 5])
def test_a_true_stack_is_fine(folders: tuple[Path, Path, list[Image]], count: int) -> None:
    masters, lights, images = folders
    image = np.mean(images[5 - count :], axis=0).astype(np.float32)
    write_master(masters / "a.fits", padded(image), frames=count, ZMT_REF=REFERENCE)
    report = compared(masters, lights)
    tile = tile_of(report)
    assert (tile.verdict, tile.reference, codes(report)) == (MasterVerdict.FINE, ReferenceFrame.COMPARED, [])
    assert tile.one_frame is not None
    assert tile.one_frame.residual_ratio > 0.5
    assert "as in a stack of several" in render_markdown(report)


def test_a_master_of_one_frame_is_not_compared(folders: tuple[Path, Path, list[Image]]) -> None:
    masters, lights, images = folders
    write_master(masters / "a.fits", images[3], frames=1, ZMT_REF=REFERENCE)
    report = compared(masters, lights)
    tile = tile_of(report)
    assert (tile.verdict, tile.reference, codes(report)) == (MasterVerdict.FINE, ReferenceFrame.NOT_ASKED, [])


def test_the_reference_is_found_in_sub_folders_whatever_letters_and_path(
    folders: tuple[Path, Path, list[Image]],
) -> None:
    masters, lights, images = folders
    for name, image in (("a", images[3]), ("b", images[1])):
        (lights / name).mkdir()
        write_light(lights / name / "Night.FIT", image)
    write_master(masters / "a.fits", padded(images[1]), frames=5, ZMT_REF="D:\\\\x\\\\night.fit")
    assert tile_of(compared(masters, lights)).verdict is MasterVerdict.ONE_FRAME


def test_a_name_that_goes_on_in_the_next_card(folders: tuple[Path, Path, list[Image]]) -> None:
    masters, lights, images = folders
    name = f"Light_{'a very long name ' * 5}.fit"
    write_light(lights / name, images[1])
    write_master(masters / "a.fits", images[1], frames=5, ZMT_REF=name)
    assert tile_of(compared(masters, lights)).verdict is MasterVerdict.ONE_FRAME


@pytest.mark.parametrize(
    ("why", "state", "words"),
    [
        ("unnamed", ReferenceFrame.NOT_NAMED, "names no reference frame"),
        ("away", ReferenceFrame.NOT_THERE, "is not among the lights"),
        ("other size", ReferenceFrame.UNUSABLE, "of another size"),
        ("damaged", ReferenceFrame.NOT_THERE, "is not among the lights"),
        ("too little", ReferenceFrame.COMPARED, "oo few of its pixels"),
    ],
)
def test_why_a_master_was_not_compared(
    folders: tuple[Path, Path, list[Image]], why: str, state: ReferenceFrame, words: str
) -> None:
    masters, lights, images = folders
    reference = {"unnamed": None, "away": "other.fit"}.get(why, REFERENCE)
    image = images[3]
    if why == "other size":
        image = image[:, :50]
    elif why == "damaged":
        light = lights / REFERENCE
        light.write_bytes(light.read_bytes()[:20000])
    elif why == "too little":
        image = wiped(image, slice(0, 10))
    write_master(masters / "a.fits", image, frames=5, ZMT_REF=reference)
    report = compared(masters, lights)
    assert tile_of(report).reference is state
    (told,) = [finding.message for finding in report.findings if finding.code == "ZD315"]
    assert words in told


def test_a_reference_that_cannot_be_read_is_unusable(
    folders: tuple[Path, Path, list[Image]], monkeypatch: pytest.MonkeyPatch
) -> None:
    masters, lights, images = folders
    write_master(masters / "a.fits", images[3], frames=5, ZMT_REF=REFERENCE)
    find = find_lights

    def found(folder: Path, *more: Any) -> Lights:
        listed = find(folder, *more)
        for path in lights.iterdir():
            path.unlink()
        return listed

    monkeypatch.setattr("zemo_diagnostics.masters.run.find_lights", found)
    tile = tile_of(compared(masters, lights))
    assert (tile.reference, tile.frame_noise, tile.verdict) == (ReferenceFrame.UNUSABLE, None, MasterVerdict.FINE)


def test_a_raw_mosaic_needs_opencv(folders: tuple[Path, Path, list[Image]], monkeypatch: pytest.MonkeyPatch) -> None:
    masters, lights, images = folders
    (lights / REFERENCE).unlink()
    write_light(lights / REFERENCE, images[3][..., 1], BAYERPAT="GRBG")
    monkeypatch.setattr(bayer, "opencv_is_there", lambda: False)
    monkeypatch.setattr("zemo_diagnostics.masters.lights.opencv_is_there", lambda: False)
    write_master(masters / "a.fits", images[3], frames=5, ZMT_REF=REFERENCE)
    report = compared(masters, lights)
    assert tile_of(report).reference is ReferenceFrame.NOT_BROUGHT_TO_COLOUR
    assert "OpenCV is not installed" in report.findings[-1].message


def test_a_raw_mosaic_is_compared_in_colour(folders: tuple[Path, Path, list[Image]]) -> None:
    cv2 = pytest.importorskip("cv2")
    masters, lights, images = folders
    (lights / REFERENCE).unlink()
    path = write_light(lights / REFERENCE, images[3][..., 1], BAYERPAT="GRBG")
    colour = cv2.cvtColor(fits.getdata(path).astype(np.uint16), cv2.COLOR_BayerGRBG2RGB).astype(np.float32)
    write_master(masters / "a.fits", padded(colour / 5), frames=5, ZMT_REF=REFERENCE)
    assert tile_of(compared(masters, lights)).verdict is MasterVerdict.ONE_FRAME


def test_a_light_without_colour_is_compared_with_each_channel(folders: tuple[Path, Path, list[Image]]) -> None:
    masters, lights, images = folders
    (lights / REFERENCE).unlink()
    write_light(lights / REFERENCE, images[3][..., 1])
    write_master(masters / "a.fits", np.repeat(images[3][..., 1:2], 3, axis=2), frames=5, ZMT_REF=REFERENCE)
    assert tile_of(compared(masters, lights)).verdict is MasterVerdict.ONE_FRAME


def test_a_folder_without_lights_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    write_master(tmp_path / "run" / "a.fits", star_field(SHAPE))
    with pytest.raises(InputError, match=r"no light in .*--frames"):
        compared(tmp_path / "run", tmp_path / "run")
    with pytest.raises(InputError, match="no such folder"):
        compared(tmp_path / "run", tmp_path / "none")


def test_the_report_names_the_folder_of_lights_and_no_reference_frame(
    folders: tuple[Path, Path, list[Image]],
) -> None:
    masters, lights, images = folders
    write_light(lights / "Light_S50_1a2b3c4d.fit", images[3])
    write_master(masters / "a.fits", images[3], frames=5, ZMT_REF="Light_S50_1a2b3c4d.fit")
    report = compared(masters, lights)
    assert report.options == (("frames", "lights"),)
    assert report.result("masters").lights == 6
    for private in ("1a2b3c4d", str(lights)):
        assert private not in repr(report)
        assert private not in render_markdown(report)


# ------------------------------------------------------------------------------------------------------- noise


def noisy(masters: Path, tile_id: int, frames: int, noise: float, **cards: Any) -> None:
    image = star_field(SHAPE, seed=tile_id, stars=10)
    image += np.random.default_rng(tile_id).normal(0, noise, SHAPE).astype(np.float32)
    known = {"EXPTOTAL": 10.0 * frames} | cards
    write_master(masters / f"{tile_id}.fits", image, tile_id=tile_id, frames=frames, **known)


def test_noise_that_did_not_fall_is_told_against_the_neighbours(tmp_path: Path) -> None:
    noisy(tmp_path, 1, 5, 100)
    noisy(tmp_path, 2, 20, 50)
    noisy(tmp_path, 3, 40, 100)
    noisy(tmp_path, 4, 40, 100, EXPTOTAL=1200.0)  # of longer frames
    noisy(tmp_path, 5, 10, 100)  # of too few more
    noisy(tmp_path, 6, 40, 100, EXPTOTAL=None)
    report = measured(tmp_path)
    assert [(finding.code, finding.tile_id) for finding in report.findings] == [("ZD314", 3)]
    assert "with 40 frames; 1 master of 5 frames: " in report.findings[0].message
    assert exit_code(report) == 0


def test_noise_that_did_not_fall_is_told_against_a_light(folders: tuple[Path, Path, list[Image]]) -> None:
    masters, lights, images = folders
    write_master(masters / "1.fits", padded(images[3]), tile_id=1, frames=5, ZMT_REF="away.fit", EXPTOTAL=50.0)
    stack = np.mean(images, axis=0).astype(np.float32)
    write_master(masters / "2.fits", padded(stack), tile_id=2, frames=5, ZMT_REF="away.fit", EXPTOTAL=50.0)
    write_master(masters / "3.fits", padded(images[3]), tile_id=3, frames=5, ZMT_REF="away.fit", EXPTOTAL=5000.0)
    report = compared(masters, lights)
    found = [(finding.code, finding.tile_id) for finding in report.findings]
    assert found == [("ZD314", 1), ("ZD315", 1), ("ZD315", 2), ("ZD315", 3)]
    assert "a light: " in report.findings[0].message
