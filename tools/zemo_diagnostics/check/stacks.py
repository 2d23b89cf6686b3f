"""The checks of the kappa-sigma functions: the same stacks given to them and to the reference, in one child each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..zemosaic.child import Ending
from ..zemosaic.jobs import Answer, batch_job, kappa_job, read_batch
from ..zemosaic.runner import KAPPA
from ..zemosaic.under_test import UnderTest
from . import stack_cases as cases
from .acceptance import AcceptanceCheck, Verdict, judged_by_cases
from .lab import Lab, Skip, refuse_failure
from .stack_cases import StackCase

REFERENCE = "fullframe"

_TOLD = {"fallback": "dispatcher", "fullframe": "full frame", "chunked": "bands"}

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Stacked:
    """What a function made of a case: the image and its percentage, or how that failed."""

    answer: Answer
    image: Array | None


# Without these, no other stack says anything.
_NEEDED = ("ZC301", "ZC303")


@dataclass(frozen=True, kw_only=True)
class StackCases:
    """A check that is a list of stacks, each to be the reference's in every bit."""

    code: str
    title: str
    meaning: str
    remedy: str
    cases: tuple[StackCase, ...] = field(repr=False)
    requires: tuple[str, ...] = ("R8",)
    after: tuple[str, ...] = _NEEDED

    def check(self) -> AcceptanceCheck:
        """Make the check of it."""

        def judge(lab: Lab) -> Verdict:
            told = [(what, wrong_image(expected, got)) for what, expected, got in _compared(lab, self.code)]
            wrong = (f"{what}: {sentence}" for what, sentence in told if sentence)
            return judged_by_cases(f"{len(told)} stacks are the reference's in every bit", wrong, len(told))

        return AcceptanceCheck(
            code=self.code,
            title=self.title,
            requires=self.requires,
            meaning=self.meaning,
            remedy=self.remedy,
            judge=judge,
            after=tuple(code for code in self.after if code != self.code),
        )


_BY_SHAPE = (
    "Reshape weights that are one per frame to (N, 1, 1[, 1]); broadcast others to the stack's shape, and cut the "
    "axis of rows with the band."
)

