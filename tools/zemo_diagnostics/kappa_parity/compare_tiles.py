"""Full frame against bands of rows, tile by tile, each variant in a process of its own.

Before anything runs, the need of each variant is estimated and held against the memory that is there. Where the full
frame does not fit, both variants run on the largest central band of rows that does, and the chunked one alone on the
whole tile: the machine is never endangered, and there is always something to compare. The functions of a ZeMosaic under
test run on the rows of the full frame, after ours.
"""

from __future__ import annotations

import shutil
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UnusableFile
from ..frames.stack_input import StackInput, Window, central_window, choose_frames
from ..frames.tiles import Tile
from ..machine.child_process import JobOutcome, RunStatus, run_job
from ..machine.memory_limits import MemoryLimit, available_memory
from ..machine.scratch import scratch_folder
from ..progress import Say
from ..zemosaic.functions_under_test import StackFunctions
from .comparison import compare
from .data import Comparison, TileParity, Variant, VariantRun, ZemosaicRun
from .job import Job, handed_frames, job_frames
from .zemosaic_stacks import StackTask, ZemosaicStacks, does_not_fit

# What the children run.
JOB_CHILD = f"{__package__}.job_child"

# What a child holds before the first frame: Python, NumPy, astropy, OpenCV.
PROCESS_BYTES = 160 << 20

# The part of the memory that is there which a child may be planned to take.
MEMORY_SHARE = 0.8

# The part of what is free on the disk for temporary files that frames may take which are handed on to a ZeMosaic.
DISK_SHARE = 0.8

MEMORY_FORMULA = (
    "full frame: 160 MiB + the frames (N × H × W × C × 4 B) + the stack's own need (about 6 times the frames); "
    "chunked: 160 MiB + its buffers (tens of MiB) + the result"
)


@dataclass(frozen=True, kw_only=True)
class ParityOptions:
    """What shapes a comparison.

    Attributes
    ----------
    kappa_low, kappa_high : float
        Rejection limits, standard deviations.
    weights : {"none", "noise"}
        ``"noise"``: one over the variance of each frame's background.
    chunk_rows : int
        Rows of a band.
    max_frames : int or None
        Stack no more than the first so many.
    crop : (int, int) or None
        Height and width of a central window.
    timeout_s : float
        For each child.
    atol : float
        See `comparison.compare`.
    memory_limit_bytes : int or None
        Use no more than this, whatever is free.
    require_whole : bool
        Whether a tile that is not compared on all of its rows is an error.
    """

    kappa_low: float = 3.0
    kappa_high: float = 3.0
    weights: str = "none"
    chunk_rows: int = 64
    max_frames: int | None = None
    crop: tuple[int, int] | None = None
    timeout_s: float = 1800.0
    atol: float = 0.0
    memory_limit_bytes: int | None = None
    require_whole: bool = False


def memory_allowed(options: ParityOptions) -> MemoryLimit:
    """Give the memory that a child may be planned to take."""
    there = available_memory()
    share = int(there.available_bytes * MEMORY_SHARE)
    if options.memory_limit_bytes is not None and options.memory_limit_bytes < share:
        return MemoryLimit(options.memory_limit_bytes, "--memory-limit")
    return MemoryLimit(share, f"80 % of the {there.source} when the run began")


def compare_tiles(
    tiles: Sequence[Tile],
    functions: StackFunctions,
    options: ParityOptions,
    limit: MemoryLimit,
    say: Say,
    zemosaic: ZemosaicStacks | None = None,
) -> Iterator[TileParity]:
    """Compare the variants on each tile, one tile after the other.

    Parameters
    ----------
    tiles : sequence of Tile
        Which tiles.
    functions : StackFunctions
        For the estimates; the children load the same functions themselves.
    options : ParityOptions
        What to do.
    limit : MemoryLimit
        What a child may take at most; less where less is free by then.
    say : callable
        Gets (what is being done, part done) while it is.
    zemosaic : ZemosaicStacks, optional
        The functions of a ZeMosaic, which are run too.
    """
    for tile in tiles:
        with scratch_folder() as folder:
            tile_run = _TileRun(
                tile=tile,
                functions=functions,
                options=options,
                limit=limit,
                folder=folder,
                say=say,
                zemosaic=zemosaic,
            )
            yield tile_run.compare()


