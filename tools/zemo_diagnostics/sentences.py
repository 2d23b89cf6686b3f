"""What the reports say of a result, the same in every renderer: facts, cells and sentences, without any layout."""

from __future__ import annotations

from collections.abc import Sequence

from .results import (
    Comparison,
    ModeCounts,
    Report,
    RunGating,
    RunParity,
    RunStatus,
    TileGating,
    TileParity,
    VariantRun,
)
from .wording import MISSING, counted, duration, human_bytes, number, on_off, percent, plural, share

# The label of the line that explains ZeMosaic's "EQ-only run".
EQ_ONLY = "EQ-only means"

VARIANT_WORDS = {"fullframe": "full frame", "chunked": "chunked", "inspect": "reading the frames"}

# What `run_cells` gives.
RUN_HEADS = ("over baseline", "in all", "estimated", "time", "rejected")


def source_line(report: Report) -> str:
    """Say how many frames there are, in how many tiles, and how they were grouped."""
    source = report.source
    if source.grouped_by == "file":
        left = source.files - source.frames
        text = plural(source.frames, "master tile")
        return f"{text}; no picture in {share(left, source.files, 'files')}" if left else text
    tiled = report.gating or report.parity
    tiles = len(tiled.tiles) if tiled else 0
    if report.phase3:
        tiles = sum(tile.retry_of is None for tile in report.phase3.tiles)
    text = f"{plural(source.frames, 'frame')} in {plural(tiles, 'tile')}, grouped by {source.grouped_by}"
    if source.grouped_by == "all":
        text = f"{plural(source.frames, 'frame')}, all in one group"
    if source.files > source.frames:
        text += f"; no usable frame in {share(source.files - source.frames, source.files, 'files')}"
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
    """Give the options that shaped the result: "kappa_low=3.0", "altaz_cleanup=on"."""
    shown = ((name, on_off(value) if isinstance(value, bool) else value) for name, value in report.options)
    return [f"{name}={value}" for name, value in shown if value is not None]


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
        if not gating.altaz and gating.unknown:
            silent = counted(gating.unknown, "frame", "does not say its mode", "do not say their mode")
            facts.append((EQ_ONLY, f"that no frame says ALT_AZ: {silent}, and may be of either"))
    return facts


def cleanup_words(tile: TileGating) -> str:
    """Say what happens to a tile, and what the code before the patch did."""
    return f"cleanup {on_off(tile.tile_enabled)} (before the patch: {on_off(tile.before_enabled)})"


def parity_facts(parity: RunParity) -> list[tuple[str, str]]:
    """Give the lines that are true of the whole run: (label, text)."""
    facts = [
        ("limit", f"{human_bytes(parity.memory_limit_bytes)} ({parity.memory_limit_source})"),
        ("need estimated as", parity.memory_formula),
    ]
    methods = dict.fromkeys(run.memory_method for tile in parity.tiles for run in tile.runs if run.memory_method)
    return [*facts, ("peaks read from", "; ".join(methods))] if methods else facts


def shape_words(shape: Sequence[int]) -> str:
    """Give a frame's shape, height first: "1920 × 1080 × 3"."""
    return " × ".join(str(length) for length in shape)


def parity_settings(tile: TileParity) -> str:
    """Say what was stacked, and how."""
    kind = ", debayered" if tile.debayered else ", raw mosaic" if tile.raw_mosaic else ""
    frames = f"{tile.used} of {plural(tile.frames, 'frame')}"
    if tile.set_aside:
        frames += f" ({tile.set_aside} set aside by --max-frames)"
    kappa = f"kappa {tile.kappa_low:g}/{tile.kappa_high:g}"
    return f"{frames}, {shape_words(tile.shape)}{kind}; {kappa}, weights {tile.weights}"


def ratio_words(tile: TileParity) -> str:
    """Say how the two peaks compare: "12.6 times"."""
    ratio = tile.peak_ratio
    return MISSING if ratio is None else f"{ratio:.3g} times"


def ratio_sentence(tile: TileParity) -> str:
    """Say in a sentence how the two peaks compare."""
    ratio = tile.peak_ratio
    if ratio is None:
        return "the frames are too small for the two peaks to tell anything"
    if ratio < 1:
        return f"the chunked stack took {number(1 / ratio)} times the memory of the full frame"
    return f"the full frame took {number(ratio)} times the memory of the chunked stack"


