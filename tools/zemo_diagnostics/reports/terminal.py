"""The report for a terminal: a line per row with a mark and a word, details where something is wrong, verdict last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from rich.text import Text

from .. import wording
from ..redaction import map_strings
from .document import Block, Column, Details, Facts, Grid, Line, Row, Section, State, Table, Tone
from .finding_groups import LEVEL_WORDS, FindingGroup, group_findings, report_state
from .layout import Page, columns, draw, drawable, wrap
from .levels import level_state
from .report import Report, exit_code
from .told import functions_line, sections, source_line, verdict, versions_line

# How much is shown before "and ... more".
MAX_ROWS = 60
MAX_ROWS_OF_MANY = 20
MAX_ROWS_IN_DETAIL = 12
MAX_MESSAGES = 30
MAX_TILE_MESSAGES = 5
MAX_EVIDENCE = 3

# Rows that have details are told at length, and nothing else, where they are no more than these.
FEW_ROWS = 4

# Narrower pages get stacked lines instead of a table.
TABLE_WIDTH = 72
LABEL_WIDTH = 19
_DETAIL_INDENT = 6

_STYLES = {Tone.FAINT: "dim", Tone.PLAIN: "", Tone.ALARM: "red"}


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
    return draw(_lines(report, page), page, color=color)


def _lines(report: Report, page: Page) -> Iterator[Text]:
    """Give all lines, in the order of the page."""
    told = sections(report)
    yield from _header(report, page)
    for section in told:
        for block in map_strings(section, partial(drawable, unicode=page.unicode)).blocks:
            yield from _block(block, report, page)
    yield from _findings(report, page)
    yield from _verdict(report, told, page)


def _header(report: Report, page: Page) -> Iterator[Text]:
    """Say what was done, on which folder, with what."""
    yield from _say(f"zemo-diag {report.command}: {report.source.folder}", page, hang=2, style="bold")
    yield from _say(source_line(report), page, indent=2)
    yield from _say(versions_line(report), page, indent=2, hang=2, style="dim")
    yield from _say(functions_line(report), page, indent=2, hang=2, style="dim")


def _block(block: Block, report: Report, page: Page) -> Iterator[Text]:
    """Draw one block of a section; what other formats fold is in their reports only."""
    if isinstance(block, Facts):
        yield from _heading(block.title, page)
        for label, text in block.facts:
            yield from _fact(label, text, page)
    elif isinstance(block, Table):
        yield from _heading(block.title, page)
        yield from _table(block, f"the whole report: {report.file_option} report.json", page)


def _table(table: Table, rest: str, page: Page) -> Iterator[Text]:
    """Draw the rows: all, or of very many the worst that are not fine; a few with details are told at length only."""
    wrong = [row for row in table.rows if row.state is not State.OK]
    detailed = any(row.details for row in table.rows)
    few = detailed and len(table.rows) <= FEW_ROWS
    if not few:
        shown = _most_telling(table.rows, wrong)
        yield from _overview(replace(table, rows=tuple(shown)), page)
        yield from _left_out(table, len(shown), len(wrong), rest, page)
        yield from _closings(table, shown, page)
    if detailed:
        yield from _rows_in_detail(table.rows if few else _to_look_at(wrong), table.noun, rest, page, apart=not few)


def _most_telling(rows: Sequence[Row], wrong: Sequence[Row]) -> Sequence[Row]:
    """Give the rows that are shown: all, or of very many the first of those that are not fine, errors first."""
    if len(rows) <= MAX_ROWS:
        return rows
    return sorted(wrong, key=lambda row: row.state is not State.ERROR)[:MAX_ROWS_OF_MANY]


def _to_look_at(rows: Sequence[Row]) -> list[Row]:
    """Give the rows that somebody should look at: what is only worth a note has its line in the table."""
    return [row for row in rows if row.state in (State.WARNING, State.ERROR)]


def _overview(table: Table, page: Page) -> Iterator[Text]:
    """Draw a line per row: a table, or stacked lines on a narrow page."""
    if _is_narrow(table, page):
        for row in table.rows:
            yield from _row_line(row, table.noun, page)
            yield from _say_lines(row.told, page, indent=_DETAIL_INDENT)
    elif table.rows:
        yield from _drawn_table(table, page)


def _is_narrow(table: Table, page: Page) -> bool:
    """Tell whether a page has no room for a table."""
    return page.width < max(TABLE_WIDTH, table.room)


def _drawn_table(table: Table, page: Page) -> Iterator[Text]:
    """Draw the rows as a table, beneath each what columns without room would say."""
    drawn = [i for i, column in enumerate(table.columns) if column.room is not None and page.width >= column.room]
    header: tuple[str, ...] = ("", table.noun, "name", *(table.columns[i].head for i in drawn))
    rows: list[tuple[Text | str, ...]] = [
        (_mark(row, page), str(row.number), row.name, *(row.cells[i] for i in drawn)) for row in table.rows
    ]
    head, *laid_out = columns(header, rows, page, right=(1, *_right([table.columns[i] for i in drawn], 3)))
    yield from head
    indent = head[0].plain.index("name")
    for row, lines in zip(table.rows, laid_out, strict=True):
        yield from lines
        if len(drawn) < len(table.columns):
            yield from _say_lines(row.beneath, page, indent=indent)
    if table.note:
        yield from _say(table.note, page, indent=2, style="dim")


def _right(drawn: Sequence[Column], first: int) -> Iterator[int]:
    """Give the indices of the columns that are set flush right."""
    return (first + i for i, column in enumerate(drawn) if column.right)


def _mark(row: Row, page: Page) -> Text:
    """Give a row's mark and word."""
    return page.mark(row.state, row.word)


