"""The checks of the decisions over a run and its tiles, where these are functions that can be called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...zemosaic.jobs import decide_job
from ..acceptance import AcceptanceCheck, Verdict, judged_by_cases
from ..lab import Lab, Skip

_FUNCTIONS = ("summarize_eqmodes", "decide_global_altaz_cleanup", "decide_tile_altaz_cleanup")

_EQ: Any = {"EQMODE": 1}
_ALT_AZ: Any = {"EQMODE": 0}
_UNKNOWN: Any = {"path": "light.fit"}

SWITCHED_OFF = "ALTaz cleanup requested but no ALT_AZ frames detected -> disabled (EQ-only run)."


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run, in words; whether cleanup was asked for; the entries of each tile; its counts."""

    what: str
    requested: bool
    groups: tuple[tuple[Any, ...], ...]
    eq: int
    altaz: int
    unknown: int

    @property
    def enabled(self) -> bool:
        """Whether such a run cleans alt-az tiles."""
        return self.altaz > 0

    @property
    def tiles(self) -> list[bool]:
        """Which of its tiles are cleaned."""
        return [self.enabled and group[0] is _ALT_AZ for group in self.groups]


_EQ_TILE, _ALT_AZ_TILE, _UNKNOWN_TILE = (_EQ, _EQ), (_ALT_AZ, _ALT_AZ), (_UNKNOWN,)

RUNS = tuple(
    Run(
        what=f"{what}, cleanup {'asked for' if requested else 'not asked for'}",
        requested=requested,
        groups=groups,
        eq=eq,
        altaz=altaz,
        unknown=unknown,
    )
    for what, groups, (eq, altaz, unknown) in (
        ("an EQ-only run", (_EQ_TILE, _EQ_TILE), (4, 0, 0)),
        ("a mixed run", (_EQ_TILE, _ALT_AZ_TILE), (2, 2, 0)),
        ("a run of unknown mode", (_UNKNOWN_TILE, _UNKNOWN_TILE), (0, 0, 2)),
        ("EQ, ALT_AZ and unknown tiles", (_EQ_TILE, _UNKNOWN_TILE, _ALT_AZ_TILE), (2, 2, 1)),
        ("an alt-az run", (_ALT_AZ_TILE,), (0, 2, 0)),
        ("a run without a frame", (), (0, 0, 0)),
    )
    for requested in (True, False)
)

Decided = dict[str, Any]


def _decided(lab: Lab) -> list[Decided]:
    """Let it decide over all runs."""
    missing = [name for name in _FUNCTIONS if name not in lab.under_test.checkout.defines]
    if missing:
        raise Skip("the decisions are made within the function of a whole run, which cannot be called by itself")
    job = decide_job([(run.requested, run.groups) for run in RUNS])
    decided: list[Decided] = lab.answered("decisions", job).result["runs"]
    return decided


def _decided_all_the_same(lab: Lab) -> list[Decided]:
    """Let it decide while the progress callback raises."""
    lab.once(_decided)
    job = decide_job([(run.requested, run.groups) for run in RUNS], raising=True)
    decided: list[Decided] = lab.answered("decisions", job).result["runs"]
    return decided


def _by_run(passed: str, wrong: Callable[[Run, Decided], str]) -> Callable[[Lab], Verdict]:
    """Make a judge that looks at each run."""

    def judge(lab: Lab) -> Verdict:
        pairs = zip(RUNS, lab.once(_decided), strict=True)
        told = [(run, wrong(run, decided)) for run, decided in pairs]
        return judged_by_cases(passed, (f"{run.what}: {what}" for run, what in told if what), len(RUNS))

    return judge


def _wrong_counts(run: Run, decided: Decided) -> str:
    counts = [run.eq, run.altaz, run.unknown, run.eq + run.altaz + run.unknown, run.altaz > 0]
    if decided["counts"] != counts:
        return f"(eq, altaz, unknown, total, contains_altaz) {decided['counts']}, not {counts}"
    eq, altaz, unknown, total, contains = counts
    line = f"WORKER_EQMODE_SUMMARY: eq={eq} altaz={altaz} unknown={unknown} total={total} contains_altaz={contains}"
    return "" if line in _messages(decided) else f"the line {line!r} is not logged"


def _not_off(run: Run, decided: Decided) -> str:
    if run.altaz:
        return ""
    if decided["enabled"]:
        return "cleanup is on, and no frame is alt-az"
    warned = ["WARN", SWITCHED_OFF] in decided["said"]
    if warned != run.requested:
        return "the WARN of R3 is missing" if run.requested else "the WARN of R3 is there"
    return ""


