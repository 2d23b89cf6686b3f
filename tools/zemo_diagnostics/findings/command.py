"""The command line of ``zemo-diag findings``."""

from __future__ import annotations

import click

from ..errors import EXIT_CLEAN


@click.command("findings", epilog="\b\nExample:\n  zemo-diag findings ZD101")
@click.argument("codes", nargs=-1, metavar="[CODE]...")
def command(codes: tuple[str, ...]) -> int:
    """Explain the finding codes: what each means, and what to do."""
    from ..reports.stdout import page_width, print_text
    from .page import explain

    print_text(explain(codes, page_width()))
    return EXIT_CLEAN
