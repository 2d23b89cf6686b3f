"""ZeMosaic Phase 3: master tiles, and which of them the alt-az cleanup may touch.

The idea: the alt-az cleanup blanks poorly covered pixels. That is right for a tile taken in alt-az mode,
whose field rotates, and destroys one taken in equatorial mode. Grouping keeps the two apart, so Phase 3
decides group by group: a tile is cleaned only if the run asks for it *and* the group is alt-az.

From top to bottom: the mount mode of a group; the decisions, for the run and for each tile; the cleanup itself;
the frames of a tile; one master (`create_master_tile`); the whole run (`run_phase3_master_tiles`).

Every decision is a pure function that returns a small frozen result: the decision, its reason, its evidence.
The functions named ``log_*`` hand these results to ZeMosaic's progress callback and do nothing else, so that
the worker and its diagnostics share one truth. Deciding opens no file; a header may be a plain dict or an
``astropy.io.fits.Header``, read the same way.

This file imports with NumPy alone; astropy, scipy and astroalign are needed, and imported, once a tile is built.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import importlib.util
import math
import os
import platform
import re
import shutil
import tempfile
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import count, islice
from numbers import Real
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

import zemosaic_align_stack as align_stack
from zemosaic_align_stack import Placement

EQ, ALT_AZ, UNKNOWN = "EQ", "ALT_AZ", "UNKNOWN"

# How many entries of a group are asked for their mode: the first, then a few more where it says nothing.
EQMODE_ENTRIES_ASKED = 16

# Where an entry may say its mode, in the order of asking. The first two count only when they are text.
_TEXT_KEYS = ("MOUNT_MODE", "_eqmode_mode")
_HEADER_KEYS = ("header", "header_subset")

# The words for a mode that ZeMosaic reads, in whichever key they stand; any other text may be a number.
_MODES_BY_WORD = {
    **dict.fromkeys(("EQ", "EQUATORIAL"), EQ),
    **dict.fromkeys(("ALT_AZ", "ALTAZ", "ALT-AZ", "ALT AZ"), ALT_AZ),
}

ProgressCallback = Callable[..., object]
FloatArray = npt.NDArray[np.float32]
MaskArray = npt.NDArray[np.bool_]
CountArray = npt.NDArray[np.int32]
AlphaArray = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class EqmodeEvidence:
    """The mount mode of an entry or a group, and what said so.

    Attributes
    ----------
    mode : str
        ``"EQ"``, ``"ALT_AZ"`` or ``"UNKNOWN"``.
    entry_index : int or None
        Index in the group of the entry that decided; None where no entry did.
    key : str or None
        The key that decided, such as ``"MOUNT_MODE"`` or ``"header[EQMODE]"``.
    value : str or None
        What stood there, as text.
    """

    mode: str = UNKNOWN
    entry_index: int | None = None
    key: str | None = None
    value: str | None = None

    @property
    def reason(self) -> str:
        """The evidence as a phrase for a log or a report."""
        if self.key is None:
            return "no entry that was asked says its mode"
        return f"{self.key}={self.value} in entry {self.entry_index}"


@dataclass(frozen=True)
class EqmodeSummary:
    """How many frames of a run are of each mount mode."""

    eq: int
    altaz: int
    unknown: int

    @property
    def total(self) -> int:
        """Number of frames counted."""
        return self.eq + self.altaz + self.unknown

    @property
    def contains_altaz(self) -> bool:
        """Whether any frame of the run says that it is alt-az."""
        return self.altaz > 0

    def log_line(self) -> str:
        """Give the summary in the form that ZeMosaic's logs carry."""
        return (
            f"WORKER_EQMODE_SUMMARY: eq={self.eq} altaz={self.altaz} unknown={self.unknown} "
            f"total={self.total} contains_altaz={self.contains_altaz}"
        )


@dataclass(frozen=True, kw_only=True)
class GlobalCleanupDecision:
    """Whether a run cleans its alt-az tiles at all.

    Attributes
    ----------
    requested, effective : bool
        What the user asked for, and what the run does.
    reason : str
        Why, as a phrase.
    level, message : str or None
        The line for the log, where the two differ.
    """

    requested: bool
    effective: bool
    reason: str
    level: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class TileCleanupDecision:
    """Whether one tile is cleaned: the run's flag and an alt-az group, both.

    Attributes
    ----------
    tile_id : int
        Number of the master tile.
    evidence : EqmodeEvidence
        The group's mode and what said so.
    global_enabled, tile_enabled : bool
        The run's effective flag, and the one that goes to ``create_master_tile``.
    """

    tile_id: int
    evidence: EqmodeEvidence
    global_enabled: bool
    tile_enabled: bool

    @property
    def reason(self) -> str:
        """Why, as a phrase."""
        if not self.global_enabled:
            return "cleanup is off for the whole run"
        if self.tile_enabled:
            return "cleanup is on and the group is ALT_AZ"
        return f"cleanup is for ALT_AZ groups and this one is {self.evidence.mode}"

    def log_line(self) -> str:
        """Give the decision in the form that ZeMosaic's logs carry."""
        return (
            f"P3_ALTaz_GATING: tile_id={self.tile_id} eqmode={self.evidence.mode} "
            f"global_enabled={self.global_enabled} => tile_enabled={self.tile_enabled}"
        )


def _mode_from_number(value: Any) -> str:
    """Map an EQMODE value as ZeMosaic's Qt filter does: 1 is EQ, 0 is ALT_AZ, the rest says nothing."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        try:
            number = int(float(str(value).strip()))
        except (TypeError, ValueError, OverflowError):
            return UNKNOWN
    return {1: EQ, 0: ALT_AZ}.get(number, UNKNOWN)


def _mode_from(value: Any) -> str:
    """Read what may stand for a mode: a word, a number, ``EQMODE_<n>`` as grouping writes it; the rest says nothing."""
    if isinstance(value, str):
        word = value.strip().upper()
        return _MODES_BY_WORD.get(word) or _mode_from_number(word.removeprefix("EQMODE_"))
    return _mode_from_number(value) if isinstance(value, (Real, np.bool_, bytes)) else UNKNOWN


def _value(mapping: Any, key: str) -> Any:
    """Read a key of a dict or a ``fits.Header``; None where it is missing or cannot be parsed, or this is neither."""
    if not isinstance(mapping, Mapping):
        return None
    try:
        return mapping.get(key)
    except Exception:  # noqa: BLE001 - a broken card says nothing; astropy raises many kinds for it
        return None


def _statements(entry: Any) -> Iterable[tuple[str, Any, str]]:
    """Give (key, value, mode) for each place where an entry may say its mode, in the order of asking."""
    for key in _TEXT_KEYS:
        value = _value(entry, key)
        yield key, value, _mode_from(value) if isinstance(value, str) else UNKNOWN
    value = _value(entry, "EQMODE")
    yield "EQMODE", value, _mode_from(value)
    for key in _HEADER_KEYS:
        value = _value(_value(entry, key), "EQMODE")
        yield f"{key}[EQMODE]", value, _mode_from(value)


def entry_eqmode(entry: Mapping[str, Any]) -> EqmodeEvidence:
    """Find the mount mode that one entry states.

    Parameters
    ----------
    entry : mapping
        A frame as grouping or Phase 1 describes it. Asked in this order: ``MOUNT_MODE`` and ``_eqmode_mode``
        where they are text, ``EQMODE``, then ``EQMODE`` in ``header`` and in ``header_subset``. Each is read in the
        spellings that ZeMosaic reads: EQ, EQUATORIAL, ALT_AZ, ALTAZ, ALT-AZ, "ALT AZ", 1 and 0, in any case.

    Returns
    -------
    EqmodeEvidence
        With ``entry_index`` 0; the mode is ``"UNKNOWN"`` where nothing in the entry says it.
    """
    for key, value, mode in _statements(entry):
        if mode != UNKNOWN:
            return EqmodeEvidence(mode, 0, key, str(value).strip())
    return EqmodeEvidence()


def group_eqmode(group: Sequence[Mapping[str, Any]]) -> EqmodeEvidence:
    """Find the mount mode of a group: the first of its first entries that says one.

    Parameters
    ----------
    group : sequence of mapping
        The entries of one master tile; the first `EQMODE_ENTRIES_ASKED` are asked. Anything else says nothing.

    Returns
    -------
    EqmodeEvidence
        The mode, and which key of which entry said it.
    """
    for index, entry in enumerate(_entries_asked(group)):
        evidence = entry_eqmode(entry)
        if evidence.mode != UNKNOWN:
            return EqmodeEvidence(evidence.mode, index, evidence.key, evidence.value)
    return EqmodeEvidence()


def _entries_asked(group: Any) -> list[Any]:
    """Give the first entries of a group; none where it is no sequence, or one whose entries cannot be got at."""
    try:
        return list(islice(group, EQMODE_ENTRIES_ASKED)) if isinstance(group, Sequence) else []
    except Exception:  # noqa: BLE001 - whatever a caller's own sequence raises, its mode is not known
        return []


def _infer_group_eqmode(group: list[dict[str, Any]]) -> str:
    """Give the mount mode of a group: ``"EQ"``, ``"ALT_AZ"`` or ``"UNKNOWN"``. Never opens a file, never raises.

    Parameters
    ----------
    group : list of dict
        The entries of one master tile. A retried group keeps its keys and is inferred the same. None, or anything
        else that is no sequence of mappings, is ``"UNKNOWN"``.

    See Also
    --------
    group_eqmode : the same, with the evidence.
    """
    return group_eqmode(group).mode


def summarize_eqmodes(entries: Iterable[Mapping[str, Any]]) -> EqmodeSummary:
    """Count the mount modes that the entries of a run state, each entry by itself; None is a run without entries."""
    counts = {EQ: 0, ALT_AZ: 0, UNKNOWN: 0}
    for entry in entries or ():
        counts[entry_eqmode(entry).mode] += 1
    return EqmodeSummary(counts[EQ], counts[ALT_AZ], counts[UNKNOWN])


def decide_global_altaz_cleanup(requested: bool, summary: EqmodeSummary) -> GlobalCleanupDecision:
    """Decide whether a run cleans alt-az tiles: exactly when it has alt-az frames.

    Parameters
    ----------
    requested : bool
        The user's setting, ``altaz_cleanup_enabled``.
    summary : EqmodeSummary
        The modes of all frames of the run.
    """
    if summary.contains_altaz:
        noun, verb = "frame" if summary.total == 1 else "frames", "is" if summary.altaz == 1 else "are"
        reason = f"{summary.altaz} of {summary.total} {noun} {verb} ALT_AZ"
        if requested:
            return GlobalCleanupDecision(requested=True, effective=True, reason=reason)
        message = f"ALTaz cleanup enabled automatically: {reason}."
        return GlobalCleanupDecision(requested=False, effective=True, reason=reason, level="INFO", message=message)
    reason = "no frame of the run says ALT_AZ"
    if not requested:
        return GlobalCleanupDecision(requested=False, effective=False, reason=reason)
    message = "ALTaz cleanup requested but no ALT_AZ frames detected -> disabled (EQ-only run)."
    return GlobalCleanupDecision(requested=True, effective=False, reason=reason, level="WARN", message=message)


def decide_tile_altaz_cleanup(
    tile_id: int, group: Sequence[Mapping[str, Any]], global_enabled: bool
) -> TileCleanupDecision:
    """Decide whether one tile is cleaned: only an alt-az group, and only in a run that cleans.

    Parameters
    ----------
    tile_id : int
        Number of the master tile.
    group : sequence of mapping
        Its entries.
    global_enabled : bool
        The run's effective flag, from `decide_global_altaz_cleanup`.
    """
    evidence = group_eqmode(group)
    return TileCleanupDecision(tile_id, evidence, global_enabled, global_enabled and evidence.mode == ALT_AZ)


def _emit(progress_callback: ProgressCallback | None, message: str, level: str, percent: float | None = None) -> None:
    """Hand one line to ZeMosaic's progress callback; a callback that raises never stops Phase 3."""
    if progress_callback is None:
        return
    try:
        progress_callback(message, percent, level)
    except Exception:  # noqa: BLE001 - whatever a caller's callback raises is not this run's failure
        return


