"""The report in Markdown for a GitHub ticket: summary first, findings, tiles, and the long parts folded.

An issue's text is safe up to 60,000 bytes. Each part has a share of these; what does not fit is counted in a line of
its own, and stands in the JSON report.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from . import sentences, sentences_masters, sentences_phase3, wording
from .finding_groups import (
    LEVEL_WORDS,
    FindingGroup,
    State,
    gating_states,
    group_findings,
    master_state,
    parity_states,
    phase3_state,
    report_state,
    tile_levels,
)
from .markdown_text import code, fence, fenced_line, fit, folded, prose, size, table
from .report import exit_code, verdict
from .results import Report, RunGating, RunParity, TileGating, TileParity, UnusableFile
from .results_masters import RunMasters, TileMaster
from .results_phase3 import RunPhase3, TilePhase3

LIMIT_BYTES = 60_000

# Shares of the parts, bytes. The summary takes 10,000 at the worst; the folded parts get what is left.
FINDINGS_BYTES = 16_000
TABLE_BYTES = 10_000
FOLD_BYTES = 9_000
_FOLD_MARKUP_BYTES = 400

MAX_MESSAGES = 12
MAX_TILE_MESSAGES = 5
MAX_EVIDENCE = 5
MAX_APART = 12

# From this many tiles on, those that are not fine come first, since the others may be cut.
MANY_TILES = 60


def render_markdown(report: Report) -> str:
    """Render a report as Markdown of less than 60,000 bytes.

    Parameters
    ----------
    report : Report
        The report, already redacted.
    """
    text = "\n\n".join([*_summary(report), *_findings(report), *_tables(report)])
    for title, lines, noun in _folds(report):
        left = LIMIT_BYTES - size(text) - _FOLD_MARKUP_BYTES
        text += "\n\n" + folded(title, _fold_body(lines, min(FOLD_BYTES, left), noun, _report_option(report)))
    return text + "\n"


def _report_option(report: Report) -> str:
    """Give the option that names a report's file: for the masters' command, -o is their folder."""
    return "--report" if report.phase3 else "-o"


def _summary(report: Report) -> Iterator[str]:
    """Say what it comes to, and what it was made with."""
    state = report_state(exit_code(report), [finding.level for finding in report.findings])
    yield f"## zemo-diag {prose(report.command)}"
    yield f"**{state.value.capitalize()}: {prose(verdict(report))}**"
    facts = [
        ("Folder", f"{code(report.source.folder)}: {prose(sentences.source_line(report))}"),
        ("Options", code(" ".join(sentences.option_words(report)), 1000)),
        ("Versions", prose(sentences.versions_line(report))),
        ("Functions under test", prose(report.environment.functions_under_test)),
        ("Machine", prose(sentences.machine_line(report))),
        ("Made", prose(report.created_utc)),
        ("Exit code", str(exit_code(report))),
    ]
    yield "\n".join(f"- {label}: {text}" for label, text in facts)


def _findings(report: Report) -> Iterator[str]:
    """List the findings, those of a kind together."""
    yield "### Findings"
    items = [_finding(group) for group in group_findings(report.findings)]
    taken, more = fit(items, FINDINGS_BYTES, "kind", _report_option(report))
    yield "\n".join(taken) or "None."
    if more:
        yield more


def _finding(group: FindingGroup) -> str:
    """Give one kind of finding: what it is, what was found, what to do."""
    where = f" ({group.where})" if group.where else ""
    lines = [f"- **{prose(group.code)}** {LEVEL_WORDS[group.level]}: {prose(group.title + where)}"]
    limit = MAX_TILE_MESSAGES if group.tile_ids else MAX_MESSAGES
    lines += [f"  - {prose(message)}" for message in group.messages[:limit]]
    if len(group.messages) > limit:
        lines.append(f"  - … and {len(group.messages) - limit} more")
    if group.evidence:
        lines.append(f"  - See: {wording.first_few([code(item) for item in group.evidence], MAX_EVIDENCE)}")
    lines += [f"  - To do: {prose(remedy)}" for remedy in group.remedies[:MAX_TILE_MESSAGES]]
    return "\n".join(lines)


def _tables(report: Report) -> Iterator[str]:
    """Give the tables of tiles, with the lines about the whole run before them."""
    if report.gating:
        yield "### Gating"
        yield _facts(sentences.gating_facts(report.gating))
        yield from _gating_table(report.gating, report)
    if report.parity:
        yield "### Parity of the full-frame and the chunked stack"
        yield _facts(sentences.parity_facts(report.parity))
        yield from _parity_table(report.parity, report)
    if report.masters:
        yield "### Master tiles"
        yield from _masters_table(report.masters, report)
    if report.phase3:
        yield "### Phase 3 before and after the patch"
        yield _facts(sentences_phase3.phase3_facts(report.phase3))
        yield from _phase3_table(report.phase3, report)


def _phase3_table(run: RunPhase3, report: Report) -> Iterator[str]:
    """Give what became of each tile, or what is planned."""
    levels = tile_levels(report.findings, "ZD4")
    states = {tile.tile_id: phase3_state(tile, levels, planned=run.dry_run) for tile in run.tiles}
    many = len(run.tiles) >= MANY_TILES
    tiles = sorted(run.tiles, key=lambda tile: many and states[tile.tile_id] is State.OK)
    heads = sentences_phase3.PLAN_HEADS if run.dry_run else sentences_phase3.PHASE3_HEADS
    header = ("Tile", "Name", "State", *(head.capitalize() for head in heads))
    rows = ((*_phase3_start(tile, states[tile.tile_id]), *_phase3_cells(tile, run)) for tile in tiles)
    yield from _cut_table(table(header, rows), _report_option(report))


def _phase3_start(tile: TilePhase3, state: State) -> tuple[str, ...]:
    """Give a tile's number, name and state."""
    return str(tile.tile_id), code(tile.name), state.value


