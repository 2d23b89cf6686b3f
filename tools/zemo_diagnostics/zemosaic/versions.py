"""What the known versions of ZeMosaic do, as data: which mode a group has, whether a run and a tile are cleaned, how.

One `Version` each; pure functions read them. Each was held against the program itself, decision by decision; a version
is recognised by names and parameters, never by a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from numbers import Real
from typing import Any

import numpy as np

from .checkout import Checkout
from .entries import card, filter_mode
from .master_settings import MOST_PADDED_FRAMES
from .mount_mode import Mode

# An instrument whose name holds one of these is taken for a Seestar.
SEESTAR_TOKENS = ("seestar", "s30", "s50")


class Numbers(str, Enum):
    """Which values a version reads as a number, 1 for EQ and 0 for ALT_AZ; a text of a number always.

    Attributes
    ----------
    PYTHON
        Python's own int, float and bool. NumPy's float64 is a float of Python's, its integers are no int of Python's.
    ANY
        NumPy's too.
    """

    PYTHON = "python"
    ANY = "any"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a version reads a mode from one value.

    Attributes
    ----------
    numbers : Numbers
        Which values it takes for numbers.
    numbered_words : bool
        Whether ``EQMODE_<n>``, as grouping writes it, is read as the number n.
    text_alone : bool
        Whether nothing but text is read.
    """

    numbers: Numbers
    numbered_words: bool = False
    text_alone: bool = False


@dataclass(frozen=True, kw_only=True)
class Inference:
    """How a version infers the mode of a group.

    Attributes
    ----------
    entries : int
        How many entries are asked, from the first.
    places : tuple of (str, Reading)
        Keys of an entry, in the order of asking.
    headers : tuple of str
        Keys of an entry that hold a header, asked for ``EQMODE`` after those.
    header_reading : Reading
        How that is read.
    dicts_alone : bool
        Whether nothing but a plain dict is read: then the headers of Phase 1, ``fits.Header``, say nothing.
    """

    entries: int
    places: tuple[tuple[str, Reading], ...]
    headers: tuple[str, ...]
    header_reading: Reading
    dicts_alone: bool


class TileRule(str, Enum):
    """Which tiles of a run with cleanup are cleaned."""

    ALL = "all"
    ALT_AZ = "alt-az"
    ALT_AZ_OR_UNKNOWN = "alt-az, and unknown where the policy says so"


