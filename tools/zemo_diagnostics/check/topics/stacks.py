"""The checks of the kappa-sigma functions: the same stacks given to them and to the reference, in one child each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ...zemosaic.child import Ending
from ...zemosaic.jobs import Answer, batch_job, kappa_job, read_batch
from ...zemosaic.runner import KAPPA
from ...zemosaic.under_test import UnderTest
from ..acceptance import AcceptanceCheck, Verdict, judged_by_cases
from ..lab import Lab, Skip
from . import stack_cases as cases
from .stack_cases import StackCase

REFERENCE = "fullframe"

TOLD = {"fallback": "dispatcher", "fullframe": "full frame", "chunked": "bands"}

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
            for function in functions_there(lab):
                what = f"{case.what} ({TOLD[function]})"
                yield what, expected[one.code, index], theirs[one.code, index, function]


def functions_there(lab: Lab) -> list[str]:
    """List those of the kappa-sigma functions that can be called."""
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
    functions = functions_there(lab)
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
)
