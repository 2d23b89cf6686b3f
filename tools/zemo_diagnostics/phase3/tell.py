"""What the reports say of a run of Phase 3."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..masters.data import MasterVerdict
from ..reports.document import Column, Facts, Line, Row, Section, State, Table, Tone
from ..reports.levels import state_of
from ..reports.report import Levels
from ..wording import MISSING, fraction, human_bytes, number, on_off, plural
from .data import BEFORE, PATCHED, WIPED_FRACTION, BuildPlan, RunPhase3, TileBuild, TilePhase3

# What `phase3_cells` gives, and what `plan_cells` does in a dry run.
PHASE3_HEADS = (
    *("mode", "frames", "cleanup", "blank before", "blank after"),
    *("valid before", "valid after", "median before", "median after"),
)
PLAN_HEADS = ("mode", "frames", "cleanup before", "cleanup after", "built")

_ON_A_PAGE = 5  # what a terminal has room for; medians and the like stand beneath
_COLUMNS = tuple(Column(head=head, room=0 if i < _ON_A_PAGE else None) for i, head in enumerate(PHASE3_HEADS))
_PLAN_COLUMNS = tuple(Column(head=head) for head in PLAN_HEADS)


def tell(run: RunPhase3, levels: Levels) -> Section:
    """Tell a run of Phase 3, or what is planned."""
    tiles = Table(
        title="Tiles",
        noun="tile",
        columns=_PLAN_COLUMNS if run.dry_run else _COLUMNS,
        rows=tuple((_planned if run.dry_run else _built)(tile, run, levels) for tile in run.tiles),
        closing_title="What became of them",
        told_title="" if run.dry_run else "What became of each tile",
    )
    facts = Facts("Run", tuple(phase3_facts(run)))
    return Section(title="Phase 3 before and after the patch", verdict=phase3_verdict(run), blocks=(facts, tiles))


def _planned(tile: TilePhase3, run: RunPhase3, levels: Levels) -> Row:
    """Tell what is planned for a tile."""
    cells = plan_cells(tile, run)
    told = "; ".join(f"{head}: {cell}" for head, cell in zip(PLAN_HEADS, cells, strict=True))
    return Row(
        number=tile.tile_id,
        name=tile.name,
        state=state_of(tile.tile_id, levels),
        cells=cells,
        told=(Line(told),),
    )


def _built(tile: TilePhase3, _: RunPhase3, levels: Levels) -> Row:
    """Tell what became of a tile; one that was not reached is worth a note."""
    reached = tile.before or tile.patched or tile.tile_id in levels
    return Row(
        number=tile.tile_id,
        name=tile.name,
        state=state_of(tile.tile_id, levels) if reached else State.NOTE,
        cells=phase3_cells(tile),
        told=tuple(Line(sentence) for sentence in tile_sentences(tile)),
        beneath=tuple(Line(sentence, Tone.FAINT) for sentence in detail_sentences(tile)),
        closing=Line(verdict_sentence(tile)),
    )


def phase3_facts(run: RunPhase3) -> list[tuple[str, str]]:
    """Give the lines that are true of the whole run: (label, text)."""
    facts = [
        ("summary", run.summary_line),
        ("cleanup asked for", on_off(run.requested)),
        ("cleanup in effect", f"{on_off(run.effective)}: {run.reason}"),
    ]
    if run.log_message and PATCHED in run.rules:
        facts.append(("ZeMosaic logs", run.log_message))
        if not run.effective and any(tile.eqmode == "UNKNOWN" for tile in run.tiles):
            facts.append(("EQ-only means", "that no frame says ALT_AZ; tiles of mode UNKNOWN may be of either"))
    facts += [("masters", masters_words(run)), ("estimate", plan_words(run.plan))]
    return facts


def masters_words(run: RunPhase3) -> str:
    """Say how many masters there are, and where they come from."""
    rules = " and ".join(run.rules)
    if run.dry_run:
        kept = f", {run.kept} kept from an earlier run" if run.kept else ""
        return f"{rules}: {run.plan.masters} would be built{kept}; nothing was written"
    parts = [f"{run.built} built"]
    parts += [f"{run.copied} copied (the same flag under both rules)"] if run.copied else []
    parts += [f"{run.kept} kept from an earlier run"] if run.kept else []
    return f"{rules}: {', '.join(parts)}"


def plan_words(plan: BuildPlan) -> str:
    """Say what the run was expected to take."""
    if not plan.masters:
        return "nothing is left to build"
    return (
        f"{plural(plan.at_a_time, 'tile')} at a time; memory up to {human_bytes(plan.memory_bytes)} of "
        f"{human_bytes(plan.memory_limit_bytes)} ({plan.memory_limit_source}); disk up to "
        f"{human_bytes(plan.disk_bytes)} of {human_bytes(plan.disk_free_bytes)} free"
    )


def flags_words(tile: TilePhase3) -> str:
    """Give a tile's flag under both rules: "on -> off", or what both say."""
    before, after = on_off(tile.before_enabled), on_off(tile.patched_enabled)
    return before if before == after else f"{before} → {after}"


