"""Where temporary files go."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from .errors import OutputError
from .temporary_folders import NoFolderError, temporary_folder


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder for temporary files; it is gone when this ends.

    Raises
    ------
    OutputError
        Where there is no place for one.
    """
    try:
        with temporary_folder() as folder:
            yield folder
    except NoFolderError as error:
        raise OutputError(
            f"no folder for temporary files can be made ({error}): make room, or set TMPDIR (on Windows TEMP) to a "
            "folder on another disk"
        ) from error
