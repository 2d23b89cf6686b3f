"""Temporary files: their folder, and their disk, which may be full. That is no fault of the file being read."""

from __future__ import annotations

import contextlib
import errno
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import ScratchError
from ..wording import human_bytes
from .temporary_folders import NoFolderError, temporary_folder

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

_WHAT_TO_DO = "make room, or set TMPDIR (on Windows TEMP) to a folder on another disk"
SCRATCH_FULL = f"the disk for temporary files (TMPDIR) is full: {_WHAT_TO_DO}"


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder for temporary files; it is gone when this ends.

    Raises
    ------
    ScratchError
        Where there is no place for one.
    """
    try:
        with temporary_folder() as folder:
            yield folder
    except NoFolderError as error:
        raise ScratchError(f"no folder for temporary files can be made ({error}): {_WHAT_TO_DO}") from error


@contextlib.contextmanager
def writing_scratch() -> Iterator[None]:
    """Let a temporary file that cannot be written end the run, whatever it was made for.

    Raises
    ------
    ScratchError
        What is wrong with the disk, and what to do.
    """
    try:
        yield
    except OSError as error:
        raise ScratchError(_sentence(error)) from error


def check_room(folder: Path, needed_bytes: int) -> None:
    """Refuse temporary files that their disk cannot hold, before it is filled.

    Raises
    ------
    ScratchError
        How much is missing, and what to do.
    """
    with writing_scratch():
        free = shutil.disk_usage(folder).free
    if needed_bytes > free:
        raise ScratchError(
            f"the disk for temporary files (TMPDIR) is full: {human_bytes(needed_bytes)} are needed for unpacked "
            f"frames, and it has {human_bytes(free)} free: {_WHAT_TO_DO}"
        )


def write_scratch(folder: Path, pieces: Iterable[bytes]) -> Path:
    """Write a temporary file.

    Parameters
    ----------
    folder : Path
        Where.
    pieces : iterable of bytes
        What. It may raise anything: then no file is left.

    Raises
    ------
    ScratchError
        Where it cannot be written.
    """
    with writing_scratch():
        file = tempfile.NamedTemporaryFile(dir=folder, delete=False)  # noqa: SIM115 - closed below, before it is removed
    path = Path(file.name)
    try:
        for piece in pieces:
            with writing_scratch():
                file.write(piece)
        with writing_scratch():
            file.close()
    except BaseException:
        with contextlib.suppress(OSError):
            file.close()
        path.unlink(missing_ok=True)
        raise
    return path


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write a temporary ``.npy`` file.

    Raises
    ------
    ScratchError
        Where it cannot be written.
    """
    with writing_scratch(), path.open("wb") as file:
        # By plain writes: NumPy's own to a file do not say that the disk is full.
        np.save(cast(Any, SimpleNamespace(write=file.write)), array)


def _sentence(error: OSError) -> str:
    """Say why a temporary file cannot be written, and what to do; without the folder, which may hold a user's name."""
    if error.errno in DISK_FULL:
        return SCRATCH_FULL
    return (
        f"the disk for temporary files (TMPDIR) takes no file ({error.strerror or type(error).__name__}): {_WHAT_TO_DO}"
    )
