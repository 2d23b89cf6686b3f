"""The memory of this process, and the highest it ever was, as the kernel keeps it.

Only a fresh process tells the truth: a forked child, and ``ru_maxrss`` on Linux even of a spawned one, starts at its
parent's peak.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class MemoryReading:
    """Resident memory now and at its highest, bytes, and how the latter was read."""

    rss_bytes: int
    peak_bytes: int
    method: str


def read_memory() -> MemoryReading:
    """Read this process's resident memory and its high-water mark."""
    if _STATUS.exists():
        fields = _status_fields()
        if "VmHWM" in fields and "VmRSS" in fields:
            return MemoryReading(fields["VmRSS"], fields["VmHWM"], "VmHWM")
    info = psutil.Process().memory_info()
    peak = getattr(info, "peak_wset", None)  # Windows
    if peak is not None:
        return MemoryReading(int(info.rss), int(peak), "peak working set")
    return MemoryReading(int(info.rss), _maxrss_bytes(), "ru_maxrss")


def reset_peak() -> bool:
    """Bring the high-water mark down to what is resident now, where the kernel offers that (Linux).

    Returns
    -------
    bool
        False where it does not: then the mark also covers what went before.
    """
    before = read_memory()
    with contextlib.suppress(OSError):
        _CLEAR_REFS.write_text("5", encoding="ascii")
    return read_memory().peak_bytes < before.peak_bytes or before.peak_bytes <= before.rss_bytes


def _status_fields() -> dict[str, int]:
    """Read the sizes in ``/proc/self/status``, bytes."""
    sizes: dict[str, int] = {}
    for line in _STATUS.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        number, _, unit = value.strip().partition(" ")
        if unit == "kB":
            sizes[key] = int(number) * 1024
    return sizes


def _maxrss_bytes() -> int:
    """Read ``ru_maxrss``: bytes on macOS, KiB elsewhere."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
