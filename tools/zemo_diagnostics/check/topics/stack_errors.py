"""The checks of what the kappa-sigma functions refuse, and what they tell their progress callback."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...machine.scratch import save_array
from ...zemosaic.child import Ending
from ...zemosaic.jobs import Answer, batch_job, kappa_job, read_batch
from ..acceptance import AcceptanceCheck, Verdict, judged_by_cases
from ..lab import Lab, Skip, refuse_failure
from .stacks import TOLD, Array, functions_there


def _error_cases(lab: Lab) -> list[tuple[str, str, Answer]]:
    """Give (case, function, answer) of stacks that cannot be made, or whose callback raises."""
    functions = functions_there(lab)
    if not functions:
        raise Skip("none of the kappa-sigma functions can be called")
    paths = {}
    for name, array in _UNFIT.items():
        paths[name] = lab.folder / f"{name}.npy"
        save_array(paths[name], array)
    asked: list[tuple[str, list[str], str | None, str | None]] = [
        ("no frame", [], None, None),
        ("another rank", ["line", "line"], None, None),
        ("taller", ["frame", "frame", "taller"], None, None),
        ("wider", ["frame", "wider"], None, None),
        ("colour", ["frame", "colour"], None, None),
        ("weights", ["frame"] * 3, "weights", None),
        ("counts", ["frame"] * 3, None, "count"),
        ("raises", ["frame"] * 3, None, "raise"),
    ]
    keys: list[tuple[str, str]] = []
    jobs: list[dict[str, Any]] = []
    for what, frames, weights, callback in asked:
        for function in functions:
            keys.append((what, function))
            jobs.append(
                kappa_job(
                    function,
                    [paths[one] for one in frames],
                    lab.folder / f"unfit_{len(jobs)}.npy",
                    weights=None if weights is None else paths[weights],
                    callback=callback,
                    chunk_rows=CALLBACK_ROWS if function == "chunked" else None,
                )
            )
    answers = read_batch(lab.answered("unfit", batch_job(jobs)))
    return [(what, function, answer) for (what, function), answer in zip(keys, answers, strict=True)]


CALLBACK_ROWS = 4

_UNFIT: dict[str, Array] = {
    "line": np.ones(20, np.float32),
    "frame": np.ones((10, 8), np.float32),
    "taller": np.ones((12, 8), np.float32),
    "wider": np.ones((10, 9), np.float32),
    "colour": np.ones((10, 8, 3), np.float32),
    "weights": np.ones((5, 7), np.float32),
}


def _of(lab: Lab, *whats: str) -> list[tuple[str, str, Answer]]:
    return [one for one in lab.once(_error_cases) if one[0] in whats]


def _unfit_are_refused(lab: Lab) -> Verdict:
    wrong, answers = [], _of(lab, "no frame", "another rank", "weights")
    for what, function, answer in answers:
        raised = answer.result.get("raised", {})
        told = f"{what} ({TOLD[function]})"
        if raised.get("type") != "ValueError":
            wrong.append(f"{told}: {answer.detail or 'it is stacked'}")
        elif what == "weights" and not all(_names(raised["message"], shape) for shape in ((5, 7), (3, 10, 8))):
            wrong.append(f"{told}: {answer.detail} does not name both shapes")
    return judged_by_cases("each is a ValueError", wrong, len(answers))


def _other_shapes_are_named(lab: Lab) -> Verdict:
    wrong, answers = [], _of(lab, "taller", "wider", "colour")
    for what, function, answer in answers:
        shape = _UNFIT[what].shape
        told = f"a frame of {shape} among those of (10, 8) ({TOLD[function]})"
        raised = answer.result.get("raised", {})
        if not raised:
            wrong.append(f"{told}: it is stacked without a word")
        elif raised["type"] != "ValueError" or not _names(raised["message"], shape):
            wrong.append(f"{told}: {answer.detail} does not name it")
    return judged_by_cases("each is a ValueError that names the shape", wrong, len(answers))


def _names(message: str, shape: tuple[int, ...]) -> bool:
    return str(shape) in message


def _end_is_told(lab: Lab) -> Verdict:
    wrong, answers = [], _of(lab, "counts")
    for _, function, answer in answers:
        refuse_failure(answer.ending, answer.detail, answer.result)
        if not any(message.startswith("cpu_kappa_fallback_done") for message in answer.result["said"]):
            wrong.append(f"{TOLD[function]}: it says {answer.result['said'] or 'nothing'}")
    return judged_by_cases("cpu_kappa_fallback_done is told", wrong, len(answers))


def _callback_may_raise(lab: Lab) -> Verdict:
    answers = _of(lab, "raises")
    wrong = [f"{TOLD[function]}: {one.detail}" for _, function, one in answers if one.ending is not Ending.OK]
    return judged_by_cases("the stack is made all the same", wrong, len(answers), "functions raise what it raised")


CHECKS: tuple[AcceptanceCheck, ...] = (
    AcceptanceCheck(
        code="ZC321",
        title="No frame, another rank, and unfit weights are refused",
        requires=("R7",),
        meaning="ValueError; for weights one that names both shapes.",
        remedy="Check what was handed over before anything is computed.",
        judge=_unfit_are_refused,
        after=("ZC301",),
    ),
    AcceptanceCheck(
        code="ZC322",
        title="A frame of another shape is refused, and its shape named",
        requires=("R7", "fact"),
        meaning=(
            "ValueError. A function by bands that takes the height of the first frame cuts a taller one off without a "
            "word; NumPy's own error does not say which frame it is."
        ),
        remedy="Compare the shape of each frame with the first one's, and name the first that differs.",
        judge=_other_shapes_are_named,
        after=("ZC301",),
    ),
    AcceptanceCheck(
        code="ZC323",
        title="The end of a stack is told to the progress callback",
        requires=("R7",),
        meaning="cpu_kappa_fallback_done.",
        remedy="Call progress_callback('cpu_kappa_fallback_done', None, 'DEBUG_DETAIL') at the end.",
        judge=_end_is_told,
        after=("ZC301",),
    ),
    AcceptanceCheck(
        code="ZC324",
        title="A progress callback that raises breaks no stack",
        requires=("R7", "fact"),
        meaning="A display that is gone must not cost a stack of an hour.",
        remedy="Call the callback where what it raises is caught.",
        judge=_callback_may_raise,
        after=("ZC301",),
    ),
)
