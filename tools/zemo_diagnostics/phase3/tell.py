"""What the reports say of a run of Phase 3."""

from __future__ import annotations

from pathlib import Path

from ..reports.document import Column, Facts, Line, Row, Section, State, Table, Tone
from ..reports.levels import state_of
from ..reports.report import Levels
from ..wording import MISSING, fraction, human_bytes, number, on_off, plural
from .data import BuildOutcome, BuildPlan, Rule, RunPhase3, TileBuild, TilePhase3, TileVerdict

# What a table's heads, sentences and verdict call each rule.
_SHORT = {Rule.ZEMOSAIC: "ZeMosaic", Rule.BEFORE: "before", Rule.RULE_ALONE: "rule alone", Rule.PATCHED: "after"}
_BLANK_HEADS = {
    Rule.ZEMOSAIC: "ZeMosaic",
    Rule.BEFORE: "blank before",
    Rule.RULE_ALONE: "rule alone",
    Rule.PATCHED: "blank after",
}
_IN_WORDS = {
    Rule.ZEMOSAIC: "by ZeMosaic",
    Rule.BEFORE: "before",
    Rule.RULE_ALONE: "by the rule alone",
    Rule.PATCHED: "after",
}
_NAMES = {
    Rule.ZEMOSAIC: "ZeMosaic",
    Rule.BEFORE: "before",
    Rule.RULE_ALONE: "rule alone",
    Rule.PATCHED: "patched",
}


def tell(run: RunPhase3, levels: Levels) -> Section:
    """Tell a run of Phase 3, or what is planned."""
    heads = plan_heads(run) if run.dry_run else built_heads(run)
    # What a terminal has room for; valid parts and medians stand beneath.
    shown = len(heads) if run.dry_run else 3 + len(run.rules)
    tiles = Table(
        title="Tiles",
        noun="tile",
        columns=tuple(Column(head=head, room=_room(head) if i < shown else None) for i, head in enumerate(heads)),
        rows=tuple((_planned if run.dry_run else _built)(tile, run, levels) for tile in run.tiles),
        closing_title="What became of them",
        told_title="" if run.dry_run else "What became of each tile",
    )
    facts = Facts("Run", tuple(phase3_facts(run)))
    title = "Phase 3 by ZeMosaic and with the patch" if run.zemosaic else "Phase 3 before and after the patch"
    return Section(title=title, verdict=phase3_verdict(run), blocks=(facts, tiles))


def _room(head: str) -> int:
    """Give the width of a page from which a column is drawn; else what it says stands beneath."""
    return 80 if head == _SHORT[Rule.RULE_ALONE] else 0


def built_heads(run: RunPhase3) -> tuple[str, ...]:
    """Name what `built_cells` gives."""
    names = [_SHORT[rule] for rule in run.rules]
    heads = _BLANK_HEADS | ({Rule.PATCHED: "the patch"} if run.zemosaic else {})
    return (
        *("mode", "frames", "cleanup"),
        *(heads[rule] for rule in run.rules),
        *(f"valid {name}" for name in names),
        *(f"median {name}" for name in names),
    )


def plan_heads(run: RunPhase3) -> tuple[str, ...]:
    """Name what `plan_cells` gives."""
    return ("mode", "frames", *(f"cleanup {_SHORT[rule]}" for rule in run.rules), "built")


def _planned(tile: TilePhase3, run: RunPhase3, levels: Levels) -> Row:
    """Tell what is planned for a tile."""
    cells = plan_cells(tile, run)
    told = "; ".join(f"{head}: {cell}" for head, cell in zip(plan_heads(run), cells, strict=True))
    return Row(
        number=tile.tile_id,
        name=tile.name,
        state=state_of(tile.tile_id, levels),
        cells=cells,
        told=(Line(told),),
    )


