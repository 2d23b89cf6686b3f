"""Peak memory against the number of frames, at the default budget: the chunked stack and the reference.

    python benchmarks/peak_memory.py [--write]

Each point is a fresh process that opens N lazy frames (memory maps of one file) of a few colour rows, 1080 wide, notes
its memory, stacks, and reads the kernel's high-water mark. The reference is run where it stays under 6 GiB.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(ROOT / "benchmarks")]

from common import describe_environment, replace_section, table  # noqa: E402

import zemosaic_align_stack as z  # noqa: E402

COUNTS = (10, 30, 60, 120, 300, 600, 1000)
SHAPE = (240, 1080, 3)
REFERENCE_LIMIT_BYTES = 6 << 30

CHILD = """\
import sys
sys.path[:0] = sys.argv[1:3]
import numpy as np
import zemosaic_align_stack as z
from zemo_diagnostics.machine.peak_memory import read_memory, reset_peak
frames = [np.memmap(sys.argv[3], np.float32, "r", shape=(240, 1080, 3)) for _ in range(int(sys.argv[4]))]
reset_peak(); before = read_memory()
getattr(z, sys.argv[5])(frames)
print(read_memory().peak_bytes - before.rss_bytes)
"""


def peak_mib(file: Path, count: int, function: str) -> float:
    """Measure one stack in a process of its own: its peak over its baseline, MiB."""
    arguments = [str(ROOT), str(ROOT / "tools"), str(file), str(count), function]
    done = subprocess.run([sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, check=True)
    return int(done.stdout) / 2**20


def measure(file: Path) -> list[tuple[int, float, float | None]]:
    """Measure every count: frames, the chunked stack's peak, the reference's where it is run."""
    points = []
    for count in COUNTS:
        small = z.estimate_fullframe_peak_bytes(count, SHAPE) < REFERENCE_LIMIT_BYTES
        full = peak_mib(file, count, "_cpu_stack_kappa_fallback_fullframe") if small else None
        points.append((count, peak_mib(file, count, "_cpu_stack_kappa_fallback"), full))
        print(points[-1], flush=True)
    return points


def draw(points: list[tuple[int, float, float | None]], path: Path) -> None:
    """Draw the two curves and the bound."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    bound = z.DEFAULT_BUDGET_MIB + np.prod(SHAPE) * 4 / 2**20
    figure, axes = plt.subplots(figsize=(7.2, 4.2), dpi=110)
    whole = [(count, full) for count, _, full in points if full is not None]
    axes.plot(*zip(*whole, strict=True), "o-", color="#c04a2b", label="full frame (the reference)")
    axes.plot([p[0] for p in points], [p[1] for p in points], "o-", color="#2b6cc0", label="chunked")
    axes.axhline(bound, color="#2b6cc0", linestyle=":", label="budget and output plane")
    axes.set(xscale="log", yscale="log", xlabel="frames", ylabel="peak over baseline, MiB")
    axes.set_title(f"Peak memory, frames of {' × '.join(map(str, SHAPE))} float32")
    axes.grid(which="both", alpha=0.25)
    axes.legend()
    figure.tight_layout()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path)


def main() -> None:
    """Measure, and print or write table and picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put table and picture into docs/")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary, "frame.raw")
        np.random.default_rng(1).normal(1000, 20, SHAPE).astype(np.float32).tofile(file)
        points = measure(file)
    rows = [(str(n), f"{chunked:.0f} MiB", f"{full:,.0f} MiB" if full else "not run") for n, chunked, full in points]
    text = table(("frames", "chunked", "full frame"), rows)
    picture = "![Peak memory against the number of frames](images/peak_memory.png)"
    text = f"Frames of 240 × 1080 × 3 float32. {describe_environment()}\n\n{text}\n\n{picture}"
    print(text)
    if options.write:
        draw(points, ROOT / "docs" / "images" / "peak_memory.png")
        replace_section("peak memory", text)


if __name__ == "__main__":
    main()
