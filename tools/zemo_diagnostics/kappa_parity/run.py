"""``zemo-diag kappa-parity``, from the folder to the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import EXIT_CLEAN, EXIT_VARIANT_DIED, InputError
from ..findings.find import find
from ..frames.tiles import Tile
from ..grouped_folder import GroupingOptions, read_grouped
from ..machine.interrupts import take_until_interrupted
from ..machine.scratch import scratch_folder
from ..progress import Say
from ..redaction import private_words
from ..reports.environment import describe_environment
from ..reports.redacted import redact_report
from ..reports.report import JsonScalar, Part, Report, assemble
from ..zemosaic.checkout import Presence
from ..zemosaic.functions_under_test import describe_functions_under_test, load_stack_functions
from ..zemosaic.under_test import UnderTest
from .compare_tiles import MEMORY_FORMULA, ParityOptions, compare_tiles, memory_allowed
from .data import RunParity, TileParity, ZemosaicKappa
from .tell import tell
from .zemosaic_stacks import ZEMOSAIC_FORMULA, ZemosaicStacks, functions_to_judge


def parity_part(parity: RunParity) -> Part:
    """Make the part of a report; a variant that died is more than a finding."""
    died = any(tile.died or any(theirs.died for theirs in tile.zemosaic) for tile in parity.tiles)
    code = EXIT_VARIANT_DIED if died else EXIT_CLEAN
    return Part(name="parity", data=parity, tell=tell, series="ZD2", exit_code=code)


def run_parity(
    folder: Path,
    grouping: GroupingOptions,
    options: ParityOptions,
    *,
    tile_ids: Sequence[int] = (),
    say: Say,
    zemosaic: UnderTest | None = None,
) -> Report:
    """Report, for each tile of a folder, whether chunked and full-frame stack agree, and the memory of each.

    Parameters
    ----------
    folder : Path
        A folder of frames.
    grouping : GroupingOptions
        How they become tiles.
    options : ParityOptions
        What is run, and within which limits.
    tile_ids : sequence of int, keyword-only
        Only these tiles; all where it is empty.
    say : callable, keyword-only
        Gets (what is being done, part done).
    zemosaic : UnderTest, optional
        A ZeMosaic whose functions are run too.

    Raises
    ------
    InputError
        Where there is nothing to look at, or no tile has such a number.
    """
    run = read_grouped(folder, grouping, say)
    tiles = _selected(run.tiles, tile_ids)
    done: list[TileParity] = []
    limit = memory_allowed(options)
    judged, stacks = _judged(zemosaic, options, say) if zemosaic else (None, None)
    compared = compare_tiles(tiles, load_stack_functions(), options, limit, say, stacks)
    interrupted = not take_until_interrupted(compared, done)
    parity = RunParity(
        tiles=tuple(done),
        memory_limit_bytes=limit.available_bytes,
        memory_limit_source=limit.source,
        memory_formula=MEMORY_FORMULA + (ZEMOSAIC_FORMULA if zemosaic else ""),
        whole_required=options.require_whole,
        zemosaic=judged,
    )
    part = parity_part(parity)
    report = assemble(
        "kappa-parity",
        run.source,
        describe_environment(_under_test(zemosaic)),
        options=(*grouping.described(), *_described(options, tile_ids)),
        parts=(part,),
        findings=find(run.source, part),
        interrupted=interrupted,
    )
    return redact_report(report, private_words())


def _judged(zemosaic: UnderTest, options: ParityOptions, say: Say) -> tuple[ZemosaicKappa, ZemosaicStacks]:
    """Look at what a ZeMosaic has, and see what its functions make of weights for each pixel."""
    functions = functions_to_judge(zemosaic.checkout)
    stacks = ZemosaicStacks(zemosaic, tuple(one for one in functions if one.presence is Presence.PRESENT))
    say("asking ZeMosaic", 0.0)
    with scratch_folder() as folder:
        pixel_weights = tuple(stacks.with_pixel_weights(folder, options.timeout_s))
    return ZemosaicKappa(zemosaic.told(), functions, pixel_weights), stacks


def _under_test(zemosaic: UnderTest | None) -> str:
    """Say which functions are examined."""
    ours = describe_functions_under_test()
    return ours if zemosaic is None else f"{zemosaic.told()}; beside it {ours}"


def _selected(tiles: Sequence[Tile], tile_ids: Sequence[int]) -> list[Tile]:
    """Give the tiles that were asked for."""
    known = {tile.tile_id: tile for tile in tiles}
    missing = [str(number) for number in tile_ids if number not in known]
    if missing:
        raise InputError(f"there is no tile {', '.join(missing)}: --tile takes 1 to {len(tiles)} here")
    return [known[number] for number in dict.fromkeys(tile_ids)] or list(tiles)


def _described(options: ParityOptions, tile_ids: Sequence[int]) -> tuple[tuple[str, JsonScalar], ...]:
    """Name the options for the report."""
    crop = f"{options.crop[0]}x{options.crop[1]}" if options.crop else None
    return (
        ("tile", ",".join(map(str, tile_ids)) or None),
        ("kappa_low", options.kappa_low),
        ("kappa_high", options.kappa_high),
        ("weights", options.weights),
        ("chunk_rows", options.chunk_rows),
        ("max_frames", options.max_frames),
        ("crop", crop),
        ("timeout_s", options.timeout_s),
        ("atol", options.atol),
        ("require_whole", options.require_whole),
    )
