"""The rules of the house: which package may import which, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

TOOLS = ROOT / "tools"
PACKAGE = TOOLS / "zemo_diagnostics"
NAME = PACKAGE.name

# Packages that every command may use; what else is a folder is a command.
SHARED = {"frames", "machine", "reports", "schema", "zemosaic"}
COMMANDS = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name not in SHARED | {"__pycache__"}}
LARGEST_FOLDER = 20
MANY_FIELDS = 5


def imported(path: Path, root: Path = TOOLS) -> Iterator[str]:
    """Give the full name of every module that a file imports, also within functions and for types alone."""
    parts = path.relative_to(root).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parts[: len(parts) - node.level]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def test_the_rules_can_fail(tmp_path: Path) -> None:
    file = tmp_path / "zemo_diagnostics" / "reports" / "x.py"
    file.parent.mkdir(parents=True)
    file.write_text("from ..gating import tell\nimport click\n\ndef f():\n    from .document import Row\n", "utf-8")
    expected = ["zemo_diagnostics.gating.tell", "click", "zemo_diagnostics.reports.document.Row"]
    assert sorted(imported(file, tmp_path)) == sorted(expected)


def package_of(module: str) -> str:
    """Give the package of the tools that a module belongs to; empty for others."""
    parts = module.split(".")
    return parts[1] if parts[0] == NAME and len(parts) > 1 else ""


@pytest.mark.parametrize("package", sorted(SHARED - {"schema"}))
def test_what_commands_share_imports_no_command(package: str) -> None:
    allowed = SHARED if package == "reports" else SHARED - {"reports"}
    for path in files(PACKAGE / package):
        used = {package_of(module) for module in imported(path)}
        assert not used & (COMMANDS | (SHARED - allowed)), path


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_command_imports_no_others_words_or_checks(command: str) -> None:
    for path in files(PACKAGE / command):
        for module in imported(path):
            package = package_of(module)
            if package in COMMANDS - {command}:
                assert not {"tell", "checks"} & set(module.split(".")[2:]), f"{path}: {module}"


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_command_knows_no_renderer(command: str) -> None:
    formats = {"terminal", "markdown", "json_document", "formats", "layout"}
    for path in files(PACKAGE / command):
        for module in imported(path):
            if package_of(module) == "reports":
                assert module.split(".")[2] not in formats, f"{path}: {module}"


def test_the_modules_for_zemosaic_import_no_tool() -> None:
    for name in ("zemosaic_worker.py", "zemosaic_align_stack.py"):
        used = {module.split(".")[0] for module in imported(ROOT / name, ROOT)}
        assert not used & {NAME, "zemo_diag", "click", "rich"}


def many_fields_by_position(text: str) -> list[str]:
    """Name the dataclasses of a source text that have many fields and may be built without naming them."""
    classes = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef))
    made = {node: " ".join(map(ast.unparse, node.decorator_list)) for node in classes}
    return [
        node.name
        for node, decorators in made.items()
        if "dataclass" in decorators
        and "kw_only=True" not in decorators
        and sum(isinstance(line, ast.AnnAssign) for line in node.body) >= MANY_FIELDS
    ]


def test_what_has_many_fields_is_built_by_their_names() -> None:
    assert many_fields_by_position("@dataclass\nclass X:\n" + "".join(f"    f{i}: int\n" for i in range(5))) == ["X"]
    sources = [path for path in files(ROOT) if ".venv" not in path.parts]
    assert sources
    assert {path: found for path in sources if (found := many_fields_by_position(path.read_text("utf-8")))} == {}


def test_no_folder_is_too_full_to_be_overlooked() -> None:
    folders = {path.parent for path in files(ROOT) if ".venv" not in path.parts}
    assert {folder for folder in folders if len(list(folder.glob("*.py"))) > LARGEST_FOLDER} == set()
