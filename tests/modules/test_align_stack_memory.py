"""The memory bound of the chunked stack, as the high-water mark of a fresh process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import zemosaic_align_stack as zas

MIB = 1 << 20
PROMISED_BYTES = 64 * MIB  # over the frames and the output plane, at the default budget

CHILD = """
import contextlib, sys
import numpy as np
import zemosaic_align_stack as zas

def status(linux_key, windows_key):
    with contextlib.suppress(OSError):
        lines = open("/proc/self/status").read().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(linux_key))
    import psutil
    return getattr(psutil.Process().memory_info(), windows_key)

n, height, width, kind, path = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]
stack = zas._cpu_stack_kappa_fallback
shape = (height, width, 3)
stack(np.random.default_rng(1).random((50, 4, 4)), weights=np.ones(50))
weights = None
if kind == "memmap":
    with contextlib.suppress(ImportError):
        import resource
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    frames = [np.memmap(path, np.float32, "r", 0, shape) for _ in range(n)]
else:
    rng = np.random.default_rng(n)
    frames = [rng.standard_normal(shape, dtype=np.float32) for _ in range(n)]
    if kind == "holes":
        for frame in frames:
            frame[rng.integers(height), rng.integers(width)] = np.nan
    if kind == "weights":
        weights = np.broadcast_to(np.arange(3.0), (n, *shape))
if kind == "reference":
    stack = zas._cpu_stack_kappa_fallback_fullframe
before = status("VmRSS", "rss")
stack(frames, weights=weights)
print(status("VmHWM", "peak_wset") - before)
"""


def can_measure() -> bool:
    if Path("/proc/self/status").exists():
        return True
    try:
        import psutil
    except ImportError:
        return False
    return hasattr(psutil.Process().memory_info(), "peak_wset")


pytestmark = pytest.mark.skipif(not can_measure(), reason="no high-water mark of memory on this platform")


def peak_over_frames(n: int, height: int, width: int, kind: str, path: Path | None = None) -> int:
    """Peak memory of a stack in a fresh process, in bytes, over what it held before."""
    arguments = [str(n), str(height), str(width), kind, str(path)]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments],
        cwd=Path(zas.__file__).parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def plane_bytes(height: int, width: int) -> int:
    return height * width * 3 * 4


@pytest.mark.parametrize("kind", ["plain", "holes", "weights"])
@pytest.mark.parametrize("n", [10, 60, 120, 600])
def test_frames_in_memory(n: int, kind: str) -> None:
    height, width = (16 if n == 600 else 64), 1080
    assert peak_over_frames(n, height, width, kind) < PROMISED_BYTES + plane_bytes(height, width)


def check_thousand_memory_maps(height: int, path: Path) -> None:
    width = 1920
    rows = np.random.default_rng(1).standard_normal((height, width, 3), dtype=np.float32)
    rows.tofile(path)
    peak = peak_over_frames(1000, height, width, "memmap", path)
    assert peak < PROMISED_BYTES + plane_bytes(height, width)


needs_madvise = pytest.mark.skipif(sys.platform == "win32", reason="Windows takes mapped pages back by itself")


@needs_madvise
def test_a_thousand_memory_maps(tmp_path: Path) -> None:
    check_thousand_memory_maps(24, tmp_path / "frame.raw")  # their pages would come to 527 MiB


@needs_madvise
@pytest.mark.long
def test_a_thousand_memory_maps_of_full_height(tmp_path: Path) -> None:
    check_thousand_memory_maps(1080, tmp_path / "frame.raw")


@pytest.mark.parametrize(("n", "height"), [(2, 300), (30, 60), (600, 4)])
def test_the_estimate_of_the_reference_is_an_honest_upper_bound(n: int, height: int) -> None:
    estimate = zas.estimate_fullframe_peak_bytes(n, (height, 1080, 3))
    assert 0.75 * estimate < peak_over_frames(n, height, 1080, "reference") <= estimate