@dataclass(frozen=True, kw_only=True)
class Mask:
    """What a version does to the frames of a tile that is cleaned, and to all tiles.

    Attributes
    ----------
    footprint_is_right : bool
        Whether the pixels that a frame covers survive, not those that it does not cover.
    pads : bool
        Whether every group of two or more is padded to a square of the diagonal.
    wcs_follows : bool
        Whether the WCS is moved along.
    blank_is_zero : bool
        Whether blanked pixels are written as 0, not as NaN.
    crops : bool
        Whether a cleaned tile is cropped to its well covered core, where that is large enough.
    """

    footprint_is_right: bool
    pads: bool
    wcs_follows: bool
    blank_is_zero: bool
    crops: bool = False


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version of ZeMosaic's Phase 3.

    Attributes
    ----------
    name, title : str
        Short, and as a phrase.
    inference : Inference or None
        None: groups are not asked for their mode.
    off_without_altaz : bool
        Whether cleanup that was asked for is switched off where no frame is alt-az.
    unknown_may_count : bool
        Whether frames of unknown mode may count as alt-az, see `Run.unknown_policy`.
    counts_entries : bool
        Whether it counts the modes of a run's frames from the entries themselves. Released versions take over what the
        filter window counted, and without that they count none.
    tiles : TileRule
        Which tiles are cleaned.
    mask : Mask
        And how.
    winsorized_memory : (float, float)
        Memory that winsorized rejection takes for a tile: so many padded frames in all, and so many for each frame.
    switched_on, switched_off, run_line, tile_line : str or None
        Its lines in the log, to the letter, with the names of values in braces; None where it has no such line.
    needs, lacks : tuple of str
        Names that tell it from the others: functions of its worker, or texts in it.
    """

    name: str
    title: str
    inference: Inference | None
    off_without_altaz: bool
    unknown_may_count: bool
    counts_entries: bool
    tiles: TileRule
    mask: Mask
    winsorized_memory: tuple[float, float]
    switched_on: str | None
    switched_off: str | None
    run_line: str | None
    tile_line: str | None
    needs: tuple[str, ...]
    lacks: tuple[str, ...]


SUMMARY_LINE = (
    "WORKER_EQMODE_SUMMARY: eq={eq} altaz={altaz} unknown={unknown} total={total} contains_altaz={contains_altaz}"
)
_TILE_LINE = "P3_ALTaz_GATING: tile_id={tile_id} eqmode={mode} global_enabled={run} => tile_enabled={tile}"
_SWITCHED_OFF = "ALTaz cleanup requested but no ALT_AZ frames detected -> disabled (EQ-only run)."

# The words that all versions know, in any case.
WORDS = dict.fromkeys(("EQ", "EQUATORIAL"), Mode.EQ) | dict.fromkeys(
    ("ALT_AZ", "ALT-AZ", "ALT AZ", "ALTAZ"), Mode.ALT_AZ
)

_RELEASED_READING = Reading(numbers=Numbers.PYTHON)
_RELEASED_INFERENCE = Inference(
    entries=6,
    places=tuple((key, _RELEASED_READING) for key in ("MOUNT_MODE", "_eqmode_mode", "EQMODE")),
    headers=("header", "header_subset"),
    header_reading=_RELEASED_READING,
    dicts_alone=True,
)
_OWN_READING = Reading(numbers=Numbers.ANY, numbered_words=True)
_OWN_TEXTS = Reading(numbers=Numbers.ANY, numbered_words=True, text_alone=True)

BEFORE = Version(
    name="before",
    title="before the patch",
    inference=None,
    off_without_altaz=False,
    unknown_may_count=False,
    counts_entries=False,
    tiles=TileRule.ALL,
    mask=Mask(footprint_is_right=False, pads=True, wcs_follows=False, blank_is_zero=False),
    winsorized_memory=MOST_PADDED_FRAMES,
    switched_on="AUTO_ALTaz_cleanup: enabled (contains_altaz=True, config_requested=False)",
    switched_off=None,
    run_line=None,
    tile_line=None,
    needs=("create_master_tile",),
    lacks=("_infer_group_eqmode",),
)
JANUARY = Version(
    name="2026-01",
    title="2026-01, with the patch",
    inference=_RELEASED_INFERENCE,
    off_without_altaz=True,
    unknown_may_count=False,
    counts_entries=False,
    tiles=TileRule.ALT_AZ,
    mask=Mask(footprint_is_right=False, pads=True, wcs_follows=False, blank_is_zero=False),
    winsorized_memory=(10.0, 12.0),
    switched_on="AUTO_ALTaz_cleanup: enabled (contains_altaz=True, config_requested=False)",
    switched_off=_SWITCHED_OFF,
    run_line=None,
    tile_line=_TILE_LINE,
    needs=("_infer_group_eqmode", "create_master_tile"),
    lacks=("altaz_unknown_policy", "decide_tile_altaz_cleanup"),
)
APRIL = Version(
    name="2026-04",
    title="2026-04, with a policy for frames of unknown mode",
    inference=_RELEASED_INFERENCE,
    off_without_altaz=True,
    unknown_may_count=True,
    counts_entries=False,
    tiles=TileRule.ALT_AZ_OR_UNKNOWN,
    mask=Mask(footprint_is_right=False, pads=True, wcs_follows=True, blank_is_zero=True, crops=True),
    winsorized_memory=(10.0, 12.0),
    switched_on=(
        "AUTO_ALTaz_cleanup: enabled (contains_altaz_effective=True, config_requested=False, "
        "unknown_policy={policy}, unknown_as_altaz={unknown_as_altaz})"
    ),
    switched_off=("ALTaz cleanup requested but no ALT_AZ/UNKNOWN-effective frames detected -> disabled (EQ-only run)."),
    run_line=(
        "ALTaz gating global: policy={policy} eq={eq} altaz={altaz} unknown={unknown} seestar_hint={seestar} "
        "unknown_as_altaz={unknown_as_altaz} altaz_cleanup_effective={run}"
    ),
    tile_line=(
        "P3_ALTaz_GATING: tile_id={tile_id} eqmode={mode} global_enabled={run} unknown_policy={policy} "
        "seestar_hint={seestar} unknown_as_altaz={unknown_as_altaz} => tile_enabled={tile}"
    ),
    needs=("_infer_group_eqmode", "create_master_tile", "altaz_unknown_policy"),
    lacks=("decide_tile_altaz_cleanup",),
)
BUNDLED = Version(
    name="zemo-diag",
    title="the patch that zemo-diag carries",
    inference=Inference(
        entries=16,
        places=(("MOUNT_MODE", _OWN_TEXTS), ("_eqmode_mode", _OWN_TEXTS), ("EQMODE", _OWN_READING)),
        headers=("header", "header_subset"),
        header_reading=_OWN_READING,
        dicts_alone=False,
    ),
    off_without_altaz=True,
    unknown_may_count=False,
    counts_entries=True,
    tiles=TileRule.ALT_AZ,
    mask=Mask(footprint_is_right=True, pads=False, wcs_follows=True, blank_is_zero=False),
    winsorized_memory=MOST_PADDED_FRAMES,
    switched_on="ALTaz cleanup enabled automatically: {altaz} of {total} {frames_are} ALT_AZ.",
    switched_off=_SWITCHED_OFF,
    run_line=None,
    tile_line=_TILE_LINE,
    needs=("_infer_group_eqmode", "decide_tile_altaz_cleanup"),
    lacks=(),
)
KNOWN = (BEFORE, JANUARY, APRIL, BUNDLED)


def recognise(checkout: Checkout) -> Version | None:
    """Tell by its names which known version a checkout is like; None where it is like none."""
    has = checkout.defines | checkout.marks
    like = [one for one in KNOWN if has.issuperset(one.needs) and has.isdisjoint(one.lacks)]
    return like[0] if like else None


def named(name: str) -> Version | None:
    """Give a known version by its name."""
    return next((version for version in KNOWN if version.name == name), None)


# ------------------------------------------------------------------------------------------------- decisions


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run's decision rests on.

    Attributes
    ----------
    requested : bool
        Whether its user asked for cleanup.
    eq, altaz, unknown : int
        Frames of each mode, as the summary counts them.
    total : int or None
        Their sum where it is not given.
    seestar_mode : bool
        Whether the run was planned in Seestar mode.
    unknown_policy : str
        The setting ``altaz_unknown_policy``: ``"auto"``, ``"on"`` or ``"off"``; others are ``"auto"``.
    """

    requested: bool
    eq: int = 0
    altaz: int = 0
    unknown: int = 0
    total: int | None = None
    seestar_mode: bool = False
    unknown_policy: str = "auto"

    @property
    def policy(self) -> str:
        """The policy that is followed."""
        policy = self.unknown_policy.strip().lower()
        return policy if policy in ("auto", "on", "off") else "auto"


