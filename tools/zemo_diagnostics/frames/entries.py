"""From a folder to entries: every file that may be a frame, looked at by its header alone.

An entry has the form in which ZeMosaic hands frames to Phase 3: ``path``, ``path_raw``, ``header``, ``RA``,
``DEC``, ``center`` for FITS files, and ``path_preprocessed_cache`` for the ``.npy`` files of its Phase 1.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FrameError, InputError, UnusableFile, no_access
from ..redaction import split_unit
from .headers import ImageHeader, card, check_regular, has_extension, read_image_header
from .pointing import frame_center_deg

FITS_SUFFIXES = (".fit", ".fits", ".fts")
PACKED_SUFFIXES = (".gz", ".fz")

# Packings that astropy reads only with optional packages, or not at all: named, never opened.
UNREADABLE_SUFFIXES = (".z", ".bz2", ".xz", ".zip", ".7z", ".rar")

# How the SWCREATE card of our own stacks begins.
OWN_STACK = "zemo-diag"

# The extension that master tiles and mosaics carry, and lights never do.
ALPHA_NAME = "ALPHA"

# Reading headers waits for the disk; a few files at once keep it busy, more would only seek more.
READER_THREADS = 8

# Windows: a folder that leads to another place, and the attributes (hidden, system) of "$RECYCLE.BIN" and its like.
_JUNCTION = 0xA0000003
_HIDDEN_BY_SYSTEM = 0x2 | 0x4

# An error names no more files than this.
_MOST_LINES = 20

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One frame of a group, known by its header.

    Attributes
    ----------
    path : Path
        The file.
    name : str
        Its path below the folder that was asked for, with forward slashes.
    entry : dict
        What ZeMosaic's functions see.
    shape : tuple of int
        As stored, NumPy order: (H, W), (3, H, W) in FITS cubes, (H, W, 3) in ``.npy`` caches.
    header : ImageHeader or None
        None for ``.npy`` caches.
    telescope : tuple of (str, str)
        Model, and the unit as TELESCOP names it or another card, empty where none does. The latter may be a serial:
        it never goes into a result.
    """

    path: Path
    name: str
    entry: dict[str, Any]
    shape: tuple[int, ...]
    header: ImageHeader | None
    telescope: tuple[str, str]

    @property
    def center_deg(self) -> tuple[float, float] | None:
        """Right ascension and declination of the frame's centre, degrees; None where no header says it."""
        center: tuple[float, float] | None = self.entry.get("center")
        return center


@dataclass(frozen=True)
class Listing:
    """The names of a folder and its sub-folders, before anything is opened.

    Attributes
    ----------
    folder : Path
        Absolute: astropy takes a path that begins with ``~`` for the home folder, though it is a folder's name.
    files : tuple of Path
        Those that look like frames, ordered by folder and name.
    unread_folders : tuple of UnusableFile
        The sub-folders that could not be looked into, each with the reason.
    """

    folder: Path
    files: tuple[Path, ...]
    unread_folders: tuple[UnusableFile, ...]

    def name_of(self, path: Path) -> str:
        """Give a path below the folder, with forward slashes."""
        return path.relative_to(self.folder).as_posix()

    def nothing_found(self, sentence: str) -> InputError:
        """Make the error of a folder that holds nothing to look at, with the sub-folders where it may be."""
        more = "; not looked into:" if self.unread_folders else ""
        return InputError(sentence + more, *in_lines(self.unread_folders))


@dataclass(frozen=True)
class Scan:
    """A folder's frames in the order of their names, the files that hold none, and sub-folders that are shut."""

    folder: Path
    frames: tuple[Frame, ...]
    unusable: tuple[UnusableFile, ...]
    unread_folders: tuple[UnusableFile, ...] = ()


