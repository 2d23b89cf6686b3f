"""The command line of ``zemo-diag kappa-parity``."""

from __future__ import annotations

from pathlib import Path

import click

from ..command_options import Crop, Finite, input_options, kappa_options, output_options, zemosaic_options

_EXAMPLES = """\b
Examples:
  zemo-diag kappa-parity my_lights --tile 1 -o report.json
  zemo-diag kappa-parity my_lights --zemosaic ZeMosaic
"""


@click.command("kappa-parity", epilog=_EXAMPLES)
@input_options
@click.option("--tile", "tiles", type=click.IntRange(min=1), multiple=True, help="Only this tile; may be repeated.")
@kappa_options
@click.option("--chunk-rows", type=click.IntRange(min=1), default=64, show_default=True, help="Rows of a band.")
@click.option("--max-frames", type=click.IntRange(min=1), help="Stack only the first so many frames of a tile.")
@click.option("--crop", type=Crop(), metavar="HEIGHTxWIDTH", help="Stack only a central window of the frames.")
@click.option(
    "--timeout",
    type=Finite(min=0, min_open=True),
    default=1800.0,
    show_default=True,
    help="Stop a variant that runs longer than this, seconds.",
)
@click.option(
    "--atol",
    type=Finite(min=0),
    default=0.0,
    help="Accept differences up to this, ADU, such as 1e-4. [default: every bit must agree]",
)
@click.option("--memory-limit", type=click.IntRange(min=1), metavar="MIB", help="Use no more memory than this.")
@click.option("--require-whole", is_flag=True, help="Fail where a tile can be compared only in part, or not.")
@zemosaic_options
@output_options
def command(
    folder: Path,
    group_by: str | None,
    panel_deg: float,
    no_split: bool,
    tiles: tuple[int, ...],
    kappa_low: float,
    kappa_high: float,
    weights: str,
    chunk_rows: int,
    max_frames: int | None,
    crop: tuple[int, int] | None,
    timeout: float,
    atol: float,
    memory_limit: int | None,
    require_whole: bool,
    zemosaic: Path | None,
    python: str | None,
    form: str,
    outputs: tuple[Path, ...],
    force: bool,
    quiet: bool,
) -> int:
    """Compare the chunked stack with the full-frame one.

    Runs both on the frames in FOLDER, tile by tile, each in a process of its own; shows where the results differ, if
    they do, and the memory and time of each. Estimates the need beforehand and never endangers the machine. With
    --zemosaic, the stacks of your own ZeMosaic are run on the same frames and held against the full frame.
    """
    from ..grouped_folder import GroupingOptions
    from ..progress import progress_bar
    from ..reports.outputs import check_output_paths, deliver
    from ..zemosaic.under_test import named_zemosaic
    from .compare_tiles import ParityOptions
    from .run import run_parity

    check_output_paths(outputs, force=force)
    options = ParityOptions(
        kappa_low=kappa_low,
        kappa_high=kappa_high,
        weights=weights,
        chunk_rows=chunk_rows,
        max_frames=max_frames,
        crop=crop,
        timeout_s=timeout,
        atol=atol,
        memory_limit_bytes=memory_limit << 20 if memory_limit else None,
        require_whole=require_whole,
    )
    with progress_bar(quiet=quiet) as say:
        grouping = GroupingOptions(group_by, panel_deg, not no_split)
        report = run_parity(
            folder,
            grouping,
            options,
            tile_ids=tiles,
            say=say,
            zemosaic=named_zemosaic(zemosaic, python),
        )
    return deliver(report, form, outputs, force)
