"""What each command does, from the folder to the report: read, group, ask, find, assemble. Nothing is printed here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .errors import EXIT_CLEAN, EXIT_USAGE, EXIT_VARIANT_DIED, InputError, UnusableFile
from .findings.find import find
from .frames.entries import Scan, check_folder, in_lines, scan_folder
from .frames.tiles import DEFAULT_PANEL_DEG, Tile, group_frames
from .gating import tell as tell_gating
from .gating.data import RunGating
from .gating.gate import gate_tiles
from .kappa_parity import tell as tell_parity
from .kappa_parity.compare_tiles import MEMORY_FORMULA, ParityOptions, compare_tiles, memory_allowed
from .kappa_parity.data import RunParity, TileParity
from .masters import tell as tell_masters
from .masters.contact_sheet import ContactSheet
from .masters.data import RunMasters, TileMaster
from .masters.files import scan_masters
from .masters.measure import gather, measure_masters
from .phase3 import tell as tell_phase3
from .phase3.both_rules import run_both_rules
from .phase3.build import Phase3Options
from .phase3.data import RunPhase3
from .phase3.folder import FRAMES_NAME, check_output_folder, open_manifest, write_demo_frames
from .progress import Say
from .reports.environment import describe_environment
from .reports.redaction import private_words, redact_report, redact_text
from .reports.report import Grouping, JsonScalar, Part, Report, Source, Subject, assemble
from .zemosaic.functions_under_test import (
    Phase3Functions,
    describe_functions_under_test,
    load_master_signal,
    load_master_tile_functions,
    load_phase3_functions,
    load_stack_functions,
)

Result = TypeVar("Result")


@dataclass(frozen=True)
class GroupingOptions:
    """How frames become tiles; see `tiles.group_frames`."""

    group_by: str | None = None
    panel_deg: float = DEFAULT_PANEL_DEG
    split: bool = True

    def described(self) -> tuple[tuple[str, JsonScalar], ...]:
        """Name the options for the report."""
        return (("group_by", self.group_by), ("panel_deg", self.panel_deg), ("split", self.split))


@dataclass(frozen=True)
class _Run:
    """A folder read and grouped."""

    source: Source
    tiles: tuple[Tile, ...]
    functions: Phase3Functions


def _read(folder: Path, grouping: GroupingOptions, say: Say) -> _Run:
    """Read the headers of a folder and group its frames."""
    functions = load_phase3_functions()
    scan = scan_folder(folder, lambda done, total: say("reading headers", done / total))
    if not scan.frames:
        raise _nothing_usable(scan)
    used, tiles = group_frames(
        scan, functions, group_by=grouping.group_by, panel_deg=grouping.panel_deg, split=grouping.split
    )
    files = len(scan.frames) + len(scan.unusable)
    name = folder.resolve().name or "."
    source = Source(
        folder=name,
        files=files,
        frames=len(scan.frames),
        unusable=scan.unusable,
        grouped_by=Grouping(used),
        tiles=len(tiles),
        unread_folders=scan.unread_folders,
    )
    return _Run(source, tiles, functions)


def _nothing_usable(scan: Scan) -> InputError:
    """Say why each file of a folder without any frame cannot be used."""
    what = f"none of the {len(scan.unusable)} files in '{scan.folder}' holds a frame:"
    return InputError(what, *in_lines((*scan.unread_folders, *scan.unusable)))


def gating_part(gating: RunGating) -> Part:
    """Make the part of a report."""
    return Part(name="gating", data=gating, tell=tell_gating.tell, series="ZD1")


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
    run = _read(folder, grouping, say)
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


def parity_part(parity: RunParity) -> Part:
    """Make the part of a report; a variant that died is more than a finding."""
    died = any(tile.died for tile in parity.tiles)
    code = EXIT_VARIANT_DIED if died else EXIT_CLEAN
    return Part(name="parity", data=parity, tell=tell_parity.tell, series="ZD2", exit_code=code)


def run_parity(
    folder: Path,
    grouping: GroupingOptions,
    options: ParityOptions,
    *,
    tile_ids: Sequence[int] = (),
    say: Say,
) -> Report:
    """Report, for each tile of a folder, whether chunked and full-frame stack agree, and the memory of each.

    Parameters
    ----------
    folder : Path
        A folder of frames.
    grouping : GroupingOptions
        How they become tiles.
    options : ParityOptions
        What is run, and within which limits.
    tile_ids : sequence of int, keyword-only
        Only these tiles; all where it is empty.
    say : callable, keyword-only
        Gets (what is being done, part done).

    Raises
    ------
    InputError
        Where there is nothing to look at, or no tile has such a number.
    """
    run = _read(folder, grouping, say)
    tiles = _selected(run.tiles, tile_ids)
    done: list[TileParity] = []
    limit = memory_allowed(options)
    interrupted = not _collect(compare_tiles(tiles, load_stack_functions(), options, limit, say), done)
    parity = RunParity(tuple(done), limit.available_bytes, limit.source, MEMORY_FORMULA, options.require_whole)
    part = parity_part(parity)
    report = assemble(
        "kappa-parity",
        run.source,
        describe_environment(describe_functions_under_test()),
        options=(*grouping.described(), *_described(options, tile_ids)),
        parts=(part,),
        findings=find(run.source, part),
        interrupted=interrupted,
    )
    return redact_report(report, private_words())


def masters_part(masters: RunMasters) -> Part:
    """Make the part of a report; a gate never passes on nothing."""
    code = EXIT_CLEAN if masters.tiles or masters.unreadable else EXIT_USAGE
    return Part(name="masters", data=masters, tell=tell_masters.tell, series="ZD3", exit_code=code)


def run_masters(folder: Path, *, sheet: ContactSheet | None = None, say: Say) -> Report:
    """Report, for each master tile of a folder, what its pixels hold and whether it is empty.

    Parameters
    ----------
    folder : Path
        A folder of FITS files; each is measured by itself.
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
    scan = scan_masters(folder, lambda done, total: say("reading headers", done / total))
    if sheet is not None:
        sheet.expect(len(scan.masters))
    measured: list[TileMaster | UnusableFile] = []
    interrupted = not _collect(measure_masters(scan, signal, say, sheet.add if sheet else None), measured)
    if sheet is not None:
        sheet.close()
    masters = gather(measured, scan)
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
        parts=(part,),
        findings=find(source, part),
        interrupted=interrupted,
    )
    return redact_report(report, private_words())