def scan_folder(folder: Path, progress: Progress | None = None) -> Scan:
    """Read the headers of every frame in a folder and its sub-folders.

    Parameters
    ----------
    folder : Path
        Where to look. Hidden files and folders (``._*.fit`` and the like) are passed over.
    progress : callable, optional
        Gets (files done, files in all).

    Raises
    ------
    InputError
        Where the folder is missing, is a file, or holds no frame at all.
    """
    listing = list_files(folder)
    if not listing.files:
        raise listing.nothing_found(
            f"no frame in '{folder}': looked for {' '.join(FITS_SUFFIXES)} (also .gz, .fz) and .npy files, "
            "in sub-folders too; name the folder that holds your lights"
        )
    frames: list[Frame] = []
    unusable: list[UnusableFile] = []
    for done, looked_at in enumerate(_look_at_all(listing), start=1):
        if isinstance(looked_at, Frame):
            frames.append(looked_at)
        else:
            unusable.append(looked_at)
        if progress is not None:
            progress(done, len(listing.files))
    return Scan(folder, tuple(frames), tuple(unusable), listing.unread_folders)


def check_folder(folder: Path) -> Path:
    """Give the absolute path of a folder of frames.

    Raises
    ------
    InputError
        Where it is missing, is a file, or cannot be looked into.
    """
    try:
        place = folder.absolute()
        os.scandir(place).close()
    except (FileNotFoundError, NotADirectoryError) as error:
        if isinstance(error, NotADirectoryError) and folder.exists():
            raise InputError(f"'{folder}' is a file: name the folder that holds it") from None
        raise InputError(f"no such folder: '{folder}'; check the path (quote it if it holds spaces)") from None
    except OSError as error:
        raise InputError(f"'{folder}' {no_access(error)}") from error
    return place


def list_files(folder: Path) -> Listing:
    """List the files of a folder that look like frames, in a stable order, following no links to folders.

    Raises
    ------
    InputError
        As `check_folder`; a sub-folder that cannot be looked into is named in the listing, and the others go on.
    """
    top = check_folder(folder)
    files: list[Path] = []
    unread: list[UnusableFile] = []
    waiting = [str(top)]
    while waiting:
        base = waiting.pop()
        try:
            folders, inside = _contents(base)
        except OSError as error:
            unread.append(UnusableFile(f"{Path(base).relative_to(top).as_posix()}/", f"it {no_access(error)}"))
            continue
        files.extend(map(Path, inside))
        waiting.extend(reversed(folders))
    return Listing(top, tuple(files), tuple(unread))


def _contents(folder: str) -> tuple[list[str], list[str]]:
    """Give the paths of the folders in a folder that are walked, and of its frames, both in order, hidden ones not."""
    folders: list[str] = []
    files: list[str] = []
    with os.scandir(folder) as found:
        for entry in found:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                folders += [entry.path] if _is_walked(entry) else []
            elif _looks_like_a_frame(entry.name):
                files.append(entry.path)
    return sorted(folders), sorted(files)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Tell whether a name is that of a folder, or of a link to one; one that cannot be asked counts as a file."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_walked(entry: os.DirEntry[str]) -> bool:
    """Tell whether a folder is looked into: no link, on Windows no junction, and none of the system's own there."""
    if entry.is_symlink():
        return False
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return True  # looking into it will say what is wrong
    attributes = getattr(status, "st_file_attributes", 0)
    is_junction = getattr(status, "st_reparse_tag", 0) == _JUNCTION
    return not is_junction and attributes & _HIDDEN_BY_SYSTEM != _HIDDEN_BY_SYSTEM


def in_lines(files: Sequence[UnusableFile]) -> list[str]:
    """Name files that cannot be used, a line each, for the details of an error; no more than twenty."""
    lines = [f"{file.name}: {file.reason}" for file in files[:_MOST_LINES]]
    return lines + ([f"and {len(files) - _MOST_LINES} more"] if len(files) > _MOST_LINES else [])


def _looks_like_a_frame(name: str) -> bool:
    """Tell by its suffixes, in any case, whether a file claims to be a frame."""
    stem, dot, ending = name.lower().rpartition(".")
    suffix = dot + ending
    if suffix in PACKED_SUFFIXES or suffix in UNREADABLE_SUFFIXES:
        return stem.endswith(FITS_SUFFIXES)
    return suffix in FITS_SUFFIXES or suffix == ".npy"


