"""What a ZeMosaic checkout has, found by looking at its sources: nothing of it is imported or run."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from ..errors import InputError
from .identity import Identity, identify
from .master_settings import KNOWN_ARGUMENTS
from .runner import ALIGN_STACK, HOMES, WORKER

CONFIG = "zemosaic_config"

_Definition = ast.FunctionDef | ast.AsyncFunctionDef

_LARGEST_SOURCE_BYTES = 64 << 20
_LEVELS_UP = 2  # from a file in tools/x/ or core/

# Settings that tell versions apart, looked for among the texts of the worker.
_MARKS = ("altaz_unknown_policy",)

_PYTHON_2 = re.compile(r"^\s*(print\s+[^\s(=]|exec\s+[\"']|except\s+[\w.]+\s*,\s*\w+\s*:|raise\s+\w+\s*,)", re.M)


class ModuleState(str, Enum):
    """Whether a module can be read."""

    READABLE = "readable"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    NOT_TEXT = "not text"
    PYTHON_2 = "Python 2"
    SYNTAX_ERROR = "syntax error"


class Presence(str, Enum):
    """Whether a checkout has a function."""

    PRESENT = "present"
    ABSENT = "absent"
    OTHER_SIGNATURE = "other signature"
    NOT_KNOWN = "not known"


@dataclass(frozen=True, kw_only=True)
class Module:
    """A module of a checkout: its state, and one sentence where it cannot be read."""

    name: str
    state: ModuleState
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function of a checkout.

    Attributes
    ----------
    name, module : str
        Its name, and the module where it belongs.
    presence : Presence
        Whether it is there, and can be called as we call it.
    parameters : tuple of str
        Names of its parameters, in their order; ``"**name"`` for one that takes any keyword.
    required : tuple of str
        Those without a default.
    told : str
        One sentence: what its state lets us judge, or not.
    """

    name: str
    module: str
    presence: Presence
    parameters: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    told: str = ""

    @property
    def is_there(self) -> bool:
        """Whether it can be called."""
        return self.presence is Presence.PRESENT

    def accepts(self, keyword: str) -> bool:
        """Tell whether it takes a keyword."""
        return keyword in self.parameters or any(name.startswith("**") for name in self.parameters)


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A ZeMosaic checkout, as it looks.

    Attributes
    ----------
    folder : Path
        Where its modules lie.
    modules : mapping of str to Module
        The two that we judge, by their names.
    functions : mapping of str to Function
        All that we might call, by their names.
    defines : frozenset of str
        Names of all functions at the modules' own level.
    marks : frozenset of str
        Settings that tell versions apart and are named in its worker.
    identity : Identity
        Which one it is.
    installed : bool
        Whether the folder is one of installed packages: then nothing but the two modules is ZeMosaic's.
    settings_beside : bool
        Whether a settings file of its user lies beside its modules, which versions from 2026-04 on read.
    """

    folder: Path
    modules: Mapping[str, Module]
    functions: Mapping[str, Function]
    defines: frozenset[str]
    marks: frozenset[str]
    identity: Identity
    installed: bool
    settings_beside: bool

    @property
    def problems(self) -> tuple[str, ...]:
        """One sentence for each module that cannot be read."""
        return tuple(module.problem for module in self.modules.values() if module.problem)


# What each function is needed for, and how it is called: positional arguments, then keywords.
_KAPPA_CALL = (1, ("sigma_low", "sigma_high", "weights", "progress_callback"))
_CALLS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "_infer_group_eqmode": ("the mount mode that it gives a group", 1, ()),
    "_selftest_infer_group_eqmode": ("its own test of the mount mode", 0, ()),
    "_entry_is_seestar": ("whether it takes a frame for a Seestar's", 1, ()),
    "create_master_tile": ("the master tiles that it builds", 3, ("progress_callback",)),
    "_cpu_stack_kappa_fallback": ("its kappa-sigma stack", *_KAPPA_CALL),
    "_cpu_stack_kappa_fallback_fullframe": ("its kappa-sigma stack of whole frames", *_KAPPA_CALL),
    "_cpu_stack_kappa_fallback_chunked": (
        "its kappa-sigma stack by bands of rows", 1, (*_KAPPA_CALL[1], "chunk_rows"),
    ),
    "_selftest_cpu_kappa_chunk_equivalence": ("its own test of the stack by bands", 0, ()),
    "align_images_in_group": (
        "what it does outside a frame's footprint", 1, ("reference_image_index", "propagate_mask", "progress_callback"),
    ),
}  # fmt: skip


def find_checkout(path: Path) -> Path:
    """Find a checkout from itself, its ``tools/`` folder, or a file in it.

    Raises
    ------
    InputError
        There is none.
    """
    path = path.expanduser().absolute()
    if not path.exists():
        raise InputError(f"no such folder: '{path.name}'; name the folder that holds {WORKER}.py")
    start = path if path.is_dir() else path.parent
    for folder in (start, *start.parents[:_LEVELS_UP]):
        if has_modules(folder):
            return folder
    raise InputError(f"'{path.name}' is no ZeMosaic checkout: neither {WORKER}.py nor {ALIGN_STACK}.py lies in it")


def has_modules(folder: Path) -> bool:
    """Tell whether a folder has one of the modules that we judge."""
    return any((folder / f"{name}.py").is_file() for name in (WORKER, ALIGN_STACK))


def inspect_checkout(path: Path) -> Checkout:
    """Tell what a checkout has, by looking.

    Parameters
    ----------
    path : Path
        The checkout, its ``tools/`` folder, or a file in it.

    Raises
    ------
    InputError
        It is no ZeMosaic checkout.
    """
    folder = find_checkout(path)
    sources = {name: _read_source(folder, name) for name in (WORKER, ALIGN_STACK)}
    there = {f"{name}.py": folder / f"{name}.py" for name in sources if (folder / f"{name}.py").is_file()}
    return Checkout(
        folder=folder,
        modules={name: source.module for name, source in sources.items()},
        functions={name: _look_at(name, sources[home].tree) for name, home in HOMES.items()},
        defines=frozenset(node.name for source in sources.values() for node in _definitions(source.tree)),
        marks=frozenset(mark for mark in _MARKS if re.search(rf"[\"']{mark}[\"']", sources[WORKER].text)),
        identity=identify(folder, there),
        installed=folder.name in ("site-packages", "dist-packages"),
        settings_beside=(folder / f"{CONFIG}.json").is_file(),
    )


@dataclass(frozen=True)
class _Source:
    """A module as it was read; without a tree where it cannot be parsed."""

    module: Module
    text: str = ""
    tree: ast.Module | None = None


def _read_source(folder: Path, name: str) -> _Source:
    """Parse a module, or say in one sentence why that cannot be done."""
    path = folder / f"{name}.py"
    if not path.is_file():
        return _bad(path, ModuleState.MISSING, "is missing")
    try:
        text = _source_text(path)
    except OSError as error:
        return _bad(path, ModuleState.UNREADABLE, f"cannot be read ({error.strerror or error})")
    except (SyntaxError, UnicodeDecodeError) as error:
        return _bad(path, ModuleState.NOT_TEXT, f"is not text in UTF-8, nor in what its first lines name: {error}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text, path.name)
    except SyntaxError as error:
        if _PYTHON_2.search(text):
            return _bad(path, ModuleState.PYTHON_2, f"is Python 2 (line {error.lineno}): 3.10 or later is needed")
        ours = f"{sys.version_info.major}.{sys.version_info.minor}"
        return _bad(path, ModuleState.SYNTAX_ERROR, f"is no Python {ours}: {error.msg} in line {error.lineno}")
    except (ValueError, RecursionError, MemoryError) as error:
        return _bad(path, ModuleState.SYNTAX_ERROR, f"cannot be parsed: {error}")
    return _Source(Module(name=name, state=ModuleState.READABLE), text, tree)


def _source_text(path: Path) -> str:
    """Decode a source as Python does: by its mark or its first lines, else as UTF-8."""
    if path.stat().st_size > _LARGEST_SOURCE_BYTES:
        raise OSError(f"it is larger than {_LARGEST_SOURCE_BYTES >> 20} MiB")
    content = path.read_bytes()
    encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    return content.decode(encoding)


def _bad(path: Path, state: ModuleState, what: str) -> _Source:
    return _Source(Module(name=path.stem, state=state, problem=f"{path.name} {what}"))


def _look_at(name: str, tree: ast.Module | None) -> Function:
    """Find a function in its module, and tell whether it can be called as we call it."""
    home, (purpose, positional, keywords) = HOMES[name], _CALLS[name]
    if tree is None:
        told = f"{home}.py cannot be read: {purpose} cannot be judged"
        return Function(name=name, module=home, presence=Presence.NOT_KNOWN, told=told)
    definition = _definition(name, tree)
    if definition is None:
        told = f"there is no {name}: {purpose} cannot be judged"
        return Function(name=name, module=home, presence=Presence.ABSENT, told=told)
    names, required = _parameters(definition.args)
    if name == "create_master_tile":
        keywords = (*keywords, *(one for one in names if one in KNOWN_ARGUMENTS))
    complaint = _complaint(definition.args, names, required, positional, keywords)
    told = f"{purpose} can be judged"
    if complaint:
        told = f"{name} takes other parameters ({complaint}): {purpose} cannot be judged"
    presence = Presence.OTHER_SIGNATURE if complaint else Presence.PRESENT
    return Function(name=name, module=home, presence=presence, parameters=names, required=required, told=told)


def _parameters(arguments: ast.arguments) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """List the names of a definition's parameters, and of those without a default."""
    positional = [*arguments.posonlyargs, *arguments.args]
    required = positional[: len(positional) - len(arguments.defaults)]
    required += [one for one, given in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if given is None]
    names = [one.arg for one in (*positional, *arguments.kwonlyargs)]
    if arguments.kwarg:
        names.append(f"**{arguments.kwarg.arg}")
    return tuple(names), tuple(one.arg for one in required)


