"""The jobs that a checkout's interpreter does for us, as plain data: what each asks for, and what it answers.

Each function makes the dict that `child.run_job` runs. The answers are in `Outcome.result`, by the names that `runner`
gives; the functions named ``read_*`` make something better of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .checkout import Checkout
from .child import Ending, Outcome, Runnable, ending_of
from .interpreter import Interpreter

LIFTED, IMPORTED = "lifted", "imported"
_LADDER = (LIFTED, IMPORTED)

Card = str | Sequence[Any]


def runnable(checkout: Checkout, interpreter: Interpreter) -> Runnable:
    """Say where jobs run."""
    return Runnable(
        interpreter=interpreter.path,
        extra_paths=interpreter.extra_paths,
        checkout=checkout.folder,
        modules_only=checkout.installed,
    )


# ------------------------------------------------------------------------------------------------- many at once


def batch_job(jobs: Sequence[Mapping[str, Any]], rungs: Sequence[str] = _LADDER) -> dict[str, Any]:
    """Ask for several jobs to be done in one process, which gets its functions by these rungs."""
    return {"kind": "batch", "jobs": [dict(job) for job in jobs], "rungs": list(rungs)}


@dataclass(frozen=True)
class Answer:
    """What became of one job of several: how it ended, the sentence of it, and what it found."""

    ending: Ending
    detail: str
    result: dict[str, Any]


def read_batch(outcome: Outcome) -> tuple[Answer, ...]:
    """Read what became of each job; empty where the process did not do all of them."""
    return tuple(Answer(*ending_of(result), result) for result in outcome.result.get("results", ()))


# ------------------------------------------------------------------------------------------------------ values


def header_value(cards: Iterable[Card], form: str = "fits.Header") -> dict[str, Any]:
    """Code a header for a job.

    Parameters
    ----------
    cards : iterable
        80-character images, or (keyword, value, comment); a value of None is a card without one.
    form : {"fits.Header", "dict"}
        What it becomes: as Phase 1 of ZeMosaic keeps it, or as grouping does.
    """
    return {"$": "header", "form": form, "cards": [_coded_card(card) for card in cards]}


def wcs_value(cards: Iterable[Card]) -> dict[str, Any]:
    """Code a WCS for a job, by the cards that define it."""
    return {"$": "wcs", "cards": [_coded_card(card) for card in cards]}


def numpy_value(value: Any, dtype: str) -> dict[str, Any]:
    """Code a NumPy scalar for a job."""
    return {"$": "numpy", "dtype": dtype, "value": value}


def coded(value: Any) -> Any:
    """Code what an entry may hold: plain values, NumPy scalars, paths, tuples, astropy headers."""
    if isinstance(value, np.generic):
        return numpy_value(value.item(), str(value.dtype))
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return {"$": "tuple", "items": [coded(item) for item in value]}
    if isinstance(value, list):
        return [coded(item) for item in value]
    if hasattr(value, "cards"):  # a header is a mapping too
        text = "".join(map(card_text, value.cards))
        return header_value(text[start : start + 80] for start in range(0, len(text), 80))
    if isinstance(value, Mapping):
        return {str(key): coded(item) for key, item in value.items()}
    return value


def card_text(card: Any) -> str:
    """Give an astropy card as it stands in its file.

    ``str(card)`` would give it mended where it breaks the standard, and mend it in its header too.
    """
    text = getattr(card, "_image", None)
    return str(card) if not text or getattr(card, "_modified", False) else str(text)


def _coded_card(card: Card) -> Any:
    """Code a card; its value has one type in FITS, whoever made it."""
    return card if isinstance(card, str) else [part.item() if isinstance(part, np.generic) else part for part in card]


# ------------------------------------------------------------------------------------------------------- modes


def infer_job(
    groups: Sequence[Sequence[Any]], *, modes: bool = True, seestar: bool = False, rungs: Sequence[str] = _LADDER
) -> dict[str, Any]:
    """Ask for the mount mode of many groups at once.

    Parameters
    ----------
    groups : sequence of sequence of dict
        The entries of each; see `coded` and `header_value` for what they may hold.
    modes, seestar : bool, keyword-only
        Whether to ask for the mode, and for whether one of the entries is taken for a Seestar's.
    rungs : sequence of str, keyword-only
        The ladder.
    """
    return {
        "kind": "infer",
        "groups": [[coded(entry) for entry in group] for group in groups],
        "modes": modes,
        "seestar": seestar,
        "rungs": list(rungs),
    }


@dataclass(frozen=True, kw_only=True)
class InferredMode:
    """What a checkout says of one group.

    Attributes
    ----------
    mode : str or None
        As it was returned; None where it was not asked, or where it raised.
    seestar : bool or None
        Whether an entry is taken for a Seestar's.
    raised : str
        What was raised instead; else empty.
    changed : bool
        Whether the entries are other than before.
    opened : tuple of str
        Files that were opened for it.
    """

    mode: str | None
    seestar: bool | None
    raised: str
    changed: bool
    opened: tuple[str, ...]


def read_modes(outcome: Outcome | Answer) -> tuple[InferredMode, ...]:
    """Read what a checkout says of each group; empty where the job did not end well."""
    return tuple(
        InferredMode(
            mode=group.get("mode"),
            seestar=group.get("seestar"),
            raised=group.get("raised", {}).get("told", ""),
            changed=bool(group.get("changed")),
            opened=tuple(group.get("opened", ())),
        )
        for group in outcome.result.get("groups", ())
    )


def decide_job(
    runs: Sequence[tuple[bool, Sequence[Sequence[Any]]]], *, raising: bool = False, rungs: Sequence[str] = _LADDER
) -> dict[str, Any]:
    """Ask what is decided over runs and their tiles: released versions do it within a longer function.

    Parameters
    ----------
    runs : sequence of (requested, groups)
        Whether the user asked for cleanup, and the entries of each tile.
    raising : bool, keyword-only
        Whether the progress callback raises.
    rungs : sequence of str, keyword-only
        The ladder.
    """
    asked = [
        {"requested": requested, "groups": [[coded(e) for e in group] for group in groups], "raising": raising}
        for requested, groups in runs
    ]
    return {"kind": "decide", "runs": asked, "rungs": list(rungs)}


@dataclass(frozen=True, kw_only=True)
class DecidedTile:
    """What was decided over a tile, and what that rests on.

    Attributes
    ----------
    enabled : bool
        Whether it is cleaned.
    reason : str
        Why.
    mode : str
        Of the group.
    entry_index : int or None
        The entry that said so.
    key, value : str or None
        The key that said so, and what stood there.
    line : str
        Its line in the log.
    """

    enabled: bool
    reason: str
    mode: str
    entry_index: int | None
    key: str | None
    value: str | None
    line: str


@dataclass(frozen=True, kw_only=True)
class DecidedRun:
    """What was decided over a run.

    Attributes
    ----------
    eq, altaz, unknown : int
        Its counts of frames.
    effective : bool
        Whether it cleans its alt-az tiles.
    reason : str
        Why.
    summary_line : str
        The counts, as they are logged.
    message : str or None
        The line that is logged where the flag is not what was asked for.
    tiles : tuple of DecidedTile
        Its tiles.
    """

    eq: int
    altaz: int
    unknown: int
    effective: bool
    reason: str
    summary_line: str
    message: str | None
    tiles: tuple[DecidedTile, ...]


def read_decisions(outcome: Outcome | Answer) -> tuple[DecidedRun, ...]:
    """Read what was decided over each run; empty where the job did not end well."""
    return tuple(map(_decided_run, outcome.result.get("runs", ())))


def _decided_run(told: Mapping[str, Any]) -> DecidedRun:
    tiles = list(zip(told["tiles"], told["reasons"], strict=True))
    said = [message for _level, message in told["said"]]
    of_run, of_tiles = said[: len(said) - len(tiles)], said[len(said) - len(tiles) :]
    eq, altaz, unknown = told["counts"][:3]
    return DecidedRun(
        eq=eq,
        altaz=altaz,
        unknown=unknown,
        effective=told["enabled"],
        reason=told["reason"],
        summary_line=of_run[0],
        message=of_run[1] if len(of_run) > 1 else None,
        tiles=tuple(
            DecidedTile(enabled=enabled, line=line, **why) for (enabled, why), line in zip(tiles, of_tiles, strict=True)
        ),
    )


# ------------------------------------------------------------------------------------------------- kappa-sigma


def kappa_job(
    function: str,
    frames: Sequence[Path],
    stacked: Path,
    *,
    hand_over: str = "float32",
    weights: Path | None = None,
    sigma: tuple[float, float] = (3.0, 3.0),
    chunk_rows: int | None = None,
    callback: str | None = None,
    watch: bool = False,
    rungs: Sequence[str] = _LADDER,
) -> dict[str, Any]:
    """Ask for a stack.

    Parameters
    ----------
    function : {"fallback", "fullframe", "chunked"}
        Which of the kappa functions.
    frames : sequence of Path
        ``.npy`` files, (H, W) or (H, W, C); one whose name ends in ``.stack.npy`` holds many frames, (N, H, W[, C]).
    stacked : Path
        The ``.npy`` file that the result goes to.
    hand_over : {"float32", "as they are", "lazy", "array", "generator"}, keyword-only
        How frames are handed over. Released versions want a list of arrays in memory.
    weights : Path, optional
        An ``.npy`` file of any shape.
    sigma : (low, high), keyword-only
        Rejection limits, standard deviations.
    chunk_rows : int, optional
        For ``"chunked"``; its own default where it is not given.
    callback : {None, "count", "raise"}, keyword-only
        The progress callback.
    watch : bool, keyword-only
        Whether to see if the frames are changed; not for ``"generator"``.
    rungs : sequence of str, keyword-only
        The ladder.
    """
    return {
        "kind": "kappa",
        "function": function,
        "frames": [str(path.absolute()) for path in frames],
        "stacked": str(stacked.absolute()),
        "hand_over": hand_over,
        "weights": None if weights is None else str(weights.absolute()),
        "sigma_low": sigma[0],
        "sigma_high": sigma[1],
        "chunk_rows": chunk_rows,
        "callback": callback,
        "watch": watch,
        "rungs": list(rungs),
    }


# --------------------------------------------------------------------------------------------- tests and imports


def selftests_job(*, sabotage: bool = False, rungs: Sequence[str] = _LADDER) -> dict[str, Any]:
    """Ask for the checkout's own tests: each answers a state (passed, failed, raised, absent) and a detail.

    Where `sabotage` is set, what they test is made wrong before: a test that then passes tests nothing.
    """
    return {"kind": "selftests", "sabotage": sabotage, "rungs": list(rungs)}


def import_job(module: str, *, guarded: bool = True) -> dict[str, Any]:
    """Ask for a module to be imported, from a copy, to see what that does.

    Parameters
    ----------
    module : str
        Its name.
    guarded : bool, keyword-only
        Whether ZeMosaic is kept from opening its log, as for all other jobs. Without it, `Outcome.written` shows the
        log that importing would have truncated.
    """
    return {"kind": "import", "module": module, "guarded": guarded, "rungs": [IMPORTED]}


# --------------------------------------------------------------------------------------------- footprints


def align_job(
    frames: Sequence[Path], aligned: Path, *, reference: int = 0, propagate_mask: bool = True
) -> dict[str, Any]:
    """Ask for frames to be aligned; what became of each goes into the folder `aligned` (float32)."""
    return {
        "kind": "align",
        "frames": [str(path.absolute()) for path in frames],
        "aligned": str(aligned.absolute()),
        "reference": reference,
        "propagate_mask": propagate_mask,
        "rungs": [IMPORTED],
    }


FootprintVerdict = str
Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Footprint:
    """Which pixels of a frame survive its alignment on another.

    Attributes
    ----------
    verdict : str
        ``"right"``: those where it lies on the other. ``"wrong way round"``: none of those, whatever survives where it
        does not. ``"not blanked"``: all. ``"neither"``, ``"not aligned"``.
    kept_within, kept_outside : float
        Fractions that survive of the pixels where it lies on the other, and of those where it does not.
    padded : tuple of int
        Pixels that the canvas grew by: rows, columns.
    """

    verdict: str
    kept_within: float
    kept_outside: float
    padded: tuple[int, int]


def footprint_frames(shift: tuple[int, int], shape: tuple[int, int] = (400, 480), seed: int = 7) -> list[Pixels]:
    """Make two frames of one star field, the second's pixel [y, x] showing what the first's [y + dy, x + dx] does.

    Returns
    -------
    list of two float32 ndarray, (H, W, 3)
    """
    return dithered_frames(((0, 0), shift), shape, seed)


def dithered_frames(
    shifts: Sequence[tuple[int, int]], shape: tuple[int, int] = (400, 480), seed: int = 7
) -> list[Pixels]:
    """Make frames of one star field, pixel [y, x] of each showing what [y + dy, x + dx] of an unshifted one does.

    Returns
    -------
    list of float32 ndarray, (H, W, 3)
    """
    random = np.random.default_rng(seed)
    height, width = shape
    margin = max(abs(by) for shift in shifts for by in shift)
    sky = np.full((height + 2 * margin, width + 2 * margin), 500.0)
    for y, x, flux in zip(
        random.uniform(0, sky.shape[0], 160),
        random.uniform(0, sky.shape[1], 160),
        random.pareto(1.5, 160) * 3000 + 2000,
        strict=True,
    ):
        _add_star(sky, y, x, flux)
    frames = []
    for dy, dx in shifts:
        seen = sky[margin + dy : margin + dy + height, margin + dx : margin + dx + width]
        noisy = seen[:, :, None] + random.normal(0, 8.0, (height, width, 3))
        frames.append(noisy.astype(np.float32))
    return frames


def _add_star(sky: npt.NDArray[np.float64], y: float, x: float, flux: float, sigma: float = 1.6) -> None:
    reach = 8
    top, left = max(0, int(y) - reach), max(0, int(x) - reach)
    part = sky[top : int(y) + reach, left : int(x) + reach]
    rows, columns = np.mgrid[top : top + part.shape[0], left : left + part.shape[1]]
    part += flux / (2 * np.pi * sigma**2) * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))


def read_footprint(outcome: Outcome, shift: tuple[int, int], shape: tuple[int, int] = (400, 480)) -> Footprint:
    """Judge what became of the second of the two frames."""
    files = outcome.result.get("aligned") or [None, None]
    if files[1] is None:
        return Footprint("not aligned", 0.0, 0.0, (0, 0))
    aligned = np.load(files[1])
    padded = aligned.shape[0] - shape[0], aligned.shape[1] - shape[1]
    kept = np.isfinite(aligned).all(axis=2)
    within = np.zeros(kept.shape, bool)
    top, left = padded[0] // 2, padded[1] // 2
    (y0, y1), (x0, x1) = (_overlap(length, by) for length, by in zip(shape, shift, strict=True))
    within[top + y0 : top + y1, left + x0 : left + x1] = True
    canvas = np.zeros(kept.shape, bool)
    canvas[top : top + shape[0], left : left + shape[1]] = True
    fractions = float(kept[within].mean()), float(kept[canvas & ~within].mean())
    return Footprint(_verdict(*fractions), *fractions, padded)


def _overlap(length: int, by: int) -> tuple[int, int]:
    return max(0, by), min(length, length + by)


def _verdict(kept_within: float, kept_outside: float) -> str:
    if kept_within < 0.1:
        return "wrong way round"
    if kept_within > 0.9:
        return "right" if kept_outside < 0.1 else "not blanked" if kept_outside > 0.9 else "neither"
    return "neither"


# ------------------------------------------------------------------------------------------------ master tiles


def write_cache(path: Path, pixels: npt.NDArray[Any]) -> tuple[int, int, int]:
    """Write a frame as ZeMosaic's Phase 1 caches it, see `cache_pixels`; its shape."""
    colour = cache_pixels(pixels)
    np.save(path, colour)
    return colour.shape[0], colour.shape[1], 3


