"""Write reports to files: each whole or not at all, and nothing overwritten unasked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from .errors import OutputError
from .render_json import render_json
from .render_markdown import render_markdown
from .render_terminal import render_terminal
from .results import Report
from .whole_files import check_place, write_whole

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
        renderer_for(path)
        check_place(path, force=force)


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

    def fill(part: Path) -> None:
        with part.open("x", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
            stream.write(report_text)

    renderer_for(path)
    write_whole(path, fill, force=force)
