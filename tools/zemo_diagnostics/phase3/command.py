"""The command line of ``zemo-diag phase3``."""

from __future__ import annotations

from pathlib import Path

import click

from ..command_options import Folder, cleanup_option, grouping_options, kappa_options, report_options
from ..errors import MissingPackageError
from ..stderr import say_as_it_is, say_line


@click.command("phase3", epilog="\b\nExample:\n  zemo-diag phase3 my_lights -o out --report report.md")
@click.argument("folder", type=Folder(path_type=Path), required=False)
@grouping_options
@click.option(
    "-o",
    "--output",
    required=True,
    type=Folder(path_type=Path),
    metavar="OUT",
    help="The folder for masters, pictures and log; a new one, or one to go on in.",
)
@cleanup_option
@kappa_options
@click.option("--only", type=click.Choice(("before", "patched")), help="Build the masters of one rule only.")
@click.option("--jobs", type=click.IntRange(min=1), help="Tiles at a time at most. [default: as cores, memory allow]")
@click.option("--demo", is_flag=True, help="Simulate the frames of five telling tiles into OUT/frames, and take these.")
@click.option("--dry-run", is_flag=True, help="Show the plan and the estimate; build and write nothing.")
@report_options
@click.option("--force", is_flag=True, help="Build in OUT though it is not empty, and overwrite reports.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def command(
    folder: Path | None,
    group_by: str | None,
    panel_deg: float,
    no_split: bool,
    output: Path,
    altaz_cleanup: str,
    kappa_low: float,
    kappa_high: float,
    weights: str,
    only: str | None,
    jobs: int | None,
    demo: bool,
    dry_run: bool,
    form: str,
    outputs: tuple[Path, ...],
    force: bool,
    quiet: bool,
) -> int:
    """Build master tiles, before and after the patch.

    Aligns and stacks the frames in FOLDER tile by tile, as Phase 3 does: with the rule before the patch
    (OUT/before), which hands the cleanup flag to every tile, and with the patched one (OUT/patched), which cleans
    alt-az tiles only. Shows for each what is blank, and draws both (OUT/pictures); every line that ZeMosaic would log
    goes to OUT/phase3.log. Stopped, it goes on when it is run again. The frames are only read.
    """
    from ..grouped_folder import GroupingOptions
    from ..machine.core_packages import missing_extra_sentence
    from ..masters.pictures import why_no_pictures
    from ..progress import progress_bar
    from ..reports.outputs import check_output_paths, deliver
    from .build import Phase3Options
    from .folder import LOG_NAME, check_reports
    from .run import run_phase3
    from .tell import places_words

    if demo == (folder is not None):
        raise click.UsageError("name the FOLDER that holds your lights, or give --demo: one of the two")
    if dry_run and (outputs or demo):
        raise click.UsageError("--dry-run writes nothing: leave --report and --demo out; --format gives another form")
    check_reports(output, outputs)
    check_output_paths(outputs, force=force)
    rules = (only,) if only else ("before", "patched")
    options = Phase3Options(altaz_cleanup == "on", kappa_low, kappa_high, weights, rules, jobs, dry_run, force)
    if lacking := missing_extra_sentence():
        raise MissingPackageError(lacking)
    if reason := why_no_pictures():
        say_as_it_is(f"No pictures will be drawn: {reason}")
    with progress_bar(quiet=quiet) as say:
        grouping = GroupingOptions(group_by, panel_deg, not no_split)
        report = run_phase3(folder, output, grouping, options, say=say)
    code = deliver(report, form, outputs, force)
    for line in places_words(report.result("phase3"), output, LOG_NAME):
        say_line(line)
    return code
