"""``zemo-diag phase3``: master tiles built before and after the patch, measured, and laid beside each other."""

from __future__ import annotations

import filecmp
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ..errors import FrameError, InputError, OutputError
from ..frames.tiles import Tile
from ..gating.data import RunGating
from ..masters.pictures import why_no_pictures
from ..progress import Say
from ..redaction import private_words
from ..zemosaic.functions_under_test import MasterTileFunctions
from .build import Builder, DiskFullError, Phase3Options
from .data import BEFORE, PATCHED, BuildPlan, RunPhase3, TileBuild, TilePhase3
from .files import PICTURES_NAME, picture_name, staging
from .folder import LOG_NAME, open_manifest, prepare
from .lock import locked
from .log import Phase3Log
from .manifest import Manifest
from .measure import MeasuredFile, draw_tile, measure_file
from .plan import check_disk

_NOBODY = -1  # no tile has this number


@dataclass(frozen=True)
class _Pair:
    """One tile's results under the rules asked for, and the tile that its frames come from.

    Where one rule was not asked for, `beside` is what an earlier run left of it: only for the picture.
    """

    root: int
    patched: Any
    before: Any
    beside: Any

    @property
    def first(self) -> Any:
        """One of them that is there."""
        return self.patched or self.before


def run_both_rules(
    tiles: Sequence[Tile],
    gating: RunGating,
    manifest: Manifest,
    options: Phase3Options,
    functions: MasterTileFunctions,
    say: Say,
) -> tuple[RunPhase3, bool]:
    """Build the masters of a run, measure and draw them.

    Parameters
    ----------
    tiles : sequence of Tile
    gating : RunGating
        The flags of both rules.
    manifest : Manifest
        What is finished already.
    options : Phase3Options
    functions : MasterTileFunctions
    say : callable
        Gets (what is being done, part done, detail).

    Returns
    -------
    RunPhase3, bool
        What is known, and whether the user stopped it before the end.

    Raises
    ------
    InputError, OutputError
        Where it cannot begin: a library is missing, the disk is too small, or another run is working in the folder.
    """
    builder = Builder(tiles, gating, manifest, options, functions)
    builder.check_places()
    if options.dry_run:
        return _planned(builder, builder.plan()), False
    with locked(manifest.folder):
        # Another run may have ended there since the manifest was read.
        now = open_manifest(manifest.folder, manifest.options, force=options.force)
        builder = Builder(tiles, gating, now, options, functions)
        builder.check_places()
        return _run(builder, say)


def _run(builder: Builder, say: Say) -> tuple[RunPhase3, bool]:
    """Build, measure and draw, in a folder that no other run writes into."""
    manifest, plan = builder.manifest, builder.plan()
    run = _planned(builder, plan)
    check_disk(plan, manifest.folder, builder.options.rules)
    prepare(manifest.folder)
    interrupted = disk_full = False
    with Phase3Log(manifest.folder / LOG_NAME, plan.masters, say, private_words()) as log:
        try:
            builder.build(plan, log)
        except KeyboardInterrupt:
            interrupted = True
        except DiskFullError:
            disk_full = True
        except ImportError as error:
            raise InputError(str(error)) from error
    return _measured(run, builder, say, disk_full=disk_full), interrupted


def _planned(builder: Builder, plan: BuildPlan) -> RunPhase3:
    """Give the run before anything is built: the tiles and their flags."""
    gating, names = builder.gating, {tile.tile_id: tile.name for tile in builder.tiles}
    tiles = tuple(
        TilePhase3(one.tile_id, names[one.tile_id], one.eqmode, one.frames, one.before_enabled, one.tile_enabled)
        for one in gating.tiles
    )
    return RunPhase3(
        tiles=tiles,
        rules=builder.options.rules,
        plan=plan,
        dry_run=builder.options.dry_run,
        summary_line=gating.summary_line,
        requested=gating.requested,
        effective=gating.effective,
        reason=gating.reason,
        log_message=gating.log_message,
        kept=builder.kept,
    )


def _measured(run: RunPhase3, builder: Builder, say: Say, *, disk_full: bool) -> RunPhase3:
    """Measure every master that is there; of tiles that were not reached, give what was planned."""
    no_pictures = "the disk became full" if disk_full else why_no_pictures()
    pairs = [pair for tile in run.tiles for pair in _pairs(tile.tile_id, builder)]
    planned = {tile.tile_id: tile for tile in run.tiles}
    done: list[TilePhase3] = []
    for i, pair in enumerate(pairs):
        say("measuring masters", i / len(pairs))
        tile = planned[pair.root]
        if pair.first is not None:
            tile, measured = _with_builds(_identified(tile, pair), pair, picture=not no_pictures)
            if measured and not no_pictures:
                tile, no_pictures = _drawn(tile, measured, builder.manifest)
        done.append(tile)
    return replace(
        run,
        tiles=tuple(sorted(done, key=lambda tile: tile.tile_id)),
        built=builder.built,
        copied=builder.copied,
        disk_full=disk_full,
        no_pictures=no_pictures,
    )