@dataclass(frozen=True)
class RunDecision:
    """Whether a run cleans alt-az tiles; whether frames of unknown mode count as such; the lines that say so."""

    enabled: bool
    unknown_as_altaz: bool
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a version decides over one tile.

    Attributes
    ----------
    mode : Mode or str
        Of the group; ``"UNKNOWN"`` also where the version does not ask.
    entry_index : int or None
        The entry that said so.
    key : str or None
        The key that said so, such as ``"header[EQMODE]"``.
    seestar : bool
        Whether an entry is taken for a Seestar's.
    unknown_as_altaz : bool
        Whether the tile counts as alt-az though its mode is not known.
    run : RunDecision
        The run's.
    tile_enabled : bool
        The flag that ``create_master_tile`` gets.
    line : str or None
        The tile's line in the log.
    """

    mode: str
    entry_index: int | None = None
    key: str | None = None
    seestar: bool
    unknown_as_altaz: bool
    run: RunDecision
    tile_enabled: bool
    line: str | None


def decide_run(version: Version, run: Run) -> RunDecision:
    """Decide as a version does whether a run is cleaned.

    This is ZeMosaic's classic mode. In SDS mode the released versions take what was asked for as it is.
    """
    unknown_as_altaz = version.unknown_may_count and run.unknown > 0 and _unknown_counts(run)
    has_altaz = run.altaz > 0 or unknown_as_altaz
    enabled = has_altaz or (run.requested and not version.off_without_altaz)
    changed = {(False, True): version.switched_on, (True, False): version.switched_off}.get((run.requested, enabled))
    total = run.eq + run.altaz + run.unknown if run.total is None else run.total
    values = {
        "eq": run.eq,
        "altaz": run.altaz,
        "unknown": run.unknown,
        "total": total,
        "frames_are": f"{'frame' if total == 1 else 'frames'} {'is' if run.altaz == 1 else 'are'}",
        "contains_altaz": run.altaz > 0,
        "policy": run.policy,
        "seestar": run.seestar_mode,
        "unknown_as_altaz": unknown_as_altaz,
        "run": enabled,
    }
    lines = [line.format(**values) for line in (SUMMARY_LINE, changed, version.run_line) if line is not None]
    return RunDecision(enabled, unknown_as_altaz, tuple(lines))


def _unknown_counts(run: Run) -> bool:
    return run.policy == "on" or (run.policy == "auto" and (run.seestar_mode or run.eq == 0))


def decide(version: Version, group: Sequence[Any], run: Run, tile_id: int = 0) -> Decision:
    """Decide as a version does over one tile.

    Parameters
    ----------
    version : Version
        One of `KNOWN`.
    group : sequence of dict
        The tile's entries.
    run : Run
        The run that it belongs to.
    tile_id : int
        Its number; ZeMosaic's begin at 0.
    """
    mode, index, key = infer(version.inference, group)
    decision = decide_by_mode(version, run, mode, any(map(is_seestar, group)), tile_id)
    return replace(decision, entry_index=index, key=key)


def decide_by_mode(version: Version, run: Run, mode: str, seestar: bool, tile_id: int = 0) -> Decision:
    """Decide as a version does over one tile, of which the mode is known.

    Parameters
    ----------
    version : Version
        One of `KNOWN`.
    run : Run
        The run that it belongs to.
    mode : str
        What the group's mode was found to be.
    seestar : bool
        Whether an entry is taken for a Seestar's.
    tile_id : int
        Its number; ZeMosaic's begin at 0.
    """
    decided = decide_run(version, run)
    unknown_as_altaz = (
        version.tiles is TileRule.ALT_AZ_OR_UNKNOWN
        and mode == Mode.UNKNOWN
        and (run.policy == "on" or (run.policy == "auto" and seestar))
    )
    altaz = version.tiles is TileRule.ALL or mode == Mode.ALT_AZ or unknown_as_altaz
    tile_enabled = decided.enabled and altaz
    values = {
        "tile_id": tile_id,
        "mode": mode,
        "run": decided.enabled,
        "policy": run.policy,
        "seestar": seestar,
        "unknown_as_altaz": unknown_as_altaz,
        "tile": tile_enabled,
    }
    return Decision(
        mode=mode,
        seestar=seestar,
        unknown_as_altaz=unknown_as_altaz,
        run=decided,
        tile_enabled=tile_enabled,
        line=None if version.tile_line is None else version.tile_line.format(**values),
    )


def run_of(version: Version, entries: Sequence[Any], *, requested: bool) -> Run:
    """Give what a version's decision over a run rests on, with the settings that ZeMosaic has by default.

    The run comes from the filter window, which counts its modes, and plans it in Seestar mode where the first frame
    that names its instrument is a Seestar's.

    Parameters
    ----------
    version : Version
        One of `KNOWN`.
    entries : sequence of dict
        All frames of the run, as Phase 1 makes them.
    requested : bool, keyword-only
        Whether its user asked for cleanup.
    """
    if version.counts_entries:
        modes: list[str] = [infer(version.inference, [entry])[0] for entry in entries]
    else:
        modes = [filter_mode(card(entry.get("header"), "EQMODE")) for entry in entries]
    eq, altaz = modes.count(Mode.EQ), modes.count(Mode.ALT_AZ)
    named = next((entry for entry in entries if _labels(entry)), None)
    return Run(requested=requested, eq=eq, altaz=altaz, unknown=len(modes) - eq - altaz, seestar_mode=is_seestar(named))


def infer(rule: Inference | None, group: Sequence[Any]) -> tuple[Mode, int | None, str | None]:
    """Infer the mode of a group by a rule: the mode, the entry that said so, and its key."""
    if rule is None:
        return Mode.UNKNOWN, None, None
    for index, entry in enumerate(group[: rule.entries]):
        for key, value, reading in _stated(rule, entry):
            mode = read(reading, value)
            if mode is not None:
                return mode, index, key
    return Mode.UNKNOWN, None, None


def _stated(rule: Inference, entry: Any) -> Iterator[tuple[str, Any, Reading]]:
    """Give (key, value, how it is read) for each place where an entry may state its mode."""
    kind = dict if rule.dicts_alone else Mapping
    if not isinstance(entry, kind):
        return
    for key, reading in rule.places:
        yield key, entry.get(key), reading
    for key in rule.headers:
        header = entry.get(key)
        if isinstance(header, kind):
            yield f"{key}[EQMODE]", card(header, "EQMODE"), rule.header_reading


def stated(entry: Any, key: str) -> Any:
    """Give what stands in an entry at a key that `infer` named, such as ``"header[EQMODE]"``."""
    name, _, within = key.partition("[")
    return card(entry.get(name), within.rstrip("]")) if within else entry.get(name)


def read(reading: Reading, value: Any) -> Mode | None:
    """Read a mode from one value; None where it says none."""
    if isinstance(value, str):
        word = value.strip().upper()
        return WORDS.get(word) or _by_number(word.removeprefix("EQMODE_") if reading.numbered_words else word)
    if reading.text_alone:
        return None
    numbers = (int, float) if reading.numbers is Numbers.PYTHON else (Real, np.bool_)
    return _by_number(value) if isinstance(value, numbers) else None


def _by_number(value: Any) -> Mode | None:
    """Give the mode of a number, or of a text of one."""
    try:
        number = int(float(value) if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return {1: Mode.EQ, 0: Mode.ALT_AZ}.get(number)


def is_seestar(entry: Any) -> bool:
    """Tell whether the released versions take an entry for a Seestar's: by its instrument, or by its header's cards."""
    return any(token in label.lower() for label in _labels(entry) for token in SEESTAR_TOKENS)


def _labels(entry: Any) -> list[str]:
    """Give what an entry calls its instrument."""
    if not isinstance(entry, dict):
        return []
    header = entry.get("header") or entry.get("phase0_header")
    labels = [entry.get("instrument")]
    if hasattr(header, "get"):
        labels += [card(header, "INSTRUME"), card(header, "CREATOR")]
    return [str(label) for label in labels if label]
