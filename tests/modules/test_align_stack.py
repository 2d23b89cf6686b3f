"""The kappa-sigma fallback: its contract, line by line, and that every path gives the reference's bits."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zemosaic_align_stack as zas

Array = npt.NDArray[Any]
Stacker = Callable[..., tuple[npt.NDArray[np.float32], float]]

REFERENCE: Stacker = zas._cpu_stack_kappa_fallback_fullframe
CHUNKED: Stacker = zas._cpu_stack_kappa_fallback_chunked
DISPATCHER: Stacker = zas._cpu_stack_kappa_fallback
ALL_THREE = [
    pytest.param(REFERENCE, id="reference"),
    pytest.param(CHUNKED, id="chunked"),
    pytest.param(DISPATCHER, id="dispatcher"),
]
every_path = pytest.mark.parametrize("stack", ALL_THREE)


def bounded(
    frames: Any,
    *,
    sigmas: tuple[float, float] = (3.0, 3.0),
    weights: Any = None,
    callback: Callable[..., object] | None = None,
    chunk_rows: int = 64,
    budget: int | None = None,
    threads: int | None = None,
) -> tuple[npt.NDArray[np.float32], float]:
    return zas._stack_bounded(
        frames,
        sigma_low=sigmas[0],
        sigma_high=sigmas[1],
        weights=weights,
        progress_callback=callback,
        chunk_rows=chunk_rows,
        memory_budget_bytes=budget,
        threads=threads,
    )


def f32(values: Any) -> npt.NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


def noise(*shape: int, seed: int = 1) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(1000.0, 12.5, shape).astype(np.float32)


def assert_same(got: tuple[npt.NDArray[np.float32], float], expected: tuple[npt.NDArray[np.float32], float]) -> None:
    assert got[1] == expected[1]
    np.testing.assert_array_equal(np.isnan(got[0]), np.isnan(expected[0]))
    assert zas._same_bits(got[0], expected[0])


class LazyFrame:
    """Only what the contract asks of a lazy frame; remembers what was read."""

    def __init__(self, array: Array, name: str = "", broken_from: int | None = None) -> None:
        self.shape, self.dtype, self.name = array.shape, array.dtype, name
        self.reads: list[tuple[int, int]] = []
        self._array, self._broken_from = array, broken_from

    def __getitem__(self, rows: slice) -> Array:
        self.reads.append((rows.start, rows.stop))
        if self._broken_from is not None and rows.stop > self._broken_from:
            raise OSError(5, "Input/output error", self.name)
        part: Array = self._array[rows]
        return part


# --------------------------------------------------------------------------------------------- the contract


@every_path
def test_no_frame_is_an_error(stack: Stacker) -> None:
    with pytest.raises(ValueError, match=r"^frames is empty$"):
        stack([])


@every_path
@pytest.mark.parametrize("shape", [(), (5,), (2, 3, 4, 5)])
def test_frames_have_two_or_three_axes(stack: Stacker, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"frame 0 has shape"):
        stack([np.zeros(shape, np.float32)])


@every_path
def test_the_first_frame_of_another_shape_is_named(stack: Stacker) -> None:
    frames = [np.zeros((4, 5)), np.zeros((4, 5)), np.zeros((5, 4)), np.zeros((1, 1))]
    with pytest.raises(ValueError, match=r"frame 2 has shape \(5, 4\), but frame 0 has \(4, 5\)"):
        stack(frames)


@every_path
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3), (6, 5, 1)])
def test_the_plane_is_float32_of_the_frames_shape(stack: Stacker, shape: tuple[int, ...]) -> None:
    stacked, rejected_pct = stack(list(noise(4, *shape).astype(np.float64)))
    assert stacked.dtype == np.float32
    assert stacked.shape == shape
    assert isinstance(rejected_pct, float)


@every_path
def test_an_outlier_is_rejected_and_counted(stack: Stacker) -> None:
    frames = np.tile(f32([[99.0, 101.0]] * 3), (8, 1, 1))
    frames[::2] = frames[::2, :, ::-1]
    frames[5, 1, 0] = 5000.0
    stacked, rejected_pct = stack(frames, sigma_low=2.0, sigma_high=2.0)
    assert stacked[0, 0] == 100.0
    assert abs(stacked[1, 0] - 100.0) < 0.2
    assert rejected_pct == 100.0 * 1 / 48


@every_path
def test_kappas_are_separate(stack: Stacker) -> None:
    frames = f32([0, 10, 11, 12, 13, 14, 24]).reshape(7, 1, 1) * np.ones((1, 2, 1), np.float32)
    assert stack(frames, sigma_low=1.0, sigma_high=9.0)[0][0, 0] == np.float32(84.0) / np.float32(6)
    assert stack(frames, sigma_low=9.0, sigma_high=1.0)[0][0, 0] == np.float32(60.0) / np.float32(6)


@every_path
def test_nan_counts_as_rejected_and_stays_out_of_the_mean(stack: Stacker) -> None:
    frames = np.full((4, 2, 2), 7.0, np.float32)
    frames[0, 0, 0] = np.nan
    frames[:, 1, 1] = np.nan
    stacked, rejected_pct = stack(frames)
    np.testing.assert_array_equal(stacked, f32([[7, 7], [7, np.nan]]))
    assert rejected_pct == 100.0 * 5 / 16


@every_path
@pytest.mark.parametrize("infinity", [np.inf, -np.inf])
def test_a_pixel_with_infinity_keeps_nothing(stack: Stacker, infinity: float) -> None:
    frames = noise(5, 2, 2)
    frames[3, 0, 1] = infinity
    stacked, rejected_pct = stack(frames)
    assert np.isnan(stacked[0, 1])
    assert np.isfinite(stacked[1]).all()
    assert rejected_pct == 100.0 * 5 / 20
    assert stack(frames, weights=np.ones(5))[0][0, 1] == infinity


@every_path
def test_the_plain_mean_of_all_frames_stands_in_where_weights_give_none(stack: Stacker) -> None:
    frames = noise(30, 3, 4)
    frames[2, 1, 1] = 9000.0
    expected = np.nanmean(frames, axis=0)
    for weights in (np.zeros(30), np.full(30, np.nan), np.full(30, np.inf), -np.ones(30)):
        np.testing.assert_array_equal(stack(frames, weights=weights)[0], expected)


@every_path
def test_frames_may_be_one_array_or_nested_lists(stack: Stacker) -> None:
    frames = np.round(noise(5, 3, 4))
    expected = stack(list(frames))
    assert_same(stack(frames), expected)
    assert_same(stack(frames.tolist()), expected)
    assert_same(stack(frame for frame in frames), expected)


@every_path
@pytest.mark.parametrize("shape", [(0, 4), (4, 0, 3)])
def test_empty_frames_give_an_empty_plane(stack: Stacker, shape: tuple[int, ...]) -> None:
    stacked, rejected_pct = stack([np.zeros(shape, np.float32)] * 3)
    assert stacked.shape == shape
    assert rejected_pct == 0.0


@every_path
def test_no_warning_leaks_whatever_numpy_is_set_to(stack: Stacker) -> None:
    nasty = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e300, 1e-45, -0.0, 0.0, 5.0])
    frames = np.random.default_rng(3).choice(nasty, (12, 9, 8))
    frames[:, 0] = np.nan
    weights = np.random.default_rng(4).choice(np.array([0, 1, np.nan, np.inf, 1e300]), frames.shape)
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        stack(frames, sigma_low=1e300)
        stack(frames, weights=weights)
        stack([LazyFrame(frame) for frame in frames], weights=weights)


def test_chunk_rows_must_be_positive() -> None:
    with pytest.raises(ValueError, match=r"chunk_rows must be at least 1, got 0"):
        CHUNKED(noise(3, 4, 4), chunk_rows=0)


def test_the_old_name_is_the_dispatcher() -> None:
    assert zas.cpu_stack_kappa is zas._cpu_stack_kappa_fallback


# --------------------------------------------------------------------------------------------- weights


@every_path
@pytest.mark.parametrize("n", [3, 4, 5], ids=["N = C", "N = W", "N = H"])
@pytest.mark.parametrize("colour", [False, True])
def test_one_weight_per_frame_whatever_the_frame_is(stack: Stacker, n: int, colour: bool) -> None:
    frames = noise(n, 5, 4, *([3] if colour else []))
    scalars = np.arange(1.0, n + 1.0)
    expected = stack(frames, weights=np.broadcast_to(scalars.reshape(n, *[1] * (frames.ndim - 1)), frames.shape))
    for shape in ((n,), (n, 1), (n, 1, 1)):
        assert_same(stack(frames, weights=scalars.reshape(shape)), expected)
    assert_same(stack(frames, weights=scalars.tolist()), expected)


@every_path
@pytest.mark.parametrize(
    "shape", [(), (1,), (3,), (4, 3), (5, 4, 3), (7, 1, 1, 3), (7, 5, 1, 1), (7, 5, 4, 1), (7, 5, 4, 3)]
)
def test_weights_broadcast_as_in_numpy(stack: Stacker, shape: tuple[int, ...]) -> None:
    frames = noise(7, 5, 4, 3)
    weights = np.random.default_rng(2).random(shape)
    assert_same(stack(frames, weights=weights), stack(frames, weights=np.broadcast_to(weights, frames.shape)))


@every_path
@pytest.mark.parametrize("shape", [(6,), (7, 2), (7, 5, 4), (1, 7, 5, 4, 3)])
def test_weights_of_a_wrong_shape_are_named_with_the_stacks(stack: Stacker, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"weights of shape .* do not fit a stack of shape \(7, 5, 4, 3\)") as error:
        stack(noise(7, 5, 4, 3), weights=np.ones(shape))
    assert str(shape) in str(error.value)


# --------------------------------------------------------------------------------------------- bit-identical

DTYPES = ["uint8", "uint16", ">i2", ">f4", "int32", "float16", "float32", "float64"]
SPECIAL = f32([0.0, -0.0, 1e-45, -1e-45, 1e-38, 3e38, -3e38, 1.0, -1.0])


def flipped(frame: Array) -> Array:
    return np.ascontiguousarray(frame[::-1, ::-1])[::-1, ::-1]


def channel_first(frame: Array) -> Array:
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(frame, -1, 0)), 0, -1)


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "flipped": flipped,
    "channel first": channel_first,
}


@dataclass(frozen=True, kw_only=True)
class Case:
    seed: int
    shape: tuple[int, ...]
    kind: str
    dtype: str
    layout: str
    nan_fraction: float
    inf_fraction: float
    weights: str
    sigmas: tuple[float, float]
    chunk_rows: int
    threads: int
    budget: int
    lazy: bool

    def stack(self) -> Array:
        rng = np.random.default_rng(self.seed)
        makers: dict[str, Callable[[], Array]] = {
            "noise": lambda: rng.normal(100.0, 12.5, self.shape),
            "few levels": lambda: rng.integers(0, 4, self.shape).astype(float),
            "constant": lambda: np.broadcast_to(rng.normal(100.0, 9.0, self.shape[1:]), self.shape).copy(),
            "wide": lambda: rng.standard_normal(self.shape) * 10.0 ** rng.uniform(-45, 38.4, self.shape),
            "special": lambda: rng.choice(SPECIAL, self.shape).astype(float),
        }
        values = makers[self.kind]()
        if np.dtype(self.dtype).kind == "f":
            values[rng.random(self.shape) < self.inf_fraction] = rng.choice([np.inf, -np.inf])
            values[rng.random(self.shape) < self.nan_fraction] = np.nan
        else:
            values = np.clip(values, 0, 200)
        with np.errstate(all="ignore"):
            return values.astype(self.dtype)

    def frames(self, stack: Array) -> list[Any]:
        frames = [LAYOUTS[self.layout](frame) for frame in stack]
        return [LazyFrame(frame) for frame in frames] if self.lazy else frames

    def weights_array(self) -> Array | None:
        rng = np.random.default_rng(self.seed + 1)
        n, *frame = self.shape
        shapes = {
            "frame": (n,),
            "frame column": (n, 1),
            "frame cube": (n, 1, 1),
            "frame and channel": (n, 1, *[1] * (len(frame) - 2), frame[-1]),
            "last axis": tuple(frame[-1:]),
            "plane": tuple(frame),
            "rows": (n, frame[0], *[1] * (len(frame) - 1)),
            "full": self.shape,
        }
        if self.weights == "none":
            return None
        if self.weights == "odd":
            return rng.choice(np.array([0, 1, -1, np.nan, np.inf, 1e300]), n)
        return rng.random(shapes[self.weights])


def cases(most_frames: int) -> st.SearchStrategy[Case]:
    side = st.integers(1, 9)
    frames = st.one_of(st.integers(1, min(most_frames, 20)), st.integers(1, most_frames))
    fraction = st.sampled_from([0.0, 0.0, 0.02, 0.4, 0.95])
    weights = ["frame", "frame column", "frame cube", "frame and channel", "last axis", "plane", "rows", "full"]
    return st.builds(
        Case,
        seed=st.integers(0, 2**32 - 1),
        shape=st.one_of(st.tuples(frames, side, side), st.tuples(frames, side, side, st.integers(1, 4))),
        kind=st.sampled_from(["noise", "few levels", "constant", "wide", "special"]),
        dtype=st.one_of(st.just("float32"), st.sampled_from(DTYPES)),
        layout=st.sampled_from(sorted(LAYOUTS)),
        nan_fraction=fraction,
        inf_fraction=st.sampled_from([0.0, 0.0, 0.05]),
        weights=st.one_of(st.just("none"), st.sampled_from([*weights, "odd"])),
        sigmas=st.tuples(*[st.sampled_from([3.0, 1.5, 0.5, 0.0, -1.0, np.inf, np.nan])] * 2),
        chunk_rows=st.integers(1, 10),
        threads=st.integers(1, 4),
        budget=st.sampled_from([1, 300_000, 330_000, 400_000, 1 << 20, 48 << 20]),
        lazy=st.booleans(),
    )


def check_bit_identical(case: Case) -> None:
    stack, weights = case.stack(), case.weights_array()
    low, high = case.sigmas
    expected = REFERENCE(stack, sigma_low=low, sigma_high=high, weights=weights)
    got = bounded(
        case.frames(stack),
        sigmas=case.sigmas,
        weights=weights,
        chunk_rows=case.chunk_rows,
        budget=case.budget,
        threads=case.threads,
    )
    assert_same(got, expected)


@given(cases(most_frames=60))
@settings(max_examples=100)
def test_any_cut_gives_the_references_bits(case: Case) -> None:
    check_bit_identical(case)


@pytest.mark.long
@given(cases(most_frames=700))
@settings(max_examples=2000)
def test_any_cut_gives_the_references_bits_up_to_700_frames(case: Case) -> None:
    check_bit_identical(case)


@pytest.mark.parametrize("n", [1, 2, 39, 40, 120, 255, 256, 599, 600, 601])
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("fewest_to_sort", [0, 40, 600])
def test_both_medians_agree_with_the_reference(
    n: int, holes: bool, fewest_to_sort: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zas, "_FEWEST_TO_SORT", fewest_to_sort)
    frames = noise(n, 3, 4, seed=n)
    if holes:
        frames[np.random.default_rng(n).random(frames.shape) < 0.3] = np.nan
    assert_same(CHUNKED(frames, chunk_rows=2), REFERENCE(frames))


@pytest.mark.parametrize("n", [599, 600, 601])
def test_the_median_of_huge_values_overflows_where_the_references_does(n: int) -> None:
    frames = np.where(np.arange(n) % 2, 2e38, -2e38).astype(np.float32).reshape(n, 1, 1) * np.ones((1, 2, 3))
    frames[0, :, 0] = np.nan
    assert_same(CHUNKED(frames.astype(np.float32)), REFERENCE(frames.astype(np.float32)))


@pytest.mark.parametrize("n", [7, 8, 100])
def test_a_lone_sample_is_summed_as_numpy_does(n: int) -> None:
    frames = noise(n, 1, 1)
    for stack in (CHUNKED, DISPATCHER):
        assert_same(stack(frames), REFERENCE(frames))
        assert_same(stack(frames[..., None]), REFERENCE(frames[..., None]))


@pytest.mark.parametrize("height", [2, 3, 4, 5, 7])
def test_single_sample_rows_keep_the_frames_order(height: int) -> None:
    frames = noise(100, height, 1)
    assert_same(CHUNKED(frames, chunk_rows=1), REFERENCE(frames))


def test_the_sign_of_zero_is_the_references() -> None:
    frames = np.full((9, 4, 4), -0.0, np.float32)
    frames[3, 0] = np.nan
    assert_same(CHUNKED(frames), REFERENCE(frames))


def test_numpys_own_memory_order_of_weights_does_not_matter() -> None:
    frames, weights = noise(50, 4, 5, 3), np.asfortranarray(np.random.default_rng(5).random((50, 4, 5, 3)))
    expected = REFERENCE(frames, weights=np.ascontiguousarray(weights))
    assert_same(REFERENCE(frames, weights=weights), expected)
    assert_same(CHUNKED(frames, weights=weights), expected)


@pytest.mark.parametrize("n", range(1, 49))
def test_the_network_brings_the_middle_to_its_place(n: int) -> None:
    values = np.random.default_rng(n).integers(0, 2, (n, 500))  # zeros and ones suffice (Knuth 5.3.4, theorem Z)
    network = zas._median_network(n)
    rows = values.copy()
    for i, j in network:
        rows[[i, j]] = np.minimum(rows[i], rows[j]), np.maximum(rows[i], rows[j])
    middle = [(n - 1) // 2, n // 2]
    np.testing.assert_array_equal(rows[middle], np.sort(values, axis=0)[middle])


# --------------------------------------------------------------------------------------------- the plan


@given(
    n=st.integers(1, 3000),
    shape=st.one_of(
        st.tuples(st.integers(1, 20), st.integers(1, 300)),
        st.tuples(st.integers(1, 20), st.integers(1, 300), st.integers(1, 5)),
    ),
    lazy=st.booleans(),
    threads=st.integers(1, 32),
    budget=st.integers(1, 1 << 27),
    chunk_rows=st.integers(1, 100),
)
@settings(max_examples=200)
def test_the_plan_keeps_its_promises(
    n: int, shape: tuple[int, ...], lazy: bool, threads: int, budget: int, chunk_rows: int
) -> None:
    plan = zas._plan_chunks(n, shape, lazy=lazy, threads=threads, budget_bytes=budget, chunk_rows=chunk_rows)
    height, width, channels = (*shape, 1)[:3]
    assert 1 <= plan.threads <= threads
    assert plan.band_rows <= max(chunk_rows, 3 if width * channels == 1 else 1)

    floor = zas._block_bytes(n, max(64, channels)) + lazy * (3 * 4 * n * channels + 3 * 16 * width * channels)
    assert plan.peak_bytes <= max(budget, 2 * floor)
    if lazy and zas._block_bytes(n, max(64, channels)) + width * channels * (4 * n + 16) <= budget:
        assert plan.band_cols == width, "rows that fit are read once"

    covered = np.zeros((height, width), np.int32)
    for band in zas._Area(0, height, 0, width).cut(plan.band_rows, plan.band_cols):
        assert band.y1 - band.y0 <= plan.band_rows
        assert band.x1 - band.x0 <= plan.band_cols
        for y0, y1, x0, x1 in band.cut(plan.block_rows, plan.block_cols):
            covered[y0:y1, x0:x1] += 1
            assert (y1 - y0) * (x1 - x0) * channels > 1 or height * width * channels == 1
            assert y1 - y0 <= plan.block_rows
            assert x1 - x0 <= plan.block_cols
    assert (covered == 1).all()


@pytest.mark.parametrize("n", [10, 60, 120, 600, 1000, 2000])
@pytest.mark.parametrize("threads", [1, 2, 16])
@pytest.mark.parametrize("lazy", [False, True])
def test_usual_stacks_stay_within_the_default_budget(n: int, threads: int, lazy: bool) -> None:
    shape = (1080, 1920, 3)
    plan = zas._plan_chunks(n, shape, lazy=lazy, threads=threads, budget_bytes=48 << 20, chunk_rows=64)
    assert plan.peak_bytes <= 48 << 20
    assert plan.band_cols == 1920
    assert plan.block_rows * plan.block_cols * 3 >= 64


def test_the_estimates_follow_the_plan() -> None:
    bound = zas.estimate_chunked_peak_bytes(600, (1080, 1920, 3), threads=2, memory_budget_bytes=30 << 20)
    assert 1080 * 1920 * 3 * 4 < bound <= (30 << 20) + 1080 * 1920 * 3 * 4
    assert zas.estimate_fullframe_peak_bytes(60, (1080, 1920, 3)) == pytest.approx(8187 * 2**20, rel=0.02)


# --------------------------------------------------------------------------------------------- environment


def test_threads_and_budget_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZEMOSAIC_KAPPA_THREADS", "3")
    monkeypatch.setenv("ZEMOSAIC_KAPPA_BUDGET_MB", "12.5")
    assert zas._thread_count() == 3
    assert zas._budget_bytes() == 12.5 * 2**20


@pytest.mark.parametrize("text", ["", "many", "0", "-2", "nan", "inf"])
def test_nonsense_in_the_environment_means_the_default(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZEMOSAIC_KAPPA_THREADS", raising=False)
    default = zas._thread_count()
    monkeypatch.setenv("ZEMOSAIC_KAPPA_THREADS", text)
    monkeypatch.setenv("ZEMOSAIC_KAPPA_BUDGET_MB", text)
    assert zas._thread_count() == default
    assert zas._budget_bytes() == zas.DEFAULT_BUDGET_MIB * 2**20


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, None),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "250000 100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu.max": "nonsense"}, None),
    ],
)
def test_a_containers_cpu_quota_is_heard(
    files: dict[str, str], cores: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(zas, "_CGROUP", tmp_path)
    monkeypatch.delenv("ZEMOSAIC_KAPPA_THREADS", raising=False)
    assert zas._cgroup_cores() == cores
    assert 1 <= zas._thread_count() <= (cores or 1 << 20)


def test_the_module_needs_numpy_alone_and_prints_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import zemosaic_align_stack\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names\n"
        "assert new == {'numpy', 'zemosaic_align_stack'}, new"
    )
    root = Path(zas.__file__).parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# --------------------------------------------------------------------------------------------- lazy frames


def test_every_row_is_read_once_and_in_order() -> None:
    frames = [LazyFrame(frame) for frame in noise(8, 20, 300, 3)]
    expected = REFERENCE([frame._array for frame in frames])
    assert_same(bounded(frames, chunk_rows=3), expected)
    for frame in frames:
        assert [y0 for y0, _ in frame.reads] == [0, *(y1 for _, y1 in frame.reads[:-1])]
        assert frame.reads[-1][1] == 20
        assert len(frame.reads) == 7


def test_rows_too_long_for_the_budget_are_read_in_parts_of_columns() -> None:
    frames = [LazyFrame(frame) for frame in noise(40, 3, 4000)]
    expected = REFERENCE([frame._array for frame in frames])
    assert_same(bounded(frames, budget=500_000, threads=2), expected)
    assert len(frames[0].reads) > 3
    assert max(y1 - y0 for y0, y1 in frames[0].reads) == 1


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_memory_maps_give_the_same_and_stay_as_they_are(mode: Any, tmp_path: Path) -> None:
    frames = noise(6, 9, 8, 3)
    np.save(tmp_path / "stack.npy", frames)
    mapped = np.load(tmp_path / "stack.npy", mmap_mode=mode)
    if mode != "r":
        mapped[2, 3] = frames[2, 3] = 5.0
    assert_same(CHUNKED(mapped, chunk_rows=2), REFERENCE(frames))
    assert_same(CHUNKED([np.asarray(frame)[::-1] for frame in mapped]), REFERENCE(frames[:, ::-1]))
    np.testing.assert_array_equal(mapped, frames)


@every_path
@pytest.mark.parametrize("name", ["", "/home/someone/night/light_007.fit"])
def test_a_frame_that_cannot_be_read_is_named_without_its_folder(stack: Stacker, name: str) -> None:
    frames = [LazyFrame(frame) for frame in noise(4, 6, 5)]
    frames[2] = LazyFrame(noise(6, 5), name, broken_from=4)
    with pytest.raises(zas.FrameReadError, match=r"of frame 2.*: Input/output error$") as error:
        stack(frames)
    assert isinstance(error.value.__cause__, OSError)
    assert ("(light_007.fit)" in str(error.value)) == bool(name)
    assert "someone" not in str(error.value)


def test_a_frame_that_gives_too_few_rows_is_an_error() -> None:
    short = LazyFrame(noise(6, 5))
    short._array = short._array[:5]
    with pytest.raises(zas.FrameReadError, match=r"rows 0 to 6 of frame 1: ValueError"):
        CHUNKED([LazyFrame(noise(6, 5)), short])


# --------------------------------------------------------------------------------------------- progress, threads


def test_progress_is_told_in_the_calling_thread() -> None:
    calls: list[tuple[str, float | None, str]] = []

    def callback(message: str, percent: float | None, level: str) -> None:
        assert threading.current_thread() is threading.main_thread()
        calls.append((message, percent, level))

    CHUNKED(noise(5, 10, 8), chunk_rows=4, progress_callback=callback)
    assert calls == [
        ("cpu_kappa_fallback_chunked: rows=4 full_stack_mb=0.0", None, "DEBUG_DETAIL"),
        ("cpu_kappa_fallback_progress", 33.0, "DEBUG_DETAIL"),
        ("cpu_kappa_fallback_progress", 66.0, "DEBUG_DETAIL"),
        ("cpu_kappa_fallback_progress", 100.0, "DEBUG_DETAIL"),
        ("cpu_kappa_fallback_done", None, "DEBUG_DETAIL"),
    ]


@every_path
def test_done_is_told_last(stack: Stacker) -> None:
    messages: list[str] = []
    stack(noise(5, 10, 8), progress_callback=lambda message, *_: messages.append(message))
    assert messages[-1] == "cpu_kappa_fallback_done"
    assert not any("chunked" in message for message in messages)


@every_path
def test_a_callback_that_raises_does_not_break_the_stack(stack: Stacker) -> None:
    def callback(*_: object) -> None:
        raise RuntimeError("the window is gone")

    frames = noise(5, 10, 8)
    assert_same(stack(frames, progress_callback=callback), REFERENCE(frames))


def kappa_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("kappa")]


def test_ctrl_c_leaves_no_thread() -> None:
    def callback(message: str, *_: object) -> None:
        if "progress" in message:
            assert kappa_threads()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bounded(noise(20, 40, 50), callback=callback, chunk_rows=1, threads=4)
    assert kappa_threads() == []


def test_an_error_in_a_thread_is_raised_and_stops_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    def failing(*_: object) -> int:
        started.append(1)
        raise IndexError("a fault of the kernel")

    monkeypatch.setattr(zas, "_stack_block", failing)
    with pytest.raises(IndexError, match="a fault of the kernel"):
        bounded(noise(20, 40, 500), budget=500_000, threads=2)
    assert len(started) <= 4
    assert kappa_threads() == []


def test_stacks_may_be_made_in_several_threads_at_once() -> None:
    frames = [noise(12, 30, 40, seed=seed) for seed in range(6)]
    results: dict[int, tuple[npt.NDArray[np.float32], float]] = {}
    workers = [threading.Thread(target=lambda k=k: results.update({k: DISPATCHER(frames[k])})) for k in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for k, stack in enumerate(frames):
        assert_same(results[k], REFERENCE(stack))


# --------------------------------------------------------------------------------------------- the self-test


def test_the_self_test_passes() -> None:
    zas._selftest_cpu_kappa_chunk_equivalence()


def one_ulp_up(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    above: npt.NDArray[np.float32] = np.nextafter(values, np.float32(np.inf))
    return above


@pytest.mark.parametrize("broken", ["_spread", "_median", "_sum_where"])
def test_the_self_test_sees_one_bit_in_the_kernel(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = getattr(zas, broken)
    monkeypatch.setattr(zas, broken, lambda *args: one_ulp_up(original(*args)))
    with pytest.raises(AssertionError, match="differs from the reference"):
        zas._selftest_cpu_kappa_chunk_equivalence()


@pytest.mark.parametrize("broken", ["_cpu_stack_kappa_fallback", "_cpu_stack_kappa_fallback_chunked"])
@pytest.mark.parametrize("part", [0, 1])
def test_the_self_test_sees_a_wrong_result(broken: str, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    original = getattr(zas, broken)

    def wrong(*args: Any, **kwargs: Any) -> tuple[Array, float]:
        stacked, rejected_pct = original(*args, **kwargs)
        return (one_ulp_up(stacked), rejected_pct) if part == 0 else (stacked, rejected_pct + 1e-9)

    monkeypatch.setattr(zas, broken, wrong)
    with pytest.raises(AssertionError, match="differs from the reference"):
        zas._selftest_cpu_kappa_chunk_equivalence()


def test_the_self_test_works_without_asserts() -> None:
    code = (
        "import zemosaic_align_stack as z\n"
        "z._cpu_stack_kappa_fallback = lambda *a, **k: (z.np.zeros((3, 4), 'f4'), 0.0)\n"
        "z._selftest_cpu_kappa_chunk_equivalence()"
    )
    root = Path(zas.__file__).parent
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-O", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "AssertionError: dispatcher differs from the reference" in done.stderr
