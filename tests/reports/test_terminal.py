"""The terminal form, line by line: at 60, 80 and 100 columns, without colour, without Unicode, with nasty texts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from tests.sample_reports import (
    MIB,
    SAMPLES,
    big_report,
    died_report,
    finding,
    gating_report,
    interrupted_report,
    many_masters_report,
    masters_report,
    nasty_report,
    parity_report,
    phase3_planned_report,
    phase3_report,
    phase3_trouble_report,
    run_gating,
    run_phase3,
    tile_gating,
    tile_master,
    tile_parity,
    tile_phase3,
    variant_run,
    with_result,
)
from zemo_diagnostics import wording
from zemo_diagnostics.errors import UnusableFile
from zemo_diagnostics.kappa_parity.data import RunParity, Variant, Verdict
from zemo_diagnostics.kappa_parity.tell import ratio_sentence
from zemo_diagnostics.machine.child_process import RunStatus
from zemo_diagnostics.masters.data import MasterCards
from zemo_diagnostics.masters.tell import frames_words
from zemo_diagnostics.reports.finding_groups import group_findings
from zemo_diagnostics.reports.layout import Page, columns, drawable, wrap
from zemo_diagnostics.reports.report import Level, Report
from zemo_diagnostics.reports.terminal import render_terminal


def drawn(report: Report, width: int, *, color: bool = False, unicode: bool = True) -> list[str]:
    return render_terminal(report, width=width, color=color, unicode=unicode).splitlines()


GATING_100 = """\
zemo-diag gating: m31
  18 frames in 3 tiles, grouped by folder
  zemo-diag 0.1.0, Python 3.11.7, NumPy 2.4.6, astropy 8.0.2, OpenCV not installed
  functions under test: this project; made 2026-01-02T03:04:05Z

Run
  summary            WORKER_EQMODE_SUMMARY: eq=12 altaz=6 unknown=0 total=18 contains_altaz=True
  cleanup asked for  on
  cleanup in effect  on: 6 of 18 frames are ALT_AZ
  in other versions  before on, 2026-01 on, 2026-04 on
  without its filter the modes are not counted, and the cleanup in effect is 2026-01 off, 2026-04
                     off
  modes not read by  2026-01, 2026-04: Phase 1 hands headers on in a form that is not read there,
                     and such tiles count as UNKNOWN; by the filter window's entries they would
                     clean 1 (2026-01) and 1 (2026-04) of 3 tiles

Tiles
             tile  name     frames           mode    patch  before  2026-01  2026-04
  ✓ ok          1  panel_1  6 EQ             EQ      off    on      off      on
                   EQMODE=1 in 6 of 6 headers
  ! warning     2  panel_2  2 EQ, 4 UNKNOWN  EQ      off    on      off      on
                   EQMODE=1 in 2 of 6 headers
  ✓ ok          3  panel_3  6 ALT_AZ         ALT_AZ  on     on      off      on
                   EQMODE=0 in 6 of 6 headers
  before, 2026-01, 2026-04: ZeMosaic before the patch, and as released then

What ZeMosaic with this patch logs of them (tile_id=0 is tile 1)
  P3_ALTaz_GATING: tile_id=0 eqmode=EQ global_enabled=True => tile_enabled=False
  P3_ALTaz_GATING: tile_id=1 eqmode=EQ global_enabled=True => tile_enabled=False
  P3_ALTaz_GATING: tile_id=2 eqmode=ALT_AZ global_enabled=True => tile_enabled=True

Findings
  ! warning  ZD103  Most frames do not say their mount mode (tile 2)
      4 of 6 frames do not say their mount mode; the tile counts as EQ.
      see: Light_a.fit, Light_b.fit, Light_c.fit and 1 more
      to do: 'zemo-diag masters' shows what came out.

Verdict
  ! warning  3 tiles, alt-az cleanup on 1; the code before the patch would also have cleaned 2; 1
      warning
