"""One run at a time in the folder for the masters: a file that the system locks for the process that writes there.

The lock goes with its process, however that ends, so that none is ever left behind; the file that it is on may be. Over
a network it is the server that keeps the lock. Where there is none to be had (some servers know none), runs are not
kept apart.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import sys
from collections.abc import Iterator
from io import BufferedRandom
from pathlib import Path

from ..errors import InputError, OutputError

LOCK_NAME = ".zemo-diag.lock"

_ON_WINDOWS = sys.platform == "win32"
_FAR_AWAY = 1 << 30  # Windows locks bytes of the file: one that nobody reads
_HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)


@contextlib.contextmanager
def locked(output: Path) -> Iterator[None]:
    """Keep other runs out of a folder while this one writes there.

    The folder is created where there is none, and removed where nothing came into it.

    Raises
    ------
    InputError
        Where another run is working there.
    OutputError
        Where nothing can be written there.
    """
    is_new = not output.exists()
    try:
        output.mkdir(parents=True, exist_ok=True)
        lock = _taken(output / LOCK_NAME)
    except OSError as error:
        raise OutputError(f"'{output}' cannot be written ({error.strerror or error}): name another folder") from error
    try:
        yield
    finally:
        _give_back(lock, output / LOCK_NAME)
        if is_new:
            with contextlib.suppress(OSError):
                output.rmdir()


def _taken(path: Path) -> BufferedRandom:
    """Open the file and lock it; it says which process did."""
    while True:
        if path.is_symlink():
            raise OutputError(f"'{path}' is a link: remove it, or name another folder")
        stream = path.open("a+b")
        try:
            if not _lock(stream):
                raise InputError(f"another run is working in '{path.parent}': wait for it, or name another folder")
            # A run that ended meanwhile took its file away: then this lock is on a file that nobody else will see.
            if _ON_WINDOWS or _is_still_there(stream, path):
                stream.truncate(0)
                stream.write(f"{os.getpid()} is the process of the zemo-diag phase3 that works here\n".encode("ascii"))
                stream.flush()
                return stream
        except BaseException:
            stream.close()
            raise
        stream.close()


def _lock(stream: BufferedRandom) -> bool:
    """Lock an open file for this process; False where another one has it."""
    try:
        if _ON_WINDOWS:
            _lock_byte(stream, "LK_NBLCK")
        else:
            fcntl = importlib.import_module("fcntl")
            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        if error.errno not in _NO_LOCKS:
            raise
    return True


def _lock_byte(stream: BufferedRandom, how: str) -> None:
    """Lock or unlock as Windows does it."""
    msvcrt = importlib.import_module("msvcrt")
    stream.seek(_FAR_AWAY)
    msvcrt.locking(stream.fileno(), getattr(msvcrt, how), 1)


def _is_still_there(stream: BufferedRandom, path: Path) -> bool:
    """Tell whether an open file is the one that has this name."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _give_back(stream: BufferedRandom, path: Path) -> None:
    """Remove the file and unlock it: on Windows, which removes no open file, the other way round."""
    with contextlib.suppress(OSError):
        if _ON_WINDOWS:
            _lock_byte(stream, "LK_UNLCK")
            stream.close()
        path.unlink()
    stream.close()
