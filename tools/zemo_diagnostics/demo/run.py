"""Both reports on a simulated group: what a newcomer without frames at hand gets to see."""

from __future__ import annotations

from ..gating.run import run_gating
from ..grouped_folder import GroupingOptions
from ..kappa_parity.compare_tiles import ParityOptions
from ..kappa_parity.run import run_parity
from ..machine.scratch import scratch_folder
from ..progress import Say
from ..reports.report import Report, assemble
from .sample_groups import DEMO_GROUP, write_group

# Enough frames for the default kappa to reject a lone outlier.
DEMO_FRAMES = 12


def run_demo(say: Say) -> Report:
    """Make the demo group in a temporary folder, run gating and kappa-parity on it, and join their reports.

    Parameters
    ----------
    say : callable
        Gets (what is being done, part done).
    """
    with scratch_folder() as temporary:
        folder = temporary / DEMO_GROUP.name
        say("simulating frames", 0.0)
        write_group(DEMO_GROUP, folder, frames=DEMO_FRAMES)
        gating = run_gating(folder, GroupingOptions(), requested=True, say=say)
        parity = run_parity(folder, GroupingOptions(), ParityOptions(), say=say)
    return assemble(
        "demo",
        gating.source,
        gating.environment,
        options=tuple(dict((*gating.options, *parity.options)).items()),
        parts=(*gating.parts, *parity.parts),
        findings=tuple(dict.fromkeys((*gating.findings, *parity.findings))),
        interrupted=parity.interrupted,
    )
