"""What ``zemo-diag kappa-parity`` finds out, as plain frozen data.

Index order is ``[y, x]`` or ``[y, x, channel]`` throughout. Nothing in here holds a full path, a site
coordinate or a serial number: what is not here cannot leak into a report.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..errors import UnusableFile
from ..machine.child_process import RunStatus
from ..zemosaic.checkout import Presence

# A peak under this is the allocator's rather than the stack's: no ratio is given of such.
MEASURABLE_PEAK_BYTES = 16 << 20


class Variant(str, Enum):
    """What a child runs: one of the stacks, or the look at the frames beforehand."""

    INSPECT = "inspect"
    FULL_FRAME = "fullframe"
    CHUNKED = "chunked"


@dataclass(frozen=True, kw_only=True)
class VariantRun:
    """One variant of the stack, run once in a process of its own.

    Attributes
    ----------
    variant : Variant
        Which stack; INSPECT where the child died that reads the frames beforehand.
    status : RunStatus
        How it ended.
    detail : str
        What it raised, the signal that killed it and the likely cause, or why it was skipped; else empty.
    rows : tuple of int
        First row and the row after the last of the frames: the part that was stacked. (0, 0): nothing.
    estimated_bytes : int
        The need that was estimated beforehand, frames included.
    baseline_rss_bytes, peak_rss_bytes : int or None
        Resident memory just before the stack ran, and the process's high-water mark after it.
    memory_method : str
        How the high-water mark was read.
    wall_s, cpu_s : float or None
        Time of the stack alone.
    rejected_pct : float or None
        As the stack returned it.
    """

    variant: Variant
    status: RunStatus
    detail: str
    rows: tuple[int, int]
    estimated_bytes: int
    baseline_rss_bytes: int | None = None
    peak_rss_bytes: int | None = None
    memory_method: str = ""
    wall_s: float | None = None
    cpu_s: float | None = None
    rejected_pct: float | None = None

    @property
    def peak_extra_bytes(self) -> int | None:
        """Peak memory over what the process held before the stack ran."""
        if self.peak_rss_bytes is None or self.baseline_rss_bytes is None:
            return None
        return max(0, self.peak_rss_bytes - self.baseline_rss_bytes)


_DEATHS = (RunStatus.RAISED, RunStatus.KILLED, RunStatus.TIMED_OUT)


class Verdict(str, Enum):
    """What the comparison of two results comes to, the best first.

    A comparison is never IN_PART: that is a tile of which only some rows were compared, and those are identical.
    """

    IDENTICAL = "identical"
    IN_PART = "identical in part"
    WITHIN = "within tolerance"
    NOT_COMPARED = "not compared"
    DIFFERENT = "different"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How two stacked images differ, NaN places first: the full frame, and another.

    Attributes
    ----------
    verdict : Verdict
        IDENTICAL: every bit. WITHIN: same NaN places and no difference over ``atol``.
    detail : str
        One sentence.
    atol : float
        The tolerance, ADU.
    shapes, dtypes : tuple of str
        Of the full-frame result, then of the other.
    samples : int
        Number of samples compared.
    nan_mismatches : int
        Samples that are NaN on one side only.
    differing : int
        Samples that differ, NaN mismatches among them.
    max_abs, median_abs : float or None
        Largest and median absolute difference over the samples that differ and are finite on both sides, ADU.
    max_ulp : int or None
        Largest difference there in units in the last place.
    bounding_box : tuple of int or None
        First and last row, first and last column of the differing samples: (y0, y1, x0, x1), inclusive.
    first_places : tuple of tuple of int
        Index of the first few, as ``[y, x]`` or ``[y, x, channel]``.
    rejected_pct : tuple of float
        Of the full-frame result, then of the other.
    all_rejected : int
        Samples of the result that are NaN on both sides: no frame's value was kept.
    """

    verdict: Verdict
    detail: str
    atol: float
    shapes: tuple[str, str]
    dtypes: tuple[str, str]
    samples: int = 0
    nan_mismatches: int = 0
    differing: int = 0
    max_abs: float | None = None
    median_abs: float | None = None
    max_ulp: int | None = None
    bounding_box: tuple[int, int, int, int] | None = None
    first_places: tuple[tuple[int, ...], ...] = ()
    rejected_pct: tuple[float, float]
    all_rejected: int = 0


