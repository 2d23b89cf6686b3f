"""The list of findings as text: for ``zemo-diag findings`` and for docs/findings.md."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from ..errors import InputError
from ..reports.finding_groups import LEVEL_WORDS
from .find import all_kinds
from .kinds import FindingKind

_INTRODUCTION = """\
# Findings

Every finding has a stable code, so that a ticket in any language can be searched for it. **Errors** alone change
the exit code. This page is made from the checks themselves: `python -m zemo_diagnostics.findings.page` prints it.
"""


# Lines longer than this are hard to read.
TEXT_WIDTH = 78


def explain(codes: Sequence[str] = (), width: int = TEXT_WIDTH) -> str:
    """Explain findings in plain text.

    Parameters
    ----------
    codes : sequence of str
        Which; all, a line each, where it is empty.
    width : int
        Columns of the page; no line is longer.

    Raises
    ------
    InputError
        Where a code is not known.
    """
    kinds = {kind.code: kind for kind in all_kinds()}
    if not codes:
        lines = [
            _filled(f"{kind.code}  {LEVEL_WORDS[kind.level]:<7}  {kind.title}", width, hang=16)
            for kind in kinds.values()
        ]
        return "\n".join([*lines, "", "zemo-diag findings CODE explains one."]) + "\n"
    unknown = [code for code in codes if code.upper() not in kinds]
    if unknown:
        raise InputError(f"no finding has the code {', '.join(unknown)}: 'zemo-diag findings' lists them")
    return "\n".join(_explained(kinds[code.upper()], width) for code in codes)


def _explained(kind: FindingKind, width: int) -> str:
    """Explain one kind of finding."""
    parts = (f"{kind.code} ({LEVEL_WORDS[kind.level]}): {kind.title}", kind.meaning, f"What to do: {kind.remedy}")
    return "\n".join(_filled(part, width, hang=2) for part in parts) + "\n"


def _filled(text: str, width: int, *, hang: int) -> str:
    """Break a text into lines; those after the first are indented."""
    return textwrap.fill(text, max(40, min(width, TEXT_WIDTH)), subsequent_indent=" " * hang)


def findings_markdown() -> str:
    """Give docs/findings.md."""
    sections = [
        f"## {kind.code}: {kind.title}\n\n*{LEVEL_WORDS[kind.level].capitalize()}.* {kind.meaning}\n\n"
        f"**What to do:** {kind.remedy}\n"
        for kind in all_kinds()
    ]
    return "\n".join([_INTRODUCTION, *sections])


if __name__ == "__main__":
    import sys

    sys.stdout.write(findings_markdown())
