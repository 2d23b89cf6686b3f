"""The forms that a report is drawn in: one table, from which ``--format``, suffixes, help and writers come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .report import Report

# Width of the terminal form in a file.
TEXT_WIDTH = 100

# The form that is fitted to the terminal where it is printed on one.
TERMINAL = "terminal"


@dataclass(frozen=True, kw_only=True)
class Format:
    """One form.

    Attributes
    ----------
    name : str
        What ``--format`` calls it.
    suffix : str
        What a file of it ends in. Frames' suffixes are not among them, so that no frame is ever overwritten.
    render : callable
        Draws a report, already redacted.
    """

    name: str
    suffix: str
    render: Callable[[Report], str]


def _terminal(report: Report) -> str:
    from .terminal import render_terminal

    return render_terminal(report, width=TEXT_WIDTH, color=False, unicode=True)


def _json(report: Report) -> str:
    from .json_document import render_json

    return render_json(report)


def _markdown(report: Report) -> str:
    from .markdown import render_markdown

    return render_markdown(report)


# Nothing heavy is imported before a form is drawn.
FORMATS = [
    Format(name=TERMINAL, suffix=".txt", render=_terminal),
    Format(name="json", suffix=".json", render=_json),
    Format(name="markdown", suffix=".md", render=_markdown),
]


def format_names() -> list[str]:
    """Give what ``--format`` takes, in the order of the table."""
    return [form.name for form in FORMATS]


def format_named(name: str) -> Format:
    """Find a form by its name."""
    return next(form for form in FORMATS if form.name == name)


def format_of_suffix(suffix: str) -> Format | None:
    """Find the form that a file's suffix asks for, in any case; None where there is none."""
    return next((form for form in FORMATS if form.suffix == suffix.lower()), None)


def suffixes() -> list[str]:
    """Give the suffixes of all forms, in the order of the alphabet."""
    return sorted(form.suffix for form in FORMATS)
