"""Sample reports for the tests of the renderers: small ones, large ones, nasty ones."""

from __future__ import annotations

from dataclasses import replace

from zemo_diagnostics.check.data import CheckResult, RunChecks, Status
from zemo_diagnostics.check.run import check_part
from zemo_diagnostics.errors import UnusableFile
from zemo_diagnostics.findings.find import find
from zemo_diagnostics.gating.data import (
    CheckoutGating,
    Decided,
    FrameMode,
    ModeCounts,
    RunGating,
    ShapeFrames,
    TelescopeFrames,
    TileGating,
    VersionRun,
    VersionTile,
)
from zemo_diagnostics.gating.run import gating_part
from zemo_diagnostics.kappa_parity.data import (
    Comparison,
    Rung,
    RunParity,
    TileParity,
    Variant,
    VariantRun,
    Verdict,
    ZemosaicFunction,
    ZemosaicKappa,
    ZemosaicRun,
)
from zemo_diagnostics.kappa_parity.run import parity_part
from zemo_diagnostics.machine.child_process import RunStatus
from zemo_diagnostics.masters.data import (
    AlphaPlane,
    ChannelLevels,
    CoreHoles,
    EdgeBands,
    MasterCards,
    MasterVerdict,
    OneFrame,
    Padding,
    RunMasters,
    TileMaster,
)
from zemo_diagnostics.masters.run import masters_part
from zemo_diagnostics.phase3.data import (
    BUNDLED_RULES,
    ZEMOSAIC_RULES,
    BuildOutcome,
    BuildPlan,
    PixelComparison,
    Rule,
    RuleFlag,
    RunPhase3,
    TileBuild,
    TilePhase3,
    build_outcome,
    tile_verdict,
)
from zemo_diagnostics.phase3.run import phase3_part
from zemo_diagnostics.reports.report import Environment, Finding, Grouping, Level, Part, Report, Source, Subject
from zemo_diagnostics.zemosaic.checkout import Presence
from zemo_diagnostics.zemosaic.mount_mode import Mode

GIB, MIB = 1 << 30, 1 << 20
CREATED = "2026-01-02T03:04:05Z"

# Text that breaks a table, a line, a terminal, Markdown, HTML or UTF-8 where it is not taken care of.
NASTY = "[red]x[/red] | `a` <b>&amp; *s* _u_ @zwo #12\nline\r\x1b[31m \u202eevil\u2066 \udcff ${x} ~~z~~ 星.fit \\"


def environment() -> Environment:
    return Environment(
        tool_version="0.1.0",
        python="3.11.7",
        system="Linux 6.8",
        machine="x86_64",
        numpy="2.4.6",
        astropy="8.0.2",
        opencv="not installed",
        cores=8,
        memory_bytes=16 * GIB,
        functions_under_test="this project",
    )


def source(frames: int = 24, unusable: tuple[UnusableFile, ...] = (), tiles: int = 1) -> Source:
    return Source(
        folder="m31",
        files=frames + len(unusable),
        frames=frames,
        unusable=unusable,
        grouped_by=Grouping.FOLDER,
        tiles=tiles,
    )


def report_of(*parts: Part, command: str, source: Source, **changes: object) -> Report:
    base = Report(command=command, created_utc=CREATED, environment=environment(), source=source, parts=tuple(parts))
    return replace(base, **changes)  # type: ignore[arg-type]


def with_result(report: Report, **results: object) -> Report:
    """Put other data into parts of a report."""
    parts = tuple(replace(part, data=results.get(part.name, part.data)) for part in report.parts)
    return replace(report, parts=parts)