"""

GATING_60 = """\
zemo-diag gating: m31
  18 frames in 3 tiles, grouped by folder
  zemo-diag 0.1.0, Python 3.11.7, NumPy 2.4.6, astropy
    8.0.2, OpenCV not installed
  functions under test: this project; made
    2026-01-02T03:04:05Z

Run
  summary: WORKER_EQMODE_SUMMARY: eq=12 altaz=6 unknown=0
    total=18 contains_altaz=True
  cleanup asked for: on
  cleanup in effect: on: 6 of 18 frames are ALT_AZ
  in other versions: before on, 2026-01 on, 2026-04 on
  without its filter: the modes are not counted, and the
    cleanup in effect is 2026-01 off, 2026-04 off
  modes not read by: 2026-01, 2026-04: Phase 1 hands headers
    on in a form that is not read there, and such tiles
    count as UNKNOWN; by the filter window's entries they
    would clean 1 (2026-01) and 1 (2026-04) of 3 tiles

Tiles
  ✓ ok  tile 1, panel_1
      6 EQ: treated as EQ
      EQMODE=1 in 6 of 6 headers
      cleanup: patch off, before on, 2026-01 off, 2026-04 on
  ! warning  tile 2, panel_2
      2 EQ, 4 UNKNOWN: treated as EQ
      EQMODE=1 in 2 of 6 headers
      cleanup: patch off, before on, 2026-01 off, 2026-04 on
  ✓ ok  tile 3, panel_3
      6 ALT_AZ: treated as ALT_AZ
      EQMODE=0 in 6 of 6 headers
      cleanup: patch on, before on, 2026-01 off, 2026-04 on

What ZeMosaic with this patch logs of them (tile_id=0 is
  tile 1)
  P3_ALTaz_GATING: tile_id=0 eqmode=EQ global_enabled=True
    => tile_enabled=False
  P3_ALTaz_GATING: tile_id=1 eqmode=EQ global_enabled=True
    => tile_enabled=False
  P3_ALTaz_GATING: tile_id=2 eqmode=ALT_AZ
    global_enabled=True => tile_enabled=True

Findings
  ! warning  ZD103  Most frames do not say their mount mode
      (tile 2)
      4 of 6 frames do not say their mount mode; the tile
        counts as EQ.
      see: Light_a.fit, Light_b.fit, Light_c.fit and 1 more
      to do: 'zemo-diag masters' shows what came out.

Verdict
  ! warning  3 tiles, alt-az cleanup on 1; the code before
      the patch would also have cleaned 2; 1 warning
"""

DIED_100_FROM_LINE_6 = """\
Memory
  limit              12.0 GiB (free memory)
  need estimated as  N × H × W × C × 4 bytes × 2
  peaks read from    VmHWM

Tiles
  ✓ identical  tile 1, panel_1
      20 of 20 frames, 1920 × 1080 × 3, debayered; kappa 3/3, weights none
      peak memory  over baseline   in all  estimated    time  rejected
      full frame         1.2 GiB  1.8 GiB    2.0 GiB  12.3 s  0.4123 %
      chunked           98.0 MiB  698 MiB    2.0 GiB  10.1 s  0.4123 %
      the full frame took 12.2 times the memory of the chunked stack
      every bit of 6220800 samples is the same

  ✗ killed  tile 2, panel_2
      19 of 20 frames, 1920 × 1080 × 3, debayered; kappa 3/3, weights none
      peak memory  over baseline   in all  estimated    time  rejected
      chunked           98.0 MiB  698 MiB    2.0 GiB  12.3 s  0.4123 %
      full frame: killed: signal 9 (SIGKILL), most likely out of memory
      left out: 1 frame
        Light_x.fit: its shape is 10 × 10, the tile's is 1920 × 1080 × 3

  ✗ different  tile 3, panel_3
      20 of 20 frames, 1920 × 1080 × 3, debayered; kappa 3/3, weights none
      peak memory  over baseline   in all  estimated    time  rejected
      full frame         1.2 GiB  1.8 GiB    2.0 GiB  12.3 s  0.4123 %
      chunked           98.0 MiB  698 MiB    2.0 GiB  10.1 s  0.4123 %
      the full frame took 12.2 times the memory of the chunked stack
      the results differ by more than the tolerance
      differing: 3 of 6220800 samples (0.000048 %)
      NaN on one side only: 1 of 6220800 samples (0.000016 %)
      largest difference 0.0122 ADU (25 ULP), median 0.0003 ADU, tolerance 0.0001 ADU
      where: rows 3 to 17, columns 5 to 40
      first places [y,x,c]: [3,5,0], [3,6,0], [17,40,2]
      rejected: full frame 0.4123 %, chunked 0.4124 %
      no frame's value was kept in 12 of 6220800 samples (0.00019 %)

