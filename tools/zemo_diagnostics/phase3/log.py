"""The worker's lines, kept in a file to the letter, and turned into progress on the way."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from pathlib import Path
from types import TracebackType

from ..errors import OutputError
from ..progress import Say
from ..redaction import PrivateWords, redact_text

# How much of a tile's time goes into reading and aligning its frames; the rest is the stack and the file.
_ALIGNING = 0.8
_BAR_CELLS = 10
_TILES_SHOWN = 3

# Where a line of the worker's, or of ours, names a tile.
_TILE_NUMBER = re.compile(r"\b(tile(?:_id)?[= ])(\d+)\b")

_FRAMES_LINE = re.compile(r"MT_FRAMES tile=(\d+) ")


class Phase3Log:
    """Takes ZeMosaic's progress callback: every line with its level goes to a file, and progress to `say`.

    In the file tiles count from 0, as in ZeMosaic's own log, and a first line says so.

    What the file cannot take is dropped: a full disk ends the run by its masters, not by its log.

    Parameters
    ----------
    path : Path
        The file; lines are appended.
    total : int
        Masters that are to be built.
    say : callable
        Gets (what is being done, part done, the tiles in flight).
    private : PrivateWords
        What is taken out of each line.

    Raises
    ------
    OutputError
        Where the file cannot be opened.
    """

    def __init__(self, path: Path, total: int, say: Say, private: PrivateWords) -> None:
        try:
            self._stream = path.open("a", encoding="utf-8", errors="backslashreplace", newline="\n", buffering=1)
        except OSError as error:
            raise OutputError(f"'{path}' cannot be written ({error.strerror or error}): move it elsewhere") from error
        self._lock = threading.Lock()
        self._total, self._say, self._private = max(1, total), say, private
        self._done = 0
        self._flying: dict[int, float] = {}
        self.rule = ""

    def __enter__(self) -> Phase3Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            self._stream.close()

    def __call__(self, message: str, percent: float | None, level: str, **_: object) -> None:
        """Take one line of the worker."""
        self.take(_counted_from_0(message), level, self.rule)
        tile = _FRAMES_LINE.match(message)
        if tile and percent is not None:
            self._flying[int(tile[1])] = percent / 100.0
            self.show()

    def take(self, message: str, level: str, rule: str) -> None:
        """Keep a line, from whatever thread."""
        text = redact_text(message, self._private).replace("\n", " ")
        with self._lock, contextlib.suppress(OSError):
            self._stream.write(f"[{time.strftime('%H:%M:%S')}] [{rule}] [{level}] {text}\n")

    def tell(self, rule: str, message: str) -> None:
        """Keep a line of our own."""
        self.rule = rule
        self.take(_counted_from_0(message), "INFO", rule)

    def begun(self, tile_id: int) -> None:
        """Note that a tile is in flight of which nothing more is heard until it is done."""
        self._flying[tile_id] = 0.0
        self.show()

    def finished(self, tile_id: int) -> None:
        """Note that a tile is done; one that was tried again counts in the total too."""
        self._flying.pop(tile_id, None)
        self._done += 1
        self._total = max(self._total, self._done + len(self._flying))
        self.show()

    def show(self) -> None:
        """Show how far the whole run and the tiles in flight are."""
        part = (self._done + _ALIGNING * sum(self._flying.values())) / self._total
        bars = [f"tile {tile} {_bar(done)}" for tile, done in sorted(self._flying.items())[:_TILES_SHOWN]]
        self._say(f"building masters ({self.rule})", min(part, 1.0), ", ".join(bars))


def _counted_from_0(message: str) -> str:
    """Give tiles the numbers of ZeMosaic's log: the report's tile 1 is tile 0 there."""
    return _TILE_NUMBER.sub(lambda match: f"{match[1]}{int(match[2]) - 1}", message)


def _bar(part: float) -> str:
    """Draw a small bar: "[####------]"."""
    cells = round(part * _ALIGNING * _BAR_CELLS)
    return f"[{'#' * cells}{'-' * (_BAR_CELLS - cells)}]"
