"""Masters built by the ZeMosaic under test: its own ``create_master_tile``, a child for each tile.

Phase 1 of ZeMosaic moves files and writes into headers: it is never called. What it would hand to Phase 3 is written
here instead: caches, headers, and a WCS for each frame.
"""

from __future__ import annotations

import errno
import re
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import count
from math import degrees
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FrameError, InputError
from ..frames.entries import Frame
from ..frames.headers import card
from ..frames.pixels import read_image
from ..frames.tiles import Tile
from ..machine.scratch import save_array
from ..redaction import private_words, redact_text
from ..wording import duration, human_bytes
from ..zemosaic.checkout import default_settings
from ..zemosaic.child import Ending, Line, Outcome, run_job
from ..zemosaic.functions_under_test import MasterTileFunctions
from ..zemosaic.jobs import BuiltTile, cache_entry, cache_pixels, master_tile_job, read_master_tile
from ..zemosaic.master_settings import (
    MOST_PADDED_FRAMES,
    Settings,
    TileSettings,
    estimate_master_tile_bytes,
    tile_settings,
)
from ..zemosaic.under_test import UnderTest
from .data import Rule
from .files import write_number
from .log import Phase3Log
from .making import Need, Order, aligned_shape, shown_names
from .results import TileResult

# Tries of a frame that cannot be aligned, as ZeMosaic counts them.
_MOST_RETRIES = 3

# Pixels of a Seestar S50 as they lie on the sky, degrees: where a header says neither a WCS nor optics.
_PIXEL_DEG = 0.000664

# The line that says that frames of a small group are repeated, and to how many.
_REPEATED = re.compile(r"Duplicating frames: original=\d+ \S+ final=(\d+)")

