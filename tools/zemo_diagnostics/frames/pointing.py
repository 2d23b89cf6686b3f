"""Where a frame points: the centre of its field, from the WCS or else from RA and DEC."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .headers import ImageHeader, card

Degrees2 = tuple[float, float]


def frame_center_deg(image: ImageHeader) -> Degrees2 | None:
    """Find right ascension and declination of the middle of a frame, degrees.

    The WCS decides where there is one, else the RA and DEC cards, as in ZeMosaic's classic grouping.

    Returns
    -------
    tuple of float or None
        None where the header says neither.
    """
    return _wcs_center(image) or _card_center(image)


def separations_deg(center: Degrees2, centers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the angles between one direction and others, degrees.

    Parameters
    ----------
    center : (float, float)
        Right ascension and declination, degrees.
    centers : (n, 2) float64 array
        The others.

    Notes
    -----
    The haversine formula: exact for the small angles that grouping compares.
    """
    ra, dec = np.radians(centers[:, 0] - center[0]), np.radians(centers[:, 1])
    dec0 = math.radians(center[1])
    half = np.sin((dec - dec0) / 2) ** 2 + np.cos(dec) * math.cos(dec0) * np.sin(ra / 2) ** 2
    separations: NDArray[np.float64] = np.degrees(2 * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0))))
    return separations


def _wcs_center(image: ImageHeader) -> Degrees2 | None:
    """Give the sky position of the middle pixel; None without a celestial WCS."""
    cards = image.cards
    if not str(card(cards, "CTYPE1", "")).startswith("RA--"):
        return None
    height, width = image.shape[-2:]
    try:
        reference = float(card(cards, "CRPIX1")), float(card(cards, "CRPIX2"))
        crval = float(card(cards, "CRVAL1")), float(card(cards, "CRVAL2"))
    except (TypeError, ValueError):
        return None
    middle = (width + 1) / 2, (height + 1) / 2
    if max(abs(reference[0] - middle[0]), abs(reference[1] - middle[1])) < 1:
        return _direction(*crval)
    return _projected_center(image, middle)


def _projected_center(image: ImageHeader, middle: tuple[float, float]) -> Degrees2 | None:
    """Let astropy project the middle pixel."""
    from astropy.wcs import WCS

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ra, dec = WCS(image.cards, naxis=2).celestial.wcs_pix2world([middle], 1)[0]
    except Exception:  # noqa: BLE001 - a WCS that cannot be used says nothing
        return None
    return _direction(float(ra), float(dec))


def _card_center(image: ImageHeader) -> Degrees2 | None:
    """Give RA and DEC as the capture program wrote them: degrees, or hours and degrees as text."""
    ra, dec = card(image.cards, "RA"), card(image.cards, "DEC")
    if ra is None or dec is None:
        return None
    try:
        return _direction(float(ra), float(dec))
    except (TypeError, ValueError):
        return _sexagesimal(ra, dec)


def _sexagesimal(ra: Any, dec: Any) -> Degrees2 | None:
    """Read '21 01 35.6' and '+68 09 48', right ascension in hours."""
    from astropy.coordinates import Angle

    try:
        return _direction(Angle(str(ra), unit="hourangle").deg, Angle(str(dec), unit="deg").deg)
    except Exception:  # noqa: BLE001 - text that is no angle says nothing
        return None


def _direction(ra_deg: float, dec_deg: float) -> Degrees2 | None:
    """Bring a direction into range; None where it is none."""
    if not (math.isfinite(ra_deg) and math.isfinite(dec_deg)) or abs(dec_deg) > 90:
        return None
    return ra_deg % 360.0, dec_deg
