"""Words and numbers of the reports, the same in every renderer: "1.2 GiB", "3 of 2000 (0.15 %)", "tiles 1, 5-9".

Nothing in here knows of columns, colours or Markdown; nothing computes what a result is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from .results import (
    Comparison,
    Finding,
    Level,
    ModeCounts,
    Report,
    RunGating,
    RunParity,
    RunStatus,
    TileGating,
    TileParity,
    VariantRun,
    Verdict,
)

MISSING = "n/a"

# Categories of characters that draw nothing, or that change how the text around them is drawn.
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

LEVEL_WORDS = {Level.ERROR: "error", Level.WARNING: "warning", Level.INFO: "note"}
VARIANT_WORDS = {"fullframe": "full frame", "chunked": "chunked"}


class State(Enum):
    """How a line of a report stands: the mark beside its word."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


_LEVEL_STATES = {Level.ERROR: State.ERROR, Level.WARNING: State.WARNING, Level.INFO: State.NOTE}
_VERDICT_STATES = {
    Verdict.IDENTICAL: State.OK,
    Verdict.WITHIN: State.WARNING,
    Verdict.DIFFERENT: State.ERROR,
    Verdict.NOT_COMPARED: State.WARNING,
}
_DIED = frozenset({RunStatus.RAISED, RunStatus.KILLED, RunStatus.TIMED_OUT})


def visible(text: str) -> str:
    r"""Show what draws nothing: control, bidi and half characters become ``\x1b``, ``\u202e``, ``\udcff``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode("ascii") if unicodedata.category(char) in _HIDDEN_CATEGORIES else char
        for char in text
    )


def plural(count: int, noun: str) -> str:
    """Give "1 tile", "3 tiles"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def on_off(flag: bool) -> str:
    """Give "on" or "off"."""
    return "on" if flag else "off"


def human_bytes(count: int | None) -> str:
    """Give an amount of memory with its unit: "1.2 GiB"."""
    if count is None:
        return MISSING
    size, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while size >= 1023.5 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.0f} {units[0]}" if units[0] == "B" or size >= 99.95 else f"{size:.1f} {units[0]}"


def duration(seconds: float | None) -> str:
    """Give a time with its unit: "0.42 s", "3 min 12 s"."""
    if seconds is None:
        return MISSING
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def number(value: float | None) -> str:
    """Give a number with three significant digits: "0.00012", "3"."""
    return MISSING if value is None else f"{value:.3g}"


def percent(value: float | None) -> str:
    """Give a percentage with four significant digits, none of them rounded away to nothing: "0.4123 %"."""
    return MISSING if value is None else f"{value:.4g} %"


def share(part: int, whole: int) -> str:
    """Give "3 of 2000 (0.15 %)"; a part is never called 0 % or 100 % unless it is."""
    if whole == 0 or part == 0:
        return f"{part} of {whole}"
    exact = 100 * part / whole
    shown = f"{exact:.2g}" if exact < 99 else f"{min(exact, 99.99):.4g}" if part < whole else "100"
    return f"{part} of {whole} ({shown} %)"


def ranges(ids: Iterable[int]) -> str:
    """Give "1, 3, 5-9" for a few or many numbers."""
    runs: list[list[int]] = []
    for number_ in sorted(set(ids)):
        if runs and number_ == runs[-1][1] + 1:
            runs[-1][1] = number_
        else:
            runs.append([number_, number_])
    return ", ".join(_range(first, last) for first, last in runs)


def _range(first: int, last: int) -> str:
    """Give one stretch of numbers; two neighbours are shorter with a comma."""
    if first == last:
        return str(first)
    return f"{first}, {last}" if last == first + 1 else f"{first}-{last}"


def first_few(items: Sequence[str], limit: int) -> str:
    """Give the first few, then "and 37 more"."""
    if len(items) <= limit:
        return ", ".join(items)
    return f"{', '.join(items[:limit])} and {len(items) - limit} more"


