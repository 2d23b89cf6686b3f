from __future__ import annotations

import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from fixtures import make_fixtures
from zemo_diagnostics.demo import sample_groups
from zemo_diagnostics.demo.sample_groups import SAMPLE_GROUPS, SampleGroup, find_group, write_group

FIXTURES = Path(make_fixtures.__file__).resolve().parent
FOLDERS = [*(group.name for group in SAMPLE_GROUPS), "phase3", "compressed", "rgb_cubes", "unusable"]
CARDS_OF_A_LIGHT = """
    SIMPLE BITPIX NAXIS NAXIS1 NAXIS2 EXTEND COMMENT COMMENT BZERO BSCALE CREATOR PRODUCER XORGSUBF YORGSUBF
    FOCALLEN APERTURE EQMODE PROGRAM XBINNING YBINNING CCDXBIN CCDYBIN XPIXSZ YPIXSZ IMAGETYP EXPOSURE EXPTIME
    CCD-TEMP RA DEC SITELONG SITELAT DATE-OBS FILTER INSTRUME BAYERPAT GAIN FOCUSPOS TELESCOP OBJECT TOTALEXP END
"""
INVENTED = {"SITELAT": "45.6789", "SITELONG": "-34.5678"}


def cards_of(path: Path) -> list[str]:
    header = path.read_bytes()[:5760].decode("ascii")
    cards = [header[at : at + 80] for at in range(0, 5760, 80)]
    return cards[: [card.rstrip() for card in cards].index("END") + 1]


def frames_of(folder: str) -> list[Path]:
    return sorted(path for path in (FIXTURES / folder).rglob("*") if path.is_file())


def images() -> Iterator[tuple[Path, Any, Any]]:
    for folder in FOLDERS:
        for path in frames_of(folder):
            if folder == "unusable" or path.suffix == ".npy":
                continue
            with fits.open(path) as hdus:
                hdu = hdus[0] if hdus[0].data is not None else hdus[1]
                yield path, hdu.header, hdu.data


def test_the_fixtures_are_what_the_script_makes() -> None:
    assert make_fixtures.differences(FIXTURES) == []


def test_a_changed_a_missing_and_a_foreign_file_are_named(tmp_path: Path) -> None:
    for folder in FOLDERS:
        shutil.copytree(FIXTURES / folder, tmp_path / folder)
    changed, missing = frames_of("eq_only")[:2]
    copy = tmp_path / "eq_only" / changed.name
    copy.write_bytes(copy.read_bytes()[:-2881] + b"x" + copy.read_bytes()[-2880:])
    (tmp_path / "eq_only" / missing.name).unlink()
    (tmp_path / "hard" / "other.fit").write_bytes(b"")
    assert make_fixtures.differences(tmp_path) == [
        f"missing: eq_only/{missing.name}",
        "not a fixture: hard/other.fit",
        f"differs: eq_only/{changed.name}",
    ]


def test_the_script_writes_checks_and_overwrites_nothing(tmp_path: Path) -> None:
    script = str(FIXTURES / "make_fixtures.py")

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, script, "--out", str(tmp_path), *options], capture_output=True, text=True, check=False
        )

    assert run().returncode == 0
    again = run()
    assert again.returncode == 1
    assert "every folder is there already" in again.stderr
    shutil.rmtree(tmp_path / "hard")
    assert len(run().stdout.splitlines()) == 7
    assert run("--check").returncode == 0


def test_the_fixtures_are_small() -> None:
    assert sum(path.stat().st_size for folder in FOLDERS for path in frames_of(folder)) < 6_000_000


def test_the_readme_has_a_line_for_each_folder_and_no_other() -> None:
    text = (FIXTURES / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE) == FOLDERS
    made = [path.name for path in FIXTURES.iterdir() if path.is_dir() and not path.name.startswith("__")]
    assert sorted(made) == sorted(FOLDERS)


@pytest.mark.parametrize("folder", ["eq_only", "altaz_only", "mixed_by_tile", "mixed_one_folder", "no_eqmode", "hard"])
def test_cards_stand_in_the_telescopes_order(folder: str) -> None:
    expected = [key for key in CARDS_OF_A_LIGHT.split() if folder != "no_eqmode" or key != "EQMODE"]
    for path in frames_of(folder):
        assert [card[:8].strip() for card in cards_of(path)] == expected


