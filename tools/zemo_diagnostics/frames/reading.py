"""Whatever is raised while a file is read is that file's finding: said here, once, for every reader."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ..errors import FrameError, ScratchError

_LONGEST_REASON = 200


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a file is read into one sentence on that file.

    Libraries raise many kinds for damaged data: `zlib.error`, `KeyError`, astropy's own, and `EOFError`, which click
    would take for Ctrl-C. A full disk for temporary files and an interrupt are no fault of the file, and pass.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    FrameError
        What went wrong; its `path` is the file.
    """
    try:
        yield
    except ScratchError:
        raise
    except FrameError as error:
        error.path = path
        raise
    except Exception as error:
        finding = FrameError(f"it cannot be read: {_reason(error)}")
        finding.path = path
        raise finding from error


def _reason(error: Exception) -> str:
    """Say in a line what was raised."""
    if isinstance(error, MemoryError):
        return "there is not enough memory for it"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    said = " ".join(str(error).split())
    return f"{type(error).__name__}{': ' if said else ''}{said[:_LONGEST_REASON]}"
