"""The command line of ``zemo-diag stack``."""

from __future__ import annotations

from pathlib import Path

import click

from ..command_options import File, Folder, kappa_options
from ..errors import EXIT_CLEAN
from ..stderr import clean_line, say_line


@click.command("stack", epilog="\b\nExample:\n  zemo-diag stack my_lights -o stack.fits")
@click.argument("folder", type=Folder(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=File(path_type=Path), metavar="FILE", help="The stack (.fit or .fits)."
)
@kappa_options
@click.option("--no-debayer", is_flag=True, help="Stack raw mosaics as they are.")
@click.option("--max-frames", type=click.IntRange(min=1), help="Stack only the first so many frames.")
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def command(
    folder: Path,
    output: Path,
    kappa_low: float,
    kappa_high: float,
    weights: str,
    no_debayer: bool,
    max_frames: int | None,
    force: bool,
    quiet: bool,
) -> int:
    """Stack frames into one FITS file.

    Takes every frame in FOLDER and its sub-folders as it lies (nothing is aligned) and stacks them by bands of rows,
    as Phase 3 does: any number of frames, in a little memory. The file is float32.
    """
    from ..progress import progress_bar
    from ..reports.stdout import print_text
    from .stacking import StackOptions, stack_folder

    options = StackOptions(
        kappa_low=kappa_low, kappa_high=kappa_high, weights=weights, debayer=not no_debayer, max_frames=max_frames
    )
    with progress_bar(quiet=quiet) as say:
        stacked = stack_folder(folder, output, options, force=force, say=say)
    for file in stacked.left_out:
        say_line(f"Left out {file.name}: {file.reason}")
    for note in stacked.notes:
        say_line(f"Note: {note}")
    print_text(clean_line(f"Wrote {output}: {stacked.summary()}") + "\n")
    return EXIT_CLEAN
