"""What the tests of foreign checkouts share: a user's folders that must stay as they are, and how a job is run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from zemo_diagnostics.zemosaic import jobs
from zemo_diagnostics.zemosaic.checkout import inspect_checkout
from zemo_diagnostics.zemosaic.child import Outcome, run_job
from zemo_diagnostics.zemosaic.interpreter import Interpreter

from .lookalikes import Tree

# Where the programs of any system look for their user's things.
_HOMES = ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")

Run = Callable[..., Outcome]


@pytest.fixture
def users_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    """Give a user a home and a current folder; both must be as they were at the end."""
    home, current = tmp_path / "users home", tmp_path / "users current folder"
    for folder in (home, current):
        folder.mkdir()
        (folder / "zemosaic_worker.log").write_text("the user's log\n", encoding="utf-8")
        (folder / "zemosaic_config.json").write_text('{"altaz_cleanup_enabled": true}', encoding="utf-8")
    for name in _HOMES:
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("PYTHONPATH", str(current))
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    monkeypatch.chdir(current)
    before = Tree.of(home), Tree.of(current)
    yield home, current
    assert (Tree.of(home), Tree.of(current)) == before


@pytest.fixture
def own_python() -> Interpreter:
    """Give the interpreter that runs the tests."""
    version = (sys.version_info.major, sys.version_info.minor, sys.version_info.micro)
    return Interpreter(path=Path(sys.executable), version=version, origin="the one that runs the tests")


@pytest.fixture
def run(tmp_path: Path, own_python: Interpreter, users_folders: tuple[Path, Path]) -> Run:
    """Give a way to run a job on a checkout, which must be as it was afterwards."""
    del users_folders
    folder = tmp_path / "job"
    folder.mkdir()

    def runs(checkout: Path, job: dict[str, Any], timeout_s: float = 60.0, **options: Any) -> Outcome:
        before = Tree.of(checkout)
        where = jobs.runnable(inspect_checkout(checkout), own_python)
        outcome = run_job(job, where, folder, timeout_s=timeout_s, **options)
        assert Tree.of(checkout) == before
        assert not (folder / "scratch").exists()
        return outcome

    return runs