def _phase3_cells(tile: TilePhase3, run: RunPhase3) -> tuple[str, ...]:
    """Give the cells of one tile."""
    cells = sentences_phase3.plan_cells(tile, run) if run.dry_run else sentences_phase3.phase3_cells(tile)
    return tuple(prose(cell) for cell in cells)


def _masters_table(masters: RunMasters, report: Report) -> Iterator[str]:
    """Give what each master holds."""
    levels = tile_levels(report.findings, "ZD3")
    states = {tile.tile_id: master_state(tile, levels) for tile in masters.tiles}
    many = len(masters.tiles) >= MANY_TILES
    tiles = sorted(masters.tiles, key=lambda tile: many and states[tile.tile_id][0] is State.OK)
    heads = (head.capitalize() for head in (*sentences_masters.MASTER_HEADS, "median", "spread"))
    header = ("Tile", "Name", "State", "Verdict", *heads)
    yield from _cut_table(table(header, (_master_cells(tile, states[tile.tile_id]) for tile in tiles)))


def _master_cells(tile: TileMaster, state: tuple[State, str]) -> tuple[str, ...]:
    """Give the cells of one master."""
    cells = (str(tile.tile_id), code(tile.name), state[0].value, state[1])
    levels = (sentences_masters.medians_words(tile), sentences_masters.spreads_words(tile))
    return cells + sentences_masters.master_cells(tile) + levels


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    """List labelled lines."""
    return "\n".join(f"- {label[:1].upper()}{label[1:]}: {prose(text)}" for label, text in facts)


def _gating_table(gating: RunGating, report: Report) -> Iterator[str]:
    """Give the gating of each tile."""
    states = gating_states(report)
    many = len(gating.tiles) >= MANY_TILES
    tiles = sorted(gating.tiles, key=lambda tile: many and states[tile.tile_id] is State.OK)
    header = ("Tile", "Name", "State", "Frames", "Mode", "Why", "Cleanup", "Before the patch")
    yield from _cut_table(table(header, (_gating_cells(tile, states[tile.tile_id]) for tile in tiles)))


def _gating_cells(tile: TileGating, state: State) -> tuple[str, ...]:
    """Give the cells of one tile."""
    return (
        str(tile.tile_id),
        code(tile.name),
        state.value,
        prose(sentences.counts_words(tile.counts)),
        code(tile.eqmode),
        prose(tile.evidence),
        wording.on_off(tile.tile_enabled),
        wording.on_off(tile.before_enabled),
    )


def _parity_table(parity: RunParity, report: Report) -> Iterator[str]:
    """Give the parity of each tile; the peaks are those over the baseline."""
    states = parity_states(report)
    many = len(parity.tiles) >= MANY_TILES
    tiles = sorted(parity.tiles, key=lambda tile: many and states[tile.tile_id][0] is State.OK)
    header = ("Tile", "Name", "State", "Verdict", "Frames", "Differing", "Peak, full frame", "Peak, chunked", "Ratio")
    yield from _cut_table(table(header, (_parity_cells(tile, states[tile.tile_id]) for tile in tiles)))
    yield "Full frame, chunked: peak memory over the baseline."


