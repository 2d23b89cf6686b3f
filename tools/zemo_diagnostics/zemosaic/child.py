"""A job run by the interpreter of a checkout, seen from our side: started, watched, ended, and told in one sentence.

Nothing foreign is ever imported here. The child gets an environment and a current folder of its own, both within the
job's folder: home, configuration, temporary files and caches point there, so that what a foreign module reads of its
user's settings or writes beside them is not the user's.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import psutil

from ..errors import InputError
from ..machine.child_process import what_killed
from .process_tree import ProcessTree, process_tree

RUNNER = Path(__file__).with_name("runner.py")

DEFAULT_IMPORT_TIMEOUT_S = 120.0

_POLL_S = 0.05
_MEMORY_EVERY_S = 0.25
_REAP_S = 10.0  # how long something that was told to go may take
_TAIL_BYTES = 16 << 10
_LAST_LINES = 3
_MOST_WRITTEN = 100

# Where foreign code looks for its user's things, all below the job's own folder.
_HOME_VARIABLES = ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "HOMEPATH")
_XDG_VARIABLES = ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")
_TEMPORARY_VARIABLES = ("TMPDIR", "TEMP", "TMP")
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip
_NOT_INHERITED = ("PYTHON", "__PYVENV", "ZEMOSAIC_", "ZEM_", "GIT_")
_INHERITED_ALL_THE_SAME = ("ZEMOSAIC_KAPPA_BUDGET_MB",)  # of the bundled functions: the user's own limit of memory


class Ending(str, Enum):
    """How a job ended."""

    OK = "ok"
    RAISED = "raised"
    IMPORT_FAILED = "import failed"
    NOT_THERE = "not there"
    KILLED = "killed"
    TIMED_OUT = "timed out"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the ladder by which a function was got.

    Attributes
    ----------
    function, module : str
        Its name, and the module that defines it.
    rung : str
        ``"lifted"`` from the source, or ``"imported"``.
    ok : bool
        Whether it held.
    why : str
        Why it did not.
    """

    function: str
    module: str
    rung: str
    ok: bool
    why: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line that foreign code logged or told its progress callback.

    Attributes
    ----------
    time_s : float
        Since the child began.
    source : str
        ``"progress"``, or ``"logger <name>"``.
    level, message : str
        As they were given.
    progress : float or None
        Percent.
    extra : dict
        Keywords that came with it, as plain values.
    """

    time_s: float
    source: str
    level: str
    message: str
    progress: float | None
    extra: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a job.

    Attributes
    ----------
    ending : Ending
        How it ended.
    detail : str
        One sentence where it did not end well.
    result : dict
        What it found, by the names that the runner gives; empty where it died.
    steps : tuple of Step
        How each function was got.
    lines : tuple of Line
        What foreign code said of its progress, and logged.
    stderr, stdout : str
        The last of what the child wrote there.
    written : tuple of str
        Files that it made or changed below its own home, current and temporary folders, and beside the copied
        modules (``"beside the modules/..."``): where it would have written, had it been the user's.
    wall_s : float
        From its start to its end.
    rss_seen_bytes : int
        Highest resident memory that was seen from outside, of the child and what it started: all there is of a child
        that died, and more than its own peak where it uses processes.
    """

    ending: Ending
    detail: str
    result: dict[str, Any] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    lines: tuple[Line, ...] = ()
    stderr: str = ""
    stdout: str = ""
    written: tuple[str, ...] = ()
    wall_s: float = 0.0
    rss_seen_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Runnable:
    """Where a job runs.

    Attributes
    ----------
    interpreter : Path
        Python 3.10 or later.
    extra_paths : tuple of str
        Folders that this interpreter looks for packages in besides its own, such as its user's.
    checkout : Path
        The folder of the modules.
    modules_only : bool
        Whether it holds nothing else of ZeMosaic's (a folder of installed packages).
    """

    interpreter: Path
    extra_paths: tuple[str, ...]
    checkout: Path
    modules_only: bool


def run_job(
    job: dict[str, Any],
    where: Runnable,
    folder: Path,
    *,
    timeout_s: float,
    import_timeout_s: float = DEFAULT_IMPORT_TIMEOUT_S,
    on_line: Callable[[Line], None] | None = None,
    tree: ProcessTree | None = None,
    stop: threading.Event | None = None,
) -> Outcome:
    """Run one job in a process of its own.

    Parameters
    ----------
    job : dict
        One of those that `jobs` makes.
    where : Runnable
        By which interpreter, on which checkout.
    folder : Path
        An existing folder for the files of this job.
    timeout_s, import_timeout_s : float
        After so many seconds, in all and within one import, the child is ended.
    on_line : callable, optional
        Gets each line of foreign code while the job runs.
    tree : ProcessTree, optional
        How the child is ended with all that it started; the system's way where it is not given.
    stop : threading.Event, optional
        Once set, the child is ended.

    Raises
    ------
    InputError
        The interpreter cannot be started.
    """
    folder = folder.absolute()
    scratch = folder / "scratch"
    _make_scratch(scratch)
    for name in ("result.json", "events.jsonl"):
        (folder / name).unlink(missing_ok=True)
    told = {"checkout": str(where.checkout), "modules_only": where.modules_only, "scratch": str(scratch)}
    text = json.dumps({**job, **told, "extra_paths": list(where.extra_paths)})
    (folder / "job.json").write_text(text, encoding="utf-8")
    try:
        with _started(where.interpreter, folder, tree or process_tree()) as watch:
            watch.follow(timeout_s, import_timeout_s, on_line, stop or threading.Event())
        return watch.outcome(scratch, where.checkout)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _make_scratch(scratch: Path) -> None:
    shutil.rmtree(scratch, ignore_errors=True)
    for name in ("home", "current", "temporary"):
        (scratch / name).mkdir(parents=True)


