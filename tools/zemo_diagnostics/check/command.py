"""The command line of ``zemo-diag check``."""

from __future__ import annotations

from pathlib import Path

import click

from ..command_options import Folder, output_options, zemosaic_options
from ..errors import EXIT_CLEAN

_CODES = "Codes of checks, or how they begin, such as ZC1; several with commas, or given more than once."


@click.command("check", epilog="\b\nExample:\n  zemo-diag check --zemosaic zemosaic -o report.md")
@zemosaic_options
@click.option(
    "--before",
    type=Folder(path_type=Path),
    metavar="PATH",
    help="The checkout before a change: its sources are compared with those that are examined.",
)
@click.option("--select", multiple=True, metavar="CODES", help=f"Ask these checks alone. {_CODES}")
@click.option("--ignore", multiple=True, metavar="CODES", help="Leave these checks out, named in the same way.")
@click.option("--list", "listing", is_flag=True, help="List the checks, and ask none.")
@output_options
def command(
    zemosaic: Path | None,
    python: str | None,
    before: Path | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    listing: bool,
    form: str,
    outputs: tuple[Path, ...],
    force: bool,
    quiet: bool,
) -> int:
    """Ask a ZeMosaic what must be true of it, by running it.

    Asks, with small simulated groups, the acceptance list of the patch: mount modes, decisions, the kappa-sigma stack,
    alignment and master tiles, what importing does, its own tests, and, with --before, what a change leaves alone.
    Without --zemosaic, the modules that zemo-diag carries are asked. Exit code 1 where a check fails.
    """
    selected, ignored = _codes(select), _codes(ignore)
    if listing:
        from ..reports.stdout import page_width, print_text
        from .acceptance import chosen
        from .acceptance_list import ACCEPTANCE
        from .page import listed

        print_text(listed(chosen(ACCEPTANCE, selected, ignored), page_width()))
        return EXIT_CLEAN
    from ..progress import progress_bar
    from ..reports.outputs import check_output_paths, deliver
    from .run import report_checks

    check_output_paths(outputs, force=force)
    with progress_bar(quiet=quiet) as say:
        report = report_checks(zemosaic, python, before, selected, ignored, say=say)
    return deliver(report, form, outputs, force)


def _codes(given: tuple[str, ...]) -> tuple[str, ...]:
    """Take several codes from each value."""
    return tuple(code.strip() for value in given for code in value.split(",") if code.strip())