def test_cards_look_as_the_telescope_writes_them() -> None:
    cards = {card[:8].strip(): card for card in cards_of(frames_of("eq_only")[0])}
    for text in (
        "BZERO   =                32768 / offset data range to that of unsigned short",
        "APERTURE=                   5. / Name of field of view aperture",
        "EQMODE  =                    1 / Equatorial mode",
        "PROGRAM = '4.70    '           / The name of the software task that created the",
        "XPIXSZ  =     2.90000009536743 / pixel size in microns (with binning)",
        "EXPTIME =                  10. / Exposure time in seconds",
        "INSTRUME= 'Seestar S50'        / Camera model",
    ):
        assert cards[text[:8].strip()] == text.ljust(80)


def test_no_header_holds_a_real_site_or_serial() -> None:
    for folder in FOLDERS:
        for path in frames_of(folder):
            text = path.read_bytes().decode("latin-1")
            for key, value in INVENTED.items():
                assert set(re.findall(rf"{key:<8}= +(\S+) /", text)) <= {value}, path
            assert set(re.findall(r"TELESCOP= '([^']+)'", text)) <= {"S50_0badcafe", "Seestar S50"}, path
            assert not re.search(r"OBSERVER|AUTHOR|USERNAME|MACADDR|/home|/Users|[A-Z]:\\", text), path


