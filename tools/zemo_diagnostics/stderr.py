"""What goes to stderr, whoever writes it: redacted like a report, since people paste it into tickets; nothing hidden.

Lines of our own go through `say_line`, which shows a line break within a name by its number. Whatever else writes there
while `clean_stderr` lasts (warnings of libraries, what an examined module prints, a traceback) is cleaned line by line.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, TextIO, cast

from .wording import encodable, visible

if TYPE_CHECKING:
    from .redaction import PrivateWords


def clean_line(text: str) -> str:
    """Give a line without what is private, and with what draws nothing, such as control characters, shown."""
    from .redaction import redact_text  # a run that says nothing need not wait for it

    return visible(redact_text(text, _private()))


def say_line(text: str = "") -> None:
    """Write one line to stderr."""
    _write_clean(bare_stderr(), text)


def say_as_it_is(text: str) -> None:
    """Write one line that must not be redacted: it holds a command, which has to work."""
    stream = bare_stderr()
    with contextlib.suppress(OSError):
        stream.write(encodable(visible(text), stream.encoding or "ascii") + "\n")
        stream.flush()


def bare_stderr() -> TextIO:
    """Give stderr itself, for what draws on a terminal and knows what it writes there."""
    return sys.stderr.bare if isinstance(sys.stderr, _CleanStream) else sys.stderr


@contextlib.contextmanager
def clean_stderr() -> Iterator[None]:
    """Clean whatever is written to ``sys.stderr``, for as long as this lasts."""
    before = sys.stderr
    cleaning = _CleanStream(before)
    sys.stderr = cast(TextIO, cleaning)
    try:
        yield
    finally:
        sys.stderr = before
        cleaning.finish()


class _CleanStream:
    """Takes text in any pieces and passes it on in lines, each cleaned; else it is the stream behind it."""

    def __init__(self, stream: TextIO) -> None:
        self.bare = stream
        self._line = ""

    def write(self, text: str) -> int:
        """Take a piece: what is private may be spread over several, so that only a whole line can be judged."""
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            _write_clean(self.bare, line)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Take several pieces."""
        self.write("".join(lines))

    def finish(self) -> None:
        """Pass on a last line that was not ended."""
        if self._line:
            self.write("\n")

    def __getattr__(self, name: str) -> Any:
        """Give what the stream behind has, but for the bytes behind that: nothing goes past the cleaning."""
        if name in ("buffer", "detach"):
            raise AttributeError(name)
        return getattr(self.bare, name)


def _write_clean(stream: TextIO, line: str) -> None:
    """Write one line, cleaned, as the stream can show it. Nobody may be there to read it, which is no error."""
    with contextlib.suppress(OSError):
        stream.write(encodable(clean_line(line), stream.encoding or "ascii") + "\n")
        stream.flush()


@cache
def _private() -> PrivateWords:
    """Find once what names the user and the machine."""
    from .redaction import private_words

    return private_words()
