"""Files written whole or not at all, and nothing overwritten unasked."""

from __future__ import annotations

import contextlib
import errno
import secrets
from collections.abc import Callable
from pathlib import Path

from ..errors import OutputError


def check_place(path: Path, *, force: bool) -> None:
    """Check before a long run that a file can be written after it.

    Parameters
    ----------
    path : Path
        Where to.
    force : bool, keyword-only
        Whether a file that exists may be overwritten.

    Raises
    ------
    OutputError
        What is wrong, and what to do.
    """
    try:
        if not path.parent.is_dir():
            raise OutputError(f"there is no folder '{path.parent}' for '{path.name}': create it, or name another")
        if path.is_dir():
            raise OutputError(f"'{path}' is a folder: name a file in it, such as '{path / f'report{path.suffix}'}'")
        if path.is_symlink() or (path.exists() and not force):
            raise OutputError(_exists(path))
    except OSError as error:
        raise OutputError(_sentence(error, path)) from error
    _try_folder(path)


def write_whole(path: Path, fill: Callable[[Path], None], *, force: bool) -> None:
    """Let a function write a file beside its place, and move it there in one step.

    Parameters
    ----------
    path : Path
        Where to.
    fill : callable
        Gets the path of a new file in the same folder, and writes it.
    force : bool, keyword-only
        Whether a file that exists may be overwritten.

    Raises
    ------
    OutputError
        Where it cannot be written: what is wrong, and what to do. Then nothing is left behind.
    """
    check_place(path, force=force)
    part = _part_path(path)
    try:
        fill(part)
        _put_in_place(part, path, force=force)
    except OSError as error:
        raise OutputError(_sentence(error, path)) from error
    finally:
        _remove(part)


def _try_folder(path: Path) -> None:
    """Create and remove an empty file beside the place: what permissions say is not always what happens."""
    part = _part_path(path)
    try:
        part.touch(exist_ok=False)
    except OSError as error:
        raise OutputError(_sentence(error, path)) from error
    finally:
        _remove(part)


def _remove(part: Path) -> None:
    """Remove a file of our own, if it is there. A disk that is read-only refuses even where there is none."""
    with contextlib.suppress(OSError):
        part.unlink()


def _part_path(path: Path) -> Path:
    """Name a file beside the place, where moving it there is one step."""
    return path.with_name(f".zemo-diag-{secrets.token_hex(6)}.part")


def _put_in_place(part: Path, path: Path, *, force: bool) -> None:
    """Move the written file into place; without `force`, only where nobody else has put one meanwhile."""
    if force:
        part.replace(path)
        return
    # Creating the file fails where there is one, on every system and kind of disk; what is replaced is then ours.
    path.open("x").close()
    try:
        part.replace(path)
    except BaseException:
        _remove(path)
        raise


def _exists(path: Path) -> str:
    """Say that something is there already."""
    if path.is_symlink():
        return f"'{path}' is a link: name the file itself"
    return f"'{path}' exists: name another file, or add --force to overwrite it"


def _sentence(error: OSError, path: Path) -> str:
    """Say why a file cannot be written, and what to do."""
    if isinstance(error, FileExistsError):
        return _exists(path)
    if error.errno == errno.EROFS:
        return f"'{path}' may not be written, its disk is read-only: name a file on another one"
    if isinstance(error, PermissionError):
        return f"'{path}' may not be written: name another folder, or close the program that has it open"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"'{path}' cannot be written, the disk is full: make room, or name a file on another one"
    return f"'{path}' cannot be written ({error.strerror or error}): name another file"
