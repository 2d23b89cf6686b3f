"""The errors that a user can cause, each with the exit code it ends in, and the codes themselves."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

EXIT_CLEAN = 0
EXIT_FINDINGS = 1
EXIT_USAGE = 2
EXIT_VARIANT_DIED = 3
EXIT_OUR_FAULT = 4
EXIT_INTERRUPTED = 130


class ZemoDiagError(Exception):
    """What went wrong, where, and what to do, in one sentence.

    Parameters
    ----------
    sentence : str
        The sentence.
    details : str
        What it announces, such as files, each on a line of its own.
    """

    exit_code = EXIT_OUR_FAULT

    def __init__(self, sentence: str, *details: str) -> None:
        super().__init__(sentence)
        self.details = details


class InputError(ZemoDiagError):
    """The input or an option cannot be used as it is."""

    exit_code = EXIT_USAGE


class MissingPackageError(InputError):
    """A package of an extra is not there. The sentence has a line to type, and so is shown as it is."""


class ChildDiedError(ZemoDiagError):
    """The tool's own functions did not come to an end in their child."""

    exit_code = EXIT_VARIANT_DIED


class OutputError(ZemoDiagError):
    """A report cannot be written where it was asked for."""

    exit_code = EXIT_USAGE


class ScratchError(ZemoDiagError):
    """The disk for temporary files is full, or takes none: no file's fault, and the end of the run."""

    exit_code = EXIT_USAGE


class FrameError(ZemoDiagError):
    """One file cannot be read as a frame. It becomes a finding; the run goes on.

    Attributes
    ----------
    path : Path or None
        The file, where it was being read by rows: a stack goes on without it.
    """

    exit_code = EXIT_USAGE
    path: Path | None = None

    @property
    def strerror(self) -> str:
        """The sentence, by the name that `OSError` gives it: ZeMosaic's functions take it into their own errors."""
        return str(self)


class NoImageError(FrameError):
    """A whole file that simply holds no image, such as a table: nothing of it was lost."""


_NO_ACCESS = {
    errno.EACCES: "may not be read: check its permissions, and those of the folders above it",
    errno.EPERM: "may not be read: check its permissions, and those of the folders above it",
    errno.ELOOP: "leads in a circle of links",
    errno.ENAMETOOLONG: "has a path that is too long for this system",
    errno.ENOENT: "went away meanwhile, or has a path that is too long for this system",
}


def no_access(error: OSError) -> str:
    """Say what keeps out of a folder, to go on after its name: what is wrong, and what to do where that can be said."""
    return _NO_ACCESS.get(error.errno or 0, f"cannot be read: {error.strerror or type(error).__name__}")


@dataclass(frozen=True)
class UnusableFile:
    """A file that holds no frame, or a folder that is shut.

    Attributes
    ----------
    name : str
        Its path below the folder that was looked at.
    reason : str
        Why, in a sentence.
    """

    name: str
    reason: str