_WAKE_S = 0.5


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Frames that are built together, by their places in the tile that they go back to."""

    tile_id: int
    root: Tile
    indices: tuple[int, ...]
    attempt: int = 0
    retry_of: int | None = None


@dataclass(frozen=True, kw_only=True)
class _Made:
    """What became of a group, before its retries have numbers."""

    outcome: Outcome | None
    built: BuiltTile | None
    unreadable: tuple[str, ...] = ()
    pointed: int = 0
    error: str = ""


class ZemosaicMaker:
    """The ZeMosaic under test.

    Parameters
    ----------
    under_test : UnderTest
    settings : Settings
        What it builds with.
    kappa : (low, high)
        Rejection limits, where the settings are plain.
    timeout_s : float
        After so many seconds over one tile it is stopped.
    functions : MasterTileFunctions
        Our own, by which frames are brought to colour.

    Raises
    ------
    InputError
        Where it has no ``create_master_tile`` that can be called.
    """

    def __init__(
        self,
        under_test: UnderTest,
        settings: Settings,
        kappa: tuple[float, float],
        timeout_s: float,
        functions: MasterTileFunctions,
    ) -> None:
        create = under_test.checkout.functions["create_master_tile"]
        if not create.is_there:
            raise InputError(f"this ZeMosaic's master tiles cannot be built: {create.told}")
        self._under_test, self._settings, self._kappa = under_test, settings, kappa
        self._timeout_s, self._functions = timeout_s, functions
        self._parameters = create.parameters
        self._defaults = default_settings(under_test.checkout.folder)
        self._stop = threading.Event()

    def need(self, tile: Tile) -> Need:
        """Estimate one tile, by what the released versions were seen to take."""
        shape = aligned_shape(tile.frames)
        cache = 4 * shape[0] * shape[1] * 3
        padded = 5 * (shape[0] ** 2 + shape[1] ** 2) * 3
        return Need(self._memory_bytes(len(tile.frames), shape), cache * len(tile.frames), padded)

    def _memory_bytes(self, frames: int, shape: tuple[int, ...]) -> int:
        version = self._under_test.version
        winsorized = version.winsorized_memory if version else MOST_PADDED_FRAMES
        return estimate_master_tile_bytes(frames, shape, self._tile_settings(0, False), winsorized)

    def _tile_settings(self, tile_id: int, cleanup_enabled: bool) -> TileSettings:
        """Give what a tile is built with."""
        plain = self._settings is Settings.PLAIN
        low, high = self._kappa
        return tile_settings(
            self._parameters,
            self._settings,
            self._defaults,
            altaz_cleanup=cleanup_enabled,
            tile_id=tile_id,
            changes={"stack_kappa_low": low, "stack_kappa_high": high} if plain else None,
        )

    def recipe(self, _tile: Tile, cleanup_enabled: bool, /) -> tuple[object, ...]:
        """Say how a tile is built: by which ZeMosaic, run by whom, with which flag and settings."""
        identity = self._under_test.checkout.identity
        arguments = self._tile_settings(0, cleanup_enabled).arguments
        return (self._under_test.told(), repr(identity), repr(sorted(arguments.items(), key=lambda item: item[0])))

    def make(self, order: Order) -> None:
        """Build, several tiles at a time where the plan says so; what is finished is left alone."""
        groups = [
            _Group(tile_id=tile.tile_id, root=tile, indices=tuple(range(len(tile.frames)))) for tile in order.tiles
        ]
        waiting = [group for group in groups if group.tile_id not in order.finished]
        first_free = max((tile.tile_id for tile in order.tiles), default=0) + 1
        free = (number for number in count(first_free) if number not in {*order.taken, *order.finished})
        flying: dict[Future[_Made], _Group] = {}
        with ThreadPoolExecutor(max(1, order.plan.zemosaic_at_a_time), "zemosaic") as pool:
            try:
                while waiting or flying:
                    while waiting and len(flying) < max(1, order.plan.zemosaic_at_a_time):
                        group = waiting.pop(0)
                        order.log.begun(group.tile_id)
                        flying[pool.submit(self._make_group, group, order)] = group
                    for future in wait(flying, _WAKE_S, FIRST_COMPLETED).done:
                        group = flying.pop(future)
                        waiting += self._take(group, future.result(), order, free)
            except BaseException:
                self._stop.set()  # the children end within a moment
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _make_group(self, group: _Group, order: Order) -> _Made:
        """Build one master in a child; whatever goes wrong is what became of it."""
        folder = order.folder / f"job_{group.tile_id:03d}"
        try:
            folder.mkdir()
            return self._built(group, order, folder)
        except FrameError as error:
            return _Made(outcome=None, built=None, error=str(error))
        except OSError as error:
            return _Made(outcome=None, built=None, error=_os_error(error))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _built(self, group: _Group, order: Order, folder: Path) -> _Made:
        need, limit = self._group_memory(group), order.plan.memory_limit_bytes
        if need > limit:
            sentence = (
                f"ZeMosaic would take about {human_bytes(need)} for it, and {human_bytes(limit)} may be taken: close "
                "other programs, or use --settings plain, which takes less"
            )
            return _Made(outcome=None, built=None, error=sentence)
        entries, unreadable, pointed = self._entries(group, folder)
        if not entries:
            return _Made(outcome=None, built=None, unreadable=unreadable, error="none of its frames can be read")
        made_in = folder / "made"
        made_in.mkdir()
        number = group.tile_id - 1  # its own count from 0, as its log does
        settings = self._tile_settings(number, order.flags[group.root.tile_id])
        job = master_tile_job(entries, number, made_in, settings.arguments)
        outcome = run_job(
            job,
            self._under_test.runnable,
            folder,
            timeout_s=self._timeout_s,
            on_line=lambda line: _log(order.log, line),
            stop=self._stop,
        )
        built = read_master_tile(outcome)
        if built.path is not None and not _is_made_there(built.path, made_in):
            return _Made(outcome=outcome, built=replace(built, path=None), error=_ELSEWHERE)
        if built.path is not None:
            kept = order.folder / f"master_tile_{group.tile_id:03d}.fits"
            built.path.replace(kept)
            write_number(kept, group.tile_id)
            built = replace(built, path=kept)
        return _Made(outcome=outcome, built=built, unreadable=unreadable, pointed=pointed)

    def _group_memory(self, group: _Group) -> int:
        frames = [group.root.frames[index] for index in group.indices]
        return self._memory_bytes(len(frames), aligned_shape(frames))

    def _entries(self, group: _Group, folder: Path) -> tuple[list[dict[str, Any]], tuple[str, ...], int]:
        """Write the caches of a group, and make its entries; name what cannot be read."""
        names = shown_names(group.root)
        entries, unreadable, pointed = [], [], 0
        for index in group.indices:
            frame = group.root.frames[index]
            try:
                pixels = self._functions.load_frame({**frame.entry, "shown_name": names[index]}, read_image).pixels
            except Exception:  # noqa: BLE001 - a light that cannot be read is left out, whatever it raises
                unreadable.append(names[index])
                continue
            cache = folder / f"cache_{index:05d}.npy"
            colour = cache_pixels(pixels)
            save_array(cache, colour)
            header, wcs = _cards(frame), None
            if not _has_wcs(frame):
                wcs, pointed = pointing_wcs(frame, colour.shape), pointed + 1
            more = {"retry_attempt": group.attempt} if group.attempt else {}
            entries.append(cache_entry(f"{index}/{names[index]}", cache, colour.shape, index, header, wcs, **more))
        return entries, tuple(unreadable), pointed

    def _take(self, group: _Group, made: _Made, order: Order, free: Any) -> list[_Group]:
        """Hand over what became of a group; give its retries."""
        failed = _retried(made.built, group)
        last_try = group.attempt >= _MOST_RETRIES
        names = shown_names(group.root)
        again = [] if last_try else failed
        numbers = tuple(next(free) for _ in again)
        placed_nowhere = tuple(names[index] for indices in failed for index in indices)
        path = made.built.path if made.built else None
        order.take(
            TileResult(
                tile_id=group.tile_id,
                path=None if path is None else str(path),
                eqmode="",
                cleanup_enabled=order.flags[group.root.tile_id],
                frames=len(group.indices),
                stacked=len(group.indices) - len(made.unreadable) - len(placed_nowhere) if path else 0,
                failed=placed_nowhere,
                dropped=placed_nowhere if last_try else (),
                unreadable=made.unreadable,
                pointed=made.pointed,
                repeated_to=_repeated_to(made.outcome),
                retry_of=group.retry_of,
                retry_tile_ids=numbers,
                cleanup_missing=_cleanup_missing(made.built),
                error=_error(made, self._timeout_s),
            )
        )
        pairs = zip(numbers, again, strict=True)
        return [
            _Group(
                tile_id=number,
                root=group.root,
                indices=indices,
                attempt=group.attempt + 1,
                retry_of=group.tile_id,
            )
            for number, indices in pairs
        ]


_ELSEWHERE = "the master that ZeMosaic names is no file in the folder that it was given: it was left alone"


def _is_made_there(path: Path, folder: Path) -> bool:
    """Tell whether a master is a file in the folder for it: whatever else ZeMosaic names is never touched."""
    try:
        return path.is_file() and not path.is_symlink() and path.resolve().parent == folder.resolve()
    except OSError:
        return False


def _retried(built: BuiltTile | None, group: _Group) -> list[tuple[int, ...]]:
    """Give the frames of each group that is to be tried again, by their places in the tile, each frame once."""
    left, again = set(group.indices), []
    for entries in built.retry_groups if built else []:
        places = (place for place in map(_place_of, entries) if place is not None and place in left)
        chosen = tuple(dict.fromkeys(places))
        left -= set(chosen)
        again += [chosen] if chosen else []
    return again


def _place_of(entry: object) -> int | None:
    """Read from an entry which of the tile's frames it is; None where it is none."""
    name = entry.get("path_raw") if isinstance(entry, dict) else None
    place = name.split("/")[0] if isinstance(name, str) else ""
    return int(place) if place.isdecimal() else None


