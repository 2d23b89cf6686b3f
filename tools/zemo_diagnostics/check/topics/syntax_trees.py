"""Two checkouts compared by the syntax trees of their sources: nothing is imported or run, comments do not count."""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

# Folders that hold no part of the program.
_NOT_THE_PROGRAM = ("tests", "test", "benchmarks", "build", "dist", "docs")
_LARGEST_BYTES = 64 << 20

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Sources:
    """The Python files of a checkout, parsed.

    Attributes
    ----------
    files : mapping of str to str
        Text of each, its line ends made alike, by its path below the checkout.
    """

    files: Mapping[str, str]

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        """Syntax trees, of the files that can be parsed."""
        trees = {}
        for name, text in self.files.items():
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    trees[name] = ast.parse(text)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
        return trees

    @cached_property
    def functions(self) -> dict[tuple[str, str], Function]:
        """All functions and methods but those within functions: (file, dotted name)."""
        return {
            (name, dotted): function for name, tree in self.trees.items() for dotted, function in _functions(tree, "")
        }

    def text_of(self, key: tuple[str, str]) -> str:
        """Give the lines of a function."""
        function = self.functions[key]
        return "\n".join(self._lines[key[0]][function.lineno - 1 : function.end_lineno])

    @cached_property
    def _lines(self) -> dict[str, list[str]]:
        return {name: text.split("\n") for name, text in self.files.items()}

    @cached_property
    def imports(self) -> dict[str, dict[str, tuple[str, str]]]:
        """What the imports of each file bind: by name (file, name in it), the latter empty for a whole module."""
        return {name: dict(_imported(tree, self.files)) for name, tree in self.trees.items()}

    @cached_property
    def settings(self) -> dict[str, str]:
        """Keys and defaults of ``DEFAULT_CONFIG``, as source."""
        settings: dict[str, str] = {}
        for tree in self.trees.values():
            for node in tree.body:
                targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
                value = getattr(node, "value", None)
                if isinstance(value, ast.Dict) and any(getattr(one, "id", "") == "DEFAULT_CONFIG" for one in targets):
                    settings |= _keys(value)
        return settings

    @cached_property
    def options(self) -> set[tuple[str, str]]:
        """Options of command lines: (file, name)."""
        return {
            (name, str(argument.value))
            for name, tree in self.trees.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument"
            for argument in node.args
            if isinstance(argument, ast.Constant) and str(argument.value).startswith("-")
        }


def read_sources(checkout: Path) -> Sources:
    """Read the Python files of a checkout: those of the program, not its tests, environments and repositories."""
    files = {}
    for folder, folders, names in os.walk(checkout):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if not _is_skipped(here / name))
        for name in sorted(names):
            path = here / name
            if path.suffix == ".py" and path.is_file() and path.stat().st_size <= _LARGEST_BYTES:
                text = path.read_bytes().decode("utf-8", "replace")
                files[path.relative_to(checkout).as_posix()] = text.replace("\r\n", "\n").lstrip("\ufeff")
    return Sources(files)


def _is_skipped(folder: Path) -> bool:
    name = folder.name
    return name.startswith((".", "__")) or name in _NOT_THE_PROGRAM or (folder / "pyvenv.cfg").exists()


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
    """Give the functions of a module and of its classes, also those under a condition."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield f"{prefix}{child.name}", child
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        elif not isinstance(child, ast.expr):
            yield from _functions(child, prefix)


def _imported(tree: ast.Module, files: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Give the names that imports of the checkout's own modules bind, wherever they stand."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            file = _file_of(node.module or "", files)
            for alias in node.names:
                own = _file_of(f"{node.module or ''}.{alias.name}".lstrip("."), files)
                if own or file:
                    yield alias.asname or alias.name, (own, "") if own else (file, alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if file := _file_of(alias.name, files):
                    yield alias.asname or alias.name, (file, "")


def _file_of(module: str, files: Mapping[str, str]) -> str:
    """Give the file of a module of the checkout; empty for others."""
    path = module.replace(".", "/")
    return next((name for name in (f"{path}.py", f"{path}/__init__.py") if name in files), "")


def same(before: Sources, after: Sources, key: tuple[str, str]) -> bool:
    """Tell whether a function that both have is the same, its comments, docstring and place aside."""
    if before.text_of(key) == after.text_of(key):
        return True
    return _dump(before.functions[key]) == _dump(after.functions[key])


def _dump(function: Function) -> str:
    has_docstring = ast.get_docstring(function, clean=False) is not None
    body = function.body[1:] if has_docstring else function.body
    return "\n".join(ast.dump(part) for part in (function.args, *function.decorator_list, *body))


def _keys(table: ast.Dict) -> dict[str, str]:
    pairs = zip(table.keys, table.values, strict=True)
    return {str(key.value): ast.unparse(value) for key, value in pairs if isinstance(key, ast.Constant)}


def signature(function: Function) -> str:
    """Give a function's parameters as source, without annotations: they change nothing for who calls it."""
    arguments: Any = ast.parse(f"def f({ast.unparse(function.args)}): ...").body[0]
    for one in ast.walk(arguments.args):
        if isinstance(one, ast.arg):
            one.annotation = None
    return ast.unparse(arguments.args)


def reached(sources: Sources, starts: set[str]) -> set[tuple[str, str]]:
    """Find the functions that are reached from some, by the names that they use.

    Parameters
    ----------
    sources : Sources
        The checkout.
    starts : set of str
        Names of functions at the modules' own level.

    Returns
    -------
    set of (file, dotted name)
        Followed are functions of the same file, names that the file imports from others, functions of modules that it
        imports, and methods by ``self``; what is called through another object is not known, and left out.
    """
    waiting = [key for key in sources.functions if key[1] in starts]
    found: set[tuple[str, str]] = set()
    while waiting:
        key = waiting.pop()
        if key not in found and key in sources.functions:
            found.add(key)
            waiting += _used(sources, key)
    return found


def _used(sources: Sources, key: tuple[str, str]) -> set[tuple[str, str]]:
    """Give the functions that one calls, or hands on to be called."""
    file, dotted = key
    imports = sources.imports[file]
    used = set()
    for node in ast.walk(sources.functions[key]):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            used.add(imports[node.id] if imports.get(node.id, ("", ""))[1] else (file, node.id))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            of = node.value.id
            if of == "self":
                used.add((file, f"{dotted.rpartition('.')[0]}.{node.attr}"))
            elif of in imports and not imports[of][1]:
                used.add((imports[of][0], node.attr))
    return used
