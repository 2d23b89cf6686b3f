"""The functions under test asked in children: what the bundled ones decide, and which modes those of a checkout give.

A checkout decides within longer functions, which cannot be called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import ChildDiedError
from ..machine.scratch import scratch_folder
from ..zemosaic.child import Ending, Outcome, run_job
from ..zemosaic.entries import Entry, EntryKind
from ..zemosaic.jobs import (
    LIFTED,
    DecidedRun,
    InferredMode,
    card_text,
    decide_job,
    header_value,
    infer_job,
    read_decisions,
    read_modes,
)
from ..zemosaic.under_test import UnderTest

TIMEOUT_S = 300.0

INFERENCE, SEESTAR = "_infer_group_eqmode", "_entry_is_seestar"

# Cards that a mode or a maker may be read from: whole headers of thousands of frames would take seconds to hand over.
_TELLING = ("EQMODE", "INSTRUME", "CREATOR", "TELESCOP")

_LONGEST_MODE = 24

Groups = Sequence[Sequence[Entry]]


@dataclass(frozen=True, kw_only=True)
class CheckoutAnswers:
    """What a checkout says of the tiles of a run.

    Attributes
    ----------
    modes : mapping of EntryKind to tuple of InferredMode
        One for each tile; empty where its functions are not there, or could not be asked.
    problem : str
        Why they could not be asked, else empty.
    how : tuple of str
        How each of its functions was got, a sentence each.
    """

    modes: Mapping[EntryKind, tuple[InferredMode, ...]]
    problem: str = ""
    how: tuple[str, ...] = ()


def ask_bundled(functions: UnderTest, groups: Groups, *, requested: bool) -> DecidedRun:
    """Ask the tool's own functions what they decide over a run and its tiles.

    Parameters
    ----------
    functions : UnderTest
        The bundled ones.
    groups : sequence of sequence of dict
        The tiles' entries, as Phase 1 makes them.
    requested : bool, keyword-only
        Whether the user's settings ask for the alt-az cleanup.

    Raises
    ------
    ChildDiedError
        Their child did not come to an end.
    """
    outcome = _run(functions, decide_job([(requested, _handed_over(groups))]))
    if outcome.ending is not Ending.OK:
        raise ChildDiedError(f"zemo-diag's own functions could not be run: {outcome.detail}")
    return read_decisions(outcome)[0]


def ask_checkout(zemosaic: UnderTest, groups: Mapping[EntryKind, Groups]) -> CheckoutAnswers:
    """Ask the functions of a checkout for the mode of each tile, and whether a Seestar took it.

    Parameters
    ----------
    zemosaic : UnderTest
        The checkout.
    groups : mapping of EntryKind to sequence of sequence of dict
        The tiles' entries, of each kind.
    """
    modes, seestar = (zemosaic.checkout.functions[name].is_there for name in (INFERENCE, SEESTAR))
    if not (modes or seestar):
        return CheckoutAnswers(modes={})
    asked = [group for kind in groups for group in _handed_over(groups[kind])]
    outcome = _run(zemosaic, infer_job(asked, modes=modes, seestar=seestar))
    if outcome.ending is not Ending.OK:
        return CheckoutAnswers(modes={}, problem=outcome.detail, how=_how(outcome))
    answers = iter([_named(one) if modes and not one.raised else one for one in read_modes(outcome)])
    return CheckoutAnswers(
        modes={kind: tuple(next(answers) for _ in groups[kind]) for kind in groups}, how=_how(outcome)
    )


def _named(answer: InferredMode) -> InferredMode:
    """Name a mode that was returned, also one that is no text, or too long for a table."""
    mode = answer.mode if isinstance(answer.mode, str) else repr(answer.mode)
    return replace(answer, mode=mode[:_LONGEST_MODE])


def _run(under_test: UnderTest, job: dict[str, Any]) -> Outcome:
    with scratch_folder() as folder:
        return run_job(job, under_test.runnable, folder, timeout_s=TIMEOUT_S)


def _handed_over(groups: Groups) -> list[list[Any]]:
    return [[_with_telling_cards(entry) for entry in group] for group in groups]


def _with_telling_cards(entry: Entry) -> Entry:
    """Keep of a ``fits.Header`` what may tell something here, as it stands in the file."""
    header = entry.get("header")
    if header is None or not hasattr(header, "cards"):
        return entry
    told = [card_text(header.cards[key]) for key in _TELLING if key in header]
    return {**entry, "header": header_value(told)}


def _how(outcome: Outcome) -> tuple[str, ...]:
    """Say how the functions were got."""
    why = {step.function: f" ({step.why})" for step in outcome.steps if not step.ok}
    lifted = [step.function for step in outcome.steps if step.ok and step.rung == LIFTED]
    told = [f"{' and '.join(lifted)} lifted from the source, nothing else of it was run"] if lifted else []
    imported = [step.function for step in outcome.steps if step.ok and step.rung != LIFTED]
    return (*told, *(f"{name} imported from a copy of the checkout{why.get(name, '')}" for name in imported))


def names_of(paths: Sequence[str]) -> tuple[str, ...]:
    """Give the names of files without their folders."""
    return tuple(Path(path).name for path in paths)
