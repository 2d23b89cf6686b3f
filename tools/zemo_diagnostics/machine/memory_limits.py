"""How much memory this process may still take: what the machine has free, and the limit of its container.

psutil sees the host's memory inside a container, so the cgroup's limit (v2, then v1) is taken into account.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

CGROUP_ROOT = Path("/sys/fs/cgroup")
SELF_CGROUP = Path("/proc/self/cgroup")

# cgroup v1 writes a number near 2**63 for "no limit".
_NO_LIMIT_BYTES = 1 << 60


@dataclass(frozen=True)
class MemoryLimit:
    """Bytes that may still be taken, and what says so."""

    available_bytes: int
    source: str


def total_memory_bytes() -> int:
    """Give the memory of the machine, or of its container where that is less."""
    limit = _cgroup_limit()
    total = int(psutil.virtual_memory().total)
    return min(total, limit[0]) if limit else total


def available_memory() -> MemoryLimit:
    """Give what may still be taken: free memory, or what is left of the cgroup's limit where that is less."""
    free = int(psutil.virtual_memory().available)
    limit = _cgroup_limit()
    if limit is not None:
        left = max(0, limit[0] - limit[1])
        if left < free:
            return MemoryLimit(left, "cgroup limit")
    return MemoryLimit(free, "free memory")


def _cgroup_limit() -> tuple[int, int] | None:
    """Give (limit, in use) of the tightest cgroup that holds this process; None where there is none."""
    found = [_read_pair(folder, *names) for folder, names in _cgroup_folders()]
    limits = [pair for pair in found if pair is not None]
    return min(limits, key=lambda pair: pair[0] - pair[1]) if limits else None


def _cgroup_folders() -> list[tuple[Path, tuple[str, str]]]:
    """List the folders, from this process's own cgroup up to the root, that may carry a limit."""
    v2, v1 = ("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")
    folders = [(CGROUP_ROOT, v2), (CGROUP_ROOT / "memory", v1)]
    try:
        lines = SELF_CGROUP.read_text(encoding="utf-8").splitlines()
    except OSError:
        return folders
    for line in lines:
        _, controllers, path = line.split(":", 2)
        base, names = (CGROUP_ROOT, v2) if not controllers else (CGROUP_ROOT / "memory", v1)
        if controllers and "memory" not in controllers.split(","):
            continue
        own = base / path.strip("/")
        folders += [(folder, names) for folder in (own, *own.parents) if folder.is_relative_to(base)]
    return folders


def _read_pair(folder: Path, limit_name: str, usage_name: str) -> tuple[int, int] | None:
    """Read a limit and the use of it, bytes; None where there is no limit."""
    try:
        limit = int((folder / limit_name).read_text(encoding="ascii"))
        usage = int((folder / usage_name).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return (limit, max(0, usage - _reclaimable_bytes(folder))) if limit < _NO_LIMIT_BYTES else None


def _reclaimable_bytes(folder: Path) -> int:
    """Read how much of a cgroup's use is cached files, which the kernel drops when memory is wanted."""
    try:
        lines = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    sizes = dict(line.split(" ", 1) for line in lines if " " in line)
    return int(sizes.get("total_inactive_file", sizes.get("inactive_file", 0)))