def test_every_image_opens_without_a_warning() -> None:
    shapes: dict[str, set[tuple[int, ...]]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path, header, data in images():
            pierced = path.parent.name == "tile_05_eq_pierced"
            assert data.dtype == (np.float32 if pierced else np.uint16), path
            assert header["INSTRUME"] == "Seestar S50", path
            shapes.setdefault(path.relative_to(FIXTURES).parts[0], set()).add(data.shape)
    assert shapes["eq_only"] == {(192, 108)}
    assert shapes["hard"] == {(96, 54), (54, 96)}
    assert shapes["rgb_cubes"] == {(3, 96, 54)}


def test_lights_have_a_header_of_two_blocks_and_names_with_the_local_time() -> None:
    for path in frames_of("eq_only"):
        with fits.open(path) as hdus:
            assert hdus[0].fileinfo()["datLoc"] == 5760
            utc = hdus[0].header["DATE-OBS"]
        assert path.name.startswith("Light_M 16_10.0s_IRCUT_20250711-22")
        assert utc.startswith("2025-07-12T00:")


def test_modes_stand_where_the_names_say() -> None:
    found: dict[str, set[object]] = {}
    for path, header, _ in images():
        if path.parent.name == "odd_values":
            continue
        found.setdefault(path.relative_to(FIXTURES).parent.as_posix(), set()).add(header.get("EQMODE"))
    assert found["eq_only"] == found["compressed"] == found["mixed_by_tile/tile_03_eq"] == {1}
    assert found["altaz_only"] == found["mixed_by_tile/tile_02_altaz"] == {0}
    assert found["mixed_one_folder"] == {0, 1}
    assert found["no_eqmode"] == {None}


def test_pointings_of_one_folder_lie_more_than_a_panel_apart_or_together() -> None:
    pointings: dict[tuple[float, float], list[int]] = {}
    for path in frames_of("mixed_one_folder"):
        header = fits.getheader(path)
        pointings.setdefault((header["RA"], header["DEC"]), []).append(header["EQMODE"])
    assert list(pointings.values()) == [[1] * 4, [0] * 4, [0, 0, 1, 1, 1, 1]]
    for ra, dec in pointings:
        for other_ra, other_dec in pointings:
            apart = np.hypot((ra - other_ra) * np.cos(np.radians(dec)), dec - other_dec)
            assert apart == 0 or apart > 0.1


def test_odd_values_are_odd_as_their_names_say() -> None:
    paths = {path.name.split("_")[1].removeprefix("EQMODE "): path for path in frames_of("odd_values")}
    assert sorted(paths) == sorted(label for label, _ in sample_groups.ODD_EQMODES)
    values = {label: fits.getheader(path).get("EQMODE") for label, path in paths.items() if label != "unquoted"}
    assert values["text 1"] == "1"
    assert values["logical true"] is True
    assert values["two"] == 2
    assert values["twice 1 then 0"] == 1
    assert values["undefined"] is None
    assert "EQMODE" in fits.getheader(paths["undefined"])
    assert "EQMODE" not in fits.getheader(paths["in a comment"])
    with pytest.raises(fits.VerifyError):
        fits.getheader(paths["unquoted"]).get("EQMODE")


def test_cached_arrays_are_float32_with_nan_where_a_frame_does_not_reach() -> None:
    arrays = [np.load(path) for path in frames_of("npy_cache")]
    assert {array.shape for array in arrays} == {(96, 54, 3)}
    assert {array.dtype for array in arrays} == {np.dtype("<f4")}
    missing = [float(np.isnan(array).mean()) for array in arrays]
    assert missing[0] == 0
    assert all(0.01 < part < 0.4 for part in missing[1:])


def test_dead_frames_are_dead() -> None:
    values = [np.unique(fits.getdata(path)) for path in frames_of("hard")]
    assert [value.tolist() for value in values if len(value) == 1] == [[0], [1000]]


def test_compressed_frames_hold_the_pixels_of_the_plain_ones() -> None:
    plain = [data for _, data in sample_groups.group_files(make_fixtures.COMPRESSED)]
    paths = frames_of("compressed")
    suffixes = [path.name.rpartition("-")[2].partition(".")[2] for path in paths]
    assert suffixes == ["fit.gz", "fit.fz", "FITS", "FIT.GZ", "fts"]
    for path, data in zip(paths, plain, strict=True):
        with fits.open(path) as hdus:
            image = hdus[1 if path.suffix == ".fz" else 0].data
        np.testing.assert_array_equal(image, fits.HDUList.fromstring(data)[0].data)


def test_unusable_files_hold_no_frame() -> None:
    for path in frames_of("unusable"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert not holds_a_frame(path), path


def holds_a_frame(path: Path) -> bool:
    try:
        if path.suffix == ".npy":
            return bool(np.load(path).ndim > 1)
        with fits.open(path, memmap=False) as hdus:
            return any(hdu.is_image and hdu.data is not None and hdu.data.size for hdu in hdus)
    except (OSError, ValueError, TypeError, EOFError, MemoryError):
        return False


@pytest.mark.parametrize("group", SAMPLE_GROUPS, ids=lambda group: group.name)
def test_a_group_can_have_any_number_of_frames(group: SampleGroup, tmp_path: Path) -> None:
    paths = write_group(group, tmp_path, frames=70, shape=(8, 6))
    assert len(paths) == len(set(paths)) == 70 * len(group.tiles)


def test_a_frame_does_not_depend_on_how_many_there_are(tmp_path: Path) -> None:
    few = write_group("mixed_by_tile", tmp_path / "few", frames=2, shape=(24, 14))
    many = write_group(find_group("mixed_by_tile"), tmp_path / "many", frames=5, shape=(24, 14))
    assert [path.name for path in few[:2]] == [path.name for path in many[:2]]
    assert [path.read_bytes() for path in few[2:4]] == [path.read_bytes() for path in many[5:7]]


def test_another_seed_gives_another_sky(tmp_path: Path) -> None:
    first = write_group("eq_only", tmp_path / "a", frames=1)[0].read_bytes()
    second = write_group("eq_only", tmp_path / "b", frames=1, seed=2)[0].read_bytes()
    assert first[5760:] != second[5760:]


def test_the_demo_group_is_a_folder_per_tile_of_both_modes(tmp_path: Path) -> None:
    paths = write_group(sample_groups.DEMO_GROUP, tmp_path, frames=1)
    assert [path.parent.name for path in paths] == ["tile_01_eq", "tile_02_altaz", "tile_03_eq", "tile_04_altaz"]
    assert [fits.getheader(path)["EQMODE"] for path in paths] == [1, 0, 1, 0]
    assert fits.getdata(paths[0]).shape == sample_groups.DEMO_GROUP.shape


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = write_group("eq_only", tmp_path, frames=1, shape=(8, 6))[0]
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        write_group("eq_only", tmp_path, frames=1, shape=(8, 6))
    assert path.read_bytes() == b"mine"


def test_an_unknown_group_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no sample group is called 'nope'; there are: eq_only, altaz_only"):
        find_group("nope")
