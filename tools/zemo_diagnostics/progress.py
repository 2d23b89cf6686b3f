"""Progress on stderr: a bar on a terminal, nothing where stderr goes to a file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from .reports.stdout import draws
from .stderr import bare_stderr, clean_line, clean_stderr

if TYPE_CHECKING:
    from rich.progress import ProgressColumn, Task
    from rich.text import Text


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
    from rich.progress import Progress

    console = Console(file=stderr)
    columns = _columns(console.width)
    # Within, since the bar puts a stream of its own in place of stderr: what is written meanwhile stands above it.
    with Progress(*columns, console=console, transient=True) as bar, clean_stderr():
        task = bar.add_task("", total=1.0, detail="")

        def say(what: str, part: float, detail: str = "", /) -> None:
            if bar.tasks[0].description != what:
                bar.reset(task, description=what, total=1.0)
            bar.update(task, completed=part, detail=clean_line(detail))

        yield say


def _columns(width: int) -> tuple[ProgressColumn, ...]:
    """Make the bar's columns; where the terminal is narrow, it is the detail that is cut."""
    from rich.progress import BarColumn, ProgressColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.table import Column
    from rich.text import Text

    class Detail(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(task.fields["detail"], no_wrap=True, overflow="ellipsis")

    return (
        TextColumn("{task.description}", markup=False),
        BarColumn(min(40, width // 5), table_column=Column(no_wrap=True)),
        TaskProgressColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        Detail(),
    )
