"""Groups of simulated frames with Seestar headers: fixtures, demo, tests and benchmarks draw on one list.

A group is data: tiles, each with its mount, pointing, firmware and what its EQMODE card says. `write_group`
turns one into files, at any size. The files are put together card by card, as the telescope orders and
spaces them, because a FITS library may order, format or date cards otherwise in its next version.

Site, serial and field are invented: the site lies in the open Atlantic.
"""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import numpy.typing as npt

from zemo_diagnostics.demo import simulator
from zemo_diagnostics.demo.simulator import Camera, Mount, Shape, Shot, Sky
from zemo_diagnostics.zemosaic.mount_mode import Mode

SITE_LATITUDE_DEG, SITE_LONGITUDE_DEG = 45.6789, -34.5678
LOCAL_TIME_OFFSET = timedelta(hours=-2)
SERIAL = "S50_0badcafe"
FIELD_RA_DEG, FIELD_DEC_DEG = 274.7, -13.79
EXPOSURE_S, PIXEL_UM = 10.0, 2.90000009536743
SKY_MARGIN_DEG = 0.05
CONSTANT_ADU = 1000
PIERCED_EVERY = 3  # rows and columns from one dead pixel to the next
FITS_BLOCK_BYTES, CARD_BYTES = 2880, 80

Kind = Literal["light", "zero", "constant", "turned", "pierced"]


@dataclass(frozen=True, kw_only=True)
class SampleTile:
    """Frames of one pointing and one mount, taken one after the other.

    ``offset_deg`` is the offset of the pointing from the field's centre in RA and Dec.
    ``eqmode`` holds the EQMODE cards as they stand in the file, 80 columns at most each; None means what
    the firmware writes: nothing before 4.70, else 1 or 0 after the mount. ``kind`` is "light", a dead frame
    ("zero", "constant"), or "turned": a light whose height and width are exchanged. ``dither_px`` is the
    half-width of the mount's random steps.
    """

    mode: Mode
    start_utc: str
    frames: int = 4
    folder: str = ""
    offset_deg: tuple[float, float] = (0.0, 0.0)
    cadence_s: float = 60.0
    firmware: Literal["2.76", "4.43", "4.70"] = "4.70"
    object_name: str = "M 16"
    eqmode: tuple[str, ...] | None = None
    kind: Kind = "light"
    dither_px: float = 2.0


@dataclass(frozen=True, kw_only=True)
class SampleGroup:
    """A folder of frames: its name, what it is, its tiles, the frames' shape ``(H, W)`` and file form.

    Form "fits" is the raw Bayer frame, "npy" the float32 ``(H, W, 3)`` array, aligned on each tile's first
    frame and NaN where a frame does not reach. ``stars_per_deg2`` is the sky's.
    """

    name: str
    description: str
    tiles: tuple[SampleTile, ...]
    shape: Shape = (96, 54)
    form: Literal["fits", "npy"] = "fits"
    stars_per_deg2: float = 6000.0


def eqmode_card(value: str) -> str:
    """Return an EQMODE card with this text in the place of its value."""
    return f"EQMODE  = {value:>20} / Equatorial mode"


ODD_EQMODES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("text 1", (eqmode_card("'1       '"),)),
    ("text 0 and blank", (eqmode_card("'0 '"),)),
    ("real 1", (eqmode_card("1.0"),)),
    ("real 0", (eqmode_card("0.0"),)),
    ("real one half", (eqmode_card("0.5"),)),
    ("two", (eqmode_card("2"),)),
    ("minus one", (eqmode_card("-1"),)),
    ("text EQ", (eqmode_card("'EQ      '"),)),
    ("text 1.0", (eqmode_card("'1.0     '"),)),
    ("empty text", (eqmode_card("''"),)),
    ("logical true", (eqmode_card("T"),)),
    ("undefined", (eqmode_card(""),)),
    ("unquoted", (eqmode_card("EQ"),)),
    ("twice 1 then 0", (eqmode_card("1"), eqmode_card("0"))),
    ("in a comment", ("COMMENT EQMODE = 1",)),
)
"""What each file of `odd_values` says, and its EQMODE cards."""


