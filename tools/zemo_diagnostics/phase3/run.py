"""``zemo-diag phase3``, from the folder to the report."""

from __future__ import annotations

from pathlib import Path

from ..errors import EXIT_CLEAN, EXIT_USAGE
from ..findings.find import find
from ..frames.entries import check_folder
from ..gating.gate import gate_tiles
from ..grouped_folder import GroupingOptions, read_grouped
from ..progress import Say
from ..redaction import private_words, redact_text
from ..reports.environment import describe_environment
from ..reports.redacted import redact_report
from ..reports.report import Part, Report, assemble
from ..zemosaic.functions_under_test import (
    describe_functions_under_test,
    load_master_tile_functions,
)
from .both_rules import run_both_rules
from .build import Phase3Options
from .data import RunPhase3
from .folder import FRAMES_NAME, check_output_folder, open_manifest, write_demo_frames
from .tell import tell


def phase3_part(run: RunPhase3) -> Part:
    """Make the part of a report; a disk that became full ended the run early."""
    code = EXIT_USAGE if run.disk_full else EXIT_CLEAN
    return Part(name="phase3", data=run, tell=tell, series="ZD4", exit_code=code)


def run_phase3(
    folder: Path | None, output: Path, grouping: GroupingOptions, options: Phase3Options, *, say: Say
) -> Report:
    """Build the master tiles of a folder, before and after the patch, and report what became of each.

    Parameters
    ----------
    folder : Path or None
        A folder of frames; it is only read. None: simulated ones are made beside the masters.
    output : Path
        The folder for the masters.
    grouping : GroupingOptions
        How frames become tiles.
    options : Phase3Options
        How masters are built.
    say : callable, keyword-only
        Gets (what is being done, part done, detail).

    Raises
    ------
    InputError, OutputError
        Where there is nothing to build, or the masters cannot go there.
    """
    frames = folder or output / FRAMES_NAME
    if folder is not None:
        check_folder(folder)
    check_output_folder(folder, output)
    functions = load_master_tile_functions()
    shaping = (*grouping.described(), *options.described())
    name = redact_text(frames.resolve().name, private_words())
    manifest = open_manifest(output, {"folder": name, **dict(shaping)}, force=options.force)
    if folder is None:
        write_demo_frames(manifest, say)
    run = read_grouped(frames, grouping, say)
    gating = gate_tiles(run.tiles, run.functions, requested=options.requested)
    phase3, interrupted = run_both_rules(run.tiles, gating, manifest, options, functions, say)
    part = phase3_part(phase3)
    report = assemble(
        "phase3",
        run.source,
        describe_environment(describe_functions_under_test()),
        options=(*shaping, ("rules", ",".join(options.rules)), ("dry_run", options.dry_run)),
        parts=(part,),
        findings=find(run.source, part),
        interrupted=interrupted,
        file_option="--report",
    )
    return redact_report(report, private_words())
