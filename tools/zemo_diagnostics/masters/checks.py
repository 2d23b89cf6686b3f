"""The checks of ``zemo-diag masters``: ZD3xx."""

from __future__ import annotations

from collections.abc import Iterator

from ..findings.kinds import Found, check
from ..reports.report import Level, Source
from ..wording import fraction, number, plural, share
from .data import MasterVerdict, ReferenceFrame, RunMasters, TileMaster, plane_names, planes_without_values
from .measure import alpha_difference, wide_bands
from .noise import noise_not_fallen

# Alpha and pixels may disagree in this part of the pixels: a soft edge is rounded to 0 or 255 somewhere.
_ALPHA_TOLERANCE = 0.001

# The valid fraction that a header states may be off by this much: it was taken before the file was written.
_VALID_TOLERANCE = 0.01

_HALF = 0.5


def _with_signal(masters: RunMasters) -> Iterator[TileMaster]:
    """Give the tiles that are not empty: of an empty one nothing else is worth telling."""
    return (tile for tile in masters.tiles if tile.verdict is not MasterVerdict.EMPTY)


def _within(tile: TileMaster) -> str:
    """Say that what was counted lies within the padding, where there is one."""
    return " within the padding" if tile.padding else ""


def _in_part_empty(masters: RunMasters, verdict: MasterVerdict) -> Iterator[Found]:
    """Find the tiles that are partly, or nearly, empty."""
    for tile in masters.tiles:
        if tile.verdict is verdict:
            blank = share(tile.blank_pixels, tile.pixels, "pixels")
            yield Found(f"{blank} are blank{_within(tile)}: {tile.cause}.", tile.tile_id, (tile.name,))


@check(
    "ZD301",
    Level.ERROR,
    "A master cannot be read",
    needs="masters",
    remedy="Copy it again from where it was made; if it is damaged there too, build this tile anew.",
)
def master_unreadable(masters: RunMasters) -> Iterator[Found]:
    """A FITS file is empty, cut off or damaged: the program that wrote it was stopped, or the disk was full. The
    other files were measured all the same."""
    for file in masters.unreadable:
        yield Found(f"{file.name}: {file.reason}.", evidence=(file.name,))


@check(
    "ZD302",
    Level.ERROR,
    "A master is empty",
    needs="masters",
    remedy="Build it anew with the alt-az cleanup off (altaz_cleanup_enabled): with it on, released versions of "
    "ZeMosaic lose all frames but the reference when they align, and of eight frames or more nothing is left. "
    "'zemo-diag gating' on its lights shows whether the cleanup was on. Where a colour was lost, see ZD308.",
)
def master_empty(masters: RunMasters) -> Iterator[Found]:
    """There is no signal in a master, by ZeMosaic's own limits: no pixel has a value in every channel; or no value
    is over 1e-8; or all are the same within 1e-8 and none is over 1e-7. In the mosaic the tile is black, or missing."""
    for tile in masters.tiles:
        if tile.verdict is MasterVerdict.EMPTY:
            valid = share(tile.valid_pixels, tile.pixels, "pixels")
            values = f"{valid} are valid, the largest absolute value is {tile.max_abs:.3g}"
            yield Found(f"{values}: {tile.cause}.", tile.tile_id, (tile.name,))


@check(
    "ZD303",
    Level.ERROR,
    "A master is nearly empty",
    needs="masters",
    remedy="Build it anew with the alt-az cleanup off (altaz_cleanup_enabled). 'zemo-diag gating' on its lights shows "
    "whether it was on.",
)
def master_nearly_empty(masters: RunMasters) -> Iterator[Found]:
    """Nine tenths of a master's pixels or more are blank (every channel NaN or 0); ZeMosaic's padding is not counted.
    No footprint of frames looks like that, so something wiped it."""
    yield from _in_part_empty(masters, MasterVerdict.NEARLY)