def _odd_tiles() -> Iterator[SampleTile]:
    for minute, (label, cards) in enumerate(ODD_EQMODES):
        start = f"2025-07-12T03:{minute:02d}:00"
        yield SampleTile(mode=Mode.EQ, start_utc=start, frames=1, object_name=f"EQMODE {label}", eqmode=cards)


# Tiles of one folder start at different seconds of a minute, and cadences are whole minutes: however many
# frames are asked for, no two get one name.
SAMPLE_GROUPS: tuple[SampleGroup, ...] = (
    SampleGroup(
        name="eq_only",
        description="one equatorial tile: drift and dither, no rotation",
        tiles=(SampleTile(mode=Mode.EQ, start_utc="2025-07-12T00:10:00", frames=8),),
        shape=(192, 108),
    ),
    SampleGroup(
        name="altaz_only",
        description="one alt-az tile: the field turns by three degrees",
        tiles=(SampleTile(mode=Mode.ALT_AZ, start_utc="2025-07-12T01:00:20", frames=6, cadence_s=180.0),),
        shape=(192, 108),
    ),
    SampleGroup(
        name="mixed_by_tile",
        description="a folder per tile, equatorial and alt-az in turn",
        tiles=(
            SampleTile(
                mode=Mode.EQ, start_utc="2025-07-12T00:10:00", frames=4, folder="tile_01_eq", offset_deg=(0.0, 0.0)
            ),
            SampleTile(
                mode=Mode.ALT_AZ,
                start_utc="2025-07-12T01:00:20",
                frames=4,
                folder="tile_02_altaz",
                offset_deg=(0.12, 0.0),
                cadence_s=180.0,
            ),
            SampleTile(
                mode=Mode.EQ, start_utc="2025-07-13T00:10:00", frames=4, folder="tile_03_eq", offset_deg=(0.0, 0.2)
            ),
            SampleTile(
                mode=Mode.ALT_AZ,
                start_utc="2025-07-13T01:00:20",
                frames=4,
                folder="tile_04_altaz",
                offset_deg=(0.12, 0.2),
                cadence_s=180.0,
            ),
        ),
        shape=(128, 72),
    ),
    SampleGroup(
        name="mixed_one_folder",
        description="three pointings in one folder: equatorial, alt-az, and both with the alt-az frames first",
        tiles=(
            SampleTile(mode=Mode.EQ, start_utc="2025-07-12T00:10:00"),
            SampleTile(mode=Mode.ALT_AZ, start_utc="2025-07-12T01:00:20", offset_deg=(0.15, 0.0)),
            SampleTile(mode=Mode.ALT_AZ, start_utc="2025-07-12T02:00:30", frames=2, offset_deg=(0.0, 0.2)),
            SampleTile(mode=Mode.EQ, start_utc="2025-07-12T02:30:10", offset_deg=(0.0, 0.2)),
        ),
    ),
    SampleGroup(
        name="no_eqmode",
        description="two pointings from firmware that writes no EQMODE: one turns, one does not",
        tiles=(
            SampleTile(mode=Mode.ALT_AZ, start_utc="2024-07-12T01:00:20", cadence_s=180.0, firmware="2.76"),
            SampleTile(mode=Mode.EQ, start_utc="2025-03-12T08:00:00", offset_deg=(0.15, 0.0), firmware="4.43"),
        ),
    ),
    SampleGroup(
        name="odd_values",
        description="one file for each odd way to write EQMODE",
        tiles=tuple(_odd_tiles()),
        shape=(48, 28),
    ),
    SampleGroup(
        name="npy_cache",
        description="float32 (H, W, 3) arrays on one grid, with NaN where a frame does not reach",
        tiles=(SampleTile(mode=Mode.ALT_AZ, start_utc="2025-07-12T01:00:20", cadence_s=300.0),),
        form="npy",
    ),
    SampleGroup(
        name="hard",
        description="one tile with an all-zero frame, a constant frame and a frame of another shape among good ones",
        tiles=(
            SampleTile(mode=Mode.EQ, start_utc="2025-07-12T00:10:00"),
            SampleTile(mode=Mode.EQ, start_utc="2025-07-12T00:20:10", frames=1, kind="zero"),
            SampleTile(mode=Mode.EQ, start_utc="2025-07-12T00:21:20", frames=1, kind="constant"),
            SampleTile(mode=Mode.EQ, start_utc="2025-07-12T00:22:30", frames=1, kind="turned"),
        ),
    ),
)
"""The groups that can be written at any size, in the order of the fixtures."""

