"""Headers per second: zemo-diag's scan, ccdproc.ImageFileCollection, and a plain loop of astropy's getheader.

    python benchmarks/headers.py [--files 10000] [--repeats 3] [--write]

All three read the same simulated files in one run, in turn; what counts are the ratios.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(ROOT / "benchmarks")]

from common import describe_environment, replace_section, table  # noqa: E402

from zemo_diagnostics.demo.sample_groups import write_group  # noqa: E402
from zemo_diagnostics.frames.entries import scan_folder  # noqa: E402

KEYWORDS = ["eqmode", "ra", "dec", "naxis1", "naxis2", "creator", "telescop"]


def scan(folder: Path) -> int:
    """Read the headers as ``zemo-diag gating`` does."""
    return len(scan_folder(folder).frames)


def loop_getheader(folder: Path) -> int:
    """Read the headers with astropy.io.fits.getheader, one by one, and take the same cards."""
    from astropy.io import fits

    headers = [fits.getheader(path) for path in sorted(folder.iterdir())]
    return sum(all(header.get(key) is not None for key in KEYWORDS) for header in headers)


def image_file_collection(folder: Path) -> int:
    """Read the headers with ccdproc, which tabulates the cards that it is asked for."""
    from ccdproc import ImageFileCollection

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return len(ImageFileCollection(folder, keywords=KEYWORDS).summary)


def readers() -> dict[str, Callable[[Path], int]]:
    """Give the readers that can run here."""
    found: dict[str, Callable[[Path], int]] = {"zemo-diag scan": scan, "astropy getheader loop": loop_getheader}
    if importlib.util.find_spec("ccdproc"):
        found["ccdproc.ImageFileCollection"] = image_file_collection
    return found


def measure(folder: Path, files: int, repeats: int) -> list[tuple[str, str, str]]:
    """Time each reader in turn; give its name, headers per second, and the ratio to the scan."""
    times: dict[str, list[float]] = {name: [] for name in readers()}
    for _ in range(repeats):
        for name, read in readers().items():
            started = time.perf_counter()
            count = read(folder)
            times[name].append(time.perf_counter() - started)
            if count != files:
                raise SystemExit(f"{name} read {count} of {files} headers")
    ours = median(times["zemo-diag scan"])
    return [(name, f"{files / median(took):,.0f}", f"{median(took) / ours:.1f}") for name, took in times.items()]


def main() -> None:
    """Make the files, measure, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        write_group("eq_only", Path(temporary), frames=options.files, shape=(8, 6))
        rows = measure(Path(temporary), options.files, options.repeats)
    text = table(("reader", "headers per second", "time, ours = 1"), rows)
    text = f"{options.files:,} Seestar headers, median of {options.repeats}. {describe_environment()}\n\n{text}"
    print(text)
    if options.write:
        replace_section("headers", text)


if __name__ == "__main__":
    main()
