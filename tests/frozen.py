"""What the sample reports look like, kept as files: ``python -m tests.frozen`` writes them anew.

They are compared whole, so that a change of what users see is a change of these files, and is looked at as such.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.sample_reports import SAMPLES
from zemo_diagnostics.reports.markdown import render_markdown
from zemo_diagnostics.reports.terminal import render_terminal

FOLDER = Path(__file__).resolve().parent / "frozen_reports"
WIDTHS = (60, 100)


def drawn() -> Iterator[tuple[str, str]]:
    """Give the name of each file, and what it holds today."""
    for name, make in SAMPLES.items():
        stem, report = name.replace(" ", "_"), make()
        draw = partial(render_terminal, report, unicode=True)
        for width in WIDTHS:
            yield f"{stem}_{width}.txt", draw(width=width, color=False)
            yield f"{stem}_{width}_colour.txt", draw(width=width, color=True)
        yield f"{stem}.md", render_markdown(report)


def main() -> None:
    """Write the files that are out of date, and remove those of samples that are gone."""
    FOLDER.mkdir(exist_ok=True)
    wanted = dict(drawn())
    for path in FOLDER.iterdir():
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
