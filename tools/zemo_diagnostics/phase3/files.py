"""The files that `zemo-diag phase3` made: known by their content, so that nobody else's is ever replaced or removed."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import OutputError
from .data import RULES, Rule

PICTURES_NAME = "pictures"

# Where a file is made before it is moved to its place: a folder that is ours by its name, and swept at the next start.
STAGING_NAME = ".phase3_scratch"

_OWN_NAME = re.compile(
    rf"(?:(?:{'|'.join(RULES)})/master_tile_(\d{{3,}})\.fits|{PICTURES_NAME}/tile_(\d{{3,}})\.png)", re.IGNORECASE
)
_PIECE_BYTES = 1 << 20
_NUMBER_CARD, _CARD_BYTES = b"ZMT_ID  =", 80


@dataclass(frozen=True)
class FileMark:
    """A file as it was left."""

    size_bytes: int
    mtime_ns: int
    sha256: str

    def fits(self, path: Path) -> bool:
        """Tell whether a file is as it was left: by size and time, or, where it was only copied, by its content."""
        with contextlib.suppress(OSError):
            stat = path.lstat()
            if path.is_symlink() or stat.st_size != self.size_bytes:
                return False
            return stat.st_mtime_ns == self.mtime_ns or digest(path) == self.sha256
        return False


def mark_of(path: Path, sha256: str = "") -> FileMark:
    """Read what a file is known by; the digest, where it is not known yet."""
    stat = path.stat()
    return FileMark(stat.st_size, stat.st_mtime_ns, sha256 or digest(path))


def digest(path: Path, number: int | None = None) -> str:
    """Give the SHA-256 of a file; of a master as it will be with another number, where one is given."""
    found = hashlib.sha256()
    with path.open("rb") as stream:
        piece = stream.read(_PIECE_BYTES)
        at = _number_card_at(piece)
        if number is not None and at is not None:
            piece = piece[:at] + _number_card(number) + piece[at + len(_number_card(number)) :]
        while piece:
            found.update(piece)
            piece = stream.read(_PIECE_BYTES)
    return found.hexdigest()


def write_number(master: Path, number: int) -> None:
    """Write another number into a master, so that it has the bytes of one that was built with it."""
    with master.open("r+b") as file:
        at = _number_card_at(file.read(_PIECE_BYTES))
        if at is not None:
            file.seek(at)
            file.write(_number_card(number))


def _number_card_at(start: bytes) -> int | None:
    """Find the card with a master's number."""
    return next((at for at in range(0, len(start), _CARD_BYTES) if start.startswith(_NUMBER_CARD, at)), None)


def _number_card(number: int) -> bytes:
    """Give the card with a master's number, up to its comment."""
    return _NUMBER_CARD + b"%21d" % number


def master_name(rule: Rule, tile_id: int) -> str:
    """Name a master, below the output folder."""
    return f"{rule}/master_tile_{tile_id:03d}.fits"


def picture_name(tile_id: int) -> str:
    """Name the picture of a tile, below the output folder."""
    return f"{PICTURES_NAME}/tile_{tile_id:03d}.png"


def number_in(name: str) -> int | None:
    """Give the number in the name of a master or a picture; None for other names."""
    match = _OWN_NAME.fullmatch(name)
    return int(match[1] or match[2]) if match else None


def named_files(output: Path) -> Iterator[str]:
    """Give the names of what is called like a master or a picture, whoever made it."""
    for folder in (*RULES, PICTURES_NAME):
        with contextlib.suppress(OSError):
            names = [f"{folder}/{path.name}" for path in (output / folder).iterdir()]
            yield from sorted(name for name in names if number_in(name) is not None)


@contextlib.contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """Make the folder in which files are made that go into this one, and remove it again, whatever happens.

    Raises
    ------
    OutputError
        Where it cannot be made, or something else has its name.
    """
    place = folder / STAGING_NAME
    try:
        place.mkdir()
    except OSError as error:
        raise OutputError(f"'{place}' cannot be made ({error.strerror or error}): name another folder") from error
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def sweep_staging(folder: Path) -> list[str]:
    """Remove what a killed run left half made; its names."""
    place = folder / STAGING_NAME
    names = sorted(path.name for path in place.iterdir()) if place.is_dir() and not place.is_symlink() else []
    shutil.rmtree(place, ignore_errors=True)
    return names


def remove_own(path: Path) -> None:
    """Remove a file of our own.

    Raises
    ------
    OutputError
        Where that is not allowed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"'{path}' cannot be removed ({error.strerror or error}): close the program that has it open"
        ) from error