def _row_line(row: Row, noun: str, page: Page) -> list[Text]:
    """Give a row's mark, number and name on a line of its own."""
    return wrap(_mark(row, page).append(f"  {noun} {row.number}, {row.name}"), page, indent=2, hang=4)


def _left_out(table: Table, shown: int, wrong: int, rest: str, page: Page) -> Iterator[Text]:
    """Say how many rows were not shown, how many of them are fine, and where they are."""
    count = len(table.rows)
    if count == 0:
        yield from _say("none", page, indent=2)
    if count > shown:
        fine = "all fine" if shown == wrong else f"{count - wrong} of them fine"
        text = f"{page.more} {wording.plural(count - shown, f'more {table.noun}')}, {fine}; {rest}"
        yield from _say(text, page, indent=2, hang=2)


def _closings(table: Table, rows: Sequence[Row], page: Page) -> Iterator[Text]:
    """Draw the rows' closing lines, but for those that they were just told with."""
    narrow = _is_narrow(table, page)
    lines = [row.closing for row in rows if row.closing and not (narrow and row.closing in row.told[:1])]
    if lines:
        yield from _heading(table.closing_title, page)
        yield from _say_lines(lines, page, indent=2)


def _rows_in_detail(rows: Sequence[Row], noun: str, rest: str, page: Page, *, apart: bool) -> Iterator[Text]:
    """Tell rows at length, a blank line between them and, where asked, before the first."""
    for i, row in enumerate(rows[:MAX_ROWS_IN_DETAIL]):
        if i or apart:
            yield Text()
        yield from _row_line(row, noun, page)
        for detail in row.details:
            yield from _detail(detail, page)
    if len(rows) > MAX_ROWS_IN_DETAIL:
        more = wording.plural(len(rows) - MAX_ROWS_IN_DETAIL, f"more {noun}")
        yield from _say(f"{page.more} {more} to look at; {rest}", page, indent=2, hang=2)


def _detail(detail: Line | Grid | Details, page: Page) -> Iterator[Text]:
    """Draw one of a row's details."""
    if isinstance(detail, Line):
        yield from _say_lines([detail], page, indent=_DETAIL_INDENT)
    elif isinstance(detail, Grid):
        yield from _grid(detail, page)
    else:
        yield from _apart(detail, page)


