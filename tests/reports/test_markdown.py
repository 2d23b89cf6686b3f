"""The Markdown form: summary first, within its bytes, and of its own shape whatever a user's text holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import cycle, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.sample_reports import (
    NASTY,
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
    run_gating,
    tile_gating,
    tile_parity,
    tile_phase3,
    with_result,
)
from zemo_diagnostics.reports.markdown import LIMIT_BYTES, render_markdown
from zemo_diagnostics.reports.markdown_text import code, fence, fit, prose, size
from zemo_diagnostics.reports.report import Level, Report
from zemo_diagnostics.reports.told import sections

TABLE_TAGS = {"table", "thead", "tbody", "tr", "th", "td"}
OUR_TAGS = {"h2", "h3", "p", "strong", "ul", "li", "details", "summary", "pre"} | TABLE_TAGS


def html_of(markdown: str) -> str:
    """Render as GitHub does, as far as tables, code and inline HTML go."""
    return str(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown))


def without_code(html: str) -> str:
    """Take out what is set as code: there everything is read literally."""
    return re.sub(r"<code\b.*?</code>", "", html, flags=re.DOTALL)


def test_the_summary_comes_first() -> None:
    lines = render_markdown(died_report()).splitlines()
    assert lines[:12] == [
        "## zemo-diag kappa-parity",
        "",
        "**Error: a variant died: 1 of 3 tiles, different: 1 of 3 tiles; 1 error**",
        "",
        "- Folder: `m31`: 24 frames in 3 tiles, grouped by folder",
        "- Options: `kappa_low=3.0 kappa_high=3.0 weights=none`",
        "- Versions: zemo-diag 0.1.0, Python 3.11.7, NumPy 2.4.6, astropy 8.0.2, OpenCV not installed",
        "- Functions under test: this project",
        "- Machine: Linux 6.8, `x86_64`, 8 cores, 16.0 GiB of memory",
        "- Made: `2026-01-02T03:04:05Z`",
        "- Exit code: 3",
        "",
    ]


def test_findings_and_tiles_follow() -> None:
    text = render_markdown(gating_report())
    assert (
        "- **ZD103** warning: Most frames do not say their mount mode (tile 2)\n"
        "  - 4 of 6 frames do not say their mount mode; the tile counts as `EQ`.\n"
        "  - See: `Light_a.fit`, `Light_b.fit`, `Light_c.fit`, `Light_d.fit`\n"
        "  - To do: 'zemo-diag masters' shows what came out.\n"
    ) in text
    assert (
        "| Tile | Name | State | Frames | Mode | Patch | Before | 2026-01 | 2026-04 | Why |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| 1 | `panel_1` | ok | 6 `EQ` | `EQ` | off | on | off | on | EQMODE=1 in 6 of 6 headers |\n"
        "| 2 | `panel_2` | warning | 2 `EQ`, 4 `UNKNOWN` | `EQ` | off | on | off | on | EQMODE=1 in 2 of 6 headers |\n"
    ) in text
    assert text.index("### Findings") < text.index("### Gating") < text.index("<details>")


def test_no_findings_and_an_interruption_are_said() -> None:
    assert "### Findings\n\nNone.\n" in render_markdown(parity_report())
    assert "interrupted" in render_markdown(interrupted_report()).splitlines()[2]


@pytest.mark.parametrize("name", SAMPLES)
def test_it_stays_within_its_bytes_and_closes_what_it_opens(name: str) -> None:
    text = render_markdown(SAMPLES[name]())
    assert size(text) < LIMIT_BYTES
    assert text.count("<details>") == text.count("</details>")
    assert len(re.findall(r"^```", text, re.MULTILINE)) % 2 == 0


def test_the_cut_is_announced_and_what_is_wrong_comes_first() -> None:
    text = render_markdown(big_report())
    assert re.search(r"^… \d+ more tiles are in the JSON report \(`-o report.json`\)$", text, re.MULTILINE)
    assert re.search(r"^… \d+ more files are in the JSON report", text, re.MULTILINE)
    rows = [line for line in text.splitlines() if line.startswith("| ") and "different" in line]
    assert len(rows) == 8


@pytest.mark.parametrize("length", [10, 3000, 100_000])
@pytest.mark.parametrize("sign", ["|", "`", "a ", "星", "\u202e", "` ", "<b>"])
def test_even_endless_texts_stay_within_the_bytes(sign: str, length: int) -> None:
    assert size(render_markdown(nasty_report(sign * length))) < LIMIT_BYTES


@pytest.mark.parametrize("parts", [7, 8, 20, 60])
@pytest.mark.parametrize("make", [big_report, partial(nasty_report, "a " * 3000), partial(nasty_report, "|" * 100_000)])
def test_any_number_of_endless_parts_stays_within_the_bytes(make: Callable[[], Report], parts: int) -> None:
    report = make()
    report = replace(report, parts=tuple(islice(cycle(report.parts), parts)))
    text = render_markdown(report)
    assert size(text) < LIMIT_BYTES
    assert text.count("<details>") == text.count("</details>") >= parts
    assert len(re.findall(r"^```", text, re.MULTILINE)) % 2 == 0
    titles = [line.removeprefix("### ") for line in text.splitlines() if line.startswith("### ")]
    assert titles == ["Findings", *(section.title for section in sections(report))]


def test_many_kinds_of_endless_findings_stay_within_the_bytes() -> None:
    text = "| " * 5000
    found = tuple(finding(f"ZD{i}", message=text, remedy=text, evidence=(text,) * 9) for i in range(100, 200))
    report = replace(big_report(), findings=found)
    markdown = render_markdown(report)
    assert size(markdown) < LIMIT_BYTES
    assert re.search(r"… \d+ more kinds are in", markdown)


def check_shape(markdown: str, rows: int) -> None:
    """Check that nothing of a user's text became markup."""
    html = html_of(markdown)
    plain = without_code(html)
    tags = set(re.findall(r"</?(\w+)", plain))
    assert tags <= OUR_TAGS
    assert html.count("<tr>") == rows
    assert not re.search(r"@\w|#\d|evil|\]\(", plain)
    assert "\u202e" not in markdown


