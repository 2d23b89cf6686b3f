"""The kappa-sigma stack on frames in memory: the reference, plain chunked NumPy, ours, bottleneck, astropy.

    python benchmarks/kappa_in_memory.py [--rows 540] [--columns 960] [--repeats 3] [--write]

Times are ratios to the reference on the same frames in the same run. Frames are float data (whole ADU would hide
differences of order); every result is compared with the reference's, bit for bit.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from common import describe_environment, replace_section, table  # noqa: E402

import zemosaic_align_stack as z  # noqa: E402

Frames = list[npt.NDArray[np.float32]]
Result = tuple[npt.NDArray[np.float32], float]
Stack = Callable[[Frames, Any], Result]

# More frames than this are taken with a fifth of the rows, so that the reference fits in memory.
MANY_FRAMES = 200

CHUNK_BYTES = 128 << 20

FLOOR = "reading every sample once"


@dataclass(frozen=True)
class Case:
    """Frames of one kind: how many, with NaN borders or not, with weights or not."""

    frames: int
    kind: str


def simulated(case: Case, rows: int, columns: int) -> tuple[Frames, Any]:
    """Make frames with noise, outliers and, where asked, the NaN borders of aligned frames; and weights."""
    rng = np.random.default_rng([case.frames, rows])
    sky = rng.normal(1000.0, 300.0, (rows, columns, 3)).astype(np.float32)
    frames = []
    for _ in range(case.frames):
        frame = sky + rng.standard_normal(sky.shape, dtype=np.float32) * np.float32(12.5)
        frame[rng.random(sky.shape[:2]) < 0.001] += np.float32(4000.0)
        if case.kind == "NaN borders":
            top, left = rng.integers(0, (rows // 8, columns // 8))
            frame[:top] = np.nan
            frame[:, :left] = np.nan
        frames.append(frame)
    weights = rng.uniform(0.5, 1.0, case.frames).astype(np.float32) if case.kind == "weights" else None
    return frames, weights


def reference(frames: Frames, weights: Any) -> Result:
    """Run the reference."""
    return z._cpu_stack_kappa_fallback_fullframe(frames, weights=weights)


def plain_chunked(frames: Frames, weights: Any) -> Result:
    """Run the reference on bands of rows that hold 128 MiB of frames: what a row-chunked fallback does."""
    rows = max(1, CHUNK_BYTES // sum(frame[0].nbytes for frame in frames))
    parts, rejected, total = [], 0, 0
    for top in range(0, frames[0].shape[0], rows):
        part, pct = reference([frame[top : top + rows] for frame in frames], weights)
        parts.append(part)
        samples = len(frames) * part.size
        rejected, total = rejected + round(pct / 100.0 * samples), total + samples
    return np.concatenate(parts), 100.0 * rejected / total


def ours(threads: int) -> Stack:
    """Run the kernel with so many threads."""

    def stack(frames: Frames, weights: Any) -> Result:
        os.environ["ZEMOSAIC_KAPPA_THREADS"] = str(threads)
        return z.cpu_stack_kappa(frames, weights=weights)

    return stack


def bottleneck_chunked(frames: Frames, weights: Any) -> Result:
    """Take bottleneck's nanmedian, nanstd and nanmean on bands of 64 MiB; unweighted only."""
    import bottleneck as bn

    if weights is not None:
        raise NotImplementedError
    rows = max(1, (64 << 20) // sum(frame[0].nbytes for frame in frames))
    parts, kept, total = [], 0, 0
    for top in range(0, frames[0].shape[0], rows):
        stack = np.stack([frame[top : top + rows] for frame in frames])
        med, std = bn.nanmedian(stack, axis=0), bn.nanstd(stack, axis=0)
        keep = (stack >= med - np.float32(3) * std) & (stack <= med + np.float32(3) * std)
        parts.append(bn.nanmean(np.where(keep, stack, np.float32(np.nan)), axis=0))
        kept, total = kept + int(keep.sum()), total + keep.size
    return np.concatenate(parts), 100.0 * (total - kept) / total


def astropy_sigma_clip(frames: Frames, weights: Any) -> Result:
    """Take astropy's sigma_clip with one iteration and the mean of what it keeps; unweighted only."""
    from astropy.stats import sigma_clip

    if weights is not None:
        raise NotImplementedError
    clipped = sigma_clip(np.stack(frames), sigma=3, maxiters=1, axis=0, masked=True, copy=False)
    rejected = int(np.ma.getmaskarray(clipped).sum())
    return np.ma.mean(clipped, axis=0).filled(np.nan).astype(np.float32), 100.0 * rejected / clipped.size


def read_once(frames: Frames, _: Any) -> Result:
    """Read every sample once: the floor under any stack."""
    return np.float32(sum(float(frame.max(initial=-np.inf)) for frame in frames)), 0.0


def contestants() -> dict[str, Stack]:
    """Give what is timed, the reference first."""
    found: dict[str, Stack] = {
        "reference": reference,
        "plain NumPy, 128 MiB bands": plain_chunked,
        "ours, 1 thread": ours(1),
        "ours, 2 threads": ours(2),
    }
    if importlib.util.find_spec("bottleneck"):
        found["bottleneck, 64 MiB bands"] = bottleneck_chunked
    found["astropy sigma_clip"] = astropy_sigma_clip
    found[FLOOR] = read_once
    return found


def timed(stack: Stack, frames: Frames, weights: Any, repeats: int) -> tuple[float, Result | None]:
    """Time a stack: the median of some runs; NaN where it cannot do this case."""
    took, result = [], None
    for _ in range(repeats):
        started = time.perf_counter()
        try:
            result = stack(frames, weights)
        except NotImplementedError:
            return float("nan"), None
        took.append(time.perf_counter() - started)
    return median(took), result


def measure(case: Case, rows: int, columns: int, repeats: int) -> tuple[str, ...]:
    """Time everything on one case; give a row: the reference's time, and how many times its speed the others have."""
    frames, weights = simulated(case, rows, columns)
    base, expected = timed(reference, frames, weights, 1)
    assert expected is not None
    cells = [f"{case.frames} × {rows} × {columns} × 3", case.kind, f"{base:.3g} s"]
    for name, stack in list(contestants().items())[1:]:
        slow = name.startswith(("plain", "astropy"))
        took, result = timed(stack, frames, weights, 1 if slow else repeats)
        if result is None:
            cells.append("")
            continue
        same = "" if name == FLOOR else same_bits(result, expected)
        cells.append(f"{base / took:.3g} {same}".rstrip())
    return tuple(cells)


def same_bits(result: Result, expected: Result) -> str:
    """Mark a result that is the reference's in every bit, and one that is not."""
    (image, pct), (wanted, wanted_pct) = result, expected
    nan = np.isnan(wanted)
    same = image.dtype == wanted.dtype and np.array_equal(nan, np.isnan(image))
    same = same and bool(np.all((image.view(np.uint32) == wanted.view(np.uint32)) | nan)) and pct == wanted_pct
    return "=" if same else "≠"


def main() -> None:
    """Measure all cases, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=540)
    parser.add_argument("--columns", type=int, default=960)
    parser.add_argument("--frames", type=int, nargs="*", default=[10, 30, 60, 120, 600])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    rows: list[tuple[str, ...]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # bottleneck and astropy say what the reference keeps quiet about
        for count in options.frames:
            for kind in ("plain", "NaN borders", "weights"):
                height = options.rows // 5 if count > MANY_FRAMES else options.rows
                rows.append(measure(Case(count, kind), height, options.columns, options.repeats))
                print(" | ".join(rows[-1]), flush=True)
    text = table(("frames", "data", "reference", *list(contestants())[1:]), rows)
    text = f"Ours and bottleneck: median of {options.repeats} runs. {describe_environment('bottleneck')}\n\n{text}"
    if options.write:
        replace_section("kappa in memory", text)


if __name__ == "__main__":
    main()
