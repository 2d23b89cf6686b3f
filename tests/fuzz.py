"""Folders of damaged frames put before every command that reads pixels, and what must hold whatever is in them.

Each command runs in a process of its own, started by a small launcher: the kernel's mark of a process begins at the
memory of the one that started it. What the launcher is told of a finished process covers the children it waited for.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.conftest import ROOT
from tests.mutants import kinds, mutants

BATCH = 100
TIMEOUT_S = 300.0
MOST_MEMORY_BYTES = 500 << 20

GOOD, BAD, TEMPORARY = "good", "mutants", "temporary"

_SCRIPT = ROOT / "tools" / "zemo_diag.py"

# Prints, as its last line on stderr, exit code and peak memory (0 where the system does not keep it).
_LAUNCHER = """\
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
if hasattr(os, "wait4"):
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = code = os.waitstatus_to_exitcode(status)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
else:
    code, peak = child.wait(), 0
sys.stderr.write(f"\\n{code} {peak}")
"""


@dataclass(frozen=True)
class Ran:
    """How a command ended: its exit code, None where it hung; peak memory, bytes; what it printed."""

    code: int | None
    peak_bytes: int
    out: str
    err: str


def run_command(arguments: Sequence[str], cwd: Path) -> Ran:
    """Run zemo-diag in a fresh process, its temporary files in a folder below the current one."""
    command = [sys.executable, "-S", "-c", _LAUNCHER, sys.executable, str(_SCRIPT), *arguments]
    temporary = {name: str(cwd / TEMPORARY) for name in ("TMPDIR", "TEMP", "TMP")}
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"} | temporary
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        env=environment,
        cwd=cwd,
    ) as launcher:
        try:
            out, err = launcher.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            _kill_tree(launcher.pid)
            out, err = launcher.communicate()
            return Ran(None, 0, out, err)
    err, _, told = err.rpartition("\n")
    code, peak = map(int, told.split())
    return Ran(code, peak, out, err)


def _kill_tree(pid: int) -> None:
    """End a process and all that it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in [*process.children(recursive=True), process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()


@dataclass(frozen=True)
class Command:
    """A command as it is put before a folder: its name, options, and what it calls its output."""

    name: str
    options: tuple[str, ...]
    output: str = ""

    def arguments(self, folder: Path, output: Path) -> list[str]:
        """Give the command line."""
        out = ["-o", str(output / self.output)] if self.output else []
        return [self.name, str(folder), "-q", *out, *self.options]


_JSON = ("--format", "json")
COMMANDS = (
    Command("gating", _JSON),
    Command("masters", _JSON),
    Command("stack", (), "stack.fits"),
    Command("stack", ("--weights", "noise"), "noise.fits"),
    Command("kappa-parity", _JSON),
    Command("phase3", (*_JSON, "--only", "patched", "--jobs", "2"), "phase3"),
)


def write_batch(folder: Path, seed: str, count: int) -> None:
    """Write a folder of good frames, and one of damaged ones."""
    kind = kinds()[random.Random(seed).choice(("grey", "colour"))]
    for name in (GOOD, BAD):
        (folder / name).mkdir(parents=True)
    for number, good in enumerate(kind.good):
        (folder / GOOD / f"good_{number}{good.suffix}").write_bytes(good.data)
    for name, data in mutants(kind, seed, count):
        (folder / BAD / name).write_bytes(data)


def contents(folder: Path) -> dict[str, str]:
    """Give the names of all files below a folder, and a digest of each."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def fault(command: Command, folder: Path) -> str:
    """Put a command before a folder; say what is wrong with what it did, nothing where all is well."""
    before = contents(folder)
    with tempfile.TemporaryDirectory() as name:
        output = Path(name)
        (output / TEMPORARY).mkdir()
        ran = run_command(command.arguments(folder, output), output)
        found = _fault_of_run(ran) or _fault_of_results(command, ran, output)
        if not found and (left := sorted(path.name for path in (output / TEMPORARY).iterdir())):
            found = f"it left temporary files: {', '.join(left)}"
    if not found and contents(folder) != before:
        found = "it changed its input"
    return found and f"{found}\n{ran.err[-2000:]}"


def _fault_of_run(ran: Ran) -> str:
    """Say what is wrong with how a command ended."""
    if ran.code is None:
        return f"it hung for {TIMEOUT_S:g} s"
    if ran.code not in (0, 1, 2, 3):
        return f"it ended with exit code {ran.code}"
    if ran.peak_bytes > MOST_MEMORY_BYTES:
        return f"it took {ran.peak_bytes >> 20} MiB"
    if "Traceback" in ran.err or "Warning" in ran.err:
        return "it printed a traceback or a warning"
    return ""


def _fault_of_results(command: Command, ran: Ran, output: Path) -> str:
    """Say whether the results of the good files are missing."""
    if command.name == "stack":
        if ran.code != 0 or not (output / command.output).is_file():
            return f"it made no stack (exit code {ran.code})"
        return "" if "good_" not in ran.err else "it left out a good frame"
    try:
        report = json.loads(ran.out)
    except ValueError:
        return f"it printed no report (exit code {ran.code})"
    unusable = [file["name"] for file in report["source"]["unusable"] if GOOD in file["name"]]
    return f"it calls {unusable[0]} unusable" if unusable else _CHECKS[command.name](report)


def _gating_fault(report: Any) -> str:
    tiles = [tile for tile in report["results"]["gating"]["tiles"] if tile["name"] == GOOD]
    return "" if [tile["frames"] for tile in tiles] == [4] else "the good tile is not whole"


def _masters_fault(report: Any) -> str:
    fine = [
        tile["name"]
        for tile in report["results"]["masters"]["tiles"]
        if tile["verdict"] == "fine" and GOOD in tile["name"]
    ]
    return "" if len(fine) == 4 else f"of the good files only these are fine: {fine}"


def _parity_fault(report: Any) -> str:
    (tile,) = (tile for tile in report["results"]["parity"]["tiles"] if tile["name"] == GOOD)
    return "" if (tile["verdict"], tile["used"]) == ("identical", 4) else "the good tile is not identical"


def _phase3_fault(report: Any) -> str:
    tiles = [tile for tile in report["results"]["phase3"]["tiles"] if tile["name"] == GOOD]
    built = [tile["patched"]["stacked"] for tile in tiles if tile["patched"] and tile["patched"]["verdict"] == "fine"]
    return "" if built == [4] else "the master of the good tile is not fine"


_CHECKS = {"gating": _gating_fault, "masters": _masters_fault, "kappa-parity": _parity_fault, "phase3": _phase3_fault}


def smallest(command: Command, folder: Path) -> Path:
    """Keep, in a new folder, as few of the damaged files as still show a fault, halving them as long as that works."""
    kept = Path(tempfile.mkdtemp(prefix="zemo-diag-fuzz-"))
    names = sorted(path.name for path in (folder / BAD).iterdir())
    while len(names) > 1:
        halves = (names[: len(names) // 2], names[len(names) // 2 :])
        names_before, names = names, next((half for half in halves if _still(command, folder, half, kept)), names)
        if names == names_before:
            break
    _copy(folder, names, kept)
    return kept


def _still(command: Command, folder: Path, names: Sequence[str], kept: Path) -> bool:
    """Tell whether some of the damaged files are enough for a fault."""
    _copy(folder, names, kept)
    return bool(fault(command, kept))


def _copy(folder: Path, names: Sequence[str], target: Path) -> None:
    """Copy the good files and some of the damaged ones."""
    for part in (GOOD, BAD):
        shutil.rmtree(target / part, ignore_errors=True)
        (target / part).mkdir()
    for path in (folder / GOOD).iterdir():
        shutil.copyfile(path, target / GOOD / path.name)
    for name in names:
        shutil.copyfile(folder / BAD / name, target / BAD / name)
