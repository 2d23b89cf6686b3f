"""The FITS files of a folder that may be master tiles, known by their headers: image, ALPHA extension, cards."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import FrameError, NoImageError, UnusableFile
from ..frames.entries import ALPHA_NAME, FITS_SUFFIXES, UNREADABLE_SUFFIXES, Progress, list_files
from ..frames.headers import ImageHeader, card, read_extension_header, read_image_header
from .data import MasterCards

MASTER_TYPE = "Master Tile"


@dataclass(frozen=True, kw_only=True)
class MasterFile:
    """One file that may be a master.

    Attributes
    ----------
    path : Path
        The file.
    name : str
        Its path below the folder that was asked for, with forward slashes.
    header : ImageHeader
        Of its image.
    alpha : ImageHeader or None
        Of its ALPHA extension.
    alpha_problem : str
        Why the extension cannot be used; empty where it can, or is not there.
    cards : MasterCards
        What ZeMosaic wrote of it.
    reference : str
        File name of its reference frame, ``ZMT_REF``; empty where it is not named. It may hold a serial number: it
        never goes into a result.
    """

    path: Path
    name: str
    header: ImageHeader
    alpha: ImageHeader | None
    alpha_problem: str
    cards: MasterCards
    reference: str = ""


@dataclass(frozen=True)
class MasterScan:
    """A folder's masters in the order of their names, the files that are damaged, and those that are no pictures.

    Beside them the sub-folders that could not be looked into.
    """

    masters: tuple[MasterFile, ...]
    damaged: tuple[UnusableFile, ...]
    no_pictures: tuple[UnusableFile, ...]
    unread_folders: tuple[UnusableFile, ...]

    @property
    def files(self) -> int:
        """How many files were looked at."""
        return len(self.masters) + len(self.damaged) + len(self.no_pictures)


def scan_masters(folder: Path, progress: Progress | None = None) -> MasterScan:
    """Read the headers of every FITS file in a folder and its sub-folders; ``.npy`` caches are passed over.

    Parameters
    ----------
    folder : Path
        Where to look.
    progress : callable, optional
        Gets (files done, files in all).

    Raises
    ------
    InputError
        Where the folder is missing, is a file, or holds no FITS file.
    """
    listing = list_files(folder)
    files = [path for path in listing.files if path.suffix.lower() != ".npy"]
    if not files:
        raise listing.nothing_found(
            f"no master tile in '{folder}': looked for {' '.join(FITS_SUFFIXES)} (also .gz, .fz), in sub-folders too; "
            "name the folder that holds master_tile_*.fits"
        )
    masters: list[MasterFile] = []
    damaged: list[UnusableFile] = []
    no_pictures: list[UnusableFile] = []
    for done, path in enumerate(files, start=1):
        name = listing.name_of(path)
        try:
            masters.append(_look_at(path, name))
        except NoImageError as error:
            no_pictures.append(UnusableFile(name, str(error)))
        except FrameError as error:
            damaged.append(UnusableFile(name, str(error)))
        except Exception as error:  # noqa: BLE001 - whatever one file does, the others go on
            damaged.append(UnusableFile(name, f"its header cannot be read ({type(error).__name__}: {error})"))
        if progress is not None:
            progress(done, len(files))
    return MasterScan(tuple(masters), tuple(damaged), tuple(no_pictures), listing.unread_folders)


def tile_numbers(files: Sequence[MasterFile]) -> Iterator[int]:
    """Give the tiles their numbers: ``ZMT_ID`` where every file has one of its own, else from 1."""
    own = [file.cards.zmt_id for file in files if file.cards.zmt_id is not None]
    if len(set(own)) == len(files):
        yield from own
    else:
        yield from range(1, len(files) + 1)


def _look_at(path: Path, name: str) -> MasterFile:
    """Describe one file by its headers."""
    if path.suffix.lower() in UNREADABLE_SUFFIXES:
        raise NoImageError(f"{path.suffix} compression is not read by ZeMosaic's FITS reader: decompress it first")
    image = read_image_header(path)
    shape = image.shape
    if not (len(shape) == 2 or (len(shape) == 3 and shape[0] in (1, 3))):
        raise NoImageError(f"its image is {' × '.join(map(str, shape))}: a master is one plane, or three for colour")
    alpha, problem = _alpha_of(path, image)
    reference = str(card(image.cards, "ZMT_REF", "") or "").strip()
    return MasterFile(
        path=path,
        name=name,
        header=image,
        alpha=alpha,
        alpha_problem=problem,
        cards=read_cards(image.cards),
        reference=reference,
    )


def _alpha_of(path: Path, image: ImageHeader) -> tuple[ImageHeader | None, str]:
    """Give the header of a file's ALPHA extension where it can be used, or else why not."""
    try:
        alpha = read_extension_header(path, ALPHA_NAME)
    except FrameError as error:
        return None, f"the ALPHA extension cannot be read: {error}"
    if alpha is None or alpha.hdu == image.hdu:
        promised = _whole_number(image.cards, "ALPHAEXT") == 1
        return None, "the header promises an ALPHA extension (ALPHAEXT=1), and there is none" if promised else ""
    if alpha.shape != image.shape[-2:]:
        size, needed = (" × ".join(map(str, shape)) for shape in (alpha.shape, image.shape[-2:]))
        return None, f"the ALPHA extension is {size}, the image {needed}"
    return alpha, ""


def read_cards(header: Any) -> MasterCards:
    """Read what ZeMosaic writes into the header of a master; anything that is not a number counts as not said."""
    says_alpha = _whole_number(header, "ALPHAEXT")
    return MasterCards(
        zmt_id=_whole_number(header, "ZMT_ID"),
        frames_raw=_whole_number(header, "ZMT_NRAW"),
        frames_aligned=_whole_number(header, "ZMT_NALGN"),
        frames_stacked=_whole_number(header, "MT_NFRAMES"),
        says_empty=_whole_number(header, "ZMT_EMPT") == 1,
        valid_fraction=_number(header, "ZMT_EVF"),
        says_alpha=None if says_alpha is None else says_alpha == 1,
        by_zemosaic=str(card(header, "ZMT_TYPE", "")).strip() == MASTER_TYPE,
        zeroed=_whole_number(header, "ZMT_NANZ") == 1,
        exposure_s=_exposure_of_a_frame(header),
    )


def _exposure_of_a_frame(header: Any) -> float | None:
    """Give the exposure of one frame: ZeMosaic sums up those of the whole group, zemo-diag those that it stacked."""
    for total_key, frames_key in (("EXPTOTAL", "ZMT_NRAW"), ("EXPTIME", "MT_NFRAMES")):
        total, frames = _number(header, total_key), _whole_number(header, frames_key)
        if total and total > 0 and frames:
            return total / frames
    return None


def _number(header: Any, key: str) -> float | None:
    """Read a card that holds a number."""
    value = card(header, key)
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _whole_number(header: Any, key: str) -> int | None:
    """Read a card that holds a count: 0 or more."""
    value = _number(header, key)
    return int(value) if value is not None and value >= 0 and value == int(value) else None
