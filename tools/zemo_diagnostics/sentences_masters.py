"""What the reports say of master tiles, the same in every renderer: cells and sentences, without any layout."""

from __future__ import annotations

from collections import Counter

from .results_masters import MasterVerdict, RunMasters, TileMaster
from .wording import MISSING, fraction, number, plural

# What `master_cells` gives.
MASTER_HEADS = ("size", "frames", "blank", "median", "spread")

_ORDER = (MasterVerdict.EMPTY, MasterVerdict.PARTLY, MasterVerdict.FINE)


def masters_verdict(masters: RunMasters) -> str:
    """Say how many masters are empty, partly empty and fine: "3 master tiles: 1 empty, 2 fine"."""
    counts = Counter(tile.verdict for tile in masters.tiles)
    told = [f"{counts[verdict]} {verdict.value}" for verdict in _ORDER if counts[verdict]]
    if masters.unreadable:
        told.insert(0, f"{len(masters.unreadable)} unreadable")
    return f"{plural(len(masters.tiles) + len(masters.unreadable), 'master tile')}: {', '.join(told) or 'none'}"


def frames_words(tile: TileMaster) -> str:
    """Say how many frames were stacked, of how many: "18 of 20"."""
    stacked, raw = tile.cards.frames_stacked, tile.cards.frames_raw
    stacked = tile.cards.frames_aligned if stacked is None else stacked
    if stacked is None:
        return MISSING if raw is None else f"{raw} in the group"
    return str(stacked) if raw is None else f"{stacked} of {raw}"


def medians_words(tile: TileMaster) -> str:
    """Give the medians of the channels: "812 / 795 / 780"."""
    return " / ".join(number(levels.median) for levels in tile.channels)


def spreads_words(tile: TileMaster) -> str:
    """Give the robust spreads of the channels."""
    return " / ".join(number(levels.spread) for levels in tile.channels)


def master_cells(tile: TileMaster) -> tuple[str, str, str, str, str]:
    """Give a master's cells, under `MASTER_HEADS`."""
    size = " × ".join(map(str, tile.shape))
    return size, frames_words(tile), fraction(tile.blank_fraction), medians_words(tile), spreads_words(tile)


def samples_words(tile: TileMaster) -> str:
    """Say which parts of the samples are finite, 0 and negative, and what alpha says."""
    parts = ((tile.finite, "finite"), (tile.zero, "zero"), (tile.negative, "negative"))
    told = ", ".join(f"{fraction(count / tile.samples)} {name}" for count, name in parts)
    return f"samples: {told}; {alpha_words(tile)}"


def alpha_words(tile: TileMaster) -> str:
    """Say how alpha and pixels agree."""
    if tile.alpha is None:
        return "alpha cannot be used" if tile.alpha_problem else "no alpha"
    if tile.alpha.disagreeing:
        return f"alpha disagrees in {fraction(tile.alpha.disagreeing / tile.pixels)} of the pixels"
    return "alpha agrees"


def master_sentences(tile: TileMaster) -> list[str]:
    """Tell a master in sentences: size and frames, levels, samples and alpha."""
    size, frames, blank, medians, spreads = master_cells(tile)
    return [
        f"{size}, frames {frames}, {blank} blank",
        f"median {medians} ADU, spread {spreads} ADU",
        samples_words(tile),
        *([f"likely cause: {tile.cause}"] if tile.cause else []),
    ]