Findings
  ✗ error  ZD203  A variant was killed (tile 2)
      full frame: signal 9 (SIGKILL), most likely out of memory.
      to do: Close other programs, or try fewer frames: --max-frames 10.

Verdict
  ✗ error  a variant died: 1 of 3 tiles, different: 1 of 3 tiles; 1 error
"""

PARITY_60_FROM_LINE_8 = """\
Memory
  limit: 12.0 GiB (free memory)
  need estimated as: N × H × W × C × 4 bytes × 2
  peaks read from: VmHWM

Tiles
  ✓ identical  tile 1, panel_1
      20 of 20 frames, 1920 × 1080 × 3, debayered; kappa
        3/3, weights none
      full frame: peak 1.2 GiB over baseline, 1.8 GiB in all
        (estimated 2.0 GiB), 12.3 s, 0.4123 % rejected
      chunked: peak 98.0 MiB over baseline, 698 MiB in all
        (estimated 2.0 GiB), 10.1 s, 0.4123 % rejected
      the full frame took 12.2 times the memory of the
        chunked stack
      every bit of 6220800 samples is the same

Verdict
  ✓ ok  identical: 1 tile, every bit the same; no findings
"""


PHASE3_100_FROM_LINE_5 = """\

Run
  summary            WORKER_EQMODE_SUMMARY: eq=6 altaz=6 unknown=0 total=12 contains_altaz=True
  cleanup asked for  on
  cleanup in effect  on: 6 of 12 frames are ALT_AZ
  masters            before and patched: 3 built, 1 copied (the same flag under both rules)
  estimate           2 tiles at a time; memory up to 300 MiB of 12.0 GiB (free memory); disk up to
                     90.0 MiB of 75.0 GiB free

Tiles
             tile  name     mode    frames  cleanup   blank before  blank after
  ! warning     1  panel_1  EQ      6 of 6  on → off  97 %          0.30 %
                   before: nearly empty, 3.0 % valid, 97 % blank, median 812 / 795 / 80 ADU
                   patched: fine, 99.7 % valid, 0.30 % blank, median 812 / 795 / 80 ADU
  ✓ ok          2  panel_2  ALT_AZ  6 of 6  on        2.5 %         2.5 %
                   before and patched: fine, 98 % valid, 2.5 % blank, median 812 / 795 / 80 ADU

What became of them
  tile 1 (EQ): 97 % blank before, 0.30 % after
  tile 2 (ALT_AZ): 2.5 % blank under both rules, the same file

Findings
  ! warning  ZD401  The old rule wipes this tile, the patch keeps it (tile 1)
      97 % of it is blank before the patch, 0.3 % after.
      see: before/master_tile_001.fits
      to do: Build your mosaics with a ZeMosaic that has the patch.

Verdict
  ! warning  2 tiles; lost before the patch: 1, lost with the patch: 0; 1 warning
"""

PHASE3_60_FROM_LINE_7 = """\

