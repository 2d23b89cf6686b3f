"""ZeMosaic Phase 3: the mount mode of a group, and whether the alt-az cleanup may touch its tile.

The idea: the alt-az cleanup blanks poorly covered pixels. That is right for a tile taken in alt-az mode,
whose field rotates, and destroys one taken in equatorial mode. Grouping keeps the two apart, so Phase 3
decides group by group: a tile is cleaned only if the run asks for it *and* the group is alt-az.

Every decision is a pure function that returns a small frozen result: the decision, its reason, its evidence.
The functions named ``log_*`` hand these results to ZeMosaic's progress callback and do nothing else, so that
the worker and its diagnostics share one truth. No function here opens a file. Nothing but the standard
library is imported: a header may be a plain dict or an ``astropy.io.fits.Header``, read the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

EQ, ALT_AZ, UNKNOWN = "EQ", "ALT_AZ", "UNKNOWN"

# How many entries of a group are asked for their mode: the first, then a few more where it says nothing.
EQMODE_ENTRIES_ASKED = 16

# Where an entry may say its mode, in the order of asking. The first two count only when they are text.
_TEXT_KEYS = ("MOUNT_MODE", "_eqmode_mode")
_HEADER_KEYS = ("header", "header_subset")

ProgressCallback = Callable[..., object]


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


@dataclass(frozen=True)
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


def _mode_from_text(value: Any) -> str:
    """Read a mode that grouping wrote as text: ``EQ``, ``ALT_AZ``, or ``EQMODE_<n>``."""
    if not isinstance(value, str):
        return UNKNOWN
    text = value.strip().upper()
    if text.startswith("EQMODE_"):
        return _mode_from_number(text.removeprefix("EQMODE_"))
    return text if text in (EQ, ALT_AZ) else UNKNOWN


def _value(mapping: Any, key: str) -> Any:
    """Read a key of a dict or a ``fits.Header``; None where it is missing or cannot be parsed."""
    try:
        return mapping.get(key)
    except Exception:  # noqa: BLE001 - a broken card says nothing; astropy raises many kinds for it
        return None


def _statements(entry: Mapping[str, Any]) -> Iterable[tuple[str, Any, str]]:
    """Give (key, value, mode) for each place where an entry may say its mode, in the order of asking."""
    for key in _TEXT_KEYS:
        value = _value(entry, key)
        yield key, value, _mode_from_text(value)
    value = _value(entry, "EQMODE")
    yield "EQMODE", value, _mode_from_number(value)
    for key in _HEADER_KEYS:
        value = _value(_value(entry, key), "EQMODE")
        yield f"{key}[EQMODE]", value, _mode_from_number(value)


def entry_eqmode(entry: Mapping[str, Any]) -> EqmodeEvidence:
    """Find the mount mode that one entry states.

    Parameters
    ----------
    entry : mapping
        A frame as grouping or Phase 1 describes it. Asked in this order: ``MOUNT_MODE`` and ``_eqmode_mode``
        where they are text, ``EQMODE``, then ``EQMODE`` in ``header`` and in ``header_subset``.

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
        The entries of one master tile; the first `EQMODE_ENTRIES_ASKED` are asked.

    Returns
    -------
    EqmodeEvidence
        The mode, and which key of which entry said it.
    """
    for index, entry in enumerate(group[:EQMODE_ENTRIES_ASKED]):
        evidence = entry_eqmode(entry)
        if evidence.mode != UNKNOWN:
            return EqmodeEvidence(evidence.mode, index, evidence.key, evidence.value)
    return EqmodeEvidence()


def _infer_group_eqmode(group: list[dict[str, Any]]) -> str:
    """Give the mount mode of a group: ``"EQ"``, ``"ALT_AZ"`` or ``"UNKNOWN"``. Never opens a file.

    Parameters
    ----------
    group : list of dict
        The entries of one master tile. A retried group keeps its keys and is inferred the same.

    See Also
    --------
    group_eqmode : the same, with the evidence.
    """
    return group_eqmode(group).mode


def summarize_eqmodes(entries: Iterable[Mapping[str, Any]]) -> EqmodeSummary:
    """Count the mount modes that the entries of a run state, each entry by itself."""
    counts = {EQ: 0, ALT_AZ: 0, UNKNOWN: 0}
    for entry in entries:
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
        reason = f"{summary.altaz} of {summary.total} frames are ALT_AZ"
        if requested:
            return GlobalCleanupDecision(True, True, reason)
        message = f"ALTaz cleanup enabled automatically: {reason}."
        return GlobalCleanupDecision(False, True, reason, "INFO", message)
    reason = "no frame of the run says ALT_AZ"
    if not requested:
        return GlobalCleanupDecision(False, False, reason)
    message = "ALTaz cleanup requested but no ALT_AZ frames detected -> disabled (EQ-only run)."
    return GlobalCleanupDecision(True, False, reason, "WARN", message)


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


def _emit(progress_callback: ProgressCallback | None, message: str, level: str) -> None:
    """Hand one line to ZeMosaic's progress callback; a callback that raises never stops Phase 3."""
    if progress_callback is None:
        return
    try:
        progress_callback(message, None, level)
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


# What `_selftest_infer_group_eqmode` expects: (group, mode).
_SELFTEST_GROUPS: tuple[tuple[list[dict[str, Any]], str], ...] = (
    ([], UNKNOWN),
    ([{}], UNKNOWN),
    ([{"MOUNT_MODE": "EQ", "EQMODE": 0}], EQ),
    ([{"MOUNT_MODE": "UNKNOWN", "_eqmode_mode": "ALT_AZ", "EQMODE": 1}], ALT_AZ),
    ([{"MOUNT_MODE": "EQMODE_1"}], EQ),
    ([{"MOUNT_MODE": 1, "EQMODE": "0"}], ALT_AZ),
    ([{"EQMODE": " 1.0 "}], EQ),
    ([{"EQMODE": 2, "header": {"EQMODE": 0}}], ALT_AZ),
    ([{"header": {"EQMODE": 1}, "header_subset": {"EQMODE": 0}}], EQ),
    ([{"header": {}, "header_subset": {"EQMODE": 0}}], ALT_AZ),
    ([{"path": "a.fit"}, {"EQMODE": 0}, {"EQMODE": 1}], ALT_AZ),
    ([{"EQMODE": "equatorial"}], UNKNOWN),
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