def _grid(grid: Grid, page: Page) -> Iterator[Text]:
    """Draw a small table, or its rows in sentences on a narrow page; then what has no cells."""
    rows = [row for row in grid.rows if row.cells]
    if rows and page.width >= TABLE_WIDTH:
        header = [column.head for column in grid.columns]
        for lines in columns(header, [row.cells for row in rows], page, right=_right(grid.columns, 0), indent=6):
            yield from lines
    else:
        yield from _say_lines([row.told for row in rows], page, indent=_DETAIL_INDENT)
    if grid.note:
        yield from _say(grid.note, page, indent=_DETAIL_INDENT, hang=2)
    yield from _say_lines([row.told for row in grid.rows if not row.cells], page, indent=_DETAIL_INDENT)


def _apart(details: Details, page: Page) -> Iterator[Text]:
    """Count groups of lines and draw the first few."""
    count = wording.plural(len(details.groups), details.noun)
    yield from _say(f"{details.title}: {count}", page, indent=_DETAIL_INDENT)
    for group in details.groups[:MAX_EVIDENCE]:
        for line in group:
            yield from _say(line, page, indent=_DETAIL_INDENT + 2, hang=2)
    yield from _and_more(len(details.groups) - MAX_EVIDENCE, page, indent=_DETAIL_INDENT + 2)


def _findings(report: Report, page: Page) -> Iterator[Text]:
    """Give the findings, those of a kind together."""
    groups = group_findings(map_strings(report.findings, partial(drawable, unicode=page.unicode)))
    if groups:
        yield from _heading("Findings", page)
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
    for message in group.messages[:limit]:
        yield from _say(message, page, indent=6, hang=2)
    yield from _and_more(len(group.messages) - limit, page, indent=6)
    if group.evidence:
        yield from _say(f"see: {wording.first_few(group.evidence, MAX_EVIDENCE)}", page, indent=6, hang=2, style="dim")
    for remedy in group.remedies[:MAX_EVIDENCE]:
        yield from _say(f"to do: {remedy}", page, indent=6, hang=2)


def _verdict(report: Report, told: Sequence[Section], page: Page) -> Iterator[Text]:
    """Say what it comes to."""
    yield from _heading("Verdict", page)
    state = report_state(exit_code(report), [finding.level for finding in report.findings])
    text = drawable(verdict(report, told), unicode=page.unicode)
    yield from wrap(page.mark(state).append(f"  {text}", style="bold"), page, indent=2, hang=4)


def _heading(title: str, page: Page) -> Iterator[Text]:
    """Give a block's heading."""
    yield Text()
    yield from _say(title, page, hang=2, style="bold")


def _say(text: str, page: Page, *, indent: int = 0, hang: int = 0, style: str = "") -> list[Text]:
    """Wrap a sentence; its signs are brought to what the page knows."""
    return wrap(Text(drawable(text, unicode=page.unicode), style=style), page, indent=indent, hang=hang)


def _say_lines(lines: Sequence[Line], page: Page, *, indent: int) -> Iterator[Text]:
    """Wrap lines, each as loud as it is."""
    for line in lines:
        yield from _say(line.text, page, indent=indent, hang=2, style=_STYLES[line.tone])


def _fact(label: str, text: str, page: Page) -> list[Text]:
    """Give "label   text", the text in a column of its own; beneath the label where the page is narrow."""
    if page.width < TABLE_WIDTH:
        return _say(f"{label}: {text}", page, indent=2, hang=2)
    return _say(f"{label:<{LABEL_WIDTH - 1}} {text}", page, indent=2, hang=LABEL_WIDTH)


def _and_more(count: int, page: Page, *, indent: int) -> Iterator[Text]:
    """Say that there are more like these."""
    if count > 0:
        yield from _say(f"{page.more} and {count} more", page, indent=indent)
