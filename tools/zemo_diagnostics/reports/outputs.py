"""Write reports to files: each whole or not at all, and nothing overwritten unasked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import OutputError, ZemoDiagError
from ..machine.whole_files import check_place, write_whole
from ..stderr import say_line
from .formats import Format, format_of_suffix, suffixes
from .report import Report, exit_code
from .stdout import print_report


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


def deliver(report: Report, form: str, outputs: Sequence[Path], force: bool) -> int:
    """Write the files and print the report; where one of the two fails, the other is done all the same."""
    failures = [_write(report, path, force=force) for path in outputs]
    print_report(report, form)
    for failure in filter(None, failures):
        raise failure
    return exit_code(report)


def _write(report: Report, path: Path, *, force: bool) -> ZemoDiagError | None:
    """Write one report file and say so; give back why where that fails."""
    try:
        write_report(report, path, force=force)
    except ZemoDiagError as error:
        return error
    say_line(f"Wrote {path}")
    return None
