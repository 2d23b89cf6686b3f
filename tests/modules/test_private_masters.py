"""Nothing in a master, a stack, a log or a record says where, by whom, or with which telescope frames were taken."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

import zemo_diag
import zemosaic_worker as worker
from tests.phase3.test_command import EQ_TILE, Ran, astray, write_lights
from tests.sample_phase3 import save_group, shifted_frames
from zemo_diagnostics.phase3 import making as phase3_making
from zemo_diagnostics.phase3 import run as phase3_run
from zemo_diagnostics.redaction import PrivateWords
from zemo_diagnostics.stack import stacking

USER = "annabell"
SERIAL = "5ca1ab1e"

# Everything that a program may write into a header, or into the WCS, of the place, the owner and the telescope.
PRIVATE_CARDS: dict[str, Any] = {
    "SITELAT": 51.23451, "SITELONG": "-8 13 24.68", "SITEELEV": 413.57, "SITENAME": "Canaryfield", "LAT-OBS": 51.23452,
    "LONG-OBS": -8.13571, "ALT-OBS": 413.58, "LATITUDE": 51.23453, "LONGITUD": -8.13572, "CITY": "Canarytown",
    "STATE": "Canarystate", "COUNTRY": "Canaryland", "OBSERVER": "Canary One", "OBSID": "canary-1", "AUTHOR": "Canary",
    "USERNAME": "canary", "OBSERVAT": "Canary Observatory", "MACADDR": "ca:na:ry", "TELESCOP": f"S50_{SERIAL}",
    "OBSGEO-X": 3976543.21, "OBSGEO-Y": -567891.23, "OBSGEO-Z": 4948765.43, "OBSGEO-B": 51.23454,
    "OBSGEO-L": -8.13573, "OBSGEO-H": 413.59, "OBSORBIT": "canary.orb", "WCSNAME": "Canary's", "CNAME1": "Canary A",
    "PLEPHEM": "canary", "TREFDIR": "canary", "AIRMASS": 1.234567, "ALTITUDE": 54.321987, "AZIMUTH": 123.456789,
}  # fmt: skip
CANARIES = re.compile(
    rb"canary|51\.2345|-8\.1357|-8 13 24|413\.5|3976543|567891|4948765|ca:na:ry|1\.234567|54\.3219|123\.4567|"
    + f"{SERIAL}|{USER}".encode(),
    re.IGNORECASE,
)

# What a header of ours may hold.
MASTER_CARDS = re.compile(
    "SIMPLE|XTENSION|BITPIX|NAXIS[123]?|EXTEND|[PG]COUNT|EXTNAME|ALPHAEXT|ZMT_[A-Z]+|MT_NFRAMES|EXPTIME|OBJECT|FILTER|"
    "INSTRUME|CREATOR|GAIN|EQMODE|DATE-OBS|MJD-OBS|MJDREF|CCD-TEMP|FOCALLEN|[XY]PIXSZ|RA|DEC|WCSAXES|LONPOLE|LATPOLE|"
    "RADESYS|EQUINOX|(CTYPE|CRVAL|CRPIX|CDELT|CUNIT)[12]|(PC|CD)[12]_[12]|[AB]P?_(ORDER|[0-9]_[0-9])"
)


def solution(ra_deg: float = 274.7, dec_deg: float = -13.79) -> fits.Header:
    """A solution as a plate solver writes it, with distortions."""
    header = fits.Header([("CTYPE1", "RA---TAN-SIP"), ("CTYPE2", "DEC--TAN-SIP"), ("CUNIT1", "deg"), ("CUNIT2", "deg")])
    header.update({"CRPIX1": 60.0, "CRPIX2": 80.0, "CRVAL1": ra_deg, "CRVAL2": dec_deg, "RADESYS": "FK5"})
    header.update({"CD1_1": -6.6e-4, "CD1_2": 1e-6, "CD2_1": 1e-6, "CD2_2": 6.6e-4, "EQUINOX": 2000.0})
    header.update({f"{key}_ORDER": 2 for key in ("A", "B", "AP", "BP")})
    header.update({"A_2_0": 1e-6, "B_0_2": 2e-6, "AP_2_0": -1e-6, "BP_0_2": -2e-6, "MJD-OBS": 60868.02})
    return header


@pytest.fixture
def lights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give solved frames whose headers and names say everything: one tile, and one frame for a retry tile."""
    private = PrivateWords(users=(USER,))
    for module in (phase3_run, phase3_making, stacking):
        monkeypatch.setattr(module, "private_words", lambda: private)
    folder = write_lights(tmp_path / f"{USER} lights", EQ_TILE, astray(EQ_TILE, 1))
    for path in sorted(folder.rglob("*.fit")):
        with fits.open(path, mode="update", output_verify="silentfix") as hdus:
            hdus[0].header.update(solution(hdus[0].header["RA"], hdus[0].header["DEC"]))
            hdus[0].header.update(PRIVATE_CARDS)
            hdus[0].header.update({"INSTRUME": f"Seestar S50_{SERIAL}", "CREATOR": f"S50-{SERIAL}"})
            hdus[0].header["COMMENT"] = f"/home/{USER}/canary"
        path.rename(path.with_name(path.name.replace("Light", f"Light_{USER}")))
    return folder


