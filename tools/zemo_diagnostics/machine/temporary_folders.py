"""Temporary folders that do not stay behind: Ctrl-C at any moment leaves none, a kill only until the next start.

The name of each says which process made it, so that the next one can tell what a killed one left.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import psutil

_NAME = re.compile(r"zemo-diag-([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{8}")

# How often, and after which pause, a folder is tried again in which a process that was just ended still has a file.
_TRIES = 5
_PAUSE_S = 0.1


class NoFolderError(Exception):
    """A temporary folder cannot be made; the system's own error is chained."""


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a temporary folder, and remove it with all that is in it, whatever happens.

    Raises
    ------
    NoFolderError
        Where none can be made.
    """
    folder = _new_name()
    try:
        try:  # its name is known before it is there, so that an interrupt never comes between
            _make(folder)
            yield folder
        finally:
            _remove(folder)
    finally:  # again, since an interrupt may have come while it was removed
        _remove(folder)


def _new_name() -> Path:
    """Choose a name for a folder, in a place without those that killed runs left."""
    try:
        place = Path(tempfile.gettempdir())
    except OSError as error:
        raise NoFolderError("no folder can be written") from error
    _remove_stale(place)
    return place / f"zemo-diag-{_mark()}-{os.urandom(4).hex()}"


def _make(folder: Path) -> None:
    """Make a folder that nobody else can look into."""
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise NoFolderError(error.strerror or type(error).__name__) from error


def _remove(folder: Path) -> None:
    """Remove a folder; on Windows one cannot be removed while a process that is ending has a file open there."""
    for attempt in range(_TRIES):
        try:
            shutil.rmtree(folder, ignore_errors=True)
        except OSError as error:  # errors are ignored: this is an interrupt that came while a file was closed
            raise KeyboardInterrupt from error
        if not folder.exists():
            return
        time.sleep(_PAUSE_S * attempt)


@cache
def _remove_stale(place: Path) -> None:
    """Remove, once, what processes of this machine left that have ended; where that cannot be told, it stays."""
    with contextlib.suppress(OSError):
        for folder in place.iterdir():
            name = _NAME.fullmatch(folder.name)
            if name and name[1] == _machine() and not _runs(int(name[2]), int(name[3])):
                shutil.rmtree(folder, ignore_errors=True)


def _mark() -> str:
    """Machine, process and when it started, since numbers of processes are used again."""
    return f"{_machine()}-{os.getpid()}-{_started(os.getpid())}"


def _machine() -> str:
    """Tell machines and containers that share a folder apart, without naming them."""
    processes = ""
    with contextlib.suppress(OSError):  # a container has numbers of processes of its own (Linux)
        processes = str(Path("/proc/self/ns/pid").readlink())
    return f"{zlib.crc32(f'{platform.node()} {processes}'.encode()):08x}"


def _started(pid: int) -> int:
    """When a process started, in whole seconds; 0 where that is not told.

    Raises
    ------
    psutil.NoSuchProcess
        Where it does not run.
    """
    try:
        return int(psutil.Process(pid).create_time())
    except psutil.AccessDenied:
        return 0


def _runs(pid: int, started: int) -> bool:
    """Tell whether the process that made a folder still runs; in doubt, it does."""
    try:
        now = _started(pid)
    except psutil.NoSuchProcess:
        return False
    return 0 in (now, started) or abs(now - started) <= 1