STACK_CASES: tuple[StackCases, ...] = (
    StackCases(
        code="ZC303",
        title="Stacks are those of the reference in every bit",
        requires=("R7", "R8"),
        meaning=(
            "Mono and colour, nine frames with outliers: median and population deviation per pixel in float32, one "
            "pass, mean of what is kept. The reference is the full-frame stack that zemo-diag carries, which the "
            "program before the patch equals."
        ),
        remedy="Work in float32, add frames in their order, with ddof 0, in one pass.",
        cases=cases.PLAIN,
    ),
    StackCases(
        code="ZC304",
        title="Frames of every real dtype are stacked",
        meaning="uint8, uint16, int16, int32, float64, float16 and big-endian frames are brought to float32 first.",
        remedy="Convert each frame to float32 before anything is computed.",
        cases=cases.DTYPES,
    ),
    StackCases(
        code="ZC305",
        title="Missing samples (NaN) are passed over",
        meaning="Scattered NaN, a pixel that no frame covers, one that a single frame covers; weighted, too.",
        remedy="Use nanmedian, nanstd and nanmean; a pixel with nothing kept is NaN.",
        cases=cases.MISSING,
    ),
    StackCases(
        code="ZC306",
        title="Infinite samples reject their pixel, as in the reference",
        meaning="A pixel with inf among its values has a spread that is NaN: none of them is kept.",
        remedy="Do not filter inf out before: the full-frame stack does not, and the results must agree.",
        cases=cases.INFINITE,
    ),
    StackCases(
        code="ZC307",
        title="One frame and 601 frames are stacked like nine",
        meaning="1, 2, 3, 7, 8, 40 and 601 frames: NumPy takes other paths for the median from 600 frames on.",
        remedy="Let the median be the mean of the two middle values for even counts, and the middle one for odd.",
        cases=cases.COUNTS,
    ),
    StackCases(
        code="ZC308",
        title="Frames of one pixel, one row and two columns are stacked",
        meaning="The smallest frames there can be, also in bands.",
        remedy="Do not assume more than one row, column or sample.",
        cases=cases.SMALL,
    ),
    StackCases(
        code="ZC309",
        title="A band of a single pixel gives the same bits",
        requires=("R8", "fact"),
        meaning=(
            "Where a band holds one sample per frame, NumPy sums the frames pairwise, in another order: 1 to 12 units "
            "in the last place. The released functions by bands differ there from their own full frame."
        ),
        remedy="Never cut a band that holds one sample per frame: let the band before take it.",
        cases=cases.LONE,
    ),
    StackCases(
        code="ZC310",
        title="Weights (N,) are honoured",
        requires=("R7", "R8"),
        meaning="One weight for each frame, mono and colour.",
        remedy=_BY_SHAPE,
        cases=cases.PER_FRAME,
    ),
    StackCases(
        code="ZC311",
        title="Weights (N, 1) and (N, 1, 1) are one for each frame",
        requires=("R7", "fact"),
        meaning=(
            "The noise weighting gives (N, 1) for mono frames. Released versions refuse it, or, where a frame has as "
            "many rows as there are frames, take it for one weight per row without a word."
        ),
        remedy=_BY_SHAPE,
        cases=cases.PER_FRAME_ALSO,
        after=(*_NEEDED, "ZC310"),
    ),
    StackCases(
        code="ZC312",
        title="Weights (N, 1, 1, C) are one for each frame and channel",
        requires=("R7", "R8"),
        meaning="What the noise weighting gives for colour.",
        remedy=_BY_SHAPE,
        cases=cases.PER_CHANNEL,
        after=(*_NEEDED, "ZC310"),
    ),
    StackCases(
        code="ZC313",
        title="Weights by pixel are cut with the band",
        requires=("R8", "fact"),
        meaning=(
            "(H, W, C), (H, W), (N, H, W[, C]), (N, H, 1, 1), (W, C), (C,): what NumPy broadcasts to the stack. The "
            "released functions by bands do not cut them, and fail: operands could not be broadcast together."
        ),
        remedy=_BY_SHAPE,
        cases=cases.PER_PIXEL,
        after=(*_NEEDED, "ZC310"),
    ),
    StackCases(
        code="ZC314",
        title="Where all kept weights are 0, the plain mean of all frames stands in",
        meaning="Some weights 0, and all of them: no pixel becomes NaN by it.",
        remedy="Where the weighted mean is not finite, take the nanmean of all frames, unclipped.",
        cases=cases.ZERO,
        after=(*_NEEDED, "ZC310"),
    ),
    StackCases(
        code="ZC315",
        title="The height of the bands changes no bit",
        meaning="Bands of 1, 2, 5, 64 and 1000 rows.",
        remedy="Let each pixel's result depend on its own samples alone.",
        cases=cases.BANDS,
    ),
    StackCases(
        code="ZC316",
        title="The lower and the upper limit are told apart",
        requires=("R7", "R8"),
        meaning="sigma_low and sigma_high of other sizes, both 0, both wide; with and without weights.",
        remedy="Keep what lies within median - sigma_low x std and median + sigma_high x std, both included.",
        cases=cases.LIMITS,
    ),
    StackCases(
        code="ZC317",
        title="Frames may be memory maps, one array, or a generator",
        requires=("R7", "fact"),
        meaning=(
            "The full-frame stack before the patch took all of them. Functions by bands that ask 'if not frames' "
            "refuse an array, and those that index a list refuse a generator."
        ),
        remedy="Make a list of the frames first, and then ask whether it is empty.",
        cases=cases.HANDED_OVER,
    ),
)


def _compared(lab: Lab, *codes: str) -> Iterator[tuple[str, Stacked, Stacked]]:
    """Give, for each case of some checks and each function, (what, the reference's stack, its own)."""
    expected, theirs = lab.once(_of_the_reference), lab.once(_of_all_functions)
    for one in STACK_CASES:
        for index, case in enumerate(one.cases if one.code in codes else ()):
            for function in _functions(lab):
                what = f"{case.what} ({_TOLD[function]})"
                yield what, expected[one.code, index], theirs[one.code, index, function]


def _functions(lab: Lab) -> list[str]:
    return [name for name, full in KAPPA.items() if lab.has(full)]


def _asked(lab: Lab) -> list[tuple[str, int, StackCase]]:
    """List the cases that the chosen checks need; those of rejected_pct are everybody's plain ones."""
    return [
        (one.code, index, case)
        for one in STACK_CASES
        if one.code in lab.codes or (one.code in _PCT_CASES and "ZC318" in lab.codes)
        for index, case in enumerate(one.cases)
    ]