def test_no_master_and_nothing_beside_it_says_anything_private(lights: Path, tmp_path: Path) -> None:
    ran = Ran(lights, tmp_path / "out")
    assert [(tile["tile_id"], tile["retry_of"]) for tile in ran.run["tiles"]] == [(1, None), (2, 1)]
    files = [path for path in ran.out.rglob("*") if path.is_file() and path.suffix != ".png"]
    assert len(files) == 8
    for path in files:
        assert CANARIES.findall(path.read_bytes()) == [], path.name
    for path in ran.out.rglob("*.fits"):
        with fits.open(path) as hdus:
            keys = {key for hdu in hdus for key in hdu.header}
            assert [key for key in keys if not MASTER_CARDS.fullmatch(key)] == []
            header = hdus[0].header
            assert (header["INSTRUME"], header["CREATOR"]) == ("Seestar S50", "S50")
            assert re.fullmatch(r"Light_<user>_M 16_10\.0s_IRCUT_\d{8}-\d{6}\.fit", header["ZMT_REF"])
            expected = WCS(solution(header["RA"], header["DEC"]), fix=False).pixel_to_world_values(10, 150)
            np.testing.assert_allclose(WCS(header, naxis=2, fix=False).pixel_to_world_values(10, 150), expected)


def test_no_stack_says_anything_private(lights: Path, tmp_path: Path) -> None:
    for path in lights.rglob("*.fit"):
        fits.setval(path, "OBJECT", value=f"M 16 of {USER}")
    assert zemo_diag.run(["stack", str(lights), "-o", str(tmp_path / "stack.fits"), "-q"]) == 0
    assert CANARIES.findall((tmp_path / "stack.fits").read_bytes()) == []
    header = fits.getheader(tmp_path / "stack.fits")
    assert (header["INSTRUME"], header["OBJECT"]) == ("Seestar S50", "M 16 of <user>")


