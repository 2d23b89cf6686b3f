"""The gating of whole folders, and the checks that look at it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from zemo_diagnostics.errors import UnusableFile
from zemo_diagnostics.findings import find as findings
from zemo_diagnostics.findings.find import find, load_checks
from zemo_diagnostics.findings.kinds import FindingKind
from zemo_diagnostics.gating.command import VERSIONS
from zemo_diagnostics.gating.data import (
    CheckoutGating,
    Decided,
    FrameMode,
    ModeCounts,
    RunGating,
    ShapeFrames,
    TelescopeFrames,
    TileGating,
    VersionRun,
    VersionTile,
)
from zemo_diagnostics.gating.gate import gate_tiles
from zemo_diagnostics.gating.run import run_gating
from zemo_diagnostics.gating.tell import tell
from zemo_diagnostics.grouped_folder import GroupingOptions, read_grouped
from zemo_diagnostics.reports.document import Facts, Table
from zemo_diagnostics.reports.report import Finding, Grouping, Level, Report, Source
from zemo_diagnostics.zemosaic.mount_mode import Mode
from zemo_diagnostics.zemosaic.versions import KNOWN


def quiet(_what: str, _part: float, _detail: str = "") -> None:
    pass


@cache  # each call starts a process, and what it gives is frozen
def gate(folder: Path, *, requested: bool = True, version: str | None = None, **grouping: object) -> Report:
    options = GroupingOptions(**grouping)  # type: ignore[arg-type]
    return run_gating(folder, options, requested=requested, say=quiet, version=version)


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


def gating_of(report: Report) -> RunGating:
    gating = report.result("gating")
    assert isinstance(gating, RunGating)
    return gating


def tiles_of(report: Report) -> tuple[TileGating, ...]:
    return gating_of(report).tiles


def test_mixed_tiles_are_gated_one_by_one(fixtures: Path) -> None:
    report = gate(fixtures / "mixed_by_tile")
    decisions = [(tile.eqmode, tile.tile_enabled, tile.before_enabled) for tile in tiles_of(report)]
    assert decisions == [("EQ", False, True), ("ALT_AZ", True, True)] * 2
    assert tiles_of(report)[0].log_line == (
        "P3_ALTaz_GATING: tile_id=0 eqmode=EQ global_enabled=True => tile_enabled=False"
    )
    assert tiles_of(report)[0].evidence == "EQMODE=1 in 4 of 4 headers (first frame)"
    assert codes(report) == {"ZD107"}


def test_an_eq_only_run_is_not_cleaned(fixtures: Path) -> None:
    report = gate(fixtures / "eq_only")
    assert (gating_of(report).requested, gating_of(report).effective) == (True, False)
    assert gating_of(report).log_message == (
        "ALTaz cleanup requested but no ALT_AZ frames detected -> disabled (EQ-only run)."
    )
    assert not any(tile.tile_enabled for tile in tiles_of(report))


def test_an_altaz_run_is_cleaned_even_unasked(fixtures: Path) -> None:
    report = gate(fixtures / "altaz_only", requested=False)
    assert [(tile.tile_enabled, tile.before_enabled) for tile in tiles_of(report)] == [(True, True)]
    assert not report.findings


def test_frames_without_eqmode(fixtures: Path) -> None:
    report = gate(fixtures / "no_eqmode")
    assert [tile.eqmode for tile in tiles_of(report)] == ["UNKNOWN", "UNKNOWN"]
    assert {"ZD103", "ZD109"} <= codes(report)


def test_odd_values_are_counted_as_what_they_say(fixtures: Path) -> None:
    (tile,) = tiles_of(gate(fixtures / "odd_values", split=False))
    assert tile.counts == ModeCounts(eq=6, altaz=3, unknown=4, other=2)
    modes = {frame.name.split("_")[1]: frame.mode for frame in tile.frame_modes}
    assert modes["EQMODE two"] == "EQMODE_2"
    assert modes["EQMODE text EQ"] == "EQ"
    assert modes["EQMODE in a comment"] == modes["EQMODE undefined"] == "UNKNOWN"


def test_a_tile_that_mixes_both_modes_is_an_error(fixtures: Path) -> None:
    report = gate(fixtures / "mixed_one_folder", split=False)
    mixed = next(finding for finding in report.findings if finding.code == "ZD101")
    assert mixed.level is Level.ERROR
    assert len(mixed.evidence) == 2
    assert "ZD102" in codes(report)
    assert not {"ZD101", "ZD102"} & codes(gate(fixtures / "mixed_one_folder"))


def test_stacks_and_shapes_among_the_frames(fixtures: Path) -> None:
    assert "ZD110" in codes(gate(fixtures / "rgb_cubes"))
    assert "ZD106" in codes(gate(fixtures / "hard"))


def test_unusable_files_are_named_one_by_one(fixtures: Path) -> None:
    report = gate(fixtures / "unusable")
    named = [finding for finding in report.findings if finding.code == "ZD001"]
    assert len(named) == 11
    assert all(finding.evidence[0] in finding.message for finding in named)


def flags_of(report: Report) -> dict[str, list[tuple[str | None, bool | None, str | None, bool | None]]]:
    """Give, by version, the mode and the flag of each tile: from entries of Phase 1, and of the filter window."""
    return {
        run.name: [
            (one.decided.eqmode, one.decided.tile_enabled, one.by_filter.eqmode, one.by_filter.tile_enabled)
            for one in (tile.by(run.name) for tile in tiles_of(report))
        ]
        for run in gating_of(report).versions
    }


def test_each_known_version_is_told_for_both_kinds_of_entries(fixtures: Path) -> None:
    report = gate(fixtures / "mixed_by_tile")
    assert flags_of(report) == {
        "before": [(None, True, None, True)] * 4,
        "2026-01": [("UNKNOWN", False, "EQ", False), ("UNKNOWN", False, "ALT_AZ", True)] * 2,
        "2026-04": [("UNKNOWN", True, "EQ", False), ("UNKNOWN", True, "ALT_AZ", True)] * 2,
        "zemo-diag": [("EQ", False, "EQ", False), ("ALT_AZ", True, "ALT_AZ", True)] * 2,
    }
    runs = {run.name: (run.effective, run.without_filter) for run in gating_of(report).versions}
    on_off_off = {"before": (True, True), "2026-01": (True, False), "2026-04": (True, False)}
    assert runs == {**on_off_off, "zemo-diag": (True, True)}
    facts = dict(facts_of(report))
    assert facts["in other versions"] == "before on, 2026-01 on, 2026-04 on"
    assert facts["modes not read by"].startswith("2026-01, 2026-04: ")
    assert facts["modes not read by"].endswith("they would clean 2 (2026-01) and 2 (2026-04) of 4 tiles")


def test_the_patch_by_the_table_is_the_patch_that_was_asked(fixtures: Path) -> None:
    for folder in ("mixed_by_tile", "odd_values", "no_eqmode", "npy_cache"):
        for tile in tiles_of(gate(fixtures / folder)):
            decided = tile.by("zemo-diag").decided
            assert (decided.eqmode, decided.tile_enabled, decided.log_line) == (
                tile.eqmode, tile.tile_enabled, tile.log_line,
            )  # fmt: skip


def test_without_its_modules_the_patch_is_told_by_the_table(fixtures: Path) -> None:
    for folder in ("mixed_by_tile", "odd_values", "no_eqmode"):
        asked = gating_of(gate(fixtures / folder))
        run = read_grouped(fixtures / folder, GroupingOptions(), quiet)
        told = gate_tiles(run.tiles, None, requested=True)
        tiles = tuple(replace(one, reason=two.reason) for one, two in zip(told.tiles, asked.tiles, strict=True))
        assert replace(told, tiles=tiles, reason=asked.reason) == asked
        assert told.reason.startswith("by the table of known versions")


def test_before_the_patch_alt_az_frames_switch_the_cleanup_on(fixtures: Path) -> None:
    off = gate(fixtures / "mixed_by_tile", requested=False)
    assert [tile.before_enabled for tile in tiles_of(off)] == [True] * 4
    assert dict(facts_of(off))["without its filter"].endswith("before off, 2026-01 off, 2026-04 off")
    eq = gate(fixtures / "eq_only", requested=False)
    assert not any(tile.before_enabled for tile in tiles_of(eq))


@pytest.mark.parametrize(
    ("version", "line", "run_line", "found"),
    [
        ("before", None, None, {"ZD115"}),
        (
            "2026-01",
            "P3_ALTaz_GATING: tile_id=0 eqmode=UNKNOWN global_enabled=True => tile_enabled=False",
            None,
            {"ZD113", "ZD117"},
        ),
        (
            "2026-04",
            "P3_ALTaz_GATING: tile_id=0 eqmode=UNKNOWN global_enabled=True unknown_policy=auto seestar_hint=True "
            "unknown_as_altaz=True => tile_enabled=True",
            "ALTaz gating global: policy=auto eq=8 altaz=8 unknown=0 seestar_hint=True unknown_as_altaz=False "
            "altaz_cleanup_effective=True",
            {"ZD113", "ZD115"},
        ),
        (
            "zemo-diag",
            "P3_ALTaz_GATING: tile_id=0 eqmode=EQ global_enabled=True => tile_enabled=False",
            None,
            {"ZD107"},
        ),
    ],
)
def test_one_version_is_told_with_its_own_lines(
    fixtures: Path, version: str, line: str | None, run_line: str | None, found: set[str]
) -> None:
    report = gate(fixtures / "mixed_by_tile", version=version)
    assert codes(report) == found
    assert list(flags_of(report)) == [version]
    section = tell(gating_of(report), {})
    (table,) = (block for block in section.blocks if isinstance(block, Table))
    closing = table.rows[0].closing
    assert (None if closing is None else closing.text) == line
    assert dict(facts_of(report)).get("ZeMosaic logs") == run_line
    heads = [column.head for column in table.columns]
    assert heads == ["frames", "mode", "patch", *{"before": ["before"], "zemo-diag": []}.get(
        version, [version, "by its filter"]
    ), "why"]  # fmt: skip
    assert all(len(row.cells) == len(heads) for row in table.rows)


def test_a_version_that_switches_the_cleanup_on_by_itself_is_a_finding(fixtures: Path) -> None:
    for version, message in (
        ("before", "Switched on by ZeMosaic before the patch itself: 4 tiles are cleaned."),
        ("2026-04", "Switched on by ZeMosaic 2026-04 itself: 4 tiles are cleaned."),
    ):
        report = gate(fixtures / "mixed_by_tile", requested=False, version=version)
        assert [finding.message for finding in report.findings if finding.code == "ZD114"] == [message]
    for version in ("2026-01", "zemo-diag"):
        assert "ZD114" not in codes(gate(fixtures / "mixed_by_tile", requested=False, version=version))


def test_frames_of_unknown_mode_in_each_version(fixtures: Path) -> None:
    assert {version: codes(gate(fixtures / "no_eqmode", version=version)) for version in VERSIONS} == {
        "before": {"ZD103", "ZD116"},
        "2026-01": {"ZD103", "ZD109"},
        "2026-04": {"ZD103", "ZD116"},
        "zemo-diag": {"ZD103", "ZD107", "ZD109"},
    }


def test_the_versions_that_may_be_named_are_those_that_are_known() -> None:
    assert tuple(version.name for version in KNOWN) == VERSIONS


def test_the_real_frames(real_data: Callable[[str], Path]) -> None:
    folder = real_data("seestar_s50_ngc7023_mixed")
    by_pointing = gate(folder)
    assert [(tile.eqmode, tile.frames) for tile in tiles_of(by_pointing)] == [("UNKNOWN", 4), ("EQ", 2)]
    assert {name: [flag for _, flag, *_ in flags] for name, flags in flags_of(by_pointing).items()} == {
        "before": [True, True], "2026-01": [False, False], "2026-04": [True, True], "zemo-diag": [False, False],
    }  # fmt: skip
    report = gate(folder, group_by="all")
    (tile,) = tiles_of(report)
    assert (tile.eqmode, tile.deciding_index, tile.counts) == ("EQ", 4, ModeCounts(2, 0, 4, 0))
    assert "ZD103" in codes(report)
    assert "S50_" not in repr(report)


def tile(**changes: object) -> TileGating:
    base = TileGating(
        tile_id=3,
        name="panel 3",
        frames=4,
        counts=ModeCounts(4, 0, 0, 0),
        eqmode=Mode.EQ,
        evidence="",
        deciding_index=0,
        tile_enabled=False,
        before_enabled=False,
        reason="",
        log_line="",
        frame_modes=tuple(FrameMode(f"{i}.fit", "EQ") for i in range(4)),
        telescopes=(TelescopeFrames("Seestar S50", 4),),
        shapes=(ShapeFrames("4 × 4", 4),),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def run_of(*tiles: TileGating) -> RunGating:
    return RunGating(
        tiles=tiles,
        summary_line="",
        eq=4,
        altaz=0,
        unknown=0,
        requested=False,
        effective=False,
        reason="",
        log_message=None,
    )


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("ZD101", {"counts": ModeCounts(2, 2, 0, 0)}),
        ("ZD102", {"counts": ModeCounts(1, 3, 0, 0)}),
        ("ZD103", {"counts": ModeCounts(1, 0, 3, 0)}),
        ("ZD104", {"frame_modes": (FrameMode("a.fit", "EQMODE_2"),)}),
        ("ZD105", {"telescopes": (TelescopeFrames("Seestar S50", 2), TelescopeFrames("Seestar S30", 2))}),
        ("ZD106", {"shapes": (ShapeFrames("4 × 4", 3), ShapeFrames("2 × 2", 1))}),
        ("ZD107", {"before_enabled": True}),
        ("ZD108", {"eqmode": Mode.UNKNOWN, "deciding_index": None}),
        ("ZD110", {"stacked_frames": ("a.fit",)}),
        ("ZD111", {"name": "no pointing", "without_pointing": 4}),
    ],
)
def test_each_check_finds_its_case_and_nothing_else(code: str, changes: dict[str, object]) -> None:
    (kind,) = (kind for kind in load_checks() if kind.code == code)

    def run(one: TileGating) -> list[Finding]:
        return list(findings._run(kind, run_of(one)))

    assert not run(tile())
    (found,) = run(tile(**changes))
    assert (found.code, found.tile_id) == (code, 3)
    assert found.message
    assert found.remedy


def check_messages(code: str, *tiles: TileGating, **run: object) -> list[str]:
    """Give what one check says of some tiles."""
    (kind,) = (kind for kind in load_checks() if kind.code == code)
    return [finding.message for finding in findings._run(kind, replace(run_of(*tiles), **run))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "changes", "words"),
    [
        ("ZD101", {"counts": ModeCounts(1, 1, 0, 0)}, "1 frame says EQ and 1 says ALT_AZ; all are treated as EQ."),
        ("ZD101", {"counts": ModeCounts(1, 3, 0, 0)}, "1 frame says EQ and 3 say ALT_AZ; all are treated as EQ."),
        ("ZD102", {"counts": ModeCounts(1, 3, 0, 0)}, "Frame 1 makes the tile EQ: 1 frame says so, 3 say otherwise."),
        ("ZD103", {"counts": ModeCounts(0, 0, 1, 0), "frames": 1}, "The only frame does not say its mount mode;"),
        ("ZD103", {"counts": ModeCounts(0, 0, 4, 0)}, "None of its 4 frames says its mount mode;"),
        ("ZD103", {"counts": ModeCounts(1, 0, 3, 0)}, "3 of 4 frames do not say their mount mode;"),
        ("ZD104", {"frame_modes": (FrameMode("a.fit", "EQMODE_2"),)}, "1 of 4 frames says EQMODE '2'."),
        ("ZD104", {"frame_modes": (FrameMode("a.fit", "EQMODE_2"),), "frames": 1}, "The only frame says EQMODE '2'."),
        (
            "ZD108",
            {"eqmode": Mode.UNKNOWN, "counts": ModeCounts(1, 0, 3, 0)},
            "1 later frame says its mode, the first ones",
        ),
        ("ZD110", {"stacked_frames": ("a.fit",)}, "1 of 4 files is a stack already."),
        ("ZD110", {"stacked_frames": ("a.fit",), "frames": 1}, "The only file is a stack already."),
        ("ZD111", {"name": "no pointing", "without_pointing": 1}, "Kept together, wherever they point: 1 frame."),
    ],
)
def test_a_single_frame_is_told_as_one(code: str, changes: dict[str, object], words: str) -> None:
    (message,) = check_messages(code, tile(**changes))
    assert message.startswith(words)


def test_what_is_said_of_a_single_frame_in_the_run(fixtures: Path, tmp_path: Path) -> None:
    shutil.copy(next((fixtures / "no_eqmode").glob("*.fit")), tmp_path)
    (finding,) = (finding for finding in gate(tmp_path).findings if finding.code == "ZD109")
    assert finding.message == "The cleanup is off for the whole run: 1 frame does not say its mode."
    shutil.copy(next((fixtures / "altaz_only").glob("*.fit")), tmp_path / "altaz.fit")
    report = gate(tmp_path, group_by="all")
    assert gating_of(report).reason == "1 of 2 frames is ALT_AZ"


@pytest.mark.parametrize(
    ("telescopes", "said", "unsaid"),
    [
        ([("Seestar S50", 3), ("not named", 1)], "Seestars write it", "no other"),
        ([("Moravian C3", 4)], "no other capture program", "PROGRAM"),
        ([("not named", 4)], "counts as UNKNOWN.", "Seestar"),
        ([("not named (unit 1)", 2), ("not named (unit 2)", 2)], "counts as UNKNOWN.", "Seestar"),
    ],
)
def test_who_writes_the_mode_is_told_for_the_telescope_at_hand(
    telescopes: list[tuple[str, int]], said: str, unsaid: str
) -> None:
    named = tuple(TelescopeFrames(*one) for one in telescopes)
    silent = tile(counts=ModeCounts(0, 0, 4, 0), eqmode=Mode.UNKNOWN, telescopes=named)
    (message,) = check_messages("ZD103", silent)
    assert said in message
    assert unsaid not in message


def test_the_remedy_says_what_zemosaics_versions_do_with_an_unknown_tile() -> None:
    (kind,) = (kind for kind in load_checks() if kind.code == "ZD103")
    for words in ("before the patch cleans", "January 2026 never", "April 2026 does if", "altaz_unknown_policy auto"):
        assert words in kind.remedy
    assert "tiles of their own" not in kind.remedy


def facts_of(report: Report) -> tuple[tuple[str, str], ...]:
    """Give the lines that are told of the whole run."""
    blocks = tell(gating_of(report), {}).blocks
    (facts,) = (block for block in blocks if isinstance(block, Facts) and block.title == "Run")
    return facts.facts


def test_an_eq_only_run_is_explained_where_frames_do_not_say_their_mode(fixtures: Path) -> None:
    unknown, eq = gate(fixtures / "no_eqmode"), gate(fixtures / "eq_only")
    explained = ("EQ-only means", "that no frame says ALT_AZ: 8 frames do not say their mode, and may be of either")
    assert explained in facts_of(unknown)
    assert "EQ-only means" not in dict(facts_of(eq))


def judged(run: dict[str, object], *tiles: tuple[dict[str, object], dict[str, object]]) -> RunGating:
    """Give the gating of tiles by a checkout: what differs of the tile, and of what it decides."""
    name = "this ZeMosaic"
    base = Decided(eqmode="EQ", tile_enabled=False)
    one = VersionRun(
        name=name,
        title=name,
        bundled=False,
        has_inference=True,
        effective=True,
        without_filter=False,
        log_lines=(),
    )
    told = tuple(
        tile(
            tile_id=i,
            versions=(VersionTile(version=name, decided=replace(base, **decided), by_filter=base),),  # type: ignore[arg-type]
            **changes,
        )
        for i, (changes, decided) in enumerate(tiles, start=1)
    )
    checkout = CheckoutGating(version="2026-04", notes=(), problem=str(run.pop("problem", "")))
    gating = replace(run_of(*told), versions=(one,), asked_about=name, checkout=checkout, requested=True)
    return replace(gating, **run)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "run", "changes", "decided", "message"),
    [
        ("ZD112", {"problem": "it did not end"}, {}, {}, "Asked for the mode of each tile: it did not end."),
        ("ZD112", {}, {}, {"raised": "ValueError: x"}, "Asked for the tile's mode, it raised ValueError: x."),
        ("ZD113", {}, {}, {"eqmode": "UNKNOWN"}, "The only tile counts as UNKNOWN: in the headers that Phase 1"),
        ("ZD114", {"requested": False}, {}, {"tile_enabled": True}, "Switched on by this ZeMosaic itself: 1 tile is"),
        ("ZD115", {}, {}, {"tile_enabled": True}, "Cleaned by this ZeMosaic: it counts as EQ there."),
        (
            "ZD116",
            {},
            {"eqmode": Mode.UNKNOWN},
            {"tile_enabled": True, "eqmode": "UNKNOWN"},
            "Cleaned by this ZeMosaic: it counts as UNKNOWN there, and such tiles of a Seestar as alt-az",
        ),
        ("ZD117", {}, {"eqmode": Mode.ALT_AZ}, {}, "Not cleaned by this ZeMosaic: it counts as EQ there."),
        ("ZD118", {}, {}, {"expected": "UNKNOWN"}, "From entries of Phase 1 it gives EQ, 2026-04 UNKNOWN."),
        ("ZD119", {}, {}, {"opened": ("a.fit",)}, "It opened 1 file."),
        ("ZD119", {}, {}, {"changed": True}, "It changed the tile's entries."),
        ("ZD120", {}, {}, {"tile_enabled": None}, "Whether it cleans a tile is not known for 1 tile."),
    ],
)
def test_each_check_of_a_checkout_finds_its_case(
    code: str, run: dict[str, object], changes: dict[str, object], decided: dict[str, object], message: str
) -> None:
    (kind,) = (kind for kind in load_checks() if kind.code == code)
    assert not list(findings._run(kind, judged({}, ({}, {}))))
    (found,) = findings._run(kind, judged(dict(run), (changes, decided)))
    assert found.message.startswith(message)
    assert (found.code, found.level is Level.ERROR) == (code, code == "ZD112")


def test_a_check_that_crashes_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_: Source) -> None:
        """Crash."""
        raise ZeroDivisionError("oh")

    kind = FindingKind(code="ZD999", level=Level.INFO, title="Crasher", remedy="none", needs="source", check=crash)  # type: ignore[arg-type]
    monkeypatch.setattr(findings, "CHECKS", [*load_checks(), kind])
    unusable = (UnusableFile("a.fit", "why"),)
    found = find(Source(folder="x", files=1, frames=1, unusable=unusable, grouped_by=Grouping.ALL, tiles=1))
    assert [finding.code for finding in found] == ["ZD001", "ZD901"]
    assert "ZD999" in found[1].message


def test_codes_are_unique_and_everything_is_said() -> None:
    kinds = load_checks()
    assert len({kind.code for kind in kinds}) == len(kinds)
    for kind in kinds:
        assert len(kind.meaning) > 30
        assert len(kind.remedy) > 30