class Rung(str, Enum):
    """How a function of a checkout was got: compiled alone from its source, or its module imported from a copy."""

    LIFTED = "lifted"
    IMPORTED = "imported"


@dataclass(frozen=True, kw_only=True)
class ZemosaicRun:
    """A stack of the ZeMosaic under test, made once in a process of its own.

    Attributes
    ----------
    function : str
        Which of its functions.
    run : VariantRun
        What became of it; SKIPPED also where the function cannot be got.
    weighted : bool
        Whether it was given weights.
    rung : Rung or None
        How it was got; None where it was not.
    not_lifted : str
        Why it could not be lifted from its source; else empty.
    comparison : Comparison or None
        Of the bundled full frame, the reference, with its result on the same frames; None where one of them is missing.
    """

    function: str
    run: VariantRun
    weighted: bool = False
    rung: Rung | None = None
    not_lifted: str = ""
    comparison: Comparison | None = None

    @property
    def refuses_weights(self) -> bool:
        """Whether it raised that the weights do not go together with the frames."""
        return self.weighted and self.run.status is RunStatus.RAISED and "broadcast" in self.run.detail

    @property
    def died(self) -> bool:
        """Whether it raised something else, was killed, or did not end."""
        return self.run.status in _DEATHS and not self.refuses_weights


@dataclass(frozen=True)
class ZemosaicFunction:
    """A kappa-sigma function of the ZeMosaic under test, by looking.

    Attributes
    ----------
    variant : Variant
        Which of the bundled stacks it is the like of.
    name : str
        Its name.
    presence : Presence
        Whether it is there, and can be called as it is called here.
    told : str
        What that lets us judge, in a sentence.
    """

    variant: Variant
    name: str
    presence: Presence
    told: str


@dataclass(frozen=True)
class ZemosaicKappa:
    """The ZeMosaic under test, and what of it is judged.

    Attributes
    ----------
    told : str
        Which one it is, and who runs it.
    functions : tuple of ZemosaicFunction
        Its full frame, and its stack by bands of rows.
    pixel_weights : tuple of ZemosaicRun
        Each of those that can be called, on a few small frames made for it, with weights of shape (H, W, C).
    """

    told: str
    functions: tuple[ZemosaicFunction, ...]
    pixel_weights: tuple[ZemosaicRun, ...]


