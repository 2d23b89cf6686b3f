"""The report for a terminal: a line per tile with a mark and a word, details where something is wrong, verdict last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from rich.text import Text

from . import sentences, wording
from .finding_groups import (
    LEVEL_WORDS,
    FindingGroup,
    State,
    gating_states,
    group_findings,
    level_state,
    parity_states,
    report_state,
)
from .layout import Page, columns, draw, drawable, wrap
from .redaction import map_strings
from .report import exit_code, verdict
from .results import Report, RunGating, RunParity, RunStatus, TileGating, TileParity, UnusableFile, VariantRun
from .terminal_masters import masters_tiles
from .terminal_parts import (
    MAX_TILES,
    MAX_TILES_OF_MANY,
    REST,
    TABLE_WIDTH,
    and_more,
    fact,
    heading,
    say,
    tile_line,
    tiles_left_out,
)
from .terminal_phase3 import phase3_lines

# How much is shown before "and ... more".
MAX_TILE_DETAILS = 12
MAX_MESSAGES = 30
MAX_TILE_MESSAGES = 5
MAX_EVIDENCE = 3

# From this width on there is room for a column of reasons; up to this many tiles are always told at length.
WHY_COLUMN_WIDTH = 110
FEW_TILES = 4

ParityStates = dict[int, tuple[State, str]]


def render_terminal(report: Report, *, width: int, color: bool, unicode: bool) -> str:
    """Render a report for a terminal.

    Parameters
    ----------
    report : Report
        The report, already redacted.
    width : int
        Columns; no line is longer.
    color : bool
        Whether to colour. The marks and words say the same without.
    unicode : bool
        Whether the stream knows more than ASCII.
    """
    page = Page(max(width, 40), unicode)
    report = map_strings(report, partial(drawable, unicode=unicode))
    return draw(_lines(report, page), page, color=color)


def _lines(report: Report, page: Page) -> Iterator[Text]:
    """Give all lines, in the order of the page."""
    yield from _header(report, page)
    if report.gating:
        yield from _gating_run(report.gating, page)
        yield from _gating_tiles(report.gating, report, page)
    if report.parity:
        yield from _parity_run(report.parity, page)
        yield from _parity_tiles(report.parity, report, page)
    if report.masters:
        yield from masters_tiles(report.masters, report, page)
    if report.phase3:
        yield from phase3_lines(report.phase3, report, page)
    yield from _findings(report, page)
    yield from _verdict(report, page)


def _header(report: Report, page: Page) -> Iterator[Text]:
    """Say what was done, on which folder, with what."""
    yield from say(f"zemo-diag {report.command}: {report.source.folder}", page, hang=2, style="bold")
    yield from say(sentences.source_line(report), page, indent=2)
    yield from say(sentences.versions_line(report), page, indent=2, hang=2, style="dim")
    yield from say(sentences.functions_line(report), page, indent=2, hang=2, style="dim")


def _gating_run(gating: RunGating, page: Page) -> Iterator[Text]:
    """Give the lines about the whole run."""
    yield from heading("Run")
    for label, text in sentences.gating_facts(gating):
        yield from fact(label, text, page)


def _gating_tiles(gating: RunGating, report: Report, page: Page) -> Iterator[Text]:
    """Give the tiles: a table, or stacked lines on a narrow page; of very many, the worst that are not fine."""
    yield from heading("Tiles")
    states = gating_states(report)
    wrong = [tile for tile in gating.tiles if states[tile.tile_id] is not State.OK]
    shown: Sequence[TileGating] = gating.tiles
    if len(gating.tiles) > MAX_TILES:
        shown = sorted(wrong, key=lambda tile: states[tile.tile_id] is not State.ERROR)[:MAX_TILES_OF_MANY]
    if page.width < TABLE_WIDTH:
        for tile in shown:
            yield from _gating_stacked(tile, states[tile.tile_id], page)
    elif shown:
        yield from _gating_table(shown, states, page)
    yield from tiles_left_out(len(gating.tiles), len(shown), len(wrong), page)
    if shown:
        yield from heading("What ZeMosaic logs of them")
        for tile in shown:
            yield from say(tile.log_line, page, indent=2, hang=2, style="dim")


def _gating_stacked(tile: TileGating, state: State, page: Page) -> Iterator[Text]:
    """Give one tile on lines of its own."""
    yield from tile_line(page.mark(state), tile.tile_id, tile.name, page)
    yield from say(f"{sentences.counts_words(tile.counts)}: treated as {tile.eqmode}", page, indent=6, hang=2)
    yield from say(tile.evidence, page, indent=6, hang=2, style="dim")
    yield from say(sentences.cleanup_words(tile), page, indent=6, hang=2)


def _gating_table(tiles: Sequence[TileGating], states: dict[int, State], page: Page) -> Iterator[Text]:
    """Give the tiles as a table; what the mode rests on is a column, or a line beneath where that is too wide."""
    wide = page.width >= WHY_COLUMN_WIDTH
    header = ("", "tile", "name", "frames", "mode", "cleanup", "before patch") + ("why",) * wide
    rows = [(*_gating_cells(tile, states, page), *(tile.evidence,) * wide) for tile in tiles]
    head, *laid_out = columns(header, rows, page, right=(1,))
    yield from head
    indent = head[0].plain.index("name")
    for tile, lines in zip(tiles, laid_out, strict=True):
        yield from lines
        if not wide:
            yield from say(tile.evidence, page, indent=indent, hang=2, style="dim")


def _gating_cells(tile: TileGating, states: dict[int, State], page: Page) -> tuple[Text | str, ...]:
    """Give the cells of one tile."""
    return (
        page.mark(states[tile.tile_id]),
        str(tile.tile_id),
        tile.name,
        sentences.counts_words(tile.counts),
        tile.eqmode,
        wording.on_off(tile.tile_enabled),
        wording.on_off(tile.before_enabled),
    )


def _parity_run(parity: RunParity, page: Page) -> Iterator[Text]:
    """Give the lines about the whole run."""
    yield from heading("Memory")
    for label, text in sentences.parity_facts(parity):
        yield from fact(label, text, page)


def _parity_tiles(parity: RunParity, report: Report, page: Page) -> Iterator[Text]:
    """Give the tiles: a few at length; of more, a line each and those that are not fine at length."""
    yield from heading("Tiles")
    states = parity_states(report)
    wrong = [tile for tile in parity.tiles if states[tile.tile_id][0] in (State.WARNING, State.ERROR)]
    few = 0 < len(parity.tiles) <= FEW_TILES
    if not few:
        yield from _parity_overview(parity.tiles, wrong, states, page)
    detailed = parity.tiles if few else wrong[:MAX_TILE_DETAILS]
    for i, tile in enumerate(detailed):
        if i or not few:
            yield Text()
        yield from _parity_block(tile, states, page)
    if len(wrong) > len(detailed):
        more = wording.plural(len(wrong) - len(detailed), "more tile")
        yield from say(f"{page.more} {more} to look at; {REST}", page, indent=2, hang=2)


def _parity_overview(
    tiles: Sequence[TileParity], wrong: Sequence[TileParity], states: ParityStates, page: Page
) -> Iterator[Text]:
    """Give a line per tile; of very many, only those that are not fine."""
    shown = tiles if len(tiles) <= MAX_TILES else wrong[:MAX_TILES_OF_MANY]
    if page.width < TABLE_WIDTH:
        for tile in shown:
            yield from tile_line(page.mark(*states[tile.tile_id]), tile.tile_id, tile.name, page)
            yield from say(sentences.peaks_words(tile), page, indent=6, hang=2, style="dim")
    elif shown:
        yield from _parity_table(shown, states, page)
    yield from tiles_left_out(len(tiles), len(shown), len(wrong), page)


def _parity_table(tiles: Sequence[TileParity], states: ParityStates, page: Page) -> Iterator[Text]:
    """Give the tiles as a table of their peaks."""
    header = ("", "tile", "name", "frames", "full frame", "chunked", "ratio")
    rows = [
        (page.mark(*states[tile.tile_id]), str(tile.tile_id), tile.name, str(tile.used), *sentences.peak_cells(tile))
        for tile in tiles
    ]
    for lines in columns(header, rows, page, right=(1, 3, 4, 5, 6)):
        yield from lines
    yield from say("full frame, chunked: peak memory over the baseline", page, indent=2, style="dim")


def _parity_block(tile: TileParity, states: ParityStates, page: Page) -> Iterator[Text]:
    """Tell one tile at length: what was stacked, both runs, how they compare."""
    yield from tile_line(page.mark(*states[tile.tile_id]), tile.tile_id, tile.name, page)
    yield from say(sentences.parity_settings(tile), page, indent=6, hang=2)
    yield from _runs(tile, page)
    if tile.comparison:
        for line in sentences.comparison_lines(tile.comparison):
            yield from say(line, page, indent=6, hang=2)
    yield from _frames_apart("left out", tile.left_out, page)
    yield from _frames_apart("no signal", tile.no_signal, page)


def _runs(tile: TileParity, page: Page) -> Iterator[Text]:
    """Give the runs of a tile: those that ended well as a table, the others each in a sentence."""
    ended = [run for run in tile.runs if run.status is RunStatus.OK]
    if ended and page.width >= TABLE_WIDTH:
        header = ("peak memory", *sentences.RUN_HEADS)
        rows = [(sentences.run_name(run, tile), *sentences.run_cells(run)) for run in ended]
        for lines in columns(header, rows, page, right=(1, 2, 3, 4, 5), indent=6):
            yield from lines
    else:
        for run in ended:
            yield from say(f"{sentences.run_name(run, tile)}: {sentences.run_words(run)}", page, indent=6, hang=2)
    if tile.compared_runs():
        yield from say(sentences.ratio_sentence(tile), page, indent=6, hang=2)
    yield from _runs_that_failed([run for run in tile.runs if run.status is not RunStatus.OK], tile, page)


def _runs_that_failed(runs: Sequence[VariantRun], tile: TileParity, page: Page) -> Iterator[Text]:
    """Give the runs that did not end well, each in a sentence."""
    for run in runs:
        text = f"{sentences.run_name(run, tile)}: {sentences.ended_words(run)}"
        style = "" if run.status is RunStatus.SKIPPED else "red"
        yield from say(text, page, indent=6, hang=2, style=style)


def _frames_apart(label: str, files: Sequence[UnusableFile], page: Page) -> Iterator[Text]:
    """Name frames that were left out or that hold nothing, the first few."""
    if files:
        yield from say(f"{label}: {wording.plural(len(files), 'frame')}", page, indent=6)
        for file in files[:MAX_EVIDENCE]:
            yield from say(f"{file.name}: {file.reason}", page, indent=8, hang=2)
        yield from and_more(len(files) - MAX_EVIDENCE, page, indent=8)


def _findings(report: Report, page: Page) -> Iterator[Text]:
    """Give the findings, those of a kind together."""
    groups = group_findings(report.findings)
    if groups:
        yield from heading("Findings")
    for i, group in enumerate(groups):
        if i:
            yield Text()
        yield from _finding(group, page)


def _finding(group: FindingGroup, page: Page) -> Iterator[Text]:
    """Give one kind of finding: what it is, what was found, what to do."""
    where = f" ({group.where})" if group.where else ""
    line = page.mark(level_state(group.level), LEVEL_WORDS[group.level])
    line.append(f"  {group.code}", style="bold").append(f"  {group.title}{where}")
    yield from wrap(line, page, indent=2, hang=4)
    limit = MAX_TILE_MESSAGES if group.tile_ids else MAX_MESSAGES
    messages = group.messages[:limit]
    for message in messages:
        yield from say(message, page, indent=6, hang=2)
    yield from and_more(len(group.messages) - limit, page, indent=6)
    if group.evidence:
        yield from say(f"see: {wording.first_few(group.evidence, MAX_EVIDENCE)}", page, indent=6, hang=2, style="dim")
    for remedy in group.remedies[:MAX_EVIDENCE]:
        yield from say(f"to do: {remedy}", page, indent=6, hang=2)


def _verdict(report: Report, page: Page) -> Iterator[Text]:
    """Say what it comes to."""
    yield from heading("Verdict")
    state = report_state(exit_code(report), [finding.level for finding in report.findings])
    text = drawable(verdict(report), unicode=page.unicode)
    yield from wrap(page.mark(state).append(f"  {text}", style="bold"), page, indent=2, hang=4)
