"""The blocks that a result is told in: commands make them, formats draw them, and neither knows the other.

Text in a block is plain: a format wraps, marks, escapes, folds and cuts it. Nothing here knows of any command.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """How a row or a report stands: the mark beside its word."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


class Tone(Enum):
    """How loud a line is: beside what matters, as everything else, or a thing that went wrong."""

    FAINT = "faint"
    PLAIN = "plain"
    ALARM = "alarm"


@dataclass(frozen=True)
class Line:
    """One sentence, and how loud it is."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True)
class Facts:
    """Labelled lines that are true of the whole run: (label, text)."""

    title: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    head : str
        What stands above it.
    right : bool
        Whether it is set flush right.
    code : bool
        Whether its cells are set as code, where a format has that.
    room : int or None
        The width of a page, in characters, from which it is drawn; None: only by formats without a width.
    """

    head: str
    right: bool = False
    code: bool = False
    room: int | None = 0


@dataclass(frozen=True, kw_only=True)
class GridRow:
    """A row of a small table, and the same in a sentence; a row without cells is told in its sentence alone."""

    cells: tuple[str, ...]
    told: Line


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A small table within a row's details; `note` is a sentence about all of it."""

    columns: tuple[Column, ...]
    rows: tuple[GridRow, ...]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Details:
    """Groups of lines that are folded where a format can fold, and left out where it has little room.

    Attributes
    ----------
    title : str
        What they are.
    noun : str
        What one group is called: "frame", "line".
    groups : tuple of tuple of str
        Lines that belong together.
    """

    title: str
    noun: str
    groups: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing that a command looked at: a tile, a master, a check.

    Attributes
    ----------
    number, name : int, str
        What it is called.
    state : State
        How it stands.
    word : str
        What it comes to, in a word; the state's own where it is empty.
    cells : tuple of str
        One for each column of its table.
    told : tuple of Line
        The row in sentences, for narrow pages and folds.
    beneath : tuple of Line
        What columns that a page has no room for would say.
    closing : Line or None
        Its line below the table, such as a line of a log.
    details : tuple of Line, Grid or Details
        All there is to say of it.
    """

    number: int
    name: str
    state: State
    word: str = ""
    cells: tuple[str, ...] = ()
    told: tuple[Line, ...] = ()
    beneath: tuple[Line, ...] = ()
    closing: Line | None = None
    details: tuple[Line | Grid | Details, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of one kind.

    Attributes
    ----------
    title : str
        What they are.
    noun : str
        What one of them is called: "tile".
    columns : tuple of Column
        Those after number and name.
    rows : tuple of Row
        In their order.
    note : str
        A sentence that explains the columns.
    closing_title : str
        What stands above the rows' closing lines.
    told_title : str
        What the rows told at length are called where they are folded; empty: the table says all of it.
    room : int
        The width of a page, in characters, from which it is drawn as a table, where that is more than a format asks
        for anyway; else its rows are told in sentences.
    """

    title: str
    noun: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""
    closing_title: str = ""
    told_title: str = ""
    room: int = 0


Block = Facts | Table | Details


@dataclass(frozen=True, kw_only=True)
class Section:
    """One result told: its title, what it comes to, and its blocks."""

    title: str
    verdict: str
    blocks: tuple[Block, ...]
