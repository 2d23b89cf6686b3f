"""Reports on stdout: as wide as the terminal, plain where it is none, UTF-8 where a program reads it."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TextIO

from .errors import OutputError
from .results import Report
from .wording import encodable

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
    form : {"terminal", "json", "markdown"}
        JSON and Markdown are UTF-8 whatever the terminal's encoding is; the terminal form keeps to what it can draw.
    """
    from .render_json import render_json
    from .render_markdown import render_markdown
    from .render_terminal import render_terminal

    if form == "terminal":
        text = render_terminal(report, width=page_width(), color=_takes_colors(), unicode=_draws_signs())
        print_text(text, instead="use -o FILE")
        return
    text = render_json(report) if form == "json" else render_markdown(report)
    print_text(text, encoding="utf-8", instead="use -o FILE")


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