@check(
    "ZD304",
    Level.WARNING,
    "A master is partly empty",
    needs="masters",
    remedy="Look at it (--contact-sheet): ragged corners are right for an alt-az tile whose field turned far. For any "
    "other, run 'zemo-diag gating' on its lights, and look for frames of another pointing among them.",
)
def master_partly_empty(masters: RunMasters) -> Iterator[Found]:
    """Half of a master's pixels or more are blank (every channel NaN or 0), but not nine tenths; ZeMosaic's padding is
    not counted. The corners of a field that turned, and the margin of the alt-az cleanup, take less of a good tile."""
    yield from _in_part_empty(masters, MasterVerdict.PARTLY)


@check(
    "ZD305",
    Level.WARNING,
    "Alpha and pixels disagree",
    needs="masters",
    remedy="Where it hides valid pixels along the edges, that is the margin of the alt-az cleanup: ZeMosaic rounds its "
    "soft edge to 0 or 255, and a smaller altaz_margin_percent hides less. Else build the tile anew; where that "
    "changes nothing, report it with this report attached.",
)
def alpha_disagrees(masters: RunMasters) -> Iterator[Found]:
    """The ALPHA extension shows blank pixels, or hides valid ones, in more than a thousandth of a tile; or it is cut
    off, of another size, or missing although the header promises it. The mosaic then blends black into its
    neighbours, or leaves out good data."""
    for tile in _with_signal(masters):
        if tile.alpha_problem:
            yield Found(f"{tile.alpha_problem[0].upper()}{tile.alpha_problem[1:]}.", tile.tile_id, (tile.name,))
        if tile.alpha and alpha_difference(tile) > _ALPHA_TOLERANCE:
            shown = fraction(tile.alpha.opaque_but_blank / tile.pixels)
            hidden = fraction(tile.alpha.transparent_with_data / tile.pixels)
            message = f"Alpha shows blank pixels in {shown} of the tile, and hides valid ones in {hidden}."
            yield Found(message, tile.tile_id, (tile.name,))


@check(
    "ZD306",
    Level.WARNING,
    "A wide blank band at an edge",
    needs="masters",
    remedy="Look for frames of another pointing among the tile's lights; for an alt-az tile, a smaller margin of the "
    "cleanup (altaz_margin_percent) keeps more.",
)
def wide_blank_band(masters: RunMasters) -> Iterator[Found]:
    """From an edge inwards, a tenth or more of a tile's rows or columns are blank from end to end (up to 1 % of a
    line may hold something). Frames of one pointing leave no such band, unless the alt-az cleanup cuts deep. Of a
    tile that is nearly empty this is not told."""
    for tile in _with_signal(masters):
        if tile.verdict is MasterVerdict.NEARLY:
            continue
        bands = ", ".join(f"{edge} {plural(width, 'pixel')}" for edge, width in wide_bands(tile))
        if bands:
            size = " × ".join(map(str, tile.measured_shape))
            yield Found(f"Blank at the edges: {bands}, of {size}.", tile.tile_id, (tile.name,))


@check(
    "ZD307",
    Level.WARNING,
    "Holes in bright cores",
    needs="masters",
    remedy="Use larger kappas, or fewer frames that differ in seeing and focus: rejection took every value of the "
    "core. If the frames have such holes already, look at what calibrated them.",
)
def holes_in_cores(masters: RunMasters) -> Iterator[Found]:
    """Pixels without a value (NaN or 0 in some channel) lie within bright ones: to the left, right, above and below,
    the nearest whole pixel is at most 16 away, and over the median by ten spreads. Stars then have black hearts."""
    for tile in _with_signal(masters):
        if tile.holes.pixels:
            places = ", ".join(f"[{y},{x}]" for y, x in tile.holes.first_places)
            message = f"Without a value: {plural(tile.holes.pixels, 'pixel')}, at [y,x] {places}."
            yield Found(message, tile.tile_id, (tile.name,))


