"""Numbers and words of the reports, the same in every renderer: "1.2 GiB", "3 of 2000 (0.15 %)", "1, 5-9".

Nothing in here knows of results, columns, colours or Markdown.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence

MISSING = "n/a"

# Categories of characters that draw nothing, or that change how the text around them is drawn.
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

# Signs that our own texts use, for streams that know ASCII only.
ASCII_SIGNS = str.maketrans(
    {"×": "x", "–": "-", "—": "-", "…": "...", "·": "-", "’": "'", "µ": "u", "σ": "sigma", "κ": "kappa", "°": " deg"}
    | {"≤": "<=", "≥": ">=", "→": "->", "±": "+/-"}
)


def encodable(text: str, encoding: str) -> str:
    """Give a text as an encoding can show it: where it knows not all of it, our signs in ASCII, the rest by number."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(ASCII_SIGNS).encode(encoding, "backslashreplace").decode(encoding)
    return text


def visible(text: str) -> str:
    r"""Show what draws nothing: control, bidi and half characters become ``\x1b``, ``\u202e``, ``\udcff``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode("ascii") if unicodedata.category(char) in _HIDDEN_CATEGORIES else char
        for char in text
    )


def plural(count: int, noun: str) -> str:
    """Give "1 tile", "3 tiles"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def counted(count: int, noun: str, one: str, several: str) -> str:
    """Give "1 frame says", "3 frames say": a count, its noun, and the verb that fits."""
    return f"{plural(count, noun)} {one if count == 1 else several}"


def part_of(part: int, whole: int, noun: str, one: str, several: str) -> str:
    """Give "3 of 4 frames say", "1 of 4 frames says", and of a single one "The only frame says"."""
    if whole == 1:
        return f"The only {noun} {one}"
    return f"{part} of {whole} {noun}s {one if part == 1 else several}"


def on_off(flag: bool) -> str:
    """Give "on" or "off"."""
    return "on" if flag else "off"


def human_bytes(count: int | None) -> str:
    """Give an amount of memory with its unit: "1.2 GiB"."""
    if count is None:
        return MISSING
    size, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while size >= 1023.5 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.0f} {units[0]}" if units[0] == "B" or size >= 99.95 else f"{size:.1f} {units[0]}"


def duration(seconds: float | None) -> str:
    """Give a time with its unit: "42 ms", "0.42 s", "3 min 12 s"."""
    if seconds is None:
        return MISSING
    if seconds < 0.0995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def number(value: float | None) -> str:
    """Give a number with three significant digits, large ones whole: "0.00012", "3", "1000"."""
    if value is None:
        return MISSING
    return f"{value:.0f}" if 999.5 <= abs(value) < 1e6 else f"{value:.3g}"


def percent(value: float | None) -> str:
    """Give a percentage with four significant digits, none of them rounded away to nothing: "0.4123 %"."""
    return MISSING if value is None else f"{value:.4g} %"


def fraction(part: float) -> str:
    """Give a part of 1 as a percentage: "97 %", "0.31 %"; only nothing is 0 %, and only all of it 100 %."""
    exact = 100 * part
    if exact in (0, 100):
        return f"{exact:.0f} %"
    return f"{_fixed(min(exact, 99.99))} %"


def share(part: int, whole: int, noun: str = "") -> str:
    """Give "3 of 2000 (0.15 %)", with a noun, "samples", "3 of 2000 samples (0.15 %)"; only all of them are 100 %."""
    words = f"{part} of {whole} {noun.removesuffix('s') if whole == 1 else noun}".rstrip()
    if whole == 0 or part == 0:
        return words
    exact = 100 * part / whole
    return f"{words} ({'100' if part == whole else _fixed(min(exact, 99.99))} %)"


def _fixed(value: float) -> str:
    """Give a number with two digits that tell, four where it is large, and never with an exponent."""
    if value >= 99:
        return f"{value:.4g}"
    if value < 1e-6:
        return "less than 0.000001"
    digits = max(0, 1 - math.floor(math.log10(value)))
    return f"{value:.{digits}f}"


def ranges(ids: Iterable[int]) -> list[str]:
    """Give "1", "3", "5-9" for a few or many numbers."""
    runs: list[list[int]] = []
    for number_ in sorted(set(ids)):
        if runs and number_ == runs[-1][1] + 1:
            runs[-1][1] = number_
        else:
            runs.append([number_, number_])
    return [_range(first, last) for first, last in runs]


def _range(first: int, last: int) -> str:
    """Give one stretch of numbers; two neighbours are shorter with a comma."""
    if first == last:
        return str(first)
    return f"{first}, {last}" if last == first + 1 else f"{first}-{last}"


def first_few(items: Sequence[str], limit: int) -> str:
    """Give the first few, then "and 37 more"."""
    if len(items) <= limit:
        return ", ".join(items)
    return f"{', '.join(items[:limit])} and {len(items) - limit} more"
