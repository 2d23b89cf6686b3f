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
from ..zemosaic.checkout import Presence
from .data import (
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
# What the reference is called beside each of the others.
_PAIR = ("full frame", "chunked")

_DIED_WORDS = {RunStatus.RAISED: "failed", RunStatus.KILLED: "killed", RunStatus.TIMED_OUT: "timed out"}

_COLUMNS = (
    Column(head="frames", right=True),
    Column(head="differing", room=None),
    Column(head="full frame", right=True),
    Column(head="chunked", right=True),
    Column(head="ratio", right=True),
)
_ZEMOSAIC_COLUMN = Column(head="ZeMosaic's", room=None)
_RUN_COLUMNS = (Column(head="peak memory"), *(Column(head=head, right=True) for head in RUN_HEADS))


def tell(parity: RunParity, levels: Levels) -> Section:
    """Tell the parity of a run."""
    zemosaic = parity.zemosaic
    tiles = Table(
        title="Tiles",
        noun="tile",
        columns=(*_COLUMNS, _ZEMOSAIC_COLUMN) if zemosaic else _COLUMNS,
        rows=tuple(_row(tile, levels, zemosaic) for tile in parity.tiles),
        note="full frame, chunked: peak memory over the baseline",
        told_title="Each tile's runs and comparison",
    )
    facts = (Facts("ZeMosaic", tuple(zemosaic_facts(zemosaic))),) if zemosaic else ()
    blocks = (*facts, Facts("Memory", tuple(parity_facts(parity))), tiles)
    verdict = _verdict(parity) + (f"; {_zemosaic_verdict(parity, zemosaic)}" if zemosaic else "")
    return Section(title="Parity of the full-frame and the chunked stack", verdict=verdict, blocks=blocks)


def _row(tile: TileParity, levels: Levels, zemosaic: ZemosaicKappa | None) -> Row:
    """Tell one tile."""
    state, word = _state(tile, levels)
    theirs = [_zemosaic_words(tile)] if zemosaic else []
    peaks = peak_cells(tile)
    return Row(
        number=tile.tile_id,
        name=tile.name,
        state=state,
        word=word,
        cells=(str(tile.used), difference_cell(tile), *peaks, *theirs),
        told=(Line(peaks_words(tile), Tone.FAINT), *(Line(f"ZeMosaic's: {words}") for words in theirs)),
        details=tuple(_details(tile)),
    )


def _state(tile: TileParity, levels: Levels) -> tuple[State, str]:
    """Give the mark and the word of a tile; a variant that died comes before the verdict."""
    died = [_DIED_WORDS[run.status] for run in tile.runs if run.status in _DIED_WORDS]
    if died:
        return State.ERROR, died[0]
    word, state = verdict_words(tile), _VERDICT_STATES[tile.verdict]
    if state in (State.OK, State.NOTE) and any(_stands_out(tile, theirs) for theirs in tile.zemosaic):
        word += f"; ZeMosaic's {_zemosaic_words(tile)}"
    return state_of(tile.tile_id, levels, state), word


def _details(tile: TileParity) -> Iterator[Line | Grid | Details]:
    """Tell one tile at length: what was stacked, both runs, how they compare, frames apart."""
    yield Line(parity_settings(tile))
    ratio = ratio_sentence(tile) if tile.compared_runs() else ""
    runs = [_run(run, run_name(run, tile)) for run in tile.runs]
    runs += [_run(theirs.run, zemosaic_run_name(theirs, tile)) for theirs in tile.zemosaic]
    yield Grid(columns=_RUN_COLUMNS, rows=tuple(runs), note=ratio)
    if tile.comparison:
        yield from (Line(line) for line in comparison_lines(tile.comparison))
    for theirs in tile.zemosaic:
        if theirs.comparison:
            name = zemosaic_name(theirs.run)
            lines = comparison_lines(theirs.comparison, ("ours", "theirs"))
            same = theirs.comparison.verdict is Verdict.IDENTICAL
            yield from (Line(f"{name}: {line}") for line in (lines[:1] if same else lines))
    for title, files in (("left out", tile.left_out), ("no signal", tile.no_signal)):
        if files:
            yield Details(title=title, noun="frame", groups=tuple((_file_line(file),) for file in files))


def _run(run: VariantRun, name: str) -> GridRow:
    """Tell one run; one that did not end well has no cells."""
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


def zemosaic_facts(zemosaic: ZemosaicKappa) -> Iterator[tuple[str, str]]:
    """Give what a ZeMosaic has, how it was got, and what it makes of weights for each pixel: (label, text)."""
    got = {theirs.function: theirs for theirs in zemosaic.pixel_weights}
    for function in zemosaic.functions:
        yield f"their {_VARIANT_WORDS[function.variant]}", _function_words(function, got.get(function.name))
    if got:
        answers = (f"{_VARIANT_WORDS[theirs.run.variant]}: {_answer_words(theirs)}" for theirs in got.values())
        yield "weights (H, W, C)", "; ".join(answers)


def _function_words(function: ZemosaicFunction, theirs: ZemosaicRun | None) -> str:
    """Say of a function whether it is there, and how it was got."""
    if function.presence is Presence.ABSENT:
        return "absent: cannot be judged"
    if function.presence is not Presence.PRESENT:
        return function.told
    if theirs is None or theirs.rung is None:
        return f"{function.name}, which could not be got"
    if theirs.rung is Rung.LIFTED:
        return f"{function.name}, lifted from its source"
    return f"{function.name}, its module imported from a copy: it cannot be lifted ({theirs.not_lifted})"


def _answer_words(theirs: ZemosaicRun) -> str:
    """Say what a function makes of weights for each pixel."""
    if theirs.run.status is RunStatus.RAISED:
        return f"refused ({theirs.run.detail})"
    if theirs.run.status is not RunStatus.OK:
        return ended_words(theirs.run)
    return f"taken, {theirs.comparison.detail if theirs.comparison else 'not compared'}"


def _zemosaic_verdict(parity: RunParity, zemosaic: ZemosaicKappa) -> str:
    """Say what the comparisons of each function of a ZeMosaic come to."""
    told = []
    for function in zemosaic.functions:
        runs = [(tile, one) for tile in parity.tiles for one in tile.zemosaic if one.function == function.name]
        outcomes = Counter(_outcome(tile, theirs) for tile, theirs in runs)
        words = ", ".join(f"{outcome} on {plural(count, 'tile')}" for outcome, count in outcomes.items())
        if function.presence is not Presence.PRESENT:
            words = function.presence.value
        elif len(outcomes) == 1:
            words = next(iter(outcomes))
        told.append(f"ZeMosaic's {_VARIANT_WORDS[function.variant]}: {words or 'not compared'}")
    return "; ".join(told)


def zemosaic_name(run: VariantRun) -> str:
    """Name a stack of a ZeMosaic by ours that it is the like of."""
    return f"ZeMosaic's {_VARIANT_WORDS[run.variant]}"


def _outcome(tile: TileParity, theirs: ZemosaicRun) -> str:
    """Give what became of a stack of a ZeMosaic in a word."""
    if theirs.run.status in _DIED_WORDS:
        return "weights refused" if theirs.refuses_weights else _DIED_WORDS[theirs.run.status]
    if theirs.run.status is RunStatus.SKIPPED:
        return "not run"
    return tile.verdict_of(theirs).value


def _stands_out(tile: TileParity, theirs: ZemosaicRun) -> bool:
    """Tell whether a stack of a ZeMosaic is not as good as ours."""
    return tile.verdict_of(theirs) is not tile.verdict


def _zemosaic_words(tile: TileParity) -> str:
    """Give what became of the stacks of a ZeMosaic on a tile, as a phrase."""
    outcomes = {_VARIANT_WORDS[theirs.run.variant]: _outcome(tile, theirs) for theirs in tile.zemosaic}
    if len(outcomes) > 1 and len(set(outcomes.values())) == 1:
        return f"both {next(iter(outcomes.values()))}"
    return ", ".join(f"{name} {outcome}" for name, outcome in outcomes.items()) or MISSING


def parity_facts(parity: RunParity) -> list[tuple[str, str]]:
    """Give the lines that are true of the whole run: (label, text)."""
    facts = [
        ("limit", f"{human_bytes(parity.memory_limit_bytes)} ({parity.memory_limit_source})"),
        ("need estimated as", parity.memory_formula),
    ]
    runs = [run for tile in parity.tiles for run in (*tile.runs, *(theirs.run for theirs in tile.zemosaic))]
    methods = dict.fromkeys(run.memory_method for run in runs if run.memory_method)
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
    return _with_rows(_VARIANT_WORDS[run.variant], run, tile)


def zemosaic_run_name(theirs: ZemosaicRun, tile: TileParity) -> str:
    """Name a run of a ZeMosaic in the same way."""
    return _with_rows(zemosaic_name(theirs.run), theirs.run, tile)


def _with_rows(name: str, run: VariantRun, tile: TileParity) -> str:
    rows = rows_words(run.rows, tile)
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


def comparison_lines(comparison: Comparison, names: tuple[str, str] = _PAIR) -> list[str]:
    """Tell a comparison in sentences: shape and NaN places before values, as far as there is something to tell."""
    lines = [comparison.detail] if comparison.detail else []
    lines += _layout_lines(comparison, names)
    if comparison.differing:
        lines += _difference_lines(comparison)
    if comparison.rejected_pct[0] != comparison.rejected_pct[1]:
        # With every digit: they may differ in the last one only.
        full, other = (f"{value!r} %" for value in comparison.rejected_pct)
        lines.append(f"rejected: {names[0]} {full}, {names[1]} {other}")
    if comparison.all_rejected:
        lines.append(f"no frame's value was kept in {share(comparison.all_rejected, comparison.samples, 'samples')}")
    return lines


def _layout_lines(comparison: Comparison, names: tuple[str, str]) -> list[str]:
    """Tell shapes and dtypes, where they differ."""
    pairs = (("shape", comparison.shapes), ("dtype", comparison.dtypes))
    return [f"{what}: {names[0]} {a}, {names[1]} {b}" for what, (a, b) in pairs if a != b]


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
