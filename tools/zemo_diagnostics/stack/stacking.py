"""``zemo-diag stack``: the chunked stack as a plain tool, from a folder of frames to one FITS file.

The frames are stacked as they lie: nothing is aligned. The same function as in ZeMosaic's Phase 3 does it, fed by
bands of rows, so that thousands of frames never have to fit in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from .. import __version__
from ..errors import FrameError, InputError, OutputError, UnusableFile
from ..frames.entries import FITS_SUFFIXES, OWN_STACK, is_own_stack, scan_folder
from ..frames.headers import card, is_number, read_image_header
from ..frames.pixels import Pixels, RowSource, scratch_bytes
from ..frames.stack_input import StackInput, central_window, choose_frames, open_for_stack
from ..machine.scratch import check_room, scratch_folder
from ..machine.whole_files import check_place, write_whole
from ..progress import Say
from ..redaction import PrivateWords, private_words, redact_text, split_unit
from ..zemosaic.functions_under_test import PlainStack, load_stack
from .mixed_frames import mixture_notes

# Cards that are taken over where all frames agree on them.
_COMMON_CARDS = ("OBJECT", "FILTER", "INSTRUME", "GAIN", "EXPTIME", "EQMODE")


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """How frames are stacked.

    Attributes
    ----------
    kappa_low, kappa_high : float
        Rejection limits, standard deviations.
    weights : {"none", "noise"}
        ``"noise"``: one over the variance of each frame's background; reads the frames twice.
    debayer : bool
        Whether raw mosaics are brought to colour where OpenCV is there.
    max_frames : int or None
        Stack no more than the first so many.
    """

    kappa_low: float = 3.0
    kappa_high: float = 3.0
    weights: str = "none"
    debayer: bool = True
    max_frames: int | None = None


@dataclass(frozen=True, kw_only=True)
class Stacked:
    """What became of a folder of frames."""

    frames: int
    shape: tuple[int, ...]
    rejected_pct: float
    empty: int
    left_out: tuple[UnusableFile, ...]
    wall_s: float
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """Say it in a line."""
        size = " × ".join(map(str, self.shape))
        rejected = (
            f"{self.rejected_pct:.3g} % of {self.frames * int(np.prod(self.shape)):,} samples rejected or missing"
        )
        text = f"{self.frames} frames of {size} stacked, {rejected}"
        if self.empty:
            text += f", {self.empty:,} samples of the result empty (NaN)"
        return f"{text}, in {self.wall_s:.1f} s"


def check_output(output: Path, *, force: bool) -> None:
    """Check, before anything is read, that the stack can be written.

    Raises
    ------
    OutputError
        Where the file exists, has no FITS suffix, or its folder is not there.
    """
    if output.suffix.lower() not in FITS_SUFFIXES:
        raise OutputError(f"'{output}' is no name for a FITS file: end it in {', '.join(FITS_SUFFIXES)}")
    check_place(output, force=force)
    if output.exists() and not is_own_stack(_header_of(output)):
        raise OutputError(f"'{output}' is no stack that zemo-diag made, and is never overwritten: name another file")


def _header_of(path: Path) -> fits.Header:
    """Read the header of a FITS file's image; an empty one where it has none."""
    try:
        return read_image_header(path).cards
    except FrameError:  # whatever it is, it is no stack of ours
        return fits.Header()


def stack_folder(folder: Path, output: Path, options: StackOptions, *, force: bool, say: Say) -> Stacked:
    """Stack the frames of a folder and its sub-folders into one FITS file.

    Parameters
    ----------
    folder : Path
        The frames; those of the commonest shape are stacked.
    output : Path
        The file, float32, (H, W) or three planes; written whole or not at all.
    options : StackOptions
        How.
    force : bool, keyword-only
        Whether an existing file may be overwritten.
    say : callable, keyword-only
        Gets (what is being done, part done, detail).

    Raises
    ------
    InputError
        Where there is nothing to stack.
    ScratchError
        Where packed frames cannot be unpacked for want of room.
    OutputError
        Where the result cannot be written.
    """
    check_output(output, force=force)
    functions = load_stack()
    started = time.perf_counter()
    scan = scan_folder(folder, lambda done, total: say("reading headers", done / total))
    if not scan.frames:
        raise InputError(
            f"none of the {len(scan.unusable)} files in '{folder}' holds a frame: 'zemo-diag gating' says why"
        )
    chosen = choose_frames(scan.frames, options.max_frames, debayer=options.debayer)
    with scratch_folder() as scratch:
        sources, chosen = _opened(chosen, scratch)
        stacked, rejected_pct, chosen = _stack_readable(sources, chosen, functions, options, say)
    _write(stacked, _header(chosen, options, rejected_pct), output, force=force)
    return Stacked(
        frames=len(chosen.frames),
        shape=stacked.shape,
        rejected_pct=rejected_pct,
        empty=int(np.isnan(stacked).sum()),
        left_out=scan.unread_folders + scan.unusable + chosen.left_out,
        wall_s=time.perf_counter() - started,
        notes=mixture_notes(chosen.frames),
    )


