"""Small synthetic master tiles, in the form that ZeMosaic writes them."""

from __future__ import annotations

from math import ceil, hypot
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

Image = NDArray[np.float32]

SKY_ADU, NOISE_ADU = (900.0, 800.0, 700.0), 12.0


def star_field(shape: tuple[int, ...] = (120, 160, 3), seed: int = 1, stars: int = 25) -> Image:
    """Give a sky with noise and some stars, (H, W, 3) or (H, W)."""
    rng = np.random.default_rng(seed)
    height, width = shape[:2]
    sky = np.asarray(SKY_ADU[: shape[2]] if len(shape) == 3 else SKY_ADU[0])
    image: Image = (rng.standard_normal(shape) * NOISE_ADU + sky).astype(np.float32)
    rows, columns = np.mgrid[:height, :width]
    for _ in range(stars):
        y, x, peak = rng.uniform(8, height - 8), rng.uniform(8, width - 8), 10 ** rng.uniform(2, 4)
        star = peak * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 5)
        image += (star[:, :, None] if len(shape) == 3 else star).astype(np.float32)
    return image


def write_master(
    path: Path, image: Image, alpha: Any = "agreeing", *, tile_id: int | None = 1, frames: int = 20, **cards: Any
) -> Path:
    """Write a master tile.

    `alpha` is "agreeing", None, or a plane; `cards` replace those of a good tile, and None takes one out.
    """
    header = fits.Header()
    planes = image if image.ndim == 2 else np.moveaxis(image, -1, 0)
    known: dict[str, Any] = {} if tile_id is None else {"ZMT_TYPE": "Master Tile", "ZMT_ID": tile_id}
    known |= {"ZMT_NRAW": frames, "ZMT_NALGN": frames, "MT_NFRAMES": frames, "ZMT_NORM": "linear_fit"}
    known |= {"ZMT_WGHT": "none", "ZMT_REJ": "kappa_sigma", "ZMT_KAPLO": 3.0, "ZMT_KAPHI": 3.0, "ZMT_COMB": "mean"}
    known |= {"ZMT_REF": "Light_S50_1a2b3c4d_10.0s.fit", "OBJECT": "M 16", "SITELAT": 48.1173, "SITELONG": 11.1173}
    if isinstance(alpha, str):
        finite = np.isfinite(image)
        alpha = np.where(finite if image.ndim == 2 else finite.all(axis=2), 255, 0).astype(np.uint8)
    known["ALPHAEXT"] = 0 if alpha is None else 1
    for key, value in (known | cards).items():
        if value is not None:
            header[f"HIERARCH {key}" if len(key) > 8 else key] = value
    hdus = fits.HDUList([fits.PrimaryHDU(np.ascontiguousarray(planes), header)])
    if alpha is not None:
        hdus.append(fits.ImageHDU(alpha, name="ALPHA"))
    hdus.writeto(path)
    return path


def empty_cards(max_abs: float = 0.0, std: float = 0.0, valid: float = 1.0) -> dict[str, Any]:
    """Give the cards that ZeMosaic adds to an empty master."""
    return {"ZMT_EMPT": 1, "ZMT_EMAX": max_abs, "ZMT_ESTD": std, "ZMT_EVF": valid, "ZMT_EPS": 1e-8}


def rotated_corners(image: Image, turn_deg: float = 18.0) -> Image:
    """Blank the corners that a turning field leaves without frames."""
    height, width = image.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    y, x, turn = rows - height / 2, columns - width / 2, np.deg2rad(turn_deg)
    inside = (np.abs(x * np.cos(turn) + y * np.sin(turn)) < width / 2) & (
        np.abs(y * np.cos(turn) - x * np.sin(turn)) < height / 2
    )
    out: Image = image.copy()
    out[~inside] = np.nan
    return out


def wiped(image: Image, rows: slice) -> Image:
    """Blank all but some rows."""
    out: Image = np.full_like(image, np.nan)
    out[rows] = image[rows]
    return out


def padded(image: Image, cut: int = 0, fill: float = np.nan) -> Image:
    """Lay an image into the square that ZeMosaic makes of it, without as many pixels at each of its edges."""
    height, width = image.shape[:2]
    side = ceil(hypot(height, width))
    canvas: Image = np.full((side, side, *image.shape[2:]), fill, np.float32)
    top, left = (side - height) // 2 + cut, (side - width) // 2 + cut
    kept = image[cut : height - cut, cut : width - cut]
    canvas[top : top + kept.shape[0], left : left + kept.shape[1]] = kept
    return canvas


def write_light(path: Path, image: Image, **cards: Any) -> Path:
    """Write a light: whole numbers, colour as three planes."""
    planes = np.rint(image if image.ndim == 2 else np.moveaxis(image, -1, 0)).astype(np.uint16)
    header = fits.Header({"EXPTIME": 10.0, "INSTRUME": "Seestar S50", **cards})
    fits.PrimaryHDU(np.ascontiguousarray(planes), header).writeto(path)
    return path


def lights_of_one_field(shape: tuple[int, ...], count: int) -> list[Image]:
    """Give frames of one star field, each with noise of its own."""
    field = star_field(shape, seed=4)
    noise = np.random.default_rng(8).normal(0, 2 * NOISE_ADU, (count, *shape))
    return [np.rint(field + one).astype(np.float32) for one in noise]
