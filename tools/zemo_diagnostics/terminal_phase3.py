"""A run of Phase 3 in the terminal report: facts, a table or stacked lines, and a sentence per tile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from . import sentences_phase3
from .finding_groups import State, phase3_state, tile_levels
from .layout import Page, columns, drawable
from .results import Report
from .results_phase3 import RunPhase3, TilePhase3
from .terminal_parts import MAX_TILES, MAX_TILES_OF_MANY, TABLE_WIDTH, fact, heading, say, tile_line, tiles_left_out

States = dict[int, State]

_REST = "the whole report: --report report.json"  # -o names the folder of the masters


def phase3_lines(run: RunPhase3, report: Report, page: Page) -> Iterator[Text]:
    """Give the lines about the run, then the tiles; of very many, the worst that are not fine."""
    yield from heading("Run")
    for label, text in sentences_phase3.phase3_facts(run):
        yield from fact(label, text, page)
    yield from heading("Tiles")
    levels = tile_levels(report.findings, "ZD4")
    states = {tile.tile_id: phase3_state(tile, levels, planned=run.dry_run) for tile in run.tiles}
    wrong = [tile for tile in run.tiles if states[tile.tile_id] is not State.OK]
    shown: Sequence[TilePhase3] = run.tiles
    if len(run.tiles) > MAX_TILES:
        shown = sorted(wrong, key=lambda tile: states[tile.tile_id] is not State.ERROR)[:MAX_TILES_OF_MANY]
    if page.width < TABLE_WIDTH:
        for tile in shown:
            yield from _stacked(tile, run, states, page)
    elif shown:
        yield from _table(shown, run, states, page)
    yield from tiles_left_out(len(run.tiles), len(shown), len(wrong), page, rest=_REST)


def _stacked(tile: TilePhase3, run: RunPhase3, states: States, page: Page) -> Iterator[Text]:
    """Give one tile on lines of its own."""
    yield from tile_line(page.mark(states[tile.tile_id]), tile.tile_id, tile.name, page)
    if run.dry_run:
        cells = zip(sentences_phase3.PLAN_HEADS, sentences_phase3.plan_cells(tile, run), strict=True)
        sentences = ["; ".join(f"{head}: {cell}" for head, cell in cells)]
    else:
        sentences = sentences_phase3.tile_sentences(tile)
    for sentence in sentences:
        yield from say(sentence, page, indent=6, hang=2)


def _table(tiles: Sequence[TilePhase3], run: RunPhase3, states: States, page: Page) -> Iterator[Text]:
    """Give the tiles as a table, and beneath it what became of each, in a sentence."""
    heads = sentences_phase3.PLAN_HEADS if run.dry_run else sentences_phase3.PHASE3_HEADS[:5]
    rows: list[tuple[Text | str, ...]] = [
        (page.mark(states[tile.tile_id]), str(tile.tile_id), tile.name, *_cells(tile, run, page)) for tile in tiles
    ]
    head, *laid_out = columns(("", "tile", "name", *heads), rows, page, right=(1,))
    yield from head
    indent = head[0].plain.index("name")
    for tile, lines in zip(tiles, laid_out, strict=True):
        yield from lines
        if not run.dry_run:
            for sentence in sentences_phase3.detail_sentences(tile):
                yield from say(sentence, page, indent=indent, hang=2, style="dim")
    if not run.dry_run:
        yield from heading("What became of them")
        for tile in tiles:
            yield from say(sentences_phase3.verdict_sentence(tile), page, indent=2, hang=2)


def _cells(tile: TilePhase3, run: RunPhase3, page: Page) -> tuple[str, ...]:
    """Give the cells of one tile; medians stand beneath."""
    cells = sentences_phase3.plan_cells(tile, run) if run.dry_run else sentences_phase3.phase3_cells(tile)[:5]
    return tuple(drawable(cell, unicode=page.unicode) for cell in cells)
