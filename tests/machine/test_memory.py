"""Free memory, the container's limit, and the high-water mark."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from zemo_diagnostics.machine import memory_limits, peak_memory


def cgroup(folder: Path, limit: str, usage: int, names: tuple[str, str], cache: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n", encoding="ascii")
    (folder / names[1]).write_text(f"{usage}\n", encoding="ascii")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cache}\n", encoding="ascii")


V2 = ("memory.max", "memory.current")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(memory_limits, "CGROUP_ROOT", tmp_path)
    monkeypatch.setattr(memory_limits, "SELF_CGROUP", tmp_path / "self")
    return tmp_path


@pytest.mark.parametrize(("names", "below"), [(V2, ""), (V1, "memory")])
def test_the_containers_limit_counts(root: Path, names: tuple[str, str], below: str) -> None:
    cgroup(root / below, "1000000", 400_000, names)
    limit = memory_limits.available_memory()
    assert (limit.available_bytes, limit.source) == (600_000, "cgroup limit")
    assert memory_limits.total_memory_bytes() == 1_000_000


def test_cached_files_do_not_count_as_used(root: Path) -> None:
    cgroup(root, "1000000", 900_000, V2, cache=300_000)
    assert memory_limits.available_memory().available_bytes == 400_000


def test_the_tightest_group_on_the_way_up_counts(root: Path) -> None:
    (root / "self").write_text("0::/user/app\n", encoding="ascii")
    cgroup(root / "user" / "app", "max", 0, V2)
    cgroup(root / "user", "500000", 100_000, V2)
    cgroup(root, "9000000", 100_000, V2)
    assert memory_limits.available_memory().available_bytes == 400_000


@pytest.mark.parametrize("limit", ["max", str(2**63 - 4096), "nonsense"])
def test_no_limit_means_free_memory(root: Path, limit: str) -> None:
    cgroup(root, limit, 0, V2)
    assert memory_limits.available_memory().source == "free memory"


@pytest.mark.usefixtures("root")
def test_without_cgroups_it_is_free_memory() -> None:
    assert memory_limits.available_memory().available_bytes > 1 << 20


def in_a_fresh_process(code: str) -> str:
    tools = str(Path(peak_memory.__file__).parents[2])
    code = f"import sys; sys.path.insert(0, {tools!r})\n{code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_the_mark_stays_when_memory_is_given_back() -> None:
    code = (
        "from zemo_diagnostics.machine.peak_memory import read_memory\n"
        "before = read_memory(); block = b'x' * (96 << 20); del block; after = read_memory()\n"
        "print(after.peak_bytes - before.rss_bytes, after.rss_bytes - before.rss_bytes)\n"
    )
    peak, now = map(int, in_a_fresh_process(code).split())
    assert peak > 90 << 20
    assert now < 48 << 20


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux can reset the mark")
def test_the_mark_can_be_reset() -> None:
    code = (
        "from zemo_diagnostics.machine.peak_memory import read_memory, reset_peak\n"
        "block = b'x' * (96 << 20); del block; high = read_memory().peak_bytes\n"
        "print(reset_peak(), high - read_memory().peak_bytes)\n"
    )
    done, dropped = in_a_fresh_process(code).split()
    assert done == "True"
    assert int(dropped) > 48 << 20


def test_where_the_kernel_has_no_proc_the_other_marks_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(peak_memory, "_STATUS", tmp_path / "none")
    reading = peak_memory.read_memory()
    assert reading.method == "ru_maxrss"
    assert reading.peak_bytes >= reading.rss_bytes // 2

    class WindowsInfo:
        rss = 5
        peak_wset = 9

    class WindowsProcess:
        def memory_info(self) -> WindowsInfo:
            return WindowsInfo()

    monkeypatch.setattr(psutil, "Process", WindowsProcess)
    assert peak_memory.read_memory() == peak_memory.MemoryReading(5, 9, "peak working set")