def test_nasty_texts_change_nothing_of_the_shape() -> None:
    check_shape(render_markdown(nasty_report()), rows=10)


@settings(max_examples=150)
@given(st.text(alphabet="`|<>*_@#[]()\\&~$-+=! \n\r\t1.a:/\"'z\u202e\udcff", min_size=1, max_size=40))
def test_no_text_changes_the_shape(text: str) -> None:
    html = html_of(render_markdown(nasty_report(text)))
    tags = set(re.findall(r"</?(\w+)", without_code(html)))
    assert tags <= OUR_TAGS
    assert html.count("<tr>") == 10
    assert html.count("<details>") == 7


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("Light_a_b.fit, x", "`Light_a_b.fit`, x"),
        ("by @zwo (see #12).", "by `@zwo` (see `#12`)."),
        ("use --max-frames 10", "use `--max-frames` 10"),
        ("- a", "`-` a"),
        ("1. a", "`1.` a"),
        ("a  b", "a b"),
        ("", ""),
    ],
)
def test_risky_words_become_code(text: str, markdown: str) -> None:
    assert prose(text) == markdown


def test_names_are_shown_as_they_are() -> None:
    for text in (NASTY, "a`b", "``", "a|b", "\\", " a ", "x" * 50):
        html = html_of(f"| a |\n| --- |\n| {code(text)} |")
        assert html.count("<td>") == 1
    assert "a`b|c" in html_of(code("a`b|c"))
    assert code("  ") == "n/a"


def test_a_fence_is_longer_than_what_it_holds() -> None:
    assert fence(["a", "````"]).splitlines()[0] == "`````text"


def test_fit_takes_what_fits_and_counts_the_rest() -> None:
    assert fit(["a", "b"], 1000, "tile") == (["a", "b"], "")
    taken, more = fit(["x" * 10] * 50, 200, "tile")
    assert more == f"… {50 - len(taken)} more tiles are in the JSON report (`-o report.json`)"
    assert sum(size(item) + 1 for item in taken) + size(more) < 200
    assert fit(["x" * 500], 100, "tile") == ([], "… 1 more tile is in the JSON report (`-o report.json`)")


