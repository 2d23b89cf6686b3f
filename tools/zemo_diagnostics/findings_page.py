"""The list of findings as text: for ``zemo-diag findings`` and for docs/findings.md."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from .checks import FindingKind
from .errors import InputError
from .findings import all_kinds

_INTRODUCTION = """\
# Findings

Every finding has a stable code, so that a ticket in any language can be searched for it. **Errors** alone change
the exit code. This page is made from the checks themselves: `python -m zemo_diagnostics.findings_page` prints it.
"""


def explain(codes: Sequence[str] = ()) -> str:
    """Explain findings in plain text.

    Parameters
    ----------
    codes : sequence of str
        Which; all, a line each, where it is empty.

    Raises
    ------
    InputError
        Where a code is not known.
    """
    kinds = {kind.code: kind for kind in all_kinds()}
    if not codes:
        lines = [f"{kind.code}  {kind.level.value:<7}  {kind.title}" for kind in kinds.values()]
        return "\n".join([*lines, "", "zemo-diag findings CODE explains one."]) + "\n"
    unknown = [code for code in codes if code.upper() not in kinds]
    if unknown:
        raise InputError(f"no finding has the code {', '.join(unknown)}: 'zemo-diag findings' lists them")
    return "\n".join(_explained(kinds[code.upper()]) for code in codes)


def _explained(kind: FindingKind) -> str:
    """Explain one kind of finding."""
    parts = (f"{kind.code} ({kind.level.value}): {kind.title}", kind.meaning, f"What to do: {kind.remedy}")
    return "\n".join(textwrap.fill(part, 78, initial_indent="", subsequent_indent="  ") for part in parts) + "\n"


def findings_markdown() -> str:
    """Give docs/findings.md."""
    sections = [
        f"## {kind.code}: {kind.title}\n\n*{kind.level.value.capitalize()}.* {kind.meaning}\n\n"
        f"**What to do:** {kind.remedy}\n"
        for kind in all_kinds()
    ]
    return "\n".join([_INTRODUCTION, *sections])


if __name__ == "__main__":
    import sys

    sys.stdout.write(findings_markdown())