DEMO_GROUP: SampleGroup = replace(
    next(group for group in SAMPLE_GROUPS if group.name == "mixed_by_tile"), name="demo", shape=(480, 270)
)
"""The group of the demo: mixed, with a folder per tile; `write_group(DEMO_GROUP, folder, frames=12)`."""


PHASE3_SHAPE: Shape = (320, 180)


def _two_by_two(
    mode: Mode, folder: str, start_utc: str, overlap: float, center_deg: tuple[float, float]
) -> Iterator[SampleTile]:
    """Give a mosaic of two by two pointings, a frame each, with one frame of the middle in between.

    Neighbours overlap by a fraction of the frame's width: pixels that more than one pointing covers form a cross.
    """
    start = datetime.fromisoformat(start_utc).replace(tzinfo=timezone.utc)
    angle = 0.0
    if mode == Mode.ALT_AZ:  # the frame's sides follow the horizon, and so must the pointings
        middle = simulator.hour_angle_deg(start + timedelta(minutes=5), SITE_LONGITUDE_DEG, FIELD_RA_DEG)
        angle = math.radians(simulator.parallactic_angle_deg(SITE_LATITUDE_DEG, middle, FIELD_DEC_DEG))
    height, width = PHASE3_SHAPE
    right, down = (width - overlap * width) / 2, (height - overlap * width) / 2
    degrees_per_px = Camera().arcsec_per_px / 3600
    corners = ((-1, -1), (1, -1), (0, 0), (1, 1), (-1, 1))
    for step, (across, along) in enumerate(corners):
        x, y = across * right, along * down
        east = -(x * math.cos(angle) + y * math.sin(angle)) * degrees_per_px
        north = (x * math.sin(angle) - y * math.cos(angle)) * degrees_per_px
        offset = (
            round(center_deg[0] + east / math.cos(math.radians(FIELD_DEC_DEG)), 5),
            round(center_deg[1] + north, 5),
        )
        begins = f"{start + timedelta(seconds=130 * step):%Y-%m-%dT%H:%M:%S}"
        yield SampleTile(mode=mode, start_utc=begins, frames=1, folder=folder, offset_deg=offset, dither_px=0.25)


PHASE3_GROUP = SampleGroup(
    name="phase3",
    description="five tiles for master tiles before and after the patch: three equatorial, two alt-az",
    tiles=(
        *_two_by_two(Mode.EQ, "tile_01_eq_wide", "2025-07-12T00:10:00", 0.075, (0.0, 0.0)),
        SampleTile(mode=Mode.EQ, start_utc="2025-07-12T00:30:00", frames=7, folder="tile_02_eq_dithered"),
        SampleTile(
            mode=Mode.ALT_AZ, start_utc="2025-07-12T01:00:20", frames=8, folder="tile_03_altaz_turning", cadence_s=720.0
        ),
        *_two_by_two(Mode.ALT_AZ, "tile_04_altaz_wide", "2025-07-12T02:30:20", 0.05, (0.0, 0.0)),
        SampleTile(
            mode=Mode.EQ,
            start_utc="2025-07-12T00:50:00",
            frames=4,
            folder="tile_05_eq_pierced",
            kind="pierced",
            dither_px=0.0,
        ),
    ),
    shape=PHASE3_SHAPE,
    stars_per_deg2=24000.0,
)
"""What Phase 3 makes of real coverage. Before the patch the mask leaves one frame's light, and nothing of the third.

- ``tile_01_eq_wide``: a mosaic of pointings in one equatorial tile. Only a cross a few pixels wide is covered well; it
  passes the 10 % guard, and its soft edge blanks nearly all of it: the rule alone loses the tile.
- ``tile_02_eq_dithered``: good coverage; by the rule alone the tile loses a margin.
- ``tile_03_altaz_turning``: the field turns by 17 degrees, and the cleanup removes the ragged corners.
- ``tile_04_altaz_wide``: the cross is narrower than 10 % of the tile: the guard drops the mask.
- ``tile_05_eq_pierced``: dead pixels are marked missing: unknown with the patch, and 0 in ZeMosaic.
"""


