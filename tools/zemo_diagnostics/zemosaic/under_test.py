"""The ZeMosaic that a command examines: a checkout that the user names, or the modules that the tool carries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import InputError
from .checkout import Checkout, inspect_checkout
from .child import Runnable
from .functions_under_test import (
    bundled_folder,
    check_bundled,
    checkout_above,
    describe_functions_under_test,
)
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


def named_zemosaic(path: Path | None, python: str | None = None) -> UnderTest | None:
    """Open the checkout that is named, or the one into whose ``tools/`` folder the tool was put; None without either.

    Raises
    ------
    InputError
        It is no ZeMosaic checkout, no Python runs it, or a Python is named and no ZeMosaic.
    """
    path = path or checkout_above()
    if path is None and python is not None:
        raise InputError("--python says who runs the ZeMosaic of --zemosaic: name that too, or leave --python out")
    return None if path is None else open_zemosaic(path, python)


def open_under_test(path: Path | None, python: str | None = None) -> UnderTest:
    """Open what is to be examined: that of `named_zemosaic`, else the tool's own modules.

    Raises
    ------
    InputError
        There is none of these.
    """
    return named_zemosaic(path, python) or open_bundled()


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