def child_environment(scratch: Path) -> dict[str, str]:
    """Make the environment of a child: ours, but with nothing of Python's or ZeMosaic's, and a home of its own."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key in _INHERITED_ALL_THE_SAME or not key.upper().startswith(_NOT_INHERITED)
    }
    kept = {key: value for key, value in kept.items() if key.upper() not in ("HOMEDRIVE", "MPLCONFIGDIR")}
    home, temporary = str(scratch / "home"), str(scratch / "temporary")
    return {
        **kept,
        **dict.fromkeys((*_HOME_VARIABLES, *_XDG_VARIABLES, "MPLCONFIGDIR"), home),
        **dict.fromkeys(_TEMPORARY_VARIABLES, temporary),
        **dict.fromkeys(_THREAD_VARIABLES, "1"),
        "PYTHONDONTWRITEBYTECODE": "1",  # for what the child starts; it is itself told by options
        "PYTHONUTF8": "1",
        "PYTHONNOUSERSITE": "1",
    }


@contextlib.contextmanager
def _started(interpreter: Path, folder: Path, tree: ProcessTree) -> Iterator[_Watch]:
    """Start a child; it is gone, with all that it started, when this ends, whatever ended it."""
    scratch = folder / "scratch"
    command = [str(interpreter), "-I", "-B", "-X", "utf8", str(RUNNER), str(folder / "job.json")]
    pipe = subprocess.PIPE
    try:
        child = subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            bufsize=0,
            cwd=scratch / "current",
            env=child_environment(scratch),
            **tree.options(),
        )
    except OSError as error:
        raise InputError(
            f"the interpreter {interpreter.name} cannot be started ({error.strerror or error}): name another"
        ) from error
    watch = _Watch(child, folder)
    try:
        tree.hold(child)
        watch.begin()
        yield watch
    finally:
        watch.end(tree)


class _Watch:
    """A child that runs, and what is known of it."""

    def __init__(self, child: subprocess.Popen[bytes], folder: Path) -> None:
        self._child, self._folder = child, folder
        self._events = (folder / "events.jsonl", 0)
        self._tails = [_Tail(child.stdout), _Tail(child.stderr)]
        self._start = time.monotonic()
        self._phase, self._phase_since = "starting", self._start
        self._lines: list[Line] = []
        self._rss_bytes, self._rss_at = 0, self._start
        self._timed_out, self._wall_s = "", 0.0

    def begin(self) -> None:
        """Let the child begin."""
        if self._child.stdin is not None:
            with contextlib.suppress(OSError):  # it is dead already
                self._child.stdin.write(b"1")

    def follow(
        self,
        timeout_s: float,
        import_timeout_s: float,
        on_line: Callable[[Line], None] | None,
        stop: threading.Event,
    ) -> None:
        """Wait for the end of the child, or of its time."""
        while True:
            ended = self._ended()
            self._read_events(on_line)
            if ended:
                break
            self._note_memory()
            now = time.monotonic()
            if now - self._start > timeout_s:
                self._timed_out = f"it did not end within {timeout_s:g} s"
            elif self._phase.startswith("importing") and now - self._phase_since > import_timeout_s:
                self._timed_out = f"importing did not end within {import_timeout_s:g} s"
            elif stop.is_set():
                self._timed_out = "it was no longer wanted"
            if self._timed_out:
                break
        self._wall_s = time.monotonic() - self._start

    def _ended(self) -> bool:
        try:
            self._child.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _note_memory(self) -> None:
        """Note what the child holds, with all that it started."""
        if time.monotonic() < self._rss_at:
            return
        self._rss_at = time.monotonic() + _MEMORY_EVERY_S
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self._child.pid)
            held = [one.memory_info().rss for one in (process, *process.children(recursive=True))]
            self._rss_bytes = max(self._rss_bytes, sum(held))

    def _read_events(self, on_line: Callable[[Line], None] | None) -> None:
        """Read what the child told since the last time."""
        path, position = self._events
        with contextlib.suppress(OSError), path.open("rb") as file:
            file.seek(position)
            new = file.read()
            whole = new[: new.rfind(b"\n") + 1]
            self._events = path, position + len(whole)
            for text in whole.splitlines():
                self._take(json.loads(text), on_line)

    def _take(self, event: dict[str, Any], on_line: Callable[[Line], None] | None) -> None:
        if "phase" in event:
            self._phase, self._phase_since = event["phase"], time.monotonic()
            return
        line = Line(
            time_s=event["t"],
            source=event["source"],
            level=event["level"],
            message=event["message"],
            progress=event["progress"] if isinstance(event["progress"], (int, float)) else None,
            extra=event.get("extra", {}),
        )
        self._lines.append(line)
        if on_line is not None:
            on_line(line)

    def end(self, tree: ProcessTree) -> None:
        """End the child and what it left running, and close its pipes."""
        tree.kill(self._child)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(_REAP_S)
        for tail in self._tails:
            tail.join()
        for pipe in (self._child.stdin, self._child.stdout, self._child.stderr):
            if pipe is not None:
                pipe.close()

    def outcome(self, scratch: Path, checkout: Path) -> Outcome:
        """Tell how the child ended."""
        result = _read_result(self._folder / "result.json")
        stdout, stderr = (tail.text() for tail in self._tails)
        ending, detail = self._judged(result, stderr)
        return Outcome(
            ending=ending,
            detail=detail,
            result=result or {},
            steps=tuple(Step(**step) for step in (result or {}).get("steps", ())),
            lines=tuple(self._lines),
            stderr=stderr,
            stdout=stdout,
            written=_written(scratch, checkout),
            wall_s=self._wall_s,
            rss_seen_bytes=self._rss_bytes,
        )

    def _judged(self, result: dict[str, Any] | None, stderr: str) -> tuple[Ending, str]:
        """Give the ending and its sentence."""
        if self._timed_out:
            return Ending.TIMED_OUT, f"{self._timed_out} and was stopped{self._meanwhile()}"
        return self._cause_of_death(stderr) if result is None else ending_of(result)

    def _meanwhile(self) -> str:
        """Say what was going on, where that was not the job itself."""
        return f" while {self._phase}" if self._phase.startswith(("importing", "copying")) else ""

    def _cause_of_death(self, stderr: str) -> tuple[Ending, str]:
        """Name the signal or exit code that ended a child without a result, and the likely cause."""
        code = self._child.returncode
        said = _last_lines(stderr)
        if code < 0 or code > 0xFFFF:
            name, cause = what_killed(code)
            return Ending.KILLED, f"it was ended by {name}{self._meanwhile()}: {cause}"
        sentence = f"it ended itself with exit code {code} and no result{self._meanwhile()}"
        ending = Ending.IMPORT_FAILED if self._phase.startswith("importing") else Ending.KILLED
        return ending, sentence + (f"; its last words: {said}" if said else "")


def ending_of(result: dict[str, Any]) -> tuple[Ending, str]:
    """Tell from a job's result how it ended, and the sentence of it."""
    if "import_failed" in result:
        return Ending.IMPORT_FAILED, result["import_failed"]
    if "not_there" in result:
        return Ending.NOT_THERE, result["not_there"]
    if "raised" in result:
        return Ending.RAISED, result["raised"]["told"]
    return Ending.OK, ""