def find_group(name: str) -> SampleGroup:
    """Return the group of `SAMPLE_GROUPS`, or `PHASE3_GROUP`, with this name; raise ValueError where there is none."""
    for group in (*SAMPLE_GROUPS, PHASE3_GROUP):
        if group.name == name:
            return group
    known = ", ".join(group.name for group in (*SAMPLE_GROUPS, PHASE3_GROUP))
    raise ValueError(f"no sample group is called {name!r}; there are: {known}")


def write_group(
    group: str | SampleGroup,
    folder: Path,
    *,
    frames: int | None = None,
    shape: Shape | None = None,
    seed: int = 1,
) -> list[Path]:
    """Write the frames of a group into a folder, which is made if needed.

    Parameters
    ----------
    group : str or SampleGroup
        A group, or the name of one in `SAMPLE_GROUPS`.
    folder : Path
        Where the frames go; tiles with a folder of their own get a sub-folder.
    frames : int, optional
        Frames in each tile, instead of the tile's own number.
    shape : (H, W), optional
        Even height and width of the frames, instead of the group's.
    seed : int
        Changes stars and noise. The same seed gives the same bytes, frame by frame, for any ``frames``.

    Returns
    -------
    list of Path
        The files, in the order in which the frames were taken within each tile.

    Raises
    ------
    FileExistsError
        Where a file to be written is there already; it is left as it is.
    """
    chosen = find_group(group) if isinstance(group, str) else group
    paths = []
    for name, data in group_files(chosen, frames=frames, shape=shape, seed=seed):
        paths.append(folder / name)
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        write_new(paths[-1], data)
    return paths


def write_new(path: Path, data: bytes) -> None:
    """Write a file that is not there yet; raise FileExistsError where it is."""
    with path.open("xb") as stream:
        stream.write(data)


def group_files(
    group: SampleGroup, *, frames: int | None = None, shape: Shape | None = None, seed: int = 1
) -> Iterator[tuple[str, bytes]]:
    """Yield the relative name and the bytes of each file of a group; the parameters are `write_group`'s."""
    camera = Camera(shape=group.shape if shape is None else shape)
    sky = _sky_over(group, camera, seed)
    for tile in group.tiles:
        for index in range(tile.frames if frames is None else frames):
            light = take_light(tile, index, seed)
            name = str(PurePosixPath(tile.folder) / light_name(light))
            if group.form == "npy":
                reference = take_light(tile, 0, seed).shot.pose
                frame = simulator.aligned_frame(sky, camera, light.shot, reference)
                yield name.replace(".fit", "_preprocessed.npy"), npy_file(frame)
            else:
                bzero = 0 if tile.kind == "pierced" else 32768
                yield name, fits_file(light_cards(light), _pixels(sky, camera, light), bzero=bzero)


@dataclass(frozen=True)
class Light:
    """One light frame of a tile: when it was taken (UTC), how, and at which sensor temperature."""

    tile: SampleTile
    utc: datetime
    shot: Shot
    temperature_c: float