def log_run_cleanup(
    summary: EqmodeSummary,
    decision: GlobalCleanupDecision,
    progress_callback: ProgressCallback | None = None,
) -> None:
    """Log the mode summary (INFO) and, where the run departs from the user's setting, a line saying so."""
    _emit(progress_callback, summary.log_line(), "INFO")
    if decision.message is not None and decision.level is not None:
        _emit(progress_callback, decision.message, decision.level)


def log_tile_cleanup(decision: TileCleanupDecision, progress_callback: ProgressCallback | None = None) -> None:
    """Log the gating line of one tile (DEBUG_DETAIL)."""
    _emit(progress_callback, decision.log_line(), "DEBUG_DETAIL")


class CleanupRule(str, Enum):
    """What decides over the cleanup of a run's tiles, and how it is done.

    Attributes
    ----------
    PATCHED
        The patch: a tile is cleaned where the run cleans and the tile is alt-az.
    RULE_ALONE
        The rule before the patch: the run's flag goes to every tile, and is switched on where any frame is alt-az. The
        cleanup itself is as it is meant.
    BEFORE
        What ZeMosaic did before the patch: that rule, and the footprint the wrong way round. For demonstrations, as the
        one before.
    NEVER
        No tile is cleaned. For comparisons.
    """

    PATCHED = "patched"
    RULE_ALONE = "rule_alone"
    BEFORE = "before"
    NEVER = "never"

    def run_flag(self, decision: GlobalCleanupDecision, summary: EqmodeSummary) -> bool:
        """Give the run's flag."""
        if self is CleanupRule.NEVER:
            return False
        return decision.effective if self is CleanupRule.PATCHED else decision.requested or summary.contains_altaz


# --------------------------------------------------------------------------------------- the alt-az cleanup

FEW_FRAMES = 6  # up to this coverage, asking for min_coverage_abs frames may mean asking for all of them
LEAST_KEPT_FRACTION = 0.10  # a mask that keeps less than this is dropped


@dataclass(frozen=True, kw_only=True)
class AltazCleanupSettings:
    """ZeMosaic's settings of the alt-az cleanup, under their names without ``altaz_``, and its defaults.

    Attributes
    ----------
    margin_percent : float
        Width of the soft edge, percent of the shorter side.
    decay : float
        How steeply alpha falls within it: over 0.
    nanize : bool
        Whether poorly covered pixels become NaN, or else 0.
    alpha_soft_threshold : float
        Pixels with an alpha over it are opaque in the ALPHA plane.
    nanize_threshold : float
        Pixels with an alpha up to it are blanked.
    min_coverage_abs, min_coverage_frac : float
        A pixel is kept where so many frames reach, and so large a part of the best coverage.
    morph_open_px : int
        Side of the square that opens the kept area: thinner parts of it go.
    """

    margin_percent: float = 5.0
    decay: float = 0.15
    nanize: bool = True
    alpha_soft_threshold: float = 0.001
    nanize_threshold: float = 0.001
    min_coverage_abs: float = 3.0
    min_coverage_frac: float = 0.5
    morph_open_px: int = 3

    def __post_init__(self) -> None:
        """Refuse a decay that alpha cannot be computed with."""
        if not self.decay > 0:
            raise ValueError(f"altaz_decay must be over 0, got {self.decay}")


@dataclass(frozen=True)
class CoverageMask:
    """Which pixels of a tile are covered well enough.

    Attributes
    ----------
    kept : bool ndarray, (H, W)
        Index order [y, x].
    threshold : float
        Frames from which on a pixel is kept.
    rule : str
        ``"settings"``, or the fallback that was needed: ``"quarter"`` of the best coverage, ``"any"`` frame.
    open_px : int
        Side of the square it was opened with; 0 where that was skipped, since nothing would have been left.
    """

    kept: MaskArray
    threshold: float
    rule: str
    open_px: int


@dataclass(frozen=True, kw_only=True)
class AltazCleanup:
    """A tile after the cleanup.

    Attributes
    ----------
    image : float32 ndarray, (H, W) or (H, W, C)
        Blanked where `blanked`; never multiplied by alpha.
    alpha : float32 ndarray, (H, W)
        0 to 1, of the mask as it was computed.
    mask : CoverageMask
        What it was computed from.
    applied : bool
        False where the mask kept too little and was dropped: then `image` is the tile as it was.
    blanked : bool ndarray, (H, W)
        Pixels that the cleanup blanked.
    """

    image: FloatArray
    alpha: FloatArray
    mask: CoverageMask
    applied: bool
    blanked: MaskArray

    @property
    def nonzero_frac(self) -> float:
        """Fraction of the pixels whose alpha is over 0: what the 10 % guard looks at."""
        return float(np.count_nonzero(self.alpha > 0)) / max(1, self.alpha.size)


def coverage_threshold(max_cov: int, frames_used: int, settings: AltazCleanupSettings) -> float:
    """Give the number of frames from which on a pixel is kept.

    Parameters
    ----------
    max_cov : int
        Best coverage of the tile, frames.
    frames_used : int
        Frames in the stack.
    settings : AltazCleanupSettings

    Notes
    -----
    The absolute minimum is capped to the frames that there are. Where few frames reach even the best pixel and the
    minimum would keep only what all of them cover, it is relaxed to the relative one, and below that intersection.
    """
    least = min(settings.min_coverage_abs, float(frames_used), float(max_cov))
    if 0 < max_cov <= FEW_FRAMES and least >= max_cov:
        least = min(max(1, math.ceil(settings.min_coverage_frac * max_cov)), max_cov - 1)
    return max(float(least), settings.min_coverage_frac * max_cov)


def mask_from_coverage(coverage: CountArray, frames_used: int, settings: AltazCleanupSettings) -> CoverageMask:
    """Choose the pixels that enough frames cover, and open the area they form.

    Parameters
    ----------
    coverage : int ndarray, (H, W)
        Number of finite frames per pixel.
    frames_used : int
        Frames in the stack.
    settings : AltazCleanupSettings
    """
    max_cov = int(coverage.max(initial=0))
    rules = {
        "settings": coverage_threshold(max_cov, frames_used, settings),
        "quarter": max(0.25 * max_cov, 1.0),
        "any": 1.0,
    }
    rule = next((rule for rule, threshold in rules.items() if max_cov and max_cov >= threshold), "any")
    threshold = rules[rule]
    kept: MaskArray = coverage >= threshold
    opened, open_px = _opened(kept, 1 if max_cov <= 3 else settings.morph_open_px)
    return CoverageMask(opened, threshold, rule, open_px)


def _opened(kept: MaskArray, px: int) -> tuple[MaskArray, int]:
    """Open an area with a square of `px`; the area as it is, and 0, where that would leave nothing."""
    if px <= 1 or not kept.any():
        return kept, min(px, 1)
    opened: MaskArray = _ndimage().binary_opening(kept, structure=np.ones((px, px), dtype=bool))
    return (opened, px) if opened.any() else (kept, 0)


def soft_edge_alpha(kept: MaskArray, settings: AltazCleanupSettings) -> FloatArray:
    """Give alpha: 1 well inside the kept area, falling towards its edge, 0 outside.

    Parameters
    ----------
    kept : bool ndarray, (H, W)
    settings : AltazCleanupSettings
        ``margin_percent`` and ``decay``.

    Returns
    -------
    float32 ndarray, (H, W)
        With d the Euclidean distance to the nearest pixel not kept and m the margin, both in pixels: 1 where
        d >= m, else (d / m) ** (1 / decay). The frame's own edge counts as kept.
    """
    if kept.all():
        return np.ones(kept.shape, dtype=np.float32)
    margin_px = max(1.0, settings.margin_percent / 100.0 * min(kept.shape))
    distance = _ndimage().distance_transform_edt(kept)
    distance /= margin_px
    np.minimum(distance, 1.0, out=distance)
    alpha: FloatArray = np.power(distance, 1.0 / settings.decay, out=distance).astype(np.float32)
    return alpha


