"""The acceptance list as text: for ``zemo-diag check --list`` and for docs/checks.md."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from .acceptance import AcceptanceCheck
from .acceptance_list import ACCEPTANCE, SERIES

_INTRODUCTION = """\
# Checks

What must be true of a ZeMosaic, as `zemo-diag check` asks it: of the modules that zemo-diag carries, all of it holds;
`zemo-diag check --zemosaic PATH` asks it of a checkout by running it. Each check has a stable code, and ends in pass,
fail, skip (with the reason), or crash, where the check itself went wrong. **Fail and crash** change the exit code.

R1 to R15 are the [requirements](requirements.md); a *fact* is something that a released version was seen to do wrong.
This page is made from the checks themselves.
"""

# A name of ZeMosaic's, which Markdown would take for emphasis or a tag.
_NAME = re.compile(r"(?<![\w`])([\w.]*_(?:<\w>|[\w.]*\w)(?:\([\w, ]*\))?)")

_SHORTEST_LINE, _LONGEST_LINE = 40, 110


def listed(checks: Sequence[AcceptanceCheck], width: int) -> str:
    """List checks, a line each: code, what must be true, who requires it.

    Parameters
    ----------
    checks : sequence of AcceptanceCheck
        Which.
    width : int
        Columns of the page; no line is longer.
    """
    width = max(_SHORTEST_LINE, min(width, _LONGEST_LINE))
    lines = [
        textwrap.fill(f"{one.code}  {one.title} ({', '.join(one.requires)})", width, subsequent_indent=" " * 7)
        for one in checks
    ]
    return "\n".join(lines) + "\n"


def checks_markdown() -> str:
    """Give docs/checks.md."""
    parts = [_INTRODUCTION]
    for start, about in SERIES.items():
        parts.append(f"## {start}..: {about}\n")
        parts += [_explained(one) for one in ACCEPTANCE if one.code.startswith(start)]
    return "\n".join(parts)


def _explained(check: AcceptanceCheck) -> str:
    """Explain one check."""
    after = f" Skipped where {' or '.join(check.after)} fails." if check.after else ""
    title, meaning, remedy = (_NAME.sub(r"`\1`", text) for text in (check.title, check.meaning, check.remedy))
    return f"### {check.code}: {title}\n\n*{', '.join(check.requires)}.* {meaning}{after}\n\n**What to do:** {remedy}\n"