def _look_at_all(listing: Listing) -> Iterator[Frame | UnusableFile]:
    """Look at the files, several at once, in order."""
    pool = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="headers")
    try:
        yield from pool.map(lambda path: look_at(path, listing.folder), listing.files)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)  # a file that does not answer must not hold up Ctrl-C
        raise
    pool.shutdown()


def look_at(path: Path, folder: Path) -> Frame | UnusableFile:
    """Read one file's header; a file that holds no frame comes back with the reason why."""
    name = path.relative_to(folder).as_posix()
    try:
        if path.suffix.lower() in UNREADABLE_SUFFIXES:
            raise FrameError(f"{path.suffix} compression is not read by ZeMosaic's FITS reader: decompress it first")
        if path.suffix.lower() == ".npy":
            return _npy_frame(path, name)
        return _fits_frame(path, name)
    except FrameError as error:
        return UnusableFile(name, str(error))
    except Exception as error:  # noqa: BLE001 - whatever one file does, the others go on
        return UnusableFile(name, f"its header cannot be read ({type(error).__name__})")


def _fits_frame(path: Path, name: str) -> Frame:
    """Describe a FITS frame."""
    image = read_image_header(path)
    if not (len(image.shape) == 2 or (len(image.shape) == 3 and image.shape[0] in (1, 3))):
        size = " × ".join(map(str, image.shape))
        raise FrameError(f"its image is {size}: a frame is one plane, or three for colour")
    _refuse_results(path, image)
    center = frame_center_deg(image)
    entry: dict[str, Any] = {"path": str(path), "path_raw": str(path), "header": image.cards}
    if center is not None:
        entry |= {"RA": center[0], "DEC": center[1], "center": center}
    return Frame(path=path, name=name, entry=entry, shape=image.shape, header=image, telescope=_telescope(image))


def _refuse_results(path: Path, image: ImageHeader) -> None:
    """Refuse what was made of lights: a stack of our own, a master tile, a mosaic."""
    if is_own_stack(image.cards):
        raise FrameError("it is a stack that zemo-diag made, not a light")
    if card(image.cards, "ZMT_TYPE"):
        raise FrameError("it is a master tile, not a light")
    if has_extension(path, image, ALPHA_NAME):
        raise FrameError("it has an ALPHA extension, as master tiles and mosaics do: it is no light")


def is_own_stack(header: Any) -> bool:
    """Tell by its header whether a file is a stack that ``zemo-diag stack`` made: such never goes into another."""
    return str(card(header, "SWCREATE", "")).startswith(OWN_STACK)


def _npy_frame(path: Path, name: str) -> Frame:
    """Describe a frame that ZeMosaic's Phase 1 cached; its entry has no header."""
    check_regular(path)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError):
        raise FrameError("it is no whole .npy array of numbers: cut off, damaged, or of another kind") from None
    if not isinstance(array, np.ndarray):
        raise FrameError("it is a .npz archive under another name, not a .npy array")
    shape = array.shape
    if not (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)) or 0 in shape:
        size = " × ".join(map(str, shape))
        raise FrameError(f"its array is {size or 'a single number'}: a cached frame is (H, W, 3) or (H, W)")
    if array.dtype.kind not in "fiu":
        raise FrameError(f"its array holds {array.dtype}, not pixel values (a mask?)")
    entry = {"path_raw": str(path), "path_preprocessed_cache": str(path), "preprocessed_shape": shape}
    return Frame(path=path, name=name, entry=entry, shape=shape, header=None, telescope=("", ""))


def _telescope(image: ImageHeader) -> tuple[str, str]:
    """Give the telescope's model as CREATOR or INSTRUME say it, and its unit as TELESCOP does, or else one of them."""
    texts = (str(card(image.cards, key) or "").strip() for key in ("CREATOR", "INSTRUME", "TELESCOP"))
    *models, told = (split_unit(text.removeprefix("ZWO ")) for text in texts)
    model = next((name for name, _ in models if name), "")
    name = "" if told[0] == model else told[0]  # older firmware writes the model there: which unit is not said
    return model, told[1] or name or next((unit for _, unit in models if unit), "")
