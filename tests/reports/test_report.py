"""Reports of more than one part: each part is marked by its own findings, and all of them count in the end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.sample_reports import (
    finding,
    killed_tile,
    parity_report,
    report_of,
    run_gating,
    source,
    tile_gating,
    tile_parity,
)
from zemo_diagnostics.errors import EXIT_CLEAN, EXIT_FINDINGS, EXIT_INTERRUPTED, EXIT_USAGE, EXIT_VARIANT_DIED
from zemo_diagnostics.gating.run import gating_part
from zemo_diagnostics.kappa_parity.data import TileParity, Verdict
from zemo_diagnostics.kappa_parity.run import parity_part
from zemo_diagnostics.masters.data import RunMasters
from zemo_diagnostics.masters.run import masters_part
from zemo_diagnostics.reports.document import State, Table
from zemo_diagnostics.reports.report import Finding, Level, Report, exit_code
from zemo_diagnostics.reports.told import sections, verdict

MARKS_OF_GATING = (finding("ZD103", Level.WARNING, 1), finding("ZD107", Level.INFO, 2))
MARKS_OF_PARITY = (finding("ZD207", Level.ERROR, 2), finding("ZD210", Level.INFO, 3))


def two_parts(*findings: Finding, tiles: tuple[TileParity, ...] = ()) -> Report:
    """Give a report of the gating and of the parity of the same three tiles."""
    compared = parity_report(*(tiles or tuple(tile_parity(i) for i in (1, 2, 3)))).result("parity")
    parts = (gating_part(run_gating(*(tile_gating(i) for i in (1, 2, 3)))), parity_part(compared))
    return report_of(*parts, command="both", source=source(tiles=3), findings=findings)


def marks(report: Report) -> list[list[tuple[int, State]]]:
    """Give the marks of the tiles, part by part."""
    tables = [block for section in sections(report) for block in section.blocks if isinstance(block, Table)]
    return [[(row.number, row.state) for row in table.rows] for table in tables]


def test_each_part_is_marked_by_its_own_series_alone() -> None:
    fine = [(1, State.OK), (2, State.OK), (3, State.OK)]
    of_gating = [(1, State.WARNING), (2, State.NOTE), (3, State.OK)]
    of_parity = [(1, State.OK), (2, State.ERROR), (3, State.NOTE)]
    assert marks(two_parts()) == [fine, fine]
    assert marks(two_parts(*MARKS_OF_GATING)) == [of_gating, fine]
    assert marks(two_parts(*MARKS_OF_PARITY)) == [fine, of_parity]
    assert marks(two_parts(*MARKS_OF_PARITY, *MARKS_OF_GATING)) == [of_gating, of_parity]


def test_findings_of_the_run_and_of_other_series_mark_no_tile() -> None:
    fine = [(1, State.OK), (2, State.OK), (3, State.OK)]
    others = (finding("ZD001", Level.ERROR, None), finding("ZD302", Level.ERROR, 1), finding("ZD901", Level.ERROR, 2))
    assert marks(two_parts(*others)) == [fine, fine]


def test_a_tile_of_parity_keeps_the_worse_of_its_verdict_and_its_findings() -> None:
    tiles = (tile_parity(1, Verdict.DIFFERENT), tile_parity(2, Verdict.WITHIN), killed_tile(3))
    found = (finding("ZD210", Level.INFO, 1), finding("ZD207", Level.ERROR, 2), finding("ZD103", Level.ERROR, 3))
    assert marks(two_parts(*found, tiles=tiles)) == [
        [(1, State.OK), (2, State.OK), (3, State.ERROR)],
        [(1, State.ERROR), (2, State.ERROR), (3, State.ERROR)],
    ]


def test_the_verdict_names_what_each_part_comes_to_and_counts_all_findings_once() -> None:
    told = (
        "3 tiles, alt-az cleanup on 0; the code before the patch would also have cleaned 3; "
        "identical: 3 tiles, every bit the same"
    )
    assert verdict(two_parts()) == f"{told}; no findings"
    assert verdict(two_parts(*MARKS_OF_PARITY, *MARKS_OF_GATING)) == f"{told}; 1 error, 1 warning, 2 notes"
    interrupted = replace(two_parts(), interrupted=True)
    assert verdict(interrupted) == f"{told}; no findings; interrupted: this is what was known by then"


@pytest.mark.parametrize(
    ("findings", "tiles", "code"),
    [
        ((), (), EXIT_CLEAN),
        (MARKS_OF_GATING, (), EXIT_CLEAN),
        (MARKS_OF_PARITY, (), EXIT_FINDINGS),
        ((), (killed_tile(1),), EXIT_VARIANT_DIED),
        (MARKS_OF_PARITY, (killed_tile(1),), EXIT_VARIANT_DIED),
    ],
)
def test_the_exit_code_is_a_parts_own_else_that_of_all_findings(
    findings: tuple[Finding, ...], tiles: tuple[TileParity, ...], code: int
) -> None:
    report = two_parts(*findings, tiles=tiles)
    assert exit_code(report) == code
    assert exit_code(replace(report, parts=report.parts[::-1])) == code
    assert exit_code(replace(report, interrupted=True)) == EXIT_INTERRUPTED


def test_of_parts_that_both_end_in_a_code_the_first_one_counts() -> None:
    report = two_parts(tiles=(killed_tile(1),))
    nothing = masters_part(RunMasters((), ()))
    assert exit_code(replace(report, parts=(nothing, *report.parts))) == EXIT_USAGE
    assert exit_code(replace(report, parts=(*report.parts, nothing))) == EXIT_VARIANT_DIED