def _repeated_to(outcome: Outcome | None) -> int:
    """Read from its lines to how many frames ZeMosaic filled a group up; 0 where it did not."""
    lines = outcome.lines if outcome else ()
    found = (_REPEATED.search(line.message) for line in lines)
    return next((int(match[1]) for match in found if match), 0)


def _cleanup_missing(built: BuiltTile | None) -> str:
    return built.cleanup_missing if built is not None and built.cleanup_available is False else ""


def _error(made: _Made, timeout_s: float) -> str | None:
    """Say why there is no master; None where there is one."""
    if made.error:
        return made.error
    if made.built is not None and made.built.path is not None:
        return None
    outcome = made.outcome
    if outcome is None or outcome.ending is Ending.OK:
        said = [line.message for line in (outcome.lines if outcome else ()) if line.level in ("ERROR", "WARN")]
        last = f": {redact_text(said[-1], private_words())}" if said else ""
        return f"ZeMosaic built no master and raised nothing{last}"
    if outcome.ending is Ending.TIMED_OUT:
        return f"ZeMosaic did not end within {duration(timeout_s)}: give it longer with --timeout"
    return redact_text(f"ZeMosaic: {outcome.detail}", private_words())


def _os_error(error: OSError) -> str:
    """Say what a disk said; the sentence for a full one is the worker's, by which the run ends."""
    if error.errno == errno.ENOSPC:
        return "the disk is full: free some space, or choose a folder on another disk"
    return error.strerror or type(error).__name__


