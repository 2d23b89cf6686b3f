"""What a change leaves alone: small checkouts before and after, changed in one place."""

from __future__ import annotations

from pathlib import Path

import pytest

from zemo_diagnostics.check.data import RunChecks, Status
from zemo_diagnostics.check.topics.syntax_trees import Sources, reached, signature

from .conftest import Ask, codes

FILES = {
    "zemosaic_worker.py": '''
import zemosaic_utils
from zemosaic_align_stack import _cpu_stack_kappa_fallback, stack as stacked

def create_master_tile(group, tile_id, *, norm="none"):
    return stacked(group)

def assemble_global_mosaic_sds(groups, *, batch=4):
    """Assemble."""
    def one(group):
        return _cpu_stack_kappa_fallback(group)
    return zemosaic_utils.save([one(group) for group in groups])

class Worker:
    def start(self, mode):
        return self._started(mode)

    def _started(self, mode):
        return mode
''',
    "zemosaic_align_stack.py": """
def _cpu_stack_kappa_fallback(frames, *, sigma_low=3.0):
    return frames

def stack(frames):
    return frames
""",
    "zemosaic_utils.py": """
def save(tiles):
    return tiles

def unused(tiles):
    return tiles
""",
    "zemosaic_config.py": 'DEFAULT_CONFIG = {"altaz_cleanup_enabled": False, "sds_mode_default": False}\n',
    "grid_mode.py": "def run_grid_mode(folder, overlap=0.1):\n    return folder\n",
    "tools/old.py": """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--overlap", "-o")
""",
}


def write(folder: Path, changes: dict[str, tuple[str, str]]) -> Path:
    for name, text in FILES.items():
        old, new = changes.get(name, ("", ""))
        assert old in text
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace(old, new) if old else text, encoding="utf-8")
    return folder


def compare(ask: Ask, folder: Path, **changes: tuple[str, str]) -> RunChecks:
    named = {name.replace("__", "/") + ".py": change for name, change in changes.items()}
    return ask(write(folder / "after", named), "ZC7", before=write(folder / "before", {}))


def test_the_same_is_the_same(ask: Ask, tmp_path: Path) -> None:
    run = compare(ask, tmp_path)
    assert codes(run, Status.PASS) == [f"ZC70{i}" for i in range(1, 7)]


@pytest.mark.parametrize(
    "change",
    [
        {"zemosaic_worker": ('    """Assemble."""\n', '    """Assemble all."""\n    # in batches\n')},
        {"zemosaic_worker": ("    return stacked(group)\n", "    return stacked(list(group))\n")},
        {
            "zemosaic_worker": (
                "def create_master_tile(group,",
                "def helper(x):\n    return x\n\ndef create_master_tile(group,",
            )
        },
        {"zemosaic_align_stack": ("sigma_low=3.0):\n    return frames", "sigma_low=3.0):\n    return list(frames)")},
        {"zemosaic_worker": ("tile_id, *, norm", "tile_id: int, *, norm: str")},
        {"zemosaic_worker": ("    def _started(self, mode):", "    def _started(self, mode, more=None):")},
    ],
    ids=["comments", "another function", "a new function", "the fallback", "annotations", "a private method"],
)
def test_what_a_patch_may_do(ask: Ask, tmp_path: Path, change: dict[str, tuple[str, str]]) -> None:
    assert codes(compare(ask, tmp_path, **change), Status.FAIL) == []


@pytest.mark.parametrize(
    ("change", "failed", "told"),
    [
        ({"grid_mode": ("return folder", "return folder or '.'")}, ["ZC701", "ZC706"], "grid_mode.py: run_grid_mode"),
        ({"grid_mode": ("def run", "# faster\ndef run")}, ["ZC701", "ZC706"], "outside of its functions"),
        (
            {"zemosaic_worker": ("*, norm", "more=1, *, norm")},
            ["ZC702"],
            "create_master_tile takes other parameters (new: more)",
        ),
        ({"zemosaic_worker": ('norm="none"', 'norm="fit"')}, ["ZC702"], "another order or default"),
        ({"zemosaic_worker": ("def start", "def begin")}, ["ZC702"], "Worker.start is gone"),
        ({"zemosaic_align_stack": ("sigma_low=3.0", "kappa_low=3.0")}, ["ZC702"], "(new: kappa_low; gone: sigma_low)"),
        ({"zemosaic_config": ('"sds_mode_default"', '"sds_mode"')}, ["ZC703", "ZC706"], "sds_mode_default is gone"),
        ({"zemosaic_config": ('enabled": False', 'enabled": True')}, ["ZC703", "ZC706"], "is True, was False"),
        ({"tools__old": ('"-o"', '"-f"')}, ["ZC704", "ZC706"], "tools/old.py: -o is gone"),
        (
            {"zemosaic_worker": ("for group in groups]", "for group in groups[:9]]")},
            ["ZC705"],
            "assemble_global_mosaic_sds",
        ),
        (
            {"zemosaic_utils": ("save(tiles):\n    return tiles", "save(tiles):\n    return []")},
            ["ZC705", "ZC706"],
            "zemosaic_utils.py: save",
        ),
        (
            {"zemosaic_utils": ("unused(tiles):\n    return tiles", "unused(tiles):\n    return []")},
            ["ZC706"],
            "zemosaic_utils.py is changed",
        ),
    ],
)
def test_what_a_patch_must_not_do(
    ask: Ask, tmp_path: Path, change: dict[str, tuple[str, str]], failed: list[str], told: str
) -> None:
    run = compare(ask, tmp_path, **change)
    assert codes(run, Status.FAIL) == failed
    assert any(told in line for one in run.results for line in one.evidence)


def test_without_a_checkout_before_nothing_is_compared(ask: Ask, tmp_path: Path) -> None:
    run = ask(write(tmp_path, {}), "ZC7")
    assert codes(run, Status.SKIP) == [f"ZC70{i}" for i in range(1, 7)]


def test_files_that_are_new_gone_or_cannot_be_parsed(ask: Ask, tmp_path: Path) -> None:
    after, before = write(tmp_path / "after", {}), write(tmp_path / "before", {})
    (after / "tools" / "old.py").unlink()
    (after / "new.py").write_text("print 'Python 2'\n", encoding="utf-8")
    (after / ".venv").mkdir()
    (after / ".venv" / "hidden.py").write_text("", encoding="utf-8")
    run = ask(after, "ZC7", before=before)
    assert codes(run, Status.FAIL) == ["ZC704", "ZC706"]
    assert run.results[-1].evidence == ("new.py is new", "tools/old.py is gone")
    assert run.before is not None


def test_the_path_of_calls_follows_imports_and_methods() -> None:
    sources = Sources(dict(FILES.items()))
    assert reached(sources, {"assemble_global_mosaic_sds"}) == {
        ("zemosaic_worker.py", "assemble_global_mosaic_sds"),
        ("zemosaic_align_stack.py", "_cpu_stack_kappa_fallback"),
        ("zemosaic_utils.py", "save"),
    }
    assert ("zemosaic_align_stack.py", "stack") in reached(sources, {"create_master_tile"})
    assert ("zemosaic_worker.py", "Worker._started") in reached(sources, {"Worker.start"})


def test_annotations_are_no_part_of_a_signature() -> None:
    sources = Sources({"a.py": "def f(x: int, /, y: 'str' = 'z', *more: float, k, **rest: int) -> int: ...\n"})
    assert signature(sources.functions["a.py", "f"]) == "x, /, y='z', *more, k, **rest"
