"""What became of the tiles: the masters of each under all rules brought together, measured, compared, and drawn."""

from __future__ import annotations

import filecmp
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

import numpy as np

from ..errors import FrameError, OutputError
from ..frames.pixels import Pixels, read_image
from ..frames.tiles import Tile
from ..masters.pictures import why_no_pictures
from ..progress import Say
from ..zemosaic.functions_under_test import MasterTileFunctions
from ..zemosaic.master_settings import Settings
from .build import Builder
from .data import (
    RULES,
    PixelComparison,
    Rule,
    TileBuild,
    TilePhase3,
    build_outcome,
    tile_verdict,
)
from .files import PICTURES_NAME, picture_name, staging
from .making import aligned_shape, shown_names
from .measure import MeasuredFile, ReferenceFrame, compare_masters, draw_tile, measure_file
from .results import TileResult
from .zemosaic_maker import frame_crpix

_NOBODY = -1  # no tile has this number

Measured = MeasuredFile | str  # or why its file cannot be read


@dataclass(frozen=True)
class _Together:
    """One tile's results under each rule, also of rules that an earlier run was asked for, and the tile of the run."""

    root: int
    results: Mapping[Rule, TileResult]


def gather_tiles(
    planned: Sequence[TilePhase3],
    tiles: Sequence[Tile],
    builder: Builder,
    functions: MasterTileFunctions,
    no_pictures: str,
    say: Say,
) -> tuple[tuple[TilePhase3, ...], str]:
    """Measure every master that is there; of tiles that were not reached, give what was planned.

    Parameters
    ----------
    planned : sequence of TilePhase3
        The tiles before anything was built.
    tiles : sequence of Tile
        Their frames.
    builder : Builder
        What was built.
    functions : MasterTileFunctions
        By which reference frames are read.
    no_pictures : str
        Why nothing can be drawn; empty where it can.
    say : callable
        Gets (what is being done, part done).

    Returns
    -------
    tuple of TilePhase3, str
        The tiles by their numbers, and why there are no pictures.
    """
    found = [one for tile in planned for one in _together(tile.tile_id, builder)]
    by_number, frames = {tile.tile_id: tile for tile in planned}, {tile.tile_id: tile for tile in tiles}
    done: list[TilePhase3] = []
    no_pictures = no_pictures or why_no_pictures()
    for i, together in enumerate(found):
        say("measuring masters", i / len(found))
        tile = by_number[together.root]
        asked = {rule: result for rule, result in together.results.items() if rule in builder.options.rules}
        if asked:
            gathered = _Gathered(frames[together.root], builder, functions, picture=not no_pictures)
            tile = gathered.tile(_identified(tile, asked), together.results)
            tile, no_pictures = gathered.drawn(tile, no_pictures)
        done.append(tile)
    return tuple(sorted(done, key=lambda tile: tile.tile_id)), no_pictures


def _together(root: int, builder: Builder) -> Iterator[_Together]:
    """Bring the results of all rules together: of a tile, then of its retries, the first with the first."""
    asked = builder.options.rules
    waiting: list[dict[Rule, int]] = [dict.fromkeys(RULES, root)]
    while waiting:
        numbers = waiting.pop(0)
        pairs = ((rule, builder.results[rule].get(number)) for rule, number in numbers.items())
        results = {rule: result for rule, result in pairs if result is not None}
        is_root = set(numbers.values()) == {root}
        if not is_root and not any(rule in asked for rule in results):
            continue
        yield _Together(root, results)
        again = [results[rule].retry_tile_ids if rule in results else () for rule in RULES]
        waiting += [dict(zip(RULES, ids, strict=True)) for ids in zip_longest(*again, fillvalue=_NOBODY)]


def _identified(tile: TilePhase3, results: Mapping[Rule, TileResult]) -> TilePhase3:
    """Give a retry tile its own number and name; its flags are its group's."""
    first = results.get(Rule.PATCHED) or next(iter(results.values()))
    if first.retry_of is None:
        return tile
    return replace(
        tile,
        tile_id=first.tile_id,
        name=f"{tile.name}, frames of tile {first.retry_of} again",
        eqmode=first.eqmode or tile.eqmode,
        frames=first.frames,
        retry_of=first.retry_of,
    )


