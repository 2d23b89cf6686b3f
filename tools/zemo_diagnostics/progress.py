"""Progress on stderr: a bar on a terminal, nothing where stderr goes to a file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

from .stderr import bare_stderr, clean_line, clean_stderr
from .stdout import draws


class Say(Protocol):
    """Takes what is being done, the part done from 0 to 1, and perhaps more about it."""

    def __call__(self, what: str, part: float, detail: str = "", /) -> None:
        """Show it."""


@contextlib.contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[Say]:
    """Show what is being done, for as long as this lasts.

    Parameters
    ----------
    quiet : bool, keyword-only
        Show nothing, on a terminal too.
    """
    stderr = bare_stderr()
    if quiet or not draws(stderr):
        yield lambda _what, _part, _detail="": None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    texts = [TextColumn(f"{{task.{field}}}", markup=False) for field in ("description", "fields[detail]")]
    columns = (texts[0], BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), texts[1])
    # Within, since the bar puts a stream of its own in place of stderr: what is written meanwhile stands above it.
    with Progress(*columns, console=Console(file=stderr), transient=True) as bar, clean_stderr():
        task = bar.add_task("", total=1.0, detail="")

        def say(what: str, part: float, detail: str = "", /) -> None:
            if bar.tasks[0].description != what:
                bar.reset(task, description=what, total=1.0)
            bar.update(task, completed=part, detail=clean_line(detail))

        yield say