class _Tail:
    """The last of what a pipe gives, read by a thread so that the child never waits for us."""

    def __init__(self, pipe: Any) -> None:
        self._kept = b""
        self._thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._thread.start()

    def _read(self, pipe: Any) -> None:
        with contextlib.suppress(OSError, ValueError):  # closed under us
            while chunk := pipe.read(1 << 16):
                self._kept = (self._kept + chunk)[-_TAIL_BYTES:]

    def join(self) -> None:
        """Wait for the end of the pipe, but not for somebody who keeps it open."""
        self._thread.join(_REAP_S)

    def text(self) -> str:
        """Give it as text, whatever bytes it was."""
        return self._kept.decode("utf-8", "replace")


def _read_result(path: Path) -> dict[str, Any] | None:
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return result


def _last_lines(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-_LAST_LINES:])


def _written(scratch: Path, checkout: Path) -> tuple[str, ...]:
    """Name the files that a child made or changed in its own folders."""
    made = [
        f"{folder}/{path.relative_to(scratch / folder).as_posix()}"
        for folder in ("home", "current", "temporary")
        for path in _files(scratch / folder)
    ]
    copied = scratch / "checkout"
    names = [path.relative_to(copied) for path in _files(copied)]
    changed = [name for name in names if _differs(copied / name, checkout / name)]
    return tuple([*made, *(f"beside the modules/{name.as_posix()}" for name in changed)][:_MOST_WRITTEN])


def _files(folder: Path) -> Sequence[Path]:
    return sorted(Path(base, name) for base, _, names in os.walk(folder) for name in names)


def _differs(copied: Path, original: Path) -> bool:
    """Tell whether a copied file was changed since: its size, or its time by more than file systems round."""
    try:
        ours, theirs = copied.stat(), original.stat()
    except OSError:
        return True
    return ours.st_size != theirs.st_size or abs(ours.st_mtime - theirs.st_mtime) > 2.0