def _built(tile: TilePhase3, run: RunPhase3, levels: Levels) -> Row:
    """Tell what became of a tile; one that was not reached is worth a note."""
    reached = tile.verdict is not TileVerdict.NOT_REACHED or tile.tile_id in levels
    return Row(
        number=tile.tile_id,
        name=tile.name,
        state=state_of(tile.tile_id, levels) if reached else State.NOTE,
        cells=built_cells(tile, run),
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
    if run.log_message and Rule.PATCHED in run.rules:
        facts.append(("ZeMosaic logs", run.log_message))
        if not run.effective and any(tile.eqmode == "UNKNOWN" for tile in run.tiles):
            facts.append(("EQ-only means", "that no frame says ALT_AZ; tiles of mode UNKNOWN may be of either"))
    if run.zemosaic:
        facts.append(("ZeMosaic", run.zemosaic))
        facts.append(("its settings", _SETTINGS_WORDS.get(run.settings, run.settings)))
        first = [tile.zemosaic for tile in run.tiles if tile.retry_of is None]
        pointed = sum(build.pointed for build in first if build)
        if pointed:
            facts.append(("frames", f"{pointed} without a WCS were handed over with one made of their pointing"))
    facts += [("masters", masters_words(run)), ("estimate", plan_words(run.plan))]
    return facts


def masters_words(run: RunPhase3) -> str:
    """Say how many masters there are, and where they come from."""
    rules = _listed([_NAMES[rule] for rule in run.rules])
    if run.dry_run:
        kept = f", {run.kept} kept from an earlier run" if run.kept else ""
        return f"{rules}: {run.plan.masters} would be built{kept}; nothing was written"
    parts = [f"{run.built} built"]
    flag = "the same flag under both rules" if len(run.rules) == 2 else "built the same under another rule"
    parts += [f"{run.copied} copied ({flag})"] if run.copied else []
    parts += [f"{run.kept} kept from an earlier run"] if run.kept else []
    return f"{rules}: {', '.join(parts)}"


def plan_words(plan: BuildPlan) -> str:
    """Say what the run was expected to take."""
    if not plan.masters:
        return "nothing is left to build"
    zemosaic = ""
    if plan.zemosaic_masters:
        zemosaic = f"; of these ZeMosaic's up to {human_bytes(plan.zemosaic_memory_bytes)}"
        zemosaic += f", {plural(plan.zemosaic_at_a_time, 'tile')} at a time"
    return (
        f"{plural(plan.at_a_time, 'tile')} at a time; memory up to {human_bytes(plan.memory_bytes)} of "
        f"{human_bytes(plan.memory_limit_bytes)} ({plan.memory_limit_source}){zemosaic}; disk up to "
        f"{human_bytes(plan.disk_bytes)} of {human_bytes(plan.disk_free_bytes)} free"
    )


def flags_words(tile: TilePhase3) -> str:
    """Give a tile's flag under all rules: "on → off", or what all say."""
    flags = [on_off(flag.cleanup_enabled) for flag in tile.flags if flag.rule is not Rule.RULE_ALONE]
    flags = flags or [on_off(flag.cleanup_enabled) for flag in tile.flags]
    return flags[0] if len(set(flags)) == 1 else " → ".join(flags)


def blank_words(build: TileBuild | None) -> str:
    """Give the blank part of a master, or what else became of it; why there is none."""
    if build is None:
        return MISSING
    if build.outcome is BuildOutcome.EMPTY:
        return "empty"
    if build.outcome is BuildOutcome.ONE_FRAME:
        return "one frame"
    return "failed" if build.blank_fraction is None else fraction(build.blank_fraction)


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
    builds = dict(tile.builds())
    build = builds.get(Rule.PATCHED) or next(iter(builds.values()), None)
    if build is None:
        return str(tile.frames)
    apart = ((len(build.not_placed), "not placed"), (len(build.unreadable), "unreadable"))
    return ", ".join([f"{build.stacked} of {build.frames}", *(f"{count} {what}" for count, what in apart if count)])


def built_cells(tile: TilePhase3, run: RunPhase3) -> tuple[str, ...]:
    """Give a tile's cells, under `built_heads`."""
    builds = [tile.build(rule) for rule in run.rules]
    return (
        *(tile.eqmode, frames_words(tile), flags_words(tile)),
        *(blank_words(build) for build in builds),
        *(valid_words(build) for build in builds),
        *(median_words(build) for build in builds),
    )


def plan_cells(tile: TilePhase3, run: RunPhase3) -> tuple[str, ...]:
    """Give a planned tile's cells, under `plan_heads`."""
    flags = [on_off(bool(tile.flag(rule))) for rule in run.rules]
    return (tile.eqmode, str(tile.frames), *flags, _TIMES.get(_ways(tile), "once"))


_TIMES = {1: "once", 2: "twice", 3: "three times"}
_SETTINGS_WORDS = {
    "default": "ZeMosaic's own defaults: winsorized rejection, weights by noise, a linear fit",
    "plain": "plain: kappa-sigma, no weights, no normalisation, as the patch stacks here",
}


def _ways(tile: TilePhase3) -> int:
    """Count the ways in which a tile is built: without cleanup all bundled rules do the same."""
    ways = {
        (flag.rule is Rule.ZEMOSAIC, flag.cleanup_enabled, flag.cleanup_enabled and flag.rule is Rule.BEFORE)
        for flag in tile.flags
    }
    return len(ways)


def verdict_sentence(tile: TilePhase3) -> str:
    """Say what became of a tile: "tile 2 (EQ): empty before, 97 % blank by the rule alone, 0.3 % blank after"."""
    return f"tile {tile.tile_id} ({tile.eqmode}): {_outcome(tile)}"


def _outcome(tile: TilePhase3) -> str:
    """Say what each way of building makes of a tile, or why it is not there."""
    builds = tile.builds()
    failed = [build.error for _, build in reversed(builds) if build.error]
    if failed:
        return f"failed: {failed[0] or MISSING}"
    if not builds:
        return "not built"
    if len(builds) > 1 and all(build.same_as for _, build in builds[:-1]):
        return f"{outcome_words(builds[-1][1])} under {'both' if len(builds) == 2 else 'all'} rules, the same file"
    told: list[str] = []
    for rule, build in builds:
        words = outcome_words(build)
        if told and told[-1].endswith(_IN_WORDS[Rule.RULE_ALONE]) and builds[-2][1].same_as is Rule.PATCHED:
            told[-1] += f" and {_IN_WORDS[rule]}"  # the same file
            continue
        told.append(f"{words.removesuffix(' blank') if ' blank ' in ''.join(told) else words} {_IN_WORDS[rule]}")
    return ", ".join(told)


def outcome_words(build: TileBuild) -> str:
    """Say what became of one master."""
    if build.outcome in (BuildOutcome.ONE_FRAME, BuildOutcome.EMPTY):
        return str(build.outcome.value)
    return f"{fraction(build.blank_fraction or 0.0)} blank"


def tile_sentences(tile: TilePhase3) -> list[str]:
    """Tell a tile in sentences: what it comes to, its frames and flags, its masters one by one."""
    told = [verdict_sentence(tile), f"frames: {frames_words(tile)}; cleanup: {flags_words(tile)}"]
    return told + detail_sentences(tile)


def detail_sentences(tile: TilePhase3) -> list[str]:
    """Tell the masters of a tile one by one, those that are copies of one together, and how two compare."""
    told: list[tuple[list[str], TileBuild]] = []
    for rule, build in tile.builds():
        copies = [one for one in tile.builds() if one[1].same_as is rule]
        if build.same_as is None or tile.build(build.same_as) is None:
            names = [name for one, name in _NAMES.items() if one is rule or one in [copy[0] for copy in copies]]
            told.append((names, build))
    sentences = [f"{_listed(names)}: {build_words(build)}" for names, build in told]
    return sentences + ([comparison_words(tile)] if tile.comparison else [])


def comparison_words(tile: TilePhase3) -> str:
    """Say how the pixels of both masters compare."""
    one = tile.comparison
    if one is None:
        return ""
    part = number(one.median_difference / one.sky_noise) if one.sky_noise else MISSING
    return (
        f"pixels of both, in the middle: slope {one.slope:.4f}, median difference {number(one.median_difference)} ADU "
        f"({part} of the sky noise of {number(one.sky_noise)} ADU), over {one.pixels:,} pixels, "
        f"{number(one.constant)} ADU taken off"
    )


def build_words(build: TileBuild) -> str:
    """Give what one master holds."""
    if build.verdict is None:
        return f"failed: {build.error}"
    padding = f"; {fraction(build.padding_fraction)} of it is padding" if build.padding_fraction else ""
    if build.outcome is BuildOutcome.EMPTY and median_words(build) == MISSING:
        return f"{build.verdict.value}, {fraction(build.blank_fraction or 0.0)} blank{padding}"
    blank = fraction(build.blank_fraction or 0.0)
    text = f"{build.verdict.value}, {valid_words(build)} valid, {blank} blank{padding}"
    if build.outcome is BuildOutcome.ONE_FRAME and build.one_frame:
        text = f"{build.outcome.value} ({number(build.one_frame.scale)} of {build.reference}), {blank} blank{padding}"
    return f"{text}, median {median_words(build)} ADU"


def phase3_verdict(run: RunPhase3) -> str:
    """Say what the run comes to."""
    tiles = run.tiles
    if run.dry_run:
        return f"{plural(len(tiles), 'tile')} planned, nothing was built"
    parts = [f"{_LOST_WORDS[rule]}: {_lost(run, rule)}" for rule in run.rules]
    dead = sum(tile.verdict is TileVerdict.DEAD for tile in tiles)
    parts += [f"empty under all rules: {dead}"] if dead else []
    failed = sum(tile.verdict is TileVerdict.FAILED for tile in tiles)
    parts += [f"failed: {failed}"] if failed else []
    return f"{plural(len(tiles), 'tile')}; {', '.join(parts)}"


_LOST_WORDS = {
    Rule.ZEMOSAIC: "lost by ZeMosaic",
    Rule.BEFORE: "lost before the patch",
    Rule.RULE_ALONE: "by its rule alone",
    Rule.PATCHED: "lost with the patch",
}


def _lost(run: RunPhase3, rule: Rule) -> int:
    """Count the tiles that a rule loses, but for those whose lights are dead."""
    alive = (tile for tile in run.tiles if tile.verdict is not TileVerdict.DEAD)
    return sum(build is not None and build.outcome.is_lost for build in (tile.build(rule) for tile in alive))


def places_words(run: RunPhase3, output: Path, log: str) -> list[str]:
    """Say where masters, pictures and the log of a run are: in the folder as it was named, or by its name alone."""
    if run.dry_run:
        return []
    if output.is_absolute() or ".." in output.parts:  # a full path tells more than it need
        output = Path(output.resolve().name)
    rules = [rule for rule in run.rules if any((build := tile.build(rule)) and build.file for tile in run.tiles)]
    pictures = sorted({str(output / Path(tile.picture).parent) for tile in run.tiles if tile.picture})
    found = (
        ("Masters", [str(output / rule) for rule in rules]),
        ("Pictures", pictures),
        ("Log", [str(output / log)]),
    )
    return [f"{what}: {', '.join(where)}" for what, where in found if where]


def _listed(names: list[str]) -> str:
    """Give "a, b and c"."""
    return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), names[-1]])
