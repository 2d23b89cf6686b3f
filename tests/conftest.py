"""What the tests share: where the fixtures lie, and real frames where they are at hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from zemo_diagnostics.frames.tile_decoder import close_decoder

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "fixtures"
REAL_DATA = ROOT.parent / "shared" / "data"

# A page is as wide as where there is no terminal, whoever runs the tests: readline, which pytest loads, gives its size
# of the terminal to the processes that it starts, such as the workers of pytest-xdist.
for size in ("COLUMNS", "LINES"):
    os.environ.pop(size, None)

# No example fails for being slow: as many tests run at once as there are cores.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")


@pytest.fixture(autouse=True)
def _no_decoder_is_left() -> Iterator[None]:
    """End the process that unpacks tile-compressed images, which serves a command until that ends."""
    yield
    close_decoder()


@pytest.fixture(autouse=True, scope="module")
def _nothing_of_the_users_is_touched() -> Iterator[None]:
    """Hold whatever reads the fixtures, in every command, to leaving each file as it was and none of its own."""

    def state() -> dict[Path, tuple[int, int]]:
        files = (path for path in FIXTURES.rglob("*") if path.is_file() and path.suffix != ".pyc")
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in files}

    before = state()
    yield
    assert state() == before


@pytest.fixture
def fixtures() -> Path:
    """Give the folder of simulated groups that the project carries."""
    return FIXTURES


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """Give a folder of real frames; the test is skipped where it is not at hand."""

    def folder(name: str) -> Path:
        if not (REAL_DATA / name).is_dir():
            pytest.skip(f"the real data '{name}' are not beside this checkout")
        return REAL_DATA / name

    return folder
