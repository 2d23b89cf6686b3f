"""Make the pages that come from the code: docs/findings.md and docs/commands.md."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

import zemo_diag
from zemo_diagnostics.findings.page import findings_markdown

DOCS = Path(__file__).resolve().parent
HELP_WIDTH = 80

COMMANDS_INTRODUCTION = """\
# Commands

What `--help` says of each. Made by `docs/make_pages.py`, and tested against the program.
"""


def command_help(*names: str) -> str:
    """Give what ``--help`` prints for a command on a terminal of 80 columns."""
    result = CliRunner().invoke(zemo_diag.cli, [*names, "--help"], prog_name="zemo-diag", terminal_width=HELP_WIDTH)
    return result.output.rstrip()


def commands_markdown() -> str:
    """Give docs/commands.md: the help of every command."""
    commands = [(), *((name,) for name in sorted(zemo_diag.cli.commands))]
    sections = [f"## {' '.join(('zemo-diag', *names))}\n\n```text\n{command_help(*names)}\n```\n" for names in commands]
    return "\n".join([COMMANDS_INTRODUCTION, *sections])


def pages() -> dict[Path, str]:
    """Map each page to the text that it should hold."""
    return {DOCS / "findings.md": findings_markdown(), DOCS / "commands.md": commands_markdown()}


def main() -> None:
    """Write the pages that are out of date."""
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8", newline="\n")
            print(f"wrote {path.name}")


if __name__ == "__main__":
    main()