def _parity_cells(tile: TileParity, state: tuple[State, str]) -> tuple[str, ...]:
    """Give the cells of one tile."""
    cells = (str(tile.tile_id), code(tile.name), state[0].value, state[1], str(tile.used))
    return (*cells, sentences.difference_cell(tile), *sentences.peak_cells(tile))


def _cut_table(lines: Sequence[str], option: str = "-o") -> Iterator[str]:
    """Give a table, cut to its share; the line that says so stands below the table, not in it."""
    rows, more = fit(lines[2:], TABLE_BYTES, "tile", option)
    yield "\n".join([*lines[:2], *rows])
    if more:
        yield more


def _folds(report: Report) -> Iterator[tuple[str, list[str], str]]:
    """Give the folded parts: the title, its lines or groups of lines, and what one of these is called."""
    if report.gating:
        yield "Lines that ZeMosaic logs", [fenced_line(tile.log_line) for tile in report.gating.tiles], "line"
        frames = [line for tile in report.gating.tiles for line in _frame_lines(tile)]
        yield "What each frame says of its mount mode", frames, "line"
    if report.parity:
        states = parity_states(report)
        tiles = sorted(report.parity.tiles, key=lambda tile: states[tile.tile_id][0] is State.OK)
        lines = ["\n".join(_tile_lines(tile, states[tile.tile_id][1])) for tile in tiles]
        yield "Each tile's runs and comparison", lines, "tile"
    if report.masters:
        levels = tile_levels(report.findings, "ZD3")
        masters = sorted(report.masters.tiles, key=lambda tile: master_state(tile, levels)[0] is State.OK)
        yield "What each master tile holds", ["\n".join(_master_lines(tile)) for tile in masters], "tile"
    if report.phase3 and not report.phase3.dry_run:
        levels = tile_levels(report.findings, "ZD4")
        marked = [(phase3_state(tile, levels, planned=False), tile) for tile in report.phase3.tiles]
        marked.sort(key=lambda pair: pair[0] is State.OK)
        yield "What became of each tile", ["\n".join(_phase3_lines(tile, state)) for state, tile in marked], "tile"
    if report.source.unusable:
        yield "Files without a usable frame", [_file_line(file) for file in report.source.unusable], "file"


def _fold_body(items: Sequence[str], limit_bytes: int, noun: str, option: str) -> str:
    """Set as many items as fit as a block of code, and say below it how many did not."""
    taken, more = fit(items, limit_bytes, noun, option)
    parts = ([fence(taken)] if taken else []) + ([more] if more else [])
    return "\n\n".join(parts)


def _tile_lines(tile: TileParity, word: str) -> Iterator[str]:
    """Tell one tile's parity at length."""
    yield fenced_line(f"tile {tile.tile_id}, {tile.name}: {word}")
    details = [sentences.parity_settings(tile), *sentences.run_sentences(tile)]
    details += sentences.comparison_lines(tile.comparison) if tile.comparison else []
    apart = [f"left out: {_file_line(file)}" for file in tile.left_out]
    apart += [f"no signal: {_file_line(file)}" for file in tile.no_signal]
    details += apart[:MAX_APART]
    if len(apart) > MAX_APART:
        details.append(f"… and {len(apart) - MAX_APART} more")
    yield from (fenced_line(f"  {detail}") for detail in details)


def _master_lines(tile: TileMaster) -> Iterator[str]:
    """Tell one master at length."""
    yield fenced_line(f"tile {tile.tile_id}, {tile.name}: {tile.verdict.value}")
    yield from (fenced_line(f"  {sentence}") for sentence in sentences_masters.master_sentences(tile))


def _frame_lines(tile: TileGating) -> Iterator[str]:
    """List the frames of a tile and what they say."""
    yield fenced_line(f"tile {tile.tile_id}, {tile.name}")
    yield from (fenced_line(f"  {mode:<7}  {name}") for name, mode in tile.frame_modes)


def _phase3_lines(tile: TilePhase3, state: State) -> Iterator[str]:
    """Tell one tile of Phase 3 at length."""
    yield fenced_line(f"tile {tile.tile_id}, {tile.name}: {state.value}")
    yield from (fenced_line(f"  {sentence}") for sentence in sentences_phase3.tile_sentences(tile))


def _file_line(file: UnusableFile) -> str:
    """Give a file and why it is not used."""
    return fenced_line(f"{file.name}: {file.reason}")
