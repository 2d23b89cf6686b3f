"""Two stacked images compared to the bit, NaN places first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..frames.pixels import Pixels
from .data import Comparison, Verdict

# How many differing places a report names.
FIRST_PLACES = 5

# The tolerance that the original requirement asked for, ADU; a report says whether a difference lies within it.
ORIGINAL_ATOL = 1e-4


def compare(
    reference: Pixels,
    candidate: Pixels,
    rejected_pct: tuple[float, float],
    *,
    atol: float = 0.0,
) -> Comparison:
    """Compare the full-frame result with the chunked one.

    Parameters
    ----------
    reference, candidate : (H, W) or (H, W, C) float32 array
        The two results, ADU.
    rejected_pct : (float, float)
        What each returned.
    atol : float, keyword-only
        Differences up to this are within tolerance, ADU. At 0 every bit must agree.

    Returns
    -------
    Comparison
        IDENTICAL only where shape, dtype, NaN places, every bit of every other sample, and `rejected_pct` agree.
    """
    shapes = str(reference.shape), str(candidate.shape)
    dtypes = str(reference.dtype), str(candidate.dtype)
    if shapes[0] != shapes[1] or dtypes[0] != dtypes[1]:
        detail = f"shape or dtype differ: {shapes[0]} {dtypes[0]} against {shapes[1]} {dtypes[1]}"
        return Comparison(
            verdict=Verdict.DIFFERENT, detail=detail, atol=atol, shapes=shapes, dtypes=dtypes, rejected_pct=rejected_pct
        )
    nan_a, nan_b = np.isnan(reference), np.isnan(candidate)
    nan_mismatch = nan_a != nan_b
    differs = nan_mismatch | ((_bits(reference) != _bits(candidate)) & ~(nan_a & nan_b))
    numbers = differs & ~nan_mismatch
    a, b = reference[numbers], candidate[numbers]
    with np.errstate(invalid="ignore", over="ignore"):  # inf against inf of the other sign, or far apart
        gaps = np.abs(a.astype(np.float64) - b.astype(np.float64))
    verdict, detail = _verdict(int(nan_mismatch.sum()), gaps, rejected_pct, atol)
    return Comparison(
        verdict=verdict,
        detail=detail,
        atol=atol,
        shapes=shapes,
        dtypes=dtypes,
        samples=reference.size,
        nan_mismatches=int(nan_mismatch.sum()),
        differing=int(differs.sum()),
        max_abs=float(gaps.max()) if gaps.size else None,
        median_abs=float(np.median(gaps)) if gaps.size else None,
        max_ulp=_max_ulp(a, b),
        bounding_box=_bounding_box(differs),
        first_places=tuple(tuple(int(i) for i in place) for place in np.argwhere(differs)[:FIRST_PLACES]),
        rejected_pct=rejected_pct,
        all_rejected=int((nan_a & nan_b).sum()),
    )


def _verdict(
    nan_mismatches: int, gaps: NDArray[np.float64], rejected_pct: tuple[float, float], atol: float
) -> tuple[Verdict, str]:
    """Judge the differences, and say in a sentence what decides."""
    same_rejection = rejected_pct[0] == rejected_pct[1] or all(np.isnan(rejected_pct))
    if not nan_mismatches and not gaps.size and same_rejection:
        return Verdict.IDENTICAL, "every bit is the same"
    if nan_mismatches:
        return Verdict.DIFFERENT, f"{nan_mismatches} samples are NaN on one side only"
    if not same_rejection:
        return Verdict.DIFFERENT, f"rejected_pct differs: {rejected_pct[0]!r} against {rejected_pct[1]!r}"
    worst = float(gaps.max())
    if atol > 0 and worst <= atol:
        return Verdict.WITHIN, f"the largest difference is {worst:.3g}, within {atol:g}"
    within = "within" if worst <= ORIGINAL_ATOL else "over"
    return Verdict.DIFFERENT, f"the largest difference is {worst:.3g}, {within} the original {ORIGINAL_ATOL:g}"


def _bits(values: Pixels) -> NDArray[np.uint32]:
    """View float32 samples as their bits, so that -0.0 and 0.0 differ too."""
    return np.ascontiguousarray(values, np.float32).view(np.uint32)


def _max_ulp(a: Pixels, b: Pixels) -> int | None:
    """Give the largest distance in units in the last place; None where nothing differs."""
    if not a.size:
        return None
    return int(np.abs(_ordered(a) - _ordered(b)).max())


def _ordered(values: Pixels) -> NDArray[np.int64]:
    """Map float32 samples to integers in the same order, neighbours one apart (-0.0 and 0.0 coincide)."""
    bits = _bits(values).view(np.int32).astype(np.int64)
    ordered: NDArray[np.int64] = np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
    return ordered


def _bounding_box(differs: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """Give first and last row, first and last column of what differs, inclusive."""
    places = np.argwhere(differs)
    if not places.size:
        return None
    (y0, x0), (y1, x1) = places[:, :2].min(axis=0), places[:, :2].max(axis=0)
    return int(y0), int(y1), int(x0), int(x1)