def cache_pixels(pixels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Bring a frame to what ZeMosaic's Phase 1 caches: float32, (H, W, 3), C-ordered, and 0 where nothing is known.

    Parameters
    ----------
    pixels : ndarray, (H, W) or (H, W, 3)
        A frame without colour is the same in all three channels.
    """
    colour = pixels if pixels.ndim == 3 else pixels[:, :, None]
    colour = np.broadcast_to(colour, (*colour.shape[:2], 3))
    return np.ascontiguousarray(np.where(np.isfinite(colour), colour, 0), dtype=np.float32)


def cache_entry(
    path_raw: str,
    cache: Path,
    shape: Sequence[int],
    index: int,
    header: Iterable[Card],
    wcs: Iterable[Card] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Make an entry as ZeMosaic's Phase 1 does, coded for a job.

    Parameters
    ----------
    path_raw : str
        Name of the light.
    cache : Path
        Its pixels: an ``.npy`` file, float32, (H, W, 3).
    shape : sequence of int
        Of those.
    index : int
        Number of the frame in the run.
    header, wcs : iterable of card
        Its header; the cards of its WCS, the header's own where they are not given.
    **more
        Other keys, as they are.
    """
    cards = list(header)
    return {
        "path_raw": path_raw,
        "path_preprocessed_cache": str(cache.absolute()),
        "path_hotpix_mask": None,
        "wcs": wcs_value(cards if wcs is None else wcs),
        "header": header_value(cards),
        "preprocessed_shape": coded(tuple(shape)),
        "phase0_index": index,
        **coded(more),
    }


def master_tile_job(
    entries: Sequence[Mapping[str, Any]], tile_id: int, output: Path, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """Ask for one master tile.

    Parameters
    ----------
    entries : sequence of dict
        Those of `cache_entry`.
    tile_id : int
        Its number; ZeMosaic's begin at 0.
    output : Path
        An existing folder for ``master_tile_<id>.fits``.
    arguments : mapping
        The others, see `master_settings.tile_settings`.
    """
    return {
        "kind": "master_tile",
        "entries": list(entries),
        "tile_id": tile_id,
        "output": str(output.absolute()),
        "arguments": coded({k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()}),
        "rungs": [IMPORTED],
    }


@dataclass(frozen=True, kw_only=True)
class BuiltTile:
    """A master tile that a checkout built.

    Attributes
    ----------
    path : Path or None
        The file; None where the tile failed.
    wcs : list of (keyword, value, comment), or None
        Of the master.
    retry_groups : list of list of dict
        Entries that are to be tried again.
    told : dict
        What a function that has ``tile_metadata`` says of the tile.
    read_beside : tuple of str
        Files that it read beside its modules, such as its user's settings.
    cleanup_available : bool or None
        Whether it could load its alt-az cleanup; without, tiles are built uncleaned, whatever their flag, and nothing
        says so. None for a function that needs no such module.
    cleanup_missing : str
        Why it could not.
    """

    path: Path | None
    wcs: list[list[Any]] | None
    retry_groups: list[list[dict[str, Any]]]
    told: dict[str, Any]
    read_beside: tuple[str, ...]
    cleanup_available: bool | None
    cleanup_missing: str


def read_master_tile(outcome: Outcome | Answer) -> BuiltTile:
    """Read what became of a tile."""
    result = outcome.result
    path = result.get("master")
    return BuiltTile(
        path=None if path is None else Path(path),
        wcs=result.get("wcs"),
        retry_groups=result.get("retry_groups", []),
        told=result.get("told", {}),
        read_beside=tuple(result.get("read_beside", ())),
        cleanup_available=result.get("cleanup", {}).get("available"),
        cleanup_missing=result.get("cleanup", {}).get("why", ""),
    )