Run
  summary: WORKER_EQMODE_SUMMARY: eq=6 altaz=6 unknown=0
    total=12 contains_altaz=True
  cleanup asked for: on
  cleanup in effect: on: 6 of 12 frames are ALT_AZ
  masters: before and patched: 3 built, 1 copied (the same
    flag under both rules)
  estimate: 2 tiles at a time; memory up to 300 MiB of
    12.0 GiB (free memory); disk up to 90.0 MiB of 75.0 GiB
    free

Tiles
  ! warning  tile 1, panel_1
      tile 1 (EQ): 97 % blank before, 0.30 % after
      frames: 6 of 6; cleanup: on → off
      before: nearly empty, 3.0 % valid, 97 % blank, median
        812 / 795 / 80 ADU
      patched: fine, 99.7 % valid, 0.30 % blank, median 812
        / 795 / 80 ADU
  ✓ ok  tile 2, panel_2
      tile 2 (ALT_AZ): 2.5 % blank under both rules, the
        same file
      frames: 6 of 6; cleanup: on
      before and patched: fine, 98 % valid, 2.5 % blank,
        median 812 / 795 / 80 ADU

Findings
  ! warning  ZD401  The old rule wipes this tile, the patch
      keeps it (tile 1)
      97 % of it is blank before the patch, 0.3 % after.
      see: before/master_tile_001.fits
      to do: Build your mosaics with a ZeMosaic that has the
        patch.

Verdict
  ! warning  2 tiles; lost before the patch: 1, lost with
      the patch: 0; 1 warning
