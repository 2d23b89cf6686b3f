"""What each ZeMosaic does with a run and its tiles: the known versions by their table, a checkout by its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..zemosaic.entries import Entry, EntryKind
from ..zemosaic.jobs import DecidedRun, DecidedTile, InferredMode
from ..zemosaic.under_test import UnderTest
from ..zemosaic.versions import (
    BUNDLED,
    Run,
    TileRule,
    Version,
    decide,
    decide_by_mode,
    decide_run,
    infer,
    is_seestar,
    run_of,
    stated,
)
from .ask import INFERENCE, SEESTAR, Groups, ask_checkout, names_of
from .data import CheckoutGating, Decided, VersionRun, VersionTile

# What a checkout is called among the versions.
THIS_ZEMOSAIC = "this ZeMosaic"

_BY_TABLE = "by the table of known versions, since the patch itself is not beside the tool"

GroupsByKind = Mapping[EntryKind, Groups]


@dataclass(frozen=True)
class Column:
    """One ZeMosaic: what it does with the run, and with each tile."""

    run: VersionRun
    tiles: tuple[VersionTile, ...]


def column_of(version: Version, groups: GroupsByKind, *, requested: bool) -> Column:
    """Decide by the table as a known version does.

    Parameters
    ----------
    version : Version
        The version.
    groups : mapping of EntryKind to sequence of sequence of dict
        The tiles' entries, of each kind.
    requested : bool, keyword-only
        Whether the user's settings ask for the alt-az cleanup.
    """
    run = _run_of(version, groups, requested)
    decided = {kind: [_by_table(version, run, group, i) for i, group in enumerate(groups[kind])] for kind in EntryKind}
    tiles = _tiles(version.name, decided)
    return Column(_version_run(version, run, version.name, _called(version)), tiles)


def patch_by_table(groups: GroupsByKind, *, requested: bool) -> DecidedRun:
    """Decide by the table as the patch does, where its modules are not beside the tool.

    Parameters
    ----------
    groups : mapping of EntryKind to sequence of sequence of dict
        The tiles' entries, of each kind.
    requested : bool, keyword-only
        Whether the user's settings ask for the alt-az cleanup.
    """
    run = _run_of(BUNDLED, groups, requested)
    decided = decide_run(BUNDLED, run)
    return DecidedRun(
        eq=run.eq,
        altaz=run.altaz,
        unknown=run.unknown,
        effective=decided.enabled,
        reason=_BY_TABLE,
        summary_line=decided.lines[0],
        message=decided.lines[1] if len(decided.lines) > 1 else None,
        tiles=tuple(_patched_tile(run, group, i) for i, group in enumerate(groups[EntryKind.PHASE_1])),
    )


def _patched_tile(run: Run, group: Sequence[Entry], tile_id: int) -> DecidedTile:
    decision = decide(BUNDLED, group, run, tile_id)
    value = None if decision.entry_index is None else stated(group[decision.entry_index], str(decision.key))
    return DecidedTile(
        enabled=decision.tile_enabled,
        reason=_BY_TABLE,
        mode=str(decision.mode),
        entry_index=decision.entry_index,
        key=decision.key,
        value=None if value is None else str(value).strip(),
        line=str(decision.line),
    )


def checkout_column(
    zemosaic: UnderTest, groups: GroupsByKind, *, requested: bool, by_table: bool = False
) -> tuple[Column, CheckoutGating]:
    """Ask a checkout for the modes of the tiles; its flags are those of the known version that it is like.

    Parameters
    ----------
    zemosaic : UnderTest
        The checkout.
    groups : mapping of EntryKind to sequence of sequence of dict
        The tiles' entries, of each kind.
    requested : bool, keyword-only
        Whether the user's settings ask for the alt-az cleanup.
    by_table : bool, keyword-only
        Whether the patch beside it is told by the table, which is then noted.
    """
    answers, version = ask_checkout(zemosaic, groups), zemosaic.version
    run = None if version is None else _run_of(version, groups, requested)
    decided = {kind: _by_answers(version, run, groups[kind], answers.modes.get(kind, ())) for kind in EntryKind}
    told = CheckoutGating(
        version=None if version is None else version.name,
        notes=(*_notes(zemosaic), *([f"what the patch does is told {_BY_TABLE}"] if by_table else [])),
        how=answers.how,
        problem=answers.problem,
    )
    return Column(_checkout_run(zemosaic, run), _tiles(THIS_ZEMOSAIC, decided)), told


def _checkout_run(zemosaic: UnderTest, run: Run | None) -> VersionRun:
    """Say what a checkout does with the run, as far as its rules are known."""
    if zemosaic.version is not None and run is not None:
        return _version_run(zemosaic.version, run, THIS_ZEMOSAIC, THIS_ZEMOSAIC)
    return VersionRun(
        name=THIS_ZEMOSAIC,
        title=THIS_ZEMOSAIC,
        bundled=False,
        has_inference=zemosaic.checkout.functions[INFERENCE].is_there,
        effective=None,
        without_filter=None,
        log_lines=(),
    )


def _called(version: Version) -> str:
    """Give what a version is called within a sentence."""
    if version is BUNDLED:
        return "the patch of zemo-diag"
    return f"ZeMosaic {version.title if version.tiles is TileRule.ALL else version.name}"


def _run_of(version: Version, groups: GroupsByKind, requested: bool) -> Run:
    """Give what the decision over the run rests on."""
    return run_of(version, [entry for group in groups[EntryKind.PHASE_1] for entry in group], requested=requested)


def _version_run(version: Version, run: Run, name: str, title: str) -> VersionRun:
    decided = decide_run(version, run)
    alone = decided if version.counts_entries else decide_run(version, Run(requested=run.requested))
    return VersionRun(
        name=name,
        title=title,
        bundled=name == BUNDLED.name,
        has_inference=version.inference is not None,
        effective=decided.enabled,
        without_filter=alone.enabled,
        log_lines=decided.lines,
    )


def _tiles(name: str, decided: Mapping[EntryKind, Sequence[Decided]]) -> tuple[VersionTile, ...]:
    pairs = zip(decided[EntryKind.PHASE_1], decided[EntryKind.FILTER], strict=True)
    return tuple(VersionTile(version=name, decided=one, by_filter=other) for one, other in pairs)


def _by_table(version: Version, run: Run, group: Sequence[Entry], tile_id: int) -> Decided:
    decision = decide(version, group, run, tile_id)
    eqmode = None if version.inference is None else str(decision.mode)
    return Decided(eqmode=eqmode, tile_enabled=decision.tile_enabled, log_line=decision.line)


def _by_answers(
    version: Version | None, run: Run | None, groups: Groups, answers: Sequence[InferredMode]
) -> list[Decided]:
    """Give what follows from the answers for each tile; without them, what does not need any."""
    if not answers:
        return [_by_mode(version, run, group, None, None, i) for i, group in enumerate(groups)]
    return [
        replace(
            _by_mode(version, run, group, answer.mode, answer.seestar, i),
            raised=answer.raised,
            changed=answer.changed,
            opened=names_of(answer.opened),
        )
        for i, (group, answer) in enumerate(zip(groups, answers, strict=True))
    ]


def _by_mode(
    version: Version | None,
    run: Run | None,
    group: Sequence[Entry],
    mode: str | None,
    seestar: bool | None,
    tile_id: int,
) -> Decided:
    """Give what follows from the mode that a checkout gave; None where it gave none."""
    if version is None or run is None:
        return Decided(eqmode=mode, tile_enabled=None)
    if version.tiles is TileRule.ALL:
        return Decided(eqmode=mode, tile_enabled=decide_run(version, run).enabled)
    if mode is None:
        return Decided(eqmode=None, tile_enabled=None)
    by_table = str(infer(version.inference, group)[0])
    seen = any(map(is_seestar, group)) if seestar is None else seestar
    decision = decide_by_mode(version, run, mode, seen, tile_id)
    return Decided(
        eqmode=mode,
        tile_enabled=decision.tile_enabled,
        log_line=decision.line,
        expected=None if by_table == mode else by_table,
    )


def _notes(zemosaic: UnderTest) -> tuple[str, ...]:
    """Say what can be judged of a checkout, and what cannot."""
    version, functions = zemosaic.version, zemosaic.checkout.functions
    if version is None:
        flags = "it is like no version that is known: which tiles it cleans cannot be judged"
    else:
        flags = (
            "which runs and tiles it cleans is decided within longer functions, which cannot be called: here by the "
            f"rules of {_called(version)}, which it is like"
        )
    policy = "altaz_unknown_policy is taken to be auto, its default" if version and version.unknown_may_count else ""
    told = [functions[name].told for name in (INFERENCE, SEESTAR)]
    return tuple(filter(None, (*zemosaic.checkout.problems, *told, flags, policy, zemosaic.interpreter.note)))
