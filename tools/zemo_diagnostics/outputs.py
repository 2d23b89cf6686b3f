"""Write reports to files: each whole or not at all, and nothing overwritten unasked."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from .errors import OutputError
from .render_json import render_json
from .render_markdown import render_markdown
from .render_terminal import render_terminal
from .results import Report

Renderer = Callable[[Report], str]

TEXT_WIDTH = 100

# What is written into a file, by its suffix. Frames' suffixes are not among them, so no frame is ever overwritten.
RENDERERS: dict[str, Renderer] = {
    ".json": render_json,
    ".md": render_markdown,
    ".txt": partial(render_terminal, width=TEXT_WIDTH, color=False, unicode=True),
}


def renderer_for(path: Path) -> Renderer:
    """Find the renderer that a file's suffix asks for.

    Raises
    ------
    OutputError
        Naming the suffixes that are known.
    """
    renderer = RENDERERS.get(path.suffix.lower())
    if renderer is None:
        raise OutputError(f"'{path}' names no kind of report: end it in {', '.join(RENDERERS)}")
    return renderer


def check_output_paths(paths: Iterable[Path], *, force: bool) -> None:
    """Check before a long run that every report can be written after it.

    Parameters
    ----------
    paths : iterable of Path
        The files that were asked for.
    force : bool
        Whether files that exist may be overwritten.

    Raises
    ------
    OutputError
        For the first that cannot be written: what is wrong, and what to do.
    """
    seen: set[str] = set()
    for path in paths:
        place = os.path.normcase(path.absolute())
        if place in seen:
            raise OutputError(f"'{path}' is asked for twice: leave one out")
        seen.add(place)
        _check_path(path, force=force)


def write_report(report_text: str, path: Path, *, force: bool) -> None:
    """Write a rendered report in UTF-8: whole, or not at all.

    Parameters
    ----------
    report_text : str
        The report, rendered for the file's suffix.
    path : Path
        Where to.
    force : bool
        Whether a file that exists may be overwritten.

    Raises
    ------
    OutputError
        Where it cannot be written: what is wrong, and what to do. Then nothing is left behind.
    """
    _check_path(path, force=force)
    part = _part_path(path)
    try:
        with part.open("x", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
            stream.write(report_text)
        _put_in_place(part, path, force=force)
    except OSError as error:
        raise OutputError(_sentence(error, path)) from error
    finally:
        part.unlink(missing_ok=True)


def _check_path(path: Path, *, force: bool) -> None:
    """Check one file's suffix, its folder, and whether something is there already."""
    renderer_for(path)
    if not path.parent.is_dir():
        raise OutputError(f"there is no folder '{path.parent}' for '{path.name}': create it, or name another")
    if path.is_dir():
        raise OutputError(f"'{path}' is a folder: name a file in it, such as '{path / f'report{path.suffix}'}'")
    if os.path.lexists(path) and not force:
        raise OutputError(f"'{path}' exists: name another file, or add --force to overwrite it")
    _try_folder(path)


def _try_folder(path: Path) -> None:
    """Create and remove an empty file beside the report: what permissions say is not always what happens."""
    part = _part_path(path)
    try:
        part.touch(exist_ok=False)
    except OSError as error:
        raise OutputError(_sentence(error, path)) from error
    finally:
        part.unlink(missing_ok=True)


def _part_path(path: Path) -> Path:
    """Name a file beside the report, where moving it into place is one step."""
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
        path.unlink(missing_ok=True)
        raise


def _sentence(error: OSError, path: Path) -> str:
    """Say why a report cannot be written, and what to do."""
    if isinstance(error, FileExistsError):
        return f"'{path}' exists: name another file, or add --force to overwrite it"
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return f"'{path}' may not be written: name another folder, or close the program that has it open"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"'{path}' cannot be written, the disk is full: make room, or name a file on another one"
    return f"'{path}' cannot be written ({error.strerror or error}): name another file"
