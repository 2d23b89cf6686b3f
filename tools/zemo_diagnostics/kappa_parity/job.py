"""What a child process of ``kappa-parity`` is to do: one frozen job, which goes there as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..frames.stack_input import StackInput, Window
from .data import Variant


@dataclass(frozen=True)
class JobFrame:
    """A frame as a child opens it: its file, and the Bayer pattern by which it is brought to colour."""

    path: str
    pattern: str | None


@dataclass(frozen=True, kw_only=True)
class Job:
    """One look at the frames, or one stack of them.

    Attributes
    ----------
    variant : Variant
        INSPECT: what each frame holds, and how it weighs. Else which stack.
    frames : tuple of JobFrame
        In their order.
    window : (top, left, height, width)
        The part of the frames.
    kappa_low, kappa_high : float
        Rejection limits, standard deviations.
    chunk_rows : int
        Rows of a band.
    weigh : bool
        Whether frames are to be weighed while they are inspected.
    weights : nested list of float, or None
        What came out of that, for a stack.
    stacked : str or None
        The ``.npy`` file that a stack goes to.
    handed_on : str or None
        A folder that the full frame writes its frames to, for functions that another process calls.
    """

    variant: Variant
    frames: tuple[JobFrame, ...]
    window: Window
    kappa_low: float
    kappa_high: float
    chunk_rows: int
    weigh: bool = False
    weights: Sequence[Any] | None = None
    stacked: str | None = None
    handed_on: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Give it in values that JSON knows."""
        return asdict(self) | {"variant": self.variant.value}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Job:
        """Read what `to_json` gave, from among other keys; raises what a damaged one leads to."""
        top, left, height, width = document["window"]
        return cls(
            variant=Variant(document["variant"]),
            frames=tuple(JobFrame(one["path"], one["pattern"]) for one in document["frames"]),
            window=(top, left, height, width),
            kappa_low=document["kappa_low"],
            kappa_high=document["kappa_high"],
            chunk_rows=document["chunk_rows"],
            weigh=document["weigh"],
            weights=document["weights"],
            stacked=document["stacked"],
            handed_on=document["handed_on"],
        )


def job_frames(chosen: StackInput) -> tuple[JobFrame, ...]:
    """Describe the frames that were chosen to a child."""
    pairs = zip(chosen.frames, chosen.patterns, strict=True)
    return tuple(JobFrame(str(frame.path.resolve()), pattern) for frame, pattern in pairs)


def handed_frames(folder: Path, count: int) -> tuple[Path, ...]:
    """Name the files of frames that are handed on, in their order."""
    return tuple(folder / f"frame_{index:05d}.npy" for index in range(count))
