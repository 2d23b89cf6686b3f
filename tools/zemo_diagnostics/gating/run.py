"""``zemo-diag gating``, from the folder to the report."""

from __future__ import annotations

from pathlib import Path

from ..findings.find import find
from ..grouped_folder import GroupingOptions, read_grouped
from ..progress import Say
from ..redaction import private_words
from ..reports.environment import describe_environment
from ..reports.redacted import redact_report
from ..reports.report import Part, Report, assemble
from ..zemosaic.functions_under_test import describe_functions_under_test
from .data import RunGating
from .gate import gate_tiles
from .tell import tell


def gating_part(gating: RunGating) -> Part:
    """Make the part of a report."""
    return Part(name="gating", data=gating, tell=tell, series="ZD1")


def run_gating(folder: Path, grouping: GroupingOptions, *, requested: bool, say: Say) -> Report:
    """Report, for each tile of a folder, its mount mode and whether Phase 3 cleans it.

    Parameters
    ----------
    folder : Path
        A folder of frames.
    grouping : GroupingOptions
        How they become tiles.
    requested : bool, keyword-only
        Whether the user's settings ask for the alt-az cleanup.
    say : callable, keyword-only
        Gets (what is being done, part done).

    Raises
    ------
    InputError
        Where there is nothing to look at.
    """
    run = read_grouped(folder, grouping, say)
    gating = gate_tiles(run.tiles, run.functions, requested=requested)
    part = gating_part(gating)
    report = assemble(
        "gating",
        run.source,
        describe_environment(describe_functions_under_test()),
        options=(*grouping.described(), ("altaz_cleanup", requested)),
        parts=(part,),
        findings=find(run.source, part),
    )
    return redact_report(report, private_words())
