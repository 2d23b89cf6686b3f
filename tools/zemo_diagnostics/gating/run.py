"""``zemo-diag gating``, from the folder to the report."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from ..findings.find import find
from ..grouped_folder import GroupingOptions, read_grouped
from ..progress import Say
from ..redaction import private_words
from ..reports.environment import describe_environment
from ..reports.redacted import redact_report
from ..reports.report import JsonScalar, Part, Report, assemble
from ..zemosaic.under_test import UnderTest, open_bundled
from ..zemosaic.versions import Version, named
from .data import RunGating
from .gate import gate_tiles
from .tell import tell


def gating_part(gating: RunGating) -> Part:
    """Make the part of a report."""
    return Part(name="gating", data=gating, tell=tell, series="ZD1")


def run_gating(
    folder: Path,
    grouping: GroupingOptions,
    *,
    requested: bool,
    say: Say,
    under_test: UnderTest | None = None,
    version: str | None = None,
) -> Report:
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
    under_test : UnderTest, optional
        The tool's own functions, which are asked where it is not given; or a checkout, which is asked beside them.
    version : str, optional
        Name of the one known version that is told.

    Raises
    ------
    InputError
        Where there is nothing to look at, or no functions to ask.
    ChildDiedError
        Where the tool's own functions did not come to an end.
    """
    run = read_grouped(folder, grouping, say)
    say("asking Phase 3", 0.0)
    only = named(version) if version else None
    examined = under_test or open_bundled()
    zemosaic = None if examined.bundled else examined
    functions = _own_functions() if zemosaic else examined
    gating = gate_tiles(run.tiles, functions, requested=requested, zemosaic=zemosaic, only=only)
    part = gating_part(gating)
    report = assemble(
        "gating",
        run.source,
        describe_environment(_told(examined, functions)),
        options=(*grouping.described(), ("altaz_cleanup", requested), *_named(only)),
        parts=(part,),
        findings=find(run.source, part),
    )
    return redact_report(report, private_words())


def _own_functions() -> UnderTest | None:
    """Give the tool's own functions; None where the tool was put into a checkout, and they are not beside it."""
    try:
        return open_bundled()
    except InputError:
        return None


def _told(examined: UnderTest, functions: UnderTest | None) -> str:
    """Say which functions are examined."""
    if examined.bundled or functions is None:
        return examined.told()
    return f"{examined.told()}; beside it {functions.told()}"


def _named(only: Version | None) -> tuple[tuple[str, JsonScalar], ...]:
    """Name the version that the user asked for."""
    return (("version_of_zemosaic", only.name),) if only else ()
