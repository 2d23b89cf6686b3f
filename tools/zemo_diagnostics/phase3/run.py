"""``zemo-diag phase3``, from the folder to the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import EXIT_CLEAN, EXIT_USAGE, InputError
from ..findings.find import find
from ..frames.entries import check_folder
from ..frames.tiles import Tile
from ..gating.data import RunGating
from ..gating.gate import gate_tiles
from ..grouped_folder import GroupingOptions, read_grouped
from ..progress import Say
from ..redaction import private_words, redact_text
from ..reports.environment import describe_environment
from ..reports.redacted import redact_report
from ..reports.report import Part, Report, assemble
from ..zemosaic.functions_under_test import (
    MasterTileFunctions,
    describe_functions_under_test,
    load_master_tile_functions,
)
from ..zemosaic.master_settings import Settings
from ..zemosaic.under_test import UnderTest
from ..zemosaic.versions import BUNDLED
from .build import Builder, DiskFullError, Flags, Phase3Options
from .data import BUNDLED_RULES, BuildPlan, Rule, RuleFlag, RunPhase3, TilePhase3
from .flags import cleanup_flags, is_unknown
from .folder import FRAMES_NAME, LOG_NAME, check_output_folder, prepare, working_folder, write_demo_frames
from .gather import gather_tiles
from .log import Phase3Log
from .making import BundledMaker, TileMaker
from .plan import check_disk
from .tell import tell
from .zemosaic_maker import ZemosaicMaker, central_reference


def phase3_part(run: RunPhase3) -> Part:
    """Make the part of a report; a disk that became full ended the run early."""
    code = EXIT_USAGE if run.disk_full else EXIT_CLEAN
    return Part(name="phase3", data=run, tell=tell, series="ZD4", exit_code=code)


def run_phase3(
    folder: Path | None,
    output: Path,
    grouping: GroupingOptions,
    options: Phase3Options,
    zemosaic: UnderTest | None = None,
    *,
    say: Say,
) -> Report:
    """Build the master tiles of a folder in several ways, and report what became of each.

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
    zemosaic : UnderTest, optional
        The ZeMosaic that builds them, too.
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
    made_of = {"folder": redact_text(frames.resolve().name, private_words()), **dict(shaping)}
    with working_folder(output, made_of, force=options.force, write=not options.dry_run) as manifest:
        if folder is None:
            write_demo_frames(manifest, say)
        run = read_grouped(frames, grouping, say)
        gating = gate_tiles(run.tiles, run.functions, requested=options.requested, only=BUNDLED)
        flags = cleanup_flags(run.tiles, gating, zemosaic, never=options.never)
        builder = Builder(run.tiles, flags, manifest, options, _makers(run.tiles, options, functions, zemosaic))
        builder.check_places()
        plan = builder.plan()
        phase3, interrupted = _planned(run.tiles, gating, flags, builder, plan, zemosaic), False
        if not options.dry_run:
            phase3, interrupted = _built(phase3, run.tiles, builder, functions, say)
    part = phase3_part(phase3)
    report = assemble(
        "phase3",
        run.source,
        describe_environment(zemosaic.told() if zemosaic else describe_functions_under_test()),
        options=(*shaping, ("rules", ",".join(options.rules)), ("dry_run", options.dry_run)),
        parts=(part,),
        findings=find(run.source, part),
        interrupted=interrupted,
        file_option="--report",
    )
    return redact_report(report, private_words())


def _makers(
    tiles: Sequence[Tile], options: Phase3Options, functions: MasterTileFunctions, zemosaic: UnderTest | None
) -> dict[Rule, TileMaker]:
    """Say who builds under each rule.

    ZeMosaic aligns on the frame nearest to the mean pointing; so do the masters that show what it did, and those that
    are to be compared with its own, pixel by pixel.
    """
    kappa = options.kappa_low, options.kappa_high
    alike = zemosaic is not None and options.settings is Settings.PLAIN
    central = {tile.tile_id: central_reference(tile) for tile in tiles}
    middle = {tile.tile_id: len(tile.frames) // 2 for tile in tiles}
    chosen = {number: index for number, index in central.items() if index is not None and index != middle[number]}
    references = {Rule.BEFORE: chosen, Rule.PATCHED: chosen if alike else {}}
    makers: dict[Rule, TileMaker] = {
        rule: BundledMaker(
            rule,
            functions,
            requested=options.requested,
            never=options.never,
            kappa=kappa,
            weights=options.weights,
            references=references.get(rule, {}),
        )
        for rule in BUNDLED_RULES
    }
    if zemosaic is not None:
        makers[Rule.ZEMOSAIC] = ZemosaicMaker(zemosaic, options.settings, kappa, options.timeout_s, functions)
    return makers


def _planned(
    tiles: Sequence[Tile],
    gating: RunGating,
    flags: Flags,
    builder: Builder,
    plan: BuildPlan,
    zemosaic: UnderTest | None,
) -> RunPhase3:
    """Give the run before anything is built: the tiles and their flags."""
    by_number = {tile.tile_id: tile for tile in tiles}
    rules = builder.options.rules
    return RunPhase3(
        tiles=tuple(
            TilePhase3(
                tile_id=one.tile_id,
                name=by_number[one.tile_id].name,
                eqmode=one.eqmode,
                frames=one.frames,
                flags=tuple(RuleFlag(rule, flags[rule][one.tile_id]) for rule in rules),
                zemosaic_unknown=is_unknown(by_number[one.tile_id], zemosaic),
            )
            for one in gating.tiles
        ),
        rules=rules,
        plan=plan,
        dry_run=builder.options.dry_run,
        summary_line=gating.summary_line,
        requested=gating.requested,
        effective=gating.effective,
        reason=gating.reason,
        log_message=gating.log_message,
        zemosaic=zemosaic.told() if zemosaic else None,
        settings=builder.options.settings.value,
        kept=builder.kept,
    )


def _built(
    run: RunPhase3, tiles: Sequence[Tile], builder: Builder, functions: MasterTileFunctions, say: Say
) -> tuple[RunPhase3, bool]:
    """Build, measure and draw, in a folder that no other run writes into; whether the user stopped it."""
    folder = builder.manifest.folder
    check_disk(run.plan, folder, builder.options.rules)
    prepare(folder, builder.options.rules)
    interrupted = disk_full = False
    with Phase3Log(folder / LOG_NAME, run.plan.masters, say, private_words()) as log:
        try:
            builder.build(run.plan, log)
        except KeyboardInterrupt:
            interrupted = True
        except DiskFullError:
            disk_full = True
        except ImportError as error:
            raise InputError(str(error)) from error
    no_pictures = "the disk became full" if disk_full else ""
    done, no_pictures = gather_tiles(run.tiles, tiles, builder, functions, no_pictures, say)
    run = replace(run, tiles=done, built=builder.built, copied=builder.copied)
    return replace(run, disk_full=disk_full, no_pictures=no_pictures), interrupted