@check(
    "ZD308",
    Level.WARNING,
    "A colour plane carries nothing",
    needs="masters",
    remedy="Look at the tile's lights: the plane was empty there, or lost when they were brought to colour.",
)
def constant_plane(masters: RunMasters) -> Iterator[Found]:
    """One plane of a tile, or each, has the same value everywhere, or none at all: it shows nothing of the sky. A tile
    with a plane without any value is empty to ZeMosaic, whatever the others hold (ZD302)."""
    for tile in masters.tiles:
        lost = planes_without_values(tile.channels)
        if lost and len(lost) < len(tile.channels):
            yield Found(f"No value at all: {', '.join(lost)}.", tile.tile_id, (tile.name,))
    for tile in _with_signal(masters):
        named = zip(plane_names(tile.channels), tile.channels, strict=True)
        constant = [name for name, levels in named if levels.constant]
        if constant:
            yield Found(f"The same value everywhere: {', '.join(constant)}.", tile.tile_id, (tile.name,))


@check(
    "ZD309",
    Level.WARNING,
    "The header says otherwise than the pixels",
    needs="masters",
    remedy="Trust the pixels. The file was changed after ZeMosaic wrote it, or was written by a version that checks "
    "otherwise: report it with this report attached.",
)
def cards_disagree(masters: RunMasters) -> Iterator[Found]:
    """ZMT_EMPT calls a tile empty that has signal, or a ZeMosaic master is empty without it; or ZMT_EVF, the part of
    valid pixels, is off by more than 0.01."""
    for tile in masters.tiles:
        empty, cards = tile.verdict is MasterVerdict.EMPTY, tile.cards
        if cards.says_empty and not empty:
            yield Found("ZMT_EMPT=1 calls it empty, and it has signal.", tile.tile_id, (tile.name,))
        elif empty and cards.by_zemosaic and not cards.says_empty:
            yield Found("It is empty, and no ZMT_EMPT=1 says so.", tile.tile_id, (tile.name,))
        valid = 1 - tile.blank_fraction if cards.zeroed else tile.valid_fraction
        if tile.padding or cards.valid_fraction is None:  # what it states is of the whole canvas
            continue
        if abs(cards.valid_fraction - valid) > _VALID_TOLERANCE:
            stated, measured = fraction(cards.valid_fraction), fraction(valid)
            yield Found(f"ZMT_EVF says that {stated} is valid; it is {measured}.", tile.tile_id, (tile.name,))


@check(
    "ZD310",
    Level.WARNING,
    "Less than half of a group's frames are in its master",
    needs="masters",
    remedy="Look for clouds, trails and other pointings among the tile's lights; the rest may be in a tile of a retry.",
)
def few_frames_stacked(masters: RunMasters) -> Iterator[Found]:
    """The header says how many frames the group had (ZMT_NRAW) and how many were stacked (MT_NFRAMES). The others
    could not be aligned on the reference frame, or were sent to a retry group."""
    for tile in masters.tiles:
        stacked, raw = tile.cards.frames_stacked, tile.cards.frames_raw
        if stacked is not None and raw is not None and stacked < raw * _HALF:
            yield Found(f"{stacked} of {raw} frames were stacked.", tile.tile_id, (tile.name,))


@check(
    "ZD311",
    Level.INFO,
    "None of the files is a master tile of ZeMosaic",
    needs="masters",
    remedy="Nothing to do if another program made them. If these are lights, 'zemo-diag gating' is the command for "
    "them; ZeMosaic's masters are master_tile_*.fits in the temporary folder of a run.",
)
def none_by_zemosaic(masters: RunMasters) -> Iterator[Found]:
    """No header says ZMT_TYPE='Master Tile'. The pixels were measured all the same; of frames and emptiness their
    headers say nothing."""
    if masters.tiles and not any(tile.cards.by_zemosaic for tile in masters.tiles):
        yield Found(f"{plural(len(masters.tiles), 'file')}, and no ZMT_TYPE card that says so.")


@check(
    "ZD312",
    Level.ERROR,
    "No master tile among the files",
    needs="source",
    remedy="Name the folder that holds master_tile_*.fits: the temporary folder of a ZeMosaic run, or OUT/before and "
    "OUT/patched of 'zemo-diag phase3'.",
)
def no_master(source: Source) -> Iterator[Found]:
    """None of the folder's FITS files holds an image that could be a master: tables, headers alone, pictures of another
    kind. Nothing was measured, so that the exit code is 2: a gate must not pass on nothing."""
    if source.grouped_by == "file" and source.files and not source.frames:
        which = (
            "The folder's only file holds none."
            if source.files == 1
            else f"None of the {source.files} files holds one."
        )
        yield Found(which)


