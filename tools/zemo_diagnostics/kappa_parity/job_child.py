"""What the child processes run: one job each, from a JSON file to a JSON file.

A job either looks at every frame of a tile and says which can be read, which carry a signal, and how they weigh, or
runs one variant of the kappa-sigma stack and notes its memory and time.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FrameError, ScratchError
from ..frames.entries import Frame, look_at
from ..frames.pixels import RowSource
from ..frames.reading import reading
from ..frames.stack_input import missing_signal, open_for_stack
from ..machine.child_process import NO_SCRATCH_CODE
from ..machine.peak_memory import read_memory, reset_peak
from ..machine.scratch import save_array, writing_scratch
from ..zemosaic.functions_under_test import load_stack, load_stack_functions
from .data import Variant
from .job import Job, JobFrame, handed_frames


def main(job_file: str) -> None:
    """Do the job in a file and write its result, or what was raised, to the file that it names.

    A full disk for temporary files has no room for a result either: then the exit code says it.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    document = json.loads(Path(job_file).read_text(encoding="utf-8"))
    try:
        with writing_scratch():
            folder = tempfile.TemporaryDirectory(dir=Path(job_file).parent)
        with folder as scratch:
            result = _result(document, Path(scratch))
        with writing_scratch():
            _write(result, Path(document["result"]))
    except ScratchError:
        sys.exit(NO_SCRATCH_CODE)


def _result(document: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Do a job; what it raises is its result."""
    try:
        job = Job.from_json(document)
        return _inspect(job, scratch) if job.variant is Variant.INSPECT else _stack(job, scratch)
    except ScratchError:
        raise
    except Exception as error:  # noqa: BLE001
        return {"raised": f"{type(error).__name__}: {error}"}


def _write(result: dict[str, Any], target: Path) -> None:
    """Write a result whole or not at all."""
    written = target.with_suffix(".part")
    written.write_text(json.dumps(result), encoding="utf-8")
    written.replace(target)


def _end_with_parent() -> None:
    """End this process when the parent's end of the pipe closes."""
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    os._exit(1)


def _say_fraction_done(fraction: float) -> None:
    """Tell the parent how far the job is."""
    with contextlib.suppress(OSError):
        os.write(1, f"{fraction:.4f}\n".encode("ascii"))


def _opened(job: Job, described: JobFrame, scratch: Path) -> RowSource:
    """Open one frame as the job describes it."""
    path = Path(described.path)
    frame = look_at(path, path.parent)
    if not isinstance(frame, Frame):
        raise FrameError(f"{frame.name}: {frame.reason}")
    return open_for_stack(frame, described.pattern, job.window, scratch)


def _inspect(job: Job, scratch: Path) -> dict[str, Any]:
    """Read every frame: what it holds instead of a signal, or why it cannot be read; and weigh those that can."""
    told, readable = [], []
    for index, described in enumerate(job.frames):
        try:
            with reading(Path(described.path)):
                frame = _opened(job, described, scratch)
                told.append({"signal": missing_signal(frame)})
            readable.append(frame)
        except FrameError as error:
            told.append({"unreadable": str(error)})
        _say_fraction_done((index + 1) / len(job.frames))
    weights = None
    if job.weigh and readable:
        weights = load_stack().noise_variance_weights(readable, _pass_on_progress).tolist()
    return {"frames": told, "weights": weights}


def _stack(job: Job, scratch: Path) -> dict[str, Any]:
    """Run one variant; its result goes into a file, its memory and time into the answer."""
    functions = load_stack_functions()
    frames: list[Any] = [_opened(job, described, scratch) for described in job.frames]
    options: dict[str, Any] = {"sigma_low": job.kappa_low, "sigma_high": job.kappa_high}
    if job.weights is not None:
        options["weights"] = np.asarray(job.weights, np.float32)
    stack = functions.fullframe
    if job.variant is Variant.CHUNKED:
        stack = functions.chunked
        options |= {"chunk_rows": job.chunk_rows, "progress_callback": _pass_on_progress}
    else:
        frames = [np.ascontiguousarray(frame[0 : frame.shape[0]], dtype=np.float32) for frame in frames]
    reset = reset_peak()
    before, wall, cpu = read_memory(), time.perf_counter(), time.process_time()
    stacked, rejected_pct = stack(frames, **options)
    wall_s, cpu_s, after = time.perf_counter() - wall, time.process_time() - cpu, read_memory()
    save_array(Path(job.stacked or ""), stacked)
    if job.handed_on and job.variant is Variant.FULL_FRAME:
        for path, frame in zip(handed_frames(Path(job.handed_on), len(frames)), frames, strict=True):
            save_array(path, frame)
    return {
        "baseline_rss_bytes": before.rss_bytes,
        "peak_rss_bytes": after.peak_bytes,
        "memory_method": after.method + (", reset before the stack" if reset else ", loading included"),
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "rejected_pct": float(rejected_pct),
    }


def _pass_on_progress(message: str, progress: float | None, level: str, **_: object) -> None:
    """Pass the stack's own progress (percent) on to the parent."""
    del message, level
    if progress is not None:
        _say_fraction_done(progress / 100.0)
