"""Jobs run in a fresh process each, so that a peak is the job's own and a death is a result.

A job is a dict of plain values, handed over as JSON; so is its result. The child is started by a command line, never
forked: the same on Windows. It ends by itself when its parent goes away, however that happened.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import IO, Any

from ..errors import ScratchError
from .scratch import SCRATCH_FULL, writing_scratch

_START = Path(__file__).with_name("child_start.py")
_TOOLS = str(_START.parents[2])

# What a child must have from the same file as this process, or its results would not be those of what is reported.
_SAME_PACKAGES = ("zemo_diagnostics", "numpy", "astropy")

# How a child ends that found the disk for temporary files full.
NO_SCRATCH_CODE = 28

# How long a child that was told to go may take before the parent stops waiting for it.
_REAP_S = 10.0

FractionDone = Callable[[float], None]


class RunStatus(str, Enum):
    """How a job in its child process ended."""

    OK = "ok"
    RAISED = "raised"
    KILLED = "killed"
    TIMED_OUT = "timed out"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class JobOutcome:
    """How a job ended: its result where it ended well, one sentence where it did not."""

    status: RunStatus
    detail: str
    result: dict[str, Any]


def run_job(
    module: str, job: dict[str, Any], folder: Path, *, timeout_s: float, fraction_done: FractionDone | None = None
) -> JobOutcome:
    """Run one job in a fresh process.

    Parameters
    ----------
    module : str
        What the child runs: a module of ours that takes the job's file as its argument.
    job : dict
        What it is to do; plain values.
    folder : Path
        An existing folder for the files of this job.
    timeout_s : float
        After this many seconds the child is killed.
    fraction_done : callable, optional
        Gets the part of the job that is done, 0 to 1, from a thread of its own.

    Raises
    ------
    ScratchError
        Where the disk for temporary files is full, for this process or for the child.
    """
    result_file = folder / "result.json"
    result_file.unlink(missing_ok=True)
    with writing_scratch():
        (folder / "job.json").write_text(json.dumps(job | {"result": str(result_file)}), encoding="utf-8")
        words = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
    with words as said, _child(module, folder / "job.json", said) as child:
        reader = threading.Thread(target=_follow, args=(child, fraction_done), daemon=True)
        reader.start()
        try:
            child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            detail = f"it did not end within {timeout_s:g} s and was stopped; --timeout gives it longer"
            return JobOutcome(RunStatus.TIMED_OUT, detail, {})
        reader.join(_REAP_S)
        if child.returncode == NO_SCRATCH_CODE:
            raise ScratchError(SCRATCH_FULL)
        return _outcome(child.returncode, result_file, said)


@contextlib.contextmanager
def _child(module: str, job_file: Path, said: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Start a child; it is gone when this ends, whatever ended it."""
    command = child_command(module, str(job_file))
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, bufsize=0)
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_REAP_S)
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()


def child_command(module: str, *arguments: str) -> list[str]:
    """Give the command line of a fresh process that runs a module's ``main``.

    The process is isolated (``-I``) and imports from where this one does, so its environment need not be prepared:
    PYTHONPATH and its kind are without effect there, and so is what lies in the current folder. It leaves no
    ``__pycache__``.

    Parameters
    ----------
    module : str
        Full name of the module.
    *arguments : str
        What its ``main`` gets.
    """
    files = {name: getattr(sys.modules.get(name), "__file__", None) for name in _SAME_PACKAGES}
    handed = json.dumps({"path": _import_path(), "files": {name: file for name, file in files.items() if file}})
    decoded_alike = ["-X", f"utf8={sys.flags.utf8_mode}"]  # names of files, as this process decodes them
    return [sys.executable, "-I", "-B", *decoded_alike, str(_START), handed, module, *arguments]


def _import_path() -> list[str]:
    """List where this process imports from, but for the current folder, which nobody chose."""
    path = [entry for entry in sys.path if entry and not _is_current_folder(entry)]
    return path if _TOOLS in path else [_TOOLS, *path]


def _is_current_folder(entry: str) -> bool:
    """Tell whether an entry of the import path is the current folder, by whatever name."""
    try:
        return Path(entry).samefile(os.curdir)
    except OSError:
        return False


def _follow(child: subprocess.Popen[bytes], fraction_done: FractionDone | None) -> None:
    """Pass on the child's progress lines until it closes its output."""
    if child.stdout is None:
        return
    with contextlib.suppress(OSError, ValueError):  # the pipe is closed under us when the child is killed
        for line in child.stdout:
            if fraction_done is not None:
                with contextlib.suppress(ValueError):
                    fraction_done(float(line))


def _outcome(returncode: int, result_file: Path, said: IO[bytes]) -> JobOutcome:
    """Tell how a child ended from its result file, or from its exit status where it left none."""
    try:
        result: dict[str, Any] = json.loads(result_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return JobOutcome(RunStatus.KILLED, _cause_of_death(returncode, said), {})
    if "raised" in result:
        return JobOutcome(RunStatus.RAISED, str(result["raised"]), result)
    return JobOutcome(RunStatus.OK, "", result)


def _cause_of_death(returncode: int, said: IO[bytes]) -> str:
    """Name the signal or exit code that ended a child, and the likely cause."""
    if returncode < 0:
        return how_it_ended(returncode).removeprefix("was ")
    said.seek(0)
    last = said.read()[-4096:].decode("utf-8", "replace").strip().splitlines()
    return f"{how_it_ended(returncode)} and no result" + (f": {last[-1]}" if last else "")


def how_it_ended(returncode: int) -> str:
    """Name the signal that ended a process, and its likely cause, or its exit code."""
    if returncode >= 0:
        code = exception_name(returncode) if returncode > 0xFFFF else str(returncode)
        return f"ended with exit code {code}"
    name, cause = what_killed(returncode)
    return f"was killed by {name}: {cause}"


def what_killed(returncode: int) -> tuple[str, str]:
    """Name the signal, or on Windows the exception, that ended a process, and its likely cause."""
    if returncode > 0:
        name = exception_name(returncode)
    else:
        try:
            name = signal.Signals(-returncode).name
        except ValueError:
            name = f"signal {-returncode}"
    return name, _LIKELY_CAUSE.get(name, "a fault in a compiled library, or another program")


def exception_name(returncode: int) -> str:
    """Write an exit code of Windows that stands for an exception as it is known."""
    return f"0x{returncode & 0xFFFFFFFF:08X}"


_LIKELY_CAUSE = {
    "SIGKILL": "most likely the system ran out of memory; else somebody killed it",
    "SIGTERM": "another program or the user asked it to end",
    "SIGSEGV": "a fault in a compiled library",
    "SIGBUS": "a file that was read became shorter, or a disk failed",
    "SIGXCPU": "a limit of processor time",
    "0xC0000005": "a fault in a compiled library (access violation)",
    "0xC0000017": "the system ran out of memory",
    "0xC00000FD": "a stack overflow in a compiled library",
}