def _log(log: Phase3Log, line: Line) -> None:
    """Keep a line of theirs."""
    log.take(line.message, line.level or "INFO", Rule.ZEMOSAIC)


# ------------------------------------------------------------------------------------------------------ WCS


def _cards(frame: Frame) -> list[str]:
    """Give a frame's cards as they stand, those that are kept: none of them says where its telescope stood."""
    if frame.header is None:
        return []
    text = frame.header.cards.tostring(padding=False, endcard=False)
    return [text[start : start + 80] for start in range(0, len(text), 80)]


def _has_wcs(frame: Frame) -> bool:
    return frame.header is not None and str(card(frame.header.cards, "CTYPE1", "")).startswith("RA--")


def frame_crpix(frame: Frame, shape: Sequence[int]) -> tuple[float, float] | None:
    """Give the reference pixel of a frame's WCS: its own, or that of one that is made of its pointing."""
    if not _has_wcs(frame) or frame.header is None:
        return shape[1] / 2 + 0.5, shape[0] / 2 + 0.5
    x, y = (card(frame.header.cards, key) for key in ("CRPIX1", "CRPIX2"))
    return (float(x), float(y)) if isinstance(x, (int, float)) and isinstance(y, (int, float)) else None


def central_reference(tile: Tile) -> int | None:
    """Find the frame that ZeMosaic takes for a reference: that nearest to the mean pointing, the first of equals.

    Returns
    -------
    int or None
        Its place in the tile; None where a frame has no pointing.
    """
    centers = [frame.center_deg for frame in tile.frames]
    if None in centers:
        return None
    angles = np.radians(np.array(centers, dtype=float))
    ra, dec = angles[:, 0], angles[:, 1]
    vectors = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    mean = vectors.sum(axis=0)
    away = 1.0 - np.clip(vectors @ (mean / np.linalg.norm(mean)), -1.0, 1.0)
    return int(np.argmin(away))


def pointing_wcs(frame: Frame, shape: Sequence[int]) -> list[list[Any]]:
    """Make a WCS of a frame's pointing and the scale of its pixels: north up, the pointing in the middle.

    ZeMosaic wants one of every frame, and builds its tiles by the stars.

    Parameters
    ----------
    frame : Frame
        Without a pointing it is laid on the equator.
    shape : (H, W, ...)
        Of its pixels.
    """
    height, width = shape[:2]
    ra, dec = frame.center_deg or (0.0, 0.0)
    scale = _pixel_scale_deg(frame)
    return [
        ["NAXIS", 2, ""], ["NAXIS1", width, ""], ["NAXIS2", height, ""],
        ["CTYPE1", "RA---TAN", ""], ["CTYPE2", "DEC--TAN", ""], ["CRVAL1", ra, ""], ["CRVAL2", dec, ""],
        ["CRPIX1", width / 2 + 0.5, ""], ["CRPIX2", height / 2 + 0.5, ""],
        ["CD1_1", -scale, ""], ["CD1_2", 0.0, ""], ["CD2_1", 0.0, ""], ["CD2_2", scale, ""],
    ]  # fmt: skip


def _pixel_scale_deg(frame: Frame) -> float:
    """Give the scale of a frame's pixels by its optics, degrees; a Seestar's where nothing says it."""
    values = [card(frame.header.cards, key) if frame.header else None for key in ("XPIXSZ", "FOCALLEN")]
    pitch_um, focal_mm = (value if isinstance(value, (int, float)) and value > 0 else None for value in values)
    return degrees(pitch_um * 1e-3 / focal_mm) if pitch_um and focal_mm else _PIXEL_DEG
