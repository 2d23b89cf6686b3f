"""The checks of what a change leaves alone: two checkouts compared by their sources, before and after."""

from __future__ import annotations

import ast
from collections.abc import Collection
from dataclasses import dataclass

from ...zemosaic.runner import ALIGN_STACK, KAPPA, WORKER
from ..acceptance import AcceptanceCheck, Verdict, judged_by_cases
from ..lab import Lab, Skip
from .syntax_trees import Function, Sources, reached, read_sources, same, signature

GRID_MODE = "grid_mode.py"
ALLOWED_FILES = (f"{WORKER}.py", f"{ALIGN_STACK}.py")

# What the patch must change, though SDS mode reaches it too: its results stay the same, which ZC3.. asks.
_MEANT = set(KAPPA.values())


_OTHER = "are gone, or other than before"


@dataclass(frozen=True)
class Both:
    """The sources of the checkout before, and of the one that is examined."""

    before: Sources
    after: Sources


def _read(lab: Lab) -> Both:
    if lab.before is None:
        raise Skip("there is nothing to compare with: name the checkout before the change with --before")
    return Both(read_sources(lab.before.folder), read_sources(lab.under_test.checkout.folder))


def _grid_mode_is_untouched(lab: Lab) -> Verdict:
    both = lab.once(_read)
    before, after = (one.files.get(GRID_MODE) for one in (both.before, both.after))
    if before is None:
        raise Skip(f"the checkout before has no {GRID_MODE}")
    if before == after:
        return Verdict(True, f"all {before.count(chr(10))} lines of {GRID_MODE} are the same")
    if after is None:
        return Verdict(False, f"{GRID_MODE} is gone")
    wrong = [f"{file}: {name}" for file, name in _changed(both) if file == GRID_MODE]
    new = [f"{file}: {name} is new" for file, name in both.after.functions if file == GRID_MODE]
    new = [one for one in new if tuple(one.removesuffix(" is new").split(": ")) not in both.before.functions]
    return Verdict(False, f"{GRID_MODE} was changed", (*wrong, *new) or ("outside of its functions",))


def _signatures_stay(lab: Lab) -> Verdict:
    both = lab.once(_read)
    wrong = []
    for key, function in both.before.functions.items():
        file, name = key
        if _is_private(name) and name not in _MEANT:
            continue
        after = both.after.functions.get(key)
        if after is None:
            wrong.append(f"{file}: {name} is gone")
        elif signature(after) != signature(function):
            wrong.append(f"{file}: {name} takes other parameters ({_other_parameters(function, after)})")
    passed = "no function is gone, and none takes other parameters"
    return judged_by_cases(passed, wrong, len(both.before.functions), "functions are gone or take other parameters")


def _is_private(name: str) -> bool:
    return any(part.startswith("_") for part in name.split("."))


def _other_parameters(before: Function, after: Function) -> str:
    names = [[one.arg for one in _arguments(function)] for function in (before, after)]
    new = [name for name in names[1] if name not in names[0]]
    gone = [name for name in names[0] if name not in names[1]]
    told = [f"new: {', '.join(new)}" if new else "", f"gone: {', '.join(gone)}" if gone else ""]
    return "; ".join(filter(None, told)) or "another order or default"


def _arguments(function: Function) -> list[ast.arg]:
    return [one for one in ast.walk(function.args) if isinstance(one, ast.arg)]


def _settings_stay(lab: Lab) -> Verdict:
    both = lab.once(_read)
    before, after = both.before.settings, both.after.settings
    if not before:
        raise Skip("the checkout before has no DEFAULT_CONFIG")
    wrong = [f"{key} is gone" for key in before if key not in after]
    wrong += [
        f"{key} is {after[key]}, was {value}" for key, value in before.items() if key in after and after[key] != value
    ]
    return judged_by_cases(
        f"all {len(before)} are as they were{_new(set(after) - set(before))}", wrong, len(before), _OTHER
    )


def _options_stay(lab: Lab) -> Verdict:
    both = lab.once(_read)
    before, after = both.before.options, both.after.options
    wrong = [f"{file}: {name} is gone" for file, name in sorted(before - after)]
    return judged_by_cases(f"all {len(before)} are there{_new(after - before)}", wrong, len(before), "are gone")


def _new(names: Collection[object]) -> str:
    return f"; {len(names)} are new" if names else ""


def _sds_is_untouched(lab: Lab) -> Verdict:
    both = lab.once(_read)
    starts = {name for file, name in both.before.functions if file == ALLOWED_FILES[0] and "sds" in name.lower()}
    if not starts:
        raise Skip("the checkout before has no function of SDS mode")
    path = reached(both.before, starts)
    wrong = [f"{file}: {name}" for file, name in _changed(both) if (file, name) in path and name not in _MEANT]
    return judged_by_cases(f"all {len(path)} functions on its path of calls are the same", wrong, len(path), _OTHER)


def _changed(both: Both) -> list[tuple[str, str]]:
    """List the functions that are gone or other than before."""
    keys = [key for key in both.before.functions if both.before.files[key[0]] != both.after.files.get(key[0])]
    return [key for key in keys if key not in both.after.functions or not same(both.before, both.after, key)]


def _other_files_stay(lab: Lab) -> Verdict:
    both = lab.once(_read)
    before, after = both.before.files, both.after.files
    names = sorted({*before, *after} - set(ALLOWED_FILES))
    wrong = [
        f"{name} is {'new' if name not in before else 'gone' if name not in after else 'changed'}"
        for name in names
        if before.get(name) != after.get(name)
    ]
    return judged_by_cases(
        f"the other {len(names)} files are the same", wrong, len(names), "other files are new, gone or changed"
    )


CHECKS: tuple[AcceptanceCheck, ...] = (
    AcceptanceCheck(
        code="ZC701",
        title="Grid mode is untouched",
        requires=("R13",),
        meaning="grid_mode.py is the same, line by line.",
        remedy="Take the changes of grid_mode.py into a change of their own.",
        judge=_grid_mode_is_untouched,
    ),
    AcceptanceCheck(
        code="ZC702",
        title="No function is gone, and none takes other parameters",
        requires=("R13",),
        meaning="All public functions and methods of all files, and the kappa-sigma fallback; annotations aside.",
        remedy="Keep names and parameters as they were; hand new things over by new functions.",
        judge=_signatures_stay,
    ),
    AcceptanceCheck(
        code="ZC703",
        title="No setting is gone, and none has another default",
        requires=("R13",),
        meaning="The keys of DEFAULT_CONFIG: a user's configuration means what it meant. New ones are counted.",
        remedy="Keep keys and defaults as they were.",
        judge=_settings_stay,
    ),
    AcceptanceCheck(
        code="ZC704",
        title="No option of a command line is gone",
        requires=("R13",),
        meaning="What add_argument is given, file by file.",
        remedy="Keep the names of options.",
        judge=_options_stay,
    ),
    AcceptanceCheck(
        code="ZC705",
        title="Everything on SDS mode's path of calls is untouched",
        requires=("R13",),
        meaning=(
            "The functions that have sds in their name, and those that they reach by the names that they use, but for "
            "the kappa-sigma fallback, which stays the same by its results."
        ),
        remedy="Take the changes of what SDS mode calls into a change of their own.",
        judge=_sds_is_untouched,
    ),
    AcceptanceCheck(
        code="ZC706",
        title="Nothing but the two modules is changed",
        requires=("R13",),
        meaning="zemosaic_worker.py and zemosaic_align_stack.py are what the patch is about; others are listed.",
        remedy="Take the other files into a change of their own.",
        judge=_other_files_stay,
    ),
)
