"""The checks of the memory that the kappa-sigma functions take, by the high-water mark of a child."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...zemosaic.jobs import batch_job, kappa_job, read_batch
from ...zemosaic.runner import KAPPA
from ..acceptance import AcceptanceCheck, Verdict
from ..lab import Lab, Skip, refuse_failure
from .stack_cases import StackCase
from .stacks import REFERENCE

MEMORY_SHAPE = (192, 64, 3)
FEW, MANY = 30, 300
LOW_ROWS = 8
BOUND_BYTES = 64 << 20  # what the tool's own functions promise, whatever the number of frames


@dataclass(frozen=True)
class Extra:
    """Memory that a stack took besides its frames, bytes, and what that was read from."""

    extra_bytes: int
    method: str


def _memory(lab: Lab) -> dict[str, Extra]:
    """Measure the stack by bands with few and many frames, and in low bands; then the full frame, which takes most."""
    for name in ("chunked", "fullframe"):
        lab.needs(KAPPA[name])
    few, many = (StackCase(what="", shape=MEMORY_SHAPE, count=count) for count in (FEW, MANY))
    (few_file, _), (many_file, _) = few.write(lab.folder, "few"), many.write(lab.folder, "many")
    asked = {
        "few": kappa_job("chunked", [few_file], lab.folder / "memory.npy"),
        "many": kappa_job("chunked", [many_file], lab.folder / "memory.npy"),
        "low": kappa_job("chunked", [many_file], lab.folder / "memory.npy", chunk_rows=LOW_ROWS),
        "whole": kappa_job(REFERENCE, [many_file], lab.folder / "memory.npy"),
    }
    answers = read_batch(lab.answered("memory", batch_job(list(asked.values()))))
    extras = {}
    for name, answer in zip(asked, answers, strict=True):
        refuse_failure(answer.ending, answer.detail, answer.result)
        took = answer.result
        if not took["baseline_bytes"]:
            raise Skip("this system does not say how much memory a process holds")
        extras[name] = Extra(max(0, took["peak_bytes"] - took["baseline_bytes"]), took["memory_method"])
    return extras


def _mib(extra: Extra) -> str:
    return f"{extra.extra_bytes / 2**20:.0f} MiB"


def _never_whole(lab: Lab) -> Verdict:
    took = lab.once(_memory)
    stack_bytes = MANY * math.prod(MEMORY_SHAPE) * 4
    reason = (
        f"bands take {_mib(took['low'])} besides the frames, the full frame {_mib(took['whole'])}, for a stack of "
        f"{stack_bytes / 2**20:.0f} MiB"
    )
    holds = took["low"].extra_bytes < stack_bytes / 2
    evidence = f"{MANY} frames of {MEMORY_SHAPE} in bands of {LOW_ROWS} rows; {took['low'].method}"
    return Verdict(holds, reason, () if holds else (evidence,))


def _bounded(lab: Lab) -> Verdict:
    took = lab.once(_memory)
    reason = f"{_mib(took['few'])} for {FEW} frames, {_mib(took['many'])} for {MANY}"
    holds = took["many"].extra_bytes <= BOUND_BYTES
    evidence = f"frames of {MEMORY_SHAPE} in bands of 64 rows; more than {BOUND_BYTES >> 20} MiB; {took['many'].method}"
    return Verdict(holds, reason, () if holds else (evidence,))


CHECKS: tuple[AcceptanceCheck, ...] = (
    AcceptanceCheck(
        code="ZC331",
        title="The stack by bands never holds the whole stack",
        requires=("R7", "R12"),
        meaning=(
            "300 frames, stacked in bands of 8 rows and as a whole in one child: the high-water mark of the memory, "
            "what was held before taken off. Bands must take less than half of the stack (N, H, W, C) itself."
        ),
        remedy="Cut each frame's rows before they are put together.",
        judge=_never_whole,
        after=("ZC302",),
    ),
    AcceptanceCheck(
        code="ZC332",
        title="The memory of the stack by bands is bounded, whatever the number of frames",
        requires=("R7", "R12"),
        meaning=(
            "Bands of a fixed height grow with the number of frames, and so does what they take: 839 frames of a "
            "Seestar in bands of 64 rows take gigabytes. 30 and 300 frames are stacked, in bands as by default."
        ),
        remedy="Make bands lower, or cut them into blocks, where there are more frames.",
        judge=_bounded,
        after=("ZC302", "ZC331"),
    ),
)
