"""The kappa-sigma fallback of ZeMosaic's Phase 3, on the CPU, in bounded memory.

Per pixel, over the N frames of a group, in float32 and in one pass: median and population standard deviation,
rejection of what lies outside ``median - sigma_low * std .. median + sigma_high * std``, (weighted) mean of the
rest. Three functions compute it, and give the same bits:

- `_cpu_stack_kappa_fallback_fullframe`, the reference: plain NumPy on the whole ``(N, H, W[, C])`` stack.
- `_cpu_stack_kappa_fallback_chunked`, the same in bands of rows. It never holds the stack.
- `_cpu_stack_kappa_fallback`, what Phase 3 calls (`cpu_stack_kappa` is another name of it).

The idea of the chunked one: bands are cut into blocks of N rows x T samples that stay in the processor's caches.
Sums run down the rows, so they add frame by frame, in the order in which NumPy reduces axis 0 of the whole stack;
float32 sums depend on that order, and so the result is the reference's to the last bit. The median depends on no
order, and `np.nanmedian`, which goes through masked arrays, is what makes the reference slow. Here few frames go
through a sorting network whose comparators are whole rows (Batcher's odd-even merge sort, cut down to the middle
ranks); many are transposed, so that the N samples of a pixel lie side by side, and sorted by NumPy, which has vector
code for that. Threads take blocks in turn, each with buffers of its own that are allocated once.

Memory is a bound, not a hint: `_plan_chunks` sizes bands, blocks and threads so that all buffers together stay within
a budget (`DEFAULT_BUDGET_MIB`, or ``ZEMOSAIC_KAPPA_BUDGET_MB``), the output plane aside, whatever N, H and W are.
Frames may be lazy (np.memmap, anything with `.shape`, `.dtype` and row slicing): each row is read once, in order.

This file needs NumPy alone, prints nothing, and can be lifted into ZeMosaic's own module as it stands.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import math
import mmap
import os
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
MaskArray = npt.NDArray[np.bool_]
CountArray = npt.NDArray[np.int32]
ProgressCallback = Callable[..., object]

DEFAULT_BUDGET_MIB = 48  # all buffers of all threads; leaves room under the 64 MiB that are promised
_BLOCK_BYTES = 8 << 20  # buffers of one block: few enough for the caches, enough to hide the cost of calls
_MIN_BLOCK_SAMPLES = 64  # narrower blocks would spend their time in calls: rather fewer threads
_SAMPLE_BYTES = 9  # a block's buffers hold each sample as two float32 and a bool
_ROW_BYTES = 160  # rows of T samples alive at once in a block, counted generously
_THREAD_BYTES = 256 << 10  # NumPy's casting buffers and small objects, per thread
_SLICE_BYTES = 16  # per sample of one slice of a lazy frame: in its own dtype, and scaled
_FEWEST_UNCUT = 3  # pieces of single-sample pixels are cut no smaller, see `_even_cuts`
_FEWEST_TO_SORT = 40 if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else 600  # before: no AVX2 or NEON sort
_NANMEDIAN_1D = 600  # from so many frames on, np.nanmedian takes the middle of an odd count as it is
_LEVEL = "DEBUG_DETAIL"  # of every progress message here
_CGROUP = Path("/sys/fs/cgroup")  # where Linux says how much CPU time a container may use


class FrameReadError(RuntimeError):
    """A lazy frame could not be read; the message names the frame, and the cause is chained."""


# -------------------------------------------------------------------------------------------- the reference


def _cpu_stack_kappa_fallback_fullframe(
    frames: Iterable[Any],
    *,
    sigma_low: float = 3.0,
    sigma_high: float = 3.0,
    weights: Any = None,
    progress_callback: ProgressCallback | None = None,
) -> tuple[FloatArray, float]:
    """Stack the whole (N, H, W[, C]) array at once: the reference, with parameters and errors of the dispatcher.

    Kept simple enough to be believed by looking at it, and never made fast. Not for several threads at a time, as
    `warnings.catch_warnings` is not.

    Returns
    -------
    stacked : ndarray, float32, (H, W) or (H, W, C), index order [y, x(, c)]
    rejected_pct : float
    """
    arrays, shape = _checked_frames(frames)
    stack = np.empty((len(arrays), *shape), dtype=np.float32)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for i, frame in enumerate(arrays):
            stack[i] = _read_rows(frame, i, 0, shape[0], shape)
        med = np.nanmedian(stack, axis=0)
        std = np.nanstd(stack, axis=0)
        low = med - np.float32(sigma_low) * std
        high = med + np.float32(sigma_high) * std
        keep = (stack >= low) & (stack <= high)
        if weights is None:
            stacked = np.nanmean(np.where(keep, stack, np.float32(np.nan)), axis=0)
        else:
            w = np.asarray(_shaped_weights(weights, stack.shape), dtype=np.float32, order="C")
            num = np.sum(np.where(keep, w * stack, np.float32(0)), axis=0)
            den = np.sum(np.where(keep, w, np.float32(0)), axis=0)
            stacked = np.where(den > 0, num / den, np.float32(np.nan))
            stacked = np.where(np.isfinite(stacked), stacked, np.nanmean(stack, axis=0))
    _report(progress_callback, "cpu_kappa_fallback_done")
    return stacked, _rejected_pct(int(np.count_nonzero(keep)), keep.size)


# ------------------------------------------------------------------------------------------- what is called


def _cpu_stack_kappa_fallback(
    frames: Iterable[Any],
    *,
    sigma_low: float = 3.0,
    sigma_high: float = 3.0,
    weights: Any = None,
    progress_callback: ProgressCallback | None = None,
) -> tuple[FloatArray, float]:
    """Stack a group of frames with kappa-sigma rejection in one pass: the (weighted) mean of what is kept.

    Stacks of every size take the chunked path, whose result is the reference's in every bit.

    Parameters
    ----------
    frames : N >= 1 arrays, all (H, W) or all (H, W, C), index order [y, x(, c)], any real dtype
        Or one (N, H, W[, C]) array. They may be lazy: np.memmap, or any object with `.shape`, `.dtype` and row
        slicing ``frame[y0:y1]``. Values in any unit (ADU); NaN is a missing sample.
    sigma_low, sigma_high : float
        Kappa below and above the median, in standard deviations (ddof 0).
    weights : array_like, optional
        (N,), (N, 1), (N, 1, 1): one weight per frame. Otherwise whatever broadcasts to the stack's shape, such as
        (N, 1, 1, C), (H, W, C) or (N, H, W, C). Used as they are, in float32.
    progress_callback : callable, optional
        Called as ``progress_callback(message, percent_or_None, level)`` in the calling thread; what it raises is
        ignored.

    Returns
    -------
    stacked : ndarray, float32, (H, W) or (H, W, C), index order [y, x(, c)]
        NaN where no sample of a pixel is kept; with weights, the plain mean of all frames stands in there.
    rejected_pct : float
        Samples not kept, NaN among them, in percent of all samples.

    Raises
    ------
    ValueError
        No frame; a frame of another rank than 2 or 3, or of another shape than the first; weights that do not
        broadcast.
    FrameReadError
        A lazy frame could not be read.
    """
    return _cpu_stack_kappa_fallback_chunked(
        frames,
        sigma_low=sigma_low,
        sigma_high=sigma_high,
        weights=weights,
        progress_callback=progress_callback,
    )


cpu_stack_kappa = _cpu_stack_kappa_fallback


def _cpu_stack_kappa_fallback_chunked(
    frames: Iterable[Any],
    *,
    sigma_low: float = 3.0,
    sigma_high: float = 3.0,
    weights: Any = None,
    progress_callback: ProgressCallback | None = None,
    chunk_rows: int = 64,
) -> tuple[FloatArray, float]:
    """Stack in bands of at most `chunk_rows` rows (1 or more), within the memory budget.

    Other parameters, errors and results are the dispatcher's; no `chunk_rows` changes a bit of the result.

    Returns
    -------
    stacked : ndarray, float32, (H, W) or (H, W, C), index order [y, x(, c)]
    rejected_pct : float
    """
    return _stack_bounded(
        frames,
        sigma_low=sigma_low,
        sigma_high=sigma_high,
        weights=weights,
        progress_callback=progress_callback,
        chunk_rows=chunk_rows,
    )


def _stack_bounded(
    frames: Iterable[Any],
    *,
    sigma_low: float,
    sigma_high: float,
    weights: Any,
    progress_callback: ProgressCallback | None,
    chunk_rows: int,
    memory_budget_bytes: int | None = None,
    threads: int | None = None,
) -> tuple[FloatArray, float]:
    """Stack in bands; budget and threads are the environment's where they are not given."""
    arrays, shape = _checked_frames(frames)
    n, size = len(arrays), math.prod(shape)
    if weights is not None:
        weights = _shaped_weights(weights, (n, *shape))
    if size <= 1:  # NumPy sums the frames of a lone sample pairwise
        return _cpu_stack_kappa_fallback_fullframe(
            arrays,
            sigma_low=sigma_low,
            sigma_high=sigma_high,
            weights=weights,
            progress_callback=progress_callback,
        )
    plan = _plan_chunks(
        n,
        shape,
        lazy=not all(_is_in_memory(frame) for frame in arrays),
        threads=threads or _thread_count(),
        budget_bytes=memory_budget_bytes or _budget_bytes(),
        chunk_rows=chunk_rows,
    )
    with np.errstate(over="ignore"):
        kappas = np.float32(sigma_low), np.float32(sigma_high)
    job = _Job(frames=arrays, stacked=np.empty(shape, dtype=np.float32), kappas=kappas, weights=weights, plan=plan)
    kept = _run_bands(job, progress_callback)
    _report(progress_callback, "cpu_kappa_fallback_done")
    return job.stacked, _rejected_pct(kept, n * size)


