"""One run at a time in the folder for the masters: a lock file that says which process writes there."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import psutil

from .errors import InputError, OutputError

LOCK_NAME = ".zemo-diag.lock"


@contextlib.contextmanager
def locked(output: Path) -> Iterator[None]:
    """Keep other runs out of a folder while this one writes there; a lock whose process is gone is taken over.

    The folder is created where there is none, and removed where nothing came into it.

    Raises
    ------
    InputError
        Where another run is working there.
    OutputError
        Where nothing can be written there.
    """
    lock, is_new = output / LOCK_NAME, not output.exists()
    try:
        output.mkdir(parents=True, exist_ok=True)
        _take(lock)
    except OSError as error:
        raise OutputError(f"'{output}' cannot be written ({error.strerror or error}): name another folder") from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.unlink()
        if is_new:
            with contextlib.suppress(OSError):
                output.rmdir()


def _take(lock: Path) -> None:
    """Create the lock, in place of one that was left behind."""
    if os.path.lexists(lock):
        _refuse_where_held(lock)
        lock.unlink(missing_ok=True)
    try:
        with lock.open("x", encoding="utf-8") as stream:
            stream.write(f"{os.getpid()} {_started(os.getpid())} {platform.node()}\n")
    except FileExistsError:  # another run was quicker
        raise InputError(_held(lock)) from None


def _refuse_where_held(lock: Path) -> None:
    """Refuse where the process that made a lock still runs; of another machine's, nobody here can tell."""
    try:
        pid, started, host = lock.read_text(encoding="utf-8", errors="replace").rstrip("\n").split(" ", 2)
        owner, when = int(pid), int(started)
    except (FileNotFoundError, ValueError):  # it ended meanwhile, or was stopped before it wrote a word
        return
    if host != platform.node():
        raise InputError(f"{_held(lock)}, or remove '{lock}' if that run, on another machine, has ended")
    if owner != os.getpid() and psutil.pid_exists(owner):
        now = _started(owner)
        if not now or abs(now - when) <= 1:
            raise InputError(_held(lock))


def _held(lock: Path) -> str:
    """Say that another run works in the folder."""
    return f"another run is working in '{lock.parent}': wait for it, or name another folder"


def _started(pid: int) -> int:
    """When a process started, in whole seconds, since numbers of processes are used again; 0 where none can tell."""
    with contextlib.suppress(psutil.Error):
        return int(psutil.Process(pid).create_time())
    return 0
