"""Markdown that keeps its shape whatever a user's text holds, and that stays within a number of bytes.

Words that Markdown, HTML or GitHub could read as more than words (``@name``, ``#12``, ``*``, ``|``, ``<b>``) are set
as code, where all of them are read literally and a file name looks like one. ALT_AZ is such a word; the other mount
modes are set like it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from ..wording import MISSING, plural, visible

# What one name and one sentence may take, bytes, markup included; and a line within a block of code, characters.
CODE_BYTES, PROSE_BYTES = 400, 1200
FENCED_LINE_LENGTH = 600

_RISKY = re.compile(r"[`|<>*_@#\[\]\\&~${}^]|GH-\d|://|:[\w+-]+:|^--\w|^www\.", re.IGNORECASE)
_MODES = frozenset({"EQ", "ALT_AZ", "UNKNOWN"})
_BLOCK_START = re.compile(r"[-+=]+|\d+[.)]")
_WORD = re.compile(r"""([("']*)(.*?)([)"'.,;:!?]*)""")


def code(text: str, limit_bytes: int = CODE_BYTES) -> str:
    """Set a name or a value as code."""
    shown = visible(text[: limit_bytes + 1])
    if not shown.strip():
        return MISSING
    if any(sign in shown for sign in "`|\\"):
        # Within backticks these would end the code or the table's cell, or bend the rules for either.
        return f"<code>{_cut(map(_literal, shown), limit_bytes)}</code>"
    return f"`{_cut(shown, limit_bytes)}`"


def prose(text: str, limit_bytes: int = PROSE_BYTES) -> str:
    """Set a sentence: words that could be read as markup become code, the rest stays as it is."""
    return _cut(_set_words(visible(text).split()), limit_bytes).rstrip()


def fence(lines: Sequence[str]) -> str:
    """Set lines as a block of code, within a fence that none of them can end."""
    longest = max((len(run) for line in lines for run in re.findall(r"`+", line)), default=0)
    ticks = "`" * max(3, longest + 1)
    return "\n".join([f"{ticks}text", *lines, ticks])


def fenced_line(text: str) -> str:
    """Give a line for a block of code: what is hidden in it shown, and cut where it is very long."""
    shown = visible(text[: FENCED_LINE_LENGTH + 1])
    return shown if len(shown) <= FENCED_LINE_LENGTH else shown[: FENCED_LINE_LENGTH - 1] + "…"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Set a table of cells that are Markdown already: its two head lines, then a line per row."""
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]


def folded(summary: str, body: str) -> str:
    """Set a part that opens when its summary is clicked."""
    return f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


def size(text: str) -> int:
    """Give the size of a text in UTF-8, bytes."""
    return len(text.encode("utf-8"))


def fit(items: Sequence[str], limit_bytes: int, noun: str, option: str = "-o") -> tuple[list[str], str]:
    """Take items, each on lines of its own, as long as they fit; and say how many did not, or nothing.

    Parameters
    ----------
    items : sequence of str
        What there is.
    limit_bytes : int
        What the items and the sentence may take together, line ends included.
    noun : str
        What one item is called.
    option : str
        What names the file of the JSON report.
    """
    left = limit_bytes - size(_in_json(len(items), noun, option)) - 2
    for count, item in enumerate(items):
        left -= size(item) + 1
        if left < 0:
            return list(items[:count]), _in_json(len(items) - count, noun, option)
    return list(items), ""


def _in_json(count: int, noun: str, option: str) -> str:
    """Announce what was cut, and say where it is."""
    verb = "is" if count == 1 else "are"
    return f"… {plural(count, f'more {noun}')} {verb} in the JSON report (`{option} report.json`)"


def _set_words(words: Sequence[str]) -> Iterator[str]:
    """Set words, each with a blank after it; the first may not look like the start of a list or a heading."""
    for i, word in enumerate(words):
        yield f"{code(word) if i == 0 and _BLOCK_START.fullmatch(word) else _word(word)} "


def _word(word: str) -> str:
    """Set one word; the brackets and stops around it stay outside of the code."""
    match = _WORD.fullmatch(word)
    before, inner, after = match.groups() if match else ("", word, "")
    if inner not in _MODES and not _RISKY.search(word):
        return word
    return f"{before}{code(inner)}{after}"


def _literal(sign: str) -> str:
    """Give a character that stands for itself in HTML and in Markdown."""
    return sign if sign.isalnum() or sign in " .,-" else f"&#{ord(sign)};"


def _cut(pieces: Iterable[str], limit_bytes: int) -> str:
    """Join pieces as long as they fit into a number of bytes, and say with "…" where they did not."""
    taken: list[str] = []
    left = limit_bytes
    for piece in pieces:
        left -= size(piece)
        if left < 0:
            return "".join([*taken, "…"])
        taken.append(piece)
    return "".join(taken)