"""


def test_gating_at_100_columns() -> None:
    assert drawn(gating_report(), 100) == GATING_100.splitlines()


def test_gating_at_60_columns() -> None:
    assert drawn(gating_report(), 60) == GATING_60.splitlines()


def test_parity_at_100_columns() -> None:
    assert drawn(died_report(), 100)[5:] == DIED_100_FROM_LINE_6.splitlines()


def test_parity_at_60_columns() -> None:
    assert drawn(parity_report(), 60)[7:] == PARITY_60_FROM_LINE_8.splitlines()


def test_phase3_at_100_columns() -> None:
    assert drawn(phase3_report(), 100)[4:] == PHASE3_100_FROM_LINE_5.splitlines()


def test_phase3_at_60_columns() -> None:
    assert drawn(phase3_report(), 60)[6:] == PHASE3_60_FROM_LINE_7.splitlines()


def test_a_planned_run_has_no_measures_and_a_run_in_trouble_names_what_is_missing() -> None:
    planned = "\n".join(drawn(phase3_planned_report(), 100))
    assert "twice" in planned
    assert "What became of them" not in planned
    assert planned.endswith("2 tiles planned, nothing was built; no findings")
    lines = drawn(phase3_trouble_report(), 100)
    assert "  tile 2 (EQ): failed: no space" in lines
    assert "  tile 3 (EQ): not built" in lines
    assert next(line for line in lines if "panel_3" in line).startswith("  i note")


def test_very_many_tiles_of_phase3_are_counted() -> None:
    run = run_phase3(*(tile_phase3(i, "ALT_AZ", (0.0, 0.0)) for i in range(1, 62)))
    lines = drawn(replace(with_result(phase3_report(), phase3=run), findings=()), 100)
    assert "  … 61 more tiles, all fine; the whole report: --report report.json" in lines


def test_the_evidence_is_a_column_where_there_is_room() -> None:
    lines = drawn(gating_report(), 130)
    head = "             tile  name     frames           mode    patch  before  2026-01  2026-04  why"
    row = "  ✓ ok          1  panel_1  6 EQ             EQ      off    on      off      on       "
    assert lines[lines.index(head) + 1] == row + "EQMODE=1 in 6 of 6 headers"


def test_a_table_says_from_which_width_it_is_drawn() -> None:
    assert any(line.startswith("      cleanup: patch off") for line in drawn(gating_report(), 79))
    assert not any("cleanup: patch" in line for line in drawn(gating_report(), 80))


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("width", [40, 60, 72, 80, 100, 120, 200])
@pytest.mark.parametrize("name", SAMPLES)
def test_no_line_is_longer_than_the_page(name: str, width: int, unicode: bool) -> None:
    lines = drawn(SAMPLES[name](), width, unicode=unicode)
    assert [line for line in lines if cell_len(line) > width] == []
    assert [line for line in lines if line != line.rstrip()] == []


@pytest.mark.parametrize("name", SAMPLES)
def test_plain_output_is_plain(name: str) -> None:
    text = render_terminal(SAMPLES[name](), width=100, color=False, unicode=True)
    assert "\x1b" not in text
    assert text.encode("utf-8")
    ascii_text = render_terminal(SAMPLES[name](), width=100, color=False, unicode=False)
    assert ascii_text.isascii()


def test_colour_says_nothing_that_words_do_not() -> None:
    colored = render_terminal(died_report(), width=100, color=True, unicode=True)
    assert "\x1b[" in colored
    assert Text.from_ansi(colored).plain.splitlines() == drawn(died_report(), 100)


def test_marks_are_ascii_where_asked() -> None:
    lines = drawn(died_report(), 100, unicode=False)
    assert "  [+] identical  tile 1, panel_1" in lines
    assert "  [x] killed  tile 2, panel_2" in lines
    assert "      20 of 20 frames, 1920 x 1080 x 3, debayered; kappa 3/3, weights none" in lines


def test_the_verdict_is_last() -> None:
    for make in SAMPLES.values():
        assert "Verdict" in drawn(make(), 200)[-3:]
    assert "interrupted: this is what was known by then" in drawn(interrupted_report(), 200)[-1]


def test_a_users_text_is_shown_as_itself() -> None:
    text = render_terminal(nasty_report(), width=200, color=False, unicode=True)
    assert "[red]x[/red] | `a` <b>&amp; *s* _u_ @zwo #12\\nline\\r\\x1b[31m \\u202eevil\\u2066 \\udcff" in text
    assert "星.fit" in text
    assert "\\u661f.fit" in render_terminal(nasty_report(), width=200, color=False, unicode=False)


@settings(max_examples=60)
@given(st.text(min_size=1, max_size=60), st.sampled_from([40, 60, 80, 130]))
def test_any_text_keeps_to_the_page(text: str, width: int) -> None:
    assert all(cell_len(line) <= width for line in drawn(nasty_report(text), width))


def test_a_big_run_stays_readable() -> None:
    lines = drawn(big_report(), 100)
    assert len(lines) < 350
    assert "  … 380 more tiles, 266 of them fine; the whole report: -o report.json" in lines
    assert "  … 392 more tiles, all fine; the whole report: -o report.json" in lines
    assert "      … and 1970 more" in lines


def test_fine_tiles_beyond_the_table_are_only_counted() -> None:
    tiles = tuple(tile_gating(i) for i in range(1, 62))
    lines = drawn(replace(with_result(gating_report(), gating=run_gating(*tiles)), findings=()), 100)
    assert "  … 61 more tiles, all fine; the whole report: -o report.json" in lines


def test_a_run_without_tiles_says_so() -> None:
    empty = replace(with_result(gating_report(), gating=run_gating()), findings=())
    lines = drawn(empty, 100)
    assert lines[lines.index("Tiles") + 1] == "  none"
    nothing = RunParity(tiles=(), memory_limit_bytes=1 << 30, memory_limit_source="free memory", memory_formula="N")
    parity = with_result(parity_report(), parity=nothing)
    lines = drawn(parity, 60)
    assert lines[lines.index("Tiles") + 1] == "  none"


def test_more_than_a_few_tiles_get_a_table_and_those_that_differ_their_details() -> None:
    tiles = [tile_parity(i) for i in range(1, 6)] + [tile_parity(6, Verdict.DIFFERENT)]
    lines = drawn(parity_report(*tiles), 80)
    start = lines.index("Tiles")
    assert lines[start + 1 : start + 3] == [
        "               tile  name     frames  full frame   chunked       ratio",
        "  ✓ identical     1  panel_1      20     1.2 GiB  98.0 MiB  12.2 times",
    ]
    assert [line for line in lines if "  tile " in line and "panel" in line] == ["  ✗ different  tile 6, panel_6"]


def test_a_tiles_mark_is_the_worst_of_its_findings_and_its_verdict() -> None:
    tiles = [tile_parity(i) for i in range(1, 6)] + [tile_parity(6, Verdict.WITHIN)]
    found = (
        finding("ZD214", Level.ERROR, 2),
        finding("ZD207", Level.WARNING, 3),
        finding("ZD209", Level.INFO, 3),
        finding("ZD209", Level.INFO, 4),
        finding("ZD209", Level.INFO, 6),
        finding("ZD101", Level.ERROR, 5),  # of the gating, in the demo's report
    )
    lines = drawn(replace(parity_report(*tiles), findings=found), 80)
    table = lines[lines.index("Tiles") + 2 :][:6]
    marks = ["✓ identical", "✗ identical", "! identical", "i identical", "✓ identical", "! within tolerance"]
    assert [line[2:].split("  ")[0] for line in table] == marks
    told = [line for line in lines if "  tile " in line and "panel" in line]
    assert told == [
        "  ✗ identical  tile 2, panel_2",
        "  ! identical  tile 3, panel_3",
        "  ! within tolerance  tile 6, panel_6",
    ]


def test_an_empty_master_is_marked_so_whatever_the_findings_say() -> None:
    lines = drawn(replace(masters_report(), findings=()), 100)
    assert [line[2:].split("  ")[0] for line in lines if " master_tile_00" in line][:3] == [
        "✓ fine",
        "✗ empty",
        "✓ fine",
    ]


def test_rows_and_skipped_runs_are_told() -> None:
    skipped = variant_run(status=RunStatus.SKIPPED, detail="it needs 32.4 GiB, 12.0 GiB may be taken")
    band = [variant_run(rows=(400, 800)), variant_run(Variant.CHUNKED, rows=(400, 800))]
    lines = drawn(parity_report(replace(tile_parity(), runs=(skipped, *band))), 100)
    assert "      full frame: skipped: it needs 32.4 GiB, 12.0 GiB may be taken" in lines
    assert any("full frame, rows 400 to 799 of 1920" in line for line in lines)


def test_findings_of_a_kind_are_told_together() -> None:
    found = tuple(finding(tile_id=i, message=f"m{i}", evidence=()) for i in (1, 3, 5, 6, 7, 8, 9))
    lines = drawn(replace(gating_report(), findings=found), 100)
    start = lines.index("Findings")
    assert lines[start + 1 : start + 9] == [
        "  ! warning  ZD103  Most frames do not say their mount mode (7 tiles: 1, 3, 5-9)",
        "      tile 1: m1",
        "      tile 3: m3",
        "      tile 5: m5",
        "      tile 6: m6",
        "      tile 7: m7",
        "      … and 2 more",
        "      to do: 'zemo-diag masters' shows what came out.",
    ]


def test_groups_keep_levels_apart_and_name_evidence_once() -> None:
    found = [
        finding(evidence=("a.fit", "b.fit"), message="a.fit is odd"),
        finding(evidence=("b.fit",), message="same", tile_id=2),
        finding(level=Level.ERROR),
    ]
    groups = group_findings(found)
    assert [group.level for group in groups] == [Level.WARNING, Level.ERROR]
    assert groups[0].evidence == ("b.fit",)
    assert groups[0].tile_ids == (1, 2)


def test_wrapping_keeps_numbers_and_units_together() -> None:
    page = Page(20, True)
    lines = [line.plain for line in wrap("it takes up about 12.5 GiB of 1920 × 1080", page, hang=2)]
    assert lines == ["it takes up about", "  12.5 GiB of", "  1920 × 1080"]


def test_columns_fold_what_is_too_wide() -> None:
    rows = columns(("a", "b"), [("x" * 30, "1")], Page(20, True), right=(1,))
    assert [line.plain.rstrip() for line in rows[1]] == ["  " + "x" * 15 + "  1", "  " + "x" * 15]


def test_drawable_names_our_signs_and_numbers_the_rest() -> None:
    assert drawable("3 × 4 … 星\x07", unicode=False) == "3 x 4 ... \\u661f\\x07"
    assert drawable("3 × 4 … 星\x07", unicode=True) == "3 × 4 … 星\\x07"


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (None, "n/a"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        ((1 << 30) - 1, "1.0 GiB"),
        (1 << 30, "1.0 GiB"),
        (150 << 20, "150 MiB"),
        (1 << 62, "4096 PiB"),
    ],
)
def test_human_bytes(count: int | None, words: str) -> None:
    assert wording.human_bytes(count) == words


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [
        (3, 2000, "3 of 2000 (0.15 %)"),
        (0, 5, "0 of 5"),
        (0, 0, "0 of 0"),
        (5, 5, "5 of 5 (100 %)"),
        (1999999, 2000000, "1999999 of 2000000 (99.99 %)"),
        (1, 3, "1 of 3 (33 %)"),
        (1, 10**9, "1 of 1000000000 (less than 0.000001 %)"),
        (9, 100, "9 of 100 (9.0 %)"),
    ],
)
def test_share(part: int, whole: int, words: str) -> None:
    assert wording.share(part, whole) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "n/a"), (0.004, "4 ms"), (9.99, "9.99 s"), (59.9, "59.9 s"), (59.97, "1 min 0 s"), (192.4, "3 min 12 s")],
)
def test_duration(seconds: float | None, words: str) -> None:
    assert wording.duration(seconds) == words


def test_a_part_of_one_is_a_single_thing() -> None:
    assert wording.share(1, 1, "files") == "1 of 1 file (100 %)"
    assert wording.share(1, 2, "files") == "1 of 2 files (50 %)"
    assert [wording.part_of(part, whole, "frame", "says", "say") for part, whole in ((1, 1), (1, 3), (2, 3))] == [
        "The only frame says",
        "1 of 3 frames says",
        "2 of 3 frames say",
    ]
    assert [wording.counted(count, "frame", "says", "say") for count in (0, 1, 2)] == [
        "0 frames say",
        "1 frame says",
        "2 frames say",
    ]


def test_ranges_and_first_few() -> None:
    assert wording.ranges([9, 1, 2, 5, 6, 7, 2]) == ["1, 2", "5-7", "9"]
    assert wording.first_few(["a", "b", "c"], 2) == "a, b and 1 more"
    assert wording.first_few([], 2) == ""


def test_a_chunked_stack_that_takes_more_is_said_to() -> None:
    tile = replace(tile_parity(), runs=(variant_run(extra=100 * MIB), variant_run(Variant.CHUNKED, extra=250 * MIB)))
    assert ratio_sentence(tile) == "the chunked stack took 2.5 times the memory of the full frame"
    small = replace(tile, runs=(variant_run(extra=MIB), variant_run(Variant.CHUNKED, extra=MIB)))
    assert ratio_sentence(small) == "the frames are too small for the two peaks to tell anything"


MASTERS_100_FROM_LINE_6 = """\
Master tiles
           tile  name                  size             frames     blank  alpha
  ✓ fine      1  master_tile_001.fits  1920 × 1080 × 3  18 of 20  0.30 %  agrees
                 median 1012 / 812 / 796 ADU, spread 12.2 / 12.2 / 12.2 ADU
  ✗ empty     2  master_tile_002.fits  1920 × 1080 × 3  20 of 20   100 %  agrees
                 median n/a, spread n/a
                 samples: 0 % finite, 0 % zero, 0 % negative
  ! fine      3  master_tile_003.fits  1920 × 1080 × 3  18 of 20  0.30 %  0.30 % off
                 median 1012 / 812 / 796 ADU, spread 12.2 / 12.2 / 12.2 ADU
                 samples: 99.7 % finite, 0 % zero, 0.00019 % negative