@dataclass(frozen=True)
class FindingGroup:
    """Findings of one code, told together.

    Attributes
    ----------
    code, level, title : str, Level, str
        As in each of them.
    tile_ids : tuple of int
        The tiles they are about; empty where they are about the run.
    messages, remedies, evidence : tuple of str
        Of all of them, in order, each once.
    """

    code: str
    level: Level
    title: str
    tile_ids: tuple[int, ...]
    messages: tuple[str, ...]
    remedies: tuple[str, ...]
    evidence: tuple[str, ...]

    @property
    def where(self) -> str:
        """The tiles in words: "tile 3", "12 tiles: 1, 3, 5-9"; empty for the run."""
        if not self.tile_ids:
            return ""
        if len(self.tile_ids) == 1:
            return f"tile {self.tile_ids[0]}"
        return f"{plural(len(self.tile_ids), 'tile')}: {ranges(self.tile_ids)}"


def group_findings(findings: Iterable[Finding]) -> tuple[FindingGroup, ...]:
    """Bring findings of the same code and level together, in the order of the first of each."""
    groups: dict[tuple[str, Level], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.code, finding.level), []).append(finding)
    return tuple(_group(members) for members in groups.values())


def _group(members: Sequence[Finding]) -> FindingGroup:
    """Make one group of findings that share a code and a level."""
    first = members[0]
    return FindingGroup(
        first.code,
        first.level,
        first.title,
        tuple(sorted({member.tile_id for member in members if member.tile_id is not None})),
        _messages(members),
        tuple(dict.fromkeys(member.remedy for member in members if member.remedy)),
        tuple(dict.fromkeys(item for member in members for item in member.evidence)),
    )


def _messages(members: Sequence[Finding]) -> tuple[str, ...]:
    """Give the messages, each once; where they differ from tile to tile, each with its tile."""
    messages = tuple(dict.fromkeys(member.message for member in members))
    if len(messages) == 1:
        return messages
    return tuple(_with_tile(member) for member in members)


def _with_tile(finding: Finding) -> str:
    """Give a message with the tile that it is about."""
    return finding.message if finding.tile_id is None else f"tile {finding.tile_id}: {finding.message}"


def shown_evidence(group: FindingGroup, messages: Sequence[str]) -> list[str]:
    """Give the evidence that the messages do not name themselves."""
    told = "\n".join(messages)
    return [item for item in group.evidence if item not in told]


def level_state(level: Level) -> State:
    """Give the mark of a finding."""
    return _LEVEL_STATES[level]


def tile_levels(findings: Iterable[Finding]) -> dict[int, Level]:
    """Give the worst level that any finding has on each tile."""
    order = [Level.INFO, Level.WARNING, Level.ERROR]
    worst: dict[int, Level] = {}
    for finding in findings:
        if finding.tile_id is not None:
            known = worst.get(finding.tile_id, Level.INFO)
            worst[finding.tile_id] = max(known, finding.level, key=order.index)
    return worst


def gating_state(tile: TileGating, levels: dict[int, Level]) -> State:
    """Give the mark of a tile's gating: what the findings say of it."""
    return _LEVEL_STATES[levels[tile.tile_id]] if tile.tile_id in levels else State.OK


def parity_state(tile: TileParity) -> tuple[State, str]:
    """Give the mark and the word of a tile's parity; a variant that died comes before the verdict."""
    if any(run.status in _DIED for run in tile.runs):
        return State.ERROR, "died"
    return _VERDICT_STATES[tile.verdict], tile.verdict.value


def report_state(exit_code: int, levels: Iterable[Level]) -> State:
    """Give the mark of the verdict."""
    if exit_code:
        return State.ERROR
    return State.WARNING if Level.WARNING in set(levels) else State.OK


def source_line(report: Report) -> str:
    """Say how many frames there are, in how many tiles, and how they were grouped."""
    source = report.source
    tiles = len(report.gating.tiles) if report.gating else len(report.parity.tiles) if report.parity else 0
    text = f"{plural(source.frames, 'frame')} in {plural(tiles, 'tile')}, grouped by {source.grouped_by}"
    if source.grouped_by == "all":
        text = f"{plural(source.frames, 'frame')}, all in one group"
    if source.files > source.frames:
        text += f"; {share(source.files - source.frames, source.files)} files hold no usable frame"
    return text


def versions_line(report: Report) -> str:
    """Name the versions that the report was made with."""
    env = report.environment
    return (
        f"zemo-diag {env.tool_version}, Python {env.python}, NumPy {env.numpy}, astropy {env.astropy}, "
        f"OpenCV {env.opencv}"
    )


def functions_line(report: Report) -> str:
    """Name the functions under test and the time of the report."""
    return f"functions under test: {report.environment.functions_under_test}; made {report.created_utc}"