def finding(code: str = "ZD103", level: Level = Level.WARNING, tile_id: int | None = 1, **changes: object) -> Finding:
    base = Finding(
        code=code,
        level=level,
        title="Most frames do not say their mount mode",
        message="4 of 6 frames do not say their mount mode; the tile counts as EQ.",
        remedy="'zemo-diag masters' shows what came out.",
        tile_id=tile_id,
        evidence=("Light_a.fit", "Light_b.fit", "Light_c.fit", "Light_d.fit"),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def tile_gating(tile_id: int = 1, mode: str = "EQ", frames: int = 6, name: str | None = None) -> TileGating:
    altaz = mode == "ALT_AZ"
    enabled = {"before": (True, True), "2026-01": (False, altaz), "2026-04": (True, altaz)}
    return TileGating(
        tile_id=tile_id,
        name=name or f"panel_{tile_id}",
        frames=frames,
        counts=ModeCounts(frames if mode == "EQ" else 0, frames if altaz else 0, frames if mode == "UNKNOWN" else 0, 0),
        eqmode=Mode(mode),
        evidence=f"EQMODE={0 if altaz else 1} in {frames} of {frames} headers",
        deciding_index=0,
        tile_enabled=altaz,
        before_enabled=True,
        reason="cleanup is on and the group is ALT_AZ" if altaz else "cleanup is for ALT_AZ groups and this one is EQ",
        log_line=f"P3_ALTaz_GATING: tile_id={tile_id - 1} eqmode={mode} global_enabled=True => tile_enabled={altaz}",
        frame_modes=tuple(FrameMode(f"Light_{tile_id}_{i}.fit", mode) for i in range(frames)),
        telescopes=(TelescopeFrames("Seestar S50", frames),),
        shapes=(ShapeFrames("1920 × 1080", frames),),
        versions=tuple(version_tile(version, mode, *flags) for version, flags in enabled.items()),
    )


def version_tile(version: str, mode: str, enabled: bool, by_filter: bool) -> VersionTile:
    unread, read = (None, None) if version == "before" else ("UNKNOWN", mode)
    return VersionTile(
        version=version,
        decided=Decided(eqmode=unread, tile_enabled=enabled),
        by_filter=Decided(eqmode=read, tile_enabled=by_filter),
    )


def version_run(name: str, *, without_filter: bool = False) -> VersionRun:
    return VersionRun(
        name=name,
        title=f"ZeMosaic {name}",
        bundled=False,
        has_inference=name != "before",
        effective=True,
        without_filter=without_filter,
        log_lines=("WORKER_EQMODE_SUMMARY: eq=12 altaz=6 unknown=0 total=18 contains_altaz=True",),
    )


def run_gating(*tiles: TileGating) -> RunGating:
    return RunGating(
        tiles=tiles,
        summary_line="WORKER_EQMODE_SUMMARY: eq=12 altaz=6 unknown=0 total=18 contains_altaz=True",
        eq=12,
        altaz=6,
        unknown=0,
        requested=True,
        effective=True,
        reason="6 of 18 frames are ALT_AZ",
        log_message=None,
        versions=(version_run("before", without_filter=True), version_run("2026-01"), version_run("2026-04")),
    )


def gating_report() -> Report:
    tiles = (
        tile_gating(1),
        replace(tile_gating(2), counts=ModeCounts(2, 0, 4, 0), evidence="EQMODE=1 in 2 of 6 headers"),
        tile_gating(3, "ALT_AZ"),
    )
    found = (finding(tile_id=2),)
    return report_of(
        gating_part(run_gating(*tiles)),
        command="gating",
        source=source(18, tiles=3),
        options=(("altaz_cleanup", True), ("panel_deg", 0.05)),
        findings=found,
    )


def checkout_report() -> Report:
    """A checkout that reads no mode of Phase 1: of three tiles it cleans two, and its function failed on the third."""
    name = "this ZeMosaic"
    line = (
        "P3_ALTaz_GATING: tile_id={} eqmode=UNKNOWN global_enabled=True unknown_policy=auto seestar_hint=True "
        "unknown_as_altaz=True => tile_enabled=True"
    )
    raised = Decided(eqmode=None, tile_enabled=None, raised="ValueError: no mode")
    blind, sees = Decided(eqmode="UNKNOWN", tile_enabled=True), Decided(eqmode="EQ", tile_enabled=False)
    tiles = tuple(
        replace(
            tile_gating(i, mode),
            versions=(
                VersionTile(version=name, decided=one or replace(blind, log_line=line.format(i - 1)), by_filter=two),
            ),
        )
        for i, mode, one, two in (
            (1, "EQ", None, sees),
            (2, "ALT_AZ", None, replace(sees, expected="ALT_AZ")),
            (3, "UNKNOWN", raised, raised),
        )
    )
    asked = CheckoutGating(
        version="2026-04",
        notes=("the mount mode that it gives a group can be judged", "its flags are by the rules of ZeMosaic 2026-04"),
        how=("_infer_group_eqmode lifted from the source, nothing else of it was run",),
    )
    run = replace(run_gating(*tiles), versions=(replace(version_run(name), title=name),), asked_about=name)
    part = gating_part(replace(run, checkout=asked))
    return report_of(part, command="gating", source=source(18, tiles=3), findings=find(source(18), part))


def variant_run(variant: Variant = Variant.FULL_FRAME, extra: int = 1200 * MIB, **changes: object) -> VariantRun:
    base = VariantRun(
        variant=variant,
        status=RunStatus.OK,
        detail="",
        rows=(0, 1920),
        estimated_bytes=2 * GIB,
        baseline_rss_bytes=600 * MIB,
        peak_rss_bytes=600 * MIB + extra,
        memory_method="VmHWM",
        wall_s=12.34,
        cpu_s=12.1,
        rejected_pct=0.4123,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def comparison(verdict: Verdict = Verdict.IDENTICAL) -> Comparison:
    same = Comparison(
        verdict=verdict,
        detail="every bit of 6220800 samples is the same",
        atol=1e-4,
        shapes=("1920 × 1080 × 3", "1920 × 1080 × 3"),
        dtypes=("float32", "float32"),
        samples=6220800,
        nan_mismatches=0,
        differing=0,
        max_abs=None,
        median_abs=None,
        max_ulp=None,
        bounding_box=None,
        first_places=(),
        rejected_pct=(0.4123, 0.4123),
        all_rejected=0,
    )
    if verdict is Verdict.IDENTICAL:
        return same
    return replace(
        same,
        detail="the results differ by more than the tolerance",
        nan_mismatches=1,
        differing=3,
        max_abs=0.0122,
        median_abs=0.0003,
        max_ulp=25,
        bounding_box=(3, 17, 5, 40),
        first_places=((3, 5, 0), (3, 6, 0), (17, 40, 2)),
        rejected_pct=(0.4123, 0.4124),
        all_rejected=12,
    )


def tile_parity(tile_id: int = 1, verdict: Verdict = Verdict.IDENTICAL) -> TileParity:
    return TileParity(
        tile_id=tile_id,
        name=f"panel_{tile_id}",
        frames=20,
        used=20,
        set_aside=0,
        left_out=(),
        shape=(1920, 1080, 3),
        rows=(0, 1920),
        frame_rows=1920,
        debayered=True,
        raw_mosaic=False,
        no_signal=(),
        runs=(variant_run(), variant_run(Variant.CHUNKED, 98 * MIB, wall_s=10.1)),
        comparison=None if verdict is Verdict.NOT_COMPARED else comparison(verdict),
        weights="none",
        kappa_low=3.0,
        kappa_high=3.0,
    )


def killed_tile(tile_id: int = 2) -> TileParity:
    killed = variant_run(
        status=RunStatus.KILLED,
        detail="signal 9 (SIGKILL), most likely out of memory",
        peak_rss_bytes=None,
        baseline_rss_bytes=None,
        wall_s=None,
        cpu_s=None,
        rejected_pct=None,
    )
    apart = (UnusableFile("Light_x.fit", "its shape is 10 × 10, the tile's is 1920 × 1080 × 3"),)
    tile = tile_parity(tile_id, Verdict.NOT_COMPARED)
    return replace(tile, used=19, left_out=apart, runs=(killed, variant_run(Variant.CHUNKED, 98 * MIB)))


def partial_tile(tile_id: int = 1, *, whole: bool = True, **changes: object) -> TileParity:
    """A tile that was compared on its middle rows; the chunked stack took all of them, or was skipped there."""
    band = replace(variant_run(), rows=(700, 1200)), replace(variant_run(Variant.CHUNKED, 98 * MIB), rows=(700, 1200))
    last = variant_run(Variant.CHUNKED, 98 * MIB)
    if not whole:
        last = VariantRun(
            variant=Variant.CHUNKED,
            status=RunStatus.SKIPPED,
            detail="it needs 400 MiB and 300 MiB are allowed",
            rows=(0, 1920),
            estimated_bytes=400 * MIB,
        )
    return replace(tile_parity(tile_id), runs=(*band, last), **changes)  # type: ignore[arg-type]


def unread_tile(tile_id: int = 2) -> TileParity:
    """A tile whose frames made the child die that reads them beforehand."""
    died = VariantRun(
        variant=Variant.INSPECT,
        status=RunStatus.KILLED,
        detail="killed by SIGSEGV: a fault in a compiled library",
        rows=(0, 0),
        estimated_bytes=0,
    )
    return replace(tile_parity(tile_id, Verdict.NOT_COMPARED), runs=(died,))


def partial_report() -> Report:
    skipped = VariantRun(
        variant=Variant.FULL_FRAME,
        status=RunStatus.SKIPPED,
        detail="not even one row of all frames fits",
        rows=(0, 0),
        estimated_bytes=5 * GIB,
    )
    none = replace(tile_parity(3, Verdict.NOT_COMPARED), runs=(skipped, variant_run(Variant.CHUNKED, 98 * MIB)))
    report = parity_report(partial_tile(1, whole=False), unread_tile(2), none)
    required = replace(report.result("parity"), whole_required=True)
    return replace(report, findings=find(source(), parity_part(required)))


def parity_report(*tiles: TileParity, findings: tuple[Finding, ...] = ()) -> Report:
    run = RunParity(
        tiles=tiles or (tile_parity(),),
        memory_limit_bytes=12 * GIB,
        memory_limit_source="free memory",
        memory_formula="N × H × W × C × 4 bytes × 2",
    )
    options = (("kappa_low", 3.0), ("kappa_high", 3.0), ("weights", "none"))
    return report_of(
        parity_part(run),
        command="kappa-parity",
        source=source(tiles=len(run.tiles)),
        options=options,
        findings=findings,
    )


def died_report() -> Report:
    died = Finding(
        code="ZD203",
        level=Level.ERROR,
        title="A variant was killed",
        message="full frame: signal 9 (SIGKILL), most likely out of memory.",
        remedy="Close other programs, or try fewer frames: --max-frames 10.",
        tile_id=2,
    )
    return parity_report(tile_parity(1), killed_tile(2), tile_parity(3, Verdict.DIFFERENT), findings=(died,))


# The kappa-sigma functions of a ZeMosaic.
FULL_FRAME, CHUNKED = "_cpu_stack_kappa_fallback_fullframe", "_cpu_stack_kappa_fallback_chunked"


def zemosaic_run(variant: Variant = Variant.CHUNKED, **changes: object) -> ZemosaicRun:
    base = ZemosaicRun(
        function=CHUNKED if variant is Variant.CHUNKED else FULL_FRAME,
        run=variant_run(variant, 640 * MIB if variant is Variant.CHUNKED else 1250 * MIB, wall_s=25.2),
        rung=Rung.LIFTED,
        comparison=comparison(),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def zemosaic_ended(status: RunStatus, detail: str, variant: Variant = Variant.CHUNKED) -> ZemosaicRun:
    """Give a function of a ZeMosaic that did not come to a result."""
    ended = VariantRun(variant=variant, status=status, detail=detail, rows=(0, 1920), estimated_bytes=2 * GIB)
    return zemosaic_run(variant, run=ended, comparison=None)


def zemosaic_kappa(**changes: object) -> ZemosaicKappa:
    base = ZemosaicKappa(
        told="ZeMosaic git 1a1f979, like 2026-01, with the patch; run by Python 3.11.7, named by --python",
        functions=(
            ZemosaicFunction(Variant.FULL_FRAME, FULL_FRAME, Presence.PRESENT, "its stack can be judged"),
            ZemosaicFunction(Variant.CHUNKED, CHUNKED, Presence.PRESENT, "its stack by bands of rows can be judged"),
        ),
        pixel_weights=(
            zemosaic_run(Variant.FULL_FRAME, weighted=True),
            replace(zemosaic_ended(RunStatus.RAISED, "ValueError: operands could not be broadcast"), weighted=True),
        ),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def zemosaic_report(zemosaic: ZemosaicKappa, *tiles: TileParity) -> Report:
    report = parity_report(*tiles)
    parity = replace(report.result("parity"), zemosaic=zemosaic)
    report = replace(report, parts=(parity_part(parity),), findings=find(source(), parity_part(parity)))
    examined = f"{zemosaic.told}; beside it this project"
    return replace(report, environment=replace(environment(), functions_under_test=examined))


def parity_zemosaic_report() -> Report:
    """The stacks of a ZeMosaic are the same as ours; one of them refuses weights for each pixel."""
    whole = replace(tile_parity(1), zemosaic=(zemosaic_run(Variant.FULL_FRAME), zemosaic_run()))
    rows = (700, 1200)
    band = [replace(one, run=replace(one.run, rows=rows)) for one in whole.zemosaic]
    return zemosaic_report(zemosaic_kappa(), whole, partial_tile(2, zemosaic=tuple(band)))


def parity_zemosaic_trouble_report() -> Report:
    """A ZeMosaic whose chunked stack differs, dies, refuses weights and is not run; its full frame takes others."""
    odd = ZemosaicFunction(
        Variant.FULL_FRAME,
        FULL_FRAME,
        Presence.OTHER_SIGNATURE,
        f"{FULL_FRAME} takes other parameters (it has no weights): its kappa-sigma stack of whole frames "
        "cannot be judged",
    )
    imported = zemosaic_run(
        rung=Rung.IMPORTED, not_lifted="np is set under a condition", comparison=comparison(Verdict.DIFFERENT)
    )
    refused = zemosaic_ended(RunStatus.RAISED, "ValueError: operands could not be broadcast together")
    stacks = (
        imported,
        zemosaic_ended(RunStatus.TIMED_OUT, "it did not end within 60 s and was stopped"),
        replace(refused, weighted=True),
        zemosaic_ended(RunStatus.SKIPPED, "it needs 9216 MiB and 4096 MiB are allowed"),
        replace(imported, comparison=comparison(Verdict.WITHIN)),
    )
    tiles = [replace(tile_parity(i), zemosaic=(stack,)) for i, stack in enumerate(stacks, 1)]
    functions = (odd, zemosaic_kappa().functions[1])
    return zemosaic_report(zemosaic_kappa(functions=functions, pixel_weights=(imported,)), *tiles)


def tile_master(tile_id: int = 1, **changes: object) -> TileMaster:
    base = TileMaster(
        tile_id=tile_id,
        name=f"master_tile_{tile_id:03d}.fits",
        shape=(1920, 1080, 3),
        verdict=MasterVerdict.FINE,
        cause="",
        cards=MasterCards(
            zmt_id=tile_id, frames_raw=20, frames_aligned=20, frames_stacked=18, says_alpha=True, by_zemosaic=True
        ),
        pixels=2073600,
        blank_pixels=6221,
        valid_pixels=2067379,
        samples=6220800,
        finite=6202137,
        zero=0,
        negative=12,
        max_abs=65012.5,
        std=310.25,
        channels=tuple(ChannelLevels(median, 12.25, -3.0, 65012.5) for median in (1012.4, 812.0, 795.5)),
        alpha=AlphaPlane(2067379, 0, 0),
        alpha_problem="",
        edges=EdgeBands(0, 0, 0, 0),
        holes=CoreHoles(0, ()),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def empty_master(tile_id: int = 2) -> TileMaster:
    return tile_master(
        tile_id,
        verdict=MasterVerdict.EMPTY,
        cause="the alt-az cleanup wrote NaN over all of it, or its frames held no signal",
        cards=MasterCards(
            zmt_id=tile_id,
            frames_raw=20,
            frames_aligned=20,
            frames_stacked=20,
            says_empty=True,
            valid_fraction=0.0,
            says_alpha=True,
            by_zemosaic=True,
        ),
        blank_pixels=2073600,
        valid_pixels=0,
        finite=0,
        negative=0,
        max_abs=0.0,
        std=0.0,
        channels=(ChannelLevels(None, None, None, None),) * 3,
        alpha=AlphaPlane(0, 0, 0),
        edges=EdgeBands(1920, 1920, 1080, 1080),
    )


def masters_report(*tiles: TileMaster, unreadable: tuple[UnusableFile, ...] = ()) -> Report:
    off = tile_master(3, alpha=AlphaPlane(2073600, 6221, 0))
    run = RunMasters(tiles or (tile_master(), empty_master(), off), unreadable)
    found = (
        finding(
            "ZD302",
            Level.ERROR,
            2,
            title="A master is empty",
            message="No signal (0 of 2073600 pixels are valid, the largest absolute value is 0).",
            remedy="Run 'zemo-diag gating' on the lights of this tile.",
            evidence=("master_tile_002.fits",),
        ),
        finding(
            "ZD305",
            Level.WARNING,
            3,
            title="Alpha and pixels disagree",
            message="Alpha shows blank pixels in 0.3 % of the tile, and hides valid ones in 0 %.",
            remedy="Build the tile anew.",
            evidence=("master_tile_003.fits",),
        ),
    )
    files = len(run.tiles) + len(unreadable)
    made = Source(
        folder="run_tmp",
        files=files,
        frames=files,
        unusable=(),
        grouped_by=Grouping.FILE,
        tiles=files,
        subject=Subject.MASTER,
    )
    return report_of(masters_part(run), command="masters", source=made, findings=found)


def padded_masters_report() -> Report:
    padding = Padding(side=2203, top=141, left=561, height=1920, width=1080)
    padded = tile_master(0, shape=(2203, 2203, 3), padding=padding, one_frame=OneFrame(18, 0.97, 1.02, 1048576))
    lost = "the alt-az cleanup was on, and all frames but the reference lost their pixels when they were aligned"
    one_frame = replace(
        padded,
        tile_id=1,
        name="master_tile_001.fits",
        verdict=MasterVerdict.ONE_FRAME,
        cause=lost,
        blank_pixels=225000,
        one_frame=OneFrame(5, 0.2, 0.0, 1048576),
    )
    filled = replace(padded, tile_id=2, name="master_tile_002.fits", fill=(3.5, 3.5, 4.25), one_frame=None)
    run = RunMasters((padded, one_frame, filled), lights=900)
    part = masters_part(run)
    report = masters_report(*run.tiles)
    return replace(report, options=(("frames", "lights"),), parts=(part,), findings=find(report.source, part))


def many_masters_report() -> Report:
    tiles = tuple(empty_master(i) if i % 40 == 0 else tile_master(i) for i in range(1, 401))
    found = tuple(finding("ZD302", Level.ERROR, i, title="A master is empty") for i in range(40, 401, 40))
    return replace(masters_report(*tiles), findings=found)


def big_report(tiles: int = 400, frames: int = 50) -> Report:
    gated = tuple(tile_gating(i, "ALT_AZ" if i % 2 else "EQ", frames) for i in range(1, tiles + 1))
    stacked = tuple(
        tile_parity(i, Verdict.DIFFERENT if i % 50 == 0 else Verdict.IDENTICAL) for i in range(1, tiles + 1)
    )
    found = tuple(
        finding(tile_id=i, message=f"{i} of 500 frames do not say their mount mode.") for i in range(1, tiles + 1, 3)
    )
    lost = tuple(UnusableFile(f"Light_{i}.fit", "it is empty (0 bytes)") for i in range(2000))
    unusable = tuple(
        finding("ZD001", tile_id=None, message=f"{file.name}: {file.reason}.", evidence=(file.name,)) for file in lost
    )
    report = parity_report(*stacked, findings=unusable + found)
    parts = (gating_part(run_gating(*gated)), *report.parts)
    return replace(report, source=source(tiles * frames, lost, tiles), parts=parts)


def nasty_report(text: str = NASTY) -> Report:
    """Put a text into every place where a user's text may stand."""
    file = UnusableFile(text, text)
    gated = replace(
        tile_gating(1, name=text),
        evidence=text,
        reason=text,
        log_line=text,
        frame_modes=(FrameMode(text, text), FrameMode("b.fit", "EQ")),
        telescopes=(TelescopeFrames(text, 2),),
        shapes=(ShapeFrames(text, 2),),
        stacked_frames=(text,),
    )
    run = variant_run(status=RunStatus.RAISED, detail=text, memory_method=text)
    stacked = replace(
        tile_parity(1, Verdict.DIFFERENT), name=text, left_out=(file,), no_signal=(file,), runs=(run, variant_run())
    )
    stacked = replace(stacked, comparison=replace(comparison(Verdict.DIFFERENT), detail=text))
    found = (
        finding("ZD001", Level.ERROR, None, title=text, message=text, remedy=text, evidence=(text, text)),
        finding(tile_id=1, message=text, remedy=text, evidence=(text,)),
    )
    report = parity_report(stacked, findings=found)
    parity = replace(report.result("parity"), memory_formula=text, memory_limit_source=text)
    built = run_phase3(
        with_builds(replace(tile_phase3(1), name=text), patched=tile_build(error=text, unreadable=(text,)))
    )
    return replace(
        report,
        source=replace(source(2, (file,)), folder=text),
        options=(("name", text),),
        parts=(
            gating_part(replace(run_gating(gated), log_message=text, reason=text, summary_line=text)),
            parity_part(parity),
            masters_part(RunMasters((tile_master(1, name=text, cause=text, alpha=None, alpha_problem=text),), (file,))),
            phase3_part(replace(built, summary_line=text, reason=text, log_message=text, no_pictures=text)),
            check_part(replace(run_checks(check_result(text, Status.FAIL, reason=text)), zemosaic=text, before=text)),
        ),
    )


def tile_build(rule: Rule = Rule.PATCHED, blank: float = 0.0, **changes: object) -> TileBuild:
    base = TileBuild(
        file=f"{rule}/master_tile_001.fits",
        cleanup_enabled=rule is Rule.BEFORE,
        outcome=BuildOutcome.KEPT,
        verdict=MasterVerdict.NEARLY if blank >= 0.9 else MasterVerdict.FINE,
        frames=6,
        stacked=6,
        rejected_pct=0.4,
        pixels=100_000,
        blank_pixels=round(blank * 100_000),
        valid_pixels=round((1 - blank) * 100_000),
        medians=(812.3, 795.1, 79.96),
    )
    build = replace(base, **changes)  # type: ignore[arg-type]
    verdict = None if build.error else build.verdict
    return replace(build, outcome=build_outcome(verdict, build.blank_fraction, build.one_frame))


def tile_phase3(tile_id: int = 1, mode: str = "EQ", blank: tuple[float, float] = (0.97, 0.003)) -> TilePhase3:
    altaz = mode == "ALT_AZ"
    tile = TilePhase3(
        tile_id=tile_id,
        name=f"panel_{tile_id}",
        eqmode=mode,
        frames=6,
        flags=(RuleFlag(Rule.BEFORE, True), RuleFlag(Rule.PATCHED, altaz)),
        picture=f"pictures/tile_{tile_id:03d}.png",
    )
    before = tile_build(Rule.BEFORE, blank[0], same_as=Rule.PATCHED if altaz else None)
    return with_builds(tile, before=before, patched=tile_build(Rule.PATCHED, blank[1], cleanup_enabled=altaz))


def with_builds(tile: TilePhase3, **builds: TileBuild | None) -> TilePhase3:
    """Give a tile other masters, and what it then comes to."""
    tile = replace(tile, **builds)  # type: ignore[arg-type]
    return replace(tile, verdict=tile_verdict(tile.builds()))


def run_phase3(*tiles: TilePhase3) -> RunPhase3:
    return RunPhase3(
        tiles=tiles,
        rules=(Rule.BEFORE, Rule.PATCHED),
        plan=BuildPlan(
            masters=3,
            at_a_time=2,
            memory_bytes=300 * MIB,
            memory_limit_bytes=12 * GIB,
            memory_limit_source="free memory",
            disk_bytes=90 * MIB,
            disk_free_bytes=75 * GIB,
        ),
        dry_run=False,
        summary_line="WORKER_EQMODE_SUMMARY: eq=6 altaz=6 unknown=0 total=12 contains_altaz=True",
        requested=True,
        effective=True,
        reason="6 of 12 frames are ALT_AZ",
        log_message=None,
        built=3,
        copied=1,
    )


def phase3_report() -> Report:
    run = run_phase3(tile_phase3(1), tile_phase3(2, "ALT_AZ", (0.025, 0.025)))
    found = finding(
        "ZD401",
        title="The old rule wipes this tile, the patch keeps it",
        message="97 % of it is blank before the patch, 0.3 % after.",
        remedy="Build your mosaics with a ZeMosaic that has the patch.",
        evidence=("before/master_tile_001.fits",),
    )
    options = (("altaz_cleanup", True), ("rules", "before,patched"))
    return report_of(
        phase3_part(run),
        command="phase3",
        source=source(12, tiles=2),
        options=options,
        findings=(found,),
        file_option="--report",
    )


def one_frame(frames: int, reference: str) -> dict[str, object]:
    """What a build of one frame's light has beside its pixels."""
    return {
        "one_frame": OneFrame(frames=frames, scale=1 / frames, residual_ratio=0.0, compared=50_000),
        "reference": reference,
        "stacked": frames,
    }


def phase3_rules_report() -> Report:
    """Three rules: what the mask loses, what the rule alone loses, and what both leave."""
    names = tuple(RuleFlag(rule, True) for rule in (Rule.BEFORE, Rule.RULE_ALONE))
    wide = replace(tile_phase3(1), flags=(*names, RuleFlag(Rule.PATCHED, False)))
    wide = with_builds(
        wide,
        before=tile_build(Rule.BEFORE, 0.1, **one_frame(6, "Light_a.fit")),
        rule_alone=tile_build(Rule.RULE_ALONE, 0.95, cleanup_enabled=True),
        patched=tile_build(),
    )
    zeros: dict[str, object] = {"verdict": MasterVerdict.EMPTY, "valid_pixels": 0, "medians": (None, None, None)}
    turning = replace(tile_phase3(2, "ALT_AZ"), flags=(*names, RuleFlag(Rule.PATCHED, True)))
    turning = with_builds(
        turning,
        before=tile_build(Rule.BEFORE, 1.0, **zeros),
        rule_alone=tile_build(Rule.RULE_ALONE, 0.025, cleanup_enabled=True, same_as=Rule.PATCHED),
        patched=tile_build(Rule.PATCHED, 0.025, cleanup_enabled=True),
    )
    run = replace(run_phase3(wide, turning), rules=BUNDLED_RULES, built=5)
    part = phase3_part(run)
    return replace(phase3_report(), parts=(part,), findings=find(source(12, tiles=2), part))


def phase3_zemosaic_report() -> Report:
    """A ZeMosaic beside the patch: what it loses, pads, repeats, and how the pixels of a third tile compare."""
    theirs: dict[str, object] = {"padding_fraction": 0.57, "wcs_shift_px": 578.0, "cleanup_enabled": True}
    zeros: dict[str, object] = {"verdict": MasterVerdict.EMPTY, "valid_pixels": 0, "medians": (None, None, None)}
    flags = (RuleFlag(Rule.ZEMOSAIC, True), RuleFlag(Rule.PATCHED, False))
    light = one_frame(4, "Light_a.fit")
    lost = with_builds(
        replace(tile_phase3(1), flags=flags, zemosaic_unknown=True),
        before=None,
        zemosaic=tile_build(Rule.ZEMOSAIC, 0.1, **light, **theirs, frames=4, repeated_to=5, pointed=4),
        patched=tile_build(),
    )
    empty = with_builds(
        replace(tile_phase3(2), flags=flags, zemosaic_unknown=True),
        before=None,
        zemosaic=tile_build(Rule.ZEMOSAIC, 1.0, **zeros, **theirs),
        patched=tile_build(),
    )
    alike = with_builds(
        replace(
            tile_phase3(3),
            flags=tuple(RuleFlag(rule, False) for rule in (Rule.ZEMOSAIC, Rule.PATCHED)),
            comparison=PixelComparison(
                pixels=14_400, slope=1.053, constant=-438.0, median_difference=4.2, sky_noise=17.6
            ),
        ),
        before=None,
        zemosaic=tile_build(Rule.ZEMOSAIC, 0.0, padding_fraction=0.57, wcs_shift_px=578.0),
        patched=tile_build(),
    )
    run = replace(
        run_phase3(lost, empty, alike),
        rules=ZEMOSAIC_RULES,
        zemosaic="ZeMosaic git 271f109, like 2026-04; run by Python 3.11.7, named by --python",
        settings="plain",
        built=6,
        copied=0,
    )
    part = phase3_part(run)
    return replace(phase3_report(), parts=(part,), findings=find(source(12, tiles=3), part))


def phase3_planned_report() -> Report:
    report = phase3_report()
    planned = report.result("phase3")
    tiles = tuple(with_builds(replace(tile, picture=None), before=None, patched=None) for tile in planned.tiles)
    run = replace(planned, tiles=tiles, dry_run=True, built=0, copied=0)
    return replace(with_result(report, phase3=run), findings=())


def phase3_trouble_report() -> Report:
    """A disk that became full: one tile failed, one was not reached, frames went to a retry tile."""
    failed = tile_build(file=None, verdict=None, pixels=0, blank_pixels=0, valid_pixels=0, medians=(), error="no space")
    retried = replace(tile_phase3(4), retry_of=1, frames=2, name="panel_1, frames of tile 1 again")
    tiles = (
        with_builds(tile_phase3(1), patched=tile_build(not_placed=("a.fit", "b.fit"), dropped=("b.fit",), stacked=4)),
        with_builds(tile_phase3(2), before=None, patched=failed),
        with_builds(tile_phase3(3), before=None, patched=None),
        retried,
    )
    run = replace(run_phase3(*tiles), disk_full=True, no_pictures="pictures need Pillow")
    report = replace(phase3_report(), source=source(12, tiles=3), parts=(phase3_part(run),))
    return replace(report, findings=find(source(), phase3_part(run)))


def check_result(code: str = "ZC104", status: Status = Status.PASS, **changes: object) -> CheckResult:
    base = CheckResult(
        code=code,
        title="EQMODE is read as a number and as a text of one",
        requires=("R1",),
        status=status,
        reason="8 groups are right",
        evidence=(),
        remedy="Read int(value), else int(float(str(value).strip())), as the Qt filter does.",
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def run_checks(*results: CheckResult) -> RunChecks:
    return RunChecks(
        zemosaic="ZeMosaic git 1a1f979, like 2026-01, with the patch; run by Python 3.11.7, named by --python",
        before="git 7eda6f5",
        results=results,
        left_out=60,
        wall_s=61.2,
    )


def check_report() -> Report:
    failed = check_result(
        "ZC110",
        Status.FAIL,
        title="EQMODE is read in a header that is an astropy fits.Header",
        requires=("R1", "R15"),
        reason="2 of 5 cases are wrong",
        evidence=(
            "header fits.Header with EQMODE 1: UNKNOWN, not EQ",
            "header fits.Header with EQMODE 0: UNKNOWN, not ALT_AZ",
        ),
        remedy="Test for collections.abc.Mapping, or for a 'get', not for dict.",
    )
    skipped = check_result(
        "ZC201",
        Status.SKIP,
        title="The summary counts the modes of a run",
        requires=("R2",),
        reason="the decisions are made within the function of a whole run, which cannot be called by itself",
    )
    crashed = check_result("ZC303", Status.CRASH, title="Stacks are those of the reference", reason="KeyError: 'x'")
    others = (check_result(), check_result("ZC107", title="All spellings of a mode are read, in any case"))
    part = check_part(run_checks(*others, failed, skipped, crashed))
    made = replace(source(2, tiles=0), folder="zemosaic", grouped_by=Grouping.FILE, subject=Subject.MODULE)
    return report_of(part, command="check", source=made, findings=find(made, part))


def interrupted_report() -> Report:
    return replace(gating_report(), interrupted=True)


SAMPLES = {
    "gating": gating_report,
    "gating of a checkout": checkout_report,
    "parity": parity_report,
    "died": died_report,
    "in part": partial_report,
    "parity zemosaic": parity_zemosaic_report,
    "parity zemosaic in trouble": parity_zemosaic_trouble_report,
    "big": big_report,
    "nasty": nasty_report,
    "interrupted": interrupted_report,
    "masters": masters_report,
    "padded masters": padded_masters_report,
    "many masters": many_masters_report,
    "phase3": phase3_report,
    "phase3 by rules": phase3_rules_report,
    "phase3 of a checkout": phase3_zemosaic_report,
    "phase3 planned": phase3_planned_report,
    "phase3 in trouble": phase3_trouble_report,
    "check": check_report,
}
