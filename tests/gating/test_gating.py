"""The gating of whole folders, and the checks that look at it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from zemo_diagnostics.errors import UnusableFile
from zemo_diagnostics.findings import find as findings
from zemo_diagnostics.findings.find import find, load_checks
from zemo_diagnostics.findings.kinds import FindingKind
from zemo_diagnostics.gating.data import FrameMode, ModeCounts, RunGating, ShapeFrames, TelescopeFrames, TileGating
from zemo_diagnostics.gating.run import run_gating
from zemo_diagnostics.gating.tell import tell
from zemo_diagnostics.grouped_folder import GroupingOptions
from zemo_diagnostics.reports.document import Facts
from zemo_diagnostics.reports.report import Finding, Grouping, Level, Report, Source


def quiet(_what: str, _part: float, _detail: str = "") -> None:
    pass


def gate(folder: Path, *, requested: bool = True, **grouping: object) -> Report:
    return run_gating(folder, GroupingOptions(**grouping), requested=requested, say=quiet)  # type: ignore[arg-type]


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
        "P3_ALTaz_GATING: tile_id=1 eqmode=EQ global_enabled=True => tile_enabled=False"
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
    assert [(tile.tile_enabled, tile.before_enabled) for tile in tiles_of(report)] == [(True, False)]
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


def test_the_real_frames(real_data: Callable[[str], Path]) -> None:
    folder = real_data("seestar_s50_ngc7023_mixed")
    assert [(tile.eqmode, tile.frames) for tile in tiles_of(gate(folder))] == [("UNKNOWN", 4), ("EQ", 2)]
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
        eqmode="EQ",
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
        ("ZD108", {"eqmode": "UNKNOWN", "deciding_index": None}),
        ("ZD110", {"stacked_frames": ("a.fit",)}),
        ("ZD111", {"name": "no pointing", "without_pointing": 4}),
    ],
)
def test_each_check_finds_its_case_and_nothing_else(code: str, changes: dict[str, object]) -> None:
    (kind,) = (kind for kind in load_checks() if kind.code == code)

    def run(one: TileGating) -> list[Finding]:
        return list(findings._run(kind, RunGating((one,), "", 4, 0, 0, False, False, "", None)))

    assert not run(tile())
    (found,) = run(tile(**changes))
    assert (found.code, found.tile_id) == (code, 3)
    assert found.message
    assert found.remedy


def check_messages(code: str, *tiles: TileGating, **run: object) -> list[str]:
    """Give what one check says of some tiles."""
    (kind,) = (kind for kind in load_checks() if kind.code == code)
    gating = replace(RunGating(tiles, "", 4, 0, 0, False, False, "", None), **run)  # type: ignore[arg-type]
    return [finding.message for finding in findings._run(kind, gating)]


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
            {"eqmode": "UNKNOWN", "counts": ModeCounts(1, 0, 3, 0)},
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
    silent = tile(counts=ModeCounts(0, 0, 4, 0), eqmode="UNKNOWN", telescopes=named)
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
    (facts,) = (block for block in tell(gating_of(report), {}).blocks if isinstance(block, Facts))
    return facts.facts


def test_an_eq_only_run_is_explained_where_frames_do_not_say_their_mode(fixtures: Path) -> None:
    unknown, eq = gate(fixtures / "no_eqmode"), gate(fixtures / "eq_only")
    explained = ("EQ-only means", "that no frame says ALT_AZ: 8 frames do not say their mode, and may be of either")
    assert facts_of(unknown)[-1] == explained
    assert facts_of(eq)[-1][0] == "ZeMosaic logs"


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