def machine_line(report: Report) -> str:
    """Name the kind and the size of the machine."""
    env = report.environment
    cores = plural(env.cores, "core")
    return f"{env.system}, {env.machine}, {cores}, {human_bytes(env.memory_bytes)} of memory"


def option_words(report: Report) -> list[str]:
    """Give the options as they are typed or would be: "--kappa-low 3.0", "--altaz-cleanup on"."""
    return [_option(name, value) for name, value in report.options if value is not None]


def _option(name: str, value: str | int | float | bool | None) -> str:
    """Give one option; underscores of its name become hyphens."""
    shown = on_off(value) if isinstance(value, bool) else str(value)
    return f"--{name.lstrip('-').replace('_', '-')} {shown}"


def counts_words(counts: ModeCounts) -> str:
    """Give what the frames of a tile say: "18 EQ, 2 UNKNOWN"."""
    named = ((counts.eq, "EQ"), (counts.altaz, "ALT_AZ"), (counts.unknown, "UNKNOWN"), (counts.other, "other"))
    return ", ".join(f"{count} {name}" for count, name in named if count) or "no frames"


def gating_facts(gating: RunGating) -> list[tuple[str, str]]:
    """Give the lines that are true of the whole run: (label, text)."""
    facts = [
        ("summary", gating.summary_line),
        ("cleanup asked for", on_off(gating.requested)),
        ("cleanup in effect", f"{on_off(gating.effective)}: {gating.reason}"),
    ]
    if gating.log_message:
        facts.append(("ZeMosaic logs", gating.log_message))
    return facts


def cleanup_words(tile: TileGating) -> str:
    """Say what happens to a tile, and what the code before the patch did."""
    return f"cleanup {on_off(tile.tile_enabled)} (before the patch: {on_off(tile.before_enabled)})"


def parity_facts(parity: RunParity) -> list[tuple[str, str]]:
    """Give the lines that are true of the whole run: (label, text)."""
    limit = f"{human_bytes(parity.memory_limit_bytes)} ({parity.memory_limit_source})"
    return [("may be taken", limit), ("estimate", parity.memory_formula)]


def shape_words(shape: Sequence[int]) -> str:
    """Give a frame's shape, height first: "1920 × 1080 × 3"."""
    return " × ".join(str(length) for length in shape)


def parity_settings(tile: TileParity) -> str:
    """Say what was stacked, and how."""
    kind = ", debayered" if tile.debayered else ", raw mosaic" if tile.raw_mosaic else ""
    frames = f"{tile.used} of {plural(tile.frames, 'frame')}"
    kappa = f"kappa {tile.kappa_low:g} / {tile.kappa_high:g}"
    return f"{frames}, {shape_words(tile.shape)}{kind}; {kappa}, weights {tile.weights}"


def compared_runs(tile: TileParity) -> tuple[VariantRun, VariantRun] | None:
    """Find the two runs that the comparison is about: both variants, ended well, on the same rows."""
    ended = [run for run in tile.runs if run.status is RunStatus.OK]
    for full in ended:
        for chunked in ended:
            if (full.variant, chunked.variant) == ("fullframe", "chunked") and full.rows == chunked.rows:
                return full, chunked
    return None


def peak_ratio(tile: TileParity) -> float | None:
    """Give how many times the chunked stack's peak goes into the full frame's; None where either is unknown."""
    pair = compared_runs(tile)
    if pair is None or pair[0].peak_extra_bytes is None or not pair[1].peak_extra_bytes:
        return None
    return pair[0].peak_extra_bytes / pair[1].peak_extra_bytes


def ratio_words(tile: TileParity) -> str:
    """Say how the two peaks compare: "12.6 times"."""
    ratio = peak_ratio(tile)
    return MISSING if ratio is None else f"{ratio:.3g} times"


def ratio_sentence(tile: TileParity) -> str:
    """Say in a sentence how the two peaks compare."""
    ratio = peak_ratio(tile)
    if ratio is None:
        return "the peaks cannot be compared"
    if ratio < 1:
        return f"the chunked stack took {number(1 / ratio)} times the memory of the full frame"
    return f"the full frame took {number(ratio)} times the memory of the chunked stack"


