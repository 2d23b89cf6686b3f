"""Checkouts that look like ZeMosaic, written by the tests, and trees that must stay as they are."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

WORKER = '''
"""A stand-in for ZeMosaic's worker."""

import zemosaic_align_stack

{at_import}
MODES = {{1: "EQ", 0: "ALT_AZ"}}


def _infer_group_eqmode(group):
    for entry in group:
        if entry.get("EQMODE") in MODES:
            return MODES[entry["EQMODE"]]
    return "UNKNOWN"


def _selftest_infer_group_eqmode():
    assert _infer_group_eqmode([{{"EQMODE": 1}}]) == "EQ"


def create_master_tile(group, tile_id, output, *, altaz_cleanup_enabled, progress_callback):
    progress_callback("building", 50.0, "INFO", tile_id=tile_id)
    return (None, None), [[{{**group[0], "retry_attempt": 1}}]]
'''

ALIGN_STACK = '''
"""A stand-in for ZeMosaic's stacking."""

import numpy as np

{at_import}


def _cpu_stack_kappa_fallback(frames, *, sigma_low=3.0, sigma_high=3.0, weights=None, progress_callback=None):
    stack = np.stack([np.asarray(frame, np.float32) for frame in frames])
    if progress_callback is not None:
        progress_callback("stacked", 100.0, "DEBUG_DETAIL")
    if weights is not None:
        stack = stack * np.asarray(weights, np.float32)
    return stack.mean(axis=0), 0.0


def align_images_in_group(image_data_list, reference_image_index=0, propagate_mask=False, progress_callback=None):
    return list(image_data_list), []
'''


def write_lookalike(folder: Path, *, worker_import: str = "", align_import: str = "", worker: str = WORKER) -> Path:
    """Write a checkout whose modules do something of their own when they are imported."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "zemosaic_worker.py").write_text(
        worker.format(at_import=textwrap.dedent(worker_import)) if worker is WORKER else worker, encoding="utf-8"
    )
    (folder / "zemosaic_align_stack.py").write_text(
        ALIGN_STACK.format(at_import=textwrap.dedent(align_import)), encoding="utf-8"
    )
    (folder / "zemosaic_worker.log").write_text("the log that its user wants to attach\n", encoding="utf-8")
    (folder / "locales").mkdir(exist_ok=True)
    (folder / "locales" / "fr.json").write_text("{}", encoding="utf-8")
    (folder / "output").mkdir(exist_ok=True)
    (folder / "output" / "mosaic.fits").write_bytes(b"SIMPLE  =" + bytes(200))
    return folder


@dataclass(frozen=True)
class Tree:
    """All that is in a folder: names, sizes, times, bytes."""

    entries: tuple[tuple[str, int, int, bytes], ...]

    @classmethod
    def of(cls, folder: Path) -> Tree:
        """Take a folder as it is."""
        described = []
        for path in sorted((folder, *folder.rglob("*"))):
            stat = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            described.append((path.relative_to(folder).as_posix(), stat.st_size, stat.st_mtime_ns, content))
        return cls(tuple(described))

    def names(self) -> list[str]:
        """Give the names in it."""
        return [name for name, *_ in self.entries]