@check(
    "ZD313",
    Level.ERROR,
    "A master holds one frame's light",
    needs="masters",
    remedy="Where the cleanup was on, build it anew with that off (altaz_cleanup_enabled): with it on, released "
    "versions of ZeMosaic lose all frames but the reference when they align; 'zemo-diag gating' on its lights shows "
    "whether it was on, also by itself. Where frames were repeated, put more of the same pointing into the group.",
)
def one_frames_light(masters: RunMasters) -> Iterator[Found]:
    """A master that says it is made of several frames is its reference frame times a number, and a constant: what is
    left after these are taken off is less than a fifth of that frame's own noise, and a true stack of two leaves about
    0.7 of it. It looks like a picture, with the noise of one frame; with kappa-sigma rejection also dimmer by the
    number of frames. The lights of --frames show it."""
    for tile in masters.tiles:
        one = tile.one_frame
        if one and one.is_one_frame:
            frames = plural(one.frames, "frame")
            message = f"Of {frames}, but it is the reference frame × {one.scale:.3g}; what is left over is "
            message += f"{one.residual_ratio:.3f} of that frame's noise: {tile.cause}."
            yield Found(message, tile.tile_id, (tile.name,))


@check(
    "ZD314",
    Level.WARNING,
    "A master is as noisy as far fewer frames",
    needs="masters",
    remedy="Name the folder of its lights with --frames: then the master is compared with its reference frame, which "
    "shows whether the others are missing (ZD313). Moonlight or dawn during this tile make noise too.",
)
def noise_did_not_fall(masters: RunMasters) -> Iterator[Found]:
    """The noise of a master falls with the square root of its frames. This one has at least four times as many as what
    it is held against (a light of --frames of its size and exposure, or else the masters of the fewest frames beside
    it), and at least 0.8 of the noise, where half is expected. A master that is one frame under another name looks like
    that; one that is that frame divided by their number does not, and only --frames finds it."""
    for tile in masters.tiles:
        other = noise_not_fallen(tile, masters.tiles)
        if other is None or tile.cards.frames is None:
            continue
        expected = (other.frames / tile.cards.frames) ** 0.5 * other.noise
        whose = f"{plural(other.masters, 'master')} of {plural(other.frames, 'frame')}" if other.masters else "a light"
        message = (
            f"Noise {number(tile.noise)} ADU with {tile.cards.frames} frames; {whose}: {number(other.noise)} ADU, "
        )
        yield Found(f"{message}so that {number(expected)} or less is expected.", tile.tile_id, (tile.name,))


_WHY_NOT_COMPARED = {
    ReferenceFrame.NOT_NAMED: "its header names no reference frame (ZMT_REF)",
    ReferenceFrame.NOT_THERE: "its reference frame is not among the lights",
    ReferenceFrame.UNUSABLE: "its reference frame cannot be read, or is of another size or other colours",
    ReferenceFrame.NOT_BROUGHT_TO_COLOUR: "its reference frame is a raw mosaic, and OpenCV is not installed",
    ReferenceFrame.COMPARED: "too few of its pixels can be compared",
}


@check(
    "ZD315",
    Level.INFO,
    "A master was not compared with its reference frame",
    needs="masters",
    remedy="Give --frames the folder of the lights as ZeMosaic read them, under their names; for raw mosaics install "
    "the extra 'color' (OpenCV).",
)
def not_compared(masters: RunMasters) -> Iterator[Found]:
    """Lights were given with --frames, and the reference frame that a master names (ZMT_REF) could not be held against
    it. Whether it holds one frame's light is told by its noise alone, if at all (ZD314)."""
    for tile in masters.tiles:
        if tile.one_frame is None and tile.reference in _WHY_NOT_COMPARED:
            why = _WHY_NOT_COMPARED[tile.reference]
            yield Found(f"{why[0].upper()}{why[1:]}.", tile.tile_id, (tile.name,))