def peak_cells(tile: TileParity) -> tuple[str, str, str]:
    """Give the peaks of the two runs that were compared, and their ratio."""
    pair = tile.compared_runs()
    if pair is None:
        return MISSING, MISSING, MISSING
    return human_bytes(pair[0].peak_extra_bytes), human_bytes(pair[1].peak_extra_bytes), ratio_words(tile)


def peaks_words(tile: TileParity) -> str:
    """Give the same as a phrase."""
    full, chunked, ratio = peak_cells(tile)
    return f"peak memory: full frame {full}, chunked {chunked}, ratio {ratio}"


def run_name(run: VariantRun, tile: TileParity) -> str:
    """Name a run: its variant, and its rows where it was not all of them."""
    name, rows = VARIANT_WORDS.get(run.variant, run.variant), rows_words(run.rows, tile)
    return f"{name}, {rows}" if rows else name


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


def rows_words(rows: tuple[int, int], tile: TileParity) -> str:
    """Say which rows of a tile are meant; empty where it is all that were to be stacked, or none."""
    first, end = rows
    return "" if first == end or rows == tile.rows else f"rows {first} to {end - 1} of {tile.frame_rows}"


def verdict_words(tile: TileParity) -> str:
    """Give a tile's verdict, with the rows that it holds for where it is not for all."""
    if tile.comparison is None or tile.compared_rows is None or tile.whole:
        return tile.verdict.value
    return f"{tile.comparison.verdict.value} on {rows_words(tile.compared_rows, tile)}"


def run_sentences(tile: TileParity) -> list[str]:
    """Tell each run of a tile in a sentence, then how the peaks compare."""
    told = [
        f"{run_name(run, tile)}: {run_words(run) if run.status is RunStatus.OK else ended_words(run)}"
        for run in tile.runs
    ]
    return [*told, ratio_sentence(tile)] if tile.compared_runs() else told


def difference_cell(tile: TileParity) -> str:
    """Say how many samples differ, for a table's cell."""
    return share(tile.comparison.differing, tile.comparison.samples) if tile.comparison else MISSING


def ended_words(run: VariantRun) -> str:
    """Say how a run ended that did not end well: "killed by SIGKILL: most likely ...", "skipped: it needs ..."."""
    if run.detail.startswith(run.status.value):
        return run.detail
    return f"{run.status.value}: {run.detail}" if run.detail else run.status.value


def comparison_lines(comparison: Comparison) -> list[str]:
    """Tell a comparison in sentences: shape and NaN places before values, as far as there is something to tell."""
    lines = [comparison.detail] if comparison.detail else []
    lines += _layout_lines(comparison)
    if comparison.differing:
        lines += _difference_lines(comparison)
    if comparison.rejected_pct[0] != comparison.rejected_pct[1]:
        # With every digit: they may differ in the last one only.
        full, chunked = (f"{value!r} %" for value in comparison.rejected_pct)
        lines.append(f"rejected: full frame {full}, chunked {chunked}")
    if comparison.all_rejected:
        lines.append(f"no frame's value was kept in {share(comparison.all_rejected, comparison.samples, 'samples')}")
    return lines


def _layout_lines(comparison: Comparison) -> list[str]:
    """Tell shapes and dtypes, where they differ."""
    pairs = (("shape", comparison.shapes), ("dtype", comparison.dtypes))
    return [f"{what}: full frame {a}, chunked {b}" for what, (a, b) in pairs if a != b]


def _difference_lines(comparison: Comparison) -> list[str]:
    """Tell how many samples differ, by how much, and where."""
    lines = [f"differing: {share(comparison.differing, comparison.samples, 'samples')}"]
    if comparison.nan_mismatches:
        lines.append(f"NaN on one side only: {share(comparison.nan_mismatches, comparison.samples, 'samples')}")
    if comparison.max_abs is not None:
        lines.append(_size_line(comparison))
    if comparison.bounding_box is not None:
        y0, y1, x0, x1 = comparison.bounding_box
        lines.append(f"where: rows {y0} to {y1}, columns {x0} to {x1}")
    if comparison.first_places:
        axes = "[y,x,c]" if len(comparison.first_places[0]) == 3 else "[y,x]"
        places = ", ".join(f"[{','.join(map(str, place))}]" for place in comparison.first_places)
        lines.append(f"first places {axes}: {places}")
    return lines


def _size_line(comparison: Comparison) -> str:
    """Tell how large the differences are."""
    ulps = "" if comparison.max_ulp is None else f" ({comparison.max_ulp} ULP)"
    return (
        f"largest difference {number(comparison.max_abs)} ADU{ulps}, median {number(comparison.median_abs)} ADU, "
        f"tolerance {number(comparison.atol)} ADU"
    )
