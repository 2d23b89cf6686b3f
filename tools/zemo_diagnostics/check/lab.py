"""Where the checks' experiments are done: each once, in a child, when the first check asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ..zemosaic.checkout import Checkout, Presence
from ..zemosaic.child import Ending, Outcome, run_job
from ..zemosaic.under_test import UnderTest

Result = TypeVar("Result")

# Long enough for the slowest machine; what takes longer hangs.
TIMEOUT_S = 600.0

# What is raised where the interpreter lacks a package, which is not the fault of what is examined.
_MISSING_PACKAGE = ("ModuleNotFoundError", "ImportError", "MissingExtraError")


class Skip(Exception):  # noqa: N818 - a state of what is examined, told in one sentence
    """A check cannot be carried out; the sentence says why."""


class Died(Exception):  # noqa: N818 - a result: the sentence says how
    """The process of an experiment did not do what it was asked; the first check that notices it fails."""

    told_by = ""


@dataclass(frozen=True, kw_only=True)
class Lab:
    """What is examined, and what was found out of it so far.

    Attributes
    ----------
    under_test : UnderTest
        The ZeMosaic that is examined.
    reference : UnderTest or None
        The tool's own modules, whose full-frame stack is the reference; None where they are not beside it.
    before : Checkout or None
        What it was before, to be compared with.
    folder : Path
        An empty folder for temporary files.
    codes : frozenset of str
        The checks that are asked for: experiments leave out what only others need.
    """

    under_test: UnderTest
    reference: UnderTest | None
    before: Checkout | None
    folder: Path
    codes: frozenset[str]
    _known: dict[Callable[..., Any], Any] = field(default_factory=dict, repr=False)

    def once(self, experiment: Callable[[Lab], Result]) -> Result:
        """Give what an experiment shows; it is done once, and what it raised is raised again."""
        if experiment not in self._known:
            try:
                self._known[experiment] = experiment(self), None
            except Exception as error:  # noqa: BLE001 - whatever it was, it is so for all who ask
                self._known[experiment] = None, error
        shown, raised = self._known[experiment]
        if raised is not None:
            raise raised
        return shown  # type: ignore[no-any-return]

    def needs(self, function: str) -> None:
        """Go on only where the function can be called.

        Raises
        ------
        Skip
            It is not there, or takes other parameters.
        """
        known = self.under_test.checkout.functions[function]
        if not known.is_there:
            raise Skip(known.told)

    def has(self, function: str) -> bool:
        """Tell whether a function can be called."""
        return self.under_test.checkout.functions[function].presence is Presence.PRESENT

    def ask(self, name: str, job: dict[str, Any], where: UnderTest | None = None) -> Outcome:
        """Run a job; how it ended is for the caller to judge."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return run_job(job, (where or self.under_test).runnable, folder, timeout_s=TIMEOUT_S)

    def answered(self, name: str, job: dict[str, Any], where: UnderTest | None = None) -> Outcome:
        """Run a job, and go on only where it was done.

        Raises
        ------
        Skip
            It cannot be done here: a module cannot be imported, a function or a package is missing.
        Died
            It was begun, and not done.
        """
        outcome = self.ask(name, job, where)
        refuse_failure(outcome.ending, outcome.detail, outcome.result)
        return outcome


def refuse_failure(ending: Ending, detail: str, result: dict[str, Any]) -> None:
    """Go on only where a job was done.

    Raises
    ------
    Skip, Died
        As `Lab.answered` does.
    """
    if ending is Ending.OK:
        return
    missing = result.get("raised", {}).get("type") in _MISSING_PACKAGE
    if missing or ending in (Ending.IMPORT_FAILED, Ending.NOT_THERE):
        raise Skip(detail)
    raise Died(detail)
