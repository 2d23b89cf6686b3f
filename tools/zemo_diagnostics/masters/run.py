"""``zemo-diag masters``, from the folder to the report."""

from __future__ import annotations

from pathlib import Path

from ..errors import EXIT_CLEAN, EXIT_USAGE, UnusableFile
from ..findings.find import find
from ..machine.interrupts import take_until_interrupted
from ..progress import Say
from ..redaction import private_words
from ..reports.environment import describe_environment
from ..reports.redacted import redact_report
from ..reports.report import Grouping, Part, Report, Source, Subject, assemble
from ..zemosaic.functions_under_test import (
    describe_functions_under_test,
    load_master_signal,
)
from .contact_sheet import ContactSheet
from .data import RunMasters, TileMaster
from .files import scan_masters
from .lights import find_lights
from .measure import gather, measure_masters
from .tell import tell


def masters_part(masters: RunMasters) -> Part:
    """Make the part of a report; a gate never passes on nothing."""
    code = EXIT_CLEAN if masters.tiles or masters.unreadable else EXIT_USAGE
    return Part(name="masters", data=masters, tell=tell, series="ZD3", exit_code=code)


def run_masters(folder: Path, *, lights: Path | None = None, sheet: ContactSheet | None = None, say: Say) -> Report:
    """Report, for each master tile of a folder, what its pixels hold and whether it is empty.

    Parameters
    ----------
    folder : Path
        A folder of FITS files; each is measured by itself.
    lights : Path, optional, keyword-only
        A folder of the lights that they were made of.
    sheet : ContactSheet, optional, keyword-only
        Gets a small picture of each.
    say : callable, keyword-only
        Gets (what is being done, part done, the file).

    Raises
    ------
    InputError, OutputError
        Where there is nothing to look at, or a page of the sheet cannot be written.
    """
    signal = load_master_signal()
    found = None
    if lights is not None:
        found = find_lights(lights, lambda done, total: say("reading the headers of lights", done / total))
    scan = scan_masters(folder, lambda done, total: say("reading headers", done / total))
    if sheet is not None:
        sheet.expect(len(scan.masters))
    measured: list[TileMaster | UnusableFile] = []
    measuring = measure_masters(scan, signal, say, sheet.add if sheet else None, found)
    interrupted = not take_until_interrupted(measuring, measured)
    if sheet is not None:
        sheet.close()
    masters = gather(measured, scan, found)
    frames = len(scan.masters) + len(scan.damaged)
    name = folder.resolve().name or "."
    source = Source(
        folder=name,
        files=scan.files,
        frames=frames,
        unusable=scan.no_pictures,
        grouped_by=Grouping.FILE,
        tiles=len(masters.tiles),
        subject=Subject.MASTER,
        unread_folders=scan.unread_folders,
    )
    part = masters_part(masters)
    report = assemble(
        "masters",
        source,
        describe_environment(describe_functions_under_test()),
        options=() if lights is None else (("frames", lights.resolve().name or "."),),
        parts=(part,),
        findings=find(source, part),
        interrupted=interrupted,
    )
    return redact_report(report, private_words())
