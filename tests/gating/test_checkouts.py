"""``gating --zemosaic``: checkouts that look like ZeMosaic, asked about the fixtures, and real ones where they are."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.zemosaic.lookalikes import Tree, write_lookalike
from zemo_diag import cli
from zemo_diagnostics.gating import ask
from zemo_diagnostics.gating.data import RunGating
from zemo_diagnostics.gating.run import run_gating
from zemo_diagnostics.gating.tell import tell
from zemo_diagnostics.grouped_folder import GroupingOptions
from zemo_diagnostics.reports.document import Facts
from zemo_diagnostics.reports.report import Report, exit_code
from zemo_diagnostics.zemosaic.under_test import open_zemosaic

NAME = "this ZeMosaic"
HOMES = ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")

# By its names like 2026-04; a mode is read where JANUARY reads it, and not there in a `fits.Header`.
LIKE_APRIL = """
POLICY = "altaz_unknown_policy"
{at_import}

def create_master_tile(group, tile_id, output, *, progress_callback): ...

def _entry_is_seestar(entry):
    return "Seestar" in str((entry.get("header") or {{}}).get("CREATOR"))

def _infer_group_eqmode(group):
{body}
"""
READS_DICTS = """
    for entry in group:
        header = entry.get("header")
        if isinstance(header, dict) and header.get("EQMODE") in (0, 1):
            return ("ALT_AZ", "EQ")[header["EQMODE"]]
    return "UNKNOWN"
"""

Ask = Callable[..., Report]


def gate(folder: Path, checkout: Path, python: str | None = None) -> Report:
    under_test = open_zemosaic(checkout, python)
    return run_gating(folder, GroupingOptions(), requested=True, say=lambda *_: None, under_test=under_test)


@pytest.fixture
def ask_checkout(tmp_path: Path, fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Give a way to gate a fixture with a checkout beside the patch; it, the user's home and current folder stay."""
    current = tmp_path / "current"
    current.mkdir()
    monkeypatch.chdir(current)
    for name in HOMES:
        monkeypatch.setenv(name, str(current))

    def asks(body: str = READS_DICTS, *, at_import: str = "") -> Report:
        worker = LIKE_APRIL.format(body=body, at_import=at_import)
        checkout = write_lookalike(tmp_path / "z", worker=worker)
        before = Tree.of(checkout), Tree.of(current)
        report = gate(fixtures / "mixed_by_tile", checkout)
        assert (Tree.of(checkout), Tree.of(current)) == before
        return report

    return asks


def gating_of(report: Report) -> RunGating:
    gating = report.result("gating")
    assert isinstance(gating, RunGating)
    return gating


def decided(report: Report) -> list[tuple[str | None, bool | None, str | None, bool | None]]:
    """Give the mode and the flag of each tile: from entries of Phase 1, and of the filter window."""
    said = [tile.by(NAME) for tile in gating_of(report).tiles]
    return [(o.decided.eqmode, o.decided.tile_enabled, o.by_filter.eqmode, o.by_filter.tile_enabled) for o in said]


def messages(report: Report, code: str) -> list[str]:
    return [finding.message for finding in report.findings if finding.code == code]


def test_its_decision_stands_beside_ours_for_both_kinds_of_entries(ask_checkout: Ask) -> None:
    report = ask_checkout()
    assert decided(report) == [("UNKNOWN", True, "EQ", False), ("UNKNOWN", True, "ALT_AZ", True)] * 2
    gating = gating_of(report)
    assert [tile.tile_enabled for tile in gating.tiles] == [False, True] * 2
    assert gating.checkout is not None
    assert (gating.checkout.version, gating.checkout.problem) == ("2026-04", "")
    assert gating.checkout.how == (
        "_infer_group_eqmode and _entry_is_seestar lifted from the source, nothing else of it was run",
    )
    assert {finding.code for finding in report.findings} == {"ZD113", "ZD115"}
    assert "cannot be called: here by the rules of ZeMosaic 2026-04" in " ".join(gating.checkout.notes)
    assert exit_code(report) == 0


