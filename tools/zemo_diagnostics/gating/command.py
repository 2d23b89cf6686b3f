"""The command line of ``zemo-diag gating``."""

from __future__ import annotations

from pathlib import Path

import click

from ..command_options import cleanup_option, input_options, output_options, zemosaic_options

# The names of `zemosaic.versions.KNOWN`.
VERSIONS = ("before", "2026-01", "2026-04", "zemo-diag")


_EXAMPLES = """\b
Examples:
  zemo-diag gating my_lights -o report.md
  zemo-diag gating my_lights --zemosaic ZeMosaic
"""


@click.command("gating", epilog=_EXAMPLES)
@input_options
@cleanup_option
@zemosaic_options
@click.option(
    "--version-of-zemosaic",
    "version",
    type=click.Choice(VERSIONS),
    help="Tell what this version does, and nothing of the others; zemo-diag is the patch that zemo-diag carries.",
)
@output_options
def command(
    folder: Path,
    group_by: str | None,
    panel_deg: float,
    no_split: bool,
    altaz_cleanup: str,
    zemosaic: Path | None,
    python: str | None,
    version: str | None,
    form: str,
    outputs: tuple[Path, ...],
    force: bool,
    quiet: bool,
) -> int:
    """Show each tile's mount mode, and whether Phase 3 cleans it.

    Reads the headers of every frame in FOLDER (.fit .fits .fts, also .gz and .fz, and ZeMosaic's .npy caches; never
    the pixels), groups the frames into tiles as ZeMosaic does, and shows for each the mount mode, why, and whether
    the patch and each version of ZeMosaic that is known clean it. With --zemosaic, your own ZeMosaic is asked.
    """
    from ..grouped_folder import GroupingOptions
    from ..progress import progress_bar
    from ..reports.outputs import check_output_paths, deliver
    from ..zemosaic.under_test import open_under_test
    from .run import run_gating

    check_output_paths(outputs, force=force)
    with progress_bar(quiet=quiet) as say:
        report = run_gating(
            folder,
            GroupingOptions(group_by, panel_deg, not no_split),
            requested=altaz_cleanup == "on",
            say=say,
            under_test=open_under_test(zemosaic, python),
            version=version,
        )
    return deliver(report, form, outputs, force)