def clean_altaz_tile(
    image: FloatArray, coverage: CountArray, frames_used: int, settings: AltazCleanupSettings
) -> AltazCleanup:
    """Blank the poorly covered pixels of a stacked tile.

    Parameters
    ----------
    image : float32 ndarray, (H, W) or (H, W, C)
        The stack; it is left as it is.
    coverage : int ndarray, (H, W)
        Number of finite frames per pixel.
    frames_used : int
        Frames in the stack.
    settings : AltazCleanupSettings

    Notes
    -----
    The guard counts pixels with an alpha over 0, while those up to `nanize_threshold` are blanked: with a decay of
    0.15 all that lie nearer than 0.355 margins to a pixel not kept. A ragged or narrow area so passes the guard and
    may still be blanked whole. That is ZeMosaic's behaviour, and why only alt-az tiles may come here.
    """
    mask = mask_from_coverage(coverage, frames_used, settings)
    alpha = soft_edge_alpha(mask.kept, settings)
    kept_enough = np.count_nonzero(alpha > 0) >= LEAST_KEPT_FRACTION * alpha.size
    if not kept_enough:
        return AltazCleanup(
            image=image, alpha=alpha, mask=mask, applied=False, blanked=np.zeros(alpha.shape, dtype=bool)
        )
    blanked = alpha <= settings.nanize_threshold
    cleaned = image.copy()
    cleaned[blanked] = np.nan if settings.nanize else 0.0
    return AltazCleanup(image=cleaned, alpha=alpha, mask=mask, applied=True, blanked=blanked)


def log_altaz_cleanup(
    cleanup: AltazCleanup, settings: AltazCleanupSettings, progress_callback: ProgressCallback | None = None
) -> None:
    """Log the alpha of a cleaned tile and what was done with it; a WARN where the guard dropped the mask."""
    alpha = cleanup.alpha
    _emit(
        progress_callback,
        f"ALPHA_STATS: level=master_tile nonzero_frac={cleanup.nonzero_frac:.4f} "
        f"min={float(alpha.min()):.4f} max={float(alpha.max()):.4f} shape={alpha.shape}",
        "DEBUG_DETAIL",
    )
    if not cleanup.applied:
        percent = 100.0 * cleanup.nonzero_frac
        message = f"MT_PIPELINE: altaz_cleanup mask dropped: alpha > 0 in {percent:.1f} % of the pixels (under 10 %)"
        _emit(progress_callback, message, "WARN")
    _emit(
        progress_callback,
        f"MT_PIPELINE: altaz_cleanup applied: masked_used=True mask2d_used=True "
        f"mask2d_applied={cleanup.applied} threshold={settings.nanize_threshold:g}",
        "INFO_DETAIL",
    )


def _ndimage() -> Any:
    """Import scipy.ndimage, which only tiles that are built need."""
    align_stack.require_phase3_extra()
    return importlib.import_module("scipy.ndimage")


# --------------------------------------------------------------------------------------- is a master empty?

EMPTY_EPS = 1e-8  # the largest |value|, or the spread, of a master without signal
EMPTY_MAX_OF_FLAT = 1e-7  # the largest |value| of one that has no spread


@dataclass(frozen=True)
class MasterSignal:
    """What a master holds: its largest absolute value, spread, and fraction of pixels that are valid."""

    max_abs: float
    std: float
    valid_frac: float

    @property
    def is_empty(self) -> bool:
        """Whether there is no signal: no valid pixel, all nearly 0, or flat and nearly 0."""
        flat = self.std <= EMPTY_EPS and self.max_abs <= EMPTY_MAX_OF_FLAT
        return self.valid_frac == 0 or self.max_abs <= EMPTY_EPS or flat


def measure_master_signal(image: FloatArray) -> MasterSignal:
    """Measure a master, (H, W) or (H, W, C); a pixel is valid where all its channels are finite."""
    finite = np.isfinite(image)
    valid = finite if image.ndim == 2 else finite.all(axis=2)
    if not valid.any():
        return MasterSignal(0.0, 0.0, 0.0)
    max_abs = float(np.max(np.abs(image), where=finite, initial=0.0))
    std = float(np.std(image, where=finite, dtype=np.float64))
    return MasterSignal(max_abs, std, float(np.count_nonzero(valid)) / valid.size)


# ------------------------------------------------------------------------------------------ frames of a tile


_MAX_AXES = 999  # of an image, by the FITS standard


class FrameError(RuntimeError):
    """A frame cannot be used; the message names it, without its folder."""


@dataclass(frozen=True)
class _LoadedFrame:
    """A frame in memory: float32 (H, W) or (H, W, 3), its header and its WCS where it has them."""

    name: str
    pixels: FloatArray
    header: Mapping[str, Any]
    wcs: Any


def _frame_path(entry: Mapping[str, Any]) -> Path:
    """Where an entry's pixels lie: Phase 1's cache where there is one, else the frame itself."""
    cache = entry.get("path_preprocessed_cache")
    path = cache or entry.get("path_raw") or entry.get("path")
    if not path:
        raise FrameError("an entry of the group names no file")
    return Path(path).absolute()  # astropy would look for a folder called "~" in the home folder


def _frame_name(entry: Mapping[str, Any]) -> str:
    """Name a frame as its telescope did, whatever its cache is called; or as the caller wants it shown."""
    path = entry.get("path_raw") or entry.get("path") or entry.get("path_preprocessed_cache") or "?"
    return str(entry.get("shown_name") or Path(path).name)


def _entry_header(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give an entry's header, or its subset; empty where it has neither."""
    for key in _HEADER_KEYS:
        header = _value(entry, key)
        if header is not None and hasattr(header, "get") and hasattr(header, "keys"):
            return cast("Mapping[str, Any]", header)
    return {}


FitsReader = Callable[[Path], tuple[npt.NDArray[Any], Mapping[str, Any]]]
"""Gives the first image of a FITS file, (H, W) or (planes, H, W), and its header; it may raise whatever it likes."""


def load_frame(entry: Mapping[str, Any], read_fits: FitsReader | None = None) -> _LoadedFrame:
    """Read the pixels of one frame.

    Parameters
    ----------
    entry : mapping
        With ``path_preprocessed_cache`` (a ``.npy``, (H, W) or (H, W, 3)), else ``path_raw`` or ``path`` (FITS: one
        plane, raw mosaics brought to colour, or three planes).
    read_fits : callable, optional
        Reads FITS files; astropy does, where it is not given.

    Raises
    ------
    FrameError
        The file is missing, cut off, or holds no frame.
    """
    path, name = _frame_path(entry), _frame_name(entry)
    try:
        if path.suffix.lower() == ".npy":
            pixels, header = np.load(path, allow_pickle=False).astype(np.float32, copy=False), _entry_header(entry)
        else:
            pixels, header = _as_frame(*(read_fits or _read_fits)(path))
    except FrameError:
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise FrameError(f"{name} cannot be read: {str(reason).replace(str(path), name)}") from error
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3))) or not pixels.size:
        raise FrameError(f"{name} holds an array of shape {pixels.shape}: a frame is (H, W) or (H, W, 3)")
    if not np.isfinite(pixels).any():
        raise FrameError(f"{name} holds no finite value")
    return _LoadedFrame(name, pixels, header, _frame_wcs(entry, header))


def _read_fits(path: Path) -> tuple[npt.NDArray[Any], Mapping[str, Any]]:
    """Read the first image of a FITS file, and its header."""
    fits = importlib.import_module("astropy.io.fits")
    _check_whole(path, fits)
    with fits.open(path, memmap=False) as hdus:
        image = next((hdu for hdu in hdus if hdu.is_image and hdu.header.get("NAXIS", 0) >= 2), None)
        if image is None:
            raise FrameError(f"{path.name} holds no image")
        return np.asarray(image.data), image.header.copy()


def _as_frame(pixels: npt.NDArray[Any], header: Mapping[str, Any]) -> tuple[FloatArray, Mapping[str, Any]]:
    """Bring an image to float32, planes last, and raw mosaics to colour."""
    if pixels.ndim == 3:
        pixels = pixels[0] if pixels.shape[0] == 1 else np.moveaxis(pixels, 0, -1)
    frame = np.ascontiguousarray(pixels, dtype=np.float32)
    pattern = str(header.get("BAYERPAT") or "").strip().upper()
    if frame.ndim == 2 and pattern in BAYER_CELLS:
        frame = demosaic_bilinear(without_hot_pixels(frame), pattern)
    return frame, header


def _check_whole(path: Path, fits: Any) -> None:
    """Raise where a plain FITS file ends before its first image does: astropy would warn first, and then raise."""
    with path.open("rb") as file:
        if file.read(6) != b"SIMPLE":
            return
        file.seek(0)
        header = fits.Header.fromfile(file)
        count = int(header.get("NAXIS", 0))
        if count > _MAX_AXES:
            raise FrameError(f"{path.name} says that its image has {count:,} axes, more than FITS allows")
        axes = [int(header.get(f"NAXIS{i}", 0)) for i in range(1, count + 1)]
        needed = file.tell() + (abs(int(header["BITPIX"])) // 8 * math.prod(axes) if axes else 0)
    missing = needed - path.stat().st_size
    if missing > 0:
        raise FrameError(f"{path.name} ends {missing:,} bytes too early")


def _frame_wcs(entry: Mapping[str, Any], header: Mapping[str, Any]) -> Any:
    """Give the celestial WCS of an entry or of its header; None without one."""
    wcs = entry.get("wcs")
    if hasattr(wcs, "pixel_to_world_values"):
        return wcs
    if not str(_value(header, "CTYPE1") or "").startswith("RA--"):
        return None
    try:
        solved = importlib.import_module("astropy.wcs").WCS(_cards(header), naxis=2, fix=False)
    except Exception:  # noqa: BLE001 - astropy raises many kinds for a solution it cannot read: the frame has none
        return None
    return solved if solved.has_celestial else None


def _cards(header: Mapping[str, Any]) -> Any:
    """Give a header as astropy's; a plain dict is turned into one."""
    fits = importlib.import_module("astropy.io.fits")
    if isinstance(header, fits.Header):
        return header
    return fits.Header([(key, value) for key, value in header.items() if isinstance(value, str | int | float)])


BAYER_CELLS = {"RGGB": (0, 1, 1, 2), "BGGR": (2, 1, 1, 0), "GRBG": (1, 0, 2, 1), "GBRG": (1, 2, 0, 1)}
"""Colour of the four pixels of a 2 x 2 cell, row by row: 0 red, 1 green, 2 blue."""

_HOT_SIGMA = 8.0  # a hot pixel stands out of its sky by so much,
_HOT_NEIGHBOUR = 0.3  # and its brightest neighbour by less than this part of it; a star's by more


def without_hot_pixels(mosaic: FloatArray) -> FloatArray:
    """Replace the hot pixels of a raw mosaic, (H, W), by the median of their neighbours of the same colour.

    Demosaicing would spread each over nine pixels, like a star. ZeMosaic corrects them in Phase 1, too; frames from
    its cache do not come here.
    """
    above = mosaic.copy()
    noise = 0.0
    for y, x in ((0, 0), (0, 1), (1, 0), (1, 1)):
        plane = above[y::2, x::2]
        plane -= np.median(plane)
        noise = max(noise, 1.4826 * float(np.median(np.abs(plane))))
    if not noise > 0 or min(mosaic.shape) < 4:
        return mosaic
    cross = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], dtype=bool)
    beside = _ndimage().maximum_filter(above, footprint=cross, mode="mirror")
    rows, columns = np.nonzero((above > _HOT_SIGMA * noise) & (beside < _HOT_NEIGHBOUR * above))
    padded = np.pad(mosaic, 2, mode="reflect")
    around = [padded[rows + 2 + dy, columns + 2 + dx] for dy in (-2, 0, 2) for dx in (-2, 0, 2) if dy or dx]
    clean: FloatArray = mosaic.copy()
    if len(rows):
        clean[rows, columns] = np.median(around, axis=0)
    return clean


