"""The functions that the commands examine: ZeMosaic's own names, from two modules, in one replaceable thing.

The modules are those beside the tools (this project's, or those of the ZeMosaic checkout into whose
``tools/`` folder the tool was dropped), else the installed ones.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import InputError

WORKER = "zemosaic_worker"
ALIGN_STACK = "zemosaic_align_stack"

# The folder above ``tools/``: a plain checkout's top, where the modules lie.
_CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Phase3Functions:
    """What decides over the mount mode and the cleanup of a tile; see `zemosaic_worker` for each."""

    infer_group_eqmode: Callable[[list[dict[str, Any]]], str]
    entry_eqmode: Callable[..., Any]
    summarize_eqmodes: Callable[..., Any]
    decide_global_altaz_cleanup: Callable[..., Any]
    decide_tile_altaz_cleanup: Callable[..., Any]


@dataclass(frozen=True)
class StackFunctions:
    """The kappa-sigma variants and the estimates of their need; see `zemosaic_align_stack` for each."""

    fullframe: Callable[..., Any]
    chunked: Callable[..., Any]
    estimate_fullframe_peak_bytes: Callable[..., int]
    estimate_chunked_peak_bytes: Callable[..., int]


@dataclass(frozen=True)
class MasterTileFunctions:
    """What builds master tiles and estimates their need; see `zemosaic_worker` for each."""

    run_phase3_master_tiles: Callable[..., Any]
    estimate_master_tile: Callable[..., Any]
    remove_stale_scratch: Callable[..., Any]
    master_tile_result: Callable[..., Any]


@dataclass(frozen=True)
class SignalFunctions:
    """What tells whether a master holds no signal, from its largest |value|, spread and fraction of valid pixels."""

    master_signal: Callable[..., Any]


@dataclass(frozen=True)
class PlainStack:
    """The stack as Phase 3 calls it."""

    cpu_stack_kappa: Callable[..., Any]


def _names(functions: type[Any]) -> dict[str, str]:
    """Map each field to the name that the modules give it."""
    renamed = {
        "infer_group_eqmode": "_infer_group_eqmode",
        "fullframe": "_cpu_stack_kappa_fallback_fullframe",
        "chunked": "_cpu_stack_kappa_fallback_chunked",
        "master_tile_result": "MasterTileResult",
        "master_signal": "MasterSignal",
    }
    return {field: renamed.get(field, field) for field in (f.name for f in fields(functions))}


def modules_folder() -> Path | None:
    """Give the checkout whose modules are examined; None where they are installed."""
    return _CHECKOUT if (_CHECKOUT / f"{WORKER}.py").is_file() else None


def _import(name: str) -> ModuleType:
    """Import a module under test; whatever it prints goes to stderr, never into a report."""
    folder = modules_folder()
    if folder is not None and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"{name}.py cannot be imported ({error}): run zemo-diag from its own folder, "
            "or install what the module misses"
        ) from error


def _collect(module_name: str, functions: type[Any]) -> Any:
    """Take the functions from a module; one sentence names all that are missing."""
    module = _import(module_name)
    names = _names(functions)
    missing = [name for name in names.values() if not hasattr(module, name)]
    if missing:
        raise InputError(
            f"{module_name}.py has no {', '.join(missing)}: this checkout is without the patch; "
            "put the patched module there, or run zemo-diag from its own folder"
        )
    return functions(**{field: getattr(module, name) for field, name in names.items()})


def load_phase3_functions() -> Phase3Functions:
    """Load what decides over mount mode and cleanup.

    Raises
    ------
    InputError
        Where the module cannot be imported or is from before the patch.
    """
    functions: Phase3Functions = _collect(WORKER, Phase3Functions)
    return functions


def load_stack_functions() -> StackFunctions:
    """Load the kappa-sigma variants.

    Raises
    ------
    InputError
        Where the module cannot be imported or is from before the patch.
    """
    functions: StackFunctions = _collect(ALIGN_STACK, StackFunctions)
    return functions


def load_master_tile_functions() -> MasterTileFunctions:
    """Load what builds master tiles.

    Raises
    ------
    InputError
        Where the module cannot be imported or has no such functions.
    """
    functions: MasterTileFunctions = _collect(WORKER, MasterTileFunctions)
    return functions


def load_master_signal() -> Callable[..., Any]:
    """Load what tells whether a master holds no signal.

    Raises
    ------
    InputError
        Where the module cannot be imported or has no such thing.
    """
    functions: SignalFunctions = _collect(WORKER, SignalFunctions)
    return functions.master_signal


def load_stack() -> Callable[..., Any]:
    """Load the stack as Phase 3 calls it.

    Raises
    ------
    InputError
        Where the module cannot be imported or has no such function.
    """
    functions: PlainStack = _collect(ALIGN_STACK, PlainStack)
    return functions.cpu_stack_kappa


def describe_functions_under_test() -> str:
    """Say which modules are examined, without their path."""
    return "the modules beside the tool" if modules_folder() else "the modules installed with the tool"
