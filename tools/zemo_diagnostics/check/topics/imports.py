"""The checks of what importing a module does: from a copy, with a home and a current folder of its own."""

from __future__ import annotations

from collections.abc import Callable

from ...zemosaic.child import Ending, Outcome
from ...zemosaic.jobs import import_job
from ...zemosaic.runner import ALIGN_STACK, WORKER
from ..acceptance import MOST_EVIDENCE, AcceptanceCheck, Verdict
from ..lab import Lab, Skip, refuse_failure

_LOG = ".log"
_FONT_LIST = "home/fontlist"  # matplotlib's own cache


def _stack_imported(lab: Lab) -> Outcome:
    return _imported(lab, ALIGN_STACK)


def _worker_imported(lab: Lab) -> Outcome:
    return _imported(lab, WORKER)


def _imported(lab: Lab, module: str) -> Outcome:
    """Import a module as its user would: nothing keeps it from opening its log."""
    return lab.ask(f"import {module}", import_job(module, guarded=False))


def _comes_in(module: str, experiment: Callable[[Lab], Outcome]) -> Callable[[Lab], Verdict]:
    """Make a judge of whether a module can be imported at all."""

    def judge(lab: Lab) -> Verdict:
        if problem := lab.under_test.checkout.modules[module].problem:
            return Verdict(False, problem.removesuffix("."))
        outcome = lab.once(experiment)
        if outcome.ending is Ending.IMPORT_FAILED and "is not there for the interpreter" in outcome.detail:
            raise Skip(outcome.detail)
        if outcome.ending is not Ending.OK:
            return Verdict(False, outcome.detail)
        return Verdict(True, f"it took {outcome.result['wall_s']:.1f} s")

    return judge


def _both(lab: Lab) -> list[tuple[str, Outcome]]:
    """Give both imports, where they came to an end."""
    outcomes = [(ALIGN_STACK, lab.once(_stack_imported)), (WORKER, lab.once(_worker_imported))]
    for _, outcome in outcomes:
        refuse_failure(outcome.ending, outcome.detail, outcome.result)
    return outcomes


def _log_is_left_alone(lab: Lab) -> Verdict:
    wrong = [
        f"importing {module} writes {name}"
        for module, outcome in _both(lab)
        for name in outcome.written
        if _is_log(name)
    ]
    return Verdict(not wrong, "a log is opened, and emptied" if wrong else "no log is opened", tuple(wrong))


def _nothing_else_is_written(lab: Lab) -> Verdict:
    wrong = [
        f"importing {module} writes {name}"
        for module, outcome in _both(lab)
        for name in outcome.written
        if not _is_log(name) and not name.startswith(_FONT_LIST)
    ]
    return Verdict(not wrong, "files are written" if wrong else "no file is written", tuple(wrong))


def _is_log(name: str) -> bool:
    return name.endswith(_LOG)


def _no_thread_is_left(lab: Lab) -> Verdict:
    wrong = [
        f"importing {module} leaves the thread {name} running"
        for module, outcome in _both(lab)
        for name in outcome.result["threads_left"]
    ]
    return Verdict(not wrong, "threads are left" if wrong else "no thread is left", tuple(wrong))


def _nothing_is_printed(lab: Lab) -> Verdict:
    wrong = [
        f"importing {module} prints {line.strip()!r}"
        for module, outcome in _both(lab)
        for line in outcome.stdout.splitlines()
        if line.strip()
    ]
    return Verdict(not wrong, "lines are printed" if wrong else "nothing is printed", tuple(wrong[:MOST_EVIDENCE]))


CHECKS: tuple[AcceptanceCheck, ...] = (
    AcceptanceCheck(
        code="ZC501",
        title="zemosaic_align_stack can be imported",
        requires=("R15",),
        meaning="An import that raises, hangs, or ends the process is told with its reason; a missing package is none.",
        remedy="Import what is not always there where it is used, and catch that.",
        judge=_comes_in(ALIGN_STACK, _stack_imported),
    ),
    AcceptanceCheck(
        code="ZC502",
        title="zemosaic_worker can be imported",
        requires=("R15",),
        meaning="As ZC501.",
        remedy="Import what is not always there where it is used, and catch that.",
        judge=_comes_in(WORKER, _worker_imported),
    ),
    AcceptanceCheck(
        code="ZC503",
        title="Importing leaves the log alone",
        requires=("R15", "fact"),
        meaning=(
            "Released versions truncate zemosaic_worker.log when the module is imported, which each process of a pool "
            "does, and each tool that looks at it: the very log that a user wants to attach is gone."
        ),
        remedy="Open the log where a run begins, in append mode, not at the module's top level.",
        judge=_log_is_left_alone,
        after=("ZC501", "ZC502"),
    ),
    AcceptanceCheck(
        code="ZC504",
        title="Importing writes no other file",
        requires=("R15",),
        meaning="In the user's home, the current folder, the temporary folder, beside the modules.",
        remedy="Make folders and files where they are needed first, not at the module's top level.",
        judge=_nothing_else_is_written,
        after=("ZC501", "ZC502"),
    ),
    AcceptanceCheck(
        code="ZC505",
        title="Importing leaves no thread running",
        requires=("R15",),
        meaning="A thread that an import starts keeps a process from ending, and is lost in a forked one.",
        remedy="Start threads where a run begins.",
        judge=_no_thread_is_left,
        after=("ZC501", "ZC502"),
    ),
    AcceptanceCheck(
        code="ZC506",
        title="Importing prints nothing",
        requires=("R15", "fact"),
        meaning=(
            "Stdout belongs to the program that imports. Where it is ascii or cp932, a letter with an accent ends "
            "the import with UnicodeEncodeError."
        ),
        remedy="Log such lines, or drop them.",
        judge=_nothing_is_printed,
        after=("ZC501", "ZC502"),
    ),
)
