"""The packages that commands need, and what to type where this Python lacks one.

Needs the standard library alone, and is read by Pythons that are too old for the rest.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

PACKAGES = ("numpy", "astropy", "click", "rich", "psutil")
OLDEST_PYTHON = (3, 10)

# Of the extras: what is imported, and the package that has it.
MASTER_TILE_PACKAGES = {"astroalign": "astroalign", "scipy": "scipy"}
PICTURE_PACKAGES = {"PIL": "pillow"}

# Where the packages go on a system whose own Python takes none.
_ENVIRONMENT = "zemo-env"


def missing_sentence() -> str:
    """Say what this Python lacks, and the line that installs it; empty where it has all."""
    if sys.version_info < OLDEST_PYTHON:
        needed, found = (".".join(map(str, version)) for version in (OLDEST_PYTHON, sys.version_info[:3]))
        return f"zemo-diag needs Python {needed} or later, and this is Python {found}: run it with a newer one"
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    return lacking_sentence("zemo-diag", missing) if missing else ""


def missing_extra_sentence() -> str:
    """Say what of the extras this Python lacks for building master tiles; empty where it has what it takes.

    Pictures are drawn beside them, so that their package is installed with the others.
    """
    missing = [package for name, package in MASTER_TILE_PACKAGES.items() if importlib.util.find_spec(name) is None]
    more = [package for name, package in PICTURE_PACKAGES.items() if importlib.util.find_spec(name) is None]
    return lacking_sentence("building master tiles", missing, more) if missing else ""


def lacking_sentence(what: str, missing: Sequence[str], more: Sequence[str] = ()) -> str:
    """Say which packages something needs, and the line that installs them, and more of them with it."""
    install = _how_to_install([*missing, *more])
    return f"{what} needs {_listed(list(missing))}, which this Python does not have{install}"


def broken_sentence() -> str:
    """Say which packages are there but cannot be imported, and the line that mends them; empty where all can."""
    broken = [name for name in PACKAGES if not _imports(name)]
    if not broken:
        return ""
    line = f"{interpreter()} -m pip install --force-reinstall {' '.join(broken)}"
    return f"zemo-diag needs {_listed(broken)}, which cannot be imported here: install again with {line}"


def interpreter() -> str:
    """Write the running Python as a shell takes it.

    As it was called, or from the current folder where it lies below that; else without the name of the user's home.
    """
    called = sys.orig_argv[0] or sys.executable
    with contextlib.suppress(ValueError, OSError):
        below = str(Path(called).relative_to(Path.cwd()))
        called = called if " " in below else below
    if not Path(called).is_absolute():
        return called
    if os.name == "nt":
        return _windows_interpreter(called)
    try:
        return f"~/{shlex.quote(Path(called).relative_to(Path.home()).as_posix())}"
    except (ValueError, RuntimeError):  # it lies elsewhere, or there is no home
        return shlex.quote(called)


def _windows_interpreter(path: str) -> str:
    """Write a Python of Windows: by the launcher, which gives it its full path, where it is no environment's."""
    is_environment = sys.prefix != sys.base_prefix or Path(sys.prefix, "conda-meta").exists()
    if shutil.which("py") and not is_environment:
        return f"py -{sys.version_info[0]}.{sys.version_info[1]}"
    return f'& "{path}"' if " " in path else path


def _how_to_install(missing: list[str]) -> str:
    """Give the line that installs packages for this Python, or into an environment where this one takes none."""
    python = interpreter()
    if _is_closed():
        inside = f"{_ENVIRONMENT}/bin/python"
        return (
            ", and which your system keeps closed to pip: make an environment with "
            f"{python} -m venv {_ENVIRONMENT}, run zemo-diag with {inside}, "
            f"and before that {inside} -m pip install {' '.join(dict.fromkeys((*PACKAGES, *missing)))}"
        )
    line = f"{python} -m pip install {' '.join(missing)}"
    if importlib.util.find_spec("pip") is None:
        return f", nor pip: install with {python} -m ensurepip and then {line}"
    return f": install with {line}"


def _is_closed() -> bool:
    """Tell whether pip refuses to install into this Python, since the system manages it (PEP 668)."""
    return sys.prefix == sys.base_prefix and Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").exists()


def _imports(name: str) -> bool:
    """Tell whether a package can be imported."""
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def _listed(names: list[str]) -> str:
    """Give "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