Findings
  ✗ error  ZD302  A master is empty (tile 2)
      No signal (0 of 2073600 pixels are valid, the largest absolute value is 0).
      see: master_tile_002.fits
      to do: Run 'zemo-diag gating' on the lights of this tile.

  ! warning  ZD305  Alpha and pixels disagree (tile 3)
      Alpha shows blank pixels in 0.3 % of the tile, and hides valid ones in 0 %.
      see: master_tile_003.fits
      to do: Build the tile anew.

Verdict
  ✗ error  3 master tiles: 1 empty, 2 fine; 1 error, 1 warning
"""

MASTERS_60_FROM_LINE_8 = """\
Master tiles
  ✓ fine  tile 1, master_tile_001.fits
      1920 × 1080 × 3; frames: 18 of 20; blank: 0.30 %;
        alpha: agrees
      median 1012 / 812 / 796 ADU, spread 12.2 / 12.2 /
        12.2 ADU
      samples: 99.7 % finite, 0 % zero, 0.00019 % negative
  ✗ empty  tile 2, master_tile_002.fits
      1920 × 1080 × 3; frames: 20 of 20; blank: 100 %;
        alpha: agrees
      median n/a, spread n/a
      samples: 0 % finite, 0 % zero, 0 % negative
      likely cause: the alt-az cleanup wrote NaN over all of
        it, or its frames held no signal