def _of_the_reference(lab: Lab) -> dict[Any, Stacked]:
    if lab.reference is None:
        raise Skip("zemo-diag's own modules, which are the reference, are not beside it")
    keys = [(code, index, REFERENCE) for code, index, _ in _asked(lab)]
    return {key[:2]: made for key, made in _stack(lab, "reference", keys, lab.reference).items()}


def _of_all_functions(lab: Lab) -> dict[Any, Stacked]:
    functions = _functions(lab)
    if not functions:
        raise Skip("none of the kappa-sigma functions can be called")
    keys = [(code, index, function) for code, index, _ in _asked(lab) for function in functions]
    return _stack(lab, "stacks", keys, lab.under_test)


def _stack(
    lab: Lab, name: str, keys: list[tuple[str, int, str]], where: UnderTest
) -> dict[tuple[str, int, str], Stacked]:
    """Have cases stacked by functions, in one child."""
    files = lab.once(_written)
    by_key = {(code, index): case for code, index, case in _asked(lab)}
    jobs = []
    for code, index, function in keys:
        case, (frames, weights) = by_key[code, index], files[code, index]
        jobs.append(
            kappa_job(
                function,
                [frames],
                lab.folder / f"{name}_{code}_{index}_{function}.npy",
                hand_over=case.hand_over,
                weights=weights,
                sigma=case.sigma,
                chunk_rows=case.chunk_rows if function == "chunked" else None,
                watch=case.hand_over in ("float32", "array"),
            )
        )
    outcome = lab.answered(name, batch_job(jobs), where)
    answers = read_batch(outcome)
    return {
        key: Stacked(answer, np.load(job["stacked"]) if answer.ending is Ending.OK else None)
        for key, job, answer in zip(keys, jobs, answers, strict=True)
    }


def _written(lab: Lab) -> dict[Any, Any]:
    """Write the frames and weights of all cases."""
    return {(code, index): case.write(lab.folder, f"{code}_{index}") for code, index, case in _asked(lab)}


def wrong_image(expected: Stacked, got: Stacked) -> str:
    """Say how a stack differs from the reference; empty where every bit is the same."""
    if expected.image is None:
        raise RuntimeError(f"the reference cannot be made: {expected.answer.detail}")
    if got.image is None:
        return f"it raised {got.answer.detail}"
    reference, image = expected.image, got.image
    if image.shape != reference.shape:
        return f"its shape is {image.shape}, not {reference.shape}"
    differs = ~((image == reference) | (np.isnan(image) & np.isnan(reference)))
    if not differs.any():
        return ""
    with np.errstate(invalid="ignore"):
        gap = np.abs(image[differs].astype(np.float64) - reference[differs].astype(np.float64))
    one_sided = int(np.count_nonzero(np.isnan(image) != np.isnan(reference)))
    where = f"{np.count_nonzero(differs)} of {differs.size} samples differ"
    nan = f", {one_sided} are NaN on one side only" if one_sided else ""
    return f"{where}{nan}" if np.isnan(gap).all() else f"{where}, by up to {np.nanmax(gap):.3g}{nan}"


# ------------------------------------------------------------------------------------------- checks of their own

_PCT_CASES = ("ZC303", "ZC305", "ZC307", "ZC316")


def _dispatcher_is_there(lab: Lab) -> Verdict:
    known = lab.under_test.checkout.functions[KAPPA["fallback"]]
    if not known.is_there:
        return Verdict(False, known.told)
    if _asked(lab):
        lab.once(_of_all_functions)
    return Verdict(True, "it can be called")


def _both_are_there(lab: Lab) -> Verdict:
    known = [lab.under_test.checkout.functions[KAPPA[name]] for name in ("fullframe", "chunked")]
    wrong = (one.told for one in known if not one.is_there)
    return judged_by_cases("both can be called", wrong, len(known), "are missing, or take other parameters")


def _pct_is_right(lab: Lab) -> Verdict:
    wrong, count = [], 0
    for what, expected, got in _compared(lab, *_PCT_CASES):
        if wrong_image(expected, got):
            continue  # that is what another check is for
        count += 1
        ours, theirs = (one.answer.result["rejected_pct"] for one in (expected, got))
        if theirs != ours:
            wrong.append(f"{what}: {theirs!r}, not {ours!r}")
    return judged_by_cases(f"{count} stacks have the reference's percentage", wrong, count)


def _float32_comes_out(lab: Lab) -> Verdict:
    dtypes = [(what, got.image.dtype) for what, _, got in _all(lab) if got.image is not None]
    wrong = [f"{what}: {dtype}" for what, dtype in dtypes if dtype != np.float32]
    return judged_by_cases(f"{len(dtypes)} stacks are float32", wrong, len(dtypes))


