"""Lines that every part of the terminal report is made of: headings, sentences, labelled facts, "and more"."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from . import wording
from .layout import Page, drawable, wrap

# How many tiles are shown; of more, the worst so many.
MAX_TILES = 60
MAX_TILES_OF_MANY = 20

# Narrower pages get stacked lines instead of a table.
TABLE_WIDTH = 72
LABEL_WIDTH = 19

REST = "the whole report: -o report.json"


def heading(title: str) -> Iterator[Text]:
    """Give a section's heading."""
    yield Text()
    yield Text(title, style="bold")


def say(text: str, page: Page, *, indent: int = 0, hang: int = 0, style: str = "") -> list[Text]:
    """Wrap a sentence of ours; its signs are brought to what the page knows."""
    return wrap(Text(drawable(text, unicode=page.unicode), style=style), page, indent=indent, hang=hang)


def fact(label: str, text: str, page: Page, *, indent: int = 2) -> list[Text]:
    """Give "label   text", the text in a column of its own; beneath the label where the page is narrow."""
    if page.width < TABLE_WIDTH:
        return say(f"{label}: {text}", page, indent=indent, hang=2)
    return say(f"{label:<{LABEL_WIDTH}}{text}", page, indent=indent, hang=LABEL_WIDTH)


def tile_line(mark: Text, tile_id: int, name: str, page: Page) -> list[Text]:
    """Give a tile's mark, number and name."""
    return wrap(mark.append(f"  tile {tile_id}, {name}"), page, indent=2, hang=4)


def tiles_left_out(count: int, shown: int, wrong: int, page: Page, *, rest: str = REST) -> Iterator[Text]:
    """Say how many tiles were not shown, how many of them are fine, and where they are."""
    if count == 0:
        yield from say("none", page, indent=2)
    if count > shown:
        fine = "all fine" if shown == wrong else f"{count - wrong} of them fine"
        text = f"{page.more} {wording.plural(count - shown, 'more tile')}, {fine}; {rest}"
        yield from say(text, page, indent=2, hang=2)


def and_more(count: int, page: Page, *, indent: int) -> Iterator[Text]:
    """Say that there are more like these."""
    if count > 0:
        yield from say(f"{page.more} and {count} more", page, indent=indent)