def test_the_folder_is_known_again_by_its_redacted_name(
    lights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Ran(lights, tmp_path / "out", "--only", "patched")
    assert Ran(lights, tmp_path / "out", "--only", "patched").run["kept"] == 2
    capsys.readouterr()
    lights.rename(tmp_path / "others")
    assert Ran(tmp_path / "others", tmp_path / "out").code == 2
    assert "folder=<user> lights" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------ card by card


def header_of(folder: Path, *, wcs: Any = None, **cards: Any) -> fits.Header:
    """The header of a master of two cached frames, as Phase 1 leaves them."""
    group = save_group(folder / "frames", shifted_frames(2))
    for entry in group:
        entry["header"].update(cards)
        entry["wcs"] = wcs
    made, _ = worker.create_master_tile(group, 1, folder / "out")
    assert made is not None
    return fits.getheader(made[0])


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Seestar S50", "Seestar S50"),
        ("Seestar S50_1a2b3c4d", "Seestar S50"),
        ("S30-abcdef12", "S30"),
        ("ZWO Seestar S50 (S50_0BADCAFE)", "ZWO Seestar S50 (S50)"),
        ("Seestar S30 Pro #0badcafe01", "Seestar S30 Pro"),
        ("imx585", "imx585"),
        ("ZWO ASI2600MM Pro", "ZWO ASI2600MM Pro"),
        ("N.I.N.A. 3.1.2.9001 (x64)", "N.I.N.A. 3.1.2.9001 (x64)"),
        ("Canon EOS 6D facade", "Canon EOS 6D facade"),
    ],
)
def test_a_model_loses_its_serial_and_nothing_else(written: str, kept: str) -> None:
    assert worker._SERIAL.sub("", written) == kept


def test_a_model_that_is_a_serial_alone_is_left_out(tmp_path: Path) -> None:
    header = header_of(tmp_path, INSTRUME="1a2b3c4d", CREATOR="imx585")
    assert "INSTRUME" not in header
    assert header["CREATOR"] == "imx585"


def test_the_wcs_of_an_entry_brings_no_place(tmp_path: Path) -> None:
    cards = solution()
    cards.update(PRIVATE_CARDS)
    header = header_of(tmp_path, wcs=WCS(cards, fix=False))
    assert [key for key in header if not MASTER_CARDS.fullmatch(key)] == []
    assert header["MJD-OBS"] == 60868.02
    assert (header["CTYPE1"], header["A_2_0"], header["BP_0_2"]) == ("RA---TAN-SIP", 1e-6, -2e-6)


@pytest.mark.parametrize(
    "cards",
    [
        {"CTYPE1": "RA---TPV", "CTYPE2": "DEC--TPV", "PV1_1": 1.0, "PV1_4": 1e-3, "PV2_1": 1.0, "PV2_4": -2e-3},
        {"CTYPE1": "RA---ZPN", "CTYPE2": "DEC--ZPN", "PV2_1": 1.0, "PV2_3": 10.0},
        {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "LONPOLE": 170.0, "LATPOLE": 12.0},
        {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "RADESYS": "FK4", "EQUINOX": 1950.0},
    ],
    ids=["TPV", "ZPN", "poles", "FK4"],
)
def test_a_solution_points_to_the_same_place_afterwards(cards: dict[str, Any], tmp_path: Path) -> None:
    header = fits.Header([(key, value) for key, value in solution().items() if not re.match("[AB]P?_", key)])
    header.update(cards)
    wcs = WCS(header, naxis=2, fix=False)
    made = WCS(header_of(tmp_path, wcs=wcs), naxis=2, fix=False)
    for pixel in (0, 0), (100, 150):
        np.testing.assert_allclose(made.pixel_to_world_values(*pixel), wcs.pixel_to_world_values(*pixel), rtol=1e-12)
    assert (made.wcs.radesys, made.wcs.equinox) == (wcs.wcs.radesys, wcs.wcs.equinox)


def test_the_real_frames_say_nothing_private(real_data: Any, tmp_path: Path) -> None:
    paths = sorted(real_data("seestar_s50_ngc7023_mixed").glob("*.fit"))
    headers = [fits.getheader(path) for path in paths]
    group = [{"path_raw": str(path), "header": header} for path, header in zip(paths, headers, strict=True)]
    made, _ = worker.create_master_tile(group[:2], 1, tmp_path)
    assert made is not None
    header = fits.getheader(made[0])
    assert [key for key in header if not MASTER_CARDS.fullmatch(key)] == []
    private = {headers[1].get(key) for key in ("SITELAT", "SITELONG", "TELESCOP")} - {None, "Seestar S50"}
    assert not private & set(header.values())