def test_a_tiles_state_is_the_worst_of_its_findings_and_its_verdict() -> None:
    report = replace(parity_report(*map(tile_parity, (1, 2))), findings=(finding("ZD214", Level.ERROR, 2),))
    rows = [line for line in render_markdown(report).splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[:4] for row in rows[:1] + rows[2:]] == [
        ["| Tile", "Name", "State", "Verdict"],
        ["| 1", "`panel_1`", "ok", "identical"],
        ["| 2", "`panel_2`", "error", "identical"],
    ]


def test_parity_details_are_folded() -> None:
    text = render_markdown(parity_report(tile_parity()))
    folded = text[text.index("<details>") :]
    assert "full frame: peak 1.2 GiB over baseline, 1.8 GiB in all (estimated 2.0 GiB), 12.3 s, 0.4123 %" in folded


def test_masters_have_a_table_and_are_told_at_length() -> None:
    text = render_markdown(masters_report())
    assert (
        "| Tile | Name | State | Verdict | Size | Frames | Blank | Alpha | Median | Spread |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| 1 | `master_tile_001.fits` | ok | fine | 1920 × 1080 × 3 | 18 of 20 | 0.30 % | agrees "
        "| 1012 / 812 / 796 ADU | 12.2 / 12.2 / 12.2 ADU |\n"
        "| 2 | `master_tile_002.fits` | error | empty | 1920 × 1080 × 3 | 20 of 20 | 100 % | agrees | n/a | n/a |\n"
    ) in text
    folded = text[text.index("What each master tile holds") :]
    assert folded.index("tile 2") < folded.index("tile 1")
    assert "  likely cause: the alt-az cleanup wrote NaN" in folded


def test_of_many_masters_those_that_are_not_fine_come_first() -> None:
    rows = [line for line in render_markdown(many_masters_report()).splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[3] for row in rows[2:12]] == ["empty"] * 10


def test_an_eq_only_run_of_phase3_is_explained_where_tiles_are_of_unknown_mode() -> None:
    report = phase3_report()
    quiet = replace(report.result("phase3"), effective=False, log_message="disabled (EQ-only run).")
    unknown = replace(quiet, tiles=(replace(quiet.tiles[0], eqmode="UNKNOWN"),))
    explained = "- EQ-only means: that no frame says `ALT_AZ`; tiles of mode `UNKNOWN` may be of either"
    assert explained in render_markdown(with_result(report, phase3=unknown))
    assert "EQ-only means" not in render_markdown(with_result(report, phase3=quiet))


@pytest.mark.parametrize("column", [3, 4])
def test_every_mode_of_a_column_is_set_the_same(column: int) -> None:
    tiles = [tile_gating(1), tile_gating(2, "ALT_AZ"), tile_gating(3, "UNKNOWN")]
    text = render_markdown(with_result(gating_report(), gating=run_gating(*tiles)))
    rows = [row.split(" | ") for row in text.splitlines() if row.startswith("| ") and "`panel_" in row]
    assert [row[column].removeprefix("6 ") for row in rows] == ["`EQ`", "`ALT_AZ`", "`UNKNOWN`"]


def test_what_is_cut_of_phase3_is_got_by_its_own_option() -> None:
    report = phase3_report()
    tiles = tuple(replace(tile_phase3(i), name="x" * 200) for i in range(1, 500))
    found = replace(report.findings[0], evidence=("x" * 200,))
    kinds = tuple(replace(found, code=f"ZD{i}", message="y" * 300) for i in range(500, 700))
    many = with_result(report, phase3=replace(report.result("phase3"), tiles=tiles))
    text = render_markdown(replace(many, findings=kinds))
    assert [noun for noun, _ in re.findall(r"more (\w+) are in the JSON report \((.*)\)$", text, re.MULTILINE)] == [
        "kinds", "tiles", "tiles",
    ]  # fmt: skip
    assert "-o report.json" not in text
    assert text.count("(`--report report.json`)") == 3


def test_phase3_is_a_table_and_its_outcomes_are_folded() -> None:
    text = render_markdown(phase3_report())
    assert "### Phase 3 before and after the patch" in text
    assert "| 1 | `panel_1` | warning | `EQ` | 6 of 6 | on → off | 97 % | 0.30 % |" in text
    assert "tile 1 (EQ): 97 % blank before, 0.30 % after" in text
    planned = render_markdown(phase3_planned_report())
    assert "| 1 | `panel_1` | ok | `EQ` | 6 | on | off | twice |" in planned
    assert "What became of each tile" not in planned
