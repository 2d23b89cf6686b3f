"""The command line of ``zemo-diag gating``."""

from __future__ import annotations

from pathlib import Path

import click

from ..command_options import cleanup_option, input_options, output_options


@click.command("gating", epilog="\b\nExample:\n  zemo-diag gating my_lights -o report.md")
@input_options
@cleanup_option
@output_options
def command(
    folder: Path,
    group_by: str | None,
    panel_deg: float,
    no_split: bool,
    altaz_cleanup: str,
    form: str,
    outputs: tuple[Path, ...],
    force: bool,
    quiet: bool,
) -> int:
    """Show each tile's mount mode, and whether Phase 3 cleans it.

    Reads the headers of every frame in FOLDER (.fit .fits .fts, also .gz and .fz, and ZeMosaic's .npy caches; never
    the pixels), groups the frames into tiles as ZeMosaic does, and shows for each the mount mode, why, and the
    decision before and after the patch.
    """
    from ..grouped_folder import GroupingOptions
    from ..progress import progress_bar
    from ..reports.outputs import check_output_paths, deliver
    from .run import run_gating

    check_output_paths(outputs, force=force)
    with progress_bar(quiet=quiet) as say:
        report = run_gating(
            folder, GroupingOptions(group_by, panel_deg, not no_split), requested=altaz_cleanup == "on", say=say
        )
    return deliver(report, form, outputs, force)
