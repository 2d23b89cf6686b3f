"""A child and all that it starts, none of which outlives it: a process group on POSIX, a job object on Windows."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from typing import Any, Protocol

import psutil

# Of the Windows API: https://learn.microsoft.com/windows/win32/procthread/job-objects
_EXTENDED_LIMIT_INFORMATION = 9
_KILL_ON_JOB_CLOSE = 0x2000
_CREATE_SUSPENDED = 0x00000004
_CREATE_NEW_PROCESS_GROUP = 0x00000200
_CREATE_NO_WINDOW = 0x08000000


class ProcessTree(Protocol):
    """A way to end a child with all that it started."""

    def options(self) -> dict[str, Any]:
        """Give what `subprocess.Popen` needs for it."""

    def hold(self, child: subprocess.Popen[bytes]) -> None:
        """Take a child that has not begun yet."""

    def kill(self, child: subprocess.Popen[bytes]) -> None:
        """End the child, if it runs, and what it left running. Never raises for what is gone already."""


def process_tree() -> ProcessTree:
    """Give the way of this system."""
    return JobObject(_kernel32()) if sys.platform == "win32" else ProcessGroup()


class ProcessGroup:
    """POSIX: the child leads a process group, which is killed as one.

    What leaves the group on purpose (a daemon) escapes.
    """

    def options(self) -> dict[str, Any]:
        """Start a group."""
        return {"start_new_session": True}

    def hold(self, child: subprocess.Popen[bytes]) -> None:
        """Nothing: the group began with the child."""

    def kill(self, child: subprocess.Popen[bytes]) -> None:
        """Kill the group."""
        if sys.platform != "win32":
            with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS refuses for a group of the dead
                os.killpg(child.pid, signal.SIGKILL)


class JobObject:
    """Windows: the child is put into a job object, which ends all that is in it when it closes, our death included.

    It is started suspended: the Python of a virtual environment is a launcher, and the process that it starts must be
    in the job too.

    Parameters
    ----------
    kernel32 : object
        The library of that name.
    """

    def __init__(self, kernel32: Any) -> None:
        self._kernel32 = kernel32
        self._job: int | None = None

    def options(self) -> dict[str, Any]:
        """Keep it from running before `hold`, Ctrl-C away from it, and consoles from opening."""
        return {"creationflags": _CREATE_SUSPENDED | _CREATE_NEW_PROCESS_GROUP | _CREATE_NO_WINDOW}

    def hold(self, child: subprocess.Popen[bytes]) -> None:
        """Make a job object that kills on closing, put the child into it, and let it run."""
        self._assign(child)
        psutil.Process(child.pid).resume()

    def _assign(self, child: subprocess.Popen[bytes]) -> None:
        job = self._kernel32.CreateJobObjectW(None, None)
        if not job:
            return
        limits = _ExtendedLimits()
        limits.basic.LimitFlags = _KILL_ON_JOB_CLOSE
        size = ctypes.sizeof(limits)
        told = self._kernel32.SetInformationJobObject(job, _EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), size)
        handle = ctypes.c_void_p(int(child._handle))  # type: ignore[attr-defined]
        if told and self._kernel32.AssignProcessToJobObject(job, handle):
            self._job = job
        else:
            self._kernel32.CloseHandle(job)

    def kill(self, child: subprocess.Popen[bytes]) -> None:
        """Close the job; without one, end what can still be found of the child's."""
        if self._job is not None:
            self._kernel32.TerminateJobObject(self._job, 1)
            self._kernel32.CloseHandle(self._job)
            self._job = None
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(child.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    process.kill()
        with contextlib.suppress(OSError):
            child.kill()


def _kernel32() -> Any:
    library = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined,unused-ignore]
    library.CreateJobObjectW.restype = ctypes.c_void_p
    library.CreateJobObjectW.argtypes = [ctypes.c_void_p, ctypes.c_wchar_p]
    library.SetInformationJobObject.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32]
    library.AssignProcessToJobObject.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    library.TerminateJobObject.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    library.CloseHandle.argtypes = [ctypes.c_void_p]
    return library


class _BasicLimits(ctypes.Structure):
    """JOBOBJECT_BASIC_LIMIT_INFORMATION."""

    _fields_ = (
        ("PerProcessUserTimeLimit", ctypes.c_int64),
        ("PerJobUserTimeLimit", ctypes.c_int64),
        ("LimitFlags", ctypes.c_uint32),
        ("MinimumWorkingSetSize", ctypes.c_size_t),
        ("MaximumWorkingSetSize", ctypes.c_size_t),
        ("ActiveProcessLimit", ctypes.c_uint32),
        ("Affinity", ctypes.c_size_t),
        ("PriorityClass", ctypes.c_uint32),
        ("SchedulingClass", ctypes.c_uint32),
    )


class _ExtendedLimits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION."""

    _fields_ = (
        ("basic", _BasicLimits),
        ("IoInfo", ctypes.c_uint64 * 6),
        ("ProcessMemoryLimit", ctypes.c_size_t),
        ("JobMemoryLimit", ctypes.c_size_t),
        ("PeakProcessMemoryUsed", ctypes.c_size_t),
        ("PeakJobMemoryUsed", ctypes.c_size_t),
    )
