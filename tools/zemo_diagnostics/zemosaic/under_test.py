"""The ZeMosaic that a command examines: a checkout that the user names, or the modules that the tool carries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import InputError
from .checkout import Checkout, has_modules, inspect_checkout
from .child import Runnable
from .functions_under_test import bundled_folder, check_bundled, describe_functions_under_test
from .interpreter import Interpreter, find_interpreter, own_interpreter
from .jobs import runnable
from .versions import BUNDLED, Version, recognise


@dataclass(frozen=True, kw_only=True)
class UnderTest:
    """A ZeMosaic, and who runs it.

    Attributes
    ----------
    checkout : Checkout
        What it has.
    interpreter : Interpreter
        Who runs it.
    version : Version or None
        The known version that it is like; None where it is like none.
    bundled : bool
        Whether it is the tool's own pair of modules.
    """

    checkout: Checkout
    interpreter: Interpreter
    version: Version | None
    bundled: bool

    @property
    def runnable(self) -> Runnable:
        """Where its jobs run; beside the tool's own modules lies nothing else of ZeMosaic's."""
        where = runnable(self.checkout, self.interpreter)
        return replace(where, modules_only=True) if self.bundled else where

    def told(self) -> str:
        """Give it as a phrase for a report, without a path."""
        if self.bundled:
            return describe_functions_under_test()
        like = f"like {self.version.title}" if self.version else "like no version that is known"
        return f"ZeMosaic {self.checkout.identity.told()}, {like}; run by {self.interpreter.told()}"


def open_zemosaic(path: Path, python: str | None = None) -> UnderTest:
    """Look at a checkout that the user names, and find who can run it; nothing of it is imported or run.

    Parameters
    ----------
    path : Path
        The checkout, its ``tools/`` folder, or a file in it.
    python : str, optional
        The interpreter, or the folder of a virtual environment; else one that is found in the checkout, else ours.

    Raises
    ------
    InputError
        It is no ZeMosaic checkout, or no Python 3.10 or later runs it.
    """
    checkout = inspect_checkout(path)
    interpreter = find_interpreter(checkout.folder, python)
    return UnderTest(checkout=checkout, interpreter=interpreter, version=recognise(checkout), bundled=False)


def open_under_test(path: Path | None, python: str | None = None) -> UnderTest:
    """Open what is to be examined.

    That is the checkout that is named; else the tool's own modules, or, where the tool was put into a checkout's
    ``tools/`` folder, that checkout.

    Raises
    ------
    InputError
        There is none of these.
    """
    if path is not None:
        return open_zemosaic(path, python)
    try:
        return open_bundled()
    except InputError:
        if not has_modules(bundled_folder()):
            raise
    return open_zemosaic(bundled_folder(), python)


def open_bundled() -> UnderTest:
    """Give the tool's own modules, run by the tool's own interpreter, in a child like any other.

    Raises
    ------
    InputError
        Where they are not beside the tool, or are not its own.
    """
    check_bundled()
    checkout = inspect_checkout(bundled_folder())
    return UnderTest(checkout=checkout, interpreter=own_interpreter(), version=BUNDLED, bundled=True)