def _not_on(run: Run, decided: Decided) -> str:
    if not run.altaz:
        return ""
    if not decided["enabled"]:
        return "cleanup is off, and frames are alt-az"
    told = [message for level, message in decided["said"] if level == "INFO" and "SUMMARY" not in message]
    return "" if bool(told) != run.requested else f"INFO lines besides the summary: {told or 'none'}"


def _wrong_tiles(run: Run, decided: Decided) -> str:
    return "" if decided["tiles"] == run.tiles else f"tiles cleaned {decided['tiles']}, not {run.tiles}"


def _wrong_line(run: Run, decided: Decided) -> str:
    said = [pair for pair in decided["said"] if pair[1].startswith("P3_")]
    for tile_id, (group, enabled) in enumerate(zip(run.groups, decided["tiles"], strict=True)):
        mode = "EQ" if group[0] is _EQ else "ALT_AZ" if group[0] is _ALT_AZ else "UNKNOWN"
        line = (
            f"P3_ALTaz_GATING: tile_id={tile_id} eqmode={mode} "
            f"global_enabled={decided['enabled']} => tile_enabled={enabled}"
        )
        if ["DEBUG_DETAIL", line] not in said:
            return f"DEBUG_DETAIL {line!r} is not among {[' '.join(pair) for pair in said]}"
    return "" if len(said) == len(run.groups) else f"{len(said)} lines for {len(run.groups)} tiles"


def _messages(decided: Decided) -> list[str]:
    return [message for _, message in decided["said"]]


def _callback_may_raise(lab: Lab) -> Verdict:
    usual, raising = lab.once(_decided), lab.once(_decided_all_the_same)
    wrong = [run.what for run, one, other in zip(RUNS, usual, raising, strict=True) if one["tiles"] != other["tiles"]]
    return judged_by_cases("the decisions are the same", wrong, len(RUNS))


CHECKS: tuple[AcceptanceCheck, ...] = (
    AcceptanceCheck(
        code="ZC201",
        title="The summary counts the modes of a run",
        requires=("R2",),
        meaning="WORKER_EQMODE_SUMMARY has eq, altaz, unknown, total and contains_altaz, to the letter.",
        remedy="Count each entry of the run once, by the mode that it states itself.",
        judge=_by_run("all counts and lines are right", _wrong_counts),
    ),
    AcceptanceCheck(
        code="ZC202",
        title="A run without alt-az frames is not cleaned",
        requires=("R3", "R10"),
        meaning="Whatever was asked for. Where it was, a WARN says so; else nothing does.",
        remedy="Set the run's flag to off where no frame says ALT_AZ, and warn where cleanup was asked for.",
        judge=_by_run("such runs are not cleaned, and the line is to the letter", _not_off),
    ),
    AcceptanceCheck(
        code="ZC203",
        title="A run with alt-az frames is cleaned",
        requires=("R4",),
        meaning="Also where that was not asked for: then an INFO line says so.",
        remedy="Set the run's flag to on where a frame says ALT_AZ, with an INFO line where that was not asked for.",
        judge=_by_run("such runs are cleaned, and an INFO line says so where it was not asked for", _not_on),
    ),
    AcceptanceCheck(
        code="ZC204",
        title="A tile is cleaned where the run is and its group is alt-az",
        requires=("R5", "R10", "R11"),
        meaning="The flag that create_master_tile gets. Equatorial tiles, and those of unknown mode, are left alone.",
        remedy="Hand 'run's flag and mode == \"ALT_AZ\"' to create_master_tile, tile by tile.",
        judge=_by_run("all tiles get the right flag", _wrong_tiles),
        after=("ZC202", "ZC203"),
    ),
    AcceptanceCheck(
        code="ZC205",
        title="The gating line of a tile is to the letter",
        requires=("R5",),
        meaning="P3_ALTaz_GATING, one for each tile, at DEBUG_DETAIL.",
        remedy="Write 'P3_ALTaz_GATING: tile_id=7 eqmode=EQ global_enabled=True => tile_enabled=False', no other way.",
        judge=_by_run("every line is there", _wrong_line),
    ),
    AcceptanceCheck(
        code="ZC206",
        title="A progress callback that raises changes no decision",
        requires=("R5",),
        meaning="The same runs, with a callback that raises at each line.",
        remedy="Call the callback where what it raises is caught.",
        judge=_callback_may_raise,
    ),
)