def peak_cells(tile: TileParity) -> tuple[str, str, str]:
    """Give the peaks of the two runs that were compared, and their ratio."""
    pair = compared_runs(tile)
    if pair is None:
        return MISSING, MISSING, MISSING
    return human_bytes(pair[0].peak_extra_bytes), human_bytes(pair[1].peak_extra_bytes), ratio_words(tile)


def peaks_words(tile: TileParity) -> str:
    """Give the same as a phrase."""
    full, chunked, ratio = peak_cells(tile)
    return f"peak memory: full frame {full}, chunked {chunked}, ratio {ratio}"


def run_name(run: VariantRun, tile: TileParity) -> str:
    """Name a run: its variant, and its rows where it was not all of them."""
    name, rows = VARIANT_WORDS.get(run.variant, run.variant), rows_words(run, tile)
    return f"{name}, {rows}" if rows else name


RUN_HEADS = ("over baseline", "in all", "estimated", "time", "rejected")


def run_cells(run: VariantRun) -> tuple[str, str, str, str, str]:
    """Give what a run took, under `RUN_HEADS`: peak memory three ways, wall time, rejected."""
    return (
        human_bytes(run.peak_extra_bytes),
        human_bytes(run.peak_rss_bytes),
        human_bytes(run.estimated_bytes),
        duration(run.wall_s),
        percent(run.rejected_pct),
    )


def run_words(run: VariantRun) -> str:
    """Give the same as a phrase."""
    extra, peak, estimated, wall, rejected = run_cells(run)
    return f"peak {extra} over baseline, {peak} in all (estimated {estimated}), {wall}, {rejected} rejected"


def rows_words(run: VariantRun, tile: TileParity) -> str:
    """Say which rows were stacked; empty where it was all of them."""
    first, end = run.rows
    if not tile.shape or (first, end) == (0, tile.shape[0]):
        return ""
    return f"rows {first} to {end - 1} of {tile.shape[0]}"


def ended_words(run: VariantRun) -> str:
    """Say how a run ended that did not end well: "killed: SIGKILL, most likely out of memory"."""
    return f"{run.status.value}: {run.detail}" if run.detail else run.status.value


def memory_methods(tile: TileParity) -> str:
    """Name how the peaks were read."""
    return "; ".join(dict.fromkeys(run.memory_method for run in tile.runs if run.memory_method))


def comparison_lines(comparison: Comparison) -> list[str]:
    """Tell a comparison in sentences: shape and NaN places before values, as far as there is something to tell."""
    lines = [comparison.detail] if comparison.detail else []
    lines += _layout_lines(comparison)
    if comparison.differing:
        lines += _difference_lines(comparison)
    if comparison.rejected_pct[0] != comparison.rejected_pct[1]:
        full, chunked = (f"{value!r} %" for value in comparison.rejected_pct)
        lines.append(f"rejected: full frame {full}, chunked {chunked}")
    if comparison.all_rejected:
        lines.append(f"no frame's value was kept: {share(comparison.all_rejected, comparison.samples)} samples")
    return lines


def _layout_lines(comparison: Comparison) -> list[str]:
    """Tell shapes and dtypes, where they differ."""
    pairs = (("shape", comparison.shapes), ("dtype", comparison.dtypes))
    return [f"{what}: full frame {a}, chunked {b}" for what, (a, b) in pairs if a != b]


def _difference_lines(comparison: Comparison) -> list[str]:
    """Tell how many samples differ, by how much, and where."""
    lines = [f"differing: {share(comparison.differing, comparison.samples)} samples"]
    if comparison.nan_mismatches:
        lines.append(f"NaN on one side only: {share(comparison.nan_mismatches, comparison.samples)} samples")
    if comparison.max_abs is not None:
        ulps = "" if comparison.max_ulp is None else f" ({comparison.max_ulp} ULP)"
        lines.append(
            f"largest difference {number(comparison.max_abs)} ADU{ulps}, median {number(comparison.median_abs)} ADU, "
            f"tolerance {number(comparison.atol)} ADU"
        )
    if comparison.bounding_box is not None:
        y0, y1, x0, x1 = comparison.bounding_box
        lines.append(f"where: rows {y0} to {y1}, columns {x0} to {x1}")
    if comparison.first_places:
        axes = "[y, x, c]" if len(comparison.first_places[0]) == 3 else "[y, x]"
        places = ", ".join(str(list(place)) for place in comparison.first_places)
        lines.append(f"first places {axes}: {places}")
    return lines
