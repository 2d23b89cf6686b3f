"""The command line of ``zemo-diag demo``."""

from __future__ import annotations

from pathlib import Path

import click

from ..command_options import output_options


@click.command("demo", epilog="\b\nExample:\n  zemo-diag demo")
@output_options
def command(form: str, outputs: tuple[Path, ...], force: bool, quiet: bool) -> int:
    """Show both reports on simulated frames.

    Makes a small group of Seestar-like frames in a temporary folder, runs gating and kappa-parity on it, and removes
    it again.
    """
    from ..progress import progress_bar
    from ..reports.outputs import check_output_paths, deliver
    from .run import run_demo

    check_output_paths(outputs, force=force)
    with progress_bar(quiet=quiet) as say:
        report = run_demo(say)
    return deliver(report, form, outputs, force)