@dataclass(frozen=True, kw_only=True)
class _TileRun:
    """The comparison of one tile, step by step."""

    tile: Tile
    functions: StackFunctions
    options: ParityOptions
    limit: MemoryLimit
    folder: Path
    say: Say
    zemosaic: ZemosaicStacks | None

    def compare(self) -> TileParity:
        """Choose the frames, look at each, run the variants, and compare what they give."""
        chosen = choose_frames(self.tile.frames, self.options.max_frames)
        window = central_window(chosen.shape, self.options.crop)
        job = self._inspecting(chosen, window)
        inspected = self._job("reading the frames", job)
        if inspected.status is not RunStatus.OK:
            died = _unmeasured(Variant.INSPECT, inspected.status, inspected.detail)
            return self._result(chosen, window, (died,), None, ())
        seen = inspected.result["frames"]
        chosen = chosen.without(
            {i: f"its pixels cannot be read: {one['unreadable']}" for i, one in enumerate(seen) if "unreadable" in one}
        )
        seen = [one for one in seen if "unreadable" not in one]
        no_signal = tuple(
            UnusableFile(frame.name, one["signal"])
            for frame, one in zip(chosen.frames, seen, strict=True)
            if one["signal"]
        )
        if not chosen.frames:
            return self._result(chosen, window, (), None, no_signal)
        job = replace(job, frames=job_frames(chosen), weights=inspected.result["weights"])
        runs, comparison = self._run_variants(job, len(chosen.frames), chosen.shape[2:], window)
        theirs = tuple(self._run_zemosaic(job, runs[0], (window[3], *chosen.shape[2:])))
        return replace(self._result(chosen, window, runs, comparison, no_signal), zemosaic=theirs)

    def _run_variants(
        self, job: Job, frames: int, channels: tuple[int, ...], window: Window
    ) -> tuple[tuple[VariantRun, ...], Comparison | None]:
        """Run both variants where the full frame fits; the chunked one alone where it does not."""
        allowed = self._allowed()
        band = self._largest_band(frames, channels, window, allowed)
        runs = []
        if band is None:
            need = self._largest_need(frames, (1, window[3], *channels))
            detail = f"not even one row of all frames fits: it needs {need >> 20} MiB, {allowed >> 20} MiB are allowed"
            runs.append(_unmeasured(Variant.FULL_FRAME, RunStatus.SKIPPED, detail, need=need))
            return (*runs, self._run(Variant.CHUNKED, job, frames, channels, window)), None
        runs = [self._run(variant, job, frames, channels, band) for variant in (Variant.FULL_FRAME, Variant.CHUNKED)]
        comparison = self._compared(runs)
        if band != window:
            runs.append(self._run(Variant.CHUNKED, job, frames, channels, window))
        return tuple(runs), comparison

    def _largest_band(self, frames: int, channels: tuple[int, ...], window: Window, allowed: int) -> Window | None:
        """Give the whole window, or the largest central band of its rows on which the full frame fits."""
        top, left, height, width = window
        rows = bisect_right(
            range(1, height + 1),
            allowed,
            key=lambda count: self._largest_need(frames, (count, width, *channels)),
        )
        if not rows:
            return None
        start = top + (height - rows) // 2
        return start, left, rows, width

    def _allowed(self) -> int:
        """Give the memory that a child may take now, bytes."""
        return min(self.limit.available_bytes, memory_allowed(self.options).available_bytes)

    def _need(self, variant: Variant, frames: int, shape: tuple[int, ...]) -> int:
        """Estimate what a child takes for one variant, bytes."""
        if variant is Variant.CHUNKED:
            return PROCESS_BYTES + self.functions.estimate_chunked_peak_bytes(frames, shape)
        held = frames * prod(shape) * 4
        return PROCESS_BYTES + held + self.functions.estimate_fullframe_peak_bytes(frames, shape)

    def _largest_need(self, frames: int, shape: tuple[int, ...]) -> int:
        """Estimate what the child takes that needs most of those that get the same rows, bytes."""
        need = self._need(Variant.FULL_FRAME, frames, shape)
        if self.zemosaic is None:
            return need
        return max(need, PROCESS_BYTES + self.zemosaic.largest_need_bytes(frames, shape, self.options.chunk_rows))

    def _run(self, variant: Variant, job: Job, frames: int, channels: tuple[int, ...], window: Window) -> VariantRun:
        """Run one variant on one window, unless it cannot fit."""
        top, _, height, width = window
        need = self._need(variant, frames, (height, width, *channels))
        allowed = self._allowed()
        rows = (top, top + height)
        if need > allowed:
            return _unmeasured(variant, RunStatus.SKIPPED, does_not_fit(need, allowed), rows, need)
        job = replace(job, variant=variant, window=window, stacked=str(self._stacked_file(variant)))
        if variant is Variant.FULL_FRAME and self._can_hand_on(4 * frames * prod((height, width, *channels))):
            job = replace(job, handed_on=str(self._handed_on))
        outcome = self._job(f"stacking {height} rows, {variant.value}", job)
        ended = _unmeasured(variant, outcome.status, outcome.detail, rows, need)
        return replace(ended, **_measured(outcome))

    def _compared(self, runs: Sequence[VariantRun]) -> Comparison | None:
        """Compare the two results, where both are there."""
        if any(run.status is not RunStatus.OK for run in runs):
            return None
        reference, candidate = (np.load(self._stacked_file(run.variant), mmap_mode="r") for run in runs)
        rejected = float(runs[0].rejected_pct or 0.0), float(runs[1].rejected_pct or 0.0)
        return compare(reference, candidate, rejected, atol=self.options.atol)

    def _can_hand_on(self, frames_bytes: int) -> bool:
        """Tell whether frames are wanted by functions of a ZeMosaic, and their disk has room for them."""
        if self.zemosaic is None:
            return False
        self._handed_on.mkdir()
        return frames_bytes <= DISK_SHARE * shutil.disk_usage(self._handed_on).free

    @property
    def _handed_on(self) -> Path:
        return self.folder / "handed_on"

    def _run_zemosaic(self, job: Job, full: VariantRun, row_shape: tuple[int, ...]) -> Iterator[ZemosaicRun]:
        """Run the functions of a ZeMosaic on what our full frame stacked."""
        if self.zemosaic is None:
            return
        task = StackTask(
            frames=handed_frames(self._handed_on, len(job.frames)),
            shape=(full.rows[1] - full.rows[0], *row_shape),
            weights=job.weights,
            kappa=(job.kappa_low, job.kappa_high),
            chunk_rows=job.chunk_rows,
            rows=full.rows,
            reference=self._stacked_file(Variant.FULL_FRAME) if full.status is RunStatus.OK else None,
            rejected_pct=full.rejected_pct,
            atol=self.options.atol,
            folder=self._handed_on,
            timeout_s=self.options.timeout_s,
        )
        for function in self.zemosaic.functions:
            title = f"tile {self.tile.tile_id}: stacking {task.shape[0]} rows, {function.name} of ZeMosaic"
            yield self.zemosaic.run_if_it_fits(function, task, self._allowed(), PROCESS_BYTES, partial(self.say, title))

    def _stacked_file(self, variant: Variant) -> Path:
        return self.folder / f"{variant.value}.npy"

    def _inspecting(self, chosen: StackInput, window: Window) -> Job:
        """Describe the first look at the frames to a child."""
        return Job(
            variant=Variant.INSPECT,
            frames=job_frames(chosen),
            window=window,
            kappa_low=self.options.kappa_low,
            kappa_high=self.options.kappa_high,
            chunk_rows=self.options.chunk_rows,
            weigh=self.options.weights == "noise",
        )

    def _job(self, what: str, job: Job) -> JobOutcome:
        """Run a child for one job and tell how far it is."""
        title = f"tile {self.tile.tile_id}: {what}"
        self.say(title, 0.0)
        folder = self.folder / ("inspect" if job.variant is Variant.INSPECT else "stack")
        folder.mkdir(exist_ok=True)
        return run_job(
            JOB_CHILD,
            job.to_json(),
            folder,
            timeout_s=self.options.timeout_s,
            fraction_done=lambda part: self.say(title, part),
        )

    def _result(
        self,
        chosen: StackInput,
        window: Window,
        runs: tuple[VariantRun, ...],
        comparison: Comparison | None,
        no_signal: tuple[UnusableFile, ...],
    ) -> TileParity:
        return TileParity(
            tile_id=self.tile.tile_id,
            name=self.tile.name,
            frames=len(self.tile.frames),
            used=len(chosen.frames),
            set_aside=len(self.tile.frames) - len(chosen.frames) - len(chosen.left_out),
            left_out=chosen.left_out,
            shape=(*window[2:], *chosen.shape[2:]),
            rows=(window[0], window[0] + window[2]),
            frame_rows=chosen.shape[0],
            debayered=any(chosen.patterns),
            raw_mosaic=chosen.raw_mosaic,
            no_signal=no_signal,
            runs=runs,
            comparison=comparison,
            weights=self.options.weights,
            kappa_low=self.options.kappa_low,
            kappa_high=self.options.kappa_high,
        )


def _unmeasured(
    variant: Variant, status: RunStatus, detail: str, rows: tuple[int, int] = (0, 0), need: int = 0
) -> VariantRun:
    """Note how a run ended, or why there was none, without anything measured."""
    return VariantRun(variant=variant, status=status, detail=detail, rows=rows, estimated_bytes=need)


def _measured(outcome: JobOutcome) -> dict[str, Any]:
    """Take what a child measured of its stack."""
    keys = ("baseline_rss_bytes", "peak_rss_bytes", "memory_method", "wall_s", "cpu_s", "rejected_pct")
    return {key: outcome.result[key] for key in keys if key in outcome.result}