def test_a_cured_one_is_judged_by_what_it_says(ask_checkout: Ask) -> None:
    report = ask_checkout(READS_DICTS.replace("isinstance(header, dict) and header", "header is not None and header"))
    assert decided(report) == [("EQ", False, "EQ", False), ("ALT_AZ", True, "ALT_AZ", True)] * 2
    assert {finding.code for finding in report.findings} == {"ZD118"}
    assert messages(report, "ZD118")[0] == "From entries of Phase 1 it gives EQ, 2026-04 UNKNOWN."


def test_what_is_imported_for_want_of_another_way_is_told(ask_checkout: Ask) -> None:
    report = ask_checkout(
        "    return len(zemosaic_align_stack.__name__) and 'EQ'", at_import="import zemosaic_align_stack"
    )
    assert {mode for mode, *_ in decided(report)} == {"EQ"}
    checkout = gating_of(report).checkout
    assert checkout is not None
    assert "_infer_group_eqmode imported from a copy of the checkout (" in " ".join(checkout.how)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("    import os; os._exit(7)", "it ended itself with exit code 7 and no result"),
        ("    import faulthandler; faulthandler._sigsegv()", "a fault in a compiled library"),
        ("    raise SystemExit(3)", "SystemExit: 3"),
        ("    while True: pass", "it did not end within 4 s and was stopped"),
    ],
)
def test_functions_that_die_are_a_finding(
    ask_checkout: Ask, monkeypatch: pytest.MonkeyPatch, body: str, problem: str
) -> None:
    monkeypatch.setattr(ask, "TIMEOUT_S", 4.0)
    report = ask_checkout(body)
    (message,) = messages(report, "ZD112")
    assert problem in message
    assert decided(report) == [(None, None, None, None)] * 4
    assert [tile.tile_enabled for tile in gating_of(report).tiles] == [False, True] * 2
    assert exit_code(report) == 1


def test_an_import_that_fails_is_a_finding(ask_checkout: Ask) -> None:
    report = ask_checkout("    return missing", at_import="from photutils_that_is_not_there import missing")
    assert messages(report, "ZD112") == [
        "Asked for the mode of each tile: zemosaic_worker cannot be imported: the package photutils_that_is_not_there "
        "is not there for the interpreter that was used."
    ]


def test_a_function_that_raises_for_some_tiles_is_a_finding_of_these(ask_checkout: Ask) -> None:
    report = ask_checkout("    if 'MOUNT_MODE' not in group[0]:\n        raise KeyError('MOUNT_MODE')\n    return 'EQ'")
    assert messages(report, "ZD112") == ["Asked for the tile's mode, it raised KeyError: 'MOUNT_MODE'."] * 4
    assert decided(report) == [(None, None, "EQ", False)] * 4


def test_entries_changed_and_files_opened_are_a_finding(ask_checkout: Ask) -> None:
    report = ask_checkout("    group[0]['mode'] = open(group[0]['path_raw'], 'rb').read(6)\n    return 'UNKNOWN'")
    assert messages(report, "ZD119") == ["It opened 1 file.", "It changed the tile's entries."] * 4
    opened = next(finding for finding in report.findings if finding.code == "ZD119" and finding.evidence)
    assert opened.evidence == ("Light_M 16_10.0s_IRCUT_20250711-221013.fit",)


@pytest.mark.parametrize("returned", ["None", "3", "'AZ' * 500"])
def test_a_mode_that_is_none_is_shown_and_is_no_alt_az(ask_checkout: Ask, returned: str) -> None:
    report = ask_checkout(f"    return {returned}")
    modes = {mode for mode, *_ in decided(report)}
    assert modes == {{"None": "None", "3": "3"}.get(returned, "AZ" * 12)}
    assert not any(flag for _, flag, *_ in decided(report))


