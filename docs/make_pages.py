"""Make what comes from the code: findings.md, checks.md, commands.md, and the schema of the JSON reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

import zemo_diag
from zemo_diagnostics.check.data import RunChecks
from zemo_diagnostics.check.page import checks_markdown
from zemo_diagnostics.findings.page import findings_markdown
from zemo_diagnostics.gating.data import RunGating
from zemo_diagnostics.kappa_parity.data import RunParity
from zemo_diagnostics.masters.data import RunMasters
from zemo_diagnostics.phase3.data import RunPhase3
from zemo_diagnostics.reports.json_document import SCHEMA_FILE
from zemo_diagnostics.reports.report_schema import report_schema

DOCS = Path(__file__).resolve().parent
SCHEMA = DOCS.parent / "tools" / "zemo_diagnostics" / "schema" / SCHEMA_FILE
HELP_WIDTH = 80

# What the parts of a report hold, by their names.
PARTS: dict[str, type[Any]] = {
    "gating": RunGating,
    "parity": RunParity,
    "masters": RunMasters,
    "phase3": RunPhase3,
    "check": RunChecks,
}

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


def schema_json() -> str:
    """Give the schema of the JSON reports."""
    return json.dumps(report_schema(PARTS), indent=2, ensure_ascii=False) + "\n"


def pages() -> dict[Path, str]:
    """Map each file to the text that it should hold."""
    return {
        DOCS / "findings.md": findings_markdown(),
        DOCS / "checks.md": checks_markdown(),
        DOCS / "commands.md": commands_markdown(),
        SCHEMA: schema_json(),
    }


def main() -> None:
    """Write the pages that are out of date."""
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8", newline="\n")
            print(f"wrote {path.name}")


if __name__ == "__main__":
    main()