def phase3_part(run: RunPhase3) -> Part:
    """Make the part of a report; a disk that became full ended the run early."""
    code = EXIT_USAGE if run.disk_full else EXIT_CLEAN
    return Part(name="phase3", data=run, tell=tell_phase3.tell, series="ZD4", exit_code=code)


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
    run = _read(frames, grouping, say)
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


def _collect(results: Iterator[Result], done: list[Result]) -> bool:
    """Take results as they come; False where the user stopped it before the end."""
    try:
        done.extend(results)
    except KeyboardInterrupt:
        return False
    return True


def _selected(tiles: Sequence[Tile], tile_ids: Sequence[int]) -> list[Tile]:
    """Give the tiles that were asked for."""
    known = {tile.tile_id: tile for tile in tiles}
    missing = [str(number) for number in tile_ids if number not in known]
    if missing:
        raise InputError(f"there is no tile {', '.join(missing)}: --tile takes 1 to {len(tiles)} here")
    return [known[number] for number in dict.fromkeys(tile_ids)] or list(tiles)


def _described(options: ParityOptions, tile_ids: Sequence[int]) -> tuple[tuple[str, JsonScalar], ...]:
    """Name the options for the report."""
    crop = f"{options.crop[0]}x{options.crop[1]}" if options.crop else None
    return (
        ("tile", ",".join(map(str, tile_ids)) or None),
        ("kappa_low", options.kappa_low),
        ("kappa_high", options.kappa_high),
        ("weights", options.weights),
        ("chunk_rows", options.chunk_rows),
        ("max_frames", options.max_frames),
        ("crop", crop),
        ("timeout_s", options.timeout_s),
        ("atol", options.atol),
        ("require_whole", options.require_whole),
    )