def _pairs(root: int, builder: Builder) -> Iterator[_Pair]:
    """Bring the results of both rules together: of a tile, then of its retries, the first with the first."""
    patched, before = (builder.results[rule] for rule in (PATCHED, BEFORE))
    asked = builder.options.rules
    waiting: list[tuple[int, int]] = [(root, root)]
    while waiting:
        one, other = waiting.pop(0)
        after, old = patched.get(one), before.get(other)
        pair = _Pair(root, after, old, None)
        if len(asked) == 1:
            pair = _Pair(root, None, old, after) if BEFORE in asked else _Pair(root, after, None, old)
        if pair.first is None and (one, other) != (root, root):
            continue
        yield pair
        again = (result.retry_tile_ids if result else () for result in (after, old))
        waiting.extend(zip_longest(*again, fillvalue=_NOBODY))


def _identified(tile: TilePhase3, pair: _Pair) -> TilePhase3:
    """Give a retry tile its own number and name; its flags are its group's."""
    result = pair.first
    if result.retry_of is None:
        return tile
    name = f"{tile.name}, frames of tile {result.retry_of} again"
    return replace(
        tile,
        tile_id=result.tile_id,
        name=name,
        eqmode=result.eqmode,
        frames=result.frames,
        retry_of=result.retry_of,
    )


def _with_builds(tile: TilePhase3, pair: _Pair, *, picture: bool) -> tuple[TilePhase3, list[tuple[str, MeasuredFile]]]:
    """Measure a tile's masters; give them too, for the picture."""
    files = [result.path for result in (pair.patched, pair.before) if result and result.path]
    same = len(files) == 2 and filecmp.cmp(files[0], files[1], shallow=False)
    after = _measure(pair.patched, picture=picture)
    before = after if same else _measure(pair.before, picture=picture)
    builds = _build(pair.before, before, BEFORE), _build(pair.patched, after, PATCHED)
    beside = _measure(pair.beside, picture=True) if picture else None
    shown = (BEFORE, before if pair.before else beside), (PATCHED, after if pair.patched else beside)
    measured = [(rule, one) for rule, one in shown if isinstance(one, MeasuredFile)]
    return replace(tile, before=builds[0], patched=builds[1], same_bytes=same), measured


def _drawn(tile: TilePhase3, measured: list[tuple[str, MeasuredFile]], manifest: Manifest) -> tuple[TilePhase3, str]:
    """Draw a tile's masters; why that failed, which is no reason to give up the report."""
    picture = picture_name(tile.tile_id)
    try:
        with staging(manifest.folder / PICTURES_NAME) as folder:
            draw_tile(measured, folder / Path(picture).name)
            manifest.put(picture, folder / Path(picture).name)
    except (OutputError, OSError) as error:
        return tile, str(error)
    return replace(tile, picture=picture), ""


def _measure(result: Any, *, picture: bool) -> MeasuredFile | str | None:
    """Measure one master; why it cannot be read, or None where there is none."""
    if result is None or result.path is None:
        return None
    try:
        return measure_file(Path(result.path), picture=picture)
    except FrameError as error:
        return f"its file cannot be read: {error}"


def _build(result: Any, measured: MeasuredFile | str | None, rule: str) -> TileBuild | None:
    """Put together what the worker says of one master, and what its file holds."""
    if result is None:
        return None
    build = TileBuild(
        file=f"{rule}/{Path(result.path).name}" if result.path else None,
        cleanup_enabled=result.cleanup_enabled,
        verdict=None,
        frames=result.frames,
        stacked=result.stacked,
        not_placed=result.failed,
        dropped=result.dropped,
        unreadable=result.unreadable,
        placed_by_wcs=result.placed_by_wcs,
        rejected_pct=result.rejected_pct,
        mask_dropped=result.mask_dropped,
        error=measured if isinstance(measured, str) else result.error,
    )
    if not isinstance(measured, MeasuredFile):
        return build
    pixels = measured.pixels
    return replace(
        build,
        verdict=measured.verdict,
        pixels=pixels.pixels,
        blank_pixels=pixels.blank_pixels,
        valid_pixels=pixels.valid_pixels,
        medians=tuple(levels.median for levels in pixels.channels),
    )


__all__ = ["Phase3Options", "run_both_rules"]
