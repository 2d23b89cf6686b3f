"""The kappa-sigma functions of a ZeMosaic, run on frames in its own interpreter and held against the reference.

The reference is the full frame of the bundled modules. Released versions want a list of float32 arrays in memory, for
their stack by bands of rows too: they get frames as files, of what the bundled full frame stacked, and load them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ..machine.child_process import RunStatus
from ..machine.scratch import save_array
from ..zemosaic.checkout import Checkout, Presence
from ..zemosaic.child import Ending, Line, Outcome, run_job
from ..zemosaic.jobs import kappa_job
from ..zemosaic.runner import KAPPA
from ..zemosaic.under_test import UnderTest, open_bundled
from .comparison import compare
from .data import Rung, Variant, VariantRun, ZemosaicFunction, ZemosaicRun

# What the functions are called in a job, by their names.
_KINDS = {name: kind for kind, name in KAPPA.items()}

# A function that cannot be got was not run.
_STATUSES = {
    Ending.OK: RunStatus.OK,
    Ending.RAISED: RunStatus.RAISED,
    Ending.KILLED: RunStatus.KILLED,
    Ending.TIMED_OUT: RunStatus.TIMED_OUT,
    Ending.IMPORT_FAILED: RunStatus.SKIPPED,
    Ending.NOT_THERE: RunStatus.SKIPPED,
}

# The small stack that shows what a function makes of weights of shape (H, W, C): frames, their shape, rows of a band.
_SMALL_FRAMES, _SMALL_SHAPE, _SMALL_ROWS = 5, (24, 16, 3), 8
_SMALL_TIMEOUT_S = 60.0

ZEMOSAIC_FORMULA = (
    "; ZeMosaic's full frame: about the same; its chunked stack: 160 MiB + the frames + its need for a band of rows "
    "(about 9 times their part of the frames) + the result twice"
)

_NO_REFERENCE = "there is no full frame of our own to hold it against"
_NO_FRAMES = "the disk for temporary files (TMPDIR) has no room for the frames, which it wants whole"


@dataclass(frozen=True, kw_only=True)
class StackTask:
    """What a function of ZeMosaic is to stack, and what that is held against.

    Attributes
    ----------
    frames : tuple of Path
        ``.npy`` files, float32.
    shape : (H, W) or (H, W, C)
        Of each.
    weights : nested list of float, or None
        As the bundled functions got them.
    kappa : (low, high)
        Rejection limits, standard deviations.
    chunk_rows : int
        Rows of a band.
    rows : (int, int)
        First row and the row after the last: what part of the frames this is.
    reference : Path or None
        The reference's result on the same frames, ``.npy``; None where it has none.
    rejected_pct : float or None
        What the reference returned of them.
    atol : float
        See `comparison.compare`.
    folder : Path
        For the files of the job.
    timeout_s : float
        When it is stopped.
    """

    frames: tuple[Path, ...]
    shape: tuple[int, ...]
    weights: Sequence[Any] | None
    kappa: tuple[float, float]
    chunk_rows: int
    rows: tuple[int, int]
    reference: Path | None
    rejected_pct: float | None
    atol: float
    folder: Path
    timeout_s: float


@dataclass(frozen=True)
class ZemosaicStacks:
    """A ZeMosaic under test, and those of its functions that are run."""

    under_test: UnderTest
    functions: tuple[ZemosaicFunction, ...]

    def largest_need_bytes(self, frames: int, shape: tuple[int, ...], chunk_rows: int) -> int:
        """Estimate what the function takes that takes most, its frames included; 0 without functions."""
        needs = [estimate_bytes(function.variant, frames, shape, chunk_rows) for function in self.functions]
        return max(needs, default=0)

    def run_if_it_fits(
        self,
        function: ZemosaicFunction,
        task: StackTask,
        allowed_bytes: int,
        process_bytes: int,
        part_done: Callable[[float], None],
    ) -> ZemosaicRun:
        """Run one function, where there are frames and a reference for it, and memory.

        Parameters
        ----------
        function : ZemosaicFunction
            Which.
        task : StackTask
            On what.
        allowed_bytes, process_bytes : int
            What a child may take, and what it takes before the first frame.
        part_done : callable
            Gets the part of the stack that is done, 0 to 1.
        """
        need = process_bytes + estimate_bytes(function.variant, len(task.frames), task.shape, task.chunk_rows)
        why_not = does_not_fit(need, allowed_bytes) if need > allowed_bytes else ""
        if task.reference is None:
            why_not = _NO_REFERENCE
        elif not all(path.exists() for path in task.frames):
            why_not = _NO_FRAMES
        if why_not:
            run = _run(function, RunStatus.SKIPPED, why_not, task.rows, need)
            return ZemosaicRun(function=function.name, run=run, weighted=task.weights is not None)
        part_done(0.0)
        return run_function(self.under_test, function, task, estimated_bytes=need, part_done=part_done)

    def with_pixel_weights(self, folder: Path, timeout_s: float) -> Iterator[ZemosaicRun]:
        """Run each function on a few small frames with weights of shape (H, W, C).

        Such weights go with frames of (H, W, C) by NumPy's rules, and the reference takes them; a stack by bands of
        rows must cut them into bands too.

        Parameters
        ----------
        folder : Path
            An existing folder for temporary files.
        timeout_s : float
            After so many seconds, or a minute where that is less, a function is stopped.
        """
        task = _small_task(folder, min(timeout_s, _SMALL_TIMEOUT_S))
        ours = ZemosaicFunction(Variant.FULL_FRAME, KAPPA["fullframe"], Presence.PRESENT, "")
        made = run_function(open_bundled(), ours, task).run
        if made.status is RunStatus.OK:
            reference = _result_file(folder, ours).replace(folder / "reference.npy")
            task = replace(task, reference=reference, rejected_pct=made.rejected_pct)
        for function in self.functions:
            yield run_function(self.under_test, function, task)


def functions_to_judge(checkout: Checkout) -> tuple[ZemosaicFunction, ...]:
    """Tell what a checkout has of a stack of whole frames and of one by bands of rows, by looking.

    Before there was one by bands of rows, that of whole frames had the name that chooses between the two today.
    """
    full, either, chunked = (checkout.functions[KAPPA[kind]] for kind in ("fullframe", "fallback", "chunked"))
    if full.presence is Presence.ABSENT and either.presence is not Presence.ABSENT:
        full = either
    pairs = ((Variant.FULL_FRAME, full), (Variant.CHUNKED, chunked))
    return tuple(ZemosaicFunction(variant, one.name, one.presence, one.told) for variant, one in pairs)


def estimate_bytes(variant: Variant, frames: int, shape: tuple[int, ...], chunk_rows: int) -> int:
    """Estimate what a function of ZeMosaic takes at most, its frames included.

    Measured on the three released versions with NumPy 2.4, weights included, from 2 to 620 frames: the full frame 23
    bytes per sample (9, and 66 per pixel and channel, for very few frames); the stack by bands 36 and 80 of a band, and
    8 of the result.

    Parameters
    ----------
    variant : Variant
        Which stack it is the like of.
    frames : int
        How many are stacked.
    shape : (H, W) or (H, W, C)
        Of each.
    chunk_rows : int
        Rows of a band.
    """
    samples = prod(shape)
    held = 4 * frames * samples + (2 << 20)
    if variant is Variant.FULL_FRAME:
        return held + max(23 * frames + 30, 9 * frames + 68) * samples
    band = prod((min(chunk_rows, shape[0]), *shape[1:]))
    return held + (36 * frames + 80) * band + 8 * samples


def does_not_fit(need: int, allowed: int) -> str:
    """Say that something needs more memory than is allowed."""
    return f"it needs {need >> 20} MiB and {allowed >> 20} MiB are allowed"


def run_function(
    under_test: UnderTest,
    function: ZemosaicFunction,
    task: StackTask,
    *,
    estimated_bytes: int = 0,
    part_done: Callable[[float], None] | None = None,
) -> ZemosaicRun:
    """Run one function of a ZeMosaic, in its own interpreter, and compare what it gives with the reference.

    Parameters
    ----------
    under_test : UnderTest
        The ZeMosaic, and who runs it.
    function : ZemosaicFunction
        Which function.
    task : StackTask
        On what.
    estimated_bytes : int, keyword-only
        The need that was estimated.
    part_done : callable, keyword-only
        Gets the part of the stack that is done, 0 to 1.
    """

    def pass_on(line: Line) -> None:
        if part_done is not None and line.progress is not None:
            part_done(min(1.0, max(0.0, line.progress / 100.0)))

    outcome = run_job(_job(function, task), under_test.runnable, task.folder, timeout_s=task.timeout_s, on_line=pass_on)
    run = _run(function, _STATUSES[outcome.ending], outcome.detail, task.rows, estimated_bytes)
    theirs = ZemosaicRun(
        function=function.name,
        run=replace(run, **_measured(outcome)),
        weighted=task.weights is not None,
        **_how_it_was_got(outcome, function.name),
    )
    return _compared(theirs, _result_file(task.folder, function), task) if run.status is RunStatus.OK else theirs


def _run(function: ZemosaicFunction, status: RunStatus, detail: str, rows: tuple[int, int], need: int) -> VariantRun:
    """Note how a run ended, or why there was none, without anything measured."""
    return VariantRun(variant=function.variant, status=status, detail=detail, rows=rows, estimated_bytes=need)


def _job(function: ZemosaicFunction, task: StackTask) -> dict[str, Any]:
    """Write down what a function is to do; its weights become a file."""
    weights = None
    if task.weights is not None:
        weights = task.folder / "weights.npy"
        save_array(weights, _weights_as_taken(np.asarray(task.weights, np.float32), len(task.frames)))
    return kappa_job(
        _KINDS[function.name],
        task.frames,
        _result_file(task.folder, function),
        weights=weights,
        sigma=task.kappa,
        chunk_rows=task.chunk_rows if function.variant is Variant.CHUNKED else None,
        callback="count",
    )


def _weights_as_taken(weights: np.ndarray[Any, Any], frames: int) -> np.ndarray[Any, Any]:
    """Give weights in a shape that released versions take: (N,) where it is (N, 1) here."""
    return weights.reshape(frames) if weights.shape == (frames, 1) else weights


def _result_file(folder: Path, function: ZemosaicFunction) -> Path:
    return folder / f"stacked_{function.variant.value}.npy"


def _measured(outcome: Outcome) -> dict[str, Any]:
    """Take what the child measured of its stack."""
    names = {
        "baseline_rss_bytes": "baseline_bytes",
        "peak_rss_bytes": "peak_bytes",
        "memory_method": "memory_method",
        "wall_s": "wall_s",
        "cpu_s": "cpu_s",
    }
    measured = {ours: outcome.result[theirs] for ours, theirs in names.items() if theirs in outcome.result}
    rejected = outcome.result.get("rejected_pct")
    return measured | {"rejected_pct": float(rejected) if isinstance(rejected, (int, float)) else None}


def _how_it_was_got(outcome: Outcome, function: str) -> dict[str, Any]:
    """Tell by which rung a function was got, and why not by the first."""
    steps = [step for step in outcome.steps if step.function == function]
    rung = next((Rung(step.rung) for step in steps if step.ok), None)
    return {"rung": rung, "not_lifted": next((s.why for s in steps if not s.ok and s.rung == Rung.LIFTED), "")}


def _compared(theirs: ZemosaicRun, result: Path, task: StackTask) -> ZemosaicRun:
    """Compare a result with the reference's, where that is there."""
    try:
        candidate = np.load(result, mmap_mode="r")
    except (OSError, ValueError) as error:
        detail = f"what it returned is no image ({type(error).__name__}: {error})"
        return replace(theirs, run=replace(theirs.run, status=RunStatus.RAISED, detail=detail))
    if task.reference is None:
        return theirs
    rejected = [float("nan") if one is None else one for one in (task.rejected_pct, theirs.run.rejected_pct)]
    reference = np.load(task.reference, mmap_mode="r")
    return replace(theirs, comparison=compare(reference, candidate, (rejected[0], rejected[1]), atol=task.atol))


def _small_task(folder: Path, timeout_s: float) -> StackTask:
    """Make a few small frames, and weights of their own shape."""
    random = np.random.default_rng(5)
    frames = tuple(folder / f"small_{index}.npy" for index in range(_SMALL_FRAMES))
    for path in frames:
        save_array(path, random.normal(1000.0, 30.0, _SMALL_SHAPE).astype(np.float32))
    return StackTask(
        frames=frames,
        shape=_SMALL_SHAPE,
        weights=random.uniform(0.5, 1.5, _SMALL_SHAPE).tolist(),
        kappa=(3.0, 3.0),
        chunk_rows=_SMALL_ROWS,
        rows=(0, _SMALL_SHAPE[0]),
        reference=None,
        rejected_pct=None,
        atol=0.0,
        folder=folder,
        timeout_s=timeout_s,
    )
