"""Optional libraries, and what to type where one is missing: a command for the environment that zemo-diag runs in.

It names the libraries themselves, so that it works wherever zemo-diag comes from: a checkout, an install, a copy.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from .errors import InputError

# Of what is imported: its package.
_PACKAGES = {"astroalign": "astroalign", "scipy": "scipy", "PIL": "pillow"}
_BUILDING, _DRAWING = ("astroalign", "scipy"), ("PIL",)


def require_master_tile_libraries() -> None:
    """Refuse, before anything is made, to build master tiles without what aligns and cleans them.

    Raises
    ------
    InputError
        Naming what is missing, pictures' library too, and the command that installs it.
    """
    if missing := _missing(_BUILDING):
        names = " and ".join(missing)
        raise InputError(f"building master tiles needs {names}: run {pip_command((*missing, *_missing(_DRAWING)))}")


def _missing(modules: Iterable[str]) -> list[str]:
    """Give the packages of those modules that are not there."""
    return [_PACKAGES[module] for module in modules if importlib.util.find_spec(module) is None]


def pip_command(packages: Iterable[str]) -> str:
    """Give the command that installs packages where this runs."""
    return f"{_python()} -m pip install {' '.join(packages)}"


def _python() -> str:
    """Name this Python as it can be typed here: below this folder, as the first one found, or by its full path."""
    path = sys.executable or "python"
    here = os.path.normcase(path)
    for name in ("python", "python3"):
        found = shutil.which(name)
        if found is not None and os.path.normcase(found) == here:
            return name
    with contextlib.suppress(ValueError, OSError):
        path = str(Path(path).relative_to(Path.cwd()))
    return f'"{path}"' if " " in path else path