def _rejected_pct(kept: int, total: int) -> float:
    return 100.0 * (total - kept) / total if total else 0.0


def _report(callback: ProgressCallback | None, message: str, percent: float | None = None) -> None:
    """Tell the callback; a display that fails must not cost a stack."""
    if callback is not None:
        with contextlib.suppress(Exception):
            callback(message, percent, _LEVEL)


# -------------------------------------------------------------------------------------------- memory policy


class _Area(NamedTuple):
    """Pixels ``[y0:y1, x0:x1]`` of a frame."""

    y0: int
    y1: int
    x0: int
    x1: int

    def cut(self, most_rows: int, most_cols: int) -> list[_Area]:
        """Cut into areas of at most so many rows and columns, from the top."""
        rows = _even_cuts(self.y0, self.y1, most_rows)
        cols = _even_cuts(self.x0, self.x1, most_cols)
        return [_Area(*y, *x) for y in rows for x in cols]


def _even_cuts(start: int, stop: int, most: int) -> list[tuple[int, int]]:
    """Cut a range into as few parts of at most `most` as it takes, of nearly equal lengths.

    With `most` of 3 and up, no part of a longer range is left with a length of 1.
    """
    parts = -(-(stop - start) // most)
    return list(pairwise(start + (stop - start) * i // parts for i in range(parts + 1)))


@dataclass(frozen=True, kw_only=True)
class _ChunkPlan:
    """How a stack is cut, and the memory that takes, but for the output plane.

    A band is read at a time, of all N frames (into a buffer, where frames are lazy); a block is computed at a time,
    by one thread. Rows and columns are the most that one has.
    """

    band_rows: int
    band_cols: int
    block_rows: int
    block_cols: int
    threads: int
    lazy: bool
    peak_bytes: int


def _plan_chunks(
    n: int, shape: tuple[int, ...], *, lazy: bool, threads: int, budget_bytes: int, chunk_rows: int
) -> _ChunkPlan:
    """Size bands, blocks and threads so that all buffers together stay within the budget.

    The floor is one thread with a block of a few pixels and, for lazy frames, those pixels of all frames and a row
    of one. Single-sample pixels are never cut down to one: NumPy would sum its frames in another order.

    Parameters
    ----------
    n : int
        Number of frames.
    shape : (H, W) or (H, W, C)
        Of one frame; not empty.
    lazy : bool
        Bands are read into a buffer first.
    threads, budget_bytes, chunk_rows : int
        The most that may be used of each.

    Raises
    ------
    ValueError
        `chunk_rows` is under 1.
    """
    if chunk_rows < 1:
        raise ValueError(f"chunk_rows must be at least 1, got {chunk_rows}")
    height, width, channels = (*shape, 1)[:3]
    row = width * channels
    fewest_cols = _FEWEST_UNCUT if channels == 1 else 1
    fewest_rows = _FEWEST_UNCUT if row == 1 else 1
    most_rows = min(max(chunk_rows, fewest_rows), height)

    least_bytes = _block_bytes(n, max(_MIN_BLOCK_SAMPLES, channels))
    row_bytes = row * (4 * n + _SLICE_BYTES) if lazy else 0
    share = budget_bytes // 2 if lazy else budget_bytes
    if row_bytes + least_bytes <= budget_bytes:
        share = min(share, budget_bytes - row_bytes)
    threads = max(1, min(threads, share // least_bytes))
    samples = _samples_within(n, min(_BLOCK_BYTES, share // threads))
    block_rows = min(max(samples // row, fewest_rows), most_rows)
    block_cols = min(max(samples // channels, fewest_cols), width)
    block_bytes = threads * _block_bytes(n, block_rows * block_cols * channels)
    if not lazy:
        return _ChunkPlan(
            band_rows=most_rows,
            band_cols=width,
            block_rows=block_rows,
            block_cols=block_cols,
            threads=threads,
            lazy=lazy,
            peak_bytes=block_bytes,
        )

    left = budget_bytes - block_bytes
    band_rows = min(max(left // row_bytes, fewest_rows), most_rows)
    band_cols = width
    if left < row_bytes:
        band_cols = min(max((left - row * _SLICE_BYTES) // (4 * n * channels), fewest_cols), width)
    band_bytes = band_rows * (4 * n * band_cols * channels + row * _SLICE_BYTES)
    return _ChunkPlan(
        band_rows=band_rows,
        band_cols=band_cols,
        block_rows=block_rows,
        block_cols=block_cols,
        threads=threads,
        lazy=lazy,
        peak_bytes=block_bytes + band_bytes,
    )


def _stride(samples: int) -> int:
    """Length of a buffer's row: an odd number of cache lines, so that its columns spread over the cache's sets."""
    return (-(-samples // 16) | 1) * 16


def _block_bytes(n: int, samples: int) -> int:
    """Memory of one thread for blocks of `samples` per frame."""
    return _stride(samples) * (n * _SAMPLE_BYTES + _ROW_BYTES) + _THREAD_BYTES


def _samples_within(n: int, limit_bytes: int) -> int:
    """Most samples per frame whose `_block_bytes` are within the limit; negative where there are none."""
    return (limit_bytes - _THREAD_BYTES) // (n * _SAMPLE_BYTES + _ROW_BYTES) - 31


def estimate_chunked_peak_bytes(
    n: int,
    shape: tuple[int, ...],
    *,
    lazy: bool = True,
    threads: int | None = None,
    memory_budget_bytes: int | None = None,
    chunk_rows: int = 64,
) -> int:
    """Bytes that the chunked stack of n frames of `shape` takes at most, output plane included, frames not."""
    plan = _plan_chunks(
        n,
        shape,
        lazy=lazy,
        threads=threads or _thread_count(),
        budget_bytes=memory_budget_bytes or _budget_bytes(),
        chunk_rows=chunk_rows,
    )
    return plan.peak_bytes + 4 * math.prod(shape)


def estimate_fullframe_peak_bytes(n: int, shape: tuple[int, ...]) -> int:
    """Bytes that the reference takes at most on n frames of `shape`, frames not included.

    Measured, with NumPy 2.4: 23 bytes per sample in np.nanmedian's masked arrays (9, and 65 per pixel and channel,
    for very few frames); from 600 frames on, where it has none, 13 to 17, depending on the weights.
    """
    per_plane = max(23 * n, 9 * n + 66) if n < _NANMEDIAN_1D else 17 * n + 40
    return per_plane * math.prod(shape) + (2 << 20)


def _budget_bytes() -> int:
    """Memory budget: ``ZEMOSAIC_KAPPA_BUDGET_MB`` (MiB) where that is a positive number, else the default."""
    with contextlib.suppress(ValueError, OverflowError):
        asked = int(float(os.environ.get("ZEMOSAIC_KAPPA_BUDGET_MB", "")) * 2**20)
        if asked > 0:
            return asked
    return DEFAULT_BUDGET_MIB * 2**20


def _thread_count() -> int:
    """Threads: ``ZEMOSAIC_KAPPA_THREADS`` where that is a positive integer, else the cores this process may use."""
    with contextlib.suppress(ValueError):
        asked = int(os.environ.get("ZEMOSAIC_KAPPA_THREADS", ""))
        if asked > 0:
            return asked
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _cgroup_cores() or cores)


def _cgroup_cores() -> int | None:
    """Cores' worth of time that a container may use (cgroup v2, else v1), rounded up; None without a limit."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = (int(word) for name in names for word in (_CGROUP / name).read_text().split())
            if quota > 0:
                return -(-quota // period)
    return None


# ---------------------------------------------------------------------------------------- bands and threads


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A stack to make: frames, where it goes, kappa low and high, weights that broadcast, and the plan."""

    frames: Sequence[Any]
    stacked: FloatArray
    kappas: tuple[np.float32, np.float32]
    weights: npt.NDArray[Any] | None
    plan: _ChunkPlan


@dataclass(frozen=True)
class _Band:
    """What blocks are cut from: pixel ``[y, x]`` of frame i is ``sources[i][y - y0, x - x0]``."""

    sources: Sequence[npt.NDArray[Any]]
    y0: int = 0
    x0: int = 0


def _run_bands(job: _Job, progress_callback: ProgressCallback | None) -> int:
    """Read and stack band after band; how many samples were kept."""
    plan, shape, n = job.plan, job.stacked.shape, len(job.frames)
    bands = _Area(0, shape[0], 0, shape[1]).cut(plan.band_rows, plan.band_cols)
    if len(bands) > 1:
        size = f"rows={plan.band_rows} full_stack_mb={n * job.stacked.nbytes / 2**20:.1f}"
        _report(progress_callback, f"cpu_kappa_fallback_chunked: {size}")
    buffer = np.empty((n, plan.band_rows, plan.band_cols, *shape[2:]) if plan.lazy else 0, dtype=np.float32)
    block_size = n * _stride(plan.block_rows * plan.block_cols * math.prod(shape[2:]))
    memories = [np.empty(block_size * _SAMPLE_BYTES, dtype=np.uint8) for _ in range(plan.threads)]
    kept = percent = 0
    with ThreadPoolExecutor(plan.threads, "kappa") as pool:
        for done, area in enumerate(bands, start=1):
            band = _read_band(job, area, buffer) if plan.lazy else _Band(job.frames)
            kept += _run_blocks(pool, job, band, area, memories)
            if 100 * done // len(bands) > percent:
                percent = 100 * done // len(bands)
                _report(progress_callback, "cpu_kappa_fallback_progress", float(percent))
    return kept


def _run_blocks(
    pool: ThreadPoolExecutor, job: _Job, band: _Band, area: _Area, memories: list[npt.NDArray[np.uint8]]
) -> int:
    """Let the threads take blocks until none is left; how many samples were kept."""
    waiting = deque(area.cut(job.plan.block_rows, job.plan.block_cols))
    futures = [pool.submit(_drain, waiting, job, band, memory) for memory in memories]
    try:
        return sum(future.result() for future in futures)
    finally:
        waiting.clear()  # after an error, or Ctrl-C: no thread begins another block


def _drain(waiting: deque[_Area], job: _Job, band: _Band, memory: npt.NDArray[np.uint8]) -> int:
    kept = 0
    with np.errstate(all="ignore"):
        while True:
            try:
                area = waiting.popleft()
            except IndexError:
                return kept
            kept += _stack_block(job, band, area, memory)


# ----------------------------------------------------------------------------------------------- the kernel


class _Block(NamedTuple):
    """The buffers of a block of n frames x T samples. `columns` and `spare` share their memory with `work`."""

    values: FloatArray  # (n, T): the samples, frame by frame
    work: FloatArray  # (n, T)
    mask: MaskArray  # (n, T)
    columns: FloatArray  # (T, n): the samples of a pixel side by side
    spare: MaskArray  # (n, T)


def _block(memory: npt.NDArray[np.uint8], n: int, samples: int) -> _Block:
    stride = _stride(samples)
    size = n * stride
    values, work = memory[: 8 * size].view(np.float32).reshape(2, n, stride)[:, :, :samples]
    mask = memory[8 * size : 9 * size].view(np.bool_).reshape(n, stride)[:, :samples]
    flat = memory[4 * size :]
    columns = flat[: 4 * n * samples].view(np.float32).reshape(samples, n)
    spare = flat[: n * samples].view(np.bool_).reshape(n, samples)
    return _Block(values, work, mask, columns, spare)


def _stack_block(job: _Job, band: _Band, area: _Area, memory: npt.NDArray[np.uint8]) -> int:
    """Stack one block into ``job.stacked``; how many samples were kept."""
    plane = job.stacked[area.y0 : area.y1, area.x0 : area.x1]
    block = _block(memory, len(job.frames), plane.size)
    rows = slice(area.y0 - band.y0, area.y1 - band.y0)
    cols = slice(area.x0 - band.x0, area.x1 - band.x0)
    for target, source in zip(block.values, band.sources, strict=True):
        np.copyto(target.reshape(plane.shape), source[rows, cols], casting="unsafe")

    valid, count, mean = _valid_mean(block)
    std = _spread(block, valid, count, mean)
    med = _median(block, valid, count)
    keep = np.greater_equal(block.values, med - job.kappas[0] * std, out=block.mask)
    keep &= np.less_equal(block.values, med + job.kappas[1] * std, out=block.spare)
    kept = _count_true(keep)
    if job.weights is None:
        plane[...] = (_sum_where(block.values, keep) / kept.astype(np.float32)).reshape(plane.shape)
    else:
        weights = np.broadcast_to(job.weights, (len(job.frames), *job.stacked.shape))
        weights = weights[:, area.y0 : area.y1, area.x0 : area.x1]
        np.copyto(block.work.reshape(weights.shape), weights, casting="unsafe")
        plane[...] = _weighted_mean(block, keep, mean).reshape(plane.shape)
    return int(kept.sum(dtype=np.int64))


def _valid_mean(block: _Block) -> tuple[MaskArray | None, CountArray, FloatArray]:
    """Where samples are not NaN (None: everywhere), their number per pixel, and their mean."""
    n, samples = block.values.shape
    valid, count = None, np.full(samples, n, dtype=np.int32)
    total = np.add.reduce(block.values, axis=0)
    if np.isnan(total).any():  # no NaN misses the sum: blocks without any are not searched for it
        valid = np.logical_not(np.isnan(block.values, out=block.mask), out=block.mask)
        count = _count_true(valid)
        np.copyto(block.work, block.values)
        total = _sum_where(block.work, valid)
    return valid, count, total / count.astype(np.float32)


def _spread(block: _Block, valid: MaskArray | None, count: CountArray, mean: FloatArray) -> FloatArray:
    """Take the population standard deviation of the valid samples."""
    deviations = np.subtract(block.values, mean, out=block.work)
    squares = np.multiply(deviations, deviations, out=deviations)
    total = np.add.reduce(squares, axis=0) if valid is None else _sum_where(squares, valid)
    return np.sqrt(total / count.astype(np.float32))


def _median(block: _Block, valid: MaskArray | None, count: CountArray) -> FloatArray:
    """Take the median of the valid samples, as np.nanmedian does."""
    n, samples = block.values.shape
    if valid is None and n < _FEWEST_TO_SORT:
        lower, upper = _middle_by_network(block)
    else:
        np.copyto(block.columns, block.values.T)
        block.columns.sort(axis=1)  # NaN last
        pixels = np.arange(samples)
        lower, upper = block.columns[pixels, (count - 1) // 2], block.columns[pixels, count // 2]
    med: FloatArray = (lower + upper) * np.float32(0.5)  # may overflow, as there
    return med if n < _NANMEDIAN_1D else np.where(count % 2 == 1, upper, med)


def _middle_by_network(block: _Block) -> tuple[FloatArray, FloatArray]:
    """Find the two middle values (one, twice, for odd n) of blocks without NaN."""
    np.copyto(block.work, block.values)
    rows, n = list(block.work), len(block.work)
    smaller = np.empty_like(rows[0])
    for i, j in _median_network(n):
        np.minimum(rows[i], rows[j], out=smaller)
        np.maximum(rows[i], rows[j], out=rows[j])
        rows[i], smaller = smaller, rows[i]
    return rows[(n - 1) // 2], rows[n // 2]


@cache
def _median_network(n: int) -> list[tuple[int, int]]:
    """List the comparators (i, j) that bring the middle ranks of n values to their places.

    Batcher's odd-even merge sort for any n (Knuth, The Art of Computer Programming 3, 5.2.2, algorithm M), without
    the comparators that no middle rank depends on.
    """
    comparators = []
    for p in (1 << k for k in range((n - 1).bit_length())):
        for d in (p >> k for k in range(p.bit_length())):
            for start in range(d % p, n - d, 2 * d):
                comparators += [
                    (i, i + d) for i in range(start, min(start + d, n - d)) if i // (2 * p) == (i + d) // (2 * p)
                ]
    wanted, needed = {(n - 1) // 2, n // 2}, []
    for pair in reversed(comparators):
        if not wanted.isdisjoint(pair):
            wanted.update(pair)
            needed.append(pair)
    return needed[::-1]


def _weighted_mean(block: _Block, keep: MaskArray, mean: FloatArray) -> FloatArray:
    """Take the mean of the kept samples, their weights in ``block.work``; `mean` where that is not finite."""
    num = _sum_where(np.multiply(block.work, block.values, out=block.values), keep)
    den = _sum_where(block.work, keep)
    weighted = np.where(den > 0, num / den, np.float32(np.nan))
    return np.where(np.isfinite(weighted), weighted, mean)


def _sum_where(values: FloatArray, keep: MaskArray) -> FloatArray:
    """Sum along axis 0, frame by frame, with +0.0 for what is not kept; overwrites the values with that.

    The bits are multiplied by 0 or 1: as fast for any pattern of `keep`, and right for NaN and infinity.
    """
    bits = values.view(np.int32)
    np.multiply(bits, keep.view(np.int8), out=bits)
    total: FloatArray = np.add.reduce(values, axis=0)
    return total


def _count_true(mask: MaskArray) -> CountArray:
    """Count along axis 0, in bytes, which hold 255 frames."""
    count = np.zeros(mask.shape[1], dtype=np.int32)
    for i in range(0, len(mask), 255):
        count += np.add.reduce(mask[i : i + 255].view(np.uint8), axis=0, dtype=np.uint8)
    return count


# --------------------------------------------------------------------------------------- frames and weights


def _checked_frames(frames: Iterable[Any]) -> tuple[list[Any], tuple[int, ...]]:
    """List the frames, and the shape that all of them have."""
    arrays = [f if hasattr(f, "shape") and hasattr(f, "dtype") else np.asarray(f) for f in frames]
    if not arrays:
        raise ValueError("frames is empty")
    shape = tuple(arrays[0].shape)
    if len(shape) not in (2, 3):
        raise ValueError(f"frame 0 has shape {shape}, but frames must be (H, W) or (H, W, C)")
    for i, frame in enumerate(arrays):
        if tuple(frame.shape) != shape:
            raise ValueError(f"frame {i} has shape {tuple(frame.shape)}, but frame 0 has {shape}")
    return arrays, shape


def _shaped_weights(weights: Any, stack_shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Weights that broadcast to the stack; (N,), (N, 1) and (N, 1, 1) are one per frame, whatever H and W are."""
    given = np.asarray(weights)
    n = stack_shape[0]
    per_frame = given.shape in ((n,), (n, 1), (n, 1, 1))
    shaped = given.reshape(n, *(1 for _ in stack_shape[1:])) if per_frame else given
    try:
        np.broadcast_to(shaped, stack_shape)
    except ValueError:
        raise ValueError(f"weights of shape {given.shape} do not fit a stack of shape {stack_shape}") from None
    return shaped


def _is_in_memory(frame: Any) -> bool:
    """Whether blocks can be cut from the frame as it is: an array, and not of a file's pages."""
    return isinstance(frame, np.ndarray) and not isinstance(_owner(frame)[0], mmap.mmap)


def _owner(array: Any) -> tuple[Any, str]:
    """Object whose memory an array is a view of, and the mode of the np.memmap on the way there."""
    mode = ""
    while isinstance(array, np.ndarray):
        mode = str(array.mode) if isinstance(array, np.memmap) else mode
        array = array.base
    return array, mode


def _read_band(job: _Job, area: _Area, buffer: FloatArray) -> _Band:
    """Read an area of every frame into the buffer, frame after frame."""
    sources = list(buffer[:, : area.y1 - area.y0, : area.x1 - area.x0])
    with np.errstate(all="ignore"):
        for i, frame in enumerate(job.frames):
            rows = _read_rows(frame, i, area.y0, area.y1, job.stacked.shape)
            np.copyto(sources[i], rows[:, area.x0 : area.x1], casting="unsafe")
            _release_pages(frame)
    return _Band(sources, area.y0, area.x0)


def _read_rows(frame: Any, index: int, y0: int, y1: int, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Rows ``[y0:y1]`` of a frame, as they are; an error names the frame, but no folder."""
    try:
        rows = np.asarray(frame[y0:y1])
        if rows.shape != (y1 - y0, *shape[1:]):
            raise ValueError(f"rows of shape {rows.shape}")
    except Exception as error:
        path = str(getattr(frame, "filename", None) or getattr(frame, "name", None) or "")
        name = f"frame {index} ({PurePath(path).name})" if path else f"frame {index}"
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise FrameReadError(f"cannot read rows {y0} to {y1} of {name}: {reason}") from error
    return rows


def _release_pages(frame: Any) -> None:
    """Let go of a mapped file's pages, which count as this process's memory once they were read.

    Not on Windows, which takes such pages back by itself, and not where they may be private copies, whose changes
    would be lost.
    """
    mapping, mode = _owner(frame)
    if isinstance(mapping, mmap.mmap) and mode in ("r", "r+", "w+") and hasattr(mapping, "madvise"):
        mapping.madvise(mmap.MADV_DONTNEED)


# ------------------------------------------------------------------------------------------------ self-test


def _selftest_cpu_kappa_chunk_equivalence() -> None:
    """Compare the chunked stack and the dispatcher with the reference, bit for bit, on a few seeded stacks.

    Raises
    ------
    AssertionError
        They differ; the message names the case.
    """
    rng = np.random.default_rng(20240607)
    for n, shape in ((1, (3, 4)), (8, (5, 1)), (9, (7, 5, 3)), (24, (11, 13)), (61, (9, 6, 3))):
        frames = rng.normal(1000.0, 12.5, (n, *shape)).astype(np.float32)
        frames[rng.random(frames.shape) < 0.02] += np.float32(500.0)
        holes = np.where(rng.random(frames.shape) < 0.1, np.float32(np.nan), frames)
        limits = np.zeros((18, *shape), dtype=np.float32)  # 3 standard deviations, but for the last bit
        limits[3] = 3.0 * frames[0]
        limits[11] = -limits[3]
        for stack in (frames, holes, limits):
            for weights in (None, rng.random(len(stack)), rng.random(stack.shape)):
                _compare_with_reference(stack, weights)


def _compare_with_reference(stack: FloatArray, weights: npt.NDArray[np.float64] | None) -> None:
    expected, expected_pct = _cpu_stack_kappa_fallback_fullframe(stack, weights=weights)
    results = {"dispatcher": _cpu_stack_kappa_fallback(stack, weights=weights)}
    for rows in (1, 3, 64):
        chunked = _cpu_stack_kappa_fallback_chunked(stack, weights=weights, chunk_rows=rows)
        results[f"chunk_rows={rows}"] = chunked
    for name, (stacked, rejected_pct) in results.items():
        if rejected_pct != expected_pct or not _same_bits(stacked, expected):
            shape = None if weights is None else weights.shape
            raise AssertionError(f"{name} differs from the reference: stack {stack.shape}, weights {shape}")


def _same_bits(a: FloatArray, b: FloatArray) -> bool:
    """Whether two float32 arrays are equal in every bit, the payload of NaN aside."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return bool(np.all((a.view(np.uint32) == b.view(np.uint32)) | (np.isnan(a) & np.isnan(b))))


# ------------------------------------------------------------------------------------- what Phase 3 calls for


class MissingExtraError(ImportError):
    """A library of the extra ``phase3`` is not installed; the message says how to get it."""


_PHASE3_EXTRA = "aligning and cleaning master tiles needs astroalign and scipy: python -m pip install astroalign scipy"
WEIGHT_METHODS = ("none", "noise_variance")
_CLIP_SIGMA = 3.0  # the background of a frame is what lies so near its median
_SIGMA_PER_MAD = 1.4826  # of a normal distribution
_NOISE_SAMPLES = 1 << 20  # pixels that a frame's noise is estimated from, spread over the frame: up to twice as many
_NOISE_BAND_PIXELS = 1 << 18  # that are read together for it

_DETECTION_SIGMA, _DETECTION_AREA_PX = 5.0, 5  # astroalign's own defaults
_BRIGHTEST_ADU = 1e15  # numbers beyond are no light: their squares overflow in sep, which then crashes the process
_SHARPEST = 0.4  # peak after sep's smoothing, over peak: 0.25 for a lone pixel, over 0.5 for any star
_CONTROL_STARS = (50, 100)  # the brightest, which triangles are built from; more where the frames overlap little
_REFIT_STARS = 200  # the brightest, which the placement is fitted to in the end
_PAIR_TOLERANCES_PX = (2.0, 1.2, 0.8)  # a star and its image in the reference: ever tighter, until chance pairs go
_FEWEST_PAIRS = 4  # two pairs make a similarity; two more must agree with it
_LEAST_PAIRED = 0.3  # of the stars that both frames should show
_SCALE_RANGE = (0.8, 1.25)  # frames of one group come from one telescope
_REFIT_ROUNDS = 20
_MASKED_FROM = 0.4  # astroalign's: so much of a missing neighbour makes a pixel missing
_SEP_LOCK = threading.Lock()  # sep keeps settings and buffers in globals

Placement = npt.NDArray[np.float64]  # (2, 3): [x, y, 1] of a frame, to [x, y] of the reference
Points = npt.NDArray[np.float64]  # (n, 2): x, y in pixels, the brightest first


def stack_kappa_sigma_clip(
    frames: Iterable[Any],
    weight_method: str = "none",
    zconfig: Any = None,  # noqa: ARG001 - ZeMosaic passes it
    stack_metadata: Any = None,
    parallel_plan: Any = None,  # noqa: ARG001 - ZeMosaic passes it
    **kwargs: Any,
) -> tuple[FloatArray, float]:
    """Stack aligned frames with kappa-sigma rejection: ZeMosaic's public wrapper around `cpu_stack_kappa`.

    Parameters
    ----------
    frames : N >= 1 arrays, all (H, W) or all (H, W, C), index order [y, x(, c)]
        May be lazy, as there.
    weight_method : {"none", "noise_variance"}
        "noise_variance" weights each frame, or each of its channels, by one over the variance of its background.
    zconfig, parallel_plan : optional
        ZeMosaic's settings and its plan of threads and chunks: hints that cannot change the result, and are not
        needed here.
    stack_metadata : dict, optional
        Gets ``weight_method`` and ``rejected_pct``.
    **kwargs
        ``sigma_low``, ``sigma_high``, ``progress_callback``, as in `cpu_stack_kappa`.

    Returns
    -------
    stacked : ndarray, float32, (H, W) or (H, W, C)
    rejected_pct : float

    Raises
    ------
    ValueError
        A weight method that is not known, and what `cpu_stack_kappa` raises.
    """
    method = str(weight_method or "none").strip().lower()
    if method not in WEIGHT_METHODS:
        raise ValueError(f"weight_method {weight_method!r} is not known here; known: {', '.join(WEIGHT_METHODS)}")
    arrays, _ = _checked_frames(frames)
    weights = noise_variance_weights(arrays) if method == "noise_variance" else None
    stacked, rejected_pct = cpu_stack_kappa(arrays, weights=weights, **kwargs)
    if isinstance(stack_metadata, dict):
        stack_metadata.update(weight_method=method, rejected_pct=rejected_pct)
    return stacked, rejected_pct


def noise_variance_weights(frames: Iterable[Any], progress_callback: ProgressCallback | None = None) -> FloatArray:
    """Weigh each frame by one over the variance of its background, scaled to a mean of 1.

    Parameters
    ----------
    frames : N >= 1 arrays, all (H, W) or all (H, W, C)
        May be lazy: read once, by bands of rows. NaN and exact zeros (where a frame does not reach) do not count.
    progress_callback : callable, optional
        Called after each frame, as in `cpu_stack_kappa`.

    Returns
    -------
    ndarray, float32, (N, 1) or (N, 1, 1, C)
        0 for a frame without noise (dead); all 1 where no frame of a channel has any.

    Raises
    ------
    ValueError
        As `cpu_stack_kappa`, for no frame and for shapes that do not fit.
    FrameReadError
        A lazy frame could not be read.
    """
    arrays, shape = _checked_frames(frames)
    variances = np.empty((len(arrays), math.prod(shape[2:])))
    for i, frame in enumerate(arrays):
        variances[i] = [_clipped_variance(channel.astype(np.float64)) for channel in _sampled(frame, i, shape).T]
        _report(progress_callback, "noise_variance_progress", 100.0 * (i + 1) / len(arrays))
    noisy = np.isfinite(variances) & (variances > 0)
    weights = np.divide(1.0, variances, out=np.zeros_like(variances), where=noisy)
    weights[:, ~noisy.any(axis=0)] = 1.0
    weights /= weights.mean(axis=0)
    scaled: FloatArray = weights.astype(np.float32)
    return scaled if len(shape) == 2 else scaled.reshape(len(arrays), 1, 1, shape[2])


def _sampled(frame: Any, index: int, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Every so many-th pixel of a frame, (samples, C), read by bands of rows."""
    height, width = shape[:2]
    step = max(1, height * width // _NOISE_SAMPLES)
    rows = max(1, _NOISE_BAND_PIXELS // width)
    sample = []
    for top in range(0, height, rows):
        band = _read_rows(frame, index, top, min(top + rows, height), shape)
        sample.append(band.reshape(-1, math.prod(shape[2:]))[-top * width % step :: step].copy())
        _release_pages(frame)
    return np.concatenate(sample)


def _clipped_variance(values: npt.NDArray[np.float64]) -> float:
    """Variance of one channel's background, stars and defects clipped off."""
    values = values[np.isfinite(values) & (values != 0)]
    if not values.size:
        return math.nan
    deviations = values - np.median(values)
    spread = _SIGMA_PER_MAD * float(np.median(np.abs(deviations)))
    return float(np.var(deviations[np.abs(deviations) <= _CLIP_SIGMA * spread]))


def align_images_in_group(
    image_data_list: Sequence[Any],
    reference_image_index: int,
    propagate_mask: bool = False,
    progress_callback: ProgressCallback | None = None,
) -> tuple[list[FloatArray | None], list[int]]:
    """Align the frames of a group on one of them, by their stars.

    Parameters
    ----------
    image_data_list : sequence of arrays, (H, W) or (H, W, C), or None
        The frames; NaN is a missing sample and stays one.
    reference_image_index : int
        The frame that keeps its place, and gives the others their shape.
    propagate_mask : bool
        What a frame gets where it does not reach: NaN, or else the median of its channel.
    progress_callback : callable, optional
        Gets a line for each frame that cannot be placed.

    Returns
    -------
    aligned : list of (float32 ndarray or None)
        In the order given; None for frames that cannot be placed.
    failed_indices : list of int
        Which those are.

    Raises
    ------
    ValueError
        The index is out of range, or the reference is None.
    MissingExtraError
        astroalign or scipy is not there.
    """
    if not 0 <= reference_image_index < len(image_data_list):
        raise ValueError(f"reference_image_index {reference_image_index} is not in 0..{len(image_data_list) - 1}")
    reference = image_data_list[reference_image_index]
    if reference is None:
        raise ValueError(f"the reference, frame {reference_image_index}, is None")
    aligner = FrameAligner(reference)
    aligned = [
        np.array(image, dtype=np.float32)
        if i == reference_image_index
        else aligner.align(image, propagate_mask=propagate_mask)
        for i, image in enumerate(image_data_list)
    ]
    failed = [i for i, image in enumerate(aligned) if image is None]
    for i in failed:
        _report(progress_callback, f"align_failed: frame {i} cannot be placed on the reference by its stars")
    return aligned, failed


class FrameAligner:
    """The reference of a group, as its stars, and the frames placed on it one at a time.

    Matching is astroalign's (triangles of stars; Beroiz et al. 2020, Astronomy and Computing 32, 100384). Its search
    starts at random, so the placement is fitted anew to all pairs of stars that it brings together, until these no
    longer change: from wherever the search ended, that is the same set, and the same bits.

    Parameters
    ----------
    reference : array, (H, W) or (H, W, C)

    Raises
    ------
    MissingExtraError
        astroalign or scipy is not there.
    """

    def __init__(self, reference: Any) -> None:
        require_phase3_extra()
        pixels = np.asarray(reference)
        self.shape: tuple[int, ...] = pixels.shape
        self._stars = find_stars(pixels)

    def find_placement(self, image: Any) -> Placement | None:
        """Find where a frame lies on the reference; None where its stars do not tell."""
        if image is None or np.ndim(image) != len(self.shape) or np.shape(image)[2:] != self.shape[2:]:
            return None
        stars = find_stars(np.asarray(image))
        for most in _CONTROL_STARS:
            start = _matched(stars, self._stars, most)
            placement = start if start is None else _refitted(start, stars, self._stars, np.shape(image), self.shape)
            if placement is not None:
                return placement
            if max(len(stars), len(self._stars)) <= most:
                break
        return None

    def align(self, image: Any, *, propagate_mask: bool = False) -> FloatArray | None:
        """Align a frame on the reference; None where it cannot be placed."""
        placement = self.find_placement(image)
        return None if placement is None else place_frame(image, placement, self.shape, propagate_mask=propagate_mask)


def require_phase3_extra() -> None:
    """Raise `MissingExtraError`, with a sentence, where astroalign or scipy is not there."""
    for name in ("astroalign", "scipy"):
        if importlib.util.find_spec(name) is None:
            raise MissingExtraError(_PHASE3_EXTRA)


def find_stars(image: npt.NDArray[Any]) -> Points:
    """Find the stars of a frame: (n, 2) float64, x and y in pixels, the brightest first.

    Parameters
    ----------
    image : ndarray, (H, W) or (H, W, C)
        The channels are averaged. Nothing is found in a dead frame.
    """
    sep = importlib.import_module("sep")
    with np.errstate(all="ignore"):  # a damaged frame may hold infinities
        light = image if image.ndim == 2 else image.mean(axis=2, dtype=np.float32)
        light = np.ascontiguousarray(light, dtype=np.float32)
    missing = ~(np.abs(light) < _BRIGHTEST_ADU)
    light = np.where(missing, np.float32(0), light)
    with _SEP_LOCK:
        try:
            background = sep.Background(light, mask=missing)
            if not background.globalrms > 0:
                return np.empty((0, 2))
            background.subfrom(light)
            limit = _DETECTION_SIGMA * background.globalrms
            found = sep.extract(light, limit, minarea=_DETECTION_AREA_PX, mask=missing)
        except Exception:  # noqa: BLE001 - sep raises plain Exception; a frame that it cannot handle shows no stars
            return np.empty((0, 2))
    found = found[found["cpeak"] > _SHARPEST * found["peak"]]  # no hot pixels, no cosmic rays
    order = np.argsort(-found["flux"], kind="stable")[:_REFIT_STARS]
    return np.column_stack([found["x"], found["y"]])[order].astype(np.float64)


def _matched(stars: Points, reference: Points, most: int) -> Placement | None:
    """Match the brightest stars by astroalign; None where it finds no transformation."""
    if min(len(stars), len(reference)) < _FEWEST_PAIRS:
        return None
    astroalign = importlib.import_module("astroalign")
    try:
        transform, _ = astroalign.find_transform(stars, reference, max_control_points=most)
    except (ValueError, TypeError, RuntimeError, IndexError, np.linalg.LinAlgError):
        return None
    placement: Placement = np.asarray(transform.params, dtype=np.float64)[:2]
    return placement if np.isfinite(placement).all() else None


def _refitted(
    placement: Placement, stars: Points, reference: Points, shape: tuple[int, ...], target: tuple[int, ...]
) -> Placement | None:
    """Fit a placement to all stars that it pairs, until these stay; None where they do not bear it out."""
    pairs: list[tuple[int, int]] = []
    for tolerance in _PAIR_TOLERANCES_PX:
        for _ in range(_REFIT_ROUNDS):
            before, pairs = pairs, _pairs(_moved(stars, placement), reference, tolerance)
            if len(pairs) < _FEWEST_PAIRS:
                return None
            if pairs == before:
                break
            own, other = (list(side) for side in zip(*pairs, strict=True))
            placement = _similarity(stars[own], reference[other])
    expected = _expected_pairs(placement, stars, reference, shape, target)
    scale = math.hypot(placement[0, 0], placement[1, 0])
    borne_out = len(pairs) >= _LEAST_PAIRED * expected and _SCALE_RANGE[0] <= scale <= _SCALE_RANGE[1]
    return placement if borne_out else None


def _pairs(moved: Points, reference: Points, tolerance_px: float) -> list[tuple[int, int]]:
    """Pair stars that are each other's nearest, and near; in the order of the moved ones."""
    distances = np.hypot(*(moved[:, None, :] - reference[None, :, :]).transpose(2, 0, 1))
    nearest, back = distances.argmin(axis=1), distances.argmin(axis=0)
    return [(i, int(j)) for i, j in enumerate(nearest) if back[j] == i and distances[i, j] <= tolerance_px]


def _similarity(points: Points, targets: Points) -> Placement:
    """Fit shift, turn and scale by least squares, in complex numbers: w = a z + b."""
    z, w = (pair[:, 0] + 1j * pair[:, 1] for pair in (points, targets))
    z0, w0 = z.mean(), w.mean()
    a = np.sum(np.conj(z - z0) * (w - w0)) / np.sum(np.abs(z - z0) ** 2)
    b = w0 - a * z0
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def _expected_pairs(
    placement: Placement, stars: Points, reference: Points, shape: tuple[int, ...], target: tuple[int, ...]
) -> int:
    """Count the stars of the poorer frame that lie where both frames are."""
    seen = _inside(_moved(stars, placement), target)
    looked_for = _inside(_moved(reference, _inverse(placement)), shape)
    return int(min(np.count_nonzero(seen), np.count_nonzero(looked_for)))


def _moved(points: Points, placement: Placement) -> Points:
    moved: Points = points @ placement[:, :2].T + placement[:, 2]
    return moved


def _inverse(placement: Placement) -> Placement:
    turn = np.linalg.inv(placement[:, :2])
    return np.column_stack([turn, -turn @ placement[:, 2]])


def _inside(points: Points, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    x, y = points.T
    inside: npt.NDArray[np.bool_] = (x >= 0) & (x <= shape[1] - 1) & (y >= 0) & (y <= shape[0] - 1)
    return inside


def place_frame(
    image: Any, placement: Placement, shape: tuple[int, ...], *, propagate_mask: bool = False
) -> FloatArray:
    """Resample a frame onto the reference's pixels, bicubically.

    Parameters
    ----------
    image : array, (H, W) or (H, W, C)
        NaN is a missing sample and stays one.
    placement : (2, 3) float64
        Takes [x, y, 1] of the frame to [x, y] of the reference, pixels.
    shape : tuple of int
        Of the reference.
    propagate_mask : bool
        NaN outside the frame's footprint; else the median of the channel, as astroalign leaves it.

    Returns
    -------
    ndarray, float32, of height and width of `shape`
    """
    pixels = np.asarray(image)
    back = _inverse(placement)
    outside = ~footprint(placement, pixels.shape, shape)
    placed = np.empty((*shape[:2], *pixels.shape[2:]), dtype=np.float32)
    for channel in range(pixels.shape[2] if pixels.ndim == 3 else 1):
        own = pixels[..., channel] if pixels.ndim == 3 else pixels
        plane = placed[..., channel] if pixels.ndim == 3 else placed
        _place_channel(np.ascontiguousarray(own, dtype=np.float32), back, outside, propagate_mask, plane)
    return placed


def _place_channel(
    channel: FloatArray, back: Placement, outside: npt.NDArray[np.bool_], propagate_mask: bool, out: FloatArray
) -> None:
    warp = importlib.import_module("skimage.transform").warp
    matrix = np.vstack([back, [0.0, 0.0, 1.0]])
    missing = ~np.isfinite(channel)
    holes = bool(missing.any())
    level = np.float32(np.median(channel[~missing]) if holes and not missing.all() else np.median(channel))
    filled = np.where(missing, level, channel) if holes else channel
    out[...] = warp(filled, matrix, output_shape=out.shape, order=3, cval=float(level), preserve_range=True)
    if holes:
        lost = warp(missing.astype(np.float32), matrix, output_shape=out.shape, order=1, preserve_range=True)
        out[lost > _MASKED_FROM] = np.nan
    out[outside] = np.nan if propagate_mask else level


def footprint(placement: Placement, shape: tuple[int, ...], target: tuple[int, ...]) -> MaskArray:
    """Tell which pixels of the reference a frame reaches: those between its outermost pixel centres.

    Parameters
    ----------
    placement : (2, 3) float64
        As in `place_frame`.
    shape, target : tuple of int
        Of the frame and of the reference.

    Returns
    -------
    bool ndarray, (H, W) of `target`
    """
    x, y = np.arange(target[1])[None, :], np.arange(target[0])[:, None]
    covered = np.ones(target[:2], dtype=bool)
    for (along_x, along_y, shift), length in zip(_inverse(placement), (shape[1], shape[0]), strict=True):
        place = along_x * x + (along_y * y + shift)
        covered &= (place >= -1e-6) & (place <= length - 1 + 1e-6)
    return covered
