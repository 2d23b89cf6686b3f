"""The master tiles in the terminal report: a table, or stacked lines on a narrow page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from . import sentences_masters
from .finding_groups import State, master_state, tile_levels
from .layout import Page, columns, drawable
from .results import Report
from .results_masters import RunMasters, TileMaster
from .terminal_parts import MAX_TILES, MAX_TILES_OF_MANY, TABLE_WIDTH, heading, say, tile_line, tiles_left_out

States = dict[int, tuple[State, str]]


def masters_tiles(masters: RunMasters, report: Report, page: Page) -> Iterator[Text]:
    """Give the masters; of very many, the worst that are not fine."""
    yield from heading("Master tiles")
    levels = tile_levels(report.findings, "ZD3")
    states = {tile.tile_id: master_state(tile, levels) for tile in masters.tiles}
    wrong = [tile for tile in masters.tiles if states[tile.tile_id][0] is not State.OK]
    shown: Sequence[TileMaster] = masters.tiles
    if len(masters.tiles) > MAX_TILES:
        shown = sorted(wrong, key=lambda tile: states[tile.tile_id][0] is not State.ERROR)[:MAX_TILES_OF_MANY]
    if page.width < TABLE_WIDTH:
        for tile in shown:
            yield from _stacked(tile, states, page)
    elif shown:
        yield from _table(shown, states, page)
    yield from tiles_left_out(len(masters.tiles), len(shown), len(wrong), page)


def _stacked(tile: TileMaster, states: States, page: Page) -> Iterator[Text]:
    """Give one master on lines of its own."""
    yield from tile_line(page.mark(*states[tile.tile_id]), tile.tile_id, tile.name, page)
    for sentence in sentences_masters.master_sentences(tile):
        yield from say(sentence, page, indent=6, hang=2)


def _cells(tile: TileMaster, page: Page) -> tuple[str, ...]:
    """Give the cells of one master, with the signs that the page knows."""
    return tuple(drawable(cell, unicode=page.unicode) for cell in sentences_masters.master_cells(tile))


def _table(tiles: Sequence[TileMaster], states: States, page: Page) -> Iterator[Text]:
    """Give the masters as a table, their levels beneath each, and what the samples hold where it is not fine."""
    header = ("", "tile", "name", *sentences_masters.MASTER_HEADS)
    rows: list[tuple[Text | str, ...]] = [
        (page.mark(*states[tile.tile_id]), str(tile.tile_id), tile.name, *_cells(tile, page)) for tile in tiles
    ]
    head, *laid_out = columns(header, rows, page, right=(1, 5))
    yield from head
    indent = head[0].plain.index("name")
    for tile, lines in zip(tiles, laid_out, strict=True):
        yield from lines
        yield from say(sentences_masters.levels_words(tile), page, indent=indent, hang=2, style="dim")
        if states[tile.tile_id][0] is not State.OK:
            yield from say(sentences_masters.samples_words(tile), page, indent=indent, hang=2, style="dim")
