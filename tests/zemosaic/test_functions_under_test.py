"""The modules under test are our own, from their own files; of a ZeMosaic beside the tool no line is run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import FIXTURES, ROOT
from zemo_diagnostics.errors import InputError
from zemo_diagnostics.zemosaic import functions_under_test
from zemo_diagnostics.zemosaic.functions_under_test import ALIGN_STACK, WORKER

MODULES = (f"{WORKER}.py", f"{ALIGN_STACK}.py")

# What importing a ZeMosaic does besides: its log is overwritten, here and beside it, and a configuration written.
IMPORTED_WITH_A_MARK = """\
import pathlib
for folder in (pathlib.Path(__file__).parent, pathlib.Path.cwd()):
    (folder / "zemosaic_worker.log").write_text("")
    (folder / "zemosaic_config.json").write_text("{}")
"""
BEFORE = {
    WORKER: "import zemosaic_align_stack\ndef create_master_tile(group): ...\n",
    ALIGN_STACK: "def _cpu_stack_kappa_fallback(frames): ...\n",
}
PATCHED = {
    WORKER: BEFORE[WORKER] + 'def _infer_group_eqmode(group, look_at=6):\n    return "UNKNOWN"\n',
    ALIGN_STACK: BEFORE[ALIGN_STACK]
    + "def _cpu_stack_kappa_fallback_fullframe(frames): ...\n"
    + "def _cpu_stack_kappa_fallback_chunked(frames, *, chunk_rows=64): ...\n"
    + "cpu_stack_kappa = _cpu_stack_kappa_fallback\n",
}
NEED_THE_MODULES = (
    ("kappa-parity", FIXTURES / "eq_only"),
    ("stack", FIXTURES / "eq_only", "-o", "../stack.fits"),
    ("phase3", FIXTURES / "eq_only", "-o", "../out"),
    ("phase3", "--demo", "-o", "../out"),
    ("demo",),
)


def checkout(folder: Path, modules: dict[str, str]) -> Path:
    """Make a folder that looks like a ZeMosaic into whose tools/ the tool was dropped."""
    (folder / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "zemo_diag.py", folder / "tools")
    package = Path("tools", "zemo_diagnostics")
    shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(IMPORTED_WITH_A_MARK + text, encoding="utf-8")
    (folder / "zemosaic_worker.log").write_text("the log of last night\n", encoding="utf-8")
    return folder


def state(folder: Path) -> dict[Path, tuple[int, int]]:
    """Give times and sizes of all in a folder, but for our own package."""
    paths = [path for path in (folder, *folder.rglob("*")) if "zemo_diagnostics" not in path.parts]
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in paths}


def run_in(folder: Path, *arguments: object, script: str = "tools/zemo_diag.py") -> subprocess.CompletedProcess[str]:
    """Run the tool that lies in a folder, from that folder."""
    return subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        cwd=folder,
        env=os.environ | {"PYTHONIOENCODING": "utf-8", "COLUMNS": "100"},
        check=False,
    )


@pytest.mark.parametrize("modules", [BEFORE, PATCHED], ids=["before", "patched"])
def test_nothing_of_a_zemosaic_is_imported_and_one_sentence_says_so(tmp_path: Path, modules: dict[str, str]) -> None:
    folder = checkout(tmp_path / "zemosaic", modules)
    before = state(folder)
    for arguments in NEED_THE_MODULES:
        done = run_in(folder, *arguments)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
        assert "zemosaic_worker.py" in done.stderr or "zemosaic_align_stack.py" in done.stderr
        assert "was not imported" in done.stderr
        assert "run it from its own folder or an install" in done.stderr
        assert "without the patch" not in done.stderr
    assert run_in(folder, "findings", "ZD101").returncode == 0
    run_in(folder, "masters", FIXTURES / "hard")
    assert state(folder) == before
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("modules", "row"), [(BEFORE, "EQ      off    on"), (PATCHED, "EQ      off    off (UNKNOWN)  off (UNKNOWN)")]
)
def test_put_into_a_zemosaic_gating_asks_that_and_the_patch_is_told_by_the_table(
    tmp_path: Path, modules: dict[str, str], row: str
) -> None:
    folder = checkout(tmp_path / "zemosaic", modules)
    before = state(folder)
    done = run_in(folder, "gating", FIXTURES / "mixed_by_tile")
    assert done.returncode == 0, done.stderr
    assert row in done.stdout
    assert "functions under test: ZeMosaic zemosaic_worker.py" in done.stdout
    assert "beside it" not in done.stdout
    assert "what the patch does is told by the table of known versions" in " ".join(done.stdout.split())
    assert state(folder) == before


def test_an_install_inside_a_zemosaic_has_modules_of_its_own(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "zemosaic", PATCHED)
    for name in MODULES:
        shutil.copy(ROOT / name, folder / "tools")
    before = state(folder)
    done = run_in(folder, "kappa-parity", FIXTURES / "eq_only")
    assert done.returncode == 0, done.stderr
    assert "the modules installed with the tool" in done.stdout
    changed = {path for path in set(before) ^ set(state(folder)) if "__pycache__" not in path.parts}
    assert not changed
    assert (folder / "zemosaic_worker.log").read_text(encoding="utf-8") == "the log of last night\n"


def test_a_tool_without_modules_says_where_they_belong(tmp_path: Path) -> None:
    done = run_in(checkout(tmp_path / "zemosaic", {}), "gating", FIXTURES / "eq_only")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "zemosaic_worker.py is not where it belongs" in done.stderr


def test_modules_that_come_earlier_on_the_import_path_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in PATCHED.items():
        (tmp_path / f"{name}.py").write_text(IMPORTED_WITH_A_MARK + text, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    loaded = (
        functions_under_test.load_stack_functions().chunked,
        functions_under_test.load_stack().noise_variance_weights,
        functions_under_test.load_master_tile_functions().run_phase3_master_tiles,
    )
    assert {Path(function.__code__.co_filename).parent for function in loaded} == {ROOT}
    assert sys.modules[WORKER].align_stack is sys.modules[ALIGN_STACK]
    assert not (tmp_path / "zemosaic_worker.log").exists()


def test_a_module_that_misses_a_library_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / f"{ALIGN_STACK}.py").read_text(encoding="utf-8")
    (tmp_path / f"{ALIGN_STACK}.py").write_text(f"{text}\nimport no_such_library\n", encoding="utf-8")
    monkeypatch.setattr(functions_under_test, "_TOOLS", tmp_path / "tools")
    monkeypatch.delitem(sys.modules, ALIGN_STACK)
    with pytest.raises(InputError, match=r"zemosaic_align_stack\.py cannot be imported .*no_such_library"):
        functions_under_test.load_stack()
    assert ALIGN_STACK not in sys.modules
