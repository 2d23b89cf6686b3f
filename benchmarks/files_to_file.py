"""From FITS files to a FITS file, as whole processes: zemo-diag stack, ccdproc, and Siril and Gnuastro where installed.

    python benchmarks/files_to_file.py [--frames 100] [--repeats 3] [--write]

All stack the same simulated uint16 frames with kappa-sigma rejection, with two threads where they can, in turn, in one
run. Peak memory is the kernel's own mark of each finished process.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "benchmarks")]

from common import describe_environment, replace_section, table  # noqa: E402

SIRIL_SCRIPT = """\
requires 1.0.0
setcpu 2
set16bits
stack light_ rej s 3 3 -nonorm -out=../siril.fit
"""

CCDPROC_SCRIPT = """\
import sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import numpy as np
import ccdproc
frames = sorted(str(path) for path in Path(sys.argv[1]).glob("*.fit"))
stack = ccdproc.combine(frames, method="average", unit="adu", sigma_clip=True, sigma_clip_low_thresh=3,
                        sigma_clip_high_thresh=3, sigma_clip_func=np.ma.median, mem_limit=512e6, dtype=np.float32)
stack.write(sys.argv[2], overwrite=True)
"""

IMPORT_ONLY = "import numpy, astropy.io.fits"

# In a process of its own: on Linux the mark of a child starts at its parent's peak, so this one must stay small.
MAKE_FRAMES = """\
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[1]]
from zemo_diagnostics.demo.sample_groups import write_group
folder = Path(sys.argv[2])
for number, path in enumerate(write_group("eq_only", folder, frames=int(sys.argv[3]), shape=(1920, 1080)), start=1):
    path.rename(folder / f"light_{number:05d}.fit")
"""

Command = Callable[[Path], list[str]]


def ours(folder: Path) -> list[str]:
    """Give the command line of ``zemo-diag stack``."""
    output = str(folder / "ours.fits")
    script = str(ROOT / "tools" / "zemo_diag.py")
    return [sys.executable, script, "stack", str(folder / "lights"), "-o", output, "--force", "--no-debayer"]


def siril(folder: Path) -> list[str]:
    """Give the command line of Siril's stack, average with sigma clipping."""
    script = folder / "stack.ssf"
    script.write_text(SIRIL_SCRIPT, encoding="utf-8")
    return ["siril-cli", "-d", str(folder / "lights"), "-s", str(script)]


def gnuastro(folder: Path) -> list[str]:
    """Give the command line of Gnuastro's sigma-clipped mean, one pass."""
    frames = sorted(str(path) for path in (folder / "lights").glob("*.fit"))
    output = f"--output={folder / 'gnuastro.fits'}"
    clip = [str(len(frames)), "3", "1", "sigclip-mean"]
    return ["astarithmetic", "-g0", "--numthreads=2", output, *frames, *clip]


def ccdproc(folder: Path) -> list[str]:
    """Give the command line of a script around ccdproc.combine."""
    return [sys.executable, "-c", CCDPROC_SCRIPT, str(folder / "lights"), str(folder / "ccdproc.fits")]


def import_only(_: Path) -> list[str]:
    """Give the floor under any Python program here."""
    return [sys.executable, "-c", IMPORT_ONLY]


def contestants() -> dict[str, Command]:
    """Give what can be run here, ours first."""
    found: dict[str, Command] = {"zemo-diag stack": ours, "importing numpy and astropy.io.fits": import_only}
    if shutil.which("siril-cli"):
        found["Siril, 2 threads"] = siril
    if shutil.which("astarithmetic"):
        found["Gnuastro sigclip-mean, 2 threads"] = gnuastro
    found["ccdproc.combine, 512 MB"] = ccdproc
    return found


def run_once(command: list[str]) -> tuple[float, int]:
    """Run a process to its end; its wall time, and its peak memory in bytes."""
    environment = os.environ | {"ZEMOSAIC_KAPPA_THREADS": "2", "OMP_NUM_THREADS": "2"}
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    took = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}: {said.decode('utf-8', 'replace')[-500:]}")
    return took, usage.ru_maxrss * 1024


def main() -> None:
    """Make the frames, run everything in turn, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--slow-too", action="store_true", help="repeat ccdproc and Gnuastro as well")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    results: dict[str, list[tuple[float, int]]] = {name: [] for name in contestants()}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        arguments = [str(ROOT / "tools"), str(folder / "lights"), str(options.frames)]
        subprocess.run([sys.executable, "-c", MAKE_FRAMES, *arguments], check=True)
        for turn in range(options.repeats):
            for name, command in contestants().items():
                if turn == 0 or options.slow_too or not name.startswith(("ccdproc", "Gnuastro")):
                    results[name].append(run_once(command(folder)))
                    print(f"{name}: {results[name][-1][0]:.2f} s", flush=True)
    base = median(took for took, _ in results["zemo-diag stack"])
    rows = [
        (
            name,
            f"{median(took for took, _ in runs):.2f} s",
            f"{median(took for took, _ in runs) / base:.1f}",
            f"{max(peak for _, peak in runs) >> 20} MiB",
        )
        for name, runs in results.items()
    ]
    text = table(("whole process", "time", "time, ours = 1", "peak memory"), rows)
    what = f"{options.frames} frames of 1920 × 1080 uint16, median of {options.repeats} runs"
    text = f"{what} (ccdproc and Gnuastro: one). {describe_environment('ccdproc')}\n\n{text}"
    print(text)
    if options.write:
        replace_section("files to file", text)


if __name__ == "__main__":
    main()
