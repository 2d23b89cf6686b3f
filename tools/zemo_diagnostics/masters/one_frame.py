"""Whether a master holds the light of a single frame, though it was made of several.

A master that is ``scale`` × reference + a constant, pixel by pixel, holds that frame's noise and nothing else's. In a
true stack of N frames the noise of the others is left over: of two it is about 0.7 of the reference's own, times
``scale``, and more of more. What is left is measured by the residual
that 95 % of the pixels do not exceed, so that stars and corrected hot pixels tell nothing, and a part that the other
frames do not reach does not decide. ``scale`` and constant are free in each channel: ZeMosaic normalises frames,
equalises colours and shifts a tile's minimum to 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..frames.pixels import Pixels, blank_pixels
from .data import OneFrame
from .pixels import SIGMA_PER_MAD

# The part of the pixels that the residual is taken from, and how far that part of normal noise lies from its middle.
_QUANTILE = 0.95
_SIGMAS_OF_QUANTILE = 1.96

# Fewer pixels tell nothing.
LEAST_PIXELS = 1000

# The line is fitted between these quantiles of the reference: a few hot pixels that ZeMosaic corrected would turn it.
_FITTED = (0.02, 0.98)

# Neighbours in a frame that was brought to colour share values; the second next do not.
_APART = 2

Floats = NDArray[np.float64]


def one_frames_light(master: Pixels, reference: Pixels, frames: int) -> OneFrame | None:
    """Compare a master with its reference frame.

    Parameters
    ----------
    master : ndarray, (H, W) or (H, W, C)
        What lies within the padding, or a window of it; blank pixels (NaN or 0 in every channel) are let be.
    reference : ndarray
        The same pixels of the reference frame, with as many channels.
    frames : int
        How many frames the master says it is made of.

    Returns
    -------
    OneFrame or None
        None where too few pixels can be compared, or the reference has no noise.

    Raises
    ------
    ValueError
        Where the two differ in shape.
    """
    if master.shape != reference.shape:
        raise ValueError(f"master is {master.shape}, reference {reference.shape}")
    valid = ~blank_pixels(master) & ~blank_pixels(reference)
    planes = zip(_planes(master), _planes(reference), strict=True)
    fits = [fit for fit in (_fit(one, other, valid) for one, other in planes) if fit is not None]
    if not fits:
        return None
    scales, ratios = zip(*fits, strict=True)
    return OneFrame(frames, float(np.median(scales)), max(ratios), int(np.count_nonzero(valid)))


def pixel_noise(plane: Pixels, valid: NDArray[np.bool_] | None = None) -> float | None:
    """Give the noise of one channel, from the differences of pixels that are two columns apart.

    Parameters
    ----------
    plane : ndarray, (H, W)
        Any numbers; what is not finite is let be.
    valid : ndarray of bool, optional
        Which pixels count.

    Returns
    -------
    float or None
        A standard deviation; None of too few pixels.
    """
    values = np.where(np.isfinite(plane) if valid is None else valid, plane, np.nan).astype(np.float64)
    differences = (values[:, _APART:] - values[:, :-_APART]).ravel()
    differences = differences[np.isfinite(differences)]
    if differences.size < LEAST_PIXELS:
        return None
    deviations = np.abs(differences - np.median(differences))
    return SIGMA_PER_MAD * float(np.median(deviations)) / float(np.sqrt(2))


def _planes(image: Pixels) -> list[Pixels]:
    """Give the channels of an image."""
    return [image] if image.ndim == 2 else [image[:, :, i] for i in range(image.shape[2])]


def _fit(master: Pixels, reference: Pixels, valid: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Fit one channel; give the scale, and what is left over in units of the reference's noise × scale."""
    valid = valid & np.isfinite(master) & np.isfinite(reference)
    noise = pixel_noise(reference, valid)
    if not noise:
        return None
    x, y = reference[valid].astype(np.float64), master[valid].astype(np.float64)
    scale, residual = _line(x, y)
    if scale <= 0:
        return scale, float("inf")
    return scale, float(np.quantile(np.abs(residual), _QUANTILE)) / _SIGMAS_OF_QUANTILE / (scale * noise)


def _line(x: Floats, y: Floats) -> tuple[float, Floats]:
    """Fit a line through what is neither very faint nor bright in the reference; give its slope and all residuals."""
    low, high = np.quantile(x, _FITTED)
    kept = (x >= low) & (x <= high)
    x_mean, y_mean = x[kept].mean(), y[kept].mean()
    centred = x[kept] - x_mean
    squares = float(centred @ centred)
    slope = float(centred @ (y[kept] - y_mean)) / squares if squares else 0.0
    return slope, y - y_mean - slope * (x - x_mean)
