"""What stdout gets: colours where they are wanted and can be shown, and no sign that it cannot show."""

from __future__ import annotations

import io
import sys

import pytest

from tests.sample_reports import gating_report
from zemo_diagnostics.reports.stdout import print_report, print_text


class Stream(io.TextIOWrapper):
    """A stdout whose bytes can be looked at, a terminal or not."""

    def __init__(self, *, terminal: bool, encoding: str = "utf-8") -> None:
        self.raw_bytes = io.BytesIO()
        self.terminal = terminal
        super().__init__(self.raw_bytes, encoding)

    def isatty(self) -> bool:
        return self.terminal

    def fileno(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("terminal", "environment", "legacy", "colored"),
    [
        (True, {}, False, True),
        (True, {"TERM": "xterm-256color", "NO_COLOR": "", "CLICOLOR": "1"}, False, True),
        (True, {"TERM": "dumb"}, False, False),
        (True, {"TERM": "unknown"}, False, False),
        (True, {"NO_COLOR": "1"}, False, False),
        (True, {"CLICOLOR": "0"}, False, False),
        (False, {"TERM": "xterm"}, False, False),
        (True, {}, True, False),
    ],
)
def test_colours_are_for_terminals_that_take_them_and_users_that_want_them(
    terminal: bool, environment: dict[str, str], legacy: bool, colored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Stream(terminal=terminal)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr("rich.console.detect_legacy_windows", lambda: legacy)
    for name in ("TERM", "NO_COLOR", "CLICOLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    print_report(gating_report(), "terminal")
    assert (b"\x1b[" in stream.raw_bytes.getvalue()) is colored


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("ascii", "3 x 4, \\u661f"), ("cp1252", "3 x 4, \\u661f"), ("cp437", "3 x 4, \\u661f"), ("utf-8", "3 × 4, 星")],
)
def test_text_keeps_to_what_the_encoding_knows(encoding: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(terminal=False, encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    print_text("3 × 4, 星\n")
    assert stream.raw_bytes.getvalue().decode(encoding) == f"{shown}\n"
