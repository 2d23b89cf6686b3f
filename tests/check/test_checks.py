"""How checks are chosen, carried out and listed, and what becomes of those that cannot be."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import zemo_diag
from zemo_diagnostics.check.acceptance import AcceptanceCheck, Judge, Verdict, carry_out, chosen, judged_by_cases
from zemo_diagnostics.check.acceptance_list import ACCEPTANCE, SERIES
from zemo_diagnostics.check.data import Status
from zemo_diagnostics.check.lab import Died, Lab, Skip
from zemo_diagnostics.check.page import checks_markdown, listed
from zemo_diagnostics.check.run import report_checks
from zemo_diagnostics.errors import EXIT_CLEAN, EXIT_FINDINGS, EXIT_USAGE, InputError
from zemo_diagnostics.zemosaic.under_test import open_bundled

from ..conftest import ROOT
from ..zemosaic.lookalikes import Tree, write_lookalike
from .conftest import Ask, codes, copy_modules


def test_codes_are_stable_unlike_each_other_and_in_their_series() -> None:
    all_codes = [check.code for check in ACCEPTANCE]
    assert all_codes == sorted(set(all_codes))
    assert all(re.fullmatch(r"ZC[1-7]\d\d", code) for code in all_codes)
    assert {code[:3] for code in all_codes} == set(SERIES)


def test_what_a_check_says_is_whole() -> None:
    known = {check.code for check in ACCEPTANCE}
    for check in ACCEPTANCE:
        assert all(re.fullmatch(r"R([1-9]|1[0-5])|fact", one) for one in check.requires), check.code
        assert check.requires
        assert check.meaning.endswith((".", ":")), check.code
        assert check.remedy.endswith("."), check.code
        assert not check.title.endswith("."), check.code
        assert set(check.after) <= known - {check.code}, check.code


def test_every_requirement_that_a_program_can_be_asked_for_is_asked_for() -> None:
    asked = {one for check in ACCEPTANCE for one in check.requires}
    assert asked == {*(f"R{number}" for number in range(1, 16)), "fact"}


@pytest.mark.parametrize(
    ("select", "ignore", "expected"),
    [
        (("ZC10",), (), [f"ZC10{i}" for i in range(1, 10)]),
        (("zc101", "ZC601"), (), ["ZC101", "ZC601"]),
        (("ZC6",), ("ZC602", "ZC603"), ["ZC601", "ZC604"]),
    ],
)
def test_checks_are_chosen_by_how_their_codes_begin(
    select: tuple[str, ...], ignore: tuple[str, ...], expected: list[str]
) -> None:
    assert [check.code for check in chosen(ACCEPTANCE, select, ignore)] == expected


def test_all_are_chosen_where_nothing_is_said() -> None:
    assert chosen(ACCEPTANCE, (), ()) == ACCEPTANCE


@pytest.mark.parametrize(
    ("select", "ignore", "told"), [(("ZD1",), (), "'ZD1'"), (("ZC6",), ("ZC6",), "leaves no check")]
)
def test_a_choice_of_nothing_is_one_sentence(select: tuple[str, ...], ignore: tuple[str, ...], told: str) -> None:
    with pytest.raises(InputError, match=told):
        chosen(ACCEPTANCE, select, ignore)


def acceptance_check(judge: Judge, code: str = "ZC999", after: tuple[str, ...] = ()) -> AcceptanceCheck:
    return AcceptanceCheck(
        code=code, title="a title", requires=("R1",), meaning="It.", remedy="Do.", judge=judge, after=after
    )


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(under_test=open_bundled(), reference=None, before=None, folder=tmp_path, codes=frozenset())


def test_a_check_that_crashes_is_a_result(lab: Lab) -> None:
    def crashes(_: Lab) -> Verdict:
        raise KeyError("x")

    result = carry_out(acceptance_check(crashes), lab, {})
    assert (result.status, result.reason) == (Status.CRASH, "KeyError: 'x'")


def test_an_experiment_is_done_once_also_where_it_fails(lab: Lab) -> None:
    done = []

    def experiment(_: Lab) -> None:
        done.append(1)
        raise Died("killed by SIGSEGV")

    def asks(lab: Lab) -> Verdict:
        return Verdict(bool(lab.once(experiment)), "")

    results = [carry_out(acceptance_check(asks, code), lab, {}) for code in ("ZC998", "ZC999")]
    assert [result.status for result in results] == [Status.FAIL, Status.SKIP]
    assert "killed by SIGSEGV" in results[0].reason
    assert "ZC998" in results[1].reason
    assert len(done) == 1


def test_a_check_waits_for_those_without_which_it_says_nothing(lab: Lab) -> None:
    check = acceptance_check(lambda _: Verdict(True, "fine"), after=("ZC101",))
    assert carry_out(check, lab, {"ZC101": Status.FAIL}).status is Status.SKIP
    assert carry_out(check, lab, {"ZC101": Status.PASS}).status is Status.PASS
    assert carry_out(check, lab, {}).status is Status.PASS


def test_a_skip_has_its_reason(lab: Lab) -> None:
    def skips(_: Lab) -> Verdict:
        raise Skip("no package")

    result = carry_out(acceptance_check(skips), lab, {})
    assert (result.status, result.reason) == (Status.SKIP, "no package")


def test_much_evidence_is_counted_and_long_evidence_is_cut() -> None:
    verdict = judged_by_cases("fine", ("x" * 20 + " y" * 300 for _ in range(20)), 30)
    assert verdict.reason == "20 of 30 cases are wrong"
    assert len(verdict.evidence) == 13
    assert verdict.evidence[-1] == "and 8 more"
    assert max(map(len, verdict.evidence)) <= 240


def test_the_list_and_the_page_have_every_check() -> None:
    lines, page = listed(ACCEPTANCE, 80), checks_markdown()
    assert max(map(len, lines.splitlines())) <= 80
    for check in ACCEPTANCE:
        assert f"\n{check.code}  " in f"\n{lines}"
        assert f"### {check.code}: {check.title}\n" in page.replace("`", "")


Invoke = Callable[..., tuple[int, str]]


@pytest.fixture
def invoke(capfd: pytest.CaptureFixture[str]) -> Invoke:
    """Give a way to run the command; it gives the exit code and all that was printed."""

    def invokes(*arguments: str) -> tuple[int, str]:
        code = zemo_diag.run(["check", *arguments])
        return code, "".join(capfd.readouterr())

    return invokes


def test_the_command_lists_checks_and_asks_none(invoke: Invoke) -> None:
    code, output = invoke("--list", "--select", "ZC5")
    assert code == EXIT_CLEAN
    assert [line[:5] for line in output.splitlines() if line.startswith("ZC")] == [f"ZC50{i}" for i in range(1, 7)]


def test_the_command_ends_in_1_where_a_check_fails_and_in_0_where_none_does(invoke: Invoke, tmp_path: Path) -> None:
    checkout = write_lookalike(tmp_path / "zemosaic")
    code, output = invoke("-q", "--zemosaic", str(checkout), "--select", "ZC101,ZC302")
    assert code == EXIT_FINDINGS
    assert "ZD501" in output
    assert "1 failed (ZC302), 1 passed" in " ".join(output.split())
    assert invoke("-q", "--zemosaic", str(checkout), "--select", "ZC101", "--ignore", "ZC3")[0] == EXIT_CLEAN


def test_nothing_to_compare_is_one_sentence(invoke: Invoke, tmp_path: Path) -> None:
    code, output = invoke("--before", str(copy_modules(tmp_path)), "--select", "ZC7")
    assert code == EXIT_USAGE
    assert "--zemosaic" in output


@pytest.mark.parametrize(
    ("at_import", "told"),
    [
        ("raise RuntimeError('no display')", "no display"),
        ("import sys; sys.exit(5)", "sys.exit(5)"),
        ("import os; os._exit(5)", "exit code 5"),
    ],
)
def test_an_import_that_dies_fails_its_check_and_leaves_the_checkout_as_it_was(
    ask: Ask, tmp_path: Path, at_import: str, told: str
) -> None:
    checkout = write_lookalike(tmp_path / "zemosaic", worker_import=at_import)
    before = Tree.of(checkout)
    run = ask(checkout, "ZC5", "ZC101")
    assert Tree.of(checkout) == before
    assert codes(run, Status.FAIL) == ["ZC502"]
    assert codes(run, Status.SKIP) == ["ZC503", "ZC504", "ZC505", "ZC506"]
    assert told in next(one.reason for one in run.results if one.code == "ZC502")


def test_a_package_that_is_missing_is_nobodys_failure(ask: Ask, tmp_path: Path) -> None:
    run = ask(write_lookalike(tmp_path / "zemosaic", worker_import="import absent_toolkit"), "ZC5", "ZC404")
    assert codes(run, Status.FAIL) == []
    skipped = {one.code: one.reason for one in run.results if one.status is Status.SKIP}
    assert all("absent_toolkit" in reason for reason in skipped.values())
    assert set(skipped) == {"ZC404", "ZC502", "ZC503", "ZC504", "ZC505", "ZC506"}


def test_functions_that_crash_the_process_fail_one_check(ask: Ask, tmp_path: Path) -> None:
    checkout = write_lookalike(tmp_path / "zemosaic")
    worker = checkout / "zemosaic_worker.py"
    text = worker.read_text(encoding="utf-8")
    worker.write_text(text.replace("    for entry in group:\n", "    import os; os.abort()\n"), encoding="utf-8")
    run = ask(checkout, "ZC10")
    assert codes(run, Status.FAIL) == ["ZC101"]
    assert codes(run, Status.SKIP) == [f"ZC10{i}" for i in range(2, 10)]


@pytest.mark.parametrize(
    ("text", "told"),
    [("print 'hello'\n", "is Python 2"), ("def f(:\n", "is no Python"), (None, "is missing")],
)
def test_a_module_that_cannot_be_read_fails_what_rests_on_it(
    ask: Ask, tmp_path: Path, text: str | None, told: str
) -> None:
    checkout = write_lookalike(tmp_path / "zemosaic")
    align_stack = checkout / "zemosaic_align_stack.py"
    if text is None:
        align_stack.unlink()
    else:
        align_stack.write_text(text, encoding="utf-8")
    run = ask(checkout, "ZC301", "ZC302", "ZC303", "ZC401", "ZC501", "ZC503", "ZC602")
    assert codes(run, Status.FAIL) == ["ZC301", "ZC302", "ZC501"]
    assert codes(run, Status.CRASH) == []
    assert told in next(one.reason for one in run.results if one.code == "ZC501")


def test_a_run_that_is_stopped_tells_what_was_known_by_then(tmp_path: Path) -> None:
    def stops(_what: str, part: float, _detail: str = "", /) -> None:
        if part > 0.3:
            raise KeyboardInterrupt

    zemosaic = write_lookalike(tmp_path / "zemosaic")
    report = report_checks(zemosaic, None, None, ("ZC601", "ZC604", "ZC101"), (), say=stops)
    assert report.interrupted
    assert [one.code for one in report.result("check").results] == ["ZC101"]


def test_put_into_a_checkout_it_asks_the_checkout_and_leaves_it_as_it_was(tmp_path: Path) -> None:
    checkout = write_lookalike(tmp_path / "zemosaic", worker_import="print('imported')")
    shutil.copytree(ROOT / "tools", checkout / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    before = Tree.of(checkout)
    command = [sys.executable, "-B", str(checkout / "tools" / "zemo_diag.py"), "check", "--format", "json"]
    done = subprocess.run(
        [*command, "--select", "ZC101,ZC302,ZC303,ZC506"],
        capture_output=True,
        encoding="utf-8",
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == EXIT_FINDINGS, done.stderr
    results = json.loads(done.stdout)["results"]["check"]["results"]
    statuses = {one["code"]: one["status"] for one in results}
    assert statuses == {"ZC101": "pass", "ZC302": "fail", "ZC303": "skip", "ZC506": "fail"}
    assert Tree.of(checkout) == before


def test_what_the_lookalike_does_wrong_is_found(ask: Ask, tmp_path: Path) -> None:
    checkout = write_lookalike(tmp_path / "zemosaic")
    before = Tree.of(checkout)
    run = ask(checkout, "ZC10", "ZC11", "ZC30", "ZC6")
    assert Tree.of(checkout) == before
    failed = codes(run, Status.FAIL)
    assert {"ZC102", "ZC103", "ZC110", "ZC302", "ZC303", "ZC601"} <= set(failed)
    assert not {"ZC101", "ZC116", "ZC301", "ZC602"} & set(failed)
    assert codes(run, Status.CRASH) == []