class _Gathered:
    """The masters of one tile, each measured once."""

    def __init__(self, tile: Tile, builder: Builder, functions: MasterTileFunctions, *, picture: bool) -> None:
        self._tile, self._builder, self._functions, self._picture = tile, builder, functions, picture
        self._shape = aligned_shape(tile.frames)
        self._references: dict[str, ReferenceFrame] = {}
        self._measured: dict[Rule, Measured] = {}
        self._builds: dict[Rule, TileBuild] = {}

    def tile(self, tile: TilePhase3, results: Mapping[Rule, TileResult]) -> TilePhase3:
        """Give the tile with its masters; those of rules that were not asked for are measured for the picture alone."""
        asked = [rule for rule in results if rule in self._builder.options.rules]
        for rule, result in results.items():
            if rule in asked or self._picture:
                self._measure(rule, result, results)
                self._builds[rule] = self._build(rule, result)
        builds = {rule: self._builds[rule] for rule in RULES if rule in asked}
        verdict = tile_verdict(list(builds.items()))
        comparison = self._comparison() if {Rule.ZEMOSAIC, Rule.PATCHED} <= set(asked) else None
        return replace(
            tile,
            verdict=verdict,
            comparison=comparison,
            zemosaic=builds.get(Rule.ZEMOSAIC),
            before=builds.get(Rule.BEFORE),
            rule_alone=builds.get(Rule.RULE_ALONE),
            patched=builds.get(Rule.PATCHED),
        )

    def _measure(self, rule: Rule, result: TileResult, results: Mapping[Rule, TileResult]) -> None:
        """Measure one master, unless it has the bytes of another that is measured."""
        if result.path is None:
            return
        source = self._builder.is_copy(rule, self._tile.tile_id)
        other = results.get(source) if source else None
        if source in self._measured and other and other.path and filecmp.cmp(other.path, result.path, shallow=False):
            self._measured[rule] = self._measured[source]
            return
        load = self._reference if result.cleanup_enabled or rule is Rule.ZEMOSAIC else None
        try:
            path = Path(result.path)
            self._measured[rule] = measure_file(path, self._shape, picture=self._picture, load_frame=load)
        except FrameError as error:
            self._measured[rule] = f"its file cannot be read: {error}"

    def _reference(self, name: str) -> ReferenceFrame:
        """Load one of the tile's frames by its name, as it is aligned; 0 where it says nothing."""
        if name not in self._references:
            names = shown_names(self._tile)
            if name not in names:
                raise FrameError(f"{name} is none of the tile's frames")
            frame = self._tile.frames[names.index(name)]
            try:
                pixels: Pixels = self._functions.load_frame({**frame.entry, "shown_name": name}, read_image).pixels
            except RuntimeError as error:
                raise FrameError(str(error)) from error
            known = np.where(np.isfinite(pixels), pixels, np.float32(0))
            self._references = {name: ReferenceFrame(known, frame_crpix(frame, pixels.shape))}
        return self._references[name]

    def _build(self, rule: Rule, result: TileResult) -> TileBuild:
        """Put together what the builder says of one master, and what its file holds."""
        measured = self._measured.get(rule)
        build = TileBuild(
            file=f"{rule}/{Path(result.path).name}" if result.path else None,
            cleanup_enabled=result.cleanup_enabled,
            outcome=build_outcome(None, None, None),
            verdict=None,
            same_as=self._builder.is_copy(rule, self._tile.tile_id),
            frames=result.frames,
            stacked=result.stacked,
            not_placed=result.failed,
            dropped=result.dropped,
            unreadable=result.unreadable,
            placed_by_wcs=result.placed_by_wcs,
            pointed=result.pointed,
            repeated_to=result.repeated_to,
            rejected_pct=result.rejected_pct,
            mask_dropped=result.mask_dropped,
            cleanup_missing=result.cleanup_missing,
            error=measured if isinstance(measured, str) else result.error,
        )
        return _with_pixels(build, measured) if isinstance(measured, MeasuredFile) else build

    def _comparison(self) -> PixelComparison | None:
        """Compare ZeMosaic's master with the patched one, where both are built alike."""
        theirs, ours = (self._measured.get(rule) for rule in (Rule.ZEMOSAIC, Rule.PATCHED))
        builds = [self._builds[rule] for rule in (Rule.ZEMOSAIC, Rule.PATCHED)]
        same_frames = len({(build.cleanup_enabled, build.stacked) for build in builds}) == 1
        lost = any(build.outcome.is_lost for build in builds)
        # Pixels that are not known are 0 in ZeMosaic, and spread when frames are resampled; the patch leaves them out.
        unknown = not builds[1].cleanup_enabled and builds[1].blank_pixels > 0
        if self._builder.options.settings is not Settings.PLAIN or lost or unknown or not same_frames:
            return None
        if not isinstance(theirs, MeasuredFile) or not isinstance(ours, MeasuredFile):
            return None
        if theirs.reference != ours.reference:
            return None
        try:
            return compare_masters(theirs.path, ours.path, self._shape)
        except FrameError:
            return None

    def drawn(self, tile: TilePhase3, no_pictures: str) -> tuple[TilePhase3, str]:
        """Draw a tile's masters; why that failed, which is no reason to give up the report."""
        masters = [(rule, one) for rule in RULES if isinstance(one := self._measured.get(rule), MeasuredFile)]
        pictures = [
            (one.label(rule, self._builds[rule].outcome), one.image) for rule, one in masters if one.image is not None
        ]
        if no_pictures or not pictures:
            return tile, no_pictures
        picture, manifest = picture_name(tile.tile_id), self._builder.manifest
        try:
            with staging(manifest.folder / PICTURES_NAME) as folder:
                draw_tile(pictures, folder / Path(picture).name)
                manifest.put(picture, folder / Path(picture).name)
        except (OutputError, OSError) as error:
            return tile, str(error)
        return replace(tile, picture=picture), ""


def _with_pixels(build: TileBuild, measured: MeasuredFile) -> TileBuild:
    """Add what the pixels of a master come to."""
    pixels = measured.pixels
    outcome = build_outcome(measured.verdict, pixels.blank_pixels / pixels.pixels, measured.one_frame)
    return replace(
        build,
        outcome=outcome,
        verdict=measured.verdict,
        pixels=pixels.pixels,
        blank_pixels=pixels.blank_pixels,
        valid_pixels=pixels.valid_pixels,
        padding_fraction=measured.padding.fraction if measured.padding else 0.0,
        medians=tuple(levels.median for levels in pixels.channels),
        one_frame=measured.one_frame,
        reference=measured.reference,
        wcs_shift_px=measured.wcs_shift_px,
    )