def demosaic_bilinear(mosaic: FloatArray, pattern: str) -> FloatArray:
    """Bring a raw mosaic to colour by bilinear interpolation.

    Parameters
    ----------
    mosaic : float32 ndarray, (H, W)
    pattern : str
        A key of `BAYER_CELLS`, as the BAYERPAT card says it.

    Returns
    -------
    float32 ndarray, (H, W, 3)
        Red, green, blue; not rounded.
    """
    convolve = _ndimage().convolve
    cell = np.array(BAYER_CELLS[pattern]).reshape(2, 2)
    corner, edge = np.float32(0.25), np.float32(0.5)
    sparse = np.array([[corner, edge, corner], [edge, 1, edge], [corner, edge, corner]], dtype=np.float32)
    dense = np.array([[0, corner, 0], [corner, 1, corner], [0, corner, 0]], dtype=np.float32)
    colour = np.empty((*mosaic.shape, 3), dtype=np.float32)
    for channel in range(3):
        plane = np.zeros_like(mosaic)
        for y, x in np.argwhere(cell == channel):
            plane[y::2, x::2] = mosaic[y::2, x::2]
        colour[..., channel] = convolve(plane, dense if channel == 1 else sparse, mode="mirror")
    return colour


def placement_from_wcs(wcs: Any, shape: tuple[int, ...], reference_wcs: Any) -> Placement | None:
    """Find where a frame lies on the reference from the WCS of both.

    Parameters
    ----------
    wcs, reference_wcs : astropy.wcs.WCS or None
        Celestial.
    shape : tuple of int
        Of the frame.

    Returns
    -------
    (2, 3) float64 or None
        The affine map of pixels that fits a grid of the frame best; None without both, or where no affine map
        follows them to a pixel.
    """
    if wcs is None or reference_wcs is None:
        return None
    grid = np.meshgrid(np.linspace(0, shape[1] - 1, 5), np.linspace(0, shape[0] - 1, 5))
    x, y = (axis.ravel() for axis in grid)
    try:
        sky = wcs.pixel_to_world_values(x, y)
        target = np.column_stack(reference_wcs.world_to_pixel_values(*sky))
    except Exception:  # noqa: BLE001 - a solution that cannot be evaluated places nothing
        return None
    points = np.column_stack([x, y, np.ones_like(x)])
    if not np.isfinite(target).all():
        return None
    fitted = np.linalg.lstsq(points, target, rcond=None)[0]
    off = np.abs(points @ fitted - target).max()
    return np.ascontiguousarray(fitted.T) if off <= WCS_TOLERANCE_PX else None


WCS_TOLERANCE_PX = 1.0  # a map of pixels that the two solutions follow less well than this places nothing
LEAST_OVERLAP = 0.01  # of the reference; a frame that reaches less of it belongs elsewhere


# ----------------------------------------------------------------------------------------------- the scratch

_SCRATCH_PREFIX = ".phase3_scratch"


@contextlib.contextmanager
def scratch_folder(output_temp_dir: Path, tile_id: int) -> Iterator[Path]:
    """Make a folder for the aligned frames of one tile, and remove it again, whatever happens.

    Its name says which process made it, so that `remove_stale_scratch` can tell what a killed one left behind.
    """
    owner = _process_mark(os.getpid())
    folder = Path(tempfile.mkdtemp(prefix=f"{_SCRATCH_PREFIX}-{owner}-{tile_id:03d}-", dir=output_temp_dir))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_stale_scratch(output_temp_dir: str | os.PathLike[str]) -> list[str]:
    """Remove the scratch folders of processes of this machine that no longer run; their names.

    Where psutil is not there nothing can be told, and nothing is removed.
    """
    removed = []
    for folder in sorted(Path(output_temp_dir).glob(f"{_SCRATCH_PREFIX}-*")):
        mark = folder.name.removeprefix(f"{_SCRATCH_PREFIX}-").split("-")
        if len(mark) >= 3 and mark[0] == _machine_mark() and mark[1].isdigit() and not _runs(int(mark[1]), mark[2]):
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder.name)
    return removed


def _machine_mark() -> str:
    """Tell machines that share a folder apart, without naming them."""
    return f"{zlib.crc32(platform.node().encode('utf-8')):08x}"


def _process_mark(pid: int) -> str:
    """Machine, process and when it started, since numbers of processes are used again."""
    return f"{_machine_mark()}-{pid}-{_started(pid) or 0}"


def _started(pid: int) -> int | None:
    """When a process started, in whole seconds; None where it does not run, or psutil is not there."""
    try:
        psutil = importlib.import_module("psutil")
        return int(psutil.Process(pid).create_time())
    except Exception:  # noqa: BLE001 - no psutil, no such process, or not to be asked
        return None


def _runs(pid: int, started: str) -> bool:
    """Whether the process that made a scratch folder still runs; in doubt, it does."""
    if importlib.util.find_spec("psutil") is None or not started.isdigit() or int(started) == 0:
        return True
    now = _started(pid)
    if now is None:
        return bool(importlib.import_module("psutil").pid_exists(pid))
    return abs(now - int(started)) <= 1


@dataclass(frozen=True)
class _StoredFrame:
    """One aligned frame in the scratch file; gives rows when it is sliced, as the stack asks for them."""

    path: Path
    index: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def name(self) -> str:
        """What an error calls it."""
        return f"aligned frame {self.index}"

    def __getitem__(self, rows: slice) -> FloatArray:
        """Read rows ``y0:y1``."""
        first, last, _ = rows.indices(self.shape[0])
        row = math.prod(self.shape[1:])
        offset = (self.index * self.shape[0] + first) * row * self.dtype.itemsize
        flat = np.fromfile(self.path, dtype=self.dtype, count=(last - first) * row, offset=offset)
        band: FloatArray = flat.reshape((last - first, *self.shape[1:]))
        return band