"""


def test_masters_at_100_columns() -> None:
    lines = drawn(masters_report(), 100)
    assert lines[:2] == ["zemo-diag masters: run_tmp", "  3 master tiles"]
    assert lines[5:] == MASTERS_100_FROM_LINE_6.splitlines()


def test_masters_at_60_columns() -> None:
    expected = MASTERS_60_FROM_LINE_8.splitlines()
    assert drawn(masters_report(), 60)[7 : 7 + len(expected)] == expected


def test_of_many_masters_the_worst_are_shown() -> None:
    lines = drawn(many_masters_report(), 100)
    assert "  … 390 more tiles, all fine; the whole report: -o report.json" in lines
    assert sum("✗ empty" in line for line in lines) == 10
    assert lines[-1] == "  ✗ error  400 master tiles: 10 empty, 390 fine; 10 errors"


def test_unreadable_masters_are_in_the_verdict() -> None:
    report = masters_report(unreadable=(UnusableFile("master_tile_009.fits", "it is cut off"),))
    assert "4 master tiles: 1 unreadable, 1 empty, 2 fine" in drawn(report, 100)[-1]


@pytest.mark.parametrize(
    ("cards", "words"),
    [
        (MasterCards(frames_raw=20, frames_stacked=18), "18 of 20"),
        (MasterCards(frames_raw=20, frames_aligned=19), "19 of 20"),
        (MasterCards(frames_raw=20), "20 in the group"),
        (MasterCards(frames_stacked=7), "7"),
        (MasterCards(), "n/a"),
    ],
)
def test_frames_are_told_as_far_as_the_header_does(cards: MasterCards, words: str) -> None:
    assert frames_words(tile_master(cards=cards)) == words


@pytest.mark.parametrize(
    ("part", "text"), [(0, "0 %"), (1, "100 %"), (0.97, "97 %"), (0.99999, "99.99 %"), (0.0031, "0.31 %"), (1e-9, None)]
)
def test_only_nothing_is_0_percent_and_only_all_100(part: float, text: str | None) -> None:
    assert wording.fraction(part) == (text or "less than 0.000001 %")