def take_light(tile: SampleTile, index: int, seed: int) -> Light:
    """Return a frame of a tile, which depends on the tile's start and on nothing beside it."""
    key = (seed, zlib.crc32(tile.start_utc.encode("ascii")), index)
    elapsed_s = index * tile.cadence_s
    word = int(np.random.PCG64([*key, 99]).random_raw())
    start = datetime.fromisoformat(tile.start_utc).replace(tzinfo=timezone.utc)
    utc = start + timedelta(seconds=elapsed_s, microseconds=word % 1_000_000)
    ra, dec = FIELD_RA_DEG + tile.offset_deg[0], FIELD_DEC_DEG + tile.offset_deg[1]
    mount = Mount(
        mode=tile.mode, latitude_deg=SITE_LATITUDE_DEG, longitude_deg=SITE_LONGITUDE_DEG, dither_px=tile.dither_px
    )
    pose = simulator.pose_at(mount, ra, dec, utc, elapsed_s, key)
    return Light(
        tile, utc, Shot(ra_deg=ra, dec_deg=dec, exposure_s=EXPOSURE_S, key=key, pose=pose), 30.0 + (word >> 60) / 16
    )


def light_name(light: Light) -> str:
    """Return the file name that the telescope gives: object, exposure, filter, local time of writing."""
    written = light.utc + timedelta(seconds=light.shot.exposure_s + 3) + LOCAL_TIME_OFFSET
    return f"Light_{light.tile.object_name}_{light.shot.exposure_s}s_IRCUT_{written:%Y%m%d-%H%M%S}.fit"


def light_cards(light: Light) -> list[str]:
    """Return the cards that a Seestar S50 writes after BSCALE, in its order."""
    tile, shot = light.tile, light.shot
    old = tile.firmware == "2.76"
    return [
        card("CREATOR", "ZWO Seestar S50", "Capture software"),
        card("PRODUCER", "ZWO", "Powered by ZWO"),
        card("XORGSUBF", 0, "Subframe X position in binned pixels"),
        card("YORGSUBF", 0, "Subframe Y position in binned pixels"),
        card("FOCALLEN", 250, "Focal length of telescope in mm"),
        card("APERTURE", 5.0, "Name of field of view aperture"),
        *_eqmode_cards(tile),
        card("PROGRAM", tile.firmware, "The name of the software task that created the"),
        *(card(key, 1, f"Camera {key[0]} Bin") for key in ("XBINNING", "YBINNING")),
        *(card(key, 1, f"Camera {key[3]} Bin") for key in ("CCDXBIN", "CCDYBIN")),
        *(card(key, PIXEL_UM, "pixel size in microns (with binning)") for key in ("XPIXSZ", "YPIXSZ")),
        card("IMAGETYP", "Light", "Type of image"),
        *(card(key, shot.exposure_s, "Exposure time in seconds") for key in ("EXPOSURE", "EXPTIME")),
        card("CCD-TEMP", light.temperature_c, "sensor temperature in C"),
        card("RA", shot.ra_deg, "Object Right Ascension in degrees"),
        card("DEC", shot.dec_deg, "Object Declination in degrees"),
        card("SITELONG", SITE_LONGITUDE_DEG, "Longitude of the imaging site in degrees"),
        card("SITELAT", SITE_LATITUDE_DEG, "Latitude of the imaging site in degrees"),
        card(
            "DATE-OBS",
            f"{light.utc:%Y-%m-%dT%H:%M:%S.%f}",
            "ISO-8601 time of observation" if old else "Image created time",
        ),
        card("FILTER", "IRCUT", "Filter used when taking image"),
        card("INSTRUME", "Seestar S50", "Camera model"),
        card("BLANK", -1, "dead pixels") if tile.kind == "pierced" else card("BAYERPAT", "GRBG", "Bayer pattern"),
        card("GAIN", 80, "Gain Value"),
        card("FOCUSPOS", 1575 if old else 1670, "Focuser position in steps"),
        card("TELESCOP", "Seestar S50" if old else SERIAL, "Telescope name"),
        card("OBJECT", tile.object_name, "name or catalog number of object being imaged"),
        card("TOTALEXP", shot.exposure_s, "Total Exposure Time in seconds"),
    ]


def card(keyword: str, value: str | int | float, comment: str) -> str:
    """Return a FITS card of 80 columns, spaced as the telescope's FITS writer does."""
    if isinstance(value, str):
        text = f"{_quoted(value):<20}"
    elif isinstance(value, bool):
        text = f"{'T' if value else 'F':>20}"
    elif isinstance(value, int):
        text = f"{value:>20}"
    else:
        digits = f"{value:.15G}"
        text = f"{digits if '.' in digits or 'E' in digits else digits + '.':>20}"
    return f"{keyword:<8}= {text} / {comment}"[:CARD_BYTES].ljust(CARD_BYTES)