class _AlignedStore:
    """Aligned frames, one after the other in a scratch file, so that they never pile up in memory.

    Written and read by plain calls: a full disk is then an error that is raised, where a memory map would end the
    process, and no mapped page counts as this process's memory.

    Parameters
    ----------
    folder : Path
        The scratch folder.
    shape : tuple of int
        Of each frame.
    count_coverage : bool
        Whether frames come with NaN where they do not reach: these are counted per pixel, and stored as 0, which is
        what ZeMosaic stacks there under the alt-az cleanup.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], *, count_coverage: bool) -> None:
        self.path, self.shape, self.stored = folder / "aligned.f32", shape, 0
        self.coverage: CountArray | None = np.zeros(shape[:2], dtype=np.int32) if count_coverage else None

    def add(self, frame: FloatArray) -> None:
        """Append one frame, float32 of `shape`."""
        if self.coverage is not None:
            finite = np.isfinite(frame)
            self.coverage += finite if frame.ndim == 2 else finite.all(axis=2)
            frame = np.where(finite, frame, np.float32(0))
        with self.path.open("ab") as file:
            file.write(np.ascontiguousarray(frame, dtype=np.float32).data)
        self.stored += 1

    def frames(self) -> list[_StoredFrame]:
        """Give the frames, to be read by bands of rows."""
        return [_StoredFrame(self.path, i, self.shape, np.dtype(np.float32)) for i in range(self.stored)]


# ------------------------------------------------------------------------------------------------ one master

MAX_ALIGNMENT_RETRY_ATTEMPTS = 3

# Groups of fewer frames are filled up to so many by the released versions; see `create_master_tile`.
RELEASED_FEWEST_FRAMES = 5

# What ZeMosaic can switch on and this project does not do: keyword, and what it means.
_NOT_DONE_HERE = {
    "quality_crop_enabled": "the quality crop",
    "quality_gate_enabled": "the quality gate",
    "apply_radial_weight": "radial weights",
    "poststack_equalize_rgb": "RGB equalisation",
    "use_gpu": "stacking on the GPU",
    "astap_exe_path_global": "plate solving by ASTAP",
}
_TUNING_OF_THOSE = ("quality_crop_", "quality_gate_", "radial_", "min_radial_", "astap_", "winsor_", "parsed_winsor_")
_CHOICES = {"stack_norm_method": ("none",), "stack_reject_algo": ("kappa_sigma",), "stack_final_combine": ("mean",)}

# Cards that a master takes over from its reference frame. None of them tells where its owner lives.
_REFERENCE_CARDS = (
    "OBJECT", "FILTER", "INSTRUME", "CREATOR", "GAIN", "EQMODE", "DATE-OBS", "CCD-TEMP", "FOCALLEN", "XPIXSZ",
    "YPIXSZ", "RA", "DEC",
)  # fmt: skip
_MODEL_CARDS = ("INSTRUME", "CREATOR")  # of these, some firmware and programs append the telescope's serial number

# What of a WCS goes into a master: where its pixels point. astropy writes more that a frame's header held, such as
# OBSGEO-X, the observatory's place, and WCSNAME, which may say anything.
_WCS_CARD = re.compile(
    r"(?:WCSAXES|C(?:TYPE|RVAL|RPIX|DELT|UNIT|ROTA)\d|(?:PC|CD|PV)\d+_\d+|LONPOLE|LATPOLE|RADESYS|EQUINOX)[A-Z]?"
    r"|[AB]P?_(?:ORDER|\d+_\d+)|MJDREF|MJD-OBS|DATE-OBS"
)

# A serial number at the end of a model's name, such as that of "Seestar S50_0badcafe".
_SERIAL = re.compile(r"(?:^|[\W_]+)[0-9a-f]{8,}(?![^\W_])", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class _TileJob:
    """What a tile is built with."""

    tile_id: int
    folder: Path
    norm: str
    weight: str
    reject: str
    combine: str
    kappa_low: float
    kappa_high: float
    cleanup: AltazCleanupSettings | None
    progress_callback: ProgressCallback | None
    cancel: threading.Event | None
    read_fits: FitsReader | None = None
    released_footprint: bool = False
    unknown_is_zero: bool = False

    def log(self, message: str, level: str, percent: float | None = None) -> None:
        """Tell the callback."""
        _emit(self.progress_callback, message, level, percent)


@dataclass(kw_only=True)
class _AlignedGroup:
    """A group as it is aligned: stored frames, the reference, and what became of each entry, by index."""

    store: _AlignedStore
    reference: _LoadedFrame
    reference_index: int
    unreadable: list[int]
    placed: list[int] = field(default_factory=list)
    placed_by_wcs: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    exposure_s: float = 0.0


class _Cancelled(Exception):  # noqa: N818 - not an error: the run was stopped
    """The run was stopped while this tile was being built."""


def create_master_tile(
    seestar_stack_group_info: list[dict[str, Any]],
    tile_id: int,
    output_temp_dir: str | os.PathLike[str],
    stack_norm_method: str = "none",
    stack_weight_method: str = "none",
    stack_reject_algo: str = "kappa_sigma",
    stack_kappa_low: float = 3.0,
    stack_kappa_high: float = 3.0,
    parsed_winsor_limits: tuple[float, float] | None = None,  # noqa: ARG001 - ZeMosaic passes it in this place
    stack_final_combine: str = "mean",
    *,
    altaz_cleanup_enabled: bool = False,
    altaz_margin_percent: float = AltazCleanupSettings.margin_percent,
    altaz_decay: float = AltazCleanupSettings.decay,
    altaz_nanize: bool = AltazCleanupSettings.nanize,
    altaz_alpha_soft_threshold: float = AltazCleanupSettings.alpha_soft_threshold,
    altaz_nanize_threshold: float = AltazCleanupSettings.nanize_threshold,
    altaz_min_coverage_abs: float = AltazCleanupSettings.min_coverage_abs,
    altaz_min_coverage_frac: float = AltazCleanupSettings.min_coverage_frac,
    altaz_morph_open_px: int = AltazCleanupSettings.morph_open_px,
    rule: CleanupRule = CleanupRule.PATCHED,
    progress_callback: ProgressCallback | None = None,
    tile_metadata: dict[str, Any] | None = None,
    cancel_event: threading.Event | None = None,
    read_fits: FitsReader | None = None,
    **not_done_here: Any,
) -> tuple[tuple[str, Any] | None, list[list[dict[str, Any]]] | None]:
    """Build one master tile from a group of entries, and write ``master_tile_<id>.fits``.

    Frames are read one at a time, aligned on the central one (by their stars, else by their WCS), and kept on disk
    until they are stacked by bands of rows: `estimate_master_tile` says how much memory and disk that takes.

    Parameters
    ----------
    seestar_stack_group_info : list of dict
        The group's entries, as grouping or Phase 1 writes them.
    tile_id : int
        Number of the tile.
    output_temp_dir : path
        The run's temporary folder; made where it is missing.
    stack_norm_method, stack_reject_algo, stack_final_combine : str
        "none", "kappa_sigma", "mean".
    stack_weight_method : {"none", "noise_variance"}
    stack_kappa_low, stack_kappa_high : float
        Rejection limits, standard deviations.
    parsed_winsor_limits : optional
        Of a rejection that is not done here; without effect.
    altaz_cleanup_enabled : bool
        **This tile's** flag (`decide_tile_altaz_cleanup`). Mask propagation and cleanup happen only with it.
    altaz_* : optional
        Settings of the cleanup, see `AltazCleanupSettings`.
    rule : CleanupRule
        For demonstrations: under those of before the patch frames hold 0 where nothing is known, as ZeMosaic's Phase 1
        leaves them; under ``BEFORE`` a tile that is cleaned has the footprint of its frames the wrong way round, so
        that of every frame but the reference nothing is left.
    progress_callback : callable, optional
        ``progress_callback(message, percent_or_None, level)``.
    tile_metadata : dict, optional
        Gets what became of the tile: ``frames``, ``stacked``, ``failed``, ``unreadable``, ``dropped``,
        ``placed_by_wcs`` (names), ``rejected_pct``, ``is_empty``, ``valid_frac``, ``blanked_frac``, ``mask_dropped``,
        ``error``.
    cancel_event : threading.Event, optional
        Once set, the tile is given up at the next frame.
    read_fits : callable, optional
        Reads FITS files, see `load_frame`.
    **not_done_here
        ZeMosaic's switches for what this project does not do, which must be off, and their tuning.

    Returns
    -------
    (path, wcs), retry_groups
        The file, the reference's WCS or None; the groups to submit again, with `retry_attempt` and
        `retry_origin_chain`. (None, None) where the tile failed; an ERROR line says why.

    Raises
    ------
    ValueError
        A feature that this project does not do is switched on, or a setting has no meaning.
    TypeError
        A keyword that nobody knows.
    MissingExtraError
        astroalign or scipy is not there.
    """
    _refuse_what_is_not_done(not_done_here)
    chosen = {
        "stack_norm_method": stack_norm_method,
        "stack_reject_algo": stack_reject_algo,
        "stack_final_combine": stack_final_combine,
    }
    _refuse_other_choices({**chosen, "stack_weight_method": stack_weight_method})
    settings = AltazCleanupSettings(
        margin_percent=altaz_margin_percent,
        decay=altaz_decay,
        nanize=altaz_nanize,
        alpha_soft_threshold=altaz_alpha_soft_threshold,
        nanize_threshold=altaz_nanize_threshold,
        min_coverage_abs=altaz_min_coverage_abs,
        min_coverage_frac=altaz_min_coverage_frac,
        morph_open_px=altaz_morph_open_px,
    )
    align_stack.require_phase3_extra()
    job = _TileJob(
        tile_id=tile_id,
        folder=Path(output_temp_dir),
        norm=stack_norm_method,
        weight=stack_weight_method,
        reject=stack_reject_algo,
        combine=stack_final_combine,
        kappa_low=float(stack_kappa_low),
        kappa_high=float(stack_kappa_high),
        cleanup=settings if altaz_cleanup_enabled else None,
        progress_callback=progress_callback,
        cancel=cancel_event,
        read_fits=read_fits,
        released_footprint=altaz_cleanup_enabled and rule is CleanupRule.BEFORE,
        unknown_is_zero=rule in (CleanupRule.BEFORE, CleanupRule.RULE_ALONE),
    )
    return _built_or_failed(seestar_stack_group_info, job, {} if tile_metadata is None else tile_metadata)


def _refuse_what_is_not_done(options: Mapping[str, Any]) -> None:
    """Refuse switches that are on, in one sentence; a keyword that nobody knows is a mistake."""
    for keyword, value in options.items():
        if keyword in _NOT_DONE_HERE:
            if value:
                what = _NOT_DONE_HERE[keyword]
                raise ValueError(f"{keyword}={value!r} asks for {what}, which this project does not do: switch it off")
        elif not keyword.startswith(_TUNING_OF_THOSE):
            raise TypeError(f"create_master_tile() knows no keyword {keyword!r}")


def _refuse_other_choices(chosen: Mapping[str, str]) -> None:
    """Refuse methods that ZeMosaic has and this project does not."""
    known = {**_CHOICES, "stack_weight_method": align_stack.WEIGHT_METHODS}
    for keyword, value in chosen.items():
        if value not in known[keyword]:
            raise ValueError(f"{keyword}={value!r} is not done here; known: {', '.join(known[keyword])}")


def _built_or_failed(
    group: list[dict[str, Any]], job: _TileJob, told: dict[str, Any]
) -> tuple[tuple[str, Any] | None, list[list[dict[str, Any]]] | None]:
    """Build a tile; whatever goes wrong with it is logged, and is not the run's end."""
    told.update(frames=len(group), error=None)
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        with scratch_folder(job.folder, job.tile_id) as scratch:
            return _build_master(group, job, scratch, told)
    except Exception as error:  # noqa: BLE001 - the other tiles go on
        told["error"] = _failure(error)
        job.log(f"MT_FAILED tile={job.tile_id}: {told['error']}", "ERROR")
        return None, None