def test_a_checkout_like_no_known_one_is_told_as_such(tmp_path: Path, fixtures: Path) -> None:
    checkout = write_lookalike(tmp_path / "odd", worker="def _infer_group_eqmode(group, mode, more): ...\n")
    report = gate(fixtures / "eq_only", checkout)
    assert messages(report, "ZD120") == ["Whether it cleans a tile is not known for 1 tile."]
    gating = gating_of(report)
    assert gating.checkout is not None
    assert gating.checkout.version is None
    notes = " ".join(gating.checkout.notes)
    assert "_infer_group_eqmode takes other parameters" in notes
    assert "it is like no version that is known: which tiles it cleans cannot be judged" in notes
    assert tell(gating, {}).verdict == (
        "1 tile, alt-az cleanup on 0 by the patch; whether this ZeMosaic cleans is not known for 1"
    )


def test_python_2_is_told(tmp_path: Path, fixtures: Path) -> None:
    checkout = write_lookalike(tmp_path / "old", worker="print 'bonjour'\n")
    report = gate(fixtures / "eq_only", checkout)
    (judged,) = (
        block for block in tell(gating_of(report), {}).blocks if isinstance(block, Facts) and block.title != "Run"
    )
    assert dict(judged.facts)["judged"].startswith("zemosaic_worker.py is Python 2 (line 1): 3.10 or later is needed")
    assert "ZD120" in {finding.code for finding in report.findings}


def test_on_the_command_line(tmp_path: Path, fixtures: Path) -> None:
    checkout = write_lookalike(tmp_path / "z", worker=LIKE_APRIL.format(body=READS_DICTS, at_import=""))
    arguments = ["gating", str(fixtures / "mixed_by_tile"), "--zemosaic", str(checkout), "-q"]
    both = CliRunner().invoke(cli, [*arguments, "--version-of-zemosaic", "before"], env={"COLUMNS": "100"})
    assert both.exit_code == 0, both.output
    assert "patch  this ZeMosaic  by its filter  before" in both.output
    assert "What this ZeMosaic logs of them (tile_id=0 is tile 1)" in both.output
    assert "functions under test: ZeMosaic zemosaic_worker.py" in both.output
    wrong = CliRunner().invoke(cli, [*arguments[:2], "--zemosaic", str(tmp_path)])
    assert "is no ZeMosaic checkout" in str(wrong.exception)


CHECKOUTS = [Path(name) for name in os.environ.get("ZEMO_DIAG_TEST_CHECKOUTS", "").split(os.pathsep) if name]

# What the real programs make of the mixed fixture: mode and flag, from entries of Phase 1 and of the filter window.
IN_TRUTH = {
    "before": [(None, True, None, True)] * 4,
    "2026-01": [("UNKNOWN", False, "EQ", False), ("UNKNOWN", False, "ALT_AZ", True)] * 2,
    "2026-04": [("UNKNOWN", True, "EQ", False), ("UNKNOWN", True, "ALT_AZ", True)] * 2,
}


@pytest.mark.skipif(not CHECKOUTS, reason="ZEMO_DIAG_TEST_CHECKOUTS names no checkout of ZeMosaic")
@pytest.mark.parametrize("checkout", CHECKOUTS, ids=lambda path: path.name)
def test_real_checkouts_decide_as_is_known_of_them(checkout: Path, fixtures: Path) -> None:
    before = Tree.of(checkout)
    for folder in ("mixed_by_tile", "odd_values", "no_eqmode"):
        report = gate(fixtures / folder, checkout, os.environ.get("ZEMO_DIAG_TEST_PYTHON"))
        gating = gating_of(report)
        assert gating.checkout is not None
        assert gating.checkout.version is not None
        assert not {"ZD112", "ZD118", "ZD119", "ZD120"} & {finding.code for finding in report.findings}
        if folder == "mixed_by_tile":
            assert decided(report) == IN_TRUTH[gating.checkout.version]
    assert Tree.of(checkout) == before
