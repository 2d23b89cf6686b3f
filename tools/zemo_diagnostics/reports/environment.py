"""What a report is made with: versions, and the size of the machine."""

from __future__ import annotations

import contextlib
import os
import platform
from importlib import metadata

from .. import __version__
from ..machine.memory_limits import total_memory_bytes
from .report import Environment


def describe_environment(functions_under_test: str) -> Environment:
    """Describe the machine and the versions, without a word of their owner."""
    return Environment(
        tool_version=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        numpy=_version("numpy"),
        astropy=_version("astropy"),
        opencv=_version("opencv-python-headless", "opencv-python", "opencv-contrib-python"),
        cores=os.cpu_count() or 1,
        memory_bytes=total_memory_bytes(),
        functions_under_test=functions_under_test,
    )


def _version(*packages: str) -> str:
    """Give the version of the first of some packages that is installed, or "not installed"."""
    for package in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.version(package)
    return "not installed"
