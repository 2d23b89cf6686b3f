"""The checks of ZeMosaic's own tests: that they are there, pass, can fail, and are not called in production."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from ...zemosaic.jobs import batch_job, read_batch, selftests_job
from ...zemosaic.runner import HOMES, SELFTESTS
from ..acceptance import AcceptanceCheck, Verdict, judged_by_cases
from ..lab import Lab, Skip, refuse_failure

States = dict[str, dict[str, str]]


def _states(lab: Lab) -> tuple[States, States]:
    """Run the self-tests as they are, and with what they test made wrong."""
    if not any(lab.has(name) for name in SELFTESTS):
        raise Skip("it has no tests of its own")
    outcome = lab.answered("selftests", batch_job([selftests_job(), selftests_job(sabotage=True)]))
    told: list[Any] = []
    for answer in read_batch(outcome):
        refuse_failure(answer.ending, answer.detail, answer.result)
        told.append(answer.result["selftests"])
    return told[0], told[1]


def _are_there(lab: Lab) -> Verdict:
    known = [lab.under_test.checkout.functions[name] for name in SELFTESTS]
    wrong = (one.told for one in known if not one.is_there)
    return judged_by_cases("both can be called", wrong, len(known), "are missing, or want arguments")


def _pass(lab: Lab) -> Verdict:
    states, _ = lab.once(_states)
    run = {name: told for name, told in states.items() if told["state"] != "absent"}
    wrong = (f"{name} {told['state']}: {told['detail']}" for name, told in run.items() if told["state"] != "passed")
    return judged_by_cases("they pass", wrong, len(run), "do not pass")


def _can_fail(lab: Lab) -> Verdict:
    right, sabotaged = lab.once(_states)
    run = [name for name, told in right.items() if told["state"] == "passed"]
    wrong = (
        f"{name} passes all the same, or does not call what it tests"
        for name in run
        if sabotaged[name]["state"] not in ("failed", "raised")
    )
    return judged_by_cases("they fail where what they test is made wrong", wrong, len(run), "cannot fail")


def _stay_out(lab: Lab) -> Verdict:
    checkout = lab.under_test.checkout
    wrong = []
    for module in sorted({HOMES[name] for name in SELFTESTS}):
        path = checkout.folder / f"{module}.py"
        if path.is_file() and not checkout.modules[module].problem:
            tree = ast.parse(path.read_bytes())
            wrong += [f"{path.name}, line {line}: {name} is called" for name, line in _calls(tree, inside="")]
    return judged_by_cases("nothing calls them", wrong, len(SELFTESTS))


def _calls(node: ast.AST, inside: str) -> Iterator[tuple[str, int]]:
    """Find calls of the self-tests outside of such tests, and of what runs where the file is a script."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "__main__" in ast.unparse(child.test):
            continue
        within = child.name if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) else inside
        name = ast.unparse(child.func).rpartition(".")[2] if isinstance(child, ast.Call) else ""
        if name in SELFTESTS and not within.startswith("_selftest"):
            yield name, child.lineno  # type: ignore[attr-defined]
        yield from _calls(child, within)


CHECKS: tuple[AcceptanceCheck, ...] = (
    AcceptanceCheck(
        code="ZC601",
        title="Both self-tests are there",
        requires=("R9",),
        meaning=f"{SELFTESTS[0]} in zemosaic_worker.py and {SELFTESTS[1]} in zemosaic_align_stack.py.",
        remedy="Add them to their modules.",
        judge=_are_there,
    ),
    AcceptanceCheck(
        code="ZC602",
        title="The self-tests pass",
        requires=("R9",),
        meaning="Each is called; one that returns False, raises, or fails an assertion does not pass.",
        remedy="See what it says, and what the other checks say of the same function.",
        judge=_pass,
    ),
    AcceptanceCheck(
        code="ZC603",
        title="The self-tests can fail",
        requires=("R9",),
        meaning="Each is called again, with the function that it tests put wrong: it must notice.",
        remedy="Compare what comes out with what must come out, and raise AssertionError where they differ.",
        judge=_can_fail,
    ),
    AcceptanceCheck(
        code="ZC604",
        title="The self-tests are never called in production",
        requires=("R9",),
        meaning="No line of their modules calls them, but for what runs where a file is a script.",
        remedy="Call them from tests, or by hand.",
        judge=_stay_out,
    ),
)
