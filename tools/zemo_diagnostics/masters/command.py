"""The command line of ``zemo-diag masters``."""

from __future__ import annotations

from pathlib import Path

import click

from ..command_options import File, Folder, output_options
from ..stderr import say_line


@click.command(
    "masters",
    epilog="\b\nExamples:\n  zemo-diag masters run_tmp --contact-sheet sheet.png"
    "\n  zemo-diag masters run_tmp --frames lights",
)
@click.argument("folder", type=Folder(path_type=Path))
@click.option(
    "--frames",
    "lights",
    type=Folder(path_type=Path),
    metavar="FOLDER",
    help="The lights that the masters were made of: each master is compared with its reference frame, and one that "
    "holds no other frame's light is found.",
)
@click.option(
    "--contact-sheet",
    type=File(path_type=Path),
    metavar="FILE.png",
    help="Also draw the masters, stretched, blank pixels in magenta: a hundred here, the next on FILE-2.png and so on.",
)
@output_options
def command(
    folder: Path,
    lights: Path | None,
    contact_sheet: Path | None,
    form: str,
    outputs: tuple[Path, ...],
    force: bool,
    quiet: bool,
) -> int:
    """Measure master tiles, and say which are empty.

    Reads every FITS file in FOLDER and its sub-folders as a master tile of its own (ZeMosaic's master_tile_*.fits, or
    anybody's): how much of it is blank, its levels, whether alpha and header agree with the pixels, blank bands at the
    edges, holes in bright cores. ZeMosaic's padding is no part of that. Any number of them, of any size, in a little
    memory.
    """
    from ..progress import progress_bar
    from ..reports.outputs import check_output_paths, deliver
    from .contact_sheet import ContactSheet
    from .run import run_masters

    check_output_paths(outputs, force=force)
    sheet = ContactSheet(contact_sheet, force=force) if contact_sheet else None
    with progress_bar(quiet=quiet) as say:
        report = run_masters(folder, lights=lights, sheet=sheet, say=say)
    if sheet and sheet.written:
        say_line(f"Wrote {sheet.words()}")
    code = deliver(report, form, outputs, force)
    if sheet and sheet.failure:
        raise sheet.failure
    return code
