"""What the reports say of master tiles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..reports.document import Column, Line, Row, Section, State, Table, Tone
from ..reports.levels import state_of
from ..reports.report import Levels
from ..wording import MISSING, fraction, number, plural
from .data import MasterVerdict, OneFrame, RunMasters, TileMaster

# What `master_cells` gives.
MASTER_HEADS = ("size", "frames", "blank", "alpha")

_ORDER = (
    MasterVerdict.EMPTY,
    MasterVerdict.NEARLY,
    MasterVerdict.ONE_FRAME,
    MasterVerdict.PARTLY,
    MasterVerdict.FINE,
)

_STATES = {
    MasterVerdict.FINE: State.OK,
    MasterVerdict.ONE_FRAME: State.ERROR,
    MasterVerdict.PARTLY: State.WARNING,
    MasterVerdict.NEARLY: State.ERROR,
    MasterVerdict.EMPTY: State.ERROR,
}

# What stands behind a number of them, where that is not the verdict itself.
_COUNTED = {MasterVerdict.ONE_FRAME: "with one frame's light"}

_COLUMNS = (
    *(Column(head=head, right=head == "blank") for head in MASTER_HEADS),
    Column(head="median", room=None),
    Column(head="spread", room=None),
)


def tell(masters: RunMasters, levels: Levels) -> Section:
    """Tell the masters of a folder."""
    tiles = Table(
        title="Master tiles",
        noun="tile",
        columns=_COLUMNS,
        rows=tuple(_row(tile, levels) for tile in masters.tiles),
        told_title="What each master tile holds",
    )
    return Section(title="Master tiles", verdict=masters_verdict(masters), blocks=(tiles,))


def _row(tile: TileMaster, levels: Levels) -> Row:
    """Tell one master; what its samples hold stands beneath where it is not fine."""
    state = state_of(tile.tile_id, levels, _STATES[tile.verdict])
    beneath = [*_canvas_and_light(tile), levels_words(tile), *([] if state is State.OK else [samples_words(tile)])]
    return Row(
        number=tile.tile_id,
        name=tile.name,
        state=state,
        word=tile.verdict.value,
        cells=(*master_cells(tile), medians_words(tile), spreads_words(tile)),
        told=tuple(Line(sentence) for sentence in master_sentences(tile)),
        beneath=tuple(Line(text, Tone.FAINT) for text in beneath),
    )


def masters_verdict(masters: RunMasters) -> str:
    """Say how many masters are empty, nearly or partly so, and fine: "3 master tiles: 1 empty, 2 fine"."""
    if not masters.tiles and not masters.unreadable:
        return "no master tile was measured"
    counts = Counter(tile.verdict for tile in masters.tiles)
    told = [f"{counts[verdict]} {_COUNTED.get(verdict, verdict.value)}" for verdict in _ORDER if counts[verdict]]
    if masters.unreadable:
        told.insert(0, f"{len(masters.unreadable)} unreadable")
    return f"{plural(len(masters.tiles) + len(masters.unreadable), 'master tile')}: {', '.join(told)}"


def frames_words(tile: TileMaster) -> str:
    """Say how many frames were stacked, of how many: "18 of 20"."""
    stacked, raw = tile.cards.frames_stacked, tile.cards.frames_raw
    stacked = tile.cards.frames_aligned if stacked is None else stacked
    if stacked is None:
        return MISSING if raw is None else f"{raw} in the group"
    return str(stacked) if raw is None else f"{stacked} of {raw}"


def medians_words(tile: TileMaster) -> str:
    """Give the medians of the channels: "812 / 795 / 780 ADU"."""
    return _each_channel([levels.median for levels in tile.channels])


def spreads_words(tile: TileMaster) -> str:
    """Give the robust spreads of the channels."""
    return _each_channel([levels.spread for levels in tile.channels])


def _each_channel(values: Sequence[float | None]) -> str:
    """Give a number for each channel, with their unit; large ones without an exponent."""
    if all(value is None for value in values):
        return MISSING
    return f"{' / '.join(map(_level, values))} ADU"


def _level(value: float | None) -> str:
    """Give a number as `number` does, but those that cameras make without an exponent."""
    return f"{value:.0f}" if value is not None and 1000 <= abs(value) < 1e7 else number(value)


def master_cells(tile: TileMaster) -> tuple[str, str, str, str]:
    """Give a master's cells, under `MASTER_HEADS`."""
    size = " × ".join(map(str, tile.shape))
    blank = f"{fraction(tile.blank_fraction)}{' within' if tile.padding else ''}"
    return size, frames_words(tile), blank, alpha_words(tile)


def padding_words(tile: TileMaster) -> str:
    """Say how much of a canvas is padding, and of the rest blank; empty where it is not padded."""
    if tile.padding is None:
        return ""
    size = f"{tile.padding.height} × {tile.padding.width}"
    return f"{fraction(tile.padding.fraction)} padding, {fraction(tile.blank_fraction)} blank within ({size})"


def light_words(tile: TileMaster) -> str:
    """Say how a master compares with its reference frame; empty where it was not compared."""
    one = tile.one_frame
    if one is None:
        return ""
    if one.is_one_frame:
        return f"one frame's light: the reference frame × {one.scale:.3g}; left over: {_left(one)} of its noise"
    return f"against the reference frame: {_left(one)} of its noise is left over, as in a stack of several"


def _left(one: OneFrame) -> str:
    """Give what is left over, in units of the reference's noise."""
    return "less than 0.001" if one.residual_ratio < 0.001 else f"{one.residual_ratio:.2g}"


def _canvas_and_light(tile: TileMaster) -> list[str]:
    """Tell of padding, of the constant that stands for nothing, and of the reference frame, what there is."""
    fill = f"the constant {_each_channel(tile.fill)} stands for nothing" if tile.fill else ""
    return [words for words in (padding_words(tile), fill, light_words(tile)) if words]


def levels_words(tile: TileMaster) -> str:
    """Give medians and spreads."""
    return f"median {medians_words(tile)}, spread {spreads_words(tile)}"


def samples_words(tile: TileMaster) -> str:
    """Say which parts of the samples are finite, 0 and negative."""
    parts = ((tile.finite, "finite"), (tile.zero, "zero"), (tile.negative, "negative"))
    return "samples: " + ", ".join(f"{fraction(count / tile.samples)} {name}" for count, name in parts)


def alpha_words(tile: TileMaster) -> str:
    """Say how alpha and pixels agree."""
    if tile.alpha is None:
        return "unusable" if tile.alpha_problem else "none"
    if tile.alpha.disagreeing:
        return f"{fraction(tile.alpha.disagreeing / tile.pixels)} off"
    return "agrees"


def master_sentences(tile: TileMaster) -> list[str]:
    """Tell a master in sentences: size and frames, levels, samples and alpha."""
    size, frames, blank, alpha = master_cells(tile)
    return [
        f"{size}; frames: {frames}; blank: {blank}; alpha: {alpha}",
        *_canvas_and_light(tile),
        levels_words(tile),
        samples_words(tile),
        *([f"likely cause: {tile.cause}"] if tile.cause else []),
    ]
