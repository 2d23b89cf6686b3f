"""Draw lines of text for a terminal: marks, wrapping, columns. Knows nothing of what the text says.

Every line is a `rich.text.Text` no wider than it may be, so that nothing is left for the terminal to wrap. Text that
users wrote is never read as markup.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from ..wording import ASCII_SIGNS, visible
from .document import State

GAP = 2
MIN_COLUMN_WIDTH = 8

# Stands for a blank that no line is broken at, while a text is wrapped; no text that is drawn can hold it.
_GLUE = "\ue000"
_UNIT_BLANK = re.compile(r"(?<=\d) (?=(?:%|s|[KMGT]?i?B|ADU|ULP)(?!\w))|(?<=\d) (?=[×x] \d)|(?<=[×x]) (?=\d)")

_STYLES = {State.OK: "green", State.NOTE: "cyan", State.WARNING: "yellow", State.ERROR: "bold red"}
_UNICODE_MARKS = {State.OK: "✓", State.NOTE: "i", State.WARNING: "!", State.ERROR: "✗"}
_ASCII_MARKS = {State.OK: "[+]", State.NOTE: "[i]", State.WARNING: "[!]", State.ERROR: "[x]"}


@dataclass(frozen=True)
class Page:
    """What is drawn on: its width in columns, and whether it knows more than ASCII."""

    width: int
    unicode: bool

    @property
    def more(self) -> str:
        """The sign for what was left out."""
        return "…" if self.unicode else "..."

    def mark(self, state: State, word: str | None = None) -> Text:
        """Give the mark of a state and its word, never the mark alone."""
        sign = (_UNICODE_MARKS if self.unicode else _ASCII_MARKS)[state]
        return Text().append(f"{sign} {word or state.value}", style=_STYLES[state])


def drawable(text: str, *, unicode: bool) -> str:
    """Give a text as it can be drawn: nothing hidden in it and, where asked, nothing but ASCII."""
    shown = visible(text)
    return shown if unicode else shown.translate(ASCII_SIGNS).encode("ascii", "backslashreplace").decode("ascii")


def wrap(text: Text | str, page: Page, *, indent: int = 0, hang: int = 0) -> list[Text]:
    """Wrap a text at blanks; the lines after the first are indented by `hang` more. Long names are folded."""
    content = Text(text) if isinstance(text, str) else text
    first_width = max(8, page.width - indent)
    lines = _fold(content, first_width)
    if hang and len(lines) > 1:
        # The first line is as wide as it can be; the rest is wrapped again, in the width that is left to it.
        rest = content[len(lines[0].plain) :]
        rest = rest[len(rest.plain) - len(rest.plain.lstrip()) :]
        lines = [lines[0]] + [_indented(line, hang) for line in _fold(rest, max(8, first_width - hang))]
    return [_indented(line, indent) for line in lines]


def columns(
    header: Sequence[str],
    rows: Sequence[Sequence[Text | str]],
    page: Page,
    *,
    right: Iterable[int] = (),
    indent: int = 2,
) -> list[list[Text]]:
    """Lay a small table out: for the header and for each row, its lines.

    Parameters
    ----------
    header : sequence of str
        Heads of the columns.
    rows : sequence of sequence of Text or str
        Cells.
    page : Page
        What is drawn on. Where the table is too wide for it, its widest columns are folded.
    right : iterable of int
        Columns that are set flush right.
    indent : int
        Blanks before each line.
    """
    table = [[Text(cell, style="bold") for cell in header]]
    table += [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    widths = [max(cell_len(row[i].plain) for row in table) for i in range(len(header))]
    _narrow(widths, page.width - indent - GAP * (len(widths) - 1))
    flush = frozenset(right)
    return [_row(row, widths, flush, indent) for row in table]


def draw(lines: Iterable[Text], page: Page, *, color: bool) -> str:
    """Draw lines as they stand, with or without colour."""
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=max(page.width, 20),
        force_terminal=color,
        color_system="standard" if color else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
        _environ={},
    )
    for line in lines:
        line.rstrip()
        console.print(line, soft_wrap=True)
    return stream.getvalue()


def _narrow(widths: list[int], room: int) -> None:
    """Take from the widest columns until all fit."""
    while sum(widths) > room and max(widths) > MIN_COLUMN_WIDTH:
        widths[widths.index(max(widths))] -= 1


def _fold(text: Text, width: int) -> list[Text]:
    """Break a text into lines, at blanks where there are any; a number keeps its unit."""
    glued = text.copy()
    glued.plain = _UNIT_BLANK.sub(_GLUE, text.plain)
    # rich needs some console to wrap for; nothing is written to it.
    console = Console(file=io.StringIO(), width=width, _environ={})
    lines = list(glued.wrap(console, width, overflow="fold")) or [Text()]
    for line in lines:
        line.rstrip()
        line.plain = line.plain.replace(_GLUE, " ")
    return lines


def _indented(line: Text, blanks: int) -> Text:
    """Put blanks before a line."""
    return Text(" " * blanks) + line


def _row(cells: Sequence[Text], widths: Sequence[int], right: frozenset[int], indent: int) -> list[Text]:
    """Lay one row out; a cell that is folded makes it several lines high."""
    folded = [_fold(cell, width) for cell, width in zip(cells, widths, strict=True)]
    height = max(len(cell) for cell in folded)
    return [_row_line([cell[i : i + 1] for cell in folded], widths, right, indent) for i in range(height)]


def _row_line(parts: Sequence[list[Text]], widths: Sequence[int], right: frozenset[int], indent: int) -> Text:
    """Lay one line of a row out."""
    line = Text(" " * indent)
    for i, (part, width) in enumerate(zip(parts, widths, strict=True)):
        cell = part[0] if part else Text()
        padding = Text(" " * (width - cell_len(cell.plain)))
        line += padding + cell if i in right else cell + padding
        line += Text(" " * (GAP if i < len(widths) - 1 else 0))
    return line
