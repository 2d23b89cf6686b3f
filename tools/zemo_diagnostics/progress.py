"""Progress on stderr: a bar on a terminal, nothing where stderr goes to a file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

# Gets (what is being done, part done from 0 to 1).
Say = Callable[[str, float], None]


@contextlib.contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[Say]:
    """Show what is being done, for as long as this lasts.

    Parameters
    ----------
    quiet : bool, keyword-only
        Show nothing, on a terminal too.
    """
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda _what, _part: None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0)

        def say(what: str, part: float) -> None:
            if bar.tasks[0].description != what:
                bar.reset(task, description=what, total=1.0)
            bar.update(task, completed=part)

        yield say
