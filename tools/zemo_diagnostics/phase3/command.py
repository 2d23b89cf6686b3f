"""The command line of ``zemo-diag phase3``."""

from __future__ import annotations

from pathlib import Path

import click

from ..command_options import (
    Finite,
    Folder,
    grouping_options,
    kappa_options,
    report_options,
    zemosaic_options,
)
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
@click.option(
    "--altaz-cleanup",
    type=click.Choice(("on", "off", "never")),
    default="on",
    show_default=True,
    help="Whether the ZeMosaic settings ask for the alt-az cleanup; never: no tile is cleaned, whatever a rule says.",
)
@kappa_options
@click.option(
    "--only",
    type=click.Choice(("before", "rule_alone", "patched", "zemosaic")),
    help="Build the masters of one rule only.",
)
@zemosaic_options
@click.option(
    "--settings",
    type=click.Choice(("default", "plain")),
    default="default",
    show_default=True,
    help="What the ZeMosaic of --zemosaic builds with: its own defaults, or alike, so that pixels can be compared.",
)
@click.option(
    "--timeout",
    type=Finite(min=0, min_open=True),
    default=1800.0,
    show_default=True,
    help="Stop that ZeMosaic over a tile after so many seconds.",
)
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
    zemosaic: Path | None,
    python: str | None,
    settings: str,
    timeout: float,
    jobs: int | None,
    demo: bool,
    dry_run: bool,
    form: str,
    outputs: tuple[Path, ...],
    force: bool,
    quiet: bool,
) -> int:
    """Build master tiles, before and after the patch.

    Aligns and stacks the frames in FOLDER tile by tile, as Phase 3 does: as ZeMosaic did before the patch
    (OUT/before), by its rule alone, with frames masked the right way round (OUT/rule_alone), and with the patch, which
    cleans alt-az tiles only (OUT/patched). With --zemosaic it is that ZeMosaic's own Phase 3 (OUT/zemosaic), and the
    patch. Shows what is left of each tile, and draws all (OUT/pictures); every line that ZeMosaic logs goes to
    OUT/phase3.log. Stopped, it goes on when it is run again. The frames are only read.
    """
    from ..grouped_folder import GroupingOptions
    from ..machine.core_packages import missing_extra_sentence
    from ..masters.pictures import why_no_pictures
    from ..progress import progress_bar
    from ..reports.outputs import check_output_paths, deliver
    from ..zemosaic.master_settings import Settings
    from ..zemosaic.under_test import named_zemosaic
    from .build import Phase3Options
    from .data import BUNDLED_RULES, ZEMOSAIC_RULES, Rule
    from .folder import LOG_NAME, check_reports
    from .run import run_phase3
    from .tell import places_words

    if demo == (folder is not None):
        raise click.UsageError("name the FOLDER that holds your lights, or give --demo: one of the two")
    if dry_run and (outputs or demo):
        raise click.UsageError("--dry-run writes nothing: leave --report and --demo out; --format gives another form")
    check_reports(output, outputs)
    check_output_paths(outputs, force=force)
    under_test = named_zemosaic(zemosaic, python)
    if only == "zemosaic" and under_test is None:
        raise click.UsageError("--only zemosaic needs --zemosaic PATH")
    rules = (Rule(only),) if only else ZEMOSAIC_RULES if under_test else BUNDLED_RULES
    options = Phase3Options(
        requested=altaz_cleanup == "on",
        never=altaz_cleanup == "never",
        kappa_low=kappa_low,
        kappa_high=kappa_high,
        weights=weights,
        rules=rules,
        settings=Settings(settings),
        timeout_s=timeout,
        jobs=jobs,
        dry_run=dry_run,
        force=force,
    )
    if lacking := missing_extra_sentence():
        raise MissingPackageError(lacking)
    if reason := why_no_pictures():
        say_as_it_is(f"No pictures will be drawn: {reason}")
    with progress_bar(quiet=quiet) as say:
        grouping = GroupingOptions(group_by, panel_deg, not no_split)
        report = run_phase3(folder, output, grouping, options, under_test, say=say)
    code = deliver(report, form, outputs, force)
    for line in places_words(report.result("phase3"), output, LOG_NAME):
        say_line(line)
    return code
