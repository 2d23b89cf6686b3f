"""Two results compared: one flipped bit is a difference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from zemo_diagnostics.kappa_parity.comparison import compare
from zemo_diagnostics.kappa_parity.data import Comparison, Verdict

Image = NDArray[np.float32]


def image(shape: tuple[int, ...] = (6, 5, 3)) -> Image:
    values = np.random.default_rng(3).normal(1000.0, 50.0, shape).astype(np.float32)
    values[1, 2] = np.nan
    return values


def verdict_of(a: Image, b: Image, atol: float = 0.0) -> Comparison:
    return compare(a, b, (1.5, 1.5), atol=atol)


def test_the_same_bits_are_identical() -> None:
    result = verdict_of(image(), image())
    assert result.verdict is Verdict.IDENTICAL
    assert (result.differing, result.max_abs, result.max_ulp, result.bounding_box) == (0, None, None, None)
    assert result.all_rejected == 3


@given(place=st.integers(0, 89), bit=st.integers(0, 31))
def test_any_flipped_bit_is_different(place: int, bit: int) -> None:
    flipped = image()
    bits = flipped.reshape(-1).view(np.uint32)
    if np.isnan(flipped.reshape(-1)[place]):
        return  # which NaN it is does not matter
    bits[place] ^= np.uint32(1 << bit)
    result = verdict_of(image(), flipped)
    assert result.verdict is Verdict.DIFFERENT
    assert result.differing == 1
    assert result.first_places == (tuple(int(i) for i in np.unravel_index(place, (6, 5, 3))),)


def test_nan_on_one_side_comes_first_and_no_tolerance_covers_it() -> None:
    other = image()
    other[4, 4, 0] = np.nan
    result = verdict_of(image(), other, atol=1e9)
    assert result.verdict is Verdict.DIFFERENT
    assert result.nan_mismatches == result.differing == 1
    assert "NaN on one side only" in result.detail


def test_the_measure_of_a_difference() -> None:
    other = image()
    other[3, 1, 2] = np.nextafter(np.nextafter(other[3, 1, 2], np.float32(np.inf)), np.float32(np.inf))
    other[5, 4, 0] += np.float32(0.5)
    result = verdict_of(image(), other)
    assert result.bounding_box == (3, 5, 1, 4)
    assert result.first_places == ((3, 1, 2), (5, 4, 0))
    assert result.max_abs == pytest.approx(0.5, rel=1e-3)
    assert result.median_abs == pytest.approx(0.25, rel=1e-2)
    assert result.max_ulp is not None
    assert result.max_ulp > 2
    assert "over the original 0.0001" in result.detail


def test_ulps_across_zero() -> None:
    tiny = np.nextafter(np.float32(0), np.float32(1))
    a, b = np.array([[tiny]], np.float32), np.array([[-tiny]], np.float32)
    assert verdict_of(a, b).max_ulp == 2


def test_a_tolerance_holds_only_where_it_is_given() -> None:
    other = image()
    other[0, 0, 0] = np.nextafter(other[0, 0, 0], np.float32(0))
    assert verdict_of(image(), other).verdict is Verdict.DIFFERENT
    assert verdict_of(image(), other, atol=1e-3).verdict is Verdict.WITHIN
    assert verdict_of(image(), other, atol=1e-9).verdict is Verdict.DIFFERENT


def test_negative_zero_is_another_bit() -> None:
    result = verdict_of(np.zeros((2, 2), np.float32), -np.zeros((2, 2), np.float32))
    assert (result.verdict, result.differing, result.max_abs) == (Verdict.DIFFERENT, 4, 0.0)


def test_infinities() -> None:
    a = np.array([[np.inf, np.inf]], np.float32)
    assert verdict_of(a, a.copy()).verdict is Verdict.IDENTICAL
    assert verdict_of(a, -a).verdict is Verdict.DIFFERENT


@pytest.mark.parametrize("other", [np.zeros((5, 6), np.float32), np.zeros((6, 5), np.float64)])
def test_another_shape_or_dtype_is_different(other: Image) -> None:
    result = verdict_of(np.zeros((6, 5), np.float32), other)
    assert result.verdict is Verdict.DIFFERENT
    assert "shape or dtype differ" in result.detail


def test_rejected_pct_counts() -> None:
    result = compare(image(), image(), (1.5, np.nextafter(1.5, 2.0)), atol=1.0)
    assert result.verdict is Verdict.DIFFERENT
    assert "rejected_pct differs" in result.detail
