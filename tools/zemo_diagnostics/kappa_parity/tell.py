"""What the reports say of the full-frame and the chunked stack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ..errors import UnusableFile
from ..machine.child_process import RunStatus
from ..reports.document import Column, Details, Facts, Grid, GridRow, Line, Row, Section, State, Table, Tone
from ..reports.levels import state_of
from ..reports.report import Levels
from ..wording import MISSING, duration, human_bytes, number, percent, plural, share
from .data import Comparison, RunParity, TileParity, Variant, VariantRun, Verdict

_VARIANT_WORDS = {
    Variant.INSPECT: "reading the frames",
    Variant.FULL_FRAME: "full frame",
    Variant.CHUNKED: "chunked",
}

# What `run_cells` gives.
RUN_HEADS = ("over baseline", "in all", "estimated", "time", "rejected")

_VERDICT_STATES = {
    Verdict.IDENTICAL: State.OK,
    Verdict.IN_PART: State.NOTE,
    Verdict.WITHIN: State.WARNING,
    Verdict.DIFFERENT: State.ERROR,
    Verdict.NOT_COMPARED: State.WARNING,
}
_DIED_WORDS = {RunStatus.RAISED: "failed", RunStatus.KILLED: "killed", RunStatus.TIMED_OUT: "timed out"}

_COLUMNS = (
    Column(head="frames", right=True),
    Column(head="differing", room=None),
    Column(head="full frame", right=True),
    Column(head="chunked", right=True),
    Column(head="ratio", right=True),
)
_RUN_COLUMNS = (Column(head="peak memory"), *(Column(head=head, right=True) for head in RUN_HEADS))


def tell(parity: RunParity, levels: Levels) -> Section:
    """Tell the parity of a run."""
    tiles = Table(
        title="Tiles",
        noun="tile",
        columns=_COLUMNS,
        rows=tuple(_row(tile, levels) for tile in parity.tiles),
        note="full frame, chunked: peak memory over the baseline",
        told_title="Each tile's runs and comparison",
    )
    title = "Parity of the full-frame and the chunked stack"
    return Section(title=title, verdict=_verdict(parity), blocks=(Facts("Memory", tuple(parity_facts(parity))), tiles))


def _row(tile: TileParity, levels: Levels) -> Row:
    """Tell one tile."""
    state, word = _state(tile, levels)
    peaks = peak_cells(tile)
    return Row(
        number=tile.tile_id,
        name=tile.name,
        state=state,
        word=word,
        cells=(str(tile.used), difference_cell(tile), *peaks),
        told=(Line(peaks_words(tile), Tone.FAINT),),
        details=tuple(_details(tile)),
    )


def _state(tile: TileParity, levels: Levels) -> tuple[State, str]:
    """Give the mark and the word of a tile; a variant that died comes before the verdict."""
    died = [_DIED_WORDS[run.status] for run in tile.runs if run.status in _DIED_WORDS]
    if died:
        return State.ERROR, died[0]
    return state_of(tile.tile_id, levels, _VERDICT_STATES[tile.verdict]), verdict_words(tile)


def _details(tile: TileParity) -> Iterator[Line | Grid | Details]:
    """Tell one tile at length: what was stacked, both runs, how they compare, frames apart."""
    yield Line(parity_settings(tile))
    ratio = ratio_sentence(tile) if tile.compared_runs() else ""
    yield Grid(columns=_RUN_COLUMNS, rows=tuple(_run(run, tile) for run in tile.runs), note=ratio)
    if tile.comparison:
        yield from (Line(line) for line in comparison_lines(tile.comparison))
    for title, files in (("left out", tile.left_out), ("no signal", tile.no_signal)):
        if files:
            yield Details(title=title, noun="frame", groups=tuple((_file_line(file),) for file in files))


def _run(run: VariantRun, tile: TileParity) -> GridRow:
    """Tell one run; one that did not end well has no cells."""
    name = run_name(run, tile)
    if run.status is RunStatus.OK:
        return GridRow(cells=(name, *run_cells(run)), told=Line(f"{name}: {run_words(run)}"))
    tone = Tone.PLAIN if run.status is RunStatus.SKIPPED else Tone.ALARM
    return GridRow(cells=(), told=Line(f"{name}: {ended_words(run)}", tone))


def _file_line(file: UnusableFile) -> str:
    """Give a file and why it is apart."""
    return f"{file.name}: {file.reason}"


def _verdict(parity: RunParity) -> str:
    """Name every outcome of the comparisons but "identical", or that one where there is no other."""
    died = sum(tile.died for tile in parity.tiles)
    outcomes = Counter(tile.verdict for tile in parity.tiles if not tile.died)
    whole = plural(len(parity.tiles), "tile")
    if 0 < outcomes[Verdict.IDENTICAL] == len(parity.tiles):
        return f"{Verdict.IDENTICAL.value}: {whole}, every bit the same"
    worst_first = [(one.value, outcomes[one]) for one in (Verdict.DIFFERENT, Verdict.NOT_COMPARED, Verdict.WITHIN)]
    told = [("a variant died", died), *worst_first, (_in_part(parity), outcomes[Verdict.IN_PART])]
    return ", ".join(f"{outcome}: {count} of {whole}" for outcome, count in told if count) or "nothing was compared"


def _in_part(parity: RunParity) -> str:
    """Say on which rows tiles are identical that were compared in part; not where these are of several kinds."""
    words = {verdict_words(tile) for tile in parity.tiles if tile.verdict is Verdict.IN_PART}
    return words.pop() if len(words) == 1 else "identical on some of their rows"


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
    name, rows = _VARIANT_WORDS[run.variant], rows_words(run.rows, tile)
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
