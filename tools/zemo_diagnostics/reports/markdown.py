"""The report in Markdown for a GitHub ticket: summary first, findings, tables, and the long parts folded.

An issue's text is safe up to 60,000 bytes. Summary and findings have a share of these, and what is left is shared out
among the tables and then among the folds, however many there are; what does not fit is counted in a line of its own,
and stands in the JSON report.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..wording import first_few
from .document import Column, Details, Facts, Grid, Line, Row, Section, State, Table
from .finding_groups import LEVEL_WORDS, FindingGroup, group_findings, report_state
from .markdown_text import code, fence, fenced_line, fit, folded, prose, size, table
from .report import Report, exit_code
from .told import machine_line, option_words, sections, source_line, verdict, versions_line

T = TypeVar("T")

LIMIT_BYTES = 60_000

# What findings, one table and one fold take at most, bytes. The summary takes 10,000 at the worst.
FINDINGS_BYTES = 16_000
TABLE_BYTES = 10_000
FOLD_BYTES = 9_000

# What stays for the folds where tables would take all that is left, bytes; and what the markup of one fold takes.
_LEAST_FOLD_BYTES = 600
_FOLD_MARKUP_BYTES = 400

MAX_MESSAGES = 12
MAX_TILE_MESSAGES = 5
MAX_EVIDENCE = 5
MAX_APART = 12

# From this many rows on, those that are not fine come first, since the others may be cut.
MANY_ROWS = 60


@dataclass(frozen=True)
class _Fold:
    """A part that opens when its title is clicked: groups of lines, and what one of them is called."""

    title: str
    noun: str
    groups: Sequence[str]


def render_markdown(report: Report) -> str:
    """Render a report as Markdown of less than 60,000 bytes.

    Parameters
    ----------
    report : Report
        The report, already redacted.
    """
    told = sections(report)
    folds = [*(fold for section in told for fold in _folds(section)), *_unusable(report)]
    text = "\n\n".join([*_summary(report, told), *_findings(report)])
    reserved = len(folds) * (_FOLD_MARKUP_BYTES + _LEAST_FOLD_BYTES)
    for left, section in _counting_down(told):
        share = (LIMIT_BYTES - size(text) - reserved) // left
        text += "\n\n" + "\n\n".join(_section(section, share, report.file_option))
    for left, fold in _counting_down(folds):
        share = (LIMIT_BYTES - size(text)) // left - _FOLD_MARKUP_BYTES
        text += "\n\n" + folded(fold.title, _fold_body(fold, min(FOLD_BYTES, share), report.file_option))
    return text + "\n"


def _counting_down(items: Sequence[T]) -> Iterator[tuple[int, T]]:
    """Give items, each with the number of those that are left, itself among them."""
    return zip(range(len(items), 0, -1), items, strict=True)


def _summary(report: Report, told: Sequence[Section]) -> Iterator[str]:
    """Say what it comes to, and what it was made with."""
    state = report_state(exit_code(report), [finding.level for finding in report.findings])
    yield f"## zemo-diag {prose(report.command)}"
    yield f"**{state.value.capitalize()}: {prose(verdict(report, told))}**"
    facts = [
        ("Folder", f"{code(report.source.folder)}: {prose(source_line(report))}"),
        ("Options", code(" ".join(option_words(report)), 1000)),
        ("Versions", prose(versions_line(report))),
        ("Functions under test", prose(report.environment.functions_under_test)),
        ("Machine", prose(machine_line(report))),
        ("Made", prose(report.created_utc)),
        ("Exit code", str(exit_code(report))),
    ]
    yield "\n".join(f"- {label}: {text}" for label, text in facts)


def _findings(report: Report) -> Iterator[str]:
    """List the findings, those of a kind together."""
    yield "### Findings"
    items = [_finding(group) for group in group_findings(report.findings)]
    yield from _as_many_as_fit(items, FINDINGS_BYTES, "kind", report.file_option, "None.")


def _finding(group: FindingGroup) -> str:
    """Give one kind of finding: what it is, what was found, what to do."""
    where = f" ({group.where})" if group.where else ""
    lines = [f"- **{prose(group.code)}** {LEVEL_WORDS[group.level]}: {prose(group.title + where)}"]
    limit = MAX_TILE_MESSAGES if group.tile_ids else MAX_MESSAGES
    lines += [f"  - {prose(message)}" for message in group.messages[:limit]]
    if len(group.messages) > limit:
        lines.append(f"  - … and {len(group.messages) - limit} more")
    if group.evidence:
        lines.append(f"  - See: {first_few([code(item) for item in group.evidence], MAX_EVIDENCE)}")
    lines += [f"  - To do: {prose(remedy)}" for remedy in group.remedies[:MAX_TILE_MESSAGES]]
    return "\n".join(lines)


def _section(section: Section, share_bytes: int, option: str) -> Iterator[str]:
    """Give the facts and tables of a section, in no more than its share."""
    yield f"### {section.title}"
    blocks = [block for block in section.blocks if not isinstance(block, Details)]
    for left, block in _counting_down(blocks):
        share = share_bytes // (2 if isinstance(block, Facts) else left)
        drawn = _facts(block, share, option) if isinstance(block, Facts) else _table(block, share, option)
        parts = list(drawn)
        share_bytes -= sum(size(part) + 2 for part in parts)
        yield from parts


def _facts(facts: Facts, limit_bytes: int, option: str) -> Iterator[str]:
    """List labelled lines."""
    lines = [f"- {_capitalized(label)}: {prose(text)}" for label, text in facts.facts]
    yield from _as_many_as_fit(lines, limit_bytes, "line", option)


def _table(block: Table, limit_bytes: int, option: str) -> Iterator[str]:
    """Give the rows as a table; the lines about it, and the one that says that it is cut, stand below it."""
    many = len(block.rows) >= MANY_ROWS
    rows = sorted(block.rows, key=lambda row: many and row.state is State.OK)
    worded = any(row.word for row in rows)
    heads = [block.noun, "name", "state", *(["verdict"] if worded else []), *(column.head for column in block.columns)]
    first, rule, *lines = table([_capitalized(head) for head in heads], (_cells(row, block, worded) for row in rows))
    limit = min(TABLE_BYTES, limit_bytes - size(first) - size(rule) - size(block.note) - 4)
    taken, more = fit(lines, limit, block.noun, option)
    yield "\n".join([first, rule, *taken])
    if more:
        yield more
    if block.note:
        yield prose(_capitalized(f"{block.note}."))


def _cells(row: Row, block: Table, worded: bool) -> list[str]:
    """Give the cells of one row."""
    start = [str(row.number), code(row.name), row.state.value, *([prose(row.word)] if worded else [])]
    return start + [_cell(cell, column) for cell, column in zip(row.cells, block.columns, strict=True)]


def _cell(text: str, column: Column) -> str:
    """Set one cell."""
    return code(text) if column.code else prose(text)


def _folds(section: Section) -> Iterator[_Fold]:
    """Give what is folded of a section: its rows told at length, else their closing lines, and details."""
    for block in section.blocks:
        if isinstance(block, Table) and block.told_title:
            rows = sorted(block.rows, key=lambda row: row.state is State.OK)
            yield _Fold(block.told_title, block.noun, ["\n".join(_told(row, block.noun)) for row in rows])
        elif isinstance(block, Table) and block.closing_title:
            lines = [fenced_line(row.closing.text) for row in block.rows if row.closing]
            if lines:
                yield _Fold(block.closing_title, "line", lines)
        elif isinstance(block, Details):
            groups = ["\n".join(map(fenced_line, group)) for group in block.groups]
            yield _Fold(block.title, block.noun, groups)


def _told(row: Row, noun: str) -> Iterator[str]:
    """Tell one row at length, its name first."""
    yield fenced_line(f"{noun} {row.number}, {row.name}: {row.word or row.state.value}")
    apart: list[str] = []
    for detail in row.details or row.told:
        if isinstance(detail, Details):
            apart += (f"{detail.title}: {line}" for group in detail.groups for line in group)
        else:
            yield from (fenced_line(f"  {text}") for text in _sentences(detail))
    yield from (fenced_line(f"  {line}") for line in apart[:MAX_APART])
    if len(apart) > MAX_APART:
        yield f"  … and {len(apart) - MAX_APART} more"


def _sentences(detail: Line | Grid) -> list[str]:
    """Give a line, or a small table's rows in sentences."""
    if isinstance(detail, Line):
        return [detail.text]
    return [row.told.text for row in detail.rows] + ([detail.note] if detail.note else [])


def _unusable(report: Report) -> Iterator[_Fold]:
    """Give the files that were not used."""
    if report.source.unusable:
        files = [fenced_line(f"{file.name}: {file.reason}") for file in report.source.unusable]
        yield _Fold("Files without a usable frame", "file", files)


def _fold_body(fold: _Fold, limit_bytes: int, option: str) -> str:
    """Set as many groups as fit as a block of code, and say below it how many did not."""
    taken, more = fit(fold.groups, limit_bytes, fold.noun, option)
    parts = ([fence(taken)] if taken else []) + ([more] if more else [])
    return "\n\n".join(parts)


def _as_many_as_fit(items: Sequence[str], limit_bytes: int, noun: str, option: str, none: str = "") -> Iterator[str]:
    """Give lines as long as they fit, and below them how many did not."""
    taken, more = fit(items, limit_bytes, noun, option)
    if taken or none:
        yield "\n".join(taken) or none
    if more:
        yield more


def _capitalized(text: str) -> str:
    """Give a text with a capital letter at its start."""
    return text[:1].upper() + text[1:]