def _failure(error: Exception) -> str:
    """Say what went wrong, and what helps, without any folder's name."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the disk is full: free some space, or choose a folder on another disk"
    if isinstance(error, OSError):
        return f"{error.strerror or type(error).__name__}"
    if isinstance(error, MemoryError):
        return "there is not enough memory: build fewer tiles at a time"
    return str(error) or type(error).__name__


def _build_master(
    group: list[dict[str, Any]], job: _TileJob, scratch: Path, told: dict[str, Any]
) -> tuple[tuple[str, Any], list[list[dict[str, Any]]]]:
    """Align, stack, clean and write one tile."""
    aligned = _align_group(group, job, scratch)
    retry, dropped = _retry_group(group, aligned.failed, job)
    stacked, rejected_pct = align_stack.stack_kappa_sigma_clip(
        aligned.store.frames(),
        job.weight,
        sigma_low=job.kappa_low,
        sigma_high=job.kappa_high,
        progress_callback=job.progress_callback,
    )
    image, alpha, blanked_frac, mask_dropped = _cleaned(stacked, aligned.store, job)
    signal = measure_master_signal(image)
    alpha = _checked_for_signal(signal, alpha, job)
    header = _master_header(group, aligned, signal, job)
    path = _write_master(image, alpha, header, job, scratch)
    told.update(
        stacked=len(aligned.placed),
        failed=_names(group, aligned.failed),
        unreadable=_names(group, aligned.unreadable),
        dropped=dropped,
        placed_by_wcs=_names(group, aligned.placed_by_wcs),
        rejected_pct=rejected_pct,
        is_empty=signal.is_empty,
        valid_frac=signal.valid_frac,
        blanked_frac=blanked_frac,
        mask_dropped=mask_dropped,
    )
    return (str(path), aligned.reference.wcs), [retry] if retry else []


def _names(group: Sequence[Mapping[str, Any]], indices: Iterable[int]) -> tuple[str, ...]:
    return tuple(_frame_name(group[i]) for i in indices)


def _align_group(group: Sequence[Mapping[str, Any]], job: _TileJob, scratch: Path) -> _AlignedGroup:
    """Read the frames one at a time, place each on the central one, and store them."""
    unreadable: list[int] = []
    index, reference = _load_reference(group, job, unreadable)
    store = _AlignedStore(scratch, reference.pixels.shape, count_coverage=job.cleanup is not None)
    aligned = _AlignedGroup(store=store, reference=reference, reference_index=index, unreadable=unreadable)
    aligner = align_stack.FrameAligner(reference.pixels)
    for i, entry in enumerate(group):
        if job.cancel is not None and job.cancel.is_set():
            raise _Cancelled("the run was stopped")
        frame = reference if i == index else _load_or_warn(entry, i, job, unreadable)
        if frame is None:
            continue
        _align_frame(i, frame, aligner, aligned, job)
        if i in aligned.placed:
            aligned.exposure_s += _exposure_s(entry, frame)
        message = f"MT_FRAMES tile={job.tile_id} placed={len(aligned.placed)} of={len(group)}"
        job.log(message, "DEBUG_DETAIL", 100.0 * (i + 1) / len(group))
    if job.released_footprint:
        _fill_up(aligned.store)
    return aligned


def _align_frame(
    index: int, frame: _LoadedFrame, aligner: align_stack.FrameAligner, aligned: _AlignedGroup, job: _TileJob
) -> None:
    """Place one frame by its stars, else by its WCS, and store it; note it as failed where neither tells."""
    reference, shape = aligned.reference, aligner.shape
    pixels = _known(frame.pixels) if job.unknown_is_zero else frame.pixels
    if index == aligned.reference_index:
        aligned.store.add(pixels)
        aligned.placed.append(index)
        return
    placement = aligner.find_placement(frame.pixels)
    if placement is None and (frame.pixels.ndim, frame.pixels.shape[2:]) == (len(shape), shape[2:]):
        placement = placement_from_wcs(frame.wcs, frame.pixels.shape, reference.wcs)
        if placement is not None and align_stack.footprint(placement, frame.pixels.shape, shape).mean() < LEAST_OVERLAP:
            placement = None
        aligned.placed_by_wcs += [] if placement is None else [index]
    if placement is None:
        aligned.failed.append(index)
        job.log(f"MT_ALIGN_FAILED tile={job.tile_id}: {frame.name} cannot be placed on {reference.name}", "WARN")
        return
    propagate_mask_for_coverage = job.cleanup is not None
    placed = align_stack.place_frame(pixels, placement, shape, propagate_mask=propagate_mask_for_coverage)
    aligned.store.add(np.full_like(placed, np.nan) if job.released_footprint else placed)
    aligned.placed.append(index)


def _known(pixels: FloatArray) -> FloatArray:
    """Give 0 for what is not known, as ZeMosaic's Phase 1 does; stars are searched before that."""
    return np.where(np.isfinite(pixels), pixels, np.float32(0))


def _fill_up(store: _AlignedStore) -> None:
    """Repeat frames as the released versions do in small groups: copies that are aligned, of which nothing is left."""
    while store.stored < RELEASED_FEWEST_FRAMES:
        store.add(np.full(store.shape, np.nan, dtype=np.float32))


def _load_reference(
    group: Sequence[Mapping[str, Any]], job: _TileJob, unreadable: list[int]
) -> tuple[int, _LoadedFrame]:
    """Load the central frame of the group, or the one nearest to it that can be read."""
    middle = len(group) // 2
    for i in sorted(range(len(group)), key=lambda index: abs(index - middle)):
        frame = _load_or_warn(group[i], i, job, unreadable)
        if frame is not None:
            return i, frame
    raise FrameError(f"none of the {len(group)} frames of the group can be read")


def _load_or_warn(entry: Mapping[str, Any], index: int, job: _TileJob, unreadable: list[int]) -> _LoadedFrame | None:
    """Load a frame; one that cannot be read is named once, and left out."""
    if index in unreadable:
        return None
    try:
        return load_frame(entry, job.read_fits)
    except FrameError as error:
        unreadable.append(index)
        job.log(f"MT_FRAME_UNREADABLE tile={job.tile_id}: {error}; it is left out", "WARN")
        return None


def _exposure_s(entry: Mapping[str, Any], frame: _LoadedFrame) -> float:
    """Exposure of one frame, seconds; 0 where no header says it."""
    for header in (frame.header, _entry_header(entry)):
        for key in ("EXPTIME", "EXPOSURE"):
            with contextlib.suppress(TypeError, ValueError):
                exposure_s = float(_value(header, key))
                if math.isfinite(exposure_s):  # 1E400 is read as infinity
                    return exposure_s
    return 0.0


