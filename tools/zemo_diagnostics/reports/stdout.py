"""Reports on stdout: as wide as the terminal, plain where it is none, UTF-8 where a program reads it."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TextIO

from ..errors import OutputError
from ..wording import encodable
from .formats import TERMINAL, format_named
from .report import Report

# Width of the terminal form where stdout is a file or a pipe.
PIPED_WIDTH = 100

# What the terminal form wants to draw beyond ASCII.
_SIGNS = "✓✗×…–"


def print_report(report: Report, form: str) -> None:
    """Print a report.

    Parameters
    ----------
    report : Report
        What to print.
    form : str
        The name of a form. All but the terminal's are UTF-8, whatever the terminal's encoding is; that one keeps to
        what the terminal can draw.
    """
    if form == TERMINAL:
        from .terminal import render_terminal

        text = render_terminal(report, width=page_width(), color=_takes_colors(), unicode=_draws_signs())
        print_text(text, instead="use -o FILE")
        return
    print_text(format_named(form).render(report), encoding="utf-8", instead="use -o FILE")


def page_width() -> int:
    """Give the columns that text on stdout may take."""
    asked = sys.stdout.isatty() or "COLUMNS" in os.environ
    return shutil.get_terminal_size().columns if asked else PIPED_WIDTH


def print_text(text: str, *, encoding: str | None = None, instead: str = "print it elsewhere") -> None:
    """Print text.

    Parameters
    ----------
    text : str
        The text, ended lines.
    encoding : str, optional keyword
        The terminal's own by default. What it cannot show is escaped, never an error.
    instead : str, optional keyword
        What to do where it cannot be printed.

    Raises
    ------
    OutputError
        Where it cannot be printed; that a reader has gone away is no error.
    """
    encoding = encoding or sys.stdout.encoding or "utf-8"
    data = encodable(text, encoding).encode(encoding, "backslashreplace")
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        # Python would flush, and complain, once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # that one means that the reader has gone (`| head`): no error
            raise OutputError(f"the text cannot be printed ({error.strerror}): {instead}") from error


def draws(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal that knows more than lines of text: colours, a bar that moves."""
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def _takes_colors() -> bool:
    """Tell whether stdout is coloured: on a terminal that can, unless NO_COLOR or CLICOLOR=0 ask for none."""
    from rich.console import detect_legacy_windows  # such a console would print the codes of colours as text

    asked = not os.environ.get("NO_COLOR") and os.environ.get("CLICOLOR") != "0"
    return asked and draws(sys.stdout) and not detect_legacy_windows()


def _draws_signs() -> bool:
    """Tell whether stdout's encoding has the signs of the terminal form."""
    try:
        _SIGNS.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
