"""Who runs a checkout's functions: the Python that is named, else that of a virtual environment in it, else ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from .process_tree import process_tree

OLDEST = (3, 10)

_WINDOWS_LAYOUT = ("Scripts/python.exe",)
_POSIX_LAYOUT = ("bin/python", "bin/python3")
_USUAL_NAMES = (".venv", "venv", "env", ".env")

_OURS = "the one that runs zemo-diag"

_ASK_TIMEOUT_S = 60.0
_LONGEST_ANSWER_BYTES = 1 << 20  # site hooks may print before it
_MARK = "zemo-diag asks: "

# Also Python 2 answers this. What site hooks print before it is passed over.
_QUESTION = (
    "import json, site, sys; "
    f"sys.stdout.write('\\n{_MARK}' + json.dumps([list(sys.version_info[:3]), "
    "site.getusersitepackages() if getattr(site, 'ENABLE_USER_SITE', None) else None]) + '\\n')"
)


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """A Python that can run a checkout's functions.

    Attributes
    ----------
    path : Path
        Its program.
    version : tuple of int
        Three numbers.
    origin : str
        Whose it is, as a phrase.
    extra_paths : tuple of str
        Its user's folder of packages, where it uses one: a child that runs isolated would not find it.
    note : str
        One sentence on what was found and is not used; else empty.
    """

    path: Path
    version: tuple[int, int, int]
    origin: str
    extra_paths: tuple[str, ...] = ()
    note: str = ""

    def told(self) -> str:
        """Give it as a phrase for a report."""
        return f"Python {'.'.join(map(str, self.version))}, {self.origin}"


def find_interpreter(
    checkout: Path, named: str | None = None, *, windows: bool = sys.platform == "win32"
) -> Interpreter:
    """Find who runs a checkout's functions, and ask it for its version.

    Parameters
    ----------
    checkout : Path
        The checkout's top folder.
    named : str, optional
        A program, by its path or its name, or the folder of a virtual environment. Used before all others.
    windows : bool, keyword-only
        Whether programs lie where Windows has them.

    Raises
    ------
    InputError
        It cannot be started, or is older than 3.10.
    """
    if named is not None:
        return _asked(_program(named, windows), "named by --python")
    note = ""
    for environment in _environments(checkout):
        program = _within(environment, windows)
        if program is not None:
            return _asked(program, f"the virtual environment {environment.name} of the checkout")
        note = f"the virtual environment {environment.name} of the checkout has no Python for this system"
    own = _asked(Path(sys.executable), _OURS)
    return Interpreter(path=own.path, version=own.version, origin=own.origin, extra_paths=own.extra_paths, note=note)


def own_interpreter() -> Interpreter:
    """Give the Python that runs this, with all folders that it looks for packages in; it need not be asked."""
    folders = tuple(folder for folder in sys.path if Path(folder).is_absolute() and Path(folder).is_dir())
    return Interpreter(path=Path(sys.executable), version=sys.version_info[:3], origin=_OURS, extra_paths=folders)


def _program(named: str, windows: bool) -> Path:
    """Find a program by what the user called it."""
    path = Path(named).expanduser()
    if path.is_dir():
        within = _within(path, windows)
        if within is None:
            raise InputError(f"'{named}' holds no Python: name the program, or a virtual environment")
        return within
    found = shutil.which(named)
    if found is None:
        raise InputError(f"no program '{named}': give --python the path of a Python 3.10 or later")
    return Path(found).absolute()


def _environments(checkout: Path) -> Iterator[Path]:
    """Give the virtual environments in a checkout, those with the usual names first."""
    usual = [checkout / name for name in _USUAL_NAMES]
    try:
        others = sorted(path for path in checkout.iterdir() if path not in usual)
    except OSError:
        others = []
    yield from (path for path in (*usual, *others) if (path / "pyvenv.cfg").is_file())


def _within(environment: Path, windows: bool) -> Path | None:
    """Find the Python of a virtual environment."""
    layout = _WINDOWS_LAYOUT if windows else _POSIX_LAYOUT
    return next((environment / name for name in layout if (environment / name).is_file()), None)


def _asked(program: Path, origin: str) -> Interpreter:
    """Ask a Python for its version, and where its user's packages lie."""
    try:
        answer = _answer_of(program)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(
            f"{_called(program, origin)} cannot be started ({reason}): name another by --python"
        ) from error
    version, user_site = _answered(answer, program, origin)
    if version < OLDEST:
        raise InputError(
            f"{_called(program, origin)} is Python {'.'.join(map(str, version))}: 3.10 or later is needed; "
            "name another by --python"
        )
    extra = (user_site,) if user_site and Path(user_site).is_dir() else ()
    return Interpreter(path=program, version=version, origin=origin, extra_paths=extra)


def _answer_of(program: Path) -> str:
    """Give what a program answers, as far as an answer may be long; it is gone with all that it started afterwards."""
    kept = {key: value for key, value in os.environ.items() if not key.upper().startswith(("PYTHON", "__PYVENV"))}
    command = [str(program), "-E", "-B", "-c", _QUESTION]
    tree, null = process_tree(), subprocess.DEVNULL
    with tempfile.TemporaryDirectory() as nowhere:
        asked = subprocess.Popen(
            command, cwd=nowhere, env=kept, stdin=null, stdout=subprocess.PIPE, stderr=null, **tree.options()
        )
        too_late = threading.Timer(_ASK_TIMEOUT_S, tree.kill, (asked,))
        try:
            tree.hold(asked)
            too_late.start()
            answer = asked.stdout.read(_LONGEST_ANSWER_BYTES) if asked.stdout else b""
        finally:
            too_late.cancel()
            tree.kill(asked)
            asked.wait()
            if asked.stdout:
                asked.stdout.close()
    return answer.decode("utf-8", "replace")


def _answered(answer: str, program: Path, origin: str) -> tuple[tuple[int, int, int], str | None]:
    """Read the answer; what else was printed is passed over."""
    lines = [line.partition(_MARK)[2] for line in answer.splitlines() if _MARK in line]
    if not lines:
        raise InputError(f"{_called(program, origin)} does not answer as a Python does: name another by --python")
    numbers, user_site = json.loads(lines[-1])
    return (numbers[0], numbers[1], numbers[2]), user_site


def _called(program: Path, origin: str) -> str:
    """Name an interpreter without its full path."""
    return f"the Python '{program.name}' ({origin})"