def _opened(chosen: StackInput, scratch: Path) -> tuple[list[RowSource], StackInput]:
    """Open the frames that are stacked; those that cannot be opened are left out."""
    window = central_window(chosen.shape, None)
    sources: list[RowSource] = []
    reasons: dict[int, str] = {}
    check_room(scratch, sum(map(scratch_bytes, chosen.frames)))
    for index, (frame, pattern) in enumerate(zip(chosen.frames, chosen.patterns, strict=True)):
        try:
            sources.append(open_for_stack(frame, pattern, window, scratch))
        except FrameError as error:
            reasons[index] = str(error)
    return sources, chosen.without(reasons)


def _stack_readable(
    sources: Sequence[RowSource], chosen: StackInput, functions: PlainStack, options: StackOptions, say: Say
) -> tuple[Pixels, float, StackInput]:
    """Stack; where a frame can no longer be read on the way, once more without it."""
    while sources:
        try:
            return (*_stack(sources, functions, options, say), chosen)
        except FrameError as error:
            bad = next(i for i, frame in enumerate(chosen.frames) if frame.path == error.path)
            chosen = chosen.without({bad: str(error)})
            sources = [source for i, source in enumerate(sources) if i != bad]
    first = chosen.left_out[0]
    raise InputError(f"no frame can be read: {first.name}: {first.reason}")


def _stack(
    sources: Sequence[RowSource], functions: PlainStack, options: StackOptions, say: Say
) -> tuple[Pixels, float]:
    """Stack, and tell how far it is."""
    weights = None
    try:
        if options.weights == "noise":
            weights = functions.noise_variance_weights(sources, _noise_progress(say))
        progress = _StackProgress(sources, say)
        stacked, rejected_pct = functions.cpu_stack_kappa(
            sources,
            sigma_low=options.kappa_low,
            sigma_high=options.kappa_high,
            weights=weights,
            progress_callback=progress,
        )
    except RuntimeError as error:
        if isinstance(error.__cause__, FrameError):
            raise error.__cause__ from error
        raise
    return stacked, float(rejected_pct)


def _noise_progress(say: Say) -> Callable[..., None]:
    """Make a progress callback for the time in which every frame is read for its noise."""
    return lambda _message, percent, _level: say("measuring the noise", percent / 100.0)


class _StackProgress:
    """The stack's progress callback: percent in, rows and samples per second out."""

    def __init__(self, sources: Sequence[RowSource], say: Say) -> None:
        self._rows = sources[0].shape[0]
        self._samples = len(sources) * int(np.prod(sources[0].shape))
        self._say = say
        self._started = time.perf_counter()

    def __call__(self, _message: str, percent: float | None, _level: str, **_: object) -> None:
        if percent is None:
            return
        part = percent / 100.0
        rate = self._samples * part / max(time.perf_counter() - self._started, 1e-9) / 1e6
        detail = f"row {round(self._rows * part)} of {self._rows}, {rate:,.0f} million samples/s"
        self._say("stacking", part, detail)


def _header(chosen: StackInput, options: StackOptions, rejected_pct: float) -> fits.Header:
    """Describe the stack: what went in, how, and by which program; nothing private of the frames."""
    header = fits.Header()
    header["SWCREATE"] = (f"{OWN_STACK} {__version__}", "Software that made this file")
    header["IMAGETYP"] = ("Stack", "Type of image")
    header["NCOMBINE"] = (len(chosen.frames), "Number of frames stacked")
    header["COMBINE"] = ("kappa-sigma mean", "One pass around the median")
    header["KAPPALO"] = (options.kappa_low, "Lower limit in standard deviations")
    header["KAPPAHI"] = (options.kappa_high, "Upper limit in standard deviations")
    header["REJPCT"] = (round(rejected_pct, 6), "Samples rejected or missing (NaN), percent")
    header["WEIGHTS"] = (options.weights, "Weights of the frames")
    header["BUNIT"] = ("adu", "Unit of the pixel values")
    cards = [frame.header.cards for frame in chosen.frames if frame.header is not None]
    private = private_words()
    for key in _COMMON_CARDS:
        values = {_public(key, card(one, key), private) for one in cards}
        if len(values) == 1 and (isinstance(value := values.pop(), str) or is_number(value)):
            header[key] = (value, "The same in all frames")
    exposures = [card(one, "EXPTIME") for one in cards]
    if exposures and all(map(is_number, exposures)) and is_number(total := float(sum(exposures))):
        header["TOTALEXP"] = (total, "Exposure of all frames together, seconds")
    if chosen.raw_mosaic:
        header["BAYERPAT"] = (card(cards[0], "BAYERPAT"), "Still a mosaic: not brought to colour")
    return header


def _public(key: str, value: Any, private: PrivateWords) -> Any:
    """Give a card's value without what tells one camera from others of its model, and without the user's name."""
    if not isinstance(value, str):
        return value
    return redact_text(split_unit(value)[0] if key == "INSTRUME" else value, private)


def _write(stacked: Pixels, header: fits.Header, output: Path, *, force: bool) -> None:
    """Write the stack, colour as three planes."""
    planes = stacked if stacked.ndim == 2 else np.moveaxis(stacked, -1, 0)
    hdu = fits.PrimaryHDU(planes, header)

    def fill(part: Path) -> None:
        with part.open("wb") as file:  # astropy would look for a folder called "~" in the home folder
            hdu.writeto(file)

    write_whole(output, fill, force=force)