def _frames_stay(lab: Lab) -> Verdict:
    answers = [(what, got.answer) for what, _, got in _all(lab) if got.answer.ending is Ending.OK]
    wrong = [f"{what}: they are others afterwards" for what, one in answers if one.result["frames_changed"]]
    return judged_by_cases("all frames are as they were", wrong, len(answers))


def _all(lab: Lab) -> Iterator[tuple[str, Stacked, Stacked]]:
    """Give what was made of all cases that were asked for."""
    asked = {code for code, _, _ in _asked(lab)}
    if not asked:
        raise Skip("no other check of stacks was asked for")
    return _compared(lab, *asked)


# ------------------------------------------------------------------------------------------ errors and callbacks


def _error_cases(lab: Lab) -> list[tuple[str, str, Answer]]:
    """Give (case, function, answer) of stacks that cannot be made, or whose callback raises."""
    functions = _functions(lab)
    if not functions:
        raise Skip("none of the kappa-sigma functions can be called")
    paths = {}
    for name, array in _UNFIT.items():
        paths[name] = lab.folder / f"{name}.npy"
        np.save(paths[name], array)
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
        told = f"{what} ({_TOLD[function]})"
        if raised.get("type") != "ValueError":
            wrong.append(f"{told}: {answer.detail or 'it is stacked'}")
        elif what == "weights" and not all(_names(raised["message"], shape) for shape in ((5, 7), (3, 10, 8))):
            wrong.append(f"{told}: {answer.detail} does not name both shapes")
    return judged_by_cases("each is a ValueError", wrong, len(answers))


def _other_shapes_are_named(lab: Lab) -> Verdict:
    wrong, answers = [], _of(lab, "taller", "wider", "colour")
    for what, function, answer in answers:
        shape = _UNFIT[what].shape
        told = f"a frame of {shape} among those of (10, 8) ({_TOLD[function]})"
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
            wrong.append(f"{_TOLD[function]}: it says {answer.result['said'] or 'nothing'}")
    return judged_by_cases("cpu_kappa_fallback_done is told", wrong, len(answers))


def _callback_may_raise(lab: Lab) -> Verdict:
    answers = _of(lab, "raises")
    wrong = [f"{_TOLD[function]}: {one.detail}" for _, function, one in answers if one.ending is not Ending.OK]
    return judged_by_cases("the stack is made all the same", wrong, len(answers), "functions raise what it raised")


# ------------------------------------------------------------------------------------------------------- memory

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
        code="ZC301",
        title="_cpu_stack_kappa_fallback is there and can be called",
        requires=("R7", "R13"),
        meaning="The function that Phase 3 calls, with the keywords that it always had.",
        remedy="Keep its name and its keywords: sigma_low, sigma_high, weights, progress_callback.",
        judge=_dispatcher_is_there,
    ),
    AcceptanceCheck(
        code="ZC302",
        title="There is a stack of whole frames and one by bands of rows",
        requires=("R7", "R8", "R12"),
        meaning=(
            "_cpu_stack_kappa_fallback_fullframe and _cpu_stack_kappa_fallback_chunked. Without bands, a group of many "
            "frames ends with 'Unable to allocate ... GiB for an array with shape (N, H, W, 3)'."
        ),
        remedy="Keep the old function as ..._fullframe, add ..._chunked with chunk_rows=64, and choose between them.",
        judge=_both_are_there,
    ),
    *(one.check() for one in STACK_CASES),
    AcceptanceCheck(
        code="ZC318",
        title="rejected_pct is that of the reference",
        requires=("R7", "R8"),
        meaning="Samples not kept, NaN among them, in percent of all, from whole counts over all bands.",
        remedy="Count what is kept over all bands as integers, and divide once at the end.",
        judge=_pct_is_right,
        after=("ZC301", "ZC303"),
    ),
    AcceptanceCheck(
        code="ZC319",
        title="Stacks are float32",
        requires=("R7",),
        meaning="Whatever the frames and the weights are.",
        remedy="Return float32.",
        judge=_float32_comes_out,
        after=("ZC301",),
    ),
    AcceptanceCheck(
        code="ZC320",
        title="Frames are not changed",
        requires=("R7", "R13"),
        meaning="The frames of each case are compared before and after.",
        remedy="Work on copies, band by band.",
        judge=_frames_stay,
        after=("ZC301",),
    ),
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