def _complaint(
    arguments: ast.arguments,
    names: Sequence[str],
    required: Sequence[str],
    positional: int,
    keywords: Sequence[str],
) -> str:
    """Say why a function cannot be called as we call it; empty where it can."""
    by_place = [one.arg for one in (*arguments.posonlyargs, *arguments.args)]
    if len(by_place) < positional and arguments.vararg is None:
        return f"it takes {len(by_place)} arguments by their place, not {positional}"
    unknown = [one for one in keywords if one not in names and arguments.kwarg is None]
    if unknown:
        return f"it has no {', '.join(unknown)}"
    wanted = [one for one in required if one not in by_place[:positional] and one not in keywords]
    return f"it also wants {', '.join(wanted)}" if wanted else ""


def _definition(name: str, tree: ast.Module) -> _Definition | None:
    """Find the definition of a function; of several the last counts."""
    found = [node for node in _definitions(tree) if node.name == name]
    return found[-1] if found else None


def _definitions(node: ast.AST | None) -> Iterator[_Definition]:
    """Give the definitions of functions at a module's own level, also those under a condition."""
    for child in () if node is None else ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield child
        elif not isinstance(child, (ast.ClassDef, ast.expr)):
            yield from _definitions(child)


def default_settings(folder: Path) -> dict[str, Any]:
    """Read the settings that a checkout has by default, without importing it.

    Returns
    -------
    dict
        The plain values of ``DEFAULT_CONFIG`` in ``zemosaic_config.py``; empty where there is none that can be read.
    """
    tree = _read_source(folder, CONFIG).tree
    for node in [] if tree is None else tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        value = getattr(node, "value", None)
        if "DEFAULT_CONFIG" in names and isinstance(value, ast.Dict):
            return dict(_literals(value))
    return {}


def _literals(table: ast.Dict) -> Iterator[tuple[str, Any]]:
    for key, value in zip(table.keys, table.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            try:
                yield key.value, ast.literal_eval(value)
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                continue