def blank_words(build: TileBuild | None) -> str:
    """Give the blank part of a master; why there is none."""
    if build is None:
        return MISSING
    if build.blank_fraction is None:
        return "failed"
    return fraction(build.blank_fraction)


def valid_words(build: TileBuild | None) -> str:
    """Give the valid part of a master."""
    return MISSING if build is None or build.valid_fraction is None else fraction(build.valid_fraction)


def median_words(build: TileBuild | None) -> str:
    """Give the medians of the channels, ADU: "812 / 795 / 780"."""
    if build is None or all(value is None for value in build.medians):
        return MISSING
    return " / ".join(_level(value) for value in build.medians)


def _level(value: float | None) -> str:
    """Give a number as `number` does, but those that cameras make without an exponent."""
    return f"{value:.0f}" if value is not None and 100 <= abs(value) < 1e7 else number(value)


def frames_words(tile: TilePhase3) -> str:
    """Say how many frames were stacked, of how many, and where others went: "18 of 20, 2 not placed"."""
    build = tile.patched or tile.before
    if build is None:
        return str(tile.frames)
    apart = ((len(build.not_placed), "not placed"), (len(build.unreadable), "unreadable"))
    return ", ".join([f"{build.stacked} of {build.frames}", *(f"{count} {what}" for count, what in apart if count)])


def phase3_cells(tile: TilePhase3) -> tuple[str, ...]:
    """Give a tile's cells, under `PHASE3_HEADS`."""
    return (
        tile.eqmode,
        frames_words(tile),
        flags_words(tile),
        blank_words(tile.before),
        blank_words(tile.patched),
        valid_words(tile.before),
        valid_words(tile.patched),
        median_words(tile.before),
        median_words(tile.patched),
    )


def plan_cells(tile: TilePhase3, run: RunPhase3) -> tuple[str, ...]:
    """Give a planned tile's cells, under `PLAN_HEADS`."""
    once = len(run.rules) == 1 or tile.before_enabled == tile.patched_enabled
    return (
        tile.eqmode,
        str(tile.frames),
        on_off(tile.before_enabled),
        on_off(tile.patched_enabled),
        "once" if once else "twice",
    )


def verdict_sentence(tile: TilePhase3) -> str:
    """Say what became of a tile: "tile 2 (EQ): 97 % blank before, 0.3 % after"."""
    return f"tile {tile.tile_id} ({tile.eqmode}): {_outcome(tile)}"


def _outcome(tile: TilePhase3) -> str:
    """Say how much of a tile is blank under each rule, or why it is not there."""
    failed = [build.error for build in (tile.patched, tile.before) if build and build.error]
    if failed:
        return f"failed: {failed[0]}"
    before, after = (build.blank_fraction if build else None for build in (tile.before, tile.patched))
    if before is not None and after is not None:
        if tile.same_bytes:
            return f"{fraction(after)} blank under both rules, the same file"
        return f"{fraction(before)} blank before, {fraction(after)} after"
    if before is not None:
        return f"{fraction(before)} blank before the patch"
    return "not built" if after is None else f"{fraction(after)} blank with the patch"