def fits_file(cards: list[str], data: npt.NDArray[np.uint16], *, bzero: int = 32768) -> bytes:
    """Return a FITS file with one image, uint16 ``(H, W)`` or ``(3, H, W)``, stored as BITPIX 16.

    With ``bzero`` 0 the numbers are stored with a sign: up to 32767 as they are, and 0 as -1, for BLANK. Readers
    pass over BLANK where an offset makes integers unsigned.
    """
    axes = [card(f"NAXIS{n}", size, f"length of data axis {n}") for n, size in enumerate(data.shape[::-1], start=1)]
    first = [
        card("SIMPLE", True, "file does conform to FITS standard"),
        card("BITPIX", 16, "number of bits per data pixel"),
        card("NAXIS", data.ndim, "number of data axes"),
        *axes,
        card("EXTEND", True, "FITS dataset may contain extensions"),
        "COMMENT   FITS (Flexible Image Transport System) format is defined in 'Astronomy",
        "COMMENT   and Astrophysics', volume 376, page 359; bibcode: 2001A&A...376..359H",
        card("BZERO", bzero, "offset data range to that of unsigned short"),
        card("BSCALE", 1, "default scaling factor"),
    ]
    stored = data ^ np.uint16(0x8000) if bzero else np.where(data == 0, 0xFFFF, data.clip(0, 32767))
    return fits_header([*first, *cards]) + fits_block(stored.astype(">u2").tobytes())


def fits_header(cards: list[str]) -> bytes:
    """Return cards and END as whole FITS blocks."""
    return fits_block("".join(text.ljust(CARD_BYTES) for text in [*cards, "END"]).encode("ascii"), b" ")


def fits_block(data: bytes, fill: bytes = b"\0") -> bytes:
    """Return data filled up to whole blocks of 2880 bytes."""
    return data + fill * (-len(data) % FITS_BLOCK_BYTES)


def npy_file(frame: npt.NDArray[np.float32]) -> bytes:
    """Return a float32 array as a little-endian ``.npy`` file, version 1.0."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, frame.astype("<f4"), version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def _eqmode_cards(tile: SampleTile) -> tuple[str, ...]:
    if tile.eqmode is not None:
        return tile.eqmode
    return (eqmode_card("1" if tile.mode == Mode.EQ else "0"),) if tile.firmware == "4.70" else ()


def _pixels(sky: Sky, camera: Camera, light: Light) -> npt.NDArray[np.uint16]:
    """Return what a light of its kind holds, uint16 ``(H, W)``."""
    if light.tile.kind == "zero":
        return simulator.constant_frame(camera.shape)
    if light.tile.kind == "constant":
        return simulator.constant_frame(camera.shape, CONSTANT_ADU)
    if light.tile.kind == "turned":
        return simulator.mosaic_frame(sky, replace(camera, shape=camera.shape[::-1]), light.shot)
    frame = simulator.mosaic_frame(sky, camera, light.shot)
    if light.tile.kind == "pierced":
        frame[::PIERCED_EVERY, ::PIERCED_EVERY] = 0
    return frame


def _sky_over(group: SampleGroup, camera: Camera, seed: int) -> Sky:
    """Return a sky with stars under every tile of a group."""
    reach = max((abs(value) for tile in group.tiles for value in tile.offset_deg), default=0.0)
    half_diagonal_deg = math.hypot(*camera.shape) / 2 * camera.arcsec_per_px / 3600
    radius = round(reach + half_diagonal_deg + SKY_MARGIN_DEG, 3)
    return Sky(
        ra_deg=FIELD_RA_DEG, dec_deg=FIELD_DEC_DEG, radius_deg=radius, seed=seed, stars_per_deg2=group.stars_per_deg2
    )


def _quoted(text: str) -> str:
    return f"'{text.replace(chr(39), chr(39) * 2):<8}'"
