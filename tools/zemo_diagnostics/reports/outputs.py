"""Write reports to files: each whole or not at all, and nothing overwritten unasked."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ..errors import OutputError
from ..machine.whole_files import check_place, write_whole
from .formats import Format, format_of_suffix, suffixes
from .report import Report


def format_of(path: Path) -> Format:
    """Find the form that a file's suffix asks for.

    Raises
    ------
    OutputError
        Naming the suffixes that are known.
    """
    form = format_of_suffix(path.suffix)
    if form is None:
        raise OutputError(f"'{path}' names no kind of report: end it in {', '.join(suffixes())}")
    return form


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
        format_of(path)
        check_place(path, force=force)


def write_report(report: Report, path: Path, *, force: bool) -> None:
    """Write a report in the form that the file's suffix asks for, in UTF-8: whole, or not at all.

    Parameters
    ----------
    report : Report
        The report, already redacted.
    path : Path
        Where to.
    force : bool
        Whether a file that exists may be overwritten.

    Raises
    ------
    OutputError
        Where it cannot be written: what is wrong, and what to do. Then nothing is left behind.
    """
    text = format_of(path).render(report)

    def fill(part: Path) -> None:
        with part.open("x", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
            stream.write(text)

    write_whole(path, fill, force=force)
