"""The functions that the commands examine: ZeMosaic's own names, from two modules, in one replaceable thing.

The modules are this project's own, in the folder above ``tools/``, installed beside the package, or, where the tool was
put into a ZeMosaic checkout, within the package. They are loaded from these very files, whatever else has their names
on the import path. A ZeMosaic has modules of the same names, and importing them changes files of it (its log is
overwritten): so what a file defines is read from its text first, and a module that is not our own is never run.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import InputError

WORKER = "zemosaic_worker"
ALIGN_STACK = "zemosaic_align_stack"

# What a module imports of the other, which is therefore loaded before it.
_LOADED_FIRST = {WORKER: (ALIGN_STACK,), ALIGN_STACK: ()}

# The folder that holds the package: ``tools/`` in a checkout, whose modules lie above it; else where all was installed.
_TOOLS = Path(__file__).resolve().parents[2]

_PACKAGE = Path(__file__).resolve().parents[1].name

_TOP_LEVEL_NAME = re.compile(r"^(?:(?:async )?def |class )?(\w+)(?=\(|:| =)", re.MULTILINE)


@dataclass(frozen=True)
class StackFunctions:
    """The kappa-sigma variants and the estimates of their need; see `zemosaic_align_stack` for each."""

    fullframe: Callable[..., Any]
    chunked: Callable[..., Any]
    estimate_fullframe_peak_bytes: Callable[..., int]
    estimate_chunked_peak_bytes: Callable[..., int]


@dataclass(frozen=True, kw_only=True)
class MasterTileFunctions:
    """What builds master tiles and estimates their need; see `zemosaic_worker` for each."""

    run_phase3_master_tiles: Callable[..., Any]
    estimate_master_tile: Callable[..., Any]
    master_tile_result: Callable[..., Any]
    cleanup_rule: Callable[..., Any]
    load_frame: Callable[..., Any]


@dataclass(frozen=True)
class SignalFunctions:
    """What tells whether a master holds no signal, from its largest |value|, spread and fraction of valid pixels."""

    master_signal: Callable[..., Any]


@dataclass(frozen=True)
class PlainStack:
    """The stack as Phase 3 calls it, and its weights."""

    cpu_stack_kappa: Callable[..., Any]
    noise_variance_weights: Callable[..., Any]


def _names(functions: type[Any]) -> dict[str, str]:
    """Map each field to the name that the modules give it."""
    renamed = {
        "fullframe": "_cpu_stack_kappa_fallback_fullframe",
        "chunked": "_cpu_stack_kappa_fallback_chunked",
        "master_tile_result": "MasterTileResult",
        "cleanup_rule": "CleanupRule",
        "master_signal": "MasterSignal",
    }
    return {field: renamed.get(field, field) for field in (f.name for f in fields(functions))}


_GROUPS: dict[type[Any], str] = {
    MasterTileFunctions: WORKER,
    SignalFunctions: WORKER,
    StackFunctions: ALIGN_STACK,
    PlainStack: ALIGN_STACK,
}


def _is_installed() -> bool:
    """Tell whether the modules were installed with the package."""
    return (_TOOLS / f"{WORKER}.py").is_file()


def bundled_folder() -> Path:
    """Give the folder where the tool's own modules belong.

    In a ZeMosaic checkout they lie within the package: beside it, they would take the place of ZeMosaic's own for the
    other scripts there.
    """
    within = _TOOLS / _PACKAGE
    if (within / f"{WORKER}.py").is_file():
        return within
    return _TOOLS if _is_installed() else _TOOLS.parent


def checkout_above() -> Path | None:
    """Give the ZeMosaic checkout into whose ``tools/`` folder the tool was put; None where it was not."""
    files = [_TOOLS.parent / f"{name}.py" for name in (WORKER, ALIGN_STACK)]
    foreign = any(file.is_file() and not _is_our_own(file) for file in files)
    return _TOOLS.parent if foreign and not _is_installed() else None


def _file_of(name: str) -> Path:
    """Give the file of a module under test."""
    return bundled_folder() / f"{name}.py"


@cache
def _is_our_own(file: Path) -> bool:
    """Tell by the text of a module whether it defines all that the commands call; nothing of it is run."""
    wanted = {name for group, module in _GROUPS.items() if module == file.stem for name in _names(group).values()}
    try:
        return wanted <= set(_TOP_LEVEL_NAME.findall(file.read_text(encoding="utf-8", errors="replace")))
    except OSError:
        return False


def _load(name: str) -> ModuleType:
    """Load a module under test from its file; whatever it prints goes to stderr, never into a report."""
    file = _file_of(name)
    if not _is_our_own(file):
        raise InputError(_not_ours(file))
    for other in _LOADED_FIRST[name]:
        _load(other)
    known = sys.modules.get(name)
    if known is not None and known.__file__ and Path(known.__file__).resolve() == file:
        return known
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return _run(name, file)
    except ImportError as error:
        raise InputError(f"{name}.py cannot be imported ({error}): install what it misses") from error


def _run(name: str, file: Path) -> ModuleType:
    """Run a module's file and let imports of its name find it."""
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError("it is no Python source")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _not_ours(file: Path) -> str:
    """Say why nothing can be examined with the modules that are there, and what to do."""
    if not file.is_file():
        return f"{file.name} is not where it belongs, beside the tool: run zemo-diag from its own folder or an install"
    return (
        f"this command needs zemo-diag's own {file.name}, and the one beside the tool is ZeMosaic's, or of another "
        "version; it was not imported, since that alone would overwrite ZeMosaic's log: copy zemo-diag's own two "
        f"modules into tools/{_PACKAGE}/, or run it from its own folder or an install, and name the ZeMosaic by "
        "--zemosaic"
    )


def check_bundled() -> None:
    """Tell by their texts that the modules beside the tool are our own.

    Raises
    ------
    InputError
        Where one of them is not.
    """
    for file in map(_file_of, (WORKER, ALIGN_STACK)):
        if not _is_our_own(file):
            raise InputError(_not_ours(file))


def _collect(functions: type[Any]) -> Any:
    """Take the functions of a group from their module."""
    module = _load(_GROUPS[functions])
    return functions(**{field: getattr(module, name) for field, name in _names(functions).items()})


def load_stack_functions() -> StackFunctions:
    """Load the kappa-sigma variants.

    Raises
    ------
    InputError
        Where the module is not our own, or cannot be imported.
    """
    functions: StackFunctions = _collect(StackFunctions)
    return functions


def load_master_tile_functions() -> MasterTileFunctions:
    """Load what builds master tiles.

    Raises
    ------
    InputError
        Where the module is not our own, or cannot be imported.
    """
    functions: MasterTileFunctions = _collect(MasterTileFunctions)
    return functions


def load_master_signal() -> Callable[..., Any]:
    """Load what tells whether a master holds no signal.

    Raises
    ------
    InputError
        Where the module is not our own, or cannot be imported.
    """
    functions: SignalFunctions = _collect(SignalFunctions)
    return functions.master_signal


def load_stack() -> PlainStack:
    """Load the stack as Phase 3 calls it, and its weights.

    Raises
    ------
    InputError
        Where the module is not our own, or cannot be imported.
    """
    functions: PlainStack = _collect(PlainStack)
    return functions


def describe_functions_under_test() -> str:
    """Say which modules are examined, without their path."""
    return "the modules installed with the tool" if _is_installed() else "the modules beside the tool"