def tile_sentences(tile: TilePhase3) -> list[str]:
    """Tell a tile in sentences: what it comes to, its frames and flags, its masters one by one."""
    told = [verdict_sentence(tile), f"frames: {frames_words(tile)}; cleanup: {flags_words(tile)}"]
    return told + detail_sentences(tile)


def detail_sentences(tile: TilePhase3) -> list[str]:
    """Tell the masters of a tile one by one."""
    return [f"{rule}: {build_words(build)}" for rule, build in _builds(tile)]


def _builds(tile: TilePhase3) -> list[tuple[str, TileBuild]]:
    """Give the masters of a tile with their rules; one where they are the same file."""
    if tile.same_bytes and tile.patched:
        return [("before and patched", tile.patched)]
    return [(rule, build) for rule, build in ((BEFORE, tile.before), (PATCHED, tile.patched)) if build]


def build_words(build: TileBuild) -> str:
    """Give what one master holds."""
    if build.verdict is None:
        return f"failed: {build.error}"
    if build.verdict is MasterVerdict.EMPTY and median_words(build) == MISSING:
        return f"{build.verdict.value}, {blank_words(build)} blank"
    text = f"{build.verdict.value}, {valid_words(build)} valid, {blank_words(build)} blank"
    return f"{text}, median {median_words(build)} ADU"


def phase3_verdict(run: RunPhase3) -> str:
    """Say what the run comes to."""
    tiles: Sequence[TilePhase3] = run.tiles
    if run.dry_run:
        return f"{plural(len(tiles), 'tile')} planned, nothing was built"
    empty = sum(_is_empty_under_both(tile) for tile in tiles)
    wiped = sum(tile.before is not None and tile.before.wiped for tile in tiles) - empty
    lost = sum(tile.patched is not None and tile.patched.wiped for tile in tiles) - empty
    parts = []
    if BEFORE in run.rules:
        parts.append(f"wiped before the patch: {wiped}")
    if PATCHED in run.rules:
        parts.append(f"wiped after it: {lost}" if BEFORE in run.rules else f"wiped with the patch: {lost}")
    parts += [f"empty under both rules: {empty}"] if empty else []
    failed = sum(any(build and build.error for build in (tile.before, tile.patched)) for tile in tiles)
    parts += [f"failed: {failed}"] if failed else []
    return f"{plural(len(tiles), 'tile')}; {', '.join(parts)}"


def places_words(run: RunPhase3, output: Path, log: str) -> list[str]:
    """Say where masters, pictures and the log of a run are: in the folder as it was named, or by its name alone."""
    if run.dry_run:
        return []
    if output.is_absolute() or ".." in output.parts:  # a full path tells more than it need
        output = Path(output.resolve().name)
    builds = {BEFORE: [tile.before for tile in run.tiles], PATCHED: [tile.patched for tile in run.tiles]}
    rules = [rule for rule in run.rules if any(build and build.file for build in builds[rule])]
    pictures = sorted({str(output / Path(tile.picture).parent) for tile in run.tiles if tile.picture})
    found = (
        ("Masters", [str(output / rule) for rule in rules]),
        ("Pictures", pictures),
        ("Log", [str(output / log)]),
    )
    return [f"{what}: {', '.join(where)}" for what, where in found if where]


def _is_empty_under_both(tile: TilePhase3) -> bool:
    """Tell whether both masters are as good as empty, and not for the cleanup: the lights hold no signal."""
    before, after = tile.before, tile.patched
    if not (before and before.wiped and after and after.wiped):
        return False
    # The cleanup writes NaN; lights without signal leave zeros.
    cleaned = after.cleanup_enabled and not after.mask_dropped
    return not (cleaned and 1.0 - (after.valid_fraction or 0.0) >= WIPED_FRACTION)