def _retry_group(
    group: list[dict[str, Any]], failed: Iterable[int], job: _TileJob
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Copy the entries that could not be placed, for another try; name those whose tries are used up."""
    again: list[dict[str, Any]] = []
    dropped: list[str] = []
    for i in failed:
        attempt = int(group[i].get("retry_attempt") or 0) + 1
        if attempt > MAX_ALIGNMENT_RETRY_ATTEMPTS:
            dropped.append(_frame_name(group[i]))
            message = f"{dropped[-1]} is dropped: it could not be aligned in {attempt} tiles"
            job.log(f"MT_RETRY_LIMIT tile={job.tile_id}: {message}", "WARN")
            continue
        chain = [*(group[i].get("retry_origin_chain") or []), job.tile_id]
        again.append({**group[i], "retry_attempt": attempt, "retry_origin_chain": chain})
    return again, tuple(dropped)


def _cleaned(stacked: FloatArray, store: _AlignedStore, job: _TileJob) -> tuple[FloatArray, AlphaArray, float, bool]:
    """Clean a stack where its flag says so; image, ALPHA plane (H, W), part blanked, whether the guard stepped in."""
    image, blanked_frac, applied = stacked, 0.0, False
    opaque: MaskArray | None = None
    if job.cleanup is not None and store.coverage is not None:
        clean = _clean_on_padded_canvas if job.released_footprint else clean_altaz_tile
        cleanup = clean(stacked, store.coverage, store.stored, job.cleanup)
        log_altaz_cleanup(cleanup, job.cleanup, job.progress_callback)
        image, applied = cleanup.image, cleanup.applied
        blanked_frac = float(np.count_nonzero(cleanup.blanked)) / cleanup.blanked.size
        opaque = cleanup.alpha > job.cleanup.alpha_soft_threshold if applied else None
    job.log(
        f"MT_PIPELINE: lecropper_applied={applied}, quality_crop=False, altaz_cleanup={job.cleanup is not None}, "
        "quality_gate=False, salvage_mode=False",
        "INFO_DETAIL",
    )
    finite = np.isfinite(image)
    seen = finite if image.ndim == 2 else finite.all(axis=2)
    alpha = (seen if opaque is None else seen & opaque).astype(np.uint8) * np.uint8(255)
    return image, alpha, blanked_frac, job.cleanup is not None and not applied


def _clean_on_padded_canvas(
    image: FloatArray, coverage: CountArray, frames_used: int, settings: AltazCleanupSettings
) -> AltazCleanup:
    """Clean as the released versions do: on a square of the frame's diagonal, so that the frame's own edge is one too.

    What is around the frame there holds nothing, and is left out of the result.
    """
    height, width = coverage.shape
    side = math.ceil(math.hypot(height, width))
    top, left = (side - height) // 2, (side - width) // 2
    around = ((top, side - height - top), (left, side - width - left))
    frame = np.s_[top : top + height, left : left + width]
    on_canvas = np.pad(image, (*around, (0, 0))[: image.ndim], constant_values=np.nan)
    cleanup = clean_altaz_tile(on_canvas, np.pad(coverage, around), frames_used, settings)
    return replace(cleanup, image=cleanup.image[frame], alpha=cleanup.alpha[frame], blanked=cleanup.blanked[frame])


def _checked_for_signal(signal: MasterSignal, alpha: AlphaArray, job: _TileJob) -> AlphaArray:
    """Make a master without signal transparent, and say so."""
    if not signal.is_empty:
        return alpha
    alpha_frac = float(np.count_nonzero(alpha)) / alpha.size
    job.log(
        f"MT_EMPTY_TILE tile={job.tile_id} max_abs={signal.max_abs:.3g} std={signal.std:.3g} "
        f"valid_frac={signal.valid_frac:.4f} alpha_frac={alpha_frac:.4f} eps={EMPTY_EPS:g}",
        "WARN",
    )
    return np.zeros_like(alpha)


def _master_header(
    group: Sequence[Mapping[str, Any]], aligned: _AlignedGroup, signal: MasterSignal, job: _TileJob
) -> Any:
    """Make a master's header: its WCS, what it took over from the reference, and ZeMosaic's own cards."""
    fits = importlib.import_module("astropy.io.fits")
    header = fits.Header(_wcs_cards(aligned.reference.wcs))
    reference_entry = group[aligned.reference_index]
    for key in _REFERENCE_CARDS:
        value = _value(aligned.reference.header, key)
        value = _value(_entry_header(reference_entry), key) if value is None else value
        if key in _MODEL_CARDS and isinstance(value, str):
            value = _SERIAL.sub("", value) or None
        if isinstance(value, str | int | float) and (not isinstance(value, float) or math.isfinite(value)):
            header[key] = _ascii(value)
    if 0 < aligned.exposure_s < math.inf:
        header["EXPTIME"] = (aligned.exposure_s, "[s] summed exposure of the stacked frames")
    for key, value, comment in _zemosaic_cards(len(group), aligned, signal, job):
        header[key] = (_ascii(value), comment)
    return header


def _wcs_cards(wcs: Any) -> list[Any]:
    """Give the cards that say where a master's pixels point; none without a WCS."""
    if wcs is None:
        return []
    return [card for card in wcs.to_header(relax=True).cards if _WCS_CARD.fullmatch(card.keyword)]


def _zemosaic_cards(
    frames: int, aligned: _AlignedGroup, signal: MasterSignal, job: _TileJob
) -> list[tuple[str, str | int | float, str]]:
    """List the cards that ZeMosaic writes into each master."""
    cards: list[tuple[str, str | int | float, str]] = [
        ("ZMT_TYPE", "Master Tile", "kind of image"),
        ("ZMT_ID", job.tile_id, "number of the master tile"),
        ("ZMT_NRAW", frames, "frames in the group"),
        ("HIERARCH ZMT_NALGN", len(aligned.placed), "frames aligned"),
        ("HIERARCH MT_NFRAMES", len(aligned.placed), "frames stacked"),
        ("ZMT_NORM", job.norm, "normalisation"),
        ("ZMT_WGHT", job.weight, "weights"),
        ("ZMT_REJ", job.reject, "rejection"),
        ("HIERARCH ZMT_KAPLO", job.kappa_low, "kappa below the median"),
        ("HIERARCH ZMT_KAPHI", job.kappa_high, "kappa above the median"),
        ("ZMT_COMB", job.combine, "combination"),
        ("ZMT_REF", aligned.reference.name, "reference frame"),
        ("ALPHAEXT", 1, "an ALPHA extension follows"),
    ]
    if signal.is_empty:
        cards += [
            ("ZMT_EMPT", 1, "this master holds no signal"),
            ("ZMT_EMAX", signal.max_abs, "largest absolute value"),
            ("ZMT_ESTD", signal.std, "standard deviation"),
            ("ZMT_EVF", signal.valid_frac, "fraction of valid pixels"),
            ("ZMT_EPS", EMPTY_EPS, "largest value that counts as nothing"),
        ]
    return cards


def _ascii(value: str | int | float) -> str | int | float:
    """Bring text to what a FITS card may hold."""
    if not isinstance(value, str):
        return value
    return "".join(char if 32 <= ord(char) < 127 else "?" for char in value)


def _write_master(image: FloatArray, alpha: AlphaArray, header: Any, job: _TileJob, scratch: Path) -> Path:
    """Write a master into the scratch folder, and move it to its place once it is whole."""
    fits = importlib.import_module("astropy.io.fits")
    planes = image if image.ndim == 2 else np.moveaxis(image, -1, 0)
    primary = fits.PrimaryHDU(np.ascontiguousarray(planes), header=header)
    hdus = fits.HDUList([primary, fits.ImageHDU(alpha, name="ALPHA")])
    target, unfinished = job.folder / f"master_tile_{job.tile_id:03d}.fits", scratch / "master.fits"
    with unfinished.open("wb") as file:
        hdus.writeto(file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(target)
    return target


# ------------------------------------------------------------------------------------------------- the whole run

_FREE_MEMORY_SHARE = 0.8  # of what is free, when the caller gives no limit
_MEMORY_WITHOUT_PSUTIL = 2 << 30
_PLANES_WHILE_ALIGNING = 12  # float32 planes alive at once while a frame is read, searched and resampled, measured
_PLANES_WHILE_CLEANING = 14  # the distance transform's distances and indices, masks, alpha
_TILE_OVERHEAD_BYTES = 48 << 20  # small things, and libraries
_UNKNOWN_SHAPE = (1920, 1080, 3)  # a Seestar's, where nothing says how large frames are
_WAKE_S = 0.5  # how long Ctrl-C may wait where the system does not interrupt waiting threads


@dataclass(frozen=True)
class TileNeeds:
    """What building a tile takes at most, over what the process holds already."""

    memory_bytes: int
    disk_bytes: int


@dataclass(frozen=True, kw_only=True)
class MasterTileResult:
    """What became of one tile of a run.

    Attributes
    ----------
    tile_id : int
        Its number.
    path : str or None
        The master; None where the tile failed.
    eqmode : str
        ``"EQ"``, ``"ALT_AZ"`` or ``"UNKNOWN"``.
    cleanup_enabled : bool
        The flag that went to `create_master_tile`.
    frames, stacked : int
        Frames of the group, and those in the master.
    failed, unreadable, dropped, placed_by_wcs : tuple of str
        File names: frames that could not be placed (they went to a retry group, or, their tries used up, were
        dropped), those that could not be read, and those placed by their WCS.
    retry_of : int or None
        The tile whose frames these are, tried again.
    retry_tile_ids : tuple of int
        The tiles that its own failed frames went to.
    rejected_pct : float or None
        Samples that the stack rejected, percent.
    is_empty : bool
        Whether the master holds no signal.
    valid_frac, blanked_frac : float
        Fractions of its pixels that are valid, and that the cleanup blanked.
    mask_dropped : bool
        Whether the cleanup ran and its 10 % guard dropped the mask, so that nothing was blanked.
    error : str or None
        Why the tile failed.
    """

    tile_id: int
    path: str | None
    eqmode: str
    cleanup_enabled: bool
    frames: int
    stacked: int = 0
    failed: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    placed_by_wcs: tuple[str, ...] = ()
    retry_of: int | None = None
    retry_tile_ids: tuple[int, ...] = ()
    rejected_pct: float | None = None
    is_empty: bool = False
    valid_frac: float = 0.0
    blanked_frac: float = 0.0
    mask_dropped: bool = False
    error: str | None = None


@dataclass(frozen=True)
class Phase3Run:
    """A run of Phase 3: its modes, its decision over the cleanup, and its tiles in the order of their numbers."""

    summary: EqmodeSummary
    decision: GlobalCleanupDecision
    rule: CleanupRule
    tiles: tuple[MasterTileResult, ...]


@dataclass(frozen=True)
class _Queued:
    """A group waiting for its turn."""

    tile_id: int
    group: list[dict[str, Any]]
    retry_of: int | None = None


def estimate_master_tile(frames: int, shape: tuple[int, ...]) -> TileNeeds:
    """Say what a tile takes at most.

    Parameters
    ----------
    frames : int
        Frames of the group.
    shape : (H, W) or (H, W, C)
        Of one aligned frame.

    Notes
    -----
    Memory does not grow with the frames, but for the kernel's floor of one row of each. It is the largest of three
    needs, which follow each other: aligning one frame, stacking by bands, cleaning and writing the result.
    """
    plane, frame = 4 * math.prod(shape[:2]), 4 * math.prod(shape)
    stacking = align_stack.estimate_chunked_peak_bytes(max(1, frames), shape) + frame
    aligning = 3 * frame + _PLANES_WHILE_ALIGNING * plane
    finishing = 4 * frame + _PLANES_WHILE_CLEANING * plane
    disk = (frames + 1) * frame + plane
    return TileNeeds(max(stacking, aligning, finishing) + _TILE_OVERHEAD_BYTES, disk)


def run_phase3_master_tiles(
    groups: Sequence[list[dict[str, Any]]],
    output_temp_dir: str | os.PathLike[str],
    *,
    altaz_cleanup_enabled: bool = False,
    rule: CleanupRule = CleanupRule.PATCHED,
    first_tile_id: int = 1,
    max_workers: int | None = None,
    memory_limit_bytes: int | None = None,
    finished: Mapping[int, MasterTileResult] | None = None,
    taken_ids: Iterable[int] = (),
    tile_callback: Callable[[MasterTileResult], object] | None = None,
    progress_callback: ProgressCallback | None = None,
    **tile_options: Any,
) -> Phase3Run:
    """Build the master tiles of a run: groups side by side, the cleanup decided tile by tile.

    Parameters
    ----------
    groups : sequence of list of dict
        The entries of each tile.
    output_temp_dir : path
        Where the masters go. What killed processes left there is removed first.
    altaz_cleanup_enabled : bool
        What the user asked for.
    rule : CleanupRule
        What decides over each tile.
    first_tile_id : int
        Number of the first group. Groups that are tried again get the next free ones, in the order of the tiles that
        they come from, so that a run gives the same numbers however many tiles are built at a time.
    max_workers : int, optional
        Tiles built at a time at most; the processor's cores where it is not given.
    memory_limit_bytes : int, optional
        Memory that tiles in flight may take together, by `estimate_master_tile`; one is always built. Without it, 80 %
        of what is free.
    finished : mapping of int to MasterTileResult, optional
        Tiles that an earlier run built, by their numbers: they count in the run's summary and are not built again.
    taken_ids : iterable of int
        Numbers that no group may get that is tried again.
    tile_callback : callable, optional
        Gets each tile's result as soon as it is known, in the calling thread. What it raises ends the run.
    progress_callback : callable, optional
        ``progress_callback(message, percent_or_None, level)``; called from several threads, one at a time.
    **tile_options
        Go to `create_master_tile` as they are.

    Returns
    -------
    Phase3Run
        With a result for every tile, also for those that failed.

    Raises
    ------
    ValueError, TypeError, MissingExtraError
        As `create_master_tile`, before anything is built.
    """
    callback = _one_at_a_time(progress_callback)
    entries = [entry for group in groups for entry in group]
    summary = summarize_eqmodes(entries)
    decision = decide_global_altaz_cleanup(altaz_cleanup_enabled, summary)
    flag = rule.run_flag(decision, summary)
    if rule is CleanupRule.PATCHED:
        log_run_cleanup(summary, decision, callback)
    else:
        _log_run_before(summary, flag and not decision.requested, callback)
    align_stack.require_phase3_extra()
    for name in remove_stale_scratch(output_temp_dir):
        _emit(callback, f"P3_SCRATCH: removed what a process that ended left behind: {name}", "INFO")
    if rule is not CleanupRule.PATCHED:
        tile_options = {**tile_options, "rule": rule}
    run = _TileRun(Path(output_temp_dir), flag, rule, callback, tile_options)
    run.know(finished or {}, taken_ids, tile_callback)
    limit = memory_limit_bytes if memory_limit_bytes is not None else _free_memory_bytes()
    tiles = run.build_all(groups, first_tile_id, max_workers or os.cpu_count() or 1, limit)
    return Phase3Run(summary, decision, rule, tiles)


def _log_run_before(summary: EqmodeSummary, switched_on: bool, callback: ProgressCallback | None) -> None:
    """Log what ZeMosaic logged of a run before the patch."""
    _emit(callback, summary.log_line(), "INFO")
    if switched_on:
        _emit(callback, "AUTO_ALTaz_cleanup: enabled (contains_altaz=True, config_requested=False)", "INFO")


class _TileRun:
    """The tiles of one run, waiting, in flight and done."""

    def __init__(
        self,
        folder: Path,
        global_enabled: bool,
        rule: CleanupRule,
        callback: ProgressCallback | None,
        tile_options: dict[str, Any],
    ) -> None:
        self._folder, self._global_enabled, self._rule = folder, global_enabled, rule
        self._callback, self._options = callback, tile_options
        self._cancel = threading.Event()
        self._waiting: deque[_Queued] = deque()
        self._flying: dict[Future[_Outcome], tuple[_Queued, int]] = {}
        self._ended: dict[int, tuple[_Queued, _Outcome]] = {}
        self._done: dict[int, MasterTileResult] = {}
        self._taken: set[int] = set()
        self._tile_callback: Callable[[MasterTileResult], object] | None = None

    def know(
        self,
        finished: Mapping[int, MasterTileResult],
        taken_ids: Iterable[int],
        tile_callback: Callable[[MasterTileResult], object] | None,
    ) -> None:
        """Take the tiles that were built before, numbers that are not free, and who wants to hear of the others."""
        self._done.update(finished)
        self._taken.update(taken_ids, finished)
        self._tile_callback = tile_callback

    def build_all(
        self, groups: Sequence[list[dict[str, Any]]], first_id: int, workers: int, limit_bytes: int
    ) -> tuple[MasterTileResult, ...]:
        """Build every group, and what they give back for another try."""
        queued = [_Queued(first_id + i, list(group)) for i, group in enumerate(groups)]
        self._waiting.extend(one for one in queued if one.tile_id not in self._done)
        self._next_ids = (tile_id for tile_id in count(first_id + len(groups)) if tile_id not in self._taken)
        with ThreadPoolExecutor(workers, "master_tile") as pool:
            try:
                while self._waiting or self._flying:
                    self._start_some(pool, workers, limit_bytes)
                    for future in wait(self._flying, _WAKE_S, FIRST_COMPLETED).done:
                        self._take(future)
            except BaseException:
                self._cancel.set()  # Ctrl-C, or a refused option: tiles in flight end at their next frame
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return tuple(self._done[tile_id] for tile_id in sorted(self._done))

    def _start_some(self, pool: ThreadPoolExecutor, workers: int, limit_bytes: int) -> None:
        """Start waiting tiles while there are threads and memory for them; one is always started."""
        while self._waiting and len(self._flying) < workers:
            queued = self._waiting[0]
            need = estimate_master_tile(len(queued.group), _group_shape(queued.group)).memory_bytes
            taken = sum(bytes_ for _, bytes_ in self._flying.values())
            if self._flying and taken + need > limit_bytes:
                return
            self._waiting.popleft()
            self._flying[pool.submit(self._build, queued)] = queued, need

    def _build(self, queued: _Queued) -> _Outcome:
        """Gate one tile and build it, in a thread of the pool."""
        decision = decide_tile_altaz_cleanup(queued.tile_id, queued.group, self._global_enabled)
        gated = self._rule is CleanupRule.PATCHED
        enabled = decision.tile_enabled if gated else self._global_enabled
        if gated:
            log_tile_cleanup(decision, self._callback)
        told: dict[str, Any] = {}
        made, retry_groups = create_master_tile(
            queued.group,
            queued.tile_id,
            str(self._folder),
            altaz_cleanup_enabled=enabled,
            progress_callback=self._callback,
            tile_metadata=told,
            cancel_event=self._cancel,
            **self._options,
        )
        return _Outcome(
            eqmode=decision.evidence.mode,
            enabled=enabled,
            path=made[0] if made else None,
            retry_groups=retry_groups or [],
            told=told,
        )

    def _take(self, future: Future[_Outcome]) -> None:
        """Take what became of a tile."""
        queued, _ = self._flying.pop(future)
        try:
            outcome = future.result()
        except (ValueError, TypeError, ImportError):
            raise  # an option that no tile could be built with
        except Exception as error:  # noqa: BLE001 - one failing tile does not stop the others
            reason = _failure(error)
            _emit(self._callback, f"MT_FAILED tile={queued.tile_id}: {reason}", "ERROR")
            outcome = _Outcome(
                eqmode=_infer_group_eqmode(queued.group),
                enabled=False,
                path=None,
                retry_groups=[],
                told={"error": reason},
            )
        self._ended[queued.tile_id] = queued, outcome
        for tile_id in sorted(self._ended):
            if self._may_be_noted(tile_id):
                self._note(*self._ended.pop(tile_id))

    def _may_be_noted(self, tile_id: int) -> bool:
        """Whether a tile gives nothing back, or every tile before it has ended: then its retries' numbers are known."""
        _, outcome = self._ended[tile_id]
        return not outcome.retry_groups or all(tile_id < queued.tile_id for queued, _ in self._flying.values())

    def _note(self, queued: _Queued, outcome: _Outcome) -> None:
        """Note a tile, and queue what it gives back."""
        ids = tuple(self._queue_again(group, queued, outcome.eqmode) for group in outcome.retry_groups)
        self._done[queued.tile_id] = outcome.result(queued, ids)
        done = len(self._done)
        total = done + len(self._ended) + len(self._flying) + len(self._waiting)
        message = f"P3_TILES: done={done} of={total}"
        _emit(self._callback, message, "INFO", 100.0 * done / total)
        if self._tile_callback is not None:
            self._tile_callback(self._done[queued.tile_id])

    def _queue_again(self, group: list[dict[str, Any]], origin: _Queued, eqmode: str) -> int:
        """Queue a retry group under the next free number; it keeps its keys, and so its mode."""
        tile_id = next(self._next_ids)
        if eqmode != UNKNOWN and _infer_group_eqmode(group) == UNKNOWN:
            group = [{**entry, "_eqmode_mode": eqmode} for entry in group]  # its parent's frames said it for these
        self._waiting.append(_Queued(tile_id, group, origin.tile_id))
        message = f"P3_RETRY: {len(group)} frames of tile {origin.tile_id} are tried again as tile {tile_id}"
        _emit(self._callback, message, "INFO")
        return tile_id


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """What building a tile gave."""

    eqmode: str
    enabled: bool
    path: str | None
    retry_groups: list[list[dict[str, Any]]]
    told: dict[str, Any]

    def result(self, queued: _Queued, retry_tile_ids: tuple[int, ...]) -> MasterTileResult:
        """Make the tile's result."""
        fields = {key: value for key, value in self.told.items() if key != "frames"}
        return MasterTileResult(
            tile_id=queued.tile_id,
            path=self.path,
            eqmode=self.eqmode,
            cleanup_enabled=self.enabled,
            frames=len(queued.group),
            retry_of=queued.retry_of,
            retry_tile_ids=retry_tile_ids,
            **fields,
        )


def _one_at_a_time(progress_callback: ProgressCallback | None) -> ProgressCallback | None:
    """Guard a callback, which need not be made for several threads."""
    if progress_callback is None:
        return None
    lock = threading.Lock()

    def guarded(*args: Any, **kwargs: Any) -> object:
        with lock:
            return progress_callback(*args, **kwargs)

    return guarded


def _group_shape(group: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
    """Shape of a group's aligned frames, from its entries, or the first file's header."""
    for entry in group:
        shape = _value(entry, "preprocessed_shape") or _header_shape(_entry_header(entry))
        if shape:
            return tuple(int(side) for side in shape)
    with contextlib.suppress(Exception):  # a file that cannot be read will be named when the tile is built
        path = _frame_path(group[0])
        if path.suffix.lower() == ".npy":
            return tuple(np.load(path, mmap_mode="r", allow_pickle=False).shape)
        fits = importlib.import_module("astropy.io.fits")
        return _header_shape(fits.getheader(path)) or _UNKNOWN_SHAPE
    return _UNKNOWN_SHAPE


def _header_shape(header: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Shape (H, W, C) of a frame as it will be aligned, from its header."""
    width, height = _value(header, "NAXIS1"), _value(header, "NAXIS2")
    if not (isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0):
        return None
    return height, width, 3


def _free_memory_bytes() -> int:
    """Memory that tiles may take, where the caller gives no limit."""
    try:
        available = importlib.import_module("psutil").virtual_memory().available
    except Exception:  # noqa: BLE001 - psutil is not needed
        return _MEMORY_WITHOUT_PSUTIL
    return int(available * _FREE_MEMORY_SHARE)


# ------------------------------------------------------------------------------------------------ self-test

# What `_selftest_infer_group_eqmode` expects: (group, mode).
_SELFTEST_GROUPS: tuple[tuple[Any, str], ...] = (
    (None, UNKNOWN),
    ("EQ", UNKNOWN),
    ({"EQMODE": 1}, UNKNOWN),
    ([], UNKNOWN),
    ([{}], UNKNOWN),
    ([None, "EQ"], UNKNOWN),
    ([{"MOUNT_MODE": "EQ", "EQMODE": 0}], EQ),
    ([{"MOUNT_MODE": "equatorial", "_eqmode_mode": "ALT_AZ"}], EQ),
    ([{"MOUNT_MODE": "Alt-Az", "EQMODE": 1}], ALT_AZ),
    ([{"_eqmode_mode": "ALTAZ", "EQMODE": 1}], ALT_AZ),
    ([{"_eqmode_mode": "1", "EQMODE": 0}], EQ),
    ([{"EQMODE": "ALT AZ", "header": {"EQMODE": 1}}], ALT_AZ),
    ([{"header": {"EQMODE": "EQUATORIAL"}, "header_subset": {"EQMODE": 0}}], EQ),
    ([{"MOUNT_MODE": "UNKNOWN", "_eqmode_mode": "ALT_AZ", "EQMODE": 1}], ALT_AZ),
    ([{"MOUNT_MODE": "EQMODE_1"}], EQ),
    ([{"MOUNT_MODE": 1, "EQMODE": "0"}], ALT_AZ),
    ([{"EQMODE": " 1.0 "}], EQ),
    ([{"EQMODE": 2, "header": {"EQMODE": 0}}], ALT_AZ),
    ([{"header": {"EQMODE": 1}, "header_subset": {"EQMODE": 0}}], EQ),
    ([{"header": {}, "header_subset": {"EQMODE": 0}}], ALT_AZ),
    ([{"path": "a.fit"}, {"EQMODE": 0}, {"EQMODE": 1}], ALT_AZ),
    ([{"EQMODE": "equator"}], UNKNOWN),
)


def _selftest_infer_group_eqmode() -> None:
    """Check `_infer_group_eqmode` on groups whose mode is known. Never called in production.

    Raises
    ------
    AssertionError
        Naming the first group that is inferred wrongly.
    """
    for group, expected in _SELFTEST_GROUPS:
        inferred = _infer_group_eqmode(group)
        if inferred != expected:
            raise AssertionError(f"_infer_group_eqmode({group!r}) gave {inferred!r}, expected {expected!r}")