@dataclass(frozen=True, kw_only=True)
class TileParity:
    """Full frame against bands of rows on one tile.

    Attributes
    ----------
    tile_id, name : int, str
        The tile.
    frames, used, set_aside : int
        Frames of the tile, those that were stacked, and those that ``--max-frames`` set aside.
    left_out : tuple of UnusableFile
        Frames of another shape, or that cannot be read, and why.
    shape : tuple of int
        (H, W) or (H, W, 3) of the frames as stacked.
    rows : tuple of int
        First row and the row after the last of what was to be compared: all of them, or those of ``--crop``.
    frame_rows : int
        Rows of a whole frame.
    debayered : bool
        Whether raw mosaics were brought to colour.
    raw_mosaic : bool
        Whether raw mosaics were stacked as they are, since OpenCV is not there.
    no_signal : tuple of UnusableFile
        Stacked frames without signal, and what they hold instead (all zero, constant, all NaN).
    runs : tuple of VariantRun
        Each variant that was run, in order.
    comparison : Comparison or None
        None where there are not two results.
    weights : str
        ``"none"`` or ``"noise"``.
    kappa_low, kappa_high : float
        Rejection limits in standard deviations.
    zemosaic : tuple of ZemosaicRun
        The same frames stacked by the ZeMosaic under test, where there is one.
    """

    tile_id: int
    name: str
    frames: int
    used: int
    set_aside: int
    left_out: tuple[UnusableFile, ...]
    shape: tuple[int, ...]
    rows: tuple[int, int]
    frame_rows: int
    debayered: bool
    raw_mosaic: bool
    no_signal: tuple[UnusableFile, ...]
    runs: tuple[VariantRun, ...]
    comparison: Comparison | None
    weights: str
    kappa_low: float
    kappa_high: float
    zemosaic: tuple[ZemosaicRun, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The comparison's verdict; IN_PART where it found no difference, but not on all rows."""
        if self.comparison is None:
            return Verdict.NOT_COMPARED
        in_part = self.comparison.verdict is Verdict.IDENTICAL and not self.whole
        return Verdict.IN_PART if in_part else self.comparison.verdict

    @property
    def compared_rows(self) -> tuple[int, int] | None:
        """First row and the row after the last on which the two were compared; None where they were not."""
        pair = self.compared_runs()
        return pair[0].rows if self.comparison and pair else None

    @property
    def whole(self) -> bool:
        """Whether the two were compared on all rows that were to be."""
        return self.compared_rows == self.rows

    @property
    def peak_ratio(self) -> float | None:
        """Peak over baseline of the full frame by that of the chunked stack; None where it would tell nothing."""
        pair = self.compared_runs()
        if pair is None or pair[0].peak_extra_bytes is None or not pair[1].peak_extra_bytes:
            return None
        if pair[0].peak_extra_bytes < MEASURABLE_PEAK_BYTES:
            return None
        return pair[0].peak_extra_bytes / pair[1].peak_extra_bytes

    @property
    def died(self) -> bool:
        """Whether a variant died: raised, was killed, or did not end."""
        return any(run.status in _DEATHS for run in self.runs)

    def verdict_of(self, theirs: ZemosaicRun) -> Verdict:
        """Judge a stack of the ZeMosaic under test as the bundled one is judged."""
        if theirs.comparison is None:
            return Verdict.NOT_COMPARED
        in_part = theirs.comparison.verdict is Verdict.IDENTICAL and theirs.run.rows != self.rows
        return Verdict.IN_PART if in_part else theirs.comparison.verdict

    def compared_runs(self) -> tuple[VariantRun, VariantRun] | None:
        """Find the two runs that the comparison is about: both variants, ended well, on the same rows."""
        ended = [run for run in self.runs if run.status is RunStatus.OK]
        full_frames = [run for run in ended if run.variant is Variant.FULL_FRAME]
        for full in full_frames:
            for chunked in ended:
                if chunked.variant is Variant.CHUNKED and full.rows == chunked.rows:
                    return full, chunked
        return None


@dataclass(frozen=True, kw_only=True)
class RunParity:
    """The parity of a whole run.

    Attributes
    ----------
    tiles : tuple of TileParity
        Every tile that was looked at.
    memory_limit_bytes : int
        Memory that the children were allowed when the run began, together.
    memory_limit_source : str
        What set it.
    memory_formula : str
        How the need of the full frame was estimated.
    whole_required : bool
        Whether a tile that was not compared on all of its rows is an error.
    zemosaic : ZemosaicKappa or None
        The ZeMosaic under test; None where only the bundled functions are.
    """

    tiles: tuple[TileParity, ...]
    memory_limit_bytes: int
    memory_limit_source: str
    memory_formula: str
    whole_required: bool = False
    zemosaic: ZemosaicKappa | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst of the tiles' verdicts."""
        return _worst([tile.verdict for tile in self.tiles])

    @property
    def zemosaic_verdict(self) -> Verdict | None:
        """The worst verdict on a stack of the ZeMosaic under test; None where there is none under test."""
        if self.zemosaic is None:
            return None
        return _worst([tile.verdict_of(theirs) for tile in self.tiles for theirs in tile.zemosaic])


def _worst(verdicts: list[Verdict]) -> Verdict:
    return max(verdicts, key=list(Verdict).index, default=Verdict.NOT_COMPARED)
